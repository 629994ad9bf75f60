// SPDX-License-Identifier: Apache-2.0
//
// ebb itself: is it well, what does it cost, does what it tells arrive.
local lib = import 'lib.libsonnet';
local n = lib.node;

function(config) lib.dashboard(
  config,
  'ebb-self',
  'ebb itself',
  'The agents: health, what they cost, whether their tables have room, whether audit log and traces arrive.',
  [
    {
      title: 'Is ebb well',
      panels: [
        lib.stat('Agents', 'Agents that could be scraped.', 'short', 'sum(up{%s})' % n, w=3),
        lib.stat('Unhealthy components', 'Components of agents that are unhealthy; /health says why.', 'short', 'count(ebb_health_state{%s} == 2) or vector(0)' % n, ['green', 'red', 1], 4),
        lib.stat('Oldest lease', 'Time since the last complete tick, of the worst agent.', 's', 'max(ebb_lease_age_seconds{%s})' % n, ['green', 'orange', 3, 'red', 10], 4),
        lib.stat('Configurations rejected', 'Agents that go on with an older configuration.', 'short', 'count(ebb_config_last_reload_successful{%s} == 0) or vector(0)' % n, ['green', 'orange', 1], 4),
        lib.stat('Fullest table', 'The table with the least room left.', 'percentunit', 'max(ebb_map_entries{%s} / ebb_map_capacity{%s})' % [n, n], ['green', 'orange', 0.8, 'red', 0.95], 3),
        lib.stat('Dead letters', 'Events of the audit log that wait for a person (ebb deadletter).', 'short', 'sum(ebb_dead_letters{%s})' % n, ['green', 'orange', 1], 3),
        lib.stat('Events lost', 'Hints that found the ring buffer full, in five minutes; each costs a tick at most.', 'short', 'sum(increase(ebb_events_lost_total{%s}[5m]))' % n, ['green', 'orange', 1], 3),
      ],
    },
    {
      title: 'What it costs',
      panels: [
        lib.graph('Processor', 'Time of the agent, in shares of one core; the programs in the kernel are not in it.', 'percentunit', [lib.target('topk(10, rate(process_cpu_seconds_total{%s}[$__rate_interval]))' % n, '{{node}}')], w=8),
        lib.graph('Memory', 'Of the agent itself, and of its maps in the kernel; the mean of the agents.', 'bytes', [lib.target('avg by (kind) (ebb_memory_bytes{%s})' % n, '{{kind}}'), lib.target('max(process_resident_memory_bytes{%s})' % n, 'resident, largest agent')], w=8),
        lib.graph('Programs in the kernel', 'Time for each run; only while kernel.bpf_stats_enabled is 1, which itself costs time.', 's', [lib.target('sum by (program) (rate(ebb_bpf_program_seconds_total{%s}[$__rate_interval])) / sum by (program) (rate(ebb_bpf_program_runs_total{%s}[$__rate_interval]) > 0)' % [n, n], '{{program}}')], w=8, more=lib.none('kernel.bpf_stats_enabled is 0')),
        lib.graph('Ticks', 'How long the agent takes to look at everything once.', 's', [lib.target('histogram_quantile(%g, sum by (le) (rate(ebb_tick_duration_seconds_bucket{%s}[$__rate_interval])))' % [q, n], 'p%g' % (100 * q)) for q in [0.5, 0.99]], w=8),
        lib.graph('Scrapes', 'How long the agent works for one scrape.', 's', [lib.target('histogram_quantile(%g, sum by (le) (rate(ebb_scrape_duration_seconds_bucket{%s}[$__rate_interval])))' % [q, n], 'p%g' % (100 * q)) for q in [0.5, 0.99]], w=8),
        lib.graph('Open files', 'Of each agent, the ten with most.', 'short', [lib.target('topk(10, process_open_fds{%s})' % n, '{{node}}')], w=8),
      ],
    },
    {
      title: 'Is it in place',
      panels: [
        lib.graph('Components that are not healthy', 'Agents with a component that is degraded or unhealthy.', 'short', [lib.target('count by (component) (ebb_health_state{%s} > 0)' % n, '{{component}}')], w=8, more=lib.none('all are healthy')),
        lib.graph('Age of leases', 'Time since the last complete tick, the ten oldest.', 's', [lib.target('topk(10, ebb_lease_age_seconds{%s})' % n, '{{node}}')], w=8),
        lib.graph('Put back', 'Programs that somebody detached and pins that somebody removed, and that the agent put back; in five minutes.', 'short', [lib.target('sum(increase(ebb_links_restored_total{%s}[5m]))' % n, 'programs'), lib.target('sum(increase(ebb_pins_restored_total{%s}[5m]))' % n, 'pins')], w=8),
        lib.graph('Tables', 'How full, the fullest agent of each table. What finds no room shares ~other and is not refused.', 'percentunit', [lib.target('max by (map) (ebb_map_entries{%s} / ebb_map_capacity{%s})' % [n, n], '{{map}}')], w=8, more=lib.whole),
        lib.graph('Errors in the kernel', 'Failures of the programs in the kernel, by reason; none of them refuses a connection.', 'eps', [lib.target('sum by (reason) (rate(ebb_bpf_errors_total{%s}[$__rate_interval])) > 0' % n, '{{reason}}')], w=8, more=lib.none('none')),
        lib.graph('Configurations read again', 'In five minutes, by what became of them. A change of the whole fleet is one for each agent.', 'short', [lib.target('sum by (result) (increase(ebb_config_reloads_total{%s}[5m]))' % n, '{{result}}')], w=8, more=lib.overrides([lib.color('rejected', 'red')])),
      ],
    },
    {
      title: 'Does it arrive',
      panels: [
        lib.graph('Events of the audit log', 'By what became of them. The spool is the way to all sinks.', 'eps', [lib.target('sum by (sink, result) (rate(ebb_audit_events_total{%s}[$__rate_interval]))' % n, '{{sink}}, {{result}}')], w=8),
        lib.graph('Waiting for sinks', 'Events in the spool that a sink does not have, and dead letters.', 'short', [lib.target('sum by (sink) (ebb_delivery_queue{%s})' % n, '{{sink}}'), lib.target('sum(ebb_dead_letters{%s})' % n, 'dead letters')], w=8),
        lib.graph('Batches for sinks', 'Offered to a sink, by what it said.', 'cps', [lib.target('sum by (sink, result) (rate(ebb_delivery_attempts_total{%s}[$__rate_interval])) > 0' % n, '{{sink}}, {{result}}')], w=8, more=lib.none('none')),
        lib.graph('Spans', 'Of traces, each second by what became of them; on the right those that wait.', 'eps', [lib.target('sum by (result) (rate(ebb_spans_total{%s}[$__rate_interval])) > 0' % n, '{{result}}'), lib.target('sum(ebb_spans_waiting{%s})' % n, 'waiting')], w=8, more=lib.overrides([lib.right('waiting', 'short')])),
        lib.graph('Age of dead letters', 'The oldest of each agent.', 's', [lib.target('topk(10, ebb_dead_letters_oldest_seconds{%s})' % n, '{{node}}')], w=8),
        lib.graph('Last change of the configuration', 'Time since the configuration in force was applied, the ten longest. After a change of the fleet: who did not follow.', 's', [lib.target('topk(10, time() - ebb_config_last_reload_success_timestamp_seconds{%s})' % n, '{{node}}')], w=8),
      ],
    },
  ],
  transitions=lib.recordedTransitions
)
