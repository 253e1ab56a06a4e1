/* SPDX-License-Identifier: Apache-2.0
 *
 * conf-private.h - small things that the files of this module share.
 */
#ifndef LAB_CONF_PRIVATE_H
#define LAB_CONF_PRIVATE_H

#include "core/conf/conf.h"

static inline bool conf_is_white(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

static inline bool conf_is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* Letters, digits, '_' and '-': what names of settings and variables are made of. */
static inline bool conf_is_name_byte(uint8_t byte)
{
	return conf_is_digit(byte) || (byte >= 'a' && byte <= 'z') ||
	       (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '-';
}

/* A value in a message: at most this many bytes of it. */
#define CONF_SHOW_MAX 60
/* Its printable bytes, others as '?', "..." at the end if it was cut. Returns `out`. */
const char *conf_show(struct lab_view value, char out[CONF_SHOW_MAX + 4]);

#endif
