#!/usr/bin/env python3
"""Compare the flows of at-query with Wireshark's conversations.

usage: conversations.py [--all] CORPUS EXCEPTIONS

Reads conv_exact.tsv in CORPUS (what sharkd found in each capture) and asks
at-query for the flows of the same captures: the 30 of conv/, or with --all
every one that is ERF or pcap, plain or gzip.  Each is asked twice, by a scan
and by an index that at-index made, which must give the same rows.

Compared are packets in each direction of every pair of endpoints, all flows
of it added up, since each program has its own rule for when ports are used
again; for TCP, UDP and SCTP by port, for IPv4 and IPv6 by address.  A later
fragment is of the flow of the first with us; with Wireshark the frame that
completes the datagram has its ports and the others none.  So what is compared
by port is asked of a copy of the capture without later fragments, where both
count a datagram once.

A flow is of the outermost IP header, while Wireshark has a conversation for
every layer.  EXCEPTIONS is a TSV of file, what, reason: 'what' is a
conversation as it is printed here, or "inner" where Wireshark has more than
we do because it looks into tunnels or quoted packets.  A difference that is
listed is expected, and one that is listed but does not happen is an error
too.  Prints one line a difference; exits 1 if there was any not listed.
"""
import collections
import csv
import io
import ipaddress
import os
import subprocess
import sys
import tempfile

NO_LATER = ("not (ip[6:2] & 0x1fff != 0) and "
            "not (ip6[6] == 44 and ip6[42:2] & 0xfff8 != 0)")
PORTED = {"tcp": "TCP", "udp": "UDP", "sctp": "SCTP"}


def rows(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def readable(fmt):
    base, _, codec = fmt.partition("+")
    return (base.split("(")[0] == "erf" or base.startswith("pcap-")) and (
        codec in ("", "gz"))


def add(table, layer, src, dst, forth, back):
    """Puts packets to the unordered pair, the lower end first."""
    if dst < src:
        src, dst, forth, back = dst, src, back, forth
    table[layer, src, dst][0] += forth
    table[layer, src, dst][1] += back
    if src == dst:  # no direction can be told
        both = table[layer, src, dst]
        both[:] = [sum(both), 0]


def new_table():
    return collections.defaultdict(lambda: [0, 0])


def wireshark(corpus):
    tables = collections.defaultdict(new_table)
    for r in rows(os.path.join(corpus, "conv_exact.tsv")):
        ends = [(ipaddress.ip_address(r["addr" + e]).packed,
                 int(r["port" + e] or -1)) for e in "AB"]
        add(tables[r["capture"]], r["layer"], *ends,
            int(r["pkts_ab"]), int(r["pkts_ba"]))
    return tables


def ours(whole, unfragmented):
    """By address from all packets, by port from those with ports."""
    table = new_table()
    for r in csv.DictReader(io.StringIO(whole)):
        src, dst = (ipaddress.ip_address(r[c]) for c in ("src", "dst"))
        counts = int(r["packets_out"]), int(r["packets_in"])
        add(table, f"IPv{src.version}", (src.packed, -1), (dst.packed, -1),
            *counts)
    for r in csv.DictReader(io.StringIO(unfragmented)):
        src, dst = (ipaddress.ip_address(r[c]) for c in ("src", "dst"))
        counts = int(r["packets_out"]), int(r["packets_in"])
        ports = int(r["sport"]), int(r["dport"])
        if r["proto"] in PORTED and ports != (0, 0):
            add(table, PORTED[r["proto"]], (src.packed, ports[0]),
                (dst.packed, ports[1]), *counts)
    return table


def ask(path):
    p = subprocess.run(["at-query", "--format", "csv", path],
                       capture_output=True, text=True, check=False)
    if p.returncode not in (0, 1):
        sys.exit(f"at-query {path}: exit {p.returncode}: {p.stderr}")
    return p.stdout


def flows(capture, work):
    """The rows by a scan, those without later fragments, and whether an index
    gives the same as the scan."""
    link = os.path.join(work, os.path.basename(capture))
    os.symlink(os.path.abspath(capture), link)
    scanned = ask(link)
    copy = os.path.join(work, "unfragmented")
    subprocess.run(["at-convert", "-q", "-F", "pcap", "-f", NO_LATER, link,
                    copy], capture_output=True, check=False)
    unfragmented = ask(copy)
    p = subprocess.run(["at-index", "-q", link], capture_output=True,
                       check=False)
    same = p.returncode == 1 or scanned == ask(link)
    for name in (link, link + ".idx", copy):
        if os.path.lexists(name):
            os.unlink(name)
    return scanned, unfragmented, same


def name_of(key):
    layer, *ends = key
    return " ".join([layer] + [
        str(ipaddress.ip_address(a)) + (f",{p}" if p >= 0 else "")
        for a, p in ends])


def differences(mine, theirs):
    """Yields what differs, and how."""
    more = 0
    for key in sorted(set(mine) | set(theirs)):
        got, want = mine.get(key, [0, 0]), theirs.get(key, [0, 0])
        if got != want and got == [0, 0]:
            more += 1
        elif got != want:
            yield name_of(key), "packets %d %d, Wireshark %d %d" % (
                *got, *want)
    if more:
        yield "inner", f"Wireshark has {more} conversations more"


def chosen(corpus, everything):
    formats = {r["file"]: r["format"]
               for r in rows(os.path.join(corpus, "MANIFEST.tsv"))}
    names = [n for n in formats if readable(formats[n])]
    if not everything:
        few = set(os.listdir(os.path.join(corpus, "conv")))
        names = [n for n in names if n.replace("/", "__") + ".txt" in few]
    return names


def main():
    everything = sys.argv[1:2] == ["--all"]
    corpus, exceptions = sys.argv[-2:]
    known = collections.defaultdict(dict)
    for r in rows(exceptions):
        known[r["file"]][r["what"]] = r["reason"]
    truth = wireshark(corpus)
    names = [n for n in chosen(corpus, everything) if n in truth]
    agree = bad = 0
    with tempfile.TemporaryDirectory() as work:
        for name in names:
            whole, unfragmented, same = flows(os.path.join(corpus, name), work)
            diff = dict(differences(ours(whole, unfragmented), truth[name]))
            if not same:
                diff["index"] = "an index gives other rows than a scan"
            for what in sorted(set(diff) ^ set(known[name])):
                bad += 1
                print(f"{name}: {what}: {diff.get(what, 'agrees now')}")
            agree += not diff
    print(f"{len(names)} captures, {agree} agree, "
          f"{len(names) - agree} differ, {bad} differences not explained")
    return 1 if bad or not names else 0


if __name__ == "__main__":
    sys.exit(main())
