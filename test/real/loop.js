// SPDX-License-Identifier: GPL-2.0-or-later
// An event loop with timers, promises, file writes and buffers; checks itself when "go" appears.
'use strict';
const fs = require('fs');
const crypto = require('crypto');

const say = (text) => fs.writeSync(1, text + '\n');
const check = (name, good) => say((good ? 'ok ' : 'FAIL ') + name);
const seq = fs.openSync('seq.txt', 'a');
const map = new Map();
for (let i = 0; i < 100000; i++)
	map.set('key' + i, crypto.createHash('md5').update(String(i)).digest('hex'));
const digest = () => {
	const h = crypto.createHash('sha256');
	for (const [k, v] of map)
		h.update(k + v);
	return h.digest('hex');
};
const before = digest();
let n = 0, immediate = 0, promised = 0, written = 0;
const counter = setInterval(() => fs.writeSync(seq, ++n + '\n'), 2);
const spin = () => {
	immediate++;
	setTimeout(spin, 1);
};
spin();
(async () => {
	for (;;) {
		await new Promise((resolve) => setTimeout(resolve, 3));
		promised++;
	}
})();
// Through the thread pool of libuv.
(async () => {
	for (;;) {
		await fs.promises.writeFile('async.txt', String(written + 1));
		written++;
	}
})();
say('ready');
const wait = setInterval(() => {
	if (!fs.existsSync('go'))
		return;
	clearInterval(wait);
	const was = { n, immediate, promised, written };
	setTimeout(() => {
		check('map', digest() === before);
		check('interval', n > was.n);
		check('timeout', immediate > was.immediate);
		check('promises', promised > was.promised);
		check('thread-pool', written > was.written);
		clearInterval(counter);
		say('fact seq ' + n);
		say('done');
		process.exit(0);
	}, 300);
}, 10);
