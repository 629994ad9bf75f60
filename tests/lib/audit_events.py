# SPDX-License-Identifier: Apache-2.0
"""Events of the audit log, written down for tests of 'ebb audit' and 'ebb report': as dead letters, which
'ebb deadletter replay' gives to the real sinks.

    events = Events('2026-11-29T05:00:00')
    events.add(61.5, 'denials', user='/web', destination='api', ...)
    events.write(sys.stdout)

Times are seconds after the start.
"""

import datetime
import json


class Events:
    def __init__(self, start):
        self.start = datetime.datetime.fromisoformat(start)
        self.events = []

    def time(self, seconds):
        moment = self.start + datetime.timedelta(seconds=seconds)
        return moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')

    def add(self, seconds, event_type, user_id='', ip_address='', outcome='success', outcome_details='',
            session_id='9f3c000000000001', **details):
        number = len(self.events)
        milliseconds = int((self.start.replace(tzinfo=datetime.timezone.utc).timestamp() + seconds) * 1000)
        self.events.append({
            'id': f'{milliseconds >> 16:08x}-{milliseconds & 0xffff:04x}-7000-8000-{number:012x}',
            'timestamp': self.time(seconds), 'event_type': event_type, 'user_id': user_id, 'session_id': session_id,
            'ip_address': ip_address, 'outcome': outcome, 'outcome_details': outcome_details, 'details': details})

    def who(self, workload):
        return {'workload': workload, 'namespace': '', 'pod': '', 'container': ''}

    def failures(self, seconds, workload, destination, outcomes, ok=0, used=1, failing=1):
        self.add(seconds, 'failures', user_id=workload, outcome='failure', destination=destination, outcomes=outcomes,
                 ok=ok, destinations=used, failing=failing, **self.who(workload))

    def denials(self, seconds, workload, destination, causes, would=None, episode=''):
        self.add(seconds, 'denials', user_id=workload, outcome='denied', destination=destination, causes=causes,
                 would=would or {}, first=self.time(seconds - 59), last=self.time(seconds - 1), episode=episode,
                 **self.who(workload))

    def move(self, seconds, destination, before, after, reason, episode, workload='', address='', **facts):
        details = {'ok': 0, 'failed': 0, 'slow': 0, 'run': 0, 'last_failure': 'none', 'open_for_s': 0, 'generation': 1,
                   'mode': 'enforce'}
        details.update(facts)
        self.add(seconds, 'breaker_transition', user_id=workload, ip_address=address,
                 outcome='denied' if after == 'open' else 'success', outcome_details=reason, destination=destination,
                 **{'from': before, 'to': after}, reason=reason, episode=episode, **self.who(workload), **details)

    def episode(self, begin, end, destination, episode, workload='', address=''):
        """Outside closed from begin to end; end None: still."""
        self.move(begin, destination, 'closed', 'open', 'consecutive_failures', episode, workload, address, failed=5,
                  run=5, last_failure='refused', open_for_s=5)
        if end is not None:
            self.move(end - 1, destination, 'open', 'half_open', 'open_over', episode, workload, address)
            self.move(end, destination, 'half_open', 'closed', 'probes_succeeded', episode, workload, address, ok=2)

    def new(self, seconds, workload, destination):
        self.add(seconds, 'destination_new', user_id=workload, destination=destination, **self.who(workload))

    def write(self, out):
        """As dead letters."""
        for event in sorted(self.events, key=lambda event: event['timestamp']):
            letter = {'time': event['timestamp'], 'reason': 'written by a test', 'event': event}
            out.write(json.dumps(letter, separators=(',', ':')) + '\n')
