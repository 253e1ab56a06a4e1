/* SPDX-License-Identifier: Apache-2.0
 *
 * lazy-expunge.h - the plugin lazy_expunge: an expunge is a move to one folder, and what has been
 * there long enough is expunged (obox 6.2).
 *
 * Purpose    What EXPUNGE of a session means, and what autoexpunge does when one ends. With
 *            lazy_expunge the last reference to an object goes only days after its last use, so no
 *            copy on another host can race with the deletion of what it copies.
 * Settings   lazy_expunge, lazy_expunge_only_last_instance, lazy_expunge_exclude*; autoexpunge and
 *            autoexpunge_max_mails of mailbox { }.
 * Blocking   Both block the calling fiber.
 */
#ifndef LAB_LAZY_EXPUNGE_H
#define LAB_LAZY_EXPUNGE_H

#include "core/obox/backend.h"
#include "core/obox/obox.h"

/* Would an expunge in this folder be a move? Not without the plugin, nor in its folder, nor in one
 * that is excluded by name, mask or special use. */
bool lazy_expunge_applies(struct obox_user *user, struct lab_view folder);

/* obox_expunge(), or what takes its place: of each result `copied` says that the mail is in the
 * expunge folder now, as `saved`. With lazy_expunge_only_last_instance a mail whose object has
 * other references is expunged; references are counted once for all, so of two that are expunged
 * together one is kept. A mail whose references cannot be counted stays. MOVE is no expunge. The
 * GUID of the folder that they were moved to is told in hex (another backend may make one of that
 * name, too); "" if there was none. */
int lazy_expunge(struct obox_user *user, struct obox_mailbox *mailbox, const uint32_t *uids,
	size_t count, struct obox_result *results, char ret_target[2 * ENV_GUID128_SIZE + 1],
	struct lab_error *err);

/* What an autoexpunge did with one mail: err->code is LAB_OK if it is gone. */
typedef void (*lazy_expunge_done_fn)(
	void *ctx, const struct obox_mail *mail, const struct obox_result *result);
/* Expunges from the folder what came into it at least `autoexpunge` ago, and, from the oldest on,
 * what is above autoexpunge_max_mails. The first mail that is too young ends it. Nothing if the
 * folder is not there or has no such setting. As an expunge by a session, so that from other
 * folders mails go to the expunge folder. -1 with the first error. */
int lazy_expunge_auto(struct obox_user *user, struct lab_view folder, lazy_expunge_done_fn done,
	void *ctx, struct lab_error *err);

#endif
