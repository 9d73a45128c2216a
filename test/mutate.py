#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a test fail when a hook is removed? For one folder of lib/kind: in a copy of the sources, one hook after the other
is made to do nothing, the tools are built, and test/kind/KIND.bats must fail. What it does not notice is printed as "not noticed".

A hook is a member of a table of a kind (.late, .finish, ...), a function of such a table, or a function that other folders
call and that returns int or nothing. What checks images and machines is asked for by --only check, with the tests of hostile
and dry runs (--tests test/stage/hostile.bats ...).

    test/mutate.py --build DIR KIND [--tests FILE...] [--only WORD]
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NEEDED = ('name', 'type', 'area', 'match', 'dump', 'open')  # without these nothing would work at all: their functions are tried
FUNCTION = re.compile(r'^(int|void) (\w+)\((?:[^;{]*?)\)\n\{\n', re.M)
STATIC = re.compile(r'^static (int|void) (\w+)\((?:[^;{]*?)\)\n\{\n', re.M)
TABLE = re.compile(r'^(?:static )?const struct \w+ \w+_(?:ops|hook) = \{(.*?)\};', re.M | re.S)


def mutants(text):
    """(name, text with the hook removed) of one source file."""
    inside = ''
    for table in TABLE.finditer(text):
        rest = table.group(1)
        for m in re.finditer(r'\.(\w+) = &?\w+,?', table.group(1)):
            if m.group(1) not in NEEDED:
                at = table.start(1) + m.start()
                rest = rest.replace(m.group(), '')
                yield '.' + m.group(1), text[:at] + text[table.start(1) + m.end():]
        inside += rest
    for pattern in (FUNCTION, STATIC):
        for m in pattern.finditer(text):
            if pattern is STATIC and not re.search(r'\b%s\b' % m.group(2), inside):
                continue
            stub = '\treturn 0;\n' if m.group(1) == 'int' else '\treturn;\n'
            yield m.group(2) + '()', text[:m.end()] + stub + text[m.end():]


def run(argv, cwd, env):
    return subprocess.run(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--build', required=True)
    p.add_argument('--tests', nargs='*')
    p.add_argument('--only', default='')
    p.add_argument('kind')
    a = p.parse_args()
    src, out = os.path.join(a.build, 'src'), os.path.join(a.build, 'out')
    tests = a.tests or ['test/kind/%s.bats' % a.kind]
    env = dict(os.environ, BUILD=out, JOBS='2', SHARED=os.path.join(TOP, '..', 'shared'))
    shutil.rmtree(src, ignore_errors=True)
    for f in subprocess.run(['git', 'ls-files'], cwd=TOP, check=True, capture_output=True, text=True).stdout.split('\n')[:-1]:
        os.makedirs(os.path.dirname(os.path.join(src, f)), exist_ok=True)
        shutil.copy2(os.path.join(TOP, f), os.path.join(src, f), follow_symlinks=False)
    make = ['make', '-s', '-j2', 'O=' + out]

    def tests_pass():
        return run(['test/run', *tests], src, env).returncode == 0

    built = run(make + ['test-programs'], src, env)
    if built.returncode or not tests_pass():
        sys.exit('the tests do not pass as it is: ' + ' '.join(tests) + '\n' + built.stdout[-2000:])
    noticed, missed = 0, []
    folder = os.path.join(src, 'lib/kind', a.kind)
    for name in sorted(n for n in os.listdir(folder) if n.endswith('.c')):
        path = os.path.join(folder, name)
        with open(path, encoding='utf-8') as f:
            text = f.read()
        for hook, changed in mutants(text):
            if a.only not in hook or ('check' in hook and 'check' not in a.only):
                continue
            with open(path, 'w', encoding='utf-8') as f:
                f.write(changed)
            built = run(make, src, env)
            what = 'does not build' if built.returncode else 'not noticed' if tests_pass() else 'noticed'
            print('%-16s lib/kind/%s/%s %s' % (what, a.kind, name, hook), flush=True)
            noticed += what == 'noticed'
            if what == 'not noticed':
                missed.append(hook)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    run(make, src, env)
    print('%d noticed, %d not noticed' % (noticed, len(missed)))
    sys.exit(1 if missed else 0)


main()
