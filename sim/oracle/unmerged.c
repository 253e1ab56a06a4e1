/* SPDX-License-Identifier: Apache-2.0
 *
 * unmerged.c - metacache_index_merging=none: a backend says that it gave up what it had of a folder
 * for what is in storage. From there on flags (3, 4) of that user are not claimed, nor that a mail
 * keeps its UID (9). All else is claimed as ever: no UID may be two mails, or a client would
 * expunge the wrong one.
 */
#include "sim/oracle/oracle-private.h"

#define INVARIANTS (ORACLE_DAMAGES(3) | ORACLE_DAMAGES(4) | ORACLE_DAMAGES(9))

struct oracle_unmerged {
	struct lab_view user;
	uint64_t time_ns; /* the first time */
	struct oracle_unmerged *next;
};

void oracle_merge_event(struct oracle *oracle, const struct lab_event *event)
{
	struct oracle_unmerged *u = oracle->unmerged;
	struct lab_view user;

	if (event->id != LAB_EV_obox_index_merge_skipped)
		return;
	user = oracle_event_text(event, "user");
	while (u != NULL && !lab_view_eq(u->user, user))
		u = u->next;
	if (u != NULL)
		return;
	u = lab_arena_new_of(oracle->texts, struct oracle_unmerged);
	*u = (struct oracle_unmerged){ lab_arena_copy(oracle->texts, user), event->time_ns,
		oracle->unmerged };
	oracle->unmerged = u;
}

/* What is in the root is merged as ever. */
static bool is_of_root(const struct oracle_finding *f)
{
	return lab_view_find(lab_view_cstr(f->signature), LAB_VIEW("private")) != SIZE_MAX;
}

void oracle_excuse_unmerged(struct oracle *oracle)
{
	for (const struct oracle_unmerged *u = oracle->unmerged; u != NULL; u = u->next) {
		for (size_t i = 0; i < oracle->finding_count; i++) {
			struct oracle_finding *f = &oracle->findings[i];

			if (f->excuse == NULL && f->invariant < 64 &&
				(ORACLE_DAMAGES(f->invariant) & INVARIANTS) != 0 &&
				f->time_ns >= u->time_ns && oracle_is_about_user(f, u->user) &&
				!is_of_root(f))
				f->excuse = "a backend had given up its index of a folder for the "
					    "one in storage: metacache_index_merging=none "
					    "(obox 5.1)";
		}
	}
}
