#!/usr/bin/env bats
# Every format to every format: what both can hold stays, and others read it

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

formats='erf pcap pcap-us pcapng'

# Time in ns, lengths and a checksum of each packet, one a line, by readers
# that are none of ours: test/records.py, and tshark for pcapng
packets_of() { # format file
    case $1 in
    pcapng)
        tshark -r "$2" -o 'gui.column.format:"x","%Cus:frame.number"' \
            -T fields -e frame.time_epoch -e frame.cap_len -e frame.len \
            2>/dev/null | awk '{ sub(/[.]/, "", $1); print $1, $2, $3 }'
        ;;
    *) records "$2" | cut -d ' ' -f 1-3 ;;
    esac
}

in_us() { # cuts the first column to microseconds
    awk '{ $1 = substr($1, 1, length($1) - 3) "000"; print }'
}

@test "matrix: times, lengths and bytes from every format to every other" {
    need tshark
    for from in $formats; do
        at-convert -q -F "$from" "$TEST_DATA/link.erf" "in.$from" 2>/dev/null
        packets_of "$from" "in.$from" >in.txt
        [ "$(wc -l <in.txt)" -eq 2323 ]
        for to in $formats; do
            echo "$from to $to"
            at-convert -q -F "$to" "in.$from" "out.$to" 2>/dev/null
            packets_of "$to" "out.$to" >out.txt
            case $to in
            pcap-us) diff <(in_us <in.txt) out.txt ;;
            *) diff in.txt out.txt ;;
            esac
            # The bytes, by the reader of ours that both share
            at-diff -q --tolerance 1us "in.$from" "out.$to"
        done
    done
}

@test "matrix: interface, direction and losses wherever both have a place" {
    for from in erf pcapng; do
        at-convert -q -F $from "$TEST_DATA/link.erf" in.$from
        for to in erf pcapng; do
            at-convert -q -F $to in.$from out.$to
            at-diff -q in.$from out.$to
            at-convert -q -F erf out.$to back.erf
            cmp "$TEST_DATA/link.erf" back.erf
        done
    done
}

@test "matrix: what is written others read whole" {
    need capinfos tcpdump
    for f in link.erf dns.pcap vlan.pcap; do
        n=$(at-info -c "$TEST_DATA/$f" | cut -f 1)
        for to in $formats; do
            at-convert -q -F "$to" "$TEST_DATA/$f" "x.$to" 2>/dev/null
            [ "$(capinfos -T -r -c -M "x.$to" | cut -f 2)" -eq "$n" ]
            [ "$to" = erf ] ||
                [ "$(tcpdump --count -r "x.$to" 2>/dev/null |
                    grep -oE '^[0-9]+')" -eq "$n" ]
        done
        ! command -v tracestats >/dev/null || for to in erf pcap pcap-us; do
            uri=pcapfile:x.$to
            [ "$to" != erf ] || uri=erf:x.$to
            tracestats "$uri" 2>&1 |
                grep -qE "Accepted Packets:[[:space:]]+$n\$"
            [ "$(tracepktdump "$uri" 2>/dev/null | grep -cE \
                '^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ')" -eq "$n" ]
        done
    done
}

# Packets of 60 bytes at these seconds, as a little-endian nanosecond pcap
pcap_at() { # out seconds.nanoseconds...
    python3 - "$@" <<'END'
import struct, sys
out = [struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1)]
for n, t in enumerate(sys.argv[2:]):
    sec, _, frac = t.partition(".")
    out.append(struct.pack("<IIII", int(sec), int(frac.ljust(9, "0")), 60, 60)
               + bytes([n % 256]) * 60)
open(sys.argv[1], "wb").write(b"".join(out))
END
}

@test "matrix: times of 1970, before 1995, and past 2038, to the last second" {
    pcap_at odd.pcap 0.0 0.000000001 1.5 5.999999999 700000000.000000007 \
        2147483647.999999999 2147483648.000000001 4102444800.123456789 \
        4294967295.999999
    records odd.pcap | cut -d ' ' -f 1 >want
    for to in erf pcap pcapng; do
        at-convert -q -F $to odd.pcap x.$to
        at-convert -q -F pcap x.$to back.pcap
        diff want <(records back.pcap | cut -d ' ' -f 1)
        at-info --json x.$to | jq -e '.packets == 9 and .first == "0"
            and .last == "4294967295999999000" and .in_order'
    done
}

@test "matrix: microseconds, nanoseconds and ERF side by side keep every fraction" {
    pcap_at ns.pcap 1700000000.000000001 1700000000.100000003
    pcap_at other.pcap 1700000000.000000000 1700000000.100000003
    at-convert -q -F pcap-us other.pcap us.pcap 2>/dev/null
    pcap_at third.pcap 1700000000.000000002 1700000000.100000003
    at-convert -q third.pcap third.erf
    for to in erf pcap pcapng; do
        at-convert -q -F $to ns.pcap us.pcap third.erf all.$to 2>/dev/null
        at-convert -q -F pcap all.$to back.pcap 2>/dev/null
        diff <(records back.pcap | cut -d " " -f 1) - <<END
1700000000000000000
1700000000000000001
1700000000000000002
1700000000100000000
1700000000100000003
1700000000100000003
END
    done
}

@test "matrix: merging an empty, a dense and an unsorted input" {
    pcap_at empty.pcap
    pcap_at dense.pcap $(seq -f '17000000%02g.5' 10 89)
    pcap_at unsorted.pcap 1700000050.0 1700000020.0 1700000060.0
    at-convert -q empty.pcap dense.pcap unsorted.pcap all.pcap
    records all.pcap >all.txt
    [ "$(wc -l <all.txt)" -eq 83 ]
    # Each input's own order is kept; all else is by time.
    [ "$(grep -cE '^1700000020(0|5)' all.txt)" -eq 2 ]
    at-diff -q <(at-convert -q -F erf dense.pcap -) \
        <(at-convert -q -F erf --from @1700000010.1 all.pcap -) || [ $? -eq 1 ]
    awk '$1 % 1000000000 == 500000000 { print $1 }' all.txt >got
    records dense.pcap | cut -d ' ' -f 1 | diff - got
}

@test "matrix: equal times come out in the order of the inputs" {
    pcap_at a.pcap 1700000000.5 1700000000.5
    for i in 1 2 3; do
        python3 - a.pcap $i.pcap $i <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
for at in (24, 24 + 76):
    data[at + 16:at + 76] = bytes([int(sys.argv[3])]) * 60
open(sys.argv[2], "wb").write(data)
END
    done
    for order in '1 2 3' '3 1 2'; do
        names=$(for i in $order; do echo "$i.pcap"; done)
        # shellcheck disable=SC2086 # a list of names
        at-convert -q $names all.pcap
        got=$(python3 -c 'import sys
from records import records
print(*[f[0] for _, f, _ in records("all.pcap")])')
        want=$(for i in $order; do echo "$i" "$i"; done | tr '\n' ' ')
        [ "$got" = "${want% }" ]
    done
}

@test "matrix: a thousand inputs at once" {
    fast_build || skip 'takes too long under a sanitizer'
    mkdir many
    python3 - <<'END'
import struct
head = struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1)
for i in range(1000):
    with open(f"many/{i:03}.pcap", "wb") as f:
        f.write(head)
        for k in range(5):
            f.write(struct.pack("<IIII", 1700000000 + k, i * 1000, 60, 60)
                    + struct.pack("<I", i) * 15)
END
    at-convert -q many/*.pcap all.pcap
    [ "$(at-info -c all.pcap | cut -f 1)" -eq 5000 ]
    at-info --json all.pcap | jq -e .in_order
    at-convert -q -j 1 many/*.pcap one.pcap
    cmp all.pcap one.pcap
}

@test "matrix: link types that differ: an error in pcap, an interface each in pcapng" {
    at-convert -q -f 'ip and udp' --strip vlan "$TEST_DATA/dns.pcap" eth.pcap
    python3 - <<'END'
import struct
data = open("eth.pcap", "rb").read()
out = [data[:20] + struct.pack("<I", 101)]
at = 24
while at < len(data):
    sec, frac, cap, wire = struct.unpack("<IIII", data[at:at + 16])
    out.append(struct.pack("<IIII", sec, frac, cap - 14, wire - 14)
               + data[at + 30:at + 16 + cap])
    at += 16 + cap
open("raw.pcap", "wb").write(b"".join(out))
END
    n=$(at-info -c eth.pcap | cut -f 1)
    run --separate-stderr at-convert eth.pcap raw.pcap both.pcap
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"of another link type"* ]]
    at-convert -q eth.pcap raw.pcap both.pcapng
    at-info --json both.pcapng | jq -e --argjson n $((2 * n)) \
        '.packets == $n and .linktypes == [1, 101] and .streams == 2'
    need capinfos
    [ "$(capinfos -T -r -c -M both.pcapng | cut -f 2)" -eq $((2 * n)) ]
}
