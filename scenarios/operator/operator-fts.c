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

int operator_fts_check(struct backend *backend, const struct operator_command *c,
	struct lab_buf *out, struct lab_error *err)
{
	const struct conf_settings *conf;
	struct obox_user *user;
	struct fts *fts;
	int result;

	if (backend_user_open(backend, c->mask.mask, &user, err) < 0)
		return -1;
	conf = backend_user_settings(user);
	if (!fts_is_configured(conf)) {
		backend_user_release(&user);
		return lab_fail(
			err, LAB_INVALID, "there is no search index: fts and fts_dovecot_fs");
	}
	fts = fts_start(backend_env(backend), backend, conf);
	result = c->verb == OPERATOR_FTS_CHECK_FULL ? check_full(fts, user, out, err)
						    : check_fast(fts, user, c, out, err);
	fts_stop(&fts);
	backend_user_release(&user);
	return result;
}

int operator_fts_delete(struct backend *backend, struct lab_view username, struct lab_error *err)
{
	const struct conf_settings *conf;
	struct obox_user *user;
	struct fts *fts;
	int result = 0;

	if (backend_user_open(backend, username, &user, err) < 0)
		return -1;
	conf = backend_user_settings(user);
	if (fts_is_configured(conf)) {
		fts = fts_start(backend_env(backend), backend, conf);
		result = fts_user_delete(fts, user, err);
		fts_stop(&fts);
	}
	backend_user_release(&user);
	return result;
}
