#!/usr/bin/env bats
# at-diff as a user meets it

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# Writes packets START..END of a pcap file, numbered from 1
packets() { # in out start end
    python3 - "$@" <<'END'
import struct, sys
name, out, start, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
data = open(name, "rb").read()
at, n, kept = 24, 0, [data[:24]]
while at < len(data):
    size = 16 + struct.unpack("<I", data[at + 8:at + 12])[0]
    n += 1
    if start <= n <= end:
        kept.append(data[at:at + size])
    at += size
open(out, "wb").write(b"".join(kept))
END
}

# Adds VALUE to a byte of packet N, at OFFSET from its record's beginning
poke() { # file n offset value
    python3 - "$@" <<'END'
import struct, sys
name, n, offset, value = sys.argv[1], *map(int, sys.argv[2:5])
data = bytearray(open(name, "rb").read())
at = 24
for _ in range(n - 1):
    at += 16 + struct.unpack("<I", data[at + 8:at + 12])[0]
data[at + offset] = (data[at + offset] + value) % 256
open(name, "wb").write(data)
END
}

@test "at-diff: the same packets in other clothes are the same" {
    at-convert -q -Z bgzf "$TEST_DATA/http.pcap" b.pcap.gz
    run --separate-stderr at-diff "$TEST_DATA/http.pcap" b.pcap.gz
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [[ "$stderr" == "at-diff: 1,090 packets equal, 0 changed, 0 only in "* ]]
    at-convert -q "$TEST_DATA/http.pcap" c.erf
    at-diff -q "$TEST_DATA/http.pcap" c.erf
    at-diff -q "$TEST_DATA/link.erf" - <"$TEST_DATA/link.erf"
}

@test "at-diff: a changed byte, length and time are named with their place" {
    f=$TEST_DATA/dns.pcap
    cp "$f" byte.pcap && poke byte.pcap 5 $((16 + 20)) 1
    run --separate-stderr at-diff "$f" byte.pcap
    [ "$status" -eq 1 ]
    [ "${lines[0]}" = 'packet 5 | 5: changed' ]
    [[ "${lines[1]}" == '  bytes      from 20: '* ]]
    [ "${#lines[@]}" -eq 2 ]
    cp "$f" wire.pcap && poke wire.pcap 7 12 1
    run --separate-stderr at-diff --json "$f" wire.pcap
    [ "$status" -eq 1 ]
    [[ "$output" == '{"difference":"changed","a":7,"b":7,"facts":["wire"],'* ]]
    cp "$f" time.pcap && poke time.pcap 1 4 3
    run --separate-stderr at-diff "$f" time.pcap
    [ "$status" -eq 1 ]
    [[ "${lines[1]}" == '  time       '*Z' | '*Z ]]
    at-diff -q --tolerance 3us "$f" time.pcap
    at-diff -q --ignore time "$f" time.pcap
    run at-diff -q --ignore bytes,wire "$f" time.pcap
    [ "$status" -eq 1 ]
    [ -z "$output" ]
}

@test "at-diff: packets missing at the beginning, the middle and the end" {
    f=$TEST_DATA/icmp.pcap
    total=$(at-info -c "$f" | cut -f 1)
    packets "$f" head.pcap 3 "$total"
    run --separate-stderr at-diff "$f" head.pcap
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 2 ]
    [[ "${lines[0]}" == "packet 1 | -: only in $f: "* ]]
    [[ "${lines[1]}" == "packet 2 | -: only in $f: "* ]]
    packets "$f" tail.pcap 1 $((total - 2))
    run --separate-stderr at-diff tail.pcap "$f"
    [ "$status" -eq 1 ]
    [[ "${lines[1]}" == "packet - | $total: only in $f: "* ]]
    packets "$f" one.pcap 1 20 && packets "$f" two.pcap 22 "$total"
    at-convert -q --sequence one.pcap two.pcap middle.pcap
    run --separate-stderr at-diff "$f" middle.pcap
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ "${lines[0]}" == "packet 21 | -: only in $f: "* ]]
}

@test "at-diff: -m stops, and 0 shows all" {
    at-convert -q -F pcap-us "$TEST_DATA/link.erf" us.pcap
    run --separate-stderr at-diff -m 3 "$TEST_DATA/link.erf" us.pcap
    [ "$status" -eq 1 ]
    [ "$(grep -c changed <<<"$output")" -eq 3 ]
    [[ "$stderr" == *"; stopped there" ]]
    run --separate-stderr at-diff "$TEST_DATA/link.erf" us.pcap
    [ "$(grep -c changed <<<"$output")" -eq 10 ]
    run --separate-stderr at-diff -m 0 "$TEST_DATA/link.erf" us.pcap
    [ "$(grep -c changed <<<"$output")" -gt 10 ]
}

@test "at-diff: any number of threads gives the same bytes" {
    at-convert -q -F pcap-us "$TEST_DATA/link.erf" us.pcap
    for j in 1 2 3 8; do
        at-diff -q -j $j "$TEST_DATA/link.erf" us.pcap || [ $? -eq 1 ]
        at-diff -j $j -m 0 "$TEST_DATA/link.erf" us.pcap >out.$j 2>/dev/null ||
            [ $? -eq 1 ]
    done
    cmp out.1 out.2 && cmp out.1 out.3 && cmp out.1 out.8
    [ -s out.1 ]
}

@test "at-diff: trouble is 2, whatever was different before" {
    f=$TEST_DATA/http.pcap
    head -c 20000 "$f" >cut.pcap
    run --separate-stderr at-diff cut.pcap "$f"
    [ "$status" -eq 2 ]
    [[ "${stderr_lines[0]}" == "at-diff: cut.pcap: cut short: "* ]]
    run --separate-stderr at-diff "$f" missing
    [ "$status" -eq 2 ]
    one_message
    run --separate-stderr at-diff "$f"
    [ "$status" -eq 2 ]
    run --separate-stderr at-diff --ignore tine "$f" "$f"
    [ "$status" -eq 2 ]
    [[ "${stderr_lines[0]}" == *"no fact is called 'tine'"* ]]
    run bash -c 'at-diff --ignore time "$1" "$2" >/dev/full' - "$f" "$TEST_DATA/dns.pcap"
    [ "$status" -eq 2 ]
    [[ "$output" == *"standard output"* ]]
}
