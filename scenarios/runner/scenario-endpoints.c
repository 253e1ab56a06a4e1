/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-endpoints.c - where the operator's settings say that S3 and IMDS are.
 */
#include "scenarios/runner/scenario-private.h"

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
			result = fs_uri_compress(args, &compress, err);
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
static int split_bucket(struct scenario_endpoints *e, const char *path, struct lab_error *err)
{
	struct lab_view rest = e->s3.host, first;

	e->s3_endpoint = e->s3.host;
	e->bucket = e->s3.bucket;
	if (e->bucket.len > 0)
		return 0;
	if (!lab_view_split(&rest, '.', &first) || first.len == 0 || rest.ptr == NULL)
		return lab_fail(err, LAB_INVALID,
			"%s: obox_fs: neither bucket= nor a bucket in the host name %.*s", path,
			LAB_VIEW_ARG(e->s3.host));
	e->bucket = first;
	e->s3_endpoint = rest;
	return 0;
}

int scenario_endpoints_find(
	struct scenario *scenario, struct lab_arena *arena, struct lab_error *err)
{
	struct scenario_endpoints *e = &scenario->endpoints;
	struct lab_view uri, args;
	enum fs_uri_http_flavour flavour;
	int found;

	if (scenario->conf.obox_fs.text.len == 0)
		return lab_fail(err, LAB_INVALID, "%s: obox_fs is not set", scenario->path);
	if (expand_for_probe(scenario->conf.obox_fs.text, arena, &uri, err) < 0)
		return lab_error_wrap(err, "obox_fs");
	found = find_http(uri, &args, &flavour, &e->dictmap, err);
	if (found < 0)
		return lab_error_wrap(err, "obox_fs");
	if (found == 0 || (flavour != FS_URI_HTTP_S3 && flavour != FS_URI_HTTP_AWS_S3))
		return lab_fail(err, LAB_UNSUPPORTED, "%s: obox_fs does not end in s3 or aws-s3",
			scenario->path);
	if (fs_uri_http(args, flavour, arena, &e->s3, err) < 0)
		return lab_error_wrap(err, "obox_fs");
	e->s3_authority = fs_uri_http_authority(&e->s3, arena);
	return split_bucket(e, scenario->path, err);
}
