/* SPDX-License-Identifier: Apache-2.0
 *
 * cdmi.c - data objects and containers with CDMI content types.
 */
#include "sim/scality-emulator/scality-emulator-private.h"

#define JSON_DEPTH 4

/* ---- what is asked for ---- */

static bool is(const struct scalemu_exchange *x, const char *method)
{
	return lab_view_eq_cstr(x->request->method, method);
}

static bool is_version_known(struct lab_view list)
{
	struct lab_view version;

	while (list.ptr != NULL && lab_view_split(&list, ',', &version)) {
		version = lab_view_trim(version);
		if (lab_view_eq_cstr(version, "1.0.2") || lab_view_eq_cstr(version, "1.1") ||
			lab_view_eq_cstr(version, "1.1.1"))
			return true;
	}
	return false;
}

static bool is_id(struct lab_view text)
{
	uint8_t id[SCALEMU_ID_BYTES];

	return text.len == 2 * sizeof(id) && lab_unhex(text, id, sizeof(id)) == 0;
}

/* "cdmi_objectid/<id>" behind its own base; 1 yes, 0 no, -1 it is one, but wrong. */
static int take_id(struct scalemu_exchange *x, struct lab_view path)
{
	struct lab_view prefix = LAB_VIEW("cdmi_objectid/");

	if (!scalemu_take_base(&path, x->ring->options.objectid_base) ||
		!lab_view_starts_with(path, prefix))
		return 0;
	x->key = lab_view_skip(path, prefix.len);
	x->by_id = true;
	return is_id(x->key) ? 1 : -1;
}

static bool take_path(struct scalemu_exchange *x, struct lab_view path)
{
	if (!scalemu_take_base(&path, x->ring->options.base))
		return false;
	x->key = LAB_VIEW("");
	x->is_container = path.len == 0 || path.ptr[path.len - 1] == '/';
	if (path.len == 0)
		return true;
	if (x->is_container)
		path.len--;
	x->key = path;
	return scalemu_is_path(path);
}

static bool parse_target(struct scalemu_exchange *x)
{
	struct lab_view path = x->request->target;
	size_t mark = lab_view_find_byte(path, '?');
	int id;

	if (mark != SIZE_MAX) {
		x->query = lab_view_skip(path, mark + 1);
		path.len = mark;
	}
	path = scalemu_decode(x, path);
	id = path.ptr == NULL ? -1 : take_id(x, path);
	return id != 0 ? id > 0 : take_path(x, path);
}

static bool has_value(struct lab_view query)
{
	struct lab_view field;

	if (query.ptr == NULL)
		return true;
	while (lab_view_split(&query, ';', &field)) {
		if (lab_view_eq_cstr(field, "value"))
			return true;
	}
	return false;
}

static void set_route(struct scalemu_exchange *x, const char *operation, const char *point,
	const struct scalemu_latency *latency)
{
	x->operation = operation;
	x->point = point;
	x->latency = *latency;
}

static bool route_bulk(struct scalemu_exchange *x)
{
	bool is_delete = lab_view_eq_cstr(x->query, "bulk_delete");

	if (!x->is_container || x->key.len > 0 ||
		(!is_delete && !lab_view_eq_cstr(x->query, "bulk_link")))
		return false;
	set_route(x, is_delete ? "POST-DELETE" : "POST-LINK", "cdmi.bulk",
		&x->ring->options.write_latency);
	return true;
}

static bool route_method(struct scalemu_exchange *x)
{
	const struct scalemu_options *o = &x->ring->options;

	if (is(x, "POST"))
		return route_bulk(x);
	if (is(x, "GET") && x->is_container)
		set_route(x, "LIST", "cdmi.get", &o->list_latency);
	else if (is(x, "GET"))
		set_route(x, has_value(x->query) ? "GET" : "HEAD", "cdmi.get", &o->read_latency);
	else if (is(x, "PUT"))
		set_route(x, x->is_container ? "CONTAINER" : "PUT", "cdmi.put", &o->write_latency);
	else if (is(x, "DELETE"))
		set_route(x, "DELETE", "cdmi.delete", &o->write_latency);
	else
		return false;
	return true;
}

bool scalemu_cdmi_route(struct scalemu_exchange *x)
{
	if (!is_version_known(scalemu_request_header(x, "X-CDMI-Specification-Version")))
		scalemu_fail(x, 400, "X-CDMI-Specification-Version 1.0.2, 1.1 or 1.1.1 is needed");
	else if (!parse_target(x))
		scalemu_fail(x, 400, "this is neither a path nor an object id");
	else if (!route_method(x))
		scalemu_fail(x, 405, "the method is not known here");
	else if (x->query.ptr != NULL && !is(x, "GET") && !is(x, "POST"))
		scalemu_fail(x, 400, "a query is not known here");
	else
		return true;
	return false;
}

/* ---- what the body says ---- */

struct content {
	bool has_value, has_metadata;
	struct lab_view value, copy;
	struct lab_http_header metadata[SCALEMU_METADATA_MAX];
	size_t count;
};

static struct lab_view text_of(struct scalemu_exchange *x, const json_t *value)
{
	return lab_arena_copy(
		x->arena, lab_view_of(json_string_value(value), json_string_length(value)));
}

static const char *read_metadata(
	struct scalemu_exchange *x, json_t *object, struct content *content)
{
	size_t bytes = 0;
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return "metadata is not an object";
	content->has_metadata = true;
	json_object_foreach(object, name, value)
	{
		struct lab_view key = lab_view_cstr(name);

		if (!json_is_string(value) || key.len == 0 ||
			lab_view_starts_with(key, LAB_VIEW("cdmi_")))
			return "metadata has a name or a value that is not allowed";
		bytes += key.len + json_string_length(value);
		if (key.len > SCALEMU_METADATA_NAME_MAX || bytes > SCALEMU_METADATA_BYTES_MAX ||
			content->count == SCALEMU_METADATA_MAX)
			return "metadata is too much";
		content->metadata[content->count++] =
			(struct lab_http_header){ lab_arena_copy(x->arena, key),
				text_of(x, value) };
	}
	return NULL;
}

static const char *read_value(
	struct scalemu_exchange *x, const json_t *value, struct content *content)
{
	struct lab_view text = lab_view_of(json_string_value(value), json_string_length(value));
	struct lab_buf plain;
	const char *why = NULL;

	lab_buf_init(&plain, x->ring->heap, text.len + 1);
	if (lab_buf_append_unbase64(&plain, text) < 0 || plain.overflow)
		why = "value is not base64";
	else
		content->value = lab_arena_copy(x->arena, lab_buf_view(&plain));
	content->has_value = true;
	lab_buf_done(&plain);
	return why;
}

/* NULL, or what is wrong. */
static const char *read_field(
	struct scalemu_exchange *x, const char *name, json_t *value, struct content *content)
{
	if (strcmp(name, "metadata") == 0)
		return read_metadata(x, value, content);
	if (!json_is_string(value))
		return "a field is not a string";
	if (strcmp(name, "value") == 0)
		return read_value(x, value, content);
	if (strcmp(name, "valuetransferencoding") == 0)
		return strcmp(json_string_value(value), "base64") == 0
			       ? NULL
			       : "valuetransferencoding is not base64";
	if (strcmp(name, "copy") == 0) {
		content->copy = text_of(x, value);
		return NULL;
	}
	return strcmp(name, "mimetype") == 0 ? NULL : "a field is not known";
}

static const char *read_fields(struct scalemu_exchange *x, json_t *root, struct content *content)
{
	const char *name, *why = NULL;
	json_t *value;

	if (!json_is_object(root))
		return "the body is not a JSON object";
	json_object_foreach(root, name, value)
	{
		why = read_field(x, name, value, content);
		if (why != NULL)
			return why;
	}
	if (content->has_value == (content->copy.ptr != NULL))
		return "one of value and copy is needed";
	if (content->has_value && json_object_get(root, "valuetransferencoding") == NULL)
		return "valuetransferencoding is missing";
	return NULL;
}

json_t *scalemu_parse_json(struct lab_view text)
{
	json_error_t where;

	if (text.len == 0 || !lab_json_is_shallow(text, JSON_DEPTH))
		return NULL;
	/* Else jansson would seed its hash from the operating system. */
	json_object_seed(1);
	return json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &where);
}

static const char *read_content(struct scalemu_exchange *x, struct content *content)
{
	json_t *root = scalemu_parse_json(x->request->body);
	const char *why = root == NULL ? "the body is not JSON" : read_fields(x, root, content);

	if (root != NULL)
		json_decref(root);
	return why;
}

bool scalemu_has_type(struct scalemu_exchange *x, const char *header, const char *type)
{
	return lab_view_eq_cstr(scalemu_request_header(x, header), type);
}

/* ---- what the answers say ---- */

void scalemu_answer_json(
	struct scalemu_exchange *x, struct lab_json *json, unsigned status, const char *type)
{
	x->out.response.status = status;
	scalemu_header(x, "Content-Type", lab_view_cstr(type));
	scalemu_header(x, "X-CDMI-Specification-Version", LAB_VIEW("1.1"));
	lab_json_init(json, &x->body, false);
	lab_json_object(json);
}

static void put_view(struct lab_json *json, const char *key, struct lab_view value)
{
	lab_json_key(json, key);
	lab_json_view(json, value);
}

static void show_metadata(
	struct scalemu_exchange *x, struct lab_json *json, const struct scalemu_object *object)
{
	lab_json_key(json, "metadata");
	lab_json_object(json);
	for (size_t i = 0; i < object->metadata_count; i++)
		put_view(json, lab_arena_cstr(x->arena, object->metadata[i].name),
			object->metadata[i].value);
	lab_json_put_cstr(json, "cdmi_size", lab_arena_printf(x->arena, "%zu", object->body.len));
	lab_json_end(json);
}

static void show_value(
	struct scalemu_exchange *x, struct lab_json *json, const struct scalemu_object *object)
{
	struct lab_buf text;

	lab_buf_init(&text, x->ring->heap, object->body.len * 2 + 8);
	lab_buf_append_base64(&text, object->body);
	lab_json_put_cstr(json, "valuetransferencoding", "base64");
	put_view(json, "value", lab_buf_view(&text));
	lab_buf_done(&text);
	x->bytes = object->body.len;
}

static bool show_field(struct scalemu_exchange *x, struct lab_json *json, struct lab_view field,
	const struct scalemu_object *object)
{
	if (lab_view_eq_cstr(field, "objectID"))
		lab_json_put_cstr(json, "objectID", object->id);
	else if (lab_view_eq_cstr(field, "metadata"))
		show_metadata(x, json, object);
	else if (lab_view_eq_cstr(field, "value"))
		show_value(x, json, object);
	else
		return false;
	return true;
}

/* ---- objects ---- */

static struct scalemu_object *find_named(struct scalemu_exchange *x)
{
	char id[2 * SCALEMU_ID_BYTES + 1];
	uint8_t bytes[SCALEMU_ID_BYTES];

	if (!x->by_id)
		return scalemu_find(x->ring, x->key);
	(void)lab_unhex(x->key, bytes, sizeof(bytes));
	lab_hex(bytes, sizeof(bytes), id);
	return lab_map_get(x->ring->ids, lab_view_cstr(id));
}

static void answer_get(struct scalemu_exchange *x)
{
	const struct scalemu_object *object = find_named(x);
	struct lab_view fields = x->query, field;
	struct lab_json json;

	if (!scalemu_has_type(x, "Accept", SCALEMU_TYPE_OBJECT)) {
		scalemu_fail(x, 400, "Accept is not " SCALEMU_TYPE_OBJECT);
		return;
	}
	if (object == NULL) {
		scalemu_fail(x, 404, "there is no such object");
		return;
	}
	if (fields.ptr == NULL)
		fields = LAB_VIEW("objectID;metadata;value");
	scalemu_answer_json(x, &json, 200, SCALEMU_TYPE_OBJECT);
	while (lab_view_split(&fields, ';', &field)) {
		if (!show_field(x, &json, field, object)) {
			scalemu_fail(x, 400, "a field is not known");
			return;
		}
	}
	lab_json_end(&json);
	x->body_hash = object->body_hash;
	x->ring->counters.gets++;
}

/* The container it goes into is there, and no container has its name. */
static bool check_place(struct scalemu_exchange *x)
{
	struct lab_view parent = scalemu_parent_of(x->key);
	const struct scalemu_node *node = scalemu_node_find(x->ring, parent);

	if (x->by_id)
		scalemu_fail(x, 400, "new objects need a path");
	else if (parent.len > 0 && node == NULL)
		scalemu_fail(x, 404, "the container is not there");
	else if (parent.len > 0 && node->object != NULL)
		scalemu_fail(x, 409, "the container is a data object");
	else
		return true;
	return false;
}

static void put_done(struct scalemu_exchange *x, const struct scalemu_object *object)
{
	struct lab_json json;

	scalemu_answer_json(x, &json, 201, SCALEMU_TYPE_OBJECT);
	lab_json_put_cstr(&json, "objectType", SCALEMU_TYPE_OBJECT);
	lab_json_put_cstr(&json, "objectID", object == NULL ? "" : object->id);
	lab_json_put_cstr(&json, "completionStatus", "Complete");
	lab_json_end(&json);
}

/* A new object is 201 with its id, one that was there 204 and nothing more. */
static void apply_put(struct scalemu_exchange *x, const struct content *content, bool exists)
{
	const struct scalemu_object *object = NULL;

	if (!x->dry) {
		object = scalemu_put(
			x->ring, x->key, content->value, content->metadata, content->count);
		x->applied = true;
		x->body_hash = object->body_hash;
		x->ring->counters.puts++;
	}
	if (exists)
		scalemu_fail(x, 204, "");
	else
		put_done(x, object);
}

/* The new object has the old one's metadata, unless the body has some. */
static bool resolve_copy(struct scalemu_exchange *x, struct content *content)
{
	struct lab_view path = content->copy;
	const struct scalemu_object *from;

	x->operation = "COPY";
	if (!scalemu_take_base(&path, x->ring->options.base)) {
		scalemu_fail(x, 400, "copy is not a path below the base");
		return false;
	}
	from = scalemu_find(x->ring, path);
	if (from == NULL) {
		scalemu_fail(x, 404, "there is nothing to copy");
		return false;
	}
	content->value = lab_arena_copy(x->arena, from->body);
	if (content->has_metadata)
		return true;
	for (size_t i = 0; i < from->metadata_count; i++)
		content->metadata[i] =
			(struct lab_http_header){ lab_arena_copy(x->arena, from->metadata[i].name),
				lab_arena_copy(x->arena, from->metadata[i].value) };
	content->count = from->metadata_count;
	return true;
}

static void answer_put(struct scalemu_exchange *x)
{
	struct content *content = lab_arena_new_of(x->arena, struct content);
	const struct scalemu_node *node = scalemu_node_find(x->ring, x->key);
	const char *why = NULL;

	if (!scalemu_has_type(x, "Content-Type", SCALEMU_TYPE_OBJECT))
		why = "Content-Type is not " SCALEMU_TYPE_OBJECT;
	else
		why = read_content(x, content);
	if (why != NULL) {
		scalemu_fail(x, 400, why);
		return;
	}
	if (!check_place(x) || (content->copy.ptr != NULL && !resolve_copy(x, content)))
		return;
	x->bytes = content->value.len;
	if (node != NULL && node->object == NULL)
		scalemu_fail(x, 409, "a container has that name");
	else if (content->value.len > x->ring->options.limits.object_bytes_max)
		scalemu_fail(x, 413, "the object is too large");
	else if (!scalemu_has_room(x->ring, content->value.len))
		scalemu_fail(x, 507, "the ring is full");
	else if (scalemu_conditions(x, node != NULL) && !scalemu_refuse_locked(x, x->key))
		apply_put(x, content, node != NULL);
}

/* By its id an object goes with all its names; which one is found first does not matter. */
static void remove_by_id(struct scalemu_exchange *x, const struct scalemu_object *object)
{
	unsigned names = object->names;

	while (names-- > 0) {
		struct lab_tree_iter iter = lab_tree_iterate(x->ring->names, LAB_VIEW(""));
		struct lab_view key;
		void *node;

		while (lab_tree_next(&iter, &key, &node)) {
			if (((struct scalemu_node *)node)->object != object)
				continue;
			scalemu_remove(x->ring, lab_arena_copy(x->arena, key));
			break;
		}
	}
}

static void answer_delete(struct scalemu_exchange *x)
{
	const struct scalemu_object *object = find_named(x);

	if (object == NULL) {
		scalemu_fail(x, 404, "there is no such object");
		x->applied = !x->dry;
		return;
	}
	if (!scalemu_conditions(x, true) || scalemu_refuse_locked(x, x->key))
		return;
	scalemu_fail(x, 204, "");
	if (x->dry)
		return;
	if (x->by_id)
		remove_by_id(x, object);
	else
		scalemu_remove(x->ring, x->key);
	x->applied = true;
	x->ring->counters.deletes++;
}

/* ---- containers ---- */

static void make_container(struct scalemu_exchange *x)
{
	const struct scalemu_node *node = scalemu_node_find(x->ring, x->key);

	if (!scalemu_has_type(x, "Content-Type", SCALEMU_TYPE_CONTAINER) ||
		!lab_view_eq_cstr(x->request->body, "{}")) {
		scalemu_fail(x, 400, "a container is " SCALEMU_TYPE_CONTAINER " {}");
	} else if (x->key.len == 0 || (node != NULL && node->object == NULL)) {
		scalemu_fail(x, 204, "");
	} else if (node != NULL) {
		scalemu_fail(x, 409, "a data object has that name");
	} else if (check_place(x) && !scalemu_refuse_locked(x, x->key)) {
		if (!scalemu_has_room(x->ring, 0)) {
			scalemu_fail(x, 507, "the ring is full");
			return;
		}
		if (!x->dry) {
			scalemu_container_add(x->ring, x->key);
			x->applied = true;
		}
		scalemu_fail(x, 201, "made");
	}
}

static void remove_container(struct scalemu_exchange *x)
{
	const struct scalemu_node *node = scalemu_node_find(x->ring, x->key);

	if (node == NULL || node->object != NULL) {
		scalemu_fail(x, 404, "there is no such container");
	} else if (node->children > 0) {
		scalemu_fail(x, 409, "the container is not empty");
	} else {
		if (!x->dry) {
			scalemu_remove(x->ring, x->key);
			x->applied = true;
		}
		scalemu_fail(x, 204, "");
	}
}

void scalemu_cdmi_answer(struct scalemu_exchange *x)
{
	if (is(x, "POST"))
		scalemu_cdmi_bulk(x);
	else if (is(x, "GET") && x->is_container)
		scalemu_cdmi_list(x);
	else if (is(x, "GET"))
		answer_get(x);
	else if (is(x, "PUT") && x->is_container)
		make_container(x);
	else if (is(x, "PUT"))
		answer_put(x);
	else if (x->is_container)
		remove_container(x);
	else
		answer_delete(x);
}
