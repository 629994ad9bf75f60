#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workloads that are many, or mean it.

    crowd.py pods CGROUP KUBE FIRST COUNT ADDRESS PORT    COUNT pods come, connect once and go, at most 50 at a time
    crowd.py flood CGROUP SECONDS ADDRESS PORT      connects as fast as it can, without waiting for anything
    crowd.py open CGROUP COUNT ADDRESS PORT...      opens COUNT connections and holds them
    crowd.py accept ADDRESS PORT...                 takes and holds whatever comes
    crowd.py names CGROUP SECONDS TO                its own name server on 127.0.0.1, which answers garbage
    crowd.py answers SECONDS ADDRESS TO             what a name server at ADDRESS, port 53, says to whoever asks: valid, of ever new names
    crowd.py ask CGROUP SECONDS ADDRESS             asks it as fast as answers come

Prints what it did, as NAME=NUMBER.
"""

import ctypes
import errno
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time

LINGER_NONE = struct.pack('ii', 1, 0)
POLL = 0.2
libc = ctypes.CDLL(None)


def enter(cgroup):
    with open(os.path.join(cgroup, 'cgroup.procs'), 'w', encoding='ascii') as file:
        file.write(str(os.getpid()))


def say(**numbers):
    print(' '.join(f'{name}={number}' for name, number in numbers.items()), flush=True)


def each_in_a_process(ports, work):
    """A process may have so many descriptors and no more: one for each port. Gives what each of them wrote."""
    ends = []
    for port in ports:
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            work(int(port), writer)
            os._exit(0)
        os.close(writer)
        ends.append(os.fdopen(reader))
    return [end.readline() for end in ends]


# ------------------------------------------------------------------------------------------- pods

def uid(number):
    return f'0a0b0c0d-0000-4000-8000-{number:012d}'


def container(number):
    return f'{number:064x}'


def pod(number):
    return {'metadata': {'uid': uid(number), 'namespace': f'team-{number % 20}', 'name': f'job-{number}',
                         'labels': {'app': f'job-{number % 100}'},
                         'ownerReferences': [{'kind': 'ReplicaSet', 'name': f'job-{number % 100}-5d8', 'controller': True}]},
            'spec': {'nodeName': 'node-1'},
            'status': {'containerStatuses': [{'name': 'app', 'containerID': f'containerd://{container(number)}'}]}}


def pods(cgroup, kube, first, count, address, port):
    """Each in a cgroup as kubelet makes them, told of by the API server (tests/lib/fake_kube.py) while it lives."""
    alive, made, reached = [], 0, 0
    home = os.path.join(cgroup, 'home')
    os.makedirs(home, exist_ok=True)
    begin = time.monotonic()

    def remove(number, path):
        os.unlink(f'{kube}/pods/{number}')
        for _ in range(500):
            try:
                os.rmdir(path)
                os.rmdir(os.path.dirname(path))
                return
            except OSError as e:
                if e.errno != errno.EBUSY:
                    raise
                time.sleep(0.01)
        sys.exit(f'{path} stays busy')

    for number in range(int(first), int(first) + int(count)):
        path = f'{cgroup}/kubepods/burstable/pod{uid(number)}/{container(number)}'
        os.makedirs(path)
        with open(f'{kube}/new', 'w', encoding='utf-8') as file:
            json.dump(pod(number), file)
        os.rename(f'{kube}/new', f'{kube}/pods/{number}')
        enter(path)
        with socket.socket() as sock:
            sock.settimeout(20)
            sock.connect((address, int(port)))
            sock.sendall(b'r' * 64)
            reached += len(sock.recv(128)) > 0
        enter(home)
        made += 1
        alive.append((number, path))
        if len(alive) > 50:
            remove(*alive.pop(0))
    for one in alive:
        remove(*one)
    say(pods=made, reached=reached, seconds=round(time.monotonic() - begin, 1))


# ------------------------------------------------------------------------------------- connections

def flood(cgroup, seconds, address, port):
    enter(cgroup)
    end, begun, failed = time.monotonic() + float(seconds), 0, 0
    while time.monotonic() < end:
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            result = sock.connect_ex((address, int(port)))
            begun += 1
            failed += result not in (0, errno.EINPROGRESS)
    say(begun=begun, failed=failed, rate=round(begun / float(seconds)))


def open_many(cgroup, count, address, *ports):
    enter(cgroup)
    begin = time.monotonic()

    def hold(port, writer):
        held, failed = [], 0
        for _ in range(int(count) // len(ports)):
            sock = socket.socket()
            sock.settimeout(20)
            try:
                sock.connect((address, port))
            except OSError:
                failed += 1
                sock.close()
            else:
                held.append(sock)
        os.write(writer, f'{len(held)} {failed}\n'.encode())
        signal.pause()

    lines = [line.split() for line in each_in_a_process(ports, hold)]
    say(open=sum(int(line[0]) for line in lines), failed=sum(int(line[1]) for line in lines), seconds=round(time.monotonic() - begin, 1))
    signal.pause()


def accept(address, *ports):
    def take(port, writer):
        held, poll = {}, select.epoll()
        listener = socket.create_server((address, port), backlog=4096)
        listener.setblocking(False)
        poll.register(listener, select.EPOLLIN)
        os.write(writer, b'1\n')
        while True:
            for fd, _ in poll.poll():
                if fd in held:  # the other side is gone
                    held.pop(fd).close()
                    continue
                try:
                    while True:
                        taken = listener.accept()[0]
                        held[taken.fileno()] = taken
                        poll.register(taken, select.EPOLLRDHUP | select.EPOLLIN)
                except BlockingIOError:
                    pass

    say(listening=len(each_in_a_process(ports, take)))
    signal.pause()


# ------------------------------------------------------------------------------------------ names

def question(name):
    return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0\0\1\0\1'


def answer(ident, name, address, ttl=60):
    return (struct.pack('>HHHHHH', ident, 0x8180, 1, 1, 0, 0) + question(name) +
            b'\xc0\x0c\0\1\0\1' + struct.pack('>IH', ttl, 4) + socket.inet_aton(address))


def garbage(number, target):
    """Every third is well-formed and says that a name of ours is at an address of others."""
    kind = number % 3
    if kind == 0:
        return answer(number & 0xffff, f'n{number}.evil.test', target)
    good = answer(number & 0xffff, 'api.evil.test', target)
    if kind == 1:
        cut = random.randrange(len(good))
        return good[:cut] + os.urandom(random.randrange(64))
    return struct.pack('>HHHHHH', number & 0xffff, 0x8180, 1, 65535, 65535, 65535) + os.urandom(random.randrange(400))


def names(cgroup, seconds, target):
    enter(cgroup)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(('127.0.0.1', 53))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(('127.0.0.1', 53))
    client.setblocking(False)
    end, sent, got = time.monotonic() + float(seconds), 0, 0
    while time.monotonic() < end:
        client.send(answer(sent & 0xffff, 'q.test', '0.0.0.0')[:24])
        _, where = server.recvfrom(4096)
        server.sendto(garbage(sent, target), where)
        sent += 1
        try:
            while client.recv(65536):
                got += 1
        except BlockingIOError:
            pass
    say(sent=sent, got=got, rate=round(sent / float(seconds)))


def answers(seconds, address, target):
    """To each question, many answers: names that nobody heard before, at addresses of nobody, one in a thousand at TARGET."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    server.settimeout(POLL)
    print('ready', flush=True)
    end, sent = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        try:
            _, where = server.recvfrom(4096)
        except TimeoutError:
            continue
        for _ in range(32):
            where_to = target if sent % 1000 == 999 else f'10.{200 + sent % 50}.{sent >> 8 & 255}.{sent & 255}'
            server.sendto(answer(sent & 0xffff, f'n{sent}.flood.test', where_to), where)
            sent += 1
    say(sent=sent, rate=round(sent / float(seconds)))


def ask(cgroup, seconds, address):
    enter(cgroup)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((address, 53))
    client.settimeout(POLL)
    end, asked, got = time.monotonic() + float(seconds), 0, 0
    while time.monotonic() < end:
        try:
            client.send(answer(asked & 0xffff, 'q.flood.test', '0.0.0.0')[:29])
            asked += 1
            for _ in range(32):
                client.recv(4096)
                got += 1
        except OSError:
            pass
    say(asked=asked, got=got)


signal.signal(signal.SIGTERM, signal.SIG_DFL)
{'pods': pods, 'flood': flood, 'open': open_many, 'accept': accept, 'names': names, 'answers': answers,
 'ask': ask}[sys.argv[1]](*sys.argv[2:])
