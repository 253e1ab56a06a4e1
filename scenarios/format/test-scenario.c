/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/mark.h"
#include "scenarios/format/testing-scenario.h"

#include "scenarios/format/scenario-private.h"

/* ---- what is right ---- */

static void the_least_scenario_has_the_documented_defaults(void **state)
{
	struct testing_loader l;
	const struct scenario *s;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST);
	s = l.scenario;

	assert_int_equal(s->warmup.low, 30 * LAB_SEC);
	assert_int_equal(s->storm.low, 10 * LAB_MINUTE);
	assert_int_equal(s->site_count, 1);
	assert_int_equal(s->sites[0].backends.low, 2);
	assert_int_equal(s->group_count, 1);
	assert_int_equal(s->groups[0].count.high, 10);
	assert_int_equal(s->groups[0].mail_size.kind, CONF_RANGE_QLOG);
	assert_int_equal(s->groups[0].mail_size.low, 1024);
	assert_int_equal(s->fault_count, 0);
	assert_int_equal(s->s3.partitions.low, 1);
	assert_true(s->s3.refuse_sigv2);
	assert_int_equal(s->cql.replication_factor.low, 3);
	assert_int_equal(s->imds.rotate.low, 5 * 60 * LAB_MINUTE);
	assert_int_equal(s->hosts.memory.low, 1u << 30);
	assert_int_equal(s->network.other_zone.high, LAB_MSEC);
}

/* Where each section of the vocabulary is written, and what must stand beside a key. */
static const char *sample_of(const char *section, const char *key, const char *line)
{
	static const struct {
		const char *section, *before, *after;
	} wraps[] = {
		{ "scenario", TESTING_LEAST "scenario {\n", "}\n" },
		{ "site", TESTING_INCLUDE "user u {\n}\nsite az1 {\n", "}\n" },
		{ "user", TESTING_INCLUDE "site az1 {\n}\nuser u {\n", "}\n" },
		{ "s3", TESTING_LEAST "store s3 {\n", "}\n" },
		{ "scality", TESTING_LEAST "store scality {\n", "}\n" },
		{ "cql", TESTING_LEAST "store cql {\n", "}\n" },
		{ "imds", TESTING_LEAST "imds {\n", "}\n" },
		{ "network", TESTING_LEAST "network {\n", "}\n" },
		{ "backend", TESTING_LEAST "backend {\n", "}\n" },
		{ "fault", TESTING_LEAST "fault f {\nkinds = delay\n", "}\n" },
		{ "cluster", TESTING_LEAST "cluster {\n", "}\n" },
		{ "operator", TESTING_LEAST "operator o {\ncommand = metacache rescan\n", "}\n" },
		{ "step",
			TESTING_LEAST "scenario {\nclients = no\n}\nstep s {\ndo = flush\n"
				      "backend = backend-1\n",
			"}\n" },
		{ "episode", TESTING_LEAST "episode e {\nkind = delay\n", "}\n" },
		{ "knob",
			TESTING_LEAST "knob k {\nsetting = metacache_upload_interval\n"
				      "value = 2s..60s\n",
			"}\n" },
		{ "script", TESTING_LEAST "script s {\n", "file = s.lua\n}\n" },
	};
	static char text[1024];

	(void)key;
	for (size_t i = 0; i < LAB_COUNT_OF(wraps); i++) {
		if (strcmp(wraps[i].section, section) != 0)
			continue;
		snprintf(text, sizeof(text), "%s%s\n%s", wraps[i].before, line, wraps[i].after);
		return text;
	}
	fail_msg("section %s is not in the test", section);
	return NULL;
}

/* Keys whose default says nothing about what may be set. */
static const char *value_for(const struct scenario_key_doc *doc)
{
	static const struct {
		const char *key, *value;
	} values[] = { { "doc", "What it is about" }, { "kinds", "slow_down | delay" },
		{ "points", "s3.* | cql.read" }, { "do", "flush" }, { "kind", "delay" },
		{ "backend", "backend-2" }, { "command", "metacache flush -u %u" },
		{ "marks", "fallback_used | page_read" }, { "file", "s.lua" },
		{ "setting", "metacache_upload_interval" }, { "value", "5 s | 1 min" } };

	for (size_t i = 0; i < LAB_COUNT_OF(values); i++) {
		if (strcmp(values[i].key, doc->key) == 0)
			return values[i].value;
	}
	return doc->initial;
}

static void every_key_of_the_vocabulary_can_be_set_in_its_section(void **state)
{
	struct testing_loader l;
	char line[256];

	(void)state;
	testing_loader_init(&l);
	testing_file_set(&l, "scenarios/s.lua", LAB_VIEW("print(1)"));
	for (size_t i = 0; i < scenario_key_count(); i++) {
		struct scenario_key_doc doc = scenario_key_doc(i);

		snprintf(line, sizeof(line), "%s = %s", doc.key, value_for(&doc));
		testing_load_ok(&l, sample_of(doc.section, doc.key, line));
	}
}

static void every_key_is_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < scenario_key_count(); i++) {
		struct scenario_key_doc doc = scenario_key_doc(i);

		assert_row(i, strlen(doc.doc) > 5);
		assert_row(i, doc.doc[strlen(doc.doc) - 1] != '.');
		for (size_t n = i + 1; n < scenario_key_count(); n++)
			assert_row(i, strcmp(scenario_key_doc(n).section, doc.section) != 0 ||
					      strcmp(scenario_key_doc(n).key, doc.key) != 0);
	}
}

/* The key's own field changes, and no other byte of its section. */
static void a_key_sets_its_own_field_only(void **state)
{
	static uint8_t before[sizeof(struct scenario)], after[sizeof(struct scenario)];
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i < scenario_vocabulary.count; i++) {
		const struct conf_key *key = &scenario_vocabulary.keys[i];
		const char *value = key->unit == CONF_UNIT_FRACTION ? "77%"
				    : key->unit == CONF_UNIT_TIME   ? "1777 s"
				    : key->unit == CONF_UNIT_SIZE   ? "17777777"
								    : "16";
		size_t size = sizeof(struct conf_range);

		if (key->type != CONF_KEY_RANGE && key->type != CONF_KEY_LATENCY)
			continue;
		memset(before, 0, sizeof(before));
		memset(after, 0, sizeof(after));
		assert_true(key->offset + size <= sizeof(after));
		assert_row(i, conf_key_read(key, lab_view_cstr(value), after, &err) == 0);
		assert_row(i, memcmp(before, after, key->offset) == 0);
		/* Its first bytes are the kind, with padding behind it. */
		size = offsetof(struct conf_range, low);
		assert_row(i, memcmp(before + key->offset + size, after + key->offset + size,
				      sizeof(struct conf_range) - size) != 0);
		size = sizeof(struct conf_range);
		assert_row(i, memcmp(before + key->offset + size, after + key->offset + size,
				      sizeof(after) - key->offset - size) == 0);
	}
}

static void latencies_come_from_files(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_file_set(&l, "get.lat", LAB_VIEW("p50 20ms\np99 1s\n"));
	testing_load_ok(&l, TESTING_LEAST "store s3 {\n  latency_read_file = get.lat\n}\n");
	assert_int_equal(l.scenario->s3.measured[0].table_count, 2);
	assert_int_equal(l.scenario->s3.measured[1].table_count, 0);
	testing_load_fails(&l, TESTING_LEAST "store s3 {\n  latency_list_file = none.lat\n}\n",
		"scenarios/test.scn:7:23: latency_list_file: none.lat: no such file");
	testing_file_set(&l, "get.lat", LAB_VIEW("20ms\nlong\n"));
	testing_load_fails(&l, TESTING_LEAST "store s3 {\n  latency_write_file = get.lat\n}\n",
		"latency_write_file: get.lat:2: ");
}

static void the_standard_storm_is_valid(void **state)
{
	struct testing_loader l;
	struct lab_view text;
	size_t kinds = 0;
	fault_kind_set all = 0;

	(void)state;
	testing_loader_init(&l);
	text = testing_disk_file("scenarios/001-standard-storm.scn", l.arena);
	testing_load_ok(&l, lab_arena_cstr(l.arena, text));

	assert_int_equal(l.problems.warnings, 0);
	assert_int_equal(l.scenario->site_count, 3);
	assert_int_equal(l.scenario->groups[0].count.low, 50);
	for (size_t i = 0; i < l.scenario->fault_count; i++)
		all |= l.scenario->faults[i].kinds;
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++)
		kinds += (all & FAULT_KIND_BIT(k)) != 0;
	assert_true(kinds >= 40);
	assert_true(lab_view_eq_cstr(l.scenario->endpoints.bucket, "oboxlab-mails"));
	assert_true(lab_view_eq_cstr(
		l.scenario->endpoints.s3_endpoint, "s3.eu-central-1.amazonaws.com"));
	assert_true(lab_view_eq_cstr(l.scenario->endpoints.dictmap.dict_name, "cassandra"));
	assert_int_equal(l.scenario->dict_count, 1);
	assert_int_equal(l.scenario->dicts[0].config->connect.host_count, 3);
}

static void a_fault_keeps_what_was_written(void **state)
{
	struct testing_loader l;
	const struct scenario_fault *f;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST
		"fault one {\nkinds = write_timeout | delay\npoints = cql.write | cql.delete\n"
		"target = node cassandra-2\nphases = warmup | storm\nepisodes = 2..5\n"
		"amount = 1s..2s\n}\n"
		"fault two {\nkinds = crash\ntarget = backend backend-1\ndisk = keep | wipe\n"
		"phases = warmup\n}\n");
	f = &l.scenario->faults[0];

	assert_true(f->kinds == (FAULT_KIND(write_timeout) | FAULT_KIND(delay)));
	assert_true(f->points == (FAULT_BIT(cql_write) | FAULT_BIT(cql_delete)));
	assert_int_equal(f->target, SCENARIO_TARGET_NODE);
	assert_true(lab_view_eq_cstr(f->only, "cassandra-2"));
	assert_true(f->in_warmup && f->in_storm);
	assert_int_equal(f->episodes.low, 2);
	assert_int_equal(f->episodes.high, 5);
	assert_int_equal(f->amount.high, 2 * LAB_SEC);
	assert_true(f[1].in_warmup && !f[1].in_storm);
	assert_int_equal(f[1].disks, 1u << FAULT_DISK_KEEP | 1u << FAULT_DISK_WIPE);
}

static void marks_are_what_the_list_has(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST);
	assert_true(l.scenario->marks == 0);
	testing_load_ok(&l, TESTING_LEAST "scenario {\nmarks = fallback_used | page_read\n}\n");
	assert_true(l.scenario->marks ==
		    (UINT64_C(1) << LAB_MARK_fallback_used | UINT64_C(1) << LAB_MARK_page_read));
	testing_load_ok(&l, TESTING_LEAST "scenario {\nmarks =\n}\n");
	assert_true(l.scenario->marks == 0);
}

static void a_section_may_be_written_in_two_parts(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST "imds {\nlifetime = 2 h\nrotate = 90 min\n}\n"
					  "imds {\nrotate = 1 h\n}\n");

	assert_int_equal(l.scenario->imds.lifetime.low, 120 * LAB_MINUTE);
	assert_int_equal(l.scenario->imds.rotate.low, 60 * LAB_MINUTE);
}

/* ---- what is wrong ---- */

#define AT(line, column) TESTING_SCN ":" line ":" column ": "

static void errors_name_file_line_column_and_a_suggestion(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "siet az1 {\n}\n", AT("6", "1") "unknown section siet (did you mean site?)" },
		{ "imds {\n  lifetiem = 2 h\n}\n",
			AT("7", "3") "unknown setting lifetiem (did you mean lifetime?)" },
		{ "imds {\n  zzzzzz = 2 h\n}\n", AT("7", "3") "unknown setting zzzzzz\n" },
		{ "imds {\n  lifetime = sometimes\n}\n", AT("7", "14") "lifetime: 'sometimes'" },
		{ "imds {\n  lifetime = 5\n}\n", AT("7", "14") "lifetime: '5'" },
		{ "imds {\n  more {\n  }\n}\n", AT("7", "3") "unknown section more" },
		{ "scenario {\n  marks = fallback_usd\n}\n",
			AT("7", "11") "marks: 'fallback_usd'" },
		{ "imds x {\n}\n", AT("6", "1") "section imds takes no name" },
		{ "imds = 5\n", AT("6", "1") "imds is a section, not a setting: imds { }" },
		{ "store s4 {\n}\n", AT("6", "1") "unknown store s4 (did you mean s3?)" },
		{ "store {\n}\n", AT("6", "1") "unknown store" },
		{ "store s3 {\nrefuse_sigv2 = perhaps\n}\n",
			AT("7", "16") "refuse_sigv2: 'perhaps' is not a boolean" },
		{ "store s3 {\npartitions = 12\n}\n",
			AT("7", "14") "partitions: it is none of 1, 16 and 256" },
		{ "store s3 {\npartitions = 1..16\n}\n",
			AT("7", "14") "partitions: it is none of 1, 16 and 256" },
		{ "store s3 {\nlatency_read = 0..5ms\n}\n",
			AT("7", "16") "latency_read: 0..5ms begins at 0" },
		{ "store cql {\nnodes = 0\n}\n",
			AT("7", "9") "nodes: 0 is below the minimum of 1" },
		{ "store cql {\nnodes = 2..5\n}\n",
			AT("7", "9") "store cql has 5 nodes, but the connect string of dict "
				     "cassandra names only 3 hosts" },
		{ "imds {\nrotate = 7 h\n}\n",
			AT("7", "10") "imds rotate must not be longer than lifetime" },
		{ "user v {\nfolders = 17\n}\n",
			AT("7", "11") "folders: 17 is above the maximum of 16" },
		{ "user v {\nfolders = 0..1\n}\n", AT("7", "11") "user v: without folders" },
		{ "user v {\nmail_inbox_delete_percentage = 71%\n}\n",
			AT("7", "32") "user v: the percentages of delete, move, copy and store are "
				      "more" },
		{ "user v {\nmail_session_length = 10000 h..infinite\n}\n",
			AT("7", "23") "mail_session_length: 10000 h..infinite is above the maximum "
				      "of 366 days" },
		{ "user v {\nmail_action_delay = 0..1s\n}\n",
			AT("7", "21") "mail_action_delay: 0..1s is below the minimum of 1 ms" },
		{ "backend {\nmemory = 1M\n}\n",
			AT("7", "10") "memory: 1M is below the minimum of 16M" },
		{ "user v {\ncount = 1000000\n}\n", AT("7", "9") "more than 1000000 users" },
		{ "site b {\nbackends = 254\n}\n", AT("7", "12") "more than 255 backends" },
	};
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%s%s", TESTING_LEAST, rows[i].text);
		testing_load_fails(&l, text, rows[i].expected);
	}
}

static void errors_of_faults_are_found_before_anything_runs(void **state)
{
	static const struct {
		const char *body, *expected;
	} rows[] = {
		{ "kinds = slow_dwon\n",
			AT("7", "9") "kinds: unknown kind of fault slow_dwon (did you mean "
				     "slow_down?)" },
		{ "kinds = slow_down | | delay\n", AT("7", "9") "kinds: " },
		{ "kinds = slow_down\npoints = s3.ptu\n",
			AT("8", "10") "points: unknown fault point s3.ptu (did you mean s3.put?)" },
		{ "kinds = slow_down\ntarget = zoen\n", AT("8", "10") "target: 'zoen'" },
		{ "kinds = slow_down\nphases = storn\n", AT("8", "10") "phases: 'storn'" },
		{ "kinds = crash\ntarget = backend\ndisk = kept\n", AT("9", "8") "disk: 'kept'" },
		{ "kinds = slow_down\nrate = 101%\n", AT("8", "8") "rate: '101%'" },
		{ "episodes = 1\n", AT("6", "1") "fault f has no kinds" },
		{ "kinds = crash\n", AT("6", "1") "target: crash happens to a backend, a proxy or "
						  "a controller" },
		{ "kinds = clock_skew\ntarget = node\n",
			AT("8", "10") "target: clock_skew happens to a backend, a proxy or a "
				      "controller" },
		{ "kinds = node_down\ntarget = zone\n",
			AT("8", "10") "target: node_down happens to a node" },
		{ "kinds = crash | slow_down\ntarget = backend\n",
			AT("7", "9") "kinds: crash, hang, node_down" },
		{ "kinds = slow_down\npoints = cql.*\n",
			AT("8", "10") "points: slow_down never happens at any of them" },
		{ "kinds = slow_down\ntarget = node\n",
			AT("8", "10") "target: slow_down never happens there" },
		{ "kinds = write_timeout\ntarget = s3\n",
			AT("8", "10") "target: write_timeout never happens there" },
		{ "kinds = slow_down\nkeyspace = geodb\n",
			AT("8", "12") "keyspace: slow_down does not happen to requests about "
				      "tables" },
		{ "kinds = slow_down\ntarget = imds\n",
			AT("8", "10") "target: slow_down never happens there" },
		{ "kinds = crash\ntarget = backend backend-3\n",
			AT("8", "10") "target: there is no backend backend-3; they are backend-1 "
				      "to "
				      "backend-2" },
		{ "kinds = node_down\ntarget = node cassandra-4\n",
			AT("8", "10") "target: there is no node cassandra-4" },
		{ "kinds = slow_down\ntarget = zone az9\n",
			AT("8", "10") "target: there is no site az9" },
		{ "kinds = crash\ntarget = imds imds\n",
			AT("8", "10") "target: only a backend, a proxy, a node or a zone can be "
				      "named" },
		{ "kinds = crash\ntarget = backend backend-1 backend-2\n",
			AT("8", "10") "target: backend-1 is followed by too many words" },
		{ "kinds = partition\ntarget = zone\nother = node cassandra-1\n",
			AT("9", "9") "other: node is followed by too many words" },
		{ "kinds = partition\ntarget = node cassandra-1\n",
			AT("8", "10") "target: the sides of a partition cannot be named" },
		{ "kinds = slow_down\nepisodes = 5000\n",
			AT("8", "12") "episodes: 5000 is above the maximum of 4096" },
		{ "kinds = slow_down\nepisodes = 3000\n}\nfault g {\nkinds = slow_down\n"
		  "episodes = 3000\n",
			AT("12", "12") "more than 4096 episodes of faults" },
	};
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%sfault f {\n%s}\n", TESTING_LEAST, rows[i].body);
		testing_load_fails(&l, text, rows[i].expected);
	}
}

static void names_are_needed_unique_and_plain(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "site {\n}\n", AT("6", "1") "site needs a name" },
		{ "user {\n}\n", AT("6", "1") "user needs a name" },
		{ "fault {\nkinds = crash\n}\n", AT("6", "1") "fault needs a name" },
		{ "site az1 {\n}\n", AT("6", "1") "site az1 is there twice" },
		{ "user u {\n}\n", AT("6", "1") "user u is there twice" },
		{ "fault f {\nkinds = delay\n}\nfault f {\nkinds = delay\n}\n",
			AT("9", "1") "fault f is there twice" },
		{ "site abcdefghijklmnopqrstuvwxyz012345 {\n}\n",
			AT("6", "1") "site: the name is too long" },
		{ "site \"a b\" {\n}\n", AT("6", "1") "site: a name is made of letters" },
	};
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "%s%s", TESTING_LEAST, rows[i].text);
		testing_load_fails(&l, text, rows[i].expected);
	}
}

static void a_scenario_without_its_parts_is_refused(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ TESTING_INCLUDE "user u {\n}\n", AT("1", "1") "there is no site with backends" },
		{ TESTING_INCLUDE "site a {\nbackends = 0..2\n}\nuser u {\n}\n",
			AT("3", "12") "there may be a run without backends" },
		{ TESTING_INCLUDE "site a {\n}\n", AT("1", "1") "there is no user group" },
		{ "site a {\n}\nuser u {\n}\n", "obox_fs is not set" },
		{ "!include configs/aws-s3-dictmap.cnof\n", "configs/aws-s3-dictmap.cnof" },
		{ "site a {\n", AT("1", "1") },
	};
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		testing_load_fails(&l, rows[i].text, rows[i].expected);
}

static void too_many_sections_are_refused(void **state)
{
	static const struct {
		const char *section, *body, *expected;
		unsigned count;
	} rows[] = { { "site", "", "more than 16 sections site", 17 },
		{ "user", "", "more than 16 sections user", 17 },
		{ "fault", "kinds = delay", "more than 64 sections fault", 65 } };
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_buf text;

		lab_buf_init(&text, testing_heap, 65536);
		lab_buf_append_cstr(&text, TESTING_INCLUDE);
		for (unsigned n = 0; n < rows[i].count; n++)
			lab_buf_printf(
				&text, "%s x%u {\n%s\n}\n", rows[i].section, n, rows[i].body);
		testing_load_fails(&l, lab_buf_cstr(&text), rows[i].expected);
		lab_buf_done(&text);
	}
}

static void all_errors_are_told_at_once(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_fails(&l,
		TESTING_LEAST "siet b {\n}\nimds {\nlifetime = x\nrotaet = 1 h\n}\n"
			      "obxo_fs = fscache\n",
		TESTING_SCN " has 4 errors");

	assert_int_equal(l.problems.errors, 4);
}

/* ---- the settings beside it ---- */

static const char *replaced(
	struct testing_loader *l, const char *path, const char *old, const char *new)
{
	struct lab_view text = testing_disk_file(path, l->arena);
	size_t at = lab_view_find(text, lab_view_cstr(old));

	assert_true(at != SIZE_MAX);
	return lab_arena_printf(l->arena, "%.*s%s%.*s", (int)at, (const char *)text.ptr, new,
		LAB_VIEW_ARG(lab_view_skip(text, at + strlen(old))));
}

static void wrong_settings_are_told_with_their_place(void **state)
{
	static const struct {
		const char *path, *old, *new, *expected;
	} rows[] = {
		{ TESTING_CONF, "obox_max_parallel_deletes", "obox_max_paralel_deletes",
			TESTING_CONF
			":17:1: unknown setting obox_max_paralel_deletes (did you mean "
			"obox_max_parallel_deletes?)" },
		{ TESTING_CONF, "obox_fs = fscache", "obox_fs = fscahce",
			TESTING_CONF ":12:11: obox_fs: Unknown fs driver: fscahce (did you mean "
				     "fscache?)" },
		{ TESTING_CONF, ":compress:zstd:3", ":compres:zstd:3",
			TESTING_CONF
			":12:11: obox_fs: fscache: Unknown fs driver: compres (did you "
			"mean compress?)" },
		{ TESTING_CONF, ":zstd:", ":zsdt:",
			":12:11: obox_fs: fscache: compress: Compression method 'zsdt' not "
			"supported (did you mean zstd?)" },
		{ TESTING_CONF, ":zstd:", ":bz2:",
			TESTING_CONF ":12:11: obox_fs: compress: bz2 is not part of oboxlab" },
		{ TESTING_CONF, "cassandra ; aws", "cassandra; aws",
			":12:11: obox_fs: fscache: compress: dictmap: the dict URI, the parent" },
		{ TESTING_CONF, "nlinks-limit", "nlink-limit",
			":12:11: obox_fs: fscache: compress: dictmap: Unknown setting "
			"'nlink-limit' "
			"(did you mean nlinks-limit?)" },
		{ TESTING_CONF, "&auth_role", "&auth_rolle",
			"Unknown URL parameter 'auth_rolle' (did you mean auth_role?)" },
		{ TESTING_CONF, "%4Nu", "%4Nq", ":12:11: obox_fs: " },
		{ TESTING_CONF, "dict-async:cassandra", "dict-async:casandra",
			TESTING_CONF ":12:11: obox_fs: dictmap: dict casandra is not in dict { } "
				     "with driver cassandra (did "
				     "you mean cassandra?)" },
		{ TESTING_CONF, "cassandra:dovecot-dict-cql", "cassandra:no-such-dict-cql",
			TESTING_CONF
			":34:3: dict cassandra: scenarios/configs/no-such-dict-cql.conf.ext: no " },
		{ TESTING_CONF, "cassandra = cassandra:", "cassandra = mysql:",
			"dict cassandra is not in dict { } with driver cassandra" },
		{ TESTING_CONF, "cassandra = cassandra:",
			"second = cassandra:dovecot-dict-cql.conf.ext\ncassandra = cassandra:",
			AT("1", "1") "the settings need exactly one dict with driver cassandra, "
				     "not "
				     "2" },
		{ TESTING_DICT, "keyspace=mails", "keyspaec=mails",
			TESTING_DICT ":4:11: Unknown connect string: keyspaec (did you mean "
				     "keyspace?)" },
		{ TESTING_DICT, "$mailbox_guid/max_bucket", "$mailbox_gid/max_bucket",
			"Missing SQL field for variable: mailbox_gid" },
		{ TESTING_DICT, "value_field", "value_feild",
			"Unknown setting: value_feild (did you mean value_field?)" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct testing_loader l;

		testing_loader_init(&l);
		testing_file_set(&l, rows[i].path,
			lab_view_cstr(replaced(&l, rows[i].path, rows[i].old, rows[i].new)));
		testing_load_fails(&l, TESTING_LEAST, rows[i].expected);
	}
}

static void a_stack_that_cannot_be_run_is_refused(void **state)
{
	static const struct {
		const char *fs, *expected;
	} rows[] = {
		{ "posix:prefix=/mails", "it does not end in s3, aws-s3, sproxyd or scality" },
		{ "azure:http://host/", "it does not end in s3, aws-s3, sproxyd or scality" },
		{ "dictmap:proxy::cassandra ; scality:http://host/",
			"runs with this storage need storage-objectid-prefix" },
		{ "sproxyd:http://host/", "sproxyd lists nothing: without dictmap nobody knows" },
		{ "s3:https://host/", "neither bucket= nor a bucket in the host name host" },
		{ "dictmap:cassandra:x ; s3:https://b.host/", "only proxy: is part of oboxlab" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct testing_loader l;
		char conf[512];

		testing_loader_init(&l);
		snprintf(conf, sizeof(conf),
			"plugin {\nobox_fs = %s\n}\ndict {\ncassandra = "
			"cassandra:dovecot-dict-cql.conf.ext\n}\n",
			rows[i].fs);
		testing_file_set(&l, TESTING_CONF, lab_view_cstr(conf));
		testing_load_fails(&l, TESTING_LEAST, TESTING_CONF ":2:");
		testing_load_fails(&l, TESTING_LEAST, rows[i].expected);
	}
}

static void the_bucket_is_a_parameter_or_the_first_label_of_the_host(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_file_set(&l, TESTING_CONF,
		lab_view_cstr("plugin {\nobox_fs = randomfail:all=0:dictmap:proxy::cassandra ; "
			      "s3:http://key:secret@s3.host:9000/?bucket=mails\n}\n"
			      "dict {\ncassandra = cassandra:dovecot-dict-cql.conf.ext\n}\n"));
	testing_load_ok(&l, TESTING_LEAST);

	assert_true(lab_view_eq_cstr(l.scenario->endpoints.bucket, "mails"));
	assert_true(lab_view_eq_cstr(l.scenario->endpoints.s3_endpoint, "s3.host"));
	assert_true(lab_view_eq_cstr(l.scenario->endpoints.s3_authority, "s3.host:9000"));
	assert_true(lab_view_eq_cstr(l.scenario->endpoints.s3.user, "key"));
}

static void a_target_imds_needs_a_role(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_file_set(&l, TESTING_CONF,
		lab_view_cstr(
			"plugin {\nobox_fs = dictmap:proxy::cassandra ; s3:http://k:s@b.host/\n}\n"
			"dict {\ncassandra = cassandra:dovecot-dict-cql.conf.ext\n}\n"));
	testing_load_fails(&l, TESTING_LEAST "fault f {\nkinds = imds_error\ntarget = imds\n}\n",
		AT("8", "10") "target: there is no IMDS without auth_role in obox_fs");
	testing_load_fails(&l,
		TESTING_LEAST "fault f {\nkinds = partition\ntarget = zone\nother = imds\n}\n",
		AT("9", "9") "other: there is no IMDS without auth_role in obox_fs");
}

static void without_dictmap_there_is_no_cassandra(void **state)
{
	static const char no_dict[] = "plugin {\nobox_fs = s3:http://k:s@b.host/\n}\n";
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_file_set(&l, TESTING_CONF, lab_view_cstr(no_dict));
	testing_load_ok(&l, TESTING_LEAST "fault f {\nkinds = stale\n}\n");
	assert_int_equal(l.scenario->dict_count, 0);
	assert_false(scenario_has_dictmap(&l.scenario->endpoints));
	assert_true(scenario_stores_paths(&l.scenario->endpoints));
	testing_load_fails(&l, TESTING_LEAST "fault f {\nkinds = node_down\ntarget = node\n}\n",
		AT("8", "10") "target: there is no Cassandra without a dict");
	testing_load_fails(&l,
		TESTING_LEAST "fault f {\nkinds = partition\ntarget = zone\nother = node\n}\n",
		AT("9", "9") "other: there is no Cassandra without a dict");
	testing_load_fails(&l, TESTING_LEAST "fault f {\nkinds = write_timeout\n}\n",
		"target: write_timeout never happens there");
	testing_file_set(&l, TESTING_CONF,
		lab_view_cstr("plugin {\nobox_fs = dictmap:proxy::cassandra ; "
			      "s3:http://k:s@b.host/\n}\n"));
	testing_load_fails(&l, TESTING_LEAST, "dict cassandra is not in dict { }");
}

static void without_a_dict_there_is_nothing_to_replace(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_file_set(
		&l, TESTING_CONF, lab_view_cstr("plugin {\nobox_fs = s3:http://k:s@b.host/\n}\n"));
	l.overrides.cql_hosts = "127.0.0.1:9042";
	testing_load_fails(
		&l, TESTING_LEAST, "--cql: the settings have no dict with driver cassandra");
}

#define BEFORE "scenarios/configs/before.conf"
#define MIGRATED \
	"plugin {\nobox_fs = dictmap:proxy::cassandra ; s3:http://k:s@b.host/ ; " \
	"storage-objectid-prefix=%u/mails/:storage-objectid-migrate\n}\n" \
	"mail_location = obox:%u\n" \
	"dict {\ncassandra = cassandra:dovecot-dict-cql.conf.ext\n}\n"

/* What users are migrated from is the same storage without dictmap. */
static void users_are_migrated_from_the_same_storage(void **state)
{
	static const struct {
		const char *before, *after, *expected;
	} rows[] = {
		{ "plugin {\nobox_fs = s3:http://k:s@b.host/\n}\nmail_location = obox:%u\n",
			MIGRATED, NULL },
		{ "plugin {\nobox_fs = s3:http://k:s@c.host/\n}\nmail_location = obox:%u\n",
			MIGRATED,
			"migrated_from: it is not the same storage: c.host, then b.host" },
		{ "plugin {\nobox_fs = s3:http://k:s@b.host/\n}\nmail_location = obox:%n\n",
			MIGRATED, "migrated_from: mail_location is another one: obox:%n" },
		{ MIGRATED, MIGRATED, "migrated_from: there is dictmap in it already" },
		{ "plugin {\nobox_fs = s3:http://k:s@b.host/\n}\nmail_location = obox:%u\n",
			"plugin {\nobox_fs = s3:http://k:s@b.host/\n}\nmail_location = obox:%u\n",
			"migrated_from: obox_fs after it has no dictmap with "
			"storage-objectid-migrate" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const char *text =
			"scenario {\nmigrated_from = configs/before.conf\n}\n" TESTING_LEAST;
		struct testing_loader l;

		testing_loader_init(&l);
		testing_file_set(&l, BEFORE, lab_view_cstr(rows[i].before));
		testing_file_set(&l, TESTING_CONF, lab_view_cstr(rows[i].after));
		if (rows[i].expected != NULL) {
			testing_load_fails(&l, text, rows[i].expected);
			testing_load_fails(&l, text, AT("2", "17"));
			continue;
		}
		testing_load_ok(&l, text);
		assert_true(scenario_has_migrated_mails(&l.scenario->endpoints));
		assert_false(scenario_stores_paths(&l.scenario->endpoints));
	}
}

/* ---- --set and --conf ---- */

static void load_with_set(struct testing_loader *l, const char *const *set)
{
	l->overrides.sets = set;
	l->overrides.set_count = 1;
	(void)testing_load(l, TESTING_LEAST
		"user v {\ncount = 3\n}\nfault f {\nkinds = delay\nepisodes = 1\n}\n");
}

static void set_reaches_every_section_and_wins(void **state)
{
	static const struct {
		const char *set;
		size_t offset;
		uint64_t expected;
	} rows[] = {
		{ "scenario.duration=2 min", offsetof(struct scenario, storm), 2 * LAB_MINUTE },
		{ "site.backends=7", offsetof(struct scenario, sites[0].backends), 7 },
		{ "user.count=5", offsetof(struct scenario, groups[1].count), 5 },
		{ "s3.write_rate=9", offsetof(struct scenario, s3.write_rate), 9 },
		{ "cql.nodes=2", offsetof(struct scenario, cql.nodes), 2 },
		{ "imds.rotate=1 h", offsetof(struct scenario, imds.rotate), 60 * LAB_MINUTE },
		{ "network.stream_split=5%", offsetof(struct scenario, network.stream_split),
			50000 },
		{ "backend.disk_sync= 3ms ", offsetof(struct scenario, hosts.disk_sync),
			3 * LAB_MSEC },
		{ "fault.episodes=4", offsetof(struct scenario, faults[0].episodes), 4 },
	};
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct conf_range value;

		load_with_set(&l, &rows[i].set);
		if (l.problems.errors > 0)
			fail_msg("%s: %s", rows[i].set, testing_problems(&l));
		memcpy(&value, (const char *)l.scenario + rows[i].offset, sizeof(value));
		assert_row(i, value.low == rows[i].expected && value.high == rows[i].expected);
	}
	load_with_set(&l, &(const char *){ "user.count=5" });
	assert_int_equal(l.scenario->groups[0].count.low, 5);
}

static void a_wrong_set_is_told_with_its_own_text(void **state)
{
	static const struct {
		const char *set, *expected;
	} rows[] = {
		{ "user.count", "--set user.count:1:1: this is not SECTION.KEY=VALUE" },
		{ "count=5", "--set count=5:1:1: this is not SECTION.KEY=VALUE" },
		{ "", "--set :1:1: this is not SECTION.KEY=VALUE" },
		{ "usr.count=5",
			"--set usr.count=5:1:1: unknown section usr (did you mean user?)" },
		{ "user.cuont=5",
			"--set user.cuont=5:1:6: unknown setting cuont (did you mean count?)" },
		{ "user.count=fifty", "--set user.count=fifty:1:12: count: 'fifty'" },
		{ "user.folders=40", "--set user.folders=40:1:14: folders: 40 is above" },
		{ "cql.nodes=5", "--set cql.nodes=5:1:1: store cql has 5 nodes" },
		{ "imds.rotate=7 h", "--set imds.rotate=7 h:1:1: imds rotate must not be" },
	};
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		load_with_set(&l, &rows[i].set);
		if (strstr(testing_problems(&l), rows[i].expected) == NULL)
			fail_msg("%s: expected %s, printed:\n%s", rows[i].set, rows[i].expected,
				testing_problems(&l));
		assert_row(i, l.problems.errors == 1);
	}
}

static void a_set_for_a_section_that_is_not_there_is_an_error(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	l.overrides = (struct scenario_overrides){ .sets = &(const char *){ "fault.rate=1" },
		.set_count = 1 };
	testing_load_fails(&l, TESTING_LEAST, "the scenario has no section fault");
}

static void conf_replaces_the_settings_of_the_scenario(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_file_set(&l, "/etc/other.conf",
		lab_view_cstr(
			"plugin {\nobox_fs = dictmap:proxy::mine ; s3:http://k:s@b2.host/\n}\n"
			"dict {\nmine = cassandra:/srv/../" TESTING_DICT "\n}\n"));
	l.files[1].path = "/srv/../" TESTING_DICT;
	l.overrides.conf = "/etc/other.conf";
	testing_load_ok(&l, TESTING_LEAST);

	assert_true(lab_view_eq_cstr(l.scenario->endpoints.bucket, "b2"));
	assert_true(lab_view_eq_cstr(l.scenario->dicts[0].name, "mine"));
}

static void with_conf_both_files_are_checked(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	l.overrides.conf = "other.conf";
	testing_file_set(&l, "other.conf", lab_view_cstr("obxo_fs = x\nsite a {\n}\n"));
	testing_load_fails(&l, TESTING_LEAST "siet b {\n}\n", AT("6", "1") "unknown section siet");
	testing_load_fails(&l, TESTING_LEAST, "other.conf:1:1: unknown setting obxo_fs");
	testing_load_fails(&l, TESTING_LEAST, "other.conf:2:1: unknown section site");
	l.overrides.conf = "no-such.conf";
	testing_load_fails(&l, TESTING_LEAST, "no-such.conf: no such file");
}

/* ---- operators ---- */

#define OPERATOR(lines) TESTING_LEAST "operator o {\n" lines "}\n"

static void an_operator_says_what_doveadm_knows(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, OPERATOR("command = metacache clean -A -p 2\nbackend = backend-2\n"
				     "at = 1s..2s\nevery = 5 s\n"));
	assert_int_equal(l.scenario->operator_count, 1);
	assert_true(lab_view_eq_cstr(l.scenario->operators[0].backend, "backend-2"));
	assert_true(l.scenario->operators[0].at.high == 2 * LAB_SEC);
	testing_load_fails(&l, OPERATOR(""), AT("6", "1") "command: there is no command");
	testing_load_fails(&l, OPERATOR("command = metacache flusch\n"),
		AT("6", "1") "command: there is no command \"metacache flusch\"");
	testing_load_fails(&l, OPERATOR("command = obox user delete -u %u\n"),
		"command: the clients would not know that their user was deleted");
	testing_load_fails(&l, OPERATOR("command = metacache rescan\nbackend = b1\n"),
		"backend: \"b1\" is neither all nor backend-1, backend-2, ...");
}

/* ---- knobs ---- */

static void a_knob_is_drawn_from_its_seed_and_nothing_else(void **state)
{
	struct conf_range range = { CONF_RANGE_UNIFORM, 1, 1000000 };
	uint64_t value = scenario_pick(&range, 7, "user.count", 1, 0);

	(void)state;
	assert_int_equal(scenario_pick(&range, 7, "user.count", 1, 0), value);
	assert_int_not_equal(scenario_pick(&range, 8, "user.count", 1, 0), value);
	assert_int_not_equal(scenario_pick(&range, 7, "site.count", 1, 0), value);
	assert_int_not_equal(scenario_pick(&range, 7, "user.count", 2, 0), value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(the_least_scenario_has_the_documented_defaults),
		testing_test(every_key_of_the_vocabulary_can_be_set_in_its_section),
		testing_test(every_key_is_documented),
		testing_test(a_key_sets_its_own_field_only),
		testing_test(latencies_come_from_files),
		testing_test(the_standard_storm_is_valid),
		testing_test(a_fault_keeps_what_was_written),
		testing_test(marks_are_what_the_list_has),
		testing_test(a_section_may_be_written_in_two_parts),
		testing_test(errors_name_file_line_column_and_a_suggestion),
		testing_test(errors_of_faults_are_found_before_anything_runs),
		testing_test(names_are_needed_unique_and_plain),
		testing_test(a_scenario_without_its_parts_is_refused),
		testing_test(too_many_sections_are_refused),
		testing_test(all_errors_are_told_at_once),
		testing_test(wrong_settings_are_told_with_their_place),
		testing_test(a_stack_that_cannot_be_run_is_refused),
		testing_test(the_bucket_is_a_parameter_or_the_first_label_of_the_host),
		testing_test(a_target_imds_needs_a_role),
		testing_test(without_dictmap_there_is_no_cassandra),
		testing_test(without_a_dict_there_is_nothing_to_replace),
		testing_test(users_are_migrated_from_the_same_storage),
		testing_test(set_reaches_every_section_and_wins),
		testing_test(a_wrong_set_is_told_with_its_own_text),
		testing_test(a_set_for_a_section_that_is_not_there_is_an_error),
		testing_test(conf_replaces_the_settings_of_the_scenario),
		testing_test(with_conf_both_files_are_checked),
		testing_test(an_operator_says_what_doveadm_knows),
		testing_test(a_knob_is_drawn_from_its_seed_and_nothing_else),
	};

	return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
