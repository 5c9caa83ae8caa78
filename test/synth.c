/*
 * synth.c - write synthetic traffic for benchmarks and tests
 *
 *     cc -O2 test/synth*.c -o synth
 *     synth [options] OUT
 *
 * makes a trace of plausible and correct traffic: TCP flows with handshakes,
 * right sequence numbers and orderly or rude ends, UDP requests and answers,
 * ICMP, ESP, GRE and SCTP; right checksums over the whole packet, also where
 * --snap cuts it; heavy-tailed flows among Zipf-distributed hosts.  The
 * options are in 'usage_text' below.
 *
 * The packets depend on the options of traffic alone, not on format, --snap
 * or -n: the first thousand of a million are the thousand of -n 1000, and the
 * ERF and the pcap file of a seed hold the same.  Memory does not grow with -n.
 *
 * Addresses are from 10.0.0.0/8 (clients), 198.18.0.0/15 (servers) and
 * 2001:db8::/32.  Wire lengths are those of Ethernet without FCS.
 *
 * An ERF record is padded to 8 bytes, so a reader cannot see where a cut packet
 * ends.  Its alignment therefore holds the next bytes of the packet, and what
 * a reader takes for captured is right, if up to 7 bytes more than asked for.
 * With --snap 94, 102 and so on (6 more than a multiple of 8) there are none.
 * The summary of --truth counts as readers do.
 *
 * Exit status: 0; 1 if something could not be written; 2 for a wrong command
 * line.
 */
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "synth.h"

enum {
    BUFFER_BYTES = 1 << 20,
    RECORD_BYTES = TRAFFIC_BUFFER_BYTES + 64, /* room for any record */
    PCAP_SNAPLEN = 262144,
};

static const uint64_t second_ns = 1000000000;

/* What --truth says. */
struct truth {
    uint64_t packets;
    uint64_t wire_bytes;
    uint64_t captured_bytes;
    uint64_t first_ns;
    uint64_t last_ns;
    uint64_t proto[256];
    uint64_t ipv6;
    uint64_t vlan;
    uint64_t interface[4];
};

struct output {
    FILE *file;
    const char *name;
    uint8_t *buf;
    size_t used;
};

/*
 * A format puts one record at 'p' around the frame, which already stands at
 * p + frame_at(), and returns the record's length.
 */
struct format {
    const char *name;
    uint32_t frame_at;
    uint32_t tick_ns; /* its resolution */
    uint32_t align;   /* of records */
    uint32_t magic;   /* of a file header; 0 if there is none */
    size_t (*put)(const struct traffic_packet *pkt, uint32_t cap_bytes,
                  uint8_t *p);
};

struct job {
    struct traffic_options traffic;
    const struct format *format;
    const char *out;
    const char *truth;
    uint64_t packets;
    uint32_t snap; /* 0: all */
};

static void warn(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fputs("synth: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
}

/* ----------------------------------------------------------------- formats */

enum { ERF_HEADER = 16, ERF_PAD = 2, ERF_ETH = 2, ERF_VARYING = 4 };

/*
 * size  field of an ERF record
 *    8  time, little-endian, seconds in 32.32 fixed point
 *    1  type
 *    1  flags: interface in bits 0 and 1
 *    2  length of the record, big-endian
 *    2  loss counter
 *    2  wire length, big-endian
 *    2  padding of Ethernet records
 */
static size_t put_erf(const struct traffic_packet *pkt, uint32_t cap_bytes,
                      uint8_t *p)
{
    uint64_t ns = pkt->ts_ns % second_ns;
    uint64_t fraction = ((ns << 32) + second_ns - 1) / second_ns;
    uint32_t end = ERF_HEADER + ERF_PAD + pkt->wire_bytes;
    uint32_t record = (ERF_HEADER + ERF_PAD + cap_bytes + 7) / 8 * 8;

    put_le64(p, (pkt->ts_ns / second_ns) << 32 | fraction);
    p[8] = ERF_ETH;
    p[9] = (uint8_t)(pkt->interface | ERF_VARYING);
    put_be16(p + 10, record);
    put_be16(p + 12, 0);
    put_be16(p + 14, pkt->wire_bytes);
    put_be16(p + 16, 0);
    if (end < record)
        memset(p + end, 0, record - end);
    return record;
}

static size_t put_pcap(const struct traffic_packet *pkt, uint32_t cap_bytes,
                       uint32_t tick_ns, uint8_t *p)
{
    put_le32(p, (uint32_t)(pkt->ts_ns / second_ns));
    put_le32(p + 4, (uint32_t)(pkt->ts_ns % second_ns / tick_ns));
    put_le32(p + 8, cap_bytes);
    put_le32(p + 12, pkt->wire_bytes);
    return 16 + cap_bytes;
}

static size_t put_pcap_ns(const struct traffic_packet *pkt, uint32_t cap_bytes,
                          uint8_t *p)
{
    return put_pcap(pkt, cap_bytes, 1, p);
}

static size_t put_pcap_us(const struct traffic_packet *pkt, uint32_t cap_bytes,
                          uint8_t *p)
{
    return put_pcap(pkt, cap_bytes, 1000, p);
}

static const struct format formats[] = {
    {"erf", ERF_HEADER + ERF_PAD, 1, 8, 0, put_erf},
    {"pcap", 16, 1, 1, 0xa1b23c4d, put_pcap_ns},
    {"pcap-us", 16, 1000, 1, 0xa1b2c3d4, put_pcap_us},
};

enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

static size_t put_file_header(const struct format *f, uint32_t snap, uint8_t *p)
{
    if (f->magic == 0)
        return 0;
    put_le32(p, f->magic);
    put_le16(p + 4, 2);
    put_le16(p + 6, 4);
    put_le64(p + 8, 0);
    put_le32(p + 16, snap != 0 ? snap : PCAP_SNAPLEN);
    put_le32(p + 20, 1); /* Ethernet */
    return 24;
}

/* ------------------------------------------------------------------ output */

static int output_open(struct output *out, const char *path)
{
    bool standard = strcmp(path, "-") == 0;

    *out = (struct output){.name = standard ? "standard output" : path};
    out->buf = malloc(BUFFER_BYTES + RECORD_BYTES);
    if (out->buf == NULL) {
        warn("out of memory");
        return -1;
    }
    out->file = standard ? stdout : fopen(path, "wb");
    if (out->file == NULL) {
        warn("cannot open %s: %s", out->name, strerror(errno));
        free(out->buf);
        return -1;
    }
    setvbuf(out->file, NULL, _IONBF, 0); /* out->buf is the buffer */
    return 0;
}

static int output_flush(struct output *out)
{
    size_t n = out->used;

    out->used = 0;
    if (fwrite(out->buf, 1, n, out->file) == n)
        return 0;
    warn("cannot write %s: %s", out->name, strerror(errno));
    return -1;
}

/* Returns 0, or 'status' or -1 if something went wrong before or now. */
static int output_close(struct output *out, int status)
{
    if (status == 0)
        status = output_flush(out);
    if (fclose(out->file) != 0 && status == 0) {
        warn("cannot write %s: %s", out->name, strerror(errno));
        status = -1;
    }
    free(out->buf);
    return status;
}

/* ------------------------------------------------------------------- truth */

static void truth_count(struct truth *tr, const struct traffic_packet *pkt,
                        uint32_t cap_bytes)
{
    if (tr->packets++ == 0)
        tr->first_ns = pkt->ts_ns;
    tr->last_ns = pkt->ts_ns;
    tr->wire_bytes += pkt->wire_bytes;
    tr->captured_bytes += cap_bytes;
    tr->proto[pkt->proto]++;
    tr->ipv6 += pkt->ipv6;
    tr->vlan += pkt->vlan;
    tr->interface[pkt->interface]++;
}

/* One line of JSON; times are strings because readers round big numbers. */
static void truth_print(const struct truth *tr, uint64_t flows, FILE *file)
{
    static const struct {
        const char *name;
        uint8_t proto;
    } names[] = {
        {"tcp", 6},  {"udp", 17}, {"icmp", 1},   {"icmp6", 58},
        {"esp", 50}, {"gre", 47}, {"sctp", 132},
    };

    fprintf(file, "{\"packets\":%" PRIu64, tr->packets);
    fprintf(file, ",\"wire_bytes\":%" PRIu64, tr->wire_bytes);
    fprintf(file, ",\"captured_bytes\":%" PRIu64, tr->captured_bytes);
    fprintf(file, ",\"first_ns\":\"%" PRIu64 "\"", tr->first_ns);
    fprintf(file, ",\"last_ns\":\"%" PRIu64 "\"", tr->last_ns);
    fprintf(file, ",\"flows\":%" PRIu64, flows);
    fprintf(file, ",\"ipv4\":%" PRIu64, tr->packets - tr->ipv6);
    fprintf(file, ",\"ipv6\":%" PRIu64, tr->ipv6);
    fprintf(file, ",\"vlan\":%" PRIu64, tr->vlan);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        fprintf(file, ",\"%s\":%" PRIu64, names[i].name,
                tr->proto[names[i].proto]);
    fprintf(
        file,
        ",\"interfaces\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]}\n",
        tr->interface[0], tr->interface[1], tr->interface[2], tr->interface[3]);
}

static int truth_write(const struct truth *tr, uint64_t flows, const char *path)
{
    FILE *file = fopen(path, "w");
    bool failed;

    if (file == NULL) {
        warn("cannot open %s: %s", path, strerror(errno));
        return -1;
    }
    truth_print(tr, flows, file);
    failed = ferror(file) != 0;
    failed |= fclose(file) != 0;
    if (failed)
        warn("cannot write %s: %s", path, strerror(errno));
    return failed ? -1 : 0;
}

/* -------------------------------------------------------------------- work */

static int write_packets(const struct job *job, struct traffic *t,
                         struct output *out, struct truth *tr)
{
    const struct format *f = job->format;
    uint32_t snap = job->snap != 0 ? job->snap : UINT16_MAX;
    struct traffic_packet pkt;

    out->used = put_file_header(f, job->snap, out->buf);
    for (uint64_t i = 0; i < job->packets; i++) {
        uint8_t *p = out->buf + out->used;
        uint32_t cap_bytes, seen;
        size_t n;

        traffic_next(t, &pkt, p + f->frame_at, snap + f->align - 1);
        if (pkt.ts_ns / second_ns > UINT32_MAX) {
            warn("packet %" PRIu64 ": its time is too late for the format",
                 i + 1);
            return -1;
        }
        pkt.ts_ns -= pkt.ts_ns % f->tick_ns;
        cap_bytes = pkt.wire_bytes < snap ? pkt.wire_bytes : snap;
        n = f->put(&pkt, cap_bytes, p);
        seen = (uint32_t)n - f->frame_at;
        truth_count(tr, &pkt, seen < pkt.wire_bytes ? seen : pkt.wire_bytes);
        out->used += n;
        if (out->used >= BUFFER_BYTES && output_flush(out) != 0)
            return -1;
    }
    return 0;
}

static int run(const struct job *job)
{
    struct traffic *t = traffic_new(&job->traffic);
    struct truth tr = {0};
    struct output out;
    int status;

    if (t == NULL) {
        warn("out of memory");
        return -1;
    }
    status = output_open(&out, job->out);
    if (status == 0) {
        status = write_packets(job, t, &out, &tr);
        status = output_close(&out, status);
    }
    if (status == 0 && job->truth != NULL)
        status = truth_write(&tr, traffic_flows(t), job->truth);
    traffic_free(t);
    return status;
}

/* ------------------------------------------------------------ command line */

static const char usage_line[] = "usage: synth [options] OUT\n";

static const char usage_text[] =
    "Write synthetic traffic to OUT ('-' is standard output).\n"
    "\n"
    "  -n, --packets N         packets to write (1M)\n"
    "  -s, --seed N            same seed and options, same bytes (1)\n"
    "  -F, --format FORMAT     erf, pcap (nanoseconds) or pcap-us; otherwise "
    "by\n"
    "                          the suffix of OUT, .erf or .pcap; '-' is erf\n"
    "      --snap N            bytes captured of a packet; 0 is all (0)\n"
    "      --start TIME        seconds since 1970, may have a fraction\n"
    "                          (1767225600)\n"
    "      --rate N            mean packets a second (100k)\n"
    "      --flows-packets N   mean packets of a flow (20)\n"
    "      --hosts N           clients and servers (20k)\n"
    "      --ipv6 PERCENT      of flows (20)\n"
    "      --vlan PERCENT      of flows, tagged 802.1Q (0)\n"
    "      --interfaces N      1 to 4; directions have their own (2)\n"
    "      --truth FILE        write a summary as one line of JSON\n"
    "      --help              print this\n"
    "\n"
    "N may end in k, M or G: thousands, millions, thousands of millions.\n";

static int usage_error(void)
{
    fputs(usage_line, stderr);
    return 2;
}

static bool parse_digits(const char **s, uint64_t *v)
{
    const char *start = *s;

    for (*v = 0; **s >= '0' && **s <= '9'; ++*s) {
        if (*v > (UINT64_MAX - 9) / 10)
            return false;
        *v = *v * 10 + (uint64_t)(**s - '0');
    }
    return *s != start;
}

/* A number from 'low' to 'high', perhaps with k, M or G. */
static bool parse_number(const char *s, uint64_t low, uint64_t high,
                         uint64_t *v)
{
    uint64_t unit = 1;

    if (!parse_digits(&s, v))
        return false;
    if (*s == 'k')
        unit = 1000;
    else if (*s == 'M')
        unit = 1000000;
    else if (*s == 'G')
        unit = 1000000000;
    s += unit > 1;
    if (*s != '\0' || *v > UINT64_MAX / unit)
        return false;
    *v *= unit;
    return *v >= low && *v <= high;
}

static bool parse_number32(const char *s, uint32_t low, uint32_t high,
                           uint32_t *v)
{
    uint64_t wide;

    if (!parse_number(s, low, high, &wide))
        return false;
    *v = (uint32_t)wide;
    return true;
}

/* Seconds with at most nine digits after the point. */
static bool parse_time(const char *s, uint64_t *ns)
{
    uint64_t seconds, unit = second_ns / 10;

    if (!parse_digits(&s, &seconds) || seconds > UINT32_MAX)
        return false;
    *ns = seconds * second_ns;
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9' && unit > 0; s++, unit /= 10)
            *ns += (uint64_t)(*s - '0') * unit;
    return *s == '\0';
}

static bool parse_format(const char *name, const struct format **f)
{
    for (size_t i = 0; i < FORMATS; i++) {
        *f = &formats[i];
        if (strcmp(name, formats[i].name) == 0)
            return true;
    }
    return false;
}

static bool format_of_suffix(const char *path, const struct format **f)
{
    const char *dot = strrchr(path, '.');

    if (strcmp(path, "-") == 0)
        return parse_format("erf", f);
    return dot != NULL && strcmp(dot, ".pcap-us") != 0 &&
           parse_format(dot + 1, f);
}

enum {
    OPT_SNAP = 256,
    OPT_START,
    OPT_RATE,
    OPT_FLOW_PACKETS,
    OPT_HOSTS,
    OPT_IPV6,
    OPT_VLAN,
    OPT_INTERFACES,
    OPT_TRUTH,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"packets", required_argument, NULL, 'n'},
    {"seed", required_argument, NULL, 's'},
    {"format", required_argument, NULL, 'F'},
    {"snap", required_argument, NULL, OPT_SNAP},
    {"start", required_argument, NULL, OPT_START},
    {"rate", required_argument, NULL, OPT_RATE},
    {"flows-packets", required_argument, NULL, OPT_FLOW_PACKETS},
    {"hosts", required_argument, NULL, OPT_HOSTS},
    {"ipv6", required_argument, NULL, OPT_IPV6},
    {"vlan", required_argument, NULL, OPT_VLAN},
    {"interfaces", required_argument, NULL, OPT_INTERFACES},
    {"truth", required_argument, NULL, OPT_TRUTH},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool set_option(struct job *job, int option, const char *arg)
{
    struct traffic_options *t = &job->traffic;

    switch (option) {
    case 'n':
        return parse_number(arg, 0, UINT64_MAX, &job->packets);
    case 's':
        return parse_number(arg, 0, UINT64_MAX, &t->seed);
    case 'F':
        return parse_format(arg, &job->format);
    case OPT_SNAP:
        return parse_number32(arg, 0, UINT16_MAX, &job->snap);
    case OPT_START:
        return parse_time(arg, &t->start_ns);
    case OPT_RATE:
        return parse_number32(arg, 1, 1000000000, &t->rate);
    case OPT_FLOW_PACKETS:
        return parse_number32(arg, 2, 1000000, &t->flow_packets);
    case OPT_HOSTS:
        return parse_number32(arg, 4, 1000000, &t->hosts);
    case OPT_IPV6:
        return parse_number32(arg, 0, 100, &t->ipv6_percent);
    case OPT_VLAN:
        return parse_number32(arg, 0, 100, &t->vlan_percent);
    case OPT_INTERFACES:
        return parse_number32(arg, 1, 4, &t->interfaces);
    default:
        job->truth = arg;
        return true;
    }
}

/* Returns 0, or 2 after saying what is wrong. */
static int parse_command_line(struct job *job, int argc, char *argv[])
{
    int option, index = -1;

    while ((option = getopt_long(argc, argv, "n:s:F:", long_options, &index)) !=
           -1) {
        if (option == '?')
            return usage_error();
        if (option == OPT_HELP) {
            fputs(usage_line, stdout);
            fputs(usage_text, stdout);
            if (fclose(stdout) == 0)
                exit(0);
            warn("cannot write standard output: %s", strerror(errno));
            exit(1);
        }
        if (!set_option(job, option, optarg)) {
            warn("wrong value '%s' of an option", optarg);
            return usage_error();
        }
    }
    if (optind != argc - 1)
        return usage_error();
    job->out = argv[optind];
    if (job->format == NULL && !format_of_suffix(job->out, &job->format)) {
        warn("%s: which format? use --format", job->out);
        return usage_error();
    }
    return 0;
}

int main(int argc, char *argv[])
{
    struct job job = {
        .traffic = {.seed = 1,
                    .start_ns = 1767225600 * UINT64_C(1000000000),
                    .rate = 100000,
                    .flow_packets = 20,
                    .hosts = 20000,
                    .ipv6_percent = 20,
                    .vlan_percent = 0,
                    .interfaces = 2},
        .packets = 1000000,
    };
    int status = parse_command_line(&job, argc, argv);

    if (status != 0)
        return status;
    return run(&job) == 0 ? 0 : 1;
}
