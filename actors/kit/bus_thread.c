/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of the bus. It never waits for a host: sending is DONTWAIT, and starting one waits only
 * until the new thread has its mailbox. When a mailbox was full, the ROUTER's descriptor becomes
 * readable as soon as the host has made room. A command that says so can be read by the attempt to
 * send to another full one, after the first was tried; so while something is held the bus also
 * looks again after a short time that doubles.
 */
#include "actors/kit/bus_thread.h"

#include "actors/kit/admission.h"
#include "actors/kit/bus.h"
#include "actors/kit/host_thread.h"
#include "actors/kit/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

/* Messages before held ones and the pipe get their turn. */
#define BATCH 64

/* Of messages that one host sent and the bus has not read; the sender waits beyond. */
#define RECEIVE_MARK 64

#define RETRY_FIRST_MS 1
#define RETRY_LAST_MS  128

/* Alive until the ready signal. */
struct start {
    const struct dv_host_world *world;
    const char *endpoint;
    unsigned shared_hosts_max;
    atomic_int status;
};

struct loop {
    struct dv_host_world world;
    char endpoint[DV_ENDPOINT_MAX];
    zsock_t *router;
    zsock_t *pipe;
    int retry_ms;
    struct dv_bus bus;
};

static int deliver(void *ctx, struct dv_bus_host *host, struct dv_parcel *parcel)
{
    struct loop *loop = ctx;
    char identity[DV_IDENTITY_MAX];
    dv_socket_identity(host->id, identity);
    int r = dv_socket_send(loop->router, identity, parcel);
    if (r != -DV_ERR_UNDELIVERABLE)
        return r;
    dv_log(DV_LOG_ERROR, "bus: host %u has no mailbox, message dropped", host->id);
    dv_parcel_done(parcel);
    return 0;
}

static int start_host(void *ctx, struct dv_bus_host *host, struct dv_error *err)
{
    struct loop *loop = ctx;
    zactor_t *thread = NULL;
    int r = dv_host_thread_new(&loop->world, loop->endpoint, host->id, host->mailbox, &thread, err);
    if (r == 0)
        host->thread = thread;
    return r;
}

static void end_host(void *ctx, struct dv_bus_host *host)
{
    (void)ctx;
    zactor_t *thread = host->thread;
    dv_host_thread_free(&thread);
    host->thread = NULL;
}

static bool open_router(struct loop *loop)
{
    loop->router = zsock_new(ZMQ_ROUTER);
    if (!loop->router)
        return false;
    zsock_set_router_mandatory(loop->router, 1);
    zsock_set_sndhwm(loop->router, 1);
    zsock_set_rcvhwm(loop->router, RECEIVE_MARK);
    zsock_set_linger(loop->router, 0);
    return zsock_bind(loop->router, "%s", loop->endpoint) >= 0;
}

static bool pipe_goes_on(struct loop *loop)
{
    if (!dv_socket_has_input(loop->pipe))
        return true;
    char *command = zstr_recv(loop->pipe);
    bool is_end = command && streq(command, "$TERM");
    zstr_free(&command);
    return !is_end;
}

static void run_batch(struct loop *loop)
{
    for (int i = 0; i < BATCH; i++) {
        struct dv_parcel parcel;
        enum dv_received received = dv_socket_receive(loop->router, true, &parcel);
        if (received == DV_RECEIVED_NOTHING)
            return;
        if (received == DV_RECEIVED_MALFORMED)
            loop->bus.counts.malformed++;
        else
            dv_bus_handle(&loop->bus, &parcel);
    }
}

static void wait_for_work(struct loop *loop)
{
    if (dv_socket_has_input(loop->router) || dv_socket_has_input(loop->pipe))
        return;
    struct pollfd fds[] = {
        {.fd = zsock_fd(loop->router), .events = POLLIN},
        {.fd = zsock_fd(loop->pipe), .events = POLLIN},
    };
    int64_t now_ns = dv_clock_monotonic_ns(loop->world.clock);
    int timeout_ms = dv_socket_timeout_ms(now_ns, dv_bus_next_ns(&loop->bus));
    if (loop->bus.blocked && (timeout_ms < 0 || timeout_ms > loop->retry_ms))
        timeout_ms = loop->retry_ms;
    (void)poll(fds, 2, timeout_ms);
}

static void run(struct loop *loop)
{
    while (pipe_goes_on(loop)) {
        run_batch(loop);
        dv_bus_expire(&loop->bus);
        if (dv_bus_retry(&loop->bus) || !loop->bus.blocked)
            loop->retry_ms = RETRY_FIRST_MS;
        else if (loop->retry_ms < RETRY_LAST_MS)
            loop->retry_ms *= 2;
        wait_for_work(loop);
    }
}

static void thread_main(zsock_t *pipe, void *args)
{
    struct start *start = args;
    struct loop loop = {.world = *start->world, .pipe = pipe, .retry_ms = RETRY_FIRST_MS};
    snprintf(loop.endpoint, sizeof(loop.endpoint), "%s", start->endpoint);
    struct dv_bus_port port = {deliver, start_host, end_host, &loop};
    dv_bus_init(&loop.bus, loop.world.types, loop.world.clock, start->shared_hosts_max, &port);
    bool is_ready = open_router(&loop);
    atomic_store_explicit(&start->status, is_ready ? 0 : errno ? errno : EIO, memory_order_release);
    zsock_signal(pipe, 0);
    if (is_ready)
        run(&loop);
    dv_bus_done(&loop.bus);
    /* The name is free when this returns; closing alone frees it some time later. */
    if (loop.router)
        (void)zsock_unbind(loop.router, "%s", loop.endpoint);
    zsock_destroy(&loop.router);
}

int dv_bus_thread_new(const struct dv_host_world *world,
                      const char *endpoint,
                      unsigned shared_hosts_max,
                      zactor_t **ret,
                      struct dv_error *err)
{
    int r = dv_admission_check(err);
    if (r < 0)
        return r;
    struct start start = {world, endpoint, shared_hosts_max, 0};
    zactor_t *thread = zactor_new(thread_main, &start);
    if (!thread)
        return dv_error_set(err, DV_ERR_LIMIT, "start the bus: no actor");
    int status = atomic_load_explicit(&start.status, memory_order_acquire);
    if (status) {
        zactor_destroy(&thread);
        return dv_error_sys(err, DV_ERR_LIMIT, status, "bind the bus to %s", endpoint);
    }
    *ret = thread;
    return 0;
}

void dv_bus_thread_free(zactor_t **thread)
{
    zactor_destroy(thread);
}
