// SPDX-License-Identifier: GPL-2.0-or-later
// Draws the page from the data in it (tools/crit/report*.c say what the rows are). Names come from images and may be hostile:
// they reach the page as text nodes alone, never as markup. Nothing is loaded, nothing is stored.
'use strict';
(() => {
const PAGE = 4096, ROWS = 200, NODES = 80;
const KINDS = ['private memory', 'heap', 'stack', 'file, private', 'file, shared', 'shared memory', 'kernel (vdso, vvar)', 'guard pages'];
const root = document.documentElement;
const main = document.getElementById('main');
let D;

// ---- text ----
const hex = (c) => c.charCodeAt(0).toString(16);
// Bytes that are no text (lone surrogates), control characters and those that turn the direction of writing are shown as numbers.
function visible(text) {
	return String(text)
		.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
			(c) => c >= '\udc80' && c <= '\udcff' ? '\\x' + hex(c).slice(2) : '\\u' + hex(c))
		.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => '\\u' + hex(c).padStart(4, '0'));
}
const count = (n) => Number(n).toLocaleString('en');
const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more || one + 's'}`;
function bytes(n) {
	const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
	let k = 0;
	for (; n >= 1024 && k < units.length - 1; k++)
		n /= 1024;
	return `${k && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[k]}`;
}
const pages = (n) => bytes(n * PAGE);
const seconds = (s) => s < 1e-3 ? `${Math.round(s * 1e6)} µs` : s < 1 ? `${(s * 1e3).toFixed(1)} ms` : `${s.toFixed(2)} s`;
const prot = (p) => (p & 1 ? 'r' : '-') + (p & 2 ? 'w' : '-') + (p & 4 ? 'x' : '-');

// ---- elements ----
function fill(el, attrs, children) {
	for (const [key, value] of Object.entries(attrs || {})) {
		if (value === undefined || value === null || value === false)
			continue;
		if (key === 'on')
			for (const [event, run] of Object.entries(value))
				el.addEventListener(event, run);
		else if (key === 'tip')
			el.tip = value;
		else
			el.setAttribute(key, value === true ? '' : value);
	}
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== false)
			el.append(child instanceof Node ? child : document.createTextNode(visible(child)));
	return el;
}
const h = (tag, attrs, ...children) => fill(document.createElement(tag), attrs, children);
const svg = (tag, attrs, ...children) => fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attrs, children);

function section(id, title, ...children) {
	const el = h('section', { id, 'aria-label': title }, h('h2', {}, title), children);
	main.append(el);
	return el;
}

// Done when it comes into view, since most of a long page is never looked at.
const waiting = new WeakMap();
const eye = new IntersectionObserver((entries) => {
	for (const entry of entries)
		if (entry.isIntersecting && waiting.has(entry.target)) {
			waiting.get(entry.target)();
			waiting.delete(entry.target);
			eye.unobserve(entry.target);
		}
}, { rootMargin: '200px' });
function later(el, draw) {
	waiting.set(el, draw);
	eye.observe(el);
	return el;
}

// A table of which ROWS are made at a time. columns: [title, class]; cells(row): one per column
function table(columns, rows, cells, row_attrs) {
	const body = h('tbody'), box = h('div', { class: 'scroll' },
		h('table', {}, columns.some(([title]) => title) && h('thead', {}, h('tr', {}, columns.map(([title, cls]) => h('th', { class: cls === 'num' ? 'num' : null }, title)))), body));
	const more = h('button', { on: { click: () => grow(ROWS * 5) } });
	const el = h('div', {}, box, h('p', {}, more));
	let shown = 0;
	function grow(by) {
		for (const end = Math.min(rows.length, shown + by); shown < end; shown++)
			body.append(h('tr', row_attrs ? row_attrs(rows[shown]) : {},
				cells(rows[shown]).map((cell, k) => h('td', { class: columns[k][1] }, cell))));
		more.textContent = `show more (${count(rows.length - shown)} left)`;
		more.parentNode.hidden = shown >= rows.length;
	}
	grow(ROWS);
	return el;
}

// A search field above a table.
function searched(columns, rows, text, cells, row_attrs) {
	const place = h('div');
	const field = h('input', { type: 'search', placeholder: 'filter', 'aria-label': 'filter', on: { input: draw } });
	const note = h('span', { class: 'note' });
	function draw() {
		const want = field.value.toLowerCase();
		const found = want ? rows.filter((row) => text(row).toLowerCase().includes(want)) : rows;
		note.textContent = want ? `${count(found.length)} of ${count(rows.length)}` : '';
		place.replaceChildren(table(columns, found, cells, row_attrs));
	}
	draw();
	return h('div', {}, rows.length > 12 && h('div', { class: 'bar' }, field, note), place);
}

// ---- tool tips ----
const tip = document.getElementById('tip');
function show_tip(ev) {
	const el = ev.target.closest && ev.target.closest('.tipped');
	tip.hidden = !el;
	if (!el)
		return;
	tip.textContent = visible(typeof el.tip === 'function' ? el.tip() : el.tip);
	const box = el.getBoundingClientRect();
	const x = ev.clientX || box.left, y = ev.clientY || box.bottom;
	tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
	tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
}

// ---- the data, joined ----
let by_pid, children_of, table_of, holders, file_links, socket_of;
function join() {
	by_pid = new Map(D.tasks.map((t) => [t.pid, t]));
	children_of = new Map();
	for (const t of D.tasks) {
		const up = by_pid.has(t.ppid) && t.ppid !== t.pid ? t.ppid : 0;
		t.up = up;
		if (!children_of.has(up))
			children_of.set(up, []);
		children_of.get(up).push(t);
	}
	table_of = new Map(D.tables.map((t) => [t.id, Object.assign(t, { tasks: [] })]));
	for (const t of D.tasks)
		if (t.state !== 'zombie' && table_of.has(t.table))
			table_of.get(t.table).tasks.push(t);
	holders = new Map(); // file -> [{table, fd}]
	for (const t of D.tables)
		for (let k = 0; k < t.fds.length; k += 3) {
			if (!holders.has(t.fds[k + 2]))
				holders.set(t.fds[k + 2], []);
			holders.get(t.fds[k + 2]).push({ table: t, fd: t.fds[k] });
		}
	holders.delete(-1);
	socket_of = new Map(D.sockets.map((s) => [s.file, s]));
	join_links();
}

// Files that are the two ends of something: pipes, unix sockets, connections.
function join_links() {
	const ends = new Map(), seen = new Set();
	const key = (f, k) => {
		const s = socket_of.get(k);
		if (f[3] !== undefined)
			return [`pipe ${f[3]} ${f[4]}`, f[4] > 1 ? '' : `pipe ${f[3]} ${1 - f[4]}`];
		if (s && s.family === 'UNIX')
			return [`unix ${s.ino}`, s.peer ? `unix ${s.peer}` : ''];
		if (s && s.state === 'ESTABLISHED')
			return [`${s.proto} ${s.src} ${s.dst}`, `${s.proto} ${s.dst} ${s.src}`];
		return ['', ''];
	};
	const all = D.files.map((f, k) => [k, ...key(f, k)]).filter(([, mine]) => mine);
	for (const [k, mine] of all)
		ends.set(mine, (ends.get(mine) || []).concat(k));
	file_links = [];
	for (const [k, , theirs] of all)
		for (const other of theirs ? (ends.get(theirs) || []).slice(0, 16) : []) {
			const name = Math.min(k, other) + '-' + Math.max(k, other);
			if (k === other || seen.has(name))
				continue;
			seen.add(name);
			file_links.push([k, other]);
		}
}

const file_text = (k) => k === undefined || k < 0 ? '' : socket_of.has(k) ? socket_text(socket_of.get(k)) : D.files[k] ? D.files[k][2] + ([' (read end)', ' (write end)'][D.files[k][4]] || '') : `file ${k}`;
const unix_name = (s) => `${s.src || 'unnamed'} #${s.ino}`;
const socket_text = (s) => s.family === 'UNIX' ? `${s.type} ${unix_name(s)}` : `${[s.type, s.proto].filter(Boolean).join(' ')} ${s.src}${s.state === 'ESTABLISHED' ? ` → ${s.dst}` : s.state === 'LISTEN' ? ' listens' : ''}`;
const file_type = (k) => D.files[k] ? D.types[D.files[k][0]] || '?' : '?';
const own_namespace = (k, id) => id && D.ns_host.length && D.ns_host[k] !== id;
const dumped = (t) => (t.here || 0) + (t.parent || 0) + (t.lazy || 0);
const task_name = (t) => `${t.comm} (${t.pid})`;
function holder_text(list) {
	const names = list.slice(0, 3).map(({ table: t, fd }) => `${t.tasks.length ? task_name(t.tasks[0]) : 'table ' + t.id}${t.tasks.length > 1 ? ` +${t.tasks.length - 1}` : ''} fd ${fd}`);
	return names.join(', ') + (list.length > 3 ? ` and ${count(list.length - 3)} more` : '');
}

// ---- overview ----
// CRIU's stats-dump may be in another directory: the stages know the same.
function complete_stats() {
	const all = Object.assign({}, ...D.stages.map((s) => Object.fromEntries(Object.entries(s).filter(([key]) => /_/.test(key)))));
	if (!D.stats && all.frozen_us !== undefined)
		D.stats = { freezing: all.freezing_us || 0, frozen: all.frozen_us, memdump: all.memdump_time || 0, memwrite: all.memwrite_time || 0, scanned: all.pages_scanned || 0, written: all.pages_written || 0 };
}

function draw_overview() {
	const made = D.made, sum = (get) => D.tasks.reduce((n, t) => n + (get(t) || 0), 0);
	const size = D.images.reduce((n, i) => n + i[2], 0);
	document.title = `Checkpoint ${visible(D.dir)}`;
	main.append(h('h1', {}, `Checkpoint ${D.dir}`));
	main.append(h('p', { class: 'sub' }, [made.created && `made ${made.created.replace('T', ' ').slice(0, 19)} UTC`, made.node && `on ${made.node}`,
		made.kernel && `Linux ${made.kernel}`, made.arch, made.version && `criu-pipeline ${made.version}`, made.state, made.id]
		.filter(Boolean).join(' · ') || 'without manifest.json: made by CRIU'));
	if (!D.finished || (made.state && made.state !== 'sealed'))
		main.append(h('p', { class: 'banner' }, D.finished ? `manifest.json says "${made.state}": the dump did not come to its end.` : 'There is no inventory.img: this is no finished checkpoint.'));
	if (D.damaged.length)
		main.append(h('div', { class: 'banner', role: 'alert' }, `${many(D.damaged.length, 'image')} could not be read whole; the page shows the rest.`,
			h('ul', {}, D.damaged.slice(0, 20).map((d) => h('li', {}, h('code', {}, d.file), `: ${d.problem}`))), D.damaged.length > 20 && `and ${count(D.damaged.length - 20)} more`));
	const card = (href, value, label) => h('a', { href }, h('b', {}, value), h('span', {}, label));
	main.append(h('div', { class: 'cards' },
		card('#tree', count(D.ntasks), `tasks, ${many(sum((t) => t.nthreads), 'thread')}`),
		card('#task', pages(sum(dumped)), `of memory in the images, ${pages(sum((t) => t.pages))} mapped`),
		card('#share', count(D.nfiles), 'open files'),
		card('#sockets', count(D.nsockets), 'sockets'),
		card('#images', bytes(size), `in ${many(D.images.reduce((n, i) => n + i[1], 0), 'image')}`),
		D.stats ? card('#times', seconds(D.stats.frozen / 1e6), 'frozen') : null,
		card('#warnings', count(D.warnings.length), D.warnings.length === 1 ? 'warning' : 'warnings')));
}

// ---- the tree ----
let selected, tree_draw;
function draw_tree() {
	const open = new Set(), shown_children = new Map();
	const field = h('input', { type: 'search', placeholder: 'pid or name', 'aria-label': 'find a task', on: { input: draw } });
	const note = h('span', { class: 'note' }), place = h('div');
	const largest = Math.max(1, ...D.tasks.slice(0, 20000).map(dumped));
	let room = 40; // tasks that are unfolded at the start
	for (let level = children_of.get(0) || []; level.length && room > 0;) {
		const next = [];
		for (const t of level) {
			const below = children_of.get(t.pid) || [];
			if (below.length && room > 0) {
				open.add(t.pid);
				room -= Math.min(below.length, 20);
				next.push(...below.slice(0, 20));
			}
		}
		level = next;
	}
	function visit(t, depth, out) {
		const below = children_of.get(t.pid) || [], most = shown_children.get(t.pid) || 20;
		out.push({ t, depth, below: below.length });
		if (!open.has(t.pid) || depth > 500)
			return;
		for (const child of below.slice(0, most))
			visit(child, depth + 1, out);
		if (below.length > most)
			out.push({ more: t, depth: depth + 1, left: below.length - most });
	}
	function cells(row) {
		const t = row.t, pad = h('span');
		pad.style.paddingLeft = `${Math.min(row.depth, 40) * 16}px`;
		if (row.more)
			return [[pad, h('button', { on: { click: (ev) => { ev.stopPropagation(); shown_children.set(row.more.pid, (shown_children.get(row.more.pid) || 20) + 200); draw(); } } },
				`${count(row.left)} more children`)], '', '', '', '', '', ''];
		const twist = row.below ? h('button', { class: 'twist', 'aria-label': visible(`children of ${task_name(t)}`), 'aria-expanded': String(open.has(t.pid)), on: { click: (ev) => { ev.stopPropagation(); open.has(t.pid) ? open.delete(t.pid) : open.add(t.pid); draw(); } } },
			open.has(t.pid) ? '▾' : '▸') : h('span', { class: 'leaf' });
		const meter = h('i');
		meter.style.width = `${100 * dumped(t) / largest}%`;
		const name = h('button', { class: 'name', 'aria-current': t === selected ? 'true' : null, on: { click: (ev) => { ev.stopPropagation(); pick(t); } } }, t.comm);
		return [[pad, twist, name, row.below > 1 && h('span', { class: 'note' }, ` ${count(row.below)} children`)], t.pid,
			h('span', { class: `tag ${t.state.replace(/\W/g, '')}` }, t.state), count(t.nthreads), table_of.has(t.table) && t.state !== 'zombie' ? count(table_of.get(t.table).n) : '',
			[h('span', { class: 'meter' }, meter), pages(dumped(t))], strip_cell(t)];
	}
	function strip_cell(t) {
		const el = h('div', { class: 'strip' });
		return later(el, () => el.append(strip(t)));
	}
	function draw() {
		const want = field.value.trim().toLowerCase(), rows = [];
		if (want)
			for (const t of D.tasks)
				(String(t.pid) === want || t.comm.toLowerCase().includes(want)) && rows.push({ t, depth: 0, below: 0 });
		else
			for (const t of children_of.get(0) || [])
				visit(t, 0, rows);
		note.textContent = want ? `${count(rows.length)} of ${count(D.tasks.length)}` : D.tasks.length < D.ntasks ? `the first ${count(D.tasks.length)} of ${count(D.ntasks)} tasks` : '';
		place.replaceChildren(table([['task', 'keep'], ['pid', 'num'], ['state'], ['threads', 'num'], ['fds', 'num'], ['in the images', 'keep'], ['memory']], rows,
			cells,
			(row) => row.more ? {} : { class: `pick ${row.t === selected ? 'on' : ''}`, on: { click: () => pick(row.t) } }));
	}
	tree_draw = draw;
	const used = KINDS.map((name, k) => [name, k]).filter(([, k]) => k < 6 && D.tasks.some((t) => (t.maps || []).some((m) => m[3] === k)));
	section('tree', 'Processes', h('p', { class: 'note' }, 'Choose a task to see its memory and descriptors below.'), h('div', { class: 'bar' }, field,
		h('button', { on: { click: () => { for (const t of D.tasks) open.add(t.pid); draw(); } } }, 'unfold all'),
		h('button', { on: { click: () => { open.clear(); draw(); } } }, 'fold all'), note), place,
		h('div', { class: 'legend' }, 'Memory: ', used.map(([name, k]) => h('span', {}, h('i', { class: `k${k}` }), name)), h('span', {}, 'full colour: in the images, pale: only mapped')));
}

// ---- memory ----
const weight = (m) => 3 + 3 * Math.log2(m[1] + 1);
// No more than so many: neighbours become one, of the kind that has most pages.
function squeeze(maps, most) {
	const out = [];
	for (let k = 0, by = Math.ceil(maps.length / most); k < maps.length; k += by) {
		const group = maps.slice(k, k + by);
		if (group.length === 1) {
			out.push(group[0]);
			continue;
		}
		const big = group.reduce((a, b) => b[1] > a[1] ? b : a), sum = (i) => group.reduce((n, m) => n + m[i], 0);
		out.push([group[0][0], sum(1), group.reduce((p, m) => p | m[2], 0), big[3], -1, sum(5), sum(6), sum(7), sum(8)]);
	}
	return out;
}

function strip(t) {
	const maps = squeeze((t.maps || []).filter((m) => m[3] < 6), 48), whole = maps.reduce((n, m) => n + weight(m), 0) || 1;
	const el = svg('svg', { width: 220, height: 14, viewBox: `0 0 ${whole} 14`, preserveAspectRatio: 'none', 'aria-hidden': true });
	let x = 0;
	for (const m of maps) {
		const width = weight(m), full = Math.min(1, (m[5] + m[6] + m[7]) / Math.max(1, m[1]));
		el.append(svg('rect', { x, y: 0, width, height: 14, class: `k${m[3]} faint` }), svg('rect', { x, y: 14 - 14 * full, width, height: 14 * full, class: `k${m[3]}` }));
		x += width;
	}
	return el;
}

function map_what(m) {
	if (m[3] === 3 || m[3] === 4)
		return file_text(m[4]) || (m[8] > 1 ? 'several files' : '?');
	return m[3] === 5 ? `${KINDS[5]} ${m[4] < 0 ? '' : m[4]}` : KINDS[m[3]];
}
const map_end = (m) => (BigInt('0x' + m[0]) + BigInt(m[1]) * 4096n).toString(16);
function map_tip(m) {
	const parts = [[m[5], 'in the images'], [m[6], 'in the parent'], [m[7], 'to come later (lazy)']].filter(([n]) => n).map(([n, what]) => `${many(n, 'page')} ${what}`);
	return `${map_what(m)}\n${m[8] > 1 ? `${count(m[8])} mappings from ${m[0]}` : `${m[0]}-${map_end(m)}`}  ${prot(m[2])}\n${pages(m[1])}: ${parts.join(', ') || 'nothing dumped' + (m[3] === 3 || m[3] === 4 ? ', comes from the file' : '')}`;
}

// Mappings with no great hole between them.
function lanes(maps) {
	const out = [];
	let end = -1n;
	for (const m of maps) {
		const start = BigInt('0x' + m[0]);
		if (end < 0n || start < end || start - end > 1n << 28n)
			out.push([]);
		out[out.length - 1].push(m);
		end = start + BigInt(m[1]) * 4096n;
	}
	return out;
}

function draw_lane(all) {
	const maps = squeeze(all, 300), height = 46, whole = maps.reduce((n, m) => n + weight(m), 0);
	const last = all[all.length - 1], wide = Math.min(whole * 2, main.clientWidth - 60 || 1000);
	const el = svg('svg', { width: wide, height, viewBox: `0 0 ${wide} ${height}`, preserveAspectRatio: 'xMinYMid meet', role: 'img', 'aria-label': `${many(all.length, 'mapping')} from ${all[0][0]} to ${map_end(last)}; the list below has them` });
	el.style.maxWidth = '100%';
	let x = 0;
	for (const m of maps) {
		const width = weight(m) * wide / whole, parts = [[m[5], ''], [m[6], 'half'], [m[7], 'hatch']];
		const g = svg('g', { class: 'region tipped', tip: () => map_tip(m) }, svg('rect', { x, y: 0, width, height, class: `k${m[3]} faint` }));
		let y = height;
		for (const [n, cls] of parts) {
			const tall = Math.min(y, n / Math.max(1, m[1]) * height);
			y -= tall;
			if (n)
				g.append(svg('rect', { x, y, width, height: Math.max(tall, 1.5), class: `k${m[3]} ${cls}` }));
		}
		g.append(svg('rect', { x: x + 0.5, y: 0.5, width: Math.max(width - 1, 0.5), height: height - 1, class: 'edge' }));
		if (width > 30 && m[8] === 1)
			g.append(svg('text', { x: x + width / 2, y: 12, class: 'on-bar' }, prot(m[2])));
		el.append(g);
		x += width;
	}
	return h('div', { class: 'lane' }, h('div', { class: 'where mono' }, `${all[0][0]} - ${map_end(last)}`), el);
}

function draw_memory(t) {
	if (!t.maps || !t.maps.length)
		return [h('p', { class: 'note' }, t.state === 'zombie' ? 'A zombie has no memory.' : 'No mappings are known.')];
	const kinds = KINDS.map((name, k) => [name, k, t.maps.filter((m) => m[3] === k).reduce((n, m) => n + m[1], 0)]).filter(([, , n]) => n);
	const list = h('details', {}, h('summary', {}, 'List of mappings ', h('span', {}, count(t.mappings))));
	list.addEventListener('toggle', () => list.childElementCount === 1 && list.append(searched(
		[['address', 'mono keep'], ['access', 'mono'], ['size', 'num'], ['dumped', 'num'], ['what', 'long']], t.maps, map_what,
		(m) => [`${m[0]}-${m[8] > 1 ? `... (${count(m[8])})` : map_end(m)}`, prot(m[2]), pages(m[1]), m[5] + m[6] + m[7] ? pages(m[5] + m[6] + m[7]) : '', map_what(m)])));
	return [
		h('div', { class: 'legend' }, kinds.map(([name, k, n]) => h('span', {}, h('i', { class: `k${k}` }), `${name} ${pages(n)}`))),
		h('div', { class: 'lanes' }, lanes(t.maps).map(draw_lane)),
		h('p', { class: 'note' }, 'Width: the logarithm of the size. The full colour is what is in the images; lighter above it: pages in the parent, hatched: lazy.'),
		t.cut && h('p', { class: 'note' }, `${many(t.cut, 'mapping')} at the end are not in this page: crit x DIR mems lists them.`), list];
}

// ---- one task ----
let task_place;
function select(t) {
	selected = t;
	tree_draw();
	draw_task();
}
// The same by hand: what was chosen must be seen.
function pick(t) {
	select(t);
	const top = task_place.getBoundingClientRect().top;
	if (top < 0 || top > innerHeight - 160)
		task_place.scrollIntoView();
	task_place.focus({ preventScroll: true });
}

function draw_task() {
	const t = selected, table_here = t && table_of.get(t.table);
	if (!t)
		return;
	const fact = (name, value) => value !== undefined && value !== '' && h('div', {}, h('dt', {}, name), h('dd', {}, value));
	const shares = table_here ? table_here.tasks.filter((o) => o !== t) : [];
	const spaces = (t.ns || []).map((id, k) => own_namespace(k, id) ? D.ns_names[k] : '').filter(Boolean);
	const fds = [];
	for (let k = 0; table_here && t.state !== 'zombie' && k < table_here.fds.length; k += 3)
		fds.push([table_here.fds[k], table_here.fds[k + 1], table_here.fds[k + 2]]);
	const list = searched([['fd', 'num'], ['type'], ['flags', 'keep'], ['file', 'long'], ['also held by', 'long']], fds, (f) => `${f[0]} ${file_type(f[2])} ${file_text(f[2])}`,
		(f) => [f[0], file_type(f[2]), f[1] ? 'close on exec' : '', file_text(f[2]),
			holder_text((holders.get(f[2]) || []).filter((o) => o.table !== table_here || o.fd !== f[0]))]);
	task_place.replaceChildren(h('h2', {}, `Task ${task_name(t)}`), h('dl', { class: 'facts' },
		fact('parent', t.up ? task_name(by_pid.get(t.up)) : 'outside'), fact('session', t.sid), fact('group', t.pgid), fact('user', t.uid === undefined ? '' : `${t.uid}:${t.gid}`),
		fact('state', t.state), fact('threads', `${count(t.nthreads)}${t.nthreads > 1 ? ': ' + t.threads.slice(0, 40).join(' ') + (t.nthreads > 40 ? ' ...' : '') : ''}`),
		fact('program', file_text(t.exe)), fact('directory', file_text(t.cwd)), fact('root', file_text(t.root)),
		fact('namespaces', spaces.length ? `own: ${spaces.join(', ')}` : t.ns && D.ns_host.length ? "the host's" : ''),
		fact('memory', t.maps && `${pages(t.pages)} in ${many(t.mappings, 'mapping')}, ${pages(dumped(t))} in the images`),
		fact('shares', shares.length ? `descriptors with ${shares.slice(0, 5).map(task_name).join(', ')}${shares.length > 5 ? ` and ${shares.length - 5} more` : ''}` : '')),
		h('h3', {}, 'Memory map'), ...draw_memory(t).flat(Infinity).filter(Boolean),
		h('h3', {}, `Descriptors ${count(table_here ? table_here.n : 0)}`), fds.length ? list : h('p', { class: 'note' }, 'None.'));
}

// ---- who shares what ----
function graph_data() {
	const linked = new Set();
	const tables_of = (k) => new Set((holders.get(k) || []).map((o) => o.table));
	for (const [a, b] of file_links) {
		const both = new Set([...tables_of(a), ...tables_of(b)]);
		if (both.size > 1)
			linked.add(a).add(b);
	}
	const shared = [...holders.keys()].filter((k) => linked.has(k) || tables_of(k).size > 1);
	// Tables that hold the same shared files are one node: a thousand workers look alike.
	const wanted = new Set(shared), groups = new Map();
	for (const t of D.tables) {
		const mine = new Set();
		for (let k = 2; k < t.fds.length; k += 3)
			wanted.has(t.fds[k]) && mine.add(t.fds[k]);
		if (!mine.size)
			continue;
		const name = [...mine].sort((a, b) => a - b).join(' ');
		if (!groups.has(name))
			groups.set(name, { tables: [], files: mine });
		groups.get(name).tables.push(t);
	}
	return { shared, groups: [...groups.values()] };
}

// Files with the same holders are one node when there are too many.
function graph_files(shared, groups) {
	const of = new Map(shared.map((k) => [k, { files: [k], groups: [] }]));
	groups.forEach((g) => g.files.forEach((k) => of.get(k) && of.get(k).groups.push(g)));
	let nodes = [...of.values()].filter((n) => n.groups.length);
	if (nodes.length <= NODES)
		return nodes;
	const merged = new Map();
	groups.forEach((g, i) => { g.number = i; });
	for (const n of nodes) {
		const name = n.groups.map((g) => g.number).join(' ');
		if (merged.has(name))
			merged.get(name).files.push(...n.files);
		else
			merged.set(name, n);
	}
	nodes = [...merged.values()];
	return nodes.sort((a, b) => b.groups.length * b.files.length - a.groups.length * a.files.length);
}

function graph_order(groups, nodes) {
	const mean = (list, at) => list.reduce((n, x) => n + at.get(x), 0) / Math.max(1, list.length);
	for (let round = 0; round < 4; round++) {
		const at = new Map(groups.map((g, k) => [g, k]));
		nodes.forEach((n) => { n.mean = mean(n.groups, at); });
		nodes.sort((a, b) => a.mean - b.mean || a.files[0] - b.files[0]);
		const rank = new Map(nodes.map((n, k) => [n, k]));
		groups.forEach((g) => { g.mean = mean(g.nodes, rank); });
		groups.sort((a, b) => a.mean - b.mean);
	}
}

function group_label(g) {
	const tasks = g.tables.flatMap((t) => t.tasks), names = [...new Set(tasks.map((t) => t.comm))];
	if (tasks.length === 1)
		return task_name(tasks[0]);
	return `${count(tasks.length)} tasks: ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' ...' : ''}`;
}
function node_label(n) {
	if (n.files.length === 1)
		return `${file_type(n.files[0])} ${file_text(n.files[0])}`;
	const types = new Map();
	n.files.forEach((k) => types.set(file_type(k), (types.get(file_type(k)) || 0) + 1));
	return [...types].map(([name, c]) => `${count(c)} ${name}`).join(', ');
}
const short = (text, most) => text.length > most ? `${text.slice(0, most / 2 - 2)}…${text.slice(-most / 2)}` : text;
function node_tip(n) {
	return n.files.slice(0, 12).map((k) => `${file_type(k)} ${file_text(k)}\n    ${holder_text(holders.get(k) || [])}`).join('\n') + (n.files.length > 12 ? `\nand ${n.files.length - 12} more` : '');
}

function draw_graph(groups, nodes) {
	const step = 26, left = 250, gap = 240, right = 430, height = Math.max(groups.length, nodes.length) * step + 8, width = left + gap + right + 70;
	const box = h('div', { class: 'graph' }), el = svg('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': 'who shares which descriptors' });
	const spread = (k, n) => 4 + (n.length < Math.max(groups.length, nodes.length) ? (k + 0.5) * (height - 8) / n.length - step / 2 : k * step);
	const wires = [], draw = (item, label, x, wide, tip_text, click) => {
		item.g = svg('g', { class: 'node tipped', tabindex: 0, role: 'button', 'aria-label': visible(label), tip: tip_text, on: { click, keydown: (ev) => ev.key === 'Enter' && click(), mouseenter: () => light(item), mouseleave: () => light(null), focus: () => light(item), blur: () => light(null) } },
			svg('rect', { class: 'node', x, y: item.y + 2, width: wide, height: step - 5, rx: 5 }), svg('text', { x: x + 8, y: item.y + 16 }, short(label, Math.floor(wide / 6.6))));
		return item.g;
	};
	function light(item) {
		box.classList.toggle('lit', !!item);
		const near = new Set(item ? [item.g] : []);
		for (const w of wires) {
			const on = item && (w.a === item || w.b === item);
			w.el.classList.toggle('lit', !!on);
			on && near.add(w.a.g).add(w.b.g);
		}
		for (const n of [...groups, ...nodes])
			n.g.classList.toggle('lit', near.has(n.g));
	}
	groups.forEach((g, k) => { g.y = spread(k, groups); });
	nodes.forEach((n, k) => { n.y = spread(k, nodes); });
	const wire = (a, b, d, cls) => { const w = { a, b, el: svg('path', { d, class: cls }) }; wires.push(w); el.append(w.el); };
	for (const n of nodes)
		for (const g of n.groups) {
			const y1 = g.y + step / 2, y2 = n.y + step / 2;
			g.placed && wire(g, n, `M${left} ${y1}C${left + gap / 2} ${y1} ${left + gap / 2} ${y2} ${left + gap} ${y2}`, '');
		}
	const node_of = new Map(nodes.flatMap((n) => n.files.map((k) => [k, n]))), x = left + gap + right;
	for (const [a, b] of file_links) {
		const m = node_of.get(a), n = node_of.get(b);
		if (m && n && m !== n && wires.length < 3000)
			wire(m, n, `M${x} ${m.y + step / 2}C${x + 60} ${m.y + step / 2} ${x + 60} ${n.y + step / 2} ${x} ${n.y + step / 2}`, 'peer');
	}
	groups.forEach((g) => el.append(draw(g, group_label(g), 4, left - 4, () => group_label(g) + '\n' + g.tables.flatMap((t) => t.tasks).slice(0, 20).map(task_name).join(', '),
		() => g.tables[0].tasks[0] && pick(g.tables[0].tasks[0]))));
	nodes.forEach((n) => el.append(draw(n, node_label(n), left + gap, right, () => node_tip(n), () => {})));
	box.append(el);
	return box;
}

function draw_share() {
	const { shared, groups: every } = graph_data();
	const place = h('div', {}, ' ');
	section('share', 'Who shares descriptors', place);
	if (!shared.length) {
		place.replaceChildren(h('p', { class: 'note' }, 'No open file is shared between tasks, and no pipe or socket connects them.'));
		return;
	}
	const draw = () => {
		const groups = [...every].sort((a, b) => b.tables.length - a.tables.length).slice(0, NODES), all = graph_files(shared, groups), nodes = all.slice(0, NODES);
		groups.forEach((g) => { g.nodes = []; g.placed = true; });
		nodes.forEach((n) => { n.groups = n.groups.filter((g) => g.placed); n.groups.forEach((g) => g.nodes.push(n)); });
		graph_order(groups, nodes);
		const hidden = every.length - groups.length + all.length - nodes.length;
		place.replaceChildren(h('p', { class: 'note' }, `Tasks on the left, on the right what at least two of them hold, or what connects them (dashed: the two ends of a pipe, socket pair or connection). ` +
			`Tasks that hold the same are one box.${hidden > 0 ? ` ${many(hidden, 'box', 'boxes')} more are not drawn.` : ''}`), draw_graph(groups, nodes));
	};
	later(place, draw);
}

// ---- the rest ----
function draw_sockets() {
	const place = section('sockets', 'Sockets');
	if (!D.sockets.length)
		return place.append(h('p', { class: 'note' }, 'None.'));
	const by_ino = new Map(D.sockets.filter((s) => s.family === 'UNIX').map((s) => [s.ino, s]));
	const remote = (s) => s.family !== 'UNIX' ? s.dst : !s.peer ? '' : by_ino.has(s.peer) ? unix_name(by_ino.get(s.peer)) : `${s.peer}: outside`;
	place.append(searched([['family'], ['type', 'keep'], ['state'], ['local', 'long mono'], ['remote', 'long mono'], ['held by', 'long']], D.sockets,
		(s) => Object.values(s).join(' '), (s) => [s.family, [s.type, s.proto].filter(Boolean).join(' '), s.state, s.family === 'UNIX' ? unix_name(s) : s.src, remote(s), holder_text(holders.get(s.file) || [])]));
	if (D.sockets.length < D.nsockets)
		place.append(h('p', { class: 'note' }, `The first ${count(D.sockets.length)} of ${count(D.nsockets)}: crit x DIR sk lists all.`));
}

function bars(rows) {
	const largest = Math.max(1e-9, ...rows.map((r) => r[1]));
	return h('div', { class: 'times' }, rows.map(([name, value, note, cls]) => {
		const bar = h('i', { class: cls });
		bar.style.width = `${100 * value / largest}%`;
		return [h('span', {}, name), h('div', { class: 'track' }, bar), h('span', { class: 'val' }, `${seconds(value)}${note ? ` · ${note}` : ''}`)];
	}));
}

function draw_times() {
	const place = section('times', 'Times'), s = D.stats;
	if (D.stages.length)
		place.append(h('h3', {}, 'Stages of the dump'), bars(D.stages.map((st) => [st.name, st.seconds || 0,
			[st.state !== 'done' && st.state, st.bytes && bytes(st.bytes), st.nfiles && many(st.nfiles, 'file')].filter(Boolean).join(' · ')])));
	if (s)
		place.append(h('h3', {}, 'What the tasks felt'), h('p', { class: 'note' }, 'Orange: the tasks stand still. Blue: part of that time, or beside it.'), bars([['until all were frozen', s.freezing / 1e6, '', 'frozen'], ['frozen', s.frozen / 1e6, '', 'frozen'],
			['memory taken', s.memdump / 1e6, `${many(s.scanned, 'page')} looked at`], ['memory written', s.memwrite / 1e6, `${many(s.written, 'page')}${s.skipped ? `, ${count(s.skipped)} as in the parent` : ''}`]]));
	if (!s && !D.stages.length)
		place.append(h('p', { class: 'note' }, 'Neither manifest.json nor stats-dump is there.'));
}

function draw_needs() {
	const kinds = new Map(), place = section('needs', 'What a restore needs', h('p', { class: 'note' }, 'criu restore --check-only tests all of it on a machine without starting anything.'));
	for (const row of D.needs)
		kinds.set(row[0], (kinds.get(row[0]) || []).concat([row]));
	for (const [kind, rows] of kinds) {
		const el = h('details', { open: rows.length <= 12 }, h('summary', {}, `${kind} `, h('span', {}, count(rows.length))));
		const show = () => el.childElementCount === 1 && el.append(table([['', 'long'], ['', 'long']], rows, (r) => [r[1], r[2]]));
		el.addEventListener('toggle', show);
		rows.length <= 12 && show();
		place.append(el);
	}
	if (D.needs.length < D.nneeds)
		place.append(h('p', { class: 'note' }, `${count(D.nneeds - D.needs.length)} more: crit show --json DIR lists them.`));
}

function draw_warnings() {
	section('warnings', 'Warnings and findings', D.warnings.length ? table([['level'], ['where', 'long'], ['what', 'long'], ['what to do', 'long']], D.warnings,
		(w) => [h('span', { class: `tag ${w[0]}` }, w[0]), w[1], w[2], w[3]]) : h('p', { class: 'ok' }, 'None: the stages had no warnings, and crit verify finds nothing wrong.'),
		D.nfindings > 500 && h('p', { class: 'note' }, `The first 500 of ${many(D.nfindings, 'finding')}: crit verify DIR lists all.`));
}

function draw_images() {
	const rows = [...D.images].sort((a, b) => b[2] - a[2]);
	section('images', 'Images', D.parent && h('p', {}, `Some pages are in the parent checkpoint, ${D.parent}.`),
		D.segments ? h('p', {}, `${many(D.segments, 'segment')} of shared memory with ${pages(D.segment_pages)}.`) : null,
		table([['name', 'mono'], ['files', 'num'], ['size', 'num']], rows, (r) => [r[0], count(r[1]), bytes(r[2])]));
}

function draw_nav() {
	const nav = document.getElementById('nav');
	const item = (id, title, n) => h('a', { href: '#' + id }, title, n !== undefined && h('span', {}, count(n)));
	fill(nav, {}, [h('b', {}, 'Checkpoint'), item('tree', 'Processes', D.ntasks), item('task', 'Task'), item('share', 'Sharing', D.nfiles), item('sockets', 'Sockets', D.nsockets),
		item('times', 'Times'), item('needs', 'Restore needs', D.nneeds), item('warnings', 'Warnings', D.warnings.length), item('images', 'Images', D.images.reduce((n, i) => n + i[1], 0))]);
}

function draw() {
	D = JSON.parse(document.getElementById('data').textContent);
	join();
	complete_stats();
	draw_nav();
	draw_overview();
	draw_tree();
	task_place = section('task', 'Task');
	task_place.tabIndex = -1;
	selected = [...D.tasks].sort((a, b) => (b.up === 0) - (a.up === 0))[0];
	select(selected);
	draw_share();
	draw_sockets();
	draw_times();
	draw_needs();
	draw_warnings();
	draw_images();
	document.body.append(svg('svg', { width: 0, height: 0, 'aria-hidden': true }, svg('defs', {}, svg('pattern', { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
		svg('rect', { width: 3, height: 6, class: 'k6' })))));
	for (const event of ['mousemove', 'focusin'])
		document.addEventListener(event, show_tip);
	document.addEventListener('scroll', () => { tip.hidden = true; }, { passive: true });
	root.dataset.requests = performance.getEntriesByType('resource').length;
	root.dataset.state = 'drawn';
}

addEventListener('error', (ev) => {
	root.dataset.state = 'failed';
	main.prepend(h('p', { class: 'banner' }, `This page could not be drawn: ${ev.message}`));
});
draw();
})();
