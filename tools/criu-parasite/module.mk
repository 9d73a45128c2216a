# SPDX-License-Identifier: GPL-2.0-or-later
criu-parasite_LIBS := kind-dump kind-image hold image proc base pb
criu-parasite_LDLIBS := -l:libprotobuf-c.a -l:libjansson.a
