#!/usr/bin/env bats
# Foreign gzip files and the access points in their index: the same answers,
# with points and without, by any number of threads.

setup() {
    load helpers
    need gzip sqlite3
    cd "$BATS_TEST_TMPDIR" || return
}

# A trace of about 650 bytes a packet, or 100 with --snap 94.
trace() { # file options...
    local file=$1
    shift
    "$SYNTH" "$@" "$file"
}

points() { # index
    sqlite3 "$1" 'SELECT count(*) FROM access'
}

# What at-info says, but for whether blocks can be read alone
info_of() { # option...
    at-info --json "$@" | sed 's/"random_access":[a-z]*,//'
}

# What the tools say of a file with its index is what they say without.
same_with_points() { # file
    local j
    rm -f "$1.idx"
    info_of "$1" >info.want
    at-convert -q -F pcap "$1" - >convert.want
    at-query -q "$1" 'tcp port 443' >flows.want
    at-query -q -w packets.want "$1" 'port 53 or icmp'
    at-index -q "$1"
    for j in 1 2 3; do
        info_of -j "$j" "$1" >info.got
        at-convert -q -j "$j" -F pcap "$1" - >convert.got
        at-query -q -j "$j" "$1" 'tcp port 443' >flows.got
        at-query -q -j "$j" -w packets.got "$1" 'port 53 or icmp'
        cmp info.want info.got
        cmp convert.want convert.got
        cmp flows.want flows.got
        cmp packets.want packets.got
    done
}

@test "access: with points every tool gives the same as without" {
    trace t.erf -n 40k
    gzip t.erf
    same_with_points t.erf.gz
    [ "$(points t.erf.gz.idx)" -ge 4 ]
}

@test "access: the same for other packers, and several members" {
    trace a.erf -n 20k
    trace b.erf -n 20k -s 2
    gzip -1 -c a.erf >1.erf.gz
    gzip -9 -c b.erf >>1.erf.gz
    same_with_points 1.erf.gz
    [ "$(points 1.erf.gz.idx)" -ge 4 ]
    split -b 70000 --filter=gzip a.erf >many.erf.gz
    same_with_points many.erf.gz
    [ "$(points many.erf.gz.idx)" -ge 3 ]
    [ "$(points many.erf.gz.idx)" -le 6 ]
}

@test "access: the same for files of pigz, the slow kind too" {
    need pigz
    trace t.erf -n 30k
    pigz -c t.erf >fast.erf.gz
    same_with_points fast.erf.gz
    [ "$(points fast.erf.gz.idx)" -ge 3 ]
    fast_build || skip 'takes too long under a sanitizer'
    trace s.erf -n 80k --snap 94
    pigz -11 -I 1 -c s.erf >slow.erf.gz
    same_with_points slow.erf.gz
    [ "$(points slow.erf.gz.idx)" -ge 2 ]
}

@test "access: points take at most a hundredth of the file" {
    local name file with without
    trace payload.erf -n 60k
    trace headers.erf -n 400k --snap 94
    trace dense.erf -n 60k
    for name in payload headers dense; do
        gzip -1 $name.erf
        [ $name = dense ] && set -- --spacing 64Ki || set --
        at-index -q --spacing 0 -o without.idx $name.erf.gz
        at-index -q "$@" -o with.idx $name.erf.gz
        file=$(stat -c %s $name.erf.gz)
        with=$(stat -c %s with.idx)
        without=$(stat -c %s without.idx)
        echo "$name: $file bytes, $(points with.idx) points of $((with - without))"
        [ "$(points with.idx)" -ge 3 ]
        [ $(((with - without) * 100)) -le "$file" ]
    done
}

@test "access: --spacing 0 makes an index without points, as before there were any" {
    trace t.erf -n 2k
    gzip t.erf
    at-index -q --spacing 0 t.erf.gz
    [ "$(sqlite3 t.erf.gz.idx "SELECT count(*) FROM sqlite_master WHERE name = 'access'")" -eq 0 ]
    run --separate-stderr at-info -c t.erf.gz
    [ "$status" -eq 0 ]
    [ "$output" = $'2000\tt.erf.gz' ]
    [ "$(at-query -q --count t.erf.gz ip)" = "$(rm t.erf.gz.idx && at-query -q --count t.erf.gz ip)" ]
}

@test "access: a file that has changed is read without its index" {
    trace t.erf -n 20k
    trace u.erf -n 20k -s 2
    gzip t.erf u.erf
    at-index -q t.erf.gz
    mv u.erf.gz t.erf.gz
    at-info --json t.erf.gz >got
    rm t.erf.gz.idx
    at-info --json t.erf.gz >want
    cmp want got
}

@test "access: a file cut after it was indexed gives what it has, and one message" {
    trace t.erf -n 20k
    gzip t.erf
    at-index -q t.erf.gz
    truncate -s -100000 t.erf.gz
    run --separate-stderr at-info -c t.erf.gz
    [ "$status" -eq 1 ]
    one_message
    [[ $stderr == *"t.erf.gz: cut short"* ]]
    local with=$output
    rm t.erf.gz.idx
    run --separate-stderr at-info -c t.erf.gz
    [ "$output" = "$with" ]
}

# Writes a byte that is another than the one that is there.
damage() { # file offset
    local was
    was=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf '%b' "\\x$(printf %02x $((was ^ 0x5a)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "access: damage in the middle is found by the points, good packets come first" {
    trace t.erf -n 40k
    gzip t.erf
    at-index -q t.erf.gz
    damage t.erf.gz $(($(stat -c %s t.erf.gz) / 2))
    for j in 1 2 3; do
        run --separate-stderr at-info -j $j -c t.erf.gz
        [ "$status" -eq 1 ]
        one_message
        [[ $stderr == *"t.erf.gz: "*damaged* ]]
        [ "${output%%$'\t'*}" -ge 10000 ]
        [ "${output%%$'\t'*}" -lt 40000 ]
        [ $j = 1 ] || [ "$output" = "$before" ]
        before=$output
    done
}

@test "access: an index that lies is an error that names it" {
    trace t.erf -n 30k
    gzip t.erf
    at-index -q t.erf.gz
    cp t.erf.gz.idx good.idx
    for lie in 'crc = crc + 1' 'file_bit = file_bit + 1' \
        'raw_offset = raw_offset + 5' "history = x'00'" \
        'history = NULL' 'member_raw = -1' 'id = id + 7'; do
        cp good.idx t.erf.gz.idx
        chmod u+w t.erf.gz.idx
        sqlite3 t.erf.gz.idx "UPDATE access SET $lie WHERE id = 2"
        run --separate-stderr at-info -c t.erf.gz
        echo "$lie: $status $output $stderr"
        [ "$status" -eq 1 ]
        one_message
        [[ $stderr == *t.erf.gz* ]]
    done
    sqlite3 t.erf.gz.idx 'DELETE FROM access WHERE id = 0'
    run --separate-stderr at-info -c t.erf.gz
    [ "$status" -eq 1 ]
    [[ $stderr == *"t.erf.gz.idx: its access points cannot be those of t.erf.gz"* ]]
}
