/* SPDX-License-Identifier: Apache-2.0
 *
 * test-maps.h - for tests and fuzzers: the documented maps, in their mandatory order (obox 3.4).
 */
#ifndef LAB_DICT_TEST_MAPS_H
#define LAB_DICT_TEST_MAPS_H

#define TEST_CONNECT \
	"connect = host=127.0.0.1 host=127.0.0.2 keyspace=mails write_consistency=each-quorum " \
	"write_fallback_consistency=local-quorum num_threads=2 page_size=1000 " \
	"request_timeout=60s\n"

#define TEST_MAP(pattern, table, field, type, fields) \
	"map {\n pattern = shared/" pattern "\n table = " table "\n value_field = " field \
	"\n value_type = " type "\n fields {\n" fields " }\n}\n"
#define U "  u = $user\n"
#define G "  g = ${hexblob:mailbox_guid}\n"
#define N "  n = $object_name\n"
#define NX "  n = ${hexblob:object_name}\n"
#define IX "  i = ${hexblob:object_id}\n"
#define H "  h = $host\n"

#define TEST_MAPS \
	TEST_MAP("dictmap/$user/idx/$object_name", "user_index_objects", "i", "hexblob", U N) \
	TEST_MAP("dictmap/$user/mailboxes/$mailbox_guid/idx/$object_name", \
		"user_mailbox_index_objects", "i", "hexblob", U G N) \
	TEST_MAP("dictmap/$user/mailboxes/$mailbox_guid/$bucket/$object_name", \
		"user_mailbox_objects", "i", "hexblob", U G "  b = ${uint:bucket}\n" NX) \
	TEST_MAP("dictmap/$user/mailboxes/$mailbox_guid/max_bucket", "user_mailbox_buckets", \
		"b,writetime(b)", "uint,uint", U G) \
	TEST_MAP("dictmap/$user/fts/$object_name", "user_fts_objects", "i", "hexblob", U N) \
	TEST_MAP("dictdiffmap/$user/idx/$host", "user_index_diff_objects", "m,writetime(m)", \
		"string,string", U H) \
	TEST_MAP("dictdiffmap/$user/mailboxes/$mailbox_guid/idx/$host", \
		"user_mailbox_index_diff_objects", "m,writetime(m)", "string,string", U G H) \
	TEST_MAP("dictmap/$user/mailboxes/$mailbox_guid", "user_mailbox_index_diff_objects", "m", \
		"string", U G) \
	TEST_MAP("dictrevmap/$user/mailboxes/$mailbox_guid/$object_id", \
		"user_mailbox_objects_reverse", "n", "hexblob", U G IX) \
	TEST_MAP("dictrevmap/$object_id/$object_name", "user_mailbox_objects_reverse", "g", \
		"hexblob", IX NX) \
	TEST_MAP("dictrevmap/$object_id", "user_mailbox_objects_reverse", "u,g,n", \
		"string,hexblob,hexblob", IX)

#endif
