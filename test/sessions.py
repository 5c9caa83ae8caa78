#!/usr/bin/env python3
"""Compare Community IDs and first payload bytes with those of Arkime.

usage: sessions.py CORPUS

Reads arkime_sessions.tsv in CORPUS: the sessions that Arkime's tests expect.
For each of TCP and UDP that is a flow of ours too, the Community ID must be
the same, and the first bytes of each direction what our first_out and first_in
have of them, as far as Arkime tells; where the ends were used more than once,
one of the flows must agree.  Sessions inside of tunnels are not flows of ours and not counted.
Prints what differs and the totals; exits 1 if anything does or little is left.
"""
import collections
import csv
import io
import os
import subprocess
import sys

FIELDS = "src,sport,dst,dport,community_id,first_out,first_in"
# One session for several of our flows, because Arkime waits longer.
MERGED = {"arkime/bacnet-stack-services.pcap"}
# A tunnel's inner ends are the outer ones of other packets.
TUNNELS = {"arkime/arkime_synthetic.pcap"}


def flows(path):
    p = subprocess.run(["at-app", "-q", "--format", "csv", "--fields", FIELDS,
                        path], capture_output=True, text=True, check=False)
    table = collections.defaultdict(list)
    for src, sport, dst, dport, cid, out, back in list(
            csv.reader(io.StringIO(p.stdout)))[1:]:
        table[src, sport, dst, dport].append((cid, out, back))
        table[dst, dport, src, sport].append((cid, back, out))
    return table


def main():
    corpus, seen, agree, bad = sys.argv[1], {}, 0, 0
    with open(os.path.join(corpus, "arkime_sessions.tsv"), newline="",
              encoding="utf-8") as f:
        sessions = list(csv.DictReader(f, delimiter="\t",
                                       quoting=csv.QUOTE_NONE))
    for r in sessions:
        name = r["capture"]
        if r["ip_protocol"] not in ("6", "17") or name in MERGED | TUNNELS:
            continue
        if name not in seen:
            seen[name] = flows(os.path.join(corpus, name))
        found = seen[name].get((r["src_ip"], r["src_port"],
                                r["dst_ip"], r["dst_port"]), [])
        want = r["community_id"], r["src_payload8"], r["dst_payload8"]
        if not found:
            continue
        if any(all(w == "" or w.startswith(got) for w, got in zip(want, f))
               for f in found):
            agree += 1
        else:
            bad += 1
            print(name, r["src_ip"], r["src_port"], want, found)
    print(f"{agree} sessions agree, {bad} differ")
    return 1 if bad or agree < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
