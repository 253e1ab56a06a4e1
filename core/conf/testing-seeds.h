/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-seeds.h - for test-*.c: the configuration examples that this project started from, as
 * they were published.
 */
#ifndef LAB_CONF_TESTING_SEEDS_H
#define LAB_CONF_TESTING_SEEDS_H

#include "core/base/base.h"

static const struct {
	const char *name, *text;
} seeds_examples[] = {
	{ "AWS S3: URL escaping",
		"plugin {\n"
		"obox_fs = s3:https://user:foo%%2fbar@example.com/ # password is foo/bar\n"
		"}\n" },
	{ "AWS S3: bulk delete", "obox_max_parallel_deletes = 1000\n" },
	{ "AWS S3: signature version 4",
		"plugin {\n"
		"obox_index_fs = "
		"aws-s3:https://ACCESSKEY:SECRET@BUCKETNAME.s3.eu-central-1.amazonaws"
		".com/?region=eu-central-1\n"
		"}\n" },
	{ "AWS S3: dictmap, placeholders not filled in",
		"mail_location = obox:%u:INDEX=~/:CONTROL=~/\n"
		"plugin {\n"
		"# BUCKET_NAME: Storage bucket name to use.\n"
		"# REGION: AWS region to use for storage.\n"
		"# S3ACCESS: IAM role to use for storage access.\n"
		"# Examples use data compression with zstd (level 3)\n"
		"# Without lazy_expunge plugin:\n"
		"obox_fs = "
		"fscache:512M:/var/cache/mails/%4Nu:compress:zstd:3:dictmap:proxy:dict-asyn"
		"c:cassandra ; "
		"aws-s3:https://{{BUCKET_NAME}}.s3.{{REGION}}.amazonaws.com/?region={{R"
		"EGION}}&auth_role={{S3ACCESS}}&reason_header_max_length=200 ; "
		"refcounting-table:lock"
		"dir=/tmp:bucket-size=10000:bucket-cache=%h/"
		"buckets.cache:nlinks-limit=3:delete-times"
		"tamp=+10s:bucket-deleted-days=11:storage-objectid-prefix=%u/mails/\n"
		"# With lazy_expunge plugin:\n"
		"#obox_fs = "
		"fscache:2G:/var/cache/mails/%4Nu:compress:zstd:3:dictmap:proxy:dict-async"
		":cassandra ; "
		"aws-s3:https://{{BUCKET_NAME}}.s3.{{REGION}}.amazonaws.com/?region={{RE"
		"GION}}&auth_role={{S3ACCESS}}&reason_header_max_length=200 ; "
		"refcounting-table:bucke"
		"t-size=10000:bucket-cache=%h/"
		"buckets.cache:nlinks-limit=3:delete-timestamp=+10s:buck"
		"et-deleted-days=11:storage-objectid-prefix=%u/mails/\n"
		"obox_index_fs = compress:zstd:3:dictmap:proxy:dict-async:cassandra ; "
		"aws-s3:https://"
		"{{BUCKET_NAME}}.s3.{{REGION}}.amazonaws.com/"
		"?region={{REGION}}&auth_role={{S3ACCESS}"
		"}&reason_header_max_length=200 ; diff-table:storage-passthrough-paths=full\n"
		"fts_dovecot_fs = "
		"fts-cache:fscache:2G:/var/cache/fts/%4Nu:compress:zstd:3:dictmap:pr"
		"oxy:dict-async:cassandra ; "
		"aws-s3:https://{{BUCKET_NAME}}.s3.{{REGION}}.amazonaws.co"
		"m/?region={{REGION}}&auth_role={{S3ACCESS}}&reason_header_max_length=200 ; "
		"dict-pref"
		"ix=%u/fts/:storage-passthrough-paths=full\n"
		"obox_max_parallel_deletes = 1000\n"
		"}\n"
		"# If IAM is used, this configuration is also needed\n"
		"#mail_uid = vmail\n"
		"#service fs-auth {\n"
		"# unix_listener fs-auth {\n"
		"# user = vmail\n"
		"# }\n"
		"#}\n" },
	{ "AWS S3: without IAM",
		"obox_fs = "
		"fscache:512M:/var/cache/mails/%4Nu:compress:zstd:3:dictmap:proxy:dict-asyn"
		"c:cassandra ; "
		"aws-s3:https://{{ACCESSKEY}}:{{SECRET}}@{{BUCKETNAME}}.s3.{{REGION}}.a"
		"mazonaws.com/?region={{REGION}}&reason_header_max_length=200 ; "
		"refcounting-table:loc"
		"kdir=/tmp:bucket-size=10000:bucket-cache=%h/"
		"buckets.cache:nlinks-limit=3:delete-time"
		"stamp=+10s:bucket-deleted-days=11:storage-objectid-prefix=%u/mails/\n" },
	{ "AWS S3: fs-auth", "mail_uid = vmail\n"
			     "service fs-auth {\n"
			     "unix_listener fs-auth {\n"
			     "user = vmail\n"
			     "}\n"
			     "}\n" },
	{ "S3 without dictmap: dispersion prefix",
		"mail_location = obox:%8{md5;format=hex:user}/%u:INDEX=~/:CONTROL=~/\n" },
	{ "S3 without dictmap: URL behind a space",
		"plugin {\n"
		"  obox_fs = fscache:1G:/var/cache/mails:compress:gz:6:s3: "
		"https://ACCESSKEY:SECRET@B"
		"UCKETNAME.s3.amazonaws.com/\n"
		"  obox_index_fs = compress:gz:6:s3: "
		"https://ACCESSKEY:SECRET@BUCKETNAME.s3.amazonaws"
		".com/\n"
		"}\n" },
	{ "S3 without dictmap: path style bucket",
		"plugin {\n"
		"  obox_index_fs = compress:gz:6:s3: "
		"https://ACCESSKEY:SECRET@host/?bucket=BUCKETNAME"
		"&region=eu-central-1\n"
		"}\n" },
	{ "backend: generic", "protocols = imap pop3 smtp sieve\n"
			      "verbose_proctitle = yes\n"
			      "mail_log_prefix = \"%s(%u)<%{session}>: \"\n"
			      "'auth_mechanisms = plain login\n"
			      "service anvil {\n"
			      "unix_listener anvil-auth-penalty {\n"
			      "mode = 0\n"
			      "}\n"
			      "}\n"
			      "auth_cache_size = 100M\n"
			      "login_trusted_networks = 10.0.0.0/24\n"
			      "mail_max_userip_connections = 10\n"
			      "ssl = no\n"
			      "disable_plaintext_auth = no\n" },
	{ "backend: LDAP authentication", "passed {\n"
					  "args = /etc/dovecot/dovecot-ldap.conf.ext\n"
					  "driver = ldap\n"
					  "}\n"
					  "userdb {\n"
					  "driver = prefetch\n"
					  "}\n"
					  "userdb {\n"
					  "args = /etc/dovecot/dovecot-ldap.conf.ext\n"
					  "driver = ldap\n"
					  "}\n" },
	{ "backend: mail location", "mail_home = /var/vmail/%2Mu/%u\n"
				    "mail_uid = email\n"
				    "mail_gid = email\n"
				    "mail_fsync = never\n"
				    "mail_temp_dir = /tmp\n"
				    "mailbox_list_index = yes\n" },
	{ "backend: namespace", "namespace inbox {\n"
				"prefix =\n"
				"separator = /\n"
				"inbox = yes\n"
				"}\n" },
	{ "backend: special folders", "namespace inbox {\n"
				      "mailbox Drafts {\n"
				      "special_use = \\Drafts\n"
				      "auto = create\n"
				      "}\n"
				      "mailbox Junk {\n"
				      "special_use = \\Junk\n"
				      "auto = create }\n"
				      "mailbox Trash {\n"
				      "special_use = \\Trash\n"
				      "auto = create\n"
				      "}\n"
				      "mailbox Sent {\n"
				      "special_use = \\Sent\n"
				      "auto = create\n"
				      "}\n"
				      "}\n" },
	{ "backend: obox",
		"mail_plugins = $mail_plugins box\n"
		"mail_prefetch_count = 10\n"
		"plugin {\n"
		"# Store object IDs to Dovecot indexes (will become default later)\n"
		"obox_use_object_ids = yes\n"
		"# How much disk space metacache can use before old data is cleaned up. # This "
		"should"
		" usually fill up most of the available disk space.\n"
		"metacache_max_space = 200G\n"
		"# Avoid uploading indexes at the cost of more GETs on failures\n"
		"# (will become default later)\n"
		"metacache_delay_uploads = yes\n"
		"# How often to upload modified indexes to object storage? # This is done on "
		"backgrou"
		"nd. Default 5 min.\n"
		"#metacache_upload_interval = 5min\n"
		"# If delayed index uploads are enabled, upload indexes anyway # after this many "
		"mail"
		"s have been saved. Default 10.\n"
		"#obox_max_rescan_mail_count = 10\n"
		"# Override mail_prefetch_count setting for write, copy and delete # operations.\n"
		"#obox_max_parallel_writes = $mail_prefetch_count\n"
		"#obox_max_parallel_copies = $mail_prefetch_count\n"
		"#obox_max_parallel_deletes = $mail_prefetch_count\n"
		"# If user\xe2"
		"\x80"
		"\x99"
		"s index cache was accessed max this many seconds ago, ass"
		"ume # it\xe2"
		"\x80"
		"\x99"
		"s up-to-date and there\xe2"
		"\x80"
		"\x99"
		"s no need to refre"
		"sh them from object storage. # Default 2 seconds.\n"
		"metacache_close_delay = 2s\n"
		"# If activated, when an unexpected 404 is found when retrieving a # message from "
		"obj"
		"ect storage, Dovecot will rescan the mailbox by # listing its objects. If the "
		"404-ob"
		"ject is still listed in this query, # Dovecot issues a HEAD to determine if the "
		"mess"
		"age actually exists. # If this HEAD request returns a 404, the message is dropped "
		"fr"
		"om # the index. The message object is not removed from the object # storage. THIS "
		"SH"
		"OULD NORMALLY NOT BE ACTIVATED.\n"
		"# obox_autofix_storage = no\n"
		"}\n" },
	{ "backend: fscache", "plugin {\n"
			      "obox_fs = fscache:1G:/var/cache/mails:\xe2"
			      "\x80"
			      "\xa6"
			      "\n"
			      "}\n" },
	{ "backend: compress", "plugin {\n"
			       "obox_index_fs = compress:gz:6:\xe2"
			       "\x80"
			       "\xa6"
			       "\n"
			       "}\n" },
	{ "backend: zlib", "# See http://wiki.dovecot.org/Plugins/Zlib\n"
			   "mail_plugins = $mail_plugins lib\n"
			   "plugin {\n"
			   "zlib_save = gz\n"
			   "zlib_save_level = 6\n"
			   "}\n" },
	{ "backend: Amazon S3", "mail_location = obox:%2Mu/%2.3Mu/%u:INDEX=~/:CONTROL=~/\n"
				"plugin {\n"
				"obox_fs = fscache:1G:/var/cache/mails:s3: "
				"https://ACCESSKEY:SECRET@BUCKETNAME.s3.ama"
				"zonaws.com/\n"
				"obox_index_fs = compress:gz:6:s3: "
				"https://ACCESSKEY:SECRET@BUCKETNAME.s3.amazonaws.c"
				"om/\n"
				"}\n" },
	{ "backend: mail_log",
		"mail_plugins = $mail_plugins notify mail_log\n"
		"plugin {\n"
		"mail_log_events = delete undelete expunge copy mailbox_delete mailbox_rename\n"
		"mail_log_fields = uid box msgid size from\n"
		"}\n" },
	{ "backend: quota", "mail_plugins = $mail_plugins quota\n"
			    "protocol map {\n"
			    "mail_plugins = $mail_plugins map_quota\n"
			    "}\n"
			    "plugin {\n"
			    "quota = count:User quota\n"
			    "quota_vsizes = yes\n"
			    "quota_warning = storage=100%% quota-warning 100 %u\n"
			    "quota_warning2 = storage=95%% quota-warning 95 %u\n"
			    "quota_warning3 = -storage=100%% quota-warning below %u\n"
			    "}\n"
			    "service quota-warning {\n"
			    "executable = script /usr/local/bin/quota-warning.sh\n"
			    "user = email\n"
			    "unix_listener quota-warning {\n"
			    "}\n"
			    "}\n" },
	{ "backend: IMAP, POP3", "imap_client_workarounds = tb-extra-mailbox-sep tb-lsub-flags\n"
				 "pop3_no_flag_updates = yes\n"
				 "pop3_client_workarounds = outlook-no-nuls oe-ns-eoh\n"
				 "pop3_uidl_format = %g\n" },
	{ "backend: LMTP", "postmaster_address = postmaster@%d\n"
			   "submission_host = smtp-out.example.com:25\n"
			   "protocol smtp {\n"
			   "mail_plugins = $mail_plugins sieve\n"
			   "}\n" },
};

/* Its page broke two lines in the middle of a header's name: no parser can take that. */
static const char seeds_wrapped[] =
	"mail_location = obox:%2Mu/%2.3Mu/%u:INDEX=~/:CONTROL=~/\n"
	"plugin {\n"
	"obox_fs = fscache:1G:/var/cache/mails:scality:http://scality-url/mails/?addhdr=X-Dov"
	"ecot-\n"
	"Hash:%2Mu/%2.3Mu&bulk_delete=1&bulk_link=1\n"
	"obox_index_fs = compress:gz:6:scality:http://scality-url/mails/?addhdr=X-Dovecot-\n"
	"Hash:%2Mu/%2.3Mu&bulk_delete=1&bulk_link=1\n"
	"# With bulk-delete and bulk-link enabled, these can be large:\n"
	"obox_max_parallel_copies = 100\n"
	"obox_max_parallel_deletes = 100\n"
	"}\n";

/* With the two lines mended. */
static inline void seeds_join_wrapped(char joined[sizeof(seeds_wrapped)])
{
	size_t len = 0;

	for (size_t i = 0; seeds_wrapped[i] != '\0'; i++) {
		if (seeds_wrapped[i] != '\n' || strncmp(seeds_wrapped + i, "\nHash:", 6) != 0)
			joined[len++] = seeds_wrapped[i];
	}
	joined[len] = '\0';
}

#endif
