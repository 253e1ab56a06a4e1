/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of bundles, among them the vendor's; archives, whole, damaged at every byte, and of another
 * version.
 */
#include "core/base/base.h"
#include "core/base/testing.h"
#include "core/obox/bundle.h"

static struct lab_pool *pool;
static struct lab_heap *heap;

static int set_up(void **state)
{
	(void)state;
	pool = lab_pool_new(16u << 20);
	heap = lab_heap_new(pool, 16u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}

/* ---- names ---- */

#define BASE "bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define SELF "self.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define DIFF BASE "-d88ff1001d4bf753a1b800001accfe22"

static void names_are_the_vendors(void **state)
{
	static const char *const texts[] = { BASE, DIFF, SELF };
	struct obox_bundle_name names[3];
	char text[OBOX_BUNDLE_NAME_MAX];
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		assert_int_equal(obox_bundle_name_parse(lab_view_cstr(texts[i]), &names[i]), 0);
		assert_int_equal(names[i].seconds, 1408716226); /* 2014-08-22 */
		assert_int_equal(names[i].usecs, 64463);
		assert_int_equal(names[i].kind, i);
		obox_bundle_name_format(&names[i], text);
		assert_string_equal(text, texts[i]);
	}
	assert_true(obox_bundle_name_is_diff_of(&names[1], &names[0]));
	assert_false(obox_bundle_name_is_diff_of(&names[0], &names[0]));
	assert_false(obox_bundle_name_is_diff_of(&names[1], &names[1]));
	assert_false(obox_bundle_name_is_diff_of(&names[1], &names[2]));
	names[0].guid[15] ^= 1;
	assert_false(obox_bundle_name_is_diff_of(&names[1], &names[0]));
}

static void other_names_are_not_bundles(void **state)
{
	static const char *const texts[] = { "", "bundle", "bundle.", "bundle.53f74dc2.0fbcf.",
		"Bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22",
		"bundle.53F74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22",
		"bundle.53f74dc2.0fbcf.C96d802b5d4df75307bb00001accfe22",
		"bundle.53f74dc.0fbcf.c96d802b5d4df75307bb00001accfe22",
		"bundle.53f74dc2.fbcf.c96d802b5d4df75307bb00001accfe22",
		"bundle.53f74dc2.fffff.c96d802b5d4df75307bb00001accfe22",
		"bundle.53f74dc2.0fbcg.c96d802b5d4df75307bb00001accfe22",
		"bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe2",
		"bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe222", BASE "-", BASE ".",
		DIFF "-", SELF "-", SELF "-d88ff1001d4bf753a1b800001accfe22",
		BASE "-d88ff1001d4bf753a1b800001accfe2", BASE "-d88ff1001d4bf753a1b800001accfe2x" };
	struct obox_bundle_name name;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++)
		assert_int_equal(obox_bundle_name_parse(lab_view_cstr(texts[i]), &name), -1);
}

/* ---- archives ---- */

static struct lab_buf two_files(enum obox_bundle_kind kind)
{
	struct obox_bundle bundle = { .kind = kind,
		.host = LAB_VIEW("backend1.example.com"),
		.uidvalidity = 1408716226,
		.next_uid = 0xfffffffe,
		.highest_modseq = UINT64_C(0x123456789abc),
		.files = { { LAB_VIEW("dovecot.index"), LAB_VIEW("\0\1\2 the index") },
			{ LAB_VIEW("empty"), { NULL, 0 } } },
		.file_count = 2 };
	struct lab_buf buf;

	if (kind == OBOX_BUNDLE_DIFF)
		bundle.base = LAB_VIEW(BASE);
	lab_buf_init(&buf, heap, 100000);
	obox_bundle_encode(&bundle, &buf);
	assert_false(buf.overflow);
	return buf;
}

static void archives_come_back(void **state)
{
	(void)state;

	for (enum obox_bundle_kind kind = OBOX_BUNDLE_BASE; kind <= OBOX_BUNDLE_SELF; kind++) {
		struct lab_buf bytes = two_files(kind);
		struct obox_bundle bundle;

		assert_int_equal(obox_bundle_decode(lab_buf_view(&bytes), &bundle, NULL), 0);
		assert_int_equal(bundle.kind, kind);
		assert_true(lab_view_eq_cstr(bundle.host, "backend1.example.com"));
		assert_true(lab_view_eq_cstr(bundle.base, kind == OBOX_BUNDLE_DIFF ? BASE : ""));
		assert_int_equal(bundle.uidvalidity, 1408716226);
		assert_int_equal(bundle.next_uid, 0xfffffffe);
		assert_true(bundle.highest_modseq == UINT64_C(0x123456789abc));
		assert_int_equal(bundle.file_count, 2);
		assert_true(lab_view_eq(obox_bundle_file(&bundle, "dovecot.index")->content,
			LAB_VIEW("\0\1\2 the index")));
		assert_int_equal(obox_bundle_file(&bundle, "empty")->content.len, 0);
		assert_null(obox_bundle_file(&bundle, "dovecot"));
		lab_buf_done(&bytes);
	}
}

static void damage_anywhere_is_seen(void **state)
{
	struct lab_buf bytes = two_files(OBOX_BUNDLE_DIFF);
	struct obox_bundle bundle;
	struct lab_error err;
	(void)state;

	for (size_t i = 0; i < bytes.len; i++) {
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			bytes.data[i] ^= (uint8_t)bit;
			err.code = LAB_OK;
			assert_int_equal(
				obox_bundle_decode(lab_buf_view(&bytes), &bundle, &err), -1);
			assert_int_equal(err.code,
				i == 8 && bytes.data[i] != 0 ? LAB_UNSUPPORTED : LAB_CORRUPT);
			bytes.data[i] ^= (uint8_t)bit;
		}
		assert_int_equal(
			obox_bundle_decode(lab_view_sub(lab_buf_view(&bytes), 0, i), &bundle, &err),
			-1);
		assert_int_equal(err.code, LAB_CORRUPT);
	}
	lab_buf_append_byte(&bytes, 0);
	assert_int_equal(obox_bundle_decode(lab_buf_view(&bytes), &bundle, &err), -1);
	assert_string_equal(err.message, "index bundle is followed by 1 bytes");
	lab_buf_done(&bytes);
}

static void errors_say_what_is_wrong(void **state)
{
	struct lab_buf bytes = two_files(OBOX_BUNDLE_BASE);
	struct obox_bundle bundle;
	struct lab_error err;
	(void)state;

	bytes.data[bytes.len - 1] ^= 1;
	assert_int_equal(obox_bundle_decode(lab_buf_view(&bytes), &bundle, &err), -1);
	assert_string_equal(
		err.message, "content of dovecot.index in the index bundle has another checksum");
	bytes.data[20] ^= 1;
	assert_int_equal(obox_bundle_decode(lab_buf_view(&bytes), &bundle, &err), -1);
	assert_string_equal(err.message, "head of the index bundle has another checksum");
	bytes.data[8] = 2;
	assert_int_equal(obox_bundle_decode(lab_buf_view(&bytes), &bundle, &err), -1);
	assert_string_equal(err.message, "index bundle has version 2, not 1");
	assert_int_equal(obox_bundle_decode(LAB_VIEW("dovecot.index"), &bundle, &err), -1);
	assert_string_equal(err.message, "not an index bundle");
	lab_buf_done(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(names_are_the_vendors),
		T(other_names_are_not_bundles),
		T(archives_come_back),
		T(damage_anywhere_is_seen),
		T(errors_say_what_is_wrong),
	};

	return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
