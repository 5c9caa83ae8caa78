/*
 * output_test.c - a file that cannot be written to its end
 *
 * The disk is "full" where the process may write no further: RLIMIT_FSIZE.
 */
#include "common.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

enum { DISK_BYTES = 1500000, PACKETS = 40000, PACKET_BYTES = 200 };

static void limit_files_to(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Whole or not at all, also when there is room again. */
static void nothing_follows_a_failed_write(void **state)
{
    const uint8_t bytes[150] = {1};
    struct at_error err = {.status = AT_OK};
    struct at_output out;
    struct stat st;

    (void)state;
    assert_int_equal(at_output_open(&out, temporary("a"), &err), AT_OK);
    limit_files_to(100);
    assert_int_equal(at_output_append(&out, bytes, 150, &err), AT_ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "cannot write: File too large"));
    limit_files_to(RLIM_INFINITY);
    err = (struct at_error){.status = AT_OK};
    assert_int_equal(at_output_write(&out, bytes, 10, &err), AT_ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "cannot write: File too large"));
    assert_int_equal(fstat(out.fd, &st), 0);
    assert_int_equal(st.st_size, 100);
    assert_int_equal(out.bytes, 0);
    at_output_close(&out);
    assert_int_not_equal(access(temporary("a"), F_OK), 0);
}

/* Puts packets until one is refused; what the writer says then. */
static enum at_status fill_disk(struct at_writer *w)
{
    static const uint8_t data[PACKET_BYTES];
    const struct at_packet pkt = {
        .ts = at_ts_from_ns(1700000000000000000),
        .data = data,
        .cap_bytes = PACKET_BYTES,
        .wire_bytes = PACKET_BYTES,
        .linktype = AT_LINK_ETHERNET,
        .format = AT_FORMAT_PCAP,
    };
    enum at_status st = AT_OK;

    for (unsigned i = 0; i < PACKETS && st == AT_OK; i++)
        st = at_writer_put(w, &pkt);
    return st;
}

static void full_disk(enum at_codec codec, unsigned threads)
{
    struct at_writer_options opts = {
        .size = sizeof(opts),
        .format = AT_FORMAT_PCAP,
        .codec = codec,
        .linktype = AT_LINK_ETHERNET,
    };
    struct at_writer *w;

    assert_int_equal(at_pool_open(&opts.pool, threads, NULL), AT_OK);
    assert_int_equal(at_writer_open(&w, temporary("b"), &opts, NULL), AT_OK);
    limit_files_to(codec == AT_CODEC_NONE ? DISK_BYTES : 1000);
    if (fill_disk(w) == AT_OK)
        assert_int_not_equal(codec, AT_CODEC_NONE);
    assert_int_equal(at_writer_commit(w), AT_ERR_SYSTEM);
    assert_non_null(strstr(at_writer_error(w)->msg, "File too large"));
    limit_files_to(RLIM_INFINITY);
    at_writer_close(w);
    at_pool_close(opts.pool);
    assert_int_not_equal(access(temporary("b"), F_OK), 0);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        full_disk(AT_CODEC_NONE, threads);
        full_disk(AT_CODEC_XZ, threads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_follows_a_failed_write),
        cmocka_unit_test(a_full_disk_is_an_error),
    };

    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
