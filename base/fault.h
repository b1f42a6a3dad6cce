/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Fault points (base/fault.def): DV_FAULT(NAME) does nothing, unless the program was built with
 * them (preset dev, asan) and the environment says DAVIT_FAULT=name:kill or name:stop. Then the
 * first that reaches the point kills or stops the whole process, as a crash or a debugger would.
 * Any thread. Never in a release.
 */
enum dv_fault {
#define FAULT(id, name, text) DV_FAULT_##id,
#include "base/fault.def"
#undef FAULT
};

#ifdef DAVIT_FAULT_POINTS
void dv_fault_reach(enum dv_fault point);
#define DV_FAULT(id) dv_fault_reach(DV_FAULT_##id)
#else
#define DV_FAULT(id) ((void)0)
#endif
