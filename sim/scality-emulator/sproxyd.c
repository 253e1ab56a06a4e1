/* SPDX-License-Identifier: Apache-2.0
 *
 * sproxyd.c - objects by key, or by path.
 */
#include "sim/scality-emulator/scality-emulator-private.h"

#define META_PREFIX "X-Object-Meta-"

static bool is(const struct scalemu_exchange *x, const char *method)
{
	return lab_view_eq_cstr(x->request->method, method);
}

/* The copies of an object have keys of their own: clients name the first, whose last digit is 0. */
static bool parse_key(struct scalemu_exchange *x, struct lab_view text)
{
	uint8_t key[SCALEMU_KEY_HEX / 2];
	char *hex = lab_arena_alloc(x->arena, SCALEMU_KEY_HEX + 1);

	if (x->ring->options.by_path) {
		x->key = text;
		return scalemu_is_path(text);
	}
	if (text.len != SCALEMU_KEY_HEX || lab_unhex(text, key, sizeof(key)) < 0 ||
		(key[sizeof(key) - 1] & 0x0f) != 0)
		return false;
	lab_hex(key, sizeof(key), hex);
	x->key = lab_view_cstr(hex);
	return true;
}

static void answer_conf(struct scalemu_exchange *x)
{
	x->out.response.status = 200;
	scalemu_header(x, "Content-Type", LAB_VIEW("text/plain"));
	lab_buf_printf(&x->body, "[general]\n[ring_driver:0]\nalias=\"%.*s\"\nby_path_enabled=%d\n",
		LAB_VIEW_ARG(x->ring->options.base), x->ring->options.by_path ? 1 : 0);
}

static bool route_method(struct scalemu_exchange *x)
{
	static const struct {
		const char *method, *point;
		bool is_read;
	} methods[] = { { "GET", "sproxyd.get", true }, { "HEAD", "sproxyd.head", true },
		{ "PUT", "sproxyd.put", false }, { "DELETE", "sproxyd.delete", false } };

	for (size_t i = 0; i < LAB_COUNT_OF(methods); i++) {
		if (!is(x, methods[i].method))
			continue;
		x->operation = methods[i].method;
		x->point = methods[i].point;
		x->latency = methods[i].is_read ? x->ring->options.read_latency
						: x->ring->options.write_latency;
		return true;
	}
	scalemu_fail(x, 405, "GET, HEAD, PUT or DELETE");
	return false;
}

bool scalemu_sproxyd_route(struct scalemu_exchange *x)
{
	struct lab_view path = x->request->target;

	if (lab_view_find_byte(path, '?') != SIZE_MAX) {
		scalemu_fail(x, 400, "a query is not known here");
		return false;
	}
	path = scalemu_decode(x, path);
	if (path.ptr == NULL || !scalemu_take_base(&path, x->ring->options.base)) {
		scalemu_fail(x, 400, "this is not where objects are");
		return false;
	}
	if (lab_view_eq_cstr(path, ".conf") && is(x, "GET")) {
		answer_conf(x);
		return false;
	}
	if (!parse_key(x, path)) {
		scalemu_fail(x, 400, "this is no key");
		return false;
	}
	return route_method(x);
}

/* ---- metadata ---- */

static struct lab_view lower(struct scalemu_exchange *x, struct lab_view name)
{
	uint8_t *copy = lab_arena_alloc(x->arena, name.len);

	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		copy[i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	return lab_view_of(copy, name.len);
}

struct metadata {
	struct lab_http_header items[SCALEMU_METADATA_MAX];
	size_t count, bytes;
};

static bool metadata_add(struct metadata *all, struct lab_view name, struct lab_view value)
{
	for (size_t i = 0; i < all->count; i++) {
		if (lab_view_eq(all->items[i].name, name))
			return false;
	}
	all->bytes += name.len + value.len;
	if (name.len == 0 || name.len > SCALEMU_METADATA_NAME_MAX ||
		all->count == SCALEMU_METADATA_MAX || all->bytes > SCALEMU_METADATA_BYTES_MAX)
		return false;
	all->items[all->count++] = (struct lab_http_header){ name, value };
	return true;
}

static bool is_base64(struct scalemu_exchange *x, struct lab_view text)
{
	struct lab_buf plain;
	bool ok;

	lab_buf_init(&plain, x->ring->heap, SCALEMU_METADATA_BYTES_MAX);
	ok = lab_buf_append_unbase64(&plain, text) == 0 && !plain.overflow;
	lab_buf_done(&plain);
	return ok;
}

static bool read_metadata(struct scalemu_exchange *x, struct metadata *ret)
{
	const struct lab_http_headers *headers = &x->request->headers;
	struct lab_view prefix = LAB_VIEW(META_PREFIX);

	for (size_t i = 0; i < headers->count; i++) {
		struct lab_view name = headers->items[i].name, value = headers->items[i].value;

		if (lab_view_eq_nocase(name, LAB_VIEW(SCALEMU_USERMD))) {
			if (!is_base64(x, value) ||
				!metadata_add(ret, LAB_VIEW(SCALEMU_USERMD), value))
				return false;
		} else if (lab_view_eq_nocase(lab_view_sub(name, 0, prefix.len), prefix)) {
			if (!metadata_add(ret, lower(x, lab_view_skip(name, prefix.len)), value))
				return false;
		}
	}
	return true;
}

static void show_metadata(struct scalemu_exchange *x, const struct scalemu_object *object)
{
	for (size_t i = 0; i < object->metadata_count; i++) {
		const struct lab_http_header *item = &object->metadata[i];
		bool is_usermd = lab_view_eq_cstr(item->name, SCALEMU_USERMD);

		scalemu_header(x,
			lab_arena_printf(x->arena, "%s%.*s", is_usermd ? "" : META_PREFIX,
				LAB_VIEW_ARG(item->name)),
			lab_arena_copy(x->arena, item->value));
	}
}

/* ---- the operations ---- */

static void done(struct scalemu_exchange *x)
{
	x->out.response.status = 200;
	scalemu_header(x, "Content-Type", LAB_VIEW("text/plain"));
}

static void apply_put(struct scalemu_exchange *x, bool only_usermd, const struct metadata *metadata)
{
	struct scalemu *ring = x->ring;
	struct scalemu_object *object;

	done(x);
	if (x->dry)
		return;
	if (only_usermd) {
		object = scalemu_find(ring, x->key);
		scalemu_set_metadata(ring, object, metadata->items, metadata->count);
	} else {
		object = scalemu_put(
			ring, x->key, x->request->body, metadata->items, metadata->count);
	}
	x->applied = true;
	x->body_hash = object->body_hash;
	ring->counters.puts++;
}

static void answer_put(struct scalemu_exchange *x)
{
	struct metadata *metadata = lab_arena_new_of(x->arena, struct metadata);
	struct lab_view command = scalemu_request_header(x, "x-scal-cmd");
	bool exists = scalemu_find(x->ring, x->key) != NULL;

	x->bytes = x->request->body.len;
	if (command.ptr != NULL && !lab_view_eq_cstr(command, "update-usermd"))
		scalemu_fail(x, 400, "x-scal-cmd is not known");
	else if (command.ptr != NULL && x->request->body.len > 0)
		scalemu_fail(x, 400, "update-usermd has no body");
	else if (!read_metadata(x, metadata))
		scalemu_fail(x, 400, "the metadata is too much, twice, or not base64");
	else if (x->request->body.len > x->ring->options.limits.object_bytes_max)
		scalemu_fail(x, 413, "the object is too large");
	else if (!scalemu_has_room(x->ring, x->request->body.len))
		scalemu_fail(x, 507, "the ring is full");
	else if (!scalemu_conditions(x, exists) || scalemu_refuse_locked(x, x->key))
		return;
	else if (command.ptr != NULL && !exists)
		scalemu_fail(x, 404, "there is no such object");
	else
		apply_put(x, command.ptr != NULL, metadata);
}

static void answer_get(struct scalemu_exchange *x)
{
	const struct scalemu_object *object = scalemu_find(x->ring, x->key);
	struct lab_view policy = scalemu_request_header(x, "x-scal-replica-policy");

	if (scalemu_request_header(x, "Range").ptr != NULL) {
		scalemu_fail(x, 501, "ranges are not known here");
	} else if (policy.ptr != NULL && !lab_view_eq_cstr(policy, "immutable") &&
		   !lab_view_eq_cstr(policy, "consistent")) {
		scalemu_fail(x, 400, "x-scal-replica-policy is not known");
	} else if (object == NULL) {
		scalemu_fail(x, 404, "there is no such object");
	} else {
		x->out.response.status = 200;
		scalemu_header(x, "Content-Type", LAB_VIEW("application/octet-stream"));
		show_metadata(x, object);
		lab_buf_append_view(&x->body, object->body);
		x->bytes = object->body.len;
		x->body_hash = object->body_hash;
		x->ring->counters.gets++;
	}
}

static void answer_delete(struct scalemu_exchange *x)
{
	bool exists = scalemu_find(x->ring, x->key) != NULL;

	if (!scalemu_conditions(x, exists) || scalemu_refuse_locked(x, x->key))
		return;
	if (!exists) {
		scalemu_fail(x, 404, "there is no such object");
		x->applied = !x->dry;
		return;
	}
	done(x);
	if (x->dry)
		return;
	scalemu_remove(x->ring, x->key);
	x->applied = true;
	x->ring->counters.deletes++;
}

void scalemu_sproxyd_answer(struct scalemu_exchange *x)
{
	if (is(x, "PUT"))
		answer_put(x);
	else if (is(x, "DELETE"))
		answer_delete(x);
	else
		answer_get(x);
}
