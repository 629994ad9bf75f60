#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A clock that jumps moves no breaker: nothing that decides can read one that can be set. The core reads
# none at all; BPF programs read the monotonic one (helper 5, and its coarse form 160) and no other.

# shellcheck source=../lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"

build=${EBB_BUILD:-build}
objdump=$(command -v llvm-objdump-16 || command -v llvm-objdump)

# undefined OBJECTS...: names of the C library that are about time
undefined() { nm -u "$@" 2>/dev/null | grep -oE '\b(clock_[a-z]+|time|gettimeofday|timespec_get|nanosleep|localtime(_r)?|gmtime(_r)?)\b' | sort -u | tr '\n' ' '; }

objects=("$build"/user/core/*.o)
is 'there is a core to look at' "$([ ${#objects[@]} -gt 10 ] && echo yes)" yes
is 'the core reads no clock' "$(undefined "${objects[@]}")" ''
is 'nor does a tick' "$(undefined "$build/user/agent/tick.o")" ''

# helpers by number: 125 boot, 208 tai, and bpf_ktime of the wall clock there is none
helpers() { "$objdump" -d "$build"/bpf/*.bpf.o | sed -nE 's/.*\tcall (0x)?([0-9a-f]+)$/\1\2/p' | sort -u; }
is 'programs ask for the time' "$(helpers | grep -cxE '5|0x5')" 1
is 'of the monotonic clock alone' "$(helpers | grep -xE '125|0x7d|208|0xd0' | tr '\n' ' ')" ''

plan
