/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-kind.h - which server the CQL emulator passes for, as a value of a configuration.
 */
#ifndef LAB_SERVE_CQL_KIND_H
#define LAB_SERVE_CQL_KIND_H

#include "core/conf/conf-keys.h"
#include "sim/cql-emulator/cql-emulator.h"

/* conf_key.read: "cassandra-4.0" to a const struct cqlemu_profile *. -1 LAB_INVALID with all names.
 */
int cql_kind_read(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);

#endif
