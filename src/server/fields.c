/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what came from outside: wrong types, missing and unknown fields, each with a text that names the
 * field. */
#include "server/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static enum rc wrong_kind(const char *key, const char *expected, const struct json *got, struct err *err)
{
    return err_set(err, RC_INVALID, "%s: must be %s, not %s", key, expected, json_kind_name(got->kind));
}

/* A limit that only the type sets is none that a reader could have meant. */
static enum rc out_of_range(const char *key, int64_t min, int64_t max, struct err *err)
{
    if (max == INT64_MAX)
        return err_set(err, RC_INVALID, "%s: must be an integer, %lld or more", key, (long long)min);
    return err_set(err, RC_INVALID, "%s: must be an integer from %lld to %lld", key, (long long)min,
                   (long long)max);
}

enum rc field_text_optional(const struct json *body, const char *key, const char **out, struct err *err)
{
    const struct json *value = json_get(body, key);
    *out = NULL;
    if (!value || value->kind == JSON_NULL_KIND)
        return RC_OK;
    if (value->kind != JSON_TEXT)
        return wrong_kind(key, "a string", value, err);
    *out = value->text;
    return RC_OK;
}

enum rc field_text(const struct json *body, const char *key, const char **out, struct err *err)
{
    enum rc rc = field_text_optional(body, key, out, err);
    if (!rc && (!*out || !**out))
        return err_set(err, RC_INVALID, "%s: is missing", key);
    return rc;
}

enum rc field_username(struct exchange *x, const char **out, struct err *err)
{
    enum rc rc = field_text_optional(x->body, "username", out, err);
    if (!rc && (!*out || !**out))
        answer_message(x, 404, "The user was not specified.");
    return rc;
}

enum rc field_int_optional(const struct json *body, const char *key, int64_t min, int64_t max, int64_t *out,
                           struct err *err)
{
    const struct json *value = json_get(body, key);
    if (!value || value->kind == JSON_NULL_KIND)
        return RC_OK;
    if (value->kind != JSON_INT)
        return wrong_kind(key, "an integer", value, err);
    if (value->integer < min || value->integer > max)
        return out_of_range(key, min, max, err);
    *out = value->integer;
    return RC_OK;
}

enum rc field_int(const struct json *body, const char *key, int64_t min, int64_t max, int64_t *out,
                  struct err *err)
{
    const struct json *value = json_get(body, key);
    if (!value || value->kind == JSON_NULL_KIND)
        return err_set(err, RC_INVALID, "%s: is missing", key);
    return field_int_optional(body, key, min, max, out, err);
}

enum rc field_bool_optional(const struct json *body, const char *key, bool *out, struct err *err)
{
    const struct json *value = json_get(body, key);
    if (!value || value->kind == JSON_NULL_KIND)
        return RC_OK;
    if (value->kind != JSON_BOOL)
        return wrong_kind(key, "true or false", value, err);
    *out = value->integer != 0;
    return RC_OK;
}

enum rc field_list(const struct json *body, const char *key, bool required, unsigned max,
                   const struct json **out, struct err *err)
{
    *out = json_get(body, key);
    if (!*out)
        return required ? err_set(err, RC_INVALID, "%s: is missing", key) : RC_OK;
    if ((*out)->kind != JSON_LIST)
        return wrong_kind(key, "an array", *out, err);
    if ((*out)->count > max)
        return err_set(err, RC_INVALID, "%s: has %u items, at most %u are taken", key,
                       (unsigned)(*out)->count, max);
    return RC_OK;
}

enum rc field_texts(struct arena *a, const struct json *body, const char *key, unsigned max,
                    const char ***out, size_t *n, struct err *err)
{
    const struct json *list;
    *n = 0;
    *out = NULL;
    enum rc rc = field_list(body, key, false, max, &list, err);
    if (rc || !list)
        return rc;
    *out = arena_array(a, list->count + 1, sizeof(**out));
    for (const struct json *item = list->first; item; item = item->next) {
        if (item->kind != JSON_TEXT)
            return err_set(err, RC_INVALID, "%s: item %zu must be a string, not %s", key, *n + 1,
                           json_kind_name(item->kind));
        (*out)[(*n)++] = item->text;
    }
    return RC_OK;
}

enum rc field_orgs(struct arena *a, const struct json *body, const char **out, struct err *err)
{
    const char **orgs;
    size_t n;
    enum rc rc = field_texts(a, body, "orgs", 100, &orgs, &n, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (strlen(orgs[i]) > USECASE_PERSON_NAME_MAX)
            return err_set(err, RC_INVALID, "orgs: item %zu is longer than %d bytes", i + 1,
                           USECASE_PERSON_NAME_MAX);
    }
    struct buf text;
    buf_init(&text, HTTP_BODY_MAX * 2);
    const struct json *list = json_get(body, "orgs");
    if (list)
        json_dump(&text, list);
    *out = list ? arena_strndup(a, buf_str(&text), text.len) : "[]";
    buf_free(&text);
    return RC_OK;
}

static bool is_listed(const char *name, const char *const *known)
{
    while (*known && strcmp(*known, name) != 0)
        known++;
    return *known != NULL;
}

enum rc field_only(const struct json *body, const char *const *known, struct err *err)
{
    for (const struct json *field = body->first; field; field = field->next) {
        if (!is_listed(field->key, known))
            return err_set_unknown(err, "unknown_field", "there is a field that is not known here",
                                   field->key, known);
    }
    return RC_OK;
}

enum rc query_only(const struct http_request *req, const char *const *known, struct err *err)
{
    for (size_t i = 0; i < req->n_query; i++) {
        const char *name = req->query[i].name;
        if (!is_listed(name, known))
            return err_set_unknown(err, "unknown_parameter",
                                   "the query has a parameter that is not known here", name, known);
    }
    return RC_OK;
}

/* The whole text must be one number. */
static bool parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    if (!*text || strspn(text, "-0123456789") != strlen(text))
        return false;
    *out = strtoll(text, &end, 10);
    return !errno && !*end;
}

enum rc query_int(const struct exchange *x, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct err *err)
{
    const char *text = http_query(x->http, name);
    int64_t value;
    if (!text)
        return RC_OK;
    if (!parse_int(text, &value))
        return err_set(err, RC_INVALID, "%s: must be an integer", name);
    if (value < min || value > max)
        return out_of_range(name, min, max, err);
    *out = value;
    return RC_OK;
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

enum rc path_id(const struct exchange *x, int64_t *out, struct err *err)
{
    if (parse_int(x->param[0], out) && *out > 0)
        return RC_OK;
    return err_set(err, RC_NOT_FOUND, "there is no such retirement");
}

/* ---- states ---- */

/* Those of earlier lists are known too; those of today are what is offered. */
enum rc state_id(struct exchange *x, const char *field, const char *name, int64_t *out, struct err *err)
{
    const struct pipeline *current;
    enum rc rc = store_find_state(x->store, name, out, err);
    if (rc || *out)
        return rc;
    rc = store_current_pipeline(x->store, &current, err);
    if (rc && rc != RC_NOT_FOUND)
        return rc;
    const char *hint =
        rc ? "there are none yet: run \"lethe states sync\"" : pipeline_hint(x->arena, current, name);
    return err_set_code(err, RC_INVALID, "unknown_state", "%s: there is no state \"%.*s\"; %s", field,
                        (int)text_cut(name, strlen(name), 40), name, hint);
}

static enum rc add_state(struct exchange *x, const char *query, const char *name, int64_t *ids, size_t *n,
                         struct err *err)
{
    int64_t id;
    enum rc rc = state_id(x, query, name, &id, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < *n; i++) {
        if (ids[i] == id)
            return RC_OK;
    }
    ids[(*n)++] = id;
    return RC_OK;
}

char *field_trim(char *word)
{
    word += strspn(word, " ");
    size_t len = strlen(word);
    while (len > 0 && word[len - 1] == ' ')
        word[--len] = '\0';
    return word;
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
