#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A day of a node, with one of everything that 'ebb audit' and 'ebb report' can tell, and what they must not take for it."""

import sys

from audit_events import Events

MINUTE, HOUR = 60, 3600


def story():
    e = Events('2026-11-28T06:00:00')
    # what was there before: the agent knows its destinations
    e.add(0, 'agent_start', version='0.1.0', mode='enforce', cgroup='/sys/fs/cgroup/kubepods', pin='/sys/fs/bpf/ebb',
          listen='127.0.0.1:9478', took_over=False)
    e.add(1, 'config_applied', user_id='0', file='/etc/ebb/ebb.yaml', generation=1, destinations=2)
    for name in ('db.example.com:5432', 'api.example.com:443', '10.0.7.1:6379/tcp', '10.0.7.2:6379/tcp', '10.0.7.3:6379/tcp'):
        e.new(10, '/system.slice/web.service', name)

    t = 24 * HOUR
    # a breaker that opens, and a client that does not back off
    e.failures(t + MINUTE, '/system.slice/web.service', 'db.example.com:5432', {'refused': 5}, ok=40, used=5, failing=1)
    e.episode(t + 90, t + 10 * MINUTE, 'db.example.com:5432', 'aaaa000000000001', '/system.slice/web.service', '10.0.0.5')
    for minute in range(2, 10):
        e.denials(t + minute * MINUTE, '/system.slice/web.service', 'db.example.com:5432', {'breaker': 1500 - minute},
                  episode='aaaa000000000001')
    # one that does: 1, 2, 4, ... up to 32 s apart, with eight processes
    for minute, count in enumerate((48, 16, 16, 16, 16, 16, 16, 16), start=2):
        e.denials(t + minute * MINUTE, '/system.slice/batch.service', 'db.example.com:5432', {'breaker': count},
                  episode='aaaa000000000001')

    # a scanner: nothing that it tries answers, all of it is new
    for minute in range(20, 23):
        for host in range(40):
            name = f'192.168.{minute}.{host}:22/tcp'
            e.new(t + minute * MINUTE, '/user.slice/session-7.scope', name)
            e.failures(t + minute * MINUTE + 59, '/user.slice/session-7.scope', name, {'refused': 1}, used=40, failing=40)
    # a crawler: as many destinations, most of them healthy
    for host in range(120):
        name = f'site{host}.example.net:443'
        e.new(t + 30 * MINUTE, '/system.slice/crawler.service', name)
        if host % 10 == 0:
            e.failures(t + 31 * MINUTE, '/system.slice/crawler.service', name, {'timeout': 1}, used=120, failing=12)

    # a host goes away: three at once, neighbours; it also tells a name that was never seen
    for number in (1, 2, 3):
        e.episode(t + HOUR + number, t + HOUR + 5 * MINUTE + number, f'10.0.7.{number}:6379/tcp',
                  f'bbbb00000000000{number}', '/system.slice/web.service', f'10.0.7.{number}')
        e.failures(t + HOUR + MINUTE, '/system.slice/web.service', f'10.0.7.{number}:6379/tcp', {'timeout': 5}, ok=90,
                   used=5, failing=3)
    e.new(t + 2 * HOUR, '/system.slice/web.service', '203.0.113.9:4444/tcp')

    # people, the agent, and what was refused
    e.add(t + 3 * HOUR, 'override', user_id='1000', uid=0, login_uid=1000, command='breaker open api.example.com:443 --for 10m', lost=0)
    e.add(t + 3 * HOUR + 60, 'config_rejected', user_id='0', outcome='failure', file='/etc/ebb/ebb.yaml',
          why='/etc/ebb/ebb.yaml:3:7: there is no key mod')
    e.denials(t + 3 * HOUR + 120, '/system.slice/web.service', 'api.example.com:443', {'override': 12, 'rate': 3}, would={})
    e.denials(t + 3 * HOUR + 180, '/system.slice/batch.service', 'api.example.com:443', {}, would={'concurrency': 7})
    for number in range(3):
        e.add(t + 4 * HOUR + number, 'request_refused', ip_address='10.1.2.3', outcome='denied', method='DELETE',
              path='/api/v1/destinations/api', status=405, count=2)
    e.add(t + 4 * HOUR + 10, 'credentials_refused', outcome='denied', component='kubelet', address='10.0.0.1:10250', status=401)
    e.add(t + 5 * HOUR, 'enforcement_lost', outcome='failure', component='connect4', why='its cgroup was removed')
    e.add(t + 5 * HOUR + 2, 'link_attached', link='connect4')
    e.add(t + 5 * HOUR + 2, 'enforcement_back', component='connect4', lasted_s=2.0)
    e.add(t + 5 * HOUR + 60, 'node_fuse', outcome='denied', action='alert', acts=True, open=3, active=5, calls=12)
    # killed, and back after seven minutes; the last breaker is still open
    e.episode(t + 6 * HOUR, None, 'api.example.com:443', 'cccc000000000001', '/system.slice/web.service')
    e.add(t + 6 * HOUR + 420, 'agent_start', session_id='9f3c000000000002', version='0.1.0', mode='enforce',
          cgroup='/sys/fs/cgroup/kubepods', pin='/sys/fs/bpf/ebb', listen='127.0.0.1:9478', took_over=True)
    e.add(t + 6 * HOUR + 500, 'agent_stop', session_id='9f3c000000000002', signal='SIGTERM', uptime_s=80)
    return e


if __name__ == '__main__':
    story().write(sys.stdout)
