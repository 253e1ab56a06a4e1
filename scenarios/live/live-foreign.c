/* SPDX-License-Identifier: Apache-2.0
 *
 * live-foreign.c - servers that are not ours in a live world. What is to be done with them runs in
 * a fiber of the laboratory's host.
 */
#include "scenarios/live/foreign-cql.h"
#include "scenarios/live/foreign-s3.h"
#include "scenarios/live/live-world.h"

#define FOREIGN_PATIENCE (10 * LAB_MINUTE)

struct foreign_job {
	struct live_world *world;
	int (*work)(struct live_world *world, struct env *env, struct lab_error *err);
	bool is_done;
	int result;
	struct lab_error error;
};

static void foreign_main(struct env *env, void *arg)
{
	struct foreign_job *job = arg;

	job->result = job->work(job->world, env, &job->error);
	job->is_done = true;
}

static bool is_foreign_done(void *ctx)
{
	return ((struct foreign_job *)ctx)->is_done;
}

static int foreign_run(struct live_world *w, const char *name,
	int (*work)(struct live_world *world, struct env *env, struct lab_error *err),
	struct lab_error *err)
{
	/* The fiber may outlive the wait. */
	struct foreign_job *job = lab_new(w->heap, struct foreign_job);
	int result;

	job->world = w;
	job->work = work;
	if (live_start(w->lab_host, name, foreign_main, job, err) < 0)
		return -1;
	if (live_run(w->live, live_now(w->live) + FOREIGN_PATIENCE, is_foreign_done, job) != 0)
		return lab_fail(err, LAB_TIMEOUT, "%s is too slow to be looked through", name);
	result = job->result;
	if (result < 0)
		*err = job->error;
	return result;
}

/* ---- S3 ---- */

static struct foreign_s3 s3_of(const struct live_world *w, struct env *env)
{
	const struct scenario_endpoints *e = &w->options->scenario->endpoints;

	return (struct foreign_s3){ .env = env, .url = &e->s3, .authority = e->s3_authority };
}

static int check_bucket(struct live_world *w, struct env *env, struct lab_error *err)
{
	struct foreign_s3 s3 = s3_of(w, env);

	return foreign_s3_check_empty(&s3, err);
}

static int mirror_bucket(struct live_world *w, struct env *env, struct lab_error *err)
{
	struct foreign_s3 s3 = s3_of(w, env);

	return foreign_s3_mirror(&s3, w->scene.s3, err);
}

static int clean_bucket(struct live_world *w, struct env *env, struct lab_error *err)
{
	struct foreign_s3 s3 = s3_of(w, env);

	return foreign_s3_clean(&s3, err);
}

/* ---- Cassandra ---- */

static struct foreign_cql cql_of(const struct live_world *w, struct env *env)
{
	uint64_t patience_ns = w->options->foreign_patience_ns;

	return (struct foreign_cql){ .env = env,
		.connect = scene_connect(&w->scene),
		.patience_ns = patience_ns != 0 ? patience_ns : FOREIGN_CQL_PATIENCE };
}

static int claim_keyspace(struct live_world *w, struct env *env, struct lab_error *err)
{
	struct foreign_cql cql = cql_of(w, env);

	return foreign_cql_claim(&cql, scene_replication_factor(&w->scene), err);
}

static int mirror_keyspace(struct live_world *w, struct env *env, struct lab_error *err)
{
	struct foreign_cql cql = cql_of(w, env);

	return foreign_cql_mirror(&cql, w->scene.cql, err);
}

static int drop_keyspace(struct live_world *w, struct env *env, struct lab_error *err)
{
	struct foreign_cql cql = cql_of(w, env);

	return foreign_cql_clean(&cql, err);
}

/* ---- both ---- */

#define S3_NAME "the foreign S3"
#define CQL_NAME "the foreign Cassandra"

/* The bucket is only looked at: nothing is left if the keyspace cannot be had. */
int live_world_claim(struct live_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;

	if (s->is_foreign_s3 && foreign_run(w, S3_NAME, check_bucket, err) < 0)
		return -1;
	w->is_bucket_ours = s->is_foreign_s3;
	if (s->is_foreign_cql && foreign_run(w, CQL_NAME, claim_keyspace, err) < 0)
		return -1;
	w->is_keyspace_ours = s->is_foreign_cql;
	return 0;
}

int live_world_mirror(struct live_world *w, struct lab_error *err)
{
	const struct scenario *s = w->options->scenario;

	if (s->is_foreign_s3 && foreign_run(w, S3_NAME, mirror_bucket, err) < 0)
		return -1;
	return s->is_foreign_cql ? foreign_run(w, CQL_NAME, mirror_keyspace, err) : 0;
}

int live_world_clean(struct live_world *w, struct lab_error *err)
{
	int result = 0;
	struct lab_error why;

	if (w->is_keyspace_ours)
		result = foreign_run(w, CQL_NAME, drop_keyspace, err);
	if (w->is_bucket_ours && foreign_run(w, S3_NAME, clean_bucket, &why) < 0) {
		result = -1;
		*err = why;
	}
	return result;
}
