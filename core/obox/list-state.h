/* SPDX-License-Identifier: Apache-2.0
 *
 * list-state.h - what a user's root says, and who said it: folders, subscriptions, and which hosts
 * have changed anything of the user. The content of root bundles (obox 5.3, palomar 6.2).
 *
 * Purpose    A value without a file, a clock or a network, as index-state.h is for a folder. A
 *            backend changes its own list; obox_list_merge() makes one of two.
 * Dots       Each change is stamped with a dot: (clock, author). The clock is above all that the
 *            author had seen; `seen` says up to which clock the list has seen each author. A folder
 *            that one side lacks was deleted there if that side had seen its dots, else it was
 *            never heard of: no list of what was deleted is kept.
 * Merge      Commutative, associative and idempotent. A delete wins over a rename, and over any
 *            other change of what it deleted; of two values the later one holds; a subscription
 *            made where another host takes one away stays.
 * Names      Full paths, OBOX_SEPARATOR between the parts. Renaming a folder renames those below
 *            it, each of them; one that another host makes below the old name at the same time
 *            stays there. A parent need not be there.
 * Clashes    Two folders that got one name at the same time keep what they were told; the one that
 *            was made first is shown under it, any other as "<name>-<8 hex digits of its GUID>".
 *            INBOX is the folder with the inbox's GUID, and never another. The next change that is
 *            made here gives them the names under which they are shown, so that deleting one
 *            folder never renames another.
 * Limits     OBOX_FOLDERS_MAX folders and as many subscriptions, OBOX_AUTHORS_MAX authors and
 *            hosts.
 * Blocking   Never.
 */
#ifndef LAB_OBOX_LIST_STATE_H
#define LAB_OBOX_LIST_STATE_H

#include "core/obox/index-state.h"

#define OBOX_FOLDERS_MAX 100000
#define OBOX_FOLDER_NAME_MAX 255
#define OBOX_SEPARATOR '/'
#define OBOX_SPECIAL_USE_MAX 64

struct obox_dot {
	uint64_t clock, author; /* clock 0: nobody ever set it */
};

/* The later dot holds. */
struct obox_list_text {
	char *value; /* "" if nobody ever set it */
	struct obox_dot set;
};

/* One making of a folder, or of a subscription, which has nothing but its dot. Two hosts may make
 * one folder each for themselves (INBOX, or one that was lost): its entries have one key. A folder
 * that was deleted is remembered with the name it had: a host that has not heard of it may still
 * save into it. */
struct obox_list_entry {
	struct lab_view key; /* the folder's GUID; the subscription's name */
	struct obox_dot made;
	struct obox_list_text name;        /* as it was told */
	struct obox_list_text special_use; /* "\\Sent", or "" */
	/* Never gets smaller. Of one that was deleted: when, in unix seconds; its special use says
	 * by whom (obox_list_remember_deleted()). */
	uint32_t uidvalidity;
};

enum obox_list_kind {
	OBOX_LIST_FOLDERS,
	OBOX_LIST_SUBSCRIPTIONS,
	OBOX_LIST_DELETED,
	OBOX_LIST_KINDS
};

struct obox_list_entries {
	struct obox_list_entry **items; /* by key and dot */
	size_t count;
};

/* What its entries say together. */
struct obox_list_folder {
	uint8_t guid[ENV_GUID128_SIZE];
	char *name; /* under which it is shown: unique */
	const char *told, *special_use;
	uint32_t uidvalidity;
	struct obox_dot made;
};

/* That a host has changed something of this user: each time the count is higher. */
struct obox_list_mark {
	char *host;
	uint64_t count;
};

struct obox_list {
	struct lab_heap *heap;
	uint8_t inbox[ENV_GUID128_SIZE];
	uint64_t clock;
	uint32_t last_uidvalidity;   /* that was ever given to a folder of the user */
	struct obox_author *authors; /* by id */
	size_t author_count;
	struct obox_list_entries entries[OBOX_LIST_KINDS];
	struct obox_list_mark *marks; /* by host */
	size_t mark_count;
	struct obox_list_folder **folders; /* by GUID */
	size_t folder_count;
	struct lab_map *by_name; /* struct obox_list_folder */
	bool has_clashes;        /* a name that is shown is not the one that was told */
};

/* No folder, not even INBOX, whose GUID is known from the start. */
struct obox_list *obox_list_new(struct lab_heap *heap, const uint8_t inbox[ENV_GUID128_SIZE]);
/* NULLs the pointer; accepts NULL. */
void obox_list_free(struct obox_list **list);

/* -1 LAB_INVALID: empty, too long, a control character, an empty part. "inbox" in any case becomes
 * "INBOX". */
int obox_list_check_name(struct lab_view *name, struct lab_error *err);

/* ---- looking ---- */

/* NULL if there is none. Borrowed until the next change. */
const struct obox_list_folder *obox_list_find(const struct obox_list *list, struct lab_view name);
const struct obox_list_folder *obox_list_find_guid(
	const struct obox_list *list, const uint8_t guid[ENV_GUID128_SIZE]);
bool obox_list_is_subscribed(const struct obox_list *list, struct lab_view name);
/* 0 if the host has none. */
uint64_t obox_list_mark_of(const struct obox_list *list, struct lab_view host);

/* ---- changing: `author` says who ---- */

/* The UIDVALIDITY should be above list->last_uidvalidity: a name that is used again must not have
 * its old one. -1 LAB_EXISTS (the name or the GUID), LAB_INVALID (the name; INBOX with another GUID
 * than its own, or its GUID with another name), LAB_LIMIT. */
int obox_list_create(struct obox_list *list, uint64_t author, const uint8_t guid[ENV_GUID128_SIZE],
	struct lab_view name, uint32_t uidvalidity, struct lab_error *err);
/* With all that is below it. -1 LAB_NOT_FOUND, LAB_EXISTS, LAB_INVALID (INBOX, a place below
 * itself, a name that gets too long): nothing is renamed. */
int obox_list_rename(struct obox_list *list, uint64_t author, struct lab_view from,
	struct lab_view to, struct lab_error *err);
/* What is below it stays. -1 LAB_NOT_FOUND, LAB_INVALID (INBOX). */
int obox_list_delete(
	struct obox_list *list, uint64_t author, struct lab_view name, struct lab_error *err);
/* Remembers that the folder was deleted, and `by` whom (as a special use: "\\" and an atom); at
 * most OBOX_LIST_DELETED_MAX of them: the oldest go. */
#define OBOX_LIST_DELETED_MAX 1000
int obox_list_remember_deleted(struct obox_list *list, uint64_t author,
	const uint8_t guid[ENV_GUID128_SIZE], struct lab_view name, uint32_t unix_seconds,
	struct lab_view by, struct lab_error *err);
/* Forgets those that were deleted before. */
void obox_list_forget_deleted(struct obox_list *list, uint32_t unix_seconds);
/* "" takes it away. 1 if that changed something; -1 LAB_NOT_FOUND, LAB_INVALID. */
int obox_list_set_special_use(struct obox_list *list, uint64_t author, struct lab_view name,
	struct lab_view use, struct lab_error *err);
/* The folder of that name need not be there (RFC 3501). 1 if that changed something; -1
 * LAB_INVALID, LAB_LIMIT. */
int obox_list_subscribe(struct obox_list *list, uint64_t author, struct lab_view name,
	bool is_subscribed, struct lab_error *err);
/* Counts the host's changes, from `first`, which is above all counts of a list that was before this
 * one, or whoever knows that one does not hear of them. -1 LAB_LIMIT. */
int obox_list_mark(
	struct obox_list *list, struct lab_view host, uint64_t first, struct lab_error *err);

/* ---- merging (list-merge.c) ---- */

/* What both sides together say. -1 LAB_LIMIT; LAB_INVALID: lists of different users. *ret is the
 * caller's, in a's heap, or NULL. */
int obox_list_merge(const struct obox_list *a, const struct obox_list *b, struct obox_list **ret,
	struct lab_error *err);

/* ---- as bytes (list-codec.c) ---- */

/* Equal lists are equal bytes. */
void obox_list_encode(const struct obox_list *list, struct lab_buf *out);
/* -1 LAB_CORRUPT, also for what no backend would have written; LAB_UNSUPPORTED: a later version.
 * *ret is the caller's, or NULL. */
int obox_list_decode(struct lab_heap *heap, struct lab_view bytes, struct obox_list **ret,
	struct lab_error *err);
/* What `list` has become since it was `base`, readable over any list that has seen all that `base`
 * had: the content of a diff bundle. */
void obox_list_encode_changes(
	const struct obox_list *base, const struct obox_list *list, struct lab_buf *out);
/* `mine` merged with the list that the changes lead to. -1 LAB_NOT_FOUND: `mine` has not seen all
 * of what they are changes of; LAB_CORRUPT, LAB_UNSUPPORTED, and as obox_list_merge(). */
int obox_list_merge_changes(const struct obox_list *mine, struct lab_view bytes,
	struct obox_list **ret, struct lab_error *err);

#endif
