/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-orders.c - what operators and controllers have decided (palomar 4.1): R6, R8 and R9.
 *
 * Orders are known as they were given: the words of an operator's command, the events of
 * controllers. Whether they came to anything, GeoDB's rows say.
 */
#include "sim/oracle/routing-rows.h"

/* ---- R8: controllers do not thrash ---- */

struct last_time {
	uint64_t time_ns;
	bool was_there;
	bool is_operators; /* of who is out: an operator has taken him out */
};

static struct last_time *last_time_of(struct oracle *oracle, char sort, struct lab_view name)
{
	char key[80];
	void **slot;
	int len = snprintf(key, sizeof(key), "%c%.*s", sort, (int)LAB_MIN(name.len, (size_t)64),
		(const char *)name.ptr);

	slot = lab_map_slot(oracle->routing->orders, lab_view_of(key, (size_t)len));
	if (slot == NULL)
		return NULL;
	if (*slot == NULL)
		*slot = lab_new(oracle->routing->heap, struct last_time);
	return *slot;
}

/* The next one came sooner than `least_ns` after the last. */
static bool is_too_soon(
	struct oracle *oracle, char sort, const struct lab_event *event, uint64_t least_ns)
{
	const char *by = sort == 'b' ? "site" : "host";
	struct last_time *last = last_time_of(oracle, sort, routing_text(event, by));
	bool result;

	if (last == NULL)
		return false;
	result = last->was_there && event->time_ns - last->time_ns < least_ns;
	*last = (struct last_time){ .time_ns = event->time_ns, .was_there = true };
	return result;
}

static void balanced(struct oracle *oracle, const struct lab_event *event)
{
	if (is_too_soon(oracle, 'b', event, oracle->settings.balance_min_ns))
		(void)oracle_found_online(oracle, ORACLE_R(8), "R8 too many groups moved",
			event->time_ns,
			"site %.*s moves a group for its balance, and has just moved one",
			LAB_VIEW_ARG(routing_text(event, "site")));
}

/* ---- R9: who is out gets nobody ---- */

static void set_status(struct oracle *oracle, struct lab_view host, bool is_online,
	bool is_operators, uint64_t now_ns)
{
	struct last_time *out = last_time_of(oracle, 's', host);

	/* Who was out already was taken out by whoever did it then. */
	if (out != NULL && !is_online && out->was_there)
		is_operators = out->is_operators;
	if (out != NULL)
		*out = (struct last_time){ now_ns, !is_online, is_operators };
}

/* R8: nothing has failed, so nobody is to be taken out. */
static void check_cause(struct oracle *oracle, const struct lab_event *event)
{
	if (!oracle->routing->had_trouble)
		(void)oracle_found_online(oracle, ORACLE_R(8), "R8 taken out without a cause",
			event->time_ns, "%.*s is taken out, and nothing had failed",
			LAB_VIEW_ARG(routing_text(event, "host")));
}

/* R8: only who took it out takes it back (palomar 2.7). */
static void taken_back(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view host = routing_text(event, "host");
	const struct last_time *out = last_time_of(oracle, 's', host);

	if (out != NULL && out->was_there && out->is_operators &&
		event->time_ns >= out->time_ns + ROUTING_ROUND)
		(void)oracle_found_online(oracle, ORACLE_R(8), "R8 operator overruled",
			event->time_ns, "%.*s is taken back, which an operator has taken out",
			LAB_VIEW_ARG(host));
}

/* ---- R8: what is broken everywhere takes nobody's last backends out ---- */

static void forget_out(struct routing *r, struct lab_view host)
{
	for (size_t i = 0; i < r->out_count; i++) {
		if (lab_view_eq(r->out[i].host, host)) {
			r->out[i] = r->out[--r->out_count];
			return;
		}
	}
}

static size_t backends_of(const struct oracle *oracle, struct lab_view site)
{
	for (size_t i = 0; i < oracle->settings.site_count; i++) {
		if (lab_view_eq(oracle->settings.sites[i].name, site))
			return oracle->settings.sites[i].backends;
	}
	return 0;
}

static void taken_out(struct oracle *oracle, const struct lab_event *event)
{
	struct routing *r = oracle->routing;
	struct lab_view site = routing_text(event, "site"), host = routing_text(event, "host");
	size_t all = backends_of(oracle, site), out = 0;

	forget_out(r, host);
	if (r->out_count == LAB_COUNT_OF(r->out)) {
		r->is_full = true;
		return;
	}
	r->out[r->out_count++] = (struct routing_out){ lab_arena_copy(oracle->texts, host),
		lab_arena_copy(oracle->texts, site) };
	for (size_t i = 0; i < r->out_count; i++)
		out += lab_view_eq(r->out[i].site, site);
	if (all > 0 && out * 2 > all)
		(void)oracle_found_online(oracle, ORACLE_R(8), "R8 most of a site is out",
			event->time_ns,
			"controllers have %zu of %zu backends of site %.*s out at once", out, all,
			LAB_VIEW_ARG(site));
}

/* A controller that could not write it says so again in its next round. */
static bool is_out_already(struct oracle *oracle, struct lab_view host)
{
	const struct last_time *out = last_time_of(oracle, 's', host);

	return out != NULL && out->was_there;
}

static void checked(struct oracle *oracle, const struct lab_event *event)
{
	bool is_out = lab_view_eq_cstr(routing_text(event, "status"), "offline");
	bool was_out = is_out_already(oracle, routing_text(event, "host"));

	if (routing_text(event, "reason").len > 0)
		return; /* dryrun */
	if (is_out) {
		check_cause(oracle, event);
		taken_out(oracle, event);
	} else {
		taken_back(oracle, event);
		forget_out(oracle->routing, routing_text(event, "host"));
	}
	set_status(oracle, routing_text(event, "host"), !is_out, false, event->time_ns);
	/* Taken back and out again within the rounds that this takes. */
	if (is_out && is_too_soon(oracle, 'o', event, ROUTING_OUT_MIN) && !was_out)
		(void)oracle_found_online(oracle, ORACLE_R(8), "R8 taken out again too soon",
			event->time_ns, "%.*s was taken out a minute ago",
			LAB_VIEW_ARG(routing_text(event, "host")));
}

/* "cluster backend update --status offline HOST" */
static void ordered(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view text = routing_text(event, "mailbox"), host = LAB_VIEW(""), word;
	bool is_online = lab_view_find(text, LAB_VIEW(" --status online ")) != SIZE_MAX;

	if (!lab_view_starts_with(text, LAB_VIEW("cluster backend update --status ")))
		return;
	while (lab_view_split(&text, ' ', &word))
		host = word;
	set_status(oracle, host, is_online, true, event->time_ns);
	if (is_online)
		forget_out(oracle->routing, host);
}

/* ---- R9: who is not found under its own name serves nobody ---- */

static void set_name(struct oracle *oracle, struct lab_view name, bool is_there, uint64_t now_ns)
{
	struct last_time *gone = last_time_of(oracle, 'n', name);

	if (gone != NULL)
		*gone = (struct last_time){ .time_ns = now_ns, .was_there = !is_there };
}

/* "cluster site update --name NEW OLD", and the same of a backend. */
static void renamed(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view text = routing_text(event, "mailbox"), word, before = LAB_VIEW("");
	struct lab_view after = LAB_VIEW("");

	if (!lab_view_starts_with(text, LAB_VIEW("cluster ")) ||
		lab_view_find(text, LAB_VIEW(" --name ")) == SIZE_MAX)
		return;
	while (lab_view_split(&text, ' ', &word)) {
		if (lab_view_eq_cstr(before, "--name"))
			after = word;
		before = word;
	}
	set_name(oracle, before, false, event->time_ns);
	set_name(oracle, after, true, event->time_ns);
	oracle->routing->renamed = lab_arena_copy(oracle->texts, before);
}

/* Which may have changed nothing. */
static void operated(struct oracle *oracle, const struct lab_event *event)
{
	struct routing *r = oracle->routing;

	if (!lab_view_eq_cstr(routing_text(event, "kind"), "operate") || r->renamed.len == 0)
		return;
	if (!lab_view_eq_cstr(routing_text(event, "outcome"), "ok"))
		set_name(oracle, r->renamed, true, event->time_ns);
	r->renamed = LAB_VIEW("");
}

static void check_name(struct oracle *oracle, const struct lab_event *event, struct lab_view name)
{
	const struct last_time *gone = last_time_of(oracle, 'n', name);

	if (gone == NULL || !gone->was_there ||
		event->time_ns - gone->time_ns <= oracle->settings.name_max_ns)
		return;
	(void)oracle_found_online(oracle, ORACLE_R(9), "R9 served under a wrong name",
		event->time_ns, "%.*s takes %.*s in, and GeoDB has had no %.*s for %" PRIu64 " ms",
		LAB_VIEW_ARG(routing_text(event, "backend")),
		LAB_VIEW_ARG(routing_text(event, "user")), LAB_VIEW_ARG(name),
		(event->time_ns - gone->time_ns) / LAB_MSEC);
}

/* R8: what does not last as long as it takes to lose a site loses none. */
static void site_checked(struct oracle *oracle, const struct lab_event *event)
{
	const struct routing *r = oracle->routing;
	uint64_t least_ns = oracle->settings.site_down_ns;

	if (routing_text(event, "reason").len > 0 ||
		(r->had_trouble && event->time_ns >= r->first_trouble_ns + least_ns))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(8), "R8 site taken out too soon", event->time_ns,
		"site %.*s is taken out less than %" PRIu64 " ms after the first trouble",
		LAB_VIEW_ARG(routing_text(event, "host")), least_ns / LAB_MSEC);
}

void routing_placed(struct oracle *oracle, const struct lab_event *event)
{
	const struct routing *r = oracle->routing;
	struct lab_view backend = routing_text(event, "backend");
	const struct last_time *out = last_time_of(oracle, 's', backend);
	const struct backend_row *row = routing_backend_named(oracle, backend);
	uint64_t since;

	check_name(oracle, event, backend);
	check_name(oracle, event, routing_text(event, "site"));
	/* Whoever took it out may have failed to write it. */
	if (out == NULL || !out->was_there || (row != NULL && row->is_online))
		return;
	since = LAB_MAX(out->time_ns, r->last_trouble_ns);
	if (row != NULL)
		since = LAB_MAX(since, row->since_ns);
	if (event->time_ns - LAB_MIN(since, event->time_ns) > oracle->settings.overlap_max_ns)
		(void)oracle_found_online(oracle, ORACLE_R(9), "R9 sent to a backend that is out",
			event->time_ns,
			"%.*s has a new session on %.*s, which is out for %" PRIu64 " ms",
			LAB_VIEW_ARG(routing_text(event, "user")), LAB_VIEW_ARG(backend),
			(event->time_ns - out->time_ns) / LAB_MSEC);
}

void routing_order(struct oracle *oracle, const struct lab_event *event)
{
	if (event->id == LAB_EV_cluster_group_balanced)
		balanced(oracle, event);
	else if (event->id == LAB_EV_cluster_backend_check_finished)
		checked(oracle, event);
	else if (event->id == LAB_EV_cluster_site_check_finished)
		site_checked(oracle, event);
	else if (event->id == LAB_EV_operation_finished)
		operated(oracle, event);
	else if (event->id == LAB_EV_operation_invoked) {
		ordered(oracle, event);
		renamed(oracle, event);
	}
}

/* ---- R6: moves end ---- */

static void see_group(void *ctx, const struct cqlemu_entry *entry)
{
	struct oracle *oracle = ctx;
	struct lab_view moving;

	if (entry->kind != CQLEMU_ROW || !entry->live)
		return;
	moving = cqlemu_entry_value(entry, "moving");
	if (moving.len > 0)
		(void)oracle_found_online(oracle, ORACLE_R(6), "R6 move never ended",
			oracle->routing->last_ns,
			"after heal, and a login of everybody, group %.*s is still moving: %.*s",
			LAB_VIEW_ARG(cqlemu_entry_value(entry, "name")), LAB_VIEW_ARG(moving));
}

void routing_check_groups(struct oracle *oracle, const struct oracle_case *c)
{
	struct lab_view name = lab_view_cstr(lab_arena_printf(
		oracle->work, "%.*s.user_groups", LAB_VIEW_ARG(oracle->settings.geodb_keyspace)));
	struct lab_error err;

	if (oracle->settings.geodb_keyspace.len > 0 && c->cql != NULL &&
		cqlemu_snapshot(c->cql, name, CQLEMU_MERGED, see_group, oracle, &err) < 0)
		oracle_unknown(oracle, "table %.*s: %s", LAB_VIEW_ARG(name), err.message);
}

void routing_orders_free(struct routing *r)
{
	struct lab_map_iter iter = lab_map_iterate(r->orders);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		lab_heap_free(r->heap, value);
	lab_map_free(&r->orders);
}
