# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What ebb-deploy, ebb-rollback, ebb-canary and ebb-fleet-status share: where the nodes are, and how they are
# reached. Sourced, not run.
#
#	nodes on Kubernetes	one pod of the DaemonSet each; kubectl
#	nodes on their own	one systemd unit each; ssh
# What is set here is used by those who source it:
# shellcheck disable=SC2034
set -euo pipefail

program=$(basename "$0")
namespace=ebb
daemonset=ebb
port=9478
context=''
ssh_config=''
hosts=()
given='' # those of the options above that are no list of hosts, as words for a shell
dry_run=''
timeout=300

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() {
	say "$*"
	exit 1
}
wrong_use() {
	say "$*; see $program --help"
	exit 2
}

fleet_help='Where:
  --hosts "A B..."   systemd on these hosts, over ssh, as root (user@host where you are not)
  --hosts-file FILE  the same, one a line, # begins a comment
  --ssh-config FILE  what ssh reads in the place of ~/.ssh/config
                     without either: the DaemonSet of a cluster, over kubectl
  --namespace NAME   of the DaemonSet (default ebb)
  --daemonset NAME   its name (default ebb)
  --context NAME     of kubectl
  --port PORT        at which the agents listen (default 9478)
  --timeout SECONDS  for each step (default 300)
  --dry-run          print what would be run and change nothing
  -h, --help         this text'

# fleet_option ARGS...: takes one option of the above; sets taken to how many words it was, 0: none of ours.
fleet_option() {
	local value=${2-}
	taken=2
	case $1 in
	--dry-run) dry_run=yes taken=1 && return ;;
	--hosts | --hosts-file | --ssh-config | --namespace | --daemonset | --context | --port | --timeout)
		[ -n "$value" ] || wrong_use "$1 needs a value"
		;;
	*) taken=0 && return ;;
	esac
	case $1 in
	--hosts | --hosts-file) ;;
	*) given+=" $1 $(printf %q "$value")" ;;
	esac
	case $1 in
	--hosts)
		read -ra hosts <<<"$value"
		# or it would be a cluster that is meant
		[ "${#hosts[@]}" -gt 0 ] || wrong_use "$1: there is no host in '$value'"
		;;
	--hosts-file)
		[ -r "$value" ] || fail "cannot read '$value'"
		read -ra hosts <<<"$(sed 's/#.*//' "$value" | tr '\n' ' ')"
		[ "${#hosts[@]}" -gt 0 ] || fail "there is no host in '$value'"
		;;
	--ssh-config)
		[ -r "$value" ] || fail "cannot read '$value'"
		ssh_config=$value
		;;
	--namespace) namespace=$value ;;
	--daemonset) daemonset=$value ;;
	--context) context=$value ;;
	--port)
		[[ $value =~ ^[1-9][0-9]*$ ]] || wrong_use "--port: '$value' is no number"
		port=$value
		;;
	--timeout)
		# bash reads 010 as 8
		[[ $value =~ ^[1-9][0-9]*$ ]] || wrong_use "--timeout: '$value' is no number of seconds"
		timeout=$value
		;;
	esac
	local host
	for host in "${hosts[@]}"; do
		# what ssh would take for an option, and what a shell would
		[[ $host =~ ^[A-Za-z0-9_][A-Za-z0-9_.@:-]*$ ]] || wrong_use "'$host' is no name of a host"
	done
}

on_hosts() { [ "${#hosts[@]}" -gt 0 ]; }

# change COMMAND...: what changes something; only printed with --dry-run.
change() {
	if [ -n "$dry_run" ]; then
		printf 'would run:'
		printf ' %q' "$@"
		printf '\n'
	else
		"$@"
	fi
}

kube() { timeout "$timeout" kubectl ${context:+--context="$context"} --namespace="$namespace" "$@"; }
change_kube() { change timeout "$timeout" kubectl ${context:+--context="$context"} --namespace="$namespace" "$@"; }

# to_ssh HOST COMMAND: sets ssh. COMMAND is one word, for the shell there; a host that is gone is given up after 15 s.
to_ssh() {
	ssh=(timeout "$timeout" ssh ${ssh_config:+-F "$ssh_config"} -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 "$1" -- "$2")
}
remote() {
	local ssh
	to_ssh "$@"
	"${ssh[@]}" </dev/null
}
# change_remote HOST COMMAND [FILE]: which is its input
change_remote() {
	local ssh
	to_ssh "$@"
	change "${ssh[@]}" <"${3:-/dev/null}"
}

# for apt-get there: another that runs is waited for; nothing is asked; what was changed in a conffile stays
apt='DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120'
apt+=' -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold'

# "NODE POD" of each pod of the DaemonSet
pods() {
	kube get pods --selector="app.kubernetes.io/name=ebb" --field-selector=status.phase=Running \
		--output='jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name}{"\n"}{end}'
}

# nodes: a name each
nodes() {
	if on_hosts; then printf '%s\n' "${hosts[@]}"; else pods | cut -d' ' -f1; fi
}

# fetch NODE PATH: what the agent there answers; fails on anything but 2xx.
fetch() {
	local pod
	if on_hosts; then
		remote "$1" "curl -fsS --max-time 5 http://127.0.0.1:$port$2"
	else
		pod=$(pods | awk -v node="$1" '$1 == node { print $2; exit }')
		[ -n "$pod" ] || return 1
		kube get --raw "/api/v1/namespaces/$namespace/pods/$pod:$port/proxy$2"
	fi
}

is_ready() { fetch "$1" /health/ready >/dev/null 2>&1; }

# becomes_ready NODE: within the timeout; says why not
becomes_ready() {
	local end=$((SECONDS + timeout)) said
	[ -z "$dry_run" ] || return 0
	until said=$(fetch "$1" /health/ready 2>&1); do
		if [ "$SECONDS" -ge "$end" ]; then
			say "$1 does not become ready: ${said##*$'\n'}"
			return 1
		fi
		sleep 1
	done
}
