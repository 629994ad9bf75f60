#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The strict reader of OTLP: what we send is taken, and nothing that differs from the specification."""

import copy
import json
import os
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here]
sys.dont_write_bytecode = True

import otlp  # noqa: E402
import tap  # noqa: E402

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

GOLDEN = os.path.join(here, '..', 'unit', 'golden', 'otlp.json')
METRICS = os.path.join(here, '..', 'unit', 'golden', 'otlp_metrics.json')
EXPOSITION = os.path.join(here, '..', 'unit', 'golden', 'metrics.txt')


class Strict(unittest.TestCase):
    def setUp(self):
        with open(GOLDEN, encoding='utf-8') as file:
            self.text = file.read().rstrip()
        self.request = json.loads(self.text)

    def span(self, request, number=0):
        return request['resourceSpans'][0]['scopeSpans'][0]['spans'][number]

    def refused(self, change, what, number=0):
        request = copy.deepcopy(self.request)
        change(self.span(request, number))
        with self.assertRaisesRegex(otlp.Refused, what):
            otlp.decode(json.dumps(request))

    def test_what_we_send_is_taken(self):
        spans = otlp.decode(self.text)
        self.assertEqual([s['name'].split()[0] for s in spans], ['connect', 'connect', 'connect', 'breaker'])
        self.assertEqual(spans[0]['resource'], {'service.name': 'ebb'})
        self.assertEqual(spans[2]['links'], [(spans[3]['trace'], spans[3]['span'])])
        self.assertEqual([e['name'] for e in spans[0]['events']], ['connect', 'first_answer', 'close'])

    def test_a_member_that_nobody_knows_is_refused(self):
        self.refused(lambda s: s.update(start_time_unix_nano='1'), 'unknown')
        self.refused(lambda s: s['events'][0].update(time=1), 'unknown')

    def test_one_that_is_missing_is_refused(self):
        for member in ('traceId', 'spanId', 'name', 'kind', 'startTimeUnixNano', 'endTimeUnixNano'):
            self.refused(lambda s, m=member: s.pop(m), 'missing')

    def test_identifiers_of_another_shape_are_refused(self):
        self.refused(lambda s: s.update(spanId='ab'), 'digits')
        self.refused(lambda s: s.update(traceId='0' * 32), 'all zero')
        self.refused(lambda s: s.update(traceId='AAAAAAAAAAAAAAAAAAAAAA=='), 'not hex')

    def test_a_64_bit_number_that_is_no_text_is_refused(self):
        self.refused(lambda s: s.update(endTimeUnixNano=1795931511123456789), '64-bit')
        self.refused(lambda s: s['attributes'][1]['value'].update(intValue=443), '64-bit')

    def test_time_that_runs_backwards_is_refused(self):
        self.refused(lambda s: s.update(endTimeUnixNano='1600000000000000000'), 'ends before')
        self.refused(lambda s: s['events'].reverse(), 'out of order')
        self.refused(lambda s: s['events'][0].update(timeUnixNano='1600000000000000000'), 'outside')

    def test_two_kinds_of_a_value_are_refused(self):
        self.refused(lambda s: s['attributes'][0]['value'].update(intValue='1'), 'exactly one')

    def test_an_attribute_that_stands_twice_is_refused(self):
        self.refused(lambda s: s['attributes'].append(s['attributes'][0]), 'twice')

    def test_a_span_that_stands_twice_is_refused(self):
        request = copy.deepcopy(self.request)
        spans = request['resourceSpans'][0]['scopeSpans'][0]['spans']
        spans.append(spans[0])
        with self.assertRaisesRegex(otlp.Refused, 'twice'):
            otlp.decode(json.dumps(request))

    def test_a_trace_id_against_its_own_sampling_is_refused(self):
        self.refused(lambda s: s.update(traceId=s['traceId'][:18] + '0' * 14), 'would not have been sampled')

    def test_a_status_without_an_error_is_refused(self):
        self.refused(lambda s: s['status'].update(code=0), 'not set', number=1)
        self.refused(lambda s: s['status'].update(code='STATUS_CODE_ERROR'), 'whole number', number=1)

    def test_what_is_no_document_is_refused(self):
        for text in ('', '[]', '{}', '{"resourceSpans":[]}', self.text[:-1], self.text + ' x', b'\xff',
                     '{"resourceSpans":1,"resourceSpans":[]}'):
            with self.assertRaises(otlp.Refused):
                otlp.decode(text)


def exposition():
    """The samples of /metrics, of the same node, but for what differs from run to run."""
    with open(EXPOSITION, encoding='utf-8') as file:
        lines = [line for line in file.read().splitlines() if not line.endswith(' ?')]
    found = {}
    for family in text_string_to_metric_families('\n'.join(lines) + '\n'):
        for sample in family.samples:
            labels = {k: (str(float(v)) if k == 'le' else v) for k, v in sample.labels.items() if v != ''}
            found[sample.name, tuple(sorted(labels.items()))] = sample.value
    return found


class StrictMetrics(unittest.TestCase):
    def setUp(self):
        with open(METRICS, encoding='utf-8') as file:
            # the head is a text of the test's own
            self.text = file.read().replace('"scope":\n{"name":"ebb"}', '"scope":{"name":"ebb","version":"0"}')
        self.request = json.loads(self.text)

    def metric(self, request, name):
        return next(m for m in request['resourceMetrics'][0]['scopeMetrics'][0]['metrics'] if m['name'] == name)

    def refused(self, name, change, what):
        request = copy.deepcopy(self.request)
        change(self.metric(request, name))
        with self.assertRaisesRegex(otlp.Refused, what):
            otlp.decode_metrics(json.dumps(request))

    def test_it_says_what_the_exposition_says(self):
        ours = otlp.samples(otlp.decode_metrics(self.text))
        theirs = exposition()
        self.assertGreater(len(theirs), 300)
        self.assertEqual({key: ours.get(key) for key in theirs}, theirs)
        differing = {name for name, _ in set(ours) - set(theirs)}
        self.assertTrue(all(n.startswith('process_') or n in ('ebb_memory_bytes', 'ebb_build_info') for n in differing),
                        differing)

    def test_kinds_units_and_starts(self):
        points = otlp.decode_metrics(self.text)
        by_name = {p['name']: p for p in points}
        self.assertEqual(by_name['ebb_connects_total']['kind'], 'sum')
        self.assertEqual(by_name['ebb_sent_bytes_total']['unit'], 'By')
        self.assertEqual(by_name['ebb_connect_duration_seconds']['unit'], 's')
        self.assertEqual(by_name['ebb_breaker_failure_ratio']['unit'], '1')
        self.assertIsNone(by_name['ebb_active_connections']['unit'])
        of_pair = [p['start'] for p in points if p['name'] == 'ebb_connects_total'
                   and p['attributes']['destination'] == '10.0.0.5:443/tcp']
        self.assertEqual(set(of_pair), {1699999100000000001})
        self.assertEqual(by_name['ebb_spans_total']['start'], 1699999010000000000)
        # counted by the kernel, maybe since before the agent
        self.assertIsNone(by_name['ebb_bpf_errors_total']['start'])

    def test_an_exemplar_stands_with_its_histogram(self):
        with_one = [p for p in otlp.decode_metrics(self.text) if p.get('exemplars')]
        self.assertEqual([(p['name'], p['attributes']) for p in with_one],
                         [('ebb_connect_duration_seconds', {'destination': '10.0.0.5:443/tcp'})])
        self.assertEqual(with_one[0]['exemplars'][0]['value'], 0.0009)

    def test_what_differs_from_the_protocol_is_refused(self):
        first = lambda m, kind: m[kind]['dataPoints'][0]  # noqa: E731
        counter, histogram, gauge = 'ebb_connects_total', 'ebb_connect_duration_seconds', 'ebb_active_connections'
        for name, change, what in (
                (counter, lambda m: m.update(type='sum'), 'unknown'),
                (counter, lambda m: m['sum'].update(aggregationTemporality=1), 'not cumulative'),
                (counter, lambda m: m['sum'].update(isMonotonic=False), 'not monotonic'),
                (counter, lambda m: m['sum'].update(dataPoints=[]), 'empty list'),
                (counter, lambda m: first(m, 'sum').update(asInt=1), 'decimal text'),
                (counter, lambda m: first(m, 'sum').update(asDouble=1.0), 'exactly one'),
                (counter, lambda m: first(m, 'sum').update(asInt='-1'), 'below zero'),
                (counter, lambda m: first(m, 'sum').update(startTimeUnixNano='1800000000000000000'), 'before it starts'),
                (counter, lambda m: m['sum']['dataPoints'].append(first(m, 'sum')), 'twice'),
                (gauge, lambda m: first(m, 'gauge').update(startTimeUnixNano='1699999100000000001'), 'no start'),
                (histogram, lambda m: first(m, 'histogram')['bucketCounts'].pop(), 'one bucket more'),
                (histogram, lambda m: first(m, 'histogram')['explicitBounds'].reverse(), 'do not grow'),
                (histogram, lambda m: first(m, 'histogram').update(count='99'), 'not the count'),
                (histogram, lambda m: m.update(unit='seconds'), 'unit')):
            self.refused(name, change, what)


if __name__ == '__main__':
    tap.main()
