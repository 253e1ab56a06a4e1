/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-before.c - the settings that a scenario's users are migrated from.
 */
#include "scenarios/format/scenario-private.h"

static int check_same_storage(
	const struct scenario *s, const struct scenario_endpoints *before, struct lab_error *err)
{
	const struct scenario_endpoints *after = &s->endpoints;

	if (scenario_has_dictmap(before))
		return lab_fail(err, LAB_INVALID, "there is dictmap in it already");
	if (!scenario_has_migrated_mails(after))
		return lab_fail(err, LAB_INVALID,
			"obox_fs after it has no dictmap with storage-objectid-migrate");
	if (before->flavour != after->flavour ||
		!lab_view_eq(before->s3_authority, after->s3_authority) ||
		!lab_view_eq(before->bucket, after->bucket))
		return lab_fail(err, LAB_INVALID, "it is not the same storage: %.*s, then %.*s",
			LAB_VIEW_ARG(before->s3_authority), LAB_VIEW_ARG(after->s3_authority));
	/* Paths begin with it, and dictmap's with the user's name. */
	if (!lab_view_eq(s->conf_before.mail_location.text, s->conf.mail_location.text))
		return lab_fail(err, LAB_INVALID, "mail_location is another one: %.*s",
			LAB_VIEW_ARG(s->conf_before.mail_location.text));
	return 0;
}

static int load(struct scenario *s, struct lab_view path, const struct conf_reader *reader,
	struct lab_arena *arena, struct conf_problems *problems, struct lab_error *err)
{
	struct scenario *before = lab_arena_new_of(arena, struct scenario);
	struct conf_section *root;

	if (conf_parse(path, reader, 0, arena, problems, &root, err) < 0)
		return -1;
	(void)conf_check(root, CONF_FILE_DOVECOT, NULL, 0, problems);
	s->settings_before = root;
	if (conf_settings_load(root, arena, &s->conf_before, err) < 0)
		return -1;
	*before = *s;
	before->endpoints = (struct scenario_endpoints){ .bucket = { NULL, 0 } };
	before->path = lab_arena_cstr(arena, path);
	before->conf = s->conf_before;
	if (scenario_endpoints_find(before, arena, err) < 0)
		return -1;
	return check_same_storage(s, &before->endpoints, err);
}

int scenario_load_before(struct scenario *scenario, const struct conf_setting *text,
	const struct conf_reader *reader, struct lab_arena *arena, struct conf_problems *problems,
	struct lab_error *err)
{
	struct conf_where where = { scenario->path, 1, 1 };
	struct lab_error why;

	if (scenario->migrated_from.len == 0)
		return 0;
	if (text != NULL)
		where = text->value_where;
	if (load(scenario, conf_resolve_path(arena, where.file, scenario->migrated_from), reader,
		    arena, problems, &why) < 0)
		return conf_fail(err, where, "migrated_from: %s", why.message);
	return 0;
}
