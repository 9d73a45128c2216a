# SPDX-License-Identifier: GPL-2.0-or-later
"""holder-fuzz.py SOCKET ROUNDS: wrong and random requests; the holder answers each (or waits, for WAIT) and lives."""
import os
import random
import socket
import struct
import sys

HEAD = struct.Struct("<Ii4Q")
VERBS = {"hello": 1, "wait": 2, "done": 3, "list": 4, "regs": 5, "sigqueue": 6, "scratch": 7, "calls": 8, "seccomp": 9,
         "park": 10, "status": 11, "sealed": 12, "kill": 13, "thaw": 14, "stop": 15, "lease": 16, "many": 17, "regsmany": 18,
         "ours": 19}
EPROTO, EPERM, ESRCH = 71, 1, 3


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(path)
    s.settimeout(20)
    return s


def ask(s, data, wait=True):
    s.send(data)
    if not wait:
        return None
    ans = s.recv(1 << 17)
    assert len(ans) >= 256, len(ans)
    err, length = struct.unpack_from("<iI", ans)
    assert length == len(ans) - 256
    return err, ans[8:256].split(b"\0")[0].decode(), ans[256:]


def request(verb, tid=0, args=(0, 0, 0, 0), payload=b""):
    return HEAD.pack(VERBS[verb], tid, *args) + payload


def shapes(s, root):
    wrong = [b"x", b"x" * 39, HEAD.pack(0, 0, 0, 0, 0, 0), HEAD.pack(99, 0, 0, 0, 0, 0), HEAD.pack(2**32 - 1, -1, 1, 2, 3, 4),
             request("hello", args=(99, 0, 0, 0)), request("wait", args=(2**64 - 1, 0, 0, 0)), request("done"),
             request("calls", root), request("calls", root, payload=b"z" * 63), request("calls", root, payload=b"z" * 64 * 257),
             request("many", payload=b"z" * 15), request("many", payload=struct.pack("<iIii", root, 2, 0, 0) + b"z" * 64),
             request("many", payload=struct.pack("<iIii", root, 2**32 - 1, 0, 0)), request("many", payload=struct.pack("<iIii", root, 0, 0, 0) * 2),
             request("regsmany"), request("regsmany", payload=b"z" * 7), request("regsmany", payload=b"z" * 68),
             request("sigqueue", root, (2, 0, 0, 0)), request("seccomp", root, (2**40, 0, 0, 0)), request("park", args=(1, 0, 0, 0)),
             request("lease"), request("scratch", root, payload=b"zz"), request("list", payload=b"zz")]
    for w in wrong:
        err, text, _ = ask(s, w)
        assert err == EPROTO, (w[:48], err, text)
    for verb in ("regs", "scratch", "calls", "seccomp", "sigqueue", "ours"):
        for tid in (0, -1, 1, os.getpid(), 2**31 - 1):
            err, text, _ = ask(s, request(verb, tid, payload=b"\0" * 64 if verb == "calls" else b""))
            assert err == ESRCH, (verb, tid, err, text)
    assert ask(s, request("kill"))[0] == EPERM


def random_rounds(path, root, rounds):
    rng = random.Random(1)
    safe = [v for n, v in VERBS.items() if n not in ("wait", "done", "sealed", "kill", "thaw", "stop", "calls", "many")]
    s = connect(path)
    for _ in range(rounds):
        verb = rng.choice(safe) if rng.random() < 0.8 else rng.randrange(20, 2**32)
        data = HEAD.pack(verb, rng.choice([root, 0, -1, rng.randrange(2**31)]),
                         *[rng.choice([0, 1, 2, 5, 2**31, 2**64 - 1, rng.randrange(2**64)]) for _ in range(4)])
        data += rng.randbytes(rng.choice([0, 0, 1, 4, 16, 64, 640, 4096, 65000]))
        ask(s, data[:rng.randrange(1, len(data) + 1)] if rng.random() < 0.2 else data)
        if rng.random() < 0.02:
            s.close()
            s = connect(path)
    s.close()


def clients(path):
    many = [connect(path) for _ in range(100)]  # more than there is room for
    for s in many:
        s.close()
    s = connect(path)
    for _ in range(200):  # who does not read its answers
        try:
            s.send(request("list"), socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
    s.close()


def main():
    path, rounds = sys.argv[1], int(sys.argv[2])
    s = connect(path)
    err, _, ans = ask(s, request("hello"))
    assert err == 0
    root = struct.unpack_from("<Iii", ans)[2]
    shapes(s, root)
    random_rounds(path, root, rounds)
    clients(path)
    err, _, ans = ask(s, request("status"))
    assert err == 0 and struct.unpack_from("<II", ans, len(ans) - 32)[0] == 1
    print("ok")


main()
