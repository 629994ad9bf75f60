// SPDX-License-Identifier: Apache-2.0
// Draws the panels of window.DRAW.dashboard where they lie, with the components of @grafana/ui. What Grafana does around them is
// done here: series become frames, the queries of a table are merged, rows are titles.
import React from 'react';
import { createRoot } from 'react-dom/client';
import {
	applyFieldOverrides, createTheme, dateTime, FieldConfigOptionsRegistry, FieldType, getFieldDisplayValues,
	identityOverrideProcessor, ThemeContext, toDataFrame,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, Table, TimeSeries } from '@grafana/ui';

const { dashboard, from, to, step, width: WIDTH, theme: mode } = window.DRAW;
const COLUMN = WIDTH / 24;
const ROW = 34;
const STANDARD = ['unit', 'min', 'max', 'decimals', 'displayName', 'color', 'noValue', 'links', 'mappings', 'thresholds'];
const CUSTOM = ['drawStyle', 'lineInterpolation', 'lineWidth', 'fillOpacity', 'gradientMode', 'spanNulls', 'showPoints', 'pointSize',
	'stacking', 'axisPlacement', 'axisSoftMax', 'axisLabel', 'scaleDistribution', 'hideFrom', 'lineStyle', 'width', 'align', 'cellOptions', 'minWidth'];

const option = (name, custom) => ({
	id: custom ? `custom.${name}` : name, path: name, name, isCustom: custom, process: identityOverrideProcessor,
	override: identityOverrideProcessor, shouldApply: () => true, editor: () => null, settings: {},
});
const registry = new FieldConfigOptionsRegistry(() => [...STANDARD.map((n) => option(n, false)), ...CUSTOM.map((n) => option(n, true))]);
const theme = createTheme({ colors: { mode } });
const range = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };

const legend = (target, labels) => (target.legendFormat || '').replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '');

function seriesFrames(panel) {
	return panel.targets.flatMap((target) => target.result.map((series) => {
		const values = series.values || [series.value];
		const name = legend(target, series.metric);
		return toDataFrame({ refId: target.refId, name, fields: [
			{ name: 'Time', type: FieldType.time, values: values.map((v) => v[0] * 1000),
				// what is further apart is not joined by a line
				config: { interval: step * 1000 } },
			{ name: 'Value', type: FieldType.number, labels: series.metric, values: values.map((v) => Number(v[1])), config: { displayNameFromDS: name } },
		] });
	}));
}

// As 'merge' and 'organize' do: a line for each set of labels, a column for each query.
function tableFrame(panel) {
	const order = panel.transformations.find((t) => t.id === 'organize').options;
	const place = (name) => order.indexByName[name];
	const labels = Object.keys(order.indexByName).filter((name) => !name.startsWith('Value #')).sort((a, b) => place(a) - place(b));
	const lines = new Map();
	panel.targets.forEach((target) => target.result.forEach(({ metric, value }) => {
		const key = JSON.stringify(labels.map((label) => metric[label] ?? ''));
		lines.set(key, { ...(lines.get(key) || {}), ...metric, [target.refId]: Number(value[1]) });
	}));
	const { displayName, desc } = panel.options.sortBy[0];
	const by = panel.targets.find(({ refId }) => order.renameByName[`Value #${refId}`] === displayName).refId;
	const sorted = [...lines.values()].sort((a, b) => ((b[by] ?? -Infinity) - (a[by] ?? -Infinity)) * (desc ? 1 : -1));
	return [toDataFrame({ fields: [
		...labels.map((label) => ({ name: label, type: FieldType.string, values: sorted.map((line) => line[label] ?? ''), config: {} })),
		...panel.targets.map((target) => ({ name: order.renameByName[`Value #${target.refId}`], type: FieldType.number,
			values: sorted.map((line) => line[target.refId] ?? null), config: {} })),
	] })];
}

function drawn(panel, width, height) {
	const defaults = { thresholds: { mode: 'absolute', steps: [{ color: 'green', value: -Infinity }] }, ...panel.fieldConfig.defaults };
	defaults.thresholds.steps[0].value = -Infinity;
	for (const override of panel.fieldConfig.overrides) {
		for (const property of override.properties) {
			if (property.id === 'thresholds') {
				property.value.steps[0].value = -Infinity;
			}
		}
	}
	const overrides = panel.fieldConfig.overrides.map((o) => ({ ...o, properties: o.properties.filter((p) => p.id !== 'links') }));
	const data = applyFieldOverrides({
		data: panel.type === 'table' ? tableFrame(panel) : seriesFrames(panel), fieldConfig: { defaults, overrides },
		replaceVariables: (s) => s, theme, timeZone: 'utc', fieldConfigRegistry: registry,
	});
	if (data.length === 0 || data[0].length === 0) {
		return <div style={{ color: '#888', textAlign: 'center', paddingTop: height / 3 }}>{defaults.noValue || 'No data'}</div>;
	}
	if (panel.type === 'table') {
		return <Table data={data[0]} width={width} height={height} />;
	}
	if (panel.type === 'stat') {
		const values = getFieldDisplayValues({ fieldConfig: { defaults, overrides: [] }, reduceOptions: panel.options.reduceOptions,
			replaceVariables: (s) => s, theme, data, timeZone: 'utc' });
		return <BigValue value={values[0].display} colorMode={panel.options.colorMode} graphMode="none" justifyMode="center" textMode="value"
			width={width} height={height} theme={theme} />;
	}
	return <TimeSeries frames={data} width={width} height={height} timeRange={range} timeZone="utc" legend={panel.options.legend} options={{}} />;
}

function Panel({ panel }) {
	const { x, y, w, h } = panel.gridPos;
	const place = { position: 'absolute', left: x * COLUMN + 4, top: y * ROW + 4 };
	if (panel.type === 'row') {
		return <div style={{ ...place, color: theme.colors.text.primary, font: '500 15px Inter, sans-serif', paddingTop: 6 }}>{panel.title}</div>;
	}
	return (
		<div style={place}>
			<PanelChrome title={panel.title} width={w * COLUMN - 8} height={h * ROW - 8}>{(width, height) => drawn(panel, width, height)}</PanelChrome>
		</div>
	);
}

const bottom = Math.max(...dashboard.panels.map((panel) => panel.gridPos.y + panel.gridPos.h));
createRoot(document.getElementById('root')).render(
	<ThemeContext.Provider value={theme}>
		<GlobalStyles isExtensionSidebarOpen={false} />
		<div style={{ position: 'relative', background: theme.colors.background.canvas, width: WIDTH, height: bottom * ROW + 8 }}>
			{dashboard.panels.map((panel) => <Panel key={panel.id} panel={panel} />)}
		</div>
	</ThemeContext.Provider>
);
// charts are drawn a frame or more after React is done
setTimeout(() => { window.DRAWN = true; }, 3000);
