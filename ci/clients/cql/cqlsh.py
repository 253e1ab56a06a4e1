# SPDX-License-Identifier: Apache-2.0
"""cqlsh of PyPI, as people use it: statements at its standard input, what it prints."""

import csv
import os
import re
import sys

import cluster as lab
from cluster import Checks, Different, KEYSPACE, Skip, same, within
from checks import run

CQLSH = os.path.join(os.path.dirname(sys.executable), "cqlsh")
WORK = os.environ["HOME"]
check = Checks()


def shell(text, *options, user=lab.USER, password=lab.PASSWORD, host=lab.HOSTS[0], status=0):
	"""What it prints; its errors are in what is raised, or returned where it should fail."""
	got, out, err = run([CQLSH, "--no-color", "-u", user, "-p", password, "--connect-timeout", "10",
		"--request-timeout", "20", *options, host, str(lab.PORT)], input=text.encode())
	if "DESCRIBE is not supported here" in err or re.search("Session [-0-9a-f]+ wasn't found", err):
		raise Skip("the emulator does not have it: " + err.splitlines()[-1])
	if got != status:
		raise Different(f"exit status {got}: {err} {out.decode()[-200:]}")
	return out.decode() if status == 0 else err


def cells(text, *options):
	"""The rows of its tables, without the rulers."""
	lines = [line for line in shell(text, *options).splitlines() if "|" in line or
		re.match(r"^ +\S", line)]
	return [[cell.strip() for cell in line.split("|")] for line in lines]


def connects():
	out = shell("SHOW VERSION; SHOW HOST;")
	within("version", out, "| Cassandra 4.0.14 | CQL spec 3.4.5 | Native protocol v")
	within("host", out, f"Connected to Test Cluster at {lab.HOSTS[0]}:{lab.PORT}")


def three_nodes():
	got = cells("SELECT peer, data_center, rack FROM system.peers;")
	same("peers", sorted(got[1:]), [[lab.HOSTS[1], lab.DC, "r2"], [lab.HOSTS[2], lab.DC, "r3"]])
	for name, host in zip(lab.NODES, lab.HOSTS):
		before = lab.statements()[name]
		same("itself", cells("SELECT rpc_address FROM system.local;")[1], [lab.HOSTS[0]])
		within("listens", shell("SELECT rpc_address FROM system.local;", host=host), host)
		if lab.statements()[name] <= before:
			raise Different(f"{name} got no statement")


def ddl():
	shell(f"""CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'NetworkTopologyStrategy', '{lab.DC}': 3}};
		USE {KEYSPACE};
		CREATE TABLE rows (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC) AND
			comment = 'of the clients';
		CREATE TABLE small (k text PRIMARY KEY, v int);
		CREATE TABLE counts (k text PRIMARY KEY, n counter);
		CREATE TABLE fixed (p int, c int, s text STATIC, v text, PRIMARY KEY (p, c));
		CREATE TABLE many (k int PRIMARY KEY, l list<text>, s set<int>, m map<text, bigint>);
		ALTER TABLE small ADD extra list<int>;
		ALTER TABLE small DROP extra;""")
	same("tables", [row[0] for row in cells(f"SELECT table_name FROM system_schema.tables WHERE "
		f"keyspace_name = '{KEYSPACE}';")[1:]], ["counts", "fixed", "many", "rows", "small"])


def describe():
	out = shell(f"DESCRIBE KEYSPACES; DESCRIBE KEYSPACE {KEYSPACE}; DESCRIBE TABLE {KEYSPACE}.rows; DESCRIBE CLUSTER;")
	within("keyspaces", out, KEYSPACE)
	within("keyspace", out, f"CREATE KEYSPACE {KEYSPACE} WITH replication = "
		f"{{'class': 'NetworkTopologyStrategy', '{lab.DC}': '3'}}  AND durable_writes = true;")
	for text in (f"CREATE TABLE {KEYSPACE}.rows (\n    p int,\n    c int,\n    v text,\n    PRIMARY KEY (p, c)\n"
			") WITH CLUSTERING ORDER BY (c DESC)", "AND comment = 'of the clients'",
			f"CREATE TABLE {KEYSPACE}.fixed (\n    p int,\n    c int,\n    s text static,\n    v text,\n",
			"Cluster: Test Cluster", "Partitioner: Murmur3Partitioner"):
		within("described", out, text) if " " not in text else within("described",
			" ".join(out.split()), " ".join(text.split()))
	again = re.search(rf"CREATE TABLE {KEYSPACE}\.rows \(.*?;", out, re.S).group(0)
	shell(again.replace(f"{KEYSPACE}.rows", f"{KEYSPACE}.rows_again") + f"\nDROP TABLE {KEYSPACE}.rows_again;")


def data_types():
	out = cells(f"""USE {KEYSPACE};
		INSERT INTO many (k, l, s, m) VALUES (1, ['b', 'a'], {{3, 1}}, {{'x': 1, 'y': 1099511627776}});
		UPDATE many SET l = l + ['z'], m['x'] = 5 WHERE k = 1;
		SELECT k, l, m, s FROM many;""")
	same("collections", out[1], ["1", "['b', 'a', 'z']", "{'x': 5, 'y': 1099511627776}", "{1, 3}"])
	out = cells(f"USE {KEYSPACE}; INSERT INTO fixed (p, c, s, v) VALUES (1, 1, 'shared', 'a'); "
		"INSERT INTO fixed (p, c, v) VALUES (1, 2, 'b'); SELECT * FROM fixed;")
	same("static", out[1:], [["1", "1", "shared", "a"], ["1", "2", "shared", "b"]])
	out = cells(f"USE {KEYSPACE}; UPDATE counts SET n = n + 5 WHERE k = 'a'; UPDATE counts SET n = n - 2 "
		"WHERE k = 'a'; SELECT * FROM counts;")
	same("counter", out[1], ["a", "3"])
	out = cells(f"USE {KEYSPACE}; INSERT INTO small (k, v) VALUES ('t', 1) USING TTL 1000 AND TIMESTAMP 5; "
		"SELECT writetime(v), k FROM small;")
	same("writetime", out[1], ["5", "t"])


def lwt_and_batches():
	out = cells(f"USE {KEYSPACE}; INSERT INTO small (k, v) VALUES ('l', 1) IF NOT EXISTS; "
		"INSERT INTO small (k, v) VALUES ('l', 2) IF NOT EXISTS;")
	same("LWT", [row for row in out if row[0] in ("True", "False")], [["True"], ["False", "l", "1"]])
	out = cells(f"USE {KEYSPACE}; BEGIN BATCH INSERT INTO small (k, v) VALUES ('b1', 1); INSERT INTO small "
		"(k, v) VALUES ('b2', 2); APPLY BATCH; BEGIN UNLOGGED BATCH DELETE FROM small WHERE k = 'b1'; APPLY BATCH; "
		"BEGIN COUNTER BATCH UPDATE counts SET n = n + 7 WHERE k = 'b'; APPLY BATCH; "
		"SELECT v, k FROM small WHERE k IN ('b1', 'b2'); SELECT n, k FROM counts WHERE k = 'b';")
	same("batch", out[1:2] + out[3:], [["2", "b2"], ["7", "b"]])


def copy():
	path = os.path.join(WORK, "rows.csv")
	with open(path, "w", encoding="ascii", newline="") as file:
		csv.writer(file).writerows((7, c, f"value {c}") for c in range(lab.ROWS))
	out = shell(f"COPY {KEYSPACE}.rows (p, c, v) FROM '{path}' WITH NUMPROCESSES = 2;")
	within("COPY FROM", out, f"{lab.ROWS} rows imported")
	back = os.path.join(WORK, "back.csv")
	within("COPY TO", shell(f"COPY {KEYSPACE}.rows (p, c, v) TO '{back}' WITH NUMPROCESSES = 2 AND PAGESIZE = 700;"),
		f"{lab.ROWS} rows exported")
	with open(back, encoding="ascii", newline="") as file:
		got = sorted((int(c), v) for _, c, v in csv.reader(file))
	same("rows", got, [(c, f"value {c}") for c in range(lab.ROWS)])


def paging():
	out = shell(f"PAGING 900; SELECT c FROM {KEYSPACE}.rows WHERE p = 7;")
	same("rows", sum(int(line) for line in out.splitlines() if line.strip().isdigit()),
		lab.ROWS * (lab.ROWS - 1) // 2)


def errors():
	for query, text in (("SELEC * FROM rows;", "SyntaxException"), ("SELECT * FROM nothing.rows;",
			"keyspace nothing does not exist"), (f"CREATE TABLE {KEYSPACE}.rows (k int PRIMARY KEY);",
			"already exist"), (f"SELECT * FROM {KEYSPACE}.rows WHERE v = 'x';", "ALLOW FILTERING")):
		within(query, shell(query, status=2), text)


def authentication():
	within("refused", shell("", password="wrong", status=1),
		f"Provided username {lab.USER} and/or password are incorrect")
	shell("CREATE ROLE IF NOT EXISTS reader WITH PASSWORD = 'r' AND LOGIN = true; "
		f"GRANT SELECT ON KEYSPACE {KEYSPACE} TO reader;")
	within("reads", shell(f"SELECT count(*) FROM {KEYSPACE}.small;", user="reader", password="r"), "count")
	within("may not write", shell(f"INSERT INTO {KEYSPACE}.small (k, v) VALUES ('x', 1);", user="reader",
		password="r", status=2), "Unauthorized")
	within("LIST ROLES", shell("LIST ROLES;"), "reader")


def levels():
	for down, expected in lab.LEVELS.items():
		with lab.Away("stop", *lab.NODES[-int(down):]):
			for name in ("ONE", "QUORUM", "ALL", "LOCAL_QUORUM"):
				query = f"CONSISTENCY {name}; INSERT INTO {KEYSPACE}.small (k, v) VALUES ('u', 1);"
				want = expected[name]["write"]
				out = shell(query, status=0 if want == "ok" else 2)
				if want == "ok":
					within(name, out, f"Consistency level set to {name}")
				else:
					required, alive = want.split("/")
					within(name, re.sub(r"\W+", " ", out), f"required_replicas {required} alive_replicas {alive}")


def tracing():
	out = shell(f"TRACING ON; SELECT * FROM {KEYSPACE}.small WHERE k = 'l';")
	if "Tracing session" not in out:
		raise Skip("no trace in the tables")
	within("trace", out, "Request complete")
	within("trace", out, "Parsing SELECT")


check("connect", connects)
check("three nodes", three_nodes)
check("DDL", ddl)
check("DESCRIBE", describe)
check("types", data_types)
check("LWT and batches", lwt_and_batches)
check("COPY", copy)
check("paging", paging)
check("errors", errors)
check("authentication and roles", authentication)
check("levels, nodes down", levels)
check("tracing", tracing)
check.end()
