#!/usr/bin/env python3
"""Compare the statistics of our tools with those of tshark.

usage: statistics.py [--every N] WHAT CORPUS EXCEPTIONS

WHAT is "stats": at-stats beside tshark -z io,stat, packets and bytes of all
packets in ten intervals or so, and of some filters where no packet is such
that the two programs look at different layers of it.  Intervals of tshark
begin with the first packet, ours with the clock, so the capture is moved in
time (editcap -t) until its first packet begins an interval.  What is earlier
than that packet tshark counts with it.  Where nothing comes later it prints
no statistics.  From the length of an ERF record it takes the FCS.

WHAT is "top": at-top beside -z endpoints (Ethernet, IPv4 and IPv6: packets
and bytes sent and received) and -z conv (IPv4, IPv6, TCP, UDP and SCTP:
packets each way), where no packet is such that tshark sees several layers.

WHAT is "report": the tree of protocols of at-report beside -z io,phs: packets
and bytes of those protocols that both know, but for what ICMP quotes; and the
distribution of lengths beside -z plen,tree.

Captures are those of CORPUS that its GROUND_TRUTH.tsv calls usable, every Nth
of them.  EXCEPTIONS is a TSV of what, file, reason: a difference that is
listed is expected, and one that is listed but does not happen is an error
too.  Prints one line a difference; exits 1 if there was any not listed.
"""
import argparse
import collections
import csv
import io
import math
import os
import re
import subprocess
import sys
import tempfile
from decimal import Decimal

# Our filters and what tshark calls the same, except for what ICMP quotes.
FILTERS = [("arp", "arp"), ("ip", "ip"), ("ip6", "ipv6"),
           ("tcp", "tcp && !icmp && !icmpv6"),
           ("udp port 53", "udp.port == 53 && !icmp && !icmpv6")]

# Features of MANIFEST.tsv: tunnels, whose inside tshark takes for a packet
# too; fragments, which it puts together; and packets that make no sense.
UNLIKE = re.compile(r"\b(gre|inner|teredo|vxlan|geneve|gtp|6in|ipip|erspan|"
                    r"l2tp|capwap|mpls|nsh|bad_|frag|short_|eth_|wlan|"
                    r"snapped|incl|iplen|ipproto|nflog|llc|zero|empty|frame_relay)")


def rows(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def run(*argv, good=(0,)):
    """What a program prints."""
    p = subprocess.run(argv, capture_output=True, text=True, check=False,
                       errors="replace")
    if p.returncode not in good:
        raise RuntimeError(f"{argv[0]}: exit {p.returncode}: {p.stderr[:200]}")
    return p.stdout


def ours(tool, *argv):
    """The rows that a tool of ours prints as CSV; a damaged capture has 1."""
    text = run(tool, "-q", "--format", "csv", *argv, good=(0, 1))
    return list(csv.DictReader(io.StringIO(text)))


def tshark(path, *argv):
    return run("tshark", "-n", "-r", path, *argv, good=(0, 2))


def times(path):
    text = tshark(path, "-T", "fields", "-e", "frame.time_epoch")
    return [Decimal(line) for line in text.split()]


# ---- at-stats and io,stat ------------------------------------------------

def moved(path, work, interval, first):
    """The capture, its first packet at the beginning of an interval."""
    out = os.path.join(work, "moved.pcapng")
    run("editcap", "-t", str(interval - first % interval), path, out,
        good=(0, 1, 2))
    return out


def io_stat(path, interval, filters):
    """Of each interval, the numbers that tshark has in its columns."""
    how = ",".join(["io,stat", str(interval)] + ([""] if filters else []) +
                   [f for _, f in filters])
    result = []
    for line in tshark(path, "-q", "-z", how).splitlines():
        cells = [c.strip() for c in line.split("|")]
        if "<>" in line:
            result.append([int(c) for c in cells[2:] if c])
    return result


def our_stat(path, interval, filters):
    names = ["all"] + [f for f, _ in filters]
    lines = ours("at-stats", "-i", f"{interval}s", path, *names[1:])
    n = len(names)
    assert [r["filter"] for r in lines] == names * (len(lines) // n)
    return [[int(r[c]) for r in lines[i:i + n]
             for c in ("packets", "wire_bytes")]
            for i in range(0, len(lines), n)]


def without_zeros(table):
    while table and not any(table[-1]):
        table = table[:-1]
    return table


def compare_stats(path, features, work):
    when = times(path)
    if not when or max(when) - when[0] < Decimal("0.000001"):
        return
    bytes_too = ".erf" not in path
    filters = FILTERS if not UNLIKE.search(features) else []
    names = ["all"] + [f for f, _ in filters]
    interval = max(1, int((max(when) - min(when)) / 10) + 1)
    path = moved(path, work, interval, when[0])
    early = math.ceil((when[0] - min(when)) / interval)
    got = our_stat(path, interval, filters)
    got = without_zeros([[sum(c) for c in zip(*got[:early + 1])]] +
                        got[early + 1:])
    want = without_zeros(io_stat(path, interval, filters))
    if len(got) != len(want):
        yield f"{len(got)} intervals, tshark has {len(want)}"
    for i, (mine, theirs) in enumerate(zip(got, want)):
        for k, (a, b) in enumerate(zip(mine, theirs)):
            if a != b and (k % 2 == 0 or bytes_too):
                yield (f"{names[k // 2]} in interval {i}: {a}, tshark {b} "
                       f"{['packets', 'bytes'][k % 2]}")


# ---- at-top, endpoints and conversations ---------------------------------

def endpoints(path, kind):
    """Of each end the four numbers of tshark: sent, received."""
    table = {}
    for line in tshark(path, "-q", "-z", f"endpoints,{kind}").splitlines():
        cells = line.split()
        if len(cells) == 7 and cells[1].isdigit():
            table[cells[0]] = [int(c) for c in cells[3:]]
    return table


def our_ends(path, kind, family):
    lines = ours("at-top", "-k", kind, "-n", "0", path)
    return {r[kind]: [int(r[c]) for c in ("packets_out", "wire_bytes_out",
                                          "packets_in", "wire_bytes_in")]
            for r in lines if kind == "mac" or (":" in r[kind]) == family}


def two_ends(a, b, forth, back):
    """The same from whichever end it is seen."""
    if a == b:
        return (a, b), [forth + back, 0]
    return ((a, b), [forth, back]) if a < b else ((b, a), [back, forth])


def conversations(path, kind):
    table = {}
    for line in tshark(path, "-q", "-z", f"conv,{kind}").splitlines():
        a, arrow, rest = line.partition("<->")
        cells = rest.split()
        if arrow:  # frames and bytes from B, from A; bytes have a unit
            key, counts = two_ends(a.strip(), cells[0], int(cells[4]),
                                   int(cells[1]))
            table[key] = counts
    return table


def our_conversations(path, kind):
    table = {}
    ported = kind not in ("ip", "ipv6")
    for r in ours("at-top", "-k", "flow" if ported else "pair", "-n", "0",
                  path):
        if ported and (r["proto"] != kind or not r["sport"]):
            continue
        if not ported and (":" in r["src"]) != (kind == "ipv6"):
            continue
        ends = [r["src"], r["dst"]]
        if ported:
            ends = [f"{r['src']}:{r['sport']}", f"{r['dst']}:{r['dport']}"]
        key, counts = two_ends(*ends, int(r["packets_out"]),
                               int(r["packets_in"]))
        table[key] = counts
    return table


def compare_tables(what, got, want, columns):
    for key in sorted(set(got) | set(want), key=str):
        a, b = got.get(key), want.get(key)
        if (a and [a[c] for c in columns]) != (b and [b[c] for c in columns]):
            yield f"{what} of {key}: {a}, tshark {b}"


def compare_top(path, features, _):
    if UNLIKE.search(features) or "icmp" in features:
        return
    ends = [0, 2] if ".erf" in path else [0, 1, 2, 3]
    for kind, name, family in (("eth", "mac", None), ("ip", "host", False),
                               ("ipv6", "host", True)):
        yield from compare_tables(kind, our_ends(path, name, family),
                                  endpoints(path, kind), ends)
    for kind in ("ip", "ipv6", "tcp", "udp", "sctp"):
        yield from compare_tables(kind, our_conversations(path, kind),
                                  conversations(path, kind), [0, 1])


# ---- at-report, the protocol hierarchy and lengths -----------------------

PROTOCOLS = {"ip": "ip", "ip6": "ipv6", "arp": "arp", "tcp": "tcp",
             "udp": "udp", "icmp": "icmp", "icmp6": "icmpv6", "igmp": "igmp",
             "sctp": "sctp", "ospf": "ospf", "esp": "esp", "ah": "ah",
             "pim": "pim", "vrrp": "vrrp", "lldp": "lldp"}


def hierarchy(path):
    """Packets and bytes by protocol, without what is below ICMP."""
    table = collections.defaultdict(lambda: [0, 0])
    above = []
    for line in tshark(path, "-q", "-z", "io,phs").splitlines():
        found = re.match(r"( *)(\S+) +frames:(\d+) bytes:(\d+)$", line)
        if not found:
            continue
        del above[len(found.group(1)) // 2:]
        if not {"icmp", "icmpv6"} & set(above):
            table[found.group(2)][0] += int(found.group(3))
            table[found.group(2)][1] += int(found.group(4))
        above.append(found.group(2))
    return {name: table[name] for name in PROTOCOLS.values() if name in table}


def our_hierarchy(path):
    table = collections.defaultdict(lambda: [0, 0])
    for r in ours("at-report", "--section", "protocols", path):
        name = PROTOCOLS.get(r["value"].split(":")[-1])
        if name:
            table[name][0] += int(r["packets"])
            table[name][1] += int(r["wire_bytes"])
    return dict(table)


def lengths(path):
    """How many packets have a length of each range, by tshark."""
    table = {}
    for line in tshark(path, "-q", "-z", "plen,tree").splitlines():
        found = re.match(r"\s+(\d+)(?:-(\d+)| and greater)\s+(\d+)\s", line)
        if found:
            table[int(found.group(1)), int(found.group(2) or 1 << 32)] = [
                int(found.group(3))]
    return table


def our_lengths(path, ranges):
    table = {r: [0] for r in ranges}
    for row in ours("at-report", "--section", "lengths", "-n", "0", path):
        n = int(row["value"].split()[0])
        for low, high in ranges:
            if low <= n <= high:
                table[low, high][0] += int(row["packets"])
    return table


def compare_report(path, features, _):
    erf = ".erf" in path
    if not UNLIKE.search(features):
        yield from compare_tables("protocol", our_hierarchy(path),
                                  hierarchy(path), [0] if erf else [0, 1])
    want = lengths(path)
    if not erf:
        yield from compare_tables("lengths", our_lengths(path, want), want, [0])


# ---- all of them ---------------------------------------------------------

COMPARE = {"stats": compare_stats, "top": compare_top,
           "report": compare_report}


def check(what, path, features, work):
    try:
        return list(COMPARE[what](path, features, work))
    except (RuntimeError, ValueError, AssertionError) as e:
        return [f"no comparison: {e}"]


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--every", type=int, default=1)
    args.add_argument("what", choices=COMPARE)
    args.add_argument("corpus")
    args.add_argument("exceptions")
    args = args.parse_args()
    known = {r["file"]: r["reason"] for r in rows(args.exceptions)
             if r["what"] == args.what}
    truth = rows(os.path.join(args.corpus, "GROUND_TRUTH.tsv"))
    names = [r["file"] for r in truth if r["usable"] == "yes"][::args.every]
    features = {r["file"]: r["features"]
                for r in rows(os.path.join(args.corpus, "MANIFEST.tsv"))}
    count = collections.Counter()
    with tempfile.TemporaryDirectory() as work:
        for name in names:
            found = check(args.what, os.path.join(args.corpus, name),
                          features.get(name, ""), work)
            count["agree"] += not found
            if bool(found) != (name in known):
                count["bad"] += 1
                print(f"{name}: " + (found[0] if found else
                                     "agrees, though it is listed"))
    print(f"{count['agree']} of {len(names)} captures agree")
    sys.exit(1 if count["bad"] or not count["agree"] else 0)


if __name__ == "__main__":
    main()
