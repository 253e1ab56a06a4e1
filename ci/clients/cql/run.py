# SPDX-License-Identifier: Apache-2.0
"""run.py OBOXLAB BUILD_DIR WORK_DIR [NAME...]: foreign Cassandra drivers against `oboxlab serve`. NAME:
only those whose names contain it. One line for each check; the last one is "N passed, N failed, N
skipped"."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(HERE, "..", "s3"))

import levels  # noqa: E402
import servers  # noqa: E402
from checks import Lines, told  # noqa: E402

DC, USER, PASSWORD = "dc1", "cassandra", "cassandra"
PROFILE = f"""cql {{
	nodes = 3
	topology = {DC}:r1 {DC}:r2 {DC}:r3
	keyspaces = mails
	user = {USER}
	password = {PASSWORD}
	conviction = 3 s
	read_timeout = 500 ms
	write_timeout = 500 ms
}}
"""
BASIC = ("three nodes", "DDL and metadata", "requests spread", "prepare", "paging", "batches", "LWT",
	"static columns", "simple types", "collections", "counters", "TTL and writetime", "errors",
	"authentication", "read levels, nodes down", "write levels, nodes down", "events and reconnection",
	"UNPREPARED", "timeouts")
DRIVER = BASIC + ("protocol version", "token-aware routing", "speculative execution")
PYTHON = DRIVER + ("many at once", "large values", "tracing")
CQLSH = ("connect", "three nodes", "DDL", "DESCRIBE", "types", "LWT and batches", "COPY", "paging", "errors",
	"authentication and roles", "levels, nodes down", "tracing")
CPP = BASIC + ("token-aware routing", "speculative execution")
RUST = BASIC + ("token-aware routing", "speculative execution")
GO = BASIC + ("token-aware routing", "speculative execution", "large values")
TIMEOUT_S = 240
running = set()


class Client:
	"""A program, the folder it needs, the checks it must report."""

	def __init__(self, name, command, needs=None, checks=DRIVER, **more):
		self.name, self.command, self.needs, self.checks = name, command, needs, checks
		self.environment = more


def clients(build):
	debian, current = "/usr/bin/python3", os.path.join(build, "python/bin/python")
	program = os.path.join(HERE, "driver.py")
	cpp = [current, os.path.join(HERE, "cpp.py")]
	go = [os.path.join(build, "go/client")]
	java = ["java", "-cp", os.path.join(build, "java/classes") + ":" + os.path.join(build, "java/lib/*"),
		"Client"]
	rust = [os.path.join(build, "rust/target/debug/client")]
	node = ["node", "--no-warnings", os.path.join(build, "javascript/driver.mjs")]
	return (
		Client("Python Debian v3", [debian, program], checks=PYTHON, CQL_VERSION="3"),
		Client("Python Debian v4 lz4", [debian, program], checks=PYTHON, CQL_VERSION="4",
			CQL_COMPRESSION="lz4"),
		Client("Python", [current, program], "python", PYTHON),
		Client("Python v4 snappy", [current, program], "python", PYTHON, CQL_VERSION="4",
			CQL_COMPRESSION="snappy"),
		Client("Python v5 lz4", [current, program], "python", PYTHON, CQL_VERSION="5",
			CQL_COMPRESSION="lz4"),
		Client("Node.js", node, "javascript"),
		Client("cqlsh", [current, os.path.join(HERE, "cqlsh.py")], "python", CQLSH),
		Client("C++", cpp, "python", CPP),
		Client("C++ v3", cpp, "python", CPP, CQL_VERSION="3"),
		Client("Java", java, "java"),
		Client("Java v3", java, "java", CQL_VERSION="3"),
		Client("Java v4 snappy", java, "java", CQL_VERSION="4", CQL_COMPRESSION="snappy"),
		Client("Java v5 lz4", java, "java", CQL_VERSION="5", CQL_COMPRESSION="lz4"),
		Client("Rust", rust, "rust", RUST),
		Client("Rust lz4", rust, "rust", RUST, CQL_COMPRESSION="lz4"),
		Client("Go", go, "go", GO),
		Client("Go v3", go, "go", GO, CQL_VERSION="3"),
		Client("Go v4 lz4", go, "go", GO, CQL_VERSION="4", CQL_COMPRESSION="lz4"),
		Client("Go v4 snappy", go, "go", GO, CQL_VERSION="4", CQL_COMPRESSION="snappy"),
		Client("Go v5 lz4", go, "go", GO, CQL_VERSION="5", CQL_COMPRESSION="lz4"),
		Client("Node.js v3", node, "javascript", CQL_VERSION="3"),
	)


class Server(servers.Process):
	"""oboxlab serve on three addresses of its own."""

	def __init__(self, program, work, name, number):
		path = os.path.join(work, f"{name}.conf")
		with open(path, "w", encoding="utf-8") as file:
			file.write(PROFILE)
		super().__init__(name, [program, "serve", "--cql", f"127.9.{number}.1:0", "--admin", "127.0.0.1:0",
			"--profile", path], os.path.join(work, f"{name}.server"))
		self.wait(lambda: re.search(r"^ready$", self.said(), re.M))
		nodes = re.search(r"^cql (.*)$", self.said(), re.M).group(1).split()
		self.hosts = [node.split(":")[0] for node in nodes]
		self.port = nodes[0].split(":")[1]
		self.admin = re.search(r"^admin (\S+)$", self.said(), re.M).group(1)


def environment_of(client, work, server):
	result = {name: value for name, value in os.environ.items()
		if not name.startswith(("CQL_", "CASSANDRA", "PIP_", "PYTHON"))}
	result.update(HOME=work, PYTHONDONTWRITEBYTECODE="1", CQL_HOSTS=",".join(server.hosts),
		CQL_PORT=server.port, CQL_ADMIN=server.admin, CQL_USER=USER, CQL_PASSWORD=PASSWORD, CQL_DC=DC,
		CQL_LEVELS=json.dumps(levels.table()), **client.environment)
	return result


def run_client(client, number, oboxlab, build, work):
	"""What is to be told: (verdict, check, detail)."""
	reason = client.needs and servers.missing(build, client.needs)
	if reason:
		return [("skip", "all", reason)]
	name = client.name.lower().replace(" ", "-")
	folder = os.path.join(work, name)
	os.makedirs(folder)
	server = Server(oboxlab, work, name, number)
	running.add(server)
	program = servers.Process(name, client.command, os.path.join(folder, "output"),
		environment_of(client, folder, server), folder + ".errors")
	running.add(program)
	lines = []
	try:
		status = program.child.wait(TIMEOUT_S)
	except subprocess.TimeoutExpired:
		status = 0
		lines.append(("FAIL", "all", f"not done after {TIMEOUT_S} s"))
	finally:
		program.stop()
		end = server.stop()
		running.difference_update((program, server))
	lines = told(client.checks, program.said()) + lines
	if status not in (0, 1) or (status == 1 and not any(line[0] == "FAIL" for line in lines)):
		with open(folder + ".errors", encoding="utf-8", errors="replace") as file:
			lines.append(("FAIL", "exit status", f"{status}: {file.read().strip()[-200:]!r}"))
	return lines + [("ok", "the emulator ends in order", "") if end == 0 else
		("FAIL", "the emulator ends in order", f"status {end}: {server.said()[-300:]!r}")]


def interrupted(*_):
	"""Once: everything that was started is ended on the way out."""
	signal.signal(signal.SIGTERM, signal.SIG_IGN)
	for program in list(running):
		program.stop()
	sys.exit(143)


def main():
	oboxlab, build, work = (os.path.abspath(path) for path in sys.argv[1:4])
	names = sys.argv[4:]
	signal.signal(signal.SIGTERM, interrupted)
	lines = Lines()
	shutil.rmtree(work, ignore_errors=True)
	os.makedirs(work)
	these = [client for client in clients(build)
		if not names or any(name.lower() in client.name.lower() for name in names)]
	start = time.monotonic()
	with concurrent.futures.ThreadPoolExecutor(3) as pool:
		runs = [pool.submit(run_client, client, number, oboxlab, build, work)
			for number, client in enumerate(these, 1)]
		for client, run in zip(these, runs):
			for verdict, check, detail in run.result():
				lines.tell(verdict, client.name, check, detail)
	print(f"{time.monotonic() - start:.0f} s")
	sys.exit(lines.end())


main()
