/* SPDX-License-Identifier: Apache-2.0
 *
 * A user's metacache goes from one backend to another.
 */
#include "core/obox/test-support.h"

#include "core/obox/metacache-commands.h"
#include "core/obox/metacache-pull.h"
#include "core/obox/metacache.h"

#define DOWNLOADS(rig) ((rig)->counts.events[LAB_EV_metacache_mailbox_bundle_download_finished])
#define UPLOADS(rig) ((rig)->counts.events[LAB_EV_metacache_mailbox_bundle_upload_finished])

static struct node nodes[2];
/* What of an answer is altered on its way; SIZE_MAX: nothing. */
static size_t damage_at;
static unsigned asked;
/* metacache_last_host_dict */
static const char *last_host_dict;

struct serving {
	struct node *server;
	struct lab_view request;
	struct lab_buf *answer;
	bool is_done;
};

static void serve(void *arg)
{
	struct serving *serving = arg;

	metacache_serve(serving->server->backend, serving->request, serving->answer);
	serving->is_done = true;
}

/* There are two hosts: the other one is meant. */
static int ask(void *ctx, struct env *env, struct lab_view host, struct lab_view request,
	struct lab_buf *answer, struct lab_error *err)
{
	struct rig *rig = ctx;
	struct serving serving = { .request = request, .answer = answer };

	asked++;
	serving.server = rig->hosts[0].env == env ? &nodes[1] : &nodes[0];
	if (!lab_view_eq_cstr(host, rig->hosts[serving.server->host].env->hostname))
		return lab_fail(err, LAB_REFUSED, "nobody is listening");
	assert_int_equal(
		env_spawn(rig->hosts[serving.server->host].env, "doveadm", serve, &serving, err),
		0);
	while (!serving.is_done)
		env_sleep(env, LAB_MSEC);
	if (damage_at != SIZE_MAX && answer->len > damage_at)
		answer->data[damage_at] ^= 1;
	return 0;
}

static void start(struct rig *rig, unsigned host)
{
	node_init(&nodes[host], rig, host);
	nodes[host].conf.metacache_last_host_dict.text = lab_view_cstr(last_host_dict);
	nodes[host].settings.peer = ask;
	nodes[host].settings.peer_ctx = rig;
	rig_boot(rig, host);
}

static void start_closed(struct node *node)
{
	struct lab_error err;

	node_start_backend(node);
	OK(backend_user_get(node->backend, LAB_VIEW(USER), &node->user, &err));
	rig_take_storage(node->user->fs);
	rig_take_storage(node->user->index_fs);
}

static void fill_and_flag(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	const struct metacache_mask everybody = { 0 };
	struct lab_error err;

	for (unsigned i = 0; i < 5; i++)
		deliver(box, "x");
	OK(obox_store(box, 1, LAB_VIEW("Work"), true, &err));
	assert_true(metacache_flush(node->backend, &everybody, false, &err) >= 1);
	/* In no bundle. */
	OK(obox_store(box, 2, LAB_VIEW("Work"), true, &err));
	obox_mailbox_close(&box);
}

static void both(struct rig *rig)
{
	last_host_dict = "";
	damage_at = SIZE_MAX;
	asked = 0;
	start(rig, 0);
	start(rig, 1);
	node_run(&nodes[0], node_start_user);
	node_run(&nodes[1], start_closed);
}

static bool is_filled;

static void fill_source_in_fiber(void *arg)
{
	fill_and_flag(arg);
	is_filled = true;
}

/* Just before the pull, so that the background uploads nothing of it. */
static void fill_source(struct node *node)
{
	struct lab_error err;

	is_filled = false;
	OK(env_spawn(node->rig->hosts[0].env, "fill", fill_source_in_fiber, &nodes[0], &err));
	while (!is_filled)
		env_sleep(node->user->env, LAB_MSEC);
}

static void stop_both(void)
{
	node_stop(&nodes[1]);
	node_stop(&nodes[0]);
}

static int pull(struct node *node, bool latest_only, bool clean, struct lab_error *err)
{
	struct metacache_pull options = { .latest_only = latest_only, .clean = clean };

	options.source = lab_view_cstr(node->rig->hosts[0].env->hostname);
	return metacache_pull(node->backend, LAB_VIEW(USER), &options, err);
}

static void sees_both_flags(struct node *node)
{
	struct obox_mailbox *box;
	struct lab_error err;

	OK(obox_user_access(node->user, &err));
	box = box_open(node, "INBOX");
	assert_int_equal(obox_mailbox_count(box), 5);
	assert_true(obox_has_flag(box, 1, LAB_VIEW("Work")));
	assert_true(obox_has_flag(box, 2, LAB_VIEW("Work")));
	obox_mailbox_close(&box);
}

static void pull_it(struct node *node)
{
	struct lab_error err;

	fill_source(node);
	assert_int_equal(pull(node, true, false, &err), 2);
	sees_both_flags(node);
	/* Nothing was downloaded: it knows the bundles of the source. */
	assert_int_equal(DOWNLOADS(node->rig), 0);
	/* What is known here already is not taken again. */
	assert_int_equal(pull(node, false, false, &err), 0);
}

static void what_is_in_no_bundle_comes_too(void **state)
{
	both(*state);
	node_run(&nodes[1], pull_it);
	stop_both();
}

/* With what it had not uploaded. */
static void pull_and_lose_the_source(struct node *node)
{
	pull_it(node);
	world_crash(node->rig->hosts[0].host, FAULT_DISK_WIPE);
}

static void flags_of_a_pull_are_uploaded(void **state)
{
	struct rig *rig = *state;

	both(rig);
	node_run(&nodes[1], pull_and_lose_the_source);
	node_stop(&nodes[1]);
	start(rig, 0);
	node_run(&nodes[0], node_start_user);
	node_run(&nodes[0], sees_both_flags);
	node_stop(&nodes[0]);
}

static void release(struct node *node)
{
	backend_user_release(&node->user);
}

static void release_source(void *arg)
{
	(void)arg;
	backend_user_release(&nodes[0].user);
}

static void pull_and_clean(struct node *node)
{
	unsigned before;
	struct lab_error err;

	fill_source(node);
	OK(env_spawn(node->rig->hosts[0].env, "release", release_source, NULL, &err));
	env_sleep(node->user->env, LAB_MSEC);
	before = UPLOADS(node->rig);
	assert_int_equal(pull(node, false, true, &err), 2);
	assert_int_equal(asked, 2);
	/* The source has uploaded before it removed. */
	assert_int_equal(UPLOADS(node->rig), before + 1);
	assert_int_equal(metacache_used(backend_get_metacache(nodes[0].backend)), 0);
	sees_both_flags(node);
}

static void clean_uploads_and_removes_at_the_source(void **state)
{
	both(*state);
	node_run(&nodes[1], pull_and_clean);
	stop_both();
}

static void pull_while_open(struct node *node)
{
	struct lab_error err;

	fill_source(node);
	assert_int_equal(pull(node, false, true, &err), 2);
	assert_true(metacache_used(backend_get_metacache(nodes[0].backend)) > 0);
}

static void a_user_who_is_open_at_the_source_stays_there(void **state)
{
	both(*state);
	node_run(&nodes[1], pull_while_open);
	node_run(&nodes[0], sees_both_flags);
	stop_both();
}

static void pull_damaged(struct node *node)
{
	struct lab_error err;

	for (damage_at = 1; damage_at < 400; damage_at += 13) {
		assert_int_equal(pull(node, false, true, &err), -1);
		assert_true(err.code == LAB_CORRUPT || err.code == LAB_UNSUPPORTED);
	}
	damage_at = SIZE_MAX;
	/* Nothing was taken, and nothing removed. */
	assert_true(metacache_used(backend_get_metacache(nodes[0].backend)) > 0);
	assert_int_equal(pull(node, false, false, &err), 2);
}

static void what_is_damaged_on_its_way_is_refused(void **state)
{
	both(*state);
	node_run(&nodes[0], fill_and_flag);
	node_run(&nodes[0], release);
	node_run(&nodes[1], pull_damaged);
	stop_both();
}

static void pull_untrusted(struct node *node)
{
	struct lab_error err;

	assert_int_equal(pull(node, false, true, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	OK(obox_user_access(node->user, &err));
}

static void a_source_that_crashed_has_nothing_to_give(void **state)
{
	struct rig *rig = *state;

	both(rig);
	node_run(&nodes[0], fill_and_flag);
	world_crash(rig->hosts[0].host, FAULT_DISK_KEEP);
	start(rig, 0);
	node_run(&nodes[0], start_closed);
	node_run(&nodes[1], pull_untrusted);
	stop_both();
}

static void pull_from_others(struct node *node)
{
	struct metacache_pull nobody = { .source = LAB_VIEW("nobody") };
	struct metacache_pull self = { 0 };
	struct lab_error err;

	self.source = lab_view_cstr(node->user->env->hostname);
	FAILS(metacache_pull(node->backend, LAB_VIEW(USER), &nobody, &err), LAB_REFUSED);
	FAILS(metacache_pull(node->backend, LAB_VIEW(USER), &self, &err), LAB_INVALID);
	node->settings.peer = NULL;
}

static void who_does_not_answer_costs_nothing(void **state)
{
	both(*state);
	node_run(&nodes[1], pull_from_others);
	stop_both();
}

/* ---- modseqs that were shown ---- */

static uint64_t shown;

static void look(struct node *node)
{
	struct obox_mailbox *box;
	struct lab_error err;

	env_sleep(node->rig->hosts[node->host].env, LAB_SEC);
	OK(backend_user_open(node->backend, LAB_VIEW(USER), &node->user, &err));
	box = box_open(node, "INBOX");
	shown = obox_mailbox_highest_modseq(box);
	obox_mailbox_close(&box);
	release(node);
}

static void lose(struct node *node)
{
	world_crash(node->rig->hosts[node->host].host, FAULT_DISK_WIPE);
	start(node->rig, node->host);
	node_run(node, start_closed);
	node_run(node, release);
}

static void pull_all(struct node *node)
{
	struct lab_error err;

	assert_true(pull(node, false, true, &err) > 0);
}

static void pull_from_nobody(struct node *node)
{
	struct metacache_pull nobody = { .source = LAB_VIEW("nobody") };
	struct lab_error err;

	FAILS(metacache_pull(node->backend, LAB_VIEW(USER), &nobody, &err), LAB_REFUSED);
}

/* It was looked at there, and nothing is stored of that. */
static void lose_after_a_look(struct rig *rig, bool is_pulled)
{
	uint64_t lost;

	both(rig);
	node_run(&nodes[0], fill_and_flag);
	node_run(&nodes[0], release);
	node_run(&nodes[1], release);
	if (is_pulled)
		node_run(&nodes[1], pull_all);
	node_run(&nodes[1], look);
	lost = shown;
	lose(&nodes[1]);
	if (!is_pulled)
		node_run(&nodes[0], pull_from_nobody);
	node_run(&nodes[0], look);
	assert_true(shown > lost);
	stop_both();
}

static void modseqs_of_who_has_pulled_are_not_given_again(void **state)
{
	lose_after_a_look(*state, true);
}

static void nor_are_those_of_who_cannot_be_pulled_from(void **state)
{
	lose_after_a_look(*state, false);
}

/* ---- metacache_last_host_dict ---- */

#define LAST_HOST "shared/metacache_last_host/" USER

static void start_moving(struct rig *rig, const char *dict)
{
	last_host_dict = dict;
	damage_at = SIZE_MAX;
	asked = 0;
	start(rig, 0);
	start(rig, 1);
	node_run(&nodes[0], start_closed);
	node_run(&nodes[1], start_closed);
	/* Those of the tests: sessions open and release it. */
	node_run(&nodes[0], release);
	node_run(&nodes[1], release);
}

static void open_user(struct node *node)
{
	struct lab_error err;

	OK(backend_user_open(node->backend, LAB_VIEW(USER), &node->user, &err));
}

static void assert_last_host(const struct rig *rig, unsigned host)
{
	assert_view(rig_row(rig, LAST_HOST), rig->hosts[host].env->hostname);
}

static void come_and_go(struct node *node)
{
	open_user(node);
	fill_and_flag(node);
	release(node);
}

static void follow(struct node *node)
{
	unsigned lookups;

	open_user(node);
	assert_int_equal(asked, 2);
	sees_both_flags(node);
	assert_int_equal(DOWNLOADS(node->rig), 0);
	/* It was uploaded and removed there. */
	assert_int_equal(metacache_used(backend_get_metacache(nodes[0].backend)), 0);
	release(node);
	lookups = node->rig->counts.lookups;
	open_user(node);
	assert_int_equal(node->rig->counts.lookups, lookups + 1);
	assert_int_equal(asked, 2);
	release(node);
}

static void who_moves_takes_the_metacache_along(void **state)
{
	struct rig *rig = *state;

	start_moving(rig, "proxy:dict-async:cassandra");
	assert_null(rig_row(rig, LAST_HOST).ptr);
	node_run(&nodes[0], come_and_go);
	/* Nobody was before it. */
	assert_int_equal(asked, 0);
	assert_last_host(rig, 0);
	node_run(&nodes[1], follow);
	assert_last_host(rig, 1);
	stop_both();
}

static void open_and_look(struct node *node)
{
	open_user(node);
	sees_both_flags(node);
	release(node);
}

/* One of the row's two steps fails; then nothing does. */
static void move_and_fail(struct rig *rig, unsigned step, enum rig_fault fault)
{
	start_moving(rig, "proxy:dict-async:cassandra");
	node_run(&nodes[0], come_and_go);
	rig->only = LAST_HOST;
	rig_fail_at(rig, step, fault);
	node_run(&nodes[1], open_and_look);
	assert_true(rig->fired);
	assert_int_equal(asked, step == 1 ? 0 : 2);
	rig->only = NULL;
	rig_fail_at(rig, 0, fault);
	rig_apply_late(rig);
	node_run(&nodes[1], open_and_look);
	assert_last_host(rig, 1);
	stop_both();
}

static void a_dict_that_fails_costs_a_pull_and_no_more(void **state)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_APPLIED, RIG_UNCERTAIN_NOT,
		RIG_UNCERTAIN_LATE };

	(void)state;
	for (unsigned step = 1; step <= 2; step++) {
		for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
			struct rig *rig = rig_new();

			move_and_fail(rig, step, faults[i]);
			rig_free(&rig);
		}
	}
}

/* Not one that answers: storage has all but what was in no bundle. */
static void open_after_nobody(struct node *node)
{
	struct obox_mailbox *box;

	open_user(node);
	box = box_open(node, "INBOX");
	assert_int_equal(obox_mailbox_count(box), 5);
	assert_true(obox_has_flag(box, 1, LAB_VIEW("Work")));
	obox_mailbox_close(&box);
	release(node);
}

static void a_host_that_does_not_answer_is_followed_by_storage(void **state)
{
	struct rig *rig = *state;
	unsigned finished;

	start_moving(rig, "proxy::cassandra");
	node_run(&nodes[0], come_and_go);
	rig_set_row(rig, LAST_HOST, "nobody");
	finished = rig->counts.events[LAB_EV_metacache_pull_finished];
	node_run(&nodes[1], open_after_nobody);
	assert_int_equal(asked, 1);
	assert_int_equal(rig->counts.events[LAB_EV_metacache_pull_finished], finished + 1);
	assert_last_host(rig, 1);
	stop_both();
}

static void clean(struct node *node)
{
	assert_int_equal(
		metacache_clean(backend_get_metacache(node->backend), METACACHE_ROOT, 0), 1);
}

/* It could not take anything along, and looked at what is stored. */
static void lose_the_last_host(struct rig *rig)
{
	uint64_t lost;

	rig_set_row(rig, LAST_HOST, "nobody");
	node_run(&nodes[1], look);
	lost = shown;
	assert_last_host(rig, 1);
	lose(&nodes[1]);
	node_run(&nodes[0], look);
	assert_true(shown > lost);
}

static void modseqs_of_the_last_host_are_not_given_again(void **state)
{
	start_moving(*state, "proxy:dict-async:cassandra");
	node_run(&nodes[0], come_and_go);
	lose_the_last_host(*state);
	stop_both();
}

static void nor_if_the_index_was_cleaned_here(void **state)
{
	start_moving(*state, "proxy:dict-async:cassandra");
	node_run(&nodes[0], come_and_go);
	node_run(&nodes[0], clean);
	lose_the_last_host(*state);
	stop_both();
}

static unsigned opened;

static void open_beside(void *arg)
{
	struct node *node = arg;
	struct obox_user *user;
	struct lab_error err;

	OK(backend_user_open(node->backend, LAB_VIEW(USER), &user, &err));
	assert_int_equal(asked, 2);
	opened++;
	backend_user_release(&user);
}

static void open_twice_at_once(struct node *node)
{
	unsigned lookups = node->rig->counts.lookups;
	struct lab_error err;

	opened = 0;
	for (unsigned i = 0; i < 3; i++)
		OK(env_spawn(node->rig->hosts[1].env, "imap", open_beside, node, &err));
	while (opened < 3)
		env_sleep(node->rig->hosts[1].env, LAB_MSEC);
	assert_int_equal(node->rig->counts.lookups, lookups + 1);
}

static void who_comes_second_waits_for_the_pull(void **state)
{
	start_moving(*state, "proxy:dict-async:cassandra");
	node_run(&nodes[0], come_and_go);
	node_run(&nodes[1], open_twice_at_once);
	stop_both();
}

static void open_with_another_dict(struct node *node)
{
	struct obox_user *user;
	struct lab_error err;

	node_start_backend(node);
	FAILS(backend_user_open(node->backend, LAB_VIEW(USER), &user, &err), LAB_INVALID);
	SAYS("metacache_last_host_dict: 'redis:host=x' is not proxy:<socket>:<dict name>");
}

static void another_dict_is_refused(void **state)
{
	last_host_dict = "redis:host=x";
	start(*state, 0);
	node_run(&nodes[0], open_with_another_dict);
	node_stop(&nodes[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(what_is_in_no_bundle_comes_too),
		RIG_UNIT_TEST(flags_of_a_pull_are_uploaded),
		RIG_UNIT_TEST(clean_uploads_and_removes_at_the_source),
		RIG_UNIT_TEST(a_user_who_is_open_at_the_source_stays_there),
		RIG_UNIT_TEST(what_is_damaged_on_its_way_is_refused),
		RIG_UNIT_TEST(a_source_that_crashed_has_nothing_to_give),
		RIG_UNIT_TEST(who_does_not_answer_costs_nothing),
		RIG_UNIT_TEST(modseqs_of_who_has_pulled_are_not_given_again),
		RIG_UNIT_TEST(nor_are_those_of_who_cannot_be_pulled_from),
		RIG_UNIT_TEST(who_moves_takes_the_metacache_along),
		cmocka_unit_test(a_dict_that_fails_costs_a_pull_and_no_more),
		RIG_UNIT_TEST(a_host_that_does_not_answer_is_followed_by_storage),
		RIG_UNIT_TEST(modseqs_of_the_last_host_are_not_given_again),
		RIG_UNIT_TEST(nor_if_the_index_was_cleaned_here),
		RIG_UNIT_TEST(who_comes_second_waits_for_the_pull),
		RIG_UNIT_TEST(another_dict_is_refused),
	};

	return cmocka_run_group_tests_name("metacache-pull", tests, NULL, NULL);
}
