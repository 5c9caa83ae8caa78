#!/usr/bin/env python3
"""Compare at-info with the ground truth of a capture corpus.

usage: corpus-info.py CORPUS EXCEPTIONS

Reads GROUND_TRUTH.tsv and MANIFEST.tsv in CORPUS, runs at-info --json over
every capture that is ERF, pcap or pcapng, in any compression, and compares
packets, bytes on the wire, first and last time.  EXCEPTIONS is a TSV of file, field, reason:
a difference that is listed there is expected, and one that is listed but does
not happen is an error too.  Prints one line a difference; exits 1 if there
was any that is not listed.
"""
import csv
import json
import os
import subprocess
import sys
from decimal import Decimal


def rows(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def comparable(fmt):
    base = fmt.split("+")[0].split("(")[0]
    codec = fmt.split("+")[1] if "+" in fmt else ""
    return (base == "erf" or base.startswith(("pcap-", "pcapng-"))) and (
        codec in ("", "gz", "gz(cut)", "le", "bz2", "xz", "zst", "lz4"))


def info(corpus, names):
    out = {}
    for i in range(0, len(names), 200):
        part = names[i:i + 200]
        p = subprocess.run(["at-info", "-q", "--json", *part], cwd=corpus,
                           capture_output=True, text=True, check=False)
        if p.returncode not in (0, 1):
            sys.exit(f"at-info: exit {p.returncode}: {p.stderr}")
        for line in p.stdout.splitlines():
            one = json.loads(line)
            out[one["file"]] = one
    return out


def nanoseconds(text):
    try:
        return int(Decimal(text) * 10**9)
    except ArithmeticError:
        return None


def same_time(got, want, scale):
    """Truth is printed to the microsecond or better; compare that far."""
    if want is None or got is None:
        return want is None and got is None
    return abs(int(got) - want) < scale


def differences(row, got):
    if got is None:
        return [("read", "not read")]
    out = []
    if row["packets"] and int(row["packets"]) != got["packets"]:
        out.append(("packets", f"{got['packets']}, truth {row['packets']}"))
    if row["wire_bytes"].isdigit() and int(
            row["wire_bytes"]) != got["wire_bytes"]:
        out.append(("wire_bytes",
                    f"{got['wire_bytes']}, truth {row['wire_bytes']}"))
    for key in ("first", "last"):
        text = row[key + "_ts"]
        want = nanoseconds(text) if text not in ("", "n/a") else None
        scale = 10**9 // 10**len(text.partition(".")[2]) if want else 1
        if want is not None and not same_time(got[key], want, scale):
            out.append((key, f"{got[key]}, truth {text}"))
    return out


def main():
    corpus, exceptions = sys.argv[1:3]
    formats = {r["file"]: r["format"]
               for r in rows(os.path.join(corpus, "MANIFEST.tsv"))}
    truth = [r for r in rows(os.path.join(corpus, "GROUND_TRUTH.tsv"))
             if comparable(formats[r["file"]])]
    known = {}
    for r in rows(exceptions):
        known.setdefault(r["file"], {})[r["field"]] = r["reason"]
    got = info(corpus, [r["file"] for r in truth])
    bad = same = 0
    for r in truth:
        diff = dict(differences(r, got.get(r["file"])))
        want = known.get(r["file"], {})
        for field in sorted(set(diff) ^ set(want)):
            bad += 1
            print(f"{r['file']}: {field}: {diff.get(field, 'agrees now')} "
                  f"[{r['status']}, usable {r['usable']}] {r['message']}")
        same += not diff
    print(f"{len(truth)} captures, {same} agree, "
          f"{len(truth) - same} listed or not, {bad} unexplained")
    return 1 if bad or not truth else 0


if __name__ == "__main__":
    sys.exit(main())
