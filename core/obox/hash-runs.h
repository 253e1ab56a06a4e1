/* SPDX-License-Identifier: Apache-2.0
 *
 * hash-runs.h - a set of 64-bit hashes of any size, in bounded memory: sorted runs, on the local
 * disk from the second one on.
 *
 * Use        hash_runs_add() as often as needed, then hash_runs_find() with sorted batches: each
 *            batch reads every run once, from its beginning to its end.
 * Blocking   Where runs are written and read.
 * Errors     Of the disk. The set is of no use then.
 */
#ifndef LAB_OBOX_HASH_RUNS_H
#define LAB_OBOX_HASH_RUNS_H

#include "core/env/env.h"

struct hash_runs;

/* `directory` is made if need be; files in it are "hashes.<n>". At most `in_memory` hashes of 8
 * bytes each are kept in memory. */
struct hash_runs *hash_runs_new(struct env *env, const char *directory, size_t in_memory);
/* Removes the files. NULLs the pointer; accepts NULL. */
void hash_runs_free(struct hash_runs **runs);

int hash_runs_add(struct hash_runs *runs, uint64_t hash, struct lab_error *err);
/* `hashes` ascend. found[i] becomes true if the i-th is in the set; others stay as they are. */
int hash_runs_find(struct hash_runs *runs, const uint64_t *hashes, size_t count, bool *found,
	struct lab_error *err);
/* How many were added; on the disk. */
uint64_t hash_runs_count(const struct hash_runs *runs);
unsigned hash_runs_files(const struct hash_runs *runs);

#endif
