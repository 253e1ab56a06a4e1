/* SPDX-License-Identifier: Apache-2.0
 *
 * imds-emulator.h - the EC2 instance metadata service as a state machine (sim/service.h).
 *
 * Purpose    IMDSv2 session tokens, role credentials that rotate, and the few other documents that
 *            SDKs ask for (cql-imds 6.2). One emulator serves all hosts; as on EC2 each host has
 *            credentials and tokens of its own. A host is the peer's name, without a port.
 * Use        imdsemu_options_init(), change what you want, imdsemu_new(), imdsemu_role_attach(),
 *            then give imdsemu_service() to a front end.
 * Credentials  Set n of a host and role is issued at n * rotate_every_s after the start, lives
 *            for lifetime_s, and is a function of (seed, host, role, n). A set is handed to
 *            `publish` when it is first served, before the answer leaves. Old sets stay valid to
 *            their own expiry, so two overlap for lifetime_s - rotate_every_s (AWS: 5 min or more).
 * Tokens     Opaque, 56 characters, valid on the host that asked for them until their TTL ends or
 *            imdsemu_tokens_revoke(). They are not stored: any number lives at once.
 * Time       As in s3-emulator.h. skew_us is an error of this service's clock: it shows in the
 *            dates of documents and headers; keys and tokens end when they really end.
 * Hop limit  The answer to the token PUT travels hop_limit hops: a peer further away sees silence,
 *            never an error. Other answers are not limited.
 * Replies    Content-Length is the body's length. Documents are text/plain, errors are XHTML.
 * Threads    One. The emulator has its own heap in the caller's pool and copies its options.
 *
 * Redirect   The role list without its slash is 301, as on EC2.
 *
 * Answers    400 TTL missing, not a number, 0, over 21600; 401 token missing, wrong, expired; 403
 *            X-Forwarded-For, dated path, service disabled; 404 no such path, role; 405 other
 *            methods; throttle_status when over the rate.
 *
 * Fault points   imds.token (the PUT), imds.role (role list and documents). The subject is the
 *     path. REFUSE answers `status` (default 500) before looking; FAIL, ALTER_REPLY, LATE, PARTLY
 *     answer it in place of a success (what is wrong keeps its own status). STALL, RESET,
 *     STALL_REPLY, LOSE_REPLY as named; CORRUPT cuts the body. A slow answer is DELAY: it says what
 *     was true when it was asked for.
 *     ALTER_REPLY with status 200: a document that is none, with the code
 * AssumeRoleUnauthorizedAccess, Failed, InstanceProfileNotFound, HalfDocument, EmptyDocument,
 * MissingField or ExpiredCredentials; with BadDocument or none one of these is drawn. TRICKLE,
 * FLIP, WRONG_DATE, DROP as named.
 *
 * Access log     One line for each request; operation is imds.token, imds.role or imds.meta.
 *
 * Source     spec cql-imds 6
 */
#ifndef LAB_IMDS_EMULATOR_H
#define LAB_IMDS_EMULATOR_H

#include "sim/credentials.h"
#include "sim/service.h"

struct imdsemu;

enum imdsemu_tokens {
	IMDSEMU_REQUIRED, /* IMDSv2 only: without a token 401 */
	IMDSEMU_OPTIONAL, /* IMDSv1 works too; a wrong token is still 401 */
	IMDSEMU_DISABLED  /* HttpEndpoint=disabled: 403 for everything */
};

/* What a role's document says. */
enum imdsemu_role_state {
	IMDSEMU_ROLE_OK,
	IMDSEMU_ROLE_UNAUTHORIZED, /* 200, Code AssumeRoleUnauthorizedAccess, no keys */
	IMDSEMU_ROLE_FAILED        /* 200, Code Failed */
};

struct imdsemu_options {
	uint64_t seed;
	struct lab_view instance; /* "imds" */
	uint64_t epoch_unix_us;   /* the wall clock at now 0; must be the S3 emulator's */
	int64_t skew_us;          /* this service's clock error; at most a year */
	struct lab_view region;   /* "us-east-1" */
	struct lab_view zone;     /* of peers that have none: "us-east-1a" */
	struct lab_view account;  /* 12 digits, owner of all keys issued */
	enum imdsemu_tokens tokens;
	unsigned hop_limit;      /* 1..64, AWS default 1 */
	uint32_t lifetime_s;     /* of credentials: 21600 */
	uint32_t rotate_every_s; /* <= lifetime_s: 18000 */
	uint32_t throttle_per_s; /* requests of one host; 0 is no limit */
	uint32_t throttle_burst;
	unsigned throttle_status;                 /* 429, or 503 */
	bool close_connections;                   /* after each answer, as the real one does */
	uint64_t latency_low_ns, latency_high_ns; /* log-normal quantiles; 0: at once */
	uint32_t roles_max, hosts_max, pending_max;
	sim_credentials_fn publish; /* NULL: nobody is told */
	void *publish_ctx;
	struct sim_hooks hooks; /* `fault` and `access` are used */
};
/* Tokens required, hop limit 1, 6 h lives rotated every 5 h, no throttling, epoch 2026-01-01. */
void imdsemu_options_init(struct imdsemu_options *options);

/* -1 LAB_INVALID. */
int imdsemu_new(struct lab_pool *pool, const struct imdsemu_options *options, struct imdsemu **ret,
	struct lab_error *err);
/* Waiting answers are dropped without a reply. NULLs the pointer; accepts NULL. */
void imdsemu_free(struct imdsemu **imds);
struct sim_http_service imdsemu_service(struct imdsemu *imds);

/* Attaches a role to all hosts, or changes its state. -1: LAB_INVALID name, LAB_LIMIT. */
int imdsemu_role_attach(struct imdsemu *imds, struct lab_view role, enum imdsemu_role_state state,
	struct lab_error *err);
/* The role is gone from the list and its document is 404. */
void imdsemu_role_detach(struct imdsemu *imds, struct lab_view role);
/* Changes what is asked of a client, from now on. */
void imdsemu_set_tokens(struct imdsemu *imds, enum imdsemu_tokens tokens);
/* Every token issued so far is invalid. */
void imdsemu_tokens_revoke(struct imdsemu *imds);
void imdsemu_set_skew(struct imdsemu *imds, int64_t skew_us);
/* The set that is current at now_ns stays the newest, past its expiry, until thawed: what the real
 * service does when it cannot reach STS (cql-imds 6.4). */
void imdsemu_freeze(struct imdsemu *imds, uint64_t now_ns);
void imdsemu_thaw(struct imdsemu *imds);

/* A new set is due now, and the schedule goes on from here. Nothing happens while it is frozen. */
void imdsemu_rotate(struct imdsemu *imds, uint64_t now_ns);

struct imdsemu_counters {
	uint64_t requests;
	uint64_t tokens_issued, tokens_refused; /* answers to PUT: 200, anything else */
	uint64_t role_lists, role_documents;    /* 200 */
	uint64_t unauthorized, throttled;       /* 401, throttle_status */
	uint64_t beyond_hop_limit, faults;
	uint64_t credentials_issued; /* sets served for the first time */
};
/* Borrowed for the life of the emulator; always current. */
const struct imdsemu_counters *imdsemu_counters(const struct imdsemu *imds);

#endif
