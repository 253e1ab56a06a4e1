/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c - names, objects and locks, and what an oracle sees of them.
 */
#include "sim/scality-emulator/scality-emulator-private.h"

#define HASH_SEED 0
#define CRC16_POLYNOMIAL 0xA001 /* 0x8005 reflected */

struct scalemu_lock {
	uint64_t until_ns;
};

struct scalemu_node *scalemu_node_find(struct scalemu *ring, struct lab_view key)
{
	return lab_tree_get(ring->names, key);
}

struct scalemu_object *scalemu_find(struct scalemu *ring, struct lab_view key)
{
	struct scalemu_node *node = scalemu_node_find(ring, key);

	return node == NULL ? NULL : node->object;
}

bool scalemu_has_room(const struct scalemu *ring, uint64_t bytes)
{
	const struct scalemu_limits *limits = &ring->options.limits;

	return lab_tree_count(ring->names) < limits->objects_max &&
	       bytes <= limits->stored_bytes_max &&
	       ring->counters.stored_bytes <= limits->stored_bytes_max - bytes;
}

/* ---- names ---- */

struct lab_view scalemu_parent_of(struct lab_view key)
{
	for (size_t i = key.len; i > 0; i--) {
		if (key.ptr[i - 1] == '/')
			return lab_view_sub(key, 0, i - 1);
	}
	return LAB_VIEW("");
}

static void count_child(struct scalemu *ring, struct lab_view key, int by)
{
	struct scalemu_node *parent;

	if (ring->options.protocol != SCALEMU_CDMI)
		return;
	parent = scalemu_node_find(ring, scalemu_parent_of(key));
	if (parent != NULL && parent->object == NULL)
		parent->children += (size_t)by;
}

static struct scalemu_node *node_make(struct scalemu *ring, struct lab_view key)
{
	void **slot = lab_tree_slot(ring->names, key);

	lab_assert(slot != NULL && *slot == NULL);
	*slot = lab_new(ring->heap, struct scalemu_node);
	count_child(ring, key, 1);
	return *slot;
}

void scalemu_container_add(struct scalemu *ring, struct lab_view key)
{
	(void)node_make(ring, key);
}

/* ---- objects ---- */

static void free_body(struct scalemu *ring, struct scalemu_object *object)
{
	ring->counters.stored_bytes -= object->body.len;
	lab_heap_free(ring->heap, (void *)(uintptr_t)object->body.ptr);
}

static struct lab_view copy_text(uint8_t **at, struct lab_view text)
{
	struct lab_view copy = { *at, text.len };

	if (text.len > 0)
		memcpy(*at, text.ptr, text.len);
	*at += text.len;
	return copy;
}

void scalemu_set_metadata(struct scalemu *ring, struct scalemu_object *object,
	const struct lab_http_header *metadata, size_t count)
{
	size_t bytes = count * sizeof(*metadata);
	struct lab_http_header *copy;
	uint8_t *text;

	for (size_t i = 0; i < count; i++)
		bytes += metadata[i].name.len + metadata[i].value.len;
	copy = lab_heap_alloc(ring->heap, bytes);
	text = (uint8_t *)(copy + count);
	for (size_t i = 0; i < count; i++) {
		copy[i].name = copy_text(&text, metadata[i].name);
		copy[i].value = copy_text(&text, metadata[i].value);
	}
	lab_heap_free(ring->heap, object->metadata);
	object->metadata = copy;
	object->metadata_count = count;
}

static void set_body(struct scalemu *ring, struct scalemu_object *object, struct lab_view body)
{
	uint8_t *copy = lab_heap_alloc(ring->heap, body.len);

	if (body.len > 0)
		memcpy(copy, body.ptr, body.len);
	object->body = lab_view_of(copy, body.len);
	object->body_hash = lab_hash_view(HASH_SEED, body);
	ring->counters.stored_bytes += body.len;
}

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

/* A CDMI object id: reserved, enterprise number, reserved, length, CRC, then what is ours. */
static void make_id(struct scalemu *ring, struct scalemu_object *object)
{
	uint8_t id[SCALEMU_ID_BYTES] = { 0 };
	uint64_t number = ring->next_id++;
	uint16_t crc;
	void **slot;

	id[5] = SCALEMU_ID_BYTES;
	for (size_t i = 0; i < 2; i++) {
		uint64_t draw = lab_draw(ring->options.seed, "cdmi.objectid", i, number);

		memcpy(id + 8 + 8 * i, &draw, 8);
	}
	crc = crc16(id, sizeof(id));
	id[6] = (uint8_t)(crc >> 8);
	id[7] = (uint8_t)(crc & 0xff);
	lab_hex(id, sizeof(id), object->id);
	slot = lab_map_slot(ring->ids, lab_view_cstr(object->id));
	lab_assert(slot != NULL);
	*slot = object;
}

struct scalemu_object *scalemu_put(struct scalemu *ring, struct lab_view key, struct lab_view body,
	const struct lab_http_header *metadata, size_t count)
{
	struct scalemu_object *object = scalemu_find(ring, key);

	if (object != NULL) {
		free_body(ring, object);
		object->overwritten++;
	} else {
		object = lab_new(ring->heap, struct scalemu_object);
		object->names = 1;
		ring->counters.objects++;
		if (ring->options.protocol == SCALEMU_CDMI)
			make_id(ring, object);
		node_make(ring, key)->object = object;
	}
	set_body(ring, object, body);
	scalemu_set_metadata(ring, object, metadata, count);
	return object;
}

void scalemu_link(struct scalemu *ring, struct lab_view key, struct scalemu_object *object)
{
	node_make(ring, key)->object = object;
	object->names++;
}

void scalemu_remove(struct scalemu *ring, struct lab_view key)
{
	struct scalemu_node *node;
	struct scalemu_object *object;

	count_child(ring, key, -1);
	node = lab_tree_remove(ring->names, key);
	object = node->object;
	lab_heap_free(ring->heap, node);
	if (object == NULL || --object->names > 0)
		return;
	if (ring->options.protocol == SCALEMU_CDMI)
		(void)lab_map_remove(ring->ids, lab_view_cstr(object->id));
	free_body(ring, object);
	lab_heap_free(ring->heap, object->metadata);
	lab_heap_free(ring->heap, object);
	ring->counters.objects--;
}

/* ---- locks ---- */

bool scalemu_is_locked(struct scalemu *ring, struct lab_view key, uint64_t now_ns)
{
	const struct scalemu_lock *lock = lab_map_get(ring->locks, key);

	return lock != NULL && now_ns < lock->until_ns;
}

static void drop_old_locks(struct scalemu *ring, uint64_t now_ns)
{
	struct lab_map_iter iter = lab_map_iterate(ring->locks);
	struct lab_view key;
	void *lock;

	while (lab_map_next(&iter, &key, &lock)) {
		if (((struct scalemu_lock *)lock)->until_ns <= now_ns) {
			(void)lab_map_remove(ring->locks, key);
			lab_heap_free(ring->heap, lock);
		}
	}
}

/* Beyond the bound nothing is held: the next one who comes may write. */
void scalemu_lock(struct scalemu *ring, struct lab_view key, uint64_t now_ns, uint64_t until_ns)
{
	void **slot = lab_map_slot(ring->locks, key);
	struct scalemu_lock *lock;

	if (slot == NULL) {
		drop_old_locks(ring, now_ns);
		slot = lab_map_slot(ring->locks, key);
	}
	if (slot == NULL)
		return;
	if (*slot == NULL)
		*slot = lab_new(ring->heap, struct scalemu_lock);
	lock = *slot;
	lock->until_ns = LAB_MAX(lock->until_ns, until_ns);
}

/* ---- snapshots ---- */

static void fill(
	struct scalemu_object_info *info, struct lab_view key, const struct scalemu_object *object)
{
	*info = (struct scalemu_object_info){ .key = key,
		.id = lab_view_cstr(object->id),
		.body = object->body,
		.body_hash = object->body_hash,
		.metadata = object->metadata,
		.metadata_count = object->metadata_count,
		.names = object->names,
		.overwritten = object->overwritten };
}

struct scalemu_iter scalemu_objects(struct scalemu *ring)
{
	lab_check(ring, SCALEMU_MAGIC);
	return (struct scalemu_iter){ ring, lab_tree_iterate(ring->names, LAB_VIEW("")) };
}

bool scalemu_objects_next(struct scalemu_iter *iter, struct scalemu_object_info *ret)
{
	struct lab_view key;
	void *node;

	while (lab_tree_next(&iter->at, &key, &node)) {
		const struct scalemu_object *object = ((struct scalemu_node *)node)->object;

		if (object == NULL)
			continue;
		fill(ret, key, object);
		return true;
	}
	return false;
}

int scalemu_object_find(struct scalemu *ring, struct lab_view key, struct scalemu_object_info *ret)
{
	const struct scalemu_object *object;

	lab_check(ring, SCALEMU_MAGIC);
	object = scalemu_find(ring, key);
	if (object == NULL)
		return 0;
	fill(ret, key, object);
	return 1;
}

struct lab_view scalemu_metadata(const struct scalemu_object_info *info, const char *name)
{
	for (size_t i = 0; i < info->metadata_count; i++) {
		if (lab_view_eq_cstr(info->metadata[i].name, name))
			return info->metadata[i].value;
	}
	return (struct lab_view){ NULL, 0 };
}
