/* SPDX-License-Identifier: Apache-2.0
 *
 * one-file-env.h - for fuzzers: an env that has a wall clock and files, of which there is one in
 * truth, whatever its path. Nothing blocks; writing beyond its room fails.
 */
#ifndef LAB_FS_TESTING_ONE_FILE_ENV_H
#define LAB_FS_TESTING_ONE_FILE_ENV_H

#include "core/env/env-private.h"

#define ONE_FILE_MAX 65536

struct one_file_env {
	struct env env;
	struct env_file file;
	uint8_t bytes[ONE_FILE_MAX];
	size_t len;
	bool exists;
};

static struct one_file_env *one_file_of(struct env *env)
{
	return (struct one_file_env *)(void *)env;
}

static int one_file_read(struct env_file *file, uint64_t offset, void *data, size_t size,
	size_t *ret_n, struct lab_error *err)
{
	struct one_file_env *one = one_file_of(file->env);

	(void)err;
	*ret_n = offset >= one->len ? 0 : LAB_MIN(size, one->len - (size_t)offset);
	if (*ret_n > 0)
		memcpy(data, one->bytes + offset, *ret_n);
	return 0;
}

static int one_file_truncate(struct env_file *file, uint64_t size, struct lab_error *err)
{
	struct one_file_env *one = one_file_of(file->env);

	if (size > ONE_FILE_MAX)
		return lab_fail(err, LAB_NO_SPACE, "no room");
	if (size > one->len)
		memset(one->bytes + one->len, 0, (size_t)size - one->len);
	one->len = (size_t)size;
	return 0;
}

static int one_file_write(
	struct env_file *file, uint64_t offset, struct lab_view data, struct lab_error *err)
{
	struct one_file_env *one = one_file_of(file->env);

	if (offset + data.len > one->len && one_file_truncate(file, offset + data.len, err) < 0)
		return -1;
	if (data.len > 0)
		memcpy(one->bytes + offset, data.ptr, data.len);
	return 0;
}

static int one_file_sync(struct env_file *file, struct lab_error *err)
{
	(void)file, (void)err;
	return 0;
}

static uint64_t one_file_size(struct env_file *file)
{
	return one_file_of(file->env)->len;
}

static void one_file_close(struct env_file *file)
{
	(void)file;
}

static int one_file_open(struct env *env, const char *path, enum env_open_mode mode,
	struct env_file **ret, struct lab_error *err)
{
	static const struct env_file_ops ops = { .read = one_file_read,
		.write = one_file_write,
		.truncate = one_file_truncate,
		.sync = one_file_sync,
		.size = one_file_size,
		.close = one_file_close };
	struct one_file_env *one = one_file_of(env);

	(void)path;
	if (mode == ENV_OPEN_READ && !one->exists)
		return lab_fail(err, LAB_NOT_FOUND, "no file");
	if (mode == ENV_OPEN_TRUNCATE)
		one->len = 0;
	one->exists = true;
	one->file = (struct env_file){ &ops, env };
	*ret = &one->file;
	return 0;
}

static int one_file_unlink(struct env *env, const char *path, struct lab_error *err)
{
	(void)path, (void)err;
	one_file_of(env)->exists = false;
	one_file_of(env)->len = 0;
	return 0;
}

static int one_file_rename(struct env *env, const char *from, const char *to, struct lab_error *err)
{
	(void)env, (void)from, (void)to, (void)err;
	return 0;
}

static uint64_t one_file_wall_us(struct env *env)
{
	(void)env;
	return UINT64_C(1704067200) * 1000000;
}

static uint64_t one_file_now(struct env *env)
{
	(void)env;
	return 0;
}

static void one_file_event(
	struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	(void)env, (void)id, (void)fields, (void)count;
}

static void one_file_init(struct one_file_env *one, struct lab_heap *heap)
{
	static const struct env_ops ops = { .now = one_file_now,
		.wall_us = one_file_wall_us,
		.event = one_file_event,
		.file_open = one_file_open,
		.unlink = one_file_unlink,
		.rename = one_file_rename };

	one->env = (struct env){ .ops = &ops, .heap = heap, .hostname = "h" };
	one->len = 0;
	one->exists = true;
}

#endif
