# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# A kernel that is too old: the agent says so in one line, with what is missing and what to do, and leaves nothing.
# group: of guest.sh
# shellcheck disable=SC2154
timeout 300 ebb run --config /etc/ebb/ebb.yaml --cgroup "$group" >/tmp/log 2>&1
check 'the agent fails' test $? = 1
check 'in one line' test "$(wc -l </tmp/log)" = 1
check 'which says what is missing, what for, and what to do' logged \
	"^ebb run: this kernel or our rights lack 'compare-and-swap' (to hand out slots exactly): use kernel 5.12 or later; 'ebb doctor' says more\$"
check 'it leaves nothing' no_trace
check 'connections are as they were' requests
ebb doctor >/tmp/doctor
check 'doctor fails too' test $? = 1
check 'and names it' grep -q '^compare-and-swap  *NO, required' /tmp/doctor
check 'with what to do' grep -q 'compare-and-swap (.*): use kernel 5.12 or later' /tmp/doctor
check 'it is all that is required and missing' test "$(grep -c 'NO, required' /tmp/doctor)" = 1
