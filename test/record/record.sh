#!/usr/bin/env bash
# record.sh - record the captures of test/data: see README.md beside this file
#
# usage: record.sh [-o directory] [topic ...]
#
# Every host is a network namespace of our own, named rec-*, and no packet
# leaves them.  All servers listen inside; their files lie in one temporary
# directory.  At exit, however it comes, all of it goes away.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$here/../data
all_topics=(lan dns http tls ssh mail-ntp-ftp icmp ipv6 vlan fragments scan
    bittorrent loss link vxlan sctp bulk-s96 link-s94)
hosts=(alice bob carol rtr core srv far mobile sw)
usrsctp=/usr/lib/usrsctp
tmp=
pids=()      # servers
captures=()  # "pid name" of each running tcpdump
made_netns=() # directories made under /etc/netns

die() {
    echo "record.sh: $*" >&2
    exit 1
}

cleanup() {
    local h d p
    set +e
    for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
    for h in "${hosts[@]}"; do
        ip netns pids "rec-$h" 2>/dev/null | xargs -r kill -KILL
        ip netns del "rec-$h" 2>/dev/null
    done
    wait 2>/dev/null
    for d in "${made_netns[@]}"; do rm -rf "/etc/netns/rec-$d"; done
    rmdir --ignore-fail-on-non-empty /etc/netns 2>/dev/null
    [ -z "$tmp" ] || rm -rf "$tmp"
}

need() {
    local c
    for c in "$@"; do
        command -v "$c" >/dev/null || die "$c is missing: see README.md"
    done
}

# on HOST COMMAND ...: run it there
on() {
    local h=$1
    shift
    ip netns exec "rec-$h" "$@"
}

# try HOST COMMAND ...: the same, within a time; it may fail, some must
try() {
    local h=$1
    shift
    on "$h" timeout -k 2 40 "$@" </dev/null >>"$tmp/log/traffic" 2>&1 || true
}

serve() {
    local h=$1
    shift
    ip netns exec "rec-$h" "$@" </dev/null >>"$tmp/log/servers" 2>&1 &
    pids+=($!)
}

# ---- the network -----------------------------------------------------------

# link HOST IF HOST IF: a cable; offloads are off, so that a capture shows
# packets as a wire would carry them, with true checksums
link() {
    ip link add "$2" netns "rec-$1" type veth peer name "$4" netns "rec-$3"
    port "$1" "$2"
    port "$3" "$4"
}

port() {
    on "$1" ethtool -K "$2" rx off tx off sg off tso off gso off gro off \
        >/dev/null
    ip -n "rec-$1" link set "$2" up
}

addr() {
    local h=$1 dev=$2 a
    shift 2
    for a in "$@"; do
        case $a in
        *:*) ip -n "rec-$h" addr add "$a" dev "$dev" nodad ;;
        *) ip -n "rec-$h" addr add "$a" dev "$dev" ;;
        esac
    done
}

gateway() {
    ip -n "rec-$1" route add default via "$2"
    ip -n "rec-$1" -6 route add default via "$3"
}

make_hosts() {
    local h
    for h in "${hosts[@]}"; do
        ip netns add "rec-$h"
        ip -n "rec-$h" link set lo up
        on "$h" sysctl -qw net.ipv4.icmp_ratelimit=0 \
            net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000 \
            net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0
    done
    for h in rtr core; do
        on "$h" sysctl -qw net.ipv4.ip_forward=1 \
            net.ipv6.conf.all.forwarding=1
    done
    for h in alice bob carol far mobile; do
        [ ! -e "/etc/netns/rec-$h" ] || die "/etc/netns/rec-$h is in the way"
        mkdir -p "/etc/netns/rec-$h"
        made_netns+=("$h")
        echo nameserver 192.0.2.53 >"/etc/netns/rec-$h/resolv.conf"
    done
}

#   alice bob carol --- rtr --- core --- srv    192.0.2.0/24
#      10.1.0.0/24                |----- far    198.51.100.0/24, MTU 1300
#                                 |-sw-- mobile 10.9.0.0/24, slow and lossy
make_network() {
    local h n=11 s
    make_hosts
    ip -n rec-rtr link add br0 type bridge
    ip -n rec-rtr link set br0 up
    for h in alice bob carol; do
        link "$h" eth0 rtr "to-$h"
        ip -n rec-rtr link set "to-$h" master br0
        addr "$h" eth0 "10.1.0.$n/24" "2001:db8:1::$n/64"
        n=$((n + 1))
    done
    addr rtr br0 10.1.0.1/24 2001:db8:1::1/64
    for h in alice bob carol; do gateway "$h" 10.1.0.1 2001:db8:1::1; done

    link rtr wan0 core rtr0
    addr rtr wan0 10.255.0.1/30 2001:db8:ff::1/64
    addr core rtr0 10.255.0.2/30 2001:db8:ff::2/64
    gateway rtr 10.255.0.2 2001:db8:ff::2
    ip -n rec-core route add 10.1.0.0/24 via 10.255.0.1
    ip -n rec-core -6 route add 2001:db8:1::/64 via 2001:db8:ff::1

    link core srv0 srv eth0
    addr core srv0 192.0.2.1/24 2001:db8:2::1/64
    for s in 10 11 21 22 25 53 123; do
        addr srv eth0 "192.0.2.$s/24" "2001:db8:2::$s/64"
    done
    gateway srv 192.0.2.1 2001:db8:2::1

    link core far0 far eth0
    addr core far0 198.51.100.1/24 2001:db8:3::1/64
    addr far eth0 198.51.100.7/24 198.51.100.69/24 2001:db8:3::7/64
    gateway far 198.51.100.1 2001:db8:3::1
    ip -n rec-core link set far0 mtu 1300
    ip -n rec-far link set eth0 mtu 1300

    make_switch
    # Networks that core knows not to reach, each in its own way.
    ip -n rec-core route add unreachable 10.67.0.0/16
    ip -n rec-core route add prohibit 10.66.0.0/16
    ip -n rec-core -6 route add unreachable 2001:db8:66::/48
    ip -n rec-core -6 route add prohibit 2001:db8:67::/48
}

# sw is a cupboard of wires: the lossy cable to mobile, and two ends of a trunk
# whose access ports lead to second interfaces of the hosts.
make_switch() {
    local h n=0 d
    on sw sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
        net.ipv6.conf.default.disable_ipv6=1
    link core mob0 sw m1
    link sw m2 mobile eth0
    addr core mob0 10.9.0.1/24 2001:db8:9::1/64
    addr mobile eth0 10.9.0.7/24 2001:db8:9::7/64
    gateway mobile 10.9.0.1 2001:db8:9::1

    link sw trunk1 sw trunk2
    ip -n rec-sw link set trunk1 mtu 1600
    ip -n rec-sw link set trunk2 mtu 1600
    for h in alice bob carol; do
        n=$((n + 10))
        link "$h" lab0 sw "a$n"
        link srv "lab$n" sw "b$n"
        addr "$h" lab0 "10.$n.0.2/24" "fd00:$n::2/64"
        addr srv "lab$n" "10.$n.0.1/24" "fd00:$n::1/64"
    done
    for d in m1 m2 trunk1 trunk2 a10 a20 a30 b10 b20 b30; do
        ip -n rec-sw link set "$d" promisc on
    done
    serve sw python3 "$here/wire.py" --loss 4 --delay 20 --seed 7 m1 m2
    for d in a b; do
        [ $d = a ] && h=trunk1 || h=trunk2
        serve sw python3 "$here/wire.py" --tag 8100:10 ${d}10 $h
        serve sw python3 "$here/wire.py" --tag 8100:20 ${d}20 $h
        serve sw python3 "$here/wire.py" --tag 88a8:100 --tag 8100:30 ${d}30 $h
    done
}

make_files() {
    mkdir -p "$tmp"/{log,raw,www,ftp/incoming,empty,ssh,bt,dhcp,chrony}
    chmod 755 "$tmp"
    python3 "$here/make_site.py" "$tmp/www/site"
    cp "$tmp"/www/site/*.{txt,bin} "$tmp/ftp"
    chmod -R a+rX "$tmp/www" "$tmp/ftp"
    chmod 555 "$tmp/ftp"
    chmod 777 "$tmp/ftp/incoming"
    cp "$here/nginx.conf" "$tmp/www"
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=web.lab.example \
        -addext subjectAltName=DNS:web.lab.example,DNS:shop.lab.example \
        -keyout "$tmp/www/key.pem" -out "$tmp/www/cert.pem" 2>/dev/null
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$tmp/ssh/host"
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$tmp/ssh/user"
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$tmp/ssh/stranger"
    cp "$tmp/ssh/user.pub" "$tmp/ssh/authorized_keys"
}

start_servers() {
    local a sshd
    sshd=$(command -v sshd)
    serve srv nginx -p "$tmp/www/" -c nginx.conf -g 'pid srv.pid;' -e srv.log
    cp "$here/dnsmasq.conf" "$tmp"
    serve srv dnsmasq -C "$tmp/dnsmasq.conf"
    mkdir -p /run/sshd
    serve srv "$sshd" -D -e -f "$here/sshd_config" -p 22 -p 2222 \
        -h "$tmp/ssh/host" -o "AuthorizedKeysFile $tmp/ssh/authorized_keys"
    for a in 192.0.2.25 2001:db8:2::25; do
        serve srv /usr/bin/python3 -m aiosmtpd -n -l "$a:25" \
            --tlscert "$tmp/www/cert.pem" --tlskey "$tmp/www/key.pem" \
            --no-requiretls -c aiosmtpd.handlers.Sink
    done
    serve srv chronyd -d -x -u root 'local stratum 2' 'allow all' \
        'bindaddress 192.0.2.123' 'bindaddress 2001:db8:2::123' 'cmdport 0' \
        "pidfile $tmp/chrony/pid" 'bindcmdaddress /'
    serve srv vsftpd "$here/vsftpd.conf" "-oanon_root=$tmp/ftp" \
        "-osecure_chroot_dir=$tmp/empty"
    serve srv iperf3 -s
    serve far nginx -p "$tmp/www/" -c nginx.conf -g 'pid far.pid;' -e far.log
}

wait_for_servers() {
    for _ in {1..40}; do
        if on alice curl -sf -m 2 -o /dev/null http://web.lab.example/ &&
            on alice curl -sf -m 2 -o /dev/null ftp://ftp.lab.example/ &&
            on alice nc -z -w 1 192.0.2.25 25 && on alice nc -z -w 1 192.0.2.22 22
        then
            return
        fi
        sleep 0.25
    done
    cat "$tmp/log/servers" >&2
    die "the servers do not answer"
}

# ---- capturing -------------------------------------------------------------

# start NAME HOST IF [tcpdump options]
start() {
    local name=$1 h=$2 dev=$3
    shift 3
    # An empty cache makes a capture begin with ARP and neighbour discovery.
    ip -n "rec-$h" neigh flush all
    ip netns exec "rec-$h" tcpdump -U --immediate-mode -B 65536 -Z root \
        -i "$dev" -w "$tmp/raw/$name" "$@" 2>"$tmp/log/$name" &
    captures+=("$! $name")
    for _ in {1..100}; do
        grep -q 'listening on' "$tmp/log/$name" && return
        sleep 0.05
    done
    cat "$tmp/log/$name" >&2
    die "$name: tcpdump did not start"
}

# stop: end all captures; one that lost a packet is an error
stop() {
    local c pid name
    sleep 0.7
    for c in "${captures[@]}"; do
        read -r pid name <<<"$c"
        kill -INT "$pid"
        wait "$pid" || die "$name: tcpdump failed"
        grep -q '^0 packets dropped by kernel' "$tmp/log/$name" ||
            die "$name: $(grep dropped "$tmp/log/$name")"
    done
    captures=()
}

# planned FILE COLUMN
planned() {
    awk -F'\t' -v f="$1" -v c="$2" '$1 == f { print $c; n++ } END { exit !n }' \
        "$here/plan.tsv" || die "$1 is not in plan.tsv"
}

# keep RAW: shift it to its planned time and put it into the output directory
keep() {
    local file=$1.pcap
    [ -n "$(awk -F'\t' -v f="$file.gz" '$1 == f' "$here/plan.tsv")" ] && file+=.gz
    python3 "$here/shift_times.py" "$(planned "$file" 2)" "$tmp/raw/$1.pcap"
    case $file in
    *.gz) gzip -n -9 -c "$tmp/raw/$1.pcap" >"$out/$file" ;;
    *) cp "$tmp/raw/$1.pcap" "$out/$file" ;;
    esac
}

# keep_erf FILE: the same for the two sides of a link
keep_erf() {
    local sides=("$tmp/raw/out.pcap" "$tmp/raw/in.pcap")
    python3 "$here/shift_times.py" "$(planned "$1" 2)" "${sides[@]}"
    python3 "$here/to_erf.py" "$tmp/raw/link.erf" "${sides[@]}"
    case $1 in
    *.gz) gzip -n -9 -c "$tmp/raw/link.erf" >"$out/$1" ;;
    *) cp "$tmp/raw/link.erf" "$out/$1" ;;
    esac
}

# ---- clients ---------------------------------------------------------------

get() { # get HOST [curl options] URL ...: remote files are thrown away
    local h=$1
    shift
    try "$h" curl -s -m 30 "$@"
    sleep 0.1
}

ssh_opts=(-o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=5
    -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -F none)

ssh_to() { # ssh_to HOST TARGET COMMAND ...
    local h=$1
    shift
    try "$h" ssh "${ssh_opts[@]}" -i "$tmp/ssh/user" -l root "$@"
}

# Keys typed one by one, so that the connection lives through the hour.
typed_session() {
    local word
    for word in 'date' 'uname -s' 'seq 1 200' 'wc -l' $'\004' 'echo done' 'exit'; do
        sleep 1
        printf '%s' "$word" | while IFS= read -r -n 1 key; do
            printf '%s' "$key"
            sleep 0.08
        done
        printf '\n'
    done | on alice timeout 30 ssh "${ssh_opts[@]}" -4 -tt -i "$tmp/ssh/user" \
        -l root ssh.lab.example 'exec sh' >>"$tmp/log/traffic" 2>&1 || true
}

# ---- topics ----------------------------------------------------------------

rec_lan() {
    local dns
    start lan.pcap carol eth0
    ip netns exec rec-rtr dnsmasq -k -C /dev/null -p 0 -u root --pid-file= \
        --dhcp-leasefile="$tmp/dhcp/leases" -i br0 --bind-interfaces \
        --dhcp-range=10.1.0.100,10.1.0.199,2m --enable-ra \
        --dhcp-option=option:dns-server,192.0.2.53 --no-ping \
        --dhcp-range=2001:db8:1::,ra-only --ra-param=br0,4 \
        --dhcp-broadcast >>"$tmp/log/servers" 2>&1 </dev/null &
    dns=$!
    sleep 1
    ip -n rec-carol link set eth0 down
    on carol sysctl -qw net.ipv6.conf.eth0.accept_ra=2
    ip -n rec-carol link set eth0 up
    cat >"$tmp/dhcp/script" <<'SCRIPT'
#!/bin/sh
[ "$1" = bound ] && ip addr add "$ip/24" dev "$interface"
[ "$1" = deconfig ] && ip addr flush dev "$interface" to 10.1.0.128/25
exit 0
SCRIPT
    chmod 755 "$tmp/dhcp/script"
    try carol timeout -k 2 4 busybox udhcpc -f -R -i eth0 -x hostname:carol \
        -s "$tmp/dhcp/script" -n
    try carol arping -c 2 -I eth0 10.1.0.11
    try carol arping -c 1 -U -I eth0 10.1.0.13
    try carol arping -c 2 -w 2 -D -I eth0 10.1.0.11
    # Down took the IPv6 address and the routes along.
    addr carol eth0 2001:db8:1::13/64
    ip -n rec-carol route replace default via 10.1.0.1
    ip -n rec-carol -6 route replace default via 2001:db8:1::1
    get carol http://web.lab.example/
    try carol ping -q -c 3 -i 0.2 10.1.0.12
    try carol arping -c 2 -w 2 -I eth0 10.1.0.77
    stop
    kill "$dns"
    wait "$dns" || true
    on carol sysctl -qw net.ipv6.conf.eth0.accept_ra=0
    ip -n rec-carol -6 addr flush dev eth0 dynamic
    ip -n rec-carol -6 route flush proto ra
    keep lan
}

rec_dns() {
    local t n
    start dns.pcap rtr wan0
    for t in A AAAA ANY; do
        try alice dig @192.0.2.53 web.lab.example $t
        try bob dig @2001:db8:2::53 mail.lab.example $t
    done
    try alice dig @192.0.2.53 lab.example MX +dnssec
    try alice dig @192.0.2.53 _ntp._udp.lab.example SRV
    try alice dig @192.0.2.53 lab.example TXT +tcp
    try alice dig @192.0.2.53 lab.example CAA
    try bob dig @192.0.2.53 www.lab.example A +noedns
    try bob dig @192.0.2.53 v4only.lab.example AAAA
    try bob dig @192.0.2.53 v6only.lab.example AAAA
    try carol dig @192.0.2.53 -x 192.0.2.25
    try carol dig @2001:db8:2::53 -x 2001:db8:2::53
    try carol dig @192.0.2.53 www.example.org
    try carol dig @192.0.2.53 version.bind CH TXT
    try carol dig @192.0.2.53 long.lab.example TXT
    try carol dig @2001:db8:2::53 long.lab.example TXT +tcp
    try carol dig @192.0.2.53 lab.example AXFR
    try bob dig @192.0.2.53 +tcp +keepopen web.lab.example A mail.lab.example \
        A ntp.lab.example AAAA nothere.lab.example A
    for n in {1..40}; do
        try alice dig @192.0.2.53 +tries=1 "host$n.lab.example"
        try bob dig @2001:db8:2::53 +tries=1 "host$n.lab.example" AAAA
    done
    for n in web shop ftp ssh mail ns ntp tracker; do
        try carol getent ahosts $n.lab.example
        try far dig @192.0.2.53 $n.lab.example
    done
    try alice dig @192.0.2.10 +tries=1 +time=1 web.lab.example
    stop
    keep dns
}

rec_http() {
    local u=http://web.lab.example h
    start http.pcap rtr wan0
    get alice -4 $u/ $u/style.css $u/small.bin $u/missing.html
    get alice -4 --compressed $u/ $u/style.css $u/report.txt
    get alice -L $u/old
    get bob -4 $u/report.txt $u/readings.json
    get bob -6 $u/photo.bin
    get bob -I $u/photo.bin
    get bob -r 1000-4999 $u/photo.bin
    get bob -H 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT' $u/news.html
    get carol -d 'name=carol&word=packet' $u/form
    get carol -T "$tmp/www/site/letter.txt" $u/letter.txt
    get carol -4 --http1.0 $u/news.html
    get carol http://web.lab.example:8080/news.html $u/private $u/empty.txt
    get carol http://web.lab.example:81/
    for h in alice bob carol; do
        get $h $u/news.html $u/small.bin http://shop.lab.example/ &
        pids+=($!)
    done
    wait "${pids[@]: -3}"
    get alice -r 0-99999 -m 10 $u/slow.txt
    stop
    keep http
}

rec_tls() {
    local u=https://web.lab.example s=https://shop.lab.example
    start tls.pcap rtr wan0 --time-stamp-precision=nano
    get alice -4 -k $u/ $u/style.css $u/small.bin
    get alice -k --http1.1 $u/news.html $u/photo.bin
    get alice -4 -k --tls-max 1.2 $u/report.txt
    get bob -4 --cacert "$tmp/www/cert.pem" $s/ $s/readings.json
    get bob -k -6 $s/news.html $u/small.bin
    get bob $u/
    get carol -k --tls-max 1.1 $u/
    get carol -k -Z $u/ $s/ $u/style.css $s/photo.bin
    stop
    keep tls
}

rec_ssh() {
    local key=(-i "$tmp/ssh/user") u=root@ssh.lab.example
    start ssh.pcap rtr wan0
    typed_session &
    pids+=($!)
    sleep 1
    ssh_to bob -4 ssh.lab.example 'uname -s; uptime'
    ssh_to bob -6 ssh.lab.example 'seq 1 500'
    ssh_to bob -p 2222 ssh.lab.example true
    try carol scp -4 -q "${ssh_opts[@]}" "${key[@]}" "$tmp/www/site/photo.bin" \
        "$u:$tmp/ssh/up"
    try carol scp -q -C "${ssh_opts[@]}" "${key[@]}" \
        "$u:$tmp/www/site/report.txt" "$tmp/ssh/down"
    echo "ls $tmp/ftp" >"$tmp/ssh/batch"
    try carol sftp -q "${ssh_opts[@]}" "${key[@]}" -b "$tmp/ssh/batch" $u
    try carol ssh "${ssh_opts[@]}" -i "$tmp/ssh/stranger" $u true
    wait "${pids[-1]}"
    stop
    if [ ! -s "$tmp/ssh/up" ] || [ ! -s "$tmp/ssh/down" ]; then
        die "scp did not work"
    fi
    keep ssh
}

mail() { # mail HOST [swaks options]
    local h=$1
    shift
    try "$h" swaks --server mail.lab.example --ehlo "$h.lab.example" \
        --from "$h@lab.example" --to team@lab.example \
        --header-Message-Id "<$RANDOM@$h.lab.example>" "$@"
}

rec_mail-ntp-ftp() {
    local f=ftp://ftp.lab.example
    start mail-ntp-ftp.pcap rtr wan0
    mail alice --header 'Subject: the report' --body "@$tmp/www/site/letter.txt"
    mail bob --to team@lab.example,office@lab.example --body 'See you at ten.' \
        --attach-type application/octet-stream \
        --attach-name photo.bin --attach "@$tmp/www/site/small.bin"
    mail carol -tls --body 'This one is private.'
    mail carol --quit-after RCPT
    try alice curl -s -m 10 'smtp://[2001:db8:2::25]/alice.lab.example' \
        --mail-from alice@lab.example --mail-rcpt team@lab.example \
        -T "$tmp/www/site/letter.txt"
    try alice ntpdig -t 1 192.0.2.123
    try bob ntpdig -t 1 2001:db8:2::123
    try bob timeout 12 chronyd -Q -x -u root 'cmdport 0' \
        "pidfile $tmp/chrony/bob" 'server 192.0.2.123 iburst maxsamples 4'
    get alice $f/ $f/letter.txt
    get alice --disable-epsv -4 $f/photo.bin
    get bob -P - --disable-eprt -4 $f/letter.txt
    get bob -P - -4 $f/small.bin
    get bob -6 $f/letter.txt
    get carol -T "$tmp/www/site/upload.bin" $f/incoming/
    get carol $f/missing.txt
    get carol -u carol:wrong $f/
    stop
    keep mail-ntp-ftp
}

rec_icmp() {
    start icmp.pcap alice eth0 'not ip6'
    try alice ping -c 5 -i 0.2 web.lab.example
    try alice ping -c 3 -i 0.2 -s 1400 198.51.100.7
    try alice ping -c 2 -i 0.2 -p a5 -t 1 192.0.2.10
    try alice ping -c 2 -i 0.2 -R 192.0.2.10
    try alice ping -c 2 -i 0.2 -T tsandaddr 192.0.2.10
    try alice traceroute -n -q 2 -w 1 198.51.100.7
    try alice traceroute -n -I -q 2 -w 1 192.0.2.10
    try alice traceroute -n -T -p 80 -q 1 -w 1 192.0.2.10
    try alice tracepath -n -m 6 198.51.100.7
    try alice ping -c 2 -i 0.2 -M 'do' -s 1400 198.51.100.7
    try alice ping -c 2 -i 0.2 -W 1 10.67.0.9
    try alice ping -c 2 -i 0.2 -W 1 10.66.0.9
    try alice ping -c 1 -W 4 192.0.2.200
    try alice dig @192.0.2.10 +tries=2 +time=1 web.lab.example
    try alice nc -u -w 1 -z 192.0.2.10 9999
    try alice nmap -n -Pn -sO -p 99,253 --max-retries 0 192.0.2.10
    try alice nmap -n -sn -PP --send-ip 192.0.2.10
    try alice ping -c 3 -i 0.2 10.1.0.12
    stop
    keep icmp
}

rec_ipv6() {
    start ipv6.pcap alice eth0 ip6
    ip -n rec-alice addr add fd00:1::11/64 dev eth0
    sleep 1.5
    try alice ping -6 -c 4 -i 0.2 2001:db8:1::12
    try alice ping -6 -c 3 -i 0.2 web.lab.example
    try alice ping -6 -c 2 -i 0.2 ff02::1%eth0
    try alice ping -6 -c 2 -i 0.2 -s 1400 2001:db8:3::7
    try alice traceroute -6 -n -q 2 -w 1 2001:db8:3::7
    try alice traceroute -6 -n -I -q 1 -w 1 2001:db8:2::10
    try alice tracepath -6 -n -m 6 2001:db8:3::7
    try alice ping -6 -c 2 -i 0.2 -W 1 2001:db8:66::1
    try alice ping -6 -c 2 -i 0.2 -W 1 2001:db8:67::1
    try alice ping -6 -c 1 -W 4 2001:db8:2::200
    try alice dig @2001:db8:2::53 web.lab.example AAAA
    try alice dig @2001:db8:2::53 +tcp web.lab.example A
    try alice dig @2001:db8:2::10 +tries=1 +time=1 web.lab.example
    get alice -g 'http://[2001:db8:2::10]/' 'http://[2001:db8:2::10]/news.html'
    get alice -g 'http://[2001:db8:3::7]/photo.bin'
    get alice -k -g 'https://[2001:db8:2::11]/style.css'
    ssh_to alice -6 2001:db8:2::22 'uname -s'
    stop
    ip -n rec-alice addr del fd00:1::11/64 dev eth0
    keep ipv6
}

rec_vlan() {
    local h n
    start vlan.pcap sw trunk1
    for h in alice:10 bob:20 carol:30; do
        n=${h#*:}
        h=${h%:*}
        ip -n "rec-$h" neigh flush dev lab0
        try "$h" ping -c 3 -i 0.2 "10.$n.0.1"
        try "$h" dig "@10.$n.0.1" +tries=1 web.lab.example
        get "$h" "http://10.$n.0.1/" "http://10.$n.0.1/small.bin"
    done
    try alice ping -6 -c 3 -i 0.2 fd00:10::1
    get alice -g 'http://[fd00:10::1]/news.html'
    get bob http://10.20.0.1/photo.bin
    get carol http://10.30.0.1/news.html
    stop
    keep vlan
}

rec_fragments() {
    local h
    on srv timeout 60 socat -u UDP4-RECVFROM:5005,fork OPEN:/dev/null 2>/dev/null &
    pids+=($!)
    on srv timeout 60 socat -b 8192 UDP6-LISTEN:5007,fork EXEC:cat 2>/dev/null &
    pids+=($!)
    sleep 0.3
    start fragments.pcap rtr wan0 --time-stamp-precision=nano
    try alice ping -c 4 -i 0.2 -s 4000 192.0.2.10
    try alice ping -c 2 -i 0.2 -s 20000 192.0.2.10
    try alice ping -c 3 -i 0.2 -M dont -s 1452 198.51.100.7
    try alice ping -c 3 -i 0.2 -M dont -s 3000 198.51.100.7
    try bob ping -6 -c 4 -i 0.2 -s 4000 2001:db8:2::10
    try bob ping -6 -c 3 -i 0.2 -s 3000 2001:db8:3::7
    for h in alice bob carol; do
        head -c 6000 "$tmp/www/site/report.txt" |
            on $h socat -u -b 8192 - UDP4-SENDTO:192.0.2.10:5005
        head -c 5000 "$tmp/www/site/report.txt" |
            on $h socat -t 1 -b 8192 - 'UDP6-SENDTO:[2001:db8:2::10]:5007' \
                >/dev/null
    done
    try carol dig @192.0.2.53 +bufsize=4096 +ignore long.lab.example TXT
    try carol dig @2001:db8:2::53 +bufsize=4096 +ignore long.lab.example TXT
    stop
    keep fragments
}

rec_scan() {
    local o=(-n -T4 --max-retries 1)
    start scan.pcap alice eth0
    try alice nmap "${o[@]}" -sn 10.1.0.8/29
    try alice nmap "${o[@]}" -sn 192.0.2.8/29
    try alice nmap "${o[@]}" -Pn -sS --top-ports 300 192.0.2.10
    try alice nmap "${o[@]}" -Pn -sT -p 20-30,53,80,443,8080 192.0.2.22
    try alice nmap "${o[@]}" -Pn -sF -p 20-30,80 192.0.2.22
    try alice nmap "${o[@]}" -Pn -sX -p 20-30,80 192.0.2.22
    try alice nmap "${o[@]}" -Pn -sU -p 7,53,69,123,161,500,514 192.0.2.53
    try alice nmap "${o[@]}" -Pn -6 -sS --top-ports 60 2001:db8:2::22
    try alice nmap "${o[@]}" -Pn -6 -sT -p 22,23,80 2001:db8:3::7
    try alice nmap "${o[@]}" -Pn -sV -p 21,22,25,80 192.0.2.21
    stop
    keep scan
}

# peer HOST ADDRESS DIRECTORY [aria2c options]
peer() {
    local h=$1 ip=$2 dir=$3
    shift 3
    mkdir -p "$dir"
    ip netns exec "rec-$h" timeout 60 aria2c -q --no-conf -d "$dir" \
        --bt-external-ip="$ip" --bt-enable-lpd --bt-lpd-interface=eth0 \
        --enable-dht --dht-file-path="$dir/.dht" --disable-ipv6 \
        --dht-listen-port=6882 --listen-port=6881 --bt-tracker-interval=4 \
        --bt-min-crypto-level=plain --bt-require-crypto=false --seed-ratio=0 \
        --follow-torrent=mem --file-allocation=none --allow-overwrite \
        "$@" "$tmp/bt/shared.torrent" >>"$tmp/log/traffic" 2>&1 </dev/null &
    pids+=($!)
}

rec_bittorrent() {
    local seeds=()
    mkdir -p "$tmp/bt/alice"
    cp "$tmp/www/site/shared.bin" "$tmp/bt/alice"
    mktorrent -l 15 -d -n shared.bin -c 'from the lab' \
        -o "$tmp/bt/shared.torrent" \
        -a http://tracker.lab.example:6969/announce,udp://tracker.lab.example:6969 \
        "$tmp/www/site/shared.bin" >>"$tmp/log/traffic"
    serve far opentracker -i 198.51.100.69 -p 6969 -P 6969 -d "$tmp/empty" -u nobody
    sleep 0.5
    start bittorrent.pcap alice eth0
    peer alice 10.1.0.11 "$tmp/bt/alice" --check-integrity --seed-time=1 \
        --dht-entry-point=198.51.100.7:6882
    seeds+=("${pids[-1]}")
    sleep 3
    peer bob 10.1.0.12 "$tmp/bt/bob" --seed-time=1 \
        --dht-entry-point=10.1.0.11:6882
    seeds+=("${pids[-1]}")
    sleep 2
    peer far 198.51.100.7 "$tmp/bt/far" --seed-time=1 \
        --dht-entry-point=10.1.0.11:6882
    seeds+=("${pids[-1]}")
    for _ in {1..50}; do
        if cmp -s "$tmp/bt/alice/shared.bin" "$tmp/bt/bob/shared.bin" &&
            cmp -s "$tmp/bt/alice/shared.bin" "$tmp/bt/far/shared.bin"; then
            break
        fi
        sleep 0.5
    done
    sleep 2
    kill -INT "${seeds[@]}" || true
    wait "${seeds[@]}" || true
    stop
    cmp "$tmp/bt/alice/shared.bin" "$tmp/bt/far/shared.bin" || die "no torrent"
    keep bittorrent
}

# At core: what srv sends is seen here before the wire loses some of it.
rec_loss() {
    start loss.pcap core mob0 --time-stamp-precision=nano
    try mobile ping -c 40 -i 0.1 192.0.2.10
    get mobile http://192.0.2.10/report.txt
    get mobile http://web.lab.example/readings.json
    get mobile -T "$tmp/www/site/photo.bin" http://192.0.2.10/form
    get mobile -T "$tmp/www/site/upload.bin" ftp://192.0.2.21/incoming/lossy.bin
    get mobile -6 http://web.lab.example/photo.bin
    try mobile dig @192.0.2.53 +time=1 web.lab.example
    stop
    keep loss
}

# What three hosts do at once over the link between rtr and core.
mix() {
    local n jobs=()
    for n in {1..10}; do
        get alice -4 http://web.lab.example/ http://web.lab.example/style.css \
            http://web.lab.example/missing.html
        get alice -k https://shop.lab.example/news.html
        sleep 0.8
    done &
    jobs+=($!)
    for n in {1..90}; do
        try carol dig @192.0.2.53 +tries=1 "host$n.lab.example"
        try carol dig @2001:db8:2::53 +tries=1 web.lab.example AAAA
        sleep 0.15
    done &
    jobs+=($!)
    try bob ping -q -c 160 -i 0.12 192.0.2.10 &
    jobs+=($!)
    try bob ping -q -6 -c 80 -i 0.25 2001:db8:3::7 &
    jobs+=($!)
    for n in {1..6}; do
        ssh_to bob -4 ssh.lab.example "seq 1 $((n * 200))"
        sleep 2.5
    done &
    jobs+=($!)
    get far http://web.lab.example/small.bin &
    jobs+=($!)
    get carol -r 0-299999 http://web.lab.example/slow.txt &
    jobs+=($!)
    for n in {1..4}; do
        try carol ntpdig -t 1 192.0.2.123
        try bob traceroute -n -q 1 -w 1 198.51.100.7
        sleep 4
    done &
    jobs+=($!)
    pids+=("${jobs[@]}")
    wait "${jobs[@]}"
}

record_link() { # record_link [tcpdump options]
    start out.pcap rtr wan0 --time-stamp-precision=nano -Q out "$@"
    start in.pcap rtr wan0 --time-stamp-precision=nano -Q in "$@"
    mix
    stop
}

rec_link() {
    record_link
    keep_erf link.erf
}

rec_link-s94() {
    record_link -s 94
    keep_erf link-s94.erf.gz
}

rec_vxlan() {
    ip -n rec-alice link add vx0 type vxlan id 42 local 10.1.0.11 \
        remote 192.0.2.10 dstport 4789
    ip -n rec-srv link add vx0 type vxlan id 42 local 192.0.2.10 \
        remote 10.1.0.11 dstport 4789
    on alice sysctl -qw net.ipv6.conf.vx0.disable_ipv6=1
    on srv sysctl -qw net.ipv6.conf.vx0.disable_ipv6=1
    port alice vx0
    port srv vx0
    addr alice vx0 10.42.0.2/24
    addr srv vx0 10.42.0.1/24
    start vxlan.pcap rtr wan0
    try alice ping -c 5 -i 0.2 10.42.0.1
    get alice http://10.42.0.1/ http://10.42.0.1/news.html
    try alice dig @10.42.0.1 +tries=1 +time=1 web.lab.example
    stop
    ip -n rec-alice link del vx0
    ip -n rec-srv link del vx0
    keep vxlan
}

rec_sctp() {
    local server
    start sctp.pcap rtr wan0
    ip netns exec rec-srv $usrsctp/tsctp -L 192.0.2.10 -p 5001 \
        </dev/null >>"$tmp/log/servers" 2>&1 &
    server=$!
    pids+=("$server")
    sleep 0.5
    try alice timeout 20 $usrsctp/tsctp -L 10.1.0.11 -p 5001 -n 40 -l 900 192.0.2.10
    try alice timeout 20 $usrsctp/tsctp -L 10.1.0.11 -p 5001 -n 5 -l 4000 192.0.2.10
    try alice timeout 5 $usrsctp/tsctp -L 10.1.0.11 -p 5999 -n 1 -l 100 192.0.2.10
    kill "$server"
    wait "$server" || true
    stop
    keep sctp
}

rec_bulk-s96() {
    start bulk-s96.pcap rtr wan0 -s 96
    try alice iperf3 -c 192.0.2.10 -n 1500K
    try bob iperf3 -6 -c 2001:db8:2::10 -n 1M -R
    try carol iperf3 -c 192.0.2.10 -n 400K -P 3
    try carol iperf3 -c 192.0.2.10 -u -b 2M -l 1200 -t 1
    stop
    keep bulk-s96
}

# ---- the table in test/data/README.md --------------------------------------

describe() {
    local file path
    echo "# Captures of the lab"
    echo
    sed -n '/^<!-- data:/,/^-->/p' "$here/README.md" | sed '1d;$d'
    echo
    echo "| file | packets | bytes of packets | bytes of file | first (UTC) | seconds | what is in it |"
    echo "|---|--:|--:|--:|---|--:|---|"
    while IFS=$'\t' read -r file _ what; do
        path=$out/$file
        [[ $file != \#* && -f $path ]] || continue
        TZ=UTC capinfos -T -r -M -c -s -d -u -a "$path" |
            awk -F'\t' -v f="$file" -v what="$what" '{
                size = $3
                printf "| `%s` | %s | %s | %s | %s | %.1f | %s |\n",
                    f, $2, $4, size, substr($6, 1, 19), $5, what }'
    done <"$here/plan.tsv"
}

main() {
    local t opt
    while getopts o: opt; do
        case $opt in
        o) out=$OPTARG ;;
        *) sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2 ;;
        esac
    done
    shift $((OPTIND - 1))
    [ $# -gt 0 ] || set -- "${all_topics[@]}"
    for t in "$@"; do
        declare -F "rec_$t" >/dev/null || die "no topic '$t'"
    done
    [ "$(id -u)" = 0 ] || die "only root can make network namespaces"
    need ip ethtool tcpdump capinfos python3 openssl nginx dnsmasq dig curl \
        sshd ssh scp sftp ssh-keygen swaks chronyd ntpdig vsftpd aria2c \
        opentracker mktorrent nmap traceroute tracepath ping arping socat nc \
        iperf3 busybox timeout $usrsctp/tsctp
    for t in "${hosts[@]}"; do
        [ ! -e "/run/netns/rec-$t" ] || die "namespace rec-$t exists already"
    done
    mkdir -p "$out"
    tmp=$(mktemp -d /tmp/rec.XXXXXX)
    trap cleanup EXIT
    trap 'exit 1' INT TERM HUP

    make_files
    make_network
    start_servers
    wait_for_servers
    for t in "$@"; do
        echo "record.sh: $t" >&2
        "rec_$t"
    done
    describe >"$out/README.md"
}

main "$@"
