/* SPDX-License-Identifier: Apache-2.0
 *
 * reply-fault.c - what a fault does to the bytes of a finished answer, and to its connection.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define DATE_OFF_SECONDS 900 /* at least: what clients and services tolerate */

/* Keyed by the request: the same for every latency and every other client's doings. */
static uint64_t draw(const struct s3emu_exchange *x, const char *purpose)
{
	return lab_draw(x->s3->options.seed, purpose, lab_hash_view(0, x->subject), x->fault.id);
}

static size_t body_bytes(const struct s3emu_exchange *x)
{
	return x->head ? 0 : x->out.response.body.len;
}

/* Somewhere in the body; nothing at all if there are not two bytes. */
static void cut(struct s3emu_exchange *x)
{
	size_t len = body_bytes(x);

	if (len < 2) {
		x->out.wire = SIM_WIRE_RESET;
		return;
	}
	x->out.wire = SIM_WIRE_TRUNCATE;
	x->out.cut_at = 1 + (size_t)lab_pick(draw(x, "s3.cut"), len - 1);
}

static void flip(struct s3emu_exchange *x)
{
	size_t len = body_bytes(x);
	struct lab_view copy;
	uint64_t bit;

	if (len == 0)
		return;
	copy = lab_arena_copy(x->arena, x->out.response.body);
	bit = lab_pick(draw(x, "s3.flip"), (uint64_t)len * 8);
	((uint8_t *)(uintptr_t)copy.ptr)[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	x->out.response.body = copy;
}

static void replace_header(struct s3emu_exchange *x, const char *name, struct lab_view value)
{
	struct lab_http_headers *headers = &x->out.response.headers;
	size_t i;

	for (i = 0; i < headers->count; i++) {
		if (lab_view_eq_nocase(headers->items[i].name, lab_view_cstr(name)))
			headers->items[i].value = value;
	}
}

/* Still an MD5 in quotes, but not this object's. */
static void mistake_etag(struct s3emu_exchange *x)
{
	struct lab_view etag = lab_http_header_get(&x->out.response.headers, "ETag");
	uint8_t *digit;

	if (etag.len < 3)
		return;
	etag = lab_arena_copy(x->arena, etag);
	digit = (uint8_t *)(uintptr_t)etag.ptr + 1;
	*digit = *digit == '0' ? '1' : '0';
	replace_header(x, "ETag", etag);
}

static void mistake_date(struct s3emu_exchange *x)
{
	int64_t off = DATE_OFF_SECONDS + (int64_t)(x->fault.delay_ns / LAB_SEC);
	int64_t seconds = s3emu_wall_us(x) / 1000000;

	lab_date_http((draw(x, "s3.date") & 1) != 0 ? seconds + off : seconds - off, x->date);
	replace_header(x, "Date", lab_view_cstr(x->date));
}

static void trickle(struct s3emu_exchange *x)
{
	unsigned __int128 rate = body_bytes(x);

	if (rate == 0 || x->fault.delay_ns == 0 || x->out.wire != SIM_WIRE_ANSWER)
		return;
	rate = rate * LAB_SEC / x->fault.delay_ns;
	x->out.wire = SIM_WIRE_TRICKLE;
	x->out.bytes_per_s = (uint64_t)LAB_MAX(rate, (unsigned __int128)1);
}

void s3emu_reply_spoil(struct s3emu_exchange *x)
{
	switch (x->fault.kind) {
	case SIM_FAULT_CORRUPT:
		cut(x);
		break;
	case SIM_FAULT_FLIP:
		flip(x);
		break;
	case SIM_FAULT_WRONG_ETAG:
		mistake_etag(x);
		break;
	case SIM_FAULT_WRONG_DATE:
		mistake_date(x);
		break;
	case SIM_FAULT_TRICKLE:
		trickle(x);
		break;
	case SIM_FAULT_DROP:
		if (x->out.wire == SIM_WIRE_ANSWER)
			x->out.wire = SIM_WIRE_ANSWER_DROP;
		break;
	case SIM_FAULT_NONE:
	case SIM_FAULT_REFUSE:
	case SIM_FAULT_FAIL:
	case SIM_FAULT_LOSE_REPLY:
	case SIM_FAULT_STALL_REPLY:
	case SIM_FAULT_ALTER_REPLY:
	case SIM_FAULT_STALL:
	case SIM_FAULT_RESET:
	case SIM_FAULT_DELAY:
	case SIM_FAULT_PARTLY:
	case SIM_FAULT_LATE:
	case SIM_FAULT_STALE:
	case SIM_FAULT_DUPLICATE:
	case SIM_FAULT_KIND_COUNT:
		break;
	}
}
