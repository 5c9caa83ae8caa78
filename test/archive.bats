#!/usr/bin/env bats
# at-archive: what an archive holds, and what leaves it

setup_file() {
    load helpers
    cd "$BATS_FILE_TMPDIR" || return
    at-ingest -q archive "$TEST_DATA"/*.pcap "$TEST_DATA"/link.erf
    at-ingest -q --stream other archive "$TEST_DATA/link-s94.erf.gz"
    read -ra cc <<<"${CC:-cc}"
    "${cc[@]}" -shared -fPIC -o failing.so "$TOP/test/failing.c" -ldl
}

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    SHARED=$BATS_FILE_TMPDIR
    cp -a "$SHARED/archive" a
    STEP=1
    fast_build || STEP=5
}

paths() { # archive: of all segments, the oldest first
    at-archive list --json "$1" | jq -r '"\(.last) \(.path)"' | sort |
        cut -d' ' -f2
}

# What of an archive must not depend on how it came to be
contents() { # archive
    (cd "$1" && find segments pending tmp -type f -exec sha256sum {} + |
        sort -k 2)
    (cd "$1" && sha256sum -c --quiet catalog.sha256)
    sqlite3 -readonly "$1/catalog.sqlite" 'SELECT name FROM stream ORDER BY 1;
        SELECT t.name, path, pending, start, end, first, last, packets,
            captured_bytes, wire_bytes, flows, file_bytes, index_bytes, format,
            linktype, hex(file_digest), hex(index_digest), gone != 0
            FROM segment s JOIN stream t ON t.id = s.stream ORDER BY 2;
        SELECT t.name, path, first, last, packets, captured_bytes, reason
            FROM gone g JOIN stream t ON t.id = g.stream ORDER BY 2;
        SELECT hex(digest), file_bytes, records, complete FROM input
            ORDER BY 1; SELECT * FROM intent'
}

same_contents() { # archive archive
    diff <(contents "$1") <(contents "$2")
}

# An archive as it was before there were digests
make_old() { # archive
    sqlite3 "$1/catalog.sqlite" 'DROP VIEW segments;
        ALTER TABLE segment DROP COLUMN file_digest;
        ALTER TABLE segment DROP COLUMN index_digest;
        ALTER TABLE segment DROP COLUMN gone; DROP TABLE gone;
        DROP TABLE open_flow; DROP TABLE open_datagram;
        DROP TABLE hosts; DROP TABLE sieve;
        DROP TABLE minute; DROP TABLE hour;
        DROP TABLE minute_app; DROP TABLE hour_app;
        DROP TABLE salvage; PRAGMA user_version = 1'
    rm -f "$1/catalog.sha256"
}

# ---- list and show

@test "archive: show adds up streams, and all of them" {
    need jq
    at-archive show --json a >shown
    [ "$(wc -l <shown)" -eq 3 ]
    at-archive list --json a | jq -s '[length, (map(.packets) | add),
        (map(.file_bytes) | add), (map(.index_bytes) | add),
        (map(.flows) | add), (map(.first | tonumber) | min)]' >want
    jq 'select(.stream == "total") | [.segments, .packets, .file_bytes,
        .index_bytes, .flows, (.first | tonumber)]' shown | diff want -
    [ "$(jq 'select(.stream == "total") | .inputs' shown)" -eq \
        "$(sqlite3 a/catalog.sqlite 'SELECT count(*) FROM input')" ]
    [ "$(jq 'select(.stream == "other") | .pending' shown)" -eq 1 ]
    run at-archive show a
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == stream*segments*codec ]]
    [[ "$output" == *'2 of the segments are pending'* ]]
}

@test "archive: the view of segments says what list does" {
    need sqlite3 jq
    sqlite3 -json -readonly a/catalog.sqlite 'SELECT stream, path, packets,
        captured_bytes, flows, file_bytes, format FROM segments
        ORDER BY path' | jq -c '.[]' >view
    at-archive list --json a | jq -c '{stream, path, packets, captured_bytes,
        flows, file_bytes, format}' | sort | diff - <(sort view)
    path=$(paths a | head -n 1)
    [ "$(sqlite3 -readonly a/catalog.sqlite \
        "SELECT sha256 FROM segments WHERE path = '$path'")" = \
        "$(sha256sum <"a/$path" | cut -d' ' -f1)" ]
}

@test "archive: show tells of a segment by its path or name" {
    need jq
    path=$(paths a | head -n 1)
    at-archive show --json a "$path" >one
    at-archive show --json a "a/$path" | diff one -
    at-archive show --json a "${path##*/}" | diff one -
    [ "$(jq -r .sha256 one)" = "$(sha256sum <"a/$path" | cut -d' ' -f1)" ]
    [ "$(jq -r .index_sha256 one)" = \
        "$(sha256sum <"a/$path.idx" | cut -d' ' -f1)" ]
    [ "$(jq .blocks one)" -eq \
        "$(sqlite3 "a/$path.idx" 'SELECT sum(blocks) FROM block')" ]
    run at-archive show a "$path"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "$path" ]
    run --separate-stderr at-archive show a nothing
    [ "$status" -eq 1 ]
    one_message
    [ "$(at-archive show --format csv a "$path" | wc -l)" -eq 2 ]
}

@test "archive: a segment of each codec has the digest of its file" {
    need jq
    for codec in bgzf gzip zstd xz bzip2 lz4; do
        at-ingest -q --flush -Z $codec c-$codec "$TEST_DATA/http.pcap"
        path=$(paths c-$codec)
        [ "$(at-archive show --json c-$codec "$path" | jq -r .sha256)" = \
            "$(sha256sum <"c-$codec/$path" | cut -d' ' -f1)" ]
    done
}

# ---- remove

@test "archive: remove takes out what is named, with its index" {
    need jq
    mapfile -t path < <(paths a)
    at-query --count -w x a >all
    gone=$(at-archive show --json a "${path[1]}" | jq .packets)
    run --separate-stderr at-archive remove a "${path[1]}"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    one_message
    [ ! -e "a/${path[1]}" ]
    [ ! -e "a/${path[1]}.idx" ]
    run --separate-stderr at-query --count -w x a
    [ "$status" -eq 0 ]
    [ "$output" -eq $(($(cat all) - gone)) ]
    [[ "$stderr" == "at-query: a: "*" packets from "*" are gone with 1 segment, since "* ]]
    [ "$(paths a | wc -l)" -eq $((${#path[@]} - 1)) ]
}

@test "archive: remove by a name that is not there removes nothing" {
    need jq
    mapfile -t path < <(paths a)
    run --separate-stderr at-archive remove a "${path[0]}" nothing
    [ "$status" -eq 1 ]
    one_message
    same_contents a "$SHARED/archive"
}

@test "archive: remove by range takes what lies in it as a whole" {
    need jq
    at-archive list --json a | jq -r 'select((.first | tonumber) >= 1772359200e9
        and (.last | tonumber) < 1772366400e9) | .path' | sort >want
    [ "$(wc -l <want)" -ge 2 ]
    at-archive remove --dry-run --json --from 2026-03-01T10:00Z \
        --to 2026-03-01T12:00Z a 2>words | jq -r .path | sort | diff want -
    [[ "$(cat words)" == *'would be removed'* ]]
    same_contents a "$SHARED/archive"
    paths a | sort | comm -23 - want >stays
    at-archive remove -q --from 2026-03-01T10:00Z --to 2026-03-01T12:00Z a
    paths a | sort | diff stays -
    at-archive remove -q --stream other a
    [ "$(at-archive list --json --stream other a | wc -l)" -eq 0 ]
}

@test "archive: what was removed is not taken in again" {
    at-archive remove -q --to 2026-03-02 a
    [ "$(at-archive list --json a | wc -l)" -eq 0 ]
    at-ingest -q a "$TEST_DATA/http.pcap"
    [ "$(at-query --count -w x a)" -eq 0 ]
    at-ingest -q --stream new a "$TEST_DATA/link-s94.erf.gz"
    [ "$(at-query --count -w x a)" -eq 0 ]
}

# ---- expire

@test "archive: expire by age is by the last packet" {
    need jq
    # The age of the second segment, a second more and a second less
    mapfile -t path < <(paths a)
    last=$(at-archive show --json a "${path[1]}" | jq -r '.last | tonumber / 1e9 | floor')
    age=$(($(date +%s) - last))
    at-archive expire --json --dry-run --older-than $((age + 30))s a |
        jq -r .path >gone
    [ "$(cat gone)" = "${path[0]}" ]
    at-archive expire --json --dry-run --older-than $((age - 30))s a |
        jq -r .path >gone
    diff <(printf '%s\n' "${path[@]:0:2}") gone
    same_contents a "$SHARED/archive"
    at-archive expire -q --older-than $((age - 30))s a
    diff <(printf '%s\n' "${path[@]:2}") <(paths a)
    run --separate-stderr at-archive expire --older-than 3650d a
    [ "$status" -eq 0 ]
    one_message
    [[ "$stderr" == 'at-archive: 0 segments expired'* ]]
}

@test "archive: expire by size removes the oldest until it fits" {
    need jq
    mapfile -t path < <(paths a)
    for most in 2M 1M 300k 0; do
        at-archive expire -q --max-size $most a
        bytes=$(find a/segments a/pending -type f -printf '%s\n' |
            awk '{ n += $1 } END { print n + 0 }')
        case $most in
        2M) [ "$bytes" -le 2000000 ] && [ "$bytes" -gt 1000000 ] ;;
        1M) [ "$bytes" -le 1000000 ] && [ "$bytes" -gt 300000 ] ;;
        300k) [ "$bytes" -le 300000 ] && [ "$bytes" -gt 0 ] ;;
        0) [ "$bytes" -eq 0 ] ;;
        esac
        n=$(paths a | wc -l)
        printf '%s\n' "${path[@]}" | tail -n "$n" | diff - <(paths a)
    done
    # No empty directory stays behind.
    [ "$(find a/segments -mindepth 1 | wc -l)" -eq 0 ]
}

@test "archive: expire --keep-index: flows are listed, packets are gone" {
    need jq
    at-query --format csv a >flows
    at-query --format csv a tcp and host 192.0.2.10 >some
    at-query --count -w x --from 2026-03-01T12:00Z a >left
    mapfile -t old < <(at-archive list --json --to 2026-03-01T12:00Z a |
        jq -r .path)
    at-archive remove -q --keep-index --to 2026-03-01T12:00Z a
    for path in "${old[@]}"; do
        [ ! -e "a/$path" ]
        [ -e "a/$path.idx" ]
    done
    [ "$(at-archive list --json a | jq -r 'select(.state == "expired") |
        .path' | wc -l)" -eq ${#old[@]} ]
    run --separate-stderr at-query --format csv a
    [ "$status" -eq 0 ]
    one_message
    [[ "$stderr" == *"; flows are known of ${#old[@]}" ]]
    diff flows <(printf '%s\n' "$output")
    run --separate-stderr at-query --format csv a tcp and host 192.0.2.10
    [ "$status" -eq 0 ]
    diff some <(printf '%s\n' "$output")
    # Of packets, what is left
    run --separate-stderr at-query -w left.erf a
    [ "$status" -eq 0 ]
    [ "$(at-info -c left.erf | grep -o '[0-9]\+' | head -n 1)" -eq "$(cat left)" ]
    run at-query --strict -w left.erf a
    [ "$status" -eq 1 ]
    run at-query --strict --count a
    [ "$status" -eq 1 ]
    run at-query --strict --count --from 2026-03-01T12:00Z a
    [ "$status" -eq 0 ]
    # Where only packets could tell, flows may match
    run --separate-stderr at-query --count --to 2026-03-01T12:00Z a 'greater 1000'
    [ "$status" -eq 0 ]
    [ "$output" -ge "$(at-query --count --to 2026-03-01T12:00Z \
        "$SHARED/archive" 'greater 1000')" ]
    [[ "${stderr_lines[1]}" == *'may match or not'* ]]
    # Other ways to ask
    for args in '--whole-flows -w o.erf' '--context 1s -w o.erf' '--explain' \
        '--series 1h' '--top 3:host' '-w o.erf'; do
        # shellcheck disable=SC2086 # several arguments
        run --separate-stderr at-query $args a 'bytes > 1000'
        [ "$status" -eq 0 ]
        [[ "${stderr_lines[0]}" == *' are gone with '* ]]
    done
}

@test "archive: an index that was kept goes with the next expire" {
    need jq
    at-archive expire -q --keep-index --older-than 1d a
    [ "$(find a/segments a/pending -type f ! -name '*.idx' | wc -l)" -eq 0 ]
    at-archive expire -q --older-than 3650d a
    [ "$(at-archive list --json a | wc -l)" -gt 0 ]
    run --separate-stderr at-archive expire --keep-index --max-size 1 a
    [ "$status" -eq 1 ]
    [[ "$stderr" == *'indexes without packets take them' ]]
    at-archive expire -q --older-than 1d a
    [ "$(find a/segments a/pending -type f | wc -l)" -eq 0 ]
    run --separate-stderr at-query --count a
    [ "$output" -eq 0 ]
    one_message
    # A stream goes on after all of it has gone.
    at-ingest -q a "$TEST_DATA/bittorrent.pcap.gz"
    [ "$(at-query -q --count -w x a)" -gt 0 ]
}

@test "archive: a pending segment whose packets are gone is not taken up" {
    need jq
    at-convert -q -n 300 "$TEST_DATA/link.erf" one.erf
    at-ingest -q b one.erf
    [ "$(at-archive list --json b | jq -r .state)" = pending ]
    at-archive expire -q --keep-index --older-than 1d b
    at-ingest -q b "$TEST_DATA/link.erf"
    [ "$(at-query -q --count -w x b)" -eq 2323 ]
    [ "$(at-archive list --json b | jq -r 'select(.state == "expired") |
        .packets')" -eq 300 ]
}

@test "archive: one that expires while another runs leaves with a message" {
    exec 9>>a/lock
    flock -n 9
    run --separate-stderr at-archive expire --older-than 1d a
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == *'another process'* ]]
    at-archive expire -q --dry-run --older-than 1d a
    exec 9>&-
}

@test "archive: expire stopped before any system call, or failing in it" {
    need sqlite3
    for how in exit full once; do
        for keep in '' --keep-index; do
            rm -rf want
            cp -a "$SHARED/archive" want
            at-archive expire -q $keep --max-size 1M want || [ -n "$keep" ]
            stopped=0
            for ((n = 1; n < 200; n += 3 * STEP)); do
                rm -rf a
                cp -a "$SHARED/archive" a
                status=0
                # shellcheck disable=SC2086 # may be empty
                env LD_PRELOAD="$SHARED/failing.so" FAIL_HOW=$how FAIL_AT=$n \
                    ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0" \
                    at-archive expire -q $keep --max-size 1M a 2>words ||
                    status=$?
                [ $how != once ] || [ "$status" -eq 0 ] || [ -s words ]
                # What is there can be asked.
                at-query -q --count -w x a >count 2>words || {
                    cat words
                    return 1
                }
                # shellcheck disable=SC2086 # may be empty
                at-archive expire -q $keep --max-size 1M a || [ -n "$keep" ]
                same_contents want a || { echo "$how at call $n"; return 1; }
                [ "$status" -ne 0 ] && stopped=$n
                [ $((n - stopped)) -lt 20 ] || break
            done
            [ "$stopped" -ge 10 ]
        done
    done
}

# ---- older catalogues

@test "archive: one without digests is read as it is, and upgraded when changed" {
    need sqlite3
    make_old a
    at-archive list --json a | diff - <(at-archive list --json "$SHARED/archive")
    at-archive show --json a | diff - <(at-archive show --json "$SHARED/archive")
    [ "$(at-query --count a)" -eq "$(at-query --count "$SHARED/archive")" ]
    [ "$(sqlite3 a/catalog.sqlite 'PRAGMA user_version')" -eq 1 ]
    at-ingest -q a "$TEST_DATA/bittorrent.pcap.gz"
    [ "$(sqlite3 a/catalog.sqlite 'PRAGMA user_version')" -eq 2 ]
    cp -a "$SHARED/archive" new
    at-ingest -q new "$TEST_DATA/bittorrent.pcap.gz"
    diff <(sqlite3 a/catalog.sqlite 'SELECT name FROM sqlite_master ORDER BY 1') \
        <(sqlite3 new/catalog.sqlite 'SELECT name FROM sqlite_master ORDER BY 1')
    diff <(at-archive list --json a) <(at-archive list --json new)
    at-archive expire -q --max-size 1M a
    [ "$(at-archive show --json a | jq 'select(.stream == "total") |
        .gone_segments')" -gt 0 ]
    sqlite3 a/catalog.sqlite 'PRAGMA user_version = 3'
    run --separate-stderr at-archive list a
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == *'catalogue version 3; this program reads 1 to 2' ]]
}

@test "archive: one that knows nothing of datagrams learns it when changed" {
    need python3 sqlite3
    python3 "$TOP/test/fragments.py" make whole.pcap
    python3 "$TOP/test/fragments.py" cut whole.pcap 8 one.pcap two.pcap
    at-ingest -q --flush new one.pcap
    cp -a new old
    sqlite3 old/catalog.sqlite 'DROP TABLE open_datagram'
    rm old/catalog.sha256
    at-archive verify -q --deep old
    [ "$(at-query --count old)" -eq "$(at-query --count new)" ]
    not sqlite3 old/catalog.sqlite 'SELECT * FROM open_datagram'
    at-ingest -q --flush old two.pcap
    at-archive verify -q --deep old
    diff <(sqlite3 old/catalog.sqlite .schema | sort) \
        <(sqlite3 new/catalog.sqlite .schema | sort)
    # what it did not know is not known, and nothing else is other
    at-ingest -q --flush new two.pcap
    [ "$(at-query --count old)" -gt "$(at-query --count new)" ]
    [ "$(at-query --count -w x old)" -eq "$(at-query --count -w x whole.pcap)" ]
}

@test "archive: a damaged catalogue is not changed any more" {
    printf 'x' | dd of=a/catalog.sqlite bs=1 conv=notrunc seek=96 status=none
    run --separate-stderr at-ingest -q a "$TEST_DATA/bittorrent.pcap.gz"
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == *'catalog.sqlite: damaged'* ]]
    run at-archive expire -q --older-than 1d a
    [ "$status" -eq 1 ]
    [ "$(at-query --count a)" -eq "$(at-query --count "$SHARED/archive")" ]
}

@test "archive: an option that a verb does not have is a mistake" {
    for args in 'init --older-than 1d a' 'list --dry-run a' 'show --app a' \
        'expire a' 'expire --keep-index a' 'remove a' 'list a b' \
        'expire --older-than 0 a' 'expire --older-than soon a' \
        'expire --max-size lots a' 'remove --keep-index a'; do
        # shellcheck disable=SC2086 # several arguments
        run --separate-stderr at-archive $args
        [ "$status" -eq 2 ]
        [[ "${stderr_lines[0]}" == 'at-archive: '* ]]
    done
    same_contents a "$SHARED/archive"
}

# ---- verify

@test "archive: verify finds nothing wrong with what was written, --deep neither" {
    run --separate-stderr at-archive verify --deep a
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    one_message
    n=$(at-query --count -w x a | sed ':a; s/\B[0-9]\{3\}\>/,&/; ta')
    [[ "$stderr" == "at-archive: $n packets"*', all as written' ]]
    at-archive remove -q --keep-index --to 2026-03-01T12:00Z a
    at-archive verify -q --deep a
    for j in 1 3; do
        at-archive verify -q --deep -j $j "$SHARED/archive"
    done
    chmod -R a-w a
    at-archive verify -q --deep a
}

@test "archive: an index is the same, made of any input and of its segment" {
    i=0
    for f in "$TEST_DATA"/{http,vlan,fragments}.pcap "$TEST_DATA"/loss.pcap \
        "$TEST_DATA"/link.erf; do
        for to in erf pcap pcap-us pcapng; do
            at-convert -q -n 300 -F $to "$f" - >in.$to
            i=$((i + 1))
            at-ingest -q --flush --rotate 5s --stream s$i b in.$to
        done
    done
    for codec in gzip zstd xz bzip2 lz4; do
        at-ingest -q --flush --stream $codec -Z $codec b-$codec in.pcap
        at-archive verify -q --deep b-$codec
    done
    at-archive verify -q --deep b
    [ "$(at-archive list --json b | wc -l)" -ge $i ]
}

@test "archive: every flipped byte is found, and its file and place named" {
    need python3
    fast_build || skip 'takes too long under a sanitizer'
    at-convert -q -n 200 "$TEST_DATA/http.pcap" h.pcap
    at-convert -q -n 150 "$TEST_DATA/link.erf" l.erf
    at-convert -q -n 100 "$TEST_DATA/dns.pcap" d.pcap
    at-convert -q -n 100 "$TEST_DATA/ssh.pcap" s.pcap
    at-ingest -q --stream one --flush a1 h.pcap
    at-ingest -q --stream two a1 l.erf
    at-ingest -q --stream three a1 d.pcap
    at-archive remove -q --keep-index --stream three a1
    i=0
    for codec in gzip zstd xz bzip2 lz4; do
        i=$((i + 1))
        at-convert -q -n $((100 + i)) "$TEST_DATA/tls.pcap" t.pcap
        at-ingest -q --flush --stream is$codec -Z $codec a2 t.pcap
    done
    for archive in a1 a2; do
        mapfile -t files < <(cd $archive && find catalog.* segments pending -type f)
        tries=700 queries=70
        [ $archive = a1 ] || tries=300 queries=30
        run python3 "$TOP/test/flips.py" $tries $queries $archive "${files[@]}"
        echo "$output"
        [ "$status" -eq 0 ]
    done
}

@test "archive: verify tells what is wrong where" {
    need jq
    path=$(paths a | head -n 1)
    cp -a a whole
    damage() { # file offset: another byte
        printf '\x5a\xa5' | dd of="$1" bs=1 conv=notrunc seek="$2" status=none
    }
    expect() { # word...: each in the only message about it
        run --separate-stderr at-archive verify -q a
        [ "$status" -eq 1 ]
        for word; do
            [[ "$stderr" == *"$word"* ]] || { echo "$stderr" && return 1; }
        done
        rm -rf a
        cp -a whole a
    }
    damage "a/$path" 200000
    expect "at-archive: a/$path: damaged: " ', in block ' 'no gzip block is there'
    # A time in a header, which no reader looks at
    damage "a/$path" 4
    expect "a/$path: damaged: the header of the BGZF member at byte 0, in block 0; all packets can be read"
    truncate -s 300000 "a/$path"
    expect "a/$path: is of 300000 bytes"
    rm "a/$path"
    expect "a/$path: is not there"
    rm "a/$path.idx"
    expect "a/$path.idx: is not there"
    # A value in a row of a table that is as good as any other
    sqlite3 "a/$path.idx" 'UPDATE flow SET dport = dport + 1 WHERE id = 7'
    expect "a/$path.idx: damaged: "
    size=$(stat -c %s "a/$path.idx")
    damage "a/$path.idx" $((size - 100))
    expect "a/$path.idx: damaged: table " ", at byte $((size - 100))"
    sqlite3 a/catalog.sqlite 'UPDATE segment SET packets = packets + 1'
    expect 'a/catalog.sqlite: damaged: not what catalog.sha256 says' \
        "$path.idx: says "
    damage a/catalog.sha256 7
    expect 'a/catalog.sqlite: damaged'
    rm a/catalog.sha256
    run --separate-stderr at-archive verify a
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'without catalog.sha256'* ]]
    : >a/segments/stray.pcap.gz
    run --separate-stderr at-archive verify a
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'segments/stray.pcap.gz: not in the catalogue'* ]]
}

@test "archive: verify of segments by name, stream and time" {
    need jq
    path=$(paths a | tail -n 1)
    truncate -s 1000 "a/$path"
    at-archive verify -q a "$(paths a | head -n 1)"
    run at-archive verify -q a "$path"
    [ "$status" -eq 1 ]
    at-archive verify -q --to 2026-03-01T12:00Z a
    run at-archive verify -q --from 2026-03-01T12:00Z a
    [ "$status" -eq 1 ]
}

@test "archive: an index of an older version is not held against the packets" {
    need sqlite3 jq python3
    make_old a
    path=$(paths a | head -n 1)
    python3 "$TOP/test/old_index.py" 3 "a/$path.idx"
    sqlite3 a/catalog.sqlite "UPDATE segment SET index_bytes =
        $(stat -c %s "a/$path.idx") WHERE path = '$path'"
    run --separate-stderr at-archive verify --deep a
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"a/$path.idx: is of an older version"* ]]
}

@test "archive: verify while the archive is filled and emptied says nothing" {
    for ((i = 0; i < 40; i++)); do
        at-convert -q --from "@$(((177236638540 + i * 35) / 100)).$(
            printf %02d $(((40 + i * 35) % 100)))" --to +350ms \
            "$TEST_DATA/link.erf" $i.erf
    done
    (for ((i = 0; i < 40; i++)); do
        at-ingest -q --stream live --rotate 1s a $i.erf || exit
        at-archive expire -q --stream live --max-size 300k a || exit
    done) &
    n=0
    while kill -0 $! 2>/dev/null; do
        at-archive verify -q a
        n=$((n + 1))
    done
    wait $!
    [ "$n" -ge 5 ]
    at-archive verify -q --deep a
}

@test "archive: verify of an archive without digests" {
    need sqlite3
    make_old a
    run --separate-stderr at-archive verify --deep a
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'its digest is not known'* ]]
    path=$(paths a | head -n 1)
    printf 'xx' | dd of="a/$path" bs=1 conv=notrunc seek=200000 status=none
    run at-archive verify -q a
    [ "$status" -eq 1 ]
}

# ---- repair

# What repair says of an archive, and that it is whole afterwards
repaired() { # option... archive
    run --separate-stderr at-archive repair "$@"
    echo "$stderr"
    [ "$status" -eq 0 ]
    at-archive verify -q --deep "${@: -1}"
}

@test "archive: repair of one that is whole changes nothing" {
    repaired a
    [[ "$stderr" == *', nothing to repair' ]]
    same_contents a "$SHARED/archive"
    diff -r a "$SHARED/archive"
}

@test "archive: repair makes an index anew, the same" {
    need jq
    while read -r path; do
        rm "a/$path.idx"
    done < <(paths a)
    repaired a
    [[ "$stderr" == *'its index is made anew, as it was'* ]]
    same_contents a "$SHARED/archive"
    path=$(paths a | head -n 1)
    for at in 0 60 5000 30000; do
        printf '\x5a' | dd of="a/$path.idx" bs=1 conv=notrunc seek=$at status=none
        repaired a
        same_contents a "$SHARED/archive"
    done
    # One that another version has made
    sqlite3 "a/$path.idx" 'PRAGMA user_version = 1'
    repaired a
    same_contents a "$SHARED/archive"
}

@test "archive: repair makes an index with the datagrams of the segment before" {
    need python3 sqlite3
    python3 "$TOP/test/fragments.py" make whole.pcap
    at-ingest -q --flush --rotate 1000 new whole.pcap
    mapfile -t index < <(cd new && find . -name '*.idx' | sort)
    [ "${#index[@]}" -eq 3 ]
    at-archive verify -q --deep new
    for i in "${index[@]}"; do
        rm -rf a
        cp -a new a
        rm "a/$i"
        repaired a
        same_contents a new
    done
    # and from what a damaged one says of them
    n=$(sqlite3 "new/${index[0]}" 'SELECT count(*) FROM datagram')
    [ "$n" -gt 1 ]
    rm -rf a
    cp -a new a
    sqlite3 "a/${index[0]}" 'DELETE FROM host'
    repaired a
    same_contents a new
    for damage in 'UPDATE datagram SET first = first - 200000000000' \
        'UPDATE datagram SET first = -9223372036854775808'; do
        sqlite3 "a/${index[0]}" "$damage"
        run --separate-stderr at-query --count a 'ip[6:2] & 0x1fff != 0'
        [ "$status" -eq 1 ]
        repaired a
        same_contents a new
    done
}

@test "archive: repair leaves a damaged segment, and --salvage replaces it" {
    need jq
    path=$(paths a | head -n 1)
    all=$(at-archive show --json a "$path" | jq .packets)
    printf '\x5a\xa5' | dd of="a/$path" bs=1 conv=notrunc seek=200000 status=none
    cp "a/$path" damaged
    run --separate-stderr at-archive repair a
    [ "$status" -eq 1 ]
    left=$(sed -n 's/.*left as it is: \([0-9]*\) of .*/\1/p' <<<"$stderr")
    [ "$left" -gt 1000 ] && [ "$left" -lt "$all" ]
    cmp "a/$path" damaged
    repaired --salvage a
    cmp "a/aside/$path" damaged
    [ ! -e "a/$path" ]
    new=${path%.pcap.gz}-1.pcap.gz
    [ "$(at-archive show --json a "$new" | jq .packets)" -eq "$left" ]
    run --separate-stderr at-query --count -w x --to 2026-03-01T10:00Z a
    [ "$status" -eq 0 ]
    [ "$output" -eq "$left" ]
    [[ "$stderr" == "at-query: a: $((all - left)) packets from "* ]]
    # All of it is what salvage finds
    at-convert -q --salvage damaged want.pcap 2>words || [ $? -eq 1 ]
    diff <(records want.pcap) <(gzip -dc "a/$new" >got.pcap && records got.pcap)
}

@test "archive: repair --salvage keeps the flows of a segment that is lost" {
    need jq
    path=$(paths a | head -n 1)
    at-query --format csv a >flows
    rm "a/$path"
    run at-archive repair -q a
    [ "$status" -eq 1 ]
    repaired --salvage a
    at-query --format csv a 2>words | diff flows -
    [[ "$(cat words)" == *' are gone with 1 segment, '* ]]
    rm "a/$path.idx"
    run --separate-stderr at-archive repair a
    [ "$status" -eq 1 ]
    [[ "$stderr" == *'the packets are gone'* ]]
}

@test "archive: a byte that no packet depends on goes by salvage, and no packet" {
    need jq
    path=$(paths a | head -n 1)
    all=$(at-query --count -w x a)
    printf '\x5a' | dd of="a/$path" bs=1 conv=notrunc seek=5 status=none
    run at-archive repair -q a
    [ "$status" -eq 1 ]
    repaired --salvage a
    [ "$(at-query --count -w x a)" -eq "$all" ]
    zcat "a/${path%.pcap.gz}-1.pcap.gz" | cmp - <(zcat "$SHARED/archive/$path")
}

@test "archive: repair makes a lost catalogue anew of segments and indexes" {
    need jq
    at-archive list --json a >want
    at-query --format csv a >flows
    rm a/catalog.sqlite a/catalog.sha256
    run at-archive list a
    [ "$status" -eq 1 ]
    run --separate-stderr at-archive repair a
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'0 inputs are known'* ]]
    # Boundaries are those of hours, as they were.
    at-archive list --json a | diff want -
    at-query --format csv a | diff flows -
    at-archive verify -q --deep a
    diff <(at-archive show --json a "$(paths a | head -n 1)") \
        <(at-archive show --json "$SHARED/archive" "$(paths a | head -n 1)")
    # Even the names and indexes are gone in part
    rm a/catalog.sqlite "a/$(paths "$SHARED/archive" | head -n 1).idx"
    echo 'this is no trace' >a/pending/main-20260301T150000Z.erf.gz
    echo 'nor is this' >a/pending/notes
    run --separate-stderr at-archive repair a
    [ "$status" -eq 1 ]
    at-archive list --json a | diff want -
    [ -e a/aside/pending/main-20260301T150000Z.erf.gz ]
    [ -e a/aside/pending/notes ]
    repaired a
}

@test "archive: repair knows the segments of streams of any name" {
    at-ingest -q --flush --stream x.erf.pcap dots "$TEST_DATA/dns.pcap"
    at-ingest -q --flush --stream a-20260301T090000Z.b dots \
        "$TEST_DATA/link.erf"
    at-archive list --json dots >want
    rm dots/catalog.*
    run at-archive repair -q dots
    at-archive list --json dots | diff want -
    [ ! -e dots/aside ]
}

@test "archive: a damaged catalogue is made anew, with what can be read of it" {
    need jq
    at-archive remove -q --keep-index --to 2026-03-01T10:00Z a
    at-archive remove -q --from 2026-03-01T12:00Z --stream main a
    cp -a a whole
    at-archive list --json a >want
    size=$(stat -c %s a/catalog.sqlite)
    for at in 0 18 62 96 100 1000 4096 5000 $((size - 3000)) $((size - 1)); do
        rm -rf a
        cp -a whole a
        printf '\x7e' | dd of=a/catalog.sqlite bs=1 conv=notrunc seek=$at \
            status=none
        cmp -s a/catalog.sqlite whole/catalog.sqlite && continue
        run --separate-stderr at-archive repair a
        echo "$at: $stderr"
        [ "$status" -eq 0 ]
        [[ "$stderr" == *'catalog.sqlite: made anew of '* ]]
        at-archive verify -q a
        cmp a/aside/catalog.sqlite whole/catalog.sqlite && return 1
        at-archive list --json a | jq -c 'del(.removed, .start, .end)' >got
        jq -c 'del(.removed, .start, .end)' want | diff - got
        at-ingest -q a "$TEST_DATA/http.pcap" # does not crash on what is left
    done
    # Of one flipped byte inputs stay known as a rule.
    rm -rf a
    cp -a whole a
    printf '\x7e' | dd of=a/catalog.sha256 bs=1 conv=notrunc seek=9 status=none
    repaired a
    at-ingest -q a "$TEST_DATA"/*.pcap "$TEST_DATA/link.erf"
    at-archive list --json a | diff want -
}

@test "archive: repair tells of what nobody names, and sets it aside" {
    echo x >a/segments/2026/stray
    echo y >a/tmp/draft
    echo z >a/pending/nobody.erf.gz
    repaired a
    [[ "$stderr" == *'a/tmp/draft: removed: left by a process that was stopped'* ]]
    [[ "$stderr" == *'a/pending/nobody.erf.gz: removed: '* ]]
    [[ "$stderr" == *'a/segments/2026/stray: not in the catalogue: is in aside/ now'* ]]
    [ "$(cat a/aside/segments/2026/stray)" = x ]
    rm -r a/aside
    same_contents a "$SHARED/archive"
}

@test "archive: repair gives an old archive its digests" {
    need sqlite3
    make_old a
    repaired a
    [[ "$stderr" == *'its digests are known now'* ]]
    same_contents a "$SHARED/archive"
    run --separate-stderr at-archive verify a
    one_message
}

@test "archive: repair stopped before any system call goes on the next time" {
    need jq
    path=$(paths a | head -n 1)
    printf '\x5a\xa5' | dd of="a/$path" bs=1 conv=notrunc seek=200000 status=none
    rm "a/$(paths a | tail -n 1).idx"
    printf '\x7e' | dd of=a/catalog.sqlite bs=1 conv=notrunc seek=5000 status=none
    cp -a a broken
    at-archive repair -q --salvage a 2>words
    at-query -q --format csv a >want 2>words
    sed 's/, since.*//' words >gone
    at-archive list --json a | jq -c '[.stream, .first, .packets, .flows]' >list
    for how in exit once; do
        stopped=0
        for ((n = 1; n < 400; n += 4 + 3 * STEP)); do
            rm -rf a
            cp -a broken a
            status=0
            env LD_PRELOAD="$SHARED/failing.so" FAIL_HOW=$how FAIL_AT=$n \
                ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0" \
                at-archive repair -q --salvage a 2>words || status=$?
            [ "$status" -eq 0 ] || at-archive repair -q --salvage a 2>words
            at-archive verify -q --deep a
            at-query -q --format csv a 2>words | cmp - want
            sed 's/, since.*//' words | diff gone -
            at-archive list --json a |
                jq -c '[.stream, .first, .packets, .flows]' | diff list -
            [ "$status" -ne 0 ] && stopped=$n
            [ $((n - stopped)) -lt 40 ] || break
        done
        [ "$stopped" -ge 20 ]
    done
}
