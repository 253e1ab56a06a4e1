/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of folders: changes and their merge by example, by every pair of short histories of one
 * list, and by hosts that change and exchange lists at random, with what was done as the judge.
 */
#include "core/base/testing.h"
#include "core/obox/list-state.h"

static struct lab_heap *heap;
static struct lab_pool *pool;

static int set_up(void **state)
{
	(void)state;
	pool = lab_pool_new(256u << 20);
	heap = lab_heap_new(pool, 256u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(lab_heap_used(heap), 0);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define DONE(call) \
	do { \
		struct lab_error err = { 0 }; \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, err.message); \
	} while (0)
#define REFUSED(call, expected) \
	do { \
		struct lab_error err = { 0 }; \
		struct lab_buf before = encoded(list); \
		assert_int_equal((call), -1); \
		assert_string_equal(lab_code_name(err.code), lab_code_name(expected)); \
		assert_is(list, &before); \
	} while (0)

/* ---- making and comparing ---- */

static const uint8_t inbox_guid[ENV_GUID128_SIZE] = { 0xee, 1 };

static const uint8_t *guid(unsigned n)
{
	static uint8_t guids[256][ENV_GUID128_SIZE];

	guids[n % 256][0] = (uint8_t)n;
	guids[n % 256][15] = 7;
	return guids[n % 256];
}

static struct obox_list *new_list(void)
{
	return obox_list_new(heap, inbox_guid);
}

static struct lab_buf encoded(const struct obox_list *list)
{
	struct lab_buf buf;

	lab_buf_init(&buf, heap, 16u << 20);
	obox_list_encode(list, &buf);
	assert_false(buf.overflow);
	return buf;
}

static bool are_equal(const struct obox_list *x, const struct obox_list *y)
{
	struct lab_buf a = encoded(x), b = encoded(y);
	bool result = lab_view_eq(lab_buf_view(&a), lab_buf_view(&b));

	lab_buf_done(&a);
	lab_buf_done(&b);
	return result;
}

/* Frees what it was. */
static void assert_is(const struct obox_list *list, struct lab_buf *before)
{
	struct lab_buf now = encoded(list);

	assert_true(lab_view_eq(lab_buf_view(&now), lab_buf_view(before)));
	lab_buf_done(&now);
	lab_buf_done(before);
}

/* Through bytes, as another host gets it. */
static struct obox_list *copy(const struct obox_list *list)
{
	struct lab_buf bytes = encoded(list);
	struct obox_list *ret;

	DONE(obox_list_decode(heap, lab_buf_view(&bytes), &ret, &err));
	lab_buf_done(&bytes);
	assert_true(are_equal(list, ret));
	return ret;
}

static void check(const struct obox_list *list)
{
	assert_int_equal(lab_map_count(list->by_name), list->folder_count);
	for (size_t i = 0; i < list->folder_count; i++) {
		const struct obox_list_folder *folder = list->folders[i];
		struct lab_view name = lab_view_cstr(folder->name);

		assert_ptr_equal(obox_list_find(list, name), folder);
		assert_ptr_equal(obox_list_find_guid(list, folder->guid), folder);
		DONE(obox_list_check_name(&name, &err));
		assert_int_equal(strcmp(folder->name, "INBOX") == 0,
			memcmp(folder->guid, list->inbox, sizeof(list->inbox)) == 0);
	}
}

/* Both ways, and once more. */
static struct obox_list *merged(const struct obox_list *a, const struct obox_list *b)
{
	struct obox_list *ret, *other, *again;

	DONE(obox_list_merge(a, b, &ret, &err));
	DONE(obox_list_merge(b, a, &other, &err));
	assert_true(are_equal(ret, other));
	DONE(obox_list_merge(ret, b, &again, &err));
	assert_true(are_equal(ret, again));
	check(ret);
	obox_list_free(&other);
	obox_list_free(&again);
	return ret;
}

static void assert_changes_do(
	const struct obox_list *base, const struct obox_list *later, const struct obox_list *mine)
{
	struct obox_list *whole = merged(mine, later), *ret;
	struct lab_buf bytes;

	lab_buf_init(&bytes, heap, 1u << 20);
	obox_list_encode_changes(base, later, &bytes);
	DONE(obox_list_merge_changes(mine, lab_buf_view(&bytes), &ret, &err));
	assert_true(are_equal(whole, ret));
	obox_list_free(&whole);
	obox_list_free(&ret);
	lab_buf_done(&bytes);
}

/* "a b c", by name. */
static void assert_names(const struct obox_list *list, const char *expected)
{
	struct lab_tree *names = lab_tree_new(heap, 1000);
	struct lab_tree_iter iter;
	struct lab_view name;
	struct lab_buf text;
	void *ignored;

	check(list);
	for (size_t i = 0; i < list->folder_count; i++)
		*lab_tree_slot(names, lab_view_cstr(list->folders[i]->name)) = names;
	lab_buf_init(&text, heap, 1u << 20);
	iter = lab_tree_iterate(names, LAB_VIEW(""));
	while (lab_tree_next(&iter, &name, &ignored))
		lab_buf_printf(&text, "%s%.*s", text.len == 0 ? "" : " ", LAB_VIEW_ARG(name));
	assert_string_equal(lab_buf_cstr(&text), expected);
	lab_buf_done(&text);
	lab_tree_free(&names);
}

static void create(struct obox_list *list, uint64_t author, unsigned n, const char *name)
{
	DONE(obox_list_create(list, author, guid(n), lab_view_cstr(name), 100 + n, &err));
	check(list);
}

static void rename_to(struct obox_list *list, uint64_t author, const char *from, const char *to)
{
	DONE(obox_list_rename(list, author, lab_view_cstr(from), lab_view_cstr(to), &err));
	check(list);
}

static void delete_it(struct obox_list *list, uint64_t author, const char *name)
{
	DONE(obox_list_delete(list, author, lab_view_cstr(name), &err));
	check(list);
}

static int subscribe(struct obox_list *list, uint64_t author, const char *name, bool is_on)
{
	struct lab_error err;

	return obox_list_subscribe(list, author, lab_view_cstr(name), is_on, &err);
}

/* ---- one list ---- */

static void folders_are_made_found_and_deleted(void **state)
{
	struct obox_list *list = new_list();

	(void)state;
	DONE(obox_list_create(list, 1, inbox_guid, LAB_VIEW("InBox"), 5, &err));
	create(list, 1, 3, "b");
	create(list, 1, 2, "a/c");
	assert_names(list, "INBOX a/c b");
	assert_int_equal(obox_list_find(list, LAB_VIEW("b"))->uidvalidity, 103);
	assert_null(obox_list_find(list, LAB_VIEW("a")));
	assert_null(obox_list_find_guid(list, guid(9)));
	assert_int_equal(list->last_uidvalidity, 103);
	delete_it(list, 1, "b");
	assert_names(list, "INBOX a/c");
	assert_int_equal(list->last_uidvalidity, 103);
	create(list, 1, 4, "b");
	assert_int_equal(obox_list_find(list, LAB_VIEW("b"))->guid[0], 4);
	obox_list_free(&list);
}

static void what_cannot_be_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = { "", "/a", "a/", "a//b", "/", "a\nb", "\x7f" };
	struct obox_list *list = new_list();
	char name[OBOX_FOLDER_NAME_MAX + 2];

	(void)state;
	DONE(obox_list_create(list, 1, inbox_guid, LAB_VIEW("INBOX"), 5, &err));
	create(list, 1, 2, "a");
	create(list, 1, 3, "a/b");
	create(list, 1, 4, "x/b");
	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++)
		REFUSED(obox_list_create(list, 1, guid(9), lab_view_cstr(bad[i]), 1, &err),
			LAB_INVALID);
	REFUSED(obox_list_create(list, 1, guid(9), LAB_VIEW("a\0b"), 1, &err), LAB_INVALID);
	memset(name, 'n', sizeof(name));
	REFUSED(obox_list_create(list, 1, guid(9), lab_view_of(name, 256), 1, &err), LAB_INVALID);
	REFUSED(obox_list_create(list, 1, guid(9), LAB_VIEW("a"), 1, &err), LAB_EXISTS);
	REFUSED(obox_list_create(list, 1, guid(2), LAB_VIEW("c"), 1, &err), LAB_EXISTS);
	REFUSED(obox_list_create(list, 1, guid(9), LAB_VIEW("inbox"), 1, &err), LAB_INVALID);
	REFUSED(obox_list_create(list, 1, inbox_guid, LAB_VIEW("c"), 1, &err), LAB_INVALID);
	REFUSED(obox_list_delete(list, 1, LAB_VIEW("inbox"), &err), LAB_INVALID);
	REFUSED(obox_list_delete(list, 1, LAB_VIEW("c"), &err), LAB_NOT_FOUND);
	REFUSED(obox_list_delete(list, 1, LAB_VIEW("x"), &err), LAB_NOT_FOUND);
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("inbox"), LAB_VIEW("c"), &err), LAB_INVALID);
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("a"), LAB_VIEW("Inbox"), &err), LAB_INVALID);
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("a"), LAB_VIEW("a/c"), &err), LAB_INVALID);
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("a"), LAB_VIEW("a/b"), &err), LAB_INVALID);
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("a"), LAB_VIEW("a"), &err), LAB_EXISTS);
	/* Not the folder, but what is below it. */
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("a"), LAB_VIEW("x"), &err), LAB_EXISTS);
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("c"), LAB_VIEW("d"), &err), LAB_NOT_FOUND);
	REFUSED(obox_list_rename(list, 1, LAB_VIEW("a"), lab_view_of(name, 254), &err),
		LAB_INVALID);
	REFUSED(obox_list_set_special_use(list, 1, LAB_VIEW("c"), LAB_VIEW("\\Sent"), &err),
		LAB_NOT_FOUND);
	REFUSED(obox_list_set_special_use(list, 1, LAB_VIEW("a"), LAB_VIEW("Sent"), &err),
		LAB_INVALID);
	REFUSED(obox_list_set_special_use(list, 1, LAB_VIEW("a"), LAB_VIEW("\\S t"), &err),
		LAB_INVALID);
	REFUSED(obox_list_subscribe(list, 1, LAB_VIEW("a//b"), true, &err), LAB_INVALID);
	assert_names(list, "INBOX a a/b x/b");
	obox_list_free(&list);
}

static void a_rename_takes_along_what_is_below(void **state)
{
	struct obox_list *list = new_list();

	(void)state;
	create(list, 1, 1, "a");
	create(list, 1, 2, "a/b");
	create(list, 1, 3, "a/b/c");
	create(list, 1, 4, "ab");
	rename_to(list, 1, "a", "z/y");
	assert_names(list, "ab z/y z/y/b z/y/b/c");
	assert_int_equal(obox_list_find(list, LAB_VIEW("z/y/b/c"))->guid[0], 3);
	/* To where it was, and upwards. */
	rename_to(list, 1, "z/y", "z");
	assert_names(list, "ab z z/b z/b/c");
	obox_list_free(&list);
}

static void special_use_and_subscriptions(void **state)
{
	struct obox_list *list = new_list();

	(void)state;
	create(list, 1, 1, "Sent");
	assert_string_equal(obox_list_find(list, LAB_VIEW("Sent"))->special_use, "");
	assert_int_equal(
		obox_list_set_special_use(list, 1, LAB_VIEW("Sent"), LAB_VIEW("\\Sent"), NULL), 1);
	assert_int_equal(
		obox_list_set_special_use(list, 1, LAB_VIEW("Sent"), LAB_VIEW("\\Sent"), NULL), 0);
	assert_string_equal(obox_list_find(list, LAB_VIEW("Sent"))->special_use, "\\Sent");
	/* Of a folder that is not there, too. */
	assert_int_equal(subscribe(list, 1, "x/y", true), 1);
	assert_int_equal(subscribe(list, 1, "x/y", true), 0);
	assert_int_equal(subscribe(list, 1, "inbox", true), 1);
	assert_true(obox_list_is_subscribed(list, LAB_VIEW("x/y")));
	assert_true(obox_list_is_subscribed(list, LAB_VIEW("INBOX")));
	assert_false(obox_list_is_subscribed(list, LAB_VIEW("Sent")));
	/* A rename and a delete leave subscriptions alone (RFC 3501). */
	assert_int_equal(subscribe(list, 1, "Sent", true), 1);
	rename_to(list, 1, "Sent", "Gone");
	delete_it(list, 1, "Gone");
	assert_true(obox_list_is_subscribed(list, LAB_VIEW("Sent")));
	assert_int_equal(subscribe(list, 1, "x/y", false), 1);
	assert_int_equal(subscribe(list, 1, "x/y", false), 0);
	assert_false(obox_list_is_subscribed(list, LAB_VIEW("x/y")));
	obox_list_free(&list);
}

static void marks_count(void **state)
{
	struct obox_list *a = new_list(), *b, *both;

	(void)state;
	DONE(obox_list_mark(a, LAB_VIEW("m"), 1, &err));
	DONE(obox_list_mark(a, LAB_VIEW("z"), 1, &err));
	b = copy(a);
	DONE(obox_list_mark(a, LAB_VIEW("m"), 1, &err));
	DONE(obox_list_mark(b, LAB_VIEW("b"), 1, &err));
	both = merged(a, b);
	assert_int_equal(obox_list_mark_of(both, LAB_VIEW("m")), 2);
	assert_int_equal(obox_list_mark_of(both, LAB_VIEW("b")), 1);
	assert_int_equal(obox_list_mark_of(both, LAB_VIEW("z")), 1);
	assert_int_equal(obox_list_mark_of(both, LAB_VIEW("q")), 0);
	obox_list_free(&a);
	obox_list_free(&b);
	obox_list_free(&both);
}

/* ---- two at the same time ---- */

struct two {
	struct obox_list *a, *b, *both;
};

/* Both have "one" and "two" with "two/sub". */
static struct two begin_two(void)
{
	struct two t = { .a = new_list() };

	DONE(obox_list_create(t.a, 1, inbox_guid, LAB_VIEW("INBOX"), 5, &err));
	create(t.a, 1, 1, "one");
	create(t.a, 1, 2, "two");
	create(t.a, 1, 3, "two/sub");
	t.b = copy(t.a);
	return t;
}

static void merge_two(struct two *t)
{
	obox_list_free(&t->both);
	t->both = merged(t->a, t->b);
}

static void end_two(struct two *t)
{
	obox_list_free(&t->a);
	obox_list_free(&t->b);
	obox_list_free(&t->both);
}

static void of_two_renames_the_later_holds(void **state)
{
	struct two t = begin_two();

	(void)state;
	rename_to(t.a, 1, "one", "A");
	rename_to(t.b, 2, "one", "B");
	/* At the same time: the author decides, for all in the same way. */
	merge_two(&t);
	assert_names(t.both, "B INBOX two two/sub");
	rename_to(t.a, 1, "A", "A2");
	merge_two(&t);
	assert_names(t.both, "A2 INBOX two two/sub");
	end_two(&t);
}

static void a_delete_wins_over_a_rename(void **state)
{
	struct two t = begin_two();

	(void)state;
	delete_it(t.a, 1, "two");
	rename_to(t.b, 2, "two", "B");
	rename_to(t.b, 2, "B", "B2");
	merge_two(&t);
	assert_names(t.both, "B2/sub INBOX one");
	end_two(&t);
}

static void of_two_folders_of_one_name_the_later_made_gets_another(void **state)
{
	struct two t = begin_two();

	(void)state;
	create(t.a, 1, 0x51, "new");
	create(t.b, 2, 0x11, "new");
	merge_two(&t);
	assert_names(t.both, "INBOX new new-11000000 one two two/sub");
	assert_int_equal(obox_list_find(t.both, LAB_VIEW("new"))->guid[0], 0x51);
	/* The other goes: that renames nothing. */
	delete_it(t.both, 3, "new");
	assert_names(t.both, "INBOX new-11000000 one two two/sub");
	end_two(&t);
}

/* Each change gives those of a clash for good, and makes all names anew. */
static void names_may_be_the_list_s_own(void **state)
{
	struct two t = begin_two();
	struct lab_error err;
	struct lab_view key;

	(void)state;
	create(t.a, 1, 0x51, "new");
	create(t.b, 2, 0x11, "new");
	merge_two(&t);
	assert_int_equal(obox_list_rename(t.both, 3,
				 lab_view_cstr(obox_list_find(t.both, LAB_VIEW("new"))->name),
				 LAB_VIEW("other"), &err),
		0);
	assert_names(t.both, "INBOX new-11000000 one other two two/sub");
	assert_int_equal(
		obox_list_delete(t.both, 3,
			lab_view_cstr(obox_list_find(t.both, LAB_VIEW("one"))->name), &err),
		0);
	assert_names(t.both, "INBOX new-11000000 other two two/sub");
	assert_int_equal(obox_list_subscribe(t.both, 3, LAB_VIEW("two"), true, &err), 1);
	key = t.both->entries[OBOX_LIST_SUBSCRIPTIONS].items[0]->key;
	assert_int_equal(obox_list_subscribe(t.both, 3, key, false, &err), 1);
	assert_false(obox_list_is_subscribed(t.both, LAB_VIEW("two")));
	end_two(&t);
}

static void a_clash_keeps_clear_of_names_that_are_there(void **state)
{
	struct two t = begin_two();

	(void)state;
	create(t.a, 1, 0x51, "new");
	create(t.a, 1, 0x52, "new-11000000");
	create(t.a, 1, 0x53, "new-11000000000000000000000000000007");
	create(t.b, 2, 0x11, "new");
	merge_two(&t);
	assert_int_equal(
		obox_list_find(t.both, LAB_VIEW("new-11000000000000000000000000000007-2"))->guid[0],
		0x11);
	assert_int_equal(t.both->folder_count, 8);
	end_two(&t);
}

static void a_clash_of_long_names_is_cut_between_characters(void **state)
{
	struct two t = begin_two();
	char name[OBOX_FOLDER_NAME_MAX + 1] = { 0 };

	(void)state;
	memset(name, 'a', 245);
	memcpy(name + 245, "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", 10);
	create(t.a, 1, 0x51, name);
	create(t.b, 2, 0x11, name);
	merge_two(&t);
	name[245] = '\0';
	memcpy(name + 245, "-11000000", 10);
	assert_non_null(obox_list_find(t.both, lab_view_cstr(name)));
	end_two(&t);
}

static void a_rename_to_a_name_that_another_host_gives_clashes_too(void **state)
{
	struct two t = begin_two();

	(void)state;
	rename_to(t.a, 1, "two", "same");
	create(t.b, 2, 0x11, "same");
	merge_two(&t);
	/* That which was made first keeps the name, whenever it got it. */
	assert_int_equal(obox_list_find(t.both, LAB_VIEW("same"))->guid[0], 2);
	assert_names(t.both, "INBOX one same same-11000000 same/sub");
	end_two(&t);
}

static void inbox_is_one_whoever_makes_it(void **state)
{
	struct obox_list *a = new_list(), *b = new_list(), *both;

	(void)state;
	DONE(obox_list_create(a, 1, inbox_guid, LAB_VIEW("INBOX"), 5, &err));
	DONE(obox_list_create(b, 2, inbox_guid, LAB_VIEW("INBOX"), 7, &err));
	both = merged(a, b);
	assert_names(both, "INBOX");
	assert_int_equal(both->folders[0]->uidvalidity, 7);
	obox_list_free(&a);
	obox_list_free(&b);
	obox_list_free(&both);
}

static void what_is_made_below_a_folder_that_is_renamed_stays_there(void **state)
{
	struct two t = begin_two();

	(void)state;
	rename_to(t.a, 1, "two", "2");
	create(t.b, 2, 0x11, "two/new");
	rename_to(t.b, 2, "two/sub", "sub");
	merge_two(&t);
	/* The child's own rename is as late as the parent's, and of the higher author. */
	assert_names(t.both, "2 INBOX one sub two/new");
	end_two(&t);
}

static void a_subscription_that_another_host_makes_stays(void **state)
{
	struct two t = begin_two();

	(void)state;
	subscribe(t.a, 1, "one", true);
	subscribe(t.b, 2, "two", true);
	merge_two(&t);
	end_two(&(struct two){ t.a, t.b, NULL });
	t.a = copy(t.both);
	t.b = copy(t.both);
	assert_int_equal(subscribe(t.a, 1, "one", false), 1);
	assert_int_equal(subscribe(t.b, 2, "two", false), 1);
	assert_int_equal(subscribe(t.b, 2, "two", true), 1);
	assert_int_equal(subscribe(t.a, 1, "two", false), 1);
	merge_two(&t);
	assert_false(obox_list_is_subscribed(t.both, LAB_VIEW("one")));
	assert_true(obox_list_is_subscribed(t.both, LAB_VIEW("two")));
	end_two(&t);
}

/* A folder that was lost, found by two hosts; one of them deletes it before it knows the other. */
static void a_folder_that_two_hosts_found_again_is_one(void **state)
{
	struct obox_list *a = new_list(), *b = new_list(), *c, *ab, *left, *right;

	(void)state;
	create(a, 1, 9, "lost");
	create(b, 2, 9, "found");
	c = copy(b);
	rename_to(a, 1, "lost", "kept");
	delete_it(c, 3, "found");
	ab = merged(a, b);
	assert_names(ab, "kept");
	/* Whatever is merged first, what was deleted leaves nothing behind. */
	left = merged(ab, c);
	right = merged(b, c);
	obox_list_free(&ab);
	ab = merged(a, right);
	assert_true(are_equal(left, ab));
	assert_names(left, "kept");
	delete_it(left, 1, "kept");
	assert_names(left, "");
	obox_list_free(&right);
	right = merged(left, a);
	assert_names(right, "");
	obox_list_free(&a);
	obox_list_free(&b);
	obox_list_free(&c);
	obox_list_free(&ab);
	obox_list_free(&left);
	obox_list_free(&right);
}

static void lists_of_different_users_are_not_merged(void **state)
{
	struct obox_list *a = new_list(), *b = obox_list_new(heap, guid(1)), *both;
	struct lab_error err;

	(void)state;
	assert_int_equal(obox_list_merge(a, b, &both, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_null(both);
	obox_list_free(&a);
	obox_list_free(&b);
}

/* ---- every pair of short histories ---- */

#define OPS 12
#define EXHAUSTIVE_LEN 2

/* Whatever cannot be done is not. */
static void do_op(struct obox_list *list, uint64_t author, unsigned op, unsigned fresh)
{
	struct lab_error err;

	switch (op) {
	case 0:
		(void)obox_list_create(list, author, guid(fresh), LAB_VIEW("one"), fresh, &err);
		break;
	case 1:
		(void)obox_list_create(list, author, guid(fresh), LAB_VIEW("two/new"), fresh, &err);
		break;
	case 2:
		(void)obox_list_rename(list, author, LAB_VIEW("one"), LAB_VIEW("two/new"), &err);
		break;
	case 3:
		(void)obox_list_rename(list, author, LAB_VIEW("two"), LAB_VIEW("one"), &err);
		break;
	case 4:
		(void)obox_list_rename(list, author, LAB_VIEW("two"), LAB_VIEW("2"), &err);
		break;
	case 5:
		(void)obox_list_delete(list, author, LAB_VIEW("one"), &err);
		break;
	case 6:
		(void)obox_list_delete(list, author, LAB_VIEW("two"), &err);
		break;
	case 7:
		(void)obox_list_delete(list, author, LAB_VIEW("two/sub"), &err);
		break;
	case 8:
		(void)obox_list_set_special_use(
			list, author, LAB_VIEW("one"), LAB_VIEW("\\Junk"), &err);
		break;
	case 9:
		(void)obox_list_subscribe(list, author, LAB_VIEW("one"), true, &err);
		break;
	case 10:
		(void)obox_list_subscribe(list, author, LAB_VIEW("one"), false, &err);
		break;
	default:
		(void)obox_list_mark(list, author == 1 ? LAB_VIEW("h1") : LAB_VIEW("h2"), 1, &err);
		break;
	}
	check(list);
}

static void assert_triple(
	const struct obox_list *a, const struct obox_list *b, const struct obox_list *c)
{
	struct obox_list *ab = merged(a, b), *bc = merged(b, c);
	struct obox_list *left = merged(ab, c), *right = merged(a, bc);

	assert_true(are_equal(left, right));
	obox_list_free(&ab);
	obox_list_free(&bc);
	obox_list_free(&left);
	obox_list_free(&right);
}

static struct obox_list *history_of(const struct obox_list *base, uint64_t author, unsigned code)
{
	struct obox_list *list = copy(base);

	for (unsigned i = 0; i < EXHAUSTIVE_LEN; i++, code /= OPS + 1) {
		if (code % (OPS + 1) < OPS)
			do_op(list, author, code % (OPS + 1), (unsigned)(author * 10 + i));
	}
	return list;
}

/* Every folder of the base is in the merge unless one side deleted it, and every new one. */
static void assert_folders(const struct obox_list *base, const struct obox_list *a,
	const struct obox_list *b, const struct obox_list *both)
{
	for (unsigned n = 0; n < 256; n++) {
		bool was = obox_list_find_guid(base, guid(n)) != NULL;
		bool in_a = obox_list_find_guid(a, guid(n)) != NULL;
		bool in_b = obox_list_find_guid(b, guid(n)) != NULL;
		bool is = obox_list_find_guid(both, guid(n)) != NULL;

		assert_row(n, is == (was ? in_a && in_b : in_a || in_b));
	}
}

static void every_pair_of_short_histories(void **state)
{
	unsigned count = (OPS + 1) * (OPS + 1), pairs = 0;
	struct two t = begin_two();

	(void)state;
	subscribe(t.a, 1, "one", true);
	for (unsigned x = 0; x < count; x++) {
		struct obox_list *a = history_of(t.a, 1, x);

		for (unsigned y = 0; y < count; y++, pairs++) {
			struct obox_list *b = history_of(t.a, 2, y), *both = merged(a, b);

			assert_folders(t.a, a, b, both);
			assert_changes_do(t.a, b, a);
			assert_changes_do(t.a, both, a);
			if (y % 7 == 0)
				assert_triple(a, b, t.b);
			obox_list_free(&both);
			obox_list_free(&b);
		}
		obox_list_free(&a);
	}
	assert_int_equal(pairs, 28561);
	end_two(&t);
}

/* ---- hosts that change and exchange at random ---- */

#define HOSTS 4
#define STEPS 60

struct world {
	uint64_t seed, ordinal;
	unsigned hosts, made;
	struct obox_list *lists[HOSTS], *bases[HOSTS];
	bool deleted[256];
};

static uint64_t pick(struct world *w, uint64_t n)
{
	return lab_pick(lab_draw(w->seed, "list", 0, w->ordinal++), n);
}

static struct lab_view any_name(struct world *w)
{
	static const char *const names[] = { "a", "a/b", "a/b/c", "b", "c/a", "a-14000000" };

	return lab_view_cstr(names[pick(w, LAB_COUNT_OF(names))]);
}

static void random_change(struct world *w, unsigned host)
{
	struct obox_list *list = w->lists[host];
	struct lab_view name = any_name(w);
	uint64_t author = 10 - host, what = pick(w, 8);
	struct lab_error err;

	if (what < 3) {
		if (w->made < 250 &&
			obox_list_create(list, author, guid(w->made), name, w->made + 1, &err) == 0)
			w->made++;
	} else if (what == 3) {
		const struct obox_list_folder *folder = obox_list_find(list, name);
		unsigned n = folder == NULL ? 0 : folder->guid[0];

		if (obox_list_delete(list, author, name, &err) == 0)
			w->deleted[n] = true;
	} else if (what == 4) {
		(void)obox_list_subscribe(list, author, name, pick(w, 2) == 0, &err);
	} else if (what == 5) {
		assert_int_equal(obox_list_mark(list, LAB_VIEW("host"), 1, &err), 0);
		(void)obox_list_set_special_use(list, author, name, LAB_VIEW("\\Sent"), &err);
	} else {
		(void)obox_list_rename(list, author, name, any_name(w), &err);
	}
	check(list);
}

/* As a whole, or as the changes since some time that the reader may have seen or not. */
static void random_exchange(struct world *w, unsigned from, unsigned to)
{
	struct obox_list *ret;
	struct lab_buf bytes;
	struct lab_error err;

	if (pick(w, 2) == 0) {
		ret = merged(w->lists[to], w->lists[from]);
	} else {
		lab_buf_init(&bytes, heap, 1u << 20);
		obox_list_encode_changes(w->bases[from], w->lists[from], &bytes);
		if (obox_list_merge_changes(w->lists[to], lab_buf_view(&bytes), &ret, &err) < 0) {
			assert_int_equal(err.code, LAB_NOT_FOUND);
			assert_null(ret);
		} else {
			assert_changes_do(w->bases[from], w->lists[from], w->lists[to]);
		}
		lab_buf_done(&bytes);
	}
	if (ret == NULL)
		return;
	obox_list_free(&w->lists[to]);
	w->lists[to] = ret;
	if (pick(w, 3) == 0) {
		obox_list_free(&w->bases[to]);
		w->bases[to] = copy(ret);
	}
}

/* Everybody gets everything, in some order. */
static void settle_world(struct world *w)
{
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0, start = (unsigned)pick(w, w->hosts); i < w->hosts; i++) {
			unsigned to = (start + i) % w->hosts;

			for (unsigned from = 0; from < w->hosts; from++) {
				struct obox_list *ret = merged(w->lists[to], w->lists[from]);

				obox_list_free(&w->lists[to]);
				w->lists[to] = ret;
			}
		}
	}
}

static void run_world(uint64_t seed)
{
	struct world w = { .seed = seed, .hosts = 2 + (unsigned)(seed % 3), .made = 20 };

	for (unsigned i = 0; i < w.hosts; i++) {
		w.lists[i] = new_list();
		w.bases[i] = new_list();
	}
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned host = (unsigned)pick(&w, w.hosts), other = (unsigned)pick(&w, w.hosts);

		if (pick(&w, 3) > 0)
			random_change(&w, host);
		else
			random_exchange(&w, host, other);
	}
	assert_triple(w.lists[0], w.lists[1], w.lists[w.hosts - 1]);
	settle_world(&w);
	for (unsigned i = 0; i < w.hosts; i++) {
		assert_true(are_equal(w.lists[0], w.lists[i]));
		for (unsigned n = 20; n < w.made; n++)
			assert_row(n,
				(obox_list_find_guid(w.lists[i], guid(n)) == NULL) == w.deleted[n]);
	}
	for (unsigned i = 0; i < w.hosts; i++) {
		obox_list_free(&w.lists[i]);
		obox_list_free(&w.bases[i]);
	}
}

static void hosts_end_with_one_list_however_they_exchange(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 1500; seed++)
		run_world(seed);
}

/* ---- bytes ---- */

static struct obox_list *rich_list(void)
{
	struct two t = begin_two();

	create(t.a, 1, 0x51, "new");
	create(t.b, 2, 0x11, "new");
	subscribe(t.a, 1, "one", true);
	subscribe(t.b, 2, "one", true);
	DONE(obox_list_set_special_use(t.b, 2, LAB_VIEW("two"), LAB_VIEW("\\Sent"), &err));
	DONE(obox_list_mark(t.a, LAB_VIEW("h1"), 1, &err));
	DONE(obox_list_mark(t.b, LAB_VIEW("h2"), 1, &err));
	merge_two(&t);
	obox_list_free(&t.a);
	obox_list_free(&t.b);
	return t.both;
}

/* What is believed is written as it was read: there are no two forms of one list. */
static void no_byte_is_there_for_nothing(void **state)
{
	struct obox_list *list = rich_list(), *read;
	struct lab_buf bytes = encoded(list);
	unsigned refused = 0, other = 0;
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i < bytes.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes.data[i] ^= (uint8_t)(1u << bit);
			if (obox_list_decode(heap, lab_buf_view(&bytes), &read, &err) == 0) {
				struct lab_buf again = encoded(read);

				assert_row(
					i, lab_view_eq(lab_buf_view(&again), lab_buf_view(&bytes)));
				check(read);
				lab_buf_done(&again);
				obox_list_free(&read);
				other++;
			} else {
				assert_true(err.code == LAB_CORRUPT || err.code == LAB_UNSUPPORTED);
				assert_null(read);
				refused++;
			}
			bytes.data[i] ^= (uint8_t)(1u << bit);
		}
	}
	assert_true(refused > 1000 && other > 1000);
	bytes.data[lab_view_find(lab_buf_view(&bytes), LAB_VIEW("h2")) + 1] = '1';
	assert_int_equal(obox_list_decode(heap, lab_buf_view(&bytes), &read, &err), -1);
	for (size_t len = 0; len < bytes.len; len++) {
		assert_int_equal(
			obox_list_decode(heap, lab_view_of(bytes.data, len), &read, &err), -1);
		assert_row(len, err.code == LAB_CORRUPT);
	}
	lab_buf_append_byte(&bytes, 0);
	assert_int_equal(obox_list_decode(heap, lab_buf_view(&bytes), &read, &err), -1);
	lab_buf_done(&bytes);
	obox_list_free(&list);
}

static void a_later_version_is_not_called_corrupt(void **state)
{
	struct obox_list *list = rich_list(), *read;
	struct lab_buf bytes = encoded(list);
	struct lab_error err;

	(void)state;
	bytes.data[0] = 3;
	assert_int_equal(obox_list_decode(heap, lab_buf_view(&bytes), &read, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
	assert_int_equal(obox_list_merge_changes(list, lab_buf_view(&bytes), &read, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
	lab_buf_done(&bytes);
	obox_list_free(&list);
}

static const struct obox_list_entries *deleted_of(const struct obox_list *list)
{
	return &list->entries[OBOX_LIST_DELETED];
}

static void deleted_folders_are_remembered(void **state)
{
	struct obox_list *list = rich_list(), *base = rich_list(), *read, *merged;
	struct lab_buf bytes, changes;
	struct lab_error err;

	(void)state;
	bytes = encoded(list);
	assert_int_equal(bytes.data[0], 1);
	lab_buf_done(&bytes);
	assert_int_equal(obox_list_remember_deleted(list, 7, guid(0x77), LAB_VIEW("was/here"), 1234,
				 LAB_VIEW("\\ab"), &err),
		0);
	bytes = encoded(list);
	assert_int_equal(bytes.data[0], 2);
	assert_int_equal(obox_list_decode(heap, lab_buf_view(&bytes), &read, &err), 0);
	assert_int_equal(deleted_of(read)->count, 1);
	assert_string_equal(deleted_of(read)->items[0]->name.value, "was/here");
	assert_string_equal(deleted_of(read)->items[0]->special_use.value, "\\ab");
	assert_int_equal(deleted_of(read)->items[0]->uidvalidity, 1234);
	assert_int_equal(read->folder_count, list->folder_count);
	obox_list_free(&read);
	/* As changes of what had none, and of what had one that is gone. */
	lab_buf_init(&changes, heap, 65536);
	obox_list_encode_changes(base, list, &changes);
	assert_int_equal(obox_list_merge_changes(base, lab_buf_view(&changes), &merged, &err), 0);
	assert_int_equal(deleted_of(merged)->count, 1);
	obox_list_forget_deleted(merged, 1234);
	assert_int_equal(deleted_of(merged)->count, 1);
	obox_list_forget_deleted(merged, 1235);
	assert_int_equal(deleted_of(merged)->count, 0);
	lab_buf_reset(&changes);
	obox_list_encode_changes(list, merged, &changes);
	assert_int_equal(obox_list_merge_changes(list, lab_buf_view(&changes), &read, &err), 0);
	assert_int_equal(deleted_of(read)->count, 0);
	obox_list_free(&read);
	assert_int_equal(obox_list_merge(list, merged, &read, &err), 0);
	assert_int_equal(deleted_of(read)->count, 0);
	obox_list_free(&read);
	for (size_t n = 2; n < bytes.len; n++) {
		assert_int_equal(
			obox_list_decode(heap, lab_view_of(bytes.data, n), &read, &err), -1);
		assert_null(read);
	}
	lab_buf_done(&changes);
	lab_buf_done(&bytes);
	obox_list_free(&merged);
	obox_list_free(&base);
	obox_list_free(&list);
}

static void of_deleted_folders_the_oldest_are_forgotten_first(void **state)
{
	struct obox_list *list = rich_list();
	uint8_t name[ENV_GUID128_SIZE] = { 0 };
	struct lab_error err;
	uint32_t least = UINT32_MAX;

	(void)state;
	for (uint32_t i = 0; i < OBOX_LIST_DELETED_MAX + 10; i++) {
		name[0] = (uint8_t)(i * 7), name[1] = (uint8_t)(i >> 8), name[2] = (uint8_t)i;
		assert_int_equal(obox_list_remember_deleted(
					 list, 7, name, LAB_VIEW("x"), 100 + i, LAB_VIEW(""), &err),
			0);
	}
	assert_int_equal(deleted_of(list)->count, OBOX_LIST_DELETED_MAX);
	for (size_t i = 0; i < deleted_of(list)->count; i++)
		least = LAB_MIN(least, deleted_of(list)->items[i]->uidvalidity);
	assert_int_equal(least, 110);
	obox_list_free(&list);
}

static void changes_of_what_was_not_seen_are_not_applied(void **state)
{
	struct two t = begin_two();
	struct obox_list *base, *ret;
	struct lab_buf bytes;
	struct lab_error err;

	(void)state;
	create(t.a, 1, 0x51, "new");
	base = copy(t.a);
	rename_to(t.a, 1, "one", "1");
	lab_buf_init(&bytes, heap, 1u << 20);
	obox_list_encode_changes(base, t.a, &bytes);
	assert_int_equal(obox_list_merge_changes(t.b, lab_buf_view(&bytes), &ret, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_changes_do(base, t.a, base);
	/* Whole lists are no changes, and the other way round. */
	assert_int_equal(obox_list_decode(heap, lab_buf_view(&bytes), &ret, &err), -1);
	lab_buf_done(&bytes);
	bytes = encoded(t.a);
	assert_int_equal(obox_list_merge_changes(t.b, lab_buf_view(&bytes), &ret, &err), -1);
	assert_int_equal(err.code, LAB_CORRUPT);
	lab_buf_done(&bytes);
	obox_list_free(&base);
	end_two(&t);
}

static void changes_are_small(void **state)
{
	struct obox_list *base = new_list(), *later;
	struct lab_buf bytes;

	(void)state;
	for (unsigned n = 0; n < 200; n++) {
		char name[16];

		snprintf(name, sizeof(name), "folder%u", n);
		create(base, 1, n, name);
	}
	later = copy(base);
	DONE(obox_list_mark(later, LAB_VIEW("host"), 1, &err));
	lab_buf_init(&bytes, heap, 1u << 20);
	obox_list_encode_changes(base, later, &bytes);
	assert_true(bytes.len < 120);
	delete_it(later, 1, "folder7");
	create(later, 1, 201, "folder7");
	lab_buf_reset(&bytes);
	obox_list_encode_changes(base, later, &bytes);
	assert_true(bytes.len < 300);
	assert_changes_do(base, later, base);
	lab_buf_done(&bytes);
	obox_list_free(&base);
	obox_list_free(&later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(folders_are_made_found_and_deleted),
		TEST(what_cannot_be_is_refused_and_changes_nothing),
		TEST(a_rename_takes_along_what_is_below),
		TEST(special_use_and_subscriptions),
		TEST(marks_count),
		TEST(of_two_renames_the_later_holds),
		TEST(a_delete_wins_over_a_rename),
		TEST(of_two_folders_of_one_name_the_later_made_gets_another),
		TEST(names_may_be_the_list_s_own),
		TEST(a_clash_keeps_clear_of_names_that_are_there),
		TEST(a_clash_of_long_names_is_cut_between_characters),
		TEST(a_rename_to_a_name_that_another_host_gives_clashes_too),
		TEST(inbox_is_one_whoever_makes_it),
		TEST(what_is_made_below_a_folder_that_is_renamed_stays_there),
		TEST(a_subscription_that_another_host_makes_stays),
		TEST(a_folder_that_two_hosts_found_again_is_one),
		TEST(lists_of_different_users_are_not_merged),
		TEST(every_pair_of_short_histories),
		TEST(hosts_end_with_one_list_however_they_exchange),
		TEST(no_byte_is_there_for_nothing),
		TEST(a_later_version_is_not_called_corrupt),
		TEST(deleted_folders_are_remembered),
		TEST(of_deleted_folders_the_oldest_are_forgotten_first),
		TEST(changes_of_what_was_not_seen_are_not_applied),
		TEST(changes_are_small),
	};

	return cmocka_run_group_tests_name("list-state", tests, NULL, NULL);
}
