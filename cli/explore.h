/* SPDX-License-Identifier: Apache-2.0
 *
 * explore.h - oboxlab test --explore.
 */
#ifndef CLI_EXPLORE_H
#define CLI_EXPLORE_H

#include "cli/options.h"

#include "scenarios/campaign/explore.h"

/* explore_run(), with the runs and the directory of the options. *explored must live as long as
 * *ret. */
int cli_explore(const struct options *options, const struct campaign_settings *campaign,
	struct campaign_result *ret, struct explore_result *explored, struct lab_error *err);

#endif
