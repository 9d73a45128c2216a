# SPDX-License-Identifier: GPL-2.0-or-later
criu-ns_LIBS := image proc base pb
criu-ns_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a
