/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-kind.c - names of profiles.
 */
#include "sim/serve/cql-kind.h"

int cql_kind_read(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	const struct cqlemu_profile **ret = (void *)((char *)object + key->offset);
	return cqlemu_profile_parse(text, ret, err);
}
