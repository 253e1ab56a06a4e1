/* SPDX-License-Identifier: Apache-2.0
 *
 * limiter.c - requests a second of a key range (s3 2.1, 6.2).
 *
 * A token bucket is kept as credit in picoseconds: a nanosecond adds 1,000, a request of a budget
 * of R a second takes 10^12 / R, and burst_ns * 1,000 is the most. So both budgets, and the shared
 * one, refill alike, in integers.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define PS_PER_SECOND UINT64_C(1000000000000)
#define RATE_MAX 10000000
#define BURST_MAX_NS (3600 * LAB_SEC)

static bool too_small(uint64_t burst_ns, uint32_t rate)
{
	return rate > 0 && burst_ns < LAB_SEC / rate;
}

int s3emu_rates_check(const struct s3emu_rates *rates, struct lab_error *err)
{
	if (rates->writes_per_s > RATE_MAX || rates->reads_per_s > RATE_MAX)
		return lab_fail(err, LAB_INVALID, "S3 rates: at most %d a second", RATE_MAX);
	if (rates->burst_ns == 0 || rates->burst_ns > BURST_MAX_NS)
		return lab_fail(
			err, LAB_INVALID, "S3 rates: burst_ns must be between 1 and an hour");
	if (too_small(rates->burst_ns, rates->writes_per_s) ||
		too_small(rates->burst_ns, rates->reads_per_s))
		return lab_fail(err, LAB_INVALID, "S3 rates: burst_ns holds less than one request");
	if (rates->shared_budget && (rates->writes_per_s == 0) != (rates->reads_per_s == 0))
		return lab_fail(err, LAB_INVALID, "S3 rates: a shared budget needs both rates");
	return 0;
}

static size_t partition_count(const struct s3emu_partitions *partitions)
{
	if (partitions->start_count > 0) {
		/* The range before the first start key is there without being named. */
		return partitions->start_count + (partitions->starts[0].len > 0 ? 1 : 0);
	}
	return (size_t)1 << (4 * partitions->hex_layers);
}

int s3emu_partitions_check(const struct s3emu_partitions *partitions, struct lab_error *err)
{
	size_t i;

	if (partitions->hex_layers > 2)
		return lab_fail(err, LAB_INVALID, "S3 partitions: hex_layers is 0, 1 or 2");
	if (partitions->start_count > 0 && partitions->hex_layers > 0) {
		return lab_fail(err, LAB_INVALID, "S3 partitions: either hex_layers or start keys");
	}
	if (partitions->start_count >= S3EMU_PARTITIONS_MAX)
		return lab_fail(err, LAB_LIMIT, "S3 partitions: too many start keys");
	for (i = 1; i < partitions->start_count; i++) {
		if (lab_view_cmp(partitions->starts[i - 1], partitions->starts[i]) >= 0) {
			return lab_fail(err, LAB_INVALID,
				"S3 partitions: start key %zu is not above the one before", i);
		}
	}
	return 0;
}

static struct lab_view copy_start(struct s3emu *s3, struct lab_view prefix, struct lab_view digits)
{
	uint8_t *text = lab_heap_alloc(s3->heap, prefix.len + digits.len);

	if (prefix.len > 0)
		memcpy(text, prefix.ptr, prefix.len);
	if (digits.len > 0)
		memcpy(text + prefix.len, digits.ptr, digits.len);
	return lab_view_of(text, prefix.len + digits.len);
}

static struct lab_view partition_start(
	struct s3emu *s3, const struct s3emu_partitions *partitions, size_t index)
{
	uint8_t digits[2];
	size_t layers = partitions->hex_layers;

	if (index == 0)
		return copy_start(s3, lab_view_of(NULL, 0), lab_view_of(NULL, 0));
	if (partitions->start_count > 0) {
		size_t unnamed = partitions->starts[0].len > 0 ? 1 : 0;

		return copy_start(s3, partitions->starts[index - unnamed], lab_view_of(NULL, 0));
	}
	digits[0] = (uint8_t) "0123456789abcdef"[layers == 2 ? index >> 4 : index];
	digits[1] = (uint8_t) "0123456789abcdef"[index & 15];
	return copy_start(s3, partitions->hex_prefix, lab_view_of(digits, layers));
}

void s3emu_partitions_make(struct s3emu *s3, struct s3emu_bucket *bucket,
	const struct s3emu_partitions *partitions, const struct s3emu_rates *rates)
{
	size_t i;

	bucket->s3 = s3;
	bucket->rates = *rates;
	bucket->merge_at_ns = s3->now_ns + s3->options.scaling.merge_after_ns;
	bucket->partition_count = partition_count(partitions);
	bucket->partitions =
		lab_new_array(s3->heap, struct s3emu_partition, bucket->partition_count);
	for (i = 0; i < bucket->partition_count; i++) {
		struct s3emu_partition *partition = &bucket->partitions[i];

		partition->start = partition_start(s3, partitions, i);
		partition->write_ps = partition->read_ps = rates->burst_ns * 1000;
		partition->overload_ns = UINT64_MAX;
	}
}

void s3emu_partitions_free(struct s3emu *s3, struct s3emu_bucket *bucket)
{
	size_t i;

	for (i = 0; i < bucket->partition_count; i++)
		s3emu_partition_done(s3, &bucket->partitions[i]);
	lab_heap_free(s3->heap, bucket->partitions);
	bucket->partitions = NULL;
	bucket->partition_count = 0;
}

struct s3emu_partition *s3emu_partition_of(struct s3emu_bucket *bucket, struct lab_view key)
{
	size_t low = 0, high = bucket->partition_count;

	/* The last one that starts at or before the key; the first starts at the empty key. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (lab_view_cmp(bucket->partitions[middle].start, key) <= 0)
			low = middle;
		else
			high = middle;
	}
	return &bucket->partitions[low];
}

static void partition_refill(
	const struct s3emu_bucket *bucket, struct s3emu_partition *partition, uint64_t now_ns)
{
	uint64_t full = bucket->rates.burst_ns * 1000;
	uint64_t credit;

	if (now_ns <= partition->updated_ns)
		return;
	credit = s3emu_scaling_credit(bucket, partition, partition->updated_ns, now_ns);
	partition->write_ps = LAB_MIN(full, partition->write_ps + credit);
	partition->read_ps = LAB_MIN(full, partition->read_ps + credit);
	partition->updated_ns = now_ns;
}

/* More than a full bucket is never asked for: else it could never pass. */
static uint64_t price(const struct s3emu_rates *rates, enum s3emu_budget budget, uint64_t count)
{
	uint32_t rate = budget == S3EMU_BUDGET_WRITE ? rates->writes_per_s : rates->reads_per_s;

	if (budget == S3EMU_BUDGET_NONE || rate == 0)
		return 0;
	return LAB_MIN(rates->burst_ns * 1000, count * (PS_PER_SECOND / rate));
}

static uint64_t *purse(const struct s3emu_rates *rates, struct s3emu_partition *partition,
	enum s3emu_budget budget)
{
	return budget == S3EMU_BUDGET_WRITE || rates->shared_budget ? &partition->write_ps
								    : &partition->read_ps;
}

bool s3emu_rate_take(
	struct s3emu_bucket *bucket, struct lab_view key, enum s3emu_budget budget, uint64_t now_ns)
{
	uint64_t cost = price(&bucket->rates, budget, 1);
	struct s3emu_partition *partition;
	uint64_t *credit;
	bool passes;

	if (cost == 0)
		return true;
	partition = s3emu_partition_of(bucket, key);
	partition_refill(bucket, partition, now_ns);
	credit = purse(&bucket->rates, partition, budget);
	passes = *credit >= cost;
	if (passes)
		*credit -= cost;
	s3emu_scaling_observe(bucket, partition, key, budget, cost, !passes);
	return passes;
}

enum {
	UNDECIDED,
	REFUSED,
	ADMITTED
};

/* All of the keys of a partition pass, or none. */
static void decide(struct s3emu_bucket *bucket, struct s3emu_partition *partition, uint64_t now_ns)
{
	uint64_t cost = price(&bucket->rates, S3EMU_BUDGET_WRITE, partition->wanted);

	partition_refill(bucket, partition, now_ns);
	partition->verdict = partition->write_ps < cost ? REFUSED : ADMITTED;
}

int s3emu_rate_take_bulk(struct s3emu_bucket *bucket, const struct lab_view *keys, size_t count,
	uint64_t now_ns, bool *refused)
{
	bool all = true;
	size_t i;

	for (i = 0; i < count; i++)
		s3emu_partition_of(bucket, keys[i])->wanted++;
	for (i = 0; i < count; i++) {
		struct s3emu_partition *partition = s3emu_partition_of(bucket, keys[i]);

		if (partition->verdict == UNDECIDED)
			decide(bucket, partition, now_ns);
		refused[i] = partition->verdict == REFUSED;
		if (refused[i])
			all = false;
	}
	for (i = 0; i < count; i++) {
		struct s3emu_partition *partition = s3emu_partition_of(bucket, keys[i]);
		bool pays = all || bucket->rates.bulk_per_key;

		if (partition->verdict == ADMITTED && pays) {
			partition->write_ps -=
				price(&bucket->rates, S3EMU_BUDGET_WRITE, partition->wanted);
		}
		partition->verdict = UNDECIDED;
		partition->wanted = 0;
	}
	/* Only now: this may split them. */
	for (i = 0; i < count; i++)
		s3emu_scaling_observe(bucket, s3emu_partition_of(bucket, keys[i]), keys[i],
			S3EMU_BUDGET_WRITE, price(&bucket->rates, S3EMU_BUDGET_WRITE, 1),
			!all && (refused[i] || !bucket->rates.bulk_per_key));
	return all || bucket->rates.bulk_per_key ? 0 : -1;
}
