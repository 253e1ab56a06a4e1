/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h - the servers that the emulator can pass for, as data: one row each.
 *
 * Purpose    What differs between the versions of Cassandra and the services that speak its
 *            protocol: versions, limits, what is refused, how it is worded. Behaviour that all
 *            of them share is the emulator's own, which is that of Cassandra 4.0.14.
 * Source     cql-imds 1.8, 2.2, 2.4 and 4.4.
 */
#ifndef LAB_CQL_EMULATOR_PROFILE_H
#define LAB_CQL_EMULATOR_PROFILE_H

#include "core/cql/cql-codec.h"
#include "sim/cql-emulator/cql-emulator.h"

/* How an unknown protocol version is refused (cql-imds 1.8). */
enum cqlemu_version_text {
	CQLEMU_VERSIONS_LIST,  /* "(N); supported versions are (3/v3, 4/v4)" */
	CQLEMU_VERSIONS_RANGE, /* "(N); the lowest supported version is 3 and the greatest is 4" */
	CQLEMU_VERSIONS_PLAIN  /* ": N" */
};

struct cqlemu_profile {
	const char *name;
	/* What system.local says. */
	const char *release_version, *cql_version;
	/* The highest version that needs no flag; 3 is the lowest. */
	uint8_t version_max;
	bool beta; /* and the next one with CQL_FLAG_USE_BETA */
	enum cqlemu_version_text version_text;
	unsigned compressions; /* bits 1 << enum cql_compression */
};

#endif
