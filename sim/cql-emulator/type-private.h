/* SPDX-License-Identifier: Apache-2.0
 *
 * type-private.h - what type.c, validate.c, constant.c and order.c share.
 */
#ifndef LAB_CQL_EMULATOR_TYPE_PRIVATE_H
#define LAB_CQL_EMULATOR_TYPE_PRIVATE_H

#include "sim/cql-emulator/cql-emulator-private.h"

static inline bool type_is_collection(uint16_t id)
{
	return id == CQL_TYPE_LIST || id == CQL_TYPE_SET || id == CQL_TYPE_MAP;
}
/* One [bytes] for each field, of which the last ones may be missing. */
static inline bool type_is_composite(uint16_t id)
{
	return id == CQL_TYPE_TUPLE || id == CQL_TYPE_UDT;
}
/* Bytes of a value; 0: any number. */
size_t type_size(uint16_t id);
/* The next field of a composite; false behind the last one that is there. */
bool type_next_field(struct cql_reader *reader, struct lab_view *ret);

#endif
