/* SPDX-License-Identifier: Apache-2.0
 *
 * The hop to dict-async (obox 3.8).
 */
#include "core/dict/dict-proxy.h"
#include "core/base/defect.h"
#include "core/base/mark.h"

#include "core/dict/dict-private.h"

#define TIMEOUT_NS (30 * LAB_SEC)

struct proxy {
	struct dict dict;
	struct dict *inner;
	dict_hop_fn fault;
	void *ctx;
};

/* One command: what the dict behind is to do. */
struct command {
	char letter; /* the dict protocol's: L, I, S, U, A */
	struct lab_view key;
	int (*run)(struct command *command, struct dict *inner, struct lab_error *err);
	struct lab_arena *arena;
	const struct dict_iterate_options *iterate;
	struct dict_values *values;
	struct dict_row **rows;
	size_t *row_count;
	const struct dict_change *changes;
	size_t change_count;
	const struct dict_change_options *options;
};

static int run_lookup(struct command *c, struct dict *inner, struct lab_error *err)
{
	return dict_lookup(inner, c->key, c->arena, c->values, err);
}

static int run_iterate(struct command *c, struct dict *inner, struct lab_error *err)
{
	return dict_iterate(inner, c->key, c->iterate, c->arena, c->rows, c->row_count, err);
}

static int run_commit(struct command *c, struct dict *inner, struct lab_error *err)
{
	return dict_commit(inner, c->changes, c->change_count, c->options, err);
}

static bool is_change(const struct command *c)
{
	return c->run == run_commit;
}

/* ---- the hop ---- */

static int fail(struct proxy *p, const struct command *c, enum lab_code code, const char *text,
	struct lab_error *err)
{
	struct lab_error local = { 0 };
	struct lab_error *why = err == NULL ? &local : err;
	LAB_MARK(dict_connection_lost);
	bool is_uncertain = is_change(c) && !lab_defect(DICT_TIMEOUT_IS_CERTAIN);
	(void)lab_fail(why, is_uncertain ? LAB_UNCERTAIN : code, "%s: %c%.*s", text, c->letter,
		LAB_VIEW_ARG(c->key));
	why->retryable = true;
	ENV_EVENT(p->dict.env, LAB_EV_log_message, LAB_F_CSTR("message", why->message));
	return -1;
}

static int time_out(
	struct proxy *p, const struct command *c, uint64_t started_ns, struct lab_error *err)
{
	struct env *env = p->dict.env;
	uint64_t now = env_now(env);
	if (now < started_ns + TIMEOUT_NS)
		env_sleep(env, started_ns + TIMEOUT_NS - now);
	return fail(p, c, LAB_TIMEOUT,
		"Dict server timeout: No input for 30.000 secs (1 commands pending, oldest sent "
		"30.000 secs ago)",
		err);
}

/* 1: the connection is lost. Otherwise *ret_result is the command's. */
static int send_once(struct proxy *p, struct command *c, int *ret_result, struct lab_error *err)
{
	uint64_t started = env_now(p->dict.env);
	switch (p->fault == NULL ? DICT_HOP_OK : p->fault(p->ctx, p->dict.env, c->key)) {
	case DICT_HOP_OK:
		*ret_result = c->run(c, p->inner, err);
		return 0;
	case DICT_HOP_LOSE_REQUEST:
		return 1;
	case DICT_HOP_LOSE_REPLY:
		(void)c->run(c, p->inner, NULL);
		return 1;
	case DICT_HOP_STALL_REPLY:
		(void)c->run(c, p->inner, NULL);
		*ret_result = time_out(p, c, started, err);
		return 0;
	case DICT_HOP_STALL:
		*ret_result = time_out(p, c, started, err);
		return 0;
	}
	lab_bug("no such fault of the hop");
}

static int send_command(struct proxy *p, struct command *c, struct lab_error *err)
{
	int result = 0;
	if (send_once(p, c, &result, err) == 0)
		return result;
	if (!is_change(c) && send_once(p, c, &result, err) == 0)
		return result;
	return fail(p, c, LAB_RESET, "Connection lost to dict server", err);
}

/* ---- the dict ---- */

static struct proxy *proxy_of(struct dict *dict)
{
	return (struct proxy *)dict;
}

static int proxy_lookup(struct dict *dict, struct lab_view key, struct lab_arena *arena,
	struct dict_values *ret, struct lab_error *err)
{
	struct command command = {
		.letter = 'L', .key = key, .run = run_lookup, .arena = arena, .values = ret
	};
	return send_command(proxy_of(dict), &command, err);
}

static int proxy_iterate(struct dict *dict, struct lab_view path,
	const struct dict_iterate_options *options, struct lab_arena *arena,
	struct dict_row **ret_rows, size_t *ret_count, struct lab_error *err)
{
	struct command command = { .letter = 'I',
		.key = path,
		.run = run_iterate,
		.arena = arena,
		.iterate = options,
		.rows = ret_rows,
		.row_count = ret_count };
	return send_command(proxy_of(dict), &command, err);
}

static int proxy_commit(struct dict *dict, const struct dict_change *changes, size_t count,
	const struct dict_change_options *options, struct lab_error *err)
{
	static const char letters[] = {
		[DICT_CHANGE_SET] = 'S', [DICT_CHANGE_UNSET] = 'U', [DICT_CHANGE_INC] = 'A'
	};
	struct command command = { .letter = letters[changes[0].kind],
		.key = changes[0].key,
		.run = run_commit,
		.changes = changes,
		.change_count = count,
		.options = options };
	return send_command(proxy_of(dict), &command, err);
}

static void proxy_close(struct dict *dict)
{
	struct proxy *p = proxy_of(dict);
	dict_close(&p->inner);
	lab_heap_free(dict->env->heap, p);
}

static const struct dict_ops proxy_ops = { .lookup = proxy_lookup,
	.iterate = proxy_iterate,
	.commit = proxy_commit,
	.close = proxy_close };

void dict_proxy_open(
	struct env *env, struct dict *inner, dict_hop_fn fault, void *ctx, struct dict **ret)
{
	struct proxy *p = lab_new(env->heap, struct proxy);
	p->dict.ops = &proxy_ops;
	p->dict.env = env;
	p->inner = inner;
	p->fault = fault;
	p->ctx = ctx;
	*ret = &p->dict;
}
