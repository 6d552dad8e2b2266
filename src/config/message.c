/* SPDX-License-Identifier: Apache-2.0 */
/* What an e-mail says: templates for its subject and its text. */
#include "config/config_int.h"

enum { TEXT_MAX = 64 * 1024 /* bytes */ };

enum rc message_read_subject(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                             struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (!rc && template_compile(r->arena, TEMPLATE_HEADER, text, field, err))
        rc = yaml_wrap(at, err);
    return rc;
}

enum rc message_read_text(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    const char *text;
    enum rc rc = yaml_block(at, "the text of the e-mail", TEXT_MAX, &text, err);
    if (!rc && template_compile(r->arena, TEMPLATE_TEXT, text, field, err))
        rc = yaml_wrap(at, err);
    return rc;
}
