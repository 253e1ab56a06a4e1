/* SPDX-License-Identifier: Apache-2.0
 *
 * hunt-print.c - what a hunt found, in words and as JSON.
 */
#include "scenarios/campaign/hunt.h"

#include <stdio.h>

/* In place: the list is short. */
static void sort(uint64_t *numbers, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		uint64_t number = numbers[i];
		size_t at = i;

		for (; at > 0 && numbers[at - 1] > number; at--)
			numbers[at] = numbers[at - 1];
		numbers[at] = number;
	}
}

uint64_t hunt_median(const struct hunt_result *results, size_t count, struct lab_heap *heap)
{
	uint64_t *seeds = lab_new_array(heap, uint64_t, count + 1), median;
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (results[i].found)
			seeds[found++] = results[i].seeds;
	}
	sort(seeds, found);
	median = found == 0 ? 0 : seeds[found / 2];
	lab_heap_free(heap, seeds);
	return median;
}

static size_t count_found(const struct hunt_result *results, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += results[i].found;
	return found;
}

/* "001-standard-storm" of "scenarios/001-standard-storm.scn" */
static struct lab_view name_of(const struct scenario *scenario)
{
	struct lab_view name = lab_view_cstr(scenario->path);
	size_t slash;

	while ((slash = lab_view_find_byte(name, '/')) != SIZE_MAX)
		name = lab_view_skip(name, slash + 1);
	if (lab_view_ends_with(name, LAB_VIEW(".scn")))
		name = lab_view_sub(name, 0, name.len - strlen(".scn"));
	return name;
}

static uint64_t tenths(uint64_t wall_ns)
{
	return wall_ns / (LAB_SEC / 10);
}

void hunt_print_head(struct lab_buf *out)
{
	lab_buf_printf(out, "%-30s %-12s %-28s %6s  %-40s %8s\n", "defect", "source", "scenario",
		"seeds", "invariant", "wall s");
}

void hunt_print(const struct hunt_result *r, struct lab_buf *out)
{
	const struct lab_defect_info *info = lab_defect_info(r->defect);
	uint64_t wall = tenths(r->wall_ns);
	struct lab_view scenario = r->found ? name_of(r->scenario) : LAB_VIEW("NOT FOUND");

	lab_buf_printf(out, "%-30s %-12s %-28.*s %6" PRIu64 "  %-40s %6" PRIu64 ".%" PRIu64,
		info->name, info->source, LAB_VIEW_ARG(scenario), r->seeds,
		r->found ? r->signature : "-", wall / 10, wall % 10);
	if (r->broken > 0)
		lab_buf_printf(out, "  (%" PRIu64 " runs broken)", r->broken);
	if (r->inconclusive > 0)
		lab_buf_printf(out, "  (%" PRIu64 " runs inconclusive)", r->inconclusive);
	lab_buf_append_byte(out, '\n');
}

void hunt_print_sum(
	const struct hunt_result *results, size_t count, struct lab_heap *heap, struct lab_buf *out)
{
	size_t found = count_found(results, count);

	lab_buf_printf(out, "\nVERDICT %s: %zu of %zu defects found, median %" PRIu64 " seeds\n",
		found == count ? "pass" : "fail", found, count, hunt_median(results, count, heap));
}

static void print_json_signatures(const struct hunt_result *r, struct lab_json *json)
{
	lab_json_key(json, "signatures");
	lab_json_array(json);
	for (size_t i = 0; i < r->signature_count; i++)
		lab_json_cstr(json, r->signatures[i]);
	lab_json_end(json);
}

static void print_json_one(const struct hunt_result *r, struct lab_json *json)
{
	const struct lab_defect_info *info = lab_defect_info(r->defect);

	lab_json_object(json);
	lab_json_put_cstr(json, "defect", info->name);
	lab_json_put_cstr(json, "source", info->source);
	lab_json_put_bool(json, "found", r->found);
	lab_json_put_u64(json, "seeds", r->seeds);
	if (r->found) {
		lab_json_put_cstr(json, "scenario", r->scenario->path);
		lab_json_put_u64(json, "seed", r->seed);
		lab_json_put_cstr(json, "signature", r->signature);
		print_json_signatures(r, json);
	}
	lab_json_put_u64(json, "broken", r->broken);
	lab_json_put_u64(json, "inconclusive", r->inconclusive);
	lab_json_put_u64(json, "wall_ms", r->wall_ns / LAB_MSEC);
	lab_json_end(json);
}

void hunt_print_json(
	const struct hunt_result *results, size_t count, struct lab_heap *heap, struct lab_buf *out)
{
	struct lab_json json;
	size_t found = count_found(results, count);

	lab_json_init(&json, out, true);
	lab_json_object(&json);
	lab_json_key(&json, "defects");
	lab_json_array(&json);
	for (size_t i = 0; i < count; i++)
		print_json_one(&results[i], &json);
	lab_json_end(&json);
	lab_json_put_u64(&json, "found", found);
	lab_json_put_u64(&json, "of", count);
	lab_json_put_u64(&json, "median_seeds", hunt_median(results, count, heap));
	lab_json_put_cstr(&json, "verdict", found == count ? "pass" : "fail");
	lab_json_end(&json);
	lab_buf_append_byte(out, '\n');
}
