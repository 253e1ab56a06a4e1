/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests one after the other, as a connection reads them. However the bytes are cut into pieces,
 * the same requests, bodies and refusals come out.
 */
#include "sim/front-end/http-parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS_MAX 64

struct outcome {
	uint64_t hash; /* of all that was read */
	size_t requests;
	bool refused;
};

static uint64_t fold_view(uint64_t hash, struct lab_view text)
{
	return lab_hash_fold(hash, lab_hash_view(1, text));
}

static void fold_head(struct outcome *outcome, const struct http_head *head)
{
	const struct lab_http_headers *headers = &head->request.headers;
	uint64_t hash = lab_hash_fold(outcome->hash, head->length);

	lab_assert(head->request.method.len > 0 && head->request.target.len > 0);
	lab_assert(headers->count <= LAB_HTTP_HEADERS_MAX);
	lab_assert(!(head->chunked && head->has_length));
	hash = fold_view(hash, head->request.method);
	hash = fold_view(hash, head->request.target);
	hash = fold_view(hash, head->request.authority);
	for (size_t i = 0; i < headers->count; i++) {
		hash = fold_view(hash, headers->items[i].name);
		hash = fold_view(hash, headers->items[i].value);
		lab_assert(headers->items[i].name.len > 0);
		lab_assert(lab_view_find_byte(headers->items[i].value, '\n') == SIZE_MAX);
	}
	outcome->hash = hash;
}

/* What is there of the input, and how much more may be shown. */
struct stream {
	struct lab_view all;
	size_t shown, at, step;
};

static bool show_more(struct stream *stream)
{
	if (stream->shown == stream->all.len)
		return false;
	stream->shown += LAB_MIN(stream->step, stream->all.len - stream->shown);
	return true;
}

static struct lab_view visible(const struct stream *stream)
{
	return lab_view_sub(lab_view_sub(stream->all, 0, stream->shown), stream->at, SIZE_MAX);
}

static void refused(struct outcome *outcome, enum sim_http_refusal why)
{
	lab_assert(why < SIM_REFUSE_COUNT);
	outcome->refused = true;
	outcome->hash = lab_hash_fold(outcome->hash, why);
}

/* A chunked body with its trailers. False: the input or the body is at its end. */
static bool read_chunks(struct stream *stream, struct http_head *head, struct outcome *outcome)
{
	static uint8_t trailers[HTTP_TRAILERS_MAX];
	struct http_chunks chunks = { HTTP_CHUNK_SIZE, 0 };
	enum sim_http_refusal why = SIM_REFUSE_MALFORMED;
	uint64_t body = 1469598103934665603U;
	size_t kept = 0;

	while (chunks.state != HTTP_CHUNK_DONE) {
		bool trailer = chunks.state == HTTP_CHUNK_TRAILERS;
		struct lab_view rest = visible(stream), piece;
		int rc = http_chunks_next(&chunks, &rest, &piece);

		stream->at = stream->shown - rest.len;
		if (rc < 0 || (trailer && piece.len > sizeof(trailers) - kept)) {
			refused(outcome, why);
			return false;
		}
		if (rc == 1 && !show_more(stream))
			return false;
		/* Byte by byte: data comes in pieces of any length. */
		for (size_t i = 0; i < piece.len && !trailer; i++)
			body = (body ^ piece.ptr[i]) * 1099511628211U;
		if (trailer && piece.len > 0) {
			memcpy(trailers + kept, piece.ptr, piece.len);
			kept += piece.len;
		}
	}
	if (http_trailers_parse(lab_view_of(trailers, kept), &head->request.headers, &why) < 0) {
		refused(outcome, why);
		return false;
	}
	outcome->hash = lab_hash_fold(outcome->hash, body);
	return true;
}

static bool read_body(struct stream *stream, struct http_head *head, struct outcome *outcome)
{
	if (head->chunked)
		return read_chunks(stream, head, outcome);
	if (head->length > stream->all.len - stream->at)
		return false;
	while (stream->shown - stream->at < head->length)
		(void)show_more(stream);
	outcome->hash = fold_view(outcome->hash, lab_view_sub(visible(stream), 0, head->length));
	stream->at += (size_t)head->length;
	return true;
}

static bool read_request(struct stream *stream, struct outcome *outcome)
{
	static struct http_head head;
	enum sim_http_refusal why;
	size_t scanned = 0;
	int rc;

	while ((rc = http_head_find(visible(stream), &scanned)) == 1) {
		if (!show_more(stream))
			return false;
	}
	if (rc < 0) {
		refused(outcome, SIM_REFUSE_MALFORMED);
		return false;
	}
	if (http_head_parse(lab_view_sub(visible(stream), 0, scanned), &head, &why) < 0) {
		refused(outcome, why);
		return false;
	}
	stream->at += scanned;
	fold_head(outcome, &head);
	outcome->requests++;
	if (!read_body(stream, &head, outcome))
		return false;
	return outcome->requests < REQUESTS_MAX;
}

static struct outcome read_all(struct lab_view data, size_t step)
{
	struct stream stream = { .all = data, .step = step };
	struct outcome outcome = { .hash = 1 };

	while (read_request(&stream, &outcome))
		;
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 7, 100 };
	struct lab_view all = lab_view_of(data, size);
	struct outcome whole;

	if (size > 20000)
		return 0;
	whole = read_all(all, LAB_MAX(size, 1));
	for (size_t i = 0; i < LAB_COUNT_OF(steps); i++) {
		struct outcome cut = read_all(all, steps[i]);

		lab_assert(cut.requests == whole.requests && cut.refused == whole.refused &&
			   cut.hash == whole.hash);
	}
	return 0;
}
