/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/operators.h"

#include "core/cluster/cluster-command.h"
#include "scenarios/runner/disk-watch.h"
#include "scenarios/runner/palomar.h"

#include <stdio.h>

#define OUTPUT_MAX (64u << 20)
#define WORDS_MAX 1024

struct operators_fiber {
	struct operators_settings settings;
	const struct scenario_operator *what;
	uint64_t number, ordinal;
	struct lab_buf output; /* of the last command */
};

static uint64_t pick(
	struct operators_fiber *fiber, const struct conf_range *range, const char *what)
{
	return conf_range_pick(
		range, lab_draw(fiber->settings.seed, what, fiber->number, fiber->ordinal++));
}

/* ---- one command on one backend ---- */

struct step {
	const struct operator_command *command;
	const struct conf_settings *conf;
	struct lab_buf *output;
	struct lab_error err;
	struct disk_usage usage; /* after a rescan, before anything else happens there */
	bool has_usage;
};

static void step_in_backend(struct backend *backend, void *arg)
{
	struct step *step = arg;

	step->err.code = LAB_OK;
	if (operator_run(backend, step->command, step->output, &step->err) < 0)
		return;
	step->err.code = LAB_OK;
	step->has_usage = step->command->verb == OPERATOR_RESCAN;
	if (step->has_usage)
		disk_measure(backend, step->conf, &step->usage);
}

static uint32_t begin(
	struct operators_fiber *fiber, struct node *node, const char *user, struct history_op *op)
{
	const struct operators_settings *s = &fiber->settings;

	op->user = lab_view_cstr(user);
	op->backend = lab_view_cstr(node->name);
	op->boot = node->is_up ? node->boots : 0;
	op->invoked_ns = env_now(s->lab);
	op->invoked_event = s->event_sequence(s->event_ctx);
	ENV_EVENT(s->lab, LAB_EV_operation_invoked, LAB_F_CSTR("kind", history_kind_name(op->kind)),
		LAB_F_TEXT("user", op->user), LAB_F_TEXT("mailbox", op->target),
		LAB_F_U64("token", 0));
	return history_invoke(s->history, op);
}

static void end(struct operators_fiber *fiber, uint32_t id, struct history_op *op,
	enum node_answer answer, const struct lab_error *err)
{
	const struct operators_settings *s = &fiber->settings;

	op->outcome = answer == NODE_REFUSED ? HISTORY_FAIL
		      : answer == NODE_LOST  ? HISTORY_UNCERTAIN
		      : err->code == LAB_OK  ? HISTORY_OK
					     : HISTORY_FAIL;
	op->code = answer == NODE_REFUSED ? LAB_REFUSED
		   : answer == NODE_LOST  ? LAB_RESET
					  : err->code;
	if (op->outcome != HISTORY_OK)
		(void)snprintf(op->message, sizeof(op->message), "%.*s",
			(int)sizeof(op->message) - 1,
			answer == NODE_ANSWERED ? err->message : "no answer");
	op->ended_ns = env_now(s->lab);
	op->ended_event = s->event_sequence(s->event_ctx);
	ENV_EVENT(s->lab, LAB_EV_operation_finished,
		LAB_F_CSTR("kind", history_kind_name(op->kind)), LAB_F_TEXT("user", op->user),
		LAB_F_U64("token", 0), LAB_F_CSTR("outcome", history_outcome_name(op->outcome)),
		LAB_F_CODE("code", op->code));
	history_end(s->history, id, op);
}

/* ---- doveadm cluster ---- */

struct cluster_step {
	struct palomar_host *host;
	struct cluster_policy policy;
	const struct cluster_command *command;
	struct lab_buf *output;
	struct lab_error err;
};

static void step_in_cluster(void *arg)
{
	struct cluster_step *step = arg;

	step->err.code = LAB_OK;
	if (step->host->geodb == NULL)
		lab_fail(&step->err, LAB_REFUSED, "it is starting");
	else if (cluster_command_run(step->host->geodb, step->host->cluster, &step->policy,
			 step->command, step->output, &step->err) == 0)
		step->err.code = LAB_OK;
}

/* What follows "cluster"; false: it is something else. */
static bool is_cluster(struct lab_view text, struct lab_view *ret)
{
	struct lab_view word = LAB_VIEW("cluster ");

	*ret = lab_view_skip(text, LAB_MIN(word.len, text.len));
	return lab_view_starts_with(text, word);
}

static enum node_answer do_in_cluster(struct operators_fiber *fiber, struct node *node,
	struct lab_view text, struct lab_error *err)
{
	const struct operators_settings *s = &fiber->settings;
	struct cluster_command command;
	struct cluster_step step = { .host = node->palomar,
		.policy = { s->scenario->cluster.assign,
			(unsigned)scenario_pick(&s->scenario->cluster.default_group_count, s->seed,
				"cluster.groups", 0, 0) },
		.command = &command,
		.output = &fiber->output };
	enum host_answer answer;

	if (step.host == NULL || !step.host->is_up ||
		cluster_command_parse_text(text, &command, err) < 0)
		return NODE_REFUSED;
	if (command.verb == CLUSTER_DO_KICK) {
		err->code = LAB_OK;
		(void)palomar_kick_all(step.host, command.arguments[0], err);
		return NODE_ANSWERED;
	}
	answer = host_call(&node->calls, node->env, s->lab, step_in_cluster, &step);
	*err = step.err;
	return answer == HOST_ANSWERED  ? NODE_ANSWERED
	       : answer == HOST_REFUSED ? NODE_REFUSED
					: NODE_LOST;
}

static uint32_t do_step(
	struct operators_fiber *fiber, struct node *node, const char *user, struct lab_view text)
{
	struct history_op op = { .kind = HISTORY_OPERATE, .target = text };
	uint32_t id = begin(fiber, node, user, &op);
	struct operator_command command;
	struct lab_view words;
	struct step step = { .command = &command,
		.conf = &fiber->settings.scenario->conf,
		.output = &fiber->output };
	enum node_answer answer = NODE_REFUSED;

	lab_buf_reset(&fiber->output);
	/* The scenario was checked: what fails here is a user's name that is no word. */
	if (is_cluster(text, &words))
		answer = do_in_cluster(fiber, node, words, &step.err);
	else if (operator_parse_text(text, &command, &step.err) == 0)
		answer = node_call(node, fiber->settings.lab, step_in_backend, &step);
	if (answer == NODE_ANSWERED && step.has_usage)
		disk_report(fiber->settings.lab, node->name, "rescan", &step.usage);
	end(fiber, id, &op, answer, &step.err);
	return id;
}

/* ---- what is done when ---- */

/* The command with the user's name for %u. */
static struct lab_view expand(struct lab_view command, const char *user, char out[WORDS_MAX])
{
	size_t at = lab_view_find(command, LAB_VIEW("%u"));
	struct lab_view rest = command;
	size_t len = 0;

	for (; at != SIZE_MAX && len < WORDS_MAX; at = lab_view_find(rest, LAB_VIEW("%u"))) {
		len += (size_t)snprintf(out + len, WORDS_MAX - len, "%.*s%s", (int)at,
			(const char *)rest.ptr, user);
		rest = lab_view_skip(rest, at + 2);
	}
	if (len < WORDS_MAX)
		len += (size_t)snprintf(out + len, WORDS_MAX - len, "%.*s", LAB_VIEW_ARG(rest));
	return lab_view_of(out, LAB_MIN(len, (size_t)WORDS_MAX - 1));
}

uint32_t operators_do(const struct operators_settings *settings, struct node *node,
	const char *user, struct lab_view command)
{
	struct operators_fiber fiber = { .settings = *settings };
	char text[WORDS_MAX];
	uint32_t id;

	lab_buf_init(&fiber.output, settings->lab->heap, OUTPUT_MAX);
	id = do_step(&fiber, node, user, expand(command, user, text));
	lab_buf_done(&fiber.output);
	return id;
}

static void do_on(struct operators_fiber *fiber, struct node *node)
{
	const struct operators_settings *s = &fiber->settings;
	struct lab_view command = fiber->what->command;
	char text[WORDS_MAX];

	if (lab_view_find(command, LAB_VIEW("%u")) == SIZE_MAX) {
		(void)do_step(fiber, node, "", command);
		return;
	}
	for (size_t i = 0; i < s->user_count && env_now(s->lab) < s->end_ns; i++)
		(void)do_step(fiber, node, s->users[i], expand(command, s->users[i], text));
}

static bool is_meant(const struct scenario_operator *what, const struct node *node)
{
	return lab_view_eq_cstr(what->backend, "all") ||
	       lab_view_eq_cstr(what->backend, node->name);
}

static void run_operator(void *arg)
{
	struct operators_fiber *fiber = arg;
	const struct operators_settings *s = &fiber->settings;
	uint64_t next = s->begin_ns + pick(fiber, &fiber->what->at, "operator.at");

	while (next < s->end_ns) {
		uint64_t now = env_now(s->lab), every;
		struct lab_view words;

		env_sleep(s->lab, next > now ? next - now : 0);
		for (size_t i = 0; i < s->node_count && env_now(s->lab) < s->end_ns; i++) {
			if (!is_meant(fiber->what, &s->nodes[i]) || !s->nodes[i].is_up)
				continue;
			do_on(fiber, &s->nodes[i]);
			/* GeoDB is the same everywhere. */
			if (is_cluster(fiber->what->command, &words))
				break;
		}
		every = pick(fiber, &fiber->what->every, "operator.every");
		if (every == 0)
			break;
		next = LAB_MAX(next + every, env_now(s->lab) + 1);
	}
	lab_buf_done(&fiber->output);
	(*s->busy)--;
}

int operators_start(const struct operators_settings *settings, struct lab_error *err)
{
	const struct scenario *scenario = settings->scenario;
	struct lab_heap *heap = settings->lab->heap;

	for (size_t i = 0; i < scenario->operator_count; i++) {
		struct operators_fiber *fiber = lab_new(heap, struct operators_fiber);

		*fiber = (struct operators_fiber){
			.settings = *settings, .what = &scenario->operators[i], .number = i
		};
		lab_buf_init(&fiber->output, heap, OUTPUT_MAX);
		(*settings->busy)++;
		if (env_spawn(settings->lab, "operator", run_operator, fiber, err) < 0)
			return -1;
	}
	return 0;
}
