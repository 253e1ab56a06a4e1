/* SPDX-License-Identifier: Apache-2.0
 *
 * fault-file.h - what goes wrong while the emulators are served: a file of fault sections.
 *
 * Grammar    fault NAME { }, with the keys of .scn files (scenarios/README.md) where they make
 *            sense for clients from outside: kinds, points, episodes, length, rate, amount.
 *            `target` is any, s3, imds, node [NAME], client ADDRESS-OR-NAME, zone NAME. In place of
 *            phases there are `start`, from now, and `window`, in which the episodes begin and end;
 *            without a window there is one episode, and it begins at `start`.
 * Ownership  Everything lives in the arena.
 * Errors     All problems at once in `problems`; -1 LAB_INVALID if any is an error.
 */
#ifndef SIM_SERVE_FAULT_FILE_H
#define SIM_SERVE_FAULT_FILE_H

#include "sim/serve/fault-text.h"

#define FAULT_FILE_MAX 256 /* sections */

enum fault_file_target {
	FAULT_FILE_ANY,
	FAULT_FILE_S3,
	FAULT_FILE_IMDS,
	FAULT_FILE_NODE,
	FAULT_FILE_CLIENT,
	FAULT_FILE_ZONE
};

struct fault_file_section {
	struct lab_view name;
	struct conf_where where;
	fault_kind_set kinds;
	uint64_t points;
	enum fault_file_target target;
	struct lab_view only; /* a node, client or zone by name; empty: any of them */
	struct conf_range episodes, length, rate, amount;
	uint64_t start, window;
};

struct fault_file {
	struct fault_file_section *sections;
	size_t count;
};

int fault_file_load(const char *path, const struct conf_reader *reader, struct lab_arena *arena,
	struct conf_problems *problems, struct fault_file *ret, struct lab_error *err);
int fault_file_load_text(const char *name, struct lab_view text, struct lab_arena *arena,
	struct conf_problems *problems, struct fault_file *ret, struct lab_error *err);

/* Draws the episodes. `now_ns` is when the file's time begins; `number` makes names unique in the
 * plan; `nodes` are Cassandra's. Nothing is added if one of them cannot be. */
struct fault_file_nodes {
	const char *const *names;
	size_t count;
};
int fault_file_add(struct fault_plan *plan, const struct fault_file_section *section,
	const struct fault_file_nodes *nodes, uint64_t now_ns, uint64_t seed, uint64_t number,
	struct lab_error *err);

/* For `oboxlab list settings`. */
extern const struct conf_vocabulary fault_file_vocabulary;

#endif
