#!/usr/bin/env bats
# at-split as a user meets it

# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; run sets them
# shellcheck disable=SC1083 # fields of names, not braces of the shell

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# The names of the files in a folder and below, in one line.
names() { # folder
    (cd "$1" && find . -type f | sort | sed 's|^\./||' | tr '\n' ' ')
}

# ---- the command line ----------------------------------------------------

@test "at-split: wrong options" {
    for args in '-o x a' '-c 10 a' '-c 10 -o x' '-c 0 -o x a' '-b 0 -o x a' \
        '-i 0 -o x a' '-i -1s -o x a' '-c ten -o x a' '--by color -o x a' \
        '--by flow -c 3 -o x a' '-c 1 -o x/ a' '-c 1 -o - a' '-c 1 -o "" a' \
        '-c 1 -o x-{m} a' '-c 1 -o x-{n a' '-c 1 -o x-%Q a' '-c 1 -o x% a' \
        '-c 1 -o x-%D a' '-c 1 -o x-{key} a' '-c 1 -m 0 -o x a' \
        '-c 1 -F snoop -o x a' '-c 1 -f udp\ porz -o x a' ''; do
        eval "run --separate-stderr at-split $args"
        [ "$status" -eq 2 ] || { echo "$args: $status"; false; }
        [ -z "$output" ]
        [[ "${stderr_lines[0]}" == "at-split: "* ]]
        [ -z "$(find . -name 'x*')" ]
    done
    run at-split -h
    [ "$status" -eq 0 ]
    [[ "$output" == *"--maxfiles"* ]]
}

# ---- one after the other -------------------------------------------------

@test "at-split: by count, the pieces together are the input" {
    mkdir o
    "$SYNTH" -n 2500 --snap 94 a.erf
    at-split -c 1k -o o/p.erf a.erf 2>said
    [ "$(names o)" = "p-00001.erf p-00002.erf p-00003.erf " ]
    [[ "$(cat said)" == "at-split: 2,500 packets, "*", 3 pieces" ]]
    for i in 1 2 3; do
        records o/p-0000$i.erf | wc -l
    done | tr '\n' ' ' >counts
    [ "$(cat counts)" = "1000 1000 500 " ]
    cat o/*.erf | cmp - a.erf
    at-split -q -c 700 -o o/q-{n}.erf.gz a.erf
    zcat o/q-*.gz | cmp - a.erf
    # exactly so many packets make no empty piece
    at-split -q -c 1250 -o o/r{n}.erf a.erf
    [ "$(find o -name 'r*' | wc -l)" -eq 2 ]
}

@test "at-split: by size, no piece is larger" {
    mkdir o
    at-convert -q -n 400 "$TEST_DATA/http.pcap" x.pcap
    at-convert -q -n 400 "$TEST_DATA/link.erf" x.erf
    at-convert -q x.erf x.pcapng
    for in in x.*; do
        for out in erf pcap pcapng; do
            at-split -q -b 20k -o o/{n}.$out "$in"
            [ "$(find o -size +20000c | wc -l)" -eq 0 ]
            # nor are there more than need be
            bytes=$(cat o/* | wc -c)
            [ "$(find o -type f | wc -l)" -gt 5 ]
            [ "$(find o -type f | wc -l)" -le $((bytes / 17000 + 1)) ]
            at-merge -q --sequence -o got.pcap o/*
            at-convert -q "$in" want.pcap
            diff <(records got.pcap) <(records want.pcap)
            rm o/*
        done
    done
    at-split -q -n 30 -b 10 -o o/{n}.pcap x.pcap # a packet in each
    [ "$(find o -type f | wc -l)" -eq 30 ]
}

@test "at-split: by time, at the full minutes, and a pause makes no pieces" {
    mkdir o
    text_packets a.pcap 59000:a 60000:b 61000:c 119999:d 86400000:e 86460000:f \
        86459999:late 86461000:g
    at-split -i 1m -o o/{n}-%FT%H%M%SZ.pcap a.pcap 2>said
    [ "$(names o)" = "00001-1970-01-01T000000Z.pcap 00002-1970-01-01T000100Z.pcap \
00003-1970-01-02T000000Z.pcap 00004-1970-01-02T000100Z.pcap " ]
    for f in o/*; do texts "$f"; done | tr '\n' '|' >got
    [ "$(cat got)" = "a|b c d|e|f late g|" ]
    grep -q ', 4 pieces, 1 packet late$' said
    # names by the interval alone
    at-split -q -i 1d -o o/day-%j.pcap a.pcap
    [ "$(texts o/day-001.pcap)" = "a b c d" ]
    [ "$(texts o/day-002.pcap)" = "e f late g" ]
    # what comes first
    at-split -q -i 1d -c 3 -o o/x.pcap a.pcap
    for f in o/x-*; do texts "$f"; done | tr '\n' '|' >got
    [ "$(cat got)" = "a b c|d|e f late|g|" ]
}

@test "at-split: --local goes by the clock of the zone, also where it is put back" {
    mkdir o
    # 2026-10-25 01:00Z clocks in Berlin go from 03:00 to 02:00; midnight is
    # 22:00Z before and 23:00Z after
    text_packets a.pcap $((1792879200 * 1000 - 1)):a $((1792879200 * 1000)):b \
        $((1792890000 * 1000)):c $((1792969200 * 1000 - 1)):d \
        $((1792969200 * 1000)):e
    TZ=Europe/Berlin at-split -q --local -i 1d -o o/%F.pcap a.pcap
    [ "$(names o)" = "2026-10-24.pcap 2026-10-25.pcap 2026-10-26.pcap " ]
    [ "$(texts o/2026-10-25.pcap)" = "b c d" ]
    rm o/*
    text_packets b.pcap $((1792886400 * 1000 - 1)):a $((1792886400 * 1000)):b \
        $((1792890000 * 1000 - 1)):c $((1792890000 * 1000)):d
    TZ=Europe/Berlin at-split -q --local -i 1h -o o/%H%M%z.pcap b.pcap
    [ "$(names o)" = "0100+0200.pcap 0200+0100.pcap 0200+0200.pcap " ] ||
        { names o; false; }
}

@test "at-split: META records stand at the start of each piece" {
    python3 - >a.erf <<'END'
import struct, sys
def record(kind, body, ext=b"", wire=60, ts=0):
    kind |= 0x80 if ext else 0
    return struct.pack("<QBB", ts, kind, 4) + struct.pack(
        ">HHH", 16 + len(ext) + len(body), 0, wire) + ext + body
def meta(section, text, host=1, ts=0):
    body = struct.pack(">HH", section, 0) + text.ljust(12, b"\0")
    return record(27, body, bytes([17, 0, 0, 0, 0, 0, 0, host]), len(body), ts)
out = [meta(1, b"capture"), meta(2, b"old"), meta(2, b"other host", 2)]
for i in range(30):
    out.append(record(2, bytes(2) + b"%060d" % i, ts=(i + 1) << 32))
    if i == 12:
        out.append(meta(2, b"new", ts=(i + 1) << 32))
sys.stdout.buffer.write(b"".join(out))
END
    mkdir o
    at-split -q -c 10 -o o/p.erf a.erf
    [ "$(grep -c . <(strings -n 3 o/p-00001.erf | grep -E 'capture|old|other'))" -eq 3 ]
    [ "$(strings -n 3 o/p-00002.erf | grep -vE '^0+' | tr '\n' ' ')" = \
        "capture old other host new " ]
    [ "$(strings -n 3 o/p-00003.erf | grep -vE '^0+' | tr '\n' ' ')" = \
        "capture new other host " ]
    # a piece that holds all is all
    at-split -q -c 100 -o o/q.erf a.erf
    cmp o/q-00001.erf a.erf
    # without packets
    head -c 120 a.erf >meta.erf
    at-split -q -c 10 -o o/m.erf meta.erf
    cmp o/m-00001.erf meta.erf
}

@test "at-split: pcapng pieces have descriptions, names and secrets" {
    need tshark editcap
    at-convert -q -F pcapng "$TEST_DATA/link.erf" a.pcapng
    echo 'CLIENT_RANDOM 01 02' >keys
    editcap --inject-secrets tls,keys a.pcapng b.pcapng
    mkdir o
    at-split -q -c 500 -o o/p.pcapng b.pcapng
    [ "$(find o -type f | wc -l)" -eq 5 ]
    for f in o/*; do
        [ "$(grep -c 'CLIENT_RANDOM 01 02' "$f")" -eq 1 ]
        tshark -nr "$f" -T fields -e frame.time_epoch -e frame.interface_name \
            -e frame.len -e ip.id -e frame.cap_len
    done >got
    tshark -nr b.pcapng -T fields -e frame.time_epoch -e frame.interface_name \
        -e frame.len -e ip.id -e frame.cap_len | diff - got
    # one piece of all is the file
    at-split -q -c 1M -o o/all.pcapng b.pcapng
    tail -c +25 b.pcapng | cmp - <(tail -c +25 o/all-00001.pcapng)
}

@test "at-split: pieces of corpus captures together are the input" {
    need_corpus
    awk -F '\t' 'NR > 1 && $3 == "ok" && $4 == "yes" && $5 > 20 { print $1 }' \
        "$CORPUS/GROUND_TRUTH.tsv" | awk 'NR % 17 == 0' | head -n 30 >files
    [ "$(wc -l <files)" -ge 20 ]
    mkdir o
    while read -r f; do
        at-info --json "$CORPUS/$f" >info
        format=$(sed 's/.*"format":"\([a-z-]*\)".*/\1/' info)
        for how in '-c 7' '-b 3000' '-i 1s'; do
            # shellcheck disable=SC2086 # two words
            at-split -q -F $format $how -o o/{n} "$CORPUS/$f"
            at-merge -q -F "$format" --sequence -o whole "$CORPUS/$f"
            at-merge -q -F "$format" --sequence -o again o/*
            if [ "$format" = pcapng ]; then
                at-diff -q whole again
            else
                # a pcap of many inputs has another snapshot length
                [[ $format = erf ]] || [[ $(head -c 16 whole | od) == \
                    $(head -c 16 again | od) ]]
                cmp <(tail -c +25 whole) <(tail -c +25 again)
            fi
            rm o/*
        done
    done <files
}

# ---- side by side --------------------------------------------------------

@test "at-split: by flow and host, as tshark filters them" {
    need tshark
    mkdir o
    at-split -q --by flow -o o/{key}.pcap "$TEST_DATA/http.pcap"
    for f in o/tcp-*.pcap; do
        IFS=- read -r _ a ap b bp < <(basename "$f" .pcap)
        tshark -nr "$TEST_DATA/http.pcap" -w want.pcap -F nsecpcap \
            "ip.addr == $a && ip.addr == $b && tcp.port == $ap && tcp.port == $bp" ||
            continue
        diff <(records "$f") <(records want.pcap)
        # who sent first is named first
        [ "$(tshark -nr "$f" -c 1 -T fields -e ip.src)" = "$a" ]
    done
    diff <(for f in o/*; do records "$f"; done | sort) \
        <(records "$TEST_DATA/http.pcap" | sort)
    rm o/*
    at-split -q --by host -o o/{key}.pcap "$TEST_DATA/http.pcap"
    [ -e o/192.0.2.10.pcap ]
    for f in o/*[0-9].[0-9]*.pcap; do
        host=$(basename "$f" .pcap)
        tcpdump_filtered "$TEST_DATA/http.pcap" want.pcap \
            "ip host $host or arp host $host"
        diff <(records "$f") <(records want.pcap)
    done
}

@test "at-split: fragments are in the piece of their flow" {
    mkdir o
    at-split -q --by flow -o o/{key}.pcap "$TEST_DATA/fragments.pcap"
    n=$(tcpdump -nr "$TEST_DATA/fragments.pcap" 'ip[6:2] & 0x1fff != 0' 2>/dev/null |
        wc -l)
    [ "$n" -gt 0 ]
    for f in o/*; do
        tcpdump -nr "$f" 'ip[6:2] & 0x3fff != 0' 2>/dev/null | wc -l
    done | grep -vx 1 | grep -qv '^0$'
    [ "$(find o -name '*-0-*' | wc -l)" -eq 0 ]
}

@test "at-split: by application, as at-query finds it, whatever the order and threads" {
    for in in mail-ntp-ftp.pcap lan.pcap vlan.pcap fragments.pcap bulk-s96.pcap; do
        rm -rf o && mkdir o
        at-split -q --by app -o o/{key}.pcap "$TEST_DATA/$in"
        at-app -q --format csv --fields app "$TEST_DATA/$in" | sed 1d | sort -u >apps
        [ "$(wc -l <apps)" -gt 1 ]
        while read -r app; do
            at-query -q -w want.pcap "$TEST_DATA/$in" "app $app"
            diff <(records "o/$app.pcap") <(records want.pcap) ||
                { echo "$in: $app"; false; }
        done <apps
        # what is not IP is there too, once
        (cd o && ls) | sed 's/[.]pcap$//' | grep -v '^ethertype-' | sort | diff - apps
        at-merge -q -o all.pcap o/*
        diff <(records all.pcap | sort) <(records "$TEST_DATA/$in" | sort)
        for j in 1 2 3 8; do
            rm -rf p && mkdir p
            at-split -q -j $j --by app -o p/{key}.pcap - <"$TEST_DATA/$in"
            diff -r o p
        done
        no_leftovers
    done
}

@test "at-split: by application more than fits in memory waits on disk" {
    mkdir o p
    "$SYNTH" -n 200k --flows 20000 a.erf
    at-split -q --by app -o o/{key}.erf a.erf
    [ "$(find o -type f | wc -l)" -gt 8 ]
    cat o/* | wc -c | diff - <(wc -c <a.erf)
    for f in o/*; do
        at-query -q -w want.erf a.erf "app $(basename "$f" .erf)"
        cmp "$f" want.erf
    done
    # 100 MB are more than the packets that may wait in memory
    at-split -q --by app -f 'tcp' -o p/{key}.erf a.erf a.erf
    cat p/* | wc -c >got
    at-convert -q -f tcp a.erf tcp.erf
    [ "$(cat got)" -eq $((2 * $(wc -c <tcp.erf))) ]
}

@test "at-split: by application, rules of one's own" {
    printf 'app ours lab "our own"\n  tcp @80 "GET "\n' >our.rules
    mkdir o
    at-split -q --by app --rules our.rules -o o/{key}.pcap "$TEST_DATA/http.pcap"
    [ -s o/ours.pcap ]
    for f in o/*; do
        at-app -q --rules our.rules --format csv --fields app "$f" | sed 1d | sort -u
    done >got
    (cd o && ls) | sed -n '/^ethertype-/!s/[.]pcap$//p' | diff - got
    run --separate-stderr at-split --by flow --rules our.rules -o x.pcap \
        "$TEST_DATA/http.pcap"
    [ "$status" -eq 2 ]
    printf 'app ours lab "our own"\n  tcp @80 nonsense\n' >our.rules
    run --separate-stderr at-split --by app --rules our.rules -o x-{key}.pcap \
        "$TEST_DATA/http.pcap"
    [ "$status" -eq 2 ]
    [[ $stderr == *'our.rules: line 2, at '* ]]
    [ -z "$(find . -name 'x*')" ]
}

@test "at-split: by application, META records stand at the start of each piece" {
    at-convert -q "$TEST_DATA/mail-ntp-ftp.pcap" x.pcapng
    mkdir o
    at-split -q --by app -o o/{key}.pcapng x.pcapng
    for f in o/*; do
        [[ "$f" != o/ethertype-* ]] || continue
        at-query -q -w want.pcap x.pcapng "app $(basename "$f" .pcapng)"
        at-convert -q "$f" got.pcap
        diff <(records got.pcap) <(records want.pcap)
    done
}

@test "at-split: by direction, also as a rule tells it" {
    mkdir o
    at-split -q --by direction -o o/{key}.erf "$TEST_DATA/link.erf"
    [ "$(names o)" = "in.erf out.erf " ]
    python3 - o/out.erf 0 o/in.erf 1 <<'END'
import struct, sys
for name, want in zip(sys.argv[1::2], sys.argv[2::2]):
    data, at = open(name, "rb").read(), 0
    while at < len(data):
        assert data[at + 9] & 3 == int(want)
        at += struct.unpack_from(">H", data, at + 10)[0]
END
    diff <({ records o/in.erf; records o/out.erf; } | sort) \
        <(records "$TEST_DATA/link.erf" | sort)
    at-split -q --by direction --direction 'filter:dst port 53' \
        -o o/dns-{key}.pcap "$TEST_DATA/dns.pcap"
    tcpdump_filtered "$TEST_DATA/dns.pcap" want.pcap dst port 53
    diff <(records o/dns-out.pcap) <(records want.pcap)
}

@test "at-split: by stream, each input is a piece again" {
    mkdir o in
    cp "$TEST_DATA"/{dns,http,lan,tls}.pcap in
    at-split -q --by stream -o o/{key}.pcap in/*.pcap
    for f in dns http lan tls; do
        diff <(records in/$f.pcap) <(records o/$f.pcap)
    done
    # names that are no good as they are
    mkdir bad
    cp in/dns.pcap 'bad/..a b;c$(x).pcap'
    cp in/dns.pcap bad/dns.pcap
    at-split -q --by stream -o o/s-{stream}.pcap bad/..a* bad/* in/dns.pcap - <in/lan.pcap
    [ "$(names o | tr ' ' '\n' | grep ^s- | tr '\n' ' ')" = \
        's-_.a_b_c__x_.pcap s-dns-2.pcap s-dns.pcap s-stdin.pcap ' ]
}

@test "at-split: more pieces than files may be open, the same with little memory" {
    mkdir o
    "$SYNTH" -n 5000 --snap 94 --flows-packets 5 a.erf
    (ulimit -n 60; at-split -q --by flow -o o/{n}.erf a.erf)
    [ "$(find o -type f | wc -l)" -gt 500 ]
    find o -type f -exec cat {} + >all.erf
    diff <(records all.erf | sort) <(records a.erf | sort) >differ
    no_leftovers
}

@test "at-split: --jump keeps what begins with an inner IP header" {
    need tshark
    mkdir o
    at-split -c 1M --jump 2 -o o/x.pcap "$TEST_DATA/vxlan.pcap" 2>said
    # errors quote a packet; the outer ones are fragments now and then
    tshark -nr o/x-00001.pcap -Y '!(icmp.type == 3)' -T fields -e ip.src \
        -e ip.dst -e ip.id >got
    tshark -nr "$TEST_DATA/vxlan.pcap" -Y 'vxlan && ip && !(icmp.type == 3)' \
        -T fields -e ip.src -e ip.dst -e ip.id -E occurrence=l |
        grep '^10[.]42' >want
    [ "$(wc -l <want)" -gt 40 ]
    diff want got
    grep -q ', 1 piece, 7 packets without such an IP header left out$' said
    for out in erf pcapng; do
        at-split -q -c 1M --jump 2 -o o/x.$out "$TEST_DATA/vxlan.pcap"
        tshark -nr o/x-00001.$out -T fields -e ip.src -e ip.dst -e ip.id |
            tr -d '\t' | diff - <(tshark -nr o/x-00001.pcap -T fields -e ip.src \
            -e ip.dst -e ip.id | tr -d '\t')
    done
}

# ---- names ---------------------------------------------------------------

@test "at-split: folders are made, files that are there stay" {
    text_packets a.pcap 1000:a 2000:b 90000000:c
    at-split -q -i 1d -o out/%Y/%j/x.pcap.gz a.pcap
    [ "$(names out)" = "1970/001/x.pcap.gz 1970/002/x.pcap.gz " ]
    cp out/1970/002/x.pcap.gz before
    run --separate-stderr at-split -q -i 1d -o out/1970/%j/x.pcap.gz a.pcap
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == "at-split: out/1970/001/x.pcap.gz: is there already"* ]]
    at-split -q --overwrite -i 1d -F erf -Z none -o out/1970/%j/x.pcap.gz a.pcap
    [ "$(at-info --json out/1970/002/x.pcap.gz | grep -c '"format":"erf"')" -eq 1 ]
    # never what is being read
    cp a.pcap 1970.pcap
    run --separate-stderr at-split -q --overwrite -i 1d -o %Y.pcap 1970.pcap
    [ "$status" -eq 1 ]
    [[ "$stderr" == "at-split: 1970.pcap: is both input and output" ]]
    cmp a.pcap 1970.pcap
    # the same name twice
    at-split -q -i 1d -o %Y-x.pcap a.pcap
    [ "$(texts 1970-x.pcap) $(texts 1970-x-2.pcap)" = "a b c" ]
    no_leftovers
}

@test "at-split: -m ends it, by key the others are left out" {
    mkdir o
    text_packets a.pcap 1:a 2:b 3:c 4:d 5:e
    at-split -q -c 2 -m 2 -o o/x.pcap a.pcap
    [ "$(names o)" = "x-00001.pcap x-00002.pcap " ]
    rm o/*
    at-split --by flow -m 3 -o o/x.pcap "$TEST_DATA/http.pcap" 2>said
    [ "$(find o -type f | wc -l)" -eq 3 ]
    grep -q ', 3 pieces, [0-9,]* packets of further pieces left out$' said
}

# ---- what does not go well -----------------------------------------------

@test "at-split: a damaged input gives its beginning; with --salvage all that is good" {
    mkdir o
    "$SYNTH" -n 2000 --snap 94 a.erf
    at=$(python3 -c 'import struct
data, at = open("a.erf", "rb").read(), 0
for _ in range(1000):
    at += struct.unpack_from(">H", data, at + 10)[0]
print(at)')
    printf '\377\377\377\377\377\377\377\377\377\377\0\1' |
        dd of=a.erf bs=1 seek="$at" conv=notrunc status=none
    for how in '-c 300' '--by direction'; do
        # shellcheck disable=SC2086 # two words
        run --separate-stderr at-split -q $how -o o/{n}.erf a.erf
        [ "$status" -eq 1 ]
        one_message
        [[ "$stderr" == "at-split: a.erf: "* ]]
        cat o/* >all.erf
        [ "$(records all.erf | wc -l)" -eq 1000 ]
        rm o/*
        # shellcheck disable=SC2086
        run --separate-stderr at-split -q --salvage $how -o o/{n}.erf a.erf
        [ "$status" -eq 1 ]
        cat o/* >all.erf
        [ "$(records all.erf | wc -l)" -ge 1998 ]
        rm o/*
    done
    run --separate-stderr at-split -q -c 3 -o o/x.erf none.erf
    [ "$status" -eq 1 ]
    one_message
    run --separate-stderr at-split -q --salvage -c 3M -o o/x.erf none.erf \
        "$TEST_DATA/link.erf"
    [ "$status" -eq 1 ]
    cmp o/x-00001.erf "$TEST_DATA/link.erf"
}

@test "at-split: a full disk is an error" {
    for how in '-c 300' '--by flow' '--by direction'; do
        ln -sf /dev/full full-00001.erf
        # shellcheck disable=SC2086 # two words
        run --separate-stderr at-split -q $how -o full-{n}.erf "$TEST_DATA/link.erf"
        [ "$status" -eq 1 ]
        one_message
        [[ "$stderr" == *"full-00001.erf: cannot write"* ]]
        rm -f full*
        rm -f /dev/full0*
    done
    no_leftovers
}

@test "at-split: a signal leaves the complete pieces, and by key none" {
    "$SYNTH" -n 60000 --snap 94 a.erf
    for how in '-c 20000' '--by direction' '--by flow'; do
        mkdir o
        rm -f pipe
        mkfifo pipe
        (while cat a.erf; do :; done) >pipe 2>/dev/null 3>&- &
        writer=$!
        # shellcheck disable=SC2086 # two words
        at-split -q $how -o o/{n}.erf pipe 3>&- &
        splitter=$!
        sleep 1
        kill -TERM $splitter
        wait $splitter || true
        kill $writer || true
        (cd o && no_leftovers)
        if [ "$how" = '-c 20000' ]; then
            [ "$(find o -type f | wc -l)" -ge 1 ]
            for f in $(find o -type f | sort | head -n 3); do
                [ "$(records "$f" | wc -l)" -eq 20000 ]
            done
        else
            [ -z "$(ls o)" ]
        fi
        rm -r o
    done
}

# ---- threads -------------------------------------------------------------

@test "at-split: the pieces are the same for any number of threads" {
    "$SYNTH" -n 30000 --snap 94 a.erf
    at-convert -q -Z zstd a.erf a.erf.zst
    at-convert -q a.erf a.pcapng.gz
    for how in '-c 7k' '-b 300k' '-i 50ms' '--by direction' '--by host' '--by flow'; do
        for in in a.erf.zst a.pcapng.gz; do
            for j in 1 2 3 8; do
                mkdir -p o$j
                # shellcheck disable=SC2086 # two words
                at-split -q -j $j $how -m 40 -o "o$j/{n}-{stream}.erf.gz" $in
                [ $j = 1 ] || diff -r o1 o$j
                [ $j = 1 ] || rm -r o$j
            done
            [ "$(find o1 -type f | wc -l)" -ge 2 ]
            rm -r o1
        done
    done
}
