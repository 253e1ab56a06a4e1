/* SPDX-License-Identifier: Apache-2.0
 *
 * imds-emulator-private.h - what the parts of the emulator share.
 */
#ifndef LAB_IMDS_EMULATOR_PRIVATE_H
#define LAB_IMDS_EMULATOR_PRIVATE_H

#include "sim/imds-emulator/imds-emulator.h"

#define IMDSEMU_TARGET_MAX 2048
#define IMDSEMU_TOKEN_LEN 56
#define IMDSEMU_TTL_MAX 21600
#define IMDSEMU_BODY_MAX 16384

struct imdsemu_role {
	enum imdsemu_role_state state;
};

/* An EC2 instance, as IMDS knows it. */
struct imdsemu_host {
	uint64_t actor; /* hash of its name */
	uint64_t requests;
	uint64_t credit_ps; /* of the throttle */
	uint64_t credit_at_ns;
	struct lab_map *issued; /* role to generation + 1, of the set handed to `publish` last */
};

/* One request and its answer. */
struct imdsemu_exchange {
	struct imdsemu *imds;
	struct imdsemu_exchange *next;
	struct lab_arena *arena;
	sim_http_reply_fn reply;
	void *reply_ctx;
	const struct lab_http_request *request;
	struct lab_view path; /* the target without its query */
	struct lab_view peer_name, host_name, zone;
	unsigned hops;
	struct imdsemu_host *host;
	uint64_t now_ns, due_ns;
	const char *operation;
	struct sim_fault fault;
	struct sim_http_reply out;
	struct lab_buf body;
};

struct imdsemu {
	uint32_t magic;
	struct lab_heap *heap;
	struct imdsemu_options options; /* views are owned */
	struct lab_tree *roles;
	struct lab_map *hosts;
	struct imdsemu_host other_hosts;
	uint8_t key[32]; /* of tokens and credentials, from the seed */
	uint64_t revocations, ordinal;
	uint64_t frozen_at_ns; /* UINT64_MAX: not frozen */
	uint64_t ahead_ns;     /* how far imdsemu_rotate() put the schedule ahead */
	struct imdsemu_exchange *free_exchanges;
	struct imdsemu_exchange *pending; /* by due_ns, then arrival */
	size_t pending_count;
	struct imdsemu_counters counters;
};
#define IMDSEMU_MAGIC UINT32_C(0x696d6473)

/* token.c */
void imdsemu_token_make(struct imdsemu *imds, struct lab_view host, uint64_t expires_ns,
	char out[IMDSEMU_TOKEN_LEN + 1]);
/* 0 and until when it lives; -1: it is not one of this host, or no longer. */
int imdsemu_token_ok(struct imdsemu *imds, struct lab_view host, struct lab_view token,
	uint64_t now_ns, uint64_t *ret_expires_ns);

/* credentials.c: the set that this host gets for this role now, published if it is new. Text is in
 * the arena. */
struct imdsemu_set {
	struct sim_credentials credentials;
	int64_t issued_unix; /* both as the service's clock has them */
	int64_t expires_unix;
};
void imdsemu_credentials(struct imdsemu_exchange *x, struct lab_view role, struct imdsemu_set *ret);
/* Unix seconds by the service's own clock. */
int64_t imdsemu_clock(const struct imdsemu *imds, uint64_t now_ns);

/* documents.c: x->path to a body. The HTTP status: 200, 404, or 301 to the path with a slash. */
unsigned imdsemu_document(struct imdsemu_exchange *x);
/* Replaces a role's document by one that says `code`, lacks a field ("MissingField") or is past its
 * end ("ExpiredCredentials"). Another document, or a token, is made useless. */
void imdsemu_document_spoil(struct imdsemu_exchange *x, const char *code);
bool imdsemu_is_role_path(struct lab_view path);
/* "latest" or one of the dated versions. */
bool imdsemu_is_version(struct lab_view name);
void imdsemu_error_page(struct imdsemu_exchange *x, unsigned status);
const char *imdsemu_reason(unsigned status);

#endif
