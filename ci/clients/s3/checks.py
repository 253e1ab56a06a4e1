# SPDX-License-Identifier: Apache-2.0
"""What the Python client programs share: the environment, the data, and how a check is told."""

import hashlib
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

SIZES = (("0 B", 0), ("1 B", 1), ("4 KiB", 4096), ("6 MiB", 6 << 20))
PART = 5 << 20

# Keys that a careless server or proxy decodes, normalises, or cannot write into XML. ODD_FILES are
# those that are also names of files.
ODD_FILES = (
	"with space", " leading and trailing ", "plus+plus", "percent%41", "slash%2Fencoded", "%",
	"umlaut-\u00fc/cyrillic-\u0436/cjk-\u6f22/emoji-\U0001f600", "combining-u\u0308",
	".hidden", "a/.b/..c", "amp&lt<gt>quot\"apos'", "question?mark=1&x=2", "hash#frag",
	"colon:semi;comma,", "paren(1)[2]{3}", "at@user%40host", "back\\slash", "star*tilde~bang!$",
	"equals=sign", "pipe|caret^tick`", "]]>cdata", "\u00a0\u2028\u3000",
)
ODD_KEYS = ODD_FILES + (
	"double//slash", "/leading-slash", "dots/../up", "dots/./here", "trailing/", "..", "../out",
	"tab\there", "new\nline", "return\rhere", "k" * 1024,
)


def env(name):
	value = os.environ.get(name)
	if value is None:
		sys.exit(f"{sys.argv[0]}: {name} is not set")
	return value


def data(size, salt=0):
	"""The same bytes in every program: a SHA-256 counter stream."""
	out = bytearray()
	block = 0
	while len(out) < size:
		out += hashlib.sha256(b"%d:%d" % (salt, block)).digest() * 32
		block += 1
	return bytes(out[:size])


def md5(body):
	return hashlib.md5(body).hexdigest()


class Different(Exception):
	"""The first thing that is not as it should be."""


class Skip(Exception):
	"""Why this client cannot do this."""


def short(value):
	text = value if isinstance(value, str) else repr(value)
	return text if len(text) <= 300 else f"{text[:300]}... ({len(text)} characters)"


def same(what, got, want):
	if got == want:
		return
	if isinstance(got, (bytes, list, tuple)) and isinstance(want, type(got)):
		at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
		raise Different(f"{what}: {len(got)} of {len(want)}, first different at {at}: "
			f"{short(got[at:at + 2])} instead of {short(want[at:at + 2])}")
	raise Different(f"{what}: {short(got)} instead of {short(want)}")


def within(what, text, want):
	if want not in text:
		raise Different(f"{what}: no {want} in {short(' '.join(text.split()))}")


def one_line(text):
	return short(re.sub(r"\s+", " ", str(text)).strip())


class Checks:
	def __init__(self):
		self.failed = 0

	def __call__(self, name, function, *args):
		try:
			function(*args)
			line = f"ok\t{name}\t"
		except Skip as reason:
			line = f"skip\t{name}\t{reason}"
		except Different as difference:
			line = f"FAIL\t{name}\t{one_line(difference)}"
		except Exception as error:  # whatever a client throws is a finding
			line = f"FAIL\t{name}\t{type(error).__name__}: {one_line(error)}"
		self.failed += line.startswith("FAIL")
		print(line, flush=True)

	def skip(self, reason, *names):
		for name in names:
			print(f"skip\t{name}\t{reason}", flush=True)

	def end(self):
		sys.exit(1 if self.failed else 0)


def http(method, url, body=None, headers=None):
	"""A plain request, for presigned URLs: status, body, headers."""
	request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
	if body is not None and not request.has_header("Content-type"):
		request.add_header("Content-Type", "")  # or urllib invents one, and it is signed in SigV2
	try:
		with urllib.request.urlopen(request, timeout=60) as answer:
			return answer.status, answer.read(), answer.headers
	except urllib.error.HTTPError as error:
		return error.code, error.read(), error.headers


def run(command, input=None, environment=None, timeout=120):
	"""A command: exit status, stdout as bytes, stderr as text."""
	done = subprocess.run(command, input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
		env=environment, timeout=timeout, check=False)
	return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def shifted(minutes, environment=None):
	"""The environment of a process whose clock is off."""
	library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
	if not os.path.exists(library):
		raise Skip("libfaketime is not installed")
	return dict(environment or os.environ, LD_PRELOAD=library, FAKETIME=f"{minutes:+d}m")


class Lines:
	def __init__(self):
		self.count = {"ok": 0, "FAIL": 0, "skip": 0}

	def tell(self, verdict, who, check, detail=""):
		self.count[verdict] += 1
		print(f"{verdict:5} {who + ': ' + check:52}{'  ' + detail if detail else ''}".rstrip(), flush=True)

	def end(self):
		print(f"{self.count['ok']} passed, {self.count['FAIL']} failed, {self.count['skip']} skipped")
		return 1 if self.count["FAIL"] else 0


def told(wanted, out):
	"""Lines of a client program; what it should have said and did not."""
	lines = [tuple(line.split("\t")) for line in out.split("\n") if line.count("\t") == 2]
	reported = {line[1] for line in lines}
	return lines + [("FAIL", name, "not reported") for name in wanted if name not in reported]
