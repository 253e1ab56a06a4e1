/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/fs-tool/peer-host.h"

#include "core/obox/metacache-pull.h"
#include "scenarios/live/live-directory.h"

#define HOST_BYTES_MAX ((size_t)4 * 1024 * 1024 * 1024)
#define ANSWER_MAX ((size_t)1024 * 1024 * 1024)
#define REQUEST_MAX 65536

struct peer_host {
	struct lab_heap *heap;
	struct lab_view name;
	struct live_host *host;
	const struct backend_settings *settings;
	/* One request at a time; both buffers are of the other host's heap. */
	struct env *client;
	struct lab_buf request, answer;
	int outcome;
	struct lab_error err;
	bool is_busy;
	struct env_cond ended;
};

/* The same directory, as far as its name tells. */
static bool is_same(struct lab_view a, struct lab_view b)
{
	while (a.len > 1 && a.ptr[a.len - 1] == '/')
		a.len--;
	while (b.len > 1 && b.ptr[b.len - 1] == '/')
		b.len--;
	return lab_view_eq(a, b);
}

static int parse(const char *text, const char *root, struct lab_view *ret_name,
	struct lab_view *ret_root, struct lab_error *err)
{
	size_t at = lab_view_find_byte(lab_view_cstr(text), '=');

	if (at == SIZE_MAX || at == 0 || text[at + 1] == '\0')
		return lab_fail(err, LAB_INVALID, "--peer: \"%s\" is not NAME=DIR", text);
	*ret_name = lab_view_of(text, at);
	*ret_root = lab_view_cstr(text + at + 1);
	if (ret_root->len >= LIVE_DIRECTORY_MAX)
		return lab_fail(err, LAB_INVALID, "--peer: the directory's name is too long");
	if (is_same(*ret_root, lab_view_cstr(root)))
		return lab_fail(err, LAB_INVALID,
			"--peer: %s is the directory of the backend that asks", text + at + 1);
	return 0;
}

int peer_host_new(struct live *live, const char *text, const char *root, struct lab_heap *heap,
	const struct backend_settings *settings, struct peer_host **ret, struct lab_error *err)
{
	struct lab_view name = { NULL, 0 }, directory = { NULL, 0 };
	struct live_host_settings host = { .heap_max_bytes = HOST_BYTES_MAX };
	char hostname[256];
	struct peer_host *peer;

	if (parse(text, root, &name, &directory, err) < 0)
		return -1;
	if (lab_view_to_cstr(name, hostname, sizeof(hostname)) < 0)
		return lab_fail(err, LAB_INVALID, "--peer: the name is too long");
	host.hostname = hostname;
	host.root = (const char *)directory.ptr;
	peer = lab_new(heap, struct peer_host);
	peer->heap = heap;
	peer->name = name;
	peer->settings = settings;
	if (live_host_new(live, &host, &peer->host, err) < 0) {
		lab_heap_free(heap, peer);
		return lab_error_wrap(err, "--peer");
	}
	*ret = peer;
	return 0;
}

void peer_host_free(struct peer_host **peer)
{
	if (*peer == NULL)
		return;
	lab_heap_free((*peer)->heap, *peer);
	*peer = NULL;
}

static void serve(struct env *env, void *arg)
{
	struct peer_host *peer = arg;
	struct backend_settings settings = *peer->settings;
	struct backend *backend;

	settings.env = env;
	peer->outcome = backend_start(&settings, &backend, &peer->err);
	if (peer->outcome == 0) {
		metacache_serve(backend, lab_buf_view(&peer->request), &peer->answer);
		backend_stop(&backend);
	}
	peer->is_busy = false;
	env_cond_broadcast(peer->client, &peer->ended);
}

/* What comes later is nobody's any more: the command is over soon, and the world with it. */
static int wait_for(
	struct peer_host *peer, struct env *env, struct lab_buf *answer, struct lab_error *err)
{
	uint64_t deadline = env_now(env) + METACACHE_PEER_TIMEOUT;

	while (peer->is_busy && env_cond_wait(env, &peer->ended, deadline) == 0)
		;
	if (peer->is_busy)
		return lab_fail(err, LAB_TIMEOUT, "no answer");
	if (peer->outcome < 0)
		*err = peer->err;
	else
		lab_buf_append_view(answer, lab_buf_view(&peer->answer));
	lab_buf_done(&peer->answer);
	lab_buf_done(&peer->request);
	return peer->outcome;
}

int peer_host_ask(void *ctx, struct env *env, struct lab_view host, struct lab_view request,
	struct lab_buf *answer, struct lab_error *err)
{
	struct peer_host *peer = ctx;

	if (peer == NULL || !lab_view_eq(host, peer->name))
		return lab_fail(err, LAB_INVALID,
			"there is no other backend of that name (--peer %.*s=DIR)",
			LAB_VIEW_ARG(host));
	if (peer->is_busy)
		return lab_fail(err, LAB_UNAVAILABLE, "it has not answered yet");
	/* Boots the host, if this is the first request. */
	if (live_start(peer->host, "doveadm", serve, peer, err) < 0)
		return -1;
	peer->client = env;
	peer->is_busy = true;
	lab_buf_init(&peer->request, live_host_env(peer->host)->heap, REQUEST_MAX);
	lab_buf_init(&peer->answer, live_host_env(peer->host)->heap, ANSWER_MAX);
	lab_buf_append_view(&peer->request, request);
	return wait_for(peer, env, answer, err);
}
