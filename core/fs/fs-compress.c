/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-compress.c - compress:[maybe-]<algorithm>:<level>:<parent> (obox 1.3, 1.4). `maybe-` also
 * reads what was stored plain. Sizes below are compressed, so there is no stat.
 */
#include "core/fs/compress-codec.h"
#include "core/base/defect.h"
#include "core/fs/fs-api-private.h"

#include "core/conf/fs-uri.h"

#define TRAILER_BYTES 4

struct compress_fs {
	struct fs fs;
	enum compress_algorithm algorithm;
	int level;
	bool maybe;
};

static int compress_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct compress_fs *fs;
	struct fs_uri_compress parsed;
	enum compress_algorithm algorithm;

	(void)driver;
	if (fs_uri_compress(args, &parsed, err) < 0)
		return -1;
	algorithm = compress_by_name(lab_view_cstr(fs_uri_compression_name(parsed.algorithm)));
	if (algorithm == COMPRESS_NONE)
		return lab_fail(err, LAB_UNSUPPORTED, "%s is not part of oboxlab",
			fs_uri_compression_name(parsed.algorithm));
	fs = lab_new(settings->env->heap, struct compress_fs);
	fs->algorithm = algorithm;
	fs->level = (int)parsed.level;
	fs->maybe = parsed.maybe;
	if (fs_wrapper_init(&fs->fs, parsed.parent, settings, err) < 0) {
		lab_heap_free(settings->env->heap, fs);
		return -1;
	}
	*ret = &fs->fs;
	return 0;
}

static uint32_t compress_properties(struct fs *fs)
{
	return fs_get_properties(fs->parent) & ~(uint32_t)FS_PROPERTY_STAT;
}

/* How long compressed contents of max_bytes may be: every algorithm here grows what it cannot
 * compress by less than 1 % and a header. */
static size_t compressed_max(size_t plain_max)
{
	size_t most = SIZE_MAX / 4;

	return plain_max < most ? plain_max + plain_max / 64 + 1024 : most;
}

static int decode_into_arena(struct compress_fs *fs, enum compress_algorithm algorithm,
	struct lab_view stored, struct lab_arena *arena, size_t max_bytes, struct lab_view *ret,
	struct lab_error *err)
{
	struct lab_buf plain;
	int result;

	lab_buf_init(&plain, fs->fs.settings.env->heap, max_bytes);
	result = compress_decode(algorithm, stored, &plain, err);
	if (result == 0)
		*ret = lab_arena_copy(arena, lab_buf_view(&plain));
	lab_buf_done(&plain);
	return result;
}

/* "x^" is both a zlib header and how a plain mail may begin. */
static bool may_be_text(const struct compress_fs *fs, struct lab_view stored)
{
	return fs->maybe && lab_view_starts_with(stored, LAB_VIEW("x^"));
}

static int compress_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct compress_fs *fs = (struct compress_fs *)file->fs;
	enum compress_algorithm algorithm;
	struct lab_view stored;

	if (fs_read(file->parent, arena, compressed_max(max_bytes), &stored, err) < 0)
		return -1;
	/* What is stored knows its own algorithm, so a change of the setting leaves old mails
	 * readable (obox 8.4 PRO-32); only plain contents need `maybe-`. */
	algorithm = lab_defect(ONE_ALGORITHM) ? fs->algorithm : compress_detect(stored);
	if (algorithm != COMPRESS_NONE) {
		int result = decode_into_arena(fs, algorithm, stored, arena, max_bytes, ret, err);

		if (result == 0 || err->code != LAB_CORRUPT || !may_be_text(fs, stored))
			return result;
	} else if (!fs->maybe)
		return lab_fail(err, LAB_CORRUPT, "compress: %.*s is not compressed",
			LAB_VIEW_ARG(file->path));
	if (stored.len > max_bytes)
		return lab_fail(err, LAB_LIMIT, "contents are longer than %zu bytes", max_bytes);
	*ret = stored;
	return 0;
}

static int compress_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct compress_fs *fs = (struct compress_fs *)file->fs;
	struct lab_buf compressed;
	int result;

	lab_buf_init(&compressed, fs->fs.settings.env->heap, compressed_max(contents.len) * 2);
	result = compress_encode(fs->algorithm, fs->level, contents, &compressed, err);
	if (lab_defect(TRAILER_LOST) && compressed.len > TRAILER_BYTES)
		compressed.len -= TRAILER_BYTES;
	if (result == 0 && lab_defect(NOT_COMPRESSED))
		result = fs_wrapper_write(file, contents, err);
	else if (result == 0)
		result = fs_wrapper_write(file, lab_buf_view(&compressed), err);
	lab_buf_done(&compressed);
	return result;
}

static int compress_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	(void)file;
	(void)ret_size;
	return lab_fail(
		err, LAB_UNSUPPORTED, "compress: the plain size is not known without reading");
}

const struct fs_driver fs_driver_compress = {
	.name = "compress",
	.init = compress_init,
	.deinit = fs_wrapper_deinit,
	.properties = compress_properties,
	.set_reason = fs_wrapper_set_reason,
	.file_open = fs_wrapper_file_open,
	.file_close = fs_wrapper_file_close,
	.set_metadata = fs_wrapper_set_metadata,
	.get_metadata = fs_wrapper_get_metadata,
	.read = compress_read,
	.write = compress_write,
	.exists = fs_wrapper_exists,
	.stat = compress_stat,
	.get_nlinks = fs_wrapper_get_nlinks,
	.copy = fs_wrapper_copy,
	.rename = fs_wrapper_rename,
	.delete_file = fs_wrapper_delete,
	.delete_many = fs_wrapper_delete_many,
	.iter = fs_wrapper_iter,
};
