/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-refresh.c - what is in the user's fts/ directory: listed, and read as far as it is new.
 */
#include "core/env/hold.h"
#include "core/fts/fts-private.h"

#define LISTING_ARENA_MAX ((size_t)1 << 30)

/* Which objects of a triplet are listed. */
#define HAS(kind) (1u << (kind))
#define HAS_ALL (HAS(FTS_D) | HAS(FTS_W) | HAS(FTS_L))

struct listing {
	struct fts_user *user;
	struct lab_arena *arena;
	struct lab_map *parts;  /* GUID -> HAS() of the objects that are listed under it */
	struct fts_guid *guids; /* of triplets, in the order of the listing */
	size_t guid_count;
	bool has_lost; /* something was listed, and is not there */
	bool is_last;  /* then it is lost */
};

static unsigned parts_of(const struct listing *l, const struct fts_guid *guid)
{
	return (unsigned)(uintptr_t)lab_map_get(l->parts, fts_guid_view(guid));
}

static bool is_ignored(const struct fts_user *user, enum fts_kind kind, const struct fts_guid *guid)
{
	char name[FTS_NAME_MAX];

	fts_name_format(kind, guid, name);
	return lab_map_get(user->ignored, lab_view_cstr(name)) != NULL ||
	       lab_map_get(user->garbage, lab_view_cstr(name)) != NULL;
}

static int list_names(struct listing *l, struct lab_error *err)
{
	struct fts_user *user = l->user;
	struct lab_view *names;
	size_t count;

	fs_set_reason(user->fs, "fts:lookup");
	if (fs_iter(user->fs, LAB_VIEW(""), 0, FTS_OBJECTS_MAX, l->arena, &names, &count, err) < 0)
		return -1;
	lab_map_clear(user->control);
	l->guids = lab_arena_array(l->arena, struct fts_guid, count);
	for (size_t i = 0; i < count; i++) {
		struct fts_guid guid;
		enum fts_kind kind;
		uintptr_t parts;
		void **slot;

		/* What is not ours is left alone. */
		if (fts_name_parse(names[i], &kind, &guid) < 0)
			continue;
		if (kind == FTS_S)
			*lab_map_slot(user->control, names[i]) = user;
		slot = lab_map_slot(l->parts, fts_guid_view(&guid));
		lab_assert(slot != NULL);
		parts = (uintptr_t)*slot;
		if (parts == 0)
			l->guids[l->guid_count++] = guid;
		*slot = (void *)(parts | HAS(kind));
	}
	return 0;
}

/* Others have put together or deleted what is not listed any more. */
static void forget_gone(struct listing *l)
{
	struct fts_user *user = l->user;
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_triplet *triplet = value;

		if (parts_of(l, &triplet->guid) != HAS_ALL)
			fts_user_drop_triplet(user, triplet);
	}
	iter = lab_map_iterate(user->segments);
	while (lab_map_next(&iter, &key, &value)) {
		struct fts_segment *segment = value;

		if ((parts_of(l, &segment->guid) & HAS(segment->kind)) == 0)
			fts_user_drop_segment(user, segment);
	}
}

/* What cannot be used of an object that could not be read, or made no sense. 0: it is set aside, or
 * the listing is to be made again; -1. */
static int cannot_read(struct listing *l, enum fts_kind kind, const struct fts_guid *guid,
	const struct lab_error *err)
{
	if (err->code == LAB_NOT_FOUND && !l->is_last) {
		l->has_lost = true;
		return 0;
	}
	if (err->code != LAB_NOT_FOUND && err->code != LAB_CORRUPT && err->code != LAB_UNSUPPORTED)
		return -1;
	fts_object_set_aside(l->user, kind, guid, err);
	return 0;
}

static int read_triplet(struct listing *l, const struct fts_guid *guid, struct lab_error *err)
{
	struct fts_user *user = l->user;
	struct fts_triplet *triplet;
	struct lab_view bytes;

	if (lab_map_get(user->triplets, fts_guid_view(guid)) != NULL ||
		is_ignored(user, FTS_D, guid) || is_ignored(user, FTS_W, guid) ||
		is_ignored(user, FTS_L, guid) ||
		(user->newest_is_saved && memcmp(guid, &user->newest_guid, sizeof(*guid)) == 0))
		return 0;
	if (fts_object_read(user, FTS_D, guid, l->arena, &bytes, err) < 0)
		return cannot_read(l, FTS_D, guid, err);
	triplet = fts_triplet_new(user->env->heap, guid);
	triplet->seen_ns = LAB_MAX(UINT64_C(1), env_now(user->env));
	if (fts_triplet_take_docs(triplet, bytes, err) < 0) {
		fts_triplet_free(&triplet);
		return cannot_read(l, FTS_D, guid, err);
	}
	fts_user_add_triplet(user, triplet);
	return 0;
}

static int read_segment(
	struct listing *l, enum fts_kind kind, const struct fts_guid *guid, struct lab_error *err)
{
	struct fts_user *user = l->user;
	struct fts_segment *segment;
	struct lab_view bytes;

	if (lab_map_get(user->segments, fts_guid_view(guid)) != NULL ||
		is_ignored(user, kind, guid))
		return 0;
	if (fts_object_read(user, kind, guid, l->arena, &bytes, err) < 0)
		return cannot_read(l, kind, guid, err);
	segment = lab_new(user->env->heap, struct fts_segment);
	segment->kind = kind;
	segment->guid = *guid;
	if (fts_expunges_decode(user->env->heap, kind, guid, bytes, &segment->expunges, err) < 0) {
		lab_heap_free(user->env->heap, segment);
		return cannot_read(l, kind, guid, err);
	}
	*lab_map_slot(user->segments, fts_guid_view(guid)) = segment;
	return 0;
}

/* ---- S ---- */

static bool is_newer(const struct fts_guid *a, const struct fts_guid *b)
{
	uint64_t time_a = env_guid128_time(a->bytes), time_b = env_guid128_time(b->bytes);

	return time_a != time_b ? time_a > time_b : memcmp(a, b, sizeof(*a)) > 0;
}

static bool newest_stats(const struct listing *l, struct fts_guid *ret)
{
	bool found = false;

	for (size_t i = 0; i < l->guid_count; i++) {
		const struct fts_guid *guid = &l->guids[i];

		if ((parts_of(l, guid) & HAS(FTS_S)) == 0 || is_ignored(l->user, FTS_S, guid))
			continue;
		if (!found || is_newer(guid, ret))
			*ret = *guid;
		found = true;
	}
	return found;
}

/* Without a usable S, or with one of the other version, it is made again at the next flush. */
static int read_stats(struct listing *l, struct lab_error *err)
{
	struct fts_user *user = l->user;
	uint8_t version = user->fts->conf->fts_dovecot_message_count_stats ? FTS_STATS_COUNTS
									   : FTS_STATS_PLAIN;
	struct lab_view bytes;
	struct fts_stats stats;
	struct fts_guid guid;

	if (!newest_stats(l, &guid)) {
		user->stats_are_current = false;
		return 0;
	}
	if (user->has_stats && memcmp(&guid, &user->stats_guid, sizeof(guid)) == 0)
		return 0;
	user->stats_are_current = false;
	if (fts_object_read(user, FTS_S, &guid, l->arena, &bytes, err) < 0 ||
		fts_stats_decode(user->env->heap, &guid, bytes, &stats, err) < 0)
		return cannot_read(l, FTS_S, &guid, err);
	if (user->has_stats)
		fts_stats_free(user->env->heap, &user->stats);
	user->stats = stats;
	user->stats_guid = guid;
	user->has_stats = true;
	user->stats_are_current = stats.version == version;
	return 0;
}

/* ---- what others replaced ---- */

static void drop_replaced(
	struct listing *l, const struct fts_guid *by, const struct fts_guid *replaced, size_t count)
{
	struct fts_user *user = l->user;

	for (size_t i = 0; i < count; i++) {
		struct lab_view key = fts_guid_view(&replaced[i]);
		struct fts_triplet *triplet = lab_map_get(user->triplets, key);
		struct fts_segment *segment = lab_map_get(user->segments, key);
		unsigned parts = parts_of(l, &replaced[i]);

		if (memcmp(by, &replaced[i], sizeof(*by)) == 0)
			continue;
		if (triplet != NULL)
			fts_user_drop_triplet(user, triplet);
		if (segment != NULL)
			fts_user_drop_segment(user, segment);
		if ((parts & HAS_ALL) != 0)
			fts_triplet_throw_away(user, &replaced[i]);
		for (unsigned kind = FTS_X; kind <= FTS_Y; kind++) {
			if ((parts & HAS(kind)) != 0)
				fts_object_throw_away(user, (enum fts_kind)kind, &replaced[i]);
		}
	}
}

/* One that was dropped meanwhile does not count any more. */
static void apply_replaced(struct listing *l)
{
	struct fts_user *user = l->user;

	for (size_t i = 0; i < l->guid_count; i++) {
		struct lab_view key = fts_guid_view(&l->guids[i]);
		const struct fts_triplet *triplet = lab_map_get(user->triplets, key);
		const struct fts_segment *segment = lab_map_get(user->segments, key);

		if (triplet != NULL)
			drop_replaced(l, &l->guids[i], triplet->docs.replaced,
				triplet->docs.replaced_count);
		else if (segment != NULL)
			drop_replaced(l, &l->guids[i], segment->expunges.replaced,
				segment->expunges.replaced_count);
	}
}

/* What an upload that did not end has left. */
static void find_leaks(struct listing *l)
{
	uint64_t now_us = env_wall_us(l->user->env);

	for (size_t i = 0; i < l->guid_count; i++) {
		unsigned parts = parts_of(l, &l->guids[i]) & HAS_ALL;
		uint64_t made_us = env_guid128_time(l->guids[i].bytes) / 1000;

		if (parts != 0 && parts != HAS_ALL && made_us + FTS_LEAK_AGE_US < now_us)
			fts_triplet_throw_away(l->user, &l->guids[i]);
	}
}

/* ---- all of it ---- */

static int read_all(struct listing *l, struct lab_error *err)
{
	for (size_t i = 0; i < l->guid_count; i++) {
		const struct fts_guid *guid = &l->guids[i];
		unsigned parts = parts_of(l, guid);

		if (((parts & HAS_ALL) == HAS_ALL && read_triplet(l, guid, err) < 0) ||
			((parts & HAS(FTS_X)) != 0 && read_segment(l, FTS_X, guid, err) < 0) ||
			((parts & HAS(FTS_Y)) != 0 && read_segment(l, FTS_Y, guid, err) < 0))
			return -1;
	}
	return read_stats(l, err);
}

static int refresh_once(struct fts_user *user, bool is_last, bool *ret_again, struct lab_error *err)
{
	struct listing l = { .user = user,
		.arena = lab_arena_new(user->env->heap, LISTING_ARENA_MAX),
		.parts = lab_map_new(user->env->heap, FTS_OBJECTS_MAX),
		.is_last = is_last };
	uint64_t asked_ns = env_now(user->env);
	int result = list_names(&l, err);

	if (result == 0) {
		ENV_HOLD(user->env, fts_listed, obox_user_name(user->user));
		forget_gone(&l);
		result = read_all(&l, err);
		apply_replaced(&l);
		fts_user_settle_expunges(user);
	}
	if (result == 0) {
		find_leaks(&l);
		user->is_listed = true;
		user->listed_ns = asked_ns;
	}
	*ret_again = l.has_lost;
	lab_map_free(&l.parts);
	lab_arena_free(&l.arena);
	return result;
}

int fts_refresh(struct fts_user *user, struct lab_error *err)
{
	bool again = true;

	for (unsigned n = 1; again && n <= FTS_ATTEMPTS; n++) {
		if (refresh_once(user, n == FTS_ATTEMPTS, &again, err) < 0)
			return lab_error_wrap(err, "FTS of %s", obox_user_name(user->user));
	}
	return 0;
}

/* ---- W and L ---- */

static void make_room(struct fts_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	struct lab_view key;
	size_t bytes = 0;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		bytes += fts_triplet_bytes(value);
	iter = lab_map_iterate(user->triplets);
	while (bytes > FTS_WORDS_BYTES_MAX && lab_map_next(&iter, &key, &value)) {
		bytes -= fts_triplet_bytes(value);
		fts_triplet_drop_words(value);
	}
}

/* The D is known, so it is the others that are lost or of no use. */
static int lose_triplet(struct fts_user *user, struct fts_triplet *triplet, struct lab_error *err)
{
	struct fts_guid guid = triplet->guid;
	struct lab_error why = *err;

	if (why.code == LAB_NOT_FOUND) {
		/* Another backend has put it into another one, most likely. */
		if (fts_refresh(user, err) < 0)
			return -1;
		triplet = lab_map_get(user->triplets, fts_guid_view(&guid));
		if (triplet == NULL)
			return 1;
	} else if (why.code != LAB_CORRUPT && why.code != LAB_UNSUPPORTED) {
		return -1;
	}
	fts_object_set_aside(user, FTS_W, &guid, &why);
	fts_user_drop_triplet(user, triplet);
	return 1;
}

int fts_load_words(struct fts_user *user, struct fts_triplet *triplet, struct lab_error *err)
{
	struct lab_arena *arena;
	struct lab_view w, l;
	int result;

	if (triplet->has_words)
		return 0;
	make_room(user);
	arena = lab_arena_new(user->env->heap, LISTING_ARENA_MAX);
	fs_set_reason(user->fs, "fts:lookup");
	result = fts_object_read(user, FTS_W, &triplet->guid, arena, &w, err);
	if (result == 0)
		result = fts_object_read(user, FTS_L, &triplet->guid, arena, &l, err);
	if (result == 0)
		result = fts_triplet_take_words(triplet, w, l, err);
	lab_arena_free(&arena);
	return result == 0 ? 0 : lose_triplet(user, triplet, err);
}
