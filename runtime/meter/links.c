/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/meter/links.h"

#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_MAX  (64U << 10)
#define ANSWER_S    2 /* the kernel answers while it is asked; this is for a kernel that does not */
#define ANSWERS_MAX 4096U

struct dv_meter_links {
    int fd;
    uint32_t sequence;
    bool is_stale;               /* the dump showed an interface that is not known */
    struct dv_meter_link *links; /* by index */
    size_t count;
    size_t room;
    uint64_t pass;
    uint64_t *seen; /* pass that showed the link of the same place last */
    char *answer;
};

/* -- the table ------------------------------------------------------------------------------ */

static size_t place_of(const struct dv_meter_links *links, int32_t index)
{
    size_t low = 0;
    size_t high = links->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (links->links[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool grow(struct dv_meter_links *links)
{
    if (links->count < links->room)
        return true;
    size_t room = links->room ? links->room * 2 : 32;
    if (room > DV_METER_LINKS_MAX)
        return false;
    struct dv_meter_link *grown = reallocarray(links->links, room, sizeof(*grown));
    if (!grown)
        return false;
    links->links = grown;
    uint64_t *seen = reallocarray(links->seen, room, sizeof(*seen));
    if (!seen)
        return false;
    links->seen = seen;
    links->room = room;
    return true;
}

static struct dv_meter_link *enter(struct dv_meter_links *links, int32_t index)
{
    size_t place = place_of(links, index);
    if (place == links->count || links->links[place].index != index) {
        if (!grow(links))
            return NULL;
        size_t behind = links->count - place;
        memmove(&links->links[place + 1], &links->links[place], behind * sizeof(*links->links));
        memmove(&links->seen[place + 1], &links->seen[place], behind * sizeof(*links->seen));
        links->links[place] = (struct dv_meter_link){.index = index};
        links->count++;
    }
    links->seen[place] = links->pass;
    return &links->links[place];
}

static void drop_unseen(struct dv_meter_links *links)
{
    size_t kept = 0;
    for (size_t i = 0; i < links->count; i++) {
        if (links->seen[i] != links->pass)
            continue;
        links->seen[kept] = links->seen[i];
        links->links[kept++] = links->links[i];
    }
    links->count = kept;
}

/* -- answers of the kernel ------------------------------------------------------------------ */

/* The attribute's bytes; NULL if there is none of that type with at least `min` bytes. */
static const void *
attribute(const void *attributes, size_t len, unsigned type, size_t min, size_t *ret_len)
{
    const char *at = attributes;
    while (len >= sizeof(struct rtattr)) {
        struct rtattr head;
        memcpy(&head, at, sizeof(head));
        if (head.rta_len < sizeof(head) || head.rta_len > len)
            return NULL;
        if ((head.rta_type & NLA_TYPE_MASK) == type && head.rta_len - sizeof(head) >= min) {
            *ret_len = head.rta_len - sizeof(head);
            return at + sizeof(head);
        }
        size_t step = RTA_ALIGN((size_t)head.rta_len);
        if (step >= len)
            return NULL;
        at += step;
        len -= step;
    }
    return NULL;
}

/* Whether traffic of this interface enters or leaves the machine itself. Hardware has no kind; an
 * interface whose other end is in another namespace is how a machine that is a container reaches
 * the world, unless a bridge has it: then it leads to a container of this machine. */
static bool is_uplink(const struct ifinfomsg *info, const char *attributes, size_t len)
{
    size_t kind_len = 0;
    size_t ignored;
    if (info->ifi_type == ARPHRD_LOOPBACK)
        return false;
    const char *kind = NULL;
    const void *linkinfo = attribute(attributes, len, IFLA_LINKINFO, 0, &kind_len);
    if (linkinfo)
        kind = attribute(linkinfo, kind_len, IFLA_INFO_KIND, 1, &kind_len);
    if (!kind)
        return true;
    struct dv_str text = {kind, strnlen(kind, kind_len)};
    if (dv_str_eq(text, "ppp") || dv_str_eq(text, "wwan"))
        return true;
    return attribute(attributes, len, IFLA_LINK_NETNSID, 0, &ignored) != NULL &&
           attribute(attributes, len, IFLA_MASTER, 0, &ignored) == NULL;
}

static bool take_link(struct dv_meter_links *links, const char *body, size_t len)
{
    struct ifinfomsg info;
    size_t name_len;
    if (len < sizeof(info))
        return true;
    memcpy(&info, body, sizeof(info));
    const char *attributes = body + NLMSG_ALIGN(sizeof(info));
    len -= NLMSG_ALIGN(sizeof(info));
    struct dv_meter_link *link = enter(links, info.ifi_index);
    if (!link)
        return false;
    const char *name = attribute(attributes, len, IFLA_IFNAME, 1, &name_len);
    snprintf(link->name, sizeof(link->name), "%.*s", (int)(name ? name_len : 0), name ? name : "");
    link->is_known = true;
    link->is_uplink = is_uplink(&info, attributes, len);
    return true;
}

static int64_t clip(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static bool take_stats(struct dv_meter_links *links, const char *body, size_t len)
{
    struct if_stats_msg info;
    uint64_t counts[4]; /* packets received, packets sent, bytes received, bytes sent */
    size_t counts_len;
    if (len < sizeof(info))
        return true;
    memcpy(&info, body, sizeof(info));
    const void *stats = attribute(body + NLMSG_ALIGN(sizeof(info)), len - NLMSG_ALIGN(sizeof(info)),
                                  IFLA_STATS_LINK_64, sizeof(counts), &counts_len);
    if (!stats)
        return true;
    memcpy(counts, stats, sizeof(counts));
    struct dv_meter_link *link = enter(links, (int32_t)info.ifindex);
    if (!link)
        return false;
    link->received = clip(counts[2]);
    link->sent = clip(counts[3]);
    links->is_stale |= !link->is_known;
    return true;
}

static int take_message(struct dv_meter_links *links,
                        const struct nlmsghdr *head,
                        const char *body,
                        size_t len,
                        bool *ret_done,
                        struct dv_error *err)
{
    int code = 0;
    bool has_room = true;
    switch (head->nlmsg_type) {
    case NLMSG_DONE:
        *ret_done = true;
        break;
    case NLMSG_ERROR:
        if (len >= sizeof(code))
            memcpy(&code, body, sizeof(code));
        if (code)
            return dv_error_sys(err, DV_ERR_UNSUPPORTED,
                                code < 0 && code > INT_MIN ? -code : EPROTO,
                                "the kernel does not list network interfaces");
        break;
    case RTM_NEWLINK:
        has_room = take_link(links, body, len);
        break;
    case RTM_NEWSTATS:
        has_room = take_stats(links, body, len);
        break;
    default:
        break;
    }
    if (!has_room)
        return dv_error_set(err, DV_ERR_LIMIT, "more than %u network interfaces, or no memory",
                            DV_METER_LINKS_MAX);
    return 0;
}

int dv_meter_links_take(struct dv_meter_links *links,
                        const void *bytes,
                        size_t len,
                        bool *ret_done,
                        struct dv_error *err)
{
    const char *at = bytes;
    bool is_done = false;
    while (len >= sizeof(struct nlmsghdr) && !is_done) {
        struct nlmsghdr head;
        memcpy(&head, at, sizeof(head));
        if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > len)
            return dv_error_set(err, DV_ERR_PROTOCOL, "the kernel's list of interfaces is cut");
        int r = take_message(links, &head, at + sizeof(head), head.nlmsg_len - sizeof(head),
                             &is_done, err);
        if (r < 0)
            return r;
        size_t step = NLMSG_ALIGN((size_t)head.nlmsg_len);
        if (step >= len)
            break;
        at += step;
        len -= step;
    }
    *ret_done = is_done;
    return 0;
}

/* -- asking --------------------------------------------------------------------------------- */

static int receive(struct dv_meter_links *links, struct dv_error *err)
{
    bool is_done = false;
    for (unsigned i = 0; !is_done && i < ANSWERS_MAX; i++) {
        ssize_t n;
        do
            n = recv(links->fd, links->answer, ANSWER_MAX, MSG_TRUNC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "cannot list network interfaces");
        if ((size_t)n > ANSWER_MAX)
            return dv_error_set(err, DV_ERR_LIMIT, "an answer of %zd bytes about interfaces", n);
        struct nlmsghdr head;
        memcpy(&head, links->answer, sizeof(head));
        if ((size_t)n < sizeof(head) || head.nlmsg_seq != links->sequence)
            continue; /* left over from a list that was given up */
        int r = dv_meter_links_take(links, links->answer, (size_t)n, &is_done, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int ask(struct dv_meter_links *links, uint16_t type, struct dv_error *err)
{
    struct {
        struct nlmsghdr head;
        union {
            struct ifinfomsg link;
            struct if_stats_msg stats;
        } body;
    } request = {
        .head = {.nlmsg_type = type,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                 .nlmsg_seq = ++links->sequence},
    };
    size_t len = sizeof(request.body.link);
    if (type == RTM_GETSTATS) {
        request.body.stats.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
        len = sizeof(request.body.stats);
    }
    request.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
    if (send(links->fd, &request, request.head.nlmsg_len, 0) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "cannot ask for network interfaces");
    return receive(links, err);
}

struct dv_meter_links *dv_meter_links_offline(void)
{
    struct dv_meter_links *links = calloc(1, sizeof(*links));
    if (links)
        links->fd = -1;
    return links;
}

int dv_meter_links_new(struct dv_meter_links **ret, struct dv_error *err)
{
    DV_AUTO(dv_meter_links) links = dv_meter_links_offline();
    if (links)
        links->answer = malloc(ANSWER_MAX);
    if (!links || !links->answer)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for network counters");
    links->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct timeval patience = {.tv_sec = ANSWER_S};
    if (links->fd < 0 ||
        setsockopt(links->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "cannot open a socket for network counters");
    *ret = dv_steal(&links);
    return 0;
}

void dv_meter_links_free(struct dv_meter_links *links)
{
    if (!links)
        return;
    dv_close(&links->fd);
    free(links->links);
    free(links->seen);
    free(links->answer);
    free(links);
}

int dv_meter_links_read(struct dv_meter_links *links, struct dv_error *err)
{
    links->pass++;
    links->is_stale = links->count == 0;
    int r = ask(links, RTM_GETSTATS, err);
    if (r == 0 && links->is_stale)
        r = ask(links, RTM_GETLINK, err);
    if (r == 0)
        drop_unseen(links);
    return r;
}

const struct dv_meter_link *dv_meter_links_at(const struct dv_meter_links *links, int32_t index)
{
    size_t place = place_of(links, index);
    return place < links->count && links->links[place].index == index ? &links->links[place] : NULL;
}

const struct dv_meter_link *dv_meter_links_named(const struct dv_meter_links *links,
                                                 const char *name)
{
    for (size_t i = 0; i < links->count; i++)
        if (links->links[i].name[0] && strcmp(links->links[i].name, name) == 0)
            return &links->links[i];
    return NULL;
}

bool dv_meter_links_uplinks(const struct dv_meter_links *links,
                            int64_t *ret_received,
                            int64_t *ret_sent)
{
    int64_t received = 0;
    int64_t sent = 0;
    bool is_any = false;
    for (size_t i = 0; i < links->count; i++) {
        const struct dv_meter_link *link = &links->links[i];
        if (!link->is_uplink)
            continue;
        is_any = true;
        if (__builtin_add_overflow(received, link->received, &received) ||
            __builtin_add_overflow(sent, link->sent, &sent))
            return false;
    }
    if (!is_any)
        return false;
    *ret_received = received;
    *ret_sent = sent;
    return true;
}
