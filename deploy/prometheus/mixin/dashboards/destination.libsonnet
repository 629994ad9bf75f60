// SPDX-License-Identifier: Apache-2.0
//
// One destination: what it does, how quick it is, what its breaker and its limits do, and who uses it.
local lib = import 'lib.libsonnet';
local d = lib.destination;
local p = lib.pair;
local cd = 'cluster=~"$cluster",destination=~"$destination"';

local quantiles(metric) = [
  lib.target('histogram_quantile(%g, sum by (le) (cluster_destination_le:%s_bucket:rate5m{%s}))' % [q, metric, cd], 'p%g' % (100 * q))
  for q in [0.5, 0.95, 0.99]
];
local limit(what, unit, available, rate, description) =
  lib.graph('Limit of ' + what, description, unit, [
    lib.target('topk(10, sum by (node) (%s{%s}))' % [available, d], 'left, {{node}}'),
    lib.target('max by (destination) (%s{%s})' % [rate, d], 'allowed each second, {{destination}}'),
  ], w=6, more=lib.none('no such limit'));

function(config) lib.dashboard(
  config,
  'ebb-destination',
  'Destination',
  'One destination, over all nodes or on one: state of its breaker, failures, latency, limits, who uses it.',
  [
    {
      title: 'State',
      panels: [
        lib.stat('Breakers not closed', 'Gates of the destination that refuse or probe now.', 'short', 'sum(cluster_destination:ebb_breaker_state:not_closed{%s})' % cd, ['green', 'red', 1]),
        lib.stat('On nodes', 'Nodes on which it is not closed. All that use it: the destination is at fault. One of many: that node.', 'short', 'sum(cluster_destination:ebb_breaker_state:nodes_not_closed{%s})' % cd, ['green', 'orange', 1]),
        lib.stat('Nodes that use it', 'Nodes whose programs connect to it.', 'short', 'sum(cluster_destination:ebb_breaker_state:nodes{%s})' % cd),
        lib.stat('Failures', 'Share of failures of what was really tried, in five minutes.', 'percentunit', 'sum(cluster_destination:ebb_connection_failures:rate5m{%s}) / (sum(cluster_destination:ebb_connects:rate5m{%s}) > 0)' % [cd, cd], ['green', 'orange', 0.01, 'red', 0.1]),
        lib.stat('Refused by ebb', 'Connections each second that ebb refused.', 'cps', 'sum(cluster_destination:ebb_denied:rate5m{%s,enforced="true"}) or vector(0)' % cd, ['green', 'orange', 0.001]),
        lib.stat('Time to connect', 'Of 95 of 100 connections, in five minutes, the slowest of the chosen destinations.', 's', 'max(cluster_destination:ebb_connect_duration_seconds:p95_rate5m{%s})' % cd, ['green', 'orange', 0.262144, 'red', 1.048576]),
      ],
    },
    {
      title: 'The breaker',
      panels: [
        lib.graph('Gates by state', 'How many gates are in which state.', 'short', [lib.target('sum by (state) (ebb_breaker_state{%s}) > 0' % d, '{{state}}')], w=8, stack=true, more={ fieldConfig+: { overrides: [lib.color('closed', 'green'), lib.color('half_open', 'yellow'), lib.color('open', 'red')] } }),
        lib.graph('Failures in the window', 'What the breaker judges: the share of failures in its window, the worst nodes.', 'percentunit', [lib.target('topk(10, max by (node, destination) (ebb_breaker_failure_ratio{%s}))' % d, '{{node}} {{destination}}')], w=8, more=lib.whole),
        lib.graph('Transitions a minute', 'How often it changes, and why.', 'short', [lib.target('60 * sum by (from, to, reason) (rate(ebb_breaker_transitions_total{%s}[$__rate_interval])) > 0' % d, '{{to}}, {{reason}}')], w=8, more=lib.none('none')),
      ],
    },
    {
      title: 'Connections',
      panels: [
        lib.graph('Attempts by outcome', 'How each attempt to connect ended; "denied" is what ebb refused.', 'cps', [lib.target('sum by (outcome) (rate(ebb_connects_total{%s}[$__rate_interval])) > 0' % p, '{{outcome}}')], w=8, stack=true, more=lib.none('none') + lib.overrides(lib.outcomes)),
        lib.graph('Failures by reason', 'refused and unreachable: nobody listens there; timeout and abandoned: no answer; reset and unanswered: after it was established.', 'cps', [lib.target('sum by (reason) (rate(ebb_connection_failures_total{%s}[$__rate_interval])) > 0' % p, '{{reason}}')], w=8, stack=true, more=lib.none('none') + lib.overrides(lib.outcomes)),
        lib.graph('Refused by cause', 'What a gate refused, or in observe mode would have.', 'cps', [lib.target('sum by (cause, enforced) (rate(ebb_denied_total{%s}[$__rate_interval])) > 0' % p, '{{cause}}, enforced {{enforced}}')], w=8, stack=true, more=lib.none('nothing is refused') + lib.overrides(lib.causes)),
        lib.graph('Failures by node', 'The ten worst. One alone: look at that node.', 'cps', [lib.target('topk(10, sum by (node) (rate(ebb_connection_failures_total{%s}[$__rate_interval])))' % p, '{{node}}')], w=8),
        lib.graph('Attempts by workload', 'Who connects to it: the ten busiest.', 'cps', [lib.target('topk(10, sum by (namespace, workload) (rate(ebb_connects_total{%s}[$__rate_interval])))' % p, '{{namespace}} {{workload}}')], w=8),
        lib.graph('Open connections', 'Established now, the ten workloads with most.', 'short', [lib.target('topk(10, sum by (namespace, workload) (ebb_active_connections{%s}))' % p, '{{namespace}} {{workload}}')], w=8),
      ],
    },
    {
      title: 'Latency, measured in the kernel, of all nodes',
      panels: [
        lib.graph('Time to connect', 'From the first SYN to the established connection.', 's', quantiles('ebb_connect_duration_seconds'), w=8),
        lib.graph('Round trip', 'Smoothed round-trip time as TCP measures it: the network, not the server.', 's', quantiles('ebb_rtt_seconds'), w=8),
        lib.graph('Time to first byte', 'From the last byte of a request to the first byte of its answer; of a streaming model API the time to first token.', 's', quantiles('ebb_turn_duration_seconds'), w=8),
        lib.graph('Turns by result', 'Requests each second by how they ended.', 'reqps', [lib.target('sum by (result) (rate(ebb_turns_total{%s}[$__rate_interval])) > 0' % p, '{{result}}')], w=8, stack=true, more=lib.none('none') + lib.overrides(lib.outcomes)),
        lib.graph('Bytes', 'Payload sent and received; counted when a connection ends, or while it lives from its first megabyte on.', 'Bps', [lib.target('sum(rate(ebb_sent_bytes_total{%s}[$__rate_interval]))' % p, 'sent'), lib.target('sum(rate(ebb_received_bytes_total{%s}[$__rate_interval]))' % p, 'received')], w=8),
        lib.graph('Retransmissions', 'TCP segments sent again, by node, the ten worst.', 'cps', [lib.target('topk(10, sum by (node) (rate(ebb_retransmits_total{%s}[$__rate_interval])))' % p, '{{node}}')], w=8),
      ],
    },
    {
      title: 'Limits',
      panels: [
        lib.graph('Concurrency', 'Slots taken and the limit, by node.', 'short', [lib.target('topk(10, sum by (node) (ebb_concurrent_in_use{%s}))' % d, 'taken, {{node}}'), lib.target('max by (destination) (ebb_concurrent_limit{%s} > 0)' % d, 'limit, {{destination}}')], w=6, more=lib.none('no such limit')),
        limit('connects', 'short', 'ebb_limit_connects_available', 'ebb_limit_connects_rate', 'Connections that can be begun at once before the limit holds, by node, and how many each second are allowed.'),
        limit('bytes', 'bytes', 'ebb_limit_bytes_available', 'ebb_limit_bytes_rate', 'Bytes that can be sent at once before the limit holds, by node, and how many each second are allowed.'),
        lib.graph('Dropped and slowed down', 'Packets that a limit or an open breaker dropped each second, or would have; on the right the connections that are slowed down now.', 'cps', [lib.target('sum by (cause, enforced) (rate(ebb_dropped_packets_total{%s}[$__rate_interval]))' % p, 'dropped, {{cause}}, enforced {{enforced}}'), lib.target('sum(ebb_paced_connections{%s})' % d, 'slowed down')], w=6, more=lib.none('no such limit') + lib.overrides(lib.dropped + [lib.right('slowed down', 'short')])),
      ],
    },
    {
      title: 'Error budgets (docs/slo.md)',
      panels: [
        lib.graph('Bad events', 'Share of bad events in windows of an hour and of six hours.', 'percentunit', [
          lib.target('slo:sli_error:ratio_rate1h{%s}' % cd, '{{destination}}, {{slo}}, 1h'),
          lib.target('slo:sli_error:ratio_rate6h{%s}' % cd, '{{destination}}, {{slo}}, 6h'),
        ]),
        lib.graph('Budget left of the last three days', 'Below 0 the objective is missed; below -100% is not drawn.', 'percentunit', [lib.target('1 - slo:sli_error:ratio_rate3d{%s} / on (cluster, destination, slo) (1 - slo:objective:ratio{%s})' % [cd, cd], '{{destination}}, {{slo}}')], more=lib.whole + { fieldConfig+: { defaults+: { min: -1 } } }),
      ],
    },
  ],
  one='destination'
)
