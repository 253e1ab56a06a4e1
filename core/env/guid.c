/* SPDX-License-Identifier: Apache-2.0
 *
 * guid.c - GUID-128 (see env.h). Like Dovecot's, later GUIDs of a process take the wall clock only
 * if it moved forward, else the last one's time plus a nanosecond: so they stay unique, and in
 * order, when the clock steps back.
 */
#include "core/env/env.h"

static void put_u32_le(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32_le(const uint8_t *in)
{
	return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 |
	       (uint32_t)in[3] << 24;
}

static void advance_guid_time(struct env *env)
{
	uint64_t wall_us = env_wall_us(env);
	int64_t seconds = (int64_t)(wall_us / 1000000);
	uint32_t nanos = (uint32_t)(wall_us % 1000000) * 1000;

	if (seconds > env->last_guid.seconds ||
		(seconds == env->last_guid.seconds && nanos > env->last_guid.nanos)) {
		env->last_guid.seconds = seconds;
		env->last_guid.nanos = nanos;
	} else if (env->last_guid.nanos < 999999999) {
		env->last_guid.nanos++;
	} else {
		env->last_guid.seconds++;
		env->last_guid.nanos = 0;
	}
}

void env_guid128_generate(struct env *env, uint8_t guid[ENV_GUID128_SIZE])
{
	uint8_t digest[LAB_DIGEST_MAX];

	advance_guid_time(env);
	put_u32_le(guid, env->last_guid.nanos);
	put_u32_le(guid + 4, (uint32_t)env->last_guid.seconds);
	put_u32_le(guid + 8, env->pid);
	lab_digest(LAB_SHA1, lab_view_cstr(env->hostname), digest);
	memcpy(guid + 12, digest + lab_digest_size(LAB_SHA1) - 4, 4);
}

uint64_t env_guid128_next_time(struct env *env)
{
	uint64_t last = (uint64_t)env->last_guid.seconds * LAB_SEC + env->last_guid.nanos;

	return LAB_MAX(env_wall_us(env) * 1000, last + 1);
}

uint64_t env_guid128_time(const uint8_t guid[ENV_GUID128_SIZE])
{
	return (uint64_t)get_u32_le(guid + 4) * LAB_SEC + get_u32_le(guid);
}
