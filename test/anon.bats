#!/usr/bin/env bats
# at-anon as a user meets it, and what tshark and traceanon say of its work

# shellcheck disable=SC2016 # what is in single quotes the inner shell expands

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
    printf '1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202' >key
    chmod 600 key
}

anon() { at-anon -q --key key "$@"; }

# A pcap of one UDP packet between two addresses; more bytes are its payload.
packet() { # file source destination [payload]
    python3 - "$@" <<'END'
import socket, struct, sys
path, src, dst = sys.argv[1:4]
data = sys.argv[4].encode() if len(sys.argv) > 4 else b""
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 1, 0, 64, 17, 0,
                 socket.inet_aton(src), socket.inet_aton(dst))
ip += struct.pack(">HHHH", 40000, 5000, 8 + len(data), 0) + data
frame = bytes.fromhex("020000000001020000000002") + b"\x08\0" + ip
with open(path, "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    f.write(struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame)
END
}

addresses() { # file
    tshark -n -r "$1" -T fields -e ip.src -e ip.dst 2>/dev/null
}

# ---- keys ----------------------------------------------------------------

@test "at-anon: --new-key makes a key that only its owner can read" {
    run at-anon --new-key new
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^[0-9a-f]{16}$ ]]
    [ "$(stat -c %a new)" = 600 ]
    at-anon --key new "$TEST_DATA/dns.pcap" a.pcap 2>said
    grep -q "key $output" said
    run at-anon --new-key new
    [ "$status" -eq 1 ]
}

@test "at-anon: keys that others can read, or of other lengths, are refused" {
    chmod 644 key
    run anon "$TEST_DATA/dns.pcap" a.pcap
    [ "$status" -eq 1 ]
    [[ "$output" == *"0644"* ]]
    head -c 31 key >short
    chmod 600 short
    run at-anon --key short "$TEST_DATA/dns.pcap" a.pcap
    [ "$status" -eq 1 ]
    [[ "$output" == *"32 bytes or 64 hex digits"* ]]
    run at-anon "$TEST_DATA/dns.pcap" a.pcap
    [ "$status" -eq 2 ]
    [ ! -e a.pcap ]
}

@test "at-anon: a key can come from a descriptor" {
    anon "$TEST_DATA/dns.pcap" a.pcap
    at-anon -q --key fd:7 "$TEST_DATA/dns.pcap" b.pcap 7<key
    cmp a.pcap b.pcap
}

@test "at-anon: a passphrase makes the same key each time, a salt another" {
    echo secret >phrase
    chmod 600 phrase
    for salt in x x y; do
        at-anon --passphrase phrase --salt $salt "$TEST_DATA/lan.pcap" o.pcap \
            2>&1 | grep -o 'key .*'
    done >ids
    [ "$(sort -u ids | wc -l)" -eq 2 ]
    [ "$(sed -n 1p ids)" = "$(sed -n 2p ids)" ]
}

# ---- schemes -------------------------------------------------------------

@test "at-anon: Crypto-PAn is what its authors published" {
    need tshark
    packet a.pcap 24.5.0.80 192.102.249.13
    anon a.pcap b.pcap
    [ "$(addresses b.pcap)" = $'100.9.15.210\t252.138.62.131' ]
}

@test "at-anon: ipcrypt-pfx is what its draft says" {
    need tshark
    printf '%s' 0123456789abcdeffedcba9876543210 \
        1032547698badcfeefcdab8967452301 >key
    packet a.pcap 192.0.2.1 255.255.255.255
    anon --scheme ipcrypt-pfx a.pcap b.pcap
    [ "$(addresses b.pcap)" = $'100.115.72.131\t94.185.169.89' ]
}

# libtrace 3 does what was published, libtrace 4 its variant of it, which has
# IPv6 too.  The key ends for traceanon at a newline or a 0.
@test "at-anon: traceanon does one of our schemes" {
    need traceanon tshark
    printf 'abcdefghijklmnopqrstuvwxyz012345' >raw
    chmod 600 raw
    at-convert -q -F pcap-us "$TEST_DATA/http.pcap" in.pcap
    traceanon -s -d -f raw pcapfile:in.pcap pcapfile:theirs.pcap
    addresses theirs.pcap >theirs
    for scheme in cryptopan cryptopan-libtrace; do
        at-anon -q --key raw --scheme $scheme in.pcap ours.pcap
        addresses ours.pcap >$scheme
        [ "$(wc -l <$scheme)" -eq "$(wc -l <theirs)" ]
    done
    not cmp -s cryptopan cryptopan-libtrace
    cmp theirs cryptopan || cmp theirs cryptopan-libtrace
}

@test "at-anon: schemes without a key need none" {
    need tshark
    printf 'mac = zero\npayload = drop\n' >policy
    packet a.pcap 192.0.2.77 198.51.100.99
    at-anon -q --policy policy --scheme truncate a.pcap b.pcap
    [ "$(addresses b.pcap)" = $'192.0.2.0\t198.51.100.0' ]
    printf 'prefix4 = 172.16.0.0/12\n' >>policy
    at-anon -q --policy policy --scheme prefix a.pcap b.pcap
    [ "$(addresses b.pcap)" = $'172.16.2.77\t172.19.100.99' ]
}

# ---- policies ------------------------------------------------------------

@test "at-anon: a printed policy is the same policy" {
    for preset in headers caida mawi waikato strict; do
        at-anon --print-policy --policy $preset >p
        at-anon --print-policy --policy ./p >q
        diff p q
        [ "$(wc -l <p)" -gt 20 ]
        anon --policy $preset "$TEST_DATA/http.pcap" a.pcap
        anon --policy ./p "$TEST_DATA/http.pcap" b.pcap
        cmp a.pcap b.pcap
    done
}

@test "at-anon: unknown keys and values are errors, with their line" {
    printf '# mine\npayload = drop\npayloads = zero\n' >policy
    run anon --policy policy "$TEST_DATA/dns.pcap" a.pcap
    [ "$status" -eq 2 ]
    [[ "$output" == *"policy: line 3: there is no key 'payloads'"* ]]
    printf 'mac = sometimes\n' >policy
    run anon --policy policy "$TEST_DATA/dns.pcap" a.pcap
    [ "$status" -eq 2 ]
    [[ "$output" == *"keep|hash|oui|role|zero"* ]]
    run anon --policy nowhere "$TEST_DATA/dns.pcap" a.pcap
    [ "$status" -eq 1 ]
    run anon --scheme rot13 "$TEST_DATA/dns.pcap" a.pcap
    [ "$status" -eq 2 ]
    [ ! -e a.pcap ]
}

# ---- what comes out ------------------------------------------------------

@test "at-anon: the same file by any number of threads" {
    for name in bulk-s96 http vxlan ipv6; do
        for j in 1 2 8; do
            anon -j $j --policy strict "$TEST_DATA/$name.pcap" $j.pcap.gz
        done
        cmp 1.pcap.gz 2.pcap.gz
        cmp 1.pcap.gz 8.pcap.gz
    done
}

@test "at-anon: tshark sees one-to-one addresses and checksums as right" {
    need tshark
    printf 'payload = keep\n' >keep
    for file in "$TEST_DATA"/*.pcap; do
        echo "$file"
        anon "$file" a.pcap
        python3 "$TOP/test/anonymise.py" "$file" a.pcap
        anon --policy keep "$file" a.pcap
        python3 "$TOP/test/anonymise.py" "$file" a.pcap same
    done
}

@test "at-anon: as many flows as before" {
    for name in http mail-ntp-ftp ipv6 vlan; do
        anon "$TEST_DATA/$name.pcap" a.pcap
        [ "$(at-query -q "$TEST_DATA/$name.pcap" | wc -l)" -eq \
            "$(at-query -q a.pcap | wc -l)" ]
    done
}

@test "at-anon: nothing of sections, interfaces and comments is left" {
    need python3
    python3 - <<'END'
import struct
def option(code, text):
    return struct.pack("<HH", code, len(text)) + text + b"\0" * (-len(text) % 4)
def block(kind, body):
    n = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + n + body + n
end = struct.pack("<HH", 0, 0)
frame = b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + bytes.fromhex(
    "4500001c00010000401100000a000001") + b"\x0a\0\0\2" + b"\0\1\0\2\0\x08\0\0"
frame += b"\0" * (-len(frame) % 4)
with open("in.pcapng", "wb") as f:
    f.write(block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1) +
                  option(2, b"SECRET card") + option(1, b"SECRET note") + end))
    f.write(block(1, struct.pack("<HHI", 1, 0, 0) + option(2, b"SECRET0") +
                  option(4, b"\x0a\0\0\1\xff\0\0\0") + end))
    f.write(block(4, struct.pack("<HH", 1, 11) + b"\x0a\0\0\1SECRET\0\0" + end))
    f.write(block(10, struct.pack("<II", 0x544c534b, 8) + b"SECRET  "))
    f.write(block(6, struct.pack("<IIIII", 0, 1, 1, 42, 42) + frame +
                  option(1, b"SECRET host") + end))
    f.write(block(0xbad, struct.pack("<I", 1) + b"SECRET  "))
END
    for out in a.pcapng a.pcap a.erf; do
        anon --audit=text in.pcapng $out
        [ "$(at-info -q -c $out | grep -o '[0-9]*' | head -n 1)" = 1 ]
        not grep -q SECRET $out
    done
    anon --policy <(echo 'metadata = keep') in.pcapng b.pcapng
    grep -q SECRET b.pcapng
    run anon --policy <(echo 'metadata = keep') --audit in.pcapng b.pcapng
    [ "$status" -eq 1 ]
    [[ "$output" == *"10.0.0.1 is left"* ]]
}

@test "at-anon: extension headers and META records of ERF go" {
    at-convert -q "$TEST_DATA/dns.pcap" plain.erf
    python3 - <<'END'
import struct
data, out, at = open("plain.erf", "rb").read(), b"", 0
meta = struct.pack("<QBBHHH", 1 << 32, 27, 4, 0, 0, 0)
while at < len(data):
    rlen = struct.unpack_from(">H", data, at + 10)[0]
    r = bytearray(data[at:at + rlen])
    r[8] |= 0x80
    r[10:12] = struct.pack(">H", rlen + 16)
    out += bytes(r[:16]) + b"\x85SECRET!" + b"\x05SECRET!" + bytes(r[16:])
    at += rlen
body = b"SECRET!!"
out += struct.pack("<QBB", 9 << 32, 27, 4) + struct.pack(
    ">HHH", 16 + len(body), 0, len(body)) + body
open("in.erf", "wb").write(out)
END
    anon plain.erf a.erf
    anon in.erf b.erf
    not grep -q SECRET b.erf
    cmp a.erf b.erf
    anon --policy <(echo 'erf-extensions = keep') in.erf c.erf
    grep -q SECRET c.erf
}

@test "at-anon: times are shifted and cut" {
    printf 'time-shift = 1h\ntime-precision = 1ms\n' >policy
    for name in dns.pcap link.erf; do
        anon --policy policy "$TEST_DATA/$name" "a.${name#*.}"
        paste <(records "$TEST_DATA/$name") <(records "a.${name#*.}") |
            awk '{ a = substr($1, 1, 13) + 3600000; b = substr($5, 1, 13)
                   d = a - b; if (d < 0 || d > 1 || $5 !~ /000$/) exit 1 }'
    done
}

# ---- the audit -----------------------------------------------------------

@test "at-anon: the audit finds what is left" {
    packet a.pcap 192.0.2.77 198.51.100.99 'PORT 192.0.2.77, yes'
    printf 'payload = keep\n' >keep
    anon --policy keep --audit a.pcap b.pcap
    run anon --policy keep --audit=text a.pcap b.pcap
    [ "$status" -eq 1 ]
    [[ "$output" == *"b.pcap: record 1 at byte "*": 192.0.2.77 is left as text"* ]]
    # the original as the output
    cp a.pcap c.pcap
    run anon --audit-only a.pcap c.pcap
    [ "$status" -eq 1 ]
    [[ "$output" == *"192.0.2.77 is left"* ]]
    [[ "$output" == *"198.51.100.99 is left"* ]]
    [[ "$output" == *"02:00:00:00:00:01 is left"* ]]
    cmp a.pcap c.pcap
    # one address, backwards, in the payload
    packet a.pcap 192.0.2.77 198.51.100.99 abcdefgh
    anon --policy keep a.pcap b.pcap
    anon --audit-only a.pcap b.pcap
    python3 - <<'END'
data = bytearray(open("b.pcap", "rb").read())
data[-6:-2] = bytes([77, 2, 0, 192])
open("b.pcap", "wb").write(data)
END
    run anon --audit-only a.pcap b.pcap
    [ "$status" -eq 1 ]
    [[ "$output" == *"is left backwards"* ]]
    run at-anon --key key --audit a.pcap -
    [ "$status" -eq 2 ]
}

@test "at-anon: captures of others pass the audit" {
    need_corpus
    fast_build || skip 'takes too long'
    cd "$CORPUS"
    tail -n +2 MANIFEST.tsv | cut -f 1 |
        xargs -d '\n' stat -c '%s %n' 2>/dev/null |
        awk '$1 < 60000' | cut -d ' ' -f 2- >"$BATS_TEST_TMPDIR/list"
    while IFS= read -r file; do
        at-anon -q -j 1 --key "$BATS_TEST_TMPDIR/key" --audit=text --salvage \
            "$file" "$BATS_TEST_TMPDIR/o.pcapng" >"$BATS_TEST_TMPDIR/said" \
            2>&1 || ! grep -H --label="$file" 'is left\|rror' \
            "$BATS_TEST_TMPDIR/said"
    done <"$BATS_TEST_TMPDIR/list"
}
