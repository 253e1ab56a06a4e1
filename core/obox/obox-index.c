/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-index.c - the local index of a folder: a log of what was added and expunged.
 *
 *   header  "oboxidx1" | state u32 (1 open, 2 clean) | uidvalidity u32 | hash u64 of the 16 bytes
 * before record  length u32 | type u8 | body | hash u64 of type and body
 *
 * The file is never synced while it is open (mail_fsync=never): everything in it can be made from
 * the listing. So a file that says "open" belongs to a process that did not stop cleanly, its tail
 * may be lost, and its UIDs may have been given to mails that nobody remembers: it is not used, and
 * the new index has a new UIDVALIDITY.
 */
#include "core/obox/obox-private.h"

#define HEADER_BYTES 24
#define STATE_OPEN 1
#define STATE_CLEAN 2
#define RECORD_MAX 256
#define INDEX_FILE_MAX (512u * 1024 * 1024)
#define INDEX_HASH_SEED UINT64_C(0x6f626f7869647831)

enum record_type {
	RECORD_APPEND = 1,
	RECORD_EXPUNGE = 2
};

/* ---- encoding ---- */

static uint64_t get_be(const uint8_t *in, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | in[i];
	return value;
}

static void encode_header(struct lab_buf *out, uint32_t state, uint32_t uidvalidity)
{
	size_t start = out->len;

	lab_buf_append_cstr(out, "oboxidx1");
	lab_buf_append_u32(out, state);
	lab_buf_append_u32(out, uidvalidity);
	lab_buf_append_u64(out, lab_hash_bytes(INDEX_HASH_SEED, out->data + start, 16));
}

static bool decode_header(struct lab_view file, uint32_t *ret_state, uint32_t *ret_uidvalidity)
{
	if (file.len < HEADER_BYTES || memcmp(file.ptr, "oboxidx1", 8) != 0 ||
		get_be(file.ptr + 16, 8) != lab_hash_bytes(INDEX_HASH_SEED, file.ptr, 16))
		return false;
	*ret_state = (uint32_t)get_be(file.ptr + 8, 4);
	*ret_uidvalidity = (uint32_t)get_be(file.ptr + 12, 4);
	return true;
}

static void encode_record(struct lab_buf *out, enum record_type type, struct lab_view body)
{
	size_t start;

	lab_buf_append_u32(out, (uint32_t)(1 + body.len));
	start = out->len;
	lab_buf_append_byte(out, (uint8_t)type);
	lab_buf_append_view(out, body);
	lab_buf_append_u64(
		out, lab_hash_bytes(INDEX_HASH_SEED, out->data + start, out->len - start));
}

static void encode_append(struct lab_buf *out, const struct obox_mail *mail)
{
	struct lab_heap *heap = out->heap;
	struct lab_buf body;

	lab_buf_init(&body, heap, RECORD_MAX);
	lab_buf_append_u32(&body, mail->uid);
	lab_buf_append(&body, mail->name, sizeof(mail->name));
	lab_buf_append(&body, mail->guid, sizeof(mail->guid));
	lab_buf_append_u64(&body, mail->size);
	lab_buf_append_u64(&body, (uint64_t)mail->received);
	lab_buf_append_u64(&body, (uint64_t)mail->saved);
	lab_buf_append_byte(&body, mail->oid_len);
	lab_buf_append(&body, mail->oid, mail->oid_len);
	encode_record(out, RECORD_APPEND, lab_buf_view(&body));
	lab_buf_done(&body);
}

#define APPEND_FIXED (4 + 16 + 16 + 8 + 8 + 8 + 1)

static bool decode_append(struct lab_view body, struct obox_mail *ret)
{
	const uint8_t *p = body.ptr;

	if (body.len < APPEND_FIXED || p[APPEND_FIXED - 1] > OBOX_OID_BYTES_MAX ||
		body.len != APPEND_FIXED + (size_t)p[APPEND_FIXED - 1])
		return false;
	*ret = (struct obox_mail){ .uid = (uint32_t)get_be(p, 4) };
	memcpy(ret->name, p + 4, sizeof(ret->name));
	memcpy(ret->guid, p + 20, sizeof(ret->guid));
	ret->size = get_be(p + 36, 8);
	ret->received = (int64_t)get_be(p + 44, 8);
	ret->saved = (int64_t)get_be(p + 52, 8);
	ret->oid_len = p[60];
	memcpy(ret->oid, p + APPEND_FIXED, ret->oid_len);
	return true;
}

/* Takes one record off the front; false if there is none that is whole. */
static bool next_record(
	struct lab_view *rest, enum record_type *ret_type, struct lab_view *ret_body)
{
	size_t len;

	if (rest->len < 4)
		return false;
	len = (size_t)get_be(rest->ptr, 4);
	if (len < 1 || len > RECORD_MAX || rest->len < 4 + len + 8 ||
		get_be(rest->ptr + 4 + len, 8) !=
			lab_hash_bytes(INDEX_HASH_SEED, rest->ptr + 4, len))
		return false;
	*ret_type = (enum record_type)rest->ptr[4];
	*ret_body = lab_view_sub(*rest, 5, len - 1);
	*rest = lab_view_skip(*rest, 4 + len + 8);
	return true;
}

/* ---- in memory ---- */

/* Position of the first mail with a UID >= uid. */
static size_t position(const struct obox_index *index, uint32_t uid)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->mails[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void memory_add(struct obox_index *index, const struct obox_mail *mail)
{
	size_t at = position(index, mail->uid);
	void **slot;

	if (index->count == index->capacity) {
		index->capacity = index->capacity == 0 ? 16 : 2 * index->capacity;
		index->mails = lab_heap_realloc(
			index->env->heap, index->mails, index->capacity * sizeof(*index->mails));
	}
	memmove(&index->mails[at + 1], &index->mails[at],
		(index->count - at) * sizeof(*index->mails));
	index->mails[at] = *mail;
	index->count++;
	index->next_uid = LAB_MAX(index->next_uid, mail->uid + 1);
	slot = lab_map_slot(index->by_name, lab_view_of(mail->name, sizeof(mail->name)));
	lab_assert(slot != NULL);
	*slot = (void *)(uintptr_t)mail->uid;
}

static bool memory_remove(struct obox_index *index, uint32_t uid)
{
	size_t at = position(index, uid);

	if (at == index->count || index->mails[at].uid != uid)
		return false;
	lab_map_remove(
		index->by_name, lab_view_of(index->mails[at].name, sizeof(index->mails[at].name)));
	memmove(&index->mails[at], &index->mails[at + 1],
		(index->count - at - 1) * sizeof(*index->mails));
	index->count--;
	return true;
}

struct obox_mail *obox_index_find(const struct obox_index *index, uint32_t uid)
{
	size_t at = position(index, uid);

	return at < index->count && index->mails[at].uid == uid ? &index->mails[at] : NULL;
}

struct obox_mail *obox_index_find_name(
	const struct obox_index *index, const uint8_t name[ENV_GUID128_SIZE])
{
	void *uid = lab_map_get(index->by_name, lab_view_of(name, ENV_GUID128_SIZE));

	return uid == NULL ? NULL : obox_index_find(index, (uint32_t)(uintptr_t)uid);
}

static void memory_clear(struct obox_index *index)
{
	lab_map_clear(index->by_name);
	index->count = 0;
	index->next_uid = 1;
}

/* ---- the file ---- */

/* The disk failed: the index goes on in memory. */
static void lose_file(struct obox_index *index, const struct lab_error *err)
{
	ENV_EVENT(index->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
		LAB_F_CSTR("message", "local index cannot be written"),
		LAB_F_CSTR("error", err->message));
	env_file_close(&index->file);
}

static void write_at(struct obox_index *index, uint64_t offset, struct lab_view data)
{
	struct lab_error err;

	if (index->file != NULL && env_file_write(index->file, offset, data, &err) < 0)
		lose_file(index, &err);
}

static void write_header(struct obox_index *index, uint32_t state)
{
	struct lab_buf header;

	lab_buf_init(&header, index->env->heap, HEADER_BYTES);
	encode_header(&header, state, index->uidvalidity);
	write_at(index, 0, lab_buf_view(&header));
	lab_buf_done(&header);
}

static void log_record(struct obox_index *index, struct lab_buf *record)
{
	uint64_t offset = index->file_size;

	index->file_size += record->len;
	write_at(index, offset, lab_buf_view(record));
	lab_buf_done(record);
}

static bool may_add(const struct obox_index *index, const struct obox_mail *mail)
{
	return mail->uid > 0 && mail->uid < UINT32_MAX && index->count < OBOX_MAILS_MAX &&
	       obox_index_find(index, mail->uid) == NULL &&
	       obox_index_find_name(index, mail->name) == NULL;
}

static bool replay(struct obox_index *index, struct lab_view rest)
{
	enum record_type type;
	struct lab_view body;
	struct obox_mail mail;

	while (next_record(&rest, &type, &body)) {
		if (type == RECORD_APPEND && decode_append(body, &mail) && may_add(index, &mail))
			memory_add(index, &mail);
		else if (type == RECORD_EXPUNGE && body.len == 4)
			(void)memory_remove(index, (uint32_t)get_be(body.ptr, 4));
		else
			return false;
	}
	return rest.len == 0;
}

static bool load(struct obox_index *index)
{
	struct lab_arena *arena = lab_arena_new(index->env->heap, (size_t)INDEX_FILE_MAX + 65536);
	struct lab_view file;
	uint32_t state;
	bool trusted = false;

	if (env_file_load(index->env, index->path, INDEX_FILE_MAX, arena, &file, NULL) == 0 &&
		decode_header(file, &state, &index->uidvalidity)) {
		index->file_size = file.len;
		trusted = state == STATE_CLEAN && replay(index, lab_view_skip(file, HEADER_BYTES));
	}
	lab_arena_free(&arena);
	return trusted;
}

/* What happens from here on must not look clean, nor a UIDVALIDITY be forgotten. */
static void sync_file(struct obox_index *index)
{
	struct lab_error err;

	if (index->file != NULL && env_file_sync(index->file, &err) < 0)
		lose_file(index, &err);
}

/* UIDVALIDITY is the time of creation, and larger than what it was. The header comes first: a crash
 * before the truncation leaves "open" and the UIDVALIDITY. */
static void begin_anew(struct obox_index *index)
{
	uint32_t now = (uint32_t)env_wall_seconds(index->env);
	struct lab_error err;

	memory_clear(index);
	index->uidvalidity = LAB_MAX(now, index->uidvalidity + 1);
	index->file_size = HEADER_BYTES;
	write_header(index, STATE_OPEN);
	if (index->file != NULL && env_file_truncate(index->file, HEADER_BYTES, &err) < 0)
		lose_file(index, &err);
	sync_file(index);
}

/* The file could not be marked as open. As it is, the next process would take it for clean, and
 * give UIDs again that this one gives now: it goes, and this index has another UIDVALIDITY. */
static void abandon_file(struct obox_index *index)
{
	struct lab_error err;

	if (env_unlink(index->env, index->path, &err) < 0 && err.code != LAB_NOT_FOUND)
		lose_file(index, &err);
	begin_anew(index);
}

void obox_index_open(struct obox_index *index, struct env *env, const char *path, bool *ret_trusted)
{
	struct lab_error err;

	*index = (struct obox_index){ .env = env, .next_uid = 1 };
	lab_assert(strlen(path) < sizeof(index->path));
	memcpy(index->path, path, strlen(path) + 1);
	index->by_name = lab_map_new(env->heap, OBOX_MAILS_MAX);
	*ret_trusted = load(index);
	if (env_file_open(env, path, ENV_OPEN_WRITE, &index->file, &err) < 0) {
		index->file = NULL;
		lose_file(index, &err);
	}
	if (!*ret_trusted) {
		begin_anew(index);
		return;
	}
	write_header(index, STATE_OPEN);
	sync_file(index);
	if (index->file == NULL) {
		*ret_trusted = false;
		abandon_file(index);
	}
}

void obox_index_close(struct obox_index *index)
{
	struct lab_error err;

	if (index->file != NULL && env_file_sync(index->file, &err) == 0) {
		write_header(index, STATE_CLEAN);
		if (index->file != NULL)
			(void)env_file_sync(index->file, &err);
	}
	env_file_close(&index->file);
	lab_map_free(&index->by_name);
	lab_heap_free(index->env->heap, index->mails);
	index->mails = NULL;
}

void obox_index_reset(struct obox_index *index)
{
	begin_anew(index);
}

/* ---- changes ---- */

uint32_t obox_index_append(struct obox_index *index, const struct obox_mail *mail)
{
	const struct obox_mail *present = obox_index_find_name(index, mail->name);
	struct obox_mail added = *mail;
	struct lab_buf record;

	if (present != NULL)
		return present->uid;
	if (added.uid == 0)
		added.uid = index->next_uid;
	lab_assert(may_add(index, &added));
	memory_add(index, &added);
	lab_buf_init(&record, index->env->heap, 2 * RECORD_MAX);
	encode_append(&record, &added);
	log_record(index, &record);
	return added.uid;
}

static void log_expunge(struct obox_index *index, uint32_t uid)
{
	uint8_t body[4] = { (uint8_t)(uid >> 24), (uint8_t)(uid >> 16), (uint8_t)(uid >> 8),
		(uint8_t)uid };
	struct lab_buf record;

	lab_buf_init(&record, index->env->heap, RECORD_MAX);
	encode_record(&record, RECORD_EXPUNGE, lab_view_of(body, sizeof(body)));
	log_record(index, &record);
}

void obox_index_expunge(struct obox_index *index, uint32_t uid)
{
	if (memory_remove(index, uid))
		log_expunge(index, uid);
}

size_t obox_index_expunge_unless(struct obox_index *index, obox_index_keep_fn keep, void *ctx)
{
	size_t kept = 0, before = index->count;

	for (size_t i = 0; i < before; i++) {
		struct obox_mail *mail = &index->mails[i];

		if (keep(ctx, mail)) {
			index->mails[kept++] = *mail;
			continue;
		}
		lab_map_remove(index->by_name, lab_view_of(mail->name, sizeof(mail->name)));
		log_expunge(index, mail->uid);
	}
	index->count = kept;
	return before - kept;
}
