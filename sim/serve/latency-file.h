/* SPDX-License-Identifier: Apache-2.0
 *
 * latency-file.h - measured latencies, as a table of quantiles or as they came (s3 2.3).
 *
 * Grammar    One value a line; "#" begins a comment, empty lines are passed over. Either times
 *            ("23ms", "1.2 s"), one for each request in the order in which they were measured, or
 *            quantiles with their times ("p50 20ms", "p99.9 1.1s"), ascending; not both. A time
 *            without a unit counts milliseconds, as CloudWatch's FirstByteLatency does.
 * Ownership  Everything lives in the arena.
 * Errors     LAB_INVALID, LAB_LIMIT: one sentence with the name, the line and the value. And what
 *            the reader says.
 * Limits     S3EMU_QUANTILES_MAX, S3EMU_TRACE_MAX, S3EMU_LATENCY_MAX_NS.
 */
#ifndef SIM_SERVE_LATENCY_FILE_H
#define SIM_SERVE_LATENCY_FILE_H

#include "core/conf/conf-value.h"
#include "sim/s3-emulator/s3-emulator.h"

/* Sets the model to the table or the trace; the tail and the rate of bodies stay. *ret is as it was
 * if this fails. */
int latency_file_parse(const char *name, struct lab_view text, struct lab_arena *arena,
	struct s3emu_latency *ret, struct lab_error *err);
/* The same of a file; a relative path is one from the working directory. */
int latency_file_load(struct lab_view path, const struct conf_reader *reader,
	struct lab_arena *arena, struct s3emu_latency *ret, struct lab_error *err);

#endif
