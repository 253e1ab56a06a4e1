/* SPDX-License-Identifier: Apache-2.0
 *
 * A profile, and the body of POST /faults: the first byte says which. What is accepted keeps what
 * serve.c relies on.
 */
#include "sim/serve/fault-file.h"
#include "sim/serve/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 16384

static void check_profile(const struct profile *p)
{
	lab_assert(p->imds.rotate <= p->imds.lifetime && p->imds.rotate >= LAB_SEC);
	lab_assert(p->s3.body_max <= p->s3.receive_max);
	lab_assert(p->serve.log_lines > 0);
	lab_assert(p->cql.nodes >= 1 && p->cql.nodes <= CQLEMU_NODES_MAX);
	for (size_t i = 0; i < p->key_count; i++)
		lab_assert(p->keys[i].secret.len > 0 && p->keys[i].account.len == 12);
	for (size_t i = 0; i < p->peer_count; i++)
		lab_assert(p->peers[i].address.len > 0 && p->peers[i].zone_text != NULL);
}

static void check_faults(const struct fault_file *file, struct lab_heap *heap)
{
	static const char *const names[] = { "cassandra-1" };
	const struct fault_file_nodes nodes = { names, 1 };
	struct fault_plan *plan = fault_plan_new(heap, 1, 3);
	struct lab_error err;

	for (size_t i = 0; i < file->count; i++) {
		if (fault_file_add(plan, &file->sections[i], &nodes, 0, 1, i, &err) < 0)
			lab_assert(err.code == LAB_LIMIT || file->sections[i].only.len > 0);
	}
	fault_plan_free(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct conf_problems problems;
	struct profile *profile;
	struct fault_file file;
	struct lab_error err;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	pool = lab_pool_new((size_t)1 << 28);
	heap = lab_heap_new(pool, (size_t)1 << 28);
	arena = lab_arena_new(heap, (size_t)1 << 27);
	conf_problems_init(&problems, arena);
	if (data[0] % 2 == 0) {
		if (profile_load_text("p", lab_view_of(data + 1, size - 1), arena, &problems,
			    &profile, &err) == 0)
			check_profile(profile);
	} else if (fault_file_load_text("f", lab_view_of(data + 1, size - 1), arena, &problems,
			   &file, &err) == 0) {
		check_faults(&file, heap);
	}
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}
