#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the Debian package from what is built, into BUILD/deb. The tree itself stays as it is.
#
# usage: tools/deb.sh BUILD VERSION
set -eu

version=$2
tree=$PWD
build=$(realpath "$1")
work=$build/deb/ebb-$version

fail()
{
	echo "deb: $*" >&2
	exit 1
}

packaged=$(dpkg-parsechangelog -l deploy/debian/changelog -S Version)
[ "$packaged" = "$version" ] || fail "deploy/debian/changelog is for $packaged, the Makefile says $version"

rm -rf "$build/deb"
mkdir -p "$work"
cp -r deploy/debian "$work/debian"
cd "$work"
# what the Makefile was called with would be handed down to debhelper's own make
unset MAKEFLAGS MAKELEVEL MFLAGS DESTDIR PREFIX
# as it was given: the flags that things were built with have it in them
export TREE="$tree" BUILD="$1"
dpkg-buildpackage --build=binary --no-pre-clean --no-sign --no-check-builddeps >../log 2>&1 || {
	tail -40 ../log >&2
	fail "dpkg-buildpackage failed: $build/deb/log"
}
cd ..
ls -d "$build"/deb/*.deb
