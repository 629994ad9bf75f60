# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion of ebb for bash: into /usr/share/bash-completion/completions/ebb, or
# sourced from ~/.bashrc. What there is to complete says the program itself.

_ebb_complete()
{
	local line=${COMP_LINE:0:COMP_POINT} words=() word before candidate
	COMPREPLY=()

	# not COMP_WORDS: that is cut at colons, and names have some
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	word=${words[${#words[@]} - 1]}
	# what bash takes for the beginning of another word stays out of the answer
	before=
	[[ $COMP_WORDBREAKS == *:* && $word == *[:=]* ]] && before=${word%"${word##*[:=]}"}

	while IFS=$'\t' read -r candidate _; do
		case $candidate in
		:file) compopt -o default ;;
		:dir) compopt -o dirnames ;;
		*=) compopt -o nospace ;&
		*) COMPREPLY+=("${candidate#"$before"}") ;;
		esac
	done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}

complete -F _ebb_complete ebb
