// SPDX-License-Identifier: Apache-2.0
//
// One node: what its programs want, what they get, and which breakers and limits stand between.
local lib = import 'lib.libsonnet';
local d = lib.destination;
local p = lib.pair;
local refused = 'rate(ebb_denied_total{%s,enforced="true"}[$__rate_interval])' % p;

function(config) lib.dashboard(
  config,
  'ebb-node',
  'Node',
  'One node, or a few: which of its destinations fail, which of its workloads suffer, what ebb does.',
  [
    {
      title: 'Is it the node',
      panels: [
        lib.stat('Agent', 'Whether the agent can be scraped. Of several nodes the worst.', 'short', 'min(up{%s})' % lib.node, ['red', 'green', 1], 3, lib.words({ '0': ['gone', 'red'], '1': ['answers', 'green'] })),
        lib.stat('Node fuse', 'Acts while so many destinations fail at once that the fault is probably the node itself.', 'short', 'max(ebb_node_fuse_active{%s})' % lib.node, ['green', 'red', 1], 3, lib.words({ '0': ['quiet', 'green'], '1': ['acts', 'red'] })),
        lib.stat('Enforces', 'Yes when enforcement is asked for and in place; no in observe mode, or when it is not in place.', 'short', 'min(ebb_enforcement_active{%s})' % lib.node, ['blue', 'green', 1], 3, lib.words({ '0': ['no', 'blue'], '1': ['yes', 'green'] })),
        lib.stat('Health', 'Of the worst component; /health says which, and why. An open breaker degrades it, too.', 'short', 'max(ebb_health_state{%s})' % lib.node, ['green', 'orange', 1, 'red', 2], 3, lib.words({ '0': ['healthy', 'green'], '1': ['degraded', 'orange'], '2': ['unhealthy', 'red'] })),
        lib.stat('Age of the lease', 'Time since the last complete tick. Older than the lease (30 s by default): breakers refuse nothing.', 's', 'max(ebb_lease_age_seconds{%s})' % lib.node, ['green', 'orange', 3, 'red', 10], 4),
        lib.stat('Breakers not closed', 'Gates that refuse or probe now.', 'short', 'sum(ebb_breaker_state{%s,state!="closed"}) or vector(0)' % d, ['green', 'red', 1], 4),
        lib.stat('Open connections', 'Connections that are established now.', 'short', 'sum(ebb_active_connections{%s})' % p, w=4),
      ],
    },
    {
      title: 'Connections',
      panels: [
        lib.graph('Attempts by outcome', 'How each attempt to connect ended. "denied" is what ebb refused, "local" failed on the node before any packet.', 'cps', [lib.target('sum by (outcome) (rate(ebb_connects_total{%s}[$__rate_interval])) > 0' % p, '{{outcome}}')], stack=true, more=lib.none('none') + lib.overrides(lib.outcomes)),
        lib.graph('Failures by reason', 'Failures of destinations: of attempts, and of connections after they were established.', 'cps', [lib.target('sum by (reason) (rate(ebb_connection_failures_total{%s}[$__rate_interval])) > 0' % p, '{{reason}}')], stack=true, more=lib.none('none') + lib.overrides(lib.outcomes)),
        lib.graph('Failures by destination', 'The ten worst. Many at once: look at the node first.', 'cps', [lib.target('topk(10, sum by (destination) (rate(ebb_connection_failures_total{%s}[$__rate_interval])))' % p, '{{destination}}')]),
        lib.graph('Failures by workload', 'Who on this node suffers: the ten that see most failures.', 'cps', [lib.target('topk(10, sum by (namespace, workload) (rate(ebb_connection_failures_total{%s}[$__rate_interval])))' % p, '{{namespace}} {{workload}}')]),
      ],
    },
    {
      title: 'What ebb does',
      panels: [
        lib.table(
          'Breakers that are not closed',
          'Each with what ebb refuses because of it. One of scope node has no workload; "Destination" says since when.',
          ['destination', 'workload', 'namespace', 'node'],
          [
            {
              name: 'State',
              unit: 'short',
              // a series may tell of several breakers (metrics.labels): ^ 0 makes 1 of however many
              expr: 'max by (destination, workload, namespace, node) ((ebb_breaker_state{%s,state="half_open"} > 0) ^ 0 or 2 * (ebb_breaker_state{%s,state="open"} > 0) ^ 0)' % [d, d],
              thresholds: ['transparent', 'orange', 1, 'red', 2],
              mappings: [{ type: 'value', options: { '1': { text: 'half-open', index: 0 }, '2': { text: 'open', index: 1 } } }],
            },
            { name: 'Probes in', unit: 's', expr: 'max by (destination, workload, namespace, node) (clamp_min((ebb_breaker_open_until_timestamp_seconds{%s} > 0) - time(), 0))' % d },
            // a breaker without a workload refuses those of all
            { name: 'Refused/s', unit: 'short', expr: '(sum by (destination, workload, namespace, node) (%s) or sum by (destination, node) (%s)) and on (destination, workload, namespace, node) (ebb_breaker_state{%s,state!="closed"} > 0)' % [refused, refused, d] },
          ],
          h=7
        ),
        lib.graph('Refused by cause', 'What a gate refused, or in observe mode would have.', 'cps', [lib.target('sum by (cause, enforced) (rate(ebb_denied_total{%s}[$__rate_interval])) > 0' % p, '{{cause}}, enforced {{enforced}}')], w=8, stack=true, more=lib.none('nothing is refused') + lib.overrides(lib.causes)),
        lib.graph('Transitions a minute', 'How often breakers change, by where to.', 'short', [lib.target('60 * sum by (from, to) (rate(ebb_breaker_transitions_total{%s}[$__rate_interval])) > 0' % d, '{{from}} to {{to}}')], w=8, more=lib.none('none')),
        lib.graph('Concurrency', 'Slots taken, as a share of the limit, the ten fullest.', 'percentunit', [lib.target('topk(10, ebb_concurrent_in_use{%s} / (ebb_concurrent_limit{%s} > 0))' % [d, d], '{{destination}} {{workload}}')], w=8, more=lib.none('no such limit') + lib.whole),
      ],
    },
    {
      title: 'Traffic',
      panels: [
        lib.graph('Bytes', 'Payload sent and received, counted when a connection ends, or while it lives from its first megabyte on.', 'Bps', [lib.target('sum(rate(ebb_sent_bytes_total{%s}[$__rate_interval]))' % p, 'sent'), lib.target('sum(rate(ebb_received_bytes_total{%s}[$__rate_interval]))' % p, 'received')], w=8),
        lib.graph('Time to connect', 'From the first SYN to the established connection.', 's', [lib.target('histogram_quantile(%g, sum by (le) (rate(ebb_connect_duration_seconds_bucket{%s}[$__rate_interval])))' % [q, d], 'p%g' % (100 * q)) for q in [0.5, 0.95, 0.99]], w=8),
        lib.graph('Retransmissions', 'TCP segments sent again: packets are lost on the way, or the other side is overloaded.', 'cps', [lib.target('topk(10, sum by (destination) (rate(ebb_retransmits_total{%s}[$__rate_interval])))' % p, '{{destination}}')], w=8),
      ],
    },
  ],
  one='node'
)
