/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-weight.c - the arithmetic of obox 5.8.
 */
#include "core/obox/metacache-weight.h"

#include "core/conf/conf-value.h"
#include "core/env/env.h"

#define SECONDS_MAX ((int64_t)1 << 32)

static bool next_word(struct lab_view *text, struct lab_view *ret)
{
	do {
		if (text->ptr == NULL || !lab_view_split(text, ' ', ret))
			return false;
	} while (ret->len == 0);
	return true;
}

/* "+1d", "-30", "0" */
static int parse_seconds(struct lab_view text, int64_t *ret, struct lab_error *err)
{
	bool is_negative = lab_view_starts_with(text, LAB_VIEW("-"));
	uint64_t ns;

	if (is_negative || lab_view_starts_with(text, LAB_VIEW("+")))
		text = lab_view_skip(text, 1);
	if (conf_value_time(text, LAB_SEC, &ns, err) < 0)
		return -1;
	*ret = (int64_t)(ns / LAB_SEC);
	if (*ret > SECONDS_MAX)
		return lab_fail(err, LAB_INVALID, "'%.*s' is too long", LAB_VIEW_ARG(text));
	if (is_negative)
		*ret = -*ret;
	return 0;
}

static int parse_percent(struct lab_view text, uint32_t *ret, struct lab_error *err)
{
	uint64_t value;

	if (!lab_view_ends_with(text, LAB_VIEW("%")) ||
		lab_view_to_u64(lab_view_sub(text, 0, text.len - 1), &value) < 0 || value > 100)
		return lab_fail(err, LAB_INVALID, "'%.*s' is not 0%% to 100%%", LAB_VIEW_ARG(text));
	*ret = (uint32_t)value;
	return 0;
}

static int parse_priorities(
	struct lab_view text, struct metacache_weights *ret, struct lab_error *err)
{
	struct lab_view percent, seconds;

	for (unsigned i = 0; i < METACACHE_PRIORITIES; i++) {
		if (!next_word(&text, &percent) || !next_word(&text, &seconds))
			return lab_fail(err, LAB_INVALID, "not %d percentages and times",
				METACACHE_PRIORITIES);
		if (parse_percent(percent, &ret->priorities[i].percent, err) < 0 ||
			parse_seconds(seconds, &ret->priorities[i].seconds, err) < 0)
			return -1;
	}
	if (next_word(&text, &percent))
		return lab_fail(err, LAB_INVALID, "'%.*s' is one too many", LAB_VIEW_ARG(percent));
	return 0;
}

static int parse_sizes(struct lab_view text, struct metacache_weights *ret, struct lab_error *err)
{
	struct lab_view low, low_seconds, max, max_seconds, more;

	if (!next_word(&text, &low) || !next_word(&text, &low_seconds) || !next_word(&text, &max) ||
		!next_word(&text, &max_seconds) || next_word(&text, &more))
		return lab_fail(err, LAB_INVALID, "not two sizes and times");
	if (conf_value_size(low, &ret->low, err) < 0 || conf_value_size(max, &ret->max, err) < 0 ||
		parse_seconds(low_seconds, &ret->low_seconds, err) < 0 ||
		parse_seconds(max_seconds, &ret->max_seconds, err) < 0)
		return -1;
	if (ret->low >= ret->max)
		return lab_fail(err, LAB_INVALID, "%.*s is not below %.*s", LAB_VIEW_ARG(low),
			LAB_VIEW_ARG(max));
	return 0;
}

int metacache_weights_parse(struct lab_view priorities, struct lab_view sizes,
	struct metacache_weights *ret, struct lab_error *err)
{
	if (parse_priorities(priorities, ret, err) < 0)
		return lab_error_wrap(err, "metacache_priority_weights");
	if (parse_sizes(sizes, ret, err) < 0)
		return lab_error_wrap(err, "metacache_size_weights");
	return 0;
}

/* n / d * seconds, to the nearest; in units that do not overflow. */
static int64_t share(uint64_t n, uint64_t d, int64_t seconds)
{
	while (d > (uint64_t)1 << 30) {
		n >>= 1;
		d >>= 1;
	}
	if (d == 0)
		return 0;
	if (seconds < 0)
		return -share(n, d, -seconds);
	return ((int64_t)n * seconds * 2 + (int64_t)d) / ((int64_t)d * 2);
}

int64_t metacache_size_adjustment(const struct metacache_weights *weights, uint64_t bytes)
{
	if (bytes <= weights->low)
		return share(weights->low - bytes, weights->low, weights->low_seconds);
	return share(LAB_MIN(bytes, weights->max) - weights->low, weights->max - weights->low,
		weights->max_seconds);
}

int64_t metacache_weight(
	const struct metacache_weights *weights, const struct metacache_usage *usage)
{
	uint64_t allowed = usage->max_space / 100 * weights->priorities[usage->priority].percent;
	int64_t weight = usage->accessed + metacache_size_adjustment(weights, usage->bytes);

	if (usage->priority_used <= allowed)
		weight += weights->priorities[usage->priority].seconds;
	return weight;
}
