/* SPDX-License-Identifier: Apache-2.0
 *
 * digest.h - digests and text forms of bytes, over OpenSSL's EVP.
 */
#ifndef LAB_BASE_DIGEST_H
#define LAB_BASE_DIGEST_H

#include "core/base/buf.h"

enum lab_digest_kind {
	LAB_MD5,
	LAB_SHA1,
	LAB_SHA256,
	LAB_SHA512
};
#define LAB_DIGEST_MAX 64

/* Bytes of the result: 16, 20, 32, 64. */
size_t lab_digest_size(enum lab_digest_kind kind);
/* One shot; `out` has lab_digest_size() bytes. */
void lab_digest(enum lab_digest_kind kind, struct lab_view data, uint8_t *out);
void lab_hmac(enum lab_digest_kind kind, struct lab_view key, struct lab_view data, uint8_t *out);

/* Lower-case hex; `out` has 2 * len + 1 bytes and gets a NUL. */
void lab_hex(const void *data, size_t len, char *out);
void lab_buf_append_hex(struct lab_buf *buf, struct lab_view data);
/* Either case; the view must have exactly 2 * size digits. 0, or -1. */
int lab_unhex(struct lab_view text, uint8_t *out, size_t size);

/* RFC 4648 with padding. */
void lab_buf_append_base64(struct lab_buf *buf, struct lab_view data);
/* Strict: padding required, no white space. Appends the bytes; 0, or -1. */
int lab_buf_append_unbase64(struct lab_buf *buf, struct lab_view text);

/* Percent-encodes everything but A-Z a-z 0-9 - . _ ~ and, if keep_slash, '/'. Upper-case hex. */
void lab_buf_append_percent(struct lab_buf *buf, struct lab_view text, bool keep_slash);
/* 0, or -1 at a '%' without two hex digits. '+' stays '+'. */
int lab_buf_append_unpercent(struct lab_buf *buf, struct lab_view text);
/* XML text with & < > " ' and control characters escaped. */
void lab_buf_append_xml(struct lab_buf *buf, struct lab_view text);

#endif
