/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"

static const char *const code_names[] = {
#define X(name, text) #name,
	LAB_CODES(X)
#undef X
};

static const char *const code_texts[] = {
#define X(name, text) text,
	LAB_CODES(X)
#undef X
};

_Static_assert(sizeof(code_names) / sizeof(code_names[0]) == LAB_CODE_COUNT, "one name each");

/* A message is one line of a log, whatever a server put into it. */
static void keep_one_line(char *message)
{
	for (char *p = message; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	}
}

int lab_error_set(struct lab_error *err, enum lab_code code, const char *file, int line,
	const char *format, ...)
{
	char message[sizeof(err->message)];
	va_list args;

	lab_assert(code != LAB_OK && code < LAB_CODE_COUNT);
	if (err == NULL)
		return -1;
	/* Into a buffer of its own first: the arguments may point into *err. */
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	keep_one_line(message);

	*err = (struct lab_error){
		.code = code,
		.line = (uint16_t)(line > UINT16_MAX ? UINT16_MAX : line),
		.file = file,
	};
	memcpy(err->message, message, sizeof(message));
	return -1;
}

int lab_error_wrap(struct lab_error *err, const char *format, ...)
{
	char message[sizeof(err->message)];
	va_list args;

	if (err == NULL)
		return -1;
	va_start(args, format);
	int n = vsnprintf(message, sizeof(message), format, args);
	va_end(args);

	/* The tail of the old message is what is cut. */
	size_t used = n < 0 ? 0 : (size_t)n;
	if (used + 2 < sizeof(message)) {
		size_t room = sizeof(message) - used - 3, len = strlen(err->message);

		memcpy(message + used, ": ", 2);
		memcpy(message + used + 2, err->message, len < room ? len : room);
		message[used + 2 + (len < room ? len : room)] = '\0';
	}
	keep_one_line(message);
	memcpy(err->message, message, sizeof(message));
	return -1;
}

const char *lab_code_name(enum lab_code code)
{
	return code < LAB_CODE_COUNT ? code_names[code] : "UNKNOWN";
}

const char *lab_code_text(enum lab_code code)
{
	return code < LAB_CODE_COUNT ? code_texts[code] : "unknown error";
}
