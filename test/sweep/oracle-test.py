# SPDX-License-Identifier: GPL-2.0-or-later
"""oracle-test.py VICTIM: does the oracle of kill.py see harm? Each kind of harm is done to a process; each must be told."""
import ctypes
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kill  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)
SEIZE = 0x4206
FREEZE = kill.BIN + 'criu-freeze'


def told(what, check):
    """The check must raise Harm within its time."""
    try:
        check()
    except kill.Harm as e:
        print('ok %s: %s' % (what, str(e)[:100]))
        return True
    print('not ok %s: not seen' % what)
    return False


def call(scene, *args):
    """Let the task make a system call, as a faulty tool might."""
    scene.run(FREEZE, 'exec', '-t', str(scene.root), '-D', scene.img, '-W', scene.work, *args)


def main():
    top = tempfile.mkdtemp(prefix='criu-sweep.')
    os.chmod(top, 0o755)
    scene = kill.Scene(kill.victim('test', [sys.argv[1]]), top, random.Random(1), False)
    good = True
    try:
        scene.start()
        scene.runs()
        scene.compare(False)
        call(scene, 'mmap', '0', '65536', '3', '34', '-1', '0')
        good &= told('a mapping', lambda: scene.compare(False))
        scene.base = kill.look(scene.root, True)[0]
        call(scene, 'dup', '1')
        good &= told('a descriptor', lambda: scene.compare(False))
        scene.base = kill.look(scene.root, True)[0]
        good &= told('a dead tree without a seal', lambda: dead(scene))
        scene.start()
        libc.ptrace(SEIZE, scene.root, None, None)
        good &= told('a task that is traced', lambda: scene.runs())
    finally:
        scene.end()
        time.sleep(0.1)
        shutil.rmtree(top, ignore_errors=True)
    return 0 if good else 1


def dead(scene):
    os.kill(scene.root, signal.SIGKILL)
    kill.unless(5, 'it lives', lambda: not kill.alive(scene.root))
    scene.after('dump', 'killed criu')


if __name__ == '__main__':
    sys.exit(main())
