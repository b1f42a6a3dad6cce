/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of a host. The pipe of the czmq actor carries nothing but the end; everything else comes
 * through the mailbox. One poll(2) waits for the mailbox, the pipe and the watched descriptors
 * until the earliest timer, so an idle host never wakes up.
 */
#include "actors/kit/host_thread.h"

#include "actors/kit/admission.h"
#include "actors/kit/memory.h"
#include "actors/kit/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>

/* Messages and timers before the other sources of work get their turn. */
#define BATCH 32

#define THREAD_NAME_MAX 16 /* of the kernel, with the NUL */

/* Alive until the ready signal; the status is the only thing that goes back. */
struct start {
    const struct dv_host_world *world;
    const char *endpoint;
    uint32_t id;
    int receive_mark;
    atomic_int status; /* 0 or an errno, released before the signal */
};

struct loop {
    struct dv_host host;
    zsock_t *pipe;
    zsock_t *mailbox;
    struct pollfd *fds;
    size_t fds_capacity;
    struct dv_cell **fd_cells;
    bool is_named;
};

#define FIXED_FDS 2

static void send_to_bus(void *ctx, struct dv_parcel *parcel)
{
    struct loop *loop = ctx;
    if (dv_socket_send(loop->mailbox, NULL, parcel) < 0)
        dv_log(DV_LOG_ERROR, "kit: the bus is gone, message dropped");
}

static void discard(void *ctx, struct dv_parcel *parcel)
{
    (void)ctx;
    dv_parcel_done(parcel);
}

static uint64_t random_bits(void *ctx)
{
    (void)ctx;
    uint64_t bits = 0;
    while (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits)) {
        if (errno != EINTR)
            dv_need(NULL);
    }
    return bits;
}

static void reserve_fds(struct loop *loop)
{
    size_t need = FIXED_FDS + loop->host.watches.count;
    if (need <= loop->fds_capacity)
        return;
    loop->fds = dv_need(reallocarray(loop->fds, need, sizeof(*loop->fds)));
    loop->fd_cells = dv_need(reallocarray(loop->fd_cells, need, sizeof(struct dv_cell *)));
    loop->fds_capacity = need;
}

/* Waits and tells the cells whose descriptors are ready. Functions that run meanwhile may change
 * the watches, so the set is a copy and each row is looked up again. */
static void wait_for_work(struct loop *loop, bool is_busy)
{
    struct dv_host *host = &loop->host;
    reserve_fds(loop);
    size_t count = FIXED_FDS + host->watches.count;
    loop->fds[0] = (struct pollfd){.fd = zsock_fd(loop->mailbox), .events = POLLIN};
    loop->fds[1] = (struct pollfd){.fd = zsock_fd(loop->pipe), .events = POLLIN};
    dv_watches_poll_set(&host->watches, loop->fds + FIXED_FDS);
    for (size_t i = FIXED_FDS; i < count; i++)
        loop->fd_cells[i] = host->watches.rows[i - FIXED_FDS].cell;
    int timeout_ms = 0;
    if (!is_busy && !dv_socket_has_input(loop->mailbox) && !dv_socket_has_input(loop->pipe))
        timeout_ms = dv_socket_timeout_ms(dv_clock_monotonic_ns(host->world.clock),
                                          dv_timers_next_ns(&host->timers));
    else if (count == FIXED_FDS)
        return;
    if (poll(loop->fds, count, timeout_ms) <= 0)
        return;
    for (size_t i = FIXED_FDS; i < count; i++)
        if (loop->fds[i].revents)
            dv_host_ready(host, loop->fd_cells[i], loop->fds[i].fd, loop->fds[i].revents);
}

/* False when the end was asked for. */
static bool pipe_goes_on(struct loop *loop)
{
    if (!dv_socket_has_input(loop->pipe))
        return true;
    char *command = zstr_recv(loop->pipe);
    bool is_end = command && streq(command, "$TERM");
    zstr_free(&command);
    return !is_end;
}

/* The thread is called like its first cell, as far as the kernel keeps names: for top -H, stacks
 * and /proc. */
static void name_thread(struct loop *loop)
{
    char name[THREAD_NAME_MAX];
    if (loop->is_named || !loop->host.cells)
        return;
    snprintf(name, sizeof(name), "%s", loop->host.cells->address);
    (void)prctl(PR_SET_NAME, name);
    loop->is_named = true;
}

static bool run_batch(struct loop *loop)
{
    for (int i = 0; i < BATCH; i++) {
        struct dv_parcel parcel;
        enum dv_received received = dv_socket_receive(loop->mailbox, false, &parcel);
        if (received == DV_RECEIVED_NOTHING)
            return false;
        if (received == DV_RECEIVED_MALFORMED) {
            loop->host.malformed++;
            continue;
        }
        dv_host_deliver(&loop->host, &parcel);
        dv_parcel_done(&parcel);
        name_thread(loop);
    }
    return true;
}

static void run(struct loop *loop)
{
    while (pipe_goes_on(loop)) {
        bool is_busy = run_batch(loop);
        int timers = 0;
        while (timers < BATCH && dv_host_run_timer(&loop->host))
            timers++;
        wait_for_work(loop, is_busy || timers == BATCH);
    }
}

static void thread_main(zsock_t *pipe, void *args)
{
    struct start *start = args;
    struct loop loop = {.pipe = pipe};
    struct dv_host_port port = {send_to_bus, random_bits, &loop};
    dv_host_init(&loop.host, start->id, start->world, &port);
    loop.mailbox = dv_socket_mailbox(start->endpoint, start->id, start->receive_mark);
    bool is_ready = loop.mailbox != NULL;
    atomic_store_explicit(&start->status, is_ready ? 0 : errno ? errno : EIO, memory_order_release);
    zsock_signal(pipe, 0);
    if (is_ready)
        run(&loop);
    /* The bus waits for this thread now and reads nothing more. */
    loop.host.port.send = discard;
    dv_host_done(&loop.host);
    zsock_destroy(&loop.mailbox);
    free(loop.fds);
    free(loop.fd_cells);
}

int dv_host_thread_new(const struct dv_host_world *world,
                       const char *endpoint,
                       uint32_t id,
                       int receive_mark,
                       zactor_t **ret,
                       struct dv_error *err)
{
    int r = dv_admission_check(err);
    if (r < 0)
        return r;
    struct start start = {world, endpoint, id, receive_mark, 0};
    zactor_t *thread = zactor_new(thread_main, &start);
    if (!thread)
        return dv_error_set(err, DV_ERR_LIMIT, "start host %u: no actor", id);
    int status = atomic_load_explicit(&start.status, memory_order_acquire);
    if (status) {
        zactor_destroy(&thread);
        return dv_error_sys(err, DV_ERR_LIMIT, status, "connect host %u to %s", id, endpoint);
    }
    *ret = thread;
    return 0;
}

void dv_host_thread_free(zactor_t **thread)
{
    zactor_destroy(thread);
}
