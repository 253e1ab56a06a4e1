# SPDX-License-Identifier: Apache-2.0
"""A genuine Apache Cassandra of one or more nodes, run from the jars of Maven Central without any
script of its distribution (cql-imds 5.4). Everything about a cluster lies in its folder: cluster.json,
and conf, data, logs and pid of each node below its number."""

import glob
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
START_S = 300  # a node, on a busy machine
STOP_S = 20
OPENED = {
	"java.base": "java.lang java.lang.module java.net java.util java.util.concurrent "
		"java.util.concurrent.atomic java.io java.nio sun.nio.ch sun.nio.fs jdk.internal.loader "
		"jdk.internal.ref jdk.internal.reflect jdk.internal.math jdk.internal.module "
		"jdk.internal.util jdk.internal.util.jar jdk.internal.misc",
	"java.rmi": "sun.rmi.transport.tcp sun.rmi.registry sun.rmi.server",
	"java.sql": "java.sql",
	"java.management.rmi": "com.sun.jmx.remote.internal.rmi",
	"jdk.management": "com.sun.management com.sun.management.internal",
}
LOGBACK = """<configuration>
<appender name="F" class="ch.qos.logback.core.FileAppender"><file>{folder}/system.log</file>
<encoder><pattern>%d %level %logger{{20}} %msg%n</pattern></encoder></appender>
<root level="INFO"><appender-ref ref="F"/></root>
</configuration>
"""
# Not settings of cassandra.yaml: what `start` itself understands, with what is taken without it.
OURS = {"address": "127.0.0.1", "dcs": "", "racks": "3", "auth": "no", "heap": "600m"}


class Failed(Exception):
	pass


def java():
	"""A JDK that Cassandra 4.0 runs on: 17, or the 11 that it was made for; (program, version)."""
	places = [os.path.join(os.environ["JAVA_HOME"], "bin/java")] if "JAVA_HOME" in os.environ else []
	places += sorted(glob.glob("/usr/lib/jvm/*17*/bin/java")) + ["/usr/bin/java"]
	places += sorted(glob.glob("/usr/lib/jvm/*11*/bin/java"))
	for place in places:
		if not os.path.exists(place):
			continue
		said = subprocess.run([place, "-version"], capture_output=True, text=True, check=False).stderr
		version = re.search(r'version "(\d+)', said)
		if version and version[1] in ("11", "17"):
			return place, int(version[1])
	raise Failed("no JDK 11 or 17 on this machine")


def library():
	"""The folder of the jars."""
	root = os.path.abspath(os.path.join(HERE, "../../../.."))
	for place in (os.environ.get("CASSANDRA_LIB"), os.path.join(root, "build/cassandra/lib")):
		if place and glob.glob(os.path.join(place, "cassandra-all-*.jar")):
			return os.path.abspath(place)
	raise Failed("no jars of Cassandra: run ci/clients/cql/cassandra/setup build/cassandra")


def opened():
	"""What the modules of a JDK after 8 have to be told."""
	pairs = [f"{module}/{package}=ALL-UNNAMED" for module, packages in OPENED.items()
		for package in packages.split()]
	return [word for pair in pairs for word in ("--add-opens", pair, "--add-exports", pair)]


def free_port():
	with socket.socket() as probe:
		probe.bind(("127.0.0.1", 0))
		return probe.getsockname()[1]


def speaks_cql(address, port):
	"""Does it answer OPTIONS with SUPPORTED?"""
	try:
		with socket.create_connection((address, port), 2) as sock:
			sock.settimeout(2)
			sock.sendall(struct.pack(">BBhBI", 4, 0, 0, 5, 0))
			head = sock.recv(9)
			return len(head) == 9 and head[4] == 6
	except OSError:
		return False


def places_of(nodes, ours):
	"""(data centre, rack) of each node. "dc1:3,dc2:3", racks in turn within each data centre."""
	dcs = ours["dcs"] or ("dc1:3,dc2:3" if nodes == 6 else f"dc1:{nodes}")
	racks, result = int(ours["racks"]), []
	for part in dcs.split(","):
		name, count = part.split(":")
		result += [(name, f"r{i % racks + 1}") for i in range(int(count))]
	if len(result) != nodes:
		raise Failed(f"dcs={dcs} says {len(result)} nodes, not {nodes}")
	return result


class Node:
	def __init__(self, cluster, number):
		self.cluster, self.number = cluster, number
		self.address = cluster.addresses[number - 1]
		self.folder = os.path.join(cluster.folder, str(number))

	# ---- processes ----

	def pid(self):
		"""Of the daemon that was started here; None if it does not run (any more)."""
		try:
			with open(os.path.join(self.folder, "pid"), encoding="ascii") as file:
				pid = int(file.read())
			with open(f"/proc/{pid}/cmdline", "rb") as file:
				return pid if os.fsencode(self.folder) in file.read() else None
		except (OSError, ValueError):
			return None

	def signal(self, number):
		pid = self.pid()
		if pid is None:
			raise Failed(f"node {self.number} does not run")
		os.kill(pid, number)

	def freeze(self):
		self.signal(signal.SIGSTOP)

	def thaw(self):
		self.signal(signal.SIGCONT)

	def _await_end(self, seconds):
		until = time.monotonic() + seconds
		while self.pid() is not None and time.monotonic() < until:
			try:
				os.waitpid(self.pid() or 0, os.WNOHANG)  # where it is a child of this process
			except OSError:
				pass
			time.sleep(0.02)
		return self.pid() is None

	def kill(self):
		"""SIGKILL: what was not written to the commit log is lost."""
		self.signal(signal.SIGKILL)
		self._await_end(STOP_S)

	def stop(self):
		if self.pid() is None:
			return
		self.signal(signal.SIGCONT)
		self.signal(signal.SIGTERM)
		if not self._await_end(STOP_S):
			self.kill()

	def log(self):
		try:
			with open(os.path.join(self.folder, "system.log"), encoding="utf-8", errors="replace") as file:
				return file.read()
		except OSError:
			return ""

	def _last_words(self):
		errors = [line for line in self.log().split("\n") if " ERROR " in line or "Exception" in line]
		with open(os.path.join(self.folder, "stdout"), encoding="utf-8", errors="replace") as file:
			out = [line for line in file.read().split("\n") if line and not line.startswith("WARNING")]
		return " | ".join((errors + out)[:6])[:600] or "nothing in its log"

	# ---- start ----

	def _configure(self):
		cluster, folder = self.cluster, self.folder
		conf = os.path.join(folder, "conf")
		os.makedirs(conf, exist_ok=True)
		settings = {
			"cluster_name": "oboxlab", "num_tokens": "4",
			"partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
			"commitlog_sync": "periodic", "commitlog_sync_period_in_ms": "10000",
			"data_file_directories": f'["{folder}/data"]', "commitlog_directory": f"{folder}/commitlog",
			"hints_directory": f"{folder}/hints", "saved_caches_directory": f"{folder}/saved",
			"cdc_raw_directory": f"{folder}/cdc",
			"storage_port": "7000", "listen_address": self.address, "rpc_address": self.address,
			"native_transport_port": str(cluster.port),
			"endpoint_snitch": "GossipingPropertyFileSnitch", "auto_bootstrap": "false",
		}
		if cluster.ours["auth"] == "yes":
			settings.update(authenticator="PasswordAuthenticator", authorizer="CassandraAuthorizer",
				role_manager="CassandraRoleManager", permissions_validity_in_ms="0",
				roles_validity_in_ms="0", credentials_validity_in_ms="0")
		settings.update(cluster.settings)
		seed = f'{cluster.addresses[0]}:{settings["storage_port"]}'
		settings.setdefault("seed_provider",
			'[{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: '
			f'[{{seeds: "{seed}"}}]}}]')
		with open(os.path.join(conf, "cassandra.yaml"), "w", encoding="utf-8") as file:
			file.writelines(f"{key}: {value}\n" for key, value in settings.items())
		dc, rack = cluster.places[self.number - 1]
		with open(os.path.join(conf, "cassandra-rackdc.properties"), "w", encoding="utf-8") as file:
			file.write(f"dc={dc}\nrack={rack}\n")
		with open(os.path.join(conf, "logback.xml"), "w", encoding="utf-8") as file:
			file.write(LOGBACK.format(folder=folder))

	def _command(self, jmx_port):
		program, version = java()
		lib, folder = library(), self.folder
		command = [program, "-Xms256m", f"-Xmx{self.cluster.ours['heap']}", "-Xss512k", "-XX:+UseSerialGC",
			"-XX:-UsePerfData", "-Djdk.attach.allowAttachSelf=true",
			"-javaagent:" + glob.glob(os.path.join(lib, "jamm-*.jar"))[0],
			f"-Dcassandra.config=file://{folder}/conf/cassandra.yaml",
			f"-Dlogback.configurationFile={folder}/conf/logback.xml",
			f"-Dcassandra.storagedir={folder}/data", "-Dcassandra-foreground=yes",
			"-Dcassandra.native.epoll.enabled=false", "-Dcassandra.ring_delay_ms=1000",
			"-Dcassandra.skip_wait_for_gossip_to_settle=0", f"-Dcassandra.jmx.local.port={jmx_port}",
			"-Dcassandra.superuser_setup_delay_ms=0"]
		if version >= 12:
			command.append("-Djava.security.manager=allow")
		return command + opened() + ["-cp", f"{folder}/conf:{lib}/*", "org.apache.cassandra.service.CassandraDaemon"]

	def start(self):
		"""Returns when it answers clients."""
		if self.pid() is not None:
			raise Failed(f"node {self.number} runs already")
		if speaks_cql(self.address, self.cluster.port):
			raise Failed(f"something else answers at {self.address}:{self.cluster.port}")
		self._configure()
		jmx_port = free_port()
		with open(os.path.join(self.folder, "stdout"), "wb") as out:
			child = subprocess.Popen(self._command(jmx_port), stdout=out, stderr=subprocess.STDOUT,
				stdin=subprocess.DEVNULL, start_new_session=True)
		for name, value in (("pid", child.pid), ("jmx", jmx_port)):
			with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
				file.write(f"{value}\n")
		until = time.monotonic() + START_S
		while not speaks_cql(self.address, self.cluster.port):
			if child.poll() is not None:
				raise Failed(f"node {self.number} ended at once: {self._last_words()}")
			if time.monotonic() > until:
				self.kill()
				raise Failed(f"node {self.number} is not ready after {START_S} s: {self._last_words()}")
			time.sleep(0.05)

	def await_superuser(self):
		"""PasswordAuthenticator makes the role cassandra a moment after the start, once."""
		until = time.monotonic() + START_S
		while "Created default superuser role" not in self.log():
			if time.monotonic() > until:
				raise Failed(f"node {self.number} has made no superuser")
			time.sleep(0.05)

	def tool(self, *arguments):
		"""nodetool; (status, output)."""
		with open(os.path.join(self.folder, "jmx"), encoding="ascii") as file:
			port = file.read().strip()
		done = subprocess.run([java()[0], "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1",
			f"-Dlogback.configurationFile={self.folder}/conf/logback.xml",
			"-Duser.home=" + self.folder, *opened(), "-cp", f"{self.folder}/conf:{library()}/*",
			"org.apache.cassandra.tools.NodeTool", "-h", "127.0.0.1", "-p", port, *arguments],
			stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
		return done.returncode, done.stdout


class Cluster:
	def __init__(self, folder):
		self.folder = os.path.abspath(folder)
		try:
			with open(os.path.join(self.folder, "cluster.json"), encoding="utf-8") as file:
				saved = json.load(file)
		except OSError as error:
			raise Failed(f"no cluster in {folder}: {error.strerror}") from error
		self.port, self.settings, self.ours = saved["port"], saved["settings"], saved["ours"]
		first = ipaddress.ip_address(self.ours["address"])
		self.addresses = [str(first + i) for i in range(saved["nodes"])]
		self.places = places_of(saved["nodes"], self.ours)
		self.nodes = [Node(self, i + 1) for i in range(saved["nodes"])]

	@classmethod
	def create(cls, folder, nodes=1, port=9042, **settings):
		"""Configures one; a folder that has one already loses it, data and all."""
		folder = os.path.abspath(folder)
		ours = {key: str(settings.pop(key, value)) for key, value in OURS.items()}
		if not ipaddress.ip_address(ours["address"]).is_loopback:
			raise Failed(f"{ours['address']} is not an address of this machine alone")
		if os.path.exists(os.path.join(folder, "cluster.json")):
			Cluster(folder).stop()
			shutil.rmtree(folder)
		os.makedirs(folder, exist_ok=True)
		with open(os.path.join(folder, "cluster.json"), "w", encoding="utf-8") as file:
			json.dump({"nodes": nodes, "port": port, "settings": settings, "ours": ours}, file)
		return cls(folder)

	def start(self):
		"""One node after another; returns when each has seen all."""
		for node in self.nodes:
			node.start()
			if node.number == 1 and self.ours["auth"] == "yes":
				node.await_superuser()
		for node in self.nodes:
			for other in self.nodes:
				if other is not node:
					self._await_sight(node, other)

	def _await_sight(self, node, other):
		until = time.monotonic() + START_S
		while not re.search(rf"InetAddress /{re.escape(other.address)}:\d+ is now UP", node.log()):
			if time.monotonic() > until:
				raise Failed(f"node {node.number} does not see node {other.number}")
			time.sleep(0.05)

	def stop(self):
		for node in self.nodes:
			node.stop()


def settings_of(words):
	result = {}
	for word in words:
		key, separator, value = word.partition("=")
		if not separator or not re.fullmatch(r"[a-z_]+", key):
			raise Failed(f"'{word}' is not a setting: key=value")
		result[key] = value
	return result


def main(command, arguments):
	try:
		if command == "start" and arguments:
			numbers = [int(arguments.pop(1)) for _ in arguments[1:3] if arguments[1].isdigit()]
			began = time.monotonic()
			cluster = Cluster.create(arguments[0], *numbers, **settings_of(arguments[1:]))
			try:
				cluster.start()
			except BaseException:
				cluster.stop()
				raise
			print(f"{','.join(cluster.addresses)}:{cluster.port} after {time.monotonic() - began:.1f} s")
		elif command == "stop" and len(arguments) == 1:
			Cluster(arguments[0]).stop()
		elif command == "node" and len(arguments) > 2:
			node = Cluster(arguments[0]).nodes[int(arguments[1]) - 1]
			if arguments[2] == "tool":
				status, out = node.tool(*arguments[3:])
				print(out, end="")
				sys.exit(status)
			{"start": node.start, "stop": node.stop, "kill": node.kill, "freeze": node.freeze,
				"thaw": node.thaw}[arguments[2]]()
		else:
			raise Failed("usage: start DIR [NODES] [PORT] [KEY=VALUE...] | stop DIR | "
				"node DIR N start|stop|kill|freeze|thaw | node DIR N tool NODETOOL-ARGUMENTS...")
	except (Failed, KeyError, ValueError, IndexError) as error:
		print(f"{command}: {error}", file=sys.stderr)
		sys.exit(1 if isinstance(error, Failed) else 2)


if __name__ == "__main__":
	main(sys.argv[1], sys.argv[2:])
