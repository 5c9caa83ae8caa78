#!/usr/bin/env bats
# ERF of kinds that no public capture has, from bytes by hand; and all of the
# corpus's that there are, against libtrace

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    python3 "$TOP/test/erf_golden.py" . >golden.txt
    [ "$(wc -l <golden.txt)" -gt 30 ]
}

# Runs the function for each line of golden.txt whose 'how' is as given, with
# the fields as variables; the option that reads the file is in $reads.
each() { # how-pattern function
    local name how packets captured wire losses streams links meta pad more
    local reads n=0
    while read -r name how packets captured wire losses streams links meta \
        pad more; do
        # shellcheck disable=SC2053 # a pattern is meant
        [[ $how == $1 ]] || continue
        reads=
        [ "$how" = found ] || reads='-I erf'
        "$2" || { echo "$name: $2"; return 1; }
        n=$((n + 1))
    done <golden.txt
    [ "$n" -gt 0 ]
}

# ---- reading -------------------------------------------------------------

read_as_expected() {
    # shellcheck disable=SC2086 # words are meant
    at-info --json $reads "$name.erf" >info.json
    grep -qF "\"format\":\"erf\",\"codec\":\"none\",\"linktypes\":$links" \
        info.json &&
        grep -qF "\"packets\":$packets,\"captured_bytes\":$captured," \
            info.json &&
        grep -qF "\"wire_bytes\":$wire," info.json &&
        grep -qF "\"losses\":$losses,\"streams\":$streams," info.json &&
        grep -qF "\"meta_records\":$meta,\"pad_records\":$pad" info.json ||
        { cat info.json; return 1; }
}

@test "erf: every kind of record is read as it was made" {
    each found read_as_expected
    each said read_as_expected
}

refused() {
    run --separate-stderr at-info "$name.erf"
    [ "$status" -eq 1 ]
    [ "$stderr" = "at-info: $name.erf: not a trace: neither ERF, pcap nor pcapng" ]
}

@test "erf: a file that begins with a type that there is not is no ERF" {
    each said refused
}

bad_at() {
    run --separate-stderr at-info --json "$name.erf"
    [ "$status" -eq 1 ]
    [ "$stderr" = "at-info: $name.erf: damaged: no ERF record can begin as at \
byte ${how#bad@}" ]
    [[ "$output" == *"\"packets\":$packets,"* ]]
    run at-convert -q "$name.erf" whole.erf
    [ "$status" -eq 1 ]
    head -c "${how#bad@}" "$name.erf" | cmp - whole.erf
}

@test "erf: what came before a record that cannot be is kept" {
    each 'bad@*' bad_at
}

@test "erf: interfaces 4 to 7, where they are asked for" {
    at-info --json reserved-flags.erf >four.json
    at-info --json --erf-interfaces 8 reserved-flags.erf >eight.json
    grep -qF '"streams":1,' four.json
    grep -qF '"streams":2,' eight.json
    for tool in at-info at-convert; do
        run --separate-stderr $tool --erf-interfaces 5 pad.erf x.erf
        [ "$status" -eq 2 ]
        [[ "${stderr_lines[0]}" == *"'5' is none of 4|8" ]]
    done
    at-convert -q --erf-interfaces 8 reserved-flags.erf same.erf
    cmp reserved-flags.erf same.erf
}

# ---- ERF to ERF ----------------------------------------------------------

same_bytes() {
    local j
    for j in 1 2 3; do
        # shellcheck disable=SC2086
        at-convert -q -j $j $reads "$name.erf" same.erf &&
            cmp "$name.erf" same.erf &&
            at-convert -q -j $j $reads "$name.erf" same.erf.gz &&
            zcat same.erf.gz | cmp - "$name.erf" &&
            at-convert -q -j $j $reads same.erf.gz again.erf &&
            cmp "$name.erf" again.erf || return
    done
}

@test "erf: to ERF no byte changes, plain and BGZF, with 1, 2 and 3 threads" {
    # not by time: theirs jump, and one input keeps its order
    each found same_bytes
    each said same_bytes
}

# ---- ERF to pcap ---------------------------------------------------------

# Lines of losses in words: "N what", one each; $1 is the count.
expect() { # n singular plural
    [ "$1" -eq 0 ] || {
        [ "$1" -eq 1 ] && echo "at-convert: x.pcap: 1 $2 cannot be held by pcap" ||
            echo "at-convert: x.pcap: $1 $3 cannot be held by pcap"
    }
}

says_losses() {
    local facts
    [[ $links == '[1]' || $links == '[104]' || $links == '[50]' ]] || return 0
    [ "$name" != interfaces ] || return 0 # at-convert.bats has it
    facts=$(
        counts=$(python3 - "$name.erf" <<'END'
import struct, sys
data, at, n = open(sys.argv[1], "rb").read(), 0, 0
while at < len(data):
    kind, rlen = data[at + 8] & 0x7f, struct.unpack_from(">H", data, at + 10)[0]
    n += kind not in (10, 11, 15, 16, 17, 19, 20, 27, 48) and data[
        at + 12:at + 14] != b"\0\0"
    at += rlen
print(n)
END
        )
        expect "$counts" 'count of lost packets' 'counts of lost packets'
        expect "$more" \
            'record with extension headers, flags, options or a colour' \
            'records with extension headers, flags, options or a colour'
        expect $((meta + pad)) 'META or PAD record' 'META or PAD records'
    )
    # shellcheck disable=SC2086
    run --separate-stderr at-convert $reads "$name.erf" x.pcap
    [ "$status" -eq 0 ] &&
        [ "$(grep -v ' in [0-9.]* s (' <<<"$stderr")" = "$facts" ] || {
        printf '%s\nwanted:\n%s\n' "$stderr" "$facts"
        return 1
    }
    [ "$(at-info -c x.pcap | cut -f 1)" -eq "$packets" ] || return
    rm -f y.pcap
    # shellcheck disable=SC2086
    run at-convert -q --strict $reads "$name.erf" y.pcap
    if [ -n "$facts" ]; then
        [ "$status" -eq 1 ] && [ ! -e y.pcap ]
    else
        [ "$status" -eq 0 ] && cmp x.pcap y.pcap
    fi
}

@test "erf: to pcap the losses are counted, and --strict refuses them" {
    each found says_losses
    no_leftovers
}

as_frames() {
    at-convert -q -I erf "$name.erf" frames.pcap &&
        [[ $(at-info --json frames.pcap) == *'"linktypes":[197]'* ]] &&
        at-convert -q frames.pcap back.erf && cmp "$name.erf" back.erf
}

@test "erf: records without a link type go through pcap whole" {
    each said as_frames
}

@test "erf: frames in pcap are what Wireshark sees in ERF" {
    need tshark
    # of those that Wireshark takes for ERF
    for name in trunc rxerror dserror interfaces unaligned fixed-slots channels; do
        at-convert -q "$name.erf" x.pcap
        tshark -nr "$name.erf" -T fields -e frame.len -e frame.cap_len \
            2>/dev/null >theirs.txt
        tshark -nr x.pcap -T fields -e frame.len -e frame.cap_len \
            2>/dev/null >ours.txt
        [ "$(wc -l <ours.txt)" -gt 1 ]
        diff theirs.txt ours.txt
    done
}

# ---- without a mark ------------------------------------------------------

@test "erf: formats without a mark are read by -I and not written" {
    for format in tsh legacyatm legacypos legacyeth; do
        run --separate-stderr at-convert -F $format lctr.erf x
        [ "$status" -eq 2 ]
        [[ "${stderr_lines[0]}" == *"'$format'"* ]]
        [ ! -e x ]
    done
    run --separate-stderr at-info -I tshh lctr.erf
    [ "$status" -eq 2 ]
    run --separate-stderr at-info -I pcap lctr.erf
    [ "$status" -eq 1 ]
    [ "$stderr" = "at-info: lctr.erf: not pcap" ]
    run --separate-stderr at-info -I tsh lctr.erf
    [ "$status" -eq 1 ]
    [ "$stderr" = "at-info: lctr.erf: not tsh" ]
    at-info -I pcap "$TEST_DATA/dns.pcap" | cmp - <(at-info "$TEST_DATA/dns.pcap")
}

tsh_file() {
    python3 - <<'END'
import struct, sys
for i in range(300):
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 40 + i, i, 0, 64, 6, 0,
                     0x0a000001 + i % 2, 0x0a000002 - i % 2)
    tcp = struct.pack(">HHIIBBH", 1000 + i % 2, 1001 - i % 2, i, i, 0x50, 16, 9)
    sys.stdout.buffer.write(struct.pack(">II", 1700000000 + i, i % 3 << 24 | i)
                            + ip + tcp)
END
}

@test "erf: TSH through every tool that reads packets" {
    tsh_file >x.tsh
    [ "$(at-info -c -I tsh x.tsh)" = '300	x.tsh' ]
    at-convert -q -I tsh x.tsh x.pcap
    at-convert -q -I tsh x.tsh x.erf
    at-diff -q --ignore linktype x.pcap x.erf # raw IP is IPv4 in ERF
    [ "$(tshark -nr x.pcap -Y 'tcp && ip.len == 339' 2>/dev/null | wc -l)" -eq 1 ]
    at-query -I tsh --format csv --fields src,dst,bytes_out x.tsh >scan.csv
    at-index -q -I tsh x.tsh
    at-query -I tsh --format csv --fields src,dst,bytes_out x.tsh >index.csv
    cmp scan.csv index.csv
    [ "$(wc -l <index.csv)" -eq 2 ]
    at-query -q -I tsh -w y.pcap x.tsh 'ip[2:2] > 300'
    [ "$(at-info -c y.pcap | cut -f 1)" -eq 39 ]
    touch -d '1 hour ago' x.tsh
    at-ingest -q -I tsh a x.tsh
    [ "$(at-query -I tsh --count -w - a)" -eq 300 ]
    run --separate-stderr at-convert -I tsh x.tsh z.pcap
    [[ "${stderr_lines[0]}" == *" 200 interface numbers cannot be held by pcap" ]]
    head -c 100 x.tsh >cut.tsh
    run --separate-stderr at-info -c -I tsh cut.tsh
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"the record at byte 88 is of 44 bytes, 12 are there" ]]
    [ "$output" = '2	cut.tsh' ]
}

# ---- the corpus ----------------------------------------------------------

# "seconds captured/wire" of each packet, as tracepktdump prints them
dumped() { # uri
    tracepktdump "$1" 2>/dev/null | awk '
        /^[A-Z][a-z][a-z] [A-Z][a-z][a-z] / { time = $4 " " $2 " " $3 " " $5 }
        /^ Capture: Packet Length: / { print time, $4 }'
}

@test "erf: TSH and what was before ERF, as libtrace reads them" {
    need_corpus
    need tracepktdump
    while read -r uri file adds; do
        at-convert -q -I "$uri" "$CORPUS/libtrace/$file" x.erf
        dumped "$uri:$CORPUS/libtrace/$file" |
            awk -v adds="$adds" '{ sub(".*/", "", $5); print $1, $5 - adds }' \
                >theirs.txt
        python3 - x.erf >ours.txt <<'END'
import struct, sys, time
data, at = open(sys.argv[1], "rb").read(), 0
while at < len(data):
    sec = struct.unpack_from("<I", data, at + 4)[0]
    rlen, _, wire = struct.unpack_from(">HHH", data, at + 10)
    print(time.strftime("%H:%M:%S", time.gmtime(sec)), wire)
    at += rlen
END
        [ "$(wc -l <ours.txt)" -ge 50 ]
        diff theirs.txt ours.txt
    done <<'END'
tsh 10_packets.tsh.gz 0
legacyatm legacyatm_1-50.gz 0
legacypos legacypos_1-50.gz 0
legacyeth legacyeth_1-50.gz 4
END
}

@test "erf: as many records as libtrace accepts, in all ERF of the corpus" {
    need_corpus
    need tracestats
    n=0
    while IFS= read -r f; do
        case $f in # libtrace stops there; corpus.bats has capinfos
        *.exthdr.* | *.pad.* | *provenance*) continue ;;
        esac
        at-info --json "$CORPUS/$f" >info.json 2>/dev/null || continue
        ours=$(python3 -c 'import json
i = json.load(open("info.json"))
print(i["packets"] + i["meta_records"] + i["pad_records"])')
        theirs=$(tracestats "erf:$CORPUS/$f" 2>&1 |
            sed -n 's/.*Accepted Packets:[[:space:]]*//p')
        [ "$ours" = "$theirs" ] || { echo "$f: $ours, not $theirs"; false; }
        n=$((n + 1))
    done < <(awk -F '\t' '
        NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
        $col["format"] ~ /^erf([+]gz)?$/ { print $col["file"] }' \
        "$CORPUS/MANIFEST.tsv")
    [ "$n" -ge 20 ]
}
