# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run with a fault must leave behind, and what it must say. For faults.py."""
import errno
import json
import os
import re

from faults_tree import Bad, identity, read, state_of, wait_for

# Failures before the tool has options, directories and log: there is no place for a record yet. When it is the last step of a
# dump (criu-freeze end), the tree runs on by the end of the lease.
BEFORE_WORK = 'configuration file|images directory /[^:]*: cannot open it|work directory|log file|cannot change to it|rseq|while loading|%fs base|glibc'


def error_lines(lab, run):
	lines = [x for x in lab.text(run).splitlines() if re.search(r'Error \(|\) \[[a-z-]+\]$|Fatal glibc error', x)]
	return lines + [x for x in run.stderr.splitlines() if not x.startswith('inject:')]


def before_work(lab, run):
	return re.search(BEFORE_WORK, '\n'.join(error_lines(lab, run)))


def has_message(lab, run, fault):
	"""Return: (a line that tells of a failure, whether it names the cause)"""
	lines = error_lines(lab, run)
	if not lines:
		return '', False
	# The cause is what was injected, in the words of the system or of our own codes.
	words = [os.strerror(fault)] if fault > 0 else []
	# A stage that ended before it could say more is named.
	words += ['it ended before it came', 'ended without a word', 'Fatal glibc error', 'cannot set %fs', 'error while loading']
	words += ['it ended before it began']
	# The holder that could not send or receive; what waits for it names it.
	words += ['it is gone, so the tree runs on']
	words += {errno.ENOMEM: ['[no-memory]'], errno.ENOBUFS: ['[no-memory]'], errno.EMFILE: ['[limit-files]'], errno.EEXIST: ['[pid-taken]'], errno.EINTR: ['interrupted']}.get(fault, [])
	for line in lines:
		if any(w.lower() in line.lower() for w in words):
			return line, True
	return lines[0], fault < 0


def check_common(lab, mode, run):
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
	# The wrapper's status is CRIU's; the stages tell by it whose fault it was.
	if run.returncode not in ((0, 1, 2, 111) if mode == 'stages' else (0, 1)):
		raise Bad(f'exit status {run.returncode}')


def sealed(lab):
	try:
		return json.loads(read(os.path.join(lab.img, 'manifest.json')) or '{}').get('state') == 'sealed'
	except ValueError:
		return False


def restore_again(lab, notes):
	"""The image of a dump that succeeded: it brings back a tree that is as it was."""
	told = next((x for x in lab.text_of_run.splitlines() if 'Warn' in x), None)
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


def check_untouched(lab, when):
	if not wait_for(3, lambda: state_of(lab.pids) == lab.before):
		now = state_of(lab.pids)
		diff = [f'-{x}' for x in lab.before if x not in now] + [f'+{x}' for x in now if x not in lab.before]
		raise Bad('the tree is not as it was: ' + '; '.join(diff)[:400])
	lab.look(when)


def check_left(lab, notes):
	left = [x for x in os.listdir(lab.img) if x.startswith('.')]
	if left:
		notes.append(f'left behind: {left}')


def judge_success(lab, mode, notes):
	if not sealed(lab):
		raise Bad('success, but the image is not sealed')
	check_left(lab, notes)
	if mode == 'dump':
		if not wait_for(2, lab.gone):
			raise Bad('success, but the tree is still there')
	else:
		check_untouched(lab, 'after it was let go')
		lab.end_tasks()
	restore_again(lab, notes)
	return 'survived'


def judge_dump(lab, mode, run, notes, names):
	check_common(lab, mode, run)
	if run.returncode == 0:
		return judge_success(lab, mode, notes)
	if lab.gone():
		if mode == 'dump' and sealed(lab):
			notes.append('failure, but the image is sealed and the tree gone')
			restore_again(lab, notes)
			return 'sealed'
		raise Bad('the tree is dead and the image is not sealed')
	check_untouched(lab, 'after the failure')
	if mode != 'stages' and sealed(lab):
		notes.append('failure, but the image is sealed')
	if before_work(lab, run):
		return 'failed'
	check_left(lab, notes)
	manifest = read(os.path.join(lab.img, 'manifest.json'))
	try:
		if mode != 'stages' and manifest and 'error' not in json.loads(manifest):
			notes.append('no error in the manifest, state ' + json.loads(manifest).get('state', '?'))
	except ValueError:
		notes.append('the manifest is damaged')
	return 'failed'


def judge_restore(lab, mode, run, notes, names):
	check_common(lab, mode, run)
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
		if 'error' not in json.loads(record or '{}') and not before_work(lab, run):
			notes.append('no error in restore.json')
	except ValueError:
		notes.append('restore.json is damaged')
	return 'failed'


JUDGES = {'dump': judge_dump, 'leave': judge_dump, 'stages': judge_dump, 'restore': judge_restore}
