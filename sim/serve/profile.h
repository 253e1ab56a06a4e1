/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.h - what `oboxlab serve --profile FILE` reads: the services' settings, S3's buckets and
 * keys, the keyspaces of Cassandra, who the clients are.
 *
 * Grammar    dovecot.conf's (core/conf/conf.h), but "$word" and "<file" are ordinary text: secrets
 *            contain anything. Sections: serve, s3, imds, cql; key ID, bucket
 *            NAME, peer NAME, as many as wanted. profile-keys.c has every key with its default;
 *            `oboxlab list settings` prints it.
 * Ownership  Everything lives in the arena.
 * Files      Of latencies: read by the profile's reader; relative to the working directory. A
 *            profile from a text has none.
 * Errors     All problems at once in `problems`, with file, line, column and value; -1 LAB_INVALID
 *            if any is an error. Secrets never appear.
 */
#ifndef SIM_SERVE_PROFILE_H
#define SIM_SERVE_PROFILE_H

#include "core/conf/conf-keys.h"
#include "sim/imds-emulator/imds-emulator.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/serve/sockets.h"

#define PROFILE_KEYS_MAX 1024
#define PROFILE_BUCKETS_MAX 256
#define PROFILE_PEERS_MAX 1024
#define PROFILE_WORDS_MAX 64

/* A list of words between white space. */
struct profile_words {
	struct lab_view items[PROFILE_WORDS_MAX];
	size_t count;
};

struct profile_serve {
	uint64_t seed;
	uint64_t log_lines; /* of the access log that the admin interface shows */
};

/* Requests a second of a partition; see struct s3emu_rates. */
struct profile_rates {
	uint64_t write_rate, read_rate, burst;
	bool shared_budget, list_is_write, bulk_per_key;
};

struct profile_s3 {
	struct lab_view region;
	struct profile_words endpoints;
	bool cname, verify_signatures, hash_bodies;
	struct profile_rates rates;
	bool typical_latency, sync;
	struct conf_range latency[S3EMU_CLASS_COUNT]; /* where it was set; else low is UINT64_MAX */
	/* Files of measured ones instead (latency-file.h), and what is in them. */
	struct lab_view latency_file[S3EMU_CLASS_COUNT];
	struct s3emu_latency measured[S3EMU_CLASS_COUNT];
	uint64_t slow_chance; /* ppm */
	struct conf_range slow_time;
	uint64_t body_rate;
	uint64_t split_after, split_max, split_ramp, merge_after, key_write_interval;
	uint64_t retry_after;
	struct conf_range connection_requests; /* 0: no bound */
	uint64_t connection_idle;
	bool connection_announced;
	uint64_t memory, disk, objects_max, object_bytes_max, body_max, receive_max;
	uint64_t clock_skew;
	bool clock_is_behind;
};

struct profile_bucket {
	struct lab_view name, owner;
	bool refuse_sigv2;
	uint64_t partitions;
	struct lab_view partition_prefix;
	struct profile_words partition_starts;
	struct profile_rates rates;
	struct conf_where where;
};

struct profile_key {
	struct lab_view id, secret, account, session_token;
	uint64_t expires; /* after the start; UINT64_MAX: never */
	struct conf_where where;
};

struct profile_imds {
	struct lab_view role, account, zone;
	enum imdsemu_role_state role_state;
	enum imdsemu_tokens tokens;
	uint64_t hop_limit, lifetime, rotate, throttle_rate, throttle_burst, throttle_status;
	struct conf_range latency;
	uint64_t clock_skew;
	bool clock_is_behind;
};

/* sproxyd { } and cdmi { }: see struct scalemu_options. */
struct profile_ring {
	struct lab_view base, objectid_base, user, password, sticky_header;
	bool by_path;
	uint64_t lock;
	struct conf_range latency;
};

struct cqlemu_profile;
struct profile_cql {
	const struct cqlemu_profile *profile;
	uint64_t nodes, replication_factor;
	struct profile_words keyspaces, topology;
	struct lab_view cluster_name, user, password;
	uint64_t conviction, read_timeout, write_timeout, memory, disk;
	bool sync;
};

struct profile_peer {
	struct lab_view name, address, zone;
	const char *zone_text; /* the same, ended by a NUL */
	uint64_t hops;
	struct conf_where where;
};

struct profile {
	const char *path;
	struct profile_serve serve;
	struct profile_s3 s3;
	struct profile_imds imds;
	struct profile_ring sproxyd, cdmi;
	struct profile_cql cql;
	struct profile_bucket *buckets;
	size_t bucket_count;
	struct profile_key *keys;
	size_t key_count;
	struct profile_peer *peers;
	size_t peer_count;
};

/* What stands in no file: a well-known key that owns what it makes, no buckets. */
#define PROFILE_ACCOUNT "123456789012"
#define PROFILE_DEFAULT_KEY "OBOXLABEXAMPLEKEY123"
#define PROFILE_DEFAULT_SECRET "oboxlab/example/secret/known/to/everyone"
struct profile *profile_default(struct lab_arena *arena);

/* -1 LAB_INVALID, or what the reader gave. */
int profile_load(const char *path, const struct conf_reader *reader, struct lab_arena *arena,
	struct conf_problems *problems, struct profile **ret, struct lab_error *err);
/* The same of a text; `name` stands for the file's name. Nothing can be included. */
int profile_load_text(const char *name, struct lab_view text, struct lab_arena *arena,
	struct conf_problems *problems, struct profile **ret, struct lab_error *err);

/* For `oboxlab list settings`. */
extern const struct conf_vocabulary profile_vocabulary;

#endif
