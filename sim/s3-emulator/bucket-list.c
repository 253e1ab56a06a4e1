/* SPDX-License-Identifier: Apache-2.0
 *
 * bucket-list.c - GET of the service: an account's buckets, at once or in pages.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define PAGE_MAX 10000

struct buckets {
	struct s3emu_exchange *x;
	struct lab_view prefix, region, marker;
	bool has_prefix, has_region, has_max, has_token;
	uint64_t max, count;
	struct lab_view last;
	bool truncated;
};

static int parse(struct buckets *buckets)
{
	struct s3emu_exchange *x = buckets->x;
	struct lab_view text;

	buckets->has_prefix = s3emu_list_take(x, "prefix", &buckets->prefix);
	buckets->has_region = s3emu_list_take(x, "bucket-region", &buckets->region);
	buckets->has_max = s3emu_list_take(x, "max-buckets", &text);
	buckets->max = UINT64_MAX;
	if (buckets->has_max && (lab_view_to_u64(text, &buckets->max) < 0 || buckets->max == 0 ||
					buckets->max > PAGE_MAX)) {
		return s3emu_fail_argument(x, "max-buckets", text,
			"Argument max-buckets must be an integer between 1 and 10000");
	}
	buckets->has_token = s3emu_param(x, "continuation-token") != NULL;
	return s3emu_token_parse(x, &buckets->marker);
}

static bool is_listed(const struct buckets *buckets, const struct s3emu_bucket *bucket)
{
	const struct s3emu_exchange *x = buckets->x;

	if (buckets->has_region && !lab_view_eq(buckets->region, x->s3->options.region))
		return false;
	return s3emu_may_use(x, bucket) && lab_view_starts_with(bucket->name, buckets->prefix) &&
	       (!buckets->has_token || lab_view_cmp(bucket->name, buckets->marker) > 0);
}

static void append_bucket(const struct buckets *buckets, const struct s3emu_bucket *bucket)
{
	struct s3emu_exchange *x = buckets->x;

	lab_buf_append_cstr(&x->xml, "<Bucket>");
	s3emu_xml_text(x, "Name", bucket->name);
	s3emu_xml_time(x, "CreationDate", bucket->created_us);
	if (buckets->has_prefix || buckets->has_region || buckets->has_max || buckets->has_token)
		s3emu_xml_text(x, "BucketRegion", x->s3->options.region);
	lab_buf_append_cstr(&x->xml, "</Bucket>");
}

static void append_buckets(struct buckets *buckets)
{
	struct lab_tree_iter iter = lab_tree_iterate(buckets->x->s3->buckets, buckets->marker);
	struct lab_view name;
	void *value;

	while (!buckets->truncated && lab_tree_next(&iter, &name, &value)) {
		const struct s3emu_bucket *bucket = value;

		if (!is_listed(buckets, bucket))
			continue;
		if (buckets->count == buckets->max) {
			buckets->truncated = true;
		} else {
			buckets->count++;
			buckets->last = name;
			append_bucket(buckets, bucket);
		}
	}
}

int s3emu_list_buckets(struct s3emu_exchange *x)
{
	struct buckets buckets = { .x = x };

	if (parse(&buckets) < 0)
		return -1;
	s3emu_xml_begin(x, "ListAllMyBucketsResult");
	s3emu_list_account(&x->xml, "Owner", x->account);
	lab_buf_append_cstr(&x->xml, "<Buckets>");
	append_buckets(&buckets);
	lab_buf_append_cstr(&x->xml, "</Buckets>");
	if (buckets.truncated)
		s3emu_token_append(x, "ContinuationToken", buckets.last);
	if (buckets.has_prefix)
		s3emu_xml_text(x, "Prefix", buckets.prefix);
	return s3emu_xml_end(x, "ListAllMyBucketsResult");
}
