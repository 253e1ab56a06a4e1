/* SPDX-License-Identifier: Apache-2.0
 *
 * fault-text.h - the words that .scn files and the files of `oboxlab serve` have in common for
 * faults: kinds and points (sim/faults), ranges.
 *
 * Errors     LAB_INVALID; the message names the word and suggests another.
 */
#ifndef SIM_SERVE_FAULT_TEXT_H
#define SIM_SERVE_FAULT_TEXT_H

#include "core/conf/conf-keys.h"
#include "sim/faults/faults.h"

/* "a | b | c"; the field is a fault_kind_set. conf_key.read. */
int fault_text_kinds(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
/* "s3.put | cql.*"; a set of points. conf_key.read. */
int fault_text_points(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err);
struct fault_range fault_text_range(const struct conf_range *range);

#endif
