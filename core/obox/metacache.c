/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache.c - uploads in the background.
 */
#include "core/obox/metacache-private.h"

#define DUE_MAX 10000000
#define KEY_BYTES 16

struct metacache *metacache_start(const struct metacache_settings *settings)
{
	struct env *env = settings->env;
	struct metacache *metacache = lab_new(env->heap, struct metacache);
	unsigned parallel = LAB_MAX(1u, settings->conf->metacache_max_parallel_requests);

	metacache->env = env;
	metacache->conf = settings->conf;
	metacache->weights = settings->weights;
	metacache->backend = settings->backend;
	metacache->reboots = settings->reboots;
	metacache->requests.free = metacache->uploads.free = parallel;
	metacache->due = lab_tree_new(env->heap, DUE_MAX);
	metacache_open_users(metacache, settings->home);
	return metacache;
}

struct env_semaphore *metacache_requests(struct metacache *metacache)
{
	return &metacache->requests;
}

/* ---- the list ---- */

static struct lab_view key_of(uint64_t when, uint64_t ticket, uint8_t out[KEY_BYTES])
{
	for (unsigned i = 0; i < 8; i++) {
		out[i] = (uint8_t)(when >> (56 - 8 * i));
		out[8 + i] = (uint8_t)(ticket >> (56 - 8 * i));
	}
	return lab_view_of(out, KEY_BYTES);
}

void metacache_forget(struct metacache *metacache, struct obox_mailbox *mailbox)
{
	uint8_t key[KEY_BYTES];

	if (mailbox->sync.due_ns == 0)
		return;
	(void)lab_tree_remove(
		metacache->due, key_of(mailbox->sync.due_ns, mailbox->sync.ticket, key));
	mailbox->sync.due_ns = 0;
}

static struct obox_mailbox *first_due(struct metacache *metacache)
{
	struct lab_tree_iter iter = lab_tree_iterate(metacache->due, LAB_VIEW(""));
	struct lab_view key;
	void *mailbox;

	return lab_tree_next(&iter, &key, &mailbox) ? mailbox : NULL;
}

/* ---- uploads ---- */

struct job {
	struct metacache *metacache;
	struct obox_mailbox *mailbox;
};

static void upload_job(void *arg)
{
	struct job *job = arg;
	struct metacache *metacache = job->metacache;
	struct obox_mailbox *mailbox = job->mailbox;
	struct lab_error err;

	obox_mailbox_begin(mailbox);
	/* What fails is told by its event, and due again when the operation has ended. */
	(void)obox_upload(mailbox, OBOX_UPLOAD_IMPORTANT, "metacache:upload_important", &err);
	obox_mailbox_end(mailbox);
	mailbox->references--;
	metacache->uploading--;
	env_semaphore_give(metacache->env, &metacache->uploads);
	env_cond_broadcast(metacache->env, &metacache->done);
	lab_heap_free(metacache->env->heap, job);
}

static void start_job(struct metacache *metacache, struct obox_mailbox *mailbox)
{
	struct job *job = lab_new(metacache->env->heap, struct job);
	struct lab_error err;

	*job = (struct job){ metacache, mailbox };
	metacache->uploading++;
	mailbox->references++;
	if (env_spawn(metacache->env, "metacache-worker", upload_job, job, &err) < 0)
		upload_job(job);
}

static void metacache_main(void *arg)
{
	struct metacache *metacache = arg;
	struct env *env = metacache->env;
	struct obox_mailbox *mailbox;

	while (!metacache->is_stopping && (mailbox = first_due(metacache)) != NULL) {
		if (mailbox->sync.due_ns > env_now(env)) {
			(void)env_cond_wait(env, &metacache->wake, mailbox->sync.due_ns);
			continue;
		}
		if (env_semaphore_take(env, &metacache->uploads, ENV_FOREVER, NULL) < 0)
			continue;
		/* Another one may be first by now, or none. */
		mailbox = metacache->is_stopping ? NULL : first_due(metacache);
		if (mailbox == NULL || mailbox->sync.due_ns > env_now(env)) {
			env_semaphore_give(env, &metacache->uploads);
			continue;
		}
		metacache_forget(metacache, mailbox);
		start_job(metacache, mailbox);
	}
	metacache->is_running = false;
	env_cond_broadcast(env, &metacache->done);
}

void metacache_upload_at(struct metacache *metacache, struct obox_mailbox *mailbox, uint64_t when)
{
	struct lab_error err;
	uint8_t key[KEY_BYTES];
	void **slot;

	when = LAB_MAX(when, (uint64_t)1);
	if (metacache->is_stopping || (mailbox->sync.due_ns != 0 && mailbox->sync.due_ns <= when))
		return;
	metacache_forget(metacache, mailbox);
	slot = lab_tree_slot(metacache->due, key_of(when, ++metacache->next_ticket, key));
	lab_assert(slot != NULL);
	*slot = mailbox;
	mailbox->sync.due_ns = when;
	mailbox->sync.ticket = metacache->next_ticket;
	env_cond_signal(metacache->env, &metacache->wake);
	if (!metacache->is_running)
		metacache->is_running = env_spawn(metacache->env, "metacache", metacache_main,
						metacache, &err) == 0;
}

void metacache_stop(struct metacache *metacache)
{
	struct obox_mailbox *mailbox;

	metacache->is_stopping = true;
	env_cond_broadcast(metacache->env, &metacache->wake);
	while (metacache->is_running || metacache->is_cleaning || metacache->is_rescanning ||
		metacache->uploading > 0)
		(void)env_cond_wait(metacache->env, &metacache->done, ENV_FOREVER);
	while ((mailbox = first_due(metacache)) != NULL)
		metacache_forget(metacache, mailbox);
}

void metacache_free(struct metacache **metacache_p)
{
	struct metacache *metacache = *metacache_p;

	if (metacache == NULL)
		return;
	lab_assert(!metacache->is_running && metacache->uploading == 0);
	metacache_close_users(metacache);
	lab_tree_free(&metacache->due);
	lab_heap_free(metacache->env->heap, metacache);
	*metacache_p = NULL;
}
