/* SPDX-License-Identifier: Apache-2.0
 *
 * node.h - a backend as its clients see it: something to connect to that may be down, may answer,
 * and may die before it does.
 *
 * Purpose    Runs a client's request inside the backend (in a fiber of its host) and brings the
 *            answer back to the client (a fiber of the laboratory's host). Works in both worlds.
 * Crash      When the host dies, every request in it is lost: its client learns that the connection
 *            broke, and nothing about the outcome.
 * Ownership  What a request carries and brings back belongs to the client's host, which never
 *            crashes; the backend's memory goes with it.
 */
#ifndef SCENARIOS_NODE_H
#define SCENARIOS_NODE_H

#include "core/obox/backend.h"
#include "scenarios/runner/host-call.h"

struct fts;
struct palomar_host;
struct peers;

struct node {
	char name[32];
	char zone[32];
	struct env *env; /* of its host; NULL before the first boot */
	struct backend_settings settings;
	struct backend *backend; /* NULL while it is down or not ready */
	struct fts *fts;         /* full text search beside it; NULL: not configured */
	uint32_t boots;
	struct host_calls calls;      /* requests in flight */
	struct peers *peers;          /* NULL: it asks no other backends */
	struct palomar_host *palomar; /* its cluster service; NULL: there is none */
	bool is_up;
};

/* main() of a backend's host; `arg` is the node. */
void node_main(void *arg);
/* The backend is up, in a fiber of its host; also the search beside it. */
void node_has_backend(struct node *node, struct backend *backend);
/* The world tells: the host is up (before node_main runs), or has crashed. Clients of lost calls
 * become runnable. */
void node_booted(struct node *node, struct env *env);
void node_crashed(struct node *node, struct env *lab);

typedef void (*node_call_fn)(struct backend *backend, void *arg);
enum node_answer {
	NODE_ANSWERED,
	NODE_REFUSED, /* nothing was listening: certainly not done */
	NODE_LOST     /* the connection broke: anything may have happened */
};
/* Blocks the calling fiber of `lab` until fn(backend, arg) has run in the backend, or the backend
 * has crashed. */
enum node_answer node_call(struct node *node, struct env *lab, node_call_fn fn, void *arg);

#endif
