# SPDX-License-Identifier: Apache-2.0
"""The Python driver: Debian's and a current one. CQL_VERSION: the protocol version, or nothing for what
they agree on; CQL_COMPRESSION: lz4, snappy, or nothing."""

import collections
import datetime
import decimal
import ipaddress
import os
import time
import uuid

import cassandra
from cassandra import AlreadyExists, ConsistencyLevel, InvalidRequest, OperationTimedOut, \
	ReadTimeout, Unavailable, WriteTimeout
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT, NoHostAvailable
from cassandra.policies import ConstantReconnectionPolicy, ConstantSpeculativeExecutionPolicy, \
	DCAwareRoundRobinPolicy, FallthroughRetryPolicy, RoundRobinPolicy, TokenAwarePolicy, \
	WhiteListRoundRobinPolicy
from cassandra.protocol import SyntaxException
from cassandra.query import BatchStatement, BatchType, SimpleStatement

import cluster as lab
from cluster import Checks, Different, KEYSPACE, same, within

VERSION = int(os.environ.get("CQL_VERSION") or 0)
COMPRESSION = os.environ.get("CQL_COMPRESSION") or False
check = Checks()


def profile(policy=None, **more):
	more = {"request_timeout": 10, "consistency_level": ConsistencyLevel.LOCAL_QUORUM, **more}
	return ExecutionProfile(load_balancing_policy=policy or TokenAwarePolicy(
		DCAwareRoundRobinPolicy(lab.DC)), **more)


def connect(policy=None, user=lab.USER, password=lab.PASSWORD, keyspace=None, **more):
	auth = PlainTextAuthProvider(user, password) if user else None
	profiles = {EXEC_PROFILE_DEFAULT: profile(policy), **more.pop("profiles", {})}
	if VERSION:
		more.setdefault("protocol_version", VERSION)
	one = Cluster([lab.HOSTS[0]], port=lab.PORT, auth_provider=auth, execution_profiles=profiles,
		reconnection_policy=ConstantReconnectionPolicy(0.2, None), compression=COMPRESSION,
		connect_timeout=10, **more)
	return one, one.connect(keyspace)


def raised(kind, function, *args, **more):
	try:
		function(*args, **more)
	except kind as error:
		return error
	raise Different(f"no {kind.__name__}")


main, session = connect()


def version():
	connection = main.control_connection._connection
	if VERSION:
		same("protocol version", connection.protocol_version, VERSION)
	elif connection.protocol_version not in (4, 5):
		raise Different(f"agreed on version {connection.protocol_version}")
	same("compression", connection.compressor is not None, bool(COMPRESSION))


def three_nodes():
	lab.until("three hosts up", lambda: [host.is_up for host in main.metadata.all_hosts()] == [True] * 3)
	hosts = main.metadata.all_hosts()
	same("addresses", sorted(host.address for host in hosts), lab.HOSTS)
	same("data centres", {host.datacenter for host in hosts}, {lab.DC})
	same("racks", sorted(host.rack for host in hosts), ["r1", "r2", "r3"])
	same("host ids", len({host.host_id for host in hosts}), 3)
	same("release", {host.release_version for host in hosts}, {"4.0.14"})
	if len(main.metadata.token_map.ring) < 3:
		raise Different("no ring of tokens")


def ddl():
	session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = "
		f"{{'class': 'NetworkTopologyStrategy', '{lab.DC}': 3}}")
	session.execute(f"CREATE KEYSPACE single WITH replication = "
		f"{{'class': 'NetworkTopologyStrategy', '{lab.DC}': 1}}")
	session.set_keyspace(KEYSPACE)
	for table in ("rows (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC) "
			"AND comment = 'of the clients' AND gc_grace_seconds = 3600",
			"single.rows (k int PRIMARY KEY, v text)", "small (k text PRIMARY KEY, v int)",
			"counts (k text PRIMARY KEY, n counter)",
			"fixed (p int, c int, s text STATIC, v text, PRIMARY KEY (p, c))"):
		future = session.execute_async(f"CREATE TABLE {table}")
		future.result()
		if not future.is_schema_agreed:
			raise Different(f"no agreement after CREATE TABLE {table}")
	meta = main.metadata.keyspaces[KEYSPACE].tables["rows"]
	same("columns", list(meta.columns), ["p", "c", "v"])
	same("types", [c.cql_type for c in meta.columns.values()], ["int", "int", "text"])
	same("partition key", [c.name for c in meta.partition_key], ["p"])
	same("clustering key", [(c.name, c.is_reversed) for c in meta.clustering_key], [("c", True)])
	same("comment", meta.options["comment"], "of the clients")
	same("gc_grace_seconds", meta.options["gc_grace_seconds"], 3600)
	same("static", main.metadata.keyspaces[KEYSPACE].tables["fixed"].columns["s"].is_static, True)
	same("replication", main.metadata.keyspaces[KEYSPACE].replication_strategy.
		export_for_schema(), f"{{'class': 'NetworkTopologyStrategy', '{lab.DC}': '3'}}")
	session.execute("ALTER TABLE small ADD extra list<int>")
	same("ALTER TABLE", main.metadata.keyspaces[KEYSPACE].tables["small"].columns["extra"].cql_type,
		"list<int>")
	session.execute("ALTER TABLE small DROP extra")
	same("dropped", list(main.metadata.keyspaces[KEYSPACE].tables["small"].columns), ["k", "v"])
	within("export", meta.export_as_string(), "CLUSTERING ORDER BY (c DESC)")
	versions = {row[0] for host in main.metadata.all_hosts() for row in session.execute(
		"SELECT schema_version FROM system.local", host=host)}
	same("schema versions", len(versions), 1)


def spread():
	before = lab.statements()
	answers = collections.Counter(str(row.rpc_address) for _ in range(300)
		for row in session.execute("SELECT rpc_address FROM system.local"))
	after = lab.statements()
	same("answers", sum(answers.values()), 300)
	for name, address in zip(lab.NODES, lab.HOSTS):
		if answers[address] < 60 or after[name] - before[name] < answers[address]:
			raise Different(f"{name} gave {answers[address]} of 300 answers, "
				f"counted {after[name] - before[name]}")


def token_aware():
	insert = session.prepare("INSERT INTO single.rows (k, v) VALUES (?, 'x')")
	insert.consistency_level = ConsistencyLevel.ONE
	for k in range(40):
		lab.owner_asked(lambda key: session.execute(insert, (key,)), k)
		token = main.metadata.token_map.token_class.from_key(insert.bind((k,)).routing_key).value
		same(f"token of {k}", session.execute("SELECT token(k) FROM single.rows WHERE k = %s",
			(k,)).one()[0], token)


def prepare():
	insert = session.prepare("INSERT INTO rows (p, c, v) VALUES (?, ?, ?)")
	same("parameters", [(c.name, c.type.typename) for c in insert.column_metadata],
		[("p", "int"), ("c", "int"), ("v", "varchar")])
	same("key", insert.routing_key_indexes, [0])
	session.execute(insert, (1, 1, "one"))
	session.execute(insert, {"p": 1, "c": 2, "v": None})
	select = session.prepare("SELECT c, v FROM rows WHERE p = :p")
	same("rows", [tuple(row) for row in session.execute(select, {"p": 1})], [(2, None), (1, "one")])
	error = raised(InvalidRequest, session.prepare, "SELECT nothing FROM rows")
	within("error", str(error), "Undefined column name nothing")
	if VERSION != 3:  # later ones have values that are not set
		session.execute(insert, (1, 1))
		same("unset keeps", session.execute(select, (1,)).all()[1], (1, "one"))


def paging():
	insert = session.prepare("INSERT INTO rows (p, c, v) VALUES (100, ?, 'v')")
	from cassandra.concurrent import execute_concurrent_with_args
	results = execute_concurrent_with_args(session, insert, [(c,) for c in range(lab.ROWS)], 100)
	same("inserted", sum(ok for ok, _ in results), lab.ROWS)
	for size in (5000, 777):
		select = SimpleStatement("SELECT c FROM rows WHERE p = 100", fetch_size=size)
		result = session.execute(select)
		pages, order = 0, []
		while True:
			pages += 1
			order += [row.c for row in result.current_rows]
			if not result.has_more_pages:
				break
			result = session.execute(select, paging_state=result.paging_state)
		same(f"sum by pages of {size}", sum(order), lab.ROWS * (lab.ROWS - 1) // 2)
		same("order", order, sorted(order, reverse=True))
		same("pages", pages, lab.ROWS // size + 1)  # a full page does not know that it is the last
	same("whole table", sum(row.c for row in session.execute(SimpleStatement(
		"SELECT c FROM rows", fetch_size=900)) if row.c < lab.ROWS) >= lab.ROWS * (lab.ROWS - 1) // 2, True)
	same("count", session.execute("SELECT count(*) FROM rows WHERE p = 100").one()[0], lab.ROWS)
	within("bad state", str(raised(cassandra.protocol.ProtocolException, session.execute, select,
		paging_state=b"nonsense")), "paging state")


def batches():
	insert = session.prepare("INSERT INTO small (k, v) VALUES (?, ?)")
	for kind in (BatchType.LOGGED, BatchType.UNLOGGED):
		batch = BatchStatement(kind)
		for i in range(5):
			batch.add(insert, (f"{kind}-{i}", i))
		batch.add(SimpleStatement(f"DELETE FROM small WHERE k = '{kind}-0'"))
		session.execute(batch)
		same(str(kind), sorted(row.v for row in session.execute("SELECT k, v FROM small")
			if row.k.startswith(str(kind))), [1, 2, 3, 4])
	batch = BatchStatement(BatchType.COUNTER)
	for k in ("a", "b", "a"):
		batch.add(SimpleStatement("UPDATE counts SET n = n + 2 WHERE k = %s"), (k,))
	session.execute(batch)
	same("counters", sorted(tuple(row) for row in session.execute("SELECT k, n FROM counts")),
		[("a", 4), ("b", 2)])
	batch = BatchStatement(BatchType.LOGGED)
	batch.add(SimpleStatement("UPDATE counts SET n = n + 1 WHERE k = 'a'"))
	raised(InvalidRequest, session.execute, batch)
	session.execute("BEGIN BATCH USING TIMESTAMP 5 INSERT INTO small (k, v) VALUES ('t', 1); "
		"UPDATE small SET v = 2 WHERE k = 't2'; APPLY BATCH")
	same("timestamp", session.execute("SELECT writetime(v) FROM small WHERE k = 't2'").one()[0], 5)


def lwt():
	one = session.execute("INSERT INTO small (k, v) VALUES ('l', 1) IF NOT EXISTS")
	same("first", one.was_applied, True)
	two = session.execute("INSERT INTO small (k, v) VALUES ('l', 2) IF NOT EXISTS")
	same("second", (two.was_applied, two.one()), (False, (False, "l", 1)))
	update = session.prepare("UPDATE small SET v = ? WHERE k = 'l' IF v = ?")
	result = session.execute(update, (3, 7))
	same("not applied", (result.was_applied, result.one()), (False, (False, 1)))
	same("applied", session.execute(update, (3, 1)).was_applied, True)
	serial = SimpleStatement("SELECT v FROM small WHERE k = 'l'",
		consistency_level=ConsistencyLevel.SERIAL)
	same("SERIAL", session.execute(serial).one().v, 3)
	local = SimpleStatement("DELETE FROM small WHERE k = 'l' IF EXISTS",
		serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL)
	same("deleted", session.execute(local).was_applied, True)
	same("gone", session.execute(local).was_applied, False)
	batch = BatchStatement()
	batch.add(SimpleStatement("INSERT INTO fixed (p, c, v) VALUES (9, 1, 'a') IF NOT EXISTS"))
	batch.add(SimpleStatement("INSERT INTO fixed (p, c, v) VALUES (9, 2, 'b')"))
	same("batch", session.execute(batch).was_applied, True)
	same("batch again", session.execute(batch).was_applied, False)


def static_columns():
	session.execute("INSERT INTO fixed (p, c, v) VALUES (1, 1, 'a')")
	session.execute("INSERT INTO fixed (p, c, s, v) VALUES (1, 2, 'shared', 'b')")
	same("rows", [tuple(row) for row in session.execute("SELECT c, s, v FROM fixed WHERE p = 1")],
		[(1, "shared", "a"), (2, "shared", "b")])
	session.execute("UPDATE fixed SET s = 'other' WHERE p = 2")
	same("alone", [tuple(row) for row in session.execute("SELECT p, c, s FROM fixed WHERE p = 2")],
		[(2, None, "other")])
	same("distinct", sorted(tuple(row) for row in session.execute(
		"SELECT DISTINCT p, s FROM fixed WHERE p IN (1, 2)")), [(1, "shared"), (2, "other")])


SIMPLE = (("ascii", "plain"), ("bigint", -2**63), ("blob", b"\x00\xff"), ("boolean", True),
	("date", datetime.date(2024, 2, 29)), ("decimal", decimal.Decimal("-12345678901234567890.0123")),
	("double", 0.1), ("float", 0.5), ("inet", ipaddress.ip_address("2001:db8::1")), ("int", -2**31),
	("smallint", -2**15), ("text", "\u00fc\u6f22\U0001f600"), ("time", datetime.time(23, 59, 59, 999999)),
	("timestamp", datetime.datetime(2024, 2, 29, 12, 30, 1, 250000)),
	("timeuuid", uuid.uuid1()), ("tinyint", -128), ("uuid", uuid.uuid4()), ("varint", 10**40))


def simple_types():
	session.execute("CREATE TABLE types (k int PRIMARY KEY, " + ", ".join(
		f"c_{name} {name}" for name, _ in SIMPLE) + ")")
	names = ", ".join(f"c_{name}" for name, _ in SIMPLE)
	insert = session.prepare(f"INSERT INTO types (k, {names}) VALUES (0, {', '.join('?' * len(SIMPLE))})")
	session.execute(insert, [value for _, value in SIMPLE])
	row = session.execute(f"SELECT {names} FROM types WHERE k = 0").one()
	for (name, value), got in zip(SIMPLE, row):
		if name == "inet":
			got = ipaddress.ip_address(got)
		if name == "date":
			got = got.date()
		if name == "time":
			got = got.time()
		same(name, got, value)
	session.execute(insert.bind([None] * len(SIMPLE)))
	same("nulls", list(session.execute(f"SELECT {names} FROM types WHERE k = 0").one()),
		[None] * len(SIMPLE))


def collections_():
	session.execute("CREATE TABLE many (k int PRIMARY KEY, l list<text>, s set<int>, m map<text, bigint>, "
		"f frozen<map<int, frozen<list<text>>>>)")
	insert = session.prepare("INSERT INTO many (k, l, s, m, f) VALUES (?, ?, ?, ?, ?)")
	session.execute(insert, (1, ["b", "a", "b"], {3, 1, 2}, {"x": 1, "y": 2**40}, {1: ["p", "q"]}))
	session.execute("UPDATE many SET l = l + ['z'], s = s - {1}, m['x'] = 5, m['n'] = 0 WHERE k = 1")
	row = session.execute("SELECT * FROM many WHERE k = 1").one()
	same("list", row.l, ["b", "a", "b", "z"])
	same("set", set(row.s), {2, 3})
	same("map", dict(row.m), {"x": 5, "y": 2**40, "n": 0})
	same("frozen", {k: list(v) for k, v in dict(row.f).items()}, {1: ["p", "q"]})
	session.execute("DELETE l[0], m['y'] FROM many WHERE k = 1")
	session.execute("UPDATE many SET l = ['0'] + l, s = {} WHERE k = 1")
	row = session.execute("SELECT * FROM many WHERE k = 1").one()
	same("after", (row.l, row.s, dict(row.m)), (["0", "a", "b", "z"], None, {"x": 5, "n": 0}))


def counting():
	update = session.prepare("UPDATE counts SET n = n + ? WHERE k = 'c'")
	for step in (5, 10, -3):
		session.execute(update, (step,))
	same("counter", session.execute("SELECT n FROM counts WHERE k = 'c'").one()[0], 12)
	raised(InvalidRequest, session.execute, "INSERT INTO counts (k, n) VALUES ('c', 1)")


def ttl_writetime():
	session.execute("INSERT INTO small (k, v) VALUES ('ttl', 1) USING TTL 2 AND TIMESTAMP 1700000000000000")
	row = session.execute("SELECT ttl(v), writetime(v) FROM small WHERE k = 'ttl'").one()
	same("writetime", row[1], 1700000000000000)
	if row[0] not in (1, 2):
		raise Different(f"ttl {row[0]}")
	lab.until("it expires", lambda: session.execute("SELECT * FROM small WHERE k = 'ttl'").one() is None, 5)
	session.execute("UPDATE small USING TTL 100 SET v = 1 WHERE k = 'ttl'")
	session.execute("UPDATE small USING TTL 0 SET v = 2 WHERE k = 'ttl'")
	same("no ttl", session.execute("SELECT ttl(v) FROM small WHERE k = 'ttl'").one()[0], None)
	before = int(time.time() * 1e6) - 5000000
	session.execute("INSERT INTO small (k, v) VALUES ('now', 1)")
	got = session.execute("SELECT writetime(v) FROM small WHERE k = 'now'").one()[0]
	same("timestamp of now", before < got < before + 15000000, True)


def errors():
	error = raised(SyntaxException, session.execute, "SELEC * FROM rows")
	within("syntax", str(error), "no viable alternative at input 'SELEC'")
	within("no table", str(raised(InvalidRequest, session.execute, "SELECT * FROM nothing")),
		"table nothing does not exist")
	error = raised(AlreadyExists, session.execute, "CREATE TABLE rows (k int PRIMARY KEY)")
	same("table", (error.keyspace, error.table), (KEYSPACE, "rows"))
	error = raised(AlreadyExists, session.execute, f"CREATE KEYSPACE {KEYSPACE} WITH replication = "
		"{'class': 'SimpleStrategy', 'replication_factor': 1}")
	same("keyspace", (error.keyspace, error.table), (KEYSPACE, ""))
	within("filtering", str(raised(InvalidRequest, session.execute, "SELECT * FROM rows WHERE v = 'x'")),
		"ALLOW FILTERING")
	within("config", str(raised(Exception, session.execute, "CREATE KEYSPACE bad WITH replication = "
		"{'class': 'NoSuchStrategy'}")), "NoSuchStrategy")
	same("still there", session.execute("SELECT count(*) FROM rows WHERE p = 1").one()[0], 2)


def authentication():
	for user, password in ((lab.USER, "wrong"), ("nobody", "x")):
		error = raised(NoHostAvailable, connect, user=user, password=password)
		failed = list(error.errors.values())[0]
		within(user, f"{type(failed).__name__} {failed}", "AuthenticationFailed")
		within(user, str(failed), "Provided username " + user + " and/or password are incorrect")
	raised((NoHostAvailable, cassandra.AuthenticationFailed), connect, user=None)
	other, _ = connect()
	other.shutdown()


def level_of(name):
	return ConsistencyLevel.name_to_value[name]


def outcome(query):
	try:
		session.execute(query)
		return "ok"
	except Unavailable as error:
		same("level in the error", error.consistency, query.consistency_level)
		return f"{error.required_replicas}/{error.alive_replicas}"
	except InvalidRequest:
		return "invalid"
	except NoHostAvailable as error:  # of a level that is refused by each in its turn
		return f"{error}"


def levels(kind, text):
	for down, expected in lab.LEVELS.items():
		with lab.Away("stop", *lab.NODES[-int(down):]):
			same(f"{kind} with {down} down", {name: outcome(SimpleStatement(text,
				consistency_level=level_of(name), retry_policy=OnlyBroken()))
				for name in expected}, {name: both[kind] for name, both in expected.items()})


class OnlyBroken(FallthroughRetryPolicy):
	"""Errors as they are; but a connection that its node has reset is no answer."""

	def on_request_error(self, query, consistency, error, retry_num):
		return self.RETRY_NEXT_HOST, None


class Listener:
	def __init__(self):
		self.seen = []

	def on_up(self, host):
		self.seen.append(("up", host.address))

	def on_down(self, host):
		self.seen.append(("down", host.address))

	def on_add(self, host):
		pass

	def on_remove(self, host):
		pass


def events():
	listener = Listener()
	query = "SELECT * FROM small WHERE k = 'u'"
	main.register_listener(listener)
	for how, node in (("stop", 2), ("kill", 1)):
		host = lab.HOSTS[node]
		lab.until("all hosts up", lambda: all(one.is_up for one in main.metadata.all_hosts()))
		listener.seen.clear()
		with lab.Away(how, lab.NODES[node]):
			# It believes in its connections more than in events, so it has to use them.
			lab.until(f"DOWN after {how}", lambda h=host: session.execute(query) and
				("down", h) in listener.seen)
			for _ in range(20):
				session.execute(query)
		lab.until(f"UP after {how}", lambda h=host: ("up", h) in listener.seen)
	main.unregister_listener(listener)
	for name in lab.NODES:
		before = lab.statements()[name]
		lab.until(f"requests to {name} again", lambda n=name, b=before: session.execute(query) and lab.statements()[n] > b)


def unprepared():
	select = session.prepare("SELECT v FROM small WHERE k = ?")
	session.execute("INSERT INTO small (k, v) VALUES ('u', 42)")
	with lab.Away("stop", lab.NODES[2]):
		pass
	lab.until("the driver's pool", lambda: all(host.is_up for host in main.metadata.all_hosts()))
	for _ in range(30):
		same("after a restart", session.execute(select, ("u",)).one().v, 42)
	before = lab.counters()["unprepared"]
	for name in lab.NODES:
		lab.do(name, "forget-prepared")
	for _ in range(30):
		same("after UNPREPARED", session.execute(select, ("u",)).one().v, 42)
	if lab.counters()["unprepared"] <= before:
		raise Different("no node answered UNPREPARED")


def timeouts():
	other, only = connect(WhiteListRoundRobinPolicy([lab.HOSTS[0]]), keyspace=KEYSPACE)
	try:
		write = SimpleStatement("INSERT INTO small (k, v) VALUES ('w', 1)",
			consistency_level=ConsistencyLevel.ALL, retry_policy=FallthroughRetryPolicy())
		read = SimpleStatement("SELECT * FROM small WHERE k = 'w'",
			consistency_level=ConsistencyLevel.ALL, retry_policy=FallthroughRetryPolicy())
		with lab.Away("freeze", lab.NODES[1]):
			error = raised(WriteTimeout, only.execute, write)
			same("write", (error.required_responses, error.received_responses, error.write_type),
				(3, 2, cassandra.WriteType.SIMPLE))
			error = raised(ReadTimeout, only.execute, read)
			same("read", (error.required_responses, error.received_responses), (3, 2))
		same("written all the same", only.execute(read).one().v, 1)
		with lab.Away("freeze", lab.NODES[0]):
			raised(OperationTimedOut, only.execute, read, timeout=0.3)
		lab.until("it answers again", lambda: only.execute(read).one().v == 1)
	finally:
		other.shutdown()


def speculative():
	policy = ConstantSpeculativeExecutionPolicy(0.05, 2)
	one = {"fast": profile(RoundRobinPolicy(), speculative_execution_policy=policy,
		consistency_level=ConsistencyLevel.ONE)}
	other, fast = connect(keyspace=KEYSPACE, profiles=one)
	try:
		for _ in range(30):  # every pool is there
			fast.execute("SELECT * FROM small LIMIT 1", execution_profile="fast")
		query = SimpleStatement("SELECT v FROM small WHERE k = 'u'", is_idempotent=True)
		before = lab.statements()["cassandra-3"]
		with lab.Away("freeze", "cassandra-3"):
			for _ in range(15):
				start = time.monotonic()
				same("row", fast.execute(query, execution_profile="fast").one().v, 42)
				if time.monotonic() - start > 2:
					raise Different(f"{time.monotonic() - start:.1f} s: as long as without")
		lab.until("what the frozen node had got", lambda: lab.statements()["cassandra-3"] >= before + 3)
	finally:
		other.shutdown()


def tracing():
	result = session.execute("SELECT * FROM small WHERE k = 'u'", trace=True)
	trace = result.get_query_trace(max_wait_sec=2)
	same("events", len(trace.events) > 3, True)
	same("request", trace.request_type, "Execute CQL3 query")
	same("coordinator", trace.coordinator in lab.HOSTS, True)


def many_at_once():
	"""More than a connection's streams of small servers, each answer to its own request."""
	insert = session.prepare("INSERT INTO rows (p, c, v) VALUES (200, ?, ?)")
	select = session.prepare("SELECT v FROM rows WHERE p = 200 AND c = ?")
	for future in [session.execute_async(insert, (i, f"value {i}")) for i in range(2000)]:
		future.result()
	for i, future in [(i, session.execute_async(select, (i,))) for i in range(2000)]:
		same(f"row {i}", future.result().one().v, f"value {i}")


def large_values():
	value = os.urandom(1 << 20)
	session.execute("CREATE TABLE large (k int PRIMARY KEY, v blob)")
	insert = session.prepare("INSERT INTO large (k, v) VALUES (?, ?)")
	for k in range(4):
		session.execute(insert, (k, value[k:]))
	for row in session.execute("SELECT k, v FROM large"):
		same(f"value {row.k}", row.v, value[row.k:])
	session.execute(insert, (9, b"z" * (1 << 20)))  # which compression makes small
	same("zeros", session.execute("SELECT v FROM large WHERE k = 9").one().v, b"z" * (1 << 20))


check("protocol version", version)
check("three nodes", three_nodes)
check("DDL and metadata", ddl)
check("requests spread", spread)
check("token-aware routing", token_aware)
check("prepare", prepare)
check("paging", paging)
check("batches", batches)
check("LWT", lwt)
check("static columns", static_columns)
check("simple types", simple_types)
check("collections", collections_)
check("counters", counting)
check("TTL and writetime", ttl_writetime)
check("errors", errors)
check("authentication", authentication)
check("many at once", many_at_once)
check("large values", large_values)
check("read levels, nodes down", levels, "read", "SELECT * FROM small WHERE k = 'u'")
check("write levels, nodes down", levels, "write", "INSERT INTO small (k, v) VALUES ('u', 42)")
check("events and reconnection", events)
check("UNPREPARED", unprepared)
check("timeouts", timeouts)
check("speculative execution", speculative)
check("tracing", tracing)
main.shutdown()
check.end()
