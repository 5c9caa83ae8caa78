#!/usr/bin/env python3
"""Ask generated questions of at-query and of tcpdump.

usage: query-generated.py [-s SEED] [-n COUNT] [-j JOBS] [-c CORPUS [-k N]]
                          WORKDIR [CAPTURE...]

COUNT expressions are made by a grammar of pcap-filter(7), from the addresses,
ports, tags and lengths that the captures hold and from others.  Each is asked
of one capture (pcap), in an archive of several segments and, in turns, of the
file beside its index or without one:

  * with --bpf the answer is that of `tcpdump -O -r CAPTURE -w - EXPR`, the
    same packets in the same order, byte for byte;
  * without it, it is that of tcpdump on the capture with its VLAN, MPLS and
    PPPoE headers taken away by at-convert --strip;
  * what tcpdump refuses is refused, with exit status 2 and a caret under the
    offence; what tcpdump takes is taken.

Of CORPUS, N captures are chosen by the seed, a third of them with tags.

-O, because the optimiser of libpcap 1.10 gets some programs wrong.
"""
import argparse
import concurrent.futures
import ipaddress
import os
import random
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import records  # noqa: E402

LITERAL = ("vlan", "mpls", "pppoes", "pppoed")


# ---- what a capture holds

class Facts:
    """Values that the expressions about a capture speak of."""

    def __init__(self, capture):
        out = subprocess.run(
            ["tcpdump", "-nnetq", "-r", capture, "-c", "300"],
            capture_output=True, check=False).stdout.decode("utf-8", "replace")
        self.v4, self.v6, self.macs, self.ports, self.vlans = [], [], [], [], []
        for line in out.splitlines():
            self.take_line(line)
        self.lengths = sorted({len(p[1]) for p in records.records(capture)})

    def take_line(self, line):
        words = line.replace(",", " ").split()
        for i, word in enumerate(words):
            word = word.rstrip(":")
            if word.count(":") == 5 and len(word) == 17:
                add(self.macs, word)
            elif word == "vlan" and words[i + 1].isdigit():
                add(self.vlans, words[i + 1])
            elif i > 0 and words[i - 1] in (">", "IP", "IP6"):
                self.take_end(word)
            elif i + 1 < len(words) and words[i + 1] == ">":
                self.take_end(word)

    def take_end(self, word):
        host, _, port = word.rpartition(".")
        if is_address(word):
            add(self.v6 if ":" in word else self.v4, word)
        elif is_address(host) and port.isdigit():
            add(self.v6 if ":" in host else self.v4, host)
            add(self.ports, port)


def is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def add(values, value):
    if value not in values and len(values) < 40:
        values.append(value)


# ---- the grammar

class Grammar:
    def __init__(self, rng, facts):
        self.rng, self.facts = rng, facts

    def pick(self, *values):
        return self.rng.choice(values)

    def chance(self, p):
        return self.rng.random() < p

    def known(self, values, other):
        return self.rng.choice(values) if values and self.chance(.85) else other

    def v4(self):
        return self.known(self.facts.v4, ".".join(
            str(self.rng.randrange(256)) for _ in range(4)))

    def v6(self):
        return self.known(self.facts.v6, self.pick(
            "::1", "2001:db8::1", "ff02::fb", "fe80::%x" % self.rng.getrandbits(16)))

    def port(self):
        return self.known(self.facts.ports, str(self.pick(
            0, 53, 80, 443, 32767, 32768, 65535, self.rng.randrange(65536))))

    def mac(self):
        return self.known(self.facts.macs, "00:11:22:33:44:55")

    def length(self):
        near = self.rng.choice(self.facts.lengths or [64])
        return str(max(0, near + self.rng.randrange(-1, 2)))

    def direction(self):
        return self.pick("", "", "", "src ", "dst ", "src or dst ",
                         "src and dst ", "dst or src ", "dst and src ")

    def host(self):
        if self.chance(.3):
            return self.pick("", "ip6 ") + self.direction() + "host " + self.v6()
        head = self.pick("", "", "", "ip ", "arp ", "rarp ") + self.direction()
        if head == "" and self.chance(.4):
            return "host " + self.pick(
                f"{self.v4()} {self.pick('or', 'and')} {self.v4()}",
                f"({self.v4()} or {self.v4()} or {self.v6()})",
                f"({self.v4()} and not {self.v4()})")
        return head + ("" if "src" in head[-11:] and self.chance(.3)
                       else "host ") + self.v4()

    def net(self):
        head = self.direction() + "net "
        if self.chance(.3):
            return self.pick("", "ip6 ") + head + self.net6()
        a = self.v4().split(".")
        head = self.pick("", "", "ip ", "arp ") + head
        form = self.rng.randrange(4)
        if form == 0:
            return head + ".".join(a[:self.rng.randrange(1, 4)])
        prefix = self.rng.choice((0, 1, 7, 8, 9, 12, 16, 20, 23, 24, 25, 30,
                                  31, 32, self.rng.randrange(33)))
        mask = (0xffffffff << (32 - prefix)) & 0xffffffff
        value = int.from_bytes(bytes(map(int, a)), "big") & mask
        net = ".".join(map(str, value.to_bytes(4, "big")))
        if form == 1:
            return (f"{head}{net} mask "
                    + ".".join(map(str, mask.to_bytes(4, "big"))))
        return f"{head}{net}/{prefix}"

    def net6(self):
        prefix = self.rng.choice((0, 10, 16, 32, 33, 48, 64, 65, 127, 128))
        return str(ipaddress.ip_network((self.v6(), prefix), strict=False))

    def port_term(self):
        head = self.pick("", "", "tcp ", "udp ", "sctp ") + self.direction()
        if self.chance(.3):
            low, high = sorted((int(self.port()), int(self.port())))
            return f"{head}portrange {low}-{high}"
        if self.chance(.1):
            return "port " + self.pick("domain", "http", "https", "ntp", "ssh")
        if self.chance(.2):
            return f"{head}port ({self.port()} or {self.port()})"
        return f"{head}port {self.port()}"

    def proto(self):
        return self.pick(
            "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6",
            "igmp", "pim", "ah", "esp", "vrrp", "stp", "ip proto \\tcp",
            "ip proto 47", "ip6 proto 58", "proto 17", "ip6 proto \\udp",
            "ether proto \\ip", "ether proto 0x86dd", "ether proto \\arp",
            f"ip proto {self.rng.randrange(256)}",
            "ip protochain 6", "ip6 protochain 17", "llc", "iso", "atalk")

    def link(self):
        return self.pick(
            f"ether host {self.mac()}", f"ether src {self.mac()}",
            f"ether dst {self.mac()}", "ether broadcast", "ether multicast",
            "ip multicast", "ip6 multicast", "multicast", "broadcast",
            f"less {self.length()}", f"greater {self.length()}",
            f"len {self.relop()} {self.length()}")

    def relop(self):
        return self.pick("=", "==", "!=", ">", "<", ">=", "<=")

    def arith(self, depth=0):
        if depth < 2 and self.chance(.35):
            op = self.pick("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")
            right = (str(self.rng.randrange(1, 9)) if op in "/%<<>>"
                     else self.arith(depth + 1))
            return f"({self.arith(depth + 1)} {op} {right})"
        if self.chance(.3):
            return self.pick("len", str(self.rng.randrange(300)),
                             hex(self.rng.getrandbits(16)))
        proto = self.pick("ip", "ip", "tcp", "udp", "icmp", "ether", "ip6",
                          "arp", "sctp", "icmp6", "link")
        if self.chance(.1):
            return f"{proto}[{self.arith(2)}]"
        return (f"{proto}[{self.rng.randrange(24)}"
                + self.pick("", ":1", ":2", ":4") + "]")

    def relation(self):
        if self.chance(.4):
            return self.pick(
                "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
                "tcp[tcpflags] == tcp-syn", "tcp[13] & 2 != 0",
                "icmp[icmptype] = icmp-echo", "ip[6:2] & 0x1fff != 0",
                "icmp6[icmp6type] == 135", "ip[8] < 64", "udp[4:2] > 100",
                "(tcp[12] >> 4) * 4 > 20", "ip[0] & 0xf != 5",
                "ip[2:2] - ((ip[0] & 0xf) << 2) > 100")
        return f"{self.arith()} {self.relop()} {self.arith()}"

    def primitive(self):
        return self.rng.choices(
            (self.host, self.net, self.port_term, self.proto, self.link,
             self.relation), (6, 4, 5, 4, 2, 2))[0]()

    def tagged(self, depth):
        tag = self.pick("vlan", "vlan", "mpls", "pppoes",
                        "vlan " + self.known(self.facts.vlans, "7"))
        return f"{tag} {self.pick('and', 'and', 'or')} {self.group(depth + 1)}"

    def group(self, depth):
        if depth < 5 and self.chance(.5):
            return f"({self.expr(depth + 1)})"
        return self.primitive()

    def operand(self, depth):
        negate = "".join(self.pick("not ", "!") for _ in range(
            self.rng.choices((0, 1, 2, 3), (70, 22, 6, 2))[0]))
        return negate + (self.group(depth) if negate or self.chance(.4)
                         else self.primitive())

    def expr(self, depth=0):
        if depth < 3 and self.chance(.06):
            return self.tagged(depth)
        terms = self.rng.choices((1, 2, 3, 4), (50, 30, 15, 5))[0]
        out = self.operand(depth)
        for _ in range(terms - 1):
            out += self.pick(" and ", " or ", " && ", " || ")
            out += self.operand(depth)
        return out

    def spoil(self, expr):
        """The expression with a word lost, doubled, moved or replaced."""
        words = expr.split(" ")
        i = self.rng.randrange(len(words))
        what = self.rng.randrange(4)
        if what == 0:
            del words[i]
        elif what == 1:
            words.insert(i, words[i])
        elif what == 2:
            j = self.rng.randrange(len(words))
            words[i], words[j] = words[j], words[i]
        else:
            words[i] = self.pick("(", ")", "host", "port", "and", "[", "70000",
                                 "10.1.2.3/8", "300.1.1.1", "::1/200", "net",
                                 "gateway", "/", "vlan 5000", "nosuchword",
                                 "tcp[0:3]", "port nosuchport", "mask",
                                 "1.2.3.4.5", "mpls 2000000", "#", "=",
                                 "99999999999", "00:11:22:33:44", "ip proto",
                                 "portrange 5-x", "inbound", "tcp[0]", "é")
        return " ".join(words)

    def question(self):
        while True:
            e = self.expr()
            if self.chance(.15):
                e = self.spoil(e)
            if len(e) < 600 and e.strip() and not e.lstrip().startswith("-"):
                return e


# ---- asking

def tcpdump(capture, expr):
    """The answer, or the message where tcpdump refuses the question."""
    p = subprocess.run(["tcpdump", "-O", "--time-stamp-precision=nano", "-r",
                        capture, "-w", "-", expr],
                       capture_output=True, check=False)
    if len(p.stdout) >= 24:
        return records.pcap(p.stdout)
    lines = p.stderr.decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if "reading from" not in line)


def at_query(args):
    """The answer, or exit status and message."""
    p = subprocess.run(["at-query", "-q", "-j", "1", "-F", "pcap", "-w", "-",
                        *args], capture_output=True, check=False)
    ended = any(w in p.stderr for w in (b": cut short: ", b": damaged: "))
    if (p.returncode == 0 or ended) and len(p.stdout) >= 24:
        return records.pcap(p.stdout)
    return f"exit {p.returncode}: {p.stderr.decode('utf-8', 'replace')}"


def refused_well(answer):
    """Exit 2, one line that is not only libpcap's, a caret below the text."""
    lines = answer.splitlines()
    return (answer.startswith("exit 2: at-query: expression: ")
            and len(lines) == 3 and lines[2].strip() == "^")


class Case:
    """A capture in all the forms in which it can be asked."""

    def __init__(self, work, number, capture):
        self.capture = capture
        self.packets = records.records(capture)
        self.usable = (len(self.packets) > 1
                       and self.packets == tcpdump(capture, ""))
        if not self.usable:
            return
        self.facts = Facts(capture)
        self.plain = os.path.join(work, f"plain{number}.pcap")
        self.indexed = os.path.join(work, f"indexed{number}.pcap")
        self.stripped = os.path.join(work, f"stripped{number}.pcap")
        archive = os.path.join(work, f"archive{number}")
        times = [p[0] for p in self.packets]
        step = max(1, (max(times) - min(times)) // 4 // 10**9)
        shutil.copy(capture, self.plain)
        shutil.copy(capture, self.indexed)
        run("at-index", "-q", self.indexed)
        run("at-convert", "-q", "--strip", "vlan,mpls,pppoe", self.plain,
            self.stripped)
        bare = records.records(self.stripped)
        self.bare = dict(zip(self.packets, bare))
        self.tagged = bare != self.packets
        # at-convert leaves PPP as it is, so there is nothing to compare with
        self.strips = records.content(capture)[20] not in (9, 50)
        self.usable = len(bare) == len(self.packets)
        self.sources = [self.plain, self.indexed]
        if times == sorted(times):
            run("at-ingest", "-q", "--rotate", f"{step}s", archive, capture)
            self.sources.append(archive)

    def ask(self, expr, turn):
        """What is wrong with the answers, as lines; None if it is refused."""
        source = self.sources[turn % len(self.sources)]
        want = tcpdump(self.capture, expr)
        got = at_query(["--bpf", "-e", expr, source])
        if isinstance(want, str):
            bad = [] if isinstance(got, str) and refused_well(got) else [
                f"{source} '{expr}': tcpdump: {want}, at-query: {size(got)}"]
            return True, bad
        bad = [] if got == want else [
            f"{source} --bpf '{expr}': {size(got)}, tcpdump {size(want)}"]
        if not self.strips:
            return False, bad
        got = at_query(["-e", expr, source])
        if self.tagged and not any(word in expr for word in LITERAL):
            want = tcpdump(self.stripped, expr)
            if not isinstance(got, str):
                got = [self.bare[p] for p in got]
        if got != want:
            bad.append(f"{source} '{expr}': {size(got)}, tcpdump {size(want)}"
                       f" ({self.capture})")
        return False, bad


def choose(corpus, n, seed):
    """Uncompressed pcap files of the corpus: by chance, a third with tags."""
    with open(os.path.join(corpus, "MANIFEST.tsv"), encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    col = {name: i for i, name in enumerate(rows[0])}
    rows = [r for r in rows[1:] if r[col["format"]].startswith("pcap-")
            and "+" not in r[col["format"]] and int(r[col["packets"]]) > 1]
    tagged = [r for r in rows if any(word in r[col["features"]] for word in
                                     ("vlan:", "mpls:", "qinq:", "pppoe:"))]
    rng = random.Random(seed)
    picked = rng.sample(tagged, min(n // 3, len(tagged)))
    rest = [r for r in rows if r not in picked]
    picked += rng.sample(rest, min(n - len(picked), len(rest)))
    return [os.path.join(corpus, r[col["file"]]) for r in picked]


def run(*args):
    subprocess.run(args, check=False, stderr=subprocess.DEVNULL)


def size(answer):
    return answer if isinstance(answer, str) else f"{len(answer)} packets"


def questions(args, cases):
    """(case, expression, turn): the same for the same seed and captures."""
    rng = random.Random(args.seed)
    for turn in range(args.count):
        case = cases[turn % len(cases)]
        yield case, Grammar(rng, case.facts).question(), turn // len(cases)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", "--seed", type=int, default=1)
    parser.add_argument("-n", "--count", type=int, default=2000)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-c", "--corpus")
    parser.add_argument("-k", "--captures", type=int, default=40)
    parser.add_argument("work")
    parser.add_argument("capture", nargs="*")
    args = parser.parse_args()
    if args.corpus:
        args.capture += choose(args.corpus, args.captures, args.seed)
    refused = wrong = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        cases = [c for c in pool.map(
            lambda a: Case(args.work, *a), enumerate(args.capture)) if c.usable]
        for no, bad in pool.map(lambda q: q[0].ask(*q[1:]),
                                questions(args, cases)):
            refused += no
            wrong += len(bad)
            for line in bad:
                print(line)
    tagged = sum(c.tagged for c in cases)
    print(f"{args.count} expressions, {refused} of them refused, "
          f"{len(cases)} captures, {tagged} with tags, {wrong} differences")
    return 1 if wrong or refused == args.count or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
