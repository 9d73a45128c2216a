#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""crit-verify.py CRIT SHARED [RANDOM]: change copies of good image sets and compare crit verify with ../shared/tools/imgcheck.

For each change: what imgcheck calls an error, crit calls an error, in the same file; what imgcheck takes without a word, crit
takes too, but for what crit checks in addition (EXTRA). RANDOM: how many changes at random (default 250), the same in each run.
"""
import collections
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
CRIT, SHARED = sys.argv[1:3]
RANDOM = int(sys.argv[3]) if len(sys.argv) > 3 else 250
TOOLS = os.path.join(SHARED, 'tools')
SETS = os.path.join(SHARED, 'fixtures', 'criu-4.2')
sys.path.insert(0, TOOLS)


def load_script(name):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(TOOLS, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


imgcheck = load_script('imgcheck')
import imgcheck_test  # noqa: E402

# What a restore of ours refuses and imgcheck does not look at: values of single messages (lib/common/image/image-valid-*.c), trees of
# processes that cannot be (plan-tree.c there), fields of another wire type, the end of archives. Such findings may stand alone.
EXTRA = re.compile(r'^fd \d+$|nanoseconds|is no pid|its own parent|is above its maximum|numbers in sem_ctls|does not decode|is no gzip tar|'
                   r'groups|is too long|port \d|name of \d+ bytes|file handle|control characters|window scale|lock of pid|semaphores in|'
                   r'larger than|pages at|chunk of|memfd of|longer than|extents|a number and a string|words of auxiliary|'
                   r'zero is none|is a zombie|in another session|leads its session|led from inside|no leader|depends on itself|'
                   r'older than its own|pid namespace|queued signal|without a filter|do not end')


def theirs(path):
    return [(f['level'], f['file'], f['problem']) for f in imgcheck.Check(path).run()]


def ours(path):
    got = subprocess.run([CRIT, 'verify', '--json', path], capture_output=True, timeout=60)
    if got.returncode not in (0, 2) or got.stderr:
        raise RuntimeError(f'crit verify: exit {got.returncode}: {got.stderr.decode()}')
    found = [(f['level'], f['file'], f['problem']) for f in json.loads(got.stdout) if f['dir'] == path]
    if got.returncode == 0 and any(f[0] == 'error' for f in found):
        raise RuntimeError('errors, but exit status 0')
    return found


def compare(path):
    """What is wrong with crit's findings, as a list of lines."""
    a, b = theirs(path), ours(path)
    out = []
    files_a, files_b = ({f[1] for f in x if f[0] == 'error'} for x in (a, b))
    if files_a and not files_b:
        out.append('crit finds no error')
    # Of an image that it cannot decode imgcheck forgets the rest; crit goes on, so it has fewer things to miss elsewhere.
    broken = {f[1] for f in a if re.search('does not decode|is cut short', f[2])}
    out += [f'crit finds no error in {f}' for f in sorted((broken or files_a) - files_b) if files_b]
    if not files_a:
        out += [f'only crit says: {f[1]}: {f[2]}' for f in b if f[0] == 'error' and not EXTRA.search(f[2])]
    if [f for f in a if f[0] == 'warning'] and not b:
        out.append('crit has no warning')
    return out + [f'    imgcheck: {f}' for f in a] + [f'    crit: {f}' for f in b] if out else []


class Driver:
    def __init__(self, tmp):
        self.img, self.bad, self.count = tmp + '/img', 0, collections.Counter()

    def fresh(self, case):
        shutil.rmtree(self.img, ignore_errors=True)
        shutil.copytree(f'{SETS}/{case}/img', self.img)

    def check(self, what, path=None):
        self.count[what.split(':')[0]] += 1
        lines = compare(path or self.img)
        if lines:
            self.bad += 1
            print('\n'.join([f'{what}:'] + lines))

    def fixtures(self):
        for case in sorted(os.listdir(SETS)):
            if os.path.isdir(f'{SETS}/{case}/img'):
                self.fresh(case)
                self.check(f'fixture: {case}')

    def table(self):
        for case, name, mutate, want in imgcheck_test.MUTATIONS:
            self.fresh(case)
            mutate(f'{self.img}/{name}')
            self.check(f'table: {case}/{name}: {want}')
        for case, name, mutate in imgcheck_test.STILL_GOOD:
            if name == 'manifest.json':  # imgcheck does not read it
                continue
            self.fresh(case)
            mutate(f'{self.img}/{name}')
            self.check(f'good: {case}/{name}')

    def parents(self, tmp):
        for img, want in imgcheck_test.parent_sets(tmp):
            self.check(f'parent: {want}', img)

    def at_random(self, count):
        rng = random.Random(4)
        names = [(c, n) for c in sorted(os.listdir(SETS)) if os.path.isdir(f'{SETS}/{c}/img')
                 for n in sorted(os.listdir(f'{SETS}/{c}/img'))]
        for k in range(count):
            case, name = rng.choice(names)
            self.fresh(case)
            kind = rng.choice((self.bytes, self.fields, self.fields, self.fields, self.fields))
            what = kind(rng, f'{self.img}/{name}')
            if what:
                self.check(f'random: {k}: {case}/{name}: {what}')

    @staticmethod
    def bytes(rng, path):
        size = os.path.getsize(path)
        if not size or 'pages-' in path:
            return None
        pos, value = rng.randrange(size), rng.randrange(256)
        if rng.random() < 0.2:
            os.truncate(path, pos)
            return f'cut at {pos}'
        with open(path, 'r+b') as f:
            f.seek(pos)
            f.write(bytes([value]))
        return f'byte {pos} = {value}'

    def fields(self, rng, path):
        """Another value for one field of one message, however deep; or without it."""
        if not imgcheck_test.find_type(os.path.basename(path)):
            return None
        image = imgcheck_test.load(path)
        if not image.entries or image.row[3] == 'raw' or image.kind == 'ipcns-msg':
            return None
        messages = image.messages()
        number = rng.randrange(len(messages))
        what = self.change(rng, messages[number])
        if what:
            imgcheck_test.store(path, image, messages)
        return what and f'entry {number}: {what}'

    def change(self, rng, msg):
        fields = msg.ListFields()
        if not fields:
            return None
        desc, value = rng.choice(fields)
        name = desc.name
        if rng.random() < 0.1:
            msg.ClearField(name)
            return f'no {name}'
        if desc.message_type:
            inner = rng.choice(list(value)) if hasattr(value, 'append') or hasattr(value, 'add') else value
            return f'{name}.{self.change(rng, inner)}'
        new = rng.choice((0, 1, 2, 5, 99, 4096, 2**31 - 1))
        if isinstance(value, bool):
            setattr(msg, name, not value)
        elif isinstance(value, int):
            setattr(msg, name, rng.choice((new, value + 1, max(value - 1, 0))) % 2**31)
        elif isinstance(value, bytes):
            setattr(msg, name, rng.choice((b'', value[1:], value + b'x')))
        elif rng.random() < 0.5:
            del value[rng.randrange(len(value))]
        else:
            value.append(value[0])
        return name

    def long_number(self):
        """Another encoding of the same: a warning."""
        self.fresh('counter')
        path = self.img + '/fs-24010.img'
        data = open(path, 'rb').read()
        assert data[12] == 8 and data[13] < 128
        with open(path, 'wb') as f:
            f.write(data[:8] + struct.pack('<I', len(data) - 11) + data[12:13] + bytes([data[13] | 0x80, 0]) + data[14:])
        self.check('encoding: a number of two bytes')


def main():
    with tempfile.TemporaryDirectory() as tmp:
        d = Driver(tmp)
        d.fixtures()
        d.table()
        d.parents(tmp)
        d.long_number()
        d.at_random(RANDOM)
        print(f'{sum(d.count.values())} sets ({", ".join(f"{n} {k}" for k, n in d.count.items())}), {d.bad} differences')
    return int(d.bad > 0)


sys.exit(main())
