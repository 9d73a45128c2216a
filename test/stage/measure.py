#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""measure.py FILE CMD...: run a command without its output; seconds and KiB of memory to FILE, its exit status."""
import resource
import subprocess
import sys
import time

begin = time.monotonic()
status = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL).returncode
with open(sys.argv[1], 'w') as f:
    print(f'{time.monotonic() - begin:.2f} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}', file=f)
sys.exit(status)
