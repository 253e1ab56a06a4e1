/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as members of a root bundle: never out of bounds; what is believed is written as it was
 * read, and two of them merge to the same whichever comes first.
 *
 * The first byte says what they are: 0 private flags, 1 virtual folders; two members, the length of
 * the first in two bytes.
 */
#include "core/base/base.h"
#include "core/obox/secondary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab_heap *heap;

static int merge(struct obox_secondary *to, bool is_private, struct lab_view bytes)
{
	return is_private ? obox_private_merge(to, bytes, 1, NULL)
			  : obox_virtual_merge(to, bytes, NULL);
}

static void encode(const struct obox_secondary *from, bool is_private, struct lab_buf *out)
{
	lab_buf_init(out, heap, 1u << 20);
	if (is_private)
		obox_private_encode(from, NULL, out);
	else
		obox_virtual_encode(from, out);
}

static void check_encoded(
	const struct obox_secondary *secondary, bool is_private, struct lab_view bytes)
{
	struct lab_buf again;

	encode(secondary, is_private, &again);
	lab_assert(lab_view_eq(lab_buf_view(&again), bytes));
	lab_buf_done(&again);
}

/* Two that say different things under the same dots cannot be; they need not become one. */
static void check_merge(struct lab_view a, struct lab_view b)
{
	struct obox_secondary *ab = obox_secondary_new(heap), *ba = obox_secondary_new(heap);
	struct lab_buf bytes;

	(void)merge(ab, true, a);
	(void)merge(ab, true, b);
	(void)merge(ba, true, b);
	(void)merge(ba, true, a);
	encode(ab, true, &bytes);
	check_encoded(ba, true, lab_buf_view(&bytes));
	lab_buf_done(&bytes);
	obox_secondary_free(&ab);
	obox_secondary_free(&ba);
}

static void search(struct obox_secondary *secondary)
{
	struct obox_virtual_mail mails[2] = { { .name = { 1 } }, { .name = { 2 } } };
	struct lab_tree_iter iter = lab_tree_iterate(secondary->folders, LAB_VIEW(""));
	const struct obox_virtual *folder;
	struct lab_view name;
	struct lab_error err;
	void *value;

	if (!lab_tree_next(&iter, &name, &value) ||
		obox_virtual_update(secondary, 7, name, 3, mails, 2, &err) < 0)
		return;
	folder = obox_virtual_find(secondary, name);
	lab_assert(folder->count == 2 && folder->mails[0].uid < folder->mails[1].uid);
	lab_assert(folder->mails[1].uid < folder->next_uid && folder->uidvalidity > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	struct lab_reader reader = { .rest = lab_view_of(data, size) };
	bool is_private = lab_read_u8(&reader) % 2 == 0;
	struct lab_view first = lab_read_view(&reader, lab_read_u16(&reader));
	struct obox_secondary *secondary;

	if (pool == NULL)
		pool = lab_pool_new(256u << 20);
	if (reader.failed || size > 8192)
		return 0;
	heap = lab_heap_new(pool, 128u << 20);
	secondary = obox_secondary_new(heap);
	if (merge(secondary, is_private, first) == 0) {
		check_encoded(secondary, is_private, first);
		if (is_private)
			check_merge(first, reader.rest);
		(void)merge(secondary, is_private, reader.rest);
		search(secondary);
	}
	obox_secondary_free(&secondary);
	lab_assert(lab_heap_used(heap) == 0);
	lab_heap_drop(&heap);
	return 0;
}
