/* SPDX-License-Identifier: Apache-2.0
 *
 * address.h - "A:P" of the command line, taken apart.
 */
#ifndef SIM_SERVE_ADDRESS_H
#define SIM_SERVE_ADDRESS_H

#include "sim/serve/sockets.h"

struct serve_address {
	char host[SERVE_ADDRESS_MAX]; /* IP literal, without brackets */
	uint16_t port;                /* 0: any */
};

/* `option` ("--s3") is what errors begin with. -1 LAB_INVALID. */
int serve_address_parse(
	const char *option, const char *text, struct serve_address *ret, struct lab_error *err);
/* 127.0.0.0/8, as an address. */
bool serve_address_is_v4_loopback(struct lab_view host);
/* Only this machine can reach it. */
bool serve_address_is_loopback(const struct serve_address *address);
/* "127.0.0.1:9000", "[::1]:9000". */
void serve_address_print(const char *host, uint16_t port, struct lab_buf *out);

#endif
