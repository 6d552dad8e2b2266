/* SPDX-License-Identifier: Apache-2.0 */
/* The manual action: an operator does it and confirms. It takes as long as it takes. */
#include "config/action/action.h"

enum { INSTRUCTIONS_MAX = 4000 /* bytes */ };

static enum rc read_instructions(struct reading *r, const struct setting *s, const struct yaml *at,
                                 void *field, struct err *err)
{
    const char *text;
    enum rc rc = yaml_block(at, "instructions for an operator", INSTRUCTIONS_MAX, &text, err);
    if (!rc && template_compile(r->arena, TEMPLATE_TEXT, text, field, err))
        rc = yaml_wrap(at, err);
    return rc;
}

#define OF(field) offsetof(struct manual_action_conf, field)

static const struct setting manual_settings[] = {
    { "instructions", "text", read_instructions, OF(instructions), NULL,
      "what the operator has to do; the person's data can stand in it", .required = true },
    { "remind", "time", setting_length, OF(remind_us), "7d",
      "how often the driver's log reminds of a retirement that still waits", .min = CLOCK_S,
      .max = 365 * CLOCK_DAY },
    { NULL }
};

const struct action_type action_type_manual = {
    .name = "manual",
    .stage = ACTION_ROW(manual, setting_section, manual_settings,
                        "the action: an operator does it by hand and confirms"),
    .by_hand = true,
};
