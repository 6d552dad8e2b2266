/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the parameters of a query. The text of an error names the parameter. */
#include "server/exchange.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum rc query_only(const struct http_request *req, const char *const *known, struct err *err)
{
    for (size_t i = 0; i < req->n_query; i++) {
        const char *name = req->query[i].name;
        if (!text_is_listed(name, known))
            return err_set_unknown(err, "unknown_parameter",
                                   "the query has a parameter that is not known here", name, known);
    }
    return RC_OK;
}

enum rc query_int(const struct exchange *x, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct err *err)
{
    const char *text = http_query(x->http, name);
    int64_t value;
    if (!text)
        return RC_OK;
    if (!field_parse_int(text, &value))
        return err_set(err, RC_INVALID, "%s: must be an integer", name);
    enum rc rc = field_check_range(name, value, min, max, err);
    if (!rc)
        *out = value;
    return rc;
}

enum rc query_bool(const struct exchange *x, const char *name, bool *out, struct err *err)
{
    const char *text = http_query(x->http, name);
    if (!text)
        return RC_OK;
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0)
        return RC_OK;
    return err_set(err, RC_INVALID, "%s: must be true or false", name);
}

enum rc query_time(const struct exchange *x, const char *name, int64_t *out_us, struct err *err)
{
    const char *text = http_query(x->http, name);
    if (!text)
        return RC_OK;
    enum rc rc = clock_parse(text, out_us, err);
    return rc ? err_prefix(err, "%s", name) : RC_OK;
}

static enum rc add_state(struct exchange *x, const char *query, const char *name, int64_t *ids, size_t *n,
                         struct err *err)
{
    int64_t id;
    enum rc rc = field_state(x, query, name, &id, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < *n; i++) {
        if (ids[i] == id)
            return RC_OK;
    }
    ids[(*n)++] = id;
    return RC_OK;
}

enum rc query_states(struct exchange *x, const char *name, int64_t **ids, size_t *n, struct err *err)
{
    *ids = arena_array(x->arena, PIPELINE_MAX * 2, sizeof(**ids));
    *n = 0;
    for (size_t i = 0; i < x->http->n_query; i++) {
        if (strcmp(x->http->query[i].name, name) != 0)
            continue;
        char *rest = arena_strdup(x->arena, x->http->query[i].value);
        for (char *word; (word = strsep(&rest, ","));) {
            word = field_trim(word);
            if (!*word)
                continue;
            if (*n >= PIPELINE_MAX * 2)
                return err_set(err, RC_INVALID, "%s: names too many states", name);
            enum rc rc = add_state(x, name, word, *ids, n, err);
            if (rc)
                return rc;
        }
    }
    return RC_OK;
}
