/* SPDX-License-Identifier: Apache-2.0
 *
 * reconcile.c - invariant 34: what backends tell of their requests (events) and what the services
 * tell of them (access logs) are the same requests.
 *
 * HTTP requests are known by backend, method and target, statements by backend and text, where
 * literals are as markers: below CQL protocol 4 backends do not prepare what they tell of. Of each
 * such thing four counts are kept: requests that a service logged, those of them that it answered;
 * attempts that a backend told of, those of them that it says were answered. Two things must hold:
 *
 *   told as answered <= answered by the service     at any time: the log is written first
 *   logged           <= told of                     when nothing is under way any more
 *
 * The second is open while an answer is on its way, after a crash, and at the end of a run. Then it
 * must hold without what came just before: ANSWER_LATE for what was answered, SILENCE for what was
 * not; the time of a host that stands still does so, too. Of IMDS a backend tells once for each
 * lookup of credentials, with the sum of its requests: so they are one thing for each backend, and
 * may be told of as late as what got no answer. What a lost request leaves (told of, and never
 * logged) stays a difference of its own target or statement, and hides nothing of another. An HTTP
 * target whose counts are equal is forgotten.
 */
#include "sim/oracle/oracle-private.h"

#include <stdio.h>

#define TALLIES_MAX 1000000u
#define ANSWER_LATE (10 * LAB_SEC) /* from an answer to the event of it */
#define SILENCE (2 * LAB_MINUTE)   /* the longest that anybody waits for one */
#define SHOWN 72                   /* bytes of a target or statement, its end */
#define HOSTS_KNOWN 1024u
#define IMDS LAB_VIEW("IMDS")
#define SHAPE_MAX 4096u /* bytes of a statement that tell it from others */
#define UUID_TEXT 36u
#define SHAPES_KEPT 1000u
#define SHAPED_MAX 1024u /* bytes of a statement whose shape is kept */

/* How many there were of late: those of this span and of the one before. */
struct lately {
	uint64_t span;
	uint32_t now, before;
};

struct tally {
	struct tally *next_free;
	uint32_t logged, answered; /* by the services */
	uint32_t told, told_answered;
	struct lately answers, silences;
	uint64_t last_ns, last_event; /* of the last that was logged */
	uint32_t peer;
	uint32_t after_crash; /* logged so soon after one that it may be of before */
	uint32_t under_hang;  /* open when its host stood still last, or logged meanwhile */
	bool is_statement;
	char what[8], shown[SHOWN];
};

struct reconcile {
	struct lab_heap *heap;
	struct lab_map *tallies; /* peer, method, target or statement -> struct tally */
	struct lab_map *fibers;  /* host, fiber -> attempts told of, of the request under way */
	struct tally *free;
	struct {
		uint32_t host;
		uint64_t key;
	} hosts[HOSTS_KNOWN];                /* hashes of their names */
	uint64_t crashed_ns[HOSTS_KNOWN];    /* of peers; 0: never */
	uint64_t hung_until_ns[HOSTS_KNOWN]; /* 0: never stood still; UINT64_MAX: it does */
	bool is_full;
	char shape[SHAPE_MAX];
	struct lab_map *shapes; /* statement -> struct lab_view */
	struct lab_arena *texts;
};

struct reconcile *reconcile_new(struct lab_heap *heap)
{
	struct reconcile *r = lab_new(heap, struct reconcile);

	r->heap = heap;
	r->tallies = lab_map_new(heap, TALLIES_MAX);
	r->fibers = lab_map_new(heap, TALLIES_MAX);
	r->shapes = lab_map_new(heap, SHAPES_KEPT);
	r->texts = lab_arena_new(heap, SHAPES_KEPT * 2 * SHAPED_MAX);
	return r;
}

static void free_tallies(struct reconcile *r)
{
	struct lab_map_iter iter = lab_map_iterate(r->tallies);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		lab_heap_free(r->heap, value);
	while (r->free != NULL) {
		struct tally *next = r->free->next_free;

		lab_heap_free(r->heap, r->free);
		r->free = next;
	}
}

void reconcile_free(struct reconcile **r)
{
	if (*r == NULL)
		return;
	free_tallies(*r);
	lab_map_free(&(*r)->tallies);
	lab_map_free(&(*r)->fibers);
	lab_map_free(&(*r)->shapes);
	lab_arena_free(&(*r)->texts);
	lab_heap_free((*r)->heap, *r);
	*r = NULL;
}

/* ---- tallies ---- */

static struct tally *take(struct reconcile *r)
{
	struct tally *tally = r->free;

	if (tally == NULL)
		return lab_new(r->heap, struct tally);
	r->free = tally->next_free;
	*tally = (struct tally){ 0 };
	return tally;
}

static struct tally *tally_of(
	struct oracle *oracle, uint64_t key, struct lab_view what, struct lab_view text)
{
	struct reconcile *r = oracle->reconcile;
	void **slot = lab_map_slot(r->tallies, lab_view_of(&key, sizeof(key)));
	struct tally *tally;

	if (slot == NULL) {
		r->is_full = true;
		return NULL;
	}
	if (*slot != NULL)
		return *slot;
	*slot = tally = take(r);
	if (text.len >= SHOWN)
		text = lab_view_skip(text, text.len - SHOWN + 1);
	memcpy(tally->shown, text.ptr, text.len);
	memcpy(tally->what, what.ptr, LAB_MIN(what.len, sizeof(tally->what) - 1));
	return tally;
}

static void note_lately(struct lately *lately, uint64_t now_ns, uint64_t span_ns)
{
	uint64_t span = now_ns / span_ns;

	/* Answers come in another order than requests. */
	if (span < lately->span) {
		lately->before++;
		return;
	}
	if (span != lately->span) {
		lately->before = span == lately->span + 1 ? lately->now : 0;
		lately->now = 0;
		lately->span = span;
	}
	lately->now++;
}

/* Of the last span_ns or a little more, and of what is yet to come. */
static uint32_t lately(const struct lately *l, uint64_t now_ns, uint64_t span_ns)
{
	uint64_t span = now_ns / span_ns;

	return span <= l->span ? l->now + l->before : span == l->span + 1 ? l->now : 0;
}

static uint64_t key_of(uint64_t peer, struct lab_view what, struct lab_view text)
{
	return lab_hash_view(peer ^ lab_hash_view(0, what), text);
}

/* ---- statements without their literals ---- */

static bool is_word_byte(uint8_t c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* From one quote to the other; a doubled one does not end it, as the next begins there. */
static size_t quoted_len(struct lab_view text)
{
	size_t end = lab_view_find_byte(lab_view_skip(text, 1), text.ptr[0]);

	return end == SIZE_MAX ? text.len : end + 2;
}

static size_t word_len(struct lab_view text, bool with_dashes)
{
	size_t n = 0;

	while (n < text.len && (is_word_byte(text.ptr[n]) ||
				       (with_dashes && (text.ptr[n] == '-' || text.ptr[n] == '.'))))
		n++;
	return n;
}

/* Of a number, a blob, a UUID, or null; 0: it is none. */
static size_t literal_len(struct lab_view text)
{
	size_t dashed = word_len(text, true);

	if (dashed == 0)
		return 0;
	if (is_digit(text.ptr[0]) || dashed == UUID_TEXT ||
		(text.ptr[0] == '-' && dashed > 1 && is_digit(text.ptr[1])))
		return dashed;
	return dashed == 4 && lab_view_starts_with(text, LAB_VIEW("null")) ? dashed : 0;
}

/* Backends tell of the statement with its markers, and a service logs what was
 * sent. Constants of the maps are taken for literals too, on both sides. */
static struct lab_view make_shape(struct reconcile *r, struct lab_view text)
{
	size_t n = 0, len;

	while (text.len > 0 && n < SHAPE_MAX) {
		bool is_string = text.ptr[0] == '\'', is_literal;

		len = is_string ? quoted_len(text) : literal_len(text);
		is_literal = len > 0;
		if (!is_literal)
			len = text.ptr[0] == '"' ? quoted_len(text)
						 : LAB_MAX(word_len(text, false), (size_t)1);
		if (!is_literal) {
			memcpy(r->shape + n, text.ptr, LAB_MIN(len, SHAPE_MAX - n));
			n += LAB_MIN(len, SHAPE_MAX - n);
		} else if (n == 0 || !is_string || r->shape[n - 1] != '?') {
			/* 'it''s' is one. */
			r->shape[n++] = '?';
		}
		text = lab_view_skip(text, len);
	}
	return lab_view_of(r->shape, n);
}

/* Until the next call. Prepared statements come again and again. */
static struct lab_view shape_of(struct reconcile *r, struct lab_view text)
{
	void **slot = text.len > SHAPED_MAX ? NULL : lab_map_slot(r->shapes, text);
	struct lab_view *kept;

	if (slot == NULL)
		return make_shape(r, text);
	if (*slot == NULL) {
		kept = lab_arena_new_of(r->texts, struct lab_view);
		*kept = lab_arena_copy(r->texts, make_shape(r, text));
		*slot = kept;
	}
	return *(const struct lab_view *)*slot;
}

/* ---- what the services log ---- */

static void logged(struct oracle *oracle, const struct sim_access *access, uint32_t peer,
	struct lab_view what, bool is_statement)
{
	uint64_t now_ns = access->received_ns, crashed_ns;
	struct tally *tally =
		tally_of(oracle, key_of(lab_hash_view(0, access->peer), what, access->request),
			what, access->request);

	if (tally == NULL)
		return;
	tally->is_statement = is_statement;
	tally->logged++;
	tally->answered += access->answered;
	tally->peer = peer;
	tally->last_ns = now_ns;
	tally->last_event = oracle->last_event;
	if (access->answered && !lab_view_eq(what, IMDS))
		note_lately(&tally->answers, LAB_MAX(access->answered_ns, now_ns), ANSWER_LATE);
	else
		note_lately(&tally->silences, now_ns, SILENCE);
	crashed_ns = oracle->reconcile->crashed_ns[peer % HOSTS_KNOWN];
	tally->after_crash += crashed_ns != 0 && now_ns <= crashed_ns + ANSWER_LATE;
	tally->under_hang += oracle->reconcile->hung_until_ns[peer % HOSTS_KNOWN] == UINT64_MAX;
}

void reconcile_http_access(struct oracle *oracle, const struct sim_access *access, uint32_t peer)
{
	if (oracle->settings.has_access_log && !access->is_repeat && access->method.len > 0)
		logged(oracle, access, peer, access->method, false);
}

void reconcile_imds_access(struct oracle *oracle, const struct sim_access *access, uint32_t peer)
{
	struct sim_access any = *access;

	any.request = LAB_VIEW("");
	if (oracle->settings.has_access_log)
		logged(oracle, &any, peer, IMDS, true);
}

static bool is_counted(struct lab_view word)
{
	return lab_view_eq(word, LAB_VIEW("SELECT")) || lab_view_eq(word, LAB_VIEW("INSERT")) ||
	       lab_view_eq(word, LAB_VIEW("DELETE")) || lab_view_eq(word, LAB_VIEW("UPDATE"));
}

void reconcile_cql_access(struct oracle *oracle, const struct sim_access *access, uint32_t peer)
{
	struct sim_access shaped = *access;

	/* Without a connection nobody can say whose it was: it was not answered. */
	if (!oracle->settings.has_statement_log || access->peer.len == 0 ||
		!is_counted(access->operation))
		return;
	shaped.request = shape_of(oracle->reconcile, access->request);
	logged(oracle, &shaped, peer, access->operation, true);
}

/* ---- what the backends tell ---- */

static uint64_t host_key(struct oracle *oracle, uint32_t host)
{
	struct reconcile *r = oracle->reconcile;
	size_t at = host % HOSTS_KNOWN;
	uint32_t boot;

	if (r->hosts[at].host != host) {
		r->hosts[at].key = lab_hash_view(0, knowledge_host(oracle->knowledge, host, &boot));
		r->hosts[at].host = host;
	}
	return r->hosts[at].key;
}

static void forget(struct reconcile *r, uint64_t key, struct tally *tally)
{
	(void)lab_map_remove(r->tallies, lab_view_of(&key, sizeof(key)));
	tally->next_free = r->free;
	r->free = tally;
}

static void told(struct oracle *oracle, const struct lab_event *event, struct lab_view what,
	struct lab_view text, uint64_t attempts, uint64_t answered)
{
	uint64_t key = key_of(host_key(oracle, event->host), what, text);
	struct tally *tally;

	if (attempts == 0)
		return;
	tally = tally_of(oracle, key, what, text);
	if (tally == NULL)
		return;
	tally->told += (uint32_t)attempts;
	tally->told_answered += (uint32_t)answered;
	if (tally->told_answered > tally->answered) {
		(void)oracle_found_online(oracle, 34, "I34 answer that nobody gave", event->time_ns,
			"%.*s %.*s: event #%" PRIu64
			" tells of an answer, and the service's log has none",
			LAB_VIEW_ARG(what), LAB_VIEW_ARG(text), event->sequence);
		tally->answered = tally->told_answered;
		tally->logged = LAB_MAX(tally->logged, tally->answered);
	}
	if (!tally->is_statement && tally->logged == tally->told &&
		tally->answered == tally->told_answered)
		forget(oracle->reconcile, key, tally);
}

/* Attempts of this fiber's request that no event before has told of. */
static uint64_t new_attempts(
	struct reconcile *r, const struct lab_event *event, uint64_t attempts, bool is_over)
{
	uint64_t id[] = { event->host, event->fiber }, before = 0;
	struct lab_view key = lab_view_of(id, sizeof(id));
	void **slot;

	if (lab_map_count(r->fibers) > 0)
		before = (uint64_t)(uintptr_t)lab_map_get(r->fibers, key);
	if (is_over) {
		if (before > 0)
			(void)lab_map_remove(r->fibers, key);
	} else {
		slot = lab_map_slot(r->fibers, key);
		if (slot == NULL)
			r->is_full = true;
		else
			*slot = (void *)(uintptr_t)attempts;
	}
	return attempts - LAB_MIN(before, attempts);
}

void reconcile_http_event(struct oracle *oracle, const struct lab_event *event,
	struct lab_view method, struct lab_view target, uint64_t attempts, uint64_t status)
{
	bool is_imds = lab_view_starts_with(target, LAB_VIEW("/latest/"));
	uint64_t n = new_attempts(
		oracle->reconcile, event, attempts, event->id == LAB_EV_http_request_finished);

	/* Lookups of credentials are told of as such, not request by request: below. */
	if (oracle->settings.has_access_log && !is_imds)
		told(oracle, event, method, target, n, n > 0 && status != 0);
}

/* Which of them were answered it does not say. */
void reconcile_imds_event(struct oracle *oracle, const struct lab_event *event)
{
	uint64_t attempts = 0;

	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, "attempts") == 0)
			attempts = event->fields[i].number;
	}
	if (oracle->settings.has_access_log)
		told(oracle, event, IMDS, LAB_VIEW(""), attempts, 0);
}

void reconcile_cql_event(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view word = LAB_VIEW(""), query = LAB_VIEW("");
	uint64_t attempts = 0, answers = 0;

	for (size_t i = 0; i < event->field_count; i++) {
		const struct lab_field *f = &event->fields[i];

		if (strcmp(f->name, "query_first_word") == 0)
			word = f->text;
		else if (strcmp(f->name, "query") == 0)
			query = f->text;
		else if (strcmp(f->name, "attempts") == 0)
			attempts = f->number;
		else if (strcmp(f->name, "answers") == 0)
			answers = f->number;
	}
	/* The log that is reconciled is of the keyspace. */
	if (lab_view_find(query, LAB_VIEW(" FROM system")) != SIZE_MAX)
		return;
	if (oracle->settings.has_statement_log && is_counted(word))
		told(oracle, event, word, shape_of(oracle->reconcile, query), attempts, answers);
}

/* ---- when the second must hold ---- */

static uint32_t under_way(const struct tally *t, uint64_t now_ns)
{
	return lately(&t->answers, now_ns, ANSWER_LATE) + lately(&t->silences, now_ns, SILENCE);
}

/* What is logged and not told of, beyond what may still be on its way. */
static uint32_t unexplained(const struct oracle *oracle, const struct tally *t, uint64_t now_ns)
{
	uint64_t hung_until_ns = oracle->reconcile->hung_until_ns[t->peer % HOSTS_KNOWN];
	uint32_t most = t->told + t->after_crash;
	/* A library may have asked again for what it got no answer to. */
	uint32_t least = oracle->settings.has_library_retries ? t->answered : t->logged;

	most += under_way(t, now_ns);
	if (hung_until_ns != 0 &&
		(hung_until_ns == UINT64_MAX || now_ns <= hung_until_ns + SILENCE))
		most += t->under_hang;
	return least > most ? least - most : 0;
}

static void silent_request(
	struct oracle *oracle, const struct tally *t, uint64_t now_ns, uint32_t count)
{
	const struct lab_view *peer = oracle->peer_names[t->peer];
	struct oracle_online *found = oracle_found_online(oracle, 34,
		"I34 request that no event tells of", now_ns,
		"%.*s: %s ...%s is in a service's log, and in no event (%" PRIu32
		" such; the last at %" PRIu64 ".%03u s, after event #%" PRIu64 ")",
		LAB_VIEW_ARG(peer == NULL ? LAB_VIEW("?") : *peer), t->what, t->shown, count,
		t->last_ns / LAB_SEC, (unsigned)(t->last_ns / LAB_MSEC % 1000), t->last_event);

	if (found != NULL)
		found->time_ns = t->last_ns;
}

/* The peer, or all if 0. What was under way at a crash is told of by nobody. */
static void check_all(struct oracle *oracle, uint32_t peer, uint64_t now_ns)
{
	struct reconcile *r = oracle->reconcile;
	struct lab_map_iter iter = lab_map_iterate(r->tallies);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct tally *t = value;
		uint32_t count;

		if (t->logged <= t->told || (peer != 0 && t->peer != peer))
			continue;
		count = unexplained(oracle, t, now_ns);
		if (count > 0)
			silent_request(oracle, t, now_ns, count);
		t->told = t->logged;
		if (!t->is_statement) {
			uint64_t id;

			memcpy(&id, key.ptr, sizeof(id));
			forget(r, id, t);
		}
	}
}

static void forget_fibers(struct reconcile *r, uint32_t host)
{
	struct lab_map_iter iter = lab_map_iterate(r->fibers);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		uint64_t of;

		memcpy(&of, key.ptr, sizeof(of));
		if (of == host)
			(void)lab_map_remove(r->fibers, key);
	}
}

void reconcile_crashed(struct oracle *oracle, const struct lab_event *event, uint32_t peer)
{
	struct reconcile *r = oracle->reconcile;

	check_all(oracle, peer, event->time_ns);
	forget_fibers(r, event->host);
	r->crashed_ns[peer % HOSTS_KNOWN] = event->time_ns;
	r->hung_until_ns[peer % HOSTS_KNOWN] = 0;
}

/* From now on time goes by for the services, and not for the host: what is under way stays so. */
void reconcile_hung(struct oracle *oracle, const struct lab_event *event, uint32_t peer)
{
	struct reconcile *r = oracle->reconcile;
	struct lab_map_iter iter = lab_map_iterate(r->tallies);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct tally *t = value;
		uint32_t open = t->logged - LAB_MIN(t->told, t->logged);

		if (t->peer == peer)
			t->under_hang = LAB_MIN(open, under_way(t, event->time_ns));
	}
	r->hung_until_ns[peer % HOSTS_KNOWN] = UINT64_MAX;
}

void reconcile_went_on(struct oracle *oracle, const struct lab_event *event, uint32_t peer)
{
	oracle->reconcile->hung_until_ns[peer % HOSTS_KNOWN] = event->time_ns;
}

void reconcile_finish(struct oracle *oracle, uint64_t now_ns)
{
	check_all(oracle, 0, now_ns);
	if (oracle->reconcile->is_full)
		oracle_unknown(
			oracle, "more than %u requests of which only one side tells", TALLIES_MAX);
}
