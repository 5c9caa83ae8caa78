"""Checksum verdicts of at-convert beside those of tshark.

    checksums.py capture...

For each capture, a pcap file, tshark's verdict on the outermost IP header and
the transport it carries says which packets `at-convert --checksum drop` must
leave out, and how many the summary of `--checksum tag` must call right.
Prints each difference; the exit status is 1 if there was one.
"""
import os
import re
import subprocess
import sys
import tempfile
from records import records

NETS = ("ip", "ipv6")
TRANSPORTS = ("tcp", "udp", "icmp", "icmpv6", "sctp")
BAD, GOOD, UNVERIFIED, ILLEGAL = "0", "1", "2", "4"
MORE = ("1", "True")
OPTIONS = ("ip.check_checksum:TRUE", "tcp.check_checksum:TRUE",
           "udp.check_checksum:TRUE", "sctp.checksum:CRC 32c",
           "ip.defragment:FALSE", "ipv6.defragment:FALSE")


def tshark(path):
    """The protocols of every packet, and what tshark says of them."""
    names = ["ip"] + list(TRANSPORTS)
    fields = [n + ".checksum.status" for n in names] + [
        "ip.flags.mf", "ip.frag_offset"]
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E",
               "occurrence=f", "-e", "frame.protocols"]
    for field in fields:
        command += ["-e", field]
    for option in OPTIONS:
        command += ["-o", option]
    out = subprocess.run(command, capture_output=True, text=True,
                         check=True).stdout
    for line in out.splitlines():
        protocols, *status = line.split("\t")
        yield (protocols.split(":"),
               dict(zip(names + ["mf", "offset"], status)))


def verdicts(protocols, status):
    """Of the outermost network layer and what follows it."""
    at = next((i for i, p in enumerate(protocols) if p in NETS), None)
    if at is None:
        return set()
    found = {status["ip"]} if protocols[at] == "ip" else set()
    fragment = status["mf"] in MORE or status["offset"] not in ("", "0")
    at += 1
    while at < len(protocols) and (protocols[at].startswith("ipv6.") or
                                   protocols[at] == "ah"):
        fragment = fragment or protocols[at] == "ipv6.fraghdr"
        at += 1
    if fragment:
        found.add(UNVERIFIED)
    elif at < len(protocols) and protocols[at] in TRANSPORTS:
        found.add(status[protocols[at]])
    return found


def at_convert(path, mode, out):
    """What it says; None where it cannot read the capture to its end."""
    run = subprocess.run(["at-convert", "--checksum", mode, path, out],
                         capture_output=True, text=True, check=False)
    return run.stderr if run.returncode == 0 else None


def compare(path, out):
    if at_convert(path, "drop", out) is None:
        return None  # a matter for other tests
    packets = [verdicts(*p) for p in tshark(path)]
    before, after = records(path), records(out)
    kept = [r for r, v in zip(before, packets)
            if not v & {BAD, ILLEGAL}]
    if kept != after:
        wrong = next((i for i, (a, b) in enumerate(zip(kept, after))
                      if a != b), min(len(kept), len(after)))
        return f"{len(after)} packets kept, not {len(kept)}; see kept {wrong}"
    said = re.search(r"([\d,]+) checksums? right",
                     at_convert(path, "tag", out))
    right = int(said[1].replace(",", "")) if said else 0
    good = sum(1 for v in packets if GOOD in v and
               not v & {BAD, ILLEGAL, UNVERIFIED})
    if right != good:
        return f"{right} right, not {good}"
    return None


def main():
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for path in sys.argv[1:]:
            why = compare(path, os.path.join(folder, "out.pcap"))
            if why is not None:
                print(f"{path}: {why}")
                failed = True
    return 1 if failed else 0


sys.exit(main())
