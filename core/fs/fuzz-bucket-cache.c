/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a bucket-cache file: never out of bounds, and what is believed is written back so
 * that it is believed again and written the same.
 */
#include "core/fs/fs-dictmap-private.h"
#include "core/dict/dict-private.h"
#include "core/fs/testing/one-file-env.h"

#define GUID "00d7d12ea08a3153175e0000dfbea952"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_lookup(struct dict *dict, struct lab_view key, struct lab_arena *arena,
	struct dict_values *ret, struct lab_error *err)
{
	(void)dict, (void)key, (void)arena, (void)ret;
	return lab_fail(err, LAB_UNAVAILABLE, "no dict");
}

/* A lease for a bucket above 0 is not to be had. */
static int no_commit(struct dict *dict, const struct dict_change *changes, size_t count,
	const struct dict_change_options *options, struct lab_error *err)
{
	(void)dict, (void)changes, (void)count, (void)options;
	return lab_fail(err, LAB_UNAVAILABLE, "no dict");
}

/* Reads the file, uses it a little if asked to, and writes it. */
static void use(struct one_file_env *one, bool reserve)
{
	static const struct dict_ops ops = { .lookup = no_lookup, .commit = no_commit };
	struct dict dict = { &ops, &one->env };
	struct dictmap_fs fs = { .dict = &dict };
	struct lab_error err;
	uint32_t bucket;

	fs.fs.settings.env = &one->env;
	fs.fs.settings.username = "user";
	fs.conf.bucket_size = 10;
	fs.conf.bucket_deleted_days = 11;
	fs.conf.bucket_cache = LAB_VIEW("/cache");
	dictmap_buckets_new(&fs);
	dictmap_bucket_deleted(&fs, LAB_VIEW("nobody"), 0);
	if (reserve && dictmap_bucket_reserve(&fs, LAB_VIEW(GUID), &bucket, &err) == 0) {
		lab_assert(bucket <= DICTMAP_BUCKETS_MAX);
		dictmap_bucket_deleted(&fs, LAB_VIEW(GUID), bucket);
	}
	dictmap_buckets_free(&fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	static struct one_file_env one;
	static uint8_t first[ONE_FILE_MAX];
	struct lab_heap *heap;
	size_t len;

	if (pool == NULL)
		pool = lab_pool_new(256u << 20);
	if (size > ONE_FILE_MAX / 2)
		return 0;
	heap = lab_heap_new(pool, 128u << 20);
	one_file_init(&one, heap);
	memcpy(one.bytes, data, size);
	one.len = size;
	use(&one, true);
	len = one.len;
	memcpy(first, one.bytes, len);
	use(&one, false);
	lab_assert(len == one.len && memcmp(first, one.bytes, len) == 0);
	lab_assert(lab_heap_used(heap) == 0);
	lab_heap_drop(&heap);
	return 0;
}
