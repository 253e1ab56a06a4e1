/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h - one end of a TLS connection without a socket: bytes of the wire in, bytes of the wire
 * out, and the same for what they mean. OpenSSL does the work; streams of the live world
 * (live-tls.c) and the servers of sim/front-end put it on theirs.
 *
 * Purpose    TLS 1.2 and 1.3, client or server, certificates from PEM files.
 * Use        live_tls_context_new, then for each connection: live_tls_new, and until it ends: put
 *            what came into live_tls_put(), call handshake(), read() or write(), and send what
 *            live_tls_output() has, after each call, also after one that failed: it is the alert.
 * Ownership  Everything is OpenSSL's own memory, which no crash of a host takes away: who crashes
 *            frees it. Settings are borrowed during the call.
 * Threads    A context may be shared by threads, a connection may not.
 * Secrets    No message has anything of a key, a password or of a certificate's content but its
 *            verdict. A key that needs a password and has none is an error, never a question.
 */
#ifndef LAB_ENV_LIVE_TLS_H
#define LAB_ENV_LIVE_TLS_H

#include "core/env/env.h"

struct live_tls_context;
struct live_tls;

struct live_tls_settings {
	bool server;
	/* PEM file of those who may have signed the peer's certificate. Without it a client that
	 * verifies trusts nobody, and a server asks for no certificate. */
	const char *ca_file;
	bool require_certificate; /* server: a client without one that ca_file signed is refused */
	const char *cert_file;    /* PEM chain; a server must have one */
	const char *key_file;     /* PEM; NULL: in cert_file */
	const char *key_password; /* of the key file, NULL: none */
};

/* -1 LAB_INVALID: a file that cannot be read, is not PEM, or does not fit its key. */
int live_tls_context_new(const struct live_tls_settings *settings, struct live_tls_context **ret,
	struct lab_error *err);
/* Connections that are there keep what they need. NULLs the pointer; accepts NULL. */
void live_tls_context_free(struct live_tls_context **context);

/* A connection. A client verifies as told; `name` is what ENV_TLS_VERIFY_NAME and _IP compare with
 * the certificate (NULL otherwise), `sni` the name that the server is told (NULL: none). Both are
 * copied. -1 LAB_INVALID (a name that is none), LAB_LIMIT. */
int live_tls_new(struct live_tls_context *context, enum env_tls_verify verify, const char *name,
	const char *sni, struct live_tls **ret, struct lab_error *err);
void live_tls_free(struct live_tls **tls);

/* Bytes that came. */
void live_tls_put(struct live_tls *tls, struct lab_view data);
/* Bytes that are to be sent, or none; valid until the next call. */
struct lab_view live_tls_output(const struct live_tls *tls);
/* They were taken. */
void live_tls_output_taken(struct live_tls *tls);

/* 0: done; 1: more bytes must come. -1: LAB_DENIED (certificates: one of the two sides will not
 * have the other's), LAB_CORRUPT (not TLS, or not a version that is spoken). */
int live_tls_handshake(struct live_tls *tls, struct lab_error *err);
/* 0 with *ret_n bytes, 0 of them at the peer's orderly end; 1: more bytes must come.
 * -1 LAB_CORRUPT, LAB_DENIED (TLS 1.3: the server did not like our certificate). */
int live_tls_read(
	struct live_tls *tls, void *data, size_t size, size_t *ret_n, struct lab_error *err);
/* At most LIVE_TLS_WRITE_MAX bytes at a time, after the handshake. -1 LAB_CORRUPT. */
#define LIVE_TLS_WRITE_MAX ((size_t)64 << 10)
int live_tls_write(struct live_tls *tls, struct lab_view data, struct lab_error *err);
/* Says that nothing follows. */
void live_tls_end(struct live_tls *tls);

#endif
