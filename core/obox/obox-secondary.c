/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-secondary.c - private flags and virtual folders of a user: in his root, its file and its
 * bundles, and as sessions see them.
 *
 * In the file: length u32, private flags as in a bundle | length u32, virtual folders | changed u8.
 */
#include "core/obox/obox-private.h"

#define FLAGS_FILE "shared-pvt/dovecot.index.pvt"
#define FOLDERS_FILE "virtual/dovecot.index"
#define SEARCH_ARENA_MAX ((size_t)256 << 20)

static const struct conf_settings *conf_of(const struct obox_root *root)
{
	return backend_get_settings(root->user->backend)->conf;
}

/* ---- bundles ---- */

static bool has_virtual_member(const struct obox_root *root)
{
	return !conf_of(root)->metacache_disable_secondary_indexes &&
	       !conf_of(root)->virtual_index_is_elsewhere;
}

void obox_secondary_members_init(
	struct obox_secondary_members *members, const struct obox_root *root, bool is_diff)
{
	const struct conf_settings *conf = conf_of(root);

	lab_buf_init(&members->flags, root->env->heap, OBOX_BUNDLE_BYTES_MAX / 4);
	lab_buf_init(&members->folders, root->env->heap, OBOX_BUNDLE_BYTES_MAX / 4);
	if (!conf->private_index_is_elsewhere)
		obox_private_encode(
			root->secondary, is_diff ? root->base_secondary : NULL, &members->flags);
	if (has_virtual_member(root))
		obox_virtual_encode(root->secondary, &members->folders);
}

void obox_secondary_members_done(struct obox_secondary_members *members)
{
	lab_buf_done(&members->flags);
	lab_buf_done(&members->folders);
}

static size_t add(struct obox_bundle_file *files, size_t count, const char *name,
	const struct lab_buf *content)
{
	if (content->len == 0)
		return count;
	files[count] = (struct obox_bundle_file){ lab_view_cstr(name), lab_buf_view(content) };
	return count + 1;
}

size_t obox_secondary_members_add(
	const struct obox_secondary_members *members, struct obox_bundle_file *files, size_t count)
{
	count = add(files, count, FLAGS_FILE, &members->flags);
	return add(files, count, FOLDERS_FILE, &members->folders);
}

struct lab_view obox_secondary_flags_of(const struct obox_bundle *bundle)
{
	const struct obox_bundle_file *flags = obox_bundle_file(bundle, FLAGS_FILE);

	return flags == NULL ? LAB_VIEW("") : flags->content;
}

int obox_secondary_merge(
	struct obox_root *root, const struct obox_bundle *bundle, struct lab_error *err)
{
	const struct obox_bundle_file *folders = obox_bundle_file(bundle, FOLDERS_FILE);
	struct lab_view flags = obox_secondary_flags_of(bundle);
	bool was_changed = root->secondary->changes != root->uploaded_secondary;
	int result = 0;

	if (flags.len > 0)
		result = obox_private_merge(root->secondary, flags, env_now(root->env), err);
	if (result == 0 && folders != NULL)
		result = obox_virtual_merge(root->secondary, folders->content, err);
	/* What a bundle says need not be uploaded. */
	if (!was_changed)
		root->uploaded_secondary = root->secondary->changes;
	return result;
}

void obox_secondary_keep_base(struct obox_root *root, struct lab_view flags)
{
	obox_secondary_free(&root->base_secondary);
	root->base_secondary = obox_secondary_new(root->env->heap);
	if (flags.len > 0)
		(void)obox_private_merge(root->base_secondary, flags, 0, NULL);
}

/* ---- life ---- */

void obox_secondary_free_all(struct obox_root *root)
{
	obox_secondary_free(&root->secondary);
	obox_secondary_free(&root->base_secondary);
}

void obox_secondary_begin_anew(struct obox_root *root)
{
	obox_secondary_free_all(root);
	root->secondary = obox_secondary_new(root->env->heap);
	root->uploaded_secondary = 0;
}

/* ---- the root's file ---- */

static void put_length(struct lab_buf *out, size_t at)
{
	size_t len = out->len - at - 4;

	for (size_t i = 0; i < 4 && !out->overflow; i++)
		out->data[at + i] = (uint8_t)(len >> (8 * (3 - i)));
}

void obox_secondary_put(const struct obox_root *root, struct lab_buf *out)
{
	const struct obox_secondary *secondary = root->secondary;
	size_t at = out->len;

	if (lab_tree_count(secondary->flags) == 0 && lab_tree_count(secondary->folders) == 0)
		return;
	lab_buf_append_u32(out, 0);
	obox_private_encode(secondary, NULL, out);
	put_length(out, at);
	at = out->len;
	lab_buf_append_u32(out, 0);
	obox_virtual_encode(secondary, out);
	put_length(out, at);
	lab_buf_append_byte(out, secondary->changes != root->uploaded_secondary);
}

void obox_secondary_get(struct obox_root *root, struct lab_reader *reader)
{
	struct lab_view flags = lab_read_view(reader, lab_read_u32(reader));
	struct lab_view folders = lab_read_view(reader, lab_read_u32(reader));
	uint8_t is_changed = lab_read_u8(reader);

	if (reader->failed || is_changed > 1 ||
		(flags.len > 0 &&
			obox_private_merge(root->secondary, flags, env_now(root->env), NULL) < 0) ||
		(folders.len > 0 && obox_virtual_merge(root->secondary, folders, NULL) < 0)) {
		reader->failed = true;
		return;
	}
	root->uploaded_secondary = root->secondary->changes - is_changed;
	if (is_changed != 0)
		obox_virtual_uploaded(root->secondary, false);
}

/* ---- private flags ---- */

static struct obox_private_key key_of(struct lab_view owner, const uint8_t folder[ENV_GUID128_SIZE],
	const uint8_t name[ENV_GUID128_SIZE])
{
	struct obox_private_key key = { .owner = owner };

	memcpy(key.folder, folder, sizeof(key.folder));
	memcpy(key.name, name, sizeof(key.name));
	return key;
}

int obox_private_store(struct obox_user *user, struct lab_view owner,
	const uint8_t folder[ENV_GUID128_SIZE], const uint8_t name[ENV_GUID128_SIZE], bool is_seen,
	struct lab_error *err)
{
	struct obox_root *root = &user->root_index;
	struct obox_private_key key = key_of(owner, folder, name);
	int result = obox_private_set(
		root->secondary, root->author, &key, is_seen, env_now(user->env), err);

	if (result > 0)
		(void)obox_root_upload_later(root);
	return result;
}

bool obox_private_has_seen(const struct obox_user *user, struct lab_view owner,
	const uint8_t folder[ENV_GUID128_SIZE], const uint8_t name[ENV_GUID128_SIZE])
{
	struct obox_private_key key = key_of(owner, folder, name);

	return obox_private_is_seen(user->root_index.secondary, &key);
}

static struct lab_view owner_of(const struct obox_mailbox *shared)
{
	return lab_view_cstr(shared->user->username);
}

int obox_shared_store(struct obox_user *user, const struct obox_mailbox *shared, uint32_t uid,
	bool is_seen, struct lab_error *err)
{
	const struct obox_mail *mail = obox_mailbox_find(shared, uid);
	uint8_t folder[ENV_GUID128_SIZE];

	if (mail == NULL)
		return lab_fail(
			err, LAB_NOT_FOUND, "%s has no mail with UID %" PRIu32, shared->name, uid);
	(void)lab_unhex(lab_view_cstr(shared->guid), folder, sizeof(folder));
	return obox_private_store(user, owner_of(shared), folder, mail->name, is_seen, err);
}

bool obox_shared_has_seen(
	const struct obox_user *user, const struct obox_mailbox *shared, uint32_t uid)
{
	const struct obox_mail *mail = obox_mailbox_find(shared, uid);
	uint8_t folder[ENV_GUID128_SIZE];

	(void)lab_unhex(lab_view_cstr(shared->guid), folder, sizeof(folder));
	return mail != NULL && obox_private_has_seen(user, owner_of(shared), folder, mail->name);
}

static bool has_mail(void *ctx, const uint8_t name[ENV_GUID128_SIZE])
{
	const struct obox_mailbox *shared = ctx;

	return obox_state_find_name(shared->index.state, name) != NULL;
}

size_t obox_shared_sync(struct obox_user *user, struct obox_mailbox *shared)
{
	uint8_t folder[ENV_GUID128_SIZE];

	(void)lab_unhex(lab_view_cstr(shared->guid), folder, sizeof(folder));
	return obox_private_forget(user->root_index.secondary, owner_of(shared), folder,
		obox_mailbox_compared_ns(shared), has_mail, shared);
}

/* ---- virtual folders ---- */

struct search {
	struct obox_user *user;
	struct lab_arena *arena;
	struct lab_view flag;
	bool is_set;
	struct obox_virtual_mail *found; /* OBOX_VIRTUAL_MAILS_MAX */
	size_t count;
};

static int search_mails(
	struct search *search, const struct obox_mailbox *mailbox, struct lab_error *err)
{
	for (size_t i = 0; i < obox_mailbox_count(mailbox); i++) {
		const struct obox_mail *mail = obox_mailbox_mail(mailbox, i);
		struct obox_virtual_mail *found = &search->found[search->count];

		if (obox_has_flag(mailbox, mail->uid, search->flag) != search->is_set)
			continue;
		if (search->count == OBOX_VIRTUAL_MAILS_MAX)
			return lab_fail(err, LAB_LIMIT, "virtual folder of more than %d mails",
				OBOX_VIRTUAL_MAILS_MAX);
		(void)lab_unhex(lab_view_cstr(mailbox->guid), found->folder, sizeof(found->folder));
		memcpy(found->name, mail->name, sizeof(found->name));
		search->count++;
	}
	return 0;
}

/* A folder that was deleted meanwhile has no mails, and is not made again. */
static int search_folder(struct search *search, const char *name, struct lab_error *err)
{
	struct obox_mailbox *mailbox = NULL;
	int result = obox_mailbox_select(search->user, lab_view_cstr(name), &mailbox, err);

	if (result >= 0)
		result = search_mails(search, mailbox, err);
	else if (err->code == LAB_NOT_FOUND)
		result = 0;
	obox_mailbox_close(&mailbox);
	return result;
}

static int search_all(struct search *search, struct lab_error *err)
{
	struct obox_folder *folders;
	size_t count;

	search->found = lab_arena_array(
		search->arena, struct obox_virtual_mail, OBOX_VIRTUAL_MAILS_MAX + 1);
	obox_folder_list(search->user, search->arena, &folders, &count);
	for (size_t i = 0; i < count; i++) {
		if (search_folder(search, folders[i].name, err) < 0)
			return -1;
	}
	return 0;
}

/* Whoever takes over the UIDs of another says so before it shows its own. */
static int upload_before_show(struct obox_root *root, struct lab_view name, struct lab_error *err)
{
	const struct obox_virtual *folder = obox_virtual_find(root->secondary, name);

	if (folder == NULL || !folder->is_taken_over || !has_virtual_member(root))
		return 0;
	return obox_root_flush(root, "metacache:upload_root", err) < 0 ? -1 : 0;
}

int obox_virtual_open(struct obox_user *user, struct lab_view name, struct lab_view flag,
	bool is_set, struct lab_error *err)
{
	struct obox_root *root = &user->root_index;
	struct search search = { .user = user,
		.arena = lab_arena_new(user->env->heap, SEARCH_ARENA_MAX),
		.flag = flag,
		.is_set = is_set };
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	result = search_all(&search, err);
	if (result == 0)
		result = obox_virtual_update(root->secondary, root->author, name,
			LAB_MAX((uint32_t)env_wall_seconds(user->env), 1u), search.found,
			search.count, err);
	if (result > 0)
		(void)obox_root_upload_later(root);
	if (result >= 0 && upload_before_show(root, name, err) < 0)
		result = -1;
	lab_arena_free(&search.arena);
	return result < 0 ? lab_error_wrap(err, "virtual folder %.*s", LAB_VIEW_ARG(name)) : result;
}

size_t obox_virtual_list(struct obox_user *user, struct lab_view name, struct lab_arena *arena,
	struct obox_virtual_item **ret, uint32_t *ret_uidvalidity)
{
	const struct obox_virtual *folder = obox_virtual_find(user->root_index.secondary, name);
	size_t count = folder == NULL ? 0 : folder->count;

	*ret = lab_arena_array(arena, struct obox_virtual_item, count + 1);
	*ret_uidvalidity = folder == NULL || folder->next_uid == 0 ? 0 : folder->uidvalidity;
	for (size_t i = 0; i < count; i++) {
		struct obox_virtual_item *item = &(*ret)[i];

		item->uid = folder->mails[i].uid;
		lab_hex(folder->mails[i].folder, ENV_GUID128_SIZE, item->folder_guid);
		memcpy(item->name, folder->mails[i].name, sizeof(item->name));
	}
	return count;
}
