/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-uri.h - the URIs of obox_fs, obox_index_fs and fts_dovecot_fs (obox 1.2 to 1.6, 2), after
 * %variables have been expanded.
 *
 *   uri      = driver [":" args]              the outermost driver may end at a space instead
 *   wrapper  = own args ":" parent uri        fscache, compress, fts-cache, metawrap, randomfail
 *   dictmap  = dict uri " ; " parent uri [" ; " settings]
 *
 * A driver calls fs_uri_split() and then the function that reads its own arguments; what is left
 * for the driver below is `parent`. fs_uri_check() walks the whole stack.
 *
 * Ownership  Results borrow from the URI, or from the arena where something had to be decoded.
 * Errors     LAB_INVALID and the part at fault by name, with a suggestion where one is near;
 *            LAB_UNSUPPORTED for drivers that exist in Dovecot but not here. Passwords never
 *            appear.
 * Effects    Pure functions.
 */
#ifndef LAB_FS_URI_H
#define LAB_FS_URI_H

#include "core/conf/conf.h"

#define FS_URI_DEPTH_MAX 16
#define FS_URI_HEADERS_MAX 8

/* Splits at the first ':' (outermost: or space). args.ptr is NULL if there are none. An empty or
 * unknown driver is the caller's business. */
void fs_uri_split(struct lab_view uri, bool outermost, struct lab_view *ret_driver,
	struct lab_view *ret_args);

/* How much of a driver there is here. */
enum fs_uri_driver {
	FS_URI_UNKNOWN,    /* no such driver in Dovecot */
	FS_URI_KNOWN_ONLY, /* in Dovecot; here only its arguments are checked where they are known
			    */
	FS_URI_WRAPPER,    /* has a parent */
	FS_URI_STORAGE     /* ends the stack */
};
enum fs_uri_driver fs_uri_driver_kind(struct lab_view driver);
/* Raises "Unknown fs driver: X (did you mean Y?)" or "fs driver X is not part of oboxlab". */
int fs_uri_driver_fail(struct lab_view driver, struct lab_error *err);

struct fs_uri_fscache {
	uint64_t size_bytes;
	struct lab_view dir;
	struct lab_view parent;
};
int fs_uri_fscache(struct lab_view args, struct fs_uri_fscache *ret, struct lab_error *err);

enum fs_uri_compression {
	FS_URI_GZ,      /* zlib with gzip framing, 1..9 */
	FS_URI_DEFLATE, /* zlib, raw deflate with its header, 1..9 */
	FS_URI_ZSTD,    /* 1..22 */
	FS_URI_LZ4,     /* 1..9, the level has no effect */
	FS_URI_BZ2,     /* 1..9: known, not part of oboxlab */
	FS_URI_XZ       /* 0..9: the same */
};
struct fs_uri_compress {
	enum fs_uri_compression algorithm;
	bool maybe; /* plain objects are accepted when read */
	unsigned level;
	struct lab_view parent;
};
int fs_uri_compress(struct lab_view args, struct fs_uri_compress *ret, struct lab_error *err);
const char *fs_uri_compression_name(enum fs_uri_compression algorithm);

/* fts-cache, metawrap: everything is the parent. */
int fs_uri_plain_wrapper(struct lab_view args, struct lab_view *ret_parent, struct lab_error *err);

/* The operations of randomfail, in the order of its documentation. */
#define FS_URI_FAIL_OPS(X) \
	X(wait) \
	X(metadata) \
	X(prefetch) X(read) X(write) X(lock) X(exists) X(stat) X(copy) X(rename) X(delete) X(iter)
enum fs_uri_fail_op {
#define X(name) FS_URI_FAIL_##name,
	FS_URI_FAIL_OPS(X)
#undef X
	FS_URI_FAIL_OP_COUNT
};
struct fs_uri_randomfail {
	uint32_t ppm[FS_URI_FAIL_OP_COUNT];
	/* Fail the n-th byte or entry with n in [first, last]; last 0: no such failure. */
	struct fs_uri_fail_range {
		uint64_t first, last;
	} read_range, write_range, iter_range;
	struct lab_view parent;
};
/* "<op>=<percent>[,<op>=...]:parent"; `all` sets every operation, later ones override. */
int fs_uri_randomfail(struct lab_view args, struct fs_uri_randomfail *ret, struct lab_error *err);
const char *fs_uri_fail_op_name(enum fs_uri_fail_op op);

struct fs_uri_posix {
	struct lab_view prefix; /* a pure string prefix; no '/' is added (2.3) */
	bool lock_dotlock;      /* else flock */
	bool mode_auto;
	uint32_t mode; /* 0600 */
	bool dirs, no_fsync, accurate_mtime;
};
int fs_uri_posix(struct lab_view args, struct fs_uri_posix *ret, struct lab_error *err);

enum fs_uri_passthrough {
	FS_URI_PASSTHROUGH_NONE,
	FS_URI_PASSTHROUGH_FULL,
	FS_URI_PASSTHROUGH_READ_ONLY
};
/* One field for each setting of obox section 2; what is not given has the default of 3.0. */
struct fs_uri_dictmap {
	/* dict uri: "proxy:[socket]:name" */
	bool proxy;
	struct lab_view dict_socket; /* proxy: "" is "dict" */
	struct lab_view dict_name;   /* proxy: the name in dict { } */
	struct lab_view dict_driver; /* else: "driver:rest" */
	struct lab_view dict_args;
	struct lab_view parent;

	bool refcounting_table;
	struct lab_view lockdir; /* ptr NULL: none */
	bool diff_table;
	bool delete_dangling_links;
	unsigned bucket_size; /* 0: no buckets */
	struct lab_view bucket_cache;
	unsigned bucket_deleted_days;
	unsigned nlinks_limit;                   /* 0: none */
	uint64_t delete_timestamp_ns;            /* added to the timestamp of deletes */
	struct lab_view storage_objectid_prefix; /* ptr NULL: none */
	enum fs_uri_passthrough storage_passthrough_paths;
	bool storage_objectid_migrate;
	unsigned max_parallel_iter;  /* 10 */
	bool cleanup_uncertain;      /* true */
	struct lab_view dict_prefix; /* "" */
};
int fs_uri_dictmap(struct lab_view args, struct fs_uri_dictmap *ret, struct lab_error *err);
/* "proxy:[socket]:name", a dict behind a dict service, as a setting names it; without a socket it
 * is "dict". -1: another driver, or not of that form. */
int fs_uri_dict_proxy(struct lab_view uri, struct lab_view *ret_socket, struct lab_view *ret_name,
	struct lab_error *err);

struct fs_uri_header {
	struct lab_view name;
	struct lab_view
		value; /* for addhdrvar: a text with %variables, to be expanded by the driver */
};

/* Flavours of the HTTP drivers: which parameters exist, which are added. */
enum fs_uri_http_flavour {
	FS_URI_HTTP_S3,
	FS_URI_HTTP_AWS_S3,
	FS_URI_HTTP_SPROXYD,
	FS_URI_HTTP_SCALITY,
	FS_URI_HTTP_OTHER /* azure, swift */
};
struct conf_http_url {
	bool tls;
	struct lab_view user, password; /* decoded; ptr NULL: none. The password is a secret. */
	struct lab_view host;
	uint16_t port; /* 80 or 443 if not given */
	bool port_given;
	struct lab_view path; /* decoded, without the leading '/' */

	uint64_t absolute_timeout_ns; /* 0: none */
	uint64_t timeout_ns;          /* 10 s */
	uint64_t connect_timeout_ns, read_timeout_ns, write_timeout_ns, delete_timeout_ns;
	unsigned max_connect_retries; /* 2 */
	unsigned max_retries;         /* 4 */
	unsigned read_max_retries, write_max_retries, delete_max_retries;
	uint64_t slow_warn_ns;      /* 5 s */
	unsigned bulk_delete_limit; /* 1000; 0: no bulk deletes */
	struct lab_view bucket;     /* ptr NULL: none */
	struct lab_view region;     /* ptr NULL: SigV2 */
	struct lab_view auth_role;  /* ptr NULL: no IAM */
	struct lab_view auth_host;  /* "169.254.169.254:80" */
	struct fs_uri_header addhdr[FS_URI_HEADERS_MAX];
	size_t addhdr_count;
	struct fs_uri_header addhdrvar[FS_URI_HEADERS_MAX];
	size_t addhdrvar_count;
	struct lab_view loghdr[FS_URI_HEADERS_MAX];
	size_t loghdr_count;
	bool no_trace_headers;
	unsigned reason_header_max_length;
	/* sproxyd and scality only */
	bool by_path, use_listing;
	struct lab_view preserve_objectid_prefix; /* ptr NULL: none */
	unsigned object_class;                    /* 2; at most 15 */
	unsigned bulk_link_limit;
	uint64_t avoid_423_ns;
};
/* `args` is the URL; white space before it is accepted, as in "s3: https://". Decoded parts are in
 * the arena. */
int fs_uri_http(struct lab_view args, enum fs_uri_http_flavour flavour, struct lab_arena *arena,
	struct conf_http_url *ret, struct lab_error *err);
/* The flavour of a driver name, or -1 if it is not an HTTP driver. */
int fs_uri_http_flavour(struct lab_view driver);
/* The host as for a Host header and a log line: with the port if it is not the scheme's. */
struct lab_view fs_uri_http_authority(const struct conf_http_url *url, struct lab_arena *arena);

/* Walks the whole stack and parses every driver's arguments; the error is prefixed with the
 * drivers above ("fscache: compress: ..."). Drivers that are known only are accepted;
 * *ret_known_only (may be NULL) names the first of them. */
int fs_uri_check(struct lab_view uri, struct lab_arena *arena, struct lab_view *ret_known_only,
	struct lab_error *err);

#endif
