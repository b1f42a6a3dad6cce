/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Images without a disk (runtime/image_files.h): every reference is there, complete, with one
 * layer; `failures` makes the next lookups fail. Objects for several workers share one store. One
 * thread, or nothing but a `failures` of 0.
 */
#include "base/error.h"
#include "runtime/image_files.h"

struct fake_images {
    unsigned failures; /* so many lookups fail */
};

__attribute__((warn_unused_result)) int
fake_images_open(struct fake_images *images, struct dv_image_files **ret, struct dv_error *err);
