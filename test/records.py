"""The records of pcap and ERF files, read apart from the code under test."""
import gzip
import struct


def content(path):
    with open(path, "rb") as f:
        data = f.read()
    while data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data


def pcap(data):
    """(ns, captured bytes, wire length) of every record of a pcap file."""
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1",
                             b"\x34\xcd\xb2\xa1") else ">"
    unit = 1 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
    head = 24 if b"\xcd" in (magic[1:2], magic[2:3]) and (
        magic in (b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34")) else 16
    out, at = [], 24
    while at + head <= len(data):
        sec, frac, cap, wire = struct.unpack_from(order + "IIII", data, at)
        at += head
        if at + cap > len(data):
            break
        out.append((sec * 10**9 + frac * unit, data[at:at + cap], wire))
        at += cap
    return out


def erf(data):
    """(ns, captured bytes, wire length) of every packet record of an ERF."""
    out, at = [], 0
    while at + 16 <= len(data):
        ts, kind, _, rlen, _, wlen = struct.unpack_from("<QBB", data, at) + (
            struct.unpack_from(">HHH", data, at + 10))
        ext = 0
        more = kind & 0x80
        while more:
            more = data[at + 16 + 8 * ext] & 0x80
            ext += 1
        start = 16 + 8 * ext + (2 if kind & 0x7f in (2, 11, 16, 20) else 0)
        if kind & 0x7f not in (27, 48):
            frame = data[at + start:at + rlen][:wlen]
            frac = ((ts & 0xffffffff) * 10**9 + (1 << 31)) >> 32
            out.append(((ts >> 32) * 10**9 + frac, frame, wlen))
        at += rlen
    return out


def records(path):
    data = content(path)
    if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4",
                    b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d",
                    b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34"):
        return pcap(data)
    return erf(data)
