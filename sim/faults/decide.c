/* SPDX-License-Identifier: Apache-2.0
 *
 * decide.c - does a fault fire here, now? And what was fired so far.
 */
#include "sim/faults/faults-private.h"

/* ---- which episodes are on ---- */

static bool episode_covers(const struct fault_episode *episode, uint64_t now_ns)
{
	return now_ns >= episode->start_ns && now_ns - episode->start_ns < episode->length_ns;
}

/* [active_from, active_until) is the time around now in which no episode begins or ends. */
static void narrow_active(struct fault_plan *plan, uint64_t edge_ns, uint64_t now_ns)
{
	if (edge_ns <= now_ns)
		plan->active_from = LAB_MAX(plan->active_from, edge_ns);
	else
		plan->active_until = LAB_MIN(plan->active_until, edge_ns);
}

static void update_active(struct fault_plan *plan, uint64_t now_ns)
{
	plan->active_count = 0;
	plan->active_from = 0;
	plan->active_until = UINT64_MAX;
	for (size_t i = 0; i < plan->episode_count; i++) {
		const struct fault_episode *episode = &plan->episodes[i];

		if (fault_kind_is_world(episode->kind))
			continue;
		narrow_active(plan, episode->start_ns, now_ns);
		narrow_active(plan, episode->start_ns + episode->length_ns, now_ns);
		if (!episode_covers(episode, now_ns))
			continue;
		plan->active = fault_grow(plan->heap, plan->active, sizeof(*plan->active),
			plan->active_count, &plan->active_capacity, FAULT_EPISODES_MAX);
		plan->active[plan->active_count++] = (uint32_t)i;
	}
}

static bool is_its_turn(const struct fault_plan *plan, const struct fault_episode *episode)
{
	return episode->after == 0 || plan->episodes[episode->after - 1].fired > 0;
}

/* Tables are KEYSPACE.TABLE. */
static bool is_of_keyspace(struct lab_view subject, const char *keyspace)
{
	struct lab_view name = lab_view_cstr(keyspace);

	return name.len == 0 || (subject.len > name.len && subject.ptr[name.len] == '.' &&
					lab_view_starts_with(subject, name));
}

static bool scope_covers(const struct fault_plan *plan, const struct fault_episode *episode,
	const struct sim_fault_query *query)
{
	if (!is_of_keyspace(query->subject, episode->keyspace))
		return false;
	switch (episode->scope) {
	case FAULT_EVERYWHERE:
		return true;
	case FAULT_INSTANCE:
		return lab_view_eq_cstr(query->instance, episode->target);
	case FAULT_PEER:
		return lab_view_eq_cstr(query->peer, episode->target);
	case FAULT_PEER_ZONE:
		return plan->observer.zone_of != NULL &&
		       strcmp(plan->observer.zone_of(plan->observer.ctx, query->peer),
			       episode->target) == 0;
	}
	lab_bug("a scope is one of four");
}

/* ---- one episode's word ---- */

/* How many times this peer came to this point in this episode before. */
static uint64_t next_ordinal(
	struct fault_plan *plan, uint32_t episode_id, enum fault_point point, struct lab_view peer)
{
	uint8_t key[5 + FAULT_NAME_MAX];
	size_t len = LAB_MIN(peer.len, (size_t)FAULT_NAME_MAX);
	void **slot;

	memcpy(key, &episode_id, 4);
	key[4] = (uint8_t)point;
	if (len > 0)
		memcpy(key + 5, peer.ptr, len);
	slot = lab_map_slot(plan->ordinals, lab_view_of(key, 5 + len));
	lab_assert(slot != NULL);
	*slot = (void *)((uintptr_t)*slot + 1);
	return (uintptr_t)*slot - 1;
}

static bool nth_fires(const struct fault_episode *episode, uint64_t now_ns)
{
	if (!episode->is_lasting || episode->asked <= episode->nth)
		return episode->asked == episode->nth;
	return episode->lasting_ns == 0 || now_ns - episode->first_fired_ns < episode->lasting_ns;
}

static bool episode_fires(struct fault_plan *plan, struct fault_episode *episode,
	enum fault_point point, const struct sim_fault_query *query, uint64_t *ret_key)
{
	uint64_t ordinal = next_ordinal(plan, episode->id, point, query->peer);
	uint64_t who = lab_hash_view(plan->point_keys[point], query->peer);

	episode->asked++;
	*ret_key = lab_draw(plan->seed, "fault.fire", lab_hash_fold(episode->key, who), ordinal);
	if (episode->nth != 0)
		return nth_fires(episode, query->now_ns);
	return lab_chance(*ret_key, episode->rate_ppm);
}

/* ---- what was fired ---- */

static struct fault_record *append_record(struct fault_plan *plan)
{
	struct fault_record *record;

	if (plan->record_count < FAULT_RECORDS_MAX) {
		plan->records = fault_grow(plan->heap, plan->records, sizeof(*plan->records),
			plan->record_count, &plan->record_capacity, FAULT_RECORDS_MAX);
		return &plan->records[plan->record_count++];
	}
	record = &plan->records[plan->record_first];
	plan->record_first = (plan->record_first + 1) % FAULT_RECORDS_MAX;
	memset(record, 0, sizeof(*record));
	return record;
}

static void copy_cut(char *out, size_t size, struct lab_view text)
{
	size_t len = LAB_MIN(text.len, size - 1);

	if (len > 0)
		memcpy(out, text.ptr, len);
	out[len] = '\0';
}

/* Gives it a number; 0 if it is suppressed. */
static uint32_t record_fault(struct fault_plan *plan, struct fault_episode *episode,
	enum fault_point point, uint64_t key, uint64_t delay_ns,
	const struct sim_fault_query *query)
{
	struct fault_record *record;

	plan->last_id++;
	if (lab_map_count(plan->suppressed) > 0 &&
		lab_map_get(plan->suppressed, lab_view_of(&key, sizeof(key))) != NULL)
		return 0;
	if (episode->fired++ == 0)
		episode->first_fired_ns = query->now_ns;
	plan->fired_kind[episode->kind]++;
	plan->fired_point[point]++;
	record = append_record(plan);
	record->id = plan->last_id;
	record->episode = episode->id;
	record->point = point;
	record->kind = episode->kind;
	record->time_ns = query->now_ns;
	record->key = key;
	record->delay_ns = delay_ns;
	copy_cut(record->instance, sizeof(record->instance), query->instance);
	copy_cut(record->peer, sizeof(record->peer), query->peer);
	copy_cut(record->subject, sizeof(record->subject), query->subject);
	if (plan->observer.fired != NULL)
		plan->observer.fired(plan->observer.ctx, record);
	return record->id;
}

static unsigned fault_replicas(const struct fault_plan *plan, enum fault_kind kind)
{
	if (kind == FAULT_write_timeout_minority || kind == FAULT_write_failure_minority ||
		kind == FAULT_overloaded_minority)
		return (plan->replicas - 1) / 2;
	if (kind == FAULT_write_timeout_quorum || kind == FAULT_write_failure_quorum)
		return plan->replicas / 2 + 1;
	return fault_kinds[kind].answer == SIM_FAULT_PARTLY ? 1 : 0;
}

static struct sim_fault make_fault(
	struct fault_plan *plan, const struct fault_episode *episode, uint64_t key)
{
	const struct fault_kind_info *info = &fault_kinds[episode->kind];
	struct sim_fault fault = {
		.kind = info->answer,
		.status = info->status,
		.code = info->code,
		.replicas = fault_replicas(plan, episode->kind),
	};

	if (fault_kind_has_amount(episode->kind))
		fault.delay_ns = fault_range_pick(
			&episode->amount, lab_draw(plan->seed, "fault.delay", key, 0));
	return fault;
}

struct sim_fault fault_decide(struct fault_plan *plan, const struct sim_fault_query *query)
{
	enum fault_point point = fault_point_find(lab_view_cstr(query->point));
	struct sim_fault result = { 0 };
	struct fault_episode *winner = NULL;
	uint64_t winner_key = 0, key;

	lab_assert(point != FAULT_POINT_COUNT);
	plan->asked_point[point]++;
	if (query->now_ns < plan->active_from || query->now_ns >= plan->active_until)
		update_active(plan, query->now_ns);
	/* All are asked, also after one has fired: so none depends on the others. */
	for (size_t i = 0; i < plan->active_count; i++) {
		struct fault_episode *episode = &plan->episodes[plan->active[i]];

		if ((episode->points >> point & 1) == 0 || !scope_covers(plan, episode, query) ||
			!is_its_turn(plan, episode))
			continue;
		if (!episode_fires(plan, episode, point, query, &key) || episode->is_disabled)
			continue;
		if (winner == NULL) {
			winner = episode;
			winner_key = key;
		}
	}
	if (winner == NULL)
		return result;
	result = make_fault(plan, winner, winner_key);
	result.id = record_fault(plan, winner, point, winner_key, result.delay_ns, query);
	return result.id == 0 ? (struct sim_fault){ 0 } : result;
}

uint32_t fault_world_fire(struct fault_plan *plan, uint32_t id, uint64_t now_ns)
{
	struct fault_episode *episode;
	enum fault_point point;
	struct sim_fault_query query = { .now_ns = now_ns };

	lab_assert(id > 0 && id <= plan->episode_count);
	episode = &plan->episodes[id - 1];
	lab_assert(fault_kind_is_world(episode->kind));
	episode->asked++;
	if (episode->is_disabled)
		return 0;
	point = (enum fault_point)__builtin_ctzll(episode->points);
	plan->asked_point[point]++;
	query.instance = lab_view_cstr(episode->target);
	query.peer = lab_view_cstr(episode->other);
	return record_fault(plan, episode, point,
		lab_draw(plan->seed, "fault.fire", episode->key, 0), 0, &query);
}

/* ---- counters ---- */

uint64_t fault_fired_kind(const struct fault_plan *plan, enum fault_kind kind)
{
	lab_assert((unsigned)kind < FAULT_KIND_COUNT);
	return plan->fired_kind[kind];
}

uint64_t fault_fired_point(const struct fault_plan *plan, enum fault_point point)
{
	lab_assert((unsigned)point < FAULT_POINT_COUNT);
	return plan->fired_point[point];
}

uint64_t fault_asked_point(const struct fault_plan *plan, enum fault_point point)
{
	lab_assert((unsigned)point < FAULT_POINT_COUNT);
	return plan->asked_point[point];
}

uint64_t fault_fired_total(const struct fault_plan *plan)
{
	uint64_t total = 0;

	for (size_t i = 0; i < FAULT_KIND_COUNT; i++)
		total += plan->fired_kind[i];
	return total;
}

size_t fault_record_count(const struct fault_plan *plan)
{
	return plan->record_count;
}

const struct fault_record *fault_record(const struct fault_plan *plan, size_t index)
{
	if (index >= plan->record_count)
		return NULL;
	return &plan->records[(plan->record_first + index) % plan->record_count];
}

const struct fault_record *fault_record_find(const struct fault_plan *plan, uint32_t id)
{
	for (size_t i = 0; i < plan->record_count; i++) {
		if (plan->records[i].id == id)
			return &plan->records[i];
	}
	return NULL;
}
