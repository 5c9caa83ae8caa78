/*
 * link.h - link headers that say what follows them, and where they do
 */
#ifndef AT_LINK_H
#define AT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "archive_trace.h"

struct at_link {
    uint32_t type_at; /* two bytes that tell what follows */
    uint32_t bytes;   /* of the header */
    bool ppp;         /* they are a PPP protocol, not an ethertype */
};

/* False for link types whose headers are built otherwise. */
static inline bool at_link_of(struct at_link *l, uint16_t linktype)
{
    switch (linktype) {
    case AT_LINK_ETHERNET:
        *l = (struct at_link){.type_at = 12, .bytes = 14};
        return true;
    case AT_LINK_LINUX_SLL:
        *l = (struct at_link){.type_at = 14, .bytes = 16};
        return true;
    case AT_LINK_LINUX_SLL2:
        *l = (struct at_link){.type_at = 0, .bytes = 20};
        return true;
    case AT_LINK_C_HDLC:
        *l = (struct at_link){.type_at = 2, .bytes = 4};
        return true;
    case AT_LINK_PPP:
    case AT_LINK_PPP_HDLC:
        *l = (struct at_link){.type_at = 2, .bytes = 4, .ppp = true};
        return true;
    default:
        return false;
    }
}

#endif
