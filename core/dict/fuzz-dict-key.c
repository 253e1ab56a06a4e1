/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a dict key: matched against the documented maps, its parts lie inside of it, and
 * what was escaped comes back.
 */
#include "core/dict/dict-sql-private.h"
#include "core/dict/test-maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_parts(struct lab_view key, const struct dict_sql_match *match)
{
	const uint8_t *at = key.ptr;
	lab_assert(match->count <= match->map->field_count);
	for (size_t i = 0; i < match->count; i++) {
		lab_assert(match->parts[i].ptr >= at);
		at = match->parts[i].ptr + match->parts[i].len;
		lab_assert(at <= key.ptr + key.len);
		if (i + 1 < match->map->field_count)
			lab_assert(lab_view_find_byte(match->parts[i], '/') == SIZE_MAX);
	}
}

static void check_args(const struct dict_sql_match *match, struct env *env, struct lab_arena *arena)
{
	struct cql_arg args[DICT_CQL_FIELDS_MAX];
	struct lab_error err;
	(void)dict_sql_args(match, env, arena, args, &err);
}

static void check_escaping(struct lab_heap *heap, struct lab_view part)
{
	struct lab_buf escaped, plain;
	lab_buf_init(&escaped, heap, 1u << 20);
	lab_buf_init(&plain, heap, 1u << 20);
	dict_escape(&escaped, part);
	lab_assert(lab_view_find_byte(lab_buf_view(&escaped), '/') == SIZE_MAX);
	lab_assert(dict_unescape(&plain, lab_buf_view(&escaped)) == 0);
	lab_assert(lab_view_eq(lab_buf_view(&plain), part));
	lab_buf_reset(&plain);
	(void)dict_unescape(&plain, part);
	lab_buf_done(&escaped);
	lab_buf_done(&plain);
}

static struct dict_cql_config *config_get(struct lab_pool *pool)
{
	struct conf_section *root;
	struct dict_cql_config *config;
	struct lab_arena *arena = lab_arena_new(lab_heap_new(pool, 8u << 20), 4u << 20);
	int result = conf_parse_text("maps", LAB_VIEW(TEST_CONNECT TEST_MAPS), NULL,
		CONF_PARSE_LITERAL, arena, NULL, &root, NULL);
	lab_assert(result == 0);
	result = dict_cql_from_tree(root, arena, &config, NULL);
	lab_assert(result == 0);
	return config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	static struct dict_cql_config *config;
	struct dict_sql_match match;
	if (pool == NULL) {
		pool = lab_pool_new(256u << 20);
		config = config_get(pool);
	}
	struct lab_heap *heap = lab_heap_new(pool, 64u << 20);
	struct lab_arena *arena = lab_arena_new(heap, 32u << 20);
	struct env env = { .heap = heap };
	struct lab_view key = lab_view_of(data, size);
	if (dict_sql_match_key(config, key, &match) == 1) {
		lab_assert(match.count == match.map->field_count);
		check_parts(key, &match);
		check_args(&match, &env, arena);
	}
	if (dict_sql_match_path(config, key, &match) == 1) {
		lab_assert(match.count + 1 >= match.map->field_count);
		check_parts(key, &match);
		check_args(&match, &env, arena);
	}
	check_escaping(heap, key);
	lab_arena_free(&arena);
	lab_heap_drop(&heap);
	return 0;
}
