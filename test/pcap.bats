#!/usr/bin/env bats
# pcap as it is found in the wild, against tcpdump and Wireshark

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# A file of each byte order, fraction and variant; frames of 60 bytes and one
# that says it is shorter than what was captured.
make_kinds() {
    python3 - <<'END'
import struct
kinds = {"us": 0xa1b2c3d4, "ns": 0xa1b23c4d, "modified": 0xa1b2cd34}
for name, magic in kinds.items():
    for order, sign in (("le", "<"), ("be", ">")):
        for snap in (0, 68, 262144, 1 << 20, 0xffffffff):
            out = struct.pack(sign + "IHHIIII", magic, 2, 4, 0, 0, snap, 1)
            for i in range(40):
                wire = 20 if i == 7 else 1000 + i
                out += struct.pack(sign + "IIII", 1700000000 + i, i * 999, 60,
                                   wire)
                if name == "modified":
                    out += struct.pack(sign + "IHBB", 3, 0x800, 4, 0)
                out += bytes([i] * 12) + b"\x08\x00" + bytes(46)
            with open(f"{name}-{order}-{snap}.pcap", "wb") as f:
                f.write(out)
END
}

@test "pcap: every variant, byte order and snapshot length" {
    need capinfos tcpdump
    make_kinds
    for f in *.pcap; do
        [ "$(at-info -c "$f" | cut -f 1)" -eq 40 ]
        [ "$(capinfos -T -r -M -c "$f" | cut -f 2)" -eq 40 ]
        for to in x.pcap x.erf; do
            at-convert -q "$f" $to
            diff <(records "$f" | cut -d ' ' -f 1,2) \
                <(records $to | cut -d ' ' -f 1,2) >diff.txt ||
                [ "$(grep -c '^[<>]' diff.txt)" -eq 2 ]
        done
        at-convert -q "$f" x.pcap
        diff <(records "$f") <(records x.pcap)
        [ "$(tcpdump -nr x.pcap 2>/dev/null | wc -l)" -eq 40 ]
    done
}

@test "pcap: more captured than there was is said where ERF cannot hold it" {
    make_kinds
    run --separate-stderr at-convert us-le-0.pcap x.erf
    [ "$status" -eq 0 ]
    [ "${stderr_lines[0]}" = \
        "at-convert: x.erf: 1 packet of that length cannot be held by erf" ]
    run --separate-stderr at-convert --strict -q us-le-0.pcap y.erf
    [ "$status" -eq 1 ]
    [ ! -e y.erf ]
}

# Longer than what readers take for a record unless the header says so
make_long() {
    python3 - <<'END'
import struct
out = struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 1 << 20, 1)
for i in range(3):
    out += struct.pack("<IIII", 1700000000 + i, i, 300000, 300000)
    out += bytes(300000)
with open("long.pcap", "wb") as f:
    f.write(out)
END
}

@test "pcap: packets longer than most, alone and with others" {
    need tcpdump
    make_long
    at-convert -q long.pcap x.pcap
    cmp long.pcap x.pcap
    run --separate-stderr at-convert "$TEST_DATA/dns.pcap" long.pcap y.pcap
    [ "$status" -eq 0 ]
    [ "${stderr_lines[0]}" = \
        "at-convert: y.pcap: 3 packets of that length cannot be held by pcap" ]
    [ "$(at-info -c y.pcap | cut -f 1)" -eq 311 ]
    [ "$(tcpdump -nr y.pcap 2>/dev/null | wc -l)" -eq 311 ]
    run --separate-stderr at-convert long.pcap z.erf
    [[ "${stderr_lines[0]}" == *"z.erf: 3 packets of that length"* ]]
    [ "$(at-info -c z.erf | cut -f 1)" -eq 3 ]
}

@test "pcap: a captured length that cannot be is damage, what is before is kept" {
    make_kinds
    for length in '\377\377\377\377' '\1\0\4\0'; do
        cp us-le-68.pcap bad.pcap
        # shellcheck disable=SC2059 # bytes are meant
        printf "$length" | dd of=bad.pcap bs=1 seek=$((24 + 5 * 76 + 8)) \
            conv=notrunc status=none
        run --separate-stderr at-info -c bad.pcap
        [ "$status" -eq 1 ]
        [ "$output" = '5	bad.pcap' ]
        [ "$stderr" = "at-info: bad.pcap: damaged: no pcap record can begin as \
at byte $((24 + 5 * 76))" ]
    done
}
