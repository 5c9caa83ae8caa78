#!/usr/bin/env bats
# Real captures of other people, with what other tools say of them

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    need_corpus
}

captures() {
    awk -F '\t' '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == "file") file = i; next }
        { print $file }' "$CORPUS/MANIFEST.tsv"
}

@test "corpus: at-info agrees with the ground truth" {
    run python3 "$TOP/test/corpus-info.py" "$CORPUS" "$TOP/test/corpus-info.tsv"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "corpus: no file of any kind makes at-info crash" {
    cd "$CORPUS"
    captures | xargs -d '\n' -n 100 sh -c '
        at-info -q --json "$@" >/dev/null 2>&1
        [ $? -le 1 ] || { echo "status $?: $*"; exit 255; }' -
}

@test "corpus: no file of any kind makes at-convert crash" {
    # One process a file is slow, so under a sanitizer only every fifth.
    step=1
    fast_build || step=5
    cd "$CORPUS"
    captures | awk -v step=$step 'NR % step == 0' |
        xargs -d '\n' -P "$(nproc)" -n 20 sh -c '
        for f; do
            for to in erf pcap; do
                at-convert -q -j 2 -F $to "$f" - >/dev/null 2>&1
                s=$?
                [ $s -le 1 ] || { echo "status $s: $f to $to"; exit 255; }
            done
        done' -
}

@test "corpus: files that are no captures are refused, not crashed on" {
    find "$CORPUS" -maxdepth 2 -type f \( -name '*.tsv' -o -name '*.md' \
        -o -name '*.out' -o -name '*.yaml' -o -name '*.log' \) -print0 |
        head -z -n 300 | xargs -0 sh -c '
            at-info -q "$@" >/dev/null 2>&1
            [ $? -eq 1 ]' -
}

@test "corpus: verdicts on checksums are tshark's" {
    need tshark
    # those made for it, and every fiftieth of the others that are small
    {
        find "$CORPUS" -path '*chksum*' -name '*.pcap'
        find "$CORPUS/tcpdump" "$CORPUS/zeek" -name '*.pcap' -size -100k |
            sort | awk 'NR % 50 == 0'
    } >list
    [ "$(wc -l <list)" -gt 10 ]
    # what tshark decodes and we do not: other links, MACsec
    grep -vE 'nflog|macsec|e1000g' list | xargs -d '\n' \
        python3 "$TOP/test/checksums.py" >found || true
    cat found
    [ ! -s found ]
}
