/* SPDX-License-Identifier: Apache-2.0
 *
 * Gaps of the laboratory, from what its commands print.
 */
#include "scenarios/campaign/matrix.h"

#include "core/base/mark.h"
#include "core/base/testing.h"
#include "core/env/hold.h"
#include "scenarios/campaign/campaign.h"
#include "scenarios/campaign/hunt.h"

static struct campaign_result campaign; /* large */

static struct matrix *matrix;

static void gives(struct lab_view text, const char *name)
{
	struct lab_error err;

	if (matrix_add(matrix, name, text, &err) < 0)
		fail_msg("%s", err.message);
}

static size_t gaps(const char **ret_text)
{
	struct lab_buf out;
	size_t count;

	lab_buf_init(&out, testing_heap, 1 << 20);
	count = matrix_print(matrix, &out);
	*ret_text = lab_buf_cstr(&out);
	return count;
}

/* What `test --json` prints of a campaign that has all of it, but for one mark. */
static void give_campaigns(void)
{
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, 1 << 20);
	memset(&campaign, 0, sizeof(campaign));
	campaign.seeds = 10;
	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++)
		campaign.total.faults[i] = 3;
	for (unsigned i = 0; i < ENV_HOLD_COUNT; i++)
		campaign.total.holds[i] = i == 0 ? 0 : 4;
	for (unsigned i = 1; i < LAB_MARK_COUNT; i++)
		campaign.total.marks[i] = 5;
	campaign_print_json(&campaign, "a.scn", &out);
	campaign.total.holds[0] = 7;
	campaign_print_json(&campaign, "b.scn", &out);
	gives(lab_buf_view(&out), "two");
}

static void give_hunt(void)
{
	size_t count;
	const struct oracle_invariant *invariants = oracle_invariants(&count);

	for (size_t i = 0; i < count; i++) {
		unsigned n = invariants[i].number;
		char text[256];

		(void)snprintf(text, sizeof(text),
			"{\"defects\": [{\"defect\": \"d%u\", \"found\": true, \"signatures\": "
			"[\"%c%u something\"]}, {\"defect\": \"e\", \"found\": false}]}",
			n,
			n > 120   ? 'T'
			: n > 110 ? 'M'
			: n > 100 ? 'R'
				  : 'I',
			n > 120   ? n - 120
			: n > 110 ? n - 110
			: n > 100 ? n - 100
				  : n);
		gives(lab_view_cstr(text), "hunt");
	}
}

static void has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("expected: %s\nin:\n%s", what, text);
}

static void one_gap_is_found(void **state)
{
	const char *text, *name = lab_mark_name((enum lab_mark)0);
	char line[200];

	(void)state;
	matrix = matrix_new(testing_heap);
	give_campaigns();
	give_hunt();
	assert_int_equal(gaps(&text), 1);
	(void)snprintf(line, sizeof(line), "  %-32s          -  GAP\n", name);
	has(text, line);
	(void)snprintf(line, sizeof(line), "  %-32s          7  used by b.scn\n",
		env_hold_name((enum env_hold)0));
	has(text, line);
	has(text, "1  fired under d1\n");
	has(text, "1  fired under d101\n");
	has(text, "6  fired in a.scn\n");
	has(text, "VERDICT fail: 1 gaps in 2 campaigns of 20 seeds and ");
	/* The mark is hit after all. */
	campaign.total.marks[0] = 1;
	{
		struct lab_buf out;

		lab_buf_init(&out, testing_heap, 1 << 20);
		campaign_print_json(&campaign, "c.scn", &out);
		gives(lab_buf_view(&out), "third");
	}
	assert_int_equal(gaps(&text), 0);
	has(text, "1  hit in c.scn\n");
	has(text, "VERDICT pass: 0 gaps in 3 campaigns of 30 seeds");
	matrix_free(&matrix);
	matrix_free(&matrix);
}

static void without_a_hunt_no_invariant_has_fired(void **state)
{
	const char *text;
	size_t count;

	(void)state;
	matrix = matrix_new(testing_heap);
	(void)oracle_invariants(&count);
	give_campaigns();
	assert_int_equal(gaps(&text), 1 + count);
	gives(LAB_VIEW("{\"defects\":[{\"defect\":\"d\",\"found\":true,\"signatures\":[]},"
		       "{\"defect\":\"f\",\"found\":true,\"signatures\":[\"I1000 "
		       "x\",\"\",\"script\"]"
		       "}]}"),
		"hunt");
	assert_int_equal(gaps(&text), 1 + count);
}

/* One run shows several, and the same one in two ways. */
static void every_invariant_of_a_run_has_fired(void **state)
{
	static struct hunt_result result = { .defect = LAB_DEFECT_ACK_BEFORE_PUT,
		.found = true,
		.signature = "I1 lost mail",
		.signatures = { "I1 lost mail", "I1 mail cannot be read", "I36 other requests",
			"R3 proxies disagree", "I1 lost mail and more" },
		.signature_count = 5 };
	static struct scenario scenario = { .path = "a.scn" };
	const char *text;
	struct lab_buf out;
	size_t count;

	(void)state;
	(void)oracle_invariants(&count);
	result.scenario = &scenario;
	matrix = matrix_new(testing_heap);
	lab_buf_init(&out, testing_heap, 1 << 20);
	hunt_print_json(&result, 1, testing_heap, &out);
	give_campaigns();
	gives(lab_buf_view(&out), "hunt");
	assert_int_equal(gaps(&text), 1 + count - 3);
	has(text, "          1  fired under ack-before-put\n");
	assert_null(strstr(text, "          2  fired under"));
	matrix_free(&matrix);
}

static void what_is_no_output_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ " \n", "f: it is empty" },
		{ "{", "f:1:1: " },
		{ "[]", "f: it is neither of test --json nor of defects hunt --json" },
		{ "{\"a\":1}", "f: it is neither" },
		{ "{\"scenario\":\"s\"}", "f: s: the campaign has no \"faults\"" },
		{ "{\"scenario\":\"s\",\"faults\":{\"no_such\":1}}",
			"f: s: \"no_such\" of \"faults\" is not of this build" },
		{ "{\"scenario\":\"s\",\"faults\":{\"crash\":-1}}",
			"f: s: \"crash\" of \"faults\" is not of this build" },
		{ "{\"defects\":[{}]}", "f: a line of the hunt has no defect" },
		{ "{\"defects\":[{\"defect\":\"d\",\"found\":true}]}",
			"f: d: it was found, and has no \"signatures\"" },
		{ "{\"defects\":[{\"defect\":\"d\",\"found\":true,\"signatures\":[1]}]}",
			"f: d: a signature is no text" },
		{ "{\"defects\":[]} x", "f:1:" },
		{ "[[[[[[[[[[[[1]]]]]]]]]]]]", "f: it nests too deeply" },
	};
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		matrix = matrix_new(testing_heap);
		assert_row(i, matrix_add(matrix, "f", lab_view_cstr(rows[i].text), &err) < 0);
		if (!lab_view_starts_with(
			    lab_view_cstr(err.message), lab_view_cstr(rows[i].message)))
			fail_msg("row %zu: %s", i, err.message);
		matrix_free(&matrix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(one_gap_is_found),
		testing_test(without_a_hunt_no_invariant_has_fired),
		testing_test(every_invariant_of_a_run_has_fired),
		testing_test(what_is_no_output_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
