/*
 * schemes.c - how many addresses a thread maps that it has never seen
 *
 *     schemes                  one line for each scheme with a key
 *
 * In processor time, the best of some runs, without any table of addresses.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scheme.h"

enum { ADDRESSES = 400000, RUNS = 7 };

static double seconds_used(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double run_once(struct at_scheme *scheme, size_t bytes)
{
    const double began = seconds_used();
    uint8_t in[16] = {0x20, 1}, out[16];

    for (uint32_t i = 0; i < ADDRESSES; i++) {
        const uint32_t mixed = i * 2654435761u;

        memcpy(in + bytes - sizeof(mixed), &mixed, sizeof(mixed));
        at_scheme_map(scheme, out, in, bytes);
    }
    return seconds_used() - began;
}

/* In millions a second. */
static double rate(struct at_scheme *scheme, size_t bytes)
{
    double best = run_once(scheme, bytes);

    for (int i = 1; i < RUNS; i++) {
        const double seconds = run_once(scheme, bytes);

        best = seconds < best ? seconds : best;
    }
    return ADDRESSES / best / 1e6;
}

int main(void)
{
    static const uint8_t key[AT_KEY_BYTES] = "an example key of 32 bytes, yes";
    struct at_error err;

    for (int kind = AT_SCHEME_CRYPTOPAN; kind <= AT_SCHEME_PFX; kind++) {
        const struct at_scheme_options opts = {
            .kind = (enum at_scheme_kind)kind};
        struct at_scheme *scheme;

        if (at_scheme_open(&scheme, &opts, key, &err) != AT_OK) {
            fprintf(stderr, "schemes: %s\n", err.msg);
            return 1;
        }
        printf("scheme %d: IPv4 %.1f, IPv6 %.1f\n", kind, rate(scheme, 4),
               rate(scheme, 16));
        at_scheme_close(scheme);
    }
    return 0;
}
