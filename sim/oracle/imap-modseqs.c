/* SPDX-License-Identifier: Apache-2.0
 *
 * imap-modseqs.c - invariant 10 over crashes.
 *
 * A flag that was in no bundle may be lost, and its modseq with it (obox 5.2). But whoever makes an
 * index from what is stored knows that more may have been shown than that: what comes then is above
 * all of it. Who had an index before the crash cannot know, and is not held to it.
 */
#include "sim/oracle/imap-private.h"

static void show(struct imap *imap, const struct history_op *op, uint64_t modseq)
{
	struct imap_folder *folder = imap_folder_of(imap, op);
	uint32_t life = knowledge_life(imap->oracle->knowledge, op);
	struct shown *s = folder->shown;

	if (life == KNOWLEDGE_NOBODY || modseq == 0)
		return;
	while (s != NULL && (s->life != life || s->uidvalidity != op->uidvalidity))
		s = s->next;
	if (s == NULL) {
		s = lab_arena_new_of(imap->oracle->work, struct shown);
		*s = (struct shown){ life, op->uidvalidity, 0, op, folder->shown };
		folder->shown = s;
	}
	if (modseq <= s->modseq)
		return;
	s->modseq = modseq;
	s->op = op;
}

/* It crashed before the index was begun that `op` was asked of. What was shown last is behind that
 * by the time that passed: more than clocks may be apart. */
static bool is_lost(struct imap *imap, const struct imap_folder *folder, const struct shown *s,
	const struct history_op *op, const char **ret_excuse)
{
	const struct knowledge *k = imap->oracle->knowledge;
	uint64_t apart_ns = 2 * (uint64_t)oracle_clock_error(imap->oracle, imap->c) * LAB_USEC;
	uint32_t life = knowledge_life(k, op);
	uint64_t begun_ns,
		begun = knowledge_begun(k, folder->key, life, op->invoked_event, &begun_ns);

	*ret_excuse = begun_ns < s->op->ended_ns + apart_ns
			      ? "clocks differ by more than the time from what was shown before a "
				"crash to the index made after it"
			      : NULL;
	return life != KNOWLEDGE_NOBODY && s->life != life && s->uidvalidity == op->uidvalidity &&
	       knowledge_crash(k, s->life, NULL) < begun &&
	       !imap_is_reborn(imap, folder, s->op, op);
}

/* Saved by the backend that lists it: another one may have an index of before the crash. */
static bool is_own(
	struct imap *imap, const struct history_op *op, const struct history_sighting *seen)
{
	const struct knowledge *k = imap->oracle->knowledge;
	const struct oracle_instance *instance =
		oracle_instance_find(&imap->oracle->model, op->user, op->folder, seen->object.name);

	return instance != NULL && instance->maker != NULL &&
	       knowledge_life(k, instance->maker) == knowledge_life(k, op);
}

/* A mail that came after what was shown. */
static bool has_late_mail(struct imap *imap, const struct shown *s, const struct history_op *op)
{
	size_t count;
	const struct history_sighting *seen = history_sightings(imap->c->history, op->id, &count);

	for (size_t i = 0; i < count; i++) {
		if (s->op->uidnext > 0 && seen[i].uid >= s->op->uidnext &&
			seen[i].modseq <= s->modseq && is_own(imap, op, &seen[i]))
			return true;
	}
	return false;
}

void imap_check_lost_modseqs(struct imap *imap, const struct history_op *op)
{
	struct imap_folder *folder = imap_folder_of(imap, op);
	const char *what, *excuse;

	for (const struct shown *s = folder->shown; s != NULL; s = s->next) {
		if (op->kind == HISTORY_STORE)
			what = op->changed && op->modseq <= s->modseq
				       ? "a change of a flag has a modseq that was shown before a "
					 "crash"
				       : NULL;
		else if (op->highest_modseq < s->modseq)
			what = "HIGHESTMODSEQ is lower than what was shown before a crash";
		else
			what = has_late_mail(imap, s, op)
				       ? "a mail came, and has a modseq that was shown before a "
					 "crash"
				       : NULL;
		if (what != NULL && is_lost(imap, folder, s, op, &excuse))
			imap_find(imap, folder, 10, "I10 lost modseqs given again", s->op, op, what,
				excuse);
	}
	show(imap, op, op->kind == HISTORY_STORE ? op->modseq : op->highest_modseq);
}
