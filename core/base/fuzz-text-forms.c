/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab_heap *heap;

static void fuzz_hex(struct lab_view text)
{
	uint8_t bytes[64];
	char again[129];

	if (text.len > 128 || lab_unhex(text, bytes, text.len / 2) < 0)
		return;
	lab_hex(bytes, text.len / 2, again);
	lab_assert(lab_view_eq_nocase(text, lab_view_cstr(again)));
}

/* Strict decoding: whatever is accepted is exactly what encoding gives back. */
static void fuzz_base64(struct lab_view text, struct lab_buf *bytes, struct lab_buf *again)
{
	if (lab_buf_append_unbase64(bytes, text) < 0) {
		lab_assert(bytes->len == 0);
		return;
	}
	lab_buf_append_base64(again, lab_buf_view(bytes));
	lab_assert(lab_view_eq(lab_buf_view(again), text));
}

static void fuzz_percent(struct lab_view text, struct lab_buf *bytes, struct lab_buf *again)
{
	struct lab_buf third;

	if (lab_buf_append_unpercent(bytes, text) < 0) {
		lab_assert(bytes->len == 0);
		return;
	}
	lab_buf_append_percent(again, lab_buf_view(bytes), text.len % 2 == 0);
	lab_buf_init(&third, heap, 1 << 20);
	lab_assert(lab_buf_append_unpercent(&third, lab_buf_view(again)) == 0);
	lab_assert(lab_view_eq(lab_buf_view(&third), lab_buf_view(bytes)));
	lab_buf_done(&third);
}

/* Any bytes become a JSON string and XML text without markup. */
static void fuzz_writers(struct lab_view text, struct lab_buf *json_out, struct lab_buf *xml)
{
	struct lab_json json;

	lab_json_init(&json, json_out, false);
	lab_json_view(&json, text);
	for (size_t i = 0; i < json_out->len; i++)
		lab_assert(json_out->data[i] >= 0x20);
	lab_buf_append_xml(xml, text);
	for (size_t i = 0; i < xml->len; i++)
		lab_assert(xml->data[i] != '<' && xml->data[i] != '"' && xml->data[i] >= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_view text = lab_view_of(data, size);
	struct lab_pool *pool = lab_pool_new((size_t)1 << 26);
	struct lab_buf a, b;
	uint64_t u64;
	int64_t i64;

	heap = lab_heap_new(pool, (size_t)1 << 25);
	lab_buf_init(&a, heap, 1 << 20);
	lab_buf_init(&b, heap, 1 << 20);
	fuzz_hex(text);
	fuzz_base64(text, &a, &b);
	lab_buf_reset(&a);
	lab_buf_reset(&b);
	fuzz_percent(text, &a, &b);
	lab_buf_reset(&a);
	lab_buf_reset(&b);
	fuzz_writers(text, &a, &b);
	if (lab_view_to_u64(text, &u64) == 0 && u64 <= INT64_MAX)
		lab_assert(lab_view_to_i64(text, &i64) == 0 && (uint64_t)i64 == u64);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}
