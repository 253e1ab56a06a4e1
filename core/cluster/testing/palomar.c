/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar.c - a small Palomar cluster, for tests.
 */
#include "core/cluster/testing/palomar.h"

static const struct geo_place places[NODES] = { { "proxy-1", "az1" }, { "proxy-2", "az1" },
	{ "proxy-3", "az2" }, { "b1", "az1" }, { "b2", "az1" }, { "b3", "az1" }, { "b9", "az2" } };

static void (*test_body)(struct palomar *p);

/* ---- nodes ---- */

static void end_sessions(struct node *node, struct lab_view user)
{
	while (cluster_sessions(node->cluster, user) > 0)
		cluster_session_end(node->cluster, user);
}

static void kick(void *ctx, struct lab_view username, uint64_t deadline_ns)
{
	struct node *node = ctx;

	(void)deadline_ns;
	node->kicks++;
	env_sleep(node->geo->env, 5 * LAB_MSEC);
	if (!node->is_stubborn)
		end_sessions(node, username);
}

static bool is_backend(unsigned node)
{
	return node >= B1;
}

static void open_node(void *arg)
{
	struct node *node = arg;
	struct palomar *p = node->palomar;
	struct cluster_settings settings;
	const struct cluster_ops ops = { node, kick };

	cluster_settings_defaults(&settings, is_backend(node->number));
	settings.local_site = lab_view_cstr(places[node->number].zone);
	if (is_backend(node->number))
		settings.backend_name = lab_view_cstr(node->name);
	settings.policy = p->policy;
	settings.read_back = p->read_back;
	settings.localdb.path = p->localdb_path;
	if (p->adjust != NULL)
		p->adjust(&settings);
	node->cluster = cluster_new(node->geo->env, node->geo->geodb, &settings, &ops);
}

void palomar_open(struct palomar *p, unsigned node)
{
	geo_call(p->here, p->nodes[node].geo, open_node, &p->nodes[node]);
	p->nodes[node].boots = world_boots(p->nodes[node].geo->host);
}

bool palomar_is_open(const struct node *node)
{
	return node->cluster != NULL && world_is_up(node->geo->host) &&
	       world_boots(node->geo->host) == node->boots;
}

static void close_node(void *arg)
{
	struct node *node = arg;

	cluster_free(&node->cluster);
}

void palomar_close(struct palomar *p, unsigned node)
{
	geo_call(p->here, p->nodes[node].geo, close_node, &p->nodes[node]);
}

static void remove_file(void *arg)
{
	struct node *node = arg;
	struct lab_error err;

	(void)env_unlink(node->geo->env, node->palomar->localdb_path, &err);
}

void palomar_crash(struct palomar *p, unsigned number, bool is_reboot)
{
	struct node *node = &p->nodes[number];

	node->cluster = NULL;
	world_crash(node->geo->host, FAULT_DISK_KEEP);
	world_restart(node->geo->host);
	env_sleep(p->here->env, LAB_SEC);
	if (is_reboot && p->localdb_path != NULL)
		geo_call(p->here, node->geo, remove_file, node);
	palomar_open(p, number);
}

/* ---- rows ---- */

#define MUST(call) geo_must(&p->err, call, 0)

static void put_site(struct palomar *p, uint8_t n, const char *name, const char *load_balancer)
{
	const struct cluster_site site = { .id = geo_id(n),
		.name = lab_view_cstr(name),
		.load_balancer = lab_view_cstr(load_balancer),
		.status = CLUSTER_ONLINE };

	MUST(geodb_put(p->here->geodb, CLUSTER_TABLE_SITE, &site, CLUSTER_ALL_COLUMNS, 0, &p->err));
}

static void put_backend(struct palomar *p, unsigned node)
{
	const struct cluster_backend backend = { .id = geo_id(BACKEND_ID(node)),
		.site_id = geo_id(node == B9 ? SITE_2 : SITE_1),
		.host = lab_view_cstr(places[node].name),
		.status = CLUSTER_ONLINE,
		.load_factor = 100 };

	MUST(geodb_put(
		p->here->geodb, CLUSTER_TABLE_BACKEND, &backend, CLUSTER_ALL_COLUMNS, 0, &p->err));
}

void palomar_backend_status(struct palomar *p, unsigned node, enum cluster_status status)
{
	const struct cluster_backend backend = { .id = geo_id(BACKEND_ID(node)), .status = status };

	MUST(geodb_put(p->here->geodb, CLUSTER_TABLE_BACKEND, &backend, BACKEND_COLUMN(status), 0,
		&p->err));
}

void palomar_site_status(struct palomar *p, uint8_t n, enum cluster_status status)
{
	const struct cluster_site site = { .id = geo_id(n), .status = status };

	MUST(geodb_put(p->here->geodb, CLUSTER_TABLE_SITE, &site, SITE_COLUMN(status), 0, &p->err));
}

int palomar_group_move(struct palomar *p, const char *group, unsigned to, bool direct)
{
	return cluster_group_move(p->here->geodb, &p->policy, LAB_VIEW("az1"), lab_view_cstr(group),
		lab_view_cstr(places[to].name), direct, &p->err);
}

int palomar_user_move(struct palomar *p, const char *user, const char *site, const char *group)
{
	return cluster_user_move(p->here->geodb, lab_view_cstr(user), lab_view_cstr(site),
		lab_view_cstr(group), 1, &p->err);
}

bool palomar_group(struct palomar *p, uint8_t site, const char *name, struct cluster_group *ret)
{
	int found;

	*ret = (struct cluster_group){ .site_id = geo_id(site), .name = lab_view_cstr(name) };
	found = geodb_get(p->here->geodb, CLUSTER_TABLE_GROUP, ret, p->here->arena, &p->err);
	if (found < 0)
		fail_msg("%s", p->err.message);
	return found == 1;
}

bool palomar_user(struct palomar *p, const char *user, struct cluster_user *ret)
{
	int found;

	*ret = (struct cluster_user){ .username = lab_view_cstr(user) };
	found = geodb_get(p->here->geodb, CLUSTER_TABLE_USER, ret, p->here->arena, &p->err);
	if (found < 0)
		fail_msg("%s", p->err.message);
	return found == 1;
}

int palomar_node_of(struct cluster_id id)
{
	for (unsigned i = B1; i < NODES; i++) {
		if (cluster_id_eq(id, geo_id(BACKEND_ID(i))))
			return (int)i;
	}
	return -1;
}

/* ---- clients ---- */

struct step {
	struct node *node;
	struct lab_view user;
	const struct cluster_hops *hops;
	struct cluster_referral referral;
	bool is_proxied;
	enum cluster_login_result result;
	struct cluster_place place;
	struct lab_error *err;
	int status;
};

static void do_lookup(void *arg)
{
	struct step *s = arg;
	struct lab_arena *arena = s->node->geo->arena;

	s->status = s->hops == NULL ? cluster_lookup(s->node->cluster, s->user, s->is_proxied,
					      arena, &s->place, s->err)
				    : cluster_redirected(s->node->cluster, s->user, s->is_proxied,
					      s->hops, &s->referral, arena, &s->place, s->err);
}

static void do_login(void *arg)
{
	struct step *s = arg;

	s->status = cluster_login(s->node->cluster, s->user, s->hops != NULL, s->node->geo->arena,
		&s->result, &s->place, s->err);
}

static void check_failure(struct palomar *p)
{
	/* R5: nothing that routing does is for good. */
	if (!p->err.retryable)
		fail_msg("a permanent failure: %s", p->err.message);
}

static struct node *node_named(struct palomar *p, struct lab_view host)
{
	if (lab_view_eq_cstr(host, "lb-1"))
		return &p->nodes[PROXY_1];
	if (lab_view_eq_cstr(host, "lb-2"))
		return &p->nodes[PROXY_3];
	for (size_t i = 0; i < NODES; i++) {
		if (lab_view_eq_cstr(host, places[i].name))
			return &p->nodes[i];
	}
	fail_msg("nobody is called %.*s", LAB_VIEW_ARG(host));
	return NULL;
}

static void check_overlap(struct palomar *p, const char *user)
{
	p->overlaps += palomar_backends_of(p, user) > 1;
}

/* At a backend; what it referred to is in *s. */
static int try_backend(struct palomar *p, struct node *backend, const char *user, struct step *s)
{
	s->node = backend;
	s->user = lab_view_cstr(user);
	s->err = &p->err;
	if (!palomar_is_open(backend) || !geo_call(p->here, backend->geo, do_login, s)) {
		lab_fail(&p->err, LAB_UNAVAILABLE, "connection refused, or reset");
		p->err.retryable = true;
		return s->status = -1;
	}
	if (s->status == 0 && s->result == CLUSTER_ACCEPTED)
		check_overlap(p, user);
	return s->status;
}

int palomar_login_at(struct palomar *p, unsigned backend, const char *user)
{
	struct step s = { 0 };

	if (try_backend(p, &p->nodes[backend], user, &s) < 0) {
		check_failure(p);
		return -1;
	}
	return s.result == CLUSTER_ACCEPTED ? (int)backend
					    : (int)node_named(p, s.place.host)->number;
}

/* What a referral says, as it comes over the wire. */
static void over_the_wire(struct palomar *p, enum cluster_protocol how, struct step *s)
{
	struct cluster_referral referral = { s->place.user, s->place.host, 4711 };
	struct lab_buf line;

	lab_buf_init(&line, p->here->env->heap, 4096);
	geo_must(&p->err, cluster_referral_write(how, &referral, &line, &p->err), 0);
	geo_must(&p->err,
		cluster_referral_read(how, lab_arena_copy(p->here->arena, lab_buf_view(&line)),
			p->here->arena, &s->referral, &p->err),
		1);
	lab_buf_done(&line);
}

#define IS_REFERRED (-2)

static int login_from(struct palomar *p, struct node *proxy, bool is_proxied, const char *user,
	enum cluster_protocol how, struct cluster_hops *hops, struct step *ret);

/* The next hop. A node, -1, or IS_REFERRED: s->place says where to. */
static int go_there(struct palomar *p, const char *user, enum cluster_protocol how,
	struct cluster_hops *hops, struct step *s)
{
	struct node *next = node_named(p, s->place.host);
	struct cluster_hops left;

	if (cluster_hops_go(hops, how, s->place.host, 4711, lab_view_cstr(s->node->name), 4711,
		    &p->err) < 0)
		return -1;
	p->hops++;
	if (!is_backend(next->number)) {
		/* Remote proxies begin with the TTL that is left. */
		cluster_hops_init(&left, hops->ttl);
		return login_from(p, next, true, user, how, &left, s);
	}
	if (try_backend(p, next, user, s) < 0)
		return -1;
	return s->result == CLUSTER_ACCEPTED ? (int)next->number : IS_REFERRED;
}

/* From one proxy on. */
static int login_from(struct palomar *p, struct node *proxy, bool is_proxied, const char *user,
	enum cluster_protocol how, struct cluster_hops *hops, struct step *ret)
{
	struct step s = {
		.node = proxy, .user = lab_view_cstr(user), .is_proxied = is_proxied, .err = &p->err
	};
	int node = IS_REFERRED;

	geo_call(p->here, proxy->geo, do_lookup, &s);
	while (s.status == 0 && node == IS_REFERRED && !s.place.is_referral) {
		node = go_there(p, user, how, hops, &s);
		if (node != IS_REFERRED)
			return node;
		over_the_wire(p, how, &s);
		s.node = proxy;
		s.hops = hops;
		s.is_proxied = is_proxied;
		geo_call(p->here, proxy->geo, do_lookup, &s);
	}
	if (s.status < 0)
		return -1;
	*ret = s;
	return IS_REFERRED;
}

int palomar_login(struct palomar *p, unsigned proxy, const char *user, enum cluster_protocol how)
{
	struct cluster_hops hops;
	struct step s;
	int node;

	cluster_hops_init(&hops, CLUSTER_TTL);
	p->hops = 0;
	node = login_from(p, &p->nodes[proxy], false, user, how, &hops, &s);
	assert_true(node != IS_REFERRED);
	if (node < 0 && p->err.code != LAB_LIMIT)
		check_failure(p);
	return node;
}

struct logout {
	struct node *node;
	struct lab_view user;
};

static void do_logout(void *arg)
{
	struct logout *l = arg;

	cluster_session_end(l->node->cluster, l->user);
}

void palomar_logout(struct palomar *p, unsigned backend, const char *user)
{
	struct logout l = { &p->nodes[backend], lab_view_cstr(user) };

	geo_call(p->here, p->nodes[backend].geo, do_logout, &l);
}

size_t palomar_sessions(struct palomar *p, unsigned backend, const char *user)
{
	const struct node *node = &p->nodes[backend];

	return palomar_is_open(node) ? cluster_sessions(node->cluster, lab_view_cstr(user)) : 0;
}

unsigned palomar_backends_of(struct palomar *p, const char *user)
{
	unsigned count = 0;

	for (unsigned i = B1; i < NODES; i++)
		count += palomar_sessions(p, i, user) > 0;
	return count;
}

struct recheck {
	struct node *node;
	size_t kicked;
};

static void do_recheck(void *arg)
{
	struct recheck *r = arg;

	r->kicked = cluster_recheck(r->node->cluster);
}

size_t palomar_recheck(struct palomar *p, unsigned backend)
{
	struct recheck r = { &p->nodes[backend], 0 };

	geo_call(p->here, p->nodes[backend].geo, do_recheck, &r);
	return r.kicked;
}

void palomar_freeze(struct palomar *p, unsigned node, bool frozen)
{
	cluster_freeze(p->nodes[node].cluster, frozen);
}

void palomar_sleep(struct palomar *p, uint64_t ns)
{
	env_sleep(p->here->env, ns);
}

/* ---- life ---- */

static void first_main(struct geo_host *first)
{
	static struct palomar palomar;
	struct palomar *p = &palomar;

	memset(p, 0, sizeof(*p));
	p->geo = first->geo;
	p->here = first;
	p->policy = (struct cluster_policy){ CLUSTER_ASSIGN_HASH, 1 };
	put_site(p, SITE_1, "az1", "lb-1");
	put_site(p, SITE_2, "az2", "lb-2");
	for (unsigned i = 0; i < NODES; i++) {
		p->nodes[i] = (struct node){ .palomar = p,
			.geo = &first->geo->hosts[i],
			.name = places[i].name,
			.number = i };
		if (is_backend(i))
			put_backend(p, i);
	}
	for (unsigned i = 0; i < NODES; i++)
		palomar_open(p, i);
	test_body(p);
	first->geo->fault = (struct geo_fault){ 0 };
}

void palomar_run(void (*body)(struct palomar *p))
{
	test_body = body;
	geo_run(places, NODES, first_main);
}
