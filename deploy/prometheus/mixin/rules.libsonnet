// SPDX-License-Identifier: Apache-2.0
//
// Recording rules: what alerts and the fleet's dashboards ask for, summed once. A name says what is left of the
// labels, the metric, and what was done: level:metric:operations.
local destination = 'cluster, destination';
local node = 'cluster, node';
// What was really tried of the destination: not what ebb refused, what failed on the node itself, or was called off.
local attempts = 'ebb_connects_total{outcome!~"denied|local|cancelled"}';

local byLevel(level, by) = [
  {
    record: level + ':ebb_connects:rate5m',
    expr: 'sum by (%s) (rate(%s[5m]))' % [by, attempts],
  },
  {
    record: level + ':ebb_connection_failures:rate5m',
    expr: 'sum by (%s) (rate(ebb_connection_failures_total[5m]))' % by,
  },
  {
    record: level + ':ebb_denied:rate5m',
    expr: 'sum by (%s, cause, enforced) (rate(ebb_denied_total[5m]))' % by,
  },
  {
    record: level + ':ebb_active_connections:sum',
    expr: 'sum by (%s) (ebb_active_connections)' % by,
  },
  {
    // gates, not destinations: one of scope workload has one for each workload, in one series or (metrics.labels) in fewer
    record: level + ':ebb_breaker_state:not_closed',
    expr: 'sum by (%s) (ebb_breaker_state{state!="closed"})' % by,
  },
];

local histograms = [
  {
    record: 'cluster_destination_le:%s_bucket:rate5m' % metric,
    expr: 'sum by (cluster, destination, le) (rate(%s_bucket[5m]))' % metric,
  }
  for metric in ['ebb_connect_duration_seconds', 'ebb_rtt_seconds', 'ebb_turn_duration_seconds']
];

{
  prometheusRules+:: {
    groups+: [
      {
        name: 'ebb-destinations',
        rules: byLevel('cluster_destination', destination) + histograms + [
          {
            record: 'cluster_destination:ebb_breaker_state:nodes',
            expr: 'count by (cluster, destination) (count by (cluster, node, destination) (ebb_breaker_state{state="closed"}))',
          },
          {
            record: 'cluster_destination:ebb_breaker_state:nodes_not_closed',
            expr: |||
              count by (cluster, destination) (sum by (cluster, node, destination) (ebb_breaker_state{state!="closed"}) > 0)
              or 0 * cluster_destination:ebb_breaker_state:nodes
            |||,
          },
          {
            // Unix time; what was recorded a moment ago goes on as long as it is not closed
            record: 'cluster_destination:ebb_breaker_state:not_closed_since',
            expr: |||
              (cluster_destination:ebb_breaker_state:not_closed_since and cluster_destination:ebb_breaker_state:not_closed > 0)
              or 0 * (cluster_destination:ebb_breaker_state:not_closed > 0) + time()
            |||,
          },
          {
            record: 'cluster_destination:ebb_connection_failures:ratio_rate5m',
            expr: |||
              cluster_destination:ebb_connection_failures:rate5m
              / (cluster_destination:ebb_connects:rate5m > 0)
            |||,
          },
          {
            record: 'cluster_destination:ebb_connect_duration_seconds:p95_rate5m',
            expr: 'histogram_quantile(0.95, cluster_destination_le:ebb_connect_duration_seconds_bucket:rate5m)',
          },
          {
            record: 'cluster_destination:ebb_breaker_transitions:rate5m',
            expr: 'sum by (cluster, destination, from, to, reason) (rate(ebb_breaker_transitions_total[5m]))',
          },
        ],
      },
      { name: 'ebb-nodes', rules: byLevel('cluster_node', node) },
    ],
  },
}
