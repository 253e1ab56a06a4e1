/* SPDX-License-Identifier: Apache-2.0
 *
 * conditions.c - If-Match and its relatives, and Range (s3 1.3). Precedence as RFC 7232, section 6.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#include <stdio.h> /* snprintf */

static struct lab_view conditional(
	const struct s3emu_exchange *x, const char *prefix, const char *name)
{
	char full[64];

	if (prefix[0] == '\0')
		return s3emu_request_header(x, name);
	(void)snprintf(full, sizeof(full), "%s%s", prefix, name);
	return s3emu_request_header(x, full);
}

/* Is the tag among "a", W/"b", c or *? Weak tags count as strong ones: S3 makes none. */
static bool etag_listed(struct lab_view list, const struct s3emu_object *object)
{
	struct lab_view etag = s3emu_object_etag(object), item;
	struct lab_view bare = lab_view_sub(etag, 1, etag.len - 2);

	while (lab_view_split(&list, ',', &item)) {
		item = lab_view_trim(item);
		if (lab_view_starts_with(item, LAB_VIEW("W/")))
			item = lab_view_skip(item, 2);
		if (lab_view_eq_cstr(item, "*") || lab_view_eq(item, etag) ||
			lab_view_eq(item, bare))
			return true;
	}
	return false;
}

static int precondition_failed(struct s3emu_exchange *x, const char *condition)
{
	(void)s3emu_fail(x, S3EMU_PRECONDITION_FAILED);
	s3emu_detail(x, "Condition", lab_view_cstr(condition));
	return -1;
}

/* -1: no such header, or no date (it is then ignored, RFC 7232); else whether the object was
 * modified after it. */
static int modified_since(struct lab_view since, const struct s3emu_object *object)
{
	int64_t seconds;

	if (since.ptr == NULL || lab_date_parse_http(lab_view_trim(since), &seconds) < 0)
		return -1;
	return object->modified_us / 1000000 > seconds;
}

int s3emu_read_conditions(
	struct s3emu_exchange *x, const char *prefix, const struct s3emu_object *object)
{
	struct lab_view match = conditional(x, prefix, "If-Match");
	struct lab_view none_match = conditional(x, prefix, "If-None-Match");
	bool copy = prefix[0] != '\0';

	if (match.ptr != NULL) {
		if (!etag_listed(match, object))
			return precondition_failed(
				x, copy ? "x-amz-copy-source-If-Match" : "If-Match");
	} else if (modified_since(conditional(x, prefix, "If-Unmodified-Since"), object) == 1) {
		return precondition_failed(
			x, copy ? "x-amz-copy-source-If-Unmodified-Since" : "If-Unmodified-Since");
	}
	if (none_match.ptr != NULL) {
		if (!etag_listed(none_match, object))
			return 0;
		return copy ? precondition_failed(x, "x-amz-copy-source-If-None-Match") : 1;
	}
	if (modified_since(conditional(x, prefix, "If-Modified-Since"), object) == 0)
		return copy ? precondition_failed(x, "x-amz-copy-source-If-Modified-Since") : 1;
	return 0;
}

int s3emu_write_conditions(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	struct lab_view match = s3emu_request_header(x, "If-Match");
	struct lab_view none_match = s3emu_request_header(x, "If-None-Match");

	if (none_match.ptr != NULL) {
		/* S3 takes nothing but the star here. */
		if (!lab_view_eq_cstr(lab_view_trim(none_match), "*")) {
			(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
			s3emu_detail(x, "Header", LAB_VIEW("If-None-Match"));
			return -1;
		}
		if (object != NULL)
			return precondition_failed(x, "If-None-Match");
	}
	if (match.ptr == NULL)
		return 0;
	if (object == NULL) {
		(void)s3emu_fail(x, S3EMU_NO_SUCH_KEY);
		s3emu_detail(x, "Key", x->key);
		return -1;
	}
	return etag_listed(match, object) ? 0 : precondition_failed(x, "If-Match");
}

/* ---- ranges ---- */

static int unsatisfiable(struct s3emu_exchange *x, struct lab_view range, uint64_t size)
{
	char *actual = lab_arena_printf(x->arena, "%" PRIu64, size);

	(void)s3emu_fail(x, S3EMU_INVALID_RANGE);
	s3emu_detail(x, "RangeRequested", range);
	s3emu_detail(x, "ActualObjectSize", lab_view_cstr(actual));
	return -1;
}

/* The last `count` bytes. */
static int suffix_range(struct s3emu_exchange *x, struct lab_view range, uint64_t count,
	uint64_t size, struct s3emu_range *ret)
{
	if (count == 0 || size == 0)
		return unsatisfiable(x, range, size);
	ret->count = LAB_MIN(count, size);
	ret->first = size - ret->count;
	return 1;
}

/* If-Range: the range counts only if the object is still the same. */
static bool range_is_stale(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	struct lab_view if_range = s3emu_request_header(x, "If-Range");

	if (if_range.ptr == NULL)
		return false;
	if (if_range.len > 0 && if_range.ptr[0] == '"')
		return !etag_listed(if_range, object);
	return modified_since(if_range, object) != 0;
}

int s3emu_range_parse(
	struct s3emu_exchange *x, const struct s3emu_object *object, struct s3emu_range *ret)
{
	struct lab_view range = lab_view_trim(s3emu_request_header(x, "Range")), first, last;
	uint64_t size = object->size, from, to = UINT64_MAX;
	size_t dash;

	/* What is malformed, inverted or has several parts is answered with the whole object. */
	if (!lab_view_starts_with(range, LAB_VIEW("bytes=")) || range_is_stale(x, object))
		return 0;
	first = lab_view_skip(range, 6);
	dash = lab_view_find_byte(first, '-');
	if (dash == SIZE_MAX || lab_view_find_byte(first, ',') != SIZE_MAX)
		return 0;
	last = lab_view_skip(first, dash + 1);
	first = lab_view_sub(first, 0, dash);
	if (last.len > 0 && lab_view_to_u64(last, &to) < 0)
		return 0;
	if (first.len == 0)
		return last.len == 0 ? 0 : suffix_range(x, range, to, size, ret);
	if (lab_view_to_u64(first, &from) < 0 || to < from)
		return 0;
	if (from >= size)
		return unsatisfiable(x, range, size);
	ret->first = from;
	ret->count = LAB_MIN(to, size - 1) - from + 1;
	return 1;
}
