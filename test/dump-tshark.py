#!/usr/bin/env python3
"""dump-tshark.py CAPTURE... - at-dump's layers beside those of tshark

For every packet: the addresses of all IPv4, IPv6 and ARP layers, the ports of
all TCP, UDP and SCTP headers, the types of ICMP, outermost first, those of
tunnels and quoted packets too.  Prints what differs, and fails if more does
than EXCEPTIONS has a reason for.
"""

import json
import os
import subprocess
import sys

FIELDS = ["ip.src", "ip.dst", "ip.ttl", "ip.len", "ipv6.src", "ipv6.dst",
          "arp.src.proto_ipv4", "arp.dst.proto_ipv4",
          "tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.seq",
          "udp.srcport", "udp.dstport", "udp.length", "sctp.srcport",
          "sctp.dstport", "icmp.type", "icmp.code", "icmpv6.type",
          "icmpv6.code", "vlan.id", "mpls.label", "ieee8021ad.id"]

# Name of layer and fact, in the order of FIELDS.
FACTS = [("ipv4", "src"), ("ipv4", "dst"), ("ipv4", "ttl"), ("ipv4", "length"),
         ("ipv6", "src"), ("ipv6", "dst"),
         ("arp", "sender"), ("arp", "target"),
         ("tcp", "sport"), ("tcp", "dport"), ("tcp", "flags"), ("tcp", "seq"),
         ("udp", "sport"), ("udp", "dport"), ("udp", "length"),
         ("sctp", "sport"), ("sctp", "dport"),
         ("icmp", "type"), ("icmp", "code"),
         ("icmp6", "type"), ("icmp6", "code"),
         ("vlan", "id"), ("mpls", "label")]

FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32,
         "ECE": 64, "CWR": 128, "none": 0}

# Part of the capture's path: packets that may differ, and why.
EXCEPTIONS = {
    "arkime_synthetic": (4, "PBB, NSH and Ethernet in other odd places"),
    "gtp9_unknown": (1, "an inner packet longer than what carries it"),
    "ndpi/pcap/capwap": (12, "frames of IEEE 802.11 in CAPWAP"),
    "tcpreplay/test": (10, "Ethernet in MPLS, which tshark guesses"),
    "various_gre": (20, "Cisco metadata in GRE, and such"),
    "invalid-version-4": (1, "IPv6 with the version of another"),
    "4in6-trunc": (1, "an inner packet longer than what carries it"),
    "arp-oobr": (13, "ARP with addresses of other lengths"),
}


def value_of(name, fact, layer):
    value = layer.get(fact)
    if value is not None and fact == "flags":
        return str(sum(FLAGS[f] for f in value.split(",")))
    return None if value is None else str(value)


def ours(path):
    """A list of lists of values for each packet, in the order of FIELDS."""
    out = subprocess.run(["at-dump", "--json", path], capture_output=True,
                         check=False).stdout
    for line in out.decode("ascii").splitlines():
        record = json.loads(line)
        if record["kind"] != "packet":
            continue
        row = []
        for name, fact in FACTS:
            names = (name, "r" + name) if name == "arp" else (name,)
            row.append([v for v in (value_of(name, fact, layer)
                                    for layer in record["layers"]
                                    if layer["layer"] in names)
                        if v is not None])
        row[FIELDS.index("vlan.id")].sort()
        yield row


def theirs(path):
    args = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=/t",
            "-E", "occurrence=a", "-E", "aggregator=|"]
    for option in ("ip.defragment", "ipv6.defragment",
                   "tcp.desegment_tcp_streams", "tcp.relative_sequence_numbers",
                   "sctp.reassembly"):
        args += ["-o", option + ":FALSE"]
    for field in FIELDS:
        args += ["-e", field]
    out = subprocess.run(args, capture_output=True, check=False).stdout
    for line in out.decode().split("\n")[:-1]:
        row = [v.split("|") if v else [] for v in line.split("\t")]
        flags = FIELDS.index("tcp.flags")
        row[flags] = [str(int(v, 16) & 255) for v in row[flags]]
        # The outer tags of IEEE 802.1ad have a field of their own.
        row[FIELDS.index("vlan.id")] += row.pop()
        row[FIELDS.index("vlan.id")].sort()
        yield row


def compare(path, shown):
    a, b = list(ours(path)), list(theirs(path))
    different = abs(len(a) - len(b))
    if different:
        print(f"{path}: {len(a)} packets, tshark has {len(b)}")
    for n, (x, y) in enumerate(zip(a, b), 1):
        facts = [(f, p, q) for f, p, q in zip(FIELDS, x, y) if p != q]
        if facts:
            different += 1
            if shown > 0:
                shown -= 1
                print(f"{path}: packet {n}: " + "; ".join(
                    f"{f} {','.join(p)} tshark {','.join(q)}"
                    for f, p, q in facts))
    return len(a), different


def allowed(path):
    for part, (n, _) in EXCEPTIONS.items():
        if part in path:
            return n
    return 0


def main():
    bad = packets = 0
    for path in sys.argv[1:]:
        n, different = compare(path, int(os.environ.get("SHOWN", "3")))
        packets += n
        if different > allowed(path):
            print(f"{path}: {different} of {n} packets differ")
            bad += 1
    print(f"{packets} packets of {len(sys.argv) - 1} captures compared")
    return 1 if bad or packets == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
