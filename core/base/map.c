/* SPDX-License-Identifier: Apache-2.0
 *
 * lab_map: entries in an array in order of insertion, found through an open-addressed table of
 * their numbers. Removing leaves a hole in the array and a stale number in the table; both are
 * swept out when the array is full. */
#include "core/base/map.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/hash.h"

#define MAP_MAGIC 0x4c4d4150u
#define MAP_SEED UINT64_C(0x6d6170)
#define FIRST_CAPACITY 8
#define NOTHING 0u /* in the table: never used; else the entry's number + 1 */

struct entry {
	uint64_t hash;
	uint8_t *key; /* NULL: a hole */
	size_t key_len;
	void *value;
};

struct lab_map {
	uint32_t magic;
	struct lab_heap *heap;
	size_t max_entries;
	size_t count;          /* without holes */
	size_t used, capacity; /* of entries, holes included */
	struct entry *entries;
	uint32_t *table; /* 2 * capacity, a power of two */
};

struct lab_map *lab_map_new(struct lab_heap *heap, size_t max_entries)
{
	struct lab_map *map = lab_new(heap, struct lab_map);

	map->magic = MAP_MAGIC;
	map->heap = heap;
	map->max_entries = max_entries < UINT32_MAX / 4 ? max_entries : UINT32_MAX / 4;
	return map;
}

void lab_map_free(struct lab_map **_map)
{
	struct lab_map *map = *_map;

	if (map == NULL)
		return;
	*_map = NULL;
	lab_map_clear(map);
	lab_heap_free(map->heap, map->entries);
	lab_heap_free(map->heap, map->table);
	map->magic = 0;
	lab_heap_free(map->heap, map);
}

size_t lab_map_count(const struct lab_map *map)
{
	lab_check(map, MAP_MAGIC);
	return map->count;
}

static bool entry_matches(const struct entry *entry, uint64_t hash, struct lab_view key)
{
	return entry->hash == hash && entry->key != NULL && entry->key_len == key.len &&
	       (key.len == 0 || memcmp(entry->key, key.ptr, key.len) == 0);
}

static struct entry *map_find(const struct lab_map *map, uint64_t hash, struct lab_view key)
{
	size_t mask = 2 * map->capacity - 1;

	if (map->count == 0)
		return NULL;
	/* Ends: at most half of the table is in use. */
	for (size_t at = hash & mask; map->table[at] != NOTHING; at = (at + 1) & mask) {
		struct entry *entry = &map->entries[map->table[at] - 1];

		if (entry_matches(entry, hash, key))
			return entry;
	}
	return NULL;
}

static void map_enter(struct lab_map *map, uint64_t hash, size_t number)
{
	size_t mask = 2 * map->capacity - 1, at = hash & mask;

	while (map->table[at] != NOTHING)
		at = (at + 1) & mask;
	map->table[at] = (uint32_t)(number + 1);
}

static void map_compact(struct lab_map *map)
{
	size_t to = 0;

	for (size_t from = 0; from < map->used; from++) {
		if (map->entries[from].key != NULL)
			map->entries[to++] = map->entries[from];
	}
	map->used = to;
}

/* The array is full: sweep it, double it unless a quarter was holes, and index it anew. */
static void map_make_room(struct lab_map *map)
{
	size_t capacity = map->capacity;

	map_compact(map);
	if (capacity == 0)
		capacity = FIRST_CAPACITY;
	else if (map->count > capacity / 4 * 3)
		capacity *= 2;
	if (capacity != map->capacity) {
		map->entries = lab_heap_realloc(
			map->heap, map->entries, capacity * sizeof(map->entries[0]));
		lab_heap_free(map->heap, map->table);
		map->table = lab_new_array(map->heap, uint32_t, 2 * capacity);
		map->capacity = capacity;
	} else {
		memset(map->table, 0, 2 * capacity * sizeof(map->table[0]));
	}
	for (size_t i = 0; i < map->used; i++)
		map_enter(map, map->entries[i].hash, i);
}

void *lab_map_get(const struct lab_map *map, struct lab_view key)
{
	lab_check(map, MAP_MAGIC);
	const struct entry *entry = map_find(map, lab_hash_view(MAP_SEED, key), key);
	return entry == NULL ? NULL : entry->value;
}

void **lab_map_slot(struct lab_map *map, struct lab_view key)
{
	uint64_t hash = lab_hash_view(MAP_SEED, key);
	struct entry *entry;

	lab_check(map, MAP_MAGIC);
	entry = map_find(map, hash, key);
	if (entry != NULL)
		return &entry->value;
	if (map->count >= map->max_entries)
		return NULL;
	if (map->used == map->capacity)
		map_make_room(map);
	entry = &map->entries[map->used];
	*entry = (struct entry){ .hash = hash, .key_len = key.len };
	entry->key = lab_heap_alloc(map->heap, key.len);
	if (key.len > 0)
		memcpy(entry->key, key.ptr, key.len);
	map_enter(map, hash, map->used);
	map->used++;
	map->count++;
	return &entry->value;
}

void *lab_map_remove(struct lab_map *map, struct lab_view key)
{
	lab_check(map, MAP_MAGIC);
	struct entry *entry = map_find(map, lab_hash_view(MAP_SEED, key), key);
	if (entry == NULL)
		return NULL;
	void *value = entry->value;
	/* `key` may be the entry's own, so it is not looked at any more. */
	lab_heap_free(map->heap, entry->key);
	*entry = (struct entry){ .key = NULL };
	map->count--;
	return value;
}

void lab_map_clear(struct lab_map *map)
{
	lab_check(map, MAP_MAGIC);
	for (size_t i = 0; i < map->used; i++)
		lab_heap_free(map->heap, map->entries[i].key);
	if (map->table != NULL)
		memset(map->table, 0, 2 * map->capacity * sizeof(map->table[0]));
	map->used = map->count = 0;
}

bool lab_map_next(struct lab_map_iter *iter, struct lab_view *ret_key, void **ret_value)
{
	const struct lab_map *map = iter->map;

	lab_check(map, MAP_MAGIC);
	while (iter->position < map->used) {
		const struct entry *entry = &map->entries[iter->position++];

		if (entry->key != NULL) {
			*ret_key = lab_view_of(entry->key, entry->key_len);
			*ret_value = entry->value;
			return true;
		}
	}
	return false;
}
