/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-users.c - users and directories of a metacache, and their file.
 *
 *   "oboxmusr" | version u8 | stamp of the run (reboots.h) | users u32 |
 *   of each: name u8 + bytes, home u16 + bytes, fields u8 of (name u8 + bytes, value u16 + bytes),
 *            directories u32 of (GUID u8 + bytes, priority u8, changes u8, bytes u64, accessed u64)
 *   hash u64 of all that
 */
#include "core/obox/metacache-users.h"

#include "core/obox/reboots.h"

#define MAGIC "oboxmusr"
#define VERSION 1
#define HASH_SEED UINT64_C(0x6d65746175736572)
#define STAMP_BYTES 16
#define FILE_MAX (512u * 1024 * 1024)
#define VALUE_MAX 1024

void metacache_users_init(struct metacache_users *users, struct env *env)
{
	*users = (struct metacache_users){ .env = env,
		.users = lab_tree_new(env->heap, METACACHE_USERS_MAX) };
}

static void user_free(struct lab_heap *heap, struct metacache_user *user)
{
	struct lab_tree_iter iter = lab_tree_iterate(user->directories, LAB_VIEW(""));
	struct lab_view guid;
	void *directory;

	while (lab_tree_next(&iter, &guid, &directory))
		lab_heap_free(heap, directory);
	lab_tree_free(&user->directories);
	for (size_t i = 0; i < user->field_count; i++) {
		lab_heap_free(heap, user->fields[i].name);
		lab_heap_free(heap, user->fields[i].value);
	}
	lab_heap_free(heap, user->name);
	lab_heap_free(heap, user->home);
	lab_heap_free(heap, user);
}

static void clear(struct metacache_users *users)
{
	struct lab_tree_iter iter = lab_tree_iterate(users->users, LAB_VIEW(""));
	struct lab_view name;
	void *user;

	while (lab_tree_next(&iter, &name, &user))
		user_free(users->env->heap, user);
	lab_tree_clear(users->users);
	users->bytes = 0;
}

void metacache_users_done(struct metacache_users *users)
{
	clear(users);
	lab_tree_free(&users->users);
}

/* ---- users and directories ---- */

static char *keep(struct lab_heap *heap, struct lab_view text)
{
	char *copy = lab_heap_alloc(heap, text.len + 1);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return copy;
}

struct metacache_user *metacache_users_find(
	const struct metacache_users *users, struct lab_view name)
{
	return lab_tree_get(users->users, name);
}

struct metacache_user *metacache_users_get(
	struct metacache_users *users, struct lab_view name, struct lab_view home)
{
	struct metacache_user *user = metacache_users_find(users, name);
	struct lab_heap *heap = users->env->heap;
	void **slot;

	if (user != NULL && lab_view_eq_cstr(home, user->home))
		return user;
	if (user != NULL) {
		/* mail_home was changed. What lies at the old place the next scan finds. */
		lab_heap_free(heap, user->home);
		user->home = keep(heap, home);
		return user;
	}
	slot = lab_tree_slot(users->users, name);
	if (slot == NULL)
		return NULL;
	user = lab_new(heap, struct metacache_user);
	user->name = keep(heap, name);
	user->home = keep(heap, home);
	user->directories = lab_tree_new(heap, METACACHE_DIRECTORIES_MAX);
	*slot = user;
	return user;
}

struct metacache_directory *metacache_users_directory(
	struct metacache_users *users, struct metacache_user *user, const char *guid)
{
	void **slot = lab_tree_slot(user->directories, lab_view_cstr(guid));
	struct metacache_directory *directory;

	if (slot == NULL || *slot != NULL)
		return slot == NULL ? NULL : *slot;
	*slot = directory = lab_new(users->env->heap, struct metacache_directory);
	directory->priority = guid[0] == '\0' ? METACACHE_ROOT : METACACHE_OTHER;
	lab_assert(strlen(guid) < sizeof(directory->guid));
	memcpy(directory->guid, guid, strlen(guid) + 1);
	return directory;
}

void metacache_users_count(struct metacache_users *users, struct metacache_user *user,
	struct metacache_directory *directory, uint64_t bytes)
{
	users->bytes += bytes - directory->bytes;
	user->bytes += bytes - directory->bytes;
	directory->bytes = bytes;
}

void metacache_users_forget_directory(
	struct metacache_users *users, struct metacache_user *user, const char *guid)
{
	struct metacache_directory *directory =
		lab_tree_remove(user->directories, lab_view_cstr(guid));

	if (directory == NULL)
		return;
	metacache_users_count(users, user, directory, 0);
	lab_heap_free(users->env->heap, directory);
}

void metacache_users_forget(struct metacache_users *users, struct metacache_user *user)
{
	users->bytes -= user->bytes;
	(void)lab_tree_remove(users->users, lab_view_cstr(user->name));
	user_free(users->env->heap, user);
}

static void remove_field(struct lab_heap *heap, struct metacache_user *user, size_t at)
{
	lab_heap_free(heap, user->fields[at].name);
	lab_heap_free(heap, user->fields[at].value);
	memmove(&user->fields[at], &user->fields[at + 1],
		(user->field_count - at - 1) * sizeof(user->fields[0]));
	user->field_count--;
}

int metacache_users_set_field(struct metacache_users *users, struct metacache_user *user,
	struct lab_view name, struct lab_view value, struct lab_error *err)
{
	struct lab_heap *heap = users->env->heap;
	size_t at = 0;

	if (name.len == 0 || name.len > METACACHE_NAME_MAX || value.len > VALUE_MAX)
		return lab_fail(err, LAB_LIMIT,
			"a field has a name of 1 to %d bytes and a value of at most %d",
			METACACHE_NAME_MAX, VALUE_MAX);
	while (at < user->field_count && !lab_view_eq_cstr(name, user->fields[at].name))
		at++;
	if (at < user->field_count)
		remove_field(heap, user, at);
	if (value.len == 0)
		return 0;
	if (user->field_count == METACACHE_FIELDS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d fields of user %s",
			METACACHE_FIELDS_MAX, user->name);
	user->fields[user->field_count++] =
		(struct metacache_field){ keep(heap, name), keep(heap, value) };
	return 0;
}

/* ---- writing the file ---- */

static void put_short(struct lab_buf *out, const char *text)
{
	size_t len = LAB_MIN(strlen(text), (size_t)UINT8_MAX);

	lab_buf_append_byte(out, (uint8_t)len);
	lab_buf_append(out, text, len);
}

static void put_text(struct lab_buf *out, const char *text)
{
	size_t len = LAB_MIN(strlen(text), (size_t)UINT16_MAX);

	lab_buf_append_u16(out, (uint16_t)len);
	lab_buf_append(out, text, len);
}

static void put_directories(struct lab_buf *out, const struct metacache_user *user)
{
	struct lab_tree_iter iter = lab_tree_iterate(user->directories, LAB_VIEW(""));
	struct lab_view guid;
	void *value;

	lab_buf_append_u32(out, (uint32_t)lab_tree_count(user->directories));
	while (lab_tree_next(&iter, &guid, &value)) {
		const struct metacache_directory *directory = value;

		put_short(out, directory->guid);
		lab_buf_append_byte(out, (uint8_t)directory->priority);
		lab_buf_append_byte(out, (uint8_t)directory->changes);
		lab_buf_append_u64(out, directory->bytes);
		lab_buf_append_u64(out, (uint64_t)directory->accessed);
	}
}

void metacache_users_encode(
	const struct metacache_users *users, struct lab_view stamp, struct lab_buf *out)
{
	struct lab_tree_iter iter = lab_tree_iterate(users->users, LAB_VIEW(""));
	size_t begin = out->len;
	struct lab_view name;
	void *value;

	lab_buf_append_cstr(out, MAGIC);
	lab_buf_append_byte(out, VERSION);
	lab_buf_append_view(out, stamp);
	lab_buf_append_u32(out, (uint32_t)lab_tree_count(users->users));
	while (lab_tree_next(&iter, &name, &value)) {
		const struct metacache_user *user = value;

		put_short(out, user->name);
		put_text(out, user->home);
		lab_buf_append_byte(out, (uint8_t)user->field_count);
		for (size_t i = 0; i < user->field_count; i++) {
			put_short(out, user->fields[i].name);
			put_text(out, user->fields[i].value);
		}
		put_directories(out, user);
	}
	lab_buf_append_u64(out, lab_hash_view(HASH_SEED, lab_view_skip(lab_buf_view(out), begin)));
}

/* ---- reading it ---- */

static bool is_guid(struct lab_view text)
{
	uint8_t bytes[ENV_GUID128_SIZE];

	return text.len == 0 ||
	       (text.len == 2 * ENV_GUID128_SIZE && lab_unhex(text, bytes, sizeof(bytes)) == 0);
}

static bool get_directory(
	struct lab_reader *reader, struct metacache_users *users, struct metacache_user *user)
{
	struct lab_view guid = lab_read_view(reader, lab_read_u8(reader));
	uint8_t priority = lab_read_u8(reader), changes = lab_read_u8(reader);
	uint64_t bytes = lab_read_u64(reader), accessed = lab_read_u64(reader);
	struct metacache_directory *directory;
	char name[METACACHE_GUID_MAX];

	if (reader->failed || !is_guid(guid) || priority >= METACACHE_PRIORITIES ||
		changes >= METACACHE_CHANGES_COUNT || bytes > INT64_MAX ||
		users->bytes + bytes > INT64_MAX || lab_tree_get(user->directories, guid) != NULL ||
		lab_view_to_cstr(guid, name, sizeof(name)) < 0)
		return false;
	directory = metacache_users_directory(users, user, name);
	if (directory == NULL)
		return false;
	directory->priority = (enum metacache_priority)priority;
	directory->changes = (enum metacache_changes)changes;
	directory->accessed = (int64_t)accessed;
	metacache_users_count(users, user, directory, bytes);
	return true;
}

static bool has_no_nul(struct lab_view text)
{
	return lab_view_find_byte(text, '\0') == SIZE_MAX;
}

static bool get_fields(
	struct lab_reader *reader, struct metacache_users *users, struct metacache_user *user)
{
	uint8_t count = lab_read_u8(reader);

	for (uint8_t i = 0; i < count && !reader->failed; i++) {
		struct lab_view name = lab_read_view(reader, lab_read_u8(reader));
		struct lab_view value = lab_read_view(reader, lab_read_u16(reader));

		if (reader->failed || value.len == 0 || !has_no_nul(name) || !has_no_nul(value) ||
			metacache_users_set_field(users, user, name, value, NULL) < 0)
			return false;
	}
	return user->field_count == count;
}

static bool get_user(struct lab_reader *reader, struct metacache_users *users)
{
	struct lab_view name = lab_read_view(reader, lab_read_u8(reader));
	struct lab_view home = lab_read_view(reader, lab_read_u16(reader));
	struct metacache_user *user;
	uint32_t directories;

	if (reader->failed || name.len == 0 || home.len == 0 || home.len >= ENV_PATH_MAX ||
		home.ptr[0] != '/' || !has_no_nul(name) || !has_no_nul(home) ||
		metacache_users_find(users, name) != NULL)
		return false;
	user = metacache_users_get(users, name, home);
	if (user == NULL || !get_fields(reader, users, user))
		return false;
	directories = lab_read_count(reader, 19);
	for (uint32_t i = 0; i < directories; i++) {
		if (!get_directory(reader, users, user))
			return false;
	}
	return !reader->failed;
}

int metacache_users_decode(struct metacache_users *users, struct lab_view bytes, size_t stamp_bytes,
	struct lab_view *ret_stamp, struct lab_error *err)
{
	size_t hashed = bytes.len - LAB_MIN(bytes.len, (size_t)8);
	struct lab_reader hash = { .rest = lab_view_skip(bytes, hashed) };
	struct lab_reader reader = { .rest = lab_view_sub(bytes, 0, hashed) };
	struct lab_view magic = lab_read_view(&reader, strlen(MAGIC));
	uint8_t version = lab_read_u8(&reader);
	uint32_t count;
	bool is_good;

	lab_assert(lab_tree_count(users->users) == 0);
	if (!reader.failed && lab_view_eq_cstr(magic, MAGIC) && version > VERSION)
		return lab_fail(err, LAB_UNSUPPORTED,
			"its version is %u, and %d is the latest known", version, VERSION);
	*ret_stamp = lab_read_view(&reader, stamp_bytes);
	count = lab_read_count(&reader, 10);
	is_good = !reader.failed && lab_view_eq_cstr(magic, MAGIC) && version == VERSION &&
		  lab_read_u64(&hash) == lab_hash_view(HASH_SEED, lab_view_sub(bytes, 0, hashed)) &&
		  !hash.failed;
	for (uint32_t i = 0; is_good && i < count; i++)
		is_good = get_user(&reader, users);
	if (is_good && reader.rest.len == 0)
		return 0;
	clear(users);
	return lab_fail(err, LAB_CORRUPT, "it is damaged");
}

/* ---- on the disk ---- */

static void set_aside(struct metacache_users *users, const char *path, const struct lab_error *why)
{
	struct lab_error ignored;
	struct lab_buf to;

	ENV_EVENT(users->env, LAB_EV_log_message, LAB_F_CSTR("area", "metacache"),
		LAB_F_CSTR("message", "metacache_userdb is set aside, and made from the disk"),
		LAB_F_CSTR("error", why->message));
	lab_buf_init(&to, users->env->heap, ENV_PATH_MAX);
	lab_buf_printf(&to, "%s.damaged", path);
	if (to.overflow || env_rename(users->env, path, lab_buf_cstr(&to), &ignored) < 0)
		(void)env_unlink(users->env, path, &ignored);
	lab_buf_done(&to);
}

int metacache_users_load(
	struct metacache_users *users, const char *path, const struct reboots *reboots)
{
	struct lab_arena *arena = lab_arena_new(users->env->heap, (size_t)FILE_MAX + 65536);
	struct lab_reader stamp = { 0 };
	struct lab_view bytes;
	struct lab_error err;
	int result = 0;

	if (env_file_load(users->env, path, FILE_MAX, arena, &bytes, &err) < 0) {
		if (err.code != LAB_NOT_FOUND)
			set_aside(users, path, &err);
	} else if (metacache_users_decode(users, bytes, STAMP_BYTES, &stamp.rest, &err) < 0) {
		set_aside(users, path, &err);
	} else {
		result = reboots_check(reboots, &stamp);
	}
	lab_arena_free(&arena);
	return result;
}

int metacache_users_save(
	struct metacache_users *users, const char *path, const struct reboots *reboots)
{
	struct lab_error err = { .message = "it is too large" };
	struct lab_buf bytes, stamp;
	int result = -1;

	lab_buf_init(&stamp, users->env->heap, STAMP_BYTES);
	lab_buf_init(&bytes, users->env->heap, FILE_MAX);
	reboots_stamp(reboots, &stamp);
	metacache_users_encode(users, lab_buf_view(&stamp), &bytes);
	if (!bytes.overflow)
		result = env_file_replace(users->env, path, lab_buf_view(&bytes), true, &err);
	if (result < 0) {
		ENV_EVENT(users->env, LAB_EV_log_message, LAB_F_CSTR("area", "metacache"),
			LAB_F_CSTR("message", "metacache_userdb cannot be written"),
			LAB_F_CSTR("error", err.message));
		(void)env_unlink(users->env, path, &err);
	}
	lab_buf_done(&bytes);
	lab_buf_done(&stamp);
	return result;
}
