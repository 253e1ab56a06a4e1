/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.h - a .scn file: what there is, what users do, what goes wrong.
 *
 * Purpose    Reads a scenario and the operator's settings that it includes, checks both as a whole
 *            before anything runs, and keeps every knob as a range from which a seed draws
 *            (DESIGN 6, simulation 4.2).
 * Grammar    dovecot.conf's (core/conf/conf.h). `key = value` is fixed, `2..5`, `qlog 1s..90s`,
 *            `lognormal 12ms..80ms` are knobs, `a | b` is a choice. README.md lists every key.
 * Ownership  Everything lives in the arena given to scenario_load().
 * Errors     All problems at once in `problems`; -1 LAB_INVALID if any is an error.
 */
#ifndef SCENARIOS_SCENARIO_H
#define SCENARIOS_SCENARIO_H

#include "core/base/defect.h"
#include "core/cluster/geodb.h"
#include "core/cluster/route.h"
#include "core/conf/conf-value.h"
#include "core/conf/dict-cql.h"
#include "core/conf/fs-uri.h"
#include "core/conf/settings.h"
#include "core/obox/backend.h"
#include "core/obox/obox.h"
#include "scenarios/operator/operator.h"
#include "sim/faults/faults.h"
#include "sim/oracle/history.h"
#include "sim/s3-emulator/s3-emulator.h"

/* Mails of one request, and folders of one user besides INBOX. */
#define CLIENT_BULK_MAX OBOX_BATCH
#define CLIENT_FOLDERS_MAX 16

#define SCENARIO_SITES_MAX 16
#define SCENARIO_GROUPS_MAX 16
#define SCENARIO_FAULTS_MAX 64
#define SCENARIO_OPERATORS_MAX 16
#define SCENARIO_SCRIPTS_MAX 8
#define SCENARIO_KNOBS_MAX 16
#define SCENARIO_SCHEDULES 3 /* enum world_schedule */
#define SCENARIO_TARGETS_MAX 16
#define SCENARIO_LANES_MAX 16u
#define SCENARIO_MAILS_MAX 2000000 /* of a user, before the run */
#define SCENARIO_DICTS_MAX 8
#define SCENARIO_BACKENDS_MAX 255 /* of all sites */
#define SCENARIO_CQL_NODES_MAX 32
#define SCENARIO_PROXIES_MAX 16                 /* of a site */
#define SCENARIO_MEMORY_MAX (UINT64_C(6) << 30) /* of a backend */
#define SCENARIO_USERS_MAX 1000000              /* of all groups */
#define SCENARIO_STEPS_MAX 4000                 /* of a file */
#define SCENARIO_EPISODES_MAX 1000              /* of a file */
#define SCENARIO_NAME_MAX 31                    /* bytes of the name of a site, group or fault */

/* site NAME { }: an availability zone with its backends. */
struct scenario;

struct scenario_site {
	struct lab_view name;
	struct conf_range backends;
	/* Settings of its backends instead of the scenario's, empty: none. They may compress in
	 * another way, have older dict maps, and whatever else leaves rows and objects alone. */
	struct lab_view conf;
	const struct scenario *own; /* with `conf` and `dicts` of those; NULL: none */
	/* With data_center_per_zone: the dicts with the zone's own nodes; else NULL. */
	const struct backend_dict *dicts;
};

/* user NAME { }: a group of users of one behaviour. Keys and meaning are imaptest's profile.conf's
 * where it has them. */
struct scenario_group {
	struct lab_view name;
	struct conf_range count;
	struct conf_range mail_inbox_delivery_interval; /* ns between deliveries to a user */
	struct conf_range mail_session_interval;        /* from the end of a session to the next */
	struct conf_range mail_session_length;
	struct conf_range mail_action_delay; /* between actions of a session */
	struct conf_range mail_size;         /* bytes, of generated mails */
	struct conf_range mails;             /* that INBOX has before the run begins */
	struct conf_range folders;           /* besides INBOX */
	struct conf_range backends_at_once;  /* that serve a user, each with its own sessions */
	struct conf_range move_interval;     /* ns on one backend; 0: for good */
	/* Of the actions of a session, ppm; the rest reads a mail. */
	struct conf_range mail_inbox_delete_percentage;
	struct conf_range mail_inbox_move_percentage;
	struct conf_range mail_inbox_copy_percentage;
	struct conf_range mail_inbox_store_percentage; /* sets or clears a flag */
	struct conf_range mail_search_percentage;      /* SEARCH TEXT by the FTS index */
	struct conf_range mail_sieve_flag_percentage;  /* of the deliveries */
	struct conf_range mail_bulk_count;             /* mails that one move or expunge takes */
	struct conf_range mail_fetch_count;            /* bodies that one FETCH asks for */
	struct conf_range mail_delivery_retries;       /* of the sending MTA, after a failure */
	struct conf_range mail_delivery_retry_delay;
	struct conf_range mail_delivery_timeout; /* of an attempt; 0: none */
	bool idle;                               /* only scripts act for them */
	bool imap_idle; /* sessions by way of proxies hear at once that they are cut off */
	bool tour;      /* instead of all that: everything once (tour.h) */
	struct conf_range tour_expunge; /* ppm of INBOX */
	/* Of the actions of a session, ppm, before those on mails; and of the deliveries. */
	struct conf_range mailbox_create_percentage, mailbox_delete_percentage;
	struct conf_range mailbox_rename_percentage, mailbox_subscribe_percentage;
	struct conf_range mailbox_status_percentage, mail_sieve_fileinto_percentage;
	struct conf_range mail_attachment_percentage, mail_quota_percentage;
	struct conf_range mail_private_seen_percentage, mail_virtual_percentage;
	struct conf_range obox_user_delete_interval; /* 0: never */
};

/* Folders come and go (who knows what a script does): nothing but a delivery, a copy or a move
 * makes one that is not there. */
static inline bool scenario_changes_folders(const struct scenario_group *group)
{
	return group->mailbox_create_percentage.high > 0 ||
	       group->mailbox_delete_percentage.high > 0 ||
	       group->mailbox_rename_percentage.high > 0 ||
	       group->mailbox_subscribe_percentage.high > 0 ||
	       group->mailbox_status_percentage.high > 0 ||
	       group->obox_user_delete_interval.high > 0 || group->idle;
}

enum scenario_target {
	SCENARIO_TARGET_ANY,     /* everywhere */
	SCENARIO_TARGET_BACKEND, /* each backend by name */
	SCENARIO_TARGET_NODE,    /* each Cassandra node */
	SCENARIO_TARGET_ZONE,
	SCENARIO_TARGET_S3,
	SCENARIO_TARGET_IMDS,
	SCENARIO_TARGET_PROXY,
	SCENARIO_TARGET_CONTROLLER
};

/* fault NAME { }. */
struct scenario_fault {
	struct lab_view name;
	struct conf_where where;
	fault_kind_set kinds;
	uint64_t points;
	enum scenario_target target, other;
	struct lab_view only;     /* a single target by name; empty: all of the sort */
	struct lab_view keyspace; /* empty: whatever the request is about */
	struct conf_range episodes, length, rate, amount;
	unsigned disks;
	bool in_warmup, in_storm;
};

/* operator NAME { }: a command that is given at a time, or again and again. */
struct scenario_operator {
	struct lab_view name;
	struct conf_where where;
	struct lab_view command; /* with %u: once for each user */
	struct lab_view backend; /* "all": on each that is up; or its name */
	struct conf_range at;    /* from the start of the storm */
	struct conf_range every; /* 0: once */
};

/* step NAME { }: one operation that happens at that time, whatever the seed (steps.h). */
struct scenario_step {
	struct lab_view name;
	struct conf_where where;
	uint64_t at_ns;          /* from the start of the run */
	enum history_kind what;  /* which of them: scenario_step_kinds */
	uint64_t user;           /* its number, from 1 */
	uint64_t session;        /* steps of one number are one connection; 0: one of its own */
	struct lab_view backend; /* "backend-2" */
	struct lab_view folder;  /* "INBOX" */
	struct lab_view target;  /* copy, move, rename: the other folder */
	struct lab_view mails;   /* scenario_next_mail() */
	struct lab_view flag;    /* store; deliver: what Sieve adds */
	bool is_set;             /* store, subscribe: set, not cleared */
	struct lab_view word;    /* search: for it; empty: for the mail */
	struct lab_view special; /* create: special use */
	struct lab_view command; /* operate */
};
/* "17@5, 18": mails by their numbers, each with the UID that it had in that folder; ?@5 is one
 * whose number nobody knew. Takes the next one off the front: false at the end. */
struct scenario_mail {
	uint32_t number; /* of the user's deliveries, from 1; 0: not known */
	uint32_t uid;    /* 0: not told */
};
bool scenario_next_mail(struct lab_view *rest, struct scenario_mail *ret);

/* episode NAME { }: an exact episode of faults, or one exact fault. */
struct scenario_episode {
	struct lab_view name;
	struct conf_where where;
	fault_kind_set kind; /* one */
	uint64_t points;
	uint64_t at_ns, length_ns; /* length 0: to the end of the storm */
	struct lab_view target, other, keyspace;
	uint64_t rate, nth;
	bool is_lasting;
	uint64_t lasting_ns;
	struct conf_range amount;
	bool backwards;
	unsigned disk;
	uint64_t down_ns; /* above 0: who asked crashes */
	struct lab_view after, draws;
};

/* knob NAME { }: a setting of dovecot.conf that each seed sets anew (scenario-turn.c). */
struct scenario_knob {
	struct lab_view name;
	struct conf_where where;
	struct lab_view setting; /* "metacache_upload_interval", "obox_fs:bucket-size" */
	struct lab_view value;   /* "2s..60s", "yes | no" */
	struct conf_choices choices;
	struct conf_range range; /* if is_range */
	enum conf_unit unit;
	bool is_range;
	struct lab_view turned; /* for the seed: what it is set to */
	/* While it is turned. */
	struct conf_setting *at;
	struct lab_view before;
	bool is_new;
};

/* script NAME { }: steps in Lua (script.h). */
struct scenario_script {
	struct lab_view name;
	struct conf_where where;
	struct lab_view file; /* as it is written: relative to the file that says so */
	struct lab_view text; /* what is in it */
	const char *path;
	struct conf_range at; /* from the start of the storm */
};

struct scenario_s3 {
	struct conf_range latency_read, latency_write, latency_list;
	/* Read, write, list: measured ones (sim/serve/latency-file.h) instead of those ranges. */
	struct lab_view latency_read_file, latency_write_file, latency_list_file;
	struct s3emu_latency measured[3]; /* what is in these files */
	struct conf_range slow_chance, slow_time;
	struct conf_range body_rate;
	struct conf_range partitions; /* 1, 16 or 256 */
	struct conf_range write_rate, read_rate, burst;
	bool shared_budget, list_is_write, bulk_per_key;
	struct conf_range split_after, split_max, split_ramp, merge_after, key_write_interval;
	struct conf_range retry_after;
	struct conf_range connection_requests, connection_idle;
	bool connection_announced;
	bool refuse_sigv2;
};

/* sproxyd or CDMI, if obox_fs ends in one of them. */
struct scenario_scality {
	struct conf_range latency_read, latency_write, latency_list;
	struct conf_range lock; /* how long a request holds an object after its answer */
};

struct cqlemu_profile;
struct scenario_cql {
	const struct cqlemu_profile *profile; /* which server it passes for */
	struct conf_range nodes, replication_factor;
	bool data_center_per_zone;
	struct conf_range conviction; /* of the failure detector */
};

struct scenario_imds {
	struct conf_range lifetime, rotate;
};

struct scenario_network {
	struct conf_range same_zone, other_zone; /* one way */
	struct conf_range stream_split;          /* ppm */
};

struct scenario_hosts {
	struct conf_range disk_sync;    /* of the backends */
	struct conf_range clock_offset; /* us of skew, the sign is drawn */
	struct conf_range memory;
	struct conf_range self_bundle_max; /* bytes */
	struct conf_range dict_streams;    /* of a connection to Cassandra */
	struct conf_range disk_watch;      /* ns; 0: nobody looks */
};

/* cluster { }: Palomar (palomar.h). */
struct scenario_cluster {
	struct conf_range proxies; /* 0: none of all that */
	struct conf_range default_group_count;
	enum cluster_assign assign;
	bool read_back, frozen, pull, controllers;
	struct conf_range stale;
	struct lab_view read_consistency; /* of GeoDB; empty: as the dict's */
	struct lab_view controller_keyspace;
	enum cluster_feature backend_health, site_health, balance;
	struct conf_range controller_round, site_down, balance_interval, balance_samples;
	struct conf_range user_ttl, group_ttl, view_ttl, recheck;
	struct conf_range user_move_timeout, proxy_timeout, proxy_max_reconnects;
	struct conf_range disconnect_delay, pop3_percentage;
};

/* Where the operator's settings say that things are. The names with s3 are of whatever storage it
 * is; bucket and s3_endpoint are S3's only. */
struct scenario_endpoints {
	enum fs_uri_http_flavour flavour; /* what obox_fs ends in */
	struct conf_http_url s3;          /* its URL; `user` and `password` are in it */
	struct lab_view bucket;
	struct lab_view s3_authority;  /* "bucket.s3.region.amazonaws.com" */
	struct lab_view s3_endpoint;   /* without the bucket */
	struct fs_uri_dictmap dictmap; /* of obox_fs, expanded for SCENARIO_PROBE_USER */
};
#define SCENARIO_PROBE_USER "probe@example.com"
/* sproxyd or CDMI, not S3. */
bool scenario_is_scality(const struct scenario_endpoints *endpoints);
/* The dict says which mails there are; else the storage's own listing does. */
bool scenario_has_dictmap(const struct scenario_endpoints *endpoints);
/* Mails are stored under their paths and have no object ids: without dictmap, or with
 * storage-passthrough-paths. */
bool scenario_stores_paths(const struct scenario_endpoints *endpoints);
/* Some mails are still stored under the paths that they had without dictmap. */
bool scenario_has_migrated_mails(const struct scenario_endpoints *endpoints);

/* What is damaged in the middle of the warm-up (damage.h). */
enum scenario_damage {
	SCENARIO_DAMAGE_LOST_ROWS,
	SCENARIO_DAMAGE_LOST_REVERSE_ROWS,
	SCENARIO_DAMAGE_LOST_OBJECTS,
	SCENARIO_DAMAGE_RESURRECTED_ROWS,
	SCENARIO_DAMAGE_RESTORED_OBJECTS,
	SCENARIO_DAMAGE_FOREIGN,
	SCENARIO_DAMAGE_HALF_BUNDLES,
	SCENARIO_DAMAGE_BAD_BUNDLES,
	SCENARIO_DAMAGE_LOST_ROOT,
	SCENARIO_DAMAGE_LOST_KEYSPACE,
	SCENARIO_DAMAGE_COUNT
};
/* What an operator does about it. */
enum scenario_repair {
	SCENARIO_REPAIR_NONE,
	SCENARIO_REPAIR_REBUILD,
	SCENARIO_REPAIR_COLLECT,
	SCENARIO_REPAIR_FORCE_RESYNC,
	SCENARIO_REPAIR_COUNT
};

struct scenario {
	const char *path;
	struct lab_view doc;
	uint64_t seed;              /* that it is about; 0: whatever the command line says */
	struct lab_defects defects; /* switched on beside those of the command line */
	bool has_clients;           /* users do things by themselves, besides steps */
	uint64_t marks;             /* that a campaign must hit: bits of enum lab_mark */
	/* Settings without dictmap of the same storage, with which the run begins: in the middle of
	 * the warm-up its users are migrated. Empty: no. */
	struct lab_view migrated_from;
	struct conf_settings conf_before;
	const struct conf_section *settings_before; /* as they were written */
	unsigned damage, repair; /* sets of bits 1 << enum; a seed draws one of each */
	struct conf_range damage_count;
	struct conf_range collect_interval, collect_min_age; /* of garbage; 0: never */
	/* Phases (DESIGN 5). */
	struct conf_range warmup, storm, settle;
	struct scenario_site sites[SCENARIO_SITES_MAX];
	size_t site_count;
	struct scenario_group groups[SCENARIO_GROUPS_MAX];
	size_t group_count;
	struct scenario_fault faults[SCENARIO_FAULTS_MAX];
	size_t fault_count;
	struct scenario_operator operators[SCENARIO_OPERATORS_MAX];
	size_t operator_count;
	struct scenario_step *steps; /* in the order of the file */
	size_t step_count;
	struct scenario_episode *episodes;
	size_t episode_count;
	/* What they are: as many, or, where a program made the scenario, those alone. */
	const struct fault_episode *exact;
	size_t exact_count;
	struct scenario_script scripts[SCENARIO_SCRIPTS_MAX];
	size_t script_count;
	struct scenario_knob knobs[SCENARIO_KNOBS_MAX];
	size_t knob_count;
	struct conf_range swarm, buggify; /* ppm */
	unsigned schedule;                /* set of bits 1 << enum world_schedule */
	struct conf_section *root;        /* the settings that knobs turn */
	struct scenario_s3 s3;
	struct scenario_scality scality;
	struct scenario_cql cql;
	struct scenario_imds imds;
	struct scenario_network network;
	struct scenario_hosts hosts;
	struct scenario_cluster cluster;
	const struct conf_section *settings; /* dovecot.conf's, as they were written */
	struct conf_settings conf;
	struct backend_dict dicts[SCENARIO_DICTS_MAX];
	const char *dict_names[SCENARIO_DICTS_MAX]; /* the same, ended by a NUL */
	size_t dict_count;
	struct scenario_endpoints endpoints;
	bool is_foreign_s3;  /* endpoints.s3 is a server that is not ours */
	bool is_foreign_cql; /* the dicts' hosts are a cluster that is not ours */
};

/* --set SECTION.KEY=VALUE and --conf FILE: read after the file, so that they win. */
struct scenario_overrides {
	const char *const *sets; /* "user.count=10", "scenario.storm=2 min" */
	size_t set_count;
	const char *conf; /* a dovecot.conf instead of the one the scenario includes; or NULL */
	/* An S3 server that is not ours, with a key and bucket=, for the live world; or NULL. It
	 * takes the place of the URL in obox_fs. */
	const char *s3_url;
	/* "HOST[,HOST...]:PORT": a Cassandra cluster that is not ours, for the live world; or NULL.
	 * Its hosts take the place of those of every dict, and are the nodes of store cql { }. */
	const char *cql_hosts;
	/* Instead of what the dicts say; or NULL. */
	const char *cql_user, *cql_password;
};

/* The middle of the warm-up, or garbage collections, need an operator. */
bool scenario_has_operator(const struct scenario *scenario);

int scenario_load(const char *path, const struct conf_reader *reader,
	const struct scenario_overrides *overrides, struct lab_arena *arena,
	struct conf_problems *problems, struct scenario **ret, struct lab_error *err);

/* The scenario as a text that scenario_load() reads: what is not its default, one line for each
 * step; the settings of dovecot.conf, all in it, but for files of dicts and of migrated_from, which
 * are named by their last part, as if they lay beside it. Without marks and drawn faults. -1
 * LAB_UNSUPPORTED: a setting whose value has several lines. */
int scenario_print(const struct scenario *scenario, struct lab_buf *out, struct lab_error *err);
/* The settings alone. */
int scenario_print_settings(
	const struct conf_section *settings, struct lab_buf *out, struct lab_error *err);
/* Behind the last '/'. */
struct lab_view scenario_file_name(struct lab_view path);

/* What it is for a seed: knobs turned, swarms left out. *ret is the scenario itself if it has none
 * of these; else it is in the arena. */
int scenario_turn(const struct scenario *scenario, uint64_t seed, struct lab_arena *arena,
	const struct scenario **ret, struct lab_error *err);
/* An enum world_schedule. */
unsigned scenario_schedule(const struct scenario *scenario, uint64_t seed);

/* For `oboxlab list settings`: every key of the vocabulary, section by section. */
struct scenario_key_doc {
	const char *section, *key, *initial, *doc;
};
size_t scenario_key_count(void);
struct scenario_key_doc scenario_key_doc(size_t index);

/* The kinds of operations that a step can be, as bits. */
uint64_t scenario_step_kinds(void);
/* Its own, and more. */
struct lab_defects scenario_defects(
	const struct scenario *scenario, const struct lab_defects *more);
/* What an episode is; what is wrong with it is LAB_INVALID. `episodes` are those before it. */
int scenario_episode_exact(const struct scenario_episode *episodes, size_t index,
	struct fault_episode *ret, struct lab_error *err);
/* Hosts of the operator's are called backend-1, proxy-1, controller-SITE. */
bool scenario_is_host(struct lab_view name);
/* The exact episodes as sections of their own, named 1, 2, 3...; what draws of faults sections they
 * still depend on is found in `drawn_from`. */
void scenario_name_episodes(
	struct scenario *scenario, const struct scenario *drawn_from, struct lab_arena *arena);
/* Of the n-th episode, from 1, that is drawn from the fault section of that name. */
uint64_t scenario_episode_key(struct lab_view fault, uint64_t n);

/* One value of a knob for a seed; `what` is a literal, `actor` whose knob it is. */
static inline uint64_t scenario_pick(
	const struct conf_range *range, uint64_t seed, const char *what, uint64_t actor, uint64_t n)
{
	return conf_range_pick(range, lab_draw(seed, what, actor, n));
}

#endif
