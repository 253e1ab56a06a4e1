// SPDX-License-Identifier: Apache-2.0
// The JavaScript SDK, version 3: buffers, and streams of known and unknown length.

import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
	AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand,
	CreateBucketCommand, CreateMultipartUploadCommand, DeleteBucketCommand, DeleteObjectCommand,
	DeleteObjectsCommand, GetObjectCommand, HeadBucketCommand, HeadObjectCommand,
	ListBucketsCommand, ListMultipartUploadsCommand, ListPartsCommand, PutObjectCommand, S3Client,
	UploadPartCommand, UploadPartCopyCommand, paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { ODD_KEYS, PART, SIZES, Different, check, data, end, env, same } from "./checks.mjs";

const Bucket = env("S3_BUCKET");

function connect(more = {}, credentials = {}) {
	return new S3Client({
		endpoint: env("S3_ENDPOINT"), region: env("S3_REGION"), forcePathStyle: true,
		maxAttempts: 2,
		credentials: { accessKeyId: env("S3_KEY"), secretAccessKey: env("S3_SECRET"), ...credentials },
		...more,
	});
}

const s3 = connect();
const md5 = (body) => createHash("md5").update(body).digest("hex");
const put = (Key, Body, more = {}) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
const head = (Key, more = {}) => s3.send(new HeadObjectCommand({ Bucket, Key, ...more }));

async function get(Key, more = {}) {
	const answer = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
	return Buffer.from(await answer.Body.transformToByteArray());
}

async function refused(code, status, promise) {
	let error;
	try {
		await promise;
	} catch (thrown) {
		error = thrown;
	}
	if (error === undefined)
		throw new Different(`${code} expected, but it was accepted`);
	if (error.$metadata === undefined)
		throw error;
	if (status !== 304) // of which the SDK has no code
		same("code", error.name, code);
	same("status", error.$metadata.httpStatusCode, status);
}

// In pieces of a prime size.
function stream(body) {
	return Readable.from((function* () {
		for (let at = 0; at < body.length; at += 65521)
			yield body.subarray(at, at + 65521);
	})(), { objectMode: false });
}

async function all(pages, field) {
	const result = [];
	for await (const page of pages)
		result.push(...(page[field] ?? []));
	return result;
}

const list = (Prefix, more = {}, pageSize = 7) =>
	paginateListObjectsV2({ client: s3, pageSize }, { Bucket, Prefix, ...more });

// ---- the checks ----

async function buckets() {
	const made = { Bucket: `${Bucket}-made` };
	await s3.send(new CreateBucketCommand(made));
	await s3.send(new HeadBucketCommand(made));
	const names = (await s3.send(new ListBucketsCommand({}))).Buckets.map((b) => b.Name);
	same("listed", names.includes(made.Bucket) && names.includes(Bucket), true);
	await s3.send(new PutObjectCommand({ ...made, Key: "k", Body: "x" }));
	await refused("BucketNotEmpty", 409, s3.send(new DeleteBucketCommand(made)));
	await s3.send(new DeleteObjectCommand({ ...made, Key: "k" }));
	await s3.send(new DeleteBucketCommand(made));
	await refused("NoSuchBucket", 404, s3.send(new GetObjectCommand({ ...made, Key: "k" })));
}

async function upAndDown(size) {
	const body = data(size);
	same("ETag", (await put("size", body)).ETag, `"${md5(body)}"`);
	const answer = await s3.send(new GetObjectCommand({ Bucket, Key: "size" }));
	same("Content-Length", answer.ContentLength, size);
	same("body", Buffer.from(await answer.Body.transformToByteArray()), body);
	await put("size", stream(body), { ContentLength: size });
	same("body of a stream", await get("size"), body);
}

async function ranges() {
	const body = data(1000);
	await put("range", body);
	for (const [text, from, to] of [["0-0", 0, 1], ["10-19", 10, 20], ["990-", 990, 1000],
		["-7", 993, 1000], ["998-5000", 998, 1000]]) {
		const Range = `bytes=${text}`;
		const answer = await s3.send(new GetObjectCommand({ Bucket, Key: "range", Range }));
		same(text, Buffer.from(await answer.Body.transformToByteArray()), body.subarray(from, to));
		same(`Content-Range of ${text}`, answer.ContentRange, `bytes ${from}-${to - 1}/1000`);
	}
	await refused("InvalidRange", 416, get("range", { Range: "bytes=1000-" }));
}

async function metadata() {
	const Metadata = { "dovecot-fname": "a b+c%d", long: "v".repeat(1500) };
	await put("meta", "body", { Metadata, ContentType: "message/rfc822", CacheControl: "no-cache" });
	const answer = await head("meta");
	same("metadata", answer.Metadata, Metadata);
	same("Content-Type", answer.ContentType, "message/rfc822");
	same("Cache-Control", answer.CacheControl, "no-cache");
	same("Content-Length", answer.ContentLength, 4);
	await refused("NotFound", 404, head("missing"));
	await refused("NoSuchKey", 404, get("missing"));
	await refused("MetadataTooLarge", 400, put("meta", "", { Metadata: { a: "v".repeat(2048) } }));
}

async function listing() {
	const keys = Array.from({ length: 25 }, (_, i) => `list/${i % 5}/${String(i).padStart(2, "0")}`);
	keys.sort();
	for (const key of keys)
		await put(key, "x");
	same("keys", (await all(list("list/"), "Contents")).map((c) => c.Key), keys);
	same("prefixes", (await all(list("list/", { Delimiter: "/" }, 2), "CommonPrefixes")).map(
		(c) => c.Prefix), [0, 1, 2, 3, 4].map((i) => `list/${i}/`));
	same("start-after", (await all(list("list/", { StartAfter: keys[20] }), "Contents")).map(
		(c) => c.Key), keys.slice(21));
}

async function oddNames() {
	for (const { Key } of await all(list(""), "Contents"))
		await s3.send(new DeleteObjectCommand({ Bucket, Key }));
	for (const key of ODD_KEYS)
		await put(key, key);
	const sorted = [...ODD_KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
	same("listed", (await all(list(""), "Contents")).map((c) => c.Key), sorted);
	for (const key of ODD_KEYS) {
		same(`body of ${JSON.stringify(key)}`, (await get(key)).toString(), key);
		await s3.send(new CopyObjectCommand({ Bucket, Key: "copy of it",
			CopySource: `${Bucket}/${encodeURIComponent(key)}` }));
		same(`copy of ${JSON.stringify(key)}`, (await get("copy of it")).toString(), key);
	}
	const answer = await s3.send(new DeleteObjectsCommand({ Bucket,
		Delete: { Objects: ODD_KEYS.map((Key) => ({ Key })) } }));
	same("deleted", answer.Deleted.map((d) => d.Key).sort(), [...ODD_KEYS].sort());
	await refused("KeyTooLongError", 400, put("k".repeat(1025), "x"));
	same("left", (await all(list(""), "Contents")).map((c) => c.Key), ["copy of it"]);
}

async function copies() {
	const body = data(4096, 1);
	const { ETag } = await put("from", body, { Metadata: { a: "1" }, ContentType: "text/a" });
	const copy = (more) => s3.send(new CopyObjectCommand({ Bucket, Key: "to",
		CopySource: `${Bucket}/from`, ...more }));
	same("ETag", (await copy({})).CopyObjectResult.ETag, ETag);
	same("kept", (await head("to")).Metadata, { a: "1" });
	await copy({ MetadataDirective: "REPLACE", Metadata: { b: "2" } });
	same("replaced", (await head("to")).Metadata, { b: "2" });
	same("body", await get("to"), body);
	await refused("InvalidRequest", 400, copy({ Key: "from" }));
	await refused("NoSuchKey", 404, copy({ CopySource: `${Bucket}/missing` }));
	await refused("PreconditionFailed", 412, copy({ CopySourceIfMatch: '"other"' }));
}

async function conditions() {
	const { ETag } = await put("cond", "one");
	same("If-Match", (await get("cond", { IfMatch: ETag })).toString(), "one");
	await refused("PreconditionFailed", 412, get("cond", { IfMatch: '"other"' }));
	await refused("304", 304, get("cond", { IfNoneMatch: ETag }));
	await refused("PreconditionFailed", 412, put("cond", "two", { IfNoneMatch: "*" }));
	await refused("PreconditionFailed", 412, put("cond", "two", { IfMatch: '"other"' }));
	await put("cond", "two", { IfMatch: ETag });
	same("written", (await get("cond")).toString(), "two");
}

// By hand: paginateListParts goes on for ever, since S3 answers a next marker on the last page, too.
async function parts(upload, MaxParts) {
	const result = [];
	for (let PartNumberMarker, more = true; more;) {
		const page = await s3.send(new ListPartsCommand({ ...upload, MaxParts, PartNumberMarker }));
		result.push(...page.Parts);
		PartNumberMarker = page.NextPartNumberMarker;
		more = page.IsTruncated;
	}
	return result;
}

async function multipart() {
	const body = data(2 * PART + 1000, 2);
	const pieces = [body.subarray(0, PART), body.subarray(PART, 2 * PART), body.subarray(2 * PART)];
	const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "multi" }));
	const upload = { Bucket, Key: "multi", UploadId };
	const Parts = [];
	for (const PartNumber of [3, 1, 2]) {
		const Body = PartNumber === 2 ? stream(pieces[1]) : pieces[PartNumber - 1];
		const { ETag } = await s3.send(new UploadPartCommand({ ...upload, PartNumber, Body,
			ContentLength: pieces[PartNumber - 1].length }));
		same("ETag of a part", ETag, `"${md5(pieces[PartNumber - 1])}"`);
		Parts.push({ PartNumber, ETag });
	}
	const listed = await parts(upload, 2);
	same("parts", listed.map((p) => [p.PartNumber, p.Size]), [[1, PART], [2, PART], [3, 1000]]);
	const complete = (chosen) => s3.send(new CompleteMultipartUploadCommand({ ...upload,
		MultipartUpload: { Parts: chosen } }));
	await refused("InvalidPartOrder", 400, complete([Parts[2], Parts[1]]));
	Parts.sort((a, b) => a.PartNumber - b.PartNumber);
	const sums = Buffer.concat(pieces.map((piece) => createHash("md5").update(piece).digest()));
	same("ETag", (await complete(Parts)).ETag, `"${md5(sums)}-3"`);
	same("body", await get("multi"), body);
}

async function abort() {
	const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "cut" }));
	const upload = { Bucket, Key: "cut", UploadId };
	const parts = [];
	for (const PartNumber of [1, 2]) {
		const { ETag } = await s3.send(new UploadPartCommand({ ...upload, PartNumber, Body: "tiny" }));
		parts.push({ PartNumber, ETag });
	}
	await refused("EntityTooSmall", 400, s3.send(new CompleteMultipartUploadCommand({ ...upload,
		MultipartUpload: { Parts: parts } })));
	const listed = (await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads;
	same("uploads", listed.map((u) => u.UploadId), [UploadId]);
	await s3.send(new AbortMultipartUploadCommand(upload));
	await refused("NoSuchUpload", 404, s3.send(new ListPartsCommand(upload)));
	same("none left", (await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads, undefined);
}

async function multipartCopy() {
	const body = data(PART + 4096, 3);
	await put("part source", body);
	const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "joined" }));
	const upload = { Bucket, Key: "joined", UploadId };
	const Parts = [];
	for (const [PartNumber, span] of [[1, `0-${PART - 1}`], [2, `${PART}-${body.length - 1}`]]) {
		const answer = await s3.send(new UploadPartCopyCommand({ ...upload, PartNumber,
			CopySource: `${Bucket}/part%20source`, CopySourceRange: `bytes=${span}` }));
		Parts.push({ PartNumber, ETag: answer.CopyPartResult.ETag });
	}
	await s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
	same("body", await get("joined"), body);
}

async function managed() {
	const body = data(17 << 20, 4);
	const upload = new Upload({ client: s3, params: { Bucket, Key: "managed", Body: stream(body) },
		partSize: PART, queueSize: 3 });
	await upload.done();
	same("body", await get("managed"), body);
	same("ETag", (await head("managed")).ETag.slice(-3), '-4"');
}

async function checksums() {
	for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
		const field = `Checksum${ChecksumAlgorithm}`;
		const given = await put("sum", "123456789", { ChecksumAlgorithm });
		const answer = await head("sum", { ChecksumMode: "ENABLED" });
		same(`${ChecksumAlgorithm} of HEAD`, answer[field], given[field]);
		same(`${ChecksumAlgorithm} is there`, typeof given[field], "string");
		await put("sum", stream(Buffer.from("123456789")), { ChecksumAlgorithm, ContentLength: 9 });
		same("in a trailer", (await head("sum", { ChecksumMode: "ENABLED" }))[field], given[field]);
		same("body", (await get("sum", { ChecksumMode: "ENABLED" })).toString(), "123456789");
	}
	await refused("BadDigest", 400, put("sum", "123456789", { ContentMD5: "1B2M2Y8AsgTpgAmY7PhCfg==" }));
	await refused("BadDigest", 400, put("sum", "123456789", { ChecksumCRC32: "AAAAAA==" }));
}

async function bulkDelete() {
	const keys = Array.from({ length: 1000 }, (_, i) => `bulk/${String(i).padStart(4, "0")}`);
	for (let at = 0; at < keys.length; at += 50)
		await Promise.all(keys.slice(at, at + 50).map((key) => put(key, "")));
	const remove = (names) => s3.send(new DeleteObjectsCommand({ Bucket,
		Delete: { Objects: names.map((Key) => ({ Key })) } }));
	await refused("MalformedXML", 400, remove([...keys, "bulk/one-too-many"]));
	same("all there", (await all(list("bulk/", {}, 1000), "Contents")).length, 1000);
	const answer = await remove(keys);
	same("errors", answer.Errors, undefined);
	same("deleted", answer.Deleted.map((d) => d.Key).sort(), keys);
	same("none left", await all(list("bulk/"), "Contents"), []);
}

async function presigned() {
	const body = data(4096, 5);
	const Key = "presigned +%41 \u00fc";
	const command = new PutObjectCommand({ Bucket, Key });
	// By default the URL holds the CRC32 of no body, and S3 refuses every other one.
	const wrong = await fetch(await getSignedUrl(s3, command, { expiresIn: 300 }), { method: "PUT", body });
	same("PUT with the SDK's defaults", [wrong.status, (await wrong.text()).includes("BadDigest")],
		[400, true]);
	const plain = connect({ requestChecksumCalculation: "WHEN_REQUIRED" });
	const puts = await getSignedUrl(plain, command, { expiresIn: 300 });
	same("PUT", (await fetch(puts, { method: "PUT", body })).status, 200);
	const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }), { expiresIn: 300 });
	const answer = await fetch(url);
	same("GET", answer.status, 200);
	same("body", Buffer.from(await answer.arrayBuffer()), body);
	const forged = await fetch(url.replace("X-Amz-Expires=300", "X-Amz-Expires=301"));
	same("forged", [forged.status, (await forged.text()).includes("SignatureDoesNotMatch")],
		[403, true]);
}

async function wrongSecret() {
	const other = connect({}, { secretAccessKey: "wrong" });
	const Key = "k";
	await refused("SignatureDoesNotMatch", 403, other.send(new GetObjectCommand({ Bucket, Key })));
	await refused("SignatureDoesNotMatch", 403, other.send(
		new PutObjectCommand({ Bucket, Key, Body: stream(data(100)), ContentLength: 100 })));
}

async function unknownKey() {
	const other = connect({}, { accessKeyId: "AKIANOBODYKNOWSTHIS0" });
	await refused("InvalidAccessKeyId", 403, other.send(new GetObjectCommand({ Bucket, Key: "k" })));
}

async function expiredToken() {
	const other = connect({}, { accessKeyId: env("S3_EXPIRED_KEY"),
		secretAccessKey: env("S3_EXPIRED_SECRET"), sessionToken: env("S3_EXPIRED_TOKEN") });
	await refused("ExpiredToken", 400, other.send(new GetObjectCommand({ Bucket, Key: "k" })));
}

async function clockSkew() {
	const command = new GetObjectCommand({ Bucket, Key: "k" });
	await put("k", "x");
	for (const minutes of [-20, 20]) {
		const other = connect({ systemClockOffset: minutes * 60000, maxAttempts: 1 });
		await refused("RequestTimeTooSkewed", 403, other.send(command));
		await other.send(command); // with the service's time, learnt from the refusal
	}
	await connect({ systemClockOffset: 600000, maxAttempts: 1 }).send(command);
}

await check("buckets", buckets);
for (const [name, size] of SIZES)
	await check(`upload and download ${name}`, () => upAndDown(size));
await check("range", ranges);
await check("metadata", metadata);
await check("list", listing);
await check("odd names", oddNames);
await check("copy", copies);
await check("conditions", conditions);
await check("multipart", multipart);
await check("multipart abort", abort);
await check("multipart copy", multipartCopy);
await check("managed transfer", managed);
await check("checksums", checksums);
await check("bulk delete", bulkDelete);
await check("presigned", presigned);
await check("wrong secret", wrongSecret);
await check("unknown key", unknownKey);
await check("expired token", expiredToken);
await check("clock skew", clockSkew);
end();
