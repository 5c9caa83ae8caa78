/*
 * format_erf.c - Endace extensible record format
 *
 *     size  field              Endace ERF types reference, EDM11-01
 *        8  time stamp         little-endian 32.32 seconds since 1970
 *        1  type               bit 7: extension headers follow
 *        1  flags              bits 0-1 interface, 2 varying length, 3
 *                              truncated, 4 rx error, 5 ds error, 6 a third
 *                              bit of the interface on newer cards
 *        2  rlen               big-endian; the whole record, padding too
 *        2  lctr or colour     big-endian
 *        2  wlen               big-endian; on the wire, with FCS
 *      8*n  extension headers  bit 7 of the first byte: another follows
 *        2  offset, pad        Ethernet types only
 *        4  channel            multi-channel HDLC types only
 *           the frame, then padding up to rlen
 *
 * There is no file header and no magic number, so a file is ERF when its
 * first records, taken together, are not likely to be anything else.
 *
 * ATM cells and AAL5 frames stay as they are: the pseudo-header that pcap has
 * for ATM (LINKTYPE_SUNATM) says what ERF does not, and has no place for all
 * that ERF says.
 */
#include "format.h"

#include "bytes.h"

enum {
    ERF_HDLC_POS = 1,
    ERF_ETH = 2,
    ERF_ATM = 3,
    ERF_MC_HDLC = 5,
    ERF_COLOR_HDLC_POS = 10,
    ERF_COLOR_ETH = 11,
    ERF_DSM_COLOR_HDLC_POS = 15,
    ERF_DSM_COLOR_ETH = 16,
    ERF_COLOR_MC_HDLC_POS = 17,
    ERF_COLOR_HASH_POS = 19,
    ERF_COLOR_HASH_ETH = 20,
    ERF_IPV4 = 22,
    ERF_IPV6 = 23,
    ERF_META = 27,
    ERF_LAST = 29,
    ERF_PAD = 48,
    ERF_MORE = 0x80,

    ETH_PAD = 2,
    MC_HEADER = 4,
    RLEN_MOST = 65535,
    MOST_PADDING = 64,
    FCS_BYTES = 4, /* may be missing from the frame */
    FLAG_VLEN = 0x04,
    FLAG_TRUNC = 0x08,
    FLAG_RX = 0x10,
    FLAG_DS = 0x20,
    FLAG_THIRD = 0x40,
    FLAG_ERRORS = FLAG_TRUNC | FLAG_RX | FLAG_DS,
};

static uint32_t erf_rlen(const uint8_t *p)
{
    return at_load_be16(p + 10);
}

static bool is_ethernet(uint8_t type)
{
    return type == ERF_ETH || type == ERF_COLOR_ETH ||
           type == ERF_DSM_COLOR_ETH || type == ERF_COLOR_HASH_ETH;
}

static bool is_channelled(uint8_t type)
{
    return type == ERF_MC_HDLC || type == ERF_COLOR_MC_HDLC_POS;
}

static bool is_hdlc(uint8_t type)
{
    return type == ERF_HDLC_POS || type == ERF_COLOR_HDLC_POS ||
           type == ERF_DSM_COLOR_HDLC_POS || type == ERF_COLOR_HASH_POS ||
           is_channelled(type);
}

static bool is_colour(uint8_t type)
{
    return type == ERF_COLOR_HDLC_POS || type == ERF_COLOR_ETH ||
           type == ERF_DSM_COLOR_HDLC_POS || type == ERF_DSM_COLOR_ETH ||
           type == ERF_COLOR_MC_HDLC_POS || type == ERF_COLOR_HASH_POS ||
           type == ERF_COLOR_HASH_ETH;
}

/* Of what stands between the extension headers and the frame. */
static uint32_t inner_bytes(uint8_t type)
{
    if (is_ethernet(type))
        return ETH_PAD;
    return is_channelled(type) ? MC_HEADER : 0;
}

/* Bytes before the frame; more than rlen where the chain does not end. */
static uint32_t framing_bytes(const uint8_t *p, uint32_t rlen)
{
    uint32_t n = AT_ERF_HEADER;
    bool more = (p[8] & ERF_MORE) != 0;

    while (more && n + 8 <= rlen) {
        more = (p[n] & ERF_MORE) != 0;
        n += 8;
    }
    if (more)
        return rlen + 1;
    return n + inner_bytes(p[8] & 0x7f);
}

/* ---- detection ------------------------------------------------------- */

/*
 * What speaks for ERF is counted in bits, roughly: how often it is so in
 * bytes that are something else.  No single field must have a certain value,
 * since times jump, colours stand where losses do, and cards set flags; but
 * bytes of another kind have next to no chance to come to ENOUGH.
 */
enum {
    ENOUGH = 18,
    DETECT_RECORDS = 64,
    YEAR_1990 = 631152000,
    SIZE_USUAL = 4096,
    SIZE_JUMBO = 12288,
    BITS_TYPE = 1,
    BITS_RESERVED = 1, /* flag bit 7 is 0 */
    BITS_NO_ERROR = 3,
    BITS_SIZE = 4,
    BITS_NO_LOSS = 8,
    BITS_FITS = 1,  /* no more bytes than there were on the wire */
    BITS_WHOLE = 8, /* just as many, and padding */
    BITS_NEAR = 12, /* within an hour of the record before */
    BITS_ENDS = 12, /* the file ends where a record does */
    PENALTY = 2,
    PENALTY_TYPE = 4, /* of which nothing is known */
    PENALTY_ROOM = 6, /* far more bytes than there were on the wire */
    PENALTY_CHAIN = 4,
    PENALTY_BREAK = 24, /* there is a record that cannot be */
};

/* 32 to 47 are for use inside cards, and what a space or a comma would be. */
static bool is_known(uint8_t type)
{
    return (type >= ERF_HDLC_POS && type <= ERF_LAST) || type == ERF_PAD;
}

static int weigh_size(uint32_t rlen)
{
    if (rlen <= SIZE_USUAL)
        return BITS_SIZE;
    return rlen <= SIZE_JUMBO ? 0 : -PENALTY;
}

/* How well rlen and wlen go together; 'there' bytes of the record are. */
static int weigh_lengths(const uint8_t *p, size_t there)
{
    const uint32_t rlen = erf_rlen(p), wire = at_load_be16(p + 14);
    const uint32_t sure = there < rlen ? (uint32_t)there : rlen;
    const uint32_t framing = framing_bytes(p, sure);
    const uint32_t room = rlen - framing;

    if (sure < rlen && framing > sure && (p[8] & ERF_MORE) != 0)
        return 0; /* the chain goes on where there are no bytes yet */
    if (framing > rlen)
        return -PENALTY_CHAIN;
    if ((p[8] & 0x7f) == ERF_META)
        return 0;
    if (room > wire + MOST_PADDING)
        return -PENALTY_ROOM;
    if (room > wire + 7)
        return 0;
    return BITS_FITS + (room >= wire ? BITS_WHOLE : 0);
}

static int weigh_record(const uint8_t *p, size_t there)
{
    const uint8_t type = p[8] & 0x7f;
    int bits = is_known(type) ? BITS_TYPE : -PENALTY_TYPE;

    bits += (p[9] & 0x80) == 0 ? BITS_RESERVED : -PENALTY;
    bits += (p[9] & FLAG_ERRORS) == 0 ? BITS_NO_ERROR : 0;
    bits += weigh_size(erf_rlen(p));
    bits += at_load_be16(p + 12) == 0 ? BITS_NO_LOSS : 0;
    return bits + weigh_lengths(p, there);
}

/* Small numbers are near each other in many kinds of file; times are not
 * small once there are cards. */
static bool are_near(uint64_t a, uint64_t b)
{
    const uint64_t hour = UINT64_C(3600) << 32;

    return a >> 32 >= YEAR_1990 && (a > b ? a - b : b - a) < hour;
}

/*
 * The first record must be of a type there is: one of type 0 may be a cell
 * of cards before ERF.  Where a record cannot be one the walk ends, and what
 * came before is judged; the reader will meet the damage.
 */
enum at_status at_erf_detect(struct at_layout *layout, const uint8_t *p,
                             size_t n, bool whole, const char **what)
{
    size_t at = 0;
    int bits = 0, records = 0;
    uint64_t before = 0;

    while (records < DETECT_RECORDS && n - at >= AT_ERF_HEADER) {
        const uint8_t *r = p + at;
        const uint64_t ts = at_load_le64(r);

        if (records == 0 && !is_known(r[8] & 0x7f))
            break;
        if (erf_rlen(r) < AT_ERF_HEADER) {
            bits -= PENALTY_BREAK;
            break;
        }
        bits += weigh_record(r, n - at);
        bits += records > 0 && are_near(ts, before) ? BITS_NEAR : 0;
        before = ts;
        records++;
        if (erf_rlen(r) > n - at)
            break;
        at += erf_rlen(r);
    }
    bits += records > 0 && whole && at == n ? BITS_ENDS : 0;
    if (bits < ENOUGH)
        return AT_ERR_FORMAT;
    *what = "ERF";
    if (whole && at == 0)
        return AT_ERR_TRUNCATED;
    *layout = (struct at_layout){.format = AT_FORMAT_ERF};
    return AT_OK;
}

/* ---- reading --------------------------------------------------------- */

static bool is_no_packet(uint8_t type)
{
    return type == ERF_META || type == ERF_PAD;
}

struct at_frame at_erf_frame(const uint8_t *p, const uint8_t *stop,
                             const uint8_t *end)
{
    struct at_frame f = {.at = p};

    while (f.at < stop) {
        f.need = 0;
        if (end - f.at < AT_ERF_HEADER)
            break;
        f.need = erf_rlen(f.at);
        if (f.need < AT_ERF_HEADER) {
            f.bad = true;
            break;
        }
        if (f.need > (size_t)(end - f.at))
            break;
        f.others += is_no_packet(f.at[8] & 0x7f);
        f.at += f.need;
        f.records++;
    }
    return f;
}

/*
 * Unlike detection this asks for a type that is known.  The frame may be cut
 * and be padded, but not be longer than it was on the wire.
 */
struct at_claim at_erf_claim(const uint8_t *p, const uint8_t *end)
{
    struct at_claim c = {.kind = AT_CLAIM_SHORT};
    uint32_t framing, wire, room;
    uint8_t type;

    if (end - p < AT_ERF_HEADER)
        return c;
    type = p[8] & 0x7f;
    c.kind = AT_CLAIM_NOT;
    c.bytes = erf_rlen(p);
    c.ts = at_load_le64(p);
    c.timed = c.ts != 0 || (type != ERF_PAD && type != ERF_META);
    if (c.bytes < AT_ERF_HEADER || !is_known(type) || (p[9] & 0x80) != 0)
        return c;
    c.kind = c.bytes <= (size_t)(end - p) ? AT_CLAIM_WHOLE : AT_CLAIM_OPEN;
    if (c.kind == AT_CLAIM_OPEN && (p[8] & ERF_MORE) != 0)
        return c; /* the chain may not be all there */
    framing = framing_bytes(p, (uint32_t)c.bytes);
    wire = at_load_be16(p + 14);
    room = framing <= c.bytes ? (uint32_t)c.bytes - framing : 0;
    if (framing > c.bytes || (type != ERF_META && room > wire + MOST_PADDING))
        c.kind = AT_CLAIM_NOT;
    c.exact = room + FCS_BYTES >= wire && room < wire + 8;
    if (type == ERF_PAD)
        c.kind = framing <= c.bytes ? c.kind : AT_CLAIM_NOT;
    return c;
}

uint64_t at_erf_packets(const uint8_t *p, const uint8_t *end)
{
    uint64_t n = 0;

    for (; p < end; p += erf_rlen(p))
        n += !is_no_packet(p[8] & 0x7f);
    return n;
}

/* PPP in HDLC-like framing and Cisco's HDLC share the record types. */
static uint16_t hdlc_linktype(const struct at_packet *pkt)
{
    if (pkt->cap_bytes >= 1 && pkt->data[0] == 0xff)
        return AT_LINK_PPP_HDLC;
    return AT_LINK_C_HDLC;
}

static uint16_t linktype_of(const struct at_packet *pkt)
{
    if (is_ethernet(pkt->erf_type))
        return AT_LINK_ETHERNET;
    if (is_hdlc(pkt->erf_type))
        return hdlc_linktype(pkt);
    if (pkt->erf_type == ERF_IPV4)
        return AT_LINK_IPV4;
    if (pkt->erf_type == ERF_IPV6)
        return AT_LINK_IPV6;
    return AT_LINK_ERF;
}

static uint8_t interface_of(const struct at_layout *layout, uint8_t flags)
{
    const int third = layout->third_bit ? (flags & FLAG_THIRD) >> 4 : 0;

    return (uint8_t)(third | (flags & 3));
}

static uint8_t direction_of(uint32_t interface)
{
    if (interface > 1)
        return AT_DIRECTION_OTHER;
    return interface == 0 ? AT_DIRECTION_OUT : AT_DIRECTION_IN;
}

static uint8_t errors_of(uint8_t flags)
{
    return (uint8_t)(((flags & FLAG_RX) != 0 ? AT_ERROR_RX : 0) |
                     ((flags & FLAG_DS) != 0 ? AT_ERROR_DS : 0) |
                     ((flags & FLAG_TRUNC) != 0 ? AT_ERROR_TRUNC : 0));
}

/* What a packet has and META and PAD records do not. */
static void parse_packet(const uint8_t *p, struct at_packet *pkt)
{
    pkt->wire_bytes = at_load_be16(p + 14);
    if (pkt->cap_bytes > pkt->wire_bytes)
        pkt->cap_bytes = pkt->wire_bytes;
    if (!is_colour(pkt->erf_type))
        pkt->lost = at_load_be16(p + 12);
    pkt->direction = direction_of(pkt->interface);
    pkt->errors = errors_of(p[9]);
    pkt->linktype = linktype_of(pkt);
}

void at_erf_parse(const struct at_layout *layout, const uint8_t *p,
                  struct at_packet *pkt)
{
    const uint32_t rlen = erf_rlen(p);
    const uint32_t framing = framing_bytes(p, rlen);
    const uint8_t type = p[8] & 0x7f;

    *pkt = (struct at_packet){
        .ts = at_load_le64(p),
        .record = p,
        .record_bytes = rlen,
        .format = AT_FORMAT_ERF,
        .linktype = AT_LINK_ERF,
        .erf_type = type,
        .interface = interface_of(layout, p[9]),
    };
    /* A chain that does not end leaves nothing that could be a frame. */
    pkt->data = p + (framing <= rlen ? framing : rlen);
    pkt->cap_bytes = framing <= rlen ? rlen - framing : 0;
    if (type == ERF_META || type == ERF_PAD)
        pkt->kind = type == ERF_META ? AT_KIND_META : AT_KIND_PAD;
    else
        parse_packet(p, pkt);
}

bool at_erf_says_more(const struct at_packet *pkt, unsigned held)
{
    return (pkt->record[8] & ERF_MORE) != 0 ||
           (errors_of(pkt->record[9]) & ~held) != 0 ||
           is_channelled(pkt->erf_type) ||
           (is_colour(pkt->erf_type) && at_load_be16(pkt->record + 12) != 0);
}

/* ---- building -------------------------------------------------------- */

/* A frame of LINKTYPE_ERF in another format is a record. */
static bool frame_is_record(const struct at_packet *pkt)
{
    return pkt->linktype == AT_LINK_ERF && pkt->format != AT_FORMAT_ERF &&
           pkt->erf_type == 0 && pkt->cap_bytes >= AT_ERF_HEADER &&
           erf_rlen(pkt->data) == pkt->cap_bytes;
}

bool at_erf_is_record(const struct at_packet *pkt)
{
    return (pkt->format == AT_FORMAT_ERF && !pkt->edited) ||
           frame_is_record(pkt);
}

/* Whether the type of the old record is still right for an edited frame. */
static bool keeps_framing(const struct at_packet *pkt)
{
    return pkt->format == AT_FORMAT_ERF &&
           (pkt->kind != AT_KIND_PACKET || pkt->linktype == linktype_of(pkt));
}

/* The type of a record that is made anew; -1 where there is none. */
static int new_type(const struct at_packet *pkt)
{
    switch (pkt->linktype) {
    case AT_LINK_ETHERNET:
        return ERF_ETH;
    case AT_LINK_PPP_HDLC:
    case AT_LINK_C_HDLC:
        return ERF_HDLC_POS;
    case AT_LINK_IPV4:
        return ERF_IPV4;
    case AT_LINK_IPV6:
        return ERF_IPV6;
    case AT_LINK_RAW:
        if (pkt->cap_bytes >= 1 && pkt->data[0] >> 4 == 6)
            return ERF_IPV6;
        return ERF_IPV4;
    case AT_LINK_ERF:
        return pkt->erf_type == ERF_ATM ? ERF_ATM : -1;
    default:
        return -1;
    }
}

int at_erf_type_for(const struct at_packet *pkt)
{
    return keeps_framing(pkt) ? pkt->erf_type : new_type(pkt);
}

/* All before the frame but rlen and wlen, of a packet of another format or
 * of one whose type is no longer right. */
static void make_framing(uint8_t *out, const struct at_packet *pkt,
                         const struct at_erf_plan *plan)
{
    const bool erf = pkt->format == AT_FORMAT_ERF;

    memset(out, 0, plan->framing);
    out[8] = (uint8_t)plan->type;
    out[9] = erf ? pkt->record[9] : (uint8_t)(FLAG_VLEN | (pkt->interface & 3));
    out[9] |= (pkt->errors & AT_ERROR_RX) != 0 ? FLAG_RX : 0;
    at_store_be16(out + 12, pkt->lost < 0xffff ? (uint16_t)pkt->lost : 0xffff);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/*
 * A record made anew keeps all that stood before its frame.  It is padded to
 * 8 bytes with zeros, as DAG cards do; but not where the frame was cut,
 * because only the length on the wire tells padding from the frame.
 */
struct at_erf_plan at_erf_plan(const struct at_packet *pkt, uint32_t cap)
{
    struct at_erf_plan plan = {.kept = keeps_framing(pkt)};
    uint32_t padded;

    plan.type = plan.kept ? pkt->erf_type : new_type(pkt);
    plan.framing = plan.kept
                       ? least(framing_bytes(pkt->record, pkt->record_bytes),
                               pkt->record_bytes)
                       : AT_ERF_HEADER + inner_bytes((uint8_t)plan.type);
    plan.cap = least(cap, RLEN_MOST - plan.framing);
    padded = (plan.framing + plan.cap + 7) & ~(uint32_t)7;
    plan.bytes = plan.cap < pkt->wire_bytes || padded > RLEN_MOST
                     ? plan.framing + plan.cap
                     : padded;
    return plan;
}

void at_erf_make(uint8_t *out, const struct at_erf_plan *plan,
                 const struct at_packet *pkt)
{
    const uint32_t end = plan->framing + plan->cap;

    if (plan->kept)
        memcpy(out, pkt->record, plan->framing);
    else
        make_framing(out, pkt, plan);
    at_store_le64(out, pkt->ts);
    at_store_be16(out + 10, (uint16_t)plan->bytes);
    at_store_be16(out + 14, (uint16_t)least(pkt->wire_bytes, 0xffff));
    memcpy(out + plan->framing, pkt->data, plan->cap);
    memset(out + end, 0, plan->bytes - end);
}

static size_t build_new(uint8_t *out, const struct at_packet *pkt, uint32_t cap)
{
    const struct at_erf_plan plan = at_erf_plan(pkt, cap);

    if (out != NULL)
        at_erf_make(out, &plan, pkt);
    return plan.bytes;
}

size_t at_erf_build(uint8_t *out, const struct at_packet *pkt, uint32_t cap)
{
    const bool framed = frame_is_record(pkt);
    const uint8_t *record = framed ? pkt->data : pkt->record;
    const size_t n = framed ? pkt->cap_bytes : pkt->record_bytes;

    if (!at_erf_is_record(pkt) && pkt->kind == AT_KIND_PACKET)
        return build_new(out, pkt, cap);
    if (out != NULL)
        memcpy(out, record, n);
    return n;
}

enum at_direction at_erf_direction(const uint8_t *record)
{
    return (enum at_direction)direction_of(record[9] & 3);
}

bool at_erf_number(uint8_t *record, const struct at_packet *pkt)
{
    const bool third = pkt->format == AT_FORMAT_ERF && pkt->layout != NULL &&
                       pkt->layout->third_bit;
    const unsigned mask = third ? 3 | FLAG_THIRD : 3;
    const unsigned bits = pkt->interface << 4 | (pkt->interface & 3);

    record[9] = (uint8_t)((record[9] & ~mask) | (bits & mask));
    return pkt->interface < (third ? 8 : 4);
}
