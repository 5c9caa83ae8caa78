#!/usr/bin/env bats
# Compressed traces as a user meets them: every codec, read and written, by us
# and by the tools that it comes from.  Cuts and damage, byte by byte, are in
# test/unit/codec_test.c and frames_test.c.

# cat is there to make a pipe.
# shellcheck disable=SC2002

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    ERF=$TEST_DATA/link.erf PCAP=$TEST_DATA/bulk-s96.pcap
}

CODECS='bgzf gzip zstd xz bzip2 lz4'

suffix() { # codec
    case $1 in
    none) ;;
    bgzf | gzip) echo .gz ;;
    zstd) echo .zst ;;
    bzip2) echo .bz2 ;;
    *) echo ".$1" ;;
    esac
}

# The codec's own tool, from stdin to stdout
pack() { # codec
    case $1 in
    none) cat ;;
    bgzf | gzip) gzip -c ;;
    *) "$1" -cq ;;
    esac
}

unpack() { # codec
    case $1 in
    none) cat ;;
    bgzf | gzip) gzip -dc ;;
    *) "$1" -dcq ;;
    esac
}

# A trace of several MB, so that every codec makes many frames of it
big() {
    "${SYNTH:?}" -n 15000 --snap 300 big.erf
}

# ---- written

@test "codec: each is written so that its own tool takes the file whole" {
    big
    for c in $CODECS; do
        at-convert -q -Z "$c" big.erf "$c.erf$(suffix "$c")"
        unpack "$c" <"$c.erf$(suffix "$c")" | cmp - big.erf
        [ "$(at-info --json "$c.erf$(suffix "$c")" | jq -r .codec)" = "$c" ]
    done
    gzip -t bgzf.erf.gz gzip.erf.gz
    ! command -v pigz >/dev/null || pigz -t gzip.erf.gz
    zstd -qt zstd.erf.zst
    xz -t xz.erf.xz
    bzip2 -t bzip2.erf.bz2
    lz4 -qt lz4.erf.lz4
    bgzip -dc bgzf.erf.gz | cmp - big.erf
}

@test "codec: xz is one stream of many blocks, zstd has its seek table" {
    big
    at-convert -q big.erf big.erf.xz
    at-convert -q big.erf big.erf.zst
    xz --robot -l big.erf.xz >list
    [ "$(awk '$1 == "file" { print $2 }' list)" -eq 1 ]
    [ "$(awk '$1 == "file" { print $3 }' list)" -gt 2 ]
    [ "$(tail -c 4 big.erf.zst | od -An -tx1 | tr -d ' \n')" = b1ea928f ]
    [ "$(tail -c 9 big.erf.zst | head -c 1 | od -An -tx1 | tr -d " \n")" = \
        "$(printf %02x $(($(zstd -lv big.erf.zst 2>/dev/null |
            awk '/Zstandard Frames/ { print $4 }'))))" ]
}

@test "codec: lz4 has the same table, and its list" {
    big
    at-convert -q big.erf big.erf.lz4
    at-convert -q "$ERF" one.erf.lz4
    [ "$(tail -c 4 big.erf.lz4 | od -An -tx1 | tr -d ' \n')" = b1ea928f ]
    python3 - big.erf.lz4 "$(stat -c %s big.erf)" <<'END'
import struct, sys
data, raw = open(sys.argv[1], "rb").read(), int(sys.argv[2])
n, descriptor = struct.unpack("<IB", data[-9:-4])
magic, size = struct.unpack("<II", data[-n * 8 - 17:-n * 8 - 9])
assert (magic, size, descriptor) == (0x184D2A5E, 8 * n + 9, 0) and n > 2
sizes = list(struct.iter_unpack("<II", data[-n * 8 - 9:-9]))
assert sum(r for _, r in sizes) == raw
at = 0
for frame, r in sizes:
    assert struct.unpack_from("<I", data, at)[0] == 0x184D2204
    assert struct.unpack_from("<Q", data, at + 6)[0] == r
    at += frame
assert at == len(data) - n * 8 - 17
END
    lz4 --list one.erf.lz4 >list
    [ "$(tail -1 list | awk '{ print $1 }')" = 2 ]
}

@test "codec: an empty trace is a valid file of each" {
    at-convert -q -f 'host 192.0.2.99' "$PCAP" empty.pcap
    for c in $CODECS; do
        at-convert -q -Z "$c" empty.pcap "$c.pcap"
        unpack "$c" <"$c.pcap" | cmp - empty.pcap
        [ "$(at-info -c "$c.pcap" | tail -1 | awk '{ print $1 }')" = 0 ]
        at-convert -q -f 'host 192.0.2.99' -F erf -Z "$c" "$ERF" "$c.erf"
        [ "$(unpack "$c" <"$c.erf" | wc -c)" -eq 0 ]
    done
}

@test "codec: the same bytes for any number of threads" {
    big
    for c in $CODECS; do
        at-convert -q -j 1 -Z "$c" big.erf 1.erf
        at-convert -q -j 5 -Z "$c" big.erf 5.erf
        cmp 1.erf 5.erf
    done
}

@test "codec: from every codec to every codec the packets stay" {
    for from in none $CODECS; do
        at-convert -q -Z "$from" "$ERF" "from.erf$(suffix "$from")"
        for to in none $CODECS; do
            at-convert -q -Z "$to" "from.erf$(suffix "$from")" \
                "to.erf$(suffix "$to")"
            unpack "$to" <"to.erf$(suffix "$to")" | cmp - "$ERF"
        done
    done
}

@test "codec: -Z takes each at its levels, and says which there are" {
    for z in zstd:1 zstd:19 zst xz:0 xz:9 bzip2:1 bz2:9 lz4:1 lz4:12 \
        gzip:1 gz:12 gz; do
        at-convert -q -Z $z "$PCAP" out.pcap
        at-diff "$PCAP" out.pcap
    done
    for z in zstd:0 zstd:20 xz:10 xz:-1 bzip2:0 lz4:13 bgzf:13 gzip:13 none:1 \
        xz:; do
        run -2 at-convert -q -Z $z "$PCAP" out.pcap
        [[ $output == *levels* || $output == *level* ]]
    done
    run -2 at-convert -q -Z lzo "$PCAP" out.pcap
    [[ $output == *"none, gzip, bgzf, zstd, xz, bzip2, lz4"* ]]
}

@test "codec: a full disk and a closed pipe are errors for each" {
    big
    for c in $CODECS; do
        run -1 at-convert -q -F erf -Z "$c" "$ERF" /dev/full
        [[ $output == *"cannot write"* ]]
        run -1 at-convert -q -F erf -Z "$c" big.erf /dev/full
        [[ $output == *"cannot write"* ]]
        run bash -c "set -o pipefail
            trap '' PIPE; at-convert -q -F erf -Z $c big.erf - | true"
        [ "$status" -eq 1 ]
    done
}

@test "codec: capinfos reads what we write as gzip of either kind" {
    need capinfos
    for c in bgzf gzip; do
        at-convert -q -Z $c "$TEST_DATA/http.pcap" http.pcap.gz
        [ "$(capinfos -T -r -c -M http.pcap.gz | cut -f2)" -eq \
            "$(at-info -c "$TEST_DATA/http.pcap" | cut -f1)" ]
    done
}

@test "codec: capinfos reads one frame of zstd or lz4 of ours" {
    need capinfos
    [ "$(stat -c %s "$PCAP")" -lt 1000000 ]
    for c in zstd lz4; do
        at-convert -q -Z $c "$PCAP" "one.pcap$(suffix $c)"
        [ "$(capinfos -T -r -c -M "one.pcap$(suffix $c)" | cut -f2)" -eq \
            "$(at-info -c "$PCAP" | cut -f1)" ]
    done
}

@test "codec: what closes our files is passed over, in one file or several" {
    big
    for c in $CODECS; do
        at-convert -q -F erf -Z "$c" big.erf part
        cat part part >joined
        at-convert -q -F erf joined - | cmp - <(cat big.erf big.erf)
        cat joined | at-convert -q -F erf - - | cmp - <(cat big.erf big.erf)
        unpack "$c" <joined | cmp - <(cat big.erf big.erf)
    done
    at-convert -q -F erf -Z bzip2 big.erf part
    python3 -c 'import bz2
assert bz2.decompress(open("part", "rb").read()) == open("big.erf", "rb").read()'
    at-convert -q -F erf -Z zstd big.erf part
    ! command -v pzstd >/dev/null || pzstd -qdc part | cmp - big.erf
    at-convert -q -F erf -Z bzip2 big.erf part.bz2
    for t in pbzip2 lbzip2; do
        ! command -v $t >/dev/null || $t -dc part.bz2 | cmp - big.erf
    done
}

@test "codec: gzip is members of 1 MiB that say their size, by name it is BGZF" {
    big
    at-convert -q -Z gzip big.erf big.erf.gz
    python3 - big.erf.gz "$(stat -c %s big.erf)" <<'END'
import struct, sys, zlib
data, at, sizes = open(sys.argv[1], "rb").read(), 0, []
while at < len(data):
    assert data[at:at + 10] == bytes.fromhex("1f8b08040000000000ff")
    n, ig, four, size, ours, _, raw = struct.unpack_from("<H2sHI2sHI", data,
                                                         at + 10)
    assert (n, ig, four, ours) == (16, b"IG", 4, b"AT")
    body = zlib.decompress(data[at + 28:at + size - 8], -15)
    crc, isize = struct.unpack_from("<II", data, at + size - 8)
    assert len(body) == raw == isize and zlib.crc32(body) == crc
    sizes.append(raw)
    at += size
assert at == len(data) and sizes[-1] == 0 and sum(sizes) == int(sys.argv[2])
assert len(sizes) > 3 and all(9e5 < n <= 1 << 20 for n in sizes[:-2])
END
    [ "$(at-info --json big.erf.gz | jq -r .codec)" = gzip ]
    at-convert -q big.erf again.erf.gz
    [ "$(at-info --json again.erf.gz | jq -r .codec)" = bgzf ]
    [ "$(stat -c %s big.erf.gz)" -lt "$(stat -c %s again.erf.gz)" ]
}

# Of several bzip2 streams libwandio 3 reads the first.
@test "codec: tracestats of libtrace reads gzip and xz of ours" {
    need tracestats
    for c in bgzf gzip xz; do
        at-convert -q -Z $c "$ERF" "$c.erf$(suffix "$c")"
        tracestats "erf:$c.erf$(suffix "$c")" >said 2>/dev/null
        [ "$(awk '/Total/ { print $2 }' said)" -eq \
            "$(at-info -c "$ERF" | cut -f1)" ]
    done
}

# ---- read

@test "codec: what the tools make is read, from a file and from a pipe" {
    big
    for c in none gzip zstd xz bzip2 lz4; do
        pack "$c" <big.erf >packed
        at-convert -q -F erf packed - | cmp - big.erf
        cat packed | at-convert -q -F erf - - | cmp - big.erf
    done
}

@test "codec: what parallel tools make is read" {
    big
    xz -T2 -0 --block-size=500KiB -c big.erf >x1
    xz -0 -c big.erf >x2
    zstd -qc --no-check big.erf >z1
    zstd -qc --stream-size="$(stat -c %s big.erf)" <big.erf >z2
    lz4 -qc --content-size -B4 big.erf >l1
    lz4 -qc -B7 -BD big.erf >l2
    files='x1 x2 z1 z2 l1 l2'
    if command -v pbzip2 >/dev/null; then
        pbzip2 -c -b1 big.erf >b1
        files="$files b1"
    fi
    if command -v pzstd >/dev/null; then
        pzstd -qc big.erf >z3
        files="$files z3"
    fi
    for f in $files; do
        for j in 1 4; do
            at-convert -q -j $j -F erf "$f" - | cmp - big.erf
        done
    done
}

@test "codec: files joined, by whatever tool, are read to the end" {
    big
    head -c 700000 big.erf >a
    tail -c +700001 big.erf >b
    for c in gzip zstd xz bzip2 lz4; do
        { pack "$c" <a && pack "$c" <b; } >joined
        at-convert -q -F erf joined - | cmp - big.erf
        cat joined | at-convert -q -F erf - - | cmp - big.erf
    done
    at-convert -q "$ERF" 1.erf.zst
    { cat 1.erf.zst && zstd -qc <"$ERF" && cat 1.erf.zst; } >joined
    at-convert -q -F erf joined - | cmp - <(cat "$ERF" "$ERF" "$ERF")
}

@test "codec: long frames are read in sequence" {
    "$SYNTH" -n 60000 --snap 300 long.erf
    [ "$(stat -c %s long.erf)" -gt 9000000 ]
    xz -0c long.erf >x
    bzip2 -1c long.erf >b
    lz4 -qc --content-size long.erf >l
    zstd -qc long.erf >z
    for f in x b l z; do
        at-convert -q -F erf $f - | cmp - long.erf
    done
    at-convert -q -F erf - - <z | cmp - long.erf
    cat z | at-convert -q -F erf - - | cmp - long.erf
}

@test "codec: content decides, not the suffix" {
    for c in $CODECS; do
        at-convert -q -Z "$c" "$PCAP" wrong.pcap.xz
        [ "$(at-info --json wrong.pcap.xz | jq -r .codec)" = "$c" ]
        at-diff "$PCAP" wrong.pcap.xz
    done
    cp "$PCAP" plain.pcap.zst
    at-diff "$PCAP" plain.pcap.zst
}

@test "codec: cut files of each give what is whole, one message, exit 1" {
    big
    for c in $CODECS; do
        at-convert -q -Z "$c" big.erf whole
        head -c $(($(stat -c %s whole) * 2 / 3)) whole >cut
        for j in 1 3; do
            run -1 --separate-stderr at-convert -q -j $j -F erf cut out$j.erf
            [[ $stderr == *"cut short"* ]]
            [ "${#stderr_lines[@]}" -eq 1 ]
        done
        head -c $(($(stat -c %s whole) - 1)) whole >cut
        run -1 --separate-stderr at-info -c cut
        [[ $stderr == *"cut short"* ]]
    done
}

# One that ends with any other frame of the codec does not.
@test "codec: a file of ours that is cut between two frames says so" {
    big
    for c in zstd lz4 bzip2 gzip bgzf; do
        at-convert -q -Z "$c" big.erf whole
        python3 - "$c" whole cut <<'END'
import struct, sys
codec, whole, cut = sys.argv[1:]
data = open(whole, "rb").read()
if codec in ("zstd", "lz4"):
    n = struct.unpack("<I", data[-9:-5])[0]
    last = struct.unpack("<I", data[-17:-13])[0]
    end = len(data) - 8 * n - 17 - last
else:
    magic = b"BZh9" if codec == "bzip2" else b"\x1f\x8b\x08\x04"
    end = data.rindex(magic, 0, data.rindex(magic))
open(cut, "wb").write(data[:end])
END
        unpack "$c" <cut >left
        [ "$(stat -c %s left)" -lt "$(stat -c %s big.erf)" ]
        at-convert -q left want.pcap
        for from in 'at-convert -q -F pcap cut' \
            'cat cut | at-convert -q -F pcap -'; do
            run -1 --separate-stderr bash -c "$from got.pcap"
            one_message
            [[ $stderr == *"cut short: no closing block at byte "* ]]
            cmp want.pcap got.pcap
        done
        { cat cut && pack "$c" </dev/null; } >closed
        at-convert -q closed got.pcap
        cmp want.pcap got.pcap
    done
}

@test "codec: xz that is cut gives its packets although its index is gone" {
    big
    at-convert -q big.erf big.erf.xz
    head -c -20 big.erf.xz >cut.xz
    run -1 --separate-stderr at-info --json cut.xz
    [ "$(jq .packets <<<"$output")" -eq "$(at-info --json big.erf | jq .packets)" ]
    [ "$(jq .truncated <<<"$output")" = true ]
}

@test "codec: a window or dictionary that is too large is refused" {
    zstd -qc --long=30 <"$ERF" >wide.zst
    run -1 at-info wide.zst
    [[ $output == *"window of more than 128 MiB"* ]]
}

@test "codec: lzop and legacy lz4 are refused by name" {
    printf '\x89LZO\0\r\n\x1a\n%050d' 0 >a.lzo
    run -1 at-info a.lzo
    [[ $output == *lzop* ]]
    lz4 -qcl <"$ERF" >legacy.lz4
    run -1 at-info legacy.lz4
    [[ $output == *"legacy format of lz4"* ]]
}

@test "codec: a plain file that begins like a compressed one is read" {
    for magic in '\x1f\x8b' 'BZh9' '\x28\xb5\x2f\xfd' '\x04\x22\x4d\x18'; do
        printf '%b' "$magic" >plain.erf
        tail -c +"$(($(stat -c %s plain.erf) + 1))" "$ERF" >>plain.erf
        at-convert -q -F erf plain.erf - | cmp - plain.erf
        cat plain.erf | at-convert -q -F erf - - | cmp - plain.erf
        [ "$(at-info --json plain.erf | jq -r .codec)" = none ]
    done
}

# ---- archives

@test "codec: archives of zstd and of xz answer as those of BGZF do" {
    "$SYNTH" -n 20000 --snap 200 day.erf
    at-ingest -q bgzf day.erf "$TEST_DATA/http.pcap"
    at-query -q -F erf -w want.erf bgzf tcp port 80
    for c in gzip zstd xz bzip2 lz4; do
        at-ingest -q -Z "$c" "$c" day.erf "$TEST_DATA/http.pcap"
        [ -n "$(find "$c" -name "*.erf$(suffix "$c")")" ]
        [ -n "$(find "$c" -name "*.pcap$(suffix "$c")")" ]
        [ "$c" = gzip ] || [ -z "$(find "$c" -name '*.gz')" ]
        at-query -q -F erf -w got.erf "$c" tcp port 80
        cmp want.erf got.erf
        diff <(at-query bgzf host 198.18.0.1) <(at-query "$c" host 198.18.0.1)
    done
}

@test "codec: an index leads into a file of each" {
    big
    at-query -q -F erf -w want.erf big.erf udp port 53
    for c in $CODECS; do
        at-convert -q -F erf -Z "$c" big.erf "in.$c"
        at-index -q "in.$c"
        at-query -q -F erf -w got.erf "in.$c" udp port 53
        cmp want.erf got.erf
    done
}
