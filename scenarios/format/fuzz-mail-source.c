/* SPDX-License-Identifier: Apache-2.0
 *
 * An mbox: no byte of it that is not a separator's or a quote may be lost or made up.
 */
#include "scenarios/format/mail-source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN_LINE_BYTES 35

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_order order = { .seed = 1, .size = 0, .to = LAB_VIEW("a@b") };
	struct lab_pool *pool = lab_pool_new((size_t)1 << 28);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 27);
	struct lab_arena *arena = lab_arena_new(heap, (size_t)1 << 26);
	struct lab_view text = lab_view_of(data, size);
	struct mail_source *source;
	struct lab_error err = { .message = "" };

	(void)mail_token(text);
	if (mail_source_from_mbox("fuzz", text, arena, &source, &err) == 0) {
		size_t count = mail_source_count(source);

		lab_assert(count >= 1 && count <= size);
		for (order.token = 1; order.token <= LAB_MIN(count * 4, 64); order.token++) {
			struct lab_view mail = mail_make(source, &order, heap, arena), first;

			lab_assert(mail_token(mail) == order.token);
			mail = lab_view_skip(mail, TOKEN_LINE_BYTES);
			lab_assert(mail.len >= 1 && mail.len <= size);
			/* A line is there as it was, or with a '>' before it. */
			(void)lab_view_split(&mail, '\n', &first);
			lab_assert(lab_view_find(text, first) != SIZE_MAX);
		}
	} else {
		lab_assert(err.message[0] != '\0');
	}
	lab_arena_free(&arena);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}
