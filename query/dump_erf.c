/*
 * dump_erf.c - what an ERF record says beside the packet
 *
 * A META record is a run of tags, each of a type and a length of 16 bits and
 * a value that is padded to 4 bytes; a type of 0xff00 or more begins a
 * section, whose value is 4 bytes.
 *
 * Source: Endace ERF types reference, EDM11-01; the names of the tags are
 * those that Wireshark shows.
 */
#include "dump_out.h"

enum {
    ERF_HEADER = 16,
    MORE = 0x80,
    META = 27,
    SECTION = 0xff00,
    SHOWN = 64, /* bytes of a value */
};

static const struct at_dump_name types[] = {
    {0, "legacy"},
    {1, "hdlc-pos"},
    {2, "eth"},
    {3, "atm"},
    {4, "aal5"},
    {5, "mc-hdlc"},
    {6, "mc-raw"},
    {7, "mc-atm"},
    {8, "mc-raw-channel"},
    {9, "mc-aal5"},
    {10, "color-hdlc-pos"},
    {11, "color-eth"},
    {12, "mc-aal2"},
    {13, "ip-counter"},
    {14, "tcp-flow-counter"},
    {15, "dsm-color-hdlc-pos"},
    {16, "dsm-color-eth"},
    {17, "color-mc-hdlc-pos"},
    {18, "aal2"},
    {19, "color-hash-pos"},
    {20, "color-hash-eth"},
    {21, "infiniband"},
    {22, "ipv4"},
    {23, "ipv6"},
    {24, "raw-link"},
    {25, "infiniband-link"},
    {META, "meta"},
    {28, "opa-snc"},
    {29, "opa-9b"},
    {48, "pad"},
    {0, NULL},
};

static const struct at_dump_name extensions[] = {
    {3, "classification"},    {4, "intercept-id"}, {5, "raw-link"},
    {6, "bfs-filter"},        {12, "channelised"}, {14, "signature"},
    {15, "packet-signature"}, {16, "flow-id"},     {17, "host-id"},
    {18, "anchor-id"},        {19, "entropy"},     {0, NULL},
};

static const struct at_dump_name sections[] = {
    {0xff00, "capture"}, {0xff01, "host"},
    {0xff02, "module"},  {0xff03, "interface"},
    {0xff04, "flow"},    {0xff05, "statistics"},
    {0xff06, "info"},    {0xff07, "context"},
    {0xff08, "stream"},  {0xff09, "transform"},
    {0xff0a, "dns"},     {0xff0b, "source"},
    {0xff0c, "network"}, {0xff0d, "endpoint"},
    {0xff0e, "input"},   {0xff0f, "output"},
    {0, NULL},
};

static const struct at_dump_name tags[] = {
    {1, "comment"},
    {2, "gen-time"},
    {3, "parent-section"},
    {4, "reset"},
    {5, "event-time"},
    {6, "host-id"},
    {8, "fcs-length"},
    {9, "mask-ipv4"},
    {10, "mask-cidr"},
    {11, "org-name"},
    {12, "name"},
    {13, "description"},
    {14, "config"},
    {15, "datapipe"},
    {16, "app-name"},
    {17, "os"},
    {18, "hostname"},
    {19, "user"},
    {20, "model"},
    {21, "firmware"},
    {22, "serial"},
    {23, "ts-offset"},
    {24, "ts-clock-frequency"},
    {29, "snap-length"},
    {30, "card-number"},
    {31, "module-number"},
    {33, "stream-number"},
    {34, "location"},
    {36, "filter"},
    {64, "if-number"},
    {65, "if-vlan"},
    {66, "if-speed"},
    {67, "if-ipv4"},
    {68, "if-ipv6"},
    {69, "if-mac"},
    {0, NULL},
};

/* ---- META ------------------------------------------------------------ */

static bool is_text(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0)
        n--;
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] >= 0x7f)
            return false;
    return n > 3;
}

static void put_value(struct at_dump *d, const uint8_t *p, size_t n)
{
    size_t shown = n < SHOWN ? n : SHOWN;

    at_dump_num(d, "bytes", n);
    if (n == 0)
        return;
    if (!is_text(p, shown)) {
        at_dump_bytes(d, "value", p, shown);
        return;
    }
    while (p[shown - 1] == 0)
        shown--;
    at_dump_chars(d, "value", p, shown);
}

static void put_tag(struct at_dump *d, uint16_t type, const uint8_t *p,
                    size_t n)
{
    if (type >= SECTION) {
        at_dump_layer(d, "section");
        at_dump_named(d, "name", sections, type);
        if (n >= 4)
            at_dump_num(d, "id", at_load_be16(p));
        return;
    }
    at_dump_layer(d, "tag");
    at_dump_named(d, "name", tags, type);
    put_value(d, p, n);
}

static void put_meta(struct at_dump *d)
{
    struct at_cursor c = {.p = d->pkt->data, .left = d->pkt->cap_bytes};

    while (c.left >= 4) {
        const uint16_t type = at_take_be16(&c);
        const size_t n = at_take_be16(&c);
        const uint8_t *p;

        if (type == 0 && n == 0)
            continue; /* padding */
        p = at_take(&c, n);
        if (p == NULL) {
            at_dump_layer(d, "damaged");
            at_dump_num(d, "tag", type);
            at_dump_num(d, "bytes", n);
            at_dump_num(d, "left", c.left);
            return;
        }
        put_tag(d, type, p, n);
        at_take(&c, c.left < -n % 4 ? c.left : -n % 4);
    }
}

/* ---- headers --------------------------------------------------------- */

static bool is_colour(uint8_t type)
{
    return type == 10 || type == 11 || (type >= 15 && type <= 17) ||
           type == 19 || type == 20;
}

static void put_flags(struct at_dump *d, uint8_t flags)
{
    if ((flags & 4) == 0)
        at_dump_flag(d, "fixed");
    if (flags & 8)
        at_dump_flag(d, "truncated");
    if (flags & 0x10)
        at_dump_flag(d, "rx-error");
    if (flags & 0x20)
        at_dump_flag(d, "ds-error");
}

static void put_extensions(struct at_dump *d, struct at_cursor *c, bool more)
{
    while (more) {
        const uint8_t *p = at_take(c, 8);

        if (p == NULL) {
            at_dump_layer(d, "damaged");
            at_dump_flag(d, "extension-without-end");
            return;
        }
        more = (p[0] & MORE) != 0;
        at_dump_layer(d, "extension");
        at_dump_named(d, "name", extensions, p[0] & 0x7f);
        at_dump_bytes(d, "value", p + 1, 7);
    }
}

void at_dump_erf(struct at_dump *d)
{
    struct at_cursor c = {.p = d->pkt->record, .left = d->pkt->record_bytes};
    const uint8_t *p = at_take(&c, ERF_HEADER);

    if (p == NULL)
        return;
    at_dump_layer(d, "erf");
    at_dump_named(d, "type", types, p[8] & 0x7f);
    at_dump_hex(d, "flags", p[9], 2);
    put_flags(d, p[9]);
    at_dump_num(d, "record", at_load_be16(p + 10));
    at_dump_num(d, "wire", at_load_be16(p + 14));
    if (is_colour(p[8] & 0x7f))
        at_dump_hex(d, "color", at_load_be16(p + 12), 4);
    else
        at_dump_num(d, "lost", at_load_be16(p + 12));
    put_extensions(d, &c, (p[8] & MORE) != 0);
    if ((p[8] & 0x7f) == META)
        put_meta(d);
}
