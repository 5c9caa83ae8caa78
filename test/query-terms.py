#!/usr/bin/env python3
"""Check flow terms by brute force.

usage: query-terms.py [-s SEED] [-n COUNT] WORKDIR CAPTURE

COUNT expressions of flow terms and primitives, joined by and, or and not, are
made by a grammar and asked of CAPTURE (Ethernet, pcap) as a plain file, with
an index, and in an archive of short segments.  The reference is computed from
the table of all flows and from what tcpdump says of each primitive:

  * a packet matches if the expression is true of it, with flow terms being
    true of the flow that has its addresses and ports at its time;
  * a flow is listed if a packet of it matches.
"""
import argparse
import csv
import ipaddress
import os
import random
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import records  # noqa: E402

COLUMNS = ("start,end,duration,proto,src,sport,dst,dport,packets_out,"
           "packets_in,bytes_out,bytes_in,flags_out,flags_in,state,vlan")


def command(*args):
    p = subprocess.run(args, capture_output=True, check=False)
    if p.returncode != 0:
        sys.exit(f"{' '.join(args)}: {p.stderr.decode()}")
    return p.stdout


# ---- flows and packets

def nanoseconds(text):
    import calendar
    import time
    whole, frac = text.rstrip("Z").split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 10**9 \
        + int(frac)


class Flow:
    def __init__(self, row):
        self.row = row
        self.start, self.end = nanoseconds(row["start"]), nanoseconds(row["end"])
        self.src = ipaddress.ip_address(row["src"])
        self.dst = ipaddress.ip_address(row["dst"])
        self.sport, self.dport = int(row["sport"]), int(row["dport"])
        self.packets = int(row["packets_out"]), int(row["packets_in"])
        self.bytes = int(row["bytes_out"]), int(row["bytes_in"])
        self.ported = row["proto"] in ("tcp", "udp", "sctp")
        self.key = key(self.src, self.dst, row["proto"],
                       *((self.sport, self.dport) if self.ported else (0, 0)))


def key(src, dst, proto, sport, dport):
    ends = sorted([(str(src), sport), (str(dst), dport)])
    return (proto, *ends)


NAMES = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmp6",
         132: "sctp"}


def packet_key(frame):
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    kind = frame[at:at + 2]
    at += 2
    if kind == b"\x08\x00":
        proto = frame[at + 9]
        src, dst = frame[at + 12:at + 16], frame[at + 16:at + 20]
        ports = at + (frame[at] & 15) * 4
    elif kind == b"\x86\xdd":
        proto = frame[at + 6]
        src, dst = frame[at + 8:at + 24], frame[at + 24:at + 40]
        ports = at + 40
    else:
        return None
    sport = dport = 0
    if proto in (6, 17, 132):
        sport = int.from_bytes(frame[ports:ports + 2], "big")
        dport = int.from_bytes(frame[ports + 2:ports + 4], "big")
    return key(ipaddress.ip_address(src), ipaddress.ip_address(dst),
               NAMES.get(proto, str(proto)), sport, dport)


class Trace:
    def __init__(self, work, capture):
        self.capture = capture
        self.packets = records.records(capture)
        text = command("at-query", "--format", "csv", "--fields", COLUMNS,
                       capture).decode()
        self.flows = [Flow(r) for r in csv.DictReader(text.splitlines())]
        by_key = {}
        for flow in self.flows:
            by_key.setdefault(flow.key, []).append(flow)
        self.flow_of = [self.find(by_key, p) for p in self.packets]
        self.primitives = {}
        self.netfile = os.path.join(work, "nets.txt")

    @staticmethod
    def find(by_key, packet):
        for flow in by_key.get(packet_key(packet[1]), ()):
            if flow.start <= packet[0] <= flow.end:
                return flow
        return None

    def primitive(self, text):
        """What tcpdump says of every packet."""
        if text not in self.primitives:
            out = command("tcpdump", "-O", "--time-stamp-precision=nano", "-r",
                          self.capture, "-w", "-", text)
            found = set(records.pcap(out))
            self.primitives[text] = [p in found for p in self.packets]
        return self.primitives[text]


# ---- expressions: a text, and a function of (flow, packet number)

OPERATORS = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
             ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
             "=": lambda a, b: a == b, "!=": lambda a, b: a != b}


class Grammar:
    def __init__(self, rng, trace):
        self.rng, self.trace, self.termed = rng, trace, False
        hosts = {f.src for f in trace.flows} | {f.dst for f in trace.flows}
        self.hosts = sorted(hosts, key=str)
        picked = rng.sample(self.hosts, len(self.hosts) // 3)
        self.nets = [ipaddress.ip_network((h, 32 if h.version == 4 else 128))
                     for h in picked]
        self.nets[0] = ipaddress.ip_network((picked[0], 16), strict=False)
        with open(trace.netfile, "w", encoding="ascii") as f:
            f.write("# hosts\n\n")
            f.writelines(f"{n} comment\n" for n in self.nets)

    def ends(self, pick):
        word = self.rng.choice(("client", "server"))
        return word, lambda f: pick(f)[word == "server"]

    def compare(self, text, value, samples, unit=lambda v: str(v)):
        op = self.rng.choice(list(OPERATORS))
        than = self.rng.choice(samples)
        fn = OPERATORS[op]
        return (f"{text} {op} {unit(than)}",
                lambda f, i: f is not None and fn(value(f), than))

    def host(self):
        word, end = self.ends(lambda f: (f.src, f.dst))
        if self.rng.random() < .5:
            host = self.rng.choice(self.hosts)
            return (f"{word} host {host}",
                    lambda f, i: f is not None and end(f) == host)
        host = self.rng.choice(self.hosts)
        net = ipaddress.ip_network((host, self.rng.choice((0, 8, 9, 17, 24, 32))),
                                   strict=False)
        return (f"{word} net {net}", lambda f, i: f is not None
                and end(f).version == net.version and end(f) in net)

    def port(self):
        word, end = self.ends(lambda f: (f.sport, f.dport))
        port = end(self.rng.choice(self.trace.flows))
        high = min(65535, port + self.rng.choice((0, 5, 20000)))
        text = f"port {port}" if high == port else f"portrange {port}-{high}"
        return (f"{word} {text}", lambda f, i: f is not None and f.ported
                and port <= end(f) <= high)

    def inside(self):
        word, end = self.ends(lambda f: (f.src, f.dst))
        by = {4: [], 6: []}
        for n in self.nets:
            by[n.version].append((int(n.network_address),
                                  int(n.broadcast_address)))

        def has(a):
            return any(lo <= int(a) <= hi for lo, hi in by[a.version])
        if self.rng.random() < .5:
            return (f"in {self.trace.netfile}", lambda f, i: f is not None
                    and (has(f.src) or has(f.dst)))
        return (f'{word} in "{self.trace.netfile}"',
                lambda f, i: f is not None and has(end(f)))

    def flags(self):
        flags = "".join(self.rng.sample("FSRPA", self.rng.choice((1, 1, 2))))
        word = self.rng.choice(("", "client ", "server "))

        def seen(f):
            out = "" if word == "server " else f.row["flags_out"]
            return out + ("" if word == "client " else f.row["flags_in"])
        return (f"{word}flags {flags}", lambda f, i: f is not None
                and all(c in seen(f) for c in flags))

    def state(self):
        state = self.rng.choice(self.trace.flows).row["state"]
        return (f"state {state}",
                lambda f, i: f is not None and f.row["state"] == state)

    def number(self):
        flow = self.rng.choice(self.trace.flows)
        kind = self.rng.randrange(5)
        if kind == 0:
            return self.compare("packets", lambda f: sum(f.packets),
                                (1, 2, sum(flow.packets)))
        if kind == 1:
            return self.compare("bytes", lambda f: sum(f.bytes),
                                (1000, 10000, sum(flow.bytes)),
                                lambda v: f"{v // 1000}k" if v % 1000 == 0
                                else str(v))
        if kind == 2:
            word, end = self.ends(lambda f: f.bytes)
            return self.compare(f"{word} bytes", end, (0, end(flow)))
        if kind == 3:
            return self.compare("duration", lambda f: f.end - f.start,
                                (0, 5 * 10**7, flow.end - flow.start),
                                lambda v: f"{v}ns")
        return self.rate()

    def rate(self):
        op = self.rng.choice(("<", "<=", ">", ">="))
        than = self.rng.choice((1000, 50000, 2000000))
        fn = OPERATORS[op]
        return (f"rate {op} {than // 1000}k",
                lambda f, i: f is not None and f.end > f.start and fn(
                    8 * sum(f.bytes) * 10**9, than * (f.end - f.start)))

    def primitive(self):
        flow = self.rng.choice(self.trace.flows)
        text = self.rng.choice((
            "tcp", "udp", "ip6", "tcp port 443", "port 53",
            "tcp[tcpflags] & tcp-syn != 0", "greater 200", "src port 80",
            f"host {flow.src}", f"dst host {flow.dst}", "len < 100"))
        truth = self.trace.primitive(text)
        return text, lambda f, i: truth[i]

    def operand(self, depth):
        if depth < 3 and self.rng.random() < .25:
            text, fn = self.expr(depth + 1)
            text = f"({text})"
        else:
            make = self.rng.choice(
                (self.host, self.port, self.inside, self.flags, self.state,
                 self.number, self.number, self.primitive, self.primitive,
                 self.primitive))
            self.termed |= make != self.primitive
            text, fn = make()
        if self.rng.random() < .2:
            return f"not {text}", lambda f, i: not fn(f, i)
        return text, fn

    def question(self):
        """One with a flow term: others are tested elsewhere."""
        while True:
            self.termed = False
            text, fn = self.expr()
            if self.termed:
                return text, fn

    def expr(self, depth=0):
        text, fn = self.operand(depth)
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            word = self.rng.choice(("and", "or"))
            more, right = self.operand(depth)
            text, fn = f"{text} {word} {more}", join(word, fn, right)
        return text, fn


def join(word, left, right):
    if word == "and":
        return lambda f, i: left(f, i) and right(f, i)
    return lambda f, i: left(f, i) or right(f, i)


# ---- asking

def check(trace, source, text, fn):
    want = [i for i in range(len(trace.packets)) if fn(trace.flow_of[i], i)]
    got = records.pcap(command("at-query", "-q", "-F", "pcap", "-w", "-", "-e",
                               text, source))
    bad = []
    if got != [trace.packets[i] for i in want]:
        bad.append(f"{source} '{text}': {len(got)} packets, not {len(want)}")
    rows = {id(trace.flow_of[i]) for i in want}
    listed = [f.row for f in trace.flows if id(f) in rows]
    answer = command("at-query", "--format", "csv", "--fields", COLUMNS, "-e",
                     text, source).decode()
    answer = list(csv.DictReader(answer.splitlines()))
    order = sorted(tuple(r.values()) for r in answer)
    if order != sorted(tuple(r.values()) for r in listed):
        bad.append(f"{source} '{text}': {len(answer)} flows, not {len(listed)}")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", "--seed", type=int, default=1)
    parser.add_argument("-n", "--count", type=int, default=150)
    parser.add_argument("work")
    parser.add_argument("capture")
    args = parser.parse_args()
    trace = Trace(args.work, args.capture)
    indexed = os.path.join(args.work, "indexed.pcap")
    archive = os.path.join(args.work, "archive")
    shutil.copy(args.capture, indexed)
    command("at-index", "-q", indexed)
    command("at-ingest", "-q", "--rotate", "2s", archive, args.capture)
    sources = [args.capture, indexed, archive]
    grammar = Grammar(random.Random(args.seed), trace)
    wrong = found = 0
    for turn in range(args.count):
        text, fn = grammar.question()
        bad = check(trace, sources[turn % 3], text, fn)
        found += any(fn(f, i) for i, f in enumerate(trace.flow_of))
        wrong += len(bad)
        for line in bad:
            print(line)
    print(f"{args.count} expressions, {found} with an answer, "
          f"{wrong} differences")
    return 1 if wrong or found < args.count / 3 else 0


if __name__ == "__main__":
    sys.exit(main())
