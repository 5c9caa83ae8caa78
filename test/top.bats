#!/usr/bin/env bats
# at-top as a user meets it, and beside tshark

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    DATA=$TEST_DATA
}

column() { # file name: of a CSV without quotes
    awk -F, -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
        { print $c }' "$1"
}

@test "top: the usual is ten hosts by bytes" {
    run --separate-stderr at-top "$DATA/http.pcap"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 11 ]
    [[ "${lines[0]}" == "host "*"packets wire_bytes percent payload_bytes packets_out"* ]]
    [[ "${lines[1]}" == "192.0.2.10 "*" 440 "*" 409451 "*" 52.37 "* ]]
    [[ "$stderr" == *", 13 hosts, 2 packets with none" ]]
}

@test "top: every packet is in a sum once, and in out and in" {
    for k in src dst host pair flow port mac; do
        at-top -q -k $k -n 0 --format csv "$DATA/lan.pcap" >rows
        [ "$(wc -l <rows)" -gt 3 ]
        case $k in
        src | dst) continue ;;
        esac
        paste -d ' ' <(column rows packets) <(column rows packets_out) \
            <(column rows packets_in) |
            awk '$1 > $2 + $3 || $2 > $1 || $3 > $1 { exit 1 }'
    done
    at-top -q -k pair -n 0 --format csv -f 'ip or ip6' "$DATA/lan.pcap" >rows
    column rows packets | paste -sd+ | bc >got
    at-stats -q --format csv "$DATA/lan.pcap" 'ip or ip6' | tail -n 1 |
        cut -d, -f4 | diff - got
}

# A pcap file of UDP packets, a line of source, destination and ports each.
packets() { # file
    python3 -c '
import ipaddress, struct, sys
out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
for i, line in enumerate(sys.stdin):
    src, dst, sport, dport = line.split()
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, i, 0, 64, 17, 0,
                     ipaddress.ip_address(src).packed,
                     ipaddress.ip_address(dst).packed)
    out += struct.pack("<IIII", 1000 + i, 0, 28, 28) + ip
    out += struct.pack(">HHHH", int(sport), int(dport), 8, 0)
open(sys.argv[1], "wb").write(out)' "$1"
}

@test "top: a packet to its own port, or to itself, is one packet" {
    printf '%s\n' '10.0.0.1 10.0.0.2 123 123' '10.0.0.2 10.0.0.1 123 123' \
        '10.0.0.3 10.0.0.3 5 6' | packets x.pcap
    at-top -q -k port --format csv x.pcap | head -n 2 >rows
    [ "$(cut -d, -f1-3 rows | tail -n 1)" = udp,123,2 ]
    [ "$(column rows packets_out)" = 2 ]
    [ "$(column rows packets_in)" = 2 ]
    at-top -q -k host --format csv x.pcap | grep -F 10.0.0.3, >rows
    [[ "$(cat rows)" == 10.0.0.3,1,28,33.33,0,1,1,28,28,* ]]
    at-top -q -k flow --format csv x.pcap | grep -F 10.0.0.3, >rows
    [[ "$(cat rows)" == udp,10.0.0.3,5,10.0.0.3,6,1,28,33.33,0,1,0,* ]]
}

@test "top: the most first, equal ones by address" {
    at-top -q -k flow -n 0 --by packets --format csv "$DATA/dns.pcap" >rows
    column rows packets >got
    sort -rn got | diff got -
    # one packet each to addresses that come in no order
    for last in 9 200 10 100 1; do
        echo "10.0.0.$last 10.9.9.9 1000 2000"
    done | packets x.pcap
    at-top -q -k src --format csv x.pcap >rows
    column rows src | paste -sd' ' >got
    echo 10.0.0.1 10.0.0.9 10.0.0.10 10.0.0.100 10.0.0.200 | diff - got
}

@test "top: src is who sent first, whatever the addresses" {
    at-top -q -k flow -n 0 --format csv -f 'tcp port 80' "$DATA/http.pcap" >rows
    [ "$(column rows dport | sort -u)" = 80 ]
    # the other half of each, and it is the server
    at-top -q -k flow -n 0 --format csv -f 'tcp src port 80' "$DATA/http.pcap" >rows
    [ "$(column rows sport | sort -u)" = 80 ]
    [ "$(column rows packets_in | sort -u)" = 0 ]
}

@test "top: --by flows counts the flows of at-top -k flow" {
    at-top -q -k flow -n 0 --format csv "$DATA/http.pcap" >flows
    at-top -q -k host -n 0 --by flows --format csv "$DATA/http.pcap" >hosts
    { column flows src; column flows dst; } | sort | uniq -c |
        awk '{ print $2, $1 }' >want
    paste -d ' ' <(column hosts host) <(column hosts flows) | sort | diff want -
    column hosts flows >got
    sort -rn got | diff got -
}

@test "top: -k app counts the flows that at-app names" {
    for in in mail-ntp-ftp.pcap lan.pcap vlan.pcap fragments.pcap icmp.pcap \
        bulk-s96.pcap; do
        at-app -q --format csv --fields app,category,packets_out,packets_in \
            "$DATA/$in" | sed 1d |
            awk -F, '{ n[$1","$2]++; o[$1","$2] += $3; i[$1","$2] += $4 }
                END { for (a in n) print a, n[a], o[a] + i[a], o[a], i[a] }' |
            sort >want
        at-top -q -k app -n 0 --format csv "$DATA/$in" >rows
        paste -d ' ' <(column rows app) <(column rows category) \
            <(column rows flows) <(column rows packets) \
            <(column rows packets_out) <(column rows packets_in) |
            sed 's/ /,/' | sort | diff want - || { echo "$in"; false; }
        # of the bytes, each packet's once, and IP's are all of them
        column rows wire_bytes | paste -sd+ | bc >got
        at-stats -q --format csv "$DATA/$in" 'ip or ip6' | tail -n 1 |
            cut -d, -f6 | diff - got
    done
}

@test "top: -k app, ranked, by rules of one's own, and what has none" {
    at-top -q -k app --by flows --format csv "$DATA/mail-ntp-ftp.pcap" >rows
    column rows flows >got
    [ "$(wc -l <got)" -gt 3 ]
    sort -rn got | diff got -
    printf 'app ours lab "our own"\n  tcp @80 "GET "\n' >our.rules
    run --separate-stderr at-top -k app --rules our.rules --format csv "$DATA/http.pcap"
    [ "$status" -eq 0 ]
    [[ "$output" == *$'\nours,lab,'* ]]
    [[ "$stderr" == *" applications, 2 packets with none" ]]
    run at-top -k host --rules our.rules "$DATA/http.pcap"
    [ "$status" -eq 2 ]
}

@test "top: the same bytes for any number of threads and any memory" {
    "$SYNTH" -n 40k --hosts 3k x.erf
    at-convert -q x.erf x.erf.gz
    for k in src host pair flow port mac app; do
        for by in bytes packets flows; do
            for j in 1 2 3 8; do
                at-top -q -j $j -k $k --by $by -n 0 x.erf.gz >$j-got
                cmp 1-got $j-got
            done
            at-top -q -j 2 --memory 20k -k $k --by $by -n 0 x.erf.gz >small
            cmp 1-got small
        done
    done
    [ "$(wc -l <small)" -ge 3 ]
}

@test "top: memory does not grow with what is counted" {
    fast_build || skip 'a sanitizer has its own memory'
    need /usr/bin/time
    "$SYNTH" -n 300k --snap 64 --flows-packets 2 --hosts 200k x.erf
    /usr/bin/time -f %M -o most at-top -q -j 2 --memory 4M -k flow x.erf >got
    /usr/bin/time -f %M -o all at-top -q -j 2 -k flow x.erf >want
    cmp want got
    cat most all
    [ "$(cat most)" -lt $(($(cat all) - 10000)) ]
}

@test "top: no room for temporary files is an error, not a short answer" {
    "$SYNTH" -n 20k x.erf
    run --separate-stderr bash -c 'ulimit -f 8; at-top -q -j 1 --memory 20k -k flow x.erf 2>&1 >got; exit $?'
    [ "$status" -ne 0 ]
    [ ! -s got ]
}

@test "top: JSON, and what is not known in it" {
    at-top -q --json -k flow -n 0 "$DATA/icmp.pcap" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
icmp = [r for r in rows if r["proto"] == "icmp"]
assert icmp and all(r["sport"] is None and r["dport"] is None for r in icmp)
assert all(isinstance(r["packets"], int) for r in rows)'
}

@test "top: a cut file is counted to its cut, and that is an error" {
    at-convert -q "$DATA/http.pcap" x.erf
    head -c 50000 x.erf >cut.erf
    run --separate-stderr at-top cut.erf
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -gt 3 ]
    [[ "${stderr_lines[0]}" == "at-top: cut.erf: "* ]]
}

@test "top: mistakes on the command line" {
    for args in '' 'missing.erf' '-k mice x' '--by luck x' '-n many x'; do
        # shellcheck disable=SC2086
        run --separate-stderr at-top $args
        [ "$status" -ne 0 ] || { echo "$args"; false; }
        [ -z "$output" ]
    done
}

@test "top: what tshark -z endpoints and -z conv say, in the corpus" {
    need_corpus
    need python3 tshark
    run python3 "$TOP/test/statistics.py" --every 40 top "$CORPUS" \
        "$TOP/test/statistics.tsv"
    echo "$output"
    [ "$status" -eq 0 ]
}
