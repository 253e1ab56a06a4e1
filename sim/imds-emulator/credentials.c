/* SPDX-License-Identifier: Apache-2.0
 *
 * credentials.c - role credentials as a function of (seed, host, role, generation), handed on when
 * they are first served.
 */
#include "sim/imds-emulator/imds-emulator-private.h"

#define SECRET_LEN 40
#define TOKEN_RAW_LEN 270 /* 360 characters */

int64_t imdsemu_clock(const struct imdsemu *imds, uint64_t now_ns)
{
	int64_t us = (int64_t)(imds->options.epoch_unix_us + now_ns / 1000) + imds->options.skew_us;

	return us / 1000000;
}

/* Fills `out` from the key and the label, as long as needed. */
static void expand(
	struct imdsemu *imds, const char *what, struct lab_view label, uint8_t *out, size_t len)
{
	uint8_t block[LAB_DIGEST_MAX];
	struct lab_buf data;
	size_t done, n;

	for (done = 0; done < len; done += n) {
		lab_buf_init(&data, imds->heap, 4096);
		lab_buf_append_cstr(&data, what);
		lab_buf_append_u64(&data, done);
		lab_buf_append_view(&data, label);
		lab_hmac(LAB_SHA256, lab_view_of(imds->key, sizeof(imds->key)), lab_buf_view(&data),
			block);
		lab_buf_done(&data);
		n = LAB_MIN(lab_digest_size(LAB_SHA256), len - done);
		memcpy(out + done, block, n);
	}
}

static struct lab_view base64(struct imdsemu_exchange *x, const uint8_t *data, size_t len)
{
	struct lab_buf text;
	struct lab_view copy;

	lab_buf_init(&text, x->imds->heap, 1024);
	lab_buf_append_base64(&text, lab_view_of(data, len));
	copy = lab_arena_copy(x->arena, lab_buf_view(&text));
	lab_buf_done(&text);
	return copy;
}

/* "ASIA" and 16 of the letters and digits that AWS uses. */
static struct lab_view make_id(struct imdsemu_exchange *x, struct lab_view label)
{
	uint8_t raw[16];
	char *id = lab_arena_alloc(x->arena, 21);
	size_t i;

	expand(x->imds, "id", label, raw, sizeof(raw));
	memcpy(id, "ASIA", 4);
	for (i = 0; i < sizeof(raw); i++)
		id[4 + i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[raw[i] & 31];
	return lab_view_of(id, 20);
}

static void derive(struct imdsemu_exchange *x, struct lab_view role, uint64_t generation,
	struct sim_credentials *ret)
{
	uint8_t secret[SECRET_LEN * 3 / 4], token[TOKEN_RAW_LEN];
	const char *text = lab_arena_printf(x->arena, "%.*s|%.*s|%" PRIu64,
		LAB_VIEW_ARG(lab_view_sub(x->host_name, 0, 512)), LAB_VIEW_ARG(role), generation);
	struct lab_view label = lab_view_cstr(text);

	ret->account = x->imds->options.account;
	ret->access_key_id = make_id(x, label);
	expand(x->imds, "secret", label, secret, sizeof(secret));
	ret->secret_access_key = base64(x, secret, sizeof(secret));
	expand(x->imds, "token", label, token, sizeof(token));
	ret->token = base64(x, token, sizeof(token));
}

static void publish(struct imdsemu_exchange *x, struct lab_view role, uint64_t generation,
	const struct sim_credentials *credentials)
{
	struct imdsemu *imds = x->imds;
	void **slot = lab_map_slot(x->host->issued, role);
	void *mark = (void *)(uintptr_t)(generation + 1);

	if (slot != NULL && *slot == mark)
		return;
	if (slot != NULL)
		*slot = mark;
	imds->counters.credentials_issued++;
	if (imds->options.publish != NULL)
		imds->options.publish(imds->options.publish_ctx, credentials);
}

void imdsemu_credentials(struct imdsemu_exchange *x, struct lab_view role, struct imdsemu_set *ret)
{
	struct imdsemu *imds = x->imds;
	const struct imdsemu_options *options = &imds->options;
	uint64_t now = LAB_MIN(x->now_ns, imds->frozen_at_ns) + imds->ahead_ns;
	uint64_t generation = now / (options->rotate_every_s * LAB_SEC);
	uint64_t issued_ns = generation * options->rotate_every_s * LAB_SEC - imds->ahead_ns;

	derive(x, role, generation, &ret->credentials);
	ret->credentials.expires_unix =
		(int64_t)((options->epoch_unix_us + issued_ns / 1000) / 1000000) +
		options->lifetime_s;
	ret->issued_unix = imdsemu_clock(imds, issued_ns);
	ret->expires_unix = ret->issued_unix + options->lifetime_s;
	publish(x, role, generation, &ret->credentials);
}
