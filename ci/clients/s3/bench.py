# SPDX-License-Identifier: Apache-2.0
"""bench.py OBOXLAB BUILD_DIR WORK_DIR [OPTION...]: oboxlab serve and the foreign servers, each a process
of its own, measured by `oboxlab bench s3`. Servers that close each connection are left out."""

import os
import shutil
import subprocess
import sys

import ours
import servers

BUCKET = "bench"
# Not moto: its web server closes the connection after each answer.
FOREIGN = ("s3rver", "versitygw")


def option(server, url, key, secret):
	return ["--server", f"{server.name}={url},{key},{secret},{BUCKET},{server.child.pid},"
		f"{max(1, round(server.start_s * 1000))}"]


def main():
	oboxlab, build, work = (os.path.abspath(path) for path in sys.argv[1:4])
	shutil.rmtree(work, ignore_errors=True)
	os.makedirs(work)
	running, options = [], []
	try:
		profile = (f"s3 {{\n\twrite_rate = 0\n\tread_rate = 0\n}}\nkey {servers.KEY} {{\n"
			f"\tsecret = {servers.SECRET}\n}}\nbucket {BUCKET} {{\n\towner = {servers.ACCOUNT}\n}}\n")
		own = servers.Oboxlab(oboxlab, work, profile)
		running.append(own)
		options += option(own, own.s3, servers.KEY, servers.SECRET)
		for name in FOREIGN:
			start, needs = servers.FOREIGN[name]
			reason = servers.missing(build, needs)
			if reason:
				print(f"skipped: {name}: {reason}")
				continue
			server = start(build, work)
			running.append(server)
			ours.create(server, BUCKET)
			options += option(server, server.url, server.key, server.secret)
		sys.exit(subprocess.run([oboxlab, "bench", "s3", *options, *sys.argv[4:]], check=False).returncode)
	finally:
		for server in running:
			server.stop()


main()
