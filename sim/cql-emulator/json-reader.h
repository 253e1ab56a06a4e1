/* SPDX-License-Identifier: Apache-2.0
 *
 * json-reader.h - a JSON text as a tree. Nothing here knows CQL. Everything lives in the caller's
 * arena or borrows from the text; nesting is bounded, so the reader's recursion is.
 */
#ifndef LAB_CQL_EMULATOR_JSON_READER_H
#define LAB_CQL_EMULATOR_JSON_READER_H

#include "core/base/base.h"

#define JSON_DEPTH_MAX 16

enum json_kind {
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_INTEGER,
	JSON_FLOAT,
	JSON_STRING,
	JSON_LIST,
	JSON_MAP /* items alternate: names, which are strings, and values */
};

struct json_node {
	enum json_kind kind;
	struct lab_view text; /* of a string without its escapes; else as written */
	struct json_node *items;
	size_t count;
};

/* The first value of the text; what is behind it is not looked at. 0, or -1: it is none. */
int json_read(struct lab_arena *arena, struct lab_view text, struct json_node *ret);
/* Of equal names the last; NULL: there is none. */
const struct json_node *json_get(const struct json_node *map, struct lab_view name);

#endif
