/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-rows.c - rows of GeoDB as values.
 */
#include "core/cluster/cluster-rows.h"

/* ---- ids and words ---- */

bool cluster_id_is_set(struct cluster_id id)
{
	for (size_t i = 0; i < CLUSTER_ID_SIZE; i++) {
		if (id.bytes[i] != 0)
			return true;
	}
	return false;
}

/* Bytes before which a uuid's text has a dash. */
static bool is_dashed(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int cluster_id_parse(struct lab_view text, struct cluster_id *ret)
{
	struct cluster_id id;
	size_t at = 0;

	if (text.len != CLUSTER_ID_TEXT_SIZE - 1)
		return -1;
	for (size_t i = 0; i < CLUSTER_ID_SIZE; i++) {
		if (is_dashed(i) && text.ptr[at++] != '-')
			return -1;
		if (lab_unhex(lab_view_sub(text, at, 2), &id.bytes[i], 1) < 0)
			return -1;
		at += 2;
	}
	*ret = id;
	return 0;
}

void cluster_id_format(struct cluster_id id, char ret[CLUSTER_ID_TEXT_SIZE])
{
	size_t at = 0;

	for (size_t i = 0; i < CLUSTER_ID_SIZE; i++) {
		if (is_dashed(i))
			ret[at++] = '-';
		lab_hex(&id.bytes[i], 1, ret + at);
		at += 2;
	}
}

static const char *const status_names[] = { "",
#define X(name, text) text,
	CLUSTER_STATUSES(X)
#undef X
};

const char *cluster_status_name(enum cluster_status status)
{
	lab_assert((size_t)status < LAB_COUNT_OF(status_names));
	return status_names[status];
}

int cluster_status_parse(struct lab_view name, enum cluster_status *ret)
{
	for (size_t i = CLUSTER_ONLINE; i < LAB_COUNT_OF(status_names); i++) {
		if (lab_view_eq_cstr(name, status_names[i])) {
			*ret = (enum cluster_status)i;
			return 0;
		}
	}
	return -1;
}

int cluster_username_normalise(
	struct lab_view name, struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	uint8_t *text;

	if (name.len == 0 || name.len > CLUSTER_USERNAME_MAX)
		return lab_fail(err, LAB_INVALID, "user names have 1 to %d bytes, not %zu",
			CLUSTER_USERNAME_MAX, name.len);
	text = lab_arena_alloc(arena, name.len);
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
			return lab_fail(err, LAB_INVALID, "control character in a user name");
		text[i] = name.ptr[i];
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] = (uint8_t)(text[i] - 'A' + 'a');
	}
	*ret = lab_view_of(text, name.len);
	return 0;
}

/* ---- tables ---- */

#define COLUMN(tag, name, kind, role) \
	{ #name, CLUSTER_KIND_##kind, CLUSTER_ROLE_##role, offsetof(struct tag, name) },
#define X_TAG(name, kind, role) COLUMN(cluster_tag, name, kind, role)
#define X_SITE(name, kind, role) COLUMN(cluster_site, name, kind, role)
#define X_REACHABILITY(name, kind, role) COLUMN(cluster_reachability, name, kind, role)
#define X_BACKEND(name, kind, role) COLUMN(cluster_backend, name, kind, role)
#define X_GROUP(name, kind, role) COLUMN(cluster_group, name, kind, role)
#define X_USER(name, kind, role) COLUMN(cluster_user, name, kind, role)
#define X_STATS(name, kind, role) COLUMN(cluster_stats, name, kind, role)
#define X_SETTING(name, kind, role) COLUMN(cluster_setting, name, kind, role)

#define X(id, tag, table) \
	static const struct cluster_column columns_##id[] = { CLUSTER_##id(X_##id) };
CLUSTER_TABLES(X)
#undef X

#define IS_KEY_KEY 1
#define IS_KEY_MAIN 0
#define IS_KEY_CONTENDED 0
#define IS_KEY_PLAIN 0
#define COUNT_KEYS(name, kind, role) +IS_KEY_##role

static const struct cluster_table tables[] = {
#define X(id, tag, table) \
	{ table, sizeof(struct tag), offsetof(struct tag, version_us), columns_##id, \
		LAB_COUNT_OF(columns_##id), 0 CLUSTER_##id(COUNT_KEYS) },
	CLUSTER_TABLES(X)
#undef X
};

#define X(id, tag, table) _Static_assert(LAB_COUNT_OF(columns_##id) <= CLUSTER_COLUMNS_MAX, table);
CLUSTER_TABLES(X)
#undef X

const struct cluster_table *cluster_table(enum cluster_table_id id)
{
	lab_assert((size_t)id < LAB_COUNT_OF(tables));
	return &tables[id];
}

/* ---- copies and bytes ---- */

static struct lab_view *text_of(const struct cluster_column *column, void *row)
{
	return (struct lab_view *)(void *)((uint8_t *)row + column->offset);
}

void cluster_row_copy(
	const struct cluster_table *table, const void *row, struct lab_arena *arena, void *ret)
{
	memcpy(ret, row, table->row_size);
	for (size_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].kind == CLUSTER_KIND_TEXT) {
			struct lab_view *text = text_of(&table->columns[i], ret);

			if (text->ptr != NULL)
				*text = lab_arena_copy(arena, *text);
		}
	}
}

/* Absent is not the empty text. */
#define NO_TEXT 0xffff

static void encode_text(struct lab_view text, struct lab_buf *out)
{
	if (text.len > CLUSTER_TEXT_MAX)
		out->overflow = true;
	lab_buf_append_u16(out, text.ptr == NULL ? NO_TEXT : (uint16_t)text.len);
	if (text.ptr != NULL)
		lab_buf_append_view(out, text);
}

void cluster_row_encode(const struct cluster_table *table, const void *row, struct lab_buf *out)
{
	for (size_t i = 0; i < table->column_count; i++) {
		const struct cluster_column *column = &table->columns[i];
		const void *value = (const uint8_t *)row + column->offset;

		if (column->kind == CLUSTER_KIND_ID)
			lab_buf_append(out, value, CLUSTER_ID_SIZE);
		else if (column->kind == CLUSTER_KIND_TEXT)
			encode_text(*(const struct lab_view *)value, out);
		else if (column->kind == CLUSTER_KIND_INT)
			lab_buf_append_u64(out, (uint64_t) * (const int64_t *)value);
		else
			lab_buf_append_byte(out, (uint8_t) * (const enum cluster_status *)value);
	}
	lab_buf_append_u64(
		out, (uint64_t) * (const int64_t *)(const void *)((const uint8_t *)row +
								  table->version_offset));
}

static void decode_text(struct lab_reader *reader, struct lab_view *ret)
{
	uint16_t len = lab_read_u16(reader);

	*ret = (struct lab_view){ NULL, 0 };
	if (len == NO_TEXT)
		return;
	if (len > CLUSTER_TEXT_MAX)
		reader->failed = true;
	*ret = lab_read_view(reader, len);
	if (ret->ptr == NULL)
		*ret = LAB_VIEW("");
}

static void decode_status(struct lab_reader *reader, enum cluster_status *ret)
{
	uint8_t status = lab_read_u8(reader);

	if (status >= LAB_COUNT_OF(status_names))
		reader->failed = true;
	else
		*ret = (enum cluster_status)status;
}

void cluster_row_decode(const struct cluster_table *table, struct lab_reader *reader, void *ret)
{
	int64_t version;

	memset(ret, 0, table->row_size);
	for (size_t i = 0; i < table->column_count; i++) {
		const struct cluster_column *column = &table->columns[i];
		void *value = (uint8_t *)ret + column->offset;

		if (column->kind == CLUSTER_KIND_ID)
			lab_read_bytes(reader, value, CLUSTER_ID_SIZE);
		else if (column->kind == CLUSTER_KIND_TEXT)
			decode_text(reader, value);
		else if (column->kind == CLUSTER_KIND_INT)
			*(int64_t *)value = (int64_t)lab_read_u64(reader);
		else
			decode_status(reader, value);
	}
	version = (int64_t)lab_read_u64(reader);
	memcpy((uint8_t *)ret + table->version_offset, &version, sizeof(version));
}
