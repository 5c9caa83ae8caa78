#!/usr/bin/env bats
# at-report as a user meets it, and beside tshark

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    DATA=$TEST_DATA
}

rows() { # section file: value, packets, bytes
    at-report -q -n 0 --format csv --section "$1" "$2" | tail -n +2 |
        cut -d, -f2,3,5
}

# A pcap file of raw IP out of hexadecimal digits, a packet a line.
packets() { # file
    python3 -c '
import struct, sys
out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
for i, line in enumerate(sys.stdin):
    p = bytes.fromhex(line)
    out += struct.pack("<IIII", 1000 + i, 0, len(p), len(p)) + p
open(sys.argv[1], "wb").write(out)' "$1"
}

# One value for each packet, by tshark, counted.
fields() { # file filter field
    tshark -n -r "$1" -Y "$2" -T fields -e "$3" -E occurrence=f \
        -o ip.defragment:FALSE 2>/dev/null | sort -n | uniq -c |
        awk '{ print $2 "," $1 }' | sort
}

@test "report: all sections, in the table each under its name" {
    run --separate-stderr at-report "$DATA/lan.pcap"
    [ "$status" -eq 0 ]
    for s in total links network protocols ip ttl dscp ecn fragments lengths \
        icmp tcp-flags tcp-options syn-options segments ports flows \
        directions errors losses; do
        grep -qE "^$s +packets percent wire_bytes" <<<"$output" ||
            { echo "$s"; false; }
    done
    at-report -q --format csv "$DATA/lan.pcap" >all
    [ "$(head -n 1 all)" = section,value,packets,percent,wire_bytes,count ]
    [ "$(cut -d, -f1 all | tail -n +2 | uniq | sort | uniq -d | wc -l)" -eq 0 ]
}

@test "report: values are those of tshark" {
    need tshark
    for f in dns http ipv6 vlan lan sctp; do
        file=$DATA/$f.pcap
        diff <(rows ttl "$file" | sed -n 's/^ip \([0-9,]*\),.*/\1/p' | sort) \
            <(fields "$file" ip ip.ttl)
        diff <(rows ttl "$file" | sed -n 's/^ip6 \([0-9,]*\),.*/\1/p' | sort) \
            <(fields "$file" ipv6 ipv6.hlim)
        diff <(rows lengths "$file" | cut -d, -f1,2 | sort) \
            <(fields "$file" frame frame.len)
        diff <(rows segments "$file" | cut -d, -f1,2 | sort) \
            <(fields "$file" 'tcp && !icmp && !icmpv6' tcp.len)
        diff <(rows ports "$file" | sed -n 's/^udp \([0-9,]*\),.*/\1/p' |
            sort) \
            <({
                tshark -n -r "$file" -Y 'udp && !icmp && !icmpv6' -T fields \
                    -e udp.srcport 2>/dev/null
                tshark -n -r "$file" -Y 'udp && !icmp && !icmpv6 && udp.srcport != udp.dstport' \
                    -T fields -e udp.dstport 2>/dev/null
            } | sort -n | uniq -c | awk '{ print $2 "," $1 }' | sort)
    done
}

@test "report: TCP flags and options are those of tshark" {
    need tshark
    for f in http ipv6 ssh; do
        file=$DATA/$f.pcap
        diff <(rows tcp-flags "$file" | cut -d, -f1,2 | sort) \
            <(tshark -n -r "$file" -Y 'tcp && !icmp && !icmpv6' -T fields \
                -e tcp.flags 2>/dev/null | python3 -c '
import collections, sys
n = collections.Counter("".join(
    c if int(line, 16) & 0x80 >> i else "." for i, c in enumerate("CEUAPRSF"))
    for line in sys.stdin)
print("\n".join(sorted(f"{k},{v}" for k, v in n.items())))' | LC_ALL=C sort)
        for kind in 2:mss 3:wscale 8:ts; do
            n=$(tshark -n -r "$file" -Y "tcp.option_kind == ${kind%:*}" \
                2>/dev/null | wc -l)
            [ "$(rows tcp-options "$file" | grep "^${kind#*:}," |
                cut -d, -f2)" = "$n" ]
        done
    done
}

@test "report: DSCP, ECN, fragments and ICMP" {
    # DSCP 46 and CE; the first of two fragments; the later; an echo request
    packets x.pcap <<'END'
45bb001c00010000401100000a0000010a00000203e807d000080000
4500001c00022000401100000a0000010a00000203e807d000080000
4500001c00022001401100000a0000010a0000020000000000000000
4500001c00030000400100000a0000010a0000020800f7ff00000000
6b800000 0008 1140 20010db8000000000000000000000001 20010db8000000000000000000000002 03e807d000080000
END
    [ "$(rows dscp x.pcap | grep '^ip ef')" = 'ip ef,1,28' ]
    [ "$(rows ecn x.pcap | grep '^ip ce')" = 'ip ce,1,28' ]
    [ "$(rows fragments x.pcap | grep '^ip first')" = 'ip first,1,28' ]
    [ "$(rows fragments x.pcap | grep '^ip later')" = 'ip later,1,28' ]
    [ "$(rows fragments x.pcap | grep '^ip whole')" = 'ip whole,2,56' ]
    [ "$(rows icmp x.pcap)" = 'icmp 8/0,1,28' ]
    # a later fragment has no ports
    [ "$(rows ports x.pcap | grep '^udp 1000')" = 'udp 1000,3,104' ]
    [ "$(rows dscp x.pcap | grep '^ip6')" = 'ip6 ef,1,48' ]
}

@test "report: what ERF says of errors and losses" {
    at-convert -q -n 6 "$DATA/lan.pcap" x.erf
    python3 - x.erf <<'END'
import struct, sys
data, at, ats = bytearray(open(sys.argv[1], "rb").read()), 0, []
while at < len(data):
    ats.append(at)
    at += struct.unpack_from(">H", data, at + 10)[0]
struct.pack_into(">H", data, ats[1] + 12, 3)
struct.pack_into(">H", data, ats[3] + 12, 5)
data[ats[2] + 9] |= 0x10  # receive error
data[ats[4] + 9] |= 0x20  # error in the card
open(sys.argv[1], "wb").write(data)
END
    at-report -q --format csv --section losses,errors x.erf >got
    grep -q '^losses,after a loss,2,33.33,[0-9]*,8$' got
    grep -q '^errors,receive error,1,' got
    grep -q '^errors,capture card error,1,' got
}

@test "report: checksums that are wrong are counted" {
    at-convert -q "$DATA/http.pcap" x.pcap
    # one byte of each of two payloads
    python3 - x.pcap <<'END'
import struct, sys
data, at, done = bytearray(open(sys.argv[1], "rb").read()), 24, 0
while at < len(data) and done < 2:
    cap, = struct.unpack_from("<I", data, at + 8)
    if cap > 200:
        data[at + 16 + 150] ^= 1
        done += 1
    at += 16 + cap
open(sys.argv[1], "wb").write(data)
END
    [[ "$(rows errors x.pcap | grep wrong)" == "transport checksum wrong,2,"* ]]
    rows errors "$DATA/http.pcap" | not grep wrong
}

@test "report: flows are those of at-top, IPv6 too" {
    for f in http ipv6 dns icmp; do
        at-top -q -k flow -n 0 --format csv "$DATA/$f.pcap" | tail -n +2 |
            cut -d, -f1 | sort | uniq -c | awk '{ print $2 "," $1 }' >want
        at-report -q --section flows --format csv "$DATA/$f.pcap" |
            tail -n +2 | cut -d, -f2,6 | sort >got
        diff want got
    done
}

@test "report: the tree of protocols adds up, and shows tunnels" {
    rows protocols "$DATA/vxlan.pcap" >got
    grep -qE '^ethernet:ip:udp:vxlan:ip:(tcp|udp|icmp),' got
    # what is below a node is not more than the node
    python3 - got <<'END'
import csv, sys
rows = [(r[0].split(":"), int(r[1])) for r in csv.reader(open(sys.argv[1]))]
for path, n in rows:
    below = sum(m for p, m in rows
                if len(p) == len(path) + 1 and p[:len(path)] == path)
    assert below <= n, path
END
    [ "$(head -n 1 got | cut -d, -f2)" = \
        "$(at-info -q -c "$DATA/vxlan.pcap" | grep -oE '^[0-9]+')" ]
    at-report -q --section protocols "$DATA/vlan.pcap" | grep -q '^  tags '
}

@test "report: -n leaves one row for the others, and nothing is missing" {
    rows lengths "$DATA/http.pcap" | awk -F, '{ n += $2; b += $3 }
        END { print n, b }' >want
    at-report -q -n 3 --format csv --section lengths "$DATA/http.pcap" >got
    [ "$(wc -l <got)" -eq 5 ]
    [[ "$(tail -n 1 got)" == "lengths,"*" others,"* ]]
    tail -n +2 got | awk -F, '{ n += $3; b += $5 } END { print n, b }' |
        diff want -
}

@test "report: the same bytes for any number of threads and any memory" {
    "$SYNTH" -n 40k --hosts 3k x.erf
    at-convert -q x.erf x.erf.gz
    for f in x.erf.gz "$DATA/vxlan.pcap" "$DATA/link.erf"; do
        for j in 1 2 3 8; do
            at-report -q -j $j -n 0 "$f" >$j-got
            cmp 1-got $j-got
        done
        at-report -q -j 2 --memory 30k -n 0 "$f" >small
        cmp 1-got small
    done
    [ -s small ]
}

@test "report: JSON is an object a line" {
    at-report -q --json "$DATA/lan.pcap" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert {r["section"] for r in rows} >= {"total", "ports", "flows", "errors"}
assert all((r["count"] is None) == (r["section"] not in ("flows", "losses"))
           for r in rows)'
}

@test "report: a cut file is counted to its cut, and that is an error" {
    at-convert -q "$DATA/http.pcap" x.erf
    head -c 50000 x.erf >cut.erf
    run --separate-stderr at-report cut.erf
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -gt 30 ]
    [[ "${stderr_lines[0]}" == "at-report: cut.erf: "* ]]
}

@test "report: mistakes on the command line" {
    run --separate-stderr at-report --section ttl,tll "$DATA/lan.pcap"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"no section is called 'tll'; there are total, links, "* ]]
    run --separate-stderr at-report
    [ "$status" -eq 2 ]
    run --separate-stderr at-report missing.erf
    [ "$status" -eq 1 ]
}

@test "report: what tshark -z io,phs and -z plen,tree say, in the corpus" {
    need_corpus
    need python3 tshark
    run python3 "$TOP/test/statistics.py" --every 40 report "$CORPUS" \
        "$TOP/test/statistics.tsv"
    echo "$output"
    [ "$status" -eq 0 ]
}
