// SPDX-License-Identifier: Apache-2.0
// What the JavaScript client programs share; the same as checks.py.

import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

export const SIZES = [["0 B", 0], ["1 B", 1], ["4 KiB", 4096], ["6 MiB", 6 << 20]];
export const PART = 5 << 20;
export const ODD_KEYS = [
	"with space", " leading and trailing ", "plus+plus", "percent%41", "slash%2Fencoded", "%",
	"umlaut-\u00fc/cyrillic-\u0436/cjk-\u6f22/emoji-\u{1f600}", "combining-u\u0308",
	".hidden", "a/.b/..c", "amp&lt<gt>quot\"apos'", "question?mark=1&x=2", "hash#frag",
	"colon:semi;comma,", "paren(1)[2]{3}", "at@user%40host", "back\\slash", "star*tilde~bang!$",
	"equals=sign", "pipe|caret^tick`", "]]>cdata", "\u00a0\u2028\u3000",
	"double//slash", "/leading-slash", "dots/../up", "dots/./here", "trailing/", "..", "../out",
	"tab\there", "new\nline", "return\rhere", "k".repeat(1024),
];

export class Different extends Error {}

export function env(name) {
	if (process.env[name] === undefined) {
		console.error(`${process.argv[1]}: ${name} is not set`);
		process.exit(2);
	}
	return process.env[name];
}

export function data(size, salt = 0) {
	const pieces = [];
	for (let block = 0; block * 1024 < size; block++) {
		const digest = createHash("sha256").update(`${salt}:${block}`).digest();
		for (let i = 0; i < 32; i++)
			pieces.push(digest);
	}
	return Buffer.concat(pieces).subarray(0, size);
}

function short(value) {
	const text = typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
	return text.length <= 300 ? text : `${text.slice(0, 300)}... (${text.length} characters)`;
}

export function same(what, got, want) {
	if (Buffer.isBuffer(want)) {
		if (Buffer.isBuffer(got) && got.equals(want))
			return;
		const at = got.findIndex((byte, i) => byte !== want[i]);
		throw new Different(`${what}: ${got.length} bytes of ${want.length}, first different at ` +
			`${at < 0 ? Math.min(got.length, want.length) : at}`);
	}
	if (isDeepStrictEqual(got, want))
		return;
	if (Array.isArray(got) && Array.isArray(want)) {
		const at = got.findIndex((item, i) => !isDeepStrictEqual(item, want[i]));
		const from = at < 0 ? got.length : at;
		throw new Different(`${what}: ${got.length} of ${want.length}, first different at ${from}: ` +
			`${short(got[from])} instead of ${short(want[from])}`);
	}
	throw new Different(`${what}: ${short(got)} instead of ${short(want)}`);
}

let failed = false;

export async function check(name, run) {
	try {
		await run();
		console.log(`ok\t${name}\t`);
	} catch (error) {
		failed = true;
		const text = error instanceof Different ? error.message : `${error.name}: ${error.message}`;
		console.log(`FAIL\t${name}\t${short(text.replace(/\s+/g, " "))}`);
	}
}

export function end() {
	process.exit(failed ? 1 : 0);
}
