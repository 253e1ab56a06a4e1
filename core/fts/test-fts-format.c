/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "core/fts/fts-triplet.h"

#include <stdio.h>

struct world {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_buf out, w, l;
};

static int setup(void **state)
{
	struct lab_pool *pool = lab_pool_new(256u << 20);
	struct lab_heap *heap = lab_heap_new(pool, 256u << 20);
	struct world *world = lab_new(heap, struct world);

	world->pool = pool;
	world->heap = heap;
	lab_buf_init(&world->out, heap, 1u << 20);
	lab_buf_init(&world->w, heap, 1u << 20);
	lab_buf_init(&world->l, heap, 1u << 20);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	struct lab_heap *heap = world->heap;
	struct lab_pool *pool = world->pool;

	lab_buf_done(&world->out);
	lab_buf_done(&world->w);
	lab_buf_done(&world->l);
	lab_heap_free(heap, world);
	assert_int_equal(lab_heap_used(heap), 0);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct fts_guid guid = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

static struct fts_mail mail_of(uint32_t uid)
{
	struct fts_mail mail = { .uid = uid };

	memset(mail.mailbox, (int)(uid % 3 + 1), sizeof(mail.mailbox));
	memset(mail.name, (int)uid, sizeof(mail.name));
	return mail;
}

static void names_come_back(void **state)
{
	static const char *const bad[] = { "", "D", "D.", "D.00",
		"Q.000102030405060708090a0b0c0d0e0f", "D-0102030405060708090a0b0c0d0e0f10",
		"D.0102030405060708090A0b0c0d0e0f10", "D.0102030405060708090a0b0c0d0e0f1",
		"D.0102030405060708090a0b0c0d0e0f1000", "D.0102030405060708090a0b0c0d0e0fxx" };
	char name[FTS_NAME_MAX];
	struct fts_guid parsed;
	enum fts_kind kind;

	(void)state;
	for (unsigned k = 0; k < FTS_KIND_COUNT; k++) {
		fts_name_format((enum fts_kind)k, &guid, name);
		assert_int_equal(fts_name_parse(lab_view_cstr(name), &kind, &parsed), 0);
		assert_int_equal(kind, k);
		assert_memory_equal(&parsed, &guid, sizeof(guid));
	}
	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++)
		assert_row(i, fts_name_parse(lab_view_cstr(bad[i]), &kind, &parsed) < 0);
}

/* Any of the six, decoded and freed. */
static int decode(struct world *world, enum fts_kind kind, const struct fts_guid *of,
	struct lab_view bytes, struct lab_error *err)
{
	struct fts_docs docs;
	struct fts_wordlist words;
	struct fts_expunges expunges;
	struct fts_stats stats;
	struct lab_view lists;
	int result = -1;

	switch (kind) {
	case FTS_D:
		result = fts_docs_decode(world->heap, of, bytes, &docs, err);
		if (result == 0)
			fts_docs_free(world->heap, &docs);
		break;
	case FTS_W:
		result = fts_wordlist_decode(world->heap, of, bytes, &words, err);
		if (result == 0)
			fts_wordlist_free(world->heap, &words);
		break;
	case FTS_L:
		result = fts_lists_decode(of, bytes, &lists, err);
		break;
	case FTS_X:
	case FTS_Y:
		result = fts_expunges_decode(world->heap, kind, of, bytes, &expunges, err);
		if (result == 0)
			fts_expunges_free(world->heap, &expunges);
		break;
	case FTS_S:
		result = fts_stats_decode(world->heap, of, bytes, &stats, err);
		if (result == 0)
			fts_stats_free(world->heap, &stats);
		break;
	case FTS_KIND_COUNT:
		break;
	}
	return result;
}

static void encode_triplet(struct world *world)
{
	struct fts_builder *builder = fts_builder_new(world->heap);
	struct fts_guid replaced[2] = { { { 7 } }, { { 8 } } };
	struct lab_error err;

	for (uint32_t uid = 1; uid <= 5; uid++) {
		struct fts_mail mail = mail_of(uid);
		char text[100];

		snprintf(text, sizeof(text), "A: common%u\n\nword%u and common", uid, uid);
		assert_int_equal(
			fts_builder_add_mail(builder, &mail, lab_view_cstr(text), &err), 1);
	}
	fts_builder_encode(builder, &guid, replaced, 2, &world->out, &world->w, &world->l);
	fts_builder_free(&builder);
}

static void encode(struct world *world, enum fts_kind kind, struct lab_buf **ret)
{
	struct fts_expunge entries[2] = { { mail_of(1), { { 1 } } }, { mail_of(2), { { 2 } } } };
	struct fts_guid replaced = { { 3 } };
	struct fts_expunges expunges = { &replaced, 1, entries, 2 };
	struct fts_folder_stats folder = { .highest_uid = 9, .mails = 4 };
	struct fts_triplet_stats triplet = { guid, 1000, 8, &folder, 1 };
	struct fts_stats stats = { FTS_STATS_COUNTS, &triplet, 1, 5 };

	lab_buf_reset(&world->out);
	lab_buf_reset(&world->w);
	lab_buf_reset(&world->l);
	*ret = &world->out;
	if (kind == FTS_S) {
		fts_stats_encode(&guid, &stats, &world->out);
	} else if (kind == FTS_X || kind == FTS_Y) {
		fts_expunges_encode(kind, &guid, &expunges, &world->out);
	} else {
		encode_triplet(world);
		*ret = kind == FTS_D ? &world->out : kind == FTS_W ? &world->w : &world->l;
	}
}

static void every_cut_and_every_changed_byte_is_found(void **state)
{
	struct world *world = *state;
	static const struct fts_guid other = { { 99 } };

	for (unsigned k = 0; k < FTS_KIND_COUNT; k++) {
		struct lab_buf *bytes;
		struct lab_error err;

		encode(world, (enum fts_kind)k, &bytes);
		assert_int_equal(
			decode(world, (enum fts_kind)k, &guid, lab_buf_view(bytes), &err), 0);
		assert_int_equal(
			decode(world, (enum fts_kind)k, &other, lab_buf_view(bytes), &err), -1);
		assert_int_equal(err.code, LAB_CORRUPT);
		for (size_t n = 0; n < bytes->len; n++) {
			struct lab_view cut = lab_view_sub(lab_buf_view(bytes), 0, n);

			assert_row(n, decode(world, (enum fts_kind)k, &guid, cut, &err) < 0);
			assert_int_equal(err.code, LAB_CORRUPT);
			bytes->data[n] ^= 0x55;
			assert_row(n, decode(world, (enum fts_kind)k, &guid, lab_buf_view(bytes),
					      &err) < 0);
			assert_row(n, err.code == (n == 8 ? LAB_UNSUPPORTED : LAB_CORRUPT));
			bytes->data[n] ^= 0x55;
		}
	}
}

static void docs_expunges_and_stats_come_back(void **state)
{
	struct world *world = *state;
	struct fts_expunges expunges;
	struct fts_docs docs;
	struct fts_stats stats;
	struct lab_buf *bytes;
	struct lab_error err;

	encode(world, FTS_D, &bytes);
	assert_int_equal(fts_docs_decode(world->heap, &guid, lab_buf_view(bytes), &docs, &err), 0);
	assert_int_equal(docs.count, 10);
	assert_int_equal(docs.replaced_count, 2);
	assert_int_equal(docs.replaced[1].bytes[0], 8);
	for (size_t i = 0; i < docs.count; i++) {
		struct fts_mail mail = mail_of((uint32_t)i / 2 + 1);

		assert_memory_equal(docs.docs[i].mail.mailbox, mail.mailbox, 16);
		assert_memory_equal(docs.docs[i].mail.name, mail.name, 16);
		assert_int_equal(docs.docs[i].mail.uid, mail.uid);
		assert_int_equal(docs.docs[i].part, i % 2);
	}
	fts_docs_free(world->heap, &docs);
	encode(world, FTS_Y, &bytes);
	assert_int_equal(fts_expunges_decode(
				 world->heap, FTS_Y, &guid, lab_buf_view(bytes), &expunges, &err),
		0);
	assert_int_equal(expunges.count, 2);
	assert_int_equal(expunges.entries[1].mail.uid, 2);
	assert_int_equal(expunges.entries[1].of.bytes[0], 2);
	fts_expunges_free(world->heap, &expunges);
	encode(world, FTS_S, &bytes);
	assert_int_equal(
		fts_stats_decode(world->heap, &guid, lab_buf_view(bytes), &stats, &err), 0);
	assert_int_equal(stats.version, FTS_STATS_COUNTS);
	assert_int_equal(stats.expunges, 5);
	assert_int_equal(stats.triplets[0].l_bytes, 1000);
	assert_int_equal(stats.triplets[0].folders[0].mails, 4);
	fts_stats_free(world->heap, &stats);
}

static void plain_statistics_have_no_counts(void **state)
{
	struct world *world = *state;
	struct fts_folder_stats folder = { .highest_uid = 9, .mails = 4 };
	struct fts_triplet_stats triplet = { guid, 1000, 8, &folder, 1 };
	struct fts_stats stats = { FTS_STATS_PLAIN, &triplet, 1, 5 }, again;
	struct lab_error err;

	fts_stats_encode(&guid, &stats, &world->out);
	assert_int_equal(
		fts_stats_decode(world->heap, &guid, lab_buf_view(&world->out), &again, &err), 0);
	assert_int_equal(again.version, FTS_STATS_PLAIN);
	assert_int_equal(again.triplets[0].folders[0].highest_uid, 9);
	assert_int_equal(again.triplets[0].folders[0].mails, 0);
	assert_int_equal(again.expunges, 0);
	fts_stats_free(world->heap, &again);
}

static void lists_of_any_numbers_come_back(void **state)
{
	static const uint32_t docs[] = { 0, 1, 127, 128, 300, 16383, 16384, 4000000 };
	struct world *world = *state;
	uint32_t again[LAB_COUNT_OF(docs)];
	struct fts_word first, second;
	struct lab_view lists;
	struct lab_error err;

	fts_lists_begin(&guid, &world->l);
	fts_lists_add(&world->l, docs, LAB_COUNT_OF(docs), &first);
	fts_lists_add(&world->l, docs + 7, 1, &second);
	fts_lists_end(&world->l);
	assert_int_equal(fts_lists_decode(&guid, lab_buf_view(&world->l), &lists, &err), 0);
	assert_int_equal(fts_list_read(lists, &first, 4000001, again, &err), 0);
	assert_memory_equal(again, docs, sizeof(docs));
	assert_int_equal(fts_list_read(lists, &second, 4000001, again, &err), 0);
	assert_int_equal(again[0], 4000000);
	/* One doc too few. */
	assert_int_equal(fts_list_read(lists, &first, 4000000, again, &err), -1);
	assert_int_equal(err.code, LAB_CORRUPT);
	second.bytes++;
	assert_int_equal(fts_list_read(lists, &second, 4000001, again, &err), -1);
}

/* ---- triplets ---- */

struct found {
	char text[400];
	size_t used;
};

static void add_found(void *ctx, const struct fts_doc *doc)
{
	struct found *found = ctx;

	found->used +=
		(size_t)snprintf(found->text + found->used, sizeof(found->text) - found->used,
			"%" PRIu32 "%c ", doc->mail.uid, doc->part == FTS_PART_HEADER ? 'h' : 'b');
}

static struct fts_triplet *read_back(struct world *world)
{
	struct fts_triplet *triplet = fts_triplet_new(world->heap, &guid);
	struct lab_error err;

	assert_int_equal(fts_triplet_take_docs(triplet, lab_buf_view(&world->out), &err), 0);
	assert_int_equal(fts_triplet_take_words(
				 triplet, lab_buf_view(&world->w), lab_buf_view(&world->l), &err),
		0);
	return triplet;
}

static void assert_triplet(
	const struct fts_triplet *triplet, const char *word, bool is_prefix, const char *expected)
{
	struct found found = { .used = 0 };
	struct lab_error err;

	assert_int_equal(
		fts_triplet_find(triplet, lab_view_cstr(word), is_prefix, add_found, &found, &err),
		0);
	found.text[found.used] = '\0';
	assert_string_equal(found.text, expected);
}

static void a_triplet_finds_what_the_builder_had(void **state)
{
	struct world *world = *state;
	struct fts_triplet *triplet;

	encode_triplet(world);
	triplet = read_back(world);
	assert_triplet(triplet, "common", false, "1b 2b 3b 4b 5b ");
	assert_triplet(triplet, "common3", false, "3h ");
	assert_triplet(triplet, "word", true, "1b 2b 3b 4b 5b ");
	assert_triplet(triplet, "word", false, "");
	assert_triplet(triplet, "zz", true, "");
	assert_triplet(triplet, "a", false, "1h 2h 3h 4h 5h ");
	fts_triplet_free(&triplet);
}

static bool keep_odd(void *ctx, const struct fts_mail *mail)
{
	(void)ctx;
	return mail->uid % 2 == 1;
}

static bool keep_all(void *ctx, const struct fts_mail *mail)
{
	(void)ctx, (void)mail;
	return true;
}

static void triplets_are_put_together_without_what_is_expunged(void **state)
{
	struct world *world = *state;
	struct fts_builder *builder = fts_builder_new(world->heap), *both;
	struct fts_mail six = mail_of(6);
	struct fts_triplet *triplet;
	struct found found = { .used = 0 };
	struct lab_error err;

	encode_triplet(world);
	triplet = read_back(world);
	assert_int_equal(
		fts_builder_add_mail(builder, &six, LAB_VIEW("A: common6\n\ncommon"), &err), 1);
	/* A mail that is there already stays as it is. */
	assert_int_equal(fts_builder_add_mail(builder, &six, LAB_VIEW("other"), &err), 0);
	assert_int_equal(fts_builder_add_triplet(builder, triplet, keep_odd, NULL, &err), 0);
	assert_int_equal(fts_builder_add_triplet(builder, triplet, keep_odd, NULL, &err), 0);
	assert_int_equal(fts_builder_mails(builder), 4);
	both = fts_builder_new(world->heap);
	assert_int_equal(fts_builder_add_triplet(both, triplet, keep_all, NULL, &err), 0);
	assert_int_equal(fts_builder_add_builder(both, builder, keep_all, NULL, &err), 0);
	assert_int_equal(fts_builder_mails(both), 6);
	fts_builder_find(both, LAB_VIEW("common"), false, add_found, &found);
	found.text[found.used] = '\0';
	assert_string_equal(found.text, "1b 2b 3b 4b 5b 6b ");
	fts_triplet_free(&triplet);
	lab_buf_reset(&world->out);
	lab_buf_reset(&world->w);
	lab_buf_reset(&world->l);
	fts_builder_encode(builder, &guid, NULL, 0, &world->out, &world->w, &world->l);
	triplet = read_back(world);
	assert_triplet(triplet, "common", false, "6b 1b 3b 5b ");
	assert_triplet(triplet, "word2", false, "");
	fts_triplet_free(&triplet);
	fts_builder_free(&both);
	fts_builder_free(&builder);
}

static void words_and_lists_of_two_triplets_are_refused(void **state)
{
	struct world *world = *state;
	struct fts_triplet *triplet = fts_triplet_new(world->heap, &guid);
	struct lab_buf *bytes;
	struct lab_error err;

	encode(world, FTS_L, &bytes);
	lab_buf_reset(&world->l);
	fts_lists_begin(&guid, &world->l);
	fts_lists_end(&world->l);
	assert_int_equal(fts_triplet_take_words(
				 triplet, lab_buf_view(&world->w), lab_buf_view(&world->l), &err),
		-1);
	assert_int_equal(err.code, LAB_CORRUPT);
	assert_false(triplet->has_words);
	fts_triplet_free(&triplet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_come_back),
		TEST(every_cut_and_every_changed_byte_is_found),
		TEST(docs_expunges_and_stats_come_back),
		TEST(plain_statistics_have_no_counts),
		TEST(lists_of_any_numbers_come_back),
		TEST(a_triplet_finds_what_the_builder_had),
		TEST(triplets_are_put_together_without_what_is_expunged),
		TEST(words_and_lists_of_two_triplets_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
