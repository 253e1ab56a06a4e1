/* SPDX-License-Identifier: Apache-2.0
 *
 * paths.c - mails that are stored under their paths, "<root>/mailboxes/<folder guid>/<name>" (obox
 * 4.1): what such a path says, and, where there is no dict, invariants 12 and 15 with the storage's
 * own listing as the directory.
 *
 * A mail's object is known by its name then. What a listing shows after heal must be stored, and
 * what is stored must be shown: unless something of which nobody knows whether and when it happened
 * may have made or removed it since.
 */
#include "sim/oracle/oracle-private.h"

#define GUID_HEX 32
#define FOLDERS "/mailboxes/"

static bool is_guid(struct lab_view text)
{
	uint8_t bytes[GUID_HEX / 2];

	return text.len == GUID_HEX && lab_unhex(text, bytes, sizeof(bytes)) == 0;
}

static struct lab_view last_part(struct lab_view path)
{
	size_t slash;

	while ((slash = lab_view_find_byte(path, '/')) != SIZE_MAX)
		path = lab_view_skip(path, slash + 1);
	return path;
}

bool oracle_path_parse(struct lab_view key, struct lab_view *ret_user, struct lab_view *ret_name)
{
	size_t tail = sizeof(FOLDERS) - 1 + GUID_HEX + 1 + GUID_HEX;
	struct lab_view rest;

	if (key.len <= tail)
		return false;
	rest = lab_view_skip(key, key.len - tail);
	if (!lab_view_starts_with(rest, LAB_VIEW(FOLDERS)))
		return false;
	rest = lab_view_skip(rest, sizeof(FOLDERS) - 1);
	if (!is_guid(lab_view_sub(rest, 0, GUID_HEX)) || rest.ptr[GUID_HEX] != '/' ||
		!is_guid(lab_view_skip(rest, GUID_HEX + 1)))
		return false;
	/* Behind a dispersion prefix. */
	*ret_user = last_part(lab_view_sub(key, 0, key.len - tail));
	*ret_name = lab_view_skip(rest, GUID_HEX + 1);
	return ret_user->len > 0;
}

uint64_t oracle_key_hash(const struct oracle *oracle, struct lab_view key)
{
	struct lab_view user, name;

	/* Names are unique in the world, so the folder need not be known. */
	if (oracle->settings.stores_paths && oracle_path_parse(key, &user, &name))
		return lab_hash_view(0, name);
	return lab_hash_view(0, key);
}

bool oracle_is_copy_in_dict(const struct oracle *oracle, const struct history_op *op)
{
	return oracle->settings.copies_in_dict &&
	       (!oracle->settings.stores_paths || op->source.oid_len > HISTORY_NAME_BYTES);
}

/* ---- listings that may have been stale ---- */

/* Was a listing that this one may be made of answered as things had been before? */
const char *oracle_excuse_stale(const struct oracle *oracle, const struct oracle_case *c,
	uint64_t since_ns, const struct history_op *listing)
{
	bool is_audit = lab_view_eq_cstr(listing->backend, oracle->settings.auditor);
	uint64_t from = is_audit ? listing->invoked_ns : since_ns;

	if (oracle->settings.has_dictmap || c->faults == NULL)
		return NULL;
	for (size_t i = 0; i < fault_record_count(c->faults); i++) {
		const struct fault_record *r = fault_record(c->faults, i);

		if (r->kind == FAULT_stale && r->point == FAULT_POINT_s3_list &&
			r->time_ns >= from && r->time_ns <= listing->ended_ns)
			return "the storage listed what had been there before: without dictmap "
			       "nothing else says which mails there are";
	}
	return NULL;
}

/* What a listing hides may be bundles, too: whoever does not see them begins anew, and numbers
 * mails and folders as others have done already. Mails themselves, and what was done to them, are
 * claimed all the same. */
static bool is_of_indexes(unsigned invariant)
{
	return invariant == 3 || invariant == 4 || invariant == 6 || invariant == 7 ||
	       invariant == 11 || invariant == 9 || invariant == 10 || invariant == 22;
}

void oracle_excuse_stale_indexes(struct oracle *oracle, const struct oracle_case *c)
{
	uint64_t first_ns = UINT64_MAX;

	if (oracle->settings.has_dictmap || c->faults == NULL)
		return;
	for (size_t i = 0; i < fault_record_count(c->faults); i++) {
		const struct fault_record *r = fault_record(c->faults, i);

		if (r->kind == FAULT_stale && r->point == FAULT_POINT_s3_list)
			first_ns = LAB_MIN(first_ns, r->time_ns);
	}
	for (size_t i = 0; i < oracle->finding_count; i++) {
		struct oracle_finding *f = &oracle->findings[i];

		if (f->excuse == NULL && is_of_indexes(f->invariant) && f->time_ns >= first_ns)
			f->excuse = "the storage had listed index bundles as they had been before: "
				    "whoever does not see them numbers anew";
	}
}

/* ---- 12, 15 ---- */

struct stored {
	struct oracle *oracle;
	const struct oracle_case *c;
	struct lab_map *names; /* of the mails that are stored */
};

static struct oracle_instance *instance_of(
	struct oracle *oracle, struct lab_view user, struct lab_view name)
{
	uint8_t bytes[HISTORY_NAME_BYTES];

	if (lab_unhex(name, bytes, sizeof(bytes)) < 0)
		return NULL;
	return oracle_instance_by_name(&oracle->model, user, lab_view_of(bytes, sizeof(bytes)));
}

/* Nobody knows whether it happened, or when. */
static bool may_be_late(
	const struct oracle *oracle, struct lab_view user, const struct oracle_instance *i)
{
	if (i == NULL)
		return lab_map_get(oracle->model.unnamed, user) != NULL;
	return i->made == ORACLE_MADE_MAYBE || i->made == ORACLE_MADE_UNKNOWN;
}

static bool is_audited(const struct oracle *oracle, struct lab_view user)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->model.audits);
	struct lab_view key;
	void *audit;

	/* Of an object alone nobody knows its folder: each of the user's must have been listed. */
	while (lab_map_next(&iter, &key, &audit)) {
		const struct oracle_audit *a = audit;

		if (lab_view_eq(a->user, user) && a->listed == NULL)
			return false;
	}
	return true;
}

static void check_stored(struct stored *stored, struct lab_view key)
{
	struct oracle *oracle = stored->oracle;
	struct lab_view user, name;
	struct oracle_instance *i;
	struct oracle_finding *f;
	void **slot;

	if (!oracle_path_parse(key, &user, &name))
		return;
	slot = lab_map_slot(stored->names, name);
	lab_assert(slot != NULL);
	*slot = stored;
	i = instance_of(oracle, user, name);
	if ((i != NULL && (i->listed != NULL || i->is_blamed)) || !is_audited(oracle, user))
		return;
	oracle->verdict->leaked_objects++;
	if (may_be_late(oracle, user, i))
		return;
	f = oracle_find(oracle, 15, "I15 leak without cause",
		"%.*s: the body of mail %016" PRIx64 " is stored, and no listing shows it",
		LAB_VIEW_ARG(user), i == NULL ? 0 : i->token);
	f->time_ns = stored->c->ended_ns;
	oracle_why(f, "object %.200s", lab_arena_cstr(oracle->work, key));
	if (i == NULL)
		return;
	f->token = i->token;
	if (i->maker != NULL) {
		f->op = i->maker->id;
		oracle_why_op(f, i->maker);
	}
	i->is_blamed = true;
}

static void read_storage(struct stored *stored)
{
	const struct oracle_case *c = stored->c;
	struct scalemu_object_info in_ring;
	struct scalemu_iter ring;
	struct s3emu_object_info info;
	struct s3emu_iter iter;
	struct lab_error err;

	if (c->ring != NULL) {
		ring = scalemu_objects(c->ring);
		while (scalemu_objects_next(&ring, &in_ring))
			check_stored(stored, in_ring.key);
		return;
	}
	if (s3emu_objects(c->s3, stored->oracle->settings.bucket, LAB_VIEW(""), &iter, &err) < 0) {
		oracle_unknown(stored->oracle, "storage: %s", err.message);
		return;
	}
	while (s3emu_objects_next(&iter, &info))
		check_stored(stored, info.key);
}

static void check_listed(struct stored *stored, struct oracle_instance *i)
{
	char hex[2 * HISTORY_NAME_BYTES + 1];
	struct oracle_finding *f;

	lab_hex(i->name, sizeof(i->name), hex);
	if (i->listed == NULL || i->is_blamed || i->removed != NULL || i->maybe_removed != NULL ||
		lab_map_get(stored->names, lab_view_cstr(hex)) != NULL)
		return;
	stored->oracle->verdict->dangling_rows++;
	f = oracle_find(stored->oracle, 12, "I12 listed without body",
		"%.*s/%.*s: mail %016" PRIx64 " is listed, but not stored", LAB_VIEW_ARG(i->user),
		LAB_VIEW_ARG(i->folder), i->token);
	f->token = i->token;
	f->op = i->maker != NULL ? i->maker->id : i->listed->id;
	f->time_ns = stored->c->ended_ns;
	oracle_why_op(f, i->maker != NULL ? i->maker : i->listed);
	f->excuse = stored->oracle->settings.objects_were_lost
			    ? "objects were taken away on purpose"
			    : NULL;
	i->is_blamed = true;
}

void oracle_check_paths(struct oracle *oracle, const struct oracle_case *c)
{
	struct stored stored = { .oracle = oracle,
		.c = c,
		.names = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX) };

	read_storage(&stored);
	for (struct oracle_instance *i = oracle->model.first_instance; i != NULL; i = i->next)
		check_listed(&stored, i);
	lab_map_free(&stored.names);
}
