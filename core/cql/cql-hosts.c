/* SPDX-License-Identifier: Apache-2.0
 *
 * The order in which a request asks the hosts: they take turns; with latency-aware routing those
 * that are much slower than the fastest come last (the C++ driver's policy with its defaults).
 */
#include "core/cql/cql-client-private.h"
#include "core/env/buggify.h"

#define SCALE_NS (100 * LAB_MSEC)  /* how fast old measurements lose weight */
#define UPDATE_NS (100 * LAB_MSEC) /* how often the fastest is looked for */
#define RETRY_NS (10 * LAB_SEC)    /* a host not measured for so long is tried again */
#define EXCLUSION 2                /* times the fastest host's average */
#define MEASURED_MIN 50            /* before a host is judged */
#define MEASURED_ACCOUNTED 15      /* 30 % of it: the first ones, of a cold host, do not count */
#define KEY_MAX_BYTES (2u << 20)
#define DELAY_MAX_NS (3600 * LAB_SEC)

#define ONE UINT64_C(65536) /* 1 in fixed point */
#define LN2 UINT64_C(45426)

/* ln(value), both in fixed point; value >= 1. */
static uint64_t ln(uint64_t value)
{
	uint64_t log2 = 0;
	while (value >= 2 * ONE) {
		value >>= 1;
		log2 += ONE;
	}
	for (uint64_t bit = ONE / 2; bit > 0; bit /= 2) {
		value = value * value / ONE;
		if (value >= 2 * ONE) {
			value /= 2;
			log2 += bit;
		}
	}
	return log2 * LN2 / ONE;
}

/* Of the old average, after so long: ln(d + 1) / d, from 1 down to 0. */
static uint64_t old_weight(uint64_t delay_ns)
{
	uint64_t d = LAB_MIN(delay_ns, DELAY_MAX_NS) * ONE / SCALE_NS;
	return d == 0 ? ONE : LAB_MIN(ln(d + ONE) * ONE / d, ONE);
}

void cql_hosts_measured(struct cql_client *client, unsigned host, uint64_t took_ns)
{
	struct cql_latency *l = &client->latencies[host];
	uint64_t now = env_now(client->env);
	if (!client->settings.latency_aware)
		return;
	took_ns = LAB_MAX(LAB_MIN(took_ns, DELAY_MAX_NS), 1);
	if (l->measured >= MEASURED_ACCOUNTED) {
		if (l->average_ns == 0) {
			l->average_ns = took_ns;
		} else {
			uint64_t old = old_weight(now - l->updated_ns);
			l->average_ns = ((ONE - old) * took_ns + old * l->average_ns) / ONE;
		}
	}
	l->measured++;
	l->updated_ns = now;
}

static bool is_known(const struct cql_latency *l, uint64_t now)
{
	return l->average_ns > 0 && l->measured >= MEASURED_MIN && now - l->updated_ns <= RETRY_NS;
}

static void update_fastest(struct cql_client *client, uint64_t now)
{
	if (client->fastest_updated_ns != 0 && now - client->fastest_updated_ns < UPDATE_NS)
		return;
	client->fastest_updated_ns = now;
	client->fastest_ns = 0;
	for (size_t i = 0; i < client->settings.host_count; i++) {
		const struct cql_latency *l = &client->latencies[i];
		if (is_known(l, now) &&
			(client->fastest_ns == 0 || l->average_ns < client->fastest_ns))
			client->fastest_ns = l->average_ns;
	}
}

static bool is_slow(const struct cql_client *client, unsigned host, uint64_t now)
{
	const struct cql_latency *l = &client->latencies[host];
	return client->fastest_ns > 0 && is_known(l, now) &&
	       l->average_ns > EXCLUSION * client->fastest_ns;
}

static bool has(const struct cql_hosts *hosts, unsigned host)
{
	for (unsigned i = 0; i < hosts->count; i++) {
		if (hosts->order[i] == host)
			return true;
	}
	return false;
}

static void add(struct cql_hosts *hosts, unsigned host)
{
	if (!has(hosts, host))
		hosts->order[hosts->count++] = host;
}

/* Replicas in this data centre take turns among themselves. */
static void add_replicas(struct cql_client *client, const struct cql_statement *statement,
	uint64_t first, struct cql_hosts *ret)
{
	unsigned replicas[CQL_HOSTS_MAX];
	unsigned count = 0, local = 0;
	int64_t token;
	struct lab_arena *arena = lab_arena_new(client->env->heap, KEY_MAX_BYTES);
	if (cql_routing_token(client, statement, arena, &token))
		count = cql_topology_replicas(client, token, replicas);
	lab_arena_free(&arena);
	for (unsigned i = 0; i < count; i++) {
		if (cql_topology_is_local(client, replicas[i]))
			replicas[local++] = replicas[i];
	}
	for (unsigned i = 0; i < local; i++)
		add(ret, replicas[(first + i) % local]);
}

void cql_hosts_order(
	struct cql_client *client, const struct cql_statement *statement, struct cql_hosts *ret)
{
	unsigned hosts = (unsigned)client->settings.host_count;
	struct cql_hosts slow = { .count = 0 };
	struct cql_hosts all = { .count = 0 };
	uint64_t now = env_now(client->env);
	uint64_t first = client->next_host++ + ENV_BUGGIFY(client->env, cql_other_host);
	bool aware = client->settings.latency_aware;
	*ret = (struct cql_hosts){ .count = 0 };
	if (aware)
		update_fastest(client, now);
	if (client->topology != NULL)
		add_replicas(client, statement, first, &all);
	for (unsigned i = 0; i < hosts; i++) {
		unsigned host = (unsigned)((first + i) % hosts);
		if (cql_topology_is_local(client, host) && !cql_host_is_gone(client, host))
			add(&all, host);
	}
	for (unsigned i = 0; i < all.count; i++)
		add(aware && is_slow(client, all.order[i], now) ? &slow : ret, all.order[i]);
	for (unsigned i = 0; i < slow.count; i++)
		add(ret, slow.order[i]);
}
