/* SPDX-License-Identifier: Apache-2.0
 *
 * scaling.c - key ranges that are split where they are overloaded for long, and merged where they
 * are cold (s3 2.1, 6.2); writes to one key that come too fast.
 *
 * There are no timers: a range looks at the clock when it is asked for something. Time is cut into
 * spans of a minute; a range is overloaded from the first of consecutive spans in which it refused
 * anything. While it is, it keeps a sample of the keys that are asked for, and splits at the one in
 * their middle. A range that was made so goes back to its left neighbour when, for merge_after_ns,
 * both together asked for less than half of what one of them may have.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define SPAN_NS LAB_MINUTE
#define SAMPLE_ONE_OF 8
#define SAMPLES 63
#define FAST_KEYS 4096 /* a power of two */
#define SCALING_NS_MAX (366 * 86400 * LAB_SEC)

struct s3emu_samples {
	uint64_t asked; /* since the overload began */
	size_t count;
	struct lab_view keys[SAMPLES]; /* owned; the last ones, a ring */
};

int s3emu_scaling_check(const struct s3emu_scaling *scaling, struct lab_error *err)
{
	if (scaling->split_after_ns > SCALING_NS_MAX || scaling->merge_after_ns > SCALING_NS_MAX ||
		scaling->ramp_ns > SCALING_NS_MAX ||
		scaling->key_write_interval_ns > 60 * LAB_MINUTE)
		return lab_fail(err, LAB_INVALID,
			"S3 scaling: at most a year, and an hour between writes of a key");
	if (scaling->partitions_max > S3EMU_PARTITIONS_MAX)
		return lab_fail(err, LAB_INVALID, "S3 scaling: at most %d partitions",
			S3EMU_PARTITIONS_MAX);
	return 0;
}

/* ---- writes to one key ---- */

bool s3emu_key_is_too_fast(struct s3emu *s3, const struct s3emu_bucket *bucket, struct lab_view key)
{
	uint64_t interval = s3->options.scaling.key_write_interval_ns, hash;
	struct s3emu_fast_key *slot;
	bool too_fast;

	if (interval == 0)
		return false;
	if (s3->fast_keys == NULL)
		s3->fast_keys = lab_new_array(s3->heap, struct s3emu_fast_key, FAST_KEYS);
	hash = lab_hash_view(lab_hash_view(0, bucket->name), key);
	/* One place for each hash: who takes it away from another lets that one pass. */
	slot = &s3->fast_keys[hash & (FAST_KEYS - 1)];
	too_fast = slot->is_set && slot->hash == hash && s3->now_ns - slot->at_ns < interval;
	if (!too_fast)
		*slot = (struct s3emu_fast_key){ hash, s3->now_ns, true };
	return too_fast;
}

/* ---- samples ---- */

static void samples_free(struct s3emu *s3, struct s3emu_partition *partition)
{
	size_t i;

	if (partition->samples == NULL)
		return;
	for (i = 0; i < LAB_MIN(partition->samples->count, (size_t)SAMPLES); i++)
		lab_heap_free(s3->heap, (void *)(uintptr_t)partition->samples->keys[i].ptr);
	lab_heap_free(s3->heap, partition->samples);
	partition->samples = NULL;
}

void s3emu_partition_done(struct s3emu *s3, struct s3emu_partition *partition)
{
	samples_free(s3, partition);
	lab_heap_free(s3->heap, (void *)(uintptr_t)partition->start.ptr);
}

static struct lab_view own(struct s3emu *s3, struct lab_view text)
{
	uint8_t *copy = lab_heap_alloc(s3->heap, text.len);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return lab_view_of(copy, text.len);
}

static void sample(struct s3emu *s3, struct s3emu_partition *partition, struct lab_view key)
{
	struct s3emu_samples *samples = partition->samples;
	struct lab_view *slot;
	uint64_t draw;

	if (samples == NULL)
		samples = partition->samples = lab_new(s3->heap, struct s3emu_samples);
	/* Drawn, not every eighth: clients may ask in turns. */
	draw = lab_draw(s3->options.seed, "s3.split.sample", lab_hash_view(0, partition->start),
		samples->asked++);
	if (lab_pick(draw, SAMPLE_ONE_OF) != 0)
		return;
	slot = &samples->keys[samples->count++ % SAMPLES];
	lab_heap_free(s3->heap, (void *)(uintptr_t)slot->ptr);
	*slot = own(s3, key);
}

/* Insertion: there are few. */
static void sort(struct lab_view *keys, size_t count)
{
	size_t i, j;

	for (i = 1; i < count; i++) {
		struct lab_view key = keys[i];

		for (j = i; j > 0 && lab_view_cmp(keys[j - 1], key) > 0; j--)
			keys[j] = keys[j - 1];
		keys[j] = key;
	}
}

/* The shortest text above `low` that `high` begins with. */
static struct lab_view between(struct lab_view low, struct lab_view high)
{
	size_t len = 1;

	while (len < high.len && lab_view_cmp(lab_view_sub(high, 0, len), low) <= 0)
		len++;
	return lab_view_sub(high, 0, len);
}

/* Where half of the sampled load is on either side; 0 if it is all one key. */
static int middle(const struct s3emu_partition *partition, struct lab_view *ret)
{
	const struct s3emu_samples *samples = partition->samples;
	size_t count = samples == NULL ? 0 : LAB_MIN(samples->count, (size_t)SAMPLES), at, up, down;
	struct lab_view keys[SAMPLES];

	if (count < 2)
		return 0;
	memcpy(keys, samples->keys, count * sizeof(keys[0]));
	sort(keys, count);
	at = count / 2;
	for (up = at; up < count && lab_view_eq(keys[up], keys[at - 1]); up++)
		;
	for (down = at - 1; down > 0 && lab_view_eq(keys[down], keys[down - 1]); down--)
		;
	/* The nearer end of the run of equal keys in the middle. */
	if (down > 0 && (up == count || at - down < up - at))
		up = down;
	if (up == count)
		return 0;
	*ret = between(keys[up - 1], keys[up]);
	return lab_view_cmp(*ret, partition->start) > 0;
}

/* ---- splitting ---- */

static uint64_t scaled(uint64_t amount, uint64_t part, uint64_t whole)
{
	return (uint64_t)((unsigned __int128)amount * part / whole);
}

uint64_t s3emu_scaling_credit(const struct s3emu_bucket *bucket,
	const struct s3emu_partition *partition, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t ramp = bucket->s3->options.scaling.ramp_ns, age;
	uint64_t elapsed = LAB_MIN(to_ns - from_ns, bucket->rates.burst_ns);

	if (partition->since_ns == 0 || ramp == 0 || to_ns - partition->since_ns >= 2 * ramp)
		return elapsed * 1000;
	/* From a half to the whole, linearly: what it is half-way between the two times. */
	age = LAB_MIN(from_ns - partition->since_ns + (to_ns - from_ns) / 2, ramp);
	return scaled(elapsed * 1000, ramp + age, 2 * ramp);
}

static void make_room(struct s3emu_bucket *bucket, size_t index)
{
	struct s3emu_partition *partitions;

	partitions = lab_heap_realloc(bucket->s3->heap, bucket->partitions,
		(bucket->partition_count + 1) * sizeof(*partitions));
	memmove(&partitions[index + 1], &partitions[index],
		(bucket->partition_count - index) * sizeof(*partitions));
	bucket->partitions = partitions;
	bucket->partition_count++;
}

static void split(struct s3emu_bucket *bucket, size_t index, struct lab_view start)
{
	struct s3emu_partition *left, *right;
	struct s3emu *s3 = bucket->s3;

	start = own(s3, start);
	make_room(bucket, index + 1);
	left = &bucket->partitions[index];
	right = left + 1;
	samples_free(s3, left);
	left->overload_ns = UINT64_MAX;
	left->write_ps /= 2;
	left->read_ps /= 2;
	left->load_ps /= 2;
	left->since_ns = s3->now_ns;
	/* It has the left one's state, but for its name. */
	*right = *left;
	right->start = start;
	right->is_split = true;
	right->accepted_writes = right->accepted_reads = right->refused = 0;
	s3->counters.splits++;
}

static void split_if_possible(struct s3emu_bucket *bucket, struct s3emu_partition *partition)
{
	struct lab_view start;

	if (bucket->partition_count < bucket->s3->options.scaling.partitions_max &&
		middle(partition, &start) != 0)
		split(bucket, (size_t)(partition - bucket->partitions), start);
	else
		partition->overload_ns = partition->span_ns; /* so long again */
}

/* ---- merging ---- */

static void merge(struct s3emu_bucket *bucket, size_t index)
{
	struct s3emu_partition *right = &bucket->partitions[index], *left = right - 1;

	left->load_ps += right->load_ps;
	left->accepted_writes += right->accepted_writes;
	left->accepted_reads += right->accepted_reads;
	left->refused += right->refused;
	s3emu_partition_done(bucket->s3, right);
	bucket->partition_count--;
	memmove(right, right + 1, (bucket->partition_count - index) * sizeof(*right));
	bucket->s3->counters.merges++;
}

static void merge_cold(struct s3emu_bucket *bucket)
{
	uint64_t after = bucket->s3->options.scaling.merge_after_ns, now = bucket->s3->now_ns;
	size_t i = 1;

	if (after == 0 || now < bucket->merge_at_ns)
		return;
	/* Longer ago than it takes: what was asked then says nothing of this time. */
	while (i < bucket->partition_count) {
		const struct s3emu_partition *right = &bucket->partitions[i], *left = right - 1;

		if (right->is_split && now - right->since_ns >= after &&
			left->load_ps + right->load_ps < scaled(after, 1000, 2))
			merge(bucket, i);
		else
			i++;
	}
	for (i = 0; i < bucket->partition_count; i++)
		bucket->partitions[i].load_ps = 0;
	bucket->merge_at_ns = now + after;
}

/* ---- what a range goes through ---- */

/* The spans that have ended since it was last asked. */
static void end_spans(struct s3emu_partition *partition, uint64_t now_ns)
{
	uint64_t start = now_ns - now_ns % SPAN_NS;

	if (start == partition->span_ns)
		return;
	if (partition->span_refused == 0 || start - partition->span_ns > SPAN_NS)
		partition->overload_ns = UINT64_MAX;
	partition->span_ns = start;
	partition->span_refused = 0;
}

void s3emu_scaling_observe(struct s3emu_bucket *bucket, struct s3emu_partition *partition,
	struct lab_view key, enum s3emu_budget budget, uint64_t cost_ps, bool is_refused)
{
	const struct s3emu_scaling *scaling = &bucket->s3->options.scaling;

	if (is_refused)
		partition->refused++;
	else if (budget == S3EMU_BUDGET_WRITE)
		partition->accepted_writes++;
	else
		partition->accepted_reads++;
	partition->load_ps += cost_ps;
	if (scaling->split_after_ns == 0)
		return;
	end_spans(partition, bucket->s3->now_ns);
	if (is_refused && partition->span_refused++ == 0 && partition->overload_ns == UINT64_MAX)
		partition->overload_ns = bucket->s3->now_ns;
	if (partition->overload_ns == UINT64_MAX) {
		samples_free(bucket->s3, partition);
	} else {
		sample(bucket->s3, partition, key);
		if (bucket->s3->now_ns - partition->overload_ns >= scaling->split_after_ns)
			split_if_possible(bucket, partition);
	}
	merge_cold(bucket);
}
