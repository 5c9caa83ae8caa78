#!/usr/bin/env bats
# What is known of a flow, by scan and by index, held against other tools.

load helpers

setup() {
    DATA=$TEST_DATA
    cd "$BATS_TEST_TMPDIR" || return
}

all=start,end,proto,src,sport,dst,dport,packets_out,packets_in,bytes_out
all+=,bytes_in,flags_out,flags_in,vlan,state,end_reason,payload_out,payload_in
all+=,rtt,retransmitted_out,retransmitted_in,zero_windows_out,zero_windows_in
all+=,icmp_errors,checksums,bad_checksums,community_id

rows() { # fields file at-query's arguments...
    local fields=$1 file=$2
    shift 2
    at-query -q --format csv --fields "$fields" "$@" "$file"
}

@test "flows: an index has all that a scan finds of them" {
    for f in "$DATA"/*.pcap "$DATA"/*.gz "$DATA"/link.erf; do
        cp "$f" .
        f=$(basename "$f")
        rows "$all" "$f" >scan
        at-index -q "$f"
        rows "$all" "$f" | diff scan -
        at-app -q --format csv --fields "$all" "$f" | diff scan -
    done
}

@test "flows: the same for a few captures of every kind in the corpus" {
    need_corpus
    for f in ndpi/pcap/dns_fragmented.pcap libtrace/fragtest_1-5000.erf.gz \
        zeek/tls/tls-expired-cert.trace ndpi/pcap/synscan.pcap \
        zeek/icmp/icmp-destunreach-udp.pcap; do
        [ -e "$CORPUS/$f" ] || continue
        cp "$CORPUS/$f" one
        rm -f one.idx
        rows "$all" one >scan
        at-index -q one
        rows "$all" one | diff scan -
    done
}

@test "flows: handshake times are those of tshark" {
    need tshark
    for f in "$DATA"/{http,ssh,tls}.pcap; do
        # It has one for refused connections too.
        tshark -r "$f" -T fields \
            -Y 'tcp.analysis.initial_rtt && tcp.flags.reset == 0' \
            -e tcp.analysis.initial_rtt 2>/dev/null | cut -c1-8 |
            sort -u >want
        [ -s want ]
        rows rtt "$f" -e tcp | sed 1d | grep . | sort -u | diff want -
    done
}

# Of each TCP direction: segments of which every byte had been seen, by sets of
# bytes, SYN and FIN being one each, from what tshark says of them.
seen_before() { # file
    tshark -r "$1" -o tcp.relative_sequence_numbers:FALSE -T fields \
        -e tcp.stream -e tcp.srcport -e tcp.seq -e tcp.len \
        -e tcp.flags.syn -e tcp.flags.fin -Y 'tcp.flags.reset == 0' 2>/dev/null | python3 -c '
import collections, sys
seen, n = collections.defaultdict(set), 0
for line in sys.stdin:
    stream, port, seq, *lengths = map(int, line.split())
    data = set(range(seq, seq + sum(lengths)))
    n += bool(data) and data <= seen[stream, port]
    seen[stream, port] |= data
print(n)'
}

@test "flows: segments that came before are counted" {
    need tshark python3
    for f in "$DATA"/{loss,http,ssh}.pcap; do
        seen_before "$f" >want
        rows retransmitted_out,retransmitted_in "$f" -e tcp |
            awk -F, 'NR > 1 { n += $1 + $2 } END { print n + 0 }' |
            diff want -
    done
    [ "$(seen_before "$DATA/loss.pcap")" -gt 5 ]
}

@test "flows: checksums are those of tshark" {
    need tshark
    tshark -r "$DATA/dns.pcap" -o udp.check_checksum:TRUE \
        -Y 'udp.checksum.status == 0' 2>/dev/null | wc -l >bad
    rows bad_checksums "$DATA/dns.pcap" -e udp |
        awk 'NR > 1 { n += $1 } END { print n + 0 }' | diff bad -
}

@test "flows: later fragments are of the flow of the first" {
    rows proto,packets_out,packets_in "$DATA/fragments.pcap" >got
    # Only datagrams without a first fragment could have no ports.
    [ "$(rows sport,dport "$DATA/fragments.pcap" -e 'udp or tcp' |
        grep -c '^0,0$' || true)" -eq 0 ]
    n=$(tcpdump -r "$DATA/fragments.pcap" 'ip[6:2] & 0x1fff != 0' 2>/dev/null |
        wc -l)
    [ "$n" -gt 0 ]
    # The only matches of a question for later fragments are flows with ports.
    [ "$(rows sport "$DATA/fragments.pcap" -e 'ip[6:2] & 0x1fff != 0' |
        sed 1d | grep -cv '^0$')" -gt 0 ]
}

@test "flows: fragments in a moment are found by index as by scan" {
    cp "$DATA/fragments.pcap" .
    records fragments.pcap | cut -d' ' -f1 | sort -u | head -n 40 >times
    while read -r ns; do
        t=@$((ns / 1000000000)).$(printf %09d $((ns % 1000000000)))
        rows "$all" fragments.pcap --from "$t" --to +1us
    done <times >scan
    at-index -q fragments.pcap
    while read -r ns; do
        t=@$((ns / 1000000000)).$(printf %09d $((ns % 1000000000)))
        rows "$all" fragments.pcap --from "$t" --to +1us
    done <times | diff scan -
}

@test "flows: an ICMP error is counted with the flow that it quotes" {
    n=$(tcpdump -r "$DATA/icmp.pcap" 'icmp[0] = 3 or icmp[0] = 11' 2>/dev/null |
        wc -l)
    [ "$n" -gt 0 ]
    [ "$(rows icmp_errors "$DATA/icmp.pcap" |
        awk 'NR > 1 { n += $1 } END { print n + 0 }')" -gt 0 ]
}

@test "flows: Community IDs and first payloads are those of Arkime" {
    need_corpus
    need python3
    run python3 "$TOP/test/sessions.py" "$CORPUS"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "flows: --timeout active ends a flow and begins another" {
    cp "$DATA/ssh.pcap" .
    at-index -q --timeout active=1s ssh.pcap
    rows duration,end_reason ssh.pcap -e tcp >got
    grep -q ',active$' got
    awk -F, 'NR > 1 && $1 > 1 { bad = 1 } END { exit bad }' got
    # what the parts have is what the whole has
    rows packets_out,packets_in ssh.pcap |
        awk -F, '{ n += $1 + $2 } END { print n }' >parts
    rows packets_out,packets_in "$DATA/ssh.pcap" |
        awk -F, '{ n += $1 + $2 } END { print n }' | diff parts -
}

@test "flows: an index tells the timeouts it was made with" {
    need sqlite3
    cp "$DATA/dns.pcap" .
    at-index -q --timeout udp=30s dns.pcap
    sqlite3 dns.pcap.idx "SELECT value FROM meta WHERE name = 'timeouts'" |
        grep -q 'udp=30000000000ns'
}

@test "flows: the view of SQL has what at-query prints" {
    need sqlite3
    cp "$DATA/http.pcap" .
    at-index -q http.pcap
    f=payload_out,payload_in,retransmitted_out,retransmitted_in,icmp_errors
    f+=,bad_checksums,end_reason,state
    rows "$f" http.pcap | sed 1d | sort >want
    sqlite3 -csv http.pcap.idx "SELECT $f FROM flows" | tr -d '\r' | sort |
        diff want -
    rows rtt http.pcap | sed 1d | grep . | tr -d . | sed 's/^0*//' | sort >want
    sqlite3 http.pcap.idx 'SELECT rtt / 1000 FROM flows WHERE rtt NOT NULL' |
        sort | diff want -
}

@test "flows: indexes of versions 3 and 4 answer as one of ours" {
    need python3 sqlite3
    cp "$DATA/http.pcap" .
    at-convert -q -Z bgzf "$DATA/icmp.pcap" icmp.pcap.gz
    at-index -q http.pcap icmp.pcap.gz
    ask() {
        rows "$all" http.pcap icmp.pcap.gz
        for terms in 'tcp port 80' 'icmp' 'host 10.1.0.11 and bytes > 100'; do
            at-query -q --count http.pcap "$terms"
            at-query -q -w - --format erf icmp.pcap.gz "$terms" | sha256sum
            at-query --explain http.pcap "$terms" | grep -v '\.idx'
        done
    }
    ask >want
    for version in 4 3; do
        rm -f ./*.idx
        at-index -q http.pcap icmp.pcap.gz
        python3 "$TOP/test/old_index.py" $version ./*.idx
        ask | diff want -
        [ "$(sqlite3 http.pcap.idx 'PRAGMA user_version')" -eq $version ]
    done
}

@test "flows: an index of another version is left aside, and made anew" {
    need sqlite3
    cp "$DATA/http.pcap" .
    rows "$all" http.pcap >want
    at-index -q http.pcap
    sqlite3 http.pcap.idx 'DROP TABLE flow; PRAGMA user_version = 1'
    rows "$all" http.pcap | diff want -
    at-index -q http.pcap
    [ "$(sqlite3 http.pcap.idx 'PRAGMA user_version')" -gt 1 ]
    at-ingest -q --flush arch http.pcap
    rows "$all" arch >want
    find arch -name '*.idx' -exec sqlite3 {} \
        'DROP TABLE flow; PRAGMA user_version = 1' \;
    rows "$all" arch | diff want -
    at-query -q -w got.pcap arch tcp
    at-convert -q -f tcp http.pcap want.pcap
    [ "$(at-info --json got.pcap | sed 's/.*"packets":\([0-9]*\).*/\1/')" = \
        "$(at-info --json want.pcap | sed 's/.*"packets":\([0-9]*\).*/\1/')" ]
}

# ---- many flows

@test "flows: beyond --max-flows those idle for longest end, and it is said" {
    need sqlite3
    "$SYNTH" -n 60000 --flows-packets 4 --snap 60 many.erf
    at-index many.erf 2>said
    not grep -q early said
    mv many.erf.idx whole.idx
    run --separate-stderr at-index --max-flows 1k many.erf
    [ "$status" -eq 0 ]
    forced=$(sqlite3 many.erf.idx \
        "SELECT count(*) FROM flows WHERE end_reason = 'forced'")
    [ "$forced" -gt 0 ]
    [ "$forced" -le "$(sqlite3 many.erf.idx \
        "SELECT value FROM meta WHERE name = 'forced'")" ]
    [[ "$stderr" == *" flows ended early because too many were open"* ]]
    # No packet is lost, and no block.
    for i in whole.idx many.erf.idx; do
        sqlite3 "$i" 'SELECT sum(packets_out + packets_in), sum(bytes_out +
            bytes_in), sum(payload_out + payload_in) FROM flow'
    done >sums
    [ "$(sort -u sums | wc -l)" -eq 1 ]
    at-query -q -w got.erf many.erf 'host 10.0.0.1 or udp port 53'
    rm many.erf.idx
    at-query -q -w want.erf many.erf 'host 10.0.0.1 or udp port 53'
    cmp got.erf want.erf
}

@test "flows: an index of swept flows is the same for any number of threads" {
    "$SYNTH" -n 300000 --flows-packets 2 --snap 60 many.erf
    for most in 1M 3k; do
        at-index -q -j1 --max-flows "$most" -o one.idx many.erf
        at-index -q -j5 --max-flows "$most" -o five.idx many.erf
        cmp one.idx five.idx
    done
    [ "$(at-query --count many.erf)" -gt 100000 ]
}

@test "flows: a million at a time take less than 200 MB" {
    need python3
    fast_build || skip 'memory of a sanitizer build'
    "$SYNTH" -n 2250000 --flows-packets 2 --hosts 200k --snap 60 many.erf
    python3 - <<'END'
import resource, subprocess
p = subprocess.run(["at-index", "-j2", "many.erf"], check=True,
                   stderr=subprocess.PIPE, text=True)
print(p.stderr)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(most)
flows = int(p.stderr.split(", ")[2].split()[0].replace(",", ""))
assert 990000 < flows <= 1000000 and "early" not in p.stderr
assert most < 200e6
END
}

@test "flows: --max-flows 0 is a usage error" {
    run at-index --max-flows 0 "$DATA/dns.pcap"
    [ "$status" -eq 2 ]
}
