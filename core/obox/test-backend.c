/* SPDX-License-Identifier: Apache-2.0
 *
 * What the users of a backend share: one dict-async, one fs-auth, whatever they are asked for.
 * Nobody answers here: neither is waited for.
 */
#include "core/aws/credentials.h"
#include "core/dict/test-maps.h"
#include "core/obox/test-support.h"

#define AWS \
	"dictmap:proxy:dict-async:%s ; aws-s3:https://b.s3.eu-central-1.amazonaws.com/?" \
	"region=eu-central-1&auth_role=%s ; storage-objectid-prefix=%%u/mails"

static struct dict_cql_config *config_of(struct lab_arena *arena)
{
	struct conf_section *root;
	struct dict_cql_config *config = NULL;
	struct lab_error err;

	OK(conf_parse_text("dict", LAB_VIEW(TEST_CONNECT TEST_MAPS), NULL, CONF_PARSE_LITERAL,
		arena, NULL, &root, &err));
	OK(dict_cql_from_tree(root, arena, &config, &err));
	return config;
}

struct shared {
	struct rig *rig;
	struct conf_settings conf;
	struct backend_dict dicts[2];
	struct backend_settings settings;
	struct backend *backend;
	size_t heap_used;
};

static void start(struct shared *s, const char *dict, const char *role)
{
	struct lab_error err;

	s->conf = (struct conf_settings){ .fs_auth_request_max_retries = 1,
		.fs_auth_request_timeout_ns = LAB_SEC };
	s->conf.mail_location.text = LAB_VIEW("obox:%u");
	s->conf.obox_fs.text = lab_view_cstr(lab_arena_printf(s->rig->arena, AWS, dict, role));
	s->dicts[0] = (struct backend_dict){ LAB_VIEW("other"), config_of(s->rig->arena) };
	s->dicts[1] = (struct backend_dict){ LAB_VIEW("cassandra"), config_of(s->rig->arena) };
	s->settings = (struct backend_settings){
		.env = s->rig->hosts[0].env, .conf = &s->conf, .dicts = s->dicts, .dict_count = 2
	};
	s->heap_used = lab_heap_used(s->settings.env->heap);
	OK(backend_start(&s->settings, &s->backend, &err));
}

static void stop(struct shared *s)
{
	backend_stop(&s->backend);
	backend_stop(&s->backend);
	env_sleep(s->settings.env, 100 * LAB_SEC);
	assert_int_equal(lab_heap_used(s->settings.env->heap), s->heap_used);
}

RIG_TEST(users_share_a_dict_and_a_role)
{
	struct shared s = { .rig = rig };
	struct fs_services *services;
	struct obox_user *a, *b;
	struct dict *dict;
	struct lab_error err;

	start(&s, "cassandra", "role");
	OK(backend_user_get(s.backend, LAB_VIEW("a"), &a, &err));
	OK(backend_user_get(s.backend, LAB_VIEW("b"), &b, &err));
	services = backend_get_services(s.backend);
	dict = services->dict_open(services->ctx, LAB_VIEW("x"), LAB_VIEW("cassandra"), &err);
	assert_non_null(dict);
	assert_ptr_equal(dict,
		services->dict_open(services->ctx, LAB_VIEW(""), LAB_VIEW("cassandra"), &err));
	assert_ptr_not_equal(
		dict, services->dict_open(services->ctx, LAB_VIEW(""), LAB_VIEW("other"), &err));
	assert_ptr_equal(services->auth_open(services->ctx, LAB_VIEW("h"), LAB_VIEW("role"), &err),
		services->auth_open(services->ctx, LAB_VIEW("h"), LAB_VIEW("role"), &err));
	assert_ptr_not_equal(
		services->auth_open(services->ctx, LAB_VIEW("h"), LAB_VIEW("role"), &err),
		services->auth_open(services->ctx, LAB_VIEW("h"), LAB_VIEW("other"), &err));
	backend_user_release(&a);
	backend_user_release(&b);
	stop(&s);
}

RIG_TEST(a_dict_that_is_not_configured_is_an_error_of_the_user)
{
	struct shared s = { .rig = rig };
	struct obox_user *user;
	struct lab_error err;

	start(&s, "nosuch", "role");
	for (unsigned i = 0; i < 2; i++)
		FAILS(backend_user_open(s.backend, LAB_VIEW("a"), &user, &err), LAB_INVALID);
	SAYS("user a: obox_fs: dictmap: dict \"nosuch\" is not in dict { }");
	stop(&s);
}

RIG_TEST(roles_have_an_end)
{
	struct shared s = { .rig = rig };
	struct fs_services *services;
	struct lab_error err = { .code = LAB_OK };
	unsigned i = 0;
	char role[20];

	start(&s, "cassandra", "role");
	services = backend_get_services(s.backend);
	do {
		snprintf(role, sizeof(role), "role%u", i++);
	} while (services->auth_open(services->ctx, LAB_VIEW("h"), lab_view_cstr(role), &err) !=
		 NULL);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(i, 33);
	stop(&s);
}

/* ---- fs_auth_cache_dict ---- */

static void expect_auth(struct rig *rig, const char *dict, unsigned version, const char *message)
{
	struct shared s = { .rig = rig };
	struct fs_services *services;
	struct dict_cql_config *config;
	struct lab_error err;
	void *source;

	start(&s, "cassandra", "role");
	s.conf.fs_auth_cache_dict.text = lab_view_cstr(dict);
	config = config_of(rig->arena);
	config->connect.protocol_version = version;
	s.dicts[0].config = config;
	services = backend_get_services(s.backend);
	source = services->auth_open(services->ctx, LAB_VIEW("h"), LAB_VIEW("role"), &err);
	assert_true((source != NULL) == (message == NULL));
	if (message != NULL) {
		assert_int_equal(err.code, LAB_INVALID);
		SAYS(message);
	}
	stop(&s);
}

RIG_TEST(the_cache_of_fs_auth_is_a_dict_behind_dict_async)
{
	expect_auth(rig, "proxy:dict-async:other", 0, NULL);
	expect_auth(rig, "proxy:dict-async:other", 4, NULL);
	expect_auth(rig, "proxy:dict-async:nosuch", 0,
		"fs_auth_cache_dict: dict \"nosuch\" is not in dict { }");
	expect_auth(rig, "redis:host=x", 0, "fs_auth_cache_dict: ");
	expect_auth(rig, "proxy:dict-async:other", 3,
		"fs_auth_cache_dict: dict \"other\" has version=3");
}

/* Nobody answers for IMDS here. */
NODE_TEST(credentials_of_others_come_from_the_dict)
{
	struct fs_services *services = backend_get_services(node->backend);
	struct aws_credentials found;
	struct lab_error err;

	node->conf.fs_auth_cache_dict.text = LAB_VIEW("proxy:dict-async:cassandra");
	rig_set_row(node->rig, "shared/fs-auth/h:80/a\\|b",
		"{\"Code\":\"Success\",\"AccessKeyId\":\"SHARED\",\"SecretAccessKey\":\"S\","
		"\"Expiration\":\"2099-01-01T00:00:00Z\"}");
	OK(aws_credentials_get(
		services->auth_open(node->backend, LAB_VIEW("h:80"), LAB_VIEW("a/b"), &err),
		node->rig->arena, &found, &err));
	assert_view(found.access_key_id, "SHARED");
	FAILS(aws_credentials_get(
		      services->auth_open(node->backend, LAB_VIEW("h:80"), LAB_VIEW("c"), &err),
		      node->rig->arena, &found, &err),
		LAB_UNAVAILABLE);
	assert_int_equal(node->rig->counts.events[LAB_EV_log_message], 0);
}

/* It is told, and IMDS is asked. */
NODE_TEST(a_dict_that_fails_is_told_without_secrets)
{
	struct fs_services *services = backend_get_services(node->backend);
	unsigned lookups = node->rig->counts.events[LAB_EV_fs_auth_request_finished];
	struct aws_credentials found;
	struct lab_error err;

	node->conf.fs_auth_cache_dict.text = LAB_VIEW("proxy:dict-async:cassandra");
	rig_set_row(node->rig, "shared/fs-auth/h:80/a", "SECRET");
	node->rig->only = "shared/fs-auth/";
	rig_fail_at(node->rig, 1, RIG_FAIL);
	FAILS(aws_credentials_get(
		      services->auth_open(node->backend, LAB_VIEW("h:80"), LAB_VIEW("a"), &err),
		      node->rig->arena, &found, &err),
		LAB_UNAVAILABLE);
	assert_true(node->rig->fired);
	assert_int_equal(node->rig->counts.events[LAB_EV_log_message], 1);
	assert_int_equal(node->rig->counts.events[LAB_EV_fs_auth_request_finished], lookups + 1);
	assert_null(strstr(node->rig->last_event, "SECRET"));
}

RIG_TEST(without_anybody_to_answer_a_save_fails_for_certain)
{
	struct shared s = { .rig = rig };
	struct obox_mailbox *box;
	struct obox_user *user;
	struct lab_error err;

	start(&s, "cassandra", "role");
	OK(backend_user_get(s.backend, LAB_VIEW("a"), &user, &err));
	assert_true(obox_mailbox_open(user, LAB_VIEW("INBOX"), &box, &err) < 0);
	assert_int_not_equal(err.code, LAB_UNCERTAIN);
	backend_user_release(&user);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(users_share_a_dict_and_a_role),
		RIG_UNIT_TEST(a_dict_that_is_not_configured_is_an_error_of_the_user),
		RIG_UNIT_TEST(roles_have_an_end),
		RIG_UNIT_TEST(the_cache_of_fs_auth_is_a_dict_behind_dict_async),
		RIG_UNIT_TEST(credentials_of_others_come_from_the_dict),
		RIG_UNIT_TEST(a_dict_that_fails_is_told_without_secrets),
		RIG_UNIT_TEST(without_anybody_to_answer_a_save_fails_for_certain),
	};

	return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}
