/* SPDX-License-Identifier: Apache-2.0
 *
 * latency.c - how long the service takes: drawn from a model for each class of requests, keyed by
 * the client and how many requests of that class it made, so that other clients change nothing.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define PPM 1000000

/* ---- checking and keeping ---- */

static int check_table(const struct s3emu_latency *latency, struct lab_error *err)
{
	const struct s3emu_quantile *table = latency->table;
	size_t i;

	if (latency->table_count > S3EMU_QUANTILES_MAX)
		return lab_fail(
			err, LAB_LIMIT, "S3 latency: more than %d quantiles", S3EMU_QUANTILES_MAX);
	for (i = 0; i < latency->table_count; i++) {
		if (table[i].ppm > PPM || table[i].ns > S3EMU_LATENCY_MAX_NS ||
			(i > 0 && (table[i].ppm <= table[i - 1].ppm ||
					  table[i].ns < table[i - 1].ns)))
			return lab_fail(err, LAB_INVALID,
				"S3 latency: quantile %zu of the table is not above the one before",
				i + 1);
	}
	return 0;
}

static int check_trace(const struct s3emu_latency *latency, struct lab_error *err)
{
	size_t i;

	if (latency->trace_count > S3EMU_TRACE_MAX)
		return lab_fail(err, LAB_LIMIT, "S3 latency: more than %d values in a trace",
			S3EMU_TRACE_MAX);
	for (i = 0; i < latency->trace_count; i++) {
		if (latency->trace[i] > S3EMU_LATENCY_MAX_NS)
			return lab_fail(err, LAB_INVALID,
				"S3 latency: value %zu of the trace is more than a day", i + 1);
	}
	return 0;
}

static int check_ranges(const struct s3emu_latency *latency, struct lab_error *err)
{
	bool body = latency->low_ns != 0 || latency->high_ns != 0;

	if (latency->low_ns > latency->high_ns || (body && latency->low_ns == 0))
		return lab_fail(err, LAB_INVALID, "S3 latency: low must be 1 or more, up to high");
	if (latency->tail_ppm > PPM ||
		(latency->tail_ppm > 0 && (latency->tail_low_ns == 0 ||
						  latency->tail_low_ns > latency->tail_high_ns)))
		return lab_fail(err, LAB_INVALID, "S3 latency: the tail's range is empty");
	return 0;
}

int s3emu_latency_check(const struct s3emu_latency *latency, struct lab_error *err)
{
	unsigned models = (latency->high_ns > 0 ? 1U : 0U) + (latency->table_count > 0 ? 1U : 0U) +
			  (latency->trace_count > 0 ? 1U : 0U);

	if (models > 1)
		return lab_fail(err, LAB_INVALID,
			"S3 latency: a log-normal, a table or a trace, only one of them");
	if (check_ranges(latency, err) < 0 || check_table(latency, err) < 0)
		return -1;
	return check_trace(latency, err);
}

void s3emu_latency_own(struct s3emu *s3, struct s3emu_latency *latency)
{
	struct s3emu_quantile *table;
	uint64_t *trace;

	if (latency->table_count > 0) {
		table = lab_new_array(s3->heap, struct s3emu_quantile, latency->table_count);
		memcpy(table, latency->table, latency->table_count * sizeof(*table));
		latency->table = table;
	}
	if (latency->trace_count > 0) {
		trace = lab_new_array(s3->heap, uint64_t, latency->trace_count);
		memcpy(trace, latency->trace, latency->trace_count * sizeof(*trace));
		latency->trace = trace;
	}
}

/* ---- drawing ---- */

static struct s3emu_client *client_of(struct s3emu *s3, struct lab_view peer)
{
	struct s3emu_client *client = lab_map_get(s3->clients, peer);
	void **slot;

	if (client != NULL)
		return client;
	if (lab_map_count(s3->clients) >= s3->options.limits.clients_max)
		return &s3->other_clients;
	slot = lab_map_slot(s3->clients, peer);
	lab_assert(slot != NULL);
	client = lab_new(s3->heap, struct s3emu_client);
	client->actor = lab_hash_view(0, peer);
	*slot = client;
	return client;
}

/* Between two quantiles the values lie on a line; outside of them they are the outermost. */
static uint64_t from_table(const struct s3emu_latency *latency, uint64_t draw)
{
	const struct s3emu_quantile *table = latency->table;
	size_t i, last = latency->table_count - 1;
	uint64_t ppm = lab_pick(draw, PPM);

	for (i = 0; i <= last && table[i].ppm <= ppm; i++)
		;
	if (i == 0 || i > last)
		return table[i == 0 ? 0 : last].ns;
	return table[i - 1].ns +
	       (uint64_t)((unsigned __int128)(table[i].ns - table[i - 1].ns) *
			  (ppm - table[i - 1].ppm) / (table[i].ppm - table[i - 1].ppm));
}

/* Each client follows the trace from a place of its own, so that what came together stays so. */
static uint64_t from_trace(
	const struct s3emu_latency *latency, uint64_t seed, uint64_t actor, uint64_t nth)
{
	uint64_t start =
		lab_pick(lab_draw(seed, "s3.latency.trace", actor, 0), latency->trace_count);

	return latency->trace[(start + nth) % latency->trace_count];
}

static uint64_t draw_latency(struct s3emu_exchange *x, const struct s3emu_latency *latency)
{
	uint64_t seed = x->s3->options.seed, nth, ordinal, draw;
	struct s3emu_client *client;

	if (latency->high_ns == 0 && latency->tail_ppm == 0 && latency->table_count == 0 &&
		latency->trace_count == 0)
		return 0;
	client = client_of(x->s3, x->peer);
	nth = client->ordinals[x->class]++;
	ordinal = nth * S3EMU_CLASS_COUNT + x->class;
	draw = lab_draw(seed, "s3.latency.tail", client->actor, ordinal);
	if (latency->tail_ppm > 0 && lab_chance(draw, latency->tail_ppm)) {
		draw = lab_draw(seed, "s3.latency.tail.value", client->actor, ordinal);
		return lab_pick_qlog(draw, latency->tail_low_ns, latency->tail_high_ns);
	}
	draw = lab_draw(seed, "s3.latency", client->actor, ordinal);
	if (latency->trace_count > 0)
		return from_trace(latency, seed, client->actor, nth);
	if (latency->table_count > 0)
		return from_table(latency, draw);
	return latency->high_ns == 0 ? 0
				     : lab_pick_lognormal(draw, latency->low_ns, latency->high_ns);
}

static uint64_t bytes_ns(size_t bytes, uint64_t bytes_per_s)
{
	unsigned __int128 ns = (unsigned __int128)bytes * LAB_SEC / bytes_per_s;

	return (uint64_t)LAB_MIN(ns, (unsigned __int128)S3EMU_LATENCY_MAX_NS);
}

void s3emu_latency_apply(struct s3emu_exchange *x, const struct s3emu_latency *latency)
{
	x->due_ns += draw_latency(x, latency);
	if (latency->bytes_per_s == 0)
		return;
	/* What came is there at once for a state machine: the time that it took comes first. */
	x->due_ns += bytes_ns(x->request->body.len, latency->bytes_per_s);
	if (x->out.wire != SIM_WIRE_ANSWER || x->head || x->out.response.body.len == 0)
		return;
	x->out.wire = SIM_WIRE_TRICKLE;
	x->out.bytes_per_s = latency->bytes_per_s;
}

/* ---- our assumption of what is typical ---- */

static void set_latency(struct s3emu_latency *latency, uint64_t low_ms, uint64_t high_ms)
{
	*latency = (struct s3emu_latency){ .low_ns = low_ms * LAB_MSEC,
		.high_ns = high_ms * LAB_MSEC,
		.tail_ppm = 500,
		.tail_low_ns = LAB_SEC / 2,
		.tail_high_ns = 5 * LAB_SEC };
}

void s3emu_options_typical_latency(struct s3emu_options *options)
{
	set_latency(&options->latency[S3EMU_GET], 9, 60);
	set_latency(&options->latency[S3EMU_HEAD], 6, 40);
	set_latency(&options->latency[S3EMU_PUT], 18, 120);
	set_latency(&options->latency[S3EMU_DELETE], 12, 80);
	set_latency(&options->latency[S3EMU_BULK_DELETE], 40, 400);
	set_latency(&options->latency[S3EMU_LIST], 25, 150);
	set_latency(&options->latency[S3EMU_COPY], 25, 160);
	set_latency(&options->latency[S3EMU_BUCKET], 15, 100);
	set_latency(&options->latency[S3EMU_OTHER], 3, 20);
	options->refused_latency =
		(struct s3emu_latency){ .low_ns = 2 * LAB_MSEC, .high_ns = 15 * LAB_MSEC };
}
