/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-causes.c - what happens while nothing has failed, and explains what would be wrong
 * otherwise: metacaches that are full, users whom two proxies meet for the first time at once,
 * moves that are ordered elsewhere while they run.
 */
#include "sim/oracle/routing-rows.h"

#define FULL LAB_VIEW(": metacache is full")
#define CLEANS_NS LAB_MINUTE

static uint16_t name_of_host(struct oracle *oracle, uint32_t host)
{
	uint32_t boot;
	struct lab_view name = knowledge_host(oracle->knowledge, host, &boot);

	return name.len == 0 ? 0 : routing_name(oracle, name);
}

void routing_cleans(struct oracle *oracle, const struct lab_event *event)
{
	uint16_t name = name_of_host(oracle, event->host);

	if (name != 0)
		oracle->routing->cleaned_ns[name] = event->time_ns;
}

bool routing_is_full(struct oracle *oracle, const struct lab_event *event, struct lab_view why)
{
	size_t at = lab_view_find(why, FULL);
	uint16_t name = at == SIZE_MAX ? 0 : routing_name(oracle, lab_view_of(why.ptr, at));
	uint64_t cleaned_ns = name == 0 ? 0 : oracle->routing->cleaned_ns[name];

	return oracle->settings.metacache_max_bytes > 0 && cleaned_ns != 0 &&
	       event->time_ns <= cleaned_ns + CLEANS_NS;
}

static bool is_recent(uint64_t time_ns, uint64_t now_ns, uint64_t most_ns)
{
	return time_ns != 0 && now_ns <= time_ns + most_ns;
}

bool routing_may_be_two(const struct oracle *oracle, struct lab_view user)
{
	uint64_t now_ns = oracle->routing->rows->now_ns, most_ns = oracle->settings.overlap_max_ns;
	const struct user_row *u = routing_row_find(oracle, ROW_USER, user, LAB_VIEW(""));
	const struct group_row *g =
		u == NULL ? NULL : routing_row_find(oracle, ROW_GROUP, id_view(&u->site), u->group);

	return (u != NULL && is_recent(u->twice_ns, now_ns, most_ns)) ||
	       (g != NULL && (is_recent(g->twice_ns, now_ns, most_ns) ||
				     is_recent(g->redirected_ns, now_ns, most_ns)));
}
