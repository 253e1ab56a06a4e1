/* SPDX-License-Identifier: Apache-2.0
 *
 * route.c - which operation a request asks for, by method, bucket, key and query (s3 1.3).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

enum method {
	GET,
	HEAD,
	PUT,
	DELETE,
	POST,
	OPTIONS,
	OTHER
};

/* Sub-resources that are there, beside the configurations of buckets (subresource.c). */
static const struct route {
	const char *param;
	bool object;
	enum method method;
	enum s3emu_op op;
} routes[] = {
	{ "acl", true, GET, S3EMU_OP_OBJECT_CONFIG },
	{ "attributes", true, GET, S3EMU_OP_ATTRIBUTES },
	{ "delete", false, POST, S3EMU_OP_BULK_DELETE },
	{ "legal-hold", true, GET, S3EMU_OP_OBJECT_CONFIG },
	{ "legal-hold", true, PUT, S3EMU_OP_OBJECT_CONFIG },
	{ "location", false, GET, S3EMU_OP_LOCATION },
	{ "partNumber", true, PUT, S3EMU_OP_UPLOAD_PART },
	{ "restore", true, POST, S3EMU_OP_OBJECT_CONFIG },
	{ "retention", true, GET, S3EMU_OP_OBJECT_CONFIG },
	{ "retention", true, PUT, S3EMU_OP_OBJECT_CONFIG },
	{ "tagging", true, DELETE, S3EMU_OP_DELETE_TAGGING },
	{ "tagging", true, GET, S3EMU_OP_GET_TAGGING },
	{ "tagging", true, PUT, S3EMU_OP_PUT_TAGGING },
	{ "uploadId", true, DELETE, S3EMU_OP_ABORT_UPLOAD },
	{ "uploadId", true, GET, S3EMU_OP_LIST_PARTS },
	{ "uploadId", true, POST, S3EMU_OP_COMPLETE_UPLOAD },
	{ "uploadId", true, PUT, S3EMU_OP_UPLOAD_PART },
	{ "uploads", false, GET, S3EMU_OP_LIST_UPLOADS },
	{ "uploads", true, POST, S3EMU_OP_CREATE_UPLOAD },
	{ "versions", false, GET, S3EMU_OP_LIST_VERSIONS },
};

/* Parameters that make a request one about something else than the bucket or the object itself:
 * what we do not know of them is never answered as if it were not there. */
static const char *const subresources[] = { "abac", "accelerate", "acl", "analytics", "attributes",
	"cors", "delete", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "location", "logging", "metadataConfiguration", "metadataInventoryTable",
	"metadataJournalTable", "metadataTable", "metrics", "notification", "object-lock",
	"ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject",
	"replication", "requestPayment", "restore", "retention", "select", "session", "tagging",
	"torrent", "uploadId", "uploads", "versioning", "versions", "website" };

static const char *subresource_find(struct lab_view name)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(subresources); i++) {
		if (lab_view_eq_cstr(name, subresources[i]))
			return subresources[i];
	}
	return NULL;
}

static void unavailable(struct s3emu_exchange *x, enum s3emu_error_id why)
{
	x->op = S3EMU_OP_UNAVAILABLE;
	x->unavailable = why;
}

static enum method method_of(struct lab_view name)
{
	static const char *const names[] = { "GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS" };
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(names); i++) {
		if (lab_view_eq_cstr(name, names[i]))
			return (enum method)i;
	}
	return OTHER;
}

static bool find_route(struct s3emu_exchange *x, enum method method, const char *param)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(routes); i++) {
		const struct route *route = &routes[i];

		if (route->method == method && route->object == (x->key.len > 0) &&
			strcmp(param, route->param) == 0) {
			x->op = route->op;
			return true;
		}
	}
	return false;
}

/* 1 and x->subresource, if the query names one; 0; -1 if it names several. */
static int find_subresource(struct s3emu_exchange *x)
{
	const char *name;
	size_t i;

	x->subresource = NULL;
	for (i = 0; i < x->param_count; i++) {
		name = subresource_find(x->params[i].name);
		if (name == NULL || name == x->subresource)
			continue;
		if (x->subresource != NULL) {
			return s3emu_fail_argument(x, "ResourceType", lab_view_cstr(x->subresource),
				lab_arena_printf(x->arena,
					"Conflicting query string parameters: %s, %s",
					x->subresource, name));
		}
		x->subresource = name;
	}
	return x->subresource != NULL;
}

static void route_subresource(struct s3emu_exchange *x, enum method method)
{
	bool acl = strcmp(x->subresource, "acl") == 0;

	if (find_route(x, method, x->subresource))
		return;
	if (method == GET && x->key.len == 0 && s3emu_has_config(x->subresource))
		x->op = S3EMU_OP_BUCKET_CONFIG;
	else if (method == OPTIONS)
		unavailable(x, S3EMU_ACCESS_FORBIDDEN);
	else if (method == HEAD || method == OTHER || strcmp(x->subresource, "delete") == 0)
		unavailable(x, S3EMU_METHOD_NOT_ALLOWED);
	else
		unavailable(
			x, method == PUT && acl ? S3EMU_ACL_NOT_SUPPORTED : S3EMU_NOT_IMPLEMENTED);
}

static void route_object(struct s3emu_exchange *x, enum method method)
{
	if (method == GET)
		x->op = S3EMU_OP_GET_OBJECT;
	else if (method == HEAD)
		x->op = S3EMU_OP_HEAD_OBJECT;
	else if (method == DELETE)
		x->op = S3EMU_OP_DELETE_OBJECT;
	else if (method == PUT)
		x->op = S3EMU_OP_PUT_OBJECT;
	else
		unavailable(
			x, method == OPTIONS ? S3EMU_ACCESS_FORBIDDEN : S3EMU_METHOD_NOT_ALLOWED);
}

static void route_bucket(struct s3emu_exchange *x, enum method method)
{
	if (method == GET)
		x->op = S3EMU_OP_LIST_OBJECTS;
	else if (method == HEAD)
		x->op = S3EMU_OP_HEAD_BUCKET;
	else if (method == PUT)
		x->op = S3EMU_OP_PUT_BUCKET;
	else if (method == DELETE)
		x->op = S3EMU_OP_DELETE_BUCKET;
	else if (method == POST) /* browser upload */
		unavailable(x, S3EMU_NOT_IMPLEMENTED);
	else
		unavailable(
			x, method == OPTIONS ? S3EMU_ACCESS_FORBIDDEN : S3EMU_METHOD_NOT_ALLOWED);
}

static void route_copy(struct s3emu_exchange *x)
{
	if (s3emu_request_header(x, "x-amz-copy-source").ptr == NULL)
		return;
	if (x->op == S3EMU_OP_PUT_OBJECT)
		x->op = S3EMU_OP_COPY_OBJECT;
	else if (x->op == S3EMU_OP_UPLOAD_PART)
		x->op = S3EMU_OP_UPLOAD_PART_COPY;
}

/* Of a bucket, or of an object in it. */
static int route_resource(struct s3emu_exchange *x, enum method method)
{
	int found = x->param_count > 0 ? find_subresource(x) : 0;

	if (found < 0)
		return -1;
	if (found > 0)
		route_subresource(x, method);
	else if (x->key.len == 0)
		route_bucket(x, method);
	else if (x->param_count == 0 || s3emu_param(x, "partNumber") == NULL ||
		 !find_route(x, method, "partNumber"))
		route_object(x, method);
	if (method == PUT)
		route_copy(x);
	return 0;
}

int s3emu_route(struct s3emu_exchange *x)
{
	enum method method = method_of(x->request->method);

	if (x->bucket_name.ptr != NULL)
		return route_resource(x, method);
	if (method == GET)
		x->op = S3EMU_OP_LIST_BUCKETS;
	else
		unavailable(x, S3EMU_METHOD_NOT_ALLOWED);
	return 0;
}
