/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of parts that completes an upload. Parts 1 to 3 are "x", "y" and nothing; whatever the
 * list says, the upload is there as before or it has become an object of some of them.
 */
#include "sim/s3-emulator/fuzzing-s3.h"

#include <stdio.h> /* snprintf */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const bodies[] = { "x", "y", "" };
	char id[64], target[160];
	struct s3emu_object_info info;
	uint64_t objects;
	unsigned i;

	fuzz_start(false);
	objects = s3emu_counters(fuzz_s3)->objects;
	lab_assert(objects == 0 && s3emu_counters(fuzz_s3)->upload_entries == 0);
	fuzz_begin_upload(id);
	for (i = 0; i < LAB_COUNT_OF(bodies); i++) {
		(void)snprintf(
			target, sizeof(target), "/mail/k?uploadId=%s&partNumber=%u", id, i + 1);
		fuzz_request("PUT", target, lab_view_cstr(bodies[i]));
		lab_assert(fuzz_status == 200);
	}
	(void)snprintf(target, sizeof(target), "/mail/k?uploadId=%s", id);
	fuzz_request("POST", target, lab_view_of(data, size));
	if (fuzz_status == 200) {
		lab_assert(s3emu_counters(fuzz_s3)->upload_entries == 0);
		lab_assert(s3emu_object_find(fuzz_s3, LAB_VIEW("mail"), LAB_VIEW("k"), &info) == 1);
		lab_assert(info.size <= 2);
		fuzz_request("POST", target, lab_view_of(data, size));
		lab_assert(fuzz_status == 200);
		fuzz_request("DELETE", "/mail/k", lab_view_of(NULL, 0));
	} else {
		lab_assert(s3emu_counters(fuzz_s3)->upload_entries == 4);
		fuzz_request("DELETE", target, lab_view_of(NULL, 0));
	}
	lab_assert(fuzz_status == 204);
	return 0;
}
