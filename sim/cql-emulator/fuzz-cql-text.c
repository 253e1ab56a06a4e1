/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz-cql-text.c - any text as CQL, run in set-up and through a session: no crash, bounded memory.
 */
#include "sim/cql-emulator/cql-emulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *ctx, struct lab_view data, enum sim_wire wire)
{
	(void)ctx;
	(void)data;
	(void)wire;
}

static const char schema[] =
	"CREATE KEYSPACE s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2};"
	"CREATE TABLE s.t (p int, c int, v text, w int, s text static, PRIMARY KEY (p, c));"
	"CREATE TABLE s.u (a text, b blob, c uuid, d timestamp, PRIMARY KEY ((a, b), c)) WITH "
	"CLUSTERING ORDER BY (c DESC); USE s;";

static struct cqlemu *start(struct lab_heap *heap)
{
	struct cqlemu_node_options nodes[2] = { { .name = LAB_VIEW("n1"),
							.address = LAB_VIEW("127.0.0.1") },
		{ .name = LAB_VIEW("n2"), .address = LAB_VIEW("127.0.0.2") } };
	struct cqlemu_options options;
	struct cqlemu *emu;
	struct lab_error err;
	cqlemu_options_init(&options);
	options.heap = heap;
	options.nodes = nodes;
	options.node_count = 2;
	if (cqlemu_new(&options, &emu, &err) < 0 ||
		cqlemu_execute(emu, lab_view_cstr(schema), &err) < 0)
		__builtin_trap();
	return emu;
}

/* QUERY and PREPARE on a connection. */
static void ask(struct cqlemu *emu, struct lab_heap *heap, const uint8_t *data, size_t size)
{
	static const uint8_t startup[] = "\4\0\0\1\1\0\0\0\26\0\1\0\13CQL_VERSION\0\5"
					 "3.0.0";
	struct sim_stream_service service = cqlemu_service(emu);
	struct sim_peer peer = { .name = LAB_VIEW("fuzz") };
	void *connection =
		service.ops->accept(service.service, LAB_VIEW("n1"), &peer, 0, ignore, NULL);
	struct lab_buf frame;
	lab_buf_init(&frame, heap, (size_t)8 << 20);
	for (uint8_t opcode = 7; opcode <= 9; opcode += 2) {
		uint8_t header[5] = { 4, 0, 0, 2, opcode };
		lab_buf_append(&frame, header, sizeof(header));
		lab_buf_append_u32(&frame, (uint32_t)(size + (opcode == 7 ? 7 : 4)));
		lab_buf_append_u32(&frame, (uint32_t)size);
		lab_buf_append(&frame, data, size);
		if (opcode == 7)
			lab_buf_append(&frame, "\0\1\0", 3);
	}
	service.ops->input(connection, lab_view_of(startup, sizeof(startup) - 1), 0);
	service.ops->input(connection, lab_buf_view(&frame), 0);
	lab_buf_done(&frame);
}

/* Most of the time would go into the system tables: they are made once, and every run begins with
 * the memory as it was then. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_heap *heap;
	static struct lab_heap_snapshot *fresh;
	static struct cqlemu *begin;
	struct lab_error err;
	if (fresh == NULL) {
		heap = lab_heap_new(lab_pool_new((size_t)2 << 30), (size_t)1 << 30);
		begin = start(heap);
		fresh = lab_heap_save(heap);
	}
	lab_heap_restore(fresh);
	struct cqlemu *emu = begin;
	(void)cqlemu_execute(emu, lab_view_of(data, size), &err);
	ask(emu, heap, data, size);
	cqlemu_free(&emu);
	if (lab_heap_used(heap) != 0)
		__builtin_trap();
	return 0;
}
