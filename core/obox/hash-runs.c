/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/hash-runs.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK 8192 /* hashes that are read at once */
#define FIRST_ROOM ((size_t)1024)
#define FILES_MAX 65536

struct hash_runs {
	struct env *env;
	char *directory;
	uint64_t *memory, *chunk;
	size_t room_max, room, used; /* of memory */
	bool is_sorted;
	unsigned files;
	uint64_t count;
};

struct hash_runs *hash_runs_new(struct env *env, const char *directory, size_t in_memory)
{
	struct hash_runs *runs = lab_new(env->heap, struct hash_runs);

	runs->env = env;
	runs->directory = lab_heap_strdup(env->heap, directory);
	runs->room_max = LAB_MAX(in_memory, (size_t)1);
	runs->chunk = lab_new_array(env->heap, uint64_t, CHUNK);
	return runs;
}

static void run_path(const struct hash_runs *runs, unsigned n, char path[ENV_PATH_MAX])
{
	(void)snprintf(path, ENV_PATH_MAX, "%s/hashes.%u", runs->directory, n);
}

void hash_runs_free(struct hash_runs **runs_p)
{
	struct hash_runs *runs = *runs_p;
	struct lab_error ignored;
	char path[ENV_PATH_MAX];

	if (runs == NULL)
		return;
	for (unsigned n = 0; n < runs->files; n++) {
		run_path(runs, n, path);
		(void)env_unlink(runs->env, path, &ignored);
	}
	lab_heap_free(runs->env->heap, runs->chunk);
	lab_heap_free(runs->env->heap, runs->memory);
	lab_heap_free(runs->env->heap, runs->directory);
	lab_heap_free(runs->env->heap, runs);
	*runs_p = NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_memory(struct hash_runs *runs)
{
	if (!runs->is_sorted && runs->used > 0)
		qsort(runs->memory, runs->used, sizeof(*runs->memory), compare);
	runs->is_sorted = true;
}

/* The file is this process's own: its bytes are as they lie in memory. */
static int write_run(struct hash_runs *runs, struct lab_error *err)
{
	struct env_file *file = NULL;
	char path[ENV_PATH_MAX];
	int result;

	if (runs->files == FILES_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d runs of hashes", FILES_MAX);
	sort_memory(runs);
	run_path(runs, runs->files, path);
	result = env_file_open(runs->env, path, ENV_OPEN_TRUNCATE, &file, err);
	runs->files++;
	if (result == 0)
		result = env_file_write(file, 0,
			lab_view_of(runs->memory, runs->used * sizeof(*runs->memory)), err);
	env_file_close(&file);
	runs->used = 0;
	return result < 0 ? lab_error_wrap(err, "%s", path) : 0;
}

/* Most users' names need far less room than there may be. */
static void grow(struct hash_runs *runs)
{
	runs->room = LAB_MIN(LAB_MAX(2 * runs->room, FIRST_ROOM), runs->room_max);
	runs->memory =
		lab_heap_realloc(runs->env->heap, runs->memory, runs->room * sizeof(*runs->memory));
}

int hash_runs_add(struct hash_runs *runs, uint64_t hash, struct lab_error *err)
{
	if (runs->used == runs->room && runs->room < runs->room_max)
		grow(runs);
	if (runs->used == runs->room && write_run(runs, err) < 0)
		return -1;
	runs->memory[runs->used++] = hash;
	runs->is_sorted = false;
	runs->count++;
	return 0;
}

/* Two ascending lists side by side; returns how many of `hashes` are done with. */
static size_t match(
	const uint64_t *run, size_t run_count, const uint64_t *hashes, size_t count, bool *found)
{
	size_t i = 0, n = 0;

	while (i < count && n < run_count) {
		if (run[n] < hashes[i])
			n++;
		else if (run[n] > hashes[i])
			i++;
		else
			found[i++] = true;
	}
	return i;
}

static int find_in_file(struct hash_runs *runs, struct env_file *file, const uint64_t *hashes,
	size_t count, bool *found, struct lab_error *err)
{
	uint64_t size = env_file_size(file), offset = 0;

	while (offset < size && count > 0) {
		size_t n, done;

		if (env_file_read(
			    file, offset, runs->chunk, CHUNK * sizeof(*runs->chunk), &n, err) < 0)
			return -1;
		if (n == 0 || n % sizeof(*runs->chunk) != 0)
			return lab_fail(err, LAB_CORRUPT, "a run of hashes is cut off");
		done = match(runs->chunk, n / sizeof(*runs->chunk), hashes, count, found);
		hashes += done;
		found += done;
		count -= done;
		offset += n;
	}
	return 0;
}

int hash_runs_find(struct hash_runs *runs, const uint64_t *hashes, size_t count, bool *found,
	struct lab_error *err)
{
	char path[ENV_PATH_MAX];

	sort_memory(runs);
	(void)match(runs->memory, runs->used, hashes, count, found);
	for (unsigned n = 0; n < runs->files; n++) {
		struct env_file *file = NULL;
		int result;

		run_path(runs, n, path);
		result = env_file_open(runs->env, path, ENV_OPEN_READ, &file, err);
		if (result == 0)
			result = find_in_file(runs, file, hashes, count, found, err);
		env_file_close(&file);
		if (result < 0)
			return lab_error_wrap(err, "%s", path);
	}
	return 0;
}

uint64_t hash_runs_count(const struct hash_runs *runs)
{
	return runs->count;
}

unsigned hash_runs_files(const struct hash_runs *runs)
{
	return runs->files;
}
