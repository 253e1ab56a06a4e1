/* SPDX-License-Identifier: Apache-2.0
 *
 * Any line as a referral of any protocol: never out of bounds, and what is believed is written so
 * that it is believed again and says the same.
 */
#include "core/cluster/referral.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(enum cluster_protocol protocol, const struct cluster_referral *first,
	struct lab_arena *arena)
{
	struct cluster_referral second;
	struct lab_buf line;

	lab_buf_init_arena(&line, arena, 65536);
	/* A user's name from an URL, or from a line of another form, may be unwritable. */
	if (cluster_referral_write(protocol, first, &line, NULL) < 0)
		return;
	lab_assert(!line.overflow);
	lab_assert(cluster_referral_read(protocol, lab_buf_view(&line), arena, &second, NULL) == 1);
	lab_assert(lab_view_eq(first->user, second.user));
	lab_assert(lab_view_eq(first->host, second.host) && first->port == second.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct cluster_referral referral;
	struct lab_error err;

	if (pool == NULL)
		pool = lab_pool_new(64u << 20);
	if (size > 8192)
		return 0;
	heap = lab_heap_new(pool, 32u << 20);
	arena = lab_arena_new(heap, 16u << 20);
	for (int p = 0; p < CLUSTER_PROTOCOL_COUNT; p++) {
		enum cluster_protocol protocol = (enum cluster_protocol)p;

		if (cluster_referral_read(
			    protocol, lab_view_of(data, size), arena, &referral, &err) == 1) {
			lab_assert(referral.host.len > 0 && referral.port > 0);
			again(protocol, &referral, arena);
		}
	}
	lab_heap_drop(&heap);
	return 0;
}
