/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario-data-centers.c - each zone a data centre (palomar 5, layout B): the dicts of a zone's
 * hosts name the nodes of that zone only, as the settings of such an installation do. A driver
 * takes the data centre of the host that it came to first for its own.
 */
#include "scenarios/format/scenario-private.h"

static const struct dict_cql_config *place(const struct scenario *s, size_t site,
	const struct dict_cql_config *config, struct lab_arena *arena)
{
	struct dict_cql_config *ret = lab_arena_new_of(arena, struct dict_cql_config);

	*ret = *config;
	ret->connect.host_count = 0;
	for (size_t i = site; i < config->connect.host_count; i += s->site_count)
		ret->connect.hosts[ret->connect.host_count++] = config->connect.hosts[i];
	return ret;
}

void scenario_place_dicts(struct scenario *s, struct lab_arena *arena)
{
	for (size_t i = 0; s->cql.data_center_per_zone && i < s->site_count; i++) {
		const struct scenario *here = s->sites[i].own != NULL ? s->sites[i].own : s;
		struct backend_dict *dicts =
			lab_arena_alloc(arena, SCENARIO_DICTS_MAX * sizeof(*dicts));

		for (size_t d = 0; d < here->dict_count; d++)
			dicts[d] = (struct backend_dict){ here->dicts[d].name,
				place(s, i, here->dicts[d].config, arena) };
		s->sites[i].dicts = dicts;
	}
}
