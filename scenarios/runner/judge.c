/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/judge.h"

#include "core/quota/quota.h"
#include "scenarios/runner/disk-watch.h"
#include "scenarios/runner/palomar.h"
#include "scenarios/runner/report.h"
#include "scenarios/runner/script.h"

#include <stdio.h>

/* What a session or delivery may add that was let in below the limit: three or four mails. */
#define SESSION_BYTES 384

/* Folders that are ignored by name; false if any is by a mask. */
static bool take_ignored(const struct quota_root *root, struct lab_view *ignored, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < root->rule_count; i++) {
		const struct quota_rule *rule = &root->rules[i];

		if (!rule->ignore)
			continue;
		if (lab_view_find_byte(rule->mask, '*') != SIZE_MAX ||
			lab_view_find_byte(rule->mask, '%') != SIZE_MAX ||
			lab_view_find_byte(rule->mask, '?') != SIZE_MAX)
			return false;
		ignored[(*count)++] = rule->mask;
	}
	return true;
}

static void take_quota(const struct scenario *s, struct lab_heap *heap, struct oracle_settings *ret)
{
	struct quota_root root;
	struct quota_amount limits;
	struct lab_view *ignored;

	if (quota_root_load(&s->conf, &root, NULL) < 0 || !root.is_set)
		return;
	ignored = lab_new_array(heap, struct lab_view, CONF_QUOTA_RULES_MAX);
	limits = quota_limits(&root, LAB_VIEW("INBOX"));
	/* Which folders a mask ignores, the oracle does not know. */
	ret->has_quota = take_ignored(&root, ignored, &ret->quota_ignored_count);
	ret->quota_ignored = ignored;
	ret->quota_bytes = limits.bytes;
	ret->quota_messages = limits.messages;
}

static void take_plugins(
	const struct scenario *s, struct lab_heap *heap, struct oracle_settings *ret)
{
	const struct conf_settings *conf = &s->conf;

	take_quota(s, heap, ret);
	if (conf->lazy_expunge)
		ret->expunge_folder = conf->lazy_expunge_mailbox.text;
	ret->only_last_instance =
		conf->lazy_expunge_only_last_instance && conf->lazy_expunge_exclude_count == 0;
	for (size_t i = 0; i < conf->mailbox_count; i++) {
		if (lab_view_eq(conf->mailboxes[i].name, ret->expunge_folder) &&
			conf->mailboxes[i].autoexpunge_max_mails == 0)
			ret->autoexpunge_ns = conf->mailboxes[i].autoexpunge_ns;
	}
	ret->ids_tell_attachments = s->endpoints.dictmap.storage_objectid_prefix.len > 0 &&
				    !s->endpoints.dictmap.storage_objectid_migrate &&
				    lab_view_find(conf->mail_attachment_detection_options.text,
					    LAB_VIEW("add-flags")) != SIZE_MAX;
}

/* Who does one thing after the other, and nothing that the table of costs does not have. */
static bool has_tour(const struct scenario *s)
{
	for (size_t i = 0; i < s->group_count; i++) {
		if (!s->groups[i].tour)
			return false;
	}
	return s->group_count > 0;
}

static void take_secondary(const struct scenario *s, struct oracle_settings *ret)
{
	ret->private_is_elsewhere = s->conf.private_index_is_elsewhere;
	for (size_t i = 0; i < s->group_count; i++)
		ret->has_secondary |= s->groups[i].mail_private_seen_percentage.high > 0 ||
				      s->groups[i].mail_virtual_percentage.high > 0;
}

/* Rows, or, by obox_disable_fast_copy, objects of their own. */
static void set_copies(struct oracle_settings *settings, const struct scenario *s)
{
	settings->copies_are_written = s->conf.obox_disable_fast_copy;
	settings->copies_in_dict = s->endpoints.dictmap.refcounting_table &&
				   !scenario_stores_paths(&s->endpoints) &&
				   !settings->copies_are_written;
}

static void set_costs(struct oracle_settings *settings, const struct scenario *s)
{
	settings->has_costs = has_tour(s) && !scenario_is_scality(&s->endpoints) &&
			      !s->is_foreign_s3 && !s->is_foreign_cql && !s->conf.lazy_expunge &&
			      !s->conf.obox_track_copy_flags;
	settings->has_fscache =
		lab_view_find(s->conf.obox_fs.text, LAB_VIEW("fscache:")) != SIZE_MAX;
	settings->delete_batch =
		LAB_MIN(s->endpoints.s3.bulk_delete_limit, s->conf.obox_max_parallel_deletes);
}

/* Users, beyond whom GeoDB is not looked at: each look goes over all of its rows. */
#define LOOKED_AT_MAX 2000u

static void take_sites(
	const struct scene *scene, struct lab_heap *heap, struct oracle_settings *ret)
{
	const struct scenario *s = scene->options->scenario;
	struct oracle_site *sites = lab_new_array(heap, struct oracle_site, s->site_count);

	for (size_t i = 0; i < s->site_count; i++) {
		sites[i].name = s->sites[i].name;
		for (size_t n = 0; n < scene->node_count; n++)
			sites[i].backends += lab_view_eq_cstr(sites[i].name, scene->nodes[n].zone);
	}
	ret->sites = sites;
	ret->site_count = s->site_count;
}

/* What takes time until everybody knows: caches, the re-check, a move, a kick (25 s), and clients
 * who come again when they like. */
static void set_routing(
	struct oracle_settings *settings, const struct scene *scene, struct lab_heap *heap)
{
	const struct scenario *s = scene->options->scenario;
	const struct scenario_cluster *c = &s->cluster;
	uint64_t caches = c->user_ttl.high + LAB_MAX(c->group_ttl.high, c->view_ttl.high);
	uint64_t interval = 0, users = 0;

	if (!palomar_is_wanted(s))
		return;
	for (size_t i = 0; i < s->group_count; i++) {
		interval = LAB_MAX(interval, s->groups[i].mail_session_interval.high);
		users += s->groups[i].count.high;
	}
	take_sites(scene, heap, settings);
	settings->geodb_keyspace = LAB_VIEW(PALOMAR_KEYSPACE);
	/* In the live world it is another thread's; and who reads otherwise than the others (F13)
	 * decides by rows that were. */
	settings->geodb = scene->is_live || c->read_consistency.len > 0 || users > LOOKED_AT_MAX
				  ? NULL
				  : scene->cql;
	settings->max_uid_renumbers = s->conf.metacache_merge_max_uid_renumbers;
	settings->center_per_zone = s->cql.data_center_per_zone;
	settings->cache_max_ns = caches;
	settings->site_down_ns = c->site_down.low;
	settings->overlap_max_ns = caches + c->recheck.high + c->user_move_timeout.high +
				   25 * LAB_SEC + c->disconnect_delay.high;
	settings->balance_min_ns = c->balance_interval.low;
	/* And a read of the view that takes its time. */
	settings->name_max_ns = c->view_ttl.high + 10 * LAB_SEC;
	settings->recovery_max_ns = 180 * LAB_SEC + interval;
	settings->site_decision_ns = c->site_down.high;
	/* A lookup may have to wait for a Cassandra node that is gone. */
	settings->login_max_ns = c->proxy_timeout.high + 30 * LAB_SEC;
}

struct oracle *judge_new_oracle(const struct scene *scene, struct lab_heap *heap)
{
	const struct scenario *s = scene->options->scenario;
	static const struct dict_cql_connect no_dict;
	const struct dict_cql_connect *c =
		scene_connect(scene) != NULL ? scene_connect(scene) : &no_dict;
	const struct fs_uri_dictmap *dictmap = &s->endpoints.dictmap;
	const struct conf_http_url *url = &s->endpoints.s3;
	struct lab_view cache;
	struct oracle_settings settings = { .heap = heap,
		.auditor = SCENE_AUDITOR,
		.bucket = scenario_is_scality(&s->endpoints)
				  ? lab_view_cstr(scene_storage_name(scene))
				  : s->endpoints.bucket,
		.keys_are_ids =
			s->endpoints.flavour == FS_URI_HTTP_SPROXYD && !s->endpoints.s3.by_path,
		.has_dictmap = scenario_has_dictmap(&s->endpoints),
		.stores_paths = scenario_stores_paths(&s->endpoints) ||
				scenario_has_migrated_mails(&s->endpoints),
		.is_migrated_later = s->migrated_from.len > 0,
		.has_operators = scenario_has_operator(s),
		.rows_are_paths = dictmap->storage_passthrough_paths != FS_URI_PASSTHROUGH_NONE,
		.has_lockdir = dictmap->lockdir.len > 0,
		.keyspace = c->keyspace,
		.max_retries = LAB_MAX(url->read_max_retries,
			LAB_MAX(url->write_max_retries, url->delete_max_retries)),
		.min_retries = LAB_MIN(url->read_max_retries,
			LAB_MIN(url->write_max_retries, url->delete_max_retries)),
		.max_connect_retries = url->max_connect_retries,
		.has_absolute_timeout = url->absolute_timeout_ns != 0,
		.bulk_delete_limit = url->bulk_delete_limit,
		.read_consistency = (uint16_t)c->read_consistency,
		.write_consistency = (uint16_t)c->write_consistency,
		.delete_consistency = (uint16_t)c->delete_consistency,
		.read_fallback = (uint16_t)c->read_fallback_consistency,
		.write_fallback = (uint16_t)c->write_fallback_consistency,
		.delete_fallback = (uint16_t)c->delete_fallback_consistency,
		.clock_error_us = (int64_t)(s->hosts.clock_offset.high / 1000),
		.object_prefix = lab_view_skip(
			dictmap->storage_objectid_prefix, sizeof(SCENARIO_PROBE_USER) - 1),
		.bucket_size = dictmap->bucket_size,
		.bucket_parallelism = scene->node_count * 8,
		.delete_timestamp_us = (int64_t)(dictmap->delete_timestamp_ns / 1000),
		.upload_interval_ns = s->conf.metacache_upload_interval_ns,
		.close_delay_ns = s->conf.metacache_close_delay_ns,
		.forced_refresh_ns = s->conf.metacache_forced_refresh_interval_ns,
		.has_access_log = !s->is_foreign_s3,
		.has_small_pages = s->buggify.high > 0,
		.has_trace_headers = !url->no_trace_headers,
		.secrets = { url->password, c->password },
		.has_library_retries = scene->is_live,
		.has_statement_log = !s->is_foreign_cql,
		.has_reverse_rows = s->is_foreign_cql && dictmap->refcounting_table,
		.epoch_us = (int64_t)scene->epoch_us };

	/* Above it nobody is let in, but who is in goes on. */
	for (size_t i = 0; i < s->group_count && s->conf.metacache_max_space > 0; i++)
		settings.metacache_max_bytes += SESSION_BYTES * s->groups[i].count.high;
	if (s->conf.metacache_max_space > 0)
		settings.metacache_max_bytes +=
			s->conf.metacache_max_space + s->conf.metacache_max_grace;
	if (!disk_watch_fscache(&s->conf, &settings.fscache_max_bytes, &cache))
		settings.fscache_max_bytes = 0;
	take_plugins(s, heap, &settings);
	set_copies(&settings, s);
	set_costs(&settings, s);
	set_routing(&settings, scene, heap);
	take_secondary(s, &settings);
	return oracle_new(&settings);
}

void judge_backends(struct oracle *oracle, const struct scene *scene)
{
	for (size_t i = 0; i < scene->node_count; i++) {
		const struct node *node = &scene->nodes[i];

		if (node->env != NULL)
			oracle_backend_started(
				oracle, node->env->host, lab_view_cstr(node->name), node->boots);
	}
}

void judge_proxies(struct oracle *oracle, struct palomar *palomar)
{
	const struct palomar_host *host;

	for (size_t i = 0; palomar != NULL && (host = palomar_host_at(palomar, i)) != NULL; i++)
		oracle_backend_started(
			oracle, host->env->host, lab_view_cstr(host->name), host->boots);
}

void judge_access(struct oracle *oracle, const struct sim_access *access, struct run_result *r)
{
	oracle_access(oracle, access);
	r->storage_requests++;
	r->s3_requests += strcmp(access->service, "s3") == 0 ||
			  strcmp(access->service, "sproxyd") == 0 ||
			  strcmp(access->service, "cdmi") == 0;
	r->cql_requests += strcmp(access->service, "cql") == 0;
	r->imds_requests += strcmp(access->service, "imds") == 0;
}

/* A run in which nothing ever worked proves nothing. */
static bool nothing_worked(const struct history *history)
{
	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		if (history_total(history, (enum history_kind)k, HISTORY_OK) > 0)
			return false;
	}
	return history_count(history) > 0;
}

static const char *why_inconclusive(
	const struct judge_case *c, const struct oracle_verdict *verdict)
{
	return verdict->is_unknown              ? verdict->unknown
	       : !workload_is_idle(c->workload) ? "operations never ended"
	       : nothing_worked(c->history)     ? "no operation ever succeeded"
						: NULL;
}

static void collect_excuses(const struct oracle_verdict *v, struct run_result *r)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct oracle_finding *f = &v->findings[i];
		char text[EXCUSE_TEXT_MAX];

		if (f->excuse == NULL)
			continue;
		(void)snprintf(text, sizeof(text), "%s: %s", f->signature, f->excuse);
		excuses_add(&r->excuses, text, 1);
	}
}

static void collect_signatures(const struct oracle *oracle, struct run_result *r)
{
	const char *found[RUN_SIGNATURES_MAX];

	r->signature_count = oracle_found(oracle, found, RUN_SIGNATURES_MAX);
	for (size_t i = 0; i < r->signature_count; i++)
		(void)snprintf(r->signatures[i], sizeof(r->signatures[i]), "%s", found[i]);
}

void judge(const struct judge_case *c, struct run_result *r)
{
	struct oracle_case oracle_case = { .history = c->history,
		.s3 = c->scene->s3,
		.ring = c->scene->ring,
		.cql = c->scene->cql,
		.faults = c->scene->plan,
		.healed_ns = c->healed_ns,
		.ended_ns = c->ended_ns };
	struct oracle_verdict verdict;
	const char *unknown;

	oracle_judge(c->oracle, &oracle_case, &verdict);
	r->findings = verdict.failures;
	r->excused = verdict.excused;
	r->leaked_objects = verdict.leaked_objects;
	collect_excuses(&verdict, r);
	collect_signatures(c->oracle, r);
	r->costs = *oracle_costs(c->oracle);
	r->routing = *oracle_routing(c->oracle);
	unknown = why_inconclusive(c, &verdict);
	if (verdict.failures > 0) {
		r->verdict = RUN_FAIL;
		report_failure(c, &oracle_case, &verdict, r);
	} else if (unknown != NULL) {
		r->verdict = RUN_INCONCLUSIVE;
		snprintf(r->report, sizeof(r->report), "INCONCLUSIVE  %s  seed %" PRIu64 "  %s\n",
			c->options->scenario->path, r->seed, unknown);
	}
}

void judge_scripts(const struct judge_case *c, const struct scripts *scripts, struct run_result *r)
{
	struct script_report report;

	scripts_report(scripts, &report);
	memcpy(r->holds, report.caught, sizeof(r->holds));
	if (report.failed == 0)
		return;
	r->findings += report.failed;
	/* What the oracle found says more. */
	if (r->verdict == RUN_FAIL)
		return;
	r->verdict = RUN_FAIL;
	report_script(c, &report, r);
}

/* What was not so as it always is; what the oracle found, or a broken laboratory, comes first. */
void judge_always(const struct judge_case *c, struct run_result *r)
{
	for (unsigned a = 0; a < LAB_ALWAYS_COUNT; a++) {
		const char *name = lab_always_name((enum lab_always)a);

		if (r->always.failed[a] == 0)
			continue;
		r->findings += r->always.failed[a];
		if (r->verdict == RUN_FAIL || r->verdict == RUN_BROKEN)
			continue;
		r->verdict = RUN_FAIL;
		(void)snprintf(r->signature, sizeof(r->signature), "always %s", name);
		report_always(c, (enum lab_always)a, r);
	}
}

static void collect_episodes(const struct judge_case *c, struct run_result *r)
{
	size_t count, own = c->options->episode_count;
	const struct fault_episode *episodes = fault_plan_episodes(c->scene->plan, &count);

	for (size_t i = 0; i < own; i++) {
		r->episode_asked[i] = episodes[c->scene->first_episode + i].asked;
		r->episode_fired[i] = episodes[c->scene->first_episode + i].fired;
	}
}

void judge_collect(const struct judge_case *c, struct run_result *r)
{
	r->trace_hash = c->trace_hash;
	r->events = c->events;
	r->virtual_ns = c->ended_ns;
	r->users = workload_users(c->workload);
	r->crashes = c->crashes;
	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		for (unsigned o = 0; o <= HISTORY_UNCERTAIN; o++)
			r->operations[k][o] = history_total(
				c->history, (enum history_kind)k, (enum history_outcome)o);
	}
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++)
		r->faults[k] = fault_fired_kind(c->scene->plan, (enum fault_kind)k);
	collect_episodes(c, r);
}

void judge_broken(
	const struct run_options *options, const struct lab_error *err, struct run_result *r)
{
	r->verdict = RUN_BROKEN;
	snprintf(r->signature, sizeof(r->signature), "laboratory");
	snprintf(r->report, sizeof(r->report), "BROKEN  %s  seed %" PRIu64 "  %s\n",
		options->scenario->path, r->seed, err->message);
}
