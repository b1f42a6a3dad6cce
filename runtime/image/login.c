/* SPDX-License-Identifier: Apache-2.0 */
/* How a pull gets and keeps its login. */
#include "runtime/image/pull.h"
#include "runtime/image/refusal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LOGIN_TRIES_MAX 2 /* per request: log in, and once more when that has expired */

int dv_pull_fill_token(struct dv_pull *pull, struct task *task, struct dv_error *err)
{
    struct dv_download_cmd *cmd = &task->body.download;
    struct dv_error cause = DV_ERROR_INIT;
    char scope[DV_REFERENCE_REPOSITORY_MAX + 32];
    (void)snprintf(scope, sizeof(scope), "repository:%s:pull", pull->reference.repository);
    if (dv_token_url(&pull->challenge, scope, pull->arena, &cmd->url, &cause) < 0)
        return dv_pull_die_for_good(pull, &cause, err);
    bool realm_is_https = false;
    struct dv_str realm_host;
    (void)dv_url_origin(pull->challenge.realm, &realm_is_https, &realm_host);
    const char *own = pull->host;
    char *host = dv_arena_strndup(pull->arena, realm_host.data, realm_host.len);
    if (!host)
        return dv_pull_no_memory(pull, err);
    bool is_own = strcasecmp(host, own) == 0;
    cmd->is_unverified =
        (is_own && pull->is_insecure) || dv_registry_is_insecure(pull->settings, host);
    const struct dv_registry *registry = pull->registry;
    if (registry && !cmd->is_unverified) {
        cmd->root_ca = (char *)(uintptr_t)registry->root_ca;
        cmd->client_cert = is_own ? (char *)(uintptr_t)registry->client_cert : NULL;
        cmd->client_key = is_own ? (char *)(uintptr_t)registry->client_key : NULL;
    }
    cmd->max_bytes = DV_TOKEN_ANSWER_MAX;
    if (!pull->user)
        return 0;
    /* An insecure registry spoken to by https proves nothing about itself, so it names no other
     * host for its password. */
    pull->is_secret_withheld = !dv_auth_may_send(own, pull->is_https, pull->challenge.realm) ||
                               (pull->is_insecure && !is_own);
    if (pull->is_secret_withheld)
        return 0;
    cmd->secret_host = host;
    if (pull->identity) {
        char *form = NULL;
        cmd->url = pull->challenge.realm;
        if (dv_token_form(&pull->challenge, scope, pull->identity, pull->arena, &form, &cause) < 0)
            return dv_pull_die_for_good(pull, &cause, err);
        cmd->form = dv_pull_secret(form);
        return 0;
    }
    char *basic = dv_auth_basic(pull->arena, pull->user, pull->password);
    cmd->authorization = dv_pull_secret(basic);
    return basic ? 0 : dv_pull_no_memory(pull, err);
}

static void use_login(struct dv_pull *pull, char *authorization, bool is_basic)
{
    pull->authorization = authorization;
    pull->is_basic = is_basic;
    pull->login++;
    for (size_t i = 0; i < pull->task_count; i++)
        pull->tasks[i].waits_for_token = false;
}

int dv_pull_deny(struct dv_pull *pull,
                 const struct task *task,
                 const struct dv_download_result *answer,
                 struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    char object[DV_PULL_OBJECT_SIZE];
    (void)dv_registry_refusal(answer, dv_pull_object(pull, task, object), &cause);
    const char *user = pull->user;
    size_t used = strlen(cause.text);
    if (!user)
        (void)snprintf(cause.text + used, sizeof(cause.text) - used,
                       "; no credentials are configured for '%s'%s%s",
                       pull->is_mirror ? pull->host : pull->reference.host,
                       pull->login_note ? ", and " : "", pull->login_note ? pull->login_note : "");
    else if (pull->is_secret_withheld)
        (void)snprintf(cause.text + used, sizeof(cause.text) - used,
                       "; the password of '%.64s' was not sent to '%.128s', which is another host",
                       user, pull->challenge.realm);
    else
        (void)snprintf(cause.text + used, sizeof(cause.text) - used,
                       "; the credentials of '%.64s' do not do", user);
    return dv_pull_die(pull, &cause, err);
}

/* A 401 to a request for the registry itself. */
int dv_pull_login_wanted(struct dv_pull *pull,
                         struct task *task,
                         const struct dv_download_result *answer,
                         struct dv_error *err)
{
    if (task->login != pull->login)
        return 0; /* the login has changed since it was sent: again, with the new one */
    /* A layer may take longer than many logins are good for. */
    if (answer->bytes > task->seen_bytes) {
        task->seen_bytes = answer->bytes;
        task->login_tries = 0;
    }
    if (++task->login_tries > LOGIN_TRIES_MAX)
        return dv_pull_deny(pull, task, answer, err);
    struct task *token = &pull->tasks[TASK_TOKEN];
    if (token->stage == STAGE_GET) {
        task->waits_for_token = true;
        return 0;
    }
    struct dv_error cause = DV_ERROR_INIT;
    struct dv_challenge challenge;
    if (dv_challenge_parse(&answer->headers, pull->arena, &challenge, &cause) < 0)
        return dv_pull_die(pull, &cause, err);
    if (!challenge.is_bearer) {
        if (pull->is_basic || !pull->user || pull->identity)
            return dv_pull_deny(pull, task, answer, err);
        char *basic = dv_auth_basic(pull->arena, pull->user, pull->password);
        if (!basic)
            return dv_pull_no_memory(pull, err);
        use_login(pull, basic, true);
        return 0;
    }
    bool realm_is_https = false;
    struct dv_str host;
    (void)dv_url_origin(challenge.realm, &realm_is_https, &host);
    if (pull->is_https && !pull->is_insecure && !realm_is_https) {
        (void)dv_error_set(&cause, DV_ERR_FAILED,
                           "it wants a token fetched by plain HTTP from '%.200s'; only https will "
                           "do",
                           challenge.realm);
        return dv_pull_die(pull, &cause, err);
    }
    pull->challenge = challenge;
    token->stage = STAGE_GET;
    task->waits_for_token = true;
    return 0;
}

int dv_pull_token_came(struct dv_pull *pull,
                       struct task *task,
                       const struct dv_download_result *answer,
                       struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    struct dv_token token;
    if (answer->status == 401 || answer->status == 403)
        return dv_pull_deny(pull, task, answer, err);
    if (answer->status != 200) {
        char object[DV_PULL_OBJECT_SIZE];
        (void)dv_registry_refusal(answer, dv_pull_object(pull, task, object), &cause);
        (void)dv_error_prefix(&cause, "token from '%.200s': ", pull->challenge.realm);
        return dv_pull_die(pull, &cause, err);
    }
    int r = dv_token_parse((const char *)answer->body.data, answer->body.len, pull->arena, &token,
                           &cause);
    if (r < 0)
        return dv_pull_die(pull, &cause, err);
    char *bearer = dv_auth_bearer(pull->arena, token.text);
    if (!bearer)
        return dv_pull_no_memory(pull, err);
    task->stage = STAGE_IDLE;
    use_login(pull, bearer, false);
    return 0;
}
