/*
 * format_erf.c - Endace extensible record format
 *
 *     size  field              Endace ERF types reference, EDM11-01
 *        8  time stamp         little-endian 32.32 seconds since 1970
 *        1  type               bit 7: extension headers follow
 *        1  flags              bits 0-1 interface, 2 varying length, 3
 *                              truncated, 4 rx error, 5 ds error
 *        2  rlen               big-endian; the whole record, padding too
 *        2  lctr or colour     big-endian
 *        2  wlen               big-endian; on the wire, with FCS
 *      8*n  extension headers  bit 7 of the first byte: another follows
 *        2  offset, pad        Ethernet types only
 *           the frame, then padding up to rlen
 *
 * There is no file header and no magic number, so a file is ERF when its
 * first records make sense one after the other.
 */
#include "format.h"

#include "bytes.h"

enum {
    ERF_LEGACY = 0,
    ERF_HDLC_POS = 1,
    ERF_ETH = 2,
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
    ERF_PAD = 48,
    ERF_MORE = 0x80,

    ETH_PAD = 2,
    DETECT_RECORDS = 32,
    FLAG_VLEN = 4,
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

static bool is_hdlc(uint8_t type)
{
    return type == ERF_HDLC_POS || type == ERF_COLOR_HDLC_POS ||
           type == ERF_DSM_COLOR_HDLC_POS || type == ERF_COLOR_HASH_POS;
}

static bool is_colour(uint8_t type)
{
    return type == ERF_COLOR_HDLC_POS || type == ERF_COLOR_ETH ||
           type == ERF_DSM_COLOR_HDLC_POS || type == ERF_DSM_COLOR_ETH ||
           type == ERF_COLOR_MC_HDLC_POS || type == ERF_COLOR_HASH_POS ||
           type == ERF_COLOR_HASH_ETH;
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
    return n + (is_ethernet(p[8] & 0x7f) ? ETH_PAD : 0);
}

/* A record that a DAG card or a program would write, judged alone. */
static bool believable(const uint8_t *p)
{
    const uint32_t rlen = erf_rlen(p);
    const uint8_t type = p[8] & 0x7f;

    if (rlen < AT_ERF_HEADER || type > ERF_PAD || type == ERF_LEGACY)
        return false;
    if (type != ERF_PAD && framing_bytes(p, AT_ERF_HEADER) == AT_ERF_HEADER &&
        type != ERF_META && at_load_be16(p + 14) == 0)
        return false;
    return true;
}

/*
 * Extension headers are looked at only as far as 'p' has bytes, so the last
 * record may be incomplete.
 */
enum at_status at_erf_detect(struct at_layout *layout, const uint8_t *p,
                             size_t n, bool whole, const char **what)
{
    size_t at = 0;
    int records = 0;

    while (records < DETECT_RECORDS && n - at >= AT_ERF_HEADER) {
        if (!believable(p + at))
            return AT_ERR_FORMAT;
        records++;
        if (erf_rlen(p + at) > n - at)
            break;
        at += erf_rlen(p + at);
    }
    if (records == 0)
        return AT_ERR_FORMAT;
    *what = "ERF";
    if (whole && at == 0)
        return AT_ERR_TRUNCATED;
    *layout = (struct at_layout){.format = AT_FORMAT_ERF};
    return AT_OK;
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
        f.at += f.need;
        f.records++;
    }
    return f;
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

void at_erf_parse(const uint8_t *p, struct at_packet *pkt)
{
    const uint32_t rlen = erf_rlen(p);
    const uint32_t framing = framing_bytes(p, rlen);
    const uint8_t type = p[8] & 0x7f;
    const uint32_t wire = at_load_be16(p + 14);

    *pkt = (struct at_packet){
        .ts = at_load_le64(p),
        .record = p,
        .record_bytes = rlen,
        .format = AT_FORMAT_ERF,
        .erf_type = type,
        .interface = p[9] & 3,
    };
    /* A chain that does not end leaves nothing that could be a frame. */
    pkt->data = p + (framing <= rlen ? framing : rlen);
    pkt->cap_bytes = framing <= rlen ? rlen - framing : 0;
    if (type == ERF_META || type == ERF_PAD) {
        pkt->kind = type == ERF_META ? AT_KIND_META : AT_KIND_PAD;
        pkt->linktype = AT_LINK_ERF;
        return;
    }
    pkt->wire_bytes = wire;
    if (pkt->cap_bytes > wire)
        pkt->cap_bytes = wire;
    if (!is_colour(type))
        pkt->lost = at_load_be16(p + 12);
    pkt->linktype = linktype_of(pkt);
}

bool at_erf_says_more(const struct at_packet *pkt)
{
    enum { FLAG_ERRORS = 0x38 };

    return (pkt->record[8] & ERF_MORE) != 0 ||
           (pkt->record[9] & FLAG_ERRORS) != 0 ||
           (is_colour(pkt->erf_type) && at_load_be16(pkt->record + 12) != 0);
}

int at_erf_type_for(const struct at_packet *pkt)
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
    default:
        return -1;
    }
}

/*
 * Records are padded to 8 bytes with zeros, as DAG cards do; but not where
 * the frame was cut, because only the length on the wire tells padding from
 * the frame.
 */
size_t at_erf_build(uint8_t *out, const struct at_packet *pkt, uint32_t cap)
{
    const uint8_t type = (uint8_t)at_erf_type_for(pkt);
    const size_t frame = AT_ERF_HEADER +
                         (type == ERF_ETH ? (size_t)ETH_PAD : 0);
    const size_t rlen = cap < pkt->wire_bytes ? frame + cap
                                              : (frame + cap + 7) & ~(size_t)7;
    const uint16_t wire = pkt->wire_bytes < 0xffff ? (uint16_t)pkt->wire_bytes
                                                   : 0xffff;

    if (out != NULL) {
        memset(out + AT_ERF_HEADER, 0, frame - AT_ERF_HEADER);
        at_store_le64(out, pkt->ts);
        out[8] = type;
        out[9] = (uint8_t)(FLAG_VLEN | (pkt->interface & 3));
        at_store_be16(out + 10, (uint16_t)rlen);
        at_store_be16(out + 12,
                      pkt->lost < 0xffff ? (uint16_t)pkt->lost : 0xffff);
        at_store_be16(out + 14, wire);
        memcpy(out + frame, pkt->data, cap);
        memset(out + frame + cap, 0, rlen - frame - cap);
    }
    return rlen;
}
