/* SPDX-License-Identifier: Apache-2.0
 *
 * test-support.h - what the tests of this module share: a backend with full text search on each
 * host of the rig.
 */
#ifndef LAB_FTS_TEST_SUPPORT_H
#define LAB_FTS_TEST_SUPPORT_H

#include "core/fts/fts-private.h"
#include "core/obox/test-support.h"

#define FTS_FS \
	"fts-cache:compress:zstd:3:dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; " \
	"dict-prefix=%u/fts/:storage-passthrough-paths=full"
#define FTS_FS_PLAIN \
	"compress:zstd:3:dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; " \
	"dict-prefix=%u/fts/:storage-passthrough-paths=full"
#define FTS_ROWS "shared/dictmap/" USER "/fts/"
#define FTS_OBJECTS USER "/fts/"

/* A node and its index. */
struct searcher {
	struct node node;
	struct fts *fts;
	const char *uri; /* NULL: FTS_FS */
	unsigned min_merge, flush_interval, max_triplets;
	bool has_counts, has_prefix;
};

__attribute__((unused)) static struct fts_user *fts_user_of(struct searcher *s)
{
	struct lab_error err;
	struct fts_user *user = fts_user_get(s->fts, s->node.user, &err);

	assert_non_null(user);
	return user;
}

__attribute__((unused)) static void searcher_start_fts(struct node *node)
{
	struct searcher *s = (struct searcher *)(void *)node;

	node->conf.fts.text = LAB_VIEW("dovecot");
	node->conf.fts_dovecot_fs.text = lab_view_cstr(s->uri == NULL ? FTS_FS : s->uri);
	node->conf.fts_dovecot_min_merge_l_file_size = s->min_merge == 0 ? 131072 : s->min_merge;
	node->conf.fts_dovecot_mail_flush_interval = s->flush_interval;
	node->conf.fts_dovecot_max_triplets = s->max_triplets;
	node->conf.fts_dovecot_message_count_stats = s->has_counts;
	node->conf.fts_dovecot_prefix = s->has_prefix;
	assert_true(fts_is_configured(&node->conf));
	s->fts = fts_start(node->settings.env, node->backend, &node->conf);
	rig_take_storage(fts_user_of(s)->fs);
}

/* Options are set already. */
__attribute__((unused)) static void searcher_start(
	struct searcher *s, struct rig *rig, unsigned host)
{
	node_start(&s->node, rig, host);
	node_run(&s->node, searcher_start_fts);
}

__attribute__((unused)) static void searcher_stop_fts(struct node *node)
{
	fts_stop(&((struct searcher *)(void *)node)->fts);
}

__attribute__((unused)) static void searcher_stop(struct searcher *s)
{
	node_run(&s->node, searcher_stop_fts);
	node_stop(&s->node);
}

/* Runs, and comes back after a clean stop. */
__attribute__((unused)) static void searcher_restart(struct searcher *s)
{
	searcher_stop(s);
	node_run(&s->node, node_start_user);
	node_run(&s->node, searcher_start_fts);
}

__attribute__((unused)) static void searcher_crash(struct searcher *s, enum fault_disk disk)
{
	node_crash(&s->node, disk);
	node_run(&s->node, searcher_start_fts);
}

/* ---- in a fiber ---- */

/* "1 3 " */
__attribute__((unused)) static void assert_found(struct searcher *s, struct obox_mailbox *mailbox,
	enum fts_where where, const char *text, const char *expected)
{
	struct lab_arena *arena = lab_arena_new(s->fts->env->heap, 1u << 20);
	char found[1000] = "";
	size_t used = 0, count;
	uint32_t *uids;
	struct lab_error err;

	OK(fts_search(s->fts, s->node.user, mailbox, where, lab_view_cstr(text), arena, &uids,
		&count, &err));
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(
			found + used, sizeof(found) - used, "%" PRIu32 " ", uids[i]);
	assert_string_equal(found, expected);
	lab_arena_free(&arena);
}

__attribute__((unused)) static void flush_all(struct searcher *s)
{
	struct lab_error err;

	OK(fts_flush(s->fts, LAB_VIEW(""), &err));
}

__attribute__((unused)) static struct fts_check check_full(struct searcher *s)
{
	struct fts_check check;
	struct lab_error err;

	OK(fts_check_full(s->fts, s->node.user, &check, &err));
	return check;
}

/* "synced 3, missing 1" */
__attribute__((unused)) static void assert_check(struct searcher *s, const char *expected)
{
	struct fts_check check = check_full(s);
	char text[400] = "";
	size_t used = 0;

	for (unsigned i = 0; i < FTS_STATE_COUNT; i++) {
		if (check.counts[i] > 0)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %" PRIu64,
				used > 0 ? ", " : "", fts_state_name((enum fts_state)i),
				check.counts[i]);
	}
	assert_string_equal(text, expected);
}

/* As a client does it: the mail goes, and the index hears of it. */
__attribute__((unused)) static void expunge(
	struct searcher *s, struct obox_mailbox *mailbox, uint32_t uid, bool is_told)
{
	struct fts_mail mail = fts_mail_of(mailbox, obox_mailbox_find(mailbox, uid));
	struct obox_result result;
	struct lab_error err;

	OK(obox_expunge(mailbox, &uid, 1, &result, &err));
	if (is_told)
		fts_expunged(s->fts, s->node.user, &mail);
}

/* Objects of that kind in storage. */
__attribute__((unused)) static size_t stored(const struct rig *rig, char kind)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->objects, LAB_VIEW(FTS_OBJECTS));
	struct lab_view path;
	size_t count = 0;
	void *object;

	while (lab_tree_next(&iter, &path, &object)) {
		if (!lab_view_starts_with(path, LAB_VIEW(FTS_OBJECTS)))
			break;
		count += path.ptr[sizeof(FTS_OBJECTS) - 1] == (uint8_t)kind;
	}
	return count;
}

#endif
