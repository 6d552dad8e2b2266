/* SPDX-License-Identifier: Apache-2.0 */
/* The partners of organisations. */
#include "config/config_int.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"

enum { ORGANISATIONS_MAX = 10000 };

static enum rc read_names(struct reading *r, const struct yaml *at, struct organisation_conf *out,
                          struct err *err)
{
    bool one = at->kind == YAML_SCALAR;
    const char **names = arena_array(r->arena, one ? 1 : at->count + 1, sizeof(names[0]));
    enum rc rc = RC_OK;
    if (one)
        rc = yaml_text(at, "the name of a partner, or a list of them", &names[out->n++], err);
    else
        rc = yaml_want(at, YAML_LIST, "the name of a partner, or a list of them", err);
    if (rc)
        return rc;
    for (const struct yaml *child = at->first; child; child = child->next)
        reading_go_on(r, child, yaml_text(child, "the name of a partner", &names[out->n++], err), &rc, err);
    if (out->n == 0)
        rc = yaml_value_error(at, err, "it names no partner");
    for (size_t i = 0; !rc && i < out->n; i++)
        names[i] = text_nfc(r->arena, names[i]);
    out->partners = names;
    return rc;
}

/* The same letters can be typed in two ways. */
static enum rc check_twice(struct reading *r, const struct yaml *at, const struct organisation_conf *list,
                           size_t n, struct err *err)
{
    const struct yaml *child = at->first;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < n; i++, child = child->next)
        for (size_t j = 0; strcmp(child->key, list[i].name) != 0 && j < n; j++)
            if (j != i && strcmp(list[i].name, list[j].name) == 0)
                reading_go_on(r, child,
                              yaml_error(child, err, "stands here twice, with its accents typed in two ways"),
                              &rc, err);
    return rc;
}

static enum rc read_organisations(struct reading *r, const struct setting *s, const struct yaml *at,
                                  void *field, struct err *err)
{
    struct config *config = field;
    enum rc rc = yaml_want(at, YAML_MAP, s->type, err);
    if (!rc)
        rc = yaml_want_count(at, "organisations", 0, ORGANISATIONS_MAX, err);
    if (rc)
        return rc;
    struct organisation_conf *list = arena_array(r->arena, at->count + 1, sizeof(list[0]));
    config->organisations = list;
    for (const struct yaml *child = at->first; child; child = child->next) {
        struct organisation_conf *org = &list[config->n_organisations++];
        org->name = text_nfc(r->arena, child->key);
        enum rc one = *child->key ? read_names(r, child, org, err)
                                  : yaml_key_error(child, err, "an organisation has no name");
        reading_go_on(r, child, one, &rc, err);
    }
    reading_go_on(r, at, check_twice(r, at, list, config->n_organisations, err), &rc, err);
    return rc;
}

const struct setting partners_settings[] = {
    { "platform", "text", setting_text, offsetof(struct config, platform), "lethe",
      "the name of this platform in the reports", .max = 100 },
    { "organisations", "map of partners", read_organisations, 0, NULL,
      "the partner, or a list of partners, of each organisation; default: each organisation is its own "
      "partner" },
    { NULL }
};
