/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-randomfail.c - randomfail:<op>=<percent>[,...]:<parent> (obox 1.3). Half of the probability
 * fires before the operation and half after it was done, so "failed, but it happened" occurs. A
 * write that failed after it was done is UNCERTAIN, as every other such failure here.
 */
#include "core/fs/fs-api-private.h"

#include "core/conf/fs-uri.h"

struct randomfail_fs {
	struct fs fs;
	struct fs_uri_randomfail conf;
	uint64_t ordinal;
};

enum moment {
	BEFORE,
	AFTER
};

static int randomfail_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct fs_uri_randomfail parsed;
	struct randomfail_fs *fs;

	(void)driver;
	if (fs_uri_randomfail(args, &parsed, err) < 0)
		return -1;
	fs = lab_new(settings->env->heap, struct randomfail_fs);
	fs->conf = parsed;
	if (fs_wrapper_init(&fs->fs, parsed.parent, settings, err) < 0) {
		lab_heap_free(settings->env->heap, fs);
		return -1;
	}
	fs->conf.parent = LAB_VIEW("");
	*ret = &fs->fs;
	return 0;
}

/* Users of one host have dice of their own. */
static uint64_t roll(struct randomfail_fs *fs)
{
	const char *username = fs->fs.settings.username;
	uint64_t user = username == NULL ? 0 : lab_hash_view(0, lab_view_cstr(username));

	return env_draw(fs->fs.settings.env, "fs.randomfail", lab_hash_fold(user, fs->ordinal++));
}

/* Two independent dice of half of p each would make less than p; as in Dovecot the first is rolled
 * with half of p, the second with what then makes p in all. */
static bool fires(struct fs *base, enum fs_uri_fail_op op, enum moment moment)
{
	struct randomfail_fs *fs = (struct randomfail_fs *)base;
	uint64_t ppm = fs->conf.ppm[op], half = ppm / 2;

	if (ppm == 0)
		return false;
	if (moment == AFTER)
		half = (ppm - half) * 1000000 / (1000000 - half);
	return lab_chance(roll(fs), (uint32_t)LAB_MIN(half, 1000000));
}

/* The n-th byte or entry fails, n drawn from the range; what is shorter never gets there. */
static bool hits(struct randomfail_fs *fs, const struct fs_uri_fail_range *range, uint64_t length)
{
	return range->last > 0 && length >= lab_pick_range(roll(fs), range->first, range->last);
}

static int injected(enum moment moment, bool has_effect, struct lab_error *err)
{
	enum lab_code code = moment == AFTER && has_effect ? LAB_UNCERTAIN : LAB_IO;

	return lab_fail(err, code, "Random failure injection");
}

/* One operation: a die, the operation, a die. */
#define WITH_DICE(base, op, has_effect, call) \
	do { \
		int result_; \
		if (fires((base), FS_URI_FAIL_##op, BEFORE)) \
			return injected(BEFORE, (has_effect), err); \
		result_ = (call); \
		if (result_ >= 0 && fires((base), FS_URI_FAIL_##op, AFTER)) \
			return injected(AFTER, (has_effect), err); \
		return result_; \
	} while (0)

static int randomfail_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	WITH_DICE(file->fs, metadata, false, fs_wrapper_get_metadata(file, key, arena, ret, err));
}

static int read_in_range(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct randomfail_fs *fs = (struct randomfail_fs *)file->fs;

	if (fs_wrapper_read(file, arena, max_bytes, ret, err) < 0)
		return -1;
	return hits(fs, &fs->conf.read_range, ret->len) ? injected(BEFORE, false, err) : 0;
}

static int randomfail_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	WITH_DICE(file->fs, read, false, read_in_range(file, arena, max_bytes, ret, err));
}

static int randomfail_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct randomfail_fs *fs = (struct randomfail_fs *)file->fs;

	if (hits(fs, &fs->conf.write_range, contents.len))
		return injected(BEFORE, true, err);
	WITH_DICE(file->fs, write, true, fs_wrapper_write(file, contents, err));
}

static int randomfail_exists(struct fs_file *file, struct lab_error *err)
{
	WITH_DICE(file->fs, exists, false, fs_wrapper_exists(file, err));
}

static int randomfail_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	WITH_DICE(file->fs, stat, false, fs_wrapper_stat(file, ret_size, err));
}

static int randomfail_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	WITH_DICE(file->fs, stat, false, fs_wrapper_get_nlinks(file, ret, err));
}

static int randomfail_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	WITH_DICE(to->fs, copy, true, fs_wrapper_copy(from, to, err));
}

static int randomfail_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	WITH_DICE(to->fs, rename, true, fs_wrapper_rename(from, to, err));
}

static int randomfail_delete(struct fs_file *file, struct lab_error *err)
{
	WITH_DICE(file->fs, delete, true, fs_wrapper_delete(file, err));
}

static int iter_in_range(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	struct randomfail_fs *randomfail = (struct randomfail_fs *)fs;

	if (fs_wrapper_iter(fs, path, flags, max_entries, arena, ret_names, ret_count, err) < 0)
		return -1;
	return hits(randomfail, &randomfail->conf.iter_range, *ret_count)
		       ? injected(BEFORE, false, err)
		       : 0;
}

static int randomfail_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	WITH_DICE(fs, iter, false,
		iter_in_range(fs, path, flags, max_entries, arena, ret_names, ret_count, err));
}

const struct fs_driver fs_driver_randomfail = {
	.name = "randomfail",
	.init = randomfail_init,
	.deinit = fs_wrapper_deinit,
	.properties = fs_wrapper_properties,
	.set_reason = fs_wrapper_set_reason,
	.file_open = fs_wrapper_file_open,
	.file_close = fs_wrapper_file_close,
	.set_metadata = fs_wrapper_set_metadata,
	.get_metadata = randomfail_get_metadata,
	.read = randomfail_read,
	.write = randomfail_write,
	.exists = randomfail_exists,
	.stat = randomfail_stat,
	.get_nlinks = randomfail_get_nlinks,
	.copy = randomfail_copy,
	.rename = randomfail_rename,
	.delete_file = randomfail_delete,
	.delete_many = fs_delete_one_by_one,
	.iter = randomfail_iter,
};
