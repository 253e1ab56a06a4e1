/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h - a streaming JSON writer (RFC 8259) into a bounded buffer. It asserts that calls nest
 * properly; strings are escaped, bytes that are not UTF-8 become U+FFFD.
 */
#ifndef LAB_BASE_JSON_H
#define LAB_BASE_JSON_H

#include "core/base/buf.h"

#define LAB_JSON_DEPTH_MAX 32

struct lab_json {
	struct lab_buf *out; /* borrowed */
	bool pretty;         /* two spaces an indent; else one line */
	uint8_t depth;
	bool is_object[LAB_JSON_DEPTH_MAX];
	bool has_items[LAB_JSON_DEPTH_MAX];
	bool after_key;
};

void lab_json_init(struct lab_json *json, struct lab_buf *out, bool pretty);
void lab_json_object(struct lab_json *json);
void lab_json_array(struct lab_json *json);
/* Ends the innermost object or array. */
void lab_json_end(struct lab_json *json);
void lab_json_key(struct lab_json *json, const char *key);

void lab_json_view(struct lab_json *json, struct lab_view text);
void lab_json_cstr(struct lab_json *json, const char *text); /* NULL gives null */
void lab_json_u64(struct lab_json *json, uint64_t value);
void lab_json_i64(struct lab_json *json, int64_t value);
void lab_json_bool(struct lab_json *json, bool value);
/* value / 10^decimals, printed exactly: (1234, 2) is 12.34. No floating point. */
void lab_json_decimal(struct lab_json *json, int64_t value, unsigned decimals);

/* Whether brackets and braces outside strings nest no deeper than `depth`: to be asked before a
 * text goes to a recursive parser, as fibers have little stack. The text need not be JSON. */
bool lab_json_is_shallow(struct lab_view text, unsigned depth);

/* key + value in one call. */
void lab_json_put_cstr(struct lab_json *json, const char *key, const char *text);
void lab_json_put_u64(struct lab_json *json, const char *key, uint64_t value);
void lab_json_put_bool(struct lab_json *json, const char *key, bool value);

#endif
