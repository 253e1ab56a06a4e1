/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.h - what goes wrong in a run, decided before it starts.
 *
 * Purpose    A plan is a list of episodes: from when to when, where, which kind of fault, how often
 *            (simulation 3.4: independent drops never make a 10 s partition). A scenario adds
 *            specs, from which episodes are drawn for the seed, or exact episodes (shrunk
 *            scenarios, sweeps). Emulators ask fault_decide() at each fault point (points.def);
 *            world-level episodes (crash, node_down, partition, clock_*) are carried out by
 *            sim/world.
 * Keyed      Whether an occurrence fails depends on (seed, episode, point, peer, how many times
 *            this peer came to this point during the episode) and nothing else: other actors'
 *            order, other episodes and other specs do not matter. Episodes are keyed by their
 *            spec's name and number.
 * Ownership  A plan copies what it is given and lives in the heap it was made in.
 * Units      Nanoseconds of virtual time; rates and chances in parts per million.
 * Limits     FAULT_EPISODES_MAX episodes; the last FAULT_RECORDS_MAX fired faults are kept.
 * Phases     fault_plan_new, fault_plan_add*(), fault_plan_observe() once (sim/world does it), then
 *            fault_decide() and the counters. Episodes may still be added then (scenario steps);
 *            they count from that moment on.
 * Errors     LAB_INVALID (spec makes no sense), LAB_LIMIT.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "sim/service.h"

/* ---- points and kinds ---- */

enum fault_point {
#define X(id, name, doc) FAULT_POINT_##id,
#include "sim/faults/points.def"
#undef X
	FAULT_POINT_COUNT
};

/* A set of points. */
#define FAULT_BIT(id) (UINT64_C(1) << FAULT_POINT_##id)
#define FAULT_S3_WRITES \
	(FAULT_BIT(s3_put) | FAULT_BIT(s3_copy) | FAULT_BIT(s3_delete) | \
		FAULT_BIT(s3_bulk_delete) | FAULT_BIT(s3_upload_part) | FAULT_BIT(s3_multipart))
#define FAULT_S3 (FAULT_S3_WRITES | FAULT_BIT(s3_get) | FAULT_BIT(s3_head) | FAULT_BIT(s3_list))
#define FAULT_SPROXYD_WRITES (FAULT_BIT(sproxyd_put) | FAULT_BIT(sproxyd_delete))
#define FAULT_SPROXYD (FAULT_SPROXYD_WRITES | FAULT_BIT(sproxyd_get) | FAULT_BIT(sproxyd_head))
#define FAULT_CDMI_WRITES (FAULT_BIT(cdmi_put) | FAULT_BIT(cdmi_delete) | FAULT_BIT(cdmi_bulk))
#define FAULT_CDMI (FAULT_CDMI_WRITES | FAULT_BIT(cdmi_get))
/* Where objects are stored. */
#define FAULT_STORAGE_WRITES (FAULT_S3_WRITES | FAULT_SPROXYD_WRITES | FAULT_CDMI_WRITES)
#define FAULT_STORAGE (FAULT_S3 | FAULT_SPROXYD | FAULT_CDMI)
#define FAULT_CQL_WRITES (FAULT_BIT(cql_write) | FAULT_BIT(cql_delete))
#define FAULT_CQL (FAULT_CQL_WRITES | FAULT_BIT(cql_read))
#define FAULT_IMDS (FAULT_BIT(imds_token) | FAULT_BIT(imds_role))
#define FAULT_SERVICES \
	(FAULT_STORAGE | FAULT_CQL | FAULT_IMDS | FAULT_BIT(cql_connect) | FAULT_BIT(cql_prepare))
#define FAULT_DISK (FAULT_BIT(disk_write) | FAULT_BIT(disk_sync))

enum fault_kind {
#define X(id, points, answer, status, code, doc) FAULT_##id,
#include "sim/faults/kinds.def"
#undef X
	FAULT_KIND_COUNT
};
/* A set of kinds. */
typedef unsigned __int128 fault_kind_set;
#define FAULT_KIND_BIT(kind) ((fault_kind_set)1 << (kind))
#define FAULT_KIND(id) FAULT_KIND_BIT(FAULT_##id)
#define FAULT_KINDS_ALL (~(fault_kind_set)0)

/* "s3.put"; its sentence. */
const char *fault_point_name(enum fault_point point);
const char *fault_point_doc(enum fault_point point);
/* FAULT_POINT_COUNT if there is none of that name. */
enum fault_point fault_point_find(struct lab_view name);
/* Points that match "s3.put", "s3.*" or "*"; the empty set if none does. */
uint64_t fault_points_matching(struct lab_view pattern);

/* "slow_down"; its sentence; where it makes sense. */
const char *fault_kind_name(enum fault_kind kind);
const char *fault_kind_doc(enum fault_kind kind);
uint64_t fault_kind_points(enum fault_kind kind);
/* A delay, a duration: an amount that is drawn for each fault. */
bool fault_kind_has_amount(enum fault_kind kind);
/* FAULT_KIND_COUNT if there is none of that name. */
enum fault_kind fault_kind_find(struct lab_view name);
/* Carried out by the world on its own time line, not asked for by fault_decide(). */
bool fault_kind_is_world(enum fault_kind kind);

/* ---- specs: from which episodes are drawn ---- */

enum fault_shape {
	FAULT_UNIFORM,
	FAULT_QLOG,     /* low >= 1 */
	FAULT_LOGNORMAL /* low >= 1; the 5 % and 95 % quantiles, see hash.h */
};
struct fault_range {
	enum fault_shape shape;
	uint64_t low, high; /* equal: fixed */
};

enum fault_scope {
	FAULT_EVERYWHERE,
	FAULT_INSTANCE, /* a node or endpoint of the service: "cassandra-1" */
	FAULT_PEER,     /* requests of one host */
	FAULT_PEER_ZONE /* requests of the hosts of one zone */
};

/* What a crash does to the disk of the host. */
enum fault_disk {
	FAULT_DISK_LOSE_UNSYNCED, /* the machine: what was not synced is kept, dropped or torn */
	FAULT_DISK_KEEP,          /* the process only */
	FAULT_DISK_WIPE           /* the machine is replaced by an empty one */
};

struct fault_spec {
	const char *name;     /* unique in the plan: keys its draws */
	fault_kind_set kinds; /* FAULT_KIND()s; each episode draws one */
	uint64_t points;      /* narrows the kinds' points; 0: all of them */
	/* Each episode draws one target. Services: by `scope`, unused for FAULT_EVERYWHERE. World:
	 * crash and clock_*: hosts; node_down: instances; partition*: one side, a name or
	 * "zone:NAME" or "*", the other side is drawn from `others`, and is another one if there is
	 * one. */
	enum fault_scope scope;
	const char *const *targets;
	size_t target_count;
	const char *const *others;
	size_t other_count;
	const char *keyspace;        /* only requests about its tables; NULL: about anything */
	struct fault_range episodes; /* how many */
	uint64_t window_start_ns, window_end_ns; /* they begin and end in here */
	struct fault_range length_ns;
	struct fault_range rate_ppm; /* services and disk only */
	/* Drawn for each fault that has one (fault_kind_has_amount()): nanoseconds; 0..0 stands for
	 * qlog 10 ms..10 s. Drawn for each episode: clock_*: microseconds, the sign is drawn too;
	 * 0..0 stands for qlog 100 ms..10 min. */
	struct fault_range amount;
	unsigned disks; /* crash: set of 1 << enum fault_disk, one is drawn; 0: lose_unsynced */
};

/* ---- the plan ---- */

#define FAULT_EPISODES_MAX 4096
#define FAULT_RECORDS_MAX 4096
#define FAULT_NAME_MAX 64 /* of targets; longer is LAB_INVALID */

struct fault_episode {
	/* What it is. */
	uint32_t id; /* 1, 2, 3... in order of addition; given by the plan */
	enum fault_kind kind;
	uint64_t points;
	enum fault_scope scope;
	char target[FAULT_NAME_MAX];
	char other[FAULT_NAME_MAX];
	char keyspace[FAULT_NAME_MAX]; /* "": not asked for */
	uint64_t start_ns, length_ns;
	uint32_t rate_ppm;
	/* Above 0: not by rate; only the nth occurrence (from 1) of its points within its scope and
	 * time fails. For sweeps (simulation 3.9). */
	uint64_t nth;
	uint32_t after;      /* above 0: asked only once the episode of this id has fired */
	bool is_lasting;     /* with nth: that one and all that come later ... */
	uint64_t lasting_ns; /* ... within this time; 0: for as long as the episode */
	bool crashes_peer;   /* as it fires, the host that asked crashes ... */
	uint64_t down_ns;    /* ... for this long; `disk` says what it keeps */
	struct fault_range amount;
	int64_t clock_us; /* clock_* */
	enum fault_disk disk;
	uint64_t key; /* of its draws; given by fault_plan_add(), 0: from the id */
	bool is_disabled;
	/* What became of it. */
	uint64_t asked, fired, first_fired_ns;
};

/* One injected fault. */
struct fault_record {
	uint32_t id;      /* 1, 2, 3... in order of injection */
	uint32_t episode; /* its id */
	enum fault_point point;
	enum fault_kind kind;
	uint64_t time_ns;
	uint64_t key; /* names this decision in every run of the same plan: fault_plan_suppress() */
	uint64_t delay_ns; /* of kinds that have an amount: what was drawn */
	char instance[FAULT_NAME_MAX], peer[FAULT_NAME_MAX]; /* cut if longer */
	char subject[128];
};

struct fault_plan;

/* `replicas` is the replication factor that minority and quorum refer to. Never NULL. */
struct fault_plan *fault_plan_new(struct lab_heap *heap, uint64_t seed, unsigned replicas);
/* NULLs the pointer; accepts NULL. */
void fault_plan_free(struct fault_plan **plan);

/* Draws the episodes of a spec for the plan's seed. */
int fault_plan_add(struct fault_plan *plan, const struct fault_spec *spec, struct lab_error *err);
/* Adds exactly this one; `id`, `asked`, `fired` are ignored. `points` 0: all of the kind.
 * *ret_id may be NULL. */
int fault_plan_add_episode(struct fault_plan *plan, const struct fault_episode *episode,
	uint32_t *ret_id, struct lab_error *err);

/* In order of id; borrowed until the next addition. */
const struct fault_episode *fault_plan_episodes(const struct fault_plan *plan, size_t *ret_count);
/* An episode does not happen; a decision does not fire (it still gets its number, so that others
 * keep theirs). For minimising. -1 LAB_NOT_FOUND; LAB_LIMIT after 4096 suppressions. */
int fault_plan_disable_episode(struct fault_plan *plan, uint32_t id, struct lab_error *err);
int fault_plan_suppress(struct fault_plan *plan, uint64_t key, struct lab_error *err);

/* One line for each episode: id, kind, window, target, rate, asked and fired. */
void fault_plan_print(const struct fault_plan *plan, struct lab_buf *out);

/* ---- deciding ---- */

struct fault_observer {
	void *ctx;
	/* For FAULT_PEER_ZONE: "" if unknown. NULL: no zones. */
	const char *(*zone_of)(void *ctx, struct lab_view peer);
	/* After each injected fault. May be NULL. */
	void (*fired)(void *ctx, const struct fault_record *record);
	/* After an episode was added (also while it runs): the world puts it on its time line.
	 * Called for the present ones by fault_plan_observe(). May be NULL. */
	void (*episode)(void *ctx, const struct fault_episode *episode);
};
void fault_plan_observe(struct fault_plan *plan, const struct fault_observer *observer);

/* At a fault point. The first episode (by id) that fires decides. An unknown point is an
 * assertion: points.def is the list. */
struct sim_fault fault_decide(struct fault_plan *plan, const struct sim_fault_query *query);

/* The world carries out a world-level episode: counts it and gives it an id. 0 if it is disabled
 * or suppressed: then nothing must happen. */
uint32_t fault_world_fire(struct fault_plan *plan, uint32_t episode, uint64_t now_ns);

/* ---- counters ---- */

uint64_t fault_fired_kind(const struct fault_plan *plan, enum fault_kind kind);
uint64_t fault_fired_point(const struct fault_plan *plan, enum fault_point point);
uint64_t fault_asked_point(const struct fault_plan *plan, enum fault_point point);
uint64_t fault_fired_total(const struct fault_plan *plan);
/* Kept ones, oldest first: index in [0, *ret_count). NULL beyond. */
size_t fault_record_count(const struct fault_plan *plan);
const struct fault_record *fault_record(const struct fault_plan *plan, size_t index);
/* By fault id; NULL if it is no longer kept. */
const struct fault_record *fault_record_find(const struct fault_plan *plan, uint32_t id);

#endif
