#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Every system call of our tools fails once: faults.py [--mode dump|restore|both] [--points N] [--errors first|all]

Theory of operation
A clean run below test/sweep/inject is recorded; each call of it that can fail is a point, and each error that its man page
names (test/sweep/calls.h) is a fault of that point. Then one fault a run. The tree is test/sweep/rich.c, which looks at itself
all the time and counts in a shared file.

After a dump that failed the tree must be the same tree: same mappings, descriptors, no tracer, all its tasks go on and
find nothing wrong. After one that succeeded in spite of the fault the image is restored and the tree judges it. After a restore that
failed no task and no new name may be there; after one that succeeded the tree runs. In each failure: exit status 1, an
error in the log and in the manifest (restore.json), and the text names what failed. No run may take longer than a limit.

Results are lines "MODE POINT FAULT OUTCOME OBJECT | MESSAGE" in --out; what is wrong is printed, and makes the exit status 1.
"""
import argparse
import ctypes
import errno
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

LIMIT = 60
# prctl(2): its errors for these mean that the kernel does not know the operation or the number, nothing else.
PRCTL_SAFE = {'0x17': 'PR_CAPBSET_READ: an error means that there are no more capabilities'}
HERE = os.path.dirname(os.path.abspath(__file__))


# Failures before the tool has options, work directory and log: there is no place for a record yet.
BEFORE_WORK = 'configuration file|images directory /|work directory|log file|cannot change to it|rseq|while loading|%fs base|glibc'
LIBC = ctypes.CDLL(None)


class Bad(Exception):
	pass


def read(path):
	try:
		with open(path, 'rb') as f:
			return f.read().decode('utf-8', 'replace')
	except OSError:
		return ''


def tree_of(pid):
	out = [pid]
	for task in os.listdir(f'/proc/{pid}/task') if os.path.exists(f'/proc/{pid}/task') else []:
		for child in read(f'/proc/{pid}/task/{task}/children').split():
			out += tree_of(int(child))
	return out


def wait_for(seconds, what, *args):
	end = time.monotonic() + seconds
	while not what(*args):
		if time.monotonic() > end:
			return False
		time.sleep(0.002)
	return True


def state_of(pids):
	"""What a dump that fails must leave as it was."""
	out = []
	for pid in pids:
		out += [f'{pid} {line}' for line in read(f'/proc/{pid}/maps').splitlines()]
		try:
			fds = sorted(os.listdir(f'/proc/{pid}/fd'), key=int)
		except OSError:
			fds = []
		for fd in fds:
			try:
				link = os.readlink(f'/proc/{pid}/fd/{fd}')
			except OSError:
				link = '?'
			info = [x for x in read(f'/proc/{pid}/fdinfo/{fd}').splitlines() if x.split(':')[0] in ('flags', 'pos', 'mnt_id', 'ino')]
			out.append(f'{pid} fd {fd} {link} {info}')
		for tid in os.listdir(f'/proc/{pid}/task') if os.path.exists(f'/proc/{pid}/task') else []:
			keep = ('TracerPid', 'SigBlk', 'SigIgn', 'SigCgt', 'Seccomp', 'NoNewPrivs', 'Uid', 'Gid', 'Threads')
			out += [f'{tid} {x}' for x in read(f'/proc/{pid}/task/{tid}/status').splitlines() if x.split(':')[0] in keep]
	return out


def identity(pids):
	"""What a restore must bring back, as seen from outside."""
	out = []
	for pid in pids:
		flags = {}
		area = ''
		for line in read(f'/proc/{pid}/smaps').splitlines():
			w = line.split()
			if re.match(r'^[0-9a-f]+-[0-9a-f]+ ', line):
				area = f'{pid} {w[0]} {w[1]} {w[2]} {" ".join(w[5:])}'
			elif w[0] == 'VmFlags:':
				# sd: written since its mapping; ac: it counts as committed memory, here without one that can be written.
				flags[area] = ' '.join(x for x in w[1:] if x not in ('sd', 'ac'))
		out += [f'{k} {v}' for k, v in flags.items()]
		for fd in sorted(os.listdir(f'/proc/{pid}/fd'), key=int):
			info = [x for x in read(f'/proc/{pid}/fdinfo/{fd}').splitlines() if x.split(':')[0] in ('flags', 'pos')]
			out.append(f'{pid} fd {fd} {re.sub("[0-9]+", "N", os.readlink(f"/proc/{pid}/fd/{fd}"))} {info}')
		for name in ('limits', 'oom_score_adj', 'personality', 'coredump_filter', 'timers', 'cmdline', 'environ'):
			text = re.sub(r'signal: .*|ClockID.*', '', read(f'/proc/{pid}/{name}')) if name == 'timers' else read(f'/proc/{pid}/{name}')
			out.append(f'{pid} {name} {text}')
		out.append(f'{pid} autogroup {read(f"/proc/{pid}/autogroup").split()[-1:]}')
		out += [f'{pid} {x} ' + os.readlink(f'/proc/{pid}/{x}') for x in ('cwd', 'root', 'exe')]
		stat = read(f'/proc/{pid}/stat').rsplit(')', 1)[1].split()
		out.append(f'{pid} parent, group, session, tty, nice, exit signal: {stat[1:5]} {stat[16]} {stat[35]}')
		out.append(f'{pid} arguments, environment: {stat[42:49]}')
		for tid in sorted(os.listdir(f'/proc/{pid}/task'), key=int):
			skip = ('State', 'Vm', 'Rss', 'voluntary', 'nonvoluntary', 'Sig', 'Shd', 'Hugetlb', 'untag', 'NStgid', 'FDSize')
			out += [f'{tid} {x}' for x in read(f'/proc/{pid}/task/{tid}/status').splitlines() if not x.startswith(skip)]
			out += [f'{tid} {x}' for x in read(f'/proc/{pid}/task/{tid}/status').splitlines() if x.startswith(('SigBlk', 'SigIgn', 'SigCgt'))]
			out.append(f'{tid} slack {read(f"/proc/{pid}/task/{tid}/timerslack_ns")}')
			tstat = read(f'/proc/{pid}/task/{tid}/stat').rsplit(')', 1)[1].split()
			out.append(f'{tid} I/O priority {LIBC.syscall(252, 1, int(tid))}')
			out.append(f'{tid} nice, priority, policy: {tstat[16]} {tstat[37:39]}')
	return out


class Lab:
	def __init__(self, opt, lane):
		self.opt = opt
		self.top = os.path.join(opt.dir, f'lane{lane}')
		shutil.rmtree(self.top, ignore_errors=True)
		for d in ('v', 'work'):
			os.makedirs(os.path.join(self.top, d))
		self.v = os.path.join(self.top, 'v')
		self.work = os.path.join(self.top, 'work')
		self.img = os.path.join(self.top, 'img')
		self.pid = 0
		self.known = []

	# ---- the tree ----
	def start(self):
		self.stop()
		for name in os.listdir(self.v):
			os.unlink(os.path.join(self.v, name))
		out = open(os.path.join(self.v, 'out.txt'), 'ab')
		middle = os.fork()
		if not middle:
			os.chdir(self.v)
			os.setsid()
			if os.fork():
				os._exit(0)
			# The leader of its session is the program, and its parent the reaper above.
			os.setsid()
			null = os.open('/dev/null', os.O_RDWR)
			os.dup2(null, 0)
			os.dup2(out.fileno(), 1)
			os.dup2(out.fileno(), 2)
			with open('pid', 'w') as f:
				f.write(str(os.getpid()))
			os.closerange(3, 1024)
			os.execv(os.path.join(self.opt.build, 'test/sweep/rich'), ['rich'])
		os.waitpid(middle, 0)
		out.close()
		if not wait_for(10, lambda: 'ready' in read(os.path.join(self.v, 'out.txt'))):
			raise SystemExit('the tree does not start: ' + read(os.path.join(self.v, 'out.txt')))
		self.pid = int(read(os.path.join(self.v, 'pid')))
		os.unlink(os.path.join(self.v, 'pid'))
		self.look('at its start')
		self.pids = tree_of(self.pid)
		self.before = state_of(self.pids)

	def stop(self):
		if not self.pid:
			return
		# All stand before the first dies: a child that sees its parent gone would say so.
		for sig in (signal.SIGSTOP, signal.SIGKILL):
			for pid in self.pids:
				try:
					os.kill(pid, sig)
				except OSError:
					pass
		if not wait_for(10, lambda: self.gone()):
			raise SystemExit('the tree cannot be ended')
		self.pid = 0

	def end_tasks(self):
		"""Their image stays, to be restored again."""
		pid = self.pid
		self.stop()
		self.pid = pid

	def gone(self):
		return not any(os.path.exists(f'/proc/{pid}') for pid in self.pids)

	def ticks(self):
		with open(os.path.join(self.v, 'ticks'), 'rb') as f:
			words = struct.unpack('<64Q', f.read(512))
		return words[0], words[1], words[3:3 + words[2]]

	def look(self, when):
		"""All its threads go on, and none has found anything wrong."""
		first = self.ticks()[2]
		if not wait_for(8, lambda: all(b > a + 1 for a, b in zip(first, self.ticks()[2]))):
			now = self.ticks()[2]
			raise Bad(f'threads {[i for i, (a, b) in enumerate(zip(first, now)) if b <= a + 1]} of the tree do not run {when}')
		failures, line, _ = self.ticks()
		if failures:
			raise Bad(f'the tree found an error {when}: ' + read(os.path.join(self.v, 'out.txt')).strip().splitlines()[-1])

	def same(self, when, run=None, notes=None):
		"""As after the first restore; what is not, a warning has told."""
		now = []
		if self.known and not wait_for(2, lambda: now.clear() or now.extend(identity(self.pids)) or now == self.known):
			diff = [f'-{x}' for x in self.known if x not in now] + [f'+{x}' for x in now if x not in self.known]
			if run and 'Warn' in self.text(run):
				notes.append('told by a warning: ' + next(x for x in self.text(run).splitlines() if 'Warn' in x))
				return
			raise Bad(f'the tree is not as it was {when}: ' + '; '.join(diff)[:600].replace('\n', ' '))

	# ---- runs ----
	def inject(self, args, point=None, record=None):
		cmd = [os.path.join(self.opt.build, 'test/sweep/inject'), '-t', str(LIMIT)]
		if point:
			cmd += ['-p', point]
		if record:
			cmd += ['-o', record]
		for name in os.listdir(self.work):
			os.unlink(os.path.join(self.work, name))
		return subprocess.run(cmd + ['--', os.path.join(self.opt.build, 'bin/criu')] + args, stdin=subprocess.DEVNULL, capture_output=True,
				      text=True, errors='replace', timeout=4 * LIMIT, cwd=self.top,
				      env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'CRIU_CONFIG_FILE': '', 'HOME': '/nonexistent'})

	def dump(self, **how):
		shutil.rmtree(self.img, ignore_errors=True)
		os.mkdir(self.img)
		return self.inject(['dump', '-t', str(self.pid), '-D', self.img, '-W', self.work, '-o', 'dump.log', '-v4'], **how)

	def restore(self, **how):
		return self.inject(['restore', '-d', '-D', self.img, '-W', self.work, '-o', 'restore.log', '-v4'], **how)

	def names(self):
		"""Of the socket that nobody listens on while the tree is dead, the name may stay, go or be a new one."""
		return sorted(x for x in os.listdir(self.v) if x != 'listening')

	def text(self, run):
		return read(os.path.join(self.work, 'dump.log')) + read(os.path.join(self.work, 'restore.log')) + run.stderr + run.stdout


def has_message(lab, run, fault):
	"""Return: (a line that tells of a failure, whether it names the cause)"""
	lines = [x for x in lab.text(run).splitlines() if re.search(r'Error \(|\) \[[a-z-]+\]$|Fatal glibc error', x)]
	lines += [x for x in run.stderr.splitlines() if not x.startswith('inject:')]
	if not lines:
		return '', False
	# The cause is what was injected, in the words of the system or of our own codes.
	words = [os.strerror(fault)] if fault > 0 else []
	# A stage that ended before it could say more is named.
	words += ['it ended before it came', 'ended without a word', 'Fatal glibc error', 'cannot set %fs', 'error while loading']
	words += {errno.ENOMEM: ['[no-memory]'], errno.EINTR: ['interrupted']}.get(fault, [])
	for line in lines:
		if any(w.lower() in line.lower() for w in words):
			return line, True
	return lines[0], fault < 0


def check_common(lab, run):
	if run.returncode == 124:
		raise Bad('it did not end: ' + '; '.join(x for x in run.stderr.splitlines() if 'inject:' in x and 'fails' not in x)[:300])
	if 'signal ' in run.stderr and 'ended a task' in run.stderr and 'glibc error' not in lab.text(run):
		raise Bad('a tool crashed: ' + run.stderr.strip()[-200:])
	# libc gives up before main() with 127 and a line of its own.
	# So does its malloc(), when brk(2) has failed in a certain place, with SIGABRT.
	if run.returncode == 134 and 'Fatal glibc error' in lab.text(run):
		return
	if run.returncode == 127 and re.search('error while loading|[Ff]atal|cannot', run.stderr):
		return
	if run.returncode not in (0, 1):
		raise Bad(f'exit status {run.returncode}')


def sealed(lab):
	try:
		return json.loads(read(os.path.join(lab.img, 'manifest.json')) or '{}').get('state') == 'sealed'
	except ValueError:
		return False


def judge_dump(lab, run, fault, notes):
	check_common(lab, run)
	alive = not lab.gone()
	if run.returncode == 0:
		if not wait_for(2, lab.gone):
			raise Bad('success, but the tree is still there')
		if not sealed(lab):
			raise Bad('success, but the image is not sealed')
		left = [x for x in os.listdir(lab.img) if x.startswith('.')]
		if left:
			notes.append(f'left behind: {left}')
		told = next((x for x in lab.text(run).splitlines() if 'Warn' in x), None)
		again = lab.restore()
		if again.returncode:
			raise Bad('the image of a dump that succeeded cannot be restored: ' + lab.text(again).strip()[-300:])
		lab.look('after the restore')
		try:
			lab.same('after the restore')
		except Bad:
			if not told:
				raise
			notes.append('told by a warning: ' + told)
			lab.start()
			lab.known = identity(lab.pids)
		lab.before = state_of(lab.pids)
		return 'survived'
	if not alive:
		if sealed(lab):
			notes.append('failure, but the image is sealed and the tree gone')
			again = lab.restore()
			if again.returncode:
				raise Bad('and the image cannot be restored: ' + lab.text(again).strip()[-300:])
			lab.look('after the restore')
			return 'sealed'
		raise Bad('the tree is dead and the image is not sealed')
	if not wait_for(3, lambda: state_of(lab.pids) == lab.before):
		now = state_of(lab.pids)
		diff = [f'-{x}' for x in lab.before if x not in now] + [f'+{x}' for x in now if x not in lab.before]
		raise Bad('the tree is not as it was: ' + '; '.join(diff)[:400])
	lab.look('after the failure')
	if os.path.exists(os.path.join(lab.img, 'inventory.img')) and sealed(lab):
		notes.append('failure, but the image is sealed')
	left = [x for x in os.listdir(lab.img) if x.startswith('.')]
	if left:
		notes.append(f'left behind: {left}')
	manifest = read(os.path.join(lab.img, 'manifest.json'))
	try:
		if manifest and 'error' not in json.loads(manifest):
			notes.append('no error in the manifest, state ' + json.loads(manifest).get('state', '?'))
	except ValueError:
		notes.append('the manifest is damaged')
	return 'failed'


def judge_restore(lab, run, fault, notes, names):
	check_common(lab, run)
	if lab.names() != names:
		wrong = sorted(set(lab.names()) ^ set(names))
		for name in set(lab.names()) - set(names):
			os.unlink(os.path.join(lab.v, name))
		raise Bad(f'names have changed: {wrong}')
	if run.returncode == 0:
		lab.look('after the restore')
		lab.same('after the restore', run, notes)
		lab.end_tasks()
		return 'survived'
	if not wait_for(2, lab.gone):
		left = [p for p in lab.pids if os.path.exists(f'/proc/{p}')]
		raise Bad(f'tasks are left: {left} ' + read(f'/proc/{left[0]}/status')[:40].replace('\n', ' ') if left else '')
	record = read(os.path.join(lab.work, 'restore.json'))
	try:
		if 'error' not in json.loads(record or '{}') and not re.search(BEFORE_WORK, lab.text(run)):
			notes.append('no error in restore.json')
	except ValueError:
		notes.append('restore.json is damaged')
	return 'failed'


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


def points_of(opt, record, calls):
	"""From a record: (point, errors) and what cannot be a point, with the reason."""
	points, never = [], {}
	for line in read(record).splitlines():
		w = line.split()
		task, call, nth, result, obj = w[2], w[3], w[4], int(w[5]), w[6]
		if call == 'remote':
			points.append((f'{task}:{call}:{nth}', [errno.ENOSYS], obj))
			continue
		kind, short, errors, why = calls.get(call, ('fail', 0, [errno.EPERM], ''))
		if kind == 'never':
			never[call, why] = never.get((call, why), 0) + 1
			continue
		if call == 'brk' and w[7] == '0':
			never['brk', 'cannot fail: it only asks'] = never.get(('brk', 'cannot fail: it only asks'), 0) + 1
			continue
		if call == 'execve' and nth == '0':
			never['execve', 'made by the shell'] = never.get(('execve', 'made by the shell'), 0) + 1
			continue
		if call == 'futex' and int(w[8], 16) & 0x7f == 1:
			never['futex', 'FUTEX_WAKE cannot fail'] = never.get(('futex', 'FUTEX_WAKE cannot fail'), 0) + 1
			continue
		if call == 'prctl' and w[7] in PRCTL_SAFE:
			never['prctl', PRCTL_SAFE[w[7]]] = never.get(('prctl', PRCTL_SAFE[w[7]]), 0) + 1
			continue
		if call not in calls:
			never[call, 'UNKNOWN to calls.h; EPERM only'] = never.get((call, ''), 0) + 1
		faults = list(errors)
		# A regular file is never read or written short but at its end or on a full disk; /proc, pipes, sockets are.
		if short and result > 1:
			faults += [-1, -2]
		points.append((f'{task}:{call}:{nth}', faults, obj))
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
		out = [x for x in out if re.search(opt.only, f'{x[0]}:{x[1]}')]
	if opt.points and len(out) > opt.points:
		step = len(out) / opt.points
		out = [out[int(i * step)] for i in range(opt.points)]
	# A run that is broken off has seen something of everything.
	random.Random(opt.seed).shuffle(out)
	return out


def fault_name(f):
	return {-1: 'short', -2: 'one'}.get(f) or errno.errorcode.get(f, str(f))


def clean_run(lab, mode, record):
	"""A dump and a restore without a fault; the last of its kind is recorded. Leaves the tree running, or its image for mode restore."""
	lab.start()
	# Twice: the first run may find things cold.
	for i in range(2):
		for what, run in (('dump', lab.dump), ('restore', lab.restore)):
			got = run(record=record if what == mode else None)
			if got.returncode:
				raise SystemExit(f'the clean {what} failed: ' + lab.text(got)[-2000:])
		lab.look('after a clean run')
	lab.before = state_of(lab.pids)
	lab.known = identity(lab.pids)
	if mode == 'restore':
		lab.end_tasks()


def sweep(opt, lane, mode, todo):
	lab = Lab(opt, lane)
	clean_run(lab, mode, None)
	out = open(f'{opt.out}.{mode}.{lane}', 'w')
	bad = 0
	for k, (point, fault, obj) in enumerate(todo):
		if k % opt.lanes != lane:
			continue
		notes = []
		text = f'{point}:{fault if fault > 0 else fault_name(fault)}'
		names = lab.names()
		message, run = '', None
		try:
			try:
				for _ in range(5):
					run = lab.dump(point=text) if mode == 'dump' else lab.restore(point=text)
					# The kernel frees a pid a moment after its task has left /proc.
					if '[pid-taken]' not in lab.text(run):
						break
					time.sleep(0.3)
			except subprocess.TimeoutExpired:
				raise Bad('the injector did not end')
			if 'was not reached' in run.stderr:
				outcome = 'unreached'
				check_common(lab, run)
				if mode == 'dump':
					judge_dump(lab, run, fault, notes)
				else:
					judge_restore(lab, run, fault, notes, names)
			else:
				outcome = judge_dump(lab, run, fault, notes) if mode == 'dump' else judge_restore(lab, run, fault, notes, names)
			if outcome == 'failed':
				message, named = has_message(lab, run, fault)
				if not message:
					notes.append('no message')
				elif not named:
					notes.append('the message does not name the cause')
			elif outcome == 'survived':
				message = next((x for x in lab.text(run).splitlines() if 'Error (' in x), '')
		except Bad as e:
			outcome = 'HARM'
			notes.append(str(e))
			message = lab.text(run).strip()[-300:].replace('\n', ' / ') if run else ''
			lab_dead = lab.pid
			if mode == 'dump':
				lab.pids = sorted(set(lab.pids + tree_of(lab_dead)))
				lab.start()
				lab.known = identity(lab.pids)
			else:
				lab.end_tasks()
				with open(os.path.join(lab.v, 'ticks'), 'r+b') as f:
					f.write(bytes(16))
		obj_now = next((x[len('inject: fails: '):] for x in (run.stderr if run else '').splitlines() if x.startswith('inject: fails: ')), obj)
		line = f'{mode} {point} {fault_name(fault)} {outcome} {obj_now} {"; ".join(notes)} | {message}'
		out.write(line + '\n')
		out.flush()
		if outcome == 'HARM' or (notes and opt.strict):
			bad += 1
			print(line, flush=True)
	lab.stop()
	out.close()
	shutil.rmtree(lab.top, ignore_errors=True)
	return bad


def main():
	p = argparse.ArgumentParser()
	p.add_argument('--build', required=True)
	p.add_argument('--mode', default='both', choices=('dump', 'restore', 'both'))
	p.add_argument('--points', type=int, default=0, help='at most so many runs a mode, evenly chosen (0: all)')
	p.add_argument('--errors', default='turn', choices=('first', 'turn', 'all'))
	p.add_argument('--only', help='points whose text matches this expression')
	p.add_argument('--seed', type=int, default=1)
	p.add_argument('--lanes', type=int, default=1, help='so many runs side by side')
	p.add_argument('--dir', required=True, help='where the trees and images are')
	p.add_argument('--out', required=True)
	p.add_argument('--strict', action='store_true', help='notes are failures too')
	opt = p.parse_args()
	os.makedirs(opt.dir, exist_ok=True)
	bad = 0
	calls = table(opt)
	for mode in ('dump', 'restore') if opt.mode == 'both' else (opt.mode,):
		pids = []
		lab = Lab(opt, 0)
		record = f'{opt.out}.{mode}.record'
		clean_run(lab, mode, record)
		lab.stop()
		points, never = points_of(opt, record, calls)
		todo = choose(points, opt)
		with open(f'{opt.out}.{mode}.points', 'w') as f:
			f.write(f'# {mode}: {len(points)} calls that can fail, {len(todo)} runs\n')
			for (call, why), n in sorted(never.items()):
				f.write(f'# not a point: {call} ({n} times): {why}\n')
			f.writelines(f'{point} {fault_name(fault)} {obj}\n' for point, fault, obj in todo)
		sys.stdout.flush()
		for lane in range(opt.lanes):
			pid = os.fork()
			if not pid:
				code = 3
				try:
					code = 1 if sweep(opt, lane, mode, todo) else 0
				except SystemExit as e:
					print(e, file=sys.stderr)
				finally:
					sys.stdout.flush()
					os._exit(code)
			pids.append(pid)
		for pid in pids:
			bad |= os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
	sys.exit(1 if bad else 0)


main()
