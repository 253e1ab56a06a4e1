/* SPDX-License-Identifier: Apache-2.0
 *
 * Hosts that join and leave (only with discovery). A host keeps its place in the client's arrays
 * for good; one that left keeps only that: no connections, no attempts to connect, never asked. Its
 * place is given to another when there is no other place left.
 */
#include "core/cql/cql-client-private.h"

static struct cql_connection *connections_of(struct cql_client *client, unsigned host)
{
	return &client->connections[host * client->settings.connections_per_host];
}

bool cql_host_is_gone(const struct cql_client *client, unsigned host)
{
	return (client->gone & UINT32_C(1) << host) != 0;
}

void cql_host_drop(struct cql_client *client, unsigned host)
{
	struct cql_connection *c = connections_of(client, host);
	if (cql_host_is_gone(client, host))
		return;
	cql_log(client, CQL_LOG_INFO, "Host %s removed", client->settings.hosts[host]);
	client->gone |= UINT32_C(1) << host;
	for (struct cql_prepared_statement *p = client->first_prepared; p != NULL; p = p->next)
		p->hosts &= ~(UINT32_C(1) << host);
	client->latencies[host] = (struct cql_latency){ 0 };
	for (unsigned i = 0; i < client->settings.connections_per_host; i++) {
		cql_connection_break(&c[i]);
		env_cond_broadcast(client->env, &c[i].keeper);
	}
}

void cql_host_return(struct cql_client *client, unsigned host)
{
	struct cql_connection *c = connections_of(client, host);
	if (!cql_host_is_gone(client, host))
		return;
	cql_log(client, CQL_LOG_INFO, "Host %s added", client->settings.hosts[host]);
	client->gone &= ~(UINT32_C(1) << host);
	for (unsigned i = 0; i < client->settings.connections_per_host; i++) {
		c[i].failures = 0;
		c[i].was_ready = false;
		env_cond_broadcast(client->env, &c[i].keeper);
	}
}

/* Nothing of it looks at its name any more. */
static bool is_free(struct cql_client *client, unsigned host)
{
	struct cql_connection *c = connections_of(client, host);
	bool is_free = cql_host_is_gone(client, host);
	for (unsigned i = 0; i < client->settings.connections_per_host; i++)
		is_free &= c[i].rests;
	return is_free;
}

int cql_host_add(struct cql_client *client, const char *name, unsigned *ret, struct lab_error *err)
{
	struct cql_settings *s = &client->settings;
	struct lab_heap *heap = client->env->heap;
	unsigned host = (unsigned)s->host_count;
	if (host < CQL_HOSTS_MAX) {
		*ret = host;
		cql_log(client, CQL_LOG_INFO, "Host %s added", name);
		return cql_client_add_host(client, name, err);
	}
	for (host = 0; host < CQL_HOSTS_MAX && !is_free(client, host); host++)
		;
	if (host == CQL_HOSTS_MAX)
		return lab_fail(err, LAB_LIMIT, "More than %d Cassandra hosts", CQL_HOSTS_MAX);
	lab_heap_free(heap, (void *)(uintptr_t)s->hosts[host]);
	s->hosts[host] = lab_heap_strdup(heap, name);
	*ret = host;
	cql_host_return(client, host);
	return 0;
}
