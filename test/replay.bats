#!/usr/bin/env bats
# at-replay: what comes out at the other end of a wire.  The wires are pairs of
# veth in network namespaces of their own.

load helpers

# Two namespaces with a pair of interfaces, $1 of them; skips where that cannot
# be done.
make_wires() { # pairs
    need ip tcpdump
    a=atA$$ b=atB$$
    ip netns add "$a" 2>/dev/null && ip netns add "$b" ||
        skip 'no network namespaces here'
    # The kernel has nothing of its own to say.
    for space in "$a" "$b"; do
        ip netns exec "$space" sh -c 'for f in all default; do
            echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done' || true
    done
    for i in $(seq "$1"); do
        ip link add "s$i" netns "$a" type veth peer name "r$i" netns "$b" ||
            skip 'no veth here'
        ip -n "$a" link set "s$i" addrgenmode none mtu 65535 up
        ip -n "$b" link set "r$i" addrgenmode none mtu 65535 up
    done
    there=(ip netns exec "$a")
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
    [ -z "${listener-}" ] || kill "$listener" 2>/dev/null || true
    [ -z "${a-}" ] || ip netns del "$a" 2>/dev/null || true
    [ -z "${b-}" ] || ip netns del "$b" 2>/dev/null || true
}

listen() { # interface file
    rm -f "$2" "$2.log" # what an earlier one said must not be taken for ours
    ip netns exec "$b" tcpdump -i "$1" -n -B 32768 -s 0 --nano -U -w "$2" \
        2>"$2.log" &
    listener=$!
    for _ in $(seq 100); do
        ! grep -qs listening "$2.log" || return 0
        sleep 0.05
    done
    false
}

# Waits until the file has so many packets or nothing more comes.
hang_up() { # file packets
    local n
    for _ in $(seq 50); do
        n=$(at-info -c "$1" 2>/dev/null | cut -f 1)
        [ "${n:-0}" -lt "$2" ] || break
        sleep 0.1
    done
    kill -INT "$listener"
    wait "$listener" || true
    listener=
    grep -q '^0 packets dropped by kernel' "$1.log"
}

# Lengths and bytes of frames, without times.
frames() { # file
    records "$1" | cut -d ' ' -f 2,4
}

# Sends the file and compares what arrives with the second one.
there_is() { # file asked option...
    local file=$1 asked=$2 n
    shift 2
    n=$(at-info -c "$asked" | cut -f 1)
    listen r1 got.pcap
    "${there[@]}" at-replay -q -i s1 --pps 20000 "$@" "$file"
    hang_up got.pcap "$n"
    diff <(frames "$asked") <(frames got.pcap)
}

@test "at-replay: what arrives is what was asked for, for all captures" {
    make_wires 1
    for f in "$TEST_DATA"/*.pcap "$TEST_DATA"/*.pcap.gz "$TEST_DATA"/link.erf; do
        echo "$f"
        [[ $f != *s96* ]] || continue
        at-convert -q "$f" asked.pcap
        there_is "$f" asked.pcap
    done
}

@test "at-replay: what arrives is what was asked for, for captures of others" {
    need_corpus
    make_wires 1
    local n=0
    while IFS= read -r f; do
        # Ethernet that was captured whole, and not too much of it.
        [ "$(at-info --json "$f" 2>/dev/null | python3 -c 'import json, sys
i = json.load(sys.stdin)
print(i["linktypes"] == [1] and 0 < i["packets"] < 3000 and
      i["captured_bytes"] == i["wire_bytes"] and not i["truncated"])')" = \
            True ] || continue
        echo "$f"
        at-convert -q "$f" asked.pcap
        there_is "$f" asked.pcap
        n=$((n + 1))
        [ "$n" -lt 30 ] || break
    done < <(find "$CORPUS" -name '*.pcap' -size -100k | sort | awk 'NR % 9 == 0')
    echo "$n captures"
    [ "$n" -eq 30 ]
}

@test "at-replay: however frames are handed over, the same arrives" {
    make_wires 1
    at-convert -q "$TEST_DATA/tls.pcap" asked.pcap
    for way in ring calls pcap; do
        there_is asked.pcap asked.pcap --via "$way" --yes-i-own-this-network
    done
}

@test "at-replay: changed frames arrive as they were changed" {
    make_wires 1
    need tshark
    fields() {
        tshark -n -r "$1" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
            -o udp.check_checksum:TRUE -T fields -e eth.src -e eth.dst \
            -e vlan.id -e ip.src -e ip.dst -e ip.checksum.status \
            -e tcp.checksum.status -e udp.checksum.status -e tcp.payload
    }
    at-convert -q "$TEST_DATA/http.pcap" asked.pcap
    listen r1 got.pcap
    "${there[@]}" at-replay -q -i s1 --pps 20000 --src-mac 02:00:00:00:00:01 \
        --dst-mac 02:00:00:00:00:02 --vlan 42 --net 192.0.2.0/24=10.9.8.0/24 \
        "$TEST_DATA/http.pcap"
    hang_up got.pcap "$(at-info -c asked.pcap | cut -f 1)"
    fields got.pcap >got
    fields asked.pcap | awk -F '\t' -v OFS='\t' '{
        $1 = "02:00:00:00:00:01"; $2 = "02:00:00:00:00:02"; $3 = 42
        sub(/^192\.0\.2\./, "10.9.8.", $4); sub(/^192\.0\.2\./, "10.9.8.", $5)
        print }' | diff - got
    grep -q $'\t10\\.9\\.8\\.' got
}

@test "at-replay: snapped packets are filled up, sent as they are, or not" {
    make_wires 1
    local f=$TEST_DATA/bulk-s96.pcap
    at-convert -q -n 500 "$f" snapped.pcap
    there_is snapped.pcap snapped.pcap --truncated send
    listen r1 got.pcap
    "${there[@]}" at-replay -q -i s1 --pps 20000 snapped.pcap
    hang_up got.pcap 500
    diff <(records snapped.pcap | cut -d ' ' -f 3) \
        <(records got.pcap | cut -d ' ' -f 2)
    run --separate-stderr "${there[@]}" at-replay --json -i s1 --top-speed \
        --truncated skip snapped.pcap
    [ "$status" -eq 0 ]
    [ "$(python3 -c 'import json, sys
r = json.loads(sys.argv[1])
print(r["packets"] + r["not_sent"]["truncated"])' "$output")" -eq 500 ]
}

@test "at-replay: each direction has its interface" {
    make_wires 2
    local n=1 asked
    at-convert -q --direction "net:192.0.2.0/24" "$TEST_DATA/http.pcap" both.erf
    at-dump --json both.erf >dump
    for way in in out; do
        asked=$(grep -c "\"direction\":\"$way\"" dump)
        [ "$asked" -gt 0 ]
        listen "r$n" "got.pcap"
        "${there[@]}" at-replay -q --pps 20000 -i in=s1 -i out=s2 both.erf
        hang_up got.pcap "$asked"
        [ "$(frames got.pcap | wc -l)" -eq "$asked" ]
        n=$((n + 1))
    done
}

@test "at-replay: an archive's answer is played in its order" {
    make_wires 1
    at-ingest -q --settle 0s archive "$TEST_DATA/http.pcap" "$TEST_DATA/dns.pcap"
    at-query -q -w asked.pcap archive port 53
    listen r1 got.pcap
    "${there[@]}" at-replay -q -i s1 --max-gap 1ms -f 'port 53' archive
    hang_up got.pcap "$(at-info -c asked.pcap | cut -f 1)"
    diff <(frames asked.pcap) <(frames got.pcap)
}

@test "at-replay: nothing comes too early, and the report says how it was" {
    make_wires 1
    at-convert -q -n 400 "$TEST_DATA/http.pcap" asked.pcap
    listen r1 got.pcap
    run --separate-stderr "${there[@]}" at-replay --json -i s1 --pps 1000 \
        asked.pcap
    [ "$status" -eq 0 ]
    hang_up got.pcap 400
    python3 - "$output" <<'END'
import json, sys
from records import records
r = json.loads(sys.argv[1])
t = [ns for ns, _, _ in records("got.pcap")]
assert r["packets"] == 400 == len(t)
assert abs(r["asked_seconds"] - 0.399) < 1e-9
assert r["seconds"] >= 0.399
# Packet N is due N ms after the first; what the clock of the other end says
# may be later by any time, but earlier only by what the first was late.
first = r["lateness_ns"]["max"] / 1e6 + 0.2
for i, ns in enumerate(t):
    assert (ns - t[0]) / 1e6 >= i - first, (i, ns - t[0])
assert r["lateness_ns"]["median"] <= r["lateness_ns"]["p99"]
assert r["lateness_ns"]["p99"] <= r["lateness_ns"]["max"]
END
}

@test "at-replay: loops, limits, a start that is skipped" {
    make_wires 1
    at-convert -q -n 50 "$TEST_DATA/dns.pcap" asked.pcap
    listen r1 got.pcap
    "${there[@]}" at-replay -q -i s1 --top-speed --loop 3 --limit 120 asked.pcap
    hang_up got.pcap 120
    for _ in 1 2 3; do frames asked.pcap; done | head -n 120 |
        diff - <(frames got.pcap)
    at-replay -q --top-speed --skip 1s -o skipped.pcap "$TEST_DATA/dns.pcap"
    at-convert -q --from @"$(records "$TEST_DATA/dns.pcap" |
        awk 'NR == 1 { printf "%d.%09d", ($1 + 1e9) / 1e9, $1 % 1e9 }')" \
        "$TEST_DATA/dns.pcap" later.pcap
    diff <(frames later.pcap) <(frames skipped.pcap)
}

@test "at-replay: a start at a time" {
    local before after
    before=$(date +%s%N)
    at-replay -q --at +1s --top-speed -o out.pcap "$TEST_DATA/dns.pcap"
    after=$(date +%s%N)
    [ $((after - before)) -ge 1000000000 ]
    run --separate-stderr at-replay --at -1s -o out.pcap "$TEST_DATA/dns.pcap"
    [ "$status" -eq 2 ]
}

@test "at-replay: a pipe is written at the pace, with the captured times" {
    at-convert -q -n 40 "$TEST_DATA/dns.pcap" few.pcap
    at-replay -q --pps 100 -o - few.pcap | (
        read -r -N 1 -t 5 _ # the header is there at once
        cat >/dev/null
    )
    at-replay -q --top-speed -o - few.pcap >out.pcap
    diff <(records few.pcap) <(records out.pcap)
    at-query -q -w - few.pcap port 53 | at-replay -q --top-speed -o out.pcap -
    at-query -q -w asked.pcap few.pcap port 53
    diff <(records asked.pcap) <(records out.pcap)
}

@test "at-replay: --anon plays what at-anon writes" {
    printf '1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202' >key
    chmod 600 key
    at-convert -q "$TEST_DATA/ipv6.pcap" ng.pcapng
    for in in http.pcap dns.pcap vlan.pcap vxlan.pcap icmp.pcap link.erf ng.pcapng; do
        [ -e "$in" ] || ln -s "$TEST_DATA/$in" .
        for policy in headers caida mawi waikato strict; do
            at-anon -q --policy $policy --key key "$in" changed.pcap
            at-replay -q --top-speed -o want.pcap changed.pcap
            at-replay -q --top-speed -j 3 --anon $policy --key key -o got.pcap "$in"
            cmp got.pcap want.pcap || { echo "$in $policy"; false; }
        done
    done
    # the selection is of what was captured, other changes come after
    at-query -q -w dns.pcapng dns.pcap 'host 192.0.2.53 or udp port 53'
    at-anon -q --key key dns.pcapng changed.pcapng
    at-replay -q --top-speed --vlan 7 -o want.pcap changed.pcapng
    at-replay -q --top-speed --vlan 7 --anon headers --key key \
        -f 'host 192.0.2.53 or udp port 53' -o got.pcap dns.pcap
    cmp got.pcap want.pcap
    at-replay -q --top-speed --vlan 7 -o plain.pcap dns.pcapng
    not cmp -s got.pcap plain.pcap
}

@test "at-replay: what processing and the anonymiser drop is in the report" {
    need jq
    printf 'unknown = drop\nmac = keep\nscheme = truncate\n' >drops
    at-anon --policy drops "$TEST_DATA/sctp.pcap" out.pcap 2>said
    [[ "$(cat said)" != *checksum* ]]
    want=$(sed -n 's/.* \([0-9]*\) packets dropped.*/\1/p' said)
    [ "$want" -gt 0 ]
    at-replay -q --json --top-speed --anon drops -o got.pcap "$TEST_DATA/sctp.pcap" >report
    [ "$(jq .not_sent.dropped_by_anonymiser report)" -eq "$want" ]
    [ "$(jq .not_sent.dropped_by_processing report)" -eq 0 ]
    at-replay --top-speed --anon drops -o got.pcap "$TEST_DATA/sctp.pcap" 2>said
    grep -q "^at-replay: $want packets not sent: dropped_by_anonymiser$" said
    # a wrong checksum
    python3 - "$TEST_DATA/dns.pcap" bad.pcap <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
order = ">" if data[0] == 0xa1 else "<"
at = 24
for i in range(3):
    n = struct.unpack_from(order + "I", data, at + 8)[0]
    data[at + 16 + 14 + 10] ^= 0x55  # of the IPv4 header
    at += 16 + n
open(sys.argv[2], "wb").write(data)
END
    at-convert --checksum drop bad.pcap left.pcap 2>/dev/null
    at-replay -q --json --top-speed --checksum drop -o got.pcap bad.pcap >report
    diff <(records left.pcap) <(records got.pcap)
    dropped=$(($(records bad.pcap | wc -l) - $(records left.pcap | wc -l)))
    [ "$dropped" -gt 0 ]
    [ "$(jq .not_sent.dropped_by_processing report)" -eq "$dropped" ]
}

@test "at-replay: directories, patterns and lists are inputs, and archives among them" {
    mkdir -p in/more
    cp "$TEST_DATA/dns.pcap" in/a.pcap
    cp "$TEST_DATA/icmp.pcap" in/more/b.pcap
    at-replay -q --top-speed -o want.pcap in/a.pcap in/more/b.pcap
    printf 'in/a.pcap\nin/more\n' >list
    for input in in @list 'in/*'; do
        at-replay -q --top-speed -o got.pcap "$input"
        cmp got.pcap want.pcap
    done
    at-ingest -q in/day "$TEST_DATA/tls.pcap"
    at-replay -q --top-speed -o want.pcap in/a.pcap in/day in/more/b.pcap
    at-replay -q --top-speed -o got.pcap in
    diff <(records got.pcap) <(records want.pcap)
    [ "$(records got.pcap | wc -l)" -gt "$(records "$TEST_DATA/tls.pcap" | wc -l)" ]
    mkdir empty
    run at-replay -q --top-speed -o x empty
    [ "$status" -eq 1 ]
    [[ $output == 'at-replay: empty: no file is in it' ]]
}

@test "at-replay: stopped in the middle, the report is true" {
    make_wires 1
    listen r1 got.pcap
    "${there[@]}" at-replay --json -i s1 --pps 200 "$TEST_DATA/http.pcap" \
        >report 2>words &
    sleep 1
    kill -INT $!
    wait $! || true
    hang_up got.pcap "$(python3 -c 'import json
print(json.load(open("report"))["packets"])')"
    [ "$(python3 -c 'import json
print(json.load(open("report"))["packets"])')" -eq \
        "$(frames got.pcap | wc -l)" ]
    [ "$(frames got.pcap | wc -l)" -gt 10 ]
}

@test "at-replay: an interface that goes down is one clear error" {
    make_wires 1
    "${there[@]}" at-replay --json -i s1 --pps 200 "$TEST_DATA/http.pcap" \
        >report 2>words &
    sleep 0.5
    ip -n "$a" link set s1 down
    local status=0
    wait $! || status=$?
    [ "$status" -eq 1 ]
    [ "$(grep -v 'packets' words)" = 'at-replay: s1: cannot send: the interface is down' ]
    python3 -c 'import json
assert 0 < json.load(open("report"))["packets"] < 1000'
    run "${there[@]}" at-replay -i s1 "$TEST_DATA/http.pcap"
    [ "$status" -eq 1 ]
    [ "$output" = 'at-replay: s1: cannot send: the interface is down' ]
    run "${there[@]}" at-replay -i nothing "$TEST_DATA/http.pcap"
    [ "$status" -eq 1 ]
    [ "$output" = 'at-replay: nothing: no such interface' ]
}

@test "at-replay: an interface that may lead somewhere is refused" {
    make_wires 1
    ip -n "$a" link add br0 type bridge 2>/dev/null || skip 'no bridges here'
    ip -n "$a" link set br0 up
    run "${there[@]}" at-replay -i br0 --top-speed "$TEST_DATA/dns.pcap"
    [ "$status" -eq 1 ]
    [[ $output == *--yes-i-own-this-network* ]]
    "${there[@]}" at-replay -q -i br0 --top-speed --yes-i-own-this-network \
        "$TEST_DATA/dns.pcap"
}

@test "at-replay: CAP_NET_RAW is enough, and is gone while it plays" {
    make_wires 1
    need setpriv
    cp "$TEST_DATA/http.pcap" .
    chmod -R a+rX "$BATS_TEST_TMPDIR"
    cp "$(command -v at-replay)" .
    setpriv --reuid 65534 test -r http.pcap || skip 'others cannot read here'
    "${there[@]}" setpriv --reuid 65534 --clear-groups --inh-caps -all,+net_raw \
        --ambient-caps +net_raw --bounding-set +net_raw \
        ./at-replay -q -i s1 --pps 500 http.pcap &
    sleep 0.7
    grep -q '^CapEff:[[:space:]]*0*$' "/proc/$!/status"
    wait $!
    run "${there[@]}" setpriv --reuid 65534 --clear-groups ./at-replay -i s1 \
        http.pcap
    [ "$status" -eq 1 ]
    [[ $output == *CAP_NET_RAW* ]]
}

@test "at-replay: wrong usage" {
    for options in '' '-i lo -o x' '-o x --pps 0' '-o x --speed nan' \
        '-o x --speed 1 --top-speed' '-o x --vlan 4095' '-i =lo' \
        '-o x --net 10.0.0.0/8' '-o x --mac a=b' '-o x --loop 2 -' \
        '-o x --key key' '-o x --anon caida' \
        '-o x --anon headers --key a --passphrase b' \
        '-o x --anon headers --scheme best'; do
        echo "$options"
        # shellcheck disable=SC2086 # several words
        run at-replay $options "$TEST_DATA/dns.pcap"
        [ "$status" -eq 2 ]
    done
    run at-replay -o x
    [ "$status" -eq 2 ]
    [ ! -e x ]
}

@test "at-replay: a full disk is an error" {
    run at-replay -q --top-speed -o /dev/full "$TEST_DATA/dns.pcap"
    [ "$status" -eq 1 ]
    [[ $output == *'/dev/full: cannot write: '* ]]
}
