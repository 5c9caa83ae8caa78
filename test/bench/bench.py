"""The benchmark behind test/bench/run; see there, and BENCHMARKS.md.

A contest is a group of whole commands that do the same work: ours first, then
the peers.  Each runs once unmeasured, which warms the page cache and gives
the outcome (a number of packets) that must be the same for all.  Then they
take turns, A B C A B C, so that what else the machine does meets all alike.
"""
import atexit
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys

import replay

AT_BIN = os.environ["AT_BIN"]
SYNTH = os.environ["SYNTH"]
MEASURE = os.path.join(os.environ["BUILD"], "test/bench/measure")
RUNS = int(os.environ["BENCH_RUNS"])
PACKETS = os.environ["BENCH_PACKETS"]
WHOLE = os.environ["BENCH_WHOLE"]
ARCHIVE = os.environ["BENCH_ARCHIVE"]
DIR = os.path.abspath(os.environ["BENCH_DIR"])
WORK = os.path.join(DIR, "work")  # ours alone, removed at the end

SECTIONS = ["count", "stats", "convert", "merge", "split", "anon", "index",
            "ingest", "query", "archive", "replay"]
COLUMNS = ["section", "workload", "tool", "outcome", "wall_s", "wall_min_s",
           "wall_max_s", "cpu_s", "rss_mib", "output_mb", "wall_ratio",
           "cpu_ratio"]


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def path(name):
    return os.path.join(WORK, name)


def remove(name):
    if os.path.isdir(path(name)):
        shutil.rmtree(path(name))
    elif os.path.lexists(path(name)):
        os.remove(path(name))


def program(name):
    """Where 'name' is: ours among what was built, else in PATH; or None."""
    if name.startswith("at-"):
        ours = os.path.join(AT_BIN, name)
        return ours if os.access(ours, os.X_OK) else None
    return shutil.which(name)


def size_of(name):
    """Bytes of a file, or of all the files of a folder."""
    if not os.path.isdir(path(name)):
        return os.path.getsize(path(name))
    return sum(os.path.getsize(os.path.join(base, f))
               for base, _, files in os.walk(path(name)) for f in files)


# ---- outcomes: how many packets a command dealt with

def number(pattern, text):
    found = re.search(pattern, text, re.MULTILINE)
    return int(found.group(1).replace(",", "")) if found else None


def output_of(argv):
    return subprocess.run([program(argv[0])] + argv[1:], cwd=WORK, text=True,
                          capture_output=True, check=False).stdout


def said(pattern):
    """The number that 'pattern' finds in what the command printed."""
    def outcome(command):
        return number(pattern, command.said)
    return outcome


def packets_of(name):
    """The packets of the file that the command wrote, counted by a peer."""
    def outcome(command):
        if program("capinfos"):
            return number(r"packets:\s*(\d+)",
                          output_of(["capinfos", "-c", "-M", name]))
        return counted_by_us(name)(command)
    return outcome


def counted_by_us(name):
    """The packets of a file that no peer here can read."""
    def outcome(_):
        return number(r"(\d+)", output_of(["at-info", "-q", "-c", name]))
    return outcome


def packets_of_archive(name):
    """How many packets a query for all of them would write."""
    def outcome(_):
        if program("at-query") is None:
            return None
        return number(r"(\d+)", output_of(["at-query", "-q", "--count", "-w",
                                          "-", name]))
    return outcome


def summed(fields):
    """The sum of the last columns of a table, rows of numbers only."""
    def outcome(command):
        rows = (line.replace(",", " ").split()[-fields:]
                for line in command.said.splitlines())
        return sum(int(n) for row in rows for n in row
                   if all(v.isdigit() for v in row))
    return outcome


# ---- commands and their cost

class Command:
    """One side of a contest.

    'argv' is run in the work folder; 'makes' is the file or the folder that
    it writes, removed before each run; a name that ends in / is made again,
    empty, for those that want it so.  'outcome' reads the number of packets.
    """

    def __init__(self, argv, outcome, makes=None, label=None, needs=None):
        self.argv = argv
        self.outcome = outcome
        self.makes = makes
        self.label = label or argv[0]
        self.needs = needs or [argv[0]]
        self.said = ""
        self.costs = []
        self.result = None
        self.output_bytes = None

    def ours(self):
        return self.label.startswith("at-")

    def missing(self):
        return [name for name in self.needs if program(name) is None]

    def prepare(self):
        self.clean()
        if self.makes and self.makes.endswith("/"):
            os.mkdir(path(self.makes))

    def clean(self):
        if self.makes:
            remove(self.makes.rstrip("/"))

    def run(self):
        """Runs it once; returns (wall, cpu, MiB) or None if it failed."""
        self.prepare()
        argv = [program(self.argv[0])] + self.argv[1:]
        with open(path("said"), "wb") as said:
            done = subprocess.run([MEASURE, path("cost")] + argv, cwd=WORK,
                                  stdin=subprocess.DEVNULL, stdout=said,
                                  stderr=subprocess.STDOUT, check=False)
        with open(path("said"), encoding="utf-8", errors="replace") as said:
            self.said = said.read(64 << 20)
        if done.returncode != 0:
            return None
        with open(path("cost"), encoding="ascii") as cost:
            wall, user, system, kib = map(float, cost.read().split())
        return wall, user + system, kib / 1024

    def median(self, which):
        return statistics.median(cost[which] for cost in self.costs)


def warm_up(command):
    """The unmeasured run and its outcome; False if it cannot take part."""
    if command.missing():
        say(f"no {' '.join(command.missing())}: skipped")
        return False
    if command.run() is None:
        last = (command.said.strip().splitlines() or ["no message"])[-1]
        say(f"{command.label} failed: {last}")
        return False
    command.result = command.outcome(command)
    if command.makes:
        command.output_bytes = size_of(command.makes)
        command.clean()
    return True


class Report:
    """Rows for people on standard output, for programs in results.tsv."""

    def __init__(self):
        self.tsv = open(os.path.join(DIR, "results.tsv"), "w",
                        encoding="utf-8")
        self.tsv.write("\t".join(COLUMNS) + "\n")

    def section(self, name):
        print(f"\n{name:<34} {'tool':<16} {'wall s':>8} {'cpu s':>8} "
              f"{'rss MiB':>8} {'out MB':>8} {'wall':>7} {'cpu':>7}",
              flush=True)

    def contest(self, section, workload, commands, same):
        base = commands[0] if commands[0].ours() else None
        for command in commands:
            self.row(section, workload, command, base)
        for command in commands[1:] if same else []:
            if command.result != commands[0].result:
                self.disagree(commands[0], command)
        sys.stdout.flush()
        self.tsv.flush()

    def disagree(self, first, other):
        def text(n):
            return "no number" if n is None else f"{n:,}"
        print(f"    ! {other.label} says {text(other.result)}, "
              f"{first.label} {text(first.result)}")

    def row(self, section, workload, command, base):
        wall, cpu, rss = (command.median(i) for i in range(3))
        walls = [cost[0] for cost in command.costs]
        size = ("" if command.output_bytes is None
                else f"{command.output_bytes / 1e6:.1f}")
        ratios = ["", ""]
        if base is not None and command is not base:
            ratios = [f"{wall / base.median(0):.2f}",
                      f"{cpu / max(base.median(1), 0.001):.2f}"]
        title = workload if command is base or base is None else ""
        print(f"  {title:<32} {command.label:<16} {wall:8.3f} {cpu:8.3f} "
              f"{rss:8.1f} {size:>8} {ratios[0]:>7} {ratios[1]:>7}")
        result = "" if command.result is None else str(command.result)
        self.tsv.write("\t".join([
            section, workload, command.label, result, f"{wall:.4f}",
            f"{min(walls):.4f}", f"{max(walls):.4f}", f"{cpu:.4f}",
            f"{rss:.1f}", size] + ratios) + "\n")

    def close(self):
        self.tsv.close()


def contest(report, section, workload, commands, same=True):
    """Runs a contest, ours first; 'same': the outcomes have to agree."""
    commands = [c for c in commands if warm_up(c)]
    os.sync()  # what was written before is nobody's time
    for _ in range(RUNS):
        for command in commands:
            cost = command.run()
            if cost is None:
                sys.exit(f"bench: {command.label} failed after a first "
                         f"success: {command.said[-200:]}")
            command.costs.append(cost)
            command.clean()
    if commands:
        report.contest(section, workload, commands, same)


# ---- the traces

def must(argv, stdout=None):
    """A step without which there is nothing to measure."""
    done = subprocess.run(argv, cwd=WORK, stdout=stdout,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: {argv[0]} failed: "
                 + done.stderr.decode("utf-8", "replace").strip())


def make_traces():
    """The same packets as ERF and pcap, and the ERF as others gzip it (one
    member, no way in) and as at-convert does (BGZF)."""
    for name in ("trace.erf", "trace.pcap"):
        must([SYNTH, "-n", PACKETS, "--snap", "96", name])
    must([SYNTH, "-n", WHOLE, "whole.erf"])
    with open(path("trace-gzip.erf.gz"), "wb") as packed:
        must(["gzip", "-1", "-c", "trace.erf"], stdout=packed)
    for codec, name in (("bgzf", "trace-bgzf.erf.gz"),
                        ("zstd", "trace.erf.zst")):
        must([program("at-convert"), "-q", "-Z", codec, "trace.erf", name])


def choose_client():
    """A client with little traffic: who sent the first SYN over IPv4."""
    if program("tcpdump") is None:
        return BUSY_HOST
    text = output_of(["tcpdump", "-nn", "-q", "-c", "1", "-r", "trace.pcap",
                      "src net 10.0.0.0/8 and tcp[13] = 2"])
    found = re.search(r"IP (\d+\.\d+\.\d+\.\d+)\.\d+ >", text)
    return found.group(1) if found else BUSY_HOST


# ---- the sections

PLAIN = [("ERF", "trace.erf"), ("pcap", "trace.pcap"),
         ("ERF, foreign .gz", "trace-gzip.erf.gz"),
         ("ERF, BGZF", "trace-bgzf.erf.gz"),
         ("ERF, zstd", "trace.erf.zst")]
BUSY_HOST = "198.18.0.1"  # the first of the Zipf-distributed servers
ABSENT_HOST = "203.0.113.77"


def access_points():
    """The foreign .gz once more, with the index that at-index makes of it."""
    if not os.path.exists(path("indexed.erf.gz")):
        os.link(path("trace-gzip.erf.gz"), path("indexed.erf.gz"))
        must([program("at-index"), "-q", "indexed.erf.gz"])
    return "ERF, foreign .gz, indexed", "indexed.erf.gz"


def bench_count(report):
    for title, name in PLAIN + [access_points()]:
        uri = ("pcapfile:" if name.endswith(".pcap") else "erf:") + name
        commands = [Command(["at-info", "-q", "-c", name], said(r"(\d+)"))]
        if not name.endswith(".zst"):  # no peer reads many frames
            commands += [
                Command(["capinfos", "-c", "-M", name],
                        said(r"packets:\s*(\d+)")),
                Command(["tracestats", uri],
                        said(r"Accepted Packets:\s*(\d+)")),
            ]
        if name.endswith(".pcap"):
            commands.append(Command(["tcpdump", "--count", "-r", name],
                                    said(r"^(\d+) packets")))
        contest(report, "count", title, commands)


FILTERS = ["tcp", "udp", "port 53"]


def bench_stats(report):
    """Counters of three filters; then the same by one thread and by two."""
    all_of_csv = said(r",all,(\d+)")
    for title, name in PLAIN + [access_points()]:
        uri = ("pcapfile:" if name.endswith(".pcap") else "erf:") + name
        ours = ["at-stats", "-q", "--format", "csv", name] + FILTERS
        commands = [Command(ours, all_of_csv)]
        if not name.endswith(".zst"):
            theirs = ["tracestats"]
            for expression in FILTERS:
                theirs += ["-f", expression]
            commands.append(Command(theirs + [uri],
                                    said(r"Accepted Packets:\s*(\d+)")))
        contest(report, "stats", title, commands)
    for title, name in (("BGZF, 1 and 2 threads", "trace-bgzf.erf.gz"),
                        ("zstd, 1 and 2 threads", "trace.erf.zst")):
        contest(report, "stats", title, [
            Command(["at-stats", "-q", f"-j{n}", "--format", "csv", name] +
                    FILTERS, all_of_csv, label=f"at-stats -j{n}")
            for n in (2, 1)])
    contest(report, "stats", "hosts with most bytes", [
        Command(["at-top", "-k", "host", "--format", "csv", "trace.erf"],
                said(r"([\d,]+) packets")),
        Command(["traceends", "-A", "v4", "erf:trace.erf"],
                lambda command: None)], same=False)
    contest(report, "stats", "all sections of a report", [
        Command(["at-report", "--format", "csv", "trace.erf"],
                said(r"([\d,]+) packets")),
        Command(["tracereport", "erf:trace.erf"], lambda command: None)],
        same=False)


def bench_convert(report):
    contest(report, "convert", "ERF -> ns pcap", [
        Command(["at-convert", "-q", "trace.erf", "a.pcap"],
                packets_of("a.pcap"), "a.pcap"),
        Command(["editcap", "-F", "nsecpcap", "-T", "ether", "trace.erf",
                 "b.pcap"], packets_of("b.pcap"), "b.pcap"),
        Command(["tracesplit", "erf:trace.erf", "pcapfile:c.pcap"],
                packets_of("c.pcap"), "c.pcap"),
        # It has no way to leave the compression out.
        Command(["traceconvert", "erf:trace.erf", "pcapfile:d.pcap"],
                packets_of("d.pcap"), "d.pcap", "traceconvert (gz)"),
    ])
    contest(report, "convert", "ERF -> gzip", [
        Command(["at-convert", "-q", "-Z", "gzip", "trace.erf", "a.erf.gz"],
                packets_of("a.erf.gz"), "a.erf.gz"),
        Command(["at-convert", "-q", "-Z", "bgzf", "trace.erf",
                 "d.erf.gz"], packets_of("d.erf.gz"), "d.erf.gz",
                "at-convert bgzf"),
        Command(["sh", "-c", "gzip -6 -c trace.erf >b.erf.gz"],
                packets_of("b.erf.gz"), "b.erf.gz", "gzip -6", ["gzip"]),
        Command(["sh", "-c", "pigz -6 -p2 -c trace.erf >c.erf.gz"],
                packets_of("c.erf.gz"), "c.erf.gz", "pigz -6 -p2", ["pigz"]),
    ])
    contest(report, "convert", "ERF -> gzip, whole packets", [
        Command(["at-convert", "-q", "-Z", "gzip", "whole.erf", "a.erf.gz"],
                packets_of("a.erf.gz"), "a.erf.gz"),
        Command(["at-convert", "-q", "-Z", "bgzf", "whole.erf",
                 "d.erf.gz"], packets_of("d.erf.gz"), "d.erf.gz",
                "at-convert bgzf"),
        Command(["sh", "-c", "pigz -6 -p2 -c whole.erf >c.erf.gz"],
                packets_of("c.erf.gz"), "c.erf.gz", "pigz -6 -p2", ["pigz"]),
    ])
    contest(report, "convert", "ERF -> zstd", [
        Command(["at-convert", "-q", "trace.erf", "a.erf.zst"],
                counted_by_us("a.erf.zst"), "a.erf.zst"),
        Command(["zstd", "-q", "-T2", "-3", "trace.erf", "-o", "b.erf.zst"],
                counted_by_us("b.erf.zst"), "b.erf.zst", "zstd -3 -T2"),
    ])
    contest(report, "convert", "foreign .erf.gz -> BGZF", [
        Command(["at-convert", "-q", "trace-gzip.erf.gz", "a.erf.gz"],
                packets_of("a.erf.gz"), "a.erf.gz"),
        Command(["sh", "-c", "zcat trace-gzip.erf.gz | pigz -6 -p2 "
                 ">c.erf.gz"], packets_of("c.erf.gz"), "c.erf.gz",
                "zcat | pigz", ["pigz"]),
    ])
    expression = f"host {BUSY_HOST} and tcp"
    contest(report, "convert", f"pcap, {expression}", [
        Command(["at-convert", "-q", "-f", expression, "trace.pcap",
                 "a.pcap"], packets_of("a.pcap"), "a.pcap"),
        Command(["tcpdump", "--nano", "-r", "trace.pcap", "-w", "b.pcap",
                 expression], packets_of("b.pcap"), "b.pcap"),
    ])


MERGED = 8  # inputs


def inputs(suffix):
    return [f"part{i}.{suffix}" for i in range(MERGED)]


def merge_inputs():
    """Traces of as many packets as the others in all, side by side in time."""
    each = counted_by_us("trace.erf")(None) // MERGED
    for i, name in enumerate(inputs("erf")):
        must([SYNTH, "-n", str(each), "-s", str(i + 2), "--snap", "96", name])
        with open(path(name + ".gz"), "wb") as packed:
            must(["gzip", "-1", "-c", name], stdout=packed)


def bench_merge(report):
    merge_inputs()
    for title, suffix in (("8 of ERF -> ERF", "erf"),
                          ("8 of foreign .erf.gz -> ERF", "erf.gz")):
        uris = ["erf:" + name for name in inputs(suffix)]
        contest(report, "merge", title, [
            Command(["at-merge", "-q", "-o", "a.erf"] + inputs(suffix),
                    packets_of("a.erf"), "a.erf"),
            Command(["tracemerge", "erf:b.erf"] + uris, packets_of("b.erf"),
                    "b.erf"),
            Command(["mergecap", "-F", "nsecpcap", "-w", "c.pcap"]
                    + inputs(suffix), packets_of("c.pcap"), "c.pcap"),
        ])
    uris = ["erf:" + name for name in inputs("erf.gz")]
    contest(report, "merge", "8 of .erf.gz -> .erf.gz", [
        Command(["at-merge", "-q", "-o", "a.erf.gz"] + inputs("erf.gz"),
                packets_of("a.erf.gz"), "a.erf.gz"),
        Command(["tracemerge", "-z", "6", "-Z", "gzip", "erf:b.erf.gz"]
                + uris, packets_of("b.erf.gz"), "b.erf.gz"),
        Command(["sh", "-c", "mergecap -F nsecpcap -w - part*.erf.gz | "
                 "gzip -6 >c.pcap.gz"], packets_of("c.pcap.gz"), "c.pcap.gz",
                "mergecap | gzip", ["mergecap"]),
    ])


def bench_anon(report):
    """Both addresses by Crypto-PAn, all else kept, as traceanon does it; and
    what at-anon does unless told otherwise."""
    for name, text in (("key", "abcdefghijklmnopqrstuvwxyz012345"),
                       ("kept", "payload = keep\nmac = keep\n")):
        with open(path(name), "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(path(name), 0o600)
    ours = ["at-anon", "-q", "--key", "key"]
    theirs = ["traceanon", "-s", "-d", "-f", "key"]
    contest(report, "anon", "ERF -> ERF", [
        Command(ours + ["--policy", "kept", "trace.erf", "a.erf"],
                packets_of("a.erf"), "a.erf"),
        Command(theirs + ["erf:trace.erf", "erf:b.erf"], packets_of("b.erf"),
                "b.erf"),
        Command(ours + ["trace.erf", "c.erf"], packets_of("c.erf"), "c.erf",
                "at-anon (headers)"),
    ])
    contest(report, "anon", ".erf.gz -> .erf.gz", [
        Command(ours + ["--policy", "kept", "trace-gzip.erf.gz", "a.erf.gz"],
                packets_of("a.erf.gz"), "a.erf.gz"),
        Command(theirs + ["-z", "6", "-Z", "gzip", "erf:trace-gzip.erf.gz",
                          "erf:b.erf.gz"], packets_of("b.erf.gz"), "b.erf.gz"),
    ])


def packets_of_pieces(folder):
    """The packets of all pieces in a folder."""
    def outcome(_):
        names = sorted(os.path.join(folder, name)
                       for name in os.listdir(path(folder)))
        return sum(int(line.split()[0]) for line in
                   output_of(["at-info", "-q", "-c"] + names).splitlines())
    return outcome


def bench_split(report):
    each = str(max(1, counted_by_us("trace.erf")(None) // 50))
    contest(report, "split", "ERF -> 50 of ERF, by count", [
        Command(["at-split", "-q", "-c", each, "-o", "a/p-{n}.erf",
                 "trace.erf"], packets_of_pieces("a"), "a/"),
        Command(["tracesplit", "-c", each, "erf:trace.erf", "erf:b/p"],
                packets_of_pieces("b"), "b/"),
        Command(["editcap", "-F", "nsecpcap", "-c", each, "trace.erf",
                 "c/p.pcap"], packets_of_pieces("c"), "c/"),
    ])
    contest(report, "split", ".erf.gz -> 50 of .erf.gz", [
        Command(["at-split", "-q", "-c", each, "-o", "a/p-{n}.erf.gz",
                 "trace-gzip.erf.gz"], packets_of_pieces("a"), "a/"),
        Command(["tracesplit", "-z", "6", "-Z", "gzip", "-c", each,
                 "erf:trace-gzip.erf.gz", "erf:b/p"], packets_of_pieces("b"),
                "b/"),
    ])


NFPCAPD = ["nfpcapd", "-r", "trace.pcap", "-w", "flows"]


def nfpcapd():
    return Command(NFPCAPD, said(r"Total: Processed: (\d+)"), "flows/")


def bench_index(report):
    for title, name in PLAIN:
        contest(report, "index", title, [
            Command(["at-index", "-o", "a.idx", name],
                    said(r": ([\d,]+) packets"), "a.idx"),
            nfpcapd(),
        ])


def bench_ingest(report):
    both = ("nfpcapd -r trace.pcap -w flows & "
            "pigz -6 -p2 -c trace.erf >flows/trace.erf.gz; wait")
    for title, name in PLAIN:
        contest(report, "ingest", title, [
            Command(["at-ingest", "--flush", "archive", name],
                    packets_of_archive("archive"), "archive"),
            Command(["sh", "-c", both], said(r"Total: Processed: (\d+)"),
                    "flows/", "nfpcapd + pigz", ["nfpcapd", "pigz"]),
        ])


def ask_packets(report, title, expression):
    contest(report, "query", f"packets, {title}", [
        Command(["at-query", "-q", "-w", "a.pcap", "archive", expression],
                packets_of("a.pcap"), "a.pcap"),
        Command(["tcpdump", "--nano", "-r", "trace.pcap", "-w", "b.pcap",
                 expression], packets_of("b.pcap"), "b.pcap"),
    ])


def ask_flows(report, title, expression):
    contest(report, "query", f"flows, {title}", [
        Command(["at-query", "-q", "--format", "csv", "--fields",
                 "packets_out,packets_in", "archive", expression], summed(2)),
        Command(["nfdump", "-R", "flows", "-q", "-o", "fmt:%pkt", expression],
                summed(1)),
    ])


def bench_query(report):
    if program("at-ingest") is None or program("at-query") is None:
        say("no at-ingest or at-query: queries skipped")
        return
    must([program("at-ingest"), "-q", "--flush", "archive", "trace.erf"])
    if program("nfpcapd"):
        os.makedirs(path("flows"))
        must(NFPCAPD)
    client = choose_client()
    ask_packets(report, "a client", f"host {client}")
    ask_packets(report, "a busy server", f"host {BUSY_HOST}")
    ask_packets(report, "an absent host", f"host {ABSENT_HOST}")
    ask_packets(report, "a port", "port 993")
    contest(report, "query", "number of flows, all", [
        Command(["at-query", "-q", "--count", "archive"], said(r"(\d+)")),
        Command(["nfdump", "-R", "flows", "-q", "-I"], said(r"Flows: (\d+)")),
    ], same=False)
    ask_flows(report, "a client", f"host {client}")
    ask_flows(report, "a busy server", f"host {BUSY_HOST}")
    ask_flows(report, "an absent host", f"host {ABSENT_HOST}")


# ---- an archive of many segments

SEGMENT_SECONDS = 40  # at 100,000 packets a second


def make_archive(name, packets):
    """An archive of so many packets; a larger one begins like a smaller."""
    must([SYNTH, "-n", packets, "--snap", "96", f"{name}.erf"])
    return Command(["at-ingest", "--flush", "--rotate", f"{SEGMENT_SECONDS}s",
                    name, f"{name}.erf"], said(r": ([\d,]+) packets"), None,
                   f"at-ingest {packets}")


def ingest_once(report, commands):
    """Once each, as what they make is asked afterwards."""
    for command in commands:
        cost = command.run()
        if cost is None:
            sys.exit(f"bench: {command.label} failed: {command.said[-200:]}")
        command.costs.append(cost)
        command.result = command.outcome(command)
        command.output_bytes = size_of(command.argv[4])
    report.contest("archive", "ingest, from plain ERF", commands, False)


def find_host(name, packets):
    """The host of an archive with about so many packets."""
    rows = output_of(["at-query", "-q", "--format", "csv", "--top",
                      "1000000:host", name, "net 10.0.0.0/8"])
    rows = [row.split(",") for row in rows.splitlines()]
    at = rows[0].index("packets")
    return min(rows[1:], key=lambda row: abs(int(row[at]) - packets))[0]


def segments_of(name):
    return sorted(os.path.join(base, f)
                  for base, _, files in os.walk(path(name)) for f in files
                  if f.endswith(".erf.gz"))


def dropped_caches(argv):
    """The command with nothing of any file in memory."""
    text = "sync; echo 3 >/proc/sys/vm/drop_caches; exec \"$@\""
    return ["sh", "-c", text, "sh", program(argv[0])] + argv[1:]


def ask(title, name, *words):
    return Command(["at-query", "-q", "-w", "a.erf", name] + list(words),
                   counted_by_us("a.erf"), "a.erf", title)


def bench_archive(report):
    ingest_once(report, [make_archive("small", PACKETS),
                         make_archive("large", ARCHIVE)])
    must([program("at-convert"), "-q", "large.erf", "large.pcap"])
    remove("large.erf")
    host = find_host("large", 200)
    ours = ["at-query", "-q", "-w", "a.pcap", "large", f"host {host}"]
    theirs = ["tcpdump", "--nano", "-r", "large.pcap", "-w", "b.pcap",
              f"host {host}"]
    contest(report, "archive", "a host of 200 packets", [
        Command(ours, packets_of("a.pcap"), "a.pcap"),
        Command(theirs, packets_of("b.pcap"), "b.pcap")])
    if os.access("/proc/sys/vm/drop_caches", os.W_OK):
        contest(report, "archive", "the same, no caches", [
            Command(dropped_caches(ours), packets_of("a.pcap"), "a.pcap",
                    "at-query", ["at-query"]),
            Command(dropped_caches(theirs), packets_of("b.pcap"), "b.pcap",
                    "tcpdump", ["tcpdump"])])
    bench_archive_questions(report, host)
    bench_archive_scans(report)


def bench_archive_questions(report, host):
    end = ["--to", "2026-01-01T00:00:20Z"]
    early = f"host {find_host('small', 200)}"
    contest(report, "archive", "an absent host", [
        ask("at-query", "large", f"host {ABSENT_HOST}")])
    contest(report, "archive", "the same of small and large", [
        ask("at-query large", "large", *end, early),
        ask("at-query small", "small", *end, early)])
    for title, words in (("a /16", "net 10.3.0.0/16"),
                         ("a server port", "port 993"),
                         ("an application", "app dns")):
        contest(report, "archive", title, [ask("at-query", "large", words)])
        rows = output_of(["at-query", "--explain", "--json", "large", words])
        say(f"{title}: {rows.splitlines()[-1]}")
    contest(report, "archive", "replay of a host, first packet", [
        Command(["at-replay", "-q", "--top-speed", "--limit", "1", "-o",
                 "a.pcap", "-f", f"host {host}", "large"], packets_of("a.pcap"),
                "a.pcap")])


def bench_archive_scans(report):
    half = "tcp port 443 or udp"
    contest(report, "archive", f"dense: {half}", [
        ask("at-query", "large", half),
        Command(["at-convert", "-q", "--sequence", "-f", half]
                + segments_of("large") + ["b.erf"], counted_by_us("b.erf"),
                "b.erf")])
    commands = [
        Command(["at-query", "-q", "--top", "10:host", "large"],
                lambda _: None),
        Command(["at-query", "-q", "--format", "csv", "large"],
                lambda _: None, label="at-query csv")]
    if program("nfpcapd"):
        os.makedirs(path("flows"))
        must(["nfpcapd", "-r", "large.pcap", "-w", "flows"])
        commands.append(Command(["nfdump", "-R", "flows", "-q", "-s", "ip",
                                 "-n", "10"], lambda _: None))
    contest(report, "archive", "hosts with most, by flows", commands, False)


# ---- the machine

def bench_replay(_):
    """Its own table: what counts is when packets arrive."""
    ours = program("at-replay")
    if os.geteuid() != 0 or not all(map(program, ("ip", "tcpdump", ours))):
        say("replay: needs root, ip and tcpdump")
        return
    for row in replay.measure(ours, 20000, int(os.environ.get(
            "BENCH_REPLAY_SECONDS", "30"))):
        say(row)


def first_line(argv, pattern):
    if program(argv[0]) is None:
        return f"no {argv[0]}"
    done = subprocess.run([program(argv[0])] + argv[1:], capture_output=True,
                          check=False, text=True)
    found = re.search(pattern, done.stdout + done.stderr)
    return f"{argv[0]} {found.group(1)}" if found else argv[0]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        cpu = re.search(r"model name\s*: (.*)", info.read())
    print(f"machine: {cpu.group(1) if cpu else os.uname().machine}, "
          f"{len(os.sched_getaffinity(0))} processors, "
          f"Linux {os.uname().release}")
    version = r"([0-9]+\.[0-9.]+)"
    print("peers:   " + ", ".join([
        first_line(["capinfos", "--version"], version),
        first_line(["tracestats", "-H"], r"libtrace " + version),
        first_line(["tcpdump", "--version"], version),
        first_line(["nfdump", "-V"], r"Version: \S*?" + version),
        first_line(["pigz", "-V"], version),
        first_line(["gzip", "-V"], version)]))
    print(f"trace:   {PACKETS} packets, at most 96 bytes of each; "
          f"median of {RUNS}, ratios are peer / ours", flush=True)


def clean_up():
    shutil.rmtree(WORK, ignore_errors=True)


def main():
    wanted = sys.argv[1:] or SECTIONS
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown or RUNS < 1:
        sys.exit(f"usage: run [{'|'.join(SECTIONS)}] ...; BENCH_RUNS from 1")
    clean_up()
    os.makedirs(WORK)
    atexit.register(clean_up)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    machine()
    make_traces()
    report = Report()
    for section in SECTIONS:
        if section in wanted:
            report.section(section)
            globals()[f"bench_{section}"](report)
    report.close()


if __name__ == "__main__":
    main()
