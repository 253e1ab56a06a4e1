/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz-cql-session.c - any bytes into a session, with the nodes coming and going: no crash, no
 * leak. A byte 0xfb takes the next one as a command for the cluster instead.
 */
#include "sim/cql-emulator/cql-emulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct cqlemu *emu;
	struct sim_stream_service service;
	void *connection;
	uint64_t now_ns, latency_ns;
	struct sim_fault fault;
};

static void output(void *ctx, struct lab_view data, enum sim_wire wire)
{
	struct fuzz *f = ctx;
	(void)data;
	if (wire == SIM_WIRE_RESET)
		f->connection = NULL;
}

static struct sim_fault fault(void *ctx, const struct sim_fault_query *query)
{
	struct fuzz *f = ctx;
	(void)query;
	return f->fault;
}

static uint64_t latency(void *ctx, struct lab_view from, struct lab_view to, uint64_t ordinal)
{
	const struct fuzz *f = ctx;
	(void)from;
	(void)to;
	return ordinal % 3 == 0 ? 0 : f->latency_ns;
}

static void command(struct fuzz *f, uint8_t byte)
{
	size_t node = byte % 3;
	f->now_ns += (uint64_t)(byte >> 5) * 700 * LAB_MSEC;
	switch (byte % 7) {
	case 0:
		cqlemu_node_kill(f->emu, node, f->now_ns);
		break;
	case 1:
		cqlemu_node_start(f->emu, node, f->now_ns);
		break;
	case 2:
		cqlemu_node_freeze(f->emu, node, f->now_ns);
		break;
	case 3:
		cqlemu_node_thaw(f->emu, node, f->now_ns);
		break;
	case 4:
		f->latency_ns = byte * LAB_MSEC;
		break;
	case 5:
		f->fault.kind = (enum sim_fault_kind)(byte % SIM_FAULT_KIND_COUNT);
		f->fault.replicas = byte % 4;
		f->fault.delay_ns = byte * LAB_MSEC;
		break;
	default:
		f->service.ops->advance(f->service.service, f->now_ns);
		break;
	}
}

static void run(struct fuzz *f, const uint8_t *data, size_t size)
{
	struct sim_peer peer = { .name = LAB_VIEW("fuzz") };
	for (size_t i = 0, end; i < size; i = end) {
		for (end = i; end < size && data[end] != 0xfb; end++)
			continue;
		if (f->connection == NULL)
			f->connection = f->service.ops->accept(
				f->service.service, LAB_VIEW("n1"), &peer, f->now_ns, output, f);
		if (f->connection != NULL && end > i)
			f->service.ops->input(
				f->connection, lab_view_of(data + i, end - i), f->now_ns);
		if (end + 1 < size)
			command(f, data[end + 1]);
		end += 2;
	}
	f->service.ops->advance(f->service.service, f->now_ns + 30 * LAB_SEC);
	if (f->connection != NULL)
		f->service.ops->closed(f->connection, f->now_ns + 30 * LAB_SEC);
}

/* A cluster of three nodes, and a table. */
static void start(struct fuzz *f, struct lab_heap *heap)
{
	struct cqlemu_node_options nodes[3] = {
		{ .name = LAB_VIEW("n1"), .address = LAB_VIEW("127.0.0.1") },
		{ .name = LAB_VIEW("n2"), .address = LAB_VIEW("127.0.0.2") },
		{ .name = LAB_VIEW("n3"), .address = LAB_VIEW("127.0.0.3"), .dc = LAB_VIEW("dc2") }
	};
	struct sim_hooks hooks = { .ctx = f, .fault = fault, .latency = latency };
	struct cqlemu_options options;
	struct lab_error err;
	cqlemu_options_init(&options);
	options.heap = heap;
	options.hooks = &hooks;
	options.nodes = nodes;
	options.node_count = 3;
	options.frame_bytes_max = (size_t)1 << 20;
	if (cqlemu_new(&options, &f->emu, &err) < 0 ||
		cqlemu_execute(f->emu,
			LAB_VIEW("CREATE KEYSPACE s WITH replication = {'class': "
				 "'SimpleStrategy', 'replication_factor': 3}; CREATE TABLE s.t (p "
				 "int, "
				 "c int, v text, PRIMARY KEY (p, c))"),
			&err) < 0)
		__builtin_trap();
	f->service = cqlemu_service(f->emu);
}

/* Most of the time would go into the system tables: they are made once, and every run begins with
 * the memory as it was then. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_heap *heap;
	static struct lab_heap_snapshot *fresh;
	static struct fuzz begin, f; /* the emulator keeps its address */
	if (fresh == NULL) {
		heap = lab_heap_new(lab_pool_new((size_t)2 << 30), (size_t)1 << 30);
		start(&f, heap);
		begin = f;
		fresh = lab_heap_save(heap);
	}
	lab_heap_restore(fresh);
	f = begin;
	run(&f, data, size);
	cqlemu_free(&f.emu);
	if (lab_heap_used(heap) != 0)
		__builtin_trap();
	return 0;
}
