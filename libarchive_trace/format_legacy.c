/*
 * format_legacy.c - DAG cards before ERF: records of 64 bytes
 *
 *     size  field              all kinds
 *        8  time stamp         little-endian 32.32 seconds since 1970
 *
 *     ATM:  4  CRC             of the AAL5 frame so far, not used here
 *           4  ATM header      without its checksum
 *          48  payload of the cell, 53 bytes on the wire
 *
 *     POS:  4  slen            big-endian, bytes in the record: 64
 *           2  (unused)
 *           2  wlen            big-endian, length on the wire
 *          48  the frame, PPP or Cisco HDLC, from its address on
 *
 *     Ethernet:
 *           2  wlen            little-endian, length on the wire, with FCS
 *          54  the frame
 *
 * Which kind it is nothing in the file says; nor does anything tell where a
 * frame that is shorter than its room ends, but its length on the wire.
 * The layouts are those that the traces of Auckland, Leipzig and NLANR have.
 */
#include "format.h"

#include "bytes.h"

enum { RECORD = 64, CELL_WIRE = 53, ERF_ATM = 3 };

static void parse_atm(const uint8_t *p, struct at_packet *pkt)
{
    pkt->data = p + 12;
    pkt->cap_bytes = RECORD - 12;
    pkt->wire_bytes = CELL_WIRE;
    pkt->linktype = AT_LINK_ERF;
    pkt->erf_type = ERF_ATM;
}

static void parse_pos(const uint8_t *p, struct at_packet *pkt)
{
    pkt->data = p + 16;
    pkt->cap_bytes = RECORD - 16;
    pkt->wire_bytes = at_load_be16(p + 14);
    pkt->linktype = p[16] == 0xff ? AT_LINK_PPP_HDLC : AT_LINK_C_HDLC;
}

static void parse_eth(const uint8_t *p, struct at_packet *pkt)
{
    pkt->data = p + 10;
    pkt->cap_bytes = RECORD - 10;
    pkt->wire_bytes = at_load_le16(p + 8);
    pkt->linktype = AT_LINK_ETHERNET;
}

void at_legacy_parse(enum at_format format, const uint8_t *p,
                     struct at_packet *pkt)
{
    *pkt = (struct at_packet){
        .ts = at_load_le64(p),
        .record = p,
        .record_bytes = RECORD,
        .format = (uint8_t)format,
    };
    if (format == AT_FORMAT_LEGACY_ATM)
        parse_atm(p, pkt);
    else if (format == AT_FORMAT_LEGACY_POS)
        parse_pos(p, pkt);
    else
        parse_eth(p, pkt);
    if (pkt->cap_bytes > pkt->wire_bytes)
        pkt->cap_bytes = pkt->wire_bytes;
}
