/* SPDX-License-Identifier: Apache-2.0
 *
 * data-centers.c - what it means that each zone has a data centre of Cassandra of its own
 * (palomar 5, layout B): its hosts read at LOCAL_QUORUM there, and what was written while it was
 * lost comes with hints.
 */
#include "sim/oracle/oracle-private.h"

/* Until the others have seen that the nodes are back, and what they have kept for them is there. */
#define HINTS_NS (15 * LAB_SEC)

static bool is_of_zone(const struct fault_episode *episode, struct lab_view zone)
{
	struct lab_view prefix = LAB_VIEW("zone:"), target = lab_view_cstr(episode->target);

	return lab_view_starts_with(target, prefix) &&
	       lab_view_eq(lab_view_skip(target, prefix.len), zone);
}

const char *oracle_excuse_returned_center(const struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *change, const struct history_op *listing)
{
	size_t count = 0;
	const struct fault_episode *episodes =
		c->faults == NULL ? NULL : fault_plan_episodes(c->faults, &count);
	struct lab_view zone = routing_zone_of(oracle, listing->backend);

	for (size_t i = 0; oracle->settings.center_per_zone && zone.len > 0 && i < count; i++) {
		uint64_t from_ns = episodes[i].start_ns, to_ns = from_ns + episodes[i].length_ns;

		if (episodes[i].kind == FAULT_zone_lost && episodes[i].fired > 0 &&
			is_of_zone(&episodes[i], zone) && change->ended_ns >= from_ns &&
			change->invoked_ns <= to_ns && listing->ended_ns >= to_ns &&
			listing->invoked_ns <= to_ns + HINTS_NS)
			return "it was done while the data centre of the listing's backend was "
			       "lost, which has its hints only now (palomar 5)";
	}
	return NULL;
}

static bool is_about(const struct history_op *op, const struct history_op *like)
{
	return lab_view_eq(op->user, like->user) &&
	       (lab_view_eq(op->folder, like->folder) || lab_view_eq(op->target, like->folder));
}

/* Some change of the folder that `reader` could not read. */
static const char *is_blind(const struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *like, const struct history_op *reader)
{
	const char *excuse = NULL;

	for (size_t i = 0; i < history_count(c->history) && excuse == NULL; i++) {
		const struct history_op *op = history_op(c->history, i);

		if (oracle_is_storage_write(op) && is_about(op, like))
			excuse = oracle_excuse_returned_center(oracle, c, op, reader);
	}
	return excuse;
}

const char *oracle_excuse_blind_center(const struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *op, uint64_t *ret_since)
{
	for (size_t i = 0; oracle->settings.center_per_zone && i < history_count(c->history); i++) {
		const struct history_op *reader = history_op(c->history, i);
		const char *excuse = reader->invoked_event < op->ended_event && is_about(reader, op)
					     ? is_blind(oracle, c, op, reader)
					     : NULL;

		if (excuse != NULL) {
			*ret_since = reader->invoked_event;
			return excuse;
		}
	}
	return NULL;
}
