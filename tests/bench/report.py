#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One report from the results of tests/bench/run.sh: a table in Markdown, as docs/performance.md
holds it, and all figures in one JSON file. A target that is missed is said so, and is no failure
of the run: what a figure is worth depends on the machine."""

import argparse
import json
import os
import platform
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import growth_report  # noqa: E402
import limits_report  # noqa: E402


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def us(ns):
    """Microseconds, three significant digits."""
    return f"{ns / 1000:.3g} us"


def row(what, figure, spread, target, met):
    verdict = "" if met is None else "met" if met else "**missed**"
    return f"| {what} | {figure} | {spread} | {target} | {verdict} |"


def refused(r):
    gate, closed, speedup = r["open_gate"], r["closed_port"], r["speedup"]
    seen = r["closed_port_seen_ratio"]
    yield row("refused connect(), open gate", us(gate["p50"]), f"p99 {us(gate['p99'])}", "< 1 us",
              gate["p50"] < 1000)
    yield row("connect() to a closed port, nothing attached", us(closed["p50"]), f"p99 {us(closed['p99'])}", "",
              None)
    yield row("the one to the other", f"{speedup['p50']:.1f} x faster",
              f"{speedup['p25']:.1f} to {speedup['p75']:.1f}", ">= 10 x", speedup["p50"] >= 10)
    for key, what in (("nftables", "nftables, reject with tcp reset"), ("iptables", "iptables, REJECT with tcp-reset")):
        other, times = r[key], r[key + "_to_gate"]
        yield row(f"connect() that a packet filter refuses: {what}", us(other["p50"]),
                  f"p99 {us(other['p99'])}; {times['p50']:.1f} x as long as our open gate", "", None)
    yield row("connect() to a closed port that we see (a failing destination, breaker closed)",
              f"x {seen['p50']:.3f}", f"{seen['p25']:.3f} to {seen['p75']:.3f}", "", None)


def ratio_cells(ratio):
    return f"x {ratio['p50']:.3f}", f"{ratio['p25']:.3f} to {ratio['p75']:.3f}"


def allowed(r):
    names = {
        "none_again": "connect() + close(), nothing attached, against itself",
        "empty": "connect() + close(), programs that return at once",
        "armed": "connect() + close(), the same with the callbacks that we ask for",
        "ebb": "connect() + close(), ebb",
    }
    yield row("connect() + close(), nothing attached", us(r["none"]["calls_ns"]["p50"]),
              f"p99 {us(r['none']['calls_ns']['p99'])}", "", None)
    for key, what in names.items():
        ratio = r[key]["calls_ratio"]
        ours = key == "ebb"
        yield row(what, *ratio_cells(ratio), "<= 1.05, aim 1.03" if ours else "",
                  ratio["p50"] <= 1.05 if ours else None)
    yield row("of it, our own instructions (ebb against callbacks that return at once)",
              *ratio_cells(r["ebb_to_armed"]), "", None)
    yield row("the whole life of a connection: socket() to close() of both ends", *ratio_cells(
        r["ebb"]["whole_ratio"]), "<= 1.05, aim 1.03", r["ebb"]["whole_ratio"]["p50"] <= 1.05)


def moved(r):
    yield row("connect() + close() through a gate that has moved before (its sockets have a memory)",
              *ratio_cells(r["ebb"]["calls_ratio"]), "", None)


def send(r):
    names = {
        "none_again": "sendto() of UDP, nothing attached, against itself",
        "empty": "sendto() of UDP, programs that return at once",
        "ebb": "sendto() of UDP, ebb",
        "nftables": "sendto() of UDP, nftables, a rate for each destination",
        "iptables": "sendto() of UDP, iptables hashlimit, the same",
    }
    yield row("sendto() of UDP, nothing attached", us(r["none"]["ns"]["p50"]), f"p99 {us(r['none']['ns']['p99'])}", "",
              None)
    for key, what in names.items():
        yield row(what, *ratio_cells(r[key]["ratio"]), "", None)
    net = r["program"]["ns"]["p50"] - r["program"]["empty_ns"]["p50"]
    yield row("program sendmsg4, once for each datagram of an unconnected socket", f"{net:.0f} ns a run", "", "", None)


def packets(r):
    kinds = {
        "udp": ("a datagram of 100 bytes, sent and received", lambda ns: f"{ns:.0f} ns", 1.05),
        "tcp": ("a TCP stream", lambda ns: f"{1024 / ns:.2f} GB/s of processor time", 1.03),
    }
    names = {
        "none_again": "nothing attached, against itself",
        "no_limit": "ebb, no limit anywhere",
        "empty": "ebb, and an empty program at egress",
        "other": "ebb, limits elsewhere",
        "limited": "ebb, a limit that is not reached",
    }
    for kind, (what, absolute, target) in kinds.items():
        f = r[kind]
        yield row(f"{what}: nothing attached", absolute(f["none"]["ns"]["p50"]), "", "", None)
        for key, when in names.items():
            ratio = f[key]["to_none"]
            ours = key == "limited"
            yield row(f"... {when}", *ratio_cells(ratio), f"<= {target}" if ours else "",
                      ratio["p50"] <= target if ours else None)
        empty = f["program_ns"]["empty"]["p50"]
        for key, target_ns in (("other", 40), ("limited", None)):
            net = f["program_ns"][key]["p50"] - empty
            yield row(f"... program egress, {names[key][5:]}", f"{net:.0f} ns a packet on top of an empty one",
                      f"end to end {(f[key]['to_empty']['p50'] - 1) * f['empty']['ns']['p50']:.0f} ns"
                      if kind == "udp" else "",
                      "< 40 ns" if target_ns else "", net < target_ns if target_ns else None)


def programs(r):
    for name, figures in r.items():
        net = figures["ns"]["p50"] - figures["empty_ns"]["p50"]
        yield row(f"program {name}, {figures['runs']:g} x for each connection", f"{net:.0f} ns a run",
                  f"{net * figures['runs']:.0f} ns for each connection", "", None)


def routes(r):
    names = {
        "again_2": ("without rules, against itself", None),
        "again_rules": ("a pair that the processor remembers", 250),
        "missed_rules": ("a pair that it does not remember", 250),
        "first_unclaimed": ("a new pair, of no rule", 250),
        "first_claimed": ("a new pair, of a rule (without: discovered)", 250),
    }
    for key, (what, target) in names.items():
        f, p = r[key]["connect_more_ns"], r[key]["program_more_ns"]
        yield row(f"1,000 prefixes with ports, {what}: connect()", f"{f['p50']:+.0f} ns",
                  f"{f['p25']:+.0f} to {f['p75']:+.0f}; program connect4 {p['p50']:+.0f} ns a run",
                  f"<= {target} ns" if target else "", f["p50"] <= target if target else None)
    for key, what in (("again", "a pair that the processor remembers"), ("missed", "one that it does not"),
                      ("missed_rules", "one that it does not, 1,000 prefixes")):
        ns = r[key]["program_ns"]
        yield row(f"program connect4 with its two looks at the clock, {what}", f"{ns['p50']:.0f} ns a run",
                  f"{ns['p25']:.0f} to {ns['p75']:.0f}", "", None)


def trip(results, prefix, whose):
    for suffix, when in (("_idle", "idle"), ("_busy", "both processors busy"),
                         ("_busy_2", "both processors busy, two threads connect")):
        r = results.get(prefix + suffix)
        if not r:
            continue
        time, slipped = r["reaction_ns"], r["slipped"]
        target, met = "", None
        if prefix == "trip_agent":
            target = "p50 < 200 us" if suffix == "_idle" else "p50 < 200 us, p99 < 10 ms"
            met = time["p50"] < 200e3 and (suffix == "_idle" or time["p99"] < 10e6)
        yield row(f"{whose}, {when}: failure to first refused connect()", us(time["p50"]),
                  f"p99 {us(time['p99'])}, max {us(time['max'])}, n {time['n']}", target, met)
        kernel = prefix == "trip_kernel"
        yield row("... connects that slipped through", f"{r['slipped_total']:.0f}",
                  f"median {slipped['p50']:.0f}, max {slipped['max']:.0f} in a trial", "0" if kernel else "",
                  r["slipped_total"] == 0 if kernel else None)


def trip_peers(r):
    names = {"row": "ebb, 5 failures in a row (the kernel)", "rate": "ebb, failure rate (the agent)",
             "haproxy": "HAProxy, error-limit 5, one thread", "haproxy_2": "HAProxy, error-limit 5, two threads"}
    for one in r:
        when = f"{'both processors busy' if one['busy'] else 'idle'}, {one['threads']} connector{'s' if one['threads'] > 1 else ''}"
        for name, what in names.items():
            f = one["arms"][name]
            ns, ratio, slipped = f["ns"], f["to_row"], f["slipped"]
            against = f"; x {ratio['p50']:.3g} ({ratio['min']:.3g} to {ratio['max']:.3g})" if ratio and name != "row" else ""
            yield row(f"5th failure to the first client turned away, {when}: {what}", f"{us(ns['p50'])}{against}",
                      f"{us(ns['p25'])} to {us(ns['p75'])}, p99 {us(ns['p99'])}, n {f['n']}", "", None)
            yield row("... clients that slipped through", f"{slipped['total']:.0f}",
                      f"in {slipped['trials']} trials, at most {slipped['max']:.0f} in one", "", None)


def bulkhead(r):
    calls, refused = r["calls"], r["refused"]
    yield row(f"bulkhead of {r['cap']}, {calls} connects of {r['threads']} threads: most connections at once",
              f"{r['most_held']}", f"{refused / calls:.0%} refused, {r['in_use_at_end']} in use at the end",
              "never over, 0", r["most_held"] <= r["cap"] and r["in_use_at_end"] == 0)
    yield row("... refused although a slot was free, of all refusals", f"{r['false_certain'] / refused:.2%} for certain",
              f"{r['false_likely'] / refused:.2%} likely", "stated", None)


def above(figures, key, empty):
    """Quantiles of a case of the gate, less what measuring takes: the median of programs that return at once."""
    q = {name: (value - empty[key]["p50"]) for name, value in figures[key].items() if name != "n"}
    return us(q["p50"]), f"p90 {us(q['p90'])}, p99 {us(q['p99'])}, p99.9 {us(q['p999'])}", q["p99"]


def gate(r):
    names = {"empty": "programs that return at once", "plain": "ebb", "limited": "ebb, a limit on open connections"}
    for crowd in sorted(r, key=int):
        f, empty = r[crowd], r[crowd]["empty"]
        connectors = f"{crowd} connector{'s' if crowd != '1' else ''}"
        for case, what in names.items():
            middle, spread, p99 = above(f[case], "together", empty)
            ours = case != "empty"
            yield row(f"gate and release together, {connectors}: {what}", middle, spread, "p99 <= 1 us" if ours else "",
                      p99 <= 1000 if ours else None)
        for case in ("plain", "limited"):
            middle, spread, _ = above(f[case], "all", empty)
            yield row(f"... all programs of a connection, {f[case]['runs']:.1f} runs: {names[case]}", middle, spread, "", None)


def flame(r):
    yield row(f"where a connection with one request spends {us(r['cpu_ns'])} (with who watches): in our programs",
              f"{sum(r['programs'].values()):.1%}", f"{r['samples']} samples", "", None)
    for name, share in r["programs"].items():
        if share >= 0.0005:
            yield row(f"... {name} and what it calls", f"{share:.2%}", f"{share * r['cpu_ns']:.0f} ns", "", None)
    yield row("... in the kernel, for the sake of programs", f"{r['around']:.1%}", f"{r['around'] * r['cpu_ns']:.0f} ns", "", None)


def ingress(r):
    what = {"tcp": "a TCP stream", "udp_connected": "datagrams to a connected socket",
            "udp": "datagrams to a socket without a peer", "answer": "a DNS answer, handed over"}
    for key, label in what.items():
        net = r[key]["ns"]["p50"] - r[key]["empty_ns"]["p50"]
        yield row(f"program ingress, {label}", f"{net:.0f} ns a packet on top of an empty one", "", "", None)


def turns(r):
    works = {"close": "connect() + close(), one thread at both ends",
             "request": "the same with a request and its answer, one thread at both ends",
             "stream": "a request and its answer on an open connection, one thread at both ends",
             "served": "connect(), request, answer, close(), the server another process: on the client's clock",
             "far": "the same over veth, the server in another network namespace"}
    cases = {"none_again": "nothing attached, against itself", "off": "ebb without turns",
             "empty": "and a program at packets that returns at once", "turns": "ebb with turns"}
    targets = {"close": 1.12, "request": 1.05, "served": 1.05, "far": 1.05}
    for key, work in works.items():
        f = r[key]
        target = targets.get(key)
        yield row(f"{work}: nothing attached", us(f["none"]["ns"]["p50"]), "", "", None)
        for case, what in cases.items():
            ratio = f[case]["to_none"]
            judged = target and case == "turns"
            yield row(f"... {what}", *ratio_cells(ratio), f"<= {target}" if judged else "",
                      ratio["p50"] <= target if judged else None)
        if "programs" not in f:
            continue
        programs = f["programs"]
        yield row("... all programs", f"{programs['net_ns']['p50']:.0f} ns, {programs['runs']:g} runs",
                  f"the one that sees turns {programs['run_ns']['p50']:.0f} ns a run", "", None)


def peers(r):
    works = {"connection": "connect(), request, answer, close()", "exchange": "a request and its answer on an open connection",
             "bulk": "16 MB of an answer"}
    cases = {"none_again": "nothing, against itself", "ebb": "ebb, everything on", "nftables": "nftables, a rate for each destination",
             "iptables": "iptables, connlimit", "haproxy": "HAProxy on the node, TCP mode",
             "haproxy_splice": "HAProxy, the same with option splice-auto"}
    yield from compared(r, works, cases)


def tracers(r):
    works = {"connection": "connect(), request, answer, close(), watched", "exchange": "a request and its answer on an open connection, watched"}
    cases = {"none_again": "nothing, against itself", "ebb": "ebb, everything on", "tcpconnect": "tcpconnect", "tcpconnlat": "tcpconnlat",
             "tcplife": "tcplife", "tcpstates": "tcpstates"}
    yield from compared(r, works, cases)


def compared(r, works, cases):
    for key, work in works.items():
        none = r[key]["none"]
        yield row(f"{work}: nothing else", us(none["ns"]["p50"]),
                  f"p99 {us(none['ns']['p99'])}; processor time {us(none['cpu_ns']['p50'])}", "", None)
        for case, what in cases.items():
            f = r[key][case]
            if not f:
                yield row(f"... {what}", "does not run on this kernel", "", "", None)
                continue
            time, spread = ratio_cells(f["to_none"])
            cpu, cpu_spread = ratio_cells(f["cpu_to_none"])
            yield row(f"... {what}", f"time {time}, processor time {cpu}", f"{spread}; {cpu_spread}", "", None)


def names(results):
    for mode in ("enforce", "observe"):
        for suffix, when in (("idle", "idle"), ("busy", "both processors busy")):
            r = results.get(f"names_{mode}_{suffix}")
            if not r:
                continue
            stands = r["stands_ns"]
            governed = ", ".join(f"{key.split('_')[0]} us: {share:.1%}" for key, share in r["governed"].items())
            yield row(f"from a DNS answer to the map, agent in {mode}, {when}", us(stands["p50"]),
                      f"p99 {us(stands['p99'])}", "", None)
            yield row("... governed by name at the first connect, so long after the answer", governed, "", "", None)


def idle(r, discovered):
    yield row(f"agent, {discovered['destinations']} destinations, nothing to do", f"{r['cpu_share']:.3%} of a core",
              f"over {r['seconds']} s", "< 0.2%", r["cpu_share"] < 0.002)
    yield row("... anonymous memory", f"{r['anonymous_kb'] / 1024:.1f} MB", "", "< 16 MB",
              r["anonymous_kb"] < 16 * 1024)
    yield row("... memory of the maps", f"{discovered['map_bytes'] / 1e6:.1f} MB", "", "stated", None)
    yield row(f"scrape of them, {r['scrape_series'] / discovered['destinations']:.1f} series each",
              f"{r['scrape_ms']['p50']:.1f} ms", f"max {r['scrape_ms']['max']:.1f} ms, {r['scrape_bytes'] / 1e6:.1f} MB",
              "< 50 ms", r["scrape_ms"]["p50"] < 50)


def table(results):
    sections = {"refused": refused, "allowed": allowed, "moved": moved, "send": send, "packets": packets,
                "programs": programs, "routes": routes, "ingress": ingress, "turns": turns, "peers": peers, "tracers": tracers,
                "bulkhead": bulkhead, "gate": gate, "flame": flame}
    for name, rows in sections.items():
        if name in results:
            yield from rows(results[name])
    yield from trip(results, "trip_kernel", "N failures in a row (the kernel pulls)")
    yield from trip(results, "trip_agent", "failure rate (user space)")
    if "trip_peers" in results:
        yield from trip_peers(results["trip_peers"])
    yield from names(results)
    if "idle" in results and "discovered" in results:
        yield from idle(results["idle"], results["discovered"])


def whole(results):
    """All tables, with their headings."""
    yield "| what | median | spread (quartiles where not said) | target | |"
    yield "|---|---|---|---|---|"
    yield from table(results)
    for name, of in (("growth", growth_report), ("limits", limits_report)):
        if name in results:
            yield ""
            yield from of.table(results[name])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", required=True)
    parser.add_argument("--load", nargs=2, required=True)
    parser.add_argument("--elsewhere", default="", help="hooks at which somebody else had programs")
    parser.add_argument("--failed", default="")
    parser.add_argument("results", nargs="*")
    arguments = parser.parse_args()

    machine = {
        "kernel": platform.release(),
        "processor": cpu_model(),
        "processors": os.cpu_count(),
        "load_before": float(arguments.load[0]),
        "load_after": float(arguments.load[1]),
        "hooks_elsewhere": arguments.elsewhere.split(),
    }
    results = {}
    for path in arguments.results:
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text.strip():
            results[name] = json.loads(text)
    failed = arguments.failed.split()
    with open(arguments.write, "w", encoding="utf-8") as file:
        json.dump({"machine": machine, "failed": failed, **results}, file, indent=1, sort_keys=True)
        file.write("\n")

    print(f"Linux {machine['kernel']}, {machine['processors']} x {machine['processor']}, "
          f"load {machine['load_before']} before and {machine['load_after']} after\n")
    if arguments.elsewhere:
        print(f"Somebody else had programs at {arguments.elsewhere}: ratios to nothing attached are too good.\n")
    print("\n".join(whole(results)))
    for step in failed:
        print(f"\nfailed: {step}")
    print(f"\nall figures: {arguments.write}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
