/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/dict-cql.h"

#include "core/conf/conf-private.h"
#include "core/conf/conf-value.h"

static const char *const type_names[] = { "string", "int", "uint", "hexblob" };

const char *dict_cql_type_name(enum dict_cql_type type)
{
	return type_names[type];
}

static bool type_parse(struct lab_view name, enum dict_cql_type *ret)
{
	for (size_t i = 0; i < LAB_COUNT_OF(type_names); i++) {
		if (lab_view_eq_cstr(name, type_names[i])) {
			*ret = (enum dict_cql_type)i;
			return true;
		}
	}
	return false;
}

static const char *const consistency_names[] = { "any", "one", "two", "three", "quorum", "all",
	"local-quorum", "each-quorum", "serial", "local-serial", "local-one" };

const char *dict_cql_consistency_name(enum dict_cql_consistency consistency)
{
	return consistency_names[consistency];
}

int dict_cql_consistency_parse(struct lab_view name, enum dict_cql_consistency *ret)
{
	for (size_t i = 0; i < LAB_COUNT_OF(consistency_names); i++) {
		if (lab_view_eq_cstr(name, consistency_names[i])) {
			*ret = (enum dict_cql_consistency)i;
			return 0;
		}
	}
	return -1;
}

/* ---- connect ---- */

enum option_type {
	OPTION_TEXT,
	OPTION_HOST,
	OPTION_PORT,
	OPTION_UINT,
	OPTION_BOOL,
	OPTION_SECONDS,
	OPTION_MSECS,
	OPTION_CONSISTENCY,
	OPTION_VERSION,
	OPTION_LOG_LEVEL,
	OPTION_SSL,
	OPTION_SSL_VERIFY,
	OPTION_VERSION_OR_0,
	OPTION_SSL_24
};
#define FIELD(name) offsetof(struct dict_cql_connect, name)
static const struct option {
	const char *name;
	enum option_type type;
	size_t offset;
} options[] = {
	{ "host", OPTION_HOST, 0 },
	{ "port", OPTION_PORT, 0 },
	{ "keyspace", OPTION_TEXT, FIELD(keyspace) },
	{ "dbname", OPTION_TEXT, FIELD(keyspace) },
	{ "user", OPTION_TEXT, FIELD(user) },
	{ "password", OPTION_TEXT, FIELD(password) },
	{ "read_consistency", OPTION_CONSISTENCY, FIELD(read_consistency) },
	{ "write_consistency", OPTION_CONSISTENCY, FIELD(write_consistency) },
	{ "delete_consistency", OPTION_CONSISTENCY, FIELD(delete_consistency) },
	{ "read_fallback_consistency", OPTION_CONSISTENCY, FIELD(read_fallback_consistency) },
	{ "write_fallback_consistency", OPTION_CONSISTENCY, FIELD(write_fallback_consistency) },
	{ "delete_fallback_consistency", OPTION_CONSISTENCY, FIELD(delete_fallback_consistency) },
	{ "log_level", OPTION_LOG_LEVEL, FIELD(log_level) },
	{ "debug_queries", OPTION_BOOL, FIELD(debug_queries) },
	{ "latency_aware_routing", OPTION_BOOL, FIELD(latency_aware_routing) },
	{ "version", OPTION_VERSION, FIELD(protocol_version) },
	{ "num_threads", OPTION_UINT, FIELD(num_threads) },
	{ "heartbeat_interval", OPTION_SECONDS, FIELD(heartbeat_interval_ns) },
	{ "idle_timeout", OPTION_SECONDS, FIELD(idle_timeout_ns) },
	{ "connect_timeout", OPTION_MSECS, FIELD(connect_timeout_ns) },
	{ "request_timeout", OPTION_MSECS, FIELD(request_timeout_ns) },
	{ "warn_timeout", OPTION_MSECS, FIELD(warn_timeout_ns) },
	{ "metrics", OPTION_TEXT, FIELD(metrics) },
	{ "execution_retry_interval", OPTION_MSECS, FIELD(execution_retry_interval_ns) },
	{ "execution_retry_times", OPTION_UINT, FIELD(execution_retry_times) },
	{ "page_size", OPTION_UINT, FIELD(page_size) },
	{ "ssl_ca", OPTION_SSL, FIELD(ssl_ca) },
	{ "ssl_cert_file", OPTION_SSL, FIELD(ssl_cert_file) },
	{ "ssl_private_key_file", OPTION_SSL, FIELD(ssl_private_key_file) },
	{ "ssl_private_key_password", OPTION_SSL, FIELD(ssl_private_key_password) },
	{ "ssl_verify", OPTION_SSL_VERIFY, 0 },
};

static const char *option_name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return i < LAB_COUNT_OF(options) ? options[i].name : NULL;
}

static int set_host(struct dict_cql_connect *made, struct lab_view value, struct lab_error *err)
{
	if (value.len == 0)
		return lab_fail(err, LAB_INVALID, "the host is empty");
	if (made->host_count == DICT_CQL_HOSTS_MAX)
		return lab_fail(err, LAB_LIMIT, "there are more than %u hosts",
			(unsigned)DICT_CQL_HOSTS_MAX);
	made->hosts[made->host_count++] = value;
	return 0;
}

static int set_consistency(void *field, struct lab_view value, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	enum dict_cql_consistency consistency;

	if (dict_cql_consistency_parse(value, &consistency) < 0)
		return lab_fail(err, LAB_INVALID, "Unknown consistency: %s%s",
			conf_show(value, shown),
			conf_hint(conf_suggest_of(value, consistency_names,
					  LAB_COUNT_OF(consistency_names)),
				hint));
	memcpy(field, &consistency, sizeof(consistency));
	return 0;
}

static int set_number(enum option_type type, struct dict_cql_connect *made, void *field,
	struct lab_view value, struct lab_error *err)
{
	uint64_t max = type == OPTION_PORT                                     ? 65535
		       : type == OPTION_VERSION || type == OPTION_VERSION_OR_0 ? 5
									       : INT32_MAX;
	uint64_t number;

	if (conf_value_uint(value, max, &number, err) < 0)
		return -1;
	if (number == 0 && (type == OPTION_PORT || type == OPTION_VERSION))
		return lab_fail(err, LAB_INVALID, "it must not be 0");
	if (type == OPTION_PORT)
		made->port = (uint16_t)number;
	else
		memcpy(field, &(unsigned){ (unsigned)number }, sizeof(unsigned));
	return 0;
}

static int set_time(
	enum option_type type, void *field, struct lab_view value, struct lab_error *err)
{
	uint64_t ns;

	if (conf_value_time(value, type == OPTION_SECONDS ? LAB_SEC : LAB_MSEC, &ns, err) < 0)
		return -1;
	memcpy(field, &ns, sizeof(ns));
	return 0;
}

static int set_word(enum option_type type, struct dict_cql_connect *made, struct lab_view value,
	struct lab_error *err)
{
	static const char *const levels[] = { "critical", "error", "warn", "info", "debug",
		"trace" };
	static const char *const verify[] = { "none", "cert", "cert-ip", "cert-dns" };
	size_t word;

	if (type == OPTION_LOG_LEVEL) {
		made->log_level = value;
		return conf_value_word(value, levels, LAB_COUNT_OF(levels), &word, err);
	}
	if (conf_value_word(value, verify, LAB_COUNT_OF(verify), &word, err) < 0)
		return -1;
	made->ssl_verify = (enum dict_cql_ssl_verify)(word + 1);
	made->use_tls = true;
	return 0;
}

static int set_ssl_24(struct dict_cql_connect *made, struct lab_view value, struct lab_error *err)
{
	static const char *const words[] = { "no", "cert-only", "cert-ip" };
	static const enum dict_cql_ssl_verify verify[] = { DICT_CQL_SSL_VERIFY_UNSET,
		DICT_CQL_SSL_VERIFY_CERT, DICT_CQL_SSL_VERIFY_CERT_IP };
	size_t word;

	if (conf_value_word(value, words, LAB_COUNT_OF(words), &word, err) < 0)
		return -1;
	made->use_tls = word > 0;
	made->ssl_verify = verify[word];
	return 0;
}

static int set_option(struct dict_cql_connect *made, const struct option *option,
	struct lab_view value, struct lab_error *err)
{
	uint8_t *field = (uint8_t *)made + option->offset;
	bool flag;

	switch (option->type) {
	case OPTION_HOST:
		return set_host(made, value, err);
	case OPTION_SSL:
		made->use_tls = true;
		memcpy(field, &value, sizeof(value));
		return 0;
	case OPTION_TEXT:
		memcpy(field, &value, sizeof(value));
		return 0;
	case OPTION_PORT:
	case OPTION_UINT:
	case OPTION_VERSION:
	case OPTION_VERSION_OR_0:
		return set_number(option->type, made, field, value, err);
	case OPTION_BOOL:
		if (conf_value_bool(value, &flag, err) < 0)
			return -1;
		memcpy(field, &flag, sizeof(flag));
		return 0;
	case OPTION_SECONDS:
	case OPTION_MSECS:
		return set_time(option->type, field, value, err);
	case OPTION_CONSISTENCY:
		return set_consistency(field, value, err);
	case OPTION_LOG_LEVEL:
	case OPTION_SSL_VERIFY:
		return set_word(option->type, made, value, err);
	case OPTION_SSL_24:
		return set_ssl_24(made, value, err);
	}
	lab_bug("unknown type of option");
}

static int connect_word(struct dict_cql_connect *made, struct lab_view word, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];
	struct lab_view value = word, name;
	size_t i = 0;

	lab_view_split(&value, '=', &name);
	if (value.ptr == NULL)
		return lab_fail(err, LAB_INVALID, "Missing value in connect string: %s",
			conf_show(word, shown));
	while (i < LAB_COUNT_OF(options) && !lab_view_eq_cstr(name, options[i].name))
		i++;
	if (i == LAB_COUNT_OF(options))
		return lab_fail(err, LAB_INVALID, "Unknown connect string: %s%s",
			conf_show(name, shown),
			conf_hint(conf_suggest(name, option_name_at, NULL), hint));
	if (set_option(made, &options[i], value, err) < 0)
		return lab_error_wrap(err, "connect string %s", options[i].name);
	return 0;
}

#define UNSET ((enum dict_cql_consistency)99)

static void connect_inherit(struct dict_cql_connect *made)
{
	if (made->read_fallback_consistency == UNSET)
		made->read_fallback_consistency = made->read_consistency;
	if (made->write_fallback_consistency == UNSET)
		made->write_fallback_consistency = made->write_consistency;
	if (made->delete_fallback_consistency == UNSET)
		made->delete_fallback_consistency = made->delete_consistency;
}

static const struct dict_cql_connect connect_defaults = { .port = 9042,
	.read_consistency = DICT_CQL_LOCAL_QUORUM,
	.write_consistency = DICT_CQL_LOCAL_QUORUM,
	.delete_consistency = DICT_CQL_LOCAL_QUORUM,
	.read_fallback_consistency = UNSET,
	.write_fallback_consistency = UNSET,
	.delete_fallback_consistency = UNSET,
	.log_level = { (const uint8_t *)"warn", 4 },
	.heartbeat_interval_ns = 30 * LAB_SEC,
	.idle_timeout_ns = 60 * LAB_SEC,
	.connect_timeout_ns = 5 * LAB_SEC,
	.request_timeout_ns = 60 * LAB_SEC,
	.warn_timeout_ns = 5 * LAB_SEC };

int dict_cql_connect_parse(
	struct lab_view text, struct dict_cql_connect *ret, struct lab_error *err)
{
	struct dict_cql_connect made = connect_defaults;
	struct lab_view word;

	while (conf_value_next_word(&text, &word)) {
		if (connect_word(&made, word, err) < 0)
			return -1;
	}
	if (made.host_count == 0)
		return lab_fail(err, LAB_INVALID, "No hosts given in connect string");
	if (made.keyspace.len == 0)
		return lab_fail(err, LAB_INVALID, "No dbname given in connect string");
	connect_inherit(&made);
	*ret = made;
	return 0;
}

/* ---- the settings of core 2.4 and Pro 3 in place of the connect string ---- */

static const struct option settings_24[] = {
	{ "cassandra_hosts", OPTION_HOST, 0 },
	{ "cassandra_port", OPTION_PORT, 0 },
	{ "cassandra_keyspace", OPTION_TEXT, FIELD(keyspace) },
	{ "cassandra_user", OPTION_TEXT, FIELD(user) },
	{ "cassandra_password", OPTION_TEXT, FIELD(password) },
	{ "cassandra_read_consistency", OPTION_CONSISTENCY, FIELD(read_consistency) },
	{ "cassandra_write_consistency", OPTION_CONSISTENCY, FIELD(write_consistency) },
	{ "cassandra_delete_consistency", OPTION_CONSISTENCY, FIELD(delete_consistency) },
	{ "cassandra_read_fallback_consistency", OPTION_CONSISTENCY,
		FIELD(read_fallback_consistency) },
	{ "cassandra_write_fallback_consistency", OPTION_CONSISTENCY,
		FIELD(write_fallback_consistency) },
	{ "cassandra_delete_fallback_consistency", OPTION_CONSISTENCY,
		FIELD(delete_fallback_consistency) },
	{ "cassandra_connect_timeout", OPTION_MSECS, FIELD(connect_timeout_ns) },
	{ "cassandra_request_timeout", OPTION_MSECS, FIELD(request_timeout_ns) },
	{ "cassandra_warn_timeout", OPTION_MSECS, FIELD(warn_timeout_ns) },
	{ "cassandra_protocol_version", OPTION_VERSION_OR_0, FIELD(protocol_version) },
	{ "cassandra_io_thread_count", OPTION_UINT, FIELD(num_threads) },
	{ "cassandra_heartbeat_interval", OPTION_SECONDS, FIELD(heartbeat_interval_ns) },
	{ "cassandra_idle_timeout", OPTION_SECONDS, FIELD(idle_timeout_ns) },
	{ "cassandra_execution_retry_interval", OPTION_MSECS, FIELD(execution_retry_interval_ns) },
	{ "cassandra_execution_retry_times", OPTION_UINT, FIELD(execution_retry_times) },
	{ "cassandra_page_size", OPTION_UINT, FIELD(page_size) },
	{ "cassandra_latency_aware_routing", OPTION_BOOL, FIELD(latency_aware_routing) },
	{ "cassandra_log_level", OPTION_LOG_LEVEL, FIELD(log_level) },
	{ "cassandra_debug_queries", OPTION_BOOL, FIELD(debug_queries) },
	{ "cassandra_log_retries", OPTION_BOOL, FIELD(log_retries) },
	{ "cassandra_metrics_path", OPTION_TEXT, FIELD(metrics) },
	{ "cassandra_ssl", OPTION_SSL_24, 0 },
	{ "ssl_client_ca_file", OPTION_TEXT, FIELD(ssl_ca) },
	{ "ssl_client_cert_file", OPTION_TEXT, FIELD(ssl_cert_file) },
	{ "ssl_client_key_file", OPTION_TEXT, FIELD(ssl_private_key_file) },
	{ "ssl_client_key_password", OPTION_TEXT, FIELD(ssl_private_key_password) },
	{ "cassandra_discover_peers", OPTION_BOOL, FIELD(discover_peers) },
};

/* NULL if there is none of that name. */
static const struct option *setting_24(struct lab_view name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(settings_24); i++) {
		if (lab_view_eq_cstr(name, settings_24[i].name))
			return &settings_24[i];
	}
	return NULL;
}

static int set_24(struct dict_cql_connect *made, const struct option *option, struct lab_view value,
	struct lab_error *err)
{
	enum dict_cql_consistency unused;
	char shown[CONF_SHOW_MAX + 4];
	struct lab_view host;

	if (option->type == OPTION_CONSISTENCY && dict_cql_consistency_parse(value, &unused) < 0)
		return lab_fail(
			err, LAB_INVALID, "Unknown %s: %s", option->name, conf_show(value, shown));
	if (option->type != OPTION_HOST)
		return set_option(made, option, value, err) < 0
			       ? lab_error_wrap(err, "%s", option->name)
			       : 0;
	while (conf_value_next_word(&value, &host)) {
		if (set_host(made, host, err) < 0)
			return -1;
	}
	return 0;
}

static int connect_from_settings(
	const struct conf_section *root, struct dict_cql_connect *ret, struct lab_error *err)
{
	struct dict_cql_connect made = connect_defaults;
	struct lab_error why;

	for (const struct conf_setting *s = root->settings; s != NULL; s = s->next) {
		const struct option *option = setting_24(s->name);
		if (option != NULL && set_24(&made, option, s->value, &why) < 0)
			return conf_fail(err, s->value_where, "%s", why.message);
	}
	if (made.host_count == 0)
		return conf_fail(err, root->where, "cassandra_hosts is empty");
	if (made.keyspace.len == 0)
		return conf_fail(err, root->where, "cassandra_keyspace is empty");
	connect_inherit(&made);
	*ret = made;
	return 0;
}

/* ---- maps ---- */

static const char *const map_settings[] = { "pattern", "table", "username_field", "value_field",
	"value_type", "value_hexblob", "expire_field" };

/* The fields as they are written; the map has them in the order of the pattern. */
struct map_fields {
	struct dict_cql_field items[DICT_CQL_FIELDS_MAX];
	struct conf_where where[DICT_CQL_FIELDS_MAX];
	bool used[DICT_CQL_FIELDS_MAX];
	size_t count;
};

static int field_parse(
	const struct conf_setting *setting, struct dict_cql_field *ret, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	struct lab_view value = setting->value, type;

	if (value.len == 0 || value.ptr[0] != '$')
		return conf_fail(err, setting->value_where, "Value is missing '$' for field: %s",
			conf_show(setting->name, shown));
	*ret = (struct dict_cql_field){ setting->name, lab_view_skip(value, 1), DICT_CQL_STRING };
	if (value.len > 1 && value.ptr[1] == '{') {
		if (value.ptr[value.len - 1] != '}')
			return conf_fail(err, setting->value_where,
				"Value is missing '}' for field: %s",
				conf_show(setting->name, shown));
		value = lab_view_sub(value, 2, value.len - 3);
		ret->variable = value;
		lab_view_split(&value, ':', &type);
		if (value.ptr != NULL) {
			ret->variable = value;
			if (!type_parse(type, &ret->type))
				return conf_fail(err, setting->value_where,
					"Unknown type '%s' of a field (string, int, uint, hexblob)",
					conf_show(type, shown));
		}
	}
	if (ret->variable.len == 0)
		return conf_fail(err, setting->value_where, "the variable's name is missing");
	return 0;
}

static int fields_read(
	const struct conf_section *section, struct map_fields *fields, struct lab_error *err)
{
	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
		if (fields->count == DICT_CQL_FIELDS_MAX)
			return conf_fail(err, s->where, "a map has more than %u fields",
				(unsigned)DICT_CQL_FIELDS_MAX);
		fields->where[fields->count] = s->where;
		if (field_parse(s, &fields->items[fields->count], err) < 0)
			return -1;
		fields->count++;
	}
	if (section->children != NULL)
		return conf_fail(err, section->children->where, "Unknown section: %.*s",
			LAB_VIEW_ARG(section->children->name));
	return 0;
}

static int part_add(struct dict_cql_map *map, struct dict_cql_part part, struct conf_where where,
	struct lab_error *err)
{
	if (!part.is_variable && part.literal.len == 0)
		return 0;
	if (map->part_count == DICT_CQL_PARTS_MAX)
		return conf_fail(err, where, "the pattern has more than %u parts",
			(unsigned)DICT_CQL_PARTS_MAX);
	map->parts[map->part_count++] = part;
	return 0;
}

/* The name of a variable at the front of *rest, behind the '$': "name" or "{name}". */
static struct lab_view take_variable(struct lab_view *rest)
{
	struct lab_view name = *rest;
	size_t len = 0;

	if (rest->len > 0 && rest->ptr[0] == '{') {
		size_t end = lab_view_find_byte(*rest, '}');
		name = lab_view_sub(*rest, 1, end == SIZE_MAX ? SIZE_MAX : end - 1);
		*rest = lab_view_skip(*rest, end == SIZE_MAX ? SIZE_MAX : end + 1);
		return name;
	}
	while (len < rest->len && conf_is_name_byte(rest->ptr[len]) && rest->ptr[len] != '-')
		len++;
	name.len = len;
	*rest = lab_view_skip(*rest, len);
	return name;
}

static int pattern_variable(struct dict_cql_map *map, struct map_fields *fields,
	struct lab_view name, struct conf_where where, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	size_t i = 0;

	while (i < fields->count &&
		(fields->used[i] || !lab_view_eq(fields->items[i].variable, name)))
		i++;
	if (i == fields->count)
		return conf_fail(
			err, where, "Missing SQL field for variable: %s", conf_show(name, shown));
	fields->used[i] = true;
	map->fields[map->field_count] = fields->items[i];
	return part_add(map,
		(struct dict_cql_part){ .is_variable = true, .field = map->field_count++ }, where,
		err);
}

static int pattern_parse(struct dict_cql_map *map, struct map_fields *fields,
	struct conf_where where, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4];
	struct lab_view rest = map->pattern;

	while (rest.len > 0) {
		size_t dollar = lab_view_find_byte(rest, '$');
		struct dict_cql_part part = { .literal = lab_view_sub(rest, 0, dollar) };
		if (part_add(map, part, where, err) < 0)
			return -1;
		if (dollar == SIZE_MAX)
			break;
		rest = lab_view_skip(rest, dollar + 1);
		if (pattern_variable(map, fields, take_variable(&rest), where, err) < 0)
			return -1;
		if (rest.len > 0 && rest.ptr[0] != '/')
			return conf_fail(
				err, where, "a variable in a pattern must end before a '/'");
	}
	for (size_t i = 0; i < fields->count; i++) {
		if (!fields->used[i])
			return conf_fail(err, fields->where[i], "Unused variable: %s",
				conf_show(fields->items[i].variable, shown));
	}
	return 0;
}

static int values_parse(struct dict_cql_map *map, const struct conf_setting *type_setting,
	bool hexblob, struct conf_where where, struct lab_error *err)
{
	struct lab_view rest = map->value_field, types = { NULL, 0 }, part;
	size_t type_count = 0;

	while (lab_view_split(&rest, ',', &part)) {
		part = lab_view_trim(part);
		if (part.len == 0)
			return conf_fail(err, where, "value_field has an empty field");
		if (map->value_count == DICT_CQL_VALUES_MAX)
			return conf_fail(err, where, "value_field has more than %u fields",
				(unsigned)DICT_CQL_VALUES_MAX);
		map->values[map->value_count++] = (struct dict_cql_value){ part,
			hexblob ? DICT_CQL_HEXBLOB : DICT_CQL_STRING };
	}
	if (type_setting == NULL)
		return 0;
	types = type_setting->value;
	while (lab_view_split(&types, ',', &part)) {
		if (type_count < map->value_count &&
			!type_parse(lab_view_trim(part), &map->values[type_count].type))
			return conf_fail(
				err, type_setting->value_where, "Invalid value in value_type");
		type_count++;
	}
	if (type_count != map->value_count)
		return conf_fail(err, type_setting->value_where,
			"Number of fields in value_fields doesn't match value_type");
	return 0;
}

/* 1 and the value, 0 if it is not there. */
static int map_setting(const struct conf_section *section, const char *name, bool required,
	struct lab_view *ret, struct lab_error *err)
{
	const struct conf_setting *setting = conf_setting_in(section, name);

	if (setting != NULL && setting->value.len > 0) {
		*ret = setting->value;
		return 1;
	}
	if (required)
		return conf_fail(err, section->where, "Missing setting: %s", name);
	return 0;
}

static int map_names_check(const struct conf_section *section, struct lab_error *err)
{
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];

	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
		size_t i = 0;
		while (i < LAB_COUNT_OF(map_settings) &&
			!lab_view_eq_cstr(s->name, map_settings[i]))
			i++;
		if (i == LAB_COUNT_OF(map_settings))
			return conf_fail(err, s->where, "Unknown setting: %s%s",
				conf_show(s->name, shown),
				conf_hint(conf_suggest_of(s->name, map_settings, i), hint));
	}
	for (const struct conf_section *c = section->children; c != NULL; c = c->next) {
		if (!lab_view_eq_cstr(c->name, "fields"))
			return conf_fail(
				err, c->where, "Unknown section: %s", conf_show(c->name, shown));
	}
	return 0;
}

static int map_parse(
	const struct conf_section *section, struct dict_cql_map *map, struct lab_error *err)
{
	const struct conf_section *fields_section = NULL;
	const struct conf_setting *hexblob = conf_setting_in(section, "value_hexblob");
	struct map_fields fields = { .count = 0 };
	struct lab_error why;
	bool is_hexblob = false;

	map->where = section->where;
	if (map_names_check(section, err) < 0 ||
		map_setting(section, "pattern", true, &map->pattern, err) < 0 ||
		map_setting(section, "table", true, &map->table, err) < 0 ||
		map_setting(section, "value_field", true, &map->value_field, err) < 0 ||
		map_setting(section, "expire_field", false, &map->expire_field, err) < 0)
		return -1;
	if (hexblob != NULL && conf_value_bool(hexblob->value, &is_hexblob, &why) < 0)
		return conf_fail(err, hexblob->value_where, "value_hexblob: %s", why.message);
	while ((fields_section = conf_section_next(section, "fields", fields_section)) != NULL) {
		if (fields_read(fields_section, &fields, err) < 0)
			return -1;
	}
	if (values_parse(map, conf_setting_in(section, "value_type"), is_hexblob,
		    conf_setting_in(section, "value_field")->value_where, err) < 0)
		return -1;
	return pattern_parse(map, &fields, conf_setting_in(section, "pattern")->value_where, err);
}

/* ---- the file ---- */

static int root_check(const struct conf_section *root, struct lab_error *err)
{
	static const char *const drivers[] = { "sqlpool", "cassandra" };
	char shown[CONF_SHOW_MAX + 4];
	struct lab_error why;
	size_t word;

	for (const struct conf_setting *s = root->settings; s != NULL; s = s->next) {
		if (lab_view_eq_cstr(s->name, "driver")) {
			if (conf_value_word(s->value, drivers, 2, &word, &why) < 0)
				return conf_fail(err, s->value_where, "driver: %s", why.message);
		} else if (!lab_view_eq_cstr(s->name, "connect") && setting_24(s->name) == NULL) {
			return conf_fail(
				err, s->where, "Unknown setting: %s", conf_show(s->name, shown));
		}
	}
	for (const struct conf_section *c = root->children; c != NULL; c = c->next) {
		if (!lab_view_eq_cstr(c->name, "map"))
			return conf_fail(
				err, c->where, "Unknown section: %s", conf_show(c->name, shown));
	}
	return 0;
}

/* The connect string of 2.3, or the settings of 2.4. */
static int connections_read(
	const struct conf_section *root, struct dict_cql_config *config, struct lab_error *err)
{
	const struct conf_setting *connect = conf_setting_in(root, "connect");
	struct lab_error why;

	for (const struct conf_setting *s = root->settings; s != NULL; s = s->next) {
		if (setting_24(s->name) == NULL)
			continue;
		if (connect != NULL)
			return conf_fail(err, s->where,
				"%s and connect are settings of different versions of Dovecot",
				setting_24(s->name)->name);
		config->batches = true;
	}
	if (config->batches)
		return connect_from_settings(root, &config->connect, err);
	if (connect == NULL)
		return conf_fail(err, root->where, "Missing connect setting");
	if (dict_cql_connect_parse(connect->value, &config->connect, &why) < 0)
		return conf_fail(err, connect->value_where, "%s", why.message);
	return 0;
}

int dict_cql_from_tree(const struct conf_section *root, struct lab_arena *arena,
	struct dict_cql_config **ret, struct lab_error *err)
{
	struct dict_cql_config *config = lab_arena_new_of(arena, struct dict_cql_config);
	const struct conf_section *section = NULL;

	if (root_check(root, err) < 0)
		return -1;
	if (connections_read(root, config, err) < 0)
		return -1;
	config->maps = lab_arena_array(arena, struct dict_cql_map, DICT_CQL_MAPS_MAX);
	while ((section = conf_section_next(root, "map", section)) != NULL) {
		if (config->map_count == DICT_CQL_MAPS_MAX)
			return conf_fail(err, section->where, "there are more than %u maps",
				(unsigned)DICT_CQL_MAPS_MAX);
		if (map_parse(section, &config->maps[config->map_count], err) < 0)
			return -1;
		config->map_count++;
	}
	*ret = config;
	return 0;
}

int dict_cql_load(struct lab_view path, const struct conf_reader *reader, struct lab_arena *arena,
	struct dict_cql_config **ret, struct lab_error *err)
{
	struct conf_section *root;

	if (conf_parse(path, reader, CONF_PARSE_LITERAL, arena, NULL, &root, err) < 0)
		return -1;
	return dict_cql_from_tree(root, arena, ret, err);
}
