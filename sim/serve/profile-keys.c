/* SPDX-License-Identifier: Apache-2.0
 *
 * profile-keys.c - the vocabulary of profiles as one table.
 */
#include "sim/serve/profile-private.h"

#include "sim/serve/cql-kind.h"

#define FIELD(type, field) offsetof(struct type, field)
#define NUMBER(section, type, name, unit, min, max, initial, doc) \
	{ \
		section, #name, CONF_KEY_NUMBER, unit, FIELD(type, name), min, max, initial, doc, \
			NULL \
	}
#define SIMPLE(section, type, key_type, name, initial, doc) \
	{ \
		section, #name, key_type, CONF_UNIT_COUNT, FIELD(type, name), 0, 0, initial, doc, \
			NULL \
	}
#define OTHER(section, type, reader, name, initial, doc) \
	{ \
		section, #name, CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(type, name), 0, 0, initial, \
			doc, reader \
	}
#define LATENCY(name, class, doc) \
	{ \
		"s3", name, CONF_KEY_LATENCY, CONF_UNIT_TIME, FIELD(profile_s3, latency[class]), \
			0, HOUR, "", doc, NULL \
	}
#define LATENCY_FILE(name, class, doc) \
	{ \
		"s3", name, CONF_KEY_TEXT, CONF_UNIT_TIME, FIELD(profile_s3, latency_file[class]), \
			0, 0, "", doc, NULL \
	}
/* Without defaults, what s3 { } says counts. */
#define RATES(section, type, writes, reads, time, no) \
	{ section, "write_rate", CONF_KEY_NUMBER, CONF_UNIT_COUNT, FIELD(type, rates.write_rate), \
		0, UINT32_MAX, writes, "Writes a second of one partition; 0: not limited", NULL }, \
		{ section, "read_rate", CONF_KEY_NUMBER, CONF_UNIT_COUNT, \
			FIELD(type, rates.read_rate), 0, UINT32_MAX, reads, \
			"Reads a second of one partition; 0: not limited", NULL }, \
		{ section, "burst", CONF_KEY_NUMBER, CONF_UNIT_TIME, FIELD(type, rates.burst), \
			LAB_MSEC, HOUR, time, "How long a full budget lasts", NULL }, \
		{ section, "shared_budget", CONF_KEY_BOOL, CONF_UNIT_COUNT, \
			FIELD(type, rates.shared_budget), 0, 0, no, \
			"One budget for reads and writes", NULL }, \
		{ section, "list_is_write", CONF_KEY_BOOL, CONF_UNIT_COUNT, \
			FIELD(type, rates.list_is_write), 0, 0, no, \
			"Listings are counted as writes", NULL }, \
	{ \
		section, "bulk_per_key", CONF_KEY_BOOL, CONF_UNIT_COUNT, \
			FIELD(type, rates.bulk_per_key), 0, 0, no, \
			"A bulk delete that is too fast fails by key, not as a whole", NULL \
	}

/* What sproxyd { } and cdmi { } have in common. */
#define RING(section) \
	SIMPLE(section, profile_ring, CONF_KEY_TEXT, base, "", \
		"Path before keys, without slashes at its ends"), \
		SIMPLE(section, profile_ring, CONF_KEY_TEXT, user, "", \
			"Who may ask (HTTP Basic); none: everybody"), \
		SIMPLE(section, profile_ring, CONF_KEY_TEXT, password, "", "The user's"), \
		SIMPLE(section, profile_ring, CONF_KEY_TEXT, sticky_header, "", \
			"A header without which requests are refused, as a balancer would"), \
		NUMBER(section, profile_ring, lock, CONF_UNIT_TIME, 0, HOUR, "0", \
			"How long an answered request still holds its object"), \
	{ \
		section, "latency", CONF_KEY_LATENCY, CONF_UNIT_TIME, \
			FIELD(profile_ring, latency), 0, HOUR, "0", \
			"Of every answer: a time, or lognormal A..B", NULL \
	}

#define HOUR (60 * LAB_MINUTE)
#define DAY (24 * HOUR)
#define YEAR (366 * DAY)
#define MEMORY_MAX (UINT64_C(1) << 40)
#define MEBI (UINT64_C(1) << 20)

static const struct conf_key keys[] = {
	NUMBER("serve", profile_serve, seed, CONF_UNIT_COUNT, 0, UINT64_MAX, "1",
		"What latencies, keys and faults are drawn from"),
	NUMBER("serve", profile_serve, log_lines, CONF_UNIT_COUNT, 1, 100000, "1000",
		"Requests that the admin interface remembers"),

	SIMPLE("s3", profile_s3, CONF_KEY_TEXT, region, "us-east-1", "Region"),
	OTHER("s3", profile_s3, profile_read_words, endpoints, "",
		"Host names of the service; none: s3.amazonaws.com, s3.REGION.amazonaws.com, "
		"localhost"),
	SIMPLE("s3", profile_s3, CONF_KEY_BOOL, cname, "no",
		"A host that is not an endpoint is a bucket's name"),
	SIMPLE("s3", profile_s3, CONF_KEY_BOOL, verify_signatures, "yes",
		"Off: everybody may do everything"),
	SIMPLE("s3", profile_s3, CONF_KEY_BOOL, hash_bodies, "yes",
		"Off: cheap ETags, and no checksum is looked at"),
	RATES("s3", profile_s3, "3500", "5500", "1 s", "no"),
	SIMPLE("s3", profile_s3, CONF_KEY_BOOL, typical_latency, "no",
		"Take as long as AWS, by operation; else answer at once"),
	LATENCY("latency_get", S3EMU_GET, "Of GET: a time, or lognormal A..B"),
	LATENCY("latency_head", S3EMU_HEAD, "Of HEAD"),
	LATENCY("latency_put", S3EMU_PUT, "Of PUT"),
	LATENCY("latency_delete", S3EMU_DELETE, "Of DELETE"),
	LATENCY("latency_bulk_delete", S3EMU_BULK_DELETE, "Of POST ?delete"),
	LATENCY("latency_list", S3EMU_LIST, "Of listings"),
	LATENCY("latency_copy", S3EMU_COPY, "Of copies"),
	LATENCY("latency_bucket", S3EMU_BUCKET, "Of calls on buckets"),
	LATENCY_FILE("latency_get_file", S3EMU_GET,
		"File of measured times or quantiles, instead of latency_get"),
	LATENCY_FILE("latency_head_file", S3EMU_HEAD, "The same for HEAD"),
	LATENCY_FILE("latency_put_file", S3EMU_PUT, "The same for PUT"),
	LATENCY_FILE("latency_delete_file", S3EMU_DELETE, "The same for DELETE"),
	LATENCY_FILE("latency_bulk_delete_file", S3EMU_BULK_DELETE, "The same for POST ?delete"),
	LATENCY_FILE("latency_list_file", S3EMU_LIST, "The same for listings"),
	LATENCY_FILE("latency_copy_file", S3EMU_COPY, "The same for copies"),
	LATENCY_FILE("latency_bucket_file", S3EMU_BUCKET, "The same for calls on buckets"),
	NUMBER("s3", profile_s3, slow_chance, CONF_UNIT_FRACTION, 0, 1000000, "0",
		"Chance that a request takes slow_time instead"),
	{ "s3", "slow_time", CONF_KEY_RANGE, CONF_UNIT_TIME, FIELD(profile_s3, slow_time), 1, HOUR,
		"qlog 500ms..5s", "Drawn for each such request, log-uniform", NULL },
	NUMBER("s3", profile_s3, body_rate, CONF_UNIT_SIZE, 0, UINT32_MAX, "0",
		"Bytes a second of a body, either way; 0: not limited"),
	NUMBER("s3", profile_s3, split_after, CONF_UNIT_TIME, 0, YEAR, "0",
		"Overload after which a partition is split; AWS: 30 to 60 min; 0: never"),
	NUMBER("s3", profile_s3, split_max, CONF_UNIT_COUNT, 1, S3EMU_PARTITIONS_MAX, "256",
		"Partitions of a bucket beyond which none is split"),
	NUMBER("s3", profile_s3, split_ramp, CONF_UNIT_TIME, 0, YEAR, "0",
		"How long the halves take to grow from half of the rates to all"),
	NUMBER("s3", profile_s3, merge_after, CONF_UNIT_TIME, 0, YEAR, "0",
		"Calm after which what was split is merged; 0: never"),
	NUMBER("s3", profile_s3, key_write_interval, CONF_UNIT_TIME, 0, HOUR, "0",
		"Writes to one key that follow faster are SlowDown; 0: none is"),
	NUMBER("s3", profile_s3, retry_after, CONF_UNIT_TIME, 0, HOUR, "0",
		"Retry-After of a 503, whole seconds; 0: it has none, as AWS's"),
	{ "s3", "connection_requests", CONF_KEY_RANGE, CONF_UNIT_COUNT,
		FIELD(profile_s3, connection_requests), 0, UINT32_MAX, "0",
		"Answers after which a connection is closed, drawn for each; AWS: 100; 0: no bound",
		NULL },
	NUMBER("s3", profile_s3, connection_idle, CONF_UNIT_TIME, LAB_MSEC, UINT64_MAX, "unlimited",
		"Without a request a connection is closed after; AWS: 20 s"),
	SIMPLE("s3", profile_s3, CONF_KEY_BOOL, connection_announced, "no",
		"The last answer says so (Connection: close)"),
	NUMBER("s3", profile_s3, memory, CONF_UNIT_SIZE, MEBI, MEMORY_MAX, "1G",
		"Objects that are held, with their metadata; more is 503. With --data: bodies on "
		"their way"),
	NUMBER("s3", profile_s3, disk, CONF_UNIT_SIZE, 0, MEMORY_MAX, "0",
		"With --data: the file; 0: not limited"),
	SIMPLE("s3", profile_s3, CONF_KEY_BOOL, sync, "yes",
		"With --data: wait for the disk, once for each write"),
	NUMBER("s3", profile_s3, objects_max, CONF_UNIT_COUNT, 1, UINT64_C(1) << 32, "100000000",
		"How many objects"),
	NUMBER("s3", profile_s3, object_bytes_max, CONF_UNIT_SIZE, 1, UINT64_C(5) << 30, "5G",
		"Of one object; more is EntityTooLarge"),
	NUMBER("s3", profile_s3, body_max, CONF_UNIT_SIZE, 1 << 16, UINT64_C(5) << 30, "512M",
		"Of one request's body; more is refused unread"),
	NUMBER("s3", profile_s3, receive_max, CONF_UNIT_SIZE, 1 << 16, MEMORY_MAX, "1G",
		"Of all bodies that are being received"),
	NUMBER("s3", profile_s3, clock_skew, CONF_UNIT_TIME, 0, YEAR, "0",
		"How far the service's clock is off"),
	SIMPLE("s3", profile_s3, CONF_KEY_BOOL, clock_is_behind, "no",
		"It is behind by clock_skew, not ahead"),

	SIMPLE("bucket", profile_bucket, CONF_KEY_TEXT, owner, "",
		"Account that may use it; none: every account"),
	SIMPLE("bucket", profile_bucket, CONF_KEY_BOOL, refuse_sigv2, "yes",
		"As every bucket made after 2020-06-24"),
	NUMBER("bucket", profile_bucket, partitions, CONF_UNIT_COUNT, 1, 256, "1",
		"1, 16 or 256 key ranges, by hex digits"),
	SIMPLE("bucket", profile_bucket, CONF_KEY_TEXT, partition_prefix, "",
		"What stands before these digits"),
	OTHER("bucket", profile_bucket, profile_read_words, partition_starts, "",
		"Explicit first keys of ranges, ascending"),
	RATES("bucket", profile_bucket, "", "", "", ""),

	SIMPLE("key", profile_key, CONF_KEY_TEXT, secret, "", "Secret access key; must be given"),
	OTHER("key", profile_key, profile_read_account, account, PROFILE_ACCOUNT, "Who owns it"),
	SIMPLE("key", profile_key, CONF_KEY_TEXT, session_token, "",
		"The key is temporary, and this must come with it"),
	NUMBER("key", profile_key, expires, CONF_UNIT_TIME, 0, UINT64_MAX, "unlimited",
		"How long it is valid, from the start"),

	SIMPLE("imds", profile_imds, CONF_KEY_TEXT, role, "oboxlab", "Name of the role"),
	OTHER("imds", profile_imds, profile_read_role_state, role_state, "ok",
		"ok, unauthorized or failed"),
	OTHER("imds", profile_imds, profile_read_account, account, PROFILE_ACCOUNT,
		"Owner of the keys"),
	SIMPLE("imds", profile_imds, CONF_KEY_TEXT, zone, "us-east-1a",
		"Availability zone of clients without one"),
	OTHER("imds", profile_imds, profile_read_tokens, tokens, "required",
		"required (IMDSv2), optional (IMDSv1 too) or disabled"),
	NUMBER("imds", profile_imds, hop_limit, CONF_UNIT_COUNT, 1, 64, "1",
		"How far the answer with a token travels"),
	NUMBER("imds", profile_imds, lifetime, CONF_UNIT_TIME, LAB_SEC, YEAR, "6 h",
		"Of a set of credentials"),
	NUMBER("imds", profile_imds, rotate, CONF_UNIT_TIME, LAB_SEC, YEAR, "5 h",
		"A new set every"),
	NUMBER("imds", profile_imds, throttle_rate, CONF_UNIT_COUNT, 0, 1000000, "0",
		"Requests a second of one host; 0: not limited"),
	NUMBER("imds", profile_imds, throttle_burst, CONF_UNIT_COUNT, 1, 1000000, "10",
		"Requests that may come at once"),
	NUMBER("imds", profile_imds, throttle_status, CONF_UNIT_COUNT, 429, 503, "429",
		"What is answered then: 429 or 503"),
	{ "imds", "latency", CONF_KEY_LATENCY, CONF_UNIT_TIME, FIELD(profile_imds, latency), 0,
		HOUR, "0", "Of every answer: a time, or lognormal A..B", NULL },
	NUMBER("imds", profile_imds, clock_skew, CONF_UNIT_TIME, 0, YEAR, "0",
		"How far the service's clock is off"),
	SIMPLE("imds", profile_imds, CONF_KEY_BOOL, clock_is_behind, "no",
		"It is behind by clock_skew, not ahead"),

	RING("sproxyd"),
	SIMPLE("sproxyd", profile_ring, CONF_KEY_BOOL, by_path, "no",
		"Objects are named by paths, not by keys of 40 digits"),

	RING("cdmi"),
	SIMPLE("cdmi", profile_ring, CONF_KEY_TEXT, objectid_base, "",
		"Path before cdmi_objectid/, without slashes at its ends"),

	OTHER("cql", profile_cql, cql_kind_read, profile, CQLEMU_PROFILE_DEFAULT,
		"Which server it passes for: cassandra-3.11, -4.0, -4.1, -5.0, keyspaces, scylla, "
		"astra"),
	NUMBER("cql", profile_cql, nodes, CONF_UNIT_COUNT, 1, CQLEMU_NODES_MAX, "3",
		"Nodes, each on an address of its own"),
	NUMBER("cql", profile_cql, replication_factor, CONF_UNIT_COUNT, 1, CQLEMU_NODES_MAX, "3",
		"Of the keyspaces; at most `nodes`"),
	OTHER("cql", profile_cql, profile_read_words, keyspaces, "mails",
		"Each with the tables of fs-dictmap"),
	OTHER("cql", profile_cql, profile_read_words, topology, "datacenter1:rack1",
		"DATACENTER:RACK of each node; with fewer than nodes it begins again"),
	SIMPLE("cql", profile_cql, CONF_KEY_TEXT, cluster_name, "Test Cluster", "Name"),
	SIMPLE("cql", profile_cql, CONF_KEY_TEXT, user, "", "Who may log in; none: everybody"),
	SIMPLE("cql", profile_cql, CONF_KEY_TEXT, password, "", "The user's"),
	NUMBER("cql", profile_cql, conviction, CONF_UNIT_TIME, 0, HOUR, "18 s",
		"Until the other nodes notice that one is gone"),
	NUMBER("cql", profile_cql, read_timeout, CONF_UNIT_TIME, LAB_MSEC, HOUR, "5 s",
		"Of the servers"),
	NUMBER("cql", profile_cql, write_timeout, CONF_UNIT_TIME, LAB_MSEC, HOUR, "2 s",
		"Of the servers"),
	NUMBER("cql", profile_cql, memory, CONF_UNIT_SIZE, 64 * MEBI, MEMORY_MAX, "4G",
		"Of the whole cluster; more ends the program. With --data: what is on its way"),
	NUMBER("cql", profile_cql, disk, CONF_UNIT_SIZE, 0, UINT64_MAX, "0",
		"With --data: the file; 0: not limited"),
	SIMPLE("cql", profile_cql, CONF_KEY_BOOL, sync, "no",
		"With --data: wait for the disk, once for each commit (commitlog_sync batch)"),

	SIMPLE("peer", profile_peer, CONF_KEY_TEXT, address, "", "IP address of this client"),
	SIMPLE("peer", profile_peer, CONF_KEY_TEXT, zone, "", "Its zone"),
	NUMBER("peer", profile_peer, hops, CONF_UNIT_COUNT, 1, 64, "1", "IP hops to the services"),
};

const struct conf_vocabulary profile_vocabulary = { keys, LAB_COUNT_OF(keys) };

/* ---- values of our own ---- */

int profile_read_words(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	struct profile_words *words = (void *)((char *)object + key->offset);
	struct lab_view word;

	words->count = 0;
	while (conf_value_next_word(&text, &word)) {
		if (words->count == PROFILE_WORDS_MAX)
			return lab_fail(err, LAB_LIMIT, "more than %d words", PROFILE_WORDS_MAX);
		words->items[words->count++] = word;
	}
	return 0;
}

/* Twelve digits, as AWS numbers accounts. */
int profile_read_account(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	uint64_t number;

	if (text.len != 12 || lab_view_to_u64(text, &number) < 0)
		return lab_fail(err, LAB_INVALID, "'%.*s' is not an account: 12 digits",
			LAB_VIEW_ARG(text));
	*(struct lab_view *)(void *)((char *)object + key->offset) = text;
	return 0;
}

int profile_read_role_state(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	static const char *const names[] = { "ok", "unauthorized", "failed" };
	enum imdsemu_role_state *ret = (void *)((char *)object + key->offset);
	size_t index;

	if (conf_value_word(text, names, LAB_COUNT_OF(names), &index, err) < 0)
		return -1;
	*ret = (enum imdsemu_role_state)index;
	return 0;
}

int profile_read_tokens(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	static const char *const names[] = { "required", "optional", "disabled" };
	enum imdsemu_tokens *ret = (void *)((char *)object + key->offset);
	size_t index;

	if (conf_value_word(text, names, LAB_COUNT_OF(names), &index, err) < 0)
		return -1;
	*ret = (enum imdsemu_tokens)index;
	return 0;
}
