/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Small packets leave at once. With TCP's collecting of small writes (Nagle) each answer that
 * follows an acknowledgement waits for the broker's delayed TCP acknowledgement, 40 ms on Linux.
 * paho neither switches that off nor shows its socket, so all TCP sockets of the process are
 * switched; none of davit's is served better by waiting. Any thread; does not block.
 */

void dv_hono_nodelay(void);
