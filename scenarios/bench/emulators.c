/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/bench/emulators.h"

#include "scenarios/bench/bench-private.h"
#include "sim/cql-sqlite/cql-sqlite.h"
#include "sim/serve/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POOL_MAX ((size_t)4 << 30)
#define HEAP_MAX ((size_t)1 << 30)
#define CQL_MAX ((size_t)16 << 30)
#define ACCOUNT "123456789012"
#define DDL_MAX 65536
#define CQL_FILE "cql.sqlite"

const struct aws_credentials bench_credentials = {
	.access_key_id = { (const uint8_t *)"AKIAIOSFODNN7EXAMPLE", 20 },
	.secret_access_key = { (const uint8_t *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40 },
};

static const struct cqlemu_node_options cql_nodes[BENCH_CQL_NODES_MAX] = {
	{ .name = { (const uint8_t *)"cassandra-1", 11 },
		.address = { (const uint8_t *)"127.0.0.1", 9 } },
	{ .name = { (const uint8_t *)"cassandra-2", 11 },
		.address = { (const uint8_t *)"127.0.0.2", 9 } },
	{ .name = { (const uint8_t *)"cassandra-3", 11 },
		.address = { (const uint8_t *)"127.0.0.3", 9 } },
};

void emulators_init(struct emulators *e)
{
	memset(e, 0, sizeof(*e));
	e->cql_keyspace = "mails";
	e->pool = lab_pool_new(POOL_MAX);
	e->heap = lab_heap_new(e->pool, HEAP_MAX);
	e->arena = lab_arena_new(e->heap, HEAP_MAX);
	e->start_ns = bench_clock_ns(CLOCK_MONOTONIC);
	e->start_unix = (int64_t)(bench_clock_ns(CLOCK_REALTIME) / LAB_SEC);
}

static void remove_data(struct emulators *e)
{
	static const char *const files[] = { CQL_FILE, CQL_FILE "-wal", CQL_FILE "-shm" };

	cqlsqlite_close(&e->cql_data);
	for (size_t i = 0; e->cql_folder[0] != '\0' && i < LAB_COUNT_OF(files); i++)
		(void)unlink(lab_arena_printf(e->arena, "%s/%s", e->cql_folder, files[i]));
	if (e->cql_folder[0] != '\0')
		(void)rmdir(e->cql_folder);
}

void emulators_free(struct emulators *e)
{
	http_front_end_free(&e->s3_front);
	http_front_end_free(&e->imds_front);
	stream_front_end_free(&e->cql_front);
	s3emu_free(&e->s3);
	imdsemu_free(&e->imds);
	cqlemu_free(&e->cql);
	remove_data(e);
	if (e->cql_heap != NULL)
		lab_heap_drop(&e->cql_heap);
	lab_pool_free(&e->s3_pool);
	lab_pool_free(&e->imds_pool);
	lab_pool_free(&e->cql_pool);
	lab_arena_free(&e->arena);
	lab_heap_drop(&e->heap);
	lab_pool_free(&e->pool);
}

static uint64_t epoch_us(const struct emulators *e)
{
	return (uint64_t)e->start_unix * 1000000;
}

int emulators_s3(struct emulators *e, struct lab_error *err)
{
	static const struct s3emu_bucket_options bucket = { .name = { (const uint8_t *)"mails", 5 },
		.refuse_sigv2 = true };
	const struct sim_credentials key = { .account = LAB_VIEW(ACCOUNT),
		.access_key_id = bench_credentials.access_key_id,
		.secret_access_key = bench_credentials.secret_access_key };
	struct s3emu_options o;

	s3emu_options_init(&o);
	o.instance = LAB_VIEW("s3");
	o.region = LAB_VIEW(BENCH_S3_REGION);
	o.epoch_unix_us = epoch_us(e);
	o.rates.writes_per_s = o.rates.reads_per_s = 0;
	e->s3_pool = lab_pool_new(POOL_MAX);
	if (s3emu_new(e->s3_pool, &o, &e->s3, err) < 0 || s3emu_bucket_add(e->s3, &bucket, err) < 0)
		return -1;
	return s3emu_credentials_add(e->s3, &key, err);
}

int emulators_imds(struct emulators *e, struct lab_error *err)
{
	struct imdsemu_options o;

	imdsemu_options_init(&o);
	o.epoch_unix_us = epoch_us(e);
	o.account = LAB_VIEW(ACCOUNT);
	e->imds_pool = lab_pool_new(POOL_MAX);
	if (imdsemu_new(e->imds_pool, &o, &e->imds, err) < 0)
		return -1;
	return imdsemu_role_attach(e->imds, LAB_VIEW(BENCH_ROLE), IMDSEMU_ROLE_OK, err);
}

static int open_data(struct emulators *e, struct cqlemu_options *o, struct lab_error *err)
{
	struct cqlsqlite_settings settings = { .sync = false };

	snprintf(e->cql_folder, sizeof(e->cql_folder), "/tmp/oboxlab-bench-XXXXXX");
	if (mkdtemp(e->cql_folder) == NULL) {
		e->cql_folder[0] = '\0';
		return lab_fail(err, LAB_IO, "no folder in /tmp can be made");
	}
	settings.path = lab_arena_printf(e->arena, "%s/" CQL_FILE, e->cql_folder);
	if (cqlsqlite_open(e->cql_heap, &settings, &e->cql_data, err) < 0)
		return -1;
	o->engine_ops = &cqlsqlite_ops;
	o->engine = e->cql_data;
	return 0;
}

int emulators_cql(struct emulators *e, unsigned nodes, struct lab_error *err)
{
	struct cqlemu_options o;
	struct lab_buf ddl;
	int result;

	lab_assert(nodes >= 1 && nodes <= BENCH_CQL_NODES_MAX);
	e->cql_pool = lab_pool_new(CQL_MAX);
	e->cql_heap = lab_heap_new(e->cql_pool, CQL_MAX);
	e->cql_nodes = nodes;
	cqlemu_options_init(&o);
	o.heap = e->cql_heap;
	o.nodes = cql_nodes;
	o.node_count = nodes;
	o.epoch_us = (int64_t)epoch_us(e);
	if (e->cql_on_disk && open_data(e, &o, err) < 0)
		return -1;
	if (cqlemu_new(&o, &e->cql, err) < 0)
		return -1;
	lab_buf_init(&ddl, e->heap, DDL_MAX);
	schema_print(lab_view_cstr(e->cql_keyspace), nodes, &ddl);
	result = cqlemu_execute(e->cql, lab_buf_view(&ddl), err);
	lab_buf_done(&ddl);
	return result;
}

/* ---- serving ---- */

int emulators_s3_serve(struct emulators *e, struct lab_error *err)
{
	struct serve_socket socket = { .start_ns = e->start_ns };

	return serve_s3(e->s3, &socket, &e->s3_front, err);
}

int emulators_imds_serve(struct emulators *e, struct lab_error *err)
{
	struct serve_socket socket = { .start_ns = e->start_ns };

	return serve_imds(e->imds, &socket, &e->imds_front, err);
}

int emulators_cql_serve(struct emulators *e, struct lab_error *err)
{
	static const char *const names[BENCH_CQL_NODES_MAX] = { "cassandra-1", "cassandra-2",
		"cassandra-3" };
	struct serve_socket socket = { .start_ns = e->start_ns };

	return serve_cql(e->cql, names, e->cql_nodes, &socket, &e->cql_front, err);
}
