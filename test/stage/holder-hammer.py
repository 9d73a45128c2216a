# SPDX-License-Identifier: GPL-2.0-or-later
"""holder-hammer.py SOCKET: harmless calls in all threads, again and again, until the holder is gone."""
import socket
import struct
import sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
tasks, at = [], 0
while True:
    s.send(struct.pack("<Ii4Q", 4, 0, at, 0, 0, 0))
    rows = list(struct.iter_unpack("<iiiBBH", s.recv(1 << 17)[256:]))
    if not rows:
        break
    tasks += [r[0] for r in rows if r[3] < 2]
    at += len(rows)
print("up", flush=True)
calls = b"".join(struct.pack("<q6Qq", 39 if i & 1 else 186, 0, 0, 0, 0, 0, 0, 0) for i in range(20))
while True:
    for i in range(0, len(tasks), 32):
        many = b"".join(struct.pack("<iIii", t, 20, 0, 0) + calls for t in tasks[i:i + 32])
        s.send(struct.pack("<Ii4Q", 17, 0, 0, 0, 0, 0) + many)
        if not s.recv(1 << 17):
            sys.exit(0)
