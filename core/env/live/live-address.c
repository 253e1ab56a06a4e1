/* SPDX-License-Identifier: Apache-2.0
 *
 * live-address.c - where names lead, and what may be connected to.
 */
#include "core/env/live/live-private.h"

#include <arpa/inet.h>

bool live_address_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(v6) ||
		       (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
	}
	return false;
}

void live_address_format(const struct sockaddr_in6 *address, char *text, size_t size)
{
	bool v6 = address->sin6_family == AF_INET6;

	lab_assert(size >= 64);
	if (!v6) {
		lab_assert(uv_ip4_name((const struct sockaddr_in *)address, text, size) == 0);
		return;
	}
	text[0] = '[';
	lab_assert(uv_ip6_name(address, text + 1, size - 2) == 0);
	memcpy(text + strlen(text), "]", 2);
}

uint16_t live_address_port(const struct sockaddr_in6 *address)
{
	/* At the same place in both families. */
	return ntohs(address->sin6_port);
}

static int address_parse(const char *text, uint16_t port, struct sockaddr_in6 *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (uv_ip4_addr(text, port, (struct sockaddr_in *)ret) == 0)
		return 0;
	return uv_ip6_addr(text, port, ret) == 0 ? 0 : -1;
}

bool live_address_is_literal(struct lab_view host)
{
	struct sockaddr_in6 unused;
	char text[64];

	return lab_view_to_cstr(host, text, sizeof(text)) == 0 &&
	       address_parse(text, 0, &unused) == 0;
}

/* ---- host:port ---- */

static int port_parse(struct lab_view text, uint16_t *ret)
{
	uint64_t port;

	if (text.len > 5 || lab_view_to_u64(text, &port) < 0 || port == 0 || port > 65535)
		return -1;
	*ret = (uint16_t)port;
	return 0;
}

static bool host_is_valid(struct lab_view host)
{
	if (host.len == 0 || host.len > 255)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = host.ptr[i];

		if (c <= ' ' || c >= 0x7f || strchr("/?#@:[]\\\"<>%", c) != NULL)
			return false;
	}
	return true;
}

int live_authority_split(struct lab_view authority, uint16_t default_port,
	struct lab_view *ret_host, uint16_t *ret_port)
{
	struct lab_view host = authority, port = { 0 };
	char literal[64];
	struct in6_addr v6;
	size_t end;

	if (authority.len > 0 && authority.ptr[0] == '[') {
		end = lab_view_find_byte(authority, ']');
		if (end == SIZE_MAX)
			return -1;
		host = lab_view_sub(authority, 1, end - 1);
		port = lab_view_skip(authority, end + 1);
		if (lab_view_to_cstr(host, literal, sizeof(literal)) < 0 ||
			inet_pton(AF_INET6, literal, &v6) != 1)
			return -1;
		if (port.len > 0 && port.ptr[0] != ':')
			return -1;
	} else {
		end = lab_view_find_byte(authority, ':');
		host = lab_view_sub(authority, 0, end);
		if (end != SIZE_MAX)
			port = lab_view_skip(authority, end);
		if (!host_is_valid(host))
			return -1;
	}
	*ret_host = host;
	*ret_port = default_port;
	return port.len == 0 ? 0 : port_parse(lab_view_skip(port, 1), ret_port);
}

/* ---- the map ---- */

int live_map(struct live *live, const char *pattern, const char *address, uint16_t port,
	bool strip_tls, struct lab_error *err)
{
	struct live_map_entry *entry = &live->maps[live->map_count];
	struct lab_view host, text = lab_view_cstr(pattern);
	bool wildcard = lab_view_starts_with(text, LAB_VIEW("*."));

	if (live->map_count == LIVE_MAPS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d endpoints", LIVE_MAPS_MAX);
	if (live_authority_split(wildcard ? lab_view_skip(text, 2) : text, 0, &host, &entry->port) <
			0 ||
		entry->port == 0 || lab_view_find_byte(host, '*') != SIZE_MAX)
		return lab_fail(err, LAB_INVALID, "endpoint \"%.100s\" is not host:port", pattern);
	if (port == 0 || address_parse(address, port, &entry->address) < 0)
		return lab_fail(
			err, LAB_INVALID, "\"%.100s\" port %u is not an address", address, port);
	entry->host = lab_view_cstr(
		lab_heap_strdup(live->heap, (const char *)(wildcard ? pattern + 2 : pattern)));
	entry->host.len = host.len;
	if (pattern[0] == '[')
		entry->host.ptr++;
	entry->wildcard = wildcard;
	entry->strip_tls = strip_tls;
	live->map_count++;
	return 0;
}

static bool entry_matches(const struct live_map_entry *entry, struct lab_view host, uint16_t port)
{
	size_t tail;

	if (entry->port != port)
		return false;
	if (!entry->wildcard)
		return lab_view_eq_nocase(entry->host, host);
	if (host.len < entry->host.len + 2)
		return false;
	tail = host.len - entry->host.len;
	return host.ptr[tail - 1] == '.' &&
	       lab_view_eq_nocase(lab_view_skip(host, tail), entry->host);
}

/* Of several addresses the one that has worked for the longest. */
static struct live_map_entry *entry_choose(struct live *live, struct live_map_entry *first)
{
	struct live_map_entry *best = first;

	for (struct live_map_entry *e = first; e < live->maps + live->map_count; e++) {
		if (e->port == first->port && e->wildcard == first->wildcard &&
			lab_view_eq_nocase(e->host, first->host) && e->failed_ns < best->failed_ns)
			best = e;
	}
	return best;
}

void live_route_failed(struct live *live, const struct live_route *route)
{
	if (route->entry != NULL)
		route->entry->failed_ns = live_now(live) + 1;
}

/* A name that needs no map and no look-up. */
static bool route_literal(struct lab_view host, uint16_t port, struct live_route *ret)
{
	char text[64];

	/* Names below localhost are this machine too (RFC 6761): "BUCKET.localhost". */
	if (lab_view_eq_nocase(host, LAB_VIEW("localhost")) ||
		(host.len > 10 && lab_view_eq_nocase(lab_view_skip(host, host.len - 10),
					  LAB_VIEW(".localhost"))))
		return address_parse("127.0.0.1", port, &ret->address) == 0;
	return lab_view_to_cstr(host, text, sizeof(text)) == 0 &&
	       address_parse(text, port, &ret->address) == 0;
}

int live_route_find(struct live *live, struct lab_view host, uint16_t port, struct live_route *ret,
	struct lab_error *err)
{
	*ret = (struct live_route){ 0 };
	for (size_t i = 0; i < live->map_count && !ret->known; i++) {
		if (!entry_matches(&live->maps[i], host, port))
			continue;
		ret->entry = entry_choose(live, &live->maps[i]);
		ret->known = true;
		ret->address = ret->entry->address;
		ret->strip_tls = ret->entry->strip_tls;
	}
	if (!ret->known)
		ret->known = route_literal(host, port, ret);
	if (live->allow_remote ||
		(ret->known && live_address_is_loopback((struct sockaddr *)&ret->address)))
		return 0;
	live->was_guarded = true;
	return lab_fail(err, LAB_DENIED,
		"%.*s:%u does not lead to this machine, and no other may be connected to",
		LAB_VIEW_ARG(host), port);
}

int live_resolve(struct live_host *host, struct lab_view name, uint16_t port, uint64_t deadline_ns,
	struct sockaddr_in6 *ret, struct lab_error *err)
{
	struct live_route route;
	char text[256];
	int rc;

	if (live_route_find(host->live, name, port, &route, err) < 0)
		return -1;
	*ret = route.address;
	if (route.known)
		return 0;
	if (lab_view_to_cstr(name, text, sizeof(text)) < 0)
		return lab_fail(err, LAB_NOT_FOUND, "host name is too long");
	rc = live_job_lookup(host, text, deadline_ns, ret);
	if (rc == 1)
		return lab_fail(err, LAB_TIMEOUT, "no answer about the name %s", text);
	if (rc < 0)
		return lab_fail(err, LAB_NOT_FOUND, "host %s: %s", text, uv_err_name(rc));
	ret->sin6_port = htons(port);
	return 0;
}
