/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a parser accepts, the writers can write, and it then means the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_view text = lab_view_of(data, size);
	char out[LAB_DATE_TEXT_MAX];
	int64_t seconds, again;

	if (lab_date_parse_http(text, &seconds) == 0) {
		lab_date_http(seconds, out);
		lab_assert(lab_date_parse_http(lab_view_cstr(out), &again) == 0);
		lab_assert(again == seconds);
	}
	if (lab_date_parse_iso(text, &seconds) == 0 && seconds <= INT64_C(253402300799)) {
		lab_date_iso_basic(seconds, out);
		lab_assert(lab_date_parse_iso(lab_view_cstr(out), &again) == 0);
		lab_assert(again == seconds);
		lab_date_iso_extended(seconds * 1000 + 999, out);
		lab_assert(lab_date_parse_iso(lab_view_cstr(out), &again) == 0);
		lab_assert(again == seconds);
	}
	return 0;
}
