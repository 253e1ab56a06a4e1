# SPDX-License-Identifier: Apache-2.0
"""s3cmd, with the signature in S3_SIGNATURE (v2 or v4)."""

import os
import subprocess
import time
import urllib.parse

from checks import (ODD_FILES, ODD_KEYS, PART, SIZES, Checks, Different, data, env, http, md5, run,
	same, shifted, within)

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


def configure(name, key=None, secret=None, token=""):
	host = urllib.parse.urlsplit(env("S3_ENDPOINT")).netloc
	lines = ("[default]", f"access_key = {key or env('S3_KEY')}", f"access_token = {token}",
		f"secret_key = {secret or env('S3_SECRET')}", f"host_base = {host}",
		f"host_bucket = {host}", f"bucket_location = {env('S3_REGION')}", "use_https = False",
		f"signature_v2 = {V2}", "max_retries = 1", "encoding = UTF-8", "check_ssl_certificate = False")
	return write(name, "\n".join(lines + ("",)).encode())


def command(*arguments, config="config"):
	return ["s3cmd", "-c", path(config), "--no-progress", *arguments]


# Else s3cmd sets the copy's ACL, which buckets made since April 2023 do not have
# (https://github.com/s3tools/s3cmd/issues/1304).
NO_ACL = "--acl-private"


def s3cmd(*arguments):
	status, out, err = run(command(*arguments), environment=dict(os.environ, LC_ALL="C.UTF-8"))
	if status != 0:
		raise Different(f"s3cmd {' '.join(arguments)}: {err}")
	return out.decode()


def refused(text, *arguments, config="config", environment=None):
	status, _, err = run(command(*arguments, config=config), environment=environment)
	same("exit status is not 0", status != 0, True)
	within("stderr", err, text)


def url(key=""):
	return f"s3://{BUCKET}/{key}"


def keys_below(prefix=""):
	lines = s3cmd("ls", "--recursive", url(prefix)).split("\n")
	return [line.split(url(), 1)[1] for line in lines if url() in line]


# ---- the checks ----


def buckets():
	name = f"{BUCKET}-made"
	s3cmd("mb", f"s3://{name}")
	within("ls", s3cmd("ls"), f"s3://{name}")
	# Such a bucket refuses version 2, from which s3cmd learns to use version 4.
	s3cmd("put", write("one", b"x"), f"s3://{name}/k")
	refused("BucketNotEmpty", "rb", f"s3://{name}")
	s3cmd("rb", "--force", "--recursive", f"s3://{name}")
	refused("NoSuchBucket", "ls", f"s3://{name}")


def up_and_down(size):
	body = data(size)
	s3cmd("put", write("size", body), url("size"))
	s3cmd("get", "--force", url("size"), path("size.back"))
	same("body", read("size.back"), body)
	info = s3cmd("info", url("size"))
	within("info", info, f"File size: {size}")
	within("info", info, f"MD5 sum:   {md5(body)}")


def ranges():
	body = data(1000)
	s3cmd("put", write("range", body), url("range"))
	write("range.back", body[:400])
	s3cmd("get", "--continue", url("range"), path("range.back"))
	same("continued", read("range.back"), body)


def metadata():
	s3cmd("put", write("meta", b"body"), url("meta"), "--mime-type=message/rfc822",
		"--add-header=x-amz-meta-dovecot-fname: a b", "--add-header=Cache-Control: no-cache")
	info = s3cmd("info", url("meta"))
	within("info", info, "message/rfc822")
	within("info", info, "x-amz-meta-dovecot-fname: a b")
	s3cmd("modify", NO_ACL, url("meta"), "--add-header=x-amz-meta-b:2")
	within("info after modify", s3cmd("info", url("meta")), "x-amz-meta-b: 2")
	refused("404", "info", url("missing"))


def listing():
	keys = sorted(f"list/{i % 5}/{i:02d}" for i in range(25))
	for key in keys:
		write(key, b"x")
	s3cmd("sync", path("list") + "/", url("list/"))
	same("keys", keys_below("list/"), keys)
	lines = s3cmd("ls", url("list/")).split()
	same("prefixes", lines[1::2], [url(f"list/{i}/") for i in range(5)])


def odd_names():
	s3cmd("del", "--recursive", "--force", url())
	# Not those that s3cmd itself alters: it strips blanks at a name's ends, prints line ends as they
	# are, and puts the file's name behind a slash.
	keys = [key for key in ODD_KEYS
		if key == key.strip() and key[-1] != "/" and not set(key) & set("\n\r\t")]
	for key in keys:
		s3cmd("put", write("key", key.encode()), url(key))
	same("listed", keys_below(), sorted(keys, key=lambda key: key.encode()))
	for key in keys:
		s3cmd("get", "--force", url(key), path("key"))
		same(f"body of {key!r}", read("key"), key.encode())
	for key in keys[::4]:
		s3cmd("cp", NO_ACL, url(key), url("copy of it"))
		s3cmd("get", "--force", url("copy of it"), path("key"))
		same(f"copy of {key!r}", read("key"), key.encode())
	s3cmd("del", "--recursive", "--force", url())
	same("left", keys_below(), [])
	names = [name for name in ODD_FILES if name.strip()]
	for name in names:
		write(os.path.join("odd", name), name.encode())
	s3cmd("sync", path("odd") + "/", url("tree/"))
	s3cmd("sync", url("tree/"), path("odd.back") + "/")
	for name in names:
		same(f"body of {name!r}", read(os.path.join("odd.back", name)), name.encode())
	s3cmd("del", "--recursive", "--force", url())


def copies():
	body = data(4096, 1)
	s3cmd("put", write("from", body), url("from"), "--add-header=x-amz-meta-a:1")
	s3cmd("cp", NO_ACL, url("from"), url("to"))
	s3cmd("get", "--force", url("to"), path("to"))
	same("body", read("to"), body)
	within("kept", s3cmd("info", url("to")), "x-amz-meta-a: 1")
	refused("AccessControlListNotSupported", "cp", url("from"), url("to"))
	s3cmd("mv", NO_ACL, url("to"), url("moved +%41"))
	refused("404", "info", url("to"))
	within("moved", s3cmd("info", url("moved +%41")), "File size: 4096")


def multipart():
	body = data(2 * PART + 1000, 2)
	s3cmd("put", "--multipart-chunk-size-mb=5", write("multi", body), url("multi"))
	s3cmd("get", "--force", url("multi"), path("multi.back"))
	same("body", read("multi.back"), body)


def abort():
	"""An upload that is killed between two parts, found, listed, and aborted."""
	write("cut", data(3 * PART, 2))
	with subprocess.Popen(command("put", "--multipart-chunk-size-mb=5", "--limit-rate=3m",
		path("cut"), url("cut")), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as put:
		upload = None
		for _ in range(60):
			time.sleep(0.2)
			lines = [line.split("\t") for line in s3cmd("multipart", url()).split("\n")]
			upload = next((line[2] for line in lines if len(line) > 2 and line[1] == url("cut")), None)
			if upload and "\t1\t" in s3cmd("listmp", url("cut"), upload):
				break
		put.kill()
	within("parts", s3cmd("listmp", url("cut"), str(upload)), f"\t1\t\"{md5(data(PART, 2))}\"\t{PART}")
	s3cmd("abortmp", url("cut"), upload)
	same("none left", url("cut") in s3cmd("multipart", url()), False)
	refused("NoSuchUpload", "listmp", url("cut"), upload)


def bulk_delete():
	keys = [f"bulk/{i:04d}" for i in range(1001)]
	for key in keys:
		write(key, b"")
	s3cmd("sync", path("bulk") + "/", url("bulk/"))
	same("two pages", keys_below("bulk/"), keys)
	s3cmd("del", "--recursive", "--force", url("bulk/"))
	same("none left", keys_below("bulk/"), [])


def presigned():
	body = data(4096, 5)
	s3cmd("put", write("signed", body), url("signed +%41"))
	address = s3cmd("signurl", url("signed +%41"), "+300").strip()
	status, got, _ = http("GET", address)
	same("GET", (status, got), (200, body))
	address = s3cmd("signurl", url("signed +%41"), "1000000000").strip()
	status, got, _ = http("GET", address)
	same("expired", (status, b"Request has expired" in got), (403, True))


def wrong_secret():
	configure("wrong", secret="wrong" + env("S3_SECRET")[5:])
	refused("SignatureDoesNotMatch", "put", write("k", b"x"), url("k"), config="wrong")
	refused("SignatureDoesNotMatch", "ls", url(), config="wrong")


def unknown_key():
	configure("unknown", key="AKIANOBODYKNOWSTHIS0")
	refused("InvalidAccessKeyId", "ls", url(), config="unknown")


def expired_token():
	configure("expired", env("S3_EXPIRED_KEY"), env("S3_EXPIRED_SECRET"), env("S3_EXPIRED_TOKEN"))
	refused("ExpiredToken", "ls", url(), config="expired")


def skewed():
	for minutes in (-20, 20):
		refused("RequestTimeTooSkewed", "ls", url(), environment=shifted(minutes))


def main():
	configure("config")
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
	check("presigned", presigned)
	check("wrong secret", wrong_secret)
	check("unknown key", unknown_key)
	check("expired token", expired_token)
	check("clock skew", skewed)
	check.end()


main()
