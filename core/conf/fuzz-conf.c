/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of dovecot.conf, then everything that is done with a tree. `!include self` includes
 * the text again.
 */
#include "core/conf/settings.h"
#include "core/conf/test-support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab_view self;

static int read_self(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	(void)ctx;
	(void)arena;
	if (!lab_view_eq_cstr(path, "self"))
		return lab_fail(err, LAB_NOT_FOUND, "no such file");
	*ret = self;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct test_world world;
	struct conf_section *root;
	struct conf_settings settings;

	if (size > 4096)
		return 0;
	test_world_init(&world, NULL);
	world.reader.read_file = read_self;
	self = lab_view_of(data, size);
	if (conf_parse_text("fuzz", self, &world.reader, size % 2, world.arena, &world.problems,
		    &root, &world.err) == 0) {
		int result = conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems);
		lab_assert((result == 0) == (world.problems.errors == 0));
		int loaded = conf_settings_load(root, world.arena, &settings, &world.err);
		(void)loaded;
	} else {
		lab_assert(world.err.message[0] != '\0');
	}
	test_world_done(&world);
	return 0;
}
