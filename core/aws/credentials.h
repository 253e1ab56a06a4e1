/* SPDX-License-Identifier: Apache-2.0
 *
 * credentials.h - where the key to sign with comes from: the URL, or IMDS through fs-auth.
 */
#ifndef LAB_AWS_CREDENTIALS_H
#define LAB_AWS_CREDENTIALS_H

#include "core/env/env.h"

struct aws_credentials {
	struct lab_view access_key_id;
	struct lab_view secret_access_key;
	struct lab_view token; /* session token; ptr NULL without one */
	int64_t expires_unix;  /* 0: never */
};

struct aws_credentials_source;

/* Valid credentials, refreshed before they expire; concurrent callers share one lookup. Blocks.
 * Borrows from the arena. -1: LAB_UNAVAILABLE (IMDS), LAB_DENIED (no such role). */
int aws_credentials_get(struct aws_credentials_source *source, struct lab_arena *arena,
	struct aws_credentials *ret, struct lab_error *err);
/* The storage said that these are expired or unknown: the next get looks them up again. Of those
 * that IMDS gave at the earliest one second later, as a storage that denies fresh ones makes no
 * storm on IMDS; those of another host (aws_credentials_set_cache()) are not used again. */
void aws_credentials_invalidate(
	struct aws_credentials_source *source, struct lab_view access_key_id);

/* A fixed key, as in http://KEY:SECRET@host/. Copies. */
struct aws_credentials_source *aws_credentials_fixed(
	struct env *env, struct lab_view access_key_id, struct lab_view secret_access_key);
/* IMDSv2 at `auth_host` ("169.254.169.254:80") for `role`. `max_retries` and `timeout_ns` are
 * fs_auth_request_max_retries (1) and fs_auth_request_timeout (10 s). */
struct aws_credentials_source *aws_credentials_imds(struct env *env, struct lab_view auth_host,
	struct lab_view role, unsigned max_retries, uint64_t timeout_ns);
/* What other hosts have looked up, and are told (fs_auth_cache_dict). Of a source of
 * aws_credentials_imds(); copied. Each lookup asks it first, and goes on to IMDS unless what is
 * there has more than five minutes to live and was not refused by the storage. It is also what is
 * left while IMDS fails. All three may block. */
struct aws_credentials_cache {
	/* The document that was stored last, in the arena: 1; 0: none; -1: nobody knows. */
	int (*load)(void *ctx, struct lab_arena *arena, struct lab_view *ret);
	void (*store)(void *ctx, struct lab_view document);
	void (*release)(void *ctx); /* with the source */
	void *ctx;
};
void aws_credentials_set_cache(
	struct aws_credentials_source *source, const struct aws_credentials_cache *cache);
void aws_credentials_free(struct aws_credentials_source **source);

#endif
