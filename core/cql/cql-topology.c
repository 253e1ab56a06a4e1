/* SPDX-License-Identifier: Apache-2.0
 *
 * What the system tables tell of the ring (cql-imds 2.2, 2.3): each host's data centre, rack and
 * tokens, the peers, and how the client's keyspace is replicated.
 *
 * One fiber reads them whenever something may have changed. A host is asked for itself
 * (system.local) over its own connection, so that hosts which are configured by name are known
 * by address as well; of its peers tells the connection that hears of events.
 */
#include "core/cql/cql-client-private.h"

#include <stdio.h>

#define NAME_MAX_BYTES 64
#define TOKENS_MAX 8192
#define DCS_MAX 16
#define REFRESH_ARENA_BYTES (8u << 20)
#define QUERY_TIMEOUT_NS (5 * LAB_SEC)
#define RETRY_NS LAB_SEC

struct place {
	bool known;
	bool asked;      /* for itself, since something may have changed */
	bool listed;     /* by the last system.peers, or asked for them */
	bool was_listed; /* before that */
	char dc[NAME_MAX_BYTES];
	char rack[NAME_MAX_BYTES];
	uint8_t address[4];
	bool has_address;
};

struct ring_token {
	int64_t token;
	unsigned host;
};

struct replication {
	char dc[NAME_MAX_BYTES]; /* "": of SimpleStrategy */
	unsigned factor;
};

struct cql_topology {
	struct cql_client *client;
	struct env_cond wake;
	bool stale;
	char local_dc[NAME_MAX_BYTES];
	struct place places[CQL_HOSTS_MAX];
	struct ring_token *tokens; /* sorted */
	size_t token_count;
	struct replication replication[DCS_MAX];
	size_t replication_count;
	struct cql_run run; /* of the query under way */
};

/* ---- questions ---- */

bool cql_topology_is_local(const struct cql_client *client, unsigned host)
{
	const struct cql_topology *t = client->topology;
	return t == NULL || !t->places[host].known || t->local_dc[0] == '\0' ||
	       strcmp(t->places[host].dc, t->local_dc) == 0;
}

static size_t first_token(const struct cql_topology *t, int64_t token)
{
	size_t low = 0, high = t->token_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (t->tokens[middle].token < token)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct replicas {
	unsigned hosts[CQL_HOSTS_MAX];
	unsigned count;
};

static bool contains(const struct replicas *r, unsigned host)
{
	for (unsigned i = 0; i < r->count; i++) {
		if (r->hosts[i] == host)
			return true;
	}
	return false;
}

static bool shares_rack(const struct cql_topology *t, const struct replicas *r, unsigned host)
{
	for (unsigned i = 0; i < r->count; i++) {
		if (strcmp(t->places[r->hosts[i]].rack, t->places[host].rack) == 0)
			return true;
	}
	return false;
}

/* Along the ring: hosts of racks that are not there yet, then, in the same order, the others.
 * SimpleStrategy (dc "") knows neither. */
static void walk(const struct cql_topology *t, const struct replication *of, size_t start,
	struct replicas *ret)
{
	struct replicas chosen = { .count = 0 }, skipped = { .count = 0 };
	for (size_t i = 0; i < t->token_count && chosen.count < of->factor; i++) {
		unsigned host = t->tokens[(start + i) % t->token_count].host;
		if (contains(&chosen, host) || contains(&skipped, host))
			continue;
		if (of->dc[0] != '\0' && strcmp(of->dc, t->places[host].dc) != 0)
			continue;
		if (of->dc[0] != '\0' && shares_rack(t, &chosen, host))
			skipped.hosts[skipped.count++] = host;
		else
			chosen.hosts[chosen.count++] = host;
	}
	for (unsigned i = 0; i < skipped.count && chosen.count < of->factor; i++)
		chosen.hosts[chosen.count++] = skipped.hosts[i];
	for (unsigned i = 0; i < chosen.count && ret->count < CQL_HOSTS_MAX; i++) {
		if (!contains(ret, chosen.hosts[i]))
			ret->hosts[ret->count++] = chosen.hosts[i];
	}
}

unsigned cql_topology_replicas(
	const struct cql_client *client, int64_t token, unsigned ret[CQL_HOSTS_MAX])
{
	const struct cql_topology *t = client->topology;
	struct replicas found = { .count = 0 };
	for (size_t i = 0; t != NULL && t->token_count > 0 && i < t->replication_count; i++)
		walk(t, &t->replication[i], first_token(t, token), &found);
	memcpy(ret, found.hosts, found.count * sizeof(found.hosts[0]));
	return found.count;
}

/* ---- reading tables ---- */

/* 0 with rows; -1. */
static int query(struct cql_topology *t, struct cql_connection *c, const char *text,
	struct lab_arena *arena, struct cql_rows *ret)
{
	struct cql_request request = { .opcode = CQL_QUERY,
		.query = lab_view_cstr(text),
		.params = { .consistency = CQL_ONE } };
	struct cql_waiting waiting = { .arena = arena };
	struct cql_response response;
	int16_t stream;
	t->run = (struct cql_run){ .client = t->client,
		.deadline_ns = env_now(t->client->env) + QUERY_TIMEOUT_NS };
	if (c == NULL || c->state != CQL_CONNECTION_READY ||
		cql_connection_send(c, &request, &waiting, &stream) < 0 ||
		cql_connection_wait(&t->run, c, &waiting, stream) < 0 ||
		waiting.state != CQL_REQUEST_ANSWERED ||
		cql_response_decode(&waiting.frame, arena, &response, NULL) < 0 ||
		response.opcode != CQL_RESULT || response.kind != CQL_RESULT_ROWS)
		return -1;
	*ret = response.rows;
	return 0;
}

/* A name that is too long is none: cutting it could make it another's. */
static void put_name(char ret[NAME_MAX_BYTES], struct lab_view name)
{
	size_t len = name.ptr != NULL && name.len < NAME_MAX_BYTES ? name.len : 0;
	if (len > 0)
		memcpy(ret, name.ptr, len);
	ret[len] = '\0';
}

static void drop_tokens(struct cql_topology *t, unsigned host)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->token_count; i++) {
		if (t->tokens[i].host != host)
			t->tokens[kept++] = t->tokens[i];
	}
	t->token_count = kept;
}

/* Keeps the ring sorted; hosts of one token are sorted too. */
static void add_token(struct cql_topology *t, int64_t token, unsigned host)
{
	size_t at = first_token(t, token);
	if (t->token_count == TOKENS_MAX)
		return;
	while (at < t->token_count && t->tokens[at].token == token && t->tokens[at].host < host)
		at++;
	memmove(&t->tokens[at + 1], &t->tokens[at], (t->token_count - at) * sizeof(*t->tokens));
	t->tokens[at] = (struct ring_token){ token, host };
	t->token_count++;
}

/* Columns: data_center, rack, tokens, rpc_address. A row that lacks one of them is ignored, as
 * drivers do. */
#define PLACE_COLUMNS "data_center, rack, tokens, rpc_address"
#define PLACE_CELLS 4

static bool is_complete(const struct lab_view *cells)
{
	for (size_t i = 0; i < PLACE_CELLS; i++) {
		if (cells[i].ptr == NULL)
			return false;
	}
	return true;
}

static void set_place(struct cql_topology *t, unsigned host, const struct lab_view *cells)
{
	struct place *place = &t->places[host];
	struct cql_reader r = cql_reader_of(cells[2]);
	int64_t token;
	put_name(place->dc, cells[0]);
	put_name(place->rack, cells[1]);
	if (cells[3].len == 4) {
		memcpy(place->address, cells[3].ptr, 4);
		place->has_address = true;
	}
	drop_tokens(t, host);
	for (int32_t n = cql_read_int(&r); n > 0 && r.error == NULL; n--) {
		struct lab_view text = cql_read_bytes(&r);
		if (text.ptr != NULL && lab_view_to_i64(text, &token) == 0)
			add_token(t, token, host);
	}
	place->known = true;
	/* The data centre of the first host that was contacted is ours. */
	if (t->local_dc[0] == '\0')
		memcpy(t->local_dc, place->dc, NAME_MAX_BYTES);
}

/* The host with this address; all of them, if it is nobody's. */
static unsigned find_host(const struct cql_topology *t, const uint8_t address[4])
{
	const struct cql_settings *s = &t->client->settings;
	uint8_t own[4];
	unsigned host;
	for (host = 0; host < s->host_count; host++) {
		const struct place *place = &t->places[host];
		bool is_literal = cql_inet_parse(lab_view_cstr(s->hosts[host]), own) == 0;
		if ((is_literal && memcmp(own, address, 4) == 0) ||
			(place->has_address && memcmp(place->address, address, 4) == 0))
			break;
	}
	return host;
}

/* A new peer must not be a configured one whose address is not known yet. */
static bool may_add(const struct cql_topology *t)
{
	const struct cql_settings *s = &t->client->settings;
	uint8_t unused[4];
	for (unsigned host = 0; host < s->host_count; host++) {
		if (!t->places[host].has_address &&
			cql_inet_parse(lab_view_cstr(s->hosts[host]), unused) != 0)
			return false;
	}
	return true;
}

/* Cells of a place, and `peer`, which stands in for an rpc_address of 0.0.0.0. */
#define PEER_CELLS 5

static void on_peer(struct cql_topology *t, struct lab_view *cells)
{
	static const uint8_t any[4];
	char name[20];
	if (cells[3].len == 4 && memcmp(cells[3].ptr, any, 4) == 0)
		cells[3] = cells[4];
	if (cells[3].len != 4)
		return;
	const uint8_t *a = cells[3].ptr;
	unsigned host = find_host(t, a);
	bool is_new = host == t->client->settings.host_count;
	/* Half a row is a node that is on its way in or out. */
	t->places[is_new ? 0 : host].listed |= !is_new;
	if (!is_complete(cells))
		return;
	if (is_new) {
		(void)snprintf(name, sizeof(name), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
		if (!may_add(t) || cql_host_add(t->client, name, &host, NULL) < 0)
			return;
		t->places[host].listed = true;
	}
	cql_host_return(t->client, host);
	set_place(t, host, cells);
}

static void add_replication(struct cql_topology *t, struct lab_view dc, struct lab_view text)
{
	uint64_t factor;
	struct lab_view full;
	struct replication *r = &t->replication[t->replication_count];
	(void)lab_view_split(&text, '/', &full); /* "3/1": one of them transient */
	if (t->replication_count == DCS_MAX || lab_view_to_u64(full, &factor) < 0)
		return;
	put_name(r->dc, dc);
	r->factor = (unsigned)LAB_MIN(factor, (uint64_t)CQL_HOSTS_MAX);
	t->replication_count++;
}

/* map<text, text>: class and its options. */
static void set_replication(struct cql_topology *t, struct lab_view cell)
{
	struct cql_reader r = cql_reader_of(cell);
	t->replication_count = 0;
	for (int32_t n = cell.ptr == NULL ? 0 : cql_read_int(&r); n > 0 && r.error == NULL; n--) {
		struct lab_view key = cql_read_bytes(&r);
		struct lab_view value = cql_read_bytes(&r);
		if (key.ptr == NULL || value.ptr == NULL || lab_view_eq_cstr(key, "class"))
			continue;
		bool simple = lab_view_eq_cstr(key, "replication_factor");
		add_replication(t, simple ? LAB_VIEW("") : key, value);
	}
}

/* ---- refreshing ---- */

static int ask_itself(struct cql_topology *t, struct cql_connection *c, struct lab_arena *arena)
{
	struct cql_rows rows;
	if (query(t, c, "SELECT " PLACE_COLUMNS " FROM system.local WHERE key = 'local'", arena,
		    &rows) < 0)
		return -1;
	if (rows.row_count == 1 && rows.metadata.column_count == PLACE_CELLS &&
		is_complete(rows.cells))
		set_place(t, c->host, rows.cells);
	t->places[c->host].asked = true;
	return 0;
}

static void forget(struct cql_topology *t, unsigned host)
{
	drop_tokens(t, host);
	t->places[host].known = false;
	cql_host_drop(t->client, host);
}

void cql_topology_removed(struct cql_client *client, const uint8_t address[4])
{
	struct cql_topology *t = client->topology;
	unsigned host = t == NULL ? 0 : find_host(t, address);
	if (t != NULL && host < client->settings.host_count)
		forget(t, host);
}

/* A host that its peers do not list any more has left. What they never listed is there because
 * somebody configured it. */
static void forget_unlisted(struct cql_topology *t)
{
	for (unsigned host = 0; host < t->client->settings.host_count; host++) {
		struct place *place = &t->places[host];
		if (place->was_listed && !place->listed)
			forget(t, host);
		place->was_listed = place->listed;
	}
}

static int ask_for_peers(struct cql_topology *t, struct lab_arena *arena)
{
	struct cql_connection *control = t->client->control;
	struct cql_rows rows;
	if (query(t, control, "SELECT " PLACE_COLUMNS ", peer FROM system.peers", arena, &rows) <
			0 ||
		control != t->client->control || rows.metadata.column_count != PEER_CELLS)
		return -1;
	for (size_t i = 0; i < CQL_HOSTS_MAX; i++)
		t->places[i].listed = i == control->host;
	for (size_t i = 0; i < rows.row_count; i++)
		on_peer(t, &rows.cells[i * PEER_CELLS]);
	forget_unlisted(t);
	return 0;
}

static int ask_for_keyspace(struct cql_topology *t, struct lab_arena *arena)
{
	struct cql_rows rows;
	const char *keyspace = t->client->settings.keyspace;
	if (keyspace == NULL)
		return 0;
	if (query(t, t->client->control,
		    lab_arena_printf(arena,
			    "SELECT replication FROM system_schema.keyspaces WHERE "
			    "keyspace_name = '%s'",
			    keyspace),
		    arena, &rows) < 0)
		return -1;
	if (rows.row_count == 1 && rows.metadata.column_count == 1)
		set_replication(t, rows.cells[0]);
	return 0;
}

static int refresh(struct cql_topology *t, struct lab_arena *arena)
{
	struct cql_client *client = t->client;
	int result = 0;
	/* The first contacted host is the first to be asked: it decides which data centre is ours.
	 */
	if (t->local_dc[0] == '\0' && client->control != NULL)
		result |= ask_itself(t, client->control, arena);
	for (unsigned i = 0; i < client->connection_count; i++) {
		struct cql_connection *c = &client->connections[i];
		if (c->state == CQL_CONNECTION_READY && !t->places[c->host].asked)
			result |= ask_itself(t, c, arena);
	}
	result |= ask_for_peers(t, arena);
	result |= ask_for_keyspace(t, arena);
	return result;
}

static void topology_fiber(void *arg)
{
	struct cql_topology *t = arg;
	struct cql_client *client = t->client;
	while (!client->closing) {
		if (!t->stale || client->ready == 0) {
			(void)env_cond_wait(client->env, &t->wake, ENV_FOREVER);
			continue;
		}
		t->stale = false;
		for (size_t i = 0; i < CQL_HOSTS_MAX; i++)
			t->places[i].asked = false;
		struct lab_arena *arena = lab_arena_new(client->env->heap, REFRESH_ARENA_BYTES);
		int result = refresh(t, arena);
		lab_arena_free(&arena);
		if (result < 0 && !client->closing) {
			t->stale = true;
			(void)env_cond_wait(client->env, &t->wake, env_now(client->env) + RETRY_NS);
		}
	}
	client->keepers--;
	env_cond_broadcast(client->env, &client->idle);
}

int cql_topology_start(struct cql_client *client, struct lab_error *err)
{
	struct lab_heap *heap = client->env->heap;
	if (!client->settings.discover)
		return 0;
	client->topology = lab_new(heap, struct cql_topology);
	client->topology->client = client;
	client->topology->tokens = lab_new_array(heap, struct ring_token, TOKENS_MAX);
	client->topology->stale = true;
	if (env_spawn(client->env, "cql-topology", topology_fiber, client->topology, err) < 0)
		return -1;
	client->keepers++;
	return 0;
}

void cql_topology_wake(struct cql_client *client)
{
	struct cql_topology *t = client->topology;
	if (t == NULL)
		return;
	t->stale = true;
	env_cond_broadcast(client->env, &t->wake);
}

void cql_topology_free(struct cql_client *client)
{
	if (client->topology != NULL)
		lab_heap_free(client->env->heap, client->topology->tokens);
	lab_heap_free(client->env->heap, client->topology);
}
