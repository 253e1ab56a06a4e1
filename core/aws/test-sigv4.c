/* SPDX-License-Identifier: Apache-2.0
 *
 * The published examples of SigV4 for S3, and those of the generic suite that S3's rules cover
 * (s3 1.8).
 */
#include "core/aws/test-support.h"

#include "core/aws/sigv4.h"

#define KEY_ID "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define S3_DATE "20130524T000000Z"
#define S3_SCOPE "20130524/us-east-1/s3/aws4_request"
#define HOST "host: examplebucket.s3.amazonaws.com\n"
#define EMPTY "x-amz-content-sha256: " SIGV4_EMPTY_SHA256 "\n"
#define AMZ_DATE "x-amz-date: " S3_DATE "\n"
#define PUT_HASH "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define STREAM "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
#define CHUNKED \
	"PUT /examplebucket/chunkObject.txt\nhost: s3.amazonaws.com\n" \
	"content-encoding: aws-chunked\nx-amz-decoded-content-length: 66560\n" \
	"x-amz-storage-class: REDUCED_REDUNDANCY\n" AMZ_DATE
#define CHUNKED_SEED "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
#define TRAILER_SEED "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"

#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SUITE_DATE "20150830T123600Z"
#define SUITE_SCOPE "20150830/us-east-1/service/aws4_request"
#define SUITE_HEAD "\nhost: example.amazonaws.com\nx-amz-date: " SUITE_DATE
#define SUITE_QUERY \
	"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1" \
	"%2Fservice%2Faws4_request&X-Amz-Date=" SUITE_DATE \
	"&X-Amz-SignedHeaders=host&X-Amz-Expires=3600"

struct vector {
	const char *name, *request, *signed_headers, *payload_hash, *signature;
};

static const struct vector s3_vectors[] = {
	{ "get object", "GET /test.txt\n" HOST "Range: bytes=0-9\n" EMPTY AMZ_DATE,
		"host;range;x-amz-content-sha256;x-amz-date", SIGV4_EMPTY_SHA256,
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
	{ "put object",
		"PUT /test$file.text\n" HOST "Date: Fri, 24 May 2013 00:00:00 GMT\n" AMZ_DATE
		"x-amz-storage-class: REDUCED_REDUNDANCY\nx-amz-content-sha256: " PUT_HASH,
		"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", PUT_HASH,
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
	{ "put object, path encoded as sent",
		"PUT /test%24file.text\n" HOST "Date: Fri, 24 May 2013 00:00:00 GMT\n" AMZ_DATE
		"x-amz-storage-class: REDUCED_REDUNDANCY\nx-amz-content-sha256: " PUT_HASH,
		"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", PUT_HASH,
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
	{ "get lifecycle", "GET /?lifecycle\n" HOST EMPTY AMZ_DATE,
		"host;x-amz-content-sha256;x-amz-date", SIGV4_EMPTY_SHA256,
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
	{ "list", "GET /?prefix=J&max-keys=2\n" HOST EMPTY AMZ_DATE,
		"host;x-amz-content-sha256;x-amz-date", SIGV4_EMPTY_SHA256,
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
	{ "chunked, seed", CHUNKED "content-length: 66824\nx-amz-content-sha256: " STREAM,
		"content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
		"x-amz-decoded-content-length;x-amz-storage-class",
		STREAM, CHUNKED_SEED },
	{ "chunked with trailer, seed",
		CHUNKED "x-amz-trailer: x-amz-checksum-crc32c\n"
			"x-amz-content-sha256: " STREAM "-TRAILER",
		"content-encoding;host;x-amz-content-sha256;x-amz-date;"
		"x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		STREAM "-TRAILER", TRAILER_SEED },
};

static const struct vector suite_vectors[] = {
	{ "get-vanilla", "GET /" SUITE_HEAD, "host;x-amz-date", SIGV4_EMPTY_SHA256,
		"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ "get-vanilla, query form", "GET /?" SUITE_QUERY "&X-Amz-Signature=ignored" SUITE_HEAD,
		"host", SIGV4_EMPTY_SHA256,
		"e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d" },
	{ "get-vanilla-with-session-token, query form",
		"GET /?" SUITE_QUERY "&X-Amz-Security-Token="
		"6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267" SUITE_HEAD,
		"host", SIGV4_EMPTY_SHA256,
		"7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c" },
	{ "get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1" SUITE_HEAD,
		"host;x-amz-date", SIGV4_EMPTY_SHA256,
		"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
	{ "get-vanilla-query-order-encoded",
		"GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1" SUITE_HEAD, "host;x-amz-date",
		SIGV4_EMPTY_SHA256,
		"371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac" },
	{ "get-utf8", "GET /\xe1\x88\xb4" SUITE_HEAD, "host;x-amz-date", SIGV4_EMPTY_SHA256,
		"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
	{ "get-header-value-trim",
		"GET /" SUITE_HEAD "\nMy-Header1: value1\nMy-Header2: \"a   b   c\"",
		"host;my-header1;my-header2;x-amz-date", SIGV4_EMPTY_SHA256,
		"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
	{ "get-header-key-duplicate",
		"GET /" SUITE_HEAD "\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1",
		"host;my-header1;x-amz-date", SIGV4_EMPTY_SHA256,
		"c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
	{ "get-slash-dot-slash-unnormalized", "GET /./" SUITE_HEAD, "host;x-amz-date",
		SIGV4_EMPTY_SHA256,
		"68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145" },
	{ "get-relative-relative-unnormalized", "GET /example1/example2/../.." SUITE_HEAD,
		"host;x-amz-date", SIGV4_EMPTY_SHA256,
		"dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b" },
};

static void canonical(struct fixture *fixture, const struct vector *vector, struct lab_buf *out)
{
	struct lab_http_request request = request_of(vector->request);
	struct lab_error err;

	lab_buf_init(out, fixture->heap, 65536);
	assert_int_equal(sigv4_canonical_request(&request, lab_view_cstr(vector->signed_headers),
				 lab_view_cstr(vector->payload_hash), out, &err),
		0);
}

static void check_vector(struct fixture *fixture, const struct vector *vector, const char *amz_date,
	const char *scope, const uint8_t *key)
{
	struct lab_buf request, text;
	char signature[SIGV4_HEX_SIZE];

	canonical(fixture, vector, &request);
	lab_buf_init(&text, fixture->heap, 65536);
	sigv4_string_to_sign(
		lab_view_cstr(amz_date), lab_view_cstr(scope), lab_buf_view(&request), &text);
	sigv4_signature(key, lab_buf_view(&text), signature);
	if (strcmp(signature, vector->signature) != 0)
		fail_msg("%s: got %s, expected %s; canonical request:\n%s", vector->name, signature,
			vector->signature, lab_buf_cstr(&request));
	lab_buf_done(&text);
	lab_buf_done(&request);
}

static void s3_key(uint8_t key[SIGV4_KEY_SIZE])
{
	sigv4_signing_key(
		LAB_VIEW(SECRET), LAB_VIEW("20130524"), LAB_VIEW("us-east-1"), LAB_VIEW("s3"), key);
}

static void signing_key_is_the_published_one(void **state)
{
	uint8_t key[SIGV4_KEY_SIZE];
	char text[SIGV4_HEX_SIZE];

	(void)state;
	s3_key(key);
	lab_hex(key, SIGV4_KEY_SIZE, text);
	assert_string_equal(
		text, "dbb893acc010964918f1fd433add87c70e8b0db6be30c1fbeafefa5ec6ba8378");
}

static void published_s3_examples_are_reproduced(void **state)
{
	uint8_t key[SIGV4_KEY_SIZE];

	s3_key(key);
	for (size_t i = 0; i < LAB_COUNT_OF(s3_vectors); i++)
		check_vector(*state, &s3_vectors[i], S3_DATE, S3_SCOPE, key);
}

static void generic_examples_are_reproduced(void **state)
{
	uint8_t key[SIGV4_KEY_SIZE];

	sigv4_signing_key(LAB_VIEW(SUITE_SECRET), LAB_VIEW("20150830"), LAB_VIEW("us-east-1"),
		LAB_VIEW("service"), key);
	for (size_t i = 0; i < LAB_COUNT_OF(suite_vectors); i++)
		check_vector(*state, &suite_vectors[i], SUITE_DATE, SUITE_SCOPE, key);
}

static void canonical_request_hash_is_the_published_one(void **state)
{
	struct lab_buf request;
	char hash[SIGV4_HEX_SIZE];

	canonical(*state, &s3_vectors[0], &request);
	sigv4_payload_hash(lab_buf_view(&request), hash);
	assert_memory_equal(hash, "7344ae5b", 8);
	assert_string_equal(hash + 64 - 6, "946972");
	lab_buf_done(&request);
}

static void check_chunks(struct fixture *fixture, const char *seed, const char *const expected[3],
	char last[SIGV4_HEX_SIZE])
{
	static const size_t sizes[3] = { 65536, 1024, 0 };
	uint8_t *data = lab_arena_alloc(fixture->arena, sizes[0]), key[SIGV4_KEY_SIZE];

	s3_key(key);
	memset(data, 'a', sizes[0]);
	memcpy(last, seed, SIGV4_HEX_SIZE);
	for (size_t i = 0; i < 3; i++) {
		char previous[SIGV4_HEX_SIZE];

		memcpy(previous, last, sizeof(previous));
		sigv4_chunk_signature(key, LAB_VIEW(S3_DATE), LAB_VIEW(S3_SCOPE),
			lab_view_cstr(previous), lab_view_of(data, sizes[i]), last);
		assert_string_equal(last, expected[i]);
	}
}

static void chunk_signatures_are_the_published_ones(void **state)
{
	static const char *const expected[3] = {
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	};
	char last[SIGV4_HEX_SIZE];

	check_chunks(*state, CHUNKED_SEED, expected, last);
}

static void trailer_signature_is_the_published_one(void **state)
{
	static const char *const expected[3] = {
		"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
	};
	char last[SIGV4_HEX_SIZE], trailer[SIGV4_HEX_SIZE];
	uint8_t key[SIGV4_KEY_SIZE];

	check_chunks(*state, TRAILER_SEED, expected, last);
	s3_key(key);
	sigv4_trailer_signature(key, LAB_VIEW(S3_DATE), LAB_VIEW(S3_SCOPE), lab_view_cstr(last),
		LAB_VIEW("x-amz-checksum-crc32c:sOO8/Q==\n"), trailer);
	assert_string_equal(
		trailer, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
}

/* ---- canonicalisation ---- */

static void assert_canonical(struct fixture *fixture, const char *target, const char *expected)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW("h"),
		.target = lab_view_cstr(target) };
	struct lab_view rest, line;
	struct lab_error err;
	struct lab_buf out;

	lab_buf_init(&out, fixture->heap, 65536);
	assert_int_equal(
		sigv4_canonical_request(&request, LAB_VIEW("host"), LAB_VIEW("x"), &out, &err), 0);
	rest = lab_view_skip(lab_buf_view(&out), strlen("GET\n"));
	line = lab_view_sub(rest, 0, lab_view_find(rest, LAB_VIEW("\nhost:h")));
	assert_view(line, expected);
	lab_buf_done(&out);
}

static void paths_are_decoded_once_and_encoded_once(void **state)
{
	static const char *const cases[][2] = {
		{ "/a b", "/a%20b\n" },
		{ "/a%20b", "/a%20b\n" },
		{ "/a%2520b", "/a%2520b\n" },
		{ "/a%2fb", "/a/b\n" },
		{ "/%7eu/-._~", "/~u/-._~\n" },
		{ "//a//../b/.", "//a//../b/.\n" },
		{ "/a+b=c&d,e", "/a%2Bb%3Dc%26d%2Ce\n" },
		{ "/%c3%a9", "/%C3%A9\n" },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++)
		assert_canonical(*state, cases[i][0], cases[i][1]);
}

static void queries_are_sorted_by_encoded_name(void **state)
{
	static const char *const cases[][2] = {
		{ "/?", "/\n" },
		{ "/?delete", "/\ndelete=" },
		{ "/?delete=", "/\ndelete=" },
		/* By name, not by "name=value": '-' sorts before '='. */
		{ "/?select-type=2&select=1", "/\nselect=1&select-type=2" },
		{ "/?b=2&a=1&B=3", "/\nB=3&a=1&b=2" },
		/* Encoded, 'ä' begins with '%' and comes first. */
		{ "/?a=1&\xc3\xa4=2", "/\n%C3%A4=2&a=1" },
		{ "/?a=x+y", "/\na=x%2By" },
		{ "/?prefix=a/b", "/\nprefix=a%2Fb" },
		{ "/?a=1&&b=", "/\na=1&b=" },
		{ "/?a=b=c", "/\na=b%3Dc" },
		/* Of a repeated name, S3 takes the first. */
		{ "/?a=2&b=0&a=1", "/\na=2&b=0" },
		{ "/?a=1&X-Amz-Signature=s", "/\na=1" },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++)
		assert_canonical(*state, cases[i][0], cases[i][1]);
}

static void header_values_lose_runs_of_blanks(void **state)
{
	struct vector vector = { "", "GET /\nhost: h\nx-amz-a: \t one\ttwo \t three  four\t ",
		"host;x-amz-a;x-amz-absent", "x", "" };
	struct lab_buf out;

	canonical(*state, &vector, &out);
	assert_view(lab_buf_view(&out), "GET\n/\n\nhost:h\nx-amz-a:one two three four\n"
					"x-amz-absent:\n\nhost;x-amz-a;x-amz-absent\nx");
	lab_buf_done(&out);
}

static void content_length_is_the_body_s(void **state)
{
	struct fixture *fixture = *state;
	struct lab_http_request request = request_of("PUT /k\nhost: h");
	struct lab_error err;
	struct lab_buf out;

	request.body = LAB_VIEW("12345");
	lab_buf_init(&out, fixture->heap, 65536);
	assert_int_equal(sigv4_canonical_request(&request, LAB_VIEW("content-length;host"),
				 LAB_VIEW("x"), &out, &err),
		0);
	assert_view(lab_buf_view(&out),
		"PUT\n/k\n\ncontent-length:5\nhost:h\n\ncontent-length;host\nx");
	lab_buf_done(&out);
}

static void bad_targets_are_refused(void **state)
{
	static const char *const targets[] = { "/%", "/%2", "/%zz", "/?a=%", "/?%4=1", "/?%gg" };
	struct fixture *fixture = *state;
	struct lab_error err;
	struct lab_buf out;

	for (size_t i = 0; i < LAB_COUNT_OF(targets); i++) {
		struct lab_http_request request = { .method = LAB_VIEW("GET"),
			.authority = LAB_VIEW("h"),
			.target = lab_view_cstr(targets[i]) };

		lab_buf_init(&out, fixture->heap, 65536);
		assert_int_equal(sigv4_canonical_request(
					 &request, LAB_VIEW("host"), LAB_VIEW("x"), &out, &err),
			-1);
		assert_int_equal(err.code, LAB_INVALID);
		lab_buf_done(&out);
	}
}

static void too_many_parameters_and_long_requests_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct lab_http_request request = { .method = LAB_VIEW("GET"), .authority = LAB_VIEW("h") };
	struct lab_buf target, out;
	struct lab_error err;

	lab_buf_init(&target, fixture->heap, 65536);
	lab_buf_append_cstr(&target, "/?");
	for (int i = 0; i <= SIGV4_QUERY_MAX; i++)
		lab_buf_printf(&target, "p%d=1&", i);
	request.target = lab_buf_view(&target);
	lab_buf_init(&out, fixture->heap, 65536);
	assert_int_equal(
		sigv4_canonical_request(&request, LAB_VIEW("host"), LAB_VIEW("x"), &out, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	lab_buf_done(&out);
	lab_buf_done(&target);

	lab_buf_init(&out, fixture->heap, 16);
	request.target = LAB_VIEW("/this-is-too-long");
	assert_int_equal(
		sigv4_canonical_request(&request, LAB_VIEW("host"), LAB_VIEW("x"), &out, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	lab_buf_done(&out);
}

/* ---- signing ---- */

static const struct aws_credentials s3_credentials = { { (const uint8_t *)KEY_ID, 20 },
	{ (const uint8_t *)SECRET, 40 }, { NULL, 0 }, 0 };

static struct sigv4_signer signer_of(struct fixture *fixture)
{
	return (struct sigv4_signer){ .credentials = &s3_credentials,
		.region = LAB_VIEW("us-east-1"),
		.service = LAB_VIEW("s3"),
		.now_unix = 1369353600,
		.heap = fixture->heap };
}

static void signing_a_request_gives_the_published_signature(void **state)
{
	struct fixture *fixture = *state;
	struct lab_http_request request = request_of("GET /?lifecycle\n" HOST);
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_error err;

	assert_int_equal(sigv4_sign_headers(&request, &signer, fixture->arena, &err), 0);

	assert_view(lab_http_header_get(&request.headers, "x-amz-date"), S3_DATE);
	assert_view(
		lab_http_header_get(&request.headers, "x-amz-content-sha256"), SIGV4_EMPTY_SHA256);
	assert_view(lab_http_header_get(&request.headers, "Authorization"),
		"AWS4-HMAC-SHA256 Credential=" KEY_ID "/" S3_SCOPE
		", SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
		"Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void every_amz_header_and_the_body_s_description_are_signed(void **state)
{
	struct fixture *fixture = *state;
	struct lab_http_request request =
		request_of("PUT /k\n" HOST "X-Dovecot-Username: u\nX-Amz-Meta-Dovecot-Guid: 1\n"
			   "Content-MD5: m\nx-amz-security-token: t\nContent-Type: "
			   "c\nx-amz-meta-dovecot-guid: 2");
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_view authorization;
	struct lab_error err;

	request.body = LAB_VIEW("Welcome to Amazon S3.");
	assert_int_equal(sigv4_sign_headers(&request, &signer, fixture->arena, &err), 0);

	authorization = lab_http_header_get(&request.headers, "Authorization");
	assert_true(lab_view_find(authorization,
			    LAB_VIEW("SignedHeaders=content-md5;content-type;host;"
				     "x-amz-content-sha256;x-amz-date;"
				     "x-amz-meta-dovecot-guid;x-amz-security-token,")) != SIZE_MAX);
	assert_view(lab_http_header_get(&request.headers, "x-amz-content-sha256"), PUT_HASH);
}

static void presigning_gives_the_published_url(void **state)
{
	struct fixture *fixture = *state;
	struct lab_http_request request = request_of("GET /test.txt\n" HOST);
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_error err;

	assert_int_equal(sigv4_presign(&request, &signer, 86400, LAB_VIEW(SIGV4_UNSIGNED_PAYLOAD),
				 fixture->arena, &err),
		0);

	assert_view(request.target,
		"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" KEY_ID
		"%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=" S3_DATE
		"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void presigning_carries_the_token_and_keeps_the_query(void **state)
{
	struct fixture *fixture = *state;
	struct aws_credentials credentials = s3_credentials;
	struct lab_http_request request = request_of("GET /k?versionId=1\n" HOST);
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_error err;

	credentials.token = LAB_VIEW("a/b");
	signer.credentials = &credentials;
	assert_int_equal(sigv4_presign(&request, &signer, 1, LAB_VIEW(SIGV4_UNSIGNED_PAYLOAD),
				 fixture->arena, &err),
		0);

	assert_true(lab_view_starts_with(request.target, LAB_VIEW("/k?versionId=1&X-Amz-")));
	assert_true(lab_view_find(request.target, LAB_VIEW("&X-Amz-Security-Token=a%2Fb&")) !=
		    SIZE_MAX);
}

static void presigned_urls_do_not_live_longer_than_a_week(void **state)
{
	struct fixture *fixture = *state;
	struct lab_http_request request = request_of("GET /k\n" HOST);
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_error err;

	assert_int_equal(sigv4_presign(&request, &signer, SIGV4_EXPIRES_MAX + 1,
				 LAB_VIEW(SIGV4_UNSIGNED_PAYLOAD), fixture->arena, &err),
		-1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_view(request.target, "/k");
}

static void signing_needs_room_for_its_headers(void **state)
{
	struct fixture *fixture = *state;
	struct lab_http_request request = request_of("GET /\n" HOST);
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_error err;

	for (size_t i = 0; i + 2 < LAB_HTTP_HEADERS_MAX; i++)
		lab_http_header_add(&request.headers, LAB_VIEW("a"), LAB_VIEW("b"));
	assert_int_equal(sigv4_sign_headers(&request, &signer, fixture->arena, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
}

static void signing_key_is_cached_by_all_it_depends_on(void **state)
{
	struct fixture *fixture = *state;
	struct sigv4_key_cache cache = { .next = 0 };
	struct aws_credentials other = s3_credentials;
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_http_request request;
	struct lab_error err;

	signer.cache = &cache;
	for (int i = 0; i < 3; i++) {
		request = request_of("GET /\n" HOST);
		assert_int_equal(sigv4_sign_headers(&request, &signer, fixture->arena, &err), 0);
	}
	assert_int_equal(cache.misses, 1);
	assert_int_equal(cache.hits, 2);

	/* The same key id with another secret, and another day, are other keys. */
	other.secret_access_key = LAB_VIEW("other");
	signer.credentials = &other;
	request = request_of("GET /\n" HOST);
	assert_int_equal(sigv4_sign_headers(&request, &signer, fixture->arena, &err), 0);
	signer.now_unix += 86400;
	request = request_of("GET /\n" HOST);
	assert_int_equal(sigv4_sign_headers(&request, &signer, fixture->arena, &err), 0);
	assert_int_equal(cache.misses, 3);
}

static void cached_and_computed_keys_sign_alike(void **state)
{
	struct fixture *fixture = *state;
	struct sigv4_key_cache cache = { .next = 0 };
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_view expected = { NULL, 0 };
	struct lab_error err;

	/* Twice around the cache: every entry is replaced and found again. */
	for (int i = 0; i < 4 * SIGV4_CACHE_ENTRIES; i++) {
		struct lab_http_request cached = request_of("GET /k\n" HOST);
		struct lab_http_request computed = cached;

		signer.now_unix = 1369353600 + i / 2 * 86400;
		signer.cache = &cache;
		assert_int_equal(sigv4_sign_headers(&cached, &signer, fixture->arena, &err), 0);
		signer.cache = NULL;
		assert_int_equal(sigv4_sign_headers(&computed, &signer, fixture->arena, &err), 0);
		expected = lab_http_header_get(&computed.headers, "Authorization");
		assert_true(lab_view_eq(
			lab_http_header_get(&cached.headers, "Authorization"), expected));
	}
	assert_int_equal(cache.hits, 2 * SIGV4_CACHE_ENTRIES);
}

static void overlong_secrets_are_not_cached(void **state)
{
	struct fixture *fixture = *state;
	struct sigv4_key_cache cache = { .next = 0 };
	struct aws_credentials odd = s3_credentials;
	struct sigv4_signer signer = signer_of(fixture);
	struct lab_http_request request = request_of("GET /\n" HOST);
	static uint8_t secret[2 * SIGV4_CACHE_TEXT_MAX];
	struct lab_error err;

	memset(secret, 's', sizeof(secret));
	odd.secret_access_key = lab_view_of(secret, sizeof(secret));
	signer.credentials = &odd;
	signer.cache = &cache;
	assert_int_equal(sigv4_sign_headers(&request, &signer, fixture->arena, &err), 0);
	assert_int_equal(cache.entries[0].len, 0);
	assert_true(lab_http_header_get(&request.headers, "Authorization").ptr != NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signing_key_is_the_published_one),
		TEST(published_s3_examples_are_reproduced),
		TEST(generic_examples_are_reproduced),
		TEST(canonical_request_hash_is_the_published_one),
		TEST(chunk_signatures_are_the_published_ones),
		TEST(trailer_signature_is_the_published_one),
		TEST(paths_are_decoded_once_and_encoded_once),
		TEST(queries_are_sorted_by_encoded_name),
		TEST(header_values_lose_runs_of_blanks),
		TEST(content_length_is_the_body_s),
		TEST(bad_targets_are_refused),
		TEST(too_many_parameters_and_long_requests_are_refused),
		TEST(signing_a_request_gives_the_published_signature),
		TEST(every_amz_header_and_the_body_s_description_are_signed),
		TEST(presigning_gives_the_published_url),
		TEST(presigning_carries_the_token_and_keeps_the_query),
		TEST(presigned_urls_do_not_live_longer_than_a_week),
		TEST(signing_needs_room_for_its_headers),
		TEST(signing_key_is_cached_by_all_it_depends_on),
		TEST(cached_and_computed_keys_sign_alike),
		TEST(overlong_secrets_are_not_cached),
	};

	return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
