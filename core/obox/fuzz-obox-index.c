/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the log of a folder's index: never out of bounds; what is believed has sorted,
 * unique UIDs and names, and is believed again after a clean stop.
 *
 * The first byte says how the rest is meant: as the file itself, or as records (a length, that many
 * bytes) to be given the hashes without which nothing would get past the first check.
 */
#include "core/fs/testing/one-file-env.h"
#include "core/obox/obox-private.h"

#define SEED UINT64_C(0x6f626f7869647831) /* as in obox-index.c */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_header(struct lab_buf *out)
{
	lab_buf_append_cstr(out, "oboxidx2");
	lab_buf_append_u32(out, 2);
	lab_buf_append_u32(out, 1000);
	lab_buf_append_u64(out, 77);
	lab_buf_append_u64(out, lab_hash_bytes(SEED, out->data, 24));
}

static void put_records(struct lab_buf *out, struct lab_view rest)
{
	while (rest.len > 0) {
		struct lab_view record = lab_view_sub(rest, 1, rest.ptr[0]);

		lab_buf_append_u32(out, (uint32_t)record.len);
		lab_buf_append_view(out, record);
		lab_buf_append_u64(out, lab_hash_view(SEED, record));
		rest = lab_view_skip(rest, 1 + record.len);
	}
}

static void check(const struct obox_index *index)
{
	const struct obox_state *state = index->state;

	lab_assert(lab_map_count(state->by_name) == state->count);
	for (size_t i = 0; i < state->count; i++) {
		const struct obox_mail *mail = &state->records[i].mail;

		lab_assert(mail->uid > 0 && mail->uid < state->next_uid);
		lab_assert(i == 0 || state->records[i - 1].mail.uid < mail->uid);
		lab_assert(mail->oid_len <= OBOX_OID_BYTES_MAX);
		lab_assert(obox_index_find(index, mail->uid) == mail);
		lab_assert(obox_index_find_name(index, mail->name) == mail);
	}
}

static void open_twice(struct one_file_env *one)
{
	struct obox_index index, again;
	struct obox_mail mail = { .name = { 1, 2, 3 }, .oid_len = 17 };
	uint32_t uidvalidity, next_uid;
	size_t count;
	bool trusted;

	obox_index_open(&index, &one->env, "/index", &trusted);
	obox_index_settle(&index, 0);
	check(&index);
	if (index.state->next_uid < UINT32_MAX)
		obox_index_expunge(&index, &(uint32_t){ obox_index_append(&index, &mail) }, 1);
	check(&index);
	uidvalidity = index.state->uidvalidity;
	next_uid = index.state->next_uid;
	count = index.state->count;
	obox_index_close(&index, LAB_VIEW("kept"));
	obox_index_open(&again, &one->env, "/index", &trusted);
	lab_assert(trusted && again.state->count == count);
	lab_assert(again.kept_len == 4 && memcmp(again.kept, "kept", 4) == 0);
	lab_assert(again.state->uidvalidity == uidvalidity);
	lab_assert(again.state->next_uid == next_uid);
	check(&again);
	obox_index_close(&again, LAB_VIEW(""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	static struct one_file_env one;
	struct lab_view rest = lab_view_of(data, size);
	struct lab_heap *heap;
	struct lab_buf file;

	if (pool == NULL)
		pool = lab_pool_new(256u << 20);
	if (size == 0 || size > 4096)
		return 0;
	heap = lab_heap_new(pool, 128u << 20);
	one_file_init(&one, heap);
	lab_buf_init(&file, heap, ONE_FILE_MAX);
	if (data[0] % 2 == 0)
		put_header(&file);
	if (data[0] % 2 == 0)
		put_records(&file, lab_view_skip(rest, 1));
	else
		lab_buf_append_view(&file, lab_view_skip(rest, 1));
	lab_assert(!file.overflow);
	memcpy(one.bytes, file.data == NULL ? (const uint8_t *)"" : file.data, file.len);
	one.len = file.len;
	lab_buf_done(&file);
	open_twice(&one);
	lab_assert(lab_heap_used(heap) == 0);
	lab_heap_drop(&heap);
	return 0;
}
