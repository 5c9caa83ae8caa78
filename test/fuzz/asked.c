/*
 * asked.c - bytes as a payload that asks for a name
 *
 * The first byte chooses protocol and port.  A name is whole, and of letters
 * that can be shown; what is not worth the while has none.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "names.h"
#include "quic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name, size_t n)
{
    uint32_t number;
    struct at_names names = {.n = 0};

    if (n != strlen(name) || n >= AT_ASKED_BYTES)
        abort();
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '"' ||
            (name[i] >= 'A' && name[i] <= 'Z'))
            abort();
    if (at_names_add(&names, name, &number) == AT_OK && number != 1)
        abort();
    at_names_close(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t ports[] = {53, 80, 443, 5353};
    char name[AT_ASKED_BYTES];
    uint8_t crypto[AT_QUIC_CRYPTO];
    struct at_packet pkt = {.data = data,
                            .cap_bytes = (uint32_t)size,
                            .wire_bytes = (uint32_t)size};
    struct at_headers h = {.payload_offset = 1};
    size_t n;

    if (size < 2)
        return 0;
    h.payload_bytes = (uint32_t)size - 1;
    h.proto = data[0] & 1 ? 6 : 17;
    h.dport = ports[data[0] >> 1 & 3];
    n = at_asked(name, &pkt, &h);
    if (n > 0)
        check_name(name, n);
    if (n > 0 && !at_asked_may_be(h.proto, h.sport, h.dport, data + 1,
                                  size - 1 < 4 ? size - 1 : 4))
        abort();
    (void)at_quic_crypto(crypto, data + 1, size - 1);
    return 0;
}
