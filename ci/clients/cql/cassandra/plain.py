# SPDX-License-Identifier: Apache-2.0
"""The plainest CQL client: protocol 4, one statement at a time, answers as text. A statement may begin
with options: `@p2 ` page size, `@t777 ` timestamp, `@c8 ` consistency level (LOCAL_QUORUM without), `@? `
only prepare it, `@=00000001,null,unset ` execute it with these values."""

import re
import socket
import struct
import time

NAMES = {0: "ERROR", 2: "READY", 3: "AUTHENTICATE", 6: "SUPPORTED", 8: "RESULT", 16: "AUTH_SUCCESS"}
INT, BIGINTS, TEXTS, BOOLEAN = 9, (2, 5, 11), (1, 13), 4
QUERY, PREPARE, EXECUTE = 7, 9, 10


class Reader:
	def __init__(self, data):
		self.data, self.at = data, 0

	def take(self, count):
		if count > len(self.data) - self.at:
			raise ValueError("an answer that is too short")
		self.at += count
		return self.data[self.at - count:self.at]

	def number(self, form):
		return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

	def string(self):
		return self.take(self.number("H")).decode("utf-8", "replace")

	def value(self):
		length = self.number("i")
		return None if length < 0 else self.take(length)

	def type(self):
		kind = self.number("H")
		if kind in (0x20, 0x22):
			return kind, self.type()
		if kind == 0x21:
			return kind, self.type(), self.type()
		if kind == 0x30:
			name = self.string(), self.string()
			fields = [(self.string(), self.type()) for _ in range(self.number("H"))]
			return (kind,) + name + tuple(part for field in fields for part in field)
		if kind == 0x31:
			return (kind,) + tuple(self.type() for _ in range(self.number("H")))
		if kind == 0:
			return kind, self.string()
		return kind


def shown(kind, value):
	if value is None:
		return "None"
	if kind == INT and len(value) == 4:
		return str(struct.unpack(">i", value)[0])
	if kind in BIGINTS and len(value) == 8:
		return str(struct.unpack(">q", value)[0])
	if kind in TEXTS:
		return repr(value.decode("utf-8", "replace")).replace("\\\\", "\\")
	if kind == BOOLEAN and len(value) == 1:
		return str(bool(value[0]))
	return "0x" + value.hex()


def named(columns):
	return [(name, hex(kind) if isinstance(kind, int) else kind) for name, kind in columns]


def bound(text):
	"""The values of `@=`, as a request has them."""
	lengths = {"null": -1, "unset": -2}
	return b"".join(struct.pack(">i", lengths[each]) if each in lengths
		else struct.pack(">i", len(each) // 2) + bytes.fromhex(each) for each in text.split(","))


class Answer:
	"""`text` is the form of sim/cql-emulator/golden; `error` is a code or None; `rows` are bytes; `id` is
	that of a prepared statement."""

	def __init__(self, flags, opcode, body):
		reader, self.error, self.rows, self.columns, prefix = Reader(body), None, None, (), ""
		self.id = None
		if flags & 2:
			reader.take(16)
		if flags & 8:
			prefix = f"WARN{[reader.string() for _ in range(reader.number('H'))]!r} "
		if opcode == 0:
			self.error = reader.number("I")
			self.text = f"ERROR 0x{self.error:04x} {reader.string()} {reader.data[reader.at:].hex()}"
		elif opcode != 8:
			self.text = NAMES.get(opcode, str(opcode))
		else:
			self.text = self._result(reader)
		self.text = (prefix + self.text).rstrip()

	def _result(self, reader):
		kind = reader.number("I")
		if kind == 4:
			return self._prepared(reader)
		if kind != 2:
			return f"RESULT kind={kind} {reader.data[reader.at:][:60]!r}"
		flags, count = reader.number("I"), reader.number("I")
		more = f" MORE {reader.value().hex()}" if flags & 2 else ""
		columns = self._columns(reader, flags, count)
		self.columns = [name for name, _ in columns]
		self.rows = [[reader.value() for _ in columns] for _ in range(reader.number("I"))]
		table = ", ".join("[" + ", ".join(shown(kind, value) for (_, kind), value in zip(columns, row))
			+ "]" for row in self.rows)
		return f"{named(columns)} [{table}]{more}"

	@staticmethod
	def _columns(reader, flags, count):
		"""[(name, type)]"""
		columns = []
		if flags & 1 and count:
			reader.string(), reader.string()
		for _ in range(count):
			if not flags & 1:
				reader.string(), reader.string()
			columns.append((reader.string(), reader.type()))
		return columns

	def _prepared(self, reader):
		self.id = reader.take(reader.number("H"))
		flags, count = reader.number("I"), reader.number("I")
		keys = [reader.number("H") for _ in range(reader.number("I"))]
		markers = self._columns(reader, flags, count)
		flags, count = reader.number("I"), reader.number("I")
		return f"PREPARED {keys} {named(markers)} {named(self._columns(reader, flags, count))}"


class Connection:
	"""`token` instead of user and password: what AUTH_RESPONSE carries."""

	def __init__(self, address, port, user=None, password=None, timeout=60, token=None):
		self.place = address, port
		self.socket = socket.create_connection((address, port), timeout)
		answer, opcode = self._ask(1, struct.pack(">H", 1) + b"\0\x0bCQL_VERSION\0\x053.0.0")
		if opcode == 3:
			if token is None:
				token = b"\0" + (user or "").encode() + b"\0" + (password or "").encode()
			answer, opcode = self._ask(15, struct.pack(">i", len(token)) + token)
		if opcode not in (2, 16):
			raise PermissionError(answer.text)

	def close(self):
		self.socket.close()

	def _receive(self, count):
		data = b""
		while len(data) < count:
			more = self.socket.recv(count - len(data))
			if not more:
				raise EOFError("the connection was closed")
			data += more
		return data

	def _ask(self, opcode, body):
		self.socket.sendall(struct.pack(">BBhBI", 4, 0, 1, opcode, len(body)) + body)
		_, flags, _, opcode, length = struct.unpack(">BBhBI", self._receive(9))
		return Answer(flags, opcode, self._receive(length)), opcode

	def run(self, statement):
		"""With the options that it begins with; an Answer."""
		level, flags, values, rest, prepare = 6, 0, b"", b"", False
		while statement.startswith("@"):
			option, statement = statement[1:].split(" ", 1)
			kind, value = option[0], option[1:]
			if kind == "?":
				prepare = True
			elif kind == "=":
				flags, values = flags | 1, struct.pack(">H", value.count(",") + 1) + bound(value)
			elif kind == "p":
				flags, rest = flags | 4, rest + struct.pack(">i", int(value))
			elif kind == "t":
				flags, rest = flags | 0x20, rest + struct.pack(">q", int(value))
			elif kind == "c":
				level = int(value)
			else:
				raise ValueError(f"no such option: @{option}")
		text = statement.encode()
		what = struct.pack(">I", len(text)) + text
		if not prepare and not values:
			return self._ask(QUERY, what + struct.pack(">HB", level, flags) + rest)[0]
		answer = self._ask(PREPARE, what)[0]
		if not values or answer.error is not None:
			return answer
		return self._ask(EXECUTE, struct.pack(">H", len(answer.id)) + answer.id
			+ struct.pack(">HB", level, flags) + values + rest)[0]

	def log_in(self, user=None, password=None, token=None):
		"""The answer to a login that may fail, on a connection of its own."""
		try:
			Connection(*self.place, user, password, token=token).close()
			return "AUTH_SUCCESS"
		except PermissionError as error:
			return str(error)

	def must(self, statement):
		answer = self.run(statement)
		if answer.error is not None:
			raise RuntimeError(f"{statement}: {answer.text}")
		return answer


def settle(connection, seconds=30):
	"""Until all nodes have one schema."""
	until = time.monotonic() + seconds
	while True:
		versions = {row[0] for table in ("local", "peers")
			for row in connection.must(f"@c1 SELECT schema_version FROM system.{table}").rows}
		if len(versions) == 1:
			return
		if time.monotonic() > until:
			raise RuntimeError("the nodes do not agree on the schema")
		time.sleep(0.1)


def normal(statement, text):
	"""The answer without what no two servers have in common: moments near now, time uuids that were
	made for it, what only the server itself reads (paging states), and the order of signatures in
	messages, which is another one each time that Cassandra is started."""
	now = time.time()

	def moment(match):
		value = int(match[0])
		for unit in (1, 10**3, 10**6):
			if abs(value / unit - now) < 86400:
				return "<now>"
		return match[0]

	text = re.sub(r"(?<![\w.-])\d{10,16}(?![\w.])", moment, text)
	text = re.sub(r"(known type|following) signatures: (system\.[^\0]*?)\)(?=$|:)", lambda match:
		match[1] + " signatures: " + ", ".join(sorted(match[2].split(", "))) + ")", text)
	text = re.sub(r" MORE [0-9a-f]+$", " MORE", text)
	if re.search(r"\b(now|uuid|currenttimeuuid)\s*\(", statement, re.I):
		text = re.sub(r"0x[0-9a-f]{12}[14][0-9a-f]{19}\b", "<uuid>", text)
	if re.search(r"\b(currentdate|currenttimestamp|currenttime|todate|tounixtimestamp|now)\s*\(",
			statement, re.I):
		text = re.sub(r"0x800\w{5}\b", "<today>", text)
	return text
