/* SPDX-License-Identifier: Apache-2.0
 *
 * compaction-options.c - the sub-options of compaction and compression.
 */
#include "sim/cql-emulator/table-options.h"

#define COMPACTION "org.apache.cassandra.db.compaction."
#define COMPRESSION "org.apache.cassandra.io.compress."

static struct lab_view full_name(struct lab_arena *arena, const char *prefix, struct lab_view name)
{
	if (lab_view_find_byte(name, '.') != SIZE_MAX)
		return name;
	return lab_view_cstr(lab_arena_printf(arena, "%s%.*s", prefix, LAB_VIEW_ARG(name)));
}

static bool is_boolean(struct lab_view value)
{
	return lab_view_eq_nocase(value, LAB_VIEW("true")) ||
	       lab_view_eq_nocase(value, LAB_VIEW("false"));
}

/* ---- compaction ---- */

enum rule {
	RULE_ANY,
	RULE_POSITIVE_FLOAT, /* "must be greater than 0, but was -1.000000" */
	RULE_FLOAT,
	RULE_POSITIVE_LONG,
	RULE_SIZE,     /* "must be non negative: -1" */
	RULE_LARGER,   /* "must be larger than 0, but was 0" */
	RULE_WINDOW,   /* "0 must be greater than 1 for ..." */
	RULE_INTERVAL, /* "must not be negative, but was -1" */
	RULE_NUMBER,
	RULE_BOOLEAN_EITHER, /* three ways to say the same */
	RULE_BOOLEAN_QUOTED,
	RULE_BOOLEAN_PLAIN,
	RULE_BOOLEAN_IS,
	RULE_WINDOW_UNIT,
	RULE_RESOLUTION
};
struct sub_option {
	const char *name;
	enum rule rule;
};

static const struct sub_option common[] = { { "enabled", RULE_BOOLEAN_PLAIN },
	{ "log_all", RULE_BOOLEAN_QUOTED }, { "max_threshold", RULE_ANY },
	{ "min_threshold", RULE_ANY }, { "only_purge_repaired_tombstones", RULE_ANY },
	{ "provide_overlapping_tombstones", RULE_ANY },
	{ "tombstone_compaction_interval", RULE_POSITIVE_LONG },
	{ "tombstone_threshold", RULE_POSITIVE_FLOAT },
	{ "unchecked_tombstone_compaction", RULE_BOOLEAN_EITHER } };
static const struct sub_option tiered[] = { { "bucket_high", RULE_FLOAT },
	{ "bucket_low", RULE_FLOAT }, { "min_sstable_size", RULE_SIZE } };
static const struct sub_option leveled[] = { { "fanout_size", RULE_LARGER },
	{ "single_sstable_uplevel", RULE_ANY }, { "sstable_size_in_mb", RULE_LARGER } };
static const struct sub_option windowed[] = { { "compaction_window_size", RULE_WINDOW },
	{ "compaction_window_unit", RULE_WINDOW_UNIT },
	{ "expired_sstable_check_frequency_seconds", RULE_INTERVAL },
	{ "timestamp_resolution", RULE_RESOLUTION },
	{ "unsafe_aggressive_sstable_expiration", RULE_BOOLEAN_IS } };
static const struct sub_option dated[] = { { "base_time_seconds", RULE_NUMBER },
	{ "max_sstable_age_days", RULE_NUMBER }, { "max_window_size_seconds", RULE_NUMBER },
	{ "timestamp_resolution", RULE_RESOLUTION } };

static const struct strategy {
	const char *name;
	const struct sub_option *own;
	size_t own_count;
	bool is_tiered; /* has the options of SizeTieredCompactionStrategy, too */
} strategies[] = { { "SizeTieredCompactionStrategy", NULL, 0, true },
	{ "LeveledCompactionStrategy", leveled, LAB_COUNT_OF(leveled), false },
	{ "TimeWindowCompactionStrategy", windowed, LAB_COUNT_OF(windowed), true },
	{ "DateTieredCompactionStrategy", dated, LAB_COUNT_OF(dated), true } };

static const struct strategy *find_strategy(struct lab_view class)
{
	for (size_t i = 0; i < LAB_COUNT_OF(strategies); i++) {
		if (lab_view_starts_with(class, LAB_VIEW(COMPACTION)) &&
			lab_view_eq_cstr(
				lab_view_skip(class, strlen(COMPACTION)), strategies[i].name))
			return &strategies[i];
	}
	return NULL;
}

static const struct sub_option *find_in(
	const struct sub_option *options, size_t count, struct lab_view name)
{
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(name, options[i].name))
			return &options[i];
	}
	return NULL;
}

static const struct sub_option *find_option(const struct strategy *s, struct lab_view name)
{
	const struct sub_option *found = find_in(common, LAB_COUNT_OF(common), name);
	if (found == NULL)
		found = find_in(s->own, s->own_count, name);
	return found == NULL && s->is_tiered ? find_in(tiered, LAB_COUNT_OF(tiered), name) : found;
}

static int not_parsable(
	struct lab_view value, const char *kind, const char *name, struct lab_error *err)
{
	return cqle_fail(err, CQL_E_CONFIG, "%.*s is not a parsable %s for %s", LAB_VIEW_ARG(value),
		kind, name);
}

static int check_float(const struct sub_option *o, struct lab_view value, struct lab_error *err)
{
	double number;
	if (cqle_double_parse(value, false, &number) < 0)
		return not_parsable(
			value, o->rule == RULE_FLOAT ? "float" : "int (base10)", o->name, err);
	if (o->rule == RULE_FLOAT || number > 0)
		return 0;
	return cqle_fail(
		err, CQL_E_CONFIG, "%s must be greater than 0, but was %f", o->name, number);
}

static int check_number(const struct sub_option *o, struct lab_view value, struct lab_error *err)
{
	int64_t number;
	bool is_long = o->rule == RULE_POSITIVE_LONG || o->rule == RULE_SIZE ||
		       o->rule == RULE_INTERVAL || o->rule == RULE_NUMBER;
	if (lab_view_to_i64(value, &number) < 0 ||
		(!is_long && (number > INT32_MAX || number < INT32_MIN)))
		return not_parsable(value, "int (base10)", o->name, err);
	if (number > 0 || (number == 0 && (o->rule == RULE_SIZE || o->rule == RULE_INTERVAL)))
		return 0;
	switch ((int)o->rule) {
	case RULE_POSITIVE_LONG:
		return cqle_fail(err, CQL_E_CONFIG, "%s must be greater than 0, but was %" PRId64,
			o->name, number);
	case RULE_SIZE:
		return cqle_fail(
			err, CQL_E_CONFIG, "%s must be non negative: %" PRId64, o->name, number);
	case RULE_LARGER:
		return cqle_fail(err, CQL_E_CONFIG, "%s must be larger than 0, but was %" PRId64,
			o->name, number);
	case RULE_WINDOW:
		return cqle_fail(err, CQL_E_CONFIG, "%" PRId64 " must be greater than 1 for %s",
			number, o->name);
	default:
		return cqle_fail(err, CQL_E_CONFIG, "%s must not be negative, but was %" PRId64,
			o->name, number);
	}
}

static int check_boolean(const struct sub_option *o, struct lab_view value, struct lab_error *err)
{
	if (is_boolean(value))
		return 0;
	switch ((int)o->rule) {
	case RULE_BOOLEAN_EITHER:
		return cqle_fail(err, CQL_E_CONFIG,
			"'%s' should be either 'true' or 'false', not '%.*s'", o->name,
			LAB_VIEW_ARG(value));
	case RULE_BOOLEAN_QUOTED:
		return cqle_fail(err, CQL_E_CONFIG,
			"'%s' should either be 'true' or 'false', not %.*s", o->name,
			LAB_VIEW_ARG(value));
	case RULE_BOOLEAN_PLAIN:
		return cqle_fail(err, CQL_E_CONFIG,
			"%s should either be 'true' or 'false', not %.*s", o->name,
			LAB_VIEW_ARG(value));
	default:
		return cqle_fail(err, CQL_E_CONFIG, "%s is not 'true' or 'false' (%.*s)", o->name,
			LAB_VIEW_ARG(value));
	}
}

static int check_unit(const struct sub_option *o, struct lab_view value, struct lab_error *err)
{
	static const char *const units[] = { "MINUTES", "HOURS", "DAYS", "SECONDS", "MILLISECONDS",
		"MICROSECONDS", "NANOSECONDS" };
	size_t count = o->rule == RULE_WINDOW_UNIT ? 3 : LAB_COUNT_OF(units);
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(value, units[i]))
			return 0;
	}
	return cqle_fail(
		err, CQL_E_CONFIG, "%.*s is not valid for %s", LAB_VIEW_ARG(value), o->name);
}

static int check_sub_option(
	const struct sub_option *o, struct lab_view value, struct lab_error *err)
{
	switch (o->rule) {
	case RULE_ANY:
		break;
	case RULE_POSITIVE_FLOAT:
	case RULE_FLOAT:
		return check_float(o, value, err);
	case RULE_POSITIVE_LONG:
	case RULE_SIZE:
	case RULE_LARGER:
	case RULE_WINDOW:
	case RULE_INTERVAL:
	case RULE_NUMBER:
		return check_number(o, value, err);
	case RULE_BOOLEAN_EITHER:
	case RULE_BOOLEAN_QUOTED:
	case RULE_BOOLEAN_PLAIN:
	case RULE_BOOLEAN_IS:
		return check_boolean(o, value, err);
	case RULE_WINDOW_UNIT:
	case RULE_RESOLUTION:
		return check_unit(o, value, err);
	}
	return 0;
}

static double bucket(const struct cqle_option_map *map, const char *key, double otherwise)
{
	const struct lab_view *value = cqle_option_get(map, key);
	double number = otherwise;
	if (value != NULL)
		(void)cqle_double_parse(*value, false, &number);
	return number;
}

static int check_buckets(
	struct lab_arena *arena, const struct cqle_option_map *map, struct lab_error *err)
{
	double low = bucket(map, "bucket_low", 0.5), high = bucket(map, "bucket_high", 1.5);
	if (high > low)
		return 0;
	return cqle_fail(err, CQL_E_CONFIG,
		"bucket_high value (%s) is less than or equal to the bucket_low value (%s)",
		cqle_option_double(arena, high), cqle_option_double(arena, low));
}

static int threshold(
	const struct cqle_option_map *map, const char *key, int64_t *ret, struct lab_error *err)
{
	const struct lab_view *value = cqle_option_get(map, key);
	if (lab_view_to_i64(*value, ret) == 0 && *ret <= INT32_MAX && *ret >= INT32_MIN)
		return 0;
	return cqle_fail(err, CQL_E_CONFIG,
		"Invalid value %.*s for '%s' compaction sub-option - must be an integer",
		LAB_VIEW_ARG(*value), key);
}

static int check_thresholds(const struct cqle_option_map *map, struct lab_error *err)
{
	int64_t min, max;
	if (threshold(map, "min_threshold", &min, err) < 0 ||
		threshold(map, "max_threshold", &max, err) < 0)
		return -1;
	if (min <= 0 || max <= 0)
		return cqle_fail(err, CQL_E_CONFIG,
			"Disabling compaction by setting compaction thresholds to 0 has been "
			"removed, set the compaction option 'enabled' to false instead.");
	if (min < 2)
		return cqle_fail(err, CQL_E_CONFIG,
			"Min compaction threshold cannot be less than 2 (got %" PRId64 ")", min);
	if (min > max)
		return cqle_fail(err, CQL_E_CONFIG,
			"Min compaction threshold (got %" PRId64
			") cannot be greater than max compaction threshold (got %" PRId64 ")",
			min, max);
	return 0;
}

static int check_strategy(struct lab_arena *arena, const struct strategy *s,
	const struct cqle_option_map *map, struct lab_error *err)
{
	const char *unknown = "";
	for (size_t i = 0; i < map->count; i++) {
		const struct cqle_option_pair *pair = &map->pairs[i];
		if (lab_view_eq_cstr(pair->key, "class"))
			continue;
		const struct sub_option *o = find_option(s, pair->key);
		if (o == NULL)
			unknown = lab_arena_printf(arena, "%s%s%.*s", unknown,
				unknown[0] == '\0' ? "" : ", ", LAB_VIEW_ARG(pair->key));
		else if (check_sub_option(o, pair->value, err) < 0)
			return -1;
	}
	if (s->is_tiered && check_buckets(arena, map, err) < 0)
		return -1;
	if (unknown[0] != '\0')
		return cqle_fail(err, CQL_E_CONFIG,
			"Properties specified [%s] are not understood by %s", unknown, s->name);
	return check_thresholds(map, err);
}

int cqle_compaction_set(struct lab_arena *arena, const struct cqle_option_map *given,
	struct cqle_option_map *ret, struct lab_error *err)
{
	const struct lab_view *class = cqle_option_get(given, "class");
	if (class == NULL)
		return cqle_fail(err, CQL_E_CONFIG,
			"Missing sub-option 'class' for the 'compaction' option");
	struct lab_view name = full_name(arena, COMPACTION, *class);
	const struct strategy *strategy = find_strategy(name);
	if (strategy == NULL)
		return cqle_fail(err, CQL_E_CONFIG,
			"Unable to find compaction strategy class '%.*s'", LAB_VIEW_ARG(name));
	*ret = (struct cqle_option_map){ .count = 0 };
	cqle_option_put(arena, ret, LAB_VIEW("max_threshold"), LAB_VIEW("32"));
	cqle_option_put(arena, ret, LAB_VIEW("min_threshold"), LAB_VIEW("4"));
	for (size_t i = 0; i < given->count; i++)
		cqle_option_put(arena, ret, given->pairs[i].key, given->pairs[i].value);
	cqle_option_put(arena, ret, LAB_VIEW("class"), name);
	return check_strategy(arena, strategy, ret, err);
}

/* ---- compression ---- */

static const char *const compressors[] = { "LZ4Compressor", "SnappyCompressor", "DeflateCompressor",
	"ZstdCompressor", "NoopCompressor" };

struct compression {
	struct lab_arena *arena;
	const struct cqle_option_map *given;
	struct lab_view class;
	int64_t chunk_kb;
	double ratio;
	double *crc;
	struct lab_error *err;
};

static const struct lab_view *given(const struct compression *c, const char *key)
{
	return cqle_option_get(c->given, key);
}

static int check_class(const struct compression *c, bool on)
{
	const struct lab_view *class = given(c, "class"), *old = given(c, "sstable_compression");
	const char *text = NULL;
	if (on && c->given->count > 0 && class == NULL && old == NULL)
		text = "Missing sub-option 'class' for the 'compression' option.";
	else if (!on && c->given->count > 1)
		text = "If the 'enabled' option is set to false no other options must be specified";
	else if (class != NULL && old != NULL)
		text = "The 'sstable_compression' option must not be used if the compression "
		       "algorithm is already specified by the 'class' option";
	else if (class != NULL && class->len == 0)
		text = "The 'class' option must not be empty. To disable compression use "
		       "'enabled' : false";
	return text == NULL ? 0 : cqle_fail(c->err, CQL_E_CONFIG, "%s", text);
}

/* 1: there is one; 0: compression is off. */
static int compression_class(struct compression *c)
{
	const struct lab_view *enabled = given(c, "enabled");
	const struct lab_view *class = given(c, "class");
	bool on = enabled == NULL || lab_view_eq_nocase(*enabled, LAB_VIEW("true"));
	if (check_class(c, on) < 0)
		return -1;
	if (class == NULL)
		class = given(c, "sstable_compression");
	if (!on || class == NULL || class->len == 0)
		return 0;
	c->class = full_name(c->arena, COMPRESSION, *class);
	return 1;
}

static int chunk_length(struct compression *c)
{
	const struct lab_view *length = given(c, "chunk_length_in_kb");
	const struct lab_view *old = given(c, "chunk_length_kb");
	const struct lab_view *value = length != NULL ? length : old;
	c->chunk_kb = 16;
	if (length != NULL && old != NULL)
		return cqle_fail(c->err, CQL_E_CONFIG,
			"The 'chunk_length_kb' option must not be used if the chunk length is "
			"already specified by the 'chunk_length_in_kb' option");
	if (value == NULL)
		return 0;
	if (lab_view_to_i64(*value, &c->chunk_kb) < 0 || c->chunk_kb > INT32_MAX / 1024)
		return cqle_fail(c->err, CQL_E_CONFIG, "Invalid value for %s",
			length != NULL ? "chunk_length_in_kb" : "chunk_length_kb");
	if (c->chunk_kb <= 0)
		return cqle_fail(
			c->err, CQL_E_CONFIG, "Invalid negative or null chunk_length_in_kb");
	if ((c->chunk_kb & (c->chunk_kb - 1)) != 0)
		return cqle_fail(c->err, CQL_E_CONFIG, "chunk_length_in_kb must be a power of 2");
	return 0;
}

static int compress_ratio(struct compression *c)
{
	const struct lab_view *value = given(c, "min_compress_ratio");
	c->ratio = 0;
	if (value == NULL)
		return 0;
	if (cqle_double_parse(*value, false, &c->ratio) < 0)
		return cqle_fail(c->err, CQL_E_SERVER_ERROR,
			"java.lang.NumberFormatException: For input string: \"%.*s\"",
			LAB_VIEW_ARG(*value));
	if (c->ratio >= 1 || (c->ratio >= 0 && c->ratio <= 0))
		return 0;
	return cqle_fail(c->err, CQL_E_CONFIG,
		"min_compress_ratio can either be 0 or greater than or equal to 1");
}

static bool is_class(const struct compression *c, const char *name)
{
	return lab_view_starts_with(c->class, LAB_VIEW(COMPRESSION)) &&
	       lab_view_eq_cstr(lab_view_skip(c->class, strlen(COMPRESSION)), name);
}

static int lz4_option(struct compression *c, const struct cqle_option_pair *pair)
{
	int64_t level;
	if (lab_view_eq_cstr(pair->key, "lz4_compressor_type")) {
		if (lab_view_eq_cstr(pair->value, "high") || lab_view_eq_cstr(pair->value, "fast"))
			return 0;
		return cqle_fail(c->err, CQL_E_CONFIG,
			"Invalid compressor type '%.*s' specified for LZ4 parameter "
			"'lz4_compressor_type'. Valid options are [high, fast].",
			LAB_VIEW_ARG(pair->value));
	}
	if (lab_view_to_i64(pair->value, &level) == 0 && level >= 1 && level <= 17)
		return 0;
	return cqle_fail(c->err, CQL_E_CONFIG,
		"Invalid value [%.*s] for parameter 'lz4_high_compressor_level'. Value must be "
		"between 1 and 17.",
		LAB_VIEW_ARG(pair->value));
}

static int zstd_option(struct compression *c, const struct cqle_option_pair *pair)
{
	int64_t level;
	if (lab_view_to_i64(pair->value, &level) < 0)
		return cqle_fail(c->err, CQL_E_CONFIG,
			"ZstdCompressor.create() threw an error: java.lang.NumberFormatException "
			"For input string: \"%.*s\"",
			LAB_VIEW_ARG(pair->value));
	if (level >= -131072 && level <= 22)
		return 0;
	return cqle_fail(c->err, CQL_E_CONFIG,
		"ZstdCompressor.create() threw an error: java.lang.IllegalArgumentException "
		"compression_level=%" PRId64 " is invalid",
		level);
}

/* Of the map's keys, those that are not the compressor's own. */
static bool is_general(struct lab_view key)
{
	static const char *const keys[] = { "class", "sstable_compression", "enabled",
		"chunk_length_in_kb", "chunk_length_kb", "min_compress_ratio", "crc_check_chance" };
	for (size_t i = 0; i < LAB_COUNT_OF(keys); i++) {
		if (lab_view_eq_cstr(key, keys[i]))
			return true;
	}
	return false;
}

static int own_options(struct compression *c, struct cqle_option_map *ret)
{
	const char *unknown = "";
	for (size_t i = 0; i < c->given->count; i++) {
		const struct cqle_option_pair *pair = &c->given->pairs[i];
		bool lz4 = is_class(c, "LZ4Compressor") &&
			   (lab_view_eq_cstr(pair->key, "lz4_compressor_type") ||
				   lab_view_eq_cstr(pair->key, "lz4_high_compressor_level"));
		bool zstd = is_class(c, "ZstdCompressor") &&
			    lab_view_eq_cstr(pair->key, "compression_level");
		if (is_general(pair->key))
			continue;
		if (!lz4 && !zstd) {
			unknown = lab_arena_printf(c->arena, "%s%s%.*s", unknown,
				unknown[0] == '\0' ? "" : ", ", LAB_VIEW_ARG(pair->key));
			continue;
		}
		if (lz4 ? lz4_option(c, pair) < 0 : zstd_option(c, pair) < 0)
			return -1;
		cqle_option_put(c->arena, ret, pair->key, pair->value);
	}
	if (unknown[0] == '\0')
		return 0;
	return cqle_fail(c->err, CQL_E_CONFIG, "Unknown compression options %s", unknown);
}

static int known_class(const struct compression *c)
{
	for (size_t i = 0; i < LAB_COUNT_OF(compressors); i++) {
		if (is_class(c, compressors[i]))
			return 0;
	}
	return cqle_fail(c->err, CQL_E_CONFIG, "Could not create Compression for type %.*s",
		LAB_VIEW_ARG(c->class));
}

int cqle_compression_set(struct lab_arena *arena, const struct cqle_option_map *options,
	struct cqle_option_map *ret, double *crc, struct lab_error *err)
{
	struct compression c = { .arena = arena, .given = options, .crc = crc, .err = err };
	*ret = (struct cqle_option_map){ .count = 0 };
	int on = compression_class(&c);
	if (on <= 0) {
		cqle_option_put(arena, ret, LAB_VIEW("enabled"), LAB_VIEW("false"));
		return on;
	}
	if (chunk_length(&c) < 0 || compress_ratio(&c) < 0 || known_class(&c) < 0 ||
		own_options(&c, ret) < 0)
		return -1;
	const struct lab_view *chance = given(&c, "crc_check_chance");
	if (chance != NULL && cqle_double_parse(*chance, false, crc) < 0)
		return cqle_fail(err, CQL_E_CONFIG, "crc_check_chance should be a double");
	cqle_option_put(arena, ret, LAB_VIEW("class"), c.class);
	cqle_option_put(arena, ret, LAB_VIEW("chunk_length_in_kb"),
		lab_view_cstr(lab_arena_printf(arena, "%" PRId64, c.chunk_kb)));
	if (c.ratio >= 1)
		cqle_option_put(arena, ret, LAB_VIEW("min_compress_ratio"),
			lab_view_cstr(cqle_option_double(arena, c.ratio)));
	return 0;
}
