/* SPDX-License-Identifier: Apache-2.0
 *
 * test-root.h - for tests of a user's root: what fibers do on two nodes, and what is seen there.
 */
#ifndef LAB_OBOX_TEST_ROOT_H
#define LAB_OBOX_TEST_ROOT_H

#include "core/obox/test-support.h"

#undef OK
#define OK(call) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, task.err.message); \
	} while (0)

struct two {
	struct node a, b;
	struct rig *rig;
};

static inline void two_start(struct two *t, struct rig *rig)
{
	t->rig = rig;
	node_start(&t->a, rig, 0);
	node_start(&t->b, rig, 1);
}

static inline void two_stop(struct two *t)
{
	node_stop(&t->a);
	node_stop(&t->b);
}

/* A process that ended in the middle comes back; its disk is as it was. */
static inline void revive(struct node *node)
{
	rig_boot(node->rig, node->host);
	node_run(node, node_start_user);
}

/* What the fibers of a test do, on whichever node. */
static struct task {
	const char *name, *other;
	struct lab_error err;
	int result;
	bool has_ended;
	char text[1000];
	struct obox_status status;
} task;

static inline void do_task(struct node *node, node_fn fn, const char *name, const char *other)
{
	task = (struct task){ .name = name, .other = other };
	node_run(node, fn);
}

static inline void end_task(int result)
{
	task.result = result;
	if (result >= 0)
		task.err.code = LAB_OK;
	task.has_ended = true;
}

static inline void access_fn(struct node *node)
{
	end_task(obox_user_access(node->user, &task.err));
}

static inline void create_fn(struct node *node)
{
	end_task(obox_folder_create(
		node->user, lab_view_cstr(task.name), lab_view_cstr(task.other), &task.err));
}

static inline void rename_fn(struct node *node)
{
	end_task(obox_folder_rename(
		node->user, lab_view_cstr(task.name), lab_view_cstr(task.other), &task.err));
}

static inline void delete_fn(struct node *node)
{
	end_task(obox_folder_delete(node->user, lab_view_cstr(task.name), NULL, &task.err));
}

static inline void subscribe_fn(struct node *node)
{
	end_task(obox_subscribe(node->user, lab_view_cstr(task.name), true, &task.err));
}

/* As LMTP does: the user, the folder, the mail. */
static inline void deliver_fn(struct node *node)
{
	struct obox_save save = { .body = lab_view_cstr(task.other) };
	struct obox_mailbox *box = NULL;
	struct obox_saved saved;
	int result = obox_user_access(node->user, &task.err);

	if (result >= 0)
		result = obox_mailbox_open(node->user, lab_view_cstr(task.name), &box, &task.err);
	if (result >= 0)
		result = obox_save(box, &save, &saved, &task.err);
	obox_mailbox_close(&box);
	end_task(result);
}

static inline void status_fn(struct node *node)
{
	assert_int_equal(obox_user_access(node->user, &task.err), 0);
	end_task(obox_folder_status(node->user, lab_view_cstr(task.name), &task.status, &task.err));
}

static inline void list_fn(struct node *node)
{
	struct obox_folder *folders;
	struct lab_view *names;
	size_t count, used = 0;

	OK(obox_user_access(node->user, &task.err));
	obox_folder_list(node->user, node->rig->arena, &folders, &count);
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(task.text + used, sizeof(task.text) - used, "%s%s%s%s",
			used == 0 ? "" : " ", folders[i].name, folders[i].special_use,
			folders[i].is_subscribed ? "+" : "");
	obox_subscription_list(node->user, node->rig->arena, &names, &count);
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(task.text + used, sizeof(task.text) - used, " +%.*s",
			LAB_VIEW_ARG(names[i]));
}

static inline void assert_list(struct node *node, const char *expected)
{
	do_task(node, list_fn, NULL, NULL);
	assert_string_equal(task.text, expected);
}

/* The bodies in the folder, each once, sorted. */
static inline void bodies_fn(struct node *node)
{
	struct lab_tree *bodies = lab_tree_new(node->user->env->heap, 1000);
	struct obox_mailbox *box = NULL;
	struct lab_tree_iter iter;
	struct lab_view body;
	size_t used = 0;
	void *value;

	OK(obox_user_access(node->user, &task.err));
	task.result = obox_mailbox_select(node->user, lab_view_cstr(task.name), &box, &task.err);
	for (size_t i = 0; box != NULL && i < obox_mailbox_count(box); i++) {
		OK(fetch(node, box, obox_mailbox_mail(box, i)->uid, &body, &task.err));
		assert_null(lab_tree_get(bodies, body));
		*lab_tree_slot(bodies, body) = node;
	}
	iter = lab_tree_iterate(bodies, LAB_VIEW(""));
	while (lab_tree_next(&iter, &body, &value))
		used += (size_t)snprintf(
			task.text + used, sizeof(task.text) - used, "%.*s ", LAB_VIEW_ARG(body));
	lab_tree_free(&bodies);
	obox_mailbox_close(&box);
}

static inline void assert_bodies(struct node *node, const char *name, const char *expected)
{
	do_task(node, bodies_fn, name, NULL);
	assert_string_equal(task.text, expected);
}

static inline void done(struct node *node, node_fn fn, const char *name, const char *other)
{
	do_task(node, fn, name, other);
	if (task.result < 0 || !task.has_ended)
		fail_msg("%s: %s", name, task.err.message);
}

static inline void fails(
	struct node *node, node_fn fn, const char *name, const char *other, enum lab_code code)
{
	do_task(node, fn, name, other);
	assert_true(task.has_ended && task.result < 0);
	assert_string_equal(lab_code_name(task.err.code), lab_code_name(code));
}

/* ---- requests ---- */

struct requests {
	unsigned puts, gets, deletes, iterations, lookups, sets, unsets;
};

static inline struct requests requests_of(
	struct node *node, node_fn fn, const char *name, const char *other)
{
	struct rig_counts before = node->rig->counts, *now = &node->rig->counts;

	done(node, fn, name, other);
	assert_int_equal(now->heads, before.heads);
	return (struct requests){ now->puts - before.puts, now->gets - before.gets,
		now->deletes - before.deletes, now->iterations - before.iterations,
		now->lookups - before.lookups, now->sets - before.sets,
		now->unsets - before.unsets };
}

static inline void assert_requests(struct node *node, node_fn fn, const char *name,
	const char *other, const struct requests *expected)
{
	struct requests is = requests_of(node, fn, name, other);

	if (memcmp(&is, expected, sizeof(is)) != 0)
		fail_msg("%s: %u PUT, %u GET, %u DELETE, %u iterations, %u lookups, %u sets, "
			 "%u unsets",
			name, is.puts, is.gets, is.deletes, is.iterations, is.lookups, is.sets,
			is.unsets);
}
#define REQUESTS(node, fn, name, other, ...) \
	assert_requests(node, fn, name, other, &(const struct requests){ __VA_ARGS__ })

#endif
