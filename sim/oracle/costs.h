/* SPDX-License-Identifier: Apache-2.0
 *
 * costs.h - what each action of a user costs in requests to Cassandra and S3 (palomar 6.2), and how
 * often each occurred in a run: rule 36 of the oracle, and `oboxlab list costs`.
 */
#ifndef SIM_ORACLE_COSTS_H
#define SIM_ORACLE_COSTS_H

#include "core/base/base.h"

/* X(name, what is printed, table or kind of object). KEY is a key that a DELETE or a bulk delete
 * names, DELETES are requests of either kind. */
#define COST_REQUESTS(X) \
	X(ROOT_SELECT, "SELECT user_index") \
	X(ROOT_INSERT, "INSERT user_index") \
	X(ROOT_DELETE, "DELETE user_index") \
	X(FOLDER_SELECT, "SELECT mailbox_index") \
	X(FOLDER_INSERT, "INSERT mailbox_index") \
	X(FOLDER_DELETE, "DELETE mailbox_index") \
	X(BUCKET_SELECT, "SELECT mailbox_buckets") \
	X(BUCKET_INSERT, "INSERT mailbox_buckets") \
	X(MAIL_SELECT, "SELECT mailbox_objects") \
	X(MAIL_INSERT, "INSERT mailbox_objects") \
	X(MAIL_DELETE, "DELETE mailbox_objects") \
	X(REVERSE_SELECT, "SELECT reverse") \
	X(REVERSE_INSERT, "INSERT reverse") \
	X(REVERSE_DELETE, "DELETE reverse") \
	X(ROOT_GET, "GET root bundle") \
	X(ROOT_PUT, "PUT root bundle") \
	X(ROOT_KEY, "root bundle deleted") \
	X(FOLDER_GET, "GET folder bundle") \
	X(FOLDER_PUT, "PUT folder bundle") \
	X(FOLDER_KEY, "folder bundle deleted") \
	X(MAIL_GET, "GET mail") \
	X(MAIL_HEAD, "HEAD mail") \
	X(MAIL_PUT, "PUT mail") \
	X(MAIL_KEY, "mail deleted") \
	X(MAIL_DELETES, "DELETE or POST ?delete of mails")
enum cost_request {
#define X(name, text) COST_##name,
	COST_REQUESTS(X)
#undef X
	COST_REQUEST_COUNT
};
const char *cost_request_name(enum cost_request request);

enum cost_action {
#define COST(name, action, source, ...) COST_ACTION_##name,
#include "sim/oracle/costs.def"
#undef COST
	COST_ACTION_COUNT
};

#define COST_TERMS_MAX 6
struct cost_line {
	const char *name, *action, *source;
	struct {
		enum cost_request request;
		unsigned count;
		bool is_most;    /* at most that many */
	} terms[COST_TERMS_MAX]; /* up to the first whose count is 0 */
};
const struct cost_line *cost_line(enum cost_action action);

/* Of a run: how often each action ended well, and what was asked in stretches that were compared
 * with the table: how many stretches, actions and requests those were. */
struct cost_report {
	uint64_t actions[COST_ACTION_COUNT];
	uint64_t requests[COST_REQUEST_COUNT];
	uint64_t stretches, compared[COST_ACTION_COUNT];
};

#endif
