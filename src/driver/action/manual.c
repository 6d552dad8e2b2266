/* SPDX-License-Identifier: Apache-2.0 */
/* The manual action: a person does it. There is nothing to call, only instructions to put on record. */
#include "driver/action/action.h"

static enum rc manual_instructions(const struct call *call, const char **out, struct err *err)
{
    return call_render(call, "", call->conf->manual.instructions, HTTP_BODY_MAX, out, err);
}

const struct action action_manual = {
    .name = "manual",
    .nobody = "instructions",
    .instructions = manual_instructions,
};
