#!/usr/bin/env python3
"""What tshark says of a capture before and after it was anonymised.

usage: anonymise.py BEFORE AFTER [same]

Addresses of IP and of links must be mapped one-to-one, everywhere they stand
as headers; the checksums of packets that were not cut must be as right or as
wrong as they were; with 'same', for payload that was kept, every packet must
be made of the same protocols.
"""
import subprocess
import sys

NET = ['ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst',
       'arp.src.proto_ipv4', 'arp.dst.proto_ipv4']
LINK = ['eth.src', 'eth.dst', 'arp.src.hw_mac', 'arp.dst.hw_mac']
CHECKS = ['ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status',
          'icmp.checksum.status', 'icmpv6.checksum.status',
          'igmp.checksum.status']
HEADERS = {'eth', 'ethertype', 'vlan', 'mpls', 'pppoes', 'ppp', 'llc', 'sll',
           'ip', 'ipv6', 'arp', 'gre', 'vxlan', 'geneve', 'gtp', 'teredo',
           'l2tp', 'tcp', 'udp', 'sctp', 'icmp', 'icmpv6', 'igmp', 'esp', 'ah'}
OTHER = ['frame.cap_len', 'frame.len', 'frame.time_epoch', 'frame.protocols']


def read(path):
    fields = NET + LINK + CHECKS + OTHER
    command = ['tshark', '-n', '-r', path, '-T', 'fields', '-E',
               'occurrence=a', '-E', 'aggregator=,',
               '-o', 'ip.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE',
               '-o', 'udp.check_checksum:TRUE',
               '-o', 'ip.defragment:FALSE', '-o', 'ipv6.defragment:FALSE',
               '-o', 'tcp.desegment_tcp_streams:FALSE']
    for f in fields:
        command += ['-e', f]
    text = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout.decode()
    return [dict(zip(fields, line.split('\t'))) for line in text.split('\n')
            if line]


def headers(packet):
    return [p for p in packet['frame.protocols'].split(':') if p in HEADERS]


class Mapping:
    """One-to-one, or it says why not."""

    def __init__(self):
        self.there, self.back = {}, {}

    def add(self, a, b):
        if self.there.setdefault(a, b) != b:
            return f'{a} became {b} and {self.there[a]}'
        if self.back.setdefault(b, a) != a:
            return f'{a} and {self.back[b]} became {b}'
        return None


def compare(before, after, same):
    maps = {'4': Mapping(), '6': Mapping(), 'link': Mapping()}
    if len(before) != len(after):
        yield f'{len(before)} packets became {len(after)}'
        return
    for i, (a, b) in enumerate(zip(before, after), 1):
        whole = a['frame.cap_len'] == b['frame.cap_len']
        if a['frame.len'] != b['frame.len']:
            yield f'packet {i}: another length on the wire'
        if a['frame.time_epoch'] != b['frame.time_epoch']:
            yield f'packet {i}: another time'
        for f in NET + LINK:
            family = 'link' if f in LINK else '6' if f[2:4] == 'v6' else '4'
            for x, y in zip(a[f].split(','), b[f].split(',')):
                if (x == '') != (y == '') and (whole or x == ''):
                    yield f'packet {i}: {f} {x} became {y}'
                elif x and y and (wrong := maps[family].add(x, y)):
                    yield f'packet {i}: {wrong}'
        if whole and same and headers(a) != headers(b):
            yield (f"packet {i}: {a['frame.protocols']} became "
                   f"{b['frame.protocols']}")
        for f in CHECKS:
            if whole and a[f] != b[f]:
                yield f'packet {i}: {f} {a[f]} became {b[f]}'


def main():
    wrong = list(compare(read(sys.argv[1]), read(sys.argv[2]),
                         'same' in sys.argv))
    for line in wrong[:10]:
        print(line)
    sys.exit(bool(wrong))


main()
