# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Debian's packages, also of suites that this machine does not use: without a change to its configuration or its lists.
# Source it. images: a directory that stays.
# shellcheck disable=SC2154

# The archive that this machine uses: of Debian itself, or of its security updates.
archive() {
	# shellcheck disable=SC2016  # apt's own
	apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
		awk -v security="$1" '($1 ~ /-security$/) == security { print $2; exit }'
}

# in_suite SUITE COMMAND...: of apt.
in_suite() {
	local suite=$1 command=$2 dir=$images/apt/$1 security=0
	shift 2
	if [ "$suite" = - ]; then
		"$command" "$@"
		return
	fi
	if [ ! -e "$dir/sources" ]; then
		mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
		[[ $suite != *-security ]] || security=1
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(archive "$security") $suite main" >"$dir/sources.new"
		# a mirror may be of some day in the past
		apt_options "$dir" "$dir/sources.new" apt-get -q -o Acquire::Retries=3 -o APT::Update::Error-Mode=any update || return 1
		mv "$dir/sources.new" "$dir/sources"
	fi
	apt_options "$dir" "$dir/sources" "$command" "$@"
}

# apt_options DIR SOURCES COMMAND...
apt_options() {
	local dir=$1 sources=$2 command=$3
	shift 3
	"$command" -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root \
		-o Acquire::Check-Valid-Until=false "$@"
}

# newest SUITE PATTERN...: of the packages that the first pattern matches which matches any.
newest() {
	local suite=$1 pattern found
	shift
	for pattern; do
		found=$(in_suite "$suite" apt-cache search --names-only "^$pattern\$" | awk '{ print $1 }' | sort -V | tail -1)
		[ -z "$found" ] || break
	done
	[ -n "$found" ] && echo "$found"
}

# unpacked SUITE PACKAGE: the directory of what is in it; it is downloaded once.
unpacked() {
	local suite=$1 package=$2
	if [ ! -d "$images/$package" ]; then
		rm -rf "$images/$package.part"
		mkdir -p "$images/$package.part"
		(cd "$images/$package.part" && in_suite "$suite" apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root download "$package" &&
			dpkg-deb -x "$package"_*.deb . && rm -f -- *.deb) >&2 || return 1
		mv "$images/$package.part" "$images/$package"
	fi
	echo "$images/$package"
}
