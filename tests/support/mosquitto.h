/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A private mosquitto for one test: own configuration, own loopback port, ended by its pid and, if
 * the test dies, by the kernel. Without the package a test is skipped or fails (needs.h).
 */
#include <stdbool.h>

struct dv_mosquitto;

/* `extra` are lines of its configuration, or NULL. */
struct dv_mosquitto *dv_mosquitto_start(const char *extra);
int dv_mosquitto_port(const struct dv_mosquitto *broker);
/* Ends the process, keeping port and configuration; starts it again. */
void dv_mosquitto_kill(struct dv_mosquitto *broker);
void dv_mosquitto_restart(struct dv_mosquitto *broker);
/* The process stops answering, and goes on. */
void dv_mosquitto_freeze(struct dv_mosquitto *broker, bool is_frozen);
void dv_mosquitto_end(struct dv_mosquitto *broker);
