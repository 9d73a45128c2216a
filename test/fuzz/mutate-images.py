#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Damage whole image directories and let the tools look at them (doc/fuzzing.md).

    mutate-images.py --bin DIR [--count N] [--seed N] IMAGES...

DIR has crit and criu-restore, built with sanitizers. Each of the N directories is a copy of one of IMAGES with one to four
changes; all commands of COMMANDS run on it. A command must end by itself within 60 s with one of the exit codes of doc/, must
not take more than 400 MiB (AddressSanitizer's own included) and must leave the directory, its neighbour and its working
directory as they were; all but these is mounted read-only. What fails is told with the seed that makes it again.
"""
import argparse
import ctypes
import hashlib
import os
import random
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time

MEMORY_MIB = 400
TIMEOUT_S = 60
SANITIZER = 99  # their exit code
COMMON, SERVICE = 0x54564319, 0x55105940
EDGES = [0, 1, 2, 127, 128, 255, 4095, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]

# {d}: the directory, {o}: the one it was made from, {f}: a changed file in it, {out}: where output may go, {pid}: a task.
COMMANDS = [
    ["crit", "verify", "{d}"],
    ["crit", "verify", "--json", "{d}"],
    ["crit", "show", "{d}"],
    ["crit", "show", "{f}"],
    ["crit", "info", "{f}"],
    ["crit", "decode", "-i", "{f}", "-o", "{out}/json"],
    ["crit", "x", "{d}", "ps"],
    ["crit", "x", "{d}", "fds"],
    ["crit", "x", "{d}", "mems"],
    ["crit", "x", "{d}", "rss"],
    ["crit", "x", "{d}", "sk"],
    ["crit", "x", "--json", "{d}", "mems"],
    ["crit", "core", "-o", "{out}/core", "{d}", "{pid}"],
    ["crit", "diff", "{o}", "{d}"],
    ["crit", "diff", "--fields", "{d}", "{o}"],
    ["crit", "edit", "-n", "{d}", "--rename-path", "/usr=/opt"],
    ["criu-restore", "-D", "{d}", "--plan"],
    ["criu-restore", "-D", "{d}", "--plan", "--json"],
    ["criu-restore", "-D", "{d}", "--check-only"],
]
CODES = {0, 1, 2, 111}


# ---- framing: enough of the format to damage it well ----
def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def read_varint(b, at):
    v = shift = 0
    while at < len(b) and shift < 70:
        v |= (b[at] & 127) << shift
        shift += 7
        at += 1
        if not b[at - 1] & 128:
            return v, at
    raise ValueError


def fields(b):
    """[(key, value, start of the value, end)], value: int or bytes. ValueError: no message."""
    out, at = [], 0
    while at < len(b):
        start = at
        key, at = read_varint(b, at)
        kind = key & 7
        if kind == 0:
            v, at = read_varint(b, at)
        elif kind == 1:
            v, at = b[at:at + 8], at + 8
        elif kind == 5:
            v, at = b[at:at + 4], at + 4
        elif kind == 2:
            n, at = read_varint(b, at)
            v, at = b[at:at + n], at + n
        else:
            raise ValueError
        if at > len(b) or not key >> 3:
            raise ValueError
        out.append((key, v, start, at))
    return out


def entries(b):
    """Where entries begin, and how long they are; payloads break the row off."""
    at = 8 if b[:4] in (struct.pack("<I", COMMON), struct.pack("<I", SERVICE)) else 4
    out = []
    while at + 4 <= len(b):
        n = struct.unpack_from("<I", b, at)[0]
        if n > len(b) - at - 4:
            break
        out.append((at, n))
        at += 4 + n
    return out


def change_message(r, m, depth=0):
    try:
        fs = fields(m)
    except ValueError:
        fs = []
    if not fs:
        return flip(r, m)
    key, v, start, end = r.choice(fs)
    what = r.randrange(8)
    if what == 0:
        return m[:start] + m[end:]
    if what == 1:
        return m[:end] + m[start:end] + m[end:]
    if isinstance(v, int):
        new = varint(key) + varint(r.choice(EDGES + [v + 1, v - 1 & 2**64 - 1, v ^ 1 << r.randrange(64)]))
    elif key & 7 != 2:
        new = varint(key) + flip(r, v)
    else:
        v = change_message(r, v, depth + 1) if depth < 6 and r.random() < .8 else change_bytes(r, v)
        new = varint(key) + varint(len(v)) + v
    return m[:start] + new + m[end:]


def flip(r, b):
    b = bytearray(b)
    for _ in range(r.choice([1, 1, 2, 8])):
        if b:
            b[r.randrange(len(b))] ^= 1 << r.randrange(8)
    return bytes(b)


def change_bytes(r, b):
    return r.choice([b"", flip(r, b), b * 2, b"A" * r.choice([255, 4096, 70000]), b"../../../../etc/passwd", b[:len(b) // 2], b + b"\0x"])


# ---- what is done to a file: bytes to bytes ----
def do_flip(r, b):
    return flip(r, b)


def do_cut(r, b):
    return b[:r.randrange(len(b) + 1)]


def do_cut_entry(r, b):
    e = entries(b)
    return b[:r.choice(e)[0]] if e else b[:4]


def do_length(r, b):
    e = entries(b)
    if not e:
        return flip(r, b)
    at, n = r.choice(e)
    return b[:at] + struct.pack("<I", r.choice([0, 1, n + 1, max(n, 1) - 1, 2**31, 2**32 - 1, 64 << 20, (64 << 20) + 1, len(b)])) + b[at + 4:]


def do_field(r, b):
    e = entries(b)
    if not e:
        return flip(r, b)
    at, n = r.choice(e)
    m = b[at + 4:at + 4 + n]
    for _ in range(r.choice([1, 1, 1, 3])):
        m = change_message(r, m)
    return b[:at] + struct.pack("<I", len(m)) + m + b[at + 4 + n:]


def do_entries(r, b):
    e = entries(b)
    if not e:
        return b + b
    at, n = r.choice(e)
    one = b[at:at + 4 + n]
    return b[:at] + one * r.choice([0, 2, 2, 1000]) + b[at + 4 + n:]


def do_append(r, b):
    return b + r.choice([b"\0", b"\0" * 4096, bytes(r.randrange(256) for _ in range(100)), b[:100]])


def do_empty(r, b):
    return b""


def do_json(r, b):
    words = [b"null", b"-1", b"1e999", b"18446744073709551616", b"[" * 3000, b'"\\u0000"', b'"\xff"', b"{}", b"[]", b"9" * 400, b'"../../etc/passwd"']
    at = [i for i, c in enumerate(b) if c in b":,["]
    if not at:
        return flip(r, b)
    i = r.choice(at) + 1
    end = i
    while end < len(b) and b[end] not in b",]}":
        end += 1
    return b[:i] + r.choice(words) + b[end:]


BYTES = [do_flip, do_cut, do_cut_entry, do_length, do_length, do_field, do_field, do_field, do_field, do_entries, do_append, do_empty]


# ---- what is done to a directory ----
def as_link(r, d, name):
    os.unlink(f"{d}/{name}")
    os.symlink(r.choice([name, "../outside/secret", "/etc/passwd", "/proc/self/mem", "/dev/zero", "..", "/", r.choice(os.listdir(d) or ["x"])]),
               f"{d}/{name}")


def as_fifo(r, d, name):
    os.unlink(f"{d}/{name}")
    os.mkfifo(f"{d}/{name}")


def as_directory(r, d, name):
    os.unlink(f"{d}/{name}")
    os.mkdir(f"{d}/{name}")


def as_socket(r, d, name):
    os.unlink(f"{d}/{name}")
    os.mknod(f"{d}/{name}", stat.S_IFSOCK | 0o600)


def as_sparse(r, d, name):
    os.truncate(f"{d}/{name}", r.choice([1 << 20, 1 << 30, 1 << 40]))


def as_hollow(r, d, name):
    """Nothing but zeros behind the head."""
    os.truncate(f"{d}/{name}", r.choice([8, 12, 60]))
    os.truncate(f"{d}/{name}", 1 << 40)


def deleted(r, d, name):
    os.unlink(f"{d}/{name}")


def swapped(r, d, name):
    other = r.choice(regular(d))
    os.rename(f"{d}/{name}", f"{d}/.swap")
    if other != name:
        os.rename(f"{d}/{other}", f"{d}/{name}")
    os.rename(f"{d}/.swap", f"{d}/{other}")


def renamed(r, d, name):
    base = "".join(c for c in name if not c.isdigit())
    new = r.choice([name.replace("-", "-0", 1), base, base.replace("-.", "-4294967296."), base.replace("-.", "-1."), "core-1.img", "pages-1.img", "\x1b[2J.img"])
    if not os.path.lexists(f"{d}/{new}"):
        os.rename(f"{d}/{name}", f"{d}/{new}")


def doubled(r, d, name):
    base = "".join(c for c in name if not c.isdigit())
    for i in r.choice([[2], [1, 2, 3], range(1000, 1200)]):
        new = base.replace("-.", f"-{i}.")
        if not os.path.lexists(f"{d}/{new}"):
            shutil.copy(f"{d}/{name}", f"{d}/{new}")


def parent(r, d, name):
    if not os.path.lexists(f"{d}/parent"):
        os.symlink(r.choice([".", "..", "parent", "../outside", "/", "/proc/self", "/dev/zero", name]), f"{d}/parent")


NODES = [as_link, as_link, as_fifo, as_directory, as_socket, as_sparse, as_hollow, deleted, deleted, swapped, renamed, doubled, parent]


def regular(d):
    return sorted(n for n in os.listdir(d) if stat.S_ISREG(os.lstat(f"{d}/{n}").st_mode))


def mutate(r, d):
    """Return: [(what, file)]"""
    done = []
    for _ in range(r.choice([1, 1, 1, 2, 2, 4])):
        names = regular(d)
        if not names:
            break
        small = [n for n in names if os.stat(f"{d}/{n}").st_size < 1 << 20]
        name = r.choice(names)
        if r.random() < .35 or name not in small:
            op = r.choice(NODES)
            op(r, d, name)
        else:
            op = do_json if name.endswith(".json") and r.random() < .7 else r.choice(BYTES)
            with open(f"{d}/{name}", "rb") as f:
                b = f.read()
            b = op(r, b)
            with open(f"{d}/{name}", "wb") as f:
                f.write(b)
        done.append((op.__name__, name))
    return done


# ---- running ----
def snapshot(*dirs):
    out = {}
    for top in dirs:
        for path, subdirs, files in os.walk(top):
            for n in subdirs + files:
                p = f"{path}/{n}"
                st = os.lstat(p)
                out[p] = (st.st_mode, st.st_size, st.st_mtime_ns, st.st_ino)
    return out


def private_mounts(work):
    """A mount namespace where all is read-only but @work, a new tmpfs, and what the kernel makes."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(what, *args):
        if libc.mount(*args) != 0:
            sys.exit(f"mutate-images: {what}: {os.strerror(ctypes.get_errno())}")

    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        sys.exit(f"mutate-images: unshare: {os.strerror(ctypes.get_errno())}")
    mount("private", None, b"/", None, 0x40000 | 0x4000, None)  # MS_PRIVATE | MS_REC
    mount("tmpfs", b"tmpfs", work.encode(), b"tmpfs", 0, b"size=2g,mode=700")
    attr = struct.pack("<QQQQ", 1, 0, 0, 0)  # MOUNT_ATTR_RDONLY
    for line in open("/proc/self/mountinfo"):
        point = line.split()[4].encode().decode("unicode_escape")
        if point == work or point.split("/")[1] in ("proc", "dev"):
            continue
        libc.syscall(442, -100, point.encode(), 0, attr, len(attr))  # mount_setattr
    return work


def limits():
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20, 256 << 20))


def run(argv, cwd, env):
    """Return: (exit code or -signal, MiB, output, timed out)"""
    with tempfile.TemporaryFile(dir=cwd + "/../tmp") as out:
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, env=env, preexec_fn=limits,
                             restore_signals=False)  # SIGXFSZ stays ignored
        late = False
        end = time.monotonic() + TIMEOUT_S
        while True:
            pid, status, usage = os.wait4(p.pid, os.WNOHANG)
            if pid:
                break
            if not late and time.monotonic() > end:
                late = True
                os.kill(p.pid, signal.SIGKILL)
            time.sleep(.002)
        p.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return p.returncode, usage.ru_maxrss // 1024, out.read(1 << 20), late


def judge(code, mib, late):
    if late:
        return f"did not end in {TIMEOUT_S} s"
    if code not in CODES:
        return f"exit status {code}"
    if mib > MEMORY_MIB:
        return f"took {mib} MiB"
    return None


def pids(d):
    out = [n[5:-4] for n in os.listdir(d) if n.startswith("core-") and n[5:-4].isdigit()]
    return sorted(out) or ["1"]


class Sweep:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.failures = self.runs = self.most = 0
        self.codes = {}
        for n in "img", "cwd", "out", "tmp", "outside":
            os.mkdir(f"{work}/{n}")
        with open(f"{work}/outside/secret", "w") as f:
            f.write("not to be touched\n")
        self.sources = []
        for i, path in enumerate(args.images):
            shutil.copytree(path, f"{work}/from{i}", symlinks=True)
            self.sources.append(f"{work}/from{i}")
        self.env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "CRIU_CONFIG_FILE": "",
                    "ASAN_OPTIONS": f"exitcode={SANITIZER}:detect_leaks=0:quarantine_size_mb=8:hard_rss_limit_mb=2000:allocator_may_return_null=1",
                    "UBSAN_OPTIONS": f"exitcode={SANITIZER}:print_stacktrace=1"}

    def fail(self, seed, done, argv, why, output):
        self.failures += 1
        text = " ".join(argv).replace(self.work, "")
        print(f"# seed {seed}: {done}\n#   {text}: {why}", flush=True)
        for line in output.decode(errors="replace").splitlines()[-25:]:
            print("#     " + line[:160], flush=True)

    def one(self, seed):
        r = random.Random(seed)
        source = r.choice(self.sources)
        d = f"{self.work}/img/d"
        shutil.rmtree(d, ignore_errors=True)
        shutil.copytree(source, d, symlinks=True)
        done = mutate(r, d)
        names = [n for _, n in done if os.path.lexists(f"{d}/{n}")] or sorted(os.listdir(d))[:1] or ["none"]
        watched = [f"{self.work}/{n}" for n in ("img", "cwd", "outside")] + self.sources
        before = snapshot(*watched)
        for command in COMMANDS:
            f = r.choice(names)
            argv = [a.format(d=d, o=source, f=f"{d}/{f}", out=f"{self.work}/out", pid=r.choice(pids(source))) for a in command]
            argv[0] = f"{self.args.bin}/{argv[0]}"
            # It sums all files, as large as they are.
            if command[1] == "edit" and any(op in ("as_sparse", "as_hollow") for op, _ in done):
                continue
            # Reading a device or an endless file to its end is what was asked for.
            if command[-1].startswith("{f}") or "{f}" in command:
                if not stat.S_ISREG(os.stat(f"{d}/{f}").st_mode if os.path.exists(f"{d}/{f}") else 0):
                    continue
            code, mib, output, late = run(argv, f"{self.work}/cwd", self.env)
            self.runs += 1
            self.codes[code] = self.codes.get(code, 0) + 1
            self.most = max(self.most, mib)
            why = judge(code, mib, late)
            after = snapshot(*watched)
            if command[1] == "edit":  # it makes its copies in a directory of its own beside the images
                after[d] = before[d]
            if not why and after != before:
                why = f"changed {sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))[:4]}"
            before = after if command[1] != "edit" else snapshot(*watched)
            if why:
                self.fail(seed, done, argv, why, output)
        shutil.rmtree(f"{self.work}/out")
        os.mkdir(f"{self.work}/out")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", required=True)
    p.add_argument("--count", type=int, default=100)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("images", nargs="+")
    args = p.parse_args()
    args.bin = os.path.abspath(args.bin)
    work = tempfile.mkdtemp(prefix="criu-mutate.")
    child = os.fork()
    if child == 0:
        private_mounts(work)
        sweep = Sweep(args, work)
        for seed in range(args.seed, args.seed + args.count):
            sweep.one(seed)
        codes = ", ".join(f"{n} with {c}" for c, n in sorted(sweep.codes.items()))
        print(f"{args.count} directories, {sweep.runs} runs ({codes}), at most {sweep.most} MiB, {sweep.failures} failures", flush=True)
        os._exit(1 if sweep.failures else 0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.rmdir(work)  # what was mounted there is gone with the child
    sys.exit(status)


if __name__ == "__main__":
    main()
