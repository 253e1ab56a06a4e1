/* SPDX-License-Identifier: Apache-2.0
 *
 * backend.h - one Dovecot backend on one host: what its processes share.
 *
 * Purpose    Turns the operator's settings into running parts: the dicts behind dict-async,
 *            fs-auth, the locks, and the users that are open here.
 * Lifetime   Made in a fiber of the host and gone with the host's heap: a crash needs no clean-up.
 * Ownership  Settings and dict configurations are borrowed; they belong to the run, not to the
 *            host.
 */
#ifndef LAB_OBOX_BACKEND_H
#define LAB_OBOX_BACKEND_H

#include "core/conf/dict-cql.h"
#include "core/conf/settings.h"
#include "core/dict/dict-proxy.h"
#include "core/env/env.h"

struct backend;
struct obox_user;

/* dict { name = ... } with its file read. */
struct backend_dict {
	struct lab_view name;
	const struct dict_cql_config *config;
};

/* Asks the doveadm service of another backend, whose answer (metacache_serve()) is appended: within
 * METACACHE_PEER_TIMEOUT. -1: none came, whatever was done there. Blocks. */
typedef int (*backend_peer_fn)(void *ctx, struct env *env, struct lab_view host,
	struct lab_view request, struct lab_buf *answer, struct lab_error *err);

struct backend_settings {
	struct env *env;
	const struct conf_settings *conf;
	const struct backend_dict *dicts;
	size_t dict_count;
	/* What the userdb would say where mail_home is not set: a template with %variables. NULL:
	 * "/var/vmail/%d/%n" */
	const char *home;
	/* Largest index, in bytes, that goes up as a self bundle; above it there are a base and
	 * diffs (HD-6). 0: 256 kB. Small values make small folders behave as large ones do. */
	size_t self_bundle_max;
	/* Requests in flight on each connection to Cassandra: what comes beyond them fails, and was
	 * certainly not done. 0: as many as the protocol has */
	unsigned dict_streams;
	/* For the services alone, backend_get_services(): no user is opened, and nothing of the
	 * backend's own is written to the local disk. */
	bool has_no_users;
	/* How many mails that no index knows are looked up in storage in one rescan (HD-16); 0:
	 * OBOX_GUID_LOOKUPS_MAX */
	size_t guid_lookups_max;
	/* Asked for each command on its way to dict-async; NULL: that hop never fails. */
	dict_hop_fn dict_hop;
	void *dict_hop_ctx;
	/* NULL: there are no other backends. */
	backend_peer_fn peer;
	void *peer_ctx;
};

/* Starts connecting; does not wait for Cassandra to be there. -1 LAB_INVALID (settings). */
int backend_start(
	const struct backend_settings *settings, struct backend **ret, struct lab_error *err);
/* A clean stop: every user must have been released; local indexes and caches are written, the
 * connections closed. Blocks. NULLs the pointer; accepts NULL. */
void backend_stop(struct backend **backend);

/* metacache flush (name: a user) and flushall (name empty): uploads the indexes of folders that
 * were changed, or only those with important changes (-i). -1 with the first error: the others were
 * tried, too, and what was not uploaded is still to be. Blocks. */
int backend_flush(struct backend *backend, struct lab_view name, bool important_only,
	const char *reason, struct lab_error *err);

/* The host it runs on. */
struct env *backend_env(const struct backend *backend);
/* What its fs stacks share: dicts, fs-auth, locks. For stacks beside those of users. */
struct fs_services;
struct fs_services *backend_get_services(struct backend *backend);

/* Each Cassandra client that was opened has a connection that is ready. After a long trouble it
 * waits for up to 690 s before it tries again (cql-imds 2.1: 600 s, and jitter). */
bool backend_is_connected(const struct backend *backend);
/* Beyond metacache_max_grace: backend_user_open() refuses everybody. */
bool backend_is_full(const struct backend *backend);
/* The user, opened at first use: builds the fs stack from obox_fs. Counts a reference. `name` is
 * the login name (%u). Each time the root is refreshed, unless it was accessed within
 * metacache_close_delay. Blocks. -1: LAB_INVALID (the name, or a setting as expanded for it); what
 * the storage says. */
int backend_user_open(struct backend *backend, struct lab_view name, struct obox_user **ret,
	struct lab_error *err);
/* The host that the user is open on, and its settings. */
struct env *backend_user_env(const struct obox_user *user);
const struct conf_settings *backend_user_settings(const struct obox_user *user);
/* Takes a user of a storage without dictmap into the dict, in place: obox_fs has
 * storage-objectid-migrate, obox_index_fs storage-passthrough-paths. Nobody else may use the user;
 * may be repeated (core/fs/dictmap-migrate.h). Blocks. */
int backend_user_migrate(struct backend *backend, struct lab_view name, struct lab_error *err);
/* A stack of the user's beside obox's own, from a setting with %variables; `what` is its name, for
 * errors. -1 LAB_INVALID. The caller frees it before backend_stop(). */
struct fs;
int obox_user_new_fs(struct obox_user *user, const char *what, struct lab_view uri, struct fs **ret,
	struct lab_error *err);
/* The login name. */
const char *obox_user_name(const struct obox_user *user);
/* When the list of folders was last read from the root bundles, env_now(). False: never. */
bool obox_user_is_refreshed(const struct obox_user *user, uint64_t *ret_ns);
/* The last reference keeps the user open: folders stay as this process knows them until
 * backend_stop(). NULLs the pointer; accepts NULL. */
void backend_user_release(struct obox_user **user);

#endif
