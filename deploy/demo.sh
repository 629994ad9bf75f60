#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What ebb is for, in under a minute: a server that hangs, plain curl, and a
# breaker between them that neither of the two knows about. Runs on a cgroup and
# a pin directory of its own and on loopback; leaves nothing behind.
set -euo pipefail

ebb=${EBB:-build/ebb}
name=ebb-demo-$$
cgroup2=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
cgroup=$cgroup2/$name
pin=/sys/fs/bpf/$name
scratch=$(mktemp -d)
agent='' server=''

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '  $ %s\n' "$*"; }

cleanup() {
	trap - EXIT INT TERM
	# waited for, or the shell tells that it was killed
	[ -z "$server" ] || { kill -CONT "$server" && kill -KILL "$server" && wait "$server"; } 2>/dev/null || true
	[ -z "$agent" ] || kill -TERM "$agent" 2>/dev/null || true
	[ -z "$agent" ] || wait "$agent" 2>/dev/null || true
	"$ebb" detach --pin "$pin" >/dev/null 2>&1 || true
	for _ in $(seq 50); do
		[ -d "$cgroup" ] || break
		rmdir "$cgroup" 2>/dev/null || sleep 0.1
	done
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ "$(id -u)" = 0 ] || { echo 'demo: needs root, to load BPF programs' >&2; exit 4; }
[ -n "$cgroup2" ] || { echo 'demo: no cgroup2 is mounted' >&2; exit 1; }
mkdir "$cgroup"

# Runs a command inside the cgroup that ebb governs.
inside() { (echo "$BASHPID" >"$cgroup/cgroup.procs" && exec "$@"); }

call() {
	local out rc=0
	out=$(inside curl -sS -o /dev/null --max-time 2 -w '%{http_code} %{time_total}' "http://127.0.0.1:$port/" 2>"$scratch/err") || rc=$?
	local code=${out%% *} seconds=${out##* }
	if [ "$rc" = 0 ]; then
		printf '  curl: HTTP %s after %s s\n' "$code" "$seconds"
	else
		printf '  curl: failed after %s s: %s\n' "$seconds" "$(sed -n '1s/^curl: ([0-9]*) //p' "$scratch/err")"
	fi
	return "$rc"
}

state() { "$ebb" list --pin "$pin" -o json | python3 -c '
import json, sys
rows = json.load(sys.stdin)
rows = rows if isinstance(rows, list) else rows["destinations"]
print(next((r["state"] for r in rows if r["destination"].endswith(":'"$port"'/tcp")), "none"))'; }

cat >"$scratch/server.py" <<'PY'
import http.server, sys
class Server(http.server.HTTPServer):
    handle_error = lambda *args: None  # clients that gave up
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "3"); self.end_headers(); self.wfile.write(b"ok\n")
    def log_message(self, *args): pass
server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
python3 "$scratch/server.py" >"$scratch/port" &
server=$!
for _ in $(seq 100); do [ -s "$scratch/port" ] && break; sleep 0.05; done
port=$(cat "$scratch/port")

export EBB_AUDIT_SQLITE_PATH=off # no events in a directory of this machine
say '1. The agent watches one cgroup. It enforces: three failures in a row open the breaker, for 3 seconds.'
set -- run --mode enforce --cgroup "$cgroup" --pin "$pin" --listen 127.0.0.1:0 \
	--breaker consecutive_failures=3,open_for=3s,open_jitter=0
show "ebb run --mode enforce --cgroup .../$name --breaker consecutive_failures=3,open_for=3s"
: >"$scratch/log"
"$ebb" "$@" 2>"$scratch/log" &
agent=$!
for _ in $(seq 100); do
	grep -q 'started' "$scratch/log" && break
	kill -0 "$agent" 2>/dev/null || { cat "$scratch/log" >&2; exit 1; }
	sleep 0.05
done

say '2. A server that works; plain curl inside the cgroup.'
call
call
call

say '3. The server hangs (SIGSTOP): nobody refuses, nobody answers. Each client waits out its own timeout of 2 s.'
kill -STOP "$server"
for _ in 1 2 3 4 5; do
	[ "$(state)" = open ] && break
	call || true
done

say '4. The breaker is open: connect() fails at once. No client waits any more.'
call || true
call || true
show "ebb list"
"$ebb" list --pin "$pin"

say '5. The server comes back. After 3 s the kernel lets probes through; two that succeed close the breaker.'
kill -CONT "$server"
for _ in $(seq 300); do
	call >"$scratch/out" 2>&1 && [ "$(state)" = closed ] && break
	sleep 0.1
done
cat "$scratch/out"
call

say '6. Why it did what it did:'
show "ebb show 127.0.0.1:$port/tcp"
"$ebb" show "127.0.0.1:$port/tcp" --pin "$pin"

say 'Done: the programs, maps, cgroup and server of this demo are removed.'
