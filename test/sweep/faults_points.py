# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of calls that can fail, from a recording, and the report on it. For faults.py."""
import errno
import glob
import os
import random
import re
import subprocess
import sys

from faults_tree import read

TRIES = 3

# prctl(2): its errors for these mean that the kernel does not know the operation or the number, nothing else.
PRCTL_SAFE = {'0x17': 'PR_CAPBSET_READ: an error means that there are no more capabilities'}


def table(opt):
	out = {}
	for line in subprocess.run([os.path.join(opt.build, 'test/sweep/inject'), '-l'], capture_output=True, text=True).stdout.splitlines():
		w = line.split()
		errors = []
		for x in w[3:]:
			if not x.isdigit():
				break
			errors.append(int(x))
		out[w[0]] = (w[1], int(w[2]), errors, ' '.join(w[3 + len(errors):]))
	return out


def why_never(call, w, row):
	"""Why a call that was recorded is no point; None: it is one."""
	if row[0] == 'never':
		return row[3]
	if call == 'brk' and w[7] == '0':
		return 'cannot fail: it only asks'
	if call == 'execve' and w[4] == '0':
		return 'made by the shell'
	if call == 'futex' and int(w[8], 16) & 0x7f == 1:
		return 'FUTEX_WAKE cannot fail'
	if call == 'prctl':
		return PRCTL_SAFE.get(w[7])
	return None


def errors_of(call, obj, result, row):
	if call == 'remote':
		return [errno.ENOSYS]
	if call == 'task-call':
		return [errno.ENOMEM, errno.EACCES] if obj == 'mmap' else [errno.ENOMEM]
	# A regular file is never read or written short but at its end or on a full disk; /proc, pipes, sockets are.
	return row[2] + ([-1, -2] if row[1] and result > 1 else [])


def points_of(record, mode, calls):
	"""From a record: (point, errors, object), and how often what is no point was seen: {(call, reason): times}"""
	points, never = [], {}
	for line in read(record).splitlines():
		w = line.split()
		task, call, nth, result, obj = w[2], w[3], w[4], int(w[5]), w[6]
		row = calls.get(call, ('fail', 0, [errno.EPERM], ''))
		why = why_never(call, w, row)
		if not why and mode in ('leave', 'stages') and not task.startswith('criu-freeze'):
			why = 'of a stage that runs as in the mode dump'
			call = task.split('.')[0]
		if why:
			never[call, why] = never.get((call, why), 0) + 1
			continue
		if call not in calls and call not in ('remote', 'task-call'):
			never[call, 'UNKNOWN to calls.h: it fails with EPERM only'] = 1
		points.append((f'{task}:{call}:{nth}', errors_of(call, obj, result, row), obj))
	return points, never


def choose(points, opt):
	"""(point, fault, object): the first error of each point, or all; evenly cut to --points."""
	out = []
	for i, (point, faults, obj) in enumerate(points):
		if opt.errors == 'all':
			out += [(point, f, obj) for f in faults]
		elif opt.errors == 'first':
			out.append((point, faults[0], obj))
		else:
			# Another error for each call in turn, so that a short run sees all kinds.
			out.append((point, faults[(i * 7 + opt.seed) % len(faults)], obj))
	if opt.only:
		out = [x for x in out if re.search(opt.only, f'{x[0]}:{fault_name(x[1])}')]
	if opt.skip:
		out = [x for x in out if not re.search(opt.skip, f'{x[0]}:{fault_name(x[1])} {x[2]}')]
	if not out:
		sys.exit('no point is chosen: nothing would be tried')
	if opt.points and len(out) > opt.points:
		step = len(out) / opt.points
		out = [out[int(i * step)] for i in range(opt.points)]
	# A run that is broken off has seen something of everything.
	random.Random(opt.seed).shuffle(out)
	return out


def fault_name(f):
	return {-1: 'short', -2: 'one'}.get(f) or errno.errorcode.get(f, str(f))


# ---- the report ----

def results(opt, mode):
	"""{(point, fault): (outcome, object, notes, message)}; of a run that was made again, the last."""
	out = {}
	for path in sorted(glob.glob(f'{glob.escape(opt.out)}.{mode}.[0-9]*')):
		for line in read(path).splitlines():
			head, message = line.split(' | ', 1) if ' | ' in line else (line, '')
			w = head.split(' ', 5)
			if len(w) >= 5:
				out[w[1], w[2]] = (w[3], w[4], w[5] if len(w) > 5 else '', message)
	return out


def program(point):
	"""criu-freeze.1: the holder; threads, and tasks of tasks, are counted with it."""
	return re.match(r'[^:./]*(\.\d+)?', point).group()


def why_unreached(point, done):
	task, call, nth = point.split(':')
	same = [int(p.split(':')[2]) for (p, _), r in done.items() if p.startswith(f'{task}:{call}:') and r[0] != 'unreached']
	if not same:
		return f'no other {call} of {task} was covered'
	return f'how often {task} calls {call} differs from run to run: {len(same)} others were covered, the last is number {max(same)}'


def report(opt, mode, points, never, todo):
	"""Return: (the text, how much of it is a finding)"""
	done = results(opt, mode)
	mine = {(p, fault_name(f)): done.get((p, fault_name(f))) for p, f, _ in todo}
	kinds = ('failed', 'survived', 'unreached', 'sealed', 'HARM')
	count = {}
	for (p, _), r in mine.items():
		row = count.setdefault(program(p), dict.fromkeys((*kinds, 'not run'), 0))
		row[r[0] if r else 'not run'] += 1
	total = {k: sum(row[k] for row in count.values()) for k in (*kinds, 'not run')}
	reached = {p for (p, _), r in mine.items() if r and r[0] != 'unreached'}
	out = [f'{mode}: {len(points)} calls that can fail were recorded, {len(todo)} chosen, {len(reached)} covered',
	       f'{"":16}' + ''.join(f'{k:>11}' for k in (*kinds, 'not run'))]
	for name, row in [*sorted(count.items()), ('all', total)]:
		out.append(f'{name:16}' + ''.join(f'{row[k]:11}' for k in (*kinds, 'not run')))
	for (p, f), r in sorted(mine.items()):
		if r and r[0] == 'unreached':
			out.append(f'not covered: {p} {f}: not reached in {TRIES} tries; {why_unreached(p, done)}')
	for (call, why), n in sorted(never.items()):
		out.append(f'not a point: {call} ({n} times): {why}')
	findings = [f'{r[0]}: {p} {f} {r[1]}: {r[2]} | {r[3]}' for (p, f), r in sorted(mine.items()) if r and (r[0] == 'HARM' or r[2])]
	return '\n'.join(out + findings) + '\n', total['HARM'] + total['not run'] + (len(findings) if opt.strict else 0)
