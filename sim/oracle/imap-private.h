/* SPDX-License-Identifier: Apache-2.0
 *
 * imap-private.h - what imap.c and imap-modseqs.c share.
 */
#ifndef SIM_ORACLE_IMAP_PRIVATE_H
#define SIM_ORACLE_IMAP_PRIVATE_H

#include "sim/oracle/oracle-private.h"

struct list;

/* The highest modseq that a life has told of. */
struct shown {
	uint32_t life, uidvalidity;
	uint64_t modseq;
	const struct history_op *op;
	struct shown *next;
};

struct imap_folder {
	uint64_t key;
	struct list *lists; /* the newest first, of all lives */
	struct shown *shown;
	bool is_blamed, is_excused;
};

struct imap {
	struct oracle *oracle;
	const struct oracle_case *c;
	struct lab_map *folders;  /* key */
	struct lab_map *uids;     /* folder, UIDVALIDITY, UID -> sights of different mails */
	struct lab_map *names;    /* folder, UIDVALIDITY, name -> sights of different UIDs */
	struct lab_map *services; /* user */
};

/* The folder that an operation was on. */
struct imap_folder *imap_folder_of(struct imap *imap, const struct history_op *op);
/* At most one finding, and one that is excused, for each folder. */
void imap_find(struct imap *imap, struct imap_folder *folder, unsigned invariant,
	const char *signature, const struct history_op *before, const struct history_op *op,
	const char *what, const char *excuse);
/* Between the two the user or the folder may have been deleted. */
bool imap_is_reborn(struct imap *imap, const struct imap_folder *folder, const struct history_op *a,
	const struct history_op *b);

/* imap-modseqs.c: 10 over crashes. A SELECT, STATUS or STORE that ended ok. */
void imap_check_lost_modseqs(struct imap *imap, const struct history_op *op);

#endif
