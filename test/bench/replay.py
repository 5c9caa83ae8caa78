#!/usr/bin/env python3
"""replay.py - how well packets are timed on a wire, ours beside tcpreplay

Two network namespaces with a pair of veth between them.  What tcpdump sees at
the far end is held against the schedule: packet N is due N / rate after the
first.  Also top speed.  Run by bench.py, or alone as root:

    AT_BIN=build/bin test/bench/replay.py [RATE [SECONDS]]
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from records import records  # noqa: E402

NEAR, FAR = f"atA{os.getpid()}", f"atB{os.getpid()}"
TOP_RUNS = 3


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def make_wire():
    for name in (NEAR, FAR):
        ip("netns", "add", name)
        ip("netns", "exec", name, "sh", "-c",
           "for f in all default; do "
           "echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done")
    ip("link", "add", "s0", "netns", NEAR, "type", "veth", "peer", "name",
       "r0", "netns", FAR)
    for name, end in ((NEAR, "s0"), (FAR, "r0")):
        ip("-n", name, "link", "set", end, "up")


def drop_wire():
    for name in (NEAR, FAR):
        subprocess.run(["ip", "netns", "del", name], check=False,
                       capture_output=True)


def write_trace(path, packets, gap_ns):
    """Packets of 60 bytes, exactly so far apart."""
    frame = bytes.fromhex("020000000002020000000001080045000028000040004011"
                          "0000c0000201c0000202")
    frame = frame.ljust(60, b"\0")
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        for i in range(packets):
            sec, ns = divmod(1_700_000_000_000_000_000 + i * gap_ns,
                             1_000_000_000)
            out.write(struct.pack("<IIII", sec, ns, 60, 60) + frame)


def near(argv):
    return ["ip", "netns", "exec", NEAR, *argv]


def listen(path):
    far = subprocess.Popen(
        ["ip", "netns", "exec", FAR, "tcpdump", "-i", "r0", "-n", "-B",
         "65536", "-Z", "root", "--nano", "-w", path], stderr=subprocess.PIPE, text=True)
    for line in far.stderr:
        if "listening" in line:
            return far
    raise RuntimeError("tcpdump does not listen")


def quantile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))]


def timing(argv, trace, gap_ns, packets, work):
    """Lateness and drift in microseconds, as the far end sees them."""
    got = os.path.join(work, "got.pcap")
    far = listen(got)
    subprocess.run(near(argv + [trace]), check=True, capture_output=True)
    time.sleep(1)
    far.terminate()
    far.wait()
    times = [ns for ns, _, _ in records(got)]
    off = [t - times[0] - i * gap_ns for i, t in enumerate(times)]
    earliest = min(off)
    late = sorted(o - earliest for o in off)
    return {
        "arrived": len(times) / packets,
        "median": quantile(late, 0.5) / 1e3,
        "p99": quantile(late, 0.99) / 1e3,
        "max": late[-1] / 1e3,
        "drift": off[-1] / 1e3,
    }


def speed(argv, trace, packets):
    """Packets a second of the best of some runs, whole processes."""
    best = 0
    for _ in range(TOP_RUNS):
        began = time.monotonic()
        subprocess.run(near(argv + [trace]), check=True, capture_output=True)
        best = max(best, packets / (time.monotonic() - began))
    return best


def measure(ours, rate, seconds):
    """Rows of a table, as text."""
    packets, gap_ns = rate * seconds, 1_000_000_000 // rate
    work = tempfile.mkdtemp(prefix="at-replay-")
    trace = os.path.join(work, "trace.pcap")
    tools = [("at-replay", [ours, "-q", "-i", "s0"], ["--top-speed"])]
    if shutil.which("tcpreplay"):
        tools.append(("tcpreplay", ["tcpreplay", "-q", "-i", "s0"],
                      ["-t", "-K"]))
    yield (f"{packets} packets, {rate} a second as recorded; us, at the far "
           "end")
    yield f"{'':12}{'median':>9}{'p99':>9}{'max':>10}{'drift':>10}{'arrived':>9}"
    try:
        make_wire()
        write_trace(trace, packets, gap_ns)
        for label, argv, _ in tools:
            t = timing(argv, trace, gap_ns, packets, work)
            yield (f"{label:12}{t['median']:9.1f}{t['p99']:9.1f}"
                   f"{t['max']:10.1f}{t['drift']:10.1f}{t['arrived']:9.2%}")
        yield "top speed, packets a second, whole process, best of 3"
        for label, argv, top in tools:
            yield f"{label:12}{speed(argv + top, trace, packets):9.0f}"
    finally:
        drop_wire()
        shutil.rmtree(work)


def main():
    ours = os.path.join(os.environ.get("AT_BIN", "build/bin"), "at-replay")
    rate = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    for row in measure(ours, rate, seconds):
        print(row, flush=True)


if __name__ == "__main__":
    main()
