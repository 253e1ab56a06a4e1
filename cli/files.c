/* SPDX-License-Identifier: Apache-2.0
 *
 * files.c - the files of this machine, for parsers that know none.
 */
#include "cli/options.h"

#include "core/conf/conf.h"
#include "scenarios/format/mail-source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1024u * 1024 * 1024)

static int errno_fail(struct lab_error *err, const char *path)
{
	enum lab_code code = errno == ENOENT   ? LAB_NOT_FOUND
			     : errno == EACCES ? LAB_DENIED
					       : LAB_IO;

	return lab_fail(err, code, "%s: %s", path,
		code == LAB_NOT_FOUND ? "no such file"
		: code == LAB_DENIED  ? "permission denied"
				      : "cannot be read");
}

static int read_all(int fd, const char *path, size_t size, uint8_t *data, struct lab_error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0)
			return errno_fail(err, path);
		if (n == 0)
			return lab_fail(err, LAB_IO, "%s: became shorter while it was read", path);
		done += (size_t)n;
	}
	return 0;
}

static int load(
	const char *path, struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -1;
	struct stat st;

	if (fd < 0)
		return errno_fail(err, path);
	if (fstat(fd, &st) < 0) {
		errno_fail(err, path);
	} else if (!S_ISREG(st.st_mode)) {
		lab_fail(err, LAB_IO, "%s: not a file", path);
	} else if (st.st_size > (off_t)FILE_BYTES_MAX) {
		lab_fail(err, LAB_LIMIT, "%s: more than %u bytes", path, FILE_BYTES_MAX);
	} else {
		uint8_t *data = lab_arena_alloc(arena, (size_t)st.st_size + 1);

		result = read_all(fd, path, (size_t)st.st_size, data, err);
		*ret = lab_view_of(data, (size_t)st.st_size);
	}
	close(fd);
	return result;
}

int cli_input(const char *path, size_t max_bytes, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	struct lab_buf all;
	int result = 0;

	if (path != NULL && strcmp(path, "-") != 0) {
		if (load(path, arena, ret, err) < 0)
			return -1;
		return ret->len <= max_bytes ? 0
					     : lab_fail(err, LAB_LIMIT, "%s: more than %zu bytes",
						       path, max_bytes);
	}
	lab_buf_init(&all, cli_heap(), max_bytes);
	for (;;) {
		uint8_t part[4096];
		ssize_t n = read(STDIN_FILENO, part, sizeof(part));

		if (n < 0)
			result = errno_fail(err, "standard input");
		if (n <= 0 || all.overflow)
			break;
		lab_buf_append_view(&all, lab_view_of(part, (size_t)n));
	}
	if (result == 0 && all.overflow)
		result = lab_fail(err, LAB_LIMIT, "standard input: more than %zu bytes", max_bytes);
	if (result == 0)
		*ret = lab_arena_copy(arena, lab_buf_view(&all));
	lab_buf_done(&all);
	return result;
}

static int read_file(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	char name[PATH_MAX];

	(void)ctx;
	if (lab_view_to_cstr(path, name, sizeof(name)) < 0)
		return lab_fail(err, LAB_INVALID, "%.*s: not a path", LAB_VIEW_ARG(path));
	return load(name, arena, ret, err);
}

static int glob_files(void *ctx, struct lab_view pattern, struct lab_arena *arena,
	struct lab_view **ret_paths, size_t *ret_count, struct lab_error *err)
{
	char name[PATH_MAX];
	glob_t found;
	int status;

	(void)ctx;
	if (lab_view_to_cstr(pattern, name, sizeof(name)) < 0)
		return lab_fail(err, LAB_INVALID, "%.*s: not a pattern", LAB_VIEW_ARG(pattern));
	status = glob(name, 0, NULL, &found);
	*ret_count = 0;
	if (status == GLOB_NOMATCH)
		return 0;
	if (status != 0)
		return lab_fail(err, LAB_IO, "%s: cannot be searched", name);
	*ret_paths = lab_arena_array(arena, struct lab_view, found.gl_pathc);
	for (size_t i = 0; i < found.gl_pathc; i++)
		(*ret_paths)[(*ret_count)++] =
			lab_arena_copy(arena, lab_view_cstr(found.gl_pathv[i]));
	globfree(&found);
	return 0;
}

const struct conf_reader cli_reader = { .read_file = read_file, .glob = glob_files };

/* ---- mails ---- */

static int is_eml(const struct dirent *entry)
{
	return lab_view_ends_with(lab_view_cstr(entry->d_name), LAB_VIEW(".eml"));
}

static int load_folder(
	const char *path, struct lab_arena *arena, struct mail_source **ret, struct lab_error *err)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_eml, alphasort), result = 0;
	struct lab_view *mails;

	if (count < 0)
		return errno_fail(err, path);
	mails = lab_arena_array(arena, struct lab_view, (size_t)count);
	for (int i = 0; i < count; i++) {
		char name[PATH_MAX];

		if (result == 0 && snprintf(name, sizeof(name), "%s/%s", path,
					   entries[i]->d_name) >= (int)sizeof(name))
			result = lab_fail(err, LAB_INVALID, "%s: path is too long", path);
		if (result == 0)
			result = load(name, arena, &mails[i], err);
		free(entries[i]);
	}
	free(entries);
	if (result == 0 && mail_source_from_mails(mails, (size_t)count, arena, ret, err) < 0)
		return lab_error_wrap(err, "%s", path);
	return result;
}

int cli_mails(const struct options *options, struct lab_arena *arena, struct mail_source **ret,
	struct lab_error *err)
{
	struct lab_view text;
	struct stat st;

	*ret = NULL;
	if (options->mbox == NULL)
		return 0;
	if (stat(options->mbox, &st) < 0)
		return errno_fail(err, options->mbox);
	if (S_ISDIR(st.st_mode))
		return load_folder(options->mbox, arena, ret, err);
	if (load(options->mbox, arena, &text, err) < 0)
		return -1;
	return mail_source_from_mbox(options->mbox, text, arena, ret, err);
}
