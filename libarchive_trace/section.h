/*
 * section.h - one section of a pcapng file: its byte order, its interfaces
 *
 * A packet's block says little without the interface descriptions that came
 * before it in its section.  The reader, which alone sees a file in order,
 * makes a section of every section header and appends to it; workers look up
 * interfaces that were there before their batch was handed over.  So a
 * description never moves: they lie in runs of 1, 2, 4... that stay put.
 *
 * A section is counted: the reader holds the one it is in, every block of a
 * batch the one it belongs to, a writer the one that it copies.
 */
#ifndef AT_SECTION_H
#define AT_SECTION_H

#include <stdatomic.h>

#include "bytes.h"
#include "format.h"

/* The upper byte of a packet's flags: what was wrong on the link.  ERF tells
 * that something was, most often a bad checksum. */
#define AT_NG_LINK_ERRORS UINT32_C(0xff000000)
#define AT_NG_CRC_ERROR UINT32_C(0x01000000)

enum {
    AT_NG_SHB = 0x0a0d0d0a, /* the same in either byte order */
    AT_NG_IDB = 1,
    AT_NG_PB = 2, /* obsolete */
    AT_NG_SPB = 3,
    AT_NG_NRB = 4,
    AT_NG_ISB = 5,
    AT_NG_EPB = 6,
    AT_NG_JOURNAL = 9,
    AT_NG_DSB = 10,
    AT_NG_CB = 0xbad,
    AT_NG_DCB = 0x40000bad, /* custom, not to be copied by who edits */

    AT_NG_ORDER = 0x1a2b3c4d,
    AT_NG_FRAME = 12,              /* type and both lengths */
    AT_NG_BLOCK_MOST = 16 << 20,   /* libpcap's limit */
    AT_NG_INTERFACES = 1 << 16,    /* in a section */
    AT_NG_DESCRIPTIONS = 16 << 20, /* bytes of them in a section */
    AT_NG_RUNS = 17,
};

/* What an interface description says; 'block' is a copy of all of it. */
struct at_interface {
    uint8_t *block;
    uint32_t block_bytes;
    uint32_t snap_bytes;
    int64_t offset; /* seconds, added to every time */
    uint16_t linktype;
    uint8_t resolution; /* if_tsresol */
    struct at_fcs fcs;  /* if_fcslen */
};

/* Bits 5 to 8 of a packet's flags: bytes of its FCS, 0 where not known. */
enum { AT_NG_FCS_SHIFT = 5, AT_NG_FCS_MASK = 15 };

/* What an interface description says, read from the 'n' bytes of its block;
 * 'block' stays empty. */
struct at_interface at_section_read(const uint8_t *p, uint32_t n, bool swapped);

struct at_section {
    struct at_layout layout; /* what blocks and packets point to */
    atomic_uint holders;
    uint32_t interfaces; /* the reader's thread only */
    size_t described;    /* bytes of all descriptions */
    struct at_interface *run[AT_NG_RUNS];
    uint8_t *header; /* a copy of the section header block */
    uint32_t header_bytes;
};

/* A section of the 'n' bytes of its header at 'p'; NULL: no memory. */
struct at_section *at_section_new(const uint8_t *p, uint32_t n, bool swapped);

/*
 * Appends the interface that the description at 'p', whose bytes have been
 * checked, speaks of.  Returns NULL, or what is wrong with it; *memory is
 * set where it is the memory.
 */
const char *at_section_add(struct at_section *s, const uint8_t *p, uint32_t n,
                           bool *memory);

/* Interface 'i', which is there. */
static inline const struct at_interface *
at_section_interface(const struct at_section *s, uint32_t i)
{
    unsigned run = 0;

    while ((i + 1) >> (run + 1) != 0)
        run++;
    return &s->run[run][i + 1 - (UINT32_C(1) << run)];
}

/* Numbers in the byte order of a section. */
static inline uint16_t at_ng_16(bool swapped, const uint8_t *p)
{
    return swapped ? at_load_be16(p) : at_load_le16(p);
}

static inline uint32_t at_ng_32(bool swapped, const uint8_t *p)
{
    return swapped ? at_load_be32(p) : at_load_le32(p);
}

static inline uint64_t at_ng_64(bool swapped, const uint8_t *p)
{
    const uint64_t a = at_ng_32(swapped, p), b = at_ng_32(swapped, p + 4);

    return swapped ? a << 32 | b : b << 32 | a;
}

/* A time of two words, the high one first in either byte order. */
static inline uint64_t at_ng_time(bool swapped, const uint8_t *p)
{
    return (uint64_t)at_ng_32(swapped, p) << 32 | at_ng_32(swapped, p + 4);
}

/* The bytes that a block, an option or a frame of 'n' bytes takes. */
static inline uint32_t at_ng_padded(uint32_t n)
{
    return (n + 3) & ~UINT32_C(3);
}

/* Whether what is between 'p' and 'end' can be a list of options. */
bool at_ng_options_good(const uint8_t *p, const uint8_t *end, bool swapped);

/* The options of the whole block at 'p'; none where it has no place for
 * them or they are not known to have one. */
struct at_options at_ng_options(const uint8_t *p, uint32_t n, bool swapped);

#endif
