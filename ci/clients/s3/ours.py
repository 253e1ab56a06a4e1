# SPDX-License-Identifier: Apache-2.0
"""The other direction: oboxlab fs, and a short live storm, against an S3 server that is not ours."""

import os
import subprocess

import servers
from checks import Different, data, one_line, run, same, within

STORM = "scenarios/001-standard-storm.scn"


class Fs:
	"""oboxlab fs on one bucket."""

	def __init__(self, oboxlab, server, bucket):
		host = server.url.split("//")[1]
		self.oboxlab = oboxlab
		self.uri = f"s3:{self.url(host, server, bucket)}"

	@staticmethod
	def url(host, server, bucket):
		return (f"http://{server.key}:{server.secret.replace('/', '%2F')}@{host}/"
			f"?bucket={bucket}&region=us-east-1")

	def __call__(self, command, *arguments, input=None, status=0):
		got, out, err = run([self.oboxlab, "fs", command, "--uri", self.uri, *arguments], input)
		if got != status:
			raise Different(f"fs {command} {' '.join(arguments)}: status {got}: {err}")
		return out


def create(server, *buckets):
	environment = dict(os.environ, AWS_ACCESS_KEY_ID=server.key, AWS_SECRET_ACCESS_KEY=server.secret,
		AWS_EC2_METADATA_DISABLED="true")
	environment.pop("AWS_CA_BUNDLE", None)
	for bucket in buckets:
		subprocess.run(["/usr/bin/aws", "--endpoint-url", server.url, "--region", "us-east-1", "s3api",
			"create-bucket", "--bucket", bucket], env=environment, check=True, capture_output=True)


def put_and_get(fs):
	for name, size in (("empty", 0), ("one", 1), ("small", 4096), ("large", 6 << 20)):
		body = data(size, 7)
		fs("put", f"user/mails/{name}", input=body)
		same(f"body of {name}", fs("get", f"user/mails/{name}"), body)
	fs("put", "user/mails/one", input=b"other")
	same("replaced", fs("get", "user/mails/one"), b"other")


def stat(fs):
	within("stat", fs("stat", "user/mails/small").decode(), "4096")
	fs("stat", "user/mails/missing", status=1)
	fs("get", "user/mails/missing", status=1)


def copy(fs):
	fs("copy", "user/mails/small", "user/mails/copied")
	same("copy", fs("get", "user/mails/copied"), data(4096, 7))


def iterate(fs):
	names = [f"user/list/{i:03d}" for i in range(30)]
	for name in names:
		fs("put", name, input=b"x")
	same("names", sorted(fs("iter", "user/list/").decode().split()), [n[10:] for n in names])
	same("paths", sorted(fs("iter", "-R", "user/list").decode().split()), names)


def odd_names(fs, hard):
	names = ["with space", "plus+plus", "percent%41", "umlaut-\u00fc", "amp&lt<gt>quot\"apos'",
		"question?x=y", "hash#frag", "at@user"]
	for name in names:
		fs("put", f"odd/{name}", input=name.encode())
	for name in names:
		same(f"body of {name!r}", fs("get", f"odd/{name}"), name.encode())
	same("names", sorted(fs("iter", "odd/").decode().rstrip("\n").split("\n")), sorted(names))


def delete(fs):
	fs("delete", "user/mails/one", "user/mails/small")
	fs("get", "user/mails/one", status=1)
	fs("delete", "-R", "user")
	same("left", fs("iter", "-R", "user"), b"")


def storm(oboxlab, server, bucket):
	host = server.url.split("//")[1]
	status, out, err = run([oboxlab, "run", STORM, "--world", "live", "--seed", "1", "--s3",
		Fs.url(host, server, bucket), "--set", "scenario.warmup=1 s", "--set", "scenario.duration=8 s",
		"--set", "scenario.settle=5 s", "--set", "user.count=6",
		"--set", "user.mail_inbox_delivery_interval=1s..4s",
		"--set", "user.mail_session_interval=1s..3s", "--set", "user.mail_session_length=2s..6s",
		"--set", "user.mail_action_delay=200ms..1s", "--set", "user.mail_delivery_retry_delay=1s..2s",
		"--set", "fault.length=qlog 1s..5s"], timeout=200)
	if status != 0:
		raise Different(f"status {status}: {one_line((out.decode() + err)[-280:])}")


def tell(lines, who, check, function, *arguments):
	try:
		function(*arguments)
		lines.tell("ok", who, check)
	except Exception as error:
		lines.tell("FAIL", who, check, one_line(error))


def run_all(oboxlab, server, who, lines):
	create(server, "ours", "storm")
	fs = Fs(oboxlab, server, "ours")
	tell(lines, who, "fs put, get", put_and_get, fs)
	tell(lines, who, "fs stat", stat, fs)
	tell(lines, who, "fs copy", copy, fs)
	tell(lines, who, "fs iter", iterate, fs)
	tell(lines, who, "fs odd names", odd_names, fs, True)
	tell(lines, who, "fs delete", delete, fs)
	tell(lines, who, "live storm", storm, oboxlab, server, "storm")


def run_one(oboxlab, build, work, name, lines):
	start, needs = servers.FOREIGN[name]
	who = f"oboxlab against {name}"
	reason = servers.missing(build, needs)
	if reason:
		lines.tell("skip", who, "all", reason)
		return
	try:
		server = start(build, work)
	except RuntimeError as error:
		lines.tell("FAIL", who, "start", one_line(error))
		return
	try:
		run_all(oboxlab, server, who, lines)
	finally:
		server.stop()
