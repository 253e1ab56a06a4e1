/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.c - the table of servers (cql-imds 4.4).
 */
#include "sim/cql-emulator/profile.h"

#define LZ4_AND_SNAPPY (1u << CQL_LZ4 | 1u << CQL_SNAPPY)
#define LEVEL(name) (1u << CQL_##name)
#define ALL_LEVELS ((1u << (CQL_NODE_LOCAL + 1)) - 1)
#define CASSANDRA_BATCHES .batch_warn_bytes = 5 * 1024, .batch_fail_bytes = 50 * 1024
#define KIB 1024

/* Drivers that know them would ask for a port of each shard; here is one shard. */
static const struct cqlemu_pair scylla_supported[] = {
	{ "SCYLLA_LWT_ADD_METADATA_MARK", "LWT_OPTIMIZATION_META_BIT_MASK=2147483648" },
	{ "SCYLLA_NR_SHARDS", "1" },
	{ "SCYLLA_PARTITIONER", "org.apache.cassandra.dht.Murmur3Partitioner" },
	{ "SCYLLA_RATE_LIMIT_ERROR", "ERROR_CODE=61440" },
	{ "SCYLLA_SHARD", "0" },
	{ "SCYLLA_SHARDING_ALGORITHM", "biased-token-round-robin" },
	{ "SCYLLA_SHARDING_IGNORE_MSB", "12" },
	{ NULL, NULL },
};

static const struct cqlemu_profile profiles[] = {
	{ .name = "cassandra-3.11",
		.release_version = "3.11.17",
		.cql_version = "3.4.4",
		.version_max = 4,
		.compressions = LZ4_AND_SNAPPY,
		.unconfigured = true,
		CASSANDRA_BATCHES,
		.cas_contention_ns = LAB_SEC },
	{ .name = CQLEMU_PROFILE_DEFAULT,
		.release_version = "4.0.14",
		.cql_version = "3.4.5",
		.version_max = 5,
		.beta = true,
		.compressions = LZ4_AND_SNAPPY,
		.v4_tables = true,
		CASSANDRA_BATCHES,
		.cas_contention_ns = LAB_SEC },
	{ .name = "cassandra-4.1",
		.release_version = "4.1.7",
		.cql_version = "3.4.6",
		.version_max = 5,
		.beta = true,
		.compressions = LZ4_AND_SNAPPY,
		.v4_tables = true,
		CASSANDRA_BATCHES,
		.cas_contention_ns = LAB_SEC },
	{ .name = "cassandra-5.0",
		.release_version = "5.0.1",
		.cql_version = "3.4.7",
		.version_max = 5,
		.beta = true,
		.compressions = LZ4_AND_SNAPPY,
		.v4_tables = true,
		CASSANDRA_BATCHES,
		.cas_contention_ns = 1800 * LAB_MSEC },
	{ .name = "keyspaces",
		.release_version = "3.11.2",
		.cql_version = "3.4.4",
		.version_max = 4,
		.version_text = CQLEMU_VERSIONS_RANGE,
		.unconfigured = true,
		.no_truncate = true,
		.no_timestamps = true,
		.read_refused = ALL_LEVELS & ~(LEVEL(ONE) | LEVEL(LOCAL_ONE) | LEVEL(LOCAL_QUORUM)),
		.write_refused = ALL_LEVELS & ~LEVEL(LOCAL_QUORUM),
		.level_text = CQLEMU_LEVEL_SUPPORTED,
		.batch_logged_max = 100,
		.batch_unlogged_max = 30,
		.partition_key_max = 2048,
		.clustering_key_max = 850,
		.connection_rate = 3000,
		CASSANDRA_BATCHES,
		.cas_contention_ns = LAB_SEC },
	{ .name = "scylla",
		.release_version = "3.0.8",
		.cql_version = "3.3.1",
		.version_max = 4,
		.version_text = CQLEMU_VERSIONS_PLAIN,
		.compressions = LZ4_AND_SNAPPY,
		.supported = scylla_supported,
		.unconfigured = true,
		.scylla_texts = true,
		.read_refused = LEVEL(EACH_QUORUM),
		.level_text = CQLEMU_LEVEL_WRITES,
		.batch_warn_bytes = 128 * KIB,
		.batch_fail_bytes = 1024 * KIB,
		.cas_contention_ns = LAB_SEC },
	{ .name = "astra",
		.release_version = "4.0.0.6816",
		.cql_version = "3.4.5",
		.version_max = 4,
		.version_text = CQLEMU_VERSIONS_LIST,
		.compressions = LZ4_AND_SNAPPY,
		.v4_tables = true,
		.write_refused = LEVEL(ANY) | LEVEL(ONE) | LEVEL(LOCAL_ONE),
		.level_text = CQLEMU_LEVEL_GUARDRAIL,
		CASSANDRA_BATCHES,
		.cas_contention_ns = LAB_SEC },
};

const struct cqlemu_profile *cqlemu_profile_find(struct lab_view name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(profiles); i++) {
		if (lab_view_eq_cstr(name, profiles[i].name))
			return &profiles[i];
	}
	return NULL;
}

const char *cqlemu_profile_name(size_t i)
{
	return i < LAB_COUNT_OF(profiles) ? profiles[i].name : NULL;
}

int cqlemu_profile_parse(
	struct lab_view name, const struct cqlemu_profile **ret, struct lab_error *err)
{
	char names[200] = "";
	*ret = cqlemu_profile_find(name);
	if (*ret != NULL)
		return 0;
	struct lab_buf list;
	lab_buf_init(&list, NULL, sizeof(names) - 1);
	list.data = (uint8_t *)names;
	list.capacity = sizeof(names) - 1;
	for (size_t i = 0; i < LAB_COUNT_OF(profiles); i++)
		lab_buf_printf(&list, "%s%s", i > 0 ? ", " : "", profiles[i].name);
	return lab_fail(err, LAB_INVALID, "\"%.*s\" is no kind of server; known are %.*s",
		LAB_VIEW_ARG(name), LAB_VIEW_ARG(lab_buf_view(&list)));
}

void cqlemu_options_profile(struct cqlemu_options *o, const struct cqlemu_profile *profile)
{
	o->profile = profile;
	o->batch_warn_bytes = profile->batch_warn_bytes;
	o->batch_fail_bytes = profile->batch_fail_bytes;
	o->cas_contention_ns = profile->cas_contention_ns;
}
