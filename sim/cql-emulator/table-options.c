/* SPDX-License-Identifier: Apache-2.0
 *
 * table-options.c - the options of a table: read, checked, compared, printed.
 */
#include "sim/cql-emulator/table-options.h"

#define GC_GRACE_S 864000
#define SUB_OPTIONS_MAX 64

/* ---- maps of options ---- */

const struct lab_view *cqle_option_get(const struct cqle_option_map *map, const char *key)
{
	for (size_t i = 0; i < map->count; i++) {
		if (lab_view_eq_cstr(map->pairs[i].key, key))
			return &map->pairs[i].value;
	}
	return NULL;
}

void cqle_option_put(struct lab_arena *arena, struct cqle_option_map *map, struct lab_view key,
	struct lab_view value)
{
	size_t at = 0;
	while (at < map->count && lab_view_cmp(map->pairs[at].key, key) < 0)
		at++;
	if (at < map->count && lab_view_eq(map->pairs[at].key, key)) {
		map->pairs[at].value = lab_arena_copy(arena, value);
		return;
	}
	struct cqle_option_pair *pairs =
		lab_arena_array(arena, struct cqle_option_pair, map->count + 1);
	for (size_t i = 0; i < map->count; i++)
		pairs[i < at ? i : i + 1] = map->pairs[i];
	pairs[at] = (struct cqle_option_pair){ lab_arena_copy(arena, key),
		lab_arena_copy(arena, value) };
	map->pairs = pairs;
	map->count++;
}

static bool maps_equal(const struct cqle_option_map *a, const struct cqle_option_map *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!lab_view_eq(a->pairs[i].key, b->pairs[i].key) ||
			!lab_view_eq(a->pairs[i].value, b->pairs[i].value))
			return false;
	}
	return true;
}

const char *cqle_option_map_text(struct lab_arena *arena, const struct cqle_option_map *map)
{
	const char *text = "{";
	for (size_t i = 0; i < map->count; i++)
		text = lab_arena_printf(arena, "%s%s'%.*s': '%.*s'", text, i > 0 ? ", " : "",
			LAB_VIEW_ARG(cqle_quotes_doubled(arena, map->pairs[i].key)),
			LAB_VIEW_ARG(cqle_quotes_doubled(arena, map->pairs[i].value)));
	return lab_arena_printf(arena, "%s}", text);
}

struct lab_view cqle_quotes_doubled(struct lab_arena *arena, struct lab_view text)
{
	uint8_t *out = lab_arena_alloc(arena, 2 * text.len + 1);
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'')
			out[len++] = '\'';
		out[len++] = text.ptr[i];
	}
	return lab_view_of(out, len);
}

const char *cqle_option_double(struct lab_arena *arena, double value)
{
	return cqle_double_text(
		arena, CQL_TYPE_DOUBLE, cqle_double_value(arena, CQL_TYPE_DOUBLE, value));
}

/* ---- speculative_retry ---- */

static const char *retry_part_text(struct lab_arena *arena, const struct cqle_retry_part *part)
{
	uint32_t ten_thousandths = part->percentile_ppm % 10000;
	unsigned digits = 4;
	if (part->percentile_ppm == 0)
		return lab_arena_printf(arena, "%" PRIu64 "ms", part->fixed_ns / LAB_MSEC);
	if (ten_thousandths == 0)
		return lab_arena_printf(arena, "%up", part->percentile_ppm / 10000);
	for (; ten_thousandths % 10 == 0; ten_thousandths /= 10)
		digits--;
	return lab_arena_printf(
		arena, "%u.%0*up", part->percentile_ppm / 10000, (int)digits, ten_thousandths);
}

const char *cqle_retry_text(struct lab_arena *arena, const struct cqle_retry *retry)
{
	switch (retry->kind) {
	case CQLE_RETRY_NEVER:
		return "NEVER";
	case CQLE_RETRY_ALWAYS:
		return "ALWAYS";
	case CQLE_RETRY_AT:
		return retry_part_text(arena, &retry->parts[0]);
	case CQLE_RETRY_MIN:
	case CQLE_RETRY_MAX:
		break;
	}
	/* The percentile first, as the policy keeps them. */
	unsigned first = retry->parts[0].percentile_ppm == 0;
	return lab_arena_printf(arena, "%s(%s,%s)", retry->kind == CQLE_RETRY_MIN ? "MIN" : "MAX",
		retry_part_text(arena, &retry->parts[first]),
		retry_part_text(arena, &retry->parts[1 - first]));
}

static bool is_percentile(struct lab_view text)
{
	return lab_view_ends_with(text, LAB_VIEW("p")) || lab_view_ends_with(text, LAB_VIEW("P")) ||
	       (text.len > 10 && lab_view_eq_nocase(lab_view_skip(text, text.len - 10),
					 LAB_VIEW("percentile")));
}

/* A number in front, with one point at most? */
static bool is_number(struct lab_view text)
{
	size_t digits = 0, points = 0, at = 0;
	for (; at < text.len &&
		(text.ptr[at] == '.' || (text.ptr[at] >= '0' && text.ptr[at] <= '9'));
		at++) {
		points += text.ptr[at] == '.';
		digits += text.ptr[at] != '.';
	}
	return digits > 0 && points <= 1 && (text.len - at == 1 || text.len - at == 10);
}

/* Why it is no policy, where Cassandra says more than that. */
static int bad_retry(struct lab_view text, struct lab_error *err)
{
	struct cqle_retry_part one, other;
	struct lab_view first, rest = lab_view_skip(text, LAB_MIN(text.len, (size_t)4));
	struct lab_view start = lab_view_sub(text, 0, LAB_MIN(text.len, (size_t)4));
	bool both = lab_view_eq_nocase(start, LAB_VIEW("min(")) ||
		    lab_view_eq_nocase(start, LAB_VIEW("max("));
	if (!both && is_percentile(text) && is_number(text) && text.len > 1)
		return cqle_fail(err, CQL_E_CONFIG,
			"Invalid value %.*s for PERCENTILE option 'speculative_retry': must be "
			"between (0.0 and 100.0)",
			LAB_VIEW_ARG(text));
	if (both && lab_view_ends_with(rest, LAB_VIEW(")")) && lab_view_split(&rest, ',', &first) &&
		cqle_retry_part_parse(lab_view_trim(first), &one) == 0 &&
		cqle_retry_part_parse(lab_view_trim(lab_view_sub(rest, 0, rest.len - 1)), &other) ==
			0)
		return cqle_fail(err, CQL_E_CONFIG,
			"Invalid value %.*s for option 'speculative_retry': MIN()/MAX() arguments "
			"should be of different types, but both are of type %s",
			LAB_VIEW_ARG(text), one.percentile_ppm != 0 ? "PERCENTILE" : "FIXED");
	return cqle_fail(err, CQL_E_CONFIG, "Invalid value %.*s for option 'speculative_retry'",
		LAB_VIEW_ARG(text));
}

/* ---- values ---- */

struct setter {
	struct cqlemu *emu;
	struct lab_arena *arena; /* lives as long as the table */
	const struct property *p;
	struct lab_error *err;
};

static int syntax(const struct setter *s, const char *what)
{
	return cqle_fail(s->err, CQL_E_SYNTAX,
		"Invalid value for property '%.*s'. It should be a %s", LAB_VIEW_ARG(s->p->name),
		what);
}

static int simple(const struct setter *s, struct lab_view *ret)
{
	if (!cqle_term_is_constant(&s->p->value))
		return syntax(s, "string");
	*ret = s->p->value.text;
	return 0;
}

static int integer(const struct setter *s, int64_t min, int64_t max, int32_t *ret)
{
	struct lab_view text;
	int64_t value;
	if (simple(s, &text) < 0)
		return -1;
	if (lab_view_to_i64(text, &value) < 0 || value > INT32_MAX || value < INT32_MIN)
		return cqle_fail(s->err, CQL_E_SYNTAX, "Invalid integer value %.*s for '%.*s'",
			LAB_VIEW_ARG(text), LAB_VIEW_ARG(s->p->name));
	if (value < min || value > max)
		return cqle_fail(s->err, CQL_E_CONFIG,
			"%.*s must be %s than or equal to %" PRId64 " (got %" PRId64 ")",
			LAB_VIEW_ARG(s->p->name), value < min ? "greater" : "less",
			value < min ? min : max, value);
	*ret = (int32_t)value;
	return 0;
}

static int floating(const struct setter *s, double *ret)
{
	struct lab_view text;
	if (simple(s, &text) < 0)
		return -1;
	if (cqle_double_parse(text, false, ret) < 0)
		return cqle_fail(s->err, CQL_E_SYNTAX, "Invalid double value %.*s for '%.*s'",
			LAB_VIEW_ARG(text), LAB_VIEW_ARG(s->p->name));
	return 0;
}

int cqle_option_boolean(const struct property *p, bool *ret, struct lab_error *err)
{
	static const char *const yes[] = { "1", "true", "yes" }, *const no[] = { "0", "false",
		"no" };
	const struct setter s = { .p = p, .err = err };
	struct lab_view text;
	if (simple(&s, &text) < 0)
		return -1;
	for (size_t i = 0; i < LAB_COUNT_OF(yes); i++) {
		*ret = lab_view_eq_nocase(text, lab_view_cstr(yes[i]));
		if (*ret || lab_view_eq_nocase(text, lab_view_cstr(no[i])))
			return 0;
	}
	return cqle_fail(err, CQL_E_SYNTAX,
		"Invalid boolean value %.*s for '%.*s'. Positive values can be '1', 'true' or "
		"'yes'. Negative values can be '0', 'false' or 'no'.",
		LAB_VIEW_ARG(text), LAB_VIEW_ARG(p->name));
}

static int option_map(const struct setter *s, struct cqle_option_map *ret)
{
	const struct term *map = &s->p->value;
	*ret = (struct cqle_option_map){ .count = 0 };
	if (map->kind == TERM_SET && map->item_count == 0)
		return 0;
	if (map->kind != TERM_MAP)
		return syntax(s, "map.");
	if (map->item_count > 2 * SUB_OPTIONS_MAX)
		return cqle_fail(s->err, CQL_E_SYNTAX, "more than %d sub-options", SUB_OPTIONS_MAX);
	for (size_t i = 0; i + 1 < map->item_count; i += 2)
		cqle_option_put(s->arena, ret, map->items[i].text, map->items[i + 1].text);
	return 0;
}

/* ---- the options ---- */

static struct lab_view upper(struct lab_arena *arena, struct lab_view text)
{
	uint8_t *out = lab_arena_alloc(arena, text.len + 1);
	for (size_t i = 0; i < text.len; i++)
		out[i] = text.ptr[i] >= 'a' && text.ptr[i] <= 'z' ? (uint8_t)(text.ptr[i] - 32)
								  : text.ptr[i];
	return lab_view_of(out, text.len);
}

static int caching_value(
	const struct setter *s, struct cqle_table_options *o, const struct cqle_option_pair *pair)
{
	bool keys = lab_view_eq_cstr(pair->key, "keys");
	struct lab_view value = upper(s->arena, pair->value);
	uint64_t rows;
	bool word = lab_view_eq_cstr(value, "ALL") || lab_view_eq_cstr(value, "NONE");
	if (!keys && !lab_view_eq_cstr(pair->key, "rows_per_partition"))
		return cqle_fail(s->err, CQL_E_CONFIG,
			"Invalid caching sub-options [%.*s]: only 'keys' and "
			"'rows_per_partition' are allowed",
			LAB_VIEW_ARG(pair->key));
	if (!word && (keys || lab_view_to_u64(value, &rows) < 0 || rows > INT32_MAX))
		return cqle_fail(s->err, CQL_E_CONFIG,
			"Invalid value '%.*s' for caching sub-option '%.*s': only 'ALL'%s are "
			"allowed",
			LAB_VIEW_ARG(pair->value), LAB_VIEW_ARG(pair->key),
			keys ? " and 'NONE'" : ", 'NONE', and integer values");
	cqle_option_put(s->arena, &o->caching, pair->key, value);
	return 0;
}

static void caching_default(struct lab_arena *arena, struct cqle_table_options *o)
{
	o->caching = (struct cqle_option_map){ .count = 0 };
	cqle_option_put(arena, &o->caching, LAB_VIEW("keys"), LAB_VIEW("ALL"));
	cqle_option_put(arena, &o->caching, LAB_VIEW("rows_per_partition"), LAB_VIEW("NONE"));
}

static int set_bloom(const struct setter *s, struct cqle_table *t)
{
	double chance;
	if (floating(s, &chance) < 0)
		return -1;
	t->options.bloom_filter_fp_chance = chance;
	if (chance > 6.71e-5 && chance <= 1)
		return 0;
	return cqle_fail(s->err, CQL_E_CONFIG,
		"bloom_filter_fp_chance must be larger than 6.71E-5 and less than or equal to 1.0 "
		"(got %s)",
		cqle_option_double(s->arena, chance));
}

static int set_caching(const struct setter *s, struct cqle_table *t)
{
	struct cqle_option_map map;
	if (option_map(s, &map) < 0)
		return -1;
	caching_default(s->arena, &t->options);
	if (map.count == 0) /* means that nothing is cached */
		cqle_option_put(s->arena, &t->options.caching, LAB_VIEW("keys"), LAB_VIEW("NONE"));
	for (size_t i = 0; i < map.count; i++) {
		if (caching_value(s, &t->options, &map.pairs[i]) < 0)
			return -1;
	}
	return 0;
}

static int set_comment(const struct setter *s, struct cqle_table *t)
{
	struct lab_view text;
	if (simple(s, &text) < 0)
		return -1;
	t->comment = lab_arena_copy(s->arena, text);
	return 0;
}

static int set_compaction(const struct setter *s, struct cqle_table *t)
{
	struct cqle_option_map map;
	return option_map(s, &map) < 0
		       ? -1
		       : cqle_compaction_set(s->arena, &map, &t->options.compaction, s->err);
}

static int check_crc(const struct setter *s, double chance)
{
	if (chance >= 0 && chance <= 1)
		return 0;
	return cqle_fail(s->err, CQL_E_CONFIG,
		"crc_check_chance must be larger than or equal to 0 and smaller than or equal to "
		"1.0 (got %s)",
		cqle_option_double(s->arena, chance));
}

static int set_compression(const struct setter *s, struct cqle_table *t)
{
	struct cqle_option_map map;
	if (option_map(s, &map) < 0 || cqle_compression_set(s->arena, &map, &t->options.compression,
					       &t->options.crc_check_chance, s->err) < 0)
		return -1;
	return check_crc(s, t->options.crc_check_chance);
}

static int set_ttl(const struct setter *s, struct cqle_table *t)
{
	int32_t value = 0;
	int result = integer(s, 0, CQLE_TTL_MAX, &value);
	t->default_ttl_s = (uint32_t)value;
	return result;
}

static int set_gc_grace(const struct setter *s, struct cqle_table *t)
{
	int32_t value = 0;
	int result = integer(s, 0, INT32_MAX, &value);
	t->gc_grace_s = (uint32_t)value;
	return result;
}

static int set_flush_period(const struct setter *s, struct cqle_table *t)
{
	return integer(s, 0, INT32_MAX, &t->options.memtable_flush_period_ms);
}

static int check_intervals(const struct setter *s, int32_t min, int32_t max)
{
	if (max >= min)
		return 0;
	return cqle_fail(s->err, CQL_E_CONFIG,
		"max_index_interval must be greater than or equal to min_index_interval (%d) "
		"(got %d)",
		min, max);
}

static int set_min_interval(const struct setter *s, struct cqle_table *t)
{
	return integer(s, 1, INT32_MAX, &t->options.min_index_interval);
}

static int set_max_interval(const struct setter *s, struct cqle_table *t)
{
	return integer(s, INT32_MIN, INT32_MAX, &t->options.max_index_interval);
}

static int set_crc(const struct setter *s, struct cqle_table *t)
{
	return floating(s, &t->options.crc_check_chance) < 0
		       ? -1
		       : check_crc(s, t->options.crc_check_chance);
}

static int set_cdc(const struct setter *s, struct cqle_table *t)
{
	return cqle_option_boolean(s->p, &t->options.cdc, s->err);
}

static int set_retry(const struct setter *s, struct cqle_table *t)
{
	struct lab_view text;
	if (simple(s, &text) < 0)
		return -1;
	if (cqle_retry_parse(text, &t->retry) < 0)
		return bad_retry(text, s->err);
	t->retry_text = lab_view_cstr(cqle_retry_text(s->arena, &t->retry));
	return 0;
}

static int set_write_policy(const struct setter *s, struct cqle_table *t)
{
	struct cqle_retry policy;
	struct lab_view text;
	if (simple(s, &text) < 0)
		return -1;
	if (cqle_retry_parse(text, &policy) < 0)
		return bad_retry(text, s->err);
	t->options.additional_write_policy = lab_view_cstr(cqle_retry_text(s->arena, &policy));
	return 0;
}

static int set_read_repair(const struct setter *s, struct cqle_table *t)
{
	struct lab_view text;
	if (simple(s, &text) < 0)
		return -1;
	t->repairs_nothing = lab_view_eq_nocase(text, LAB_VIEW("none"));
	if (t->repairs_nothing || lab_view_eq_nocase(text, LAB_VIEW("blocking")))
		return 0;
	return cqle_fail(s->err, CQL_E_SERVER_ERROR,
		"java.lang.IllegalArgumentException: No enum constant "
		"org.apache.cassandra.service.reads.repair.ReadRepairStrategy.%.*s",
		LAB_VIEW_ARG(upper(s->arena, text)));
}

static int set_id(const struct setter *s, struct cqle_table *t)
{
	struct lab_view text;
	uint8_t id[CQL_UUID_BYTES];
	if (simple(s, &text) < 0)
		return -1;
	if (cql_uuid_parse(text, id) < 0)
		return cqle_fail(s->err, CQL_E_CONFIG, "Invalid table id");
	if (t->stores != NULL)
		return cqle_fail(s->err, CQL_E_CONFIG, "Cannot alter table id.");
	memcpy(t->id, id, sizeof(t->id));
	t->options.has_id = true;
	for (size_t i = 0; i < s->emu->table_count; i++) {
		const struct cqle_table *other = s->emu->tables[i];
		if (memcmp(other->id, t->id, sizeof(t->id)) == 0)
			return cqle_fail(s->err, CQL_E_SERVER_ERROR,
				"java.lang.IllegalArgumentException: Multiple entries with same "
				"key: %.*s=%.*s and %.*s=%.*s",
				LAB_VIEW_ARG(text), LAB_VIEW_ARG(t->full_name), LAB_VIEW_ARG(text),
				LAB_VIEW_ARG(other->full_name));
	}
	return 0;
}

static int set_nothing(const struct setter *s, struct cqle_table *t)
{
	(void)s;
	(void)t;
	return 0;
}

/* In the order in which they are read and checked. */
static const struct {
	const char *name;
	int (*set)(const struct setter *s, struct cqle_table *t);
} options[] = { { "compaction", set_compaction }, { "compression", set_compression },
	{ "bloom_filter_fp_chance", set_bloom }, { "crc_check_chance", set_crc },
	{ "default_time_to_live", set_ttl }, { "gc_grace_seconds", set_gc_grace },
	{ "min_index_interval", set_min_interval }, { "max_index_interval", set_max_interval },
	{ "memtable_flush_period_in_ms", set_flush_period }, { "caching", set_caching },
	{ "comment", set_comment }, { "speculative_retry", set_retry },
	{ "additional_write_policy", set_write_policy }, { "cdc", set_cdc },
	{ "read_repair", set_read_repair }, { "id", set_id }, { "extensions", set_nothing } };

static const struct property *find_property(const struct statement *s, const char *name)
{
	for (size_t i = 0; i < s->property_count; i++) {
		if (s->properties[i].kind != PROPERTY_CLUSTERING_ORDER &&
			lab_view_eq_cstr(s->properties[i].name, name))
			return &s->properties[i];
	}
	return NULL;
}

static int check_known(const struct statement *s, struct lab_error *err)
{
	for (size_t i = 0; i < s->property_count; i++) {
		const struct property *p = &s->properties[i];
		bool known = p->kind == PROPERTY_CLUSTERING_ORDER;
		for (size_t j = 0; j < LAB_COUNT_OF(options); j++)
			known = known || lab_view_eq_cstr(p->name, options[j].name);
		if (!known)
			return cqle_fail(err, CQL_E_SYNTAX, "Unknown property '%.*s'",
				LAB_VIEW_ARG(p->name));
	}
	return 0;
}

static int set_all(struct setter *s, const struct statement *statement, struct cqle_table *t)
{
	for (size_t i = 0; i < LAB_COUNT_OF(options); i++) {
		s->p = find_property(statement, options[i].name);
		if (s->p != NULL && options[i].set(s, t) < 0)
			return -1;
	}
	return check_intervals(s, t->options.min_index_interval, t->options.max_index_interval);
}

void cqle_options_default(struct cqle_table_options *o)
{
	static struct cqle_option_pair caching[] = { { LAB_VIEW("keys"), LAB_VIEW("ALL") },
		{ LAB_VIEW("rows_per_partition"), LAB_VIEW("NONE") } };
	static struct cqle_option_pair compaction[] = {
		{ LAB_VIEW("class"), LAB_VIEW("org.apache.cassandra.db.compaction."
					      "SizeTieredCompactionStrategy") },
		{ LAB_VIEW("max_threshold"), LAB_VIEW("32") },
		{ LAB_VIEW("min_threshold"), LAB_VIEW("4") }
	};
	static struct cqle_option_pair compression[] = { { LAB_VIEW("chunk_length_in_kb"),
								 LAB_VIEW("16") },
		{ LAB_VIEW("class"), LAB_VIEW("org.apache.cassandra.io.compress.LZ4Compressor") } };
	*o = (struct cqle_table_options){ .bloom_filter_fp_chance = 0.01,
		.crc_check_chance = 1,
		.caching = { caching, LAB_COUNT_OF(caching) },
		.compaction = { compaction, LAB_COUNT_OF(compaction) },
		.compression = { compression, LAB_COUNT_OF(compression) },
		.additional_write_policy = LAB_VIEW("99p"),
		.min_index_interval = 128,
		.max_index_interval = 2048 };
}

static bool is_leveled(const struct cqle_table_options *o)
{
	const struct lab_view *class = cqle_option_get(&o->compaction, "class");
	return lab_view_ends_with(*class, LAB_VIEW(".LeveledCompactionStrategy"));
}

static void table_default(struct cqle_table *t)
{
	t->gc_grace_s = GC_GRACE_S;
	t->retry_text = LAB_VIEW("99p");
	(void)cqle_retry_parse(t->retry_text, &t->retry);
	cqle_options_default(&t->options);
}

int cqle_options_set(struct cqlemu *emu, const struct statement *s, struct cqle_table *table,
	struct lab_error *err)
{
	struct setter setter = { .emu = emu, .arena = emu->permanent, .err = err };
	bool alter = s->kind == STATEMENT_ALTER_TABLE;
	if (check_known(s, err) < 0)
		return -1;
	if (alter) { /* as if it were new, first */
		struct cqle_table fresh = *table;
		table_default(&fresh);
		if (set_all(&setter, s, &fresh) < 0)
			return -1;
	} else {
		table_default(table);
	}
	if (set_all(&setter, s, table) < 0)
		return -1;
	if (table->default_ttl_s > 0 && cqle_table_is_counter(table))
		return cqle_fail(err, CQL_E_INVALID,
			"Cannot set default_time_to_live on a table with counters");
	if (!alter && is_leveled(&table->options) &&
		find_property(s, "bloom_filter_fp_chance") == NULL)
		table->options.bloom_filter_fp_chance = 0.1;
	return 0;
}

static bool same(double a, double b)
{
	return !(a < b) && !(a > b);
}

bool cqle_options_equal(const struct cqle_table *a, const struct cqle_table *b)
{
	const struct cqle_table_options *x = &a->options, *y = &b->options;
	return a->gc_grace_s == b->gc_grace_s && a->default_ttl_s == b->default_ttl_s &&
	       lab_view_eq(a->comment, b->comment) && lab_view_eq(a->retry_text, b->retry_text) &&
	       a->repairs_nothing == b->repairs_nothing && x->cdc == y->cdc &&
	       same(x->bloom_filter_fp_chance, y->bloom_filter_fp_chance) &&
	       same(x->crc_check_chance, y->crc_check_chance) &&
	       x->min_index_interval == y->min_index_interval &&
	       x->max_index_interval == y->max_index_interval &&
	       x->memtable_flush_period_ms == y->memtable_flush_period_ms &&
	       maps_equal(&x->caching, &y->caching) && maps_equal(&x->compaction, &y->compaction) &&
	       maps_equal(&x->compression, &y->compression);
}
