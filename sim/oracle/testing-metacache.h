/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-metacache.h - for test-*.c only: backends that upload and refresh, and listings with
 * flags and numbers. Backend n is "backend-n" on host n; 9 is the auditor. Its folder's GUID is
 * made of the folder's number.
 */
#ifndef SIM_ORACLE_TESTING_METACACHE_H
#define SIM_ORACLE_TESTING_METACACHE_H

#include "sim/oracle/testing-oracle.h"

#define T_SEEN UINT64_C(1)
#define T_WORK UINT64_C(2)
#define T_AUDIT 9

static uint32_t t_boots[10];

static inline const char *t_backend(unsigned n)
{
	static const char *const names[] = { "", "backend-1", "backend-2", "backend-3" };

	return n == T_AUDIT ? T_AUDITOR : names[n];
}

static inline void t_folder_guid(unsigned folder, uint8_t guid[HISTORY_NAME_BYTES])
{
	memset(guid, (int)folder + 1, HISTORY_NAME_BYTES);
}

/* ---- events ---- */

static inline void t_tell_fiber(enum lab_event_id id, unsigned host, uint64_t fiber,
	const struct lab_field *fields, size_t count)
{
	struct lab_event event = { .id = id,
		.time_ns = t.now,
		.host = host,
		.fiber = fiber,
		.sequence = t.sequence++,
		.fields = fields,
		.field_count = count };

	oracle_event(t.oracle, &event);
	t.now += LAB_MSEC;
}

static inline void t_folder_event(enum lab_event_id id, unsigned host, unsigned folder,
	const char *status, enum lab_code code)
{
	uint8_t guid[HISTORY_NAME_BYTES];
	char hex[2 * HISTORY_NAME_BYTES + 1];

	t_folder_guid(folder, guid);
	lab_hex(guid, sizeof(guid), hex);
	t_tell_fiber(id, host, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("mailbox_guid", hex), LAB_F_CSTR("metacache_status", status),
			LAB_F_CODE("code", code) },
		4);
}

/* A mail without an object goes from an index. */
static inline void t_drop_from_index(unsigned host, unsigned n)
{
	char hex[48];

	t_tell_fiber(LAB_EV_obox_mail_dropped, host, 1,
		(const struct lab_field[]){
			LAB_F_CSTR("user", T_USER), LAB_F_CSTR("name", t_hex(n, false, hex)) },
		2);
}

static inline void t_take_away(unsigned n)
{
	struct history_object object = t_object(n, n);
	struct oracle_damage damage = { .reason = "taken away on purpose",
		.user = LAB_VIEW(T_USER),
		.oid = lab_view_of(object.oid, object.oid_len),
		.invariants = ORACLE_DAMAGES(12) };

	oracle_damaged(t.oracle, &damage);
}

static inline void t_start(unsigned host)
{
	const struct lab_field fields[] = { LAB_F_CSTR("host", t_backend(host)) };

	t_boots[host]++;
	t_tell_fiber(LAB_EV_host_started, host, 0, fields, 1);
}

static inline void t_crash(unsigned host)
{
	const struct lab_field fields[] = { LAB_F_CSTR("host", t_backend(host)) };

	t_tell_fiber(LAB_EV_host_crashed, host, 0, fields, 1);
}

static inline void t_upload(unsigned host, unsigned folder)
{
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_started, host, folder, "", LAB_OK);
	t_folder_event(LAB_EV_metacache_mailbox_bundle_upload_finished, host, folder, "", LAB_OK);
}

static inline void t_refresh(unsigned host, unsigned folder, const char *status)
{
	t_folder_event(LAB_EV_metacache_mailbox_refresh_started, host, folder, "", LAB_OK);
	t_folder_event(LAB_EV_metacache_mailbox_refresh_finished, host, folder, status, LAB_OK);
}

static inline void t_merge(unsigned host, unsigned folder, enum lab_event_id id)
{
	t_folder_event(id, host, folder, "", LAB_OK);
}

/* ---- operations ---- */

static inline struct history_op t_op_at(enum history_kind kind, unsigned host, unsigned token)
{
	struct history_op op = t_op(kind, 0, token);

	op.backend = lab_view_cstr(t_backend(host));
	op.boot = t_boots[host];
	op.uidvalidity = 100;
	t_folder_guid(0, op.mailbox_guid);
	return op;
}

static inline void t_deliver_at(unsigned host, unsigned n, uint64_t flags)
{
	struct history_op op = t_op_at(HISTORY_DELIVER, host, n);

	t_put(n);
	t_rows(0, n, n);
	op.made = t_object(n, n);
	op.body_hash = t_hash(n);
	op.flags = flags;
	(void)t_run(op, HISTORY_OK);
}

static inline struct history_op t_store_op(
	unsigned host, unsigned n, uint64_t flag, bool is_set, bool changed)
{
	struct history_op op = t_op_at(HISTORY_STORE, host, n);

	op.source = t_object(n, n);
	op.flags = flag;
	op.is_set = is_set;
	op.changed = changed;
	op.modseq = 1000 + t.sequence;
	return op;
}

static inline void t_store_at(unsigned host, unsigned n, uint64_t flag, bool is_set)
{
	(void)t_run(t_store_op(host, n, flag, is_set, true), HISTORY_OK);
}

/* A copy to folder 1. */
static inline void t_copy_at(unsigned host, unsigned n, unsigned name)
{
	struct history_op op = t_op_at(HISTORY_COPY, host, n);

	t_rows(1, name, n);
	op.source = t_object(n, n);
	op.made = t_object(name, n);
	op.target = lab_view_cstr(t_folder(1));
	t_folder_guid(1, op.target_guid);
	(void)t_run(op, HISTORY_OK);
}

/* A mail of a listing. */
struct t_mail {
	unsigned n;
	uint64_t flags;
	uint32_t uid; /* 0: its place from 1 */
	uint64_t modseq;
	unsigned oid; /* 0: n */
};

struct t_list {
	unsigned folder;
	uint32_t uidvalidity; /* 0: 100 */
	uint32_t uidnext;     /* 0: 1000 */
	uint64_t highest;     /* 0: grows */
};

static inline struct history_op t_list_op(unsigned host, const struct t_list *list)
{
	struct history_op op = t_op_at(HISTORY_SELECT, host, 0);

	op.folder = lab_view_cstr(t_folder(list->folder));
	op.uidvalidity = list->uidvalidity == 0 ? 100 : list->uidvalidity;
	op.uidnext = list->uidnext == 0 ? 1000 : list->uidnext;
	op.highest_modseq = list->highest == 0 ? 1000 + t.sequence : list->highest;
	t_folder_guid(list->folder, op.mailbox_guid);
	return op;
}

static inline void t_list(
	unsigned host, struct t_list list, const struct t_mail *mails, size_t count)
{
	struct history_op op = t_list_op(host, &list);
	struct history_sighting seen[16] = { 0 };
	uint32_t id = t_begin(&op);

	for (size_t i = 0; i < count; i++) {
		unsigned oid = mails[i].oid == 0 ? mails[i].n : mails[i].oid;

		seen[i].uid = mails[i].uid == 0 ? (uint32_t)i + 1 : mails[i].uid;
		seen[i].modseq = mails[i].modseq == 0 ? 1000 + t.sequence : mails[i].modseq;
		seen[i].flags = mails[i].flags;
		seen[i].object = t_object(mails[i].n, oid);
	}
	history_sight(t.history, id, seen, count);
	t_end(id, &op, HISTORY_OK);
	for (size_t i = 0; i < count && host == T_AUDIT; i++) {
		unsigned oid = mails[i].oid == 0 ? mails[i].n : mails[i].oid;

		t_fetch_as(list.folder, seen[i].object, oid, t_hash(oid), HISTORY_OK, LAB_OK);
	}
}
#define t_lists(host, list, ...) \
	t_list(host, (struct t_list)list, (const struct t_mail[]){ __VA_ARGS__ }, \
		sizeof((const struct t_mail[]){ __VA_ARGS__ }) / sizeof(struct t_mail))
/* A listing of INBOX with one mail, number 1. */
static inline void t_see(unsigned host, uint64_t flags)
{
	const struct t_mail mail = { .n = 1, .flags = flags };

	t_list(host, (struct t_list){ 0 }, &mail, 1);
}
static inline void t_audit_sees(uint64_t flags)
{
	t_start(T_AUDIT);
	t_see(T_AUDIT, flags);
}

static inline void t_start_all(void)
{
	memset(t_boots, 0, sizeof(t_boots));
	t_start(1);
	t_start(2);
	t_start(3);
}

/* From then on clocks may be wrong by so much. */
static inline void t_set_clock_error(int64_t us)
{
	t.settings.clock_error_us = us;
	t_restart();
	t_start_all();
}

static inline int t_setup_backends(void **state)
{
	int result = t_setup(state);

	assert_true(history_flag(t.history, LAB_VIEW("\\Seen")) == T_SEEN);
	assert_true(history_flag(t.history, LAB_VIEW("Work")) == T_WORK);
	t_start_all();
	return result;
}

#define t_backends_test(function) \
	cmocka_unit_test_setup_teardown(function, t_setup_backends, t_teardown)

#endif
