/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger.h - M1 to M5 of palomar 4.1: what ledger.c and ledger-flags.c share, and what the oracle
 * calls. All of it is for runs with a cluster only, and without damage on purpose.
 */
#ifndef SIM_ORACLE_LEDGER_H
#define SIM_ORACLE_LEDGER_H

#include "sim/oracle/oracle-private.h"

void ledger_event(struct oracle *oracle, const struct lab_event *event);
/* After oracle_report_online(). */
void ledger_check(struct oracle *oracle, const struct oracle_case *c);
/* What the other rules excuse of the same mail or folder; when all of them have said so. */
void ledger_excuse(struct oracle *oracle);

/* ledger-flags.c: M3 */
void ledger_flags_new(struct oracle *oracle);
void ledger_flags_event(struct oracle *oracle, const struct lab_event *event);
void ledger_check_flags(struct oracle *oracle, const struct oracle_case *c);

#endif
