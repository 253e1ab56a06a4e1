/* SPDX-License-Identifier: Apache-2.0
 *
 * Stream ids of one connection.
 */
#include "core/cql/cql-client-private.h"

#define FIRST_CAPACITY 64

/* Stands in pending[] for a request whose fiber gave up waiting, and for our own OPTIONS and
 * REGISTER, whose answers nobody waits for. */
struct cql_waiting cql_orphan;

static bool grow(struct cql_connection *c)
{
	struct lab_heap *heap = c->client->env->heap;
	size_t max = c->client->settings.streams_per_connection;
	if (c->capacity >= max)
		return false;
	size_t capacity = LAB_MIN(LAB_MAX(c->capacity * 2, FIRST_CAPACITY), max);
	c->pending = lab_heap_realloc(heap, c->pending, capacity * sizeof(*c->pending));
	c->free_ids = lab_heap_realloc(heap, c->free_ids, capacity * sizeof(*c->free_ids));
	c->capacity = capacity;
	return true;
}

int cql_stream_take(struct cql_connection *c, struct cql_waiting *waiting)
{
	size_t id;
	if (c->free_count > 0)
		id = c->free_ids[--c->free_count];
	else if (c->next_id < c->capacity || grow(c))
		id = c->next_id++;
	else
		return -1;
	c->pending[id] = waiting;
	c->in_flight++;
	return (int)id;
}

struct cql_waiting *cql_stream_give(struct cql_connection *c, int16_t stream)
{
	if (stream < 0 || (size_t)stream >= c->next_id || c->pending[stream] == NULL)
		return NULL;
	struct cql_waiting *waiting = c->pending[stream];
	c->pending[stream] = NULL;
	c->free_ids[c->free_count++] = (uint16_t)stream;
	c->in_flight--;
	return waiting;
}
