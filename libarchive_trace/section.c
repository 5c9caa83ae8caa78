/*
 * section.c - one section of a pcapng file: its byte order, its interfaces
 */
#include "section.h"

#include <stdlib.h>

enum {
    OPTION_TSRESOL = 9,
    OPTION_FCSLEN = 13, /* in bits */
    OPTION_TSOFFSET = 14,
    MICROSECONDS = 6, /* the resolution where none is given */
};

static uint8_t *copy_of(const uint8_t *p, uint32_t n)
{
    uint8_t *copy = malloc(n);

    if (copy != NULL)
        memcpy(copy, p, n);
    return copy;
}

struct at_section *at_section_new(const uint8_t *p, uint32_t n, bool swapped)
{
    struct at_section *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->layout.format = AT_FORMAT_PCAPNG;
    s->layout.swapped = swapped;
    s->layout.section = s;
    atomic_init(&s->holders, 1);
    s->header = copy_of(p, n);
    s->header_bytes = n;
    if (s->header != NULL)
        return s;
    free(s);
    return NULL;
}

static void section_free(struct at_section *s)
{
    for (uint32_t i = 0; i < s->interfaces; i++)
        free(at_section_interface(s, i)->block);
    for (unsigned run = 0; run < AT_NG_RUNS; run++)
        free(s->run[run]);
    free(s->header);
    free(s);
}

void at_layout_hold(const struct at_layout *layout)
{
    if (layout != NULL && layout->section != NULL)
        atomic_fetch_add_explicit(&layout->section->holders, 1,
                                  memory_order_relaxed);
}

void at_layout_drop(const struct at_layout *layout)
{
    if (layout != NULL && layout->section != NULL &&
        atomic_fetch_sub_explicit(&layout->section->holders, 1,
                                  memory_order_acq_rel) == 1)
        section_free(layout->section);
}

/* The place of the next interface; NULL: no memory. */
static struct at_interface *next_place(struct at_section *s)
{
    const uint32_t i = s->interfaces;

    for (unsigned run = 0; run < AT_NG_RUNS; run++)
        if (i + 1 == UINT32_C(1) << run && s->run[run] == NULL) {
            s->run[run] = calloc(i + 1, sizeof(struct at_interface));
            if (s->run[run] == NULL)
                return NULL;
        }
    return (struct at_interface *)(uintptr_t)at_section_interface(s, i);
}

static void read_options(struct at_interface *face, struct at_options options)
{
    struct at_option option;

    while (at_options_next(&options, &option)) {
        if (option.code == OPTION_TSRESOL && option.bytes >= 1)
            face->resolution = option.data[0];
        if (option.code == OPTION_TSOFFSET && option.bytes >= 8)
            face->offset = (int64_t)at_ng_64(options.swapped, option.data);
        if (option.code == OPTION_FCSLEN && option.bytes == 1)
            face->fcs = (struct at_fcs){true, option.data[0]};
    }
}

struct at_interface at_section_read(const uint8_t *p, uint32_t n, bool swapped)
{
    struct at_interface face = {
        .linktype = at_ng_16(swapped, p + 8),
        .snap_bytes = at_ng_32(swapped, p + 12),
        .resolution = MICROSECONDS,
    };

    read_options(&face, at_ng_options(p, n, swapped));
    return face;
}

const char *at_section_add(struct at_section *s, const uint8_t *p, uint32_t n,
                           bool *memory)
{
    struct at_interface *face;

    if (s->interfaces == AT_NG_INTERFACES)
        return "is the 65537th interface of its section, which is too many";
    if (s->described + n > AT_NG_DESCRIPTIONS)
        return "brings its section to over 16 MiB of interface descriptions";
    face = next_place(s);
    if (face != NULL) {
        *face = at_section_read(p, n, s->layout.swapped);
        face->block = copy_of(p, n);
    }
    if (face == NULL || face->block == NULL) {
        *memory = true;
        return "finds no memory";
    }
    face->block_bytes = n;
    s->described += n;
    s->interfaces++;
    return NULL;
}
