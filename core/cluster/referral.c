/* SPDX-License-Identifier: Apache-2.0
 *
 * referral.c - referrals in each protocol, and hops.
 */
#include "core/cluster/referral.h"

#include "core/base/defect.h"

static const struct {
	const char *name;
	uint16_t port;
	bool is_login;
} protocols[] = {
#define X(id, name, port, is_login) { name, port, is_login },
	CLUSTER_PROTOCOLS(X)
#undef X
};

const char *cluster_protocol_name(enum cluster_protocol protocol)
{
	lab_assert(protocol < CLUSTER_PROTOCOL_COUNT);
	return protocols[protocol].name;
}

uint16_t cluster_protocol_port(enum cluster_protocol protocol)
{
	lab_assert(protocol < CLUSTER_PROTOCOL_COUNT);
	return protocols[protocol].port;
}

/* ---- hosts ---- */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_hex(uint8_t c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_ipv6(struct lab_view host)
{
	for (size_t i = 0; i < host.len; i++) {
		if (!is_hex(host.ptr[i]) && host.ptr[i] != ':' && host.ptr[i] != '.')
			return false;
	}
	return host.len >= 2 && lab_view_find_byte(host, ':') != SIZE_MAX;
}

static bool is_hostname(struct lab_view host)
{
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = host.ptr[i];

		if (!is_digit(c) && !is_letter(c) && c != '-' && c != '.' && c != '_')
			return false;
	}
	return host.len > 0 && host.len <= CLUSTER_HOST_MAX;
}

/* HOST, HOST:PORT, [IPV6], [IPV6]:PORT */
static int read_host(struct lab_view text, uint16_t default_port, struct cluster_referral *ret)
{
	size_t end = lab_view_find_byte(text, text.len > 0 && text.ptr[0] == '[' ? ']' : ':');
	uint64_t port = default_port;

	if (text.len > 0 && text.ptr[0] == '[') {
		if (end == SIZE_MAX)
			return -1;
		ret->host = lab_view_sub(text, 1, end - 1);
		text = lab_view_skip(text, end + 1);
		if (!is_ipv6(ret->host) || (text.len > 0 && text.ptr[0] != ':'))
			return -1;
	} else {
		ret->host = lab_view_sub(text, 0, LAB_MIN(end, text.len));
		text = lab_view_skip(text, ret->host.len);
		if (!is_hostname(ret->host))
			return -1;
	}
	if (text.len > 0 &&
		(lab_view_to_u64(lab_view_skip(text, 1), &port) < 0 || port == 0 || port > 65535))
		return -1;
	ret->port = (uint16_t)port;
	return 0;
}

static void write_host(const struct cluster_referral *referral, bool with_port, struct lab_buf *out)
{
	bool is_v6 = is_ipv6(referral->host);

	if (is_v6)
		lab_buf_append_byte(out, '[');
	lab_buf_append_view(out, referral->host);
	if (is_v6)
		lab_buf_append_byte(out, ']');
	if (with_port)
		lab_buf_printf(out, ":%u", referral->port);
}

/* ---- writing ---- */

/* As it is: nothing in it may end the word or the line. */
static bool is_plain_user(struct lab_view user)
{
	for (size_t i = 0; i < user.len; i++) {
		if (user.ptr[i] <= ' ' || user.ptr[i] == 0x7f || user.ptr[i] == ']')
			return false;
	}
	return user.len > 0;
}

int cluster_referral_write(enum cluster_protocol protocol, const struct cluster_referral *referral,
	struct lab_buf *out, struct lab_error *err)
{
	bool is_default = referral->port == cluster_protocol_port(protocol);

	if (!is_hostname(referral->host) && !is_ipv6(referral->host))
		return lab_fail(err, LAB_INVALID, "referral to no host");
	if (referral->user.len == 0 || (protocol != CLUSTER_IMAP && !is_plain_user(referral->user)))
		return lab_fail(err, LAB_INVALID, "a %s referral cannot carry this user name",
			cluster_protocol_name(protocol));
	if (protocol == CLUSTER_IMAP) {
		lab_buf_append_cstr(out, "NO [REFERRAL imap://");
		lab_buf_append_percent(out, referral->user, false);
		lab_buf_append_cstr(out, ";AUTH=PLAIN@");
		write_host(referral, true, out);
		lab_buf_append_cstr(out, "/] Try this server.");
		return 0;
	}
	lab_buf_append_cstr(out, protocol == CLUSTER_POP3      ? "-ERR [REFERRAL/"
				 : protocol == CLUSTER_DOVEADM ? "-REFERRAL "
							       : "550 5.2.900 ");
	lab_buf_append_view(out, referral->user);
	lab_buf_append_byte(out, '@');
	write_host(referral, protocol != CLUSTER_POP3 || !is_default, out);
	if (protocol != CLUSTER_DOVEADM)
		lab_buf_append_cstr(out, protocol == CLUSTER_POP3 ? "] Referral" : " Referral");
	return 0;
}

/* ---- reading ---- */

/* Up to `end`, which must be there unless it is NUL; false if it is not. The last ']' counts: an
 * IPv6 address may stand in front of it. */
static bool take_until(struct lab_view line, uint8_t end, struct lab_view *ret)
{
	size_t at = end == '\0' ? line.len : lab_view_find_byte(line, end);

	for (size_t i = line.len; end == ']' && i > 0 && at != SIZE_MAX; i--) {
		if (line.ptr[i - 1] == ']') {
			at = i - 1;
			break;
		}
	}
	if (at == SIZE_MAX)
		return false;
	*ret = lab_view_sub(line, 0, at);
	return true;
}

/* USER@HOST:PORT: the last @ counts, user names have them, too. */
static int read_address(
	struct lab_view text, enum cluster_protocol protocol, struct cluster_referral *ret)
{
	size_t at = text.len;

	while (at > 0 && text.ptr[at - 1] != '@')
		at--;
	if (at < 2)
		return -1;
	ret->user = lab_view_sub(text, 0, at - 1);
	return read_host(lab_view_skip(text, at), cluster_protocol_port(protocol), ret);
}

/* USER;AUTH=MECH@HOST:PORT */
static int read_imap_url(struct lab_view url, struct lab_arena *arena, struct cluster_referral *ret)
{
	struct lab_buf user;
	size_t mechanism;

	if (read_address(url, CLUSTER_IMAP, ret) < 0)
		return -1;
	mechanism = lab_view_find_byte(ret->user, ';');
	if (mechanism != SIZE_MAX)
		ret->user = lab_view_sub(ret->user, 0, mechanism);
	lab_buf_init_arena(&user, arena, LAB_MAX(ret->user.len, 1u));
	if (ret->user.len == 0 || lab_buf_append_unpercent(&user, ret->user) < 0)
		return -1;
	ret->user = lab_buf_view(&user);
	return 0;
}

int cluster_referral_read(enum cluster_protocol protocol, struct lab_view line,
	struct lab_arena *arena, struct cluster_referral *ret, struct lab_error *err)
{
	static const struct {
		struct lab_view start;
		uint8_t end;
	} forms[] = { [CLUSTER_IMAP] = { LAB_VIEW("NO [REFERRAL imap://"), '/' },
		[CLUSTER_POP3] = { LAB_VIEW("-ERR [REFERRAL/"), ']' },
		[CLUSTER_SUBMISSION] = { LAB_VIEW("550 5.2.900 "), ' ' },
		[CLUSTER_LMTP] = { LAB_VIEW("550 5.2.900 "), ' ' },
		[CLUSTER_DOVEADM] = { LAB_VIEW("-REFERRAL "), '\0' } };
	struct cluster_referral read;
	struct lab_view text;
	int result = -1;

	lab_assert(protocol < CLUSTER_PROTOCOL_COUNT);
	if (!lab_view_starts_with(line, forms[protocol].start))
		return 0;
	line = lab_view_skip(line, forms[protocol].start.len);
	if (take_until(line, forms[protocol].end, &text))
		result = protocol == CLUSTER_IMAP ? read_imap_url(text, arena, &read)
						  : read_address(text, protocol, &read);
	if (result < 0)
		return lab_fail(err, LAB_CORRUPT, "%s referral that says no user and host",
			cluster_protocol_name(protocol));
	*ret = read;
	return 1;
}

/* ---- loops ---- */

void cluster_hops_init(struct cluster_hops *hops, unsigned ttl)
{
	memset(hops, 0, sizeof(*hops));
	hops->ttl = LAB_MIN(ttl, (unsigned)CLUSTER_TTL);
}

static size_t find_hop(const struct cluster_hops *hops, struct lab_view host, uint16_t port)
{
	size_t i;

	for (i = 0; i < hops->count; i++) {
		if (hops->seen[i].port == port &&
			lab_view_eq_nocase(lab_view_cstr(hops->seen[i].host), host))
			break;
	}
	return i;
}

bool cluster_hops_was_there(const struct cluster_hops *hops, struct lab_view host, uint16_t port)
{
	return find_hop(hops, host, port) < hops->count;
}

int cluster_hops_go(struct cluster_hops *hops, enum cluster_protocol protocol, struct lab_view host,
	uint16_t port, struct lab_view self_host, uint16_t self_port, struct lab_error *err)
{
	bool is_login = protocols[protocol].is_login;
	size_t at = find_hop(hops, host, port);
	unsigned visits = at < hops->count ? hops->seen[at].visits : 0;

	if (port == self_port && lab_view_eq_nocase(host, self_host))
		return lab_fail(err, LAB_LIMIT, "Proxying loops to itself");
	if (visits >= (is_login && !lab_defect(NO_REVERSAL) ? 2u : 1u))
		return lab_fail(err, LAB_LIMIT, "Proxying loops - already connected to %.*s:%u",
			LAB_VIEW_ARG(host), port);
	if (hops->ttl <= (is_login ? 1u : 0u))
		return lab_fail(err, LAB_LIMIT, "TTL reached zero - proxies appear to be looping?");
	if (at == hops->count) {
		if (lab_view_to_cstr(host, hops->seen[at].host, sizeof(hops->seen[at].host)) < 0)
			return lab_fail(err, LAB_INVALID, "host name of %zu bytes", host.len);
		hops->seen[at].port = port;
		hops->count++;
	}
	hops->seen[at].visits++;
	hops->ttl--;
	return 0;
}
