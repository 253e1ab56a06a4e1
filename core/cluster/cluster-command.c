/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-command.c - doveadm cluster: the words.
 */
#include "core/cluster/cluster-command.h"

static const struct {
	const char *words, *arguments, *doc;
	size_t min, max;
} verbs[] = {
#define X(id, words, arguments, min, max, doc) { words, arguments, doc, min, max },
	CLUSTER_COMMANDS(X)
#undef X
};

const char *cluster_command_words(enum cluster_command_verb verb)
{
	return verbs[verb].words;
}

const char *cluster_command_arguments(enum cluster_command_verb verb)
{
	return verbs[verb].arguments;
}

const char *cluster_command_doc(enum cluster_command_verb verb)
{
	return verbs[verb].doc;
}

struct parser {
	const struct lab_view *words;
	size_t count, at;
	struct cluster_command *command;
};

/* How many words of the verb there are at the front; 0: it is another one. */
static size_t match_verb(const struct parser *p, const char *text)
{
	struct lab_view rest = lab_view_cstr(text), word;
	size_t n = 0;

	while (lab_view_split(&rest, ' ', &word)) {
		if (n == p->count || !lab_view_eq(p->words[n], word))
			return 0;
		n++;
	}
	return n;
}

static int find_verb(struct parser *p, struct lab_error *err)
{
	for (unsigned v = 0; v < CLUSTER_COMMAND_COUNT; v++) {
		p->at = match_verb(p, verbs[v].words);
		if (p->at > 0) {
			p->command->verb = (enum cluster_command_verb)v;
			return 0;
		}
	}
	if (p->count < 2)
		return lab_fail(err, LAB_INVALID, "there is no such command of cluster");
	return lab_fail(err, LAB_INVALID, "there is no command \"cluster %.*s %.*s\"",
		LAB_VIEW_ARG(p->words[0]), LAB_VIEW_ARG(p->words[1]));
}

static int take_status(struct cluster_command *c, struct lab_view text, struct lab_error *err)
{
	if (cluster_status_parse(text, &c->status) == 0)
		return 0;
	return lab_fail(err, LAB_INVALID,
		"--status: \"%.*s\" is none of online, offline, standby and evacuate",
		LAB_VIEW_ARG(text));
}

static int take_number(struct lab_view text, const char *what, uint64_t *ret, struct lab_error *err)
{
	if (lab_view_to_u64(text, ret) == 0 && *ret <= 100)
		return 0;
	return lab_fail(err, LAB_INVALID, "%s: \"%.*s\" is not a number from 0 to 100", what,
		LAB_VIEW_ARG(text));
}

static int take_switch(struct lab_view text, const char *what, int64_t *ret, struct lab_error *err)
{
	bool is_yes = lab_view_eq_cstr(text, "yes");

	if (!is_yes && !lab_view_eq_cstr(text, "no"))
		return lab_fail(err, LAB_INVALID, "%s: \"%.*s\" is neither yes nor no", what,
			LAB_VIEW_ARG(text));
	*ret = is_yes;
	return 0;
}

static int take_option(struct parser *p, struct lab_view name, struct lab_error *err)
{
	struct cluster_command *c = p->command;
	const char *arguments = verbs[c->verb].arguments;
	struct lab_view value;
	uint64_t number;

	/* Each verb knows the options that its arguments name. */
	if (lab_view_find(lab_view_cstr(arguments), name) == SIZE_MAX)
		return lab_fail(err, LAB_INVALID, "cluster %s has no option %.*s",
			verbs[c->verb].words, LAB_VIEW_ARG(name));
	if (lab_view_eq_cstr(name, "--direct") || lab_view_eq_cstr(name, "--update")) {
		c->is_direct = lab_view_eq_cstr(name, "--direct");
		c->is_update = !c->is_direct;
		return 0;
	}
	if (p->at == p->count)
		return lab_fail(err, LAB_INVALID, "%.*s needs a value", LAB_VIEW_ARG(name));
	value = p->words[p->at++];
	if (lab_view_eq_cstr(name, "--status"))
		return take_status(c, value, err);
	if (lab_view_eq_cstr(name, "--load-factor")) {
		if (take_number(value, "--load-factor", &number, err) < 0)
			return -1;
		c->load_factor = (int64_t)number;
	} else if (lab_view_eq_cstr(name, "--site")) {
		c->site = value;
	} else if (lab_view_eq_cstr(name, "--load-balancer")) {
		c->load_balancer = value;
	} else if (lab_view_eq_cstr(name, "--id")) {
		c->id = value;
	} else if (lab_view_eq_cstr(name, "--name")) {
		c->name = value;
	} else if (lab_view_eq_cstr(name, "--tag")) {
		c->tag = value;
	} else if (lab_view_eq_cstr(name, "--sticky-users")) {
		return take_switch(value, "--sticky-users", &c->sticky_users, err);
	} else if (lab_view_eq_cstr(name, "--sticky-backend")) {
		return take_switch(value, "--sticky-backend", &c->sticky_backend, err);
	} else {
		return lab_fail(err, LAB_INVALID, "there is no option %.*s", LAB_VIEW_ARG(name));
	}
	return 0;
}

static int take_words(struct parser *p, struct lab_error *err)
{
	struct cluster_command *c = p->command;

	while (p->at < p->count) {
		struct lab_view word = p->words[p->at++];

		if (lab_view_starts_with(word, LAB_VIEW("--"))) {
			if (take_option(p, word, err) < 0)
				return -1;
		} else if (c->argument_count == verbs[c->verb].max) {
			return lab_fail(err, LAB_INVALID, "cluster %s: \"%.*s\" is one too many",
				verbs[c->verb].words, LAB_VIEW_ARG(word));
		} else {
			c->arguments[c->argument_count++] = word;
		}
	}
	if (c->argument_count < verbs[c->verb].min)
		return lab_fail(err, LAB_INVALID, "cluster %s needs %s", verbs[c->verb].words,
			verbs[c->verb].arguments);
	return 0;
}

/* Without these options it would do nothing, or would not know what. */
static int check_options(const struct cluster_command *c, struct lab_error *err)
{
	if (c->verb == CLUSTER_DO_TAG_UPDATE && c->name.len == 0)
		return lab_fail(err, LAB_INVALID, "cluster tag update needs --name");
	if (c->verb == CLUSTER_DO_GROUP_UPDATE && c->sticky_users < 0 && c->sticky_backend < 0)
		return lab_fail(err, LAB_INVALID,
			"cluster group update: --sticky-users or --sticky-backend");
	if (c->verb == CLUSTER_DO_BACKEND_ADD && c->site.len == 0)
		return lab_fail(err, LAB_INVALID, "cluster backend add needs --site");
	return 0;
}

/* What no option alone says. */
static int check(struct cluster_command *c, struct lab_error *err)
{
	uint64_t percent = 0;

	if ((c->verb == CLUSTER_DO_SITE_FORCE_MOVE || c->verb == CLUSTER_DO_SITE_RECOVER) &&
		take_number(c->arguments[1], "PCT", &percent, err) < 0)
		return -1;
	c->percent = (unsigned)percent;
	if (c->verb == CLUSTER_DO_BACKEND_UPDATE && c->status == CLUSTER_STATUS_NONE &&
		c->load_factor < 0 && c->name.len == 0)
		return lab_fail(err, LAB_INVALID,
			"cluster backend update: --status, --load-factor or --name");
	if (c->verb == CLUSTER_DO_SITE_UPDATE && c->status == CLUSTER_STATUS_NONE &&
		c->load_balancer.ptr == NULL && c->name.len == 0)
		return lab_fail(err, LAB_INVALID,
			"cluster site update: --status, --load-balancer or --name");
	return check_options(c, err);
}

int cluster_command_parse(const struct lab_view *words, size_t count, struct cluster_command *ret,
	struct lab_error *err)
{
	struct parser p = { .words = words, .count = count, .command = ret };

	*ret = (struct cluster_command){
		.load_factor = -1, .sticky_users = -1, .sticky_backend = -1
	};
	if (find_verb(&p, err) < 0 || take_words(&p, err) < 0)
		return -1;
	return check(ret, err);
}

int cluster_command_parse_text(
	struct lab_view text, struct cluster_command *ret, struct lab_error *err)
{
	struct lab_view words[CLUSTER_COMMAND_WORDS_MAX], word;
	size_t count = 0;

	while (lab_view_split(&text, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (count == CLUSTER_COMMAND_WORDS_MAX)
			return lab_fail(
				err, LAB_INVALID, "more than %d words", CLUSTER_COMMAND_WORDS_MAX);
		words[count++] = word;
	}
	return cluster_command_parse(words, count, ret, err);
}
