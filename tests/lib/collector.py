#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A collector of traces and metrics for the end-to-end tests; prints its port when it listens.

It reads what comes strictly (otlp.py). In the directory that it is given:

    spans       a line of JSON for each span that it took
    points      a line of JSON for each point of metrics that it took, with the number of its request
    requests    a line of JSON for each request: path, headers, spans, points, size, status
    refused     what was not OTLP, a line each
    mode        read for each request: how it behaves; without it: ok

    ok          takes all                      partial     takes all but one, and says so
    503, 400... answers with that status       busy        answers 429, Retry-After: 1
    later       answers 503, Retry-After: 1
    garbage     answers 200 with a web page    silent      does not answer
"""

import argparse
import gzip
import http.server
import json
import os
import sys
import threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
sys.dont_write_bytecode = True

import otlp  # noqa: E402

REASON = {'code': 14, 'message': 'the test says so'}


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 30

    def write(self, name, *values):
        with self.server.lock, open(os.path.join(self.server.directory, name), 'a', encoding='utf-8') as file:
            for value in values:
                file.write(json.dumps(value) + '\n')

    def mode(self):
        try:
            with open(os.path.join(self.server.directory, 'mode'), encoding='utf-8') as file:
                return file.read().strip()
        except FileNotFoundError:
            return 'ok'

    def answer(self, status, body, kind='application/json', **headers):
        self.send_response(status)
        for name, value in {'Content-Type': kind, 'Content-Length': str(len(body)), **headers}.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(body)
        return status

    def behave(self, mode, of_metrics):
        if mode == 'busy':
            return self.answer(429, json.dumps(REASON).encode(), Retry_After='1')
        if mode == 'later':
            return self.answer(503, json.dumps(REASON).encode(), Retry_After='1')
        if mode == 'garbage':
            return self.answer(200, b'<html>It works!</html>', 'text/html')
        if mode == 'partial':
            what = 'rejectedDataPoints' if of_metrics else 'rejectedSpans'
            partial = {'partialSuccess': {what: '1', 'errorMessage': 'too old'}}
            return self.answer(200, json.dumps(partial).encode())
        if mode.isdigit():
            return self.answer(int(mode), json.dumps(REASON).encode())
        return self.answer(200, b'{}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        mode = self.mode()
        spans, points = [], []
        size = len(body)
        try:
            if self.headers.get('Content-Type') != 'application/json':
                raise otlp.Refused('the type of the content is not application/json')
            if self.headers.get('Content-Encoding') == 'gzip':
                body = gzip.decompress(body)
            if b'"resourceMetrics"' in body:
                points = otlp.decode_metrics(body)
            else:
                spans = otlp.decode(body)
        except (otlp.Refused, OSError) as why:
            self.write('refused', str(why))
        if mode == 'silent':
            self.server.forever.wait(30)
            return
        taken = mode in ('ok', 'garbage', 'partial')
        # before the answer: whoever has seen it finds them
        if taken:
            self.write('spans', *spans)
            self.write('points', *({**p, 'request': self.server.requests} for p in points))
        self.server.requests += 1
        status = self.behave(mode, bool(points))
        self.write('requests', {'path': self.path, 'headers': dict(self.headers), 'spans': len(spans),
                                'points': len(points), 'size': size, 'status': status})

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('directory')
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', options.port), Collector)
    server.daemon_threads = True
    server.directory = options.directory
    server.requests = 0
    server.lock = threading.Lock()
    server.forever = threading.Event()
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
