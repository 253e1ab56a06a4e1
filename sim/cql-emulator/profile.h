/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h - the servers that the emulator can pass for, as data: one row each.
 *
 * Purpose    What differs between the versions of Cassandra and the services that speak its
 *            protocol: versions, limits, what is refused, how it is worded. Behaviour that all
 *            of them share is the emulator's own, which is that of Cassandra 4.0.14.
 * Source     cql-imds 1.8, 2.2, 2.4 and 4.4; what is from memory there is from memory here.
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

/* How a consistency level is refused that the server does not take. */
enum cqlemu_level_text {
	CQLEMU_LEVEL_SUPPORTED, /* Keyspaces: and which it takes */
	CQLEMU_LEVEL_WRITES,    /* Scylla: "... is only supported for writes" */
	CQLEMU_LEVEL_GUARDRAIL  /* Astra */
};

struct cqlemu_pair {
	const char *key, *value;
};

struct cqlemu_profile {
	const char *name;
	/* What system.local says. */
	const char *release_version, *cql_version;
	/* The highest version that needs no flag; 3 is the lowest. */
	uint8_t version_max;
	bool beta; /* and the next one with CQL_FLAG_USE_BETA */
	enum cqlemu_version_text version_text;
	unsigned compressions;               /* bits 1 << enum cql_compression */
	const struct cqlemu_pair *supported; /* more of SUPPORTED, to a NULL key */

	bool v4_tables;        /* system.peers_v2, system_virtual_schema */
	bool unconfigured;     /* "unconfigured table t" instead of "table t does not exist" */
	bool scylla_texts;     /* of Unavailable, timeouts, failures, UNPREPARED */
	bool no_truncate;      /* TRUNCATE, and all that is not DDL or DML */
	bool no_timestamps;    /* neither the client's nor WRITETIME */
	unsigned read_refused; /* bits 1 << enum cql_consistency */
	unsigned write_refused;
	enum cqlemu_level_text level_text;
	unsigned batch_logged_max, batch_unlogged_max;  /* statements; 0: as many as fit */
	unsigned partition_key_max, clustering_key_max; /* bytes; 0: 65,535 */
	unsigned connection_rate; /* requests a second on one connection; more time out. 0: any */

	/* Options, unless the caller sets them afterwards. */
	uint32_t batch_warn_bytes, batch_fail_bytes;
	uint64_t cas_contention_ns;
};

#endif
