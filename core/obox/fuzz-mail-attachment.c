/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a mail: never out of bounds; and what is said of it does not depend on line ends.
 */
#include "core/obox/mail-attachment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t crlf[8192];
	bool has = mail_has_attachment(lab_view_of(data, size));
	size_t n = 0;

	if (size > sizeof(crlf) / 2)
		return 0;
	for (size_t i = 0; i < size; i++) {
		/* A lone CR at the end of a line would become part of it. */
		if (data[i] == '\r')
			return 0;
		if (data[i] == '\n')
			crlf[n++] = '\r';
		crlf[n++] = data[i];
	}
	lab_assert(mail_has_attachment(lab_view_of(crlf, n)) == has);
	return 0;
}
