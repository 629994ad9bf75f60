// SPDX-License-Identifier: Apache-2.0
//
// What a user of the mixin changes: (import 'mixin.libsonnet') + { _config+:: { jobSelector: 'job="monitoring/ebb"' } }.
{
  _config+:: {
    // How the agents are found in 'up'; a PodMonitor puts its namespace before. The metrics named ebb_* need no selector.
    jobSelector: 'job=~"(.+/)?ebb"',

    // Where the annotations lead: the name of the alert and '.md' is appended, the path of a dashboard.
    runbookURL: 'https://github.com/ebb-agent/ebb/blob/main/docs/runbooks/',
    grafanaURL: 'http://localhost:3000',

    // A breaker that is not closed for so long will hardly heal by itself.
    openTooLong: '15m',
    // So many trips of one gate within half an hour.
    flappingTrips: 4,

    // Share of the destination's own failures, and from how many attempts each second on it is judged.
    failureRatio: 0.1,
    failureMinRate: 0.1,
    // Seconds: 95 of 100 connections should be faster. A bound of the histogram, so that it is exact.
    connectSlow: 1.048576,

    // Half of the default lease is 15 s; a tick is due each second.
    leaseOld: 10,
    tickSlow: 0.262144,
    mapFilling: 0.8,
    limitSaturated: 0.95,
    deadLettersOld: 86400,

    slo: {
      // Destinations that the configuration names; others are called ADDRESS:PORT/tcp, and all that found no room ~other.
      selector: 'destination!~".+/(tcp|udp)|~other"',
      availability: 0.999,
      latency: 0.99,
      // A bound of the histogram, in seconds and as Prometheus writes it.
      latencyBound: '1.048576',
      // Below so many bad events in the long window nobody is woken: one failure of ten calls is no outage.
      minErrors: 10,
    },
  },
}
