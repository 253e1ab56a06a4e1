/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/dict-cql.h"
#include "core/conf/test-support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_view text = lab_view_of(data, size);
	struct dict_cql_connect connect;
	struct dict_cql_config *config;
	struct test_world world;
	struct conf_section *root;

	if (size > 8192)
		return 0;
	test_world_init(&world, NULL);
	if (dict_cql_connect_parse(text, &connect, &world.err) == 0)
		lab_assert(connect.host_count > 0 && connect.keyspace.len > 0);
	if (conf_parse_text("fuzz", text, NULL, CONF_PARSE_LITERAL, world.arena, NULL, &root,
		    &world.err) == 0 &&
		dict_cql_from_tree(root, world.arena, &config, &world.err) == 0) {
		for (size_t i = 0; i < config->map_count; i++) {
			size_t variables = 0;
			for (size_t j = 0; j < config->maps[i].part_count; j++)
				variables += config->maps[i].parts[j].is_variable ? 1 : 0;
			lab_assert(variables == config->maps[i].field_count);
		}
	}
	test_world_done(&world);
	return 0;
}
