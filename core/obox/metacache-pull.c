/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-pull.c - both sides of a pull.
 *
 *   request  what u8 (1 pull, 2 clean) | user
 *   answer   code u8 (enum lab_code), then its message, or if it is ok what was asked for:
 *            "oboxpull" | version u8 | host u8 + bytes | root u32 + bytes |
 *            folders u32 of (GUID 16 bytes, changes u8, state u32 + bytes, known u32 + bytes) |
 *            hash u64 of all that
 */
#include "core/obox/metacache-pull.h"

#include "core/obox/metacache-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#define MAGIC "oboxpull"
#define VERSION 1
#define HASH_SEED UINT64_C(0x6f626f7870756c6c)
#define WHAT_PULL 1
#define WHAT_CLEAN 2
#define ANSWER_MAX (1024u * 1024 * 1024)
#define ARENA_MAX ((size_t)1 << 30)
#define REQUEST_MAX (1 + OBOX_USERNAME_MAX)

static void report(struct backend *backend, enum lab_event_id event, struct lab_view user,
	struct lab_view host, const char *type, unsigned taken, const struct lab_error *err)
{
	ENV_EVENT(backend_env(backend), event, LAB_F_TEXT("user", user),
		LAB_F_TEXT("source_host", host), LAB_F_CSTR("type", type),
		LAB_F_U64("taken", taken), LAB_F_CODE("code", err->code),
		LAB_F_CSTR("error", err->code == LAB_OK ? "" : err->message));
}

/* ---- the other side ---- */

/* With what came here in the same way, and was not compared yet. */
static enum metacache_changes changes_of(const struct obox_mailbox *mailbox)
{
	if (mailbox->index.important_changes != mailbox->sync.uploaded_important ||
		mailbox->pulled_changes == METACACHE_IMPORTANT)
		return METACACHE_IMPORTANT;
	return mailbox->index.changes != mailbox->sync.uploaded_changes ||
			       mailbox->pulled_changes > 0
		       ? METACACHE_UNIMPORTANT
		       : METACACHE_UNCHANGED;
}

/* Bytes with their length before them. */
struct sized {
	struct lab_buf *out;
	size_t at;
};

static struct sized begin_sized(struct lab_buf *out)
{
	struct sized sized = { out, out->len };

	lab_buf_append_u32(out, 0);
	return sized;
}

static void end_sized(const struct sized *sized)
{
	size_t len = sized->out->len - sized->at - 4;

	for (size_t i = 0; i < 4 && !sized->out->overflow; i++)
		sized->out->data[sized->at + i] = (uint8_t)(len >> (8 * (3 - i)));
}

static void pack_folder(struct obox_mailbox *mailbox, struct lab_buf *out)
{
	uint8_t guid[ENV_GUID128_SIZE];
	struct sized sized;

	(void)lab_unhex(lab_view_cstr(mailbox->guid), guid, sizeof(guid));
	lab_buf_append(out, guid, sizeof(guid));
	lab_buf_append_byte(out, (uint8_t)changes_of(mailbox));
	sized = begin_sized(out);
	obox_state_encode(mailbox->index.state, out);
	end_sized(&sized);
	sized = begin_sized(out);
	obox_sync_encode(mailbox, out);
	end_sized(&sized);
}

/* One that begins anew has nothing to give. */
static uint32_t pack_if_trusted(struct obox_mailbox *mailbox, struct lab_buf *out)
{
	uint32_t packed = 0;

	mailbox->references++;
	obox_mailbox_lock(mailbox);
	if (!mailbox->is_gone && mailbox->index.state->uidvalidity != 0 &&
		(changes_of(mailbox) == METACACHE_UNCHANGED || !lab_defect(PULL_LEAVES_CHANGES))) {
		pack_folder(mailbox, out);
		packed = 1;
	}
	obox_mailbox_unlock(mailbox);
	mailbox->references--;
	return packed;
}

static uint32_t pack_folders(struct obox_user *user, struct lab_arena *arena, struct lab_buf *out)
{
	struct lab_tree_iter iter = lab_tree_iterate(user->known->directories, LAB_VIEW(""));
	size_t count = 0, max = lab_tree_count(user->known->directories);
	struct lab_view *guids = lab_arena_array(arena, struct lab_view, max), guid;
	uint32_t packed = 0;
	void *directory;

	while (lab_tree_next(&iter, &guid, &directory))
		guids[count++] = lab_arena_copy(arena, guid);
	for (size_t i = 0; i < count; i++) {
		struct obox_mailbox *mailbox;
		struct lab_error ignored;

		if (guids[i].len > 0 && obox_mailbox_load(user, guids[i], &mailbox, &ignored) == 0)
			packed += pack_if_trusted(mailbox, out);
	}
	return packed;
}

static int pack(struct obox_user *user, struct lab_buf *out, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, ARENA_MAX);
	const char *host = user->env->hostname;
	size_t begin = out->len, count_at;
	struct sized sized;
	uint32_t count;
	int result;

	lab_buf_append_cstr(out, MAGIC);
	lab_buf_append_byte(out, VERSION);
	lab_buf_append_byte(out, (uint8_t)LAB_MIN(strlen(host), (size_t)UINT8_MAX));
	lab_buf_append(out, host, LAB_MIN(strlen(host), (size_t)UINT8_MAX));
	sized = begin_sized(out);
	result = obox_root_pack(&user->root_index, out, err);
	end_sized(&sized);
	count_at = out->len;
	lab_buf_append_u32(out, 0);
	if (result == 0 && user->known != NULL) {
		count = pack_folders(user, arena, out);
		for (size_t i = 0; i < 4 && !out->overflow; i++)
			out->data[count_at + i] = (uint8_t)(count >> (8 * (3 - i)));
	}
	lab_buf_append_u64(out, lab_hash_view(HASH_SEED, lab_view_skip(lab_buf_view(out), begin)));
	lab_arena_free(&arena);
	if (result == 0 && out->overflow)
		return lab_fail(err, LAB_LIMIT, "metacache of %s is too large", user->username);
	return result;
}

static int serve_pull(struct backend *backend, struct lab_view username, struct lab_buf *out,
	struct lab_error *err)
{
	struct obox_user *user;
	int result;

	if (backend_user_get(backend, username, &user, err) < 0)
		return -1;
	result = pack(user, out, err);
	backend_user_release(&user);
	return result;
}

static int serve_clean(struct backend *backend, struct lab_view username, struct lab_error *err)
{
	struct metacache_filter filter = { .mask = username, .accessed_until = INT64_MAX };
	int result = metacache_clean_matching(backend_get_metacache(backend), &filter, 0, err);

	return result == 0 ? lab_fail(err, LAB_EXISTS, "user %.*s is in use here",
				     LAB_VIEW_ARG(username))
			   : result;
}

/* The other host goes on where this one has ended, or has had the user meanwhile. */
static void hand_over(struct backend *backend, struct lab_view username)
{
	struct obox_user *user = lab_map_get(backend_get_users(backend), username);

	if (user != NULL)
		obox_user_was_elsewhere(user);
}

void metacache_serve(struct backend *backend, struct lab_view request, struct lab_buf *answer)
{
	struct lab_reader reader = { .rest = request };
	uint8_t what = lab_read_u8(&reader);
	struct lab_view host = lab_view_cstr(backend_env(backend)->hostname);
	struct lab_error err = { .code = LAB_OK };
	int result = -1;

	report(backend, LAB_EV_metacache_pull_started, reader.rest, host, "server", 0, &err);
	lab_buf_append_byte(answer, LAB_OK);
	if (what == WHAT_PULL)
		result = serve_pull(backend, reader.rest, answer, &err);
	else if (what == WHAT_CLEAN)
		result = serve_clean(backend, reader.rest, &err);
	else
		lab_fail(&err, LAB_INVALID, "a request that nobody knows");
	if (result < 0) {
		lab_buf_reset(answer);
		lab_buf_append_byte(answer, (uint8_t)err.code);
		lab_buf_append_cstr(answer, err.message);
	} else {
		err.code = LAB_OK;
		hand_over(backend, reader.rest);
	}
	report(backend, LAB_EV_metacache_pull_finished, reader.rest, host, "server", 0, &err);
}

/* ---- what travels ---- */

static bool get_folder(struct lab_reader *reader, struct metacache_archive_folder *ret)
{
	uint8_t guid[ENV_GUID128_SIZE], changes;

	lab_read_bytes(reader, guid, sizeof(guid));
	changes = lab_read_u8(reader);
	ret->state = lab_read_view(reader, lab_read_u32(reader));
	ret->known = lab_read_view(reader, lab_read_u32(reader));
	if (reader->failed || changes >= METACACHE_CHANGES_COUNT)
		return false;
	lab_hex(guid, sizeof(guid), ret->guid);
	ret->changes = (enum metacache_changes)changes;
	return true;
}

int metacache_archive_decode(struct lab_view bytes, struct lab_arena *arena,
	struct metacache_archive *ret, struct lab_error *err)
{
	size_t hashed = bytes.len - LAB_MIN(bytes.len, (size_t)8);
	struct lab_reader hash = { .rest = lab_view_skip(bytes, hashed) };
	struct lab_reader reader = { .rest = lab_view_sub(bytes, 0, hashed) };
	struct lab_view magic = lab_read_view(&reader, strlen(MAGIC));
	uint8_t version = lab_read_u8(&reader);
	bool is_good;

	if (!reader.failed && lab_view_eq_cstr(magic, MAGIC) && version > VERSION)
		return lab_fail(err, LAB_UNSUPPORTED,
			"what came has version %u, and %d is the latest known", version, VERSION);
	ret->host = lab_read_view(&reader, lab_read_u8(&reader));
	ret->root = lab_read_view(&reader, lab_read_u32(&reader));
	ret->folder_count = lab_read_count(&reader, 25);
	is_good = !reader.failed && lab_view_eq_cstr(magic, MAGIC) && version == VERSION &&
		  lab_read_u64(&hash) == lab_hash_view(HASH_SEED, lab_view_sub(bytes, 0, hashed)) &&
		  !hash.failed;
	if (is_good)
		ret->folders =
			lab_arena_array(arena, struct metacache_archive_folder, ret->folder_count);
	for (size_t i = 0; is_good && i < ret->folder_count; i++)
		is_good = get_folder(&reader, &ret->folders[i]);
	if (is_good && reader.rest.len == 0)
		return 0;
	return lab_fail(err, LAB_CORRUPT, "what came is damaged");
}

/* ---- this side ---- */

static int ask(struct backend *backend, uint8_t what, struct lab_view username,
	struct lab_view host, struct lab_buf *answer, struct lab_error *err)
{
	const struct backend_settings *settings = backend_get_settings(backend);
	struct lab_buf request;
	struct lab_view message;
	uint8_t code;
	int result;

	if (settings->peer == NULL)
		return lab_fail(err, LAB_INVALID, "there is no way to other backends");
	lab_buf_init(&request, settings->env->heap, REQUEST_MAX);
	lab_buf_append_byte(&request, what);
	lab_buf_append_view(&request, username);
	result = settings->peer(
		settings->peer_ctx, settings->env, host, lab_buf_view(&request), answer, err);
	lab_buf_done(&request);
	if (result < 0)
		return lab_error_wrap(err, "%.*s", LAB_VIEW_ARG(host));
	code = answer->len == 0 ? LAB_CORRUPT : answer->data[0];
	message = lab_view_skip(lab_buf_view(answer), 1);
	if (code == LAB_OK)
		return 0;
	/* Whatever it could not do: this side has done nothing. */
	return lab_fail(err,
		code >= LAB_CODE_COUNT || code == LAB_UNCERTAIN ? LAB_UNAVAILABLE
								: (enum lab_code)code,
		"%.*s: %.*s", LAB_VIEW_ARG(host), (int)LAB_MIN(message.len, (size_t)300),
		message.len == 0 ? "" : (const char *)message.ptr);
}

/* The first that fails ends it; what was taken before is as good as if it were all. */
static int take(struct obox_user *user, const struct metacache_archive *archive, bool latest_only,
	unsigned *taken, struct lab_error *err)
{
	int result = obox_root_adopt(&user->root_index, archive->root, latest_only, err);

	*taken += result > 0;
	for (size_t i = 0; result >= 0 && i < archive->folder_count; i++) {
		result = obox_mailbox_adopt(user, &archive->folders[i], latest_only, err);
		*taken += result > 0;
	}
	return result < 0 ? -1 : 0;
}

static int pull_from(struct backend *backend, struct lab_view username,
	const struct metacache_pull *pull, unsigned *taken, struct lab_error *err)
{
	struct lab_heap *heap = backend_env(backend)->heap;
	struct lab_arena *arena = lab_arena_new(heap, ARENA_MAX);
	struct metacache_archive archive;
	struct obox_user *user;
	struct lab_buf answer;
	int result = -1;

	lab_buf_init(&answer, heap, ANSWER_MAX);
	if (ask(backend, WHAT_PULL, username, pull->source, &answer, err) == 0 &&
		metacache_archive_decode(
			lab_view_skip(lab_buf_view(&answer), 1), arena, &archive, err) == 0 &&
		backend_user_get(backend, username, &user, err) == 0) {
		ENV_HOLD(backend_env(backend), pull_received, user->username);
		result = take(user, &archive, pull->latest_only, taken, err);
		backend_user_release(&user);
	}
	/* That host has had the user, and may have shown what no bundle says. */
	if (result < 0)
		hand_over(backend, username);
	lab_buf_done(&answer);
	lab_arena_free(&arena);
	return result;
}

/* It stays there if that fails, and uploads what it has in its own time. */
static void clean_source(
	struct backend *backend, struct lab_view username, const struct metacache_pull *pull)
{
	struct lab_buf answer;
	struct lab_error err;

	lab_buf_init(&answer, backend_env(backend)->heap, ANSWER_MAX);
	if (ask(backend, WHAT_CLEAN, username, pull->source, &answer, &err) < 0)
		ENV_EVENT(backend_env(backend), LAB_EV_log_message, LAB_F_CSTR("area", "metacache"),
			LAB_F_CSTR("message", "the source of a pull keeps its metacache"),
			LAB_F_TEXT("user", username), LAB_F_CSTR("error", err.message));
	lab_buf_done(&answer);
}

int metacache_pull(struct backend *backend, struct lab_view username,
	const struct metacache_pull *pull, struct lab_error *err)
{
	struct lab_error own = { .code = LAB_OK };
	unsigned taken = 0;
	int result;

	report(backend, LAB_EV_metacache_pull_started, username, pull->source, "client", 0, &own);
	if (lab_view_eq_cstr(pull->source, backend_env(backend)->hostname))
		result = lab_fail(&own, LAB_INVALID, "%.*s is this backend itself",
			LAB_VIEW_ARG(pull->source));
	else
		result = pull_from(backend, username, pull, &taken, &own);
	if (result == 0)
		own.code = LAB_OK;
	if (result == 0 && pull->clean)
		clean_source(backend, username, pull);
	report(backend, LAB_EV_metacache_pull_finished, username, pull->source, "client", taken,
		&own);
	if (result == 0)
		return (int)taken;
	if (err != NULL)
		*err = own;
	return lab_error_wrap(err, "pull of %.*s", LAB_VIEW_ARG(username));
}
