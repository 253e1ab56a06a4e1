/* SPDX-License-Identifier: Apache-2.0
 *
 * script-check.c - a sandbox that only compiles.
 */
#include "scenarios/format/script-check.h"

#include "scenarios/lua/sandbox.h"

#define CHECK_BYTES_MAX ((size_t)256 << 20)

int script_check(const char *path, struct lab_view text, struct lab_error *err)
{
	struct lab_pool *pool = lab_pool_new(CHECK_BYTES_MAX);
	struct lab_heap *heap = lab_heap_new(pool, CHECK_BYTES_MAX);
	struct sandbox *sandbox = sandbox_new(&(struct sandbox_settings){ .heap = heap });
	int result = sandbox_load(sandbox, path, text, err);

	sandbox_free(&sandbox);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return result;
}
