// SPDX-License-Identifier: Apache-2.0
//
// What all dashboards have: variables, links, annotations, and panels that say what they show and in which unit.
local datasource = { type: 'prometheus', uid: '${datasource}' };

local variable(name, label, query, more={}) = {
  name: name,
  label: label,
  type: 'query',
  datasource: datasource,
  query: { query: query, refId: name },
  definition: query,
  refresh: 2,  // with the time range: what was renamed or is new is found
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: '.*',
  current: { text: 'All', value: '$__all' },
} + more;

// Several can be chosen, so that Grafana escapes what regular expressions do not take as it is.
local single = { includeAll: false, allValue: null, current: {} };

local agents = 'job=~"$job",cluster=~"$cluster"';

{
  // Selectors, from wide to narrow.
  agents: agents,
  node: agents + ',node=~"$node"',
  destination: self.node + ',destination=~"$destination"',
  pair: self.destination + ',namespace=~"$namespace"',

  // What a dashboard is about one of has no 'All': it would be another dashboard, and a slow one.
  variables(one):: [
    { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {} },
    variable('job', 'Job', 'label_values(ebb_build_info, job)', { hide: 2 }),
    variable('cluster', 'Cluster', 'label_values(ebb_build_info{job=~"$job"}, cluster)'),
    variable('node', 'Node', 'label_values(ebb_build_info{%s}, node)' % agents, if one == 'node' then single else {}),
    variable('namespace', 'Namespace', 'label_values(ebb_active_connections{%s,node=~"$node"}, namespace)' % agents),
    variable('destination', 'Destination', 'label_values(ebb_breaker_state{%s,node=~"$node"}, destination)' % agents, if one == 'destination' then single else {}),
  ],

  // transitions: of breakers, each second, as narrow as the dashboard is; of all nodes what is recorded, the counters are too many
  dashboard(config, uid, title, description, sections, one='', transitions='rate(ebb_breaker_transitions_total{%s}[$__rate_interval])' % $.destination): {
    uid: uid,
    title: 'ebb / ' + title,
    description: description,
    tags: ['ebb-mixin'],
    schemaVersion: 39,
    editable: false,
    graphTooltip: 1,
    refresh: '30s',
    timezone: 'browser',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: $.variables(one) },
    links: [
      { type: 'dashboards', title: 'ebb', tags: ['ebb-mixin'], asDropdown: false, includeVars: true, keepTime: true, targetBlank: false, icon: 'external link', url: '', tooltip: '' },
      { type: 'link', title: 'Runbooks', url: config.runbookURL, icon: 'doc', tags: [], asDropdown: false, includeVars: false, keepTime: false, targetBlank: true, tooltip: 'What to do about an alert' },
    ],
    annotations: {
      list: [{
        name: 'Breaker transitions',
        datasource: datasource,
        enable: true,
        iconColor: 'orange',
        expr: 'sum by (destination, from, to, reason) (%s) > 0' % transitions,
        step: '60s',
        titleFormat: '{{destination}}: {{from}} to {{to}}',
        textFormat: '{{reason}}',
        tagKeys: 'from,to',
        useValueForTime: false,
      }],
    },
    panels: $.layout(sections),
  },

  // Sections with a title, which can be folded away; in each the panels from left to right, and on below when a line is full.
  layout(sections)::
    local place(placed, panel) =
      local wraps = placed.x + panel.gridPos.w > 24;
      local x = if wraps then 0 else placed.x;
      local y = if wraps then placed.bottom else placed.y;
      {
        x: x + panel.gridPos.w,
        y: y,
        bottom: std.max(placed.bottom, y + panel.gridPos.h),
        id: placed.id + 1,
        panels: placed.panels + [panel { id: placed.id + 1, gridPos+: { x: x, y: y } }],
      };
    local section(placed, section) =
      local title = { type: 'row', id: placed.id + 1, title: section.title, collapsed: false, panels: [], gridPos: { x: 0, y: placed.bottom, w: 24, h: 1 } };
      local begin = placed { x: 0, y: placed.bottom + 1, bottom: placed.bottom + 1, id: placed.id + 1, panels: placed.panels + [title] };
      std.foldl(place, section.panels, begin);
    std.foldl(section, sections, { x: 0, y: 0, bottom: 0, id: 0, panels: [] }).panels,

  // Of all nodes at once.
  recordedTransitions: 'cluster_destination:ebb_breaker_transitions:rate5m{cluster=~"$cluster",destination=~"$destination"}',

  // What is the same has the same color in all graphs, and what is worse is redder.
  outcomes: [$.color(of[0], of[1]) for of in [
    ['established', 'green'],
    ['answered', 'green'],
    ['denied', 'purple'],
    ['refused', 'red'],
    ['timeout', 'orange'],
    ['unreachable', 'dark-red'],
    ['abandoned', 'yellow'],
    ['reset', 'light-red'],
    ['unanswered', 'light-orange'],
    ['cancelled', 'blue'],
    ['local', 'light-blue'],
  ]],
  // The label 'enforced' in words: what is really refused is called by its cause alone.
  local called(legend, name, properties=[]) = { matcher: { id: 'byName', options: legend }, properties: [{ id: 'displayName', value: name }] + properties },
  causes: std.flattenArrays([
    [called(of[0] + ', enforced true', of[0], $.color('', of[1]).properties), called(of[0] + ', enforced false', of[0] + ', would be refused')]
    for of in [
      ['breaker', 'red'],
      ['half_open', 'yellow'],
      ['rate', 'blue'],
      ['concurrency', 'purple'],
      ['fuse', 'dark-red'],
      ['override', 'orange'],
    ]
  ]),
  dropped: std.flattenArrays([
    [called('dropped, %s, enforced true' % cause, 'dropped, ' + cause), called('dropped, %s, enforced false' % cause, 'would be dropped, ' + cause)]
    for cause in ['bytes', 'packets', 'breaker']
  ]),
  overrides(list): { fieldConfig+: { overrides: list } },

  // A series of another unit than its graph has: its axis is on the right.
  right(name, unit): { matcher: { id: 'byName', options: name }, properties: [{ id: 'unit', value: unit }, { id: 'custom.axisPlacement', value: 'right' }] },

  // words: {'0': ['no', color]...}: what a number means
  words(words): { fieldConfig+: { defaults+: { mappings: [{ type: 'value', options: { [word]: { text: words[word][0], color: words[word][1], index: std.parseInt(word) } for word in std.objectFields(words) } }] } } },

  // A share of a whole, which is seen.
  whole: { fieldConfig+: { defaults+: { max: 1, custom+: { axisSoftMax: 1 } } } },

  // What stands there instead of 'No data'.
  none(text): { fieldConfig+: { defaults+: { noValue: text } } },

  color(name, color): { matcher: { id: 'byName', options: name }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }] },

  target(expr, legend='', more={}): { expr: expr, legendFormat: legend, datasource: datasource } + more,

  local panel(type, title, description, unit, targets, w, h) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    gridPos: { w: w, h: h },
    fieldConfig: { defaults: { unit: unit }, overrides: [] },
    targets: [targets[i] { refId: std.char(65 + i) } for i in std.range(0, std.length(targets) - 1)],
  },

  local steps(list) = { mode: 'absolute', steps: [{ color: list[0], value: null }] + [{ color: list[i], value: list[i + 1] } for i in std.range(1, std.length(list) - 2) if i % 2 == 1] },

  // thresholds: ['green', 'red', 1]: green, and from 1 on red
  stat(title, description, unit, expr, thresholds=['text'], w=4, more={}):
    panel('stat', title, description, unit, [$.target(expr, more={ instant: true })], w, 4) {
      fieldConfig+: { defaults+: { thresholds: steps(thresholds), color: { mode: 'thresholds' }, noValue: '-' } },
      options: {
        colorMode: if std.length(thresholds) > 1 then 'background' else 'value',
        graphMode: 'none',
        justifyMode: 'center',
        textMode: 'auto',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      },
    } + more,

  // What is 0 all the time has an axis up to this, and not to 100.
  local softMax = { short: 1, cps: 0.1, eps: 0.1, reqps: 0.1, percentunit: 0.01 },

  // A stack asks for what is > 0 alone: a series of 0 on top of it would be a line in its color.
  graph(title, description, unit, targets, w=12, h=8, stack=false, more={}):
    panel('timeseries', title, description, unit, targets, w, h) {
      fieldConfig+: {
        defaults+: {
          min: 0,
          color: { mode: 'palette-classic' },
          custom: {
            drawStyle: 'line',
            lineWidth: 1,
            fillOpacity: if stack then 30 else 8,
            // one alone, with nothing before and after it, is seen
            showPoints: 'auto',
            pointSize: 3,
            spanNulls: false,
            [if std.objectHas(softMax, unit) then 'axisSoftMax']: softMax[unit],
            stacking: { mode: if stack then 'normal' else 'none', group: 'A' },
          },
        },
      },
      options: { legend: { displayMode: 'list', placement: 'bottom', calcs: [], showLegend: true }, tooltip: { mode: 'multi', sort: 'desc' } },
    } + more,

  // columns: [{name, expr, unit, thresholds, mappings}]: one query a column, joined by the labels that all have.
  table(title, description, labels, columns, w=24, h=9, more={}):
    panel('table', title, description, 'short', [$.target(column.expr, column.name, { instant: true, format: 'table' }) for column in columns], w, h) {
      transformations: [
        { id: 'merge', options: {} },
        {
          id: 'organize',
          options: {
            excludeByName: { Time: true },
            indexByName: { [labels[i]]: i for i in std.range(0, std.length(labels) - 1) } +
                         { ['Value #' + std.char(65 + i)]: std.length(labels) + i for i in std.range(0, std.length(columns) - 1) },
            renameByName: { ['Value #' + std.char(65 + i)]: columns[i].name for i in std.range(0, std.length(columns) - 1) },
          },
        },
      ],
      options: { showHeader: true, cellHeight: 'sm', sortBy: [{ displayName: columns[0].name, desc: true }] },
      fieldConfig+: {
        overrides: [
          {
            matcher: { id: 'byName', options: column.name },
            properties: [{ id: 'unit', value: column.unit }, { id: 'custom.width', value: if std.length(column.name) > 10 then 120 else 95 }] +
                        (if std.objectHas(column, 'mappings') then [{ id: 'mappings', value: column.mappings }] else []) +
                        (if std.objectHas(column, 'thresholds') then [
                           { id: 'thresholds', value: steps(column.thresholds) },
                           { id: 'custom.cellOptions', value: { type: 'color-background', mode: 'basic' } },
                         ] else []),
          }
          for column in columns
        ] + [
          {
            matcher: { id: 'byName', options: label },
            properties: [{ id: 'links', value: [{ title: 'Look at ${__value.text}', url: '/d/ebb-%s?${datasource:queryparam}&${cluster:queryparam}&var-%s=${__value.text}&${__url_time_range}' % [label, label] }] }],
          }
          for label in labels
          if label == 'destination' || label == 'node'
        ],
      },
    } + more,
}
