/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/testing-s3.h"

static struct lab_view nothing(void)
{
	return lab_view_of(NULL, 0);
}

/* ---- what a bucket has by itself ---- */

static void a_bucket_has_its_defaults(void **state)
{
	static const struct {
		const char *name, *answer;
	} rows[] = {
		{ "accelerate", "<AccelerateConfiguration xmlns=\"" },
		{ "acl", "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
			 "xsi:type=\"CanonicalUser\"><ID>111111111111</ID></Grantee>"
			 "<Permission>FULL_CONTROL</Permission>" },
		{ "analytics", "<IsTruncated>false</IsTruncated>" },
		{ "encryption", "<SSEAlgorithm>AES256</SSEAlgorithm>" },
		{ "intelligent-tiering", "<IsTruncated>false</IsTruncated>" },
		{ "inventory", "<IsTruncated>false</IsTruncated>" },
		{ "logging", "<BucketLoggingStatus xmlns=\"" },
		{ "metrics", "<IsTruncated>false</IsTruncated>" },
		{ "notification", "<NotificationConfiguration xmlns=\"" },
		{ "ownershipControls", "<ObjectOwnership>BucketOwnerEnforced</ObjectOwnership>" },
		{ "publicAccessBlock", "<RestrictPublicBuckets>true</RestrictPublicBuckets>" },
		{ "requestPayment", "<Payer>BucketOwner</Payer>" },
		{ "versioning", "<VersioningConfiguration xmlns=\"" },
	};
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, t_get(lab_arena_printf(t.arena, "/mail?%s", rows[i].name)) == 200);
		assert_row(i, t_body_has(rows[i].answer));
		assert_string_equal(t_reply_header("Content-Type"), "application/xml");
		assert_string_equal(t_logged()->operation, "BUCKET-CONFIG");
		assert_row(i, t_get(lab_arena_printf(t.arena, "/mail?%s=", rows[i].name)) == 200);
	}
	/* What says nothing says exactly that. */
	assert_int_equal(t_get("/mail?versioning"), 200);
	assert_false(t_body_has("Status"));
}

static void what_was_never_configured_has_a_code_of_its_own(void **state)
{
	static const struct {
		const char *query, *code;
	} rows[] = {
		{ "analytics&id=1", "NoSuchConfiguration" },
		{ "cors", "NoSuchCORSConfiguration" },
		{ "intelligent-tiering&id=1", "NoSuchConfiguration" },
		{ "inventory&id=1", "NoSuchConfiguration" },
		{ "lifecycle", "NoSuchLifecycleConfiguration" },
		{ "metrics&id=1", "NoSuchConfiguration" },
		{ "object-lock", "ObjectLockConfigurationNotFoundError" },
		{ "policy", "NoSuchBucketPolicy" },
		{ "policyStatus", "NoSuchBucketPolicy" },
		{ "replication", "ReplicationConfigurationNotFoundError" },
		{ "tagging", "NoSuchTagSet" },
		{ "website", "NoSuchWebsiteConfiguration" },
	};
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, t_get(lab_arena_printf(t.arena, "/mail?%s", rows[i].query)) == 404);
		assert_string_equal(t_xml("Code"), rows[i].code);
		assert_string_equal(t_xml("BucketName"), "mail");
	}
	assert_code(t_get("/none?policy"), 404, "NoSuchBucket");
	assert_code(t_get("/none?versioning"), 404, "NoSuchBucket");
}

static void nothing_of_it_can_be_changed(void **state)
{
	static const char *const names[] = { "accelerate", "analytics", "cors", "encryption",
		"inventory", "lifecycle", "logging", "notification", "object-lock",
		"ownershipControls", "policy", "publicAccessBlock", "replication", "requestPayment",
		"tagging", "versioning", "website", "metadataTable" };
	static const char *const methods[] = { "PUT", "DELETE", "POST" };
	size_t i, j;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(names); i++) {
		for (j = 0; j < LAB_COUNT_OF(methods); j++) {
			const char *target = lab_arena_printf(t.arena, "/mail?%s", names[i]);

			assert_row(i, t_send(methods[j], target, LAB_VIEW("<x/>")) == 501);
			assert_row(i, strcmp(t_xml("Code"), "NotImplemented") == 0);
			assert_string_equal(t_logged()->operation, "OTHER");
			assert_false(t_logged()->applied);
		}
	}
	assert_code(t_put("/mail?acl", "<x/>"), 400, "AccessControlListNotSupported");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_code(t_put("/mail/k?acl", "<x/>"), 400, "AccessControlListNotSupported");
	assert_int_equal(t_send("HEAD", "/mail?policy", nothing()), 405);
	assert_code(t_send("OPTIONS", "/mail?policy", nothing()), 403, "AccessForbidden");
	assert_code(t_get("/mail?session"), 501, "NotImplemented");
	assert_code(t_get("/mail/k?policy"), 501, "NotImplemented");
	assert_code(t_get("/mail/k?torrent"), 501, "NotImplemented");
	assert_code(t_put("/mail/k?renameObject", ""), 501, "NotImplemented");
	assert_int_equal(t_get("/mail/k"), 200);
}

static void two_at_once_conflict(void **state)
{
	(void)state;

	assert_code(t_get("/mail?acl&policy"), 400, "InvalidArgument");
	assert_string_equal(t_xml("Message"), "Conflicting query string parameters: acl, policy");
	assert_string_equal(t_xml("ArgumentName"), "ResourceType");
	assert_string_equal(t_xml("ArgumentValue"), "acl");
	assert_code(
		t_send("POST", "/mail/k?uploads&uploadId=1", nothing()), 400, "InvalidArgument");
	assert_int_equal(t_get("/mail?acl&acl"), 200);
	/* What is unknown is not meant for us. */
	assert_int_equal(t_get("/mail?acl&x-id=GetBucketAcl"), 200);
	assert_int_equal(t_put("/mail/k?x-id=PutObject", "x"), 200);
	assert_true(t_stored("k"));
}

static void objects_have_theirs(void **state)
{
	(void)state;

	assert_code(t_get("/mail/k?acl"), 404, "NoSuchKey");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k?acl"), 200);
	assert_string_equal(t_xml("Permission"), "FULL_CONTROL");
	assert_string_equal(t_logged()->operation, "OBJECT-CONFIG");
	assert_code(t_get("/mail/k?retention"), 400, "InvalidRequest");
	assert_string_equal(t_xml("Message"), "Bucket is missing Object Lock Configuration");
	assert_code(t_put("/mail/k?legal-hold", "<x/>"), 400, "InvalidRequest");
	assert_code(t_send("POST", "/mail/k?restore", nothing()), 403, "InvalidObjectState");
	assert_string_equal(t_xml("StorageClass"), "STANDARD");
}

static void what_is_archived_cannot_be_read(void **state)
{
	(void)state;

	t_header("x-amz-storage-class", "GLACIER");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_code(t_get("/mail/k"), 403, "InvalidObjectState");
	assert_string_equal(t_xml("StorageClass"), "GLACIER");
	assert_int_equal(t_send("HEAD", "/mail/k", nothing()), 200);
	assert_string_equal(t_reply_header("x-amz-storage-class"), "GLACIER");
	t_header("x-amz-copy-source", "/mail/k");
	assert_code(t_put("/mail/copy", ""), 403, "InvalidObjectState");
	assert_code(t_send("POST", "/mail/k?restore", nothing()), 501, "NotImplemented");
	t_header("x-amz-storage-class", "GLACIER_IR");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k"), 200);
}

/* A condition depends on a write that has come and is not yet applied. */
static void conditions_race_with_writes_under_way(void **state)
{
	(void)state;

	t.fault = (struct sim_fault){ .kind = SIM_FAULT_DELAY, .id = 7, .delay_ns = LAB_SEC };
	assert_int_equal(t_put("/mail/k", "first"), 0);
	t.fault.kind = SIM_FAULT_NONE;
	assert_int_equal(s3emu_counters(t.s3)->faults, 1);
	t_header("If-None-Match", "*");
	assert_code(t_put("/mail/k", "second"), 409, "ConditionalRequestConflict");
	assert_string_equal(t_xml("Condition"), "If-None-Match");
	assert_string_equal(t_xml("Key"), "k");
	assert_false(t_logged()->applied);
	t_header("If-None-Match", "*");
	assert_int_equal(t_put("/mail/other", "x"), 200);
	t_advance(2 * LAB_SEC);
	assert_true(t_stored("k"));
	t_header("If-None-Match", "*");
	assert_code(t_put("/mail/k", "second"), 412, "PreconditionFailed");
	/* One that comes twice does not race with itself. */
	t.fault.kind = SIM_FAULT_DUPLICATE;
	t_header("If-None-Match", "*");
	assert_int_equal(t_put("/mail/new", "x"), 200);
	t.fault.kind = SIM_FAULT_NONE;
	t_advance(2 * LAB_SEC);
	assert_int_equal(t_logged()->status, 412);
	assert_false(t_logged()->applied);
}

static void errors_say_what_was_wrong(void **state)
{
	static const struct {
		const char *method, *target, *header, *value;
		unsigned status;
		const char *code, *detail, *text;
	} rows[] = {
		{ "PUT", "/mail/k", "x-amz-storage-class", "TAPE", 400, "InvalidStorageClass",
			"StorageClassRequested", "TAPE" },
		{ "GET", "/mail/%zz", NULL, NULL, 400, "InvalidURI", "URI", "/mail/%zz" },
		{ "GET", "/mail/k?a=%z", NULL, NULL, 400, "InvalidURI", "URI", "/mail/k?a=%z" },
		{ "OPTIONS", "/mail/k", NULL, NULL, 403, "AccessForbidden", "ResourceType",
			"OBJECT" },
		{ "OPTIONS", "/mail", NULL, NULL, 403, "AccessForbidden", "Method", "OPTIONS" },
		{ "GET", "/mail/k", "x-amz-server-side-encryption-customer-algorithm", "AES256",
			400, "InvalidRequest", "Message",
			"The encryption parameters are not applicable to this object." },
		{ "GET", "/none/k", NULL, NULL, 404, "NoSuchBucket", "BucketName", "none" },
		{ "GET", "/mail/none", NULL, NULL, 404, "NoSuchKey", "Key", "none" },
	};
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t.sign = rows[i].code[0] == 'I' && rows[i].detail[0] == 'U' ? T_UNSIGNED : T_V4;
		if (rows[i].header != NULL)
			t_header(rows[i].header, rows[i].value);
		assert_row(i, t_send(rows[i].method, rows[i].target, nothing()) == rows[i].status);
		assert_string_equal(t_xml("Code"), rows[i].code);
		assert_string_equal(t_xml(rows[i].detail), rows[i].text);
	}
	t.options.region = LAB_VIEW("us-east-1");
	assert_code(t_put("/new", "<CreateBucketConfiguration><LocationConstraint>eu-west-1"
				  "</LocationConstraint></CreateBucketConfiguration>"),
		400, "InvalidLocationConstraint");
	assert_string_equal(t_xml("LocationConstraint"), "eu-west-1");
}

/* ---- tags ---- */

static unsigned put_tags(const char *tags)
{
	return t_put("/mail/k?tagging",
		lab_arena_printf(t.arena, "<Tagging><TagSet>%s</TagSet></Tagging>", tags));
}

#define TAG(key, value) "<Tag><Key>" key "</Key><Value>" value "</Value></Tag>"

static void tags_are_kept(void **state)
{
	(void)state;

	t_header("x-amz-tagging", "a=1&b%20c=%C3%A9&empty=");
	t_header("x-amz-meta-m", "v");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	assert_int_equal(t_get("/mail/k?tagging"), 200);
	assert_string_equal(t_logged()->operation, "GET-TAGGING");
	assert_true(t_body_has(
		"<TagSet>" TAG("a", "1") TAG("b c", "\xc3\xa9") TAG("empty", "") "</TagSet>"));
	assert_int_equal(t_get("/mail/k"), 200);
	assert_string_equal(t_reply_header("x-amz-tagging-count"), "3");
	assert_null(t_reply_header("x-amz-tagging"));
	assert_null(t_reply_header(":tagging"));
	t_advance(10 * LAB_SEC);
	assert_int_equal(put_tags(TAG("new", "+=")), 200);
	assert_string_equal(t_logged()->operation, "PUT-TAGGING");
	assert_true(t_logged()->applied);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_true(t_body_is("x"));
	assert_string_equal(t_reply_header("x-amz-tagging-count"), "1");
	assert_string_equal(t_reply_header("x-amz-meta-m"), "v");
	assert_string_equal(t_reply_header("ETag"), "\"9dd4e461268c8034f5c8564e155c67a6\"");
	assert_string_equal(t_reply_header("Last-Modified"), "Thu, 01 Jan 2026 00:00:00 GMT");
	assert_int_equal(t_delete("/mail/k?tagging"), 204);
	assert_string_equal(t_logged()->operation, "DELETE-TAGGING");
	assert_int_equal(t_get("/mail/k?tagging"), 200);
	assert_true(t_body_has("<TagSet></TagSet>"));
	assert_int_equal(t_get("/mail/k"), 200);
	assert_null(t_reply_header("x-amz-tagging-count"));
	assert_code(t_get("/mail/none?tagging"), 404, "NoSuchKey");
	assert_code(t_delete("/mail/none?tagging"), 404, "NoSuchKey");
}

static void wrong_tags_are_refused(void **state)
{
	static const struct {
		const char *tags;
		const char *code;
	} rows[] = {
		{ TAG("", "1"), "InvalidTag" },
		{ TAG("a*", "1"), "InvalidTag" },
		{ TAG("a", "1*"), "InvalidTag" },
		{ TAG("aws:a", "1"), "InvalidTag" },
		{ TAG("a", "1") TAG("a", "2"), "InvalidTag" },
		{ TAG("1", "") TAG("2", "") TAG("3", "") TAG("4", "") TAG("5", "") TAG("6", "")
				TAG("7", "") TAG("8", "") TAG("9", "") TAG("10", "") TAG("11", ""),
			"BadRequest" },
		{ "<Tag><Key>a</Key></Tag>", "MalformedXML" },
		{ "<Tag><Key>a</Key><Key>a</Key><Value>1</Value></Tag>", "MalformedXML" },
		{ "<Tags/>", "MalformedXML" },
		{ "</TagSet><TagSet>", "MalformedXML" },
	};
	char key[140];
	size_t i;
	(void)state;

	assert_int_equal(t_put("/mail/k", "x"), 200);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, put_tags(rows[i].tags) == 400);
		if (strcmp(t_xml("Code"), rows[i].code) != 0)
			fail_msg("row %zu: %s", i, t_xml("Code"));
	}
	assert_code(t_put("/mail/k?tagging", ""), 400, "MissingRequestBodyError");
	assert_code(t_put("/mail/k?tagging", "<Tagging/>"), 400, "MalformedXML");
	memset(key, 'k', sizeof(key));
	key[128] = '\0';
	assert_int_equal(put_tags(lab_arena_printf(t.arena, TAG("%s", "1"), key)), 200);
	key[128] = 'k';
	key[129] = '\0';
	assert_code(put_tags(lab_arena_printf(t.arena, TAG("%s", "1"), key)), 400, "InvalidTag");
	assert_string_equal(t_xml("TagKey"), key);
	t_header("x-amz-tagging", "a=%zz");
	assert_code(t_put("/mail/k2", "x"), 400, "InvalidArgument");
	t_header("x-amz-tagging", "a=1&a=2");
	assert_code(t_put("/mail/k2", "x"), 400, "InvalidTag");
	t_header("x-amz-tagging", "a&b&c&d&e&f&g&h&i&j&k");
	assert_code(t_put("/mail/k2", "x"), 400, "BadRequest");
	assert_false(t_stored("k2"));
}

static void copies_take_tags_or_replace_them(void **state)
{
	(void)state;

	t_header("x-amz-tagging", "a=1");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	t_header("x-amz-copy-source", "/mail/k");
	t_header("x-amz-tagging", "ignored=1");
	assert_int_equal(t_put("/mail/copy", ""), 200);
	assert_int_equal(t_get("/mail/copy?tagging"), 200);
	assert_true(t_body_has("<TagSet>" TAG("a", "1") "</TagSet>"));
	t_header("x-amz-copy-source", "/mail/k");
	t_header("x-amz-tagging-directive", "REPLACE");
	t_header("x-amz-tagging", "b=2");
	assert_int_equal(t_put("/mail/copy", ""), 200);
	assert_int_equal(t_get("/mail/copy?tagging"), 200);
	assert_true(t_body_has("<TagSet>" TAG("b", "2") "</TagSet>"));
	t_header("x-amz-copy-source", "/mail/k");
	t_header("x-amz-metadata-directive", "REPLACE");
	assert_int_equal(t_put("/mail/k", ""), 200);
	assert_int_equal(t_get("/mail/k?tagging"), 200);
	assert_true(t_body_has("<TagSet>" TAG("a", "1") "</TagSet>"));
}

/* What a copy is stored as is said in the request, not by its source. */
static void copies_have_a_class_of_their_own(void **state)
{
	(void)state;

	t_header("x-amz-storage-class", "STANDARD_IA");
	t_header("x-amz-meta-m", "v");
	assert_int_equal(t_put("/mail/k", "x"), 200);
	t_header("x-amz-copy-source", "/mail/k");
	assert_int_equal(t_put("/mail/copy", ""), 200);
	assert_int_equal(t_get("/mail/copy"), 200);
	assert_null(t_reply_header("x-amz-storage-class"));
	assert_string_equal(t_reply_header("x-amz-meta-m"), "v");
	t_header("x-amz-copy-source", "/mail/k");
	t_header("x-amz-storage-class", "ONEZONE_IA");
	assert_int_equal(t_put("/mail/k", ""), 200);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_string_equal(t_reply_header("x-amz-storage-class"), "ONEZONE_IA");
}

/* ---- attributes ---- */

static void attributes_are_in_one_answer(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "hello"), 200);
	t_header("x-amz-object-attributes", "ETag,ObjectSize");
	t_header("x-amz-object-attributes", " StorageClass , ObjectParts,Checksum");
	assert_int_equal(t_get("/mail/k?attributes"), 200);
	assert_string_equal(t_logged()->operation, "ATTRIBUTES");
	assert_string_equal(t_xml("ETag"), "5d41402abc4b2a76b9719d911017c592");
	assert_string_equal(t_xml("ObjectSize"), "5");
	assert_string_equal(t_xml("StorageClass"), "STANDARD");
	assert_string_equal(t_xml("ChecksumType"), "FULL_OBJECT");
	assert_string_not_equal(t_xml("ChecksumCRC64NVME"), "");
	assert_false(t_body_has("ObjectParts"));
	assert_string_equal(t_reply_header("Last-Modified"), "Thu, 01 Jan 2026 00:00:00 GMT");
	t_header("x-amz-object-attributes", "ETag");
	assert_int_equal(t_get("/mail/k?attributes"), 200);
	assert_false(t_body_has("ObjectSize"));
	t_header("x-amz-object-attributes", "Etag");
	assert_code(t_get("/mail/k?attributes"), 400, "InvalidArgument");
	assert_string_equal(t_xml("ArgumentValue"), "Etag");
	assert_code(t_get("/mail/k?attributes"), 400, "InvalidRequest");
	t_header("x-amz-object-attributes", "ETag");
	assert_code(t_get("/mail/none?attributes"), 404, "NoSuchKey");
	t_header("x-amz-object-attributes", "ETag");
	t_header("If-None-Match", "\"5d41402abc4b2a76b9719d911017c592\"");
	assert_int_equal(t_get("/mail/k?attributes"), 304);
	assert_string_equal(lab_arena_cstr(t.arena, t.reply.response.body), "");
}

static void attributes_list_parts(void **state)
{
	const char *id, *first, *second;
	(void)state;

	t.options.limits.part_bytes_min = 1;
	t_start();
	assert_int_equal(t_send("POST", "/mail/k?uploads", nothing()), 200);
	id = t_xml("UploadId");
	assert_int_equal(
		t_put(lab_arena_printf(t.arena, "/mail/k?partNumber=3&uploadId=%s", id), "abc"),
		200);
	first = t_reply_header("ETag");
	assert_int_equal(
		t_put(lab_arena_printf(t.arena, "/mail/k?partNumber=7&uploadId=%s", id), "de"),
		200);
	second = t_reply_header("ETag");
	assert_int_equal(
		t_send("POST", lab_arena_printf(t.arena, "/mail/k?uploadId=%s", id),
			lab_view_cstr(lab_arena_printf(t.arena,
				"<CompleteMultipartUpload><Part><PartNumber>3</PartNumber><ETag>%s"
				"</ETag></Part><Part><PartNumber>7</PartNumber><ETag>%s</ETag>"
				"</Part></CompleteMultipartUpload>",
				first, second))),
		200);
	t_header("x-amz-object-attributes", "ObjectParts");
	assert_int_equal(t_get("/mail/k?attributes"), 200);
	assert_string_equal(t_xml("PartsCount"), "2");
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_true(t_body_has("<Part><PartNumber>1</PartNumber><Size>3</Size>"));
	assert_true(t_body_has("<Part><PartNumber>2</PartNumber><Size>2</Size>"));
	t_header("x-amz-object-attributes", "ObjectParts");
	t_header("x-amz-max-parts", "1");
	assert_int_equal(t_get("/mail/k?attributes"), 200);
	assert_string_equal(t_xml("IsTruncated"), "true");
	assert_string_equal(t_xml("NextPartNumberMarker"), "1");
	assert_false(t_body_has("<PartNumber>2</PartNumber>"));
	t_header("x-amz-object-attributes", "ObjectParts");
	t_header("x-amz-part-number-marker", "1");
	assert_int_equal(t_get("/mail/k?attributes"), 200);
	assert_false(t_body_has("<PartNumber>1</PartNumber>"));
	assert_true(t_body_has("<PartNumber>2</PartNumber>"));
	t_header("x-amz-object-attributes", "ObjectParts");
	t_header("x-amz-max-parts", "-1");
	assert_code(t_get("/mail/k?attributes"), 400, "InvalidArgument");
}

/* ---- buckets ---- */

static void buckets_are_listed_in_pages(void **state)
{
	const char *token;
	(void)state;

	t_bucket("logs");
	t_bucket("mail-2");
	t_bucket("zebra");
	assert_int_equal(t_get("/"), 200);
	assert_true(t_body_has("<Owner><ID>111111111111</ID></Owner>"));
	assert_false(t_body_has("BucketRegion"));
	assert_false(t_body_has("ContinuationToken"));
	assert_int_equal(t_get("/?max-buckets=2"), 200);
	assert_true(t_body_has("<Name>logs</Name>"));
	assert_true(t_body_has("<Name>mail</Name>"));
	assert_false(t_body_has("<Name>mail-2</Name>"));
	assert_string_equal(t_xml("BucketRegion"), "us-east-1");
	token = t_xml("ContinuationToken");
	assert_int_equal(
		t_get(lab_arena_printf(t.arena, "/?max-buckets=2&continuation-token=%s", token)),
		200);
	assert_false(t_body_has("<Name>mail</Name>"));
	assert_true(t_body_has("<Name>mail-2</Name>"));
	assert_true(t_body_has("<Name>zebra</Name>"));
	assert_false(t_body_has("ContinuationToken"));
	assert_int_equal(t_get("/?prefix=mail"), 200);
	assert_string_equal(t_xml("Prefix"), "mail");
	assert_false(t_body_has("<Name>zebra</Name>"));
	assert_true(t_body_has("<Name>mail-2</Name>"));
	assert_int_equal(t_get("/?bucket-region=eu-west-1"), 200);
	assert_false(t_body_has("<Name>"));
	assert_int_equal(t_get("/?bucket-region=us-east-1"), 200);
	assert_true(t_body_has("<Name>mail</Name>"));
	assert_code(t_get("/?max-buckets=0"), 400, "InvalidArgument");
	assert_code(t_get("/?max-buckets=10001"), 400, "InvalidArgument");
	assert_code(t_get("/?continuation-token=x"), 400, "InvalidArgument");
}

static void the_owner_can_be_said(void **state)
{
	(void)state;

	assert_int_equal(t_put("/own", ""), 200);
	assert_int_equal(t_put("/own/k", "x"), 200);
	t_header("x-amz-expected-bucket-owner", "111111111111");
	assert_int_equal(t_get("/own/k"), 200);
	t_header("x-amz-expected-bucket-owner", "222222222222");
	assert_code(t_get("/own/k"), 403, "AccessDenied");
	t_header("x-amz-copy-source", "/own/k");
	t_header("x-amz-source-expected-bucket-owner", "222222222222");
	assert_code(t_put("/mail/copy", ""), 403, "AccessDenied");
	assert_false(t_stored("copy"));
}

static void buckets_with_what_we_do_not_have_are_refused(void **state)
{
	(void)state;

	t_header("x-amz-object-ownership", "ObjectWriter");
	assert_code(t_put("/new", ""), 501, "NotImplemented");
	assert_string_equal(t_xml("Header"), "x-amz-object-ownership");
	t_header("x-amz-bucket-object-lock-enabled", "true");
	assert_code(t_put("/new", ""), 501, "NotImplemented");
	assert_int_equal(t_send("HEAD", "/new", nothing()), 404);
	t_header("x-amz-object-ownership", "BucketOwnerEnforced");
	t_header("x-amz-bucket-object-lock-enabled", "false");
	assert_int_equal(t_put("/new", ""), 200);
	assert_int_equal(t_send("HEAD", "/new", nothing()), 200);
	assert_string_equal(t_reply_header("x-amz-bucket-region"), "us-east-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(a_bucket_has_its_defaults),
		t_test(what_was_never_configured_has_a_code_of_its_own),
		t_test(nothing_of_it_can_be_changed),
		t_test(two_at_once_conflict),
		t_test(objects_have_theirs),
		t_test(what_is_archived_cannot_be_read),
		t_test(conditions_race_with_writes_under_way),
		t_test(errors_say_what_was_wrong),
		t_test(tags_are_kept),
		t_test(wrong_tags_are_refused),
		t_test(copies_take_tags_or_replace_them),
		t_test(copies_have_a_class_of_their_own),
		t_test(attributes_are_in_one_answer),
		t_test(attributes_list_parts),
		t_test(buckets_are_listed_in_pages),
		t_test(the_owner_can_be_said),
		t_test(buckets_with_what_we_do_not_have_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
