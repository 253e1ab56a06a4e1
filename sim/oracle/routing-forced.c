/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-forced.c - R7 of palomar 4.1: a forced move takes the users that its share hits, and
 * nobody else; so a larger share takes more of them and gives nobody back, and the same order once
 * more changes nothing. And it hits as many as its percentage says.
 *
 * Whom a share hits: the first 32 bits of MD5(id ":" user), modulo 100, are below it (palomar 7).
 */
#include "sim/oracle/routing-rows.h"

#define SETTLED_NS (5 * LAB_SEC)
#define ORDER_NS (2 * LAB_MINUTE)
#define USERS_MIN 20 /* below, any number of them is right */
#define SIGMAS 5

static bool is_hit(const struct share *share, struct lab_view user)
{
	uint8_t text[600], digest[LAB_DIGEST_MAX];
	size_t len = share->id.len + 1 + user.len;
	uint32_t first;

	if (share->pct <= 0 || share->id.len == 0 || len > sizeof(text))
		return false;
	memcpy(text, share->id.ptr, share->id.len);
	text[share->id.len] = ':';
	memcpy(text + share->id.len + 1, user.ptr, user.len);
	lab_digest(LAB_MD5, lab_view_of(text, len), digest);
	first = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
		digest[3];
	return first % 100 < (uint64_t)share->pct;
}

static bool is_same_share(const struct share *a, const struct share *b)
{
	return a->pct == b->pct && lab_view_eq(a->id, b->id) && lab_view_eq(a->to, b->to);
}

/* GeoDB did not answer, or its clients came and went, a while ago. */
static bool is_troubled(const struct oracle *oracle)
{
	const struct routing_rows *r = oracle->routing->rows;

	return r->had_trouble && r->now_ns < r->trouble_ns + ORDER_NS;
}

/* Whoever decides may have read what was there a moment before. */
static bool may_hit(const struct oracle *oracle, const struct shares *shares, struct lab_view user)
{
	uint64_t age_ns = oracle->routing->rows->now_ns - shares->now.since_ns;

	return is_hit(&shares->now, user) ||
	       (age_ns < (is_troubled(oracle) ? ORDER_NS : SETTLED_NS) &&
		       is_hit(&shares->before, user));
}

static const struct site_row *site_of(const struct oracle *oracle, struct row_id id)
{
	return routing_row_find(oracle, ROW_SITE, id_view(&id), LAB_VIEW(""));
}

/* ---- nobody else ---- */

static bool is_moved_by_order(const struct oracle *oracle)
{
	const struct order_times *order =
		routing_row_find(oracle, ROW_USER_MOVE, LAB_VIEW(""), LAB_VIEW(""));

	return order != NULL && order->last_ns + ORDER_NS >= oracle->routing->rows->now_ns;
}

void routing_check_forced(struct oracle *oracle, struct lab_view name, const struct user_row *u)
{
	const struct site_row *from = site_of(oracle, u->site), *home = site_of(oracle, u->home);

	if (from == NULL || !from->is_online || is_moved_by_order(oracle) ||
		may_hit(oracle, &from->forced, name) ||
		(home != NULL && home != from && may_hit(oracle, &home->recovered, name)) ||
		oracle->routing->rows->now_ns < from->since_ns + SETTLED_NS)
		return;
	(void)oracle_found_online(oracle, ORACLE_R(7), "R7 moved beyond the share",
		oracle->routing->rows->now_ns,
		"%.*s begins to leave site %.*s, of which %" PRId64
		" %% are sent away by \"%.*s\", and he is none of them",
		LAB_VIEW_ARG(name), LAB_VIEW_ARG(from->name), from->forced.now.pct,
		LAB_VIEW_ARG(from->forced.now.id));
}

/* ---- all of them ---- */

/* One of the sites that the share goes to is online. Ids as texts, with commas. */
static bool has_target(const struct oracle *oracle, const struct share *share)
{
	struct lab_view rest = share->to, part;
	uint8_t bytes[ID_BYTES];
	struct row_id id;

	while (rest.len > 0 && lab_view_split(&rest, ',', &part)) {
		const struct site_row *site;
		uint8_t hex[2 * ID_BYTES];
		size_t len = 0;

		for (size_t i = 0; i < part.len && len < sizeof(hex); i++) {
			if (part.ptr[i] != '-')
				hex[len++] = part.ptr[i];
		}
		if (len != sizeof(hex) ||
			lab_unhex(lab_view_of(hex, len), bytes, sizeof(bytes)) < 0)
			continue;
		memcpy(id.bytes, bytes, sizeof(bytes));
		site = site_of(oracle, id);
		if (site != NULL && site->is_online)
			return true;
	}
	return false;
}

/* It holds for so long that everybody knows, and nothing has failed since. */
static bool is_known(const struct oracle *oracle, uint64_t since_ns)
{
	const struct routing *r = oracle->routing;
	uint64_t known_ns = oracle->settings.cache_max_ns + SETTLED_NS;

	return r->last_ns > since_ns + known_ns && r->last_ns > r->last_trouble_ns + known_ns &&
	       !is_troubled(oracle);
}

void routing_check_stayed(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view name = routing_text(event, "user");
	struct user_row *u = routing_row_find(oracle, ROW_USER, name, LAB_VIEW(""));
	const struct site_row *at = u == NULL ? NULL : site_of(oracle, u->site);

	if (u == NULL || at == NULL)
		return;
	u->seen_ns = event->time_ns;
	if (u->is_moving || !is_hit(&at->forced.now, name) || at->recovered.now.pct > 0 ||
		!lab_view_eq(routing_text(event, "site"), at->name) ||
		!is_known(oracle, at->forced.now.since_ns) || !is_known(oracle, u->since_ns) ||
		!has_target(oracle, &at->forced.now))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(7), "R7 left behind", event->time_ns,
		"%.*s has a new session at site %.*s, which \"%.*s\" sends him away from",
		LAB_VIEW_ARG(name), LAB_VIEW_ARG(at->name), LAB_VIEW_ARG(at->forced.now.id));
}

/* ---- as many as that ---- */

void routing_left_by_share(struct oracle *oracle, struct user_row *u)
{
	const struct site_row *from = site_of(oracle, u->site);

	if (from != NULL && from->forced.now.pct > 0) {
		u->forced_from = u->site;
		u->forced_ns = oracle->routing->rows->now_ns;
	}
}

/* (moved - p * all)^2 <= SIGMAS^2 * all * p * (1 - p), in hundredths. */
static bool is_within_bounds(int64_t moved, int64_t all, int64_t pct)
{
	int64_t off = 100 * moved - all * pct;

	return off * off <= (int64_t)SIGMAS * SIGMAS * all * pct * (100 - pct);
}

static void check_fraction(
	struct oracle *oracle, const struct site_row *site, struct row_id id, uint64_t from_ns)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->routing->rows->rows);
	struct lab_view key;
	int64_t moved = 0, all = 0;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		const struct user_row *u = value;
		bool has_left;

		if (key.ptr[0] != ROW_USER || u->seen_ns <= from_ns)
			continue;
		has_left = is_same_id(u->forced_from, id);
		moved += has_left;
		all += has_left || is_same_id(u->site, id);
	}
	if (all >= USERS_MIN && !is_within_bounds(moved, all, site->forced.now.pct))
		(void)oracle_found_online(oracle, ORACLE_R(7), "R7 share is out of bounds",
			oracle->routing->last_ns,
			"%" PRId64 " of %" PRId64
			" users have left site %.*s, and \"%.*s\" is %" PRId64 " %%",
			moved, all, LAB_VIEW_ARG(site->name), LAB_VIEW_ARG(site->forced.now.id),
			site->forced.now.pct);
}

/* A larger share of the same id has those of the smaller one; after another id anybody may have
 * left. */
static void judge_fraction(struct oracle *oracle, const struct site_row *site)
{
	const struct shares *s = &site->forced;
	uint64_t known_ns = s->now.since_ns + oracle->settings.cache_max_ns + SETTLED_NS;

	if (s->now.pct > 0 && site->recovered.now.pct == 0 && site->recovered.before.pct == 0 &&
		(s->before.pct == 0 || lab_view_eq(s->before.id, s->now.id)) &&
		is_known(oracle, s->now.since_ns))
		check_fraction(oracle, site, site->id, known_ns);
}

void routing_set_share(
	struct oracle *oracle, struct site_row *site, struct shares *shares, struct share now)
{
	if (is_same_share(&shares->now, &now))
		return;
	judge_fraction(oracle, site);
	now.since_ns = oracle->routing->rows->now_ns;
	now.id = lab_arena_copy(oracle->texts, now.id);
	now.to = lab_arena_copy(oracle->texts, now.to);
	shares->before = shares->now;
	shares->now = now;
}

void routing_forced_finish(struct oracle *oracle)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->routing->rows->rows);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		const struct site_row *site = value;

		if (key.ptr[0] == ROW_SITE)
			judge_fraction(oracle, site);
	}
}
