# SPDX-License-Identifier: GPL-2.0-or-later
criu-check_LIBS := image proc base pb
criu-check_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a
