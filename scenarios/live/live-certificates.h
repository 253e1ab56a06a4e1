/* SPDX-License-Identifier: Apache-2.0
 *
 * live-certificates.h - a certificate for the servers of a live run, and who signed it: made for
 * the run, good for a day, gone with its directory.
 */
#ifndef SCENARIOS_LIVE_CERTIFICATES_H
#define SCENARIOS_LIVE_CERTIFICATES_H

#include "core/base/base.h"

#define LIVE_CERTIFICATE_PATH_MAX 300

struct live_certificates {
	char ca_file[LIVE_CERTIFICATE_PATH_MAX];
	char cert_file[LIVE_CERTIFICATE_PATH_MAX]; /* with its key */
};

/* `names` as in subjectAltName: "DNS:a,IP:127.0.0.1". Writes two files, readable for nobody else,
 * below `directory`. -1 LAB_IO. */
int live_certificates_make(const char *directory, const char *names, struct live_certificates *ret,
	struct lab_error *err);

#endif
