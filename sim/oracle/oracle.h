/* SPDX-License-Identifier: Apache-2.0
 *
 * oracle.h - the judge: from what clients were told, what the services did and what they hold at
 * the end, was a mail lost, and did everything heal?
 *
 * Independence  It shares no code with core/obox. It reads the history, the services' access
 *            logs and snapshots, the fault plan, and the fresh opens of the audit (which are in the
 *            history, by the backend named in the settings).
 * Invariants Numbered as in obox 8.1; oracle_invariants() lists them.
 * Cost       O(n log n) in operations, sightings, rows and objects.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "sim/cql-emulator/cql-emulator.h"
#include "sim/faults/faults.h"
#include "sim/oracle/costs.h"
#include "sim/oracle/history.h"
#include "sim/oracle/times.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/scality-emulator/scality-emulator.h"

#define ORACLE_SIGNATURE_MAX 96
#define ORACLE_FINDINGS_MAX 256

struct oracle;

/* What the configuration promises: limits that requests are held to. Views are copied. */
struct oracle_site {
	struct lab_view name;
	size_t backends;
};

struct oracle_settings {
	struct lab_heap *heap;
	const char *auditor; /* history_op.backend of the fresh opens */
	/* S3 bucket of the mails; for the other storages the name of their instance. */
	struct lab_view bucket;
	struct lab_view object_prefix; /* what follows the user in a mail's key: "/mails/" */
	bool keys_are_ids; /* sproxyd: a mail's key is its object id in hex, and nothing else */
	/* The dict says which mails there are. Without it the storage's own listing does: there are
	 * no rows, no clocks and no consistencies that count. */
	bool has_dictmap;
	/* Mails without an object id are stored under "<root>/mailboxes/<folder guid>/<name>"; the
	 * history has the name as their object id. */
	bool stores_paths;
	bool rows_are_paths; /* all of them: a row says nothing of its object, or its path */
	/* The run begins without dictmap: until oracle_migrated() folders may be listed. */
	bool is_migrated_later;
	bool has_lockdir;    /* on one host copies and deletes of an object exclude each other */
	bool copies_in_dict; /* a copy of what has an object id is rows, and no object */
	/* obox_disable_fast_copy: a copy is an object of its own, whatever could be shared. */
	bool copies_are_written;
	struct lab_view keyspace;
	uint64_t bucket_size;        /* dictmap; 0: no buckets */
	uint64_t bucket_parallelism; /* how many saves may overshoot it */
	unsigned max_retries;        /* the most of any request class: attempts <= 1 + retries */
	/* The least of any class: nobody gives up a 5xx before. 0: not checked. */
	unsigned min_retries;
	unsigned max_connect_retries; /* 2 if less */
	bool has_absolute_timeout;    /* then giving up early is no fault */
	unsigned bulk_delete_limit;
	uint16_t read_consistency, write_consistency, delete_consistency; /* CQL numbers */
	uint16_t read_fallback, write_fallback, delete_fallback;
	int64_t delete_timestamp_us; /* offset of DELETEs */
	int64_t clock_error_us;      /* most that a backend's wall clock is off */
	int64_t epoch_us;            /* wall clock at time 0 */
	/* Changes of flags are in the storage that long after they were made; an index that was
	 * looked at that recently is not looked at again, but for the forced refresh (0: there is
	 * none; obox 5.1). */
	uint64_t upload_interval_ns, close_delay_ns, forced_refresh_ns;
	/* The storage and Cassandra are ours and log what they are asked (34). What gets no answer
	 * may be asked again by the library that sends it, which tells nobody. */
	bool has_access_log, has_statement_log, has_library_retries;
	/* Users set private flags and open virtual folders; and their indexes are where no bundle
	 * has them (obox 5.9). */
	bool has_secondary, private_is_elsewhere;
	/* The core may read a listing in pages of any size: more SELECTs than it is listings. */
	bool has_small_pages;
	bool has_trace_headers; /* requests to the storage name their user */
	/* The settings' own: no event may have them. Empty: none. */
	struct lab_view secrets[2];
	/* metacache_max_space with its grace and what those may add who were let in before; the
	 * size of fscache; 0: none. */
	uint64_t metacache_max_bytes, fscache_max_bytes;
	/* There are reverse rows, whatever the access log says: Cassandra has none. */
	bool has_reverse_rows;
	/* Operators list the bucket and read tables at ALL (rebuild, garbage collection). */
	bool has_operators;
	/* quota=count: everybody's limits (0: none); folders that do not count (not copied). */
	bool has_quota;
	uint64_t quota_bytes, quota_messages;
	const struct lab_view *quota_ignored;
	size_t quota_ignored_count;
	/* lazy_expunge: where mails go (empty: nowhere; not copied), and stay at least. */
	struct lab_view expunge_folder;
	bool only_last_instance;
	uint64_t autoexpunge_ns;
	/* New object ids say whether a mail has an attachment, and backends look. */
	bool ids_tell_attachments;
	/* The table of costs applies (36): nothing that it does not know is configured. */
	bool has_costs, has_fscache;
	unsigned delete_batch; /* keys of a bulk delete at most */
	/* Palomar: GeoDB's keyspace (empty: there is none); how long a user may be on two backends
	 * after the last trouble (R2), be without one (R5, T1), and how long a login may take (T3).
	 */
	struct lab_view geodb_keyspace;
	/* Where it is, to be looked at while the run goes on; NULL: nobody looks. Borrowed. */
	struct cqlemu *geodb;
	uint64_t max_uid_renumbers; /* of one merge (M2) */
	/* Each zone has a data centre of Cassandra, and reads there. */
	bool center_per_zone;
	uint64_t cache_max_ns; /* what a proxy or backend believes is no older */
	uint64_t overlap_max_ns, recovery_max_ns, login_max_ns;
	uint64_t site_down_ns;     /* a site is lost for so long before it is out (R8) */
	uint64_t site_decision_ns; /* until a lost site is out: on top of recovery_max_ns (T2) */
	uint64_t balance_min_ns;   /* from one group that a controller moves to the next (R8) */
	/* For how long a host may go on that GeoDB does not know by its name any more (R9). */
	uint64_t name_max_ns;
	/* How many backends each has, of which controllers take out half at most (R8). Borrowed. */
	const struct oracle_site *sites;
	size_t site_count;
	/* What the run injected on purpose, beyond the plan: objects taken away, rows put back. */
	bool objects_were_lost, rows_were_resurrected;
};

struct oracle *oracle_new(const struct oracle_settings *settings);
void oracle_free(struct oracle **oracle);
/* Gets what each checker of the judgement took; NULL: nobody asks. Borrowed. */
void oracle_tell_times(struct oracle *oracle, struct oracle_times *times);

/* A backend that is up already, at the start of the run: its host's number, and how often it has
 * been started. Later starts are events. */
void oracle_backend_started(
	struct oracle *oracle, uint32_t host, struct lab_view name, uint32_t boot);

/* While the run goes on. */
void oracle_access(struct oracle *oracle, const struct sim_access *access);
void oracle_event(struct oracle *oracle, const struct lab_event *event);
/* As the history says (36): a history_listener. What was delivered before the run began, and up to
 * which bucket. */
void oracle_operation(struct oracle *oracle, const struct history_op *op, bool is_end);
void oracle_mail_before(struct oracle *oracle, const struct history_op *op);
void oracle_buckets_before(struct oracle *oracle, struct lab_view guid_hex, uint32_t max_bucket);
/* What was done, and what of it was compared with the table. Borrowed. */
const struct cost_report *oracle_costs(const struct oracle *oracle);
/* Numbers of the rules of palomar 4.1: R1 is 101, M1 is 111, T1 is 121. */
#define ORACLE_R(n) (100u + (n))
#define ORACLE_M(n) (110u + (n))
#define ORACLE_T(n) (120u + (n))
/* Times as counts: how many were above the limit before and not above the one of this step (1, 1.2,
 * 1.5, 1.8, ... ms: twelve for each power of ten); the last one has all that are above. */
#define ORACLE_MEASURE_STEPS 80
struct oracle_measure {
	uint64_t count, max_ns;
	uint64_t counts[ORACLE_MEASURE_STEPS];
};
uint64_t oracle_measure_limit(unsigned step);
struct oracle_routing {
	struct oracle_measure overlaps;   /* of a user's sessions on two backends */
	struct oracle_measure recoveries; /* from the crash of his backend to the next session */
	struct oracle_measure zone_recoveries; /* the same if it was lost with its zone */
	struct oracle_measure
		served_again; /* from a zone's return to each of its proxies' first login */
	struct oracle_measure settled; /* to the last failure of each user who had one since */
	uint64_t referred_logins;      /* of those that succeeded: by way of another backend */
	uint64_t zone_recovery_max_ns;
	struct oracle_measure logins; /* that succeeded */
	uint64_t failed_logins;
	uint64_t logins_after_crash; /* of a host: of those that succeeded */
	uint64_t overlap_max_ns, recovery_max_ns, login_max_ns; /* their bounds */
};
/* Borrowed. All zero without Palomar. */
const struct oracle_routing *oracle_routing(const struct oracle *oracle);
/* All users are in the dict from now on. */
void oracle_migrated(struct oracle *oracle);

/* What was damaged on purpose, behind everybody's back: what follows from it is EXCUSED, with the
 * reason, and nothing else. */
struct oracle_damage {
	const char *reason;   /* a literal */
	struct lab_view user; /* empty: all of them */
	/* A mail, by its object id or by its name in a folder, in bytes; both empty: the user. */
	struct lab_view oid, name;
	/* An object's key, or the name of a row, that is nobody's mail: it is not looked at. */
	struct lab_view planted;
	uint64_t invariants; /* set of ORACLE_DAMAGES() bits */
	/* By name: what is about the folder that has that mail, not the mail alone. The user, if
	 * nobody knows the mail, or if the user renames or deletes folders. */
	bool of_folder;
	bool copies_only; /* of invariant 1: only what was copied or moved (H-13) */
	/* Of indexes only that of this folder; zero: of all. */
	uint8_t mailbox_guid[HISTORY_NAME_BYTES];
	/* What is newer than that is claimed; 0: nothing is. */
	uint64_t until_ns;
	bool unless_stored; /* and what a bundle had before it */
};
#define ORACLE_DAMAGES(invariant) (UINT64_C(1) << (invariant))
/* Copies what it is given. */
void oracle_damaged(struct oracle *oracle, const struct oracle_damage *damage);
/* An operator's repair of that user begins or is over: it lists bundles and refreshes nothing (24).
 */
void oracle_repairing(struct oracle *oracle, struct lab_view user, bool is_over, uint64_t time_ns);
/* Garbage was collected after everything had ended: nothing that was written before that time may
 * be without a row, but for what a reverse row keeps. */
void oracle_collected(struct oracle *oracle, uint64_t time_ns);

/* Where a run stands when it is judged. */
struct oracle_case {
	const struct history *history;
	struct s3emu *s3;     /* or the next one */
	struct scalemu *ring; /* sproxyd or CDMI */
	struct cqlemu *cql;
	const struct fault_plan *faults; /* may be NULL */
	uint64_t healed_ns, ended_ns;
};

struct oracle_finding {
	unsigned invariant;                   /* obox 8.1 */
	char signature[ORACLE_SIGNATURE_MAX]; /* "I1 lost mail": the same bug, the same text */
	char sentence[400];                   /* in mail words: user, folder, token */
	char why[4][300];   /* the contradiction, with event numbers; "" at the end */
	uint32_t op;        /* of the history; 0: none */
	uint64_t token;     /* 0: none */
	uint64_t time_ns;   /* when it became wrong, or was seen to be */
	const char *excuse; /* EXCUSED: why the configuration permits this; NULL: a failure */
	/* Since when it is claimed: a lost mail's delivery, the first of two listings; 0: ever. */
	uint64_t since_ns;
	/* And by whose index of which folder (knowledge.h), up to which event; 0: by none. */
	uint64_t folder, done;
	uint32_t life;
};

struct oracle_verdict {
	const struct oracle_finding *findings; /* borrowed until oracle_free() */
	size_t count;                          /* of them; at most ORACLE_FINDINGS_MAX are kept */
	uint64_t failures, excused;            /* all */
	bool is_unknown;                       /* a checker could not decide: why says */
	char unknown[200];
	uint64_t leaked_objects, leaked_reverse_rows, dangling_rows;
	uint64_t mails_expected, mails_seen; /* of the audit */
};

void oracle_judge(struct oracle *oracle, const struct oracle_case *c, struct oracle_verdict *ret);
/* Those of the verdict, once more; none before it. */
const struct oracle_finding *oracle_findings(const struct oracle *oracle, size_t *ret_count);

/* What the findings of the verdict are called, those beyond ORACLE_FINDINGS_MAX, too: each
 * signature once, in their order, without what is excused. Returns how many of them are in `ret`,
 * at most `max`; they are borrowed until oracle_free(). */
size_t oracle_found(const struct oracle *oracle, const char **ret, size_t max);

/* What is checked, for `oboxlab list invariants`. */
struct oracle_invariant {
	unsigned number;
	const char *name, *doc;
};
const struct oracle_invariant *oracle_invariants(size_t *ret_count);
/* Each signature with each test (of this folder) that makes it fire, by number and signature. */
struct oracle_signature {
	unsigned number;
	const char *text, *test;
};
const struct oracle_signature *oracle_signatures(size_t *ret_count);

/* The lines of a failure report between the headline and the commands (simulation 6.2): why it is
 * wrong, and the operations, faults and requests that touched this mail, at most `lines_max`. */
void oracle_explain(struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_finding *finding, unsigned lines_max, struct lab_buf *out);

#endif
