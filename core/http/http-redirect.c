/* SPDX-License-Identifier: Apache-2.0
 *
 * http-redirect.c - where a 3xx answer leads.
 */
#include "core/http/http-private.h"

static bool is_followed(unsigned status)
{
	/* 303 would make a GET of everything: no storage says it. */
	return status == 301 || status == 302 || status == 307 || status == 308;
}

static bool is_clean(struct lab_view text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
			return false;
	}
	return true;
}

struct url {
	bool tls;
	struct lab_view authority, target; /* the target may be empty: "/" */
};

static bool split_url(struct lab_view text, struct url *ret)
{
	size_t end;

	ret->tls = lab_view_eq_nocase(lab_view_sub(text, 0, 8), LAB_VIEW("https://"));
	if (!ret->tls && !lab_view_eq_nocase(lab_view_sub(text, 0, 7), LAB_VIEW("http://")))
		return false;
	text = lab_view_skip(text, ret->tls ? 8 : 7);
	end = LAB_MIN(lab_view_find_byte(text, '/'), lab_view_find_byte(text, '?'));
	ret->authority = lab_view_sub(text, 0, end);
	ret->target = end == SIZE_MAX ? LAB_VIEW("") : lab_view_skip(text, end);
	return ret->authority.len > 0;
}

int http_redirect_find(const struct lab_http_request *request,
	const struct lab_http_response *response, struct lab_buf *out, const char **ret_why)
{
	struct lab_view location =
		lab_view_trim(lab_http_header_get(&response->headers, "Location"));
	struct url url = { .tls = request->tls, .authority = request->authority };

	*ret_why = NULL;
	if (!is_followed(response->status) || location.len == 0)
		return 0;
	/* Behind a '#' is nothing for the server. */
	url.target = location = lab_view_sub(location, 0, lab_view_find_byte(location, '#'));
	if (location.len == 0 || lab_view_starts_with(location, LAB_VIEW("//")) ||
		(location.ptr[0] != '/' && !split_url(location, &url)) || !is_clean(location) ||
		lab_view_find_byte(url.authority, '@') != SIZE_MAX) {
		*ret_why = "Invalid redirect location";
		return 0;
	}
	if (request->tls && !url.tls) {
		*ret_why = "Redirected to a URL without TLS";
		return 0;
	}
	lab_buf_append_cstr(out, url.tls ? "https://" : "http://");
	lab_buf_append_view(out, url.authority);
	if (url.target.len == 0 || url.target.ptr[0] != '/')
		lab_buf_append_byte(out, '/');
	lab_buf_append_view(out, url.target);
	if (!out->overflow)
		return 1;
	*ret_why = "The redirect location is too long";
	return 0;
}

void http_redirect_apply(struct lab_view location, struct lab_http_request *request)
{
	struct url url;

	lab_assert(split_url(location, &url));
	request->tls = url.tls;
	request->authority = url.authority;
	request->target = url.target;
}
