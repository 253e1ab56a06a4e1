/* SPDX-License-Identifier: Apache-2.0
 *
 * Referrals of each protocol, and what ends a circle of them.
 */
#include "core/base/testing.h"

#include "core/cluster/referral.h"

static struct lab_error err;

static int read_line(enum cluster_protocol protocol, const char *line, struct cluster_referral *ret)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);

	return cluster_referral_read(protocol, lab_view_cstr(line), arena, ret, &err);
}

static void referrals_look_like_dovecots(void **state)
{
	static const struct {
		enum cluster_protocol protocol;
		const char *user, *host;
		uint16_t port;
		const char *line;
	} rows[] = {
		{ CLUSTER_IMAP, "bob@example.com", "b2", 143,
			"NO [REFERRAL imap://bob%40example.com;AUTH=PLAIN@b2:143/] Try this "
			"server." },
		{ CLUSTER_IMAP, "a b;c", "2001:db8::1", 1143,
			"NO [REFERRAL imap://a%20b%3Bc;AUTH=PLAIN@[2001:db8::1]:1143/] Try this "
			"server." },
		{ CLUSTER_POP3, "bob", "b2", 110, "-ERR [REFERRAL/bob@b2] Referral" },
		{ CLUSTER_POP3, "bob@x", "::1", 111, "-ERR [REFERRAL/bob@x@[::1]:111] Referral" },
		{ CLUSTER_LMTP, "bob@x", "b2", 24, "550 5.2.900 bob@x@b2:24 Referral" },
		{ CLUSTER_SUBMISSION, "bob@x", "b2", 587, "550 5.2.900 bob@x@b2:587 Referral" },
		{ CLUSTER_DOVEADM, "bob@x", "b2", 24245, "-REFERRAL bob@x@b2:24245" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const struct cluster_referral referral = { lab_view_cstr(rows[i].user),
			lab_view_cstr(rows[i].host), rows[i].port };
		struct cluster_referral read;
		struct lab_buf out;

		lab_buf_init(&out, testing_heap, 1000);
		assert_row(i, cluster_referral_write(rows[i].protocol, &referral, &out, &err) == 0);
		assert_string_equal(lab_buf_cstr(&out), rows[i].line);
		assert_row(i, read_line(rows[i].protocol, rows[i].line, &read) == 1);
		assert_row(i, lab_view_eq(read.user, referral.user));
		assert_row(i, lab_view_eq(read.host, referral.host));
		assert_row(i, read.port == referral.port);
	}
}

static void other_lines_are_no_referrals(void **state)
{
	static const char *const lines[] = { "", "NO [AUTHENTICATIONFAILED] no", "-ERR [AUTH] no",
		"550 5.1.1 no such user", "-NOUSER", "NO [REFERRAL", "no [REFERRAL imap://b@c/]" };
	struct cluster_referral read = { .port = 7 };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(lines); i++) {
		for (int p = 0; p < CLUSTER_PROTOCOL_COUNT; p++)
			assert_row(i, read_line((enum cluster_protocol)p, lines[i], &read) == 0);
	}
	assert_int_equal(read.port, 7);
}

static void what_says_no_host_is_not_followed(void **state)
{
	static const struct {
		enum cluster_protocol protocol;
		const char *line;
	} rows[] = {
		{ CLUSTER_IMAP, "NO [REFERRAL imap://bob;AUTH=PLAIN@/] x" },
		{ CLUSTER_IMAP, "NO [REFERRAL imap://bob;AUTH=PLAIN@b2" },
		{ CLUSTER_IMAP, "NO [REFERRAL imap://;AUTH=PLAIN@b2/]" },
		{ CLUSTER_IMAP, "NO [REFERRAL imap://b%4@b2/]" },
		{ CLUSTER_IMAP, "NO [REFERRAL imap://b@2001:db8::1/]" },
		{ CLUSTER_IMAP, "NO [REFERRAL imap://b@[::1/]" },
		{ CLUSTER_IMAP, "NO [REFERRAL imap://b@[::1]143/]" },
		{ CLUSTER_IMAP, "NO [REFERRAL imap://b@[b2]:143/]" },
		{ CLUSTER_POP3, "-ERR [REFERRAL/bob@] Referral" },
		{ CLUSTER_POP3, "-ERR [REFERRAL/@b2] Referral" },
		{ CLUSTER_POP3, "-ERR [REFERRAL/bob] Referral" },
		{ CLUSTER_POP3, "-ERR [REFERRAL/bob@b2:0] Referral" },
		{ CLUSTER_POP3, "-ERR [REFERRAL/bob@b2:65536] Referral" },
		{ CLUSTER_LMTP, "550 5.2.900 bob@b2" },
		{ CLUSTER_LMTP, "550 5.2.900 bob@b2:x Referral" },
		{ CLUSTER_DOVEADM, "-REFERRAL bob@b2:" },
	};
	struct cluster_referral read;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, read_line(rows[i].protocol, rows[i].line, &read) == -1);
		assert_row(i, err.code == LAB_CORRUPT);
	}
}

static void what_cannot_be_carried_is_not_written(void **state)
{
	struct cluster_referral referral = { LAB_VIEW("a b"), LAB_VIEW("b2"), 110 };
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 1000);
	assert_int_equal(cluster_referral_write(CLUSTER_POP3, &referral, &out, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	referral.user = LAB_VIEW("");
	assert_int_equal(cluster_referral_write(CLUSTER_IMAP, &referral, &out, &err), -1);
	referral.user = LAB_VIEW("bob");
	referral.host = LAB_VIEW("");
	assert_int_equal(cluster_referral_write(CLUSTER_IMAP, &referral, &out, &err), -1);
	referral.host = LAB_VIEW("b 2");
	assert_int_equal(cluster_referral_write(CLUSTER_IMAP, &referral, &out, &err), -1);
	assert_int_equal(out.len, 0);
}

/* ---- loops ---- */

static int go(struct cluster_hops *hops, enum cluster_protocol protocol, const char *host)
{
	return cluster_hops_go(
		hops, protocol, lab_view_cstr(host), 143, LAB_VIEW("proxy"), 143, &err);
}

static void one_reversal_is_legitimate_for_logins_only(void **state)
{
	struct cluster_hops hops;

	(void)state;
	cluster_hops_init(&hops, CLUSTER_TTL);
	assert_int_equal(go(&hops, CLUSTER_IMAP, "b1"), 0);
	assert_int_equal(go(&hops, CLUSTER_IMAP, "b2"), 0);
	assert_true(cluster_hops_was_there(&hops, LAB_VIEW("B1"), 143));
	assert_false(cluster_hops_was_there(&hops, LAB_VIEW("b1"), 144));
	assert_int_equal(go(&hops, CLUSTER_IMAP, "B1"), 0);
	assert_int_equal(go(&hops, CLUSTER_IMAP, "b1"), -1);
	assert_non_null(strstr(err.message, "Proxying loops - already connected to b1:143"));
	/* Another port is another place. */
	assert_int_equal(cluster_hops_go(&hops, CLUSTER_IMAP, LAB_VIEW("b1"), 144,
				 LAB_VIEW("proxy"), 143, &err),
		0);
	const enum cluster_protocol strict[] = { CLUSTER_LMTP, CLUSTER_DOVEADM };
	for (size_t i = 0; i < LAB_COUNT_OF(strict); i++) {
		cluster_hops_init(&hops, CLUSTER_TTL);
		assert_int_equal(go(&hops, strict[i], "b1"), 0);
		assert_int_equal(go(&hops, strict[i], "b2"), 0);
		assert_int_equal(go(&hops, strict[i], "b1"), -1);
	}
}

static void every_way_has_an_end(void **state)
{
	static const struct {
		enum cluster_protocol protocol;
		unsigned ttl, hops;
	} rows[] = { { CLUSTER_IMAP, CLUSTER_TTL, 6 }, { CLUSTER_POP3, CLUSTER_TTL, 6 },
		{ CLUSTER_LMTP, CLUSTER_TTL, 7 }, { CLUSTER_IMAP, 1, 0 }, { CLUSTER_IMAP, 2, 1 },
		{ CLUSTER_LMTP, 1, 1 }, { CLUSTER_LMTP, 0, 0 }, { CLUSTER_LMTP, 1000, 7 } };
	static const char *const hosts[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cluster_hops hops;
		unsigned count = 0;

		cluster_hops_init(&hops, rows[i].ttl);
		while (go(&hops, rows[i].protocol, hosts[count]) == 0)
			count++;
		assert_row(i, count == rows[i].hops);
		assert_row(i, strstr(err.message, "TTL reached zero") != NULL);
	}
}

static void nobody_connects_to_itself(void **state)
{
	struct cluster_hops hops;

	(void)state;
	cluster_hops_init(&hops, CLUSTER_TTL);
	assert_int_equal(go(&hops, CLUSTER_IMAP, "PROXY"), -1);
	assert_int_equal(hops.ttl, CLUSTER_TTL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, testing_setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(referrals_look_like_dovecots),
		T(other_lines_are_no_referrals),
		T(what_says_no_host_is_not_followed),
		T(what_cannot_be_carried_is_not_written),
		T(one_reversal_is_legitimate_for_logins_only),
		T(every_way_has_an_end),
		T(nobody_connects_to_itself),
	};
	return cmocka_run_group_tests_name("referral", tests, NULL, NULL);
}
