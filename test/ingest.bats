#!/usr/bin/env bats
# at-ingest: what goes in is in, once, whatever happens meanwhile

setup_file() {
    load helpers
    cd "$BATS_FILE_TMPDIR" || return
    "$SYNTH" -n 20000 -s 3 --rate 1k --snap 94 --hosts 500 first.erf
    "$SYNTH" -n 10000 -s 4 --rate 1k --snap 94 --hosts 500 \
        --start 1767225620.5 second.pcap
    read -ra cc <<<"${CC:-cc}"
    "${cc[@]}" -shared -fPIC -o failing.so "$TOP/test/failing.c" -ldl
}

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    SHARED=$BATS_FILE_TMPDIR
    # A sanitized run takes four times as long, so there are fewer.
    KILLS=40 STEP=1
    fast_build || KILLS=10 STEP=5
}

# What of an archive must not depend on how it came to be
contents() { # archive
    (cd "$1" && find segments pending -type f -exec sha256sum {} + | sort -k 2)
    sqlite3 -readonly "$1/catalog.sqlite" 'SELECT name FROM stream ORDER BY 1;
        SELECT t.name, path, pending, start, end, first, last, packets,
            captured_bytes, wire_bytes, flows, file_bytes, index_bytes, format,
            linktype FROM segment s JOIN stream t ON t.id = s.stream
            ORDER BY 2;
        SELECT id, hex(data) FROM open_flow ORDER BY 1;
        SELECT id, hex(data) FROM open_datagram ORDER BY 1;
        SELECT * FROM hour ORDER BY 1, 2, 3;
        SELECT * FROM minute_app ORDER BY 1, 2, 3;
        SELECT id, hex(data) FROM sieve ORDER BY 1;
        SELECT hex(digest), file_bytes, records, complete FROM input
            ORDER BY 1; SELECT * FROM intent'
}

same_contents() { # archive archive
    diff <(contents "$1") <(contents "$2")
}

packets() { # archive
    at-query --count -w x "$1"
}

# The records of an archive and of the files that went in are the same.
holds() { # archive file...
    local archive=$1 f
    shift
    for f; do
        records "$f"
    done | sort >want.records
    at-query -q -F erf -w holds.erf "$archive"
    records holds.erf | sort | diff -q want.records -
}

# ---- what goes in

@test "ingest: everything that goes in is there, ERF and pcap" {
    run --separate-stderr at-ingest archive "$TEST_DATA"/*.pcap \
        "$TEST_DATA"/*.erf "$TEST_DATA"/*.gz
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    one_message
    [[ "$stderr" == "at-ingest: 15,113 packets, "*" 18 files"* ]]
    [ "$(packets archive)" -eq 15113 ]
    records "$TEST_DATA/link.erf" >want
    at-query -q -w out.erf --from 2026-03-01T11:59Z --to 2026-03-01T12:01Z \
        archive
    records out.erf | diff -q want -
}

@test "ingest: ERF comes back byte for byte" {
    at-ingest -q --rotate 3s archive "$TEST_DATA/link.erf" \
        "$TEST_DATA/link-s94.erf.gz"
    at-query -q -w out.erf archive
    gzip -dc "$TEST_DATA/link-s94.erf.gz" | cat "$TEST_DATA/link.erf" - |
        cmp out.erf -
    for f in archive/segments/*/*/*/*.erf.gz; do
        gzip -t "$f"
    done
}

@test "ingest: a pcap file of another link type has a segment of its own" {
    # The same packets as raw IP
    python3 - "$TEST_DATA/dns.pcap" <<'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
out, at = [data[:20] + struct.pack("<I", 101)], 24
while at < len(data):
    sec, us, cap, wire = struct.unpack_from("<IIII", data, at)
    frame = data[at + 16:at + 16 + cap]
    if frame[12:14] in (b"\x08\x00", b"\x86\xdd"):
        out.append(struct.pack("<IIII", sec, us, cap - 14, wire - 14) + frame[14:])
    at += 16 + cap
open("raw.pcap", "wb").write(b"".join(out))
END
    at-ingest -q --flush archive "$TEST_DATA/dns.pcap" raw.pcap
    holds archive "$TEST_DATA/dns.pcap" raw.pcap
    [ "$(at-archive list --json archive | wc -l)" -eq 2 ]
    [ "$(at-query --count -e 'udp port 53' archive)" -ge \
        "$(at-query --count -e 'udp port 53' raw.pcap)" ]
}

@test "ingest: packets out of order are all there and found by time" {
    python3 - "$TEST_DATA/ssh.pcap" <<'END'
import struct, sys
data = open(sys.argv[1], "rb").read()
records, at = [], 24
while at < len(data):
    end = at + 16 + struct.unpack_from("<I", data, at + 8)[0]
    records.append(data[at:end])
    at = end
# Later hour first, then each pair turned
records = records[500:] + records[:500]
for i in range(0, len(records) - 1, 2):
    records[i], records[i + 1] = records[i + 1], records[i]
open("mixed.pcap", "wb").write(data[:24] + b"".join(records))
END
    at-ingest -q --flush archive mixed.pcap
    holds archive mixed.pcap
    for range in '--to 2026-03-01T10:00Z' '--from 2026-03-01T10:00Z' \
        '--from 2026-03-01T09:59:55Z --to 2026-03-01T09:59:56Z'; do
        # shellcheck disable=SC2086 # several arguments
        [ "$(at-query --count -w x $range archive)" -eq \
            "$(at-query --count -w x $range "$TEST_DATA/ssh.pcap")" ]
    done
}

@test "ingest: the same content is taken once, whatever its name" {
    need sqlite3
    at-ingest -q archive "$TEST_DATA/http.pcap" "$TEST_DATA/ssh.pcap"
    cp -a archive before
    at-ingest -q archive "$TEST_DATA/http.pcap" "$TEST_DATA/ssh.pcap"
    same_contents archive before
    cp "$TEST_DATA/ssh.pcap" renamed
    run --separate-stderr at-ingest -v archive renamed
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'renamed: is in the archive already'* ]]
    same_contents archive before
    at-ingest -q twice renamed "$TEST_DATA/ssh.pcap" renamed
    [ "$(packets twice)" -eq 669 ]
}

@test "ingest: many runs give the archive of one run, byte for byte" {
    need sqlite3
    files=()
    for f in lan dns http tls ssh mail-ntp-ftp icmp ipv6 vlan fragments; do
        files+=("$TEST_DATA/$f.pcap")
    done
    for rotate in 1h 10s; do
        rm -rf one many
        at-ingest -q --flush --rotate $rotate one "${files[@]}"
        for f in "${files[@]}"; do
            at-ingest -q --rotate $rotate many "$f"
        done
        at-ingest -q --flush --rotate $rotate many
        same_contents one many
    done
}

@test "ingest: many runs of both formats, cut by size, are one run" {
    need sqlite3
    # Cuts by size do not know of runs either.
    for rotate in 100k 2s; do
        rm -rf one many
        at-ingest -q --flush --rotate $rotate one "$SHARED/first.erf" \
            "$SHARED/second.pcap"
        at-ingest -q --rotate $rotate many "$SHARED/first.erf"
        at-ingest -q --rotate $rotate many "$SHARED/second.pcap"
        at-ingest -q --flush --rotate $rotate many
        same_contents one many
    done
}

@test "ingest: a pending segment that is full is not added to" {
    need python3 sqlite3
    # The first run ends where the first segment of one run does.
    at-ingest -q --flush --rotate 10k one "$TEST_DATA/dns.pcap"
    n=$(at-archive list --json one | head -n 1 | sed 's/.*"packets":\([0-9]*\).*/\1/')
    python3 "$TOP/test/fragments.py" cut "$TEST_DATA/dns.pcap" "$n" 1.pcap 2.pcap
    for f in 1.pcap 2.pcap; do
        at-ingest -q --rotate 10k many "$f"
    done
    at-ingest -q --flush --rotate 10k many
    diff <(contents many | grep segments/) <(contents one | grep segments/)
}

@test "ingest: many runs that are cut between fragments are one run" {
    need python3 sqlite3
    python3 "$TOP/test/fragments.py" make whole.pcap
    at-ingest -q --flush --rotate 200 whole whole.pcap
    for n in $(seq 2 3 33); do
        rm -rf one many
        python3 "$TOP/test/fragments.py" cut whole.pcap "$n" 1.pcap 2.pcap
        at-ingest -q -j4 --flush --rotate 200 one 1.pcap 2.pcap
        at-ingest -q -j1 --rotate 200 many 1.pcap
        at-ingest -q -j2 --rotate 200 many 2.pcap
        at-ingest -q --flush --rotate 200 many
        same_contents one many
        diff <(contents whole | grep segments/) <(contents one | grep segments/)
    done
    # there are segments with datagrams of the one before
    find one -name '*.idx' -exec sqlite3 {} .tables \; >tables
    [ "$(grep -cw datagram tables)" -gt 5 ]
}

@test "ingest: --timeout and --max-flows are rules of the archive's flows" {
    at-ingest -q --flush --timeout udp=1ms,tcp=1ms short "$TEST_DATA/http.pcap"
    at-index -q --timeout udp=1ms,tcp=1ms -o short.idx "$TEST_DATA/http.pcap"
    at-ingest -q --flush usual "$TEST_DATA/http.pcap"
    flows() {
        sqlite3 "$1" 'SELECT count(*) FROM flows'
    }
    n=$(flows short/segments/*/*/*/*.idx)
    [ "$n" -eq "$(flows short.idx)" ]
    [ "$n" -gt "$(flows usual/segments/*/*/*/*.idx)" ]
    # the index knows, and is made anew by the same
    at-archive verify -q --deep short
    run at-ingest --max-flows 0 short "$TEST_DATA/http.pcap"
    [ "$status" -eq 2 ]
}

@test "ingest: any number of threads gives the same archive" {
    need sqlite3
    for j in 1 2 4; do
        at-ingest -q -j $j --rotate 3s a$j "$SHARED/first.erf" \
            "$SHARED/second.pcap" "$TEST_DATA/http.pcap"
        same_contents a1 a$j
    done
}

# ---- inputs that are not as they should be

@test "ingest: the good part of a damaged or cut input is in, exit 1" {
    head -c 100000 "$TEST_DATA/http.pcap" >cut.pcap
    head -c 30000 "$TEST_DATA/link-s94.erf.gz" >cut.erf.gz
    # A record whose length is nonsense
    cp "$TEST_DATA/ssh.pcap" bad.pcap
    at-query -q -n 300 -w part.pcap bad.pcap
    printf '\xff\xff\xff\xff' | dd of=bad.pcap bs=1 conv=notrunc \
        seek=$(($(stat -c %s part.pcap) + 8)) status=none
    for f in cut.pcap cut.erf.gz bad.pcap; do
        rm -rf archive
        run --separate-stderr at-ingest -q archive "$f"
        [ "$status" -eq 1 ]
        one_message
        [[ "$stderr" == "at-ingest: $f: "* ]]
        good=$(at-query --count -w x "$f" 2>/dev/null || true)
        [ "$good" -gt 100 ]
        [ "$(packets archive)" -eq "$good" ]
    done
}

@test "ingest: what is missing or no trace is said, the others go in" {
    echo 'this is no trace' >text
    : >empty
    run --separate-stderr at-ingest -q archive missing text empty \
        "$TEST_DATA/dns.pcap"
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 3 ]
    for f in missing text empty; do
        [[ "$stderr" == *"at-ingest: $f: "* ]]
    done
    [ "$(packets archive)" -eq 308 ]
}

@test "ingest: an input whose name begins the archive's is no excuse" {
    # An error of the archive was once taken for one of the input.
    cp "$TEST_DATA/http.pcap" a
    failed=0
    for ((n = 1; n < 45; n++)); do
        rm -rf archive
        run --separate-stderr env LD_PRELOAD="$SHARED/failing.so" \
            ASAN_OPTIONS="${ASAN_OPTIONS-}:verify_asan_link_order=0" \
            FAIL_HOW=once FAIL_AT=$n at-ingest -q archive a
        [ "$status" -eq 0 ] || at-ingest -q archive a
        [ "$(packets archive)" -eq 1090 ] || { echo "call $n"; return 1; }
        failed=$((failed + status))
    done
    [ "$failed" -gt 20 ]
}

@test "ingest: a folder, but not what may still be written, nor indexes" {
    mkdir in
    cp -p "$TEST_DATA/dns.pcap" "$TEST_DATA/lan.pcap" in/
    touch -d '10 minutes ago' in/*
    at-index -q in/dns.pcap
    touch -d '10 minutes ago' in/dns.pcap.idx
    cp "$TEST_DATA/http.pcap" in/
    cp "$TEST_DATA/tls.pcap" in/.hidden
    touch -d '10 minutes ago' in/.hidden
    mkdir in/deeper
    at-ingest -q archive in
    [ "$(packets archive)" -eq $((308 + 64)) ]
    touch -d '30 seconds ago' in/http.pcap
    at-ingest -q archive in
    [ "$(packets archive)" -eq $((308 + 64)) ]
    at-ingest -q --settle 10s archive in
    [ "$(packets archive)" -eq $((308 + 64 + 1090)) ]
    run at-ingest -q archive in/deeper
    [ "$status" -eq 0 ]
}

@test "ingest: --remove-source removes what is in, and nothing else" {
    cp "$TEST_DATA/dns.pcap" good.pcap
    head -c 30000 "$TEST_DATA/http.pcap" >cut.pcap
    echo text >text
    run at-ingest -q --remove-source archive good.pcap cut.pcap text
    [ "$status" -eq 1 ]
    [ ! -e good.pcap ]
    [ -e cut.pcap ]
    [ -e text ]
    # It is known now, but what is damaged of it is still not in.
    run at-ingest -q --remove-source archive cut.pcap
    [ -e cut.pcap ]
    cp "$TEST_DATA/dns.pcap" again.pcap
    at-ingest -q --remove-source archive again.pcap
    [ ! -e again.pcap ]
    [ "$(packets archive)" -gt 308 ]
}

# ---- how it is cut and named

@test "ingest: --rotate by time cuts on the wall clock" {
    need jq
    at-ingest -q --flush --rotate 5s archive "$TEST_DATA/link.erf"
    at-archive list --json archive >segments.json
    [ "$(wc -l <segments.json)" -eq 5 ]
    jq -es 'all(.[]; (.start | tonumber / 1e9) % 5 == 0 and
        (.end | tonumber) - (.start | tonumber) == 5e9 and
        (.first | tonumber) >= (.start | tonumber) and
        (.last | tonumber) < (.end | tonumber))' segments.json
    at-query -q -w out.erf archive
    cmp out.erf "$TEST_DATA/link.erf"
}

@test "ingest: --rotate by size cuts when so much is in" {
    need jq
    at-ingest -q --flush --rotate 200k archive "$TEST_DATA/link.erf"
    at-archive list --json archive >segments.json
    [ "$(wc -l <segments.json)" -ge 5 ]
    jq -es 'all(.[]; .captured_bytes < 230000)' segments.json
    at-query -q -w out.erf archive
    cmp out.erf "$TEST_DATA/link.erf"
}

@test "ingest: each --stream has segments of its own" {
    at-ingest -q archive "$TEST_DATA/dns.pcap"
    at-ingest -q --stream eth-1.a_b archive "$TEST_DATA/http.pcap"
    [ "$(at-archive list --json --stream eth-1.a_b archive | wc -l)" -eq 1 ]
    at-query --format csv --fields stream archive | sort | uniq -c | wc -l |
        grep -qx 3
    for name in '' .. . ../x a/b .hidden 'a b' $'a\nb' "$(printf 'x%.0s' {1..61})"; do
        run --separate-stderr at-ingest -q --stream "$name" archive \
            "$TEST_DATA/tls.pcap"
        [ "$status" -eq 2 ]
        [[ "${stderr_lines[0]}" == 'at-ingest: '* ]]
    done
    [ "$(packets archive)" -eq $((308 + 1090)) ]
}

@test "ingest: wrong use is exit 2 and makes no archive" {
    for args in '' archive '--rotate 0 archive x' '--rotate 0s archive x' \
        '--rotate 100ms archive x' '--rotate soon archive x' \
        '-Z zip archive x' '-Z none archive x' '--settle never archive x'; do
        # shellcheck disable=SC2086 # several arguments
        run --separate-stderr at-ingest $args
        [ "$status" -eq 2 ]
        [[ "${stderr_lines[0]}" == 'at-ingest: '* ]]
        [ ! -e archive ]
    done
}

# ---- the archive is not as it should be

@test "ingest: one that comes while another runs leaves with a message" {
    at-archive init archive
    exec 9>>archive/lock
    flock -n 9
    run --separate-stderr at-ingest -q archive "$TEST_DATA/dns.pcap"
    [ "$status" -eq 1 ]
    one_message
    [[ "$stderr" == *'another process'* ]]
    # Who only asks is not kept waiting.
    [ "$(at-query --count archive)" -eq 0 ]
    exec 9>&-
    at-ingest -q archive "$TEST_DATA/dns.pcap"
    [ "$(packets archive)" -eq 308 ]
}

@test "ingest: a place that cannot be written is one message, exit 1" {
    : >file
    for archive in /proc/archive file /dev/null; do
        run --separate-stderr at-ingest -q "$archive" "$TEST_DATA/dns.pcap"
        [ "$status" -eq 1 ]
        one_message
    done
    mkdir data
    cp "$TEST_DATA/dns.pcap" data/
    run --separate-stderr at-ingest -q --settle 0s data/new/deep data
    [ "$status" -eq 1 ]
    one_message
}

@test "ingest: a full disk is one message, and harmless" {
    need sqlite3
    unshare -m true 2>/dev/null || skip 'no mounts here'
    at-ingest -q --rotate 5s want "$SHARED/first.erf"
    mkdir small
    # shellcheck disable=SC2016 # expanded by the inner bash
    run unshare -m bash -c 'mount -t tmpfs -o size=900k none small &&
        at-ingest -q --rotate 5s small/archive "$1/first.erf"
        echo "exit $?"; at-query --count -w x small/archive
        mount -o remount,size=20m small &&
        at-ingest -q --rotate 5s small/archive "$1/first.erf" &&
        cp -a small/archive got' - "$SHARED"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 3 ]
    [[ "${lines[0]}" == at-ingest:* ]]
    [[ "${lines[0]}" == *'No space left on device'* ||
        "${lines[0]}" == *full* ]]
    [ "${lines[1]}" = 'exit 1' ]
    [ "${lines[2]}" -lt 20000 ]
    same_contents want got
}

@test "ingest: a limit on the size of files is one message, and harmless" {
    need sqlite3
    at-ingest -q want "$SHARED/first.erf"
    # shellcheck disable=SC2016 # expanded by the inner bash
    run --separate-stderr bash -c 'ulimit -f 400; trap "" XFSZ
        exec at-ingest -q got "$1/first.erf"' - "$SHARED"
    [ "$status" -eq 1 ]
    one_message
    [ "$(packets got)" -eq 0 ]
    at-ingest -q got "$SHARED/first.erf"
    same_contents want got
}

# ---- interrupted

@test "ingest: SIGTERM leaves an archive that the next run completes" {
    need sqlite3
    at-ingest -q --rotate 1s want "$SHARED/first.erf" "$SHARED/second.pcap"
    for delay in 0.02 0.05 0.1 0.2; do
        rm -rf got
        run timeout -s TERM $delay at-ingest -q --rotate 1s got \
            "$SHARED/first.erf" "$SHARED/second.pcap"
        at-ingest -q --rotate 1s got "$SHARED/first.erf" "$SHARED/second.pcap"
        same_contents want got
    done
}

@test "ingest: killed at any moment, the next run makes it whole" {
    need python3
    run python3 "$TOP/test/crash.py" kill "${CRASH_RUNS:-$KILLS}" --rotate=1s -j2 \
        "$SHARED/first.erf" -- --rotate=1s "$SHARED/second.pcap"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "ingest: stopped before any system call, the next run makes it whole" {
    need python3
    run python3 "$TOP/test/crash.py" exit "$SHARED/failing.so" \
        "${CRASH_STEP:-$STEP}" --rotate=6s "$TEST_DATA/lan.pcap"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "ingest: stopped while it goes on with a pending segment, the same" {
    need python3
    halves
    run python3 "$TOP/test/crash.py" exit "$SHARED/failing.so" \
        "${CRASH_STEP:-$STEP}" one.pcap -- --flush two.pcap
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "ingest: stopped between fragments, the same" {
    need python3
    python3 "$TOP/test/fragments.py" make whole.pcap
    python3 "$TOP/test/fragments.py" cut whole.pcap 8 one.pcap two.pcap
    run python3 "$TOP/test/crash.py" exit "$SHARED/failing.so" \
        $((${CRASH_STEP:-$STEP} * 10)) --rotate=500 one.pcap -- --rotate=500 two.pcap
    echo "$output"
    [ "$status" -eq 0 ]
    run python3 "$TOP/test/crash.py" kill "${CRASH_RUNS:-$((KILLS / 8))}" \
        --rotate=500 one.pcap -- --rotate=500 two.pcap
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "ingest: no space from any system call on, the same" {
    need python3
    halves
    run python3 "$TOP/test/crash.py" full "$SHARED/failing.so" \
        $((STEP + 1)) one.pcap -- \
        --flush two.pcap
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "ingest: an error of any one system call, the same" {
    need python3
    halves
    run python3 "$TOP/test/crash.py" once "$SHARED/failing.so" \
        $((STEP + 1)) one.pcap -- \
        --flush two.pcap
    echo "$output"
    [ "$status" -eq 0 ]
}

# The two halves of a small capture that crosses the hour
halves() {
    at-convert -q --to 2026-03-01T09:59:58Z "$TEST_DATA/ssh.pcap" one.pcap
    at-convert -q --from 2026-03-01T09:59:58Z "$TEST_DATA/ssh.pcap" two.pcap
}
