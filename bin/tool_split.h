/*
 * tool_split.h - what the pieces of a trace are called, and which packet goes
 * to which
 */
#ifndef TOOL_SPLIT_H
#define TOOL_SPLIT_H

#include "datagrams.h"
#include "tool.h"

/* ---- names ----------------------------------------------------------- */

/* What can stand in a name. */
struct tool_piece {
    uint64_t n;         /* {n}: number of the piece, from 1 */
    int64_t ns;         /* %H and the other letters of strftime() */
    const char *stream; /* {stream}: path of an input */
    const char *key;    /* {key}; NULL: the same as {stream} */
};

/* Names given out: a tree, with how many there are that begin like it. */
struct tool_template {
    char *text;
    bool local; /* times are those of the local zone */
    void *names;
};

/*
 * Takes the template of names, once it has put in what it 'lacks', "{n}" or
 * "{key}", unless the text has it or any of 'enough', letters: 'n', 's', 'k'
 * for fields and '%' for times.  Exits with a usage error where the text makes
 * no sense.  tool_template_close() frees it.
 */
void tool_template_open(struct tool_template *t, const char *text,
                        const char *lacks, const char *enough);

/*
 * The name of a piece, which is different from all before: where it would be
 * the same, "-2" and so on stands before its suffixes.  It belongs to the
 * template; NULL where there is no memory.
 */
const char *tool_template_name(struct tool_template *t,
                               const struct tool_piece *piece);

/* The folder that all names begin with, to be freed; "." if there is none. */
char *tool_template_folder(const struct tool_template *t);
void tool_template_close(struct tool_template *t);

/* ---- keys ------------------------------------------------------------ */

enum tool_by {
    TOOL_BY_STREAM,
    TOOL_BY_DIRECTION,
    TOOL_BY_HOST,
    TOOL_BY_FLOW,
    TOOL_BY_APP,
};

enum { TOOL_KEY_TEXT = 160 };

/*
 * The keys of a packet, one or two of them, into 'key'; returns how many.
 * 'sight' is that of the packet, and needed for hosts and flows only.  An
 * application is of a flow: see at_naming.
 */
unsigned tool_keys(struct at_flow_key key[2], enum tool_by by,
                   const struct at_packet *pkt, const struct at_sight *sight);

/* The key of an application by its name; of what is not IP, NULL, its
 * ethertype. */
void tool_app_key(struct at_flow_key *key, const char *app, uint16_t ethertype);

/* What stands for a key in names, "" for a stream; the packet is the first. */
void tool_key_text(char buf[TOOL_KEY_TEXT], enum tool_by by,
                   const struct at_flow_key *key, const struct at_packet *pkt,
                   const struct at_sight *sight);

/* Keeps of a packet what follows the header of the 'n'th IP packet in it, from
 * 1, counted from the outside in; false where there are not so many. */
bool tool_jump(struct at_packet *pkt, uint64_t n);

/* ---- pieces ---------------------------------------------------------- */

/* A piece while it is made. */
struct tool_slice {
    struct at_flow_key key;
    uint32_t hash;
    uint32_t queue; /* of the spool */
    bool begun;     /* has a packet */
    uint64_t n;     /* its number, from 1; 0: there is none yet */
    const char *name;
    struct tool_output *out; /* NULL: it is in the spool */
};

/*
 * Many traces written at once.  A few are written as their packets come, all
 * others are kept in a spool and written one after the other at the end, which
 * makes no difference to their bytes.  Set all to zero, then what the caller
 * sets, 'names' by tool_template_open(); tool_pieces_close() is fine at any
 * time, and leaves no piece that is not complete.
 */
struct tool_pieces {
    struct tool_template names;    /* the caller's */
    struct tool_output like;       /* the caller's: what all of them have */
    const struct at_paths *inputs; /* the caller's: none of them is replaced */
    uint64_t seed;                 /* the caller's: of the sights */
    uint64_t most;                 /* the caller's: pieces; UINT64_MAX: any */
    unsigned open_most; /* the caller's: that are open at a time; 0: a few */
    bool overwrite;     /* the caller's: files that are there are replaced */

    /* The caller's: what can stand in the name of a piece that begins with this
     * packet, but for its number; 'key' has TOOL_KEY_TEXT bytes for that. */
    void (*name)(void *ctx, struct tool_piece *of, char *key,
                 const struct at_flow_key *of_key, const struct at_packet *pkt,
                 const struct at_sight *sight);
    void *ctx;

    uint64_t begun;
    uint64_t written; /* are complete */
    uint64_t packets; /* in those, */
    uint64_t bytes;   /* captured */
    uint64_t beyond;  /* packets of pieces that there were not to be */
    struct at_losses losses;

    struct at_spool *spool;
    struct at_heading *heading;
    struct at_datagrams *datagrams;
    struct tool_slice *slice;
    size_t n, room;
    uint32_t *slot; /* a hash table of numbers of slices, from 1 */
    size_t slots;
    unsigned open;
};

enum at_status tool_pieces_open(struct tool_pieces *p, struct at_error *err);

/*
 * Puts a record into the piece of a key, which may be new.  Unless 'flow' is
 * NULL, the key is that of its flow, and fragments without ports go with the
 * first of their datagram.  A packet of a piece that is not to be is counted.
 */
enum at_status
tool_pieces_put(struct tool_pieces *p, const struct at_flow_key *key,
                const struct at_packet *pkt, const struct at_sight *sight,
                const struct at_sight *flow, struct at_error *err);

/* Every record that is no packet is shown to it, for the pieces that begin
 * later. */
enum at_status tool_pieces_note(struct tool_pieces *p,
                                const struct at_packet *pkt,
                                struct at_error *err);

/* No more records come: all pieces are written, and get their names. */
enum at_status tool_pieces_finish(struct tool_pieces *p, struct at_error *err);
/* Those that are not complete go. */
void tool_pieces_drop(struct tool_pieces *p);
void tool_pieces_close(struct tool_pieces *p);

/* For pieces that follow each other, a slice of the caller's, zero at first;
 * AT_END if there are to be no more. */
enum at_status tool_slice_begin(struct tool_pieces *p, struct tool_slice *s,
                                struct at_error *err);
enum at_status tool_slice_put(struct tool_pieces *p, struct tool_slice *s,
                              const struct at_packet *pkt,
                              const struct at_sight *sight,
                              struct at_error *err);
/* Makes it complete, also without any packet. */
enum at_status tool_slice_end(struct tool_pieces *p, struct tool_slice *s,
                              struct at_error *err);
void tool_slice_drop(struct tool_slice *s);

#endif
