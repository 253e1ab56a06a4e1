/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole request: "METHOD TARGET AUTHORITY\n", header lines "Name: value\n", an empty line, the
 * body. 32 times 'U' in the target stand for the id of an upload of /mail/k with a part.
 */
#include "sim/s3-emulator/fuzzing-s3.h"

#include <stdio.h> /* snprintf */

#define UPLOAD "UUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUU"

/* The target, in a buffer of `size` bytes if it has to be changed. */
static struct lab_view with_upload(struct lab_view target, uint8_t *out, size_t size)
{
	static char id[64];
	size_t at = lab_view_find(target, LAB_VIEW(UPLOAD));
	char text[160];

	if (at == SIZE_MAX || target.len > size)
		return target;
	(void)snprintf(text, sizeof(text), "/mail/k?uploadId=%s", id);
	fuzz_request("GET", text, lab_view_of(NULL, 0));
	if (fuzz_status != 200) {
		fuzz_begin_upload(id);
		(void)snprintf(text, sizeof(text), "/mail/k?partNumber=1&uploadId=%s", id);
		fuzz_request("PUT", text, LAB_VIEW("x"));
	}
	memcpy(out, target.ptr, target.len);
	memcpy(out + at, id, strlen(UPLOAD));
	return lab_view_of(out, target.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_http_request request = { 0 };
	struct lab_view rest = lab_view_of(data, size), line;
	static uint8_t target[4096];

	fuzz_start(false);
	(void)lab_view_split(&rest, '\n', &line);
	(void)lab_view_split(&line, ' ', &request.method);
	(void)lab_view_split(&line, ' ', &request.target);
	request.authority = line;
	request.target = with_upload(request.target, target, sizeof(target));
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
