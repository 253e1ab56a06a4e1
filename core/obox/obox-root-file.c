/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-root-file.c - what a clean stop leaves of a user's root.
 *
 *   header  "oboxroot" | version u8 | open or clean u8 | hash u64 of the body |
 *           length of the user's name u8, name
 *   body    stamp of the run (reboots.h) | author u64 | generation u64 | dirty u8 | marked u8 |
 *           changed u8 | damaged u8 |
 *           bundles: length u32, bytes | list: length u32, bytes |
 *           base: length of the name u8, name, length u32, list |
 *           secondary indexes (obox-secondary.c), if there are any
 *
 * Whoever opens it writes "open" in place and syncs that, so a process that did not stop cleanly
 * leaves a file that says so. All that is in it can be downloaded again.
 */
#include "core/obox/metacache.h"
#include "core/obox/obox-private.h"

#define MAGIC "oboxroot"
#define VERSION 2
#define IS_OPEN 1
#define IS_CLEAN 2
#define HEADER_BYTES (8 + 1 + 1 + 8 + 1)
#define HEADER_BYTES_MAX (HEADER_BYTES + UINT8_MAX)
#define FILE_MAX (256u * 1024 * 1024)
#define HASH_SEED UINT64_C(0x6f626f78726f6f74)

/* ---- writing ---- */

static void put_list(struct lab_buf *out, const struct obox_list *list)
{
	size_t at = out->len, len;

	lab_buf_append_u32(out, 0);
	obox_list_encode(list, out);
	len = out->len - at - 4;
	for (size_t i = 0; i < 4 && !out->overflow; i++)
		out->data[at + i] = (uint8_t)(len >> (8 * (3 - i)));
}

static void put_bundles(struct lab_buf *out, const struct obox_root *root)
{
	struct lab_buf bundles;

	lab_buf_init(&bundles, root->env->heap, FILE_MAX);
	obox_bundles_encode(root->bundles, &bundles);
	lab_buf_append_u32(out, (uint32_t)bundles.len);
	lab_buf_append_view(out, lab_buf_view(&bundles));
	lab_buf_done(&bundles);
}

static void put_base(struct lab_buf *out, const struct obox_root *root)
{
	char name[OBOX_BUNDLE_NAME_MAX] = "";

	if (root->base != NULL)
		obox_bundle_name_format(&root->base_name, name);
	lab_buf_append_byte(out, (uint8_t)strlen(name));
	lab_buf_append_cstr(out, name);
	if (root->base != NULL)
		put_list(out, root->base);
}

void obox_root_encode(const struct obox_root *root, struct lab_buf *out)
{
	lab_buf_append_u64(out, root->author);
	lab_buf_append_u64(out, root->generation);
	lab_buf_append_byte(out, root->is_dirty);
	lab_buf_append_byte(out, root->is_marked);
	lab_buf_append_byte(out, root->is_changed);
	lab_buf_append_byte(out, root->is_damaged);
	put_bundles(out, root);
	put_list(out, root->list);
	put_base(out, root);
	obox_secondary_put(root, out);
}

static void lose_file(struct obox_root *root, const struct lab_error *err)
{
	ENV_EVENT(root->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
		LAB_F_CSTR("message", "local root index cannot be written"),
		LAB_F_CSTR("error", err->message));
	env_file_close(&root->file);
}

static void write_header(struct obox_root *root, uint8_t state, uint64_t hash)
{
	struct lab_buf header;
	struct lab_error err;

	lab_buf_init(&header, root->env->heap, HEADER_BYTES_MAX);
	lab_buf_append_cstr(&header, MAGIC);
	lab_buf_append_byte(&header, VERSION);
	lab_buf_append_byte(&header, state);
	lab_buf_append_u64(&header, hash);
	lab_buf_append_byte(&header, (uint8_t)strlen(root->user->username));
	lab_buf_append_cstr(&header, root->user->username);
	if (root->file != NULL && (env_file_write(root->file, 0, lab_buf_view(&header), &err) < 0 ||
					  env_file_sync(root->file, &err) < 0))
		lose_file(root, &err);
	lab_buf_done(&header);
}

void obox_root_save(struct obox_root *root)
{
	struct lab_error err = { .message = "root index is too large" };
	size_t header_bytes = HEADER_BYTES + strlen(root->user->username);
	struct lab_buf body;

	if (root->file == NULL)
		return;
	lab_buf_init(&body, root->env->heap, FILE_MAX);
	reboots_stamp(backend_get_reboots(root->user->backend), &body);
	obox_root_encode(root, &body);
	if (body.overflow ||
		env_file_write(root->file, header_bytes, lab_buf_view(&body), &err) < 0 ||
		env_file_truncate(root->file, header_bytes + body.len, &err) < 0 ||
		env_file_sync(root->file, &err) < 0)
		lose_file(root, &err);
	write_header(root, IS_CLEAN, lab_hash_view(HASH_SEED, lab_buf_view(&body)));
	lab_buf_done(&body);
	metacache_count_root(backend_get_metacache(root->user->backend), root->user,
		root->file == NULL ? 0 : env_file_size(root->file), obox_root_is_changed(root));
	env_file_close(&root->file);
}

/* ---- reading ---- */

static bool get_bool(struct lab_reader *reader)
{
	uint8_t value = lab_read_u8(reader);

	reader->failed = reader->failed || value > 1;
	return value == 1;
}

static struct obox_list *get_list(struct lab_reader *reader, const struct obox_root *root)
{
	struct lab_view bytes = lab_read_view(reader, lab_read_u32(reader));
	struct obox_list *list = NULL;

	if (reader->failed || obox_list_decode(root->env->heap, bytes, &list, NULL) < 0)
		reader->failed = true;
	else if (memcmp(list->inbox, root->list->inbox, sizeof(list->inbox)) != 0)
		reader->failed = true;
	return list;
}

static void get_bundles(struct lab_reader *reader, struct obox_root *root)
{
	struct lab_view bytes = lab_read_view(reader, lab_read_u32(reader));

	if (reader->failed || obox_bundles_decode(root->bundles, bytes, NULL) < 0)
		reader->failed = true;
}

static void get_base(struct lab_reader *reader, struct obox_root *root)
{
	struct lab_view name = lab_read_view(reader, lab_read_u8(reader));

	if (name.len == 0)
		return;
	if (obox_bundle_name_parse(name, &root->base_name) < 0)
		reader->failed = true;
	root->base = get_list(reader, root);
}

bool obox_root_decode(struct obox_root *root, struct lab_reader *reader)
{
	struct obox_list *list;

	root->author = lab_read_u64(reader);
	root->generation = lab_read_u64(reader);
	root->is_dirty = root->is_uncertain = get_bool(reader);
	root->is_marked = get_bool(reader);
	root->is_changed = get_bool(reader);
	root->is_damaged = get_bool(reader);
	get_bundles(reader, root);
	list = get_list(reader, root);
	if (list != NULL) {
		obox_list_free(&root->list);
		root->list = list;
	}
	get_base(reader, root);
	if (reader->rest.len > 0)
		obox_secondary_get(root, reader);
	return !reader->failed && reader->rest.len == 0;
}

struct header {
	uint8_t state;
	uint64_t hash;
	struct lab_view username;
};

static bool get_header(struct lab_reader *reader, struct header *ret)
{
	struct lab_view magic = lab_read_view(reader, strlen(MAGIC));
	uint8_t version = lab_read_u8(reader);

	ret->state = lab_read_u8(reader);
	ret->hash = lab_read_u64(reader);
	ret->username = lab_read_view(reader, lab_read_u8(reader));
	return !reader->failed && lab_view_eq_cstr(magic, MAGIC) && version == VERSION;
}

bool obox_root_file_user(struct env *env, const char *path, char ret[OBOX_USERNAME_MAX + 1])
{
	uint8_t bytes[HEADER_BYTES_MAX];
	struct env_file *file;
	struct lab_error ignored;
	struct header header;
	struct lab_reader reader;
	size_t len = 0;

	if (env_file_open(env, path, ENV_OPEN_READ, &file, &ignored) < 0)
		return false;
	if (env_file_read(file, 0, bytes, sizeof(bytes), &len, &ignored) < 0)
		len = 0;
	env_file_close(&file);
	reader = (struct lab_reader){ .rest = lab_view_of(bytes, len) };
	return get_header(&reader, &header) && header.username.len > 0 &&
	       lab_view_find_byte(header.username, '\0') == SIZE_MAX &&
	       lab_view_to_cstr(header.username, ret, OBOX_USERNAME_MAX + 1) == 0;
}

static bool read_file(struct obox_root *root)
{
	struct lab_arena *arena = lab_arena_new(root->env->heap, (size_t)FILE_MAX + 65536);
	struct lab_reader reader = { 0 };
	bool is_good = false;
	struct header header;

	if (env_file_load(root->env, root->path, FILE_MAX, arena, &reader.rest, NULL) == 0 &&
		get_header(&reader, &header) && header.state == IS_CLEAN &&
		lab_view_eq_cstr(header.username, root->user->username) &&
		header.hash == lab_hash_view(HASH_SEED, reader.rest))
		is_good = reboots_check(backend_get_reboots(root->user->backend), &reader) &&
			  obox_root_decode(root, &reader);
	lab_arena_free(&arena);
	return is_good;
}

bool obox_root_load(struct obox_root *root)
{
	bool is_good = read_file(root);
	struct lab_error err;

	if (env_file_open(root->env, root->path, ENV_OPEN_WRITE, &root->file, &err) < 0) {
		root->file = NULL;
		lose_file(root, &err);
	}
	write_header(root, IS_OPEN, 0);
	if (root->file == NULL && is_good) {
		/* It still says "clean", and must not be believed again. */
		(void)env_unlink(root->env, root->path, &err);
		return false;
	}
	return is_good;
}
