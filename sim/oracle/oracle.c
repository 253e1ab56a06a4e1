/* SPDX-License-Identifier: Apache-2.0
 *
 * oracle.c - the judgement: the model of the mails is built, then each invariant is held against
 * it.
 */
#include "sim/oracle/ledger.h"
#include "sim/oracle/oracle-private.h"

#define WORK_MAX ((size_t)4 << 30)

static const struct oracle_invariant invariants[] = {
	{ 1, "no-lost-mail",
		"A mail that was acknowledged and not expunged is in its folder after "
		"heal, "
		"and can be read." },
	{ 2, "no-undone-expunge", "A mail whose expunge was acknowledged is in no later listing." },
	{ 3, "no-lost-flag",
		"A change of a flag that was acknowledged holds until another that knew "
		"it; "
		"only a crash costs what is younger than metacache_upload_interval." },
	{ 4, "no-lost-delivery-flag", "The same of flags that a mail was saved with." },
	{ 5, "no-phantom",
		"What failed for certain is not there; each mail is there at most as often "
		"as "
		"attempts explain, under different object names." },
	{ 6, "same-uidvalidity",
		"UIDVALIDITY changes only with a merge that says so, and never "
		"decreases." },
	{ 7, "same-uid",
		"UIDNEXT never decreases, and no UID denotes two mails within one "
		"UIDVALIDITY." },
	{ 8, "no-duplicates", "No UID and no object name is twice in one listing." },
	{ 9, "kept-uid",
		"A mail keeps its UID, also over a crash; only a merge of what two "
		"backends did at once gives it another." },
	{ 10, "growing-modseq",
		"HIGHESTMODSEQ and modseqs of mails never decrease, and each change is "
		"above all that was reported before." },
	{ 11, "no-lost-folder",
		"Folders, their names, GUIDs and subscriptions are what was acknowledged last; "
		"what was deleted stays so; there is one INBOX, and nothing is recovered that was "
		"not lost." },
	{ 12, "no-dangling-row",
		"Each forward row's object is stored; without dictmap, each listed mail." },
	{ 13, "rows-in-pairs",
		"Each forward row has its reverse row; a reverse row is alone only where "
		"something had failed." },
	{ 14, "no-early-delete", "A body is deleted only if no row refers to it any more." },
	{ 15, "leak-bound", "An object without rows is what a failure left behind." },
	{ 16, "buckets",
		"No bucket has more rows than bucket-size and what runs in parallel, and "
		"no "
		"row is above max_bucket." },
	{ 17, "bundle-rows",
		"Each row of an index bundle has its object, and where there are diffs "
		"there is a base." },
	{ 18, "few-bundles", "A folder has one base bundle, and one of each host beside it." },
	{ 19, "copy-in-dict", "A copy of what has an object id writes and deletes no object." },
	{ 20, "no-overwrite",
		"No mail is written over, and with dictmap the bucket is never listed." },
	{ 21, "same-body", "Each FETCH gives the body that was delivered." },
	{ 22, "convergence",
		"After heal, when every backend has refreshed and uploaded a user twice around, "
		"all "
		"show the same mails, flags and UIDs." },
	{ 23, "no-stale-overwrite",
		"Only who has read or written a bundle deletes it, once another one says what it "
		"did." },
	{ 24, "cheap-opens",
		"What a backend keeps it asks nobody about; finding nothing new takes two SELECTs "
		"and no GET." },
	{ 25, "no-trust-after-crash", "After a crash no index of before is used." },
	{ 26, "disk-use",
		"Local indexes stay within metacache_max_space and its grace, fscache comes back "
		"to its size, and a rescan finds what is there." },
	{ 27, "quota-is-the-sum",
		"A quota is the sum of the virtual sizes of the mails that count, and what has "
		"room is "
		"not refused." },
	{ 28, "exact-search",
		"A search finds the mails that have the word, and no others; after heal the index "
		"has every mail, and without faults nothing else than mails and what is to be "
		"expunged." },
	{ 29, "lazy-expunge",
		"What was expunged is in the expunge folder, once with only_last_instance, and not "
		"shorter "
		"than autoexpunge." },
	{ 30, "isolation", "No request and no row touches another user's objects." },
	{ 31, "http-policy",
		"Attempts and waits of requests to the storage are the documented ones, "
		"and "
		"bulk deletes have at most bulk_delete_limit keys." },
	{ 32, "consistency", "Each CQL statement has the configured consistency or its fallback." },
	{ 33, "timestamps",
		"Statements carry client timestamps in microseconds: INSERT about now, "
		"DELETE about now plus delete-timestamp." },
	{ 34, "counts-reconcile",
		"What backends tell of their requests and what the services log of them are the "
		"same requests." },
	{ 35, "living-credentials",
		"Whoever is told that its credentials are dead has living ones within one "
		"refresh." },
	{ 36, "costs",
		"An action asks for what the table of costs says (`list costs`), no more and no "
		"less, while nothing fails." },
	{ ORACLE_R(1), "R1-one-backend",
		"While nothing has failed, no user has sessions on two backends at once." },
	{ ORACLE_R(2), "R2-bounded-overlap",
		"After the last trouble a user is on two backends for a bounded time only." },
	{ ORACLE_R(3), "R3-agreement",
		"In the end all proxies of all sites send a user to the same backend." },
	{ ORACLE_R(4), "R4-few-hops", "A login gets where it belongs in six hops." },
	{ ORACLE_R(5), "R5-nothing-for-good",
		"No login fails for good, and after the last trouble everybody gets in again "
		"within "
		"a bounded time." },
	{ ORACLE_R(6), "R6-moves-end",
		"In the end, when everybody has logged in once more, no group is being moved." },
	{ ORACLE_R(7), "R7-forced-moves",
		"A forced move takes whom its share hits, and nobody else; and as many as its "
		"percentage says." },
	{ ORACLE_R(8), "R8-no-thrash",
		"Controllers move one group in an interval, take nobody out whom they have just "
		"taken back, and never have most of a site out." },
	{ ORACLE_R(9), "R9-legal-target",
		"Once a backend is out and everybody has heard of it, nobody is sent there; who is "
		"not found under its own name serves nobody." },
	{ ORACLE_R(10), "R10-without-controllers",
		"While nothing is missing but controllers logins and deliveries succeed, and no "
		"status changes by itself." },
	{ ORACLE_M(1), "M1-nothing-lost",
		"Of each mail there are as many copies as were acknowledged, wherever they are, "
		"and no more than attempts explain." },
	{ ORACLE_M(2), "M2-uids-stay",
		"What is read under a UID is always the same mail, and no merge gives more mails "
		"new UIDs than it may." },
	{ ORACLE_M(3), "M3-flags-bounded",
		"A crash costs changes of flags of the last upload interval, a clean move none." },
	{ ORACLE_M(4), "M4-expunged-stays", "Copies that were expunged do not come back." },
	{ ORACLE_M(5), "M5-no-dangling",
		"Nobody ever comes upon a row whose object is not in the storage." },
	{ ORACLE_T(1), "T1-recovery",
		"Who loses his backend has one again within a bounded time." },
	{ ORACLE_T(2), "T2-zone-recovery",
		"Who has lost his zone is served again within T1 and the decision that its site is "
		"out." },
	{ ORACLE_T(3), "T3-login-time", "99 % of all logins take no longer than the proxy waits." },
};

const struct oracle_invariant *oracle_invariants(size_t *ret_count)
{
	*ret_count = LAB_COUNT_OF(invariants);
	return invariants;
}

void oracle_tell_times(struct oracle *oracle, struct oracle_times *times)
{
	oracle->times = times;
}

static void free_maps(struct oracle_model *model)
{
	struct lab_map **maps[] = { &model->instances, &model->by_name, &model->objects,
		&model->object_keys, &model->mails, &model->tallies, &model->audits, &model->owners,
		&model->unnamed, &model->bundle_keys, &model->lists, &model->movers,
		&model->lost_folders };

	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		lab_map_free(maps[i]);
}

static void excuse_all(struct oracle *oracle, const struct oracle_case *c)
{
	oracle_excuse_lies(oracle, c);
	oracle_excuse_stale_indexes(oracle, c);
	oracle_excuse_unmerged(oracle);
	ledger_excuse(oracle);
}

void oracle_judge(struct oracle *oracle, const struct oracle_case *c, struct oracle_verdict *ret)
{
	struct oracle_times *times = oracle->times;

	*ret = (struct oracle_verdict){ 0 };
	oracle_times_begin(times);
	oracle->verdict = ret;
	oracle->finding_count = 0;
	lab_arena_free(&oracle->work);
	oracle->work = lab_arena_new(oracle->settings.heap, WORK_MAX);
	oracle_check_requests(oracle, c);
	oracle_times_lap(times, ORACLE_TIME_REQUESTS);
	reconcile_finish(oracle, c->ended_ns);
	oracle_times_lap(times, ORACLE_TIME_RECONCILE);
	routing_finish(oracle, c);
	oracle_times_lap(times, ORACLE_TIME_ROUTING);
	if (costs_are_kept(oracle))
		costs_finish(oracle, c->ended_ns);
	oracle_times_lap(times, ORACLE_TIME_COSTS);
	if (history_is_full(c->history)) {
		oracle_unknown(oracle, "the history is full: operations are missing from it");
		oracle_report_online(oracle);
	} else {
		oracle_model_build(oracle, c->history);
		oracle_times_lap(times, ORACLE_TIME_MODEL);
		oracle_check_folders(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_FOLDERS);
		/* What tells most comes first: a mail that has its finding gets no other. */
		oracle_check_required(oracle);
		oracle_times_lap(times, ORACLE_TIME_REQUIRED);
		oracle_check_bundles(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_BUNDLES);
		oracle_check_store(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_STORE);
		oracle_check_seen(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_SEEN);
		/* Nobody can say who knew what: the verdict is unknown, and blames nobody. */
		if (!knowledge_is_full(oracle->knowledge)) {
			oracle_check_flags(oracle, c);
			oracle_times_lap(times, ORACLE_TIME_FLAGS);
			oracle_check_imap(oracle, c);
			oracle_times_lap(times, ORACLE_TIME_IMAP);
			oracle_check_private(oracle, c);
			oracle_times_lap(times, ORACLE_TIME_PRIVATE);
		}
		oracle_check_fts(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_FTS);
		oracle_check_convergence(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_CONVERGENCE);
		oracle_check_quota(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_QUOTA);
		oracle_check_lazy_expunge(oracle, c);
		oracle_times_lap(times, ORACLE_TIME_LAZY);
		oracle_check_log(oracle, c);
		oracle_report_online(oracle);
		ledger_check(oracle, c);
		oracle_excuse_damage(oracle, c);
		free_maps(&oracle->model);
	}
	if (knowledge_is_full(oracle->knowledge))
		oracle_unknown(oracle, "too many uploads and refreshes of folders");
	if (oracle->lines_full)
		oracle_unknown(oracle, "more than %u requests: the last ones were not kept",
			ORACLE_LINES_MAX);
	excuse_all(oracle, c);
	oracle_findings_finish(oracle);
	oracle->verdict = NULL;
	oracle_times_lap(times, ORACLE_TIME_REST);
}
