/* SPDX-License-Identifier: Apache-2.0
 *
 * list.c - ListObjects, version 1 and 2, and ListObjectVersions of a bucket that has no versions
 * (s3 1.3). Keys in byte order; common prefixes count.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

enum form {
	V1,
	V2,
	VERSIONS
};

struct listing {
	struct s3emu_list list;
	enum form form;
	bool fetch_owner;
	struct lab_view marker, start_after, token;
	bool has_version_marker, has_start_after, has_token;
	struct lab_view last; /* key or common prefix, in the arena */
	bool last_is_group;
};

/* ---- parameters ---- */

static int parse_objects(struct listing *listing)
{
	struct s3emu_exchange *x = listing->list.x;
	struct lab_view type, fetch_owner;

	if (!s3emu_list_take(x, "list-type", &type)) {
		(void)s3emu_list_take(x, "marker", &listing->marker);
		return 0;
	}
	if (!lab_view_eq_cstr(type, "2"))
		return s3emu_fail_argument(x, "list-type", type, "Invalid List Type");
	listing->form = V2;
	listing->has_start_after = s3emu_list_take(x, "start-after", &listing->start_after);
	listing->marker = listing->start_after;
	(void)s3emu_list_take(x, "fetch-owner", &fetch_owner);
	listing->fetch_owner = lab_view_eq_cstr(fetch_owner, "true");
	listing->has_token = s3emu_list_take(x, "continuation-token", &listing->token);
	return s3emu_token_parse(x, &listing->marker);
}

/* Each key has one version, "null": a marker with it is behind the whole key, as one without is. */
static int parse_versions(struct listing *listing)
{
	struct s3emu_exchange *x = listing->list.x;
	struct lab_view version;

	listing->form = VERSIONS;
	(void)s3emu_list_take(x, "key-marker", &listing->marker);
	listing->has_version_marker = s3emu_list_take(x, "version-id-marker", &version);
	if (!listing->has_version_marker)
		return 0;
	if (version.len == 0) {
		return s3emu_fail_argument(
			x, "version-id-marker", version, "A version-id marker cannot be empty.");
	}
	if (listing->marker.len == 0) {
		return s3emu_fail_argument(x, "version-id-marker", version,
			"A version-id marker cannot be specified without a key marker.");
	}
	if (!lab_view_eq_cstr(version, "null")) {
		return s3emu_fail_argument(
			x, "version-id-marker", version, "Invalid version id specified");
	}
	return 0;
}

/* ---- the answer's parts ---- */

static void append_checksum(struct lab_buf *buf, const struct s3emu_object *object)
{
	struct s3emu_checksum checksum;
	const char *type = s3emu_object_checksum(object, &checksum);

	if (type == NULL)
		return;
	lab_buf_printf(buf,
		"<ChecksumAlgorithm>%s</ChecksumAlgorithm><ChecksumType>%s</ChecksumType>",
		s3emu_algorithm_name(checksum.algorithm), type);
}

static void append_object(
	struct listing *listing, struct lab_view key, const struct s3emu_object *object)
{
	struct s3emu_list *list = &listing->list;
	struct lab_buf *buf = &list->contents;
	const char *element = listing->form == VERSIONS ? "Version" : "Contents";

	lab_buf_printf(buf, "<%s>", element);
	s3emu_list_name(list, buf, "Key", key);
	if (listing->form == VERSIONS)
		lab_buf_append_cstr(buf, "<VersionId>null</VersionId><IsLatest>true</IsLatest>");
	s3emu_list_time(buf, "LastModified", object->modified_us);
	lab_buf_append_cstr(buf, "<ETag>");
	lab_buf_append_xml(buf, s3emu_object_etag(object));
	lab_buf_append_cstr(buf, "</ETag>");
	append_checksum(buf, object);
	lab_buf_printf(buf, "<Size>%" PRIu64 "</Size>", object->size);
	if (listing->form != V2 || listing->fetch_owner)
		s3emu_list_account(buf, "Owner", s3emu_list_owner(list->x));
	s3emu_list_class(buf, object);
	lab_buf_printf(buf, "</%s>", element);
}

/* ---- the walk ---- */

struct cursor {
	struct lab_view from;
	bool after;
	bool at_end;
};

/* Behind everything that begins with `group`. */
static void skip_group(struct listing *listing, struct cursor *cursor, struct lab_view group)
{
	cursor->from = s3emu_list_above(listing->list.x->arena, group);
	cursor->after = false;
	cursor->at_end = cursor->from.ptr == NULL;
}

static void start(struct listing *listing, struct cursor *cursor)
{
	struct lab_view marker = listing->marker, prefix = listing->list.prefix, group;

	cursor->from = prefix;
	cursor->after = cursor->at_end = false;
	if (lab_view_cmp(marker, prefix) < 0)
		return;
	cursor->from = marker;
	cursor->after = marker.len > 0;
	if (!lab_view_starts_with(marker, prefix))
		return;
	/* A common prefix as marker stands for all of its keys. */
	group = s3emu_list_group(&listing->list, marker);
	if (group.ptr != NULL && group.len == marker.len)
		skip_group(listing, cursor, group);
}

/* Takes one key, or the group it is in, and moves on. */
static void take(struct listing *listing, struct cursor *cursor, struct lab_view key,
	const struct s3emu_object *object)
{
	struct lab_arena *arena = listing->list.x->arena;
	struct lab_view group = s3emu_list_group(&listing->list, key);

	listing->list.count++;
	listing->last_is_group = group.ptr != NULL;
	if (group.ptr != NULL) {
		listing->last = lab_arena_copy(arena, group);
		s3emu_list_prefix(&listing->list, group);
		skip_group(listing, cursor, listing->last);
	} else {
		listing->last = lab_arena_copy(arena, key);
		append_object(listing, key, object);
		cursor->from = listing->last;
		cursor->after = true;
	}
}

/* False at the end. */
static bool step(struct listing *listing, struct cursor *cursor)
{
	struct s3emu_exchange *x = listing->list.x;
	struct s3emu_object *object;
	struct lab_view key;
	bool more;

	if (cursor->at_end || s3emu_read_next(x, cursor->from, cursor->after, &key, &object) == 0)
		return false;
	more = lab_view_starts_with(key, listing->list.prefix) &&
	       !s3emu_list_is_full(&listing->list);
	if (more)
		take(listing, cursor, key, object);
	s3emu_object_unref(x->s3, object);
	return more;
}

/* ---- the document ---- */

static void head_v1(struct listing *listing)
{
	struct s3emu_list *list = &listing->list;
	struct lab_buf *xml = &list->x->xml;

	s3emu_list_name(list, xml, "Marker", listing->marker);
	if (list->truncated && list->delimiter.len > 0)
		s3emu_list_name(list, xml, "NextMarker", listing->last);
}

static void head_v2(struct listing *listing)
{
	struct s3emu_list *list = &listing->list;
	struct s3emu_exchange *x = list->x;

	s3emu_xml_u64(x, "KeyCount", list->count);
	if (listing->has_token)
		s3emu_xml_text(x, "ContinuationToken", listing->token);
	if (listing->has_start_after)
		s3emu_list_name(list, &x->xml, "StartAfter", listing->start_after);
	if (list->truncated)
		s3emu_token_append(x, "NextContinuationToken", listing->last);
}

static void head_versions(struct listing *listing)
{
	struct s3emu_list *list = &listing->list;
	struct s3emu_exchange *x = list->x;

	s3emu_list_name(list, &x->xml, "KeyMarker", listing->marker);
	s3emu_xml_text(x, "VersionIdMarker",
		listing->has_version_marker ? LAB_VIEW("null") : LAB_VIEW(""));
	if (!list->truncated)
		return;
	s3emu_list_name(list, &x->xml, "NextKeyMarker", listing->last);
	if (!listing->last_is_group)
		s3emu_xml_text(x, "NextVersionIdMarker", LAB_VIEW("null"));
}

static int answer(struct listing *listing)
{
	static void (*const heads[])(struct listing *) = { head_v1, head_v2, head_versions };
	struct s3emu_exchange *x = listing->list.x;
	const char *root = listing->form == VERSIONS ? "ListVersionsResult" : "ListBucketResult";

	s3emu_xml_begin(x, root);
	s3emu_xml_text(x, "Name", x->bucket_name);
	heads[listing->form](listing);
	s3emu_xml_u64(x, "MaxKeys", listing->list.max);
	s3emu_list_scope(&listing->list);
	return s3emu_list_end(&listing->list, root);
}

static int walk(struct listing *listing)
{
	struct cursor cursor;

	if (s3emu_commit(listing->list.x) < 0)
		return -1;
	s3emu_list_begin(&listing->list);
	start(listing, &cursor);
	while (listing->list.max > 0 && step(listing, &cursor))
		;
	return answer(listing);
}

int s3emu_list_objects(struct s3emu_exchange *x)
{
	struct listing listing = { .form = V1 };

	if (s3emu_list_parse(&listing.list, x, "max-keys") < 0 || parse_objects(&listing) < 0)
		return -1;
	return walk(&listing);
}

int s3emu_list_versions(struct s3emu_exchange *x)
{
	struct listing listing = { .form = VERSIONS };

	if (s3emu_list_parse(&listing.list, x, "max-keys") < 0 || parse_versions(&listing) < 0)
		return -1;
	return walk(&listing);
}
