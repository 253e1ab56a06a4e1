/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/conf-value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_view text = lab_view_of(data, size), word;
	struct conf_choices choices;
	struct conf_range range;
	struct lab_error err;

	for (int unit = CONF_UNIT_COUNT; unit <= CONF_UNIT_FRACTION; unit++) {
		if (conf_value_range(text, (enum conf_unit)unit, &range, &err) < 0)
			continue;
		lab_assert(range.low <= range.high);
		lab_assert(unit != CONF_UNIT_FRACTION || range.low <= 1000000);
		if (range.high < UINT64_MAX >> 1) {
			uint64_t picked = conf_range_pick(&range, size * 0x9e3779b97f4a7c15u);
			lab_assert(range.kind == CONF_RANGE_LOGNORMAL ||
				   (picked >= range.low && picked <= range.high));
		}
	}
	if (conf_value_choices(text, &choices, &err) == 0)
		lab_assert(choices.count > 0);
	while (conf_value_next_word(&text, &word))
		lab_assert(word.len > 0);
	return 0;
}
