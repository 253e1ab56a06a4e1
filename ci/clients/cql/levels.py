# SPDX-License-Identifier: Apache-2.0
"""What Cassandra 4.0 answers at each level in a keyspace with three replicas in the one data centre:
"ok", "invalid", or "REQUIRED/ALIVE" of Unavailable."""

NAMES = ("ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL",
	"LOCAL_SERIAL", "LOCAL_ONE")
NEEDED = {"ANY": 1, "ONE": 1, "TWO": 2, "THREE": 3, "QUORUM": 2, "ALL": 3, "LOCAL_QUORUM": 2,
	"EACH_QUORUM": 2, "SERIAL": 2, "LOCAL_SERIAL": 2, "LOCAL_ONE": 1}


def answer(kind, level, alive):
	if (kind, level) in (("read", "ANY"), ("write", "SERIAL"), ("write", "LOCAL_SERIAL")):
		return "invalid"
	if level == "ANY" or NEEDED[level] <= alive:
		return "ok"
	# Whatever is alive: the real ones say 0 there.
	return f"{NEEDED[level]}/{0 if level == 'EACH_QUORUM' else alive}"


def table():
	return {str(down): {level: {kind: answer(kind, level, 3 - down) for kind in ("read", "write")}
		for level in NAMES} for down in (1, 2)}
