/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.c - the table of servers (cql-imds 4.4).
 */
#include "sim/cql-emulator/profile.h"

#define LZ4_AND_SNAPPY (1u << CQL_LZ4 | 1u << CQL_SNAPPY)

static const struct cqlemu_profile profiles[] = {
	{ .name = "cassandra-3.11",
		.release_version = "3.11.17",
		.cql_version = "3.4.4",
		.version_max = 4,
		.version_text = CQLEMU_VERSIONS_LIST,
		.compressions = LZ4_AND_SNAPPY },
	{ .name = CQLEMU_PROFILE_DEFAULT,
		.release_version = "4.0.14",
		.cql_version = "3.4.5",
		.version_max = 5,
		.beta = true,
		.version_text = CQLEMU_VERSIONS_LIST,
		.compressions = LZ4_AND_SNAPPY },
};

const struct cqlemu_profile *cqlemu_profile_find(struct lab_view name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(profiles); i++) {
		if (lab_view_eq_cstr(name, profiles[i].name))
			return &profiles[i];
	}
	return NULL;
}

const char *cqlemu_profile_names(void)
{
	return "cassandra-3.11, cassandra-4.0";
}
