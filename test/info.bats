#!/usr/bin/env bats
# at-info as a user meets it

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# A value out of the one JSON object on standard input
json() { # key
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

@test "at-info: -h, -V, and what is no option" {
    run --separate-stderr at-info -h
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "usage: at-info "* ]]
    [ -z "$stderr" ]
    run at-info -V
    [ "$status" -eq 0 ]
    [[ "$output" == "at-info "* ]]
    run --separate-stderr at-info --jsom x.pcap
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [[ "${stderr_lines[0]}" == *"'--jsom'"*"'--json'"* ]]
    [[ "${stderr_lines[1]}" == "usage: at-info "* ]]
    run at-info
    [ "$status" -eq 2 ]
}

@test "at-info: all that it says of a pcap" {
    run --separate-stderr at-info "$TEST_DATA/tls.pcap"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "${lines[0]}" = "$TEST_DATA/tls.pcap" ]
    [[ "$output" == *"packets         666"* ]]
    [[ "$output" == *"wire bytes      582,794"* ]]
    [[ "$output" == *"link types      1"* ]]
    [[ "$output" == *"first           2026-03-01T09:40:44."*Z* ]]
}

@test "at-info: --json is an object a line, with every key" {
    run --separate-stderr at-info --json "$TEST_DATA/link.erf" \
        "$TEST_DATA/link-s94.erf.gz"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    for key in file format codec linktypes packets captured_bytes wire_bytes \
        first last in_order truncated skipped_bytes losses streams \
        meta_records pad_records; do
        json "$key" <<<"${lines[0]}"
    done
    [ "$(json packets <<<"${lines[0]}")" -eq 2323 ]
    [ "$(json wire_bytes <<<"${lines[0]}")" -eq 860815 ]
    [ "$(json streams <<<"${lines[0]}")" -eq 2 ]
    [ "$(json format <<<"${lines[1]}")" = erf ]
    [ "$(json codec <<<"${lines[1]}")" != none ]
    [ "$(json packets <<<"${lines[1]}")" -eq 2292 ]
}

@test "at-info: a file name with quotes and control characters" {
    cp "$TEST_DATA/dns.pcap" $'a"\\\n\e[31m.pcap'
    run --separate-stderr at-info --json $'a"\\\n\e[31m.pcap'
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [ "$(json file <<<"$output")" = $'a"\\\n\e[31m.pcap' ]
    run --separate-stderr at-info $'no\e[31m'
    [ "$stderr" = 'at-info: no?[31m: cannot open: No such file or directory' ]
}

@test "at-info: counts and lengths of all captures agree with capinfos" {
    need capinfos
    for f in "$TEST_DATA"/*.{pcap,erf,gz}; do
        at-info --json "$f" >info.json
        capinfos -T -r -M -c "$f" >cap.txt
        [ "$(json packets <info.json)" = "$(cut -f 2 cap.txt)" ]
    done
}

@test "at-info: -c counts only" {
    run --separate-stderr at-info -c "$TEST_DATA"/dns.pcap "$TEST_DATA"/lan.pcap
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "308	$TEST_DATA/dns.pcap" ]
    [ "${lines[1]}" = "64	$TEST_DATA/lan.pcap" ]
}

@test "at-info: the same for any number of threads" {
    at-info -j 1 "$TEST_DATA"/* >one.txt 2>one.err || true
    for n in 2 3 8; do
        at-info -j $n "$TEST_DATA"/* >more.txt 2>more.err || true
        cmp one.txt more.txt
        cmp one.err more.err
    done
}

@test "at-info: standard input, plain and compressed" {
    at-info --json "$TEST_DATA/http.pcap" >file.json
    at-info --json - <"$TEST_DATA/http.pcap" >redirected.json
    # shellcheck disable=SC2002 # a pipe is wanted
    cat "$TEST_DATA/http.pcap" | at-info --json - >pipe.json
    gzip -c "$TEST_DATA/http.pcap" | at-info --json - >gzip.json
    for f in redirected pipe gzip; do
        for key in packets wire_bytes first last in_order; do
            [ "$(json $key <file.json)" = "$(json $key <$f.json)" ]
        done
    done
    [ "$(json file <pipe.json)" = "standard input" ]
}

@test "at-info: missing file, empty directory, empty file, no trace" {
    run --separate-stderr at-info nothing.pcap
    [ "$status" -eq 1 ]
    [ "$stderr" = \
        "at-info: nothing.pcap: cannot open: No such file or directory" ]
    mkdir nothing
    run --separate-stderr at-info nothing
    [ "$status" -eq 1 ]
    [ "$stderr" = "at-info: nothing: no file is in it" ]
    : >empty
    run --separate-stderr at-info empty
    [ "$status" -eq 1 ]
    [ "$stderr" = "at-info: empty: empty" ]
    echo 'this is a text, and no trace of packets' >text
    run --separate-stderr at-info text
    [ "$status" -eq 1 ]
    [ "$stderr" = "at-info: text: not a trace: neither ERF, pcap nor pcapng" ]
    one_message
}

@test "at-info: goes on with the other files" {
    run --separate-stderr at-info -c nothing "$TEST_DATA/dns.pcap" .
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 2 ]
}

@test "at-info: a cut file gives what is there, one message, exit 1" {
    gzip -nc "$TEST_DATA/http.pcap" >http.gz
    at-convert -q -Z bgzf "$TEST_DATA/http.pcap" http.bgzf
    for f in "$TEST_DATA/http.pcap" "$TEST_DATA/link.erf" http.gz http.bgzf; do
        for n in 30 1000 70000 131072 200001; do
            head -c $n "$f" >'cut'
            run --separate-stderr at-info --json cut
            [ "$status" -eq 1 ]
            [[ "$stderr" == "at-info: cut: "*cut\ short*\ byte* ]] ||
                [[ "$stderr" == "at-info: cut: "*" bytes are no whole "* ]] ||
                { echo "$f $n: $stderr"; false; }
            one_message
            [ "$n" -le 1000 ] || [ "$(json truncated <<<"$output")" = True ]
            [ "$n" -le 70000 ] || [ "$(json packets <<<"$output")" -gt 50 ]
        done
    done
}

@test "at-info: damage is told from a cut" {
    cp "$TEST_DATA/http.pcap" bad.pcap
    printf '\377\377\377\377' |
        dd of=bad.pcap bs=1 seek=$((24 + 8)) conv=notrunc status=none
    run --separate-stderr at-info --json bad.pcap
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"no pcap record can begin as at byte 24" ]]
    [ "$(json truncated <<<"$output")" = False ]
    [ "$(json damaged <<<"$output")" = True ]
}

@test "at-info: a full disk and a closed pipe" {
    run --separate-stderr bash -c 'at-info "$1" >/dev/full' - \
        "$TEST_DATA/dns.pcap"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"cannot write standard output: No space left on device" ]]
    run --separate-stderr bash -c 'set -o pipefail
        at-info --json "$1"/*.pcap "$1"/*.pcap "$1"/*.pcap | true' - "$TEST_DATA"
    [ -z "$stderr" ]
}

@test "at-info: progress goes to stderr, when it is asked for" {
    run --separate-stderr at-info --progress=always "$TEST_DATA/http.pcap"
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"packets/s"* ]]
    run --separate-stderr at-info --progress=always -q "$TEST_DATA/http.pcap"
    [ -z "$stderr" ]
}

@test "at-info: interfaces, gaps and order are told for each" {
    python3 - <<'END'
import struct
def record(sec, frac, iface, lost, frame):
    body = b"\0\0" + frame
    return struct.pack("<IIBBHHH", frac, sec, 2, 4 | iface,
                       0, 0, 0)[:10] + struct.pack(
        ">HHH", 16 + len(body), lost, len(frame)) + body
f = bytes(60)
open("two.erf", "wb").write(b"".join([
    record(1700000000, 0, 0, 0, f), record(1700000001, 0, 1, 3, f),
    record(1700000000, 1 << 31, 0, 0, f), record(1700000009, 0, 1, 2, f)]))
END
    at-info --json --deep two.erf >info.json
    jq -e '.losses == 5 and .backward == 1 and .backward_ns == 500000000
        and .gap_ns == 8500000000 and .gap_end == "1700000009000000000"
        and .duplicates == 3 and .streams == 2 and .snapped_packets == 0
        and (.interfaces | length) == 2
        and .interfaces[0].gap_ns == 500000000 and .interfaces[0].losses == 0
        and .interfaces[0].out == 2 and .interfaces[1].in == 2
        and .interfaces[1].gap_ns == 8000000000 and .interfaces[1].losses == 5
        and .interfaces[1].backward == 0' info.json
    run at-info two.erf
    [[ "$output" == *"1 packet earlier than the one before, by up to 0.500000000 s"* ]]
}

@test "at-info --deep: the estimates are near what the codecs make of it" {
    need jq
    "$SYNTH" -n 20k --snap 96 t.erf
    at-info --json --deep t.erf >info.json
    for codec in bgzf zstd xz lz4; do
        at-convert -q -Z $codec t.erf t.$codec
        estimate=$(jq .estimated_$codec info.json)
        size=$(stat -c %s t.$codec)
        echo "$codec: $estimate, $size"
        [ $((estimate * 100)) -gt $((size * 85)) ]
        [ $((estimate * 100)) -lt $((size * 115)) ]
    done
}

@test "at-info: any number of threads says the same" {
    for f in "$TEST_DATA"/{link.erf,http.pcap,link-s94.erf.gz}; do
        at-info -j 1 --deep --json "$f" >one
        for j in 2 3 8; do
            at-info -j $j --deep --json "$f" | cmp - one
        done
    done
}

@test "at-info: -c counts what the survey counts" {
    python3 "$TOP/test/erf_golden.py" golden 2>/dev/null || true
    for f in "$TEST_DATA"/*.{pcap,erf,gz} golden/*.erf; do
        [ -e "$f" ] || continue
        [ "$(at-info -qc "$f" 2>/dev/null | cut -f 1)" = \
            "$(at-info -q --json "$f" 2>/dev/null | jq .packets)" ]
    done
    at-convert -q -F pcapng "$TEST_DATA/link.erf" x.pcapng
    [ "$(at-info -c x.pcapng | cut -f 1)" -eq 2323 ]
}

@test "at-info --salvage: what is behind damage is counted, what is skipped too" {
    python3 - "$TEST_DATA/link.erf" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
at = 0
for _ in range(500):
    at += int.from_bytes(data[at + 10:at + 12], "big")
data[at:at + 512] = bytes(512)
open("hurt.erf", "wb").write(data)
END
    run --separate-stderr at-info --json hurt.erf
    [ "$status" -eq 1 ]
    before=$(jq .packets <<<"$output")
    run --separate-stderr at-info --json --salvage hurt.erf
    [ "$status" -eq 1 ]
    jq -e --argjson n "$before" '.packets > $n and .packets >= 2315
        and .packets < 2323 and .damaged and .skipped_bytes >= 512
        and .skipped_bytes < 6000' <<<"$output"
    [[ "$stderr" == *"at-info: hurt.erf: skipped "* ]]
}
