/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as metacache_userdb: refused, or what comes of them is the same again. The hash is
 * made right first, as an accident would not.
 */
#include "core/obox/metacache-users.h"

#define SEED UINT64_C(0x6d65746175736572)

static struct env *fuzz_env(void)
{
	static struct env env;

	if (env.heap == NULL)
		env.heap = lab_heap_new(lab_pool_new((size_t)1 << 30), (size_t)1 << 30);
	return &env;
}

static void read_and_write(struct env *env, struct lab_view bytes)
{
	struct metacache_users users, again;
	struct lab_buf first, second;
	struct lab_view stamp, same;
	struct lab_error err;

	metacache_users_init(&users, env);
	metacache_users_init(&again, env);
	lab_buf_init(&first, env->heap, 1u << 26);
	lab_buf_init(&second, env->heap, 1u << 26);
	if (metacache_users_decode(&users, bytes, 16, &stamp, &err) == 0) {
		metacache_users_encode(&users, stamp, &first);
		lab_assert(
			metacache_users_decode(&again, lab_buf_view(&first), 16, &same, &err) == 0);
		lab_assert(users.bytes == again.bytes);
		metacache_users_encode(&again, same, &second);
		lab_assert(lab_view_eq(lab_buf_view(&first), lab_buf_view(&second)));
	} else {
		lab_assert(lab_tree_count(users.users) == 0 && users.bytes == 0);
	}
	lab_buf_done(&first);
	lab_buf_done(&second);
	metacache_users_done(&users);
	metacache_users_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct env *env = fuzz_env();
	struct lab_buf hashed;

	read_and_write(env, lab_view_of(data, size));
	lab_buf_init(&hashed, env->heap, size + 8);
	lab_buf_append(&hashed, data, size);
	lab_buf_append_u64(&hashed, lab_hash_view(SEED, lab_buf_view(&hashed)));
	read_and_write(env, lab_buf_view(&hashed));
	lab_buf_done(&hashed);
	return 0;
}
