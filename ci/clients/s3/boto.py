# SPDX-License-Identifier: Apache-2.0
"""boto3, whichever version this Python has, with the signature in S3_SIGNATURE (v2 or v4)."""

import io
import sys
import time

import boto3
import boto3.s3.transfer
import botocore.config
import botocore.exceptions

from checks import (ODD_KEYS, PART, SIZES, Checks, Different, data, env, http, md5, run, same,
	shifted)

V2 = env("S3_SIGNATURE") == "v2"
BUCKET = env("S3_BUCKET")
CURRENT = tuple(int(n) for n in boto3.__version__.split(".")[:2]) >= (1, 36)
# botocore 1.29 signs "/bucket?uploads?uploads" in version 2 where the operation's path has a query;
# later ones do not.
NO_QUERIES = V2 and not CURRENT
LISTS = (("list_objects", "NextMarker"), ("list_objects_v2", "NextContinuationToken"))
if NO_QUERIES:
	LISTS = LISTS[:1]
check = Checks()


def connect(key=None, secret=None, token=None, version="s3" if V2 else "s3v4"):
	config = botocore.config.Config(signature_version=version,
		s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}, read_timeout=60)
	return boto3.client("s3", endpoint_url=env("S3_ENDPOINT"), region_name=env("S3_REGION"),
		aws_access_key_id=key or env("S3_KEY"), aws_secret_access_key=secret or env("S3_SECRET"),
		aws_session_token=token, config=config)


s3 = connect()


def refused(code, status, function, **arguments):
	try:
		function(**arguments)
	except botocore.exceptions.ClientError as error:
		same("code", error.response["Error"].get("Code"), code)
		same("status", error.response["ResponseMetadata"]["HTTPStatusCode"], status)
		return error.response
	raise Different(f"{code} expected, but it was accepted")


def put(key, body, **more):
	return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def get(key, **more):
	return s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def listed(prefix="", size=1000):
	pages = s3.get_paginator(LISTS[-1][0]).paginate(Bucket=BUCKET, Prefix=prefix,
		PaginationConfig={"PageSize": size})
	return [item for page in pages for item in page.get("Contents", [])]


def delete_all(prefix):
	for item in listed(prefix):
		s3.delete_object(Bucket=BUCKET, Key=item["Key"])


# ---- the checks ----


def buckets():
	name = BUCKET + "-made"
	s3.create_bucket(Bucket=name)
	same("HEAD", s3.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"], 200)
	names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
	same("listed", name in names and BUCKET in names, True)
	if not NO_QUERIES:
		same("location", s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"], None)
	other = s3
	if V2:  # which every bucket made since June 2020 refuses
		refused("InvalidRequest", 400, s3.put_object, Bucket=name, Key="k", Body=b"x")
		other = connect(version="s3v4")
	other.put_object(Bucket=name, Key="k", Body=b"x")
	refused("BucketNotEmpty", 409, other.delete_bucket, Bucket=name)
	other.delete_object(Bucket=name, Key="k")
	other.delete_bucket(Bucket=name)
	refused("404", 404, s3.head_bucket, Bucket=name)
	refused("NoSuchBucket", 404, s3.get_object, Bucket=name, Key="k")


def up_and_down(size):
	body = data(size)
	same("ETag", put("size", body)["ETag"], f'"{md5(body)}"')
	answer = s3.get_object(Bucket=BUCKET, Key="size")
	same("Content-Length", answer["ContentLength"], size)
	same("ETag of GET", answer["ETag"], f'"{md5(body)}"')
	same("body", answer["Body"].read(), body)
	put("size", io.BytesIO(body))  # a stream: other checksums and chunks than a buffer's
	same("body of a stream", get("size"), body)


def ranges():
	body = data(1000)
	put("range", body)
	for text, start, end in (("0-0", 0, 1), ("10-19", 10, 20), ("990-", 990, 1000), ("-7", 993, 1000),
		("998-5000", 998, 1000), ("-5000", 0, 1000)):
		answer = s3.get_object(Bucket=BUCKET, Key="range", Range="bytes=" + text)
		same(text, answer["Body"].read(), body[start:end])
		same(f"Content-Range of {text}", answer["ContentRange"], f"bytes {start}-{end - 1}/1000")
		same(f"status of {text}", answer["ResponseMetadata"]["HTTPStatusCode"], 206)
	refused("InvalidRange", 416, get, key="range", Range="bytes=1000-")


def metadata():
	pairs = {"dovecot-fname": "a b+c%d", "empty-ish": "x", "long": "v" * 1500}
	put("meta", b"body", Metadata=pairs, ContentType="message/rfc822", CacheControl="no-cache",
		ContentDisposition='attachment; filename="m.eml"', ContentEncoding="identity",
		ContentLanguage="de")
	head = s3.head_object(Bucket=BUCKET, Key="meta")
	same("metadata", head["Metadata"], pairs)
	same("Content-Type", head["ContentType"], "message/rfc822")
	same("Cache-Control", head["CacheControl"], "no-cache")
	same("Content-Disposition", head["ContentDisposition"], 'attachment; filename="m.eml"')
	same("Content-Language", head["ContentLanguage"], "de")
	same("Content-Length", head["ContentLength"], 4)
	refused("404", 404, s3.head_object, Bucket=BUCKET, Key="missing")
	refused("MetadataTooLarge", 400, put, key="meta", body=b"", Metadata={"a": "v" * 2048})
	answer = s3.get_object(Bucket=BUCKET, Key="meta", ResponseContentType="text/x-other")
	same("response-content-type", answer["ContentType"], "text/x-other")


def listing():
	keys = sorted(f"list/{i % 5}/{i:02d}" for i in range(25))
	for key in keys:
		put(key, b"x")
	for operation, token in LISTS:
		pages = list(s3.get_paginator(operation).paginate(Bucket=BUCKET, Prefix="list/",
			PaginationConfig={"PageSize": 7}))
		same(f"keys of {operation}", [c["Key"] for p in pages for c in p["Contents"]], keys)
		same(f"pages of {operation}", [len(p["Contents"]) for p in pages], [7, 7, 7, 4])
		groups = list(s3.get_paginator(operation).paginate(Bucket=BUCKET, Prefix="list/",
			Delimiter="/", PaginationConfig={"PageSize": 2}))
		same(f"common prefixes of {operation}",
			[c["Prefix"] for p in groups for c in p["CommonPrefixes"]],
			[f"list/{i}/" for i in range(5)])
		same(f"{token} of {operation}", token in groups[0], True)
	entry = listed("list/")[0]
	same("entry", (entry["Size"], entry["ETag"], entry["StorageClass"]),
		(1, f'"{md5(b"x")}"', "STANDARD"))
	if not NO_QUERIES:
		listing_by_query(keys)
	delete_all("list/")


def listing_by_query(keys):
	after = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter=keys[20])
	same("start-after", [c["Key"] for c in after["Contents"]], keys[21:])
	versions = s3.list_object_versions(Bucket=BUCKET, Prefix="list/", MaxKeys=1000)["Versions"]
	same("versions", [(v["Key"], v["VersionId"], v["IsLatest"]) for v in versions],
		[(key, "null", True) for key in keys])


def odd_names():
	delete_all("")
	for key in ODD_KEYS:
		put(key, key.encode())
	same("listed", [item["Key"] for item in listed(size=5)],
		sorted(ODD_KEYS, key=lambda key: key.encode()))
	for key in ODD_KEYS:
		same(f"body of {key!r}", get(key), key.encode())
		s3.copy_object(Bucket=BUCKET, Key="copy of it", CopySource={"Bucket": BUCKET, "Key": key})
		same(f"copy of {key!r}", get("copy of it"), key.encode())
	if NO_QUERIES:
		for key in ODD_KEYS:
			s3.delete_object(Bucket=BUCKET, Key=key)
	else:
		answer = s3.delete_objects(Bucket=BUCKET,
			Delete={"Objects": [{"Key": key} for key in ODD_KEYS]})
		same("deleted", sorted(d["Key"] for d in answer["Deleted"]), sorted(ODD_KEYS))
	refused("KeyTooLongError", 400, put, key="k" * 1025, body=b"x")
	same("left", [item["Key"] for item in listed()], ["copy of it"])


def copies():
	body = data(4096, 1)
	etag = put("from", body, Metadata={"a": "1"}, ContentType="text/a")["ETag"]
	source = {"Bucket": BUCKET, "Key": "from"}
	answer = s3.copy_object(Bucket=BUCKET, Key="to", CopySource=source)
	same("ETag", answer["CopyObjectResult"]["ETag"], etag)
	head = s3.head_object(Bucket=BUCKET, Key="to")
	same("kept", (head["Metadata"], head["ContentType"]), ({"a": "1"}, "text/a"))
	s3.copy_object(Bucket=BUCKET, Key="to", CopySource=source, MetadataDirective="REPLACE",
		Metadata={"b": "2"}, ContentType="text/b")
	head = s3.head_object(Bucket=BUCKET, Key="to")
	same("replaced", (head["Metadata"], head["ContentType"]), ({"b": "2"}, "text/b"))
	same("body", get("to"), body)
	refused("InvalidRequest", 400, s3.copy_object, Bucket=BUCKET, Key="from", CopySource=source)
	refused("NoSuchKey", 404, s3.copy_object, Bucket=BUCKET, Key="to",
		CopySource={"Bucket": BUCKET, "Key": "missing"})
	refused("PreconditionFailed", 412, s3.copy_object, Bucket=BUCKET, Key="to", CopySource=source,
		CopySourceIfNoneMatch=etag)


def conditions():
	etag = put("cond", b"one")["ETag"]
	same("If-Match", get("cond", IfMatch=etag), b"one")
	refused("PreconditionFailed", 412, get, key="cond", IfMatch='"other"')
	refused("304", 304, get, key="cond", IfNoneMatch=etag)
	if not CURRENT:
		return
	refused("PreconditionFailed", 412, put, key="cond", body=b"two", IfNoneMatch="*")
	refused("PreconditionFailed", 412, put, key="cond", body=b"two", IfMatch='"other"')
	put("cond", b"two", IfMatch=etag)
	same("written", get("cond"), b"two")


def multipart():
	body = data(2 * PART + 1000, 2)
	pieces = [body[:PART], body[PART:2 * PART], body[2 * PART:]]
	upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi", ContentType="text/m",
		Metadata={"m": "1"})["UploadId"]
	same("uploads", [(u["Key"], u["UploadId"]) for u in
		s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]], [("multi", upload)])
	parts = []
	for number in (3, 1, 2):  # in any order
		answer = s3.upload_part(Bucket=BUCKET, Key="multi", UploadId=upload, PartNumber=number,
			Body=pieces[number - 1])
		same("ETag of a part", answer["ETag"], f'"{md5(pieces[number - 1])}"')
		parts.append({"PartNumber": number, "ETag": answer["ETag"]})
	there = [p for page in s3.get_paginator("list_parts").paginate(Bucket=BUCKET, Key="multi",
		UploadId=upload, PaginationConfig={"PageSize": 2}) for p in page["Parts"]]
	same("parts", [(p["PartNumber"], p["Size"]) for p in there],
		[(1, PART), (2, PART), (3, 1000)])

	def complete(chosen):
		return s3.complete_multipart_upload(Bucket=BUCKET, Key="multi", UploadId=upload,
			MultipartUpload={"Parts": chosen})

	refused("InvalidPartOrder", 400, complete, chosen=[parts[2], parts[1]])
	refused("InvalidPart", 400, complete, chosen=[{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}])
	parts.sort(key=lambda part: part["PartNumber"])
	answer = complete(parts)
	want = md5(b"".join(bytes.fromhex(md5(piece)) for piece in pieces))
	same("ETag", answer["ETag"], f'"{want}-3"')
	whole = s3.get_object(Bucket=BUCKET, Key="multi")
	same("body", whole["Body"].read(), body)
	same("kept", (whole["Metadata"], whole["ContentType"]), ({"m": "1"}, "text/m"))
	same("part 2", get("multi", PartNumber=2), pieces[1])


def multipart_small():
	upload = s3.create_multipart_upload(Bucket=BUCKET, Key="small")["UploadId"]
	parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket=BUCKET, Key="small", UploadId=upload,
		PartNumber=n, Body=b"tiny")["ETag"]} for n in (1, 2)]
	refused("EntityTooSmall", 400, s3.complete_multipart_upload, Bucket=BUCKET, Key="small",
		UploadId=upload, MultipartUpload={"Parts": parts})
	s3.abort_multipart_upload(Bucket=BUCKET, Key="small", UploadId=upload)
	refused("NoSuchUpload", 404, s3.list_parts, Bucket=BUCKET, Key="small", UploadId=upload)
	refused("NoSuchUpload", 404, s3.upload_part, Bucket=BUCKET, Key="small", UploadId=upload,
		PartNumber=1, Body=b"late")
	same("uploads", s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []), [])
	refused("404", 404, s3.head_object, Bucket=BUCKET, Key="small")


def part_copy():
	body = data(PART + 4096, 3)
	put("part source", body)
	upload = s3.create_multipart_upload(Bucket=BUCKET, Key="part copy")["UploadId"]
	parts = []
	for number, span in ((1, f"bytes=0-{PART - 1}"), (2, f"bytes={PART}-{len(body) - 1}")):
		answer = s3.upload_part_copy(Bucket=BUCKET, Key="part copy", UploadId=upload,
			PartNumber=number, CopySource={"Bucket": BUCKET, "Key": "part source"},
			CopySourceRange=span)
		parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
	s3.complete_multipart_upload(Bucket=BUCKET, Key="part copy", UploadId=upload,
		MultipartUpload={"Parts": parts})
	same("body", get("part copy"), body)


def managed():
	"""The high-level transfer: its own parts, in parallel, out of order."""
	body = data(17 << 20, 4)
	transfer = boto3.s3.transfer.TransferConfig(multipart_threshold=PART, multipart_chunksize=PART,
		max_concurrency=4)
	s3.upload_fileobj(io.BytesIO(body), BUCKET, "managed", Config=transfer)
	out = io.BytesIO()
	s3.download_fileobj(BUCKET, "managed", out, Config=transfer)
	same("body", out.getvalue(), body)
	same("ETag", s3.head_object(Bucket=BUCKET, Key="managed")["ETag"][-3:], '-4"')


def checksums():
	algorithms = {"CRC32": "ChecksumCRC32", "SHA1": "ChecksumSHA1", "SHA256": "ChecksumSHA256"}
	try:
		import awscrt  # noqa: F401
		algorithms.update({"CRC32C": "ChecksumCRC32C"})
	except ImportError:
		pass
	for algorithm, field in algorithms.items():
		given = put("sum", b"123456789", ChecksumAlgorithm=algorithm)[field]
		head = s3.head_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")
		same(f"{algorithm} of HEAD", head[field], given)
		same("body", get("sum", ChecksumMode="ENABLED"), b"123456789")
	refused("BadDigest", 400, put, key="sum", body=b"123456789", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
	refused("InvalidDigest", 400, put, key="sum", body=b"123456789", ContentMD5="AAAA")


def bulk_delete():
	keys = [f"bulk/{i:04d}" for i in range(1000)]
	for key in keys:
		put(key, b"")
	refused("MalformedXML", 400, s3.delete_objects, Bucket=BUCKET,
		Delete={"Objects": [{"Key": key} for key in keys + ["bulk/one-too-many"]]})
	same("all there", len(listed("bulk/")), 1000)
	answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
	same("errors", answer.get("Errors"), None)
	same("deleted", sorted(d["Key"] for d in answer["Deleted"]), keys)
	same("none left", listed("bulk/"), [])
	quiet = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "missing"}], "Quiet": True})
	same("quiet", (quiet.get("Deleted"), quiet.get("Errors")), (None, None))


def presigned():
	body, key = data(4096, 5), "presigned +%41 \u00fc"
	url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": key}, ExpiresIn=300)
	same("PUT", http("PUT", url, body)[0], 200)
	same("stored", get(key), body)
	url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key,
		"ResponseContentType": "text/x-signed"}, ExpiresIn=300)
	status, got, headers = http("GET", url)
	same("GET", status, 200)
	same("body", got, body)
	same("Content-Type", headers["Content-Type"], "text/x-signed")
	status, got, _ = http("GET", url.replace("x-signed", "x-forged"))
	same("forged", (status, b"<Code>SignatureDoesNotMatch</Code>" in got), (403, True))
	status, got, _ = http("DELETE", url)
	same("other method", (status, b"<Code>SignatureDoesNotMatch</Code>" in got), (403, True))
	url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}, ExpiresIn=-60
		if V2 else 1)
	if not V2:
		time.sleep(2.1)
	status, got, _ = http("GET", url)
	same("expired", (status, b"<Code>AccessDenied</Code>" in got, b"Request has expired" in got),
		(403, True, True))


def wrong_secret():
	other = connect(secret="wrong" + env("S3_SECRET")[5:])
	put("secret", b"x")
	refused("SignatureDoesNotMatch", 403, other.get_object, Bucket=BUCKET, Key="secret")
	refused("SignatureDoesNotMatch", 403, other.put_object, Bucket=BUCKET, Key="secret", Body=b"y")
	refused("SignatureDoesNotMatch", 403, other.list_objects, Bucket=BUCKET)
	refused("403", 403, other.head_object, Bucket=BUCKET, Key="secret")
	same("unchanged", get("secret"), b"x")


def unknown_key():
	other = connect(key="AKIANOBODYKNOWSTHIS0")
	refused("InvalidAccessKeyId", 403, other.get_object, Bucket=BUCKET, Key="secret")


def expired_token():
	other = connect(env("S3_EXPIRED_KEY"), env("S3_EXPIRED_SECRET"), env("S3_EXPIRED_TOKEN"))
	refused("ExpiredToken", 400, other.list_objects, Bucket=BUCKET)
	other = connect(env("S3_EXPIRED_KEY"), env("S3_EXPIRED_SECRET"), "not" + env("S3_EXPIRED_TOKEN"))
	refused("InvalidToken", 400, other.list_objects, Bucket=BUCKET)


def skewed():
	for minutes in (-20, 20):
		status, out, err = run([sys.executable, __file__, "skewed"], environment=shifted(minutes))
		same(f"{minutes} minutes", (status, out.decode() + err), (0, ""))
	for minutes in (-10, 10):
		status, out, err = run([sys.executable, __file__, "right"], environment=shifted(minutes))
		same(f"{minutes} minutes", (status, out.decode() + err), (0, ""))


def main():
	if sys.argv[1:] == ["skewed"]:
		refused("RequestTimeTooSkewed", 403, s3.list_objects, Bucket=BUCKET)
		return
	if sys.argv[1:] == ["right"]:
		s3.list_objects(Bucket=BUCKET)
		return
	check("buckets", buckets)
	for name, size in SIZES:
		check(f"upload and download {name}", up_and_down, size)
	check("range", ranges)
	check("metadata", metadata)
	check("list", listing)
	check("odd names", odd_names)
	check("copy", copies)
	check("conditions", conditions)
	by_query = (("multipart", multipart), ("multipart abort", multipart_small),
		("multipart copy", part_copy), ("managed transfer", managed), ("bulk delete", bulk_delete))
	if NO_QUERIES:
		check.skip("this botocore signs ?uploads twice in version 2", *(name for name, _ in by_query))
	else:
		for name, function in by_query:
			check(name, function)
	check("checksums", checksums)
	check("presigned", presigned)
	check("wrong secret", wrong_secret)
	check("unknown key", unknown_key)
	check("expired token", expired_token)
	check("clock skew", skewed)
	check.end()


main()
