#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The image: built by deploy/Dockerfile as it is, on a base made of Debian's packages, in a storage of its own; then run with
# the capabilities that it needs and no other, where it governs a cgroup of this test.
# deadline: 900

# SC2016: templates of podman; SC2034: for http_get; SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2016,SC2034,SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

storage=(--root "$scratch/storage" --runroot "$scratch/run" --storage-driver overlay)
podman() { command podman "${storage[@]}" --cgroup-manager cgroupfs --runtime runc "$@"; }
base=docker.io/library/debian:bookworm-slim
image=localhost/ebb:test
container=$test_id

# What is mounted below the storage would keep it from being removed.
remove_image() {
	podman rm -f -t 0 "$container" >/dev/null 2>&1
	find /sys/fs/cgroup -depth -type d -path "*/$test_id/*" -exec rmdir {} + 2>/dev/null
	find /sys/fs/cgroup -maxdepth 2 -type d -name "$test_id" ! -path "$cgroup" -exec rmdir {} + 2>/dev/null
	awk -v below="$scratch/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null
}
trap 'remove_image; cleanup' EXIT

seconds() { printf '%d s' $((($(now_ms) - begin) / 1000)); }

# -------------------------------------------------------------------- build

begin=$(now_ms)
# from wherever this machine gets its packages
mapfile -t sources < <(find /etc/apt/sources.list.d -name '*.sources'; find /etc/apt -maxdepth 1 -name sources.list)
mmdebstrap --quiet --variant=apt bookworm "$scratch/base.tar" "${sources[@]}" >"$scratch/base.log" 2>&1 ||
	bail "the base: $(tail -5 "$scratch/base.log")"
podman import -q --change 'CMD ["bash"]' "$scratch/base.tar" "$base" >"$scratch/base.log" 2>&1 || bail "podman import: $(tail -5 "$scratch/base.log")"
rm "$scratch/base.tar"
note <<<"the base: $(seconds)"

begin=$(now_ms)
buildah "${storage[@]}" bud --pull-never --network=host --isolation=chroot --layers=false -f "$root/deploy/Dockerfile" \
	--build-arg VERSION=1.2.3 --build-arg REVISION=abc --build-arg CREATED=2026-01-02T03:04:05Z \
	-t "$image" "$root" >"$scratch/build.log" 2>&1 || bail "buildah bud: $(tail -20 "$scratch/build.log")"
note <<<"the image: $(seconds)"

inspect() { podman image inspect -f "$1" "${2:-$image}"; }
label() { inspect "{{ index .Labels \"org.opencontainers.image.$1\" }}"; }
is 'labels say what it is' "$(label title) $(label version) $(label revision) $(label created) $(label base.name)" \
	"ebb 1.2.3 abc 2026-01-02T03:04:05Z $base"
like 'whence, and under which licenses' "$(label source) $(label documentation) $(label vendor) $(label licenses)" '^https://.* https://.* .+ Apache-2\.0 AND '
is 'it runs the agent, ends by SIGTERM, and names its port' \
	"$(inspect '{{ .Config.Entrypoint }} {{ .Config.Cmd }} {{ .Config.StopSignal }} {{ range $port, $_ := .Config.ExposedPorts }}{{ $port }}{{ end }}')" \
	'[/usr/sbin/ebb] [run] SIGTERM 9478/tcp'
grown=$((($(inspect '{{ .Size }}') - $(inspect '{{ .Size }}' "$base")) / 1000000))
note <<<"$((grown)) MB more than the base of $(($(inspect '{{ .Size }}' "$base") / 1000000)) MB"
between 'it is small' "$grown" 1 40

# ------------------------------------------------------------- without rights

# run OPTION... -- COMMAND...
run() {
	local options=()
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	podman run --rm --network=host --ulimit nofile=20000:20000 --ulimit nproc=32768:32768 --cap-drop=all \
		--cgroup-parent "$test_id" "${options[@]}" "$image" "${@:2}"
}
like 'a command that needs no rights' "$(run --read-only -- version)" '^ebb '
refute 'no compiler is in it' run --entrypoint /bin/sh -- -c 'command -v cc clang-16 make'
check 'each library is there' run --entrypoint /bin/sh -- -c '! ldd /usr/sbin/ebb | grep "not found"'
run --entrypoint /bin/cat -- /usr/share/doc/ebb/sbom.spdx.json >"$scratch/sbom"
is 'the bill of materials names ebb and what it links' \
	"$(json '" ".join(sorted(p["name"] + ("=1.2.3" if p["versionInfo"] == "1.2.3" else "") for p in d["packages"] if p["name"] in ("ebb", "libbpf1", "libpq5"))) + " " + d["spdxVersion"]' <"$scratch/sbom")" \
	'ebb=1.2.3 libbpf1 libpq5 SPDX-2.3'
is 'and as many packages as are installed' "$(json 'len(d["packages"])' <"$scratch/sbom")" \
	$(($(run --entrypoint /usr/bin/dpkg-query -- -W | wc -l) + 1))
rc=0
run -v "$cgroup2:$cgroup2:ro" -v /sys/fs/bpf:/sys/fs/bpf -- run --cgroup "$cgroup" --pin "$pin" >"$scratch/out" 2>&1 || rc=$?
like 'without capabilities it says what it lacks' "$rc $(tail -n 1 "$scratch/out")" '^4 .* with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON'

# ---------------------------------------------------------------- an agent

mkdir -p "$scratch/etc/ebb"
cat >"$scratch/etc/ebb/ebb.yaml" <<-YAML
	mode: enforce
	defaults: {breaker: {consecutive_failures: 3, open_for: 1h, open_max: 1h}}
	audit: {file: {path: off}, sqlite: {path: off}}
YAML
start_container() {
	podman run -d --name "$container" --network=host --pid=host --cgroup-parent "$test_id" --read-only \
		--ulimit nofile=20000:20000 --ulimit nproc=32768:32768 \
		--cap-drop=all --cap-add=BPF --cap-add=NET_ADMIN --cap-add=PERFMON --security-opt no-new-privileges --security-opt seccomp=unconfined \
		-v /sys/fs/bpf:/sys/fs/bpf -v "$cgroup2:$cgroup2:ro" -v "$scratch/etc/ebb:/etc/ebb:ro" --tmpfs /var/lib/ebb \
		"$image" run --pin "$pin" --cgroup "$cgroup" --listen 127.0.0.1:0 --destinations 64 --pairs 256 --endpoints 256 \
		>"$scratch/run.log" 2>&1 || bail "podman run: $(tail -3 "$scratch/run.log")"
	wait_for 30 container_started || bail "the agent does not start: $(container_log | tail -5)"
	address=$(container_log | sed -n 's/.* started[:"].*[ "]listen[=":]* *"*\([^ ",]*\).*/\1/p' | tail -n 1)
}
container_log() { podman logs "$container" 2>&1; }
container_started() { container_log | grep -Eq "$started_line"; }
in_container() { podman exec "$container" /usr/sbin/ebb "$@"; }

start_container
check 'with three capabilities it is ready' wait_for 20 http_get /health/ready
pid=$(podman inspect -f '{{ .State.Pid }}' "$container")
# NET_ADMIN 12, PERFMON 38, BPF 39
is 'it has these and can get no others' "$(awk '/^Cap(Prm|Eff|Bnd):/ { print $2 } /^NoNewPrivs/ { print $2 }' "/proc/$pid/status" | tr '\n' ' ')" \
	"$(printf '%016x ' $((1 << 12 | 1 << 38 | 1 << 39)){,,})1 "
is 'nothing is warned of' "$(container_log | grep -E 'warn|error' | grep -Ev 'not believed|no real-time priority')" ''
for _ in 1 2 3; do connect 127.0.0.1 1; done >"$scratch/out"
check 'it counts' wait_for 10 is_state 1 open
connect 127.0.0.1 1 >>"$scratch/out"
is 'and refuses' "$(http_get /metrics | grep -Eo '^ebb_denied_total.*cause="breaker",enforced="true"} [1-9].*' | grep -o '[^ ]*$')" 1
like 'a command in the container sees it' "$(in_container list --pin "$pin")" '127\.0\.0\.1:1/tcp +[^ ]+ +enforce +open '
check 'and gives orders' in_container breaker close 127.0.0.1:1 --pin "$pin"
check 'which are followed' wait_for 5 is_state 1 forced_closed
podman stop -t 20 "$container" >/dev/null
is 'told to end it ends well' "$(podman inspect -f '{{ .State.ExitCode }}' "$container")" 0
podman rm "$container" >/dev/null
connect 127.0.0.1 1 >/dev/null
is 'the kernel goes on without it' "$(gate 1 'd["attempts"]')" 4

start_container
check 'the next one takes over' wait_for 20 http_get /health/ready
is 'and knows what the first knew' "$(state 1)" forced_closed
podman rm -f -t 20 "$container" >/dev/null
run --cap-add=BPF --cap-add=NET_ADMIN -v /sys/fs/bpf:/sys/fs/bpf --security-opt seccomp=unconfined -- detach --pin "$pin" >"$scratch/out" 2>&1 ||
	note <"$scratch/out"
refute 'detach from a container leaves nothing' test -e "$pin"

done_testing
