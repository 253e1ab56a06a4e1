/* SPDX-License-Identifier: Apache-2.0
 *
 * The clients' behaviour with requests that are answered by the test (they take the place of
 * client.c).
 */
#include "scenarios/runner/client.h"
#include "scenarios/format/testing-scenario.h"
#include "scenarios/runner/workload.h"

#include "sim/world/world.h"

#define CALLS_MAX 20000
#define NODES 3

struct call {
	enum history_kind kind;
	uint32_t user;
	const struct node *node;
	uint64_t token, began_ns, ended_ns;
	size_t mails;
	char folder[24], target[24], flag[24];
	bool has_flag;
};

/* What the requests do, and what came. */
static struct fake {
	enum history_outcome outcome; /* of deliveries */
	uint64_t takes_ns;
	bool sessions_break, deletions_fail;
	size_t converged; /* SELECTs */
	size_t listed;    /* mails in each folder */
	uint64_t flags;   /* of each of them */
	struct call calls[CALLS_MAX];
	size_t count;
} fake;

static struct test {
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct env *lab;
	struct node nodes[NODES];
	struct testing_loader loader;
	struct workload *workload;
} test;

/* ---- in place of client.c ----
 *
 * In fibers, out of which cmocka cannot jump. */

static struct call *record(struct client_context *client, enum history_kind kind, uint32_t user,
	const struct node *node)
{
	struct call *call = &fake.calls[fake.count++];

	lab_assert(fake.count < CALLS_MAX);
	*call = (struct call){
		.kind = kind, .user = user, .node = node, .began_ns = env_now(client->lab)
	};
	env_sleep(client->lab, fake.takes_ns);
	call->ended_ns = env_now(client->lab);
	return call;
}

static bool record_action(struct client_session *session, enum history_kind kind,
	const size_t *mails, size_t count, struct lab_view target)
{
	struct call *call = record(session->client, kind, session->user->number, session->node);

	for (size_t i = 0; i < count; i++) {
		lab_assert(mails[i] < session->view.count);
		for (size_t n = 0; n < i; n++)
			lab_assert(mails[i] != mails[n]);
	}
	call->mails = count;
	snprintf(call->folder, sizeof(call->folder), "%.*s", LAB_VIEW_ARG(session->view.folder));
	snprintf(call->target, sizeof(call->target), "%.*s", LAB_VIEW_ARG(target));
	return !fake.sessions_break;
}

struct lab_view client_folder_name(size_t index, struct lab_arena *arena)
{
	return index == 0 ? LAB_VIEW("INBOX")
			  : lab_view_cstr(lab_arena_printf(arena, "Folder%zu", index));
}

enum history_outcome client_deliver(struct client_context *client, struct user *user,
	struct node *node, struct lab_view folder, uint64_t token, struct lab_view mail,
	struct lab_view flag)
{
	struct call *call = record(client, HISTORY_DELIVER, user->number, node);

	lab_assert(mail_token(mail) == token);
	call->token = token;
	snprintf(call->folder, sizeof(call->folder), "%.*s", LAB_VIEW_ARG(folder));
	call->has_flag = flag.len > 0;
	return node == NULL ? HISTORY_FAIL : fake.outcome;
}

bool client_select(struct client_session *session, struct lab_view folder)
{
	session->view = (struct client_view){ .folder = folder,
		.mails = lab_arena_array(session->arena, struct client_mail, fake.listed),
		.count = fake.listed };
	for (size_t i = 0; i < fake.listed; i++)
		session->view.mails[i].flags = fake.flags;
	fake.converged += session->is_converged;
	return record_action(session, HISTORY_SELECT, NULL, 0, folder);
}

/* As many as the tests' users have. */
bool client_search(struct client_session *session, size_t word, uint64_t token)
{
	(void)session, (void)word, (void)token;
	fail_msg("nobody searches");
	return false;
}

bool client_fts_check(struct client_session *session, bool is_last)
{
	(void)session, (void)is_last;
	fail_msg("there is no index");
	return false;
}

void client_logout(struct client_session *session)
{
	(void)session;
}

bool client_has_quota(const struct client_context *client)
{
	(void)client;
	return false;
}

/* One mail of each user. */
void client_share(struct client_session *session)
{
	session->user->shared[0].owner = session->user;
	session->user->shared_count = 1;
}

static bool record_private(struct client_session *session, const struct client_shared *mail,
	enum history_kind kind, const char *flag)
{
	size_t at = fake.count;

	lab_assert(mail->owner != NULL);
	(void)record(session->client, kind, session->user->number, session->node);
	(void)snprintf(
		fake.calls[at].target, sizeof(fake.calls[at].target), "%u", mail->owner->number);
	(void)snprintf(fake.calls[at].flag, sizeof(fake.calls[at].flag), "%s", flag);
	return !fake.sessions_break;
}

bool client_private_store(
	struct client_session *session, const struct client_shared *mail, bool is_seen)
{
	return record_private(session, mail, HISTORY_PRIVATE_STORE, is_seen ? "+" : "-");
}

bool client_private_fetch(struct client_session *session, const struct client_shared *mail)
{
	return record_private(session, mail, HISTORY_PRIVATE_FETCH, "");
}

bool client_virtual(struct client_session *session)
{
	(void)record(session->client, HISTORY_VIRTUAL, session->user->number, session->node);
	return !fake.sessions_break;
}

bool client_quota(struct client_session *session)
{
	(void)session;
	fail_msg("there is no quota");
	return false;
}

bool client_list(
	struct client_session *session, struct lab_view names[CLIENT_LIST_MAX], size_t *ret_count)
{
	*ret_count = session->user->folders + 1;
	for (size_t i = 0; i < *ret_count; i++)
		names[i] = client_folder_name(i, session->arena);
	return record_action(session, HISTORY_LIST, NULL, 0, LAB_VIEW(""));
}

enum history_outcome client_flush(
	struct client_context *client, struct user *user, struct node *node)
{
	(void)record(client, HISTORY_FLUSH, user->number, node);
	return HISTORY_OK;
}

bool client_fetch(struct client_session *session, const size_t *mails, size_t count)
{
	return record_action(session, HISTORY_FETCH, mails, count, LAB_VIEW(""));
}

bool client_copy(struct client_session *session, size_t mail, struct lab_view target)
{
	return record_action(session, HISTORY_COPY, &mail, 1, target);
}

struct lab_view client_flag_name(size_t index)
{
	static const char *const names[CLIENT_FLAGS] = { "f0", "f1", "f2", "f3", "f4", "f5", "f6",
		"f7", "f8", "f9" };

	return lab_view_cstr(names[index]);
}

bool client_store(struct client_session *session, size_t mail, struct lab_view flag, bool is_set)
{
	struct call *call =
		record(session->client, HISTORY_STORE, session->user->number, session->node);

	lab_assert(mail < session->view.count);
	snprintf(call->flag, sizeof(call->flag), "%c%.*s", is_set ? '+' : '-', LAB_VIEW_ARG(flag));
	return !fake.sessions_break;
}

bool client_move(
	struct client_session *session, const size_t *mails, size_t count, struct lab_view target)
{
	return record_action(session, HISTORY_MOVE, mails, count, target);
}

bool client_expunge(struct client_session *session, const size_t *mails, size_t count)
{
	return record_action(session, HISTORY_EXPUNGE, mails, count, LAB_VIEW(""));
}

/* ---- in place of client-folders.c ---- */

size_t client_name_count(const struct user *user)
{
	return user->folders + 1;
}

struct lab_view client_name(const struct user *user, size_t index, struct lab_arena *arena)
{
	lab_assert(index < client_name_count(user));
	return client_folder_name(index, arena);
}

static bool record_folder(struct client_session *session, enum history_kind kind,
	struct lab_view name, struct lab_view target)
{
	struct call *call = record(session->client, kind, session->user->number, session->node);

	snprintf(call->folder, sizeof(call->folder), "%.*s", LAB_VIEW_ARG(name));
	snprintf(call->target, sizeof(call->target), "%.*s", LAB_VIEW_ARG(target));
	return true;
}

bool client_create(
	struct client_session *session, struct lab_view name, struct lab_view special_use)
{
	return record_folder(session, HISTORY_CREATE, name, special_use);
}

bool client_rename(struct client_session *session, struct lab_view from, struct lab_view to)
{
	return record_folder(session, HISTORY_RENAME, from, to);
}

bool client_delete(struct client_session *session, struct lab_view name)
{
	return record_folder(session, HISTORY_DELETE, name, LAB_VIEW(""));
}

bool client_subscribe(struct client_session *session, struct lab_view name, bool is_set)
{
	return record_folder(
		session, HISTORY_SUBSCRIBE, name, is_set ? LAB_VIEW("+") : LAB_VIEW("-"));
}

bool client_status(struct client_session *session, struct lab_view name)
{
	return record_folder(session, HISTORY_STATUS, name, LAB_VIEW(""));
}

enum history_outcome client_user_delete(
	struct client_context *client, struct user *user, struct node *node)
{
	(void)record(client, HISTORY_USER_DELETE, user->number, node);
	return fake.deletions_fail ? HISTORY_UNCERTAIN : HISTORY_OK;
}

/* ---- a world for them ---- */

static void nothing(void *arg)
{
	(void)arg;
}

static uint64_t no_sequence(void *ctx)
{
	(void)ctx;
	return 0;
}

static void start(const char *users, uint64_t seed, uint64_t end_ns)
{
	struct world_host_settings host = {
		.name = "lab", .kind = WORLD_LAB, .memory_max_bytes = (size_t)1 << 28
	};
	struct world_settings world = { .seed = seed, .pool = testing_pool, .fibers = test.fibers };
	struct workload_settings settings = { .seed = seed,
		.nodes = test.nodes,
		.node_count = NODES,
		.end_ns = end_ns,
		.event_sequence = no_sequence };
	struct world_host *lab;
	char text[2048];

	world_free(&test.world);
	snprintf(text, sizeof(text), "%ssite a {\n}\n%s", TESTING_INCLUDE, users);
	testing_load_ok(&test.loader, text);
	test.world = world_new(&world);
	lab = world_host_new(test.world, &host);
	world_start(lab, nothing, NULL);
	test.lab = settings.lab = world_env(lab);
	settings.scenario = test.loader.scenario;
	settings.history = history_new(world_heap(test.world));
	for (size_t i = 0; i < NODES; i++)
		test.nodes[i] = (struct node){ .is_up = true, .backend = (void *)&test };
	fake.count = 0;
	assert_int_equal(workload_start(&settings, &test.workload, &test.loader.err), 0);
}

static void run_until(uint64_t ns)
{
	assert_true(world_run_until(test.world, ns, NULL, NULL, &test.loader.err) >= 0);
}

static int setup(void **state)
{
	(void)testing_setup(state);
	memset(&fake, 0, sizeof(fake));
	fake.outcome = HISTORY_OK;
	fake.takes_ns = 100 * LAB_MSEC;
	fake.listed = 5;
	memset(&test, 0, sizeof(test));
	test.fibers = lab_fiber_pool_new(64 << 10, 1000, NULL);
	testing_loader_init(&test.loader);
	return 0;
}

static int teardown(void **state)
{
	world_free(&test.world);
	lab_fiber_pool_free(&test.fibers);
	return testing_teardown(state);
}
#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#define MANY "user u {\ncount = 20\n}\n"

/* ---- tests ---- */

static void users_deliver_and_read_until_the_end_and_then_stop(void **state)
{
	size_t kinds[HISTORY_KIND_COUNT] = { 0 };

	(void)state;
	start(MANY, 1, 5 * LAB_MINUTE);
	assert_int_equal(workload_users(test.workload), 20);
	assert_false(workload_is_idle(test.workload));
	run_until(10 * LAB_MINUTE);

	assert_true(workload_is_idle(test.workload));
	for (size_t i = 0; i < fake.count; i++) {
		kinds[fake.calls[i].kind]++;
		assert_row(i, fake.calls[i].began_ns < 5 * LAB_MINUTE);
	}
	assert_true(kinds[HISTORY_DELIVER] > 100);
	assert_true(kinds[HISTORY_SELECT] > 50);
	assert_true(kinds[HISTORY_FETCH] > kinds[HISTORY_EXPUNGE]);
	assert_true(kinds[HISTORY_EXPUNGE] > 20);
	assert_true(kinds[HISTORY_MOVE] > 20);
	assert_true(kinds[HISTORY_COPY] > 20);
}

static void what_a_user_delivers_has_tokens_of_its_own(void **state)
{
	(void)state;
	start(MANY, 1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	for (size_t i = 0; i < fake.count; i++) {
		if (fake.calls[i].kind != HISTORY_DELIVER)
			continue;
		assert_row(i, fake.calls[i].token >> 32 == fake.calls[i].user);
		for (size_t n = 0; n < i; n++)
			assert_row(i, fake.calls[n].token != fake.calls[i].token);
	}
}

static void a_move_goes_to_another_folder_and_takes_different_mails(void **state)
{
	(void)state;
	fake.listed = 2;
	start("user u {\ncount = 10\nfolders = 1\nmail_bulk_count = 4\n}\n", 1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	for (size_t i = 0; i < fake.count; i++) {
		const struct call *c = &fake.calls[i];

		if (c->kind == HISTORY_MOVE || c->kind == HISTORY_COPY)
			assert_row(i, strcmp(c->folder, c->target) != 0);
		if (c->kind == HISTORY_MOVE || c->kind == HISTORY_EXPUNGE)
			assert_row(i, c->mails == 2);
	}
}

/* While a connection of a user is open, no other node gets one. */
static void assert_one_backend_at_a_time(void)
{
	for (size_t i = 0; i < fake.count; i++) {
		for (size_t n = 0; n < i; n++) {
			const struct call *a = &fake.calls[n], *b = &fake.calls[i];

			assert_row(i, a->user != b->user || a->ended_ns <= b->began_ns ||
					      a->node == b->node);
		}
	}
}

static size_t nodes_of(uint32_t user, size_t from)
{
	bool used[NODES] = { false };
	size_t count = 0;

	for (size_t i = from; i < fake.count; i++) {
		if (fake.calls[i].user == user && fake.calls[i].node != NULL)
			used[fake.calls[i].node - test.nodes] = true;
	}
	for (size_t i = 0; i < NODES; i++)
		count += used[i];
	return count;
}

static void a_user_stays_on_its_home_backend_while_that_is_up(void **state)
{
	(void)state;
	start(MANY, 1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	for (uint32_t user = 1; user <= 20; user++)
		assert_row(user, nodes_of(user, 0) == 1);
	assert_one_backend_at_a_time();
}

static void while_a_backend_is_down_its_users_are_elsewhere(void **state)
{
	size_t from, to;

	(void)state;
	start(MANY, 1, 6 * LAB_MINUTE);
	run_until(2 * LAB_MINUTE);
	test.nodes[0].is_up = false;
	test.nodes[0].boots++;
	fake.sessions_break = true;
	run_until(2 * LAB_MINUTE + 15 * LAB_SEC);
	fake.sessions_break = false;
	from = fake.count;
	run_until(4 * LAB_MINUTE);
	to = fake.count;
	test.nodes[0].is_up = true;
	run_until(7 * LAB_MINUTE);

	assert_true(to > from);
	for (size_t i = from; i < to; i++)
		assert_row(i, fake.calls[i].node != NULL && fake.calls[i].node != &test.nodes[0]);
	/* Those who live there come back. */
	from = 0;
	for (size_t i = to; i < fake.count; i++)
		from += fake.calls[i].node == &test.nodes[0];
	assert_true(from > 20);
}

static void several_backends_serve_a_user_at_once(void **state)
{
	unsigned nodes[2] = { 0 };
	bool overlap = false;

	(void)state;
	start("user u {\ncount = 4\nbackends_at_once = 2\n}\n", 1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);
	for (unsigned user = 1; user <= 4; user++) {
		size_t seen[NODES] = { 0 }, delivered[NODES] = { 0 }, used = 0;

		for (size_t i = 0; i < fake.count; i++) {
			const struct call *c = &fake.calls[i];

			if (c->user != user)
				continue;
			seen[c->node - test.nodes] += c->kind == HISTORY_SELECT;
			delivered[c->node - test.nodes] += c->kind == HISTORY_DELIVER;
			for (size_t n = 0; n < i; n++)
				overlap |= fake.calls[n].user == user &&
					   fake.calls[n].node != c->node &&
					   fake.calls[n].ended_ns > c->began_ns;
		}
		for (size_t n = 0; n < NODES; n++) {
			used += seen[n] > 0;
			nodes[0] += seen[n] > 0 && delivered[n] > 0;
			nodes[1] += seen[n] == 0 && delivered[n] > 0;
		}
		assert_row(user, used == 2);
	}
	assert_true(overlap);
	assert_int_equal(nodes[0], 8);
	assert_int_equal(nodes[1], 0);
}

static void a_delivery_does_not_move_a_user_with_an_open_session(void **state)
{
	(void)state;
	fake.takes_ns = 3 * LAB_SEC;
	start("user u {\ncount = 5\nmail_inbox_delivery_interval = 1s\n"
	      "mail_session_length = 60 s\n}\n",
		1, 4 * LAB_MINUTE);
	/* The homes of all come and go while their sessions are open on others. */
	for (uint64_t t = 1; t < 24; t++) {
		test.nodes[t % NODES].backend = t % 2 == 0 ? NULL : (void *)&test;
		run_until(t * 10 * LAB_SEC);
	}
	run_until(10 * LAB_MINUTE);

	assert_one_backend_at_a_time();
}

static void without_any_backend_deliveries_are_refused_and_nobody_reads(void **state)
{
	(void)state;
	start(MANY, 1, 2 * LAB_MINUTE);
	for (size_t i = 0; i < NODES; i++)
		test.nodes[i].is_up = false;
	run_until(10 * LAB_MINUTE);

	assert_true(workload_is_idle(test.workload));
	assert_true(fake.count > 0);
	for (size_t i = 0; i < fake.count; i++) {
		assert_row(i, fake.calls[i].kind == HISTORY_DELIVER);
		assert_null(fake.calls[i].node);
	}
}

static size_t attempts_of(uint64_t token)
{
	size_t count = 0;

	for (size_t i = 0; i < fake.count; i++)
		count += fake.calls[i].kind == HISTORY_DELIVER && fake.calls[i].token == token;
	return count;
}

static void what_is_not_acknowledged_is_sent_again_so_many_times(void **state)
{
	static const struct {
		enum history_outcome outcome;
		size_t attempts;
	} rows[] = { { HISTORY_OK, 1 }, { HISTORY_FAIL, 4 }, { HISTORY_UNCERTAIN, 4 } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		fake.outcome = rows[i].outcome;
		start("user u {\ncount = 1\nmail_inbox_delivery_interval = 10s\n"
		      "mail_delivery_retries = 3\nmail_delivery_retry_delay = 1s\n}\n",
			1, 10 * LAB_MINUTE);
		run_until(2 * LAB_MINUTE);

		assert_row(i, attempts_of((UINT64_C(1) << 32) | 1) == rows[i].attempts);
		assert_row(i, attempts_of((UINT64_C(1) << 32) | 2) == rows[i].attempts);
	}
}

/* The n-th call of a kind that is due; 0: there is none. */
static uint64_t began(enum history_kind kind, size_t n)
{
	for (size_t i = 0; i < fake.count; i++) {
		if (fake.calls[i].kind == kind && n-- == 0)
			return fake.calls[i].began_ns;
	}
	return 0;
}

static void what_takes_time_takes_it_from_the_pause_after_it(void **state)
{
	(void)state;
	fake.takes_ns = 3 * LAB_SEC;
	start("user u {\ncount = 1\nmail_inbox_delivery_interval = 10s\n"
	      "mail_session_interval = 15s\nmail_session_length = 10min\n"
	      "mail_action_delay = 20s\nmail_inbox_delete_percentage = 100%\n"
	      "mail_inbox_move_percentage = 0\nmail_inbox_copy_percentage = 0\n}\n",
		1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	for (size_t i = 0; i < 10; i++) {
		assert_row(i, began(HISTORY_DELIVER, i) == (i + 1) * 10 * LAB_SEC);
		assert_row(i, began(HISTORY_EXPUNGE, i) == (15 + (i + 1) * 20) * LAB_SEC);
	}
}

static void who_is_late_takes_the_whole_pause(void **state)
{
	(void)state;
	fake.takes_ns = 25 * LAB_SEC;
	start("user u {\ncount = 1\nmail_inbox_delivery_interval = 10s\n}\n", 1, 2 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	assert_int_equal(began(HISTORY_DELIVER, 0), 10 * LAB_SEC);
	assert_int_equal(began(HISTORY_DELIVER, 1), 45 * LAB_SEC);
	assert_int_equal(began(HISTORY_DELIVER, 2), 80 * LAB_SEC);
}

static void after_the_end_nothing_is_sent_again(void **state)
{
	(void)state;
	fake.outcome = HISTORY_UNCERTAIN;
	fake.takes_ns = 30 * LAB_SEC;
	start("user u {\ncount = 1\nmail_inbox_delivery_interval = 10s\n"
	      "mail_delivery_retries = 100\nmail_delivery_retry_delay = 1s\n}\n",
		1, 60 * LAB_SEC);
	run_until(10 * LAB_MINUTE);

	assert_true(workload_is_idle(test.workload));
	for (size_t i = 0; i < fake.count; i++)
		assert_row(i, fake.calls[i].began_ns <= 60 * LAB_SEC);
}

static void an_mta_without_patience_sends_again_what_is_under_way(void **state)
{
	(void)state;
	fake.takes_ns = 25 * LAB_SEC;
	start("user u {\ncount = 1\nmail_inbox_delivery_interval = 100s\n"
	      "mail_delivery_retries = 2\nmail_delivery_retry_delay = 1s\n"
	      "mail_session_interval = 1h\nmail_delivery_timeout = 10s\n}\n",
		1, 150 * LAB_SEC);
	run_until(10 * LAB_MINUTE);

	/* Each is given up after 10 s, and ends after 25 s all the same. */
	assert_int_equal(attempts_of((UINT64_C(1) << 32) | 1), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_row(i, began(HISTORY_DELIVER, i) == (100 + 11 * i) * LAB_SEC);
		assert_row(i, fake.calls[i].ended_ns == (125 + 11 * i) * LAB_SEC);
	}
}

static void who_answers_in_time_is_not_asked_again(void **state)
{
	(void)state;
	fake.takes_ns = 9 * LAB_SEC;
	start("user u {\ncount = 1\nmail_inbox_delivery_interval = 100s\n"
	      "mail_delivery_retries = 2\nmail_delivery_retry_delay = 1s\n"
	      "mail_delivery_timeout = 10s\n}\n",
		1, 150 * LAB_SEC);
	run_until(10 * LAB_MINUTE);

	assert_int_equal(attempts_of((UINT64_C(1) << 32) | 1), 1);
}

static void a_session_whose_connection_broke_is_over(void **state)
{
	(void)state;
	fake.sessions_break = true;
	start(MANY, 1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	for (size_t i = 0; i < fake.count; i++)
		assert_row(i, fake.calls[i].kind == HISTORY_DELIVER ||
				      fake.calls[i].kind == HISTORY_SELECT);
}

static void in_an_empty_folder_nothing_is_done(void **state)
{
	(void)state;
	fake.listed = 0;
	start(MANY, 1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	for (size_t i = 0; i < fake.count; i++)
		assert_row(i, fake.calls[i].kind == HISTORY_DELIVER ||
				      fake.calls[i].kind == HISTORY_SELECT);
}

/* What user 1 did, as one number. */
static uint64_t digest_of(uint32_t user)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < fake.count; i++) {
		const struct call *c = &fake.calls[i];

		if (c->user != user)
			continue;
		hash = lab_hash_fold(hash, c->kind);
		hash = lab_hash_fold(hash, c->began_ns);
		hash = lab_hash_fold(hash, c->token);
		hash = lab_hash_fold(hash, c->mails);
		hash = lab_hash_view(hash, lab_view_cstr(c->target));
		hash = lab_hash_fold(hash, (uint64_t)(c->node - test.nodes));
	}
	return hash;
}

static void what_a_user_does_depends_on_the_seed_and_its_own_group_only(void **state)
{
	uint64_t first, third;

	(void)state;
	start("user a {\ncount = 2\n}\nuser b {\ncount = 3\n}\n", 1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);
	first = digest_of(1);
	third = digest_of(3);
	start("user a {\ncount = 2\n}\nuser b {\ncount = 9\nmail_action_delay = 4s..9s\n"
	      "folders = 9\n}\n",
		1, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);

	assert_true(digest_of(1) == first);
	assert_true(digest_of(3) != third);
	start("user a {\ncount = 2\n}\n", 2, 5 * LAB_MINUTE);
	run_until(10 * LAB_MINUTE);
	assert_true(digest_of(1) != first);
}

static void actions_store_flags_and_sieve_sets_them(void **state)
{
	size_t set = 0, cleared = 0, with = 0, without = 0;

	(void)state;
	start("user u {\ncount = 10\nmail_inbox_store_percentage = 50%\n"
	      "mail_sieve_flag_percentage = 50%\n}\n",
		1, 10 * LAB_MINUTE);
	run_until(15 * LAB_MINUTE);
	for (size_t i = 0; i < fake.count; i++) {
		set += fake.calls[i].kind == HISTORY_STORE && fake.calls[i].flag[0] == '+';
		cleared += fake.calls[i].kind == HISTORY_STORE && fake.calls[i].flag[0] == '-';
		with += fake.calls[i].kind == HISTORY_DELIVER && fake.calls[i].has_flag;
		without += fake.calls[i].kind == HISTORY_DELIVER && !fake.calls[i].has_flag;
	}
	/* No mail of the listing has any: nothing can be cleared. */
	assert_true(set > 50 && cleared == 0);
	assert_true(with > 30 && without > 30);
}

static void what_is_set_is_cleared_every_other_time(void **state)
{
	size_t set = 0, cleared = 0;

	(void)state;
	fake.flags = UINT64_MAX;
	start("user u {\ncount = 10\nmail_inbox_store_percentage = 50%\n}\n", 1, 10 * LAB_MINUTE);
	run_until(15 * LAB_MINUTE);
	for (size_t i = 0; i < fake.count; i++) {
		set += fake.calls[i].flag[0] == '+';
		cleared += fake.calls[i].flag[0] == '-';
		assert_row(i, !fake.calls[i].has_flag);
	}
	assert_true(set > 20 && cleared > 20);
}

/* Of their own mails and of others'; and the auditor looks at each once more. */
static void readers_have_flags_of_others_mails(void **state)
{
	size_t set = 0, cleared = 0, looked = 0, foreign = 0, opened = 0, from, audited = 0;

	(void)state;
	start("user u {\ncount = 10\nmail_private_seen_percentage = 50%\n"
	      "mail_virtual_percentage = 50%\n}\n",
		1, 10 * LAB_MINUTE);
	run_until(15 * LAB_MINUTE);
	for (size_t i = 0; i < fake.count; i++) {
		const struct call *call = &fake.calls[i];

		set += call->kind == HISTORY_PRIVATE_STORE && call->flag[0] == '+';
		cleared += call->kind == HISTORY_PRIVATE_STORE && call->flag[0] == '-';
		looked += call->kind == HISTORY_PRIVATE_FETCH;
		foreign += call->kind == HISTORY_PRIVATE_STORE &&
			   (uint32_t)(call->target[0] - '0') != call->user;
		opened += call->kind == HISTORY_VIRTUAL;
	}
	assert_true(set > 20 && cleared > 20 && looked > 20 && foreign > 20 && opened > 20);
	from = fake.count;
	assert_int_equal(workload_audit(test.workload, &test.nodes[0], &test.loader.err), 0);
	run_until(30 * LAB_MINUTE);
	opened = 0;
	for (size_t i = from; i < fake.count; i++) {
		audited += fake.calls[i].kind == HISTORY_PRIVATE_FETCH;
		opened += fake.calls[i].kind == HISTORY_VIRTUAL;
	}
	assert_true(audited >= 20);
	assert_int_equal(opened, 10);
}

static void backends_that_serve_one_user_converge_twice_around(void **state)
{
	size_t flushes = 0, from;

	(void)state;
	start("user a {\ncount = 2\nbackends_at_once = 2\nfolders = 1\n}\n"
	      "user b {\ncount = 5\n}\n",
		1, LAB_MINUTE);
	run_until(5 * LAB_MINUTE);
	from = fake.count;
	assert_int_equal(fake.converged, 0);
	assert_int_equal(workload_converge(test.workload, &test.loader.err), 0);
	run_until(30 * LAB_MINUTE);
	assert_true(workload_is_idle(test.workload));
	for (size_t i = from; i < fake.count; i++) {
		flushes += fake.calls[i].kind == HISTORY_FLUSH;
		assert_row(i, fake.calls[i].user <= 2);
	}
	assert_int_equal(flushes, 2 * 2 * 2);
	assert_int_equal(fake.count - from - flushes, 2 * 3 * 2 * 2);
	assert_int_equal(fake.converged, 2 * 2 * 2);
}

static void sessions_make_rename_and_delete_folders(void **state)
{
	size_t kinds[HISTORY_KIND_COUNT] = { 0 }, filed = 0, subscribed = 0;

	(void)state;
	start("user u {\ncount = 10\nfolders = 3\nmailbox_create_percentage = 20%\n"
	      "mailbox_rename_percentage = 20%\nmailbox_delete_percentage = 20%\n"
	      "mailbox_subscribe_percentage = 20%\nmailbox_status_percentage = 10%\n"
	      "mail_sieve_fileinto_percentage = 50%\n}\n",
		1, 10 * LAB_MINUTE);
	run_until(15 * LAB_MINUTE);
	for (size_t i = 0; i < fake.count; i++) {
		const struct call *c = &fake.calls[i];
		bool is_inbox = strcmp(c->folder, "INBOX") == 0;

		kinds[c->kind]++;
		filed += c->kind == HISTORY_DELIVER && !is_inbox;
		subscribed += c->kind == HISTORY_SUBSCRIBE && strcmp(c->target, "+") == 0;
		if (c->kind == HISTORY_RENAME)
			assert_row(i, !is_inbox && strcmp(c->folder, c->target) != 0);
		if (c->kind == HISTORY_DELETE || c->kind == HISTORY_CREATE)
			assert_row(i, !is_inbox);
	}
	assert_true(kinds[HISTORY_CREATE] > 20 && kinds[HISTORY_RENAME] > 20);
	assert_true(kinds[HISTORY_DELETE] > 20 && kinds[HISTORY_STATUS] > 10);
	assert_true(kinds[HISTORY_SUBSCRIBE] > subscribed && subscribed > 10);
	assert_true(filed > kinds[HISTORY_DELIVER] / 4 && filed < kinds[HISTORY_DELIVER]);
}

static void who_is_deleted_is_locked_out_until_it_is_done(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		size_t deletions = 0;

		fake.deletions_fail = i == 1;
		start("user u {\ncount = 3\nobox_user_delete_interval = 20s\n"
		      "mail_session_length = 5s\n}\n",
			1, 5 * LAB_MINUTE);
		run_until(10 * LAB_MINUTE);
		assert_true(workload_is_idle(test.workload));
		for (size_t n = 0; n < fake.count; n++) {
			const struct call *c = &fake.calls[n];

			if (c->kind != HISTORY_USER_DELETE)
				continue;
			deletions++;
			for (size_t k = 0; k < fake.count; k++)
				assert_row(n, k == n || fake.calls[k].user != c->user ||
						      fake.calls[k].began_ns >= c->ended_ns ||
						      fake.calls[k].ended_ns <= c->began_ns);
		}
		assert_true(deletions > 10);
	}
	(void)state;
}

static void where_folders_come_and_go_those_are_looked_at_that_there_are(void **state)
{
	size_t from, lists = 0, selects = 0;

	(void)state;
	start("user u {\ncount = 2\nfolders = 2\nmailbox_create_percentage = 5%\n}\n", 1,
		LAB_MINUTE);
	run_until(5 * LAB_MINUTE);
	from = fake.count;
	assert_int_equal(workload_converge(test.workload, &test.loader.err), 0);
	run_until(30 * LAB_MINUTE);
	for (size_t i = from; i < fake.count; i++) {
		lists += fake.calls[i].kind == HISTORY_LIST;
		selects += fake.calls[i].kind == HISTORY_SELECT;
	}
	assert_int_equal(lists, 2 * 3);
	assert_int_equal(selects, 2 * 3 * 3);
}

/* It may be hours away, and then what does not end looks as if it hung. */
static void nobody_waits_for_what_would_come_after_the_end(void **state)
{
	(void)state;
	start("user u {\ncount = 20\nmail_inbox_delivery_interval = 10 s .. 2 hours\n"
	      "mail_session_interval = 10 s .. 2 hours\n"
	      "obox_user_delete_interval = 2 hours\n}\n",
		1, 5 * LAB_MINUTE);
	/* Those in a session look again after their pause. */
	run_until(20 * LAB_MINUTE);
	assert_true(workload_is_idle(test.workload));
	assert_true(fake.count > 0);
	for (size_t i = 0; i < fake.count; i++)
		assert_row(i, fake.calls[i].began_ns < 5 * LAB_MINUTE);
}

static void the_audit_opens_every_folder_and_reads_every_mail(void **state)
{
	size_t selects = 0, fetches = 0, from;

	(void)state;
	start("user u {\ncount = 4\nfolders = 2\n}\n", 1, LAB_MINUTE);
	run_until(5 * LAB_MINUTE);
	from = fake.count;
	assert_int_equal(workload_audit(test.workload, &test.nodes[2], &test.loader.err), 0);
	assert_false(workload_is_idle(test.workload));
	run_until(30 * LAB_MINUTE);

	assert_true(workload_is_idle(test.workload));
	for (size_t i = from; i < fake.count; i++) {
		selects += fake.calls[i].kind == HISTORY_SELECT;
		if (fake.calls[i].kind == HISTORY_FETCH)
			fetches += fake.calls[i].mails;
		assert_ptr_equal(fake.calls[i].node, &test.nodes[2]);
	}
	assert_int_equal(selects, 4 * 3);
	assert_int_equal(fetches, 4 * 3 * 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(users_deliver_and_read_until_the_end_and_then_stop),
		test(nobody_waits_for_what_would_come_after_the_end),
		test(what_a_user_delivers_has_tokens_of_its_own),
		test(a_move_goes_to_another_folder_and_takes_different_mails),
		test(a_user_stays_on_its_home_backend_while_that_is_up),
		test(while_a_backend_is_down_its_users_are_elsewhere),
		test(several_backends_serve_a_user_at_once),
		test(a_delivery_does_not_move_a_user_with_an_open_session),
		test(without_any_backend_deliveries_are_refused_and_nobody_reads),
		test(what_is_not_acknowledged_is_sent_again_so_many_times),
		test(what_takes_time_takes_it_from_the_pause_after_it),
		test(who_is_late_takes_the_whole_pause),
		test(after_the_end_nothing_is_sent_again),
		test(an_mta_without_patience_sends_again_what_is_under_way),
		test(who_answers_in_time_is_not_asked_again),
		test(a_session_whose_connection_broke_is_over),
		test(in_an_empty_folder_nothing_is_done),
		test(what_a_user_does_depends_on_the_seed_and_its_own_group_only),
		test(actions_store_flags_and_sieve_sets_them),
		test(what_is_set_is_cleared_every_other_time),
		test(readers_have_flags_of_others_mails),
		test(backends_that_serve_one_user_converge_twice_around),
		test(sessions_make_rename_and_delete_folders),
		test(who_is_deleted_is_locked_out_until_it_is_done),
		test(where_folders_come_and_go_those_are_looked_at_that_there_are),
		test(the_audit_opens_every_folder_and_reads_every_mail),
	};

	return cmocka_run_group_tests_name("workload", tests, NULL, NULL);
}
