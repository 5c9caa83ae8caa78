#!/usr/bin/env python3
"""Move all packets of some captures by one constant number of seconds.

usage: shift_times.py START FILE.pcap ...

START is a UTC time such as 2026-03-01T09:07:30.  The earliest packet of all
the files comes to lie in that second; the fractions of seconds, the distances
between packets and every byte of them stay as they were recorded.
"""
import datetime
import struct
import sys

from pcap_file import layout, records


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__.split("\n")[2])
    start = datetime.datetime.fromisoformat(sys.argv[1])
    start = int(start.replace(tzinfo=datetime.timezone.utc).timestamp())
    files = {}
    for name in sys.argv[2:]:
        with open(name, "rb") as f:
            files[name] = bytearray(f.read())
    shift = start - min(sec for name, data in files.items()
                        for _, sec, _, _, _ in records(data, name))
    for name, data in files.items():
        order, _ = layout(data, name)
        for at, sec, _, _, _ in list(records(data, name)):
            struct.pack_into(order + "I", data, at, sec + shift)
        with open(name, "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
