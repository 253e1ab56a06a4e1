// SPDX-License-Identifier: Apache-2.0
// The Node.js driver. CQL_VERSION: the protocol version, or nothing for what it chooses.
import cassandra from "cassandra-driver";

const env = process.env;
const { consistencies, dataTypes } = cassandra.types;
const { Long, Integer, BigDecimal, Uuid, TimeUuid, LocalDate, LocalTime, InetAddress } = cassandra.types;
const HOSTS = env.CQL_HOSTS.split(",");
const LEVELS = JSON.parse(env.CQL_LEVELS);
const NODES = ["cassandra-1", "cassandra-2", "cassandra-3"];
const ROWS = 10000;
const VERSION = Number(env.CQL_VERSION ?? 0);
let failed = 0;

const plain = (value) => JSON.stringify(value, (_, v) => typeof v === "bigint" ? `${v}` : v);
function same(what, got, want) {
	if (plain(got) !== plain(want))
		throw new Error(`${what}: ${plain(got)?.slice(0, 200)} instead of ${plain(want)?.slice(0, 200)}`);
}
function within(what, text, want) {
	if (!`${text}`.includes(want))
		throw new Error(`${what}: no ${want} in ${`${text}`.slice(0, 200)}`);
}
async function raised(what, promise) {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	throw new Error(`${what}: no error`);
}
async function check(name, run) {
	try {
		await run();
		console.log(`ok\t${name}\t`);
	} catch (error) {
		failed++;
		console.log(`FAIL\t${name}\t${`${error?.constructor?.name}: ${error?.message}`.replace(/\s+/g, " ").slice(0, 300)}`);
	}
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what, condition, seconds = 15) {
	const end = Date.now() + seconds * 1000;
	while (!await condition()) {
		if (Date.now() > end)
			throw new Error(`${what}: not within ${seconds} s`);
		await pause(20);
	}
}

async function admin(method, path) {
	const answer = await fetch(env.CQL_ADMIN + path, { method });
	if (!answer.ok)
		throw new Error(`${method} ${path}: ${await answer.text()}`);
	return answer.json();
}
const nodes = async () => (await admin("GET", "/nodes")).nodes;
const act = (name, action) => admin("POST", `/nodes?name=${name}&do=${action}`);
const counters = async () => (await admin("GET", "/counters")).cql;
const statements = async () => Object.fromEntries((await nodes()).map((n) => [n.name, n.statements]));
async function allUp() {
	for (const node of await nodes())
		if (node.state !== "up")
			await act(node.name, node.state === "frozen" ? "thaw" : "start");
	await until("all nodes up", async () => (await nodes()).every((n) => n.seen_up_by.length === 2));
}
async function away(how, names, run) {
	for (const name of names)
		await act(name, how);
	try {
		return await run();
	} finally {
		await allUp();
	}
}

const { policies } = cassandra;
function open(more = {}) {
	return new cassandra.Client({
		contactPoints: [HOSTS[0]], localDataCenter: env.CQL_DC, keyspace: more.keyspace,
		authProvider: new cassandra.auth.PlainTextAuthProvider(more.user ?? env.CQL_USER, more.password ?? env.CQL_PASSWORD),
		protocolOptions: { port: Number(env.CQL_PORT), ...(VERSION ? { maxVersion: VERSION } : {}) },
		policies: { reconnection: new policies.reconnection.ConstantReconnectionPolicy(200), ...more.policies },
		queryOptions: { consistency: consistencies.localQuorum, ...more.queryOptions },
		socketOptions: { readTimeout: more.readTimeout ?? 12000 },
		pooling: { heartBeatInterval: 500 },
	});
}

let client = open();
await client.connect();
const run = (query, params, options) => client.execute(query, params, options);
const prepared = { prepare: true };

await check("protocol version", async () => same("version", client.controlConnection.protocolVersion, VERSION || 4));

await check("three nodes", async () => {
	await until("three hosts", () => client.hosts.values().filter((host) => host.isUp()).length === 3);
	const hosts = client.hosts.values();
	same("addresses", hosts.map((host) => host.address.split(":")[0]).sort(), HOSTS);
	same("data centres", [...new Set(hosts.map((host) => host.datacenter))], [env.CQL_DC]);
	same("racks", hosts.map((host) => host.rack).sort(), ["r1", "r2", "r3"]);
	same("release", [...new Set(hosts.map((host) => host.cassandraVersion))], ["4.0.14"]);
	same("host ids", new Set(hosts.map((host) => `${host.hostId}`)).size, 3);
});

await check("DDL and metadata", async () => {
	const agreed = async (query) => {
		const result = await run(query);
		same(`agreement after ${query}`, result.info.isSchemaInAgreement, true);
	};
	await agreed(`CREATE KEYSPACE clients WITH replication = {'class': 'NetworkTopologyStrategy', '${env.CQL_DC}': 3}`);
	await agreed(`CREATE KEYSPACE single WITH replication = {'class': 'NetworkTopologyStrategy', '${env.CQL_DC}': 1}`);
	await client.shutdown();
	client = open({ keyspace: "clients" });
	await client.connect();
	await agreed("CREATE TABLE rows (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC) " +
		"AND comment = 'of the clients' AND gc_grace_seconds = 3600");
	await agreed("CREATE TABLE single.rows (k int PRIMARY KEY, v text)");
	await agreed("CREATE TABLE small (k text PRIMARY KEY, v int)");
	await agreed("CREATE TABLE counts (k text PRIMARY KEY, n counter)");
	await agreed("CREATE TABLE fixed (p int, c int, s text STATIC, v text, PRIMARY KEY (p, c))");
	const table = await client.metadata.getTable("clients", "rows");
	same("columns", table.columns.map((c) => [c.name, c.type.code]).sort(), [["c", dataTypes.int], ["p", dataTypes.int], ["v", dataTypes.text]]);
	same("partition key", table.partitionKeys.map((c) => c.name), ["p"]);
	same("clustering key", [table.clusteringKeys.map((c) => c.name), table.clusteringOrder], [["c"], ["DESC"]]);
	same("options", [table.comment, table.gcGraceSeconds], ["of the clients", 3600]);
	same("replication", client.metadata.keyspaces.clients.strategy, "org.apache.cassandra.locator.NetworkTopologyStrategy");
	await agreed("ALTER TABLE small ADD extra list<int>");
	same("ALTER", (await client.metadata.getTable("clients", "small")).columnsByName.extra.type.code, dataTypes.list);
	await agreed("ALTER TABLE small DROP extra");
	same("dropped", (await client.metadata.getTable("clients", "small")).columns.map((c) => c.name), ["k", "v"]);
	same("no table", await client.metadata.getTable("clients", "nothing"), null);
});

await check("requests spread", async () => {
	const before = await statements(), answers = {};
	for (let i = 0; i < 300; i++) {
		const address = `${(await run("SELECT rpc_address FROM system.local")).first().rpc_address}`;
		answers[address] = (answers[address] ?? 0) + 1;
	}
	const after = await statements();
	NODES.forEach((name, i) => {
		if (!(answers[HOSTS[i]] >= 60) || after[name] - before[name] < answers[HOSTS[i]])
			throw new Error(`${name} gave ${answers[HOSTS[i]]} of 300 answers, counted ${after[name] - before[name]}`);
	});
});

await check("token-aware routing", async () => {
	for (let k = 0; k < 40; k++) {
		const before = await nodes();
		await run("INSERT INTO single.rows (k, v) VALUES (?, 'x')", [k], { prepare: true, consistency: consistencies.one });
		const after = await nodes();
		const owners = NODES.map((_, i) => i).filter((i) => after[i].rows > before[i].rows);
		same("replicas of a row", owners.length, 1);
		if (after[owners[0]].statements === before[owners[0]].statements)
			throw new Error(`key ${k} is on ${NODES[owners[0]]}, which was not asked`);
	}
});

await check("prepare", async () => {
	const insert = "INSERT INTO rows (p, c, v) VALUES (?, ?, ?)";
	await run(insert, [1, 1, "one"], prepared);
	await run(insert, { p: 1, c: 2, v: null }, prepared);
	const select = "SELECT c, v FROM rows WHERE p = :p";
	same("rows", (await run(select, { p: 1 }, prepared)).rows, [{ c: 2, v: null }, { c: 1, v: "one" }]);
	same("result columns", (await run(select, { p: 1 }, prepared)).columns.map((c) => [c.name, c.type.code]),
		[["c", dataTypes.int], ["v", dataTypes.varchar]]);
	within("error", (await raised("prepare", run("SELECT nothing FROM rows", [], prepared))).message, "Undefined column name nothing");
	if (VERSION !== 3) {
		await run(insert, [1, 1, cassandra.types.unset], prepared);
		same("unset keeps", (await run(select, { p: 1 }, prepared)).rows[1].v, "one");
	}
	const before = (await counters()).prepares;
	for (let i = 0; i < 20; i++)
		await run(select, { p: 1 }, prepared);
	same("prepared again", (await counters()).prepares, before);
});

await check("paging", async () => {
	await cassandra.concurrent.executeConcurrent(client, "INSERT INTO rows (p, c, v) VALUES (100, ?, 'v')",
		[...Array(ROWS).keys()].map((c) => [c]), { prepare: true, concurrencyLevel: 100 });
	for (const fetchSize of [5000, 777]) {
		let pages = 0, state, order = [];
		do {
			const result = await run("SELECT c FROM rows WHERE p = 100", [], { fetchSize, pageState: state, prepare: true });
			order = order.concat(result.rows.map((row) => row.c));
			state = result.pageState;
			pages++;
		} while (state);
		same(`sum by pages of ${fetchSize}`, order.reduce((a, b) => a + b, 0), ROWS * (ROWS - 1) / 2);
		same("pages", pages, Math.floor(ROWS / fetchSize) + 1);
		same("order", order.every((c, i) => c === ROWS - 1 - i), true);
	}
	let count = 0;
	for await (const row of client.stream("SELECT c FROM rows WHERE p = 100", [], { prepare: true, autoPage: true, fetchSize: 900 }))
		count += row.c >= 0;
	same("stream", count, ROWS);
	same("count", Number((await run("SELECT count(*) FROM rows WHERE p = 100")).first().count), ROWS);
});

await check("batches", async () => {
	for (const logged of [true, false]) {
		const name = `batch-${logged}`;
		const insert = (i) => ({ query: "INSERT INTO small (k, v) VALUES (?, ?)", params: [`${name}-${i}`, i] });
		await client.batch([0, 1, 2, 3, 4].map(insert).concat([{ query: "DELETE FROM small WHERE k = ?", params: [`${name}-0`] }]),
			{ prepare: true, logged, timestamp: undefined });
		const values = (await run("SELECT k, v FROM small")).rows.filter((row) => row.k.startsWith(name)).map((row) => row.v);
		same(name, values.sort(), [1, 2, 3, 4]);
	}
	await client.batch(["a", "b", "a"].map((k) => ({ query: "UPDATE counts SET n = n + 2 WHERE k = ?", params: [k] })), { prepare: true, counter: true });
	same("counters", (await run("SELECT k, n FROM counts")).rows.map((row) => [row.k, Number(row.n)]).sort(), [["a", 4], ["b", 2]]);
	const error = await raised("counter in a logged batch", client.batch(["UPDATE counts SET n = n + 1 WHERE k = 'a'"]));
	same("error", error.code, cassandra.types.responseErrorCodes.invalid);
});

await check("LWT", async () => {
	same("first", (await run("INSERT INTO small (k, v) VALUES ('l', 1) IF NOT EXISTS")).wasApplied(), true);
	const second = await run("INSERT INTO small (k, v) VALUES ('l', 2) IF NOT EXISTS");
	same("second", [second.wasApplied(), second.first()], [false, { "[applied]": false, k: "l", v: 1 }]);
	const update = "UPDATE small SET v = ? WHERE k = 'l' IF v = ?";
	same("not applied", (await run(update, [3, 7], prepared)).first(), { "[applied]": false, v: 1 });
	same("applied", (await run(update, [3, 1], prepared)).wasApplied(), true);
	same("SERIAL", (await run("SELECT v FROM small WHERE k = 'l'", [], { consistency: consistencies.serial })).first().v, 3);
	same("deleted", (await run("DELETE FROM small WHERE k = 'l' IF EXISTS", [], { serialConsistency: consistencies.localSerial })).wasApplied(), true);
	same("gone", (await run("DELETE FROM small WHERE k = 'l' IF EXISTS")).wasApplied(), false);
});

await check("static columns", async () => {
	await run("INSERT INTO fixed (p, c, v) VALUES (1, 1, 'a')");
	await run("INSERT INTO fixed (p, c, s, v) VALUES (1, 2, 'shared', 'b')");
	same("rows", (await run("SELECT c, s, v FROM fixed WHERE p = 1")).rows, [{ c: 1, s: "shared", v: "a" }, { c: 2, s: "shared", v: "b" }]);
	await run("UPDATE fixed SET s = 'other' WHERE p = 2");
	same("alone", (await run("SELECT p, c, s FROM fixed WHERE p = 2")).rows, [{ p: 2, c: null, s: "other" }]);
});

await check("simple types", async () => {
	const values = { ascii: "plain", bigint: Long.fromString("-9223372036854775808"), blob: Buffer.from([0, 255]), boolean: true,
		date: new LocalDate(2024, 2, 29), decimal: BigDecimal.fromString("-12345678901234567890.0123"), double: 0.1, float: 0.5,
		inet: InetAddress.fromString("2001:db8::1"), int: -2147483648, smallint: -32768, text: "\u00fc\u6f22\u{1f600}",
		time: LocalTime.fromString("23:59:59.999999999"), timestamp: new Date("2024-02-29T12:30:01.250Z"), timeuuid: TimeUuid.now(),
		tinyint: -128, uuid: Uuid.random(), varint: Integer.fromString(`1${"0".repeat(40)}`) };
	const names = Object.keys(values), columns = names.map((name) => `c_${name}`).join(", ");
	await run(`CREATE TABLE types (k int PRIMARY KEY, ${names.map((name) => `c_${name} ${name}`).join(", ")})`);
	await run(`INSERT INTO types (k, ${columns}) VALUES (0, ${names.map(() => "?").join(", ")})`, Object.values(values), prepared);
	const row = (await run(`SELECT ${columns} FROM types WHERE k = 0`)).first();
	for (const name of names)
		same(name, `${row[`c_${name}`]}`, `${values[name]}`);
});

await check("collections", async () => {
	await run("CREATE TABLE many (k int PRIMARY KEY, l list<text>, s set<int>, m map<text, int>, f frozen<map<int, frozen<list<text>>>>)");
	await run("INSERT INTO many (k, l, s, m, f) VALUES (?, ?, ?, ?, ?)", [1, ["b", "a", "b"], [3, 1, 2], { x: 1, y: 2 }, { 1: ["p", "q"] }], prepared);
	await run("UPDATE many SET l = l + ['z'], s = s - {1}, m['x'] = 5, m['n'] = 0 WHERE k = 1");
	same("row", (await run("SELECT l, s, m, f FROM many WHERE k = 1")).first(),
		{ l: ["b", "a", "b", "z"], s: [2, 3], m: { n: 0, x: 5, y: 2 }, f: { 1: ["p", "q"] } });
	await run("DELETE l[0], m['y'] FROM many WHERE k = 1");
	await run("UPDATE many SET s = {} WHERE k = 1");
	same("after", (await run("SELECT l, s, m FROM many WHERE k = 1")).first(), { l: ["a", "b", "z"], s: null, m: { n: 0, x: 5 } });
});

await check("counters", async () => {
	for (const step of [5, 10, -3])
		await run("UPDATE counts SET n = n + ? WHERE k = 'c'", [step], prepared);
	same("counter", Number((await run("SELECT n FROM counts WHERE k = 'c'")).first().n), 12);
});

await check("TTL and writetime", async () => {
	await run("INSERT INTO small (k, v) VALUES ('ttl', 1) USING TTL 2 AND TIMESTAMP 1700000000000000");
	const row = (await run("SELECT ttl(v) AS t, writetime(v) AS w FROM small WHERE k = 'ttl'")).first();
	same("writetime", `${row.w}`, "1700000000000000");
	same("ttl", row.t === 1 || row.t === 2, true);
	await until("it expires", async () => (await run("SELECT * FROM small WHERE k = 'ttl'")).rowLength === 0, 5);
});

await check("errors", async () => {
	const { responseErrorCodes: codes } = cassandra.types;
	for (const [query, code, text] of [
		["SELEC * FROM rows", codes.syntaxError, "no viable alternative at input 'SELEC'"],
		["SELECT * FROM nothing", codes.invalid, "table nothing does not exist"],
		["SELECT * FROM rows WHERE v = 'x'", codes.invalid, "ALLOW FILTERING"],
		["CREATE TABLE rows (k int PRIMARY KEY)", codes.alreadyExists, "already exist"],
		["CREATE KEYSPACE bad WITH replication = {'class': 'NoSuchStrategy'}", codes.configError, "NoSuchStrategy"]]) {
		const error = await raised(query, run(query));
		same(query, error.code, code);
		within(query, error.message, text);
	}
	const exists = await raised("exists", run("CREATE TABLE rows (k int PRIMARY KEY)"));
	same("name", [exists.keyspace, exists.table], ["clients", "rows"]);
});

await check("authentication", async () => {
	for (const [user, password] of [[env.CQL_USER, "wrong"], ["nobody", "x"]]) {
		const other = open({ user, password });
		const error = await raised(user, other.connect());
		within(user, Object.values(error.innerErrors ?? { error })[0], `Provided username ${user} and/or password are incorrect`);
		await other.shutdown();
	}
	const other = open();
	await other.connect();
	await other.shutdown();
});

const levelOf = (name) => consistencies[name.toLowerCase().replace(/_(.)/g, (_, c) => c.toUpperCase())];
// Errors as they are; but a connection that its node has reset is no answer.
class OnlyBroken extends policies.retry.FallthroughRetryPolicy {
	onRequestError() {
		return this.retryResult(undefined, false);
	}
}
async function outcome(query, level) {
	try {
		await run(query, [], { consistency: level, isIdempotent: true, retry: new OnlyBroken() });
		return "ok";
	} catch (error) {
		if (error.code === cassandra.types.responseErrorCodes.unavailableException) {
			same("level in the error", error.consistencies, level);
			return `${error.required}/${error.alive}`;
		}
		return error.code === cassandra.types.responseErrorCodes.invalid ? "invalid" : error.message;
	}
}
for (const [kind, query] of [["read", "SELECT * FROM small WHERE k = 'u'"], ["write", "INSERT INTO small (k, v) VALUES ('u', 42)"]])
	await check(`${kind} levels, nodes down`, async () => {
		for (const [down, levels] of Object.entries(LEVELS))
			await away("stop", NODES.slice(-down), async () => {
				// ANY is 0, and 0 is none to this driver: it sends the default.
				for (const [name, expected] of Object.entries(levels).filter(([name]) => name !== "ANY"))
					same(`${name} with ${down} down`, await outcome(query, levelOf(name)), expected[kind]);
			});
	});

await check("events and reconnection", async () => {
	const seen = [];
	client.on("hostUp", (host) => seen.push(`up ${host.address.split(":")[0]}`));
	client.on("hostDown", (host) => seen.push(`down ${host.address.split(":")[0]}`));
	for (const [how, i] of [["stop", 2], ["kill", 1]]) {
		await until("all hosts up", () => client.hosts.values().every((host) => host.isUp()));
		seen.length = 0;
		await away(how, [NODES[i]], async () => {
			await until(`DOWN after ${how}`, async () => {
				await run("SELECT * FROM small WHERE k = 'u'", [], { isIdempotent: true });
				return seen.includes(`down ${HOSTS[i]}`);
			});
		});
		await until(`UP after ${how}`, () => seen.includes(`up ${HOSTS[i]}`));
	}
	for (const name of NODES) {
		const before = (await statements())[name];
		await until(`requests to ${name} again`, async () => {
			await run("SELECT * FROM small WHERE k = 'u'", [], { isIdempotent: true });
			return (await statements())[name] > before;
		});
	}
});

await check("UNPREPARED", async () => {
	const select = "SELECT v FROM small WHERE k = ?";
	await run("INSERT INTO small (k, v) VALUES ('u', 42)");
	await run(select, ["u"], prepared);
	await away("stop", [NODES[2]], async () => {});
	for (let i = 0; i < 30; i++)
		same("after a restart", (await run(select, ["u"], prepared)).first().v, 42);
	const before = (await counters()).unprepared;
	for (const name of NODES)
		await act(name, "forget-prepared");
	for (let i = 0; i < 30; i++)
		same("after UNPREPARED", (await run(select, ["u"], prepared)).first().v, 42);
	same("answered UNPREPARED", (await counters()).unprepared > before, true);
});

await check("timeouts", async () => {
	const only = open({ keyspace: "clients", readTimeout: 3000, policies: { loadBalancing: new policies.loadBalancing.WhiteListPolicy(
		new policies.loadBalancing.RoundRobinPolicy(), [`${HOSTS[0]}:${env.CQL_PORT}`]) } });
	await only.connect();
	const options = { consistency: consistencies.all, retry: new policies.retry.FallthroughRetryPolicy() };
	try {
		await away("freeze", [NODES[1]], async () => {
			const write = await raised("write", only.execute("INSERT INTO small (k, v) VALUES ('w', 1)", [], options));
			same("write", [write.code, write.received, write.blockFor, write.writeType],
				[cassandra.types.responseErrorCodes.writeTimeout, 2, 3, "SIMPLE"]);
			const read = await raised("read", only.execute("SELECT * FROM small WHERE k = 'w'", [], options));
			same("read", [read.code, read.received, read.blockFor], [cassandra.types.responseErrorCodes.readTimeout, 2, 3]);
		});
		same("written all the same", (await only.execute("SELECT v FROM small WHERE k = 'w'", [], options)).first().v, 1);
		await away("freeze", [NODES[0]], async () => {
			const error = await raised("frozen", only.execute("SELECT v FROM small WHERE k = 'w'", [], { ...options, readTimeout: 300 }));
			within("frozen", `${error.constructor.name} ${error.message}`, "OperationTimedOutError");
		});
	} finally {
		await only.shutdown();
	}
});

await check("speculative execution", async () => {
	const fast = open({ keyspace: "clients", policies: { loadBalancing: new policies.loadBalancing.RoundRobinPolicy(),
		speculativeExecution: new policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(50, 2) } });
	await fast.connect();
	for (let i = 0; i < 30; i++)
		await fast.execute("SELECT * FROM small LIMIT 1");
	const before = (await statements())[NODES[2]];
	await away("freeze", [NODES[2]], async () => {
		for (let i = 0; i < 15; i++) {
			const start = Date.now();
			same("row", (await fast.execute("SELECT v FROM small WHERE k = 'u'", [], { isIdempotent: true, consistency: consistencies.one })).first().v, 42);
			if (Date.now() - start > 2000)
				throw new Error(`${Date.now() - start} ms: as long as without`);
		}
	});
	await until("what the frozen node had got", async () => (await statements())[NODES[2]] >= before + 3);
	await fast.shutdown();
});

await client.shutdown();
process.exit(failed ? 1 : 0);
