/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache.c - what a backend keeps on its disk, and what it does to others' bundles with it:
 * invariants 23 (who does not know a bundle does not delete it: what is stale overrides nothing)
 * and 26 (local indexes stay within their space, fscache comes back to its limit, and a rescan
 * knows what is there). Judged while the run goes on.
 *
 * A bundle is deleted because another one has taken over what it said. So whoever deletes it must
 * have written it, or read it, since it last lost its memory; or have pulled the user's metacache
 * from a host that had. That is known when the pull is over, and what was deleted meanwhile, as it
 * has taken over already, is judged then. What it could not make sense of it has set aside, and
 * leaves alone: another one may know better, and nothing has taken over what it says.
 */
#include "sim/oracle/oracle-private.h"

/* A request may arrive when whoever sent it has crashed already. */
#define LATE (2 * LAB_MINUTE)
#define SOURCES_MAX 16

/* Of a host and a bundle. */
struct known {
	uint64_t crashes; /* of the host, when it learned of it; + 1 */
};

/* Deleted while a pull was under way that may have brought it. */
struct suspect {
	uint64_t time_ns;
	struct lab_view key;
	struct suspect *before;
};

struct pulled {
	const char *sources[SOURCES_MAX];
	size_t count;
	uint64_t crashes;
	unsigned under_way;
	struct suspect *suspects;
};

struct metacache_host {
	uint64_t crashes, crashed_ns;
};

struct oracle_metacache {
	struct lab_map *hosts;   /* name -> struct metacache_host */
	struct lab_map *bundles; /* host, key -> struct known */
	struct lab_map *pulls;   /* host, user -> struct pulled */
};

void oracle_metacache_new(struct oracle *oracle)
{
	struct lab_heap *heap = oracle->settings.heap;
	struct oracle_metacache *m = lab_new(heap, struct oracle_metacache);

	m->hosts = lab_map_new(heap, ORACLE_NAMES_MAX);
	m->bundles = lab_map_new(heap, ORACLE_NAMES_MAX);
	m->pulls = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->metacache = m;
}

void oracle_metacache_free(struct oracle *oracle)
{
	struct oracle_metacache *m = oracle->metacache;

	lab_map_free(&m->hosts);
	lab_map_free(&m->bundles);
	lab_map_free(&m->pulls);
	lab_heap_free(oracle->settings.heap, m);
	oracle->metacache = NULL;
}

/* In the oracle's arena; NULL if there are too many. */
#define SLOT(oracle, map, key, type) ((type *)slot_of((oracle), (map), (key), sizeof(type)))
static void *slot_of(struct oracle *oracle, struct lab_map *map, struct lab_view key, size_t size)
{
	void **slot = lab_map_slot(map, key);

	if (slot != NULL && *slot == NULL)
		*slot = lab_arena_alloc(oracle->texts, size);
	return slot == NULL ? NULL : *slot;
}

/* ---- 23 ---- */

static struct lab_view bundle_key(struct oracle_key *out, struct lab_view host, struct lab_view key)
{
	return oracle_key3(out, host, key, LAB_VIEW(""));
}

static bool is_bundle(struct lab_view key)
{
	return lab_view_find(key, LAB_VIEW("/idx/")) != SIZE_MAX;
}

static struct metacache_host *host_of(struct oracle *oracle, struct lab_view name)
{
	return SLOT(oracle, oracle->metacache->hosts, name, struct metacache_host);
}

static void learn(struct oracle *oracle, struct lab_view name, struct lab_view key)
{
	struct metacache_host *host = host_of(oracle, name);
	struct oracle_key text;
	struct known *known = SLOT(
		oracle, oracle->metacache->bundles, bundle_key(&text, name, key), struct known);

	if (known != NULL && host != NULL)
		known->crashes = host->crashes + 1;
}

static bool has_pulled(struct oracle *oracle, struct lab_view name, struct lab_view user,
	struct lab_view key, uint64_t crashes)
{
	struct oracle_key text;
	const struct pulled *pulled = lab_map_get(
		oracle->metacache->pulls, oracle_key3(&text, name, user, LAB_VIEW("pull")));

	for (size_t i = 0; pulled != NULL && pulled->crashes == crashes && i < pulled->count; i++) {
		if (lab_map_get(oracle->metacache->bundles,
			    bundle_key(&text, lab_view_cstr(pulled->sources[i]), key)) != NULL)
			return true;
	}
	return false;
}

/* Names of bundles are unique. */
static struct lab_view aside_key(
	struct oracle_key *out, struct lab_view host, struct lab_view filename)
{
	return oracle_key3(out, host, filename, LAB_VIEW("aside"));
}

void oracle_bundle_set_aside(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot;
	struct lab_view name = knowledge_host(oracle->knowledge, event->host, &boot);
	const struct metacache_host *host = host_of(oracle, name);
	struct oracle_key text;
	struct known *known = SLOT(oracle, oracle->metacache->bundles,
		aside_key(&text, name, oracle_event_text(event, "filename")), struct known);

	if (known != NULL && host != NULL)
		known->crashes = host->crashes + 1;
}

void oracle_bundle_read(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot;
	struct lab_view name = knowledge_host(oracle->knowledge, event->host, &boot);
	struct oracle_key text;

	if (oracle_event_number(event, "code") == LAB_OK)
		(void)lab_map_remove(oracle->metacache->bundles,
			aside_key(&text, name, oracle_event_text(event, "filename")));
}

/* Whoever deletes the folder deletes all of it. */
static void check_aside(struct oracle *oracle, const struct sim_access *access, struct lab_view key)
{
	const struct metacache_host *host = host_of(oracle, access->peer);
	struct lab_view rest = key, part, filename = key;
	struct oracle_key text;
	const struct known *known;

	while (lab_view_split(&rest, '/', &part))
		filename = part;
	known = lab_map_get(oracle->metacache->bundles, aside_key(&text, access->peer, filename));
	if (host != NULL && known != NULL && known->crashes == host->crashes + 1 &&
		!oracle_is_deleting(oracle, access->user, access->received_ns))
		oracle_found_online(oracle, 23, "I23 bundle set aside was deleted",
			access->received_ns,
			"%.*s: %.*s deleted the bundle %.*s, which it had set aside",
			LAB_VIEW_ARG(access->user), LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(key));
}

static void blame(struct oracle *oracle, struct lab_view user, struct lab_view name,
	struct lab_view key, uint64_t time_ns)
{
	oracle_found_online(oracle, 23, "I23 unknown bundle deleted", time_ns,
		"%.*s: %.*s deleted the bundle %.*s, and has not read what it says",
		LAB_VIEW_ARG(user), LAB_VIEW_ARG(name), LAB_VIEW_ARG(key));
}

/* What a pull has brought is known when it is over. If it never is, nobody knows. */
static bool is_suspected(struct oracle *oracle, const struct sim_access *access,
	struct lab_view key, uint64_t crashes)
{
	struct oracle_key text;
	struct pulled *pulled = lab_map_get(oracle->metacache->pulls,
		oracle_key3(&text, access->peer, access->user, LAB_VIEW("pull")));
	struct suspect *suspect;

	if (pulled == NULL || pulled->crashes != crashes || pulled->under_way == 0)
		return false;
	suspect = lab_arena_new_of(oracle->texts, struct suspect);
	*suspect = (struct suspect){ access->received_ns, lab_arena_copy(oracle->texts, key),
		pulled->suspects };
	pulled->suspects = suspect;
	return true;
}

static void check_delete(
	struct oracle *oracle, const struct sim_access *access, struct lab_view key)
{
	const struct metacache_host *host = host_of(oracle, access->peer);
	struct oracle_key text;
	const struct known *known =
		lab_map_get(oracle->metacache->bundles, bundle_key(&text, access->peer, key));

	if (host == NULL || (known != NULL && known->crashes == host->crashes + 1) ||
		(host->crashes > 0 && access->received_ns < host->crashed_ns + LATE) ||
		has_pulled(oracle, access->peer, access->user, key, host->crashes) ||
		is_suspected(oracle, access, key, host->crashes))
		return;
	blame(oracle, access->user, access->peer, key, access->received_ns);
}

void oracle_bundle_access(
	struct oracle *oracle, const struct sim_access *access, struct lab_view key, unsigned what)
{
	if (!is_bundle(key))
		return;
	/* Garbage collection looks at what it deletes, and at nothing else: it has no row (15). */
	if (what == ORACLE_S3_GET || what == ORACLE_S3_PUT ||
		(what == ORACLE_S3_HEAD && oracle->settings.has_operators))
		learn(oracle, access->peer, key);
	else if (what == ORACLE_S3_DELETE && access->applied) {
		check_delete(oracle, access, key);
		check_aside(oracle, access, key);
	}
}

void oracle_metacache_crashed(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot;
	struct metacache_host *host =
		host_of(oracle, knowledge_host(oracle->knowledge, event->host, &boot));

	if (host == NULL)
		return;
	host->crashes++;
	host->crashed_ns = event->time_ns;
}

static void add_source(struct oracle *oracle, struct pulled *pulled, struct lab_view name)
{
	for (size_t i = 0; i < pulled->count; i++) {
		if (lab_view_eq_cstr(name, pulled->sources[i]))
			return;
	}
	if (pulled->count < SOURCES_MAX)
		pulled->sources[pulled->count++] = lab_arena_cstr(oracle->texts, name);
}

static void take(struct oracle *oracle, struct pulled *pulled, const struct lab_event *event)
{
	struct lab_view source = oracle_event_text(event, "source_host");
	const struct pulled *from;
	struct oracle_key text;

	add_source(oracle, pulled, source);
	/* And what the source had pulled from others. */
	from = lab_map_get(oracle->metacache->pulls,
		oracle_key3(&text, source, oracle_event_text(event, "user"), LAB_VIEW("pull")));
	for (size_t i = 0; from != NULL && i < from->count; i++)
		add_source(oracle, pulled, lab_view_cstr(from->sources[i]));
}

static void judge(
	struct oracle *oracle, struct pulled *pulled, struct lab_view name, struct lab_view user)
{
	const struct suspect *suspect = pulled->suspects;

	pulled->suspects = NULL;
	for (; suspect != NULL; suspect = suspect->before) {
		if (!has_pulled(oracle, name, user, suspect->key, pulled->crashes))
			blame(oracle, user, name, suspect->key, suspect->time_ns);
	}
}

void oracle_metacache_pull(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot;
	struct lab_view name = knowledge_host(oracle->knowledge, event->host, &boot);
	struct lab_view user = oracle_event_text(event, "user");
	struct metacache_host *host = host_of(oracle, name);
	struct oracle_key text;
	struct pulled *pulled = SLOT(oracle, oracle->metacache->pulls,
		oracle_key3(&text, name, user, LAB_VIEW("pull")), struct pulled);

	if (host == NULL || pulled == NULL ||
		!lab_view_eq_cstr(oracle_event_text(event, "type"), "client"))
		return;
	if (pulled->crashes != host->crashes)
		*pulled = (struct pulled){ .crashes = host->crashes };
	if (event->id == LAB_EV_metacache_pull_started) {
		pulled->under_way++;
		return;
	}
	if (oracle_event_number(event, "taken") > 0)
		take(oracle, pulled, event);
	if (pulled->under_way > 0 && --pulled->under_way == 0)
		judge(oracle, pulled, name, user);
}

/* ---- 26 ---- */

void oracle_disk_measured(struct oracle *oracle, const struct lab_event *event)
{
	const struct oracle_settings *s = &oracle->settings;
	struct lab_view host = oracle_event_text(event, "host");
	struct lab_view reason = oracle_event_text(event, "reason");
	uint64_t local = oracle_event_number(event, "metacache_bytes");
	uint64_t counted = oracle_event_number(event, "counted_bytes");
	uint64_t cached = oracle_event_number(event, "fscache_bytes");

	if (s->metacache_max_bytes > 0 && local > s->metacache_max_bytes)
		oracle_found_online(oracle, 26, "I26 metacache beyond its grace", event->time_ns,
			"%.*s: local indexes take %" PRIu64 " bytes, and may take %" PRIu64,
			LAB_VIEW_ARG(host), local, s->metacache_max_bytes);
	/* One object may be larger than the whole cache (obox 1.10). */
	if (s->fscache_max_bytes > 0 && cached > s->fscache_max_bytes &&
		oracle_event_number(event, "fscache_files") > 1 && lab_view_eq_cstr(reason, "end"))
		oracle_found_online(oracle, 26, "I26 fscache stays above its limit", event->time_ns,
			"%.*s: fscache has %" PRIu64 " bytes of %" PRIu64, LAB_VIEW_ARG(host),
			cached, s->fscache_max_bytes);
	if (counted != local && lab_view_eq_cstr(reason, "rescan"))
		oracle_found_online(oracle, 26, "I26 rescan left a drift", event->time_ns,
			"%.*s: after a rescan %" PRIu64 " bytes are counted, and %" PRIu64
			" are there",
			LAB_VIEW_ARG(host), counted, local);
}
