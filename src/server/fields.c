/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the fields of a body. The text of an error names the field that is wrong, missing or unknown. */
#include "server/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static enum rc wrong_kind(const char *key, const char *expected, const struct json *got, struct err *err)
{
    return err_set(err, RC_INVALID, "%s: must be %s, not %s", key, expected, json_kind_name(got->kind));
}

enum rc field_check_range(const char *key, int64_t n, int64_t min, int64_t max, struct err *err)
{
    if (n >= min && n <= max)
        return RC_OK;
    if (max == INT64_MAX)
        return err_set(err, RC_INVALID, "%s: must be an integer, %lld or more", key, (long long)min);
    return err_set(err, RC_INVALID, "%s: must be an integer from %lld to %lld", key, (long long)min,
                   (long long)max);
}

bool field_parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    if (!*text || strspn(text, "-0123456789") != strlen(text))
        return false;
    *out = strtoll(text, &end, 10);
    return !errno && !*end;
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
    enum rc rc = field_check_range(key, value->integer, min, max, err);
    if (!rc)
        *out = value->integer;
    return rc;
}

enum rc field_account_id(struct arena *a, const struct json *body, const char **out, struct err *err)
{
    static const char wanted[] =
        "account_id: must be a text of 1 to %d characters in one line, or an integer "
        "from 1 to %lld";
    const struct json *value = json_get(body, "account_id");
    int64_t n;
    *out = NULL;
    if (!value || value->kind == JSON_NULL_KIND)
        return RC_OK;
    const char *id = json_get_id(a, body, "account_id");
    bool is_good = id && (value->kind == JSON_INT
                              ? json_is_safe_number(id, &n)
                              : *id && text_count(id) <= USECASE_ACCOUNT_ID_MAX && !text_has_control(id));
    if (!is_good)
        return err_set(err, RC_INVALID, wanted, USECASE_ACCOUNT_ID_MAX, (long long)JSON_SAFE_MAX);
    *out = id;
    return RC_OK;
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
        return err_set(err, RC_INVALID, "%s: has %u items, at most %u are taken in one request", key,
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
    struct json_out o = { .buf = &text };
    json_open_list(&o);
    for (size_t i = 0; i < n; i++)
        json_put_text(&o, text_nfc(a, orgs[i]));
    json_close_list(&o);
    *out = arena_strndup(a, buf_str(&text), text.len);
    buf_free(&text);
    return RC_OK;
}

enum rc field_only(const struct json *body, const char *const *known, struct err *err)
{
    for (const struct json *field = body->first; field; field = field->next) {
        if (!text_is_listed(field->key, known))
            return err_set_unknown(err, "unknown_field", "there is a field that is not known here",
                                   field->key, known);
    }
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

/* States of earlier lists are known, too; hints name those of the current list. */
enum rc field_state(struct exchange *x, const char *field, const char *name, int64_t *out, struct err *err)
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
