#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An API server and a kubelet in one, as far as pods go, over TLS: list, watch in chunks, bookmarks, 410, tokens.

    fake_kube.py DIR CERTIFICATE KEY

Prints its port on 127.0.0.1. What it tells stands in DIR, which it looks at all the time:

    pods/NAME   a pod as JSON; a file that comes, changes or goes is an event of every watch
    token       what must come as Bearer; another one is answered with 401
    mode        ok; refuse (403), garbage, half (of a document), busy (429), compact: all versions so far are gone (410)

Every request is a line of DIR/requests: its path and what was answered.
"""

import http.server
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse

directory = sys.argv[1]


def read(name, default=''):
    try:
        with open(os.path.join(directory, name), encoding='utf-8') as file:
            return file.read().strip()
    except FileNotFoundError:
        return default


class World:
    """The pods, each with the version of its last change, and all changes since the last compaction."""

    def __init__(self):
        self.changed = threading.Condition()
        self.version = 100
        self.pods = {}
        self.log = []
        self.oldest = 0

    def look(self):
        found = {}
        for name in os.listdir(os.path.join(directory, 'pods')):
            try:
                found[name] = json.loads(read('pods/' + name))
            except ValueError:  # it is being written
                if name in self.pods:
                    found[name] = self.pods[name][0]
        with self.changed:
            for name, pod in found.items():
                if name not in self.pods or self.pods[name][0] != pod:
                    self.note('MODIFIED' if name in self.pods else 'ADDED', name, pod)
            for name in set(self.pods) - set(found):
                self.note('DELETED', name, self.pods[name][0])
            if read('mode') == 'compact':
                self.oldest, self.log = self.version, []
            self.changed.notify_all()

    def note(self, kind, name, pod):
        self.version += 1
        shown = self.shown(pod, self.version)
        self.log.append((self.version, {'type': kind, 'object': shown}))
        if kind == 'DELETED':
            del self.pods[name]
        else:
            self.pods[name] = (pod, self.version)

    @staticmethod
    def shown(pod, version):
        return {**pod, 'kind': 'Pod', 'metadata': {**pod['metadata'], 'resourceVersion': str(version)}}

    def list(self):
        with self.changed:
            items = [self.shown(pod, version) for pod, version in self.pods.values()]
            return {'kind': 'PodList', 'apiVersion': 'v1', 'metadata': {'resourceVersion': str(self.version)}, 'items': items}


world = World()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, format, *args):
        pass

    def note(self, status):
        with open(os.path.join(directory, 'requests'), 'a', encoding='utf-8') as file:
            file.write(f'{self.path} {status}\n')

    def answer(self, status, body, **headers):
        self.note(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        mode = read('mode', 'ok')
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if self.headers['Authorization'] != 'Bearer ' + read('token'):
            self.answer(401, b'{"kind":"Status","code":401}')
        elif mode == 'refuse':
            self.answer(403, b'{"kind":"Status","code":403}')
        elif mode == 'busy':
            self.answer(429, b'', Retry_After='1')
        elif mode == 'garbage':
            self.answer(200, b'<html>not what you think</html>')
        elif url.path == '/pods' or (url.path == '/api/v1/pods' and 'watch' not in query):
            self.list(mode)
        elif url.path == '/api/v1/pods':
            self.watch(int(query['resourceVersion'][0]))
        else:
            self.answer(404, b'')

    def list(self, mode):
        body = json.dumps(world.list()).encode()
        if mode == 'half':
            self.note('half')
            self.send_response(200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        else:
            self.answer(200, body)

    def chunk(self, data):
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()

    def event(self, event):
        """In two chunks, which end where they like."""
        line = json.dumps(event).encode() + b'\n'
        self.chunk(line[:len(line) // 3])
        self.chunk(line[len(line) // 3:])

    def watch(self, version):
        self.note('watch')
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        try:
            while version is not None:
                version = self.tell(version)
        except OSError:
            pass
        self.close_connection = True

    def tell(self, version):
        """What happened after @version, or waits for something to; up to where. None: the watch is over."""
        with world.changed:
            if version < world.oldest:
                self.event({'type': 'ERROR', 'object': {'kind': 'Status', 'code': 410, 'message': 'too old'}})
                self.chunk(b'')
                return None
            events = [event for at, event in world.log if at > version]
            if events:
                version = world.version
            else:
                world.changed.wait(1)
            mode = read('mode', 'ok')
        if mode in ('garbage', 'busy', 'refuse'):
            self.chunk(b'{"type":"ADDED","object":{"kind":')
            self.chunk(b'')
            return None
        for event in events:
            self.event(event)
        if not events:
            self.event({'type': 'BOOKMARK', 'object': {'kind': 'Pod', 'metadata': {'resourceVersion': str(version)}}})
        return version


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    server = Server(('127.0.0.1', 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    world.look()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    while True:
        time.sleep(0.05)
        world.look()


if __name__ == '__main__':
    main()
