/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-uri-http.c - http[s]://[user:password@]host[:port]/[path][?parameter=value&...]
 */
#include "core/conf/fs-uri.h"

#include "core/conf/conf-private.h"
#include "core/conf/conf-value.h"

#define URL_BYTES_MAX 8192
#define HOST_BYTES_MAX 253
#define OBJECT_CLASS_MAX 15u /* four bits */

enum param_type {
	PARAM_MSECS,
	PARAM_UINT,
	PARAM_BOOL,
	PARAM_TEXT,
	PARAM_LIMIT, /* a switch of old versions: 1 is 1000, 0 is 0 */
	PARAM_ADDHDR,
	PARAM_ADDHDRVAR,
	PARAM_LOGHDR
};

#define S3 ((1u << FS_URI_HTTP_S3) | (1u << FS_URI_HTTP_AWS_S3))
#define SPROXYD (1u << FS_URI_HTTP_SPROXYD)
#define SCALITY (1u << FS_URI_HTTP_SCALITY)
#define ALL (S3 | SPROXYD | SCALITY | (1u << FS_URI_HTTP_OTHER))
#define FIELD(name) offsetof(struct conf_http_url, name)

static const struct param {
	const char *name;
	unsigned flavours;
	enum param_type type;
	size_t offset;
} params[] = {
	{ "absolute_timeout", ALL, PARAM_MSECS, FIELD(absolute_timeout_ns) },
	{ "timeout", ALL, PARAM_MSECS, FIELD(timeout_ns) },
	{ "connect_timeout", ALL, PARAM_MSECS, FIELD(connect_timeout_ns) },
	{ "read_timeout", ALL, PARAM_MSECS, FIELD(read_timeout_ns) },
	{ "write_timeout", ALL, PARAM_MSECS, FIELD(write_timeout_ns) },
	{ "delete_timeout", ALL, PARAM_MSECS, FIELD(delete_timeout_ns) },
	{ "max_connect_retries", ALL, PARAM_UINT, FIELD(max_connect_retries) },
	{ "max_retries", ALL, PARAM_UINT, FIELD(max_retries) },
	{ "read_max_retries", ALL, PARAM_UINT, FIELD(read_max_retries) },
	{ "write_max_retries", ALL, PARAM_UINT, FIELD(write_max_retries) },
	{ "delete_max_retries", ALL, PARAM_UINT, FIELD(delete_max_retries) },
	{ "slow_warn", ALL, PARAM_MSECS, FIELD(slow_warn_ns) },
	{ "addhdr", ALL, PARAM_ADDHDR, 0 },
	{ "addhdrvar", ALL, PARAM_ADDHDRVAR, 0 },
	{ "loghdr", ALL, PARAM_LOGHDR, 0 },
	{ "no_trace_headers", ALL, PARAM_BOOL, FIELD(no_trace_headers) },
	{ "reason_header_max_length", ALL, PARAM_UINT, FIELD(reason_header_max_length) },
	{ "bulk_delete_limit", S3 | SCALITY, PARAM_UINT, FIELD(bulk_delete_limit) },
	{ "bucket", S3 | (1u << FS_URI_HTTP_OTHER), PARAM_TEXT, FIELD(bucket) },
	{ "region", S3, PARAM_TEXT, FIELD(region) },
	{ "auth_role", S3, PARAM_TEXT, FIELD(auth_role) },
	{ "auth_host", S3, PARAM_TEXT, FIELD(auth_host) },
	{ "class", SPROXYD, PARAM_UINT, FIELD(object_class) },
	{ "by-path", SPROXYD, PARAM_BOOL, FIELD(by_path) },
	{ "avoid_423", SPROXYD, PARAM_MSECS, FIELD(avoid_423_ns) },
	{ "preserve_objectid_prefix", SCALITY, PARAM_TEXT, FIELD(preserve_objectid_prefix) },
	{ "use_listing", SCALITY, PARAM_BOOL, FIELD(use_listing) },
	{ "bulk_link_limit", SCALITY, PARAM_UINT, FIELD(bulk_link_limit) },
	/* the names of 2.2 */
	{ "connect_timeout_msecs", ALL, PARAM_MSECS, FIELD(connect_timeout_ns) },
	{ "timeout_msecs", ALL, PARAM_MSECS, FIELD(timeout_ns) },
	{ "bulk_delete", SCALITY, PARAM_LIMIT, FIELD(bulk_delete_limit) },
	{ "bulk_link", SCALITY, PARAM_LIMIT, FIELD(bulk_link_limit) },
};

/* ---- decoding ---- */

static int decode(
	struct lab_view text, struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	uint8_t *plain;
	size_t len = 0;

	*ret = text;
	if (lab_view_find_byte(text, '%') == SIZE_MAX)
		return 0;
	plain = lab_arena_alloc(arena, text.len + 1);
	for (size_t i = 0; i < text.len; i++) {
		plain[len] = text.ptr[i];
		if (text.ptr[i] == '%') {
			if (lab_unhex(lab_view_sub(text, i + 1, 2), &plain[len], 1) < 0)
				return lab_fail(err, LAB_INVALID,
					"a '%%' is not followed by two hex digits");
			i += 2;
		}
		if (plain[len] < 0x20 || plain[len] == 0x7f)
			return lab_fail(err, LAB_INVALID, "there is a control character");
		len++;
	}
	*ret = lab_view_of(plain, len);
	return 0;
}

/* ---- parameters ---- */

static int header_split(struct lab_view text, struct fs_uri_header *ret, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	struct lab_view value = text, name;

	if (!lab_view_split(&value, ':', &name) || value.ptr == NULL || name.len == 0)
		return lab_fail(err, LAB_INVALID, "'%s' is not <name>:<value>%s",
			conf_show(text, shown),
			lab_view_ends_with(text, LAB_VIEW("-")) ? " (was the line broken there?)"
								: "");
	for (size_t i = 0; i < name.len; i++) {
		if (!conf_is_name_byte(name.ptr[i]))
			return lab_fail(err, LAB_INVALID, "'%s' is not a header name",
				conf_show(name, shown));
	}
	*ret = (struct fs_uri_header){ name, value };
	return 0;
}

static int too_many(struct lab_error *err)
{
	return lab_fail(
		err, LAB_LIMIT, "it is given more than %u times", (unsigned)FS_URI_HEADERS_MAX);
}

static int set_list(struct conf_http_url *url, enum param_type type, struct lab_view value,
	struct lab_error *err)
{
	if (type == PARAM_LOGHDR) {
		if (value.len == 0)
			return lab_fail(err, LAB_INVALID, "a header name is missing");
		if (url->loghdr_count == FS_URI_HEADERS_MAX)
			return too_many(err);
		url->loghdr[url->loghdr_count++] = value;
		return 0;
	}
	if (type == PARAM_ADDHDR) {
		if (url->addhdr_count == FS_URI_HEADERS_MAX)
			return too_many(err);
		if (header_split(value, &url->addhdr[url->addhdr_count], err) < 0)
			return -1;
		url->addhdr_count++;
		return 0;
	}
	if (url->addhdrvar_count == FS_URI_HEADERS_MAX)
		return too_many(err);
	if (header_split(value, &url->addhdrvar[url->addhdrvar_count], err) < 0)
		return -1;
	url->addhdrvar_count++;
	return 0;
}

static int set_param(struct conf_http_url *url, const struct param *param, struct lab_view value,
	struct lab_error *err)
{
	uint8_t *field = (uint8_t *)url + param->offset;
	uint64_t number;
	bool flag;

	switch (param->type) {
	case PARAM_MSECS:
		if (conf_value_time(value, LAB_MSEC, &number, err) < 0)
			return -1;
		memcpy(field, &number, sizeof(number));
		return 0;
	case PARAM_UINT:
		if (conf_value_uint(value, INT32_MAX, &number, err) < 0)
			return -1;
		memcpy(field, &(unsigned){ (unsigned)number }, sizeof(unsigned));
		return 0;
	case PARAM_BOOL:
	case PARAM_LIMIT:
		if (value.ptr == NULL)
			flag = true;
		else if (conf_value_bool(value, &flag, err) < 0)
			return -1;
		if (param->type == PARAM_BOOL)
			memcpy(field, &flag, sizeof(flag));
		else
			memcpy(field, &(unsigned){ flag ? 1000 : 0 }, sizeof(unsigned));
		return 0;
	case PARAM_TEXT:
		if (value.len == 0)
			return lab_fail(err, LAB_INVALID, "it has no value");
		memcpy(field, &value, sizeof(value));
		return 0;
	case PARAM_ADDHDR:
	case PARAM_ADDHDRVAR:
	case PARAM_LOGHDR:
		break;
	}
	return set_list(url, param->type, value, err);
}

struct param_names {
	unsigned flavour;
};

/* Names that the flavour does not have are given as "" so that the others keep their places. */
static const char *param_name_at(const void *ctx, size_t i)
{
	const struct param_names *names = ctx;

	if (i >= LAB_COUNT_OF(params))
		return NULL;
	return (params[i].flavours & names->flavour) != 0 ? params[i].name : "";
}

static int parse_param(struct conf_http_url *url, struct lab_view text, unsigned flavour,
	struct lab_arena *arena, struct lab_error *err)
{
	struct param_names names = { flavour };
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	struct lab_view value = text, name;
	size_t i = 0;

	lab_view_split(&value, '=', &name);
	while (i < LAB_COUNT_OF(params) &&
		!((params[i].flavours & flavour) != 0 && lab_view_eq_cstr(name, params[i].name)))
		i++;
	if (i == LAB_COUNT_OF(params))
		return lab_fail(err, LAB_INVALID, "Unknown URL parameter '%s'%s",
			conf_show(name, shown),
			conf_hint(conf_suggest(name, param_name_at, &names), hint));
	if (value.ptr == NULL && params[i].type != PARAM_BOOL)
		return lab_fail(err, LAB_INVALID, "URL parameter %s has no value", params[i].name);
	/* the value of addhdrvar is a text with %variables: a '%' in it is not an escape */
	if (params[i].type != PARAM_ADDHDRVAR && decode(value, arena, &value, err) < 0)
		return lab_error_wrap(err, "URL parameter %s", params[i].name);
	if (set_param(url, &params[i], value, err) < 0)
		return lab_error_wrap(err, "URL parameter %s", params[i].name);
	return 0;
}

/* ---- the parts before the '?' ---- */

static int parse_credentials(struct conf_http_url *url, struct lab_view text,
	struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view password = text, user;

	if (!lab_view_split(&password, ':', &user) || user.len == 0 || password.len == 0)
		return lab_fail(err, LAB_INVALID,
			"what stands before the '@' in the URL must be <access key>:<secret>");
	if (lab_view_find_byte(password, ':') != SIZE_MAX)
		return lab_fail(err, LAB_INVALID,
			"a ':' in the secret of the URL must be written %%3A (%%%%3A in "
			"dovecot.conf)");
	if (decode(user, arena, &url->user, err) < 0 ||
		decode(password, arena, &url->password, err) < 0)
		return lab_error_wrap(err, "the credentials in the URL");
	return 0;
}

static int check_host(struct lab_view host, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	bool ipv6 = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';

	if (host.len == 0)
		return lab_fail(err, LAB_INVALID, "the host is missing in the URL");
	if (host.len > HOST_BYTES_MAX)
		return lab_fail(err, LAB_INVALID, "the host in the URL is too long");
	for (size_t i = ipv6 ? 1 : 0; i < host.len - (ipv6 ? 1 : 0); i++) {
		uint8_t byte = host.ptr[i];
		if (byte != '.' && !conf_is_name_byte(byte) && !(ipv6 && byte == ':'))
			return lab_fail(err, LAB_INVALID, "'%s' is not a host name",
				conf_show(host, shown));
	}
	return 0;
}

static int parse_authority(struct conf_http_url *url, struct lab_view text, struct lab_arena *arena,
	struct lab_error *err)
{
	struct lab_view host = text, port = { NULL, 0 };
	size_t at = SIZE_MAX, bracket, colon;
	uint64_t number;

	for (size_t i = 0; i < text.len; i++)
		at = text.ptr[i] == '@' ? i : at;
	if (at != SIZE_MAX) {
		if (parse_credentials(url, lab_view_sub(text, 0, at), arena, err) < 0)
			return -1;
		host = lab_view_skip(text, at + 1);
	}
	bracket = host.len > 0 && host.ptr[0] == '[' ? lab_view_find_byte(host, ']') : 0;
	bracket = bracket == SIZE_MAX ? 0 : bracket;
	colon = lab_view_find_byte(lab_view_skip(host, bracket), ':');
	if (colon != SIZE_MAX) {
		port = lab_view_skip(host, bracket + colon + 1);
		host = lab_view_sub(host, 0, bracket + colon);
	}
	if (check_host(host, err) < 0)
		return -1;
	url->host = host;
	url->port = url->tls ? 443 : 80;
	if (port.ptr == NULL)
		return 0;
	/* a misplaced password could be here: it is not shown */
	if (lab_view_to_u64(port, &number) < 0 || number == 0 || number > 65535)
		return lab_fail(
			err, LAB_INVALID, "the port in the URL is not a number from 1 to 65535");
	url->port = (uint16_t)number;
	url->port_given = true;
	return 0;
}

static void url_init(struct conf_http_url *url, enum fs_uri_http_flavour flavour)
{
	*url = (struct conf_http_url){ .timeout_ns = 10 * LAB_SEC,
		.connect_timeout_ns = UINT64_MAX,
		.read_timeout_ns = UINT64_MAX,
		.write_timeout_ns = UINT64_MAX,
		.delete_timeout_ns = UINT64_MAX,
		.max_connect_retries = 2,
		.max_retries = 4,
		.read_max_retries = UINT32_MAX,
		.write_max_retries = UINT32_MAX,
		.delete_max_retries = UINT32_MAX,
		.slow_warn_ns = 5 * LAB_SEC,
		.bulk_delete_limit = 1000,
		.bulk_link_limit = 1000,
		.object_class = 2,
		.auth_host = LAB_VIEW("169.254.169.254:80") };
	if (flavour != FS_URI_HTTP_AWS_S3)
		return;
	url->addhdrvar[url->addhdrvar_count++] =
		(struct fs_uri_header){ LAB_VIEW("x-amz-security-token"),
			LAB_VIEW("%{auth:token}") };
	url->loghdr[url->loghdr_count++] = LAB_VIEW("x-amz-request-id");
	url->loghdr[url->loghdr_count++] = LAB_VIEW("x-amz-id-2");
}

/* What was not given follows the general value. */
static void url_inherit(struct conf_http_url *url)
{
	uint64_t *timeouts[] = { &url->connect_timeout_ns, &url->read_timeout_ns,
		&url->write_timeout_ns, &url->delete_timeout_ns };
	unsigned *retries[] = { &url->read_max_retries, &url->write_max_retries,
		&url->delete_max_retries };

	for (size_t i = 0; i < LAB_COUNT_OF(timeouts); i++) {
		if (*timeouts[i] == UINT64_MAX)
			*timeouts[i] = url->timeout_ns;
	}
	for (size_t i = 0; i < LAB_COUNT_OF(retries); i++) {
		if (*retries[i] == UINT32_MAX)
			*retries[i] = url->max_retries;
	}
}

static int url_check(const struct conf_http_url *url, struct lab_error *err)
{
	if (url->auth_role.ptr != NULL && url->user.ptr != NULL)
		return lab_fail(err, LAB_INVALID,
			"the URL has both credentials and auth_role: one of them must go");
	if (url->object_class > OBJECT_CLASS_MAX)
		return lab_fail(err, LAB_INVALID,
			"URL parameter class is %u, and a key has room for 0 to %u",
			url->object_class, OBJECT_CLASS_MAX);
	if (url->timeout_ns == 0)
		return lab_fail(err, LAB_INVALID, "URL parameter timeout must be above 0");
	return 0;
}

/* Takes the scheme off and refuses what cannot be in a URL. */
static int take_scheme(struct lab_view *text, bool *ret_tls, struct lab_error *err)
{
	if (text->len > URL_BYTES_MAX)
		return lab_fail(
			err, LAB_LIMIT, "the URL is longer than %u bytes", (unsigned)URL_BYTES_MAX);
	*ret_tls = lab_view_starts_with(*text, LAB_VIEW("https://"));
	if (!*ret_tls && !lab_view_starts_with(*text, LAB_VIEW("http://")))
		return lab_fail(
			err, LAB_INVALID, "the URL does not begin with http:// or https://");
	for (size_t i = 0; i < text->len; i++) {
		if (text->ptr[i] <= 0x20 || text->ptr[i] == 0x7f || text->ptr[i] == '#')
			return lab_fail(err, LAB_INVALID,
				"there is white space, a control character or a '#' in the URL");
	}
	*text = lab_view_skip(*text, *ret_tls ? 8 : 7);
	return 0;
}

/* "/path?parameters", or nothing. */
static int parse_target(struct conf_http_url *url, struct lab_view text, unsigned flavour,
	struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view path, param;

	lab_view_split(&text, '?', &path);
	if (decode(lab_view_skip(path, 1), arena, &url->path, err) < 0)
		return lab_error_wrap(err, "the path in the URL");
	while (text.len > 0 && lab_view_split(&text, '&', &param)) {
		if (parse_param(url, param, flavour, arena, err) < 0)
			return -1;
	}
	return 0;
}

int fs_uri_http(struct lab_view args, enum fs_uri_http_flavour flavour, struct lab_arena *arena,
	struct conf_http_url *ret, struct lab_error *err)
{
	struct lab_view rest = lab_view_trim(args);
	struct conf_http_url url;
	size_t end = 0;

	url_init(&url, flavour);
	if (take_scheme(&rest, &url.tls, err) < 0)
		return -1;
	while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
		end++;
	if (parse_authority(&url, lab_view_sub(rest, 0, end), arena, err) < 0 ||
		parse_target(&url, lab_view_skip(rest, end), 1u << flavour, arena, err) < 0)
		return -1;
	url_inherit(&url);
	if (url_check(&url, err) < 0)
		return -1;
	*ret = url;
	return 0;
}

struct lab_view fs_uri_http_authority(const struct conf_http_url *url, struct lab_arena *arena)
{
	if (url->port == (url->tls ? 443 : 80))
		return url->host;
	return lab_view_cstr(
		lab_arena_printf(arena, "%.*s:%u", LAB_VIEW_ARG(url->host), url->port));
}
