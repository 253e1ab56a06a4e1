/* SPDX-License-Identifier: Apache-2.0
 *
 * error.h - how a function says that it failed.
 *
 * Purpose    Every fallible function returns 0 (ok), 1 ("yes", "found", "changed" where documented)
 *            or -1 with the details in a caller-owned `struct lab_error`.
 * Ownership  The caller owns the struct, usually on its stack; nothing in it is allocated.
 * Errors     LAB_UNCERTAIN is first class: the operation may or may not have taken effect
 *            (obox 3.8, simulation 5.2). A function that can return it says so in its header.
 * Logging    Nobody but the top of an activity logs an error; everybody below adds context with
 *            lab_error_wrap() and passes it up.
 */
#ifndef LAB_BASE_ERROR_H
#define LAB_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#define LAB_CODES(X) \
	X(OK, "ok") \
	X(INVALID, "invalid input") \
	X(NOT_FOUND, "not found") \
	X(EXISTS, "already exists") \
	X(DENIED, "permission denied") \
	X(UNSUPPORTED, "not supported") \
	X(LIMIT, "limit exceeded") \
	X(NO_SPACE, "no space left") \
	X(IO, "input/output error") \
	X(CORRUPT, "corrupted data") \
	X(REFUSED, "connection refused") \
	X(RESET, "connection reset") \
	X(TIMEOUT, "timed out, certainly without effect") \
	X(THROTTLED, "throttled") \
	X(UNAVAILABLE, "service unavailable") \
	X(UNCERTAIN, "uncertain whether it happened") \
	X(CANCELLED, "cancelled") \
	X(INTERNAL, "internal error") \
	X(OVER_QUOTA, "quota exceeded")

enum lab_code {
#define X(name, text) LAB_##name,
	LAB_CODES(X)
#undef X
	LAB_CODE_COUNT
};

struct lab_error {
	enum lab_code code;
	bool retryable;    /* the same request may succeed later */
	uint32_t fault_id; /* injected fault that caused it, 0 if none is known */
	uint16_t status;   /* HTTP status or CQL error code it came from, 0 if neither */
	uint16_t line;     /* where in our source it was raised */
	const char *file;  /* string literal */
	char message[320]; /* one sentence, without a newline */
};

/* Sets *err (which may be NULL) and returns -1, so that `return lab_fail(err, LAB_IO, ...)` reads
 * as one statement. `retryable` starts false, `status` and `fault_id` 0. */
#define lab_fail(err, code, ...) lab_error_set((err), (code), __FILE__, __LINE__, __VA_ARGS__)

int lab_error_set(struct lab_error *err, enum lab_code code, const char *file, int line,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Puts "<context>: " before the message, cutting the tail if it no longer fits. Returns -1. */
int lab_error_wrap(struct lab_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "NOT_FOUND" and "not found" for LAB_NOT_FOUND. Never NULL. */
const char *lab_code_name(enum lab_code code);
const char *lab_code_text(enum lab_code code);

#endif
