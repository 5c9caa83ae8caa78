#!/usr/bin/env bats
# --salvage in the tools that index, ask, take in and compare
# shellcheck disable=SC2030,SC2031,SC2154 # status and stderr_lines are of run

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# Overwrites bytes of a file.
damage() { # file offset count
    head -c "$3" /dev/zero | tr '\0' '\252' |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# A damaged file of each kind, with most of its records left.
make_damaged() {
    local d=$TEST_DATA kind n
    at-convert -q "$d"/{http,tls,loss,bulk-s96}.pcap ok.pcap
    at-convert -q ok.pcap ok.pcapng
    for kind in bgzf zstd lz4 bzip2 xz; do
        at-convert -q -F erf -Z $kind ok.pcap ok.$kind
    done
    for f in ok.*; do
        cp "$f" "bad.${f#ok.}"
        n=$(stat -c %s "$f")
        damage "bad.${f#ok.}" $((n * 8 / 10)) 3000
    done
}

@test "salvage: of an undamaged file the index is the same" {
    make_damaged
    gzip -k ok.pcap
    for f in ok.*; do
        at-index -q -o plain "$f"
        run --separate-stderr at-index -q --salvage -o salvaged "$f"
        [ "$status" -eq 0 ]
        cmp plain salvaged
    done
}

@test "salvage: an index of a damaged file has what is good, and the holes" {
    make_damaged
    for f in bad.*; do
        at-convert --salvage -F pcap "$f" want 2>said || [ $? -eq 1 ]
        [ "$(records want | wc -l)" -gt 1500 ]
        run --separate-stderr at-index --salvage "$f"
        [ "$status" -eq 1 ]
        diff <(grep skipped said | sed 's/^[^:]*: //') \
            <(grep skipped <<<"$stderr" | sed 's/^[^:]*: //')
        # asked with the index, and of a copy that has none
        cp "$f" copy
        for q in "$f" copy; do
            run --separate-stderr at-query --salvage -w got "$q"
            [ "$status" -eq 1 ]
            [[ "$stderr" == *"$q: "*" bytes skipped"* ]]
            diff <(records want) <(records got)
            for what in tcp 'tcp[13] & 2 != 0' 'port 443'; do
                run --separate-stderr at-query --salvage --format csv \
                    --fields start,end,src,dst,packets_out,packets_in "$q" "$what"
                [ "$status" -eq 1 ]
                [ "$q" = "$f" ] && echo "$output" >"flows.${what// /}"
                [ "$output" = "$(cat "flows.${what// /}")" ]
            done
        done
    done
}

@test "salvage: such an index is the same for any number of threads, and not used without" {
    make_damaged
    for f in bad.bgzf bad.pcap; do
        for j in 1 4; do
            at-index -q --salvage -j $j -o $j.idx $f 2>/dev/null || [ $? -eq 1 ]
        done
        cmp 1.idx 4.idx
        cp $f copy.$f
        cp 1.idx $f.idx
        run at-query $f tcp
        with=$output
        [ "$status" -eq 1 ]
        run at-query copy.$f tcp
        [ "${output//copy./}" = "$with" ]
    done
}

@test "salvage: what is damaged after it was indexed is a hole" {
    make_damaged
    at-convert -q ok.pcap whole
    for f in ok.pcap ok.bgzf ok.zstd; do
        at-index -q $f
        damage $f $(($(stat -c %s $f) / 2)) 3000
        run at-query -w got $f
        [ "$status" -eq 1 ]
        run --separate-stderr at-query --salvage -w got.erf $f
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"$f: 1 hole, "* ]]
        at-convert -q --salvage -F pcap $f want 2>/dev/null || [ $? -eq 1 ]
        # none that was not there, and no fewer than the walk finds, but for
        # those of a record that is only half damaged
        [ -z "$(comm -13 <(records whole | sort) <(records got.erf | sort))" ]
        [ "$(records got.erf | wc -l)" -ge $(($(records want | wc -l) - 5)) ]
    done
}

@test "salvage: a damaged segment of an archive gives the rest of it" {
    at-ingest -q --flush lab "$TEST_DATA/http.pcap" "$TEST_DATA/tls.pcap"
    seg=$(find lab/segments -name '*.gz' | head -1)
    damage "$seg" $(($(stat -c %s "$seg") / 2)) 40
    run --separate-stderr at-query -w out.pcap lab
    [ "$status" -eq 1 ]
    run --separate-stderr at-query --salvage -w salvaged.pcap lab
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"no gzip block is there"* ]]
    [ "$(records salvaged.pcap | wc -l)" -gt "$(records out.pcap | wc -l)" ]
}

# ---- at-ingest ---------------------------------------------------------------

# Three records claim more bytes than they have: what stops at damage believes
# the first of them, and goes astray.
make_astray() { # file
    python3 - "$TEST_DATA/http.pcap" "$1" <<'END'
import sys, records, salvage
data = bytearray(open(sys.argv[1], "rb").read())
found = salvage.split(bytes(data))[0]
for n in (50, 300, 700):
    at = found[n][0]
    data[at + 8:at + 12] = b"\x10\x02\0\0"
open(sys.argv[2], "wb").write(data)
END
}

@test "salvage: at-ingest takes what is good of a damaged input, once" {
    make_damaged
    for f in bad.pcap bad.bgzf bad.pcapng; do
        rm -rf lab
        at-convert -q --salvage -F pcap $f want.pcap 2>/dev/null || [ $? -eq 1 ]
        run --separate-stderr at-ingest --salvage lab $f
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"$f: "*" bytes skipped"* ]]
        [[ "${stderr_lines[-1]}" == *" packets"*" 1 file, "*hole* ]]
        at-query -q -w got.pcap lab
        diff <(records want.pcap | sort) <(records got.pcap | sort)
        for salvage in --salvage ''; do
            run --separate-stderr at-ingest $salvage lab $f
            [ "$status" -eq 0 ]
            [[ "$stderr" == *"0 packets"*"1 file known" ]]
        done
        [ "$(sqlite3 lab/catalog.sqlite 'SELECT damaged, s.complete, holes > 0
            FROM input JOIN salvage s USING (digest)')" = '1|1|1' ]
    done
}

@test "salvage: at-ingest without it takes all before the damage, with it then the rest" {
    make_astray bad.pcap
    at-convert -q bad.pcap before.pcap || [ $? -eq 1 ]
    at-convert -q --salvage bad.pcap good.pcap || [ $? -eq 1 ]
    run at-ingest lab bad.pcap
    [ "$status" -eq 1 ]
    at-query -q -w got.pcap lab
    diff <(records before.pcap) <(records got.pcap)
    run at-ingest lab bad.pcap
    [[ "$output" == *'1 file known'* ]]
    run at-ingest --salvage lab bad.pcap
    [ "$status" -eq 1 ]
    at-query -q -w got.pcap lab
    # each record once, and the one that was believed stays
    diff <({ records before.pcap; records good.pcap; } | sort -u) \
        <(records got.pcap | sort)
    run at-ingest -q --salvage --remove-source lab bad.pcap
    [ -e bad.pcap ] # it has more than the archive
}

@test "salvage: at-ingest of an undamaged input is what it is without" {
    at-ingest -q a "$TEST_DATA/http.pcap"
    run --separate-stderr at-ingest -q --salvage b "$TEST_DATA/http.pcap"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    cmp a/pending/*.idx b/pending/*.idx
    run at-ingest --salvage a "$TEST_DATA/http.pcap"
    [ "$status" -eq 0 ]
    [[ "$output" == *'1 file known'* ]]
}

# ---- at-diff -----------------------------------------------------------------

@test "salvage: at-diff compares what is good, and says so by status 2" {
    make_astray bad.pcap
    run --separate-stderr at-diff --salvage -m 0 "$TEST_DATA/http.pcap" bad.pcap
    [ "$status" -eq 2 ]
    [ "$(grep -c 'only in' <<<"$output")" -eq 3 ]
    [[ "$stderr" == *'bad.pcap: 3 holes, '* ]]
    [[ "$stderr" == *'1,087 packets equal, 0 changed, 3 only in '*', 0 only in bad.pcap' ]]
    run at-diff --salvage "$TEST_DATA/http.pcap" "$TEST_DATA/http.pcap"
    [ "$status" -eq 0 ]
}
