/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of metrics= (cql-imds 3.3): the driver's and Dovecot's own counters as JSON, once a
 * second. Times in microseconds, rates in requests per second.
 */
#include "core/cql/cql-client-private.h"

#define INTERVAL_NS LAB_SEC
#define TICK_NS (5 * LAB_SEC)
#define FILE_MAX_BYTES 16384

/* Moving averages of 1, 5 and 15 minutes: 1 - exp(-5 s / t), in 1 / 2^20. */
#define RATES 3
static const int64_t alphas[RATES] = { 83840, 17331, 5809 };

struct cql_metrics {
	struct lab_histogram latency; /* us */
	struct env_cond wake;
	uint64_t started_ns, ticked_ns;
	uint64_t since_tick;  /* requests answered */
	int64_t rates[RATES]; /* millionths of a request per second */
	bool has_rates;
};

void cql_metrics_answered(struct cql_client *client, uint64_t took_ns)
{
	struct cql_metrics *m = client->metrics;
	if (m == NULL)
		return;
	lab_histogram_record(&m->latency, took_ns / LAB_USEC);
	m->since_tick++;
}

/* ---- arithmetic ---- */

static void tick(struct cql_metrics *m, uint64_t now)
{
	while (now - m->ticked_ns >= TICK_NS) {
		int64_t rate = (int64_t)(m->since_tick * 1000000 / (TICK_NS / LAB_SEC));
		for (size_t i = 0; i < RATES; i++) {
			m->rates[i] = m->has_rates ? m->rates[i] + (rate - m->rates[i]) *
									   alphas[i] / (1 << 20)
						   : rate;
		}
		m->has_rates = true;
		m->since_tick = 0;
		m->ticked_ns += TICK_NS;
	}
}

static uint64_t square_root(uint64_t n)
{
	uint64_t root = 0;
	for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
		if ((root | bit) * (root | bit) <= n)
			root |= bit;
	}
	return root;
}

static uint64_t deviation(const struct lab_histogram *h)
{
	uint64_t mean = lab_histogram_mean(h);
	uint64_t variance = 0;
	for (unsigned i = 0; i < LAB_HISTOGRAM_COUNTERS && h->count > 0; i++) {
		uint64_t n = h->counters[i];
		uint64_t value = LAB_MIN(lab_histogram_upper(i), h->max);
		uint64_t d = value > mean ? value - mean : mean - value;
		if (n == 0)
			continue;
		d = LAB_MIN(d, UINT32_MAX);
		variance += d * d / h->count * n + d * d % h->count * n / h->count;
	}
	return square_root(variance);
}

/* ---- the file ---- */

static void put_requests(struct lab_json *json, const struct cql_metrics *m, uint64_t now)
{
	static const struct {
		const char *name;
		uint32_t ppm;
	} quantiles[] = { { "median", 500000 }, { "percentile_75th", 750000 },
		{ "percentile_95th", 950000 }, { "percentile_98th", 980000 },
		{ "percentile_99th", 990000 }, { "percentile_999th", 999000 } };
	static const char *const rates[RATES] = { "one_minute_rate", "five_minute_rate",
		"fifteen_minute_rate" };
	const struct lab_histogram *h = &m->latency;
	uint64_t ms = LAB_MAX((now - m->started_ns) / LAB_MSEC, 1);
	lab_json_key(json, "requests");
	lab_json_object(json);
	lab_json_put_u64(json, "min", h->count == 0 ? 0 : h->min);
	lab_json_put_u64(json, "max", h->max);
	lab_json_put_u64(json, "mean", lab_histogram_mean(h));
	lab_json_put_u64(json, "stddev", deviation(h));
	for (size_t i = 0; i < LAB_COUNT_OF(quantiles); i++)
		lab_json_put_u64(
			json, quantiles[i].name, lab_histogram_quantile(h, quantiles[i].ppm));
	lab_json_key(json, "mean_rate");
	lab_json_decimal(json, (int64_t)(h->count * 1000000 / ms * 1000), 6);
	for (size_t i = 0; i < RATES; i++) {
		lab_json_key(json, rates[i]);
		lab_json_decimal(json, m->rates[i], 6);
	}
	lab_json_end(json);
}

static void put_driver(struct lab_json *json, const struct cql_client *client)
{
	lab_json_key(json, "stats");
	lab_json_object(json);
	lab_json_put_u64(json, "total_connections", client->ready);
	lab_json_put_u64(json, "available_connections", client->ready);
	lab_json_put_u64(json, "exceeded_pending_requests_water_mark", 0);
	lab_json_put_u64(json, "exceeded_write_bytes_water_mark", 0);
	lab_json_end(json);
	lab_json_key(json, "errors");
	lab_json_object(json);
	lab_json_put_u64(json, "connection_timeouts", client->connection_timeouts);
	lab_json_put_u64(json, "pending_request_timeouts", 0);
	lab_json_put_u64(json, "request_timeouts", client->counters[CQL_RECV_ERR_CLIENT_TIMEOUT]);
	lab_json_end(json);
}

static void put_queries(struct lab_json *json, const struct cql_client *client)
{
	static const enum cql_counter order[] = { CQL_SENT, CQL_RECV_OK, CQL_RECV_ERR_NO_HOSTS,
		CQL_RECV_ERR_QUEUE_FULL, CQL_RECV_ERR_CLIENT_TIMEOUT, CQL_RECV_ERR_SERVER_TIMEOUT,
		CQL_RECV_ERR_SERVER_UNAVAILABLE, CQL_RECV_ERR_OTHER, CQL_SLOW };
	lab_json_key(json, "queries");
	lab_json_object(json);
	for (size_t i = 0; i < LAB_COUNT_OF(order); i++)
		lab_json_put_u64(json, cql_counter_name(order[i]), client->counters[order[i]]);
	lab_json_end(json);
}

static void write_file(struct cql_client *client)
{
	struct lab_buf text;
	struct lab_json json;
	struct lab_error err;
	const char *path = client->settings.metrics_path;
	lab_buf_init(&text, client->env->heap, FILE_MAX_BYTES);
	lab_json_init(&json, &text, true);
	lab_json_object(&json);
	put_requests(&json, client->metrics, env_now(client->env));
	put_driver(&json, client);
	put_queries(&json, client);
	lab_json_end(&json);
	lab_buf_append_byte(&text, '\n');
	if (env_file_replace(client->env, path, lab_buf_view(&text), false, &err) < 0)
		cql_log(client, CQL_LOG_ERROR, "open(%s) failed: %s", path, err.message);
	lab_buf_done(&text);
}

static void metrics_fiber(void *arg)
{
	struct cql_client *client = arg;
	struct cql_metrics *m = client->metrics;
	uint64_t next = m->started_ns + INTERVAL_NS;
	while (!client->closing) {
		if (env_cond_wait(client->env, &m->wake, next) == 0)
			continue;
		next += INTERVAL_NS;
		tick(m, env_now(client->env));
		write_file(client);
	}
	client->keepers--;
	env_cond_broadcast(client->env, &client->idle);
}

int cql_metrics_start(struct cql_client *client, struct lab_error *err)
{
	const char *path = client->settings.metrics_path;
	if (path == NULL || path[0] == '\0')
		return 0;
	client->metrics = lab_new(client->env->heap, struct cql_metrics);
	lab_histogram_init(&client->metrics->latency);
	client->metrics->started_ns = client->metrics->ticked_ns = env_now(client->env);
	if (env_spawn(client->env, "cql-metrics", metrics_fiber, client, err) < 0)
		return -1;
	client->keepers++;
	return 0;
}

void cql_metrics_wake(struct cql_client *client)
{
	if (client->metrics != NULL)
		env_cond_broadcast(client->env, &client->metrics->wake);
}

void cql_metrics_free(struct cql_client *client)
{
	lab_heap_free(client->env->heap, client->metrics);
}
