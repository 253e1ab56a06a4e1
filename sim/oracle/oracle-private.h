/* SPDX-License-Identifier: Apache-2.0
 *
 * oracle-private.h - what the parts of the oracle share: the record of a run (record.c), the model
 * of its mails (model.c), and the findings (findings.c).
 */
#ifndef SIM_ORACLE_PRIVATE_H
#define SIM_ORACLE_PRIVATE_H

#include "sim/oracle/knowledge.h"
#include "sim/oracle/oracle.h"

/* A request may arrive that long after the crash of who sent it. */
#define ORACLE_ON_ITS_WAY (500 * LAB_MSEC)

/* ---- the record: kept small, written for each request and event ---- */

#define ORACLE_LINES_MAX 4000000u
#define ORACLE_CHUNK 4096u
/* Reads only explain; they leave room for what is judged. */
#define ORACLE_READ_LINES_MAX (ORACLE_LINES_MAX / 2)
#define ORACLE_TROUBLE_MAX 2000000u
#define ORACLE_ONLINE_MAX 64
#define ORACLE_NAMES_MAX 250000000u

enum oracle_what {
	ORACLE_S3_GET,
	ORACLE_S3_HEAD,
	ORACLE_S3_PUT,
	ORACLE_S3_DELETE, /* also each key of a bulk delete */
	ORACLE_S3_OTHER,
	ORACLE_CQL_SELECT,
	ORACLE_CQL_INSERT,
	ORACLE_CQL_DELETE
};
enum oracle_table {
	ORACLE_TABLE_OTHER,
	ORACLE_TABLE_FORWARD,
	ORACLE_TABLE_REVERSE,
	ORACLE_TABLE_BUCKETS,
	ORACLE_TABLE_FOLDER_DIFFS,
	ORACLE_TABLE_ROOT_DIFFS
};

/* One request that a service saw. */
struct oracle_line {
	uint64_t time_ns;
	uint64_t event; /* the last one before it */
	uint64_t key;   /* hash of the S3 key; CQL: of the user, 0 if not known */
	uint64_t body_hash;
	uint32_t fault_id;
	uint32_t peer;
	uint16_t status;
	uint8_t what, table;
	bool applied, answered;
	bool is_bundle; /* S3: of an index */
};

/* Timestamps of a client's INSERTs: the largest of this span of three minutes and of those
 * before. */
struct oracle_clock {
	uint64_t span;
	int64_t now_us, before_us, older_us;
};

/* Timestamps of statements, relative to the wall clock of their access. */
struct oracle_drift {
	bool seen;
	int64_t least_us, most_us;
	struct oracle_line least, most;
};

/* A finding made while the run went on. */
struct oracle_online {
	unsigned invariant;
	const char *signature; /* literal */
	char sentence[300];
	uint64_t time_ns, event;
	uint64_t key; /* hash of the S3 key it is about; 0: of none */
};

/* ---- the model ---- */

enum oracle_made {
	ORACLE_MADE_UNKNOWN, /* no operation of that name: a crashed one, or none */
	ORACLE_MADE_OK,
	ORACLE_MADE_MAYBE,
	ORACLE_MADE_FAILED
};

/* A mail in a folder: a row of the dict. */
struct oracle_touch {
	const struct history_op *op;
	struct oracle_touch *next;
};

struct oracle_instance {
	struct lab_view user, folder;
	uint8_t name[HISTORY_NAME_BYTES];
	struct oracle_object *object; /* NULL: object id not known */
	uint64_t token;
	enum oracle_made made;
	const struct history_op *maker;         /* NULL: unknown */
	const struct history_op *removed;       /* the first that ended ok */
	const struct history_op *maybe_removed; /* one that may have removed it, or may still */
	const struct history_op *autoexpunged;  /* one that says that it removed it */
	const struct history_op *listed;        /* the audit's listing that has it */
	const struct history_op *fetched;       /* the audit's FETCH, an ok one if there is any */
	const struct history_op *last_listing;  /* while listings are read */
	struct oracle_touch *stores, **last_store; /* STOREs that may have happened, in order */
	uint64_t flags;                            /* that it may ever have had */
	bool has_flags, is_flag_blamed;            /* `flags` is known; has a finding */
	bool is_blamed;                            /* has a finding */
	/* Its folder may have been deleted while or before it was saved: so it may have been saved
	 * again elsewhere, and must have been if it is an orphan. */
	bool may_be_saved_again, is_orphan;
	struct oracle_instance *next;
};

/* An object id of a user: what its instances share. */
struct oracle_object {
	struct lab_view user;
	uint8_t oid[HISTORY_OID_BYTES_MAX];
	uint8_t oid_len;
	uint64_t token;
	uint64_t key;                      /* hash of its S3 key */
	struct oracle_touch *first, *last; /* operations on it, in order */
	uint64_t first_ns, last_ns;
	bool has_trouble;  /* an operation on it did not end ok */
	bool is_delivered; /* a DELIVER made it */
	struct oracle_object *next;
};

struct oracle_mail {
	uint64_t body_hash;
	bool has_body, varies;
};

/* Instances of one token in one folder whose names nobody was told. */
struct oracle_tally {
	struct lab_view user, folder;
	uint64_t token; /* 0: listed, but never read */
	uint64_t ok, maybe, listed, removed;
	const struct history_op *maker;        /* the last ok one */
	const struct oracle_instance *example; /* a listed one */
	struct oracle_tally *next;
};

struct oracle_audit {
	struct lab_view user, folder;
	const struct history_op *listed; /* the last that ended ok */
	const struct history_op *failed, *pending;
};

struct oracle_model {
	const struct history *history;
	struct lab_arena *arena;
	struct lab_map *instances;    /* user, folder, name */
	struct lab_map *by_name;      /* user, name: the first instance */
	struct lab_map *objects;      /* user, object id */
	struct lab_map *object_keys;  /* hash of the S3 key -> object */
	struct lab_map *mails;        /* user, token */
	struct lab_map *tallies;      /* user, folder, token */
	struct lab_map *audits;       /* user, folder */
	struct lab_map *lists;        /* user -> the auditor's list of folders */
	struct lab_map *owners;       /* token -> user of its delivery (struct lab_view *) */
	struct lab_map *movers;       /* users who renamed or deleted folders */
	struct lab_map *lost_folders; /* user, folder */
	struct lab_map *bundle_keys;  /* hash of the key of a bundle that has a row */
	bool bundles_have_ids;        /* and so they may be among the mails */
	struct lab_map *unnamed;      /* user -> count of objects written of unknown id */
	struct oracle_instance *first_instance, **last_instance;
	struct oracle_object *first_object, **last_object;
	struct oracle_tally *first_tally, **last_tally;
};

struct oracle {
	struct oracle_settings settings;
	bool is_migrated;
	struct oracle_damage_item *damages, **last_damage;
	struct lab_map *drops; /* user, name -> struct oracle_drop, the last first */
	uint64_t collected_ns; /* 0: never */
	struct lab_arena *texts;
	struct lab_map *peers;
	const struct lab_view *peer_names[65536];
	uint32_t peer_count;

	struct oracle_line **chunks; /* of ORACLE_CHUNK lines: what was written is never moved */
	size_t line_count, chunk_count;
	bool lines_full, read_lines_dropped;
	uint64_t *trouble; /* when anything failed, ascending */
	size_t trouble_count, trouble_capacity;
	bool trouble_full;
	uint64_t crashes, last_event;
	uint64_t reverse_inserts;
	struct lab_map *ladders;  /* host, fiber -> struct ladder */
	struct lab_map *refusals; /* peer, user -> struct oracle_refusals */
	uint64_t imds_trouble_ns; /* just after it last failed; 0: never */
	struct oracle_online online[ORACLE_ONLINE_MAX];
	size_t online_count;
	struct oracle_drift inserts, deletes;
	struct lab_map *clocks;     /* peer -> struct oracle_clock, of this life */
	struct lab_map *references; /* object id in hex -> references that may be left */

	struct reconcile *reconcile;
	struct oracle_metacache *metacache;
	struct oracle_bases *bases;
	struct costs *costs;
	struct routing *routing;
	struct knowledge *knowledge;
	struct lab_map *clean_moves; /* user -> struct clean_move, the last one (ledger-flags.c) */
	struct lab_map *roots;       /* host, user -> struct oracle_root_refreshes (roots.c) */
	struct oracle_unmerged *unmerged; /* unmerged.c */
	struct lab_map *deletions;        /* user -> struct deletion (refresh.c) */
	struct lab_map *windows; /* host, user, root or folders -> struct window (refresh.c) */

	struct lab_arena *work; /* of the judgement */
	struct oracle_model model;
	struct oracle_finding *findings;
	size_t finding_count, finding_capacity;
	struct oracle_verdict *verdict;
	struct oracle_times *times;
};

/* record.c */
static inline struct oracle_line *oracle_line_at(const struct oracle *oracle, size_t index)
{
	return &oracle->chunks[index / ORACLE_CHUNK][index % ORACLE_CHUNK];
}
void oracle_trouble(struct oracle *oracle, uint64_t time_ns);
/* Did anything fail in [from, to]? */
bool oracle_had_trouble(const struct oracle *oracle, uint64_t from_ns, uint64_t to_ns);
/* When that may have been sent which arrived then. */
uint64_t oracle_sent_ns(uint64_t arrived_ns);
/* Returns where it is kept, or NULL. */
struct oracle_online *oracle_found_online(struct oracle *oracle, unsigned invariant,
	const char *signature, uint64_t time_ns, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* http-policy.c: invariant 31. */
void oracle_http_event(struct oracle *oracle, const struct lab_event *event);
/* credentials.c: invariant 35. */
void oracle_check_credentials(
	struct oracle *oracle, const struct sim_access *access, struct lab_view key);
void oracle_imds_trouble(struct oracle *oracle, uint64_t time_ns);
void oracle_check_secrets(struct oracle *oracle, const struct lab_event *event);
/* Hash of a key of the storage; mails that are stored under their paths go by their names. */
uint64_t oracle_key_hash(const struct oracle *oracle, struct lab_view key);
/* Hash of the S3 key of an object id. */
uint64_t oracle_object_key(const struct oracle *oracle, struct lab_view user, struct lab_view oid);
/* Its text: "user/mails/0123...". */
struct lab_view oracle_object_key_text(
	const struct oracle *oracle, struct lab_view user, struct lab_view oid);

/* routing.c, routing-orders.c: palomar 4.1. */
void routing_new(struct oracle *oracle);
void routing_free(struct oracle *oracle);
void routing_event(struct oracle *oracle, const struct lab_event *event);
void routing_rows_access(struct oracle *oracle, const struct sim_access *access); /* of GeoDB */
void routing_finish(struct oracle *oracle, const struct oracle_case *c);
/* The zone of a backend; empty: nobody had a session there. */
struct lab_view routing_zone_of(const struct oracle *oracle, struct lab_view backend);

/* metacache.c: invariants 23 and 26. */
void oracle_metacache_new(struct oracle *oracle);
void oracle_metacache_free(struct oracle *oracle);
/* `what` is ORACLE_S3_PUT and so on. */
void oracle_bundle_access(
	struct oracle *oracle, const struct sim_access *access, struct lab_view key, unsigned what);
void oracle_metacache_crashed(struct oracle *oracle, const struct lab_event *event);
/* A host makes no sense of a bundle / has read it, perhaps once more. */
void oracle_bundle_set_aside(struct oracle *oracle, const struct lab_event *event);
void oracle_bundle_read(struct oracle *oracle, const struct lab_event *event);
void oracle_metacache_pull(struct oracle *oracle, const struct lab_event *event);
void oracle_disk_measured(struct oracle *oracle, const struct lab_event *event);

/* model.c */
void oracle_model_build(struct oracle *oracle, const struct history *history);
struct oracle_instance *oracle_instance_find(struct oracle_model *model, struct lab_view user,
	struct lab_view folder, const uint8_t name[HISTORY_NAME_BYTES]);
/* In whatever folder. */
struct oracle_instance *oracle_instance_by_name(
	struct oracle_model *model, struct lab_view user, struct lab_view name);
struct oracle_object *oracle_object_find(
	struct oracle_model *model, struct lab_view user, struct lab_view oid);
struct oracle_mail *oracle_mail_find(
	struct oracle_model *model, struct lab_view user, uint64_t token);
struct oracle_audit *oracle_audit_find(
	struct oracle_model *model, struct lab_view user, struct lab_view folder);
struct oracle_tally *oracle_tally(
	struct oracle_model *model, struct lab_view user, struct lab_view folder, uint64_t token);
/* A small key made of parts; borrowed until the next call with the same buffer. */
struct oracle_key {
	uint8_t bytes[512];
};
struct lab_view oracle_key3(
	struct oracle_key *key, struct lab_view a, struct lab_view b, struct lab_view c);
/* The key's value, NULL if it is new. The oracle's maps are as large as a run can need. */
void **oracle_slot(struct lab_map *map, struct lab_view key);
/* When the operation cannot have any effect of its own any more as far as the client knows. */
uint64_t oracle_op_end(const struct history_op *op);
static inline bool oracle_is_maybe(const struct history_op *op)
{
	return op->outcome == HISTORY_UNCERTAIN || op->outcome == HISTORY_PENDING;
}

/* It changes rows or objects; flags are the index's. */
static inline bool oracle_is_storage_write(const struct history_op *op)
{
	return op->kind == HISTORY_DELIVER || op->kind == HISTORY_COPY ||
	       op->kind == HISTORY_MOVE || op->kind == HISTORY_EXPUNGE ||
	       op->kind == HISTORY_AUTOEXPUNGE || op->kind == HISTORY_DELETE ||
	       op->kind == HISTORY_USER_DELETE;
}

/* costs.c: 36. Only where the table applies (costs_are_kept()). */
struct costs *costs_new(struct lab_heap *heap);
/* Something failed. */
void costs_trouble(struct costs *costs, uint64_t time_ns);
void costs_free(struct costs **costs);
bool costs_are_kept(const struct oracle *oracle);
void costs_cql_access(
	struct oracle *oracle, const struct sim_access *access, struct lab_view table);
void costs_s3_access(struct oracle *oracle, const struct sim_access *access, struct lab_view key);
void costs_event(struct oracle *oracle, const struct lab_event *event);
/* At the end of the run; before oracle_report_online(). */
void costs_finish(struct oracle *oracle, uint64_t now_ns);

/* reconcile.c: 34. Peers as in oracle_line. */
struct reconcile *reconcile_new(struct lab_heap *heap);
void reconcile_free(struct reconcile **r);
void reconcile_http_access(struct oracle *oracle, const struct sim_access *access, uint32_t peer);
void reconcile_cql_access(struct oracle *oracle, const struct sim_access *access, uint32_t peer);
/* A request was retried, redirected or is over, after that many attempts; `status` of the last. */
void reconcile_http_event(struct oracle *oracle, const struct lab_event *event,
	struct lab_view method, struct lab_view target, uint64_t attempts, uint64_t status);
void reconcile_cql_event(struct oracle *oracle, const struct lab_event *event);
void reconcile_imds_access(struct oracle *oracle, const struct sim_access *access, uint32_t peer);
void reconcile_imds_event(struct oracle *oracle, const struct lab_event *event);
void reconcile_crashed(struct oracle *oracle, const struct lab_event *event, uint32_t peer);
/* The host stands still, and goes on. */
void reconcile_hung(struct oracle *oracle, const struct lab_event *event, uint32_t peer);
void reconcile_went_on(struct oracle *oracle, const struct lab_event *event, uint32_t peer);
/* At the end of the run; before oracle_report_online(). */
void reconcile_finish(struct oracle *oracle, uint64_t now_ns);
/* An operation on it that names other things. */
void oracle_object_touched(
	struct oracle *oracle, struct oracle_object *object, const struct history_op *op);

/* folders.c: 11; what went with folders and users. Before everything that looks at instances. */
void oracle_check_folders(struct oracle *oracle, const struct oracle_case *c);

/* roots.c: a refresh of a user's root begins or ends, or an upload of it. */
void oracle_root_event(struct oracle *oracle, const struct lab_event *event);
/* Had the backend of `later` heard of `earlier` when it began? */
bool oracle_root_knew(const struct oracle *oracle, const struct history_op *later,
	const struct history_op *earlier);
/* Excuse: the listing's backend could not know of the change, as both served the user at once. */
const char *oracle_excuse_unheard(const struct oracle *oracle, const struct history_op *change,
	const struct history_op *listing);

/* data-centers.c; excuse: the listing's zone had been lost when the change was made, with all its
 * replicas, and was just back. */
const char *oracle_excuse_returned_center(const struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *change, const struct history_op *listing);
/* The same of anything that was done in the operation's folder before that ended, and since which
 * event: its backend numbered what it found, and heard of the rest later. */
const char *oracle_excuse_blind_center(const struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *op, uint64_t *ret_since);

/* requests.c: an INSERT of a mail's row arrived; its client crashed. */
void oracle_check_clock(struct oracle *oracle, const struct sim_access *access);
void oracle_forget_clock(struct oracle *oracle, struct lab_view peer);
/* quota.c: 27; lazy.c: 29 */
void oracle_check_quota(struct oracle *oracle, const struct oracle_case *c);
void oracle_check_lazy_expunge(struct oracle *oracle, const struct oracle_case *c);
/* lazy.c: a row was written or deleted, perhaps. */
void oracle_reference_event(struct oracle *oracle, const struct lab_event *event);

/* damage.c */
struct oracle_damage_item {
	struct oracle_damage damage;
	uint64_t event; /* the last one before it */
	struct oracle_damage_item *next;
};
/* Somebody else's, put there on purpose. */
bool oracle_is_planted(const struct oracle *oracle, struct lab_view text);
void oracle_excuse_damage(struct oracle *oracle, const struct oracle_case *c);
/* A mail without an object went from an index (obox 4.5). */
void oracle_mail_dropped(struct oracle *oracle, const struct lab_event *event);
/* Excuse: its object was damaged, and between the two events it was dropped. Whoever then lists the
 * folder finds its row, and a mail that no index knows. */
const char *oracle_excuse_drop(const struct oracle *oracle, const struct oracle_instance *instance,
	uint64_t from, uint64_t to);

/* refresh.c: 24, 25 */
/* An operation on a folder or a user begins or ends: deleting one lists bundles, too. */
void oracle_deletion_event(struct oracle *oracle, const struct lab_event *event);
/* One of the user's folders, or the user, or a repair of theirs; and a while after it. */
bool oracle_is_deleting(const struct oracle *oracle, struct lab_view user, uint64_t time_ns);
void oracle_refresh_event(struct oracle *oracle, const struct lab_event *event);
void oracle_refresh_crashed(struct oracle *oracle, const struct lab_event *event);
void oracle_refresh_free(struct oracle *oracle);
/* A SELECT of a table; a GET of an object. */
void oracle_index_listed(
	struct oracle *oracle, const struct sim_access *access, struct lab_view table);
void oracle_index_read(struct oracle *oracle, const struct sim_access *access, struct lab_view key);

/* bases.c: uploads, downloads and refreshes of bundles. */
void oracle_bases_new(struct oracle *oracle);
void oracle_bases_free(struct oracle *oracle);
void oracle_bases_event(struct oracle *oracle, const struct lab_event *event);
/* Of two bases of a directory that are both stored: whose upload should have left one of them, and
 * the event with which that began; NULL if nobody's. */
const char *oracle_who_left_both(
	const struct oracle *oracle, struct lab_view a, struct lab_view b, uint64_t *ret_event);
/* bundles.c: 15, 17, 18; fills model.bundle_keys */
void oracle_check_bundles(struct oracle *oracle, const struct oracle_case *c);
/* Excuse: Cassandra said of a write of the user's that it had failed, and it had not. */
const char *oracle_excuse_lie(
	const struct oracle *oracle, const struct oracle_case *c, struct lab_view user);
/* The same of a bundle of the user's, whose row is in that table, between those times: its object
 * was deleted, and its row is where that of the bundle before it was. */
const char *oracle_excuse_denied_bundle(const struct oracle *oracle, const struct oracle_case *c,
	enum oracle_table table, struct lab_view user, uint64_t from_ns, uint64_t to_ns);
/* The same of a mail that some listing of the operation's folder has, and that was made before the
 * operation ended; and since which event. */
const char *oracle_excuse_denied_mail(struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *op, uint64_t *ret_since);
/* Who made it was told neither yes nor no, as its row had not reached a quorum of replicas:
 * listings need not find it. */
bool oracle_came_late(const struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_instance *instance);
/* convergence.c: 22 */
void oracle_check_convergence(struct oracle *oracle, const struct oracle_case *c);
/* flags.c: 3, 4 */
void oracle_check_flags(struct oracle *oracle, const struct oracle_case *c);
/* private.c: 3 of private flags, 7 of virtual folders */
void oracle_check_private(struct oracle *oracle, const struct oracle_case *c);
/* imap.c: 6, 7, 9, 10 */
void oracle_check_imap(struct oracle *oracle, const struct oracle_case *c);
/* paths.c: the user and the name of a mail's path; false if it is none. */
bool oracle_path_parse(struct lab_view key, struct lab_view *ret_user, struct lab_view *ret_name);
/* Is this copy rows only? Paths cannot be shared, so their contents are copied (obox 4.7). */
bool oracle_is_copy_in_dict(const struct oracle *oracle, const struct history_op *op);
/* 12 and 15 without a dict. */
void oracle_check_paths(struct oracle *oracle, const struct oracle_case *c);
/* Excuse: what was listed since may have been stale, and there is no dict that knows better. */
const char *oracle_excuse_stale(const struct oracle *oracle, const struct oracle_case *c,
	uint64_t since_ns, const struct history_op *listing);

void oracle_excuse_stale_indexes(struct oracle *oracle, const struct oracle_case *c);

/* ---- unmerged.c ---- */

void oracle_merge_event(struct oracle *oracle, const struct lab_event *event);
void oracle_excuse_unmerged(struct oracle *oracle);
/* Its sentence begins with that user. Empty: with any. */
bool oracle_is_about_user(const struct oracle_finding *finding, struct lab_view user);

/* mails.c: 1, 2, 5, 8, 21, 30; store.c: 12 to 16, 19, 20; requests.c: 32, 33 and what was found
 * online */
void oracle_check_required(struct oracle *oracle);
void oracle_check_seen(struct oracle *oracle, const struct oracle_case *c);
void oracle_check_store(struct oracle *oracle, const struct oracle_case *c);
/* fts.c: 28; 12, 13, 15 of FTS objects */
void oracle_check_fts(struct oracle *oracle, const struct oracle_case *c);
/* findings.c: excuses what followed from answers that the configuration takes at their word. */
void oracle_excuse_lies(struct oracle *oracle, const struct oracle_case *c);
void oracle_check_log(struct oracle *oracle, const struct oracle_case *c);
void oracle_check_requests(struct oracle *oracle, const struct oracle_case *c);
/* Findings of the run itself, with the mails that they are about. */
void oracle_report_online(struct oracle *oracle);

/* findings.c */
struct oracle_finding *oracle_find(struct oracle *oracle, unsigned invariant, const char *signature,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The next of its four reasons. */
void oracle_why(struct oracle_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void oracle_why_op(struct oracle_finding *finding, const struct history_op *op);
/* It is claimed since that operation, on the folder that it names, or on its target. */
void oracle_claimed_since(struct oracle *oracle, struct oracle_finding *finding,
	const struct history_op *op, bool is_target);
void oracle_unknown(struct oracle *oracle, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void oracle_findings_finish(struct oracle *oracle);
/* Excuses, or NULL. */
const char *oracle_excuse_weak(const struct oracle *oracle);
const char *oracle_excuse_clock(const struct oracle *oracle, const struct oracle_case *c);
const char *oracle_excuse_race(struct oracle *oracle, const struct oracle_instance *instance);
/* The mail was removed before that event, and is there nevertheless (2): what clocks permit. */
const char *oracle_excuse_return(const struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_instance *instance, uint64_t event);
/* A mail of that folder of the operation's user was removed before the operation ended, and some
 * listing has it nevertheless. */
const char *oracle_excuse_return_to(struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *op, struct lab_view folder);
/* One of those that it was copied from was, before it was copied. */
const char *oracle_excuse_returned_source(
	struct oracle *oracle, const struct oracle_case *c, const struct oracle_instance *instance);
int64_t oracle_clock_error(const struct oracle *oracle, const struct oracle_case *c);

#endif
