/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system seen from outside: the address `outside` asks like any cell, with threads through a
 * mailbox of its own, in a simulation by running steps until the answer is there.
 */
#include "actors/kit/system.h"

#include "actors/kit/bus_thread.h"
#include "actors/kit/failure.h"
#include "actors/kit/memory.h"
#include "actors/kit/sim.h"
#include "actors/kit/socket.h"
#include "actors/kit/spawn.h"
#include "messages/catalog.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS        1000000
#define SPAWN_TIMEOUT_MS 60000
#define LIST_TIMEOUT_MS  10000
#define FREE_TIMEOUT_MS  30000

/* dv_sim_run_until() gives up on cells that keep each other busy without time passing. */
#define STEPS_MAX 50000000U
/* A port may move the clock, as a call that takes its time does. Where such calls keep coming there
 * is always something to do: time is over then, and the rest waits for the next run. */
#define OVERRUN_NS (3600LL * 1000000000LL)

struct dv_system {
    struct dv_host_world world;
    struct dv_packer packer;
    int64_t last_correlation;
    /* With threads. */
    zactor_t *bus;
    zsock_t *mailbox;
    /* In one thread. */
    struct dv_sim *sim;
};

static struct dv_system *new_system(const struct dv_system_options *options,
                                    const struct dv_clock *clock)
{
    struct dv_system *system = dv_need(calloc(1, sizeof(*system)));
    system->world = (struct dv_host_world){options->types, options->env, clock};
    system->last_correlation = (int64_t)DV_OUTSIDE_HOST << 32;
    dv_packer_init(&system->packer);
    return system;
}

static void free_parts(struct dv_system *system)
{
    zsock_destroy(&system->mailbox);
    if (system->bus)
        dv_bus_thread_free(&system->bus);
    if (system->sim)
        dv_sim_free(system->sim);
    dv_packer_done(&system->packer);
    free(system);
}

int dv_system_new(const struct dv_system_options *options,
                  struct dv_system **ret,
                  struct dv_error *err)
{
    const struct dv_clock *clock = options->clock ? options->clock : dv_clock_real();
    struct dv_system *system = new_system(options, clock);
    char endpoint[DV_ENDPOINT_MAX];
    snprintf(endpoint, sizeof(endpoint), "inproc://bus-%p", (void *)system);
    int r =
        dv_bus_thread_new(&system->world, endpoint, options->shared_hosts_max, &system->bus, err);
    if (r == 0) {
        system->mailbox = dv_socket_mailbox(endpoint, DV_OUTSIDE_HOST, DV_MAILBOX_SERVICES);
        if (!system->mailbox)
            r = dv_error_sys(err, DV_ERR_LIMIT, errno, "connect to %s", endpoint);
    }
    if (r < 0) {
        free_parts(system);
        return r;
    }
    *ret = system;
    return 0;
}

int dv_system_new_sim(const struct dv_system_options *options,
                      struct dv_clock_fake *clock,
                      uint64_t seed,
                      struct dv_system **ret,
                      struct dv_error *err)
{
    if (!clock)
        return dv_error_set(err, DV_ERR_INVALID, "a simulation needs a clock that can be turned");
    struct dv_system *system = new_system(options, &clock->clock);
    system->sim = dv_sim_new(&system->world, clock, options->shared_hosts_max, seed);
    *ret = system;
    return 0;
}

void dv_system_free(struct dv_system *system)
{
    if (!system)
        return;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_system_stop(system, NULL, FREE_TIMEOUT_MS, &err) < 0 && !system->sim) {
        /* Its thread would go on in freed memory. */
        dv_log(DV_LOG_ERROR, "kit: %s, ending the process", err.text);
        abort();
    }
    free_parts(system);
}

/* Asks from outside. */

static int64_t now_ns(const struct dv_system *system)
{
    return dv_clock_monotonic_ns(system->world.clock);
}

/* True when a message is there; false at the deadline. */
static bool receive(struct dv_system *system, int64_t deadline_ns, struct dv_parcel *ret)
{
    for (;;) {
        if (dv_socket_receive(system->mailbox, false, ret) == DV_RECEIVED_PARCEL)
            return true;
        if (dv_socket_has_input(system->mailbox))
            continue;
        int64_t now = now_ns(system);
        if (now >= deadline_ns)
            return false;
        struct pollfd fd = {.fd = zsock_fd(system->mailbox), .events = POLLIN};
        (void)poll(&fd, 1, dv_socket_timeout_ms(now, deadline_ns));
    }
}

static bool receive_sim(struct dv_system *system, int64_t deadline_ns, struct dv_parcel *ret)
{
    while (!dv_sim_receive(system->sim, ret)) {
        if (dv_sim_run_step(system->sim))
            continue;
        if (now_ns(system) >= deadline_ns)
            return false;
        int64_t wake_ns = dv_sim_wake_ns(system->sim);
        dv_sim_turn_to(system->sim, wake_ns < deadline_ns ? wake_ns : deadline_ns);
    }
    return true;
}

/* The answer with that correlation; older ones came too late for their asks. */
static int wait_answer(struct dv_system *system,
                       int64_t correlation,
                       int64_t deadline_ns,
                       struct dv_arena *arena,
                       uint16_t *ret_kind,
                       void **ret,
                       struct dv_error *err)
{
    for (;;) {
        DV_AUTO_IN_PLACE(dv_parcel) parcel;
        dv_parcel_init(&parcel);
        bool is_there = system->sim ? receive_sim(system, deadline_ns, &parcel)
                                    : receive(system, deadline_ns, &parcel);
        if (!is_there)
            return dv_error_set(err, DV_ERR_TIMED_OUT, "no answer in time");
        char to[DV_ADDRESS_MAX + 1];
        struct dv_envelope *envelope = NULL;
        int r = dv_parcel_open(&parcel, arena, to, &envelope, err);
        if (r < 0)
            return r;
        if (!envelope->is_answer || envelope->correlation != correlation)
            continue;
        const struct dv_schema *schema = dv_schema_of_kind((uint16_t)envelope->kind);
        if (!schema)
            return dv_error_set(err, DV_ERR_PROTOCOL, "answer of the unknown kind %lld",
                                (long long)envelope->kind);
        void *body = NULL;
        r = dv_parcel_body(&parcel, schema, arena, &body, err);
        if (r < 0)
            return r;
        if (schema->kind == DV_KIND_failure) {
            struct dv_error failure;
            dv_failure_to_error(body, &failure);
            if (err)
                *err = failure;
            return -(int)failure.class;
        }
        *ret_kind = schema->kind;
        *ret = body;
        return 0;
    }
}

int dv_system_ask(struct dv_system *system,
                  const char *to,
                  uint16_t kind,
                  const void *body,
                  int64_t timeout_ms,
                  struct dv_arena *arena,
                  uint16_t *ret_kind,
                  void **ret,
                  struct dv_error *err)
{
    const struct dv_schema *schema = dv_schema_of_kind(kind);
    if (!schema)
        return dv_error_set(err, DV_ERR_INVALID, "ask '%s': there is no kind %u", to,
                            (unsigned)kind);
    int64_t deadline_ns = now_ns(system) + timeout_ms * NS_PER_MS;
    struct dv_envelope envelope = {
        .from = (char *)DV_OUTSIDE_ADDRESS,
        .reply_to = (char *)DV_OUTSIDE_ADDRESS,
        .correlation = ++system->last_correlation,
        .deadline_ns = deadline_ns,
    };
    struct dv_parcel parcel;
    int r = dv_parcel_pack(&system->packer, to, &envelope, schema, body, &parcel, err);
    if (r < 0)
        return r;
    if (system->sim) {
        dv_sim_send(system->sim, &parcel);
    } else if (dv_socket_send(system->mailbox, NULL, &parcel) < 0) {
        return dv_error_set(err, DV_ERR_UNDELIVERABLE, "ask '%s': the bus is gone", to);
    }
    r = wait_answer(system, envelope.correlation, deadline_ns, arena, ret_kind, ret, err);
    if (r == -DV_ERR_TIMED_OUT && err)
        (void)dv_error_prefix(err, "ask '%s' %s: ", to, schema->name);
    return r;
}

/* Cells. */

static int ask_bus(struct dv_system *system,
                   uint16_t kind,
                   const void *body,
                   int64_t timeout_ms,
                   struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_need(dv_arena_new(DV_PARCEL_ARENA_MAX));
    uint16_t answer = 0;
    void *unused = NULL;
    return dv_system_ask(system, DV_BUS_ADDRESS, kind, body, timeout_ms, arena, &answer, &unused,
                         err);
}

int dv_system_spawn(struct dv_system *system,
                    const char *address,
                    const char *type,
                    const void *start,
                    struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) encoded = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    struct dv_cell_spawn_cmd cmd = {.address = (char *)address, .type = (char *)type};
    int r = dv_spawn_fill(system->world.types, start, &encoded, &cmd, err);
    if (r < 0)
        return r;
    return ask_bus(system, DV_KIND_cell_spawn_cmd, &cmd, SPAWN_TIMEOUT_MS, err);
}

static int64_t left_ms(const struct dv_system *system, int64_t deadline_ns)
{
    int64_t left = (deadline_ns - now_ns(system)) / NS_PER_MS;
    return left > 1 ? left : 1;
}

static int
stop_one(struct dv_system *system, const char *address, int64_t deadline_ns, struct dv_error *err)
{
    struct dv_error failure = DV_ERROR_INIT;
    struct dv_cell_stop_cmd cmd = {.address = (char *)address};
    int r = ask_bus(system, DV_KIND_cell_stop_cmd, &cmd, left_ms(system, deadline_ns), &failure);
    if (r == -DV_ERR_TIMED_OUT)
        return dv_error_set(err, DV_ERR_TIMED_OUT, "stop the system: '%s' did not end in time",
                            address);
    /* It may have ended by itself meanwhile. */
    if (r < 0 && r != -DV_ERR_NOT_FOUND && err)
        *err = failure;
    return r == -DV_ERR_NOT_FOUND ? 0 : r;
}

int dv_system_stop(struct dv_system *system,
                   const char *const *first,
                   int64_t timeout_ms,
                   struct dv_error *err)
{
    int64_t deadline_ns = now_ns(system) + timeout_ms * NS_PER_MS;
    for (; first && *first; first++) {
        int r = stop_one(system, *first, deadline_ns, err);
        if (r < 0)
            return r;
    }
    /* A cell may have started another one while the list was worked off. */
    for (;;) {
        DV_AUTO(dv_arena) arena = dv_need(dv_arena_new(DV_PARCEL_ARENA_MAX));
        uint16_t kind = 0;
        void *body = NULL;
        int r = dv_system_ask(system, DV_BUS_ADDRESS, DV_KIND_cells_query, NULL, LIST_TIMEOUT_MS,
                              arena, &kind, &body, err);
        if (r < 0)
            return r;
        const struct dv_cells *cells = body;
        if (cells->addresses.count == 0)
            return 0;
        for (size_t i = 0; i < cells->addresses.count; i++) {
            r = stop_one(system, cells->addresses.items[i], deadline_ns, err);
            if (r < 0)
                return r;
        }
    }
}

/* Simulation. */

bool dv_sim_step(struct dv_system *system)
{
    return dv_sim_run_step(system->sim);
}

int64_t dv_sim_next_timer_ns(const struct dv_system *system)
{
    return dv_sim_wake_ns(system->sim);
}

size_t dv_sim_run_until(struct dv_system *system, int64_t monotonic_ns)
{
    size_t steps = 0;
    while (steps < STEPS_MAX) {
        if (dv_clock_monotonic_ns(system->world.clock) - OVERRUN_NS > monotonic_ns)
            return steps;
        if (dv_sim_run_step(system->sim)) {
            steps++;
            continue;
        }
        int64_t wake_ns = dv_sim_wake_ns(system->sim);
        if (wake_ns > monotonic_ns) {
            dv_sim_turn_to(system->sim, monotonic_ns);
            return steps;
        }
        dv_sim_turn_to(system->sim, wake_ns);
    }
    dv_log(DV_LOG_ERROR, "sim: %zu steps and no end, giving up", steps);
    return steps;
}

void dv_sim_crash(struct dv_system *system)
{
    free_parts(system);
}

void dv_sim_delay(struct dv_system *system, const char *address, int64_t monotonic_ns)
{
    dv_sim_hold_back(system->sim, address, monotonic_ns);
}
