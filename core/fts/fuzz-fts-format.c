/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an object of an FTS directory: never out of bounds, and what is believed can be
 * searched, put together and written again.
 *
 * The first byte says what they are: 0 to 5 a body whose head and checksum are put right first (or
 * nothing would get past them); 6 the bytes as they are, as everything; 7 the three bodies of a
 * triplet, the lengths of the first two in two bytes each; 8 mails, which are indexed.
 */
#include "core/fts/fts-triplet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HASH_SEED UINT64_C(0x6f626f7866747321)

static struct lab_heap *heap;
static const struct fts_guid guid = { { 1, 2, 3 } };

/* A body with its head and checksum; the version is of the body's first byte. */
static void seal(enum fts_kind kind, struct lab_view body, struct lab_buf *out)
{
	static const char letters[] = "SXYDWL";
	uint8_t version = kind == FTS_S && body.len > 0 ? 1 + body.ptr[0] % 2 : 1;

	lab_buf_init(out, heap, 65536);
	lab_buf_append_cstr(out, "oboxfts");
	lab_buf_append_byte(out, (uint8_t)letters[kind]);
	lab_buf_append_byte(out, version);
	lab_buf_append(out, guid.bytes, sizeof(guid.bytes));
	lab_buf_append_view(out, kind == FTS_S ? lab_view_skip(body, 1) : body);
	lab_buf_append_u64(out, lab_hash_view(HASH_SEED, lab_buf_view(out)));
}

static void decode_stats(struct lab_view bytes)
{
	struct fts_stats stats;
	struct lab_buf again;

	if (fts_stats_decode(heap, &guid, bytes, &stats, NULL) < 0)
		return;
	lab_buf_init(&again, heap, 65536);
	fts_stats_encode(&guid, &stats, &again);
	lab_assert(lab_view_eq(lab_buf_view(&again), bytes));
	lab_buf_done(&again);
	fts_stats_free(heap, &stats);
}

static void decode_expunges(enum fts_kind kind, struct lab_view bytes)
{
	struct fts_expunges expunges;
	struct lab_buf again;

	if (fts_expunges_decode(heap, kind, &guid, bytes, &expunges, NULL) < 0)
		return;
	lab_buf_init(&again, heap, 65536);
	fts_expunges_encode(kind, &guid, &expunges, &again);
	lab_assert(lab_view_eq(lab_buf_view(&again), bytes));
	lab_buf_done(&again);
	fts_expunges_free(heap, &expunges);
}

static void decode(enum fts_kind kind, struct lab_view bytes)
{
	struct fts_wordlist words;
	struct fts_docs docs;
	struct lab_view lists;

	if (kind == FTS_S)
		decode_stats(bytes);
	else if (kind == FTS_X || kind == FTS_Y)
		decode_expunges(kind, bytes);
	else if (kind == FTS_L)
		(void)fts_lists_decode(&guid, bytes, &lists, NULL);
	else if (kind == FTS_W && fts_wordlist_decode(heap, &guid, bytes, &words, NULL) == 0)
		fts_wordlist_free(heap, &words);
	else if (kind == FTS_D && fts_docs_decode(heap, &guid, bytes, &docs, NULL) == 0)
		fts_docs_free(heap, &docs);
}

static void count_doc(void *ctx, const struct fts_doc *doc)
{
	lab_assert(doc->mail.uid != 0);
	++*(size_t *)ctx;
}

static bool keep_even(void *ctx, const struct fts_mail *mail)
{
	(void)ctx;
	return mail->uid % 2 == 0;
}

/* Writes it, and reads what was written. */
static void write_and_read(const struct fts_builder *builder)
{
	struct fts_triplet *triplet = fts_triplet_new(heap, &guid);
	struct lab_buf d, w, l;
	size_t found = 0, again = 0;

	lab_buf_init(&d, heap, 1u << 20);
	lab_buf_init(&w, heap, 1u << 20);
	lab_buf_init(&l, heap, 1u << 20);
	fts_builder_encode(builder, &guid, NULL, 0, &d, &w, &l);
	lab_assert(fts_triplet_take_docs(triplet, lab_buf_view(&d), NULL) == 0);
	lab_assert(fts_triplet_take_words(triplet, lab_buf_view(&w), lab_buf_view(&l), NULL) == 0);
	fts_builder_find(builder, LAB_VIEW(""), true, count_doc, &found);
	lab_assert(fts_triplet_find(triplet, LAB_VIEW(""), true, count_doc, &again, NULL) == 0);
	lab_assert(found == again);
	fts_triplet_free(&triplet);
	lab_buf_done(&d);
	lab_buf_done(&w);
	lab_buf_done(&l);
}

static void use(struct fts_triplet *triplet)
{
	struct fts_builder *builder = fts_builder_new(heap);
	size_t found = 0;

	(void)fts_triplet_find(triplet, LAB_VIEW("a"), true, count_doc, &found, NULL);
	if (fts_builder_add_triplet(builder, triplet, keep_even, NULL, NULL) == 0)
		write_and_read(builder);
	fts_builder_free(&builder);
}

static void three_bodies(struct lab_view data)
{
	struct fts_triplet *triplet = fts_triplet_new(heap, &guid);
	struct lab_reader reader = { .rest = data };
	struct lab_view first = lab_read_view(&reader, lab_read_u16(&reader));
	struct lab_view second = lab_read_view(&reader, lab_read_u16(&reader));
	struct lab_buf d, w, l;

	seal(FTS_D, first, &d);
	seal(FTS_W, second, &w);
	seal(FTS_L, reader.rest, &l);
	if (fts_triplet_take_docs(triplet, lab_buf_view(&d), NULL) == 0 &&
		fts_triplet_take_words(triplet, lab_buf_view(&w), lab_buf_view(&l), NULL) == 0)
		use(triplet);
	fts_triplet_free(&triplet);
	lab_buf_done(&d);
	lab_buf_done(&w);
	lab_buf_done(&l);
}

static void mails(struct lab_view data)
{
	struct fts_builder *builder = fts_builder_new(heap);
	struct fts_mail mail = { .uid = 1 };
	struct lab_view text;

	while (lab_view_split(&data, 0xff, &text)) {
		(void)fts_builder_add_mail(builder, &mail, text, NULL);
		mail.uid++;
	}
	write_and_read(builder);
	fts_builder_free(&builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab_pool *pool;
	struct lab_view rest;
	struct fts_guid named;
	enum fts_kind kind;
	struct lab_buf sealed;

	if (pool == NULL)
		pool = lab_pool_new(64u << 20);
	if (size == 0 || size > 8192)
		return 0;
	heap = lab_heap_new(pool, 64u << 20);
	rest = lab_view_of(data + 1, size - 1);
	if (data[0] % 9 < 6) {
		seal((enum fts_kind)(data[0] % 9), rest, &sealed);
		decode((enum fts_kind)(data[0] % 9), lab_buf_view(&sealed));
		lab_buf_done(&sealed);
	} else if (data[0] % 9 == 6) {
		(void)fts_name_parse(rest, &kind, &named);
		for (unsigned i = 0; i < FTS_KIND_COUNT; i++)
			decode((enum fts_kind)i, rest);
	} else if (data[0] % 9 == 7) {
		three_bodies(rest);
	} else {
		mails(rest);
	}
	lab_assert(lab_heap_used(heap) == 0);
	lab_heap_drop(&heap);
	return 0;
}
