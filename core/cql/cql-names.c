/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the protocol's numbers.
 */
#include "core/cql/cql-codec-private.h"

static const struct {
	const char *name;
	bool request;
} opcodes[] = {
	[CQL_ERROR] = { "ERROR", false },
	[CQL_STARTUP] = { "STARTUP", true },
	[CQL_READY] = { "READY", false },
	[CQL_AUTHENTICATE] = { "AUTHENTICATE", false },
	[CQL_OPTIONS] = { "OPTIONS", true },
	[CQL_SUPPORTED] = { "SUPPORTED", false },
	[CQL_QUERY] = { "QUERY", true },
	[CQL_RESULT] = { "RESULT", false },
	[CQL_PREPARE] = { "PREPARE", true },
	[CQL_EXECUTE] = { "EXECUTE", true },
	[CQL_REGISTER] = { "REGISTER", true },
	[CQL_EVENT] = { "EVENT", false },
	[CQL_BATCH] = { "BATCH", true },
	[CQL_AUTH_CHALLENGE] = { "AUTH_CHALLENGE", false },
	[CQL_AUTH_RESPONSE] = { "AUTH_RESPONSE", true },
	[CQL_AUTH_SUCCESS] = { "AUTH_SUCCESS", false },
};

const char *cql_opcode_name(uint8_t opcode)
{
	return opcode < LAB_COUNT_OF(opcodes) ? opcodes[opcode].name : NULL;
}

bool cql_opcode_is_request(uint8_t opcode)
{
	return opcode < LAB_COUNT_OF(opcodes) && opcodes[opcode].request;
}

static const struct {
	const char *name;
	const char *setting;
} consistencies[] = {
#define X(name, code, setting) [code] = { #name, setting },
	CQL_CONSISTENCIES(X)
#undef X
};

const char *cql_consistency_name(enum cql_consistency consistency)
{
	return (size_t)consistency < LAB_COUNT_OF(consistencies) ? consistencies[consistency].name
								 : "UNKNOWN";
}

const char *cql_consistency_setting(enum cql_consistency consistency)
{
	return (size_t)consistency < LAB_COUNT_OF(consistencies)
		       ? consistencies[consistency].setting
		       : "unknown";
}

int cql_consistency_parse(struct lab_view setting, enum cql_consistency *ret)
{
	for (size_t i = 0; i <= CQL_LOCAL_ONE; i++) {
		if (lab_view_eq_cstr(setting, consistencies[i].setting)) {
			*ret = (enum cql_consistency)i;
			return 0;
		}
	}
	return -1;
}

static const struct {
	uint32_t code;
	const char *name;
} errors[] = {
	{ CQL_E_SERVER_ERROR, "SERVER_ERROR" },
	{ CQL_E_PROTOCOL, "PROTOCOL_ERROR" },
	{ CQL_E_BAD_CREDENTIALS, "BAD_CREDENTIALS" },
	{ CQL_E_UNAVAILABLE, "UNAVAILABLE" },
	{ CQL_E_OVERLOADED, "OVERLOADED" },
	{ CQL_E_IS_BOOTSTRAPPING, "IS_BOOTSTRAPPING" },
	{ CQL_E_TRUNCATE, "TRUNCATE_ERROR" },
	{ CQL_E_WRITE_TIMEOUT, "WRITE_TIMEOUT" },
	{ CQL_E_READ_TIMEOUT, "READ_TIMEOUT" },
	{ CQL_E_READ_FAILURE, "READ_FAILURE" },
	{ CQL_E_FUNCTION_FAILURE, "FUNCTION_FAILURE" },
	{ CQL_E_WRITE_FAILURE, "WRITE_FAILURE" },
	{ CQL_E_CDC_WRITE_FAILURE, "CDC_WRITE_FAILURE" },
	{ CQL_E_CAS_WRITE_UNKNOWN, "CAS_WRITE_UNKNOWN" },
	{ CQL_E_SYNTAX, "SYNTAX_ERROR" },
	{ CQL_E_UNAUTHORIZED, "UNAUTHORIZED" },
	{ CQL_E_INVALID, "INVALID_QUERY" },
	{ CQL_E_CONFIG, "CONFIG_ERROR" },
	{ CQL_E_ALREADY_EXISTS, "ALREADY_EXISTS" },
	{ CQL_E_UNPREPARED, "UNPREPARED" },
};

const char *cql_error_code_name(uint32_t code)
{
	for (size_t i = 0; i < LAB_COUNT_OF(errors); i++) {
		if (errors[i].code == code)
			return errors[i].name;
	}
	return "UNKNOWN";
}
