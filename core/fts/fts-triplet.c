/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fts/fts-triplet.h"

/* ---- triplets ---- */

struct fts_triplet *fts_triplet_new(struct lab_heap *heap, const struct fts_guid *guid)
{
	struct fts_triplet *triplet = lab_new(heap, struct fts_triplet);

	triplet->heap = heap;
	triplet->guid = *guid;
	return triplet;
}

void fts_triplet_free(struct fts_triplet **triplet_p)
{
	struct fts_triplet *triplet = *triplet_p;

	if (triplet == NULL)
		return;
	fts_triplet_drop_words(triplet);
	fts_docs_free(triplet->heap, &triplet->docs);
	lab_heap_free(triplet->heap, triplet);
	*triplet_p = NULL;
}

int fts_triplet_take_docs(struct fts_triplet *triplet, struct lab_view d, struct lab_error *err)
{
	return fts_docs_decode(triplet->heap, &triplet->guid, d, &triplet->docs, err);
}

static uint8_t *keep_bytes(struct lab_heap *heap, struct lab_view bytes)
{
	uint8_t *copy = lab_heap_alloc(heap, bytes.len);

	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	return copy;
}

/* Every list of W is within L, and they fill it. */
static int check_lists(const struct fts_triplet *triplet, struct lab_error *err)
{
	const struct fts_wordlist *words = &triplet->words;
	uint64_t end = 0;

	if (words->count > 0)
		end = (uint64_t)words->words[words->count - 1].offset +
		      words->words[words->count - 1].bytes;
	return end == triplet->lists.len
		       ? 0
		       : lab_fail(err, LAB_CORRUPT, "fts.W and fts.L do not belong together");
}

int fts_triplet_take_words(
	struct fts_triplet *triplet, struct lab_view w, struct lab_view l, struct lab_error *err)
{
	lab_assert(!triplet->has_words);
	triplet->w = keep_bytes(triplet->heap, w);
	triplet->l = keep_bytes(triplet->heap, l);
	triplet->has_words = true;
	triplet->l_bytes = l.len;
	if (fts_wordlist_decode(triplet->heap, &triplet->guid, lab_view_of(triplet->w, w.len),
		    &triplet->words, err) == 0 &&
		fts_lists_decode(&triplet->guid, lab_view_of(triplet->l, l.len), &triplet->lists,
			err) == 0 &&
		check_lists(triplet, err) == 0)
		return 0;
	fts_triplet_drop_words(triplet);
	return -1;
}

void fts_triplet_drop_words(struct fts_triplet *triplet)
{
	fts_wordlist_free(triplet->heap, &triplet->words);
	lab_heap_free(triplet->heap, triplet->w);
	lab_heap_free(triplet->heap, triplet->l);
	triplet->w = triplet->l = NULL;
	triplet->lists = (struct lab_view){ NULL, 0 };
	triplet->has_words = false;
}

size_t fts_triplet_bytes(const struct fts_triplet *triplet)
{
	return triplet->has_words
		       ? triplet->words.count * sizeof(struct fts_word) + 2 * triplet->lists.len
		       : 0;
}

/* The first word that is not below that one. */
static size_t first_word(const struct fts_wordlist *words, struct lab_view word)
{
	size_t low = 0, high = words->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lab_view_cmp(words->words[middle].text, word) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int read_list(const struct fts_triplet *triplet, const struct fts_word *word, uint32_t **ret,
	struct lab_error *err)
{
	/* The count is checked against the bytes, which are there. */
	*ret = lab_new_array(triplet->heap, uint32_t, word->count);
	if (fts_list_read(triplet->lists, word, triplet->docs.count, *ret, err) == 0)
		return 0;
	lab_heap_free(triplet->heap, *ret);
	return -1;
}

static bool matches(struct lab_view text, struct lab_view word, bool is_prefix)
{
	return is_prefix ? lab_view_starts_with(text, word) : lab_view_eq(text, word);
}

int fts_triplet_find(const struct fts_triplet *triplet, struct lab_view word, bool is_prefix,
	fts_found_fn fn, void *ctx, struct lab_error *err)
{
	lab_assert(triplet->has_words);
	for (size_t i = first_word(&triplet->words, word); i < triplet->words.count; i++) {
		const struct fts_word *found = &triplet->words.words[i];
		uint32_t *docs;

		if (!matches(found->text, word, is_prefix))
			return 0;
		if (read_list(triplet, found, &docs, err) < 0)
			return -1;
		for (uint32_t n = 0; n < found->count; n++)
			fn(ctx, &triplet->docs.docs[docs[n]]);
		lab_heap_free(triplet->heap, docs);
	}
	return 0;
}

/* ---- builders ---- */

struct list {
	uint32_t *docs;
	uint32_t count, capacity;
};

struct fts_builder {
	struct lab_heap *heap;
	struct fts_doc *docs;
	size_t count, capacity;
	struct lab_map *mails; /* fts_mail_key() -> which of the additions it came with */
	uintptr_t additions;
	struct lab_tree *words; /* text -> struct list */
	size_t list_bytes;
};

struct fts_builder *fts_builder_new(struct lab_heap *heap)
{
	struct fts_builder *builder = lab_new(heap, struct fts_builder);

	builder->heap = heap;
	builder->mails = lab_map_new(heap, FTS_DOCS_MAX);
	builder->words = lab_tree_new(heap, FTS_WORDS_MAX);
	return builder;
}

void fts_builder_free(struct fts_builder **builder_p)
{
	struct fts_builder *builder = *builder_p;
	struct lab_tree_iter iter;
	struct lab_view text;
	void *value;

	if (builder == NULL)
		return;
	iter = lab_tree_iterate(builder->words, LAB_VIEW(""));
	while (lab_tree_next(&iter, &text, &value)) {
		lab_heap_free(builder->heap, ((struct list *)value)->docs);
		lab_heap_free(builder->heap, value);
	}
	lab_tree_free(&builder->words);
	lab_map_free(&builder->mails);
	lab_heap_free(builder->heap, builder->docs);
	lab_heap_free(builder->heap, builder);
	*builder_p = NULL;
}

static uint32_t add_doc(struct fts_builder *builder, const struct fts_doc *doc)
{
	if (builder->count == builder->capacity) {
		builder->capacity = LAB_MAX((size_t)16, 2 * builder->capacity);
		builder->docs = lab_heap_realloc(
			builder->heap, builder->docs, builder->capacity * sizeof(*builder->docs));
	}
	builder->docs[builder->count] = *doc;
	return (uint32_t)builder->count++;
}

/* Docs come in ascending order, so one that is there is the last. */
static bool add_word(struct fts_builder *builder, struct lab_view word, uint32_t doc)
{
	void **slot = lab_tree_slot(builder->words, word);
	struct list *list;

	if (slot == NULL)
		return false;
	if (*slot == NULL)
		*slot = lab_new(builder->heap, struct list);
	list = *slot;
	if (list->count > 0 && list->docs[list->count - 1] == doc)
		return true;
	if (list->count == list->capacity) {
		list->capacity = LAB_MAX(2u, 2 * list->capacity);
		list->docs = lab_heap_realloc(
			builder->heap, list->docs, list->capacity * sizeof(*list->docs));
	}
	list->docs[list->count++] = doc;
	builder->list_bytes++;
	return true;
}

static int is_full(const struct fts_builder *builder, struct lab_error *err)
{
	if (builder->count + 2 <= FTS_DOCS_MAX && lab_tree_count(builder->words) < FTS_WORDS_MAX &&
		builder->list_bytes < FTS_FILE_MAX / 8)
		return 0;
	return lab_fail(err, LAB_LIMIT, "triplet has %zu docs and %zu words", builder->count,
		lab_tree_count(builder->words));
}

struct adding {
	struct fts_builder *builder;
	uint32_t doc;
};

static void add_word_of_mail(void *ctx, struct lab_view word)
{
	struct adding *adding = ctx;

	(void)add_word(adding->builder, word, adding->doc);
}

int fts_builder_add_mail(struct fts_builder *builder, const struct fts_mail *mail,
	struct lab_view text, struct lab_error *err)
{
	size_t header = fts_header_bytes(text);
	struct fts_doc doc = { .mail = *mail };
	struct adding adding = { .builder = builder };
	uint8_t key[FTS_MAIL_BYTES];
	void **slot;

	if (fts_builder_has(builder, mail))
		return 0;
	if (is_full(builder, err) < 0)
		return -1;
	slot = lab_map_slot(builder->mails, fts_mail_key(mail, key));
	lab_assert(slot != NULL);
	*slot = (void *)++builder->additions;
	doc.part = FTS_PART_HEADER;
	adding.doc = add_doc(builder, &doc);
	fts_words(lab_view_sub(text, 0, header), add_word_of_mail, &adding);
	doc.part = FTS_PART_BODY;
	adding.doc = add_doc(builder, &doc);
	fts_words(lab_view_skip(text, header), add_word_of_mail, &adding);
	return 1;
}

#define DROPPED UINT32_MAX

/* The numbers that the docs of another index get here. */
static uint32_t *take_docs(struct fts_builder *builder, const struct fts_doc *docs, size_t count,
	fts_keep_fn keep, void *ctx)
{
	void *addition = (void *)++builder->additions;
	uint32_t *numbers = lab_new_array(builder->heap, uint32_t, count);

	for (size_t i = 0; i < count; i++) {
		uint8_t key[FTS_MAIL_BYTES];
		struct lab_view mail = fts_mail_key(&docs[i].mail, key);
		const void *from = lab_map_get(builder->mails, mail);
		void **slot;

		numbers[i] = DROPPED;
		if ((from != NULL && from != addition) || !keep(ctx, &docs[i].mail))
			continue;
		slot = lab_map_slot(builder->mails, mail);
		if (slot == NULL || builder->count >= FTS_DOCS_MAX)
			continue;
		*slot = addition;
		numbers[i] = add_doc(builder, &docs[i]);
	}
	return numbers;
}

static int take_list(struct fts_builder *builder, struct lab_view word, const uint32_t *docs,
	uint32_t count, const uint32_t *numbers, struct lab_error *err)
{
	for (uint32_t i = 0; i < count; i++) {
		if (numbers[docs[i]] != DROPPED && !add_word(builder, word, numbers[docs[i]]))
			return lab_fail(err, LAB_LIMIT, "triplet has too many words");
	}
	return 0;
}

int fts_builder_add_triplet(struct fts_builder *builder, const struct fts_triplet *triplet,
	fts_keep_fn keep, void *ctx, struct lab_error *err)
{
	uint32_t *numbers = take_docs(builder, triplet->docs.docs, triplet->docs.count, keep, ctx);
	int result = 0;

	lab_assert(triplet->has_words);
	for (size_t i = 0; i < triplet->words.count && result == 0; i++) {
		const struct fts_word *word = &triplet->words.words[i];
		uint32_t *docs;

		result = read_list(triplet, word, &docs, err);
		if (result < 0)
			break;
		result = take_list(builder, word->text, docs, word->count, numbers, err);
		lab_heap_free(triplet->heap, docs);
	}
	lab_heap_free(builder->heap, numbers);
	return result;
}

int fts_builder_add_builder(struct fts_builder *builder, const struct fts_builder *from,
	fts_keep_fn keep, void *ctx, struct lab_error *err)
{
	uint32_t *numbers = take_docs(builder, from->docs, from->count, keep, ctx);
	struct lab_tree_iter iter = lab_tree_iterate(from->words, LAB_VIEW(""));
	struct lab_view text;
	void *value;
	int result = 0;

	while (result == 0 && lab_tree_next(&iter, &text, &value)) {
		const struct list *list = value;

		result = take_list(builder, text, list->docs, list->count, numbers, err);
	}
	lab_heap_free(builder->heap, numbers);
	return result;
}

size_t fts_builder_mails(const struct fts_builder *builder)
{
	return lab_map_count(builder->mails);
}

bool fts_builder_has(const struct fts_builder *builder, const struct fts_mail *mail)
{
	uint8_t key[FTS_MAIL_BYTES];

	return lab_map_get(builder->mails, fts_mail_key(mail, key)) != NULL;
}

size_t fts_builder_list_bytes(const struct fts_builder *builder)
{
	return builder->list_bytes;
}

const struct fts_doc *fts_builder_docs(const struct fts_builder *builder, size_t *ret_count)
{
	*ret_count = builder->count;
	return builder->docs;
}

void fts_builder_find(const struct fts_builder *builder, struct lab_view word, bool is_prefix,
	fts_found_fn fn, void *ctx)
{
	struct lab_tree_iter iter = lab_tree_iterate(builder->words, word);
	struct lab_view text;
	void *value;

	while (lab_tree_next(&iter, &text, &value) && matches(text, word, is_prefix)) {
		const struct list *list = value;

		for (uint32_t i = 0; i < list->count; i++)
			fn(ctx, &builder->docs[list->docs[i]]);
	}
}

void fts_builder_encode(const struct fts_builder *builder, const struct fts_guid *guid,
	struct fts_guid *replaced, size_t replaced_count, struct lab_buf *d, struct lab_buf *w,
	struct lab_buf *l)
{
	struct fts_docs docs = { replaced, replaced_count, builder->docs, builder->count };
	struct fts_wordlist words = {
		lab_new_array(builder->heap, struct fts_word, lab_tree_count(builder->words)), 0
	};
	struct lab_tree_iter iter = lab_tree_iterate(builder->words, LAB_VIEW(""));
	struct lab_view text;
	void *value;

	fts_lists_begin(guid, l);
	while (lab_tree_next(&iter, &text, &value)) {
		const struct list *list = value;
		struct fts_word *word = &words.words[words.count++];

		word->text = text;
		fts_lists_add(l, list->docs, list->count, word);
	}
	fts_lists_end(l);
	fts_wordlist_encode(guid, &words, w);
	fts_docs_encode(guid, &docs, d);
	fts_wordlist_free(builder->heap, &words);
}
