#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Every system call of our tools fails once: faults.py [--mode MODE]... [--points N] [--errors first|turn|all] [--lanes N]

Theory of operation
A clean run below test/sweep/inject is recorded; each call of it that can fail is a point, and each error that its man page
names (test/sweep/calls.h) is a fault of that point. Then one fault a run. The tree is test/sweep/rich.c, which looks at itself
all the time and counts in a shared file.

Modes: dump; restore; leave (dump --leave-running); stages (exec, and the stages one by one, without the wrapper). Of the last
two only what criu-freeze does is a point, the rest is the same as in a dump.

After a dump that failed the tree must be the same tree: same mappings, descriptors, no tracer, all its tasks go on and
find nothing wrong. After one that succeeded in spite of the fault the image is restored and the tree judges it. After a restore that
failed no task and no new name may be there; after one that succeeded the tree runs. In each failure: exit status 1, an
error in the log and in the manifest (restore.json), and the text names what failed. No run may take longer than a limit.

Results are lines "MODE POINT FAULT OUTCOME OBJECT NOTES | MESSAGE" in OUT.MODE.LANE. OUT.MODE.report, which is printed too, says how
many points were covered, names each that was not, with the reason, and what was wrong; harm makes the exit status 1.
"""
import argparse
import fcntl
import glob
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys

from faults_judge import JUDGES, has_message
from faults_points import TRIES, choose, fault_name, points_of, report, results, table
from faults_tree import LIBC, Bad, Lab, identity, state_of, tree_of


def clean_run(lab, mode, record):
	"""A run of the mode and a restore without a fault; the last of its kind is recorded. Leaves the tree running, or its image for
	mode restore."""
	lab.start()
	first = 'dump' if mode == 'restore' else mode
	# Twice: the first run may find things cold.
	for _ in range(2):
		for what in (first, 'restore'):
			if what == 'restore' and first != 'dump':
				lab.end_tasks()
			got = lab.inject(what, record=record if what == mode else None)
			if got.returncode:
				raise SystemExit(f'the clean {what} failed: ' + lab.text(got)[-2000:])
		lab.look('after a clean run')
	lab.before = state_of(lab.pids)
	lab.known = identity(lab.pids)
	if mode == 'restore':
		lab.end_tasks()


def try_point(lab, mode, text, notes):
	"""Return: the outcome and the run. A point that is not reached is tried again: the number of polls and waits differs from run to run."""
	for _ in range(TRIES):
		names = lab.names()
		try:
			run = lab.inject(mode, point=text)
		except subprocess.TimeoutExpired:
			raise Bad('the injector did not end')
		lab.last, lab.text_of_run = run, lab.text(run)
		outcome = JUDGES[mode](lab, mode, run, notes, names)
		if 'was not reached' not in run.stderr:
			return outcome, run
		# On a machine with too much to do a task may not get to its stop in time.
		if outcome != 'survived' and '[freeze-timeout]' not in lab.text_of_run:
			raise Bad('it failed without a fault')
	return 'unreached', run


def after_harm(lab, mode):
	if mode != 'restore':
		lab.pids = sorted(set(lab.pids + tree_of(lab.pid)))
		lab.start()
		lab.known = identity(lab.pids)
		return
	lab.end_tasks()
	with open(os.path.join(lab.v, 'ticks'), 'r+b') as f:
		f.write(bytes(16))


def one_run(lab, mode, point, fault, obj):
	"""Return: (the line of the result, whether something is wrong)"""
	notes, message = [], ''
	lab.last = None
	try:
		outcome, run = try_point(lab, mode, f'{point}:{fault if fault > 0 else fault_name(fault)}', notes)
		if outcome == 'failed':
			message, named = has_message(lab, run, fault)
			if not named:
				notes.append('the message does not name the cause' if message else 'no message')
		elif outcome == 'survived':
			message = next((x for x in lab.text_of_run.splitlines() if 'Error (' in x), '')
	except Bad as e:
		outcome = 'HARM'
		notes.append(str(e).replace('\n', ' '))
		message = lab.text(lab.last).strip()[-300:].replace('\n', ' / ') if lab.last else ''
		after_harm(lab, mode)
	stderr = lab.last.stderr.splitlines() if lab.last else []
	obj = next((x[len('inject: fails: '):] for x in stderr if x.startswith('inject: fails: ')), obj)
	return f'{mode} {point} {fault_name(fault)} {outcome} {obj} {"; ".join(notes)} | {message}', outcome == 'HARM' or bool(notes and lab.opt.strict)


def sweep(opt, lane, mode, todo):
	"""The runs of one lane. Those whose results are there already (--resume) are not made again."""
	done = results(opt, mode)
	lab = Lab(opt, lane)
	clean_run(lab, mode, None)
	with open(f'{opt.out}.{mode}.{lane}', 'a') as out:
		for point, fault, obj in todo[lane::max(opt.lanes, 1)]:
			if (point, fault_name(fault)) in done:
				continue
			line, wrong = one_run(lab, mode, point, fault, obj)
			out.write(line + '\n')
			out.flush()
			if wrong:
				print(line, flush=True)
	lab.stop()
	shutil.rmtree(lab.top, ignore_errors=True)


# ---- the steps, each a process ----

def loopback_up():
	with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
		fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING


def step(opt, mode, what):
	"""The record, or a lane. Lanes have pids and ports of their own, so that nothing else takes what is to be restored."""
	cmd = [sys.executable, os.path.abspath(__file__), *sys.argv[1:], '--mode', mode, '--step', what]
	if opt.lanes:
		cmd = ['unshare', '--pid', '--net', '--fork', '--mount-proc', '--kill-child', os.path.join(opt.build, 'test/victim/reaper')] + cmd
	return subprocess.Popen(cmd, preexec_fn=lambda: LIBC.prctl(1, signal.SIGKILL))  # it ends with us


def run_step(opt):
	mode, record = opt.mode, f'{opt.out}.{opt.mode}.record'
	if opt.lanes:
		loopback_up()
	if opt.step == 'record':
		lab = Lab(opt, 0)
		clean_run(lab, mode, record)
		lab.stop()
	else:
		points, _ = points_of(record, mode, table(opt))
		sweep(opt, int(opt.step), mode, choose(points, opt))


def run_mode(opt, mode):
	record = f'{opt.out}.{mode}.record'
	if not opt.resume or not os.path.exists(record):
		for path in glob.glob(f'{glob.escape(opt.out)}.{mode}.[0-9]*'):
			os.unlink(path)
		if step(opt, mode, 'record').wait():
			raise SystemExit('no recording')
	points, never = points_of(record, mode, table(opt))
	todo = choose(points, opt)
	bad = 0
	for lane in [step(opt, mode, str(i)) for i in range(max(opt.lanes, 1))]:
		bad |= lane.wait()
	text, wrong = report(opt, mode, points, never, todo)
	with open(f'{opt.out}.{mode}.report', 'w') as f:
		f.write(text)
	print(text, end='', flush=True)
	return bad or wrong


def main():
	p = argparse.ArgumentParser()
	p.add_argument('--build', required=True)
	p.add_argument('--mode', action='append', choices=list(JUDGES), help='repeatable; default: dump and restore')
	p.add_argument('--points', type=int, default=0, help='at most so many runs a mode, evenly chosen (0: all)')
	p.add_argument('--errors', default='turn', choices=('first', 'turn', 'all'))
	p.add_argument('--only', help='points whose text (TASK:CALL:N:ERROR) matches this expression')
	p.add_argument('--skip', help='not those whose text (TASK:CALL:N:ERROR OBJECT) matches this one')
	p.add_argument('--seed', type=int, default=1)
	p.add_argument('--lanes', type=int, default=0, help='so many runs side by side, each lane in namespaces of its own (0: one, without)')
	p.add_argument('--dir', required=True, help='where the trees and images are; quick on a tmpfs')
	p.add_argument('--out', required=True)
	p.add_argument('--resume', action='store_true', help='go on with a sweep that was broken off')
	p.add_argument('--strict', action='store_true', help='notes are failures too')
	p.add_argument('--step', help=argparse.SUPPRESS)
	opt = p.parse_args()
	os.makedirs(opt.dir, exist_ok=True)
	modes = opt.mode or ['dump', 'restore']
	if opt.step:
		opt.mode = modes[-1]
		run_step(opt)
		return
	wrong = [run_mode(opt, mode) for mode in modes]
	shutil.rmtree(opt.dir, ignore_errors=True)
	sys.exit(1 if any(wrong) else 0)


main()
