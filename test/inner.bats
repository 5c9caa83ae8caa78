#!/usr/bin/env bats
# "inner": questions about what is in tunnels, held against tcpdump, which is
# asked of the packets that were in there.

setup() {
    load helpers
    cd "$BATS_TEST_TMPDIR" || return
}

# Packets in tunnels, also one in another, and some that are in none, as
# outer.pcap; and inner.pcap, the IP packets in them with the time of the whole.
make_tunnels() {
    python3 - <<'END_OF'
import random, socket, struct
rnd = random.Random(7)
v4 = ["10.0.0.%d" % i for i in range(1, 6)]
v6 = ["2001:db8::%d" % i for i in range(1, 4)]

def ip4(proto, data, src=None, dst=None):
    src, dst = src or rnd.choice(v4), dst or rnd.choice(v4)
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 0, 0, 64,
                       proto, 0, socket.inet_aton(src), socket.inet_aton(dst)) + data
def ip6(proto, data):
    return struct.pack(">IHBB", 6 << 28, len(data), proto, 64) + b"".join(
        socket.inet_pton(socket.AF_INET6, rnd.choice(v6)) for _ in "ab") + data
def udp(sport, dport, data=b"12345678"):
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data
def tcp(sport, dport, flags):
    return struct.pack(">HHIIBBHHH", sport, dport, 1, 2, 0x50, flags, 9, 0, 0)
def payload():
    port = rnd.choice([53, 80, 443])
    kind = rnd.randrange(4)
    if kind == 0:
        return 17, udp(rnd.randrange(1024, 1100), port)
    if kind == 3:
        return 1, struct.pack(">BBHI", 8, 0, 0, 1) + b"ping"
    return 6, tcp(rnd.randrange(1024, 1100), port, rnd.choice([2, 18, 16, 4]))
def plain():
    proto, data = payload()
    return ip6(proto, data) if proto != 1 and rnd.randrange(4) == 0 else ip4(proto, data)
def type_of(ip):
    return 0x86dd if ip[0] >> 4 == 6 else 0x0800
def ether(ip, vlan=False):
    tag = struct.pack(">HH", 0x8100, 5) if vlan else b""
    return bytes(12) + tag + struct.pack(">H", type_of(ip)) + ip

def wrap(ip):
    kind = rnd.randrange(7)
    if kind == 0:
        return ip4(4 if type_of(ip) == 0x0800 else 41, ip)
    if kind == 1:
        return ip4(47, struct.pack(">HH", 0, type_of(ip)) + ip)
    if kind == 2:
        return ip4(17, udp(rnd.randrange(2000, 2100), 4789,
                           bytes([8, 0, 0, 0, 0, 0, 7, 0]) + ether(ip, rnd.randrange(2))))
    if kind == 3:
        return ip4(17, udp(2152, 2152, struct.pack(">BBHI", 0x30, 255, len(ip), 9) + ip))
    if kind == 4:
        return ip6(4 if type_of(ip) == 0x0800 else 41, ip)
    if kind == 5:
        return ip4(47, struct.pack(">HHI", 0x2000, 0x6558, 5) + ether(ip))
    return ip4(17, udp(3000, 6081, struct.pack(">BBHI", 0, 0, type_of(ip), 0) + ip))

def record(ns, frame):
    return struct.pack("<IIII", ns // 10**9, ns % 10**9, len(frame), len(frame)) + frame

outer = open("outer.pcap", "wb")
inner = open("inner.pcap", "wb")
for f, link in (outer, 1), (inner, 101):
    f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, link))
for i in range(600):
    ns = 1700000000 * 10**9 + i * 1000003
    ip = plain()
    for _ in range(rnd.choice([0, 0, 1, 1, 1, 2, 3])):
        inner.write(record(ns, ip))
        ip = wrap(ip)
    outer.write(record(ns, ether(ip, rnd.randrange(5) == 0)))
END_OF
}

times() { # file: of its packets, each once
    records "$1" | cut -d' ' -f1 | sort -u
}

expressions=(
    'host 10.0.0.1' 'src host 10.0.0.2' 'tcp' 'udp port 53' 'dst port 443'
    'net 10.0.0.0/30' 'ip6' 'ip6 host 2001:db8::1' 'icmp' 'ip'
    'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn' 'src or dst host 10.0.0.3'
    'portrange 1024-1030' 'greater 60' 'not tcp' 'ip proto 47' 'udp[2:2] = 53'
)
groups=(
    '(src host 10.0.0.1 and tcp port 80)' '(host 10.0.0.1 or ip6)'
    '(not (udp or icmp))' '(ip[8] = 64 && (tcp or icmp))'
)

@test "inner: as tcpdump of what is in the tunnels, in every way of asking" {
    need tcpdump
    make_tunnels
    cp outer.pcap indexed.pcap
    at-index -q indexed.pcap
    at-ingest -q --rotate 20k --flush day outer.pcap
    for expr in "${expressions[@]}" "${groups[@]}"; do
        tcpdump_filtered inner.pcap want.pcap "$expr"
        times want.pcap >want
        [ -s want ] || { echo "nothing matches: $expr"; false; }
        for j in 1 3; do
            at-convert -q -j $j -f "inner $expr" outer.pcap got.pcap
            times got.pcap | diff want - || { echo "inner $expr"; false; }
        done
        for from in outer.pcap indexed.pcap day; do
            at-query -q -w got.pcap "$from" "inner $expr"
            times got.pcap | diff want - || { echo "$from inner $expr"; false; }
        done
    done
}

@test "inner: with and, or, not, and what is said of the outside" {
    need tcpdump
    make_tunnels
    cp outer.pcap indexed.pcap
    at-index -q indexed.pcap
    times outer.pcap >all
    tcpdump_filtered inner.pcap a.pcap host 10.0.0.1
    tcpdump_filtered inner.pcap b.pcap udp port 53
    at-convert -q -f 'host 10.0.0.2' outer.pcap o.pcap # seen through tags
    times a.pcap >a
    times b.pcap >b
    times o.pcap >o
    check() { # expression; the times wanted are on standard input
        sort -u >want
        [ -s want ]
        for from in outer.pcap indexed.pcap; do
            at-query -q -w got.pcap "$from" "$1"
            times got.pcap | diff want - || { echo "$from $1"; return 1; }
        done
    }
    comm -23 all a | check 'not inner host 10.0.0.1'
    comm -12 a b | check 'inner host 10.0.0.1 and inner udp port 53'
    cat a b | check 'inner host 10.0.0.1 or inner (udp port 53)'
    comm -12 a o | check 'inner host 10.0.0.1 and host 10.0.0.2'
    comm -12 a o | check 'host 10.0.0.2 and inner host 10.0.0.1'
    comm -13 a o | check 'host 10.0.0.2 and not inner host 10.0.0.1'
    cat a o | check '(inner host 10.0.0.1) or host 10.0.0.2'
    # two layers down: in what is in a tunnel, and a tunnel itself
    at-split -q -c 1M --jump 2 -o twice.pcap outer.pcap
    at-query -q -w d.pcap twice-00001.pcap 'inner host 10.0.0.1'
    times d.pcap | check 'inner inner host 10.0.0.1'
    # with flow terms
    at-query -q -w f.pcap outer.pcap 'app vxlan'
    comm -12 a <(times f.pcap) | check 'app vxlan and inner host 10.0.0.1'
    # flows: those of which a packet matches
    at-query -q --format csv outer.pcap 'inner host 10.0.0.1' >want.csv
    at-query -q --format csv indexed.pcap 'inner host 10.0.0.1' |
        sed 's/,indexed.pcap$/,outer.pcap/' | diff want.csv -
    [ "$(wc -l <want.csv)" -gt 3 ]
}

@test "inner: expressions made at random have one answer, whoever is asked" {
    make_tunnels
    cp outer.pcap indexed.pcap
    at-index -q indexed.pcap
    at-ingest -q --rotate 20k --flush day outer.pcap
    run python3 "$TOP/test/inner-generated.py" 5 40 outer.pcap indexed.pcap day
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "inner: the index leaves out what can be no tunnel" {
    make_tunnels
    at-merge -q -o all.pcap outer.pcap "$TEST_DATA/http.pcap"
    at-index -q all.pcap
    at-query -q --explain all.pcap 'inner icmp' >plan
    grep -q 'inner icmp: by packets' plan
    cp "$TEST_DATA/http.pcap" .
    at-index -q http.pcap
    at-query --explain --json http.pcap 'inner icmp' | grep -q '"blocks":0,.*"bytes":0,'
    at-query --explain --json all.pcap 'inner icmp' | grep -vq '"blocks":0,'
    [ "$(at-query --count http.pcap 'inner ip')" -eq 0 ]
    at-query -q -w got.pcap all.pcap 'inner tcp'
    at-query -q -w want.pcap outer.pcap 'inner tcp'
    diff <(records got.pcap) <(records want.pcap)
}

@test "inner: real tunnels, as tshark sees them" {
    need tshark
    at-query -q -w got.pcap "$TEST_DATA/vxlan.pcap" 'inner tcp'
    tshark -n -o ip.defragment:FALSE -r "$TEST_DATA/vxlan.pcap" -Y 'vxlan and tcp' -T fields \
        -e frame.time_epoch 2>/dev/null | tr -d . | sort -u >want
    times got.pcap | diff want -
    [ -s want ]
}

@test "inner: where it stands for nothing it is a name, and mistakes are shown" {
    for expr in 'inner' 'inner and tcp' 'inner (tcp' 'inner host' 'inner app dns' \
        'inner host 10.0.0.1 or 10.0.0.2' 'inner ether host 00:11:22:33:44:55' \
        'tcp and inner port 70000' 'inner vlan 5'; do
        run --separate-stderr at-query "$TEST_DATA/dns.pcap" "$expr"
        [ "$status" -eq 2 ] || { echo "$expr: $status $output"; false; }
        [ "${#stderr_lines[@]}" -ge 2 ]
        run --separate-stderr at-convert -f "$expr" "$TEST_DATA/dns.pcap" x.pcap
        [ "$status" -eq 2 ] || { echo "$expr: $status $output"; false; }
        [ ! -e x.pcap ]
    done
    run --separate-stderr at-query "$TEST_DATA/dns.pcap" 'tcp and inner port 70000'
    [[ "${stderr_lines[2]}" == '                     ^'* ]]
    many=$(printf 'inner tcp or %.0s' {1..17})
    run --separate-stderr at-query "$TEST_DATA/dns.pcap" "${many% or }"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *'more than 16 times inner'* ]]
    deep=$(printf 'inner %.0s' {1..20000})
    run --separate-stderr at-query "$TEST_DATA/dns.pcap" "$deep tcp"
    [ "$status" -eq 2 ]
    [[ "${stderr_lines[0]}" == *'more than 16 times inner'* ]]
}
