/* SPDX-License-Identifier: Apache-2.0
 *
 * bases.c - who knew of which base bundles when it wrote another bundle, from the events of the
 * metacache: for invariant 18.
 *
 * Two backends that write a base at once leave two, and neither knows of the other's. Whoever has
 * read both, or has written one of them, leaves one with its next upload: a base takes the place of
 * all that its host knows, and nobody writes a diff beside two bases (obox 5.3, HD-8). Until then
 * nothing has to be uploaded, as a merge of the two says nothing new.
 */
#include "sim/oracle/oracle-private.h"

/* How far a backend's knowledge of a directory went when an upload of it began. */
struct mark {
	uint64_t began, refreshed; /* events; 0: never */
};

/* What a life of a backend has done with a directory. */
struct view {
	const char *host;
	uint64_t refreshed; /* when the last refresh ended well */
	struct mark upload; /* that is under way */
	/* The last one that ended well: of any bundle, of a base. */
	struct mark last, last_base;
};

/* Who has written a base, or read it. */
struct reader {
	const struct view *view;
	uint64_t written, read; /* events; 0: not */
	struct reader *next;
};

struct base {
	struct reader *readers;
};

struct oracle_bases {
	struct lab_map *views; /* life of a host, user, GUID */
	struct lab_map *bases; /* name -> struct base */
};

void oracle_bases_new(struct oracle *oracle)
{
	struct lab_heap *heap = oracle->settings.heap;

	oracle->bases = lab_new(heap, struct oracle_bases);
	oracle->bases->views = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->bases->bases = lab_map_new(heap, ORACLE_NAMES_MAX);
}

void oracle_bases_free(struct oracle *oracle)
{
	lab_map_free(&oracle->bases->views);
	lab_map_free(&oracle->bases->bases);
	lab_heap_free(oracle->settings.heap, oracle->bases);
	oracle->bases = NULL;
}

/* ---- while the run goes on ---- */

/* NULL if there are too many: then nothing is said of it. */
static struct view *view_of(struct oracle *oracle, const struct lab_event *event)
{
	struct oracle_key key;
	uint32_t life[2] = { event->host, 0 };
	struct lab_view host = knowledge_host(oracle->knowledge, event->host, &life[1]);
	void **slot = lab_map_slot(oracle->bases->views,
		oracle_key3(&key, lab_view_of(life, sizeof(life)), oracle_event_text(event, "user"),
			oracle_event_text(event, "mailbox_guid")));
	struct view *view;

	if (slot == NULL || *slot != NULL)
		return slot == NULL ? NULL : *slot;
	*slot = view = lab_arena_new_of(oracle->texts, struct view);
	view->host = lab_arena_cstr(oracle->texts, host);
	return view;
}

static struct reader *reader_of(
	struct oracle *oracle, const struct view *view, const struct lab_event *event)
{
	void **slot = lab_map_slot(oracle->bases->bases, oracle_event_text(event, "filename"));
	struct base *base;
	struct reader *reader;

	if (slot == NULL)
		return NULL;
	if (*slot == NULL)
		*slot = lab_arena_new_of(oracle->texts, struct base);
	base = *slot;
	for (reader = base->readers; reader != NULL; reader = reader->next) {
		if (reader->view == view)
			return reader;
	}
	reader = lab_arena_new_of(oracle->texts, struct reader);
	*reader = (struct reader){ .view = view, .next = base->readers };
	base->readers = reader;
	return reader;
}

static bool is_of_base(const struct lab_event *event)
{
	return lab_view_eq_cstr(oracle_event_text(event, "bundle_type"), "base");
}

static void uploaded(struct oracle *oracle, struct view *view, const struct lab_event *event)
{
	struct reader *reader;

	view->last = view->upload;
	if (!is_of_base(event))
		return;
	view->last_base = view->upload;
	reader = reader_of(oracle, view, event);
	if (reader != NULL)
		reader->written = event->sequence;
}

static void downloaded(struct oracle *oracle, struct view *view, const struct lab_event *event)
{
	struct reader *reader = is_of_base(event) ? reader_of(oracle, view, event) : NULL;

	if (reader != NULL && reader->read == 0)
		reader->read = event->sequence;
}

void oracle_bases_event(struct oracle *oracle, const struct lab_event *event)
{
	struct view *view;

	/* Nearly all users are too small for one. */
	if (lab_map_count(oracle->bases->bases) == 0 && !is_of_base(event))
		return;
	view = view_of(oracle, event);
	if (view == NULL || oracle_event_number(event, "code") != LAB_OK)
		return;
	switch ((int)event->id) {
	case LAB_EV_metacache_user_bundle_upload_started:
	case LAB_EV_metacache_mailbox_bundle_upload_started:
		view->upload = (struct mark){ event->sequence, view->refreshed };
		break;
	case LAB_EV_metacache_user_bundle_upload_finished:
	case LAB_EV_metacache_mailbox_bundle_upload_finished:
		uploaded(oracle, view, event);
		break;
	case LAB_EV_metacache_user_bundle_download_finished:
	case LAB_EV_metacache_mailbox_bundle_download_finished:
		downloaded(oracle, view, event);
		break;
	default:
		if (!lab_view_eq_cstr(oracle_event_text(event, "metacache_status"), "kept"))
			view->refreshed = event->sequence;
		break;
	}
}

/* ---- in the end ---- */

/* What was read is merged when the refresh ends. */
static bool is_known(const struct reader *reader, const struct mark *upload)
{
	return (reader->written != 0 && reader->written < upload->began) ||
	       (reader->read != 0 && reader->read < upload->refreshed);
}

static const struct reader *readers(const struct oracle *oracle, struct lab_view name)
{
	const struct base *base = lab_map_get(oracle->bases->bases, name);

	return base == NULL ? NULL : base->readers;
}

/* A base was written that had to take the place of this one. */
static const char *who_replaced(const struct oracle *oracle, struct lab_view name, uint64_t *event)
{
	for (const struct reader *r = readers(oracle, name); r != NULL; r = r->next) {
		*event = r->view->last_base.began;
		if (is_known(r, &r->view->last_base))
			return r->view->host;
	}
	return NULL;
}

const char *oracle_who_left_both(
	const struct oracle *oracle, struct lab_view a, struct lab_view b, uint64_t *ret_event)
{
	const char *host = who_replaced(oracle, a, ret_event);

	if (host == NULL)
		host = who_replaced(oracle, b, ret_event);
	if (host != NULL)
		return host;
	for (const struct reader *x = readers(oracle, a); x != NULL; x = x->next) {
		for (const struct reader *y = readers(oracle, b); y != NULL; y = y->next) {
			*ret_event = x->view->last.began;
			if (x->view == y->view && is_known(x, &x->view->last) &&
				is_known(y, &x->view->last))
				return x->view->host;
		}
	}
	return NULL;
}
