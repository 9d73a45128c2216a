# SPDX-License-Identifier: GPL-2.0-or-later
criu-collect_LIBS := kind-dump kind-image hold image proc base pb
criu-collect_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a -l:libnl-3.a -lpthread
