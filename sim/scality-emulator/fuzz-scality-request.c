/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to both protocols, one after the other: "METHOD TARGET\n", header lines "Name: value\n",
 * an empty line, the body; "\n--\n" between two. Each is answered exactly once, and what is counted
 * is what is stored.
 */
#include "sim/scality-emulator/scality-emulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replies;

static void on_reply(void *ctx, const struct sim_http_reply *reply)
{
	(void)ctx;
	lab_assert(reply->response.status >= 200 && reply->response.status < 600);
	replies++;
}

static void ask(struct scalemu *ring, struct lab_view text)
{
	struct sim_http_service service = scalemu_service(ring);
	struct lab_http_request request = { 0 };
	struct sim_peer peer = { .name = LAB_VIEW("fuzzer") };
	struct lab_view line;
	size_t before = replies;

	(void)lab_view_split(&text, '\n', &line);
	(void)lab_view_split(&line, ' ', &request.method);
	request.target = line;
	while (text.ptr != NULL && lab_view_split(&text, '\n', &line) && line.len > 0) {
		size_t colon = lab_view_find_byte(line, ':');

		if (colon != SIZE_MAX &&
			lab_http_header_add(&request.headers, lab_view_sub(line, 0, colon),
				lab_view_trim(lab_view_skip(line, colon + 1))) < 0)
			break;
	}
	request.body = text;
	service.ops->submit(service.service, &request, &peer, 0, on_reply, NULL);
	lab_assert(replies == before + 1);
}

static void check_store(struct scalemu *ring)
{
	struct scalemu_iter iter = scalemu_objects(ring);
	struct scalemu_object_info info;
	uint64_t bytes = 0;

	while (scalemu_objects_next(&iter, &info))
		bytes += info.body.len / info.names * (info.body.len > 0);
	lab_assert(bytes <= scalemu_counters(ring)->stored_bytes);
	lab_assert(
		scalemu_counters(ring)->objects > 0 || scalemu_counters(ring)->stored_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_pool *pool = lab_pool_new((size_t)2 << 30);

	for (unsigned protocol = 0; protocol < 2; protocol++) {
		struct lab_view rest = lab_view_of(data, size), separator = LAB_VIEW("\n--\n");
		struct scalemu_options options;
		struct scalemu *ring;
		struct lab_error err;

		scalemu_options_init(&options, (enum scalemu_protocol)protocol);
		options.base = LAB_VIEW("mails");
		options.limits.stored_bytes_max = 1 << 20;
		options.limits.object_bytes_max = 1 << 16;
		options.limits.objects_max = 1000;
		lab_assert(scalemu_new(pool, &options, &ring, &err) == 0);
		while (rest.len > 0) {
			size_t end = lab_view_find(rest, separator);

			ask(ring, lab_view_sub(rest, 0, end));
			rest = end == SIZE_MAX ? LAB_VIEW("")
					       : lab_view_skip(rest, end + separator.len);
		}
		check_store(ring);
		scalemu_free(&ring);
	}
	lab_pool_free(&pool);
	return 0;
}
