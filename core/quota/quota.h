/* SPDX-License-Identifier: Apache-2.0
 *
 * quota.h - quota=count as a value: what counts, what the limits are, and whether another mail fits
 * (obox 6.3).
 *
 * Purpose    Reads the settings of the quota plugin into a root, and decides. What is used is the
 *            business of core/obox (obox-quota.c): per-folder sums of virtual sizes.
 * Sizes      Virtual: every line end counts two bytes, as IMAP shows it.
 * Rules      "MASK:storage=1G:messages=1000", "Trash:storage=+10%", ".EXPUNGED:ignore". The rule of
 *            the mask "*" is everybody's; another one holds for the folders of its mask on top of
 *            it, the first that fits. 0 is no limit. A bare number of storage is kilobytes.
 * Grace      The last mail of a delivery may exceed the storage limit by that much, if the user was
 *            not above the limit before it. Not for what IMAP clients save and copy.
 * Effects    Pure functions. Borrows from the settings.
 * Limits     One root; backends other than count are refused, as obox has no other (obox 6.3).
 */
#ifndef LAB_QUOTA_H
#define LAB_QUOTA_H

#include "core/conf/settings.h"

struct quota_amount {
	uint64_t bytes, messages;
};

/* A limit, or what a folder has above or instead of everybody's. */
struct quota_number {
	bool is_set, is_relative, is_percent, is_negative;
	uint64_t value;
};
struct quota_rule {
	struct lab_view mask;
	bool ignore;
	struct quota_number bytes, messages;
};

struct quota_root {
	struct lab_view name; /* "User quota" */
	bool is_set;          /* false: there is no quota */
	bool is_enforced;     /* not `noenforcing` */
	struct quota_rule rules[CONF_QUOTA_RULES_MAX];
	size_t rule_count;
	struct quota_number grace;
	uint64_t max_mail_size; /* 0: no limit */
	struct lab_view exceeded_message;
};

/* -1 LAB_INVALID, LAB_UNSUPPORTED, with the place. */
int quota_root_load(
	const struct conf_settings *conf, struct quota_root *ret, struct lab_error *err);
/* One rule. -1 LAB_INVALID. */
int quota_rule_parse(struct lab_view text, struct quota_rule *ret, struct lab_error *err);

/* Does a folder fit a mask: '*' stands for anything, '%' for anything but '/', '?' for one byte;
 * INBOX in any case. */
bool quota_mask_fits(struct lab_view mask, struct lab_view folder);
bool quota_is_ignored(const struct quota_root *root, struct lab_view folder);
/* The limits for what comes into a folder; 0: none. */
struct quota_amount quota_limits(const struct quota_root *root, struct lab_view folder);

/* May `added` come into the folder, beside `used`? -1 LAB_OVER_QUOTA with quota_exceeded_message,
 * or because one mail (`largest` bytes) is above quota_max_mail_size. */
int quota_check(const struct quota_root *root, struct lab_view folder,
	const struct quota_amount *used, const struct quota_amount *added, uint64_t largest,
	bool is_delivery, struct lab_error *err);

/* Of a text: each line end counts two bytes, whether it is LF or CRLF. */
uint64_t quota_virtual_size(struct lab_view text);

#endif
