#!/usr/bin/env bats
# Archives that can be shown to others: at-ingest --anon, at-archive anonymise

setup_file() {
    load helpers
    cd "$BATS_FILE_TMPDIR" || return
    at-anon --new-key key >id
    at-anon --new-key other >other.id
}

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    SHARED=$BATS_FILE_TMPDIR
    KEY=$SHARED/key
}

# Flows without the column of the stream
flows() { # archive or file, expression...
    at-query -q --format csv "$@" | sed 's/,[^,]*$//'
}

# What of an archive must not depend on how it came to be
contents() { # archive
    (cd "$1" && find segments pending -type f -exec sha256sum {} + | sort -k 2)
    at-archive list --json "$1"
}

@test "anon archive: at-ingest --anon takes in what at-anon writes" {
    for policy in headers caida mawi waikato strict; do
        for f in "$TEST_DATA"/{ipv6,vlan,icmp}.pcap "$TEST_DATA/link.erf"; do
            rm -rf a
            to=${f##*.}
            at-anon -q --policy $policy --key "$KEY" "$f" want."$to"
            at-ingest -q --anon $policy --key "$KEY" a "$f"
            at-archive verify -q --deep a
            at-query -q -F "$to" -w got."$to" a
            diff <(records want."$to" | sort) <(records got."$to" | sort)
            diff <(flows want."$to" | sort) <(flows a | sort)
        done
    done
}

@test "anon archive: what threads have in hand while a segment is taken up" {
    "$SYNTH" -n 100k --snap 96 --rate 1k all.erf
    at-convert -q -n 20000 all.erf one.erf
    # the last packet is in both: no matter, of both runs
    last=$(at-info --json one.erf | jq -r .last)
    at-convert -q --from "@${last%?????????}.${last: -9}" all.erf two.erf
    for f in one two; do
        at-ingest -q --anon headers --key "$KEY" -j 4 many $f.erf
    done
    at-ingest -q --flush --anon headers --key "$KEY" many
    at-ingest -q --flush --anon headers --key "$KEY" -j 1 once one.erf two.erf
    diff <(contents once) <(contents many)
}

@test "anon archive: any number of threads and of runs gives the same" {
    at-convert -q -n 600 "$TEST_DATA/http.pcap" one.pcap
    at-convert -q --from "$(at-info --json one.pcap | jq -r '"@" + (.last |
        tonumber + 1 | tostring | .[:-9] + "." + .[-9:])')" \
        "$TEST_DATA/http.pcap" two.pcap
    at-ingest -q --rotate 20k --anon headers --key "$KEY" -j 1 a1 one.pcap two.pcap
    at-ingest -q --rotate 20k --anon headers --key "$KEY" -j 4 a4 one.pcap two.pcap
    at-ingest -q --rotate 20k --anon headers --key "$KEY" many one.pcap
    at-ingest -q --rotate 20k --anon headers --key "$KEY" many two.pcap
    [ "$(at-archive list --json a1 | wc -l)" -gt 2 ]
    diff <(contents a1) <(contents a4)
    diff <(contents a1) <(contents many)
    run --separate-stderr at-ingest -v --anon headers --key "$KEY" many one.pcap
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'one.pcap: is in the archive already'* ]]
}

@test "anon archive: no original address is left, nor the name of an input" {
    for f in "$TEST_DATA"/{http,ipv6,icmp,dns}.pcap; do
        rm -rf a
        cp "$f" secret-name.pcap
        at-ingest -q --flush --anon headers --key "$KEY" a secret-name.pcap
        segment=$(find a/segments -name '*.pcap.gz')
        at-anon -q --policy headers --key "$KEY" --audit-only "$f" "$segment"
        grep -rqa secret-name a && return 1
        # Addresses of the index are those of the packets that are there.
        at-index -q -o new.idx "$segment"
        diff <(sqlite3 "$segment.idx" 'SELECT hex(addr) FROM host') \
            <(sqlite3 new.idx 'SELECT hex(addr) FROM host')
    done
}

@test "anon archive: what a stream is anonymised with goes for all of it" {
    at-ingest -q --anon headers --key "$KEY" a "$TEST_DATA/http.pcap"
    cp -a a whole
    for args in '' "--anon headers --key $SHARED/other" \
        "--anon strict --key $KEY"; do
        # shellcheck disable=SC2086 # several arguments
        run --separate-stderr at-ingest -q $args a "$TEST_DATA/dns.pcap"
        [ "$status" -eq 1 ]
        one_message
        [[ "$stderr" == *'the stream main is anonymised'* ]]
        diff -r a whole
    done
    # A stream of its own, as it is
    at-ingest -q --stream plain a "$TEST_DATA/dns.pcap"
    run --separate-stderr at-ingest -q --stream plain --anon headers \
        --key "$KEY" a "$TEST_DATA/ssh.pcap"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *'holds packets that were not anonymised' ]]
    [ "$(at-archive show --json a | jq -r 'select(.stream == "main") | .key')" = \
        "$(cat "$SHARED/id")" ]
    [ "$(at-archive show --json a | jq 'select(.stream == "plain") | .key')" = null ]
    [[ "$(at-archive show a)" == *"main is anonymised with key $(cat "$SHARED/id")"* ]]
    # To seal what is there takes no key.
    at-ingest -q --flush a
    # A catalogue made anew knows it still.
    printf 'x' | dd of=a/catalog.sqlite bs=1 conv=notrunc seek=96 status=none
    at-archive repair -q a 2>words
    run at-ingest -q a "$TEST_DATA/dns.pcap"
    [ "$status" -eq 1 ]
}

@test "anon archive: anonymise: the answers are those of the original, anonymised" {
    need jq
    at-ingest -q --flush --rotate 1h src "$TEST_DATA"/*.pcap
    at-ingest -q --flush --rotate 200k --stream erf src "$TEST_DATA/link.erf"
    at-archive anonymise -q --policy headers --key "$KEY" src dst
    at-archive verify -q --deep dst
    # Segments are as they were but for what was cut off.
    for a in src dst; do
        at-archive list --json $a | jq -c \
            '[.stream, .path, .state, .start, .end, .first, .last, .packets,
                .flows]' >$a.list
    done
    diff src.list dst.list
    # Packets and flows are those that at-anon makes of the original.
    for stream in main erf; do
        at-query -q -F erf -w src.erf src "stream $stream"
        at-anon -q --policy headers --key "$KEY" src.erf want.erf
        at-query -q -F erf -w got.erf dst "stream $stream"
        diff <(records want.erf | sort) <(records got.erf | sort)
        diff <(flows want.erf | sort) <(flows dst "stream $stream" | sort)
    done
    # So are answers about an address.
    [ "$(at-query --count src host 192.0.2.10)" -gt 10 ]
    host=$(paste -d, <(flows src | cut -d, -f1-5) <(flows dst | cut -d, -f1-5) |
        awk -F, '$5 == "192.0.2.10" { print $10; exit }')
    [ "$(at-query --count dst host "$host")" -eq \
        "$(at-query --count src host 192.0.2.10)" ]
    [ "$(at-query --count dst tcp and port 80)" -eq \
        "$(at-query --count src tcp and port 80)" ]
    # Again adds nothing; another key is refused.
    cp -a dst before
    at-archive anonymise -q --policy headers --key "$KEY" src dst
    diff -r dst before
    run --separate-stderr at-archive anonymise -q --policy headers \
        --key "$SHARED/other" src dst
    [ "$status" -eq 1 ]
    diff -r dst before
}

@test "anon archive: anonymise of a part, and of what is gone or damaged" {
    need jq
    at-ingest -q src "$TEST_DATA"/*.pcap
    at-archive anonymise -q --policy strict --key "$KEY" --to 2026-03-01T10:00Z \
        src part
    [ "$(at-archive list --json part | wc -l)" -eq 1 ]
    at-archive remove -q --keep-index --to 2026-03-01T10:00Z src
    path=$(at-archive list --json src | jq -r 'select(.state == "sealed") |
        .path' | head -n 1)
    printf '\x5a\xa5' | dd of="src/$path" bs=1 conv=notrunc seek=100000 status=none
    run --separate-stderr at-archive anonymise --policy headers --key "$KEY" src dst
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"src/$path"* ]]
    [[ "$stderr" == *'1 segment left out: their packets are gone'* ]]
    [[ "$stderr" == *'1 segment left out until sealed'* ]]
    at-archive verify -q --deep dst
    [ "$(at-archive list --json dst | wc -l)" -eq \
        $(($(at-archive list --json src | wc -l) - 2)) ]
    at-ingest -q --flush src
    run --separate-stderr at-archive anonymise -q --policy headers --key "$KEY" \
        src dst
    [ "$(at-archive list --json dst | wc -l)" -eq \
        $(($(at-archive list --json src | wc -l) - 1)) ]
}

@test "anon archive: anonymise that was killed is gone on with" {
    at-ingest -q --flush --rotate 3s src "$TEST_DATA/link.erf"
    at-archive anonymise -q --policy headers --key "$KEY" src want
    for delay in 0.02 0.05 0.1 0.2; do
        rm -rf dst
        timeout -s KILL $delay at-archive anonymise -q --policy headers \
            --key "$KEY" src dst || true
        at-archive anonymise -q --policy headers --key "$KEY" src dst
        diff <(contents want) <(contents dst)
    done
}

@test "anon archive: wrong use is exit 2 and makes no archive" {
    at-ingest -q src "$TEST_DATA/http.pcap"
    for args in "at-ingest --key $KEY a src" 'at-ingest --anon headers a src' \
        "at-ingest --scheme none a src" 'at-archive anonymise src' \
        'at-archive anonymise --policy headers src dst' \
        "at-archive anonymise --key $KEY src src" \
        "at-archive anonymise --key $KEY src dst more" \
        "at-archive list --key $KEY src"; do
        # shellcheck disable=SC2086 # several arguments
        run --separate-stderr $args
        [ "$status" -eq 2 ]
        [ ! -e a ]
        [ ! -e dst ]
    done
}
