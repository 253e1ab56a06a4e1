# SPDX-License-Identifier: Apache-2.0
"""run.py OBOXLAB BUILD_DIR WORK_DIR [NAME...]: foreign clients against the emulators, and our client
against foreign servers. NAME: only those whose names contain it. One line for each check; the last
one is "N passed, N failed, N skipped"."""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import time

import ours
import servers
from checks import Lines, told

HERE = os.path.dirname(os.path.abspath(__file__))
BASIC = ("buckets", "upload and download 0 B", "upload and download 1 B", "upload and download 4 KiB",
	"upload and download 6 MiB", "range", "metadata", "list", "odd names", "copy", "multipart",
	"multipart abort", "bulk delete", "presigned", "wrong secret", "unknown key", "expired token",
	"clock skew")
SDK = BASIC + ("conditions", "multipart copy", "managed transfer", "checksums")
GO = BASIC + ("conditions", "managed transfer", "checksums")
JAVA = BASIC + ("conditions", "checksums")
FROM_IMDS = ("first credentials", "rotation 1", "rotation 2", "rotation 3", "expired credentials")
TIMEOUT_S = 900
running = set()  # clients

EXPIRED = {"S3_EXPIRED_KEY": "ASIAOBOXLABEXPIRED01", "S3_EXPIRED_SECRET": "expiredexpired",
	"S3_EXPIRED_TOKEN": "FwoGZXIvYXdzEXPIRED=="}
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"


class Client:
	"""A program, the folder it needs, the checks it must report, and the payload forms that must be
	seen on the wire."""

	def __init__(self, name, command, needs=None, checks=SDK, tls=False, forms=(), imds=False, **more):
		self.name, self.command, self.needs, self.checks = name, command, needs, checks
		self.tls, self.forms, self.imds, self.environment = tls, forms, imds, more


def clients(build):
	debian, current = "/usr/bin/python3", os.path.join(build, "python/bin/python")
	node = ["node", "--no-warnings"]
	java = ["java", "-cp", os.path.join(build, "java/classes") + ":" + os.path.join(build, "java/lib/*"),
		"Client"]

	def program(name):
		return os.path.join(HERE, name)

	def script(name):
		return node + [os.path.join(build, "javascript", name)]

	return (
		Client("boto3 Debian SigV4", [debian, program("boto.py")], S3_SIGNATURE="v4"),
		Client("boto3 Debian SigV2", [debian, program("boto.py")], S3_SIGNATURE="v2"),
		Client("boto3 SigV4", [current, program("boto.py")], "python", S3_SIGNATURE="v4"),
		Client("boto3 SigV2", [current, program("boto.py")], "python", S3_SIGNATURE="v2"),
		Client("boto3 TLS", [current, program("boto.py")], "python", tls=True, forms=(TRAILER,),
			S3_SIGNATURE="v4"),
		Client("awscli", [debian, program("awscli.py")], checks=BASIC),
		Client("s3cmd SigV4", [debian, program("s3cmd.py")], checks=BASIC, S3_SIGNATURE="v4"),
		Client("s3cmd SigV2", [debian, program("s3cmd.py")], checks=BASIC, S3_SIGNATURE="v2"),
		Client("rclone SigV4", [debian, program("rclone.py")], checks=BASIC, S3_SIGNATURE="v4"),
		Client("rclone SigV2", [debian, program("rclone.py")], checks=BASIC, S3_SIGNATURE="v2"),
		Client("JavaScript SDK", script("sdk.mjs"), "javascript", forms=("SHA256", TRAILER)),
		Client("JavaScript SDK TLS", script("sdk.mjs"), "javascript", tls=True, forms=(TRAILER,)),
		Client("Go SDK", [os.path.join(build, "go/client")], "go", GO, forms=("SHA256",)),
		Client("Go SDK TLS", [os.path.join(build, "go/client")], "go", GO, tls=True, forms=(TRAILER,)),
		Client("Java SDK", java, "java", JAVA, forms=(SIGNED_TRAILER,)),
		Client("IMDS boto3 Debian", [debian, program("imds.py")], checks=FROM_IMDS, imds=True),
		Client("IMDS boto3", [current, program("imds.py")], "python", FROM_IMDS, imds=True),
		Client("IMDS awscli", [debian, program("imds.py"), "aws"], checks=FROM_IMDS, imds=True),
		Client("IMDS JavaScript SDK", script("imds.mjs"), "javascript", FROM_IMDS, imds=True),
	)


def bucket_of(client):
	return client.name.lower().replace(" ", "-")


def profile(these):
	lines = ["s3 {", "\twrite_rate = 0", "\tread_rate = 0", "}",
		f"key {servers.KEY} {{", f"\tsecret = {servers.SECRET}", "}",
		f"key {EXPIRED['S3_EXPIRED_KEY']} {{", f"\tsecret = {EXPIRED['S3_EXPIRED_SECRET']}",
		f"\tsession_token = {EXPIRED['S3_EXPIRED_TOKEN']}", "\texpires = 1 ms", "}"]
	for client in these:
		# Whatever it signs requests with, s3cmd signs URLs in version 2.
		version_2 = client.environment.get("S3_SIGNATURE") == "v2" or client.name.startswith("s3cmd")
		refuse = "no" if version_2 else "yes"
		lines += [f"bucket {bucket_of(client)} {{", f"\towner = {servers.ACCOUNT}",
			f"\trefuse_sigv2 = {refuse}", "}"]
	return "\n".join(lines) + "\n"


def environment_of(client, work, endpoint, certificate):
	"""Nothing of ours: no AWS_ variables, no configuration files."""
	result = {name: value for name, value in os.environ.items()
		if not name.startswith(("AWS_", "RCLONE_", "S3_", "LD_PRELOAD", "PIP_"))}
	result.update(EXPIRED, HOME=work, PATH="/usr/bin:" + result["PATH"], PYTHONDONTWRITEBYTECODE="1", S3_ENDPOINT=endpoint, S3_REGION="us-east-1", S3_WORK=work,
		S3_BUCKET=bucket_of(client), S3_KEY=servers.KEY, S3_SECRET=servers.SECRET,
		AWS_EC2_METADATA_DISABLED="true", **client.environment)
	if client.tls:
		result.update(AWS_CA_BUNDLE=certificate, NODE_EXTRA_CA_CERTS=certificate,
			SSL_CERT_FILE=certificate)
	return result


def run_client(client, build, work, endpoint, tls):
	"""What is to be told: (verdict, check, detail)."""
	reason = client.needs and servers.missing(build, client.needs)
	if reason:
		return [("skip", "all", reason)]
	folder = os.path.join(work, bucket_of(client))
	os.makedirs(folder)
	relay = servers.Relay(endpoint, tls[1] if client.tls else None) if client.forms else None
	program = servers.Process(client.name, client.command, os.path.join(folder, "output"),
		environment_of(client, folder, relay.url if relay else endpoint, tls[0]), folder + ".errors")
	running.add(program)
	try:
		status = program.child.wait(TIMEOUT_S)
	except subprocess.TimeoutExpired:
		return told(client.checks, program.said()) + [("FAIL", "all", f"not done after {TIMEOUT_S} s")]
	finally:
		program.stop()
		running.discard(program)
		if relay:
			relay.stop()
	lines = told(client.checks, program.said())
	if status not in (0, 1) or (status == 1 and not any(line[0] == "FAIL" for line in lines)):
		with open(folder + ".errors", encoding="utf-8", errors="replace") as file:
			lines.append(("FAIL", "exit status", f"{status}: {file.read().strip()[-200:]!r}"))
	for form in client.forms:
		seen = form in relay.forms
		lines.append(("ok" if seen else "FAIL", f"sends {form}",
			"" if seen else f"only {', '.join(sorted(relay.forms))}"))
	return lines


def step_clock(path, minutes):
	with open(path + ".new", "w", encoding="ascii") as file:
		file.write(f"{minutes:+d}m\n")
	os.replace(path + ".new", path)


def run_clients(oboxlab, build, work, these, lines):
	plain = [client for client in these if not client.imds]
	server = servers.Oboxlab(oboxlab, work, profile(plain))
	try:
		tls = servers.certificate(work)
		with concurrent.futures.ThreadPoolExecutor(2) as pool:
			runs = [pool.submit(run_client, client, build, work, server.s3, tls) for client in plain]
			for client, run in zip(plain, runs):
				for verdict, check, detail in run.result():
					lines.tell(verdict, client.name, check, detail)
	finally:
		status = server.stop()
	lines.tell("ok" if status == 0 else "FAIL", "oboxlab serve", "ends in order",
		"" if status == 0 else f"status {status}: {server.said()[-300:]}")


def run_imds(oboxlab, build, work, these, lines):
	"""A server and a client on one clock, which the client moves by hours."""
	library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
	for client in (client for client in these if client.imds):
		if not os.path.exists(library):
			lines.tell("skip", client.name, "all", "libfaketime is not installed")
			continue
		clock = os.path.join(work, f"{bucket_of(client)}.clock")
		step_clock(clock, 0)
		moved = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1"}
		rotation = ""
		if "aws" in client.command:  # which asks with each command: short lives, in real time
			moved, rotation = {}, "imds {\n\trotate = 2 s\n\tlifetime = 30 s\n}\n"
		server = servers.Oboxlab(oboxlab, work, profile([client]) + rotation, bucket_of(client) + "-server",
			dict(os.environ, **moved))
		try:
			client.environment.update(moved, IMDS_ENDPOINT=server.imds + "/")
			for verdict, check, detail in run_client(client, build, work, server.s3, ("", None)):
				lines.tell(verdict, client.name, check, detail)
		finally:
			server.stop()


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
	if any(not client.imds for client in these):
		run_clients(oboxlab, build, work, these, lines)
	run_imds(oboxlab, build, work, these, lines)
	foreign = [name for name in servers.FOREIGN
		if not names or any(part.lower() in f"oboxlab against {name}" for part in names)]
	if foreign:
		for name in foreign:
			ours.run_one(oboxlab, build, work, name, lines)
	print(f"{time.monotonic() - start:.0f} s")
	sys.exit(lines.end())


main()
