/*
 * archive_trace.h - read, filter and write packet traces
 *
 * A trace is a capture file in ERF, pcap or pcapng form, plain or compressed.
 * It is read in blocks: runs of whole records that lie together in memory and,
 * in the file, begin at a place that can be found again.  Everything that is
 * done to a trace is done block by block, by as many threads as the caller's
 * pool has; results come back in the order of the file, so that they are the
 * same for any number of threads.
 *
 * A function that can fail returns AT_OK (0), AT_END (1) or a negative
 * AT_ERR code; text for people is in the caller's struct at_error.  The
 * library never prints, never exits, never asserts on input, and keeps no
 * global state.  Strings in errors have control characters shown as '?'.
 */
#ifndef ARCHIVE_TRACE_H
#define ARCHIVE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AT_VERSION "0.1.0"

#if defined(__GNUC__)
#define AT_API __attribute__((visibility("default")))
#define AT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define AT_API
#define AT_PRINTF(fmt, args)
#endif

/* ---- errors ---------------------------------------------------------- */

enum at_status {
    AT_OK = 0,
    AT_END = 1,            /* nothing left to read; not an error */
    AT_ERR_MEMORY = -1,    /* an allocation failed */
    AT_ERR_SYSTEM = -2,    /* a system call failed; the message names it */
    AT_ERR_FORMAT = -3,    /* not a trace, or of a kind we cannot read */
    AT_ERR_CORRUPT = -4,   /* a trace whose bytes contradict each other */
    AT_ERR_TRUNCATED = -5, /* the file stops early; what came before is good */
    AT_ERR_MISUSE = -6,    /* the caller broke a rule stated in this header */
    AT_ERR_SYNTAX = -7,    /* an expression, time, size or name is malformed */
    AT_ERR_LOSS = -8,      /* the target cannot hold a fact of the source */
};

struct at_error {
    enum at_status status;
    int column;    /* AT_ERR_SYNTAX: offset of the offence in bytes; else -1 */
    char msg[512]; /* one line, no newline, no program name */
};

/*
 * at_error_set() fills *err, unless it is NULL, with the formatted message,
 * control characters replaced, and returns 'status'.
 */
AT_API enum at_status at_error_set(struct at_error *err, enum at_status status,
                                   const char *fmt, ...) AT_PRINTF(3, 4);

/* ---- time ------------------------------------------------------------ */

/*
 * A packet's time is an unsigned 32.32 fixed-point number of seconds since
 * 1970-01-01 UTC, as in ERF.  The way from nanoseconds rounds up and the way
 * back to the nearest, so that ns -> 32.32 -> ns is exact, and so is what was
 * rounded down by others.
 */
static inline uint64_t at_ts_from_ns(uint64_t ns)
{
    const uint64_t sec = ns / 1000000000u, frac = ns % 1000000000u;

    return (sec << 32) + ((frac << 32) + 999999999u) / 1000000000u;
}

static inline int64_t at_ts_to_ns(uint64_t ts)
{
    return (int64_t)((ts >> 32) * 1000000000u +
                     (((ts & 0xffffffffu) * 1000000000u + 0x80000000u) >> 32));
}

#define AT_TIME_MIN INT64_MIN
#define AT_TIME_MAX INT64_MAX

/*
 * at_time_parse() reads a point in time: ISO 8601 with 'Z', an offset or no
 * zone (UTC), to the nanosecond; a date alone; "@SECONDS[.FRACTION]"; "now";
 * and distances: "-2h" is from 'now_ns', "+15m" from 'base_ns' (an error
 * where base_ns is AT_TIME_MIN, no base).  *ns is nanoseconds since 1970.
 * Returns AT_OK or AT_ERR_SYNTAX.
 */
AT_API enum at_status at_time_parse(int64_t *ns, const char *text,
                                    int64_t now_ns, int64_t base_ns,
                                    struct at_error *err);

/* at_time_now() is the wall clock in nanoseconds since 1970. */
AT_API int64_t at_time_now(void);

/*
 * at_time_format() prints "2026-03-01T09:00:00.123456789Z", or with 'local'
 * the time of the TZ zone with its offset.  'buf' needs AT_TIME_TEXT bytes.
 * Returns the length printed.
 */
enum { AT_TIME_TEXT = 40 };
AT_API size_t at_time_format(char *buf, int64_t ns, bool local);

/*
 * at_duration_parse() reads "90", "90s", "1.5h", "250ms"; units ns us ms s m
 * h d; a bare number is seconds.  at_size_parse() reads "4096", "2T", "1.5k",
 * "64Ki"; k M G T are powers of 1000, Ki Mi Gi Ti of 1024.
 */
AT_API enum at_status at_duration_parse(int64_t *ns, const char *text,
                                        struct at_error *err);
AT_API enum at_status at_size_parse(uint64_t *n, const char *text,
                                    struct at_error *err);

/* ---- formats and codecs ---------------------------------------------- */

enum at_format {
    AT_FORMAT_UNKNOWN = 0,
    AT_FORMAT_ERF,     /* Endace extensible record format */
    AT_FORMAT_PCAP,    /* classic pcap, nanoseconds */
    AT_FORMAT_PCAP_US, /* classic pcap, microseconds */
    /* Read only, and only where the caller names them: they have no mark. */
    AT_FORMAT_TSH,        /* NLANR time sequenced headers */
    AT_FORMAT_LEGACY_ATM, /* DAG cards before ERF, by the kind of link */
    AT_FORMAT_LEGACY_POS,
    AT_FORMAT_LEGACY_ETH,
    AT_FORMAT_PCAPNG, /* pcapng: sections, interfaces, options */
};

enum at_codec {
    AT_CODEC_UNKNOWN = 0,
    AT_CODEC_NONE,
    AT_CODEC_GZIP,  /* RFC 1952, members in any number: read one after one
                       unless they say their size, as those written do */
    AT_CODEC_BGZF,  /* gzip in blocks of 64 KiB with their size in "BC" */
    AT_CODEC_ZSTD,  /* RFC 8878, frames in any number */
    AT_CODEC_XZ,    /* The .xz File Format 1.1.0, streams in any number */
    AT_CODEC_BZIP2, /* streams in any number */
    AT_CODEC_LZ4,   /* LZ4 Frame Format 1.6.3, frames in any number */
};

/*
 * Names as on the command line: "erf", "pcap", "pcap-us", "pcapng", "tsh",
 * "legacyatm", "legacypos", "legacyeth"; "none", "gzip" (or "gz"), "bgzf",
 * "zstd" ("zst"), "xz", "bzip2" ("bz2"), "lz4".  The parsers return ..._UNKNOWN
 * for other text.
 */
AT_API const char *at_format_name(enum at_format format);
AT_API enum at_format at_format_parse(const char *name);
/* Whether at_writer_open() takes it. */
AT_API bool at_format_writable(enum at_format format);
AT_API const char *at_codec_name(enum at_codec codec);
AT_API enum at_codec at_codec_parse(const char *name);

/* The format that the name of a file to be written stands for, the suffix of
 * a codec aside: ERF for ".erf", PCAPNG for ".pcapng", else PCAP. */
AT_API enum at_format at_format_by_name(const char *path);

/* The codec that the suffix of a file to be written stands for (BGZF for
 * ".gz"), NONE if it is none; and the way back, "" for NONE. */
AT_API enum at_codec at_codec_by_name(const char *path);
AT_API const char *at_codec_suffix(enum at_codec codec);

/* The levels that a codec compresses with, and the one it takes unless told
 * otherwise; false where it has none. */
AT_API bool at_codec_levels(enum at_codec codec, int *least, int *most,
                            int *usual);

/*
 * at_codec_measure() compresses the 'n' bytes at 'p' as a writer would with
 * that codec and level (0: the usual one), and stores in *packed how many
 * bytes they take; for estimates.
 */
AT_API enum at_status at_codec_measure(enum at_codec codec, int level,
                                       const uint8_t *p, size_t n,
                                       uint64_t *packed, struct at_error *err);

/* LINKTYPE_ numbers (https://www.tcpdump.org/linktypes.html) that are decoded
 * or written; a trace may have any other. */
enum {
    AT_LINK_NULL = 0,
    AT_LINK_ETHERNET = 1,
    AT_LINK_PPP = 9,
    AT_LINK_FDDI = 10,
    AT_LINK_PPP_HDLC = 50,
    AT_LINK_PPP_ETHER = 51, /* PPPoE without its Ethernet header */
    AT_LINK_ATM_RFC1483 = 100,
    AT_LINK_RAW = 101,
    AT_LINK_C_HDLC = 104,
    AT_LINK_IEEE802_11 = 105,
    AT_LINK_LOOP = 108,
    AT_LINK_LINUX_SLL = 113,
    AT_LINK_PRISM = 119,
    AT_LINK_RADIOTAP = 127,
    AT_LINK_AVS = 163,
    AT_LINK_PPI = 192,
    AT_LINK_ERF = 197, /* a record of a kind that has no link type of its own */
    AT_LINK_IPV4 = 228,
    AT_LINK_IPV6 = 229,
    AT_LINK_LINUX_SLL2 = 276,
};

/* ---- packets --------------------------------------------------------- */

enum at_kind {
    AT_KIND_PACKET = 0, /* a captured frame */
    AT_KIND_META,       /* ERF META; any pcapng block that is no packet */
    AT_KIND_PAD,        /* ERF PAD: nothing */
};

/*
 * Which way a packet went past the interface that saw it.  ERF does not say
 * so; by the convention of Endace and libtrace its interface 0 is outgoing,
 * 1 is incoming, and the others are neither.
 */
enum at_direction {
    AT_DIRECTION_UNKNOWN = 0,
    AT_DIRECTION_IN,
    AT_DIRECTION_OUT,
    AT_DIRECTION_OTHER, /* known to be neither */
};

/* What the capturing hardware said was wrong with a packet. */
enum {
    AT_ERROR_RX = 1,    /* receive error: a bad checksum or length, mostly */
    AT_ERROR_DS = 2,    /* an error inside the capture card */
    AT_ERROR_TRUNC = 4, /* cut by the card because it could not keep up */
};

/* The frame check sequence at the end of a frame, where its length is known;
 * that of a frame that was not captured whole is missing or cut. */
struct at_fcs {
    bool known;
    uint8_t bits; /* 0: there is none */
};

enum at_fcs_use {
    AT_FCS_KEEP = 0, /* lengths are as they are */
    AT_FCS_STRIP,    /* the last 4 bytes of Ethernet frames are taken off */
    AT_FCS_ADD,      /* Ethernet frames get 4 bytes: the CRC-32 where the
                        frame was captured whole, else the length alone */
};

/*
 * One record of a trace.  'data' and 'record' point into the block that the
 * packet came from and live as long as its batch is held.  Where 'edited' is
 * set, 'data', 'cap_bytes' or 'wire_bytes' are no longer what 'record' holds,
 * and a writer makes a new record out of them and the rest of the old one.
 */
struct at_packet {
    uint64_t ts;           /* 32.32 fixed point: see at_ts_to_ns() */
    const uint8_t *data;   /* first captured byte of the frame */
    const uint8_t *record; /* the whole record as it stands in the file */
    const struct at_layout *layout; /* of 'record' */
    const char *comment; /* that a writer of pcapng adds; NULL: none */
    uint32_t cap_bytes;  /* bytes at 'data' */
    uint32_t wire_bytes; /* length on the wire, as the file states it */
    uint32_t record_bytes;
    uint32_t interface; /* its number in the file; 0 where there are none */
    uint32_t lost;      /* packets lost before this one, where it says so */
    uint32_t source;    /* of several that are read as one: see at_merge */
    uint16_t linktype;  /* AT_LINK_ number */
    uint8_t kind;       /* enum at_kind */
    uint8_t direction;  /* enum at_direction */
    uint8_t format;     /* enum at_format of 'record' */
    uint8_t erf_type;   /* ERF: type without the extension bit; else 0 */
    uint8_t errors;     /* AT_ERROR_ bits; the captured bytes are there */
    bool edited;
    uint8_t done;      /* AT_DONE_ bits: what at_process_packet() did */
    uint8_t checksum;  /* enum at_checksum: what it found */
    bool timeless;     /* the file gives it no time; 'ts' is 0 */
    struct at_fcs fcs; /* is part of the captured and wire bytes */
};

/*
 * What a pcapng record says beside the fields above, option by option
 * (draft-ietf-opsawg-pcapng section 3.5; codes in archive_trace(5)).  The
 * bytes are the file's and live as long as the packet's batch is held.
 */
struct at_options {
    const uint8_t *at; /* the next one */
    const uint8_t *end;
    bool swapped; /* numbers in them are big-endian */
};

struct at_option {
    const uint8_t *data;
    uint16_t code;
    uint16_t bytes; /* at 'data' */
};

/* Those of the record itself, and those of the interface that a packet was
 * seen on; none for records of other formats. */
AT_API struct at_options at_packet_options(const struct at_packet *pkt);
AT_API struct at_options at_interface_options(const struct at_packet *pkt);

/* at_options_next() stores the next option; false when there is none. */
AT_API bool at_options_next(struct at_options *options,
                            struct at_option *option);

/* The value of an option of 1, 2, 4 or 8 bytes as a number; else 0. */
AT_API uint64_t at_option_number(const struct at_options *options,
                                 const struct at_option *option);

/*
 * Texts are UTF-8 as the file has them, unchecked, without a 0 at the end;
 * false where there is none.  at_comment_next() goes on through the options.
 */
AT_API bool at_comment_next(struct at_options *options, const char **text,
                            size_t *bytes);
AT_API bool at_interface_name(const struct at_packet *pkt, const char **text,
                              size_t *bytes);
AT_API bool at_interface_description(const struct at_packet *pkt,
                                     const char **text, size_t *bytes);

/* ---- threads --------------------------------------------------------- */

/*
 * A pool of threads that any number of readers, writers and runs share.  A
 * pool of N has N-1 threads: who waits for a result works meanwhile.  So a
 * pool of 1 starts no thread at all.  N = 0 asks for one per processor.
 * A pool must outlive what was opened on it.  at_pool_close(NULL) is fine.
 */
struct at_pool;
AT_API enum at_status at_pool_open(struct at_pool **out, unsigned threads,
                                   struct at_error *err);
AT_API unsigned at_pool_threads(const struct at_pool *pool);
AT_API void at_pool_close(struct at_pool *pool);

/* ---- reading --------------------------------------------------------- */

/*
 * Where a block can be read again.  Decoding may begin at byte 'file_offset'
 * of the file and needs 'file_bytes' from there (0: not known, the codec has
 * no boundaries); the block is the 'bytes' decoded ones that follow the first
 * 'skip', and it begins at 'raw_offset' of all that the file decodes to.  For
 * a plain file 'skip' is 0; for BGZF it is below 64 KiB; for a gzip stream it
 * may be anything, and only reading in sequence gets there, or access points.
 */
struct at_place {
    uint64_t file_offset;
    uint64_t file_bytes;
    uint64_t raw_offset;
    uint64_t skip;
    uint64_t bytes;
};

/* A run of whole records; most blocks are of about 64 KiB. */
struct at_block {
    const uint8_t *data;
    const struct at_layout *layout; /* how to take its records apart */
    struct at_place place;
    uint32_t records; /* of any kind */
    uint32_t packets; /* of them, or AT_NOT_COUNTED */
};

#define AT_NOT_COUNTED UINT32_MAX

/* Some blocks that follow each other in the trace, held until released. */
struct at_batch {
    const struct at_block *block;
    size_t blocks;
    uint64_t first_record; /* number of the first record, from 0, as read */
    uint64_t first_block;  /* number of the first block, from 0, as read */
};

/* Walks the records of one block: see at_walk_next(). */
struct at_walk {
    const struct at_layout *layout;
    const uint8_t *at;
    const uint8_t *end;
};

AT_API struct at_walk at_walk_block(const struct at_batch *batch, size_t i);

/* How many packets a batch holds; faster than to walk over them. */
AT_API uint64_t at_batch_packets(const struct at_batch *batch);

/* at_walk_next() stores the next record in *pkt; false when there is none. */
AT_API bool at_walk_next(struct at_walk *walk, struct at_packet *pkt);

/*
 * Access points make a file that is one gzip stream (or several members that
 * do not tell their size) a file that is read at any place and by many
 * threads.  They are taken while it is read the first time and kept by the
 * caller.  A point is the beginning of a gzip member, or of a deflate block
 * (RFC 1951) inside one; that one needs the 32 KiB before it.  Where no block
 * begins, or windows would take too much room, points are further apart than
 * was asked for.
 */
struct at_access_point {
    uint64_t file_bit;      /* bit of the file, the lowest of a byte first */
    uint64_t raw_offset;    /* of the first byte that is decoded from there */
    uint64_t member_offset; /* byte of the file where its member begins */
    uint64_t member_raw;    /* decoded bytes of the member before the point */
    uint32_t crc;           /* CRC-32 of those */
    uint32_t window_bytes;  /* of 'window'; 0 at the beginning of a member */
    const uint8_t *window;  /* what is decoded before it, as raw deflate: the
                               last 32 KiB, or all there is of its member */
};

/*
 * Known points of a file, in order.  They may come from anyone: a reader
 * refuses what contradicts itself or the file (AT_ERR_CORRUPT), and holds the
 * bytes from each point to the next against the CRCs, also where it decodes
 * nothing else of the file.
 *
 * Unless it is NULL, load() is asked for windows instead of point[i].window:
 * it stores the window_bytes bytes of point 'i' at 'to'.  It is called on the
 * thread that uses the reader.
 */
struct at_access {
    const struct at_access_point *point;
    size_t n;
    enum at_status (*load)(void *ctx, size_t i, uint8_t *to,
                           struct at_error *err);
    void (*drop)(void *ctx); /* may be NULL: the reader is done with it all,
                                or could not be opened */
    void *ctx;
    const char *name; /* where they are kept, for messages */
};

struct at_reader;

/* Set all of it to zero, then 'size', then the fields you care about. */
struct at_reader_options {
    size_t size;          /* sizeof(struct at_reader_options) */
    struct at_pool *pool; /* NULL: the caller's thread does all the work */
    /* UNKNOWN: found by content.  PCAP stands for pcap of either fraction.
     * ERF skips the judgement whether it is one; another format must be. */
    enum at_format format;
    /* 4 or 0: two bits of the ERF flags; 8: bit 6 is the third, as newer
     * cards have it. */
    unsigned erf_interfaces;
    uint64_t spacing; /* gzip: take an access point about every so many
                         decoded bytes; 0 takes none */
    uint64_t portion; /* of those points: their windows take at most one
                         in so many bytes of the file; 0 is 100 */
    const struct at_access *access; /* gzip: points that are known, or NULL */
    bool salvage;     /* go on after damage: see at_reader_holes() */
    uint64_t memory;  /* for what is decoded ahead, about; 0: two pieces of
                         1 MiB for each thread of the pool */
    const char *name; /* for messages, copied; NULL: the path */
};

/* What is known of a trace once its beginning has been read. */
struct at_trace_info {
    const char *name; /* for messages: the path, or "standard input" */
    enum at_format format;
    enum at_codec codec;
    uint64_t file_bytes; /* 0 where it is not a file */
    uint16_t linktype;   /* pcap: of all packets; ERF: of the first one;
                            pcapng: of the first interface */
    uint32_t snap_bytes; /* as the file states it; ERF: 0 */
    struct at_fcs fcs;   /* pcap: of all packets; pcapng: of the first
                            interface */
    bool random_access;  /* at_reader_select() will not read in sequence */
};

/*
 * at_reader_open() opens the trace 'path' ("-" is standard input), finds its
 * codec and format by content, and stops before its first record.  On
 * failure *out is NULL.  An empty file is AT_ERR_TRUNCATED.
 *
 * One reader must not be used by two threads at once.
 */
AT_API enum at_status at_reader_open(struct at_reader **out, const char *path,
                                     const struct at_reader_options *opts,
                                     struct at_error *err);

/* The strings and the struct belong to the reader. */
AT_API const struct at_trace_info *at_reader_info(const struct at_reader *rd);

/*
 * The access points taken so far, of a reader that was opened with 'spacing';
 * complete once it has returned AT_END or an error.  They belong to the
 * reader.  *n is 0 where the file is not of a kind that needs them.
 */
AT_API const struct at_access_point *
at_reader_access(const struct at_reader *rd, size_t *n);

/*
 * at_reader_next_batch() stores the next blocks in *batch; the caller gives
 * them back by at_batch_release(), from any thread, before the reader is
 * closed.  Returns AT_OK; AT_END after the last block; or an error, which is
 * then returned by every later call.  All whole records before the damage
 * have been delivered by then.
 */
AT_API enum at_status at_reader_next_batch(struct at_reader *rd,
                                           struct at_batch **batch);
AT_API void at_batch_release(struct at_batch *batch);

/*
 * at_reader_next() is the simple way: one record at a time, good until the
 * next call on 'rd'.  Do not mix it with at_reader_next_batch().
 */
AT_API enum at_status at_reader_next(struct at_reader *rd,
                                     struct at_packet *pkt);

/*
 * at_reader_select() makes the reader go through these places only, which
 * must be blocks of this very file in ascending order.  'place' is copied.
 * Where the file has no random access, and in pcapng, whose blocks mean
 * nothing without the descriptions before them, all of it is read in sequence
 * and blocks that overlap none of the places are left out.  With 'salvage' such
 * a file is read whole; elsewhere damage in a place is a hole.
 */
AT_API enum at_status at_reader_select(struct at_reader *rd,
                                       const struct at_place *place, size_t n);

/* Bytes of the file that the batches given out so far have used, about; for
 * progress. */
AT_API uint64_t at_reader_position(const struct at_reader *rd);

/* The first error met on 'rd'; its status is AT_OK or AT_END if there was
 * none. */
AT_API const struct at_error *at_reader_error(const struct at_reader *rd);

/*
 * A reader that was opened with 'salvage' does not stop at damage.  It leaves
 * out what cannot be trusted, goes on with the next records that can, and ends
 * with AT_END.  What was left out are holes.  A record can be trusted if it
 * makes sense and others do that follow it; what its frame holds is believed.
 * Compressed data whose checksum is wrong is a hole as a whole.  Records that
 * are true but lonely between two holes are lost.  A trace that can be read to
 * its end without 'salvage' has no holes, whatever is in its records; only 16
 * bytes of zeros are none.
 */
struct at_hole {
    uint64_t offset;
    uint64_t bytes;   /* up to the end of what is there */
    bool decoded;     /* counted in what the file decodes to, not in the file */
    bool kept;        /* it was read: something in it is wrong */
    const char *what; /* that is not there: "ERF record", "zstd frame" */
};

struct at_salvaged {
    uint64_t holes;
    uint64_t bytes;      /* of all of them but those kept */
    const char *assumed; /* in words, what was found out by the records of a
                            pcap file since its header is lost or cannot be
                            right; NULL if it is right; the reader's */
};

/*
 * The holes found so far, the first AT_HOLES_MOST of them, which belong to the
 * reader; *total, unless NULL, counts all.  Complete after AT_END.
 */
enum { AT_HOLES_MOST = 1000 };
AT_API const struct at_hole *at_reader_holes(const struct at_reader *rd,
                                             size_t *n,
                                             struct at_salvaged *total);

AT_API void at_reader_close(struct at_reader *rd);

/*
 * The parallel way: every batch of 'rd' goes to 'work' on some thread of the
 * pool, and then, in the order of the trace, to 'report' on the caller's.
 * Each has a slot of 'slot_bytes' bytes, zero at first, that is used again
 * for later batches, so that it can keep its buffers; 'drop' (may be NULL)
 * frees what a slot holds at the end.  'work' touches its slot and the batch
 * only.  Either may return an error (with 'err' filled), which ends the run,
 * or AT_END to stop early without one.
 *
 * at_run() returns AT_OK after the last batch or an early stop; the first
 * error of a callback; or the reader's.  In every case what could be read
 * before that has been reported.
 */
struct at_run {
    size_t slot_bytes;
    size_t slots; /* batches under way at once; 0: two a thread, and two */
    void *ctx;
    enum at_status (*work)(void *ctx, void *slot, const struct at_batch *batch,
                           struct at_error *err);
    enum at_status (*report)(void *ctx, void *slot,
                             const struct at_batch *batch,
                             struct at_error *err);
    void (*drop)(void *ctx, void *slot);
};

AT_API enum at_status at_run(struct at_reader *rd, struct at_pool *pool,
                             const struct at_run *run, struct at_error *err);

/*
 * The same to be pulled: at_pass_next() gives the next batch that 'work' has
 * been done on, with its slot; both are the caller's until the next call.  It
 * returns AT_END after the last one, or the first error of the reader or of
 * 'work', all that came before having been given out.  'report' is not used;
 * *run is copied, its ctx must live.
 */
struct at_pass;
AT_API enum at_status at_pass_open(struct at_pass **out, struct at_reader *rd,
                                   struct at_pool *pool,
                                   const struct at_run *run,
                                   struct at_error *err);
AT_API enum at_status at_pass_next(struct at_pass *pass, void **slot,
                                   const struct at_batch **batch,
                                   struct at_error *err);
/* The batch given out last is the caller's from now on, to be released. */
AT_API struct at_batch *at_pass_keep(struct at_pass *pass);
AT_API void at_pass_close(struct at_pass *pass);

/* ---- picking and merging --------------------------------------------- */

/*
 * Bytes that grow.  All zero is empty; 'failed' is set for good once memory
 * ran out.  at_text_close() frees them and makes it empty.
 */
struct at_text {
    char *p;
    size_t n;
    size_t room;
    bool failed;
};
AT_API void at_text_add(struct at_text *t, const void *p, size_t n);
AT_API void at_text_close(struct at_text *t);

struct at_scratch;

/* Which packets are wanted, and what is done to them; META and PAD records
 * are none. */
struct at_selection {
    struct at_filter *filter; /* NULL: any */
    int64_t from_ns;          /* from_ns <= time < to_ns */
    int64_t to_ns;
    bool records; /* META and PAD records of any time are wanted too */
    const struct at_process *process; /* NULL: they stay as they are */

    /* Unless NULL, this is called for every wanted record by the thread that
     * found it, and may append to *note; see at_pick_note(). */
    void (*note)(void *ctx, struct at_text *note, const struct at_packet *pkt);
    void *ctx;

    /* Unless NULL, what is done to every wanted record after 'process', by the
     * same thread: it changes *pkt as at_process_packet() does, and takes at
     * most 32 bytes more than record_bytes of 'scratch'.  False: the record is
     * not wanted any more. */
    bool (*change)(void *ctx, struct at_scratch *scratch,
                   struct at_packet *pkt);
    void *change_ctx;
};

/*
 * The wanted packets of one reader, in order; they are looked for, and
 * processed, by all threads of the pool.  A packet is good until the next
 * call.
 */
struct at_pick;
AT_API enum at_status at_pick_open(struct at_pick **out, struct at_reader *rd,
                                   struct at_pool *pool,
                                   const struct at_selection *selection,
                                   struct at_error *err);
AT_API enum at_status at_pick_next(struct at_pick *pick, struct at_packet *pkt,
                                   struct at_error *err);
/* Packets that were wanted, but that processing dropped, so far. */
AT_API uint64_t at_pick_dropped(const struct at_pick *pick);
/* The 'n' bytes that were noted of the packet given out last; good as long. */
AT_API const char *at_pick_note(const struct at_pick *pick, size_t *n);
/* Where the record of the packet given out last begins, in bytes of all that
 * its file decodes to; it must not have been changed. */
AT_API uint64_t at_pick_offset(const struct at_pick *pick);
AT_API void at_pick_close(struct at_pick *pick);

/*
 * Several sources as one: the packet with the earliest time first, of equal
 * ones that of the source named first.  Each source's own order is kept.
 * An error of a source is returned; the next call asks the same source again,
 * which must say AT_END, or go on with what it has, sooner or later.
 */
struct at_merge_source {
    void *ctx;
    enum at_status (*next)(void *ctx, struct at_packet *pkt,
                           struct at_error *err);
};

struct at_merge;
AT_API enum at_status at_merge_open(struct at_merge **out,
                                    const struct at_merge_source *source,
                                    size_t n, struct at_error *err);
/* *from, unless NULL, is the number of the packet's source; pkt->source is
 * set to it. */
AT_API enum at_status at_merge_next(struct at_merge *m, struct at_packet *pkt,
                                    size_t *from, struct at_error *err);
AT_API void at_merge_close(struct at_merge *m);

/* ---- trace sets ------------------------------------------------------ */

/*
 * Several traces as one: as parallel streams, the packet with the earliest
 * time first, of equal ones that of the input named first; or in sequence.
 * Each input's own order is kept, unless 'window_ns' puts packets right that
 * come late.  Every input is searched by all threads of the pool.
 *
 * Regular files are looked at when the set is opened, and opened for good only
 * when the time of their first record has come, so that hundreds of files
 * that follow each other take the room of one.
 *
 * A set is used by one thread.
 */
struct at_traces;

/* Which inputs a set goes on without, having told 'ended' of them. */
enum at_go_on {
    AT_GO_ON_NEVER = 0,
    AT_GO_ON_DAMAGED, /* those that break while they are read */
    AT_GO_ON_ALWAYS,  /* those that cannot be opened too, unless that is all */
};

/* Set all of it to zero, then 'size', then the fields you care about. */
struct at_traces_options {
    size_t size;                       /* sizeof(struct at_traces_options) */
    struct at_pool *pool;              /* NULL: the caller's thread does all */
    const struct at_selection *wanted; /* copied; NULL: every packet */
    struct at_reader_options reading;  /* 'size', 'pool', 'memory' aside */
    uint64_t memory;   /* for what all inputs decode ahead, about; 0: 64 MiB */
    uint64_t limit;    /* the set ends after so many packets; 0: never */
    int64_t window_ns; /* a packet may come so much too late and still find its
                          place; what comes later yet is given out at once.  The
                          packets of the window are in memory. */
    bool sequence;     /* one after the other */
    enum at_go_on go_on;

    void *ctx; /* of the functions below, which may be NULL */

    /* What opens an input instead of at_reader_open(). */
    enum at_status (*open)(void *ctx, struct at_reader **rd, const char *path,
                           const struct at_reader_options *opts,
                           struct at_error *err);

    /* Input 'i' has given all it will: 'rd' is NULL if it was not opened, 'err'
     * NULL if it was whole.  Called once for each input that was begun. */
    void (*ended)(void *ctx, size_t i, const struct at_reader *rd,
                  const struct at_error *err);
};

/* What was seen of one input so far; packets only, no other records. */
struct at_traces_counts {
    const char *path;      /* the caller's */
    uint64_t accepted;     /* wanted, and not dropped by processing */
    uint64_t filtered;     /* not wanted */
    uint64_t dropped;      /* wanted, and dropped by processing */
    uint64_t lost;         /* before the wanted ones, as the file says */
    uint64_t out_of_order; /* wanted, and earlier than one before them */
    bool begun;
    bool ended;
    enum at_status status; /* why it ended: AT_END, or the error */
};

/* 'path' is kept, not copied.  Every input is looked at, so that one that is
 * missing or no trace is an error here. */
AT_API enum at_status at_traces_open(struct at_traces **out, char *const path[],
                                     size_t n,
                                     const struct at_traces_options *opts,
                                     struct at_error *err);

/*
 * at_traces_next() stores the next wanted packet, good until the next call;
 * pkt->source is the number of its input.  Returns AT_END after the last one.
 * The error of an input, unless the set goes on, comes when all packets
 * before it have been given out; a call after that goes on with the others.
 */
AT_API enum at_status at_traces_next(struct at_traces *t, struct at_packet *pkt,
                                     struct at_error *err);

/* What wanted->note made of the packet given out last. */
AT_API const char *at_traces_note(const struct at_traces *t, size_t *n);

/* Packets that came later than the window allows. */
AT_API uint64_t at_traces_late(const struct at_traces *t);

AT_API size_t at_traces_inputs(const struct at_traces *t);
AT_API const struct at_traces_counts *at_traces_count(const struct at_traces *t,
                                                      size_t i);

/* What is known of input 'i' once it was looked at; else all zero. */
AT_API const struct at_trace_info *at_traces_info(const struct at_traces *t,
                                                  size_t i);

/* Bytes of the inputs read so far, and of all of them, about; for progress. */
AT_API uint64_t at_traces_position(const struct at_traces *t);
AT_API uint64_t at_traces_bytes(const struct at_traces *t);
AT_API void at_traces_close(struct at_traces *t);

/*
 * Names of inputs, as people give them.  All zero is none; the strings belong
 * to the struct, and at_paths_close() frees them and makes it empty.
 */
struct stat;
struct at_paths {
    char **path;
    size_t n, room;

    /* Unless NULL, says whether a file or directory is taken that was found
     * in a directory. */
    bool (*take)(void *ctx, const char *path, const struct stat *st);
    /* Unless NULL, says whether a directory is added itself, as if it were a
     * file. */
    bool (*whole)(void *ctx, const char *path);
    void *ctx;
};

/*
 * at_paths_add() adds what 'word' names: a file, or whatever else has that
 * name, and "-", as it stands; of a directory the regular files in it and in
 * those below, by name, but not hidden ones, indexes (".idx"), and what is
 * still being written (".part").  Where nothing has that name, "@LIST" is a
 * file of such words, one a line or, if there is a NUL in it, with a NUL
 * after each ("@-": standard input), and a word with * ? or [ is a pattern of
 * glob(7).  What is none of these, or matches nothing, is added as it stands,
 * and whoever opens it will say so.
 */
AT_API enum at_status at_paths_add(struct at_paths *paths, const char *word,
                                   struct at_error *err);
AT_API void at_paths_close(struct at_paths *paths);

/*
 * What tells packets of one time that are the same: the same nanosecond, link
 * type, lengths and captured bytes; other facts may differ.  It remembers the
 * packets of the latest time seen, at most AT_UNIQUE_PACKETS of them in
 * AT_UNIQUE_BYTES, and forgets all when there are more.  A packet without a
 * time is never the same as another.
 */
enum { AT_UNIQUE_PACKETS = 8192, AT_UNIQUE_BYTES = 16 << 20 };
struct at_unique;
AT_API enum at_status at_unique_open(struct at_unique **out,
                                     struct at_error *err);
/* Whether no packet like it has come yet. */
AT_API bool at_unique_is_new(struct at_unique *u, const struct at_packet *pkt);
AT_API void at_unique_close(struct at_unique *u);

/*
 * Records of many traces to be, kept in queues until each is written: in
 * about 'memory' bytes (0: 64 MiB), and what is more in a file without a name
 * in the folder of 'beside'.  A spool is used by one thread.
 */
struct at_spool;
AT_API enum at_status at_spool_open(struct at_spool **out, const char *beside,
                                    uint64_t memory, struct at_error *err);

/* Copies the record to the end of a queue; queues are numbered from 0, best
 * without gaps. */
AT_API enum at_status at_spool_add(struct at_spool *s, uint32_t queue,
                                   const struct at_packet *pkt,
                                   struct at_error *err);

/*
 * Takes the next record, good until the next call of at_spool_take(), or
 * AT_END.  Once a queue is begun it is taken to its end before another is, or
 * anything is added to it; then it is empty, and may be used again.
 */
AT_API enum at_status at_spool_take(struct at_spool *s, uint32_t queue,
                                    struct at_packet *pkt,
                                    struct at_error *err);
AT_API void at_spool_close(struct at_spool *s);

/*
 * What a piece of a trace needs of the records before it: at_heading_note()
 * is shown every record and keeps copies of the latest ERF META record of each
 * kind, and of the names and secrets in a pcapng section; not too many.
 */
struct at_heading;
AT_API enum at_status at_heading_open(struct at_heading **out,
                                      struct at_error *err);
AT_API enum at_status at_heading_note(struct at_heading *h,
                                      const struct at_packet *pkt,
                                      struct at_error *err);
AT_API size_t at_heading_records(const struct at_heading *h);
AT_API const struct at_packet *at_heading_record(const struct at_heading *h,
                                                 size_t i);
AT_API void at_heading_close(struct at_heading *h);

/* ---- the pipeline ---------------------------------------------------- */

/*
 * A program over a trace set:
 *
 *     traces -> packets -> workers -> results in order -> reporter
 *
 * Workers are threads as a program sees them: each has a state, is called for
 * one packet or tick at a time, always in the order of the trace, and touches
 * nothing but its state.  The pool's threads run them, whichever is free, so
 * that there may be more or fewer workers than threads.
 *
 * A packet's position is the number of wanted records before it in the trace.
 * Which worker gets a packet follows from the trace, the options and the
 * number of workers, never from speed; so does the order of ordered results.
 *
 * Between the callbacks a packet costs no lock, no allocation and no system
 * call.  Batches move between threads; the queues are bounded, and who fills
 * one that is full helps to empty it.
 */
struct at_pipeline;

struct at_worker {
    void *ctx;         /* of the options */
    void *state;       /* 'state_bytes' of its own, zero at first */
    unsigned number;   /* from 0 */
    unsigned workers;  /* of the pipeline */
    uint64_t position; /* of the packet or tick it is called for */
};

enum at_share {
    AT_SHARE_BLOCKS = 0, /* runs of packets, to one worker after the other */
    AT_SHARE_FLOWS,      /* by addresses and protocol: both directions of a
                            flow, and its fragments, meet in one worker */
    AT_SHARE_DIRECTIONS, /* the same for each direction by itself */
    AT_SHARE_HASH,       /* by the caller's 'hash' */
};

enum at_combine {
    AT_COMBINE_ORDERED = 0, /* results by position; of one position those of
                               ticks first, then by worker */
    AT_COMBINE_UNORDERED,   /* as they come */
    AT_COMBINE_SORTED,      /* by key, then as ordered */
};

/* A place in the trace that every worker is told of, also one that gets no
 * packets: all packets before it that are the worker's have been seen. */
struct at_tick {
    enum { AT_TICK_COUNT, AT_TICK_TIME } kind;
    uint64_t number;   /* of its kind, from 0 */
    uint64_t position; /* of the first packet after it */
    int64_t time_ns;   /* AT_TICK_TIME: the end of the interval */
    uint64_t passed;   /* AT_TICK_TIME: intervals that end with it: 1, and one
                          more for each that had no packet */
};

/* What a worker has published; 'data' is good until the callback returns. */
struct at_result {
    uint64_t key;
    const void *data; /* aligned for anything */
    size_t bytes;
    unsigned worker;
    bool tick;         /* published by a tick */
    uint64_t position; /* where */
};

struct at_pipeline_counts {
    uint64_t records; /* handed to workers, of any kind */
    uint64_t results; /* handed to the reporter */
    uint64_t ticks;
    uint64_t late; /* sorted results that came later than the window allows */
};

struct at_worker_counts {
    uint64_t records;
    uint64_t ticks;
    uint64_t results; /* published */
};

/*
 * Set all of it to zero, then 'size', then the fields you care about.  Any
 * callback may be NULL.  One that returns an error (with 'err' filled) ends
 * the run with that error, one that returns AT_END ends it without; of several
 * the first in the order of results counts, and what was published up to
 * that callback is reported, what comes after it is not.
 */
struct at_pipeline_options {
    size_t size;      /* sizeof(struct at_pipeline_options) */
    unsigned workers; /* 0: one for each thread of the pool */
    enum at_share share;
    enum at_combine combine;
    uint64_t tick_records; /* a tick after so many; 0: none */
    int64_t tick_ns;       /* a tick at multiples of it since 1970; 0: none */
    uint64_t sort_window;  /* sorted: a result is held until one has come whose
                              key is larger by more than this; 0: to the end */
    size_t state_bytes;
    void *ctx;

    /* On the thread of the run, for each worker, before its first packet and
     * after its last.  stopping() is called in every case for who was started;
     * what it publishes comes after all other results. */
    enum at_status (*starting)(struct at_worker *w, struct at_error *err);
    enum at_status (*stopping)(struct at_worker *w, struct at_error *err);

    /* On any thread.  The packet stays where it is until the results of its
     * position have been reported, unless they are sorted. */
    enum at_status (*packet)(struct at_worker *w, const struct at_packet *pkt,
                             struct at_error *err);
    enum at_status (*tick)(struct at_worker *w, const struct at_tick *tick,
                           struct at_error *err);
    uint32_t (*hash)(void *ctx, const struct at_packet *pkt);

    /* On the thread of the run: the reporter, and now and then a look at how
     * far it is. */
    enum at_status (*result)(void *ctx, const struct at_result *result,
                             struct at_error *err);
    enum at_status (*progress)(void *ctx,
                               const struct at_pipeline_counts *counts,
                               struct at_error *err);
};

/* 'traces' stays the caller's; nothing must have been read of it yet, nor be
 * read by anyone else before the pipeline is closed. */
AT_API enum at_status at_pipeline_open(struct at_pipeline **out,
                                       struct at_traces *traces,
                                       const struct at_pipeline_options *opts,
                                       struct at_error *err);

/* at_pipeline_run() returns when all is done: AT_OK after the last packet or
 * an early stop, else the error.  It can be called once. */
AT_API enum at_status at_pipeline_run(struct at_pipeline *p,
                                      struct at_error *err);

/* Copies 'data' for the reporter; to be called from a worker's callbacks.
 * Ordered by position, 'key' is only passed on. */
AT_API enum at_status at_publish(struct at_worker *w, uint64_t key,
                                 const void *data, size_t bytes);

/*
 * From any thread, and from signal handlers.  After a stop the run ends, and
 * after a pause it waits, once all that was handed to workers is reported.
 */
AT_API void at_pipeline_stop(struct at_pipeline *p);
AT_API void at_pipeline_pause(struct at_pipeline *p);
AT_API void at_pipeline_resume(struct at_pipeline *p);
AT_API bool at_pipeline_paused(const struct at_pipeline *p); /* it waits */

/* On the thread of the run, or when it is over. */
AT_API const struct at_pipeline_counts *
at_pipeline_count(const struct at_pipeline *p);
AT_API unsigned at_pipeline_workers(const struct at_pipeline *p);
AT_API const struct at_worker_counts *
at_pipeline_worker(const struct at_pipeline *p, unsigned i);

AT_API void at_pipeline_close(struct at_pipeline *p);

/* The hashes of AT_SHARE_FLOWS and, with 'directed', AT_SHARE_DIRECTIONS; what
 * is not IP hashes by its ARP addresses or its ethertype. */
AT_API uint32_t at_flow_hash(const struct at_packet *pkt, bool directed);

/* ---- writing --------------------------------------------------------- */

struct at_writer;

/* Which sections a pcapng file gets that is written. */
enum at_sections {
    AT_SECTIONS_ONE = 0, /* one, whose interfaces are of any source */
    AT_SECTIONS_KEPT,    /* those of the sources, which come one after the
                            other; some of their records may be left out */
    AT_SECTIONS_WHOLE,   /* the same, and no record is left out */
};

/* Facts of the source that the target could not hold, counted by packet. */
struct at_losses {
    uint64_t interfaces;  /* interface numbers other than 0 */
    uint64_t directions;  /* that processing found out, or pcapng said */
    uint64_t lost_counts; /* packets whose record told of losses before it */
    uint64_t nanoseconds; /* times cut to microseconds */
    uint64_t extensions;  /* ERF extension headers, flags, colours; options */
    uint64_t meta;        /* META and PAD records left out */
    uint64_t comments;
    uint64_t descriptions; /* of interfaces and sections: names and the like */
    uint64_t blocks;       /* pcapng blocks of other kinds left out */
    uint64_t timeless;     /* packets without a time, which get that of 1970 */
    uint64_t cut;          /* packets too long for the target, cut */
    uint64_t fcs;          /* packets whose FCS length is known, or is not
                              known where the header of a pcap says one */
    uint64_t linktypes;    /* packets left out: the target has no such type */
};

/* Set all of it to zero, then 'size', then the fields you care about. */
struct at_writer_options {
    size_t size;             /* sizeof(struct at_writer_options) */
    struct at_pool *pool;    /* NULL: the caller's thread compresses too */
    enum at_format format;   /* UNKNOWN: by the suffix of the name, else PCAP */
    enum at_codec codec;     /* UNKNOWN: by the suffix, else NONE */
    int level;               /* see at_codec_levels(); 0: the usual one; -1: 0,
                                which xz alone has */
    uint16_t linktype;       /* pcap: of the file; not needed for ERF */
    uint32_t snap_bytes;     /* pcap header; 0 means 262144 */
    struct at_fcs fcs;       /* pcap header: of all packets */
    enum at_fcs_use fcs_use; /* what was done to packets, for descriptions
                                of pcapng interfaces that are copied */
    enum at_sections sections; /* pcapng */
    struct at_losses losses;   /* counted already, before it was opened */
    bool strict;               /* a fact that cannot be held is AT_ERR_LOSS */
    bool sync;                 /* at_writer_commit() makes it durable */

    /* Unless NULL, called with the bytes of the file as they have been
     * written, in order, by one thread at a time: to sum them up, not to
     * change them. */
    void (*written)(void *ctx, const uint8_t *p, size_t n);
    void *written_ctx;
};

/*
 * at_writer_open() makes a new trace.  Bytes go to a temporary name beside
 * 'path' until at_writer_commit(); "-" is standard output.  A path that is
 * not a regular file (a pipe, /dev/full) is written in place.
 */
AT_API enum at_status at_writer_open(struct at_writer **out, const char *path,
                                     const struct at_writer_options *opts,
                                     struct at_error *err);

/*
 * at_writer_put() appends a record.  A record that is of the writer's own
 * format and layout goes through byte for byte; others are converted.  An
 * error is sticky.
 */
AT_API enum at_status at_writer_put(struct at_writer *w,
                                    const struct at_packet *pkt);

/* The number, from 0, of the block that holds the record put last; its place
 * is known after at_writer_commit(). */
AT_API uint64_t at_writer_block(const struct at_writer *w);
AT_API const struct at_place *at_writer_places(const struct at_writer *w,
                                               size_t *n);

/* Counts what a record that is no packet loses in formats not its own. */
AT_API void at_losses_count(struct at_losses *losses,
                            const struct at_packet *record);
AT_API void at_losses_add(struct at_losses *sum, const struct at_losses *more);

/* The format that was chosen. */
AT_API enum at_format at_writer_format(const struct at_writer *w);

AT_API const struct at_losses *at_writer_losses(const struct at_writer *w);

/* Bytes written to the file so far, compressed; and of the trace so far,
 * before compression, the header of the file included. */
AT_API uint64_t at_writer_bytes(const struct at_writer *w);
AT_API uint64_t at_writer_raw_bytes(const struct at_writer *w);

/* The most bytes that at_writer_put() would add to the latter for 'pkt';
 * descriptions of pcapng interfaces come on top of it. */
AT_API uint64_t at_writer_most_bytes(const struct at_writer *w,
                                     const struct at_packet *pkt);

/*
 * at_writer_commit() writes out what is left, and gives the file its name.
 * Only after AT_OK does the trace exist.
 */
AT_API enum at_status at_writer_commit(struct at_writer *w);

AT_API const struct at_error *at_writer_error(const struct at_writer *w);

/* Without a commit before it, at_writer_close() leaves no file behind. */
AT_API void at_writer_close(struct at_writer *w);

/* ---- decoding -------------------------------------------------------- */

enum at_net {
    AT_NET_OTHER = 0, /* neither of the below, or cut before it was clear */
    AT_NET_IPV4 = 4,
    AT_NET_IPV6 = 6,
    AT_NET_ARP = 1, /* ARP or RARP for IPv4 over a hardware of 6-byte names */
};

enum {
    AT_DECODED_CUT = 1,      /* headers stop before the capture should */
    AT_DECODED_FRAGMENT = 2, /* part of a fragmented datagram */
    AT_DECODED_LATER = 4,    /* a fragment other than the first: no ports */
    AT_DECODED_TAGGED = 8,   /* VLAN, MPLS or PPPoE headers before the net */
    AT_DECODED_CHAIN = 16,   /* IPv6 extension headers before 'proto' */
    AT_DECODED_PORTS = 32,   /* sport and dport were captured (TCP UDP SCTP) */
    AT_DECODED_BAD = 64, /* header fields contradict each other, or the ports
                            of TCP, UDP or SCTP were not captured */
    AT_DECODED_FOREIGN = 128, /* pcap filters may see other headers here */
};

/* What an inner frame was found in. */
enum at_tunnel {
    AT_TUNNEL_NONE = 0, /* nothing: it is the outermost */
    AT_TUNNEL_IP,       /* IP in IP: RFC 2003, 2473, 4213 */
    AT_TUNNEL_ETHERIP,  /* RFC 3378; Ethernet by protocol 143: RFC 8986 */
    AT_TUNNEL_MPLS,     /* MPLS in IP, in UDP: RFC 4023, 7510 */
    AT_TUNNEL_GRE,      /* RFC 2784, 2890, 1701; with PPP: RFC 2637 */
    AT_TUNNEL_ERSPAN,   /* types I to III */
    AT_TUNNEL_VXLAN,    /* RFC 7348, and VXLAN-GPE */
    AT_TUNNEL_GENEVE,   /* RFC 8926 */
    AT_TUNNEL_GTP,      /* GTP-U version 1: 3GPP TS 29.281 */
    AT_TUNNEL_TEREDO,   /* RFC 4380 */
    AT_TUNNEL_L2TP,     /* version 2: RFC 2661 */
    AT_TUNNEL_CAPWAP,   /* data: RFC 5415 */
    AT_TUNNEL_QUOTED,   /* an ICMP error that quotes it */
};

/* "ip", "gre", "vxlan"...; "" for AT_TUNNEL_NONE. */
AT_API const char *at_tunnel_name(enum at_tunnel tunnel);

/* No packet is looked into deeper than this. */
enum { AT_DEEPEST = 16 };

/*
 * The headers of one packet, outermost network layer.  Offsets count from
 * pkt->data and are never past cap_bytes; 0 where there is no such layer.
 */
struct at_headers {
    uint32_t link_offset;      /* of the frame that the rest was found in */
    uint32_t net_offset;       /* of the IP or ARP header */
    uint32_t transport_offset; /* of the TCP, UDP, ICMP... header */
    uint32_t payload_offset;   /* of what TCP, UDP or SCTP carries */
    uint32_t ip_bytes;         /* length of the IP packet on the wire */
    uint32_t payload_bytes;    /* of the transport payload on the wire */
    uint16_t link;       /* what begins at link_offset: an AT_LINK_ number,
                            or, if 0x600 or more, that ethertype */
    uint16_t ethertype;  /* of the network layer; 0: IEEE 802.3 length */
    uint16_t vlan;       /* outermost VLAN id; 0 if there is none */
    uint16_t inner_vlan; /* innermost VLAN id; 0 if there is none */
    uint16_t sport;      /* ICMP: the type */
    uint16_t dport;      /* ICMP: the code */
    uint8_t net;         /* enum at_net */
    uint8_t proto;       /* IP protocol after all extension headers */
    uint8_t tcp_flags;   /* 0 unless TCP and captured */
    uint8_t flags;       /* AT_DECODED_ bits */
    uint8_t tunnel;      /* enum at_tunnel: what led here */
    uint8_t depth;       /* how many layers up to the outermost */
    uint32_t tcp_seq;
    uint32_t mpls;      /* label at the bottom of the stack; 0: there is none,
                           or it is "IPv4 explicit null" (RFC 3032) */
    uint32_t datagram;  /* of a fragment: the identification it has in common
                           with the others */
    const uint8_t *src; /* 4 or 16 address bytes; NULL for AT_NET_OTHER */
    const uint8_t *dst;
};

/* at_decode() fills *h; it reads only the captured bytes and cannot fail. */
AT_API void at_decode(struct at_headers *h, const struct at_packet *pkt);

/*
 * at_decode_inner() goes one tunnel deeper than *outer, which at_decode(),
 * at_decode_quoted() or this function has filled for the same packet; 'inner'
 * may be 'outer'.  Returns false, and leaves *inner alone, where there is no
 * tunnel or what is in it makes no sense: an IP header that is not captured
 * as a whole, has another version, or is longer than the tunnel's packet.
 * An inner frame of Ethernet or PPP need not hold IP: then ->net is
 * AT_NET_OTHER.
 *
 * at_decode_quoted() does the same for the packet that an ICMP or ICMPv6
 * error quotes, which is cut short more often than not; its lengths are
 * those it had.
 */
AT_API bool at_decode_inner(struct at_headers *inner,
                            const struct at_headers *outer,
                            const struct at_packet *pkt);
AT_API bool at_decode_quoted(struct at_headers *quoted,
                             const struct at_headers *outer,
                             const struct at_packet *pkt);

/* Makes of a packet what begins with the IP header that *h, filled for it, has
 * found: raw IP of the same time, as long as the IP packet. */
AT_API void at_packet_inside(struct at_packet *pkt, const struct at_headers *h);

/* ---- filters --------------------------------------------------------- */

/*
 * A pcap-filter(7) expression.  Unless AT_FILTER_LITERAL is given or the
 * expression itself says vlan, mpls or pppoes, packets are looked at as if
 * their VLAN, MPLS and PPPoE headers were not there.  "" matches everything.
 *
 * "inner OPERAND" stands for a primitive: whether an IP packet in a tunnel of
 * the packet (at_decode_inner()) matches the operand, a primitive or a group.
 */
struct at_filter;
enum { AT_FILTER_LITERAL = 1 };

AT_API enum at_status at_filter_open(struct at_filter **out, const char *expr,
                                     unsigned flags, struct at_error *err);

/*
 * at_filter_match() may be called from any number of threads.  META and PAD
 * records always match; a packet whose link type the expression cannot be
 * compiled for does not.
 */
AT_API bool at_filter_match(struct at_filter *filter,
                            const struct at_packet *pkt);

/*
 * at_filter_check() tells whether the expression makes sense for packets of
 * this link type: AT_ERR_SYNTAX, with libpcap's reason and its column, if not.
 * An expression that at_filter_open() took makes sense for some link type.
 */
AT_API enum at_status at_filter_check(const struct at_filter *filter,
                                      uint16_t linktype, struct at_error *err);
AT_API void at_filter_close(struct at_filter *filter);

/* ---- processing ------------------------------------------------------ */

/* The verdict on a checksum. */
enum at_checksum {
    AT_CHECKSUM_UNKNOWN = 0,  /* not looked at */
    AT_CHECKSUM_OK,           /* right */
    AT_CHECKSUM_BAD,          /* wrong, or 0 where it must not be */
    AT_CHECKSUM_ABSENT,       /* there is none to look at */
    AT_CHECKSUM_UNVERIFIABLE, /* part of what it covers was not captured */
};

struct at_checksums {
    uint8_t network;   /* enum at_checksum: of the IPv4 header */
    uint8_t transport; /* of TCP, UDP, ICMP, ICMPv6 or SCTP */
};

/*
 * at_checksum_verify() looks at the checksums of the outermost network layer
 * and what it carries (RFC 1071; SCTP's CRC-32c: RFC 9260); 'headers' are
 * what at_decode() says of 'pkt'.  A UDP checksum of 0 is ABSENT over IPv4
 * and BAD over IPv6.  The transport of a fragment, of a packet whose length
 * was left to the network card, or behind a route of an unknown kind, is
 * UNVERIFIABLE.  A card that computes checksums makes those
 * of the packets its own host sends look BAD.
 *
 * at_checksum_overall() is one verdict on both: BAD if either is, else
 * UNVERIFIABLE if either is, else OK if either is.
 */
AT_API struct at_checksums at_checksum_verify(const struct at_packet *pkt,
                                              const struct at_headers *headers);
AT_API enum at_checksum at_checksum_overall(struct at_checksums sums);

/*
 * at_checksum_repair() is for who changes packets: 'now' is a copy of the
 * first 'bytes' bytes of pkt->data in which some before 'changed' are others
 * now, but no length or protocol.  Both checksums of the layer 'headers' (and
 * those of IGMP and GRE) are changed by what the bytes they cover were
 * changed by, as RFC 1624 does it: one that was right stays right, one that
 * was wrong stays as wrong, and nothing more needs to be captured.  A UDP
 * checksum of 0 stays.  Of several layers the innermost comes first, because
 * outer checksums cover inner ones.
 *
 * at_checksum_zero() makes them 0 instead.
 */
AT_API void at_checksum_repair(const struct at_packet *pkt,
                               const struct at_headers *headers, uint8_t *now,
                               uint32_t bytes, uint32_t changed);
AT_API void at_checksum_zero(const struct at_packet *pkt,
                             const struct at_headers *headers, uint8_t *now,
                             uint32_t bytes);

enum at_checksum_use {
    AT_CHECKSUM_IGNORE = 0,
    AT_CHECKSUM_TAG,  /* the verdict is stored in the packet */
    AT_CHECKSUM_DROP, /* and packets with a bad one are dropped */
};

/*
 * What is done to packets, in this order: checksums, direction, FCS taken
 * off, tags stripped, FCS added, snapped.  The grammar of the texts is in
 * at-convert(1).  Set all of it to zero, then 'size', then the fields you
 * care about.
 */
struct at_process_options {
    size_t size;           /* sizeof(struct at_process_options) */
    const char *snap;      /* "l4+4,dns+12"; NULL: packets stay whole */
    const char *strip;     /* "vlan,mpls,pppoe"; NULL: none */
    const char *direction; /* "net:10.0.0.0/8"; NULL: it stays as it is */
    enum at_fcs_use fcs;
    enum at_checksum_use checksum;
};

/*
 * at_process_open() compiles the options.  Text that it does not understand
 * is AT_ERR_SYNTAX with the column in that text.  A process never changes:
 * any number of threads may use it.
 */
struct at_process;
AT_API enum at_status at_process_open(struct at_process **out,
                                      const struct at_process_options *opts,
                                      struct at_error *err);
AT_API void at_process_close(struct at_process *process);

/*
 * Where packets go that cannot stay in their block.  The caller owns it, and
 * sets 'used' to 0 once the packets before are done with.  Each packet takes
 * at most its cap_bytes and 4 more.
 */
struct at_scratch {
    uint8_t *p;
    size_t room;
    size_t used;
};

/* What was done to a packet. */
enum {
    AT_DONE_CUT = 1,      /* snapped */
    AT_DONE_STRIPPED = 2, /* of tags */
    AT_DONE_LEFT = 4,     /* as it was: without its tags or its FCS it would
                             make no sense, or 'scratch' was full */
    AT_DONE_FCS = 8,      /* FCS taken off or added */
    AT_DONE_DIRECTED = 16,
    AT_DONE_DROPPED = 32,  /* it is not wanted any more */
    AT_DONE_NUMBERED = 64, /* not by processing: 'interface' is the caller's,
                              and an ERF record is to say so */
    AT_DONE_UNKNOWN = 128, /* cut off where it was not understood */
};

/*
 * at_process_packet() changes *pkt and says whether it is still wanted.  New
 * bytes go to 'scratch'; those of the block are never changed.  A record
 * other than a packet stays as it is.
 */
AT_API bool at_process_packet(const struct at_process *process,
                              struct at_scratch *scratch,
                              struct at_packet *pkt);

/* What was done to some packets, added up by at_process_count(). */
struct at_process_tally {
    uint64_t cut, stripped, left, fcs;
    uint64_t direction[4]; /* by enum at_direction, of those directed */
    uint64_t checksum[5];  /* by enum at_checksum */
    uint64_t dropped;
};

AT_API void at_process_count(struct at_process_tally *tally,
                             const struct at_packet *pkt);

#ifdef __cplusplus
}
#endif

#endif
