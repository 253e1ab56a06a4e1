/* SPDX-License-Identifier: Apache-2.0
 *
 * The 2.3 director's ring against values computed by hand from the published algorithm.
 */
#include "core/base/testing.h"

#include "core/cluster/director.h"

#define IP(text) \
	{ \
		.ip = { (const uint8_t *)(text), sizeof(text) - 1 }, .vhost_count = 100 \
	}
static const struct director_host four[] = { IP("10.0.0.1"), IP("10.0.0.2"), IP("10.0.0.3"),
	IP("192.168.7.40") };

static struct director_ring *ring_of(const struct director_host *hosts, size_t count)
{
	struct director_ring *ring;
	struct lab_error err;

	if (director_ring_new(testing_heap, hosts, count, &ring, &err) < 0)
		fail_msg("%s", err.message);
	return ring;
}

static size_t host_of(const struct director_ring *ring, const struct director_host *hosts, int user)
{
	char name[64];
	const struct director_host *host;

	(void)snprintf(name, sizeof(name), "user%d@example.com", user);
	host = director_ring_lookup(ring, director_user_hash(lab_view_cstr(name)), LAB_VIEW(""));
	assert_non_null(host);
	return (size_t)(host - hosts);
}

static void users_hash_as_md5_of_the_lower_case_name(void **state)
{
	static const struct {
		const char *name;
		uint32_t hash;
	} rows[] = { { "user1@example.com", 0x111d68d0 }, { "User1@Example.COM", 0x111d68d0 },
		{ "test", 0x098f6bcd }, { "bob", 0x9f9d51bc }, { "", 0xd41d8cd9 } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, director_user_hash(lab_view_cstr(rows[i].name)) == rows[i].hash);
}

static void the_ring_is_the_published_one(void **state)
{
	static const size_t expected[] = { 0, 3, 2, 1, 2, 1, 1, 2, 3, 2, 1, 0 };
	static const struct {
		uint32_t hash;
		size_t host;
	} edges[] = {
		{ 0, 2 },                            /* the lowest point is one of 10.0.0.3 */
		{ 0x4766fa, 2 },                     /* exactly there */
		{ 43333294, 0 }, { 43333295, 1 },    /* one point and behind it */
		{ 0xff87b020, 3 }, { 0xff87b021, 2 } /* around the end */
	};
	struct director_ring *ring = ring_of(four, 4);
	unsigned counts[4] = { 0 };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(expected); i++)
		assert_row(i, host_of(ring, four, (int)i) == expected[i]);
	for (size_t i = 0; i < LAB_COUNT_OF(edges); i++)
		assert_row(i, director_ring_lookup(ring, edges[i].hash, LAB_VIEW("")) ==
				      &four[edges[i].host]);
	for (int i = 0; i < 10000; i++)
		counts[host_of(ring, four, i)]++;
	assert_int_equal(counts[0], 2254);
	assert_int_equal(counts[1], 2218);
	assert_int_equal(counts[2], 2735);
	assert_int_equal(counts[3], 2793);
	director_ring_free(&ring);
}

/* What consistent hashing is for: nobody moves whose backend is still there. */
static void a_lost_host_moves_only_its_own_users(void **state)
{
	struct director_host three[4];
	struct director_ring *before = ring_of(four, 4), *after;
	unsigned moved = 0;

	(void)state;
	memcpy(three, four, sizeof(four));
	three[1].is_down = true;
	after = ring_of(three, 4);
	for (int i = 0; i < 2000; i++) {
		size_t was = host_of(before, four, i), is = host_of(after, three, i);

		assert_true(is != 1);
		assert_true(was == is || was == 1);
		moved += was != is;
	}
	assert_true(moved > 300);
	director_ring_free(&before);
	director_ring_free(&after);
}

static void tags_have_rings_of_their_own(void **state)
{
	struct director_host hosts[4];
	struct director_ring *ring;

	(void)state;
	memcpy(hosts, four, sizeof(four));
	hosts[2].tag = hosts[3].tag = LAB_VIEW("ssd");
	hosts[3].vhost_count = 0;
	ring = ring_of(hosts, 4);
	for (uint32_t hash = 0; hash < 0xf0000000; hash += 0x1234567) {
		assert_ptr_equal(director_ring_lookup(ring, hash, LAB_VIEW("ssd")), &hosts[2]);
		assert_true(director_ring_lookup(ring, hash, LAB_VIEW("")) < &hosts[2]);
		assert_null(director_ring_lookup(ring, hash, LAB_VIEW("hdd")));
	}
	director_ring_free(&ring);
	ring = ring_of(NULL, 0);
	assert_null(director_ring_lookup(ring, 7, LAB_VIEW("")));
	director_ring_free(&ring);
}

static void senseless_hosts_are_refused(void **state)
{
	static const char *const bad[] = { "", "10.0.0", "10.0.0.0.1", "10.0.0.256", "10.0.0.x",
		"mail-1", "10.0.0.0001" };
	struct director_host hosts[2] = { four[0], four[0] };
	struct director_ring *ring = NULL;
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		hosts[0].ip = lab_view_cstr(bad[i]);
		assert_row(i, director_ring_new(testing_heap, hosts, 1, &ring, &err) == -1);
		assert_row(i, err.code == LAB_INVALID);
	}
	hosts[0].ip = LAB_VIEW("10.0.0.1");
	assert_int_equal(director_ring_new(testing_heap, hosts, 2, &ring, &err), -1);
	assert_non_null(strstr(err.message, "10.0.0.1 is there twice"));
	hosts[0].vhost_count = DIRECTOR_VHOSTS_MAX + 1;
	assert_int_equal(director_ring_new(testing_heap, hosts, 1, &ring, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(
		director_ring_new(testing_heap, hosts, DIRECTOR_HOSTS_MAX + 1, &ring, &err), -1);
	assert_null(ring);
	director_ring_free(&ring);
}

static void the_lower_address_wins_a_conflict(void **state)
{
	struct lab_view a = LAB_VIEW("10.0.0.9"), b = LAB_VIEW("10.0.0.10"), winner, other;

	(void)state;
	assert_int_equal(director_conflict_winner(a, b, &winner), 0);
	assert_int_equal(director_conflict_winner(b, a, &other), 0);
	assert_true(lab_view_eq(winner, a) && lab_view_eq(other, a));
	assert_int_equal(director_conflict_winner(LAB_VIEW("b1"), a, &winner), -1);
	assert_int_equal(director_conflict_winner(a, LAB_VIEW("b1"), &winner), -1);
}

static void near_the_end_of_a_mapping_its_user_is_weak(void **state)
{
	static const struct {
		uint64_t expire_s, age_s;
		enum director_age age;
	} rows[] = { { 900, 0, DIRECTOR_FRESH }, { 900, 869, DIRECTOR_FRESH },
		{ 900, 870, DIRECTOR_WEAK }, { 900, 899, DIRECTOR_WEAK },
		{ 900, 900, DIRECTOR_EXPIRED }, { 100, 89, DIRECTOR_FRESH },
		{ 100, 90, DIRECTOR_WEAK }, { 10, 6, DIRECTOR_FRESH }, { 10, 7, DIRECTOR_WEAK },
		{ 2, 0, DIRECTOR_WEAK }, { 2, 2, DIRECTOR_EXPIRED } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, director_user_age(1000 * LAB_SEC, (1000 + rows[i].age_s) * LAB_SEC,
				      rows[i].expire_s * LAB_SEC) == rows[i].age);
	/* A message from a director whose clock is ahead. */
	assert_int_equal(
		director_user_age(2000 * LAB_SEC, 1000 * LAB_SEC, 900 * LAB_SEC), DIRECTOR_FRESH);
}

#define T(name) cmocka_unit_test_setup_teardown(name, testing_setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(users_hash_as_md5_of_the_lower_case_name),
		T(the_ring_is_the_published_one),
		T(a_lost_host_moves_only_its_own_users),
		T(tags_have_rings_of_their_own),
		T(senseless_hosts_are_refused),
		T(the_lower_address_wins_a_conflict),
		T(near_the_end_of_a_mapping_its_user_is_weak),
	};
	return cmocka_run_group_tests_name("director", tests, NULL, NULL);
}
