/* SPDX-License-Identifier: Apache-2.0
 *
 * subresource.c - what S3 says of a bucket that was never configured, and of its objects: the
 * configurations that such a bucket has by itself, the code of its own that each missing one has.
 * Changing any of them is NotImplemented (route.c).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define RULE_AES256 \
	"<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>" \
	"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
#define RULE_OWNER "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
#define ALL_BLOCKED \
	"<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>" \
	"<BlockPublicPolicy>true</BlockPublicPolicy>" \
	"<RestrictPublicBuckets>true</RestrictPublicBuckets>"
#define NO_MORE "<IsTruncated>false</IsTruncated>"

/* A bucket made today: encrypted, without ACLs, closed to the public (since 2023). Byte order. */
static const struct config {
	const char *name;
	const char *root, *inner;  /* what is answered; or */
	enum s3emu_error_id error; /* if there is no root */
	bool has_ids;              /* several, by ?id; inner is their list */
} configs[] = {
	{ .name = "accelerate", .root = "AccelerateConfiguration", .inner = "" },
	{ .name = "analytics",
		.root = "ListBucketAnalyticsConfigurationResult",
		.inner = NO_MORE,
		.has_ids = true },
	{ .name = "cors", .error = S3EMU_NO_SUCH_CORS },
	{ .name = "encryption", .root = "ServerSideEncryptionConfiguration", .inner = RULE_AES256 },
	{ .name = "intelligent-tiering",
		.root = "ListBucketIntelligentTieringConfigurationsOutput",
		.inner = NO_MORE,
		.has_ids = true },
	{ .name = "inventory",
		.root = "ListInventoryConfigurationsResult",
		.inner = NO_MORE,
		.has_ids = true },
	{ .name = "lifecycle", .error = S3EMU_NO_SUCH_LIFECYCLE },
	{ .name = "logging", .root = "BucketLoggingStatus", .inner = "" },
	{ .name = "metrics",
		.root = "ListMetricsConfigurationsResult",
		.inner = NO_MORE,
		.has_ids = true },
	{ .name = "notification", .root = "NotificationConfiguration", .inner = "" },
	{ .name = "object-lock", .error = S3EMU_OBJECT_LOCK_NOT_FOUND },
	{ .name = "ownershipControls", .root = "OwnershipControls", .inner = RULE_OWNER },
	{ .name = "policy", .error = S3EMU_NO_SUCH_BUCKET_POLICY },
	{ .name = "policyStatus", .error = S3EMU_NO_SUCH_BUCKET_POLICY },
	{ .name = "publicAccessBlock",
		.root = "PublicAccessBlockConfiguration",
		.inner = ALL_BLOCKED },
	{ .name = "replication", .error = S3EMU_REPLICATION_NOT_FOUND },
	{ .name = "requestPayment",
		.root = "RequestPaymentConfiguration",
		.inner = "<Payer>BucketOwner</Payer>" },
	{ .name = "tagging", .error = S3EMU_NO_SUCH_TAG_SET },
	{ .name = "versioning", .root = "VersioningConfiguration", .inner = "" },
	{ .name = "website", .error = S3EMU_NO_SUCH_WEBSITE },
};

static const struct config *config_find(const char *name)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(configs); i++) {
		if (strcmp(name, configs[i].name) == 0)
			return &configs[i];
	}
	return NULL;
}

bool s3emu_has_config(const char *subresource)
{
	return strcmp(subresource, "acl") == 0 || config_find(subresource) != NULL;
}

static int no_config(struct s3emu_exchange *x, enum s3emu_error_id error)
{
	(void)s3emu_fail(x, error);
	s3emu_detail(x, "BucketName", x->bucket_name);
	return -1;
}

/* Of a bucket and of an object alike: all of it is the owner's. */
static int answer_acl(struct s3emu_exchange *x)
{
	struct lab_view owner = s3emu_list_owner(x);

	s3emu_xml_begin(x, "AccessControlPolicy");
	s3emu_list_account(&x->xml, "Owner", owner);
	lab_buf_append_cstr(&x->xml, "<AccessControlList><Grant><Grantee "
				     "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
				     "xsi:type=\"CanonicalUser\">");
	s3emu_xml_text(x, "ID", owner);
	lab_buf_append_cstr(&x->xml,
		"</Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList>");
	return s3emu_xml_end(x, "AccessControlPolicy");
}

int s3emu_bucket_config(struct s3emu_exchange *x)
{
	const struct config *config;

	if (strcmp(x->subresource, "acl") == 0)
		return answer_acl(x);
	config = config_find(x->subresource);
	if (config->root == NULL)
		return no_config(x, config->error);
	if (config->has_ids && s3emu_param(x, "id") != NULL)
		return no_config(x, S3EMU_NO_SUCH_CONFIGURATION);
	s3emu_xml_begin(x, config->root);
	lab_buf_append_cstr(&x->xml, config->inner);
	return s3emu_xml_end(x, config->root);
}

/* ---- of an object ---- */

/* POST ?restore: only what is archived can be, and we cannot. */
static int restore(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	struct lab_view class = s3emu_object_header(object, "x-amz-storage-class");

	if (s3emu_readable(x, object) < 0)
		return s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
	(void)s3emu_fail_text(x, S3EMU_INVALID_OBJECT_STATE,
		"Restore is not allowed for the object's current storage class");
	s3emu_detail(x, "StorageClass", class.ptr == NULL ? LAB_VIEW("STANDARD") : class);
	return -1;
}

int s3emu_object_config(struct s3emu_exchange *x)
{
	struct s3emu_object *object;
	int ret;

	if (s3emu_version_check(x) < 0)
		return -1;
	if (s3emu_store_get(x->s3, x->bucket, x->key, &object) == 0)
		return s3emu_no_such_key(x, x->key);
	if (strcmp(x->subresource, "acl") == 0)
		ret = answer_acl(x);
	else if (strcmp(x->subresource, "restore") == 0)
		ret = restore(x, object);
	else
		ret = s3emu_fail_text(
			x, S3EMU_INVALID_REQUEST, "Bucket is missing Object Lock Configuration");
	s3emu_object_unref(x->s3, object);
	return ret;
}
