/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h - the emulators as servers: what `oboxlab serve` is.
 *
 * Purpose    S3, Cassandra and IMDS on real sockets, for a real mail server or any client of
 *            theirs, with the settings of a profile (profile.h).
 * Addresses  "A:P": an IP address and a port, "[::1]:9000" for IPv6, localhost for 127.0.0.1; port
 *            0 takes one that is free. Services without an address are not started; if none has
 *            one, all three are, on loopback: S3 127.0.0.1:9000, IMDS 127.0.0.1:1338, Cassandra's
 *            nodes on 127.0.0.1, 127.0.0.2... port 9042. Cassandra's further nodes listen on the
 *            addresses behind the given one.
 * Keys       Without a profile there is one, PROFILE_DEFAULT_KEY, well known and good for
 *            everything. What IMDS hands out, S3 of the same serve knows before the client does.
 * Data       With `data` S3's buckets, objects, uploads and IMDS's keys outlive the program, see
 *            s3-sqlite.h, and Cassandra's schema and rows, see cql-sqlite.h. Buckets of the profile
 *            keep their objects and take the profile's settings; keyspaces stay as they are. IMDS
 *            has no data.
 * Threads    serve_start(), serve_stop() and the others belong to one thread; each service has one
 *            of its own.
 * Ownership  The arena and what is in the options must live until serve_stop() has returned.
 * Errors     LAB_DENIED (an admin interface that others could reach), LAB_INVALID (file, address),
 *            LAB_EXISTS (address in use), LAB_IO...: one sentence; what is wrong with a file is in
 *            `problems` besides, with places.
 */
#ifndef SIM_SERVE_H
#define SIM_SERVE_H

#include "core/conf/conf.h"

struct serve;

struct serve_options {
	const char *s3, *cql, *imds; /* where to listen; NULL: see above */
	const char *sproxyd, *cdmi;  /* likewise, but only if they are asked for */
	const char *admin;   /* where the admin interface listens (admin.h); NULL: nowhere */
	const char *profile; /* file; NULL: none */
	const char *faults;  /* file (fault-file.h); NULL: none. Its time begins at once */
	const char *data;    /* folder of s3.sqlite and cql.sqlite; NULL: memory */
	/* PEM files: S3 and Cassandra speak TLS only, with this certificate. NULL: they do not.
	 * With tls_client_ca clients need a certificate that it signed. */
	const char *tls_cert, *tls_key, *tls_client_ca;
	const struct conf_reader *reader;
	uint64_t start_ns;      /* CLOCK_MONOTONIC now: time 0 of the services */
	uint64_t start_unix_us; /* the wall clock at that time */
};

int serve_start(const struct serve_options *options, struct lab_arena *arena,
	struct conf_problems *problems, struct serve **ret, struct lab_error *err);
/* Ends all connections and frees everything. NULLs the pointer; accepts NULL. */
void serve_stop(struct serve **serve);

/* One line for each service, "s3 http://127.0.0.1:9000", with the ports that were chosen; then
 * "key ID secret SECRET" if the well-known key is in force. */
void serve_print(struct serve *serve, struct lab_buf *out);

/* The ports that were chosen; 0: not started. */
uint16_t serve_s3_port(const struct serve *serve);
uint16_t serve_imds_port(const struct serve *serve);
uint16_t serve_sproxyd_port(const struct serve *serve);
uint16_t serve_cdmi_port(const struct serve *serve);
uint16_t serve_cql_port(const struct serve *serve);
uint16_t serve_admin_port(const struct serve *serve);

#endif
