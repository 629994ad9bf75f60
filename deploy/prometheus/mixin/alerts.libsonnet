// SPDX-License-Identifier: Apache-2.0
//
// Alerts. Each has a runbook of its name and leads to the dashboard where one looks next. What is about a destination is one
// alert for the whole cluster, however many nodes see it: a hundred pages about one broken server help nobody.
local ofDestination = '/d/ebb-destination?var-cluster={{ $labels.cluster }}&var-destination={{ $labels.destination | urlquery }}';
local ofNode = '/d/ebb-node?var-cluster={{ $labels.cluster }}&var-node={{ $labels.node }}';
local ofSelf = '/d/ebb-self?var-cluster={{ $labels.cluster }}&var-node={{ $labels.node }}';

{
  local config = $._config,

  local alert(name, severity, hold, expr, summary, description, dashboard) = {
    alert: name,
    expr: expr,
    [if hold != '0m' then 'for']: hold,
    labels: { severity: severity },
    annotations: {
      summary: summary,
      description: description,
      runbook_url: config.runbookURL + name + '.md',
      dashboard_url: config.grafanaURL + dashboard,
    },
  },

  // The long window must have enough bad events, too; they are recorded once a minute, each second's.
  local burns(long, short, factor) = |||
    (
      slo:sli_error:ratio_rate%(long)s > on (cluster, destination, slo) (%(factor)g * (1 - slo:objective:ratio))
      and slo:sli_error:ratio_rate%(short)s > on (cluster, destination, slo) (%(factor)g * (1 - slo:objective:ratio))
      and 60 * sum_over_time(slo:errors:rate5m[%(long)s]) >= %(errors)d
    )
  ||| % { long: long, short: short, factor: factor, errors: config.slo.minErrors },

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'ebb-destinations-alerts',
        rules: [
          alert(
            'EbbBreakerOpenTooLong',
            'warning',
            config.openTooLong,
            'sum by (cluster, namespace, destination) (ebb_breaker_state{state!="closed"}) > 0',
            'The breaker of a destination has not been closed for long.',
            '{{ $labels.destination }} is refused or only probed at {{ $value }} gates, and for %s at no time was it closed at all of them.' % config.openTooLong,
            ofDestination
          ),
          alert(
            'EbbBreakerFlapping',
            'warning',
            '0m',
            |||
              max by (cluster, namespace, destination) (
                sum without (reason) (increase(ebb_breaker_transitions_total{from="closed",to="open"}[30m]))
              ) > %(flappingTrips)d
            ||| % config,
            'A breaker opens and closes again and again.',
            'The breaker of {{ $labels.destination }} has opened {{ $value | printf "%.0f" }} times in 30 minutes on one node.',
            ofDestination
          ),
          alert(
            'EbbLimitSaturated',
            'warning',
            '10m',
            |||
              sum by (cluster, namespace, destination, cause) (rate(ebb_denied_total{cause=~"rate|concurrency"}[5m])) > 0
              or
              sum by (cluster, namespace, destination, cause) (rate(ebb_dropped_packets_total{cause=~"bytes|packets"}[5m])) > 0
              or
              label_replace(
                max by (cluster, namespace, destination) (ebb_concurrent_in_use / (ebb_concurrent_limit > 0)) >= %(limitSaturated)g,
                "cause", "concurrency", "", ""
              )
            ||| % config,
            'A limit of a destination is used up.',
            'The limit of {{ $labels.cause }} of {{ $labels.destination }} has been used up for 10 minutes: programs are refused or slowed down, or would be in observe mode.',
            ofDestination
          ),
          alert(
            'EbbFailureRatioHigh',
            'warning',
            '10m',
            |||
              cluster_destination:ebb_connection_failures:ratio_rate5m > %(failureRatio)g
              and cluster_destination:ebb_connects:rate5m > %(failureMinRate)g
            ||| % config,
            'A destination fails often.',
            '{{ $value | humanizePercentage }} of what was tried of {{ $labels.destination }} failed, for 10 minutes.',
            ofDestination
          ),
          alert(
            'EbbConnectSlow',
            'warning',
            '10m',
            'cluster_destination:ebb_connect_duration_seconds:p95_rate5m > %(connectSlow)g' % config,
            'Connecting to a destination is slow.',
            '5 of 100 connections to {{ $labels.destination }} take longer than {{ $value | humanizeDuration }}, for 10 minutes.',
            ofDestination
          ),
        ],
      },
      {
        name: 'ebb-slo-alerts',
        rules: [
          alert(
            'EbbErrorBudgetBurnFast',
            'critical',
            '0m',
            burns('1h', '5m', 14.4) + 'or\n' + burns('6h', '30m', 6),
            'The error budget of a destination is burning fast.',
            'The objective "{{ $labels.slo }}" of {{ $labels.destination }} is missed by {{ $value | humanizePercentage }} of all events: the budget of 30 days is gone within 5 days or less.',
            ofDestination
          ),
          alert(
            'EbbErrorBudgetBurnSlow',
            'warning',
            '1h',
            burns('1d', '2h', 3) + 'or\n' + burns('3d', '6h', 1),
            'The error budget of a destination is burning.',
            'The objective "{{ $labels.slo }}" of {{ $labels.destination }} is missed by {{ $value | humanizePercentage }} of all events: the budget of 30 days will not last.',
            ofDestination
          ),
        ],
      },
      {
        name: 'ebb-node-alerts',
        rules: [
          alert(
            'EbbAgentAbsent',
            'critical',
            '5m',
            'up{%(jobSelector)s} == 0 or absent(up{%(jobSelector)s})' % config,
            'An agent cannot be scraped.',
            'The agent of {{ with $labels.node }}node {{ . }}{{ else }}{{ with $labels.instance }}{{ . }}{{ else }}every node{{ end }}{{ end }} has not answered for 5 minutes: after the lease its breakers refuse nothing.',
            ofNode
          ),
          alert(
            'EbbNodeFuseActive',
            'critical',
            '1m',
            'ebb_node_fuse_active == 1',
            'So many destinations fail at once that the node itself is probably at fault.',
            'The node fuse of {{ $labels.node }} acts: look at the network of the node before any destination.',
            ofNode
          ),
          alert(
            'EbbEnforcementLost',
            'critical',
            '1m',
            'ebb_health_state{component="enforcement"} == 2',
            'Enforcement is asked for and not in place.',
            'On {{ $labels.node }} programs of ebb are not attached: nothing is refused there, whatever the breakers say.',
            ofSelf
          ),
          alert(
            'EbbLeaseOld',
            'critical',
            '30s',
            'ebb_lease_age_seconds > %(leaseOld)g' % config,
            'The agent does not renew its lease.',
            'The last complete tick on {{ $labels.node }} is {{ $value | humanizeDuration }} old: when it is older than the lease, breakers refuse nothing.',
            ofSelf
          ),
          alert(
            'EbbUnhealthy',
            'critical',
            '5m',
            'ebb_health_state{component!~"enforcement|lease"} == 2',
            'A component of the agent is unhealthy.',
            'On {{ $labels.node }} the component {{ $labels.component }} has been unhealthy for 5 minutes; /health says why.',
            ofSelf
          ),
          alert(
            'EbbTickSlow',
            'warning',
            '10m',
            |||
              histogram_quantile(0.99, sum by (cluster, node, le) (rate(ebb_tick_duration_seconds_bucket[5m]))) > %(tickSlow)g
            ||| % config,
            'The agent looks at its breakers too slowly.',
            'One of 100 ticks on {{ $labels.node }} takes longer than {{ $value | humanizeDuration }}, for 10 minutes.',
            ofSelf
          ),
          alert(
            'EbbEventsLost',
            'warning',
            '10m',
            'increase(ebb_events_lost_total[5m]) > 0',
            'Hints from the kernel are lost all the time.',
            '{{ $labels.node }} lost {{ $value | printf "%.0f" }} hints in 5 minutes: breakers that the kernel does not open by itself open a tick later.',
            ofSelf
          ),
          alert(
            'EbbMapFilling',
            'warning',
            '15m',
            'ebb_map_entries / ebb_map_capacity > %(mapFilling)g' % config,
            'A table of the agent is nearly full.',
            'The table {{ $labels.map }} of {{ $labels.node }} is {{ $value | humanizePercentage }} full: what finds no room will share ~other and is not refused.',
            ofSelf
          ),
          alert(
            'EbbTableOverflow',
            'warning',
            '0m',
            'sum by (cluster, node, reason) (increase(ebb_bpf_errors_total{reason=~"(dst|pair|endpoint)_table_full|share_full"}[10m])) > 0',
            'A table of the agent is full.',
            'On {{ $labels.node }} {{ $value | printf "%.0f" }} connections found no room in 10 minutes ({{ $labels.reason }}): they share ~other and are not refused.',
            ofSelf
          ),
          alert(
            'EbbConfigRejected',
            'warning',
            '5m',
            'ebb_config_last_reload_successful == 0',
            'A configuration was rejected.',
            '{{ $labels.node }} goes on with an older configuration: the one that was read last is not valid.',
            ofSelf
          ),
        ],
      },
      {
        name: 'ebb-delivery-alerts',
        rules: [
          alert(
            'EbbAuditFailing',
            'warning',
            '10m',
            |||
              sum by (cluster, node, sink) (rate(ebb_delivery_attempts_total{result!="done"}[5m])) > 0
              or
              sum by (cluster, node, sink) (rate(ebb_audit_events_total{result="refused"}[5m])) > 0
            |||,
            'Events of the audit log are not delivered.',
            'The sink {{ $labels.sink }} of {{ $labels.node }} has not taken events for 10 minutes.',
            ofSelf
          ),
          alert(
            'EbbTracesFailing',
            'warning',
            '10m',
            |||
              sum by (cluster, node) (rate(ebb_spans_total{result!="sent"}[5m]))
              / (sum by (cluster, node) (rate(ebb_spans_total[5m])) > 0)
              > 0.05
            |||,
            'Spans are not delivered.',
            '{{ $value | humanizePercentage }} of the spans of {{ $labels.node }} did not reach the collector, for 10 minutes.',
            ofSelf
          ),
          alert(
            'EbbDeadLettersGrowing',
            'warning',
            '5m',
            'delta(ebb_dead_letters[15m]) > 0',
            'Events of the audit log become dead letters.',
            '{{ $labels.node }} has {{ $value | printf "%.0f" }} more dead letters than 15 minutes ago: they wait for a person (ebb deadletter).',
            ofSelf
          ),
          alert(
            'EbbDeadLettersOld',
            'warning',
            '5m',
            'ebb_dead_letters_oldest_seconds > %(deadLettersOld)g' % config,
            'Dead letters wait for a person.',
            'The oldest dead letter of {{ $labels.node }} is {{ $value | humanizeDuration }} old.',
            ofSelf
          ),
        ],
      },
    ],
  },
}
