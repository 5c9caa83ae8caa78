/*
 * format.h - the records of each capture format
 *
 * A layout says how the records of one file are built, or of one section of a
 * pcapng file.  What a thread may read of it never changes.
 */
#ifndef AT_FORMAT_H
#define AT_FORMAT_H

#include "archive_trace.h"

struct at_layout {
    enum at_format format;
    uint16_t linktype;     /* pcap: of the file */
    uint16_t header_bytes; /* of the file, before the first record */
    uint8_t record_header; /* pcap: bytes before the frame, 16 or 24 */
    bool swapped;          /* big-endian */
    bool lengths_swapped;  /* pcap before 2.3: wire length comes first */
    bool lengths_unsure;   /* pcap 2.3: either order was written */
    uint32_t snap_bytes;   /* pcap: as the header says */
    struct at_fcs fcs;     /* pcap: of the file */
    uint32_t cap_limit;    /* pcap: a larger captured length is damage */
    uint8_t record_bytes;  /* of every record, where all are of one length */
    bool third_bit;        /* ERF: bit 6 of the flags is of the interface */
    struct at_section *section; /* pcapng: what the layout is part of */
};

/* Layouts of sections are counted (section.h); others and NULL are not. */
void at_layout_hold(const struct at_layout *layout);
void at_layout_drop(const struct at_layout *layout);

/*
 * Finds the format of a file that begins with the 'n' bytes at 'p', all of
 * it if 'whole'.  Returns AT_OK, AT_ERR_FORMAT, or AT_ERR_TRUNCATED where
 * the file is a beginning of one; 'what' then names what was found.
 */
enum at_status at_layout_detect(struct at_layout *layout, const uint8_t *p,
                                size_t n, bool whole, const char **what);

/*
 * The same where the caller knows the format; UNKNOWN is the above.  What is
 * found to be another is AT_ERR_FORMAT, with 'what' NULL.
 */
enum at_status at_layout_choose(struct at_layout *layout, enum at_format format,
                                const uint8_t *p, size_t n, bool whole,
                                const char **what);

/* A walk over records to find where they end; see at_frame(). */
struct at_frame {
    const uint8_t *at; /* where the walk stopped: the start of a record */
    uint32_t records;  /* whole ones passed */
    uint32_t others;   /* of these, no packets; pcapng: not counted */
    bool bad;          /* no record can begin like what is at 'at' */
    size_t need;       /* bytes that the record at 'at' has; 0: not known */
    bool no_memory;    /* pcapng: for what there is to keep of it */
    uint32_t type;     /* pcapng: of the block at 'at' */
    const char *why;   /* pcapng: what is wrong with it, a predicate */
};

/*
 * Walks over the whole records that begin before 'stop' and end before
 * 'end'; reads their lengths only.
 */
struct at_frame at_frame(const struct at_layout *layout, const uint8_t *p,
                         const uint8_t *stop, const uint8_t *end);

/* How many of the records are packets, or AT_NOT_COUNTED. */
static inline uint32_t at_frame_packets(const struct at_layout *layout,
                                        const struct at_frame *f)
{
    return layout->format == AT_FORMAT_PCAPNG ? AT_NOT_COUNTED
                                              : f->records - f->others;
}

/*
 * What the bytes where a record may begin say of it, and whether it can be
 * one: for salvage.c, which asks more than at_frame() does.
 */
struct at_claim {
    enum {
        AT_CLAIM_NOT,   /* it contradicts itself, or is not like any record */
        AT_CLAIM_SHORT, /* its header is not whole */
        AT_CLAIM_OPEN,  /* its header is good, the rest is not all there */
        AT_CLAIM_WHOLE,
    } kind;
    size_t bytes; /* of the record, also if it is NOT one; 0: not known */
    size_t other; /* the same by another of its fields; 0: there is none */
    uint64_t ts;
    bool timed; /* 'ts' is a time */
    bool exact; /* its two lengths go together: it was not cut */
    bool sure;  /* there are two copies of its length, and they agree */
};

/* Those that are 'strict' know neither very long nor unknown records. */
struct at_ground;
struct at_claim at_erf_claim(const uint8_t *p, const uint8_t *end);
struct at_claim at_pcap_claim(const struct at_layout *layout, const uint8_t *p,
                              const uint8_t *end, bool strict);
struct at_claim at_pcapng_claim(const struct at_layout *layout,
                                const struct at_ground *g, const uint8_t *p,
                                const uint8_t *end, bool strict);

/* What the whole block at 'p' changes for those behind it. */
void at_pcapng_ground(struct at_ground *g, const uint8_t *p);

/* Takes the whole record at 'p', which at_frame() has passed, apart. */
void at_record_parse(const struct at_layout *layout, const uint8_t *p,
                     struct at_packet *pkt);

/* Per format; format.c joins them. */
enum at_status at_pcap_detect(struct at_layout *layout, const uint8_t *p,
                              size_t n, const char **what);
struct at_frame at_pcap_frame(const struct at_layout *layout, const uint8_t *p,
                              const uint8_t *stop, const uint8_t *end);
void at_pcap_parse(const struct at_layout *layout, const uint8_t *p,
                   struct at_packet *pkt);

enum at_status at_erf_detect(struct at_layout *layout, const uint8_t *p,
                             size_t n, bool whole, const char **what);
struct at_frame at_erf_frame(const uint8_t *p, const uint8_t *stop,
                             const uint8_t *end);
/* How many of the whole records from 'p' to 'end' are packets. */
uint64_t at_erf_packets(const uint8_t *p, const uint8_t *end);
void at_erf_parse(const struct at_layout *layout, const uint8_t *p,
                  struct at_packet *pkt);

/* Formats without a mark of their own, all records of one length. */
bool at_tsh_begins(const uint8_t *p, size_t n); /* could be a record */
void at_tsh_parse(const uint8_t *p, struct at_packet *pkt);
void at_legacy_parse(enum at_format format, const uint8_t *p,
                     struct at_packet *pkt);

enum at_status at_pcapng_detect(struct at_layout *layout, const uint8_t *p,
                                size_t n, const char **what);
struct at_frame at_pcapng_frame(const struct at_layout *layout,
                                const uint8_t *p, const uint8_t *stop,
                                const uint8_t *end);
void at_pcapng_parse(const struct at_layout *layout, const uint8_t *p,
                     struct at_packet *pkt);

/* What a block of that type is called in messages. */
const char *at_pcapng_name(uint32_t type);

/* Puts what the first interface says that is described in the bytes from 'p'
 * to 'end', the beginning of a file, into *info: link type, snap length, FCS;
 * left alone if there is none. */
void at_pcapng_first(const uint8_t *p, const uint8_t *end,
                     struct at_trace_info *info);

/*
 * Where a section header is at 'p', whole and good, it replaces *now by a new
 * section, held by the caller.  'records' of what is returned is 0 where the
 * walk cannot go on with *now: the header is not whole, or bad, or there was
 * no section yet.
 */
struct at_frame at_pcapng_enter(const struct at_layout **now, const uint8_t *p,
                                const uint8_t *end);

/*
 * The other way: each returns the bytes of a record for 'pkt' whose frame is
 * cut to 'cap' bytes, and writes them at 'out' if that is not NULL.  An ERF
 * record that nobody edited is its own record, whatever 'cap' says.
 */
size_t at_pcap_build(uint8_t *out, const struct at_packet *pkt, uint32_t cap,
                     bool micro);
size_t at_erf_build(uint8_t *out, const struct at_packet *pkt, uint32_t cap);

/* Whether 'pkt' is an ERF record as it stands, to be copied. */
bool at_erf_is_record(const struct at_packet *pkt);

/* Sets the interface in 'record', made of 'pkt', to that of the packet; false
 * where the record has no room for such a number. */
bool at_erf_number(uint8_t *record, const struct at_packet *pkt);

/* The direction that the interface of an ERF record stands for. */
enum at_direction at_erf_direction(const uint8_t *record);

/*
 * How an ERF record is made of a packet that is none as it stands: of up to
 * 'cap' bytes of its frame, as many as a record has room for.
 */
struct at_erf_plan {
    int type;         /* -1: there is none for such frames */
    uint32_t framing; /* bytes before the frame */
    uint32_t cap;     /* of the frame */
    uint32_t bytes;   /* of the record */
    bool kept;        /* the framing is that of the old record */
};
struct at_erf_plan at_erf_plan(const struct at_packet *pkt, uint32_t cap);
void at_erf_make(uint8_t *out, const struct at_erf_plan *plan,
                 const struct at_packet *pkt);

/* Whether the ERF record 'pkt' says what no other format has a place for:
 * extension headers, a colour, a channel, error flags but for the AT_ERROR_
 * bits 'held'. */
bool at_erf_says_more(const struct at_packet *pkt, unsigned held);

/* The ERF type for a link type and frame, or -1 if there is none. */
int at_erf_type_for(const struct at_packet *pkt);

enum { AT_PCAP_HEADER = 24, AT_PCAP_RECORD = 16, AT_ERF_HEADER = 16 };
/* The most captured bytes a record of a file with this snapshot length has. */
uint32_t at_pcap_cap_limit(uint32_t snap_bytes);

/* Whether a header has a place for an FCS of that length. */
bool at_pcap_holds_fcs(struct at_fcs fcs);

void at_pcap_header(uint8_t out[AT_PCAP_HEADER], uint16_t linktype,
                    struct at_fcs fcs, uint32_t snap_bytes, bool micro);

#endif
