/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the kinds of actions, what they share, and the tools of all calls. */
#include "driver/action/action.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

static const struct action *const actions[] = {
#define X(constant, name) [constant] = &action_##name,
    ACTION_TABLE(X)
#undef X
};

const struct action *action_of(const struct action_conf *conf)
{
    return actions[conf->kind];
}

/* ---- words ---- */

const char *action_called_name(const struct action_conf *conf, size_t number)
{
    const struct service_conf *service = action_service(conf, number);
    return service ? service->name : action_of(conf)->no_service;
}

const char *action_cause(const struct action_conf *conf, size_t number, const struct attempt *last,
                         struct arena *a)
{
    const struct action *action = action_of(conf);
    const char *name = action_called_name(conf, number);
    const char *words = action->cause ? action->cause(last, a) : NULL;
    if (words)
        return words;
    const char *at = last->step > 0 ? arena_printf(a, " at step %u", last->step) : "";
    if (last->has_status && !last->in_answer)
        return arena_printf(a, "%u from %s%s", last->status, name, at);
    return arena_printf(a, "%s%s: %s", name, at, last->error ? last->error : "no answer");
}

struct finding action_finding(const struct verify_conf *verify, const struct attempt *attempt,
                              struct arena *a)
{
    const struct action *action = action_of(&verify->probe);
    if (attempt->judgement.verdict == VERDICT_AGAIN || !action->finding)
        return finding_inconclusive(NULL);
    return action->finding(verify, attempt, a);
}

const char *action_place(const struct action_conf *conf)
{
    const struct service_conf *service = action_service(conf, 0);
    return service ? service->name : action_of(conf)->place(conf);
}

void action_preview(const struct action_conf *conf, size_t number, const struct template_values *person,
                    struct arena *a, struct preview *out)
{
    *out = (struct preview){ 0 };
    action_of(conf)->preview(conf, number, person, a, out);
}

int64_t action_remind_us(const struct action_conf *conf)
{
    const struct action *action = action_of(conf);
    return action->remind_us ? action->remind_us(conf) : 0;
}

/* ---- from one call to the next ---- */

unsigned action_rounds(const struct action_conf *conf)
{
    const struct action *action = action_of(conf);
    return action->rounds ? action->rounds(conf) : 1;
}

/* ---- the tools ---- */

enum rc tools_open(struct tools *tools, struct runtime *runtime, const struct smtp_transport *smtp,
                   struct err *err)
{
    *tools = (struct tools){ .runtime = runtime };
    buf_init(&tools->scratch, HTTP_BODY_MAX);
    processes_open(&tools->processes, runtime);
    enum rc rc = smtp ? smtp_open(smtp, runtime->world, &tools->mailer, err) : RC_OK;
    if (rc)
        tools_close(tools);
    return rc;
}

void tools_close(struct tools *tools)
{
    smtp_close(&tools->mailer);
    processes_close(&tools->processes);
    buf_free(&tools->scratch);
}

void tools_wait(struct tools *tools, int64_t timeout_us)
{
    unsigned n = processes_poll(&tools->processes), n_extra = n;
    if (tools->mailer)
        tools->processes.fds[n_extra++] = (struct pollfd){ .fd = smtp_fd(tools->mailer), .events = POLLIN };
    http_client_wait(tools->runtime->client, tools->processes.fds, n_extra, timeout_us);
    if (tools->mailer)
        smtp_look(tools->mailer);
    processes_look(&tools->processes, n);
}
