/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `downloader`: the only caller of libcurl. Transfers run side by side on one thread; bodies go to
 * memory or to a file, sizes and digests are checked while they come. A transfer that breaks is
 * resumed by range a few times. Redirects are followed without credentials and never from https to
 * http.
 *
 * Takes download_cmd (answered with download_result for every HTTP status), artifact_cmd (answered
 * with artifact_result, or why there is none) and download_cancel, which ends either.
 */
#include "actors/kit/cell.h"

#define DV_DOWNLOADS_MAX 512 /* transfers at a time, one more is BUSY */

extern const struct dv_cell_type dv_downloader_cell;
