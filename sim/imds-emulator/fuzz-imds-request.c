/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole request: "METHOD TARGET PEER\n" and header lines "Name: value\n". Answered exactly once,
 * and no credentials without a token.
 */
#include "sim/imds-emulator/imds-emulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replies;
static bool leaked;

static void on_reply(void *ctx, const struct sim_http_reply *reply)
{
	(void)ctx;
	replies++;
	leaked = leaked ||
		 lab_view_find(reply->response.body, LAB_VIEW("SecretAccessKey")) != SIZE_MAX;
}

static struct imdsemu *start(void)
{
	struct imdsemu_options options;
	struct imdsemu *imds;
	struct lab_error err;

	imdsemu_options_init(&options);
	options.hosts_max = 100;
	lab_assert(imdsemu_new(lab_pool_new((size_t)1 << 29), &options, &imds, &err) == 0);
	lab_assert(imdsemu_role_attach(imds, LAB_VIEW("role"), IMDSEMU_ROLE_OK, &err) == 0);
	return imds;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct imdsemu *imds;
	struct lab_http_request request = { 0 };
	struct lab_view rest = lab_view_of(data, size), line;
	struct sim_peer peer = { .hops = 1 };
	struct sim_http_service service;
	size_t before = replies;

	if (imds == NULL)
		imds = start();
	service = imdsemu_service(imds);
	(void)lab_view_split(&rest, '\n', &line);
	(void)lab_view_split(&line, ' ', &request.method);
	(void)lab_view_split(&line, ' ', &request.target);
	peer.name = line;
	while (rest.ptr != NULL && lab_view_split(&rest, '\n', &line)) {
		size_t colon = lab_view_find_byte(line, ':');

		if (colon != SIZE_MAX &&
			lab_http_header_add(&request.headers, lab_view_sub(line, 0, colon),
				lab_view_skip(line, colon + 1)) < 0)
			break;
	}
	service.ops->submit(service.service, &request, &peer, 0, on_reply, NULL);
	lab_assert(replies == before + 1);
	lab_assert(!leaked);
	return 0;
}
