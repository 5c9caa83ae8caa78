/*
 * wire.h - where frames are sent: an interface, or a file
 *
 * On Linux an interface is a packet socket that goes past the queueing of the
 * kernel (packet(7): PACKET_QDISC_BYPASS), with a ring of frames shared with
 * it (PACKET_TX_RING) or, where there can be none, many frames a call.
 * Elsewhere libpcap sends frame by frame.  A file is a pcap of nanoseconds,
 * each frame with the time it was captured, written out frame by frame.
 */
#ifndef AT_WIRE_H
#define AT_WIRE_H

#include "ahead.h"

struct at_wire {
    char name[64];
    uint8_t mac[6];
    uint32_t mtu;  /* of an interface; 0: none */
    bool ethernet; /* else frames of any link type are taken */
    bool harmless; /* loopback, or an interface that leads to no cable */
    uint64_t sent; /* frames */
    uint64_t bytes;
    uint64_t refused; /* frames that it would not take */

    const struct at_wire_ops *ops;
    void *state;
};

enum at_wire_kind {
    AT_WIRE_BEST = 0,
    AT_WIRE_RING, /* these three are for tests and comparisons */
    AT_WIRE_CALLS,
    AT_WIRE_PCAP,
};

/*
 * Gives up all privileges of the process, once and for all, but the one that
 * opening an interface needs if 'open' is true.  To be called before there are
 * other threads.
 */
void at_wire_privileges(bool open);

enum at_status at_wire_open_interface(struct at_wire *w, const char *name,
                                      enum at_wire_kind kind,
                                      struct at_error *err);

/* "-" is standard output. */
enum at_status at_wire_open_file(struct at_wire *w, const char *path,
                                 uint16_t linktype, struct at_error *err);

/*
 * Sends 'n' frames of the load, from number 'first' on; all are for this wire.
 * What it refuses is counted; an error is that of the wire as a whole.
 */
enum at_status at_wire_send(struct at_wire *w, const struct at_load *load,
                            size_t first, size_t n, struct at_error *err);

/* Waits until all has left; only then the counts are right. */
enum at_status at_wire_flush(struct at_wire *w, struct at_error *err);
void at_wire_close(struct at_wire *w);

/* ---- between wire.c, wire_linux.c and wire_pcap.c -------------------- */

struct at_wire_ops {
    enum at_status (*send)(struct at_wire *w, const struct at_load *load,
                           size_t first, size_t n, struct at_error *err);
    enum at_status (*flush)(struct at_wire *w, struct at_error *err);
    void (*close)(struct at_wire *w);
};

/* AT_ERR_FORMAT: not on this system. */
enum at_status at_wire_open_linux(struct at_wire *w, enum at_wire_kind kind,
                                  struct at_error *err);
enum at_status at_wire_open_pcap(struct at_wire *w, struct at_error *err);

#endif
