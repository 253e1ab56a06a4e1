/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a list of folders and as changes of one: never out of bounds, and what is believed
 * is written as it was read, has unique names, and can be merged.
 *
 * The first byte says what they are: 0 two lists, the length of the first in two bytes; 1 a list
 * and changes.
 */
#include "core/base/base.h"
#include "core/obox/list-state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab_heap *heap;

static void check(const struct obox_list *list)
{
	struct lab_buf bytes, bytes_again;
	struct obox_list *again;

	lab_assert(lab_map_count(list->by_name) == list->folder_count);
	for (size_t i = 0; i < list->folder_count; i++) {
		struct lab_view name = lab_view_cstr(list->folders[i]->name);

		lab_assert(obox_list_find(list, name) == list->folders[i]);
		lab_assert(obox_list_check_name(&name, NULL) == 0);
	}
	lab_buf_init(&bytes, heap, 1u << 20);
	lab_buf_init(&bytes_again, heap, 1u << 20);
	obox_list_encode(list, &bytes);
	lab_assert(obox_list_decode(heap, lab_buf_view(&bytes), &again, NULL) == 0);
	obox_list_encode(again, &bytes_again);
	lab_assert(lab_view_eq(lab_buf_view(&bytes), lab_buf_view(&bytes_again)));
	obox_list_free(&again);
	lab_buf_done(&bytes);
	lab_buf_done(&bytes_again);
}

static void check_encoded(const struct obox_list *list, struct lab_view from)
{
	struct lab_buf bytes;

	lab_buf_init(&bytes, heap, 1u << 20);
	obox_list_encode(list, &bytes);
	lab_assert(lab_view_eq(lab_buf_view(&bytes), from));
	lab_buf_done(&bytes);
	check(list);
}

static void merge(const struct obox_list *a, const struct obox_list *b)
{
	struct obox_list *ab, *ba;
	struct lab_buf x, y;

	if (obox_list_merge(a, b, &ab, NULL) < 0)
		return;
	lab_assert(obox_list_merge(b, a, &ba, NULL) == 0);
	check(ab);
	lab_buf_init(&x, heap, 1u << 20);
	lab_buf_init(&y, heap, 1u << 20);
	obox_list_encode(ab, &x);
	obox_list_encode(ba, &y);
	lab_assert(lab_view_eq(lab_buf_view(&x), lab_buf_view(&y)));
	lab_buf_done(&x);
	lab_buf_done(&y);
	obox_list_free(&ab);
	obox_list_free(&ba);
}

static void change(struct obox_list *list)
{
	struct lab_error err;

	if (list->folder_count == 0)
		return;
	(void)obox_list_rename(
		list, 1, lab_view_cstr(list->folders[0]->name), LAB_VIEW("renamed"), &err);
	check(list);
	(void)obox_list_delete(
		list, 1, lab_view_cstr(list->folders[list->folder_count - 1]->name), &err);
	check(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	struct lab_reader reader = { .rest = lab_view_of(data, size) };
	uint8_t what = lab_read_u8(&reader);
	struct lab_view first = lab_read_view(&reader, lab_read_u16(&reader));
	struct obox_list *a = NULL, *b = NULL;

	if (pool == NULL)
		pool = lab_pool_new(256u << 20);
	if (reader.failed || size > 8192)
		return 0;
	heap = lab_heap_new(pool, 128u << 20);
	if (obox_list_decode(heap, first, &a, NULL) == 0) {
		check_encoded(a, first);
		if (what % 2 == 1 && obox_list_merge_changes(a, reader.rest, &b, NULL) == 0) {
			check(b);
		} else if (what % 2 == 0 && obox_list_decode(heap, reader.rest, &b, NULL) == 0) {
			check_encoded(b, reader.rest);
			merge(a, b);
		}
		change(a);
	}
	obox_list_free(&a);
	obox_list_free(&b);
	lab_assert(lab_heap_used(heap) == 0);
	lab_heap_drop(&heap);
	return 0;
}
