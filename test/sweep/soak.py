#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The soak: one tree dumped and restored again and again; at the end it must be what it was at the start.

    soak.py [-n CYCLES] [--dir DIR] [--save FILE]

The tree is test/sweep/rich.c: four tasks with threads and one or two of most kinds of kernel objects, which look at their own state
all the time. Compared with the tree that was never dumped: mappings (addresses, rights, offsets, files), descriptors
(number, kind, flags), threads, state, resident and anonymous memory of each task. Looked at outside: mounts, cgroups, files in /dev/shm and
in the directory of the victim, processes (a time namespace lives only by them or a mount).

Run it below test/victim/reaper. Exit code 0: all equal."""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('BUILD', TOP + '/build')
CRIU = BUILD + '/bin/criu'
ENV = {k: v for k, v in os.environ.items() if k != 'CRIU_LOG_OPEN'} | {'CRIU_CONFIG_FILE': '', 'HOME': '/nonexistent'}
SLACK_KB = 64  # of memory of a task: what its own work touches between two looks


def text(path):
    with open(path, errors='surrogateescape') as f:
        return f.read()


def tree(pid):
    pids = [pid]
    for path in glob.glob(f'/proc/{pid}/task/*/children'):
        for child in text(path).split():
            pids += tree(int(child))
    return pids


def ticks(directory):
    data = open(directory + '/ticks', 'rb').read()
    n = struct.unpack_from('3Q', data)[2]
    return struct.unpack_from(f'{3 + n}Q', data)


def runs(directory, problems, seconds=60):
    """Every counter goes on, nothing failed."""
    before, end = ticks(directory), time.monotonic() + seconds
    while time.monotonic() < end:
        now = ticks(directory)
        if now[0]:
            problems.append(f'the tree found {now[0]} errors, the first in line {now[1]} of rich.c')
            return False
        if all(a > b for a, b in zip(now[3:], before[3:])):
            return True
        time.sleep(0.01)
    problems.append('a task or thread stands still')
    return False


def look(pid):
    """What must be the same, and the memory in kB."""
    same, memory = {}, {}
    for p in tree(pid):
        proc, status = f'/proc/{p}', text(f'/proc/{p}/status')
        fds = {}
        for fd in os.listdir(proc + '/fd'):
            kind = re.sub(r'\[\d+\]', '', os.readlink(f'{proc}/fd/{fd}'))
            fds[fd] = kind + ' ' + re.search(r'flags:\s*(\d+)', text(f'{proc}/fdinfo/{fd}'))[1]
        # Device and inode of what lives in memory are new in each life; the size of [stack] and [heap] is not.
        maps = [re.sub(r'^(\S+ \S+ \S+) \S+ \d+ *', r'\1 ', m) for m in text(proc + '/maps').splitlines()]
        same[p] = {'maps': maps, 'descriptors': fds, 'threads': sorted(os.listdir(proc + '/task')),
                   'tracer': re.search(r'TracerPid:\s*(\d+)', status)[1],
                   'stopped': re.search(r'State:\s*(\S)', status)[1] in 'tT'}
        roll = dict(re.findall(r'^(\w+):\s+(\d+) kB', text(proc + '/smaps_rollup'), re.M))
        memory[p] = {k: int(roll[k]) for k in ('Rss', 'Pss', 'Anonymous', 'Swap')}
    return same, memory


def empty(path):
    try:
        return not text(path).strip()
    except OSError:
        return False


def outside(directory, before=False):
    """What a dump or restore could leave: mounts, cgroups, shared memory, files beside the victim, tools."""
    found = set()
    found |= {'mount ' + m.split(' - ')[0].split(' ', 3)[3] for m in text('/proc/self/mountinfo').splitlines()}
    # One with processes in it is somebody's: what we left would be empty.
    found |= {'cgroup ' + d for d, _, _ in os.walk('/sys/fs/cgroup') if before or empty(d + '/cgroup.procs')}
    found |= {'shm ' + f for f in os.listdir('/dev/shm')}
    found |= {'file ' + f for f in os.listdir(directory)}
    for p in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            if os.path.dirname(directory).encode() in open(p, 'rb').read() and p != f'/proc/{os.getpid()}/cmdline':
                found.add('process ' + p)
        except OSError:
            pass
    return found


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def kill_left(base):
    for p in glob.glob('/proc/[0-9]*'):
        if (link(p + '/cwd') or '').startswith(base):
            os.kill(int(p[6:]), signal.SIGKILL)


def compare(what, start, now, problems):
    for p in sorted(start.keys() | now.keys()):
        a, b = start.get(p, {}), now.get(p, {})
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                problems.append(f'{what}: task {p}: {key}: {a.get(key)} was, {b.get(key)} is')


def cycle(pid, base, number, problems):
    images = f'{base}/img'
    os.mkdir(images)
    for verb in (['dump', '-t', str(pid)], ['restore', '-d']):
        r = subprocess.run([CRIU, *verb, '-D', images, '-o', verb[0] + '.log', '--no-sync'], env=ENV, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', timeout=300, check=False)
        if r.returncode:
            log = text(f'{images}/{verb[0]}.log')
            problems.append(f'cycle {number}: {verb[0]} ended with {r.returncode}: ' +
                            ' | '.join(x for x in (r.stdout + log).splitlines() if 'Error' in x)[:500])
            return False
    if number % 25 == 1:
        r = subprocess.run([BUILD + '/bin/crit', 'verify', '--quiet', images], capture_output=True, text=True, check=False)
        if r.returncode:
            problems.append(f'cycle {number}: crit verify: {r.stdout}{r.stderr}')
    shutil.rmtree(images)
    return True


def soak(args, base):
    directory, problems, facts = base + '/v', [], {'cycles': 0}
    os.mkdir(directory)
    open(directory + '/out.txt', 'w').close()
    # The reaper is its parent: the pid is free as soon as it has ended.
    r = subprocess.run(['sh', '-c', 'setsid "$0" </dev/null >>out.txt 2>&1 & echo $!', BUILD + '/test/sweep/rich'], cwd=directory,
                       stdout=subprocess.PIPE, text=True, env=ENV, check=True)
    pid = int(r.stdout)
    while 'ready' not in text(directory + '/out.txt'):
        time.sleep(0.01)
        if not os.path.exists(f'/proc/{pid}'):
            sys.exit('soak: rich did not start: ' + text(directory + '/out.txt'))
    runs(directory, problems)
    before, (start, memory) = outside(directory, before=True), look(pid)
    first, began, begin_ticks = None, time.monotonic(), sum(ticks(directory)[3:])
    for number in range(1, args.n + 1):
        if not cycle(pid, base, number, problems) or not runs(directory, problems):
            break
        facts['cycles'] = number
        if number == 1:
            first = look(pid)[1]
        if number % 25 == 0:
            print(f'{number} cycles, {time.monotonic() - began:.0f} s', flush=True)
    if problems:
        return facts, problems
    now, memory_now = look(pid)
    compare('state', start, now, problems)
    grown = {}
    for key in ('Anonymous', 'Rss', 'Pss', 'Swap'):
        a, f, b = (sum(m[key] for m in x.values()) for x in (memory, first or memory, memory_now))
        grown[key] = {'before': a, 'after 1': f, 'end': b}
    for p in memory:
        for key in ('Anonymous', 'Swap', 'Rss', 'Pss'):
            was, after = memory[p][key], memory_now.get(p, {}).get(key, 0)
            # Clean pages of files come back when they are touched: less is no loss.
            if after > was + SLACK_KB or (key == 'Anonymous' and after < was - SLACK_KB):
                problems.append(f'memory: task {p}: {key} {was} kB was, {after} kB is')
    facts |= {'seconds': round(time.monotonic() - began), 'memory (kB)': grown, 'tasks': len(now),
              'mappings': sum(len(x['maps']) for x in now.values()), 'descriptors': sum(len(x['descriptors']) for x in now.values()),
              'threads': sum(len(x['threads']) for x in now.values()), 'rounds of checks': sum(ticks(directory)[3:]) - begin_ticks}
    kill_left(base)
    # Others may work on this machine: what is ours stays.
    for _ in range(100):
        left = outside(directory) - before
        if not left:
            break
        time.sleep(0.2)
    problems += [f'left: {x}' for x in sorted(left)]
    return facts, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-n', type=int, default=300, help='cycles')
    parser.add_argument('--dir', help='where to work (a temporary directory)')
    parser.add_argument('--save', help='a file for the figures')
    args = parser.parse_args()
    base = tempfile.mkdtemp(prefix='criu-soak.', dir=args.dir)
    try:
        facts, problems = soak(args, base)
    finally:
        kill_left(base)
        shutil.rmtree(base, ignore_errors=True)
    if args.save:
        with open(args.save, 'w') as f:
            json.dump(facts | {'problems': problems}, f, indent=1)
    print(json.dumps(facts))
    for line in problems:
        print('soak:', line[:1000])
    return 1 if problems or facts['cycles'] != args.n else 0


if __name__ == '__main__':
    sys.exit(main())
