/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions of proxies and backends, exhaustively: a model of GeoDB in every state that a few
 * sites, backends and rows can be in, and whoever asks with caches in every such state.
 */
#include "core/base/testing.h"

#include "core/cluster/route.h"

static struct cluster_id id(uint8_t n)
{
	return n == 0 ? (struct cluster_id){ { 0 } }
		      : (struct cluster_id){ { 1, 2, 3, [CLUSTER_ID_SIZE - 1] = n } };
}

#define S1 1
#define S2 2
#define B1 11 /* of site 1, as B2 and B3 */
#define B2 12
#define B3 13
#define B9 19 /* of site 2 */

struct model {
	struct cluster_site sites[2];
	struct cluster_backend backends[4];
	struct cluster_reachability reach;
	bool has_user, has_group;
	struct cluster_user user;
	struct cluster_group group; /* default-1 of site 1 */
	struct cluster_view view;
	unsigned writes;
};

/* All well: user bob of group default-1 on B1 of site 1, else B2; else site 2. */
static void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	for (uint8_t i = 0; i < 2; i++)
		m->sites[i] = (struct cluster_site){ .id = id((uint8_t)(S1 + i)),
			.name = i == 0 ? LAB_VIEW("az1") : LAB_VIEW("az2"),
			.load_balancer = i == 0 ? LAB_VIEW("lb-1") : LAB_VIEW("lb-2"),
			.status = CLUSTER_ONLINE };
	for (uint8_t i = 0; i < 4; i++)
		m->backends[i] =
			(struct cluster_backend){ .id = id((uint8_t)(i == 3 ? B9 : B1 + i)),
				.site_id = id(i == 3 ? S2 : S1),
				.host = LAB_VIEW("b"),
				.status = CLUSTER_ONLINE,
				.load_factor = 100 };
	m->reach = (struct cluster_reachability){
		.src_site_id = id(S1), .dest_site_id = id(S2), .reachable = 1
	};
	m->has_user = m->has_group = true;
	m->user = (struct cluster_user){ .username = LAB_VIEW("bob"),
		.site_id = id(S1),
		.group_name = LAB_VIEW("default-1"),
		.failover_site_id = id(S2),
		.failover_group = LAB_VIEW("default-1"),
		.home_site_id = id(S1),
		.version_us = 1000 };
	m->group = (struct cluster_group){ .site_id = id(S1),
		.name = LAB_VIEW("default-1"),
		.backend_id = id(B1),
		.alt_backend_id = id(B2),
		.moving = LAB_VIEW(""),
		.version_us = 2000 };
}

static void model_view(struct model *m)
{
	m->view = (struct cluster_view){ m->sites, 2, m->backends, 4, &m->reach, 1 };
}

static const struct cluster_policy by_hash = { CLUSTER_ASSIGN_HASH, 1 };

/* ---- carrying out the answers ---- */

static void apply_user(struct model *m, const struct route_answer *a)
{
	const struct cluster_table *table = cluster_table(CLUSTER_TABLE_USER);

	/* A row that was there is overwritten only just after what was seen of it. */
	if (m->has_user)
		assert_int_equal(a->timestamp_us, m->user.version_us + 1);
	for (size_t i = 1; i < table->column_count; i++) {
		size_t end = i + 1 < table->column_count ? table->columns[i + 1].offset
							 : table->version_offset;

		if ((a->columns >> i & 1) != 0)
			memcpy((char *)&m->user + table->columns[i].offset,
				(const char *)&a->user + table->columns[i].offset,
				end - table->columns[i].offset);
	}
	m->user.username = LAB_VIEW("bob");
	/* The only group name of these tests. */
	if (m->user.group_name.len > 0)
		m->user.group_name = LAB_VIEW("default-1");
	if (m->user.failover_group.len > 0)
		m->user.failover_group = LAB_VIEW("default-1");
	if (m->user.moving_group.len > 0)
		m->user.moving_group = LAB_VIEW("default-1");
	m->user.version_us++;
	m->has_user = true;
	m->writes++;
}

static void apply_group(struct model *m, const struct route_answer *a)
{
	const struct cluster_backend *to = cluster_view_backend(&m->view, a->group.backend_id);
	const struct cluster_backend *alt = cluster_view_backend(&m->view, a->group.alt_backend_id);

	assert_true(cluster_id_eq(a->group.site_id, id(S1)));
	if (m->has_group)
		assert_int_equal(a->timestamp_us, m->group.version_us + 1);
	/* R9: nobody is sent where nobody may be sent. */
	assert_true(cluster_backend_is_legal(to, id(S1)));
	assert_true(alt == NULL || (alt != to && cluster_backend_is_legal(alt, id(S1))));
	assert_int_equal(a->columns,
		GROUP_COLUMN(backend_id) | GROUP_COLUMN(alt_backend_id) | GROUP_COLUMN(moving));
	assert_true(a->group.moving.ptr != NULL && a->group.moving.len == 0);
	m->group.backend_id = a->group.backend_id;
	m->group.alt_backend_id = a->group.alt_backend_id;
	m->group.moving = LAB_VIEW("");
	m->group.version_us++;
	m->has_group = true;
	m->writes++;
}

/* One login: `q` is what its host has cached. Returns how it ended. */
static void login(struct model *m, struct route_question *q, struct route_answer *a)
{
	for (unsigned i = 0; i < ROUTE_STEPS_MAX; i++) {
		route_next(q, a);
		if (a->step >= ROUTE_BACKEND)
			return;
		if (a->step == ROUTE_READ_VIEW) {
			q->view = &m->view;
			q->view_is_fresh = true;
			continue;
		}
		if (a->step == ROUTE_WRITE_USER) {
			assert_true(q->view_is_fresh && q->user_known == ROUTE_FRESH);
			apply_user(m, a);
		}
		if (a->step == ROUTE_WRITE_GROUP) {
			assert_true(q->view_is_fresh && q->group_known == ROUTE_FRESH);
			apply_group(m, a);
		}
		if (a->step == ROUTE_READ_USER || a->step == ROUTE_WRITE_USER) {
			q->has_user = m->has_user;
			q->user = m->user;
			q->user_known = ROUTE_FRESH;
		} else {
			bool is_here = cluster_id_eq(a->group.site_id, id(S1));

			q->has_group = is_here && m->has_group;
			q->group = is_here ? m->group : a->group;
			if (!q->has_group) {
				q->group.site_id = a->group.site_id;
				q->group.name = LAB_VIEW("default-1");
			}
			q->group_known = ROUTE_FRESH;
		}
	}
	fail_msg("no end after %d steps, the last is %d", ROUTE_STEPS_MAX, a->step);
}

static struct route_question question(struct model *m)
{
	return (struct route_question){ .view = &m->view,
		.policy = by_hash,
		.local_site = id(S1),
		.now_ms = 5,
		.user = { .username = LAB_VIEW("bob") } };
}

static void login_anew(struct model *m, struct route_answer *a)
{
	struct route_question q = question(m);

	login(m, &q, a);
}

/* ---- every state ---- */

static void put_backends(struct model *m, unsigned *rest)
{
	static const enum cluster_status statuses[] = { CLUSTER_ONLINE, CLUSTER_OFFLINE,
		CLUSTER_STANDBY };
	unsigned combination = *rest;

	for (size_t i = 0; i < 3; i++)
		m->backends[i].status = statuses[combination % 3], combination /= 3;
	m->backends[1].load_factor = combination % 2 ? 0 : 100;
	combination /= 2;
	*rest = combination;
}

static void put_group(struct model *m, unsigned *rest)
{
	static const uint8_t backends[] = { B1, B2, 99, B9 }, alts[] = { 0, B1, B2, B3, 99 };
	unsigned combination = *rest;

	m->group.backend_id = id(backends[combination % 4]), combination /= 4;
	m->group.alt_backend_id = id(alts[combination % 5]), combination /= 5;
	m->group.moving = combination % 2 ? LAB_VIEW("b1:7") : LAB_VIEW("");
	combination /= 2;
	m->has_group = combination % 6 != 0;
	*rest = combination / 6;
}

#define GROUP_STATES (27 * 2 * 4 * 5 * 2 * 6)

/* What is true whenever somebody was routed. */
static void check_end(struct model *m, const struct route_answer *a, unsigned state)
{
	struct route_answer again;
	bool is_any_legal = false, is_served;

	for (size_t i = 0; i < 3; i++)
		is_any_legal |= cluster_backend_is_legal(&m->backends[i], id(S1));
	if (a->step == ROUTE_BACKEND) {
		assert_row(state, a->backend->status == CLUSTER_ONLINE);
		assert_row(state, cluster_id_eq(a->backend->site_id, id(S1)));
		assert_row(state, cluster_id_eq(a->backend->id, m->group.backend_id));
	} else if (a->step == ROUTE_TEMPFAIL) {
		assert_row(state, a->reason != NULL);
	}
	is_served = a->step != ROUTE_TEMPFAIL;
	/* R3: whoever comes next says the same and changes nothing. */
	unsigned writes = m->writes;
	login_anew(m, &again);
	assert_row(state,
		again.step == a->step && again.backend == a->backend && again.site == a->site);
	assert_row(state, m->writes == writes);
	/* R5: nobody is turned away while there is a place, unless a site is not described well. */
	if (!is_served && m->sites[0].status == CLUSTER_ONLINE)
		assert_row(state, !is_any_legal || m->sites[1].load_balancer.len == 0 ||
					  cluster_view_site(&m->view, m->user.site_id) == NULL);
}

static void every_state_of_a_group_ends_well(void **state)
{
	struct model m;
	struct route_answer a;
	unsigned ends[ROUTE_TEMPFAIL + 1] = { 0 }, writes = 0;

	(void)state;
	for (unsigned i = 0; i < GROUP_STATES; i++) {
		unsigned rest = i;

		model_init(&m);
		put_backends(&m, &rest);
		put_group(&m, &rest);
		model_view(&m);
		struct cluster_backend *was =
			(struct cluster_backend *)cluster_view_backend(&m.view, m.group.backend_id);
		bool is_well = m.has_group && was != NULL && was->status == CLUSTER_ONLINE &&
			       cluster_id_eq(was->site_id, id(S1));
		login_anew(&m, &a);
		check_end(&m, &a, i);
		/* M2: while its backend is online nothing changes, whether it moves or not. */
		if (is_well)
			assert_row(i, a.backend == was && m.writes == 0);
		assert_row(i, m.writes <= 1);
		ends[a.step]++;
		writes += m.writes;
	}
	assert_true(ends[ROUTE_BACKEND] > 5000 && ends[ROUTE_TEMPFAIL] > 500 && writes > 3000);
}

static void put_sites(struct model *m, unsigned *rest)
{
	unsigned combination = *rest;

	for (size_t i = 0; i < 2; i++)
		m->sites[i].status = (enum cluster_status)(combination % 5), combination /= 5;
	m->reach.reachable = combination % 2;
	combination /= 2;
	m->sites[1].load_balancer = combination % 2 ? LAB_VIEW("") : LAB_VIEW("lb-2");
	*rest = combination / 2;
}

static void put_user(struct model *m, unsigned *rest)
{
	static const uint8_t sites[] = { S1, S2, 99 }, others[] = { 0, S1, S2, 99 };
	unsigned combination = *rest;

	m->user.site_id = id(sites[combination % 3]), combination /= 3;
	m->user.failover_site_id = id(others[combination % 4]), combination /= 4;
	if (!cluster_id_is_set(m->user.failover_site_id))
		m->user.failover_group = (struct lab_view){ NULL, 0 };
	m->user.moving_site_id = id(others[combination % 4]), combination /= 4;
	if (cluster_id_is_set(m->user.moving_site_id))
		m->user.moving_group = LAB_VIEW("default-1");
	m->has_user = combination % 5 != 0;
	combination /= 5;
	m->backends[0].status = combination % 2 ? CLUSTER_OFFLINE : CLUSTER_ONLINE;
	*rest = combination / 2;
}

#define USER_STATES (25 * 2 * 2 * 3 * 4 * 4 * 5 * 2)

static void every_state_of_a_user_ends_well(void **state)
{
	struct model m;
	struct route_answer a;
	unsigned ends[ROUTE_TEMPFAIL + 1] = { 0 };

	(void)state;
	for (unsigned i = 0; i < USER_STATES; i++) {
		unsigned rest = i;
		bool was_there;

		model_init(&m);
		put_sites(&m, &rest);
		put_user(&m, &rest);
		model_view(&m);
		was_there = m.has_user;
		login_anew(&m, &a);
		check_end(&m, &a, i);
		assert_row(i, m.writes <= 4);
		/* Nobody new belongs to a site that is not online. */
		if (!was_there && m.has_user)
			assert_row(i, cluster_view_site(&m.view, m.user.home_site_id)->status ==
					      CLUSTER_ONLINE);
		/* A user that could not be reached only from here has not failed over. */
		if (was_there && m.sites[1].status == CLUSTER_ONLINE && m.reach.reachable == 0)
			assert_row(i, cluster_id_eq(m.user.home_site_id, id(S1)));
		ends[a.step]++;
	}
	assert_true(ends[ROUTE_BACKEND] > 5000 && ends[ROUTE_SITE] > 500 &&
		    ends[ROUTE_TEMPFAIL] > 1000);
}

/* ---- caches ---- */

/* The host has cached one state of things, and by now another one is true: it does what a host
 * without caches does, or goes where it went before and changes nothing. */
static void stale_caches_write_nothing_of_their_own(void **state)
{
	struct model cached, fresh, alone;
	struct route_answer a, expected;
	unsigned detours = 0, agreed = 0;

	(void)state;
	for (unsigned i = 0; i < GROUP_STATES; i++) {
		unsigned rest = i, other = (unsigned)(lab_mix64(i) % GROUP_STATES);
		struct route_question q;

		model_init(&cached);
		put_backends(&cached, &rest);
		put_group(&cached, &rest);
		model_view(&cached);
		model_init(&fresh);
		put_backends(&fresh, &other);
		put_group(&fresh, &other);
		alone = fresh;
		model_view(&fresh);
		model_view(&alone);
		login_anew(&alone, &expected);

		q = question(&cached);
		q.user_known = q.group_known = ROUTE_CACHED;
		q.has_user = true;
		q.user = cached.user;
		q.has_group = cached.has_group;
		q.group = cached.group;
		login(&fresh, &q, &a);
		if (fresh.writes > 0) {
			assert_row(i, fresh.writes == alone.writes);
			assert_row(i, memcmp(&fresh.group, &alone.group, sizeof(alone.group)) == 0);
			agreed++;
		} else if (a.step == ROUTE_BACKEND && expected.backend != NULL &&
			   !cluster_id_eq(a.backend->id, expected.backend->id)) {
			/* A detour: that backend will say so. */
			assert_row(i, q.view == &cached.view || q.group_known == ROUTE_CACHED);
			detours++;
		}
	}
	assert_true(detours > 500 && agreed > 500);
}

/* L8 by two proxies at once. */
static void two_proxies_fail_over_to_the_same_backend(void **state)
{
	struct model m, other;
	struct route_question q;
	struct route_answer a, b;

	(void)state;
	model_init(&m);
	m.backends[0].status = CLUSTER_OFFLINE;
	model_view(&m);
	q = question(&m);
	q.user_known = q.group_known = ROUTE_FRESH;
	q.view_is_fresh = q.has_user = q.has_group = true;
	q.user = m.user;
	q.group = m.group;
	route_next(&q, &a);
	/* The second one sees a third backend more. */
	other = m;
	model_view(&other);
	other.backends[2].status = CLUSTER_OFFLINE;
	q.view = &other.view;
	route_next(&q, &b);
	assert_int_equal(a.step, ROUTE_WRITE_GROUP);
	assert_int_equal(b.step, ROUTE_WRITE_GROUP);
	assert_true(cluster_id_eq(a.group.backend_id, id(B2)));
	assert_true(cluster_id_eq(b.group.backend_id, id(B2)));
	assert_int_equal(a.timestamp_us, 2001);
	assert_int_equal(b.timestamp_us, 2001);
	/* Only what comes after that may differ (palomar 4.2, F26). */
	assert_true(cluster_id_eq(a.group.alt_backend_id, id(B3)));
	assert_false(cluster_id_is_set(b.group.alt_backend_id));
}

/* ---- assignment ---- */

static void groups_are_spread_and_stay(void **state)
{
	struct model m;
	unsigned counts[3] = { 0 }, moved = 0;
	char name[CLUSTER_GROUP_NAME_MAX];

	(void)state;
	model_init(&m);
	model_view(&m);
	for (unsigned i = 0; i < 300; i++) {
		const struct cluster_backend *with, *without;
		struct lab_view group;

		(void)snprintf(name, sizeof(name), "default-%u", i);
		group = lab_view_cstr(name);
		with = cluster_pick_backend(&m.view, &by_hash, id(S1), group, id(0), i);
		assert_ptr_equal(
			with, cluster_pick_backend(&m.view, &by_hash, id(S1), group, id(0), i + 1));
		counts[with - m.backends]++;
		m.backends[1].load_factor = 0;
		without = cluster_pick_backend(&m.view, &by_hash, id(S1), group, id(0), i);
		m.backends[1].load_factor = 100;
		assert_true(without != &m.backends[1]);
		assert_true(with == without || with == &m.backends[1]);
		moved += with != without;
	}
	for (size_t i = 0; i < 3; i++)
		assert_in_range(counts[i], 70, 130);
	assert_int_equal(moved, counts[1]);
	/* The adversary's way depends on the draw. */
	const struct cluster_policy by_draw = { CLUSTER_ASSIGN_RANDOM, 100 };
	unsigned seen = 0, groups = 0;
	char first[CLUSTER_GROUP_NAME_MAX];
	cluster_default_group(&by_draw, LAB_VIEW("bob"), lab_mix64(0), first);
	for (unsigned i = 0; i < 60; i++) {
		const struct cluster_backend *b = cluster_pick_backend(
			&m.view, &by_draw, id(S1), LAB_VIEW("default-1"), id(0), lab_mix64(i));

		seen |= 1u << (b - m.backends);
		cluster_default_group(&by_draw, LAB_VIEW("bob"), lab_mix64(i), name);
		groups += strcmp(name, first) != 0;
	}
	assert_int_equal(seen, 7);
	assert_true(groups > 40);
}

static void default_groups_are_numbered_from_one(void **state)
{
	const struct cluster_policy policy = { CLUSTER_ASSIGN_HASH, 3 };
	char name[CLUSTER_GROUP_NAME_MAX], user[32];
	unsigned seen = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(user, sizeof(user), "u%u", i);
		cluster_default_group(&policy, lab_view_cstr(user), i, name);
		assert_memory_equal(name, "default-", 8);
		assert_in_range(name[8], '1', '3');
		assert_int_equal(name[9], '\0');
		seen |= 1u << (name[8] - '0');
	}
	assert_int_equal(seen, 14);
}

static void another_tag_is_no_place(void **state)
{
	struct model m;
	struct route_answer a;

	(void)state;
	model_init(&m);
	m.sites[1].tag = id(77);
	m.has_user = false;
	memset(&m.user, 0, sizeof(m.user));
	model_view(&m);
	login_anew(&m, &a);
	assert_int_equal(a.step, ROUTE_BACKEND);
	assert_false(cluster_id_is_set(m.user.failover_site_id));
}

/* ---- users' moves ---- */

static void a_site_that_is_evacuated_loses_its_users_one_access_at_a_time(void **state)
{
	struct model m;
	struct route_answer a;

	(void)state;
	model_init(&m);
	m.sites[0].status = CLUSTER_EVACUATE;
	model_view(&m);
	login_anew(&m, &a);
	/* The source moves it: that is where this login goes. */
	assert_int_equal(a.step, ROUTE_BACKEND);
	assert_true(cluster_id_eq(a.backend->id, id(B1)));
	assert_true(cluster_id_eq(m.user.moving_site_id, id(S2)));
	assert_int_equal(m.user.moving_started, 5);
	assert_true(cluster_id_eq(m.user.site_id, id(S1)));
	/* It is done, and has where to go back to. */
	struct cluster_user after;
	uint32_t columns = route_user_after(&m.user, &after);
	assert_true(cluster_id_eq(after.site_id, id(S2)));
	assert_true(cluster_id_eq(after.failover_site_id, id(S1)));
	assert_true(cluster_id_eq(after.home_site_id, id(S1)));
	assert_false(cluster_id_is_set(after.moving_site_id));
	assert_true((columns & USER_COLUMN(moving_group)) != 0);
	assert_true((columns & USER_COLUMN(home_site_id)) == 0);
	/* The source is gone before it could: somebody finishes it. */
	m.sites[0].status = CLUSTER_OFFLINE;
	login_anew(&m, &a);
	assert_int_equal(a.step, ROUTE_SITE);
	assert_true(cluster_id_eq(m.user.site_id, id(S2)));
	assert_false(cluster_id_is_set(m.user.moving_site_id));
}

static void a_site_that_returns_gets_nobody_back_by_itself(void **state)
{
	struct model m;
	struct route_answer a;

	(void)state;
	model_init(&m);
	m.sites[0].status = CLUSTER_OFFLINE;
	model_view(&m);
	login_anew(&m, &a);
	assert_int_equal(a.step, ROUTE_SITE);
	assert_ptr_equal(a.site, &m.sites[1]);
	m.sites[0].status = CLUSTER_ONLINE;
	login_anew(&m, &a);
	assert_ptr_equal(a.site, &m.sites[1]);
	assert_true(cluster_id_eq(m.user.home_site_id, id(S1)));
}

/* R7 */
static void a_forced_move_is_monotone_and_takes_its_share(void **state)
{
	char name[32];
	unsigned taken[101] = { 0 }, other = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct lab_view user;
		unsigned first = 101;

		(void)snprintf(name, sizeof(name), "user%u@example.com", i);
		user = lab_view_cstr(name);
		for (unsigned pct = 0; pct <= 100; pct++) {
			bool hits = cluster_force_move_hits(LAB_VIEW("2026-01"), user, pct);

			/* Once taken, always taken. */
			assert_row(i, hits || first == 101);
			if (hits && first == 101)
				first = pct;
			taken[pct] += hits;
		}
		other += cluster_force_move_hits(LAB_VIEW("2026-02"), user, 50) !=
			 cluster_force_move_hits(LAB_VIEW("2026-01"), user, 50);
	}
	assert_int_equal(taken[0], 0);
	assert_int_equal(taken[100], 2000);
	/* Four standard deviations of a binomial distribution. */
	assert_in_range(taken[5], 61, 139);
	assert_in_range(taken[25], 422, 578);
	assert_in_range(taken[50], 911, 1089);
	/* Another id, other users. */
	assert_in_range(other, 911, 1089);
	assert_false(cluster_force_move_hits(LAB_VIEW(""), LAB_VIEW("bob"), 100));
}

/* ---- backends ---- */

static enum verdict verdict_of(struct model *m, uint8_t me, bool fresh, bool has_sessions,
	bool was_moved, bool is_being_moved, bool is_referred)
{
	struct route_question q = question(m);
	struct route_answer a;
	struct verdict_question v = { &q, &a, id(me), is_referred, has_sessions, is_being_moved,
		was_moved };

	q.user_known = q.group_known = fresh ? ROUTE_FRESH : ROUTE_CACHED;
	q.view_is_fresh = fresh;
	q.has_user = q.has_group = true;
	q.user = m->user;
	q.group = m->group;
	route_next(&q, &a);
	return route_verdict(&v);
}

static void a_backend_takes_only_whom_it_serves(void **state)
{
	static const struct {
		const char *moving;
		uint8_t backend, alt, me;
		bool fresh, has_sessions, was_moved, is_being_moved;
		enum verdict verdict;
		bool is_referred;
	} rows[] = {
		/* not moving */
		{ "", B1, B2, B1, false, false, false, false, VERDICT_ACCEPT, false },
		{ "", B1, B2, B2, false, false, false, false, VERDICT_READ, false },
		{ "", B1, B2, B2, true, true, false, false, VERDICT_REFER, false },
		{ "", B1, B2, B3, true, false, false, false, VERDICT_REFER, false },
		/* the source of a move */
		{ "m", B1, B2, B1, false, true, false, false, VERDICT_ACCEPT_MOVING, false },
		{ "m", B1, B2, B1, false, true, false, true, VERDICT_HOLD, false },
		{ "m", B1, B2, B1, true, true, true, false, VERDICT_REFER_MOVED, false },
		{ "m", B1, B2, B1, true, false, true, false, VERDICT_REFER_MOVED, false },
		/* not on the strength of a cache: the move may have been called off */
		{ "m", B1, B2, B1, false, false, true, false, VERDICT_READ, false },
		{ "m", B1, B2, B1, true, false, false, false, VERDICT_REFER_MOVED, false },
		/* nowhere to go: it will be taken back */
		{ "m", B1, 99, B1, true, false, true, false, VERDICT_ACCEPT_MOVING, false },
		{ "m", B1, B1, B1, true, false, false, false, VERDICT_ACCEPT_MOVING, false },
		/* its target, and somebody else */
		{ "m", B1, B2, B2, false, false, false, false, VERDICT_ACCEPT, true },
		{ "m", B1, B2, B2, false, true, false, false, VERDICT_ACCEPT, false },
		{ "m", B1, B2, B2, false, true, false, true, VERDICT_HOLD, false },
		{ "m", B1, B2, B2, false, false, false, false, VERDICT_READ, false },
		{ "m", B1, B2, B2, true, false, false, false, VERDICT_REFER, false },
		{ "m", B1, B2, B3, true, false, false, false, VERDICT_REFER, false },
	};
	struct model m;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		model_init(&m);
		model_view(&m);
		m.group.moving = lab_view_cstr(rows[i].moving);
		m.group.backend_id = id(rows[i].backend);
		m.group.alt_backend_id = id(rows[i].alt);
		assert_row(i, verdict_of(&m, rows[i].me, rows[i].fresh, rows[i].has_sessions,
				      rows[i].was_moved, rows[i].is_being_moved,
				      rows[i].is_referred) == rows[i].verdict);
	}
	/* A user that moves alone; one of another site; nobody there at all. */
	model_init(&m);
	model_view(&m);
	m.user.moving_site_id = id(S1);
	m.user.moving_group = LAB_VIEW("default-2");
	assert_int_equal(verdict_of(&m, B1, false, true, false, false, false), VERDICT_MOVE_USER);
	assert_int_equal(verdict_of(&m, B1, false, true, false, true, false), VERDICT_HOLD);
	model_init(&m);
	model_view(&m);
	m.user.site_id = id(S2);
	assert_int_equal(verdict_of(&m, B1, false, true, false, false, false), VERDICT_READ);
	assert_int_equal(verdict_of(&m, B1, true, true, false, false, false), VERDICT_REFER);
	for (size_t i = 0; i < 3; i++)
		m.backends[i].status = CLUSTER_OFFLINE;
	m.user.site_id = id(S1);
	assert_int_equal(verdict_of(&m, B1, true, true, false, false, false), VERDICT_TEMPFAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_of_a_group_ends_well),
		cmocka_unit_test(every_state_of_a_user_ends_well),
		cmocka_unit_test(stale_caches_write_nothing_of_their_own),
		cmocka_unit_test(two_proxies_fail_over_to_the_same_backend),
		cmocka_unit_test(groups_are_spread_and_stay),
		cmocka_unit_test(default_groups_are_numbered_from_one),
		cmocka_unit_test(another_tag_is_no_place),
		cmocka_unit_test(a_site_that_is_evacuated_loses_its_users_one_access_at_a_time),
		cmocka_unit_test(a_site_that_returns_gets_nobody_back_by_itself),
		cmocka_unit_test(a_forced_move_is_monotone_and_takes_its_share),
		cmocka_unit_test(a_backend_takes_only_whom_it_serves),
	};
	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
