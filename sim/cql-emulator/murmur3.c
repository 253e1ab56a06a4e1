/* SPDX-License-Identifier: Apache-2.0
 *
 * murmur3.c - the partitioner's token, which clients know as well.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

int64_t cqle_token(struct lab_view key)
{
	return cql_token(key);
}

int64_t cqlemu_token(struct lab_view key)
{
	return cql_token(key);
}
