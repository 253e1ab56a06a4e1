/* SPDX-License-Identifier: Apache-2.0
 *
 * director.c - the hash ring of the 2.3 director.
 */
#include "core/cluster/director.h"

#include <stdio.h>

struct point {
	uint32_t hash, address;
	const struct director_host *host;
};

struct director_ring {
	struct lab_heap *heap;
	struct point *points; /* of all tags together, sorted */
	size_t count;
};

static int parse_address(struct lab_view text, uint32_t *ret)
{
	struct lab_view part;
	uint32_t address = 0;
	unsigned parts = 0;
	uint64_t n;

	while (lab_view_split(&text, '.', &part)) {
		if (++parts > 4 || part.len > 3 || lab_view_to_u64(part, &n) < 0 || n > 255)
			return -1;
		address = address << 8 | (uint32_t)n;
	}
	if (parts != 4)
		return -1;
	*ret = address;
	return 0;
}

static uint32_t hash_of(struct lab_view text)
{
	uint8_t digest[LAB_DIGEST_MAX];
	struct lab_reader reader = { .rest = { digest, 4 } };

	lab_digest(LAB_MD5, text, digest);
	return lab_read_u32(&reader);
}

uint32_t director_user_hash(struct lab_view username)
{
	uint8_t lower[256];
	size_t len = LAB_MIN(username.len, sizeof(lower));

	for (size_t i = 0; i < len; i++) {
		lower[i] = username.ptr[i];
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (uint8_t)(lower[i] - 'A' + 'a');
	}
	return hash_of(lab_view_of(lower, len));
}

/* ---- the ring ---- */

static bool is_before(const struct point *a, const struct point *b)
{
	return a->hash != b->hash ? a->hash < b->hash : a->address < b->address;
}

static void sift_down(struct point *points, size_t from, size_t count)
{
	for (size_t child = 2 * from + 1; child < count; child = 2 * from + 1) {
		struct point swapped;

		if (child + 1 < count && is_before(&points[child], &points[child + 1]))
			child++;
		if (!is_before(&points[from], &points[child]))
			return;
		swapped = points[from];
		points[from] = points[child];
		points[child] = swapped;
		from = child;
	}
}

static void sort_points(struct point *points, size_t count)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_down(points, i - 1, count);
	for (size_t end = count; end > 1; end--) {
		struct point last = points[end - 1];

		points[end - 1] = points[0];
		points[0] = last;
		sift_down(points, 0, end - 1);
	}
}

static void add_points(
	struct director_ring *ring, const struct director_host *host, uint32_t address)
{
	char text[64];

	for (unsigned i = 0; i < host->vhost_count; i++) {
		int len = snprintf(text, sizeof(text), "%.*s-%u", LAB_VIEW_ARG(host->ip), i);

		ring->points[ring->count++] =
			(struct point){ hash_of(lab_view_of(text, (size_t)len)), address, host };
	}
}

/* How many points there will be. */
static int check_hosts(const struct director_host *hosts, size_t count, uint32_t *addresses,
	size_t *ret_points, struct lab_error *err)
{
	if (count > DIRECTOR_HOSTS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d mail hosts", DIRECTOR_HOSTS_MAX);
	*ret_points = 0;
	for (size_t i = 0; i < count; i++) {
		if (parse_address(hosts[i].ip, &addresses[i]) < 0)
			return lab_fail(err, LAB_INVALID, "mail host %.*s: not an IPv4 address",
				LAB_VIEW_ARG(hosts[i].ip));
		if (hosts[i].vhost_count > DIRECTOR_VHOSTS_MAX)
			return lab_fail(err, LAB_LIMIT, "mail host %.*s: vhost count %u is over %d",
				LAB_VIEW_ARG(hosts[i].ip), hosts[i].vhost_count,
				DIRECTOR_VHOSTS_MAX);
		for (size_t k = 0; k < i; k++) {
			if (addresses[k] == addresses[i])
				return lab_fail(err, LAB_INVALID, "mail host %.*s is there twice",
					LAB_VIEW_ARG(hosts[i].ip));
		}
		*ret_points += hosts[i].vhost_count;
	}
	return 0;
}

int director_ring_new(struct lab_heap *heap, const struct director_host *hosts, size_t count,
	struct director_ring **ret, struct lab_error *err)
{
	uint32_t *addresses = lab_new_array(heap, uint32_t, count);
	struct director_ring *ring;
	size_t points;

	if (check_hosts(hosts, count, addresses, &points, err) < 0) {
		lab_heap_free(heap, addresses);
		return -1;
	}
	ring = lab_new(heap, struct director_ring);
	ring->heap = heap;
	ring->points = lab_new_array(heap, struct point, points);
	for (size_t i = 0; i < count; i++) {
		if (!hosts[i].is_down)
			add_points(ring, &hosts[i], addresses[i]);
	}
	sort_points(ring->points, ring->count);
	lab_heap_free(heap, addresses);
	*ret = ring;
	return 0;
}

void director_ring_free(struct director_ring **ring)
{
	if (*ring == NULL)
		return;
	lab_heap_free((*ring)->heap, (*ring)->points);
	lab_heap_free((*ring)->heap, *ring);
	*ring = NULL;
}

const struct director_host *director_ring_lookup(
	const struct director_ring *ring, uint32_t hash, struct lab_view tag)
{
	size_t low = 0, high = ring->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ring->points[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	/* Points of other tags are not there. */
	for (size_t i = 0; i < ring->count; i++) {
		const struct point *point = &ring->points[(low + i) % ring->count];

		if (lab_view_eq(point->host->tag, tag))
			return point->host;
	}
	return NULL;
}

/* ---- users ---- */

int director_conflict_winner(struct lab_view ip_a, struct lab_view ip_b, struct lab_view *ret)
{
	uint32_t a, b;

	if (parse_address(ip_a, &a) < 0 || parse_address(ip_b, &b) < 0)
		return -1;
	*ret = a <= b ? ip_a : ip_b;
	return 0;
}

enum director_age director_user_age(uint64_t last_use_ns, uint64_t now_ns, uint64_t expire_ns)
{
	uint64_t age = now_ns > last_use_ns ? now_ns - last_use_ns : 0;
	uint64_t weak = LAB_MIN(LAB_MAX(expire_ns / 10, 3 * LAB_SEC), 30 * LAB_SEC);

	if (age >= expire_ns)
		return DIRECTOR_EXPIRED;
	/* An expire time of less than the zone is all zone. */
	return weak >= expire_ns || age >= expire_ns - weak ? DIRECTOR_WEAK : DIRECTOR_FRESH;
}
