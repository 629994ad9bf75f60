#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads OTLP traces and metrics in JSON as strictly as the specification can be read: what it does not name is refused.

The protocol (opentelemetry-proto 1.x, trace.proto, metrics.proto, and "JSON Protobuf Encoding" of the OTLP specification):
identifiers are 32 and 16 hex digits and not all zero, 64-bit numbers are decimal texts, enumerations are
numbers, there are no other members, and time does not run backwards within a span or a point.

usage: otlp.py FILE    prints one line for each span or point, or what is wrong
"""

import json
import re
import sys

HEX = re.compile(r'[0-9a-f]*')
TRACE_STATE = re.compile(r'ot=th:(0|[0-9a-f]{0,13}[1-9a-f])')
KEY = re.compile(r'[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*')
FIRST_NS, LAST_NS = 1_500_000_000_000_000_000, 4_000_000_000_000_000_000


class Refused(Exception):
    """What is wrong, and where."""


def no_twice(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise Refused(f'"{key}" stands twice in an object')
        found[key] = value
    return found


def no_constant(text):
    raise Refused(f'{text} is no number of JSON')


def require(condition, where, what):
    if not condition:
        raise Refused(f'{where}: {what}')


def an_object(value, where, must, may=()):
    require(isinstance(value, dict), where, 'not an object')
    for key in must:
        require(key in value, where, f'"{key}" is missing')
    for key in value:
        require(key in must or key in may, where, f'"{key}" is unknown')
    return value


def a_list(value, where):
    require(isinstance(value, list), where, 'not a list')
    require(value, where, 'an empty list is left out')
    return value


def a_text(value, where):
    require(isinstance(value, str) and value, where, 'not a text, or an empty one')
    require(all(c >= ' ' and c != '\x7f' for c in value), where, 'a control character in a text')
    return value


def an_id(value, where, digits):
    require(isinstance(value, str) and HEX.fullmatch(value), where, 'not hex digits')
    require(len(value) == digits, where, f'{len(value)} digits, not {digits}')
    require(value.strip('0'), where, 'all zero')
    return value


def an_int64(value, where):
    require(isinstance(value, str) and re.fullmatch(r'0|-?[1-9][0-9]{0,18}', value), where,
            'a 64-bit number is a decimal text')
    require(-2**63 <= int(value) < 2**63, where, 'more than 64 bits')
    return int(value)


def a_time(value, where):
    number = an_int64(value, where)
    require(FIRST_NS < number < LAST_NS, where, f'{number} ns is no time of these days')
    return number


def a_small(value, where, most=2**32 - 1):
    require(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most, where,
            'not a whole number in range')
    return value


def a_value(value, where):
    an_object(value, where, (), ('stringValue', 'intValue', 'boolValue', 'doubleValue'))
    require(len(value) == 1, where, 'not exactly one kind of value')
    kind, inner = next(iter(value.items()))
    if kind == 'stringValue':
        return a_text(inner, where)
    if kind == 'intValue':
        return an_int64(inner, where)
    if kind == 'boolValue':
        require(isinstance(inner, bool), where, 'not a boolean')
        return inner
    require(isinstance(inner, (int, float)) and not isinstance(inner, bool), where, 'not a number')
    return float(inner)


def attributes(owner, where, may_be_empty=False):
    found = {}
    if 'attributes' not in owner:
        return found
    for i, attribute in enumerate(a_list(owner['attributes'], where)):
        here = f'{where}.attributes[{i}]'
        an_object(attribute, here, ('key', 'value'))
        key = a_text(attribute['key'], here)
        require(KEY.fullmatch(key), here, f'"{key}" is no name of an attribute')
        require(key not in found, here, f'"{key}" stands twice')
        if may_be_empty and attribute['value'] == {'stringValue': ''}:
            found[key] = ''
            continue
        found[key] = a_value(attribute['value'], f'{here} ({key})')
    return found


def an_event(event, where, start, end):
    an_object(event, where, ('timeUnixNano', 'name'), ('attributes',))
    at = a_time(event['timeUnixNano'], where)
    require(start <= at <= end, where, 'outside its span')
    return {'at': at, 'name': a_text(event['name'], where), 'attributes': attributes(event, where)}


def a_link(link, where):
    an_object(link, where, ('traceId', 'spanId'), ('flags',))
    a_small(link.get('flags', 0), where)
    return an_id(link['traceId'], where, 32), an_id(link['spanId'], where, 16)


def a_status(status, where):
    an_object(status, where, ('code',), ('message',))
    require(a_small(status['code'], where, 2) > 0, where, 'a status that is not set is left out')
    if 'message' in status:
        require(status['code'] == 2, where, 'a message without an error')
        a_text(status['message'], where)
    return status


def a_trace_state(value, where, trace_id):
    require(TRACE_STATE.fullmatch(a_text(value, where)), where, f'"{value}" is no trace state of ours')
    threshold = value[len('ot=th:'):]
    least = int(threshold.ljust(14, '0'), 16)
    require(int(trace_id[18:], 16) >= least, where, 'a trace id that would not have been sampled')
    return threshold


def a_span(span, where):
    an_object(span, where, ('traceId', 'spanId', 'name', 'kind', 'startTimeUnixNano', 'endTimeUnixNano'),
              ('traceState', 'parentSpanId', 'flags', 'attributes', 'events', 'droppedEventsCount', 'links', 'status'))
    start = a_time(span['startTimeUnixNano'], f'{where}.startTimeUnixNano')
    end = a_time(span['endTimeUnixNano'], f'{where}.endTimeUnixNano')
    require(start <= end, where, 'ends before it starts')
    events = [an_event(e, f'{where}.events[{i}]', start, end)
              for i, e in enumerate(a_list(span.get('events', [{}]), where))] if 'events' in span else []
    require([e['at'] for e in events] == sorted(e['at'] for e in events), where, 'events out of order')
    require(a_small(span['kind'], where, 5) > 0, where, 'a kind that is not said')
    trace_id = an_id(span['traceId'], f'{where}.traceId', 32)
    state = span.get('traceState')
    return {
        'trace': trace_id,
        'span': an_id(span['spanId'], f'{where}.spanId', 16),
        'parent': an_id(span['parentSpanId'], where, 16) if 'parentSpanId' in span else None,
        'threshold': a_trace_state(state, where, trace_id) if state is not None else None,
        'flags': a_small(span.get('flags', 0), where),
        'name': a_text(span['name'], where),
        'kind': span['kind'],
        'start': start,
        'end': end,
        'attributes': attributes(span, where),
        'events': events,
        'dropped_events': a_small(span.get('droppedEventsCount', 0), where),
        'links': [a_link(k, f'{where}.links[{i}]') for i, k in enumerate(a_list(span['links'], where))]
                 if 'links' in span else [],
        'status': a_status(span['status'], f'{where}.status') if 'status' in span else None,
    }


# ---------------------------------------------------------------- metrics

NAME = re.compile(r'[a-z][a-z0-9_]*')
UNITS = ('s', 'By', '1')
CUMULATIVE = 2


def a_number(value, where):
    require(isinstance(value, (int, float)) and not isinstance(value, bool), where, 'not a number')
    return float(value)


def a_count(value, where):
    number = an_int64(value, where)
    require(number >= 0, where, 'a count below zero')
    return number


def times(point, where, counts):
    at = a_time(point['timeUnixNano'], f'{where}.timeUnixNano')
    start = None
    if 'startTimeUnixNano' in point:
        require(counts, where, 'a gauge has no start')
        start = a_time(point['startTimeUnixNano'], f'{where}.startTimeUnixNano')
        require(start <= at, where, 'ends before it starts')
    return {'start': start, 'at': at}


def a_number_point(point, where, counts):
    an_object(point, where, ('timeUnixNano',), ('attributes', 'startTimeUnixNano', 'asInt', 'asDouble'))
    require(('asInt' in point) != ('asDouble' in point), where, 'not exactly one value')
    value = an_int64(point['asInt'], where) if 'asInt' in point else a_number(point['asDouble'], where)
    require(not counts or value >= 0, where, 'a counter below zero')
    return {'attributes': attributes(point, where, True), **times(point, where, counts), 'value': value}


def an_exemplar(exemplar, where, at):
    an_object(exemplar, where, ('timeUnixNano', 'asDouble', 'traceId', 'spanId'))
    when = a_time(exemplar['timeUnixNano'], where)
    require(when <= at, where, 'an exemplar of later')
    return {'at': when, 'value': a_number(exemplar['asDouble'], where),
            'trace': an_id(exemplar['traceId'], where, 32), 'span': an_id(exemplar['spanId'], where, 16)}


def a_histogram_point(point, where):
    an_object(point, where, ('timeUnixNano', 'count', 'sum', 'bucketCounts', 'explicitBounds'),
              ('attributes', 'startTimeUnixNano', 'exemplars'))
    when = times(point, where, True)
    bounds = [a_number(b, where) for b in a_list(point['explicitBounds'], where)]
    buckets = [a_count(c, where) for c in a_list(point['bucketCounts'], where)]
    count = a_count(point['count'], where)
    require(bounds == sorted(set(bounds)), where, 'bounds that do not grow')
    require(len(buckets) == len(bounds) + 1, where, 'not one bucket more than bounds')
    require(sum(buckets) == count, where, 'buckets that are not the count')
    exemplars = [an_exemplar(e, f'{where}.exemplars[{i}]', when['at'])
                 for i, e in enumerate(a_list(point['exemplars'], where))] if 'exemplars' in point else []
    return {'attributes': attributes(point, where, True), **when, 'count': count,
            'sum': a_number(point['sum'], where), 'buckets': buckets, 'bounds': bounds, 'exemplars': exemplars}


def points_of(metric, where):
    """The kind of the metric and its points."""
    an_object(metric, where, ('name', 'description'), ('unit', 'sum', 'gauge', 'histogram'))
    require(NAME.fullmatch(a_text(metric['name'], where)), where, f'"{metric["name"]}" is no name of a metric')
    a_text(metric['description'], where)
    require(metric.get('unit', '1') in UNITS, where, 'a unit that nobody knows')
    kinds = [kind for kind in ('sum', 'gauge', 'histogram') if kind in metric]
    require(len(kinds) == 1, where, 'not exactly one kind of data')
    kind = kinds[0]
    must = {'sum': ('aggregationTemporality', 'isMonotonic', 'dataPoints'), 'gauge': ('dataPoints',),
            'histogram': ('aggregationTemporality', 'dataPoints')}[kind]
    data = an_object(metric[kind], where, must)
    require(kind == 'gauge' or data['aggregationTemporality'] == CUMULATIVE, where, 'not cumulative')
    require(kind != 'sum' or data['isMonotonic'] is True, where, 'a sum that is not monotonic')
    for i, point in enumerate(a_list(data['dataPoints'], f'{where}.dataPoints')):
        here = f'{where} ({metric["name"]}).dataPoints[{i}]'
        yield kind, (a_histogram_point(point, here) if kind == 'histogram'
                     else a_number_point(point, here, kind == 'sum'))


def decode_metrics(text):
    """The points of a request, each with its metric and the attributes of its resource; raises Refused."""
    points = []
    for resource, metric, where in items(text, 'resourceMetrics', 'scopeMetrics', 'metrics'):
        for kind, point in points_of(metric, where):
            points.append({'name': metric['name'], 'unit': metric.get('unit'), 'kind': kind, **point,
                           'resource': resource})
    series = [(p['name'], tuple(sorted(p['attributes'].items()))) for p in points]
    require(len(series) == len(set(series)), 'request', 'a series stands in it twice')
    return points


def samples(points):
    """What Prometheus makes of them: {(name, ((label, value), ...)): value}"""
    found = {}
    for point in points:
        labels = {k: v for k, v in point['attributes'].items() if v != ''}

        def put(suffix, value, **more):
            found[point['name'] + suffix, tuple(sorted({**labels, **more}.items()))] = value
        if point['kind'] != 'histogram':
            put('', float(point['value']))
            continue
        below = 0
        for bound, count in zip(point['bounds'] + [float('inf')], point['buckets']):
            below += count
            put('_bucket', float(below), le=str(bound))
        put('_sum', point['sum'])
        put('_count', float(point['count']))
    return found


# ---------------------------------------------------------------- requests


def items(text, of_resources, of_scopes, of_items):
    """(attributes of the resource, span or metric, where it stands), in turn."""
    if isinstance(text, bytes):
        try:
            text = text.decode('utf-8')
        except UnicodeDecodeError as error:
            raise Refused(f'no UTF-8: {error}') from error
    try:
        request = json.loads(text, object_pairs_hook=no_twice, parse_constant=no_constant)
    except ValueError as error:
        raise Refused(f'no JSON: {error}') from error
    an_object(request, 'request', (of_resources,))
    for i, of_resource in enumerate(a_list(request[of_resources], of_resources)):
        where = f'{of_resources}[{i}]'
        an_object(of_resource, where, ('resource', of_scopes), ('schemaUrl',))
        resource = attributes(an_object(of_resource['resource'], f'{where}.resource', (), ('attributes',)),
                              f'{where}.resource')
        for j, of_scope in enumerate(a_list(of_resource[of_scopes], f'{where}.{of_scopes}')):
            inner = f'{where}.{of_scopes}[{j}]'
            an_object(of_scope, inner, ('scope', of_items))
            an_object(of_scope['scope'], f'{inner}.scope', ('name', 'version'))
            for k, item in enumerate(a_list(of_scope[of_items], f'{inner}.{of_items}')):
                yield resource, item, f'{inner}.{of_items}[{k}]'


def decode(text):
    """The spans of a request, each with the attributes of its resource; raises Refused."""
    spans = [{**a_span(span, where), 'resource': resource}
             for resource, span, where in items(text, 'resourceSpans', 'scopeSpans', 'spans')]
    ids = [(s['trace'], s['span']) for s in spans]
    require(len(ids) == len(set(ids)), 'request', 'a span stands in it twice')
    return spans


def print_request(body):
    if b'"resourceMetrics"' in body:
        for point in decode_metrics(body):
            print(point['name'], point['attributes'], point.get('value', point.get('count')))
    else:
        for span in decode(body):
            print(span['trace'], span['span'], span['name'], span['end'] - span['start'])


def main():
    with open(sys.argv[1], 'rb') as file:
        try:
            print_request(file.read())
        except Refused as why:
            print(f'{sys.argv[1]}: {why}', file=sys.stderr)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
