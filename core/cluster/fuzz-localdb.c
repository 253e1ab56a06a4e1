/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as LocalDB's file: never out of bounds, and what is believed is written so that it is
 * believed again. Input that begins with 'B' is a list of records without their heads (length in
 * two bytes, then so many), which are given good checksums: to come as far as the rows.
 */
#include "core/cluster/localdb.h"
#include "core/base/crc.h"
#include "core/fs/testing/one-file-env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_file(struct one_file_env *one, struct lab_view input)
{
	struct lab_reader reader = { .rest = input };
	struct lab_buf out;

	lab_buf_init(&out, one->env.heap, ONE_FILE_MAX);
	lab_buf_append_cstr(&out, "LABLDB1\n");
	while (reader.rest.len > 2) {
		struct lab_view body =
			lab_read_view(&reader, LAB_MIN(lab_read_u16(&reader), reader.rest.len));

		lab_buf_append_u32(&out, (uint32_t)body.len);
		lab_buf_append_u32(&out, (uint32_t)lab_crc(LAB_CRC32C, 0, body));
		lab_buf_append_view(&out, body);
	}
	memcpy(one->bytes, out.data, out.len);
	one->len = out.len;
	lab_buf_done(&out);
}

/* What it says about some names that may be in it. */
static uint64_t look(struct one_file_env *one, struct localdb *db)
{
	struct lab_arena *arena = lab_arena_new(one->env.heap, 1u << 20);
	struct cluster_user user = { .username = LAB_VIEW("u") };
	struct cluster_group group = { .name = LAB_VIEW("g") };
	struct cluster_id to = { { 0 } };
	uint64_t seen = localdb_count(db);

	seen = seen * 2 + (uint64_t)localdb_get_user(db, &user, ENV_FOREVER, arena);
	seen = seen * 2 + (uint64_t)localdb_get_group(db, &group, ENV_FOREVER, arena);
	seen = seen * 2 + (uint64_t)localdb_group_went(db, LAB_VIEW("g"), &to);
	seen = seen * 2 + localdb_was_moved(db, LAB_VIEW("g"), LAB_VIEW("m"), LAB_VIEW("u"));
	lab_arena_free(&arena);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	static struct one_file_env one;
	struct localdb_settings settings;
	struct lab_heap *heap;
	struct localdb *db;
	uint64_t seen;

	if (pool == NULL)
		pool = lab_pool_new(256u << 20);
	if (size > ONE_FILE_MAX / 2)
		return 0;
	heap = lab_heap_new(pool, 128u << 20);
	one_file_init(&one, heap);
	if (size > 0 && data[0] == 'B') {
		make_file(&one, lab_view_of(data + 1, size - 1));
	} else if (size > 0) {
		memcpy(one.bytes, data, size);
		one.len = size;
	}
	one.exists = true;
	localdb_settings_defaults(&settings);
	settings.path = "/localdb";
	settings.entries_max = 1000;
	settings.file_max_bytes = ONE_FILE_MAX;
	db = localdb_new(&one.env, &settings);
	seen = look(&one, db);
	localdb_free(&db);
	db = localdb_new(&one.env, &settings);
	lab_assert(look(&one, db) == seen);
	(void)localdb_mark_group(db, LAB_VIEW("g"), (struct cluster_id){ { 1 } }, NULL);
	localdb_free(&db);
	lab_heap_drop(&heap);
	return 0;
}
