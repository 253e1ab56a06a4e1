/* SPDX-License-Identifier: Apache-2.0
 *
 * damage.c - what a run damaged on purpose, and what that excuses.
 */
#include "sim/oracle/oracle-private.h"

void oracle_damaged(struct oracle *oracle, const struct oracle_damage *damage)
{
	struct oracle_damage_item *item =
		lab_arena_new_of(oracle->texts, struct oracle_damage_item);

	item->damage = *damage;
	item->event = oracle->last_event;
	item->damage.user = lab_arena_copy(oracle->texts, damage->user);
	item->damage.oid = lab_arena_copy(oracle->texts, damage->oid);
	item->damage.name = lab_arena_copy(oracle->texts, damage->name);
	item->damage.planted = lab_arena_copy(oracle->texts, damage->planted);
	if (oracle->last_damage == NULL)
		oracle->last_damage = &oracle->damages;
	*oracle->last_damage = item;
	oracle->last_damage = &item->next;
}

struct oracle_drop {
	uint64_t event;
	struct oracle_drop *before;
};

void oracle_mail_dropped(struct oracle *oracle, const struct lab_event *event)
{
	struct oracle_key key;
	void **slot = lab_map_slot(
		oracle->drops, oracle_key3(&key, oracle_event_text(event, "user"),
				       oracle_event_text(event, "name"), LAB_VIEW("")));
	struct oracle_drop *drop;

	if (slot == NULL)
		return;
	drop = lab_arena_new_of(oracle->texts, struct oracle_drop);
	*drop = (struct oracle_drop){ event->sequence, *slot };
	*slot = drop;
}

/* It may have no body, since before that event. */
static bool was_taken_away(
	const struct oracle *oracle, const struct oracle_object *object, uint64_t event)
{
	struct lab_view oid = lab_view_of(object->oid, object->oid_len);

	for (const struct oracle_damage_item *i = oracle->damages; i != NULL; i = i->next) {
		if (i->event < event && (i->damage.invariants & ORACLE_DAMAGES(12)) != 0 &&
			lab_view_eq(i->damage.user, object->user) &&
			lab_view_eq(i->damage.oid, oid))
			return true;
	}
	return false;
}

const char *oracle_excuse_drop(const struct oracle *oracle, const struct oracle_instance *instance,
	uint64_t from, uint64_t to)
{
	char hex[2 * HISTORY_NAME_BYTES + 1];
	struct oracle_key key;

	if (instance->object == NULL)
		return NULL;
	lab_hex(instance->name, sizeof(instance->name), hex);
	for (const struct oracle_drop *d = lab_map_get(oracle->drops,
		     oracle_key3(&key, instance->user, lab_view_cstr(hex), LAB_VIEW("")));
		d != NULL; d = d->before) {
		if (d->event > from && d->event < to &&
			was_taken_away(oracle, instance->object, d->event))
			return "its object was taken away on purpose, and an index dropped it: its "
			       "row is found again (obox 4.5)";
	}
	return NULL;
}

void oracle_collected(struct oracle *oracle, uint64_t time_ns)
{
	oracle->collected_ns = time_ns;
}

bool oracle_is_planted(const struct oracle *oracle, struct lab_view text)
{
	for (const struct oracle_damage_item *i = oracle->damages; i != NULL; i = i->next) {
		if (i->damage.planted.len > 0 && lab_view_eq(i->damage.planted, text))
			return true;
	}
	return false;
}

/* The mail whose row or object was damaged; 0: nobody knows it. */
static uint64_t damaged_token(struct oracle *oracle, const struct oracle_damage *d)
{
	const struct oracle_instance *instance =
		d->name.len == 0 ? NULL : oracle_instance_by_name(&oracle->model, d->user, d->name);
	const struct oracle_object *object =
		d->oid.len == 0 ? NULL : oracle_object_find(&oracle->model, d->user, d->oid);

	if (instance != NULL && instance->token != 0)
		return instance->token;
	return object == NULL ? 0 : object->token;
}

/* Sentences begin with "user/" or "user:". */
bool oracle_is_about_user(const struct oracle_finding *f, struct lab_view user)
{
	struct lab_view text = lab_view_cstr(f->sentence);

	return user.len == 0 || (lab_view_starts_with(text, user) && text.len > user.len &&
					(text.ptr[user.len] == '/' || text.ptr[user.len] == ':'));
}

/* "user/folder:" */
static bool is_about_folder(
	struct oracle *oracle, const struct oracle_finding *f, const struct oracle_damage *d)
{
	const struct oracle_instance *instance =
		oracle_instance_by_name(&oracle->model, d->user, d->name);
	struct lab_view text = lab_view_cstr(f->sentence);

	if (!oracle_is_about_user(f, d->user))
		return false;
	if (instance == NULL || lab_map_get(oracle->model.movers, d->user) != NULL)
		return true;
	text = lab_view_skip(text, d->user.len + 1);
	return lab_view_starts_with(text, instance->folder) && text.len > instance->folder.len &&
	       text.ptr[instance->folder.len] == ':';
}

static bool is_copy(const struct oracle_case *c, const struct oracle_finding *f)
{
	const struct history_op *op = f->op == 0 ? NULL : history_op(c->history, (size_t)f->op - 1);

	return op != NULL && op->kind != HISTORY_DELIVER;
}

/* A mail that is back in the folder takes part in its numbers. */
static bool has_returned_mail(const struct oracle *oracle, const struct oracle_finding *f)
{
	struct lab_view place = lab_view_cstr(f->sentence);

	place = lab_view_sub(place, 0, lab_view_find(place, LAB_VIEW(": ")));
	for (size_t n = 0; n < oracle->finding_count; n++) {
		const struct oracle_finding *back = &oracle->findings[n];

		if (back->invariant == 2 && back->sentence[place.len] == ':' &&
			lab_view_starts_with(lab_view_cstr(back->sentence), place))
			return true;
	}
	return false;
}

static bool is_of_another_index(const struct oracle_damage *d, const struct oracle_finding *f)
{
	static const uint8_t all[HISTORY_NAME_BYTES];

	return f->folder != 0 && memcmp(d->mailbox_guid, all, sizeof(all)) != 0 &&
	       f->folder != knowledge_folder(d->user, d->mailbox_guid);
}

/* Claimed since after the damage; or in a bundle before it. */
static bool is_out_of_reach(const struct oracle *oracle, const struct oracle_damage_item *i,
	const struct oracle_finding *f)
{
	const struct oracle_damage *d = &i->damage;

	if (is_of_another_index(d, f))
		return true;
	if (f->invariant == 9 && (d->invariants & ORACLE_DAMAGES(2)) != 0 &&
		has_returned_mail(oracle, f))
		return false;
	return (d->until_ns > 0 && f->since_ns > d->until_ns) ||
	       (d->unless_stored && f->folder != 0 &&
		       knowledge_was_stored(
			       oracle->knowledge, f->folder, i->event, f->life, f->done));
}

static bool excuses(struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_damage_item *i, const struct oracle_finding *f)
{
	const struct oracle_damage *d = &i->damage;

	if (f->invariant >= 64 || (d->invariants & ORACLE_DAMAGES(f->invariant)) == 0 ||
		is_out_of_reach(oracle, i, f))
		return false;
	if (d->copies_only && f->invariant == 1 && !is_copy(c, f))
		return false;
	if (d->of_folder)
		return is_about_folder(oracle, f, d);
	if (d->oid.len == 0 && d->name.len == 0)
		return oracle_is_about_user(f, d->user);
	return f->token != 0 && f->token == damaged_token(oracle, d);
}

void oracle_excuse_damage(struct oracle *oracle, const struct oracle_case *c)
{
	for (const struct oracle_damage_item *i = oracle->damages; i != NULL; i = i->next) {
		for (size_t n = 0; i->damage.invariants != 0 && n < oracle->finding_count; n++) {
			struct oracle_finding *f = &oracle->findings[n];

			if (f->excuse == NULL && excuses(oracle, c, i, f))
				f->excuse = i->damage.reason;
		}
	}
}
