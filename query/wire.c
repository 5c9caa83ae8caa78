/*
 * wire.c - where frames are sent: an interface, or a file
 */
#include "wire.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"

enum { SNAP_BYTES = 262144 };

/* ---- a file ---------------------------------------------------------- */

struct file {
    pcap_t *pcap;
    pcap_dumper_t *dumper;
};

static enum at_status file_error(const struct at_wire *w, struct at_error *err)
{
    return at_error_set(err, AT_ERR_SYSTEM, "%s: cannot write: %s", w->name,
                        strerror(errno));
}

static enum at_status file_send(struct at_wire *w, const struct at_load *load,
                                size_t first, size_t n, struct at_error *err)
{
    const struct file *file = w->state;

    for (size_t i = first; i < first + n; i++) {
        const struct at_frame *f = &load->frame[i];
        const int64_t ns = at_ts_to_ns(f->ts);
        const struct pcap_pkthdr head = {
            /* With this precision it is nanoseconds. */
            .ts = {.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000},
            .caplen = f->bytes,
            .len = f->bytes,
        };

        pcap_dump((u_char *)file->dumper, &head, load->bytes + f->at);
        w->sent++;
        w->bytes += f->bytes;
    }
    return pcap_dump_flush(file->dumper) == 0 ? AT_OK : file_error(w, err);
}

static enum at_status file_flush(struct at_wire *w, struct at_error *err)
{
    const struct file *file = w->state;

    return pcap_dump_flush(file->dumper) == 0 &&
                   !ferror(pcap_dump_file(file->dumper))
               ? AT_OK
               : file_error(w, err);
}

static void file_close(struct at_wire *w)
{
    struct file *file = w->state;

    if (file->dumper != NULL)
        pcap_dump_close(file->dumper);
    if (file->pcap != NULL)
        pcap_close(file->pcap);
    free(file);
}

static const struct at_wire_ops file_ops = {file_send, file_flush, file_close};

enum at_status at_wire_open_file(struct at_wire *w, const char *path,
                                 uint16_t linktype, struct at_error *err)
{
    const bool standard = strcmp(path, "-") == 0;
    struct file *file = calloc(1, sizeof(*file));
    FILE *out = NULL;

    memset(w, 0, sizeof(*w));
    snprintf(w->name, sizeof(w->name), "%s",
             standard ? "standard output" : path);
    if (file == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    w->ops = &file_ops;
    w->state = file;
    w->harmless = true;
    file->pcap = pcap_open_dead_with_tstamp_precision(
        linktype, SNAP_BYTES, PCAP_TSTAMP_PRECISION_NANO);
    if (file->pcap == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    out = standard ? fdopen(dup(STDOUT_FILENO), "w") : fopen(path, "we");
    if (out == NULL)
        return file_error(w, err);
    file->dumper = pcap_dump_fopen(file->pcap, out);
    return file->dumper != NULL ? AT_OK : file_error(w, err);
}

/* ---- any ------------------------------------------------------------- */

enum at_status at_wire_open_interface(struct at_wire *w, const char *name,
                                      enum at_wire_kind kind,
                                      struct at_error *err)
{
    enum at_status st = AT_ERR_FORMAT;

    memset(w, 0, sizeof(*w));
    if (strlen(name) >= sizeof(w->name))
        return at_error_set(err, AT_ERR_SYNTAX,
                            "'%.60s...' is no name of an interface", name);
    snprintf(w->name, sizeof(w->name), "%s", name);
    if (kind != AT_WIRE_PCAP)
        st = at_wire_open_linux(w, kind, err);
    return st == AT_ERR_FORMAT ? at_wire_open_pcap(w, err) : st;
}

enum at_status at_wire_send(struct at_wire *w, const struct at_load *load,
                            size_t first, size_t n, struct at_error *err)
{
    return w->ops->send(w, load, first, n, err);
}

enum at_status at_wire_flush(struct at_wire *w, struct at_error *err)
{
    return w->ops->flush != NULL ? w->ops->flush(w, err) : AT_OK;
}

void at_wire_close(struct at_wire *w)
{
    if (w->ops != NULL)
        w->ops->close(w);
    w->ops = NULL;
}
