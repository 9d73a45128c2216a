# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree of the sweep of failing system calls, and what of it is compared. For faults.py."""
import ctypes
import os
import re
import shutil
import signal
import struct
import subprocess
import time

LIMIT = 60
LIBC = ctypes.CDLL(None)

# The same without the wrapper, with what it never calls. The tree is let go whatever has failed, as a user would.
STAGES = """
criu-freeze exec -t $1 -D $2 -W $3 -o - getpid || exit
criu-freeze -t $1 -D $2 -W $3 -o - -v4 &&
	criu-freeze status -D $2 -W $3 -o - &&
	for stage in criu-collect criu-parasite criu-pages; do $stage -D $2 -W $3 -o - -v4 || break; done &&
	criu-freeze seal -D $2 -W $3 -o - -v4
ret=$?
criu-freeze thaw -D $2 -W $3 -o - -v4 || { ret=1; criu-freeze thaw -D $2 -W $3 -o - -v4; }
exit $ret
"""


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
			lines = [x for x in read(f'/proc/{pid}/task/{tid}/status').splitlines() if x.split(':')[0] in keep]
			# In the handler of its timer, a thread of rich.c blocks SIGRTMIN + 1.
			out += [f'{tid} SigBlk {int(x[7:], 16) & ~(1 << 34):x}' if x.startswith('SigBlk') else f'{tid} {x}' for x in lines]
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
		# All stand before the first dies, and children die first: a child that sees its parent gone would say so.
		for sig in (signal.SIGSTOP, signal.SIGKILL):
			for pid in reversed(self.pids):
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
	def run(self, args, under=()):
		for _ in range(5):
			run = self.run_once([*under, *args])
			# The kernel frees a pid a moment after its task has left /proc.
			if '[pid-taken]' not in self.text(run):
				break
			time.sleep(0.3)
		return run

	def run_once(self, args):
		for name in os.listdir(self.work):
			os.unlink(os.path.join(self.work, name))
		return subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace',
				      timeout=4 * LIMIT, cwd=self.top, env={
					      'PATH': os.path.join(self.opt.build, 'bin') + ':/usr/sbin:/usr/bin:/sbin:/bin',
					      'CRIU_CONFIG_FILE': '', 'HOME': '/nonexistent',
					      'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '')})

	def inject(self, mode, point=None, record=None):
		"""The run of a mode below the injector."""
		cmd = [os.path.join(self.opt.build, 'test/sweep/inject'), '-t', str(LIMIT)]
		if point:
			cmd += ['-p', point]
		if record:
			cmd += ['-o', record]
		return self.run(self.command(mode), cmd + ['--'])

	def command(self, mode):
		if mode == 'restore':
			return self.restore_command()
		shutil.rmtree(self.img, ignore_errors=True)
		os.mkdir(self.img)
		if mode == 'stages':
			return ['sh', '-c', STAGES, 'sh', str(self.pid), self.img, self.work]
		return ['criu', 'dump', '-t', str(self.pid), '-D', self.img, '-W', self.work, '-o', 'dump.log', '-v4',
			*(['--leave-running'] if mode == 'leave' else [])]

	def restore_command(self):
		return ['criu', 'restore', '-d', '-D', self.img, '-W', self.work, '-o', 'restore.log', '-v4']

	def restore(self):
		return self.run(self.restore_command())

	def names(self):
		"""Of the socket that nobody listens on while the tree is dead, the name may stay, go or be a new one."""
		return sorted(x for x in os.listdir(self.v) if x != 'listening')

	def text(self, run):
		return read(os.path.join(self.work, 'dump.log')) + read(os.path.join(self.work, 'restore.log')) + run.stderr + run.stdout
