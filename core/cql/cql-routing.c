/* SPDX-License-Identifier: Apache-2.0
 *
 * Which partition a prepared statement is about: PREPARED names the markers of its key.
 */
#include "core/cql/cql-client-private.h"

#define PARTS_MAX 8
#define PART_MAX_BYTES 65535

static bool key_of(
	const struct cql_metadata *binds, const struct cql_bind *values, struct lab_buf *out)
{
	for (size_t i = 0; i < binds->pk_count; i++) {
		const struct cql_bind *value = &values[binds->pk_indexes[i]];
		if (value->kind != CQL_VALUE_BYTES || value->bytes.len > PART_MAX_BYTES)
			return false;
		if (binds->pk_count == 1) {
			lab_buf_append_view(out, value->bytes);
			continue;
		}
		cql_put_short_bytes(out, value->bytes);
		lab_buf_append_byte(out, 0);
	}
	return !out->overflow;
}

static bool is_routable(const struct cql_client *client, const struct cql_prepared_statement *p)
{
	const char *keyspace = client->settings.keyspace;
	if (p == NULL || p->id.ptr == NULL || p->binds.pk_count == 0 ||
		p->binds.pk_count > PARTS_MAX || keyspace == NULL)
		return false;
	for (size_t i = 0; i < p->binds.pk_count; i++) {
		if (p->binds.pk_indexes[i] >= p->binds.column_count)
			return false;
	}
	return lab_view_eq_cstr(p->binds.columns[p->binds.pk_indexes[0]].keyspace, keyspace);
}

bool cql_routing_token(struct cql_client *client, const struct cql_statement *statement,
	struct lab_arena *arena, int64_t *ret)
{
	struct cql_bind *values;
	struct lab_buf key;
	if (statement->batch_count > 0)
		statement = &statement->batch[0];
	const struct cql_prepared_statement *p = lab_map_get(client->prepared, statement->query);
	if (!is_routable(client, p) ||
		cql_bind_args(statement, &p->binds, arena, &values, NULL) < 0)
		return false;
	lab_buf_init(&key, client->env->heap, PARTS_MAX * (PART_MAX_BYTES + 3));
	bool found = key_of(&p->binds, values, &key);
	*ret = found ? cql_token(lab_buf_view(&key)) : 0;
	lab_buf_done(&key);
	return found;
}
