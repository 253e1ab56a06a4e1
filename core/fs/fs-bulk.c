/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/fs-bulk.h"

#include "core/http/http-client.h"
#include "core/env/buggify.h"

void fs_bulk_finish(const struct fs_bulk *bulk, struct fs_bulk_item *item, enum lab_code code,
	bool retryable, const char *why)
{
	item->pending = false;
	if (item->uncertain && code == LAB_NOT_FOUND && bulk->gone_is_done)
		code = LAB_OK; /* our own earlier attempt */
	else if (item->uncertain && code != LAB_OK)
		code = LAB_UNCERTAIN;
	*item->result = (struct lab_error){ .code = LAB_OK };
	if (code == LAB_OK)
		return;
	lab_fail(item->result, code, "%s: %.*s: %s", bulk->what, LAB_VIEW_ARG(item->name), why);
	item->result->retryable = retryable;
}

void fs_bulk_fail(struct fs_bulk_item **sent, size_t count, const struct lab_error *err)
{
	for (size_t i = 0; i < count; i++) {
		sent[i]->pending = false;
		*sent[i]->result = *err;
		if (sent[i]->uncertain)
			sent[i]->result->code = LAB_UNCERTAIN;
	}
}

void fs_bulk_end(const struct fs_bulk *bulk, struct fs_bulk_item **sent, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (sent[i]->answered)
			continue;
		sent[i]->uncertain = true;
		fs_bulk_finish(
			bulk, sent[i], LAB_UNCERTAIN, true, "the answer does not mention it");
	}
}

static void send_pending(struct fs_bulk *bulk)
{
	struct fs_bulk_item **sent =
		lab_new_array(bulk->env->heap, struct fs_bulk_item *, bulk->request_max);
	size_t count = 0;
	size_t max = ENV_BUGGIFY(bulk->env, bulk_one_by_one) ? 1 : bulk->request_max;

	for (size_t i = 0; i < bulk->count; i++) {
		struct fs_bulk_item *item = bulk->items[i];

		if (item->pending) {
			item->answered = false;
			sent[count++] = item;
		}
		if (count > 0 && (count == max || i + 1 == bulk->count)) {
			bulk->send(bulk, sent, count);
			count = 0;
		}
	}
	lab_heap_free(bulk->env->heap, sent);
}

static bool any_pending(const struct fs_bulk *bulk)
{
	for (size_t i = 0; i < bulk->count; i++) {
		if (bulk->items[i]->pending)
			return true;
	}
	return false;
}

void fs_bulk_run(struct fs_bulk *bulk)
{
	uint64_t deadline_ns = bulk->absolute_timeout_ns == 0
				       ? ENV_FOREVER
				       : env_now(bulk->env) + bulk->absolute_timeout_ns;

	for (unsigned round = 0;; round++) {
		uint64_t wait_ns = http_retry_wait_ns(round);

		send_pending(bulk);
		if (!any_pending(bulk) || round == bulk->max_retries ||
			(deadline_ns != ENV_FOREVER && env_now(bulk->env) + wait_ns >= deadline_ns))
			return;
		env_sleep(bulk->env, wait_ns);
	}
}
