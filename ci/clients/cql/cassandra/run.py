# SPDX-License-Identifier: Apache-2.0
"""run.py BUILD_FOLDER CASSANDRA_FOLDER WORK_FOLDER [NAME...]: the core and the emulator beside a genuine
Cassandra. NAME: only those groups whose names contain it. One line for each check; the last one is
"N passed, N failed, N skipped"."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "../../../.."))
sys.path.insert(0, HERE)

import cassandra  # noqa: E402
import golden  # noqa: E402
import plain  # noqa: E402

# A port that was left a moment ago is not free at once.
ADDRESSES = {"one": "127.77.1.1", "three": "127.77.2.1", "statements": "127.77.3.1",
	"users": "127.77.4.1"}
OURS = "127.77.9.1"
# Snapshots of what is dropped would fill the disk. The name is that of Cassandra's own default, which
# answers repeat.
SETTINGS = {"auto_snapshot": "false", "cluster_name": "Test Cluster"}
MEMORY_OF_THREE_MIB = 6000
STORMS = ("001-standard-storm.scn", "021-dict-async-storm.scn")
SEEDS = (1, 2, 3)
DICT_TESTS = 13
REPLAYED = {"faults.txt": "is of six nodes and their failures: test-cql-transcripts replays it",
	"wire.txt": "is bytes of connections: test-cql-wire replays it"}
RUN_TIMEOUT_S = 600
# Everything happens in half a minute that a scenario spreads over ten.
HURRY = ("user.count=8", "user.mail_inbox_delivery_interval=500ms..2s",
	"user.mail_session_interval=500ms..2s", "user.mail_session_length=2s..6s",
	"user.mail_action_delay=100ms..600ms", "user.mail_delivery_retry_delay=1s..2s",
	"fault.length=qlog 1s..5s", "scenario.warmup=1 s")
PROFILE = "cql {\n\tnodes = 1\n\ttopology = dc1:r1\n%s}\n"


class Lines:
	def __init__(self):
		self.count = {"ok": 0, "FAIL": 0, "skip": 0}

	def tell(self, verdict, who, check, detail=""):
		self.count[verdict] += 1
		print(f"{verdict:5} {who + ': ' + check:60}{'  ' + detail if detail else ''}".rstrip(), flush=True)

	def end(self):
		print(f"{self.count['ok']} passed, {self.count['FAIL']} failed, {self.count['skip']} skipped")
		return 1 if self.count["FAIL"] or not self.count["ok"] else 0


def one_line(text):
	return " ".join(str(text).split())[:400]


class Stage:
	def __init__(self, build, work, lines):
		self.oboxlab = os.path.join(build, "oboxlab")
		self.dict_tests = os.path.join(build, "scenarios/live/test-live-dict")
		self.work, self.lines = work, lines
		self.port, self.faults, self.differences = cassandra.free_port(), 0, 0

	def tell(self, *arguments):
		self.lines.tell(*arguments)

	def hosts(self, cluster):
		return f"{','.join(cluster.addresses)}:{cluster.port}"

	# ---- storms ----

	def storm(self, cluster, scenario, seed, seconds, settle, disturb=None):
		"""(is it fine, what to tell of it). `disturb` is called once the storm has begun."""
		command = [self.oboxlab, "run", os.path.join(ROOT, "scenarios", scenario), "--world", "live",
			"--seed", str(seed), "--json", "--cql", self.hosts(cluster)]
		for setting in HURRY + (f"scenario.duration={seconds} s", f"scenario.settle={settle} s"):
			command += ["--set", setting]
		trouble, disturber, is_over = [], None, threading.Event()
		calm(cluster)
		if disturb:
			disturber = threading.Thread(target=self._disturb, args=(cluster, disturb, is_over,
				trouble))
			disturber.start()
		try:
			done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
				timeout=RUN_TIMEOUT_S)
		except subprocess.TimeoutExpired:
			return False, f"not done after {RUN_TIMEOUT_S} s"
		finally:
			is_over.set()
			if disturber:
				disturber.join()
		is_fine, detail = self._judge(cluster, done)
		return is_fine and not trouble, one_line(trouble[0]) + "; " + detail if trouble else detail

	def _disturb(self, cluster, disturb, is_over, trouble):
		try:
			self._await_mail(cluster, is_over)
			disturb(cluster)
		except Exception as error:  # told by the caller
			trouble.append(error)

	def _await_mail(self, cluster, is_over):
		"""Until one was delivered: the schema is made and agreed on then."""
		connection = plain.Connection(cluster.addresses[0], cluster.port)
		try:
			while not connection.run("SELECT u FROM mails.user_mailbox_objects LIMIT 1").rows:
				if is_over.wait(0.2):
					raise RuntimeError("the run ended before it could be disturbed")
		finally:
			connection.close()

	def _keyspace_is_gone(self, cluster):
		connection = plain.Connection(cluster.addresses[0], cluster.port)
		try:
			return not connection.must("SELECT keyspace_name FROM system_schema.keyspaces WHERE "
				"keyspace_name = 'mails'").rows
		finally:
			connection.close()

	def _judge(self, cluster, done):
		try:
			result = json.loads(done.stdout)
		except ValueError:
			return False, one_line(f"status {done.returncode}: {done.stderr[-300:]}")
		if done.returncode != 0:
			report = os.path.join(self.work, f"failed-{time.monotonic_ns()}.txt")
			with open(report, "w", encoding="utf-8") as file:
				file.write("\n".join(each["report"] for each in result["signatures"]) + done.stderr)
			return False, (f"status {done.returncode}, {result['verdict']}: "
				f"{one_line([each['signature'] for each in result['signatures']])} in {report}")
		if not self._keyspace_is_gone(cluster):
			return False, "the keyspace is still there"
		operations = result["operations"]
		counts = [sum(kind[outcome] for kind in operations.values())
			for outcome in ("ok", "fail", "uncertain")]
		faults = sum(result["faults"].values())
		self.faults += faults
		detail = (f"{counts[0]} operations ok, {counts[1]} failed, {counts[2]} uncertain, {faults} "
			f"faults of ours, {result['excused']} excused")
		# Half of the time nothing may get through to a frozen node.
		return operations["deliver"]["ok"] >= 5 and result["verdict"] == "pass", detail

	def tell_storm(self, who, check, *arguments):
		try:
			is_fine, detail = self.storm(*arguments)
		except Exception as error:
			is_fine, detail = False, one_line(error)
		self.tell("ok" if is_fine else "FAIL", who, check, detail)

	# ---- groups ----

	def statements(self, cluster, which, **login):
		"""The files `which` of golden.paths(); how many differences are known."""
		profile, log = os.path.join(self.work, "serve.conf"), os.path.join(self.work, "serve.log")
		with open(profile, "w", encoding="ascii") as file:
			file.write(PROFILE % "".join(f"\t{key} = {value}\n" for key, value in login.items()))
		with open(log, "wb") as out:
			server = subprocess.Popen([self.oboxlab, "serve", "--cql", f"{OURS}:{self.port}",
				"--profile", profile], stdout=out, stderr=subprocess.STDOUT)
		try:
			until = time.monotonic() + 30
			while not cassandra.speaks_cql(OURS, self.port):
				if server.poll() is not None or time.monotonic() > until:
					raise RuntimeError("oboxlab serve does not start")
				time.sleep(0.05)
			for path in which:
				self.differences += golden.run_file(path,
					lambda: golden.Server(cluster.addresses[0], cluster.port, **login),
					lambda: golden.Server(OURS, self.port, **login), self.tell)
		finally:
			server.terminate()
			server.wait()

	def all_statements(self, wants):
		if not wants("statements") and not wants("users"):
			return
		plain_ones, with_users, others = golden.paths(os.path.join(ROOT, "sim/cql-emulator/golden"))
		for path in others:
			self.tell("skip", "statements", os.path.basename(path), REPLAYED[os.path.basename(path)])
		with_cluster(self, "statements", 1, wants, (
			("statements", lambda cluster: self.statements(cluster, plain_ones)),), auth="no")
		with_cluster(self, "users", 1, wants, (("users", lambda cluster: self.statements(cluster,
			with_users, user="cassandra", password="cassandra")),), auth="yes")
		is_fine = len(plain_ones) >= 8 and with_users and self.differences <= golden.DIFFERENCES_MAX
		self.tell("ok" if is_fine else "FAIL", "statements", "known differences",
			f"{self.differences}, at most {golden.DIFFERENCES_MAX}")

	def dict(self, cluster, who):
		done = subprocess.run([self.dict_tests], cwd=ROOT, capture_output=True, text=True,
			check=False, timeout=RUN_TIMEOUT_S,
			env=dict(os.environ, OBOXLAB_TEST_CQL=self.hosts(cluster)))
		said = done.stdout + done.stderr
		passed = re.findall(r"^\[ +OK \] (\w+)", said, re.M)
		failed = dict.fromkeys(re.findall(r"^\[ +(?:FAILED|ERROR) +\] (\w+)", said, re.M))
		for name in passed:
			self.tell("ok", who, name.replace("_", " "))
		for name in failed:
			self.tell("FAIL", who, name.replace("_", " "))
		if done.returncode != 0 or len(passed) != DICT_TESTS:
			self.tell("FAIL", who, "all", f"status {done.returncode}, {len(passed)} of {DICT_TESTS} "
				f"passed: {one_line(said[-300:])}")

	def storms(self, cluster, who, seconds):
		for scenario in STORMS:
			self.faults = 0
			for seed in SEEDS:
				self.tell_storm(who, f"{scenario[:3]} seed {seed}", cluster, scenario, seed, seconds, 8)
			self.tell("ok" if self.faults else "FAIL", who, f"{scenario[:3]} had faults", str(self.faults))

	def one_node(self, wants):
		with_cluster(self, "one", 1, wants, (
			("dict", lambda cluster: self.dict(cluster, "dict, one node")),
			("storms", lambda cluster: self.storms(cluster, "storm, one node", 20))))

	def freeze(self, cluster):
		"""Long enough for the others to give it up."""
		node, log = cluster.nodes[2], len(cluster.nodes[0].log())
		node.freeze()
		try:
			time.sleep(24)
			with open(f"/proc/{node.pid()}/stat", encoding="ascii") as file:
				if file.read().split(")")[1].split()[0] != "T":
					raise RuntimeError("the node was not frozen")
		finally:
			node.thaw()
		await_line(cluster.nodes[0], log, f"/{node.address}:7000 is now DOWN")
		await_line(cluster.nodes[0], log, f"/{node.address}:7000 is now UP")

	def kill(self, cluster):
		"""Until the others have given it up; then it comes back with what it had."""
		node, log = cluster.nodes[1], len(cluster.nodes[0].log())
		node.kill()
		await_line(cluster.nodes[0], log, f"/{node.address}:7000 is now DOWN")
		node.start()
		await_line(cluster.nodes[0], log, f"/{node.address}:7000 is now UP")

	def kill_briefly(self, cluster):
		"""It is back before the failure detector has given it up."""
		node, log = cluster.nodes[1], len(cluster.nodes[0].log())
		node.kill()
		time.sleep(2)
		node.start()
		await_line(cluster.nodes[0], log, f"/{node.address}:7000 has restarted, now UP")

	def disturbed(self, cluster):
		who = "storm, three nodes"
		for seed in SEEDS[:2]:
			self.tell_storm(who, f"001 seed {seed}, one node frozen", cluster, STORMS[0], seed, 40, 12,
				self.freeze)
			self.tell_storm(who, f"001 seed {seed}, one node killed and started again", cluster,
				STORMS[0], seed, 40, 25, self.kill)
		self.tell_storm(who, f"001 seed {SEEDS[2]}, one node killed and back at once", cluster,
			STORMS[0], SEEDS[2], 40, 25, self.kill_briefly)

	def three_nodes(self, wants):
		if not wants("dict") and not wants("storms") and not wants("disturbed"):
			return
		if memory_mib() < MEMORY_OF_THREE_MIB:
			self.tell("skip", "three nodes", "all", f"{memory_mib()} MiB of memory, which is less than "
				f"{MEMORY_OF_THREE_MIB}")
			return
		with_cluster(self, "three", 3, wants, (
			("dict", lambda cluster: self.dict(cluster, "dict, three nodes")),
			("storms", lambda cluster: self.tell_storm("storm, three nodes", "001 seed 4", cluster,
				STORMS[0], 4, 20, 8)),
			("disturbed", self.disturbed)))


def calm(cluster, seconds=240):
	"""Until each node, asked for something that all have to answer, gets it."""
	statements = ("CREATE KEYSPACE IF NOT EXISTS calm WITH replication = {'class': 'SimpleStrategy', "
		f"'replication_factor': {len(cluster.nodes)}}}", "CREATE TABLE IF NOT EXISTS calm.t (k int "
		"PRIMARY KEY)", "@c5 SELECT k FROM calm.t WHERE k = 1")
	until = time.monotonic() + seconds
	for address in cluster.addresses:
		while True:
			try:
				connection = plain.Connection(address, cluster.port)
				for statement in statements:
					connection.must(statement)
				plain.settle(connection, seconds)
				connection.close()
				break
			except (OSError, EOFError, RuntimeError) as error:
				if time.monotonic() > until:
					raise RuntimeError(f"no calm at {address}: {error}") from error
				time.sleep(1)


def await_line(node, begin, text, seconds=60):
	until = time.monotonic() + seconds
	while text not in node.log()[begin:]:
		if time.monotonic() > until:
			raise RuntimeError(f"node {node.number} never says '{text}'")
		time.sleep(0.2)


def memory_mib():
	with open("/proc/meminfo", encoding="ascii") as file:
		return int(re.search(r"^MemAvailable: +(\d+)", file.read(), re.M)[1]) // 1024


def with_cluster(stage, name, nodes, wants, groups, **settings):
	"""Runs the wanted groups on a cluster of their own."""
	groups = [(group, function) for group, function in groups if wants(group)]
	if not groups:
		return
	cluster, began = None, time.monotonic()
	who = f"{name} node{'s' if nodes > 1 else ''}"
	try:
		cluster = cassandra.Cluster.create(os.path.join(stage.work, name), nodes, stage.port,
			**dict(SETTINGS, address=ADDRESSES[name], **settings))
		cluster.start()
		stage.tell("ok", who, "start", f"{time.monotonic() - began:.0f} s")
		for group, function in groups:
			try:
				function(cluster)
			except Exception as error:
				stage.tell("FAIL", who, group, one_line(error))
	except cassandra.Failed as error:
		stage.tell("FAIL", who, "start", one_line(error))
	finally:
		if cluster:
			cluster.stop()


def main():
	build, place, work = (os.path.abspath(path) for path in sys.argv[1:4])
	names, lines = sys.argv[4:], Lines()
	signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
	if os.path.exists(place + ".missing"):
		with open(place + ".missing", encoding="utf-8") as file:
			lines.tell("skip", "cassandra", "all", file.read().strip())
		print("0 passed, 0 failed, 1 skipped")
		return 0
	os.environ.setdefault("CASSANDRA_LIB", os.path.join(place, "lib"))
	for name in ADDRESSES:  # of a run that was killed
		if os.path.exists(os.path.join(work, name, "cluster.json")):
			cassandra.Cluster(os.path.join(work, name)).stop()
	shutil.rmtree(work, ignore_errors=True)
	os.makedirs(work)
	stage, began = Stage(build, work, lines), time.monotonic()

	def wants(group):
		return not names or any(name in group for name in names)

	stage.all_statements(wants)
	stage.one_node(wants)
	stage.three_nodes(wants)
	print(f"{time.monotonic() - began:.0f} s")
	return lines.end()


sys.exit(main())
