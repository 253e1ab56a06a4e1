/* SPDX-License-Identifier: Apache-2.0
 *
 * credentials.h - the keys that one emulator issues and another one accepts.
 *
 * The IMDS emulator hands every set of credentials that it issues to a `sim_credentials_fn`; the S3
 * emulator offers one (s3emu_credentials_sink). Where the two run in different threads, the front
 * end puts a function of its own between them.
 */
#ifndef LAB_SIM_CREDENTIALS_H
#define LAB_SIM_CREDENTIALS_H

#include "core/base/base.h"

struct sim_credentials {
	struct lab_view account; /* who the key belongs to: "123456789012" */
	struct lab_view access_key_id;
	struct lab_view secret_access_key;
	struct lab_view token; /* session token; ptr NULL: a long-term key */
	int64_t expires_unix;  /* 0: never */
};

/* Everything is borrowed during the call. The same key may be handed over again. */
typedef void (*sim_credentials_fn)(void *ctx, const struct sim_credentials *credentials);

#endif
