/* SPDX-License-Identifier: Apache-2.0
 *
 * settings.h - which settings there are, and what the core reads of them.
 *
 * Purpose    conf_check() says of a whole dovecot.conf what is wrong with it: every unknown setting
 *            or section, every value of the wrong type, every fs URI that cannot be parsed.
 *            conf_settings_load() fills the struct that the core works with. Settings that Dovecot
 *            has but that nothing here uses yet are known, and their type is checked.
 * Ownership  Borrowed from the tree and from the arena given.
 * Errors     "FILE:LINE:COLUMN: <sentence>", all of them at once from conf_check().
 * See also   settings.def (the list), obox 4.5, 5.1, 6, 1.9.
 */
#ifndef LAB_CONF_SETTINGS_H
#define LAB_CONF_SETTINGS_H

#include "core/conf/conf.h"

enum conf_type {
	CONF_TYPE_STRING,
	CONF_TYPE_BOOL,
	CONF_TYPE_UINT,
	CONF_TYPE_SIZE,
	CONF_TYPE_SECONDS, /* time; a bare number counts seconds */
	CONF_TYPE_MSECS,   /* time; a bare number counts milliseconds */
	CONF_TYPE_OCTAL,
	CONF_TYPE_WORD,    /* one of `words` */
	CONF_TYPE_FS_URI,  /* fs-uri.h */
	CONF_TYPE_TEMPLATE /* a text with %variables */
};
const char *conf_type_name(enum conf_type type);

/* Where a setting may stand: bits. */
enum conf_place {
	CONF_AT_TOP = 1 << 0, /* and in protocol, local, remote */
	CONF_AT_PLUGIN = 1 << 1,
	CONF_AT_SERVICE = 1 << 2,
	CONF_AT_LISTENER = 1 << 3, /* unix_listener, fifo_listener, inet_listener */
	CONF_AT_NAMESPACE = 1 << 4,
	CONF_AT_MAILBOX = 1 << 5,
	CONF_AT_PASSDB = 1 << 6,
	CONF_AT_USERDB = 1 << 7,
	CONF_AT_FS = 1 << 8,     /* 3.1: fs NAME { } */
	CONF_AT_DICT = 1 << 9,   /* dict { name = uri }, and 3.1 dict NAME { } */
	CONF_AT_LDAP = 1 << 10,  /* dovecot-ldap.conf.ext */
	CONF_AT_FILTER = 1 << 11 /* 3.1: obox { }, metacache { }, fts NAME { } */
};

struct conf_setting_def {
	const char *name; /* '*' is nothing or digits ("quota_rule*"), '+' letters */
	enum conf_type type;
	uint32_t places;
	const char *initial; /* default in 3.0, as text; NULL: none */
	const char *since;   /* version, or NULL */
	const char *removed; /* version it is gone in, or NULL: known, but warned about */
	const char *words;   /* CONF_TYPE_WORD: separated by spaces */
	const char *doc;     /* one line */
};
/* In the order of settings.def. */
const struct conf_setting_def *conf_setting_defs(size_t *ret_count);
/* The definition for a name in a place, or NULL. */
const struct conf_setting_def *conf_setting_def_find(struct lab_view name, uint32_t place);

enum conf_file_kind {
	CONF_FILE_DOVECOT,
	CONF_FILE_LDAP /* dovecot-ldap.conf.ext */
};
/* Adds what is wrong to `problems`. 0 if there are no errors (warnings do not count), or -1.
 * `ignore` (may be NULL) lists top level sections and settings of somebody else's vocabulary (a
 * .scn file that includes a dovecot.conf), to be passed over. */
int conf_check(const struct conf_section *root, enum conf_file_kind kind, const char *const *ignore,
	size_t ignore_count, struct conf_problems *problems);

/* Why it changes nothing here, or NULL: it has an effect, is gone, or is none of obox's and its
 * plugins'. no-effect.def is the list. */
const char *conf_setting_no_effect(const struct conf_setting_def *def);
/* Adds a warning for each of them that is set. */
void conf_check_effects(const struct conf_section *root, struct conf_problems *problems);
/* Whether conf_settings_load() reads it. */
bool conf_setting_is_read(const struct conf_setting_def *def);

#define CONF_DICTS_MAX 32

/* A text and where it was set; where.file is NULL if it is the default. */
struct conf_text {
	struct lab_view text;
	struct conf_where where;
};
/* dict { name = driver:args }: args is a path relative to the file it stands in, resolved. */
struct conf_dict {
	struct lab_view name, driver, path;
	struct conf_where where;
};

#define CONF_QUOTA_RULES_MAX 64
#define CONF_EXCLUDES_MAX 64
#define CONF_MAILBOXES_MAX 64

/* mailbox NAME { } of a namespace */
struct conf_mailbox {
	struct lab_view name;
	uint64_t autoexpunge_ns;        /* 0: never */
	unsigned autoexpunge_max_mails; /* 0: no limit */
};

enum conf_size_missing_action {
	CONF_SIZE_WARN_READ,
	CONF_SIZE_READ,
	CONF_SIZE_STAT
};

enum conf_index_merging {
	CONF_MERGING_V2,
	CONF_MERGING_V1,
	CONF_MERGING_NONE
};

/* Effective settings of the core. Texts with %variables are not expanded yet. */
struct conf_settings {
	struct conf_text mail_location; /* "obox:%u:INDEX=~/:CONTROL=~/" */
	struct conf_text mail_home;
	struct conf_text mail_temp_dir;                  /* "/tmp" */
	struct conf_text hostname;                       /* ptr NULL: the host's own */
	struct conf_text obox_fs;                        /* ptr NULL if unset */
	struct conf_text obox_index_fs;                  /* obox_fs if unset */
	struct conf_text fts_dovecot_fs;                 /* ptr NULL if unset */
	struct conf_text obox_username;                  /* ptr NULL: from mail_location */
	struct conf_text obox_fetch_lost_mailbox_prefix; /* "recovered-lost-folder-" */

	unsigned mail_prefetch_count; /* 0 */
	/* mail_prefetch_count unless set; at least 1 */
	unsigned obox_max_parallel_writes, obox_max_parallel_copies, obox_max_parallel_deletes;
	unsigned obox_max_rescan_mail_count; /* 10 */
	bool obox_autofix_storage;
	bool obox_fetch_lost_mails_as_empty;
	bool obox_allow_nonreproducible_uids;
	bool obox_avoid_cached_vsize;
	bool obox_disable_fast_copy;
	bool obox_dont_use_object_ids;
	bool obox_no_pop3_backend_uidls;
	bool obox_track_copy_flags;
	bool obox_mailbox_list_quick_lookups;
	enum conf_size_missing_action obox_size_missing_action;
	uint64_t obox_refresh_index_once_after; /* unix seconds; 0: never */
	uint64_t obox_rescan_mails_once_after;

	uint64_t metacache_close_delay_ns;             /* 2 s */
	uint64_t metacache_forced_refresh_interval_ns; /* 8 h */
	uint64_t metacache_upload_interval_ns;         /* 5 min */
	bool metacache_bg_root_uploads;
	bool metacache_disable_secondary_indexes;
	/* Some namespace keeps them where no root bundle looks for them. */
	bool virtual_index_is_elsewhere, private_index_is_elsewhere;
	uint64_t metacache_max_space;               /* 0: no limit */
	uint64_t metacache_max_grace;               /* 1 GB */
	unsigned metacache_max_parallel_requests;   /* 10 */
	unsigned metacache_merge_max_uid_renumbers; /* 100 */
	enum conf_index_merging metacache_index_merging;
	bool metacache_disable_merging;              /* up to 2.3: as none */
	struct conf_text metacache_priority_weights; /* "10% +1d 10% +1d 50% +1h 100% 0" */
	struct conf_text metacache_size_weights;     /* "2M +30 1G +120" */
	uint64_t metacache_rescan_interval_ns;       /* 1 day; 0: never */
	struct conf_text metacache_roots;            /* mail_home and mail_chroot */
	struct conf_text metacache_userdb;           /* relative to state_dir */
	struct conf_text metacache_last_host_dict;   /* empty: nobody is asked */
	struct conf_text mail_chroot, state_dir;

	struct conf_text fts; /* "dovecot"; ptr NULL: no full text search */
	bool fts_autoindex;
	struct conf_text fts_autoindex_exclude[CONF_EXCLUDES_MAX]; /* as lazy_expunge_exclude */
	size_t fts_autoindex_exclude_count;
	uint64_t fts_dovecot_min_merge_l_file_size; /* 128 kB */
	unsigned fts_dovecot_mail_flush_interval;   /* 10; 0: off */
	unsigned fts_dovecot_max_triplets;          /* 200; 0: no limit */
	bool fts_dovecot_message_count_stats;
	bool fts_dovecot_prefix;

	bool lazy_expunge; /* plugin setting lazy_expunge is there */
	struct conf_text lazy_expunge_mailbox;
	bool lazy_expunge_only_last_instance;
	struct conf_text lazy_expunge_exclude[CONF_EXCLUDES_MAX]; /* names, masks, \Special-use */
	size_t lazy_expunge_exclude_count;

	struct conf_text quota, quota2; /* "count:User quota"; ptr NULL: none */
	struct conf_text quota_rules[CONF_QUOTA_RULES_MAX];
	size_t quota_rule_count;
	struct conf_text quota_grace; /* "10%%" */
	bool quota_vsizes;
	uint64_t quota_max_mail_size; /* 0: no limit */
	struct conf_text quota_exceeded_message;
	bool quota_full_tempfail;

	struct conf_text mail_attachment_detection_options;
	struct conf_mailbox mailboxes[CONF_MAILBOXES_MAX];
	size_t mailbox_count;

	struct conf_text fs_auth_cache_dict;
	unsigned fs_auth_request_max_retries; /* 1 */
	uint64_t fs_auth_request_timeout_ns;  /* 10 s */

	struct conf_dict dicts[CONF_DICTS_MAX];
	size_t dict_count;
};

/* Fills *ret from a tree: the plugin section first, then the top level; what is not set has the
 * default of 3.0. The first wrong value is the error (run conf_check() for all). 0, or -1. */
int conf_settings_load(const struct conf_section *root, struct lab_arena *arena,
	struct conf_settings *ret, struct lab_error *err);
/* The dict of that name, or NULL. */
const struct conf_dict *conf_settings_dict(
	const struct conf_settings *settings, struct lab_view name);

/* mail_location, taken apart: "obox:%u:INDEX=~/:CONTROL=~/". */
struct conf_mail_location {
	struct lab_view driver;                    /* "obox" */
	struct lab_view path;                      /* "%u" */
	struct lab_view index, control, index_pvt; /* ptr NULL if not given */
};
int conf_mail_location_parse(
	struct lab_view text, struct conf_mail_location *ret, struct lab_error *err);

/* Where secondary indexes must be, exactly, to be in the user's root bundle (obox 5.9). */
#define CONF_VIRTUAL_INDEX "~/virtual"
#define CONF_PRIVATE_INDEX "~/shared-pvt"
/* Whether the location has such an index elsewhere: which one, or NULL. */
const char *conf_lost_index(const struct conf_mail_location *location);

#endif
