// SPDX-License-Identifier: Apache-2.0
//
// Two objectives for each destination that the configuration names (docs/slo.md): connections succeed, and they
// are quick. Bad events and all events are recorded each as a rate of 5 minutes; longer windows are means of these,
// so that a window of three days reads one series and not all counters of all nodes.
local windows = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'];

local record(name, slo, expr) = { record: name, labels: { slo: slo }, expr: expr };

// Kept once for each destination that has events, so that it can be joined.
local objective(slo, value) = record('slo:objective:ratio', slo,
                                     '0 * sum by (cluster, destination) (slo:events:rate5m{slo="%s"}) + %g' % [slo, value]);

{
  local slo = $._config.slo,

  prometheusRules+:: {
    groups+: [
      {
        name: 'ebb-slo-events',
        // said here, since sums over a window are counted with it
        interval: '1m',
        rules: [
          // What programs asked for and should have got: limits and orders by hand refuse on purpose, breakers and fuse do not.
          record('slo:events:rate5m', 'availability', |||
            sum by (cluster, destination) (rate(ebb_connects_total{outcome!~"denied|local|cancelled",%(selector)s}[5m]))
            + (
              sum by (cluster, destination) (rate(ebb_denied_total{cause=~"breaker|half_open|fuse",enforced="true",%(selector)s}[5m]))
              or 0 * sum by (cluster, destination) (rate(ebb_connects_total{outcome="established",%(selector)s}[5m]))
            )
          ||| % slo),
          record('slo:errors:rate5m', 'availability', |||
            sum by (cluster, destination) (rate(ebb_connection_failures_total{%(selector)s}[5m]))
            + (
              sum by (cluster, destination) (rate(ebb_denied_total{cause=~"breaker|half_open|fuse",enforced="true",%(selector)s}[5m]))
              or 0 * sum by (cluster, destination) (rate(ebb_connects_total{outcome="established",%(selector)s}[5m]))
            )
          ||| % slo),
          record('slo:events:rate5m', 'latency', |||
            sum by (cluster, destination) (rate(ebb_connect_duration_seconds_count{%(selector)s}[5m]))
          ||| % slo),
          record('slo:errors:rate5m', 'latency', |||
            sum by (cluster, destination) (rate(ebb_connect_duration_seconds_count{%(selector)s}[5m]))
            - sum by (cluster, destination) (rate(ebb_connect_duration_seconds_bucket{le="%(latencyBound)s",%(selector)s}[5m]))
          ||| % slo),
          objective('availability', slo.availability),
          objective('latency', slo.latency),
        ],
      },
      {
        name: 'ebb-slo-windows',
        interval: '1m',
        rules: [
          {
            record: 'slo:sli_error:ratio_rate' + window,
            expr: |||
              sum_over_time(slo:errors:rate5m[%(window)s])
              / (sum_over_time(slo:events:rate5m[%(window)s]) > 0)
            ||| % { window: window },
          }
          for window in windows
        ],
      },
    ],
  },
}
