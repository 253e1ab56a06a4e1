/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/testing-oracle.h"

/* A request to S3 as its emulator logs it. */
static void asked(const char *peer, uint64_t second, const char *code, uint32_t fault_id)
{
	struct sim_access access = { .service = "s3",
		.peer = lab_view_cstr(peer),
		.received_ns = second * LAB_SEC,
		.operation = LAB_VIEW("GET"),
		.user = LAB_VIEW(T_USER),
		.answered = true,
		.status = code == NULL ? 200 : 400,
		.code = code,
		.fault_id = fault_id,
		.timestamp_us = INT64_MIN };
	char subject[160];

	(void)snprintf(subject, sizeof(subject), "%.*s/%s/mails/k", LAB_VIEW_ARG(t.settings.bucket),
		T_USER);
	access.subject = lab_view_cstr(subject);
	oracle_access(t.oracle, &access);
}

static void imds_failed(uint64_t second)
{
	struct sim_access access = { .service = "imds",
		.peer = LAB_VIEW("b1"),
		.received_ns = second * LAB_SEC,
		.answered = true,
		.status = 500,
		.timestamp_us = INT64_MIN };

	oracle_access(t.oracle, &access);
}

static void dead_credentials_for_longer_than_a_refresh_are_a_failure(void **state)
{
	const struct oracle_finding *finding;

	(void)state;
	asked("b1", 100, "ExpiredToken", 0);
	asked("b1", 109, "InvalidAccessKeyId", 0);
	asked("b1", 111, "ExpiredToken", 0);
	asked("b1", 112, "ExpiredToken", 0);
	finding = t_finds("I35 dead credentials");
	assert_non_null(strstr(finding->sentence, T_USER));
	assert_non_null(strstr(finding->sentence, "ExpiredToken, as since 11 s"));
}

static void one_refresh_is_allowed(void **state)
{
	(void)state;
	asked("b1", 100, "ExpiredToken", 0);
	asked("b1", 110, "ExpiredToken", 0);
	asked("b1", 111, NULL, 0);
	asked("b1", 150, "ExpiredToken", 0);
	t_passes();
}

static void each_backend_has_credentials_of_its_own(void **state)
{
	(void)state;
	asked("b1", 100, "ExpiredToken", 0);
	asked("b2", 120, "ExpiredToken", 0);
	t_passes();
}

static void other_refusals_are_none_of_credentials(void **state)
{
	(void)state;
	asked("b1", 100, "RequestTimeout", 0);
	asked("b1", 150, "RequestTimeTooSkewed", 0);
	asked("b1", 200, "InvalidRequest", 0);
	t_passes();
}

static void injected_refusals_are_nobodys_fault(void **state)
{
	(void)state;
	asked("b1", 100, "ExpiredToken", 3);
	asked("b1", 150, "ExpiredToken", 4);
	t_passes();
}

static void trouble_with_imds_is_a_reason(void **state)
{
	(void)state;
	asked("b1", 100, "ExpiredToken", 0);
	imds_failed(101);
	asked("b1", 150, "ExpiredToken", 0);
	asked("b1", 220, "ExpiredToken", 0);
	t_passes();
	/* Not for ever. */
	asked("b1", 222, "ExpiredToken", 0);
	t_finds("I35 dead credentials");
}

static void told(const char *text)
{
	const struct lab_field fields[] = { LAB_F_CSTR("error", text) };
	struct lab_event event = { .id = LAB_EV_log_message,
		.time_ns = LAB_SEC,
		.sequence = 1,
		.fields = fields,
		.field_count = 1 };

	oracle_event(t.oracle, &event);
}

static void secret_of_the_settings_is_in_no_event(void **state)
{
	(void)state;
	t.settings.secrets[1] = LAB_VIEW("s3cret/key");
	t_restart();
	told("GET failed: AKIDEXAMPLE is not known");
	told("s3cret");
	t_passes();
	told("https://AKID:s3cret/key@s3.amazonaws.com/: refused");
	t_finds("I35 secret in an event");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(secret_of_the_settings_is_in_no_event),
		t_test(dead_credentials_for_longer_than_a_refresh_are_a_failure),
		t_test(one_refresh_is_allowed),
		t_test(each_backend_has_credentials_of_its_own),
		t_test(other_refusals_are_none_of_credentials),
		t_test(injected_refusals_are_nobodys_fault),
		t_test(trouble_with_imds_is_a_reason),
	};

	return cmocka_run_group_tests_name("oracle-credentials", tests, NULL, NULL);
}
