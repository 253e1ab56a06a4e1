/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-uri.c - the URIs of everything but HTTP storages (those are in fs-uri-http.c).
 */
#include "core/conf/fs-uri.h"

#include "core/conf/conf-private.h"
#include "core/conf/conf-value.h"

static const struct {
	const char *name;
	enum fs_uri_driver kind;
	int http; /* enum fs_uri_http_flavour, or -1 */
} drivers[] = {
	{ "fscache", FS_URI_WRAPPER, -1 },
	{ "fts-cache", FS_URI_WRAPPER, -1 },
	{ "compress", FS_URI_WRAPPER, -1 },
	{ "metawrap", FS_URI_WRAPPER, -1 },
	{ "randomfail", FS_URI_WRAPPER, -1 },
	{ "dictmap", FS_URI_WRAPPER, -1 },
	{ "posix", FS_URI_STORAGE, -1 },
	{ "s3", FS_URI_STORAGE, FS_URI_HTTP_S3 },
	{ "aws-s3", FS_URI_STORAGE, FS_URI_HTTP_AWS_S3 },
	{ "sproxyd", FS_URI_STORAGE, FS_URI_HTTP_SPROXYD },
	{ "scality", FS_URI_STORAGE, FS_URI_HTTP_SCALITY },
	{ "azure", FS_URI_KNOWN_ONLY, FS_URI_HTTP_OTHER },
	{ "swift", FS_URI_KNOWN_ONLY, FS_URI_HTTP_OTHER },
	{ "crypt", FS_URI_KNOWN_ONLY, -1 },
	{ "mail-crypt", FS_URI_KNOWN_ONLY, -1 },
	{ "dict", FS_URI_KNOWN_ONLY, -1 },
	{ "sis", FS_URI_KNOWN_ONLY, -1 },
	{ "sis-queue", FS_URI_KNOWN_ONLY, -1 },
	{ "test", FS_URI_KNOWN_ONLY, -1 },
};

static const char *driver_name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return i < LAB_COUNT_OF(drivers) ? drivers[i].name : NULL;
}

void fs_uri_split(
	struct lab_view uri, bool outermost, struct lab_view *ret_driver, struct lab_view *ret_args)
{
	size_t end = lab_view_find_byte(uri, ':');
	size_t space = outermost ? lab_view_find_byte(uri, ' ') : SIZE_MAX;

	end = LAB_MIN(end, space);
	*ret_driver = lab_view_sub(uri, 0, end);
	*ret_args = end == SIZE_MAX ? lab_view_of(NULL, 0) : lab_view_skip(uri, end + 1);
}

enum fs_uri_driver fs_uri_driver_kind(struct lab_view driver)
{
	for (size_t i = 0; i < LAB_COUNT_OF(drivers); i++) {
		if (lab_view_eq_cstr(driver, drivers[i].name))
			return drivers[i].kind;
	}
	return FS_URI_UNKNOWN;
}

int fs_uri_http_flavour(struct lab_view driver)
{
	for (size_t i = 0; i < LAB_COUNT_OF(drivers); i++) {
		if (lab_view_eq_cstr(driver, drivers[i].name))
			return drivers[i].http;
	}
	return -1;
}

int fs_uri_driver_fail(struct lab_view driver, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];

	conf_show(driver, shown);
	if (fs_uri_driver_kind(driver) != FS_URI_UNKNOWN)
		return lab_fail(err, LAB_UNSUPPORTED, "fs driver %s is not part of oboxlab", shown);
	return lab_fail(err, LAB_INVALID, "Unknown fs driver: %s%s", shown,
		conf_hint(conf_suggest(driver, driver_name_at, NULL), hint));
}

/* Takes the part before the next ':' off the front. False if there is no ':' or nothing behind. */
static bool take_part(struct lab_view *rest, struct lab_view *ret_part)
{
	size_t colon = lab_view_find_byte(*rest, ':');

	if (colon == SIZE_MAX || colon + 1 == rest->len)
		return false;
	*ret_part = lab_view_sub(*rest, 0, colon);
	*rest = lab_view_skip(*rest, colon + 1);
	return true;
}

static int fail_no_parent(struct lab_error *err)
{
	return lab_fail(err, LAB_INVALID, "Parent filesystem not given as parameter");
}

int fs_uri_plain_wrapper(struct lab_view args, struct lab_view *ret_parent, struct lab_error *err)
{
	if (args.len == 0)
		return fail_no_parent(err);
	*ret_parent = args;
	return 0;
}

int fs_uri_fscache(struct lab_view args, struct fs_uri_fscache *ret, struct lab_error *err)
{
	struct fs_uri_fscache made;
	struct lab_view size;

	if (args.len == 0)
		return lab_fail(err, LAB_INVALID, "Cache size not given as parameter");
	if (!take_part(&args, &size))
		return lab_fail(err, LAB_INVALID, "Cache directory not given as parameter");
	if (conf_value_size(size, &made.size_bytes, err) < 0)
		return lab_error_wrap(err, "Invalid cache size parameter");
	if (!take_part(&args, &made.dir))
		return fail_no_parent(err);
	if (made.dir.len == 0)
		return lab_fail(err, LAB_INVALID, "Cache directory not given as parameter");
	made.parent = args;
	*ret = made;
	return 0;
}

/* ---- compress ---- */

static const struct {
	const char *name;
	enum fs_uri_compression algorithm;
	unsigned level_min, level_max;
} compressions[] = {
	{ "gz", FS_URI_GZ, 1, 9 },
	{ "deflate", FS_URI_DEFLATE, 1, 9 },
	{ "zstd", FS_URI_ZSTD, 1, 22 },
	{ "lz4", FS_URI_LZ4, 1, 9 },
	{ "bz2", FS_URI_BZ2, 1, 9 },
	{ "xz", FS_URI_XZ, 0, 9 },
};

const char *fs_uri_compression_name(enum fs_uri_compression algorithm)
{
	return compressions[algorithm].name;
}

static const char *compression_name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return i < LAB_COUNT_OF(compressions) ? compressions[i].name : NULL;
}

static int compress_algorithm(
	struct lab_view name, struct fs_uri_compress *ret, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];

	for (size_t i = 0; i < LAB_COUNT_OF(compressions); i++) {
		if (lab_view_eq_cstr(name, compressions[i].name)) {
			ret->algorithm = compressions[i].algorithm;
			return 0;
		}
	}
	return lab_fail(err, LAB_INVALID, "Compression method '%s' not supported%s",
		conf_show(name, shown),
		conf_hint(conf_suggest(name, compression_name_at, NULL), hint));
}

int fs_uri_compress(struct lab_view args, struct fs_uri_compress *ret, struct lab_error *err)
{
	struct fs_uri_compress made = { .maybe = false };
	struct lab_view name, level;
	char shown[CONF_SHOW_MAX + 4];
	uint64_t number;

	if (!take_part(&args, &name) || name.len == 0)
		return lab_fail(err, LAB_INVALID, "Compression method not given as parameter");
	if (lab_view_starts_with(name, LAB_VIEW("maybe-"))) {
		made.maybe = true;
		name = lab_view_skip(name, 6);
	}
	if (compress_algorithm(name, &made, err) < 0)
		return -1;
	if (!take_part(&args, &level))
		return fail_no_parent(err);
	if (lab_view_to_u64(level, &number) < 0 ||
		number < compressions[made.algorithm].level_min ||
		number > compressions[made.algorithm].level_max)
		return lab_fail(err, LAB_INVALID,
			"Invalid compression level parameter '%s': %s takes %u to %u",
			conf_show(level, shown), compressions[made.algorithm].name,
			compressions[made.algorithm].level_min,
			compressions[made.algorithm].level_max);
	made.level = (unsigned)number;
	made.parent = args;
	*ret = made;
	return 0;
}

/* ---- randomfail ---- */

static const char *const fail_op_names[] = {
#define X(name) #name,
	FS_URI_FAIL_OPS(X)
#undef X
		"all",
	"read-range", "write-range", "iter-range"
};

const char *fs_uri_fail_op_name(enum fs_uri_fail_op op)
{
	return fail_op_names[op];
}

static int randomfail_range(
	struct lab_view text, struct fs_uri_fail_range *ret, struct lab_error *err)
{
	struct lab_view rest = text, first;
	char shown[CONF_SHOW_MAX + 4];

	if (!lab_view_split(&rest, '-', &first) || lab_view_to_u64(first, &ret->first) < 0 ||
		ret->first == 0)
		return lab_fail(err, LAB_INVALID, "Invalid range '%s'", conf_show(text, shown));
	ret->last = ret->first;
	if (rest.ptr != NULL && (lab_view_to_u64(rest, &ret->last) < 0 || ret->last < ret->first))
		return lab_fail(err, LAB_INVALID, "Invalid range '%s'", conf_show(text, shown));
	return 0;
}

static int randomfail_one(
	struct lab_view text, struct fs_uri_randomfail *made, struct lab_error *err)
{
	struct lab_view value = text, name;
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	uint64_t percent;
	size_t op = 0;

	if (!lab_view_split(&value, '=', &name) || value.ptr == NULL)
		return lab_fail(err, LAB_INVALID, "'=' is missing in '%s'", conf_show(text, shown));
	while (op < LAB_COUNT_OF(fail_op_names) && !lab_view_eq_cstr(name, fail_op_names[op]))
		op++;
	if (op == LAB_COUNT_OF(fail_op_names))
		return lab_fail(err, LAB_INVALID, "Unknown operation '%s'%s",
			conf_show(name, shown),
			conf_hint(conf_suggest_of(name, fail_op_names, op), hint));
	if (op == FS_URI_FAIL_OP_COUNT + 1)
		return randomfail_range(value, &made->read_range, err);
	if (op == FS_URI_FAIL_OP_COUNT + 2)
		return randomfail_range(value, &made->write_range, err);
	if (op == FS_URI_FAIL_OP_COUNT + 3)
		return randomfail_range(value, &made->iter_range, err);
	if (conf_value_uint(value, 100, &percent, err) < 0)
		return lab_error_wrap(err, "Invalid probability of %s", fail_op_names[op]);
	for (size_t i = 0; i < FS_URI_FAIL_OP_COUNT; i++) {
		if (i == op || op == FS_URI_FAIL_OP_COUNT)
			made->ppm[i] = (uint32_t)percent * 10000;
	}
	return 0;
}

int fs_uri_randomfail(struct lab_view args, struct fs_uri_randomfail *ret, struct lab_error *err)
{
	struct fs_uri_randomfail made = { .read_range = { 0, 0 } };
	struct lab_view list, one;

	if (args.len == 0)
		return lab_fail(err, LAB_INVALID, "Operations not given as parameter");
	if (!take_part(&args, &list))
		return fail_no_parent(err);
	while (lab_view_split(&list, ',', &one)) {
		if (randomfail_one(one, &made, err) < 0)
			return -1;
	}
	made.parent = args;
	*ret = made;
	return 0;
}

/* ---- posix ---- */

static int posix_one(struct lab_view arg, struct fs_uri_posix *made, struct lab_error *err)
{
	static const char *const names[] = { "lock", "prefix", "mode", "dirs", "no-fsync",
		"accurate-mtime" };
	static const char *const locks[] = { "flock", "dotlock" };
	struct lab_view value = arg, name;
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	size_t lock;

	lab_view_split(&value, '=', &name);
	if (lab_view_eq_cstr(name, "lock") && value.ptr != NULL) {
		if (conf_value_word(value, locks, 2, &lock, err) < 0)
			return lab_error_wrap(err, "lock");
		made->lock_dotlock = lock == 1;
	} else if (lab_view_eq_cstr(name, "prefix") && value.ptr != NULL) {
		made->prefix = value;
	} else if (lab_view_eq_cstr(arg, "mode=auto")) {
		made->mode_auto = true;
	} else if (lab_view_eq_cstr(name, "mode") && value.ptr != NULL) {
		if (conf_value_octal(value, &made->mode, err) < 0)
			return lab_error_wrap(err, "mode");
		made->mode &= 0666;
		made->mode_auto = false;
	} else if (lab_view_eq_cstr(arg, "dirs")) {
		made->dirs = true;
	} else if (lab_view_eq_cstr(arg, "no-fsync")) {
		made->no_fsync = true;
	} else if (lab_view_eq_cstr(arg, "accurate-mtime")) {
		made->accurate_mtime = true;
	} else {
		return lab_fail(err, LAB_INVALID, "Unknown arg '%s'%s", conf_show(arg, shown),
			conf_hint(conf_suggest_of(name, names, LAB_COUNT_OF(names)), hint));
	}
	return 0;
}

int fs_uri_posix(struct lab_view args, struct fs_uri_posix *ret, struct lab_error *err)
{
	struct fs_uri_posix made = { .prefix = LAB_VIEW(""), .mode = 0600 };
	struct lab_view arg;

	while (args.len > 0 && lab_view_split(&args, ':', &arg)) {
		if (posix_one(arg, &made, err) < 0)
			return -1;
	}
	*ret = made;
	return 0;
}

/* ---- dictmap ---- */

enum dictmap_setting {
	DICTMAP_REFCOUNTING_TABLE,
	DICTMAP_LOCKDIR,
	DICTMAP_DIFF_TABLE,
	DICTMAP_DELETE_DANGLING_LINKS,
	DICTMAP_BUCKET_SIZE,
	DICTMAP_BUCKET_CACHE,
	DICTMAP_BUCKET_DELETED_DAYS,
	DICTMAP_NLINKS_LIMIT,
	DICTMAP_DELETE_TIMESTAMP,
	DICTMAP_STORAGE_OBJECTID_PREFIX,
	DICTMAP_STORAGE_PASSTHROUGH_PATHS,
	DICTMAP_STORAGE_OBJECTID_MIGRATE,
	DICTMAP_MAX_PARALLEL_ITER,
	DICTMAP_CLEANUP_UNCERTAIN,
	DICTMAP_NO_CLEANUP_UNCERTAIN,
	DICTMAP_DICT_PREFIX,
	DICTMAP_SETTING_COUNT
};
static const char *const dictmap_names[] = { "refcounting-table", "lockdir", "diff-table",
	"delete-dangling-links", "bucket-size", "bucket-cache", "bucket-deleted-days",
	"nlinks-limit", "delete-timestamp", "storage-objectid-prefix", "storage-passthrough-paths",
	"storage-objectid-migrate", "max-parallel-iter", "cleanup-uncertain",
	"no-cleanup-uncertain", "dict-prefix" };
_Static_assert(LAB_COUNT_OF(dictmap_names) == DICTMAP_SETTING_COUNT, "a name for each");

static bool dictmap_is_flag(enum dictmap_setting setting)
{
	return setting == DICTMAP_REFCOUNTING_TABLE || setting == DICTMAP_DIFF_TABLE ||
	       setting == DICTMAP_DELETE_DANGLING_LINKS ||
	       setting == DICTMAP_STORAGE_OBJECTID_MIGRATE ||
	       setting == DICTMAP_CLEANUP_UNCERTAIN || setting == DICTMAP_NO_CLEANUP_UNCERTAIN;
}

static void dictmap_flag(struct fs_uri_dictmap *made, enum dictmap_setting setting)
{
	if (setting == DICTMAP_REFCOUNTING_TABLE)
		made->refcounting_table = true;
	else if (setting == DICTMAP_DIFF_TABLE)
		made->diff_table = true;
	else if (setting == DICTMAP_DELETE_DANGLING_LINKS)
		made->delete_dangling_links = true;
	else if (setting == DICTMAP_STORAGE_OBJECTID_MIGRATE)
		made->storage_objectid_migrate = true;
	else
		made->cleanup_uncertain = setting == DICTMAP_CLEANUP_UNCERTAIN;
}

static int dictmap_number(struct lab_view value, uint64_t min, unsigned *ret, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	uint64_t number;

	if (conf_value_uint(value, INT32_MAX, &number, err) < 0)
		return -1;
	if (number < min)
		return lab_fail(err, LAB_INVALID, "'%s' is below the minimum of %" PRIu64,
			conf_show(value, shown), min);
	*ret = (unsigned)number;
	return 0;
}

static int dictmap_passthrough(
	struct lab_view value, enum fs_uri_passthrough *ret, struct lab_error *err)
{
	static const char *const words[] = { "none", "full", "read-only" };
	size_t word;

	if (conf_value_word(value, words, LAB_COUNT_OF(words), &word, err) < 0)
		return -1;
	*ret = (enum fs_uri_passthrough)word;
	return 0;
}

/* "+10s" */
static int dictmap_delete_timestamp(struct lab_view value, uint64_t *ret_ns, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];

	if (value.ptr[0] != '+')
		return lab_fail(
			err, LAB_INVALID, "'%s' does not begin with '+'", conf_show(value, shown));
	if (conf_value_time(lab_view_skip(value, 1), LAB_SEC, ret_ns, err) < 0)
		return -1;
	if (*ret_ns > 366 * UINT64_C(86400) * LAB_SEC)
		return lab_fail(
			err, LAB_INVALID, "'%s' is longer than a year", conf_show(value, shown));
	return 0;
}

static int dictmap_value(struct fs_uri_dictmap *made, enum dictmap_setting setting,
	struct lab_view value, struct lab_error *err)
{
	switch (setting) {
	case DICTMAP_LOCKDIR:
		made->lockdir = value;
		return 0;
	case DICTMAP_BUCKET_CACHE:
		made->bucket_cache = value;
		return 0;
	case DICTMAP_STORAGE_OBJECTID_PREFIX:
		made->storage_objectid_prefix = value;
		return 0;
	case DICTMAP_DICT_PREFIX:
		made->dict_prefix = value;
		return 0;
	case DICTMAP_BUCKET_SIZE:
		return dictmap_number(value, 0, &made->bucket_size, err);
	case DICTMAP_BUCKET_DELETED_DAYS:
		return dictmap_number(value, 0, &made->bucket_deleted_days, err);
	case DICTMAP_NLINKS_LIMIT:
		return dictmap_number(value, 0, &made->nlinks_limit, err);
	case DICTMAP_MAX_PARALLEL_ITER:
		return dictmap_number(value, 1, &made->max_parallel_iter, err);
	case DICTMAP_DELETE_TIMESTAMP:
		return dictmap_delete_timestamp(value, &made->delete_timestamp_ns, err);
	case DICTMAP_STORAGE_PASSTHROUGH_PATHS:
		return dictmap_passthrough(value, &made->storage_passthrough_paths, err);
	case DICTMAP_REFCOUNTING_TABLE:
	case DICTMAP_DIFF_TABLE:
	case DICTMAP_DELETE_DANGLING_LINKS:
	case DICTMAP_STORAGE_OBJECTID_MIGRATE:
	case DICTMAP_CLEANUP_UNCERTAIN:
	case DICTMAP_NO_CLEANUP_UNCERTAIN:
	case DICTMAP_SETTING_COUNT:
		break;
	}
	lab_bug("a flag has no value");
}

static int dictmap_setting(struct fs_uri_dictmap *made, struct lab_view text, struct lab_error *err)
{
	struct lab_view value = text, name;
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	size_t i = 0;

	lab_view_split(&value, '=', &name);
	while (i < DICTMAP_SETTING_COUNT && !lab_view_eq_cstr(name, dictmap_names[i]))
		i++;
	if (i == DICTMAP_SETTING_COUNT)
		return lab_fail(err, LAB_INVALID, "Unknown setting '%s'%s", conf_show(name, shown),
			conf_hint(conf_suggest_of(name, dictmap_names, i), hint));
	if (dictmap_is_flag((enum dictmap_setting)i)) {
		if (value.ptr != NULL)
			return lab_fail(
				err, LAB_INVALID, "Setting %s takes no value", dictmap_names[i]);
		dictmap_flag(made, (enum dictmap_setting)i);
		return 0;
	}
	if (value.len == 0)
		return lab_fail(err, LAB_INVALID, "Setting %s has no value", dictmap_names[i]);
	if (dictmap_value(made, (enum dictmap_setting)i, value, err) < 0)
		return lab_error_wrap(err, "Setting %s", dictmap_names[i]);
	return 0;
}

static int dictmap_check(const struct fs_uri_dictmap *made, struct lab_error *err)
{
	if (made->bucket_size > 0 && made->bucket_cache.ptr == NULL)
		return lab_fail(err, LAB_INVALID, "bucket-size needs bucket-cache");
	if (made->storage_objectid_prefix.ptr != NULL &&
		made->storage_passthrough_paths != FS_URI_PASSTHROUGH_NONE)
		return lab_fail(err, LAB_INVALID,
			"storage-objectid-prefix and storage-passthrough-paths exclude each other");
	if (made->storage_objectid_migrate && made->storage_objectid_prefix.ptr == NULL)
		return lab_fail(
			err, LAB_INVALID, "storage-objectid-migrate needs storage-objectid-prefix");
	return 0;
}

int fs_uri_dict_proxy(struct lab_view uri, struct lab_view *ret_socket, struct lab_view *ret_name,
	struct lab_error *err)
{
	struct lab_view rest = uri, driver;
	char shown[CONF_SHOW_MAX + 4];

	if (!take_part(&rest, &driver) || !lab_view_eq_cstr(driver, "proxy") ||
		!take_part(&rest, ret_socket) || lab_view_find_byte(rest, ':') != SIZE_MAX)
		return lab_fail(err, LAB_INVALID, "'%s' is not proxy:<socket>:<dict name>",
			conf_show(uri, shown));
	if (ret_socket->len == 0)
		*ret_socket = LAB_VIEW("dict");
	*ret_name = rest;
	return 0;
}

static int dictmap_dict(struct lab_view uri, struct fs_uri_dictmap *made, struct lab_error *err)
{
	struct lab_view rest = uri, driver;
	char shown[CONF_SHOW_MAX + 4];

	if (!take_part(&rest, &driver) || driver.len == 0)
		return lab_fail(err, LAB_INVALID, "'%s' is not a dict URI", conf_show(uri, shown));
	made->dict_driver = driver;
	made->dict_args = rest;
	if (!lab_view_eq_cstr(driver, "proxy"))
		return 0;
	made->proxy = true;
	return fs_uri_dict_proxy(uri, &made->dict_socket, &made->dict_name, err);
}

/* A part that has a ';' or a space at an end was not separated as it must be. */
static bool badly_separated(struct lab_view part)
{
	return part.len == 0 || lab_view_find_byte(part, ';') != SIZE_MAX ||
	       conf_is_white(part.ptr[0]) || conf_is_white(part.ptr[part.len - 1]);
}

static int dictmap_parts(
	struct lab_view args, struct lab_view parts[3], size_t *ret_count, struct lab_error *err)
{
	static const struct lab_view separator = { (const uint8_t *)" ; ", 3 };
	size_t count = 0, at;

	do {
		at = lab_view_find(args, separator);
		parts[count] = lab_view_sub(args, 0, at);
		if (badly_separated(parts[count]) || (count == 2 && at != SIZE_MAX))
			return lab_fail(err, LAB_INVALID,
				"the dict URI, the parent filesystem and the settings must be "
				"separated by exactly ' ; ' (space, semicolon, space)");
		args = at == SIZE_MAX ? args : lab_view_skip(args, at + 3);
		count++;
	} while (at != SIZE_MAX);
	if (count < 2)
		return lab_fail(err, LAB_INVALID,
			"there is no parent filesystem: ' ; ' (space, semicolon, space) is "
			"missing behind the dict URI");
	*ret_count = count;
	return 0;
}

int fs_uri_dictmap(struct lab_view args, struct fs_uri_dictmap *ret, struct lab_error *err)
{
	struct fs_uri_dictmap made = {
		.dict_prefix = LAB_VIEW(""), .max_parallel_iter = 10, .cleanup_uncertain = true
	};
	struct lab_view parts[3], setting;
	size_t count = 0;

	if (dictmap_parts(args, parts, &count, err) < 0 || dictmap_dict(parts[0], &made, err) < 0)
		return -1;
	made.parent = parts[1];
	while (count == 3 && lab_view_split(&parts[2], ':', &setting)) {
		if (dictmap_setting(&made, setting, err) < 0)
			return -1;
	}
	if (dictmap_check(&made, err) < 0)
		return -1;
	*ret = made;
	return 0;
}

/* ---- the whole stack ---- */

/* 1 and *ret_parent if there is a driver below, 0 at the end, -1. */
static int check_one(struct lab_view driver, struct lab_view args, struct lab_arena *arena,
	struct lab_view *ret_parent, struct lab_error *err)
{
	struct fs_uri_fscache fscache = { .size_bytes = 0 };
	struct fs_uri_compress compress = { .level = 0 };
	struct fs_uri_randomfail randomfail = { .read_range = { 0, 0 } };
	struct fs_uri_dictmap dictmap = { .proxy = false };
	struct fs_uri_posix posix;
	struct conf_http_url url;
	int flavour = fs_uri_http_flavour(driver), result = 0;

	if (flavour >= 0)
		return fs_uri_http(args, (enum fs_uri_http_flavour)flavour, arena, &url, err);
	if (fs_uri_driver_kind(driver) == FS_URI_KNOWN_ONLY)
		return 0;
	if (lab_view_eq_cstr(driver, "posix"))
		return fs_uri_posix(args, &posix, err);
	if (lab_view_eq_cstr(driver, "fscache")) {
		result = fs_uri_fscache(args, &fscache, err);
		*ret_parent = fscache.parent;
	} else if (lab_view_eq_cstr(driver, "compress")) {
		result = fs_uri_compress(args, &compress, err);
		*ret_parent = compress.parent;
	} else if (lab_view_eq_cstr(driver, "randomfail")) {
		result = fs_uri_randomfail(args, &randomfail, err);
		*ret_parent = randomfail.parent;
	} else if (lab_view_eq_cstr(driver, "dictmap")) {
		result = fs_uri_dictmap(args, &dictmap, err);
		*ret_parent = dictmap.parent;
	} else {
		result = fs_uri_plain_wrapper(args, ret_parent, err);
	}
	return result < 0 ? -1 : 1;
}

static int check_fail(const struct lab_view *above, size_t depth, struct lab_error *err)
{
	while (depth-- > 0)
		lab_error_wrap(err, "%.*s", LAB_VIEW_ARG(above[depth]));
	return -1;
}

int fs_uri_check(struct lab_view uri, struct lab_arena *arena, struct lab_view *ret_known_only,
	struct lab_error *err)
{
	struct lab_view above[FS_URI_DEPTH_MAX], args, parent = uri, known_only = { NULL, 0 };
	size_t depth = 0;
	int more = 1;

	for (; more > 0; depth++) {
		if (depth == FS_URI_DEPTH_MAX)
			return lab_fail(err, LAB_LIMIT, "more than %u fs drivers are stacked",
				(unsigned)FS_URI_DEPTH_MAX);
		fs_uri_split(parent, depth == 0, &above[depth], &args);
		if (fs_uri_driver_kind(above[depth]) == FS_URI_UNKNOWN) {
			fs_uri_driver_fail(above[depth], err);
			return check_fail(above, depth, err);
		}
		if (fs_uri_driver_kind(above[depth]) == FS_URI_KNOWN_ONLY && known_only.ptr == NULL)
			known_only = above[depth];
		more = check_one(above[depth], args, arena, &parent, err);
		if (more < 0)
			return check_fail(above, depth + 1, err);
	}
	if (ret_known_only != NULL)
		*ret_known_only = known_only;
	return 0;
}
