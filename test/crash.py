#!/usr/bin/env python3
"""Disturb at-ingest in every way and see that the archive comes out the same.

usage: crash.py kill RUNS ARGUMENT...
       crash.py exit|full|once LIBRARY STEP ARGUMENT...

The ARGUMENTs are options and inputs of at-ingest; "--" among them begins a
second run, so that a pending segment is taken up.  kill: the process group
gets SIGKILL after a time, RUNS of them spread over as long as a run takes.
The others preload LIBRARY (failing.c) and let call number 1, 1 + STEP,
1 + 2 * STEP ... fail until a run gets through.

After each disturbance the archive must be readable as it is, hold a
beginning of the packets, and whoever failed must have said so in one line;
then at-ingest runs again, and segments, indexes and the rows of the catalogue
must be those of an archive that nobody disturbed.
"""
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

ARCHIVE = "crash.archive"


def split(arguments):
    runs = [[]]
    for a in arguments:
        if a == "--":
            runs.append([])
        else:
            runs[-1].append(a)
    return runs


def command(arguments):
    options = [a for a in arguments if a.startswith("-")]
    return ["at-ingest", "-q", *options, ARCHIVE,
            *[a for a in arguments if not a.startswith("-")]]


def files(folder):
    out = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as f:
                out[os.path.relpath(path, folder)] = f.read()
    return out


def catalogue():
    db = sqlite3.connect(os.path.join(ARCHIVE, "catalog.sqlite"))
    names = [r[1] for r in db.execute("PRAGMA table_info(segment)")
             if r[1] not in ("id", "stream")]
    rows = [sorted(db.execute("SELECT name FROM stream")),
            sorted(db.execute("SELECT t.name, " + ", ".join(
                "s." + n for n in names) +
                " FROM segment s JOIN stream t ON t.id = s.stream")),
            list(db.execute("SELECT data FROM open_flow ORDER BY id")),
            list(db.execute("SELECT data FROM open_datagram ORDER BY id")),
            sorted(db.execute("SELECT * FROM input")),
            list(db.execute("SELECT * FROM intent"))]
    db.close()
    return rows


def state():
    found = files(ARCHIVE)
    return {n: d for n, d in found.items()
            if n.split("/")[0] in ("segments", "pending", "tmp")}, catalogue()


def packets():
    p = subprocess.run(["at-query", "-q", "-j", "1", "-F", "pcap", "-w", "-",
                        ARCHIVE], capture_output=True, check=False)
    return p.stdout[24:], p.returncode, p.stderr.decode()


class Trial:
    def __init__(self, arguments):
        self.runs = split(arguments)
        self.failures = 0
        shutil.rmtree(ARCHIVE, ignore_errors=True)
        began = time.monotonic()
        for run in self.runs:
            subprocess.run(command(run), check=True)
        self.seconds = time.monotonic() - began
        self.want = state()
        self.all_packets = packets()[0]

    def fail(self, what, why):
        self.failures += 1
        print(f"{what}: {why}")

    def check_broken(self, what):
        """What a crash has left can be asked, and is a beginning."""
        if not os.path.exists(os.path.join(ARCHIVE, "catalog.sqlite")):
            return
        got, status, words = packets()
        if status != 0 and self.all_packets.startswith(got) and (
                "not an archive" in words):
            return  # it had not become one yet
        if status != 0:
            self.fail(what, f"at-query: exit {status}: {words.strip()}")
        elif not self.all_packets.startswith(got):
            self.fail(what, "the packets are no beginning of all of them")

    def repair(self, what):
        for run in self.runs:
            p = subprocess.run(command(run), capture_output=True, check=False)
            if p.returncode != 0 or p.stderr:
                self.fail(what, "the next run: exit %d: %s" % (
                    p.returncode, p.stderr.decode().strip()))
                return
        got = state()
        for name in sorted(set(got[0]) ^ set(self.want[0])):
            self.fail(what, f"{name}: only in one")
        for name in sorted(set(got[0]) & set(self.want[0])):
            if got[0][name] != self.want[0][name]:
                self.fail(what, f"{name} differs")
        if got[1] != self.want[1]:
            self.fail(what, f"catalogue: {got[1]}, want {self.want[1]}")

    def killed(self, delay):
        shutil.rmtree(ARCHIVE, ignore_errors=True)
        until = time.monotonic() + delay
        for run in self.runs:
            with subprocess.Popen(command(run), start_new_session=True) as p:
                try:
                    p.wait(max(0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    os.killpg(p.pid, signal.SIGKILL)
                    return

    def failing(self, library, how, n):
        """Returns whether all runs got through.  Counts go from run to run,
        so that with two of them call n is of the last one."""
        env = dict(os.environ, LD_PRELOAD=library, FAIL_AT=str(n),
                   FAIL_HOW=how)
        env["ASAN_OPTIONS"] = (env.get("ASAN_OPTIONS", "") +
                               ":verify_asan_link_order=0")
        shutil.rmtree(ARCHIVE, ignore_errors=True)
        for run in self.runs[:-1]:
            subprocess.run(command(run), check=True)
        p = subprocess.run(command(self.runs[-1]) + ["-j1"], env=env,
                           capture_output=True, check=False)
        words = p.stderr.decode()
        if p.returncode == 0:
            if words:
                self.fail(f"{how} {n}", f"exit 0 and words: {words.strip()}")
            return True
        if how != "exit" and (p.returncode != 1 or words.count("\n") != 1):
            self.fail(f"{how} {n}", f"exit {p.returncode}: {words.strip()}")
        if how == "exit" and p.returncode != 77:
            self.fail(f"{how} {n}", f"exit {p.returncode}: {words.strip()}")
        return False

    def disturb(self, what):
        self.check_broken(what)
        self.repair(what)


def main():
    how = sys.argv[1]
    if how == "kill":
        trial = Trial(sys.argv[3:])
        runs = int(sys.argv[2])
        random.seed(1)
        for i in range(runs):
            delay = trial.seconds * (i + random.random()) / runs
            trial.killed(delay)
            trial.disturb(f"killed after {delay:.4f} s")
        print(f"{runs} kills, {trial.failures} failures")
        return 1 if trial.failures else 0
    library, step = os.path.abspath(sys.argv[2]), int(sys.argv[3])
    trial = Trial(sys.argv[4:])
    n, quiet, last = 1, 0, 0
    # One call that fails may do no harm (a file that need not be removed):
    # the end is where many in a row do not.
    while quiet < (1 if how != "once" else 25):
        quiet = quiet + 1 if trial.failing(library, how, n) else 0
        last = last if quiet else n
        trial.disturb(f"{how} at call {n}")
        n += step
    print(f"failed up to call {last}, {trial.failures} failures")
    return 1 if trial.failures or last < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
