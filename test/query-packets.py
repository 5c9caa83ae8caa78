#!/usr/bin/env python3
"""Compare at-query -w with tcpdump, packet by packet.

usage: query-packets.py WORKDIR CAPTURE...

Every capture (pcap) is ingested into an archive of its own, cut into several
segments, and asked for hosts, nets, ports, protocols, and combinations of
them that its own packets suggest, with and without a range of time; each
answer must be what `tcpdump -r CAPTURE -w - EXPR` gives, the same packets in
the same order.  --bpf is used, so tags hide what they hide from tcpdump.
The same questions are asked of the file without an index, and with one.
"""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import records  # noqa: E402


def addresses(capture):
    text = subprocess.run(
        ["tcpdump", "-nn", "-q", "-r", capture, "-c", "400"],
        capture_output=True, check=False).stdout.decode("utf-8", "replace")
    hosts, ports = [], []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 5 or words[1] not in ("IP", "IP6"):
            continue
        for word in (words[2], words[4].rstrip(":")):
            host, port = word, None
            if words[1] == "IP" and word.count(".") == 4:
                host, _, port = word.rpartition(".")
            elif words[1] == "IP6" and "." in word:
                host, _, port = word.rpartition(".")
            if host not in hosts:
                hosts.append(host)
            if port and port.isdigit() and port not in ports:
                ports.append(port)
    return hosts[:6], ports[:6]


def questions(capture):
    hosts, ports = addresses(capture)
    out = ["", "tcp", "udp or icmp", "not tcp", "ip6", "arp",
           "tcp[13] & 2 != 0", "host 203.0.113.77", "port 9", "len > 200"]
    for h in hosts[:3]:
        out += [f"host {h}", f"src host {h}", f"not host {h}",
                f"dst host {h} and (tcp or udp)"]
        if ":" in h:
            out.append(f"net {h.split(':')[0]}::/16")
        else:
            out.append("net " + ".".join(h.split(".")[:2]) + ".0.0/16")
    for p in ports[:3]:
        out += [f"port {p}", f"src port {p}", f"not port {p}",
                f"tcp dst port {p}"]
    if len(hosts) > 1:
        out += [f"host {hosts[0]} and host {hosts[1]}",
                f"host {hosts[0]} or {hosts[-1]}",
                f"src {hosts[0]} and not dst {hosts[1]}"]
    if hosts and ports:
        out += [f"host {hosts[0]} and port {ports[0]}",
                f"host {hosts[-1]} or port {ports[-1]}",
                f"portrange {ports[0]}-{max(int(ports[0]), int(ports[-1]))}"]
    return out


def tcpdump(capture, expr):
    """The answer, or None where tcpdump refuses the question.

    -O: the optimiser of libpcap 1.10 gets some programs wrong.
    """
    p = subprocess.run(["tcpdump", "-O", "--time-stamp-precision=nano", "-r", capture,
                        "-w", "-", expr],
                       capture_output=True, check=False)
    return records.pcap(p.stdout) if len(p.stdout) >= 24 else None


def at_query(args):
    p = subprocess.run(["at-query", "-q", "--bpf", "-F", "pcap", "-w", "-",
                        *args], capture_output=True, check=False)
    if p.returncode not in (0, 1) or len(p.stdout) < 24:
        return p.stderr.decode("utf-8", "replace")
    return records.pcap(p.stdout)


def within(packets, window):
    return packets if window is None else [
        p for p in packets if window[0] <= p[0] < window[1]]


def ask(sources, capture, expr, window):
    want = tcpdump(capture, expr)
    if want is None:
        return 0, []
    want = within(want, window)
    time = [] if window is None else [
        "--from", f"@{window[0] // 10**9}.{window[0] % 10**9:09d}",
        "--to", f"@{window[1] // 10**9}.{window[1] % 10**9:09d}"]
    bad = []
    for source in sources:
        got = at_query([*time, "-e", expr, source])
        if got != want:
            size = got if isinstance(got, str) else f"{len(got)} packets"
            bad.append(f"{source} {time} '{expr}': {size}, "
                       f"tcpdump {len(want)}")
    return 1, bad


def windows(packets):
    """No range, and one from a packet to just after another."""
    times = sorted(p[0] for p in packets)
    return [None, (times[len(times) // 4], times[3 * len(times) // 4] + 1)]


def check(work, number, capture):
    packets = records.records(capture)
    if not packets or packets != tcpdump(capture, ""):
        return 0, []
    span = max(p[0] for p in packets) - min(p[0] for p in packets)
    archive = os.path.join(work, f"archive{number}")
    indexed = os.path.join(work, f"indexed{number}")
    plain = os.path.join(work, f"plain{number}")
    shutil.copy(capture, indexed)
    shutil.copy(capture, plain)
    rotate = max(1, span // 4 // 10**9)
    subprocess.run(["at-ingest", "-q", "--rotate", f"{rotate}s", archive,
                    capture], check=False)
    subprocess.run(["at-index", "-q", indexed], check=False)
    asked, bad = 0, []
    in_order = all(a[0] <= b[0] for a, b in zip(packets, packets[1:]))
    sources = [indexed, plain] + ([archive] if in_order else [])
    for expr in questions(capture):
        for window in windows(packets):
            n, more = ask(sources, capture, expr, window)
            asked += n
            bad += more
    shutil.rmtree(archive, ignore_errors=True)
    return asked, bad


def main():
    work = sys.argv[1]
    asked = wrong = 0
    for number, capture in enumerate(sys.argv[2:]):
        n, bad = check(work, number, capture)
        asked += n
        wrong += len(bad)
        for line in bad:
            print(line)
    print(f"{asked} questions, {wrong} wrong answers")
    return 1 if wrong or not asked else 0


if __name__ == "__main__":
    sys.exit(main())
