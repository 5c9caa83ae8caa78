#!/usr/bin/env bats
# at-stats as a user meets it, and beside tshark

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    DATA=$TEST_DATA
}

# Packets and bytes of each second, by test/records.py, which is not ours.
seconds() { # file
    records "$1" | awk '{ s = substr($1, 1, length($1) - 9)
                          n[s]++; wire[s] += $3; cap[s] += $2 }
                        END { for (s in n) print s, n[s], wire[s], cap[s] }' |
        sort -n
}

# The same out of our CSV, without the intervals that hold nothing.
counted() {
    python3 -c '
import csv, datetime, sys
for r in csv.DictReader(sys.stdin):
    if r["filter"] == "all" and int(r["packets"]):
        t = datetime.datetime.fromisoformat(r["start"][:19] + "+00:00")
        print(int(t.timestamp()), r["packets"], r["wire_bytes"],
              r["captured_bytes"])'
}

@test "stats: a line for all packets and one for each expression" {
    run --separate-stderr at-stats --format csv "$DATA/lan.pcap" tcp \
        'udp port 53'
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = start,end,filter,packets,percent,wire_bytes,captured_bytes,losses ]
    [[ "${lines[1]}" == 2026-*Z,2026-*Z,all,64,100.00,11136,11136,0 ]]
    [[ "${lines[2]}" == *,tcp,18,28.13,6288,6288, ]]
    [[ "${lines[3]}" == *",udp port 53,4,6.25,344,344," ]]
    [ "${#lines[@]}" -eq 4 ]
    [[ "$stderr" == "at-stats: 64 packets, 11.1 kB in "* ]]
    at-stats -q --format csv -e tcp -e 'udp port 53' "$DATA/lan.pcap" >e
    diff e <(printf '%s\n' "${lines[@]}")
}

@test "stats: the counts of an expression are those of tcpdump's filter" {
    need tcpdump
    for f in dns http ipv6 icmp vlan bulk-s96; do
        for e in 'tcp' 'udp and port 53' 'ip6' 'greater 1000' 'vlan'; do
            tcpdump_filtered "$DATA/$f.pcap" want.pcap "$e"
            n=$(at-info -q -c want.pcap | grep -oE '^[0-9]+')
            got=$(at-stats -q --bpf --format csv "$DATA/$f.pcap" "$e" |
                tail -n 1 | cut -d, -f4)
            [ "$n" = "$got" ] || { echo "$f, $e: $got, tcpdump $n"; false; }
        done
    done
}

@test "stats: intervals are those of the clock, and each packet in its own" {
    for f in bulk-s96 dns lan ssh; do
        seconds "$DATA/$f.pcap" >want
        at-stats -q -i 1s --format csv "$DATA/$f.pcap" | counted >got
        [ -s want ]
        diff want got
    done
    at-stats -q -i 7s --format csv "$DATA/dns.pcap" | tail -n +2 >rows
    [ "$(cut -d, -f2 rows | head -n -1)" = "$(cut -d, -f1 rows | tail -n +2)" ]
}

@test "stats: packets out of order are counted in the interval of their time" {
    at-convert -q "$DATA/ssh.pcap" "$DATA/bulk-s96.pcap" whole.erf
    # the later half before the earlier one
    python3 - whole.erf swapped.erf <<'END'
import struct, sys
data, at, recs = open(sys.argv[1], "rb").read(), 0, []
while at < len(data):
    n, = struct.unpack_from(">H", data, at + 10)
    recs.append(data[at:at + n])
    at += n
h = len(recs) // 2
open(sys.argv[2], "wb").write(b"".join(recs[h:] + recs[:h]))
END
    at-stats -q -i 1s --lines 0 --format csv whole.erf tcp >want
    at-stats -q -i 1s --lines 0 --format csv swapped.erf tcp >got
    diff want got
    [ "$(wc -l <got)" -gt 10 ]
}

@test "stats: an interval without packets has its zeros" {
    at-stats -q -i 1m --format csv "$DATA/lan.pcap" "$DATA/http.pcap" >rows
    [ "$(grep -c 'all,0,,0,0,0$' rows)" -eq 20 ]
    [ "$(wc -l <rows)" -eq 23 ] # names, 09:00 to 09:21
}

@test "stats: a packet with a wrong time does not ask for a line a second" {
    # the times of ERF begin each record: one of them 60 years later
    at-convert -q -n 20 "$DATA/lan.pcap" x.erf
    python3 - x.erf <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
n, = struct.unpack_from(">H", data, 10)
ts, = struct.unpack_from("<Q", data, n)
struct.pack_into("<Q", data, n, ts + (60 * 365 * 86400 << 32))
open(sys.argv[1], "wb").write(data)
END
    run --separate-stderr timeout 20 at-stats -i 1s --format csv x.erf
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -lt 100 ]
    [[ "$stderr" == *" intervals without packets got no line (--lines)"* ]]
    [[ "${lines[-1]}" == 2086-*,all,1,100.00,* ]]
    run --separate-stderr at-stats -i 10000d --format csv x.erf
    [ "${#lines[@]}" -eq 4 ] # one between them, of zeros
}

@test "stats: --every counts so many packets, to the packet" {
    at-stats -q -c 100 --format csv "$DATA/http.pcap" tcp >rows
    n=$(at-info -q -c "$DATA/http.pcap" | grep -oE '^[0-9]+')
    [ "$(grep -c ',all,100,' rows)" -eq $((n / 100)) ]
    [ "$(grep ',all,' rows | tail -n 1 | cut -d, -f4)" -eq $((n % 100)) ]
    at-stats -q --format csv "$DATA/http.pcap" tcp | tail -n 1 |
        cut -d, -f4 >want
    grep ',tcp,' rows | awk -F, '{ n += $4 } END { print n }' | diff want -
}

@test "stats: --by-input has the counts of each, and they are those alone" {
    at-stats -q --by-input --format csv "$DATA"/{lan,dns,http}.pcap udp >rows
    for f in lan dns http; do
        grep -F "$f.pcap" rows | cut -d, -f1,2,4- >got
        at-stats -q --format csv "$DATA/$f.pcap" udp | tail -n +2 | diff got -
    done
}

@test "stats: losses are what the file says was lost" {
    # ERF says so in each record: 3 lost before the second, 5 before the last
    at-convert -q -n 4 "$DATA/lan.pcap" x.erf
    python3 - x.erf <<'END'
import struct, sys
data, at, ats = bytearray(open(sys.argv[1], "rb").read()), 0, []
while at < len(data):
    ats.append(at)
    at += struct.unpack_from(">H", data, at + 10)[0]
struct.pack_into(">H", data, ats[1] + 12, 3)
struct.pack_into(">H", data, ats[3] + 12, 5)
open(sys.argv[1], "wb").write(data)
END
    [[ "$(at-stats -q --format csv x.erf udp | sed -n 2p)" == *,8 ]]
    [[ "$(at-stats -q --format csv x.erf udp | sed -n 3p)" == *, ]]
    [ "$(at-stats -q -c 2 --format csv x.erf | tail -n +2 | cut -d, -f8)" = $'3\n5' ]
}

@test "stats: the same bytes for any number of threads, in every run" {
    "$SYNTH" -n 60k --rate 20k x.erf
    at-convert -q x.erf x.erf.gz
    for how in '' '-i 100ms' '-i 7ms --window 5ms' '-c 1000' '--by-input -i 1s'; do
        for f in x.erf x.erf.gz; do
            # shellcheck disable=SC2086
            for j in 1 2 3 8 8; do
                at-stats -q -j $j $how "$f" "$DATA/lan.pcap" tcp 'port 53' \
                    >$j-got
                cmp 1-got $j-got
            done
        done
    done
    [ -s 1-got ]
}

@test "stats: out of a pipe an interval comes when it is over" {
    "$SYNTH" -n 100k --rate 10k x.erf
    mkfifo in
    at-stats -q -i 1s --format csv - <in >got &
    exec 9>in
    cat x.erf >&9
    for _ in $(seq 100); do
        [ "$(wc -l <got)" -gt 4 ] && break
        sleep 0.1
    done
    [ "$(wc -l <got)" -gt 4 ] # while nothing has ended yet
    exec 9>&-
    wait $!
    at-stats -q -i 1s --format csv x.erf | diff - got
}

@test "stats: --window prints late packets once more, and says so" {
    at-convert -q "$DATA/http.pcap" a.erf
    at-convert -q "$DATA/lan.pcap" b.erf # twenty minutes before
    cat a.erf b.erf >x.erf
    at-stats -q -i 1m --lines 0 --format csv x.erf | counted >want
    run --separate-stderr at-stats -i 100ms --window 200ms --lines 0 \
        --format csv x.erf
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"printed again, for packets that came more than --window too late"* ]]
    printf '%s\n' "${lines[@]}" | counted |
        awk '{ n += $2; b += $3 } END { print n, b }' >got
    awk '{ n += $2; b += $3 } END { print n, b }' want | diff - got
}

@test "stats: inputs may be a directory, a list, a pattern; then expressions" {
    mkdir d
    cp "$DATA"/{lan,dns}.pcap d
    ls d/* >list
    at-stats -q --format csv d/lan.pcap d/dns.pcap 'tcp[13] & 2 != 0' >want
    for inputs in d @list 'd/*.pcap' 'd/lan.pcap d/d*'; do
        set -f
        # shellcheck disable=SC2086
        at-stats -q --format csv $inputs 'tcp[13] & 2 != 0' | diff want -
        set +f
    done
}

@test "stats: selection comes before all counters" {
    at-stats -q -f udp --format csv "$DATA/lan.pcap" tcp >rows
    [[ "$(sed -n 3p rows)" == *,tcp,0,0.00,0,0, ]]
    [ "$(sed -n 2p rows | cut -d, -f4)" = \
        "$(at-stats -q --format csv "$DATA/lan.pcap" udp | tail -n 1 | cut -d, -f4)" ]
    [ "$(at-stats -q -n 5 --format csv "$DATA/lan.pcap" | tail -n 1 | cut -d, -f4)" = 5 ]
    [ "$(at-stats -q -n 0 --format csv "$DATA/lan.pcap" | tail -n 1)" = ',,all,0,,0,0,0' ]
}

@test "stats: JSON is an object a line" {
    need python3
    at-stats -q --json -i 10s "$DATA/lan.pcap" 'tcp port 22' | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert rows[0]["filter"] == "all" and rows[1]["filter"] == "tcp port 22"
assert rows[0]["losses"] == 0 and rows[1]["losses"] is None
assert isinstance(rows[0]["percent"], float) and rows[0]["start"].endswith("Z")'
}

@test "stats: a cut file is counted to its cut, and that is an error" {
    at-convert -q "$DATA/http.pcap" x.erf
    head -c 50000 x.erf >cut.erf
    run --separate-stderr at-stats --format csv cut.erf "$DATA/lan.pcap"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"at-stats: cut.erf: "* ]]
    want=$(at-info -q -c "$DATA/lan.pcap" | grep -oE '^[0-9]+')
    [ "$(cut -d, -f4 <<<"${lines[1]}")" -gt "$want" ]
}

@test "stats: mistakes on the command line" {
    for args in '' 'missing.erf' '-i 1s -c 3 x' '--window 1s x' '-i 0x x' \
        "$DATA/lan.pcap tpc"; do
        # shellcheck disable=SC2086
        run --separate-stderr at-stats $args
        [ "$status" -ne 0 ] || { echo "$args"; false; }
        [ -z "$output" ]
    done
    run --separate-stderr at-stats "$DATA/lan.pcap" tpc
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"'tpc' names no file, and is taken for an expression"* ]]
    run bash -c 'at-stats -q "$DATA/lan.pcap" >/dev/full'
    [ "$status" -eq 1 ]
}

@test "stats: what tshark -z io,stat says, in the corpus" {
    need_corpus
    need python3 tshark editcap
    run python3 "$TOP/test/statistics.py" --every 40 stats "$CORPUS" \
        "$TOP/test/statistics.tsv"
    echo "$output"
    [ "$status" -eq 0 ]
}
