/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-rows.c - GeoDB's rows of groups and users, as they change (palomar 4.1): R4, R6, R8, R9.
 *
 * After each write the tables are looked at as all replicas together have them, so what is seen is
 * what has won. Nothing is said of a change that GeoDB's own troubles, or something that changed a
 * moment before, may explain: whoever writes has read before, and reading takes time.
 */
#include "sim/oracle/routing-rows.h"

#define ROWS_MAX 1000000u
#define STEPS_MAX 1000000u
#define KEY_BYTES 1200

enum table {
	TABLE_SITES,
	TABLE_BACKENDS,
	TABLE_GROUPS,
	TABLE_USERS,
	TABLES
};
static const char *const table_names[TABLES] = { "sites", "backends", "user_groups", "users" };

void routing_rows_new(struct oracle *oracle)
{
	struct lab_heap *heap = oracle->settings.heap;
	struct routing_rows *r = lab_new(heap, struct routing_rows);

	r->heap = heap;
	r->rows = lab_map_new(heap, ROWS_MAX);
	r->due = (1u << TABLES) - 1;
	oracle->routing->rows = r;
}

void routing_rows_free(struct routing *routing)
{
	struct routing_rows *r = routing->rows;
	struct lab_map_iter iter = lab_map_iterate(r->rows);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		lab_heap_free(r->heap, value);
	lab_map_free(&r->rows);
	lab_heap_free(r->heap, r->steps);
	lab_heap_free(r->heap, r);
}

/* ---- rows by key ---- */

static struct lab_view make_key(
	uint8_t ret[KEY_BYTES], enum row_kind kind, struct lab_view a, struct lab_view b)
{
	size_t first = LAB_MIN(a.len, (size_t)KEY_BYTES / 2 - 2);
	size_t second = LAB_MIN(b.len, (size_t)KEY_BYTES / 2 - 2);

	ret[0] = (uint8_t)kind;
	if (first > 0)
		memcpy(ret + 1, a.ptr, first);
	ret[1 + first] = ' ';
	if (second > 0)
		memcpy(ret + 2 + first, b.ptr, second);
	return lab_view_of(ret, 2 + first + second);
}

void *routing_row_find(
	const struct oracle *oracle, enum row_kind kind, struct lab_view a, struct lab_view b)
{
	uint8_t key[KEY_BYTES];

	return lab_map_get(oracle->routing->rows->rows, make_key(key, kind, a, b));
}

/* NULL: too many. *ret_is_new: it is all zero. */
static void *row_of(struct oracle *oracle, enum row_kind kind, struct lab_view a, struct lab_view b,
	size_t size, bool *ret_is_new)
{
	struct routing *routing = oracle->routing;
	uint8_t key[KEY_BYTES];
	void **slot = lab_map_slot(routing->rows->rows, make_key(key, kind, a, b));

	if (slot == NULL) {
		routing->is_full = true;
		return NULL;
	}
	*ret_is_new = *slot == NULL;
	if (*slot == NULL)
		*slot = lab_heap_alloc(routing->heap, size);
	return *slot;
}
#define ROW_OF(oracle, kind, a, b, type, ret_is_new) \
	((type *)row_of(oracle, kind, a, b, sizeof(type), ret_is_new))

const struct backend_row *routing_backend_of(const struct oracle *oracle, struct row_id id)
{
	return routing_row_find(oracle, ROW_BACKEND, id_view(&id), LAB_VIEW(""));
}

struct lab_view routing_site_name(const struct oracle *oracle, struct row_id id)
{
	const struct site_row *site =
		routing_row_find(oracle, ROW_SITE, id_view(&id), LAB_VIEW(""));

	return site == NULL ? LAB_VIEW("?") : site->name;
}

struct lab_view routing_host_of(const struct oracle *oracle, struct row_id id)
{
	const struct backend_row *backend = routing_backend_of(oracle, id);

	return backend == NULL ? LAB_VIEW("nobody") : backend->host;
}

/* ---- cells ---- */

static struct row_id id_cell(const struct cqlemu_entry *entry, const char *column)
{
	struct lab_view value = cqlemu_entry_value(entry, column);
	struct row_id id = { { 0 } };

	if (value.len == ID_BYTES)
		memcpy(id.bytes, value.ptr, ID_BYTES);
	return id;
}

static int64_t stamp_of(const struct cqlemu_entry *entry, const char *column)
{
	for (size_t i = 0; i < entry->cell_count; i++) {
		if (lab_view_eq_cstr(entry->cells[i].column, column))
			return entry->cells[i].timestamp_us;
	}
	return INT64_MIN;
}

static bool is_online_cell(const struct cqlemu_entry *entry)
{
	return lab_view_eq_cstr(cqlemu_entry_value(entry, "status"), "online");
}

static bool is_number_set(const struct cqlemu_entry *entry, const char *column)
{
	struct lab_view value = cqlemu_entry_value(entry, column);

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] != 0)
			return true;
	}
	return false;
}

/* An int; 0: none. */
static int64_t number_cell(const struct cqlemu_entry *entry, const char *column)
{
	struct lab_view value = cqlemu_entry_value(entry, column);
	int64_t number = 0;

	for (size_t i = 0; i < value.len; i++)
		number = number * 256 + value.ptr[i];
	return value.len == 4 ? number : 0;
}

static struct lab_view keep_text(struct oracle *oracle, struct lab_view old, struct lab_view new)
{
	return lab_view_eq(old, new) ? old : lab_arena_copy(oracle->texts, new);
}

/* ---- looking ---- */

static void see_site(struct oracle *oracle, const struct cqlemu_entry *entry)
{
	struct row_id id = id_cell(entry, "id");
	bool is_new, is_online = is_online_cell(entry);
	struct site_row *site =
		ROW_OF(oracle, ROW_SITE, id_view(&id), LAB_VIEW(""), struct site_row, &is_new);

	if (site == NULL)
		return;
	site->id = id;
	site->name = keep_text(oracle, site->name, cqlemu_entry_value(entry, "name"));
	routing_set_share(oracle, site, &site->forced,
		(struct share){ .id = cqlemu_entry_value(entry, "force_move_id"),
			.to = cqlemu_entry_value(entry, "force_move_dest"),
			.pct = number_cell(entry, "force_move_pct") });
	routing_set_share(oracle, site, &site->recovered,
		(struct share){ .id = cqlemu_entry_value(entry, "recover_id"),
			.pct = number_cell(entry, "recover_pct") });
	if (!is_new && site->is_online == is_online)
		return;
	if (!is_new)
		routing_check_status(oracle, site->name);
	site->is_online = is_online;
	site->since_ns = oracle->routing->rows->now_ns;
}

static void see_backend(struct oracle *oracle, const struct cqlemu_entry *entry)
{
	struct row_id id = id_cell(entry, "id");
	bool is_new, is_online = is_online_cell(entry);
	bool has_load = is_number_set(entry, "load_factor");
	struct backend_row *b = ROW_OF(
		oracle, ROW_BACKEND, id_view(&id), LAB_VIEW(""), struct backend_row, &is_new);

	if (b == NULL)
		return;
	b->id = id;
	b->site = id_cell(entry, "site_id");
	b->host = keep_text(oracle, b->host, cqlemu_entry_value(entry, "host"));
	if (!is_new && b->is_online == is_online && b->has_load == has_load)
		return;
	if (!is_new && b->is_online != is_online)
		routing_check_status(oracle, b->host);
	b->is_online = is_online;
	b->has_load = has_load;
	b->since_ns = oracle->routing->rows->now_ns;
}

static void add_step(struct oracle *oracle, const struct group_row *g)
{
	struct routing_rows *r = oracle->routing->rows;

	if (r->step_count == STEPS_MAX) {
		oracle->routing->is_full = true;
		return;
	}
	if (r->step_count == r->step_capacity) {
		r->step_capacity = LAB_MAX(r->step_capacity * 2, (size_t)256);
		r->steps =
			lab_heap_realloc(r->heap, r->steps, r->step_capacity * sizeof(*r->steps));
	}
	r->steps[r->step_count++] =
		(struct group_step){ g, r->now_ns, g->backend, g->alt, g->moving.len > 0 };
}

/* Moves have names of their own within their group. */
static void end_move(struct oracle *oracle, struct lab_view group, struct lab_view moving)
{
	bool is_new;

	if (moving.len > 0)
		(void)ROW_OF(oracle, ROW_MOVE, moving, group, uint64_t, &is_new);
}

static bool is_new_still(const struct oracle *oracle, uint64_t made_ns)
{
	return oracle->routing->rows->now_ns <= made_ns + ROUTING_NEW_NS;
}

/* When it became what it is. */
static void note_times(
	const struct oracle *oracle, struct group_row *g, const struct group_row *old, bool is_new)
{
	bool is_here = is_same_id(old->backend, g->backend);

	if (is_new)
		g->made_ns = g->since_ns;
	else if (!is_here && is_new_still(oracle, g->made_ns))
		g->twice_ns = g->since_ns;
	if (old->moving.len > 0 && g->moving.len > 0 && is_here && !is_same_id(old->alt, g->alt))
		g->redirected_ns = g->since_ns;
	if (!lab_view_eq(old->moving, g->moving))
		g->moving_since_ns = g->since_ns;
}

static void see_group(struct oracle *oracle, const struct cqlemu_entry *entry)
{
	struct row_id site = id_cell(entry, "site_id"), backend = id_cell(entry, "backend_id");
	struct row_id alt = id_cell(entry, "alt_backend_id");
	struct lab_view name = cqlemu_entry_value(entry, "name");
	struct lab_view moving = cqlemu_entry_value(entry, "moving");
	struct group_row *g, old;
	bool is_new;

	g = ROW_OF(oracle, ROW_GROUP, id_view(&site), name, struct group_row, &is_new);
	if (g == NULL || (!is_new && is_same_id(g->backend, backend) && is_same_id(g->alt, alt) &&
				 lab_view_eq(g->moving, moving)))
		return;
	old = *g;
	g->site = site;
	g->name = keep_text(oracle, old.name, name);
	g->backend = backend;
	g->stamp_us = stamp_of(entry, "backend_id");
	g->alt = alt;
	g->moving = keep_text(oracle, old.moving, moving);
	g->since_ns = oracle->routing->rows->now_ns;
	note_times(oracle, g, &old, is_new);
	add_step(oracle, g);
	if (is_set(backend))
		routing_check_change(oracle, g, &old, is_new);
	if (!lab_view_eq(old.moving, moving))
		end_move(oracle, g->name, old.moving);
}

/* What the change says, before it is taken over. */
static void judge_user(struct oracle *oracle, struct lab_view name, struct user_row *u,
	struct row_id site, bool is_moving)
{
	uint64_t now_ns = oracle->routing->rows->now_ns;
	bool is_here = is_same_id(u->site, site);

	if (!is_set(u->site))
		u->made_ns = now_ns;
	else if (is_new_still(oracle, u->made_ns))
		u->twice_ns = now_ns;
	else if (!is_here && !u->is_moving)
		routing_check_site_left(oracle, name, u->site);
	if (u->is_moving && !is_here)
		routing_left_by_share(oracle, u);
	if (is_moving && !u->is_moving && is_here)
		routing_check_forced(oracle, name, u);
}

static void see_user(struct oracle *oracle, const struct cqlemu_entry *entry)
{
	struct lab_view name = cqlemu_entry_value(entry, "username");
	struct lab_view group = cqlemu_entry_value(entry, "group_name");
	struct row_id site = id_cell(entry, "site_id");
	bool is_new, is_moving = cqlemu_entry_value(entry, "moving_group").len > 0;
	struct user_row *u = ROW_OF(oracle, ROW_USER, name, LAB_VIEW(""), struct user_row, &is_new);

	if (u == NULL || !is_set(site))
		return;
	u->home = id_cell(entry, "home_site_id");
	if (!is_new && is_same_id(u->site, site) && lab_view_eq(u->group, group) &&
		u->is_moving == is_moving)
		return;
	judge_user(oracle, name, u, site, is_moving);
	u->site = site;
	u->group = keep_text(oracle, u->group, group);
	u->is_moving = is_moving;
	u->since_ns = oracle->routing->rows->now_ns;
}

struct look {
	struct oracle *oracle;
	enum table table;
};

static void see(void *ctx, const struct cqlemu_entry *entry)
{
	static void (*const by_table[TABLES])(struct oracle *,
		const struct cqlemu_entry *) = { see_site, see_backend, see_group, see_user };
	const struct look *look = ctx;

	if (entry->kind == CQLEMU_ROW && entry->live)
		by_table[look->table](look->oracle, entry);
}

static void look(struct oracle *oracle)
{
	struct routing_rows *r = oracle->routing->rows;
	struct lab_error err;

	for (unsigned i = 0; i < TABLES; i++) {
		struct look look = { oracle, (enum table)i };
		char name[128];
		int len = snprintf(name, sizeof(name), "%.*s.%s",
			LAB_VIEW_ARG(oracle->settings.geodb_keyspace), table_names[i]);

		if ((r->due >> i & 1) != 0 &&
			cqlemu_snapshot(oracle->settings.geodb, lab_view_of(name, (size_t)len),
				CQLEMU_MERGED, see, &look, &err) < 0)
			oracle_unknown(oracle, "table %s: %s", name, err.message);
	}
	r->due = 0;
}

static void trouble(struct routing_rows *r, uint64_t now_ns)
{
	r->had_trouble = true;
	r->trouble_ns = now_ns;
}

static bool is_of_place(struct lab_view statement)
{
	return lab_view_find(statement, LAB_VIEW("group_name")) != SIZE_MAX ||
	       lab_view_find(statement, LAB_VIEW("moving_group")) != SIZE_MAX;
}

/* While the emulator is at it. Of users only where they belong counts. */
void routing_rows_access(struct oracle *oracle, const struct sim_access *access)
{
	struct lab_view table = access->subject;

	if (access->fault_id != 0 || access->status != 0 || !access->answered)
		trouble(oracle->routing->rows, access->received_ns);
	if (lab_view_eq(access->operation, LAB_VIEW("SELECT")))
		return;
	table = lab_view_skip(table, LAB_MIN(table.len, oracle->settings.geodb_keyspace.len + 1));
	for (unsigned i = 0; i < TABLES; i++) {
		if (lab_view_eq_cstr(table, table_names[i]) &&
			(i != TABLE_USERS || is_of_place(access->request)))
			oracle->routing->rows->due |= 1u << i;
	}
}

const struct backend_row *routing_backend_named(const struct oracle *oracle, struct lab_view host)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->routing->rows->rows);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		const struct backend_row *b = value;

		if (key.ptr[0] == ROW_BACKEND && lab_view_eq(b->host, host))
			return b;
	}
	return NULL;
}

/* ---- orders ---- */

static struct order_times *ordered(
	struct oracle *oracle, enum row_kind kind, struct lab_view a, struct lab_view b)
{
	bool is_new;
	struct order_times *order = ROW_OF(oracle, kind, a, b, struct order_times, &is_new);

	if (order != NULL) {
		order->before_ns = order->last_ns;
		order->last_ns = oracle->routing->rows->now_ns;
		order->count++;
	}
	return order;
}

/* "cluster group move [--direct] SITE GROUP HOST" */
bool routing_read_order(struct lab_view text, struct group_order *ret)
{
	struct lab_view start = LAB_VIEW("cluster group move "), word;
	struct lab_view *const words[] = { &ret->site, &ret->group, &ret->host };
	size_t count = 0;

	memset(ret, 0, sizeof(*ret));
	if (!lab_view_starts_with(text, start))
		return false;
	text = lab_view_skip(text, start.len);
	while (lab_view_split(&text, ' ', &word)) {
		if (lab_view_eq_cstr(word, "--direct"))
			ret->is_direct = true;
		else if (word.len > 0 && count < LAB_COUNT_OF(words))
			*words[count++] = word;
	}
	return count == LAB_COUNT_OF(words);
}

static void see_order(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view text = routing_text(event, "mailbox"), none = LAB_VIEW("");
	struct lab_view evacuate = LAB_VIEW("cluster backend evacuate ");
	struct order_times *times;
	struct group_order order;

	if (lab_view_starts_with(text, LAB_VIEW("cluster backend ")) ||
		lab_view_starts_with(text, LAB_VIEW("cluster site ")))
		(void)ordered(oracle, ROW_STATUS, none, none);
	if (lab_view_starts_with(text, LAB_VIEW("cluster user move ")))
		(void)ordered(oracle, ROW_USER_MOVE, none, none);
	if (routing_read_order(text, &order)) {
		times = ordered(oracle, ROW_ORDER, order.site, order.group);
		if (times != NULL)
			times->last_host = lab_arena_copy(oracle->texts, order.host);
	} else if (lab_view_starts_with(text, evacuate)) {
		(void)ordered(oracle, ROW_EVACUATION, lab_view_skip(text, evacuate.len), none);
		(void)ordered(oracle, ROW_ORDER, none, none);
	} else if (lab_view_starts_with(text, LAB_VIEW("cluster user ")) ||
		   lab_view_starts_with(text, LAB_VIEW("cluster site "))) {
		(void)ordered(oracle, ROW_ORDER, none, none);
	}
}

/* ---- events ---- */

void routing_rows_event(struct oracle *oracle, const struct lab_event *event)
{
	struct routing_rows *r = oracle->routing->rows;

	if (oracle->settings.geodb == NULL)
		return;
	r->now_ns = event->time_ns;
	switch ((int)event->id) {
	case LAB_EV_host_crashed:
	case LAB_EV_episode_started:
	case LAB_EV_episode_finished:
		trouble(r, event->time_ns);
		break;
	case LAB_EV_cassandra_query_finished:
		if (routing_text(event, "error").len > 0)
			trouble(r, event->time_ns);
		/* fall through */
	case LAB_EV_operation_finished:
		if (r->due != 0)
			look(oracle);
		break;
	case LAB_EV_operation_invoked:
		if (lab_view_eq_cstr(routing_text(event, "kind"), "operate"))
			see_order(oracle, event);
		break;
	case LAB_EV_cluster_group_balanced:
		(void)ordered(oracle, ROW_BALANCE, routing_text(event, "site"), LAB_VIEW(""));
		(void)ordered(oracle, ROW_ORDER, LAB_VIEW(""), LAB_VIEW(""));
		break;
	case LAB_EV_cluster_session_started:
		routing_check_session(oracle, event);
		routing_check_stayed(oracle, event);
		break;
	case LAB_EV_cluster_session_ended:
		routing_check_stay(oracle, event);
		break;
	default:
		break;
	}
}
