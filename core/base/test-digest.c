/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include <pthread.h>

static const char *hex_digest(enum lab_digest_kind kind, struct lab_view data)
{
	static char hex[2 * LAB_DIGEST_MAX + 1];
	uint8_t out[LAB_DIGEST_MAX];

	lab_digest(kind, data, out);
	lab_hex(out, lab_digest_size(kind), hex);
	return hex;
}

/* RFC 1321, FIPS 180-2. */
static void digests_match_published_vectors(void **state)
{
	static const struct {
		enum lab_digest_kind kind;
		const char *text, *hex;
	} rows[] = {
		{ LAB_MD5, "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ LAB_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ LAB_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ LAB_SHA256, "",
			"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ LAB_SHA256, "abc",
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ LAB_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ LAB_SHA512, "abc",
			"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, strcmp(hex_digest(rows[i].kind, lab_view_cstr(rows[i].text)),
				      rows[i].hex) == 0);
	assert_string_equal(hex_digest(LAB_MD5, (struct lab_view){ 0 }), rows[0].hex);
	assert_int_equal(lab_digest_size(LAB_MD5), 16);
	assert_int_equal(lab_digest_size(LAB_SHA1), 20);
	assert_int_equal(lab_digest_size(LAB_SHA256), 32);
	assert_int_equal(lab_digest_size(LAB_SHA512), 64);
	assert_asserts((void)lab_digest_size((enum lab_digest_kind)4));
}

/* RFC 2202 and RFC 4231, by their numbers. */
static void hmacs_match_published_vectors(void **state)
{
	uint8_t key[131];
	static const struct {
		enum lab_digest_kind kind;
		int key_byte; /* -1: "Jefe" */
		size_t key_len;
		const char *data, *hex;
	} rows[] = {
		{ LAB_MD5, 0x0b, 16, "Hi There", "9294727a3638bb1c13f48ef8158bfc9d" },
		{ LAB_SHA1, 0x0b, 20, "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00" },
		{ LAB_SHA1, -1, 4, "what do ya want for nothing?",
			"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
		{ LAB_SHA256, 0x0b, 20, "Hi There",
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ LAB_SHA256, -1, 4, "what do ya want for nothing?",
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ LAB_SHA256, 0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
		{ LAB_SHA512, 0x0b, 20, "Hi There",
			"87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
			"daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		uint8_t out[LAB_DIGEST_MAX];
		char hex[2 * LAB_DIGEST_MAX + 1];

		memset(key, rows[i].key_byte, sizeof(key));
		if (rows[i].key_byte < 0)
			memcpy(key, "Jefe", 4);
		lab_hmac(rows[i].kind, lab_view_of(key, rows[i].key_len),
			lab_view_cstr(rows[i].data), out);
		lab_hex(out, lab_digest_size(rows[i].kind), hex);
		assert_row(i, strcmp(hex, rows[i].hex) == 0);
	}
}

static void hmac_of_nothing_with_an_empty_key(void **state)
{
	uint8_t out[LAB_DIGEST_MAX];
	char hex[2 * LAB_DIGEST_MAX + 1];

	(void)state;
	lab_hmac(LAB_SHA256, (struct lab_view){ 0 }, (struct lab_view){ 0 }, out);
	lab_hex(out, 32, hex);
	assert_string_equal(
		hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void *digest_in_a_thread(void *arg)
{
	uint8_t *out = arg;

	for (unsigned i = 0; i < 1000; i++)
		lab_digest(LAB_SHA256, LAB_VIEW("abc"), out);
	return NULL;
}

static void each_thread_has_its_own_contexts(void **state)
{
	uint8_t out[4][LAB_DIGEST_MAX], expected[LAB_DIGEST_MAX];
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, digest_in_a_thread, out[i]), 0);
	lab_digest(LAB_SHA256, LAB_VIEW("abc"), expected);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_memory_equal(out[i], expected, 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_match_published_vectors),
		cmocka_unit_test(hmacs_match_published_vectors),
		cmocka_unit_test(hmac_of_nothing_with_an_empty_key),
		cmocka_unit_test(each_thread_has_its_own_contexts),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
