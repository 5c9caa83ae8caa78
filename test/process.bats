#!/usr/bin/env bats
# Packets cut, stripped, verified and told in from out, beside other tools

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

captures() {
    ls "$TEST_DATA"/*.pcap
}

# Fields of all packets, by tshark, without reassembly.
fields() { # file field...
    local file=$1 args=()
    shift
    for f; do args+=(-e "$f"); done
    tshark -n -r "$file" -T fields -E occurrence=f -o ip.defragment:FALSE \
        -o tcp.desegment_tcp_streams:FALSE "${args[@]}" 2>/dev/null
}

# ---- the command line ----------------------------------------------------

@test "process: words that are not known are shown, with those that are" {
    while IFS='|' read -r option word column known; do
        run --separate-stderr at-convert "$option" "$word" \
            "$TEST_DATA/dns.pcap" out.pcap
        [ "$status" -eq 2 ] || { echo "$option $word: $status"; false; }
        [ -z "$output" ]
        [ ! -e out.pcap ]
        [[ "$stderr" == *"$known"* ]] || { echo "$stderr"; false; }
        [ "${stderr_lines[2]}" = "$(printf '  %*s^' "$column" '')" ]
    done <<'END'
--snap|l4+4,dnss+12|5|SERVICE+BYTES, of bgp dhcp dns
--snap|l7|0|there are all, none, BYTES, l2, l3, l4, inner
--strip|vlan,mlps|5|there are vlan, mpls and pppoe
--direction|nets:10.0.0.0/8|0|mac:LIST, net:LIST, vlan:LIST, port, interface
--direction|net:10.0.0.0/8,10.0.0.0/33|15|is no network
END
    for option in '--fcs drop' '--checksum none' '--checksum check'; do
        eval "run --separate-stderr at-convert $option x y"
        [ "$status" -eq 2 ]
        [[ "$stderr" == *" is none of "* ]]
    done
}

@test "process: a list of networks that cannot be read" {
    run --separate-stderr at-convert --direction net:@missing \
        "$TEST_DATA/dns.pcap" out.pcap
    [ "$status" -eq 1 ]
    [[ "$stderr" == "at-convert: missing: cannot open: "* ]]
    one_message
    [ ! -e out.pcap ]
}

# ---- any number of threads -----------------------------------------------

@test "process: the same bytes and counts for any number of threads" {
    local options=(--snap 'l4+4,dns+12' --strip vlan --fcs add --checksum drop
        --direction port)
    for f in "$TEST_DATA"/{bulk-s96,vlan,scan}.pcap* "$TEST_DATA"/link.erf; do
        for out in x.pcap x.erf.gz; do
            for j in 1 2 3; do
                at-convert -j $j "${options[@]}" "$f" $j-$out 2>said
                sed -e 's/ in [0-9.]* s ([^)]*)//' -e "s/$j-x/x/" \
                    said >$j-said
            done
            cmp 1-$out 2-$out
            cmp 1-$out 3-$out
            cmp 1-said 2-said
            cmp 1-said 3-said
        done
    done
}

@test "process: counts are those of the packets that were written" {
    at-convert -n 7 --snap 20 --direction port "$TEST_DATA/http.pcap" \
        "$TEST_DATA/tls.pcap" x.erf 2>said
    grep -q '^at-convert: 7 packets, 140 B .* 7 packets cut' said
}

# ---- snapping ------------------------------------------------------------

@test "process: --snap BYTES is editcap -s" {
    need editcap
    for f in $(captures); do
        for n in 14 60 96; do
            editcap -F nsecpcap -s $n "$f" theirs.pcap
            at-convert -q --snap $n "$f" ours.pcap
            diff <(records theirs.pcap) <(records ours.pcap)
        done
    done
}

@test "process: --snap l4 keeps each TCP header whole and no payload" {
    need tshark
    for f in $(captures); do
        at-convert -q -f 'ip and tcp and ip[6:2] & 0x1fff == 0' --snap l4 \
            "$f" cut.pcap
        at-convert -q -f 'ip and tcp and ip[6:2] & 0x1fff == 0' "$f" all.pcap
        fields cut.pcap frame.cap_len >got
        fields all.pcap frame.cap_len ip.hdr_len tcp.hdr_len \
            frame.protocols |
            awk -F '\t' '{ n = 14 + 4 * gsub(/:(vlan|ieee8021ad)/, "", $4) + $2 + $3
                           print n < $1 ? n : $1 }' >want
        # of a header that was cut before, tshark tells no length
        paste want got | awk '$1 > 34 && $1 != $2 { exit 1 }'
        [ "$(wc -l <got)" -eq "$(wc -l <want)" ]
    done
}

@test "process: --snap l4+4 leaves every flow as it was" {
    for f in "$TEST_DATA"/*.{pcap,erf,gz}; do
        at-convert -q --snap l4+4 "$f" x.erf
        at-query --format csv x.erf >cut
        at-convert -q "$f" x.erf
        at-query --format csv x.erf >whole
        [ "$(wc -l <whole)" -gt 1 ]
        diff whole cut
    done
}

@test "process: headers that were kept still read as they did" {
    need tshark
    for f in dns http icmp ipv6 vlan; do
        at-convert -q --snap l4 "$TEST_DATA/$f.pcap" cut.pcap
        diff <(fields "$TEST_DATA/$f.pcap" ip.src ip.dst ipv6.src ipv6.dst \
            tcp.seq_raw tcp.flags tcp.options.mss_val udp.dstport icmp.type \
            arp.src.proto_ipv4) \
            <(fields cut.pcap ip.src ip.dst ipv6.src ipv6.dst tcp.seq_raw \
                tcp.flags tcp.options.mss_val udp.dstport icmp.type \
                arp.src.proto_ipv4)
    done
}

@test "process: ERF records that are cut keep all else they say" {
    at-convert -q --snap 40 "$TEST_DATA/link.erf" x.erf
    python3 - "$TEST_DATA/link.erf" x.erf <<'END'
import struct, sys

def parse(path):
    data, at = open(path, "rb").read(), 0
    while at < len(data):
        rlen, lctr, wlen = struct.unpack_from(">HHH", data, at + 10)
        head = 16
        while data[at + (8 if head == 16 else head - 8)] & 0x80:
            head += 8
        frame = head + (2 if data[at + 8] & 0x7f in (2, 11, 16, 20) else 0)
        meta = data[at + 8] & 0x7f in (27, 48)
        yield (data[at:at + 10], lctr, wlen, data[at + 16:at + head],
               data[at + frame:at + rlen][:rlen if meta else min(wlen, 40)])
        at += rlen

before, after = list(parse(sys.argv[1])), list(parse(sys.argv[2]))
assert before == after, next(p for p in zip(before, after) if p[0] != p[1])
assert len(after) > 100
END
    [ "$(wc -c <x.erf)" -lt "$(wc -c <"$TEST_DATA/link.erf")" ]
    at-convert -q --fcs strip "$TEST_DATA/link.erf" y.erf
    diff <(records "$TEST_DATA/link.erf" | awk '{ print $1, $3 - 4 }') \
        <(records y.erf | awk '{ print $1, $3 }')
}

# ---- tags and FCS --------------------------------------------------------

@test "process: --strip vlan leaves what was between the tags" {
    need tshark
    at-convert --strip vlan "$TEST_DATA/vlan.pcap" x.pcap 2>said
    grep -q ' packets stripped of tags' said
    [ -z "$(tcpdump -r x.pcap vlan 2>/dev/null)" ]
    diff <(fields "$TEST_DATA/vlan.pcap" eth.src ip.src ip.dst ip.id \
        tcp.seq_raw udp.srcport arp.src.proto_ipv4) \
        <(fields x.pcap eth.src ip.src ip.dst ip.id tcp.seq_raw udp.srcport \
            arp.src.proto_ipv4)
    # 4 bytes less for each tag, captured and on the wire
    diff <(fields "$TEST_DATA/vlan.pcap" frame.len frame.cap_len \
        frame.protocols |
        awk -F '\t' '{ t = 4 * gsub(/:(vlan|ieee8021ad)/, "", $3)
                       print $1 - t, $2 - t }') \
        <(fields x.pcap frame.len frame.cap_len | tr '\t' ' ')
}

@test "process: --fcs add makes frames that tshark finds right, strip undoes it" {
    need tshark
    at-convert -q --fcs add "$TEST_DATA/tls.pcap" more.pcap
    tshark -n -r more.pcap -o eth.fcs:Always -o eth.check_fcs:TRUE -T fields \
        -e eth.fcs.status 2>/dev/null | sort -u >status
    echo 1 | diff - status # good
    at-convert -q --fcs strip more.pcap less.pcap
    diff <(records "$TEST_DATA/tls.pcap") <(records less.pcap)
}

@test "process: --fcs add of a capture that was cut changes lengths on the wire" {
    at-convert -q --fcs add "$TEST_DATA/bulk-s96.pcap" x.pcap
    diff <(fields "$TEST_DATA/bulk-s96.pcap" frame.len frame.cap_len |
        awk '{ print $1 + 4, $1 == $2 ? $2 + 4 : $2 }') \
        <(fields x.pcap frame.len frame.cap_len | tr '\t' ' ')
}

# ---- checksums -----------------------------------------------------------

@test "process: verdicts on checksums are tshark's" {
    need tshark
    cp "$TEST_DATA"/*.pcap .
    for f in "$TEST_DATA"/*.pcap.gz; do
        gunzip -c "$f" >"$(basename "$f" .gz)"
    done
    # one byte in forty changed, behind the Ethernet header
    python3 - http.pcap ipv6.pcap sctp.pcap icmp.pcap <<'END'
import random, struct, sys
random.seed(1)
for name in sys.argv[1:]:
    data = bytearray(open(name, "rb").read())
    at = 24
    while at < len(data):
        cap, = struct.unpack_from("<I", data, at + 8)
        if cap > 34 and random.random() < 0.3:
            data[at + 16 + random.randrange(34, cap)] ^= 1 << random.randrange(8)
        at += 16 + cap
    open("damaged-" + name, "wb").write(data)
END
    run python3 "$TOP/test/checksums.py" ./*.pcap
    echo "$output"
    [ "$status" -eq 0 ]
    at-convert --checksum drop damaged-http.pcap out.pcap 2>said
    grep -qE '[1-9][0-9]+ packets with a bad checksum dropped' said
}

# ---- direction -----------------------------------------------------------

@test "process: directions are the interfaces of ERF" {
    at-convert --direction 'filter:dst port 53' "$TEST_DATA/dns.pcap" x.erf \
        2>said
    # type, flags: bits 0 and 1 are the interface
    python3 - x.erf >got <<'END'
import struct, sys
data, at, n = open(sys.argv[1], "rb").read(), 0, [0, 0, 0, 0]
while at < len(data):
    n[data[at + 9] & 3] += 1
    at += struct.unpack_from(">H", data, at + 10)[0]
print(*n)
END
    out=$(tcpdump -r "$TEST_DATA/dns.pcap" 'dst port 53' 2>/dev/null | wc -l)
    all=$(at-info -c "$TEST_DATA/dns.pcap" | grep -oE '[0-9]+' | tail -1)
    [ "$out" -gt 0 ]
    echo "$out $((all - out)) 0 0" | diff - got
    grep -q " $out packets out, $((all - out)) packets in" said
}

@test "process: pcap cannot hold a direction, which is said" {
    run --separate-stderr at-convert --direction port "$TEST_DATA/http.pcap" \
        x.pcap
    [ "$status" -eq 0 ]
    [[ "$stderr" == *" directions cannot be held by pcap"* ]]
    run --separate-stderr at-convert --strict --direction port \
        "$TEST_DATA/http.pcap" y.pcap
    [ "$status" -eq 1 ]
    [ ! -e y.pcap ]
}
