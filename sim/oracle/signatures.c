/* SPDX-License-Identifier: Apache-2.0
 *
 * signatures.c - what can be found, and the tests that make it fire: a table that
 * ci/lint/invariants makes from the sources.
 */
#include "sim/oracle/oracle.h"

static const struct oracle_signature signatures[] = {
#define X(number, text, test) { (number), (text), (test) },
#include "sim/oracle/signatures.def"
#undef X
};

const struct oracle_signature *oracle_signatures(size_t *ret_count)
{
	*ret_count = LAB_COUNT_OF(signatures);
	return signatures;
}
