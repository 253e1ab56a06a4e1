/* SPDX-License-Identifier: Apache-2.0
 *
 * var-expand.h - Dovecot's %variables (2.3 form; obox 1.8).
 *
 *   %[-][0]<width>[.[-][0]<width>]<modifiers><key>
 *   %[...]<modifiers>{long name}
 *   %[...]{md5;rounds=2,salt=x,truncate=32,format=hex:name}    md5 sha1 sha256 sha512;
 *                                                              format hex (default) hexuc base64
 *   %%                                                         one percent sign
 *
 * One number is the width, two are offset.width. At most VAR_MODIFIERS_MAX modifiers, applied from
 * left to right before offset and width:
 *   L U  lower and upper case (ASCII)     X  number in hex (0 if it is none)    R  reverse
 *   T    without white space at the end
 *   E    '\' before \ " '                 M  MD5 in hex    D  "a.b" to "a,dc=b"
 *   H    the old string hash, and N the MD5 hash: modulo width, in hex, left-padded with 0 to
 *        offset digits; they use up offset and width
 * A width with a leading 0 pads on the left with 0 instead of cutting. A negative offset counts
 * from the end; a negative width (only behind an offset) stops that many bytes before the end.
 * Bytes, not characters, are counted.
 *
 * Hashes: salt and value are digested, then `rounds` - 1 times salt and the last digest; `truncate`
 * keeps that many bits from the front, as a big-endian number.
 *
 * Keys are the caller's table; the value of a key may be unknown (ptr NULL).
 *
 * Errors     LAB_INVALID: an unknown variable, modifier, digest or option (it is named); LAB_LIMIT
 *            if the buffer is too small. The buffer's contents are undefined then.
 * Effects    None, no allocation but in the buffer. Integer arithmetic only.
 */
#ifndef LAB_VAR_EXPAND_H
#define LAB_VAR_EXPAND_H

#include "core/base/base.h"

#define VAR_MODIFIERS_MAX 10
#define VAR_VALUE_MAX 4096

struct var_entry {
	char key;              /* 'u', or 0 if there is no short form */
	const char *name;      /* "user", or NULL if there is no long form */
	struct lab_view value; /* ptr NULL: the variable is not set here, using it is an error */
};

struct var_table {
	const struct var_entry *entries;
	size_t count;
	/* For names with a prefix ("auth:token"), or NULL. 1 and *ret (borrowed until the next
	 * call), 0 if there is no such name, -1. */
	int (*lookup)(void *ctx, struct lab_view name, struct lab_view *ret, struct lab_error *err);
	void *ctx;
};

int var_expand(struct lab_buf *out, struct lab_view text, const struct var_table *table,
	struct lab_error *err);
/* The same into the arena; at most VAR_EXPANDED_MAX bytes. */
#define VAR_EXPANDED_MAX 16384
int var_expand_arena(struct lab_arena *arena, struct lab_view text, const struct var_table *table,
	struct lab_view *ret, struct lab_error *err);
/* Checks the syntax and that every variable is one of the table, set or not, without expanding.
 * With a lookup function, names with ':' are taken as known. */
int var_expand_check(struct lab_view text, const struct var_table *table, struct lab_error *err);

/* What is known of a session or a delivery. Empty views (ptr NULL) are unset. */
struct var_user {
	struct lab_view user;    /* %u %{user}; also %n %{username}, %d %{domain} from it */
	struct lab_view home;    /* %h %{home} */
	struct lab_view service; /* %s %{service}: "imap", "lmtp" */
	struct lab_view session; /* %{session} */
	struct lab_view local_ip, remote_ip; /* %l %{lip}, %r %{rip} */
	struct lab_view pid;                 /* %p %{pid} */
	struct lab_view hostname;            /* %{hostname} */
	struct lab_view auth_token;          /* %{auth:token}, %{auth_token} */
};
#define VAR_USER_ENTRIES 15
struct var_user_table {
	struct var_table table;
	struct var_entry entries[VAR_USER_ENTRIES];
};
/* Fills a table that borrows from `user`'s views. The struct must not be copied afterwards. */
void var_user_table_init(struct var_user_table *table, const struct var_user *user);

#endif
