/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "core/conf/conf-value.h"
#include "core/conf/conf.h"
#include "core/base/defect.h"

#define DOC_COLUMN 28
#define DOC_WIDTH 72

static const char *const defect_names[] = {
#define X(name, text, source, first, doc) text,
#include "core/base/defects.def"
#undef X
};

struct option {
	const char *name;
	enum cli_option id;
	size_t text; /* offset of the field that takes the value as it is; 0: read_option() */
	const char *argument; /* of its value; NULL: it has none */
	const char *doc;      /* NULL: another name of the next one */
};
#define FIELD(name) offsetof(struct options, name)
static const struct option table[] = {
	{ "--seed", OPTION_SEED, 0, "S", "the seed of the run (1)" },
	{ "--seeds", OPTION_SEEDS, 0, "A..B", "the seeds of the campaign (1..100)" },
	{ "-t", OPTION_TIME, 0, "TIME", "for so long at most: 90s, 10min, 2h" },
	{ "-j", OPTION_WORKERS, 0, "N", "so many workers (one for each core)" },
	{ "--defect", OPTION_DEFECT, 0, "NAME",
		"a known mistake, switched on: the oracle must find it" },
	{ "--set", OPTION_SET, 0, "SECTION.KEY=V",
		"a scenario's key, for all sections of that name" },
	{ "--inject", OPTION_INJECT, 0, "FAULT",
		"[>]POINT:KIND:N[+[TIME]][:DISK,DOWN]: the N-th request there fails; + and all "
		"later ones; DISK,DOWN: and its backend crashes (keep,2s)" },
	{ "--fault", OPTION_FAULT, 0, "POINT[:KIND]", "only these; * at the end; crash: crashes" },
	{ "--then", OPTION_FAULT, FIELD(then), "KIND",
		"and all there in the next second by this one" },
	{ "--conf", OPTION_CONF, FIELD(conf), "FILE",
		"an operator's dovecot.conf, unchanged; for a scenario instead of what it "
		"includes" },
	{ "--mbox", OPTION_MBOX, FIELD(mbox), "FILE|DIR",
		"real mails: an mbox, or a folder of .eml files" },
	{ "--world", OPTION_WORLD, 0, "sim|live",
		"live: over sockets of this machine, in real time" },
	{ "--json", OPTION_JSON, 0, NULL, "machine-readable" },
	{ "--first", OPTION_FIRST, 0, NULL, "stop at the first failure" },
	{ "--until", OPTION_UNTIL, 0, "TIME|#EVENT", "stop there" },
	{ "--quiet", OPTION_QUIET, 0, NULL, "no progress, no events" },
	{ "--guard", OPTION_GUARD, 0, "N",
		"one of N seeds is run twice, and each that fails (64); 0: none" },
	{ "--explore", OPTION_GUARD, 0, NULL, "go on from runs that were where none had been" },
	{ "-o", OPTION_OUTPUT, FIELD(output), "FILE",
		"where the result goes; of test --explore a folder" },
	{ "--history", OPTION_HISTORY, FIELD(history), "FILE",
		"what clients asked for and were told" },
	{ "--profile-checks", OPTION_HISTORY, 0, NULL,
		"what share of the time each checker takes" },
	{ "--history-elle", OPTION_HISTORY, FIELD(history_elle), "FILE",
		"the history for the checker Elle (list-append, EDN)" },
	{ "--s3", OPTION_S3, FIELD(s3), "URL",
		"with --world live: an S3 server that is not ours, with a key and an empty bucket: "
		"http://KEY:SECRET@HOST:PORT/?bucket=B" },
	{ "--cql", OPTION_CQL, FIELD(cql), "HOST[,HOST...]:PORT",
		"with --world live: a Cassandra that is not ours; its keyspace is made, and "
		"dropped. User and password: OBOXLAB_CQL_USER, OBOXLAB_CQL_PASSWORD, or the "
		"settings" },
	{ "--s3", OPTION_LISTEN, FIELD(s3), "A:P",
		"where S3 listens; without addresses all services do, on loopback; port 0: any" },
	{ "--cql", OPTION_LISTEN, FIELD(cql), "A:P", "where Cassandra listens" },
	{ "--imds", OPTION_LISTEN, FIELD(imds), "A:P", "where the metadata service listens" },
	{ "--sproxyd", OPTION_LISTEN, FIELD(sproxyd), "A:P", "where Scality's sproxyd listens" },
	{ "--cdmi", OPTION_LISTEN, FIELD(cdmi), "A:P", "where Scality's CDMI listens" },
	{ "--admin", OPTION_SERVE, FIELD(admin), "A:P",
		"health, counters, log, faults; loopback only" },
	{ "--data", OPTION_SERVE, FIELD(data), "DIR",
		"S3's and Cassandra's data outlive the program (SQLite)" },
	{ "--tls-cert", OPTION_SERVE, FIELD(tls_cert), "FILE",
		"S3 and Cassandra speak TLS with this certificate (PEM)" },
	{ "--tls-key", OPTION_SERVE, FIELD(tls_key), "FILE", "and this key" },
	{ "--tls-client-ca", OPTION_SERVE, FIELD(tls_client_ca), "FILE",
		"and want a certificate that it signed from each client" },
	{ "--profile", OPTION_SERVE, FIELD(profile), "FILE",
		"buckets, keys, rates, latencies, nodes" },
	{ "--faults", OPTION_SERVE, FIELD(faults), "FILE", "what goes wrong" },
	{ "--server", OPTION_SERVER, 0, "SERVER",
		"bench s3: NAME=http://127.0.0.1:PORT,KEY,SECRET,BUCKET[,PID[,START_MS]]" },
	{ "--cassandra", OPTION_SERVER, FIELD(cassandra), "A:P",
		"a genuine Cassandra beside the emulator; loopback only" },
	{ "--scenarios", OPTION_HUNT, 0, "PATTERN",
		"against these, instead of the directory's storms" },
	{ "--soon", OPTION_HUNT, 0, NULL, "each against the scenario in the table only" },
	{ "--runs", OPTION_SHRINK, 0, "N", "so many runs at most" },
	{ "--filter", OPTION_FS, FIELD(fs.filter), "NAME",
		"obox_fs (default), obox_index_fs, fts_dovecot_fs" },
	{ "--uri", OPTION_FS, FIELD(fs.uri), "URI",
		"instead of --conf and --filter: 's3:http://KEY:SECRET@127.0.0.1:9000/?bucket=b'" },
	{ "-f", OPTION_FS, FIELD(fs.file), "FILE", NULL },
	{ "--file", OPTION_FS, FIELD(fs.file), "FILE",
		"put: what to store; get: where to (also -f)" },
	{ "--user", OPTION_FS, FIELD(fs.user), "USER",
		"%u, %n, %d and mail_home's %h; X-Dovecot-Username" },
	{ "--var", OPTION_FS, 0, "NAME=VALUE", "home, service, session, lip, rip, pid, hostname" },
	{ "--meta", OPTION_FS, 0, "KEY=VALUE", "put, copy: kept beside the object" },
	{ "--map", OPTION_FS, 0, "H:P=A:P",
		"connections to host H port P go to address A port P (\",plain\": no TLS)" },
	{ "--root", OPTION_FS, FIELD(fs.root), "DIR",
		"where fscache and posix keep their files (nowhere)" },
	{ "--ca", OPTION_FS, FIELD(fs.ca_file), "FILE",
		"certificates to trust instead of the system's" },
	{ "--peer", OPTION_PEER, FIELD(fs.peer), "NAME=DIR",
		"metacache pull: the other backend and its \"/\"" },
	{ "-R", OPTION_FS, 0, NULL, "delete, iter: all that is below" },
	{ "--null", OPTION_FS, 0, NULL, "a NUL behind each line instead of a newline" },
	{ "--remote", OPTION_FS, 0, NULL, "other machines than this one may be connected to" },
	{ "-v", OPTION_FS, 0, NULL, "every request and event on standard error" },
};

static int read_seeds(const char *text, struct options *o, struct lab_error *err)
{
	struct lab_view high = lab_view_cstr(text), low;
	size_t dots = lab_view_find(high, LAB_VIEW(".."));

	low = dots == SIZE_MAX ? high : lab_view_sub(high, 0, dots);
	if (dots != SIZE_MAX)
		high = lab_view_skip(high, dots + 2);
	if (lab_view_to_u64(low, &o->first_seed) < 0 || lab_view_to_u64(high, &o->last_seed) < 0 ||
		o->first_seed > o->last_seed || o->last_seed - o->first_seed > 100000000)
		return lab_fail(err, LAB_INVALID, "--seeds: \"%s\" is not a range A..B", text);
	return 0;
}

static int read_defect(const char *text, struct options *o, struct lab_error *err)
{
	char hint[CONF_HINT_MAX];
	enum lab_defect defect;

	if (lab_defect_find(text, &defect)) {
		lab_defects_add(&o->defects, defect);
		return 0;
	}
	return lab_fail(err, LAB_INVALID, "--defect: there is no defect \"%s\"%s", text,
		conf_hint(conf_suggest_of(
				  lab_view_cstr(text), defect_names, LAB_COUNT_OF(defect_names)),
			hint));
}

static int read_world(const char *text, struct options *o, struct lab_error *err)
{
	o->is_live = strcmp(text, "live") == 0;
	if (o->is_live || strcmp(text, "sim") == 0)
		return 0;
	return lab_fail(err, LAB_INVALID, "--world: \"%s\" is neither sim nor live", text);
}

static int read_time(const char *name, const char *text, uint64_t *ret_ns, struct lab_error *err)
{
	if (conf_value_time(lab_view_cstr(text), LAB_SEC, ret_ns, err) < 0)
		return lab_error_wrap(err, "%s", name);
	return 0;
}

/* "#20418" is an event, everything else a time. */
static int read_until(const char *text, struct options *o, struct lab_error *err)
{
	if (text[0] != '#')
		return read_time("--until", text, &o->until_ns, err);
	if (lab_view_to_u64(lab_view_cstr(text + 1), &o->until_event) < 0 || o->until_event == 0)
		return lab_fail(err, LAB_INVALID, "--until: \"%s\" is not an event's number", text);
	return 0;
}

static int read_set(const char *text, struct options *o, struct lab_error *err)
{
	if (o->set_count == OPTIONS_SETS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d --set", OPTIONS_SETS_MAX);
	o->sets[o->set_count++] = text;
	return 0;
}

static int read_number(
	const char *name, const char *text, uint64_t max, uint64_t *ret, struct lab_error *err)
{
	if (lab_view_to_u64(lab_view_cstr(text), ret) < 0 || *ret > max)
		return lab_fail(err, LAB_INVALID, "%s: \"%s\" is not a number up to %" PRIu64, name,
			text, max);
	return 0;
}

static int add_text(
	const char *name, const char *text, const char **list, size_t *count, struct lab_error *err)
{
	_Static_assert(OPTIONS_FS_MAX == OPTIONS_FAULTS_MAX, "lists are equally long");
	if (*count == OPTIONS_FS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d %s", OPTIONS_FS_MAX, name);
	list[(*count)++] = text;
	return 0;
}

static int read_fs(const char *name, const char *text, struct options_fs *fs, struct lab_error *err)
{
	const struct {
		const char *name;
		bool *value;
	} flags[] = { { "-R", &fs->is_recursive }, { "--null", &fs->is_null },
		{ "--remote", &fs->is_remote }, { "-v", &fs->is_verbose } };

	for (size_t i = 0; i < LAB_COUNT_OF(flags); i++) {
		if (strcmp(flags[i].name, name) == 0) {
			*flags[i].value = true;
			return 0;
		}
	}
	if (strcmp(name, "--var") == 0)
		return add_text(name, text, fs->variables, &fs->variable_count, err);
	if (strcmp(name, "--meta") == 0)
		return add_text(name, text, fs->metadata, &fs->metadata_count, err);
	lab_assert(strcmp(name, "--map") == 0);
	return add_text(name, text, fs->maps, &fs->map_count, err);
}

static void read_flag(enum cli_option id, struct options *o)
{
	o->json |= id == OPTION_JSON;
	o->stop_at_first |= id == OPTION_FIRST;
	o->quiet |= id == OPTION_QUIET;
	o->profile_checks |= id == OPTION_HISTORY;
	o->is_soon |= id == OPTION_HUNT;
	o->is_exploring |= id == OPTION_GUARD;
}

static int read_option(
	const struct option *option, const char *text, struct options *o, struct lab_error *err)
{
	uint64_t number = 0;
	int result = 0;

	if (option->text != 0) {
		*(const char **)(void *)((char *)o + option->text) = text;
		return 0;
	}
	if (text == NULL && option->id != OPTION_FS) {
		read_flag(option->id, o);
		return 0;
	}
	switch (option->id) {
	case OPTION_FS:
		return read_fs(option->name, text, &o->fs, err);
	case OPTION_SEED:
		o->has_seed = true;
		return read_number("--seed", text, UINT64_MAX, &o->seed, err);
	case OPTION_SEEDS:
		o->has_seeds = true;
		return read_seeds(text, o, err);
	case OPTION_TIME:
		return read_time("-t", text, &o->time_limit_ns, err);
	case OPTION_WORKERS:
		result = read_number("-j", text, 64, &number, err);
		o->workers = (unsigned)number;
		return result;
	case OPTION_DEFECT:
		return read_defect(text, o, err);
	case OPTION_SHRINK:
		return read_number("--runs", text, 1000000, &o->runs, err);
	case OPTION_GUARD:
		return read_number("--guard", text, 1000000, &o->guard, err);
	case OPTION_SET:
		return read_set(text, o, err);
	case OPTION_WORLD:
		return read_world(text, o, err);
	case OPTION_UNTIL:
		return read_until(text, o, err);
	case OPTION_INJECT:
		return add_text("--inject", text, o->injects, &o->inject_count, err);
	case OPTION_FAULT:
		return add_text("--fault", text, o->patterns, &o->pattern_count, err);
	case OPTION_SERVER:
		return add_text("--server", text, o->servers, &o->server_count, err);
	case OPTION_HUNT:
		return add_text(option->name, text, o->scenarios, &o->scenario_count, err);
	case OPTION_JSON:
	case OPTION_HISTORY:
	case OPTION_FIRST:
	case OPTION_QUIET:
	case OPTION_CONF:
	case OPTION_MBOX:
	case OPTION_OUTPUT:
	case OPTION_S3:
	case OPTION_CQL:
	case OPTION_LISTEN:
	case OPTION_SERVE:
	case OPTION_PEER:
		break;
	}
	lab_bug("an option without a reader");
}

static const struct option *find(const char *text, uint32_t allowed, struct lab_error *err)
{
	const char *names[LAB_COUNT_OF(table)];
	char hint[CONF_HINT_MAX];
	size_t count = 0;

	for (size_t i = 0; i < LAB_COUNT_OF(table); i++) {
		if ((allowed & table[i].id) == 0)
			continue;
		if (strcmp(table[i].name, text) == 0)
			return &table[i];
		names[count++] = table[i].name;
	}
	lab_fail(err, LAB_INVALID, "unknown option %s%s", text,
		conf_hint(conf_suggest_of(lab_view_cstr(text), names, count), hint));
	return NULL;
}

/* Of fs, "-" is standard input. */
static bool is_argument(const char *text, uint32_t allowed)
{
	return text[0] != '-' || (text[1] == '\0' && (allowed & OPTION_FS) != 0);
}

int options_parse(
	int argc, char **argv, uint32_t allowed, struct options *ret, struct lab_error *err)
{
	*ret = (struct options){
		.first_seed = 1, .last_seed = 100, .seed = 1, .guard = OPTIONS_GUARD
	};
	for (int i = 1; i < argc; i++) {
		const struct option *option;

		if (is_argument(argv[i], allowed)) {
			if (ret->argument_count == OPTIONS_SCENARIOS_MAX)
				return lab_fail(err, LAB_LIMIT, "more than %d arguments",
					OPTIONS_SCENARIOS_MAX);
			ret->arguments[ret->argument_count++] = argv[i];
			continue;
		}
		option = find(argv[i], allowed, err);
		if (option == NULL)
			return -1;
		if (option->argument != NULL && i + 1 == argc)
			return lab_fail(err, LAB_INVALID, "%s needs a value", argv[i]);
		if (read_option(option, option->argument != NULL ? argv[++i] : NULL, ret, err) < 0)
			return -1;
	}
	return 0;
}

const char *options_repeat(const struct options *options, struct lab_arena *arena)
{
	const char *text = "";

	for (size_t i = 0; i < options->set_count; i++)
		text = lab_arena_printf(arena, "%s --set '%s'", text, options->sets[i]);
	for (size_t i = 0; i < options->inject_count; i++)
		text = lab_arena_printf(arena, "%s --inject '%s'", text, options->injects[i]);
	if (options->conf != NULL)
		text = lab_arena_printf(arena, "%s --conf '%s'", text, options->conf);
	if (options->mbox != NULL)
		text = lab_arena_printf(arena, "%s --mbox '%s'", text, options->mbox);
	return text;
}

/* "  --name VALUE   doc", the doc in lines of its own column. */
static void print_option(const struct option *option, FILE *to)
{
	char left[DOC_COLUMN * 2];
	int used = snprintf(left, sizeof(left), "  %s %s", option->name,
		option->argument != NULL ? option->argument : "");
	struct lab_view rest = lab_view_cstr(option->doc);

	fprintf(to, "%-*s", DOC_COLUMN, left);
	if (used >= DOC_COLUMN)
		fprintf(to, "\n%*s", DOC_COLUMN, "");
	while (rest.len > DOC_WIDTH) {
		size_t cut = DOC_WIDTH;

		while (cut > 0 && rest.ptr[cut] != ' ')
			cut--;
		lab_assert(cut > 0);
		fprintf(to, "%.*s\n%*s", (int)cut, rest.ptr, DOC_COLUMN, "");
		rest = lab_view_skip(rest, cut + 1);
	}
	fprintf(to, "%.*s\n", LAB_VIEW_ARG(rest));
}

void options_print(uint32_t allowed, FILE *to)
{
	for (size_t i = 0; i < LAB_COUNT_OF(table); i++) {
		if ((allowed & table[i].id) != 0 && table[i].doc != NULL)
			print_option(&table[i], to);
	}
}
