// SPDX-License-Identifier: Apache-2.0
// The JavaScript SDK with credentials from the metadata service; the same as imds.py.

import { renameSync, writeFileSync } from "node:fs";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { fromInstanceMetadata } from "@aws-sdk/credential-providers";
import { Different, check, end, env, same } from "./checks.mjs";

const Bucket = env("S3_BUCKET");
const BEFORE_THE_END = [356, 656, 956]; // this SDK refreshes five minutes before the end
const seen = [];

delete process.env.AWS_EC2_METADATA_DISABLED;
process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = env("IMDS_ENDPOINT");
const connect = (credentials) => new S3Client({ endpoint: env("S3_ENDPOINT"),
	region: env("S3_REGION"), forcePathStyle: true, credentials, maxAttempts: 3 });
const s3 = connect(fromInstanceMetadata({ timeout: 5000, maxRetries: 2 }));

function moveClock(minutes) {
	const path = env("FAKETIME_TIMESTAMP_FILE");
	writeFileSync(`${path}.new`, `+${minutes}m\n`);
	renameSync(`${path}.new`, path);
}

async function use(number) {
	const Key = `key ${number}`;
	await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x".repeat(number) }));
	const answer = await s3.send(new GetObjectCommand({ Bucket, Key }));
	same("body", await answer.Body.transformToString(), "x".repeat(number));
	const credentials = await s3.config.credentials();
	if (seen.some((old) => old.accessKeyId === credentials.accessKeyId))
		throw new Different(`the same credentials after rotation ${number}`);
	seen.push({ ...credentials });
}

async function expired() {
	const { accessKeyId, secretAccessKey, sessionToken } = seen[0];
	const old = connect({ accessKeyId, secretAccessKey, sessionToken });
	try {
		await old.send(new GetObjectCommand({ Bucket, Key: "key 1" }));
	} catch (error) {
		same("code", error.name, "ExpiredToken");
		return;
	}
	throw new Different("accepted");
}

await check("first credentials", () => use(0));
for (const number of [1, 2, 3]) {
	await check(`rotation ${number}`, () => {
		moveClock(BEFORE_THE_END[number - 1]);
		return use(number);
	});
}
await check("expired credentials", expired);
end();
