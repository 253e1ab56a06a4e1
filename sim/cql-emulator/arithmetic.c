/* SPDX-License-Identifier: Apache-2.0
 *
 * arithmetic.c - + - * / %.
 */
#include "sim/cql-emulator/plan-private.h"

int plan_operation(struct builder *b, const struct term *term, const struct plan_spec *spec,
	struct cqle_expr *ret)
{
	if (term->kind == TERM_PARENTHESES)
		return plan_expression(b, &term->items[0], spec, ret);
	return cqle_fail(b->err, CQL_E_INVALID, "the '%.*s' operation is not supported here",
		LAB_VIEW_ARG(term->text));
}
