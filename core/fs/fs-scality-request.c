/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-scality-request.c - what the driver scality puts on the wire.
 */
#include "core/fs/fs-scality-private.h"

#define JSON_DEPTH 4
#define ID_BYTES_MIN 9
#define ID_BYTES_MAX 32
#define CRC16_POLYNOMIAL 0xA001 /* 0x8005 reflected */

/* ---- names ---- */

static uint16_t crc16(const uint8_t *data, size_t len)
{
	uint16_t crc = 0;

	for (size_t i = 0; i < len; i++) {
		crc = (uint16_t)(crc ^ data[i]);
		for (unsigned bit = 0; bit < 8; bit++)
			crc = (uint16_t)((crc & 1) != 0 ? (crc >> 1) ^ CRC16_POLYNOMIAL : crc >> 1);
	}
	return crc;
}

bool scality_is_id(struct lab_view hex)
{
	uint8_t id[ID_BYTES_MAX];
	size_t len = hex.len / 2;
	unsigned crc;

	if (len < ID_BYTES_MIN || len > sizeof(id) || hex.len != 2 * len ||
		lab_unhex(hex, id, len) < 0 || id[0] != 0 || id[4] != 0 || id[5] != len)
		return false;
	crc = (unsigned)id[6] << 8 | id[7];
	id[6] = id[7] = 0;
	return crc16(id, len) == crc;
}

struct lab_view scality_path_target(const struct scality_fs *fs, struct lab_view path,
	const char *suffix, struct lab_arena *arena)
{
	struct lab_view result;
	struct lab_buf text;

	lab_buf_init(&text, fs->env->heap, FS_HTTP_TARGET_MAX);
	lab_buf_append_percent(&text, fs->base, true);
	lab_buf_append_byte(&text, '/');
	lab_buf_append_percent(&text, path, true);
	lab_buf_append_cstr(&text, suffix);
	result = lab_arena_copy(arena, lab_buf_view(&text));
	lab_buf_done(&text);
	return result;
}

static struct lab_view id_target(
	const struct scality_fs *fs, struct lab_view id, const char *query, struct lab_arena *arena)
{
	struct lab_view result;
	struct lab_buf text;

	lab_buf_init(&text, fs->env->heap, FS_HTTP_TARGET_MAX);
	lab_buf_append_percent(&text, fs->objectid_base, true);
	lab_buf_printf(&text, "/cdmi_objectid/%.*s%s", LAB_VIEW_ARG(id), query);
	result = lab_arena_copy(arena, lab_buf_view(&text));
	lab_buf_done(&text);
	return result;
}

int scality_target(struct fs_file *file, const char *query, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	const struct scality_fs *fs = (struct scality_fs *)file->fs;
	struct lab_view known = fs_file_metadata(file, FS_METADATA_OBJECTID);

	if (scality_is_id(file->path)) {
		*ret = id_target(fs, file->path, query == NULL ? "" : query, arena);
		return 0;
	}
	if (file->path.len == 0 || file->path.len > SCALITY_PATH_MAX)
		return lab_fail(err, LAB_INVALID, "a path has 1 to %d bytes, not %zu",
			SCALITY_PATH_MAX, file->path.len);
	if (file->mode == FS_OPEN_READONLY && query != NULL && scality_is_id(known))
		*ret = id_target(fs, known, query, arena);
	else
		*ret = scality_path_target(fs, file->path, query == NULL ? "" : query, arena);
	return 0;
}

/* ---- JSON ---- */

json_t *scality_parse(struct lab_view text)
{
	json_error_t where;
	json_t *root;

	if (text.len == 0 || !lab_json_is_shallow(text, JSON_DEPTH))
		return NULL;
	/* Else jansson would seed its hash from the operating system. */
	json_object_seed(1);
	root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &where);
	if (root == NULL || json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

struct lab_view scality_text(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value))
		return (struct lab_view){ NULL, 0 };
	return lab_view_of(json_string_value(value), json_string_length(value));
}

/* ---- requests ---- */

void scality_request_init(struct scality_request *request, struct scality_fs *fs,
	enum http_action action, const char *method, struct lab_view target, const char *type,
	struct lab_view body)
{
	*request = (struct scality_request){ .fs = fs,
		.action = action,
		.http = { .method = lab_view_cstr(method),
			.tls = fs->url.tls,
			.authority = fs->authority,
			.target = target,
			.body = body },
		.answer_max = SCALITY_ANSWER_MAX };
	lab_http_header_add(
		&request->http.headers, LAB_VIEW("X-CDMI-Specification-Version"), LAB_VIEW("1.1"));
	if (type != NULL)
		lab_http_header_add(&request->http.headers,
			body.len > 0 ? LAB_VIEW("Content-Type") : LAB_VIEW("Accept"),
			lab_view_cstr(type));
}

static int add_headers(
	void *ctx, struct lab_http_request *http, struct lab_arena *arena, struct lab_error *err)
{
	struct scality_request *request = ctx;
	struct scality_fs *fs = request->fs;
	struct lab_view no_token = { NULL, 0 };

	if (fs_http_add_variables(&fs->url, no_token, http, arena, err) < 0)
		return -1;
	return fs_http_add_basic(&fs->url, http, fs->env->heap, arena, err);
}

/* An answer that was cut, or is from somebody else. 204 has no body. */
static unsigned inspect(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	const struct scality_request *request = ctx;
	unsigned status = response->status;
	json_t *root;

	(void)arena;
	if (request->requires == NULL || status == 204)
		return status;
	root = scality_parse(response->body);
	if (root == NULL || json_object_get(root, request->requires) == NULL) {
		*why = "the answer is not the JSON that was asked for";
		status = HTTP_STATUS_ALTERED;
	}
	if (root != NULL)
		json_decref(root);
	return status;
}

int scality_request_run(struct scality_request *request, struct lab_arena *arena,
	struct lab_http_response *ret, struct lab_error *err)
{
	struct scality_fs *fs = request->fs;
	struct http_call call = { .action = request->action,
		.request = &request->http,
		.response_max_bytes = request->answer_max,
		.reason = fs->reason,
		.ctx = request,
		.sign = add_headers,
		.inspect = inspect,
		.ret_uncertain = &request->was_uncertain };

	return http_client_request(fs->client, &call, arena, ret, err);
}

/* ---- containers ---- */

static int make_container(
	struct scality_fs *fs, struct lab_view path, struct lab_arena *arena, struct lab_error *err)
{
	struct scality_request request;
	struct lab_http_response response;

	scality_request_init(&request, fs, HTTP_WRITE, "PUT",
		scality_path_target(fs, path, "/", arena), SCALITY_CONTAINER, LAB_VIEW("{}"));
	return scality_request_run(&request, arena, &response, err);
}

/* From the innermost outwards to one that can be made, and back. */
static int make_from_inside(struct scality_fs *fs, const struct lab_view *parts, size_t count,
	struct lab_arena *arena, struct lab_error *err)
{
	size_t at = count;

	while (at > 0) {
		at--;
		if (make_container(fs, parts[at], arena, err) == 0)
			break;
		if (err->code != LAB_NOT_FOUND || at == 0)
			return -1;
	}
	while (++at < count) {
		if (make_container(fs, parts[at], arena, err) < 0)
			return -1;
	}
	return 0;
}

int scality_make_containers(
	struct scality_fs *fs, struct lab_view path, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view *parts = lab_arena_array(arena, struct lab_view, SCALITY_PARTS_MAX);
	size_t count = 0;

	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] != '/')
			continue;
		if (count == SCALITY_PARTS_MAX)
			return lab_fail(err, LAB_INVALID, "%.*s has more than %d directories",
				LAB_VIEW_ARG(path), SCALITY_PARTS_MAX);
		parts[count++] = lab_view_sub(path, 0, i);
	}
	if (make_from_inside(fs, parts, count, arena, err) == 0)
		return 0;
	/* What it was for was certainly not done. */
	if (err->code == LAB_UNCERTAIN || err->code == LAB_NOT_FOUND)
		err->code = LAB_UNAVAILABLE;
	return -1;
}
