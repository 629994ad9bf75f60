# SPDX-License-Identifier: Apache-2.0
"""What the counters of a run come to: pure functions, tested by tests/bench/test_figures.py.

A sample is (seconds since the start, payload bytes, segments), counted since the beginning."""

import math

HEADERS_TCP = 52  # IPv4, TCP and its timestamps
HEADERS_UDP = 28
STALLED = 0.05  # of the rate: a window below it moved nothing worth the name
NEAR = 0.10  # of the rate: near enough to have settled


def percentile(values, q):
    """The smallest value that the share q of them does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def median(values):
    """Between the two in the middle where there are two."""
    if not values:
        return None
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def ip_bytes(payload, segments, mss, headers):
    """Bytes with the headers of each packet. Where the receiver saw several segments as one
    (a TUN device does not say how many there are), they were as large as they could be."""
    if mss:
        segments = max(segments, math.ceil(payload / mss))
    return payload + segments * headers


def between(samples, begin, end):
    """The samples of [begin, end], a quarter of a window forgiven."""
    slack = 0.0125
    return [s for s in samples if begin - slack <= s[0] <= end + slack]


def slope(points):
    """Least squares of (x, y): the rate of a counter. Against the difference of the ends it does
    not depend on which of them a large segment fell in."""
    count = len(points)
    if count < 2:
        return None
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    square = sum((x - mean_x)**2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / square if square else None


def windows(samples, nominal):
    """(seconds, payload, segments) of each window. What a late sample cut short goes to the next."""
    found, last = [], samples[0] if samples else None
    for sample in samples[1:]:
        if sample[0] - last[0] < nominal / 2:
            continue
        found.append(tuple(b - a for a, b in zip(last, sample)))
        last = sample
    return found


def variation(values):
    """Standard deviation over mean."""
    if not values or sum(values) == 0:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean)**2 for v in values) / len(values)) / mean


def stalled(rates, rate):
    """Share of windows below STALLED of the rate."""
    return sum(r < STALLED * rate for r in rates) / len(rates) if rates else None


def jain(shares):
    """1: all have the same; 1/n: one has all. None: there is nothing to share."""
    squares = sum(s * s for s in shares)
    return sum(shares)**2 / (len(shares) * squares) if squares else None


def by_second(points, rate):
    """The error of each whole second of (seconds, bytes)."""
    found = []
    while points and points[-1][0] - points[0][0] > 0.95:
        end = points[0][0] + 1.01
        found.append(slope([p for p in points if p[0] <= end]) / rate - 1)
        points = [p for p in points if p[0] > end - 0.035]
    return found


def flow_shares(before, after, flows):
    """What each of @flows got between two edges. Connections that were closed or idle are not
    among them; one that was to send and got nothing is."""
    moved = sorted((b - a for a, b in zip(before, after)), reverse=True)
    return (moved + [0] * flows)[:flows]


def settled_after(rates, rate, nominal, in_a_row=4):
    """Seconds until so many windows in a row are within NEAR of the rate; None: never."""
    run = 0
    for i, r in enumerate(rates):
        run = run + 1 if abs(r - rate) <= NEAR * rate else 0
        if run == in_a_row:
            return (i + 1 - in_a_row) * nominal
    return None


def step(result, number, rate, headers, nominal=0.05):
    """The figures of step @number (from 0) of a run of 'ebb-bench tcp' or 'udp'."""
    begin = result["warm_up_s"] + number * result["step_s"]
    samples = between(result["samples"], begin, begin + result["step_s"])
    mss = result.get("mss", 0)
    counted = [(t, ip_bytes(payload, segments, mss, headers)) for t, payload, segments in samples]
    parts = windows(samples, nominal)
    rates = [ip_bytes(payload, segments, mss, headers) / seconds for seconds, payload, segments in parts]
    before, after = (result["flow_bytes"] or [[], []])[number:number + 2]
    shares = flow_shares(before, after, result["flows"][number])
    figures = {
        "ip_rate": slope(counted),
        "payload_rate": slope([(t, payload) for t, payload, _ in samples]),
        "variation": variation(rates),
        "jain": jain(shares),
        "rates": rates,
        "seconds": [seconds for seconds, _, _ in parts],
    }
    if rate and figures["ip_rate"] is not None:
        figures["error"] = figures["ip_rate"] / rate - 1
        figures["errors_by_second"] = by_second(counted, rate)
        figures["stalled"] = stalled(rates, rate)
        figures["settled_s"] = settled_after(rates, rate, nominal)
    return figures


def exponent(before, after):
    """How a cost grows between two points (size, cost): 0 not at all, 1 linearly, 2 with the square. None: it cannot be told."""
    if min(*before, *after) <= 0 or before[0] == after[0]:
        return None
    return math.log(after[1] / before[1]) / math.log(after[0] / before[0])


def spread(values):
    """{"p50", "min", "max", "n"}, of those that are there."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"p50": median(values), "min": min(values), "max": max(values), "n": len(values)}


def worst(values):
    """The one that is farthest from 0."""
    values = [v for v in values if v is not None]
    return max(values, key=abs) if values else None
