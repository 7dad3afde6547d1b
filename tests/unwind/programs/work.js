// SPDX-License-Identifier: Apache-2.0
// Keeps node busy for ever.
"use strict";
const zlib = require("zlib");
const crypto = require("crypto");

class Tree {
	constructor(depth) {
		this.left = depth ? new Tree(depth - 1) : null;
		this.right = depth ? new Tree(depth - 1) : null;
	}
	sum() {
		return 1 + (this.left ? this.left.sum() + this.right.sum() : 0);
	}
}

const jobs = [
	() => new Tree(10).sum(),
	() => JSON.parse(JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ i, s: "x".repeat(i % 40) })))),
	() => Array.from({ length: 3000 }, () => Math.random()).sort((a, b) => a - b),
	() => "the quick brown fox ".repeat(200).replace(/(\w+) (\w+)/g, (all, a, b) => b + " " + a),
	() => crypto.createHash("sha256").update("y".repeat(20000)).digest("hex"),
	() => zlib.gunzipSync(zlib.gzipSync("z".repeat(20000))),
	() => new Function("a", "return a.map(x => x * " + Math.random() + ")")([1, 2, 3]),
	() => new Map(Array.from({ length: 1000 }, (_, i) => ["k" + i, { i }])).size,
	() => new Intl.NumberFormat("en-US").format(Math.random() * 1e9),
];

function turn() {
	for (let i = 0; i < 20; i++)
		jobs[Math.floor(Math.random() * jobs.length)]();
	zlib.deflate(Buffer.alloc(50000, "ab"), () => {});
	crypto.pbkdf2("secret", "salt", 500, 32, "sha512", () => setImmediate(turn));
}
turn();
