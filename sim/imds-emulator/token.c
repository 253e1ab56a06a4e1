/* SPDX-License-Identifier: Apache-2.0
 *
 * token.c - session tokens that need no memory: 8 bytes of expiry, 8 of ordinal, and a MAC over
 * both, over the host and over how often all tokens were revoked.
 */
#include "sim/imds-emulator/imds-emulator-private.h"

#define RAW_LEN 42
#define MAC_LEN (RAW_LEN - 16)

static void put_u64(uint8_t *out, uint64_t value)
{
	size_t i;

	for (i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

static void make_mac(struct imdsemu *imds, struct lab_view host, const uint8_t *head,
	uint8_t out[LAB_DIGEST_MAX])
{
	struct lab_buf data;

	lab_buf_init(&data, imds->heap, 4096);
	lab_buf_append_cstr(&data, "token");
	lab_buf_append_u64(&data, imds->revocations);
	lab_buf_append(&data, head, 16);
	lab_buf_append_view(&data, lab_view_sub(host, 0, 1024));
	lab_hmac(LAB_SHA256, lab_view_of(imds->key, sizeof(imds->key)), lab_buf_view(&data), out);
	lab_buf_done(&data);
}

void imdsemu_token_make(struct imdsemu *imds, struct lab_view host, uint64_t expires_ns,
	char out[IMDSEMU_TOKEN_LEN + 1])
{
	uint8_t raw[16 + LAB_DIGEST_MAX];
	struct lab_buf text;

	put_u64(raw, expires_ns);
	put_u64(raw + 8, imds->ordinal++);
	make_mac(imds, host, raw, raw + 16);
	lab_buf_init(&text, imds->heap, IMDSEMU_TOKEN_LEN);
	lab_buf_append_base64(&text, lab_view_of(raw, RAW_LEN));
	lab_assert(text.len == IMDSEMU_TOKEN_LEN);
	memcpy(out, text.data, IMDSEMU_TOKEN_LEN);
	out[IMDSEMU_TOKEN_LEN] = '\0';
	lab_buf_done(&text);
}

int imdsemu_token_ok(struct imdsemu *imds, struct lab_view host, struct lab_view token,
	uint64_t now_ns, uint64_t *ret_expires_ns)
{
	uint8_t mac[LAB_DIGEST_MAX];
	struct lab_buf raw;
	int rc = -1;

	if (token.len != IMDSEMU_TOKEN_LEN)
		return -1;
	lab_buf_init(&raw, imds->heap, RAW_LEN);
	if (lab_buf_append_unbase64(&raw, token) == 0 && raw.len == RAW_LEN) {
		make_mac(imds, host, raw.data, mac);
		if (lab_view_eq_secret(
			    lab_view_of(raw.data + 16, MAC_LEN), lab_view_of(mac, MAC_LEN)) &&
			now_ns < get_u64(raw.data)) {
			*ret_expires_ns = get_u64(raw.data);
			rc = 0;
		}
	}
	lab_buf_done(&raw);
	return rc;
}
