#!/usr/bin/env bats
# at-app as a user meets it, and the flow table held against that of others.

# shellcheck disable=SC1083 # fields of names, not braces of the shell

load helpers

setup() {
    DATA=$TEST_DATA
    cd "$BATS_TEST_TMPDIR" || return
}

flows='start,end,duration,proto,src,sport,dst,dport,packets_out,packets_in,bytes_out,bytes_in'

@test "app: columns are those of the reference" {
    at-app -q --format csv "$DATA/dns.pcap" >got
    [ "$(head -1 got)" = "$flows,app,category,confidence" ]
    [ "$(wc -l <got)" -gt 1 ]
}

apps() { # file: its applications, each once
    at-app -q --format csv --fields app "$1" | sed 1d | sort -u | xargs
}

@test "app: what was recorded is known again" {
    [ "$(apps "$DATA/dns.pcap")" = 'dns icmp icmpv6' ]
    [[ "$(apps "$DATA/http.pcap")" == *http* ]]
    [[ "$(apps "$DATA/tls.pcap")" == *tls* ]]
    [[ "$(apps "$DATA/ssh.pcap")" == *ssh* ]]
    for app in smtp ntp ftp ftp-data dns; do
        [[ " $(apps "$DATA/mail-ntp-ftp.pcap") " == *" $app "* ]]
    done
    [[ " $(apps "$DATA/bittorrent.pcap.gz") " == *' bittorrent '*' http '* ]]
    [[ " $(apps "$DATA/scan.pcap.gz") " == *' no-payload '* ]]
    [[ " $(apps "$DATA/vxlan.pcap") " == *' vxlan '* ]]
}

@test "app: payload that was not captured is not taken for unknown" {
    at-convert -q --snap l4 "$DATA/http.pcap" cut.pcap
    [[ " $(apps cut.pcap) " == *' not-captured '* ]]
    [[ " $(apps cut.pcap) " != *' http '* ]]
    [[ " $(apps cut.pcap) " != *' unknown '* ]]
}

@test "app: --rules come before the built-in ones" {
    need tshark
    printf 'app ours lab "our own"\n  tcp @80 "GET "\n' >our.rules
    at-app -q --rules our.rules --format csv --fields app,category,confidence \
        "$DATA/http.pcap" >got
    grep -q '^ours,lab,pattern+port$' got
    # all that begin so, and no other: there are a HEAD and a POST, too
    [ "$(grep -c '^ours,lab,' got)" -eq "$(tshark -r "$DATA/http.pcap" \
        -Y 'http.request and tcp.dstport == 80' -T fields -e tcp.stream \
        -e http.request.method 2>/dev/null |
        awk '!seen[$1]++ && $2 == "GET" { n++ } END { print n }')" ]

    printf 'app ours lab "our own"\n  tcp @80 nonsense\n' >our.rules
    run --separate-stderr at-app --rules our.rules "$DATA/http.pcap"
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [[ $stderr == *'our.rules: line 2, at '* ]]
}

@test "app: --unknown tells what flows have in common as a rule" {
    need jq
    printf 'app ours lab "our own"\n' >our.rules
    at-app -q --unknown --json "$DATA/bulk-s96.pcap" "$DATA/mail-ntp-ftp.pcap" \
        >groups
    [ "$(jq -s 'map(.flows) | add' groups)" -eq "$(at-app -q --format csv \
        --fields proto,app "$DATA/bulk-s96.pcap" "$DATA/mail-ntp-ftp.pcap" |
        grep -cE '^(tcp|udp),(unknown|one-way)$')" ]
    jq -r .rule groups | sed 's/^/  /' >>our.rules
    # As rules they name everything, so nothing is left.
    [ -z "$(at-app -q --unknown --json --rules our.rules \
        "$DATA/bulk-s96.pcap" "$DATA/mail-ntp-ftp.pcap")" ]
    at-app -q --unknown "$DATA/mail-ntp-ftp.pcap" | head -1 | grep -q 'flows *packets *bytes rule'
    [ "$(at-app -q --unknown --format csv "$DATA/mail-ntp-ftp.pcap" | head -1)" = flows,packets,bytes,rule ]
}

# snapped file: the applications of its flows, whole and cut to 4 bytes
same_when_snapped() {
    local cols=start,proto,src,sport,dst,dport,app,confidence
    at-convert -q --snap l4+4 "$1" snapped.pcapng 2>/dev/null || return 0
    at-app -q --format csv --fields $cols "$1" >whole.csv || return 0
    at-app -q --format csv --fields $cols snapped.pcapng |
        diff whole.csv - || {
        echo "$1"
        return 1
    }
}

@test "app: four bytes of payload give all names that whole packets give" {
    for f in "$DATA"/*.pcap "$DATA"/*.gz "$DATA"/link.erf; do
        same_when_snapped "$f"
    done
}

@test "app: the same for the captures of the corpus" {
    need_corpus
    local n=0
    while read -r f; do
        same_when_snapped "$f" 2>/dev/null
        n=$((n + 1))
    done < <(find "$CORPUS" -type f \( -name '*.pcap*' -o -name '*.cap' -o \
        -name '*.erf*' -o -name '*.trace' \) | sort | awk "NR % ${SNAP_STEP:-4} == 0")
    [ "$n" -gt 0 ]
}

@test "app: an index has the names that a scan finds, and finds flows by them" {
    local cols=start,proto,src,sport,dst,dport,app,category,confidence
    for f in "$DATA"/{mail-ntp-ftp,http,scan,bittorrent,tls}.pcap*; do
        cp "$f" one
        rm -f one.idx
        at-query -q --format csv --fields $cols one >scan
        for expr in 'app http' 'category mail' 'not app dns' \
            'app ntp or app no-payload' 'app ftp and bytes > 1k' 'app nosuch'; do
            at-query -q --format csv --fields $cols one -e "$expr" \
                >"scan of $expr"
        done
        at-index -q one
        at-query -q --format csv --fields $cols one | diff scan -
        for expr in 'app http' 'category mail' 'not app dns' \
            'app ntp or app no-payload' 'app ftp and bytes > 1k' 'app nosuch'; do
            at-query -q --format csv --fields $cols one -e "$expr" |
                diff "scan of $expr" -
        done
        grep -c ,http, scan >n || true
        [ "$(at-query -q --count one 'app http')" -eq "$(cat n)" ]
    done
}

@test "app: packets of an application" {
    at-query -q -w got.pcap "$DATA/mail-ntp-ftp.pcap" 'app ntp'
    at-convert -q -f 'udp port 123' "$DATA/mail-ntp-ftp.pcap" want.pcap
    at-diff got.pcap want.pcap
}

@test "app: the view of an index tells names to SQL" {
    need sqlite3
    cp "$DATA/mail-ntp-ftp.pcap" one
    at-index -q one
    at-query -q --format csv --fields app,category,confidence one | sed 1d |
        sort >want
    sqlite3 -csv one.idx 'SELECT app, category, confidence FROM flows' |
        sort | diff want -
}

@test "app: reindex gives an archive other names without its packets" {
    need sqlite3
    at-ingest -q --flush ar "$DATA"/{http,tls,dns}.pcap
    at-query -q --format csv --fields src,dst,app,confidence ar >old
    at-ingest -q --flush --rules our.rules none "$DATA/dns.pcap" 2>/dev/null &&
        false
    printf 'app ours lab "our own"\n  tcp @80 "GET "\n' >our.rules
    at-ingest -q --flush --rules our.rules want "$DATA"/{http,tls,dns}.pcap
    find ar -name '*.pcap.gz' -exec chmod 0 {} + # nobody reads these

    run --separate-stderr at-archive reindex --app --rules our.rules ar
    [ "$status" -eq 0 ]
    [[ $stderr == 'at-archive: '*' flows have another application'* ]]
    for index in $(cd ar && find . -name '*.idx'); do
        sqlite3 "ar/$index" .dump >got.sql
        sqlite3 "want/$index" .dump | diff got.sql -
        [ "$(wc -c <"ar/$index")" -eq "$(wc -c <"want/$index")" ]
    done
    find ar -name '*.pcap.gz' -exec chmod 644 {} +
    [ "$(at-query -q --count ar 'app ours')" -gt 0 ]
    at-query -q --count ar 'category lab' |
        diff - <(at-query -q --count ar 'app ours')

    at-archive -q reindex --app ar
    at-query -q --format csv --fields src,dst,app,confidence ar | diff old -
    run --separate-stderr at-archive reindex --app ar
    [[ $stderr == 'at-archive: 0 of '* ]]
    run at-archive reindex ar
    [ "$status" -eq 2 ]
}

@test "app: names agree with those that nDPI found" {
    need_corpus
    need python3
    # --list, so that a failure shows what has changed
    "$TOP/test/accuracy/accuracy.py" --check --no-ndpi --list "$CORPUS" >got ||
        {
            cat got
            return 1
        }
    grep -E '^at-app, 4 bytes' got
}

@test "app: the flows are those of at-query" {
    for f in "$DATA"/{dns,http,icmp,ipv6,vlan,vxlan,fragments,sctp}.pcap; do
        at-app -q --format csv --fields "$flows" "$f" >got
        at-query -q --format csv --fields "$flows" "$f" | diff - got
    done
}

@test "app: the same for any number of threads, and from standard input" {
    at-app -q -j1 --format csv "$DATA/lan.pcap" >one
    at-app -q -j4 --format csv "$DATA/lan.pcap" | diff one -
    at-app -q --format csv - <"$DATA/lan.pcap" | diff one -
}

@test "app: several inputs are one trace" {
    at-convert -q -f 'less 99' "$DATA/http.pcap" part-0.pcap
    at-convert -q -f 'greater 100' "$DATA/http.pcap" part-1.pcap
    at-app -q --format csv "$DATA/http.pcap" >want
    at-app -q --format csv part-*.pcap | diff want -
}

@test "app: -f, --from and -n select packets before there are flows" {
    at-convert -q -f 'port 53' "$DATA/lan.pcap" some.pcap
    at-app -q --format csv some.pcap >want
    at-app -q --format csv -f 'port 53' "$DATA/lan.pcap" | diff want -
    [ "$(at-app -q --json -n 1 "$DATA/lan.pcap" | wc -l)" -eq 1 ]
}

@test "app: JSON has numbers where there are numbers" {
    need jq
    at-app -q --json "$DATA/dns.pcap" >got
    at-convert -q -f 'ip or ip6' "$DATA/dns.pcap" ip.pcap
    [ "$(jq -s 'map(.packets_out + .packets_in) | add' got)" -eq \
        "$(at-info --json ip.pcap | jq .packets)" ]
}

@test "app: a cut file gives its flows, one message, exit 1" {
    head -c 5000 "$DATA/http.pcap" >cut.pcap
    run --separate-stderr at-app -q --format csv cut.pcap
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -gt 1 ]
    one_message
}

@test "app: a full disk is an error" {
    run bash -c "at-app -q '$DATA/http.pcap' >/dev/full"
    [ "$status" -eq 1 ]
}

# ---- keys

@test "app: --flow-key inner has the flows of what is in tunnels" {
    need tshark
    at-app -q --format csv --fields "$flows" --flow-key vlan,inner "$DATA/vxlan.pcap" >got
    # where there is no IP in a tunnel its own packets are a flow
    [ "$(grep -c ',4789,' got)" -eq "$(tshark -r "$DATA/vxlan.pcap" \
        -Y 'vxlan and arp' 2>/dev/null | wc -l)" ]
    # Every packet is still counted once; lengths are those inside.
    sums() { awk -F, 'NR > 1 { n += $9 + $10; b += $11 + $12 }
        END { print n, b }'; }
    read -r n b < <(sums <got)
    read -r outer_n outer_b < <(at-app -q --format csv --fields "$flows" \
        "$DATA/vxlan.pcap" | sums)
    [ "$n" -eq "$outer_n" ]
    [ "$b" -lt "$outer_b" ]
    # What is in no tunnel is as it was.
    at-app -q --format csv "$DATA/http.pcap" >want
    at-app -q --flow-key vlan,inner --format csv "$DATA/http.pcap" | diff want -
}

@test "app: --flow-key inner has the inner ports of tshark" {
    need tshark
    # The innermost are the last; a tunnel that carries ARP stays what it is.
    tshark -r "$DATA/vxlan.pcap" -Y 'udp.port == 4789' \
        -T fields -e udp.port -e tcp.port 2>/dev/null | tr '\t,' '\n' |
        grep . | sort -u >theirs
    at-app -q --format csv --flow-key vlan,inner --fields proto,sport,dport \
        -f 'udp port 4789' "$DATA/vxlan.pcap" |
        awk -F, '$1 == "tcp" || $1 == "udp" { print $2; print $3 }' |
        sort -u >ours
    grep -v '^4789$' ours | grep -q .
    [ -z "$(comm -13 theirs ours)" ]
}

@test "app: --flow-key tells which tag is part of a flow" {
    f=src,sport,dst,dport,vlan
    at-app -q --format csv --fields $f "$DATA/vlan.pcap" >outer
    at-app -q --format csv --fields $f --flow-key inner-vlan "$DATA/vlan.pcap" >inner
    at-app -q --format csv --fields $f --flow-key none "$DATA/vlan.pcap" >none
    not cmp -s outer inner
    cut -d, -f5 none | sed 1d | not grep .
    cut -d, -f1-4 outer | sort -u | diff - <(sort -u none | cut -d, -f1-4)
    run at-app --conformance --flow-key none "$DATA/vlan.pcap"
    [ "$status" -eq 2 ]
}

# ---- conformance

counts() { # file
    at-app -q --conformance --format csv \
        --fields proto,src,sport,dst,dport,packets_out,packets_in "$1"
}

@test "app: --conformance goes into VXLAN, and has no later fragments" {
    need tshark
    counts "$DATA/vxlan.pcap" >got
    [ "$(grep -c ',4789,' got)" -eq "$(tshark -r "$DATA/vxlan.pcap" \
        -Y 'vxlan and arp' 2>/dev/null | wc -l)" ]
    [ "$(wc -l <got)" -gt 1 ]
    [ "$(at-app -q --json --conformance -f 'ip[6:2] & 0x1fff != 0' \
        "$DATA/fragments.pcap" | wc -l)" -eq 0 ]
}

@test "app: --conformance has bytes of frames, and one flow for ends used again" {
    need jq
    at-app -q --json --conformance -f tcp "$DATA/http.pcap" >got
    [ "$(jq -s 'map(.bytes_out + .bytes_in) | add' got)" -eq \
        "$(at-convert -q -f tcp "$DATA/http.pcap" - -F pcap |
            at-info --json - | jq .captured_bytes)" ]
    [ "$(jq -r '[.src, .sport, .dst, .dport] | @csv' got | sort | uniq -d |
        wc -l)" -eq 0 ]
}

@test "app: --conformance gives nDPI's flows for all of its captures" {
    need_corpus
    need python3
    run python3 "$TOP/test/conformance.py" "$CORPUS" "$TOP/test/conformance.tsv"
    echo "$output"
    [ "$status" -eq 0 ]
}

# ---- for programs that learn ---------------------------------------------

@test "app: features are what they say, of flows taken apart by others" {
    need python3
    for in in dns.pcap http.pcap tls.pcap bulk-s96.pcap; do
        at-app -q --features --format csv "$DATA/$in" >got.csv
        at-app -q --format csv --fields start,proto,src,sport,dst,dport,app \
            "$DATA/$in" >flows.csv
        python3 - "$DATA/$in" got.csv flows.csv <<'END_OF' || { echo "$in"; false; }
import csv, math, socket, struct, sys
from collections import Counter
from records import records

def parse(frame, wire):
    at = 12
    kind, = struct.unpack_from(">H", frame, at)
    if kind != 0x0800:
        return None
    ihl, proto = (frame[14] & 15) * 4, frame[23]
    total, = struct.unpack_from(">H", frame, 16)
    if proto not in (6, 17) or struct.unpack_from(">H", frame, 20)[0] & 0x3fff:
        return None
    t = 14 + ihl
    ports = struct.unpack_from(">HH", frame, t)
    header = (frame[t + 12] >> 4) * 4 if proto == 6 else 8
    return (socket.inet_ntoa(frame[26:30]), ports[0], socket.inet_ntoa(frame[30:34]),
            ports[1], proto, total, total - ihl - header)

packets = {}
for ns, frame, wire in records(sys.argv[1]):
    p = parse(frame, wire)
    if p is None:
        continue
    a, b = (p[0], p[1]), (p[2], p[3])
    packets.setdefault((p[4], frozenset((a, b))), []).append((ns, a, p[5], p[6]))
got = list(csv.DictReader(open(sys.argv[2])))
flows = list(csv.DictReader(open(sys.argv[3])))
assert len(got) == len(flows) > 1
key = lambda f: ({"tcp": 6, "udp": 17}.get(f["proto"]), frozenset(
    ((f["src"], int(f["sport"])), (f["dst"], int(f["dport"])))))
many = Counter(key(f) for f in flows)
def check(row, name, value):
    if value is None:
        assert row[name] == "", (name, row[name])
    else:
        assert math.isclose(float(row[name]), value, rel_tol=1e-6, abs_tol=1e-9), \
            (name, row[name], value)
checked = 0
for row, flow in zip(got, flows):
    assert row["app"] == flow["app"]
    k = key(flow)
    if k not in packets or many[k] > 1:
        continue
    all_of = packets[k]
    src = (flow["src"], int(flow["sport"]))
    check(row, "duration", (max(p[0] for p in all_of) - min(p[0] for p in all_of)) / 1e9)
    for way in "out", "in":
        mine = [p for p in all_of if (p[1] == src) == (way == "out")]
        sizes = [p[3] for p in mine if p[3] > 0]
        gaps, last = [], None
        for p in mine:
            if last is not None:
                gaps.append(max(0, p[0] - last) / 1e9)
            last = p[0] if last is None else max(last, p[0])
        check(row, "packets_" + way, len(mine))
        check(row, "bytes_" + way, sum(p[2] for p in mine))
        check(row, "payload_" + way, sum(sizes))
        for what, values in ("payload", sizes), ("gap", gaps):
            mean = sum(values) / len(values) if values else None
            check(row, f"{what}_min_{way}", min(values) if values else None)
            check(row, f"{what}_max_{way}", max(values) if values else None)
            check(row, f"{what}_mean_{way}", mean)
            check(row, f"{what}_dev_{way}", math.sqrt(
                sum((v - mean) ** 2 for v in values) / len(values)) if values else None)
    checked += 1
assert checked > 3, checked
END_OF
    done
}

@test "app: --arff is what Weka reads, and the CSV" {
    at-app -q --arff "$DATA/mail-ntp-ftp.pcap" >got.arff
    at-app -q --features --format csv "$DATA/mail-ntp-ftp.pcap" >got.csv
    python3 - got.arff got.csv <<'END_OF'
import csv, re, sys
head, data = open(sys.argv[1]).read().split("@data\n")
rows = list(csv.reader(open(sys.argv[2])))
names = re.findall(r"^@attribute (\S+) numeric$", head, re.M)
classes = re.search(r"^@attribute app \{(.*)\}$", head, re.M)[1].split(",")
assert head.startswith("@relation flows\n")
assert names + ["app"] == rows[0]
assert len(classes) > 200 and len(set(classes)) == len(classes)
lines = data.splitlines()
assert len(lines) == len(rows) - 1 > 10
for line, row in zip(lines, rows[1:]):
    assert line.split(",") == [v or "?" for v in row]
    assert row[-1] in classes
END_OF
    for j in 1 2 3 8; do
        at-app -q -j $j --arff - <"$DATA/mail-ntp-ftp.pcap" | cmp - got.arff
    done
    at-app -q --features --json "$DATA/dns.pcap" | head -n 1 | jq -e \
        '.app == "dns" and .gap_min_out == null and .packets_out == 1'
}

@test "app: --interval counts what is in the piece of each application" {
    for in in mail-ntp-ftp.pcap lan.pcap fragments.pcap; do
        rm -rf o && mkdir o
        at-split -q --by app -o o/{key}.pcap "$DATA/$in"
        at-app -q --interval 2s --format csv "$DATA/$in" >got
        [ "$(head -n 1 got)" = 'start,end,app,category,flows,packets,bytes' ]
        for f in o/*; do
            app=$(basename "$f" .pcap)
            [[ $app != ethertype-* ]] || continue
            at-stats -q --interval 2s --format csv "$f" |
                awk -F, '$3 == "all" && $4 > 0 { print $1","$2","$4 }' >want
            awk -F, -v app="$app" '$3 == app { print $1","$2","$6 }' got |
                diff want - || { echo "$in $app"; false; }
        done
        # one interval that holds all: the flows
        at-app -q --interval 10000d --format csv "$DATA/$in" | sed 1d |
            cut -d, -f3,5,6 | sort >all
        at-top -q -k app -n 0 --format csv "$DATA/$in" | sed 1d |
            cut -d, -f1,3,4 | sort | diff all -
        at-app -q --format csv --fields app,bytes_out,bytes_in "$DATA/$in" | sed 1d |
            awk -F, '{ n[$1] += $2 + $3 } END { for (a in n) print a","n[a] }' |
            sort >want
        at-app -q --interval 10000d --format csv "$DATA/$in" | sed 1d |
            cut -d, -f3,7 | sort | diff want -
        for j in 1 2 3 8; do
            at-app -q -j $j --interval 2s --format csv - <"$DATA/$in" | cmp - got
        done
    done
}

@test "app: mistakes, of which answer is wanted" {
    for args in '--arff --unknown' '--arff --json' '--features --interval 1s' \
        '--interval -1s' '--interval soon' '--arff --format csv' \
        '--features --fields src'; do
        # shellcheck disable=SC2086
        run --separate-stderr at-app $args "$DATA/dns.pcap"
        [ "$status" -eq 2 ] || { echo "$args: $status"; false; }
        [ -z "$output" ]
    done
}
