/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/nft.h"

#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 300

struct dv_nft {
    struct nft_ctx *ctx;
};

int dv_nft_new(struct dv_nft **ret, struct dv_error *err)
{
    struct dv_nft *nft = calloc(1, sizeof(*nft));
    if (nft)
        nft->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft || !nft->ctx) {
        free(nft);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot open nftables");
    }
    nft_ctx_buffer_output(nft->ctx);
    nft_ctx_buffer_error(nft->ctx);
    *ret = nft;
    return 0;
}

void dv_nft_free(struct dv_nft *nft)
{
    if (!nft)
        return;
    nft_ctx_free(nft->ctx);
    free(nft);
}

/* The first line of what it says: where, and what it did not like. */
static int reason(const char *said, struct dv_error *err)
{
    static const char mark[] = "Error: ";
    const char *at = said ? strstr(said, mark) : NULL;
    at = at ? at + sizeof(mark) - 1 : said;
    size_t len = at ? strcspn(at, "\n") : 0;
    if (len > REASON_MAX)
        len = REASON_MAX;
    bool is_denied = at && strstr(at, "Operation not permitted");
    bool is_missing = at && (strstr(at, "Protocol not supported") ||
                             strstr(at, "Operation not supported") || strstr(at, "cache initial"));
    enum dv_error_class class = is_denied    ? DV_ERR_DENIED
                                : is_missing ? DV_ERR_UNSUPPORTED
                                             : DV_ERR_FAILED;
    return dv_error_set(err, class, "nftables: %.*s%s", len ? (int)len : 9, len ? at : "no reason",
                        is_denied    ? "; davitd needs CAP_NET_ADMIN"
                        : is_missing ? "; the kernel needs nf_tables with nat"
                                     : "");
}

/* Both buffers are asked for after each run: that empties them. */
static int run(struct dv_nft *nft, const char *text, const char **ret_output, struct dv_error *err)
{
    int r = nft_run_cmd_from_buffer(nft->ctx, text);
    const char *said = nft_ctx_get_error_buffer(nft->ctx);
    *ret_output = nft_ctx_get_output_buffer(nft->ctx);
    return r == 0 ? 0 : reason(said, err);
}

int dv_nft_run(struct dv_nft *nft, const char *text, struct dv_error *err)
{
    const char *output;
    return run(nft, text, &output, err);
}

int dv_nft_list(struct dv_nft *nft, const char *text, struct dv_buf *out, struct dv_error *err)
{
    const char *output = NULL;
    int r = run(nft, text, &output, err);
    return r < 0 || !output ? r : dv_buf_append_str(out, output, err);
}
