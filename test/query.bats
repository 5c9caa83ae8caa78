#!/usr/bin/env bats
# at-query, at-index and at-archive list as a user meets them

setup_file() {
    load helpers
    cd "$BATS_FILE_TMPDIR" || return
    mkdir data
    cp "$TEST_DATA"/*.pcap "$TEST_DATA"/*.erf "$TEST_DATA"/*.gz data/
    at-ingest -q --flush archive data/*.pcap data/*.gz
    at-ingest -q --flush --stream link archive data/link.erf
    mkdir indexed
    cp data/* indexed/
    at-index -q indexed/*
}

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    ARCHIVE=$BATS_FILE_TMPDIR/archive
    DATA=$BATS_FILE_TMPDIR/data
    INDEXED=$BATS_FILE_TMPDIR/indexed
    COLUMNS_ALL=start,end,duration,proto,src,sport,dst,dport,packets_out
    COLUMNS_ALL+=,packets_in,bytes_out,bytes_in,flags_out,flags_in,app,vlan
    COLUMNS_ALL+=,state,stream
}

# Rows of a flow listing without the name of what they were found in
rows() { # at-query arguments
    at-query --format csv --fields "${COLUMNS_ALL%,stream}" "$@"
}

# A copy of the archive that a test may damage
own_archive() {
    cp -a "$ARCHIVE" mine
}

# Every file below a folder, what it holds and when it was changed
tree_state() { # folder
    find "$1" -type f -printf '%p %T@ ' -exec sha256sum {} \; | sort
    find "$1" -printf '%p\n' | sort
}

# ---- columns and formats

@test "query: csv has the columns of the manual in their order" {
    run at-query --format csv "$DATA/dns.pcap"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "$COLUMNS_ALL" ]
    [ "$(at-query --count "$DATA/dns.pcap")" -eq $((${#lines[@]} - 1)) ]
}

@test "query: table and json have the same columns and the same values" {
    need jq
    for f in tls vlan icmp sctp; do
        at-query --format csv "$DATA/$f.pcap" >"$f.csv"
        at-query "$DATA/$f.pcap" >table
        [ "$(head -n 1 table | tr -s ' ' ,)" = "$COLUMNS_ALL" ]
        sed 's/  */,/g' table >table.csv
        sed ':a; s/,,/,-,/; ta; s/,$/,-/' "$f.csv" | diff - table.csv
        at-query --json "$DATA/$f.pcap" >json
        [ "$(head -n 1 json | jq -r 'keys_unsorted | join(",")')" = \
            "$COLUMNS_ALL" ]
        # jq's numbers are doubles: a duration is compared as text instead
        jq -r '[.[] | tostring] | join(",")' <<<"$(sed \
            's/"duration":\([0-9.]*\)/"duration":"\1"/; s/null//g;
             s/:,/:"",/g' json)" | diff <(tail -n +2 "$f.csv") -
        at-query --format json "$DATA/$f.pcap" | cmp - json
    done
}

@test "query: numbers are numbers in json and times are strings" {
    need jq
    at-query --json "$DATA/tls.pcap" | jq -es '
        all(.[]; (.packets_out | type) == "number" and
            (.bytes_in | type) == "number" and (.sport | type) == "number" and
            (.duration | type) == "number" and (.start | type) == "string" and
            (.start | test("^2026-03-01T09:40:[0-9]{2}\\.[0-9]{9}Z$")))'
}

@test "query: start, end and duration are exact to the nanosecond" {
    at-query --format csv --fields start,end,duration -e 'udp port 53' \
        "$DATA/tls.pcap" | sed -n 2p >got
    records "$DATA/tls.pcap" | sort -n >all
    IFS=, read -r start end duration <got
    python3 - "$start" "$end" "$duration" all <<'END'
import calendar, sys, time
def ns(text):
    sec, frac = text.rstrip("Z").split(".")
    return calendar.timegm(time.strptime(sec, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(frac)
start, end = ns(sys.argv[1]), ns(sys.argv[2])
known = {int(line.split()[0]) for line in open(sys.argv[4])}
assert start in known and end in known, "no packet has that time"
assert "%d.%09d" % divmod(end - start, 10**9) == sys.argv[3]
END
}

@test "query: --fields chooses columns and their order" {
    run at-query --format csv --fields dst,src,bytes_out "$DATA/ssh.pcap"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = dst,src,bytes_out ]
    at-query --format csv "$DATA/ssh.pcap" | awk -F, '{ print $7","$5","$11 }' |
        diff - <(printf '%s\n' "$output")
    run --separate-stderr at-query --fields src,colour "$DATA/ssh.pcap"
    [ "$status" -eq 2 ]
    [[ "$stderr" == "at-query: "*"'colour'"* ]]
    [ -z "$output" ]
    run at-query --fields '' "$DATA/ssh.pcap"
    [ "$status" -eq 2 ]
    run at-query --fields src,,dst "$DATA/ssh.pcap"
    [ "$status" -eq 2 ]
}

@test "query: rows are in order of start" {
    at-query --format csv --fields start "$ARCHIVE" | tail -n +2 >starts
    sort -c starts
    [ "$(wc -l <starts)" -gt 1000 ]
}

@test "query: --limit cuts the listing, --count does not print it" {
    at-query --format csv "$ARCHIVE" >all
    at-query --format csv --limit 7 "$ARCHIVE" | cmp - <(head -n 8 all)
    at-query --format csv --limit 0 "$ARCHIVE" | cmp - <(head -n 1 all)
    [ "$(at-query --count "$ARCHIVE")" -eq $(($(wc -l <all) - 1)) ]
    [ "$(at-query --count "$ARCHIVE" tcp port 443)" -eq \
        "$(at-query --format csv "$ARCHIVE" tcp port 443 | tail -n +2 | wc -l)" ]
}

@test "query: a name that a spreadsheet would take apart is quoted in csv" {
    need jq
    name=$'a,"b".pcap'
    cp "$DATA/lan.pcap" "$name"
    at-query --format csv --limit 1 "$name" | grep -q ',"a,""b"".pcap"$'
    at-query --json --limit 1 "$name" | jq -e '.stream == "a,\"b\".pcap"'
}

# ---- packets

@test "query: -w writes the packets that tcpdump picks, in every format" {
    need tcpdump
    tcpdump_filtered "$DATA/http.pcap" want.pcap tcp port 80
    for out in a.erf a.pcap a.erf.gz a.pcap.gz; do
        run --separate-stderr at-query -w "$out" -e 'tcp port 80' "$DATA/http.pcap"
        [ "$status" -eq 0 ]
        [ -z "$output" ]
        diff <(records want.pcap) <(records "$out")
    done
    at-query -q -F pcap-us -w us "$DATA/http.pcap" tcp port 80
    diff <(records want.pcap) <(records us)
    at-query -q -F pcap -w - "$DATA/http.pcap" tcp port 80 >std
    cmp std a.pcap
    at-query -q -F erf -Z bgzf:9 -w - "$DATA/http.pcap" tcp port 80 >std.erf.gz
    gzip -t std.erf.gz
    diff <(records want.pcap) <(records std.erf.gz)
    gzip -dc a.pcap.gz | cmp - a.pcap
    no_leftovers
}

@test "query: ERF goes through byte for byte" {
    at-query -q -w out.erf "$DATA/link.erf"
    cmp out.erf "$DATA/link.erf"
    at-query -q -w out.erf "$INDEXED/link.erf"
    cmp out.erf "$DATA/link.erf"
    at-query -q -w out.erf --from 2026-03-01T11:59:00Z --to 2026-03-01T12:01Z \
        -e 'ether[12:2] >= 0' "$ARCHIVE"
    cmp out.erf "$DATA/link.erf"
}

@test "query: --count with -w counts packets and writes nothing" {
    run --separate-stderr at-query --count -w out.pcap "$DATA/http.pcap"
    [ "$status" -eq 0 ]
    [ "$output" = 1090 ]
    [ ! -e out.pcap ]
}

@test "query: a count that was interrupted is not printed" {
    need python3
    run --separate-stderr python3 - "$DATA/http.pcap" <<'EOF'
import signal, subprocess, sys, time
p = subprocess.Popen(["at-query", "-q", "--count", "-w", "x", "-"],
                     stdin=subprocess.PIPE)
with open(sys.argv[1], "rb") as f:
    p.stdin.write(f.read())
p.stdin.flush()
time.sleep(1)
p.send_signal(signal.SIGINT)
p.stdin.close()
code = p.wait()
sys.exit(code if code >= 0 else 128 - code)
EOF
    [ "$status" -eq 130 ]
    [ -z "$output" ]
}

@test "query: -n stops after so many packets" {
    at-query -q -n 5 -w out.pcap "$DATA/http.pcap" tcp
    [ "$(records out.pcap | wc -l)" -eq 5 ]
    at-query -q -w all.pcap "$DATA/http.pcap" tcp
    diff <(records out.pcap) <(records all.pcap | head -n 5)
}

@test "query: an empty answer is a header, a valid file, a count of 0" {
    run --separate-stderr at-query --format csv "$ARCHIVE" host 203.0.113.200
    [ "$status" -eq 0 ]
    [ "$output" = "$COLUMNS_ALL" ]
    run --separate-stderr at-query --json "$ARCHIVE" host 203.0.113.200
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    [ "$(at-query --count "$ARCHIVE" host 203.0.113.200)" = 0 ]
    for out in none.pcap none.pcap.gz none.erf; do
        at-query -q -w "$out" "$ARCHIVE" host 203.0.113.200
        [ -z "$(records "$out")" ]
    done
    [ "$(stat -c %s none.pcap)" -eq 24 ]
    [ "$(stat -c %s none.erf)" -eq 0 ]
    tcpdump -r none.pcap 2>/dev/null | wc -l | grep -qx 0
    at-query -q -w none.pcap --from 2020-01-01 --to 2020-01-02 "$ARCHIVE"
    [ "$(stat -c %s none.pcap)" -eq 24 ]
}

@test "query: streams and files are merged by time" {
    at-query -q -w two.pcap "$DATA/ssh.pcap" "$DATA/ssh.pcap"
    records "$DATA/ssh.pcap" | sed p | sort >want
    records two.pcap | sort | diff want -
    at-query -q -F pcap -w merged.pcap "$ARCHIVE"
    records "$DATA"/link.erf >all.records
    for f in "$DATA"/*.pcap "$DATA"/*.gz; do
        records "$f" >>all.records
    done
    records merged.pcap >got
    diff <(sort all.records) <(sort got)
    # Times of a stream may be a few microseconds out of order, not more.
    awk '$1 < last - 100000 { exit 1 } { last = $1 }' got
    at-query --count -w x "$ARCHIVE" "$DATA/ssh.pcap" "$INDEXED/link.erf" |
        grep -qx $((12790 + 2323 + 669 + 2323))
}

# ---- the expression

@test "query: the expression is the words after the files, or one, or -e" {
    want=$(at-query --format csv -e 'tcp and host 10.1.0.11' "$DATA/http.pcap")
    [ "$(wc -l <<<"$want")" -eq 3 ]
    [ "$(at-query --format csv "$DATA/http.pcap" tcp and host 10.1.0.11)" = "$want" ]
    [ "$(at-query --format csv "$DATA/http.pcap" 'tcp and host 10.1.0.11')" = "$want" ]
    run at-query --count "$DATA/http.pcap" "$DATA/dns.pcap" tcp
    [ "$status" -eq 0 ]
    [ "$output" -eq $(($(at-query --count "$DATA/http.pcap" tcp) + \
        $(at-query --count "$DATA/dns.pcap" tcp))) ]
    # A dash in the expression is no option.
    run at-query --count "$DATA/http.pcap" 'tcp[tcpflags]' '&' 'tcp-syn' '!=' 0
    [ "$status" -eq 0 ]
    [ "$output" -gt 3 ]
}

@test "query: a word that is a file is a file, until the first that is none" {
    cp "$DATA/dns.pcap" tcp
    run at-query --count "$DATA/http.pcap" tcp
    [ "$output" -eq $(($(at-query --count "$DATA/http.pcap") + \
        $(at-query --count tcp))) ]
    run at-query --count "$DATA/http.pcap" host 10.1.0.11 and tcp
    [ "$output" = "$(at-query --count -e 'host 10.1.0.11 and tcp' "$DATA/http.pcap")" ]
}

@test "query: a wrong expression is shown with a caret where it is wrong" {
    check() { # expression, column of the caret
        run --separate-stderr at-query "$DATA/dns.pcap" "$1"
        [ "$status" -eq 2 ] || return 1
        [ -z "$output" ] || return 1
        [ "${#stderr_lines[@]}" -eq 3 ] || return 1
        [[ "${stderr_lines[0]}" == "at-query: expression: "* ]] || return 1
        [ "${stderr_lines[1]}" = "  $1" ] || return 1
        [ "${stderr_lines[2]}" = "$(printf '%*s^' $(($2 + 2)) '')" ]
    }
    check 'host 10.1.0.11 and and' 19
    check 'colour red' 0
    check 'tcp port 80 )' 12
    check 'host 10.1.0.999' 5
    check 'net 10.0.0.0/33' 13
    check 'tcp port 70000' 9
    check 'ip or (vlan 5000 and tcp)' 12
    check 'tcp or less' 11
}

@test "query: what no packet of the sources can match is refused" {
    need python3
    python3 - "$TEST_DATA/dns.pcap" raw.pcap <<'END'
import struct, sys
from records import records
with open(sys.argv[2], "wb") as out:
    out.write(struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 101))
    for ns, frame, wire in records(sys.argv[1]):
        out.write(struct.pack("<IIII", *divmod(ns, 10**9), len(frame) - 14,
                              wire - 14) + frame[14:])
END
    at-ingest -q --flush raw raw.pcap
    for source in raw.pcap raw; do
        run --separate-stderr at-query $source tcp or vlan
        [ "$status" -eq 2 ]
        [[ "${stderr_lines[0]}" == *"no VLAN support for Raw IP"* ]]
        [ "${stderr_lines[2]}" = '         ^' ]
    done
    [ "$(at-query --count raw.pcap "$DATA/vlan.pcap" vlan)" -gt 0 ]
}

@test "query: a hostile expression is an error, not a crash" {
    # libpcap's own time for a long expression grows faster than its length.
    long=$(printf 'host 10.0.0.1 or %.0s' {1..300})
    deep=$(printf '(%.0s' {1..20000})
    for e in "$long" "$deep" "$deep tcp" "$(printf 'not %.0s' {1..5000})tcp" \
        $'host \e[31m' $'tcp\x01' 'ip[9999999999999999999]=1'; do
        run --separate-stderr at-query --count -e "$e" "$DATA/dns.pcap"
        [ "$status" -le 2 ]
        [[ "$stderr" != *$'\e'* ]]
    done
    # Lots of alternatives that are right are answered.
    run --separate-stderr at-query --count -e "${long}host 192.0.2.53" \
        "$DATA/dns.pcap"
    [ "$status" -eq 0 ]
    [ "$output" -gt 0 ]
}

# ---- the command line and files that are not there

@test "query: wrong use says so and exits 2" {
    for args in '' --bogus '--format xml x' '--limit many x' '--from noon x' \
        '--to +1h x' '-F tar -w o x' '-Z rar -w o x' '-j none x'; do
        # shellcheck disable=SC2086 # several arguments
        run --separate-stderr at-query $args
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [[ "${stderr_lines[0]}" == 'at-query: '* ]]
    done
}

@test "query: a file that is missing or no trace is one line, exit 1" {
    mkdir empty
    for f in missing "$TOP/Makefile" empty; do
        run --separate-stderr at-query "$f" tcp
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        one_message
        [[ "$stderr" == "at-query: $f: "* ]]
        run --separate-stderr at-query -w out.pcap "$f"
        [ "$status" -eq 1 ]
        one_message
        [ ! -e out.pcap ]
    done
    no_leftovers
}

@test "query: of several files the good ones are answered" {
    run --separate-stderr at-query --count -e '' missing "$DATA/dns.pcap"
    [ "$status" -eq 1 ]
    [ "$output" = "$(at-query --count "$DATA/dns.pcap")" ]
    one_message
}

@test "query: output that cannot be written is an error" {
    for args in '--format csv' --json --count '' '-F pcap -w -' '-F erf -w -'; do
        # shellcheck disable=SC2086 # several arguments
        run bash -c 'at-query -q '"$args"' "$1" >/dev/full' - "$ARCHIVE"
        [ "$status" -eq 1 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ "$output" == *'No space left on device' ]]
    done
    run --separate-stderr at-query -q -w /nowhere/x.pcap "$DATA/dns.pcap"
    [ "$status" -eq 1 ]
    one_message
}

@test "query: a reader that goes away is no reason for words" {
    for args in '--format csv' --json '' '-F pcap -w -'; do
        # shellcheck disable=SC2086 # several arguments
        run bash -c 'at-query -q '"$args"' "$1" "$1" "$1" | head -c 100 |
            wc -c' - "$ARCHIVE"
        [ "$output" = 100 ]
    done
}

# ---- times

@test "query: --from and --to are exact to a nanosecond, half-open" {
    mapfile -t ns < <(records "$DATA/tls.pcap" | cut -d ' ' -f 1 | sort -nu)
    at() { echo "@${1:0:10}.${1:10}"; }
    a=${ns[20]} b=${ns[400]}
    count() {
        at-query --count -w x --from "$(at "$1")" --to "$(at "$2")" "$3"
    }
    for f in "$DATA/tls.pcap" "$INDEXED/tls.pcap" "$ARCHIVE"; do
        n=$(count "$a" "$b" "$f")
        [ "$n" -eq "$(records "$DATA/tls.pcap" | awk -v a="$a" -v b="$b" \
            '$1 >= a && $1 < b' | wc -l)" ]
        [ "$(count $((a + 1)) "$b" "$f")" -eq $((n - 1)) ]
        [ "$(count "$a" $((b + 1)) "$f")" -eq $((n + 1)) ]
        [ "$(count "$a" "$a" "$f")" -eq 0 ]
        [ "$(count "$a" $((a + 1)) "$f")" -eq 1 ]
    done
    records "$DATA/tls.pcap" | awk -v a="$a" -v b="$b" '$1 >= a && $1 < b' >want
    at-query -q -w out.pcap --from "$(at "$a")" --to "$(at "$b")" "$ARCHIVE"
    records out.pcap | diff want -
}

@test "query: every form of time selects the same" {
    want=$(at-query --count -w x --from 2026-03-01T09:40:00Z \
        --to 2026-03-01T09:59:55.5Z "$ARCHIVE")
    [ "$want" -gt 600 ]
    while read -r from to; do
        [ "$(at-query --count -w x --from "$from" --to "$to" "$ARCHIVE")" = \
            "$want" ]
    done <<'END'
2026-03-01T09:40 2026-03-01T09:59:55.500000000
@1772358000 @1772359195.5
2026-03-01T10:40:00+01:00 2026-03-01T04:29:55.5-05:30
2026-03-01T09:40Z +1195.5s
2026-03-01T09:40Z +19.925m
END
    [ "$(at-query --count -w x --from 2026-03-01 --to 2026-03-02 "$ARCHIVE")" = \
        $((12790 + 2323)) ]
    [ "$(at-query --count -w x --to 2026-03-01 "$ARCHIVE")" = 0 ]
    [ "$(at-query --count -w x --from -1h "$ARCHIVE")" = 0 ]
    [ "$(at-query --count -w x --to now "$ARCHIVE")" -ge 0 ]
}

@test "query: a listing has the flows with a packet in the range, whole" {
    for f in "$DATA/ssh.pcap" "$INDEXED/ssh.pcap"; do
        rows "$f" >all
        rows --from 2026-03-01T10:00Z --to 2026-03-01T10:00:01Z "$f" >some
        [ "$(wc -l <some)" -gt 1 ]
        [ "$(wc -l <some)" -lt "$(wc -l <all)" ]
        # Each is a row of all of them.
        [ "$(sort all some | uniq -d | wc -l)" -eq "$(sort -u some | wc -l)" ]
    done
}

@test "query: --local shows the zone of the user" {
    TZ=CET-1 run at-query --local --limit 1 --fields start "$DATA/ssh.pcap"
    [ "${lines[1]}" = 2026-03-01T10:59:52.359926000+01:00 ]
    # What programs read is UTC always.
    TZ=CET-1 run at-query --local --format csv --limit 1 --fields start \
        "$DATA/ssh.pcap"
    [ "${lines[1]}" = 2026-03-01T09:59:52.359926000Z ]
}

# ---- the same answer every way

questions() {
    cat <<'END'

tcp
udp port 53
host 10.1.0.11
src host 10.1.0.12 and not icmp
net 192.0.2.0/24
ip6 and tcp
net 2001:db8:2::/64
tcp port 443 or udp port 123
port 22 and host 192.0.2.10
tcp[tcpflags] & (tcp-syn|tcp-fin) = tcp-syn
icmp or icmp6
not tcp and not udp
portrange 1-1023
vlan 20 and host 10.1.0.12
greater 1000
ip[6:2] & 0x3fff != 0
dst net 10.0.0.0/8 and sctp
END
}

@test "query: an index gives the rows of a scan, byte for byte" {
    rm -rf plain && mkdir plain && cp "$DATA"/* plain
    total=0
    while read -r e; do
        for f in "$DATA"/*; do
            f=${f##*/}
            at-query --format csv -e "$e" "$INDEXED/$f" >by-index
            at-query --format csv -e "$e" "plain/$f" >by-scan
            cmp by-index by-scan || { echo "$f: $e"; return 1; }
            total=$((total + $(wc -l <by-scan) - 1))
        done
    done < <(questions)
    [ "$total" -gt 3000 ]
}

@test "query: an index gives the packets of a scan, byte for byte" {
    for e in 'udp port 53' 'host 10.1.0.11 and tcp' 'ip6' 'greater 1000'; do
        for f in http.pcap vlan.pcap fragments.pcap bulk-s96.pcap link.erf \
            scan.pcap.gz link-s94.erf.gz; do
            at-query -q -F erf -w - -e "$e" "$INDEXED/$f" >by-index
            at-query -q -F erf -w - -e "$e" "$DATA/$f" >by-scan
            cmp by-index by-scan || { echo "$f: $e"; return 1; }
        done
    done
}

@test "query: any number of threads gives the same bytes" {
    for e in '' 'tcp port 80' 'tcp[13] & 2 != 0' 'net 10.1.0.0/16 and udp'; do
        for t in "$ARCHIVE" "$DATA/link.erf" "$DATA/bulk-s96.pcap"; do
            at-query -j 1 --format csv -e "$e" "$t" >one.csv
            at-query -q -j 1 -F pcap -Z bgzf -w - -e "$e" "$t" >one.pcap
            for j in 2 3 8; do
                at-query -j $j --format csv -e "$e" "$t" | cmp - one.csv
                at-query -q -j $j -F pcap -Z bgzf -w - -e "$e" "$t" |
                    cmp - one.pcap
            done
        done
    done
}

# So many flows of one index are judged in parts, side by side
@test "query: flows of one index shared by threads are those of one thread" {
    "$SYNTH" -n 500k --flows-packets 4 --snap 54 many.erf
    at-index -q many.erf
    [ "$(at-query --count many.erf)" -gt 65536 ]
    to=$(at-query --format csv --fields start --limit 60000 many.erf | tail -n 1)
    for args in '' '--count' '--top 1000:host' '--top 100:app:flows' \
        '--sort bytes --limit 1000'; do
        for e in '' 'tcp' 'tcp[13] & 4 != 0'; do
            # shellcheck disable=SC2086
            at-query -j 1 $args --to "$to" -e "$e" many.erf >one
            [ -s one ]
            for j in 2 3; do
                # shellcheck disable=SC2086
                at-query -j $j $args --to "$to" -e "$e" many.erf | cmp - one
            done
        done
    done
    # what is summed up by thread is what is listed
    at-query --format csv --fields src,dst,bytes_out,bytes_in many.erf |
        awk -F, 'NR > 1 { sum[$1] += $3 + $4
                          if ($1 != $2) sum[$2] += $3 + $4 }
                 END { for (host in sum) print host, sum[host] }' | sort >listed
    at-query -j 3 --format csv --top 1000000:host many.erf |
        awk -F, 'NR > 1 { print $1, $4 }' | sort | cmp - listed
}

@test "query: the packets are those of tcpdump" {
    need tcpdump python3
    run python3 "$TOP/test/query-packets.py" . "$TEST_DATA/dns.pcap" \
        "$TEST_DATA/vlan.pcap" "$TEST_DATA/fragments.pcap"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "query: the packets are those of tcpdump, in the corpus" {
    need_corpus
    need tcpdump python3
    run python3 "$TOP/test/query-packets.py" . \
        "$CORPUS/ndpi/pcap/dns_fragmented.pcap" \
        "$CORPUS/zeek/pppoe-over-qinq.pcap" \
        "$CORPUS/suricata-verify/detect-pcre/detect-pcre-02/input.pcap"
    echo "$output"
    [ "$status" -eq 0 ]
}

# GENERATED=20000 SEED=7 make check TESTS=test/query.bats: others, and more
@test "query: generated expressions give what tcpdump gives" {
    need tcpdump python3
    "$SYNTH" --snap 200 -n 20000 synth.pcap
    captures=("$PWD/synth.pcap" "$TEST_DATA"/{vlan,fragments,icmp,ipv6}.pcap)
    [ ! -e "${CORPUS:-/nonexistent}/MANIFEST.tsv" ] || captures+=(-c "$CORPUS")
    fast_build && count=2000 || count=100
    mkdir work
    run python3 "$TOP/test/query-generated.py" -n "${GENERATED:-$count}" \
        -s "${SEED:-1}" work "${captures[@]}"
    echo "$output"
    [ "$status" -eq 0 ]
}

# ---- answers

@test "query: --sort orders by a column, --limit cuts what is sorted" {
    at-query --format csv --fields bytes_out,bytes_in,start "$ARCHIVE" |
        tail -n +2 >all
    at-query --format csv --fields bytes_out,bytes_in,start --sort bytes \
        --limit 9 "$ARCHIVE" | tail -n +2 | awk -F, '{ print $1 + $2 }' >got
    awk -F, '{ print $1 + $2 }' all | sort -rn | head -n 9 | diff - got
    at-query --format csv --fields bytes_in --sort bytes_in:asc "$ARCHIVE" |
        tail -n +2 | diff <(cut -d, -f2 all | sort -n) -
    at-query --format csv --fields start --sort start:desc "$ARCHIVE" |
        tail -n +2 | diff <(cut -d, -f3 all | sort -r) -
    for key in duration src dst sport proto state app stream rate rtt vlan; do
        [ "$(at-query --format csv --fields start --sort $key "$ARCHIVE" |
            tail -n +2 | sort | cksum)" = "$(cut -d, -f3 all | sort | cksum)" ]
    done
    run at-query --sort colour "$ARCHIVE"
    [ "$status" -eq 2 ]
    run at-query --sort bytes:up "$ARCHIVE"
    [ "$status" -eq 2 ]
}

@test "query: --top sums up what is listed" {
    all=src,dst,dport,proto,packets_out,packets_in,bytes_out,bytes_in,stream
    at-query --format csv --fields $all "$ARCHIVE" ip | tail -n +2 >all
    top() { at-query --format csv --top "$@" "$ARCHIVE" ip | tail -n +2; }
    # key, awk's words for it, and the column that is largest
    sums() { # key measure awk-keys
        top "100000:$1:$2" | cut -d, -f1-4 >got
        awk -F, "{ n = split($3, key, \"|\"); if (n == 2 && key[1] == key[2])
            n = 1; for (i = 1; i <= n; i++) { f[key[i]]++;
            p[key[i]] += \$5 + \$6; b[key[i]] += \$7 + \$8 } }
            END { for (k in f) print k \",\" f[k] \",\" p[k] \",\" b[k] }" all |
            sort | diff - <(sort got) || return 1
        sort -t, -s -k"$4,$4nr" got | cut -d, -f"$4" |
            diff - <(cut -d, -f"$4" got)
    }
    sums host bytes '$1 "|" $2' 4
    sums src packets '$1' 3
    sums dst flows '$2' 2
    sums proto flows '$4' 2
    sums stream bytes '$9' 4
    [ "$(top 100000:net/0:flows)" = \
        "0.0.0.0/0,$(wc -l <all),$(awk -F, '{ p += $5 + $6; b += $7 + $8 }
            END { print p "," b }' all),100.00" ]
    [ "$(top 3:port | wc -l)" -eq 3 ]
    [ "$(top 2:pair:flows | head -n 1 | cut -d, -f2)" -eq "$(awk -F, '
        { n[$1 < $2 ? $1 " " $2 : $2 " " $1]++ }
        END { for (k in n) if (n[k] > m) m = n[k]; print m }' all)" ]
    at-query --top 5:host "$ARCHIVE" >table
    [ "$(wc -l <table)" -eq 6 ]
    for bad in host 5:colour x:host 5:host:size 5:net/33 5:net/24/129 5:; do
        run at-query --top "$bad" "$ARCHIVE"
        [ "$status" -eq 2 ] || { echo "$bad"; return 1; }
    done
    run at-query --top 5:host -w x "$ARCHIVE"
    [ "$status" -eq 2 ]
}

@test "query: --series counts packets in every interval, also in empty ones" {
    need tcpdump
    series() { at-query --format csv --series "$@" | tail -n +2; }
    tcpdump_filtered "$DATA/http.pcap" web.pcap tcp port 80
    records web.pcap | awk '{ n[int($1 / 1e9)]++ }
        END { for (s in n) print n[s] }' | sort >want
    series 1s "$DATA/http.pcap" tcp port 80 >got
    cut -d, -f2 got | grep -vx 0 | sort | diff want -
    first=$(date -d "$(head -n 1 got | cut -d, -f1)" +%s)
    last=$(date -d "$(tail -n 1 got | cut -d, -f1)" +%s)
    [ "$(wc -l <got)" -eq $((last - first + 1)) ]
    # Sums by key are those without, and bytes are those of the flows
    at-query --format csv --fields packets_out,packets_in,bytes_out,bytes_in \
        "$ARCHIVE" ip | awk -F, '{ p += $1 + $2; b += $3 + $4 }
        END { print p, b }' >want
    series 1h "$ARCHIVE" ip | awk -F, '{ p += $2; b += $3 }
        END { print p, b }' | diff want -
    series 7m:proto "$ARCHIVE" ip | awk -F, '{ p += $3; b += $4 }
        END { print p, b }' | diff want -
    # An hour without packets, and a range that is given
    [ "$(series 1h --from 2026-03-01T05:00Z --to 2026-03-01T08:00Z "$ARCHIVE" |
        tr '\n' ' ')" = "2026-03-01T05:00:00.000000000Z,0,0 \
2026-03-01T06:00:00.000000000Z,0,0 2026-03-01T07:00:00.000000000Z,0,0 " ]
    [ -z "$(series 1h "$ARCHIVE" host 203.0.113.254)" ]
    for bad in 0s x 1h:colour 1h:; do
        run at-query --series $bad "$ARCHIVE"
        [ "$status" -eq 2 ]
    done
}

@test "query: --series of all packets is answered by the catalogue alone" {
    need jq strace
    at-ingest -q --flush --rotate 1s cut "$DATA"/{http,vlan,ipv6,lan}.pcap
    at-ingest -q --flush --rotate 1s cut "$DATA/link.erf"
    for step in 1m 7m 1h 1d 1h:proto 1m:proto; do
        for range in '' '--from 2026-03-01T09:00Z' \
            '--from 2026-03-01T09:01Z --to 2026-03-01T10:03Z' \
            '--to 2026-03-01T10:00Z'; do
            # an expression that every packet matches is asked of the packets
            # shellcheck disable=SC2086 # words
            diff <(at-query --format csv --series $step $range cut) \
                <(at-query --format csv --series $step $range cut \
                    'greater 0') || { echo "$step $range"; return 1; }
        done
    done
    ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=openat -o trace \
        at-query --series 1h:proto cut >/dev/null
    not grep -q 'segments/' trace
    # what has gone is said all the same
    cp -a cut some
    at-archive remove -q some "$(at-archive list --json some | head -n 1 |
        jq -r .path)"
    run --separate-stderr at-query --series 1h some
    [ "$status" -eq 0 ]
    [[ "$stderr" == *' are gone with 1 segment'* ]]
    # not where a part of a minute is asked for, or the packets are gone
    ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=openat -o trace \
        at-query --series 1h --from 2026-03-01T09:00:01Z cut >/dev/null
    grep -q 'segments/' trace
}

@test "query: the sums of the catalogue are those of the flows" {
    need sqlite3
    at-ingest -q --flush sums "$DATA"/{http,dns,tls}.pcap
    sum='SELECT sum(flows), sum(packets), sum(bytes) FROM'
    at-query --format csv --fields packets_out,packets_in,bytes_out,bytes_in \
        sums | awk -F, 'NR > 1 { n++; p += $1 + $2; b += $3 + $4 }
        END { print n "|" p "|" b }' >want
    sqlite3 sums/catalog.sqlite "$sum hour_app" | diff want -
    sqlite3 sums/catalog.sqlite "$sum minute_app" | diff want -
    [ "$(sqlite3 sums/catalog.sqlite \
        "SELECT sum(flows) FROM hour_app WHERE app = 'dns'")" -eq \
        "$(at-query --count sums app dns)" ]
    [ "$(at-query --count -w x sums)" -eq "$(sqlite3 sums/catalog.sqlite \
        'SELECT sum(packets) FROM hour')" ]
}

@test "query: --explain tells what is read, and that is all that is read" {
    need jq strace
    for e in 'host 10.1.0.11 and tcp' 'udp port 53' 'greater 1000' \
        'bytes > 10k and client host 10.1.0.11' 'host 203.0.113.250'; do
        at-query --explain --json "$ARCHIVE" "$e" >plan
        [ "$(tail -n 1 plan | jq .packets)" -eq \
            "$(at-query --count -w x "$ARCHIVE" "$e")" ]
        [ "$(tail -n 1 plan | jq .flows)" -eq \
            "$(at-query --count "$ARCHIVE" "$e")" ]
        for n in flows blocks bytes packets flows_est; do
            jq -es ".[-1].$n == (.[:-1] | map(.$n) | add // 0)" plan \
                >/dev/null
        done
        # A segment of which no block is to be read is not opened.
        # LeakSanitizer does not work under strace.
        ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=openat -o trace \
            at-query -q -w got.erf "$ARCHIVE" "$e"
        jq -r 'select(.blocks == 0 and .trace != "total") | .trace' plan |
            while read -r segment; do
                not grep -qF "\"$segment\"" trace || exit 1
            done
    done
    [ "$(at-query --explain --json "$ARCHIVE" host 203.0.113.250 |
        tail -n 1 | jq '.flows_est + .blocks + .bytes')" -eq 0 ]
    run at-query --explain "$ARCHIVE" 'host 10.1.0.11 and (tcp or greater 99)'
    [ "$status" -eq 0 ]
    [[ "$output" == *'host 10.1.0.11: by postings, '*' flows'* ]]
    [[ "$output" == *'tcp: by rows of flows'* ]]
    [[ "$output" == *'greater 99: by packets'* ]]
    run at-query --explain -w x "$ARCHIVE"
    [ "$status" -eq 2 ]
}

@test "query: --sql asks the flows that match, and only reads" {
    need jq
    sql() { at-query "${@:2}" --sql "$1" "$ARCHIVE"; }
    [ "$(sql 'SELECT count(*) AS n FROM flows' --format csv | tail -n 1)" -eq \
        "$(at-query --count "$ARCHIVE")" ]
    at-query --format csv --sql "SELECT src, sum(bytes_out) FROM flows
        WHERE in_net(src, '10.1.0.0/16') GROUP BY src" "$ARCHIVE" tcp |
        tail -n +2 | sort >got
    at-query --format csv --fields src,bytes_out "$ARCHIVE" \
        'tcp and client net 10.1.0.0/16' | awk -F, 'NR > 1 { n[$1] += $2 }
            END { for (s in n) print s "," n[s] }' | sort | diff - got
    sql 'SELECT app, at_time(start) AS t, duration, rtt FROM flows LIMIT 1' \
        --json | jq -e '(.t | test("^2026-.*Z$")) and
            (.duration | type) == "number"'
    for bad in 'DELETE FROM flows' "ATTACH 'x.db' AS x" 'SELEC' '' \
        'SELECT 1; SELECT 2' "SELECT load_extension('x')" 'PRAGMA user_version' \
        "CREATE TABLE t(x)" 'SELECT nothing FROM flows'; do
        run --separate-stderr sql "$bad"
        [ "$status" -eq 2 ] || { echo "$bad"; return 1; }
        one_message
        [[ "$stderr" == 'at-query: SQL: '* ]]
    done
    [ ! -e x.db ]
}

@test "query: any SQLite loads the functions of the extension" {
    need sqlite3
    fast_build || skip 'sqlite3 has no sanitizer in it'
    extension=$BUILD/lib/archive_trace_sql
    index=$INDEXED/http.pcap.idx
    ask() { sqlite3 "file:$index?immutable=1" ".load $extension" "$1"; }
    [ "$(ask "SELECT count(*) FROM flows WHERE in_net(src, '10.1.0.0/16')")" \
        -eq "$(at-query --count "$INDEXED/http.pcap" \
            'client net 10.1.0.0/16')" ]
    [ "$(ask "SELECT ip_text(src) || ' ' || at_time(start) FROM flows
        ORDER BY start LIMIT 1")" = "$(at-query --format csv --limit 1 \
        --fields src,start "$INDEXED/http.pcap" | sed -n '2s/,/ /p')" ]
    [ "$(ask "SELECT ip('2001:db8::1') = x'20010db8000000000000000000000001',
        ip('x') IS NULL, in_net('10.1.2.3', '10.1.2.0/23'),
        in_net(ip('::1'), '10.0.0.0/8'), in_net('10.0.0.1', '10/8') IS NULL,
        at_time('2026-03-01T10:00:00.5Z'), ip_text(x'7f000001'),
        ip_text('no'), at_time('never') IS NULL, in_net(NULL, '::/0') IS NULL,
        in_net('ff::', '::/0')")" = \
        '1|1|1|0|1|1772359200500000000|127.0.0.1||1|1|1' ]
    [ "$(ask "SELECT at_list(x'0503ff01'), at_list(x''), at_list(x'80') IS NULL,
        at_list('x') IS NULL, at_blocks(1, x'00') IS NULL,
        at_blocks(65, x'') IS NULL")" = '[5,8,263]|[]|1|1|1|1' ]
    for host in 10.1.0.11 10.1.0.99; do
        [ "$(ask "SELECT count(*) FROM hosts h JOIN flow f ON f.id = h.flow
            WHERE h.addr = ip('$host')")" -eq \
            "$(at-query --count "$INDEXED/http.pcap" "host $host")" ]
    done
    [ "$(ask 'SELECT sum(records), sum(bytes), at_time(min(first)),
        count(*) = max(id) + 1, max(file_offset + file_bytes) FROM blocks')" = \
        "$(ask "SELECT (SELECT value FROM meta WHERE name = 'packets'),
            (SELECT value FROM meta WHERE name = 'file_bytes') - 24,
            at_time((SELECT value FROM meta WHERE name = 'first_ns')), 1,
            (SELECT value FROM meta WHERE name = 'file_bytes')")" ]
    need /usr/bin/python3
    /usr/bin/python3 - "$extension" "$index" <<'END'
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[2]}?immutable=1", uri=True)
db.enable_load_extension(True)
db.load_extension(sys.argv[1])
rows = db.execute("SELECT ip_text(dst), count(*) FROM flows GROUP BY dst")
assert all(isinstance(a, str) and n > 0 for a, n in rows)
END
}

@test "query: --context gives all packets around the flows" {
    at-query --format csv --fields start,end -e 'icmp and host 10.1.0.11' \
        "$DATA/icmp.pcap" | tail -n +2 >flows
    python3 - flows "$DATA/icmp.pcap" >want <<'END'
import calendar, sys, time, zlib
from records import records
def ns(text):
    sec, frac = text.rstrip("Z").split(".")
    return calendar.timegm(time.strptime(sec, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(frac)
spans = [[ns(t) for t in line.strip().split(",")] for line in open(sys.argv[1])]
near = 20 * 10**6
for t, frame, wire in records(sys.argv[2]):
    if any(a - near <= t <= b + near for a, b in spans):
        print(t, len(frame), wire, zlib.crc32(frame))
END
    [ -s want ]
    for f in "$DATA" "$INDEXED"; do
        at-query -q --context 20ms -w got.pcap "$f/icmp.pcap" \
            'icmp and host 10.1.0.11'
        records got.pcap | diff want -
    done
    at-query -q --context 20ms -w - - 'icmp and host 10.1.0.11' \
        <"$DATA/icmp.pcap" | cmp got.pcap -
}

# ---- flow terms

@test "query: flow terms are what brute force says" {
    need tcpdump python3
    "$SYNTH" -n 5000 --rate 400 --flows-packets 15 --snap 120 t.pcap
    mkdir work
    run python3 "$TOP/test/query-terms.py" -n "${GENERATED:-90}" \
        -s "${SEED:-1}" work t.pcap
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "query: a wrong flow term is shown with a caret where it is wrong" {
    check() { # expression, column of the caret
        run --separate-stderr at-query "$DATA/dns.pcap" "$1"
        [ "$status" -eq 2 ] || return 1
        [ -z "$output" ] || return 1
        [ "${stderr_lines[1]}" = "  $1" ] || return 1
        [ "${stderr_lines[2]}" = "$(printf '%*s^' $(($2 + 2)) '')" ]
    }
    check 'tcp and bytes > 1x' 16
    check 'bytes >' 7
    check 'udp or client host 10.1.0' 19
    check 'client net 10.0.0.1/8' 11
    check 'server port http' 12
    check 'state cosy' 6
    check 'flags SX' 6
    check '(duration => 1s)' 10
    check 'bytes > 10 tcp' 11
    run --separate-stderr at-query "$DATA/dns.pcap" in nosuchfile
    [ "$status" -eq 1 ]
    one_message
    printf '10.0.0.1\n10.0.0.0/8\n10.1\n' >bad
    run --separate-stderr at-query "$DATA/dns.pcap" in bad
    [ "$status" -eq 1 ]
    [ "$stderr" = 'at-query: bad: line 3: neither an address nor a network' ]
}

@test "query: words of flow terms are still names" {
    run --separate-stderr at-query "$DATA/dns.pcap" \
        'host state.invalid and (host bytes.invalid or end.invalid)'
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"unknown host 'state.invalid'"* ]]
}

@test "query: end, rtt, retransmits, stream and community-id are the columns" {
    all=end_reason,rtt,retransmitted_out,retransmitted_in,stream,community_id
    at-query --format csv --fields $all "$DATA/http.pcap" >all
    count() { tail -n +2 all | awk -F, "$1" | wc -l; }
    ask() { at-query --count "$1" -e "$2"; }
    for f in "$DATA" "$INDEXED"; do
        for e in fin rst trace; do
            [ "$(ask "$f/http.pcap" "end $e")" -eq "$(count "\$1 == \"$e\"")" ]
        done
        [ "$(ask "$f/http.pcap" 'rtt > 1ms')" -eq "$(count '$2 > 0.001')" ]
        [ "$(ask "$f/http.pcap" 'not rtt > 1ms and tcp')" -eq \
            "$(($(ask "$f/http.pcap" tcp) - $(count '$2 > 0.001')))" ]
        [ "$(ask "$f/http.pcap" 'retransmits > 0')" -eq "$(count '$3+$4 > 0')" ]
        [ "$(ask "$f/http.pcap" 'stream http.pcap')" -eq "$(count 1)" ]
        [ "$(ask "$f/http.pcap" 'stream x')" -eq 0 ]
        id=$(sed -n 5p all | cut -d, -f6)
        at-query --format csv --fields community_id "$f/http.pcap" \
            community-id "$id" | tail -n +2 | sort -u | diff - <(echo "$id")
    done
}

@test "query: flow terms are asked of standard input too" {
    for e in 'bytes > 2k and tcp' 'packets = 1'; do
        at-query --format csv "$DATA/http.pcap" "$e" | cut -d, -f1-17 >want
        at-query --format csv - "$e" <"$DATA/http.pcap" | cut -d, -f1-17 |
            diff want -
        at-query -q -w want.pcap "$DATA/http.pcap" "$e"
        TMPDIR=$PWD at-query -q -w - - "$e" <"$DATA/http.pcap" | cmp want.pcap -
    done
    [ "$(find . -name 'at-query-*')" = '' ]
}

@test "query: a set of a million networks is no burden" {
    fast_build || skip 'slow'
    awk 'BEGIN { for (i = 0; i < 1000000; i++)
        printf("%d.%d.%d.%d/31\n", 1 + i % 200, i / 65536, i / 256 % 256,
               i % 256 - i % 2) }' >million
    echo 10.1.0.11 >>million
    start=$(date +%s%N)
    n=$(at-query --count "$ARCHIVE" in million)
    took=$(($(date +%s%N) - start))
    [ "$n" -ge "$(at-query --count "$ARCHIVE" host 10.1.0.11 and ip)" ]
    echo "$((took / 1000000)) ms"
    [ $took -lt 8000000000 ]
}

@test "query: --whole-flows gives both directions, fragments and ICMP errors" {
    at-query -q --whole-flows -w whole.pcap "$DATA/http.pcap" \
        'tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn and dst port 80'
    at-query -q -w flows.pcap "$DATA/http.pcap" \
        'flags S and server port 80 and ip'
    cmp whole.pcap flows.pcap
    for f in "$DATA" "$INDEXED"; do
        # Of a datagram in fragments, only the first has a type
        e='icmp[icmptype] = icmp-echo and src host 10.1.0.11'
        at-query -q --whole-flows -w whole.pcap "$f/fragments.pcap" "$e"
        at-query -q --bpf -w some.pcap "$f/fragments.pcap" \
            icmp and host 10.1.0.11
        cmp whole.pcap some.pcap
        # A traceroute, and what the routers answered
        e='udp portrange 33434-33600'
        n=$(at-query --count -w x "$f/icmp.pcap" "$e")
        [ "$n" -gt 0 ]
        at-query -q --whole-flows -w whole.pcap "$f/icmp.pcap" "$e"
        tcpdump_filtered whole.pcap errors.pcap \
            'icmp[icmptype] = icmp-timxceed or icmp[icmptype] = icmp-unreach'
        [ "$(records errors.pcap | wc -l)" -eq "$n" ]
        [ "$(records whole.pcap | wc -l)" -eq $((2 * n)) ]
    done
}

@test "query: the flows are the conversations of Wireshark, in the corpus" {
    need_corpus
    need python3
    run python3 "$TOP/test/conversations.py" "$CORPUS" \
        "$TOP/test/conversations.tsv"
    echo "$output"
    [ "$status" -eq 0 ]
}

# ---- segments

@test "query: a flow that goes on in the next segment is one row" {
    at-ingest -q --flush ssh "$DATA/ssh.pcap"
    [ "$(at-archive list --json ssh | wc -l)" -eq 2 ]
    rows "$DATA/ssh.pcap" >want
    rows ssh | diff want -
    at-ingest -q --flush link "$DATA/link.erf"
    [ "$(at-archive list --json link | wc -l)" -eq 2 ]
    rows "$DATA/link.erf" >want
    rows link | diff want -
}

@test "query: however small the segments, the flows are the same" {
    for f in ssh.pcap link.erf loss.pcap icmp.pcap ipv6.pcap bulk-s96.pcap; do
        for rotate in 1s 7s 50k; do
            rm -rf cut
            at-ingest -q --flush --rotate $rotate cut "$DATA/$f"
            rows "$DATA/$f" >want
            rows cut >got
            diff want got || { echo "$f --rotate $rotate"; return 1; }
            more="--format csv --fields src,sport,dst,dport,start,end_reason"
            more+=,rtt,retransmitted_out,retransmitted_in,zero_windows_out
            more+=,zero_windows_in,payload_out,payload_in,bad_checksums
            # shellcheck disable=SC2086 # words
            diff <(at-query $more "$DATA/$f") <(at-query $more cut)
        done
    done
}

@test "query: sums and counts over small segments are those of the file" {
    for f in ssh.pcap link.erf loss.pcap lan.pcap; do
        rm -rf cut
        at-ingest -q --flush --rotate 1s cut "$DATA/$f"
        for more in '--top 99:host' '--top 99:pair:flows' '--top 99:app' \
            '--top 99:src:packets' --count; do
            for e in '' tcp 'bytes > 2000' 'end idle or packets > 9'; do
                # shellcheck disable=SC2086 # words
                diff <(at-query $more -e "$e" "$DATA/$f") \
                    <(at-query $more -e "$e" cut) ||
                    { echo "$f $more $e"; return 1; }
            done
        done
    done
}

@test "query: a flow is one row where not all segments have an index" {
    need sqlite3
    at-ingest -q --flush --rotate 1s cut "$DATA/lan.pcap"
    find cut -name '*.idx' | sort | sed -n '2~2p' >indexes
    [ "$(wc -l <indexes)" -gt 3 ]
    while read -r index; do # as if of a version that is not read
        chmod u+w "$index"
        sqlite3 "$index" 'PRAGMA user_version = 2'
    done <indexes
    rows "$DATA/lan.pcap" >want
    rows cut | diff want -
    [ "$(at-query --count cut)" -eq "$(at-query --count "$DATA/lan.pcap")" ]
}

@test "query: later fragments in the next segment are of the flow of the first" {
    need python3
    python3 "$TOP/test/fragments.py" make whole.pcap
    fields="${COLUMNS_ALL%,stream},end_reason,payload_out,payload_in,checksums"
    listing() { # trace or archive, expression
        at-query -q --format csv --fields "$fields" -e "$2" "$1" | sort
    }
    asked=('' 'ip[6:2] & 0x1fff != 0' 'udp src port 5000' 'packets > 2')
    for i in "${!asked[@]}"; do
        listing whole.pcap "${asked[i]}" >"flows.$i"
        at-query -q --whole-flows -w "packets.$i" whole.pcap "${asked[i]}"
    done
    same() { # archive, number of expression
        echo "$1: ${asked[$2]}"
        listing "$1" "${asked[$2]}" | diff "flows.$2" -
        at-query -q --whole-flows -w packets "$1" "${asked[$2]}"
        cmp packets "packets.$2"
    }
    at-query --format csv --fields packets_out,packets_in whole.pcap \
        'host 10.0.0.1 and not host 10.0.0.2 and not host 10.0.0.3' |
        diff <(printf '%s\n' packets_out,packets_in 2,2) -
    step=1
    fast_build || step=5
    for n in $(seq 1 $step 33); do
        python3 "$TOP/test/fragments.py" cut whole.pcap "$n" 1.pcap 2.pcap
        at-ingest -q --flush "cut-$n" 1.pcap
        at-ingest -q --flush "cut-$n" 2.pcap
        for i in 0 1 2; do
            same "cut-$n" "$i"
        done
    done
    # with segments between them
    at-ingest -q --flush --rotate 1 each whole.pcap
    same each 0
    same each 3
}

@test "query: an index without a flow answers like any other" {
    at-convert -q -n 0 "$DATA/dns.pcap" none.pcap
    at-index -q none.pcap
    for args in '-w out.pcap -e packets>1' '--whole-flows -w out.pcap' \
        '--series 1m:app' '--top 3:app' '--format csv'; do
        # shellcheck disable=SC2086
        at-query -q $args none.pcap
    done
    [ "$(at-query --count none.pcap)" -eq 0 ]
    [ "$(at-info --json out.pcap | grep -c '"packets":0')" -eq 1 ]
}

@test "query: flows of an index that lost datagrams count once" {
    need python3 sqlite3
    python3 "$TOP/test/fragments.py" make lost.pcap
    cp lost.pcap scanned.pcap
    at-index -q lost.pcap
    sqlite3 lost.pcap.idx "REPLACE INTO meta VALUES('lost_datagrams', 1)"
    for to in 005 010 015 020; do
        for args in --count '--top 9:host' '--format csv --fields src,sport,dst'; do
            # shellcheck disable=SC2086
            at-query $args --to "2026-03-01T10:00:00.${to}5Z" scanned.pcap >want
            # shellcheck disable=SC2086
            at-query $args --to "2026-03-01T10:00:00.${to}5Z" lost.pcap |
                diff want -
        done
    done
}

@test "query: segments without a host are not opened, and nothing is missed" {
    need jq strace
    rm -rf cut
    at-ingest -q --flush --rotate 2s cut "$DATA"/{http,ssh,dns,ipv6}.pcap
    at-ingest -q --flush --rotate 1d whole "$DATA"/{http,ssh,dns,ipv6}.pcap
    segments=$(at-archive list --json cut | wc -l)
    [ "$segments" -gt 10 ]
    for net in 'host 203.0.113.250' 'client net 203.0.113.0/24' \
        'host 2001:db8:ffff::1' 'src net 172.31 and port 80'; do
        ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=openat -o trace \
            at-query --count cut "$net" >count
        [ "$(cat count)" -eq 0 ]
        # a sieve may be wrong now and then
        [ "$(grep -c 'idx' trace)" -le 2 ]
    done
    at-query --format csv --fields src cut | sort -u | sed 1d >hosts
    while read -r host; do
        for e in "host $host" "not host $host" "client host $host" \
            "host $host or port 22" "net $host"; do
            [ "$(at-query --count cut "$e")" -eq \
                "$(at-query --count whole "$e")" ] || { echo "$e"; return 1; }
        done
    done < <(shuf -n 12 --random-source=hosts hosts)
    # as explained
    at-query --explain cut 'host 203.0.113.250' |
        grep -q "segments: not opened, without such a host"
}

@test "query: a pending segment is asked like the others" {
    at-ingest -q pending "$DATA/http.pcap" "$DATA/ssh.pcap"
    at-archive list --json pending | grep -q '"state":"pending"'
    diff <(rows "$DATA/http.pcap" "$DATA/ssh.pcap") <(rows pending)
}

@test "query: a pending segment that is replaced meanwhile is still answered from" {
    local question=(--whole-flows -w - -F pcap)
    at-ingest -q a "$DATA/http.pcap"
    at-query -q "${question[@]}" a "$DATA/dns.pcap" 'port 80 or 53' >want
    at-query --count a 'port 80' >flows
    # it waits for the pipe, and knows by then what the archive holds
    mkfifo pipe
    at-query -q "${question[@]}" a pipe 'port 80 or 53' >got &
    exec 7>pipe
    held=$(find a/pending -name '*.idx')
    at-ingest -q a "$DATA/ssh.pcap"
    [ ! -e "$held" ]
    cat "$DATA/dns.pcap" >&7
    exec 7>&-
    wait %1
    cmp want got
    # a new question sees the new one
    [ "$(at-query --count a 'port 22')" -gt 0 ]
    [ "$(at-query --count a 'port 80')" -eq "$(cat flows)" ]
}

@test "query: a pending segment that is lost is an error" {
    at-ingest -q a "$DATA/http.pcap"
    rm a/pending/*
    run -1 --separate-stderr at-query --count a
    [[ "$stderr" == *'a/pending/'*': cannot open: No such file'* ||
        "$stderr" == *'a/pending/'*'unable to open'* ]]
}

@test "query: a pipe by its name is read like standard input" {
    for words in '' 'app http' 'port 80'; do
        rows - "$words" <"$DATA/http.pcap" >want
        rows <(cat "$DATA/http.pcap") "$words" >got
        cmp want got
        [ "$(wc -l <got)" -gt 1 ]
    done
}

# ---- what tells flows apart

flow_rows() { # at-query arguments
    rows "$@" && at-query --format csv --fields mpls,inner "$@"
}

# Some that are decided by packets, by rows, by both
key_questions=('' tcp 'udp port 4789' 'inner tcp' 'not inner host 10.42.0.1'
    'host 10.1.0.11' 'host 10.42.0.1' 'client host 10.42.0.2' 'app dns'
    'app dns or host 192.0.2.10' 'packets > 6 and src host 10.1.0.11'
    'vlan' 'net 10.0.0.0/8 and not udp' 'server port 80')

@test "query: flows of any key are the same by index and by scan" {
    for file in vxlan vlan fragments; do
        cp "$DATA/$file.pcap" indexed.pcap
        cp "$DATA/$file.pcap" bare.pcap
        for key in none vlan inner-vlan,inner vlan,mpls,inner; do
            at-index -q --flow-key "$key" indexed.pcap
            for q in "${key_questions[@]}"; do
                flow_rows indexed.pcap "$q" >by-index
                flow_rows --flow-key "$key" bare.pcap "$q" >by-scan
                sed -i s/bare.pcap/indexed.pcap/ by-scan
                cmp by-index by-scan || { echo "$file $key: $q"; return 1; }
            done
        done
    done
    cp "$DATA/vxlan.pcap" indexed.pcap
    at-index -q --flow-key inner indexed.pcap
    [ "$(at-query --count indexed.pcap 'client host 10.42.0.2 or server host 10.42.0.2')" -gt 1 ]
}

@test "query: packets do not depend on what tells flows apart" {
    cp "$DATA/vxlan.pcap" indexed.pcap
    for q in "${key_questions[@]:0:7}"; do
        at-query -q -w want.pcap "$DATA/vxlan.pcap" "$q"
        for key in none inner vlan,mpls,inner; do
            at-index -q --flow-key "$key" indexed.pcap
            at-query -q -w got.pcap indexed.pcap "$q"
            cmp want.pcap got.pcap || { echo "$key: $q"; return 1; }
        done
        at-ingest -q --flush --flow-key inner a-inner "$DATA/vxlan.pcap"
        at-query -q -w got.pcap a-inner "$q"
        cmp want.pcap got.pcap || { echo "archive: $q"; return 1; }
    done
    # a series is of packets, one by a key of flows
    at-query --series 1m --format csv "$DATA/vxlan.pcap" >want
    at-query --series 1m --format csv "a-inner" | diff want -
    at-query --series 1m:proto --flow-key inner --format csv \
        "$DATA/vxlan.pcap" >want
    at-query --series 1m:proto --format csv "a-inner" | diff want -
}

@test "query: MPLS labels are those of tshark" {
    need tshark
    need_corpus
    labels() { sed -E '/^$/d; s/.*,//' | sort | uniq -c; }
    for file in libtrace/mpls.pcap tcpdump/mpls-traceroute.pcap \
        tcpdump/mpls-over-udp.pcap; do
        tshark -r "$CORPUS/$file" -T fields -e mpls.label 2>/dev/null | labels >want
        # each flow, once for each of its packets
        at-query --flow-key vlan,mpls,inner --format csv \
            --fields packets_out,packets_in,mpls "$CORPUS/$file" |
            awk -F, 'NR > 1 && $3 != "" { for (i = 0; i < $1 + $2; i++) print $3 }' |
            labels | diff want -
        [ -s want ]
    done
}

@test "query: flows in a tunnel are followed through an archive" {
    at-split -q -c 10 -o "part-{n}.pcap" "$DATA/vxlan.pcap"
    for part in part-*.pcap; do
        at-ingest -q --rotate 1s --flow-key vlan,inner a "$part"
    done
    [ "$(at-archive list --json a | wc -l)" -gt 1 ]
    flow_rows --flow-key vlan,inner "$DATA/vxlan.pcap" >want
    flow_rows a | diff want -
    at-archive verify --deep a
    rm "$(find a -name '*.idx' | sort | head -1)"
    at-archive repair a
    flow_rows a | diff want -
}

# ---- names

names_of() { # at-query arguments
    at-query --format csv --fields start,src,sport,dst,dport,packets_out,name "$@"
}

@test "query: names are the same by index, by scan, and where an index has none" {
    cp "$DATA"/{tls,http,dns,mail-ntp-ftp}.pcap .
    for q in 'name lab.example' 'name WEB.lab.example.' 'not name example' \
        'name *.shop.lab.example' 'name example and app dns' 'name nowhere.example' \
        'name example and bytes > 1k' ''; do
        rm -f ./*.idx
        names_of tls.pcap http.pcap dns.pcap mail-ntp-ftp.pcap "$q" >scan
        at-query -q -w scan.pcap tls.pcap http.pcap dns.pcap "${q:-tcp}"
        at-index -q tls.pcap http.pcap
        at-index -q --names dns.pcap mail-ntp-ftp.pcap
        names_of tls.pcap http.pcap dns.pcap mail-ntp-ftp.pcap "$q" | cmp - scan
        at-index -q --names tls.pcap http.pcap
        names_of tls.pcap http.pcap dns.pcap mail-ntp-ftp.pcap "$q" | cmp - scan
        at-query -q -w index.pcap tls.pcap http.pcap dns.pcap "${q:-tcp}"
        cmp scan.pcap index.pcap
        wc -l <scan >>lines
    done
    # some of them find something, and not the same
    [ "$(sort -u lines | wc -l)" -ge 5 ]
    at-query --sql "SELECT name, count(*) FROM flows WHERE name != '' GROUP BY 1
        ORDER BY 1" tls.pcap --format csv >sql
    grep -q '^web.lab.example,' sql
    run -0 at-query --top 1:name:flows --json dns.pcap
    [[ "$output" == *'"name":"'*'lab.example"'* ]]
    run -2 at-query dns.pcap name
    run -2 at-query dns.pcap name .
}

@test "query: a flow keeps its name from one segment to the next" {
    at-merge -q -o all.pcap "$DATA"/{tls,http,dns}.pcap
    at-ingest -q --names --rotate 2s a all.pcap
    [ "$(at-archive list --json a | wc -l)" -gt 5 ]
    for q in 'name lab.example' 'not name web.lab.example' ''; do
        names_of all.pcap "$q" | sort >want
        names_of a "$q" | sort | diff want -
    done
    at-archive verify --deep a
    rm "$(find a/segments -name '*.idx' | sort | sed -n 2p)"
    at-archive repair -q a
    names_of a | sort | diff want -
    # SQL finds them as well, and only there
    need sqlite3
    index=$(find a/segments -name '*.idx' | sort | head -n 1)
    [ "$(sqlite3 "$index" 'SELECT count(*) FROM flows WHERE name IS NOT NULL')" -eq \
        "$(sqlite3 "$index" 'SELECT count(*) FROM named')" ]
}

@test "query: a name that no packet can have asked for is not printed" {
    need sqlite3
    cp "$DATA/dns.pcap" .
    at-index -q --names dns.pcap
    sqlite3 dns.pcap.idx "UPDATE name SET name = char(27) || '[2Jx' WHERE id = 2"
    at-query --format csv --fields name dns.pcap >out
    grep -q 'lab.example' out
    not grep -q "$(printf '\033')" out
}

@test "query: names are those of tshark" {
    need tshark
    need_corpus
    python3 "$TOP/test/names.py" --every 12 "$CORPUS" \
        "$TOP/test/names-exceptions.tsv"
}

@test "query: anonymised archives have no names" {
    at-anon --new-key key
    run -2 --separate-stderr at-ingest --names --anon headers --key key a \
        "$DATA/dns.pcap"
    [[ "$stderr" == *'--names keeps what --anon is there to hide'* ]]
    at-ingest -q --flush --names a "$DATA/dns.pcap"
    [ "$(at-query --count a 'name lab.example')" -gt 0 ]
    at-archive anonymise -q --policy headers --key key a b
    [ "$(at-query --count b 'name lab.example')" -eq 0 ]
    not grep -rqa 'lab.example' b
}

# ---- flows that are longer than the range

@test "query: flows are whole whatever the range, in an archive as in a file" {
    columns=start,end,src,sport,dst,dport,packets_out,packets_in,bytes_out
    columns+=,bytes_in,flags_out,flags_in,app,state,end_reason,rtt,name
    "$SYNTH" -n 20000 --rate 8 --flows-packets 12 --hosts 200 --snap 96 all.erf
    at-index -q --names all.erf
    at-ingest -q --names --rotate 5m a all.erf
    [ "$(at-archive list --json a | wc -l)" -ge 8 ]
    ask() { # at-query arguments
        at-query "${range[@]}" --format csv --fields "$columns" "$@" | sort
    }
    for from in 1767226100 1767226790 1767227000; do
        for seconds in 20 400; do
            range=(--from "@$from" --to "+${seconds}s")
            for q in '' 'app tls' 'packets > 20' 'not app dns' 'tcp' \
                'duration > 5m and port 443'; do
                ask all.erf "$q" >want
                ask a "$q" | diff want -
                wc -l <want >>lines
                for how in --whole-flows -q; do
                    at-query -q "${range[@]}" $how -w want.erf all.erf "$q"
                    at-query -q "${range[@]}" $how -w got.erf a "$q"
                    cmp want.erf got.erf
                done
                at-query "${range[@]}" --top 4:app all.erf "$q" >want
                at-query "${range[@]}" --top 4:app a "$q" | diff want -
            done
        done
    done
    [ "$(sort -n lines | tail -n 1)" -gt 50 ]
    # nor does it matter of which part a packet matches, or that parts between
    # them have none
    at-ingest -q --names --rotate 30s b all.erf
    [ "$(at-archive list --json b | wc -l)" -ge 80 ]
    range=()
    for q in 'tcp[tcpflags] & tcp-syn != 0' 'less 60' 'src host 10.0.0.1' \
        'greater 1000' 'ip[5] & 7 = 1'; do
        ask all.erf "$q" >want
        ask a "$q" | diff want -
        ask b "$q" | diff want -
        [ "$(wc -l <want)" -gt 1 ]
    done
}

@test "query: a damaged segment beside the range is said, and the rest is there" {
    "$SYNTH" -n 8000 --rate 8 --flows-packets 12 --hosts 200 --snap 96 all.erf
    at-ingest -q --flush --rotate 5m a all.erf
    # the second of the four; the range is in the first
    printf 'no database' | dd of="$(find a -name '*.idx' | sort | sed -n 2p)" \
        conv=notrunc status=none
    range=(--from @1767225700 --to +150s)
    for q in tcp 'app tls' 'tcp[tcpflags] & tcp-syn != 0'; do
        at-query "${range[@]}" --format csv --fields src,sport,dst all.erf "$q" |
            sort >want
        [ "$(wc -l <want)" -gt 10 ]
        status=0
        at-query "${range[@]}" --format csv --fields src,sport,dst a "$q" \
            >got 2>said || status=$?
        [ "$status" -eq 1 ]
        sort got | diff want -
        [ "$(grep -c 'not a database' said)" -eq 1 ]
    done
    # without a range each segment is asked, and the damage is said once
    run -1 --separate-stderr at-query --format csv --fields src a 'dst port 443'
    [ "${#lines[@]}" -gt 50 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
}

# ---- indexes and archives that are not as they should be

@test "query: an index of a file that was changed since is not used" {
    cp "$DATA/http.pcap" f.pcap
    at-index -q f.pcap
    at-query --format csv f.pcap >old
    cat "$DATA/dns.pcap" >f.pcap
    at-query --format csv f.pcap >new
    cp "$DATA/dns.pcap" g.pcap
    diff <(rows g.pcap) <(rows f.pcap)
    not cmp -s old new
}

@test "query: a damaged index beside a file is not used" {
    rows "$DATA/http.pcap" >want
    for damage in 'head -c 5000' 'head -c 0' 'tr \\000 x' 'head -c 100'; do
        cp "$INDEXED/http.pcap" .
        $damage <"$INDEXED/http.pcap.idx" >http.pcap.idx
        run rows http.pcap
        [ "$status" -le 1 ]
        [ "$status" -eq 1 ] || diff want <(printf '%s\n' "$output")
    done
    cp "$INDEXED/dns.pcap.idx" http.pcap.idx
    rows http.pcap | diff want -
}

@test "query: no flipped byte of an index makes it crash" {
    cp "$INDEXED/vlan.pcap" .
    size=$(stat -c %s "$INDEXED/vlan.pcap.idx")
    for ((i = 0; i < 60; i++)); do
        cp "$INDEXED/vlan.pcap.idx" vlan.pcap.idx
        printf '\xff\xff\xff' | dd of=vlan.pcap.idx bs=1 conv=notrunc \
            seek=$((i * size / 60 + i)) status=none
        run at-query --count vlan.pcap host 10.1.0.11 and tcp
        [ "$status" -le 1 ]
        run at-query -q -F erf -w out.erf vlan.pcap host 10.1.0.11 and tcp
        [ "$status" -le 1 ]
    done
}

@test "query: a damaged segment is named, the others are answered" {
    own_archive
    segment=$(find mine -name '*T110000Z.pcap.gz')
    size=$(stat -c %s "$segment")
    good=$(at-query --count --to 2026-03-01T11:00Z "$ARCHIVE")
    cp "$segment" whole
    for damage in flip cut; do
        cp whole "$segment"
        if [ $damage = flip ]; then
            printf '\xff\x00\xff' | dd of="$segment" bs=1 conv=notrunc \
                seek=$((size / 2)) status=none
        else
            truncate -s $((size / 2)) "$segment"
        fi
        run --separate-stderr at-query -q -w out.erf mine
        [ "$status" -eq 1 ]
        one_message
        [[ "$stderr" == "at-query: $segment"* ]]
        # What lies before and after the segment is all there.
        [ "$(at-query --count -w x --to 2026-03-01T11:00Z mine)" -eq \
            "$(at-query --count -w x --to 2026-03-01T11:00Z "$ARCHIVE")" ]
        records out.erf >got
        at-query -q -w want.erf --from 2026-03-01T12:01Z "$ARCHIVE"
        diff <(records want.erf) <(tail -n "$(records want.erf | wc -l)" got)
        # A question that must read the segment's packets
        run --separate-stderr at-query --count mine 'greater 1000'
        [ "$status" -eq 1 ]
        one_message
        [[ "$stderr" == "at-query: $segment"* ]]
        [ "$output" -ge "$(at-query --count --to 2026-03-01T11:00Z "$ARCHIVE" \
            'greater 1000')" ]
    done
    [ "$good" -gt 0 ]
}

@test "query: a segment or an index that is gone is named" {
    own_archive
    segment=$(find mine -name '*T110000Z.pcap.gz')
    rm "$segment"
    run --separate-stderr at-query -q -w out.erf mine
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == "at-query: $segment"* ]]
    own_archive2=mine2
    cp -a "$ARCHIVE" $own_archive2
    rm "$own_archive2"/segments/2026/03/01/*T110000Z.pcap.gz.idx
    run --separate-stderr at-query -q -w out2.erf $own_archive2
    [ "$status" -eq 1 ]
    one_message
}

@test "query: an archive is asked without a byte written beside it" {
    own_archive
    tree_state mine >before
    at-query --count mine tcp
    at-query -q -w out.erf mine tcp
    at-archive list mine
    tree_state mine | diff before -
}

@test "query: an archive on a read-only medium is asked like any other" {
    mkdir ro
    own_archive
    unshare -m true 2>/dev/null || skip 'no mounts here'
    run unshare -m bash -c 'mount --bind mine ro &&
        mount -o remount,bind,ro ro && ! touch ro/x 2>/dev/null &&
        at-query --count ro tcp && at-archive list ro >/dev/null &&
        at-query -q -w out.erf ro udp'
    [ "$status" -eq 0 ]
    [ "$output" = "$(at-query --count "$ARCHIVE" tcp)" ]
    at-query -q -w want.erf "$ARCHIVE" udp
    cmp want.erf out.erf
}

@test "query: an empty archive has no flows and no packets" {
    at-archive init empty
    run --separate-stderr at-query --format csv empty
    [ "$status" -eq 0 ]
    [ "$output" = "$COLUMNS_ALL" ]
    [ -z "$stderr" ]
    at-query -q -w out.pcap empty tcp
    [ "$(stat -c %s out.pcap)" -eq 24 ]
    run --separate-stderr at-archive list --json empty
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
}

@test "query: a catalogue that is none or of another version is refused" {
    mkdir bad
    echo 'not a database' >bad/catalog.sqlite
    run --separate-stderr at-query bad
    [ "$status" -eq 1 ]
    one_message
    need sqlite3
    at-archive init newer
    sqlite3 newer/catalog.sqlite 'PRAGMA user_version = 99'
    run --separate-stderr at-query newer
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == *'version 99'* ]]
}

# ---- at-index

@test "index: the same index for any number of threads" {
    for f in http.pcap link.erf scan.pcap.gz; do
        for j in 1 2 3 8; do
            at-index -q -j $j -o $j.idx "$DATA/$f"
            cmp $j.idx 1.idx
        done
    done
}

@test "index: a cut file is indexed as far as it goes, exit 1, not trusted" {
    head -c 100000 "$DATA/http.pcap" >cut.pcap
    run --separate-stderr at-index -q cut.pcap
    [ "$status" -eq 1 ]
    one_message
    run --separate-stderr at-query --count cut.pcap
    [ "$status" -eq 1 ]
    [ "$output" -gt 0 ]
    [[ "$stderr" == "at-query: cut.pcap: "* ]]
}

@test "index: no index of what is no trace, missing, or cannot be written" {
    run --separate-stderr at-index "$TOP/Makefile" -o x.idx
    [ "$status" -ne 0 ]
    [ ! -e x.idx ]
    run --separate-stderr at-index missing
    [ "$status" -eq 1 ]
    one_message
    run --separate-stderr at-index -o /nowhere/x.idx "$DATA/dns.pcap"
    [ "$status" -eq 1 ]
    one_message
    run at-index
    [ "$status" -eq 2 ]
    run at-index --timeout colour=3s "$DATA/dns.pcap"
    [ "$status" -eq 2 ]
    no_leftovers
}

# ---- at-archive

@test "archive: list tells of each segment" {
    need jq
    run at-archive list "$ARCHIVE"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 8 ]
    at-archive list --json "$ARCHIVE" >segments.json
    jq -es 'map(.packets) | add == 15113' segments.json
    jq -es 'map(select(.stream == "link") | .packets) | add == 2323' segments.json
    [ "$(at-archive list --json --stream link "$ARCHIVE" | wc -l)" -eq 2 ]
    [ "$(at-archive list --json --from 2026-03-01T12:00Z "$ARCHIVE" |
        wc -l)" -eq 3 ]
    while read -r path bytes index; do
        [ "$(stat -c %s "$ARCHIVE/$path")" -eq "$bytes" ]
        [ "$(stat -c %s "$ARCHIVE/$path.idx")" -eq "$index" ]
    done < <(jq -r '"\(.path) \(.file_bytes) \(.index_bytes)"' segments.json)
}

@test "archive: wrong use is exit 2, what is no archive is exit 1" {
    run at-archive
    [ "$status" -eq 2 ]
    run at-archive list
    [ "$status" -eq 2 ]
    run at-archive burn "$ARCHIVE"
    [ "$status" -eq 2 ]
    for path in . missing "$DATA/dns.pcap"; do
        run --separate-stderr at-archive list "$path"
        [ "$status" -eq 1 ]
        one_message
    done
    run --separate-stderr at-archive init "$DATA/dns.pcap"
    [ "$status" -eq 1 ]
    one_message
    run --separate-stderr at-archive init /proc/archive
    [ "$status" -eq 1 ]
    one_message
}

@test "archive: init of one that is there changes nothing" {
    own_archive
    at-archive list mine >before
    at-archive init mine
    at-archive list mine | diff before -
}
