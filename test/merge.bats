#!/usr/bin/env bats
# at-merge as a user meets it

# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; run sets them

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# The interface of each ERF record.
interfaces() { # file
    python3 - "$1" <<'END'
import struct, sys
data, at = open(sys.argv[1], "rb").read(), 0
while at < len(data):
    print(data[at + 9] & 3)
    at += struct.unpack_from(">H", data, at + 10)[0]
END
}

# ---- the command line ----------------------------------------------------

@test "at-merge: wrong options" {
    for args in 'a b' '-o x' '-o x --windov 1s a' '-o x --window -1s a' \
        '-o x --window soon a' '-o x -i0 a' '-o x -ix a' \
        '-o x --set-interface=99999 a' '-o x --sequence --window 1s a' \
        '-o x -i --direction port a' '-o x -F snoop a' '-o x -f udp\ porz a' \
        '-o' ''; do
        eval "run --separate-stderr at-merge $args"
        [ "$status" -eq 2 ] || { echo "$args: $status"; false; }
        [ -z "$output" ]
        [[ "${stderr_lines[0]}" == "at-merge: "* ]]
        [ ! -e x ]
    done
    run at-merge -h
    [ "$status" -eq 0 ]
    [[ "$output" == *"--unique"* ]]
}

# ---- order ---------------------------------------------------------------

@test "at-merge: by time, then by input, then as it was" {
    text_packets a.pcap 10:a1 20:a2 20:a3 40:a4
    text_packets b.pcap 10:b1 20:b2 30:b3
    text_packets c.pcap 5:c1
    at-merge -q -o x.pcap a.pcap b.pcap c.pcap
    [ "$(texts x.pcap)" = "c1 a1 b1 a2 a3 b2 b3 a4" ]
    at-merge -q -F pcap -o - c.pcap b.pcap a.pcap >x.pcap
    [ "$(texts x.pcap)" = "c1 b1 a1 b2 a2 a3 b3 a4" ]
    at-merge -q --sequence -o x.pcap b.pcap c.pcap a.pcap
    [ "$(texts x.pcap)" = "b1 b2 b3 c1 a1 a2 a3 a4" ]
    at-merge -q -n 3 -o x.pcap a.pcap b.pcap - <c.pcap
    [ "$(texts x.pcap)" = "c1 a1 b1" ]
    no_leftovers
}

@test "at-merge: late packets find their place in a window, and are counted" {
    text_packets a.pcap 10:a1 30:a2 25:a3 60:a4 40:a5 90:a6
    text_packets b.pcap 20:b1 50:b2
    run at-merge -o x.pcap a.pcap b.pcap
    [[ "$output" == *", 2 packets late" ]]
    [ "$(texts x.pcap)" = "a1 b1 a2 a3 b2 a4 a5 a6" ]
    run at-merge --window 10ms -o x.pcap a.pcap b.pcap
    [[ "$output" == *", 1 packet late" ]]
    [ "$(texts x.pcap)" = "a1 b1 a3 a2 b2 a5 a4 a6" ]
    run at-merge --window 20ms -o x.pcap a.pcap b.pcap
    [[ "$output" != *late* ]]
    [ "$(texts x.pcap)" = "a1 b1 a3 a2 a5 b2 a4 a6" ]
}

@test "at-merge: a packet of time 0 stands in nobody's way" {
    text_packets a.pcap 0:zero 10:a1 20:a2
    text_packets b.pcap 5:b1 15:b2
    at-merge -q -o x.pcap a.pcap b.pcap
    [ "$(texts x.pcap)" = "zero b1 a1 b2 a2" ]
}

@test "at-merge: agrees with mergecap on corpus captures" {
    need mergecap
    need_corpus
    n=0
    awk -F '\t' '
        NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
        $col["cross_check"] == "ok" && $col["usable"] == "yes" {
            print $col["file"] }' "$CORPUS/GROUND_TRUTH.tsv" |
        grep -Ff <(grep -P '\tEN10MB\t' "$CORPUS/MANIFEST.tsv" | cut -f 1) |
        awk 'NR % 4 == 0' | head -n 256 >files
    [ "$(wc -l <files)" -ge 200 ]
    while mapfile -t -n 8 group && [ "${#group[@]}" -gt 0 ]; do
        group=("${group[@]/#/$CORPUS/}")
        # it stops where a file is damaged
        mergecap -F nsecpcap -w theirs.pcap "${group[@]}" 2>/dev/null ||
            continue
        at-merge -q -o ours.pcap "${group[@]}" || true
        # the same times in the same order; those that are equal in any
        diff <(records theirs.pcap | cut -d ' ' -f 1) \
            <(records ours.pcap | cut -d ' ' -f 1)
        diff <(records theirs.pcap | sort) <(records ours.pcap | sort)
        n=$((n + 1))
    done <files
    echo "$n groups"
    [ "$n" -ge 20 ]
}

@test "at-merge: two hundred inputs that overlap, and a thousand that follow" {
    for i in $(seq 0 199); do
        "$SYNTH" -n 50 -s $((i + 1)) --snap 94 "o$i.erf"
    done
    at-merge -q -o x.erf o*.erf
    [ "$(records x.erf | wc -l)" -eq 10000 ]
    records x.erf | cut -d ' ' -f 1 | sort -n -c
    "$SYNTH" -n 5000 --snap 94 all.erf
    python3 - <<'END'
import struct
data, at, n = open("all.erf", "rb").read(), 0, 0
while at < len(data):
    start = at
    for _ in range(5):
        at += struct.unpack_from(">H", data, at + 10)[0]
    open(f"f{n}.erf", "wb").write(data[start:at])
    n += 1
END
    bash -c 'ulimit -S -n 100; at-merge -q -o y.erf f*.erf'
    cmp y.erf all.erf
}

# ---- duplicates ----------------------------------------------------------

@test "at-merge: -u drops the same packets, across inputs and within, and counts them" {
    text_packets a.pcap 10:same 20:a 20:b 20:a 30:x
    text_packets b.pcap 10:same 20:b 21:a 30:y 30:x
    run at-merge -u -o x.pcap a.pcap b.pcap
    [ "$status" -eq 0 ]
    [[ "$output" == *"6 packets, "*", 4 duplicates dropped" ]]
    [ "$(texts x.pcap)" = "same a b a x y" ]
    at-merge -q -o x.pcap a.pcap b.pcap
    [ "$(texts x.pcap)" = "same same a b a b a x y x" ]
    at-merge -q -u -n 2 -o x.pcap a.pcap b.pcap
    [ "$(texts x.pcap)" = "same a" ]
    # out of order: a window brings them together
    text_packets c.pcap 20:a 10:same 20:a
    at-merge -q -u -o x.pcap c.pcap
    [ "$(texts x.pcap)" = "a same a" ]
    at-merge -q -u --window 1s -o x.pcap c.pcap
    [ "$(texts x.pcap)" = "same a" ]
}

@test "at-merge: -u of a trace with itself is the trace, in whatever format" {
    at-convert -q "$TEST_DATA/http.pcap" http.erf
    at-convert -q "$TEST_DATA/http.pcap" http.pcapng.gz
    # some of its packets are a microsecond late
    at-merge -q --window 1ms -o once.pcap "$TEST_DATA/http.pcap"
    at-merge -q -u --window 1ms -o twice.pcap "$TEST_DATA/http.pcap" \
        http.erf "$TEST_DATA/http.pcap" http.pcapng.gz
    cmp twice.pcap once.pcap
    diff <(records twice.pcap | sort) <(records "$TEST_DATA/http.pcap" | sort)
}

# ---- interfaces ----------------------------------------------------------

@test "at-merge: -i numbers the interfaces of ERF by input" {
    "$SYNTH" -n 300 --snap 94 a.erf # of interfaces 0 and 1
    "$SYNTH" -n 300 -s 2 --snap 94 b.erf
    at-merge -q --sequence -i -o x.erf a.erf b.erf
    diff <(interfaces x.erf) <(yes 0 | head -n 300; yes 1 | head -n 300)
    at-merge -q --sequence -i2 -o x.erf a.erf b.erf
    diff <(interfaces x.erf) <(interfaces a.erf
        interfaces b.erf | sed 's/1/3/;s/0/2/')
    python3 - <<'END'
def clear(name):
    data, at = bytearray(open(name, "rb").read()), 0
    while at < len(data):
        data[at + 9] &= ~3
        at += data[at + 10] << 8 | data[at + 11]
    return data
assert clear("x.erf") == clear("a.erf") + clear("b.erf")
END
    # pcap has none of its own
    at-merge -q --sequence --set-interface=1 -o x.erf "$TEST_DATA/dns.pcap" \
        "$TEST_DATA/lan.pcap"
    [ "$(interfaces x.erf | sort -u | tr '\n' ' ')" = '0 1 ' ]
    run at-merge --sequence -i3 -o x.erf a.erf b.erf
    [ "$status" -eq 0 ]
    [[ "$output" == *"x.erf: "*" interface numbers cannot be held by erf"* ]]
    run at-merge --strict -i3 -o y.erf a.erf b.erf
    [ "$status" -eq 1 ]
    [ ! -e y.erf ]
    at-merge -q --erf-interfaces 8 --sequence -i3 -o x.erf a.erf b.erf
    at-info --erf-interfaces 8 x.erf | grep -qE '^ *4 +[1-9]'
}

@test "at-merge: pcapng inputs keep their interfaces" {
    need tshark
    at-convert -q -F pcapng "$TEST_DATA/link.erf" a.pcapng
    at-convert -q -F pcapng "$TEST_DATA/dns.pcap" b.pcapng
    for f in a b; do
        tshark -nr $f.pcapng -T fields -e frame.interface_id 2>/dev/null |
            sort | uniq -c | awk '{ print $1 }'
    done | sort -n >want
    [ "$(wc -l <want)" -eq 3 ]
    for i in '' -i; do
        at-merge -q $i -o x.pcapng a.pcapng b.pcapng
        tshark -nr x.pcapng -T fields -e frame.interface_id 2>/dev/null |
            sort | uniq -c | awk '{ print $1 }' | sort -n | diff - want
    done
    # of ERF in pcapng, as many as were asked for
    at-merge -q -i2 -o x.pcapng "$TEST_DATA/link.erf" "$TEST_DATA/link.erf"
    [ "$(tshark -nr x.pcapng -T fields -e frame.interface_id 2>/dev/null |
        sort -u | tr '\n' ' ')" = '0 1 2 3 ' ]
}

# ---- what does not go well -----------------------------------------------

@test "at-merge: a damaged input gives its beginning, the others go on" {
    "$SYNTH" -n 2000 --snap 94 a.erf
    "$SYNTH" -n 2000 -s 2 --snap 94 b.erf
    cp a.erf bad.erf
    at=$(python3 -c 'import struct
data, at = open("a.erf", "rb").read(), 0
for _ in range(1000):
    at += struct.unpack_from(">H", data, at + 10)[0]
print(at)')
    printf '\377\377\377\377\377\377\377\377\377\377\0\1' |
        dd of=bad.erf bs=1 seek="$at" conv=notrunc status=none
    run --separate-stderr at-merge -q -o x.erf bad.erf b.erf
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == "at-merge: bad.erf: "* ]]
    [ "$(records x.erf | wc -l)" -eq 3000 ]
    run --separate-stderr at-merge -q --salvage -o y.erf bad.erf b.erf
    [ "$status" -eq 1 ]
    [ "$(records y.erf | wc -l)" -ge 3998 ]
    head -c 5000 b.erf >cut.erf
    run --separate-stderr at-merge -q -o z.erf cut.erf a.erf
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == "at-merge: cut.erf: "* ]]
    [ "$(records z.erf | wc -l)" -gt 2000 ]
}

@test "at-merge: a missing input, and with --salvage without it" {
    run --separate-stderr at-merge -q -o x.erf "$TEST_DATA/link.erf" none.erf
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == "at-merge: none.erf: cannot open: "* ]]
    [ ! -e x.erf ]
    run --separate-stderr at-merge -q --salvage -o x.erf none.erf \
        "$TEST_DATA/link.erf"
    [ "$status" -eq 1 ]
    one_message
    cmp x.erf "$TEST_DATA/link.erf"
    run --separate-stderr at-merge -q --salvage -o y.erf none.erf nor-this.erf
    [ "$status" -eq 1 ]
    [ ! -e y.erf ]
    cp "$TEST_DATA/link.erf" z.erf
    run --separate-stderr at-merge -q -o z.erf "$TEST_DATA/dns.pcap" z.erf
    [ "$status" -eq 1 ]
    [[ "$stderr" == "at-merge: z.erf: is both input and output" ]]
    cmp z.erf "$TEST_DATA/link.erf"
    no_leftovers
}

@test "at-merge: packets of another link type are left out, and said" {
    at-convert -q "$TEST_DATA/dns.pcap" eth.pcap
    printf '\115\074\262\241\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\161\0\0\0' >sll.pcap
    printf '\1\0\0\0\0\0\0\0\20\0\0\0\20\0\0\0%016d' 0 >>sll.pcap
    run at-merge -q --sequence -o x.pcap eth.pcap sll.pcap
    [ "$status" -eq 1 ]
    [[ "$output" == *"link type"* ]]
    diff <(records x.pcap) <(records eth.pcap)
}

@test "at-merge: a full disk is an error, and a signal leaves no file" {
    run --separate-stderr at-merge -q -o /dev/full "$TEST_DATA/link.erf" \
        "$TEST_DATA/dns.pcap"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"cannot write"* ]]
    mkfifo pipe
    (head -c 50000 "$TEST_DATA/link.erf"; sleep 20) >pipe 3>&- &
    writer=$!
    at-merge -o x.erf pipe "$TEST_DATA/dns.pcap" 2>said 3>&- &
    merger=$!
    sleep 1
    kill -TERM $merger
    wait $merger || true
    kill $writer || true
    [ ! -e x.erf ]
    no_leftovers
}

@test "at-merge: the output is the same for any number of threads" {
    for i in 1 2 3 4 5; do
        "$SYNTH" -n 20000 -s $((i % 4)) --snap 94 $i.erf
        at-convert -q -Z zstd $i.erf $i.erf.zst
    done
    for out in x.erf x.erf.gz x.pcap x.pcapng.zst; do
        for j in 1 2 3 8; do
            at-merge -q -j $j -u --window 1ms -o $out [1-5].erf \
                [45].erf.zst
            [ $j != 1 ] || mv $out first
            [ $j = 1 ] || cmp $out first
        done
        [ "$(at-info -q -c $out | grep -oE '[0-9]+' | tail -n 1)" -eq 80000 ]
    done
}
