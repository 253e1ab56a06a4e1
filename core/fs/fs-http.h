/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-http.h - what the drivers of HTTP storages share: s3, sproxyd, scality (obox 1.6, 4.3).
 */
#ifndef LAB_FS_HTTP_H
#define LAB_FS_HTTP_H

#include "core/conf/fs-uri.h"
#include "core/fs/fs-api-private.h"
#include "core/http/http-client.h"

#define FS_HTTP_METADATA_KEY_MAX 64
#define FS_HTTP_TARGET_MAX 16384

/* The URL's parameters as the HTTP client's policy; borrows from both. */
struct http_policy fs_http_policy(
	const struct conf_http_url *url, const struct fs_settings *settings);

/* The headers of addhdrvar, with %{auth:token} (ptr NULL: there is none). One whose value turns out
 * empty is not sent. */
int fs_http_add_variables(const struct conf_http_url *url, struct lab_view token,
	struct lab_http_request *request, struct lab_arena *arena, struct lab_error *err);
/* HTTP Basic, if the URL has a user. -1 LAB_LIMIT. */
int fs_http_add_basic(const struct conf_http_url *url, struct lab_http_request *request,
	struct lab_heap *heap, struct lab_arena *arena, struct lab_error *err);

/* ---- metadata ---- */

/* Stays between drivers. */
bool fs_http_is_internal(struct lab_view key);
/* Is there any that the storage is to keep? */
bool fs_http_has_own_metadata(const struct fs_file *file);
/* Each value that the storage is to keep, as a header "<prefix><key>". -1 LAB_INVALID: it cannot be
 * one; LAB_LIMIT: too many. */
int fs_http_metadata_add(struct lab_http_request *request, const struct fs_file *file,
	const char *prefix, struct lab_arena *arena, struct lab_error *err);
/* -1 LAB_INVALID: key or value cannot be in a header. */
int fs_http_metadata_check(struct lab_view key, struct lab_view value, struct lab_error *err);
/* What an answer says about the object. Values that the file has stay. */
void fs_http_metadata_learn(
	struct fs_file *file, const char *prefix, const struct lab_http_headers *headers);
void fs_http_metadata_learn_one(
	struct fs_file *file, const char *prefix, struct lab_view name, struct lab_view value);
/* What `to` does not set comes from `from`. */
void fs_http_metadata_inherit(struct fs_file *from, struct fs_file *to, struct lab_arena *arena);

/* A file opened with CREATE_UNIQUE_128 gets its name. */
void fs_http_make_name(struct fs_file *file);

#endif
