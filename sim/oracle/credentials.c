/* SPDX-License-Identifier: Apache-2.0
 *
 * credentials.c - invariant 35: whoever is told that its credentials are dead has living ones soon,
 * unless IMDS is in trouble (obox 8.1, cql-imds 6.7 I1 and I3). Judged for each user on each
 * backend: sessions do not share what they know.
 */
#include "sim/oracle/oracle-private.h"

/* One refresh, with its timeout and retries. */
#define REFRESH_NS (10 * LAB_SEC)
/* So long after IMDS failed it may still be the reason. */
#define IMDS_TROUBLE_NS (2 * LAB_MINUTE)

/* Of one user on one backend. */
struct oracle_refusals {
	uint64_t since_ns; /* the first one, when nothing was accepted since; 0: none */
	bool reported;
};

static bool is_dead(const char *code)
{
	static const char *const codes[] = { "ExpiredToken", "InvalidToken", "InvalidAccessKeyId" };

	for (size_t i = 0; code != NULL && i < LAB_COUNT_OF(codes); i++) {
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return false;
}

void oracle_imds_trouble(struct oracle *oracle, uint64_t time_ns)
{
	oracle->imds_trouble_ns = LAB_MAX(oracle->imds_trouble_ns, time_ns + 1);
}

static struct oracle_refusals *refusals_of(struct oracle *oracle, const struct sim_access *access)
{
	uint64_t id[] = { lab_hash_view(0, access->peer), lab_hash_view(0, access->user) };
	struct lab_view key = lab_view_of(id, sizeof(id));
	void **slot = lab_map_slot(oracle->refusals, key);

	if (slot == NULL)
		return NULL;
	if (*slot == NULL)
		*slot = lab_new(oracle->settings.heap, struct oracle_refusals);
	return *slot;
}

static bool has_secret(const struct oracle *oracle, struct lab_view text)
{
	for (size_t i = 0; i < LAB_COUNT_OF(oracle->settings.secrets); i++) {
		struct lab_view secret = oracle->settings.secrets[i];

		if (secret.len > 0 && lab_view_find(text, secret) != SIZE_MAX)
			return true;
	}
	return false;
}

void oracle_check_secrets(struct oracle *oracle, const struct lab_event *event)
{
	if (oracle->settings.secrets[0].len == 0 && oracle->settings.secrets[1].len == 0)
		return;
	for (size_t i = 0; i < event->field_count; i++) {
		if (event->fields[i].kind == LAB_FIELD_TEXT &&
			has_secret(oracle, event->fields[i].text))
			oracle_found_online(oracle, 35, "I35 secret in an event", event->time_ns,
				"the field %s of %s, event #%" PRIu64
				", has a secret of the settings",
				event->fields[i].name, lab_event_name(event->id), event->sequence);
	}
}

void oracle_check_credentials(
	struct oracle *oracle, const struct sim_access *access, struct lab_view key)
{
	uint64_t now_ns = access->received_ns;
	bool dead = is_dead(access->code);
	struct oracle_refusals *refusals;
	struct oracle_online *found;

	/* Injected ones are nobody's fault, and most users have never been refused. */
	if (access->fault_id != 0 || access->user.len == 0 ||
		(!dead && lab_map_count(oracle->refusals) == 0))
		return;
	refusals = refusals_of(oracle, access);
	if (refusals == NULL)
		return;
	if (!dead) {
		*refusals = (struct oracle_refusals){ 0 };
		return;
	}
	if (refusals->since_ns == 0)
		refusals->since_ns = now_ns;
	if (now_ns - refusals->since_ns <= REFRESH_NS || refusals->reported ||
		(oracle->imds_trouble_ns != 0 &&
			now_ns < oracle->imds_trouble_ns + IMDS_TROUBLE_NS))
		return;
	refusals->reported = true;
	found = oracle_found_online(oracle, 35, "I35 dead credentials", now_ns,
		"%.*s of %.*s by %.*s was refused with %s, as since %" PRIu64
		" s, while IMDS answers",
		LAB_VIEW_ARG(access->operation), LAB_VIEW_ARG(access->user),
		LAB_VIEW_ARG(access->peer), access->code, (now_ns - refusals->since_ns) / LAB_SEC);
	if (found != NULL)
		found->key = lab_hash_view(0, key);
}
