#!/usr/bin/env bats
# Inputs as people name them: files, directories, patterns, lists.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p spool/2026/03 spool/.hidden
    cp "$TEST_DATA/lan.pcap" spool/b.pcap
    cp "$TEST_DATA/dns.pcap" spool/2026/03/a.pcap
    cp "$TEST_DATA/icmp.pcap" spool/.hidden/h.pcap
    cp "$TEST_DATA/icmp.pcap" spool/.h.pcap
    cp "$TEST_DATA/icmp.pcap" spool/half.pcap.part
}

count() { # input...
    at-info -c "$@" | awk '{ n += $1 } END { print n, NR }'
}

@test "inputs: a directory is the files in it, at any depth, by name" {
    at-index -q spool/b.pcap
    run at-info -c spool
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    [[ ${lines[0]} == *spool/2026/03/a.pcap ]]
    [[ ${lines[1]} == *spool/b.pcap ]]
}

@test "inputs: an archive in a directory is left alone, and none by itself" {
    at-ingest -q spool/archive "$TEST_DATA/dns.pcap"
    [ "$(count spool)" = "$(count spool/b.pcap spool/2026)" ]
    run at-convert spool/archive out.pcap
    [ "$status" -eq 1 ]
    [[ $output == *'is an archive, which at-query reads'* ]]
}

@test "inputs: a pattern is what matches it, unless a file has that name" {
    [ "$(count 'spool/*.pcap')" = "$(count spool/b.pcap)" ]
    cp spool/b.pcap 'a[1].pcap'
    [ "$(count 'a[1].pcap')" = "$(count spool/b.pcap)" ]
    run at-info -c 'no*thing'
    [ "$status" -eq 1 ]
    [ "$output" = \
        'at-info: no*thing: cannot open: No such file or directory' ]
}

@test "inputs: a list has names on lines, or ended by NUL" {
    printf 'spool/b.pcap\n\nspool/2026\n' >list
    [ "$(count @list)" = "$(count spool)" ]
    printf 'spool/b.pcap\nspool/2026' >list
    [ "$(count @list)" = "$(count spool)" ]
    cp spool/b.pcap $'new\nline.pcap'
    printf 'new\nline.pcap\0spool/2026\0' >list
    [ "$(count @list | cut -d' ' -f1)" = "$(count spool | cut -d' ' -f1)" ]
    [ "$(find spool/b.pcap spool/2026 -type f -print0 | count @-)" = \
        "$(count spool)" ]
    run at-info @missing
    [ "$status" -eq 1 ]
    [[ $output == 'at-info: missing: cannot read: '* ]]
}

@test "inputs: a list in a list is not read, however often it names itself" {
    echo @list >list
    run at-info @list
    [ "$status" -eq 1 ]
    [[ $output == 'at-info: @list: '* ]]
}

@test "inputs: links that go round in a circle are met once" {
    ln -s .. spool/2026/up
    ln -s ../b.pcap spool/2026/link.pcap
    ln -s nowhere spool/2026/dead.pcap
    run at-info -c spool
    [ "$status" -eq 0 ]
    [ "$(grep -c 'link.pcap' <<<"$output")" -eq 1 ]
    [[ $output != *dead* ]]
}

@test "inputs: a directory without files is said" {
    mkdir empty
    for tool in at-info at-dump; do
        run "$tool" empty
        [ "$status" -eq 1 ]
        [ "$output" = "$tool: empty: no file is in it" ]
    done
}

@test "inputs: all tools that read packets take them" {
    at-convert -q spool all.pcap
    [ "$(count all.pcap)" = "$(count "$(pwd)"/spool | cut -d' ' -f1) 1" ]
    [ "$(at-dump -b 'spool/*.pcap' spool/2026 | wc -l)" -eq \
        "$(count spool | cut -d' ' -f1)" ]
    at-index -q spool
    [ -e spool/b.pcap.idx ]
    [ -e spool/2026/03/a.pcap.idx ]
    at-ingest -q --settle 0s archive spool
    [ "$(at-query -q --count -w - archive '')" = \
        "$(count spool | cut -d' ' -f1)" ]
}

@test "inputs: hundreds of files side by side take little memory" {
    fast_build || skip 'about memory'
    need /usr/bin/time
    mkdir many
    for i in $(seq 300); do
        cp "$TEST_DATA/http.pcap" "many/$i.pcap"
    done
    /usr/bin/time -f %M -o kib at-convert -q -j 2 many many.pcap
    [ "$(count many.pcap)" = "$((300 * 1090)) 1" ]
    echo "$(cat kib) KiB"
    [ "$(cat kib)" -lt 200000 ]
}

@test "inputs: at-query reads directories, patterns and lists, and the archives in them" {
    at-query -q -w want.pcap spool/b.pcap spool/2026/03/a.pcap
    echo spool/b.pcap >list
    echo spool/2026 >>list
    at-query -q -w got.pcap spool
    diff <(records got.pcap) <(records want.pcap)
    at-query -q -w got.pcap @list 'ip or not ip'
    diff <(records got.pcap) <(records want.pcap)
    diff <(at-query -q --format csv 'spool/*.pcap' port 53) \
        <(at-query -q --format csv spool/b.pcap port 53)
    at-ingest -q spool/archive "$TEST_DATA/icmp.pcap"
    at-query -q -w want.pcap spool/archive spool/b.pcap spool/2026/03/a.pcap
    at-query -q -w got.pcap spool
    diff <(records got.pcap) <(records want.pcap)
    at-query -q -w got.pcap 'spoo*'
    diff <(records got.pcap) <(records want.pcap)
    mkdir empty
    run at-query empty
    [ "$status" -eq 1 ]
    [[ $output == 'at-query: empty: no file is in it' ]]
}

@test "inputs: an archive that a pattern or a list names is none either" {
    at-ingest -q spool/archive "$TEST_DATA/dns.pcap"
    echo spool/archive >list
    for input in @list 'spool/arch*'; do
        run at-convert "$input" out.pcap
        [ "$status" -eq 1 ]
        [[ $output == 'at-convert: spool/archive: is an archive, which at-query reads' ]]
    done
}
