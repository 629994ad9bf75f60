#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What is left out of a build is not in it, and who asks for it is told so in one line: a build without Kubernetes,
# PostgreSQL, traces and a filter of system calls.
# deadline: 600

# SC2119: functions with optional arguments; SC2317: functions that are arguments
# shellcheck disable=SC2119,SC2317
# shellcheck source=../lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# Kept, so that the next time only what has changed is built.
without=$EBB_BUILD/without
if ! make -C "$root" --no-print-directory -j2 BUILD="$without" OPTIMIZE=-O1 \
	WITH_KUBERNETES=0 WITH_POSTGRES=0 WITH_OTLP=0 WITH_SECCOMP=0 all >"$scratch/make.log" 2>&1; then
	bail "it does not build: $(tail -5 "$scratch/make.log")"
fi
ok 'it builds without all of them'
ebb_program=$without/ebb
refute 'no client of Kubernetes is in it' sh -c "nm '$ebb_program' | grep -q ebb_kube_"
refute 'nothing of libpq' grep -q 'libpq\.so' "$ebb_program"
refute 'nothing of libseccomp' grep -q 'libseccomp\.so' "$ebb_program"
refute 'nothing of OTLP' grep -qE 'resource(Spans|Metrics)' "$ebb_program"
check 'each is there otherwise' sh -c "nm '$EBB_BUILD/ebb' | grep -q ebb_kube_ && grep -q 'libpq\.so' '$EBB_BUILD/ebb' && grep -q resourceSpans '$EBB_BUILD/ebb' && grep -q resourceMetrics '$EBB_BUILD/ebb'"

component() { http_get /health | json "d['components']['$1']['$2']"; }

# ------------------------------------------------------------------------ nobody asks

start_agent
refute 'nobody asks: nothing is said' logged 'traces|Kubernetes|postgres|built without'
is 'auto is then off' "$(component kubernetes state)" healthy
is 'traces are healthy' "$(component traces state)" healthy
check 'no filter of system calls: one line' logged 'no system call is refused to the agent: it was made with WITH_SECCOMP=0'
is 'that is as it was made: healthy, and the metric says so' "$(component seccomp state) $(http_get /metrics | awk '/^ebb_seccomp_enforced / { print $2 }')" 'healthy 0'

# ------------------------------------------------------------------------ traces

printf 'traces: {otlp: {endpoint: "http://127.0.0.1:1"}}\n' >"$EBB_CONFIG"
check 'traces asked for: one line' wait_for 10 logged \
	'warn: traces.otlp.endpoint asks for traces, but this ebb is built without them \(WITH_OTLP=0\): none are sent'
like 'health has it' "$(component traces why)" 'WITH_OTLP=0'
is 'ready all the same' "$(http_status /health/ready)" 200
printf 'metrics: {otlp: {enabled: on}}\n' >"$EBB_CONFIG"
check 'metrics asked for: one line' wait_for 10 logged \
	'warn: metrics.otlp.enabled asks for metrics, but this ebb is built without them \(WITH_OTLP=0\): none are sent'
like 'health has it' "$(component metrics_otlp why)" 'WITH_OTLP=0'
is 'nobody asks for traces any more' "$(component traces state)" healthy
stop_agent

# ------------------------------------------------------------------------ PostgreSQL, and traces by a variable

export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 EBB_AUDIT_SQLITE_PATH=$scratch/audit.db
printf 'audit: {postgres: {host: 127.0.0.1}}\n' >"$EBB_CONFIG"
start_agent
check 'traces asked for by a variable' logged 'OTEL_EXPORTER_OTLP_ENDPOINT asks for traces'
is 'once' "$(grep -c 'asks for traces' "$agent_log")" 1
check 'and metrics' logged 'OTEL_EXPORTER_OTLP_ENDPOINT asks for metrics'
like 'a sink that is not there: one line' "$(cat "$agent_log")" \
	'audit\.postgres\.host asks for PostgreSQL, but this ebb is built without it \(WITH_POSTGRES=0\): no events go there'
is 'and one only' "$(grep -c 'audit.postgres' "$agent_log")" 1
is_postgres() { [ "$(component audit_postgres state)" = "$1" ]; }
check 'health has it' wait_for 10 is_postgres degraded
like 'with the reason' "$(component audit_postgres why)" 'WITH_POSTGRES=0'
has_events() { ebb audit --from "$EBB_AUDIT_SQLITE_PATH" 2>/dev/null | grep -q .; }
check 'the other sinks have their events' wait_for 20 has_events
stop_agent

# ------------------------------------------------------------------------ Kubernetes

unset OTEL_EXPORTER_OTLP_ENDPOINT
echo 'kubernetes: {source: kubelet}' >"$EBB_CONFIG"
start_agent
check 'who asks for Kubernetes is told so' logged \
	'kubernetes.source asks for Kubernetes, but this ebb is built without it \(WITH_KUBERNETES=0\): workloads go by their cgroups'
is 'in one line' "$(grep -c 'WITH_KUBERNETES' "$agent_log")" 1
is 'health has it' "$(component kubernetes state)" degraded
like 'with the reason' "$(component kubernetes why)" 'WITH_KUBERNETES=0'
is 'ready all the same' "$(http_status /health/ready)" 200
stop_agent

done_testing
