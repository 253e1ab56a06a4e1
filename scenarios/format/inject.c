/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/format/inject.h"

#include "core/conf/conf-value.h"

#include <stdio.h>

static const char *const disks[] = { "lose_unsynced", "keep", "wipe" };

static int parse_where(struct lab_view point, struct lab_view kind, struct fault_episode *ret,
	struct lab_error *err)
{
	enum fault_point p = fault_point_find(point);

	if (p == FAULT_POINT_COUNT)
		return lab_fail(
			err, LAB_INVALID, "there is no fault point \"%.*s\"", LAB_VIEW_ARG(point));
	ret->kind = fault_kind_find(kind);
	if (ret->kind == FAULT_KIND_COUNT)
		return lab_fail(
			err, LAB_INVALID, "there is no kind of fault \"%.*s\"", LAB_VIEW_ARG(kind));
	ret->points = UINT64_C(1) << p;
	if (fault_kind_is_world(ret->kind) || (fault_kind_points(ret->kind) & ret->points) == 0)
		return lab_fail(err, LAB_INVALID, "%.*s does not happen at %.*s",
			LAB_VIEW_ARG(kind), LAB_VIEW_ARG(point));
	return 0;
}

static int parse_nth(struct lab_view text, struct fault_episode *ret, struct lab_error *err)
{
	struct lab_view time = text, number;

	if (!lab_view_split(&time, '+', &number) || lab_view_to_u64(number, &ret->nth) < 0 ||
		ret->nth == 0)
		return lab_fail(err, LAB_INVALID, "\"%.*s\" is not the number of a request",
			LAB_VIEW_ARG(text));
	ret->is_lasting = time.ptr != NULL;
	if (time.len == 0)
		return 0;
	return conf_value_time(time, 0, &ret->lasting_ns, err);
}

static int parse_crash(struct lab_view text, struct fault_episode *ret, struct lab_error *err)
{
	struct lab_view down = text, disk;
	size_t which;

	if (!lab_view_split(&down, ',', &disk) || down.ptr == NULL)
		return lab_fail(err, LAB_INVALID, "\"%.*s\" is not DISK,DOWN", LAB_VIEW_ARG(text));
	if (conf_value_word(disk, disks, LAB_COUNT_OF(disks), &which, err) < 0 ||
		conf_value_time(down, 0, &ret->down_ns, err) < 0)
		return -1;
	ret->crashes_peer = true;
	ret->disk = (enum fault_disk)which;
	return 0;
}

int inject_parse(struct lab_view text, struct fault_episode *ret, struct lab_error *err)
{
	struct lab_view rest = text, point, kind, nth, crash;

	*ret = (struct fault_episode){ 0 };
	if (lab_view_starts_with(rest, LAB_VIEW(">"))) {
		rest = lab_view_skip(rest, 1);
		ret->after = 1;
	}
	if (!lab_view_split(&rest, ':', &point) || !lab_view_split(&rest, ':', &kind) ||
		!lab_view_split(&rest, ':', &nth))
		return lab_fail(err, LAB_INVALID,
			"\"%.*s\" is not [>]POINT:KIND:N[+[TIME]][:DISK,DOWN]", LAB_VIEW_ARG(text));
	if (parse_where(point, kind, ret, err) < 0 || parse_nth(nth, ret, err) < 0)
		return -1;
	if (!lab_view_split(&rest, ':', &crash))
		return 0;
	if (rest.ptr != NULL)
		return lab_fail(
			err, LAB_INVALID, "\"%.*s\" has more than four parts", LAB_VIEW_ARG(text));
	return parse_crash(crash, ret, err);
}

void inject_print(const struct fault_episode *e, char out[INJECT_TEXT_MAX])
{
	enum fault_point point = (enum fault_point)__builtin_ctzll(e->points);
	char lasting[32] = "", crash[64] = "";
	int n;

	if (e->lasting_ns != 0)
		(void)snprintf(lasting, sizeof(lasting), "%" PRIu64 "ms", e->lasting_ns / LAB_MSEC);
	if (e->crashes_peer)
		(void)snprintf(crash, sizeof(crash), ":%s,%" PRIu64 "ms", disks[e->disk],
			e->down_ns / LAB_MSEC);
	n = snprintf(out, INJECT_TEXT_MAX, "%s%s:%s:%" PRIu64 "%s%s%s", e->after != 0 ? ">" : "",
		fault_point_name(point), fault_kind_name(e->kind), e->nth, e->is_lasting ? "+" : "",
		lasting, crash);
	lab_assert(n > 0 && n < INJECT_TEXT_MAX);
}
