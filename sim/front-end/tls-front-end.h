/* SPDX-License-Identifier: Apache-2.0
 *
 * tls-front-end.h - TLS in front of a front end: takes connections, does the handshake, and passes
 * what is inside to a socket that speaks in the clear, as a TLS proxy in front of a real server
 * does.
 *
 * Purpose    Lets clients that insist on TLS talk to the S3 and CQL emulators.
 * Threads    One thread for all its connections. All functions may be called from any other.
 * Peers      The connection inside comes from the client's own address as far as that is a loopback
 *            one of IPv4: front ends know their peers by it. Its port is another.
 * Wire       TLS 1.2 and 1.3. A client that does not get through the handshake is told by an alert
 *            where TLS has one, then its connection is closed; nothing of it is passed on. The
 *            inner server's orderly end becomes TLS's goodbye and FIN, its reset a reset; the
 *            client's end is passed on, and what the server still says is sent. A server that is
 *            not there is a reset after the handshake: a refused connection cannot be had here.
 * Limits     Taken in the settings; 0 chooses the default that stands beside each. At most 256 KiB
 *            wait for a slow reader in each direction; then the other side is not read.
 */
#ifndef SIM_FRONT_END_TLS_H
#define SIM_FRONT_END_TLS_H

#include "sim/front-end/front-end.h"

struct tls_front_end;

/* Connections to `address` go to `to_address`, port `to_port`. */
struct tls_front_end_route {
	const char *address; /* IP literals */
	const char *to_address;
	uint16_t to_port;
};
#define TLS_FRONT_END_ROUTES_MAX 64

struct tls_front_end_settings {
	const char *cert_file;      /* PEM chain */
	const char *key_file;       /* PEM; NULL: in cert_file */
	const char *key_password;   /* NULL: none */
	const char *client_ca_file; /* clients must have a certificate of its; NULL: none is asked
				       for */
	const struct tls_front_end_route *routes;
	size_t route_count;            /* from 1 */
	uint16_t port;                 /* of all routes; 0: any that is free on all of them */
	uint64_t handshake_timeout_ns; /* 10 s */
	unsigned connections_max;      /* 4096; more are reset */
	unsigned backlog;              /* 1024 */
};

/* Listens, and serves from now on. Copies the settings. -1 LAB_INVALID (addresses, files),
 * LAB_EXISTS (address in use), LAB_IO, LAB_LIMIT. */
int tls_front_end_new(const struct tls_front_end_settings *settings, struct tls_front_end **ret,
	struct lab_error *err);
/* Resets all connections, waits for the thread's end. NULLs the pointer; accepts NULL. */
void tls_front_end_free(struct tls_front_end **front_end);

uint16_t tls_front_end_port(const struct tls_front_end *front_end);

struct tls_front_end_stats {
	uint64_t connections; /* accepted */
	uint64_t handshakes;  /* that succeeded */
	uint64_t open;        /* connections that there are now */
};
struct tls_front_end_stats tls_front_end_stats(struct tls_front_end *front_end);

#endif
