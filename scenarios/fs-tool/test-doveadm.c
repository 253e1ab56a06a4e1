/* SPDX-License-Identifier: Apache-2.0
 *
 * What doveadm is told of a backend, over several runs, and of two.
 */
#include "core/env/live/live.h"
#include "core/obox/obox.h"
#include "scenarios/fs-tool/testing-bed.h"

#define ROOT "/tmp/test-fs-tool-XXXXXX"

/* ---- doveadm's commands on a backend ---- */

static int doveadm(struct bed *bed, const char *text)
{
	struct fs_tool_job job = { .print = print, .print_ctx = bed };
	struct operator_command command;
	int result, status;

	assert_int_equal(operator_parse_text(lab_view_cstr(text), &command, &bed->err), 0);
	bed->out_len = 0;
	bed->out[0] = '\0';
	bed->settings.command = &command;
	result = fs_tool_run(&bed->settings, &job, &bed->result, &bed->err);
	status = operator_exit_in_use(&command, result, &bed->err);
	return status != 0 ? status : fs_tool_status(result, &bed->result, &bed->err);
}

/* One backend, whose directory stays from run to run. */
struct one {
	struct bed bed;
	struct conf_settings conf;
	struct fs_tool_settings plain; /* of the objects as they lie there */
	char root[sizeof(ROOT)];
	const char *variables[1];
};

static void one_open(struct one *one)
{
	struct bed *bed = &one->bed;
	char text[1024];

	(void)snprintf(one->root, sizeof(one->root), ROOT);
	assert_non_null(mkdtemp(one->root));
	bed_open(bed, "");
	one->plain = bed->settings;
	(void)snprintf(text, sizeof(text),
		"mail_location = obox:%%u:INDEX=~/:CONTROL=~/\nmail_home = /home/%%u\nplugin {\n"
		"obox_fs = s3:http://AKID:se%%%%2fcr%%%%3Aet@127.0.0.1:%u/?bucket=mails\n}\n",
		http_front_end_port(bed->front_end));
	one->conf = conf_of(bed, text);
	one->variables[0] = "hostname=b1";
	bed->settings = (struct fs_tool_settings){ .conf = &one->conf,
		.filter = "obox_fs",
		.root = one->root,
		.variables = one->variables,
		.variable_count = 1,
		.on_event = print_event,
		.on_event_ctx = bed };
}

static void one_close(struct one *one)
{
	bed_close(&one->bed);
	assert_int_equal(live_directory_remove(one->root), 0);
}

static void test_doveadm_over_several_runs(void **state)
{
	struct one one;
	struct bed *bed = &one.bed;

	(void)state;
	one_open(&one);
	/* There is nobody yet. */
	assert_int_equal(doveadm(bed, "metacache remove u@x"), 1);
	assert_non_null(strstr(bed->err.message, "knows no user"));
	assert_int_equal(doveadm(bed, "obox user delete -u u@x"), 0);
	/* Its root lies there since the run before. */
	assert_int_equal(doveadm(bed, "metacache list u*"), 0);
	assert_non_null(strstr(bed->out, "\nu@x\t"));
	assert_int_equal(doveadm(bed, "metacache update userdb u@x group g1"), 0);
	assert_int_equal(doveadm(bed, "metacache list -f group g1"), 0);
	assert_non_null(strstr(bed->out, "user_group=g1"));
	assert_int_equal(doveadm(bed, "metacache flushall"), 0);
	assert_string_equal(bed->out, "uploaded\t0\n");
	assert_int_equal(doveadm(bed, "obox user wait -t 1 -u u@x"), 0);
	assert_int_equal(doveadm(bed, "metacache rescan"), 0);
	assert_non_null(strstr(bed->out, "users\t1\n"));
	assert_int_equal(doveadm(bed, "metacache pull -u u@x b2"), 2);
	assert_int_equal(doveadm(bed, "fts check full -u u@x"), 2);
	one.conf.fts.text = LAB_VIEW("dovecot");
	one.conf.fts_dovecot_fs = one.conf.obox_fs;
	assert_int_equal(doveadm(bed, "fts check full -u u@x"), 0);
	assert_non_null(strstr(bed->out, "synced\t0\n"));
	assert_non_null(strstr(bed->out, "duplicate\t0\ntriplets\t0\n"));
	/* It makes no folder: nobody has an INBOX yet. */
	assert_int_equal(doveadm(bed, "fts check fast -u u@x INBOX"), 1);
	assert_string_equal(bed->err.message, "there is no folder INBOX");
	assert_int_equal(doveadm(bed, "metacache clean -A"), 0);
	assert_int_equal(doveadm(bed, "metacache status -b --roots"), 0);
	assert_non_null(strstr(bed->out, "bytes-used\t0\n"));
	assert_non_null(strstr(bed->out, "root\t/home\n"));
	one_close(&one);
}

static int object(struct one *one, enum fs_tool_command command, const char *path)
{
	struct fs_tool_settings doveadm = one->bed.settings;
	int status;

	one->bed.settings = one->plain;
	status = RUN(&one->bed, .command = command, PATHS(path), .input = LAB_VIEW("words"));
	one->bed.settings = doveadm;
	return status;
}

/* Of what lies there only what has the name of an FTS object. */
static void test_deleted_user_has_no_search_index(void **state)
{
	static const char *const triplet = "L.00112233445566778899aabbccddeeff";
	struct one one;

	(void)state;
	one_open(&one);
	assert_int_equal(object(&one, FS_TOOL_put, triplet), 0);
	assert_int_equal(object(&one, FS_TOOL_put, "L.other"), 0);
	assert_int_equal(doveadm(&one.bed, "obox user delete -u u@x"), 0);
	assert_int_equal(object(&one, FS_TOOL_get, triplet), 0);
	one.conf.fts.text = LAB_VIEW("dovecot");
	one.conf.fts_dovecot_fs = one.conf.obox_fs;
	assert_int_equal(doveadm(&one.bed, "obox user delete -u u@x"), 0);
	assert_int_equal(object(&one, FS_TOOL_get, triplet), 1);
	assert_int_equal(object(&one, FS_TOOL_get, "L.other"), 0);
	one_close(&one);
}

/* ---- metacache pull from a directory of this machine ---- */

#define PEERS 2

struct peers {
	struct bed bed;
	char roots[PEERS][64], peer[PEERS][96];
	const char *variables[PEERS];
	struct conf_settings conf;
};

static void peers_open(struct peers *peers)
{
	static const char *const names[PEERS] = { "hostname=b1", "hostname=b2" };
	struct bed *bed = &peers->bed;
	char text[1024];

	bed_open(bed, "");
	(void)snprintf(text, sizeof(text),
		"mail_location = obox:%%u:INDEX=~/:CONTROL=~/\nmail_home = /home/%%u\nplugin {\n"
		"obox_fs = s3:http://AKID:se%%%%2fcr%%%%3Aet@127.0.0.1:%u/?bucket=mails\n}\n",
		http_front_end_port(bed->front_end));
	peers->conf = conf_of(bed, text);
	for (unsigned i = 0; i < PEERS; i++) {
		(void)snprintf(peers->roots[i], sizeof(peers->roots[i]), ROOT);
		assert_non_null(mkdtemp(peers->roots[i]));
		(void)snprintf(
			peers->peer[i], sizeof(peers->peer[i]), "b%u=%s", i + 1, peers->roots[i]);
		peers->variables[i] = names[i];
	}
}

static void peers_close(struct peers *peers)
{
	bed_close(&peers->bed);
	for (unsigned i = 0; i < PEERS; i++)
		assert_int_equal(live_directory_remove(peers->roots[i]), 0);
}

static int doveadm_on(struct peers *peers, unsigned i, const char *peer, const char *text)
{
	peers->bed.settings = (struct fs_tool_settings){ .conf = &peers->conf,
		.filter = "obox_fs",
		.root = peers->roots[i],
		.peer = peer,
		.variables = &peers->variables[i],
		.variable_count = 1,
		.on_event = print_event,
		.on_event_ctx = &peers->bed };
	return doveadm(&peers->bed, text);
}

/* Three mails and a flag in INBOX, on the backend whose "/" is the i-th directory. */
struct delivery {
	struct peers *peers;
	bool is_crash; /* it never stops */
	bool is_done;
};

static void deliver(struct env *env, void *arg)
{
	struct delivery *delivery = arg;
	struct backend_settings settings = { .env = env, .conf = &delivery->peers->conf };
	struct obox_save mail = { .body = LAB_VIEW("hello") };
	struct obox_mailbox *inbox;
	struct obox_user *user;
	struct obox_saved saved;
	struct backend *backend;

	assert_int_equal(backend_start(&settings, &backend, NULL), 0);
	assert_int_equal(backend_user_open(backend, LAB_VIEW("u@x"), &user, NULL), 0);
	assert_true(obox_mailbox_open(user, LAB_VIEW("INBOX"), &inbox, NULL) >= 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(obox_save(inbox, &mail, &saved, NULL), 0);
	obox_mailbox_close(&inbox);
	backend_user_release(&user);
	if (!delivery->is_crash)
		backend_stop(&backend);
	delivery->is_done = true;
}

static bool is_delivered(void *ctx)
{
	return ((const struct delivery *)ctx)->is_done;
}

static void deliver_on(struct peers *peers, unsigned i, bool is_crash)
{
	struct delivery delivery = { .peers = peers, .is_crash = is_crash };
	struct live_settings settings = { 0 };
	struct live_host_settings host = { .hostname = peers->variables[i] + strlen("hostname="),
		.root = peers->roots[i] };
	struct live_host *started;
	struct live *live;

	assert_int_equal(live_new(&settings, &live, NULL), 0);
	assert_int_equal(live_host_new(live, &host, &started, NULL), 0);
	assert_int_equal(live_start(started, "test", deliver, &delivery, NULL), 0);
	assert_int_equal(live_run(live, ENV_FOREVER, is_delivered, &delivery), 0);
	live_free(&live);
}

/* Bytes of the user's local indexes: of folders, and with the root's. */
static uint64_t bytes_on(struct peers *peers, unsigned i, bool has_root)
{
	struct lab_view rest, field;
	uint64_t bytes, sum = 0;
	const char *at;

	assert_int_equal(doveadm_on(peers, i, NULL, "metacache list u@x"), 0);
	at = strstr(peers->bed.out, "\nu@x\t");
	if (at == NULL)
		return 0;
	rest = lab_view_cstr(at + 1);
	/* username, user, upload-within, then three for each priority. */
	for (unsigned n = 0; n < 3 + 3 * METACACHE_PRIORITIES; n++) {
		assert_true(lab_view_split(&rest, '\t', &field));
		if (n < 3 || n % 3 != 0 || (n == 3 && !has_root))
			continue;
		assert_int_equal(lab_view_to_u64(field, &bytes), 0);
		sum += bytes;
	}
	return sum;
}

static void test_a_pull_between_two_directories(void **state)
{
	static struct peers peers;
	const struct bed *bed = &peers.bed;

	(void)state;
	peers_open(&peers);
	deliver_on(&peers, 0, false);
	assert_true(bytes_on(&peers, 0, false) > 0);
	assert_int_equal(bytes_on(&peers, 1, false), 0);
	/* Its root and INBOX, and no bundle is read. */
	assert_int_equal(doveadm_on(&peers, 1, peers.peer[0], "metacache pull -u u@x b1"), 0);
	assert_string_equal(bed->out, "taken\t2\n");
	assert_null(strstr(bed->log, "bundle_download"));
	assert_true(bytes_on(&peers, 1, false) > 0);
	assert_true(bytes_on(&peers, 0, false) > 0);
	/* All is known now, and the source gives it up. */
	assert_int_equal(
		doveadm_on(&peers, 1, peers.peer[0], "metacache pull --clean -u u@x b1"), 0);
	assert_string_equal(bed->out, "taken\t0\n");
	assert_int_equal(bytes_on(&peers, 0, false), 0);
	assert_int_equal(bytes_on(&peers, 0, true), 0);
	assert_true(bytes_on(&peers, 1, false) > 0);
	peers_close(&peers);
}

static void test_what_a_crash_left_is_not_pulled(void **state)
{
	static struct peers peers;

	(void)state;
	peers_open(&peers);
	deliver_on(&peers, 0, true);
	assert_int_equal(doveadm_on(&peers, 1, peers.peer[0], "metacache pull -u u@x b1"), 1);
	assert_int_equal(bytes_on(&peers, 1, false), 0);
	peers_close(&peers);
}

static void test_peers_that_are_none(void **state)
{
	static struct peers peers;
	const struct bed *bed = &peers.bed;
	char same[128];

	(void)state;
	peers_open(&peers);
	assert_int_equal(doveadm_on(&peers, 1, NULL, "metacache pull -u u@x b1"), 2);
	assert_non_null(strstr(bed->err.message, "(--peer b1=DIR)"));
	assert_int_equal(doveadm_on(&peers, 1, peers.peer[0], "metacache pull -u u@x b3"), 2);
	assert_non_null(strstr(bed->err.message, "(--peer b3=DIR)"));
	assert_int_equal(doveadm_on(&peers, 1, "b1", "metacache pull -u u@x b1"), 2);
	assert_non_null(strstr(bed->err.message, "is not NAME=DIR"));
	assert_int_equal(doveadm_on(&peers, 1, "=x", "metacache pull -u u@x b1"), 2);
	assert_int_equal(doveadm_on(&peers, 1, "b1=", "metacache pull -u u@x b1"), 2);
	assert_int_equal(doveadm_on(&peers, 1, "b1=/none/at/all", "metacache pull -u u@x b1"), 2);
	(void)snprintf(same, sizeof(same), "b1=%s//", peers.roots[1]);
	assert_int_equal(doveadm_on(&peers, 1, same, "metacache pull -u u@x b1"), 2);
	assert_non_null(strstr(bed->err.message, "the backend that asks"));
	/* A name that both have. */
	(void)snprintf(same, sizeof(same), "b2=%s", peers.roots[0]);
	assert_int_equal(doveadm_on(&peers, 1, same, "metacache pull -u u@x b2"), 2);
	peers_close(&peers);
}

/* ---- fscache rescan ---- */

static void write_file(const char *root, const char *path, const char *text)
{
	char name[256];
	FILE *file;

	(void)snprintf(name, sizeof(name), "%s%s", root, path);
	file = fopen(name, "we");
	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
}

static void test_fscache_is_counted(void **state)
{
	static struct peers peers;
	char directory[128];

	(void)state;
	peers_open(&peers);
	assert_int_equal(doveadm_on(&peers, 0, NULL, "fscache rescan /cache"), 1);
	assert_int_equal(doveadm_on(&peers, 0, NULL, "fscache rescan cache"), 2);
	(void)snprintf(directory, sizeof(directory), "%s/cache", peers.roots[0]);
	assert_int_equal(mkdir(directory, 0700), 0);
	write_file(peers.roots[0], "/cache/one", "12345");
	write_file(peers.roots[0], "/cache/two", "123");
	/* This process has counted nothing yet. */
	assert_int_equal(doveadm_on(&peers, 0, NULL, "fscache rescan /cache"), 0);
	assert_string_equal(
		peers.bed.out, "files\t2\nbytes-before\t0\nbytes-used\t8\nsize\tnot counted yet\n");
	peers_close(&peers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doveadm_over_several_runs),
		cmocka_unit_test(test_deleted_user_has_no_search_index),
		cmocka_unit_test(test_a_pull_between_two_directories),
		cmocka_unit_test(test_what_a_crash_left_is_not_pulled),
		cmocka_unit_test(test_peers_that_are_none),
		cmocka_unit_test(test_fscache_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
