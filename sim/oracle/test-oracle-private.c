/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants 3 and 7 of what is in a user's root: private flags of shared folders hold until
 * another change that knew them, and a UID of a virtual folder means one mail.
 */
#include "sim/oracle/testing-metacache.h"

#define SHARED "shared/owner@example.com/INBOX"

static int setup(void **state)
{
	int result = t_setup(state);

	t.settings.has_secondary = true;
	t_restart();
	memset(t_boots, 0, sizeof(t_boots));
	t_start(1);
	t_start(2);
	return result;
}

static void root_event(enum lab_event_id id, unsigned host, const char *status)
{
	const struct lab_field fields[] = { LAB_F_CSTR("user", T_USER),
		LAB_F_CSTR("metacache_status", status), LAB_F_CODE("code", LAB_OK) };

	t_tell_fiber(id, host, 1, fields, 3);
}

static void upload(unsigned host)
{
	root_event(LAB_EV_metacache_user_bundle_upload_started, host, "");
	root_event(LAB_EV_metacache_user_bundle_upload_finished, host, "");
}

static void refresh(unsigned host)
{
	root_event(LAB_EV_metacache_user_refresh_started, host, "");
	root_event(LAB_EV_metacache_user_refresh_finished, host, "refreshed_changed");
}

static struct history_op op_at(enum history_kind kind, unsigned host)
{
	struct history_op op = t_op(kind, 0, 0);

	op.backend = lab_view_cstr(t_backend(host));
	op.boot = t_boots[host];
	op.folder = LAB_VIEW(SHARED);
	op.source = t_object(1, 1);
	return op;
}

static void store(unsigned host, bool is_set, enum history_outcome outcome)
{
	struct history_op op = op_at(HISTORY_PRIVATE_STORE, host);

	op.is_set = is_set;
	op.changed = true;
	(void)t_run(op, outcome);
}

static void fetch(unsigned host, bool is_seen)
{
	struct history_op op = op_at(HISTORY_PRIVATE_FETCH, host);

	op.changed = is_seen;
	(void)t_run(op, HISTORY_OK);
}

static void audit(bool is_seen)
{
	t_start(T_AUDIT);
	fetch(T_AUDIT, is_seen);
}

static void what_a_backend_set_it_sees(void **state)
{
	(void)state;
	fetch(1, false);
	store(1, true, HISTORY_OK);
	fetch(1, true);
	fetch(2, false);
	upload(1);
	refresh(2);
	fetch(2, true);
	store(2, false, HISTORY_OK);
	fetch(2, false);
	upload(2);
	audit(false);
	t_passes();
}

static void what_its_own_backend_forgets_is_lost(void **state)
{
	(void)state;
	store(1, true, HISTORY_OK);
	fetch(1, false);
	assert_int_equal(t_finds("I3 private flag lost")->invariant, 3);
}

static void what_is_stored_the_audit_must_see(void **state)
{
	(void)state;
	store(1, true, HISTORY_OK);
	upload(1);
	audit(false);
	assert_non_null(strstr(t_finds("I3 private flag lost")->sentence, SHARED));
}

static void what_was_cleared_or_never_set_stays_so(void **state)
{
	(void)state;
	store(1, true, HISTORY_OK);
	upload(1);
	refresh(2);
	store(2, false, HISTORY_OK);
	fetch(2, true);
	(void)t_finds("I3 private flag is back");
	(void)t_teardown(state);
	(void)setup(state);
	fetch(1, true);
	(void)t_finds("I3 private flag is back");
	(void)t_teardown(state);
	(void)setup(state);
	store(1, true, HISTORY_FAIL);
	fetch(1, true);
	(void)t_finds("I3 private flag is back");
}

static void what_was_not_uploaded_or_not_certain_may_be_either(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		store(1, true, i < 2 ? HISTORY_OK : HISTORY_UNCERTAIN);
		t_crash(1);
		t_start(1);
		fetch(1, i % 2 == 0);
		audit(i % 2 == 0);
		t_passes();
		(void)t_teardown(state);
		(void)setup(state);
	}
}

static void two_at_once_may_come_in_either_order(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		store(1, true, HISTORY_OK);
		store(2, false, HISTORY_OK);
		upload(1);
		upload(2);
		audit(i == 0);
		t_passes();
		(void)t_teardown(state);
		(void)setup(state);
	}
}

static void elsewhere_it_may_be_lost(void **state)
{
	t.settings.private_is_elsewhere = true;
	t_restart();
	memset(t_boots, 0, sizeof(t_boots));
	t_start(1);
	(void)state;
	store(1, true, HISTORY_OK);
	upload(1);
	audit(false);
	t_excuses("I3 private flag lost");
}

static void what_is_not_uploaded_in_time_is_found(void **state)
{
	(void)state;
	t.settings.upload_interval_ns = LAB_MINUTE;
	t_restart();
	memset(t_boots, 0, sizeof(t_boots));
	t_start(1);
	upload(1);
	store(1, true, HISTORY_OK);
	t.now += 4 * LAB_MINUTE;
	fetch(1, true);
	(void)t_finds("I3 private flag not uploaded in time");
}

static void in_time_is_soon_enough(void **state)
{
	(void)state;
	t.settings.upload_interval_ns = LAB_MINUTE;
	t_restart();
	memset(t_boots, 0, sizeof(t_boots));
	t_start(1);
	store(1, true, HISTORY_OK);
	t.now += 2 * LAB_MINUTE;
	upload(1);
	t.now += 4 * LAB_MINUTE;
	audit(true);
	t_passes();
}

/* ---- virtual folders ---- */

static void show(unsigned host, uint32_t uidvalidity, uint32_t uid, unsigned mail)
{
	struct history_op op = op_at(HISTORY_VIRTUAL, host);
	struct history_sighting seen = { .uid = uid, .object = t_object(mail, mail) };
	uint32_t id;

	op.folder = LAB_VIEW("virtual/unseen");
	op.uidvalidity = uidvalidity;
	id = t_begin(&op);
	history_sight(t.history, id, &seen, 1);
	t_end(id, &op, HISTORY_OK);
}

static void a_uid_means_one_mail(void **state)
{
	(void)state;
	show(1, 7, 1, 1);
	show(1, 7, 1, 1);
	show(1, 7, 2, 2);
	show(1, 8, 1, 2);
	/* It knew nothing of the first, and the first is not over. */
	show(2, 7, 1, 3);
	t_passes();
}

static void of_one_backend_it_never_means_two(void **state)
{
	(void)state;
	show(1, 7, 1, 1);
	show(1, 7, 1, 2);
	assert_int_equal(t_finds("I7 virtual UID of two mails")->invariant, 7);
}

static void nor_of_one_that_comes_after(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		show(1, 7, 1, 1);
		if (i == 0) {
			upload(1);
			refresh(2);
		} else {
			t_crash(1);
		}
		show(2, 7, 1, 2);
		(void)t_finds("I7 virtual UID of two mails");
		(void)t_teardown(state);
		(void)setup(state);
	}
}

/* All begins anew, even numbers. */
static void of_a_user_who_was_deleted_nothing_is_claimed(void **state)
{
	struct history_op op = op_at(HISTORY_USER_DELETE, 1);

	(void)state;
	store(1, true, HISTORY_OK);
	show(1, 7, 1, 1);
	(void)t_run(op, HISTORY_OK);
	show(1, 7, 1, 2);
	fetch(1, false);
	t_passes();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_backend_set_it_sees),
		TEST(what_its_own_backend_forgets_is_lost),
		TEST(what_is_stored_the_audit_must_see),
		TEST(what_was_cleared_or_never_set_stays_so),
		TEST(what_was_not_uploaded_or_not_certain_may_be_either),
		TEST(two_at_once_may_come_in_either_order),
		TEST(elsewhere_it_may_be_lost),
		TEST(what_is_not_uploaded_in_time_is_found),
		TEST(in_time_is_soon_enough),
		TEST(a_uid_means_one_mail),
		TEST(of_one_backend_it_never_means_two),
		TEST(nor_of_one_that_comes_after),
		TEST(of_a_user_who_was_deleted_nothing_is_claimed),
	};

	return cmocka_run_group_tests_name("oracle-private", tests, NULL, NULL);
}
