# SPDX-License-Identifier: Apache-2.0
"""The statements of sim/cql-emulator/golden, run on the genuine server and on the emulator. Both
answers, and the one that is in the file, are compared after plain.normal()."""

import glob
import os

import plain

DIFFERENCES_MAX = 8  # of all files; faults.txt has one more


class Statement:
	def __init__(self, text, line):
		self.text, self.line, self.want, self.known = text, line, None, None


def read(path):
	result = []
	with open(path, encoding="utf-8") as file:
		for number, line in enumerate(file, 1):
			kind, rest = line[:2], line[2:].rstrip("\n")
			if kind == "> ":
				result.append(Statement(rest, number))
			elif kind == "= ":
				result[-1].want = rest.rstrip()
			elif kind == "~ ":
				result[-1].known = rest.rstrip()
	return result


class Server:
	"""A connection, and one for each user whom `@uNAME ` names: the password is the name."""

	def __init__(self, address, port, user=None, password=None):
		self.place = address, port
		self.users = {None: plain.Connection(address, port, user, password)}

	def close(self):
		for connection in self.users.values():
			connection.close()

	def _user(self, name):
		if name not in self.users:
			self.users[name] = plain.Connection(*self.place, name, name)
		return self.users[name]

	def run(self, statement):
		"""The answer, normalised. `@lNAME:PASSWORD` is a login, `@rHEX` one with these bytes."""
		text, options, user, first = statement.text, "", None, self.users[None]
		while text.startswith("@"):
			option, _, text = text.partition(" ")
			if option[1] == "l":
				return plain.normal(option, first.log_in(*option[2:].split(":", 1)))
			if option[1] == "r":
				return plain.normal(option, first.log_in(token=bytes.fromhex(option[2:])))
			if option[1] == "u":
				user = option[2:]
			else:
				options += option + " "
		try:
			answer = self._user(user).run(options + text)
		except PermissionError as error:
			return plain.normal(text, str(error))
		if text.split()[0].upper() in ("CREATE", "ALTER", "DROP"):
			plain.settle(first)
		return plain.normal(text, answer.text)


def clear(server):
	"""Each file begins without keyspaces of its own."""
	connection = server.users[None]
	rows = connection.must("SELECT keyspace_name FROM system_schema.keyspaces").rows
	for name in (row[0].decode() for row in rows):
		if not name.startswith("system"):
			connection.must(f'DROP KEYSPACE "{name}"')
	plain.settle(connection)


def compare(path, genuine, emulated):
	"""(statements, known differences, other differences, answers that are not the file's)"""
	statements, known, differ, stale = read(path), [], [], []
	for statement in statements:
		real, ours = genuine.run(statement), emulated.run(statement)
		if real != ours:
			(known if statement.known is not None else differ).append((statement, real, ours))
		if real not in [plain.normal(statement.text, text)
				for text in (statement.want, statement.known) if text is not None]:
			stale.append((statement, real, statement.want))
	return len(statements), known, differ, stale


def shown(path, kind, differences):
	for statement, real, other in differences:
		print(f"      {os.path.basename(path)}:{statement.line}: {statement.text[:200]}\n"
			f"        genuine  {real[:400]}\n        {kind:8} {other[:400]}")


def paths(folder):
	"""({file}, {file of servers that ask for a password}, {file in another form})"""
	plain_ones, with_users, others = [], [], []
	for path in sorted(glob.glob(os.path.join(folder, "*.txt"))):
		with open(path, encoding="utf-8") as file:
			text = file.read()
		if "\n! " in text or "\n[" in text or "\nopen\n" in text:
			others.append(path)
		else:
			(with_users if "PasswordAuthenticator" in text.split("\n")[0] else plain_ones).append(path)
	return plain_ones, with_users, others


def run_file(path, genuine, emulated, tell):
	"""`genuine` and `emulated` make a new Server each. How many differences are known."""
	servers = genuine(), emulated()
	try:
		for server in servers:
			clear(server)
		count, known, differ, stale = compare(path, *servers)
	finally:
		for server in servers:
			server.close()
	name = os.path.splitext(os.path.basename(path))[0]
	shown(path, "emulator", differ)
	shown(path, "file", stale)
	tell("FAIL" if differ or count == 0 else "ok", "statements", name,
		f"{count} statements, {len(known)} known differences, {len(differ)} others")
	tell("FAIL" if stale else "ok", "statements", f"{name} as recorded",
		f"{len(stale)} answers of the genuine server have changed" if stale else "")
	return len(known)
