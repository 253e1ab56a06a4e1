/* SPDX-License-Identifier: Apache-2.0
 *
 * place.c - objects that are there before anybody asked for them, or no more.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

int s3emu_object_place(struct s3emu *s3, struct lab_view bucket, struct lab_view key,
	const struct lab_http_header *headers, size_t header_count, struct lab_view body,
	int64_t modified_us, struct lab_error *err)
{
	struct s3emu_bucket *found = lab_tree_get(s3->buckets, bucket);
	struct s3emu_content content = { .headers = headers, .header_count = header_count };
	struct s3emu_blob *blob;
	struct s3emu_object *object = NULL;
	uint8_t md5[LAB_DIGEST_MAX];

	lab_check(s3, S3EMU_MAGIC);
	if (found == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "no bucket %.*s", LAB_VIEW_ARG(bucket));
	blob = s3emu_blob_new(s3, body);
	if (blob != NULL)
		object = s3emu_object_new(s3, blob, key.len, &content);
	if (object == NULL) {
		if (blob != NULL)
			s3emu_blob_unref(s3, blob);
		return lab_fail(err, LAB_LIMIT, "S3 has no room for %.*s", LAB_VIEW_ARG(key));
	}
	s3emu_digest(s3, body, md5);
	s3emu_object_digest_set(object, md5);
	object->modified_us = modified_us;
	if (s3emu_store_put(s3, found, key, object) >= 0)
		return 0;
	s3emu_object_unref(s3, object);
	return lab_fail(err, LAB_LIMIT, "S3 has no room for %.*s", LAB_VIEW_ARG(key));
}

int s3emu_object_take_away(struct s3emu *s3, struct lab_view bucket, struct lab_view key)
{
	struct s3emu_bucket *found = lab_tree_get(s3->buckets, bucket);

	lab_check(s3, S3EMU_MAGIC);
	return found != NULL && s3emu_store_remove(s3, found, key) > 0;
}
