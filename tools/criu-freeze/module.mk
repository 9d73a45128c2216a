# SPDX-License-Identifier: GPL-2.0-or-later
criu-freeze_LIBS := kind-image hold trace image proc base pb
criu-freeze_LDLIBS := -lprotobuf-c -ljansson
