#!/usr/bin/env python3
"""Write the files that the servers of record.sh hand out.

usage: make_site.py DIRECTORY

They are words of this list in random order, or random bytes, from a fixed
seed; nothing in them is anybody else's.
"""
import json
import os
import random
import sys

WORDS = """archive block capture clock flow frame host index interface label
ledger link meter network octet packet port query record router sample
segment server stream switch table trace tunnel wire window""".split()

rng = random.Random(20260301)


def text(size):
    out = []
    while sum(map(len, out)) < size:
        line = " ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 12)))
        out.append(line + ".\n")
    return "".join(out)[:size].encode()


def page(title, size, links):
    head = f"<!DOCTYPE html>\n<title>{title}</title>\n<h1>{title}</h1>\n"
    head += "".join(f'<a href="/{x}">{x}</a>\n' for x in links)
    body = text(size).decode().replace(".\n", ".<p>\n")
    return (head + body).encode()


def readings(n):
    rows = [{"n": i, "name": rng.choice(WORDS), "value": rng.random()}
            for i in range(n)]
    return json.dumps(rows, indent=1).encode()


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__.split("\n")[2])
    names = ["style.css", "report.txt", "readings.json", "photo.bin"]
    files = {
        "index.html": page("Lab", 4000, names),
        "news.html": page("News of the lab", 18000, names[:1]),
        "style.css": text(14000),
        "report.txt": text(180000),
        "readings.json": readings(1200),
        "photo.bin": rng.randbytes(70000),
        "small.bin": rng.randbytes(9000),
        "shared.bin": rng.randbytes(300000),
        "letter.txt": text(6000),
        "upload.bin": rng.randbytes(60000),
        "empty.txt": b"",
    }
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in files.items():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
