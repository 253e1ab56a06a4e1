/* SPDX-License-Identifier: Apache-2.0
 *
 * foreign-s3.h - the bucket of an S3 server that is not ours, seen with a client of its own: before
 * a live run (is it there, and empty?), for the audit, and for the clean-up.
 *
 * Purpose    The oracle judges what the storage holds. Of a foreign storage that is what its API
 *            says: every object is listed and read, and put into an S3 emulator that stands in for
 *            it (the mirror). So the oracle stays as it is.
 * Own client Signatures and XML are core/aws's; requests, paging and retries are not the driver's.
 * Blocking   Everything blocks the calling fiber.
 * Limits     FOREIGN_* below. -1 LAB_LIMIT beyond them.
 */
#ifndef SCENARIOS_FOREIGN_S3_H
#define SCENARIOS_FOREIGN_S3_H

#include "core/conf/fs-uri.h"
#include "core/env/env.h"
#include "sim/s3-emulator/s3-emulator.h"

#define FOREIGN_OBJECTS_MAX ((size_t)200000)
#define FOREIGN_OBJECT_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct foreign_s3 {
	struct env *env;
	const struct conf_http_url *url; /* with bucket=, and a key */
	struct lab_view authority;
};

/* -1 LAB_EXISTS: the bucket has objects; else as the server answers. */
int foreign_s3_check_empty(const struct foreign_s3 *s3, struct lab_error *err);
/* Every object of the bucket, with its metadata, into the emulator's bucket of the same name. The
 * emulator must answer at once and verify no signatures. */
int foreign_s3_mirror(const struct foreign_s3 *s3, struct s3emu *mirror, struct lab_error *err);
/* Deletes every object of the bucket. */
int foreign_s3_clean(const struct foreign_s3 *s3, struct lab_error *err);

#endif
