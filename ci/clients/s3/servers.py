# SPDX-License-Identifier: Apache-2.0
"""Processes that the stage starts: oboxlab serve, S3 servers that we did not write, and relays."""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from checks import shifted

KEY = "AKIAOBOXLABCLIENTS01"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCOUNT = "123456789012"


def free_port():
	with socket.socket() as probe:
		probe.bind(("127.0.0.1", 0))
		return probe.getsockname()[1]


class Process:
	"""A child that is ended with everything it started."""

	def __init__(self, name, command, log, environment=None, errors=None):
		self.name = name
		self.log = log
		self.started = time.monotonic()
		with open(log, "wb") as out, open(errors or os.devnull, "wb") as other:
			self.child = subprocess.Popen(command, stdout=out,
				stderr=other if errors else subprocess.STDOUT, stdin=subprocess.DEVNULL,
				env=environment, start_new_session=True)

	def said(self):
		with open(self.log, encoding="utf-8", errors="replace") as file:
			return file.read()

	def wait(self, ready, seconds=60):
		"""Until ready() is true; how many seconds since the start."""
		while time.monotonic() - self.started < seconds:
			if self.child.poll() is not None:
				raise RuntimeError(f"{self.name} ended at once: {self.said()[-300:]}")
			if ready():
				return time.monotonic() - self.started
			time.sleep(0.002)
		raise RuntimeError(f"{self.name} is not ready after {seconds} s: {self.said()[-300:]}")

	def stop(self):
		if self.child.poll() is None:
			os.killpg(self.child.pid, signal.SIGTERM)
			try:
				self.child.wait(10)
			except subprocess.TimeoutExpired:
				os.killpg(self.child.pid, signal.SIGKILL)
				self.child.wait()
		return self.child.returncode


def answers(url):
	try:
		with urllib.request.urlopen(url, timeout=2):
			return True
	except urllib.error.HTTPError:
		return True
	except OSError:
		return False


class Oboxlab(Process):
	"""oboxlab serve with a profile; the addresses that it printed."""

	def __init__(self, program, work, profile, name="oboxlab", environment=None):
		path = os.path.join(work, f"{name}.conf")
		with open(path, "w", encoding="utf-8") as file:
			file.write(profile)
		super().__init__(name, [program, "serve", "--s3", "127.0.0.1:0", "--imds", "127.0.0.1:0",
			"--admin", "127.0.0.1:0", "--profile", path], os.path.join(work, f"{name}.log"), environment)
		self.start_s = self.wait(lambda: re.search(r"^ready$", self.said(), re.M))
		urls = dict(re.findall(r"^(s3|imds|admin) (http://\S+)$", self.said(), re.M))
		self.s3, self.imds, self.admin = urls["s3"], urls["imds"], urls.get("admin")


class Foreign(Process):
	"""An S3 server that we did not write; `url`, `key`, `secret`."""

	key, secret = KEY, SECRET

	def __init__(self, name, command, work, port, environment=None):
		self.url = f"http://127.0.0.1:{port}"
		super().__init__(name, command, os.path.join(work, f"{name}.log"),
			dict(os.environ, **(environment or {})))
		self.start_s = self.wait(lambda: answers(self.url))


def moto(build, work):
	port = free_port()
	return Foreign("moto", [os.path.join(build, "python/bin/moto_server"), "-H", "127.0.0.1", "-p",
		str(port)], work, port)


def s3rver(build, work):
	port = free_port()
	folder = os.path.join(work, "s3rver")
	os.makedirs(folder, exist_ok=True)
	server = Foreign("s3rver", ["node", os.path.join(build, "javascript/node_modules/s3rver/bin/s3rver.js"),
		"-a", "127.0.0.1", "-p", str(port), "-d", folder, "--silent"], work, port)
	server.key = server.secret = "S3RVER"
	return server


def versitygw(build, work):
	port = free_port()
	data, side = os.path.join(work, "versitygw-data"), os.path.join(work, "versitygw-side")
	os.makedirs(data, exist_ok=True)
	os.makedirs(side, exist_ok=True)
	return Foreign("versitygw", [os.path.join(build, "versitygw/versitygw"), "--port",
		f"127.0.0.1:{port}", "--quiet", "--keep-alive", "posix", "--sidecar", side, data], work, port,
		{"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET})


# What each of them is made of, below the build folder.
FOREIGN = {"moto": (moto, "python"), "s3rver": (s3rver, "javascript"), "versitygw": (versitygw, "versitygw")}


def missing(build, folder):
	"""Why a folder of the build is not there; None if it is."""
	if os.path.exists(os.path.join(build, folder, ".made-from")):
		return None
	try:
		with open(os.path.join(build, f"{folder}.missing"), encoding="utf-8") as file:
			return file.read().strip()
	except OSError:
		return "not installed"


class Relay:
	"""Copies bytes between a client and the emulator, with TLS on the client's side if `tls` is its
	context, and remembers the payload forms that pass (s3 1.8)."""

	FORM = re.compile(rb"\r\nx-amz-content-sha256: *([A-Za-z0-9-]+)\r\n", re.I)

	def __init__(self, target, tls=None):
		host, port = target.rsplit("/", 1)[1].split(":")
		self.target, self.tls, self.forms = (host, int(port)), tls, set()
		self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
		self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.listener.getsockname()[1]}"
		threading.Thread(target=self.accept, daemon=True).start()

	def accept(self):
		while True:
			try:
				client, _ = self.listener.accept()
			except OSError:
				return
			threading.Thread(target=self.serve, args=(client,), daemon=True).start()

	def serve(self, client):
		try:
			if self.tls is not None:
				client = self.tls.wrap_socket(client, server_side=True)
			server = socket.create_connection(self.target)
		except OSError:
			client.close()
			return
		for one in (client, server):
			one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		back = threading.Thread(target=self.copy, args=(server, client, None), daemon=True)
		back.start()
		self.copy(client, server, self.forms)
		back.join()
		client.close()
		server.close()

	def copy(self, source, target, forms):
		tail = b""
		try:
			while True:
				piece = source.recv(1 << 17)
				if not piece:
					break
				if forms is not None:
					for form in self.FORM.findall(tail + piece):
						forms.add(form.decode() if not re.fullmatch(rb"[0-9a-f]{64}", form) else "SHA256")
					tail = (tail + piece)[-200:]
				target.sendall(piece)
		except OSError:
			pass
		try:
			target.shutdown(socket.SHUT_WR)
		except OSError:
			pass

	def stop(self):
		self.listener.close()


def certificate(work):
	"""A certificate for 127.0.0.1: its file, and the context of a server that has it."""
	cert, key = os.path.join(work, "tls.pem"), os.path.join(work, "tls.key")
	subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
		"subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True,
		env=shifted(-60))  # valid for clients whose clock is behind, too
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(cert, key)
	return cert, context
