# SPDX-License-Identifier: GPL-2.0-or-later
criu-pages_LIBS := hold image proc base pb
criu-pages_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a
