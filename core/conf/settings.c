/* SPDX-License-Identifier: Apache-2.0
 *
 * settings.c - the table of settings, and the struct that the core works with.
 */
#include "core/conf/settings.h"

#include "core/conf/conf-private.h"
#include "core/conf/conf-value.h"

#include <stdio.h>

#define TOP CONF_AT_TOP
#define PLUGIN CONF_AT_PLUGIN
#define SERVICE CONF_AT_SERVICE
#define LISTENER CONF_AT_LISTENER
#define NAMESPACE CONF_AT_NAMESPACE
#define MAILBOX CONF_AT_MAILBOX
#define PASSDB CONF_AT_PASSDB
#define USERDB CONF_AT_USERDB
#define FS CONF_AT_FS
#define LDAP CONF_AT_LDAP
#define FILTER CONF_AT_FILTER

static const struct conf_setting_def defs[] = {
#define S(type, places, name, initial, since, removed, words, doc) \
	{ name, CONF_TYPE_##type, places, initial, since, removed, words, doc },
#include "core/conf/settings.def"
#undef S
};

const struct conf_setting_def *conf_setting_defs(size_t *ret_count)
{
	*ret_count = LAB_COUNT_OF(defs);
	return defs;
}

const char *conf_type_name(enum conf_type type)
{
	static const char *const names[] = { "text", "boolean", "number", "size", "time",
		"time (milliseconds)", "file mode", "word", "fs URI", "text with %variables" };

	return names[type];
}

/* True if the name is what the pattern stands for: '*' for digits, '+' for letters and such. */
static bool name_matches(const char *pattern, struct lab_view name)
{
	size_t i = 0;

	for (; *pattern != '\0'; pattern++) {
		size_t start = i;
		if (*pattern == '*') {
			while (i < name.len && conf_is_digit(name.ptr[i]))
				i++;
		} else if (*pattern == '+') {
			while (i < name.len && conf_is_name_byte(name.ptr[i]))
				i++;
			if (i == start)
				return false;
		} else if (i == name.len || name.ptr[i++] != (uint8_t)*pattern) {
			return false;
		}
	}
	return i == name.len;
}

const struct conf_setting_def *conf_setting_def_find(struct lab_view name, uint32_t place)
{
	for (size_t i = 0; i < LAB_COUNT_OF(defs); i++) {
		if ((defs[i].places & place) != 0 && name_matches(defs[i].name, name))
			return &defs[i];
	}
	return NULL;
}

/* ---- effective settings ---- */

enum field_type {
	FIELD_TEXT,
	FIELD_BOOL,
	FIELD_UINT,
	FIELD_U64,
	FIELD_SIZE,
	FIELD_SECONDS,
	FIELD_MSECS,
	FIELD_SIZE_MISSING_ACTION,
	FIELD_INDEX_MERGING
};
#define AT(name) offsetof(struct conf_settings, name)
#define SAME(name, type) \
	{ \
#name, type, AT(name) \
	}
static const struct field {
	const char *name;
	enum field_type type;
	size_t offset;
} fields[] = {
	SAME(mail_location, FIELD_TEXT),
	SAME(mail_home, FIELD_TEXT),
	SAME(mail_temp_dir, FIELD_TEXT),
	SAME(hostname, FIELD_TEXT),
	SAME(obox_fs, FIELD_TEXT),
	SAME(obox_index_fs, FIELD_TEXT),
	SAME(fts_dovecot_fs, FIELD_TEXT),
	SAME(obox_username, FIELD_TEXT),
	SAME(obox_fetch_lost_mailbox_prefix, FIELD_TEXT),
	SAME(mail_prefetch_count, FIELD_UINT),
	SAME(obox_max_parallel_writes, FIELD_UINT),
	SAME(obox_max_parallel_copies, FIELD_UINT),
	SAME(obox_max_parallel_deletes, FIELD_UINT),
	SAME(obox_max_rescan_mail_count, FIELD_UINT),
	SAME(obox_autofix_storage, FIELD_BOOL),
	SAME(obox_fetch_lost_mails_as_empty, FIELD_BOOL),
	SAME(obox_allow_nonreproducible_uids, FIELD_BOOL),
	SAME(obox_avoid_cached_vsize, FIELD_BOOL),
	SAME(obox_disable_fast_copy, FIELD_BOOL),
	SAME(obox_dont_use_object_ids, FIELD_BOOL),
	SAME(obox_no_pop3_backend_uidls, FIELD_BOOL),
	SAME(obox_track_copy_flags, FIELD_BOOL),
	SAME(obox_mailbox_list_quick_lookups, FIELD_BOOL),
	SAME(obox_size_missing_action, FIELD_SIZE_MISSING_ACTION),
	SAME(obox_refresh_index_once_after, FIELD_U64),
	SAME(obox_rescan_mails_once_after, FIELD_U64),
	{ "metacache_close_delay", FIELD_SECONDS, AT(metacache_close_delay_ns) },
	{ "metacache_forced_refresh_interval", FIELD_SECONDS,
		AT(metacache_forced_refresh_interval_ns) },
	{ "metacache_upload_interval", FIELD_SECONDS, AT(metacache_upload_interval_ns) },
	SAME(metacache_bg_root_uploads, FIELD_BOOL),
	SAME(metacache_disable_secondary_indexes, FIELD_BOOL),
	SAME(metacache_max_space, FIELD_SIZE),
	SAME(metacache_max_grace, FIELD_SIZE),
	SAME(metacache_max_parallel_requests, FIELD_UINT),
	SAME(metacache_merge_max_uid_renumbers, FIELD_UINT),
	SAME(metacache_index_merging, FIELD_INDEX_MERGING),
	SAME(metacache_disable_merging, FIELD_BOOL),
	SAME(metacache_priority_weights, FIELD_TEXT),
	SAME(metacache_size_weights, FIELD_TEXT),
	{ "metacache_rescan_interval", FIELD_SECONDS, AT(metacache_rescan_interval_ns) },
	SAME(metacache_roots, FIELD_TEXT),
	SAME(metacache_userdb, FIELD_TEXT),
	SAME(metacache_last_host_dict, FIELD_TEXT),
	SAME(mail_chroot, FIELD_TEXT),
	SAME(state_dir, FIELD_TEXT),
	SAME(fts, FIELD_TEXT),
	SAME(fts_autoindex, FIELD_BOOL),
	SAME(fts_dovecot_min_merge_l_file_size, FIELD_SIZE),
	SAME(fts_dovecot_mail_flush_interval, FIELD_UINT),
	SAME(fts_dovecot_max_triplets, FIELD_UINT),
	SAME(fts_dovecot_message_count_stats, FIELD_BOOL),
	SAME(fts_dovecot_prefix, FIELD_BOOL),
	{ "lazy_expunge", FIELD_TEXT, AT(lazy_expunge_mailbox) },
	SAME(lazy_expunge_only_last_instance, FIELD_BOOL),
	SAME(quota, FIELD_TEXT),
	SAME(quota2, FIELD_TEXT),
	SAME(quota_grace, FIELD_TEXT),
	SAME(quota_vsizes, FIELD_BOOL),
	SAME(quota_max_mail_size, FIELD_SIZE),
	SAME(quota_exceeded_message, FIELD_TEXT),
	SAME(quota_full_tempfail, FIELD_BOOL),
	SAME(mail_attachment_detection_options, FIELD_TEXT),
	SAME(fs_auth_cache_dict, FIELD_TEXT),
	SAME(fs_auth_request_max_retries, FIELD_UINT),
	{ "fs_auth_request_timeout", FIELD_MSECS, AT(fs_auth_request_timeout_ns) },
};

bool conf_setting_is_read(const struct conf_setting_def *def)
{
	static const char *const numbered[] = { "quota_rule*", "lazy_expunge_exclude*",
		"fts_autoindex_exclude*", "quota*" };

	for (size_t i = 0; i < LAB_COUNT_OF(numbered); i++) {
		if (strcmp(def->name, numbered[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < LAB_COUNT_OF(fields); i++) {
		if (strcmp(def->name, fields[i].name) == 0)
			return true;
	}
	return false;
}

static int set_u64(enum field_type type, void *at, struct lab_view text, struct lab_error *err)
{
	uint64_t value;
	int result;

	if (type == FIELD_SIZE)
		result = conf_value_size(text, &value, err);
	else if (type == FIELD_SECONDS)
		result = conf_value_time(text, LAB_SEC, &value, err);
	else if (type == FIELD_MSECS)
		result = conf_value_time(text, LAB_MSEC, &value, err);
	else
		result = conf_value_uint(text, INT64_MAX, &value, err);
	if (result == 0)
		memcpy(at, &value, sizeof(value));
	return result;
}

static int set_size_missing_action(void *at, struct lab_view text, struct lab_error *err)
{
	static const char *const words[] = { "warn-read", "read", "stat" };
	enum conf_size_missing_action action;
	size_t word;

	if (conf_value_word(text, words, LAB_COUNT_OF(words), &word, err) < 0)
		return -1;
	action = (enum conf_size_missing_action)word;
	memcpy(at, &action, sizeof(action));
	return 0;
}

static int set_index_merging(void *at, struct lab_view text, struct lab_error *err)
{
	static const char *const words[] = { "v2", "v1", "none" };
	enum conf_index_merging merging;
	size_t word;

	if (conf_value_word(text, words, LAB_COUNT_OF(words), &word, err) < 0)
		return -1;
	merging = (enum conf_index_merging)word;
	memcpy(at, &merging, sizeof(merging));
	return 0;
}

static int set_field(struct conf_settings *settings, const struct field *field,
	struct lab_view text, struct conf_where where, struct lab_error *err)
{
	void *at = (uint8_t *)settings + field->offset;
	struct conf_text placed = { text, where };
	uint64_t number;
	bool flag;

	switch (field->type) {
	case FIELD_TEXT:
		memcpy(at, &placed, sizeof(placed));
		return 0;
	case FIELD_BOOL:
		if (conf_value_bool(text, &flag, err) < 0)
			return -1;
		memcpy(at, &flag, sizeof(flag));
		return 0;
	case FIELD_UINT:
		if (conf_value_uint(text, INT32_MAX, &number, err) < 0)
			return -1;
		memcpy(at, &(unsigned){ (unsigned)number }, sizeof(unsigned));
		return 0;
	case FIELD_SIZE_MISSING_ACTION:
		return set_size_missing_action(at, text, err);
	case FIELD_INDEX_MERGING:
		return set_index_merging(at, text, err);
	case FIELD_U64:
	case FIELD_SIZE:
	case FIELD_SECONDS:
	case FIELD_MSECS:
		break;
	}
	return set_u64(field->type, at, text, err);
}

static void set_default(struct conf_settings *settings, const struct field *field)
{
	static const struct conf_where nowhere;
	const struct conf_setting_def *def =
		conf_setting_def_find(lab_view_cstr(field->name), TOP | PLUGIN);
	struct lab_error err;

	lab_assert(def != NULL);
	if (def->initial != NULL &&
		set_field(settings, field, lab_view_cstr(def->initial), nowhere, &err) < 0)
		lab_bug("a default of settings.def is wrong");
}

static int load_field(const struct conf_section *root, const struct field *field,
	struct conf_settings *settings, struct lab_error *err)
{
	const struct conf_setting *setting = conf_setting_of(root, "plugin", field->name);
	struct lab_error why;

	set_default(settings, field);
	if (setting == NULL)
		setting = conf_setting_in(root, field->name);
	if (setting == NULL)
		return 0;
	if (set_field(settings, field, setting->value, setting->value_where, &why) < 0)
		return conf_fail(err, setting->value_where, "%s: %s", field->name, why.message);
	return 0;
}

/* That of a name stands where it was set first, and is what was set last. */
static struct conf_dict *dict_slot(struct conf_settings *settings, struct lab_view name)
{
	for (size_t i = 0; i < settings->dict_count; i++) {
		if (lab_view_eq(settings->dicts[i].name, name))
			return &settings->dicts[i];
	}
	return settings->dict_count == CONF_DICTS_MAX ? NULL
						      : &settings->dicts[settings->dict_count++];
}

static int load_dict(const struct conf_setting *setting, struct lab_arena *arena,
	struct conf_settings *settings, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	struct lab_view rest = setting->value, driver;
	struct conf_dict *dict;

	if (!lab_view_split(&rest, ':', &driver) || driver.len == 0 || rest.len == 0)
		return conf_fail(err, setting->value_where, "'%s' is not <driver>:<file>",
			conf_show(setting->value, shown));
	dict = dict_slot(settings, setting->name);
	if (dict == NULL)
		return conf_fail(err, setting->where, "there are more than %u dicts",
			(unsigned)CONF_DICTS_MAX);
	*dict = (struct conf_dict){ setting->name, driver,
		conf_resolve_path(arena, setting->where.file, rest), setting->where };
	return 0;
}

static int load_dicts(const struct conf_section *root, struct lab_arena *arena,
	struct conf_settings *settings, struct lab_error *err)
{
	const struct conf_section *section = NULL;

	while ((section = conf_section_next(root, "dict", section)) != NULL) {
		for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
			if (section->label.ptr == NULL && load_dict(s, arena, settings, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* name, name2, name3, ... up to the first that is not there, as in Dovecot. */
static int load_numbered(const struct conf_section *root, const char *name, size_t max,
	struct conf_text *ret, size_t *ret_count, struct lab_error *err)
{
	const struct conf_setting *setting;
	char numbered[64];

	for (size_t i = 0;; i++) {
		if (i == 0)
			(void)snprintf(numbered, sizeof(numbered), "%s", name);
		else
			(void)snprintf(numbered, sizeof(numbered), "%s%zu", name, i + 1);
		setting = conf_setting_of(root, "plugin", numbered);
		if (setting == NULL)
			setting = conf_setting_in(root, numbered);
		if (setting == NULL)
			return 0;
		if (i == max)
			return conf_fail(err, setting->where, "more than %zu of %s", max, name);
		ret[(*ret_count)++] = (struct conf_text){ setting->value, setting->value_where };
	}
}

static int load_mailbox(
	const struct conf_section *section, struct conf_settings *settings, struct lab_error *err)
{
	const struct conf_setting *after = conf_setting_in(section, "autoexpunge");
	const struct conf_setting *max = conf_setting_in(section, "autoexpunge_max_mails");
	struct conf_mailbox mailbox = { .name = section->label };
	uint64_t count = 0;
	struct lab_error why;

	if (after != NULL &&
		conf_value_time(after->value, LAB_SEC, &mailbox.autoexpunge_ns, &why) < 0)
		return conf_fail(err, after->value_where, "autoexpunge: %s", why.message);
	if (max != NULL && conf_value_uint(max->value, INT32_MAX, &count, &why) < 0)
		return conf_fail(err, max->value_where, "autoexpunge_max_mails: %s", why.message);
	if (settings->mailbox_count == CONF_MAILBOXES_MAX)
		return conf_fail(err, section->where, "there are more than %d mailboxes",
			CONF_MAILBOXES_MAX);
	mailbox.autoexpunge_max_mails = (unsigned)count;
	settings->mailboxes[settings->mailbox_count++] = mailbox;
	return 0;
}

static int load_mailboxes(
	const struct conf_section *root, struct conf_settings *settings, struct lab_error *err)
{
	const struct conf_section *namespace = NULL, *mailbox;

	while ((namespace = conf_section_next(root, "namespace", namespace)) != NULL) {
		mailbox = NULL;
		while ((mailbox = conf_section_next(namespace, "mailbox", mailbox)) != NULL) {
			if (load_mailbox(mailbox, settings, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Of what cannot be read conf_check() tells. */
static void load_locations(const struct conf_section *root, struct conf_settings *settings)
{
	const struct conf_section *namespace = NULL;

	while ((namespace = conf_section_next(root, "namespace", namespace)) != NULL) {
		const struct conf_setting *location = conf_setting_in(namespace, "location");
		struct conf_mail_location parsed;
		const char *lost = NULL;

		if (location != NULL &&
			conf_mail_location_parse(location->value, &parsed, NULL) == 0)
			lost = conf_lost_index(&parsed);
		if (lost == NULL)
			continue;
		if (lab_view_eq_cstr(parsed.driver, "virtual"))
			settings->virtual_index_is_elsewhere = true;
		else
			settings->private_index_is_elsewhere = true;
	}
}

static void load_inherited(struct conf_settings *settings)
{
	unsigned *parallel[] = { &settings->obox_max_parallel_writes,
		&settings->obox_max_parallel_copies, &settings->obox_max_parallel_deletes };

	if (settings->obox_index_fs.text.ptr == NULL)
		settings->obox_index_fs = settings->obox_fs;
	for (size_t i = 0; i < LAB_COUNT_OF(parallel); i++) {
		if (*parallel[i] == 0)
			*parallel[i] = LAB_MAX(settings->mail_prefetch_count, 1u);
	}
	settings->lazy_expunge = settings->lazy_expunge_mailbox.text.len > 0;
}

int conf_settings_load(const struct conf_section *root, struct lab_arena *arena,
	struct conf_settings *ret, struct lab_error *err)
{
	struct conf_settings settings = { .dict_count = 0 };

	for (size_t i = 0; i < LAB_COUNT_OF(fields); i++) {
		if (load_field(root, &fields[i], &settings, err) < 0)
			return -1;
	}
	if (load_dicts(root, arena, &settings, err) < 0 ||
		load_mailboxes(root, &settings, err) < 0 ||
		load_numbered(root, "quota_rule", CONF_QUOTA_RULES_MAX, settings.quota_rules,
			&settings.quota_rule_count, err) < 0 ||
		load_numbered(root, "lazy_expunge_exclude", CONF_EXCLUDES_MAX,
			settings.lazy_expunge_exclude, &settings.lazy_expunge_exclude_count,
			err) < 0 ||
		load_numbered(root, "fts_autoindex_exclude", CONF_EXCLUDES_MAX,
			settings.fts_autoindex_exclude, &settings.fts_autoindex_exclude_count,
			err) < 0)
		return -1;
	load_inherited(&settings);
	load_locations(root, &settings);
	*ret = settings;
	return 0;
}

const struct conf_dict *conf_settings_dict(
	const struct conf_settings *settings, struct lab_view name)
{
	for (size_t i = 0; i < settings->dict_count; i++) {
		if (lab_view_eq(settings->dicts[i].name, name))
			return &settings->dicts[i];
	}
	return NULL;
}

/* The next part of a mail location. A ':' inside "%{...}" belongs to the variable. */
static bool split_location(struct lab_view *rest, struct lab_view *ret)
{
	bool in_variable = false;
	size_t i = 0;

	if (rest->ptr == NULL)
		return false;
	for (; i < rest->len && (in_variable || rest->ptr[i] != ':'); i++) {
		if (rest->ptr[i] == '{')
			in_variable = true;
		else if (rest->ptr[i] == '}')
			in_variable = false;
	}
	*ret = lab_view_sub(*rest, 0, i);
	*rest = i == rest->len ? (struct lab_view){ NULL, 0 } : lab_view_skip(*rest, i + 1);
	return true;
}

int conf_mail_location_parse(
	struct lab_view text, struct conf_mail_location *ret, struct lab_error *err)
{
	struct conf_mail_location made = { .driver = { NULL, 0 } };
	struct lab_view rest = text, part, key;
	char shown[CONF_SHOW_MAX + 4];

	if (!split_location(&rest, &made.driver) || made.driver.len == 0 || rest.ptr == NULL)
		return lab_fail(err, LAB_INVALID, "'%s' is not <driver>:<path>[:<KEY>=<value>...]",
			conf_show(text, shown));
	(void)split_location(&rest, &made.path);
	while (split_location(&rest, &part)) {
		struct lab_view value = part;
		lab_view_split(&value, '=', &key);
		if (value.ptr == NULL && !lab_view_eq_cstr(key, "UTF-8") &&
			!lab_view_eq_cstr(key, "BROKENCHAR"))
			return lab_fail(err, LAB_INVALID,
				"'%s' in the mail location is not KEY=value",
				conf_show(part, shown));
		if (lab_view_eq_cstr(key, "INDEX"))
			made.index = value;
		else if (lab_view_eq_cstr(key, "CONTROL"))
			made.control = value;
		else if (lab_view_eq_cstr(key, "INDEXPVT"))
			made.index_pvt = value;
	}
	*ret = made;
	return 0;
}

const char *conf_lost_index(const struct conf_mail_location *location)
{
	if (lab_view_eq_cstr(location->driver, "virtual") &&
		!lab_view_eq_cstr(location->index, CONF_VIRTUAL_INDEX))
		return "INDEX=" CONF_VIRTUAL_INDEX;
	if (location->index_pvt.ptr != NULL &&
		!lab_view_eq_cstr(location->index_pvt, CONF_PRIVATE_INDEX))
		return "INDEXPVT=" CONF_PRIVATE_INDEX;
	return NULL;
}
