/* SPDX-License-Identifier: Apache-2.0
 *
 * listing.c - what all listings have in common: paging, prefixes, groups, encoding (s3 1.3).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

bool s3emu_list_take(const struct s3emu_exchange *x, const char *name, struct lab_view *ret)
{
	const struct s3emu_param *param = s3emu_param(x, name);

	*ret = param == NULL ? lab_view_of(NULL, 0) : param->value;
	return param != NULL;
}

static int parse_max(struct s3emu_exchange *x, const char *name, uint64_t *ret)
{
	struct lab_view text;

	*ret = S3EMU_LIST_MAX;
	if (!s3emu_list_take(x, name, &text) || text.len == 0)
		return 0;
	if (lab_view_to_u64(text, ret) < 0 || *ret > INT32_MAX) {
		return s3emu_fail_argument(x, name, text,
			lab_arena_printf(x->arena,
				"Provided %s not an integer or within integer range", name));
	}
	*ret = LAB_MIN(*ret, (uint64_t)S3EMU_LIST_MAX);
	return 0;
}

static int parse_encoding(struct s3emu_exchange *x, bool *ret)
{
	struct lab_view text;

	*ret = s3emu_list_take(x, "encoding-type", &text) && text.len > 0;
	if (!*ret || lab_view_eq_cstr(text, "url"))
		return 0;
	return s3emu_fail_argument(
		x, "encoding-type", text, "Invalid Encoding Method specified in Request");
}

int s3emu_list_parse(struct s3emu_list *list, struct s3emu_exchange *x, const char *max_name)
{
	memset(list, 0, sizeof(*list));
	list->x = x;
	(void)s3emu_list_take(x, "prefix", &list->prefix);
	(void)s3emu_list_take(x, "delimiter", &list->delimiter);
	if (parse_max(x, max_name, &list->max) < 0)
		return -1;
	return parse_encoding(x, &list->encode);
}

void s3emu_list_begin(struct s3emu_list *list)
{
	struct lab_heap *heap = list->x->s3->heap;

	lab_buf_init(&list->contents, heap, S3EMU_XML_OUT_MAX / 2);
	lab_buf_init(&list->prefixes, heap, S3EMU_XML_OUT_MAX / 2 - 65536);
}

bool s3emu_list_is_full(struct s3emu_list *list)
{
	list->truncated = list->count == list->max;
	return list->truncated;
}

void s3emu_list_name(
	const struct s3emu_list *list, struct lab_buf *buf, const char *name, struct lab_view value)
{
	lab_buf_printf(buf, "<%s>", name);
	if (list->encode)
		lab_buf_append_percent(buf, value, true);
	else
		lab_buf_append_xml(buf, value);
	lab_buf_printf(buf, "</%s>", name);
}

void s3emu_list_account(struct lab_buf *buf, const char *name, struct lab_view account)
{
	lab_buf_printf(buf, "<%s><ID>", name);
	lab_buf_append_xml(buf, account);
	lab_buf_printf(buf, "</ID></%s>", name);
}

struct lab_view s3emu_list_owner(const struct s3emu_exchange *x)
{
	return x->bucket->owner.len > 0 ? x->bucket->owner : x->account;
}

void s3emu_list_class(struct lab_buf *buf, const struct s3emu_object *object)
{
	struct lab_view class = s3emu_object_header(object, "x-amz-storage-class");

	lab_buf_append_cstr(buf, "<StorageClass>");
	lab_buf_append_xml(buf, class.ptr == NULL ? LAB_VIEW("STANDARD") : class);
	lab_buf_append_cstr(buf, "</StorageClass>");
}

void s3emu_list_time(struct lab_buf *buf, const char *name, int64_t unix_us)
{
	char text[LAB_DATE_TEXT_MAX];

	lab_date_iso_extended(unix_us / 1000000 * 1000, text);
	lab_buf_printf(buf, "<%s>%s</%s>", name, text, name);
}

/* ---- continuation tokens: base64 of "1" and the last name ---- */

int s3emu_token_parse(struct s3emu_exchange *x, struct lab_view *marker)
{
	struct lab_buf *buf = &x->scratch;
	struct lab_view token;

	if (!s3emu_list_take(x, "continuation-token", &token))
		return 0;
	lab_buf_reset(buf);
	if (lab_buf_append_unbase64(buf, token) < 0 || buf->len < 2 || buf->data[0] != '1') {
		return s3emu_fail_argument(x, "continuation-token", token,
			"The continuation token provided is incorrect");
	}
	*marker = lab_arena_copy(x->arena, lab_view_skip(lab_buf_view(buf), 1));
	return 0;
}

void s3emu_token_append(struct s3emu_exchange *x, const char *name, struct lab_view last)
{
	struct lab_buf *buf = &x->scratch;

	lab_buf_reset(buf);
	lab_buf_append_byte(buf, '1');
	lab_buf_append_view(buf, last);
	lab_buf_printf(&x->xml, "<%s>", name);
	lab_buf_append_base64(&x->xml, lab_buf_view(buf));
	lab_buf_printf(&x->xml, "</%s>", name);
}

/* ---- groups ---- */

struct lab_view s3emu_list_group(const struct s3emu_list *list, struct lab_view key)
{
	size_t at;

	if (list->delimiter.len == 0)
		return lab_view_of(NULL, 0);
	at = lab_view_find(lab_view_skip(key, list->prefix.len), list->delimiter);
	if (at == SIZE_MAX)
		return lab_view_of(NULL, 0);
	return lab_view_sub(key, 0, list->prefix.len + at + list->delimiter.len);
}

void s3emu_list_prefix(struct s3emu_list *list, struct lab_view prefix)
{
	lab_buf_append_cstr(&list->prefixes, "<CommonPrefixes>");
	s3emu_list_name(list, &list->prefixes, "Prefix", prefix);
	lab_buf_append_cstr(&list->prefixes, "</CommonPrefixes>");
}

struct lab_view s3emu_list_above(struct lab_arena *arena, struct lab_view prefix)
{
	struct lab_view copy = lab_arena_copy(arena, prefix);
	uint8_t *bytes = (uint8_t *)(uintptr_t)copy.ptr;

	while (copy.len > 0 && bytes[copy.len - 1] == 0xff)
		copy.len--;
	if (copy.len == 0)
		return lab_view_of(NULL, 0);
	bytes[copy.len - 1]++;
	return copy;
}

/* ---- the document ---- */

void s3emu_list_scope(struct s3emu_list *list)
{
	struct s3emu_exchange *x = list->x;

	s3emu_list_name(list, &x->xml, "Prefix", list->prefix);
	if (list->delimiter.len > 0)
		s3emu_list_name(list, &x->xml, "Delimiter", list->delimiter);
	if (list->encode)
		s3emu_xml_text(x, "EncodingType", LAB_VIEW("url"));
	s3emu_xml_text(x, "IsTruncated", list->truncated ? LAB_VIEW("true") : LAB_VIEW("false"));
}

int s3emu_list_end(struct s3emu_list *list, const char *root)
{
	struct s3emu_exchange *x = list->x;
	bool overflow = list->contents.overflow || list->prefixes.overflow;

	lab_buf_append_view(&x->xml, lab_buf_view(&list->contents));
	lab_buf_append_view(&x->xml, lab_buf_view(&list->prefixes));
	lab_buf_done(&list->contents);
	lab_buf_done(&list->prefixes);
	return overflow ? s3emu_fail(x, S3EMU_INTERNAL_ERROR) : s3emu_xml_end(x, root);
}
