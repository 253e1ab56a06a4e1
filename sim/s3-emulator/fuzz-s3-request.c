/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole request: "METHOD TARGET AUTHORITY\n", header lines "Name: value\n", an empty line, the
 * body.
 */
#include "sim/s3-emulator/fuzzing-s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_http_request request = { 0 };
	struct lab_view rest = lab_view_of(data, size), line;

	fuzz_start(false);
	(void)lab_view_split(&rest, '\n', &line);
	(void)lab_view_split(&line, ' ', &request.method);
	(void)lab_view_split(&line, ' ', &request.target);
	request.authority = line;
	while (rest.ptr != NULL && lab_view_split(&rest, '\n', &line) && line.len > 0) {
		size_t colon = lab_view_find_byte(line, ':');

		if (colon != SIZE_MAX &&
			lab_http_header_add(&request.headers, lab_view_sub(line, 0, colon),
				lab_view_trim(lab_view_skip(line, colon + 1))) < 0)
			break;
	}
	request.body = rest;
	fuzz_submit(&request);
	return 0;
}
