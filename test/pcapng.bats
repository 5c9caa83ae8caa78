#!/usr/bin/env bats
# pcapng as a user meets it: kept, merged, made from other formats

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# Time, interface, lengths and direction of every packet, as tshark reads it.
seen() { # file
    tshark -r "$1" -T fields -e frame.time_epoch -e frame.interface_id \
        -e frame.cap_len -e frame.len -e frame.comment 2>/dev/null
}

# One section in either byte order: two interfaces (nanoseconds; 2^-32 s), a
# packet of each with a comment, a direction and a count of drops, and a block
# that nobody knows.
make_pcapng() { # file < or > seconds
    python3 - "$@" <<'END'
import struct, sys
name, order, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
def block(kind, body):
    n = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + n + body + n
def option(code, value):
    return (struct.pack(order + "HH", code, len(value)) + value +
            bytes(-len(value) % 4))
def packet(face, count, *options):
    data = bytes(range(61))
    return block(6, struct.pack(order + "IIIII", face, count >> 32,
                                count & 0xffffffff, 61, 100) + data + bytes(3) +
                 b"".join(options))
out = block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))
for link, res, face in ((1, 9, b"eth0"), (101, 0xa0, b"tun0")):
    out += block(1, struct.pack(order + "HHI", link, 0, 0) +
                 option(2, face) + option(9, bytes([res])))
out += packet(0, seconds * 10**9 + 123456789, option(1, b"hello"),
              option(2, struct.pack(order + "I", 2)))
out += block(0x80001234, b"what")
out += packet(1, (seconds << 32) + 12345, option(4, struct.pack(order + "Q", 7)))
open(name, "wb").write(out)
END
}

@test "pcapng: a single file goes through byte for byte" {
    make_pcapng le.pcapng '<' 1700000000
    make_pcapng be.pcapng '>' 1700000001
    cat le.pcapng be.pcapng >both.pcapng
    for f in le be both; do
        for j in 1 3; do
            run --separate-stderr at-convert -j $j $f.pcapng out.pcapng
            [ "$status" -eq 0 ]
            [ "${#stderr_lines[@]}" -eq 1 ]
            cmp $f.pcapng out.pcapng
        done
    done
    at-convert -q --sequence le.pcapng be.pcapng out.pcapng
    cmp both.pcapng out.pcapng
}

@test "pcapng: every capture of the corpus goes through byte for byte" {
    need_corpus
    cd "$CORPUS"
    awk -F '\t' 'NR > 1 && $5 ~ /^pcapng-/ && $5 !~ /zst/ { print $1 }' MANIFEST.tsv >"$BATS_TEST_TMPDIR/list"
    [ "$(grep -c . "$BATS_TEST_TMPDIR/list")" -gt 150 ]
    while read -r f; do
        if at-info -q -c "$f" >/dev/null 2>&1; then
            at-convert -q "$f" "$BATS_TEST_TMPDIR/out.pcapng" ||
                { echo "$f"; return 1; }
            zcat -f "$f" | cmp - "$BATS_TEST_TMPDIR/out.pcapng"
        fi
    done <"$BATS_TEST_TMPDIR/list"
}

@test "pcapng: a selection keeps sections and other blocks" {
    need tshark
    make_pcapng le.pcapng '<' 1700000000
    at-convert -q -n 1 le.pcapng one.pcapng
    [ "$(seen one.pcapng)" = "$(seen le.pcapng | head -n 1)" ]
    at-convert -q --from @1700000000.1 le.pcapng some.pcapng
    [ "$(at-info -c some.pcapng)" = "1	some.pcapng" ]
    grep -q 'what' some.pcapng
}

@test "pcapng: several files become one section, by time" {
    need tshark capinfos tcpdump
    make_pcapng le.pcapng '<' 1700000000
    make_pcapng be.pcapng '>' 1700000001
    run --separate-stderr at-convert be.pcapng le.pcapng out.pcapng
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"1 block of another kind cannot be held by pcapng"* ]]
    [ "$(grep -aoF "$(printf '\x4d\x3c\x2b\x1a')" out.pcapng | wc -l)" -eq 1 ]
    [ "$(seen out.pcapng | cut -f 2 | tr '\n' ' ')" = "0 1 2 3 " ]
    [ "$(seen out.pcapng | cut -f 1,3-)" = \
        "$( (seen le.pcapng; seen be.pcapng) | cut -f 1,3-)" ]
    [ "$(capinfos -rTcM out.pcapng | cut -f 2)" -eq 4 ]
    [ "$(tshark -r out.pcapng -T fields -e frame.interface_name | tr '\n' ' ')" \
        = "eth0 tun0 eth0 tun0 " ]
    run --separate-stderr at-convert --strict be.pcapng le.pcapng no.pcapng
    [ "$status" -eq 1 ]
    [ ! -e no.pcapng ]
}

@test "pcapng: ERF there and back keeps time, interface, losses and bytes" {
    at-convert -q "$TEST_DATA/link.erf" there.pcapng
    at-convert -q -F erf there.pcapng back.erf
    cat >compare.py <<'END'
import sys
from records import content
import struct
def parts(path):
    data, at = content(path), 0
    while at < len(data):
        ts, kind, flags, rlen, lctr, wlen = struct.unpack_from("<QBB", data, at) + struct.unpack_from(">HHH", data, at + 10)
        if kind == 2:
            yield ts, flags & 3, lctr, wlen, data[at + 18:at + rlen][:wlen]
        at += rlen
a, b = list(parts(sys.argv[1])), list(parts(sys.argv[2]))
assert len(a) > 10 and a == b
END
    python3 compare.py "$TEST_DATA/link.erf" back.erf
}

@test "pcapng: pcap there and back is the same file" {
    at-convert -q "$TEST_DATA/http.pcap" there.pcapng
    at-convert -q "$TEST_DATA/http.pcap" direct.pcap
    at-convert -q there.pcapng back.pcap
    [ "$(records direct.pcap)" = "$(records back.pcap)" ]
    need tshark tcpdump
    [ "$(tshark -r there.pcapng 2>/dev/null | wc -l)" -eq \
        "$(tshark -r direct.pcap 2>/dev/null | wc -l)" ]
    tcpdump -r there.pcapng --count 2>/dev/null | grep -q "^$(at-info -c direct.pcap | cut -f 1) "
}

@test "pcapng: what pcap and ERF cannot hold is said, and refused if strict" {
    make_pcapng le.pcapng '<' 1700000000
    run --separate-stderr at-convert le.pcapng out.pcap
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"1 direction cannot"* ]]
    [[ "$stderr" == *"1 comment cannot"* ]]
    [[ "$stderr" == *"2 descriptions of an interface or section cannot"* ]]
    [[ "$stderr" == *"1 block of another kind cannot"* ]]
    [[ "$stderr" == *"1 packet of another link type cannot"* ]]
    run --separate-stderr at-convert --strict le.pcapng no.pcap
    [ "$status" -eq 1 ]
    [ ! -e no.pcap ]
}

@test "pcapng: a file without packets, BGZF, and a filter by at-query" {
    need capinfos
    at-convert -q -f 'port 1' "$TEST_DATA/http.pcap" none.pcapng
    [ "$(at-info -c none.pcapng)" = "0	none.pcapng" ]
    at-convert -q "$TEST_DATA/http.pcap" all.pcapng.gz
    gzip -t all.pcapng.gz
    at-index -q all.pcapng.gz
    at-query -q -w found.pcap all.pcapng.gz tcp
    at-query -q -w want.pcap "$TEST_DATA/http.pcap" tcp
    [ "$(records found.pcap)" = "$(records want.pcap)" ]
}

@test "pcapng: an archive takes its packets, in one run or in two" {
    at-convert -q "$TEST_DATA/http.pcap" a.pcapng
    at-archive init one >/dev/null
    at-archive init two >/dev/null
    at-ingest -q one a.pcapng
    at-ingest -q two a.pcapng
    at-ingest -q two a.pcapng
    at-query -q -w one.pcap one tcp
    at-query -q -w two.pcap two tcp
    at-query -q -w file.pcap a.pcapng tcp
    at-query -q -w want.pcap "$TEST_DATA/http.pcap" tcp
    for f in one two file; do
        [ "$(records $f.pcap)" = "$(records want.pcap)" ]
    done
    at-query -q -w out.pcapng a.pcapng tcp
    at-convert -q out.pcapng out.pcap
    [ "$(records out.pcap)" = "$(records want.pcap)" ]
}

@test "pcapng: what an archive cannot hold is said" {
    make_pcapng le.pcapng '<' 1700000000
    at-archive init lab >/dev/null
    run --separate-stderr at-ingest lab le.pcapng
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"1 comment cannot be held by pcap"* ]]
    [[ "$stderr" == *"1 block of another kind cannot"* ]]
}

@test "pcapng: the rx error of ERF is a CRC error in pcapng, and comes back" {
    at-convert -q "$TEST_DATA/dns.pcap" plain.erf
    python3 - plain.erf bad.erf <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
at = n = 0
while at < len(data):
    if n % 3 == 0:
        data[at + 9] |= 0x10
    at += int.from_bytes(data[at + 10:at + 12], "big")
    n += 1
open(sys.argv[2], "wb").write(data)
END
    run --separate-stderr at-convert --strict bad.erf bad.pcapng
    [ "$status" -eq 0 ]
    run --separate-stderr at-convert bad.pcapng back.erf
    [[ "$stderr" != *flags* ]]
    cmp bad.erf back.erf
    if type tshark; then
        bad=$(tshark -r bad.pcapng -Y 'frame.packet_flags_crc_error == 1' 2>/dev/null | wc -l)
        all=$(tshark -r bad.pcapng 2>/dev/null | wc -l)
        [ "$bad" -eq $(((all + 2) / 3)) ]
    fi
    # errors of other kinds are one in ERF, and that is told
    python3 - bad.pcapng other.pcapng <<'END'
import re, sys
data = open(sys.argv[1], "rb").read()
data = re.sub(rb"\x02\0\x04\0(...)\x01", lambda m: m[0][:7] + b"\x20", data, flags=re.S)
open(sys.argv[2], "wb").write(data)
END
    run --separate-stderr at-convert other.pcapng other.erf
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'flags'* ]]
    cmp bad.erf other.erf
}

# The link type word of a pcap file, and what its first IDB says of the FCS.
fcs_word() { # pcap
    od -An -tx4 -j20 -N4 "$1" | tr -d ' \n'
}

fcs_bits() { # pcapng
    python3 - "$1" <<'END'
import struct, sys
data, at, said = open(sys.argv[1], "rb").read(), 0, []
while at < len(data):
    kind, n = struct.unpack_from("<II", data, at)
    opt = at + 16
    while kind == 1 and opt < at + n - 4:
        code, length = struct.unpack_from("<HH", data, opt)
        if code == 13:
            assert length == 1
            said.append(str(data[opt + 4]))
        opt += 4 + (length + 3) // 4 * 4
    at += n
print(" ".join(said))
END
}

@test "pcapng: the length of the FCS is that of pcap, there and back" {
    at-convert -q "$TEST_DATA/http.pcap" plain.pcap
    cp plain.pcap fcs.pcap
    printf '\x01\0\0\x24' | dd of=fcs.pcap bs=1 seek=20 conv=notrunc status=none
    [ "$(fcs_word plain.pcap) $(fcs_word fcs.pcap)" = '00000001 24000001' ]
    [ "$(at-info --json fcs.pcap | jq .fcs_bits)" = 32 ]
    [ "$(at-info --json plain.pcap | jq .fcs_bits)" = null ]
    at-convert --strict -q fcs.pcap same.pcap
    cmp fcs.pcap same.pcap
    at-convert --strict -q fcs.pcap fcs.pcapng
    [ "$(fcs_bits fcs.pcapng)" = 32 ]
    [ "$(at-info --json fcs.pcapng | jq .fcs_bits)" = 32 ]
    at-convert --strict -q fcs.pcapng back.pcap
    cmp fcs.pcap back.pcap
    at-convert --strict -q plain.pcap plain.pcapng
    [ -z "$(fcs_bits plain.pcapng)" ]
}

@test "pcapng: the length of the FCS is said to be lost where it is" {
    at-convert -q "$TEST_DATA/http.pcap" plain.pcap
    cp plain.pcap fcs.pcap
    printf '\x01\0\0\x24' | dd of=fcs.pcap bs=1 seek=20 conv=notrunc status=none
    run -0 --separate-stderr at-convert fcs.pcap fcs.erf
    [[ $stderr == *"1,090 lengths of a frame check sequence cannot be held by erf"* ]]
    run -1 --separate-stderr at-convert --strict fcs.pcap no.erf
    [[ $stderr == *"the length of a frame check sequence cannot be held by erf"* ]]
    # one header cannot speak for files of both kinds
    run -0 --separate-stderr at-merge -o both.pcap fcs.pcap plain.pcap
    [[ $stderr == *"1,090 lengths of a frame check sequence cannot be held by pcap"* ]]
    [ "$(fcs_word both.pcap)" = 00000001 ]
    at-merge --strict -q -o both.pcapng fcs.pcap plain.pcap
    [ "$(fcs_bits both.pcapng)" = 32 ]
}

@test "pcapng: an FCS that is added or taken off is said" {
    at-convert -q "$TEST_DATA/http.pcap" plain.pcap
    at-convert -q --fcs add plain.pcap more.pcap
    [ "$(fcs_word more.pcap)" = 24000001 ]
    at-convert -q --fcs strip more.pcap less.pcap
    [ "$(fcs_word less.pcap)" = 04000001 ]
    at-convert -q more.pcap more.pcapng
    at-convert -q --fcs strip more.pcapng less.pcapng
    [ "$(fcs_bits less.pcapng)" = 0 ]
    at-diff plain.pcap less.pcapng
    at-convert -q --fcs add less.pcapng again.pcapng
    [ "$(fcs_bits again.pcapng)" = 32 ]
    at-diff more.pcap again.pcapng
    # in a merge, where descriptions are made anew
    at-merge -q -o two.pcapng more.pcapng less.pcapng
    [ "$(fcs_bits two.pcapng)" = '32 0' ] || [ "$(fcs_bits two.pcapng)" = '0 32' ]
    at-convert -q --fcs strip two.pcapng none.pcapng
    [ "$(fcs_bits none.pcapng)" = '0 0' ]
}

# Bits 5 to 8 of a packet's flags are bytes, and speak for the packet alone.
@test "pcapng: the length of the FCS in the flags of a packet" {
    make_pcapng le.pcapng '<' 1700000000
    python3 - <<'END'
import re
data = open("le.pcapng", "rb").read()
data, n = re.subn(rb"(\x02\0\x04\0)\x02\0\0\0",
                 lambda m: m[1] + b"\x82\0\0\0", data)
assert n == 1
open("flags.pcapng", "wb").write(data)
END
    at-convert --strict -q -n 1 flags.pcapng one.pcapng
    run -0 --separate-stderr at-convert -F pcap -n 1 flags.pcapng one.pcap
    [[ $stderr != *"frame check"* ]]
    [ "$(fcs_word one.pcap)" = 24000001 ]
    at-convert -q -n 1 --fcs strip flags.pcapng less.pcapng
    [ "$(at-convert -q -F pcap less.pcapng - | od -An -tx4 -j20 -N4 | tr -d ' ')" \
        = 04000001 ]
}

# Blocks of every kind that is no packet, in either byte order: two interfaces,
# one without packets, statistics of both and of one that there is not.
make_blocks() { # file < or > name
    python3 - "$@" <<'END'
import struct, sys
name, order, who = sys.argv[1], sys.argv[2], sys.argv[3].encode()
def block(kind, body):
    body += bytes(-len(body) % 4)
    n = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + n + body + n
def option(code, value):
    return (struct.pack(order + "HH", code, len(value)) + value +
            bytes(-len(value) % 4))
def words(*n):
    return struct.pack(order + "I" * len(n), *n)
big = lambda n: struct.pack(order + "Q", n)
out = block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1))
for i in range(2):
    out += block(1, struct.pack(order + "HHI", 1, 0, 96) + option(9, b"\x09") +
                 option(2, who + b"%d" % i))
out += block(4, option(1, bytes([10, 0, 0, 1]) + who + b".example\0") +
             option(0, b"") + option(2, b"dns." + who) + option(0, b""))
out += block(10, words(0x544c534b, 5) + b"12345\0\0\0" + option(1, who))
out += block(9, b"__REALTIME_TIMESTAMP=1\n_HOST=" + who + b"\n")
out += block(0xbad, words(32473) + who + b"...")
out += block(6, words(1, 0x17979cfe, 0xb0000000, 60, 60) + bytes(range(60)))
for i in range(3):
    out += block(5, words(i, 0x17979cfe, 0xc0000000 + i) + option(1, who) +
                 option(2, words(0x17979cfe, 1)) + option(3, words(0x17979cff, 2)) +
                 option(4, big(1000 + i)) + option(5, big(i)) +
                 option(2988, words(32473) + who) + option(99, b"what"))
open(name, "wb").write(out)
END
}

# The same blocks, as a little-endian section has them, a line each.
blocks_in() { # file
    python3 - "$1" <<'END'
import struct, sys
data, at, faces = open(sys.argv[1], "rb").read(), 0, []
def options(p, end):
    said = []
    while p < end:
        code, n = struct.unpack_from("<HH", data, p)
        if code == 0:
            break
        said.append((code, data[p + 4:p + 4 + n]))
        p += 4 + (n + 3) // 4 * 4
    return said
while at < len(data):
    kind, n = struct.unpack_from("<II", data, at)
    assert struct.unpack_from("<I", data, at + n - 4)[0] == n
    end, body = at + n - 4, data[at + 8:at + n - 4]
    if kind == 1:
        faces.append(dict(options(at + 16, end))[2].decode())
    elif kind == 6:
        print("packet", faces[struct.unpack_from("<I", body)[0]])
    elif kind == 5:
        face, high, low = struct.unpack_from("<III", body)
        print("statistics", faces[face], f"{high:x}", f"{low:x}",
              *(f"{code}:{value.hex()}" for code, value in options(at + 20, end)))
    elif kind == 4:
        print("names", body.rstrip(b"\0").hex())
    elif kind == 10:
        print("secrets", body.hex())
    elif kind == 9:
        print("journal", body.decode().strip("\n\0").replace("\n", " "))
    elif kind == 0xbad:
        print("custom", body.hex())
    at += n
print(*sorted(faces))
END
}

@test "pcapng: what is no packet is kept where files become one section" {
    make_blocks le.pcapng '<' le
    make_blocks other.pcapng '<' be
    make_blocks be.pcapng '>' be
    run -0 --separate-stderr at-merge -o both.pcapng le.pcapng be.pcapng
    # the custom block and option 99 of the one with the other byte order, and
    # statistics of the interfaces that there are not
    [[ $stderr == *"3 blocks of another kind cannot be held by pcapng"* ]]
    [[ $stderr == *"2 descriptions of an interface or section cannot be held"* ]]
    blocks_in both.pcapng | sort >got
    at-merge -q -o same.pcapng le.pcapng other.pcapng
    blocks_in same.pcapng | sort >want
    # but for those, it is as if both had had the same byte order
    grep -v "custom .*$(printf be | od -An -tx1 | tr -d ' ')" want |
        sed '/statistics be/s/ 99:77686174//' >less
    diff less got
    [ "$(grep -c '^statistics' got)" -eq 4 ]
    [ "$(grep '^statistics be1' got)" = \
        'statistics be1 17979cfe c0000001 1:6265 2:fe9c971701000000 3:ff9c971702000000 4:e903000000000000 5:0100000000000000 2988:d97e00006265' ]
    [ "$(grep '^be0' got)" = 'be0 be1 le0 le1' ]
    if type tshark; then
        tshark -r both.pcapng >/dev/null
        [ "$(capinfos both.pcapng | grep -c 'Interface #')" -eq 4 ]
    fi
}

@test "pcapng: names that are damaged are left out of another byte order" {
    make_blocks le.pcapng '<' le
    make_blocks be.pcapng '>' be
    python3 - <<'END'
data = bytearray(open("be.pcapng", "rb").read())
at = data.index(b"\0\1\0\x0f\x0a\0\0\1") # a record of 15 bytes
data[at + 2] = 1
open("be.pcapng", "wb").write(data)
END
    run -0 --separate-stderr at-merge -o both.pcapng le.pcapng be.pcapng
    [[ $stderr == *"4 blocks of another kind cannot be held by pcapng"* ]]
    [ "$(blocks_in both.pcapng | grep -c '^names')" -eq 1 ]
}

@test "pcapng: ERF comes back as it was, with its directions, under --strict" {
    for f in dns http; do
        at-convert -q "$TEST_DATA/$f.pcap" plain.erf
        for faces in 1 2 4; do
            python3 - plain.erf faces.erf $faces <<'END'
import sys
data, faces = bytearray(open(sys.argv[1], "rb").read()), int(sys.argv[3])
at = n = 0
while at < len(data):
    data[at + 9] = data[at + 9] & ~3 | n * 7 // 5 % faces
    at += int.from_bytes(data[at + 10:at + 12], "big")
    n += 1
open(sys.argv[2], "wb").write(data)
END
            at-convert --strict -q faces.erf faces.pcapng
            at-convert --strict -q faces.pcapng back.erf
            cmp faces.erf back.erf
        done
    done
}

# Interface 0 is outgoing in ERF, whatever is said of a packet.
@test "pcapng: a direction that is not that of the ERF interface is a loss" {
    make_pcapng out.pcapng '<' 1700000000
    at-convert --strict -q -n 1 out.pcapng one.pcapng
    run -0 --separate-stderr at-convert -F erf one.pcapng one.erf
    [[ $stderr != *direction* ]]
    python3 - <<'END'
data = open("one.pcapng", "rb").read()
assert data.count(b"\2\0\4\0\2\0\0\0") == 1
open("in.pcapng", "wb").write(data.replace(b"\2\0\4\0\2\0\0\0",
                                           b"\2\0\4\0\1\0\0\0"))
END
    run -0 --separate-stderr at-convert -F erf in.pcapng in.erf
    [[ $stderr == *"1 direction cannot be held by erf"* ]]
    cmp one.erf in.erf
}
