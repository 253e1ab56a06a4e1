/* SPDX-License-Identifier: Apache-2.0
 *
 * What the metacache knows of the disk: over a stop and after a crash, of a damaged userdb, of
 * drift; and that users who are not open are cleaned without losing anything.
 */
#include "core/obox/test-support.h"

#include "core/obox/metacache-private.h"

#define HOME "/var/vmail/example.com/user"
#define USERDB "/var/lib/dovecot/metacache/metacache-users.db"

static struct metacache *metacache_of(const struct node *node)
{
	return backend_get_metacache(node->backend);
}

static struct env *env_of(const struct node *node)
{
	return node->rig->hosts[node->host].env;
}

static uint64_t size_of(struct node *node, const char *path)
{
	struct env_stat stat;
	struct lab_error ignored;

	return env_stat(env_of(node), path, &stat, &ignored) < 0 ? 0 : stat.size;
}

/* Root and folders, by a walk of its own. */
static uint64_t on_disk(struct node *node)
{
	struct lab_arena *arena = lab_arena_new(env_of(node)->heap, 1u << 20);
	uint64_t bytes = size_of(node, HOME "/obox.root");
	struct lab_view *names;
	struct lab_error err;
	size_t count = 0;

	OK(env_list(env_of(node), HOME "/mailboxes", 1000, arena, &names, &count, &err));
	for (size_t i = 0; i < count; i++)
		bytes +=
			size_of(node, lab_arena_printf(arena, HOME "/mailboxes/%.*s/obox.index.log",
					      LAB_VIEW_ARG(names[i])));
	lab_arena_free(&arena);
	return bytes;
}

static void fill(struct node *node, const char *name, unsigned count)
{
	struct obox_mailbox *box = box_open(node, name);

	for (unsigned i = 0; i < count; i++)
		deliver(box, "x");
	obox_mailbox_close(&box);
}

static void fill_two(struct node *node)
{
	fill(node, "INBOX", 9);
	fill(node, "Work", 5);
	/* What the log of the root's first change was. */
	env_sleep(env_of(node), LAB_MINUTE);
}

/* A clean stop and a start, at which nobody opens the user. */
static void start_again(struct node *node)
{
	node_run(node, node_start_backend);
}

static void stop_backend(struct node *node)
{
	backend_stop(&node->backend);
}

static void stop_again(struct node *node)
{
	node_run(node, stop_backend);
}

static void begin(struct node *node, struct rig *rig)
{
	node_start(node, rig, 0);
	node_run(node, fill_two);
}

/* ---- over a stop ---- */

static void is_counted(struct node *node)
{
	assert_true(on_disk(node) > 1000);
	assert_int_equal(metacache_used(metacache_of(node)), on_disk(node));
}

static void a_start_knows_what_a_stop_left(void **state)
{
	struct rig *rig = *state;
	struct node node;

	begin(&node, rig);
	node_stop(&node);
	start_again(&node);
	assert_int_equal(rig->counts.events[LAB_EV_metacache_rescan_finished], 0);
	node_run(&node, is_counted);
	stop_again(&node);
}

static void after_a_crash_the_disk_is_looked_at(void **state)
{
	struct rig *rig = *state;
	struct node node;

	begin(&node, rig);
	world_crash(rig->hosts[0].host, FAULT_DISK_KEEP);
	rig_boot(rig, 0);
	start_again(&node);
	assert_int_equal(rig->counts.events[LAB_EV_metacache_rescan_finished], 1);
	node_run(&node, is_counted);
	stop_again(&node);
}

/* ---- a userdb that is of no use ---- */

static size_t damage_at;
static uint8_t damage_with;
static bool damage_cuts;

static void damage(struct node *node)
{
	struct lab_arena *arena = lab_arena_new(env_of(node)->heap, 1u << 20);
	struct lab_view bytes;
	struct lab_error err;
	uint8_t *copy;

	OK(env_file_load(env_of(node), USERDB, 1u << 20, arena, &bytes, &err));
	copy = lab_arena_alloc(arena, bytes.len);
	memcpy(copy, bytes.ptr, bytes.len);
	if (!damage_cuts)
		copy[damage_at] = damage_with;
	OK(env_file_replace(env_of(node), USERDB,
		lab_view_of(copy, damage_cuts ? damage_at : bytes.len), true, &err));
	lab_arena_free(&arena);
}

static void is_set_aside(struct node *node)
{
	assert_true(size_of(node, USERDB ".damaged") > 0);
	is_counted(node);
}

static void damaged(struct rig *rig, size_t at, uint8_t with, bool cuts)
{
	struct node node;

	damage_at = at;
	damage_with = with;
	damage_cuts = cuts;
	begin(&node, rig);
	node_stop(&node);
	node_run(&node, damage);
	start_again(&node);
	assert_int_equal(rig->counts.events[LAB_EV_metacache_rescan_finished], 1);
	node_run(&node, is_set_aside);
	stop_again(&node);
}

static void a_damaged_userdb_is_set_aside_and_made_again(void **state)
{
	damaged(*state, 60, 0xee, false);
}

static void so_is_one_of_a_later_version(void **state)
{
	damaged(*state, 8, 99, false);
}

static void so_is_one_that_was_cut_off(void **state)
{
	damaged(*state, 40, 0, true);
}

static void a_file_comes_back_as_it_was(void **state)
{
	struct rig *rig = *state;
	struct metacache_users one, two;
	struct metacache_user *user;
	struct lab_view stamp;
	struct lab_buf bytes;
	struct lab_error err;
	struct node node;

	node_init(&node, rig, 0);
	rig_boot(rig, 0);
	metacache_users_init(&one, env_of(&node));
	metacache_users_init(&two, env_of(&node));
	user = metacache_users_get(&one, LAB_VIEW("a@x"), LAB_VIEW("/h/a"));
	metacache_users_count(&one, user, metacache_users_directory(&one, user, ""), 11);
	metacache_users_count(&one, user,
		metacache_users_directory(&one, user, "00112233445566778899aabbccddeeff"), 22);
	OK(metacache_users_set_field(&one, user, LAB_VIEW("group"), LAB_VIEW("g7"), &err));
	lab_buf_init(&bytes, env_of(&node)->heap, 65536);
	metacache_users_encode(&one, LAB_VIEW("0123456789abcdef"), &bytes);
	OK(metacache_users_decode(&two, lab_buf_view(&bytes), 16, &stamp, &err));
	assert_true(lab_view_eq_cstr(stamp, "0123456789abcdef"));
	user = metacache_users_find(&two, LAB_VIEW("a@x"));
	assert_int_equal(two.bytes, 33);
	assert_int_equal(user->bytes, 33);
	assert_string_equal(user->home, "/h/a");
	assert_string_equal(user->fields[0].value, "g7");
	lab_buf_done(&bytes);
	metacache_users_done(&one);
	metacache_users_done(&two);
}

/* ---- drift ---- */

static void lose_a_file(struct node *node)
{
	struct lab_arena *arena = lab_arena_new(env_of(node)->heap, 1u << 20);
	struct metacache *metacache = metacache_of(node);
	struct metacache_scan scan;
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	OK(env_list(env_of(node), HOME "/mailboxes", 10, arena, &names, &count, &err));
	assert_int_equal(count, 2);
	OK(env_unlink(env_of(node),
		lab_arena_printf(
			arena, HOME "/mailboxes/%.*s/obox.index.log", LAB_VIEW_ARG(names[0])),
		&err));
	assert_true(metacache_used(metacache) > on_disk(node));
	OK(metacache_rescan(metacache, "command", &scan, &err));
	assert_true(scan.before > scan.after);
	assert_int_equal(scan.after, on_disk(node));
	assert_int_equal(metacache_used(metacache), on_disk(node));
	lab_arena_free(&arena);
}

static void a_rescan_repairs_what_somebody_else_did(void **state)
{
	struct node node;

	begin(&node, *state);
	node_stop(&node);
	start_again(&node);
	node_run(&node, lose_a_file);
	stop_again(&node);
}

static void use_after_an_hour(struct node *node)
{
	env_sleep(env_of(node), 60 * LAB_MINUTE);
	fill(node, "INBOX", 1);
	env_sleep(env_of(node), LAB_SEC);
	assert_int_equal(node->rig->counts.events[LAB_EV_metacache_rescan_finished], 1);
	fill(node, "INBOX", 1);
	env_sleep(env_of(node), LAB_SEC);
	assert_int_equal(node->rig->counts.events[LAB_EV_metacache_rescan_finished], 1);
}

static void the_interval_rescans_whoever_is_in_use(void **state)
{
	struct rig *rig = *state;
	struct node node;

	node_init(&node, rig, 0);
	node.conf.metacache_rescan_interval_ns = 30 * LAB_MINUTE;
	rig_boot(rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, fill_two);
	node_run(&node, use_after_an_hour);
	node_stop(&node);
}

/* ---- metacache_roots ---- */

static unsigned warnings(struct node *node, const char *roots)
{
	unsigned before = node->rig->counts.events[LAB_EV_log_message];

	node->conf.metacache_roots.text = lab_view_cstr(roots);
	node_run(node, node_start_user);
	node_stop(node);
	return node->rig->counts.events[LAB_EV_log_message] - before;
}

static void a_home_outside_of_the_roots_is_warned_of(void **state)
{
	struct rig *rig = *state;
	struct node node;

	node_init(&node, rig, 0);
	rig_boot(rig, 0);
	assert_int_equal(warnings(&node, ""), 0);
	assert_int_equal(warnings(&node, "/srv:/var/mail"), 1);
	assert_int_equal(warnings(&node, "/var/vm"), 1);
	assert_int_equal(warnings(&node, "/srv:/var/vmail/%d"), 0);
	/* Nobody looks at anything. */
	assert_int_equal(warnings(&node, ":"), 0);
}

/* ---- users who are not open ---- */

static void clean_all(struct node *node)
{
	node_start_backend(node);
	assert_true(metacache_used(metacache_of(node)) > 0);
	assert_int_equal(lab_map_count(backend_get_users(node->backend)), 0);
	assert_int_equal(backend_user_get(node->backend, LAB_VIEW(USER), &node->user, NULL), 0);
	rig_take_storage(node->user->fs);
	rig_take_storage(node->user->index_fs);
	backend_user_release(&node->user);
	assert_int_equal(metacache_clean(metacache_of(node), METACACHE_ROOT, 0), 1);
	assert_int_equal(on_disk(node), 0);
}

static void flag_one(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "Work");
	struct lab_error err;

	OK(obox_store(box, 2, LAB_VIEW("Work"), true, &err));
	obox_mailbox_close(&box);
}

static void read_back(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "Work");

	assert_int_equal(obox_mailbox_count(box), 5);
	assert_true(obox_has_flag(box, 2, LAB_VIEW("Work")));
	/* The size of a mail is in no listing: bundles were uploaded before the indexes went. */
	assert_int_equal(obox_mailbox_mail(box, 4)->size, 1);
	obox_mailbox_close(&box);
}

static void what_a_stop_left_is_uploaded_before_it_goes(void **state)
{
	struct node node;

	begin(&node, *state);
	node_run(&node, flag_one);
	node_stop(&node);
	node_run(&node, clean_all);
	stop_again(&node);
	node_run(&node, node_start_user);
	node_run(&node, read_back);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_start_knows_what_a_stop_left),
		RIG_UNIT_TEST(after_a_crash_the_disk_is_looked_at),
		RIG_UNIT_TEST(a_damaged_userdb_is_set_aside_and_made_again),
		RIG_UNIT_TEST(so_is_one_of_a_later_version),
		RIG_UNIT_TEST(so_is_one_that_was_cut_off),
		RIG_UNIT_TEST(a_file_comes_back_as_it_was),
		RIG_UNIT_TEST(a_rescan_repairs_what_somebody_else_did),
		RIG_UNIT_TEST(the_interval_rescans_whoever_is_in_use),
		RIG_UNIT_TEST(a_home_outside_of_the_roots_is_warned_of),
		RIG_UNIT_TEST(what_a_stop_left_is_uploaded_before_it_goes),
	};

	return cmocka_run_group_tests_name("metacache-space", tests, NULL, NULL);
}
