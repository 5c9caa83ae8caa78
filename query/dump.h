/*
 * dump.h - packets as text or JSON, layer by layer
 *
 * What follows is read from packets, so nothing of it is believed, and no
 * byte of it that is no printable ASCII gets into the text.
 */
#ifndef AT_DUMP_H
#define AT_DUMP_H

#include "archive_trace.h"

enum at_dump_format {
    AT_DUMP_LAYERS = 0, /* a line a record, and one for each layer */
    AT_DUMP_BRIEF,      /* a line a record */
    AT_DUMP_JSON,       /* an object a record */
};

enum at_dump_bytes {
    AT_DUMP_NO_BYTES = 0,
    AT_DUMP_FRAME,  /* the captured bytes in hexadecimal */
    AT_DUMP_RECORD, /* the whole record of the file */
};

struct at_dump_options {
    enum at_dump_format format;
    enum at_dump_bytes bytes;
    bool local; /* times in the zone of TZ */
};

/*
 * Appends what there is to say of a record, but for its number, which the
 * caller puts before: in text the number, in JSON '{"number":' and it.  The
 * text ends with a newline.  Any thread may call it.
 */
void at_dump_packet(const struct at_dump_options *opts, struct at_text *text,
                    const struct at_packet *pkt);

#endif
