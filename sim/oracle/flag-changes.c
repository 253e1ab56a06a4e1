/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/flag-changes.h"

/* A crash ends what a client never heard of: a flag is the index's alone. */
static uint64_t end_of(const struct oracle *oracle, const struct history_op *op, uint32_t life)
{
	uint64_t crash = knowledge_crash(oracle->knowledge, life, NULL);

	return op->outcome == HISTORY_OK ? op->ended_event : crash;
}

struct flag_change flag_change_of(
	const struct oracle *oracle, const struct history_op *op, unsigned values)
{
	uint32_t life = knowledge_life(oracle->knowledge, op);

	return (struct flag_change){ .op = op,
		.values = values,
		.life = life,
		.began = op->invoked_event,
		.ended = end_of(oracle, op, life),
		.is_certain = op->outcome == HISTORY_OK || op->copied };
}

bool flag_is_known(const struct oracle *oracle, uint64_t folder, const struct flag_observer *who,
	const struct flag_change *change)
{
	return change->is_certain &&
	       (knowledge_knew(oracle->knowledge, folder, who->life, who->at, change->life,
			change->ended) ||
		       (who->is_storage && knowledge_was_stored(oracle->knowledge, folder,
						   knowledge_start(oracle->knowledge, who->life),
						   change->life, change->ended)));
}

/* Another that is certain was made by somebody who knew it. */
static bool is_overtaken(const struct oracle *oracle, const struct flag_changes *changes,
	const struct flag_change *change)
{
	for (size_t i = 0; i < changes->count; i++) {
		const struct flag_change *later = &changes->of[i];

		if (later != change && later->is_known &&
			knowledge_knew(oracle->knowledge, changes->folder, later->life,
				later->began, change->life, change->ended))
			return true;
	}
	return false;
}

unsigned flag_allowed(const struct oracle *oracle, const struct flag_changes *changes)
{
	unsigned values = 0;
	bool any_known = false;

	for (size_t i = 0; i < changes->count; i++) {
		any_known |= changes->of[i].is_known;
		if (!is_overtaken(oracle, changes, &changes->of[i]))
			values |= changes->of[i].values;
	}
	/* Whoever knows nothing but the mail's name sees no flag. */
	return any_known ? values : values | FLAG_CLEAR;
}

/* The last change that the observer must have known. */
const struct flag_change *flag_last_known(const struct flag_changes *changes)
{
	const struct flag_change *last = NULL;

	for (size_t i = 0; i < changes->count; i++) {
		if (changes->of[i].is_known && (last == NULL || changes->of[i].ended > last->ended))
			last = &changes->of[i];
	}
	return last;
}
