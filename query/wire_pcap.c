/*
 * wire_pcap.c - frames sent by libpcap, on any system
 */
#include <pcap/pcap.h>
#include <stdlib.h>

#include "errors.h"
#include "wire.h"

static enum at_status pcap_send(struct at_wire *w, const struct at_load *load,
                                size_t first, size_t n, struct at_error *err)
{
    for (size_t i = first; i < first + n; i++) {
        const struct at_frame *f = &load->frame[i];

        if (pcap_inject(w->state, load->bytes + f->at, f->bytes) < 0)
            return at_error_set(err, AT_ERR_SYSTEM, "%s: cannot send: %s",
                                w->name, pcap_geterr(w->state));
        w->sent++;
        w->bytes += f->bytes;
    }
    return AT_OK;
}

static void close_pcap(struct at_wire *w)
{
    pcap_close(w->state);
}

static const struct at_wire_ops pcap_ops = {pcap_send, NULL, close_pcap};

enum at_status at_wire_open_pcap(struct at_wire *w, struct at_error *err)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = pcap_open_live(w->name, 0, 0, 1, why);

    if (pcap == NULL)
        return at_error_set(err, AT_ERR_SYSTEM, "%s: cannot open: %s", w->name,
                            why);
    w->ops = &pcap_ops;
    w->state = pcap;
    w->ethernet = pcap_datalink(pcap) == DLT_EN10MB;
    return AT_OK;
}
