#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check-pages.py CRIT IMG PID: compares pagemap-PID.img and its pages with the memory of the held task PID.

Every page in the image must hold what /proc/PID/mem holds, and every page of anonymous memory that /proc/PID/pagemap shows in a
private mapping of mm-PID.img must be in the image (or be all zeros: the zero page cannot be told from outside).

Where there are core-*.img, criu-parasite has had the threads make calls, perhaps while the pages were read. So what then changes
for a program without its noticing may differ: the rseq area, where the kernel writes the processor's number whenever it has moved
a thread to another one, and what lies below the stack pointer.
"""
import glob
import json
import os
import struct
import subprocess
import sys

PAGE, RED_ZONE = 4096, 256
PRESENT, SWAP, FILE = 1 << 63, 1 << 62, 1 << 61


def decode(crit, path):
    out = subprocess.run([crit, "decode", "-i", path], check=True, capture_output=True)
    return json.loads(out.stdout)["entries"]


def holes_of(crit, img, vmas):
    for path in glob.glob(f"{img}/core-*.img"):
        core = decode(crit, path)[0]
        rseq = core["thread_core"].get("rseq_entry")
        if rseq:
            yield rseq["rseq_abi_pointer"], rseq["rseq_abi_pointer"] + rseq["rseq_abi_size"]
        sp = core["thread_info"]["gpregs"]["sp"]
        for v in vmas:
            if v["start"] <= sp < v["end"]:
                yield v["start"], sp - RED_ZONE


def same(here, there, at, holes):
    """Two pages at address @at, but for what lies in @holes."""
    return here == there or all(
        a == b or any(start <= at + i < end for start, end in holes) for i, (a, b) in enumerate(zip(here, there))
    )


def main():
    crit, img, pid = sys.argv[1:4]
    head, *entries = decode(crit, f"{img}/pagemap-{pid}.img")
    mm = decode(crit, f"{img}/mm-{pid}.img")[0]
    mem = open(f"/proc/{pid}/mem", "rb", buffering=0)
    pagemap = open(f"/proc/{pid}/pagemap", "rb", buffering=0)
    pages = open(f"{img}/pages-{head['pages_id']}.img", "rb")
    have, last, total = set(), 0, 0
    holes = list(holes_of(crit, img, mm["vmas"]))

    for e in entries:
        assert e["vaddr"] >= last, "entries are not in order"
        assert e["nr_pages"] == e["compat_nr_pages"] > 0, "the two counts differ"
        assert e["flags"] & 4, "an entry is not present"
        last = e["vaddr"] + e["nr_pages"] * PAGE
        for at in range(e["vaddr"], last, PAGE):
            got = pages.read(PAGE)
            if not same(os.pread(mem.fileno(), PAGE, at), got, at, holes):
                sys.exit(f"page {at:#x} differs")
            have.add(at)
            total += 1
    assert not pages.read(1), "the pages file is longer than its pagemap"

    for v in mm["vmas"]:
        status = v["status"]
        guard = status & 1 << 16
        private = status & (1 << 6 | 1 << 9) and not status & (1 << 2 | 1 << 3 | 1 << 12)
        for at in range(v["start"], v["end"], PAGE) if private and not guard else ():
            word = struct.unpack("Q", os.pread(pagemap.fileno(), 8, at // PAGE * 8))[0]
            if not word & (PRESENT | SWAP) or word & FILE or at in have:
                continue
            if any(g["start"] <= at < g["end"] for g in mm["vmas"] if g["status"] & 1 << 16):
                continue
            if os.pread(mem.fileno(), PAGE, at).strip(b"\0"):
                sys.exit(f"page {at:#x} is missing")
    print(total)


main()
