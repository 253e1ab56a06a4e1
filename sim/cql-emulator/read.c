/* SPDX-License-Identifier: Apache-2.0
 *
 * read.c - what one replica answers to a read, and what several answers are together.
 *
 * Answers hold references to rows, tombstones included: a replica that knows of a deletion must be
 * able to say so to the others.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

/* ---- answers ---- */

struct cqle_answer *cqle_answer_new(struct lab_heap *heap)
{
	struct cqle_answer *answer = lab_new(heap, struct cqle_answer);
	answer->refs = 1;
	return answer;
}

void cqle_answer_reset(struct lab_heap *heap, struct cqle_answer *answer)
{
	for (size_t i = 0; i < answer->row_count; i++)
		cqle_row_unref(heap, answer->rows[i]);
	for (size_t i = 0; i < answer->range_count; i++) {
		cqle_bytes_unref(heap, answer->ranges[i].start);
		cqle_bytes_unref(heap, answer->ranges[i].end);
	}
	for (size_t i = 0; i < answer->part_count; i++) {
		cqle_row_unref(heap, answer->parts[i].static_row);
		cqle_bytes_unref(heap, answer->parts[i].key);
	}
	answer->row_count = answer->range_count = answer->part_count = 0;
	answer->live = answer->tombstones = 0;
	answer->limited = answer->failed = false;
}

void cqle_answer_unref(struct lab_heap *heap, struct cqle_answer *answer)
{
	if (answer == NULL || --answer->refs > 0)
		return;
	cqle_answer_reset(heap, answer);
	lab_heap_free(heap, answer->rows);
	lab_heap_free(heap, answer->ranges);
	lab_heap_free(heap, answer->parts);
	lab_heap_free(heap, answer);
}

static void *grow(
	struct lab_heap *heap, void *items, size_t count, size_t *capacity, size_t item_size)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity == 0 ? 2 : *capacity * 2;
	return lab_heap_realloc(heap, items, *capacity * item_size);
}

/* Takes the reference. */
static void add_row(struct lab_heap *heap, struct cqle_answer *answer, struct cqle_row *row)
{
	answer->rows = grow(heap, answer->rows, answer->row_count, &answer->row_capacity,
		sizeof(struct cqle_row *));
	answer->rows[answer->row_count++] = row;
}

static void add_range(
	struct lab_heap *heap, struct cqle_answer *answer, const struct cqle_range *range)
{
	answer->ranges = grow(heap, answer->ranges, answer->range_count, &answer->range_capacity,
		sizeof(struct cqle_range));
	answer->ranges[answer->range_count++] = (struct cqle_range){ cqle_bytes_ref(range->start),
		cqle_bytes_ref(range->end), range->deletion };
}

static size_t begin_part(
	struct lab_heap *heap, struct cqle_answer *answer, struct cqle_bytes *key, int64_t token)
{
	answer->parts = grow(heap, answer->parts, answer->part_count, &answer->part_capacity,
		sizeof(struct cqle_part));
	answer->parts[answer->part_count] = (struct cqle_part){ .key = cqle_bytes_ref(key),
		.token = token,
		.deletion = CQLE_NOT_DELETED,
		.row_begin = answer->row_count,
		.range_begin = answer->range_count };
	return answer->part_count++;
}

/* Closes the part; forgets it if there is nothing in it. */
static void end_part(struct lab_heap *heap, struct cqle_answer *answer)
{
	struct cqle_part *part = &answer->parts[answer->part_count - 1];
	part->row_end = answer->row_count;
	part->range_end = answer->range_count;
	if (part->row_end > part->row_begin || part->range_end > part->range_begin ||
		part->static_row != NULL || part->deletion.timestamp != CQLE_NO_TIMESTAMP)
		return;
	cqle_bytes_unref(heap, part->key);
	answer->part_count--;
}

/* How many live rows of this partition are wanted. */
static size_t part_limit(const struct cqle_read *read, const struct cqle_bytes *key)
{
	bool resumed = read->resume_key.ptr != NULL && read->resume_row.ptr != NULL &&
		       lab_view_eq(read->resume_key, cqle_bytes_view(key));
	return resumed ? read->resume_limit : read->partition_limit;
}

/* ---- one replica ---- */

struct reader {
	struct lab_heap *heap;
	const struct cqle_read *read;
	struct cqle_answer *answer;
	size_t live_before; /* answer->live at the start of this partition */
	size_t part_limit;
	bool full; /* the whole read has what it wants */
};

/* False: enough of this partition. */
static bool read_row(struct reader *r, struct cqle_row *row)
{
	struct cqle_answer *answer = r->answer;
	struct cqle_row *kept = cqle_row_purge(r->heap, row, r->read->gc_before_s);
	if (kept == NULL)
		return true;
	if (answer->row_count >= r->read->rows_max) {
		cqle_row_unref(r->heap, kept);
		answer->failed = r->full = true;
		return false;
	}
	add_row(r->heap, answer, kept);
	answer->tombstones += cqle_row_tombstones(kept, r->read->now_s);
	if (r->read->tombstone_fail > 0 && answer->tombstones > r->read->tombstone_fail) {
		answer->failed = r->full = true;
		return false;
	}
	if (!cqle_row_is_live(kept, r->read->now_s))
		return true;
	answer->live++;
	if (answer->live >= r->read->limit) {
		answer->limited = r->full = true;
		return false;
	}
	if (answer->live - r->live_before >= r->part_limit) {
		answer->parts[answer->part_count - 1].limited = true;
		return false;
	}
	return true;
}

static bool behind(struct lab_view key, const struct cqle_slice *slice)
{
	if (slice->point)
		return !lab_view_eq(key, slice->start);
	return slice->end.ptr != NULL && lab_view_cmp(key, slice->end) >= 0;
}

static bool read_forward(struct reader *r, const struct cqle_partition *p,
	const struct cqle_slice *slice, struct lab_view resume)
{
	struct lab_view from = slice->start;
	if (resume.ptr != NULL && lab_view_cmp(resume, from) > 0)
		from = resume;
	struct cqle_cursor cursor = cqle_seek(p, from);
	for (struct cqle_row *row = cqle_cursor_next(&cursor); row != NULL;
		row = cqle_cursor_next(&cursor)) {
		struct lab_view key = cqle_row_key(row);
		if (behind(key, slice))
			break;
		if (resume.ptr != NULL && lab_view_cmp(key, resume) <= 0)
			continue;
		if (!read_row(r, row))
			return false;
	}
	return true;
}

static struct cqle_cursor seek_end(const struct cqle_partition *p, const struct cqle_slice *slice)
{
	if (!slice->point)
		return slice->end.ptr == NULL ? cqle_seek_end(p) : cqle_seek(p, slice->end);
	struct cqle_cursor cursor = cqle_seek(p, slice->start);
	struct cqle_row *row = cqle_cursor_next(&cursor);
	return row != NULL && lab_view_eq(cqle_row_key(row), slice->start)
		       ? cursor
		       : cqle_seek(p, slice->start);
}

static bool read_backward(struct reader *r, const struct cqle_partition *p,
	const struct cqle_slice *slice, struct lab_view resume)
{
	struct cqle_cursor cursor = seek_end(p, slice);
	for (struct cqle_row *row = cqle_cursor_previous(&cursor); row != NULL;
		row = cqle_cursor_previous(&cursor)) {
		struct lab_view key = cqle_row_key(row);
		if (lab_view_cmp(key, slice->start) < 0)
			break;
		if (resume.ptr != NULL && lab_view_cmp(key, resume) >= 0)
			continue;
		if (!read_row(r, row))
			return false;
	}
	return true;
}

static void read_slices(struct reader *r, const struct cqle_partition *p, struct lab_view resume)
{
	const struct cqle_read *read = r->read;
	for (size_t i = 0; i < read->slice_count; i++) {
		bool more = read->reversed
				    ? read_backward(r, p, &read->slices[read->slice_count - 1 - i],
					      resume)
				    : read_forward(r, p, &read->slices[i], resume);
		if (!more)
			return;
	}
}

static void read_static(struct reader *r, const struct cqle_partition *p, bool resumed)
{
	struct cqle_answer *answer = r->answer;
	struct cqle_part *part = &answer->parts[answer->part_count - 1];
	if (p->static_row == NULL)
		return;
	part->static_row = cqle_row_purge(r->heap, p->static_row, r->read->gc_before_s);
	if (part->static_row == NULL || resumed)
		return;
	bool alone = answer->live == r->live_before && r->read->statics;
	if (!alone || !cqle_row_is_live(part->static_row, r->read->now_s))
		return;
	answer->live++;
	if (answer->live >= r->read->limit)
		answer->limited = r->full = true;
}

static void read_partition(struct reader *r, const struct cqle_partition *p)
{
	const struct cqle_read *read = r->read;
	struct cqle_answer *answer = r->answer;
	bool resumed = read->resume_key.ptr != NULL &&
		       lab_view_eq(read->resume_key, cqle_bytes_view(p->key));
	if (resumed && read->resume_skip)
		return;
	size_t index = begin_part(r->heap, answer, p->key, p->token);
	if (p->deletion.timestamp != CQLE_NO_TIMESTAMP && p->deletion.local_s >= read->gc_before_s)
		answer->parts[index].deletion = p->deletion;
	for (uint32_t i = 0; i < p->range_count; i++) {
		if (p->ranges[i].deletion.local_s >= read->gc_before_s)
			add_range(r->heap, answer, &p->ranges[i]);
	}
	r->live_before = answer->live;
	r->part_limit = part_limit(read, p->key);
	read_slices(r, p, resumed ? read->resume_row : lab_view_of(NULL, 0));
	read_static(r, p, resumed && read->resume_row.ptr != NULL);
	end_part(r->heap, answer);
}

/* Reads the partitions of (after, upto], from `resume_key` on. */
static void read_scan(struct reader *r, struct cqle_store *store)
{
	const struct cqle_read *read = r->read;
	int64_t token = read->from_minimum ? INT64_MIN : read->after + 1;
	struct lab_view key = { (const uint8_t *)"", 0 };
	if (read->resume_key.ptr != NULL && read->token >= token) {
		token = read->token;
		key = read->resume_key;
	}
	struct cqle_scan scan = cqle_store_scan(store, token, key);
	while (!r->full) {
		const struct cqle_partition *p = cqle_scan_next(&scan);
		if (p == NULL || p->token > read->upto)
			return;
		read_partition(r, p);
	}
}

void cqle_read_store(
	struct cqle_store *store, const struct cqle_read *read, struct cqle_answer *ret)
{
	struct reader r = { .heap = store->heap, .read = read, .answer = ret };
	if (read->key.ptr != NULL) {
		struct cqle_partition *p = cqle_store_find(store, read->token, read->key);
		if (p != NULL)
			read_partition(&r, p);
		return;
	}
	if (read->from_minimum || read->after < INT64_MAX)
		read_scan(&r, store);
}

/* ---- comparing and merging ---- */

static bool range_equal(const struct cqle_range *a, const struct cqle_range *b)
{
	if (a->deletion.timestamp != b->deletion.timestamp || (a->end == NULL) != (b->end == NULL))
		return false;
	return lab_view_eq(cqle_bytes_view(a->start), cqle_bytes_view(b->start)) &&
	       (a->end == NULL || lab_view_eq(cqle_bytes_view(a->end), cqle_bytes_view(b->end)));
}

static bool part_equal(const struct cqle_part *a, const struct cqle_part *b)
{
	return a->token == b->token && a->deletion.timestamp == b->deletion.timestamp &&
	       a->row_begin == b->row_begin && a->row_end == b->row_end &&
	       a->range_begin == b->range_begin && a->range_end == b->range_end &&
	       lab_view_eq(cqle_bytes_view(a->key), cqle_bytes_view(b->key)) &&
	       cqle_row_equal(a->static_row, b->static_row);
}

bool cqle_answer_equal(const struct cqle_answer *a, const struct cqle_answer *b)
{
	if (a->part_count != b->part_count || a->row_count != b->row_count ||
		a->range_count != b->range_count)
		return false;
	for (size_t i = 0; i < a->part_count; i++) {
		if (!part_equal(&a->parts[i], &b->parts[i]))
			return false;
	}
	for (size_t i = 0; i < a->row_count; i++) {
		if (!cqle_row_equal(a->rows[i], b->rows[i]))
			return false;
	}
	for (size_t i = 0; i < a->range_count; i++) {
		if (!range_equal(&a->ranges[i], &b->ranges[i]))
			return false;
	}
	return true;
}

struct merger {
	struct lab_heap *heap;
	const struct cqle_read *read;
	struct cqle_answer *const *answers;
	size_t count;
	struct cqle_answer *ret;
	size_t part[CQLEMU_NODES_MAX]; /* next one of each answer */
	size_t row[CQLEMU_NODES_MAX];  /* next row in that part */
	bool in[CQLEMU_NODES_MAX];     /* its next part is the one being merged */
};

static const struct cqle_part *next_part(const struct merger *m, size_t i)
{
	return m->part[i] < m->answers[i]->part_count ? &m->answers[i]->parts[m->part[i]] : NULL;
}

static int part_order(const struct cqle_part *a, const struct cqle_part *b)
{
	if (a->token != b->token)
		return a->token < b->token ? -1 : 1;
	return lab_view_cmp(cqle_bytes_view(a->key), cqle_bytes_view(b->key));
}

/* Marks who has the next partition; NULL at the end of all. */
static const struct cqle_part *merge_choose(struct merger *m)
{
	const struct cqle_part *first = NULL;
	for (size_t i = 0; i < m->count; i++) {
		const struct cqle_part *part = next_part(m, i);
		if (part != NULL && (first == NULL || part_order(part, first) < 0))
			first = part;
	}
	for (size_t i = 0; first != NULL && i < m->count; i++) {
		const struct cqle_part *part = next_part(m, i);
		m->in[i] = part != NULL && part_order(part, first) == 0;
		m->row[i] = m->in[i] ? part->row_begin : 0;
	}
	return first;
}

/* An answer that was cut off has nothing more to say, so what others have behind is unknown. */
static bool merge_is_cut(const struct merger *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (!m->answers[i]->limited)
			continue;
		const struct cqle_part *part = next_part(m, i);
		if (part == NULL)
			return true;
		if (m->in[i] && m->row[i] == part->row_end &&
			m->part[i] + 1 == m->answers[i]->part_count)
			return true;
	}
	return false;
}

static bool part_is_cut(const struct merger *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->in[i] && next_part(m, i)->limited && m->row[i] == next_part(m, i)->row_end)
			return true;
	}
	return false;
}

static void merge_ranges(struct merger *m, const struct cqle_part *part, size_t answer)
{
	struct cqle_part *to = &m->ret->parts[m->ret->part_count - 1];
	for (size_t i = part->range_begin; i < part->range_end; i++) {
		const struct cqle_range *range = &m->answers[answer]->ranges[i];
		bool known = false;
		for (size_t j = to->range_begin; j < m->ret->range_count && !known; j++)
			known = range_equal(&m->ret->ranges[j], range);
		if (!known)
			add_range(m->heap, m->ret, range);
	}
}

static void merge_heads(struct merger *m)
{
	struct cqle_part *to = &m->ret->parts[m->ret->part_count - 1];
	for (size_t i = 0; i < m->count; i++) {
		const struct cqle_part *part = m->in[i] ? next_part(m, i) : NULL;
		if (part == NULL)
			continue;
		if (part->deletion.timestamp > to->deletion.timestamp)
			to->deletion = part->deletion;
		merge_ranges(m, part, i);
	}
	for (size_t i = 0; i < m->count; i++) {
		if (!m->in[i] || next_part(m, i)->static_row == NULL)
			continue;
		struct cqle_row *row = cqle_row_merge(
			m->heap, to->static_row, next_part(m, i)->static_row, to->deletion);
		cqle_row_unref(m->heap, to->static_row);
		to->static_row = row;
	}
}

/* What deletes the row with this key, of all that the answers know. */
static struct cqle_deletion merged_deletion(const struct merger *m, struct lab_view key)
{
	const struct cqle_part *part = &m->ret->parts[m->ret->part_count - 1];
	struct cqle_deletion newest = part->deletion;
	for (size_t i = part->range_begin; i < m->ret->range_count; i++) {
		const struct cqle_range *range = &m->ret->ranges[i];
		if (range->deletion.timestamp > newest.timestamp &&
			lab_view_cmp(key, cqle_bytes_view(range->start)) >= 0 &&
			(range->end == NULL || lab_view_cmp(key, cqle_bytes_view(range->end)) < 0))
			newest = range->deletion;
	}
	return newest;
}

/* The next row of this partition in reading order. */
static struct cqle_row *merge_next_row(struct merger *m)
{
	struct cqle_row *first = NULL, *merged = NULL;
	for (size_t i = 0; i < m->count; i++) {
		if (!m->in[i] || m->row[i] == next_part(m, i)->row_end)
			continue;
		struct cqle_row *row = m->answers[i]->rows[m->row[i]];
		int order =
			first == NULL ? -1 : lab_view_cmp(cqle_row_key(row), cqle_row_key(first));
		if (first == NULL || (m->read->reversed ? order > 0 : order < 0))
			first = row;
	}
	if (first == NULL)
		return NULL;
	struct lab_view key = cqle_row_key(first);
	struct cqle_deletion around = merged_deletion(m, key);
	for (size_t i = 0; i < m->count; i++) {
		if (!m->in[i] || m->row[i] == next_part(m, i)->row_end ||
			!lab_view_eq(cqle_row_key(m->answers[i]->rows[m->row[i]]), key))
			continue;
		struct cqle_row *row =
			cqle_row_merge(m->heap, merged, m->answers[i]->rows[m->row[i]++], around);
		cqle_row_unref(m->heap, merged);
		merged = row;
	}
	/* Wholly deleted: an empty row keeps the place, and is dropped by the caller. */
	return merged != NULL ? merged : cqle_row_new(m->heap, key, first->cell_count);
}

static bool merge_is_done(const struct merger *m, size_t live_before)
{
	if (m->ret->live >= m->read->limit)
		m->ret->limited = true;
	const struct cqle_bytes *key = m->ret->parts[m->ret->part_count - 1].key;
	return m->ret->limited || m->ret->live - live_before >= part_limit(m->read, key);
}

/* The rows of one partition. */
static void merge_rows(struct merger *m)
{
	size_t live_before = m->ret->live;
	for (;;) {
		if (merge_is_cut(m)) {
			m->ret->limited = true;
			return;
		}
		if (part_is_cut(m)) {
			m->ret->parts[m->ret->part_count - 1].limited = true;
			return;
		}
		struct cqle_row *row = merge_next_row(m);
		if (row == NULL)
			return;
		if (cqle_row_is_empty(row)) {
			cqle_row_unref(m->heap, row);
			continue;
		}
		add_row(m->heap, m->ret, row);
		if (cqle_row_is_live(row, m->read->now_s))
			m->ret->live++;
		if (merge_is_done(m, live_before))
			return;
	}
}

static void merge_static_alone(struct merger *m, size_t live_before)
{
	const struct cqle_part *part = &m->ret->parts[m->ret->part_count - 1];
	if (m->read->statics && m->ret->live == live_before && part->static_row != NULL &&
		!m->ret->limited && cqle_row_is_live(part->static_row, m->read->now_s))
		m->ret->live++;
	if (m->ret->live >= m->read->limit)
		m->ret->limited = true;
}

void cqle_answers_merge(struct lab_heap *heap, struct cqle_answer *const *answers, size_t count,
	const struct cqle_read *read, struct cqle_answer *ret)
{
	struct merger m = {
		.heap = heap, .read = read, .answers = answers, .count = count, .ret = ret
	};
	for (size_t i = 0; i < count; i++) {
		ret->tombstones = LAB_MAX(ret->tombstones, answers[i]->tombstones);
		ret->failed = ret->failed || answers[i]->failed;
	}
	while (!ret->limited) {
		const struct cqle_part *part = merge_choose(&m);
		if (part == NULL)
			break;
		bool whole = true;
		for (size_t i = 0; i < count; i++)
			whole = whole && !(answers[i]->limited && next_part(&m, i) == NULL);
		if (!whole) {
			ret->limited = true;
			break;
		}
		size_t live_before = ret->live;
		(void)begin_part(heap, ret, part->key, part->token);
		merge_heads(&m);
		merge_rows(&m);
		merge_static_alone(&m, live_before);
		end_part(heap, ret);
		for (size_t i = 0; i < count; i++)
			m.part[i] += m.in[i];
	}
	for (size_t i = 0; i < count; i++)
		ret->limited = ret->limited || answers[i]->limited;
}

/* ---- repair ---- */

static const struct cqle_part *find_part(
	const struct cqle_answer *answer, const struct cqle_part *wanted, size_t *at)
{
	while (*at < answer->part_count && part_order(&answer->parts[*at], wanted) < 0)
		(*at)++;
	if (*at == answer->part_count || part_order(&answer->parts[*at], wanted) != 0)
		return NULL;
	return &answer->parts[*at];
}

static const struct cqle_row *find_row(
	const struct cqle_answer *answer, const struct cqle_part *part, struct lab_view key)
{
	for (size_t i = part == NULL ? 0 : part->row_begin; part != NULL && i < part->row_end;
		i++) {
		if (lab_view_eq(cqle_row_key(answer->rows[i]), key))
			return answer->rows[i];
	}
	return NULL;
}

static bool has_range(const struct cqle_answer *answer, const struct cqle_part *part,
	const struct cqle_range *range)
{
	for (size_t i = part == NULL ? 0 : part->range_begin; part != NULL && i < part->range_end;
		i++) {
		if (range_equal(&answer->ranges[i], range))
			return true;
	}
	return false;
}

/* What a replica's answer lacks of one partition, on its way into a mutation. */
struct part_repair {
	struct lab_heap *heap;
	struct cqle_mutation *mutation;
	const struct cqle_answer *answer, *merged;
	const struct cqle_part *has;  /* in `answer`; NULL: nothing of it */
	const struct cqle_part *want; /* in `merged` */
	bool differs;
};

static void repair_head(struct part_repair *r)
{
	const struct cqle_part *has = r->has, *want = r->want;

	if (want->deletion.timestamp != CQLE_NO_TIMESTAMP &&
		(has == NULL || has->deletion.timestamp != want->deletion.timestamp)) {
		r->mutation->deletion = want->deletion;
		r->differs = true;
	}
	if (want->static_row != NULL &&
		!cqle_row_equal(has == NULL ? NULL : has->static_row, want->static_row)) {
		r->mutation->static_row = cqle_row_ref(want->static_row);
		r->differs = true;
	}
}

static void repair_ranges(struct part_repair *r)
{
	for (size_t i = r->want->range_begin; i < r->want->range_end; i++) {
		const struct cqle_range *range = &r->merged->ranges[i];

		if (has_range(r->answer, r->has, range))
			continue;
		cqle_mutation_add_range(r->heap, r->mutation, cqle_bytes_view(range->start),
			range->end == NULL ? lab_view_of(NULL, 0) : cqle_bytes_view(range->end),
			range->deletion);
		r->differs = true;
	}
}

static void repair_rows(struct part_repair *r)
{
	const struct cqle_part *has = r->has;
	size_t at = has == NULL ? 0 : has->row_begin;

	for (size_t i = r->want->row_begin; i < r->want->row_end; i++) {
		struct cqle_row *row = r->merged->rows[i];
		/* Mostly both are in step. */
		bool in_step = has != NULL && at < has->row_end &&
			       lab_view_eq(cqle_row_key(r->answer->rows[at]), cqle_row_key(row));
		const struct cqle_row *old = in_step ? r->answer->rows[at++]
						     : find_row(r->answer, has, cqle_row_key(row));

		if (cqle_row_equal(old, row))
			continue;
		cqle_mutation_add_row(r->heap, r->mutation, cqle_row_ref(row));
		r->differs = true;
	}
}

static struct cqle_mutation *part_repair(struct lab_heap *heap, struct cqle_table *table,
	const struct cqle_answer *answer, const struct cqle_part *has,
	const struct cqle_answer *merged, const struct cqle_part *want)
{
	struct part_repair r = { .heap = heap,
		.mutation = cqle_mutation_new(heap, table, cqle_bytes_view(want->key), want->token),
		.answer = answer,
		.merged = merged,
		.has = has,
		.want = want };

	repair_head(&r);
	repair_ranges(&r);
	repair_rows(&r);
	if (r.differs)
		return r.mutation;
	cqle_mutation_unref(heap, r.mutation);
	return NULL;
}

size_t cqle_answer_repair(struct lab_heap *heap, struct cqle_table *table,
	const struct cqle_answer *answer, const struct cqle_answer *merged, cqle_repair_fn fn,
	void *ctx)
{
	size_t at = 0, count = 0;
	for (size_t i = 0; i < merged->part_count; i++) {
		const struct cqle_part *want = &merged->parts[i];
		const struct cqle_part *has = find_part(answer, want, &at);
		struct cqle_mutation *m = part_repair(heap, table, answer, has, merged, want);
		if (m == NULL)
			continue;
		count++;
		fn(ctx, m);
	}
	return count;
}
