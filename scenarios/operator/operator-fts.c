/* SPDX-License-Identifier: Apache-2.0
 *
 * operator-fts.c - what operators do with a user's search index (obox 6.1). doveadm fts check: the
 * states of the mails in it, or what is known of one folder; it indexes nothing. And obox user
 * delete, which takes the index with the user.
 */
#include "scenarios/operator/operator-private.h"

#include "core/fts/fts.h"

static int check_full(
	struct fts *fts, struct obox_user *user, struct lab_buf *out, struct lab_error *err)
{
	struct fts_check check;

	if (fts_check_full(fts, user, &check, err) < 0)
		return -1;
	for (unsigned state = 0; state < FTS_STATE_COUNT; state++)
		lab_buf_printf(out, "%s\t%" PRIu64 "\n", fts_state_name((enum fts_state)state),
			check.counts[state]);
	lab_buf_printf(out, "triplets\t%" PRIu64 "\n", check.triplets);
	return 0;
}

static void put_number(struct lab_buf *out, const char *name, const struct fts_number *number)
{
	char text[FTS_NUMBER_TEXT_MAX];

	fts_number_text(number, text);
	lab_buf_printf(out, "%s\t%s\n", name, text);
}

static int check_fast(struct fts *fts, struct obox_user *user, const struct operator_command *c,
	struct lab_buf *out, struct lab_error *err)
{
	struct obox_mailbox *mailbox;
	struct fts_fast_check check;
	int result;

	if (obox_mailbox_select(user, c->field, &mailbox, err) < 0)
		return -1;
	result = fts_check_fast(fts, user, mailbox, c->has_refresh, &check, err);
	obox_mailbox_close(&mailbox);
	if (result < 0)
		return -1;
	lab_buf_printf(out, "autoindex\t%s\n", check.autoindex ? "yes" : "no");
	put_number(out, "mailbox uidnext", &check.uidnext);
	put_number(out, "fts highest uid", &check.fts_highest_uid);
	put_number(out, "mailbox total count", &check.mailbox_count);
	put_number(out, "expected fts count", &check.expected_fts_count);
	put_number(out, "fts count", &check.fts_count);
	put_number(out, "fts expunges", &check.fts_expunges);
	return 0;
}

/* A user and the search index; fts is NULL if none is configured. */
struct index {
	struct obox_user *user;
	struct fts *fts;
};

static int index_open(
	struct backend *backend, struct lab_view username, struct index *ret, struct lab_error *err)
{
	const struct conf_settings *conf;

	*ret = (struct index){ .user = NULL };
	if (backend_user_open(backend, username, &ret->user, err) < 0)
		return -1;
	conf = backend_user_settings(ret->user);
	if (fts_is_configured(conf))
		ret->fts = fts_start(backend_env(backend), backend, conf);
	return 0;
}

static void index_close(struct index *index)
{
	fts_stop(&index->fts);
	backend_user_release(&index->user);
}

int operator_fts_check(struct backend *backend, const struct operator_command *c,
	struct lab_buf *out, struct lab_error *err)
{
	struct index index;
	int result;

	if (index_open(backend, c->mask.mask, &index, err) < 0)
		return -1;
	if (index.fts == NULL)
		result = lab_fail(
			err, LAB_INVALID, "there is no search index: fts and fts_dovecot_fs");
	else if (c->verb == OPERATOR_FTS_CHECK_FULL)
		result = check_full(index.fts, index.user, out, err);
	else
		result = check_fast(index.fts, index.user, c, out, err);
	index_close(&index);
	return result;
}

int operator_fts_delete(struct backend *backend, struct lab_view username, struct lab_error *err)
{
	struct index index;
	int result;

	if (index_open(backend, username, &index, err) < 0)
		return -1;
	result = index.fts == NULL ? 0 : fts_user_delete(index.fts, index.user, err);
	index_close(&index);
	return result;
}
