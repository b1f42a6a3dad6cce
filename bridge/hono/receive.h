/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What happens to a message the moment it arrives, on paho's thread: it is judged, made durable if
 * it is a command or must be answered, and put into the inbox. When this returns, the message is
 * acknowledged to the broker; a command that found no place or could not be made durable is then
 * owed an answer, which is put into the inbox instead.
 *
 * Blocks for one durable append. Never fails and never asks for the message again: the broker would
 * send nothing else until then.
 */
#include "base/str.h"
#include "bridge/bridge.h"
#include "bridge/hono/inbox.h"

void dv_hono_receive(struct dv_hono_inbox *inbox,
                     struct dv_bridge_sink *sink,
                     struct dv_str topic,
                     struct dv_str payload);
