/* SPDX-License-Identifier: Apache-2.0 */
/* The manual action: a person does it. There is nothing to call, only instructions to put on record. */
#include "driver/action/action.h"

static enum rc manual_instructions(const struct call *call, const char **out, struct err *err)
{
    return call_render(call, "", call->conf->manual.instructions, HTTP_BODY_MAX, out, err);
}

static int64_t manual_remind_us(const struct action_conf *conf)
{
    return conf->manual.remind_us;
}

static void manual_preview(const struct action_conf *conf, size_t number,
                           const struct template_values *person, struct arena *a, struct preview *out)
{
    out->call = "wait until an operator has done this and confirms";
    out->body = call_preview(conf->manual.instructions, person, a);
}

const struct action action_manual = {
    .name = "manual",
    .no_service = "instructions",
    .instructions = manual_instructions,
    .remind_us = manual_remind_us,
    .preview = manual_preview,
};
