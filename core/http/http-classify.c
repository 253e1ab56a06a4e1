/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http-client.h"
#include "core/base/defect.h"

/* Searched from the top; the first row that fits counts (simulation 5.2, obox 1.6, HD-15, HD-18).
 *
 * 503: S3 refuses before it does anything, and then says SlowDown or ServiceUnavailable. A 503
 * without such a code comes from something in between, which may have passed the request on.
 * NoSuchBucket is not LAB_NOT_FOUND: nothing is known about the object, and nobody may conclude
 * that a mail is lost because a bucket's name is mistyped. */
static const struct http_class http_classes[] = {
	/* from, to, code, error, retry, maybe_applied, retryable, renew */
	{ 0, 0, NULL, LAB_UNAVAILABLE, HTTP_RETRY_LADDER, true, true, false },
	{ 200, 299, NULL, LAB_OK, HTTP_RETRY_NEVER, false, false, false },
	{ 300, 399, NULL, LAB_UNSUPPORTED, HTTP_RETRY_NEVER, false, false, false },
	{ 400, 400, "ExpiredToken", LAB_DENIED, HTTP_RETRY_NEVER, false, true, true },
	{ 400, 400, "InvalidToken", LAB_DENIED, HTTP_RETRY_NEVER, false, true, true },
	{ 400, 400, "TokenRefreshRequired", LAB_DENIED, HTTP_RETRY_NEVER, false, true, true },
	{ 400, 400, "RequestTimeout", LAB_TIMEOUT, HTTP_RETRY_NEVER, false, true, false },
	/* The answer to a HEAD has no code: it may be any of the first three. */
	{ 400, 400, "", LAB_INVALID, HTTP_RETRY_NEVER, false, false, true },
	{ 401, 401, NULL, LAB_DENIED, HTTP_RETRY_NEVER, false, false, true },
	{ 403, 403, "RequestTimeTooSkewed", LAB_DENIED, HTTP_RETRY_NEVER, false, true, false },
	{ 403, 403, NULL, LAB_DENIED, HTTP_RETRY_NEVER, false, false, true },
	{ 404, 404, "NoSuchBucket", LAB_UNAVAILABLE, HTTP_RETRY_NEVER, false, false, false },
	{ 404, 404, NULL, LAB_NOT_FOUND, HTTP_RETRY_NEVER, false, false, false },
	{ 405, 405, NULL, LAB_UNSUPPORTED, HTTP_RETRY_NEVER, false, false, false },
	{ 408, 408, NULL, LAB_TIMEOUT, HTTP_RETRY_LADDER, true, true, false },
	{ 409, 409, NULL, LAB_UNAVAILABLE, HTTP_RETRY_LISTED, false, true, false },
	{ 410, 410, NULL, LAB_NOT_FOUND, HTTP_RETRY_NEVER, false, false, false },
	{ 412, 412, NULL, LAB_EXISTS, HTTP_RETRY_NEVER, false, false, false },
	{ 413, 413, NULL, LAB_LIMIT, HTTP_RETRY_NEVER, false, false, false },
	{ 423, 423, NULL, LAB_UNAVAILABLE, HTTP_RETRY_LISTED, false, true, false },
	{ 429, 429, NULL, LAB_THROTTLED, HTTP_RETRY_LISTED, false, true, false },
	{ 400, 499, NULL, LAB_INVALID, HTTP_RETRY_NEVER, false, false, false },
	{ 501, 501, NULL, LAB_UNSUPPORTED, HTTP_RETRY_LADDER, false, false, false },
	{ 503, 503, "SlowDown", LAB_THROTTLED, HTTP_RETRY_LADDER, false, true, false },
	{ 503, 503, "ServiceUnavailable", LAB_UNAVAILABLE, HTTP_RETRY_LADDER, false, true, false },
	{ 507, 507, NULL, LAB_NO_SPACE, HTTP_RETRY_LADDER, true, true, false },
	{ 500, 599, NULL, LAB_UNAVAILABLE, HTTP_RETRY_LADDER, true, true, false },
	{ HTTP_STATUS_ALTERED, HTTP_STATUS_ALTERED, NULL, LAB_CORRUPT, HTTP_RETRY_LADDER, true,
		true, false },
	/* A status that HTTP does not have. */
	{ 0, UINT16_MAX, NULL, LAB_IO, HTTP_RETRY_LADDER, true, true, false },
};

const struct http_class *http_classify(unsigned status, struct lab_view code)
{
	for (size_t i = 0; i < LAB_COUNT_OF(http_classes); i++) {
		const struct http_class *row = &http_classes[i];

		if (status >= row->status_from && status <= row->status_to &&
			(row->code == NULL || lab_view_eq_cstr(code, row->code)))
			return row;
	}
	lab_assert(status > UINT16_MAX);
	return &http_classes[LAB_COUNT_OF(http_classes) - 1];
}

uint64_t http_retry_wait_ns(unsigned retry)
{
	uint64_t wait = HTTP_RETRY_WAIT_FIRST_NS;
	unsigned factor = lab_defect(SHORT_LADDER) ? 2 : 10;

	for (unsigned i = 0; i < retry && wait < HTTP_RETRY_WAIT_MAX_NS; i++)
		wait *= factor;
	return LAB_MIN(wait, HTTP_RETRY_WAIT_MAX_NS);
}
