/* SPDX-License-Identifier: Apache-2.0
 *
 * emulator.c - the emulator as a whole: options, life, set-up.
 */
#include "sim/cql-emulator/roles.h"
#include "sim/cql-emulator/tracing.h"

#define PERMANENT_BYTES ((size_t)256 << 20)
#define SCRATCH_BYTES ((size_t)256 << 20)

void cqlemu_options_init(struct cqlemu_options *o)
{
	*o = (struct cqlemu_options){ .profile =
					      cqlemu_profile_find(LAB_VIEW(CQLEMU_PROFILE_DEFAULT)),
		.tokens_per_node = 4,
		.native_port = 9042,
		.storage_port = 7000,
		.cluster_name = LAB_VIEW("Test Cluster"),
		.read_timeout_ns = 5 * LAB_SEC,
		.range_timeout_ns = 10 * LAB_SEC,
		.write_timeout_ns = 2 * LAB_SEC,
		.counter_timeout_ns = 5 * LAB_SEC,
		.cas_contention_ns = LAB_SEC,
		.truncate_timeout_ns = 60 * LAB_SEC,
		.conviction_ns = 18 * LAB_SEC,
		.conviction_jitter_ns = 1500 * LAB_MSEC,
		.recognition_ns = 200 * LAB_MSEC,
		.gossip_ns = LAB_SEC,
		.hinted_handoff = true,
		.hint_window_ns = 3 * 60 * LAB_MINUTE,
		.hint_replay_ns = 300 * LAB_MSEC,
		.hint_retry_ns = 10 * LAB_SEC,
		.hints_max = 1000000,
		.speculation = CQLEMU_SPECULATE_TABLE,
		.speculation_ns = 50 * LAB_MSEC,
		.frame_bytes_max = (size_t)16 << 20,
		.connections_max = 4096,
		.inflight_max = 32768,
		.prepared_max = 1024,
		.deferred_max = 65536,
		.rows_per_read_max = 1000000,
		.tombstone_warn = 1000,
		.tombstone_fail = 100000,
		.batch_warn_bytes = 5 * 1024,
		.batch_fail_bytes = 50 * 1024 };
}

static int check_options(const struct cqlemu_options *o, struct lab_error *err)
{
	if (o->heap == NULL || o->nodes == NULL || o->profile == NULL)
		return lab_fail(err, LAB_INVALID, "a cluster needs a heap, nodes and a profile");
	if (o->frame_bytes_max < 1024 || o->frame_bytes_max > CQL_FRAME_MAX_BYTES ||
		o->prepared_max == 0 || o->gossip_ns == 0 || o->rows_per_read_max == 0)
		return lab_fail(err, LAB_INVALID,
			"frame_bytes_max is 1 KiB to 256 MiB; prepared_max, gossip_ns and "
			"rows_per_read_max are not 0");
	return 0;
}

static void copy_texts(struct cqlemu *emu)
{
	struct lab_view *texts[] = { &emu->options.cluster_name, &emu->options.release_version,
		&emu->options.user, &emu->options.password };
	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++)
		*texts[i] = lab_arena_copy(emu->permanent, *texts[i]);
}

int cqlemu_new(const struct cqlemu_options *options, struct cqlemu **ret, struct lab_error *err)
{
	if (check_options(options, err) < 0)
		return -1;
	struct cqlemu *emu = lab_new(options->heap, struct cqlemu);
	emu->magic = CQLE_MAGIC;
	emu->heap = options->heap;
	emu->options = *options;
	emu->profile = options->profile;
	if (emu->options.release_version.len == 0)
		emu->options.release_version = lab_view_cstr(emu->profile->release_version);
	if (options->hooks != NULL)
		emu->hooks = *options->hooks;
	emu->gossip_idle = true;
	emu->viewer = SIZE_MAX;
	emu->permanent = lab_arena_new(emu->heap, PERMANENT_BYTES);
	emu->scratch = lab_arena_new(emu->heap, SCRATCH_BYTES);
	lab_buf_init(&emu->out, emu->heap, options->frame_bytes_max + CQL_HEADER_BYTES);
	lab_buf_init(&emu->long_error, emu->heap, CQLE_MESSAGE_MAX);
	/* Neither what cannot be compressed nor segments grow by more than this. */
	lab_buf_init(&emu->packed, emu->heap,
		options->frame_bytes_max + options->frame_bytes_max / 4 + 1024);
	copy_texts(emu);
	if (cqle_cluster_init(emu, options, err) < 0) {
		cqlemu_free(&emu);
		return -1;
	}
	emu->options.nodes = NULL;
	cqle_system_tables_create(emu);
	cqle_auth_new(emu);
	if (cqle_keep_restore(emu, err) < 0) {
		cqlemu_free(&emu);
		return -1;
	}
	emu->op_serial = 0; /* draws do not depend on how many tables there are */
	*ret = emu;
	return 0;
}

static void free_pools(struct cqlemu *emu)
{
	while (emu->free_ops != NULL) {
		struct cqle_op *op = emu->free_ops;
		emu->free_ops = op->next_free;
		lab_arena_free(&op->arena);
		lab_heap_free(emu->heap, op);
	}
	while (emu->free_events != NULL) {
		struct cqle_event *event = emu->free_events;
		emu->free_events = event->next;
		lab_heap_free(emu->heap, event);
	}
	lab_heap_free(emu->heap, emu->heap_events);
}

static void free_sessions(struct cqlemu *emu)
{
	while (emu->sessions != NULL) {
		struct cqle_session *s = emu->sessions;
		emu->sessions = s->next;
		s->next_dead = emu->dead_sessions;
		emu->dead_sessions = s;
	}
	for (struct cqle_op *op = emu->active_ops; op != NULL; op = op->next)
		op->session = NULL;
	cqle_session_bury(emu);
}

void cqlemu_free(struct cqlemu **_emu)
{
	struct cqlemu *emu = *_emu;
	if (emu == NULL)
		return;
	lab_check(emu, CQLE_MAGIC);
	lab_assert(!emu->busy);
	*_emu = NULL;
	free_sessions(emu);
	cqle_cluster_done(emu);
	for (size_t i = 0; i < emu->table_count; i++)
		cqle_table_free(emu, emu->tables[i]);
	cqle_auth_free(emu);
	cqle_traces_free(emu);
	free_pools(emu);
	lab_buf_done(&emu->out);
	lab_buf_done(&emu->long_error);
	lab_buf_done(&emu->packed);
	lab_arena_free(&emu->permanent);
	lab_arena_free(&emu->scratch);
	emu->magic = 0;
	lab_heap_free(emu->heap, emu);
}

void cqlemu_native_port_set(struct cqlemu *emu, uint16_t port)
{
	lab_check(emu, CQLE_MAGIC);
	emu->options.native_port = port;
	emu->metadata_version++;
}

/* ---- set-up ---- */

static bool is_word(const struct token *token, const char *word)
{
	return token->kind == TOKEN_WORD && lab_view_eq_nocase(token->text, lab_view_cstr(word));
}

/* Length of the first statement of a script, with its ';'. A batch has its own inside. */
static size_t statement_length(struct lab_view script)
{
	struct lexer lexer;
	struct token token;
	bool in_batch = false;
	lexer_init(&lexer, script);
	for (lexer_next(&lexer, &token); token.kind != TOKEN_END; lexer_next(&lexer, &token)) {
		if (is_word(&token, "begin"))
			in_batch = true;
		else if (is_word(&token, "apply"))
			in_batch = false;
		else if (!in_batch && token.kind == TOKEN_SYMBOL &&
			 lab_view_eq_cstr(token.text, ";"))
			return token.end;
	}
	return script.len;
}

static bool is_blank(struct lab_view text)
{
	struct lexer lexer;
	struct token token;
	lexer_init(&lexer, text);
	do {
		lexer_next(&lexer, &token);
	} while (token.kind == TOKEN_SYMBOL && lab_view_eq_cstr(token.text, ";"));
	return token.kind == TOKEN_END;
}

int cqlemu_execute(struct cqlemu *emu, struct lab_view cql, struct lab_error *err)
{
	lab_check(emu, CQLE_MAGIC);
	int result = 0;
	cqle_enter(emu, emu->now_ns);
	while (result == 0 && !is_blank(cql)) {
		size_t length = statement_length(cql);
		struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
		result = cqle_setup(emu, lab_view_sub(cql, 0, length), err);
		lab_arena_rewind(emu->scratch, mark);
		cql = lab_view_skip(cql, length);
	}
	cqle_leave(emu);
	return result;
}

static void empty_node(struct cqlemu *emu, size_t node)
{
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *table = emu->tables[i];

		if (table->keyspace->local)
			continue;
		cqle_store_clear(table->stores[node]);
		if (table->durable != NULL)
			cqle_store_clear(table->durable[node]);
	}
	cqle_journal_drop(emu, &emu->nodes[node]);
	cqle_paxos_clear(emu, &emu->nodes[node]);
	cqle_hints_drop_of(emu, node);
}

void cqlemu_empty(struct cqlemu *emu)
{
	lab_check(emu, CQLE_MAGIC);
	for (size_t n = 0; n < emu->node_count; n++)
		empty_node(emu, n);
	cqle_keep(emu, true);
}

void cqlemu_node_lose_data(struct cqlemu *emu, size_t node)
{
	lab_check(emu, CQLE_MAGIC);
	lab_assert(node < emu->node_count && emu->nodes[node].state == CQLEMU_NODE_DOWN);
	empty_node(emu, node);
	cqle_keep(emu, true);
}

static size_t node_rows(const struct cqlemu *emu, size_t node)
{
	size_t rows = 0;

	for (size_t i = 0; i < emu->table_count; i++) {
		if (!emu->tables[i]->keyspace->local)
			rows += emu->tables[i]->stores[node]->row_count;
	}
	return rows;
}

void cqlemu_node_info(const struct cqlemu *emu, size_t index, struct cqlemu_node_info *ret)
{
	const struct cqle_node *node = &emu->nodes[index];

	lab_check(emu, CQLE_MAGIC);
	lab_assert(index < emu->node_count);
	*ret = (struct cqlemu_node_info){ .name = node->name,
		.address = lab_view_cstr(node->address_text),
		.dc = node->dc_name,
		.rack = node->rack_name,
		.state = node->state,
		.connections = node->connections,
		.requests = node->requests,
		.statements = node->statements,
		.prepared = lab_map_count(node->prepared),
		.rows = node_rows(emu, index) };
	for (const struct cqle_session *s = emu->sessions; s != NULL; s = s->next)
		ret->connections_open += s->node == index;
}

void cqlemu_counters(const struct cqlemu *emu, struct cqlemu_counters *ret)
{
	lab_check(emu, CQLE_MAGIC);
	*ret = emu->counters;
	ret->hints_waiting = emu->hint_count;
	ret->connections_open = emu->session_count;
	ret->rows = ret->partitions = 0;
	for (size_t i = 0; i < emu->table_count; i++) {
		for (size_t n = 0; n < emu->node_count && !emu->tables[i]->keyspace->local; n++) {
			ret->rows += emu->tables[i]->stores[n]->row_count;
			ret->partitions += emu->tables[i]->stores[n]->count;
		}
	}
}
