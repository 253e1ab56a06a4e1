/* SPDX-License-Identifier: Apache-2.0
 *
 * controller-balance.c - a group goes from the backend with the most load to the one with the least
 * (palomar 2.8).
 */
#include "core/cluster/controller-private.h"

#define SAME_PERCENT 10 /* a load whose deviation is below this part of its average is the same */

/* The largest number whose square is not above it. */
static int64_t root_of(int64_t square)
{
	int64_t root = 0;

	for (int64_t bit = INT64_C(1) << 30; bit > 0; bit >>= 1) {
		if ((root + bit) * (root + bit) <= square)
			root += bit;
	}
	return root;
}

/* Z-scores of one load in thousandths are added to each backend's sum and sum of squares. */
static void add_scores(const int64_t (*loads)[CONTROLLER_LOADS], size_t count, unsigned which,
	int64_t *sums, int64_t *squares)
{
	int64_t total = 0, variance = 0, average, deviation;

	for (size_t i = 0; i < count; i++)
		total += loads[i][which];
	average = total / (int64_t)count;
	for (size_t i = 0; i < count; i++)
		variance += (loads[i][which] - average) * (loads[i][which] - average);
	deviation = root_of(variance / (int64_t)count);
	if (deviation == 0 || deviation * 100 < average * SAME_PERCENT)
		return;
	for (size_t i = 0; i < count; i++) {
		int64_t score = (loads[i][which] - average) * 1000 / deviation;

		sums[i] += score;
		squares[i] += score * score;
	}
}

void controller_scores(const int64_t (*loads)[CONTROLLER_LOADS], size_t count, int64_t *ret)
{
	int64_t sums[CONTROLLER_BACKENDS_MAX] = { 0 };
	int64_t squares[CONTROLLER_BACKENDS_MAX] = { 0 };

	lab_assert(count <= CONTROLLER_BACKENDS_MAX);
	for (unsigned n = 0; n < CONTROLLER_LOADS && count > 0; n++)
		add_scores(loads, count, n, sums, squares);
	for (size_t i = 0; i < count; i++)
		ret[i] = sums[i] < 0 ? -root_of(squares[i]) : root_of(squares[i]);
}

/* ---- samples ---- */

struct samples {
	const struct cluster_backend *backends[CONTROLLER_BACKENDS_MAX];
	int64_t loads[CONTROLLER_BACKENDS_MAX][CONTROLLER_LOADS]; /* averages */
	size_t count;
	bool is_enough; /* of each */
};

static bool take_sample(struct controller *c, const struct cluster_backend *backend,
	struct controller_host *host, int64_t ret[CONTROLLER_LOADS])
{
	int64_t load[CONTROLLER_LOADS];

	if (host == NULL || !c->ops.backend_load(c->ops.ctx, backend->host, load))
		return false;
	host->samples++;
	for (unsigned n = 0; n < CONTROLLER_LOADS; n++) {
		host->load[n] += load[n];
		ret[n] = host->load[n] / host->samples;
	}
	return true;
}

static void take_samples(struct controller *c, struct samples *s)
{
	s->count = 0;
	s->is_enough = true;
	for (size_t i = 0; i < c->view.backend_count; i++) {
		const struct cluster_backend *backend = &c->view.backends[i];
		struct controller_host *host = controller_host(c, backend->host);

		if (s->count == CONTROLLER_BACKENDS_MAX ||
			!cluster_backend_is_legal(backend, c->self) ||
			!take_sample(c, backend, host, s->loads[s->count]))
			continue;
		s->is_enough = s->is_enough && host->samples >= c->settings.balance_samples;
		s->backends[s->count++] = backend;
	}
}

static void forget_samples(struct controller *c)
{
	struct lab_map_iter iter = lab_map_iterate(c->hosts);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct controller_host *host = value;

		memset(host->load, 0, sizeof(host->load));
		host->samples = 0;
	}
}

/* ---- the move ---- */

static bool may_move(const struct cluster_group *group, const struct cluster_backend *from)
{
	return cluster_id_eq(group->backend_id, from->id) && group->moving.len == 0 &&
	       group->sticky_backend == 0;
}

/* One of those that may move, drawn; NULL: there is none. */
static const struct cluster_group *pick_group(
	struct controller *c, const struct cluster_backend *from, struct lab_error *err)
{
	struct cluster_group *groups;
	size_t count, movable = 0, which;

	if (geodb_list(c->geodb, CLUSTER_TABLE_GROUP, NULL, 0, c->work, &groups, &count, err) < 0)
		return NULL;
	for (size_t i = 0; i < count; i++)
		movable += may_move(&groups[i], from);
	lab_fail(err, LAB_NOT_FOUND, "no group of this backend may be moved");
	if (movable == 0)
		return NULL;
	which = (size_t)lab_pick(env_draw(c->env, "controller.group", c->draws++), movable);
	for (size_t i = 0; i < count; i++) {
		if (may_move(&groups[i], from) && which-- == 0)
			return &groups[i];
	}
	return NULL;
}

static int move_one(struct controller *c, const struct cluster_backend *from,
	const struct cluster_backend *to, bool is_dry, struct lab_error *err)
{
	struct lab_error own = { .code = LAB_OK };
	const struct cluster_group *group = pick_group(c, from, &own);

	if (group == NULL) {
		if (err != NULL)
			*err = own;
		return own.code == LAB_NOT_FOUND ? 0 : -1;
	}
	controller_tell(c, LAB_EV_cluster_group_balanced, to->host, "", is_dry ? "dryrun" : "");
	c->balanced_ns = env_now(c->env);
	forget_samples(c);
	if (is_dry)
		return 0;
	return cluster_group_move(c->geodb, &c->settings.policy, c->settings.site, group->name,
		       to->host, false, err) < 0
		       ? -1
		       : 0;
}

int controller_balance(struct controller *c, bool is_dry, struct lab_error *err)
{
	struct samples *s = lab_arena_new_of(c->work, struct samples);
	int64_t scores[CONTROLLER_BACKENDS_MAX];
	size_t most = 0, least = 0;

	take_samples(c, s);
	if (s->count < 2 || !s->is_enough ||
		(c->balanced_ns != 0 &&
			env_now(c->env) - c->balanced_ns < c->settings.balance_every_ns))
		return 0;
	controller_scores((const int64_t(*)[CONTROLLER_LOADS])s->loads, s->count, scores);
	for (size_t i = 1; i < s->count; i++) {
		most = scores[i] > scores[most] ? i : most;
		least = scores[i] < scores[least] ? i : least;
	}
	if (scores[most] - scores[least] < (int64_t)c->settings.balance_milli || most == least)
		return 0;
	return move_one(c, s->backends[most], s->backends[least], is_dry, err);
}
