/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-last-host.c - metacache_last_host_dict: whoever opens a user takes the metacache of the
 * backend that had the user last, and says that it is this one now (obox 5.7, palomar 2.6).
 *
 * The key is shared/metacache_last_host/<user>, its value the name of a backend. A row that could
 * not be read or written costs a pull, and a look at each folder: storage will do, and the next
 * access tries again.
 */
#include "core/obox/metacache-pull.h"
#include "core/obox/obox-private.h"

#include "core/base/mark.h"
#include "core/conf/fs-uri.h"

#define KEY_MAX (64 + 2 * OBOX_USERNAME_MAX)
#define ROW_BYTES_MAX 65536
#define HOST_MAX 255

int obox_last_host_open(struct obox_user *user, struct lab_error *err)
{
	struct lab_view uri =
		backend_get_settings(user->backend)->conf->metacache_last_host_dict.text;
	struct fs_services *services = backend_get_services(user->backend);
	struct lab_view socket, name;

	if (uri.len == 0)
		return 0;
	if (fs_uri_dict_proxy(uri, &socket, &name, err) == 0)
		user->last_host_dict = services->dict_open(services->ctx, socket, name, err);
	return user->last_host_dict == NULL ? lab_error_wrap(err, "metacache_last_host_dict") : 0;
}

static void report(
	const struct obox_user *user, const char *message, const struct lab_error *failed)
{
	ENV_EVENT(user->env, LAB_EV_log_message, LAB_F_CSTR("area", "metacache"),
		LAB_F_CSTR("message", message), LAB_F_CSTR("user", user->username),
		LAB_F_CSTR("error", failed->message));
}

static void take_from(struct obox_user *user, struct lab_view host)
{
	struct metacache_pull pull = { .source = host, .latest_only = true, .clean = true };
	struct lab_error told;

	/* What fails is told by the events of the pull. */
	if (metacache_pull(user->backend, lab_view_cstr(user->username), &pull, &told) >= 0)
		LAB_MARK(last_host_pulled);
}

static void settle(struct obox_user *user, struct lab_view key)
{
	const struct dict_change_options plain = { 0 };
	struct lab_error err;

	if (dict_set(user->last_host_dict, key, lab_view_cstr(user->env->hostname), &plain, &err) <
		0)
		report(user, "metacache_last_host was not written", &err);
}

static void follow(struct obox_user *user, struct lab_arena *arena)
{
	struct dict_values values;
	struct lab_view host;
	struct lab_error err;
	struct lab_buf key;
	int found;

	lab_buf_init(&key, user->env->heap, KEY_MAX);
	lab_buf_append_cstr(&key, "shared/metacache_last_host/");
	dict_escape(&key, lab_view_cstr(user->username));
	found = dict_lookup(user->last_host_dict, lab_buf_view(&key), arena, &values, &err);
	host = found > 0 ? values.items[0] : LAB_VIEW("");
	if (!lab_view_eq_cstr(host, user->env->hostname))
		obox_user_was_elsewhere(user);
	if (found < 0) {
		report(user, "metacache_last_host was not read", &err);
	} else if (!lab_view_eq_cstr(host, user->env->hostname)) {
		if (host.len > 0 && host.len <= HOST_MAX)
			take_from(user, host);
		settle(user, lab_buf_view(&key));
	}
	lab_buf_done(&key);
}

void obox_last_host_follow(struct obox_user *user)
{
	struct lab_arena *arena;

	if (user->last_host_dict == NULL || obox_root_is_current(&user->root_index))
		return;
	/* Whoever comes second waits for what the first one takes. */
	if (user->is_following) {
		while (user->is_following)
			(void)env_cond_wait(user->env, &user->followed_cond, ENV_FOREVER);
		return;
	}
	user->is_following = true;
	arena = lab_arena_new(user->env->heap, ROW_BYTES_MAX);
	follow(user, arena);
	lab_arena_free(&arena);
	user->is_following = false;
	env_cond_broadcast(user->env, &user->followed_cond);
}
