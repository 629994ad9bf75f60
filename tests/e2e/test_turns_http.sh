#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Turns against real HTTP servers: what nginx and its clients do all day (keep-alive, idle ends, HTTP/2,
# workers that die), and what model APIs add: streams, long polls, late first tokens.
# deadline: 150

# SC2317: functions that are arguments
# shellcheck disable=SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=../lib/turns.sh
. "$root/tests/lib/turns.sh"

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout "$scratch/key.pem" \
	-out "$scratch/cert.pem" 2>/dev/null || bail 'openssl makes no certificate'

# What is slow, streams, or never answers: /ok, /sleep/SECONDS, /sse/SILENCE, /hold, at each of its ports.
cat >"$scratch/api.py" <<'P'
import http.server, sys, threading, time
class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_):
        pass
    def do_GET(self):
        _, what, value, *_ = (self.path + '//').split('/')
        if what == 'hold':
            time.sleep(60)
        if what == 'sse':
            self.send_response(200)
            self.send_header('Content-Type', 'text/event-stream')
            self.send_header('Connection', 'close')
            self.end_headers()
            for _ in range(60):
                self.wfile.write(b'data: token\n\n')
                time.sleep(float(value))
            return
        time.sleep(float(value or 0))
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')
    do_POST = do_GET
ports = []
for _ in range(int(sys.argv[1])):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Api)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever).start()
    ports.append(server.server_port)
print(*ports, flush=True)
P
background "$python" -S "$scratch/api.py" 4 >"$scratch/api" 2>"$scratch/api.err"
wait_for 10 test -s "$scratch/api" || bail "the API does not start: $(cat "$scratch/api.err")"
read -r poll slow stream late <"$scratch/api"

pooled=$((15000 + RANDOM % 10000))
dropped=$((pooled + 1)) proxied=$((pooled + 2)) h2=$((pooled + 3))
# nginx_conf KEEPALIVE SERVERS
nginx_conf() {
	cat >"$scratch/nginx.conf" <<-N
		daemon off;
		worker_processes 1;
		pid $scratch/nginx.pid;
		error_log $scratch/nginx.err;
		events {}
		http {
			access_log off;
			client_body_temp_path $scratch/n1; proxy_temp_path $scratch/n2;
			fastcgi_temp_path $scratch/n3; uwsgi_temp_path $scratch/n4; scgi_temp_path $scratch/n5;
			keepalive_timeout $1;
			$2
		}
	N
}

nginx_conf 1s "
	server { listen 127.0.0.1:$pooled; location / { return 200 ok; } }
	server { listen 127.0.0.1:$dropped; location / { return 200 ok; } location /drop { return 444; } }
	server { listen 127.0.0.1:$proxied; location / { proxy_pass http://127.0.0.1:$late; } }
	server {
		listen 127.0.0.1:$h2 ssl http2;
		ssl_certificate $scratch/cert.pem; ssl_certificate_key $scratch/key.pem;
		location / { proxy_pass http://127.0.0.1:$late; }
	}"
start_nginx() {
	server "$@" nginx -p "$scratch" -c "$scratch/nginx.conf" 2>"$scratch/nginx.out"
	nginx=$!
	wait_for 10 worker_of "$nginx" || bail "nginx does not start: $(cat "$scratch/nginx.out" "$scratch/nginx.err")"
}
worker_of() { pgrep -P "$1" nginx; }
start_nginx

cat >"$EBB_CONFIG" <<Y
mode: enforce
defaults:
  breaker: {min_calls: 1000}
destinations:
  - name: slow
    match: [{cidr: 127.0.0.1/32, port: $slow}]
    breaker: {slow_call: 100ms, min_calls: 5, open_for: 20s}
Y
start_agent --config "$EBB_CONFIG" --destinations 256

get() { in_cgroup curl -s --max-time 20 "$@"; }

closed() { [ "$(gate "$1" 'd["active"]')" = 0 ]; }

# ------------------------------------------------- what lets time pass --

# Two requests over a connection that is kept; then the server's idle time is over.
cat >"$scratch/pool.py" <<'P'
import http.client, sys
pool = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=10)
for _ in range(2):
    pool.request('GET', '/')
    pool.getresponse().read()
print('closed' if pool.sock.recv(1) == b'' else 'more')
P
together in_cgroup "$python" -S "$scratch/pool.py" "$pooled" >"$scratch/pool.out"

# Twenty requests at once in one session, then none until the server says GOAWAY.
cat >"$scratch/h2.js" <<'J'
const session = require('http2').connect(`https://127.0.0.1:${process.argv[2]}`, { rejectUnauthorized: false });
let answered = 0, goaway = '';
session.on('error', (error) => console.log(error.code));
session.on('goaway', (code) => { goaway = ` goaway ${code}`; });
session.on('close', () => console.log(`${answered} answered${goaway}`));
for (let i = 0; i < 20; i++)
	session.request({ ':path': `/sleep/0.${i % 3}` }).on('end', () => answered++).resume();
J
together in_cgroup node "$scratch/h2.js" "$h2" >"$scratch/h2.out"

# A stream: read to its second event, over a silence longer than abandon_after, then left.
cat >"$scratch/stream.py" <<'P'
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 10)
s.sendall(b'GET /sse/1.2 HTTP/1.1\r\nHost: x\r\n\r\n')
data = b''
while data.count(b'token') < 2:
    data += s.recv(100)
print('streamed')
P
together in_cgroup "$python" -S "$scratch/stream.py" "$stream" >"$scratch/stream.out"

# Long polls: answered late; given up by the program after, and before abandon_after.
get -o /dev/null "http://127.0.0.1:$poll/ok"
get -o /dev/null "http://127.0.0.1:$poll/ok"
together get -o /dev/null --max-time 10 "http://127.0.0.1:$poll/sleep/1.3"
together get -o /dev/null --max-time 1.5 "http://127.0.0.1:$poll/hold"
together get -o /dev/null --max-time 0.4 "http://127.0.0.1:$poll/hold"

# ------------------------------------------------------ workers, drops --

for _ in 1 2 3; do get -o /dev/null "http://127.0.0.1:$dropped/"; done
get -o /dev/null "http://127.0.0.1:$dropped/drop"
is 'return 444: curl has an empty reply' "$?" 52
ended 'return 444: unanswered' "$dropped" 'answered=3 unanswered=1 failures=1'

for _ in 1 2 3 4 5; do get -o /dev/null "http://127.0.0.1:$slow/sleep/0.15"; done
check 'slow answers open the breaker' wait_for 5 is_state slow open
check 'for slow_rate' wait_for 5 logged 'destination=slow .* to=open reason=slow_rate .* failed=0 slow=5'
ended 'and are no failures' slow 'answered=5 slow=5'
between 'p50 of the first byte, ms' "$(gate slow 'int(d["turn_seconds"]["p50"] * 1000)')" 131 240

wait_together
is 'a pooled connection: the server has closed it' "$(cat "$scratch/pool.out")" closed
ended 'a keep-alive idle end is no failure' "$pooled" answered=2
is 'HTTP/2: all answered, then GOAWAY' "$(cat "$scratch/h2.out")" '20 answered goaway 0'
check 'the session has ended' wait_for 5 closed "$h2"
is 'an idle HTTP/2 close is no failure' "$(gate "$h2" 'd["failures"]')" 0
is 'nor unanswered' "$(gate "$h2" 'd["turns"]["unanswered"] + d["turns"]["reset"]')" 0
between 'twenty requests at once are fewer turns: a lower bound' "$(gate "$h2" 'd["turns"]["answered"]')" 3 20
is 'events were read' "$(cat "$scratch/stream.out")" streamed
ended 'a stream: its first byte is the answer, silence and leaving it are nothing' "$stream" answered=1
ended 'long polls: late is answered, a timeout after abandon_after counts, a sooner one does not' "$poll" \
	'answered=3 unanswered=1 cancelled=1 failures=1'

# A worker dies in the middle of a request.
get -o /dev/null "http://127.0.0.1:$proxied/ok"
together get -o /dev/null "http://127.0.0.1:$proxied/hold"
is_under_way() { [ "$(gate "$proxied" 'd["active"]')" -ge 1 ]; }
check 'a request is under way' wait_for 5 is_under_way
kill -KILL "$(worker_of "$nginx")"
wait_together
ended 'kill -9 of its worker: unanswered' "$proxied" 'answered=1 unanswered=1 failures=1'
end "$nginx" TERM

# The race of keep-alive: a request is on its way, and lost, when the server's farewell comes in.
make_network
nginx_conf 2s 'server { listen 10.9.8.2:8080; location / { return 200 ok; } }'
start_nginx nsenter --net="/run/netns/$peer"
cat >"$scratch/race.py" <<'P'
import os, socket, sys, time
s = socket.create_connection(('10.9.8.2', 8080), 10)
request = b'GET / HTTP/1.1\r\nHost: x\r\nCookie: ' + b'x' * 200 + b'\r\n\r\n'
s.sendall(request)
assert b'ok' in s.recv(1000)
open(sys.argv[1], 'w').close()
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
s.sendall(request)
print('closed' if s.recv(1) == b'' else 'more')
P
together in_cgroup nsenter --net="/run/netns/$client" "$python" -S "$scratch/race.py" \
	"$scratch/answered" "$scratch/cut" >"$scratch/race.out"
check 'the first request is answered' wait_for 5 test -e "$scratch/answered"
check 'what is longer than a FIN is lost from now on' nsenter --net="/run/netns/$peer" nft '
	add table ip cut; add chain ip cut lost { type filter hook input priority 0; };
	add rule ip cut lost tcp dport 8080 meta length > 150 drop'
touch "$scratch/cut"
wait_together
is 'the second meets the farewell' "$(cat "$scratch/race.out")" closed
nsenter --net="/run/netns/$peer" nft delete table ip cut
ended 'a request that the server has not heard is nobody'"'"'s failure' 10.9.8.2:8080/tcp 'answered=1 cancelled=1'

done_testing
