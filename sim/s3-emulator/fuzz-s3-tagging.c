/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags, as the body of PUT ?tagging and as a header: what was taken is given back, and is taken
 * again.
 */
#include "sim/s3-emulator/fuzzing-s3.h"

static void put_with_header(struct lab_view tags)
{
	struct lab_http_request put = { .method = LAB_VIEW("PUT"),
		.authority = LAB_VIEW("localhost"),
		.target = LAB_VIEW("/mail/k"),
		.body = LAB_VIEW("x") };

	(void)lab_http_header_add(&put.headers, LAB_VIEW("x-amz-tagging"), tags);
	fuzz_submit(&put);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_start(false);
	put_with_header(LAB_VIEW("a=1"));
	lab_assert(fuzz_status == 200);
	fuzz_request("PUT", "/mail/k?tagging", lab_view_of(data, size));
	fuzz_request("GET", "/mail/k?tagging", lab_view_of(NULL, 0));
	lab_assert(fuzz_status == 200);
	if (strlen(fuzz_body) < sizeof(fuzz_body) - 1) {
		fuzz_request("PUT", "/mail/k?tagging", lab_view_cstr(fuzz_body));
		lab_assert(fuzz_status == 200);
	}
	put_with_header(lab_view_of(data, size));
	fuzz_request("GET", "/mail/k?tagging", lab_view_of(NULL, 0));
	lab_assert(fuzz_status == 200);
	return 0;
}
