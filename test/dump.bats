#!/usr/bin/env bats
# at-dump as a user meets it.  What it says of packets tcpdump and tshark must
# say too.

# shellcheck disable=SC2016,SC2086 # for the inner shell; words of options

bats_require_minimum_version 1.5.0

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

@test "at-dump: wrong options" {
    run --separate-stderr at-dump
    [ "$status" -eq 2 ]
    [[ "${stderr_lines[0]}" == "at-dump: no file is named" ]]
    run at-dump -b --json "$TEST_DATA/dns.pcap"
    [ "$status" -eq 2 ]
    run at-dump -f 'tcp port' "$TEST_DATA/dns.pcap"
    [ "$status" -eq 2 ]
    run --separate-stderr at-dump missing.pcap
    [ "$status" -eq 1 ]
    one_message
}

@test "at-dump: a packet is a line and one for each layer" {
    run at-dump -n 1 -f 'tcp port 80' "$TEST_DATA/http.pcap"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 4 ]
    [ "${lines[0]}" = "1 2026-03-01T09:21:05.787050000Z ethernet 74 bytes" ]
    [ "${lines[1]}" = "  ethernet 3e:e4:77:50:41:6c > 42:c4:99:e8:df:9f type 0x0800" ]
    [ "${lines[2]}" = "  ipv4 10.1.0.11 > 192.0.2.10 tcp ttl 63 id 50494 DF length 60" ]
    [ "${lines[3]}" = "  tcp 59260 > 80 SYN seq 3628238146 win 64240 options mss 1460,sack-ok,ts 1334272902 0,wscale 10" ]
}

@test "at-dump: tunnels and quoted packets stand further to the right" {
    run at-dump -n 1 -f 'udp port 4789' "$TEST_DATA/vxlan.pcap"
    [[ "$output" == *$'\n  vxlan vni 42 flags 0x08\n    ethernet '*$'\n    arp request who-has 10.42.0.1 tell 10.42.0.2' ]]
    run at-dump -n 1 -f 'icmp[icmptype] == 3' "$TEST_DATA/icmp.pcap"
    [[ "$output" == *$'\n  icmp unreachable '*$'\n    ipv4 '* ]]
}

@test "at-dump: the same addresses, ports and types as tshark" {
    need tshark
    run python3 "$TOP/test/dump-tshark.py" "$TEST_DATA"/*.{pcap,pcap.gz,erf}
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "at-dump: the same as tshark in captures of tunnels and odd links" {
    need tshark
    need_corpus
    fast_build || skip 'too slow'
    cd "$CORPUS"
    run xargs -d '\n' python3 "$TOP/test/dump-tshark.py" <"$TOP/test/dump-tshark.txt"
    echo "$output"
    [ "$status" -eq 0 ]
}

# tcpdump prints "IP a.b.c.d.port > ..." where there are ports.
@test "at-dump: -b has the ends that tcpdump prints" {
    need tcpdump
    for name in http dns tls ssh; do
        at-dump -b -f 'ip and (tcp or udp)' "$TEST_DATA/$name.pcap" |
            sed -nE 's/.* (tcp|udp) ([0-9.]+):([0-9]+) > ([0-9.]+):([0-9]+).*/\2.\3 > \4.\5/p' >ours
        tcpdump -nr "$TEST_DATA/$name.pcap" 'ip and (tcp or udp)' 2>/dev/null |
            sed -nE 's/^[^ ]+ IP ([0-9.]+ > [0-9.]+): .*/\1/p' >theirs
        [ -s ours ]
        diff ours theirs
    done
}

@test "at-dump: -x shows the bytes that tcpdump shows" {
    need tcpdump
    at-dump -x "$TEST_DATA/vlan.pcap" |
        sed -nE 's/^    0x([0-9a-f]+)  (.{39}).*/\1 \2/p' | sed 's/ *$//' >ours
    tcpdump -nxxr "$TEST_DATA/vlan.pcap" 2>/dev/null |
        sed -nE 's/^\t0x([0-9a-f]+):  (.*)/\1 \2/p' | sed 's/ *$//' >theirs
    [ -s ours ]
    diff ours theirs
}

@test "at-dump: -xx shows the records of the file" {
    at-dump --json -xx "$TEST_DATA/link.erf" >out
    python3 - "$TEST_DATA/link.erf" <<'END'
import json, sys
records = b"".join(bytes.fromhex(json.loads(l)["record"]) for l in open("out"))
assert records == open(sys.argv[1], "rb").read()
END
}

@test "at-dump: the output is the same for any number of threads" {
    for args in '' -b '--json -x'; do
        for f in link.erf bittorrent.pcap.gz http.pcap; do
            at-dump -j 1 $args "$TEST_DATA/$f" >one
            at-dump -j 2 $args "$TEST_DATA/$f" | cmp - one
            at-dump -j 3 $args "$TEST_DATA/$f" | cmp - one
        done
    done
}

@test "at-dump: several inputs are one trace in the order of time" {
    at-dump --json "$TEST_DATA"/{lan,dns,ssh,vxlan}.pcap >out
    python3 - <<'END'
import json
rows = [json.loads(l) for l in open("out")]
times = [r["time"] for r in rows]
assert times == sorted(times)
assert [r["number"] for r in rows] == list(range(1, len(rows) + 1))
END
    # Each packet has the text of its own, however the inputs mix.
    at-convert -q "$TEST_DATA"/{lan,dns,ssh,vxlan}.pcap all.pcap
    at-dump --json all.pcap | cmp - out
    at-dump -b - <"$TEST_DATA/dns.pcap" >piped
    at-dump -b "$TEST_DATA/dns.pcap" | cmp - piped
    at-dump -b --sequence "$TEST_DATA"/{tls,dns}.pcap >out
    at-dump -b "$TEST_DATA/tls.pcap" | cmp - <(head -n "$(at-dump -b "$TEST_DATA/tls.pcap" | wc -l)" out)
}

@test "at-dump: the selection is that of at-convert" {
    at-convert -q -f 'tcp' --from 2026-03-01T09:21:06Z --to +2s -n 20 "$TEST_DATA/http.pcap" some.pcap
    at-dump some.pcap >ours
    at-dump -f 'tcp' --from 2026-03-01T09:21:06Z --to +2s -n 20 "$TEST_DATA/http.pcap" | cmp - ours
    [ -s ours ]
}

@test "at-dump: a cut file gives its whole packets, one message, exit 1" {
    head -c 4000 "$TEST_DATA/http.pcap" >cut.pcap
    run --separate-stderr at-dump -b cut.pcap
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -gt 10 ]
    one_message
    [[ "$stderr" == "at-dump: cut.pcap: "* ]]
}

@test "at-dump: a full disk is an error" {
    run bash -c 'at-dump "$TEST_DATA/http.pcap" >/dev/full'
    [ "$status" -eq 1 ]
    [[ "$output" == *"cannot write standard output"* ]]
    run bash -c 'set -o pipefail; at-dump "$TEST_DATA/http.pcap" | head -n 1'
    [[ "$output" != *"cannot write"* ]]
}

# A text of the network never reaches the terminal as it is.
@test "at-dump: nothing but printable ASCII is printed" {
    for args in '' -b -x --json; do
        for f in "$TEST_DATA"/*.{pcap,pcap.gz,erf}; do
            at-dump -q $args "$f" | LC_ALL=C not grep '[^ -~]'
        done
    done
}

@test "at-dump: ERF flags, extension headers and the sections of META" {
    python3 - >meta.erf <<'END'
import struct, sys
def erf(type, flags, body, wire=None, ext=b""):
    n = 16 + len(ext) + len(body)
    return (struct.pack("<Q", 1772353200 << 32) +
            struct.pack(">BBHHH", type | (0x80 if ext else 0), flags, n, 7,
                        len(body) if wire is None else wire) + ext + body)
def tag(type, value):
    return struct.pack(">HH", type, len(value)) + value + bytes(-len(value) % 4)
host = bytes([17, 0, 1, 2, 3, 4, 5, 6])
meta = tag(0xff01, b"\0\1\0\0") + tag(18, b"probe\x1b[31m") + tag(18, b"probe-1")
sys.stdout.buffer.write(
    erf(27, 4, meta, ext=host) + erf(2, 0x1d, bytes(2) + bytes(60), 64) +
    erf(27, 4, struct.pack(">HH", 18, 400)))
END
    run at-dump meta.erf
    [ "$status" -eq 0 ]
    [[ "$output" == *"  erf meta "*"  extension host-id value 00010203040506"* ]]
    [[ "$output" == *"  section host id 1"*'  tag hostname bytes 7 value "probe-1"'* ]]
    [[ "$output" == *"erf eth flags 0x1d truncated rx-error record 78 wire 64 lost 7"* ]]
    [[ "$output" == *"  damaged tag 18 bytes 400 left 0"* ]]
    [[ "$output" != *$'\x1b'* ]]
    at-dump -f 'ip or not ip' meta.erf >out
    not grep -q meta out
}
