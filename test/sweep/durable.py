#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
durable.py RECORD IMG [--no-sync]: would every byte of the checkpoint survive a power loss at the moment the tree is ended?

RECORD is what test/sweep/inject wrote of a dump that ended its tree. The model: a file is durable when an fsync of it (or a syncfs)
began after its last write had ended and before the first SIGKILL; a name is, when an fsync of its directory began after the last
change of a name. After the kill, a document may only be replaced by one that was synced before its rename.
With --no-sync: nothing is synced at all.
"""
import os
import sys

WRITES = {'write', 'pwrite64', 'writev', 'pwritev', 'ftruncate', 'fallocate', 'copy_file_range', 'sendfile', 'splice'}
SYNCS = {'fsync', 'fdatasync'}
NAMES = {'renameat', 'rename', 'linkat', 'link', 'unlinkat', 'unlink', 'mkdirat', 'rmdir', 'renameat2'}
O_CREAT = 0o100


def calls(path):
	with open(path, errors='replace') as f:
		for line in f:
			w = line.split()
			yield {'in': int(w[0]), 'out': int(w[1]), 'task': w[2], 'call': w[3], 'ret': int(w[5]), 'obj': w[6].replace('?(deleted)', ''),
			       'args': [int(x, 16) for x in w[7:11]]}


def main():
	rows = sorted(calls(sys.argv[1]), key=lambda r: r['out'])
	img = os.path.realpath(sys.argv[2])
	problems = []
	kills = [r for r in rows if r['call'] in ('kill', 'tgkill', 'tkill') and r['task'].startswith('criu-freeze') and r['args'][-1] >= 0 and
		 r['args'][1 if r['call'] in ('kill', 'tkill') else 2] == 9]
	if not kills:
		sys.exit('no SIGKILL in the record')
	end = min(r['in'] for r in kills)
	syncs = [r for r in rows if r['call'] in SYNCS | {'syncfs'} and r['ret'] == 0 and (r['obj'] + '/').startswith(img + '/')]
	if '--no-sync' in sys.argv:
		if syncs:
			sys.exit(f'--no-sync, but {syncs[0]}')
		return
	# Files by the name under which they were written last; a rename takes what was written along.
	last, synced, changed = {}, {}, 0
	for r in rows:
		here = r['obj'].startswith(img + '/')
		if r['call'] in WRITES and here and r['ret'] >= 0:
			last[r['obj']] = r
			synced.pop(r['obj'], None)
			if r['out'] > end and not os.path.basename(r['obj']).startswith('.manifest.json.'):
				problems.append(f'{r["obj"]} is written after the tree was ended')
		elif r['call'] in SYNCS and r['ret'] == 0 and r['obj'] in last and r['in'] > last[r['obj']]['out']:
			synced[r['obj']] = r
		elif r['call'] == 'syncfs' and r['ret'] == 0 and r['obj'] == img:
			for name, w in last.items():
				if r['in'] > w['out']:
					synced[name] = r
		elif r['call'] in NAMES and r['ret'] == 0 and (here or r['call'] == 'linkat'):
			if r['call'] in ('renameat', 'renameat2'):
				# The new name is not in the record: the document that the temporary name stands for.
				base = os.path.basename(r['obj'])
				new = os.path.join(img, '.'.join(base[1:].split('.')[:2]) if base.startswith('.') else base)
				if r['obj'] in last:
					last[new] = last.pop(r['obj'])
					synced.pop(new, None)
					if r['obj'] in synced:
						synced[new] = synced.pop(r['obj'])
				if r['out'] > end and new not in synced:
					problems.append(f'{new} is replaced after the end of the tree by what is not synced')
			if r['out'] < end and '/.stage' not in r['obj'] and '.holder' not in r['obj']:
				changed = r['out']
		elif r['call'] == 'openat' and here and r['ret'] >= 0 and r['args'][2] & O_CREAT and r['out'] < end and '/.stage' not in r['obj']:
			changed = r['out']
	final = [x for x in os.listdir(img) if x.endswith(('.img', '.json'))]
	if len(final) < 8:
		problems.append(f'only {len(final)} files in {img}')
	# What was linked from a file without a name was written under that one.
	unnamed = {n: w for n, w in last.items() if '/#' in n}
	for name in final:
		path = os.path.join(img, name)
		if path in last and path not in synced:
			problems.append(f'{name}: not synced after its last write {last[path]["call"]} by {last[path]["task"]}')
		elif path not in last and not unnamed and os.path.getsize(path):
			problems.append(f'{name}: no write of it in the record')
		elif path in synced and synced[path]['out'] > end and name != 'manifest.json':
			problems.append(f'{name}: synced only after the tree was ended')
	directory = [r for r in syncs if r['obj'] == img and r['in'] > changed and r['out'] < end]
	if not directory:
		problems.append('the directory is not synced between its last change and the end of the tree')
	for name, w in unnamed.items():
		if not any(r['in'] > w['out'] and r['out'] < end for r in syncs if r['obj'] != img):
			problems.append(f'{name}: not synced')
	print(f'{len(final)} files, {len(syncs)} syncs before the first of {len(kills)} kills')
	for p in problems:
		print('NOT DURABLE:', p)
	sys.exit(1 if problems else 0)


main()
