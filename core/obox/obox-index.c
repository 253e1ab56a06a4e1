/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-index.c - the local index of a folder: its state, and the file that a clean stop leaves.
 *
 *   header  "oboxidx2" | open or clean u32 | UIDVALIDITY u32 | author u64 | hash u64 of all that
 *   record  length u32 | type u8 | body | hash u64 of type and body
 *
 * Records are the changes since the index was empty, or since a record with a whole state. The file
 * is never synced while it is open (mail_fsync=never): everything in it can be made from the
 * listing and the bundles. So a file that says "open" belongs to a process that did not stop
 * cleanly, its tail may be lost, and its author may have said what nobody remembers: it is not
 * used, and the new index has a new author.
 */
#include "core/obox/index-codec-private.h"
#include "core/base/defect.h"
#include "core/obox/obox-private.h"
#include "core/base/mark.h"

#define MAGIC "oboxidx2"
#define HEADER_BYTES 32
#define STATE_OPEN 1
#define STATE_CLEAN 2
#define INDEX_FILE_MAX (512u * 1024 * 1024)
#define INDEX_HASH_SEED UINT64_C(0x6f626f7869647831)
/* A clean stop puts a log together that has more than twice what its mails would take. */
#define COMPACT_BYTES_MIN 65536
#define APPEND_BYTES 92

enum record_type {
	RECORD_APPEND = 1,
	RECORD_EXPUNGE = 2,
	RECORD_FLAG = 3,  /* UID u32 | set u8 | flag u8, or 0 and the keyword's name */
	RECORD_STATE = 4, /* as obox_state_encode() writes it */
	RECORD_KEPT = 5,  /* the last one of a clean stop */
	RECORD_SIZE = 6,  /* UID u32 | size u64 */
	RECORD_COPIED = 7 /* UID u32 */
};

/* ---- encoding ---- */

static uint64_t hash_of(struct lab_view bytes)
{
	return lab_hash_view(INDEX_HASH_SEED, bytes);
}

static void encode_header(struct lab_buf *out, uint32_t is_clean, const struct obox_index *index)
{
	lab_buf_append_cstr(out, MAGIC);
	lab_buf_append_u32(out, is_clean);
	lab_buf_append_u32(out, index->state->uidvalidity);
	lab_buf_append_u64(out, index->state->authors[index->author].id);
	lab_buf_append_u64(out, hash_of(lab_buf_view(out)));
}

struct header {
	uint32_t state, uidvalidity;
	uint64_t author;
};

static bool decode_header(struct lab_reader *reader, struct header *ret)
{
	struct lab_view hashed = lab_view_sub(reader->rest, 0, HEADER_BYTES - 8);
	struct lab_view magic = lab_read_view(reader, strlen(MAGIC));

	ret->state = lab_read_u32(reader);
	ret->uidvalidity = lab_read_u32(reader);
	ret->author = lab_read_u64(reader);
	return lab_read_u64(reader) == hash_of(hashed) && !reader->failed &&
	       lab_view_eq_cstr(magic, MAGIC);
}

/* The body is what follows until end_record(). */
static void begin_record(struct obox_index *index, struct lab_buf *out, enum record_type type)
{
	lab_buf_init(out, index->env->heap, INDEX_FILE_MAX);
	lab_buf_append_u32(out, 0);
	lab_buf_append_byte(out, (uint8_t)type);
}

static void encode_append(struct lab_buf *out, const struct obox_mail *mail)
{
	lab_buf_append_u32(out, mail->uid);
	lab_buf_append(out, mail->name, sizeof(mail->name));
	lab_buf_append(out, mail->guid, sizeof(mail->guid));
	lab_buf_append_u64(out, mail->size);
	lab_buf_append_u64(out, (uint64_t)mail->received);
	lab_buf_append_u64(out, (uint64_t)mail->saved);
	lab_buf_append_byte(out, mail->oid_len);
	lab_buf_append(out, mail->oid, mail->oid_len);
	lab_buf_append_byte(out, mail->bits);
}

static bool decode_append(struct lab_reader *reader, struct obox_mail *ret)
{
	*ret = (struct obox_mail){ .uid = lab_read_u32(reader) };
	lab_read_bytes(reader, ret->name, sizeof(ret->name));
	lab_read_bytes(reader, ret->guid, sizeof(ret->guid));
	ret->size = lab_read_u64(reader);
	ret->received = (int64_t)lab_read_u64(reader);
	ret->saved = (int64_t)lab_read_u64(reader);
	ret->oid_len = lab_read_u8(reader);
	if (ret->oid_len > sizeof(ret->oid) || !codec_size_is_possible(ret->size))
		return false;
	lab_read_bytes(reader, ret->oid, ret->oid_len);
	/* A log of before there were any: its sizes were others, too. */
	if (reader->rest.len == 0) {
		ret->bits = OBOX_MAIL_COPIED;
		ret->size = UINT64_MAX;
		return !reader->failed;
	}
	ret->bits = lab_read_u8(reader);
	if ((ret->bits & ~OBOX_MAIL_COPIED) != 0)
		return false;
	return !reader->failed && reader->rest.len == 0;
}

/* Takes one record off the front; false if there is none that is whole. */
static bool next_record(
	struct lab_reader *file, enum record_type *ret_type, struct lab_reader *ret_body)
{
	struct lab_view record = lab_read_view(file, lab_read_u32(file));

	if (lab_read_u64(file) != hash_of(record) || file->failed || record.len < 1)
		return false;
	*ret_type = (enum record_type)record.ptr[0];
	*ret_body = (struct lab_reader){ .rest = lab_view_skip(record, 1) };
	return true;
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
	encode_header(&header, state, index);
	write_at(index, 0, lab_buf_view(&header));
	lab_buf_done(&header);
}

/* Sets the length, adds the hash, writes it. */
static void end_record(struct obox_index *index, struct lab_buf *record)
{
	struct lab_error err = { .message = "index is too large" };
	size_t len = record->len - 4;
	uint64_t offset = index->file_size;

	if (record->overflow || offset + record->len + 8 > INDEX_FILE_MAX) {
		lose_file(index, &err);
		lab_buf_done(record);
		return;
	}
	for (size_t i = 0; i < 4; i++)
		record->data[i] = (uint8_t)(len >> (8 * (3 - i)));
	lab_buf_append_u64(record, hash_of(lab_view_of(record->data + 4, len)));
	index->file_size += record->len;
	write_at(index, offset, lab_buf_view(record));
	lab_buf_done(record);
}

/* ---- reading it ---- */

static bool replay_append(struct obox_index *index, struct lab_reader *body)
{
	struct obox_state *state = index->state;
	struct obox_mail mail;

	if (!decode_append(body, &mail) || mail.uid == 0 || mail.uid == UINT32_MAX ||
		state->count == OBOX_MAILS_MAX || obox_state_find(state, mail.uid) != NULL ||
		obox_state_find_name(state, mail.name) != NULL)
		return false;
	(void)obox_state_add(state, index->author, &mail);
	return true;
}

static bool replay_expunge(struct obox_index *index, struct lab_reader *body)
{
	uint32_t uid = lab_read_u32(body);

	return !body->failed && body->rest.len == 0 && obox_state_expunge(index->state, uid) == 1;
}

static bool replay_flag(struct obox_index *index, struct lab_reader *body)
{
	uint32_t uid = lab_read_u32(body);
	uint8_t is_set = lab_read_u8(body);
	uint16_t flag = lab_read_u8(body);

	if (body->failed || is_set > 1 || flag >= OBOX_FIRST_KEYWORD ||
		(flag == 0 && obox_state_keyword(index->state, body->rest, &flag, NULL) < 0))
		return false;
	return obox_state_set_flag(index->state, index->author, uid, flag, is_set == 1) == 1;
}

static bool replay_size(struct obox_index *index, struct lab_reader *body)
{
	uint32_t uid = lab_read_u32(body);
	uint64_t size = lab_read_u64(body);

	return !body->failed && body->rest.len == 0 && size <= OBOX_SIZE_MAX &&
	       obox_state_set_size(index->state, uid, size) == 1;
}

static bool replay_copied(struct obox_index *index, struct lab_reader *body)
{
	uint32_t uid = lab_read_u32(body);

	return !body->failed && body->rest.len == 0 &&
	       obox_state_mark_copied(index->state, uid) == 1;
}

static bool replay_state(struct obox_index *index, struct lab_reader *body)
{
	uint64_t author = index->state->authors[index->author].id;
	struct obox_state *state;

	obox_state_sweep(index->state);
	if (index->state->count > 0 ||
		obox_state_decode(index->env->heap, body->rest, &state, NULL) < 0)
		return false;
	obox_state_free(&index->state);
	index->state = state;
	return obox_state_author(state, author, &index->author, NULL) == 0;
}

static void forget_kept(struct obox_index *index)
{
	lab_heap_free(index->env->heap, index->kept);
	index->kept = NULL;
	index->kept_len = 0;
}

static bool replay_kept(struct obox_index *index, struct lab_reader *body)
{
	index->kept_len = body->rest.len;
	index->kept = lab_heap_alloc(index->env->heap, body->rest.len + 1);
	if (body->rest.len > 0)
		memcpy(index->kept, body->rest.ptr, body->rest.len);
	return true;
}

static bool replay(struct obox_index *index, struct lab_reader *file)
{
	static bool (*const replays[])(struct obox_index *, struct lab_reader *) = {
		[RECORD_APPEND] = replay_append,
		[RECORD_EXPUNGE] = replay_expunge,
		[RECORD_FLAG] = replay_flag,
		[RECORD_STATE] = replay_state,
		[RECORD_KEPT] = replay_kept,
		[RECORD_SIZE] = replay_size,
		[RECORD_COPIED] = replay_copied,
	};
	enum record_type type;
	struct lab_reader body;

	while (file->rest.len > 0) {
		if (!next_record(file, &type, &body) || type >= LAB_COUNT_OF(replays) ||
			replays[type] == NULL)
			return false;
		forget_kept(index);
		if (!replays[type](index, &body))
			return false;
	}
	obox_state_sweep(index->state);
	return index->kept != NULL || lab_defect(INDEX_OF_BEFORE_CRASH);
}

static int new_author(struct obox_index *index, struct lab_error *err)
{
	uint8_t guid[ENV_GUID128_SIZE];

	env_guid128_generate(index->env, guid);
	return obox_state_author(index->state, lab_hash_bytes(INDEX_HASH_SEED, guid, sizeof(guid)),
		&index->author, err);
}

/* A new state by a new author. */
static void new_state(struct obox_index *index, uint32_t uidvalidity)
{
	struct lab_error err;

	obox_state_free(&index->state);
	index->state = obox_state_new(index->env->heap, uidvalidity);
	lab_assert(new_author(index, &err) == 0);
}

/* The state that a clean stop left. False if there is none that can be trusted; the UIDVALIDITY is
 * told if the header is whole. */
static bool load(struct obox_index *index, uint32_t *ret_uidvalidity)
{
	struct lab_arena *arena = lab_arena_new(index->env->heap, (size_t)INDEX_FILE_MAX + 65536);
	struct lab_reader file = { 0 };
	struct header header;
	struct lab_error err;
	bool trusted = false;

	*ret_uidvalidity = 0;
	if (env_file_load(index->env, index->path, INDEX_FILE_MAX, arena, &file.rest, NULL) == 0 &&
		decode_header(&file, &header)) {
		index->file_size = HEADER_BYTES + file.rest.len;
		*ret_uidvalidity = header.uidvalidity;
		index->state = obox_state_new(index->env->heap, header.uidvalidity);
		trusted =
			(header.state == STATE_CLEAN || lab_defect(INDEX_OF_BEFORE_CRASH)) &&
			obox_state_author(index->state, header.author, &index->author, &err) == 0 &&
			replay(index, &file) && index->state->uidvalidity == header.uidvalidity;
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

/* The header comes first: a crash before the truncation leaves "open" and the UIDVALIDITY. */
static void empty_file(struct obox_index *index)
{
	struct lab_error err;

	index->file_size = HEADER_BYTES;
	write_header(index, STATE_OPEN);
	if (index->file != NULL && env_file_truncate(index->file, HEADER_BYTES, &err) < 0)
		lose_file(index, &err);
	sync_file(index);
}

static void begin_anew(struct obox_index *index, uint32_t old_uidvalidity)
{
	forget_kept(index);
	obox_base_free(&index->base);
	index->lost_uidvalidity = LAB_MAX(index->lost_uidvalidity, old_uidvalidity);
	/* The header remembers it until there is another one. */
	new_state(index, index->lost_uidvalidity);
	empty_file(index);
	index->state->uidvalidity = 0;
}

void obox_index_settle(struct obox_index *index, uint32_t uidvalidity)
{
	uint32_t now = (uint32_t)env_wall_seconds(index->env);

	if (index->state->uidvalidity != 0)
		return;
	index->state->uidvalidity =
		uidvalidity != 0 ? uidvalidity : LAB_MAX(now, index->lost_uidvalidity + 1);
	write_header(index, STATE_OPEN);
	sync_file(index);
}

/* The file could not be marked as open. As it is, the next process would take it for clean, and
 * give UIDs again that this one gives now: it goes, and this index begins anew. */
static void abandon_file(struct obox_index *index)
{
	struct lab_error err;

	if (env_unlink(index->env, index->path, &err) < 0 && err.code != LAB_NOT_FOUND)
		lose_file(index, &err);
	begin_anew(index, index->state->uidvalidity);
}

void obox_index_open(struct obox_index *index, struct env *env, const char *path, bool *ret_trusted)
{
	struct lab_error err;
	uint32_t uidvalidity;

	*index = (struct obox_index){ .env = env };
	lab_assert(strlen(path) < sizeof(index->path));
	memcpy(index->path, path, strlen(path) + 1);
	*ret_trusted = load(index, &uidvalidity);
	if (env_file_open(env, path, ENV_OPEN_WRITE, &index->file, &err) < 0) {
		index->file = NULL;
		lose_file(index, &err);
	}
	if (!*ret_trusted) {
		begin_anew(index, uidvalidity);
		return;
	}
	write_header(index, STATE_OPEN);
	sync_file(index);
	if (index->file == NULL) {
		*ret_trusted = false;
		abandon_file(index);
	}
}

/* ---- closing ---- */

/* The state takes the place of the log. A crash meanwhile leaves "open". */
void obox_index_rewrite(struct obox_index *index)
{
	struct lab_buf record;

	empty_file(index);
	begin_record(index, &record, RECORD_STATE);
	obox_state_encode(index->state, &record);
	end_record(index, &record);
}

static void write_kept(struct obox_index *index, struct lab_view kept)
{
	struct lab_buf record;

	begin_record(index, &record, RECORD_KEPT);
	lab_buf_append_view(&record, kept);
	end_record(index, &record);
}

void obox_index_drop(struct obox_index *index)
{
	env_file_close(&index->file);
	forget_kept(index);
	obox_base_free(&index->base);
	obox_base_free(&index->next_base);
	obox_state_free(&index->state);
}

void obox_index_close(struct obox_index *index, struct lab_view kept)
{
	struct lab_error err;

	if (index->file_size >= COMPACT_BYTES_MIN + 2 * APPEND_BYTES * index->state->count)
		obox_index_rewrite(index);
	write_kept(index, kept);
	/* Nobody has seen one that was not settled, and the header remembers what was before. */
	if (index->state->uidvalidity != 0 && index->file != NULL &&
		env_file_sync(index->file, &err) == 0) {
		write_header(index, STATE_CLEAN);
		if (index->file != NULL)
			(void)env_file_sync(index->file, &err);
	}
	obox_index_drop(index);
}

void obox_index_reset(struct obox_index *index, struct obox_index_content *ret)
{
	struct obox_index_content before = { index->state, index->author, index->base };
	uint32_t uidvalidity = index->state->uidvalidity;

	lab_assert(index->next_base == NULL);
	index->state = NULL;
	index->base = NULL;
	begin_anew(index, uidvalidity);
	if (ret != NULL)
		*ret = before;
	else
		obox_index_content_free(&before);
}

void obox_index_restore(struct obox_index *index, struct obox_index_content *content)
{
	obox_state_free(&index->state);
	obox_base_free(&index->base);
	index->state = content->state;
	index->author = content->author;
	index->base = content->base;
	*content = (struct obox_index_content){ 0 };
	obox_index_rewrite(index);
}

void obox_index_content_free(struct obox_index_content *content)
{
	obox_state_free(&content->state);
	obox_base_free(&content->base);
}

void obox_index_replace(struct obox_index *index, struct obox_state *state)
{
	uint64_t author = index->state->authors[index->author].id;
	struct lab_error err;

	if (index->base != NULL)
		obox_base_replace(index->base, index->state, state);
	obox_state_free(&index->state);
	index->state = state;
	lab_assert(obox_state_author(state, author, &index->author, &err) == 0);
}

void obox_index_give_up(struct obox_index *index, struct obox_state *state)
{
	struct lab_error err;

	obox_base_free(&index->base);
	obox_state_free(&index->state);
	index->state = state;
	/* The caller has seen that there is room for one more. */
	lab_assert(new_author(index, &err) == 0);
}

/* ---- what is in it ---- */

struct obox_mail *obox_index_find(const struct obox_index *index, uint32_t uid)
{
	struct obox_record *record = obox_state_find(index->state, uid);

	return record == NULL ? NULL : &record->mail;
}

struct obox_mail *obox_index_find_name(
	const struct obox_index *index, const uint8_t name[ENV_GUID128_SIZE])
{
	struct obox_record *record = obox_state_find_name(index->state, name);

	return record == NULL ? NULL : &record->mail;
}

/* ---- changes ---- */

static bool is_last(const struct obox_state *state, uint32_t uid)
{
	const struct obox_record *last = &state->records[state->count - 1];

	return last->mail.uid == uid && uid < state->next_uid &&
	       (state->count == 1 || last[-1].mail.uid < uid);
}

uint32_t obox_index_append(struct obox_index *index, const struct obox_mail *mail)
{
	const struct obox_mail *present = obox_index_find_name(index, mail->name);
	struct obox_mail added = *mail;
	struct lab_buf record;

	if (present != NULL && !lab_defect(RESCAN_ADDS_AGAIN))
		return present->uid;
	index->changes++;
	lab_assert(index->state->count < OBOX_MAILS_MAX);
	added.uid = obox_state_add(index->state, index->author, mail);
	LAB_ALWAYS(uid_is_new, is_last(index->state, added.uid));
	begin_record(index, &record, RECORD_APPEND);
	encode_append(&record, &added);
	end_record(index, &record);
	return added.uid;
}

static void before_expunge(struct obox_index *index, const struct obox_record *gone)
{
	index->changes++;
	if (index->base != NULL)
		obox_base_expunge(index->base, index->state, gone);
	if (index->next_base != NULL)
		obox_base_expunge(index->next_base, index->state, gone);
}

static void log_expunge(struct obox_index *index, uint32_t uid)
{
	struct lab_buf record;

	begin_record(index, &record, RECORD_EXPUNGE);
	lab_buf_append_u32(&record, uid);
	end_record(index, &record);
}

/* Writing blocks: nobody may see a state that is not swept. */
void obox_index_expunge(struct obox_index *index, const uint32_t *uids, size_t count)
{
	bool *gone = lab_new_array(index->env->heap, bool, count + 1);

	for (size_t i = 0; i < count; i++) {
		const struct obox_record *record = obox_state_find(index->state, uids[i]);

		gone[i] = record != NULL;
		if (record == NULL)
			continue;
		before_expunge(index, record);
		(void)obox_state_expunge(index->state, uids[i]);
	}
	obox_state_sweep(index->state);
	for (size_t i = 0; i < count; i++) {
		if (gone[i])
			log_expunge(index, uids[i]);
	}
	lab_heap_free(index->env->heap, gone);
}

struct logged_keep {
	struct obox_index *index;
	obox_keep_fn keep;
	void *ctx;
};

static bool keep_or_log(void *ctx, const struct obox_mail *mail)
{
	struct logged_keep *logged = ctx;
	bool kept = logged->keep(logged->ctx, mail);

	if (!kept) {
		/* A record begins with its mail. */
		before_expunge(logged->index, (const struct obox_record *)mail);
		log_expunge(logged->index, mail->uid);
	}
	return kept;
}

size_t obox_index_expunge_unless(struct obox_index *index, obox_keep_fn keep, void *ctx)
{
	struct logged_keep logged = { index, keep, ctx };

	return obox_state_expunge_unless(index->state, keep_or_log, &logged);
}

/* A diff has what is not as in its base. */
static void touch(struct obox_index *index, uint32_t uid)
{
	const struct obox_record *record = obox_state_find(index->state, uid);

	if (index->base != NULL)
		obox_base_touch(index->base, index->state, record);
	if (index->next_base != NULL)
		obox_base_touch(index->next_base, index->state, record);
}

int obox_index_set_size(struct obox_index *index, uint32_t uid, uint64_t size)
{
	struct lab_buf record;

	lab_assert(size <= OBOX_SIZE_MAX);
	if (obox_state_set_size(index->state, uid, size) == 0)
		return 0;
	index->changes++;
	touch(index, uid);
	begin_record(index, &record, RECORD_SIZE);
	lab_buf_append_u32(&record, uid);
	lab_buf_append_u64(&record, size);
	end_record(index, &record);
	return 1;
}

void obox_index_mark_copied(struct obox_index *index, uint32_t uid)
{
	struct lab_buf record;

	if (obox_state_mark_copied(index->state, uid) == 0)
		return;
	index->changes++;
	touch(index, uid);
	begin_record(index, &record, RECORD_COPIED);
	lab_buf_append_u32(&record, uid);
	end_record(index, &record);
}

int obox_index_set_flag(struct obox_index *index, uint32_t uid, uint16_t flag, bool is_set)
{
	struct lab_buf record;

	if (obox_state_set_flag(index->state, index->author, uid, flag, is_set) == 0)
		return 0;
	index->changes++;
	index->important_changes++;
	begin_record(index, &record, RECORD_FLAG);
	lab_buf_append_u32(&record, uid);
	lab_buf_append_byte(&record, is_set);
	lab_buf_append_byte(&record, flag < OBOX_FIRST_KEYWORD ? (uint8_t)flag : 0);
	if (flag >= OBOX_FIRST_KEYWORD)
		lab_buf_append_cstr(&record, index->state->keywords[flag - OBOX_FIRST_KEYWORD]);
	end_record(index, &record);
	return 1;
}
