/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-steps.c - step NAME { } and episode NAME { }: what happens exactly then.
 */
#include "scenarios/format/scenario-private.h"

#include "scenarios/format/client-words.h"
#include "sim/serve/fault-text.h"

#include <stdlib.h>

#define WORLD_ZONE "zone:"
#define FLAG_MAX 64
#define NAME_BYTES_MAX 255
#define CLOCK_KINDS (FAULT_KIND(clock_skew) | FAULT_KIND(clock_step))
#define PARTITION_KINDS (FAULT_KIND(partition) | FAULT_KIND(partition_one_way))

uint64_t scenario_step_kinds(void)
{
	static const enum history_kind kinds[] = { HISTORY_DELIVER, HISTORY_FETCH, HISTORY_COPY,
		HISTORY_MOVE, HISTORY_EXPUNGE, HISTORY_STORE, HISTORY_SELECT, HISTORY_FLUSH,
		HISTORY_OPERATE, HISTORY_CREATE, HISTORY_RENAME, HISTORY_DELETE, HISTORY_SUBSCRIBE,
		HISTORY_STATUS, HISTORY_USER_DELETE, HISTORY_SEARCH, HISTORY_AUTOEXPUNGE,
		HISTORY_QUOTA };
	uint64_t set = 0;

	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++)
		set |= UINT64_C(1) << kinds[i];
	return set;
}

/* ---- values ---- */

int scenario_read_defects(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	struct lab_defects *field = (void *)((char *)object + key->offset);
	const char *names[LAB_DEFECT_COUNT];
	struct conf_choices choices;
	size_t defect;

	*field = LAB_NO_DEFECTS;
	if (lab_view_trim(text).len == 0)
		return 0;
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++)
		names[i] = lab_defect_info((enum lab_defect)i)->name;
	if (conf_value_choices(text, &choices, err) < 0)
		return -1;
	for (size_t i = 0; i < choices.count; i++) {
		if (conf_value_word(choices.items[i], names, LAB_DEFECT_COUNT, &defect, err) < 0)
			return -1;
		lab_defects_add(field, (enum lab_defect)defect);
	}
	return 0;
}

struct lab_defects scenario_defects(const struct scenario *s, const struct lab_defects *more)
{
	struct lab_defects all = *more;

	for (size_t i = 0; i < LAB_DEFECT_WORDS; i++)
		all.words[i] |= s->defects.words[i];
	return all;
}

int scenario_read_step_kind(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	enum history_kind *field = (void *)((char *)object + key->offset);
	const char *names[HISTORY_KIND_COUNT];
	enum history_kind kinds[HISTORY_KIND_COUNT];
	size_t count = 0, which;

	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		if ((scenario_step_kinds() >> k & 1) == 0)
			continue;
		kinds[count] = (enum history_kind)k;
		names[count++] = history_kind_name((enum history_kind)k);
	}
	if (conf_value_word(text, names, count, &which, err) < 0)
		return -1;
	*field = kinds[which];
	return 0;
}

/* "17@5": false if it is none. */
static bool read_mail(struct lab_view text, struct scenario_mail *ret)
{
	struct lab_view uid = text, number;
	uint64_t n = 0, u = 0;

	(void)lab_view_split(&uid, '@', &number);
	if (!lab_view_eq_cstr(number, "?") &&
		(lab_view_to_u64(number, &n) < 0 || n == 0 || n > UINT32_MAX))
		return false;
	if (uid.ptr != NULL && (lab_view_to_u64(uid, &u) < 0 || u == 0 || u > UINT32_MAX))
		return false;
	*ret = (struct scenario_mail){ (uint32_t)n, (uint32_t)u };
	return n != 0 || u != 0;
}

bool scenario_next_mail(struct lab_view *rest, struct scenario_mail *ret)
{
	struct lab_view one;

	return rest->len > 0 && lab_view_split(rest, ',', &one) &&
	       read_mail(lab_view_trim(one), ret);
}

int scenario_read_mails(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	struct lab_view *field = (void *)((char *)object + key->offset);
	struct lab_view rest = text, one;
	struct scenario_mail mail;
	size_t count = 0;

	while (rest.len > 0 && lab_view_split(&rest, ',', &one)) {
		if (!read_mail(lab_view_trim(one), &mail))
			return lab_fail(err, LAB_INVALID,
				"\"%.*s\" is not a mail: NUMBER, NUMBER@UID or ?@UID",
				LAB_VIEW_ARG(lab_view_trim(one)));
		if (++count > CLIENT_BULK_MAX)
			return lab_fail(err, LAB_LIMIT, "more than %d mails", (int)CLIENT_BULK_MAX);
	}
	*field = text;
	return 0;
}

int scenario_read_word(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	struct lab_view *field = (void *)((char *)object + key->offset);
	const char *words[CLIENT_WORDS];
	size_t which;

	*field = text;
	if (text.len == 0)
		return 0;
	for (size_t i = 0; i < CLIENT_WORDS; i++)
		words[i] = (const char *)client_word(i).ptr;
	return conf_value_word(text, words, CLIENT_WORDS, &which, err);
}

/* ---- sections ---- */

static size_t count_sections(const struct conf_section *root, const char *name, size_t max,
	struct conf_problems *problems)
{
	const struct conf_section *at = NULL;
	size_t count = 0;

	while ((at = conf_section_next(root, name, at)) != NULL) {
		if (++count == max + 1)
			conf_problem_add(
				problems, true, at->where, "more than %zu sections %s", max, name);
	}
	return LAB_MIN(count, max);
}

/* A name that is there already: two sections next to each other when they are in order. */
struct named {
	struct lab_view name;
	const struct conf_section *section;
	size_t number;
};

static int compare_names(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int result = lab_view_cmp(x->name, y->name);

	return result != 0 ? result : x->number < y->number ? -1 : x->number > y->number;
}

struct reading {
	struct scenario *scenario;
	struct named *named;
	size_t count;
	struct conf_problems *problems;
};

static void check_names(struct reading *r)
{
	qsort(r->named, r->count, sizeof(*r->named), compare_names);
	for (size_t i = 1; i < r->count; i++) {
		const struct conf_section *section = r->named[i].section;

		if (lab_view_eq(r->named[i].name, r->named[i - 1].name))
			conf_problem_add(r->problems, true, section->where,
				"%.*s %.*s is there twice", LAB_VIEW_ARG(section->name),
				LAB_VIEW_ARG(section->label));
	}
}

static void read_step(struct reading *r, const struct conf_section *section)
{
	struct scenario_step *step = &r->scenario->steps[r->scenario->step_count++];

	*step = (struct scenario_step){ .what = HISTORY_KIND_COUNT };
	conf_keys_defaults(&scenario_vocabulary, "step", step);
	step->name = section->label;
	step->where = section->where;
	conf_keys_read(&scenario_vocabulary, "step", section, step, r->problems);
}

static void read_episode(struct reading *r, const struct conf_section *section)
{
	struct scenario_episode *episode = &r->scenario->episodes[r->scenario->episode_count++];

	*episode = (struct scenario_episode){ 0 };
	conf_keys_defaults(&scenario_vocabulary, "episode", episode);
	episode->name = section->label;
	episode->where = section->where;
	conf_keys_read(&scenario_vocabulary, "episode", section, episode, r->problems);
}

static void read_all(struct reading *r, const struct conf_section *root, const char *name,
	size_t max, void (*read)(struct reading *r, const struct conf_section *section))
{
	const struct conf_section *at = NULL;

	r->count = 0;
	for (size_t n = 0; n < max && (at = conf_section_next(root, name, at)) != NULL; n++) {
		if (!scenario_has_label(at, r->problems))
			continue;
		r->named[r->count] = (struct named){ at->label, at, r->count };
		r->count++;
		read(r, at);
	}
	check_names(r);
}

void scenario_read_steps(struct scenario *s, const struct conf_section *root,
	struct lab_arena *arena, struct conf_problems *problems)
{
	size_t steps = count_sections(root, "step", SCENARIO_STEPS_MAX, problems);
	size_t episodes = count_sections(root, "episode", SCENARIO_EPISODES_MAX, problems);
	struct reading r = { .scenario = s, .problems = problems };

	if (steps + episodes == 0)
		return;
	s->steps = lab_arena_array(arena, struct scenario_step, steps);
	s->episodes = lab_arena_array(arena, struct scenario_episode, episodes);
	r.named = lab_arena_array(arena, struct named, LAB_MAX(steps, episodes));
	read_all(&r, root, "step", steps, read_step);
	read_all(&r, root, "episode", episodes, read_episode);
}

/* ---- what an episode is ---- */

uint64_t scenario_episode_key(struct lab_view fault, uint64_t n)
{
	return lab_hash_fold(lab_hash_view(0, fault), n);
}

static enum fault_kind kind_of(fault_kind_set set)
{
	unsigned k = 0;

	while (k < FAULT_KIND_COUNT && (set & FAULT_KIND_BIT(k)) == 0)
		k++;
	return (enum fault_kind)k;
}

bool scenario_is_host(struct lab_view name)
{
	return lab_view_starts_with(name, LAB_VIEW("backend-")) ||
	       lab_view_starts_with(name, LAB_VIEW("proxy-")) ||
	       lab_view_starts_with(name, LAB_VIEW("controller-"));
}

static int set_target(
	const struct scenario_episode *from, struct fault_episode *ret, struct lab_error *err)
{
	struct lab_view target = from->target;
	bool is_world = fault_kind_is_world(ret->kind);

	if (target.len > 0 && !is_world) {
		ret->scope = lab_view_starts_with(target, LAB_VIEW("backend-"))   ? FAULT_PEER
			     : lab_view_starts_with(target, LAB_VIEW(WORLD_ZONE)) ? FAULT_PEER_ZONE
										  : FAULT_INSTANCE;
		if (ret->scope == FAULT_PEER_ZONE)
			target = lab_view_skip(target, sizeof(WORLD_ZONE) - 1);
	}
	if (lab_view_to_cstr(target, ret->target, sizeof(ret->target)) < 0 ||
		lab_view_to_cstr(from->other, ret->other, sizeof(ret->other)) < 0 ||
		lab_view_to_cstr(from->keyspace, ret->keyspace, sizeof(ret->keyspace)) < 0)
		return lab_fail(err, LAB_INVALID, "a target's name is too long");
	return 0;
}

static int set_draws(struct lab_view text, uint64_t *ret_key, struct lab_error *err)
{
	struct lab_view rest = text, fault, number, extra;
	uint64_t n = 0;

	if (text.len == 0)
		return 0;
	if (!conf_value_next_word(&rest, &fault) || !conf_value_next_word(&rest, &number) ||
		conf_value_next_word(&rest, &extra) || lab_view_to_u64(number, &n) < 0 || n == 0)
		return lab_fail(
			err, LAB_INVALID, "draws: \"%.*s\" is not FAULT N", LAB_VIEW_ARG(text));
	*ret_key = scenario_episode_key(fault, n);
	return 0;
}

static int set_after(const struct scenario_episode *episodes, size_t index,
	struct fault_episode *ret, struct lab_error *err)
{
	struct lab_view after = episodes[index].after;

	for (size_t i = 0; after.len > 0 && i < index && ret->after == 0; i++) {
		if (lab_view_eq(episodes[i].name, after))
			ret->after = (uint32_t)i + 1;
	}
	return after.len == 0 || ret->after != 0
		       ? 0
		       : lab_fail(err, LAB_INVALID, "after: there is no episode %.*s above",
				 LAB_VIEW_ARG(after));
}

static void set_amount(const struct scenario_episode *from, struct fault_episode *ret)
{
	if ((FAULT_KIND_BIT(ret->kind) & CLOCK_KINDS) != 0) {
		ret->clock_us = (int64_t)(from->amount.low / 1000);
		if (from->backwards)
			ret->clock_us = -ret->clock_us;
	} else if (fault_kind_has_amount(ret->kind)) {
		ret->amount = fault_text_range(&from->amount);
	}
}

static int check_exact(
	const struct scenario_episode *from, const struct fault_episode *e, struct lab_error *err)
{
	fault_kind_set bit = FAULT_KIND_BIT(e->kind);
	const char *name = fault_kind_name(e->kind);

	if (__builtin_popcount(from->disk) != 1)
		return lab_fail(err, LAB_INVALID, "disk: it is one of lose_unsynced, keep, wipe");
	if ((bit & CLOCK_KINDS) != 0 &&
		(from->amount.low != from->amount.high || from->amount.low < LAB_USEC))
		return lab_fail(err, LAB_INVALID, "amount: %s needs one, of 1 us or more", name);
	if (fault_kind_is_world(e->kind) && (e->nth != 0 || e->crashes_peer))
		return lab_fail(
			err, LAB_INVALID, "%s: nth and down are for faults of requests", name);
	if ((bit & PARTITION_KINDS) == 0 && from->other.len > 0)
		return lab_fail(err, LAB_INVALID, "other: %s has one side only", name);
	if (e->nth == 0 && (e->is_lasting || e->lasting_ns != 0))
		return lab_fail(err, LAB_INVALID, "lasting: it needs nth");
	return 0;
}

int scenario_episode_exact(const struct scenario_episode *episodes, size_t index,
	struct fault_episode *ret, struct lab_error *err)
{
	const struct scenario_episode *from = &episodes[index];

	*ret = (struct fault_episode){ .kind = kind_of(from->kind),
		.points = from->points,
		.start_ns = from->at_ns,
		.length_ns = from->length_ns,
		.rate_ppm = (uint32_t)from->rate,
		.nth = from->nth,
		.is_lasting = from->is_lasting,
		.lasting_ns = from->lasting_ns,
		.crashes_peer = from->down_ns != 0,
		.down_ns = from->down_ns,
		.disk = from->disk == 0 ? FAULT_DISK_LOSE_UNSYNCED
					: (enum fault_disk)__builtin_ctz(from->disk) };
	if (from->kind == 0 || (from->kind & (from->kind - 1)) != 0)
		return lab_fail(err, LAB_INVALID, "kind: an episode has exactly one");
	if ((fault_kind_points(ret->kind) & (from->points == 0 ? UINT64_MAX : from->points)) == 0)
		return lab_fail(err, LAB_INVALID, "points: %s never happens at any of them",
			fault_kind_name(ret->kind));
	set_amount(from, ret);
	return set_target(from, ret, err) < 0 || set_draws(from->draws, &ret->key, err) < 0 ||
			       set_after(episodes, index, ret, err) < 0
		       ? -1
		       : check_exact(from, ret, err);
}

void scenario_resolve_episodes(
	struct scenario *s, struct lab_arena *arena, struct conf_problems *problems)
{
	struct fault_episode *exact =
		lab_arena_array(arena, struct fault_episode, s->episode_count);
	struct lab_error err;

	for (size_t i = 0; i < s->episode_count; i++) {
		if (scenario_episode_exact(s->episodes, i, &exact[i], &err) < 0)
			conf_problem_add(problems, true, s->episodes[i].where, "%s", err.message);
	}
	s->exact = exact;
	s->exact_count = s->episode_count;
}

/* ---- what does not fit together ---- */

struct limits {
	const struct scenario *s;
	size_t backends;
	uint64_t users, end_ns;
	struct conf_problems *problems;
};

static bool is_numbered(struct lab_view name, struct lab_view prefix, uint64_t max)
{
	uint64_t n;

	return lab_view_starts_with(name, prefix) &&
	       lab_view_to_u64(lab_view_skip(name, prefix.len), &n) == 0 && n >= 1 && n <= max;
}

static bool is_flag(struct lab_view flag)
{
	for (size_t i = 0; i < flag.len; i++) {
		uint8_t c = flag.ptr[i];

		if (c <= ' ' || c >= 127 || strchr("(){}%*\"]", c) != NULL || (c == '\\' && i > 0))
			return false;
	}
	return flag.len > 0 && flag.len <= FLAG_MAX;
}

static bool is_name(struct lab_view name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] < ' ' || name.ptr[i] == 127)
			return false;
	}
	return name.len > 0 && name.len <= NAME_BYTES_MAX;
}

static bool has_kind(uint64_t set, const struct scenario_step *step)
{
	return (set >> step->what & 1) != 0;
}

#define KIND(name) (UINT64_C(1) << HISTORY_##name)

#define ON_MAILS (KIND(FETCH) | KIND(STORE) | KIND(COPY) | KIND(MOVE) | KIND(EXPUNGE))

static bool has_mails(const struct scenario_step *step)
{
	struct lab_view rest = step->mails;
	struct scenario_mail mail;

	return scenario_next_mail(&rest, &mail) &&
	       (step->what != HISTORY_DELIVER || (mail.number != 0 && rest.len == 0));
}

/* What the operation cannot be without; NULL: it has all. */
static const char *what_is_missing(const struct scenario_step *step)
{
	if (step->what == HISTORY_KIND_COUNT)
		return "do";
	if (step->backend.len == 0)
		return "backend";
	if (has_kind(ON_MAILS | KIND(DELIVER), step) && !has_mails(step))
		return "mails";
	if (has_kind(KIND(COPY) | KIND(MOVE) | KIND(RENAME), step) && !is_name(step->target))
		return "target";
	if (has_kind(KIND(STORE), step) && !is_flag(step->flag))
		return "flag";
	if (has_kind(KIND(SEARCH), step) && step->word.len == 0 && step->mails.len == 0)
		return "word";
	return NULL;
}

#define complain(l, step, ...) conf_problem_add((l)->problems, true, (step)->where, __VA_ARGS__)

static void check_step(const struct limits *l, const struct scenario_step *step)
{
	const char *missing = what_is_missing(step);
	struct operator_command command;
	struct lab_error err;

	if (missing != NULL) {
		complain(l, step, "step %.*s: %s is missing, or is none", LAB_VIEW_ARG(step->name),
			missing);
		return;
	}
	if (!is_numbered(step->backend, LAB_VIEW("backend-"), l->backends))
		complain(l, step, "backend: there is no %.*s; they are backend-1 to backend-%zu",
			LAB_VIEW_ARG(step->backend), l->backends);
	if (step->user == 0 || step->user > l->users)
		complain(l, step, "user: there is no %" PRIu64 "; they are 1 to %" PRIu64,
			step->user, l->users);
	if (step->at_ns > l->end_ns)
		complain(l, step, "at: the run is over then");
	if (!is_name(step->folder))
		complain(l, step, "folder: this is no folder's name");
	if (step->what == HISTORY_DELIVER && step->flag.len > 0 && !is_flag(step->flag))
		complain(l, step, "flag: this is no flag");
	if (step->what == HISTORY_OPERATE) {
		if (operator_parse_text(step->command, &command, &err) < 0)
			complain(l, step, "command: %s", err.message);
		else if (command.verb == OPERATOR_DELETE)
			complain(l, step, "command: this is the step user-delete");
	}
}

static int compare_sessions(const void *a, const void *b)
{
	const struct scenario_step *x = *(const struct scenario_step *const *)a;
	const struct scenario_step *y = *(const struct scenario_step *const *)b;

	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* A connection is one user's to one backend. */
static void check_sessions(const struct limits *l, struct lab_arena *arena)
{
	size_t count = l->s->step_count;
	const struct scenario_step **steps =
		lab_arena_array(arena, const struct scenario_step *, count + 1);

	for (size_t i = 0; i < count; i++)
		steps[i] = &l->s->steps[i];
	qsort(steps, count, sizeof(*steps), compare_sessions);
	for (size_t i = 1; i < count; i++) {
		const struct scenario_step *step = steps[i], *before = steps[i - 1];

		if (step->session != 0 && step->session == before->session &&
			(before->user != step->user ||
				!lab_view_eq(before->backend, step->backend)))
			complain(l, step,
				"session %" PRIu64 " is of another user or backend in step %.*s",
				step->session, LAB_VIEW_ARG(before->name));
	}
}

static bool is_zone(const struct scenario *s, struct lab_view name)
{
	struct lab_view zone = lab_view_skip(name, LAB_MIN(name.len, sizeof(WORLD_ZONE) - 1));

	for (size_t i = 0; i < s->site_count; i++) {
		if (lab_view_starts_with(name, LAB_VIEW(WORLD_ZONE)) &&
			lab_view_eq(s->sites[i].name, zone))
			return true;
	}
	return false;
}

static bool is_service(const struct scenario *s, struct lab_view name)
{
	static const char *const names[] = { "s3", "sproxyd", "cdmi", "imds" };

	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		if (lab_view_eq_cstr(name, names[i]))
			return true;
	}
	return s->dict_count > 0 && is_numbered(name, LAB_VIEW("cassandra-"), s->cql.nodes.low);
}

/* Of a Palomar cluster. */
static bool is_cluster_host(const struct limits *l, struct lab_view name)
{
	struct lab_view prefix = LAB_VIEW("controller-");
	uint64_t each = l->s->cluster.proxies.low;

	for (size_t i = 0; each > 0 && i < l->s->site_count; i++) {
		if (lab_view_starts_with(name, prefix) &&
			lab_view_eq(lab_view_skip(name, prefix.len), l->s->sites[i].name))
			return true;
	}
	return is_numbered(name, LAB_VIEW("proxy-"), each * l->s->site_count);
}

static bool is_side(const struct limits *l, struct lab_view name)
{
	return lab_view_eq_cstr(name, "*") || is_zone(l->s, name) || is_service(l->s, name) ||
	       is_cluster_host(l, name) || is_numbered(name, LAB_VIEW("backend-"), l->backends);
}

static void check_world(
	const struct limits *l, const struct scenario_episode *e, const struct fault_episode *exact)
{
	fault_kind_set bit = FAULT_KIND_BIT(exact->kind);
	bool is_backend = is_numbered(e->target, LAB_VIEW("backend-"), l->backends);

	if (((bit & (FAULT_KIND(crash) | FAULT_KIND(hang) | CLOCK_KINDS)) != 0 ||
		    exact->crashes_peer) &&
		!is_backend && !is_cluster_host(l, e->target))
		complain(l, e, "target: %s happens to a host", fault_kind_name(exact->kind));
	if ((bit & FAULT_KIND(node_down)) != 0 && !is_service(l->s, e->target))
		complain(l, e, "target: node_down happens to a node, to s3 or to imds");
	if ((bit & PARTITION_KINDS) != 0 && (e->target.len == 0 || e->other.len == 0))
		complain(l, e, "other: a partition has two sides");
	if ((bit & PARTITION_KINDS) == 0 && lab_view_eq_cstr(e->target, "*"))
		complain(l, e, "target: without one it is everybody");
}

static void check_episode(
	const struct limits *l, const struct scenario_episode *e, const struct fault_episode *exact)
{
	if (e->target.len > 0 && !is_side(l, e->target))
		complain(l, e, "target: there is no %.*s", LAB_VIEW_ARG(e->target));
	if (e->other.len > 0 && !is_side(l, e->other))
		complain(l, e, "other: there is no %.*s", LAB_VIEW_ARG(e->other));
	if (e->at_ns > l->s->warmup.low + l->s->storm.low)
		complain(l, e, "at: the storm is over then");
	check_world(l, e, exact);
}

void scenario_check_steps(
	const struct scenario *s, size_t backends_min, struct conf_problems *problems)
{
	struct limits l = { .s = s,
		.backends = backends_min,
		.end_ns = s->warmup.low + s->storm.low + s->settle.low,
		.problems = problems };

	for (size_t i = 0; i < s->group_count; i++)
		l.users += s->groups[i].count.low;
	if (s->step_count > 0 && s->has_clients)
		complain(&l, &s->steps[0],
			"steps and clients would deliver the same mails: they need scenario { "
			"clients = no }");
	for (size_t i = 0; i < s->step_count; i++)
		check_step(&l, &s->steps[i]);
	if (problems->errors == 0)
		check_sessions(&l, problems->arena);
	for (size_t i = 0; i < s->episode_count && problems->errors == 0; i++)
		check_episode(&l, &s->episodes[i], &s->exact[i]);
}
