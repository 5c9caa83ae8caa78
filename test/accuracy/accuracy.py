#!/usr/bin/env python3
"""Hold the applications that at-app names against those that nDPI found.

usage: accuracy.py [--check] [--list] [--no-ndpi] CORPUS

Reads CORPUS/ndpi_flows.tsv, what nDPI's own tests expect of each of its
captures, and takes the flows that nDPI was sure of by deep packet inspection
(confidence "DPI..."); its guesses by port or address are left aside.  Flows are
those of at-app --conformance, which are the same.

map.tsv tells which of our names say the same as a name of nDPI's; a flow whose
name is not in it is not counted.  An answer is agreement if it is one of them,
unknown if we name nothing, and disagreement if it is any other, also one that
is in no line of the map.  Shares are worked out for each capture, and their
mean over captures is what counts: some captures have hundreds of flows that
are all alike.

The same is done for ports alone (ports.tsv), and for the ndpiReader that is
installed, if there is one, which has all of each packet to look at.
differences.tsv tells why some answers cannot agree; they count all the same.

  --check     exit 1 below 97 % agreement or above 10 % unknown
  --list      print each flow that is unknown or does not agree
  --no-ndpi   do not run ndpiReader
"""
import collections
import csv
import io
import ipaddress
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LEAST_AGREEMENT, MOST_UNKNOWN = 97.0, 10.0
UNNAMED = {"unknown", "one-way", "no-payload", "not-captured", ""}
PROTOS = {"icmpv6": "icmp6", "ah": "51", "ospf": "89", "pim": "103",
          "vrrp": "112"}  # where at-app has another name, or a number
NUMBERS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "esp": 50, "gre": 47,
           "sctp": 132, "icmp6": 58}
PORTED = ("tcp", "udp")


def lines(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def rows(path):
    with open(path, newline="", encoding="utf-8", errors="replace") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def address(text):
    """Compared in binary: there is more than one way to write IPv6."""
    try:
        return ipaddress.ip_address(text.strip("[]")).compressed
    except ValueError:
        return text


def key(proto, src, sport, dst, dport):
    """The same whichever end was first."""
    proto = PROTOS.get(proto.lower(), proto.lower())
    if proto not in PORTED:
        sport = dport = 0
    ends = sorted([(address(src), int(sport or 0)),
                   (address(dst), int(dport or 0))])
    return (proto, *ends)


def truth(corpus, mapped):
    """Capture -> key -> nDPI's name; and how many flows are not in the map."""
    flows = collections.defaultdict(dict)
    others = collections.Counter()
    for r in rows(os.path.join(corpus, "ndpi_flows.tsv")):
        master = r["ndpi_proto"].split(".")[0]
        if not r["confidence"].startswith("DPI"):
            continue
        if master not in mapped:
            others[master] += 1
            continue
        flows[r["capture"]][key(r["proto"], r["ipA"], r["portA"], r["ipB"],
                                r["portB"])] = master
    return flows, others


# ---- who answers: each gives key -> name -------------------------------

def by_at_app(path):
    p = subprocess.run(
        ["at-app", "-q", "--conformance", "--format", "csv", "--fields",
         "proto,src,sport,dst,dport,app,confidence", path],
        capture_output=True, text=True, check=False)
    if p.returncode not in (0, 1):
        sys.exit(f"at-app {path}: exit {p.returncode}: {p.stderr}")
    return {key(*(r[f] for f in ("proto", "src", "sport", "dst", "dport"))):
            r["app"] for r in csv.DictReader(io.StringIO(p.stdout))}


def by_ports(keys):
    """The server is the end with the lower port, as ever."""
    table = {}
    for proto, port, name in lines("ports.tsv"):
        table[proto, int(port)] = name
    answer = {}
    for k in keys:
        proto, *ends = k
        answer[k] = "unknown"
        for port in sorted((e[1] for e in ends), reverse=True):
            answer[k] = table.get((proto, port), answer[k])
        if proto not in PORTED:
            number = NUMBERS.get(proto, proto)
            answer[k] = table.get(("ip", int(number)), "unknown")
    return answer


FLOW_LINE = re.compile(
    rb"^\t\d+\t(\S+) (\[?[0-9a-fA-F.:]+\]?):(\d+) <?-> "
    rb"(\[?[0-9a-fA-F.:]+\]?):(\d+) .*?\[proto: (?:[^\]/]*)/([^\]]+)\]")


def by_ndpi(path):
    """ndpiReader's names, as they are."""
    p = subprocess.run(["ndpiReader", "-i", path, "-v", "2"],
                       capture_output=True, check=False)
    answer = {}
    for line in p.stdout.split(b"\n"):
        m = FLOW_LINE.match(line)
        if m:
            v = [g.decode("ascii", "replace") for g in m.groups()]
            answer[key(*v[:5])] = v[5].split(".")[0]
    return answer


# ---- counting ----------------------------------------------------------

class Tally:
    """One who answers, held against the truth."""

    def __init__(self, name, agrees):
        self.name, self.agrees = name, agrees
        self.files = collections.defaultdict(lambda: [0, 0, 0])
        self.wanted = collections.Counter()
        self.right = collections.Counter()
        self.given = collections.Counter()
        self.good = collections.Counter()  # of those
        self.differ = []

    def count(self, capture, k, want, got):
        i = (0 if self.agrees(want, got) else
             2 if got in UNNAMED or got == "Unknown" else 1)
        self.files[capture][i] += 1
        self.wanted[want] += 1
        self.right[want] += i == 0
        self.given[got] += 1
        self.good[got] += i == 0
        if i:
            self.differ.append((capture, k, want, got))

    def shares(self):
        named = [f[0] / (f[0] + f[1]) for f in self.files.values() if f[0] + f[1]]
        unknown = [f[2] / sum(f) for f in self.files.values()]
        return (100 * sum(named) / max(len(named), 1),
                100 * sum(unknown) / max(len(unknown), 1))

    def line(self):
        total = [sum(f[i] for f in self.files.values()) for i in range(3)]
        return "%-24s %6d %6d %8d %9d %8d %10.2f %% %8.2f %%" % (
            self.name, len(self.files), sum(total), *total, *self.shares())


def print_protocols(t, mapped):
    """Precision: of the flows that got one of the names, how many rightly."""
    print("\n%-26s %6s %9s %7s  %s" % ("nDPI's name", "flows", "precision",
                                       "recall", "ours"))
    for want, n in sorted(t.wanted.items(), key=lambda x: (-x[1], x[0])):
        names = mapped[want]
        given = sum(t.given[g] for g in names)
        good = sum(t.good[g] for g in names)
        precision = "%.1f%%" % (100 * good / given) if given else "-"
        print("%-26s %6d %9s %6.1f%%  %s" % (
            want, n, precision, 100 * t.right[want] / n,
            " ".join(sorted(names))))


def explained(capture, want, got):
    for c, w, g, _ in EXPLAINED:
        if c in ("*", os.path.basename(capture)) and w == want and g == got:
            return True
    return False


EXPLAINED = list(lines("differences.tsv"))


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    asked = set(sys.argv[1:]) - set(args)
    if len(args) != 1 or asked - {"--check", "--list", "--no-ndpi"}:
        sys.exit(__doc__)
    corpus = args[0]
    mapped = {name: set(ours.split(",")) for name, ours in lines("map.tsv")}
    flows, others = truth(corpus, mapped)

    def ours_agree(want, got):
        return got in mapped[want]

    def theirs_agree(want, got):
        return want == got or bool(mapped[want] & mapped.get(got, set()))

    tallies = [(Tally("at-app, 4 bytes each way", ours_agree), by_at_app, True),
               (Tally("ports alone", ours_agree), by_ports, False)]
    version = ndpi_version() if "--no-ndpi" not in asked else None
    if version:
        tallies.append((Tally(version, theirs_agree), by_ndpi, True))
    for capture, wants in sorted(flows.items()):
        for tally, answer, whole in tallies:
            got = answer(os.path.join(corpus, capture) if whole else wants)
            for k, want in wants.items():
                tally.count(capture, k, want, got.get(k, "unknown"))
    report(tallies, others, mapped, asked)
    agreement, unknown = tallies[0][0].shares()
    if "--check" in asked and (agreement < LEAST_AGREEMENT or
                               unknown > MOST_UNKNOWN):
        return 1
    return 0


def ndpi_version():
    try:
        p = subprocess.run(["ndpiReader", "-h"], capture_output=True,
                           check=False)
    except FileNotFoundError:
        return None
    m = re.search(rb"nDPI[^0-9]*([0-9.]+)", p.stdout + p.stderr)
    return "ndpiReader " + (m.group(1).decode() if m else "")


def report(tallies, others, mapped, asked):
    t = tallies[0][0]
    if "--list" in asked:
        for capture, k, want, got in t.differ:
            why = "explained" if explained(capture, want, got) else ""
            print(os.path.basename(capture), k, want, got, why, sep="\t")
        print()
    print_protocols(t, mapped)
    print("\n%-24s %6s %6s %8s %9s %8s %12s %10s" % (
        "", "files", "flows", "agree", "disagree", "unknown", "agreement",
        "unknown"))
    print("%-24s %44s %24s" % ("", "", "mean over files"))
    for tally, _, _ in tallies:
        print(tally.line())
    n = sum(explained(c, w, g) for c, _, w, g in t.differ)
    print(f"\nof at-app's {len(t.differ)} differences {n} are explained in "
          f"differences.tsv")
    print(f"not in the map: {sum(others.values())} flows: "
          + ", ".join(f"{k} {n}" for k, n in others.most_common()))
    print("""
libprotoident's authors, against a commercial DPI engine, by bytes: the same
51.4 %, a closer answer by the engine 37.5 % or by libprotoident 6.5 %,
another 1.8 %, known to the engine alone 2.8 %; ports alone, in the same
comparison: the same 38.1 %, another 48.1 %, unknown 13.8 %""")


if __name__ == "__main__":
    sys.exit(main())
