/* SPDX-License-Identifier: Apache-2.0
 *
 * profile-private.h - conf_key.read of keys that only profiles have.
 */
#ifndef SIM_SERVE_PROFILE_PRIVATE_H
#define SIM_SERVE_PROFILE_PRIVATE_H

#include "sim/serve/profile.h"

int profile_read_words(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int profile_read_account(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int profile_read_role_state(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
int profile_read_tokens(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);

#endif
