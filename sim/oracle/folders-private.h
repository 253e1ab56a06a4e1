/* SPDX-License-Identifier: Apache-2.0
 *
 * folders-private.h - what the history says of folders and their names (folders-history.c), for the
 * checks of them (folders.c).
 *
 * A folder is its GUID. It has a name from whoever saw it first under that name, and from each
 * rename of it or of a folder above it. A name is over once a rename that ended ok, and that was
 * made knowing it, took the folder away from it. Of two backends that did not know each other
 * either one's word may hold.
 */
#ifndef SIM_ORACLE_FOLDERS_PRIVATE_H
#define SIM_ORACLE_FOLDERS_PRIVATE_H

#include "sim/oracle/oracle-private.h"

#define FOLDERS_NAMES_MAX 512 /* of one folder; beyond them nothing is claimed */

/* Why a folder may have this name. */
struct folder_name {
	struct lab_view text;
	const struct history_op *op;
	struct folder_name *next;
};

struct folder {
	struct account *account;
	uint8_t guid[HISTORY_NAME_BYTES];
	struct lab_view known_as; /* in the history; empty: no operation was in it */
	struct folder_name *names, **last_name;
	size_t name_count;
	const struct history_op *made; /* an acknowledged change that needs it */
	const struct history_op *created;
	struct oracle_touch *deletes; /* that may have been of it */
	const struct history_folder *listed;
	struct folder *next;
};

/* Operations on the folders of a user, in the order of invocation. */
struct account {
	struct lab_view user;
	struct oracle_touch *ops, **last_op;
	struct folder *folders, **last_folder;
	struct lab_map *asked; /* names that were ever asked for */
	const struct history_op *list;
	bool has_renames;
	struct account *next;
};

struct folders {
	struct oracle *oracle;
	const struct history *history;
	struct lab_map *accounts; /* user */
	struct account *first, **last;
	struct lab_map *by_guid;  /* user, GUID */
	struct lab_map *by_known; /* user, name in the history */
};

/* Everything that the history says, in the oracle's arena of the moment. */
void folders_read(struct folders *f, struct oracle *oracle, const struct history *history);
void folders_free(struct folders *f);
/* Mails that go with their folder or their user, or may. */
void folders_delete_mails(struct folders *f);
/* Mails that were saved again have names that nobody was told. After folders_delete_mails(). */
void folders_count_saved_again(struct oracle *oracle);

/* ---- names ---- */

bool folders_guid_is_none(const uint8_t guid[HISTORY_NAME_BYTES]);
bool folders_is_below(struct lab_view name, struct lab_view above);
/* A folder whose name another one has, too, is shown as "name-01234567": "name". */
struct lab_view folders_base_name(struct lab_view shown, const uint8_t guid[HISTORY_NAME_BYTES]);
/* Either may be shown with such an end. */
bool folders_is_name(const struct folder *folder, struct lab_view a, struct lab_view b);
bool folders_may_have_name(const struct folder *folder, struct lab_view name);
/* An operation that says it again adds nothing, unless it is a rename: false. */
bool folders_add_name(struct folders *f, struct folder *folder, struct lab_view text,
	const struct history_op *op);
/* Adds what renames made of its names, until none adds any. */
void folders_follow_renames(struct folders *f, struct folder *folder);

/* The event that ended the operation; UINT64_MAX: it never did. */
uint64_t folders_op_end(const struct history_op *op);

#endif
