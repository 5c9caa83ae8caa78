/*
 * options.c - what a pcapng block says beside its fixed fields
 *
 *     size  field              draft-ietf-opsawg-pcapng, section 3.5
 *        2  code               0 ends the list, which may end without it
 *        2  length             of the value alone
 *           the value, then padding to a multiple of 4
 */
#include "section.h"

enum {
    CODE_COMMENT = 1,
    CODE_NAME = 2,        /* of an interface */
    CODE_DESCRIPTION = 3, /* of an interface */
};

bool at_options_next(struct at_options *options, struct at_option *option)
{
    struct at_cursor c = {.p = options->at,
                          .left = (size_t)(options->end - options->at)};
    const uint8_t *head = c.left > 0 ? at_take(&c, 4) : NULL;

    if (head == NULL || at_ng_16(options->swapped, head) == 0)
        return false;
    option->code = at_ng_16(options->swapped, head);
    option->bytes = at_ng_16(options->swapped, head + 2);
    option->data = at_take(&c, at_ng_padded(option->bytes));
    if (c.bad)
        return false;
    options->at = c.p;
    return true;
}

uint64_t at_option_number(const struct at_options *options,
                          const struct at_option *option)
{
    switch (option->bytes) {
    case 1:
        return option->data[0];
    case 2:
        return at_ng_16(options->swapped, option->data);
    case 4:
        return at_ng_32(options->swapped, option->data);
    case 8:
        return at_ng_64(options->swapped, option->data);
    default:
        return 0;
    }
}

bool at_ng_options_good(const uint8_t *p, const uint8_t *end, bool swapped)
{
    struct at_options options = {.at = p, .end = end, .swapped = swapped};
    struct at_option option;

    while (at_options_next(&options, &option))
        continue;
    /* At its end, or at the mark of one, of whatever length. */
    return options.at == end ||
           (end - options.at >= 4 && at_ng_16(swapped, options.at) == 0);
}

/* Where the options of a block begin; its end where there can be none. */
static uint32_t options_offset(const uint8_t *p, uint32_t end, bool swapped)
{
    switch (at_ng_32(swapped, p)) {
    case AT_NG_SHB:
        return 24;
    case AT_NG_IDB:
        return 16;
    case AT_NG_PB:
    case AT_NG_EPB:
        return 28 + at_ng_padded(at_ng_32(swapped, p + 20));
    case AT_NG_ISB:
        return 20;
    case AT_NG_DSB:
        return 16 + at_ng_padded(at_ng_32(swapped, p + 12));
    default:
        return end;
    }
}

struct at_options at_ng_options(const uint8_t *p, uint32_t n, bool swapped)
{
    const uint32_t end = n - 4;
    const uint32_t from = options_offset(p, end, swapped);

    return (struct at_options){
        .at = p + (from < end ? from : end),
        .end = p + end,
        .swapped = swapped,
    };
}

/* ---- for who reads packets ------------------------------------------- */

static const struct at_options no_options;

struct at_options at_packet_options(const struct at_packet *pkt)
{
    if (pkt->format != AT_FORMAT_PCAPNG || pkt->layout == NULL)
        return no_options;
    return at_ng_options(pkt->record, pkt->record_bytes, pkt->layout->swapped);
}

struct at_options at_interface_options(const struct at_packet *pkt)
{
    const struct at_interface *face;

    if (pkt->format != AT_FORMAT_PCAPNG || pkt->layout == NULL ||
        pkt->kind != AT_KIND_PACKET)
        return no_options;
    face = at_section_interface(pkt->layout->section, pkt->interface);
    return at_ng_options(face->block, face->block_bytes, pkt->layout->swapped);
}

/* The next option of that code, as text that does not end with a 0. */
static bool next_text(struct at_options *options, uint16_t code,
                      const char **text, size_t *bytes)
{
    struct at_option option;

    while (at_options_next(options, &option)) {
        if (option.code != code)
            continue;
        *text = (const char *)option.data;
        *bytes = option.bytes;
        return true;
    }
    return false;
}

bool at_comment_next(struct at_options *options, const char **text,
                     size_t *bytes)
{
    return next_text(options, CODE_COMMENT, text, bytes);
}

bool at_interface_name(const struct at_packet *pkt, const char **text,
                       size_t *bytes)
{
    struct at_options options = at_interface_options(pkt);

    return next_text(&options, CODE_NAME, text, bytes);
}

bool at_interface_description(const struct at_packet *pkt, const char **text,
                              size_t *bytes)
{
    struct at_options options = at_interface_options(pkt);

    return next_text(&options, CODE_DESCRIPTION, text, bytes);
}
