/*
 * pcapng_out.h - records of any format as the blocks of a pcapng file
 *
 * Sections of one source can be kept as they are.  Otherwise there is one
 * little-endian section, whose interfaces are made when one is described or a
 * packet needs it: one for each source, section and interface.
 */
#ifndef AT_PCAPNG_OUT_H
#define AT_PCAPNG_OUT_H

#include "format.h"

enum { AT_COMMENT_MOST = 65532 }; /* bytes of an option */

struct at_pcapng_out {
    enum at_sections how;
    enum at_fcs_use fcs_use;     /* what was done to packets */
    const struct at_layout *now; /* the section that is copied, held */
    uint32_t copied;             /* its interfaces that were written */
    bool begun;                  /* a section of ours, where 'now' is NULL */
    struct at_face *face;        /* the interfaces of that */
    uint32_t faces, face_room;
    uint32_t *slot; /* a hash table of numbers of faces, from 1 */
    uint32_t slots;
    struct at_described *source; /* what each has described */
    uint32_t sources;
    uint8_t *buf; /* what is to be written; the caller takes it */
    size_t bytes, room;
    bool failed;      /* no memory */
    bool new_section; /* what is in 'buf' begins one */
};

/*
 * Puts the blocks that hold 'pkt' into out->buf, as many as it takes; none
 * where it cannot be held, which is counted.  A 'pkt' of NULL asks for what
 * a file without records needs.  Returns AT_OK, AT_ERR_MEMORY, or AT_ERR_LOSS
 * where there are too many interfaces.
 */
enum at_status at_pcapng_out_put(struct at_pcapng_out *out,
                                 const struct at_packet *pkt,
                                 struct at_losses *losses);
void at_pcapng_out_close(struct at_pcapng_out *out);

/* Counts what formats other than pcapng cannot hold of a pcapng record; of a
 * packet's flags they hold, beside the direction, those of 'held'. */
void at_pcapng_count_losses(struct at_losses *losses,
                            const struct at_packet *pkt, uint32_t held);

#endif
