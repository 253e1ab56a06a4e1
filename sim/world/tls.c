/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - TLS below streams, as far as it can be seen from outside: a round trip more, and who does
 * not trust whom. Nothing is encrypted. What a real handshake would find out is a comparison of
 * names here: a CA file stands for its CA.
 */
#include "sim/world/world-private.h"

/* Client hello; and the server's answer with a chain of two certificates. */
#define HELLO_BYTES 517
#define ANSWER_BYTES 3000

/* What is wrong with the server, by the code that its fault kind has (sim/faults/kinds.def). */
static bool is_code(const struct sim_fault *fault, const char *code)
{
	return fault->kind == SIM_FAULT_REFUSE && fault->code != NULL &&
	       strcmp(fault->code, code) == 0;
}

static struct sim_fault decide(struct env *env, const struct world_endpoint *endpoint)
{
	struct world_host *host = world_host_of(env);
	const struct sim_fault_query query = { .point = "cql.tls",
		.service = "cql",
		.instance = endpoint->node.name,
		.peer = host->node.name,
		.now_ns = host->world->now_ns };

	if (host->world->faults == NULL)
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	return fault_decide(host->world->faults, &query);
}

static int denied(struct lab_error *err, const char *why)
{
	return lab_fail(err, LAB_DENIED, "TLS: the peer's certificate was not accepted: %s", why);
}

/* The client's judgement of the server's certificate. */
static int judge_server(const struct world_tls *server, const struct env_tls *client,
	const char *host, const struct sim_fault *fault, struct lab_error *err)
{
	bool is_known = client->ca_file != NULL && !is_code(fault, "UNKNOWN_CA") &&
			(server->ca == NULL || strcmp(server->ca, client->ca_file) == 0);
	bool is_named = !is_code(fault, "WRONG_NAME") &&
			(server->name == NULL || strcmp(server->name, host) == 0);

	if (client->verify == ENV_TLS_VERIFY_NONE)
		return 0;
	if (!is_known)
		return denied(err, "unable to get local issuer certificate");
	if (is_code(fault, "EXPIRED"))
		return denied(err, "certificate has expired");
	if (!is_named && client->verify == ENV_TLS_VERIFY_IP)
		return denied(err, "IP address mismatch");
	if (!is_named && client->verify == ENV_TLS_VERIFY_NAME)
		return denied(err, "hostname mismatch");
	return 0;
}

static int judge(const struct world_tls *server, const struct env_tls *client, const char *host,
	const struct sim_fault *fault, struct lab_error *err)
{
	if (!server->on || is_code(fault, "NO_TLS"))
		return lab_fail(err, LAB_CORRUPT, "TLS: wrong version number");
	if (fault->kind == SIM_FAULT_RESET)
		return lab_fail(err, LAB_RESET, "TLS: connection closed during the handshake");
	if (judge_server(server, client, host, fault, err) < 0)
		return -1;
	if (server->wants_certificate && client->cert_file == NULL)
		return lab_fail(err, LAB_DENIED, "TLS: tlsv13 alert certificate required");
	return 0;
}

/* The handshake's time. 0; -1 LAB_TIMEOUT, LAB_RESET. */
static int shake_hands(struct env *env, struct env_stream *stream, const struct sim_fault *fault,
	uint64_t deadline_ns, struct lab_error *err)
{
	uint64_t now_ns = env_now(env), took_ns = 0;
	int result = 0;

	if (fault->kind == SIM_FAULT_STALL)
		took_ns = ENV_FOREVER - now_ns;
	else
		took_ns = world_stream_round_trip(stream, HELLO_BYTES, ANSWER_BYTES);
	if (fault->kind == SIM_FAULT_DELAY && took_ns < ENV_FOREVER - now_ns - fault->delay_ns)
		took_ns += fault->delay_ns;
	if (took_ns > deadline_ns - LAB_MIN(deadline_ns, now_ns)) {
		result = lab_fail(err, LAB_TIMEOUT, "TLS: handshake timed out");
		took_ns = deadline_ns - LAB_MIN(deadline_ns, now_ns);
	}
	env_sleep(env, took_ns);
	if (result == 0 && world_stream_is_reset(stream))
		return lab_fail(err, LAB_RESET, "TLS: connection closed during the handshake");
	return result;
}

int world_connect_tls(struct env *env, const char *host, uint16_t port, const struct env_tls *tls,
	uint64_t deadline_ns, struct env_stream **ret, struct lab_error *err)
{
	struct world_endpoint *endpoint;
	struct env_stream *stream;
	struct sim_fault fault;
	bool is_known;
	int result;

	if (world_connect(env, host, port, deadline_ns, &stream, err) < 0)
		return -1;
	endpoint = world_stream_endpoint(world_host_of(env)->world, host, port, &is_known);
	fault = decide(env, endpoint);
	result = shake_hands(env, stream, &fault, deadline_ns, err);
	if (result == 0)
		result = judge(&endpoint->settings.tls, tls, host, &fault, err);
	if (result == 0) {
		world_stream_begin_tls(stream);
		*ret = stream;
		return 0;
	}
	env_stream_close(&stream);
	if (err != NULL) {
		err->retryable = true;
		err->fault_id = fault.id;
	}
	return lab_error_wrap(err, "%s:%u", host, port);
}
