#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Clients that know nothing of ebb, against a server that really fails: the breaker opens,
# connect() fails with the configured errno and each client says so in its own words; at its
# time it half-opens, and a healed server closes it. In observe mode nothing is refused.
# deadline: 120

# SC2119: functions with optional arguments; SC2317: functions that are called by a name made up
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# ------------------------------------------------- what a client says of a failed connect --

# Each prints the errno's name, or the line that holds its message, or OK.

curl_says() {
	in_cgroup curl -sv --max-time 5 -o "$scratch/body" "http://127.0.0.1:$1/" 2>"$scratch/curl.err" && { echo OK; return; }
	grep -Eo '(failed|fail for [^:]*): .*' "$scratch/curl.err" | head -1
}

wget_says() { in_cgroup wget -t 1 -T 5 -O /dev/null "http://127.0.0.1:$1/" 2>&1 | grep -o 'failed: .*' || echo OK; }

python_socket_says() { connect 127.0.0.1 "$1"; }

python_urllib_says() {
	in_cgroup "$python" - "$1" <<'PY'
import errno, sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(f'http://127.0.0.1:{sys.argv[1]}/', timeout=5).read()
    print('OK')
except urllib.error.URLError as error:
    print(errno.errorcode[error.reason.errno])
PY
}

node_says() {
	in_cgroup node - "$1" <<'JS'
const request = require('http').get({ host: '127.0.0.1', port: process.argv[2], timeout: 5000 }, (answer) => {
	answer.resume().on('end', () => console.log('OK'));
});
request.on('error', (error) => console.log(error.code));
JS
}

node_fetch_says() {
	in_cgroup node - "$1" <<'JS'
fetch(`http://127.0.0.1:${process.argv[2]}/`).then((answer) => answer.text()).then(
	() => console.log('OK'),
	(error) => console.log(error.cause.code));
JS
}

psql_says() {
	PGCONNECT_TIMEOUT=5 in_cgroup psql -w "host=127.0.0.1 port=$1 user=nobody dbname=none" -c 'select 1' 2>&1 | head -1
}

redis_says() { in_cgroup redis-cli -h 127.0.0.1 -p "$1" ping 2>&1 | head -1; }

# library_says PORT LIBRARY: what one of Python raises
library_says() {
	in_cgroup "$python" -W ignore - "$@" <<'PY'
import asyncio, importlib, sys

host, port, name = '127.0.0.1', int(sys.argv[1]), sys.argv[2]
url = f'http://{host}:{port}/'


async def get(aiohttp):
    async with aiohttp.ClientSession() as session:
        await session.get(url)


ways = {'aiohttp': lambda module: asyncio.run(get(module)),
        'httpx': lambda module: module.get(url, trust_env=False),
        'redis': lambda module: module.Redis(host, port).ping(),
        'requests': lambda module: module.get(url, proxies={'http': ''})}
module = importlib.import_module(name)
try:
    ways[name](module)
    print('OK')
except Exception as error:
    print(type(error).__name__)
PY
}

# name, program
clients='curl curl
wget wget
python_socket python3
python_urllib python3
node node
node_fetch node
psql psql
redis redis-cli'

# name, what it raises, and for ETIMEDOUT
libraries='aiohttp ClientConnectorError ClientConnectorError
httpx ConnectError ConnectTimeout
redis ConnectionError TimeoutError
requests ConnectionError ConnectTimeout'

# ----------------------------------------------------------------- enforce: each errno --

breaker=consecutive_failures=3,open_for=20s,open_jitter=0

while read -r flag name words; do
	start_agent --mode enforce --errno "$flag" --breaker "$breaker"
	start_server
	first=$(curl_says "$port")
	stop_server
	# not one of these is refused by us: the server is really down
	failures="$(curl_says "$port") $(node_says "$port") $(python_urllib_says "$port")"
	is "$flag: a working server is reached, a dead one refuses" "$first $failures" \
		"OK failed: Connection refused ECONNREFUSED ECONNREFUSED"
	check "$flag: three failures of three clients open the breaker" wait_for 5 is_state "$port" open
	while read -r client program; do
		if ! command -v "$program" >/dev/null; then
			skip "$flag: $client says so" "no $program"
			continue
		fi
		like "$flag: $client says so" "$("${client}_says" "$port")" "($name|: $words)"
	done <<<"$clients"
	while read -r library error timed_out; do
		[ "$flag" != etimedout ] || error=$timed_out
		# found, not imported: one that is there and does not load is a failure
		if "$python" -c "import sys, importlib.util; sys.exit(not importlib.util.find_spec('$library'))"; then
			is "$flag: Python's $library raises what docs/programs.md says" "$(library_says "$port" "$library")" "$error"
		else
			skip "$flag: Python's $library raises what docs/programs.md says" "no python3-$library"
		fi
	done <<<"$libraries"
	# every client tries once, some in two ways
	between "$flag: refusals are counted" "$(gate "$port" 'd["denied"]')" 5 16
	is "$flag: what is refused is no attempt and no failure" "$(gate "$port" '(d["attempts"], d["failures"])')" '(4, 3)'
	stop_agent
	ebb detach >/dev/null
done <<'ERRNOS'
econnrefused ECONNREFUSED Connection refused
ehostunreach EHOSTUNREACH No route to host
etimedout ETIMEDOUT Connection timed out
eperm EPERM Operation not permitted
ERRNOS

# --------------------------------------------------------- enforce: open, half-open, closed --

start_agent --mode enforce --errno ehostunreach --breaker consecutive_failures=3,open_for=1s,open_jitter=0
start_server
is 'closed: curl is served' "$(curl_says "$port")" OK
stop_server
is 'the fourth of four connects in a row is refused by us' "$(connect --count 4 127.0.0.1 "$port" | tr '\n' ' ')" \
	'ECONNREFUSED ECONNREFUSED ECONNREFUSED EHOSTUNREACH '
until=$(gate "$port" 'round(d["open_until_timestamp"] * 1000)')
start_server --port "$port"
connect --count 0 --every 0.01 --clock --seconds 10 --until OK 127.0.0.1 "$port" >"$scratch/line"
is 'until its time all are refused, then one goes through' \
	"$(cut -d' ' -f1 "$scratch/line" | uniq | tr '\n' ' ')" 'EHOSTUNREACH OK '
# the clock of the client is the one of open_until; 1 ms is a tick of the gate
between 'the first goes through at its time' $(($(tail -1 "$scratch/line" | cut -d' ' -f2) - until)) -1 250
is 'half-open after one success' "$(state "$port")" half_open
is 'half-open: a client is let through' "$(node_says "$port")" OK
check 'two successes close it' wait_for 5 is_state "$port" closed
is 'closed: curl is served again' "$(curl_says "$port")" OK
is 'every move was told, with its reason' \
	"$(grep -o 'from=.* reason=[a-z_]*' "$agent_log" | tr '\n' ',')" \
	'from=closed to=open reason=consecutive_failures,from=open to=half_open reason=open_expired,from=half_open to=closed reason=probes_succeeded,'
stop_agent
ebb detach >/dev/null
stop_server

# ------------------------------------------------------------------------------ observe --

start_agent --errno ehostunreach --breaker consecutive_failures=3,open_for=2s,open_jitter=0
start_server
curl_says "$port" >/dev/null
stop_server
is 'observe: a dead server refuses, and nobody else' "$(connect --count 8 --sum 127.0.0.1 "$port")" ECONNREFUSED=8
check 'observe: the state moves' wait_for 5 is_state "$port" open
is 'observe: what would have been refused is counted, and nothing was' \
	"$(gate "$port" '(d["denied"], d["would_deny"], d["attempts"], d["failures"])')" '(0, 5, 9, 8)'
start_server --port "$port"
is 'observe: while open, a healed server is reached' "$(curl_says "$port")" OK
is 'observe: and counted as would-be refused' "$(gate "$port" '(d["state"], d["denied"], d["would_deny"])')" "('open', 0, 6)"
check 'observe: half-opens' wait_for 5 is_state "$port" half_open
is 'observe: its probes' "$(curl_says "$port") $(python_urllib_says "$port")" 'OK OK'
check 'observe: closes' wait_for 5 is_state "$port" closed
stop_agent

done_testing
