# SPDX-License-Identifier: Apache-2.0
"""The breaker once more, written from the rules of docs/state-machine.md and from nothing else.

It shares no code with ebb and does everything the slow and plain way: a list of all results, a list of
probes, and the next event found by looking at everything. test_model.py holds 'ebb simulate' against it.

Times are whole nanoseconds. What happens at one moment: ends of open times and of leases first, then
results in the order of their calls, then calls.
"""

from dataclasses import dataclass, field

SECOND = 1_000_000_000
WINDOW_BUCKETS = 10
FAILURES = ('refused', 'timeout', 'unreachable', 'abandoned', 'reset', 'unanswered')
WITHOUT_RESULT = ('cancelled', 'local', 'denied')
OUTCOMES = ('established', *FAILURES, *WITHOUT_RESULT)
# Ends are kept in ticks, rounded up: those of a simulation that is not too long are at most so long, and an end that
# does not fall on one is later by less than three.
TICK = 64
ROUNDING = 3 * TICK


class Ambiguous(Exception):
    """Something happens so near to a threshold that rounding decides."""


@dataclass
class Settings:
    window: int = 10 * SECOND
    window_calls: int = 0
    weighting: str = 'sliding'
    min_calls: int = 5
    failure_rate: float = 0.5
    slow_call: int = 0
    slow_rate: float = 1.0
    consecutive_failures: int = 5
    count: tuple = FAILURES
    open_for: int = 5 * SECOND
    open_factor: float = 2.0
    open_max: int = 25 * SECOND
    open_jitter: float = 0.2
    probes: int = 3
    close_after: int = 2
    reopen_after: int = 2
    probe_lease: int = 10 * SECOND
    ramp: int = 0


@dataclass
class Call:
    at: int
    outcome: str
    took: int = 0


@dataclass
class Attempt:
    """A call that was let through."""
    call: Call
    number: int
    generation: int
    probe: 'Probe | None' = None

    @property
    def known_at(self):
        return self.call.at + self.call.took


@dataclass
class Probe:
    lease_ends: int
    has_slot: bool = True


@dataclass
class Transition:
    at: int
    came_from: str
    to: str
    reason: str
    ok: int
    failed: int
    slow: int
    run: int
    trip: int
    generation: int
    open_until: float | None = None


def jitter_key(seed, name):
    """FNV-1a, 64 bits, over the seed (least byte first) and the name."""
    value = 0xcbf29ce484222325
    for byte in seed.to_bytes(8, 'little') + name.encode():
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def jitter_draw(key, n):
    """The n'th number of SplitMix64 from that key, in [0, 1)."""
    z = (key + n * 0x9e3779b97f4a7c15) % 2**64
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 % 2**64
    z = (z ^ z >> 27) * 0x94d049bb133111eb % 2**64
    return (z ^ z >> 31) / 2**64


@dataclass
class Breaker:
    settings: Settings
    key: int = 0
    look: int = 0  # 0: after each result; else at failures and probes at once, otherwise at multiples of it
    state: str = 'closed'
    generation: int = 0
    since: int = 0
    trip: int = 0
    open_until: float = 0
    # of the closed state
    results: list = field(default_factory=list)  # (time, succeeded, slow)
    unseen: list = field(default_factory=list)  # (succeeded, slow), since the last look
    look_at: int | None = None
    armed: int = 1  # which opening in a row the kernel makes at the next run, as of the last look
    run: int = 0
    calm_from: int = 0
    calm_successes: int = 0
    ramps: bool = False
    ramp_asked: int = 0
    # of half_open
    probes: list = field(default_factory=list)
    probes_succeeded: int = 0
    probes_failed: int = 0
    # what came out of it
    transitions: list = field(default_factory=list)
    admitted: int = 0
    refused: int = 0
    succeeded: int = 0
    failed: int = 0

    # ---- transitions

    def move(self, now, to, reason, ok=0, failed=0, slow=0, run=0):
        came_from = self.state
        self.state = to
        self.generation += 1
        self.since = now
        self.results = []
        self.unseen = []
        self.look_at = None
        self.run = 0
        self.calm_from = round(now)
        self.calm_successes = 0
        self.ramps = to == 'closed' and self.settings.ramp > 0
        self.ramp_asked = 0
        self.probes = []
        self.probes_succeeded = self.probes_failed = 0
        until = None
        if to == 'open':
            self.trip += 1
            by_kernel = reason == 'consecutive_failures' and self.look
            until = self.open_until = now + self.open_time(self.armed if by_kernel else self.trip)
        self.armed = self.trip + 1
        self.transitions.append(Transition(now, came_from, to, reason, ok, failed, slow, run, self.trip,
                                           self.generation, until))

    def open_time(self, trip):
        s = self.settings
        time = min(s.open_for * s.open_factor ** (trip - 1), s.open_max)
        if s.open_jitter:
            time *= 1 + s.open_jitter * (2 * jitter_draw(self.key, trip) - 1)
        return time

    # ---- the window

    def window(self, now):
        """What the rates are judged over: (age in buckets, succeeded, slow) of each result."""
        if self.settings.window_calls:
            return [(0, ok, slow) for _, ok, slow in self.results[-self.settings.window_calls:]]
        length = self.settings.window // WINDOW_BUCKETS
        aged = ((now // length - at // length, ok, slow) for at, ok, slow in self.results)
        return [result for result in aged if result[0] < WINDOW_BUCKETS]

    def weight(self, window, wanted):
        if self.settings.weighting != 'exponential':
            return sum(1 for result in window if wanted(result))
        return sum(2 ** (-age / 5) * sum(1 for result in window if result[0] == age and wanted(result))
                   for age in range(WINDOW_BUCKETS))

    def reaches(self, part, whole, rate):
        share = part / whole
        if self.settings.weighting == 'exponential' and part != whole and abs(share - rate) < 1e-9:
            raise Ambiguous('a weighted rate')
        return share >= rate

    def judge_closed(self, now):
        s = self.settings
        window = self.window(now)
        ok = sum(1 for result in window if result[1])
        slow = sum(1 for result in window if result[2])
        facts = {'ok': ok, 'failed': len(window) - ok, 'slow': slow, 'run': self.run}
        if s.consecutive_failures and self.run >= s.consecutive_failures:
            self.move(now, 'open', 'consecutive_failures', **facts)
            return
        if len(window) < s.min_calls:
            return
        whole = self.weight(window, lambda result: True)
        if self.reaches(self.weight(window, lambda result: not result[1]), whole, s.failure_rate):
            self.move(now, 'open', 'failure_rate', **facts)
        elif s.slow_call and self.reaches(self.weight(window, lambda result: result[2]), whole, s.slow_rate):
            self.move(now, 'open', 'slow_rate', **facts)

    def calm_end(self):
        return self.calm_from + self.settings.window

    def steps_down(self):
        """Does the growth of open times step down at the end of the present full window?"""
        return self.state == 'closed' and self.trip > 0 and self.calm_successes >= self.settings.min_calls

    def end_calm_windows(self, now):
        while self.state == 'closed' and now >= self.calm_end():
            if self.steps_down():
                self.trip -= 1
            self.calm_successes = 0
            windows = 1 if self.trip else (now - self.calm_from) // self.settings.window
            self.calm_from += windows * self.settings.window

    # ---- half_open

    def judge_half_open(self, now):
        facts = {'ok': self.probes_succeeded, 'failed': self.probes_failed}
        if self.probes_succeeded >= self.settings.close_after:
            self.move(now, 'closed', 'probes_succeeded', **facts)
        elif self.probes_failed >= self.settings.reopen_after:
            self.move(now, 'open', 'probes_failed', **facts)

    # ---- events

    def next_timer(self):
        if self.state == 'open':
            return self.open_until
        if self.state == 'half_open':
            return min((probe.lease_ends for probe in self.probes if probe.has_slot), default=None)
        calm_end = self.calm_end()
        if self.look:
            calm_end = -(-calm_end // self.look) * self.look
        looks = [calm_end if self.steps_down() else None, self.look_at]
        return min((look for look in looks if look is not None), default=None)

    def look_closed(self, now):
        self.end_calm_windows(now)
        self.look_at = None
        self.results += [(now, ok, slow) for ok, slow in self.unseen]
        self.calm_successes += sum(ok for ok, _ in self.unseen)
        self.unseen = []
        self.judge_closed(now)
        self.armed = self.trip + 1

    def on_timer(self, now):
        if self.state == 'open':
            self.move(now, 'half_open', 'open_expired')
        elif self.state == 'half_open':
            for probe in self.probes:
                if probe.has_slot and probe.lease_ends <= now:
                    probe.has_slot = False
                    self.probes_failed += 1
            self.judge_half_open(now)
        else:
            self.look_closed(now)

    def on_call(self, call, number):
        """The attempt, or None where it is refused."""
        probe = None
        admits = True
        if self.state == 'open':
            admits = False
        elif self.state == 'half_open':
            admits = sum(1 for p in self.probes if p.has_slot) < self.settings.probes
            if admits:
                probe = Probe(call.at + self.settings.probe_lease)
                self.probes.append(probe)
        elif self.ramps and call.at < self.since + self.settings.ramp:
            self.ramp_asked += 1
            share = (call.at - self.since) * 2**32 // self.settings.ramp
            admits = self.ramp_asked * 2654435769 % 2**32 < share
        if not admits:
            self.refused += 1
            return None
        self.admitted += 1
        return Attempt(call, number, self.generation, probe)

    def on_result(self, attempt):
        s = self.settings
        now = attempt.known_at
        ok = attempt.call.outcome == 'established'
        counts = ok or attempt.call.outcome in s.count
        slow = s.slow_call > 0 and attempt.call.took > s.slow_call
        self.succeeded += ok
        self.failed += counts and not ok
        if attempt.generation != self.generation:
            return
        if attempt.probe:
            if not attempt.probe.has_slot:
                return
            attempt.probe.has_slot = False
            if counts:
                self.probes_succeeded += ok and not slow
                self.probes_failed += slow or not ok
                self.judge_half_open(now)
        elif counts:
            self.run = 0 if ok else self.run + 1
            self.unseen.append((ok, slow))
            if not self.look or not ok:
                self.look_closed(now)
            elif self.look_at is None:
                self.look_at = (now // self.look + 1) * self.look


def simulate(settings, calls, seed=0, name='', look=0):
    """Runs all calls, in order of time, until nothing happens by itself any more; the breaker at its end."""
    breaker = Breaker(settings, jitter_key(seed, name), look)
    todo = sorted(calls, key=lambda call: call.at)  # stable
    todo.reverse()
    under_way = []
    number = 0
    while True:
        timer = breaker.next_timer()
        result = min(under_way, key=lambda attempt: (attempt.known_at, attempt.number), default=None)
        call = todo[-1] if todo else None
        others = [event for event in (result and result.known_at, call and call.at) if event is not None]
        if timer is not None and all(timer <= other for other in others):
            if others and timer % TICK and min(others) - timer < ROUNDING:
                raise Ambiguous('an event at the rounded end of an open time')
            breaker.on_timer(timer)
        elif result and (not call or result.known_at <= call.at):
            under_way.remove(result)
            breaker.on_result(result)
        elif call:
            todo.pop()
            attempt = breaker.on_call(call, number)
            number += 1
            if attempt:
                under_way.append(attempt)
        else:
            return breaker
