/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/address.h"

static bool is_v6(struct lab_view host)
{
	return lab_view_find_byte(host, ':') != SIZE_MAX;
}

/* Four numbers up to 255. */
static bool is_v4(struct lab_view host)
{
	struct lab_view part;
	size_t count = 0;
	uint64_t number;

	while (lab_view_split(&host, '.', &part)) {
		if (part.len > 3 || lab_view_to_u64(part, &number) < 0 || number > 255)
			return false;
		count++;
	}
	return count == 4;
}

static int refuse(const char *option, const char *text, const char *why, struct lab_error *err)
{
	return lab_fail(err, LAB_INVALID, "%s: \"%.64s\" %s", option, text, why);
}

int serve_address_parse(
	const char *option, const char *text, struct serve_address *ret, struct lab_error *err)
{
	struct lab_view host = lab_view_cstr(text), port;
	struct serve_address address;
	size_t colon = SIZE_MAX;
	uint64_t number;
	bool has_brackets;

	for (size_t i = 0; i < host.len; i++)
		colon = host.ptr[i] == ':' ? i : colon;
	if (colon == SIZE_MAX)
		return refuse(option, text, "is not ADDRESS:PORT", err);
	port = lab_view_skip(host, colon + 1);
	host = lab_view_sub(host, 0, colon);
	if (lab_view_to_u64(port, &number) < 0 || number > UINT16_MAX)
		return refuse(option, text, "does not end with a port (0 to 65535)", err);
	has_brackets = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (has_brackets)
		host = lab_view_sub(host, 1, host.len - 2);
	if (lab_view_eq_cstr(host, "localhost"))
		host = LAB_VIEW("127.0.0.1");
	if (has_brackets ? !is_v6(host) : !is_v4(host))
		return refuse(option, text,
			is_v6(host) ? "is not ADDRESS:PORT: IPv6 needs brackets, [::1]:9000"
				    : "does not begin with an IP address",
			err);
	if (lab_view_to_cstr(host, address.host, sizeof(address.host)) < 0)
		return refuse(option, text, "does not begin with an IP address", err);
	address.port = (uint16_t)number;
	*ret = address;
	return 0;
}

bool serve_address_is_v4_loopback(struct lab_view host)
{
	return is_v4(host) && lab_view_starts_with(host, LAB_VIEW("127."));
}

bool serve_address_is_loopback(const struct serve_address *address)
{
	struct lab_view host = lab_view_cstr(address->host);

	return serve_address_is_v4_loopback(host) || lab_view_eq_cstr(host, "::1");
}

void serve_address_print(const char *host, uint16_t port, struct lab_buf *out)
{
	bool v6 = is_v6(lab_view_cstr(host));

	lab_buf_printf(out, v6 ? "[%s]:%u" : "%s:%u", host, port);
}
