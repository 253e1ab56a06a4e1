/* SPDX-License-Identifier: Apache-2.0
 *
 * The Authorization header, and after a newline each: x-amz-date, x-amz-content-sha256, a session
 * token. Nothing that the fuzzer finds may be let in: it has no key.
 */
#include "sim/s3-emulator/fuzzing-s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "Authorization", "x-amz-date", "x-amz-content-sha256",
		"x-amz-security-token", "Date" };
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("localhost"),
		.target = LAB_VIEW("/mail/k") };
	struct lab_view rest = lab_view_of(data, size), value;
	size_t i;

	fuzz_start(true);
	for (i = 0; i < LAB_COUNT_OF(names) && lab_view_split(&rest, '\n', &value); i++)
		(void)lab_http_header_add(&request.headers, lab_view_cstr(names[i]), value);
	fuzz_submit(&request);
	lab_assert(s3emu_counters(fuzz_s3)->objects == 0);
	return 0;
}
