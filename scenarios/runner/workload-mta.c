/* SPDX-License-Identifier: Apache-2.0
 *
 * workload-mta.c - MTAs: mails come in, and are tried again.
 */
#include "scenarios/runner/workload-private.h"

#include "core/base/mark.h"
#include "scenarios/runner/delivery.h"

#define FIRST_MAIL_DATE INT64_C(1767225600) /* 2026-01-01 00:00:00 UTC */

static uint64_t pick_delivery(
	struct workload *w, struct user *user, const struct conf_range *range, const char *what)
{
	return conf_range_pick(range, workload_draw(w, user, what, user->delivery_ordinal++));
}

/* Of its mails so many have attachments, whatever their size, if that is said. */
static enum mail_attachment attachment_of(
	struct workload *w, const struct user *user, uint64_t token)
{
	const struct conf_range *share = &user->group->mail_attachment_percentage;

	if (share->high == 0)
		return MAIL_ATTACHMENT_IF_LARGE;
	return lab_pick(workload_draw(w, user, "mail.attachment", token), 1000000) <
			       conf_range_pick(share,
				       workload_draw(w, user, "mail.attachment.share", token))
		       ? MAIL_ATTACHMENT
		       : MAIL_NO_ATTACHMENT;
}

/* The date of a generated mail says how many its user got before, not when it was made: so the
 * mails of a seed are the same in both worlds. */
struct lab_view workload_mail(
	struct workload *w, const struct user *user, uint64_t token, struct lab_arena *arena)
{
	struct mail_order order = { .seed = w->settings.seed,
		.token = token,
		.size = conf_range_pick(
			&user->group->mail_size, workload_draw(w, user, "mail.size", token)),
		.to = lab_view_cstr(user->name),
		.date = FIRST_MAIL_DATE + (int64_t)(uint32_t)token * 60,
		.attachment = attachment_of(w, user, token) };

	return mail_make(w->settings.mails, &order, workload_lab(w)->heap, arena);
}

uint64_t workload_next_token(struct user *user)
{
	return ((uint64_t)user->number << 32) | ++user->tokens_given;
}

/* What the user's Sieve script adds: a function of the mail. */
static struct lab_view sieve_flag(struct workload *w, const struct user *user, uint64_t token)
{
	uint64_t share = conf_range_pick(&user->group->mail_sieve_flag_percentage,
		workload_draw(w, user, "sieve.share", token));

	if (lab_pick(workload_draw(w, user, "sieve", token), 1000000) >= share)
		return LAB_VIEW("");
	return client_flag_name(
		lab_pick(workload_draw(w, user, "sieve.flag", token), CLIENT_FLAGS));
}

static struct lab_view fileinto(
	struct workload *w, const struct user *user, uint64_t token, struct lab_arena *arena)
{
	uint64_t share = conf_range_pick(&user->group->mail_sieve_fileinto_percentage,
		workload_draw(w, user, "fileinto.share", token));

	if (lab_pick(workload_draw(w, user, "fileinto", token), 1000000) >= share)
		return LAB_VIEW("INBOX");
	return client_name(user,
		lab_pick(workload_draw(w, user, "fileinto.folder", token), client_name_count(user)),
		arena);
}

/* The MTA is told to come again later. */
static void wait_until_unlocked(struct workload *w, const struct user *user)
{
	while (user->is_locked && !workload_is_over(w))
		env_sleep(workload_lab(w), LAB_SEC);
}

uint64_t workload_patience(struct workload *w, const struct user *user, uint64_t token)
{
	return conf_range_pick(&user->group->mail_delivery_timeout,
		workload_draw(w, user, "delivery.timeout", token));
}

/* The MTA keeps the mail until somebody takes it, or gives up. What was uncertain is sent again:
 * that is how duplicates come about (obox 8.1, 5). */
static void deliver_with_retries(struct workload *w, struct user *user, uint64_t token)
{
	struct lab_arena *arena = lab_arena_new(workload_lab(w)->heap, 2 * (size_t)MAIL_BYTES_MAX);
	struct delivery delivery = { .client = &w->client,
		.user = user,
		.token = token,
		.mail = workload_mail(w, user, token, arena),
		.flag = sieve_flag(w, user, token),
		.folder = fileinto(w, user, token, arena),
		.arena = arena,
		.palomar = w->settings.palomar,
		.timeout_ns = workload_patience(w, user, token) };
	uint64_t retries =
		pick_delivery(w, user, &user->group->mail_delivery_retries, "delivery.retries");
	bool was_uncertain = false;

	for (uint64_t attempt = 0; attempt <= retries; attempt++) {
		struct lane *lane = workload_lane(w, user,
			lab_pick(workload_draw(w, user, "delivery.lane", token + attempt),
				workload_lane_count(w, user)));
		enum history_outcome outcome;

		if (attempt > 0) {
			LAB_MARK(delivery_retried);
			env_sleep(workload_lab(w),
				pick_delivery(w, user, &user->group->mail_delivery_retry_delay,
					"delivery.delay"));
		}
		wait_until_unlocked(w, user);
		delivery.draw = workload_draw(w, user, "delivery.door", token + attempt);
		outcome = delivery_attempt(&delivery,
			w->settings.palomar != NULL ? NULL : workload_route(w, lane),
			&lane->active);
		was_uncertain |= outcome == HISTORY_UNCERTAIN;
		if (outcome == HISTORY_OK && was_uncertain)
			LAB_MARK(delivered_twice);
		/* 552 5.2.2 is final, 452 is not. */
		if (outcome == HISTORY_OK || workload_is_over(w) ||
			(user->was_over_quota && !w->client.conf->quota_full_tempfail))
			break;
	}
	delivery_wait(&delivery);
	lab_arena_free(&arena);
}

void workload_deliveries(void *arg)
{
	struct user_fiber *fiber = arg;
	struct workload *w = fiber->w;
	struct user *user = fiber->user;
	uint64_t beat_ns = 0;

	while (workload_await_beat(w, &beat_ns,
		pick_delivery(
			w, user, &user->group->mail_inbox_delivery_interval, "delivery.interval")))
		deliver_with_retries(w, user, workload_next_token(user));
	w->busy--;
}
