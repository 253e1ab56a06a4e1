/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.h - the admin interface of a serve: a small HTTP/JSON service of its own.
 *
 * Requests   GET    /health                    what runs, since when
 *            GET    /counters                  of the emulators and their front ends
 *            GET    /log?limit=N               last lines of the access logs (100; at most 1000)
 *            GET    /faults                    episodes, how often they were asked and fired
 *            POST   /faults                    adds those in the body (fault-file.h), from now on
 *            DELETE /faults                    no faults any more
 *            POST   /rotate                    IMDS: a new set of credentials is due
 *            POST   /reset                     empties S3's buckets and Cassandra's tables
 *            GET    /snapshot?bucket=B&from=KEY&limit=N
 *                                              objects in key order, `next` is where to go on
 *            Answers are JSON objects; errors have "error", and "problems" where a body has many.
 * Guard      It listens on loopback only, and answers only where the Host names this machine by
 *            address or as localhost and there is no Origin: no web page can use it. 403 otherwise.
 * Limits     Bodies of 1 MiB, answers of 32 MiB.
 * Threads    Its front end's; it goes to the others' by their _call() and waits.
 */
#ifndef SIM_SERVE_ADMIN_H
#define SIM_SERVE_ADMIN_H

#include "sim/front-end/http-front-end.h"

struct serve;
struct serve_admin;

#define SERVE_ADMIN_BODY_MAX ((size_t)1 << 20)

/* Never NULL. */
struct serve_admin *serve_admin_new(struct serve *serve);
/* NULLs the pointer; accepts NULL. */
void serve_admin_free(struct serve_admin **admin);
struct sim_http_service serve_admin_service(struct serve_admin *admin);

#endif
