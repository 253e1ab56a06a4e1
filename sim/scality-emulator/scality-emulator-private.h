/* SPDX-License-Identifier: Apache-2.0
 *
 * scality-emulator-private.h - what the parts of the emulator share.
 */
#ifndef LAB_SCALITY_EMULATOR_PRIVATE_H
#define LAB_SCALITY_EMULATOR_PRIVATE_H

#include "sim/scality-emulator/scality-emulator.h"

#include <jansson.h>

#define SCALEMU_MAGIC UINT32_C(0x7363616c)
#define SCALEMU_TARGET_MAX 8192
#define SCALEMU_PATH_MAX 1024
#define SCALEMU_KEY_HEX 40
#define SCALEMU_ID_BYTES 24
#define SCALEMU_METADATA_MAX 48
#define SCALEMU_METADATA_NAME_MAX 64
#define SCALEMU_METADATA_BYTES_MAX 16384
#define SCALEMU_TYPE_OBJECT "application/cdmi-object"
#define SCALEMU_TYPE_CONTAINER "application/cdmi-container"
#define SCALEMU_USERMD "x-scal-usermd"

struct scalemu_object {
	struct lab_view body;
	uint64_t body_hash;
	struct lab_http_header *metadata; /* in one allocation with its texts */
	size_t metadata_count;
	char id[2 * SCALEMU_ID_BYTES + 1]; /* CDMI */
	unsigned names;
	uint32_t overwritten;
};

/* What a name stands for. */
struct scalemu_node {
	struct scalemu_object *object; /* NULL: a container */
	size_t children;               /* of a container */
};

/* One request and its answer. */
struct scalemu_exchange {
	struct scalemu *ring;
	struct scalemu_exchange *next;
	struct lab_arena *arena;
	sim_http_reply_fn reply;
	void *reply_ctx;
	const struct lab_http_request *request;
	struct lab_view peer_name;
	uint64_t now_ns, due_ns;
	struct lab_view query; /* ptr NULL: none */
	struct lab_view key;   /* decoded; empty: the base itself */
	bool by_id;            /* CDMI: `key` is the text of an object id */
	bool is_container;     /* CDMI: it ended in a slash */
	const char *operation, *point;
	struct scalemu_latency latency;
	struct sim_fault fault;
	bool dry; /* check only: nothing is to be applied */
	bool applied;
	uint64_t bytes, body_hash;
	struct lab_view *keys; /* of a bulk request, in the arena */
	size_t key_count;
	struct sim_http_reply out;
	struct lab_buf body;
};

struct scalemu {
	uint32_t magic;
	struct lab_heap *heap;
	struct scalemu_options options; /* views are owned */
	struct lab_tree *names;         /* key -> scalemu_node */
	struct lab_map *ids;            /* object id -> scalemu_object; CDMI */
	struct lab_map *locks;          /* key -> struct scalemu_lock */
	struct lab_map *clients;        /* peer -> ordinal of its requests */
	uint64_t other_clients;
	uint64_t next_id;
	struct scalemu_exchange *free_exchanges;
	struct scalemu_exchange *pending; /* by due_ns, then arrival */
	size_t pending_count;
	struct scalemu_counters counters;
};

/* ---- store.c ---- */

struct scalemu_node *scalemu_node_find(struct scalemu *ring, struct lab_view key);
struct scalemu_object *scalemu_find(struct scalemu *ring, struct lab_view key);
/* Room for an object of that size (and one more name)? */
bool scalemu_has_room(const struct scalemu *ring, uint64_t bytes);
/* Makes or replaces the object of that name; keeps its id. Metadata is copied. */
struct scalemu_object *scalemu_put(struct scalemu *ring, struct lab_view key, struct lab_view body,
	const struct lab_http_header *metadata, size_t count);
void scalemu_set_metadata(struct scalemu *ring, struct scalemu_object *object,
	const struct lab_http_header *metadata, size_t count);
/* One more name for an object. */
void scalemu_link(struct scalemu *ring, struct lab_view key, struct scalemu_object *object);
void scalemu_container_add(struct scalemu *ring, struct lab_view key);
/* The name goes; with its last name the object. */
void scalemu_remove(struct scalemu *ring, struct lab_view key);
/* The container that a name is in: "" for the base. */
struct lab_view scalemu_parent_of(struct lab_view key);

/* Does another request hold the key? */
bool scalemu_is_locked(struct scalemu *ring, struct lab_view key, uint64_t now_ns);
void scalemu_lock(struct scalemu *ring, struct lab_view key, uint64_t now_ns, uint64_t until_ns);

/* ---- scality-emulator.c ---- */

/* Answers with a status and a line of text. */
void scalemu_fail(struct scalemu_exchange *x, unsigned status, const char *why);
void scalemu_header(struct scalemu_exchange *x, const char *name, struct lab_view value);
struct lab_view scalemu_request_header(const struct scalemu_exchange *x, const char *name);
/* 423 or 409, if the key is held. */
bool scalemu_refuse_locked(struct scalemu_exchange *x, struct lab_view key);
/* If-Match and If-None-Match, of which only "*" is known. False: answered. */
bool scalemu_conditions(struct scalemu_exchange *x, bool exists);

/* ---- sproxyd.c, cdmi.c: operation, point and key; then the answer ---- */

/* False: it was answered already (400, 404, 405). */
bool scalemu_sproxyd_route(struct scalemu_exchange *x);
void scalemu_sproxyd_answer(struct scalemu_exchange *x);
bool scalemu_cdmi_route(struct scalemu_exchange *x);
void scalemu_cdmi_answer(struct scalemu_exchange *x);
void scalemu_cdmi_bulk(struct scalemu_exchange *x);
void scalemu_cdmi_list(struct scalemu_exchange *x);
/* NULL: it is no JSON, or nested too deeply. */
json_t *scalemu_parse_json(struct lab_view text);
bool scalemu_has_type(struct scalemu_exchange *x, const char *header, const char *type);
/* Begins an answer that is one JSON object. */
void scalemu_answer_json(
	struct scalemu_exchange *x, struct lab_json *json, unsigned status, const char *type);
/* Cuts "/<base>/" off a decoded path. False: it is not there. */
bool scalemu_take_base(struct lab_view *path, struct lab_view base);
/* Percent-decodes. ptr NULL: an escape is wrong. */
struct lab_view scalemu_decode(struct scalemu_exchange *x, struct lab_view text);
/* Neither empty nor too long; no empty part, no dots, no control characters. */
bool scalemu_is_path(struct lab_view path);

#endif
