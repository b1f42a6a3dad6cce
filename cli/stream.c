/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stream.h"

#include "base/clock.h"
#include "monitor/protocol.h"

#include "json/json.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define ARENA_MAX    (1U << 20)
#define AGAIN_MS     200
#define AGAIN_NS     30000000000LL /* so long davit-monitor may be away */
#define ANSWER_MS    10000
#define CHUNK_BYTES  4096
#define PENDING_MAX  (DV_MONITOR_DATA_BYTES + 1024U)
#define SIGNALS_READ 4

#define GOES_ON (-1) /* no exit code yet */

/* The terminal as it was; it is one for the whole process. */
static struct termios old_settings;

/* -- this terminal -------------------------------------------------------------------------- */

static void make_raw(struct cli_stream *stream)
{
    struct termios settings;
    if (stream->is_raw || tcgetattr(STDIN_FILENO, &old_settings) < 0)
        return;
    settings = old_settings;
    cfmakeraw(&settings);
    stream->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0;
}

static void restore(struct cli_stream *stream)
{
    if (stream->is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &old_settings);
    stream->is_raw = false;
}

static void note(const struct cli_stream *stream, const char *text)
{
    fprintf(stderr, "davit: %s%s", text, stream->is_raw ? "\r\n" : "\n");
}

static bool write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len) {
        ssize_t written = write(fd, bytes, len);
        if (written < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            (void)poll(&room, 1, -1);
        } else if (written < 0 && errno != EINTR) {
            return false;
        } else if (written > 0) {
            bytes += written;
            len -= (size_t)written;
        }
    }
    return true;
}

/* -- to the other side ---------------------------------------------------------------------- */

/* What the socket does not take is sent before anything else is read from the user. */
static void flush(struct cli_stream *stream)
{
    if (!stream->pending.len)
        return;
    ssize_t sent =
        send(stream->fd, stream->pending.data, stream->pending.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || (errno != EAGAIN && errno != EINTR))
        dv_buf_clear(&stream->pending); /* a broken connection shows when it is read */
}

static void send_input(struct cli_stream *stream, const char *bytes, size_t len, bool is_end)
{
    const struct dv_monitor_input input = {.data = {(uint8_t *)bytes, len}, .is_end = is_end};
    if (dv_monitor_encode(&dv_schema_monitor_input, &input, &stream->pending, NULL) == 0)
        flush(stream);
}

/* False where there is no terminal. */
static bool get_size(struct winsize *ret)
{
    return (ioctl(STDIN_FILENO, TIOCGWINSZ, ret) == 0 ||
            ioctl(STDOUT_FILENO, TIOCGWINSZ, ret) == 0) &&
           ret->ws_row && ret->ws_col;
}

static void send_size(const struct cli_stream *stream)
{
    struct winsize size;
    if (!stream->is_attached || !stream->is_tty || !get_size(&size))
        return;
    const struct dv_monitor_resize resize = {.rows = size.ws_row, .columns = size.ws_col};
    (void)!dv_monitor_send(stream->fd, &dv_schema_monitor_resize, &resize, NULL);
}

/* True when the user detached. */
static bool take_typed(struct cli_stream *stream)
{
    char typed[CHUNK_BYTES];
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(sizeof(typed) + CLI_KEYS_MAX);
    ssize_t got = read(STDIN_FILENO, typed, sizeof(typed));
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (got <= 0) {
        stream->is_input_ended = true;
        send_input(stream, NULL, 0, true);
        return false;
    }
    if (!stream->is_raw) {
        send_input(stream, typed, (size_t)got, false);
        return false;
    }
    bool is_over = cli_keys_filter(&stream->keys, typed, (size_t)got, &out);
    if (out.len && !is_over)
        send_input(stream, out.data, out.len, false);
    return is_over;
}

/* -- from the other side -------------------------------------------------------------------- */

static void begin(struct cli_stream *stream, const struct dv_monitor_attached *what)
{
    stream->is_attached = true;
    stream->is_tty = what->is_tty;
    stream->takes_input = what->takes_input;
    if (stream->is_again)
        note(stream, "attached again; davit logs has what was written meanwhile");
    stream->is_again = true;
    if (stream->uses_input && stream->is_tty && stream->takes_input)
        make_raw(stream);
    send_size(stream);
}

/* A runtime's reason is the text of the last line of its log. */
static void reason_of(const char *text, struct dv_error *err)
{
    struct dv_str rest = dv_str_of(text);
    DV_AUTO(dv_json) last = NULL;
    while (rest.len) {
        struct dv_str line;
        DV_AUTO(dv_json) object = NULL;
        dv_str_cut(rest, '\n', &line, &rest);
        if (line.len && line.data[0] == '{' &&
            dv_json_parse(line.data, line.len, &object, NULL) == 0 &&
            dv_json_text(dv_json_get(object, "msg"))) {
            dv_json_free(last);
            last = dv_steal(&object);
        }
    }
    const char *message = dv_json_text(dv_json_get(last, "msg"));
    dv_error_set(err, DV_ERR_FAILED, "%s", message ? message : text);
}

static bool has_ended(const struct dv_container_summary *container)
{
    return container->status != DV_STATUS_RUNNING && container->status != DV_STATUS_PAUSED &&
           container->status != DV_STATUS_CREATED;
}

/* Nobody told the code, because davit-monitor was away at the end: davitd finds out. */
static int ask_code(struct cli *cli, const struct cli_stream *stream)
{
    int64_t until = dv_clock_monotonic_ns(dv_clock_real()) + AGAIN_NS;
    while (dv_clock_monotonic_ns(dv_clock_real()) < until) {
        DV_AUTO(dv_arena) arena = dv_arena_new(64U * ARENA_MAX);
        struct dv_error err = DV_ERROR_INIT;
        const struct dv_container_summary *container;
        int r = arena ? cli_find(cli, stream->id, arena, &container, &err) : -DV_ERR_NO_MEMORY;
        if (r == 0 && has_ended(container))
            return (int)container->exit_code;
        if (r == -DV_ERR_NOT_FOUND)
            break;
        if (r < 0)
            cli_close(cli);
        (void)poll(NULL, 0, AGAIN_MS);
    }
    fputs("davit: it has ended; its exit code is not known\n", stderr);
    return CLI_FAILED;
}

static int
take_failure(struct cli *cli, struct cli_stream *stream, const struct dv_failure *failure)
{
    struct dv_error err = DV_ERROR_INIT;
    restore(stream);
    if (stream->is_again && !stream->exec && failure->class == DV_ERR_STATE)
        return ask_code(cli, stream);
    reason_of(failure->text ? failure->text : "refused", &err);
    (void)cli_fail(&err);
    return stream->exec && failure->class != DV_ERR_STATE ? CLI_NOT_STARTED : CLI_FAILED;
}

static int take_output(struct cli_stream *stream, const struct dv_monitor_output *output)
{
    int fd = output->is_error ? STDERR_FILENO : STDOUT_FILENO;
    if (write_all(fd, output->data.data, output->data.len))
        return GOES_ON;
    restore(stream);
    return CLI_FAILED; /* nobody reads on */
}

/* GOES_ON, or the exit code. *ret_is_broken: the connection is, nothing else. */
static int take_frame(struct cli *cli, struct cli_stream *stream, bool *ret_is_broken)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    uint16_t kind;
    void *body;
    int r = arena ? dv_monitor_receive(stream->fd, arena, &kind, &body, NULL) : -DV_ERR_NO_MEMORY;
    *ret_is_broken = r < 0;
    if (r <= 0)
        return GOES_ON;
    switch (kind) {
    case DV_KIND_monitor_attached:
        begin(stream, body);
        return GOES_ON;
    case DV_KIND_monitor_output:
        return take_output(stream, body);
    case DV_KIND_monitor_ended: {
        const struct dv_monitor_ended *ended = body;
        restore(stream);
        return ended->is_code_known ? (int)ended->exit_code : ask_code(cli, stream);
    }
    case DV_KIND_failure:
        return take_failure(cli, stream, body);
    default:
        return GOES_ON; /* welcome, done, and what a later monitor may have to say */
    }
}

/* -- connecting ----------------------------------------------------------------------------- */

static int ask(struct cli *cli, struct cli_stream *stream, struct dv_error *err)
{
    struct winsize size;
    struct dv_local_attach attach = {.id = (char *)CLI_STREAM_ID,
                                     .container = (char *)stream->id,
                                     .waits = stream->waits && !stream->is_again};
    struct dv_local_exec exec = stream->exec ? *stream->exec : (struct dv_local_exec){.id = NULL};
    if (get_size(&size)) {
        attach.rows = size.ws_row;
        attach.columns = size.ws_col;
        exec.rows = size.ws_row;
        exec.columns = size.ws_col;
    }
    int r = stream->exec ? cli_ask_stream(cli, &dv_schema_local_exec, &exec, &stream->fd, err)
                         : cli_ask_stream(cli, &dv_schema_local_attach, &attach, &stream->fd, err);
    if (r == 0)
        (void)fcntl(stream->fd, F_SETFL, O_NONBLOCK);
    return r;
}

/* Until davit-monitor says that it waits for the container, which would start too early else. */
static int wait_until_it_waits(struct cli_stream *stream, struct dv_error *err)
{
    for (;;) {
        DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
        struct pollfd ready = {.fd = stream->fd, .events = POLLIN};
        uint16_t kind = 0;
        void *body;
        if (!arena || poll(&ready, 1, ANSWER_MS) <= 0)
            return dv_error_set(err, DV_ERR_TIMED_OUT, "davit-monitor does not answer");
        int r = dv_monitor_receive(stream->fd, arena, &kind, &body, err);
        if (r < 0)
            return r;
        if (r > 0 && kind == DV_KIND_failure)
            return dv_error_set(err, DV_ERR_FAILED, "%s", ((const struct dv_failure *)body)->text);
        if (r > 0 && kind == DV_KIND_monitor_attached)
            begin(stream, body);
        if (r > 0 && kind != DV_KIND_monitor_welcome)
            return 0;
    }
}

int cli_stream_open(struct cli *cli, struct cli_stream *stream, struct dv_error *err)
{
    stream->pending = DV_BUF_INIT(PENDING_MAX);
    int r = ask(cli, stream, err);
    if (r < 0) {
        stream->fd = -1;
        return r;
    }
    return stream->waits ? wait_until_it_waits(stream, err) : 0;
}

void cli_stream_close(struct cli_stream *stream)
{
    restore(stream);
    dv_close(&stream->fd);
    dv_buf_done(&stream->pending);
}

/* davit-monitor has gone: the streams are asked for again, until it is back. */
static int ask_again(struct cli *cli, struct cli_stream *stream)
{
    int64_t until = dv_clock_monotonic_ns(dv_clock_real()) + AGAIN_NS;
    struct dv_error err = DV_ERROR_INIT;
    dv_close(&stream->fd);
    dv_buf_clear(&stream->pending);
    stream->is_attached = false;
    bool is_worth_it = !stream->exec && (stream->is_again || stream->waits);
    while (is_worth_it && dv_clock_monotonic_ns(dv_clock_real()) < until) {
        err = DV_ERROR_INIT;
        int r = ask(cli, stream, &err);
        if (r == 0)
            return GOES_ON;
        stream->fd = -1;
        cli_close(cli);
        (void)poll(NULL, 0, AGAIN_MS);
    }
    restore(stream);
    if (!is_worth_it)
        dv_error_set(&err, DV_ERR_FAILED,
                     stream->is_again ? "the connection to davit-monitor broke"
                                      : "davit-monitor does not talk to this command; if it is "
                                        "older, restart it: containers go on running");
    return cli_fail(&err);
}

/* -- the loop ------------------------------------------------------------------------------- */

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* GOES_ON, or the exit code of a process that ends by a signal. */
static int take_signals(const struct cli_stream *stream, int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGWINCH)
            return 128 + (int)info.ssi_signo;
        send_size(stream);
    }
    return GOES_ON;
}

static int serve(struct cli *cli, struct cli_stream *stream, int signals)
{
    bool reads = stream->is_attached && stream->uses_input && stream->takes_input &&
                 !stream->is_input_ended && !stream->pending.len;
    bool is_broken = false;
    struct pollfd wait[] = {
        {.fd = stream->fd, .events = (short)(POLLIN | (stream->pending.len ? POLLOUT : 0))},
        {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = signals, .events = POLLIN},
    };
    if (poll(wait, 3, -1) < 0)
        return GOES_ON;
    int code = wait[2].revents ? take_signals(stream, signals) : GOES_ON;
    if (code == GOES_ON && (wait[0].revents & POLLOUT))
        flush(stream);
    if (code == GOES_ON && (wait[0].revents & (POLLIN | POLLHUP | POLLERR)))
        code = take_frame(cli, stream, &is_broken);
    if (code == GOES_ON && is_broken)
        return ask_again(cli, stream);
    if (code == GOES_ON && wait[1].revents && take_typed(stream)) {
        restore(stream);
        note(stream, "detached");
        return CLI_DONE;
    }
    return code;
}

int cli_stream_run(struct cli *cli, struct cli_stream *stream)
{
    int signals = open_signals();
    int code = GOES_ON;
    /* Who reads the output may go; the terminal must be given back then, too. */
    (void)signal(SIGPIPE, SIG_IGN);
    while (code == GOES_ON)
        code = serve(cli, stream, signals);
    cli_stream_close(stream);
    dv_close(&signals);
    return code;
}
