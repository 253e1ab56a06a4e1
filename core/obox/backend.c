/* SPDX-License-Identifier: Apache-2.0
 *
 * backend.c - what the processes of one Dovecot backend share: dict-async, fs-auth, users.
 */
#include "core/obox/metacache.h"
#include "core/obox/obox-private.h"

#include "core/obox/fs-auth-cache.h"
#include "core/cql/cql-client.h"
#include "core/dict/dict-sql.h"
#include "core/fs/fs-shared.h"

#define DICTS_MAX 32
#define ROLES_MAX 32

struct backend_open_dict {
	struct lab_view name;
	struct cql_client *client;
	struct dict *dict;
};

#define SELF_BUNDLE_MAX ((size_t)256 * 1024)

struct backend {
	struct backend_settings settings;
	struct fs_services services;
	struct backend_open_dict dicts[DICTS_MAX];
	size_t dict_count;
	struct lab_map *roles; /* "host role" -> struct aws_credentials_source */
	struct lab_map *users; /* name -> struct obox_user */
	struct metacache *metacache;
	struct reboots *reboots;
};

const struct lab_map *backend_get_users(const struct backend *backend)
{
	return backend->users;
}

const struct reboots *backend_get_reboots(const struct backend *backend)
{
	return backend->reboots;
}

struct metacache *backend_get_metacache(const struct backend *backend)
{
	return backend->metacache;
}

const struct backend_settings *backend_get_settings(const struct backend *backend)
{
	return &backend->settings;
}

size_t backend_self_bundle_max(const struct backend *backend)
{
	return backend->settings.self_bundle_max != 0 ? backend->settings.self_bundle_max
						      : SELF_BUNDLE_MAX;
}

struct env *backend_env(const struct backend *backend)
{
	return backend->settings.env;
}

struct fs_services *backend_get_services(struct backend *backend)
{
	return &backend->services;
}

/* ---- dict-async: one client and one dict for all users ---- */

static struct dict *dict_find(struct backend *backend, struct lab_view name)
{
	for (size_t i = 0; i < backend->dict_count; i++) {
		if (lab_view_eq(backend->dicts[i].name, name))
			return backend->dicts[i].dict;
	}
	return NULL;
}

static const struct backend_dict *dict_settings(const struct backend *backend, struct lab_view name)
{
	for (size_t i = 0; i < backend->settings.dict_count; i++) {
		if (lab_view_eq(backend->settings.dicts[i].name, name))
			return &backend->settings.dicts[i];
	}
	return NULL;
}

static struct dict *dict_start(
	struct backend *backend, const struct backend_dict *settings, struct lab_error *err)
{
	struct backend_open_dict *open = &backend->dicts[backend->dict_count];
	struct env *env = backend->settings.env;

	if (backend->dict_count == DICTS_MAX) {
		lab_fail(err, LAB_LIMIT, "more than %d dicts", DICTS_MAX);
		return NULL;
	}
	*open = (struct backend_open_dict){ .name = settings->name };
	if (dict_sql_connect(env, &settings->config->connect, backend->settings.dict_streams,
		    &open->client, err) < 0)
		return NULL;
	if (dict_sql_open(env, settings->config, open->client, &open->dict, err) < 0) {
		cql_client_close(&open->client);
		return NULL;
	}
	if (backend->settings.dict_hop != NULL)
		dict_proxy_open(env, open->dict, backend->settings.dict_hop,
			backend->settings.dict_hop_ctx, &open->dict);
	backend->dict_count++;
	return open->dict;
}

bool backend_is_connected(const struct backend *backend)
{
	for (size_t i = 0; i < backend->dict_count; i++) {
		if (cql_client_connected(backend->dicts[i].client) == 0)
			return false;
	}
	return true;
}

/* The socket is only a name here: all dicts are behind one dict-async process. */
static struct dict *open_dict(
	void *ctx, struct lab_view socket, struct lab_view name, struct lab_error *err)
{
	struct backend *backend = ctx;
	struct dict *dict = dict_find(backend, name);
	const struct backend_dict *settings;

	(void)socket;
	if (dict != NULL)
		return dict;
	settings = dict_settings(backend, name);
	if (settings == NULL) {
		lab_fail(err, LAB_INVALID, "dict \"%.*s\" is not in dict { }", LAB_VIEW_ARG(name));
		return NULL;
	}
	return dict_start(backend, settings, err);
}

/* ---- fs-auth: one source of credentials for each role ---- */

static struct aws_credentials_source *start_auth(struct backend *backend, struct lab_view auth_host,
	struct lab_view role, struct lab_error *err)
{
	const struct conf_settings *conf = backend->settings.conf;
	struct aws_credentials_source *source =
		aws_credentials_imds(backend->settings.env, auth_host, role,
			conf->fs_auth_request_max_retries, conf->fs_auth_request_timeout_ns);

	if (fs_auth_cache_open(backend, auth_host, role, source, err) < 0)
		aws_credentials_free(&source);
	return source;
}

static struct aws_credentials_source *open_auth(
	void *ctx, struct lab_view auth_host, struct lab_view role, struct lab_error *err)
{
	struct backend *backend = ctx;
	struct env *env = backend->settings.env;
	struct lab_buf key;
	void **slot;

	lab_buf_init(&key, env->heap, 2048);
	lab_buf_printf(&key, "%.*s %.*s", LAB_VIEW_ARG(auth_host), LAB_VIEW_ARG(role));
	slot = lab_map_slot(backend->roles, lab_buf_view(&key));
	lab_buf_done(&key);
	if (slot == NULL) {
		lab_fail(err, LAB_LIMIT, "more than %d IAM roles", ROLES_MAX);
		return NULL;
	}
	if (*slot == NULL)
		*slot = start_auth(backend, auth_host, role, err);
	return *slot;
}

/* ---- the backend ---- */

int backend_start(
	const struct backend_settings *settings, struct backend **ret, struct lab_error *err)
{
	struct lab_heap *heap = settings->env->heap;
	struct metacache_settings metacache = { .env = settings->env, .conf = settings->conf };
	struct backend *backend;

	for (size_t i = 0; i < settings->dict_count; i++)
		lab_assert(settings->dicts[i].config != NULL);
	if (settings->conf->obox_fs.text.len == 0)
		return lab_fail(err, LAB_INVALID, "obox_fs is not set");
	if (metacache_read_weights(settings->conf, &metacache.weights, err) < 0)
		return -1;
	backend = lab_new(heap, struct backend);
	backend->settings = *settings;
	backend->roles = lab_map_new(heap, ROLES_MAX);
	backend->users = lab_map_new(heap, OBOX_USERS_MAX);
	backend->services = (struct fs_services){ .dict_open = open_dict,
		.auth_open = open_auth,
		.ctx = backend,
		.shared = fs_shared_new(settings->env) };
	if (!settings->has_no_users)
		backend->reboots = reboots_start(settings->env);
	metacache.backend = backend;
	metacache.reboots = backend->reboots;
	metacache.home = settings->home;
	backend->metacache = metacache_start(&metacache);
	*ret = backend;
	return 0;
}

int backend_flush(struct backend *backend, struct lab_view name, bool important_only,
	const char *reason, struct lab_error *err)
{
	struct lab_map_iter iter = lab_map_iterate(backend->users);
	struct lab_heap *heap = backend->settings.env->heap;
	size_t count = 0, max = lab_map_count(backend->users);
	struct obox_user **users = lab_new_array(heap, struct obox_user *, max + 1);
	struct lab_view key;
	struct lab_error own;
	void *user;
	int result = 0;

	/* More may be opened meanwhile; none is closed. */
	while (lab_map_next(&iter, &key, &user)) {
		if (user != NULL && (name.len == 0 || lab_view_eq(name, key)))
			users[count++] = user;
	}
	for (size_t i = 0; i < count; i++) {
		if (obox_user_flush(users[i], important_only, reason,
			    result == 0 && err != NULL ? err : &own) < 0)
			result = -1;
	}
	lab_heap_free(heap, users);
	return result;
}

/* They save mails, and end here. */
static void hold_looks(struct backend *backend)
{
	struct lab_map_iter iter = lab_map_iterate(backend->users);
	struct lab_view name;
	void *user;

	while (lab_map_next(&iter, &name, &user)) {
		if (user != NULL)
			obox_deleted_hold(user, true);
	}
}

static void free_users(struct backend *backend)
{
	struct lab_map_iter iter = lab_map_iterate(backend->users);
	struct lab_view name;
	void *user;

	while (lab_map_next(&iter, &name, &user))
		obox_user_free((struct obox_user **)&user);
	lab_map_free(&backend->users);
}

static void free_roles(struct backend *backend)
{
	struct lab_map_iter iter = lab_map_iterate(backend->roles);
	struct lab_view name;
	void *source;

	while (lab_map_next(&iter, &name, &source))
		aws_credentials_free((struct aws_credentials_source **)&source);
	lab_map_free(&backend->roles);
}

void backend_stop(struct backend **backend_p)
{
	struct backend *backend = *backend_p;
	struct lab_error ignored;

	if (backend == NULL)
		return;
	hold_looks(backend);
	metacache_stop(backend->metacache);
	/* What fails is told by its event, and the local indexes keep it. */
	(void)backend_flush(backend, LAB_VIEW(""), true, "metacache:flush_all_important", &ignored);
	free_users(backend);
	metacache_free(&backend->metacache);
	reboots_stop(&backend->reboots);
	for (size_t i = 0; i < backend->dict_count; i++) {
		dict_close(&backend->dicts[i].dict);
		cql_client_close(&backend->dicts[i].client);
	}
	free_roles(backend);
	fs_shared_free(&backend->services.shared);
	lab_heap_free(backend->settings.env->heap, backend);
	*backend_p = NULL;
}

int backend_user_get(struct backend *backend, struct lab_view name, struct obox_user **ret,
	struct lab_error *err)
{
	void **slot = lab_map_slot(backend->users, name);
	struct obox_user *user;

	lab_assert(!backend->settings.has_no_users);
	if (slot == NULL)
		return lab_fail(err, LAB_LIMIT, "more than %d users", OBOX_USERS_MAX);
	user = *slot;
	if (user == NULL) {
		if (obox_user_new(backend, name, &user, err) < 0) {
			lab_map_remove(backend->users, name);
			return -1;
		}
		/* Making it does not block, so nobody else can have made it meanwhile. */
		slot = lab_map_slot(backend->users, name);
		lab_assert(*slot == NULL);
		*slot = user;
	}
	user->references++;
	*ret = user;
	return 0;
}

bool backend_is_full(const struct backend *backend)
{
	return metacache_is_full(backend->metacache);
}

int backend_user_open(struct backend *backend, struct lab_view name, struct obox_user **ret,
	struct lab_error *err)
{
	if (metacache_is_full(backend->metacache))
		return lab_fail(err, LAB_NO_SPACE, "metacache is full: no more users for now");
	if (backend_user_get(backend, name, ret, err) < 0)
		return -1;
	obox_last_host_follow(*ret);
	if (obox_user_access(*ret, err) == 0)
		return 0;
	backend_user_release(ret);
	return -1;
}

void backend_user_release(struct obox_user **user)
{
	if (*user == NULL)
		return;
	lab_assert((*user)->references > 0);
	(*user)->references--;
	env_cond_broadcast((*user)->env, &(*user)->release_cond);
	*user = NULL;
}
