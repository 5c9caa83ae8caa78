#!/usr/bin/env python3
"""Make one ERF file of the two to four sides of a link.

usage: to_erf.py OUT.erf SIDE0.pcap SIDE1.pcap [SIDE2.pcap [SIDE3.pcap]]

The inputs are classic pcap files of Ethernet.  Every packet becomes a record
of type 2 (ETH) whose interface is the place of its file on the command line;
records are in the order of time, and at equal times in that of the interfaces.

    size  field
       8  timestamp, little-endian, 32.32 seconds; nanoseconds are rounded up
       1  type 2
       1  flags: interface in bits 0-1, and bit 2, "length varies"
       2  rlen, big-endian: the whole record, a multiple of 8
       2  loss counter 0
       2  wlen, big-endian: the length on the wire as the pcap file has it,
          so without an FCS, and no FCS is made up either
       2  offset and pad, 0
          the frame, then zeros up to rlen

A reader takes min(rlen - 18, wlen) bytes for captured.  Zeros after a frame
that was snapped would therefore count as captured; such a frame loses its last
bytes instead, and none if the snap length is 8 n + 6.
"""
import struct
import sys

from pcap_file import RECORD_HEADER, layout, records

ERF_TYPE_ETH = 2
FLAG_VLEN = 4
OVERHEAD = 18
LINKTYPE_ETHERNET = 1


def side(name, interface):
    with open(name, "rb") as f:
        data = f.read()
    order, unit = layout(data, name)
    if struct.unpack_from(order + "I", data, 20)[0] != LINKTYPE_ETHERNET:
        raise SystemExit(f"{name}: not a capture of Ethernet")
    for at, sec, frac, cap, wire in records(data, name):
        start = at + RECORD_HEADER
        yield sec, frac * unit, interface, data[start:start + cap], wire


def erf_record(sec, ns, interface, frame, wire):
    rlen = (OVERHEAD + len(frame) + 7) & ~7
    if len(frame) < wire and rlen != OVERHEAD + len(frame):
        rlen -= 8
        frame = frame[:rlen - OVERHEAD]
    stamp = sec << 32 | -(-(ns << 32) // 10**9)
    head = struct.pack("<Q", stamp) + struct.pack(
        ">BBHHHH", ERF_TYPE_ETH, interface | FLAG_VLEN, rlen, 0, wire, 0)
    return (head + frame).ljust(rlen, b"\0")


def main():
    if not 4 <= len(sys.argv) <= 6:
        raise SystemExit(__doc__.split("\n")[2])
    packets = []
    for interface, name in enumerate(sys.argv[2:]):
        packets.extend(side(name, interface))
    packets.sort(key=lambda p: p[:3])
    with open(sys.argv[1], "wb") as out:
        for p in packets:
            out.write(erf_record(*p))


if __name__ == "__main__":
    main()
