/*
 * tool_split.h - what the pieces of a trace are called, and which packet goes
 * to which
 */
#ifndef TOOL_SPLIT_H
#define TOOL_SPLIT_H

#include "sight.h"
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

/* What stands for a key in names, "" for a stream; the packet is the first. */
void tool_key_text(char buf[TOOL_KEY_TEXT], enum tool_by by,
                   const struct at_flow_key *key, const struct at_packet *pkt,
                   const struct at_sight *sight);

/* Keeps of a packet what follows the header of the 'n'th IP packet in it, from
 * 1, counted from the outside in; false where there are not so many. */
bool tool_jump(struct at_packet *pkt, uint64_t n);

#endif
