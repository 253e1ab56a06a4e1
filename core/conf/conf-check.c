/* SPDX-License-Identifier: Apache-2.0
 *
 * conf-check.c - what is wrong with a tree: places of sections, names and values of settings, and
 * advice where a valid configuration is known to hurt.
 */
#include "core/conf/settings.h"

#include "core/conf/conf-private.h"
#include "core/conf/conf-value.h"
#include "core/conf/fs-uri.h"
#include "core/conf/var-expand.h"

#define WORDS_MAX 16

enum label_rule {
	LABEL_NONE,
	LABEL_OPTIONAL,
	LABEL_REQUIRED
};

/* Sections by where they may stand (bits of enum conf_place of the section around) and what place
 * they are for the settings in them. Place 0: any setting may be there. */
static const struct section_rule {
	const char *name;
	uint32_t around;
	uint32_t place;
	enum label_rule label;
} section_rules[] = {
	{ "plugin", CONF_AT_TOP, CONF_AT_PLUGIN, LABEL_NONE },
	{ "protocol", CONF_AT_TOP, CONF_AT_TOP, LABEL_REQUIRED },
	{ "local", CONF_AT_TOP, CONF_AT_TOP, LABEL_REQUIRED },
	{ "remote", CONF_AT_TOP, CONF_AT_TOP, LABEL_REQUIRED },
	{ "local_name", CONF_AT_TOP, CONF_AT_TOP, LABEL_REQUIRED },
	{ "service", CONF_AT_TOP, CONF_AT_SERVICE, LABEL_REQUIRED },
	{ "unix_listener", CONF_AT_SERVICE, CONF_AT_LISTENER, LABEL_REQUIRED },
	{ "fifo_listener", CONF_AT_SERVICE, CONF_AT_LISTENER, LABEL_REQUIRED },
	{ "inet_listener", CONF_AT_SERVICE, CONF_AT_LISTENER, LABEL_OPTIONAL },
	{ "namespace", CONF_AT_TOP, CONF_AT_NAMESPACE, LABEL_OPTIONAL },
	{ "mailbox", CONF_AT_NAMESPACE, CONF_AT_MAILBOX, LABEL_REQUIRED },
	{ "passdb", CONF_AT_TOP, CONF_AT_PASSDB, LABEL_OPTIONAL },
	{ "userdb", CONF_AT_TOP, CONF_AT_USERDB, LABEL_OPTIONAL },
	{ "dict", CONF_AT_TOP, CONF_AT_DICT, LABEL_NONE },
	{ "obox", CONF_AT_TOP, CONF_AT_FILTER, LABEL_NONE },
	{ "metacache", CONF_AT_TOP, CONF_AT_FILTER, LABEL_NONE },
	{ "fts", CONF_AT_TOP, CONF_AT_FILTER, LABEL_REQUIRED },
	{ "fs", CONF_AT_FILTER, CONF_AT_FS, LABEL_REQUIRED },
	{ "dict", CONF_AT_FS, CONF_AT_FS, LABEL_REQUIRED },
	{ "metric", CONF_AT_TOP, 0, LABEL_REQUIRED },
	{ "event_exporter", CONF_AT_TOP, 0, LABEL_REQUIRED },
};

/* Misprints of published examples: they are read as what is meant, with a warning. */
static const struct {
	const char *written, *meant;
} section_misprints[] = {
	{ "passed", "passdb" },
};

struct check {
	enum conf_file_kind kind;
	const char *const *ignore;
	size_t ignore_count;
	struct conf_problems *problems;
	const struct conf_section *root;
};

#define check_error(check, where, ...) \
	conf_problem_add((check)->problems, true, (where), __VA_ARGS__)
#define check_warning(check, where, ...) \
	conf_problem_add((check)->problems, false, (where), __VA_ARGS__)

static bool check_ignores(const struct check *check, struct lab_view name)
{
	for (size_t i = 0; i < check->ignore_count; i++) {
		if (lab_view_eq_cstr(name, check->ignore[i]))
			return true;
	}
	return false;
}

/* ---- values ---- */

static int words_check(const char *words, struct lab_view value, struct lab_error *err)
{
	const char *items[WORDS_MAX];
	char copies[WORDS_MAX][32];
	struct lab_view rest = lab_view_cstr(words), word;
	size_t count = 0, index;

	while (count < WORDS_MAX && conf_value_next_word(&rest, &word)) {
		if (lab_view_to_cstr(word, copies[count], sizeof(copies[count])) < 0)
			lab_bug("a word of settings.def is too long");
		items[count] = copies[count];
		count++;
	}
	return conf_value_word(value, items, count, &index, err);
}

static int sample_lookup(
	void *ctx, struct lab_view name, struct lab_view *ret, struct lab_error *err)
{
	(void)ctx;
	(void)name;
	(void)err;
	*ret = LAB_VIEW("value");
	return 1;
}

/* The text as some user would have it, to see whether it can be parsed then. */
static int expand_sample(
	struct lab_arena *arena, struct lab_view text, struct lab_view *ret, struct lab_error *err)
{
	static const struct var_user sample = {
		.user = { (const uint8_t *)"user@example.com", 16 },
		.home = { (const uint8_t *)"/var/vmail/user", 15 },
		.service = { (const uint8_t *)"imap", 4 },
		.session = { (const uint8_t *)"session", 7 },
		.local_ip = { (const uint8_t *)"127.0.0.1", 9 },
		.remote_ip = { (const uint8_t *)"127.0.0.1", 9 },
		.pid = { (const uint8_t *)"1", 1 },
		.hostname = { (const uint8_t *)"host", 4 },
		.auth_token = { (const uint8_t *)"token", 5 },
	};
	struct var_user_table table;

	var_user_table_init(&table, &sample);
	table.table.lookup = sample_lookup;
	return var_expand_arena(arena, text, &table.table, ret, err);
}

/* Without the braces of {{PLACEHOLDERS}}; *ret_first is the first of them, or ptr NULL. */
static struct lab_view fill_placeholders(
	struct lab_arena *arena, struct lab_view text, struct lab_view *ret_first)
{
	uint8_t *out;
	size_t len = 0, open = lab_view_find(text, LAB_VIEW("{{")), close;

	*ret_first = lab_view_of(NULL, 0);
	if (open == SIZE_MAX)
		return text;
	close = lab_view_find(lab_view_skip(text, open), LAB_VIEW("}}"));
	if (close == SIZE_MAX)
		return text;
	*ret_first = lab_view_sub(text, open, close + 2);
	out = lab_arena_alloc(arena, text.len + 1);
	for (size_t i = 0; i < text.len; i++) {
		struct lab_view two = lab_view_sub(text, i, 2);
		if (lab_view_eq_cstr(two, "{{") || lab_view_eq_cstr(two, "}}"))
			i++;
		else
			out[len++] = text.ptr[i];
	}
	return lab_view_of(out, len);
}

/* An example that was cut short: "fscache:1G:/var/cache/mails:...". */
static bool is_abbreviated(struct lab_view uri)
{
	return lab_view_ends_with(uri, LAB_VIEW(":...")) ||
	       lab_view_ends_with(uri, LAB_VIEW(":\xe2\x80\xa6"));
}

static int check_uri(struct check *check, const struct conf_setting *setting, struct lab_error *err)
{
	struct lab_arena *arena = check->problems->arena;
	struct lab_view first, known_only, uri = fill_placeholders(arena, setting->value, &first);

	if (first.ptr != NULL)
		check_warning(
			check, setting->value_where, "%.*s is not filled in", LAB_VIEW_ARG(first));
	if (expand_sample(arena, uri, &uri, err) < 0)
		return -1;
	if (is_abbreviated(uri)) {
		check_warning(check, setting->value_where,
			"the value is abbreviated: its end is not checked");
		return 0;
	}
	if (fs_uri_check(uri, arena, &known_only, err) < 0)
		return -1;
	if (known_only.ptr != NULL)
		check_warning(check, setting->value_where,
			"fs driver %.*s is not part of oboxlab: this configuration can be checked, "
			"not run",
			LAB_VIEW_ARG(known_only));
	return 0;
}

static int check_typed(struct check *check, const struct conf_setting_def *def,
	const struct conf_setting *setting, struct lab_error *err)
{
	struct lab_view value = setting->value;
	uint32_t mode;
	uint64_t number;
	bool flag;

	switch (def->type) {
	case CONF_TYPE_STRING:
		return 0;
	case CONF_TYPE_BOOL:
		return conf_value_bool(value, &flag, err);
	case CONF_TYPE_UINT:
		if (lab_view_eq_cstr(value, "unlimited"))
			return 0;
		return conf_value_uint(value, UINT64_MAX, &number, err);
	case CONF_TYPE_SIZE:
		return conf_value_size(value, &number, err);
	case CONF_TYPE_SECONDS:
		return conf_value_time(value, LAB_SEC, &number, err);
	case CONF_TYPE_MSECS:
		return conf_value_time(value, LAB_MSEC, &number, err);
	case CONF_TYPE_OCTAL:
		return conf_value_octal(value, &mode, err);
	case CONF_TYPE_WORD:
		return words_check(def->words, value, err);
	case CONF_TYPE_FS_URI:
		return check_uri(check, setting, err);
	case CONF_TYPE_TEMPLATE:
		return expand_sample(check->problems->arena, value, &value, err);
	}
	lab_bug("unknown type of a setting");
}

/* ---- names ---- */

struct place_names {
	uint32_t place;
};

/* Names of other places are "" so that the rest keep their numbers; so are patterns. */
static const char *place_name_at(const void *ctx, size_t i)
{
	const struct place_names *names = ctx;
	const struct conf_setting_def *defs;
	size_t count;

	defs = conf_setting_defs(&count);
	if (i >= count)
		return NULL;
	if ((defs[i].places & names->place) == 0 || strpbrk(defs[i].name, "*+") != NULL)
		return "";
	return defs[i].name;
}

static const char *place_text(uint32_t place)
{
	static const struct {
		uint32_t place;
		const char *text;
	} texts[] = { { CONF_AT_PLUGIN, " in plugin" }, { CONF_AT_SERVICE, " in service" },
		{ CONF_AT_LISTENER, " in a listener" }, { CONF_AT_NAMESPACE, " in namespace" },
		{ CONF_AT_MAILBOX, " in mailbox" }, { CONF_AT_PASSDB, " in passdb" },
		{ CONF_AT_USERDB, " in userdb" }, { CONF_AT_FS, " in fs" },
		{ CONF_AT_FILTER, " in a filter" } };

	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		if (texts[i].place == place)
			return texts[i].text;
	}
	return "";
}

static void unknown_setting(struct check *check, const struct conf_setting *setting, uint32_t place)
{
	struct place_names here = { place }, anywhere = { UINT32_MAX };
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	const char *near = conf_suggest(setting->name, place_name_at, &here);

	conf_show(setting->name, shown);
	if (near == NULL && conf_setting_def_find(setting->name, UINT32_MAX) != NULL) {
		check_error(check, setting->where, "setting %s does not belong%s%s", shown,
			place_text(place)[0] == '\0' ? " at the top level" : "", place_text(place));
		return;
	}
	if (near == NULL)
		near = conf_suggest(setting->name, place_name_at, &anywhere);
	check_error(check, setting->where, "unknown setting %s%s", shown, conf_hint(near, hint));
}

static void check_setting(struct check *check, const struct conf_setting *written, uint32_t place)
{
	struct conf_setting setting = *written;
	const struct conf_setting_def *def;
	struct lab_error err;

	if (setting.name.len > 1 && setting.name.ptr[0] == '\'') {
		check_warning(check, setting.where, "the quote before the name is not meant");
		setting.name = lab_view_skip(setting.name, 1);
	}
	def = conf_setting_def_find(setting.name, place);
	if (def == NULL) {
		unknown_setting(check, &setting, place);
		return;
	}
	if (def->removed != NULL)
		check_warning(check, setting.where, "setting %s is gone since %s: %s", def->name,
			def->removed, def->doc);
	if (check_typed(check, def, &setting, &err) < 0)
		check_error(check, setting.value_where, "%.*s: %s", LAB_VIEW_ARG(setting.name),
			err.message);
}

/* ---- sections ---- */

static const char *section_name_at(const void *ctx, size_t i)
{
	const struct place_names *names = ctx;

	if (i >= LAB_COUNT_OF(section_rules))
		return NULL;
	return (section_rules[i].around & names->place) != 0 ? section_rules[i].name : "";
}

static const struct section_rule *section_rule_find(struct lab_view name, uint32_t around)
{
	for (size_t i = 0; i < LAB_COUNT_OF(section_rules); i++) {
		if ((section_rules[i].around & around) != 0 &&
			lab_view_eq_cstr(name, section_rules[i].name))
			return &section_rules[i];
	}
	return NULL;
}

static const struct section_rule *section_rule_of(
	struct check *check, const struct conf_section *section, uint32_t around)
{
	struct place_names here = { around };
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	const struct section_rule *rule = section_rule_find(section->name, around);
	const char *near;

	for (size_t i = 0; rule == NULL && i < LAB_COUNT_OF(section_misprints); i++) {
		if (!lab_view_eq_cstr(section->name, section_misprints[i].written))
			continue;
		rule = section_rule_find(lab_view_cstr(section_misprints[i].meant), around);
		if (rule != NULL)
			check_warning(check, section->where, "%s is a misprint of %s",
				section_misprints[i].written, section_misprints[i].meant);
	}
	if (rule != NULL)
		return rule;
	near = conf_suggest(section->name, section_name_at, &here);
	/* the sections of somebody else's vocabulary stand at the top level too */
	if (near == NULL && section->parent == check->root)
		near = conf_suggest_of(section->name, check->ignore, check->ignore_count);
	check_error(check, section->where, "unknown section %s%s", conf_show(section->name, shown),
		conf_hint(near, hint));
	return NULL;
}

static void check_label(
	struct check *check, const struct conf_section *section, const struct section_rule *rule)
{
	/* 3.1 gives names to nearly everything: a label too many is not an error */
	if (rule->label == LABEL_REQUIRED && section->label.ptr == NULL)
		check_error(check, section->where, "section %s has no name", rule->name);
	else if (rule->label == LABEL_NONE && section->label.ptr != NULL &&
		 rule->place != CONF_AT_DICT)
		check_error(check, section->where, "section %s takes no name", rule->name);
}

static void check_dict(struct check *check, const struct conf_setting *setting)
{
	size_t colon = lab_view_find_byte(setting->value, ':');

	if (setting->section->label.ptr == NULL &&
		(colon == SIZE_MAX || colon == 0 || colon + 1 == setting->value.len))
		check_error(check, setting->value_where, "dict %.*s: it is not <driver>:<file>",
			LAB_VIEW_ARG(setting->name));
}

static void check_settings(struct check *check, const struct conf_section *section, uint32_t place)
{
	bool top = section->parent == NULL;

	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
		if (place == 0 || (top && check_ignores(check, s->name)))
			continue;
		if (place == CONF_AT_DICT)
			check_dict(check, s);
		else
			check_setting(check, s, place);
	}
}

/* Walks the tree without recursion: the tree is as deep as the file says. */
struct check_level {
	const struct conf_section *section;
	uint32_t place;
};

static void check_tree(struct check *check, uint32_t place)
{
	struct check_level levels[CONF_DEPTH_MAX + 2] = { { check->root->children, place } };
	size_t depth = 1;

	check_settings(check, check->root, place);
	while (depth > 0) {
		struct check_level *level = &levels[depth - 1];
		const struct conf_section *section = level->section;
		const struct section_rule *rule;

		if (section == NULL) {
			depth--;
			continue;
		}
		level->section = section->next;
		if (depth == 1 && check_ignores(check, section->name))
			continue;
		/* anything may be in a section that is free */
		if (level->place == 0)
			continue;
		rule = section_rule_of(check, section, level->place);
		if (rule == NULL)
			continue;
		check_label(check, section, rule);
		check_settings(check, section, rule->place);
		levels[depth++] = (struct check_level){ section->children, rule->place };
	}
}

/* ---- advice ---- */

static const struct conf_setting *anywhere(const struct conf_section *root, const char *name)
{
	const struct conf_setting *setting = conf_setting_of(root, "plugin", name);

	return setting != NULL ? setting : conf_setting_in(root, name);
}

/* What obox 1.4 says of the order of drivers and of mail_location. */
static void advise(struct check *check)
{
	const struct conf_setting *location = conf_setting_in(check->root, "mail_location");
	const struct conf_setting *fs = anywhere(check->root, "obox_fs");
	size_t cache, compress;

	if (fs == NULL)
		return;
	cache = lab_view_find(fs->value, LAB_VIEW("fscache"));
	compress = lab_view_find(fs->value, LAB_VIEW("compress:"));
	if (cache != SIZE_MAX && compress != SIZE_MAX && compress < cache)
		check_warning(check, fs->value_where,
			"compress stands left of fscache: every read from the cache then needs a "
			"temporary file");
	if (location != NULL && lab_view_find(fs->value, LAB_VIEW("dictmap:")) != SIZE_MAX &&
		lab_view_starts_with(location->value, LAB_VIEW("obox:")) &&
		!lab_view_starts_with(location->value, LAB_VIEW("obox:%u:")) &&
		!lab_view_eq_cstr(location->value, "obox:%u"))
		check_warning(check, location->value_where,
			"with dictmap mail_location must be obox:%%u:INDEX=~/:CONTROL=~/");
}

/* obox 5.9: an index elsewhere is of this host alone. */
static void advise_on_secondary_indexes(struct check *check)
{
	const struct conf_section *namespace = NULL;

	while ((namespace = conf_section_next(check->root, "namespace", namespace)) != NULL) {
		const struct conf_setting *location = conf_setting_in(namespace, "location");
		struct conf_mail_location parsed;
		const char *lost = NULL;

		if (location != NULL &&
			conf_mail_location_parse(location->value, &parsed, NULL) == 0)
			lost = conf_lost_index(&parsed);
		if (lost != NULL)
			check_warning(check, location->value_where,
				"without exactly %s this namespace's index is not in the user's "
				"root bundle, and is lost when the user moves or the metacache is "
				"cleaned",
				lost);
	}
}

int conf_check(const struct conf_section *root, enum conf_file_kind kind, const char *const *ignore,
	size_t ignore_count, struct conf_problems *problems)
{
	struct check check = { kind, ignore, ignore_count, problems, root };
	size_t before = problems->errors;

	check_tree(&check, kind == CONF_FILE_LDAP ? CONF_AT_LDAP : CONF_AT_TOP);
	if (kind == CONF_FILE_DOVECOT)
		advise(&check);
	if (kind == CONF_FILE_DOVECOT)
		advise_on_secondary_indexes(&check);
	return problems->errors == before ? 0 : -1;
}
