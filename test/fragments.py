#!/usr/bin/env python3
"""Captures of fragments, and cut ones.

usage: fragments.py make OUT       every kind of fragments, much interleaved
       fragments.py cut IN N ONE TWO   the first N records of a pcap, the rest

What is made is pcap of Ethernet with fragments of UDP, TCP and ICMP in IPv4
and IPv6, where one number is used by several datagrams: both ways, in another
VLAN, and anew; where others come between the fragments, some come late, some
have no first one, and some are of a host that talks to itself.
"""
import socket
import struct
import sys

from records import content

UDP, TCP, ICMP, OPTIONS, FRAGMENT = 17, 6, 1, 60, 44
A, B, C = (socket.inet_aton(f"10.0.0.{n}") for n in (1, 2, 3))
A6, B6 = (socket.inet_pton(socket.AF_INET6, f"2001:db8::{n}") for n in (1, 2))


def udp(sport, dport):
    return struct.pack(">HHHH", sport, dport, 64, 0) + bytes(24)


def tcp(sport, dport, seq):
    return struct.pack(">HHIIBBHHH", sport, dport, seq, 1, 0x50, 0x18, 64, 0,
                       0) + bytes(12)


def ethernet(ethertype, packet, vlan):
    tag = struct.pack(">HH", 0x8100, vlan) if vlan else b""
    return bytes(12) + tag + struct.pack(">H", ethertype) + packet


def ip4(src, dst, proto, number, offset, more, data=bytes(32), vlan=0):
    """The offset is in units of 8 bytes, here and below."""
    return ethernet(0x0800, struct.pack(
        ">BBHHHBBH", 0x45, 0, 20 + len(data), number, more << 13 | offset, 64,
        proto, 0) + src + dst + data, vlan)


def ip6(src, dst, proto, number, offset, more, data=bytes(32)):
    return ethernet(0x86dd, struct.pack(">IHBB", 6 << 28, 8 + len(data),
                                        FRAGMENT, 64) + src + dst +
                    struct.pack(">BBHI", proto, 0, offset << 3 | more,
                                number) + data, 0)


def packets():
    """Times in ms, and frames."""
    options = struct.pack(">BBIH", UDP, 0, 0x01040000, 0)
    return [
        (0, ip4(A, B, UDP, 1, 0, 1, udp(5000, 53))),
        (1, ip4(A, B, UDP, 2, 0, 1, udp(5001, 53))),
        (2, ip4(A, B, UDP, 1, 4, 1)),
        (3, ip4(B, A, UDP, 1, 0, 1, udp(53, 5000))),
        (4, ip4(A, B, UDP, 2, 4, 0)),
        (5, ip6(A6, B6, UDP, 65537, 0, 1, udp(6000, 53))),
        (6, ip4(B, A, UDP, 1, 4, 0)),
        (7, ip6(B6, A6, OPTIONS, 65537, 0, 1, options + udp(53, 6000))),
        (8, ip4(A, B, UDP, 1, 8, 0)),
        (9, ip6(A6, B6, UDP, 65537, 4, 1)),
        (10, ip6(B6, A6, OPTIONS, 65537, 5, 0)),
        (11, ip4(A, C, TCP, 7, 0, 1, tcp(4000, 80, 100))),
        (12, ip6(A6, B6, UDP, 65537, 8, 0)),
        (13, ip4(C, A, UDP, 8, 0, 0, udp(123, 123))),
        (14, ip4(A, C, TCP, 7, 4, 0)),
        (15, ip4(A, C, ICMP, 7, 0, 1, bytes([13]) + bytes(31))),
        (16, ip4(A, B, UDP, 1, 0, 1, udp(5002, 53), vlan=7)),
        (17, ip4(A, C, ICMP, 7, 4, 0)),
        (18, ip4(A, B, UDP, 1, 4, 0, vlan=7)),
        (19, ip4(A, B, UDP, 9, 4, 0)),
        (20, ip4(A, B, UDP, 1, 0, 1, udp(5003, 53))),
        (21, ip4(A, B, UDP, 1, 4, 0)),
        (22, ip4(A, B, UDP, 3, 0, 1, udp(5001, 53))),
        (23, ip4(B, A, UDP, 3, 0, 1, udp(53, 5004))),
        (24, ip4(A, A, UDP, 11, 0, 1, udp(5005, 7))),
        (25, ip4(A, A, UDP, 11, 4, 0)),
        (26, ip4(A, A, UDP, 12, 0, 1, udp(7, 5005))),
        (27, ip4(A, A, UDP, 12, 4, 0)),
        (10000, ip4(A, B, UDP, 3, 4, 1)),
        (20000, ip4(C, A, UDP, 10, 0, 0, udp(123, 123))),
        (100000, ip4(B, A, UDP, 5, 0, 0, udp(53, 5004))),
        (119000, ip4(B, A, UDP, 3, 4, 1)),
        (121000, ip4(A, B, UDP, 3, 8, 0)),
        (121001, ip4(B, A, UDP, 3, 8, 0)),
    ]


def make(out):
    with open(out, "wb") as f:
        f.write(struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        for ms, frame in packets():
            f.write(struct.pack("<IIII", 1772359200 + ms // 1000,
                                ms % 1000 * 1000000, len(frame), len(frame)) +
                    frame)


def cut(name, n, one, two):
    data = content(name)
    order = "<" if data[0] != 0xa1 else ">"
    at = 24
    for _ in range(int(n)):
        at += 16 + struct.unpack_from(order + "I", data, at + 8)[0]
    with open(one, "wb") as f:
        f.write(data[:at])
    with open(two, "wb") as f:
        f.write(data[:24] + data[at:])


if __name__ == "__main__":
    {"make": make, "cut": cut}[sys.argv[1]](*sys.argv[2:])
