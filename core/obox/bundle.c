/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle.c - names and archives of index bundles.
 *
 *   "oboxbndl" | version u8 | kind u8 | host u8+ | base u8+ | UIDVALIDITY u32 | UIDNEXT u32 |
 *   HIGHESTMODSEQ u64 | files u32, each: name u8+ | size u64 | SHA-256 of the content
 *   SHA-256 of all that | contents
 */
#include "core/obox/bundle.h"

#include <stdio.h>

#define MAGIC "oboxbndl"
#define VERSION 1
#define SHA256_BYTES 32
#define FILE_BYTES_MIN (1 + 8 + SHA256_BYTES)

/* ---- names ---- */

void obox_bundle_name_format(const struct obox_bundle_name *name, char out[OBOX_BUNDLE_NAME_MAX])
{
	char guid[2 * ENV_GUID128_SIZE + 1];
	int n;

	lab_hex(name->guid, ENV_GUID128_SIZE, guid);
	n = snprintf(out, OBOX_BUNDLE_NAME_MAX, "%s.%08" PRIx32 ".%05" PRIx32 ".%s",
		name->kind == OBOX_BUNDLE_SELF ? "self" : "bundle", name->seconds, name->usecs,
		guid);
	lab_assert(n > 0 && n + 1 + (int)sizeof(guid) < OBOX_BUNDLE_NAME_MAX);
	if (name->kind == OBOX_BUNDLE_DIFF) {
		out[n] = '-';
		lab_hex(name->diff_guid, ENV_GUID128_SIZE, out + n + 1);
	}
}

/* Lower case only, as it is written: one name for one bundle. */
static bool parse_hex(struct lab_view text, size_t digits, uint32_t *ret)
{
	uint8_t bytes[4] = { 0 };
	char padded[8] = "00000000";

	if (text.len != digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
			return false;
		padded[8 - digits + i] = (char)text.ptr[i];
	}
	if (lab_unhex(lab_view_of(padded, 8), bytes, 4) < 0)
		return false;
	*ret = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
	return true;
}

static bool parse_guid(struct lab_view text, uint8_t guid[ENV_GUID128_SIZE])
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
			return false;
	}
	return text.len == 2 * ENV_GUID128_SIZE && lab_unhex(text, guid, ENV_GUID128_SIZE) == 0;
}

int obox_bundle_name_parse(struct lab_view text, struct obox_bundle_name *ret)
{
	struct lab_view word, seconds, usecs, guid;
	bool is_self;

	*ret = (struct obox_bundle_name){ 0 };
	if (!lab_view_split(&text, '.', &word) || !lab_view_split(&text, '.', &seconds) ||
		!lab_view_split(&text, '.', &usecs))
		return -1;
	is_self = lab_view_eq_cstr(word, "self");
	if (!is_self && !lab_view_eq_cstr(word, "bundle"))
		return -1;
	ret->kind = is_self ? OBOX_BUNDLE_SELF : OBOX_BUNDLE_BASE;
	guid = text;
	if (!is_self && lab_view_find_byte(text, '-') != SIZE_MAX) {
		(void)lab_view_split(&text, '-', &guid);
		ret->kind = OBOX_BUNDLE_DIFF;
		if (!parse_guid(text, ret->diff_guid))
			return -1;
	}
	if (!parse_hex(seconds, 8, &ret->seconds) || !parse_hex(usecs, 5, &ret->usecs) ||
		!parse_guid(guid, ret->guid) || ret->usecs >= 1000000)
		return -1;
	return 0;
}

bool obox_bundle_name_is_diff_of(
	const struct obox_bundle_name *diff, const struct obox_bundle_name *base)
{
	return diff->kind == OBOX_BUNDLE_DIFF && base->kind == OBOX_BUNDLE_BASE &&
	       diff->seconds == base->seconds && diff->usecs == base->usecs &&
	       memcmp(diff->guid, base->guid, sizeof(base->guid)) == 0;
}

/* ---- encoding ---- */

static void put_text(struct lab_buf *out, struct lab_view text)
{
	lab_assert(text.len <= OBOX_BUNDLE_TEXT_MAX);
	lab_buf_append_byte(out, (uint8_t)text.len);
	lab_buf_append_view(out, text);
}

static void put_sha256(struct lab_buf *out, struct lab_view data)
{
	uint8_t digest[LAB_DIGEST_MAX];

	lab_digest(LAB_SHA256, data, digest);
	lab_buf_append(out, digest, SHA256_BYTES);
}

void obox_bundle_encode(const struct obox_bundle *bundle, struct lab_buf *out)
{
	size_t start = out->len;

	lab_assert(bundle->file_count <= OBOX_BUNDLE_FILES_MAX);
	lab_buf_append_cstr(out, MAGIC);
	lab_buf_append_byte(out, VERSION);
	lab_buf_append_byte(out, (uint8_t)bundle->kind);
	put_text(out, bundle->host);
	put_text(out, bundle->base);
	lab_buf_append_u32(out, bundle->uidvalidity);
	lab_buf_append_u32(out, bundle->next_uid);
	lab_buf_append_u64(out, bundle->highest_modseq);
	lab_buf_append_u32(out, (uint32_t)bundle->file_count);
	for (size_t i = 0; i < bundle->file_count; i++) {
		put_text(out, bundle->files[i].name);
		lab_buf_append_u64(out, bundle->files[i].content.len);
		put_sha256(out, bundle->files[i].content);
	}
	if (!out->overflow)
		put_sha256(out, lab_view_skip(lab_buf_view(out), start));
	for (size_t i = 0; i < bundle->file_count; i++)
		lab_buf_append_view(out, bundle->files[i].content);
}

/* ---- decoding ---- */

struct decoder {
	struct lab_reader reader;
	struct lab_view sha256[OBOX_BUNDLE_FILES_MAX];
	uint64_t sizes[OBOX_BUNDLE_FILES_MAX];
	struct lab_error *err;
};

static bool matches(struct lab_view data, struct lab_view sha256)
{
	uint8_t digest[LAB_DIGEST_MAX];

	lab_digest(LAB_SHA256, data, digest);
	return lab_view_eq(sha256, lab_view_of(digest, SHA256_BYTES));
}

static int get_magic(struct decoder *d)
{
	uint8_t version;

	if (!lab_view_eq_cstr(lab_read_view(&d->reader, strlen(MAGIC)), MAGIC))
		return lab_fail(d->err, LAB_CORRUPT, "not an index bundle");
	version = lab_read_u8(&d->reader);
	if (d->reader.failed || version == 0)
		return lab_fail(d->err, LAB_CORRUPT, "index bundle is cut off");
	if (version != VERSION)
		return lab_fail(d->err, LAB_UNSUPPORTED, "index bundle has version %u, not %d",
			version, VERSION);
	return 0;
}

static struct lab_view get_text(struct lab_reader *reader)
{
	return lab_read_view(reader, lab_read_u8(reader));
}

static void get_header(struct decoder *d, struct obox_bundle *ret)
{
	struct lab_reader *reader = &d->reader;

	ret->kind = (enum obox_bundle_kind)lab_read_u8(reader);
	ret->host = get_text(reader);
	ret->base = get_text(reader);
	ret->uidvalidity = lab_read_u32(reader);
	ret->next_uid = lab_read_u32(reader);
	ret->highest_modseq = lab_read_u64(reader);
	ret->file_count = lab_read_count(reader, FILE_BYTES_MIN);
	if (ret->kind > OBOX_BUNDLE_SELF || ret->file_count > OBOX_BUNDLE_FILES_MAX ||
		(ret->kind == OBOX_BUNDLE_DIFF) != (ret->base.len > 0))
		reader->failed = true;
	for (size_t i = 0; i < ret->file_count && !reader->failed; i++) {
		ret->files[i].name = get_text(reader);
		d->sizes[i] = lab_read_u64(reader);
		d->sha256[i] = lab_read_view(reader, SHA256_BYTES);
	}
}

static int get_contents(struct decoder *d, struct obox_bundle *ret)
{
	for (size_t i = 0; i < ret->file_count; i++) {
		struct obox_bundle_file *file = &ret->files[i];

		file->content = lab_read_view(&d->reader, d->sizes[i]);
		if (d->reader.failed)
			return lab_fail(d->err, LAB_CORRUPT, "index bundle is cut off");
		if (!matches(file->content, d->sha256[i]))
			return lab_fail(d->err, LAB_CORRUPT,
				"content of %.*s in the index bundle has another checksum",
				LAB_VIEW_ARG(file->name));
	}
	if (d->reader.rest.len > 0)
		return lab_fail(d->err, LAB_CORRUPT, "index bundle is followed by %zu bytes",
			d->reader.rest.len);
	return 0;
}

int obox_bundle_decode(struct lab_view bytes, struct obox_bundle *ret, struct lab_error *err)
{
	struct decoder d = { .reader = { .rest = bytes }, .err = err };
	struct lab_view header;

	*ret = (struct obox_bundle){ 0 };
	if (get_magic(&d) < 0)
		return -1;
	get_header(&d, ret);
	header = lab_view_sub(bytes, 0, bytes.len - d.reader.rest.len);
	if (!d.reader.failed && !matches(header, lab_read_view(&d.reader, SHA256_BYTES)))
		return lab_fail(err, LAB_CORRUPT, "head of the index bundle has another checksum");
	if (d.reader.failed)
		return lab_fail(err, LAB_CORRUPT, "head of the index bundle makes no sense");
	return get_contents(&d, ret);
}

const struct obox_bundle_file *obox_bundle_file(const struct obox_bundle *bundle, const char *name)
{
	for (size_t i = 0; i < bundle->file_count; i++) {
		if (lab_view_eq_cstr(bundle->files[i].name, name))
			return &bundle->files[i];
	}
	return NULL;
}
