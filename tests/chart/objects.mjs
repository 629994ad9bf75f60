// SPDX-License-Identifier: Apache-2.0
//
// usage: node objects.mjs FILE...
// Prints, as JSON, for each file of YAML its documents, and for those that are objects of Kubernetes what their schemas say
// against them. It is run from beside node_modules (tests/chart/chart.py copies it there): so an import finds what npm has installed.

import fs from 'node:fs';
import * as yaml from 'js-yaml';

async function model({ apiVersion, kind }) {
	const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
	const from = group === 'monitoring.coreos.com' ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
	return (await import(`${from}/${group ? `${group}/` : ''}${version}/${kind}`))[kind];
}

// The schemas are code and take fields that they do not know. But they look at every field that they know: so one that nobody has
// looked at, of an object where somebody has looked, is unknown.
function watched(value, path, unseen) {
	if (typeof value !== 'object' || value === null)
		return value;
	const inside = Array.isArray(value) ? [] : {};
	for (const [key, item] of Object.entries(value))
		inside[key] = watched(item, `${path}.${key}`, unseen);
	const seen = new Set();
	unseen.push(() => (seen.size ? Object.keys(inside).filter((key) => !seen.has(key)).map((key) => `${path}.${key}`) : []));
	return new Proxy(inside, {
		get(target, key) {
			seen.add(key);
			return target[key];
		},
	});
}

async function problems(object) {
	const unseen = [];
	try {
		const Model = await model(object);
		const checked = new Model(object); // a deep copy
		for (const key of Object.keys(checked))
			checked[key] = watched(checked[key], `${object.kind}.${key}`, unseen);
		checked.validate();
		return unseen.flatMap((of) => of()).map((path) => `${path}: there is no such field`);
	} catch (error) {
		return [`${object.kind} ${object.metadata?.name}: ${error.message}`];
	}
}

const result = {};
for (const file of process.argv.slice(2)) {
	const documents = yaml.loadAll(fs.readFileSync(file, 'utf8')).filter((document) => document !== null && document !== undefined);
	const objects = documents.filter((document) => document.apiVersion && document.kind);
	result[file] = { documents, problems: (await Promise.all(objects.map(problems))).flat() };
}
console.log(JSON.stringify(result));
