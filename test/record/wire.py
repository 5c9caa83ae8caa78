#!/usr/bin/env python3
"""A cable between two interfaces, in user space.

usage: wire.py [--tag TPID:VID]... [--loss PERCENT] [--delay MS] [--seed N] A B

Frames that arrive at A leave at B, and the other way round.  Each --tag is a
VLAN tag, outermost first, that a frame gets on its way from A to B; on the
way back only frames with just these tags pass, and they lose them.  So A is
the access port of a switch and B its trunk.  --loss drops frames at random and
--delay holds each frame back, both in either direction.

It stands in for 8021q and sch_netem, which not every kernel has.
"""
import argparse
import collections
import random
import select
import socket
import struct
import time

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
TP_STATUS_VLAN_VALID = 1 << 4
AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata


def open_port(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    s.bind((name, ETH_P_ALL))
    return s


def receive(s):
    """One frame, with the outer tag that the kernel took off put back."""
    frame, anc, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(AUXDATA.size))
    for level, kind, data in anc:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = AUXDATA.unpack(data[:AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                tag = struct.pack("!HH", tpid or 0x8100, tci)
                frame = frame[:12] + tag + frame[12:]
    return frame


def pop(frame, tags):
    """The frame without these tags, or None if it has others."""
    at = 12
    for tpid, vid in tags:
        if len(frame) < at + 6:
            return None
        have_tpid, tci = struct.unpack_from("!HH", frame, at)
        if have_tpid != tpid or tci & 0xFFF != vid:
            return None
        at += 4
    if struct.unpack_from("!H", frame, at)[0] in (0x8100, 0x88A8):
        return None  # one tag more than ours: another customer's frame
    return frame[:12] + frame[at:]


def parse_tag(text):
    tpid, vid = text.split(":")
    return int(tpid, 16), int(vid)


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("\n")[2][7:])
    p.add_argument("--tag", type=parse_tag, action="append", default=[])
    p.add_argument("--loss", type=float, default=0)
    p.add_argument("--delay", type=float, default=0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("a")
    p.add_argument("b")
    opt = p.parse_args()

    push = b"".join(struct.pack("!HH", *t) for t in opt.tag)
    rng = random.Random(opt.seed)
    a, b = open_port(opt.a), open_port(opt.b)
    held = collections.deque()  # (when, port, frame), in the order of when
    print("ready", flush=True)
    while True:
        wait = max(0, held[0][0] - time.monotonic()) if held else None
        for s in select.select([a, b], [], [], wait)[0]:
            frame = receive(s)
            if s is a:
                frame = frame[:12] + push + frame[12:]
            else:
                frame = pop(frame, opt.tag)
            if frame is not None and rng.random() * 100 >= opt.loss:
                when = time.monotonic() + opt.delay / 1000
                held.append((when, b if s is a else a, frame))
        while held and held[0][0] <= time.monotonic():
            _, port, frame = held.popleft()
            port.send(frame)


if __name__ == "__main__":
    main()
