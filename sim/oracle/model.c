/* SPDX-License-Identifier: Apache-2.0
 *
 * model.c - from the history: which mails must be where, may be where, and must not be where.
 *
 * A mail in a folder is an instance, known by its object's name. What made it ended ok (it must be
 * there), maybe (it may), or failed (it must not); what removed it ended ok or maybe. An operation
 * whose backend crashed often left no name behind: those are only counted, by token and folder.
 */
#include "sim/oracle/oracle-private.h"

struct lab_view oracle_key3(
	struct oracle_key *key, struct lab_view a, struct lab_view b, struct lab_view c)
{
	const struct lab_view parts[] = { a, b, c };
	uint64_t hash = 0;
	size_t n = 0;

	/* Too long for the buffer: by hash. */
	if (a.len + b.len + c.len + 6 > sizeof(key->bytes)) {
		for (size_t i = 0; i < LAB_COUNT_OF(parts); i++)
			hash = lab_hash_fold(hash, lab_hash_view(i, parts[i]));
		memcpy(key->bytes, &hash, sizeof(hash));
		return lab_view_of(key->bytes, sizeof(hash));
	}
	for (size_t i = 0; i < LAB_COUNT_OF(parts); i++) {
		key->bytes[n++] = (uint8_t)(parts[i].len >> 8);
		key->bytes[n++] = (uint8_t)parts[i].len;
		if (parts[i].len > 0)
			memcpy(key->bytes + n, parts[i].ptr, parts[i].len);
		n += parts[i].len;
	}
	return lab_view_of(key->bytes, n);
}

static struct lab_view number_view(const uint64_t *number)
{
	return lab_view_of(number, sizeof(*number));
}

uint64_t oracle_op_end(const struct history_op *op)
{
	return op->outcome == HISTORY_PENDING ? UINT64_MAX : op->ended_ns;
}

/* ---- finding ---- */

struct oracle_instance *oracle_instance_find(struct oracle_model *model, struct lab_view user,
	struct lab_view folder, const uint8_t name[HISTORY_NAME_BYTES])
{
	struct oracle_key key;

	return lab_map_get(model->instances,
		oracle_key3(&key, user, folder, lab_view_of(name, HISTORY_NAME_BYTES)));
}

struct oracle_instance *oracle_instance_by_name(
	struct oracle_model *model, struct lab_view user, struct lab_view name)
{
	struct oracle_key key;

	return lab_map_get(model->by_name, oracle_key3(&key, user, LAB_VIEW(""), name));
}

struct oracle_object *oracle_object_find(
	struct oracle_model *model, struct lab_view user, struct lab_view oid)
{
	struct oracle_key key;

	return lab_map_get(model->objects, oracle_key3(&key, user, LAB_VIEW(""), oid));
}

struct oracle_mail *oracle_mail_find(
	struct oracle_model *model, struct lab_view user, uint64_t token)
{
	struct oracle_key key;

	return lab_map_get(
		model->mails, oracle_key3(&key, user, LAB_VIEW(""), number_view(&token)));
}

struct oracle_audit *oracle_audit_find(
	struct oracle_model *model, struct lab_view user, struct lab_view folder)
{
	struct oracle_key key;

	return lab_map_get(model->audits, oracle_key3(&key, user, folder, LAB_VIEW("")));
}

/* ---- adding ---- */

/* The maps have room for every operation's and sighting's keys. */
void **oracle_slot(struct lab_map *map, struct lab_view key)
{
	void **slot = lab_map_slot(map, key);

	lab_assert(slot != NULL);
	return slot;
}

struct oracle_tally *oracle_tally(
	struct oracle_model *model, struct lab_view user, struct lab_view folder, uint64_t token)
{
	struct oracle_key key;
	struct oracle_tally *tally;
	void **slot;

	/* An operation that was cut off knows its folder by a name only, and others may have had
	 * that name before or since. */
	if (lab_map_get(model->movers, user) != NULL)
		folder = LAB_VIEW("");
	slot = oracle_slot(model->tallies, oracle_key3(&key, user, folder, number_view(&token)));
	tally = *slot;
	if (tally != NULL)
		return tally;
	*slot = tally = lab_arena_new_of(model->arena, struct oracle_tally);
	tally->user = user;
	tally->folder = folder;
	tally->token = token;
	*model->last_tally = tally;
	model->last_tally = &tally->next;
	return tally;
}

static struct oracle_object *add_object(
	struct oracle *oracle, struct lab_view user, const struct history_object *object)
{
	struct oracle_model *model = &oracle->model;
	struct lab_view oid = lab_view_of(object->oid, object->oid_len);
	struct oracle_key key;
	struct oracle_object *added;
	void **slot;

	if (object->oid_len == 0)
		return NULL;
	slot = oracle_slot(model->objects, oracle_key3(&key, user, LAB_VIEW(""), oid));
	if (*slot != NULL)
		return *slot;
	*slot = added = lab_arena_new_of(model->arena, struct oracle_object);
	added->user = user;
	memcpy(added->oid, object->oid, object->oid_len);
	added->oid_len = object->oid_len;
	added->key = oracle_object_key(oracle, user, oid);
	*oracle_slot(model->object_keys, number_view(&added->key)) = added;
	*model->last_object = added;
	model->last_object = &added->next;
	return added;
}

static struct oracle_instance *add_instance(struct oracle *oracle, struct lab_view user,
	struct lab_view folder, const struct history_object *object, uint64_t token)
{
	struct oracle_model *model = &oracle->model;
	struct lab_view name = lab_view_of(object->name, HISTORY_NAME_BYTES);
	struct oracle_key key;
	void **slot = oracle_slot(model->instances, oracle_key3(&key, user, folder, name));
	struct oracle_instance *added = *slot;

	if (added == NULL) {
		*slot = added = lab_arena_new_of(model->arena, struct oracle_instance);
		added->user = user;
		added->folder = folder;
		memcpy(added->name, object->name, HISTORY_NAME_BYTES);
		*model->last_instance = added;
		model->last_instance = &added->next;
		slot = oracle_slot(model->by_name, oracle_key3(&key, user, LAB_VIEW(""), name));
		if (*slot == NULL)
			*slot = added;
	}
	if (added->object == NULL)
		added->object = add_object(oracle, user, object);
	if (added->token == 0)
		added->token = token;
	return added;
}

/* ---- one operation ---- */

void oracle_object_touched(
	struct oracle *oracle, struct oracle_object *object, const struct history_op *op)
{
	struct oracle_touch *touch;

	if (object->last != NULL && object->last->op == op)
		return;
	touch = lab_arena_new_of(oracle->model.arena, struct oracle_touch);
	touch->op = op;
	if (object->first == NULL) {
		object->first = touch;
		object->first_ns = op->invoked_ns;
	} else {
		object->last->next = touch;
	}
	object->last = touch;
	if (oracle_op_end(op) > object->last_ns)
		object->last_ns = oracle_op_end(op);
	object->has_trouble |= op->outcome != HISTORY_OK && oracle_is_storage_write(op);
}

static void on_object(
	struct oracle *oracle, const struct history_op *op, const struct history_object *named)
{
	struct oracle_object *object = add_object(oracle, op->user, named);

	if (object == NULL || (object->last != NULL && object->last->op == op))
		return;
	oracle_object_touched(oracle, object, op);
	object->is_delivered |= op->kind == HISTORY_DELIVER;
	if (object->token == 0)
		object->token = op->token;
}

static void add_body(struct oracle *oracle, const struct history_op *op)
{
	struct oracle_model *model = &oracle->model;
	struct oracle_key key;
	void **slot = oracle_slot(
		model->mails, oracle_key3(&key, op->user, LAB_VIEW(""), number_view(&op->token)));
	struct oracle_mail *mail = *slot;

	if (mail == NULL)
		*slot = mail = lab_arena_new_of(model->arena, struct oracle_mail);
	if (op->outcome != HISTORY_PENDING) {
		mail->varies |= mail->has_body && mail->body_hash != op->body_hash;
		mail->body_hash = op->body_hash;
		mail->has_body = true;
	}
	slot = oracle_slot(model->owners, number_view(&op->token));
	if (*slot == NULL)
		*slot = (void *)(uintptr_t)op;
}

/* It wrote an object of which nobody was told the name. */
static void add_unnamed(struct oracle *oracle, const struct history_op *op)
{
	void **slot;

	if (op->made.oid_len > 0 ||
		(op->kind != HISTORY_DELIVER &&
			(op->outcome == HISTORY_FAIL || oracle_is_copy_in_dict(oracle, op))))
		return;
	slot = oracle_slot(oracle->model.unnamed, op->user);
	*slot = (void *)((uintptr_t)*slot + 1);
}

static enum oracle_made made_by(const struct history_op *op)
{
	/* What lazy_expunge moved is there; what it expunged was never to be. */
	if (op->kind == HISTORY_EXPUNGE && op->copied)
		return ORACLE_MADE_OK;
	if (op->kind == HISTORY_EXPUNGE && op->outcome == HISTORY_OK)
		return ORACLE_MADE_FAILED;
	if (op->outcome == HISTORY_OK || (op->kind == HISTORY_MOVE && op->copied))
		return ORACLE_MADE_OK;
	return oracle_is_maybe(op) ? ORACLE_MADE_MAYBE : ORACLE_MADE_FAILED;
}

static void made(struct oracle *oracle, const struct history_op *op, struct lab_view folder)
{
	enum oracle_made how = made_by(op);
	struct oracle_instance *instance;
	struct oracle_tally *tally;

	add_unnamed(oracle, op);
	if (op->made.has_name) {
		instance = add_instance(oracle, op->user, folder, &op->made, op->token);
		if (instance->maker != NULL && !instance->is_blamed) {
			struct oracle_finding *f = oracle_find(oracle, 5,
				"I5 object name used twice",
				"%.*s/%.*s: two operations made a mail of the same object name",
				LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(folder));

			oracle_why_op(f, instance->maker);
			oracle_why_op(f, op);
			instance->is_blamed = true;
		}
		instance->maker = op;
		instance->made = how;
	} else if (how != ORACLE_MADE_FAILED) {
		tally = oracle_tally(&oracle->model, op->user, folder, op->token);
		tally->ok += how == ORACLE_MADE_OK;
		tally->maybe += how == ORACLE_MADE_MAYBE;
		if (how == ORACLE_MADE_OK || tally->maker == NULL)
			tally->maker = op;
	}
}

static void removed(struct oracle *oracle, const struct history_op *op)
{
	struct oracle_instance *instance;

	if (!op->source.has_name || op->outcome == HISTORY_FAIL)
		return;
	instance = add_instance(oracle, op->user, op->folder, &op->source, op->token);
	if (op->outcome != HISTORY_OK)
		instance->maybe_removed = op;
	else if (instance->removed == NULL || instance->removed->ended_ns > op->ended_ns)
		instance->removed = op;
}

static void maybe_all_removed(struct oracle *oracle, const struct history_op *op)
{
	for (struct oracle_instance *i = oracle->model.first_instance; i != NULL; i = i->next) {
		if (lab_view_eq(i->user, op->user) && lab_view_eq(i->folder, op->folder))
			i->maybe_removed = op;
	}
}

/* What came into the folder long ago is gone; if nobody could tell, any of it may be. */
static void autoexpunged(struct oracle *oracle, const struct history_op *op)
{
	size_t count;
	const struct history_sighting *gone =
		history_sightings(oracle->model.history, op->id, &count);

	for (size_t i = 0; i < count; i++) {
		struct oracle_instance *instance =
			add_instance(oracle, op->user, op->folder, &gone[i].object, 0);

		on_object(oracle, op, &gone[i].object);
		if (gone[i].is_uncertain)
			instance->maybe_removed = op;
		else if (instance->removed == NULL)
			instance->removed = op;
		instance->autoexpunged = op;
	}
	if (!op->has_told_all && op->outcome != HISTORY_FAIL)
		maybe_all_removed(oracle, op);
}

static void stored(struct oracle *oracle, const struct history_op *op)
{
	struct oracle_instance *instance;
	struct oracle_touch *touch;

	if (!op->source.has_name || op->outcome == HISTORY_FAIL)
		return;
	instance = add_instance(oracle, op->user, op->folder, &op->source, op->token);
	touch = lab_arena_new_of(oracle->model.arena, struct oracle_touch);
	touch->op = op;
	if (instance->last_store == NULL)
		instance->last_store = &instance->stores;
	*instance->last_store = touch;
	instance->last_store = &touch->next;
}

static void fetched(struct oracle *oracle, const struct history_op *op)
{
	struct oracle_instance *instance;

	if (!op->source.has_name)
		return;
	instance = add_instance(oracle, op->user, op->folder, &op->source,
		op->outcome == HISTORY_OK ? op->token : 0);
	if (lab_view_eq_cstr(op->backend, oracle->settings.auditor) &&
		(instance->fetched == NULL || instance->fetched->outcome != HISTORY_OK))
		instance->fetched = op;
}

static void listed(struct oracle *oracle, const struct history_op *op)
{
	struct oracle_model *model = &oracle->model;
	struct oracle_audit *audit;
	struct oracle_key key;
	void **slot;

	if (!lab_view_eq_cstr(op->backend, oracle->settings.auditor))
		return;
	slot = oracle_slot(model->audits, oracle_key3(&key, op->user, op->folder, LAB_VIEW("")));
	if (*slot == NULL)
		*slot = lab_arena_new_of(model->arena, struct oracle_audit);
	audit = *slot;
	audit->user = op->user;
	audit->folder = op->folder;
	if (op->outcome == HISTORY_OK)
		audit->listed = op;
	else if (op->outcome == HISTORY_PENDING)
		audit->pending = op;
	else
		audit->failed = op;
}

static void add_op(struct oracle *oracle, const struct history_op *op)
{
	if (op->kind != HISTORY_STORE) { /* which does nothing to rows and objects */
		on_object(oracle, op, &op->source);
		on_object(oracle, op, &op->made);
	}
	switch (op->kind) {
	case HISTORY_DELIVER:
		add_body(oracle, op);
		made(oracle, op, op->folder);
		break;
	case HISTORY_COPY:
		made(oracle, op, op->target);
		break;
	case HISTORY_MOVE:
		made(oracle, op, op->target);
		removed(oracle, op);
		break;
	case HISTORY_AUTOEXPUNGE:
		autoexpunged(oracle, op);
		break;
	case HISTORY_EXPUNGE:
		if (op->target.len > 0 && (op->outcome != HISTORY_OK || op->copied))
			made(oracle, op, op->target);
		removed(oracle, op);
		break;
	case HISTORY_FETCH:
		fetched(oracle, op);
		break;
	case HISTORY_SELECT:
	case HISTORY_REBUILD:
		listed(oracle, op);
		break;
	case HISTORY_STORE:
		stored(oracle, op);
		break;
	case HISTORY_LIST:
		if (op->outcome == HISTORY_OK &&
			lab_view_eq_cstr(op->backend, oracle->settings.auditor))
			*oracle_slot(oracle->model.lists, op->user) = (void *)(uintptr_t)op;
		break;
	/* folders.c */
	case HISTORY_CREATE:
	case HISTORY_RENAME:
	case HISTORY_DELETE:
	case HISTORY_SUBSCRIBE:
	case HISTORY_STATUS:
	case HISTORY_USER_DELETE:
	case HISTORY_FLUSH:
	case HISTORY_OPERATE:
	case HISTORY_QUOTA:
	/* fts.c */
	case HISTORY_SEARCH:
	case HISTORY_FTS_CHECK:
	/* private.c */
	case HISTORY_PRIVATE_STORE:
	case HISTORY_PRIVATE_FETCH:
	case HISTORY_VIRTUAL:
	case HISTORY_KIND_COUNT:
		break;
	}
}

/* ---- all of them ---- */

static void see_audit(struct oracle *oracle, const struct oracle_audit *audit)
{
	size_t count;
	const struct history_sighting *seen =
		history_sightings(oracle->model.history, audit->listed->id, &count);

	for (size_t i = 0; i < count; i++)
		add_instance(oracle, audit->user, audit->folder, &seen[i].object, 0)->listed =
			audit->listed;
	oracle->verdict->mails_seen += count;
}

/* Mails whose names nobody was told take their token from their object. */
static void see_audits(struct oracle *oracle)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->model.audits);
	struct lab_view key;
	void *audit;

	while (lab_map_next(&iter, &key, &audit)) {
		if (((struct oracle_audit *)audit)->listed != NULL)
			see_audit(oracle, audit);
	}
	for (struct oracle_instance *i = oracle->model.first_instance; i != NULL; i = i->next) {
		if (i->token == 0 && i->object != NULL)
			i->token = i->object->token;
	}
}

void oracle_model_build(struct oracle *oracle, const struct history *history)
{
	struct oracle_model *model = &oracle->model;
	struct lab_heap *heap = oracle->settings.heap;
	struct lab_map **maps[] = { &model->instances, &model->by_name, &model->objects,
		&model->object_keys, &model->mails, &model->tallies, &model->audits, &model->owners,
		&model->unnamed, &model->bundle_keys, &model->lists, &model->movers,
		&model->lost_folders };

	*model = (struct oracle_model){ .history = history, .arena = oracle->work };
	model->last_instance = &model->first_instance;
	model->last_object = &model->first_object;
	model->last_tally = &model->first_tally;
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		*maps[i] = lab_map_new(heap, ORACLE_NAMES_MAX);
	for (size_t i = 0; i < history_count(history); i++) {
		enum history_kind kind = history_op(history, i)->kind;

		if (kind == HISTORY_RENAME || kind == HISTORY_DELETE || kind == HISTORY_USER_DELETE)
			*oracle_slot(model->movers, history_op(history, i)->user) = model;
	}
	for (size_t i = 0; i < history_count(history); i++)
		add_op(oracle, history_op(history, i));
	see_audits(oracle);
}
