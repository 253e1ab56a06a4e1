/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/defect.h"

static void none_is_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++)
		assert_false(lab_defects_has(&lab_defects_on, (enum lab_defect)i));
	assert_false(lab_defect(ACK_BEFORE_PUT));
}

static void a_switch_is_one_bit(void **state)
{
	(void)state;
	lab_defects_on = LAB_DEFECT(ACK_BEFORE_PUT);
	assert_true(lab_defect(ACK_BEFORE_PUT));
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++)
		assert_int_equal(lab_defects_has(&lab_defects_on, (enum lab_defect)i),
			i == LAB_DEFECT_ACK_BEFORE_PUT);
	lab_defects_add(&lab_defects_on, LAB_DEFECT_MERGE_TAKES_REMOTE);
	assert_true(lab_defect(ACK_BEFORE_PUT) && lab_defect(MERGE_TAKES_REMOTE));
	lab_defects_on = LAB_NO_DEFECTS;
	assert_false(lab_defect(ACK_BEFORE_PUT));
}

static void each_has_a_name_of_its_own_and_is_found_by_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++) {
		const struct lab_defect_info *info = lab_defect_info((enum lab_defect)i);
		enum lab_defect found;

		assert_true(lab_defect_find(info->name, &found));
		assert_int_equal(found, i);
		assert_true(info->source[0] != '\0' && info->first[0] != '\0');
		assert_true(info->doc[0] != '\0');
	}
	assert_false(lab_defect_find("no-such-defect", &(enum lab_defect){ 0 }));
	assert_false(lab_defect_find("", &(enum lab_defect){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_on),
		cmocka_unit_test(a_switch_is_one_bit),
		cmocka_unit_test(each_has_a_name_of_its_own_and_is_found_by_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
