#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the pictures of the dashboards show: two nodes, that is two agents with a cgroup each, whose programs meet servers that are
# well, slow, down, and now and then away; breakers open and limits bite. A real Prometheus scrapes both. By hand, with root.
#
# usage: scene.sh DIR [SECONDS]     DIR is where the data of Prometheus stay; render.sh draws what a Prometheus on it has, with what DIR/times says
#
# shellcheck disable=SC2119,SC2034,SC2154
# shellcheck source=../../lib/e2e.sh
. "$(dirname "$0")/../../lib/e2e.sh"

directory=${1:?usage: scene.sh DIR [SECONDS]} seconds=${2:-280}
# what looks back over five minutes shows a rise until there are five minutes: they are not in the picture
warm_up=330
mkdir -p "$directory"

cat >"$scratch/server.py" <<'PY'
"""server.py PORT [model]: answers at once, or after a while, as a model does; then one in thirty is not answered."""
import http.server, random, sys, time

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        if 'model' in sys.argv:
            time.sleep(random.lognormvariate(-1.2, 0.6))
            if random.random() < 1 / 30:
                self.close_connection = True
                return
        self.send_response(200)
        self.send_header('Content-Length', '20000')
        self.end_headers()
        self.wfile.write(b'x' * 20000)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Server)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
cat >"$scratch/client.py" <<'PY'
"""client.py PORT REQUESTS BYTES PAUSE: a connection with so many requests of so many bytes, and a pause, for ever."""
import http.client, random, sys, time

port, requests, size, pause = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
while True:
    try:
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
        for _ in range(requests):
            connection.request('POST', '/', b'x' * size)
            connection.getresponse().read()
        connection.close()
    except (OSError, http.client.HTTPException):
        pass
    time.sleep(random.uniform(0.5, 1.5) * pause)
PY

# serve PORT [model]: sets server (pid)
serve() {
	background "$python" -S "$scratch/server.py" "$@" >"$scratch/port.$1"
	server=$!
	wait_for 10 test -s "$scratch/port.$1" || bail 'a server does not start'
}
# a port of which nobody listens
free_port() { start_server && stop_server; }
free_port && api=$port && serve "$api"
free_port && warehouse=$port && serve "$warehouse"
free_port && model=$port && serve "$model" model
free_port && payments=$port && serve "$payments" && payments_server=$server
free_port && search=$port
free_port && prometheus=$port
mkdir "$scratch/spans"
background "$python" -S "$root/tests/lib/collector.py" "$scratch/spans" >"$scratch/spans/port"
wait_for 10 test -s "$scratch/spans/port" || bail 'the collector does not start'

configure() {
	cat >"$EBB_CONFIG" <<-YAML
		mode: enforce
		destinations:
		  - name: api
		    match: [{cidr: 127.0.0.1/32, port: $api}]
		    limits: {concurrent: 6, connects: {rate: 5/s, burst: 20}}
		  - name: warehouse
		    match: [{cidr: 127.0.0.1/32, port: $warehouse}]
		    limits: {bytes: {rate: 2MB/s, burst: 512KB}}
		  - name: payments
		    match: [{cidr: 127.0.0.1/32, port: $payments}]
		    breaker: {consecutive_failures: 3, open_for: 3s, open_max: 6s}
		  - name: search
		    match: [{cidr: 127.0.0.1/32, port: $search}]
		  - name: model
		    match: [{cidr: 127.0.0.1/32, port: $model}]
		    breaker: {slow_call: 1s, slow_rate: 0.4}
		    limits: {concurrent: 16}
		audit: {file: {path: $scratch/audit-$1.jsonl}, sqlite: {path: $scratch/audit-$1.db}}
		traces: {otlp: {endpoint: "http://127.0.0.1:$(cat "$scratch/spans/port")", sample: 0.2}}
	YAML
}

targets=''
for node in node-1 node-2; do
	mkdir -p "$cgroup/$node" "$scratch/$node"
	export EBB_CONFIG=$scratch/$node/ebb.yaml
	configure "$node"
	EBB_AUDIT_DIR=$scratch/$node/audit EBB_AUDIT_SQLITE_PATH='' start_agent --pin "$pin-$node" --cgroup "$cgroup/$node" --idle 10m
	targets+="{targets: [\"$address\"], labels: {cluster: demo, node: $node}}, "
done
for file in "$root"/deploy/prometheus/*.yml; do
	sed 's/interval: 1m$/interval: 5s/' "$file" >"$directory/$(basename "$file")"
done
cat >"$directory/prometheus.yml" <<YAML
global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 5s}
rule_files: ["ebb-*.yml"]
scrape_configs:
  - job_name: ebb
    static_configs: [${targets%, }]
    # as if each agent governed the whole of its node
    metric_relabel_configs: [{source_labels: [workload], regex: "/ebb-test-[^/]+/[^/]+/(.*)", target_label: workload}]
YAML
background prometheus --config.file="$directory/prometheus.yml" --storage.tsdb.path="$directory/tsdb" \
	--web.listen-address="127.0.0.1:$prometheus" --log.level=warn >"$directory/prometheus.log" 2>&1
prometheus_server=$!

# load NODE WORKLOAD COMMAND...
load() {
	mkdir -p "$cgroup/$1/$2"
	(echo "$BASHPID" >"$cgroup/$1/$2/cgroup.procs" && shift 2 && exec setpriv --pdeathsig KILL "$@" >/dev/null 2>&1) &
	started+=("$!")
}
client() { load "$1" "$2" "$python" -S "$scratch/client.py" "${@:3}"; }
for node in node-1 node-2; do
	client "$node" checkout.service "$payments" 1 500 0.2
	client "$node" checkout.service "$api" 1 200 0.1
	client "$node" reports.service "$warehouse" 1 200000 0.3
	client "$node" agent.service "$model" 5 4000 0.2
	client "$node" agent.service "$model" 3 8000 0.3
done
client node-1 agent.service "$search" 1 200 0.3
client node-1 reports.service "$warehouse" 1 2000000 0.2
client node-1 crawler.service "$api" 1 200 0.05
for _ in 1 2 3 4 5 6 7; do load node-2 crawler.service "$python" -S "$root/tests/lib/connect.py" --count 0 --every 3 --hold 2 127.0.0.1 "$api"; done

# the server of payments is away for a quarter of the time
end=$((SECONDS + warm_up + seconds)) begin=$((EPOCHSECONDS + warm_up))
while [ "$SECONDS" -lt "$end" ]; do
	sleep 30
	[ "$SECONDS" -lt "$end" ] || break
	stop_server "$payments_server"
	sleep 12
	serve "$payments" && payments_server=$server
done
end "$prometheus_server"
cp "$scratch/node-1/ebb.yaml" "$scratch"/agent.*.log "$directory"
echo "from=$begin to=$EPOCHSECONDS" >"$directory/times"
cat "$directory/prometheus.log" "$directory/times"
