/* SPDX-License-Identifier: Apache-2.0
 *
 * dict-cql.h - dovecot-dict-cql.conf.ext: how to reach Cassandra (obox 3.7) and which dict keys are
 * which rows (obox 3.4, 3.6).
 *
 *   driver = sqlpool                      optional: sqlpool or cassandra
 *   connect = host=a host=b keyspace=mails read_consistency=local-quorum ...
 *                                         or, as core 2.4 and Pro 3 have it, cassandra_hosts =
 *                                         a b, cassandra_keyspace = mails...: then several
 *                                         changes in one transaction are a batch
 *   map {
 *     pattern = shared/dictmap/$user/mailboxes/$mailbox_guid/max_bucket
 *     table = user_mailbox_buckets
 *     value_field = b,writetime(b)
 *     value_type = uint,uint              or value_hexblob = yes
 *     fields {
 *       u = $user
 *       g = ${hexblob:mailbox_guid}
 *     }
 *   }
 *
 * Ownership  Everything borrows from the arena.
 * Errors     LAB_INVALID, "FILE:LINE:COLUMN: " and Dovecot's own sentence where there is one:
 *            Missing SQL field for variable: X / Unused variable: X / Number of fields in
 *            value_fields doesn't match value_type / Missing value in connect string: X /
 *            Unknown connect string: X / No hosts given in connect string / No dbname given in
 *            connect string / cassandra_hosts is empty / cassandra_keyspace is empty /
 *            Unknown cassandra_read_consistency: X.
 * Effects    None.
 */
#ifndef LAB_DICT_CQL_H
#define LAB_DICT_CQL_H

#include "core/conf/conf.h"

#define DICT_CQL_MAPS_MAX 64
#define DICT_CQL_FIELDS_MAX 8
#define DICT_CQL_VALUES_MAX 4
#define DICT_CQL_PARTS_MAX 24
#define DICT_CQL_HOSTS_MAX 32

enum dict_cql_type {
	DICT_CQL_STRING,
	DICT_CQL_INT,
	DICT_CQL_UINT,
	DICT_CQL_HEXBLOB /* hex in the dict key or value, bytes in the database */
};
const char *dict_cql_type_name(enum dict_cql_type type);

struct dict_cql_field {
	struct lab_view column;   /* "g" */
	struct lab_view variable; /* "mailbox_guid" */
	enum dict_cql_type type;
};
struct dict_cql_value {
	struct lab_view expression; /* "b", "writetime(b)" */
	enum dict_cql_type type;
};
/* A pattern is literals and variables in turn. A variable stands for everything up to the next
 * '/', or for the rest of the key if the pattern ends with it. */
struct dict_cql_part {
	bool is_variable;
	struct lab_view literal; /* "shared/dictmap/" */
	size_t field;            /* index into fields */
};

struct dict_cql_map {
	struct conf_where where;
	struct lab_view pattern;
	struct dict_cql_part parts[DICT_CQL_PARTS_MAX];
	size_t part_count;
	struct lab_view table;
	struct lab_view expire_field; /* column of seconds since 1970; ptr NULL: rows stay */
	struct lab_view value_field;  /* the whole text, for SELECT */
	struct dict_cql_value values[DICT_CQL_VALUES_MAX];
	size_t value_count;
	struct dict_cql_field fields[DICT_CQL_FIELDS_MAX]; /* in the order of the pattern */
	size_t field_count;
};

/* The numbers are those of the native protocol. */
enum dict_cql_consistency {
	DICT_CQL_ANY,
	DICT_CQL_ONE,
	DICT_CQL_TWO,
	DICT_CQL_THREE,
	DICT_CQL_QUORUM,
	DICT_CQL_ALL,
	DICT_CQL_LOCAL_QUORUM,
	DICT_CQL_EACH_QUORUM,
	DICT_CQL_SERIAL,
	DICT_CQL_LOCAL_SERIAL,
	DICT_CQL_LOCAL_ONE
};
const char *dict_cql_consistency_name(enum dict_cql_consistency consistency);
/* 0, or -1 if there is no such name. '_' is not '-'. */
int dict_cql_consistency_parse(struct lab_view name, enum dict_cql_consistency *ret);

enum dict_cql_ssl_verify {
	DICT_CQL_SSL_VERIFY_UNSET,
	DICT_CQL_SSL_VERIFY_NONE,
	DICT_CQL_SSL_VERIFY_CERT,
	DICT_CQL_SSL_VERIFY_CERT_IP,
	DICT_CQL_SSL_VERIFY_CERT_DNS
};

struct dict_cql_connect {
	struct lab_view hosts[DICT_CQL_HOSTS_MAX];
	size_t host_count; /* >= 1 */
	uint16_t port;     /* 9042 */
	struct lab_view keyspace;
	struct lab_view user, password; /* ptr NULL: none; the password is a secret */
	/* local-quorum; fallbacks are the primary one unless given */
	enum dict_cql_consistency read_consistency, write_consistency, delete_consistency;
	enum dict_cql_consistency read_fallback_consistency, write_fallback_consistency,
		delete_fallback_consistency;
	struct lab_view log_level; /* "warn" */
	bool debug_queries, latency_aware_routing, log_retries;
	bool discover_peers;       /* cassandra_discover_peers, which is ours, not Dovecot's: see
				      core/cql/cql-client.h */
	unsigned protocol_version; /* 0: the driver's choice, 4 */
	unsigned num_threads;      /* 0: the driver's choice */
	uint64_t heartbeat_interval_ns;       /* 30 s */
	uint64_t idle_timeout_ns;             /* 60 s */
	uint64_t connect_timeout_ns;          /* 5 s */
	uint64_t request_timeout_ns;          /* 60 s */
	uint64_t warn_timeout_ns;             /* 5 s */
	struct lab_view metrics;              /* ptr NULL: none */
	uint64_t execution_retry_interval_ns; /* 0 */
	unsigned execution_retry_times;       /* 0 */
	unsigned page_size;                   /* 0: no paging */
	bool use_tls; /* an ssl_ option was given, or cassandra_ssl is not "no" */
	/* Of core 2.4: ssl_client_ca_file, _cert_file, _key_file, _key_password */
	struct lab_view ssl_ca, ssl_cert_file, ssl_private_key_file, ssl_private_key_password;
	enum dict_cql_ssl_verify ssl_verify;
};

struct dict_cql_config {
	struct dict_cql_connect connect;
	bool batches; /* core 2.4: several changes in one transaction are a batch, not an error */
	struct dict_cql_map *maps; /* the first that matches a key is taken */
	size_t map_count;
};

/* Reads a file with the grammar of conf.h (values are literal). 0, or -1. */
int dict_cql_load(struct lab_view path, const struct conf_reader *reader, struct lab_arena *arena,
	struct dict_cql_config **ret, struct lab_error *err);
/* From a tree that was parsed with CONF_PARSE_LITERAL. */
int dict_cql_from_tree(const struct conf_section *root, struct lab_arena *arena,
	struct dict_cql_config **ret, struct lab_error *err);
/* The connect string alone. */
int dict_cql_connect_parse(
	struct lab_view text, struct dict_cql_connect *ret, struct lab_error *err);

#endif
