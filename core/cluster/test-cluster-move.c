/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves of groups and users: what sessions live through, and that every move comes to an end,
 * whatever stops in the middle of it.
 */
#include "core/cluster/testing/palomar.h"

static const char *const users[] = { "ann", "bob", "cid", "dan" };
#define USERS LAB_COUNT_OF(users)

struct moving {
	unsigned source, target, third;
};

/* All users have a session on the group's backend; where it is, and where it could go. */
static struct moving begin(struct palomar *p)
{
	struct moving m = { 0 };

	for (size_t i = 0; i < USERS; i++)
		m.source = (unsigned)palomar_login(p, PROXY_1, users[i], CLUSTER_IMAP);
	m.target = m.source == B1 ? B2 : B1;
	m.third = (unsigned)(B1 + B2 + B3) - m.source - m.target;
	return m;
}

static void order(struct palomar *p, unsigned to)
{
	geo_must(&p->err, palomar_group_move(p, "default-1", to, false), 0);
	/* What backends have cached of the group is older than this. */
	palomar_sleep(p, 6 * LAB_SEC);
}

static void check_group(struct palomar *p, unsigned backend, bool moving, unsigned line)
{
	struct cluster_group group;

	if (!palomar_group(p, SITE_1, "default-1", &group))
		fail_msg("no group, line %u", line);
	if (palomar_node_of(group.backend_id) != (int)backend || moving != (group.moving.len > 0))
		fail_msg("group on %d, moving '%.*s', line %u", palomar_node_of(group.backend_id),
			LAB_VIEW_ARG(group.moving), line);
}
#define GROUP_IS_ON(backend) check_group(p, backend, false, __LINE__)
#define GROUP_LEAVES(backend) check_group(p, backend, true, __LINE__)

/* R3: in the end everybody is served by one backend, the same for all proxies. */
static unsigned check_agreement(struct palomar *p)
{
	int backend = -1;

	for (size_t i = 0; i < USERS; i++) {
		for (unsigned proxy = PROXY_1; proxy <= PROXY_3; proxy++) {
			int node = palomar_login(p, proxy, users[i], CLUSTER_IMAP);

			if (node < 0)
				fail_msg("%s by %u: %s", users[i], proxy, p->err.message);
			if (backend < 0)
				backend = node;
			assert_int_equal(node, backend);
		}
		assert_int_equal(palomar_backends_of(p, users[i]), 1);
	}
	return (unsigned)backend;
}

/* ---- all is well ---- */

PALOMAR(a_group_moves_with_everybody_in_it)
{
	struct moving m = begin(p);
	struct cluster_group group;

	order(p, m.target);
	/* M2: nothing has happened yet; the next access begins it. */
	for (size_t i = 0; i < USERS; i++)
		assert_int_equal(palomar_sessions(p, m.source, users[i]), 1);
	GROUP_LEAVES(m.source);
	assert_int_equal(palomar_login(p, PROXY_2, "ann", CLUSTER_LMTP), (int)m.source);
	palomar_sleep(p, LAB_SEC);
	GROUP_IS_ON(m.target);
	assert_int_equal(p->nodes[m.source].kicks, USERS);
	for (size_t i = 0; i < USERS; i++)
		assert_int_equal(palomar_backends_of(p, users[i]), 0);
	assert_int_equal(check_agreement(p), m.target);
	assert_int_equal(p->overlaps, 0);
	/* An alt for the next time was chosen while all is well. */
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_true(palomar_node_of(group.alt_backend_id) >= B1 &&
		    palomar_node_of(group.alt_backend_id) != (int)m.target);
	assert_int_equal(p->geo->events[LAB_EV_cluster_user_group_move_started], 1);
	assert_int_equal(p->geo->events[LAB_EV_cluster_user_group_move_finished], 1);
	assert_int_equal(p->geo->events[LAB_EV_cluster_user_move_started], USERS);
	assert_int_equal(p->geo->events[LAB_EV_cluster_user_move_finished], USERS);
}

PALOMAR(who_has_no_session_is_at_the_target_at_once)
{
	struct moving m = begin(p);

	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	/* ann has a session and stays; new comes for the first time. */
	assert_int_equal(palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP), (int)m.source);
	palomar_sleep(p, LAB_SEC);
	GROUP_LEAVES(m.source);
	assert_int_equal(palomar_login(p, PROXY_1, "new", CLUSTER_IMAP), (int)m.target);
	assert_int_equal(p->hops, 2);
	assert_int_equal(palomar_login(p, PROXY_3, "new", CLUSTER_POP3), (int)m.target);
	assert_int_equal(p->overlaps, 0);
}

struct late {
	struct palomar *p;
	unsigned backend;
	enum cluster_login_result result;
	struct cluster_place place;
	struct lab_error err;
	uint64_t took_ns;
	int status;
	bool done;
};

static void login_late(void *arg)
{
	struct late *l = arg;
	struct node *node = &l->p->nodes[l->backend];
	uint64_t start = env_now(node->geo->env);

	l->status = cluster_login(node->cluster, LAB_VIEW("bob"), false, node->geo->arena,
		&l->result, &l->place, &l->err);
	l->took_ns = env_now(node->geo->env) - start;
	l->done = true;
}

/* U1 */
PALOMAR(a_login_of_a_user_that_is_being_moved_waits)
{
	struct moving m = begin(p);
	struct late late = { .p = p, .backend = m.source };

	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	assert_int_equal(palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP), (int)m.source);
	palomar_sleep(p, LAB_SEC);
	geo_on(p->nodes[m.source].geo, login_late, &late);
	palomar_sleep(p, 5 * LAB_SEC);
	assert_false(late.done);
	/* Its delivery ends by itself. */
	palomar_logout(p, m.source, "bob");
	geo_wait(p->here, &late.done, LAB_SEC);
	geo_must(&late.err, late.status, 0);
	assert_int_equal(late.result, CLUSTER_REFERRED);
	assert_true(late.took_ns >= 5 * LAB_SEC);
	assert_true(lab_view_eq_cstr(late.place.host, p->nodes[m.target].name));
	assert_int_equal(p->overlaps, 0);
}

/* F7: the sanctioned way to have a user on two backends. */
PALOMAR(a_session_that_does_not_end_is_left_behind_after_the_timeout)
{
	struct moving m = begin(p);

	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, 29 * LAB_SEC);
	GROUP_LEAVES(m.source);
	palomar_sleep(p, 2 * LAB_SEC);
	GROUP_IS_ON(m.target);
	assert_int_equal(palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP), (int)m.target);
	assert_int_equal(p->overlaps, 1);
	/* It goes on being kicked. */
	p->nodes[m.source].is_stubborn = false;
	assert_int_equal(palomar_recheck(p, m.source), USERS);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(palomar_backends_of(p, "bob"), 1);
	assert_int_equal(check_agreement(p), m.target);
}

/* M6: for an hour, without asking anybody. */
PALOMAR(the_source_remembers_where_its_group_has_gone)
{
	struct moving m = begin(p);

	order(p, m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, LAB_MINUTE);
	GROUP_IS_ON(m.target);
	for (size_t i = 0; i < 2; i++)
		cqlemu_node_stop(p->geo->emu, i, world_now(p->geo->world));
	palomar_sleep(p, 50 * LAB_MINUTE);
	assert_int_equal(palomar_login_at(p, m.source, "bob"), (int)m.target);
	palomar_sleep(p, 15 * LAB_MINUTE);
	assert_int_equal(palomar_login_at(p, m.source, "bob"), -1);
}

/* ---- who decides ---- */

PALOMAR(what_was_ordered_last_wins)
{
	struct moving m = begin(p);

	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, 10 * LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "new", CLUSTER_IMAP), (int)m.target);
	/* In the middle of it, to another host. */
	geo_must(&p->err, palomar_group_move(p, "default-1", m.third, false), 0);
	p->nodes[m.source].is_stubborn = false;
	palomar_sleep(p, LAB_MINUTE);
	GROUP_IS_ON(m.third);
	/* The first target finds out that new is not its own. */
	assert_int_equal(palomar_recheck(p, m.target), 1);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(check_agreement(p), m.third);
	assert_int_equal(palomar_backends_of(p, "new"), 0);
}

/* F20, F27: the end of a move is on its way when somebody orders another one, and the source's
 * clock is an hour ahead. */
PALOMAR(the_end_of_a_move_does_not_undo_a_later_order)
{
	struct moving m = begin(p);

	world_clock_offset(p->nodes[m.source].geo->host, 3600 * INT64_C(1000000));
	order(p, m.target);
	p->geo->fault = (struct geo_fault){ .point = "cql.write",
		.table = "user_groups",
		.peer = p->nodes[m.source].name,
		.fault = { .kind = SIM_FAULT_DELAY, .delay_ns = 2 * LAB_SEC },
		.left = 1 };
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(p->geo->fault.fired, 1);
	geo_must(&p->err, palomar_group_move(p, "default-1", m.third, false), 0);
	palomar_sleep(p, 10 * LAB_SEC);
	/* The first move has ended, and the next one begins where it did. */
	GROUP_LEAVES(m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, 10 * LAB_SEC);
	GROUP_IS_ON(m.third);
	assert_int_equal(check_agreement(p), m.third);
	assert_int_equal(p->overlaps, 0);
}

PALOMAR(a_move_to_where_it_is_calls_off_the_one_that_runs)
{
	struct moving m = begin(p);

	assert_int_equal(palomar_group_move(p, "default-1", m.source, false), 1);
	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, 10 * LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "new", CLUSTER_IMAP), (int)m.target);
	assert_int_equal(palomar_group_move(p, "default-1", m.source, false), 1);
	GROUP_LEAVES(m.target);
	palomar_sleep(p, LAB_MINUTE);
	/* Who had gone is kicked there before anybody lets him in here. */
	assert_int_equal(palomar_login(p, PROXY_1, "new", CLUSTER_IMAP), (int)m.target);
	palomar_sleep(p, LAB_MINUTE);
	GROUP_IS_ON(m.source);
	assert_int_equal(palomar_login(p, PROXY_1, "new", CLUSTER_IMAP), (int)m.source);
	assert_int_equal(palomar_backends_of(p, "new"), 1);
	assert_int_equal(palomar_recheck(p, m.target), 0);
	assert_int_equal(p->overlaps, 0);
}

PALOMAR(nobody_comes_back_to_a_source_that_is_out)
{
	struct moving m = begin(p);
	int node;

	order(p, m.target);
	palomar_backend_status(p, m.source, CLUSTER_OFFLINE);
	assert_int_equal(palomar_group_move(p, "default-1", m.source, false), 1);
	GROUP_IS_ON(m.source);
	node = palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	assert_true(node >= 0 && node != (int)m.source);
	GROUP_IS_ON((unsigned)node);
}

PALOMAR(a_move_that_is_called_off_leaves_nobody_at_a_target_that_is_lost)
{
	struct moving m = begin(p);

	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, 10 * LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "new", CLUSTER_IMAP), (int)m.target);
	palomar_backend_status(p, m.target, CLUSTER_OFFLINE);
	assert_int_equal(palomar_group_move(p, "default-1", m.source, false), 1);
	GROUP_IS_ON(m.source);
	palomar_sleep(p, LAB_MINUTE);
	assert_int_equal(palomar_recheck(p, m.target), 1);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "new", CLUSTER_IMAP), (int)m.source);
	assert_int_equal(palomar_backends_of(p, "new"), 1);
}

PALOMAR(a_target_that_is_lost_gets_nobody)
{
	struct moving m = begin(p);

	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, LAB_SEC);
	palomar_backend_status(p, m.target, CLUSTER_OFFLINE);
	palomar_crash(p, m.target, true);
	palomar_sleep(p, LAB_MINUTE);
	/* It is taken back, and moved users with it. */
	GROUP_IS_ON(m.source);
	p->nodes[m.source].is_stubborn = false;
	assert_int_equal(check_agreement(p), m.source);
	assert_int_equal(p->overlaps, 0);
}

PALOMAR(commands_that_make_no_sense_are_refused)
{
	struct moving m = begin(p);
	struct lab_error *err = &p->err;

	assert_int_equal(palomar_group_move(p, "default-9", m.target, false), -1);
	assert_int_equal(err->code, LAB_NOT_FOUND);
	assert_int_equal(palomar_group_move(p, "default-1", B9, false), -1);
	assert_non_null(strstr(err->message, "site az1 has no backend b9"));
	assert_int_equal(cluster_group_move(p->here->geodb, &p->policy, LAB_VIEW("az7"),
				 LAB_VIEW("default-1"), LAB_VIEW("b1"), false, err),
		-1);
	assert_non_null(strstr(err->message, "there is no site az7"));
	palomar_backend_status(p, m.target, CLUSTER_STANDBY);
	assert_int_equal(palomar_group_move(p, "default-1", m.target, true), -1);
	assert_int_equal(err->code, LAB_INVALID);
	assert_int_equal(palomar_user_move(p, "nobody", "", "default-1"), -1);
	assert_int_equal(err->code, LAB_NOT_FOUND);
	assert_int_equal(palomar_user_move(p, "bob", "", ""), -1);
	assert_int_equal(palomar_user_move(p, "bob", "az7", "default-1"), -1);
	GROUP_IS_ON(m.source);
}

/* ---- the source is lost ---- */

static void lose_source(struct palomar *p, struct moving *m)
{
	*m = begin(p);
	p->nodes[m->source].is_stubborn = true;
	order(p, m->target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, LAB_SEC);
	/* Half of them have gone. */
	palomar_logout(p, m->source, "bob");
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP), (int)m->target);
	GROUP_LEAVES(m->source);
}

/* M7, by all proxies at once. */
PALOMAR(a_move_whose_source_is_lost_is_finished_by_the_next_who_asks)
{
	struct moving m;

	lose_source(p, &m);
	palomar_backend_status(p, m.source, CLUSTER_OFFLINE);
	palomar_crash(p, m.source, true);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(check_agreement(p), m.target);
	GROUP_IS_ON(m.target);
	assert_int_equal(p->overlaps, 0);
}

static void restart_source(struct palomar *p, bool is_reboot)
{
	struct moving m;
	unsigned backend;

	p->localdb_path = "/dev/shm/cluster-localdb";
	for (unsigned i = 0; i < NODES; i++) {
		palomar_close(p, i);
		palomar_open(p, i);
	}
	lose_source(p, &m);
	palomar_crash(p, m.source, is_reboot);
	p->nodes[m.source].is_stubborn = false;
	GROUP_LEAVES(m.source);
	/* bob has a session at the target; the source must not take him (F9). */
	assert_int_equal(palomar_login_at(p, m.source, "bob"), (int)m.target);
	palomar_sleep(p, 10 * LAB_SEC);
	backend = check_agreement(p);
	assert_int_equal(backend, m.target);
	GROUP_IS_ON(m.target);
	assert_int_equal(p->overlaps, 0);
}

PALOMAR(a_source_that_restarts_goes_on_with_its_move)
{
	restart_source(p, false);
}

PALOMAR(a_source_that_has_forgotten_everything_goes_on_with_its_move)
{
	restart_source(p, true);
}

/* ---- every step fails, or is the last ---- */

enum ending {
	FAILS,              /* certainly not done */
	UNCERTAIN_NOT_DONE, /* for as often as it is repeated */
	UNCERTAIN_DONE,
	CRASHES_BEFORE,
	CRASHES_AFTER,
	CRASHES_AND_FORGETS,
	ENDINGS
};

static struct {
	enum ending ending;
	unsigned step;
	bool has_fired;
	unsigned crashed; /* node, 0: none */
} sweep;

static struct geo_fault fault_of(const char *point)
{
	struct geo_fault f = { .point = point, .skip = sweep.step, .left = 1 };

	switch (sweep.ending) {
	case FAILS:
		f.fault = (struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 0x1001 };
		f.left = 12;
		break;
	case UNCERTAIN_NOT_DONE:
		f.fault = (struct sim_fault){ .kind = SIM_FAULT_FAIL, .status = 0x1100 };
		f.left = 12;
		break;
	case UNCERTAIN_DONE:
		f.fault = (struct sim_fault){ .kind = SIM_FAULT_ALTER_REPLY, .status = 0x1100 };
		f.left = 12;
		break;
	case CRASHES_BEFORE:
	case CRASHES_AND_FORGETS:
		f.fault.kind = SIM_FAULT_RESET;
		break;
	case CRASHES_AFTER:
		f.fault.kind = SIM_FAULT_LOSE_REPLY;
		break;
	case ENDINGS:
		break;
	}
	return f;
}

/* Everybody who reads or writes groups is hit, in turn; who crashes is the source. */
static void swept_body(struct palomar *p, const char *point)
{
	struct moving m;
	struct node *source;
	unsigned backend;

	p->localdb_path = "/dev/shm/cluster-localdb";
	for (unsigned i = B1; i <= B3; i++) {
		palomar_close(p, i);
		palomar_open(p, i);
	}
	m = begin(p);
	source = &p->nodes[m.source];
	order(p, m.target);
	p->geo->fault = fault_of(point);
	if (sweep.ending >= CRASHES_BEFORE)
		p->geo->fault.crash = source->geo->host;
	p->geo->fault.peer = source->name;
	for (size_t i = 0; i < USERS; i++) {
		(void)palomar_login(p, PROXY_1, users[i], CLUSTER_IMAP);
		palomar_sleep(p, 300 * LAB_MSEC);
	}
	sweep.has_fired = p->geo->fault.fired > 0;
	if (!palomar_is_open(source))
		palomar_crash(p, m.source, sweep.ending == CRASHES_AND_FORGETS);
	palomar_sleep(p, 2 * LAB_MINUTE);
	p->geo->fault = (struct geo_fault){ 0 };
	/* The next accesses, if it is not over. */
	for (size_t i = 0; i < USERS; i++)
		(void)palomar_login(p, PROXY_2, users[i], CLUSTER_IMAP);
	palomar_sleep(p, LAB_MINUTE);
	for (unsigned i = B1; i <= B3; i++)
		(void)palomar_recheck(p, i);
	palomar_sleep(p, LAB_MINUTE);
	/* R6: the move is over; all that was asked for has happened. */
	GROUP_IS_ON(m.target);
	backend = check_agreement(p);
	assert_int_equal(backend, m.target);
	assert_int_equal(p->overlaps, 0);
}

static const char *swept_point;
static void swept(struct palomar *p)
{
	swept_body(p, swept_point);
}

static void sweep_point(const char *point, unsigned steps_min)
{
	for (int ending = 0; ending < ENDINGS; ending++) {
		unsigned steps = 0;

		do {
			sweep.ending = (enum ending)ending;
			sweep.step = steps++;
			swept_point = point;
			palomar_run(swept);
		} while (sweep.has_fired);
		if (steps <= steps_min)
			fail_msg("ending %d: only %u steps of %s", ending, steps - 1, point);
	}
}

static void every_write_of_a_move_may_fail_or_be_the_last(void **state)
{
	(void)state;
	sweep_point("cql.write", 1);
}

static void every_read_of_a_move_may_fail_or_be_the_last(void **state)
{
	(void)state;
	sweep_point("cql.read", 8);
}

/* ---- users alone ---- */

PALOMAR(a_user_moves_to_another_group)
{
	struct moving m;
	struct cluster_group other = {
		.site_id = geo_id(SITE_1), .name = LAB_VIEW("vip"), .moving = LAB_VIEW("")
	};
	struct cluster_user user;

	m = begin(p);
	other.backend_id = geo_id(BACKEND_ID(m.target));
	other.alt_backend_id = geo_id(BACKEND_ID(m.third));
	geo_must(&p->err,
		geodb_put(p->here->geodb, CLUSTER_TABLE_GROUP, &other, CLUSTER_ALL_COLUMNS, 0,
			&p->err),
		0);
	geo_must(&p->err, palomar_user_move(p, "bob", "", "vip"), 0);
	palomar_sleep(p, 61 * LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP), (int)m.target);
	assert_int_equal(p->overlaps, 0);
	assert_int_equal(palomar_sessions(p, m.source, "bob"), 0);
	assert_int_equal(palomar_sessions(p, m.source, "ann"), 1);
	assert_true(palomar_user(p, "bob", &user));
	assert_true(lab_view_eq_cstr(user.group_name, "vip"));
	assert_int_equal(user.moving_group.len, 0);
	/* To a group on the same backend nobody has to leave. */
	geo_must(&p->err, palomar_user_move(p, "bob", "", "default-1"), 0);
	geo_must(&p->err, palomar_group_move(p, "default-1", m.target, true), 0);
	palomar_sleep(p, 61 * LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP), (int)m.target);
	assert_int_equal(palomar_sessions(p, m.target, "bob"), 2);
	assert_int_equal(p->nodes[m.target].kicks, 0);
}

PALOMAR(a_user_moves_to_another_site)
{
	struct cluster_user user;
	struct moving m = begin(p);

	geo_must(&p->err, palomar_user_move(p, "bob", "az2", "default-1"), 0);
	palomar_sleep(p, 61 * LAB_SEC);
	/* Nobody comes: the backend finds out by itself. */
	(void)palomar_recheck(p, m.source);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(palomar_sessions(p, m.source, "bob"), 0);
	assert_int_equal(palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP), B9);
	assert_int_equal(palomar_login(p, PROXY_3, "bob", CLUSTER_IMAP), B9);
	assert_true(palomar_user(p, "bob", &user));
	assert_true(cluster_id_eq(user.home_site_id, geo_id(SITE_2)));
	assert_true(cluster_id_eq(user.failover_site_id, geo_id(SITE_1)));
	/* To a site that is not there any more: nothing happens, and nothing waits for ever. */
	geo_must(&p->err, palomar_user_move(p, "bob", "az1", "default-1"), 0);
	palomar_site_status(p, SITE_1, CLUSTER_OFFLINE);
	palomar_sleep(p, 61 * LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_3, "bob", CLUSTER_IMAP), B9);
	assert_true(palomar_user(p, "bob", &user));
	assert_int_equal(user.moving_group.len, 0);
	assert_true(cluster_id_eq(user.site_id, geo_id(SITE_2)));
	assert_int_equal(p->overlaps, 0);
}

/* A site is emptied at its users' next accesses. */
PALOMAR(an_evacuated_site_hands_its_users_over)
{
	struct moving m = begin(p);

	palomar_site_status(p, SITE_1, CLUSTER_EVACUATE);
	palomar_sleep(p, 61 * LAB_SEC);
	for (size_t i = 0; i < USERS; i++) {
		assert_int_equal(palomar_login(p, PROXY_1, users[i], CLUSTER_IMAP), B9);
		assert_int_equal(palomar_sessions(p, m.source, users[i]), 0);
	}
	assert_int_equal(p->overlaps, 0);
}

/* Where the users with these names are served: how many at site 2. */
static unsigned at_site_2(struct palomar *p, unsigned count)
{
	unsigned there = 0;
	char name[32];

	for (unsigned i = 0; i < count; i++) {
		int node;

		(void)snprintf(name, sizeof(name), "user%u", i);
		node = palomar_login(p, PROXY_1, name, CLUSTER_IMAP);
		if (node < 0)
			fail_msg("%s: %s", name, p->err.message);
		there += node == B9;
		palomar_logout(p, (unsigned)node, name);
	}
	return there;
}

static void site_command(struct palomar *p, const char *site, unsigned pct, const char *dest)
{
	const struct lab_view to = lab_view_cstr(dest);

	geo_must(&p->err,
		cluster_site_force_move(p->here->geodb, lab_view_cstr(site), LAB_VIEW("january"),
			pct, &to, dest == NULL ? 0 : 1, &p->err),
		0);
	palomar_sleep(p, 6 * LAB_SEC);
}

/* A zone is lost and returns: its users come home in steps (palomar 2.8). */
PALOMAR(users_come_home_in_steps)
{
	unsigned last = 40, now;

	assert_int_equal(at_site_2(p, 40), 0);
	palomar_site_status(p, SITE_1, CLUSTER_OFFLINE);
	palomar_sleep(p, 61 * LAB_SEC);
	assert_int_equal(at_site_2(p, 40), 40);
	geo_must(&p->err,
		cluster_site_status(p->here->geodb, LAB_VIEW("az1"), CLUSTER_ONLINE, &p->err), 0);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(at_site_2(p, 40), 40);
	for (unsigned pct = 25; pct <= 100; pct += 25) {
		site_command(p, "az1", pct, NULL);
		now = at_site_2(p, 40);
		assert_true(now < last);
		assert_int_equal(at_site_2(p, 40), now);
		last = now;
	}
	assert_int_equal(last, 0);
	/* Sent away on purpose: the same share for the same id, and nobody comes back. */
	site_command(p, "az1", 0, NULL);
	site_command(p, "az1", 50, "az2");
	now = at_site_2(p, 40);
	assert_in_range(now, 8, 32);
	site_command(p, "az1", 0, "az2");
	assert_int_equal(at_site_2(p, 40), now);
	/* A change of the status ends it. */
	site_command(p, "az1", 100, "az2");
	geo_must(&p->err,
		cluster_site_status(p->here->geodb, LAB_VIEW("az1"), CLUSTER_ONLINE, &p->err), 0);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(at_site_2(p, 40), now);
	assert_int_equal(p->overlaps, 0);
	assert_int_equal(cluster_site_force_move(p->here->geodb, LAB_VIEW("az1"), LAB_VIEW("x"),
				 101, NULL, 0, &p->err),
		-1);
	assert_int_equal(p->err.code, LAB_INVALID);
	assert_int_equal(
		cluster_site_status(p->here->geodb, LAB_VIEW("az7"), CLUSTER_ONLINE, &p->err), -1);
	assert_int_equal(p->err.code, LAB_NOT_FOUND);
}

/* Nobody logs in any more, and GeoDB is away when the move should end. */
PALOMAR(a_move_outlives_an_outage_of_geodb)
{
	struct moving m = begin(p);

	p->nodes[m.source].is_stubborn = true;
	order(p, m.target);
	(void)palomar_login(p, PROXY_1, "ann", CLUSTER_IMAP);
	palomar_sleep(p, 20 * LAB_SEC);
	for (size_t i = 0; i < 2; i++)
		cqlemu_node_stop(p->geo->emu, i, world_now(p->geo->world));
	palomar_sleep(p, 20 * LAB_SEC);
	for (size_t i = 0; i < 2; i++)
		cqlemu_node_start(p->geo->emu, i, world_now(p->geo->world));
	palomar_sleep(p, 2 * LAB_MINUTE);
	GROUP_IS_ON(m.target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_moves_with_everybody_in_it),
		cmocka_unit_test(who_has_no_session_is_at_the_target_at_once),
		cmocka_unit_test(a_login_of_a_user_that_is_being_moved_waits),
		cmocka_unit_test(a_session_that_does_not_end_is_left_behind_after_the_timeout),
		cmocka_unit_test(the_source_remembers_where_its_group_has_gone),
		cmocka_unit_test(what_was_ordered_last_wins),
		cmocka_unit_test(the_end_of_a_move_does_not_undo_a_later_order),
		cmocka_unit_test(a_move_to_where_it_is_calls_off_the_one_that_runs),
		cmocka_unit_test(nobody_comes_back_to_a_source_that_is_out),
		cmocka_unit_test(a_move_that_is_called_off_leaves_nobody_at_a_target_that_is_lost),
		cmocka_unit_test(a_target_that_is_lost_gets_nobody),
		cmocka_unit_test(commands_that_make_no_sense_are_refused),
		cmocka_unit_test(a_move_whose_source_is_lost_is_finished_by_the_next_who_asks),
		cmocka_unit_test(a_source_that_restarts_goes_on_with_its_move),
		cmocka_unit_test(a_source_that_has_forgotten_everything_goes_on_with_its_move),
		cmocka_unit_test(every_write_of_a_move_may_fail_or_be_the_last),
		cmocka_unit_test(every_read_of_a_move_may_fail_or_be_the_last),
		cmocka_unit_test(a_user_moves_to_another_group),
		cmocka_unit_test(a_user_moves_to_another_site),
		cmocka_unit_test(an_evacuated_site_hands_its_users_over),
		cmocka_unit_test(users_come_home_in_steps),
		cmocka_unit_test(a_move_outlives_an_outage_of_geodb),
	};
	return cmocka_run_group_tests_name("cluster-move", tests, NULL, NULL);
}
