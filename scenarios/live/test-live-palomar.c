/* SPDX-License-Identifier: Apache-2.0
 *
 * A Palomar cluster over real sockets: a zone is killed and comes back, in seconds.
 */
#include "scenarios/live/live-run.h"

#include "scenarios/format/testing-scenario.h"

#define ZONES 3
#define SITES \
	"site az1 {\n  backends = 1\n}\nsite az2 {\n  backends = 1\n}\nsite az3 {\n" \
	"  backends = 1\n}\n"
#define CLUSTER \
	"cluster {\n  proxies = 1\n  user_ttl = 1 s\n  group_ttl = 500 ms\n" \
	"  view_ttl = 500 ms\n  recheck = 1 s\n  user_move_timeout = 1 s\n" \
	"  proxy_timeout = 20 s\n  proxy_max_reconnects = 0\n  disconnect_delay = 200 ms\n" \
	"  controllers = no\n}\n"
#define STORES \
	"store s3 {\n  latency_read = 2 ms\n  latency_write = 2 ms\n  latency_list = 2 ms\n}\n" \
	"store cql {\n  nodes = 3\n  replication_factor = 3\n  conviction = 300 ms\n}\n"
#define USERS \
	"user u {\n  count = 12\n  mail_inbox_delivery_interval = 400 ms\n" \
	"  mail_session_interval = 200 ms\n  mail_session_length = 1 s\n" \
	"  mail_action_delay = 200 ms\n  mail_size = 1 k\n  folders = 1\n" \
	"  mail_delivery_retries = 1000\n  mail_delivery_retry_delay = 500 ms\n}\n"
#define SCENARIO(storm) \
	TESTING_INCLUDE "scenario {\n  warmup = 2 s\n  duration = " storm \
			"\n  settle = 1 s\n}\n" SITES CLUSTER STORES USERS

static struct testing_loader loader;
static struct run_result result; /* large */
static struct lab_error err;

static int setup(void **state)
{
	testing_setup(state);
	testing_loader_init(&loader);
	return 0;
}

/* What was seen before, while and after the zone was away. */
struct seen {
	/* Logins that succeeded, to the backend and by the proxy of each zone: backend-N, proxy-N
	 * and cassandra-N are in azN. */
	unsigned logins, to[ZONES + 1], by[ZONES + 1];
	unsigned reconnected[ZONES + 1]; /* to a Cassandra node */
	unsigned refused;                /* connections to any */
	unsigned crashed, started;       /* hosts */
};

static struct {
	enum {
		BEFORE,
		MEANWHILE,
		AFTER
	} now;
	struct seen seen[AFTER + 1];
	size_t zone; /* that is lost */
} watch;

static struct lab_view text_of(const struct lab_event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) == 0)
			return event->fields[i].text;
	}
	return LAB_VIEW("");
}

static size_t zone_of(struct lab_view name)
{
	uint64_t zone = 0;

	if (name.len == 0 || lab_view_to_u64(lab_view_skip(name, name.len - 1), &zone) < 0 ||
		zone > ZONES)
		return 0;
	return (size_t)zone;
}

static void on_login(struct seen *seen, const struct lab_event *event)
{
	seen->logins++;
	seen->to[zone_of(text_of(event, "dest_host"))]++;
	seen->by[zone_of(text_of(event, "proxy"))]++;
}

static void on_event(void *ctx, const struct lab_event *event, const char *host)
{
	struct seen *seen = &watch.seen[watch.now];
	struct lab_view message = text_of(event, "message");

	(void)ctx;
	(void)host;
	if (event->id == LAB_EV_episode_started) {
		watch.zone = zone_of(text_of(event, "target"));
		watch.now = MEANWHILE;
	} else if (event->id == LAB_EV_episode_finished) {
		watch.now = AFTER;
	} else if (event->id == LAB_EV_proxy_session_established) {
		on_login(seen, event);
	} else if (event->id == LAB_EV_log_message) {
		seen->refused += lab_view_find(message, LAB_VIEW("ECONNREFUSED")) != SIZE_MAX;
	} else if (event->id == LAB_EV_cassandra_reconnected) {
		seen->reconnected[zone_of(text_of(event, "dest_host"))]++;
	}
	seen->crashed += event->id == LAB_EV_host_crashed;
	seen->started += event->id == LAB_EV_host_started;
}

static void run(const char *scenario, uint64_t seed)
{
	struct run_options options = { .seed = seed, .on_event = on_event };
	uint64_t wall_ns = 0;

	memset(&watch, 0, sizeof(watch));
	testing_load_ok(&loader, scenario);
	options.scenario = loader.scenario;
	if (run_live(&options, &result, &wall_ns, &err) < 0)
		fail_msg("%s", err.message);
	if (result.verdict != RUN_PASS)
		fail_msg("%s\n%s", run_verdict_name(result.verdict), result.report);
}

/* ---- tests ---- */

static void proxies_bring_everybody_to_his_backend(void **state)
{
	(void)state;

	run(SCENARIO("2 s"), 1);

	assert_int_equal(result.crashes, 0);
	assert_true(result.routing.logins.count > 20);
	assert_int_equal(result.routing.failed_logins, 0);
	assert_int_equal(result.routing.overlaps.count, 0);
	assert_true(result.operations[HISTORY_DELIVER][HISTORY_OK] > 0);
	assert_true(result.operations[HISTORY_FETCH][HISTORY_OK] > 0);
}

static void a_zone_is_killed_and_comes_back(void **state)
{
	const struct seen *before = &watch.seen[BEFORE], *meanwhile = &watch.seen[MEANWHILE],
			  *after = &watch.seen[AFTER];
	(void)state;

	run(SCENARIO("8 s") "fault zone {\n  kinds = zone_lost\n  target = zone\n"
			    "  episodes = 1\n  length = 4 s\n}\n",
		2);

	assert_int_equal(result.faults[FAULT_zone_lost], 1);
	assert_int_equal(result.crashes, 2); /* its backend and its proxy */
	assert_int_equal(meanwhile->crashed, 2);
	assert_int_equal(meanwhile->started, 2); /* the end is told when they are back */
	assert_int_equal(after->started, 1);     /* the auditor */
	/* Users of the zone wait, the others do not, and nobody comes through it. */
	assert_true(watch.zone > 0);
	assert_true(before->to[watch.zone] > 0 && before->by[watch.zone] > 0);
	assert_true(meanwhile->logins > 10);
	assert_int_equal(meanwhile->to[watch.zone], 0);
	assert_int_equal(meanwhile->by[watch.zone], 0);
	assert_true(after->to[watch.zone] > 0 && after->by[watch.zone] > 0);
	/* Its sockets were gone. */
	assert_int_equal(before->refused, 0);
	assert_true(meanwhile->refused > 0);
	assert_int_equal(meanwhile->reconnected[watch.zone], 0);
	assert_true(after->reconnected[watch.zone] > 0);
	assert_int_equal(result.routing.logins_after_crash, meanwhile->logins + after->logins);
}

/* Groups are taken over by the other backend of the site, which a zone without others has not. */
static void a_backend_and_a_proxy_crash_alone(void **state)
{
	(void)state;

	run(TESTING_INCLUDE "scenario {\n  warmup = 1 s\n  duration = 4 s\n  settle = 1 s\n}\n"
			    "site az1 {\n  backends = 2\n}\n" CLUSTER STORES USERS
			    "fault proxy {\n  kinds = crash\n  target = proxy\n  episodes = 1\n"
			    "  length = 500 ms\n}\n"
			    "fault backend {\n  kinds = crash\n  target = backend\n  episodes = 1\n"
			    "  length = 1 s\n  disk = wipe\n}\n",
		3);

	assert_int_equal(result.crashes, 2);
	assert_int_equal(result.faults[FAULT_crash], 2);
	assert_true(result.routing.failed_logins > 0);
	assert_true(result.routing.logins_after_crash > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(proxies_bring_everybody_to_his_backend),
		TEST(a_zone_is_killed_and_comes_back),
		TEST(a_backend_and_a_proxy_crash_alone),
	};

	return cmocka_run_group_tests_name("live-palomar", tests, NULL, NULL);
}
