/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-auth-cache.h - fs_auth_cache_dict: backends share the credentials that they got from IMDS
 * (obox 4.4, 4.5).
 *
 * Key        shared/fs-auth/<auth_host>/<role>, both escaped; the value is the role's document as
 *            IMDS gave it, so whoever can read the dict has the credentials.
 * Failures   Of the dict cost a request to IMDS, and are logged without what was to be stored.
 */
#ifndef LAB_FS_AUTH_CACHE_H
#define LAB_FS_AUTH_CACHE_H

#include "core/aws/credentials.h"
#include "core/obox/backend.h"

/* Gives the source the dict that the settings name; nothing if they name none. -1 LAB_INVALID: it
 * is no dict behind dict-async, or none that is there, or one whose statements have their values in
 * them (version=3): secrets would be in events. */
int fs_auth_cache_open(struct backend *backend, struct lab_view auth_host, struct lab_view role,
	struct aws_credentials_source *source, struct lab_error *err);

#endif
