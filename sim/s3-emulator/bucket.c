/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket.c - buckets: finding, making and removing them, and what is said about them (s3 1.3).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

bool s3emu_may_use(const struct s3emu_exchange *x, const struct s3emu_bucket *bucket)
{
	return x->auth == S3EMU_AUTH_NONE || bucket->owner.len == 0 ||
	       lab_view_eq(bucket->owner, x->account);
}

int s3emu_bucket_find(struct s3emu_exchange *x)
{
	x->bucket = lab_tree_get(x->s3->buckets, x->bucket_name);
	if (x->bucket == NULL) {
		(void)s3emu_fail(x, S3EMU_NO_SUCH_BUCKET);
		s3emu_detail(x, "BucketName", x->bucket_name);
		return -1;
	}
	return s3emu_may_use(x, x->bucket)
		       ? s3emu_expected_owner(x, "x-amz-expected-bucket-owner", x->bucket)
		       : s3emu_fail(x, S3EMU_ACCESS_DENIED);
}

int s3emu_expected_owner(
	struct s3emu_exchange *x, const char *header, const struct s3emu_bucket *bucket)
{
	struct lab_view expected = s3emu_request_header(x, header);

	if (expected.ptr == NULL || bucket->owner.len == 0 ||
		lab_view_eq(lab_view_trim(expected), bucket->owner))
		return 0;
	return s3emu_fail(x, S3EMU_ACCESS_DENIED);
}

static struct lab_view own(struct s3emu *s3, struct lab_view text)
{
	uint8_t *copy = lab_heap_alloc(s3->heap, text.len);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return lab_view_of(copy, text.len);
}

static void bucket_free(struct s3emu *s3, struct s3emu_bucket *bucket)
{
	(void)lab_tree_remove(s3->buckets, bucket->name);
	s3emu_history_drop(s3, bucket);
	s3emu_partitions_free(s3, bucket);
	lab_heap_free(s3->heap, (void *)(uintptr_t)bucket->name.ptr);
	lab_heap_free(s3->heap, (void *)(uintptr_t)bucket->owner.ptr);
	lab_heap_free(s3->heap, bucket);
}

/* NULL if there are too many, or the engine cannot have it. */
struct s3emu_bucket *s3emu_bucket_new(
	struct s3emu *s3, struct lab_view name, struct lab_view owner, int64_t created_us)
{
	static const struct s3emu_partitions one_partition;
	struct s3emu_bucket *bucket;
	void **slot = lab_tree_slot(s3->buckets, name);

	if (slot == NULL)
		return NULL;
	bucket = lab_new(s3->heap, struct s3emu_bucket);
	*slot = bucket;
	bucket->name = own(s3, name);
	bucket->owner = own(s3, owner);
	bucket->created_us = created_us;
	bucket->refuse_sigv2 = true;
	s3emu_partitions_make(s3, bucket, &one_partition, &s3->options.rates);
	if (s3->engine_ops->open(s3->engine, bucket) == 0)
		return bucket;
	bucket_free(s3, bucket);
	return NULL;
}

/* ---- configuration ---- */

int s3emu_bucket_add(
	struct s3emu *s3, const struct s3emu_bucket_options *options, struct lab_error *err)
{
	const struct s3emu_rates *rates = options->rates;
	struct s3emu_bucket *bucket;

	lab_check(s3, S3EMU_MAGIC);
	if (!s3emu_bucket_name_ok(options->name)) {
		return lab_fail(err, LAB_INVALID, "'%.*s' cannot be a bucket's name",
			LAB_VIEW_ARG(options->name));
	}
	if (lab_tree_get(s3->buckets, options->name) != NULL) {
		return lab_fail(err, LAB_EXISTS, "bucket %.*s is there already",
			LAB_VIEW_ARG(options->name));
	}
	if (rates == NULL)
		rates = &s3->options.rates;
	if (s3emu_rates_check(rates, err) < 0 ||
		s3emu_partitions_check(&options->partitions, err) < 0)
		return -1;
	bucket = s3emu_bucket_new(
		s3, options->name, options->owner, (int64_t)s3->options.epoch_unix_us);
	if (bucket == NULL)
		return lab_fail(err, LAB_LIMIT,
			"S3 emulator: too many buckets, or no room to store this one");
	bucket->refuse_sigv2 = options->refuse_sigv2;
	s3emu_partitions_free(s3, bucket);
	s3emu_partitions_make(s3, bucket, &options->partitions, rates);
	return 0;
}

int s3emu_bucket_partition(struct s3emu *s3, struct lab_view name,
	const struct s3emu_partitions *partitions, const struct s3emu_rates *rates,
	struct lab_error *err)
{
	struct s3emu_bucket *bucket;
	struct s3emu_rates kept;

	lab_check(s3, S3EMU_MAGIC);
	bucket = lab_tree_get(s3->buckets, name);
	if (bucket == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "no bucket %.*s", LAB_VIEW_ARG(name));
	kept = rates != NULL ? *rates : bucket->rates;
	if (s3emu_rates_check(&kept, err) < 0 || s3emu_partitions_check(partitions, err) < 0)
		return -1;
	s3emu_partitions_free(s3, bucket);
	s3emu_partitions_make(s3, bucket, partitions, &kept);
	return 0;
}

/* Those of the configuration were there first: this one was made by a client. */
static int bucket_restore(
	struct s3emu *s3, struct s3emu_bucket_options *options, struct lab_error *err)
{
	options->refuse_sigv2 = true;
	return s3emu_bucket_add(s3, options, err);
}

int s3emu_buckets_restore(struct s3emu *s3, struct lab_error *err)
{
	struct lab_view name = lab_view_of(NULL, 0), owner;
	int more;

	lab_check(s3, S3EMU_MAGIC);
	if (s3->engine_ops->next_bucket == NULL)
		return 0;
	while ((more = s3->engine_ops->next_bucket(s3->engine, name, &name, &owner)) > 0) {
		struct s3emu_bucket_options options = { .name = own(s3, name), .owner = owner };
		int result = lab_tree_get(s3->buckets, name) != NULL
				     ? 0
				     : bucket_restore(s3, &options, err);

		name = options.name;
		if (result < 0)
			return -1;
	}
	return more == 0 ? 0 : lab_fail(err, LAB_IO, "S3 emulator: the buckets cannot be read");
}

int s3emu_empty(struct s3emu *s3, struct lab_error *err)
{
	struct lab_tree_iter iter;
	struct lab_view name;
	void *bucket;
	int result = 0;

	lab_check(s3, S3EMU_MAGIC);
	iter = lab_tree_iterate(s3->buckets, lab_view_of(NULL, 0));
	while (result == 0 && lab_tree_next(&iter, &name, &bucket)) {
		s3emu_history_drop(s3, bucket);
		result = s3->engine_ops->empty(s3->engine, bucket);
	}
	s3emu_store_begin(s3);
	return result == 0 ? 0 : lab_fail(err, LAB_IO, "S3 emulator: it cannot be emptied");
}

/* ---- PUT ---- */

struct constraint {
	struct lab_arena *arena;
	struct lab_view location;
};

static int constraint_open(void *ctx, const char *path)
{
	(void)ctx;
	return strcmp(path, "CreateBucketConfiguration") == 0 ||
			       strcmp(path, "CreateBucketConfiguration/LocationConstraint") == 0
		       ? 0
		       : -1;
}

static int constraint_close(void *ctx, const char *path, struct lab_view text)
{
	struct constraint *constraint = ctx;

	if (strcmp(path, "CreateBucketConfiguration/LocationConstraint") == 0)
		constraint->location = lab_arena_copy(constraint->arena, lab_view_trim(text));
	return 0;
}

static int check_location(struct s3emu_exchange *x)
{
	struct constraint constraint = { .arena = x->arena };
	struct s3emu_xml_handler handler = { constraint_open, constraint_close, &constraint };
	struct lab_view region = x->s3->options.region;
	bool classic = lab_view_eq_cstr(region, "us-east-1");
	const char *text;

	if (x->body.len > 0 && s3emu_xml_parse(x, x->body, &handler) < 0)
		return -1;
	if (constraint.location.len == 0 && classic)
		return 0;
	if (constraint.location.len > 0 && !classic && lab_view_eq(constraint.location, region))
		return 0;
	if (constraint.location.len > 0 && classic) {
		(void)s3emu_fail(x, S3EMU_INVALID_LOCATION_CONSTRAINT);
		s3emu_detail(x, "LocationConstraint", constraint.location);
		return -1;
	}
	text = lab_arena_printf(x->arena,
		"The %.*s location constraint is incompatible for the region specific endpoint "
		"this request was sent to.",
		LAB_VIEW_ARG(constraint.location.len > 0 ? constraint.location
							 : LAB_VIEW("unspecified")));
	return s3emu_fail_text(x, S3EMU_ILLEGAL_LOCATION_CONSTRAINT, text);
}

static void created(struct s3emu_exchange *x)
{
	char *location = lab_arena_printf(x->arena, "/%.*s", LAB_VIEW_ARG(x->bucket_name));

	x->out.response.status = 200;
	s3emu_header(x, "Location", lab_view_cstr(location));
}

/* us-east-1 answers 200 to its owner, the others 409. */
static int put_existing(struct s3emu_exchange *x, const struct s3emu_bucket *bucket)
{
	enum s3emu_error_id error = S3EMU_BUCKET_ALREADY_OWNED;

	if (bucket->owner.len > 0 && !s3emu_may_use(x, bucket))
		error = S3EMU_BUCKET_ALREADY_EXISTS;
	else if (lab_view_eq_cstr(x->s3->options.region, "us-east-1")) {
		created(x);
		return 0;
	}
	(void)s3emu_fail(x, error);
	s3emu_detail(x, "BucketName", x->bucket_name);
	return -1;
}

/* Buckets here have neither locks nor ACLs: who asks for them must not be told that they do. */
static int check_bucket_headers(struct s3emu_exchange *x)
{
	static const char ownership[] = "x-amz-object-ownership",
			  lock[] = "x-amz-bucket-object-lock-enabled";
	struct lab_view owner = s3emu_request_header(x, ownership);
	struct lab_view locked = s3emu_request_header(x, lock);
	const char *unknown = NULL;

	if (owner.ptr != NULL && !lab_view_eq_cstr(lab_view_trim(owner), "BucketOwnerEnforced"))
		unknown = ownership;
	else if (locked.ptr != NULL &&
		 !lab_view_eq_nocase(lab_view_trim(locked), LAB_VIEW("false")))
		unknown = lock;
	if (unknown == NULL)
		return s3emu_write_headers_check(x);
	(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
	s3emu_detail(x, "Header", lab_view_cstr(unknown));
	return -1;
}

int s3emu_put_bucket(struct s3emu_exchange *x)
{
	struct s3emu_bucket *bucket = lab_tree_get(x->s3->buckets, x->bucket_name);
	struct s3emu_checksum checksum;
	uint8_t md5[16];

	if (s3emu_body_check(x, false, md5, &checksum) < 0 || check_bucket_headers(x) < 0 ||
		check_location(x) < 0)
		return -1;
	if (bucket != NULL)
		return put_existing(x, bucket);
	if (s3emu_bucket_new(x->s3, x->bucket_name, x->account, s3emu_wall_us(x)) == NULL)
		return s3emu_fail(x, S3EMU_TOO_MANY_BUCKETS);
	x->applied = true;
	created(x);
	return 0;
}

/* ---- the rest ---- */

int s3emu_head_bucket(struct s3emu_exchange *x)
{
	x->out.response.status = 200;
	s3emu_header(x, "x-amz-bucket-region", x->s3->options.region);
	s3emu_header(x, "Content-Type", LAB_VIEW("application/xml"));
	return 0;
}

int s3emu_delete_bucket(struct s3emu_exchange *x)
{
	struct s3emu_object *object;
	struct lab_view key;

	if (x->s3->engine_ops->next(x->s3->engine, x->bucket, S3EMU_SPACE_OBJECTS,
		    lab_view_of(NULL, 0), false, &key, &object) == 1) {
		s3emu_object_unref(x->s3, object);
		(void)s3emu_fail(x, S3EMU_BUCKET_NOT_EMPTY);
		s3emu_detail(x, "BucketName", x->bucket_name);
		return -1;
	}
	/* A failure is the answer already. */
	if (x->s3->engine_ops->close(x->s3->engine, x->bucket) < 0)
		return -1;
	bucket_free(x->s3, x->bucket);
	x->bucket = NULL;
	x->applied = true;
	x->out.response.status = 204;
	return 0;
}

int s3emu_location(struct s3emu_exchange *x)
{
	s3emu_xml_begin(x, "LocationConstraint");
	if (!lab_view_eq_cstr(x->s3->options.region, "us-east-1"))
		lab_buf_append_xml(&x->xml, x->s3->options.region);
	return s3emu_xml_end(x, "LocationConstraint");
}

int s3emu_unavailable(struct s3emu_exchange *x)
{
	const char *type = x->key.len > 0           ? "OBJECT"
			   : x->bucket_name.len > 0 ? "BUCKET"
						    : "SERVICE";

	(void)s3emu_fail(x, x->unavailable);
	if (x->unavailable == S3EMU_METHOD_NOT_ALLOWED ||
		x->unavailable == S3EMU_ACCESS_FORBIDDEN) {
		s3emu_detail(x, "Method", x->request->method);
		s3emu_detail(x, "ResourceType", lab_view_cstr(type));
	} else if (x->bucket_name.len > 0) {
		s3emu_detail(x, "BucketName", x->bucket_name);
	}
	return -1;
}
