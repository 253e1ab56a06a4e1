/* SPDX-License-Identifier: Apache-2.0
 *
 * bind-private.h - a plan and its values: shared by bind.c and bind-change.c.
 */
#ifndef LAB_CQL_EMULATOR_BIND_PRIVATE_H
#define LAB_CQL_EMULATOR_BIND_PRIVATE_H

#include "sim/cql-emulator/cql-emulator-private.h"

struct binder {
	struct cqlemu *emu;
	struct lab_arena *arena;
	const struct cqle_plan *plan;
	const struct cql_bind *values;
	struct lab_error *err;
	const struct cqle_change_item *item; /* of a change */
	/* Of a change that needs to know what is there: */
	const struct cqle_change *known;
	struct lab_view key;           /* partition in hand */
	const struct cqle_row *before; /* row in hand, NULL if it is not there */
};

/* Bytes, null, nothing (unset), or an error. */
enum cqle_got bind_value(
	const struct binder *b, const struct cqle_value *value, struct lab_view *ret);
/* An integer; *ret_given is false if it is null or unset. */
int bind_number(
	const struct binder *b, const struct cqle_value *value, bool *ret_given, int64_t *ret);
/* The partitions, and in each of them the rows. */
int bind_keys(const struct binder *b, struct cqle_keys *ret);
int bind_slices(const struct binder *b, struct cqle_slice **ret, size_t *ret_count);

#endif
