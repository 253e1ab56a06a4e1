/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-endpoints.c - where the operator's settings say that the storage and IMDS are.
 */
#include "scenarios/format/scenario-private.h"

#include "core/conf/var-expand.h"

#define URI_MAX 8192

/* Variables never are part of what is looked for here, but %% and their syntax are. */
static int expand_for_probe(
	struct lab_view text, struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	struct var_user user = { .user = LAB_VIEW(SCENARIO_PROBE_USER),
		.home = LAB_VIEW("/var/vmail/probe"),
		.service = LAB_VIEW("imap"),
		.session = LAB_VIEW("probe"),
		.hostname = LAB_VIEW("probe") };
	struct var_user_table table;

	var_user_table_init(&table, &user);
	return var_expand_arena(arena, text, &table.table, ret, err);
}

static int read_compress(struct lab_view args, struct fs_uri_compress *ret, struct lab_error *err)
{
	if (fs_uri_compress(args, ret, err) < 0)
		return -1;
	if (ret->algorithm == FS_URI_BZ2 || ret->algorithm == FS_URI_XZ)
		return lab_fail(err, LAB_UNSUPPORTED, "compress: %s is not part of oboxlab",
			fs_uri_compression_name(ret->algorithm));
	return 0;
}

/* The arguments of the HTTP driver at the end of a stack. 1 found, 0, -1. */
static int find_http(struct lab_view uri, struct lab_view *ret_args,
	enum fs_uri_http_flavour *ret_flavour, struct fs_uri_dictmap *ret_dictmap,
	struct lab_error *err)
{
	for (unsigned depth = 0; depth < FS_URI_DEPTH_MAX; depth++) {
		struct lab_view driver, args;
		struct fs_uri_fscache fscache;
		struct fs_uri_compress compress;
		struct fs_uri_randomfail randomfail;
		int flavour, result;

		fs_uri_split(uri, depth == 0, &driver, &args);
		flavour = fs_uri_http_flavour(driver);
		if (flavour >= 0) {
			*ret_args = args;
			*ret_flavour = (enum fs_uri_http_flavour)flavour;
			return 1;
		}
		if (lab_view_eq_cstr(driver, "fscache")) {
			result = fs_uri_fscache(args, &fscache, err);
			uri = fscache.parent;
		} else if (lab_view_eq_cstr(driver, "compress")) {
			result = read_compress(args, &compress, err);
			uri = compress.parent;
		} else if (lab_view_eq_cstr(driver, "dictmap")) {
			result = fs_uri_dictmap(args, ret_dictmap, err);
			uri = ret_dictmap->parent;
		} else if (lab_view_eq_cstr(driver, "randomfail")) {
			result = fs_uri_randomfail(args, &randomfail, err);
			uri = randomfail.parent;
		} else {
			return 0;
		}
		if (result < 0)
			return -1;
	}
	return lab_fail(err, LAB_INVALID, "more than %d drivers in a stack", FS_URI_DEPTH_MAX);
}

/* With bucket= the host is the endpoint; else its first label is the bucket. */
static int split_bucket(struct scenario_endpoints *e, struct lab_error *err)
{
	struct lab_view rest = e->s3.host, first;

	e->s3_endpoint = e->s3.host;
	e->bucket = e->s3.bucket;
	if (e->bucket.len > 0)
		return 0;
	if (!lab_view_split(&rest, '.', &first) || first.len == 0 || rest.ptr == NULL)
		return lab_fail(err, LAB_INVALID,
			"neither bucket= nor a bucket in the host name %.*s",
			LAB_VIEW_ARG(e->s3.host));
	e->bucket = first;
	e->s3_endpoint = rest;
	return 0;
}

static const char *dict_name_at(const void *ctx, size_t i)
{
	const struct scenario *s = ctx;

	/* Names in the tree of settings end where the text goes on. */
	return i < s->dict_count ? s->dict_names[i] : NULL;
}

static int check_dictmap(const struct scenario *s, struct lab_error *err)
{
	const struct fs_uri_dictmap *dictmap = &s->endpoints.dictmap;
	char hint[CONF_HINT_MAX];

	if (!scenario_has_dictmap(&s->endpoints))
		return 0;
	if (!dictmap->proxy)
		return lab_fail(err, LAB_UNSUPPORTED,
			"dictmap: dict %.*s: only proxy: is part of oboxlab",
			LAB_VIEW_ARG(dictmap->dict_driver));
	for (size_t i = 0; i < s->dict_count; i++) {
		if (lab_view_eq(dictmap->dict_name, s->dicts[i].name))
			return 0;
	}
	return lab_fail(err, LAB_INVALID,
		"dictmap: dict %.*s is not in dict { } with driver cassandra%s",
		LAB_VIEW_ARG(dictmap->dict_name),
		conf_hint(conf_suggest(dictmap->dict_name, dict_name_at, s), hint));
}

bool scenario_is_scality(const struct scenario_endpoints *endpoints)
{
	return endpoints->flavour == FS_URI_HTTP_SPROXYD ||
	       endpoints->flavour == FS_URI_HTTP_SCALITY;
}

bool scenario_has_dictmap(const struct scenario_endpoints *endpoints)
{
	return endpoints->dictmap.parent.len > 0;
}

bool scenario_stores_paths(const struct scenario_endpoints *endpoints)
{
	return !scenario_has_dictmap(endpoints) ||
	       endpoints->dictmap.storage_passthrough_paths != FS_URI_PASSTHROUGH_NONE;
}

bool scenario_has_migrated_mails(const struct scenario_endpoints *endpoints)
{
	return endpoints->dictmap.storage_objectid_migrate;
}

/* What names an object, its row must be able to say: else nobody could compare the two. Without
 * dictmap the storage must list. */
static int check_ids(const struct scenario_endpoints *e, struct lab_error *err)
{
	bool has_prefix = e->dictmap.storage_objectid_prefix.len > 0;
	bool by_key = e->flavour == FS_URI_HTTP_SPROXYD && !e->s3.by_path;

	if (e->flavour == FS_URI_HTTP_SPROXYD && !scenario_has_dictmap(e))
		return lab_fail(err, LAB_UNSUPPORTED,
			"sproxyd lists nothing: without dictmap nobody knows which mails there "
			"are");
	if (!scenario_is_scality(e) || has_prefix != by_key)
		return 0;
	if (scenario_stores_paths(e) && !by_key)
		return 0;
	return lab_fail(err, LAB_UNSUPPORTED,
		by_key ? "sproxyd without by-path stores by object id: storage-objectid-prefix "
			 "must go"
		       : "runs with this storage need storage-objectid-prefix");
}

static int read_obox_fs(struct scenario *s, struct lab_arena *arena, struct lab_error *err)
{
	struct scenario_endpoints *e = &s->endpoints;
	struct lab_view uri, args;
	enum fs_uri_http_flavour flavour;
	int found;

	if (expand_for_probe(s->conf.obox_fs.text, arena, &uri, err) < 0)
		return -1;
	found = find_http(uri, &args, &flavour, &e->dictmap, err);
	if (found < 0)
		return -1;
	if (found == 0 || flavour == FS_URI_HTTP_OTHER)
		return lab_fail(
			err, LAB_UNSUPPORTED, "it does not end in s3, aws-s3, sproxyd or scality");
	if (fs_uri_http(args, flavour, arena, &e->s3, err) < 0)
		return -1;
	e->flavour = flavour;
	e->s3_authority = fs_uri_http_authority(&e->s3, arena);
	if (!scenario_is_scality(e) && split_bucket(e, err) < 0)
		return -1;
	if (check_ids(e, err) < 0)
		return -1;
	return check_dictmap(s, err);
}

/* The URL must say everything: nobody else knows a key or a bucket for it. */
static int check_foreign(const char *url, struct lab_arena *arena, struct lab_error *err)
{
	struct conf_http_url parsed;

	if (fs_uri_http(lab_view_cstr(url), FS_URI_HTTP_AWS_S3, arena, &parsed, err) < 0)
		return -1;
	if (parsed.user.ptr == NULL || parsed.auth_role.ptr != NULL)
		return lab_fail(err, LAB_INVALID, "the URL needs a key: http://KEY:SECRET@...");
	return parsed.bucket.len > 0 ? 0 : lab_fail(err, LAB_INVALID, "the URL needs bucket=");
}

/* 1 if there was a URL. */
static int replace_url(
	struct conf_text *text, const char *escaped, struct lab_arena *arena, struct lab_error *err)
{
	struct fs_uri_dictmap dictmap = { 0 };
	enum fs_uri_http_flavour flavour;
	struct lab_view args;
	int found = find_http(text->text, &args, &flavour, &dictmap, err);
	size_t before;

	if (found <= 0)
		return found;
	before = (size_t)(args.ptr - text->text.ptr);
	text->text = lab_view_cstr(lab_arena_printf(arena, "%.*s%s%.*s",
		LAB_VIEW_ARG(lab_view_sub(text->text, 0, before)), escaped,
		LAB_VIEW_ARG(lab_view_skip(text->text, before + args.len))));
	return 1;
}

int scenario_replace_s3(
	struct scenario *s, const char *url, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view rest = lab_view_cstr(url), part;
	const char *escaped = "";
	int found;

	if (check_foreign(url, arena, err) < 0)
		return -1;
	/* It becomes part of a text with %variables. */
	while (lab_view_split(&rest, '%', &part))
		escaped = lab_arena_printf(arena, "%s%s%.*s", escaped,
			escaped[0] == '\0' ? "" : "%%", LAB_VIEW_ARG(part));
	found = replace_url(&s->conf.obox_fs, escaped, arena, err);
	if (found == 0)
		return lab_fail(err, LAB_INVALID, "obox_fs has no URL to take its place");
	if (found < 0 || (s->conf.obox_index_fs.text.len > 0 &&
				 replace_url(&s->conf.obox_index_fs, escaped, arena, err) < 0))
		return -1;
	s->is_foreign_s3 = true;
	return 0;
}

static int add_hosts(struct lab_view hosts, struct dict_cql_connect *connect, struct lab_error *err)
{
	struct lab_view host;

	connect->host_count = 0;
	while (lab_view_split(&hosts, ',', &host)) {
		if (host.len == 0)
			return lab_fail(err, LAB_INVALID, "a host is empty");
		if (connect->host_count ==
			LAB_MIN((size_t)DICT_CQL_HOSTS_MAX, (size_t)SCENARIO_CQL_NODES_MAX))
			return lab_fail(
				err, LAB_INVALID, "more than %zu hosts", connect->host_count);
		connect->hosts[connect->host_count++] = host;
	}
	return 0;
}

int scenario_replace_cql(struct scenario *s, const struct scenario_overrides *overrides,
	struct dict_cql_connect *connect, struct lab_error *err)
{
	struct lab_view text = lab_view_cstr(overrides->cql_hosts), hosts;
	uint64_t port;

	if (!lab_view_split(&text, ':', &hosts) || hosts.len == 0 ||
		lab_view_to_u64(text, &port) < 0 || port == 0 || port > UINT16_MAX)
		return lab_fail(err, LAB_INVALID, "\"%s\" is not HOST[,HOST...]:PORT",
			overrides->cql_hosts);
	if (connect->use_tls)
		return lab_fail(err, LAB_UNSUPPORTED,
			"a cluster that is not ours is read without TLS, and the dict has ssl_");
	if (add_hosts(hosts, connect, err) < 0)
		return -1;
	connect->port = (uint16_t)port;
	if (overrides->cql_user != NULL)
		connect->user = lab_view_cstr(overrides->cql_user);
	if (overrides->cql_password != NULL)
		connect->password = lab_view_cstr(overrides->cql_password);
	s->cql.nodes = conf_range_fixed(connect->host_count);
	s->is_foreign_cql = true;
	return 0;
}

int scenario_endpoints_find(
	struct scenario *scenario, struct lab_arena *arena, struct lab_error *err)
{
	const struct conf_text *text = &scenario->conf.obox_fs;
	struct lab_error why;

	if (text->text.len == 0)
		return lab_fail(err, LAB_INVALID, "%s:1:1: obox_fs is not set", scenario->path);
	if (read_obox_fs(scenario, arena, &why) < 0)
		return conf_fail(err, text->where, "obox_fs: %s", why.message);
	return 0;
}
