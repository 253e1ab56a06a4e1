# SPDX-License-Identifier: Apache-2.0
"""The C++ driver of DataStax, the one that Dovecot uses, through acsylla, which carries it inside."""

import asyncio
import decimal
import os
import time
import uuid

import acsylla
from acsylla import Consistency, errors

import cluster as lab
from cluster import Checks, Different, KEYSPACE, same, within

VERSION = int(os.environ.get("CQL_VERSION") or 0)
check = Checks()
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
seen = []


async def listener(event, *host):
	seen.append((str(getattr(event, "name", event)), *(str(part) for part in host)))


def run(awaitable):
	return loop.run_until_complete(asyncio.wait_for(awaitable, 30))


def options(**more):
	if VERSION:
		more["protocol_version"] = VERSION
	return {"contact_points": [lab.HOSTS[0]], "port": lab.PORT, "username": lab.USER,
		"password": lab.PASSWORD, "load_balance_dc_aware": lab.DC, "consistency": Consistency.LOCAL_QUORUM,
		"constant_reconnect_delay_ms": 200, "heartbeat_interval_sec": 1, "request_timeout": 10,
		"connect_timeout": 10, "log_level": "disabled", **more}


def connect(keyspace=None, **more):
	async def connected():
		return await acsylla.create_cluster(**options(**more)).create_session(keyspace)
	return run(connected())


def statement(text, values=(), **more):
	one = acsylla.create_statement(text, len(values))
	if values:
		one.bind_list(list(values))
	return configured(one, **more)


def configured(one, consistency=None, serial=None, idempotent=None, page_size=None, page_state=None,
		timestamp=None):
	for value, setter in ((consistency, one.set_consistency), (serial, one.set_serial_consistency),
			(idempotent, one.set_is_idempotent), (page_size, one.set_page_size),
			(page_state, one.set_page_state), (timestamp, one.set_timestamp)):
		if value is not None:
			setter(value)
	return one


def execute(one, on=None):
	return run((on or session).execute(one if not isinstance(one, str) else statement(one)))


def rows(one, on=None):
	return [tuple(row.as_tuple()) for row in execute(one, on).all()]


def sent(one, on=None):
	"""The driver's connection to a node that has just gone fails with the first request on it."""
	for _ in range(20):
		try:
			return execute(one, on)
		except errors.CassErrorLibWriteError:
			time.sleep(0.1)
	return execute(one, on)


def raised(kind, function, *args, **more):
	try:
		function(*args, **more)
	except kind as error:
		return error
	raise Different(f"no {kind}")


def prepared(text, values=(), on=None, **more):
	"""Prepared once for a session."""
	kept = known.setdefault(id(on or session), {})
	if text not in kept:
		kept[text] = run((on or session).create_prepared(text))
	one = kept[text].bind()
	one.bind_list(list(values))
	return configured(one, **more)


known = {}
session = connect()


def three_nodes():
	def answering():
		return {rows(statement("SELECT rpc_address FROM system.local"))[0][0] for _ in range(9)}
	lab.until("three hosts answer", lambda: sorted(str(one) for one in answering()) == lab.HOSTS)
	same("no more", all(node["connections_open"] > 0 for node in lab.nodes().values()), True)


def ddl():
	global session
	for keyspace, replicas in ((KEYSPACE, 3), ("single", 1)):
		execute(f"CREATE KEYSPACE {keyspace} WITH replication = "
			f"{{'class': 'NetworkTopologyStrategy', '{lab.DC}': {replicas}}}")
	run(session.close())
	session = connect(KEYSPACE)
	for table in ("rows (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC)",
			"single.rows (k int PRIMARY KEY, v text)", "small (k text PRIMARY KEY, v int)",
			"counts (k text PRIMARY KEY, n counter)",
			"fixed (p int, c int, s text STATIC, v text, PRIMARY KEY (p, c))"):
		execute(f"CREATE TABLE {table}")
	lab.until("metadata", lambda: "fixed" in list(session.get_metadata().get_tables(KEYSPACE)))
	table = session.get_metadata().get_table_meta(KEYSPACE, "rows")
	same("columns", sorted((column.name, column.type) for column in table.columns),
		[("c", "int"), ("p", "int"), ("v", "text")])
	execute("ALTER TABLE small ADD extra list<int>")
	lab.until("ALTER", lambda: "extra" in [column.name for column in
		session.get_metadata().get_table_meta(KEYSPACE, "small").columns])
	execute("ALTER TABLE small DROP extra")
	versions = {rows("SELECT schema_version FROM system.local")[0][0] for _ in range(9)}
	same("schema versions", len(versions), 1)


def spread():
	before, answers = lab.statements(), {}
	for _ in range(300):
		address = str(rows("SELECT rpc_address FROM system.local")[0][0])
		answers[address] = answers.get(address, 0) + 1
	after = lab.statements()
	for name, address in zip(lab.NODES, lab.HOSTS):
		if answers.get(address, 0) < 60 or after[name] - before[name] < answers[address]:
			raise Different(f"{name} gave {answers.get(address)} of 300 answers, "
				f"counted {after[name] - before[name]}")


def token_aware():
	for k in range(40):
		lab.owner_asked(lambda key: execute(prepared("INSERT INTO single.rows (k, v) VALUES (?, 'x')",
			(key,), consistency=Consistency.ONE)), k)


def prepare():
	insert = "INSERT INTO rows (p, c, v) VALUES (?, ?, ?)"
	execute(prepared(insert, (1, 1, "one")))
	execute(prepared(insert, (1, 2, None)))
	same("rows", rows(prepared("SELECT c, v FROM rows WHERE p = ?", (1,))), [(2, None), (1, "one")])
	error = raised(errors.CassException, lambda: run(session.create_prepared("SELECT nothing FROM rows")))
	within("error", str(error), "Undefined column name nothing")
	before = lab.counters()["prepares"]
	for _ in range(20):
		rows(prepared("SELECT c, v FROM rows WHERE p = ?", (1,)))
	same("prepared again", lab.counters()["prepares"], before)


def paging():
	async def fill():
		insert = await session.create_prepared("INSERT INTO rows (p, c, v) VALUES (100, ?, 'v')")

		async def some(first):
			for c in range(first, lab.ROWS, 100):
				one = insert.bind()
				one.bind_list([c])
				await session.execute(one)
		await asyncio.gather(*(some(first) for first in range(100)))
	run(fill())
	for size in (5000, 777):
		pages, order, state = 0, [], None
		while True:
			result = execute(prepared("SELECT c FROM rows WHERE p = ?", (100,), page_size=size,
				page_state=state))
			order += [row.as_tuple()[0] for row in result.all()]
			pages += 1
			if not result.has_more_pages():
				break
			state = result.page_state()
		same(f"sum by pages of {size}", sum(order), lab.ROWS * (lab.ROWS - 1) // 2)
		same("order", order, sorted(order, reverse=True))
		same("pages", pages, lab.ROWS // size + 1)
	same("count", rows("SELECT count(*) FROM rows WHERE p = 100"), [(lab.ROWS,)])


def batch_of(kind, *statements):
	batch = getattr(acsylla, f"create_batch_{kind}")()
	for one in statements:
		batch.add_statement(one)
	return run(session.execute_batch(batch))


def batches():
	for kind in ("logged", "unlogged"):
		batch_of(kind, *(prepared("INSERT INTO small (k, v) VALUES (?, ?)", (f"{kind}-{i}", i))
			for i in range(5)), statement(f"DELETE FROM small WHERE k = '{kind}-0'"))
		same(kind, sorted(v for k, v in rows("SELECT k, v FROM small") if k.startswith(kind)), [1, 2, 3, 4])
	batch_of("counter", *(statement(f"UPDATE counts SET n = n + 2 WHERE k = '{k}'") for k in "aba"))
	same("counters", sorted(rows("SELECT k, n FROM counts")), [("a", 4), ("b", 2)])
	raised(errors.CassErrorServerInvalidQuery, batch_of, "logged",
		statement("UPDATE counts SET n = n + 1 WHERE k = 'a'"))


def lwt():
	same("first", rows("INSERT INTO small (k, v) VALUES ('l', 1) IF NOT EXISTS"), [(True,)])
	same("second", rows("INSERT INTO small (k, v) VALUES ('l', 2) IF NOT EXISTS"), [(False, "l", 1)])
	update = "UPDATE small SET v = ? WHERE k = 'l' IF v = ?"
	same("not applied", rows(prepared(update, (3, 7))), [(False, 1)])
	same("applied", rows(prepared(update, (3, 1))), [(True,)])
	same("SERIAL", rows(statement("SELECT v FROM small WHERE k = 'l'", consistency=Consistency.SERIAL)), [(3,)])
	same("deleted", rows(statement("DELETE FROM small WHERE k = 'l' IF EXISTS",
		serial=Consistency.LOCAL_SERIAL)), [(True,)])


def static_columns():
	execute("INSERT INTO fixed (p, c, v) VALUES (1, 1, 'a')")
	execute("INSERT INTO fixed (p, c, s, v) VALUES (1, 2, 'shared', 'b')")
	same("rows", rows("SELECT c, s, v FROM fixed WHERE p = 1"), [(1, "shared", "a"), (2, "shared", "b")])
	execute("UPDATE fixed SET s = 'other' WHERE p = 2")
	same("alone", rows("SELECT p, c, s FROM fixed WHERE p = 2"), [(2, None, "other")])


def simple_types():
	values = (("ascii", "plain"), ("bigint", -2**63), ("blob", b"\x00\xff"), ("boolean", True),
		("double", 0.1), ("float", 0.5), ("int", -2**31), ("smallint", -2**15),
		("text", "\u00fc\u6f22\U0001f600"), ("tinyint", -128), ("uuid", uuid.uuid4()),
		("timeuuid", uuid.uuid1()), ("decimal", decimal.Decimal("-12345678901234567890.0123")))
	execute("CREATE TABLE types (k int PRIMARY KEY, " + ", ".join(f"c_{n} {n}" for n, _ in values) + ")")
	names = ", ".join(f"c_{name}" for name, _ in values)
	execute(prepared(f"INSERT INTO types (k, {names}) VALUES (0, {', '.join('?' * len(values))})",
		[value for _, value in values]))
	row = rows(f"SELECT {names} FROM types WHERE k = 0")[0]
	for (name, value), got in zip(values, row):
		same(name, str(got) if isinstance(value, uuid.UUID) else got,
			str(value) if isinstance(value, uuid.UUID) else value)


def collections():
	execute("CREATE TABLE many (k int PRIMARY KEY, l list<text>, s set<int>, m map<text, bigint>)")
	execute(prepared("INSERT INTO many (k, l, s, m) VALUES (?, ?, ?, ?)", (1, ["b", "a", "b"], {3, 1, 2},
		{"x": 1, "y": 2**40})))
	execute("UPDATE many SET l = l + ['z'], s = s - {1}, m['x'] = 5, m['n'] = 0 WHERE k = 1")
	got = rows("SELECT l, s, m FROM many WHERE k = 1")[0]
	same("row", (list(got[0]), set(got[1]), dict(got[2])), (["b", "a", "b", "z"], {2, 3},
		{"x": 5, "y": 2**40, "n": 0}))


def counting():
	for step in (5, 10, -3):
		execute(prepared("UPDATE counts SET n = n + ? WHERE k = 'c'", (step,)))
	same("counter", rows("SELECT n FROM counts WHERE k = 'c'"), [(12,)])


def ttl_writetime():
	execute("INSERT INTO small (k, v) VALUES ('ttl', 1) USING TTL 2 AND TIMESTAMP 1700000000000000")
	ttl, written = rows("SELECT ttl(v), writetime(v) FROM small WHERE k = 'ttl'")[0]
	same("writetime", written, 1700000000000000)
	same("ttl", ttl in (1, 2), True)
	lab.until("it expires", lambda: not rows("SELECT * FROM small WHERE k = 'ttl'"), 5)


def error_classes():
	for query, kind, text in (("SELEC * FROM rows", errors.CassErrorServerSyntaxError, "no viable alternative"),
			("SELECT * FROM nothing", errors.CassErrorServerInvalidQuery, "nothing does not exist"),
			("SELECT * FROM rows WHERE v = 'x'", errors.CassErrorServerInvalidQuery, "ALLOW FILTERING"),
			("CREATE TABLE rows (k int PRIMARY KEY)", errors.CassErrorServerAlreadyExists, "already exist"),
			("CREATE KEYSPACE bad WITH replication = {'class': 'NoSuchStrategy'}",
				errors.CassErrorServerConfigError, "NoSuchStrategy")):
		within(query, str(raised(kind, execute, query)), text)


def authentication():
	for user in (lab.USER, "nobody"):
		error = raised(errors.CassErrorServerBadCredentials, connect, username=user, password="wrong")
		within(user, str(error), f"Provided username {user} and/or password are incorrect")
	run(connect().close())


def outcome(query, level, on):
	"""Numbers stand in no exception of acsylla's, only the text: the level."""
	try:
		sent(statement(query, consistency=level, idempotent=True), on)
		return "ok"
	except errors.CassErrorServerUnavailable as error:
		within("text", str(error), f"Cannot achieve consistency level {level.name}")
		return "unavailable"
	except errors.CassErrorServerInvalidQuery:
		return "invalid"


def levels(kind, text):
	plain = connect(KEYSPACE, retry_policy="fallthrough")  # else Unavailable asks the next node, once
	for down, expected in lab.LEVELS.items():
		with lab.Away("stop", *lab.NODES[-int(down):]):
			for name, both in expected.items():
				want = "unavailable" if "/" in both[kind] else both[kind]
				same(f"{name} with {down} down", outcome(text, Consistency[name], plain), want)
	run(plain.close())


def has(word, address):
	return any(word in " ".join(event).upper() and address in event for event in seen)


def events():
	other = connect(KEYSPACE, host_listener_callback=listener)
	read = "SELECT * FROM small WHERE k = 'u'"
	for how, node in (("stop", 2), ("kill", 1)):
		seen.clear()
		with lab.Away(how, lab.NODES[node]):
			lab.until(f"DOWN after {how}", lambda n=node: sent(statement(read, idempotent=True), other)
				is not None and has("DOWN", lab.HOSTS[n]))
		lab.until(f"UP after {how}", lambda n=node: sent(read, other) is not None and
			has("UP", lab.HOSTS[n]))
	for name in lab.NODES:
		before = lab.statements()[name]
		lab.until(f"requests to {name} again", lambda n=name, b=before: sent(read, other) is not None and
			lab.statements()[n] > b)
	run(other.close())


def unprepared():
	select = "SELECT v FROM small WHERE k = ?"
	execute("INSERT INTO small (k, v) VALUES ('u', 42)")
	same("before", rows(prepared(select, ("u",))), [(42,)])
	with lab.Away("stop", lab.NODES[2]):
		rows(prepared(select, ("u",), idempotent=True))
	for _ in range(30):
		same("after a restart", rows(prepared(select, ("u",), idempotent=True)), [(42,)])
	before = lab.counters()["unprepared"]
	for name in lab.NODES:
		lab.do(name, "forget-prepared")
	for _ in range(30):
		same("after UNPREPARED", rows(prepared(select, ("u",))), [(42,)])
	if lab.counters()["unprepared"] <= before:
		raise Different("no node answered UNPREPARED")


def timeouts():
	only = connect(KEYSPACE, whitelist_hosts=lab.HOSTS[0], load_balance_dc_aware=None,
		load_balance_round_robin=True, retry_policy="fallthrough")
	write = statement("INSERT INTO small (k, v) VALUES ('w', 1)", consistency=Consistency.ALL)
	read = statement("SELECT v FROM small WHERE k = 'w'", consistency=Consistency.ALL)
	with lab.Away("freeze", lab.NODES[1]):
		within("write", str(raised(errors.CassErrorServerWriteTimeout, execute, write, only)),
			"received only 2 responses")
		within("read", str(raised(errors.CassErrorServerReadTimeout, execute, read, only)),
			"received only 2 responses")
	same("written all the same", rows(read, only), [(1,)])
	with lab.Away("freeze", lab.NODES[0]):
		slow = statement("SELECT v FROM small WHERE k = 'w'")
		slow.set_timeout(0.3)
		raised(errors.CassErrorLibRequestTimedOut, execute, slow, only)
	run(only.close())


def speculative():
	fast = connect(KEYSPACE, token_aware_routing=False, consistency=Consistency.ONE,
		speculative_execution_policy=acsylla.SpeculativeExecutionPolicy(50, 2))
	query = statement("SELECT v FROM small WHERE k = 'u'", idempotent=True)
	for _ in range(30):
		rows(query, fast)
	before = lab.statements()["cassandra-3"]
	with lab.Away("freeze", "cassandra-3"):
		for _ in range(15):
			start = time.monotonic()
			same("row", rows(query, fast), [(42,)])
			if time.monotonic() - start > 2:
				raise Different(f"{time.monotonic() - start:.1f} s: as long as without")
	lab.until("what the frozen node had got", lambda: lab.statements()["cassandra-3"] >= before + 3)
	run(fast.close())


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
check("collections", collections)
check("counters", counting)
check("TTL and writetime", ttl_writetime)
check("errors", error_classes)
check("authentication", authentication)
check("read levels, nodes down", levels, "read", "SELECT * FROM small WHERE k = 'u'")
check("write levels, nodes down", levels, "write", "INSERT INTO small (k, v) VALUES ('u', 42)")
check("events and reconnection", events)
check("UNPREPARED", unprepared)
check("timeouts", timeouts)
check("speculative execution", speculative)
run(session.close())
check.end()
