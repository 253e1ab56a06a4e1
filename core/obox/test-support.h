/* SPDX-License-Identifier: Apache-2.0
 *
 * test-support.h - what the tests of this module share: a backend on each host of the rig, whose
 * users have their rows and objects in the rig.
 */
#ifndef LAB_OBOX_TEST_SUPPORT_H
#define LAB_OBOX_TEST_SUPPORT_H

#include "core/fs/testing/rig-test.h"
#include "core/obox/obox-private.h"

#define USER "user@example.com"
#define OBOX_FS \
	"fscache:1M:/cache:compress:zstd:3:dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ " \
	"; refcounting-table:lockdir=/tmp:nlinks-limit=3:delete-timestamp=+10s:bucket-size=10000:" \
	"bucket-deleted-days=11:bucket-cache=%h/buckets.cache:storage-objectid-prefix=%u/mails/"
#define OBOX_INDEX_FS \
	"compress:zstd:3:dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; " \
	"diff-table:storage-passthrough-paths=full"
#define MAILS USER "/mails"

struct node {
	struct rig *rig;
	unsigned host;
	struct backend *backend;
	struct obox_user *user;
	struct conf_settings conf;
	struct backend_settings settings;
	size_t heap_used; /* before the backend started */
};

typedef void (*node_fn)(struct node *node);

struct node_call {
	struct node *node;
	node_fn fn;
};

__attribute__((unused)) static void node_call(void *arg)
{
	struct node_call *call = arg;

	call->fn(call->node);
}

/* fn(node) in a fiber of the node's host, until nothing is left to happen anywhere. */
__attribute__((unused)) static void node_run(struct node *node, node_fn fn)
{
	struct node_call call = { node, fn };

	rig_continue(node->rig, node->host, node_call, &call);
}

__attribute__((unused)) static void node_init(struct node *node, struct rig *rig, unsigned host)
{
	*node = (struct node){ .rig = rig, .host = host };
	node->conf.mail_location.text = LAB_VIEW("obox:%u:INDEX=~/:CONTROL=~/");
	node->conf.obox_fs.text = LAB_VIEW(OBOX_FS);
	node->conf.obox_index_fs.text = LAB_VIEW(OBOX_INDEX_FS);
	node->conf.obox_max_parallel_writes = 10;
	node->conf.obox_max_parallel_copies = 10;
	node->conf.obox_max_parallel_deletes = 1000;
	node->conf.obox_max_rescan_mail_count = 10;
	node->conf.metacache_upload_interval_ns = 5 * LAB_MINUTE;
	node->conf.metacache_max_parallel_requests = 10;
	node->conf.metacache_merge_max_uid_renumbers = 100;
	node->settings = (struct backend_settings){ .conf = &node->conf };
}

__attribute__((unused)) static int node_open_user(
	struct node *node, struct lab_view name, struct lab_error *err)
{
	if (backend_user_get(node->backend, name, &node->user, err) < 0)
		return -1;
	rig_take_storage(node->user->fs);
	rig_take_storage(node->user->index_fs);
	return obox_user_access(node->user, err);
}

__attribute__((unused)) static void node_start_backend(struct node *node)
{
	struct fs_services *services;
	struct lab_error err;

	node->settings.env = node->rig->hosts[node->host].env;
	node->heap_used = lab_heap_used(node->settings.env->heap);
	OK(backend_start(&node->settings, &node->backend, &err));
	services = backend_get_services(node->backend);
	services->dict_open = node->rig->hosts[node->host].services.dict_open;
	services->ctx = node->rig->hosts[node->host].services.ctx;
}

__attribute__((unused)) static void node_start_user(struct node *node)
{
	struct lab_error err;

	node_start_backend(node);
	OK(node_open_user(node, LAB_VIEW(USER), &err));
}

__attribute__((unused)) static void node_stop_backend(struct node *node)
{
	backend_user_release(&node->user);
	backend_stop(&node->backend);
	assert_null(node->backend);
	assert_int_equal(lab_heap_used(node->settings.env->heap), node->heap_used);
}

/* Boots the host; its backend has the user open. */
__attribute__((unused)) static void node_start(struct node *node, struct rig *rig, unsigned host)
{
	node_init(node, rig, host);
	rig_boot(rig, host);
	node_run(node, node_start_user);
}

__attribute__((unused)) static void node_stop(struct node *node)
{
	node_run(node, node_stop_backend);
}

/* NODE_TEST(name) { body with `node`, in a fiber of its host } */
#define NODE_TEST(name) \
	static void name##_body(struct node *node); \
	static void name(void **state) \
	{ \
		struct node node; \
\
		node_start(&node, *state, 0); \
		node_run(&node, name##_body); \
		node_stop(&node); \
	} \
	static void name##_body(struct node *node)

/* The process dies and comes back; the disk stays as `disk` says. */
__attribute__((unused)) static void node_crash(struct node *node, enum fault_disk disk)
{
	struct rig *rig = node->rig;

	world_crash(rig->hosts[node->host].host, disk);
	rig_boot(rig, node->host);
	node_run(node, node_start_user);
}

/* Objects that are mails, not bundles. */
__attribute__((unused)) static size_t mail_objects(const struct rig *rig)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->objects, LAB_VIEW(""));
	struct lab_view path;
	size_t count = 0;
	void *object;

	while (lab_tree_next(&iter, &path, &object))
		count += lab_view_find(path, LAB_VIEW("/idx/")) == SIZE_MAX;
	return count;
}

/* ---- in a fiber ---- */

__attribute__((unused)) static struct obox_mailbox *box_open(struct node *node, const char *name)
{
	struct obox_mailbox *mailbox;
	struct lab_error err;

	OK(obox_mailbox_open(node->user, lab_view_cstr(name), &mailbox, &err));
	return mailbox;
}

__attribute__((unused)) static uint32_t deliver(struct obox_mailbox *mailbox, const char *body)
{
	struct obox_save save = { .body = lab_view_cstr(body) };
	struct obox_saved saved;
	struct lab_error err;

	OK(obox_save(mailbox, &save, &saved, &err));
	assert_true(saved.uid > 0);
	return saved.uid;
}

__attribute__((unused)) static int fetch(struct node *node, struct obox_mailbox *mailbox,
	uint32_t uid, struct lab_view *ret, struct lab_error *err)
{
	return obox_fetch(mailbox, uid, node->rig->arena, ret, err);
}

/* "1:body 2:other " of everything in the folder. */
__attribute__((unused)) static void assert_box(
	struct node *node, struct obox_mailbox *mailbox, const char *expected)
{
	char text[1000];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < obox_mailbox_count(mailbox); i++) {
		uint32_t uid = obox_mailbox_mail(mailbox, i)->uid;
		struct lab_view body;
		struct lab_error err;

		OK(fetch(node, mailbox, uid, &body, &err));
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%" PRIu32 ":%.*s ", uid,
			LAB_VIEW_ARG(body));
	}
	assert_string_equal(text, expected);
}

/* The user's list of folders hears of another host, under which the folder has that UIDVALIDITY. */
__attribute__((unused)) static void list_hears(
	struct node *node, struct obox_mailbox *box, uint32_t uidvalidity)
{
	struct obox_list **list = &node->user->root_index.list, *other, *both;
	uint8_t guid[ENV_GUID128_SIZE];
	struct lab_error err;

	assert_int_equal(lab_unhex(lab_view_cstr(obox_mailbox_guid(box)), guid, sizeof(guid)), 0);
	other = obox_list_new((*list)->heap, (*list)->inbox);
	assert_true(obox_list_create(
			    other, 99, guid, lab_view_cstr(box->name), uidvalidity, &err) >= 0);
	assert_int_equal(obox_list_merge(*list, other, &both, &err), 0);
	obox_list_free(&other);
	obox_list_free(list);
	*list = both;
}

#endif
