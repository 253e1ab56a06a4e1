/* SPDX-License-Identifier: Apache-2.0
 *
 * cdmi-list.c - what is in a container: children, by number, or listing, by name.
 */
#include "sim/scality-emulator/scality-emulator-private.h"

#define CHILDREN_MAX 1000

/* The direct children of a container, in order of their names. */
struct children {
	struct lab_tree_iter at;
	struct lab_view prefix;
};

static struct children children_of(struct scalemu_exchange *x)
{
	struct children all = { .prefix = LAB_VIEW("") };

	if (x->key.len > 0)
		all.prefix =
			lab_view_cstr(lab_arena_printf(x->arena, "%.*s/", LAB_VIEW_ARG(x->key)));
	all.at = lab_tree_iterate(x->ring->names, all.prefix);
	return all;
}

static bool next_child(
	struct children *all, struct lab_view *ret_name, const struct scalemu_node **ret_node)
{
	struct lab_view key;
	void *node;

	while (lab_tree_next(&all->at, &key, &node) && lab_view_starts_with(key, all->prefix)) {
		*ret_name = lab_view_skip(key, all->prefix.len);
		*ret_node = node;
		if (lab_view_find_byte(*ret_name, '/') == SIZE_MAX)
			return true;
	}
	return false;
}

static void show_name(struct scalemu_exchange *x, struct lab_json *json, struct lab_view name,
	const struct scalemu_node *node)
{
	lab_json_cstr(json, lab_arena_printf(x->arena, "%.*s%s", LAB_VIEW_ARG(name),
				    node->object == NULL ? "/" : ""));
}

static bool parse_range(struct lab_view text, uint64_t *ret_first, uint64_t *ret_last)
{
	struct lab_view first;

	return lab_view_split(&text, '-', &first) && text.ptr != NULL &&
	       lab_view_to_u64(first, ret_first) == 0 && lab_view_to_u64(text, ret_last) == 0 &&
	       *ret_first <= *ret_last && *ret_last - *ret_first < CHILDREN_MAX;
}

/* readdir: entries by their number. One that comes or goes in between moves the others. */
static void answer_children(struct scalemu_exchange *x, struct lab_view range)
{
	struct children all = children_of(x);
	const struct scalemu_node *node;
	uint64_t first, last, i = 0;
	struct lab_view name;
	struct lab_json json;

	if (!parse_range(range, &first, &last)) {
		scalemu_fail(x, 400, "children needs a range of 1000 or fewer");
		return;
	}
	scalemu_answer_json(x, &json, 200, SCALEMU_TYPE_CONTAINER);
	lab_json_key(&json, "children");
	lab_json_array(&json);
	for (; i <= last && next_child(&all, &name, &node); i++) {
		if (i >= first)
			show_name(x, &json, name, node);
	}
	lab_json_end(&json);
	lab_json_end(&json);
}

/* listing: entries behind a name, with their ids. */
static void answer_listing(struct scalemu_exchange *x, struct lab_view marker)
{
	struct children all = children_of(x);
	const struct scalemu_node *node;
	struct lab_view name;
	struct lab_json json;
	unsigned count = 0;
	bool more;

	scalemu_answer_json(x, &json, 200, SCALEMU_TYPE_CONTAINER);
	lab_json_key(&json, "listing");
	lab_json_array(&json);
	while ((more = next_child(&all, &name, &node)) && count < CHILDREN_MAX) {
		if (marker.len > 0 && lab_view_cmp(name, marker) <= 0)
			continue;
		lab_json_object(&json);
		lab_json_key(&json, "name");
		show_name(x, &json, name, node);
		if (node->object != NULL)
			lab_json_put_cstr(&json, "objectID", node->object->id);
		lab_json_end(&json);
		count++;
	}
	lab_json_end(&json);
	lab_json_put_bool(&json, "truncated", more);
	lab_json_end(&json);
}

void scalemu_cdmi_list(struct scalemu_exchange *x)
{
	const struct scalemu_node *node = scalemu_node_find(x->ring, x->key);
	struct lab_view children = LAB_VIEW("children:"), listing = LAB_VIEW("listing:");
	struct lab_view marker;

	if (!scalemu_has_type(x, "Accept", SCALEMU_TYPE_CONTAINER)) {
		scalemu_fail(x, 400, "Accept is not " SCALEMU_TYPE_CONTAINER);
	} else if (x->key.len > 0 && (node == NULL || node->object != NULL)) {
		scalemu_fail(x, 404, "there is no such container");
	} else if (x->query.ptr != NULL && lab_view_starts_with(x->query, children)) {
		answer_children(x, lab_view_skip(x->query, children.len));
	} else if (x->query.ptr != NULL && lab_view_starts_with(x->query, listing)) {
		marker = lab_view_skip(x->query, listing.len);
		if (marker.len > 0)
			marker = scalemu_decode(x, marker);
		if (marker.ptr == NULL || (marker.len > 0 && !scalemu_is_path(marker)))
			scalemu_fail(x, 400, "the marker is no name");
		else
			answer_listing(x, marker);
	} else {
		scalemu_fail(x, 400, "children: or listing: is needed");
	}
}
