#!/usr/bin/env python3
"""old_index.py VERSION INDEX... - make indexes what version 3 or 4 wrote

The lists of blocks are taken apart by what man/archive_trace-index.5 says, by
nothing that the tools are made of.
"""
import sqlite3
import sys

SAME_FRAME, RAW, FILE, FILE_BYTES, SKIP, NO_PACKETS = 1, 2, 4, 8, 16, 32


class List:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        v = shift = 0
        while True:
            b = self.byte()
            v |= (b & 127) << shift
            shift += 7
            if b < 128:
                return v

    def signed(self):
        v = self.number()
        return ~(v >> 1) if v & 1 else v >> 1


def blocks(data):
    """The rows of a list: places, records and times."""
    from_, file, size, raw, skip, count, end = List(data), 0, 0, 0, 0, 0, 0
    while from_.at < len(data):
        what = from_.byte()
        same = what & SAME_FRAME
        raw += count
        file, skip = (file, skip + count) if same else (file + size, 0)
        count = from_.number()
        size = size if same else count
        records = from_.number()
        raw += from_.signed() if what & RAW else 0
        file += from_.signed() if what & FILE else 0
        size += from_.signed() if what & FILE_BYTES else 0
        skip += from_.signed() if what & SKIP else 0
        first = last = None
        if not what & NO_PACKETS:
            first = end + from_.signed()
            last = end = first + from_.number()
        yield file, size, raw, skip, count, records, first, last


def change(path, version):
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (5,)
    rows = []
    for id_, n, data in db.execute("SELECT id, blocks, data FROM block"):
        few = list(blocks(data))
        assert len(few) == n
        rows += [(id_ * 64 + i, *row) for i, row in enumerate(few)]
    db.executescript("""
        DROP TABLE block;
        CREATE TABLE block(id INTEGER PRIMARY KEY, file_offset INT,
            file_bytes INT, raw_offset INT, skip INT, bytes INT, records INT,
            first INT, last INT);""")
    db.executemany("INSERT INTO block VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    if version < 4:
        db.execute("DROP TABLE minute")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()


for name in sys.argv[2:]:
    change(name, int(sys.argv[1]))
