#!/usr/bin/env python3
"""Compare the flows of at-app --conformance with those that nDPI's reader found.

usage: conformance.py CORPUS EXCEPTIONS

Reads ndpi_flows.tsv in CORPUS: what ndpiReader found in each of its own test
captures, bytes and packets a flow and direction.  For each capture the flows
must be the same: protocol, addresses, ports, VLAN, and packets and bytes each
way, the first sender first.

EXCEPTIONS is a TSV of capture, flow, reason: 'flow' is a line as printed
here, '-' before what only nDPI has and '+' before what only we have.  A
difference that is not listed is an error, and so is one that is listed and
does not happen.  Prints one line a difference, then the totals; exits 1 if
there was any that is not listed.
"""
import collections
import csv
import io
import ipaddress
import os
import subprocess
import sys

FIELDS = ("proto", "src", "sport", "dst", "dport", "vlan", "packets_out",
          "bytes_out", "packets_in", "bytes_in")
NAMES = {"icmpv6": "icmp6", "ah": "51", "ospf": "89", "pim": "103",
         "vrrp": "112"}  # where at-app has another name, or a number
PORTED = ("tcp", "udp")


def rows(path):
    with open(path, newline="", encoding="utf-8", errors="replace") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def address(text):
    """Compared in binary: there is more than one way to write IPv6."""
    try:
        return ipaddress.ip_address(text.strip("[]")).compressed
    except ValueError:
        return text


def theirs(corpus):
    flows = collections.defaultdict(collections.Counter)
    for r in rows(os.path.join(corpus, "ndpi_flows.tsv")):
        proto = r["proto"].lower()
        flows[r["capture"]][(
            NAMES.get(proto, proto), address(r["ipA"]), int(r["portA"] or 0),
            address(r["ipB"]), int(r["portB"] or 0), int(r["vlan"] or 0),
            int(r["pkts_ab"]), int(r["bytes_ab"]),
            int(r["pkts_ba"]), int(r["bytes_ba"]))] += 1
    return flows


def ours(path):
    p = subprocess.run(
        ["at-app", "-q", "--conformance", "--format", "csv", "--fields",
         ",".join(FIELDS), path], capture_output=True, text=True, check=False)
    if p.returncode not in (0, 1):
        sys.exit(f"at-app {path}: exit {p.returncode}: {p.stderr}")
    flows = collections.Counter()
    for r in csv.DictReader(io.StringIO(p.stdout)):
        v = [r[f] for f in FIELDS]
        ports = [int(p) if v[0] in PORTED else 0 for p in (v[2], v[4])]
        flows[(v[0], address(v[1]), ports[0], address(v[3]), ports[1],
               *(int(n or 0) for n in v[5:]))] += 1
    return flows


def line(sign, flow):
    return sign + " ".join(map(str, flow))


def differences(mine, want):
    yield from (line("-", f) for f in sorted((want - mine).elements()))
    yield from (line("+", f) for f in sorted((mine - want).elements()))


def main():
    corpus, exceptions = sys.argv[1:]
    known = collections.defaultdict(dict)
    for r in rows(exceptions):
        known[r["capture"]][r["flow"]] = r["reason"]
    truth = theirs(corpus)
    captures = [r["file"] for r in rows(os.path.join(corpus, "MANIFEST.tsv"))
                if r["file"].startswith("ndpi/pcap/")]
    same = flows = agree = bad = 0
    for capture in captures:
        want = truth[capture]
        mine = ours(os.path.join(corpus, capture))
        diff = set(differences(mine, want))
        for what in sorted(diff ^ set(known[capture])):
            bad += 1
            print(f"{capture}\t{what}" if what in diff else
                  f"{capture}\t{what}\tagrees now")
        same += not diff
        flows += sum(want.values())
        agree += sum((want & mine).values())
    print(f"{len(captures)} captures, {same} agree; {flows} flows, "
          f"{agree} agree; {bad} differences not explained")
    return 1 if bad or not captures else 0


if __name__ == "__main__":
    sys.exit(main())
