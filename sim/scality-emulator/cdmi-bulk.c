/* SPDX-License-Identifier: Apache-2.0
 *
 * cdmi-bulk.c - many deletes or links in one request, each with a status of its own.
 */
#include "sim/scality-emulator/scality-emulator-private.h"

/* One entry: its status. */
static unsigned bulk_delete(struct scalemu_exchange *x, struct lab_view path)
{
	if (scalemu_find(x->ring, path) == NULL)
		return 404;
	if (scalemu_is_locked(x->ring, path, x->now_ns)) {
		x->ring->counters.locked++;
		return 409;
	}
	if (!x->dry) {
		scalemu_remove(x->ring, path);
		x->ring->counters.deletes++;
		x->applied = true;
	}
	return 204;
}

/* A second name for an object. One that it has already is as good as new. */
static unsigned bulk_link(struct scalemu_exchange *x, struct lab_view from, struct lab_view to)
{
	struct scalemu_object *object = scalemu_find(x->ring, from);
	const struct scalemu_node *target = scalemu_node_find(x->ring, to);
	struct lab_view parent = scalemu_parent_of(to);
	const struct scalemu_node *container = scalemu_node_find(x->ring, parent);

	if (object == NULL || (parent.len > 0 && container == NULL))
		return 404;
	if (target != NULL)
		return target->object == object ? 204 : 409;
	if ((parent.len > 0 && container->object != NULL) ||
		scalemu_is_locked(x->ring, to, x->now_ns))
		return 409;
	if (!scalemu_has_room(x->ring, 0))
		return 507;
	if (!x->dry) {
		scalemu_link(x->ring, to, object);
		x->ring->counters.links++;
		x->applied = true;
	}
	return 201;
}

/* ptr NULL: it is no path. */
static struct lab_view bulk_path(struct scalemu_exchange *x, const json_t *value)
{
	struct lab_view text = { NULL, 0 };

	if (json_is_string(value))
		text = lab_arena_copy(
			x->arena, lab_view_of(json_string_value(value), json_string_length(value)));
	return scalemu_is_path(text) ? text : (struct lab_view){ NULL, 0 };
}

struct bulk {
	bool is_link;
	struct lab_view *paths;   /* what each result is about */
	struct lab_view *sources; /* of links */
	size_t count;
};

static const char *read_entry(
	struct scalemu_exchange *x, const json_t *entry, struct bulk *bulk, size_t i)
{
	if (!bulk->is_link) {
		bulk->paths[i] = bulk_path(x, entry);
	} else {
		if (!json_is_object(entry) || json_object_size(entry) != 2)
			return "a link is a source and a target";
		bulk->sources[i] = bulk_path(x, json_object_get(entry, "source"));
		bulk->paths[i] = bulk_path(x, json_object_get(entry, "target"));
		if (bulk->sources[i].ptr == NULL)
			return "a source is no path";
	}
	return bulk->paths[i].ptr == NULL ? "an entry is no path" : NULL;
}

static const char *read_bulk(struct scalemu_exchange *x, const json_t *root, struct bulk *bulk)
{
	const json_t *list = json_object_get(root, bulk->is_link ? "link" : "delete");
	const char *why;

	if (!json_is_object(root) || json_object_size(root) != 1 || !json_is_array(list))
		return "the body is not one list";
	bulk->count = json_array_size(list);
	if (bulk->count == 0 || bulk->count > x->ring->options.bulk_max)
		return "too few or too many entries";
	bulk->paths = lab_arena_array(x->arena, struct lab_view, bulk->count);
	bulk->sources = lab_arena_array(x->arena, struct lab_view, bulk->count);
	for (size_t i = 0; i < bulk->count; i++) {
		why = read_entry(x, json_array_get(list, i), bulk, i);
		if (why != NULL)
			return why;
	}
	return NULL;
}

static unsigned run_entry(struct scalemu_exchange *x, const struct bulk *bulk, size_t i)
{
	unsigned status;

	if (x->fault.kind == SIM_FAULT_PARTLY && i >= x->fault.replicas)
		return x->fault.status != 0 ? x->fault.status : 500;
	status = bulk->is_link ? bulk_link(x, bulk->sources[i], bulk->paths[i])
			       : bulk_delete(x, bulk->paths[i]);
	if (!x->dry && (status == 201 || status == 204 || (status == 404 && !bulk->is_link)))
		x->keys[x->key_count++] = bulk->paths[i];
	return status;
}

static void run_bulk(struct scalemu_exchange *x, const struct bulk *bulk)
{
	struct lab_json json;

	x->keys = lab_arena_array(x->arena, struct lab_view, bulk->count);
	x->ring->counters.bulk_requests++;
	scalemu_answer_json(x, &json, 200, "application/json");
	lab_json_key(&json, "results");
	lab_json_array(&json);
	for (size_t i = 0; i < bulk->count; i++) {
		lab_json_object(&json);
		lab_json_key(&json, "path");
		lab_json_view(&json, bulk->paths[i]);
		lab_json_put_u64(&json, "status", run_entry(x, bulk, i));
		lab_json_end(&json);
	}
	lab_json_end(&json);
	lab_json_end(&json);
}

void scalemu_cdmi_bulk(struct scalemu_exchange *x)
{
	struct bulk bulk = { .is_link = strcmp(x->operation, "POST-LINK") == 0 };
	json_t *root = scalemu_parse_json(x->request->body);
	const char *why;

	if (!scalemu_has_type(x, "Content-Type", "application/json"))
		why = "Content-Type is not application/json";
	else
		why = root == NULL ? "the body is not JSON" : read_bulk(x, root, &bulk);
	if (root != NULL)
		json_decref(root);
	if (why != NULL)
		scalemu_fail(x, 400, why);
	else
		run_bulk(x, &bulk);
}
