/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-user.c - one user on one backend: names, %variables, the fs stack.
 */
#include "core/obox/obox-private.h"

#include "core/conf/var-expand.h"

#include <stdio.h>

#define ROOT_MAX 512
#define USERNAME_MAX 255
#define DEFAULT_HOME "/var/vmail/%d/%n"

/* The name becomes part of paths, of an fs URI and of dict keys before any of them is parsed: what
 * would change their meaning is refused here (obox 1.7, C-70). */
static int check_username(struct lab_view name, struct lab_error *err)
{
	if (name.len == 0 || name.len > USERNAME_MAX)
		return lab_fail(err, LAB_INVALID, "user name has %zu bytes, not 1 to %d", name.len,
			USERNAME_MAX);
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		if (c < 0x20 || c == 0x7f || c == '/' || c == ':' || c == ';' || c == '\\')
			return lab_fail(err, LAB_INVALID,
				"user name \"%.*s\" has the character 0x%02x, which paths and fs "
				"URIs cannot carry",
				LAB_VIEW_ARG(name), c);
	}
	/* %u, %n and %d become directories. */
	if (name.ptr[0] == '.' || lab_view_find(name, LAB_VIEW("@.")) != SIZE_MAX)
		return lab_fail(err, LAB_INVALID, "a part of user name \"%.*s\" begins with a dot",
			LAB_VIEW_ARG(name));
	return 0;
}

struct expansion {
	struct lab_arena *arena;
	struct var_user user;
};

static int expand(struct expansion *e, const char *what, struct lab_view text, struct lab_view *ret,
	struct lab_error *err)
{
	struct var_user_table table;

	var_user_table_init(&table, &e->user);
	if (var_expand_arena(e->arena, text, &table.table, ret, err) < 0)
		return lab_error_wrap(err, "%s", what);
	return 0;
}

static int expand_home(
	struct expansion *e, const struct backend_settings *settings, struct lab_error *err)
{
	struct lab_view text = settings->conf->mail_home.text;
	struct lab_view home;

	if (text.len == 0)
		text = lab_view_cstr(settings->home != NULL ? settings->home : DEFAULT_HOME);
	if (expand(e, "mail_home", text, &home, err) < 0)
		return -1;
	if (home.len == 0 || home.ptr[0] != '/')
		return lab_fail(err, LAB_INVALID, "mail_home: \"%.*s\" is not an absolute path",
			LAB_VIEW_ARG(home));
	while (home.len > 1 && home.ptr[home.len - 1] == '/')
		home.len--;
	e->user.home = home;
	return 0;
}

/* The user's name in the storage, whatever mail_location says. */
static int expand_username(
	struct expansion *e, struct lab_view text, struct lab_view *ret, struct lab_error *err)
{
	if (expand(e, "obox_username", text, ret, err) < 0)
		return -1;
	return check_username(*ret, err) < 0 ? lab_error_wrap(err, "obox_username") : 0;
}

static int expand_root(struct expansion *e, const struct conf_settings *conf, struct lab_view *ret,
	struct lab_error *err)
{
	struct conf_mail_location location;

	if (conf_mail_location_parse(conf->mail_location.text, &location, err) < 0)
		return lab_error_wrap(err, "mail_location");
	if (!lab_view_eq(location.driver, LAB_VIEW("obox")))
		return lab_fail(err, LAB_UNSUPPORTED, "mail_location: %.*s is not obox",
			LAB_VIEW_ARG(location.driver));
	if (conf->obox_username.text.len > 0)
		return expand_username(e, conf->obox_username.text, ret, err);
	if (expand(e, "mail_location", location.path, ret, err) < 0)
		return -1;
	if (ret->len == 0 || ret->len > ROOT_MAX)
		return lab_fail(err, LAB_INVALID, "mail_location: path has %zu bytes, not 1 to %d",
			ret->len, ROOT_MAX);
	return 0;
}

static char *keep(struct lab_heap *heap, struct lab_view text)
{
	char *copy = lab_heap_alloc(heap, text.len + 1);

	memcpy(copy, text.ptr, text.len);
	return copy;
}

static int new_fs(struct obox_user *user, struct expansion *e, const char *what,
	struct lab_view text, struct fs **ret, struct lab_error *err)
{
	const struct backend_settings *settings = backend_get_settings(user->backend);
	struct fs_settings fs = { .env = user->env,
		.username = user->root,
		.session_id = user->session_id,
		.temp_dir = "/tmp",
		.root_path = user->home,
		.max_parallel_deletes = settings->conf->obox_max_parallel_deletes,
		.services = backend_get_services(user->backend) };
	struct lab_view uri;

	if (expand(e, what, text, &uri, err) < 0)
		return -1;
	if (fs_init(uri, &fs, ret, err) < 0)
		return lab_error_wrap(err, "%s", what);
	return 0;
}

static int user_init(struct obox_user *user, struct expansion *e, struct lab_error *err)
{
	const struct backend_settings *settings = backend_get_settings(user->backend);
	const struct conf_settings *conf = settings->conf;
	struct lab_heap *heap = user->env->heap;
	struct lab_view root;

	if (expand_home(e, settings, err) < 0 || expand_root(e, conf, &root, err) < 0)
		return -1;
	if (conf->obox_fs.text.len == 0)
		return lab_fail(err, LAB_INVALID, "obox_fs is not set");
	if (quota_root_load(conf, &user->quota, err) < 0)
		return -1;
	user->username = keep(heap, e->user.user);
	user->home = keep(heap, e->user.home);
	user->root = keep(heap, root);
	if (new_fs(user, e, "obox_fs", conf->obox_fs.text, &user->fs, err) < 0)
		return -1;
	/* The same storage unless it is said otherwise. */
	if (new_fs(user, e, "obox_index_fs",
		    conf->obox_index_fs.text.len > 0 ? conf->obox_index_fs.text
						     : conf->obox_fs.text,
		    &user->index_fs, err) < 0)
		return -1;
	if (obox_last_host_open(user, err) < 0)
		return -1;
	return obox_root_init(&user->root_index, user, err);
}

static void begin_expansion(struct expansion *e, struct obox_user *user, struct lab_view name)
{
	e->arena = lab_arena_new(user->env->heap, 16 * VAR_EXPANDED_MAX);
	e->user.user = name;
	e->user.service = LAB_VIEW("imap");
	e->user.session = lab_view_cstr(user->session_id);
	e->user.hostname = lab_view_cstr(user->env->hostname);
}

int obox_user_new_fs(struct obox_user *user, const char *what, struct lab_view uri, struct fs **ret,
	struct lab_error *err)
{
	struct expansion e = { 0 };
	int result;

	begin_expansion(&e, user, lab_view_cstr(user->username));
	e.user.home = lab_view_cstr(user->home);
	result = new_fs(user, &e, what, uri, ret, err);
	lab_arena_free(&e.arena);
	return result;
}

const char *obox_user_name(const struct obox_user *user)
{
	return user->username;
}

bool obox_user_is_refreshed(const struct obox_user *user, uint64_t *ret_ns)
{
	*ret_ns = user->root_index.refreshed_ns;
	return user->root_index.is_refreshed;
}

static void make_session_id(struct obox_user *user)
{
	uint8_t guid[ENV_GUID128_SIZE];
	char hex[OBOX_GUID_HEX + 1];

	env_guid128_generate(user->env, guid);
	lab_hex(guid, sizeof(guid), hex);
	snprintf(user->session_id, sizeof(user->session_id), "%.16s", hex);
}

static void free_all(struct obox_user *user)
{
	struct lab_heap *heap = user->env->heap;

	fs_deinit(&user->index_fs);
	fs_deinit(&user->fs);
	lab_heap_free(heap, (void *)(uintptr_t)user->username);
	lab_heap_free(heap, (void *)(uintptr_t)user->home);
	lab_heap_free(heap, (void *)(uintptr_t)user->root);
	lab_heap_free(heap, user);
}

int obox_user_new(struct backend *backend, struct lab_view name, struct obox_user **ret,
	struct lab_error *err)
{
	struct env *env = backend_get_settings(backend)->env;
	struct obox_user *user;
	struct expansion e = { 0 };
	int result;

	if (check_username(name, err) < 0)
		return -1;
	user = lab_new(env->heap, struct obox_user);
	user->backend = backend;
	user->env = env;
	make_session_id(user);
	begin_expansion(&e, user, name);
	result = user_init(user, &e, err);
	lab_arena_free(&e.arena);
	if (result < 0) {
		free_all(user);
		return lab_error_wrap(err, "user %.*s", LAB_VIEW_ARG(name));
	}
	user->folders = lab_map_new(env->heap, OBOX_FOLDERS_MAX);
	user->cleaned = lab_map_new(env->heap, OBOX_FOLDERS_MAX);
	user->looks = lab_map_new(env->heap, 2 * OBOX_LIST_DELETED_MAX);
	*ret = user;
	return 0;
}

static void free_cleaned(struct obox_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->cleaned);
	struct lab_view guid;
	void *cleaned;

	while (lab_map_next(&iter, &guid, &cleaned))
		lab_heap_free(user->env->heap, cleaned);
	lab_map_free(&user->cleaned);
}

void obox_user_free(struct obox_user **user_p)
{
	struct obox_user *user = *user_p;
	struct lab_map_iter iter = lab_map_iterate(user->folders);
	struct lab_view name;
	void *folder;

	lab_assert(user->references == 0);
	while (lab_map_next(&iter, &name, &folder))
		obox_mailbox_free((struct obox_mailbox **)&folder);
	lab_map_free(&user->folders);
	free_cleaned(user);
	lab_map_free(&user->looks);
	obox_root_done(&user->root_index);
	free_all(user);
	*user_p = NULL;
}

int obox_user_access(struct obox_user *user, struct lab_error *err)
{
	struct lab_error own;

	if (err == NULL)
		err = &own;
	if (obox_root_access(&user->root_index, err) < 0)
		return -1;
	/* What is left of a root that cannot be read is not all there is. */
	if (user->root_index.is_damaged && obox_user_recover(user, err) < 0)
		return -1;
	obox_user_rescue(user);
	obox_deleted_look(user);
	return 0;
}

void obox_user_was_elsewhere(struct obox_user *user)
{
	user->handovers++;
	user->root_index.generation++;
}

struct env *backend_user_env(const struct obox_user *user)
{
	return user->env;
}

const struct conf_settings *backend_user_settings(const struct obox_user *user)
{
	return backend_get_settings(user->backend)->conf;
}
