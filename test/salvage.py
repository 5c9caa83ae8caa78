#!/usr/bin/env python3
"""Damages a capture in many ways and looks at what --salvage makes of it.

usage: salvage.py [--seed N] [--count N] [--kind KIND] file ...

The records of the undamaged file are found here, apart from the code under
test.  After each damage at-dump --salvage -xx shows the whole records that
are left, and each must be one of the file:

  invented  a record that begins or ends where none of the file does
  altered   a record of the file, but bytes of it were damaged: nothing in
            these formats can tell
  lost      a record that no damage has touched, and did not come out

Prints one line of totals; the exit status is 1 if a record was invented, a
damage that loses records was not reported, or the tool crashed.
"""
import argparse
import json
import os
import random
import struct
import subprocess
import sys

import records


def pcap_records(data):
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") \
        else ">"
    at, out = 24, []
    while at + 16 <= len(data):
        n = 16 + struct.unpack_from(order + "I", data, at + 8)[0]
        if at + n > len(data):
            break
        out.append((at, n))
        at += n
    return out


def erf_records(data):
    at, out = 0, []
    while at + 16 <= len(data):
        n = struct.unpack_from(">H", data, at + 10)[0]
        out.append((at, n))
        at += n
    return out


def pcapng_records(data):
    at, out = 0, []
    while at + 12 <= len(data):
        n = struct.unpack_from("<I", data, at + 4)[0]
        out.append((at, n))
        at += n
    return out


def split(data):
    """The records, and how many bytes at the start are never damaged."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        found = pcapng_records(data)
        head = [a + n for a, n in found
                if data[a:a + 4] == b"\x01\0\0\0"][0]
        kinds = (b"\x06\0\0\0", b"\x03\0\0\0", b"\x02\0\0\0")
        packets = [(a, n) for a, n in found if data[a:a + 4] in kinds]
        return packets, head
    if b"\xb2" in data[1:3]:
        return pcap_records(data), 24
    return erf_records(data), 0


# Every damage is (new bytes, [(from, to)) of the old that were touched).

def flip_header(rng, data, recs):
    at, _ = rng.choice(recs)
    start = at + rng.randrange(16)
    n = min(rng.choice((1, 1, 1, 2, 4)), at + 16 - start)
    new = bytes(b ^ rng.randrange(1, 256) for b in data[start:start + n])
    return data[:start] + new + data[start + n:], [(start, start + n)]


def set_field(rng, data, recs):
    at, _ = rng.choice(recs)
    start = at + 4 * rng.randrange(4)
    new = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x7f",
                      b"\1\0\0\0", b"\0\0\1\0", b"\0\x10\0\0"))
    return data[:start] + new + data[start + 4:], [(start, start + 4)]


def zero_sector(rng, data, recs):
    at = rng.randrange(recs[0][0], len(data))
    to = min(at + 512, len(data))
    return data[:at] + bytes(to - at) + data[to:], [(at, to)]


def random_page(rng, data, recs):
    at = rng.randrange(recs[0][0], len(data))
    to = min(at + 4096, len(data))
    return data[:at] + rng.randbytes(to - at) + data[to:], [(at, to)]


def cut_out(rng, data, recs):
    at = rng.randrange(recs[0][0], len(data))
    to = min(at + rng.randrange(1, 5000), len(data))
    return data[:at] + data[to:], [(at, to)]


def insert(rng, data, recs):
    at = rng.randrange(recs[0][0], len(data))
    new = rng.randbytes(rng.randrange(1, 3000))
    return data[:at] + new + data[at:], [(at, at)]


def repeat(rng, data, recs):
    """Bytes of the file itself, where they do not belong"""
    at = rng.randrange(recs[0][0], len(data))
    start = rng.randrange(recs[0][0], len(data))
    new = data[start:start + rng.randrange(1, 1500)]
    return data[:at] + new + data[at + len(new):], [(at, at + len(new))]


def cut_end(rng, data, recs):
    at = rng.randrange(recs[0][0], len(data))
    return data[:at], [(at, len(data))]


KINDS = {f.__name__: f for f in (flip_header, set_field, zero_sector,
                                 random_page, cut_out, insert, repeat,
                                 cut_end)}


def salvage(tool, path):
    """The records that come out and the exit status"""
    got = subprocess.run([tool, "-q", "--salvage", "-xx", "--json", path],
                         capture_output=True)
    out = []
    for line in got.stdout.splitlines():
        text = json.loads(line)
        out.append(bytes.fromhex(text["record"]))
    return out, got.returncode, got.stderr.decode()


def touched(at, n, spans):
    """An insertion touches the record that it is inside of."""
    return any(a < at + n and at < b if a < b else at < a < at + n
               for a, b in spans)


def check(tool, path, data, recs, new, spans):
    """(invented, altered, lost) after one damage"""
    with open(path, "wb") as f:
        f.write(new)
    out, status, said = salvage(tool, path)
    if status not in (0, 1):
        sys.exit(f"{path}: exit status {status}: {said}")
    left = {}
    for at, n in recs:
        left.setdefault(data[at:at + n], []).append((at, n))
    strange = [r for r in out if r not in left]
    for r in out:
        if left.get(r):
            left[r].pop()
    lost = [r for rs in left.values() for r in rs if not touched(*r, spans)]
    # A time that is damaged below the seconds is still a time.
    bodies = {data[at + 8:at + n] for at, n in recs if touched(at, n, spans)}
    altered = sum(r[8:] in bodies or is_in_place(r, new, recs, spans)
                  for r in strange)
    if lost and status == 0:
        sys.exit(f"{path}: {len(lost)} records lost, but exit status 0")
    return len(strange) - altered, altered, len(lost)


def is_in_place(record, new, recs, spans):
    """Whether the record begins and ends where a damaged one does."""
    return any(n == len(record) and new[at:at + n] == record
               for at, n in recs if touched(at, n, spans))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--kind", action="append")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("file", nargs="+")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    tmp = os.environ.get("BATS_TEST_TMPDIR", "/tmp")
    path = os.path.join(tmp, "damaged")
    sums = {}
    for i in range(args.count):
        name = args.file[i % len(args.file)]
        data = records.content(name)
        recs, head = split(data)
        kind = rng.choice(sorted(args.kind or KINDS))
        new, spans = KINDS[kind](rng, data, [r for r in recs if r[0] >= head])
        if new == data:
            continue
        counts = check("at-dump", path, data, recs, new, spans)
        was = sums.get(kind, (0, 0, 0, 0))
        sums[kind] = tuple(a + b for a, b in zip(was, (1,) + counts))
        if args.keep and (counts[0] or counts[2] > 1):
            os.rename(path, f"{path}.{i}")
            print(f"{path}.{i}: {name} {kind} {spans} {counts}")
    total = (0, 0, 0, 0)
    for kind, n in sorted(sums.items()):
        print("%-12s %4d damages, %3d invented, %3d altered, %3d lost"
              % ((kind,) + n))
        total = tuple(a + b for a, b in zip(total, n))
    print("all %d damages, %d invented, %d altered, %d lost" % total)
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
