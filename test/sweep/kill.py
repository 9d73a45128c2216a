#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kill sweep: tools x steps x victims. Everything that runs for a dump, a thaw or a restore is killed by SIGKILL, at every
named step (a system call of a tool, found by killat.c) and at random times; then the oracle looks whether the promise of
doc/reliability.md was kept. A new command joins by rows in STEPS, a new program by a row in VICTIMS.

    kill.py [-n KILLS] [-j JOBS] [--seed N] [--victim NAME]... [--step TEXT] [--keep] [-v]
    kill.py --sum FILE...       the report of several runs (--json FILE)

Run it below test/victim/reaper. Exit code 0: no harm. Uses BUILD (default build/)."""
import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('BUILD', TOP + '/build')
BIN, VICTIM_DIR, KILLAT = BUILD + '/bin/', BUILD + '/test/victim/', BUILD + '/test/sweep/killat'

NR = {n: i for n, i in (line.split() for line in '''write 1|munmap 11|clone 56|execve 59|wait4 61|kill 62|fsync 74|rename 82|
    connect 42|sendto 44|recvfrom 45|sendmsg 46|recvmsg 47|ptrace 101|pwrite64 18|openat 257|mkdirat 258|unlinkat 263|renameat 264|
    readv 310|writev 311|exit 231|futex 202|prctl 157|clone3 435|poll 7|
    linkat 265|mknodat 259|unlink 87'''.replace('\n', '').split('|'))}
SEIZE, INTERRUPT, GETREGS, SETREGS, SETMASK = '0x4206', '0x4207', '0x4204', '0x4205', '0x420b'
CONT, SYSCALL, DETACH, OPTIONS = '0x7', '0x18', '0x11', '0x4200'

# Operation, role, name of the step, system call, detail, which of them: first, last, any, or a number.
# Operations: dump (criu dump, as it falls out with --leave-running or without), running, ending (dump with, without -R),
# thaw (the stages by hand, then criu-freeze thaw), exec (criu-freeze exec), look (criu-collect --dry-run), try (criu dump
# --check-only), try back (criu restore --check-only), restore.
STEPS = [
    ('dump', 'criu', 'starts a stage', 'clone', '', 'any'),
    ('dump', 'criu', 'execs a stage', 'execve', BIN, 'any'),
    ('dump', 'criu', 'waits for a tool', 'wait4', '', 'any'),
    ('dump', 'criu-freeze', 'makes .stage', 'mkdirat', '.stage', 'any'),
    ('dump', 'criu-freeze', 'begins the manifest', 'renameat', 'manifest.json', 1),
    ('dump', 'criu-freeze', 'forks the holder', 'clone', '', 1),
    ('dump', 'criu-freeze', 'waits for the holder', 'recvfrom', '', 1),
    ('dump', 'criu-freeze', 'writes pstree.img', 'openat', 'pstree.img', 1),
    ('dump', 'criu-freeze', 'writes the tree into the manifest', 'renameat', 'manifest.json', 2),
    ('dump', 'criu-freeze', 'tells the holder', 'sendto', '', 1),
    ('dump', 'criu-holder', 'binds and renames its socket', 'rename', '', 1),
    ('dump', 'criu-holder', 'seizes', 'ptrace', SEIZE, 'any'),
    ('dump', 'criu-holder', 'interrupts', 'ptrace', INTERRUPT, 'any'),
    ('dump', 'criu-holder', 'waits for stops', 'wait4', '', 'any'),
    ('dump', 'criu-holder', 'reads registers', 'ptrace', GETREGS, 'any'),
    ('dump', 'criu-holder', 'writes a frame or calls', 'writev', '', 'any'),
    ('dump', 'criu-holder', 'sets registers', 'ptrace', SETREGS, 'any'),
    ('dump', 'criu-holder', 'sets a signal mask', 'ptrace', SETMASK, 'any'),
    ('dump', 'criu-holder', 'makes a single call', 'ptrace', SYSCALL, 'any'),
    ('dump', 'criu-holder', 'makes a row of calls', 'ptrace', CONT, 'any'),
    ('dump', 'criu-holder', 'reads results', 'readv', '', 'any'),
    ('dump', 'criu-holder', 'answers', 'sendmsg', '', 'any'),
    ('dump', 'criu-holder', 'waits for requests', 'poll', '', 'any'),
    ('dump', 'criu-holder', 'removes its socket', 'unlinkat', '.holder', 'last'),
    ('running', 'criu-holder', 'detaches', 'ptrace', DETACH, 'any'),
    ('ending', 'criu-holder', 'kills', 'kill', '9', 'any'),
    ('ending', 'criu-holder', 'waits for the dead', 'wait4', '4294967295', 'any'),
    ('dump', 'criu-collect', 'connects', 'connect', '', 'any'),
    ('dump', 'criu-collect', 'asks the holder', 'sendmsg', '', 'any'),
    ('dump', 'criu-collect', 'has calls made', 'sendmsg', '8', 'any'),
    ('dump', 'criu-collect', 'writes', 'write', '', 'any'),
    ('dump', 'criu-collect', 'writes the manifest', 'renameat', 'manifest.json', 'any'),
    ('dump', 'criu-collect', 'says that it is done', 'sendmsg', '3', 'last'),
    ('dump', 'criu-parasite', 'asks for registers', 'sendmsg', '18', 'any'),
    ('dump', 'criu-parasite', 'has calls made', 'sendmsg', '17', 'any'),
    ('dump', 'criu-parasite', 'writes', 'write', '', 'any'),
    ('dump', 'criu-parasite', 'writes the manifest', 'renameat', 'manifest.json', 'any'),
    ('dump', 'criu-parasite', 'says that it is done', 'sendmsg', '3', 'last'),
    ('dump', 'criu-pages', 'reads memory', 'readv', '', 'any'),
    ('dump', 'criu-pages', 'writes pages', 'pwrite64', '', 'any'),
    ('dump', 'criu-pages', 'writes the manifest', 'renameat', 'manifest.json', 'any'),
    ('dump', 'criu-pages', 'says that it is done', 'sendmsg', '3', 'last'),
    ('dump', 'criu-freeze-end', 'makes images durable', 'fsync', '', 'any'),
    ('dump', 'criu-freeze-end', 'writes inventory.img', 'renameat', 'inventory.img', 1),
    ('dump', 'criu-freeze-end', 'removes .stage', 'unlinkat', '.stage', 1),
    ('dump', 'criu-freeze-end', 'seals the manifest', 'renameat', 'manifest.json', 1),
    ('dump', 'criu-freeze-end', 'tells of the seal', 'sendmsg', '12', 1),
    ('running', 'criu-freeze-end', 'asks for the thaw', 'sendmsg', '14', 1),
    ('ending', 'criu-freeze-end', 'asks for the end', 'sendmsg', '13', 1),
    ('dump', 'criu-freeze-end', 'waits for the end', 'recvfrom', '', 1),
    ('dump', 'criu-freeze-end', 'writes the last manifest', 'renameat', 'manifest.json', 2),
    ('dump', 'criu-freeze-end', 'writes statistics', 'openat', 'stats-dump', 1),
    ('thaw', 'criu-freeze', 'writes the tree into the manifest', 'renameat', 'manifest.json', 2),
    ('thaw', 'criu-collect', 'asks the holder', 'sendmsg', '', 'any'),
    ('thaw', 'criu-parasite', 'has calls made', 'sendmsg', '17', 'any'),
    ('thaw', 'criu-pages', 'reads memory', 'readv', '', 'any'),
    ('thaw', 'criu-freeze-thaw', 'connects', 'connect', '', 'last'),
    ('thaw', 'criu-freeze-thaw', 'asks for the thaw', 'sendmsg', '14', 1),
    ('thaw', 'criu-freeze-thaw', 'waits for the end', 'recvfrom', '', 1),
    ('thaw', 'criu-holder', 'takes its memory out', 'ptrace', SYSCALL, 'last'),
    ('thaw', 'criu-holder', 'detaches', 'ptrace', DETACH, 'any'),
    ('exec', 'criu-freeze-exec', 'seizes', 'ptrace', SEIZE, 'any'),
    ('exec', 'criu-freeze-exec', 'sets registers', 'ptrace', SETREGS, 'any'),
    ('exec', 'criu-freeze-exec', 'sets a signal mask', 'ptrace', SETMASK, 'any'),
    ('exec', 'criu-freeze-exec', 'makes a single call', 'ptrace', SYSCALL, 'any'),
    ('exec', 'criu-freeze-exec', 'detaches', 'ptrace', DETACH, 'any'),
    ('exec', 'criu-freeze-exec', 'at any time', None, '', ''),
    ('look', 'criu-collect', 'at any time', None, '', ''),
    ('try', 'criu', 'at any time', None, '', ''),
    ('try', 'criu-holder', 'at any time', None, '', ''),
    ('try', 'criu-parasite', 'at any time', None, '', ''),
    ('try', 'group', 'at any time', None, '', ''),
    ('try back', 'criu-restore', 'at any time', None, '', ''),
    ('restore', 'criu-restore', 'reads images', 'openat', 'core-', 'any'),
    ('restore', 'criu-restore', 'looks for a journal', 'openat', '.criu-restore.names', 1),
    ('restore', 'criu-restore', 'makes the root task', 'clone3', '', 'last'),
    ('restore', 'criu-restore', 'seizes', 'ptrace', SEIZE, 'any'),
    ('restore', 'criu-restore', 'begins a stage', 'futex', '1', 'any'),
    ('restore', 'criu-restore', 'waits for a stage', 'futex', '0', 'any'),
    ('restore', 'criu-restore', 'interrupts', 'ptrace', INTERRUPT, 'any'),
    ('restore', 'criu-restore', 'waits for stops', 'wait4', '', 'any'),
    ('restore', 'criu-restore', 'makes the last call', 'ptrace', SYSCALL, 'any'),
    ('restore', 'criu-restore', 'sets registers', 'ptrace', SETREGS, 'any'),
    ('restore', 'criu-restore', 'sets a signal mask', 'ptrace', SETMASK, 'any'),
    ('restore', 'criu-restore', 'makes a deleted file', 'linkat', '', 'any'),
    ('restore', 'criu-restore', 'makes a deleted FIFO', 'mknodat', '', 'any'),
    ('restore', 'criu-restore', 'removes a name', 'unlink', '', 'any'),
    ('restore', 'criu-restore', 'makes the guard hold all', 'futex', '1', 'last'),
    ('restore', 'criu-restore', 'makes tasks outlive it', 'ptrace', OPTIONS, 'any'),
    ('restore', 'criu-restore', 'is no reaper any more', 'prctl', '36', 'last'),
    ('restore', 'criu-restore', 'lets go', 'ptrace', DETACH, 'any'),
    ('restore', 'criu-restore', 'writes statistics', 'openat', 'stats-restore', 1),
    ('restore', 'criu-restore', 'writes restore.json', 'renameat', 'restore.json', 1),
    # The same moments, but it is a task that dies.
    ('restore', 'task', 'at a stage', 'futex', '1', 'any'),
    ('restore', 'task', 'while it is waited for', 'futex', '0', 'any'),
    ('restore', 'task', 'at the seizing', 'ptrace', SEIZE, 'any'),
    ('restore', 'task', 'at the interrupt', 'ptrace', INTERRUPT, 'any'),
    ('restore', 'task', 'at the last call', 'ptrace', SYSCALL, 'any'),
    ('restore', 'task', 'at its registers', 'ptrace', SETREGS, 'any'),
    # The whole process group (of which the holder is no member), and everything at once.
    ('dump', 'group', 'criu-holder: makes a row of calls', 'ptrace', CONT, 'any'),
    ('dump', 'group', 'criu-holder: makes a single call', 'ptrace', SYSCALL, 'any'),
    ('dump', 'group', 'criu-holder: interrupts', 'ptrace', INTERRUPT, 'any'),
    ('dump', 'group', 'criu-pages: reads memory', 'readv', '', 'any'),
    ('dump', 'group', 'criu-freeze-end: seals the manifest', 'renameat', 'manifest.json', 1),
    ('dump', 'all', 'criu-holder: sets registers', 'ptrace', SETREGS, 'any'),
    ('dump', 'all', 'criu-holder: answers', 'sendmsg', '', 'any'),
    ('dump', 'all', 'criu-freeze-end: seals the manifest', 'renameat', 'manifest.json', 1),
    ('restore', 'group', 'criu-restore: waits for a stage', 'futex', '0', 'any'),
    ('restore', 'group', 'criu-restore: makes tasks outlive it', 'ptrace', OPTIONS, 'any'),
    ('restore', 'group', 'criu-restore: lets go', 'ptrace', DETACH, 'any'),
    # At a random time.
    ('dump', 'criu', 'at any time', None, '', ''),
    ('dump', 'criu-freeze', 'at any time', None, '', ''),
    ('dump', 'criu-holder', 'at any time', None, '', ''),
    ('dump', 'criu-collect', 'at any time', None, '', ''),
    ('dump', 'criu-parasite', 'at any time', None, '', ''),
    ('dump', 'criu-pages', 'at any time', None, '', ''),
    ('dump', 'criu-freeze-end', 'at any time', None, '', ''),
    ('dump', 'group', 'at any time', None, '', ''),
    ('dump', 'all', 'at any time', None, '', ''),
    ('thaw', 'criu-holder', 'at any time', None, '', ''),
    ('thaw', 'group', 'at any time', None, '', ''),
    ('restore', 'criu-restore', 'at any time', None, '', ''),
    ('restore', 'group', 'at any time', None, '', ''),
    ('restore', 'task', 'at any time', None, '', ''),
]

# Operations that begin with an image and no tree.
BACK = ('restore', 'try back')
# Steps that only these victims have.
ONLY = {'makes a deleted file': ('ghost files',), 'makes a deleted FIFO': ('deleted FIFO',), 'removes a name': ('ghost files', 'deleted FIFO')}


def able(v, step):
    return step[0] in v.operations and v.name in ONLY.get(step[2], (v.name,))


Victim = collections.namedtuple('Victim', 'name argv quiet operations seccomp forks ready finish')


def victim(name, argv, quiet=True, operations='dump running ending thaw exec look try restore', seccomp=False, forks=False, ready=20, finish=30):
    """quiet: its mappings and descriptors do not change by themselves; forks: its tree does."""
    return Victim(name, tuple(argv), quiet, tuple(operations.split()) + (('try back',) if 'restore' in operations else ()), seccomp, forks, ready, finish)


VICTIMS = [
    victim('threads, AVX', [VICTIM_DIR + 'threads']),
    victim('blocking calls', [VICTIM_DIR + 'blocking']),
    victim('blocking in locks', [VICTIM_DIR + 'blocking', 'lock'], operations='thaw exec look'),
    victim('checks every call', [VICTIM_DIR + 'verify'], quiet=False, forks=True),
    victim('sqlite', ['/usr/bin/python3', TOP + '/test/sweep/sqlite.py'], quiet=False),
    victim('Go', [BUILD + '/test/real/goroutines'], quiet=False, ready=60, finish=90),
    victim('JVM', ['java', '-Xmx64m', '-XX:+UseSerialGC', '-cp', BUILD + '/test/real', 'Load'], quiet=False, ready=60, finish=90),
    victim('coroutines', [VICTIM_DIR + 'coro']),
    victim('no libc', [VICTIM_DIR + 'bare']),
    victim('seccomp', [VICTIM_DIR + 'seccomp'], seccomp=True),
    victim('tree', [VICTIM_DIR + 'tree']),
    victim('ghost files', [VICTIM_DIR + 'deleted', 'ghost']),
    victim('deleted FIFO', [VICTIM_DIR + 'deleted', 'fifo']),
    victim('pipes', [VICTIM_DIR + 'pipe']),
]


OUR_SIZE = 4096 + 16 * 32768 + 4 * 524288


class Harm(Exception):
    pass


class Taken(Exception):
    pass


# ---- looking ----
def slurp(path, mode='r'):
    try:
        with open(path, mode, **({} if 'b' in mode else {'errors': 'replace'})) as f:
            return f.read()
    except OSError:
        return b'' if 'b' in mode else ''


def status(pid, key):
    m = re.search(r'^%s:\s*(.*)$' % key, slurp('/proc/%s/status' % pid), re.M)
    return m.group(1) if m else ''


def threads(pid):
    try:
        return sorted(map(int, os.listdir('/proc/%d/task' % pid)))
    except OSError:
        return []


def tree(pid):
    out = [pid] if os.path.exists('/proc/%d' % pid) else []
    for tid in threads(pid):
        for child in slurp('/proc/%d/task/%d/children' % (pid, tid)).split():
            out += tree(int(child))
    return out


def alive(pid):
    return status(pid, 'State')[:1] not in ('', 'Z', 'X')


def dying(pid):
    """Killed, but not yet dead: a large address space takes a while to go, and meanwhile nobody traces the task any more."""
    flags = slurp('/proc/%d/stat' % pid).rpartition(')')[2].split()[6:7]
    pending = int(status(pid, 'SigPnd') or '0', 16) | int(status(pid, 'ShdPnd') or '0', 16)
    return bool(flags and int(flags[0]) & 4 or pending & 1 << signal.SIGKILL - 1)  # PF_EXITING


def our_area(pid, lo, hi):
    """Is it the holder's memory: its page of code (lib/common/trace) is at the start, or not yet written?"""
    try:
        with open('/proc/%d/mem' % pid, 'rb', 0) as f:
            f.seek(lo)
            head = f.read(4)
            return head == b'\x4c\x39\xe3\x73' or (head == bytes(4) and hi - lo == OUR_SIZE)  # cmp %r12, %rbx; jae
    except OSError:
        return False


def maps(pid):
    """Lines of /proc/PID/maps, and how many areas of the holder's are among them."""
    out, ours = [], 0
    for line in slurp('/proc/%d/maps' % pid).splitlines():
        lo, hi = (int(x, 16) for x in line.split(' ', 1)[0].split('-'))
        if ' 00:00 0' in line and hi - lo >= 1 << 20 and line.split()[-1] == '0' and our_area(pid, lo, hi):
            ours += 1
            continue
        # A stack that has grown is no new mapping.
        out.append(line.split('-', 1)[1] if line.endswith('[stack]') else line)
    return out, ours


def descriptors(pid):
    out = []
    base = '/proc/%d/fd/' % pid
    try:
        fds = os.listdir(base)
    except OSError:
        return out
    for fd in sorted(fds, key=int):
        try:
            out.append('%s %s' % (fd, os.readlink(base + fd)))
        except OSError:
            pass
    return out


def links(pid):
    ns = '/proc/%d/ns/' % pid
    try:
        return [os.readlink(ns + n) for n in sorted(os.listdir(ns))]
    except OSError:
        return []


def look(root, quiet):
    """What must be the same before and after; the number of areas of ours apart."""
    out, ours = [], 0
    pids = tree(root)
    for pid in pids if quiet else [root]:
        facts, n = maps(pid)
        ours += n
        out.append('task %d' % pid)
        if quiet:
            out += facts + descriptors(pid)
            for tid in threads(pid):
                path = '%d/task/%d' % (pid, tid)
                # A stopped task comes home when it goes on, if nobody was left to bring it.
                keys = ('SigIgn', 'SigCgt', 'Seccomp', 'Seccomp_filters') + (() if status(path, 'State')[:1] == 'T' else ('SigBlk',))
                out.append('thread %d %s' % (tid, [status(path, k) for k in keys]))
        out += links(pid) + [slurp('/proc/%d/cgroup' % pid)]
    if not quiet:
        ours += sum(maps(p)[1] for p in pids if p != root)
    return out, ours


def steady(root, quiet):
    """A look that is not of a moment: between two calls of sigtimedwait(2) its signals are blocked."""
    seen = []
    for _ in range(20):
        seen = seen[-2:] + [look(root, quiet)[0]]
        if len(seen) == 3 and seen[0] == seen[1] == seen[2]:
            break
        time.sleep(0.03)
    return seen[-1]


def world():
    """What outside of the tree must be the same: mounts, cgroups, network rules."""
    mounts = sorted(line.split(' ', 3)[3] for line in slurp('/proc/self/mountinfo').splitlines() if '/criu-' not in line)
    groups = [d for d, _, _ in os.walk('/sys/fs/cgroup') if 'criu' in d]
    nft = shutil.which('nft')
    rules = subprocess.run([nft, 'list', 'ruleset'], capture_output=True, text=True).stdout if nft else ''
    return [mounts, groups, [line for line in rules.splitlines() if 'CRIU' in line]]


def listing(path):
    out = []
    for d, dirs, files in os.walk(path):
        for n in dirs + files:
            p = os.path.join(d, n)
            try:
                st = os.lstat(p)
            except OSError:
                continue
            out.append('%s %o %d' % (os.path.relpath(p, path), st.st_mode, st.st_size))
    return sorted(out)


def unless(seconds, what, cond, *args):
    end = time.monotonic() + seconds
    nap = 0.002
    while not cond(*args):
        if time.monotonic() > end:
            raise Harm(what() if callable(what) else what)
        time.sleep(nap)
        nap = min(nap * 1.5, 0.05)


# ---- one victim and its directory ----
class Scene:
    def __init__(self, v, top, rnd, verbose):
        self.v, self.top, self.rnd, self.verbose = v, top, rnd, verbose
        self.dir, self.img, self.work = top + '/v', top + '/img', top + '/work'
        self.env = dict(os.environ, CR_SWEEP_ID=top, CRIU_CONFIG_FILE='', HOME='/nonexistent')
        self.env.pop('CRIU_LOG_OPEN', None)
        self.root, self.pids, self.counts, self.spans = 0, [], {}, {}
        self.base, self.image = None, None  # image: listings of victim's and image directory when the tree was gone
        self.may_leave = False

    def run(self, *cmd, timeout=60):
        with open(self.top + '/tool.out', 'wb') as f:
            return subprocess.run(cmd, env=self.env, cwd=self.top, stdin=subprocess.DEVNULL, stdout=f, stderr=f, timeout=timeout).returncode

    def criu(self, verb, *more):
        return [BIN + 'criu', verb, '-D', self.img, '-W', self.work, '-o', verb + '.log', '-v4', *more]

    def by_hand(self):
        each = ' -D %s -W %s -o dump.log' % (self.img, self.work)
        tools = ['criu-freeze -t %d' % self.root + each] + [t + each for t in ('criu-collect', 'criu-parasite', 'criu-pages', 'criu-freeze thaw')]
        return ['/bin/sh', '-c', ' ; '.join(BIN + t for t in tools)]

    # -- the victim --
    def start(self):
        for d in (self.dir, self.img, self.work):
            shutil.rmtree(d, ignore_errors=True)
            os.mkdir(d)
        script = 'cd "$0" && { setsid "$@" </dev/null >>out.txt 2>&1 & echo $! >../pid; }'
        subprocess.run(['/bin/sh', '-c', script, self.dir, *self.v.argv], env=self.env, check=True)
        self.root = int(slurp(self.top + '/pid'))
        unless(self.v.ready, 'the victim is not ready: ' + self.v.name, self.said, 'ready')
        time.sleep(0.05)
        self.pids, self.image, self.may_leave = tree(self.root), None, False
        self.base = steady(self.root, self.v.quiet)

    def said(self, line):
        return line in slurp(self.dir + '/out.txt').splitlines()

    def finish(self):
        """The victim checks itself."""
        with open(self.dir + '/go', 'w'):
            pass
        unless(self.v.finish, 'the victim does not come to its end', self.said, 'done')
        text = slurp(self.dir + '/out.txt')
        bad = [line for line in text.splitlines() if line.startswith('FAIL')]
        # Calls that begin anew, or show EINTR, when a holder was killed: doc/reliability.md.
        bad += [line for line in text.splitlines() if line.startswith('saw ') and not line.endswith(' -1 4')]
        if bad:
            raise Harm('the victim found: ' + '; '.join(bad[:5]))
        unless(10, 'the victim does not exit', lambda: not alive(self.root))
        self.root = 0

    def end(self):
        for pid in self.ours(everything=True):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def ours(self, everything=False):
        """Processes with our mark: those that run our tools, or all."""
        mark = ('CR_SWEEP_ID=%s\0' % self.top).encode()
        out = []
        for p in os.listdir('/proc'):
            if not p.isdigit() or int(p) == os.getpid():
                continue
            comm = slurp('/proc/%s/comm' % p).strip()
            if not everything and not comm.startswith('criu') and comm != 'killat':
                continue
            if mark in slurp('/proc/%s/environ' % p, 'rb'):
                out.append(int(p))
        return out

    # -- operations --
    def command(self, op):
        if op == 'thaw':
            return self.by_hand()
        if op == 'restore':
            return self.criu('restore', '-d')
        if op == 'try back':
            return self.criu('restore', '--check-only')
        if op == 'try':
            return self.criu('dump', '-t', str(self.root), '--check-only')
        if op == 'exec':
            return [BIN + 'criu-freeze', 'exec', '-t', str(self.root), '-D', self.img, '-W', self.work, 'getppid']
        if op == 'look':
            return [BIN + 'criu-collect', '--dry-run', '-t', str(self.root), '-D', self.img, '-W', self.work]
        running = op == 'running' or (op == 'dump' and self.rnd.random() < 0.7)
        return self.criu('dump', '-t', str(self.root), *(['-R'] if running else []))

    def fresh_dirs(self):
        shutil.rmtree(self.img, ignore_errors=True)
        os.mkdir(self.img)

    def learn(self, op):
        """How often each step occurs, and how long it takes: from a run that nobody disturbs."""
        key = 'running' if op == 'dump' else op
        if key in self.counts:
            return self.counts[key], self.spans[key]
        record = self.top + '/record'
        self.need(op)
        if key not in BACK:
            self.fresh_dirs()
        self.run(KILLAT, '--record', record, '--follow', '0' if key in BACK else '1', '--', *self.command(key))
        counts = [tuple(line.split('\t')) for line in slurp(record).splitlines() if line.count('\t') == 2]
        self.settle()
        self.after(key, None)
        self.need(op)
        start = time.monotonic()
        if key not in BACK:
            self.fresh_dirs()
        self.run(*self.command(key))
        self.counts[key], self.spans[key] = counts, time.monotonic() - start
        self.settle()
        self.after(key, None)
        return self.counts[key], self.spans[key]

    def need(self, op):
        """Before an operation: a tree that runs, or an image and no tree."""
        if op in BACK:
            if self.image:
                return
            self.fresh_dirs()
            if self.run(*self.criu('dump', '-t', str(self.root))):
                raise Harm('a dump fails: ' + self.errors('dump'))
            self.gone()
            self.note_image()
        elif self.image:
            self.bring_back()

    def note_image(self):
        self.image = listing(self.dir), listing(self.img)
        with open(self.img + '/manifest.json') as f:
            self.pids = [row['pid'] for row in json.load(f)['tree']]

    def bring_back(self):
        self.gone()
        for i in range(8):
            if not self.run(*self.criu('restore', '-d')):
                break
            why = self.errors('restore')
            # Somebody else on this machine has a pid of ours: no fault of the image.
            if 'pid-taken' not in why:
                raise Harm('the image cannot be restored: ' + why)
            time.sleep(i)
        else:
            raise Taken(why)
        self.image = None
        self.runs()
        self.pids = tree(self.root)
        time.sleep(0.02)
        self.base = steady(self.root, self.v.quiet)

    def errors(self, verb):
        text = slurp('%s/%s.log' % (self.work, verb)) + slurp(self.top + '/tool.out')
        return ' | '.join([line for line in text.splitlines() if 'rror' in line][-3:])

    # -- the oracle --
    def gone(self):
        unless(10, lambda: 'tasks are left: %s' % [(p, status(p, 'State')) for p in self.pids if os.path.exists('/proc/%d' % p)],
               lambda: not any(os.path.exists('/proc/%d' % p) for p in self.pids))

    def settle(self):
        """Until no tool of ours is there any more, but a holder that keeps the tree."""
        def quiet():
            return all(slurp('/proc/%d/comm' % p).strip() == 'criu-holder' for p in self.ours())
        unless(25, lambda: 'tools go on: %s' % [(p, slurp('/proc/%d/comm' % p)) for p in self.ours()], quiet)

    def runs(self):
        def ok():
            for pid in tree(self.root):
                for tid in threads(pid):
                    text = slurp('/proc/%d/task/%d/status' % (pid, tid))
                    if re.search(r'^TracerPid:\s*[1-9]', text, re.M) or re.search(r'^State:\s*t', text, re.M):
                        return False
            return alive(self.root)
        unless(15, lambda: 'the tree does not run: ' + ', '.join(
            '%d %s %s' % (t, status('%d/task/%d' % (p, t), 'State'), status('%d/task/%d' % (p, t), 'TracerPid'))
            for p in tree(self.root) for t in threads(p)), ok)

    def works(self):
        """It is not only there: it comes on to the processor."""
        def turns():
            return sum(int(status('%d/task/%d' % (p, t), k) or 0) for p in tree(self.root) for t in threads(p)
                       for k in ('voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches'))
        before = turns()
        unless(10, 'the tree does not work', lambda: turns() > before)

    def sealed(self):
        return os.path.exists(self.img + '/inventory.img') and '"state": "sealed"' in slurp(self.img + '/manifest.json').replace('":"', '": "')

    def compare(self, unnoticed):
        def same():
            now, self.left = look(self.root, self.v.quiet)
            return now == self.base
        self.left = 0
        try:
            unless(3, '', same)
        except Harm:
            now = look(self.root, self.v.quiet)[0]
            raise Harm('the tree is not as it was: ' + ' / '.join(
                ['-' + x for x in self.base if x not in now][:6] + ['+' + x for x in now if x not in self.base][:6])) from None
        # Whoever notices the death of a holder takes its memory out; where all were killed, the next dump does.
        self.may_leave = self.left and (self.may_leave or unnoticed)
        if self.left and not self.may_leave:
            raise Harm('%d areas of the holder are left' % self.left)

    def after(self, op, killed):
        """What became of it: 'runs', 'held', 'sealed', 'nothing', 'all'."""
        result = 'runs'
        if op in BACK:
            if not alive(self.root) or not self.came_back():
                self.gone()
                if (listing(self.dir), listing(self.img)) != self.image:
                    # A program that was let go and then killed may have made files by itself; the image is not its to change.
                    if killed and killed.endswith(' task') and not self.v.quiet and listing(self.img) == self.image[1]:
                        raise Taken('the task was killed after the restore had let it go')
                    a, b = sum(self.image, []), sum((listing(self.dir), listing(self.img)), [])
                    raise Harm('files were left or changed by a restore: %s' % [x for x in a + b if (x in a) != (x in b)][:6])
                journal = [n for n in os.listdir(self.work) if n.startswith('.')]
                if journal:
                    raise Harm('left in the work directory: %s' % journal)
                return 'nothing'
            if not self.v.forks and sorted(tree(self.root)) != sorted(self.pids):
                raise Harm('a part of the tree is missing: %s of %s' % (tree(self.root), self.pids))
            self.image = None
            self.base = steady(self.root, self.v.quiet)
            return 'all'
        if any(slurp('/proc/%d/comm' % p).strip() == 'criu-holder' for p in self.ours()):
            # A holder that lets go by itself needs a moment.
            time.sleep(0.05)
        if any(slurp('/proc/%d/comm' % p).strip() == 'criu-holder' for p in self.ours()) and alive(self.root) and self.thaw():
            result = 'held'
        unless(15, lambda: 'a holder is left', lambda: not self.ours())
        unnoticed = bool(killed) and ('criu-holder' in killed and op == 'thaw' or op == 'exec' or 'all' in killed)
        if alive(self.root) and self.unharmed(unnoticed):
            return result
        if not self.sealed():
            raise Harm('the tree is dead and the image is not sealed')
        self.gone()
        self.note_image()
        self.bring_back()
        return 'sealed'

    def came_back(self):
        """Return: False: it is dead after all."""
        try:
            self.runs()
            self.works()
        except Harm:
            if alive(self.root) and not dying(self.root):
                raise
            return False
        return not dying(self.root)

    def unharmed(self, unnoticed):
        """Return: False: it is dead. One that was killed takes a moment to die."""
        try:
            self.runs()
            self.works()
            self.compare(unnoticed)
        except Harm:
            if alive(self.root):
                raise
            return False
        return True

    def thaw(self):
        """A holder that is still there keeps the tree by right only in a hold by hand."""
        code = self.run(BIN + 'criu-freeze', 'thaw', '-D', self.img, '-W', self.work)
        return code == 0

    # -- one kill --
    def options(self, step):
        op, role, _, call, detail, which = step
        counts, span = self.learn(op)
        out = ['--follow', '0' if op in BACK else '1']
        if role in ('group', 'all'):
            out += ['--scope', role]
            role = step[2].split(':')[0]
        elif role == 'task':
            self.target = self.rnd.choice(self.pids)
            out += ['--pid', str(self.target)]
            role = 'criu-restore'
        if call is None:
            if role in ('at any time',):
                role = 'criu'
            return out + ['--role', role, '--after', str(int(self.rnd.random() * span * 1.1e6) + 1)]
        n = sum(1 for r, nr, d in counts if r == role and nr == NR[call] and d.startswith(detail))
        if not n:
            return None
        k = {'first': 1, 'last': n, 'any': self.rnd.randint(1, n)}.get(which, which)
        out += ['--role', role, '--nr', NR[call], '--detail', detail, '--count', str(min(k, n))]
        return out + (['--exit'] if self.rnd.random() < 0.5 else [])

    def kill(self, step):
        """Return: outcome; '' when the step did not come this time, None when this victim does not have it."""
        op = step[0]
        options = self.options(step)
        if options is None:
            return None
        self.need(op)
        if op not in BACK:
            self.fresh_dirs()
        command = self.command(op)
        self.last = ' '.join(options) + ' -- ' + ' '.join(command[1:2] + command[6:])
        self.run(KILLAT, *options, '--', *command)
        said = slurp(self.top + '/tool.out').strip().splitlines()[-1:]
        killed = said[0] if said and said[0].startswith('killed') else ''
        if op in BACK:
            self.settle_restore()
            if step[1] == 'task' and killed.endswith('\t0') and not alive(self.target):
                raise Taken('the task was killed after the restore had let it go')
        else:
            self.settle()
        outcome = self.after(op, (killed + ' ' + step[1]) if killed else None)
        if self.verbose:
            print('   ', step[:3], self.last, killed or said, outcome, flush=True)
        return outcome if killed else ''

    def settle_restore(self):
        unless(25, lambda: 'tools go on: %s' % self.ours(), lambda: not [
            p for p in self.ours() if p not in self.pids or slurp('/proc/%d/comm' % p).startswith('criu')])

    def excepted(self, step, why):
        """The exceptions of doc/reliability.md. Tasks of a restore that is killed in the moment in which they begin to outlive it
        may run until the guard has ended them. A task under seccomp may be ended by its own filter when the holder dies in the middle of a call in it."""
        if 'outlive' in step[2] and why.startswith('files were left or changed'):
            return True
        return (self.v.seccomp and step[0] not in BACK and ('criu-holder' in step[1] + step[2] or step[1] == 'all') and
                re.match('the tree is not as it was|the victim found: FAIL|the victim does not come', why))


# ---- the sweep ----
def plan(args, rnd):
    """Rounds over all steps, in each the victims take turns; then by victim, so that few of them have to be started."""
    steps = [s for s in STEPS if not args.step or args.step in ' '.join(map(str, s[:3]))]
    victims = [v for v in VICTIMS if not args.victim or any(n in v.name for n in args.victim)]
    victims = [v for v in victims if v.argv[0][0] == '/' and os.path.exists(v.argv[0]) or shutil.which(v.argv[0])]
    jobs = {v: [] for v in victims}
    for i in range(args.n):
        step, turn = steps[i % len(steps)], i // len(steps)
        can = [v for v in victims if able(v, step)]
        if can:
            jobs[can[(i * 7 + turn * 4) % len(can)]].append(step)
    return jobs


def more_steps(rnd, v, done, steps):
    """Steps that the victim can do and that were done least, for those that did not come."""
    return min((s for s in steps if able(v, s)), key=lambda s: (done[s], rnd.random()))


class Score:
    """What came out: kills by step, by victim, by outcome; harm; what doc/reliability.md excepts."""

    def __init__(self):
        self.done, self.by_victim, self.outcomes = collections.Counter(), collections.Counter(), collections.Counter()
        self.harm, self.excepted, self.seconds = [], [], 0

    def save(self, path):
        with open(path + '.new', 'w') as f:
            json.dump([[[list(k), n] for k, n in self.done.items()], self.by_victim, self.outcomes, self.harm, self.excepted, self.seconds], f)
        os.rename(path + '.new', path)

    def add(self, path):
        with open(path) as f:
            done, by_victim, outcomes, harm, excepted, seconds = json.load(f)
        self.done.update({tuple(k): n for k, n in done})
        self.by_victim.update(by_victim)
        self.outcomes.update(outcomes)
        self.harm += harm
        self.excepted += excepted
        self.seconds += seconds


def report(score):
    done, by_victim, outcomes, harm, excepted = score.done, score.by_victim, score.outcomes, score.harm, score.excepted
    print('\n%-8s %-16s %-36s %6s' % ('what', 'killed', 'step', 'kills'))
    for s in STEPS:
        if done[s]:
            print('%-8s %-16s %-36s %6d' % (s[0], s[1], s[2], done[s]))
    print('\n%-20s %6s' % ('victim', 'kills'))
    for v in VICTIMS:
        if by_victim[v.name]:
            print('%-20s %6d' % (v.name, by_victim[v.name]))
    print('\n%-60s %6s' % ('outcome', 'kills'))
    names = {'runs': 'dump, thaw: the tree runs on, nothing is left', 'held': 'dump, thaw: held, freed by criu-freeze thaw',
             'sealed': 'dump: the image is sealed and was restored', 'nothing': 'restore: nothing is left', 'all': 'restore: all tasks run'}
    for k, text in names.items():
        print('%-60s %6d' % (text, outcomes[k]))
    print('%-60s %6d' % ('exceptions of doc/reliability.md', len(excepted)))
    for e in excepted:
        print('    ' + e)
    few = [s for s in STEPS if done[s]]
    print('\n%d kills at %d steps (fewest at one: %d), %d of harm, %d s' %
          (sum(done.values()), len(few), min((done[s] for s in few), default=0), len(harm), score.seconds))
    for h in harm:
        print('HARM ' + h)


def sweep(args):
    rnd = random.Random(args.seed)
    score, start = Score(), time.monotonic()
    before = world()
    jobs = plan(args, rnd)
    steps = [s for s in STEPS if not args.step or args.step in ' '.join(map(str, s[:3]))]
    part, parts = map(int, args.part.split('/'))
    for v in list(jobs)[part::parts]:
        if not one_victim(args, rnd, v, jobs[v], steps, score):
            break
    after = world()
    if after != before:
        score.harm.append('outside of the trees: %s' % [(a, b) for a, b in zip(before, after) if a != b])
    score.seconds = time.monotonic() - start
    return score


def one_victim(args, rnd, v, todo, steps, score):
    """Return: False to stop the sweep (--keep)."""
    top = tempfile.mkdtemp(prefix='criu-sweep.')
    os.chmod(top, 0o755)
    scene = Scene(v, top, rnd, args.v)
    # Restores last: they need no tree.
    todo.sort(key=lambda s: s[0] in BACK)
    since, missed, step = 0, 0, None
    queue = collections.deque(todo)
    print('%-20s %4d kills' % (v.name, len(todo)), flush=True)
    while queue or scene.root:
        try:
            if not scene.root:
                scene.start()
            if not queue or since >= args.checks:
                scene.need('dump')
                scene.finish()
                since = 0
                continue
            if args.json:
                score.save(args.json)
            step = queue.popleft()
            outcome = scene.kill(step)
            since += 1
            if outcome:
                score.done[step] += 1
                score.by_victim[v.name] += 1
                score.outcomes[outcome] += 1
            elif missed < 2 * len(todo) + 20:
                missed += 1
                queue.append(step if outcome == '' else more_steps(rnd, v, score.done, steps))
        except Taken as e:
            print('  a new victim: %s' % e, flush=True)
            scene.end()
            scene.root, scene.image, since = 0, None, 0
        except (Harm, subprocess.TimeoutExpired) as e:
            text = '%s: %s: %s [%s]' % (v.name, ' '.join(map(str, step[:3])) if step else '-', e, getattr(scene, 'last', ''))
            print('  ' + text, flush=True)
            if isinstance(e, Harm) and step and scene.excepted(step, str(e)):
                score.excepted.append(text)
                score.done[step] += 1
                score.by_victim[v.name] += 1
            else:
                score.harm.append(text)
                if args.keep:
                    print('kept: ' + top)
                    return False
            scene.end()
            time.sleep(0.2)
            scene.root, scene.image, since = 0, None, 0
    scene.end()
    shutil.rmtree(top, ignore_errors=True)
    return True


def in_parallel(args, argv):
    """Each process takes every -j-th victim."""
    score, start = Score(), time.monotonic()
    with tempfile.TemporaryDirectory() as d:
        files = ['%s.%d' % (args.json or d + '/score', i) for i in range(args.jobs)]
        procs = [subprocess.Popen([sys.executable, __file__, *argv, '-j', '1', '--part', '%d/%d' % (i, args.jobs), '--json', f])
                 for i, f in enumerate(files)]
        for p, f in zip(procs, files):
            p.wait()
            if os.path.exists(f):
                score.add(f)
            else:
                score.harm.append('a part of the sweep broke off (exit status %d)' % p.returncode)
    score.seconds = time.monotonic() - start
    return score


def main():
    p = argparse.ArgumentParser()
    p.add_argument('-n', type=int, default=200)
    p.add_argument('-j', '--jobs', type=int, default=1)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--victim', action='append')
    p.add_argument('--step')
    p.add_argument('--part', default='0/1', help=argparse.SUPPRESS)
    p.add_argument('--json')
    p.add_argument('--sum', nargs='+')
    p.add_argument('--keep', action='store_true')
    p.add_argument('--checks', type=int, default=40, help='kills after which a victim checks itself')
    p.add_argument('-v', action='store_true')
    args = p.parse_args()
    if args.sum:
        score = Score()
        for f in args.sum:
            score.add(f)
    elif args.jobs > 1:
        score = in_parallel(args, sys.argv[1:])
    else:
        score = sweep(args)
    if args.json:
        score.save(args.json)
    if args.part == '0/1':
        report(score)
    return 1 if score.harm else 0


if __name__ == '__main__':
    sys.exit(main())
