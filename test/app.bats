#!/usr/bin/env bats
# at-app as a user meets it, and the flow table held against that of others.

load helpers

setup() {
    DATA=$TEST_DATA
    cd "$BATS_TEST_TMPDIR" || return
}

flows='start,end,duration,proto,src,sport,dst,dport,packets_out,packets_in,bytes_out,bytes_in'

@test "app: columns are those of the reference, the last three without a value" {
    at-app -q --format csv "$DATA/dns.pcap" >got
    [ "$(head -1 got)" = "$flows,app,category,confidence" ]
    [ "$(wc -l <got)" -gt 1 ]
    ! grep -v ',,,$' <(tail -n +2 got)
}

@test "app: the flows are those of at-query" {
    for f in "$DATA"/{dns,http,icmp,ipv6,vlan,vxlan,fragments,sctp}.pcap; do
        at-app -q --format csv --fields "$flows" "$f" >got
        at-query -q --format csv --fields "$flows" "$f" | diff - got
    done
}

@test "app: the same for any number of threads, and from standard input" {
    at-app -q -j1 --format csv "$DATA/lan.pcap" >one
    at-app -q -j4 --format csv "$DATA/lan.pcap" | diff one -
    at-app -q --format csv - <"$DATA/lan.pcap" | diff one -
}

@test "app: several inputs are one trace" {
    at-convert -q -f 'less 99' "$DATA/http.pcap" part-0.pcap
    at-convert -q -f 'greater 100' "$DATA/http.pcap" part-1.pcap
    at-app -q --format csv "$DATA/http.pcap" >want
    at-app -q --format csv part-*.pcap | diff want -
}

@test "app: -f, --from and -n select packets before there are flows" {
    at-convert -q -f 'port 53' "$DATA/lan.pcap" some.pcap
    at-app -q --format csv some.pcap >want
    at-app -q --format csv -f 'port 53' "$DATA/lan.pcap" | diff want -
    [ "$(at-app -q --json -n 1 "$DATA/lan.pcap" | wc -l)" -eq 1 ]
}

@test "app: JSON has numbers where there are numbers" {
    need jq
    at-app -q --json "$DATA/dns.pcap" >got
    at-convert -q -f 'ip or ip6' "$DATA/dns.pcap" ip.pcap
    [ "$(jq -s 'map(.packets_out + .packets_in) | add' got)" -eq \
        "$(at-info --json ip.pcap | jq .packets)" ]
}

@test "app: a cut file gives its flows, one message, exit 1" {
    head -c 5000 "$DATA/http.pcap" >cut.pcap
    run --separate-stderr at-app -q --format csv cut.pcap
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -gt 1 ]
    one_message
}

@test "app: a full disk is an error" {
    run bash -c "at-app -q '$DATA/http.pcap' >/dev/full"
    [ "$status" -eq 1 ]
}

# ---- conformance

counts() { # file
    at-app -q --conformance --format csv \
        --fields proto,src,sport,dst,dport,packets_out,packets_in "$1"
}

@test "app: --conformance goes into VXLAN, and has no later fragments" {
    counts "$DATA/vxlan.pcap" >got
    ! grep -q ',4789,' got
    [ "$(wc -l <got)" -gt 1 ]
    [ "$(at-app -q --json --conformance -f 'ip[6:2] & 0x1fff != 0' \
        "$DATA/fragments.pcap" | wc -l)" -eq 0 ]
}

@test "app: --conformance has bytes of frames, and one flow for ends used again" {
    need jq
    at-app -q --json --conformance -f tcp "$DATA/http.pcap" >got
    [ "$(jq -s 'map(.bytes_out + .bytes_in) | add' got)" -eq \
        "$(at-convert -q -f tcp "$DATA/http.pcap" - -F pcap |
            at-info --json - | jq .captured_bytes)" ]
    [ "$(jq -r '[.src, .sport, .dst, .dport] | @csv' got | sort | uniq -d |
        wc -l)" -eq 0 ]
}

@test "app: --conformance gives nDPI's flows for all of its captures" {
    need_corpus
    need python3
    run python3 "$TOP/test/conformance.py" "$CORPUS" "$TOP/test/conformance.tsv"
    echo "$output"
    [ "$status" -eq 0 ]
}
