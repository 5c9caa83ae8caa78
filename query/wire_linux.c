/*
 * wire_linux.c - frames sent by a packet socket of Linux
 *
 * The ring (packet(7), Documentation/networking/packet_mmap.rst of the
 * kernel, TPACKET_V2) is an array of frames in memory that is shared with the
 * kernel.  A frame that is free is filled and marked; one call then sends all
 * that are marked, in order.  The kernel marks it free again when the driver
 * has let go of it.
 */
#include "wire.h"

#include "errors.h"

#ifdef __linux__

#include <errno.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CALL_FRAMES = 64,
    RING_BYTES = 4 << 20,
    RING_FRAMES = 1024, /* at most */
    HEADER_ROOM = 64,   /* before the bytes of a frame in the ring */
    TAGGED_BYTES = 18,
    SEND_BYTES = 1 << 20,
    /* TPACKET2_HDRLEN less the address; the header is a multiple of 16. */
    DATA_AT = sizeof(struct tpacket2_hdr),
};

_Static_assert(sizeof(struct tpacket2_hdr) % TPACKET_ALIGNMENT == 0,
               "frames begin behind the aligned header");

struct link {
    int fd;
    int index;
    uint8_t *ring; /* NULL: frames are sent by calls */
    size_t ring_bytes;
    uint32_t slot_bytes;
    uint32_t slots, next;
    uint32_t marked; /* since the last call */
};

static enum at_status failed(const struct at_wire *w, const char *what,
                             struct at_error *err)
{
    const char *why = errno == ENETDOWN ? "the interface is down"
                      : errno == ENXIO || errno == ENODEV
                          ? "the interface is gone"
                          : strerror(errno);

    return at_error_set(err, AT_ERR_SYSTEM, "%s: cannot %s: %s", w->name, what,
                        why);
}

/* glibc has no capset(), and a library for one call would be too much. */
void at_wire_privileges(bool open)
{
    struct __user_cap_header_struct head = {
        .version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    const uint32_t keep = open ? 1u << CAP_NET_RAW : 0;

    if (syscall(SYS_capget, &head, data) != 0)
        return;
    data[0].permitted &= keep;
    data[0].effective = data[0].permitted;
    data[1].permitted = data[1].effective = 0;
    data[0].inheritable = data[1].inheritable = 0;
    syscall(SYS_capset, &head, data);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* ---- calls ----------------------------------------------------------- */

/* Waits until the socket takes more; what is wrong with it is told by the
 * next call. */
static void wait_for_room(const struct link *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};

    poll(&p, 1, 10);
}

static bool is_full(int number)
{
    return number == EAGAIN || number == ENOBUFS || number == EINTR;
}

/* A frame that the interface refuses for what it is, not for the moment. */
static bool is_of_frame(int number)
{
    return number == EMSGSIZE || number == EINVAL;
}

static enum at_status send_some(struct at_wire *w, const struct at_load *load,
                                size_t first, size_t n, size_t *done,
                                struct at_error *err)
{
    const struct link *l = w->state;
    struct mmsghdr msg[CALL_FRAMES];
    struct iovec io[CALL_FRAMES];
    int sent;

    memset(msg, 0, n * sizeof(msg[0]));
    for (size_t i = 0; i < n; i++) {
        const struct at_frame *f = &load->frame[first + i];

        io[i] = (struct iovec){load->bytes + f->at, f->bytes};
        msg[i].msg_hdr.msg_iov = &io[i];
        msg[i].msg_hdr.msg_iovlen = 1;
    }
    sent = sendmmsg(l->fd, msg, (unsigned)n, 0);
    *done = sent > 0 ? (size_t)sent : 0;
    if (sent < 0 && is_full(errno))
        wait_for_room(l);
    else if (sent < 0 && is_of_frame(errno))
        *done = 1;
    else if (sent < 0)
        return failed(w, "send", err);
    for (size_t i = 0; sent > 0 && i < *done; i++)
        w->bytes += io[i].iov_len;
    w->sent += sent > 0 ? *done : 0;
    w->refused += sent < 0 ? *done : 0;
    return AT_OK;
}

static enum at_status send_by_calls(struct at_wire *w,
                                    const struct at_load *load, size_t first,
                                    size_t n, struct at_error *err)
{
    enum at_status st = AT_OK;

    while (n > 0 && st == AT_OK) {
        size_t done = 0;

        st = send_some(w, load, first, n < CALL_FRAMES ? n : CALL_FRAMES, &done,
                       err);
        first += done;
        n -= done;
    }
    return st;
}

/* ---- the ring -------------------------------------------------------- */

static struct tpacket2_hdr *slot_at(const struct link *l, uint32_t i)
{
    return (struct tpacket2_hdr *)(void *)(l->ring + (size_t)i * l->slot_bytes);
}

static uint32_t status_of(const struct link *l, uint32_t i)
{
    return __atomic_load_n(&slot_at(l, i)->tp_status, __ATOMIC_ACQUIRE);
}

/* Lets the kernel send what is marked. */
static enum at_status kick(struct at_wire *w, struct at_error *err)
{
    struct link *l = w->state;

    if (l->marked == 0)
        return AT_OK;
    if (send(l->fd, NULL, 0, MSG_DONTWAIT) < 0 && !is_full(errno) &&
        !is_of_frame(errno))
        return failed(w, "send", err);
    l->marked = 0;
    return AT_OK;
}

/* Waits until slot 'i' is free again. */
static enum at_status wait_for_slot(struct at_wire *w, uint32_t i,
                                    struct at_error *err)
{
    struct link *l = w->state;
    enum at_status st = AT_OK;

    for (;;) {
        const uint32_t status = status_of(l, i);

        if (status == TP_STATUS_AVAILABLE)
            return AT_OK;
        if ((status & TP_STATUS_WRONG_FORMAT) != 0) {
            slot_at(l, i)->tp_status = TP_STATUS_AVAILABLE;
            w->refused++;
            w->sent--;
            return AT_OK;
        }
        l->marked = 1;
        st = kick(w, err);
        if (st != AT_OK)
            return st;
        if (status_of(l, i) != TP_STATUS_AVAILABLE)
            wait_for_room(l);
    }
}

static enum at_status send_by_ring(struct at_wire *w,
                                   const struct at_load *load, size_t first,
                                   size_t n, struct at_error *err)
{
    struct link *l = w->state;

    for (size_t i = first; i < first + n; i++) {
        const struct at_frame *f = &load->frame[i];
        struct tpacket2_hdr *slot = slot_at(l, l->next);
        const enum at_status st = wait_for_slot(w, l->next, err);

        if (st != AT_OK)
            return st;
        if (f->bytes > l->slot_bytes - HEADER_ROOM) {
            w->refused++;
            continue;
        }
        memcpy((uint8_t *)slot + DATA_AT, load->bytes + f->at, f->bytes);
        slot->tp_len = f->bytes;
        __atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST,
                         __ATOMIC_RELEASE);
        l->next = (l->next + 1) % l->slots;
        l->marked++;
        w->sent++;
        w->bytes += f->bytes;
    }
    return kick(w, err);
}

static enum at_status flush_ring(struct at_wire *w, struct at_error *err)
{
    struct link *l = w->state;
    enum at_status st = AT_OK;

    for (uint32_t i = 0; i < l->slots && st == AT_OK; i++)
        st = wait_for_slot(w, (l->next + i) % l->slots, err);
    return st;
}

static void close_link(struct at_wire *w)
{
    struct link *l = w->state;

    if (l->ring != NULL)
        munmap(l->ring, l->ring_bytes);
    if (l->fd >= 0)
        close(l->fd);
    free(l);
}

static const struct at_wire_ops call_ops = {send_by_calls, NULL, close_link};
static const struct at_wire_ops ring_ops = {send_by_ring, flush_ring,
                                            close_link};

/* ---- opening --------------------------------------------------------- */

static bool make_ring(struct at_wire *w)
{
    struct link *l = w->state;
    const int version = TPACKET_V2;
    struct tpacket_req req;
    uint32_t slot = 2048;

    while (slot < w->mtu + TAGGED_BYTES + HEADER_ROOM)
        slot *= 2;
    req.tp_frame_size = slot;
    req.tp_frame_nr = RING_BYTES / slot < RING_FRAMES ? RING_BYTES / slot
                                                      : RING_FRAMES;
    req.tp_block_size = slot;
    while (req.tp_block_size < (uint32_t)getpagesize())
        req.tp_block_size *= 2;
    req.tp_block_nr = req.tp_frame_nr / (req.tp_block_size / slot);
    if (setsockopt(l->fd, SOL_PACKET, PACKET_VERSION, &version,
                   sizeof(version)) != 0 ||
        setsockopt(l->fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)) != 0)
        return false;
    l->ring_bytes = (size_t)req.tp_block_size * req.tp_block_nr;
    l->ring = mmap(NULL, l->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                   l->fd, 0);
    if (l->ring == MAP_FAILED)
        l->ring = NULL;
    l->slot_bytes = slot;
    l->slots = req.tp_frame_nr;
    return l->ring != NULL;
}

/* What has no cable at its end.  A bridge, a bond or a VLAN may have one. */
static bool is_virtual(int fd, struct ifreq *req)
{
    static const char *const drivers[] = {"veth", "dummy", "tun", "ifb",
                                          "netdevsim"};
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

    req->ifr_data = (void *)&info;
    if (ioctl(fd, SIOCETHTOOL, req) != 0)
        return false;
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (strcmp(info.driver, drivers[i]) == 0)
            return true;
    return false;
}

static enum at_status look_at_interface(struct at_wire *w, struct link *l,
                                        struct at_error *err)
{
    struct ifreq req = {.ifr_ifindex = 0};

    if (strlen(w->name) >= sizeof(req.ifr_name))
        return at_error_set(err, AT_ERR_SYSTEM, "%s: no such interface",
                            w->name);
    memcpy(req.ifr_name, w->name, strlen(w->name) + 1);
    if (ioctl(l->fd, SIOCGIFINDEX, &req) != 0)
        return at_error_set(err, AT_ERR_SYSTEM, "%s: no such interface",
                            w->name);
    l->index = req.ifr_ifindex;
    if (ioctl(l->fd, SIOCGIFMTU, &req) != 0)
        return failed(w, "ask for its MTU", err);
    w->mtu = (uint32_t)req.ifr_mtu;
    if (ioctl(l->fd, SIOCGIFHWADDR, &req) != 0)
        return failed(w, "ask for its address", err);
    w->ethernet = req.ifr_hwaddr.sa_family == ARPHRD_ETHER ||
                  req.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
    memcpy(w->mac, req.ifr_hwaddr.sa_data, sizeof(w->mac));
    if (ioctl(l->fd, SIOCGIFFLAGS, &req) != 0)
        return failed(w, "ask for its state", err);
    w->harmless = (req.ifr_flags & IFF_LOOPBACK) != 0;
    if ((req.ifr_flags & IFF_UP) == 0) {
        errno = ENETDOWN;
        return failed(w, "send", err);
    }
    w->harmless = w->harmless || is_virtual(l->fd, &req);
    return AT_OK;
}

static enum at_status bind_link(struct at_wire *w, const struct link *l,
                                struct at_error *err)
{
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_ifindex = l->index,
    };
    const int yes = 1, bytes = SEND_BYTES;

    /* Both make it faster where they can be had. */
    setsockopt(l->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes));
    setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    if (bind(l->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        return failed(w, "bind", err);
    return AT_OK;
}

enum at_status at_wire_open_linux(struct at_wire *w, enum at_wire_kind kind,
                                  struct at_error *err)
{
    struct link *l = calloc(1, sizeof(*l));
    enum at_status st;

    if (l == NULL)
        return at_error_set(err, AT_ERR_MEMORY, "out of memory");
    w->state = l;
    w->ops = &call_ops;
    /* Protocol 0: nothing is received. */
    l->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (l->fd < 0 && errno == EPERM)
        return at_error_set(err, AT_ERR_SYSTEM,
                            "%s: sending needs CAP_NET_RAW: be root, or "
                            "setcap cap_net_raw=ep on this program",
                            w->name);
    if (l->fd < 0)
        return failed(w, "open", err);
    st = look_at_interface(w, l, err);
    if (st == AT_OK)
        st = bind_link(w, l, err);
    if (st == AT_OK && kind != AT_WIRE_CALLS && make_ring(w))
        w->ops = &ring_ops;
    else if (st == AT_OK && kind == AT_WIRE_RING)
        st = failed(w, "make a ring", err);
    return st;
}

#else

void at_wire_privileges(bool open)
{
    (void)open;
}

enum at_status at_wire_open_linux(struct at_wire *w, enum at_wire_kind kind,
                                  struct at_error *err)
{
    (void)w;
    (void)kind;
    return at_error_set(err, AT_ERR_FORMAT, "not on this system");
}

#endif
