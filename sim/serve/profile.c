/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/profile-private.h"

#include "sim/serve/latency-file.h"

#define NAME_MAX_BYTES 63
#define KEY_ID_MIN 16
#define KEY_ID_MAX 128

static const char *const section_names[] = { "serve", "s3", "imds", "sproxyd", "cdmi", "cql", "key",
	"bucket", "peer" };

struct loader {
	struct profile *profile;
	struct lab_arena *arena;
	struct conf_problems *problems;
};

#define COMPLAIN(loader, where, ...) conf_problem_add((loader)->problems, true, where, __VA_ARGS__)

/* Where a key stands, or the section if it does not. */
static struct conf_where where_of(const struct conf_section *section, const char *key)
{
	const struct conf_setting *setting = conf_setting_in(section, key);

	return setting == NULL ? section->where : setting->value_where;
}

/* ---- one section of a kind ---- */

static bool is_lognormal(const struct conf_range *range)
{
	return range->kind == CONF_RANGE_FIXED || range->kind == CONF_RANGE_LOGNORMAL;
}

static void check_s3(struct loader *loader, const struct conf_section *section)
{
	const struct profile_s3 *s3 = &loader->profile->s3;

	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
		const struct conf_key *key = conf_key_find(&profile_vocabulary, "s3", s->name);

		if (key != NULL && key->type == CONF_KEY_LATENCY &&
			!is_lognormal((const void *)((const char *)s3 + key->offset)))
			COMPLAIN(loader, s->value_where,
				"%s: %.*s is neither a time nor lognormal A..B", key->name,
				LAB_VIEW_ARG(s->value));
	}
	if (s3->region.len == 0)
		COMPLAIN(loader, where_of(section, "region"), "region: it is empty");
	if (s3->receive_max < s3->body_max)
		COMPLAIN(loader, where_of(section, "receive_max"),
			"receive_max: it is less than body_max, so that the largest bodies would "
			"always be refused");
}

static void check_imds(struct loader *loader, const struct conf_section *section)
{
	const struct profile_imds *imds = &loader->profile->imds;

	if (imds->role.len == 0)
		COMPLAIN(loader, where_of(section, "role"), "role: it is empty");
	if (!is_lognormal(&imds->latency))
		COMPLAIN(loader, where_of(section, "latency"),
			"latency: it is neither a time nor lognormal A..B");
	if (imds->rotate > imds->lifetime)
		COMPLAIN(loader, where_of(section, "rotate"),
			"rotate: it must not be longer than lifetime");
	if (imds->rotate % LAB_SEC != 0 || imds->lifetime % LAB_SEC != 0)
		COMPLAIN(loader, where_of(section, "rotate"),
			"rotate and lifetime are whole seconds");
	if (imds->throttle_status != 429 && imds->throttle_status != 503)
		COMPLAIN(loader, where_of(section, "throttle_status"),
			"throttle_status: it is neither 429 nor 503");
}

/* What is put into CREATE KEYSPACE as it is. */
static bool is_keyspace(struct lab_view name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(i > 0 && ((c >= '0' && c <= '9') || c == '_')))
			return false;
	}
	return name.len > 0 && name.len <= 48;
}

/* "DC:RACK", as in cassandra-topology.properties. */
static bool is_place(struct lab_view text)
{
	struct lab_view dc;

	return lab_view_split(&text, ':', &dc) && dc.len > 0 && text.len > 0 &&
	       lab_view_find(text, LAB_VIEW(":")) == SIZE_MAX;
}

static void check_topology(struct loader *loader, const struct conf_section *section)
{
	const struct profile_cql *cql = &loader->profile->cql;

	for (size_t i = 0; i < cql->topology.count; i++) {
		if (!is_place(cql->topology.items[i]))
			COMPLAIN(loader, where_of(section, "topology"),
				"topology: '%.*s' is not DATACENTER:RACK",
				LAB_VIEW_ARG(cql->topology.items[i]));
	}
	if (cql->topology.count == 0)
		COMPLAIN(loader, where_of(section, "topology"), "topology: it is empty");
	if (cql->topology.count > cql->nodes)
		COMPLAIN(loader, where_of(section, "topology"),
			"topology: it has more places than there are nodes");
}

static void check_cql(struct loader *loader, const struct conf_section *section)
{
	const struct profile_cql *cql = &loader->profile->cql;

	for (size_t i = 0; i < cql->keyspaces.count; i++) {
		if (!is_keyspace(cql->keyspaces.items[i]))
			COMPLAIN(loader, where_of(section, "keyspaces"),
				"keyspaces: '%.*s' is not a name of up to 48 small letters, digits "
				"and '_'",
				LAB_VIEW_ARG(cql->keyspaces.items[i]));
	}
	if (conf_setting_in(section, "replication_factor") != NULL &&
		cql->replication_factor > cql->nodes)
		COMPLAIN(loader, where_of(section, "replication_factor"),
			"replication_factor: it is more than there are nodes");
	if ((cql->user.len == 0) != (cql->password.len == 0))
		COMPLAIN(loader, where_of(section, "user"), "user and password go together");
	check_topology(loader, section);
}

/* ---- many sections of a kind ---- */

static bool has_label(
	struct loader *loader, const struct conf_section *section, size_t min, size_t max)
{
	if (section->label.len >= min && section->label.len <= max)
		return true;
	COMPLAIN(loader, section->where,
		section->label.len == 0    ? "%.*s needs a name: %.*s NAME { }"
		: section->label.len > max ? "%.*s: the name of this %.*s is too long"
					   : "%.*s: the name of this %.*s is too short",
		LAB_VIEW_ARG(section->name), LAB_VIEW_ARG(section->name));
	return false;
}

/* The sections of that name and label up to this one: 1 if it is the first. */
static bool is_first(struct loader *loader, const struct conf_section *section)
{
	const struct conf_section *c = section->parent->children;

	for (; c != section; c = c->next) {
		if (!lab_view_eq(c->name, section->name) || !lab_view_eq(c->label, section->label))
			continue;
		COMPLAIN(loader, section->where, "%.*s%s%.*s is there twice",
			LAB_VIEW_ARG(section->name), section->label.len > 0 ? " " : "",
			LAB_VIEW_ARG(section->label));
		return false;
	}
	return true;
}

static void read_bucket(struct loader *loader, const struct conf_section *section)
{
	struct profile *p = loader->profile;
	struct profile_bucket *bucket = &p->buckets[p->bucket_count];
	uint64_t n;

	if (!has_label(loader, section, 3, NAME_MAX_BYTES) || !is_first(loader, section))
		return;
	if (p->bucket_count == PROFILE_BUCKETS_MAX) {
		COMPLAIN(loader, section->where, "more than %d buckets", PROFILE_BUCKETS_MAX);
		return;
	}
	*bucket = (struct profile_bucket){ .name = section->label, .where = section->where };
	conf_keys_defaults(&profile_vocabulary, "bucket", bucket);
	bucket->rates = p->s3.rates;
	conf_keys_read(&profile_vocabulary, "bucket", section, bucket, loader->problems);
	n = bucket->partitions;
	if (n != 1 && n != 16 && n != 256)
		COMPLAIN(loader, where_of(section, "partitions"),
			"partitions: it is none of 1, 16 and 256");
	if (n != 1 && bucket->partition_starts.count > 0)
		COMPLAIN(loader, where_of(section, "partition_starts"),
			"partition_starts: partitions says already where they start");
	p->bucket_count++;
}

static void read_key(struct loader *loader, const struct conf_section *section)
{
	struct profile *p = loader->profile;
	struct profile_key *key = &p->keys[p->key_count];

	if (!has_label(loader, section, KEY_ID_MIN, KEY_ID_MAX) || !is_first(loader, section))
		return;
	if (p->key_count == PROFILE_KEYS_MAX) {
		COMPLAIN(loader, section->where, "more than %d keys", PROFILE_KEYS_MAX);
		return;
	}
	*key = (struct profile_key){ .id = section->label, .where = section->where };
	conf_keys_defaults(&profile_vocabulary, "key", key);
	conf_keys_read(&profile_vocabulary, "key", section, key, loader->problems);
	if (key->secret.len == 0)
		COMPLAIN(loader, where_of(section, "secret"), "key %.*s has no secret",
			LAB_VIEW_ARG(key->id));
	p->key_count++;
}

static void read_peer(struct loader *loader, const struct conf_section *section)
{
	struct profile *p = loader->profile;
	struct profile_peer *peer = &p->peers[p->peer_count];

	if (!has_label(loader, section, 1, NAME_MAX_BYTES) || !is_first(loader, section))
		return;
	if (p->peer_count == PROFILE_PEERS_MAX) {
		COMPLAIN(loader, section->where, "more than %d peers", PROFILE_PEERS_MAX);
		return;
	}
	*peer = (struct profile_peer){ .name = section->label, .where = section->where };
	conf_keys_defaults(&profile_vocabulary, "peer", peer);
	conf_keys_read(&profile_vocabulary, "peer", section, peer, loader->problems);
	peer->zone_text = lab_arena_cstr(loader->arena, peer->zone);
	if (peer->address.len == 0)
		COMPLAIN(loader, where_of(section, "address"), "peer %.*s has no address",
			LAB_VIEW_ARG(peer->name));
	p->peer_count++;
}

/* ---- the file ---- */

static void read_single(struct loader *loader, const struct conf_section *section, void *object,
	void (*check)(struct loader *loader, const struct conf_section *section))
{
	char name[16];

	lab_assert(lab_view_to_cstr(section->name, name, sizeof(name)) == 0);
	if (section->label.ptr != NULL)
		COMPLAIN(loader, section->where, "section %s takes no name", name);
	if (is_first(loader, section))
		conf_keys_read(&profile_vocabulary, name, section, object, loader->problems);
	if (check != NULL && loader->problems->errors == 0)
		check(loader, section);
}

static void read_section(struct loader *loader, const struct conf_section *section)
{
	struct profile *p = loader->profile;
	char hint[CONF_HINT_MAX];

	if (lab_view_eq_cstr(section->name, "serve"))
		read_single(loader, section, &p->serve, NULL);
	else if (lab_view_eq_cstr(section->name, "imds"))
		read_single(loader, section, &p->imds, check_imds);
	else if (lab_view_eq_cstr(section->name, "sproxyd"))
		read_single(loader, section, &p->sproxyd, NULL);
	else if (lab_view_eq_cstr(section->name, "cdmi"))
		read_single(loader, section, &p->cdmi, NULL);
	else if (lab_view_eq_cstr(section->name, "cql"))
		read_single(loader, section, &p->cql, check_cql);
	else if (lab_view_eq_cstr(section->name, "key"))
		read_key(loader, section);
	else if (lab_view_eq_cstr(section->name, "bucket"))
		read_bucket(loader, section);
	else if (lab_view_eq_cstr(section->name, "peer"))
		read_peer(loader, section);
	else if (!lab_view_eq_cstr(section->name, "s3"))
		COMPLAIN(loader, section->where, "unknown section %.*s%s",
			LAB_VIEW_ARG(section->name),
			conf_hint(conf_suggest_of(section->name, section_names,
					  LAB_COUNT_OF(section_names)),
				hint));
}

static void read_file(struct loader *loader, const struct conf_section *root)
{
	for (const struct conf_setting *t = root->settings; t != NULL; t = t->next)
		COMPLAIN(loader, t->where, "%.*s stands in no section", LAB_VIEW_ARG(t->name));
	/* First, because buckets take its rates where they have none of their own. */
	for (const struct conf_section *c = conf_section_next(root, "s3", NULL); c != NULL;
		c = conf_section_next(root, "s3", c))
		read_single(loader, c, &loader->profile->s3, check_s3);
	for (const struct conf_section *c = root->children; c != NULL; c = c->next)
		read_section(loader, c);
}

static struct profile *new_profile(const char *path, struct lab_arena *arena)
{
	struct profile *p = lab_arena_new_of(arena, struct profile);

	p->path = path;
	p->buckets = lab_arena_array(arena, struct profile_bucket, PROFILE_BUCKETS_MAX + 1);
	p->keys = lab_arena_array(arena, struct profile_key, PROFILE_KEYS_MAX + 1);
	p->peers = lab_arena_array(arena, struct profile_peer, PROFILE_PEERS_MAX + 1);
	for (size_t i = 0; i < S3EMU_CLASS_COUNT; i++)
		p->s3.latency[i] = conf_range_fixed(UINT64_MAX);
	conf_keys_defaults(&profile_vocabulary, "serve", &p->serve);
	conf_keys_defaults(&profile_vocabulary, "s3", &p->s3);
	conf_keys_defaults(&profile_vocabulary, "imds", &p->imds);
	conf_keys_defaults(&profile_vocabulary, "sproxyd", &p->sproxyd);
	conf_keys_defaults(&profile_vocabulary, "cdmi", &p->cdmi);
	conf_keys_defaults(&profile_vocabulary, "cql", &p->cql);
	return p;
}

struct profile *profile_default(struct lab_arena *arena)
{
	struct profile *p = new_profile(NULL, arena);

	conf_keys_defaults(&profile_vocabulary, "key", p->keys);
	p->keys[0].id = LAB_VIEW(PROFILE_DEFAULT_KEY);
	p->keys[0].secret = LAB_VIEW(PROFILE_DEFAULT_SECRET);
	p->key_count = 1;
	return p;
}

static void load_latencies(
	struct loader *loader, const struct conf_section *root, const struct conf_reader *reader)
{
	struct profile_s3 *s3 = &loader->profile->s3;
	const struct conf_section *section = conf_section_next(root, "s3", NULL);
	struct lab_error err;

	for (size_t c = 0; c < S3EMU_CLASS_COUNT; c++) {
		if (s3->latency_file[c].len > 0 &&
			latency_file_load(s3->latency_file[c], reader, loader->arena,
				&s3->measured[c], &err) < 0)
			COMPLAIN(loader, section->where, "%s", err.message);
	}
}

static int read_root(const char *path, const struct conf_section *root,
	const struct conf_reader *reader, struct lab_arena *arena, struct conf_problems *problems,
	struct profile **ret, struct lab_error *err)
{
	struct loader loader = { new_profile(path, arena), arena, problems };

	read_file(&loader, root);
	load_latencies(&loader, root, reader);
	if (problems->errors > 0)
		return lab_fail(err, LAB_INVALID, "%s has %zu error%s", path, problems->errors,
			problems->errors == 1 ? "" : "s");
	*ret = loader.profile;
	return 0;
}

int profile_load(const char *path, const struct conf_reader *reader, struct lab_arena *arena,
	struct conf_problems *problems, struct profile **ret, struct lab_error *err)
{
	struct conf_section *root;

	if (conf_parse(lab_view_cstr(path), reader, CONF_PARSE_LITERAL, arena, problems, &root,
		    err) < 0)
		return -1;
	return read_root(path, root, reader, arena, problems, ret, err);
}

int profile_load_text(const char *name, struct lab_view text, struct lab_arena *arena,
	struct conf_problems *problems, struct profile **ret, struct lab_error *err)
{
	struct conf_section *root;

	if (conf_parse_text(name, text, NULL, CONF_PARSE_LITERAL, arena, problems, &root, err) < 0)
		return -1;
	return read_root(name, root, NULL, arena, problems, ret, err);
}
