/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that are addresses: what the server listens on, and where services are. */
#include "config/config_int.h"

#include "base/text.h"
#include "base/url.h"

enum rc address_read_listen(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                            struct err *err)
{
    struct config *config = field;
    const char *text;
    enum rc rc = yaml_text(at, s->type, &text, err);
    if (rc)
        return rc;
    const char *fault = url_check_listen(r->arena, text, &config->listen_host, &config->listen_port);
    return fault ? yaml_value_error(at, err, "%s, found %s", fault, text_brief(r->arena, text)) : RC_OK;
}

enum rc address_read_url(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (rc)
        return rc;
    const char *fault = url_check(r->arena, text, field);
    return fault ? yaml_value_error(at, err, "%s", fault) : RC_OK;
}

enum rc address_read_mail_url(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                              struct err *err)
{
    enum rc rc = setting_text(r, s, at, field, err);
    if (rc)
        return rc;
    const char *fault = url_check_mail(r->arena, *(const char **)field);
    return fault ? yaml_value_error(at, err, "%s", fault) : RC_OK;
}
