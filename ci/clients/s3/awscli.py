# SPDX-License-Identifier: Apache-2.0
"""The aws command: `aws s3` and `aws s3api`."""

import json
import os

from checks import (ODD_FILES, PART, SIZES, Checks, Different, data, env, http, md5, run,
	same, shifted, within)

BUCKET = env("S3_BUCKET")
WORK = env("S3_WORK")
check = Checks()


def environment(key=None, secret=None, token=None):
	result = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
	result.update(AWS_ACCESS_KEY_ID=key or env("S3_KEY"), AWS_REGION=env("S3_REGION"),
		AWS_SECRET_ACCESS_KEY=secret or env("S3_SECRET"), AWS_CONFIG_FILE=path("config"),
		AWS_SHARED_CREDENTIALS_FILE=path("none"), AWS_PAGER="", AWS_MAX_ATTEMPTS="2",
		AWS_EC2_METADATA_DISABLED="true", LC_ALL="C.UTF-8")
	if token is not None:
		result["AWS_SESSION_TOKEN"] = token
	return result


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


def aws(*arguments, as_whom=None):
	status, out, err = run(["aws", "--endpoint-url", env("S3_ENDPOINT"), *arguments],
		environment=as_whom or environment())
	if status != 0:
		raise Different(f"aws {' '.join(arguments)}: {err}")
	return out


def api(operation, *arguments, **more):
	out = aws("s3api", operation, "--bucket", BUCKET, *arguments, **more)
	return json.loads(out) if out.strip() else {}


def refused(code, *arguments, as_whom=None):
	status, _, err = run(["aws", "--endpoint-url", env("S3_ENDPOINT"), *arguments],
		environment=as_whom or environment())
	same("exit status is not 0", status != 0, True)
	within("stderr", err, code)


def url(key=""):
	return f"s3://{BUCKET}/{key}"


# ---- the checks ----


def buckets():
	name = BUCKET + "-made"
	aws("s3", "mb", f"s3://{name}")
	within("ls", aws("s3", "ls").decode(), name)
	write("one", b"x")
	aws("s3", "cp", path("one"), f"s3://{name}/k")
	refused("BucketNotEmpty", "s3", "rb", f"s3://{name}")
	aws("s3", "rb", "--force", f"s3://{name}")
	refused("NoSuchBucket", "s3", "ls", f"s3://{name}")


def up_and_down(size):
	body = data(size)
	write("size", body)
	aws("s3", "cp", path("size"), url("size"))
	aws("s3", "cp", url("size"), path("size.back"))
	same("body", read("size.back"), body)
	out = api("put-object", "--key", "size", "--body", path("size"))
	same("ETag", out["ETag"], f'"{md5(body)}"')
	out = api("get-object", "--key", "size", path("size.back"))
	same("Content-Length", out["ContentLength"], size)
	same("body of get-object", read("size.back"), body)


def ranges():
	body = data(1000)
	api("put-object", "--key", "range", "--body", write("range", body))
	for text, start, end in (("10-19", 10, 20), ("990-", 990, 1000), ("-7", 993, 1000)):
		out = api("get-object", "--key", "range", "--range", "bytes=" + text, path("range.back"))
		same(text, read("range.back"), body[start:end])
		same(f"Content-Range of {text}", out["ContentRange"], f"bytes {start}-{end - 1}/1000")
	refused("InvalidRange", "s3api", "get-object", "--bucket", BUCKET, "--key", "range", "--range",
		"bytes=1000-", path("range.back"))


def metadata():
	aws("s3", "cp", write("meta", b"body"), url("meta"), "--metadata", "a=1,dovecot-fname=b c",
		"--content-type", "message/rfc822", "--cache-control", "no-cache")
	head = api("head-object", "--key", "meta")
	same("metadata", head["Metadata"], {"a": "1", "dovecot-fname": "b c"})
	same("Content-Type", head["ContentType"], "message/rfc822")
	same("Cache-Control", head["CacheControl"], "no-cache")
	same("Content-Length", head["ContentLength"], 4)
	refused("404", "s3api", "head-object", "--bucket", BUCKET, "--key", "missing")


def listing():
	keys = sorted(f"list/{i % 5}/{i:02d}" for i in range(25))
	for key in keys:
		write(key, b"x")
	aws("s3", "sync", path("list"), url("list"), "--quiet")
	for operation in ("list-objects", "list-objects-v2"):
		out = api(operation, "--prefix", "list/", "--page-size", "7")
		same(f"keys of {operation}", [c["Key"] for c in out["Contents"]], keys)
		out = api(operation, "--prefix", "list/", "--delimiter", "/", "--page-size", "2")
		same(f"prefixes of {operation}", [c["Prefix"] for c in out["CommonPrefixes"]],
			[f"list/{i}/" for i in range(5)])
	out = aws("s3", "ls", url("list/3/")).decode().split()
	same("ls", out[3::4], ["03", "08", "13", "18", "23"])
	out = aws("s3", "ls", "--recursive", url("list/"), "--page-size", "7").decode().split()
	same("ls --recursive", out[3::4], keys)


def odd_names():
	aws("s3", "rm", "--recursive", "--quiet", url())
	for name in ODD_FILES:
		write(os.path.join("odd", name), name.encode())
	aws("s3", "sync", path("odd"), url(), "--quiet")
	others = ["double//slash", "/leading-slash", "dots/../up", "..", "trailing/", "return\rhere"]
	for key in others:
		api("put-object", "--key", key, "--body", write("key", key.encode()))
	listed = [c["Key"] for c in api("list-objects-v2", "--page-size", "9")["Contents"]]
	same("listed", listed, sorted(others + list(ODD_FILES), key=lambda key: key.encode()))
	for key in others:
		api("get-object", "--key", key, path("key"))
		same(f"body of {key!r}", read("key"), key.encode())
		aws("s3api", "delete-object", "--bucket", BUCKET, "--key", key)
	aws("s3", "sync", url(), path("odd.back"), "--quiet")
	for name in ODD_FILES:
		same(f"body of {name!r}", read(os.path.join("odd.back", name)), name.encode())
	aws("s3", "sync", path("odd"), url(), "--delete")
	same("nothing left to do", aws("s3", "sync", path("odd"), url(), "--size-only"), b"")
	aws("s3", "rm", "--recursive", "--quiet", url())
	same("left", api("list-objects-v2").get("Contents"), None)


def copies():
	body = data(4096, 1)
	aws("s3", "cp", write("from", body), url("from"), "--metadata", "a=1")
	aws("s3", "cp", url("from"), url("to"))
	aws("s3", "cp", url("to"), path("to"))
	same("body", read("to"), body)
	same("kept", api("head-object", "--key", "to")["Metadata"], {"a": "1"})
	aws("s3", "cp", url("from"), url("to"), "--metadata-directive", "REPLACE", "--metadata", "b=2")
	same("replaced", api("head-object", "--key", "to")["Metadata"], {"b": "2"})
	aws("s3", "mv", url("to"), url("moved +%41"))
	refused("404", "s3api", "head-object", "--bucket", BUCKET, "--key", "to")
	same("moved", api("head-object", "--key", "moved +%41")["ContentLength"], 4096)


def multipart():
	body = data(17 << 20, 4)
	aws("s3", "cp", write("multi", body), url("multi"), "--quiet")
	same("ETag", api("head-object", "--key", "multi")["ETag"][-3:], '-3"')
	aws("s3", "cp", url("multi"), path("multi.back"), "--quiet")
	same("body", read("multi.back"), body)
	upload = ("--key", "parts", "--upload-id",
		api("create-multipart-upload", "--key", "parts")["UploadId"])
	parts = []
	for number, piece in ((2, body[PART:PART + 9]), (1, body[:PART])):
		out = api("upload-part", *upload, "--part-number", str(number), "--body",
			write("part", piece))
		parts.insert(0, {"PartNumber": number, "ETag": out["ETag"]})
	listed = api("list-parts", *upload, "--page-size", "1")["Parts"]
	same("parts", [(p["PartNumber"], p["Size"]) for p in listed], [(1, PART), (2, 9)])
	write("parts.json", json.dumps({"Parts": parts}).encode())
	api("complete-multipart-upload", *upload, "--multipart-upload", "file://" + path("parts.json"))
	api("get-object", "--key", "parts", path("multi.back"))
	same("body of parts", read("multi.back"), body[:PART + 9])


def abort():
	upload = ("--key", "aborted", "--upload-id",
		api("create-multipart-upload", "--key", "aborted")["UploadId"])
	api("upload-part", *upload, "--part-number", "1", "--body", write("part", b"tiny"))
	listed = api("list-multipart-uploads")["Uploads"]
	same("uploads", [(u["Key"], u["UploadId"]) for u in listed], [(upload[1], upload[3])])
	api("abort-multipart-upload", *upload)
	same("none left", api("list-multipart-uploads").get("Uploads"), None)
	refused("NoSuchUpload", "s3api", "list-parts", "--bucket", BUCKET, *upload)


def bulk_delete():
	keys = [f"bulk/{i:04d}" for i in range(1000)]
	for key in keys:
		write(key, b"")
	aws("s3", "sync", path("bulk"), url("bulk"), "--quiet")
	listed = [c["Key"] for c in api("list-objects-v2", "--prefix", "bulk/")["Contents"]]
	same("uploaded", listed, keys)

	def request(names):
		write("delete.json", json.dumps({"Objects": [{"Key": key} for key in names]}).encode())
		return "file://" + path("delete.json")

	refused("MalformedXML", "s3api", "delete-objects", "--bucket", BUCKET, "--delete",
		request(keys + ["bulk/one-too-many"]))
	out = api("delete-objects", "--delete", request(keys))
	same("deleted", sorted(d["Key"] for d in out["Deleted"]), keys)
	same("none left", api("list-objects-v2", "--prefix", "bulk/").get("Contents"), None)


def presigned():
	body = data(4096, 5)
	aws("s3", "cp", write("signed", body), url("signed +%41"))
	address = aws("s3", "presign", url("signed +%41"), "--expires-in", "300").decode().strip()
	status, got, _ = http("GET", address)
	same("GET", (status, got), (200, body))
	status, got, _ = http("PUT", address, b"x")
	same("PUT with GET's URL", (status, b"SignatureDoesNotMatch" in got), (403, True))


def wrong_secret():
	whom = environment(secret="wrong" + env("S3_SECRET")[5:])
	refused("SignatureDoesNotMatch", "s3", "ls", url(), as_whom=whom)
	refused("SignatureDoesNotMatch", "s3api", "put-object", "--bucket", BUCKET, "--key", "k",
		"--body", write("k", b"x"), as_whom=whom)


def unknown_key():
	refused("InvalidAccessKeyId", "s3", "ls", url(), as_whom=environment(key="AKIANOBODYKNOWSTHIS0"))


def expired_token():
	whom = environment(env("S3_EXPIRED_KEY"), env("S3_EXPIRED_SECRET"), env("S3_EXPIRED_TOKEN"))
	refused("ExpiredToken", "s3", "ls", url(), as_whom=whom)


def skewed():
	for minutes in (-20, 20):
		refused("RequestTimeTooSkewed", "s3", "ls", url(), as_whom=shifted(minutes, environment()))
	aws("s3", "ls", url(), as_whom=shifted(10, environment()))


def main():
	os.makedirs(WORK, exist_ok=True)
	with open(path("config"), "w", encoding="ascii") as file:
		file.write("[default]\ns3 =\n  addressing_style = path\n")
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
