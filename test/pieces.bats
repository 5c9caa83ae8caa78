#!/usr/bin/env bats
# at-query -w into many files, and comments that say where packets are from

# shellcheck disable=SC1083 # fields of names, not braces of the shell

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    DATA=$TEST_DATA
}

# The comments of a pcapng file, a line each.
comments() { # file
    tshark -r "$1" -T fields -e frame.comment 2>/dev/null
}

# Whether each packet of a pcapng file is where its comment says.
check_origins() { # file
    at-convert -q "$1" plain.pcap
    comments "$1" >said
    python3 - plain.pcap said <<'END_OF'
import bz2, gzip, lzma, os, re, struct, subprocess, sys
from records import records
held = {}
def content(path):
    if path not in held:
        data = open(path, "rb").read()
        if data[:4] == b"\x28\xb5\x2f\xfd":
            data = subprocess.run(["zstd", "-dcq", path], check=True,
                                  stdout=subprocess.PIPE).stdout
        elif data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        held[path] = data
    return held[path]
packets, lines = list(records(sys.argv[1])), open(sys.argv[2]).read().splitlines()
assert len(packets) == len(lines) > 0
seen = set()
for (ns, frame, wire), line in zip(packets, lines):
    m = re.fullmatch(r"(?:file=(.*)|archive=(.*) segment=(.*)) offset=(\d+) query=(.*)", line)
    path = m[1] or os.path.join(m[2], m[3])
    data, at = content(path), int(m[4])
    assert (path, at) not in seen
    seen.add((path, at))
    if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        cap, length = struct.unpack_from("<II", data, at + 8)
        at += 16
    elif data[:4] == b"\x0a\x0d\x0d\x0a":
        cap, length = struct.unpack_from("<II", data, at + 20)
        at += 28
    else:
        cap, length = len(frame), struct.unpack_from(">H", data, at + 14)[0]
        at += 18
    assert (cap, length) == (len(frame), wire), line
    assert data[at:at + cap] == frame, line
print(*sorted(set(re.sub(" offset=.*query=", " query=", l) for l in lines)), sep="\n")
END_OF
}

@test "provenance: each packet is where its comment says, in files" {
    need tshark zstd
    at-convert -q "$DATA/http.pcap" a.erf
    at-convert -q "$DATA/http.pcap" b.pcap.gz
    at-convert -q "$DATA/http.pcap" c.pcap.zst
    at-convert -q "$DATA/http.pcap" d.pcapng
    gzip -c "$DATA/http.pcap" >e.pcap.gz
    cp b.pcap.gz f.pcap.gz
    cp e.pcap.gz g.pcap.gz
    at-index -q f.pcap.gz g.pcap.gz
    for in in "$DATA/http.pcap" a.erf b.pcap.gz c.pcap.zst d.pcapng e.pcap.gz \
        f.pcap.gz g.pcap.gz; do
        for expr in 'host 192.0.2.10 and tcp' 'app http'; do
            at-query -q --provenance -w out.pcapng "$in" "$expr"
            [ "$(check_origins out.pcapng)" = "file=$in query=$expr" ] ||
                { echo "$in"; check_origins out.pcapng; false; }
            # nothing else is different
            at-query -q -w want.pcapng "$in" "$expr"
            at-convert -q want.pcapng want.pcap
            diff <(records plain.pcap) <(records want.pcap)
        done
    done
    at-query -q --provenance -w - -F pcapng - <a.erf >out.pcapng
    [ "$(comments out.pcapng | head -n 1)" = 'file=- offset=0 query=' ]
}

@test "provenance: archives and their segments, over all of them" {
    need tshark
    at-ingest -q --rotate 20k --flush day "$DATA/http.pcap" "$DATA/lan.pcap"
    at-query -q --provenance -w out.pcapng day "$DATA/icmp.pcap" 'ip or arp'
    check_origins out.pcapng >got
    [ "$(grep -c '^archive=day segment=segments/.* query=ip or arp$' got)" -gt 3 ]
    [ "$(grep -vc '^archive=day' got)" -eq 1 ]
    # the comment of a packet stays with it, also beside one of its own
    at-query -q --provenance -w again.pcapng out.pcapng 'icmp or arp'
    comments again.pcapng >said
    [ "$(grep -c 'query=ip or arp,file=out.pcapng offset=[0-9]* query=icmp or arp$' said)" \
        -eq "$(wc -l <said)" ]
    [ -s said ]
}

@test "provenance: only where there is a place for it" {
    for args in '-w x.pcap' '-w x.erf' '-w - -F pcap' ''; do
        # shellcheck disable=SC2086
        run --separate-stderr at-query --provenance $args "$DATA/dns.pcap"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
    done
    [ -z "$(find . -name 'x*')" ]
}

# ---- pieces --------------------------------------------------------------

@test "pieces: those of at-split, also out of an archive" {
    at-ingest -q --rotate 20k --flush day "$DATA/mail-ntp-ftp.pcap"
    at-ingest -q --flush tagged "$DATA/vlan.pcap"
    at-ingest -q --flush cut "$DATA/fragments.pcap"
    for by in host flow app; do
        for in in day:mail-ntp-ftp tagged:vlan cut:fragments; do
            rm -rf want got
            at-split -q --by $by -o want/{key}.pcap "$DATA/${in#*:}.pcap"
            for from in "${in%:*}" "$DATA/${in#*:}.pcap"; do
                rm -rf got
                at-query -q --by $by -w got/{key}.pcap "$from"
                diff <(cd got && ls) <(cd want && ls)
                for f in got/*; do
                    diff <(records "$f") <(records "want/${f#got/}") ||
                        { echo "$by $from $f"; false; }
                done
            done
        done
    done
}

@test "pieces: of the packets that match, together the answer" {
    for by in host flow app; do
        rm -rf got one
        at-query --by $by -w 'got/%Y/{key}.erf.gz' "$DATA/lan.pcap" \
            'udp or app dns' 2>said
        grep -q ', [0-9]* pieces$' said
        at-query -q -w want.erf "$DATA/lan.pcap" 'udp or app dns'
        [ "$(find got -type f | wc -l)" -gt 1 ]
        at-merge -q -o all.erf got/*/*.erf.gz
        diff <(records all.erf | sort -u) <(records want.erf | sort -u)
        for j in 1 2 3 8; do
            rm -rf one
            at-query -q -j $j --by $by -w 'one/%Y/{key}.erf.gz' \
                "$DATA/lan.pcap" 'udp or app dns'
            diff -r got one
        done
    done
    at-query -q --by app -w 'named/{stream}-{n}-{key}.pcap' "$DATA/lan.pcap" icmp
    [ "$(ls named)" = lan-00001-icmp.pcap ]
    run at-query -q --by app -w got/all.pcap "$DATA/lan.pcap" 'port 1 and port 2'
    [ "$status" -eq 0 ]
    [ ! -e got/all.pcap ]
}

@test "pieces: more than files may be open, each with its provenance" {
    need tshark
    "$SYNTH" -n 5000 --snap 94 --flows-packets 5 a.erf
    (ulimit -n 60; at-query -q --by flow --provenance -w o/{n}.pcapng a.erf)
    [ "$(find o -type f | wc -l)" -gt 500 ]
    at-merge -q -o all.erf o/*
    diff <(records all.erf | sort) <(records a.erf | sort)
    for f in o/00001.pcapng o/00100.pcapng o/00400.pcapng; do
        [ "$(check_origins "$f")" = 'file=a.erf query=' ]
    done
    no_leftovers
}

@test "pieces: what is there stays, and so does the input" {
    cp "$DATA/dns.pcap" x-dns.pcap
    run at-query -q --by app -w x-{key}.pcap x-dns.pcap 'app dns'
    [ "$status" -eq 1 ]
    [[ "$output" == *'x-dns.pcap: is both input and output' ]]
    cmp x-dns.pcap "$DATA/dns.pcap"
    at-query -q --by app -w o-{key}.pcap x-dns.pcap 'app dns'
    run at-query -q --by app -w o-{key}.pcap x-dns.pcap 'app dns'
    [ "$status" -eq 1 ]
    [[ "$output" == *'o-dns.pcap: is there already; --overwrite replaces it' ]]
    at-query -q --by app --overwrite -w o-{key}.pcap x-dns.pcap 'app dns and udp'
    at-query -q -w want.pcap x-dns.pcap 'app dns and udp'
    diff <(records o-dns.pcap) <(records want.pcap)
    no_leftovers
}

@test "pieces: mistakes on the command line" {
    for args in '--by app' '--by color -w x' '--by app -w -' '--by flow -w x/' \
        '--by host -w x-{m}' '--by app --count -w x' '--overwrite -w x' \
        '--by flow --context 1s -w x'; do
        # shellcheck disable=SC2086
        run --separate-stderr at-query $args "$DATA/dns.pcap"
        [ "$status" -eq 2 ] || { echo "$args: $status"; false; }
        [ -z "$output" ]
    done
    [ -z "$(find . -name 'x*')" ]
}

@test "pieces: a damaged input gives its beginning, and that is an error" {
    at-convert -q "$DATA/http.pcap" x.erf
    head -c 50000 x.erf >cut.erf
    run --separate-stderr at-query -q --by host -w o/{key}.erf cut.erf tcp
    [ "$status" -eq 1 ]
    [ "$(find o -type f | wc -l)" -gt 1 ]
    run at-query -q --by host -w /dev/full/{key}.erf x.erf
    [ "$status" -eq 1 ]
}
