/* SPDX-License-Identifier: Apache-2.0
 *
 * lab_tree: a treap whose priorities are hashes of the keys, so that its shape depends on what is
 * in it and on nothing else. Nodes never move in memory: an iterator may hold the next one while
 * the one before it is removed. No recursion. */
#include "core/base/map.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/hash.h"

#define TREE_MAGIC 0x4c545245u
#define TREE_SEED UINT64_C(0x74726565)

struct node {
	struct node *child[2]; /* smaller, greater */
	struct node *parent;
	uint64_t priority; /* not above the parent's */
	uint64_t prefix;   /* the key's first 8 bytes, to compare at once */
	void *value;
	size_t key_len;
	uint8_t key[];
};

struct lab_tree {
	uint32_t magic;
	struct lab_heap *heap;
	size_t max_entries, count;
	struct node *root;
};

struct lab_tree *lab_tree_new(struct lab_heap *heap, size_t max_entries)
{
	struct lab_tree *tree = lab_new(heap, struct lab_tree);

	tree->magic = TREE_MAGIC;
	tree->heap = heap;
	tree->max_entries = max_entries;
	return tree;
}

void lab_tree_free(struct lab_tree **_tree)
{
	struct lab_tree *tree = *_tree;

	if (tree == NULL)
		return;
	*_tree = NULL;
	lab_tree_clear(tree);
	tree->magic = 0;
	lab_heap_free(tree->heap, tree);
}

size_t lab_tree_count(const struct lab_tree *tree)
{
	lab_check(tree, TREE_MAGIC);
	return tree->count;
}

/* Orders as the bytes do: big-endian, short keys padded with zeros. */
static uint64_t key_prefix(struct lab_view key)
{
	uint64_t prefix = 0;

	if (key.len >= sizeof(prefix)) {
		memcpy(&prefix, key.ptr, sizeof(prefix));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		prefix = __builtin_bswap64(prefix);
#endif
		return prefix;
	}
	for (size_t i = 0; i < key.len; i++)
		prefix |= (uint64_t)key.ptr[i] << (56 - 8 * i);
	return prefix;
}

static struct lab_view node_key(const struct node *node)
{
	return lab_view_of(node->key, node->key_len);
}

static inline int key_compare(struct lab_view key, uint64_t prefix, const struct node *node)
{
	if (prefix != node->prefix)
		return prefix < node->prefix ? -1 : 1;
	return lab_view_cmp(key, node_key(node));
}

static struct node *tree_find(const struct lab_tree *tree, struct lab_view key)
{
	uint64_t prefix = key_prefix(key);
	struct node *node = tree->root;

	while (node != NULL) {
		int order = key_compare(key, prefix, node);

		if (order == 0)
			return node;
		node = node->child[order > 0];
	}
	return NULL;
}

static struct node **tree_link_of(struct lab_tree *tree, const struct node *node)
{
	if (node->parent == NULL)
		return &tree->root;
	return &node->parent->child[node->parent->child[1] == node];
}

/* Lifts the node into its parent's place; the parent becomes its child. */
static void tree_rotate_up(struct lab_tree *tree, struct node *node)
{
	struct node *parent = node->parent;
	unsigned side = parent->child[1] == node;
	struct node *inner = node->child[!side];

	*tree_link_of(tree, parent) = node;
	node->parent = parent->parent;
	node->child[!side] = parent;
	parent->parent = node;
	parent->child[side] = inner;
	if (inner != NULL)
		inner->parent = parent;
}

static struct node *tree_new_node(struct lab_tree *tree, struct lab_view key, uint64_t prefix)
{
	struct node *node = lab_heap_alloc(tree->heap, sizeof(*node) + key.len);

	node->prefix = prefix;
	node->priority = lab_hash_view(TREE_SEED, key);
	node->key_len = key.len;
	if (key.len > 0)
		memcpy(node->key, key.ptr, key.len);
	return node;
}

void *lab_tree_get(const struct lab_tree *tree, struct lab_view key)
{
	lab_check(tree, TREE_MAGIC);
	const struct node *node = tree_find(tree, key);
	return node == NULL ? NULL : node->value;
}

void **lab_tree_slot(struct lab_tree *tree, struct lab_view key)
{
	uint64_t prefix = key_prefix(key);
	struct node *parent = NULL, *node;
	int order = 0;

	lab_check(tree, TREE_MAGIC);
	for (node = tree->root; node != NULL; node = node->child[order > 0]) {
		order = key_compare(key, prefix, node);
		if (order == 0)
			return &node->value;
		parent = node;
	}
	if (tree->count >= tree->max_entries)
		return NULL;
	node = tree_new_node(tree, key, prefix);
	node->parent = parent;
	if (parent == NULL)
		tree->root = node;
	else
		parent->child[order > 0] = node;
	while (node->parent != NULL && node->parent->priority < node->priority)
		tree_rotate_up(tree, node);
	tree->count++;
	return &node->value;
}

void *lab_tree_remove(struct lab_tree *tree, struct lab_view key)
{
	lab_check(tree, TREE_MAGIC);
	struct node *node = tree_find(tree, key);
	if (node == NULL)
		return NULL;
	/* Down to where it has one child at most, then out. */
	while (node->child[0] != NULL && node->child[1] != NULL) {
		bool right = node->child[1]->priority > node->child[0]->priority;

		tree_rotate_up(tree, node->child[right]);
	}
	struct node *only = node->child[node->child[0] == NULL];
	*tree_link_of(tree, node) = only;
	if (only != NULL)
		only->parent = node->parent;
	void *value = node->value;
	tree->count--;
	lab_heap_free(tree->heap, node);
	return value;
}

void lab_tree_clear(struct lab_tree *tree)
{
	lab_check(tree, TREE_MAGIC);
	struct node *node = tree->root;

	/* Leaf by leaf, back through the parents. */
	while (node != NULL) {
		struct node *child = node->child[node->child[0] == NULL];

		if (child != NULL) {
			node = child;
			continue;
		}
		struct node *parent = node->parent;
		if (parent != NULL)
			parent->child[parent->child[1] == node] = NULL;
		lab_heap_free(tree->heap, node);
		node = parent;
	}
	tree->root = NULL;
	tree->count = 0;
}

struct lab_tree_iter lab_tree_iterate(const struct lab_tree *tree, struct lab_view from)
{
	uint64_t prefix = key_prefix(from);
	struct node *node, *first = NULL;

	lab_check(tree, TREE_MAGIC);
	node = tree->root;
	while (node != NULL) {
		if (key_compare(from, prefix, node) <= 0) {
			first = node;
			node = node->child[0];
		} else {
			node = node->child[1];
		}
	}
	return (struct lab_tree_iter){ tree, first };
}

static struct node *node_next(struct node *node)
{
	if (node->child[1] != NULL) {
		node = node->child[1];
		while (node->child[0] != NULL)
			node = node->child[0];
		return node;
	}
	while (node->parent != NULL && node->parent->child[1] == node)
		node = node->parent;
	return node->parent;
}

bool lab_tree_next(struct lab_tree_iter *iter, struct lab_view *ret_key, void **ret_value)
{
	struct node *node = iter->node;

	if (node == NULL)
		return false;
	*ret_key = node_key(node);
	*ret_value = node->value;
	iter->node = node_next(node);
	return true;
}
