#!/usr/bin/env python3
"""Flip single bytes of an archive and see that at-archive verify finds each.

usage: flips.py TRIES QUERIES ARCHIVE FILE...

The FILEs are of the ARCHIVE, by their path in it; each gets its share of the
TRIES, at places and with values that a seed gives.  verify must exit with 1
and name the file; of a segment mostly the block, of an index the table.  After
QUERIES of the flips questions are asked, too: what they say of segments that
are whole must be what it was.
"""
import os
import random
import re
import subprocess
import sys
import time


def run(*command):
    p = subprocess.run(command, capture_output=True, check=False)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(
        errors="replace")


def rows(archive):
    """Flows by stream, and the exit status."""
    status, out, words = run("at-query", "-j1", "--format", "csv", archive)
    by_stream = {}
    for line in out.splitlines()[1:]:
        by_stream.setdefault(line.rsplit(",", 1)[1], set()).add(line)
    return status, by_stream, words


class Trial:
    def __init__(self, archive):
        self.archive = archive
        self.failures = 0
        self.named = self.could_name = 0
        status, self.want, words = rows(archive)
        if status != 0 or run("at-archive", "verify", archive)[0] != 0:
            sys.exit("the archive is not whole to begin with: " + words)

    def fail(self, what, why):
        self.failures += 1
        print(f"{what}: {why}")

    def verify(self, name, what):
        status, _, words = run("at-archive", "verify", "-q", "-j1",
                               self.archive)
        mine = [w for w in words.splitlines() if name in w]
        if status != 1:
            self.fail(what, f"exit {status}: {words.strip()}")
        elif not mine:
            self.fail(what, f"not named: {words.strip()}")
        elif name.split("/")[0] in ("segments", "pending"):
            self.could_name += 1
            self.named += any(re.search(r"block|frame|byte \d+|table", w)
                              for w in mine)

    def ask(self, name, what):
        """Who is asked may fail on that file, not on others."""
        status, got, words = rows(self.archive)
        if status not in (0, 1) or (status == 1 and not words):
            self.fail(what, f"at-query: exit {status}: {words.strip()}")
        if "catalog" in name:
            return
        for stream, flows in self.want.items():
            if stream not in os.path.basename(name) and (
                    got.get(stream) != flows):
                self.fail(what, f"at-query: other flows of {stream}")

    def flip(self, name, ask):
        path = os.path.join(self.archive, name)
        with open(path, "rb") as f:
            data = f.read()
        at, bits = random.randrange(len(data)), random.randrange(1, 256)
        what = f"{name}: byte {at} ^ {bits:#04x}"
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(bytes([data[at] ^ bits]))
        self.verify(name, what)
        if ask:
            self.ask(name, what)
        with open(path, "wb") as f:
            f.write(data)


def main():
    tries, queries = int(sys.argv[1]), int(sys.argv[2])
    trial, files = Trial(sys.argv[3]), sys.argv[4:]
    random.seed(5)
    began = time.monotonic()
    for i in range(tries):
        trial.flip(files[i % len(files)], i * queries // tries !=
                   (i + 1) * queries // tries)
    status, got, _ = rows(trial.archive)
    if status != 0 or got != trial.want:
        trial.fail("in the end", "the archive is not as it was")
    print(f"{tries} flips in {time.monotonic() - began:.0f} s, "
          f"{trial.named} of {trial.could_name} with their block or table, "
          f"{trial.failures} failures")
    return 1 if trial.failures else 0


if __name__ == "__main__":
    sys.exit(main())
