#!/usr/bin/env bats
# at-convert as a user meets it

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# The same packets to the nanosecond, whatever the format
same_packets() { # file file
    diff <(records "$1") <(records "$2") >/dev/null
}

# ---- the command line ----------------------------------------------------

@test "at-convert: wrong options" {
    for args in '--sequense a b' '-F snoop a b' '-Z zip a b' '-Z bgzf:13 a b' \
        '-Z bgzf:x a b' '-n -1 a b' '--from yesterday a b' \
        '-f udp\ porz a b' 'a' ''; do
        eval "run --separate-stderr at-convert $args"
        [ "$status" -eq 2 ] || { echo "$args: $status"; false; }
        [ -z "$output" ]
        [[ "${stderr_lines[0]}" == "at-convert: "* ]]
        [ ! -e b ]
    done
    run --separate-stderr at-convert -F snoop a b
    [[ "${stderr_lines[1]}" == "usage: at-convert "* ]]
    run at-convert -h
    [ "$status" -eq 0 ]
    [[ "$output" == *"--sequence"* ]]
}

@test "at-convert: the name of the output chooses" {
    for name in x.erf x.erf.gz x.pcap x.pcap.gz x; do
        at-convert -q "$TEST_DATA/dns.pcap" $name
        at-info --json $name >info.json
        case $name in
        *.erf*) grep -q '"format":"erf"' info.json ;;
        *) grep -q '"format":"pcap"' info.json ;;
        esac
        case $name in
        *.gz) grep -q '"codec":"bgzf"' info.json ;;
        *) grep -q '"codec":"none"' info.json ;;
        esac
    done
    at-convert -q -F erf -Z gzip "$TEST_DATA/dns.pcap" y.pcap
    [[ "$(at-info --json y.pcap)" == *'"format":"erf","codec":"gzip"'* ]]
    no_leftovers
}

@test "at-convert: one summary line, none with -q" {
    run --separate-stderr at-convert "$TEST_DATA/http.pcap" x.pcap
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [[ "$stderr" == "at-convert: 1,090 packets, 781.8 kB in "* ]]
    one_message
    run --separate-stderr at-convert -q "$TEST_DATA/http.pcap" x.pcap
    [ -z "$stderr" ]
}

# ---- formats -------------------------------------------------------------

@test "at-convert: ERF to ERF changes no byte" {
    for f in "$TEST_DATA"/*.erf; do
        at-convert -q "$f" same.erf
        cmp "$f" same.erf
        at-convert -q "$f" same.erf.gz
        zcat same.erf.gz | cmp - "$f"
    done
}

@test "at-convert: ERF to ERF changes no byte of any kind of record" {
    python3 - >all.erf <<'END'
import struct, sys
def record(kind, body, flags=4, field=0, wire=60, ext=0, ts=1 << 62):
    chain = b"".join(bytes([0x85 if i else 5, 1, 2, 3, 4, 5, 6, 7])
                     for i in reversed(range(ext)))
    kind |= 0x80 if ext else 0
    return struct.pack("<QBB", ts, kind, flags) + struct.pack(
        ">HHH", 16 + len(chain) + len(body), field, wire) + chain + body
out = []
for kind in list(range(1, 49)) + [60, 127]:
    for ext in (0, 1, 3):
        out.append(record(kind, bytes(62), ext=ext, ts=len(out) << 33))
out.append(record(48, b"", wire=0))            # PAD
out.append(record(27, bytes(40), ext=2, ts=1)) # META, out of order
out.append(record(2, b"", flags=0x3f, field=999))
out.append(record(2, b"\1" * 70, wire=1500))
sys.stdout.buffer.write(b"".join(out * 300))
END
    at-convert -q all.erf same.erf
    cmp all.erf same.erf
    at-convert -q --sequence all.erf all.erf.gz
    zcat all.erf.gz | cmp all.erf -
}

@test "at-convert: corpus ERF files come out as they went in" {
    need_corpus
    n=0
    while IFS= read -r f; do
        at-convert -q "$CORPUS/$f" same.erf || continue # damaged ones
        gzip -cdf "$CORPUS/$f" | cmp - same.erf # -f: or as it is
        n=$((n + 1))
    done < <(awk -F '\t' '
        NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
        $col["format"] ~ /^erf([+]gz)?$/ { print $col["file"] }' \
        "$CORPUS/MANIFEST.tsv")
    [ "$n" -ge 10 ]
}

@test "at-convert: ERF to pcap has the packets that Wireshark sees" {
    need tshark editcap
    at-convert -q "$TEST_DATA/link.erf" x.pcap
    same_packets "$TEST_DATA/link.erf" x.pcap
    for f in "$TEST_DATA/link.erf" x.pcap; do
        tshark -nr "$f" -T fields -e frame.time_epoch -e ip.src -e ip.dst \
            -e ip.id -e tcp.seq_raw 2>/dev/null
    done >both.txt
    split -n l/2 both.txt half.
    [ "$(wc -l <both.txt)" -eq $((2 * 2323)) ]
    cmp <(head -n 2323 both.txt) <(tail -n 2323 both.txt)
    editcap -F nsecpcap "$TEST_DATA/link.erf" theirs.pcap
    diff <(records x.pcap | cut -d ' ' -f 1) \
        <(records theirs.pcap | cut -d ' ' -f 1)
}

@test "at-convert: pcap to ERF and back loses nothing" {
    for f in http dns tls fragments vlan bulk-s96; do
        at-convert -q "$TEST_DATA/$f.pcap" x.erf
        at-convert -q x.erf back.pcap
        same_packets "$TEST_DATA/$f.pcap" x.erf
        same_packets "$TEST_DATA/$f.pcap" back.pcap
    done
}

@test "at-convert: pcap of microseconds comes out as it went in" {
    for f in http dns vlan bulk-s96; do
        at-convert -q -F pcap-us "$TEST_DATA/$f.pcap" x.pcap
        cmp "$TEST_DATA/$f.pcap" x.pcap
    done
}

@test "at-convert: raw IP of both versions goes through ERF" {
    python3 - >raw.pcap <<'END'
import struct, sys
out = struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 101)
for i in range(10):
    frame = bytes([0x45 if i % 2 else 0x60]) + bytes(59)
    out += struct.pack("<IIII", 1700000000 + i, i, 60, 60) + frame
sys.stdout.buffer.write(out)
END
    at-convert -q raw.pcap raw.erf
    at-convert -q raw.erf back.pcap
    cmp raw.pcap back.pcap || same_packets raw.pcap back.pcap
    [ "$(records back.pcap | wc -l)" -eq 10 ]
}

# ---- losses --------------------------------------------------------------

@test "at-convert: what pcap cannot hold is said, counted" {
    run --separate-stderr at-convert "$TEST_DATA/link.erf" x.pcap
    [ "$status" -eq 0 ]
    [ "${stderr_lines[0]}" = \
        "at-convert: x.pcap: 1,224 interface numbers cannot be held by pcap" ]
    [ "${#stderr_lines[@]}" -eq 2 ]
    run --separate-stderr at-convert -q "$TEST_DATA/link.erf" x.pcap
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    run --separate-stderr at-convert -F pcap-us "$TEST_DATA/tls.pcap" y.pcap
    [[ "${stderr_lines[0]}" == *" times in nanoseconds cannot be held by pcap-us" ]]
}

@test "at-convert: --strict makes a loss an error and no file" {
    run --separate-stderr at-convert --strict "$TEST_DATA/link.erf" x.pcap
    [ "$status" -eq 1 ]
    [ "$stderr" = \
        "at-convert: x.pcap: an interface number cannot be held by pcap" ]
    [ ! -e x.pcap ]
    no_leftovers
    at-convert --strict -q "$TEST_DATA/http.pcap" y.erf.gz
}

@test "at-convert: two link types do not fit into one pcap" {
    python3 - >raw.pcap <<'END'
import struct, sys
out = struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 101)
out += struct.pack("<IIII", 2000000000, 0, 20, 20) + b"\x45" + bytes(19)
sys.stdout.buffer.write(out * 1)
END
    run --separate-stderr at-convert "$TEST_DATA/dns.pcap" raw.pcap x.pcap
    [ "$status" -eq 1 ]
    [[ "${stderr_lines[0]}" == \
        *": 1 packet of another link type cannot be held by one pcap file"* ]]
    [ "$(records x.pcap | wc -l)" -eq 308 ]
    run --separate-stderr at-convert "$TEST_DATA/dns.pcap" raw.pcap x.erf
    [ "$status" -eq 0 ]
    [ "$(at-info -c x.erf | cut -f 1)" -eq 309 ]
}

@test "at-convert: a link type that ERF does not have makes no empty file" {
    python3 - >radio.pcap <<'END'
import struct, sys
out = struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 127)
out += struct.pack("<IIII", 2000000000, 0, 20, 20) + bytes(20)
sys.stdout.buffer.write(out)
END
    run --separate-stderr at-convert radio.pcap x.erf
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"1 packet of another link type cannot be held by erf"* ]]
    [ ! -e x.erf ]
    no_leftovers
}

# ---- selection -----------------------------------------------------------

@test "at-convert: -n, after the filter" {
    at-convert -q -n 7 -f 'udp port 53' "$TEST_DATA/dns.pcap" x.pcap
    at-convert -q -f 'udp port 53' "$TEST_DATA/dns.pcap" all.pcap
    diff <(records x.pcap) <(records all.pcap | head -n 7)
    at-convert -q -n 0 "$TEST_DATA/dns.pcap" none.pcap
    [ "$(at-info -c none.pcap | cut -f 1)" -eq 0 ]
}

@test "at-convert: --from and --to are exact to the nanosecond" {
    mapfile -t ns < <(records "$TEST_DATA/tls.pcap" | cut -d ' ' -f 1 | sort -n)
    a=${ns[100]} b=${ns[200]}
    for f in "$TEST_DATA/tls.pcap" tls.erf; do
        [ -e "$f" ] || at-convert -q "$TEST_DATA/tls.pcap" "$f"
        for shift in '0 0' '1 0' '0 1' '1 1' '-1 -1'; do
            read -r i j <<<"$shift"
            from=$((a + i)) to=$((b + j))
            at-convert -q --from "@$((from / 1000000000)).$(printf %09d \
                $((from % 1000000000)))" --to "@$((to / 1000000000)).$(printf \
                %09d $((to % 1000000000)))" "$f" x.pcap
            diff <(records x.pcap) <(records "$TEST_DATA/tls.pcap" |
                awk -v from=$from -v to=$to '
                    # as text: the numbers are too long for awk
                    $1 "" >= from "" && $1 "" < to ""')
        done
    done
}

@test "at-convert: -f gives what tcpdump gives, byte for byte" {
    need tcpdump
    while IFS= read -r expr; do
        for f in http dns ipv6 icmp fragments scan sctp lan; do
            [ -e "$TEST_DATA/$f.pcap" ] || continue
            at-convert -q -f "$expr" "$TEST_DATA/$f.pcap" ours.pcap
            tcpdump_filtered "$TEST_DATA/$f.pcap" theirs.pcap "$expr"
            cmp ours.pcap theirs.pcap || { echo "$f: $expr"; false; }
        done
    done <<'END'
tcp port 80
not tcp
host 192.0.2.10 or udp
ip6 and not icmp6
icmp[0] == 8 or arp
less 100
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0
ip[6:2] & 0x1fff != 0
END
}

@test "at-convert: --bpf is tcpdump to the letter, else tags are seen through" {
    need tcpdump
    vlan=$TEST_DATA/vlan.pcap
    at-convert -q --bpf -f 'tcp port 80' "$vlan" literal.pcap
    tcpdump_filtered "$vlan" theirs.pcap 'tcp port 80'
    cmp literal.pcap theirs.pcap
    at-convert -q -f 'tcp port 80' "$vlan" through.pcap
    tcpdump_filtered "$vlan" theirs.pcap \
        'tcp port 80 or (vlan and (tcp port 80 or (vlan and tcp port 80)))'
    cmp through.pcap theirs.pcap
    [ "$(records through.pcap | wc -l)" -gt "$(records literal.pcap | wc -l)" ]
    # an expression that says vlan means it
    at-convert -q -f 'vlan 10' "$vlan" v10.pcap
    tcpdump_filtered "$vlan" theirs.pcap 'vlan 10'
    cmp v10.pcap theirs.pcap
}

@test "at-convert: META records pass a filter into ERF, PAD records do not" {
    python3 - >m.erf <<'END'
import struct, sys
def record(kind, body, wire=60):
    return struct.pack("<QBB", 1700000000 << 32, kind, 4) + struct.pack(
        ">HHH", 16 + len(body), 0, wire) + body
out = record(27, bytes(40)) + record(48, bytes(8), 0) + record(2, bytes(62))
sys.stdout.buffer.write(out * 5)
END
    at-convert -q -f 'arp' m.erf x.erf
    [[ "$(at-info --json x.erf)" == \
        *'"packets":0,'*'"meta_records":5,"pad_records":0'* ]]
    run --separate-stderr at-convert m.erf x.pcap
    [ "$status" -eq 0 ]
    [[ "${stderr_lines[0]}" == *": 10 META or PAD records cannot be held by pcap" ]]
    run --separate-stderr at-convert --strict m.erf y.pcap
    [ "$status" -eq 1 ]
    [ ! -e y.pcap ]
}

# ---- several inputs ------------------------------------------------------

@test "at-convert: two halves are merged into the whole" {
    at-convert -q -n 1000 "$TEST_DATA/link.erf" a.erf
    tail -c +$(($(stat -c %s a.erf) + 1)) "$TEST_DATA/link.erf" >b.erf
    at-convert -q b.erf a.erf merged.erf
    cmp merged.erf "$TEST_DATA/link.erf"
    at-convert -q --sequence a.erf b.erf joined.erf
    cmp joined.erf "$TEST_DATA/link.erf"
    at-convert -q --sequence b.erf a.erf swapped.erf
    cat b.erf a.erf | cmp - swapped.erf
}

@test "at-convert: streams side by side come out by time" {
    python3 - "$TEST_DATA/link.erf" <<'END'
import struct, sys
data, at, out = open(sys.argv[1], "rb").read(), 0, [b"", b""]
while at < len(data):
    n = struct.unpack_from(">H", data, at + 10)[0]
    out[data[at + 9] & 3] += data[at:at + n]
    at += n
for i in range(2):
    open("if%d.erf" % i, "wb").write(out[i])
END
    for j in 1 4; do
        at-convert -q -j $j if1.erf if0.erf merged.erf
        diff <(records merged.erf | sort) <(records "$TEST_DATA/link.erf" | sort)
        records merged.erf | cut -d ' ' -f 1 | sort -nc
    done
}

# ---- compression ---------------------------------------------------------

@test "at-convert: BGZF can be read by everybody" {
    need bgzip tcpdump capinfos tracestats
    at-convert -q "$TEST_DATA/http.pcap" x.pcap.gz
    at-convert -q "$TEST_DATA/link.erf" x.erf.gz
    gzip -t x.pcap.gz x.erf.gz
    bgzip -t x.pcap.gz
    bgzip -dc x.erf.gz | cmp - "$TEST_DATA/link.erf"
    [ "$(zcat x.pcap.gz | tcpdump -nr - 2>/dev/null | wc -l)" -eq 1090 ]
    [ "$(capinfos -T -r -M -c x.pcap.gz | cut -f 2)" -eq 1090 ]
    [ "$(capinfos -T -r -M -c x.erf.gz | cut -f 2)" -eq 2323 ]
    tracestats erf:x.erf.gz 2>&1 | grep 'Accepted Packets:[[:space:]]*2323'
}

@test "at-convert: levels 1 to 12 hold the same" {
    for level in 1 6 9 12; do
        at-convert -q -Z bgzf:$level "$TEST_DATA/link.erf" $level.erf
        zcat <$level.erf | cmp - "$TEST_DATA/link.erf"
    done
    [ "$(stat -c %s 12.erf)" -lt "$(stat -c %s 1.erf)" ]
}

@test "at-convert: the same bytes for any number of threads" {
    for out in x.pcap.gz x.erf.gz x.erf; do
        at-convert -q -j 1 -f 'tcp or udp' "$TEST_DATA"/*.pcap* \
            "$TEST_DATA"/*.erf* $out
        for j in 2 3 8; do
            at-convert -q -j $j -f 'tcp or udp' "$TEST_DATA"/*.pcap* \
                "$TEST_DATA"/*.erf* more.$out
            cmp $out more.$out
        done
    done
}

# ---- standard streams ----------------------------------------------------

@test "at-convert: pipes on both sides" {
    # shellcheck disable=SC2002 # a pipe is wanted
    cat "$TEST_DATA/link.erf" | at-convert -q -F erf - - | cat |
        cmp - "$TEST_DATA/link.erf"
    gzip -c "$TEST_DATA/link.erf" | at-convert -q -F erf -Z bgzf - - |
        zcat | cmp - "$TEST_DATA/link.erf"
    at-convert -q -F erf - - <"$TEST_DATA/link.erf" >x.erf
    cmp x.erf "$TEST_DATA/link.erf"
}

@test "at-convert: a terminal gets no packets" {
    need script
    run script -qec "at-convert $TEST_DATA/dns.pcap -" /dev/null
    [ "$status" -eq 2 ]
    [[ "$output" == *"terminal"* ]]
}

@test "at-convert: a full disk, a closed pipe" {
    run --separate-stderr at-convert -q "$TEST_DATA/http.pcap" /dev/full
    [ "$status" -eq 1 ]
    [ "$stderr" = \
        "at-convert: /dev/full: cannot write: No space left on device" ]
    run --separate-stderr bash -c 'at-convert -q "$1" - >/dev/full' - \
        "$TEST_DATA/http.pcap"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"standard output: cannot write: No space left"* ]]
    run --separate-stderr bash -c 'at-convert "$1" - | true' - \
        "$TEST_DATA/bulk-s96.pcap"
    [ -z "$stderr" ] || [[ "$stderr" == *" packets, "* ]]
}

# ---- what goes wrong -----------------------------------------------------

@test "at-convert: nothing is left when an input is missing or no trace" {
    for bad in missing empty text; do
        : >empty
        echo 'no trace of anything at all here' >text
        for order in "$bad $TEST_DATA/dns.pcap" "$TEST_DATA/dns.pcap $bad" \
            "--sequence $TEST_DATA/dns.pcap $bad"; do
            # shellcheck disable=SC2086 # several words
            run --separate-stderr at-convert $order x.pcap
            [ "$status" -eq 1 ]
            one_message
            [[ "$stderr" == "at-convert: $bad: "* ]]
            [ ! -e x.pcap ]
            no_leftovers
        done
    done
}

@test "at-convert: a bad filter leaves the old output alone" {
    echo old >x.pcap
    run --separate-stderr at-convert -f 'porz 80' "$TEST_DATA/dns.pcap" x.pcap
    [ "$status" -eq 2 ]
    [ "$(cat x.pcap)" = old ]
    no_leftovers
}

@test "at-convert: input and output may not be the same file" {
    cp "$TEST_DATA/dns.pcap" a.pcap
    ln -s a.pcap link.pcap
    ln a.pcap hard.pcap
    for out in a.pcap ./a.pcap link.pcap hard.pcap; do
        run --separate-stderr at-convert a.pcap $out
        [ "$status" -eq 1 ]
        [ "$stderr" = "at-convert: a.pcap: is both input and output" ]
    done
    run --separate-stderr bash -c 'at-convert - - <a.pcap >>a.pcap'
    [ "$status" -eq 1 ]
    cmp a.pcap "$TEST_DATA/dns.pcap"
}

@test "at-convert: folders that cannot be written" {
    run --separate-stderr at-convert "$TEST_DATA/dns.pcap" nowhere/x.pcap
    [ "$status" -eq 1 ]
    [ "$stderr" = \
        "at-convert: nowhere/x.pcap: cannot create: No such file or directory" ]
    if [ "$(id -u)" -ne 0 ]; then
        mkdir -m 555 locked
        run --separate-stderr at-convert "$TEST_DATA/dns.pcap" locked/x.pcap
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"locked/x.pcap: cannot create: Permission denied" ]]
    fi
}

@test "at-convert: of a cut input the whole packets are kept" {
    gzip -nc "$TEST_DATA/http.pcap" >http.gz
    at-convert -q -Z bgzf "$TEST_DATA/http.pcap" http.bgzf
    for f in "$TEST_DATA/http.pcap" http.gz http.bgzf; do
        for n in 70000 140001 250000; do
            head -c $n "$f" >'cut'
            run --separate-stderr at-convert -q cut x.pcap
            [ "$status" -eq 1 ]
            one_message
            [[ "$stderr" == "at-convert: cut: cut short"*" byte "* ]]
            n=$(records x.pcap | wc -l)
            [ "$n" -gt 50 ]
            diff <(records x.pcap) <(records "$TEST_DATA/http.pcap" | head -n "$n")
        done
    done
    no_leftovers
}

@test "at-convert: a cut input does not end the others" {
    head -c 100000 "$TEST_DATA/http.pcap" >'cut'
    for how in '' --sequence; do
        # shellcheck disable=SC2086 # may be nothing
        run --separate-stderr at-convert -q $how cut "$TEST_DATA/tls.pcap" x.pcap
        [ "$status" -eq 1 ]
        one_message
        diff <(records x.pcap) <({ records cut
            records "$TEST_DATA/tls.pcap"; } )
    done
}

@test "at-convert: Ctrl-C leaves no output" {
    mkfifo pipe
    at-convert pipe x.pcap 2>err &
    pid=$!
    {
        cat "$TEST_DATA/http.pcap"
        kill -INT $pid
        tail -c +25 "$TEST_DATA/http.pcap"
        sleep 0.2
    } >pipe
    status=0
    wait $pid || status=$?
    # bash starts background jobs with SIGINT ignored; then it just ends
    if [ "$status" -ne 0 ]; then
        [ "$status" -eq 130 ]
        [ ! -e x.pcap ]
    fi
    at-convert pipe y.pcap 2>err &
    pid=$!
    {
        cat "$TEST_DATA/http.pcap"
        kill -TERM $pid
        tail -c +25 "$TEST_DATA/http.pcap"
    } >pipe
    status=0
    wait $pid || status=$?
    [ "$status" -eq 143 ]
    [ ! -e y.pcap ]
    no_leftovers
}
