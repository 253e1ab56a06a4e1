# SPDX-License-Identifier: Apache-2.0
"""rclone, with the signature in S3_SIGNATURE (v2 or v4)."""

import json
import os

from checks import (ODD_FILES, PART, SIZES, Checks, Different, data, env, http, md5, run,
	same, within)

BUCKET = env("S3_BUCKET")
WORK = env("S3_WORK")
V2 = env("S3_SIGNATURE") == "v2"
check = Checks()


def path(*names):
	return os.path.join(WORK, *names)


def write(name, body):
	os.makedirs(os.path.dirname(path(name)), exist_ok=True)
	with open(path(name), "wb") as file:
		file.write(body)
	return path(name)


def read(name):
	with open(path(name), "rb") as file:
		return file.read()


def environment(key=None, secret=None, token=""):
	result = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
	settings = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": env("S3_ENDPOINT"),
		"REGION": env("S3_REGION"), "ACCESS_KEY_ID": key or env("S3_KEY"),
		"SECRET_ACCESS_KEY": secret or env("S3_SECRET"), "SESSION_TOKEN": token,
		"V2_AUTH": str(V2).lower(), "UPLOAD_CUTOFF": "5M", "CHUNK_SIZE": "5M",
		"LIST_CHUNK": "7", "COPY_CUTOFF": "5M"}
	result.update({f"RCLONE_CONFIG_LAB_{name}": value for name, value in settings.items()})
	result.update(RCLONE_CONFIG=path("none"), RCLONE_RETRIES="1", RCLONE_LOW_LEVEL_RETRIES="1")
	return result


def rclone(*arguments, input=None):
	status, out, err = run(["rclone", *arguments], input, environment())
	if status != 0:
		raise Different(f"rclone {' '.join(arguments)}: {err}")
	return out


def refused(text, *arguments, as_whom=None, input=None):
	status, _, err = run(["rclone", *arguments], input, as_whom or environment())
	same("exit status is not 0", status != 0, True)
	within("stderr", err, text)


def at(key="", bucket=BUCKET):
	return f"lab:{bucket}/{key}"


def entries(key, *options):
	return json.loads(rclone("lsjson", at(key), *options))


# ---- the checks ----


def buckets():
	name = BUCKET + "-made"
	rclone("mkdir", f"lab:{name}")
	within("lsd", rclone("lsd", "lab:").decode(), name)
	if V2:
		refused("InvalidRequest", "rcat", f"lab:{name}/k", input=b"x")
		return
	rclone("rcat", f"lab:{name}/k", input=b"x")
	refused("BucketNotEmpty", "rmdir", f"lab:{name}")
	rclone("deletefile", f"lab:{name}/k")
	rclone("rmdir", f"lab:{name}")
	refused("directory not found", "ls", f"lab:{name}")


def up_and_down(size):
	body = data(size)
	rclone("copyto", write("size", body), at("size"))
	rclone("copyto", "--ignore-times", at("size"), path("size.back"))
	same("body", read("size.back"), body)
	within("MD5", rclone("md5sum", at("size")).decode(), md5(body))
	rclone("rcat", at("streamed"), input=body)
	same("streamed body", rclone("cat", at("streamed")), body)


def ranges():
	body = data(1000)
	rclone("rcat", at("range"), input=body)
	same("10-19", rclone("cat", "--offset", "10", "--count", "10", at("range")), body[10:20])
	same("990-", rclone("cat", "--offset", "990", at("range")), body[990:])
	same("-7", rclone("cat", "--tail", "7", at("range")), body[-7:])


def metadata():
	rclone("copyto", "--header-upload", "Content-Type: message/rfc822", "--header-upload",
		"X-Amz-Meta-A: 1", write("meta", b"body"), at("meta"))
	entry = entries("meta", "--stat", "--metadata")
	same("Content-Type", entry["MimeType"], "message/rfc822")
	same("metadata", entry["Metadata"]["a"], "1")
	rclone("touch", "--timestamp", "2020-02-02T02:02:02", at("meta"))  # a copy onto itself
	within("time", entries("meta", "--stat")["ModTime"], "2020-02-02T02:02:02")
	same("body", rclone("cat", at("meta")), b"body")


def listing():
	keys = sorted(f"{i % 5}/{i:02d}" for i in range(25))
	for key in keys:
		write(os.path.join("list", key), b"x")
	rclone("copy", path("list"), at("list"))
	for version in ("1", "2"):
		option = ("--s3-list-version", version)
		names = rclone("lsf", "-R", "--files-only", *option, at("list")).decode().split()
		same(f"keys of version {version}", sorted(names), keys)
		names = rclone("lsf", *option, at("list")).decode().split()
		same(f"prefixes of version {version}", names, [f"{i}/" for i in range(5)])
	rclone("check", path("list"), at("list"))


def odd_names():
	rclone("purge", at("tree"))
	for name in ODD_FILES:
		write(os.path.join("odd", name), name.encode())
	rclone("copy", path("odd"), at("tree"))
	rclone("check", "--download", path("odd"), at("tree"))
	rclone("copy", at("tree"), path("odd.back"))
	for name in ODD_FILES:
		same(f"body of {name!r}", read(os.path.join("odd.back", name)), name.encode())
	rclone("copy", at("tree"), at("second tree"))
	rclone("check", at("tree"), at("second tree"))
	same("all there", rclone("size", "--json", at("second tree"))[:20],
		b'{"count":%d,"bytes":' % len(ODD_FILES))
	rclone("purge", at("tree"))
	rclone("purge", at("second tree"))
	same("left", rclone("ls", at("tree")), b"")


def copies():
	body = data(4096, 1)
	rclone("rcat", at("from"), input=body)
	rclone("copyto", at("from"), at("to"))
	same("body", rclone("cat", at("to")), body)
	rclone("moveto", at("to"), at("moved +%41"))
	same("moved", rclone("cat", at("moved +%41")), body)
	same("gone", [e["Name"] for e in entries("", "--files-only") if e["Name"] == "to"], [])


def multipart():
	body = data(2 * PART + 1000, 2)
	rclone("copyto", write("multi", body), at("multi"))
	same("body", rclone("cat", at("multi")), body)
	rclone("copyto", at("multi"), at("multi copied"))  # by UploadPartCopy
	same("body of a copy by parts", rclone("cat", at("multi copied")), body)
	rclone("rcat", at("multi streamed"), input=body)
	same("streamed body", rclone("cat", at("multi streamed")), body)


def abort():
	uploads = json.loads(rclone("backend", "list-multipart-uploads", at()))
	same("uploads", [u for of in uploads.values() for u in of or []], [])
	rclone("backend", "cleanup", at())


def bulk_delete():
	for i in range(100):
		write(f"bulk/{i:04d}", b"")
	rclone("sync", path("bulk"), at("bulk"))
	same("all there", len(rclone("lsf", at("bulk")).split()), 100)
	rclone("delete", at("bulk"))  # key by key
	same("left", rclone("ls", at("bulk")), b"")


def presigned():
	body = data(4096, 5)
	rclone("rcat", at("signed +%41"), input=body)
	address = rclone("link", "--expire", "5m", at("signed +%41")).decode().strip()
	status, got, _ = http("GET", address)
	same("GET", (status, got), (200, body))


def wrong_secret():
	whom = environment(secret="wrong" + env("S3_SECRET")[5:])
	refused("SignatureDoesNotMatch", "lsf", at(), as_whom=whom)


def unknown_key():
	refused("InvalidAccessKeyId", "lsf", at(), as_whom=environment(key="AKIANOBODYKNOWSTHIS0"))


def expired_token():
	whom = environment(env("S3_EXPIRED_KEY"), env("S3_EXPIRED_SECRET"), env("S3_EXPIRED_TOKEN"))
	refused("ExpiredToken", "lsf", at(), as_whom=whom)


def main():
	os.makedirs(WORK, exist_ok=True)
	check("buckets", buckets)
	for name, size in SIZES:
		check(f"upload and download {name}", up_and_down, size)
	check("range", ranges)
	check("metadata", metadata)
	check("list", listing)
	check("odd names", odd_names)
	check("copy", copies)
	check("multipart", multipart)
	check("multipart abort", abort)
	check("bulk delete", bulk_delete)
	if V2:
		check.skip("rclone signs no URLs and sends no session token in version 2", "presigned",
			"expired token")
	else:
		check("presigned", presigned)
		check("expired token", expired_token)
	check("wrong secret", wrong_secret)
	check("unknown key", unknown_key)
	check.skip("a Go program without libc: its clock cannot be moved", "clock skew")
	check.end()


main()
