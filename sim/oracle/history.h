/* SPDX-License-Identifier: Apache-2.0
 *
 * history.h - what clients asked for and what they were told: the oracle's main witness.
 *
 * Purpose    Every operation of a run is written down when it is invoked and when it ends, with one
 *            of three outcomes (DESIGN 4). Whoever drives the run (scenarios/runner) writes; the
 *            oracle and reports read.
 * Identity   A mail is known by its token: unique in the run, part of its Message-ID and of its
 *            body, so that it can be recognised wherever it turns up. Copies carry the same token.
 * Ownership  A history copies what it is given, and lives in the heap it was made in.
 * Limits     HISTORY_OPS_MAX operations, HISTORY_SIGHTINGS_MAX sightings; beyond them nothing more
 *            is written and the verdict is "unknown" (history_is_full()).
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "core/base/base.h"

#define HISTORY_OPS_MAX 4000000
#define HISTORY_SIGHTINGS_MAX 40000000
#define HISTORY_NAME_BYTES 16
#define HISTORY_OID_BYTES_MAX 32
#define HISTORY_FLAGS_MAX 64 /* different flags and keywords of a run */
#define HISTORY_WORDS_KNOWN (UINT64_C(1) << 63)
/* States of `doveadm fts check full` (obox 6.1), in the order of fts_check. */
#define HISTORY_FTS_STATES(X) \
	X(SYNCED, "synced") \
	X(SYNCED_EXPUNGED, "synced_expunged") \
	X(MISSING, "missing") \
	X(UNEXPUNGED, "unexpunged") \
	X(MISSING_UNEXPUNGED, "missing_unexpunged") \
	X(LEAKED, "leaked") \
	X(EXPUNGE_LEAKED, "expunge_leaked") \
	X(DUPLICATE, "duplicate")
enum history_fts_state {
#define X(name, text) HISTORY_FTS_##name,
	HISTORY_FTS_STATES(X)
#undef X
	HISTORY_FTS_STATE_COUNT
};

#define HISTORY_KINDS(X) \
	X(DELIVER, "deliver") \
	X(FETCH, "fetch") \
	X(COPY, "copy") \
	X(MOVE, "move") \
	X(EXPUNGE, "expunge") \
	X(STORE, "store") \
	X(SELECT, "select") \
	X(FLUSH, "flush") \
	X(LIST, "list") \
	X(REBUILD, "rebuild") \
	X(OPERATE, "operate") \
	X(CREATE, "create") \
	X(RENAME, "rename") \
	X(DELETE, "delete") \
	X(SUBSCRIBE, "subscribe") \
	X(STATUS, "status") \
	X(USER_DELETE, "user-delete") \
	X(SEARCH, "search") \
	X(FTS_CHECK, "fts-check") \
	X(AUTOEXPUNGE, "autoexpunge") \
	X(QUOTA, "quota") \
	X(PRIVATE_STORE, "private-store") \
	X(PRIVATE_FETCH, "private-fetch") \
	X(VIRTUAL, "virtual")
enum history_kind {
#define X(name, text) HISTORY_##name,
	HISTORY_KINDS(X)
#undef X
	HISTORY_KIND_COUNT
};
const char *history_kind_name(enum history_kind kind);

enum history_outcome {
	HISTORY_PENDING,  /* invoked, never ended: counts as uncertain */
	HISTORY_OK,       /* acknowledged */
	HISTORY_FAIL,     /* certainly did not happen */
	HISTORY_UNCERTAIN /* may have happened, may still happen: also when its backend crashed */
};
const char *history_outcome_name(enum history_outcome outcome);

/* An object's name in a folder, and its object id; len 0: not known. */
struct history_object {
	uint8_t name[HISTORY_NAME_BYTES];
	bool has_name;
	uint8_t oid[HISTORY_OID_BYTES_MAX];
	uint8_t oid_len;
};

/* One operation on one mail (a bulk expunge is as many operations), or on one folder. */
struct history_op {
	uint32_t id; /* 1, 2, 3... given by history_invoke() */
	/* Of one command on several mails: the id of its first; 0: not told. */
	uint32_t call;
	/* The client's connection: 1, 2, 3... in the order of their first operations; 0: none that
	 * lasts. */
	uint32_t session;
	enum history_kind kind;
	enum history_outcome outcome;
	struct lab_view user, folder;
	/* copy, move: the other folder; rename: the new name; operate: the command */
	struct lab_view target;
	/* `folder` and `target` as they were asked for, whatever they are called here. */
	struct lab_view asked, asked_target;
	struct lab_view backend;
	uint32_t boot;      /* of the backend: 1, 2, 3...; 0: nobody was there */
	uint64_t token;     /* of the mail; 0 for SELECT and REBUILD */
	uint64_t body_hash; /* lab_hash_bytes(0, body): deliver: sent; fetch: received */
	uint64_t body_bytes;
	uint64_t body_vsize; /* with two bytes for each line end; quota: the sum */
	uint64_t messages;   /* quota */
	uint32_t uidvalidity;
	uint32_t uid;                /* deliver: given; others: asked for */
	uint32_t target_uid;         /* copy, move: given */
	uint32_t target_uidvalidity; /* under this one; 0: not known */
	uint64_t flags; /* deliver: those that it sets; store: the one; bits of history_flag() */
	bool is_set;    /* store: set, not cleared; subscribe: not unsubscribed */
	/* store: that it was not so before; private-fetch: the reader's own \\Seen, of the mail
	 * `source` of the shared folder `folder`, "shared/<owner>/INBOX" */
	bool changed;
	/* Of `folder` and `target`; zero: nobody said. */
	uint8_t mailbox_guid[HISTORY_NAME_BYTES], target_guid[HISTORY_NAME_BYTES];
	/* select: all backends have told each other everything before (22) */
	bool is_converged;
	/* what it said of the folder */
	uint32_t uidnext;
	uint64_t highest_modseq;
	struct lab_view special_use;  /* create: asked for; empty: none */
	uint64_t modseq;              /* store, deliver: the mail's, afterwards; 0: not known */
	struct history_object source; /* others than deliver: the mail's object in `folder` */
	struct history_object made; /* deliver, copy, move: also when it failed, as far as known */
	/* move that did not end ok: the copy was acknowledged; expunge with a target: it moved */
	bool copied;
	bool has_told_all; /* autoexpunge: its sightings are all that it may have removed */
	uint64_t invoked_ns, ended_ns;
	uint64_t invoked_event, ended_event; /* of the run: the last event before it, each time */
	enum lab_code code;
	/* deliver: which of the run's probe words are in the mail, as bits, and
	 * HISTORY_WORDS_KNOWN, or 0; search: the one that is
	 * looked for, or 0: the mail's own, its token. */
	uint64_t words;
	uint32_t view; /* search: the SELECT whose mails the session sees */
	/* fts-check: mails in each state; everything was searched before it (is_converged). */
	uint32_t fts_check[HISTORY_FTS_STATE_COUNT];
	char message[160]; /* of the error; "" if ok */
};

/* A mail seen by a listing of its folder (SELECT, REBUILD), found (SEARCH), or removed
 * (AUTOEXPUNGE). */
struct history_sighting {
	uint32_t op;
	uint32_t uid;
	uint64_t modseq, flags;
	struct history_object object;
	bool is_uncertain; /* autoexpunge: it may be gone */
};

/* What a LIST saw: a folder, or a subscribed name that is none (then `guid` is zero). */
struct history_folder {
	struct lab_view name;
	uint8_t guid[HISTORY_NAME_BYTES];
	struct lab_view special_use;
	bool is_subscribed;
};

struct history;

struct history *history_new(struct lab_heap *heap);
void history_free(struct history **history);
/* Hears of each operation when it is written down, and when it has ended. */
typedef void (*history_listener)(void *ctx, const struct history_op *op, bool is_end);
void history_listen(struct history *history, history_listener fn, void *ctx);
bool history_is_full(const struct history *history);

/* The bit of a flag or keyword (in either case), the same for the whole run. 0 if the history is
 * full of them. */
uint64_t history_flag(struct history *history, struct lab_view name);
/* The names of these bits, a space between two. At most `size` bytes with the NUL. */
void history_flag_names(const struct history *history, uint64_t flags, char *out, size_t size);

/* Writes down the beginning; what is known when it is asked for is taken from *op. Returns its id,
 * 0 if the history is full. */
uint32_t history_invoke(struct history *history, const struct history_op *op);
/* Folders have a name of their own in the history, that of their GUID: the first they had, and
 * "Name#01234567" if there was another of that name before. An operation whose GUID becomes known
 * at its end gets that name.
 * Writes down the end: outcome, uids, modseqs, GUIDs, made, copied, changed, body_*, ended_*, code
 * and message are taken from *end. An id of 0 is ignored. An operation ends once. */
void history_end(struct history *history, uint32_t id, const struct history_op *end);
/* All mails that a SELECT or REBUILD saw, or a SEARCH found; before its end. */
void history_sight(struct history *history, uint32_t op, const struct history_sighting *sightings,
	size_t count);

/* All folders that a LIST saw; before its end. */
void history_sight_folders(
	struct history *history, uint32_t op, const struct history_folder *folders, size_t count);

size_t history_count(const struct history *history);
/* By position from 0, which is the order of invocation: id - 1. */
const struct history_op *history_op(const struct history *history, size_t index);
/* Sightings of one operation. */
const struct history_sighting *history_sightings(
	const struct history *history, uint32_t op, size_t *ret_count);
/* Folders that a LIST saw. */
const struct history_folder *history_folders(
	const struct history *history, uint32_t op, size_t *ret_count);

/* Counts of kind x outcome. */
uint64_t history_total(
	const struct history *history, enum history_kind kind, enum history_outcome outcome);
/* Canonical text: one line for each operation without times, UIDs and names, sorted by user and
 * order: equal in both worlds for the same scenario (parity). */
void history_print_canonical(const struct history *history, struct lab_buf *out);

#endif
