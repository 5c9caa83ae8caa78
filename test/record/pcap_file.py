"""Classic pcap files, as far as the scripts beside this one need them."""
import struct

MAGIC = {  # first four bytes: byte order, nanoseconds in a unit of time
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
FILE_HEADER = 24
RECORD_HEADER = 16


def layout(data, name):
    if len(data) < FILE_HEADER or bytes(data[:4]) not in MAGIC:
        raise SystemExit(f"{name}: not a classic pcap file")
    return MAGIC[bytes(data[:4])]


def records(data, name):
    """(offset, seconds, fraction in units, captured bytes, wire bytes)"""
    order, _ = layout(data, name)
    head = struct.Struct(order + "IIII")
    at = FILE_HEADER
    while at < len(data):
        if at + RECORD_HEADER > len(data):
            raise SystemExit(f"{name}: cut short at byte {at}")
        sec, frac, cap, wire = head.unpack_from(data, at)
        if at + RECORD_HEADER + cap > len(data):
            raise SystemExit(f"{name}: cut short at byte {at}")
        yield at, sec, frac, cap, wire
        at += RECORD_HEADER + cap
