# SPDX-License-Identifier: GPL-2.0-or-later
"""A program with state: threads, a large dict, files open for append, timers. Lines "ok NAME" or "FAIL NAME" when told to check itself."""
import hashlib
import os
import signal
import sys
import threading
import time


def digest(d):
    h = hashlib.sha256()
    for k in sorted(d):
        h.update(b'%d=%s;' % (k, d[k]))
    return h.hexdigest()


def say(text):
    os.write(1, (text + '\n').encode())


ticks = [0]
signal.signal(signal.SIGALRM, lambda *_: ticks.__setitem__(0, ticks[0] + 1))
data = {i * 7: hashlib.md5(b'%d' % i).hexdigest().encode() for i in range(200000)}
before = digest(data)
seq = open('seq.txt', 'a')
stop = threading.Event()
late = threading.Event()
lines = [0] * 4


def writer(number):
    with open('thread-%d.txt' % number, 'a') as f:
        while not stop.is_set():
            lines[number] += 1
            print(lines[number], file=f, flush=True)
            time.sleep(0.003 * (number + 1))


def count():
    n = 0
    while not stop.is_set():
        n += 1
        seq.write('%d\n' % n)
        seq.flush()
        time.sleep(0.002)
    say('fact seq %d' % n)


threads = [threading.Thread(target=writer, args=(i,)) for i in range(4)] + [threading.Thread(target=count)]
for t in threads:
    t.start()
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
threading.Timer(1.5, late.set).start()
say('ready')
while not os.path.exists('go'):
    time.sleep(0.01)


def check(name, good):
    say(('ok ' if good else 'FAIL ') + name)


check('dict', digest(data) == before)
now = ticks[0]
time.sleep(0.3)
check('itimer', ticks[0] > now)
check('timer-thread', late.wait(5))
stop.set()
for t in threads:
    t.join()
for i in range(4):
    check('thread-%d' % i, [int(x) for x in open('thread-%d.txt' % i)] == list(range(1, lines[i] + 1)))
say('done')
sys.exit(0)
