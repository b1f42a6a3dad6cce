/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One connection: bytes in, lines out of them, bytes out. Private to bridge/local; one thread,
 * nothing blocks.
 */
#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct client {
    struct client *next;
    uint64_t number;
    int fd;
    struct dv_buf in;
    struct dv_buf out;
    size_t line_end; /* of the line that client_line() lent, 0: none */
    int passed;      /* a descriptor on its way, -1: none */
    size_t pass_at;  /* it goes with this byte of `out` */
    unsigned open;   /* commands whose answers are due */
    bool has_input;  /* `in` may have another line */
    bool wants_twin;
    bool wants_trace;
    bool is_closing; /* sends no more, and is to be dropped when it has got all it may wait for */
    bool is_dead;    /* to be dropped now */
};

struct client *client_new(uint64_t number, int fd); /* takes fd; NULL when memory is short */
void client_free(struct client *client);

/* Reads what is there; marks the client closing at the end of its input. */
void client_read(struct client *client);
/* True with the next complete line, borrowed until the next call. False with *ret_is_too_long when
 * the next line is one that nobody may send; what follows is not worth reading then. */
bool client_line(struct client *client, struct dv_str *ret_line, bool *ret_is_too_long);
/* Appends a line with its line feed and sends what the socket takes. */
void client_send(struct client *client, const char *line, size_t len);
/* The next line that is sent has this descriptor with it, which becomes the client's. Only when
 * none is on its way. */
void client_pass(struct client *client, int fd);
void client_flush(struct client *client);
/* Ends the connection; its descriptor becomes readable, so that the owner of the client wakes up
 * and frees it. */
void client_end(struct client *client);
/* Ends the connection of a client that neither sends nor waits for anything any more. */
void client_settle(struct client *client);
