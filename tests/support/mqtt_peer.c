/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/mqtt_peer.h"

#include "base/buf.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PACKET_MAX  (4U << 20)
#define ANSWER_MS   10000
#define NS_PER_MS   INT64_C(1000000)
#define WAITING_MAX 4096

enum packet {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH = 0x30,
    PUBACK = 0x40,
    SUBSCRIBE = 0x82,
    SUBACK = 0x90,
    DISCONNECT = 0xe0,
};

struct dv_mqtt_peer {
    int fd;
    uint16_t id;
    struct dv_buf in;
    struct dv_mqtt_message waiting[WAITING_MAX]; /* read while something else was waited for */
    size_t waiting_head, waiting_count;
};

static int64_t now_ms(void)
{
    return dv_clock_monotonic_ns(dv_clock_real()) / NS_PER_MS;
}

static void put_u16(struct dv_buf *out, size_t value)
{
    unsigned char bytes[] = {(unsigned char)(value >> 8), (unsigned char)value};
    cr_assert_eq(dv_buf_append(out, bytes, 2, NULL), 0);
}

static void put_text(struct dv_buf *out, const char *text)
{
    put_u16(out, strlen(text));
    cr_assert_eq(dv_buf_append_str(out, text, NULL), 0);
}

static void send_packet(struct dv_mqtt_peer *peer, int type, const struct dv_buf *body)
{
    DV_AUTO_IN_PLACE(dv_buf) packet = DV_BUF_INIT(PACKET_MAX);
    unsigned char byte = (unsigned char)type;
    size_t rest = body->len;
    cr_assert_eq(dv_buf_append(&packet, &byte, 1, NULL), 0);
    do {
        byte = (unsigned char)(rest % 128 | (rest >= 128 ? 128 : 0));
        rest /= 128;
        cr_assert_eq(dv_buf_append(&packet, &byte, 1, NULL), 0);
    } while (rest > 0);
    cr_assert_eq(dv_buf_append(&packet, body->data, body->len, NULL), 0);
    size_t sent = 0;
    while (sent < packet.len) {
        ssize_t n = send(peer->fd, packet.data + sent, packet.len - sent, MSG_NOSIGNAL);
        cr_assert_gt(n, 0, "the broker closed the connection of the peer");
        sent += (size_t)n;
    }
}

/* One whole packet at the front of the buffer; false if it is not there yet. */
static bool split_packet(const struct dv_buf *in, size_t *ret_body, size_t *ret_len)
{
    size_t len = 0, at = 1;
    for (unsigned shift = 0; shift <= 21; shift += 7) {
        if (at >= in->len)
            return false;
        unsigned char byte = (unsigned char)in->data[at++];
        len |= (size_t)(byte & 127) << shift;
        if (!(byte & 128))
            break;
    }
    *ret_body = at;
    *ret_len = at + len;
    return in->len >= *ret_len;
}

static void on_publish(struct dv_mqtt_peer *peer, int type, const unsigned char *body, size_t len)
{
    size_t topic_len = (size_t)body[0] << 8 | body[1], at = 2 + topic_len;
    struct dv_mqtt_message message = {.topic = strndup((const char *)body + 2, topic_len)};
    if (type & 6) {
        DV_AUTO_IN_PLACE(dv_buf) ack = DV_BUF_INIT(16);
        cr_assert_eq(dv_buf_append(&ack, body + at, 2, NULL), 0);
        send_packet(peer, PUBACK, &ack);
        at += 2;
    }
    message.len = len - at;
    message.payload = calloc(1, message.len + 1);
    cr_assert_not_null(message.payload);
    memcpy(message.payload, body + at, message.len);
    cr_assert_lt(peer->waiting_count, WAITING_MAX);
    peer->waiting[(peer->waiting_head + peer->waiting_count++) % WAITING_MAX] = message;
}

/* Reads and handles one packet; its type, or 0 when time is up. */
static int read_packet(struct dv_mqtt_peer *peer, int64_t end_ms)
{
    size_t body, len;
    while (!split_packet(&peer->in, &body, &len)) {
        int64_t left = end_ms - now_ms();
        struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
        if (poll(&wait, 1, left > 0 ? (int)left : 0) != 1)
            return 0;
        char piece[65536];
        ssize_t got = recv(peer->fd, piece, sizeof(piece), 0);
        cr_assert_gt(got, 0, "the broker closed the connection of the peer");
        cr_assert_eq(dv_buf_append(&peer->in, piece, (size_t)got, NULL), 0);
    }
    int type = (unsigned char)peer->in.data[0];
    if ((type & 0xf0) == PUBLISH)
        on_publish(peer, type, (unsigned char *)peer->in.data + body, len - body);
    dv_buf_consume(&peer->in, len);
    return type;
}

static void wait_for(struct dv_mqtt_peer *peer, int type)
{
    int64_t end = now_ms() + ANSWER_MS;
    int got;
    while ((got = read_packet(peer, end)) != type)
        cr_assert_neq(got, 0, "the broker does not answer the peer");
}

struct dv_mqtt_peer *dv_mqtt_peer_new(int port)
{
    struct dv_mqtt_peer *peer = calloc(1, sizeof(*peer));
    cr_assert_not_null(peer);
    peer->in = DV_BUF_INIT(PACKET_MAX);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(peer->fd, 0);
    cr_assert_eq(connect(peer->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    DV_AUTO_IN_PLACE(dv_buf) body = DV_BUF_INIT(1024);
    static const unsigned char options[] = {4, 2, 0, 0}; /* 3.1.1, clean session, no keep alive */
    char id[64];
    snprintf(id, sizeof(id), "peer-%d-%p", getpid(), (void *)peer);
    put_text(&body, "MQTT");
    cr_assert_eq(dv_buf_append(&body, options, sizeof(options), NULL), 0);
    put_text(&body, id);
    send_packet(peer, CONNECT, &body);
    wait_for(peer, CONNACK);
    return peer;
}

void dv_mqtt_peer_free(struct dv_mqtt_peer *peer)
{
    if (!peer)
        return;
    struct dv_mqtt_message message;
    while (peer->waiting_count > 0) {
        message = peer->waiting[peer->waiting_head];
        peer->waiting_head = (peer->waiting_head + 1) % WAITING_MAX;
        peer->waiting_count--;
        dv_mqtt_message_done(&message);
    }
    dv_close(&peer->fd);
    dv_buf_done(&peer->in);
    free(peer);
}

int dv_mqtt_peer_fd(const struct dv_mqtt_peer *peer)
{
    return peer->fd;
}

static uint16_t next_id(struct dv_mqtt_peer *peer)
{
    if (++peer->id == 0)
        peer->id = 1;
    return peer->id;
}

void dv_mqtt_peer_subscribe(struct dv_mqtt_peer *peer, const char *filter)
{
    DV_AUTO_IN_PLACE(dv_buf) body = DV_BUF_INIT(4096);
    put_u16(&body, next_id(peer));
    put_text(&body, filter);
    cr_assert_eq(dv_buf_append(&body, "\x01", 1, NULL), 0);
    send_packet(peer, SUBSCRIBE, &body);
    wait_for(peer, SUBACK);
}

void dv_mqtt_peer_publish(
    struct dv_mqtt_peer *peer, const char *topic, const void *payload, size_t len, bool is_retained)
{
    DV_AUTO_IN_PLACE(dv_buf) body = DV_BUF_INIT(PACKET_MAX);
    put_text(&body, topic);
    put_u16(&body, next_id(peer));
    cr_assert_eq(dv_buf_append(&body, payload, len, NULL), 0);
    send_packet(peer, PUBLISH | 2 | (is_retained ? 1 : 0), &body);
}

bool dv_mqtt_peer_take(struct dv_mqtt_peer *peer, int timeout_ms, struct dv_mqtt_message *ret)
{
    int64_t end = now_ms() + timeout_ms;
    while (peer->waiting_count == 0) {
        if (read_packet(peer, end) == 0)
            return false;
    }
    *ret = peer->waiting[peer->waiting_head];
    peer->waiting_head = (peer->waiting_head + 1) % WAITING_MAX;
    peer->waiting_count--;
    return true;
}

void dv_mqtt_message_done(struct dv_mqtt_message *message)
{
    free(message->topic);
    free(message->payload);
    *message = (struct dv_mqtt_message){0};
}
