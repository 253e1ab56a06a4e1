/* SPDX-License-Identifier: Apache-2.0
 *
 * documents.c - the tree below a version: what each path says (cql-imds 6.2).
 */
#include "sim/imds-emulator/imds-emulator-private.h"

#include <stdio.h> /* snprintf */

static const char *const versions[] = { "1.0", "2007-01-19", "2007-03-01", "2007-08-29",
	"2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01",
	"2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19",
	"2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01",
	"2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-09-24", "latest" };

bool imdsemu_is_version(struct lab_view name)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(versions); i++) {
		if (lab_view_eq_cstr(name, versions[i]))
			return true;
	}
	return false;
}

/* ---- error pages ---- */

const char *imdsemu_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = { { 200, "OK" }, { 301, "Moved Permanently" }, { 400, "Bad Request" },
		{ 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 411, "Length Required" }, { 413, "Request Entity Too Large" },
		{ 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" } };
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error";
}

void imdsemu_error_page(struct imdsemu_exchange *x, unsigned status)
{
	const char *reason = imdsemu_reason(status);

	lab_buf_reset(&x->body);
	lab_buf_printf(&x->body,
		"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n"
		"<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n"
		"\t\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
		"<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"
		" <head>\n  <title>%u - %s</title>\n </head>\n"
		" <body>\n  <h1>%u - %s</h1>\n </body>\n</html>\n",
		status, reason, status, reason);
}

/* ---- JSON as AWS prints it ---- */

static void member(struct imdsemu_exchange *x, const char *name, struct lab_view value)
{
	struct lab_json json;

	lab_buf_append_cstr(&x->body, x->body.len == 0 ? "{\n  \"" : ",\n  \"");
	lab_buf_append_cstr(&x->body, name);
	lab_buf_append_cstr(&x->body, "\" : ");
	lab_json_init(&json, &x->body, false);
	lab_json_view(&json, value);
}

/* "2026-11-21T12:00:00Z" */
static void member_time(struct imdsemu_exchange *x, const char *name, int64_t seconds)
{
	char text[LAB_DATE_TEXT_MAX];
	struct lab_date date;

	lab_date_from_unix(seconds, &date);
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", date.year, date.month,
		date.day, date.hour, date.minute, date.second);
	member(x, name, lab_view_cstr(text));
}

static void end_object(struct imdsemu_exchange *x)
{
	lab_buf_append_cstr(&x->body, "\n}");
}

/* ---- the role ---- */

/* `without` is left out, `late` says that it ended an hour ago. */
static void role_keys(
	struct imdsemu_exchange *x, struct lab_view role, const char *without, bool late)
{
	struct imdsemu_set set;

	imdsemu_credentials(x, role, &set);
	if (late)
		set.expires_unix = imdsemu_clock(x->imds, x->now_ns) - 3600;
	member(x, "Code", LAB_VIEW("Success"));
	member_time(x, "LastUpdated", set.issued_unix);
	member(x, "Type", LAB_VIEW("AWS-HMAC"));
	member(x, "AccessKeyId", set.credentials.access_key_id);
	if (strcmp(without, "SecretAccessKey") != 0)
		member(x, "SecretAccessKey", set.credentials.secret_access_key);
	if (strcmp(without, "Token") != 0)
		member(x, "Token", set.credentials.token);
	if (strcmp(without, "Expiration") != 0)
		member_time(x, "Expiration", set.expires_unix);
}

static void role_refused(struct imdsemu_exchange *x, struct lab_view role, const char *code)
{
	const char *message = lab_arena_printf(x->arena,
		"EC2 cannot assume the role %.*s.  Please see documentation at "
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html.",
		LAB_VIEW_ARG(role));

	member(x, "Code", lab_view_cstr(code));
	member(x, "Message", lab_view_cstr(message));
	member_time(x, "LastUpdated", imdsemu_clock(x->imds, x->now_ns));
}

static unsigned role_document(struct imdsemu_exchange *x, struct lab_view name)
{
	const struct imdsemu_role *role = lab_tree_get(x->imds->roles, name);

	if (role == NULL)
		return 404;
	switch (role->state) {
	case IMDSEMU_ROLE_OK:
		role_keys(x, name, "", false);
		break;
	case IMDSEMU_ROLE_UNAUTHORIZED:
		role_refused(x, name, "AssumeRoleUnauthorizedAccess");
		break;
	case IMDSEMU_ROLE_FAILED:
		role_refused(x, name, "Failed");
		break;
	}
	end_object(x);
	x->imds->counters.role_documents++;
	return 200;
}

static bool ends_with_slash(struct lab_view path)
{
	return path.len > 0 && path.ptr[path.len - 1] == '/';
}

static unsigned role_list(struct imdsemu_exchange *x)
{
	struct lab_tree_iter iter = lab_tree_iterate(x->imds->roles, lab_view_of(NULL, 0));
	struct lab_view name;
	void *value;

	while (lab_tree_next(&iter, &name, &value)) {
		if (x->body.len > 0)
			lab_buf_append_byte(&x->body, '\n');
		lab_buf_append_view(&x->body, name);
	}
	if (x->body.len == 0)
		return 404;
	if (!ends_with_slash(x->path))
		return 301;
	x->imds->counters.role_lists++;
	return 200;
}

static unsigned role_info(struct imdsemu_exchange *x)
{
	struct lab_tree_iter iter = lab_tree_iterate(x->imds->roles, lab_view_of(NULL, 0));
	struct lab_view name;
	const char *arn;
	void *value;

	if (!lab_tree_next(&iter, &name, &value))
		return 404;
	arn = lab_arena_printf(x->arena, "arn:aws:iam::%.*s:instance-profile/%.*s",
		LAB_VIEW_ARG(x->imds->options.account), LAB_VIEW_ARG(name));
	member(x, "Code", LAB_VIEW("Success"));
	member_time(x, "LastUpdated", imdsemu_clock(x->imds, x->now_ns));
	member(x, "InstanceProfileArn", lab_view_cstr(arn));
	member(x, "InstanceProfileId",
		lab_view_cstr(
			lab_arena_printf(x->arena, "AIPA%016" PRIX64, lab_hash_view(1, name))));
	end_object(x);
	return 200;
}

/* ---- the instance ---- */

static struct lab_view instance_id(struct imdsemu_exchange *x)
{
	return lab_view_cstr(lab_arena_printf(x->arena, "i-0%016" PRIx64, x->host->actor));
}

static struct lab_view mac(struct imdsemu_exchange *x)
{
	uint64_t n = x->host->actor;

	return lab_view_cstr(lab_arena_printf(x->arena, "06:%02x:%02x:%02x:%02x:%02x",
		(unsigned)(n & 255), (unsigned)(n >> 8 & 255), (unsigned)(n >> 16 & 255),
		(unsigned)(n >> 24 & 255), (unsigned)(n >> 32 & 255)));
}

static struct lab_view address(struct imdsemu_exchange *x)
{
	uint64_t n = x->host->actor;

	return lab_view_cstr(lab_arena_printf(x->arena, "10.%u.%u.%u", (unsigned)(n & 255),
		(unsigned)(n >> 8 & 255), (unsigned)(n >> 16 & 255)));
}

static struct lab_view zone(struct imdsemu_exchange *x)
{
	return x->zone.len > 0 ? x->zone : x->imds->options.zone;
}

static unsigned identity_document(struct imdsemu_exchange *x)
{
	member(x, "accountId", x->imds->options.account);
	member(x, "architecture", LAB_VIEW("x86_64"));
	member(x, "availabilityZone", zone(x));
	member(x, "imageId", LAB_VIEW("ami-0123456789abcdef0"));
	member(x, "instanceId", instance_id(x));
	member(x, "instanceType", LAB_VIEW("m5.large"));
	member_time(x, "pendingTime", (int64_t)(x->imds->options.epoch_unix_us / 1000000));
	member(x, "privateIp", address(x));
	member(x, "region", x->imds->options.region);
	member(x, "version", LAB_VIEW("2017-09-30"));
	end_object(x);
	return 200;
}

static unsigned text(struct imdsemu_exchange *x, struct lab_view value)
{
	lab_buf_append_view(&x->body, value);
	return 200;
}

static unsigned region(struct imdsemu_exchange *x)
{
	return text(x, x->imds->options.region);
}
static unsigned availability_zone(struct imdsemu_exchange *x)
{
	return text(x, zone(x));
}
static unsigned id(struct imdsemu_exchange *x)
{
	return text(x, instance_id(x));
}
static unsigned mac_address(struct imdsemu_exchange *x)
{
	return text(x, mac(x));
}
static unsigned local_address(struct imdsemu_exchange *x)
{
	return text(x, address(x));
}
static unsigned account_id(struct imdsemu_exchange *x)
{
	return text(x, x->imds->options.account);
}
static unsigned host_name(struct imdsemu_exchange *x)
{
	return text(x, x->host_name);
}

/* "eu-central-1" and "eu-central-1b" to "euc1-az2": AWS's short names. */
static unsigned zone_id(struct imdsemu_exchange *x)
{
	struct lab_view rest = x->imds->options.region, part, name = zone(x);
	unsigned letter = name.len > 0 ? name.ptr[name.len - 1] : 'a';

	(void)lab_view_split(&rest, '-', &part);
	lab_buf_append_view(&x->body, part);
	while (rest.ptr != NULL && lab_view_split(&rest, '-', &part)) {
		bool number = part.len > 0 && part.ptr[0] >= '0' && part.ptr[0] <= '9';

		lab_buf_append_view(&x->body, lab_view_sub(part, 0, number ? part.len : 1));
		/* "southeast" is "se". */
		if (!number && part.len > 5)
			lab_buf_append_cstr(
				&x->body, lab_view_ends_with(part, LAB_VIEW("east"))   ? "e"
					  : lab_view_ends_with(part, LAB_VIEW("west")) ? "w"
										       : "");
	}
	lab_buf_printf(&x->body, "-az%u", letter >= 'a' && letter <= 'z' ? letter - 'a' + 1 : 1);
	return 200;
}

static unsigned reservation(struct imdsemu_exchange *x)
{
	lab_buf_printf(&x->body, "r-0%016" PRIx64, lab_mix64(x->host->actor));
	return 200;
}

static unsigned mac_directory(struct imdsemu_exchange *x)
{
	lab_buf_append_view(&x->body, mac(x));
	lab_buf_append_byte(&x->body, '/');
	return 200;
}

/* "iam/" is listed only while there is a role. */
static unsigned meta_data(struct imdsemu_exchange *x)
{
	lab_buf_append_cstr(&x->body, "ami-id\nami-launch-index\nami-manifest-path\n"
				      "block-device-mapping/\nevents/\nhostname\n");
	if (lab_tree_count(x->imds->roles) > 0)
		lab_buf_append_cstr(&x->body, "iam/\n");
	lab_buf_append_cstr(&x->body,
		"instance-action\ninstance-id\ninstance-life-cycle\ninstance-type\n"
		"local-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\nprofile\n"
		"reservation-id\nsecurity-groups\nservices/\nsystem");
	return 200;
}

static unsigned iam(struct imdsemu_exchange *x)
{
	if (lab_tree_count(x->imds->roles) == 0)
		return 404;
	return text(x, LAB_VIEW("info\nsecurity-credentials/"));
}

/* ---- the tree ---- */

#define ROLES "meta-data/iam/security-credentials"
#define MACS "meta-data/network/interfaces/macs"

/* Paths below a version, without a slash at the end. A fixed text or a function. */
static const struct node {
	const char *path;
	unsigned (*make)(struct imdsemu_exchange *x);
	const char *text;
} nodes[] = {
	{ "", NULL, "dynamic\nmeta-data" },
	{ "dynamic", NULL, "fws/\ninstance-identity/" },
	{ "dynamic/fws", NULL, "instance-monitoring" },
	{ "dynamic/fws/instance-monitoring", NULL, "disabled" },
	{ "dynamic/instance-identity", NULL, "document" },
	{ "dynamic/instance-identity/document", identity_document, NULL },
	{ "meta-data", meta_data, NULL },
	{ "meta-data/ami-id", NULL, "ami-0123456789abcdef0" },
	{ "meta-data/ami-launch-index", NULL, "0" },
	{ "meta-data/ami-manifest-path", NULL, "(unknown)" },
	{ "meta-data/block-device-mapping", NULL, "ami\nroot" },
	{ "meta-data/block-device-mapping/ami", NULL, "/dev/xvda" },
	{ "meta-data/block-device-mapping/root", NULL, "/dev/xvda" },
	{ "meta-data/events", NULL, "maintenance/" },
	{ "meta-data/events/maintenance", NULL, "history\nscheduled" },
	{ "meta-data/events/maintenance/history", NULL, "[]" },
	{ "meta-data/events/maintenance/scheduled", NULL, "[]" },
	{ "meta-data/hostname", host_name, NULL },
	{ "meta-data/iam", iam, NULL },
	{ "meta-data/iam/info", role_info, NULL },
	{ ROLES, role_list, NULL },
	{ "meta-data/instance-action", NULL, "none" },
	{ "meta-data/instance-id", id, NULL },
	{ "meta-data/instance-life-cycle", NULL, "on-demand" },
	{ "meta-data/instance-type", NULL, "m5.large" },
	{ "meta-data/local-hostname", host_name, NULL },
	{ "meta-data/local-ipv4", local_address, NULL },
	{ "meta-data/mac", mac_address, NULL },
	{ "meta-data/network", NULL, "interfaces/" },
	{ "meta-data/network/interfaces", NULL, "macs/" },
	{ MACS, mac_directory, NULL },
	{ "meta-data/placement", NULL, "availability-zone\navailability-zone-id\nregion" },
	{ "meta-data/placement/availability-zone", availability_zone, NULL },
	{ "meta-data/placement/availability-zone-id", zone_id, NULL },
	{ "meta-data/placement/region", region, NULL },
	{ "meta-data/profile", NULL, "default-hvm" },
	{ "meta-data/reservation-id", reservation, NULL },
	{ "meta-data/security-groups", NULL, "default" },
	{ "meta-data/services", NULL, "domain\npartition" },
	{ "meta-data/services/domain", NULL, "amazonaws.com" },
	{ "meta-data/services/partition", NULL, "aws" },
	{ "meta-data/system", NULL, "nitro" },
};

/* Of the one interface, below its MAC. */
static const struct node interface_nodes[] = {
	{ "device-number", NULL, "0" },
	{ "local-hostname", host_name, NULL },
	{ "local-ipv4s", local_address, NULL },
	{ "mac", mac_address, NULL },
	{ "owner-id", account_id, NULL },
	{ "security-groups", NULL, "default" },
	{ "subnet-ipv4-cidr-block", NULL, "10.0.0.0/8" },
	{ "vpc-ipv4-cidr-block", NULL, "10.0.0.0/8" },
	{ "vpc-ipv4-cidr-blocks", NULL, "10.0.0.0/8" },
};

static unsigned node_answer(struct imdsemu_exchange *x, const struct node *node)
{
	return node->text != NULL ? text(x, lab_view_cstr(node->text)) : node->make(x);
}

/* "<mac>", "<mac>/name". */
static unsigned interface_document(struct imdsemu_exchange *x, struct lab_view rest)
{
	struct lab_view name;
	size_t i;

	if (!lab_view_split(&rest, '/', &name) || !lab_view_eq(name, mac(x)))
		return 404;
	for (i = 0; i < LAB_COUNT_OF(interface_nodes); i++) {
		const struct node *node = &interface_nodes[i];

		if (rest.ptr == NULL)
			lab_buf_printf(&x->body, i == 0 ? "%s" : "\n%s", node->path);
		else if (lab_view_eq_cstr(rest, node->path))
			return node_answer(x, node);
	}
	return rest.ptr == NULL ? 200 : 404;
}

/* What follows "/<version>/", without a slash at its end. -1: no such version. */
static int below_version(struct lab_view path, struct lab_view *ret)
{
	struct lab_view rest = lab_view_skip(path, 1);
	size_t slash = lab_view_find_byte(rest, '/');

	if (!imdsemu_is_version(lab_view_sub(rest, 0, slash)))
		return -1;
	rest = slash == SIZE_MAX ? lab_view_of(NULL, 0) : lab_view_skip(rest, slash + 1);
	if (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
		rest.len--;
	*ret = rest;
	return 0;
}

bool imdsemu_is_role_path(struct lab_view path)
{
	struct lab_view rest;

	if (path.len == 0 || path.ptr[0] != '/' || below_version(path, &rest) < 0)
		return false;
	return lab_view_eq_cstr(rest, ROLES) || lab_view_starts_with(rest, LAB_VIEW(ROLES "/"));
}

static unsigned version_list(struct imdsemu_exchange *x)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(versions); i++) {
		if (i > 0)
			lab_buf_append_byte(&x->body, '\n');
		lab_buf_append_cstr(&x->body, versions[i]);
	}
	return 200;
}

unsigned imdsemu_document(struct imdsemu_exchange *x)
{
	struct lab_view rest;
	size_t i;

	lab_buf_reset(&x->body);
	if (lab_view_eq_cstr(x->path, "/"))
		return version_list(x);
	if (below_version(x->path, &rest) < 0)
		return 404;
	if (lab_view_starts_with(rest, LAB_VIEW(ROLES "/")))
		return role_document(x, lab_view_skip(rest, sizeof(ROLES)));
	if (lab_view_starts_with(rest, LAB_VIEW(MACS "/")))
		return interface_document(x, lab_view_skip(rest, sizeof(MACS)));
	for (i = 0; i < LAB_COUNT_OF(nodes); i++) {
		if (lab_view_eq_cstr(rest, nodes[i].path))
			return node_answer(x, &nodes[i]);
	}
	return 404;
}

void imdsemu_document_spoil(struct imdsemu_exchange *x, const char *code)
{
	static const char *const fields[] = { "SecretAccessKey", "Token", "Expiration" };
	uint64_t draw =
		lab_draw(x->imds->options.seed, "imds.field", x->host->actor, x->host->requests);
	struct lab_view name;

	lab_buf_reset(&x->body);
	if (below_version(x->path, &name) < 0 || !lab_view_starts_with(name, LAB_VIEW(ROLES "/")))
		return;
	name = lab_view_skip(name, sizeof(ROLES));
	if (strcmp(code, "MissingField") == 0)
		role_keys(x, name, fields[lab_pick(draw, LAB_COUNT_OF(fields))], false);
	else if (strcmp(code, "ExpiredCredentials") == 0)
		role_keys(x, name, "", true);
	else
		role_refused(x, name, code);
	end_object(x);
}
