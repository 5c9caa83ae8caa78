#!/usr/bin/env bats
# --salvage: what comes out of damaged files, and what is said of the rest
# shellcheck disable=SC2030,SC2031,SC2154 # status and stderr_lines are of run

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# Writes the bytes at an offset of a file.
poke() { # file offset bytes-as-printf-takes-them
    # shellcheck disable=SC2059 # they are a format
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# The offset and length of a record of a capture.
record_at() { # file number
    python3 -c 'import sys, records, salvage
print(*salvage.split(records.content(sys.argv[1]))[0][int(sys.argv[2])])' "$1" "$2"
}

# All records but one, as lines; pcap or ERF.
all_but() { # file number
    records "$1" | sed "$(($2 + 1))d"
}

make_all() {
    cp "$TEST_DATA/dns.pcap" us.pcap
    at-convert -q -F pcap us.pcap ns.pcap
    at-convert -q us.pcap x.erf
    python3 - <<'END'
import struct
data = open("us.pcap", "rb").read()
out = bytearray(struct.pack(">IHHiIII", *struct.unpack("<IHHiIII", data[:24])))
at = 24
while at < len(data):
    head = struct.unpack_from("<IIII", data, at)
    out += struct.pack(">IIII", *head) + data[at + 16:at + 16 + head[2]]
    at += 16 + head[2]
open("be.pcap", "wb").write(out)
END
}

@test "salvage: an undamaged file is what it was, exit status 0" {
    make_all
    for f in us.pcap ns.pcap be.pcap x.erf; do
        at-convert -q -F pcap $f plain
        run --separate-stderr at-convert -q --salvage -F pcap $f salvaged
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        cmp plain salvaged
    done
}

# One record is damaged in one field; all others come out, and the hole is
# exactly that record.
lengths_are_found() { # file offset-in-header value...
    local file=$1 field=$2 at bytes
    shift 2
    read -r at bytes < <(record_at "$file" 100)
    for value; do
        cp "$file" bad
        poke bad $((at + field)) "$value"
        run --separate-stderr at-convert --salvage -F pcap bad out
        [ "$status" -eq 1 ]
        [[ "${stderr_lines[0]}" == "at-convert: bad: skipped $bytes bytes at byte $at: no "*" record is there" ]]
        [ "${stderr_lines[1]}" = "at-convert: bad: 1 hole, $bytes bytes skipped" ]
        diff <(all_but "$file" 100) <(records out)
    done
}

# One record is strange in one field, but as long as it says: there is nothing
# in the file that says it is damage, and no tool ends with an error.
is_kept() { # file offset-in-header value...
    local file=$1 field=$2 at
    shift 2
    read -r at _ < <(record_at "$file" 100)
    for value; do
        cp "$file" bad
        poke bad $((at + field)) "$value"
        at-convert -q -F "${file##*.}" bad plain
        run --separate-stderr at-convert -q --salvage -F "${file##*.}" bad out
        [ "$status" -eq 0 ]
        cmp plain out
    done
}

@test "salvage: a wrong length costs that one record" {
    make_all
    for f in us.pcap ns.pcap; do
        lengths_are_found $f 8 '\0\0\0\0' '\xff\xff\xff\xff' '\x21\0\0\0' \
            '\0\x01\0\0' '\0\x10\0\0' '\xff\xff\x03\0'
        is_kept $f 12 '\0\0\0\0' '\x08\0\0\0' '\0\0\0\x7f'
    done
    lengths_are_found be.pcap 8 '\0\0\0\0' '\xff\xff\xff\xff' '\0\0\0\x21' \
        '\0\0\x01\0' '\0\0\x10\0' '\0\x03\xff\xff'
    lengths_are_found x.erf 10 '\0\0' '\xff\xff' '\0\x18' '\x0f\0' '\x20\x08'
}

@test "salvage: where lengths lead to the next record, nothing is left out" {
    make_all
    is_kept us.pcap 0 '\0\0\0\0' '\xff\xff\xff\xff'
    is_kept us.pcap 4 '\xff\xff\xff\x7f'
    is_kept be.pcap 0 '\x29' '\xff'
    is_kept x.erf 7 '\0' '\xff'
    is_kept x.erf 8 '\x7f' '\x23' '\0'
}

@test "salvage: without the option the file still ends at the damage" {
    make_all
    read -r at _ < <(record_at us.pcap 100)
    poke us.pcap $((at + 8)) '\xff\xff\xff\xff'
    run --separate-stderr at-convert us.pcap out.pcap
    [ "$status" -eq 1 ]
    [ "$(records out.pcap | wc -l)" -eq 100 ]
}

@test "salvage: a file that is cut has a hole at its end" {
    make_all
    for f in us.pcap x.erf; do
        read -r at bytes < <(record_at $f 50)
        head -c $((at + bytes - 1)) $f >cut.x
        run --separate-stderr at-convert --salvage -F pcap cut.x out
        [ "$status" -eq 1 ]
        [[ "${stderr_lines[0]}" == *"skipped $((bytes - 1)) bytes at byte $at: "* ]]
        diff <(records $f | head -50) <(records out)
    done
}

@test "salvage: a file that ends with what was never written loses no record" {
    python3 - "$TEST_DATA/bulk-s96.pcap" <<'END'
import sys
from records import content
from salvage import split
data = content(sys.argv[1])
spans = split(data)[0]
for n in (3, 50, 51, 52, 77, 200):
    at = spans[n][0]
    assert data[at - 1] != 0
    for zeros in (16, 500, 10000):
        with open(f"{n}-{zeros}.pcap", "wb") as out:
            out.write(data[:at] + bytes(zeros))
END
    for f in *.pcap; do
        run -1 --separate-stderr at-info -c --salvage "$f"
        [ "${output%%[^0-9]*}" -eq "${f%-*}" ]
        zeros=${f#*-}
        [[ "$(tr -d , <<<"$stderr")" == *"1 hole ${zeros%.pcap} bytes skipped"* ]]
    done
}

@test "salvage: at most 20 holes are said, then how many there are; -q says that alone" {
    cp "$TEST_DATA/http.pcap" us.pcap
    for i in $(seq 5 5 200); do
        read -r at _ < <(record_at "$TEST_DATA/http.pcap" "$i")
        poke us.pcap $((at + 8)) '\xff\xff\xff\xff'
    done
    run --separate-stderr at-convert --salvage us.pcap out.pcap
    [ "$status" -eq 1 ]
    [ "$(grep -c ': skipped ' <<<"$stderr")" -eq 20 ]
    [[ "$stderr" == *"us.pcap: 40 holes, "* ]]
    run --separate-stderr at-convert -q --salvage us.pcap out.pcap
    one_message
    [[ "$stderr" == *"us.pcap: 40 holes, "* ]]
}

@test "salvage: any number of threads gives the same" {
    f=$TEST_DATA/http.pcap
    { head -c 300000 "$f"; head -c 5000 /dev/zero; tail -c +304001 "$f"; } >bad.pcap
    for j in 1 2 8; do
        at-convert -j $j --salvage bad.pcap out.$j 2>said.$j || [ $? -eq 1 ]
        sed -i '/packets/d' said.$j
    done
    cmp out.1 out.2 && cmp out.1 out.8
    cmp said.1 said.2 && cmp said.1 said.8
    [ -s said.1 ]
}

@test "salvage: in pipes, and compressed: the holes are of what it decodes to" {
    make_all
    read -r at bytes < <(record_at us.pcap 100)
    poke us.pcap $((at + 8)) '\xff\xff\xff\xff'
    at-dump -b --salvage us.pcap >want 2>/dev/null || [ $? -eq 1 ]
    at-dump -b --salvage - <us.pcap >got 2>/dev/null || [ $? -eq 1 ]
    cmp want got
    gzip us.pcap
    run --separate-stderr at-dump -b --salvage us.pcap.gz
    [ "$status" -eq 1 ]
    [ "$output" = "$(cat want)" ]
    [[ "${stderr_lines[0]}" == *"skipped $bytes bytes at byte $at of what it decodes to: "* ]]
}

# 300 damages of eight kinds (test/salvage.py).  No record may come out that
# is none of the file.  Records that no damage has touched may be lost: where
# nothing is left of the header behind one, or where it is alone between two
# damages; of 300 damages that is so for 4 records.
@test "salvage: random damages invent no record and lose few" {
    fast_build || skip 'too slow'
    at-convert -q "$TEST_DATA/http.pcap" http.erf
    at-convert -q "$TEST_DATA/dns.pcap" dns.erf
    at-convert -q -F pcap "$TEST_DATA/vlan.pcap" ns.pcap
    at-convert -q -F erf "$TEST_DATA/link-s94.erf.gz" sliced.erf
    run --separate-stderr python3 "$TOP/test/salvage.py" --count 300 dns.erf \
        ns.pcap sliced.erf "$TEST_DATA/dns.pcap" "$TEST_DATA/bulk-s96.pcap" \
        "$TEST_DATA/sctp.pcap"
    echo "$output" "$stderr"
    [ "$status" -eq 0 ]
    [[ "$output" =~ ([0-9]+)\ lost$ ]]
    [ "${BASH_REMATCH[1]}" -le 4 ]
}

@test "salvage: pcapng, and a block that contradicts itself" {
    need editcap
    editcap -F pcapng "$TEST_DATA/dns.pcap" x.pcapng
    run --separate-stderr python3 "$TOP/test/salvage.py" --count 100 x.pcapng
    echo "$output" "$stderr"
    [ "$status" -eq 0 ]
    [[ "$output" =~ ([0-9]+)\ lost$ ]]
    [ "${BASH_REMATCH[1]}" -le 5 ]
}

@test "salvage: an undamaged capture loses nothing, however strange" {
    need_corpus
    fast_build || skip 'too slow'
    # To a reader that goes on as long as lengths allow, 16 bytes of zeros are
    # a packet of no bytes, of 1970; to us they are a page that was never
    # written, or every file that grew before it was written would end with
    # thousands of them.  Two files made to break readers are one record and
    # then little else (37 of 38 and 4 of 5), and have a hole there.
    except='bgp_vpn_rt-oobr|vtp_asan'
    for f in $(find "$CORPUS"/{tcpdump,arkime,pcapplusplus} -type f -size -200k |
        grep -Ev "$except|\.(md|tsv)$" | sort | sed -n '1~7p'); do
        plain=$(at-info -c "$f" 2>/dev/null) || continue
        run --separate-stderr at-info -c --salvage "$f"
        [ "$status" -eq 0 ] || echo "$f: $stderr"
        [ "$output" = "$plain" ]
    done
}

# ---- the header of a pcap file -----------------------------------------------

# The records that come out of a file without its header are those of the
# file that it was made from; something is said, and the exit status is 1.
is_mended() { # file said [records-lost]
    run --separate-stderr at-convert --salvage -F pcap "$1" out
    echo "$stderr"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"$1: "$2* ]]
    diff <(records whole | tail -n +$((1 + ${3:-0}))) <(records out)
}

@test "salvage: a pcap file is read without its header" {
    make_all
    for f in us.pcap ns.pcap be.pcap; do
        at-convert -q -F pcap $f whole
        case $f in
        us*) what='little-endian, microseconds and link type 1 assumed' ;;
        ns*) what='little-endian, microseconds and link type 1 assumed' ;;
        be*) what='big-endian, microseconds and link type 1 assumed' ;;
        esac
        [ $f = ns.pcap ] && continue # its times are of microseconds
        tail -c +25 $f >bad
        is_mended bad "no pcap header: $what, with the first record at byte 0"
        { head -c 24 /dev/zero; tail -c +25 $f; } >bad
        is_mended bad "no pcap header: $what, with the first record at byte 24"
        { head -c 3000 "$TEST_DATA/http.pcap" | tr '\0-\377' '\1-\377\0'; tail -c +25 $f; } >bad
        is_mended bad "no pcap header: $what, with the first record at byte 3000"
        cp $f bad
        poke bad 4 '\x9\x9'
        is_mended bad "no pcap header: $what, with the first record at byte 24"
        tail -c +60 $f >bad
        is_mended bad "no pcap header: $what" 1
    done
    at-convert -q -F pcap "$TEST_DATA/vlan.pcap" ns.pcap
    cp ns.pcap whole
    poke ns.pcap 0 '\0\0\0\0'
    is_mended ns.pcap "no pcap header: little-endian, nanoseconds and link type 1 assumed"
}

@test "salvage: a link type that cannot be is found by the frames" {
    cp "$TEST_DATA/dns.pcap" bad
    cp bad whole
    for type in '\x65\0\0\0' '\xff\x3f\0\0' '\0\0\0\0' '\x71\0\0\0'; do
        poke bad 20 "$type"
        is_mended bad 'the link type is not that of the frames: 1 assumed'
    done
    # a link type of another kind is not ours to doubt
    poke bad 20 '\x93\0\0\0'
    run --separate-stderr at-convert -q --salvage bad out.pcap
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
}

@test "salvage: a snap length less than what is captured becomes one that is not" {
    cp "$TEST_DATA/dns.pcap" bad
    poke bad 16 '\x03\0\0\0'
    run --separate-stderr at-convert --salvage -F pcap-us bad out
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'the snap length is less than what is captured: 262144 assumed'* ]]
    cmp out <(at-convert -q -F pcap-us "$TEST_DATA/dns.pcap" -) ||
        [ "$(od -An -tu4 -j16 -N4 out | tr -d ' ')" -eq 262144 ]
}

@test "salvage: programs, texts, pictures and chance are no pcap files" {
    for f in $(find /usr/bin /usr/lib /usr/share -type f -size +1k | sort | sed -n '1~211p' | head -150); do
        run at-info -c --salvage "$f"
        [ "$status" -eq 1 ]
        [[ "$output" != *assumed* ]]
    done
    tar -cf x.tar -C "$TOP" man libarchive_trace
    for n in 1 2 3 4 5; do head -c 200000 /dev/urandom >x.$n; done
    for f in x.*; do
        run at-info -c --salvage "$f"
        [ "$status" -eq 1 ]
        [[ "$output" != *assumed* ]]
    done
}

# ---- compressed ------------------------------------------------------------

# What is left of ERF records after damage, each once, against the original.
compare_left() { # original left
    python3 - "$1" "$2" <<'END'
import sys
from salvage import erf_records
a, b = (open(f, "rb").read() for f in sys.argv[1:])
was = {a[at:at + n] for at, n in erf_records(a)}
left = [b[at:at + n] for at, n in erf_records(b)]
print(sum(r not in was for r in left), len(left))
END
}

make_long() {
    local d=$TEST_DATA
    at-convert -q --sequence "$d/http.pcap" "$d/tls.pcap" "$d/loss.pcap" \
        "$d/http.pcap" "$d/bulk-s96.pcap" "$d/tls.pcap" "$d/http.pcap" \
        "$d/tls.pcap" long.erf
}

@test "salvage: a damaged frame of any codec is one hole, the rest comes out" {
    make_long
    for codec in bgzf gzip zstd lz4 bzip2 xz; do
        at-convert -q -Z $codec long.erf packed
        at=$(($(stat -c %s packed) * 3 / 4))
        for bytes in 1 512; do
            cp packed bad
            head -c $bytes /dev/zero | tr '\0' '\252' |
                dd of=bad bs=1 seek=$at conv=notrunc status=none
            run --separate-stderr at-convert --salvage -Z none bad left.erf
            [ "$status" -eq 1 ]
            read -r hole from < <(sed -n 's/.*skipped \([0-9,]*\) bytes at byte \([0-9]*\): .*/\1 \2/p' <<<"$stderr" | tr -d ,)
            [ "$from" -le "$at" ] && [ $((from + hole)) -gt "$at" ]
            [[ "$stderr" == *": 1 hole, "* ]]
            read -r invented left < <(compare_left long.erf left.erf)
            [ "$invented" -eq 0 ]
            [ "$left" -gt 5000 ]
        done
    done
}

# The offset of member number n, of those that follow each other by their sizes,
# BGZF's or ours.
member_at() { # file number
    python3 - "$@" <<'END'
import struct, sys
data, at = open(sys.argv[1], "rb").read(), 0
for _ in range(int(sys.argv[2])):
    if data[at + 12:at + 14] == b"BC":
        at += struct.unpack_from("<H", data, at + 16)[0] + 1
    else:
        at += struct.unpack_from("<I", data, at + 16)[0]
print(at)
END
}

@test "salvage: a damaged header or size of a gzip member costs nothing" {
    make_long
    at-convert -q -Z bgzf long.erf bgzf
    at-convert -q -Z gzip long.erf gzip
    while read -r codec number header fields; do
        at=$(member_at "$codec" "$number")
        for where in $fields; do
            cp "$codec" bad
            poke bad $((at + where)) '\x41'
            for j in 1 3; do
                run -1 --separate-stderr at-convert -j $j --salvage -Z none bad left.erf
                [[ ${stderr_lines[0]} == *"bad: skipped $header bytes at byte $at: no gzip header is there" ]]
                [[ ${stderr_lines[1]} == *"bad: 1 hole, $header bytes skipped" ]]
                cmp long.erf left.erf
            done
        done
    done <<'END'
bgzf 20 18 0 2 3 10 16 17
bgzf 1 18 16
gzip 2 28 0 2 3 10 12 16 19 24 26
gzip 1 28 17
END
    # a size that has another name is none, and its member any gzip member
    for where in 12 14; do
        cp bgzf bad
        poke bad $(($(member_at bgzf 20) + where)) '\x41'
        run -0 --separate-stderr at-convert -q --salvage -Z none bad left.erf
        cmp long.erf left.erf
    done
    # one whose data is damaged too
    at=$(member_at bgzf 20)
    cp bgzf bad
    poke bad $((at + 16)) '\x41'
    poke bad $((at + 500)) '\x41\x41\x41\x41'
    run -1 --separate-stderr at-convert --salvage -Z none bad left.erf
    [[ $stderr == *"bytes at byte $at: no gzip block is there"* ]]
    read -r invented left < <(compare_left long.erf left.erf)
    [ "$invented" -eq 0 ]
    [ "$left" -gt 9000 ]
}

# bgzip's blocks end anywhere: the record that goes on in the next is kept.
@test "salvage: a damaged size where a record goes on costs nothing" {
    need bgzip
    make_long
    bgzip -c long.erf >packed
    at=$(member_at packed 11)
    poke packed $((at + 16)) '\x41'
    run -1 --separate-stderr at-convert --salvage -Z none packed left.erf
    [[ $stderr == *"skipped 18 bytes at byte $at: no gzip header is there"* ]]
    cmp long.erf left.erf
}

@test "salvage: plain gzip behind BGZF or ours is read on" {
    make_long
    for c in bgzf gzip; do
        at-convert -q -Z $c -F erf long.erf packed
        gzip -c long.erf >>packed
        run -0 --separate-stderr at-convert -q --salvage -F erf -Z none packed left.erf
        cmp left.erf <(cat long.erf long.erf)
    done
}

@test "salvage: a compressed file that is cut gives what is there" {
    make_long
    for codec in bgzf gzip zstd lz4 bzip2; do
        at-convert -q -Z $codec long.erf packed
        head -c $(($(stat -c %s packed) * 3 / 4)) packed >bad
        run --separate-stderr at-convert --salvage -Z none bad left.erf
        [ "$status" -eq 1 ]
        read -r invented left < <(compare_left long.erf left.erf)
        [ "$invented" -eq 0 ]
        [ "$left" -gt 5000 ]
    done
}

# A gzip file of four members; the offset of each, and of the end.
make_members() {
    python3 - "$TEST_DATA/http.pcap" members.gz <<'END'
import gzip, sys
data = open(sys.argv[1], "rb").read()
cuts = [0, 200000, 400000, 600000, len(data)]
out, at = b"", []
for a, b in zip(cuts, cuts[1:]):
    at.append(len(out))
    out += gzip.compress(data[a:b], mtime=0)
open(sys.argv[2], "wb").write(out)
print(*at, len(out))
END
}

# What comes out is of the file, and at least so much of it.
is_found_again() { # file records-at-least
    for way in "$1" -; do
        run --separate-stderr at-convert -q --salvage -F pcap "$way" out <"$1"
        [ "$status" -eq 1 ]
        [ -z "$(comm -13 <(records "$TEST_DATA/http.pcap" | sort) <(records out | sort))" ]
        [ "$(records out | wc -l)" -ge "$2" ]
    done
}

@test "salvage: behind damage in a gzip file the next member is found" {
    read -r _ b c d end < <(make_members)
    for f in data crc magic extra; do cp members.gz $f.gz; done
    poke crc.gz $((c - 6)) 'zz'
    poke magic.gz "$b" 'zz'
    head -c 40 /dev/zero | tr '\0' '\252' |
        dd of=data.gz bs=1 seek=$(((b + c) / 2)) conv=notrunc status=none
    { head -c "$c" members.gz; head -c 5000 /dev/urandom; tail -c +$((c + 1)) members.gz; } >extra.gz
    is_found_again crc.gz 1085
    is_found_again magic.gz 850
    is_found_again data.gz 850
    is_found_again extra.gz 1085
    run --separate-stderr at-info -c --salvage magic.gz
    [[ "$(tr -d , <<<"$stderr")" == *"skipped $((c - b)) bytes at byte $b: no gzip member is there"* ]]
    run --separate-stderr at-info -c --salvage extra.gz
    [[ "$stderr" == *"skipped 5,000 bytes at byte $c: no gzip member is there"* ]]
    # without the option it ends there
    run --separate-stderr at-info -c extra.gz
    [ "$status" -eq 1 ]
    [ "${output%%[^0-9]*}" -lt 700 ]
    # one that is cut ends early, and no hole of no bytes is told
    head -c $(((d + end) / 2)) members.gz >cut.gz
    is_found_again cut.gz 800
    run --separate-stderr at-info -c --salvage cut.gz
    [[ "$stderr" == *"cut.gz: ends early, at byte $(((d + end) / 2))"* ]]
    [[ "$stderr" != *"skipped 0 bytes"* ]]
}

# A gzip file of one member of some 25 MB, and the access points in its index.
make_indexed() {
    need sqlite3
    "$SYNTH" -n 40k one.erf
    gzip -1 -c one.erf >one.erf.gz
    at-index -q one.erf.gz
    sqlite3 one.erf.gz.idx 'SELECT file_bit / 8 FROM access ORDER BY 1' >points
    [ "$(wc -l <points)" -ge 4 ]
}

# The offset of point n, from 1
point() {
    sed -n "${1}p" points
}

# The bytes up to the damage and from the point behind it on are those of the
# whole, but for records that lie across.
has_both_ends() { # left raw-before raw-behind
    python3 - one.erf "$@" <<'END'
import sys
whole, left = (open(f, "rb").read() for f in sys.argv[1:3])
before, behind = int(sys.argv[3]), int(sys.argv[4])
def same(a, b):
    n = 0
    while n < len(a) and n < len(b) and a[n] == b[n]:
        n += 1
    return n
assert same(whole, left) > before - 70000
assert same(whole[::-1], left[::-1]) > len(whole) - behind - 70000
END
}

@test "salvage: inside a gzip member it goes on at the next access point" {
    make_indexed
    cp one.erf.gz good.gz
    at=$((($(point 2) + $(point 3)) / 2))
    read -r before behind < <(sqlite3 one.erf.gz.idx 'SELECT raw_offset FROM access
        ORDER BY 1 LIMIT 2 OFFSET 1' | tr '\n' ' '; echo)
    for bytes in 1 100 50000; do
        for filler in '\0' '\252' '\377'; do
            head -c $bytes /dev/zero | tr '\0' "$filler" |
                dd of=one.erf.gz bs=1 seek=$at conv=notrunc status=none
            for j in 1 3; do
                run -1 --separate-stderr at-convert -q -j $j --salvage -F erf one.erf.gz $j.erf
                [[ $stderr == *' hole'*' skipped' || $stderr == *'its checksum' ]]
            done
            cmp 1.erf 3.erf
            has_both_ends 1.erf "$before" "$behind"
            dd if=good.gz of=one.erf.gz conv=notrunc status=none
        done
    done
    # without the index nothing is found behind it, without the option neither
    head -c 50000 /dev/zero | dd of=one.erf.gz bs=1 seek=$at conv=notrunc status=none
    some=$(at-info --json --salvage one.erf.gz 2>/dev/null | jq .packets)
    run -1 --separate-stderr at-info --json one.erf.gz
    [ "$(jq .packets <<<"$output")" -lt "$((some / 2))" ]
    rm one.erf.gz.idx
    run -1 --separate-stderr at-info --json --salvage one.erf.gz
    [ "$(jq .packets <<<"$output")" -lt "$((some / 2))" ]
}

@test "salvage: a span of gzip that is not what it was is told, and read" {
    need sqlite3
    "$SYNTH" -n 40k one.erf
    # a stored block keeps its length, whatever is in it
    python3 - <<'END'
import struct, zlib
data = open("one.erf", "rb").read()
out = zlib.compressobj(0, zlib.DEFLATED, 31)
open("one.erf.gz", "wb").write(out.compress(data) + out.flush())
END
    at-index -q one.erf.gz
    sqlite3 one.erf.gz.idx 'SELECT file_bit / 8 FROM access ORDER BY 1' >points
    [ "$(wc -l <points)" -ge 3 ]
    at=$((($(point 2) + $(point 3)) / 2))
    poke one.erf.gz $at '\125\125'
    for j in 1 3; do
        run -1 --separate-stderr at-convert -j $j --salvage -F erf one.erf.gz left.erf
        bytes=$(($(point 3) - $(point 2)))
        [[ "$(tr -d , <<<"$stderr")" == *"damaged in the $bytes bytes from byte $(point 2) on: it was read and does not have its checksum"* ]]
        [ "$(at-info -c left.erf | cut -f1)" -ge "$(($(at-info -c one.erf | cut -f1) - 2))" ]
    done
}
