# SPDX-License-Identifier: GPL-2.0-or-later
"""A database that is written all the time: transactions that keep a sum, by two connections; at "go" the integrity is checked."""
import os
import sqlite3
import threading
import time


def say(text):
    os.write(1, (text + '\n').encode())


def connect():
    # Locks by fcntl(2) are refused yet, so that sqlite locks by a file here.
    db = sqlite3.connect('file:db?vfs=unix-dotfile', uri=True, timeout=20, isolation_level=None)
    db.execute('PRAGMA synchronous=OFF')
    return db


def writer(n):
    db, i = connect(), 0
    while not stop:
        i += 1
        try:
            db.execute('BEGIN IMMEDIATE')
            db.execute('UPDATE account SET sum = sum - ? WHERE id = ?', (i % 7, n))
            db.execute('UPDATE account SET sum = sum + ? WHERE id = ?', (i % 7, 1 - n))
            db.execute('INSERT INTO log VALUES (?, ?)', (n, i))
            db.execute('COMMIT')
        except Exception as e:  # no call may fail
            errors.append('%d: %r' % (n, e))
            return
        if i % 50 == 0:
            db.execute('DELETE FROM log WHERE i < ?', (i - 100,))
        time.sleep(0.004)
    done[n] = i


stop, errors, done = False, [], {}
if os.path.exists('db'):
    os.unlink('db')
main = connect()
main.execute('CREATE TABLE account (id INTEGER PRIMARY KEY, sum INTEGER)')
main.execute('CREATE TABLE log (n INTEGER, i INTEGER)')
main.execute('INSERT INTO account VALUES (0, 5000), (1, 5000)')
threads = [threading.Thread(target=writer, args=(n,)) for n in (0, 1)]
for t in threads:
    t.start()
time.sleep(0.05)
say('ready')
while not os.path.exists('go'):
    time.sleep(0.01)
stop = True
for t in threads:
    t.join()
say('FAIL errors: %s' % errors if errors else 'ok no errors')
total = main.execute('SELECT sum(sum) FROM account').fetchone()[0]
whole = main.execute('PRAGMA integrity_check').fetchone()[0]
last = dict(main.execute('SELECT n, max(i) FROM log GROUP BY n'))
say('ok sum' if total == 10000 else 'FAIL sum: %d' % total)
say('ok integrity' if whole == 'ok' else 'FAIL integrity: %s' % whole)
say('ok last rows' if last == done else 'FAIL last rows: %s, not %s' % (last, done))
say('done')
