/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#define FIELDS 5

static void make_event(struct lab_event *event, struct lab_field fields[FIELDS])
{
	fields[0] = LAB_F_CSTR("method", "PUT");
	fields[1] = LAB_F_U64("status_code", 503);
	fields[2] = LAB_F_CODE("error", LAB_THROTTLED);
	fields[3] = LAB_F_VOLATILE_U64("net_out_bytes", 1234);
	fields[4] = LAB_F_VOLATILE_TEXT("codec", LAB_VIEW("zstd"));
	*event = (struct lab_event){ LAB_EV_http_request_finished, 11293456789, 2, 9, 20418, fields,
		FIELDS };
}

static uint64_t fold(const struct lab_event *event)
{
	return lab_event_fold(1, event);
}

static void every_event_is_listed(void **state)
{
	(void)state;
	for (unsigned id = 0; id < LAB_EV_COUNT; id++) {
		assert_row(id, strlen(lab_event_name((enum lab_event_id)id)) > 0);
		assert_row(id, lab_event_level((enum lab_event_id)id) <= LAB_ERROR);
		const char *doc = lab_event_doc((enum lab_event_id)id);
		assert_row(id, doc[strlen(doc) - 1] == '.');
		for (unsigned other = 0; other < id; other++)
			assert_row(id, strcmp(lab_event_name((enum lab_event_id)id),
					       lab_event_name((enum lab_event_id)other)) != 0);
	}
	assert_string_equal(
		lab_event_name(LAB_EV_cassandra_query_finished), "cassandra_query_finished");
	assert_int_equal(lab_event_level(LAB_EV_fs_dictmap_object_lost), LAB_ERROR);
	assert_asserts((void)lab_event_name(LAB_EV_COUNT));
}

static void equal_events_fold_equally(void **state)
{
	struct lab_field fields[FIELDS], others[FIELDS];
	struct lab_event event, other;
	char copy[] = "PUT";

	(void)state;
	make_event(&event, fields);
	make_event(&other, others);
	others[0].text = lab_view_cstr(copy); /* the same text elsewhere */
	assert_true(fold(&event) == fold(&other));
	assert_true(lab_event_fold(1, &event) != lab_event_fold(2, &event));
}

static void volatile_fields_and_sequence_are_not_folded(void **state)
{
	struct lab_field fields[FIELDS];
	struct lab_event event;

	(void)state;
	make_event(&event, fields);
	uint64_t before = fold(&event);
	fields[3].number = 999;
	fields[4].text = LAB_VIEW("gz");
	event.sequence++;
	assert_true(fold(&event) == before);
	event.field_count = 3;
	assert_true(fold(&event) == before);
}

/* Each change on its own gives another hash, and no two the same. */
static void everything_else_is_folded(void **state)
{
	uint64_t hashes[12];

	(void)state;
	for (size_t change = 0; change < LAB_COUNT_OF(hashes); change++) {
		struct lab_field fields[FIELDS];
		struct lab_event event;

		make_event(&event, fields);
		switch (change) {
		case 1:
			event.time_ns++;
			break;
		case 2:
			event.host++;
			break;
		case 3:
			event.fiber++;
			break;
		case 4:
			event.id = LAB_EV_http_request_retried;
			break;
		case 5:
			event.field_count = 2;
			break;
		case 6:
			fields[0].text = LAB_VIEW("GET");
			break;
		case 7:
			fields[0].name = "verb";
			break;
		case 8:
			fields[1].number++;
			break;
		case 9:
			fields[1] = LAB_F_CODE("status_code", LAB_DENIED);
			break;
		case 10:
			fields[2] = LAB_F_CODE("error", LAB_TIMEOUT);
			break;
		case 11:
			fields[1] = LAB_F_CSTR("status_code", "503");
			break;
		default:
			break;
		}
		hashes[change] = fold(&event);
		for (size_t i = 0; i < change; i++)
			assert_row(change, hashes[i] != hashes[change]);
	}
}

static const char *format(const struct lab_event *event, const char *host_name)
{
	static char text[512];
	struct lab_buf buf;

	lab_buf_init(&buf, testing_heap, sizeof(text) - 1);
	lab_event_format(&buf, event, host_name);
	memcpy(text, lab_buf_cstr(&buf), buf.len + 1);
	lab_buf_done(&buf);
	return text;
}

static void format_is_one_greppable_line(void **state)
{
	struct lab_field fields[FIELDS];
	struct lab_event event;

	(void)state;
	make_event(&event, fields);
	assert_string_equal(format(&event, "b1"),
		"11.293s b1 http_request_finished method=PUT status_code=503 error=THROTTLED "
		"net_out_bytes=1234 codec=zstd");
	event.field_count = 0;
	assert_string_equal(format(&event, NULL), "11.293s host2 http_request_finished");
	event.host = 0;
	event.time_ns = 5000000;
	assert_string_equal(format(&event, NULL), "0.005s lab http_request_finished");
}

static void format_quotes_what_would_break_the_line(void **state)
{
	struct lab_field fields[] = { LAB_F_CSTR("a", "two words"), LAB_F_CSTR("b", ""),
		LAB_F_CSTR("c", "say \"hi\" \\o/"), LAB_F_CSTR("d", "x\ny\x7f"),
		LAB_F_CSTR("e", "\xc3\xa4") };
	struct lab_event event = { LAB_EV_log_message, 0, 0, 0, 1, fields, LAB_COUNT_OF(fields) };

	(void)state;
	assert_string_equal(format(&event, NULL), "0.000s lab log_message a=\"two words\" b=\"\" "
						  "c=\"say \\\"hi\\\" \\\\o/\" d=\"x\\x0ay\\x7f\" "
						  "e=\xc3\xa4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_is_listed),
		cmocka_unit_test(equal_events_fold_equally),
		cmocka_unit_test(volatile_fields_and_sequence_are_not_folded),
		cmocka_unit_test(everything_else_is_folded),
		testing_test(format_is_one_greppable_line),
		testing_test(format_quotes_what_would_break_the_line),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
