/* SPDX-License-Identifier: Apache-2.0
 *
 * front-end.h - what both front ends share: who is who.
 *
 * A service wants to know the host name and zone of its client (struct sim_peer). A socket knows an
 * address only. The table says which address is which host; every backend of a live world has a
 * source address of its own (live_host_settings.source_address).
 */
#ifndef SIM_FRONT_END_H
#define SIM_FRONT_END_H

#include "sim/service.h"

struct front_end_peer {
	const char *address; /* IP literal of the client: "127.0.1.3" */
	const char *name;    /* "b1" */
	const char *zone;    /* NULL: none */
	unsigned hops;       /* IP hops to the service; 0 counts as 1 */
};
#define FRONT_END_PEERS_MAX 1024

#endif
