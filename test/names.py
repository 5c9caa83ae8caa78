#!/usr/bin/env python3
"""Compare the names that flows ask for with what tshark dissects.

usage: names.py [--every N] CORPUS EXCEPTIONS [FILE ...]

Asks at-query for the names of the flows of each capture of CORPUS that is a
pcap or pcapng (of those named alone, if any are; of each Nth and those of QUIC),
and tshark for the TLS and
QUIC server names, HTTP hosts and DNS questions of its packets.  tshark does not
put TCP segments together here, as at-query does not.  For each pair of
endpoints that at-query has, every name of ours must be one of theirs, and the first of theirs one
of ours.  Packets in tunnels and fragments are left out.  EXCEPTIONS is a TSV of
file and reason: a difference there is expected, and one that is listed but does
not happen is an error too.  Prints one line a difference, then the totals;
exits 1 if there was any not listed.
"""
import collections
import csv
import io
import os
import subprocess
import sys

FIELDS = ["frame.protocols", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst",
          "tcp.srcport", "udp.srcport", "tcp.dstport", "udp.dstport",
          "tls.handshake.extensions_server_name", "http.host", "dns.qry.name",
          "http.request.method", "dns.flags.opcode"]
MOST_BYTES = 2_000_000
PLAIN = set("abcdefghijklmnopqrstuvwxyz0123456789-_:[]*.")
DNS_PORTS = {"53", "5353", "5355"}


def captures(corpus, every):
    with open(os.path.join(corpus, "MANIFEST.tsv"), encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    for i, row in enumerate(rows):
        path = row["file"]
        if path.endswith((".pcap", ".pcapng")) and (
                i % every == 0 or "quic" in path):
            yield path


def host(text):
    """A Host field as at-query has it: small letters, without its port."""
    text = text.strip().lower().rstrip(".")
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.rpartition(":")[0] if ":" in text else text


def escaped(text):
    """What no host name has, as at-query writes it."""
    if text.startswith("<") or "\ufffd" in text:
        return ""  # tshark says in words what it is, or has lost it
    return "".join(c if c in PLAIN else f"\\{b:03d}"
                   for c in text.lower().rstrip(".")
                   for b in c.encode("utf-8", "surrogateescape"))


def key(proto, src, sport, dst, dport):
    return (proto,) + tuple(sorted([(src, int(sport)), (dst, int(dport))]))


def theirs(path):
    """Names by endpoints, in the order of packets."""
    words = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f",
             "-E", "separator=/t", "-o", "tcp.desegment_tcp_streams:FALSE",
             "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    for field in FIELDS:
        words += ["-e", field]
    out = subprocess.run(words, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=False).stdout
    table = collections.defaultdict(list)
    for line in out.decode("utf-8", "replace").split("\n"):
        cell = line.split("\t")
        if len(cell) != len(FIELDS):
            continue
        (protocols, src4, src6, dst4, dst6, tcp1, udp1, tcp2, udp2, sni, web,
         dns, method, opcode) = cell
        layers = protocols.split(":")
        if layers.count("ip") + layers.count("ipv6") != 1:
            continue
        name = None
        if sni:
            name = escaped(sni)
        elif web and method and "tcp" in layers:
            name = escaped(host(web))
        elif dns and opcode in ("0", "0x0000") and DNS_PORTS & {
                tcp1, tcp2, udp1, udp2}:
            name = escaped(dns)
        if name and (tcp1 or udp1):
            table[key("tcp" if tcp1 else "udp", src4 or src6, tcp1 or udp1,
                      dst4 or dst6, tcp2 or udp2)].append(name)
    return table


def ours(path):
    out = subprocess.run(
        ["at-query", "-q", "--salvage", "--format", "csv", "--fields",
         "proto,src,sport,dst,dport,name", path], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, check=False).stdout
    table = collections.defaultdict(set)
    for row in csv.DictReader(io.StringIO(out.decode())):
        if row["proto"] in ("tcp", "udp"):
            table[key(row["proto"], row["src"], row["sport"], row["dst"],
                      row["dport"])].add(row["name"])
    return table


def differences(path):
    mine, other = ours(path), theirs(path)
    same = 0
    found = []
    for k in sorted(mine, key=str):
        names, want = mine[k] - {""}, other.get(k, [])
        if not names and not want:
            continue
        if names <= set(want) and (not want or want[0] in names):
            same += 1
        else:
            found.append(f"{k}: {sorted(names)} and not {want[:3]}")
    return same, found


def main():
    args = sys.argv[1:]
    every = 1
    if args[0] == "--every":
        every = int(args[1])
        args = args[2:]
    corpus, exceptions, *files = args
    with open(exceptions, encoding="utf-8") as f:
        expected = {line.split("\t")[0] for line in f
                    if line.strip() and not line.startswith("#")}
    total = bad = 0
    for path in files or captures(corpus, every):
        full = os.path.join(corpus, path)
        if not os.path.exists(full) or os.path.getsize(full) > MOST_BYTES:
            continue
        same, found = differences(full)
        total += same
        if bool(found) != (path in expected) and (found or path in expected):
            bad += max(1, len(found))
            for line in found or ["is listed, and does not differ"]:
                print(f"{path}\t{line}")
    print(f"{total} pairs of endpoints have the same names")
    return 1 if bad else 0


sys.exit(main())
