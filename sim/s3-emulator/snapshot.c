/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.c - what an oracle sees of the store.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

static void fill(
	struct s3emu_object_info *info, struct lab_view key, const struct s3emu_object *object)
{
	struct lab_view etag = s3emu_object_etag(object);

	info->key = key;
	info->size = object->size;
	info->etag = lab_view_sub(etag, 1, etag.len - 2);
	info->modified_unix_us = object->modified_us;
	info->headers = object->headers;
	info->header_count = object->header_count;
	info->body = s3emu_object_body(object);
	info->body_hash = object->body_hash;
	info->creations = object->creations;
	info->overwritten = object->overwritten;
}

int s3emu_objects(struct s3emu *s3, struct lab_view bucket, struct lab_view from,
	struct s3emu_iter *ret, struct lab_error *err)
{
	void *found;

	lab_check(s3, S3EMU_MAGIC);
	found = lab_tree_get(s3->buckets, bucket);
	if (found == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "no bucket %.*s", LAB_VIEW_ARG(bucket));
	*ret = (struct s3emu_iter){ s3, found, from, false };
	return 0;
}

bool s3emu_objects_next(struct s3emu_iter *iter, struct s3emu_object_info *ret)
{
	struct s3emu *s3 = iter->s3;
	struct s3emu_object *object;
	struct lab_view key;

	lab_check(s3, S3EMU_MAGIC);
	if (s3->engine_ops->next(s3->engine, iter->bucket, S3EMU_SPACE_OBJECTS, iter->next,
		    iter->after, &key, &object) == 0)
		return false;
	fill(ret, key, object);
	s3emu_store_show(s3, object);
	iter->next = key;
	iter->after = true;
	return true;
}

int s3emu_object_find(struct s3emu *s3, struct lab_view bucket, struct lab_view key,
	struct s3emu_object_info *ret)
{
	struct s3emu_object *object;
	struct s3emu_bucket *found;

	lab_check(s3, S3EMU_MAGIC);
	found = lab_tree_get(s3->buckets, bucket);
	if (found == NULL || s3emu_store_get(s3, found, key, &object) == 0)
		return 0;
	fill(ret, key, object);
	s3emu_store_show(s3, object);
	return 1;
}

bool s3emu_bucket_next(struct s3emu *s3, struct lab_view previous, struct lab_view *ret_name)
{
	struct lab_tree_iter iter = lab_tree_iterate(s3->buckets, previous);
	struct lab_view name;
	void *value;

	lab_check(s3, S3EMU_MAGIC);
	while (lab_tree_next(&iter, &name, &value)) {
		if (previous.len > 0 && lab_view_eq(name, previous))
			continue;
		*ret_name = name;
		return true;
	}
	return false;
}

size_t s3emu_partition_count(struct s3emu *s3, struct lab_view bucket)
{
	const struct s3emu_bucket *found;

	lab_check(s3, S3EMU_MAGIC);
	found = lab_tree_get(s3->buckets, bucket);
	return found == NULL ? 0 : found->partition_count;
}

bool s3emu_partition_at(
	struct s3emu *s3, struct lab_view bucket, size_t index, struct s3emu_partition_info *ret)
{
	const struct s3emu_partition *partition;

	if (index >= s3emu_partition_count(s3, bucket))
		return false;
	partition = &((struct s3emu_bucket *)lab_tree_get(s3->buckets, bucket))->partitions[index];
	*ret = (struct s3emu_partition_info){ .start = partition->start,
		.is_split = partition->is_split,
		.since_ns = partition->since_ns,
		.accepted_writes = partition->accepted_writes,
		.accepted_reads = partition->accepted_reads,
		.refused = partition->refused };
	return true;
}
