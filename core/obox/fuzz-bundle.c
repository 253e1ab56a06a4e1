/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a bundle, as the index of a folder, and as changes of one: never out of bounds, and
 * what is believed can be written, read and merged.
 *
 * The first byte says what they are: 0 an archive (its checksums are put right first, or nothing
 * would get past them); 1 two indexes, the length of the first in two bytes; 2 an index and changes
 * to be told over it, or another index, whose merge is told as changes.
 */
#include "core/base/base.h"
#include "core/obox/bundle.h"
#include "core/obox/index-state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab_heap *heap;

static void check(const struct obox_state *state)
{
	struct obox_state *again;
	struct lab_buf bytes, bytes_again;

	for (size_t i = 0; i < state->count; i++) {
		const struct obox_record *record = &state->records[i];

		lab_assert(record->mail.uid > 0 && record->mail.uid < state->next_uid);
		lab_assert(i == 0 || state->records[i - 1].mail.uid < record->mail.uid);
		lab_assert(record->modseq <= state->highest_modseq);
		lab_assert(obox_state_find_name(state, record->mail.name) == record);
		(void)obox_record_has_flag(record, OBOX_SEEN);
	}
	lab_buf_init(&bytes, heap, 1u << 20);
	lab_buf_init(&bytes_again, heap, 1u << 20);
	obox_state_encode(state, &bytes);
	lab_assert(obox_state_decode(heap, lab_buf_view(&bytes), &again, NULL) == 0);
	obox_state_encode(again, &bytes_again);
	lab_assert(lab_view_eq(lab_buf_view(&bytes), lab_buf_view(&bytes_again)));
	obox_state_free(&again);
	lab_buf_done(&bytes);
	lab_buf_done(&bytes_again);
}

static void merge(const struct obox_state *a, const struct obox_state *b)
{
	struct obox_merge_result result;
	struct obox_state *both;

	if (obox_state_merge(a, b, 3, &both, &result, NULL) < 0)
		return;
	check(both);
	obox_state_free(&both);
}

static void two_indexes(struct lab_view data)
{
	struct lab_reader reader = { .rest = data };
	struct lab_view first = lab_read_view(&reader, lab_read_u16(&reader));
	struct obox_state *a, *b;

	if (obox_state_decode(heap, first, &a, NULL) < 0)
		return;
	check(a);
	if (obox_state_decode(heap, reader.rest, &b, NULL) == 0) {
		check(b);
		merge(a, b);
	}
	obox_state_free(&a);
	obox_state_free(&b);
}

/* What is told over a later state is good for a merge with that state, and nothing else. */
static void changes_over(const struct obox_state *over, struct lab_view bytes)
{
	struct obox_state *told;

	if (obox_state_decode_changes(over, bytes, &told, NULL) < 0)
		return;
	merge(over, told);
	obox_state_free(&told);
}

/* Changes of the first by the second, over the first, and over both together. */
static void own_changes(const struct obox_state *a, const struct obox_state *b)
{
	struct obox_merge_result result;
	struct obox_state *both, *again;
	struct obox_base *base;
	struct lab_buf bytes;

	if (obox_state_merge(a, b, 3, &both, &result, NULL) < 0)
		return;
	base = obox_base_new(a);
	obox_base_replace(base, a, both);
	lab_buf_init(&bytes, heap, 1u << 20);
	obox_state_encode_changes(base, both, &bytes);
	lab_assert(obox_state_decode_changes(a, lab_buf_view(&bytes), &again, NULL) == 0);
	check(again);
	lab_assert(again->count == both->count && again->untold == 0);
	changes_over(both, lab_buf_view(&bytes));
	obox_state_free(&again);
	obox_state_free(&both);
	lab_buf_done(&bytes);
	obox_base_free(&base);
}

static void changes(struct lab_view data)
{
	struct lab_reader reader = { .rest = data };
	struct lab_view first = lab_read_view(&reader, lab_read_u16(&reader));
	struct obox_state *over, *other;

	if (obox_state_decode(heap, first, &over, NULL) < 0)
		return;
	changes_over(over, reader.rest);
	if (obox_state_decode(heap, reader.rest, &other, NULL) == 0)
		own_changes(over, other);
	obox_state_free(&other);
	obox_state_free(&over);
}

/* Made of the input's pieces, so that the checksums are right. */
static void archive(struct lab_view data)
{
	struct obox_bundle bundle = { .kind = OBOX_BUNDLE_SELF }, again;
	struct obox_bundle_name name;
	struct lab_reader reader = { .rest = data };
	struct lab_buf bytes;

	(void)obox_bundle_decode(data, &again, NULL);
	(void)obox_bundle_name_parse(data, &name);
	bundle.host = lab_read_view(&reader, lab_read_u8(&reader));
	while (reader.rest.len > 0 && bundle.file_count < OBOX_BUNDLE_FILES_MAX) {
		struct obox_bundle_file *file = &bundle.files[bundle.file_count++];

		file->name = lab_read_view(&reader, lab_read_u8(&reader) % 16);
		file->content = lab_read_view(&reader, lab_read_u8(&reader));
	}
	lab_buf_init(&bytes, heap, 1u << 20);
	obox_bundle_encode(&bundle, &bytes);
	lab_assert(obox_bundle_decode(lab_buf_view(&bytes), &again, NULL) == 0);
	lab_assert(again.file_count == bundle.file_count);
	for (size_t i = 0; i < again.file_count; i++)
		lab_assert(lab_view_eq(again.files[i].content, bundle.files[i].content));
	lab_buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	struct lab_view rest;

	if (pool == NULL)
		pool = lab_pool_new(64u << 20);
	if (size == 0 || size > 8192)
		return 0;
	heap = lab_heap_new(pool, 64u << 20);
	rest = lab_view_of(data + 1, size - 1);
	if (data[0] % 3 == 0)
		archive(rest);
	else if (data[0] % 3 == 1)
		two_indexes(rest);
	else
		changes(rest);
	lab_assert(lab_heap_used(heap) == 0);
	lab_heap_drop(&heap);
	return 0;
}
