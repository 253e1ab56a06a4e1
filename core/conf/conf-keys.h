/* SPDX-License-Identifier: Apache-2.0
 *
 * conf-keys.h - a vocabulary as a table: section, key, what its values are and where they go.
 *
 * Purpose    Files of our own with dovecot.conf's grammar (.scn files, profiles of the emulators):
 *            every key is one row, from which reading, checking, defaults, suggestions and
 *            documentation come. dovecot.conf itself has settings.h.
 * Ownership  Texts borrow from the file's arena.
 * Errors     conf_key_read() as conf-value.h. What reads whole sections adds to `problems`, with
 *            the place, and goes on.
 */
#ifndef LAB_CONF_KEYS_H
#define LAB_CONF_KEYS_H

#include "core/conf/conf-value.h"

enum conf_key_type {
	CONF_KEY_RANGE,   /* struct conf_range */
	CONF_KEY_LATENCY, /* the same, drawn from for each message: 0, or from 1 ns on */
	CONF_KEY_NUMBER,  /* uint64_t: one value, not a range */
	CONF_KEY_TEXT,    /* struct lab_view */
	CONF_KEY_BOOL,    /* bool */
	CONF_KEY_OTHER    /* `read` knows */
};

struct conf_key {
	const char *section, *name;
	enum conf_key_type type;
	enum conf_unit unit;
	size_t offset;     /* in the section's struct */
	uint64_t min, max; /* of numbers; of a range both ends are in here */
	const char *initial, *doc;
	/* `object` is the section's struct; a field elsewhere in it may be set too. */
	int (*read)(const struct conf_key *key, struct lab_view text, void *object,
		struct lab_error *err);
};

struct conf_vocabulary {
	const struct conf_key *keys;
	size_t count;
};
#define CONF_KEYS_OF_SECTION_MAX 64

/* NULL if there is none. */
const struct conf_key *conf_key_find(
	const struct conf_vocabulary *vocabulary, const char *section, struct lab_view name);
/* Reads a value into `object`, the struct of the key's section. */
int conf_key_read(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
/* Sets every key of a section to its default; keys with an empty one stay as they are. */
void conf_keys_defaults(
	const struct conf_vocabulary *vocabulary, const char *section, void *object);

/* One setting of a section that is called `section` in the table. */
void conf_keys_read_setting(const struct conf_vocabulary *vocabulary, const char *section,
	const struct conf_setting *setting, void *object, struct conf_problems *problems);
/* All of them; sections inside are errors. */
void conf_keys_read(const struct conf_vocabulary *vocabulary, const char *section,
	const struct conf_section *from, void *object, struct conf_problems *problems);
/* The same; sections inside are the caller's. */
void conf_keys_read_settings(const struct conf_vocabulary *vocabulary, const char *section,
	const struct conf_section *from, void *object, struct conf_problems *problems);

#endif
