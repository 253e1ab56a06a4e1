/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-stats.c - what proxies see of backends and sites: proxy_dest_stats (palomar 1.2, 2.1).
 */
#include "core/cluster/cluster-private.h"
#include "core/base/defect.h"

#define DESTS_MAX 4096

struct cluster_dest {
	int64_t success, failure; /* since the last flush */
};

void cluster_stats_free(struct cluster *cluster)
{
	struct lab_map_iter iter;
	struct lab_view key;
	void *dest;

	if (cluster->dests == NULL)
		return;
	iter = lab_map_iterate(cluster->dests);
	while (lab_map_next(&iter, &key, &dest))
		lab_heap_free(cluster->env->heap, dest);
	lab_map_free(&cluster->dests);
}

void cluster_dest_count(struct cluster *cluster, struct lab_view dest, bool is_success)
{
	struct cluster_dest *counts;
	void **slot;

	if (cluster->dests == NULL)
		cluster->dests = lab_map_new(cluster->env->heap, DESTS_MAX);
	slot = lab_map_slot(cluster->dests, dest);
	if (slot == NULL)
		return;
	if (*slot == NULL)
		*slot = lab_new(cluster->env->heap, struct cluster_dest);
	counts = *slot;
	counts->success += is_success;
	counts->failure += !is_success;
}

static int put_window(struct cluster *c, struct cluster_id site, int64_t window_ms,
	struct lab_view name, struct cluster_dest *counts, struct lab_error *err)
{
	const struct cluster_stats row = { .site_id = site,
		.dest = name,
		.proxy = lab_view_cstr(c->env->hostname),
		.window_start = window_ms,
		.success = counts->success,
		.failure = counts->failure };

	if (counts->success == 0 && counts->failure == 0)
		return 0;
	if (counts->failure > counts->success && lab_defect(PROXIES_JUDGE))
		(void)cluster_backend_status(c->geodb, name, CLUSTER_OFFLINE, err);
	/* What cannot be told now is old news in the next window. */
	*counts = (struct cluster_dest){ 0, 0 };
	return geodb_put(c->geodb, CLUSTER_TABLE_STATS, &row, CLUSTER_ALL_COLUMNS, 0, err);
}

int cluster_stats_flush(struct cluster *c, struct lab_error *err)
{
	int64_t now_ms = (int64_t)(env_wall_us(c->env) / 1000);
	int64_t window_ms = now_ms - now_ms % (int64_t)(CLUSTER_STATS_WINDOW / LAB_MSEC);
	struct cluster_snapshot *snapshot = cluster_view_take(c, false, err);
	struct cluster_id site, unused;
	struct lab_map_iter iter;
	struct lab_view name;
	void *dest;
	int result;

	if (snapshot == NULL)
		return -1;
	result = cluster_self(c, &snapshot->view, &site, &unused, err);
	cluster_view_release(c, &snapshot);
	if (result < 0 || c->dests == NULL)
		return result;
	/* Destinations are only ever added, behind the last. */
	iter = lab_map_iterate(c->dests);
	while (lab_map_next(&iter, &name, &dest)) {
		if (put_window(c, site, window_ms, name, dest, err) < 0)
			result = -1;
	}
	return result;
}
