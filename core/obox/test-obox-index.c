/* SPDX-License-Identifier: Apache-2.0
 *
 * The local index of a folder on a simulated disk: what a clean stop keeps, and what a crash does
 * not.
 */
#include "core/fs/testing/rig-test.h"
#include "core/obox/obox-private.h"

#define PATH "/home/user/obox.index.log"
#define HEADER_BYTES 32

static struct obox_mail mail_of(uint8_t n)
{
	struct obox_mail mail = { .size = 1000u + n, .received = -n, .saved = n, .oid_len = 17 };

	memset(mail.name, n, sizeof(mail.name));
	memset(mail.guid, n + 100, sizeof(mail.guid));
	memset(mail.oid, n, mail.oid_len);
	return mail;
}

static bool open_index(struct rig *rig, struct obox_index *index)
{
	bool trusted;

	obox_index_open(index, rig->hosts[0].env, PATH, &trusted);
	obox_index_settle(index, 0);
	return trusted;
}

static void append(struct obox_index *index, uint8_t first, uint8_t last)
{
	for (uint8_t n = first; n <= last; n++) {
		struct obox_mail mail = mail_of(n);

		(void)obox_index_append(index, &mail);
	}
}

static void assert_mails(const struct obox_index *index, const char *expected)
{
	char text[500];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < index->state->count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%" PRIu32 ":%u ",
			index->state->records[i].mail.uid, index->state->records[i].mail.name[0]);
	assert_string_equal(text, expected);
}

RIG_TEST(a_new_index_is_empty)
{
	struct obox_index index;

	assert_false(open_index(rig, &index));
	assert_int_equal(index.state->count, 0);
	assert_int_equal(index.state->next_uid, 1);
	assert_int_equal(index.state->uidvalidity, env_wall_seconds(rig->hosts[0].env));
	obox_index_close(&index, LAB_VIEW("kept"));
}

RIG_TEST(after_a_clean_stop_everything_is_as_it_was)
{
	struct obox_index index;
	struct obox_mail expected = mail_of(2);
	uint32_t uidvalidity;

	open_index(rig, &index);
	append(&index, 1, 4);
	obox_index_expunge(&index, &(uint32_t){ 3 }, 1);
	uidvalidity = index.state->uidvalidity;
	obox_index_close(&index, LAB_VIEW("kept"));
	env_sleep(rig->hosts[0].env, 100 * LAB_SEC);
	assert_true(open_index(rig, &index));
	assert_mails(&index, "1:1 2:2 4:4 ");
	assert_int_equal(index.state->uidvalidity, uidvalidity);
	assert_int_equal(index.state->next_uid, 5);
	expected.uid = 2;
	assert_memory_equal(obox_index_find(&index, 2), &expected, sizeof(expected));
	assert_int_equal(index.kept_len, 4);
	assert_memory_equal(index.kept, "kept", 4);
	assert_ptr_equal(obox_index_find_name(&index, expected.name), obox_index_find(&index, 2));
	assert_null(obox_index_find(&index, 3));
	assert_null(obox_index_find_name(&index, mail_of(3).name));
	obox_index_close(&index, LAB_VIEW("kept"));
}

RIG_TEST(a_uid_is_never_given_twice)
{
	struct obox_index index;

	open_index(rig, &index);
	append(&index, 1, 3);
	obox_index_expunge(&index, &(uint32_t){ 3 }, 1);
	obox_index_expunge(&index, &(uint32_t){ 2 }, 1);
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	append(&index, 4, 4);
	assert_mails(&index, "1:1 4:4 ");
	obox_index_close(&index, LAB_VIEW("kept"));
}

RIG_TEST(a_name_is_in_it_once)
{
	struct obox_index index;
	struct obox_mail again = mail_of(2);

	open_index(rig, &index);
	append(&index, 1, 3);
	assert_int_equal(obox_index_append(&index, &again), 2);
	assert_mails(&index, "1:1 2:2 3:3 ");
	obox_index_close(&index, LAB_VIEW("kept"));
}

RIG_TEST(a_uid_that_was_reserved_keeps_its_place)
{
	struct obox_index index;
	struct obox_mail late = mail_of(9);

	open_index(rig, &index);
	append(&index, 1, 1);
	late.uid = index.state->next_uid++;
	append(&index, 3, 4);
	assert_int_equal(obox_index_append(&index, &late), 2);
	assert_mails(&index, "1:1 2:9 3:3 4:4 ");
	assert_int_equal(index.state->next_uid, 5);
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	assert_mails(&index, "1:1 2:9 3:3 4:4 ");
	obox_index_close(&index, LAB_VIEW("kept"));
}

static bool is_odd(void *ctx, const struct obox_mail *mail)
{
	unsigned *asked = ctx;

	(*asked)++;
	return mail->uid % 2 == 1;
}

RIG_TEST(what_is_not_to_be_kept_goes)
{
	struct obox_index index;
	unsigned asked = 0;

	open_index(rig, &index);
	append(&index, 1, 60);
	assert_int_equal(obox_index_expunge_unless(&index, is_odd, &asked), 30);
	assert_int_equal(asked, 60);
	assert_int_equal(index.state->count, 30);
	assert_null(obox_index_find_name(&index, mail_of(2).name));
	assert_int_equal(obox_index_find_name(&index, mail_of(3).name)->uid, 3);
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	assert_int_equal(index.state->count, 30);
	assert_int_equal(index.state->next_uid, 61);
	obox_index_close(&index, LAB_VIEW("kept"));
}

RIG_TEST(a_reset_has_a_larger_uidvalidity)
{
	struct obox_index index;
	uint32_t first, second;

	open_index(rig, &index);
	append(&index, 1, 3);
	first = index.state->uidvalidity;
	obox_index_reset(&index, NULL);
	obox_index_settle(&index, 0);
	second = index.state->uidvalidity;
	assert_true(second > first);
	assert_int_equal(index.state->count, 0);
	assert_null(obox_index_find_name(&index, mail_of(2).name));
	append(&index, 7, 7);
	assert_mails(&index, "1:7 ");
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	assert_mails(&index, "1:7 ");
	assert_int_equal(index.state->uidvalidity, second);
	obox_index_close(&index, LAB_VIEW("kept"));
}

static uint16_t keyword(struct obox_index *index, const char *name)
{
	uint16_t flag;

	assert_int_equal(obox_state_keyword(index->state, lab_view_cstr(name), &flag, NULL), 0);
	return flag;
}

static bool has(const struct obox_index *index, uint32_t uid, uint16_t flag)
{
	return obox_record_has_flag(obox_state_find(index->state, uid), flag);
}

RIG_TEST(flags_and_modseqs_are_as_they_were)
{
	struct obox_index index;
	uint64_t highest;

	open_index(rig, &index);
	append(&index, 1, 3);
	assert_int_equal(obox_index_set_flag(&index, 2, OBOX_SEEN, true), 1);
	assert_int_equal(obox_index_set_flag(&index, 2, OBOX_SEEN, true), 0);
	assert_int_equal(obox_index_set_flag(&index, 9, OBOX_SEEN, true), 0);
	assert_int_equal(obox_index_set_flag(&index, 3, keyword(&index, "$Work"), true), 1);
	assert_int_equal(obox_index_set_flag(&index, 1, OBOX_DRAFT, true), 1);
	assert_int_equal(obox_index_set_flag(&index, 1, OBOX_DRAFT, false), 1);
	highest = index.state->highest_modseq;
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	assert_true(has(&index, 2, OBOX_SEEN));
	assert_false(has(&index, 1, OBOX_SEEN) || has(&index, 1, OBOX_DRAFT));
	assert_true(has(&index, 3, keyword(&index, "$work")));
	assert_int_equal(index.state->highest_modseq, highest);
	assert_true(obox_state_find(index.state, 1)->modseq == highest);
	obox_index_close(&index, LAB_VIEW("kept"));
}

RIG_TEST(a_long_log_is_put_together)
{
	struct obox_index index;
	uint64_t author, highest, size;

	open_index(rig, &index);
	append(&index, 1, 3);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(obox_index_set_flag(&index, 1, OBOX_SEEN, i % 2 == 0), 1);
	append(&index, 4, 4);
	obox_index_expunge(&index, &(uint32_t){ 4 }, 1);
	author = index.state->authors[index.author].id;
	highest = index.state->highest_modseq;
	size = index.file_size;
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	assert_true(index.file_size < 1000 && size > 65536);
	assert_mails(&index, "1:1 2:2 3:3 ");
	assert_int_equal(index.state->next_uid, 5);
	assert_true(index.state->highest_modseq == highest);
	assert_true(index.state->authors[index.author].id == author);
	assert_int_equal(obox_index_set_flag(&index, 2, OBOX_FLAGGED, true), 1);
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	assert_true(has(&index, 2, OBOX_FLAGGED));
	obox_index_close(&index, LAB_VIEW("kept"));
}

/* ---- stops that are not clean ---- */

struct crash_test {
	struct rig *rig;
	enum fault_disk disk;
	uint32_t uidvalidity, again;
	uint64_t author, author_again;
	bool trusted;
};

static void open_and_crash(void *arg)
{
	struct crash_test *t = arg;
	struct obox_index index;

	open_index(t->rig, &index);
	append(&index, 1, 5);
	obox_index_close(&index, LAB_VIEW("kept"));
	t->trusted = open_index(t->rig, &index);
	append(&index, 6, 6);
	t->uidvalidity = index.state->uidvalidity;
	t->author = index.state->authors[index.author].id;
	world_crash(t->rig->hosts[0].host, t->disk);
}

static void open_again(void *arg)
{
	struct crash_test *t = arg;
	struct obox_index index;

	t->trusted = open_index(t->rig, &index);
	t->again = index.state->uidvalidity;
	t->author_again = index.state->authors[index.author].id;
	assert_int_equal(index.state->count, 0);
	assert_int_equal(index.state->next_uid, 1);
	obox_index_close(&index, LAB_VIEW("kept"));
}

static void after_a_crash_the_index_is_new(void **state)
{
	static const enum fault_disk disks[] = { FAULT_DISK_KEEP, FAULT_DISK_LOSE_UNSYNCED };
	struct crash_test t = { .rig = *state };

	for (size_t i = 0; i < LAB_COUNT_OF(disks); i++) {
		t.disk = disks[i];
		rig_run(t.rig, 0, open_and_crash, &t);
		rig_run(t.rig, 0, open_again, &t);
		assert_false(t.trusted);
		/* Although the clock has not moved: larger than any that a client saw. */
		assert_true(t.again > t.uidvalidity);
		/* What the old one wrote last may be lost. */
		assert_true(t.author_again != t.author);
	}
}

static void reset_and_crash(void *arg)
{
	struct crash_test *t = arg;
	struct obox_index index;

	open_index(t->rig, &index);
	for (unsigned i = 0; i < 10; i++)
		obox_index_reset(&index, NULL);
	obox_index_settle(&index, 0);
	t->uidvalidity = index.state->uidvalidity;
	world_crash(t->rig->hosts[0].host, FAULT_DISK_LOSE_UNSYNCED);
}

static void a_uidvalidity_that_was_shown_is_not_forgotten(void **state)
{
	struct crash_test t = { .rig = *state };

	rig_run(t.rig, 0, reset_and_crash, &t);
	rig_run(t.rig, 0, open_again, &t);
	assert_true(t.again > t.uidvalidity);
}

/* ---- files that are not whole ---- */

static void close_clean_with(struct rig *rig, uint8_t mails, uint64_t *ret_size)
{
	struct obox_index index;

	open_index(rig, &index);
	if (mails > 0)
		append(&index, 1, mails);
	*ret_size = index.file_size;
	obox_index_close(&index, LAB_VIEW("kept"));
}

static void rewrite(struct rig *rig, struct lab_view file)
{
	struct lab_error err;

	OK(env_file_replace(rig->hosts[0].env, PATH, file, true, &err));
}

static struct lab_view load(struct rig *rig)
{
	struct lab_view file;
	struct lab_error err;

	OK(env_file_load(rig->hosts[0].env, PATH, 1 << 20, rig->arena, &file, &err));
	return file;
}

RIG_TEST(a_tail_that_is_torn_is_not_believed)
{
	struct obox_index index;
	struct lab_view whole;
	uint64_t size, record;

	close_clean_with(rig, 3, &size);
	whole = load(rig);
	/* And what was kept: length, type, four bytes, hash. */
	assert_int_equal(whole.len, size + 17);
	record = (size - HEADER_BYTES) / 3;
	for (size_t cut = 1; cut < record; cut++) {
		rewrite(rig, lab_view_sub(whole, 0, whole.len - cut));
		assert_row(cut, !open_index(rig, &index));
		assert_row(cut, index.state->count == 0);
		obox_index_close(&index, LAB_VIEW("kept"));
	}
}

RIG_TEST(a_byte_that_changed_is_noticed_wherever_it_is)
{
	struct obox_index index;
	struct lab_view whole;
	uint64_t size;

	close_clean_with(rig, 2, &size);
	whole = load(rig);
	for (size_t at = 0; at < whole.len; at++) {
		uint8_t *bytes = lab_arena_alloc(rig->arena, whole.len);

		memcpy(bytes, whole.ptr, whole.len);
		bytes[at] ^= 0x04;
		rewrite(rig, lab_view_of(bytes, whole.len));
		assert_row(at, !open_index(rig, &index));
		assert_row(at, index.state->count == 0);
		obox_index_close(&index, LAB_VIEW("kept"));
	}
}

RIG_TEST(something_else_under_that_name_is_not_believed)
{
	struct obox_index index;

	rewrite(rig, LAB_VIEW("not an index"));
	assert_false(open_index(rig, &index));
	append(&index, 1, 1);
	obox_index_close(&index, LAB_VIEW("kept"));
	assert_true(open_index(rig, &index));
	assert_mails(&index, "1:1 ");
	obox_index_close(&index, LAB_VIEW("kept"));
}

/* ---- disks that fail ---- */

RIG_TEST(a_full_disk_costs_the_index_and_no_mail)
{
	struct obox_index index;
	uint32_t uidvalidity;

	open_index(rig, &index);
	append(&index, 1, 2);
	world_disk_limit(rig->hosts[0].host, world_disk_used(rig->hosts[0].host) + 10);
	append(&index, 3, 5);
	assert_mails(&index, "1:1 2:2 3:3 4:4 5:5 ");
	uidvalidity = index.state->uidvalidity;
	obox_index_close(&index, LAB_VIEW("kept"));
	world_disk_limit(rig->hosts[0].host, 1 << 20);
	assert_false(open_index(rig, &index));
	assert_true(index.state->uidvalidity > uidvalidity);
	obox_index_close(&index, LAB_VIEW("kept"));
}

RIG_TEST(an_index_without_a_file_lives_in_memory)
{
	struct obox_index index;

	world_disk_limit(rig->hosts[0].host, 1);
	assert_false(open_index(rig, &index));
	append(&index, 1, 2);
	obox_index_expunge(&index, &(uint32_t){ 1 }, 1);
	assert_mails(&index, "2:2 ");
	obox_index_reset(&index, NULL);
	obox_index_settle(&index, 0);
	append(&index, 1, 1);
	assert_mails(&index, "1:1 ");
	obox_index_close(&index, LAB_VIEW("kept"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_new_index_is_empty),
		RIG_UNIT_TEST(after_a_clean_stop_everything_is_as_it_was),
		RIG_UNIT_TEST(a_uid_is_never_given_twice),
		RIG_UNIT_TEST(a_name_is_in_it_once),
		RIG_UNIT_TEST(a_uid_that_was_reserved_keeps_its_place),
		RIG_UNIT_TEST(what_is_not_to_be_kept_goes),
		RIG_UNIT_TEST(a_reset_has_a_larger_uidvalidity),
		RIG_UNIT_TEST(flags_and_modseqs_are_as_they_were),
		RIG_UNIT_TEST(a_long_log_is_put_together),
		RIG_UNIT_TEST(after_a_crash_the_index_is_new),
		RIG_UNIT_TEST(a_uidvalidity_that_was_shown_is_not_forgotten),
		RIG_UNIT_TEST(a_tail_that_is_torn_is_not_believed),
		RIG_UNIT_TEST(a_byte_that_changed_is_noticed_wherever_it_is),
		RIG_UNIT_TEST(something_else_under_that_name_is_not_believed),
		RIG_UNIT_TEST(a_full_disk_costs_the_index_and_no_mail),
		RIG_UNIT_TEST(an_index_without_a_file_lives_in_memory),
	};

	return cmocka_run_group_tests_name("obox-index", tests, NULL, NULL);
}
