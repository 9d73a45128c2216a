# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
# What the tests of crit share: the program, and copies of CRIU's images.
CRIT=$BIN/crit
FIXTURES=$SHARED/fixtures/criu-4.2

requires_fixtures()
{
	[ -d "$FIXTURES" ] || skip "../shared is not there"
}

# copy_of NAME: the images of a fixture in $IMG, to be changed; as they were in $A.
copy_of()
{
	requires_fixtures
	A=$FIXTURES/$1/img
	rm -rf "$IMG"
	cp -r "$A" "$IMG"
	chmod -R u+w "$IMG"
}
