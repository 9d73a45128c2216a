# SPDX-License-Identifier: GPL-2.0-or-later
criu-collect_LIBS := kind-dump kind-image hold image proc base pb
# libnl can resolve names, which a static program could not: nobody here asks it to, so the linker need not warn.
criu-collect_LDLIBS := -Wl,--no-warnings -l:libprotobuf-c.a -l:libjansson.a -l:libnl-3.a -lpthread
