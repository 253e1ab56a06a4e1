/* SPDX-License-Identifier: Apache-2.0
 *
 * map.h - two containers from byte strings to pointers.
 *
 * lab_map   hash map; iterates in the order of first insertion (a removed and re-inserted key goes
 *           to the end), never in hash order, so nothing depends on the hash function.
 * lab_tree  ordered map; iterates in byte order of the keys, from any point.
 *
 * Keys are copied. Values are the caller's and may be NULL. Both take their maximum number of
 * entries when made; an insertion beyond it returns NULL. Changing a container ends its iterators,
 * except that the entry just returned by an iterator may be removed.
 */
#ifndef LAB_BASE_MAP_H
#define LAB_BASE_MAP_H

#include "core/base/heap.h"
#include "core/base/view.h"

struct lab_map;

struct lab_map *lab_map_new(struct lab_heap *heap, size_t max_entries);
/* Values are not touched. NULLs the pointer; accepts NULL. */
void lab_map_free(struct lab_map **map);
size_t lab_map_count(const struct lab_map *map);
/* The value, or NULL if the key is absent. */
void *lab_map_get(const struct lab_map *map, struct lab_view key);
/* Where the value is kept, NULL-initialised if the key is new; NULL only at max_entries.
 * Valid until the next change of the map. */
void **lab_map_slot(struct lab_map *map, struct lab_view key);
/* Removes and returns the value, or NULL. */
void *lab_map_remove(struct lab_map *map, struct lab_view key);
void lab_map_clear(struct lab_map *map);

struct lab_map_iter {
	const struct lab_map *map;
	size_t position;
};
static inline struct lab_map_iter lab_map_iterate(const struct lab_map *map)
{
	return (struct lab_map_iter){ map, 0 };
}
/* The key is borrowed until the entry is removed. */
bool lab_map_next(struct lab_map_iter *iter, struct lab_view *ret_key, void **ret_value);

struct lab_tree;

struct lab_tree *lab_tree_new(struct lab_heap *heap, size_t max_entries);
void lab_tree_free(struct lab_tree **tree);
size_t lab_tree_count(const struct lab_tree *tree);
void *lab_tree_get(const struct lab_tree *tree, struct lab_view key);
void **lab_tree_slot(struct lab_tree *tree, struct lab_view key);
void *lab_tree_remove(struct lab_tree *tree, struct lab_view key);
void lab_tree_clear(struct lab_tree *tree);

struct lab_tree_iter {
	const struct lab_tree *tree;
	void *node;
};
/* From the first key >= `from` (the empty view: from the start). */
struct lab_tree_iter lab_tree_iterate(const struct lab_tree *tree, struct lab_view from);
bool lab_tree_next(struct lab_tree_iter *iter, struct lab_view *ret_key, void **ret_value);

#endif
