// SPDX-License-Identifier: Apache-2.0
//
// Four dashboards: from the fleet to a node or a destination, and ebb itself.
{
  grafanaDashboards+:: {
    'ebb-fleet.json': (import 'dashboards/fleet.libsonnet')($._config),
    'ebb-node.json': (import 'dashboards/node.libsonnet')($._config),
    'ebb-destination.json': (import 'dashboards/destination.libsonnet')($._config),
    'ebb-self.json': (import 'dashboards/self.libsonnet')($._config),
  },
}
