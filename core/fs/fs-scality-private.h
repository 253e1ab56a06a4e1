/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-scality-private.h - the parts of the driver scality (CDMI): fs-scality.c has the driver,
 * fs-scality-request.c what goes on the wire, fs-scality-bulk.c bulk deletes and links.
 *
 * Objects are application/cdmi-object: JSON, the value in base64, metadata "dovecot-<key>". They
 * are named by their path below the URL's, or by their object id below cdmi_objectid/, before which
 * stands what preserve_objectid_prefix says, and not the URL's path. Missing containers are made
 * when a PUT says 404. README.md has what was decided where nothing is published.
 */
#ifndef LAB_FS_SCALITY_PRIVATE_H
#define LAB_FS_SCALITY_PRIVATE_H

#include "core/fs/fs-http.h"

#include <jansson.h>

/* Answers without a value in them. */
#define SCALITY_ANSWER_MAX ((size_t)64 * 1024)
#define SCALITY_LIST_ANSWER_MAX ((size_t)4 * 1024 * 1024)
#define SCALITY_PATH_MAX 1024
#define SCALITY_META_PREFIX "dovecot-"
#define SCALITY_OBJECT "application/cdmi-object"
#define SCALITY_CONTAINER "application/cdmi-container"
#define SCALITY_CONFLICT 409
#define SCALITY_PARTS_MAX 64 /* of a path */

struct scality_link;

struct scality_fs {
	struct fs fs;
	struct env *env;
	struct lab_arena *arena; /* of the URL's texts */
	struct conf_http_url url;
	struct http_client *client;
	const char *reason;
	struct lab_view authority;
	struct lab_view base;          /* "/mails", as it is; "" at the root */
	struct lab_view objectid_base; /* what stands before "/cdmi_objectid/" */
	/* Copies that wait for the bulk request which runs. */
	struct scality_link *links, **last_link;
	struct env_cond linked;
	bool linking;
};

struct scality_file {
	struct fs_file file;
	bool metadata_known;
	bool named;   /* CREATE_UNIQUE_128: its name was made */
	bool written; /* by us: it has an id */
};

/* ---- fs-scality-request.c ---- */

struct scality_request {
	struct scality_fs *fs;
	enum http_action action;
	struct lab_http_request http;
	size_t answer_max;
	/* A name that a 2xx answer must have; NULL: any answer will do. */
	const char *requires;
	bool was_uncertain; /* an attempt may have been applied, whatever the answer */
};

/* A CDMI object id in hex: its reserved bytes, length and CRC are right. */
bool scality_is_id(struct lab_view hex);
/* Where the file is: by its id if it is named by it, or if a read knows it. -1 LAB_INVALID. */
int scality_target(struct fs_file *file, const char *query, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err);
struct lab_view scality_path_target(const struct scality_fs *fs, struct lab_view path,
	const char *suffix, struct lab_arena *arena);
/* "Content-Type" with a body, "Accept" without. */
void scality_request_init(struct scality_request *request, struct scality_fs *fs,
	enum http_action action, const char *method, struct lab_view target, const char *type,
	struct lab_view body);
/* As http_client_request(). */
int scality_request_run(struct scality_request *request, struct lab_arena *arena,
	struct lab_http_response *ret, struct lab_error *err);
/* The containers in which `path` is, those that are missing. Its failure is never uncertain. */
int scality_make_containers(struct scality_fs *fs, struct lab_view path, struct lab_arena *arena,
	struct lab_error *err);
/* NULL: not an object in JSON, or nested too deeply. To be given to json_decref(). */
json_t *scality_parse(struct lab_view text);
/* ptr NULL: there is none. */
struct lab_view scality_text(const json_t *object, const char *name);

/* ---- fs-scality-bulk.c ---- */

int scality_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err);
/* A second name for an object: waits for others, and goes out with them. May be UNCERTAIN. */
int scality_link(
	struct scality_fs *fs, struct lab_view from, struct lab_view to, struct lab_error *err);

#endif
