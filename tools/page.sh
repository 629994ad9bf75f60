#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# page.sh PAGE.html OUT.h: the page as bytes for the compiler, and the hashes of its style and its script, which
# are all that its Content-Security-Policy lets in.
set -eu

# What stands between the lines <$2> and </$2> of $1, byte by byte as a browser hashes it.
hash() {
	awk -v tag="$2" '$0 == "</" tag ">" { inside = 0 } inside { print } $0 == "<" tag ">" { inside = 1; print "" }' "$1" |
		sha256sum | cut -c1-64 | tr a-f A-F | basenc --base16 -d | base64
}

page=$1
out=$2
{
	echo "/* Made by tools/page.sh from $page. */"
	echo "#define EBB_PAGE_STYLE_HASH \"sha256-$(hash "$page" style)\""
	echo "#define EBB_PAGE_SCRIPT_HASH \"sha256-$(hash "$page" script)\""
	echo "static unsigned char page[] = {"
	od -An -v -tu1 "$page" | sed 's/  */ /g; s/\([0-9]\) /\1, /g; s/$/,/'
	echo "};"
} >"$out"
