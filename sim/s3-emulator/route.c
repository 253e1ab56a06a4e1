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

/* Sub-resources that are there. */
static const struct route {
	const char *param;
	bool object;
	enum method method;
	enum s3emu_op op;
} routes[] = {
	{ "delete", false, POST, S3EMU_OP_BULK_DELETE },
	{ "location", false, GET, S3EMU_OP_LOCATION },
	{ "partNumber", true, PUT, S3EMU_OP_UPLOAD_PART },
	{ "uploadId", true, DELETE, S3EMU_OP_ABORT_UPLOAD },
	{ "uploadId", true, GET, S3EMU_OP_LIST_PARTS },
	{ "uploadId", true, POST, S3EMU_OP_COMPLETE_UPLOAD },
	{ "uploadId", true, PUT, S3EMU_OP_UPLOAD_PART },
	{ "uploads", false, GET, S3EMU_OP_LIST_UPLOADS },
	{ "uploads", true, POST, S3EMU_OP_CREATE_UPLOAD },
	{ "versions", false, GET, S3EMU_OP_LIST_VERSIONS },
};

/* Sub-resources that are not. AWS answers a GET of some of them with a code of its own on a bucket
 * that was never configured; all the rest is NotImplemented. */
static const struct subresource {
	const char *name;
	enum s3emu_error_id on_get;
} subresources[] = {
	{ "accelerate", S3EMU_NOT_IMPLEMENTED },
	{ "acl", S3EMU_NOT_IMPLEMENTED },
	{ "analytics", S3EMU_NOT_IMPLEMENTED },
	{ "attributes", S3EMU_NOT_IMPLEMENTED },
	{ "cors", S3EMU_NO_SUCH_CORS },
	{ "encryption", S3EMU_ENCRYPTION_NOT_FOUND },
	{ "intelligent-tiering", S3EMU_NOT_IMPLEMENTED },
	{ "inventory", S3EMU_NOT_IMPLEMENTED },
	{ "legal-hold", S3EMU_NOT_IMPLEMENTED },
	{ "lifecycle", S3EMU_NO_SUCH_LIFECYCLE },
	{ "logging", S3EMU_NOT_IMPLEMENTED },
	{ "metrics", S3EMU_NOT_IMPLEMENTED },
	{ "notification", S3EMU_NOT_IMPLEMENTED },
	{ "object-lock", S3EMU_OBJECT_LOCK_NOT_FOUND },
	{ "ownershipControls", S3EMU_OWNERSHIP_NOT_FOUND },
	{ "policy", S3EMU_NO_SUCH_BUCKET_POLICY },
	{ "policyStatus", S3EMU_NO_SUCH_BUCKET_POLICY },
	{ "publicAccessBlock", S3EMU_NO_SUCH_PUBLIC_ACCESS_BLOCK },
	{ "replication", S3EMU_REPLICATION_NOT_FOUND },
	{ "requestPayment", S3EMU_NOT_IMPLEMENTED },
	{ "restore", S3EMU_NOT_IMPLEMENTED },
	{ "retention", S3EMU_NOT_IMPLEMENTED },
	{ "select", S3EMU_NOT_IMPLEMENTED },
	{ "tagging", S3EMU_NO_SUCH_TAG_SET },
	{ "torrent", S3EMU_NOT_IMPLEMENTED },
	{ "uploadId", S3EMU_METHOD_NOT_ALLOWED },
	{ "uploads", S3EMU_NOT_IMPLEMENTED },
	{ "versioning", S3EMU_NOT_IMPLEMENTED },
	{ "versions", S3EMU_NOT_IMPLEMENTED },
	{ "website", S3EMU_NO_SUCH_WEBSITE },
};

static const struct subresource *subresource_find(struct lab_view name)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(subresources); i++) {
		if (lab_view_eq_cstr(name, subresources[i].name))
			return &subresources[i];
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

static bool find_route(struct s3emu_exchange *x, enum method method, struct lab_view param)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(routes); i++) {
		const struct route *route = &routes[i];

		if (route->method == method && route->object == (x->key.len > 0) &&
			lab_view_eq_cstr(param, route->param)) {
			x->op = route->op;
			return true;
		}
	}
	return false;
}

/* The sub-resource that the query names, if it names one. */
static bool route_subresource(struct s3emu_exchange *x, enum method method)
{
	const struct subresource *sub;
	size_t i;

	for (i = 0; i < x->param_count; i++) {
		if (find_route(x, method, x->params[i].name))
			return true;
		sub = subresource_find(x->params[i].name);
		if (sub == NULL)
			continue;
		/* A bucket's configuration is missing; an object's feature is not there. */
		if (method == HEAD || method == OTHER)
			unavailable(x, S3EMU_METHOD_NOT_ALLOWED);
		else if (method == GET && x->key.len == 0)
			unavailable(x, sub->on_get);
		else
			unavailable(x, S3EMU_NOT_IMPLEMENTED);
		return true;
	}
	return false;
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

void s3emu_route(struct s3emu_exchange *x)
{
	enum method method = method_of(x->request->method);

	if (x->bucket_name.ptr == NULL) {
		if (method == GET)
			x->op = S3EMU_OP_LIST_BUCKETS;
		else
			unavailable(x, S3EMU_METHOD_NOT_ALLOWED);
	} else if (x->param_count == 0 || !route_subresource(x, method)) {
		if (x->key.len > 0)
			route_object(x, method);
		else
			route_bucket(x, method);
	}
	if (method == PUT)
		route_copy(x);
}
