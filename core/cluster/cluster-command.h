/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-command.h - doveadm cluster as words: read, checked and done on a GeoDB (palomar 3.1).
 *
 * Purpose    One vocabulary for operators in scenarios and for the command line.
 * Output     Text: a line of tab-separated names, then a line each, as doveadm -f tab has it.
 * Blocking   cluster_command_run().
 * Errors     LAB_INVALID, LAB_NOT_FOUND, LAB_EXISTS, LAB_UNSUPPORTED; LAB_UNCERTAIN if it may have
 *            happened: to be repeated.
 */
#ifndef LAB_CLUSTER_COMMAND_H
#define LAB_CLUSTER_COMMAND_H

#include "core/cluster/cluster.h"

#define CLUSTER_COMMAND_WORDS_MAX 16

/* id, words, arguments, fewest and most arguments that are no options, what it does */
#define CLUSTER_COMMANDS(X) \
	X(TAG_CREATE, "tag create", "[--id UUID] NAME", 1, 1, "a new tag") \
	X(TAG_DELETE, "tag delete", "NAME", 1, 1, "no safety checks") \
	X(TAG_UPDATE, "tag update", "--name NEW NAME", 1, 1, "another name") \
	X(TAG_LIST, "tag list", "", 0, 0, "all tags") \
	X(SITE_ADD, "site add", "[--id UUID] [--tag TAG] [--load-balancer HOST] NAME", 1, 1, \
		"a new site, online") \
	X(SITE_INIT, "site init", "[--update] NAME", 1, 1, \
		"makes its groups; --update: anew, and forgets its users (not in production)") \
	X(SITE_REMOVE, "site remove", "NAME", 1, 1, "no safety checks") \
	X(SITE_UPDATE, "site update", \
		"[--status STATUS] [--load-balancer HOST] [--name NEW] NAME", 1, 1, \
		"online, offline, standby, evacuate; a change of status ends forced moves") \
	X(SITE_STATUS, "site status", "NAME", 1, 1, "one site") \
	X(SITE_LIST, "site list", "", 0, 0, "all sites") \
	X(SITE_REACHABILITY, "site reachability list", "", 0, 0, "who reaches whom") \
	X(SITE_FORCE_MOVE, "site force-move start", "[--id ID] NAME PCT DEST...", 3, 12, \
		"a share of its users moves to other sites, each at his next access") \
	X(SITE_FORCE_STOP, "site force-move stop", "NAME", 1, 1, "no more of them do") \
	X(SITE_RECOVER, "site recover", "[--id ID] NAME PCT", 2, 2, \
		"a share of the users whose home it is comes back") \
	X(BACKEND_ADD, "backend add", "[--id UUID] --site SITE HOST", 1, 1, \
		"a new backend, standby") \
	X(BACKEND_REMOVE, "backend remove", "HOST", 1, 1, "no safety checks") \
	X(BACKEND_UPDATE, "backend update", \
		"[--status STATUS] [--load-factor N] [--name NEW] HOST", 1, 1, \
		"online, offline, standby; 0 to 100") \
	X(BACKEND_STATUS, "backend status", "HOST", 1, 1, "one backend") \
	X(BACKEND_LIST, "backend list", "[--site SITE]", 0, 0, "all backends, or a site's") \
	X(BACKEND_EVACUATE, "backend evacuate", "HOST", 1, 1, \
		"load factor 0, and all its groups begin to move") \
	X(GROUP_LIST, "group list", "[--site SITE]", 0, 0, "all groups, or a site's") \
	X(GROUP_STATUS, "group status", "SITE GROUP", 2, 2, "one group") \
	X(GROUP_MOVE, "group move", "[--direct] SITE GROUP HOST", 3, 3, \
		"to another backend of its site; --direct: at once, with nobody kicked") \
	X(GROUP_UPDATE, "group update", \
		"[--sticky-users yes|no] [--sticky-backend yes|no] SITE GROUP", 2, 2, \
		"whether its users go to other groups, and it to other backends, by themselves") \
	X(GROUP_ACCESS, "group access", "GROUP", 1, 1, \
		"on a backend: if it is to leave it, that begins") \
	X(USER_STATUS, "user status", "USER", 1, 1, "one user") \
	X(USER_MOVE, "user move", "[--site SITE] USER GROUP", 2, 2, "at the next access") \
	X(USER_DELETE, "user delete", "USER", 1, 1, "forgotten; the next login assigns anew") \
	X(USER_ACCESS, "user access", "USER", 1, 1, \
		"on a host: the lookup of a login, with all that follows from it") \
	X(GEODB_REFRESH, "geodb refresh", "", 0, 0, "on a host: forgets what it has cached") \
	X(LOCALDB_USER_LIST, "localdb user list", "", 0, 0, "on a host: users that it has cached") \
	X(LOCALDB_USER_STATUS, "localdb user status", "USER", 1, 1, "on a host: one of them") \
	X(LOCALDB_USER_REMOVE, "localdb user remove", "USER", 1, 1, "on a host: forgets him") \
	X(LOCALDB_GROUP_LIST, "localdb group list", "", 0, 0, \
		"on a host: groups that it has cached") \
	X(LOCALDB_GROUP_STATUS, "localdb group status", "GROUP", 1, 1, "on a host: one of them") \
	X(LOCALDB_GROUP_REMOVE, "localdb group remove", "GROUP", 1, 1, "on a host: forgets it") \
	X(KICK, "kick", "USER", 1, 1, "ends his sessions on all backends; LMTP goes on")
enum cluster_command_verb {
#define X(id, words, arguments, min, max, doc) CLUSTER_DO_##id,
	CLUSTER_COMMANDS(X)
#undef X
	CLUSTER_COMMAND_COUNT
};

struct cluster_command {
	enum cluster_command_verb verb;
	struct lab_view arguments[CLUSTER_COMMAND_WORDS_MAX];
	size_t argument_count;
	struct lab_view site, load_balancer, id, name, tag; /* ptr NULL: not given */
	enum cluster_status status;                         /* NONE: not given */
	int64_t load_factor;                                /* -1: not given */
	int64_t sticky_users, sticky_backend;               /* 0, 1; -1: not given */
	unsigned percent;
	bool is_direct, is_update;
};

const char *cluster_command_words(enum cluster_command_verb verb);
const char *cluster_command_arguments(enum cluster_command_verb verb);
const char *cluster_command_doc(enum cluster_command_verb verb);

/* What follows "cluster". Views are borrowed. */
int cluster_command_parse(const struct lab_view *words, size_t count, struct cluster_command *ret,
	struct lab_error *err);
/* The same of a text whose words have spaces between them. */
int cluster_command_parse_text(
	struct lab_view text, struct cluster_command *ret, struct lab_error *err);

/* Does it; what there is to tell is appended to *out. `cluster`: of the host where it is asked;
 * NULL: there is only GeoDB, and what is asked of a host is LAB_UNSUPPORTED. So is "kick" always:
 * who can reach all backends does that himself. */
int cluster_command_run(struct geodb *geodb, struct cluster *cluster,
	const struct cluster_policy *policy, const struct cluster_command *command,
	struct lab_buf *out, struct lab_error *err);

#endif
