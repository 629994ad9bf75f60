#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that answers well and badly, for what fetches (tests/unit/test_fetch.c).

    fetch_server.py [CERTIFICATE KEY]

Prints the port it listens on (127.0.0.1), over TLS if it was given a certificate, and ends with its standard
input. What a path does:

    /ok               "hello"
    /echo             what was asked, as JSON
    /status/CODE      that status, with the headers named by the query
    /big/N            N bytes
    /head/N           N bytes of headers
    /half             fewer bytes than were announced
    /never            nothing at all
    /silent           a head, and no body
    /lines/N/SIZE     N lines of SIZE bytes, in chunks that know nothing of lines; then its end
    /forever          a line, then nothing
    /torn             a line and a half, then its end
"""

import http.server
import json
import ssl
import sys
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, format, *args):
        pass

    def answer(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_chunks(self):
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b'%x\r\n%s\r\n' % (len(data), data))
        self.wfile.flush()

    def wait_for_the_end(self):
        """Until the client has gone."""
        while self.rfile.read(1):
            pass
        self.close_connection = True

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        parts = url.path.strip('/').split('/')
        getattr(self, 'get_' + parts[0])(url, *parts[1:])

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.get_echo(None, body=body)

    def get_ok(self, url):
        self.answer(b'hello')

    def get_echo(self, url, body=b''):
        asked = {'method': self.command, 'path': self.path, 'headers': dict(self.headers), 'body': body.decode('latin-1')}
        self.answer(json.dumps(asked).encode())

    def get_status(self, url, code):
        self.answer(b'as you wish', int(code), urllib.parse.parse_qsl(url.query))

    def get_big(self, url, size):
        self.answer(b'x' * int(size))

    def get_head(self, url, size):
        self.answer(b'', headers=[('X-Long', 'x' * 1000)] * (int(size) // 1000))

    def get_half(self, url):
        self.send_response(200)
        self.send_header('Content-Length', '100')
        self.end_headers()
        self.wfile.write(b'half')
        self.close_connection = True

    def get_never(self, url):
        self.wait_for_the_end()

    def get_silent(self, url):
        self.begin_chunks()
        self.wait_for_the_end()

    def get_lines(self, url, count, size):
        text = b''.join(b'%0*d\n' % (int(size), i) for i in range(int(count)))
        self.begin_chunks()
        for at in range(0, len(text), 777):
            self.chunk(text[at:at + 777])
        self.chunk(b'')

    def get_forever(self, url):
        self.begin_chunks()
        self.chunk(b'first\n')
        self.wait_for_the_end()

    def get_torn(self, url):
        self.begin_chunks()
        self.chunk(b'whole\nha')
        self.chunk(b'lf')
        self.chunk(b'')


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    server = Server(('127.0.0.1', 0), Handler)
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
