// SPDX-License-Identifier: Apache-2.0
//
// Everything, in the shape that monitoring mixins have. 'make mixin' writes it to where it is used from.
(import 'config.libsonnet') +
(import 'rules.libsonnet') +
(import 'slo.libsonnet') +
(import 'alerts.libsonnet') +
(import 'dashboards.libsonnet')
