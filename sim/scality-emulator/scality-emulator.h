/* SPDX-License-Identifier: Apache-2.0
 *
 * scality-emulator.h - a Scality RING behind one of its two connectors, sproxyd or CDMI, as a state
 * machine (sim/service.h).
 *
 * Purpose    What the fs drivers `sproxyd` and `scality` talk to. Where the real connectors are lax
 *            or nothing is published about them, this one is strict: README.md says what was
 *            decided.
 * Use        scalemu_options_init(), change what you want, scalemu_new(), then give
 *            scalemu_service() to a front end.
 * sproxyd    PUT GET HEAD DELETE of /<base>/<key>; a key is 40 hex digits, or with by_path any
 *            path. Metadata is in X-Object-Meta-<name> headers, and in x-scal-usermd. Writing or
 *            deleting what another request still holds is 423 Locked. GET /<base>/.conf for health
 *            checks.
 * CDMI       Data objects and containers with CDMI content types (JSON, values in base64), by path
 *            or below cdmi_objectid/; GET of single fields; children and listing of a container;
 *            POST ?bulk_delete and ?bulk_link. Containers must be there before what is put in them.
 *            What sproxyd calls 423 is 409 here.
 * Locks      A request holds what it names until its answer leaves, and lock_ns longer.
 * Time       As in s3-emulator.h. Writes take effect when they come in; answers take their time.
 * Ownership  The emulator has its own heap in the caller's pool and copies its options. Snapshot
 *            views are borrowed until the next call of submit(), advance() or scalemu_free().
 * Threads    One.
 * Limits     struct scalemu_limits. A write beyond them is 507, a request while pending_max answers
 *            wait is 503.
 *
 * Fault points   sproxyd.get sproxyd.head sproxyd.put sproxyd.delete; cdmi.get (with the fields and
 *     listings) cdmi.put (copies and containers too) cdmi.delete cdmi.bulk. The subject is the key.
 *     As in s3-emulator.h, except that LATE is as FAIL, and PARTLY on cdmi.bulk does the first
 *     `replicas` entries, each other one has `status` of its own. Default status 500.
 *
 * Access log     One line for each request, in the order of effects. The subject is
 *     "<instance>/<key>". operation: GET HEAD (CDMI: without the value) PUT DELETE COPY LIST
 *     CONTAINER POST-DELETE POST-LINK OTHER. `applied`: a write took effect, for deletes also if
 *     there was nothing. `keys` are those that were deleted or linked.
 *
 * Source     obox 1.3, 4.1, 4.3, 8.2
 */
#ifndef LAB_SCALITY_EMULATOR_H
#define LAB_SCALITY_EMULATOR_H

#include "sim/service.h"

struct scalemu;

enum scalemu_protocol {
	SCALEMU_SPROXYD,
	SCALEMU_CDMI
};

/* Log-normal between these quantiles; 0: at once. */
struct scalemu_latency {
	uint64_t low_ns, high_ns;
};

struct scalemu_limits {
	uint32_t objects_max; /* names, containers included */
	uint64_t stored_bytes_max;
	uint64_t object_bytes_max; /* 413 above */
	uint32_t clients_max;      /* whose ordinals are counted apart */
	uint32_t pending_max;
};

struct scalemu_options {
	uint64_t seed;
	enum scalemu_protocol protocol;
	struct lab_view instance; /* "sproxyd" or "cdmi", by default that of the protocol */
	uint64_t epoch_unix_us;
	/* What stands before keys and paths, without slashes at its ends: "proxy/chord". CDMI: a
	 * container that is always there. */
	struct lab_view base;
	bool by_path;                  /* sproxyd */
	struct lab_view objectid_base; /* CDMI: what stands before cdmi_objectid/ */
	/* HTTP Basic; an empty user: nobody is asked. */
	struct lab_view user, password;
	/* A request without this header is 400: a balancer would not know where it belongs. Empty:
	 * none. */
	struct lab_view sticky_header;
	struct scalemu_latency read_latency, write_latency, list_latency;
	uint64_t lock_ns;
	unsigned bulk_max; /* entries of one bulk request: 1000 */
	struct scalemu_limits limits;
	struct sim_hooks hooks; /* `fault` and `access` are used */
};
/* Everything at once, nobody is asked, epoch 2026-01-01. */
void scalemu_options_init(struct scalemu_options *options, enum scalemu_protocol protocol);

/* -1 LAB_INVALID. */
int scalemu_new(struct lab_pool *pool, const struct scalemu_options *options, struct scalemu **ret,
	struct lab_error *err);
/* Waiting answers are dropped without a reply. NULLs the pointer; accepts NULL. */
void scalemu_free(struct scalemu **ring);
struct sim_http_service scalemu_service(struct scalemu *ring);

/* ---- what an oracle sees ---- */

struct scalemu_object_info {
	struct lab_view key; /* sproxyd: lower-case digits; CDMI: the path below the base */
	struct lab_view id;  /* CDMI: in hex; else empty */
	struct lab_view body;
	uint64_t body_hash; /* the same as in the access log */
	/* Names in lower case, without X-Object-Meta-: "dovecot-username". */
	const struct lab_http_header *metadata;
	size_t metadata_count;
	unsigned names;       /* CDMI: how many names the object has */
	uint32_t overwritten; /* writes to it while it existed */
};
struct scalemu_iter {
	struct scalemu *ring;
	struct lab_tree_iter at;
};
/* Objects in order of their keys; containers are left out. */
struct scalemu_iter scalemu_objects(struct scalemu *ring);
bool scalemu_objects_next(struct scalemu_iter *iter, struct scalemu_object_info *ret);
/* 1 found, 0 not. */
int scalemu_object_find(struct scalemu *ring, struct lab_view key, struct scalemu_object_info *ret);
/* ptr NULL: there is none. */
struct lab_view scalemu_metadata(const struct scalemu_object_info *info, const char *name);

struct scalemu_counters {
	uint64_t requests, faults;
	uint64_t locked;                     /* 423 and 409 because of another request */
	uint64_t unauthorized;               /* 401 */
	uint64_t puts, gets, deletes, links; /* that took effect; of a bulk request each entry */
	uint64_t bulk_requests;
	uint64_t objects, stored_bytes; /* now */
};
/* Borrowed for the life of the emulator; always current. */
const struct scalemu_counters *scalemu_counters(const struct scalemu *ring);

#endif
