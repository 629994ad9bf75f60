// SPDX-License-Identifier: Apache-2.0
//
// One node: what its programs want, what they get, and which breakers and limits stand between.
local lib = import 'lib.libsonnet';
local d = lib.destination;
local p = lib.pair;

function(config) lib.dashboard(
  config,
  'ebb-node',
  'Node',
  'One node, or a few: which of its destinations fail, which of its workloads suffer, what ebb does.',
  [
    {
      title: 'Is it the node',
      panels: [
        lib.stat('Agent', 'Whether the agent can be scraped: 1, or 0. Of several nodes the worst.', 'short', 'min(up{%s})' % lib.node, ['red', 'green', 1], 3),
        lib.stat('Node fuse', '1 while so many destinations fail at once that the fault is probably the node itself.', 'short', 'max(ebb_node_fuse_active{%s})' % lib.node, ['green', 'red', 1], 3),
        lib.stat('Enforces', '1 when enforcement is asked for and in place; 0 in observe mode, or when it is not in place.', 'short', 'min(ebb_enforcement_active{%s})' % lib.node, ['blue', 'green', 1], 3),
        lib.stat('Health', 'The worst component: 0 healthy, 1 degraded, 2 unhealthy; /health says why.', 'short', 'max(ebb_health_state{%s})' % lib.node, ['green', 'orange', 1, 'red', 2], 3),
        lib.stat('Age of the lease', 'Time since the last complete tick. Older than the lease (30 s by default): breakers refuse nothing.', 's', 'max(ebb_lease_age_seconds{%s})' % lib.node, ['green', 'orange', 3, 'red', 10], 4),
        lib.stat('Breakers not closed', 'Gates that refuse or probe now.', 'short', 'sum(ebb_breaker_state{%s,state!="closed"}) or vector(0)' % d, ['green', 'red', 1], 4),
        lib.stat('Open connections', 'Connections that are established now.', 'short', 'sum(ebb_active_connections{%s})' % p, w=4),
      ],
    },
    {
      title: 'Connections',
      panels: [
        lib.graph('Attempts by outcome', 'How each attempt to connect ended. "denied" is what ebb refused, "local" failed on the node before any packet.', 'cps', [lib.target('sum by (outcome) (rate(ebb_connects_total{%s}[$__rate_interval]))' % p, '{{outcome}}')], stack=true),
        lib.graph('Failures by reason', 'Failures of destinations: of attempts, and of connections after they were established.', 'cps', [lib.target('sum by (reason) (rate(ebb_connection_failures_total{%s}[$__rate_interval]))' % p, '{{reason}}')], stack=true),
        lib.graph('Failures by destination', 'The ten worst. Many at once: look at the node first.', 'cps', [lib.target('topk(10, sum by (destination) (rate(ebb_connection_failures_total{%s}[$__rate_interval])))' % p, '{{destination}}')]),
        lib.graph('Failures by workload', 'Who on this node suffers: the ten that see most failures.', 'cps', [lib.target('topk(10, sum by (namespace, workload) (rate(ebb_connection_failures_total{%s}[$__rate_interval])))' % p, '{{namespace}} {{workload}}')]),
      ],
    },
    {
      title: 'What ebb does',
      panels: [
        lib.table(
          'Breakers that are not closed',
          'Each with the share of failures in its window. One of scope node has no workload.',
          ['destination', 'workload', 'namespace', 'node'],
          [
            { name: 'Failures in the window', unit: 'percentunit', expr: 'max by (destination, workload, namespace, node) (ebb_breaker_failure_ratio{%s} and sum without (state) (ebb_breaker_state{%s,state!="closed"}) > 0)' % [d, d], thresholds: ['transparent', 'red', 0.5] },
            { name: 'Probes in', unit: 's', expr: 'max by (destination, workload, namespace, node) (clamp_min((ebb_breaker_open_until_timestamp_seconds{%s} > 0) - time(), 0))' % d },
          ],
          w=12,
          h=8
        ),
        lib.graph('Refused by cause', 'What a gate refused, or in observe mode would have (enforced false).', 'cps', [lib.target('sum by (cause, enforced) (rate(ebb_denied_total{%s}[$__rate_interval]))' % p, '{{cause}}, enforced {{enforced}}')], stack=true),
        lib.graph('Transitions', 'Changes of breakers each minute, by where to.', 'short', [lib.target('60 * sum by (from, to) (rate(ebb_breaker_transitions_total{%s}[$__rate_interval]))' % d, '{{from}} to {{to}}')]),
        lib.graph('Concurrency', 'Slots taken, as a share of the limit, the ten fullest.', 'percentunit', [lib.target('topk(10, ebb_concurrent_in_use{%s} / (ebb_concurrent_limit{%s} > 0))' % [d, d], '{{destination}} {{workload}}')]),
      ],
    },
    {
      title: 'Traffic',
      panels: [
        lib.graph('Bytes', 'Payload sent and received, counted when a connection ends, or while it lives from its first megabyte on.', 'Bps', [lib.target('sum(rate(ebb_sent_bytes_total{%s}[$__rate_interval]))' % p, 'sent'), lib.target('sum(rate(ebb_received_bytes_total{%s}[$__rate_interval]))' % p, 'received')], w=8),
        lib.graph('Time to connect', 'From the first SYN to the established connection.', 's', [lib.target('histogram_quantile(%g, sum by (le) (rate(ebb_connect_duration_seconds_bucket{%s}[$__rate_interval])))' % [q, d], 'p%g' % (100 * q)) for q in [0.5, 0.95, 0.99]], w=8),
        lib.graph('Retransmissions', 'TCP segments sent again: packets are lost on the way, or the other side is overloaded.', 'pps', [lib.target('topk(10, sum by (destination) (rate(ebb_retransmits_total{%s}[$__rate_interval])))' % p, '{{destination}}')], w=8),
      ],
    },
  ],
  one='node'
)
