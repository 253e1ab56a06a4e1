# SPDX-License-Identifier: Apache-2.0
"""What the Python programs share: where the cluster is, its admin interface, the data."""

import json
import os
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "s3"))
from checks import Checks, Different, Skip, env, same, within  # noqa: E402,F401

HOSTS = env("CQL_HOSTS").split(",")
PORT = int(env("CQL_PORT"))
USER, PASSWORD, DC = env("CQL_USER"), env("CQL_PASSWORD"), env("CQL_DC")
LEVELS = json.loads(env("CQL_LEVELS"))  # nodes down: level: {read, write}
KEYSPACE = "clients"
ROWS = 10000
NODES = ("cassandra-1", "cassandra-2", "cassandra-3")


def admin(method, path, **params):
	url = env("CQL_ADMIN") + path + ("?" + urllib.parse.urlencode(params) if params else "")
	with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
		return json.load(answer)


def nodes():
	return {node["name"]: node for node in admin("GET", "/nodes")["nodes"]}


def do(name, action):
	admin("POST", "/nodes", name=name, do=action)


def counters():
	return admin("GET", "/counters")["cql"]


def until(what, condition, seconds=15):
	end = time.monotonic() + seconds
	while not condition():
		if time.monotonic() > end:
			raise Different(f"{what}: not within {seconds} s")
		time.sleep(0.02)


def all_up():
	"""Every node is up, and every other one knows."""
	state = nodes()
	for name, node in state.items():
		if node["state"] != "up":
			do(name, "thaw" if node["state"] == "frozen" else "start")
	until("all nodes up", lambda: all(len(node["seen_up_by"]) == len(NODES) - 1
		for node in nodes().values()))


class Away:
	"""with Away("stop", NAME...): some nodes are not there, and the others know. `kill` and `freeze`
	are found out later."""

	def __init__(self, how, *names):
		self.how, self.names = how, names

	def __enter__(self):
		for name in self.names:
			do(name, self.how)

	def __exit__(self, *_):
		all_up()


def statements():
	return {name: node["statements"] for name, node in nodes().items()}


def rows():
	return {name: node["rows"] for name, node in nodes().items()}


def owner_asked(write, key):
	"""Did a replica get the statement itself? In a keyspace with one replica of everything."""
	before, had = statements(), rows()
	write(key)
	after, has = statements(), rows()
	owners = [name for name in NODES if has[name] > had[name]]
	same("replicas of a row", len(owners), 1)
	if after[owners[0]] == before[owners[0]]:
		raise Different(f"key {key} is on {owners[0]}, which was not asked")
