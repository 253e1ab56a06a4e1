/* SPDX-License-Identifier: Apache-2.0
 *
 * sproxyd-key.h - the 160 bits by which Dovecot names an object in a Scality RING (obox 4.1).
 *
 *   120 bits  the first of the MD5 of the object's GUID
 *     8 bits  0x83, Dovecot
 *     8 bits  the last of the MD5
 *     8 bits  object type
 *     8 bits  0
 *     4 bits  class of service
 *     4 bits  replica, 0
 *
 * The key is a function of the GUID, the path and the class: a retry writes the same object.
 * Pure functions.
 */
#ifndef LAB_FS_SPROXYD_KEY_H
#define LAB_FS_SPROXYD_KEY_H

#include "core/base/base.h"

#define SPROXYD_KEY_BYTES 20
#define SPROXYD_KEY_HEX (2 * SPROXYD_KEY_BYTES)
#define SPROXYD_CLASS_MAX 15

enum sproxyd_type {
	SPROXYD_UNKNOWN = 0x00,
	SPROXYD_MAIL = 0x01,
	SPROXYD_FTS = 0x03,
	SPROXYD_USER_INDEX_SELF = 0x09,
	SPROXYD_USER_INDEX_BASE = 0x0a,
	SPROXYD_USER_INDEX_DIFF = 0x0b,
	SPROXYD_BOX_INDEX_SELF = 0x0d,
	SPROXYD_BOX_INDEX_BASE = 0x0e,
	SPROXYD_BOX_INDEX_DIFF = 0x0f
};

/* By the path as obox knows it: ".../mailboxes/<guid>/<name>", ".../mailboxes/<guid>/idx/<bundle>",
 * ".../idx/<bundle>", ".../fts/<file>"; anything else is unknown. A bundle's name says which one it
 * is: "bundle.<secs>.<usecs>.<guid>" base, the same and "-<guid>" diff, other names self. */
enum sproxyd_type sproxyd_type_of(struct lab_view path);

void sproxyd_key_make(const uint8_t guid[16], enum sproxyd_type type, unsigned class_of_service,
	uint8_t ret[SPROXYD_KEY_BYTES]);
/* Whether these digits are a key that Dovecot made: service, unused byte and replica are right. */
bool sproxyd_is_key(struct lab_view hex);

#endif
