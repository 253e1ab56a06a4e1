/* SPDX-License-Identifier: Apache-2.0
 *
 * test-index-support.h - for tests of states: mails with numbers, and states compared as bytes.
 * Include it behind cmocka.h and index-state.h.
 */
#ifndef LAB_OBOX_TEST_INDEX_SUPPORT_H
#define LAB_OBOX_TEST_INDEX_SUPPORT_H

#define MANY 1000000 /* no limit of renumberings */

static struct lab_pool *pool;
static struct lab_heap *heap;

static inline int set_up(void **state)
{
	(void)state;
	pool = lab_pool_new(256u << 20);
	heap = lab_heap_new(pool, 256u << 20);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	assert_int_equal(lab_heap_used(heap), 0);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}

/* ---- making and comparing ---- */

/* The n-th mail ever made: names are in the order of creation. */
static inline struct obox_mail mail_of(uint32_t n)
{
	struct obox_mail mail = { .size = 1000 + n, .received = n, .saved = n, .oid_len = 17 };

	mail.name[4] = (uint8_t)n;
	mail.name[5] = (uint8_t)(n >> 8);
	mail.name[15] = 1;
	memset(mail.guid, (int)(n % 255 + 1), sizeof(mail.guid));
	memset(mail.oid, (int)(n % 255), mail.oid_len);
	return mail;
}

static inline uint32_t number_of(const struct obox_mail *mail)
{
	return mail->name[4] + 256u * mail->name[5];
}

static inline uint16_t author(struct obox_state *state, uint64_t id)
{
	uint16_t at;

	assert_int_equal(obox_state_author(state, id, &at, NULL), 0);
	return at;
}

static inline uint16_t keyword(struct obox_state *state, const char *name)
{
	uint16_t flag;

	assert_int_equal(obox_state_keyword(state, lab_view_cstr(name), &flag, NULL), 0);
	return flag;
}

static inline uint32_t add(struct obox_state *state, uint64_t id, uint32_t n)
{
	struct obox_mail mail = mail_of(n);

	return obox_state_add(state, author(state, id), &mail);
}

static inline struct obox_record *find(const struct obox_state *state, uint32_t n)
{
	struct obox_mail mail = mail_of(n);

	return obox_state_find_name(state, mail.name);
}

static inline int flag(
	struct obox_state *state, uint64_t id, uint32_t n, uint16_t which, bool is_set)
{
	struct obox_record *record = find(state, n);

	return record == NULL ? 0
			      : obox_state_set_flag(
					state, author(state, id), record->mail.uid, which, is_set);
}

static inline int expunge(struct obox_state *state, uint32_t n)
{
	struct obox_record *record = find(state, n);

	if (record == NULL || obox_state_expunge(state, record->mail.uid) == 0)
		return 0;
	obox_state_sweep(state);
	return 1;
}

static inline struct lab_buf encoded(const struct obox_state *state)
{
	struct lab_buf buf;

	lab_buf_init(&buf, heap, 16u << 20);
	obox_state_encode(state, &buf);
	assert_false(buf.overflow);
	return buf;
}

static inline bool are_equal(const struct obox_state *x, const struct obox_state *y)
{
	struct lab_buf a = encoded(x), b = encoded(y);
	bool result = lab_view_eq(lab_buf_view(&a), lab_buf_view(&b));

	lab_buf_done(&a);
	lab_buf_done(&b);
	return result;
}

/* Through bytes, as another backend gets it. */
static inline struct obox_state *copy(const struct obox_state *state)
{
	struct lab_buf bytes = encoded(state);
	struct obox_state *ret;

	assert_int_equal(obox_state_decode(heap, lab_buf_view(&bytes), &ret, NULL), 0);
	lab_buf_done(&bytes);
	return ret;
}

#endif
