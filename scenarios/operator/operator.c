/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/operator/operator-private.h"

#include "core/fs/fs-api.h"
#include "core/fs/fscache.h"

#include <stdio.h>

#define DAYS_MAX 36500
#define DAY_SECONDS UINT64_C(86400)
#define TIMEOUT_MAX (UINT64_C(366) * 86400)
#define LIST_ARENA_MAX ((size_t)1 << 30)

/* What a verb takes. */
enum {
	TAKES_USER = 1 << 0, /* -u */
	TAKES_ALL = 1 << 1,  /* -A */
	TAKES_FIELD = 1 << 2,
	TAKES_PRIORITY = 1 << 3,
	TAKES_IMPORTANT = 1 << 4,
	TAKES_DAYS = 1 << 5,
	TAKES_TIMEOUT = 1 << 6,
	TAKES_STATUS = 1 << 7, /* --roots, -b */
	TAKES_MASK = 1 << 8,
	NEEDS_USER = 1 << 9, /* or -A, where that is taken */
	NEEDS_MASK = 1 << 10,
	TAKES_THREE = 1 << 11,
	TAKES_PULL = 1 << 12,  /* --latest-only, --clean; HOST is a must */
	TAKES_FOLDER = 1 << 13 /* --refresh; FOLDER is a must */
};

static const struct {
	const char *words, *arguments, *doc;
} verbs[] = {
#define X(id, words, arguments, doc) { words, arguments, doc },
	OPERATOR_COMMANDS(X)
#undef X
};

static const unsigned takes[OPERATOR_VERB_COUNT] = {
	[OPERATOR_LIST] = TAKES_FIELD | TAKES_MASK,
	[OPERATOR_STATUS] = TAKES_STATUS,
	[OPERATOR_FLUSH] = TAKES_IMPORTANT | TAKES_PRIORITY | TAKES_USER | NEEDS_USER,
	[OPERATOR_FLUSHALL] = TAKES_IMPORTANT | TAKES_FIELD | TAKES_MASK,
	[OPERATOR_CLEAN] = TAKES_USER | TAKES_ALL | TAKES_DAYS | TAKES_PRIORITY | NEEDS_USER,
	[OPERATOR_REFRESH] = TAKES_USER | TAKES_ALL | NEEDS_USER,
	[OPERATOR_REMOVE] = TAKES_MASK | NEEDS_MASK,
	[OPERATOR_RESCAN] = 0,
	[OPERATOR_UPDATE_USERDB] = TAKES_THREE,
	[OPERATOR_PULL] = TAKES_USER | NEEDS_USER | TAKES_PULL,
	[OPERATOR_FSCACHE_RESCAN] = TAKES_MASK | NEEDS_MASK,
	[OPERATOR_DELETE] = TAKES_USER | NEEDS_USER,
	[OPERATOR_WAIT] = TAKES_USER | NEEDS_USER | TAKES_TIMEOUT,
	[OPERATOR_FTS_CHECK_FULL] = TAKES_USER | NEEDS_USER,
	[OPERATOR_FTS_CHECK_FAST] = TAKES_USER | NEEDS_USER | TAKES_FOLDER,
};

const char *operator_verb_words(enum operator_verb verb)
{
	return verbs[verb].words;
}

const char *operator_verb_arguments(enum operator_verb verb)
{
	return verbs[verb].arguments;
}

const char *operator_verb_doc(enum operator_verb verb)
{
	return verbs[verb].doc;
}

/* ---- reading ---- */

struct parser {
	const struct lab_view *words;
	size_t count, at;
	struct operator_command *command;
	bool has_user, has_mask;
	unsigned three;
};

/* How many words of the verb there are at the front; 0: it is another one. */
static size_t match_verb(const struct lab_view *words, size_t count, const char *text)
{
	struct lab_view rest = lab_view_cstr(text), word;
	size_t n = 0;

	while (lab_view_split(&rest, ' ', &word)) {
		if (n == count || !lab_view_eq(words[n], word))
			return 0;
		n++;
	}
	return n;
}

static int find_verb(struct parser *p, struct lab_error *err)
{
	for (int v = 0; v < OPERATOR_VERB_COUNT; v++) {
		p->at = match_verb(p->words, p->count, verbs[v].words);
		if (p->at > 0) {
			p->command->verb = (enum operator_verb)v;
			return 0;
		}
	}
	if (p->count == 0)
		return lab_fail(err, LAB_INVALID, "there is no command");
	if (p->count == 1)
		return lab_fail(err, LAB_INVALID, "there is no command \"%.*s\"",
			LAB_VIEW_ARG(p->words[0]));
	return lab_fail(err, LAB_INVALID, "there is no command \"%.*s %.*s\"",
		LAB_VIEW_ARG(p->words[0]), LAB_VIEW_ARG(p->words[1]));
}

static int take_value(struct parser *p, struct lab_view *ret, struct lab_error *err)
{
	if (p->at == p->count)
		return lab_fail(err, LAB_INVALID, "%s: %.*s needs a value",
			verbs[p->command->verb].words, LAB_VIEW_ARG(p->words[p->at - 1]));
	*ret = p->words[p->at++];
	return 0;
}

static int take_number(struct parser *p, uint64_t max, uint64_t *ret, struct lab_error *err)
{
	struct lab_view text;

	if (take_value(p, &text, err) < 0)
		return -1;
	if (lab_view_to_u64(text, ret) == 0 && *ret <= max)
		return 0;
	return lab_fail(err, LAB_INVALID, "%s: \"%.*s\" is not a number from 0 to %" PRIu64,
		verbs[p->command->verb].words, LAB_VIEW_ARG(text), max);
}

static int set_user(struct parser *p, struct lab_view user, struct lab_error *err)
{
	const char *verb = verbs[p->command->verb].words;

	if (p->has_user)
		return lab_fail(err, LAB_INVALID, "%s: one of -A and -u, and once", verb);
	if (user.len == 0)
		return lab_fail(err, LAB_INVALID, "%s: the user has no name", verb);
	p->has_user = true;
	p->command->mask.mask = user;
	return 0;
}

static int take_user(struct parser *p, struct lab_error *err)
{
	struct lab_view user = { NULL, 0 };

	return take_value(p, &user, err) < 0 ? -1 : set_user(p, user, err);
}

static int take_all(struct parser *p, struct lab_error *err)
{
	return set_user(p, LAB_VIEW("*"), err);
}

static int take_field(struct parser *p, struct lab_error *err)
{
	return take_value(p, &p->command->mask.field, err);
}

static int take_priority(struct parser *p, struct lab_error *err)
{
	uint64_t number;

	if (take_number(p, METACACHE_PRIORITIES - 1, &number, err) < 0)
		return -1;
	p->command->mask.min_priority = (enum metacache_priority)number;
	return 0;
}

static int take_days(struct parser *p, struct lab_error *err)
{
	if (take_number(p, DAYS_MAX, &p->command->unused_seconds, err) < 0)
		return -1;
	p->command->unused_seconds *= DAY_SECONDS;
	return 0;
}

static int take_timeout(struct parser *p, struct lab_error *err)
{
	if (take_number(p, TIMEOUT_MAX, &p->command->timeout_ns, err) < 0)
		return -1;
	p->command->timeout_ns *= LAB_SEC;
	return 0;
}

static int take_important(struct parser *p, struct lab_error *err)
{
	(void)err;
	p->command->is_important_only = true;
	return 0;
}

static int take_bytes(struct parser *p, struct lab_error *err)
{
	(void)err;
	p->command->has_bytes = true;
	return 0;
}

static int take_roots(struct parser *p, struct lab_error *err)
{
	(void)err;
	p->command->has_roots = true;
	return 0;
}

static int take_latest_only(struct parser *p, struct lab_error *err)
{
	(void)err;
	p->command->pull.latest_only = true;
	return 0;
}

static int take_clean(struct parser *p, struct lab_error *err)
{
	(void)err;
	p->command->pull.clean = true;
	return 0;
}

static int take_refresh(struct parser *p, struct lab_error *err)
{
	(void)err;
	p->command->has_refresh = true;
	return 0;
}

static int take_option(struct parser *p, struct lab_view name, struct lab_error *err)
{
	static const struct {
		const char *name;
		unsigned taken;
		int (*take)(struct parser *p, struct lab_error *err);
	} options[] = { { "-u", TAKES_USER, take_user }, { "-A", TAKES_ALL, take_all },
		{ "-f", TAKES_FIELD, take_field }, { "-p", TAKES_PRIORITY, take_priority },
		{ "-d", TAKES_DAYS, take_days }, { "-t", TAKES_TIMEOUT, take_timeout },
		{ "-i", TAKES_IMPORTANT, take_important }, { "-b", TAKES_STATUS, take_bytes },
		{ "--roots", TAKES_STATUS, take_roots },
		{ "--latest-only", TAKES_PULL, take_latest_only },
		{ "--clean", TAKES_PULL, take_clean },
		{ "--refresh", TAKES_FOLDER, take_refresh } };
	enum operator_verb verb = p->command->verb;

	for (size_t i = 0; i < LAB_COUNT_OF(options); i++) {
		if (lab_view_eq_cstr(name, options[i].name) &&
			(takes[verb] & options[i].taken) != 0)
			return options[i].take(p, err);
	}
	return lab_fail(
		err, LAB_INVALID, "%s has no option %.*s", verbs[verb].words, LAB_VIEW_ARG(name));
}

static int take_argument(struct parser *p, struct lab_view word, struct lab_error *err)
{
	struct operator_command *c = p->command;
	struct lab_view *three[] = { &c->mask.mask, &c->field, &c->value };

	if ((takes[c->verb] & TAKES_THREE) != 0 && p->three < LAB_COUNT_OF(three)) {
		*three[p->three++] = word;
		return 0;
	}
	if ((takes[c->verb] & TAKES_PULL) != 0 && c->pull.source.len == 0) {
		c->pull.source = word;
		return 0;
	}
	if ((takes[c->verb] & TAKES_FOLDER) != 0 && c->field.len == 0) {
		c->field = word;
		return 0;
	}
	if ((takes[c->verb] & TAKES_MASK) == 0 || p->has_mask)
		return lab_fail(err, LAB_INVALID, "%s: what is \"%.*s\"?", verbs[c->verb].words,
			LAB_VIEW_ARG(word));
	p->has_mask = true;
	c->mask.mask = word;
	return 0;
}

static int check(const struct parser *p, struct lab_error *err)
{
	unsigned taken = takes[p->command->verb];
	bool misses_user = (taken & NEEDS_USER) != 0 && !p->has_user;
	bool misses_mask = (taken & NEEDS_MASK) != 0 && !p->has_mask;
	bool misses_three = (taken & TAKES_THREE) != 0 && p->three < 3;
	bool misses_host = (taken & TAKES_PULL) != 0 && p->command->pull.source.len == 0;
	bool misses_folder = (taken & TAKES_FOLDER) != 0 && p->command->field.len == 0;

	if (!misses_user && !misses_mask && !misses_three && !misses_host && !misses_folder)
		return 0;
	return lab_fail(err, LAB_INVALID, "%s needs %s", verbs[p->command->verb].words,
		verbs[p->command->verb].arguments);
}

int operator_parse(const struct lab_view *words, size_t count, struct operator_command *ret,
	struct lab_error *err)
{
	struct parser p = { .words = words, .count = count, .command = ret };

	*ret = (struct operator_command){ .timeout_ns = ENV_FOREVER };
	if (find_verb(&p, err) < 0)
		return -1;
	while (p.at < p.count) {
		struct lab_view word = p.words[p.at++];
		bool is_option = word.len > 1 && word.ptr[0] == '-';

		if ((is_option ? take_option(&p, word, err) : take_argument(&p, word, err)) < 0)
			return -1;
	}
	return check(&p, err);
}

int operator_parse_text(struct lab_view text, struct operator_command *ret, struct lab_error *err)
{
	struct lab_view words[OPERATOR_WORDS_MAX], word;
	size_t count = 0;

	while (lab_view_split(&text, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (count == OPERATOR_WORDS_MAX)
			return lab_fail(err, LAB_INVALID, "a command has at most %d words",
				OPERATOR_WORDS_MAX);
		words[count++] = word;
	}
	return operator_parse(words, count, ret, err);
}

/* ---- telling ---- */

static void put_entry(const struct metacache_entry *entry, struct lab_buf *out)
{
	static const char *const changes[] = { "none", "unimportant", "important" };

	lab_buf_printf(out, "%s\t", entry->username);
	for (size_t i = 0; i < entry->field_count; i++)
		lab_buf_printf(out, "%suser_%s=%s", i == 0 ? "" : " ", entry->fields[i].name,
			entry->fields[i].value);
	if (entry->upload_within_ns == UINT64_MAX)
		lab_buf_append_cstr(out, "\t");
	else
		lab_buf_printf(out, "\t%" PRIu64, entry->upload_within_ns / LAB_SEC);
	for (unsigned p = 0; p < METACACHE_PRIORITIES; p++)
		lab_buf_printf(out, "\t%" PRIu64 "\t%" PRId64 "\t%" PRId64, entry->bytes[p],
			entry->accessed[p], entry->weight[p]);
	lab_buf_printf(out, "\t%s\n", changes[entry->changes]);
}

static void list(struct backend *backend, const struct metacache_mask *mask, struct lab_buf *out)
{
	struct lab_arena *arena = lab_arena_new(backend_env(backend)->heap, LIST_ARENA_MAX);
	struct metacache_entry *entries;
	size_t count;

	metacache_list(backend, mask, arena, &entries, &count);
	lab_buf_append_cstr(out, "username\tuser\tupload-within");
	for (unsigned p = 0; p < METACACHE_PRIORITIES; p++)
		lab_buf_printf(
			out, "\tbytes-used(%u)\tlast-access(%u)\tcleanup-weight(%u)", p, p, p);
	lab_buf_append_cstr(out, "\tchanges\n");
	for (size_t i = 0; i < count; i++)
		put_entry(&entries[i], out);
	lab_arena_free(&arena);
}

static void put_bytes(struct lab_buf *out, const char *name, uint64_t bytes, bool exact)
{
	if (exact || bytes < 10240)
		lab_buf_printf(out, "%s\t%" PRIu64 "\n", name, bytes);
	else if (bytes < UINT64_C(10) << 20)
		lab_buf_printf(out, "%s\t%" PRIu64 "k\n", name, bytes >> 10);
	else
		lab_buf_printf(out, "%s\t%" PRIu64 "M\n", name, bytes >> 20);
}

static void status(
	struct backend *backend, const struct operator_command *command, struct lab_buf *out)
{
	struct metacache_status s;
	char name[32];

	metacache_get_status(backend, &s);
	lab_buf_printf(
		out, "users\t%" PRIu64 "\ndirectories\t%" PRIu64 "\n", s.users, s.directories);
	put_bytes(out, "bytes-used", s.bytes, command->has_bytes);
	for (unsigned p = 0; p < METACACHE_PRIORITIES; p++) {
		(void)snprintf(name, sizeof(name), "bytes-used(%u)", p);
		put_bytes(out, name, s.priority_bytes[p], command->has_bytes);
	}
	put_bytes(out, "bytes-unknown", s.unknown_bytes, command->has_bytes);
	put_bytes(out, "max-space", s.max_space, command->has_bytes);
	put_bytes(out, "max-grace", s.max_grace, command->has_bytes);
	for (size_t i = 0; command->has_roots && i < s.root_count; i++)
		lab_buf_printf(out, "root\t%s\n", s.roots[i][0] == '\0' ? "/" : s.roots[i]);
}

static int rescan(struct backend *backend, struct lab_buf *out, struct lab_error *err)
{
	struct metacache_scan scan;

	if (metacache_rescan_all(backend, &scan, err) < 0)
		return -1;
	lab_buf_printf(out,
		"users\t%" PRIu64 "\ndirectories\t%" PRIu64 "\nbytes-before\t%" PRIu64
		"\nbytes-used\t%" PRIu64 "\n",
		scan.users, scan.directories, scan.before, scan.after);
	return 0;
}

static int rescan_fscache(struct backend *backend, struct lab_view directory, struct lab_buf *out,
	struct lab_error *err)
{
	struct fs_shared *shared = backend_get_services(backend)->shared;
	struct fscache_scan scan;

	if (fscache_rescan(shared, backend_env(backend), directory, &scan, err) < 0)
		return -1;
	lab_buf_printf(out,
		"files\t%" PRIu64 "\nbytes-before\t%" PRIu64 "\nbytes-used\t%" PRIu64
		"\nsize\t%s\n",
		scan.files, scan.before, scan.after,
		!scan.is_counted            ? "not counted yet"
		: scan.before == scan.after ? "correct"
					    : "wrong");
	return 0;
}

static int tell_count(struct lab_buf *out, const char *what, int count)
{
	if (count < 0)
		return -1;
	lab_buf_printf(out, "%s\t%d\n", what, count);
	return 0;
}

int operator_run(struct backend *backend, const struct operator_command *c, struct lab_buf *out,
	struct lab_error *err)
{
	switch (c->verb) {
	case OPERATOR_LIST:
		list(backend, &c->mask, out);
		return 0;
	case OPERATOR_STATUS:
		status(backend, c, out);
		return 0;
	case OPERATOR_FLUSH:
	case OPERATOR_FLUSHALL:
		return tell_count(out, "uploaded",
			metacache_flush(backend, &c->mask, c->is_important_only, err));
	case OPERATOR_CLEAN:
		return metacache_clean_users(backend, &c->mask, c->unused_seconds, err);
	case OPERATOR_REFRESH:
		return tell_count(out, "users", metacache_refresh(backend, &c->mask));
	case OPERATOR_REMOVE:
		return tell_count(out, "users", metacache_remove(backend, &c->mask, err));
	case OPERATOR_RESCAN:
		return rescan(backend, out, err);
	case OPERATOR_UPDATE_USERDB:
		return metacache_update_userdb(backend, c->mask.mask, c->field, c->value, err);
	case OPERATOR_PULL:
		return tell_count(
			out, "taken", metacache_pull(backend, c->mask.mask, &c->pull, err));
	case OPERATOR_FSCACHE_RESCAN:
		return rescan_fscache(backend, c->mask.mask, out, err);
	case OPERATOR_DELETE:
		/* The index first: afterwards nothing says that it was anybody's. */
		return operator_fts_delete(backend, c->mask.mask, err) < 0
			       ? -1
			       : metacache_user_delete(backend, c->mask.mask, err);
	case OPERATOR_WAIT:
		return metacache_user_wait(backend, c->mask.mask, c->timeout_ns, err);
	case OPERATOR_FTS_CHECK_FULL:
	case OPERATOR_FTS_CHECK_FAST:
		return operator_fts_check(backend, c, out, err);
	case OPERATOR_VERB_COUNT:
		break;
	}
	lab_bug("a command has a verb");
}

int operator_exit_in_use(
	const struct operator_command *command, int result, const struct lab_error *err)
{
	bool is_in_use = (command->verb == OPERATOR_DELETE && err->code == LAB_EXISTS) ||
			 (command->verb == OPERATOR_WAIT && err->code == LAB_TIMEOUT);

	return result < 0 && is_in_use ? OPERATOR_EXIT_IN_USE : 0;
}
