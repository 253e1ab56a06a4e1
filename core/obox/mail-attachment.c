/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/mail-attachment.h"

#define DEPTH_MAX 16
#define HEADER_BYTES_MAX 2000
#define BOUNDARY_BYTES_MAX 70 /* RFC 2046 */

struct boundary {
	char text[BOUNDARY_BYTES_MAX];
	size_t len;
};

struct scan {
	struct boundary boundaries[DEPTH_MAX];
	size_t depth;
	/* Of the header that is being read, unfolded. */
	char header[HEADER_BYTES_MAX];
	size_t header_len;
	bool is_in_headers, found;
	/* Of the part. */
	bool is_other_type, is_multipart;
	struct boundary boundary;
};

/* A line without its end. */
static struct lab_view take_line(struct lab_view *rest)
{
	size_t end = lab_view_find_byte(*rest, '\n');
	struct lab_view line = lab_view_sub(*rest, 0, end == SIZE_MAX ? rest->len : end);

	*rest = lab_view_skip(*rest, end == SIZE_MAX ? rest->len : end + 1);
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

static bool begins_with(struct lab_view text, struct lab_view prefix)
{
	return text.len >= prefix.len &&
	       lab_view_eq_nocase(lab_view_sub(text, 0, prefix.len), prefix);
}

/* The value of boundary= among the parameters. */
static void take_boundary(struct scan *scan, struct lab_view parameters)
{
	struct lab_view part, value;

	scan->boundary.len = 0;
	while (parameters.ptr != NULL && lab_view_split(&parameters, ';', &part)) {
		part = lab_view_trim(part);
		if (!begins_with(part, LAB_VIEW("boundary=")))
			continue;
		value = lab_view_skip(part, strlen("boundary="));
		if (value.len > 0 && value.ptr[0] == '"') {
			value = lab_view_skip(value, 1);
			value = lab_view_sub(
				value, 0, LAB_MIN(lab_view_find_byte(value, '"'), value.len));
		}
		if (value.len == 0 || value.len > BOUNDARY_BYTES_MAX)
			return;
		memcpy(scan->boundary.text, value.ptr, value.len);
		scan->boundary.len = value.len;
		return;
	}
}

static void end_header(struct scan *scan)
{
	struct lab_view header = lab_view_of(scan->header, scan->header_len);
	struct lab_view value = header, name;

	scan->header_len = 0;
	if (!lab_view_split(&value, ':', &name) || value.ptr == NULL)
		return;
	name = lab_view_trim(name);
	value = lab_view_trim(value);
	if (lab_view_eq_nocase(name, LAB_VIEW("Content-Disposition"))) {
		scan->found |= begins_with(value, LAB_VIEW("attachment"));
	} else if (lab_view_eq_nocase(name, LAB_VIEW("Content-Type"))) {
		scan->is_multipart = begins_with(value, LAB_VIEW("multipart/"));
		scan->is_other_type = !scan->is_multipart && !begins_with(value, LAB_VIEW("text"));
		take_boundary(scan, value);
	}
}

static void begin_part(struct scan *scan)
{
	scan->is_in_headers = true;
	scan->is_other_type = scan->is_multipart = false;
	scan->header_len = 0;
}

static void end_headers(struct scan *scan)
{
	end_header(scan);
	scan->is_in_headers = false;
	scan->found |= scan->is_other_type;
	if (scan->is_multipart && scan->boundary.len > 0 && scan->depth < DEPTH_MAX)
		scan->boundaries[scan->depth++] = scan->boundary;
}

static void header_line(struct scan *scan, struct lab_view line)
{
	bool is_folded = line.len > 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
	size_t len;

	if (line.len == 0) {
		end_headers(scan);
		return;
	}
	if (!is_folded)
		end_header(scan);
	len = LAB_MIN(line.len, HEADER_BYTES_MAX - scan->header_len);
	memcpy(scan->header + scan->header_len, line.ptr, len);
	scan->header_len += len;
}

/* The end of a part: what is inside of it ends, too. */
static bool is_boundary(struct scan *scan, struct lab_view line)
{
	if (line.len < 3 || line.ptr[0] != '-' || line.ptr[1] != '-')
		return false;
	for (size_t i = scan->depth; i-- > 0;) {
		const struct boundary *b = &scan->boundaries[i];
		struct lab_view rest = lab_view_skip(line, 2);

		if (!lab_view_starts_with(rest, lab_view_of(b->text, b->len)))
			continue;
		scan->depth = i + 1;
		if (lab_view_starts_with(lab_view_skip(rest, b->len), LAB_VIEW("--")))
			scan->depth = i;
		else
			begin_part(scan);
		return true;
	}
	return false;
}

bool mail_has_attachment(struct lab_view mail)
{
	struct scan scan = { .is_in_headers = true };

	while (mail.len > 0 && !scan.found) {
		struct lab_view line = take_line(&mail);

		if (is_boundary(&scan, line))
			continue;
		if (scan.is_in_headers)
			header_line(&scan, line);
		else if (scan.depth == 0)
			break;
	}
	if (scan.is_in_headers && !scan.found)
		end_headers(&scan);
	return scan.found;
}
