/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar-login.c - the way of a client's connection: load balancer, proxy, backend, and wherever
 * it is referred to (palomar 2.2, 2.3).
 */
#include "scenarios/runner/palomar-private.h"

#include "core/base/defect.h"
#include "core/base/mark.h"

#define ARENA_MAX (4u << 20)
#define LINE_MAX 4096
#define BACKEND_PORT(protocol) cluster_protocol_port(protocol)

struct walk {
	struct palomar *palomar;
	struct palomar_session *session;
	struct lab_view user;
	enum cluster_protocol protocol;
	struct lab_arena *arena;
	struct lab_error *err;
	unsigned hops, referrals;
};

static struct env *lab(const struct walk *w)
{
	return w->palomar->settings.lab;
}

static int fail(struct walk *w, enum lab_code code, const char *what, const char *host)
{
	return lab_fail(w->err, code, "%s: %s", host, what);
}

/* ---- load balancers ---- */

/* The next proxy of the site that the balancer sees, for who is at `from` (NULL: a client). */
static struct palomar_host *balance(struct walk *w, size_t site, const char *from)
{
	struct palomar *p = w->palomar;
	struct palomar_host *found[SCENARIO_PROXIES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < p->proxy_count; i++) {
		struct palomar_host *proxy = &p->hosts[i];

		if (proxy->site == site && palomar_host_is_ready(proxy) &&
			palomar_hears(p, from, proxy->name))
			found[count++] = proxy;
	}
	return count == 0 ? NULL : found[p->balanced[site]++ % count];
}

static size_t site_count(const struct walk *w)
{
	return w->palomar->settings.scene->options->scenario->site_count;
}

/* The site of a load balancer's name; SIZE_MAX: it is none. */
static size_t balancer_site(const struct walk *w, struct lab_view host)
{
	const struct scenario *s = w->palomar->settings.scene->options->scenario;
	struct lab_view prefix = LAB_VIEW(PALOMAR_LOAD_BALANCER);

	if (!lab_view_starts_with(host, prefix))
		return SIZE_MAX;
	for (size_t i = 0; i < s->site_count; i++) {
		if (lab_view_eq(lab_view_skip(host, prefix.len), s->sites[i].name))
			return i;
	}
	return SIZE_MAX;
}

static struct palomar_host *backend_named(const struct walk *w, struct lab_view host)
{
	struct palomar *p = w->palomar;

	for (size_t i = 0; i < p->backend_count; i++) {
		struct palomar_host *backend = &p->hosts[p->proxy_count + i];

		if (lab_view_eq_cstr(host, backend->name))
			return backend;
	}
	return NULL;
}

/* ---- at a proxy ---- */

struct question {
	struct palomar_host *proxy;
	struct walk *walk;
	bool is_proxied;
	const struct cluster_hops *hops; /* NULL: it is not referred */
	struct cluster_referral referral;
	struct cluster_place place;
	int status;
};

static void ask_in_proxy(void *arg)
{
	struct question *q = arg;
	struct walk *w = q->walk;

	if (q->proxy->cluster == NULL)
		q->status = fail(w, LAB_REFUSED, "it is starting", q->proxy->name);
	else if (q->hops == NULL)
		q->status = cluster_lookup(
			q->proxy->cluster, w->user, q->is_proxied, w->arena, &q->place, w->err);
	else
		q->status = cluster_redirected(q->proxy->cluster, w->user, q->is_proxied, q->hops,
			&q->referral, w->arena, &q->place, w->err);
}

static int ask(struct question *q)
{
	struct walk *w = q->walk;
	struct palomar_host *proxy = q->proxy;
	enum host_answer answer = HOST_REFUSED;

	if (palomar_host_is_ready(proxy))
		answer = host_call(&proxy->calls, proxy->env, lab(w), ask_in_proxy, q);
	if (answer == HOST_ANSWERED)
		return q->status;
	return answer == HOST_REFUSED ? fail(w, LAB_REFUSED, "connection refused", proxy->name)
				      : fail(w, LAB_RESET, "connection broke", proxy->name);
}

/* ---- at a backend ---- */

struct login {
	struct palomar_host *backend;
	struct walk *walk;
	bool is_referred;
	enum cluster_login_result result;
	struct cluster_place place;
	int status;
};

/* Nobody's user can be opened there now. IMAP and POP3 say NO [UNAVAILABLE], which no statistics
 * count; LMTP says 452 4.3.1, which is a failed recipient as any other (palomar 2.1). */
static int refuse_full(struct walk *w, struct palomar_host *backend, struct lab_view user)
{
	bool is_counted = w->protocol == CLUSTER_LMTP;

	LAB_MARK(login_refused_full);
	cluster_session_end(backend->cluster, user);
	return fail(
		w, is_counted ? LAB_LIMIT : LAB_UNAVAILABLE, "metacache is full", backend->name);
}

static void login_in_backend(void *arg)
{
	struct login *l = arg;
	struct palomar_host *backend = l->backend;
	struct walk *w = l->walk;

	if (backend->cluster == NULL) {
		l->status = fail(w, LAB_REFUSED, "it is starting", backend->name);
		return;
	}
	l->status = cluster_login(
		backend->cluster, w->user, l->is_referred, w->arena, &l->result, &l->place, w->err);
	if (l->status < 0 || l->result != CLUSTER_ACCEPTED)
		return;
	if (backend->node->backend != NULL && backend_is_full(backend->node->backend)) {
		l->status = refuse_full(w, backend, l->place.user);
		return;
	}
	palomar_session_open(w->session, backend, l->place.user);
	if (w->palomar->conf->pull && cluster_sessions(backend->cluster, l->place.user) == 1)
		palomar_pull(backend, l->place.user);
}

/* From the proxy to another host, which does not answer or refuses. */
static int reach(
	struct walk *w, const struct palomar_host *from, const char *name, struct palomar_host *to)
{
	const struct palomar *p = w->palomar;

	for (unsigned n = 0;; n++) {
		if (!from->is_up)
			return fail(w, LAB_RESET, "connection broke", from->name);
		if (to != NULL && !palomar_hears(w->palomar, from->name, to->name)) {
			env_sleep(lab(w), p->proxy_timeout_ns);
			return fail(w, LAB_TIMEOUT, "connect timed out", name);
		}
		env_sleep(lab(w), PALOMAR_LATENCY);
		if (to != NULL && palomar_host_is_ready(to))
			return 0;
		if (n >= p->max_reconnects)
			return fail(w, LAB_REFUSED, "connection refused", name);
		env_sleep(lab(w), LAB_SEC);
	}
}

/* A login that took longer than the proxy waits is one that nobody wants any more. */
static int log_in(struct walk *w, struct palomar_host *proxy, struct login *l)
{
	struct palomar_host *backend = l->backend;
	uint64_t begin_ns;
	uint32_t boots = proxy->boots;
	enum host_answer answer;

	if (reach(w, proxy, backend->name, backend) < 0)
		return -1;
	begin_ns = env_now(lab(w));
	answer = host_call(&backend->calls, backend->env, lab(w), login_in_backend, l);
	if (answer != HOST_ANSWERED)
		return fail(w, LAB_RESET, "connection broke", backend->name);
	if (l->status < 0)
		return -1;
	if (!proxy->is_up || proxy->boots != boots)
		return fail(w, LAB_RESET, "connection broke", proxy->name);
	if (!palomar_hears(w->palomar, proxy->name, backend->name) ||
		env_now(lab(w)) - begin_ns > w->palomar->proxy_timeout_ns)
		return fail(w, LAB_TIMEOUT, "login timed out", backend->name);
	return 0;
}

/* ---- the walk ---- */

enum {
	WALK_REFERRED = 0,
	WALK_CONNECTED = 1
};

static int walk_from(struct walk *w, struct palomar_host *proxy, bool is_proxied, unsigned ttl,
	struct cluster_place *ret);

static int go_to_backend(struct walk *w, struct question *q)
{
	struct login l = { .backend = backend_named(w, q->place.host),
		.walk = w,
		.is_referred = q->hops != NULL };
	bool is_accepted;
	int result;

	if (l.backend == NULL)
		return lab_fail(
			w->err, LAB_UNAVAILABLE, "%.*s: no such host", LAB_VIEW_ARG(q->place.host));
	result = log_in(w, q->proxy, &l);
	is_accepted = result == 0 && l.result == CLUSTER_ACCEPTED;
	/* Neither redirects nor temporary failures count (palomar 2.1). */
	if (q->proxy->cluster != NULL &&
		(result < 0 ? w->err->code != LAB_UNAVAILABLE
			    : is_accepted || lab_defect(REDIRECTS_ARE_FAILURES)))
		cluster_dest_count(q->proxy->cluster, q->place.host, is_accepted);
	if (result < 0)
		return -1;
	q->place = l.place;
	return is_accepted ? WALK_CONNECTED : WALK_REFERRED;
}

/* Another site's proxies begin with the TTL that is left. */
static int go_to_site(struct walk *w, struct question *q, const struct cluster_hops *hops)
{
	size_t site = balancer_site(w, q->place.host);
	struct palomar_host *proxy = site == SIZE_MAX ? NULL : balance(w, site, q->proxy->name);
	int result = -1;

	if (reach(w, q->proxy, (const char *)"load balancer", proxy) == 0)
		result = walk_from(w, proxy, true, hops->ttl, &q->place);
	if (q->proxy->cluster != NULL &&
		(result == WALK_CONNECTED || (result < 0 && w->err->code != LAB_UNAVAILABLE)))
		cluster_dest_count(q->proxy->cluster, q->place.host, result > 0);
	return result;
}

/* What a referral says, as it comes over the wire. */
static int read_referral(struct walk *w, struct question *q)
{
	struct cluster_referral referral = { q->place.user, q->place.host,
		BACKEND_PORT(w->protocol) };
	struct lab_buf line;

	lab_buf_init_arena(&line, w->arena, LINE_MAX);
	if (cluster_referral_write(w->protocol, &referral, &line, w->err) < 0 ||
		cluster_referral_read(
			w->protocol, lab_buf_view(&line), w->arena, &q->referral, w->err) != 1)
		return -1;
	LAB_MARK(login_referred);
	w->referrals++;
	return 0;
}

static int go_on(struct walk *w, struct question *q, struct cluster_hops *hops)
{
	if (cluster_hops_go(hops, w->protocol, q->place.host, BACKEND_PORT(w->protocol),
		    lab_view_cstr(q->proxy->name), BACKEND_PORT(w->protocol), w->err) < 0)
		return -1;
	w->hops++;
	return q->place.is_backend ? go_to_backend(w, q) : go_to_site(w, q, hops);
}

static int walk_from(struct walk *w, struct palomar_host *proxy, bool is_proxied, unsigned ttl,
	struct cluster_place *ret)
{
	struct question q = { .proxy = proxy, .walk = w, .is_proxied = is_proxied };
	struct palomar_session *session = w->session;
	struct cluster_hops hops;
	int result = WALK_REFERRED;

	cluster_hops_init(&hops, ttl);
	if (session->proxy_count == LAB_COUNT_OF(session->proxies))
		return fail(w, LAB_LIMIT, "TTL reached zero - proxies appear to be looping?",
			proxy->name);
	session->proxies[session->proxy_count].host = proxy;
	session->proxies[session->proxy_count++].boots = proxy->boots;
	while (result == WALK_REFERRED) {
		if (q.hops != NULL && read_referral(w, &q) < 0)
			return -1;
		if (ask(&q) < 0)
			return -1;
		if (q.place.is_referral) {
			session->proxy_count--;
			*ret = q.place;
			return WALK_REFERRED;
		}
		result = go_on(w, &q, &hops);
		q.hops = &hops;
	}
	return result;
}

/* ---- from the client ---- */

static const char client[] = "lab";

/* The site that the user's clients know best, then the others: names in DNS. */
static struct palomar_host *front_door(struct walk *w, uint64_t draw)
{
	size_t count = site_count(w), first = (size_t)lab_pick(draw, count);

	for (size_t i = 0; i < count; i++) {
		struct palomar_host *proxy = balance(w, (first + i) % count, client);

		if (proxy != NULL)
			return proxy;
	}
	return NULL;
}

static void tell(
	const struct walk *w, const struct palomar_host *proxy, int result, uint64_t begin_ns)
{
	bool is_connected = result == WALK_CONNECTED;

	env_event(lab(w),
		is_connected ? LAB_EV_proxy_session_established : LAB_EV_proxy_session_finished,
		(const struct lab_field[]){ LAB_F_TEXT("user", w->user),
			LAB_F_CSTR("protocol", cluster_protocol_name(w->protocol)),
			LAB_F_CSTR("proxy", proxy == NULL ? "" : proxy->name),
			LAB_F_CSTR("site", proxy == NULL ? "" : proxy->zone),
			LAB_F_CSTR("dest_host", is_connected ? w->session->backend->name : ""),
			LAB_F_U64("hops", w->hops), LAB_F_U64("referrals", w->referrals),
			LAB_F_U64("duration_ns", env_now(lab(w)) - begin_ns),
			LAB_F_CODE("code", is_connected ? LAB_OK : w->err->code),
			LAB_F_CSTR("error", is_connected ? "" : w->err->message) },
		10);
}

int palomar_login(struct palomar *palomar, const char *user, enum cluster_protocol protocol,
	uint64_t draw, struct palomar_session **ret, struct lab_error *err)
{
	struct env *here = palomar->settings.lab;
	struct lab_error own = { .code = LAB_OK };
	struct walk w = { .palomar = palomar,
		.session = palomar_session_new(palomar, protocol),
		.user = lab_view_cstr(user),
		.protocol = protocol,
		.arena = lab_arena_new(here->heap, ARENA_MAX),
		.err = err == NULL ? &own : err };
	struct palomar_host *proxy = front_door(&w, draw);
	uint64_t begin_ns = env_now(here);
	struct cluster_place place;
	int result = -1;

	if (proxy == NULL) {
		env_sleep(here, LAB_SEC);
		(void)fail(&w, LAB_REFUSED, "connection refused", "load balancer");
	} else {
		result = walk_from(&w, proxy, false, CLUSTER_TTL, &place);
	}
	lab_assert(result != WALK_REFERRED);
	tell(&w, proxy, result, begin_ns);
	lab_arena_free(&w.arena);
	*ret = w.session;
	if (result < 0)
		(void)palomar_logout(ret);
	return result < 0 ? -1 : 0;
}

uint64_t palomar_disconnect_delay(struct palomar *palomar, uint64_t draw)
{
	return lab_pick(draw, palomar->disconnect_delay_ns + 1);
}

/* ---- user access ---- */

static void access_on(struct palomar *p, struct palomar_host *proxy, const char *user)
{
	struct lab_error err = { .code = LAB_OK };
	struct walk w = { .palomar = p,
		.user = lab_view_cstr(user),
		.arena = lab_arena_new(p->settings.lab->heap, ARENA_MAX),
		.err = &err };
	struct question q = { .proxy = proxy, .walk = &w };
	int result = ask(&q);

	ENV_EVENT(p->settings.lab, LAB_EV_cluster_user_accessed, LAB_F_CSTR("user", user),
		LAB_F_CSTR("proxy", proxy->name), LAB_F_CSTR("site", proxy->zone),
		LAB_F_TEXT("host", result < 0 ? LAB_VIEW("") : q.place.host),
		LAB_F_CSTR("error", result < 0 ? err.message : ""));
	lab_arena_free(&w.arena);
}

void palomar_access_all(struct palomar *p, const char *user)
{
	for (size_t i = 0; i < p->proxy_count; i++)
		access_on(p, &p->hosts[i], user);
}

uint64_t palomar_cache_time(const struct palomar *p)
{
	return p->conf->user_ttl.high + LAB_MAX(p->conf->group_ttl.high, p->conf->view_ttl.high);
}
