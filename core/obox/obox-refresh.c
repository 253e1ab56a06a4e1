/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-refresh.c - the bundles of a folder: what other backends have said since the last look is
 * merged into the local index (obox 5.4, 5.5).
 */
#include "core/obox/metacache.h"
#include "core/base/mark.h"
#include "core/obox/obox-private.h"

#include "core/base/defect.h"

#include <stdio.h>

#define KEPT_VERSION 2
#define KEPT_BYTES_MAX (256u * 1024 * 1024)
#define DOWNLOADS_BYTES_MAX ((size_t)2 << 30)
/* How many changes one may have seen of a folder within a moment that were lost with a host. */
#define LOST_MODSEQS 65536

/* ---- what is known ---- */

static const struct conf_settings *conf_of(const struct obox_mailbox *mailbox)
{
	return backend_get_settings(mailbox->user->backend)->conf;
}

static struct obox_bundles *new_bundles(struct obox_user *user, const char *guid)
{
	struct lab_heap *heap = user->env->heap;
	struct obox_bundles_settings settings = { .env = user->env,
		.fs = user->index_fs,
		.username = user->username,
		.mailbox_guid = guid,
		.max_parallel_requests =
			backend_get_settings(user->backend)->conf->metacache_max_parallel_requests,
		.requests = metacache_requests(backend_get_metacache(user->backend)) };
	struct obox_bundles *bundles;
	struct lab_buf path;

	lab_buf_init(&path, heap, 65536);
	lab_buf_printf(&path, "%s/mailboxes/%s/idx/", user->root, guid);
	settings.path = lab_buf_cstr(&path);
	bundles = obox_bundles_new(&settings);
	lab_buf_done(&path);
	return bundles;
}

void obox_sync_reset(struct obox_mailbox *mailbox)
{
	struct obox_sync *sync = &mailbox->sync;

	lab_assert(!sync->is_uploading);
	sync->bundles = new_bundles(mailbox->user, mailbox->guid);
	sync->base_name = (struct obox_bundle_name){ 0 };
	sync->base_bytes = 0;
	sync->stored_modseq = 0;
	sync->floor = 1;
	sync->single_floor = UINT32_MAX;
	sync->uploaded_changes = mailbox->index.changes;
	sync->uploaded_important = mailbox->index.important_changes;
	sync->is_scrambled = sync->has_uncertain = false;
}

void obox_sync_encode(const struct obox_mailbox *mailbox, struct lab_buf *out)
{
	const struct obox_sync *sync = &mailbox->sync;
	const struct obox_index *index = &mailbox->index;
	char name[OBOX_BUNDLE_NAME_MAX];
	struct lab_buf bundles;

	obox_bundle_name_format(&sync->base_name, name);
	lab_buf_init(&bundles, mailbox->user->env->heap, KEPT_BYTES_MAX);
	obox_bundles_encode(sync->bundles, &bundles);
	lab_buf_append_u32(out, sync->floor);
	lab_buf_append_u64(out, sync->stored_modseq);
	lab_buf_append_byte(out, index->changes != sync->uploaded_changes);
	lab_buf_append_byte(out, index->important_changes != sync->uploaded_important);
	lab_buf_append_byte(out, sync->is_scrambled);
	lab_buf_append_byte(out, sync->has_uncertain);
	lab_buf_append_u32(out, (uint32_t)bundles.len);
	lab_buf_append_view(out, lab_buf_view(&bundles));
	lab_buf_append_byte(out, index->base != NULL);
	if (index->base != NULL) {
		lab_buf_append_u64(out, sync->base_bytes);
		lab_buf_append_u16(out, (uint16_t)strlen(name));
		lab_buf_append_cstr(out, name);
		obox_base_encode(index->base, out);
	}
	lab_buf_done(&bundles);
}

void obox_sync_keep(const struct obox_mailbox *mailbox, struct lab_buf *out)
{
	lab_buf_append_byte(out, KEPT_VERSION);
	reboots_stamp(backend_get_reboots(mailbox->user->backend), out);
	obox_sync_encode(mailbox, out);
}

static bool read_base(struct obox_mailbox *mailbox, struct lab_reader *reader)
{
	struct obox_sync *sync = &mailbox->sync;

	sync->base_bytes = lab_read_u64(reader);
	if (obox_bundle_name_parse(lab_read_view(reader, lab_read_u16(reader)), &sync->base_name) <
		0)
		return false;
	mailbox->index.base = obox_base_decode(mailbox->user->env->heap, reader);
	return mailbox->index.base != NULL &&
	       obox_base_is_in(mailbox->index.base, mailbox->index.state);
}

bool obox_sync_decode(struct obox_mailbox *mailbox, struct lab_reader *reader)
{
	struct obox_sync *sync = &mailbox->sync;
	struct obox_index *index = &mailbox->index;

	sync->floor = lab_read_u32(reader);
	sync->stored_modseq = lab_read_u64(reader);
	index->changes += lab_read_u8(reader);
	index->important_changes += lab_read_u8(reader);
	sync->is_scrambled = lab_read_u8(reader) != 0;
	sync->has_uncertain = lab_read_u8(reader) != 0;
	if (obox_bundles_decode(sync->bundles, lab_read_view(reader, lab_read_u32(reader)), NULL) <
			0 ||
		sync->floor == 0 || sync->floor > index->state->next_uid)
		return false;
	if (lab_read_u8(reader) != 0 && !read_base(mailbox, reader))
		return false;
	return !reader->failed && reader->rest.len == 0;
}

static bool read_kept(struct obox_mailbox *mailbox, struct lab_reader *reader)
{
	return lab_read_u8(reader) == KEPT_VERSION &&
	       reboots_check(backend_get_reboots(mailbox->user->backend), reader) &&
	       obox_sync_decode(mailbox, reader);
}

void obox_sync_open(struct obox_mailbox *mailbox, bool is_trusted)
{
	struct obox_index *index = &mailbox->index;
	struct lab_reader reader = { .rest = lab_view_of(index->kept, index->kept_len) };

	obox_sync_reset(mailbox);
	if (!is_trusted || lab_defect(INDEX_OF_BEFORE_CRASH) || read_kept(mailbox, &reader))
		return;
	LAB_MARK(index_not_trusted);
	/* A state of which nobody knows what of it is in storage is worth nothing. */
	obox_index_reset(index, NULL);
	obox_sync_close(mailbox);
	obox_sync_reset(mailbox);
}

void obox_sync_close(struct obox_mailbox *mailbox)
{
	obox_bundles_free(&mailbox->sync.bundles);
}

/* ---- merging ---- */

static void report_merge(struct obox_mailbox *mailbox, const struct obox_merge_result *result)
{
	struct env *env = mailbox->user->env;
	const struct lab_field fields[] = { LAB_F_CSTR("user", mailbox->user->username),
		LAB_F_CSTR("mailbox", mailbox->name), LAB_F_CSTR("mailbox_guid", mailbox->guid),
		LAB_F_U64("renumber_count", result->renumbered) };
	size_t n = LAB_COUNT_OF(fields);

	LAB_MARK(index_merged);
	if (result->renumbered > 0)
		LAB_MARK(uids_renumbered);
	if (result->skipped_renumbering)
		env_event(env, LAB_EV_obox_index_merge_skip_uid_renumbering, fields, n);
	else if (result->renumbered > 0)
		env_event(env, LAB_EV_obox_index_merge_uids_renumbered, fields, n);
	if (result->uidvalidity_changed)
		env_event(env, LAB_EV_obox_index_merge_uidvalidity_changed, fields, n);
	env_event(env, LAB_EV_obox_index_merge_finished, fields, n);
}

/* What the bundle's host said. */
static int decode(struct lab_heap *heap, const struct obox_state *over,
	const struct obox_bundle_download *download, struct obox_state **ret, struct lab_error *err)
{
	const struct obox_bundle *bundle = &download->bundle;
	bool is_diff = bundle->kind == OBOX_BUNDLE_DIFF;
	const char *name = is_diff ? OBOX_CHANGES_FILE : OBOX_STATE_FILE;
	const struct obox_bundle_file *file = obox_bundle_file(bundle, name);

	if (file == NULL)
		return lab_fail(err, LAB_CORRUPT, "bundle has no %s", name);
	if (is_diff)
		return obox_state_decode_changes(over, file->content, ret, err);
	return obox_state_decode(heap, file->content, ret, err);
}

/* With those of its mails that are gone. */
static struct obox_base *base_of(const struct obox_refresh *r, const struct obox_state *said)
{
	struct obox_base *base = obox_base_new(said);

	for (size_t i = 0; i < said->count; i++) {
		if (!r->keep(r->ctx, &said->records[i].mail))
			obox_base_expunge(base, said, &said->records[i]);
	}
	return base;
}

/* Takes it if it is the newest; `said` is what is left of it. */
static void adopt_base(struct obox_mailbox *mailbox, const struct obox_bundle_download *download,
	struct obox_base **base, const struct obox_state *said)
{
	struct obox_index *index = &mailbox->index;
	struct obox_sync *sync = &mailbox->sync;
	struct obox_bundle_name newest;

	if (obox_bundles_bases(sync->bundles, &newest) == 0 ||
		memcmp(&newest, &download->id, sizeof(newest)) != 0)
		return;
	obox_base_free(&index->base);
	index->base = *base;
	*base = NULL;
	obox_base_replace(index->base, said, index->state);
	sync->base_name = download->id;
	sync->base_bytes = download->bundle.files[0].content.len;
}

/* A merge counts what has a UID that neither side had. Who listed the folder on the one side saw a
 * mail renumbered also if it now has the other side's. */
static uint32_t renumbered_there(const struct obox_state *before, const struct obox_state *merged)
{
	uint32_t count = 0;

	for (size_t i = 0; i < before->count; i++) {
		const struct obox_mail *mail = &before->records[i].mail;
		const struct obox_record *now = obox_state_find_name(merged, mail->name);

		count += now != NULL && now->mail.uid != mail->uid;
	}
	return count;
}

/* metacache_index_merging=none (obox 5.1, 5.5). */
static bool is_merging_off(const struct obox_mailbox *mailbox)
{
	const struct conf_settings *conf = conf_of(mailbox);

	return conf->metacache_disable_merging ||
	       conf->metacache_index_merging == CONF_MERGING_NONE;
}

/* Some mail would have a UID that was another's here. */
static bool gives_uids_again(const struct obox_state *state, const struct obox_state *taken)
{
	for (size_t i = 0; i < taken->count; i++) {
		const struct obox_mail *mail = &taken->records[i].mail;
		const struct obox_record *before = obox_state_find(state, mail->uid);

		if (mail->uid < state->next_uid &&
			(before == NULL ||
				memcmp(before->mail.name, mail->name, sizeof(mail->name)) != 0))
			return true;
	}
	return false;
}

/* A client that does what it meant for another mail loses this one: so UIDs and modseqs go on as
 * after a merge, or UIDVALIDITY does. `before` is what was shown here; `chance` tells hosts apart
 * that do the same at once. */
static int continue_numbers(const struct obox_state *before, struct obox_state *taken,
	uint64_t chance, struct lab_error *err)
{
	uint64_t uidvalidity = LAB_MAX(before->uidvalidity, taken->uidvalidity);
	bool is_same = before->uidvalidity == taken->uidvalidity;

	if (before->uidvalidity > taken->uidvalidity ||
		(is_same && gives_uids_again(before, taken)))
		uidvalidity += 1 + (chance & 0xffff);
	if (uidvalidity > UINT32_MAX || before->highest_modseq >= OBOX_MODSEQ_MAX ||
		taken->highest_modseq >= OBOX_MODSEQ_MAX)
		return lab_fail(err, LAB_LIMIT, "no UIDVALIDITY or modseq is left");
	taken->uidvalidity = (uint32_t)uidvalidity;
	taken->highest_modseq = LAB_MAX(taken->highest_modseq, before->highest_modseq) + 1;
	for (size_t i = 0; i < taken->count; i++)
		taken->records[i].modseq = taken->highest_modseq;
	return 0;
}

static void report_taken(struct obox_mailbox *mailbox, bool uidvalidity_changed)
{
	struct env *env = mailbox->user->env;
	const struct lab_field fields[] = { LAB_F_CSTR("user", mailbox->user->username),
		LAB_F_CSTR("mailbox", mailbox->name), LAB_F_CSTR("mailbox_guid", mailbox->guid) };

	LAB_MARK(index_not_merged);
	env_event(env, LAB_EV_obox_index_merge_skipped, fields, LAB_COUNT_OF(fields));
	if (uidvalidity_changed)
		env_event(env, LAB_EV_obox_index_merge_uidvalidity_changed, fields,
			LAB_COUNT_OF(fields));
}

/* Mails of above all that is stored: other hosts give them the same UIDs by the listing alone, and
 * upload none of those. Were they numbered anew, so would be all that came after them. */
static size_t mails_above(const struct obox_index *index, const struct obox_state *taken,
	struct lab_arena *arena, struct obox_mail **ret)
{
	const struct obox_state *state = index->state;
	size_t count = 0;

	*ret = lab_arena_array(arena, struct obox_mail, state->count + 1);
	for (size_t i = 0; i < state->count && state->uidvalidity == taken->uidvalidity; i++) {
		if (state->records[i].mail.uid >= taken->next_uid)
			(*ret)[count++] = state->records[i].mail;
	}
	return count;
}

/* Without what was done to them. */
static void keep_mails(struct obox_mailbox *mailbox, const struct obox_mail *mails, size_t count,
	uint32_t next_uid)
{
	struct obox_state *state = mailbox->index.state;

	for (size_t i = 0; i < count; i++) {
		if (obox_index_find_name(&mailbox->index, mails[i].name) == NULL)
			obox_flags_from_id(mailbox, obox_index_append(&mailbox->index, &mails[i]));
	}
	state->next_uid = LAB_MAX(state->next_uid, next_uid);
}

/* What was done here and not there is lost, but for the mails: the listing has them, and those that
 * storage has passed over get other UIDs. */
static int take_state(struct obox_refresh *r, const struct obox_state *said, struct lab_error *err)
{
	struct obox_mailbox *mailbox = r->mailbox;
	struct obox_index *index = &mailbox->index;
	struct obox_merge_result result;
	struct obox_state *taken;
	struct obox_mail *above;
	bool uidvalidity_changed;
	uint32_t next_uid;
	size_t count;

	if (said->author_count >= OBOX_AUTHORS_MAX)
		return lab_fail(err, LAB_LIMIT, "index with %d authors", OBOX_AUTHORS_MAX);
	if (obox_state_merge(said, said, UINT32_MAX, &taken, &result, err) < 0)
		return -1;
	if (continue_numbers(index->state, taken, index->state->authors[index->author].id, err) <
		0) {
		obox_state_free(&taken);
		return -1;
	}
	uidvalidity_changed = taken->uidvalidity != index->state->uidvalidity ||
			      taken->uidvalidity != said->uidvalidity;
	r->uidvalidity_changed = r->uidvalidity_changed || uidvalidity_changed;
	r->is_renumbered = true;
	report_taken(mailbox, uidvalidity_changed);
	count = mails_above(index, taken, r->arena, &above);
	next_uid = said->uidvalidity == index->state->uidvalidity ? index->state->next_uid : 0;
	obox_index_give_up(index, taken);
	keep_mails(mailbox, above, count, next_uid);
	return 0;
}

/* Only v2 knows a limit (obox 5.1). */
static uint32_t renumbers_max(const struct obox_mailbox *mailbox)
{
	const struct conf_settings *conf = conf_of(mailbox);

	return conf->metacache_index_merging == CONF_MERGING_V1
		       ? UINT32_MAX
		       : conf->metacache_merge_max_uid_renumbers;
}

static int merge_state(struct obox_refresh *r, const struct obox_state *said, struct lab_error *err)
{
	struct obox_mailbox *mailbox = r->mailbox;
	struct obox_state *state = mailbox->index.state, *merged;
	uint32_t limit = renumbers_max(mailbox);
	bool takes_remote = lab_defect(MERGE_TAKES_REMOTE);
	struct obox_merge_result result;

	if (is_merging_off(mailbox) && !obox_state_covers(state, said) &&
		!obox_state_covers(said, state))
		return take_state(r, said, err);
	ENV_EVENT(mailbox->user->env, LAB_EV_obox_index_merge_started,
		LAB_F_CSTR("user", mailbox->user->username), LAB_F_CSTR("mailbox", mailbox->name),
		LAB_F_CSTR("mailbox_guid", mailbox->guid));
	if (obox_state_merge(takes_remote ? said : state, said, limit, &merged, &result, err) < 0)
		return -1;
	/* A new index has no UIDVALIDITY to change. If it is the other's that changes, its clients
	 * may come here before it has heard of that. */
	result.uidvalidity_changed =
		state->uidvalidity != 0 && (state->uidvalidity != merged->uidvalidity ||
						   said->uidvalidity != merged->uidvalidity);
	r->uidvalidity_changed = r->uidvalidity_changed || result.uidvalidity_changed;
	r->is_renumbered = r->is_renumbered || result.renumbered > 0 || result.uidvalidity_changed;
	/* What is listed here from now on may differ from what the bundle's host has shown, which
	 * may hear of that later. */
	if (!result.uidvalidity_changed) {
		result.renumbered = LAB_MAX(result.renumbered, renumbered_there(state, merged));
		result.renumbered = LAB_MAX(result.renumbered, renumbered_there(said, merged));
	}
	report_merge(mailbox, &result);
	obox_index_replace(&mailbox->index, merged);
	mailbox->index.changes += result.revived > 0;
	mailbox->index.important_changes += result.revived > 0;
	/* What it was is not in it: no diff can be made of that. */
	if (takes_remote)
		obox_base_free(&mailbox->index.base);
	return 0;
}

static int merge_bundle(
	struct obox_refresh *r, const struct obox_bundle_download *download, struct lab_error *err)
{
	struct obox_mailbox *mailbox = r->mailbox;
	struct obox_state *said;

	struct obox_base *base = NULL;
	/* What a bundle says does not store what none has, however high its modseqs are. */
	bool was_ahead = obox_sync_is_ahead(mailbox);
	int result;

	if (decode(mailbox->user->env->heap, mailbox->index.state, download, &said, err) < 0)
		return -1;
	if (download->id.kind == OBOX_BUNDLE_BASE)
		base = base_of(r, said);
	(void)obox_state_expunge_unless(said, r->keep, r->ctx);
	result = lab_defect(DIFF_NOT_MERGED) && download->id.kind == OBOX_BUNDLE_DIFF
			 ? 0
			 : merge_state(r, said, err);
	if (result == 0) {
		if (!was_ahead)
			mailbox->sync.stored_modseq = LAB_MAX(
				mailbox->sync.stored_modseq, download->bundle.highest_modseq);
		obox_bundles_merged(mailbox->sync.bundles, download);
		if (base != NULL)
			adopt_base(mailbox, download, &base, said);
	}
	obox_base_free(&base);
	obox_state_free(&said);
	return result;
}

static void merge_news(struct obox_refresh *r)
{
	struct obox_bundles_news *news = &r->news;

	for (size_t i = 0; i < news->count; i++) {
		struct lab_error why;

		if (lab_defect(REBUILD_WITHOUT_BUNDLES) && r->is_rebuild) {
			obox_bundles_merged(r->mailbox->sync.bundles, &news->downloads[i]);
			continue;
		}
		if (merge_bundle(r, &news->downloads[i], &why) == 0) {
			r->merged++;
			continue;
		}
		obox_bundles_set_aside(r->mailbox->sync.bundles, &news->downloads[i], &why);
		news->set_aside++;
	}
}

/* Somebody has deleted the base, and what took its place is another one, or not there. */
static void check_base(struct obox_mailbox *mailbox)
{
	if (mailbox->index.base != NULL &&
		!obox_bundles_has(mailbox->sync.bundles, &mailbox->sync.base_name))
		obox_base_free(&mailbox->index.base);
}

/* Which UIDs a new metacache would give by the bundles alone. */
static void set_floor(const struct obox_refresh *r)
{
	struct obox_sync *sync = &r->mailbox->sync;

	if (r->had_unknown_mails && (r->merged > 0 || r->is_renumbered))
		sync->is_scrambled = true;
	else if (!r->had_unknown_mails)
		sync->floor = r->mailbox->index.state->next_uid;
	if (r->is_renumbered) {
		/* Another order of merging might give others. */
		sync->is_scrambled = true;
		r->mailbox->index.changes++;
	}
}

bool obox_sync_is_ahead(const struct obox_mailbox *mailbox)
{
	return !mailbox->is_pulled && mailbox->sync.stored_modseq > 0 &&
	       mailbox->index.state->highest_modseq > mailbox->sync.stored_modseq;
}

void obox_sync_cleaned(struct obox_mailbox *mailbox)
{
	const struct obox_state *state = mailbox->index.state;
	void **slot = lab_map_slot(mailbox->user->cleaned, lab_view_cstr(mailbox->guid));

	if (slot == NULL)
		return;
	if (*slot == NULL)
		*slot = lab_new(mailbox->user->env->heap, struct obox_cleaned);
	*(struct obox_cleaned *)*slot = (struct obox_cleaned){ state->highest_modseq,
		mailbox->handovers, state->uidvalidity };
}

/* A modseq is never shown twice for different things, and more may have been shown of the folder
 * than is stored: by a host that crashed, and by one that came after it and crashed, too. So it is
 * the time that they are above, which is no change that would have to be uploaded. */
static void skip_shown_modseqs(struct obox_mailbox *mailbox)
{
	struct obox_state *state = mailbox->index.state;
	uint64_t above = LAB_MAX(state->highest_modseq, env_wall_us(mailbox->user->env));

	if (above < OBOX_MODSEQ_MAX - LOST_MODSEQS && !lab_defect(LOST_MODSEQS_GIVEN_AGAIN))
		state->highest_modseq = above + LOST_MODSEQS;
}

/* It was shown here under a higher UIDVALIDITY while it was empty, and is in no bundle as that:
 * whoever still had it would merge it. */
static void merge_shown(struct obox_refresh *r, uint32_t uidvalidity)
{
	struct obox_state *shown = obox_state_new(r->mailbox->user->env->heap, uidvalidity);
	struct lab_error ignored;

	(void)merge_state(r, shown, &ignored);
	obox_state_free(&shown);
}

/* What was cleaned here is in the bundles as it was shown, if nobody else has said anything since,
 * or had the user: nothing was lost, and nothing has to be uploaded only because it was downloaded.
 * Another host's merge may have changed the UIDVALIDITY meanwhile, and here nobody was told. */
static void downloaded(struct obox_refresh *r)
{
	struct obox_mailbox *mailbox = r->mailbox;
	struct obox_cleaned *cleaned =
		lab_map_remove(mailbox->user->cleaned, lab_view_cstr(mailbox->guid));
	struct obox_state *state = mailbox->index.state;

	if (cleaned == NULL || cleaned->highest_modseq != state->highest_modseq ||
		cleaned->handovers != mailbox->user->handovers)
		skip_shown_modseqs(mailbox);
	if (cleaned != NULL && cleaned->uidvalidity > state->uidvalidity)
		merge_shown(r, cleaned->uidvalidity);
	else if (cleaned != NULL && cleaned->uidvalidity != 0 && !r->uidvalidity_changed &&
		 cleaned->uidvalidity != state->uidvalidity)
		report_merge(mailbox, &(struct obox_merge_result){ .uidvalidity_changed = true });
	lab_heap_free(mailbox->user->env->heap, cleaned);
}

/* Of a folder that never had a mail nothing is lost. */
static bool has_had_mails(const struct obox_mailbox *mailbox)
{
	return mailbox->sync.stored_modseq > 0 || mailbox->index.state->count > 0;
}

void obox_refresh_merge(struct obox_refresh *r, obox_keep_fn keep, void *ctx)
{
	struct obox_mailbox *mailbox = r->mailbox;
	bool was_elsewhere = !r->was_empty && mailbox->handovers != mailbox->user->handovers;

	r->keep = keep;
	r->ctx = ctx;
	merge_news(r);
	check_base(mailbox);
	if (r->merged > 0 && r->was_empty)
		downloaded(r);
	/* This host may have shown some of what it had before, and others more than it has. */
	if ((was_elsewhere || mailbox->is_pulled) && has_had_mails(mailbox))
		skip_shown_modseqs(mailbox);
	if (r->merged > 0 || mailbox->is_pulled || was_elsewhere)
		obox_index_rewrite(&mailbox->index);
	mailbox->is_pulled = false;
	mailbox->handovers = mailbox->user->handovers;
	set_floor(r);
}

/* Of a folder that never had a mail, and of which nothing is stored, the list may have heard since.
 */
static bool is_listed_above(const struct obox_mailbox *mailbox, uint32_t listed)
{
	const struct obox_state *state = mailbox->index.state;

	return state->uidvalidity != 0 && state->uidvalidity < listed && state->next_uid == 1 &&
	       obox_bundles_count(mailbox->sync.bundles) == 0;
}

void obox_refresh_settle(struct obox_refresh *r, uint32_t listed)
{
	struct obox_index *index = &r->mailbox->index;

	if (is_listed_above(r->mailbox, listed)) {
		index->state->uidvalidity = 0;
		report_merge(
			r->mailbox, &(struct obox_merge_result){ .uidvalidity_changed = true });
	}
	obox_index_settle(index, listed);
}

void obox_refresh_found_mails(struct obox_refresh *r)
{
	if (!r->was_empty || r->merged > 0)
		return;
	skip_shown_modseqs(r->mailbox);
	obox_index_rewrite(&r->mailbox->index);
}

int obox_refresh_begin(struct obox_refresh *r, struct obox_mailbox *mailbox, struct lab_error *err)
{
	*r = (struct obox_refresh){ .mailbox = mailbox,
		.arena = lab_arena_new(mailbox->user->env->heap, DOWNLOADS_BYTES_MAX),
		.was_empty = mailbox->index.state->uidvalidity == 0,
		.had_unknown_mails = mailbox->index.state->next_uid > mailbox->sync.floor };
	ENV_EVENT(mailbox->user->env, LAB_EV_metacache_mailbox_refresh_started,
		LAB_F_CSTR("user", mailbox->user->username), LAB_F_CSTR("mailbox", mailbox->name),
		LAB_F_CSTR("mailbox_guid", mailbox->guid));
	if (obox_bundles_refresh(mailbox->sync.bundles, "metacache:refresh_mailbox", r->arena,
		    &r->news, err) < 0)
		return lab_error_wrap(err, "refresh of %s", mailbox->name);
	return 0;
}

void obox_refresh_end(struct obox_refresh *r, const struct lab_error *failed)
{
	const char *status = r->was_empty        ? "created"
			     : r->news.count > 0 ? "refreshed_changed"
						 : "refreshed_unchanged";

	ENV_EVENT(r->mailbox->user->env, LAB_EV_metacache_mailbox_refresh_finished,
		LAB_F_CSTR("user", r->mailbox->user->username),
		LAB_F_CSTR("mailbox", r->mailbox->name),
		LAB_F_CSTR("mailbox_guid", r->mailbox->guid),
		LAB_F_CSTR("metacache_status", failed != NULL ? "" : status),
		LAB_F_CSTR("rescan", "yes"),
		LAB_F_CODE("code", failed != NULL ? failed->code : LAB_OK),
		LAB_F_CSTR("error", failed != NULL ? failed->message : ""));
	lab_arena_free(&r->arena);
}

/* ---- the bundles alone ---- */

/* One that makes no sense says nothing, as in a refresh. */
static void add_said(
	struct lab_heap *heap, const struct obox_bundle_download *download, struct obox_state **sum)
{
	struct obox_state *said, *merged;
	struct obox_merge_result counts;
	struct lab_error ignored;

	if ((*sum == NULL && download->bundle.kind == OBOX_BUNDLE_DIFF) ||
		decode(heap, *sum, download, &said, &ignored) < 0)
		return;
	if (*sum == NULL) {
		*sum = said;
		return;
	}
	if (obox_state_merge(*sum, said, UINT32_MAX, &merged, &counts, &ignored) == 0) {
		obox_state_free(sum);
		*sum = merged;
	}
	obox_state_free(&said);
}

int obox_bundles_state(
	struct obox_user *user, const char *guid, struct obox_state **ret, struct lab_error *err)
{
	struct obox_bundles *bundles = new_bundles(user, guid);
	struct lab_arena *arena = lab_arena_new(user->env->heap, DOWNLOADS_BYTES_MAX);
	struct obox_bundles_news news;
	int result = obox_bundles_refresh(bundles, "obox:rebuild", arena, &news, err);

	*ret = NULL;
	for (size_t i = 0; result == 0 && i < news.count; i++)
		add_said(user->env->heap, &news.downloads[i], ret);
	obox_bundles_free(&bundles);
	lab_arena_free(&arena);
	return result;
}
