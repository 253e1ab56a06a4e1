/* SPDX-License-Identifier: Apache-2.0
 *
 * snitch.c - which replicas a coordinator asks first, and when it asks one more (cql-imds 0.5,
 * 4.3): the dynamic snitch and speculative retry as Cassandra 4.0 has them.
 *
 * A coordinator keeps the latest read latencies of each node. The median, where a younger sample
 * counts for more (e^0.75 a second), is the node's score; scores are made anew every 100 ms by a
 * timer of the coordinator's and forgotten every 10 minutes. Replicas are asked in the order of the
 * topology unless one of them is worse than twice what the best order would have in its place. What
 * a replica never answered counts as the read timeout, once that has passed and the reaper has come
 * by.
 *
 * A table's read latencies, as this coordinator saw them, go into a histogram whose buckets grow by
 * a fifth and whose counts decay within a minute; every read timeout the table's policy makes a
 * threshold of them. Before that it is half of the read timeout. A threshold beyond the read
 * timeout (time-outs have spoilt the percentile) means that no other replica is asked.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define UPDATE_NS (100 * LAB_MSEC)
#define RESET_NS (10 * LAB_MINUTE)
#define REAPER_NS LAB_SEC
/* Weights halve in ln 2 / 0.75 s. */
#define HALF_LIFE_NS (924 * LAB_MSEC)

/* ---- samples and scores ---- */

static uint64_t weight(const struct cqle_latency *l, size_t i, uint64_t newest_ns)
{
	uint64_t halvings = (newest_ns - l->at_ns[i]) / HALF_LIFE_NS;
	return halvings >= 32 ? 1 : UINT64_C(1) << (32 - halvings);
}

static uint64_t weighted_median(const struct cqle_latency *l)
{
	uint64_t took[CQLE_LATENCY_SAMPLES] = { 0 }, weights[CQLE_LATENCY_SAMPLES];
	uint64_t sum = 0, below = 0;
	uint64_t newest_ns = 0;
	size_t i;
	for (i = 0; i < l->count; i++)
		newest_ns = LAB_MAX(newest_ns, l->at_ns[i]);
	for (i = 0; i < l->count; i++) {
		uint64_t w = weight(l, i, newest_ns);
		size_t j = i;
		sum += w;
		for (; j > 0 && took[j - 1] > l->took_ns[i]; j--) {
			took[j] = took[j - 1];
			weights[j] = weights[j - 1];
		}
		took[j] = l->took_ns[i];
		weights[j] = w;
	}
	for (i = 0; i + 1 < l->count; i++) {
		below += weights[i];
		if (below * 2 >= sum)
			break;
	}
	return took[i];
}

static void make_scores(struct cqlemu *emu, struct cqle_node *c)
{
	bool reset = emu->now_ns - c->reset_ns >= RESET_NS;
	if (reset)
		c->reset_ns = emu->now_ns;
	for (size_t i = 0; i < emu->node_count; i++) {
		struct cqle_latency *l = &c->latencies[i];
		if (reset)
			l->count = l->next = 0;
		if (l->count == 0)
			l->score_ns = 0;
		else if (l->is_new)
			l->score_ns = weighted_median(l);
		l->is_new = false;
	}
}

/* As the timer would have done by now. */
static void update_scores(struct cqlemu *emu, size_t coordinator)
{
	struct cqle_node *c = &emu->nodes[coordinator];
	uint64_t tick = (emu->now_ns + c->score_phase_ns) / UPDATE_NS;
	if (tick != c->score_tick && c->has_latencies)
		make_scores(emu, c);
	c->score_tick = tick;
}

static void add_sample(struct cqlemu *emu, size_t coordinator, size_t node, uint64_t took_ns)
{
	struct cqle_latency *l = &emu->nodes[coordinator].latencies[node];
	update_scores(emu, coordinator);
	emu->nodes[coordinator].has_latencies = true;
	l->at_ns[l->next] = emu->now_ns;
	l->took_ns[l->next] = took_ns;
	l->next = (l->next + 1) % CQLE_LATENCY_SAMPLES;
	if (l->count < CQLE_LATENCY_SAMPLES)
		l->count++;
	l->is_new = true;
}

void cqle_snitch_heard(struct cqlemu *emu, size_t coordinator, size_t node, uint64_t sent_ns)
{
	struct cqle_latency *l = &emu->nodes[coordinator].latencies[node];
	l->heard_ns = emu->now_ns;
	/* Nothing but zeros: there is nothing to order by. */
	if (emu->now_ns == sent_ns && l->count == 0)
		return;
	add_sample(emu, coordinator, node, emu->now_ns - sent_ns);
}

uint64_t cqle_expiry_ns(
	const struct cqlemu *emu, size_t node, uint64_t sent_ns, uint64_t timeout_ns)
{
	uint64_t phase = lab_pick(lab_draw(emu->options.seed, "cql.reaper", node, 0), REAPER_NS);
	uint64_t due = sent_ns + timeout_ns;
	return due + (REAPER_NS - 1 - (due + phase) % REAPER_NS);
}

void cqle_snitch_waits(struct cqlemu *emu, size_t coordinator, size_t node, uint64_t sent_ns)
{
	struct cqle_latency *l = &emu->nodes[coordinator].latencies[node];
	if (l->silence != NULL || coordinator == node)
		return;
	l->silence = cqle_event_new(emu, CQLE_EV_SILENCE);
	l->silence->from = (uint8_t)coordinator;
	l->silence->to = (uint8_t)node;
	l->silence->sent_ns = sent_ns;
	cqle_schedule(emu, l->silence,
		LAB_MAX(emu->now_ns,
			cqle_expiry_ns(emu, coordinator, sent_ns, emu->options.read_timeout_ns)));
}

void cqle_snitch_silence(struct cqlemu *emu, const struct cqle_event *event)
{
	struct cqle_node *c = &emu->nodes[event->from];
	struct cqle_latency *l = &c->latencies[event->to];
	l->silence = NULL;
	if (c->state != CQLEMU_NODE_UP || l->heard_ns > event->sent_ns)
		return;
	add_sample(emu, event->from, event->to, emu->options.read_timeout_ns);
}

static void sort_by_score(const struct cqle_node *c, uint8_t *order, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		uint8_t node = order[i];
		size_t j = i;
		for (; j > 0 && c->latencies[order[j - 1]].score_ns > c->latencies[node].score_ns;
			j--)
			order[j] = order[j - 1];
		order[j] = node;
	}
}

void cqle_snitch_order(struct cqlemu *emu, size_t coordinator, uint8_t *order, size_t count)
{
	struct cqle_node *c = &emu->nodes[coordinator];
	uint8_t sorted[CQLEMU_NODES_MAX];
	bool is_bad = false;
	if (!c->has_latencies || count < 2)
		return;
	update_scores(emu, coordinator);
	memcpy(sorted, order, count);
	sort_by_score(c, sorted, count);
	for (size_t i = 0; i < count && !is_bad; i++)
		is_bad = c->latencies[order[i]].score_ns > 2 * c->latencies[sorted[i]].score_ns;
	if (is_bad)
		memcpy(order, sorted, count);
}

/* ---- speculative retry ---- */

void cqle_snitch_init(struct cqlemu *emu)
{
	uint64_t last = 1;
	for (size_t i = 0; i < CQLE_READ_BUCKETS; i++) {
		uint64_t next = (last * 12 + 5) / 10;
		emu->read_buckets[i] = last;
		last = next == last ? last + 1 : next;
	}
	for (size_t i = 0; i < emu->node_count; i++) {
		emu->nodes[i].latencies =
			lab_new_array(emu->heap, struct cqle_latency, emu->node_count);
		emu->nodes[i].score_phase_ns =
			lab_pick(lab_draw(emu->options.seed, "cql.snitch", i, 0), UPDATE_NS);
	}
}

/* The first bucket that the value fits in. */
static size_t bucket_of(const struct cqlemu *emu, uint64_t ns)
{
	size_t low = 0, high = CQLE_READ_BUCKETS - 1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (emu->read_buckets[middle] < ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ppm of all counts are in buckets up to this one's limit; 0: there are none. */
static uint64_t percentile(
	const struct cqlemu *emu, const struct cqle_read_latency *r, uint32_t ppm)
{
	uint64_t sum = 0, wanted, below = 0;
	for (size_t i = 0; i < CQLE_READ_BUCKETS; i++)
		sum += r->counts[i];
	if (sum == 0)
		return 0;
	wanted = (sum / 1000000) * ppm + (sum % 1000000 * ppm + 999999) / 1000000;
	for (size_t i = 0; i < CQLE_READ_BUCKETS; i++) {
		below += r->counts[i];
		if (below >= wanted)
			return emu->read_buckets[i];
	}
	return emu->read_buckets[CQLE_READ_BUCKETS - 1];
}

static uint64_t one_threshold(const struct cqlemu *emu, const struct cqle_read_latency *r,
	const struct cqle_retry_part *part, uint64_t present_ns)
{
	if (part->percentile_ppm == 0)
		return part->fixed_ns;
	uint64_t ns = percentile(emu, r, part->percentile_ppm);
	return ns == 0 ? present_ns : ns;
}

static uint64_t threshold(const struct cqlemu *emu, const struct cqle_read_latency *r,
	const struct cqle_retry *retry, uint64_t present_ns)
{
	uint64_t first = one_threshold(emu, r, &retry->parts[0], present_ns), second;
	if (retry->kind != CQLE_RETRY_MIN && retry->kind != CQLE_RETRY_MAX)
		return first;
	second = one_threshold(emu, r, &retry->parts[1], present_ns);
	return retry->kind == CQLE_RETRY_MIN ? LAB_MIN(first, second) : LAB_MAX(first, second);
}

/* e^(-5/60) for each update, at the usual read timeout. */
static void decay(struct cqle_read_latency *r, uint64_t updates)
{
	if (updates >= 128)
		memset(r->counts, 0, sizeof(r->counts));
	for (uint64_t i = 0; i < updates && updates < 128; i++) {
		for (size_t j = 0; j < CQLE_READ_BUCKETS; j++)
			r->counts[j] = (uint32_t)((uint64_t)r->counts[j] * 236 / 256);
	}
}

static void update_threshold(
	struct cqlemu *emu, const struct cqle_table *t, struct cqle_read_latency *r)
{
	uint64_t period = emu->now_ns / emu->options.read_timeout_ns;
	if (period == r->period)
		return;
	r->threshold_ns = threshold(emu, r, &t->retry, r->threshold_ns);
	decay(r, period - r->period);
	r->period = period;
}

static struct cqle_read_latency *read_latency(
	struct cqlemu *emu, struct cqle_table *t, size_t coordinator)
{
	if (t->read_latency == NULL)
		t->read_latency =
			lab_new_array(emu->heap, struct cqle_read_latency *, emu->node_count);
	struct cqle_read_latency *r = t->read_latency[coordinator];
	if (r == NULL) {
		r = t->read_latency[coordinator] = lab_new(emu->heap, struct cqle_read_latency);
		r->period = t->created_ns / emu->options.read_timeout_ns;
		r->threshold_ns = emu->options.read_timeout_ns / 2;
	}
	update_threshold(emu, t, r);
	return r;
}

void cqle_read_took(struct cqlemu *emu, struct cqle_table *t, size_t coordinator, uint64_t ns)
{
	struct cqle_read_latency *r = read_latency(emu, t, coordinator);
	size_t bucket = bucket_of(emu, ns);
	if (r->counts[bucket] <= UINT32_MAX - 256)
		r->counts[bucket] += 256;
}

uint64_t cqle_speculation_ns(struct cqlemu *emu, struct cqle_table *t, size_t coordinator)
{
	uint64_t ns;
	switch (emu->options.speculation) {
	case CQLEMU_SPECULATE_NONE:
		return UINT64_MAX;
	case CQLEMU_SPECULATE_ALWAYS:
		return 0;
	case CQLEMU_SPECULATE_FIXED:
		return emu->options.speculation_ns;
	case CQLEMU_SPECULATE_TABLE:
		break;
	}
	if (t->retry.kind == CQLE_RETRY_NEVER)
		return UINT64_MAX;
	if (t->retry.kind == CQLE_RETRY_ALWAYS)
		return 0;
	ns = read_latency(emu, t, coordinator)->threshold_ns;
	return ns > emu->options.read_timeout_ns ? UINT64_MAX : LAB_MAX(ns, (uint64_t)1);
}

void cqle_read_latency_free(struct cqlemu *emu, struct cqle_table *t)
{
	for (size_t i = 0; t->read_latency != NULL && i < emu->node_count; i++)
		lab_heap_free(emu->heap, t->read_latency[i]);
	lab_heap_free(emu->heap, t->read_latency);
	t->read_latency = NULL;
}

/* ---- policies as text ---- */

/* "99p", "99.9PERCENTILE", "50ms", "0.5ms". The number before the unit, in millionths. */
static int decimal_before(struct lab_view text, struct lab_view unit, uint64_t *ret)
{
	uint64_t value = 0, scale = 1000000;
	bool fraction = false, digits = false;
	if (text.len <= unit.len ||
		!lab_view_eq_nocase(lab_view_skip(text, text.len - unit.len), unit))
		return -1;
	for (size_t i = 0; i < text.len - unit.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (c < '0' || c > '9' || value > UINT64_C(1) << 50)
			return -1;
		digits = true;
		if (!fraction)
			value = value * 10 + (uint64_t)(c - '0') * 1000000;
		else if (scale > 1)
			value += (uint64_t)(c - '0') * (scale /= 10);
	}
	*ret = value;
	return digits ? 0 : -1;
}

int cqle_retry_part_parse(struct lab_view text, struct cqle_retry_part *ret)
{
	static const char *const units[] = { "percentile", "p" };
	uint64_t millionths;
	*ret = (struct cqle_retry_part){ .fixed_ns = 0 };
	if (decimal_before(text, LAB_VIEW("ms"), &millionths) == 0) {
		ret->fixed_ns = millionths;
		return 0;
	}
	for (size_t i = 0; i < LAB_COUNT_OF(units); i++) {
		if (decimal_before(text, lab_view_cstr(units[i]), &millionths) < 0)
			continue;
		if (millionths == 0 || millionths >= 100 * UINT64_C(1000000))
			return -1;
		ret->percentile_ppm = (uint32_t)((millionths + 50) / 100);
		return 0;
	}
	return -1;
}

static int parse_both(struct lab_view text, enum cqle_retry_kind kind, struct cqle_retry *ret)
{
	struct lab_view first, rest = lab_view_sub(text, 4, LAB_MAX(text.len, (size_t)5) - 5);
	if (text.len < 5 || text.ptr[text.len - 1] != ')' || !lab_view_split(&rest, ',', &first))
		return -1;
	ret->kind = kind;
	if (cqle_retry_part_parse(lab_view_trim(first), &ret->parts[0]) < 0 ||
		cqle_retry_part_parse(lab_view_trim(rest), &ret->parts[1]) < 0)
		return -1;
	/* One of each (HybridSpeculativeRetryPolicy). */
	return (ret->parts[0].percentile_ppm == 0) == (ret->parts[1].percentile_ppm == 0) ? -1 : 0;
}

int cqle_retry_parse(struct lab_view text, struct cqle_retry *ret)
{
	struct lab_view start = lab_view_sub(text, 0, LAB_MIN(text.len, (size_t)4));
	*ret = (struct cqle_retry){ .kind = CQLE_RETRY_AT };
	if (lab_view_eq_nocase(text, LAB_VIEW("never")) ||
		lab_view_eq_nocase(text, LAB_VIEW("none"))) {
		ret->kind = CQLE_RETRY_NEVER;
		return 0;
	}
	if (lab_view_eq_nocase(text, LAB_VIEW("always"))) {
		ret->kind = CQLE_RETRY_ALWAYS;
		return 0;
	}
	if (lab_view_eq_nocase(start, LAB_VIEW("min(")))
		return parse_both(text, CQLE_RETRY_MIN, ret);
	if (lab_view_eq_nocase(start, LAB_VIEW("max(")))
		return parse_both(text, CQLE_RETRY_MAX, ret);
	return cqle_retry_part_parse(text, &ret->parts[0]);
}
