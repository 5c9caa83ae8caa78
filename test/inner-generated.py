#!/usr/bin/env python3
"""Expressions with "inner", made at random: whoever is asked, the answer is one.

    inner-generated.py SEED COUNT FILE INDEXED ARCHIVE

The same packets, as a file without an index, one with an index and an archive,
are asked for packets and flows; at-convert -f takes them one by one.
"""
import random
import subprocess
import sys

INSIDE = ["host 10.0.0.1", "src net 10.0.0.0/30", "tcp", "udp", "port 53",
          "dst port 443", "ip6", "icmp", "port 4789", "ip proto 47",
          "greater 80", "udp[0:2] = 53", "ip[8] = 64", "portrange 1024-1030",
          "ip6 host 2001:db8::1", "src or dst host 10.0.0.2"]
OUTSIDE = INSIDE + ["vlan", "app vxlan", "packets > 2"]


def inside(rnd, depth):
    kind = rnd.randrange(5) if depth > 0 else 0
    if kind == 0:
        return rnd.choice(INSIDE)
    if kind == 1:
        return "not " + inside(rnd, depth - 1)
    if kind == 2:
        return f"inner ({inside(rnd, depth - 1)})"
    join = rnd.choice([" and ", " or ", " && ", " || "])
    return f"({inside(rnd, depth - 1)}){join}{inside(rnd, depth - 1)}"


def outside(rnd, depth):
    kind = rnd.randrange(8) if depth > 0 else rnd.randrange(3)
    if kind < 2:
        return rnd.choice(OUTSIDE)
    if kind == 2:
        return "inner " + rnd.choice(INSIDE)
    if kind == 3:
        return f"not ({outside(rnd, depth - 1)})"
    if kind == 4:
        return f"({outside(rnd, depth - 1)})"
    if kind == 5:
        return f"inner ({inside(rnd, depth - 1)})"
    join = rnd.choice([" and ", " or "])
    return outside(rnd, depth - 1) + join + outside(rnd, depth - 1)


def count(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.strip()}"
    return done.stdout.split()[0]


def main():
    rnd = random.Random(int(sys.argv[1]))
    file, indexed, archive = sys.argv[3:]
    wrong = telling = 0
    for _ in range(int(sys.argv[2])):
        expr = outside(rnd, 3)
        packets = [count("at-query", "-q", "--count", "-w", "-", of, "-e", expr)
                   for of in (file, indexed, archive)]
        flows = [count("at-query", "-q", "--count", of, "-e", expr)
                 for of in (file, indexed)]
        if "app" not in expr and "packets" not in expr:
            made = subprocess.run(["at-convert", "-q", "-f", expr, "-F", "pcap",
                                   file, "-"], capture_output=True, check=False)
            packets.append(count_pcap(made.stdout))
        telling += packets[0].isdigit() and packets[0] not in ("0", "600")
        if len(set(packets)) > 1 or len(set(flows)) > 1 or \
                not packets[0].isdigit():
            print(expr, packets, flows)
            wrong += 1
    print(f"{wrong} wrong, {telling} of them telling")
    return wrong > 0 or telling < int(sys.argv[2]) / 2


def count_pcap(data):
    n, at = 0, 24
    while at + 16 <= len(data):
        at += 16 + int.from_bytes(data[at + 8:at + 12], "little")
        n += 1
    return str(n)


if __name__ == "__main__":
    sys.exit(main())
