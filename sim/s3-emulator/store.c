/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/s3-emulator-private.h"

/* What an object costs beside its bytes: its node in the ordered map, heap overhead. */
#define OBJECT_OVERHEAD 192

bool s3emu_store_has_room(const struct s3emu *s3, uint64_t bytes)
{
	return bytes <= s3->options.limits.stored_bytes_max - s3->stored_charge;
}

struct s3emu_blob *s3emu_blob_alloc(struct s3emu *s3, uint64_t size)
{
	struct s3emu_blob *blob;
	uint64_t charge = sizeof(*blob) + size;

	if (!s3emu_store_has_room(s3, charge))
		return NULL;
	blob = lab_heap_alloc(s3->heap, sizeof(*blob) + size);
	blob->references = 1;
	blob->size = size;
	s3->stored_charge += charge;
	return blob;
}

struct s3emu_blob *s3emu_blob_new(struct s3emu *s3, struct lab_view body)
{
	struct s3emu_blob *blob = s3emu_blob_alloc(s3, body.len);

	if (blob != NULL && body.len > 0)
		memcpy(blob->data, body.ptr, body.len);
	return blob;
}

void s3emu_blob_unref(struct s3emu *s3, struct s3emu_blob *blob)
{
	lab_assert(blob->references > 0);
	if (--blob->references > 0)
		return;
	s3->stored_charge -= sizeof(*blob) + blob->size;
	lab_heap_free(s3->heap, blob);
}

static size_t headers_bytes(const struct lab_http_header *headers, size_t count)
{
	size_t i, bytes = 0;

	for (i = 0; i < count; i++)
		bytes += headers[i].name.len + headers[i].value.len;
	return bytes;
}

static struct lab_view copy_text(uint8_t **to, struct lab_view from)
{
	struct lab_view copy = lab_view_of(*to, from.len);

	if (from.len > 0)
		memcpy(*to, from.ptr, from.len);
	*to += from.len;
	return copy;
}

/* The headers, the parts, the headers' text: behind the object. */
static void fill(struct s3emu_object *object, const struct s3emu_content *content)
{
	uint8_t *text;
	size_t i;

	object->header_count = content->header_count;
	object->part_count = content->part_count;
	object->parts = (struct s3emu_part *)(void *)&object->headers[content->header_count];
	if (content->part_count > 0)
		memcpy(object->parts, content->parts, content->part_count * sizeof(*object->parts));
	text = (uint8_t *)&object->parts[content->part_count];
	for (i = 0; i < content->header_count; i++) {
		object->headers[i].name = copy_text(&text, content->headers[i].name);
		object->headers[i].value = copy_text(&text, content->headers[i].value);
	}
}

struct s3emu_object *s3emu_object_new(struct s3emu *s3, struct s3emu_blob *blob, size_t key_len,
	const struct s3emu_content *content)
{
	struct s3emu_object *object;
	size_t bytes;

	bytes = sizeof(*object) + content->header_count * sizeof(*content->headers) +
		content->part_count * sizeof(*content->parts) +
		headers_bytes(content->headers, content->header_count);
	if (!s3emu_store_has_room(s3, bytes + key_len + OBJECT_OVERHEAD))
		return NULL;
	object = lab_heap_alloc(s3->heap, bytes);
	object->references = 1;
	object->blob = blob;
	object->size = blob == NULL ? 0 : blob->size;
	object->charge = bytes + key_len + OBJECT_OVERHEAD;
	fill(object, content);
	s3->stored_charge += object->charge;
	return object;
}

static void object_free(struct s3emu *s3, struct s3emu_object *object)
{
	s3->stored_charge -= object->charge;
	lab_heap_free(s3->heap, object);
}

static void keep_until_end(
	struct s3emu *s3, struct s3emu_list_of_objects *list, struct s3emu_object *object)
{
	if (list->count == list->capacity) {
		list->capacity = LAB_MAX(2 * list->capacity, (size_t)64);
		list->items = lab_heap_realloc(
			s3->heap, list->items, list->capacity * sizeof(*list->items));
	}
	list->items[list->count++] = object;
}

void s3emu_object_unref(struct s3emu *s3, struct s3emu_object *object)
{
	lab_assert(object->references > 0);
	if (--object->references > 0)
		return;
	if (object->blob != NULL)
		s3emu_blob_unref(s3, object->blob);
	object->blob = NULL;
	/* Where the engine does not hold objects, an error's details may still point into it. */
	if (s3->engine_ops->finish != NULL)
		keep_until_end(s3, &s3->dead, object);
	else
		object_free(s3, object);
}

struct lab_view s3emu_object_header(const struct s3emu_object *object, const char *name)
{
	size_t i;

	for (i = 0; i < object->header_count; i++) {
		if (lab_view_eq_cstr(object->headers[i].name, name))
			return object->headers[i].value;
	}
	return lab_view_of(NULL, 0);
}

int s3emu_store_get(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key,
	struct s3emu_object **ret)
{
	return s3->engine_ops->get(s3->engine, bucket, S3EMU_SPACE_OBJECTS, key, ret);
}

int s3emu_store_put(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key,
	struct s3emu_object *object)
{
	int ret;

	s3emu_history_add(s3, bucket, key);
	ret = s3->engine_ops->put(s3->engine, bucket, S3EMU_SPACE_OBJECTS, key, object);

	if (ret == 0)
		s3->counters.created++;
	else if (ret > 0)
		s3->counters.overwritten++;
	return ret;
}

int s3emu_store_remove(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key)
{
	int ret;

	s3emu_history_add(s3, bucket, key);
	ret = s3->engine_ops->remove(s3->engine, bucket, S3EMU_SPACE_OBJECTS, key);

	if (ret > 0)
		s3->counters.deleted++;
	else
		s3->counters.deleted_missing++;
	return ret;
}

/* ---- accounts ---- */

void s3emu_store_restored(struct s3emu *s3, enum s3emu_space space, uint64_t count, uint64_t bytes)
{
	struct s3emu_counters *counters = &s3->counters;

	if (space == S3EMU_SPACE_OBJECTS) {
		counters->objects += count;
		counters->stored_bytes += bytes;
	} else {
		counters->upload_entries += count;
		counters->upload_bytes += bytes;
	}
}

void s3emu_store_forgot(struct s3emu *s3, enum s3emu_space space, uint64_t count, uint64_t bytes)
{
	struct s3emu_counters *counters = &s3->counters;

	if (space == S3EMU_SPACE_OBJECTS) {
		counters->objects -= count;
		counters->stored_bytes -= bytes;
	} else {
		counters->upload_entries -= count;
		counters->upload_bytes -= bytes;
	}
}

void s3emu_store_come(struct s3emu *s3, enum s3emu_space space, uint64_t size)
{
	s3emu_store_restored(s3, space, 1, size);
}

void s3emu_store_gone(struct s3emu *s3, enum s3emu_space space, uint64_t size)
{
	s3emu_store_forgot(s3, space, 1, size);
}

bool s3emu_store_is_full(const struct s3emu *s3)
{
	return s3->counters.objects + s3->counters.upload_entries + s3->remembered >=
	       s3->options.limits.objects_max;
}

struct s3emu_totals s3emu_totals_get(const struct s3emu *s3)
{
	const struct s3emu_counters *c = &s3->counters;

	return (struct s3emu_totals){ c->created, c->overwritten, c->deleted, c->deleted_missing,
		c->bytes_in, c->objects, c->stored_bytes, c->upload_entries, c->upload_bytes,
		s3->remembered };
}

void s3emu_totals_set(struct s3emu *s3, const struct s3emu_totals *totals)
{
	struct s3emu_counters *c = &s3->counters;

	c->created = totals->created;
	c->overwritten = totals->overwritten;
	c->deleted = totals->deleted;
	c->deleted_missing = totals->deleted_missing;
	c->bytes_in = totals->bytes_in;
	c->objects = totals->objects;
	c->stored_bytes = totals->stored_bytes;
	c->upload_entries = totals->upload_entries;
	c->upload_bytes = totals->upload_bytes;
	s3->remembered = totals->remembered;
}

/* ---- what snapshots show ---- */

void s3emu_store_show(struct s3emu *s3, struct s3emu_object *object)
{
	if (object->references > 1) { /* the store has it */
		s3emu_object_unref(s3, object);
		return;
	}
	keep_until_end(s3, &s3->shown, object);
}

void s3emu_store_begin(struct s3emu *s3)
{
	while (s3->shown.count > 0)
		s3emu_object_unref(s3, s3->shown.items[--s3->shown.count]);
	while (s3->dead.count > 0)
		object_free(s3, s3->dead.items[--s3->dead.count]);
	if (s3->engine_ops->finish != NULL)
		(void)s3->engine_ops->finish(s3->engine);
}
