// SPDX-License-Identifier: Apache-2.0
//
// The fleet, for who was woken: what is broken, since when, whose fault it is, what ebb does about it.
local lib = import 'lib.libsonnet';
local c = 'cluster=~"$cluster"';
local cd = c + ',destination=~"$destination"';
local cn = c + ',node=~"$node"';

function(config) lib.dashboard(
  config,
  'ebb-fleet',
  'Fleet',
  'All nodes: which destinations are broken, since when, on how many nodes, and what is refused because of it.',
  [
    {
      title: 'Is anything broken',
      panels: [
        lib.stat('Destinations not closed', 'Destinations of which at least one breaker is open or half-open now.', 'short', 'count(cluster_destination:ebb_breaker_state:not_closed{%s} > 0) or vector(0)' % cd, ['green', 'red', 1]),
        lib.stat('Failures', 'Connections that failed each second, of all destinations: what programs saw, without what ebb refused.', 'cps', 'sum(cluster_destination:ebb_connection_failures:rate5m{%s})' % cd),
        lib.stat('Refused by ebb', 'Connections each second that ebb really refused, by breaker, limit, fuse or by hand.', 'cps', 'sum(cluster_destination:ebb_denied:rate5m{%s,enforced="true"}) or vector(0)' % cd, ['green', 'orange', 0.001]),
        lib.stat('Node fuses that act', 'Nodes on which so many destinations fail at once that the fault is probably the node itself.', 'short', 'sum(ebb_node_fuse_active{%s})' % lib.node, ['green', 'red', 1]),
        lib.stat('Agents that answer', 'Share of the agents that could be scraped. What does not answer refuses nothing after its lease.', 'percentunit', 'avg(up{%s})' % lib.node, ['red', 'green', 1]),
        lib.stat('Agents that enforce', 'Share of the agents that refuse and limit; the others observe, or their programs are not in place.', 'percentunit', 'avg(ebb_enforcement_active{%s})' % lib.node),
      ],
    },
    {
      title: 'What is broken, since when, whose fault',
      panels: [
        lib.table(
          'Destinations that are not closed',
          'Each with since when, on how many of the nodes that use it, what fails and what ebb refuses. On all of them: the destination is at fault. On one of many: look at that node.',
          ['destination', 'cluster'],
          [
            { name: 'Not closed for', unit: 's', expr: 'time() - cluster_destination:ebb_breaker_state:not_closed_since{%s}' % cd },
            { name: 'On nodes', unit: 'short', expr: 'cluster_destination:ebb_breaker_state:nodes_not_closed{%s} and cluster_destination:ebb_breaker_state:not_closed{%s} > 0' % [cd, cd], thresholds: ['transparent', 'orange', 1] },
            { name: 'Of nodes', unit: 'short', expr: 'cluster_destination:ebb_breaker_state:nodes{%s} and cluster_destination:ebb_breaker_state:not_closed{%s} > 0' % [cd, cd] },
            { name: 'Failures', unit: 'percentunit', expr: 'cluster_destination:ebb_connection_failures:ratio_rate5m{%s} and cluster_destination:ebb_breaker_state:not_closed{%s} > 0' % [cd, cd], thresholds: ['transparent', 'red', 0.1] },
            { name: 'Failed/s', unit: 'short', expr: 'cluster_destination:ebb_connection_failures:rate5m{%s} and cluster_destination:ebb_breaker_state:not_closed{%s} > 0' % [cd, cd] },
            { name: 'Refused/s', unit: 'short', expr: 'sum by (cluster, destination) (cluster_destination:ebb_denied:rate5m{%s,enforced="true"}) and cluster_destination:ebb_breaker_state:not_closed{%s} > 0' % [cd, cd] },
          ],
          w=15
        ),
        lib.table(
          'Nodes where breakers are not closed',
          'How many breakers of the node are not closed. One node alone at the top: its network is at fault, not the destinations.',
          ['node', 'cluster'],
          [
            { name: 'Not closed', unit: 'short', expr: 'topk(20, cluster_node:ebb_breaker_state:not_closed{%s} > 0)' % cn, thresholds: ['transparent', 'orange', 1] },
            { name: 'Failed/s', unit: 'short', expr: 'cluster_node:ebb_connection_failures:rate5m{%s} and topk(20, cluster_node:ebb_breaker_state:not_closed{%s} > 0)' % [cn, cn] },
          ],
          w=9
        ),
      ],
    },
    {
      title: 'Destinations',
      panels: [
        lib.graph('Share of failures', 'Of what was really tried, the ten worst. What ebb refused is not in it.', 'percentunit', [lib.target('topk(10, cluster_destination:ebb_connection_failures:ratio_rate5m{%s})' % cd, '{{destination}}')]),
        lib.graph('Refused by cause', 'What ebb refuses each second and why; in observe mode what it would refuse.', 'cps', [lib.target('sum by (cause, enforced) (cluster_destination:ebb_denied:rate5m{%s}) > 0' % cd, '{{cause}}, enforced {{enforced}}')], stack=true, more=lib.none('nothing is refused') + lib.overrides(lib.causes)),
        lib.graph('Breakers not closed', 'Breakers that are open or half-open, by destination, the ten worst. A saw tooth is a breaker that flaps.', 'short', [lib.target('topk(10, cluster_destination:ebb_breaker_state:not_closed{%s} > 0)' % cd, '{{destination}}')], more=lib.none('all are closed')),
        lib.graph('Time to connect, 95th percentile', 'The ten slowest destinations.', 's', [lib.target('topk(10, cluster_destination:ebb_connect_duration_seconds:p95_rate5m{%s})' % cd, '{{destination}}')]),
        lib.graph('Attempts', 'Connections that were really tried each second, the ten busiest destinations.', 'cps', [lib.target('topk(10, cluster_destination:ebb_connects:rate5m{%s})' % cd, '{{destination}}')]),
        lib.graph('Transitions a minute', 'How often breakers change, by where to and why.', 'short', [lib.target('60 * sum by (from, to, reason) (%s) > 0' % lib.recordedTransitions, '{{to}}, {{reason}}')], more=lib.none('none')),
      ],
    },
    {
      title: 'Error budgets (docs/slo.md)',
      panels: [
        lib.graph('Burn rate of one hour', 'How many times too fast the error budget is used, the ten worst. Over 14.4 somebody is woken.', 'short', [lib.target('topk(10, slo:sli_error:ratio_rate1h{%s} / on (cluster, destination, slo) (1 - slo:objective:ratio{%s}))' % [cd, cd], '{{destination}}, {{slo}}')]),
        lib.table(
          'Budget left of the last three days',
          'Share of the error budget that the last three days have left. Below 0 the objective is missed.',
          ['destination', 'slo', 'cluster'],
          [{ name: 'Left', unit: 'percentunit', expr: '1 - slo:sli_error:ratio_rate3d{%s} / on (cluster, destination, slo) (1 - slo:objective:ratio{%s})' % [cd, cd], thresholds: ['red', 'transparent', 0] }],
          w=12,
          h=8,
          more={ options+: { sortBy: [{ displayName: 'Left', desc: false }] } }
        ),
      ],
    },
    {
      title: 'Agents',
      panels: [
        lib.graph('Components that are not healthy', 'Agents with a component that is degraded or unhealthy. "breakers" and "node_fuse" say that something else is broken.', 'short', [lib.target('count by (component) (ebb_health_state{%s} > 0)' % lib.node, '{{component}}')], w=8, more=lib.none('all are healthy')),
        lib.graph('Versions', 'Agents by version: an upgrade that stands still is seen here.', 'short', [lib.target('count by (version) (ebb_build_info{%s})' % lib.node, '{{version}}')], w=8, stack=true),
        lib.graph('Memory of agents', 'The largest, and the mean.', 'bytes', [lib.target('max(process_resident_memory_bytes{%s})' % lib.node, 'largest'), lib.target('avg(process_resident_memory_bytes{%s})' % lib.node, 'mean')], w=8),
      ],
    },
  ],
  transitions=lib.recordedTransitions
)
