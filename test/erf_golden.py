#!/usr/bin/env python3
"""ERF files of kinds that no public capture has, made byte by byte.

usage: erf_golden.py DIR

Writes DIR/NAME.erf and prints a line for each, fields parted by a space:

    NAME how packets captured wire losses streams linktypes meta pad more

'how' is 'found' where the file must be told by content, 'said' where it needs
-I erf, 'bad@N' where no record can begin at byte N; 'linktypes' is a list as in
JSON; 'more' counts what pcap has no place for besides interfaces, losses, META
and PAD.  What is expected comes from how the records were put together, not
from reading them again.
"""
import os
import struct
import sys

ETH, IPV4, META, PAD = 2, 22, 27, 48
COLOURS = (10, 11, 15, 16, 17, 19, 20)
INNER = {2: 2, 11: 2, 16: 2, 20: 2, 5: 4, 17: 4}
LINK = {1: 104, 5: 104, 10: 104, 15: 104, 17: 104, 19: 104, 2: 1, 11: 1,
        16: 1, 20: 1, 22: 228, 23: 229}
START = 0x65432100
FRAME = bytes(range(60))


class File:
    """One file and what is to be read out of it."""

    def __init__(self):
        self.data = b""
        self.packets = self.captured = self.wire = self.losses = 0
        self.meta = self.pad = self.more = 0
        self.streams, self.links = set(), []

    def record(self, kind, frame=FRAME, wire=None, flags=4, field=0, ext=b"",
               inner=None, pad=b"", rlen=None, sec=None):
        """Appends a record; 'rlen' is a lie unless it is None."""
        wire = len(frame) if wire is None else wire
        sec = START + len(self.data) if sec is None else sec
        inner = bytes([7] * INNER.get(kind, 0)) if inner is None else inner
        body = ext + inner + frame + pad
        self.data += struct.pack("<IIBB", 0x12345678, sec & 0xffffffff,
                                 kind | (0x80 if ext else 0), flags)
        self.data += struct.pack(">HHH", 16 + len(body) if rlen is None
                                 else rlen, field, wire) + body
        if kind == META:
            self.meta += 1
        elif kind == PAD:
            self.pad += 1
        else:
            self.count(kind, min(len(frame), wire), wire, flags, field, ext)
        return self

    def count(self, kind, captured, wire, flags, field, ext):
        colour = kind in COLOURS
        link = LINK.get(kind, 197)
        self.packets += 1
        self.captured += captured
        self.wire += wire
        self.losses += 0 if colour else field
        self.streams.add(flags & 3)
        if link not in self.links:
            self.links.append(link)
        self.more += bool(ext or flags & 0x38 or (colour and field)
                          or kind in (5, 17))


def chain(n):
    """n extension headers of types that there are and that there are not."""
    return b"".join(bytes([(0x80 if i + 1 < n else 0) | (3 + i % 60), i, 1, 2,
                           3, 4, 5, 6]) for i in range(n))


def meta_record(f, sec):
    """Provenance of a source: host id extension header, two sections."""
    host_id = bytes([0x11, 5]) + bytes.fromhex("0102030405f0")
    tlv = (struct.pack(">HHI", 0xff00, 4, 0) +
           struct.pack(">HH8s", 2, 7, b"probe-1\0") +
           struct.pack(">HHI", 0xff03, 4, 1))
    return f.record(META, tlv, ext=host_id, sec=sec)


def good():
    """(name, how, file)"""
    for kind in COLOURS:
        f = File()
        for i in range(3):
            f.record(kind, field=500 + i, sec=i << 30)
        yield f"colour-{kind}", "found", f
    yield "lctr", "found", File().record(ETH, field=3).record(ETH).record(
        IPV4, field=65535)
    for name, flag in (("trunc", 8), ("rxerror", 16), ("dserror", 32)):
        yield name, "found", File().record(ETH, wire=64, flags=4 | flag).record(
            ETH, wire=64)
    yield "interfaces", "found", File().record(ETH, flags=4).record(
        ETH, flags=5).record(ETH, flags=6).record(ETH, flags=7)
    yield "pad", "found", File().record(PAD, b"", 0).record(ETH).record(
        PAD, bytes(48), 0, field=9).record(ETH)
    for kind in (0, 49, 60, 127):
        yield f"type-{kind}", "said", File().record(kind).record(
            kind, ext=chain(2)).record(kind, b"", 0)
        yield f"among-{kind}", "found", File().record(ETH).record(
            kind).record(ETH)
    yield "extensions-40", "found", File().record(ETH, ext=chain(40)).record(
        ETH, ext=chain(1)).record(META, bytes(8), ext=chain(40))
    yield "chain-crosses", "found", File().record(ETH).record(
        ETH, b"", 60, ext=bytes([0x83] + [0] * 7), inner=b"").record(
        ETH, b"", 60, ext=chain(2)[:8] + b"\x03\0\0", inner=b"").record(ETH)
    yield "below-framing", "found", File().record(ETH).record(
        ETH, b"", 60, inner=b"").record(ETH, b"", 60, inner=b"\0").record(
        5, b"", 60, inner=b"abc").record(ETH)
    yield "meta", "found", meta_record(meta_record(File(), 1).record(ETH), 0)
    yield "channels", "found", File().record(5).record(17, field=8).record(
        17, pad=bytes(3))
    yield "unaligned", "found", File().record(ETH).record(
        ETH, pad=b"\xaa\xbb\xcc").record(11, pad=b"\x55").record(ETH)
    yield "fixed-slots", "found", File().record(
        ETH, FRAME[:40], 40, flags=0, pad=bytes([0xee] * 6)).record(
        ETH, FRAME[:46], 1500, flags=0)
    yield "longest", "found", File().record(ETH).record(
        1, bytes(65519), 65519).record(
        ETH, bytes(65535 - 16 - 320 - 2), 65535, ext=chain(40)).record(ETH)
    yield "reserved-flags", "found", File().record(ETH).record(
        ETH, flags=0xc4).record(ETH, flags=0x84)
    yield "times", "found", File().record(ETH, sec=0).record(
        ETH, sec=0xffffffff).record(ETH, sec=788918399).record(ETH, sec=1)
    f = File()
    f.record(5, b"\xff\3\0\x21" + FRAME, sec=7)
    f.links = [50]
    yield "ppp-alone", "found", f


def bad():
    for rlen in (0, 1, 15):
        f = File().record(ETH).record(ETH)
        at = len(f.data)
        f.data += File().record(ETH, rlen=rlen).data
        f.data += File().record(ETH).data
        yield f"rlen-{rlen}", f"bad@{at}", f


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, how, f in list(good()) + list(bad()):
        with open(os.path.join(sys.argv[1], name + ".erf"), "wb") as out:
            out.write(f.data)
        links = "[" + ",".join(map(str, f.links)) + "]"
        print(name, how, f.packets, f.captured, f.wire, f.losses,
              len(f.streams), links, f.meta, f.pad, f.more)


if __name__ == "__main__":
    main()
