/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/fs-uri.h"
#include "core/conf/test-support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct test_world world;
	struct conf_http_url url;
	struct lab_view known_only;

	if (size > 16384)
		return 0;
	test_world_init(&world, NULL);
	if (fs_uri_check(lab_view_of(data, size), world.arena, &known_only, &world.err) < 0)
		lab_assert(world.err.message[0] != '\0');
	for (int flavour = FS_URI_HTTP_S3; flavour <= FS_URI_HTTP_OTHER; flavour++) {
		if (fs_uri_http(lab_view_of(data, size), (enum fs_uri_http_flavour)flavour,
			    world.arena, &url, &world.err) == 0)
			lab_assert(url.host.len > 0 && url.port > 0 && url.timeout_ns > 0);
	}
	test_world_done(&world);
	return 0;
}
