/* SPDX-License-Identifier: Apache-2.0 */
/* Telling partner organisations who was retired, and retiring many by name, as clients of the Open edX LMS
 * do. */
#include "server/exchange.h"

#include <string.h>

enum { PARTNER_CLEANUP_MAX = 10000 }; /* in one request */

/* ---- telling ---- */

static enum rc put_report(void *arg, const struct partner_report *report, struct err *err)
{
    struct json_out *o = arg;
    json_open_map(o);
    json_field_int(o, "user_id", report->account_id);
    json_field_text(o, "original_username", report->username);
    json_field_text(o, "original_email", report->email);
    json_field_text(o, "original_name", report->name);
    json_put_key(o, "orgs");
    json_put_raw(o, report->orgs);
    json_field_time(o, "created", report->created_at);
    json_close_map(o);
    return RC_OK;
}

enum rc handle_partner_report(struct exchange *x, struct err *err)
{
    const char *again = http_query(x->http, "again");
    bool all = again && strcmp(again, "true") == 0;
    if (again && !all && strcmp(again, "false") != 0)
        return err_set(err, RC_INVALID, "again: must be true or false");
    struct act act = exchange_act(x);
    struct json_out o = answer_json(x, 200);
    json_open_list(&o);
    enum rc rc = usecase_take_partner_reports(&act, all, put_report, &o, err);
    json_close_list(&o);
    return rc;
}

enum rc handle_queue_partner(struct exchange *x, struct err *err)
{
    const char *username;
    enum rc rc = field_text_optional(x->body, "username", &username, err);
    if (!rc && (!username || !*username)) {
        answer_message(x, 404, "The user was not specified.");
        return RC_OK;
    }
    struct act act = exchange_act(x);
    if (!rc)
        rc = usecase_queue_partner_report(&act, username, err);
    if (!rc)
        answer_empty(x, 204);
    return rc;
}

static enum rc read_cleanup(struct exchange *x, struct partner_cleanup *out, struct err *err)
{
    const char **names = arena_array(x->arena, x->body->count + 1, sizeof(names[0]));
    out->found = arena_array(x->arena, x->body->count + 1, sizeof(out->found[0]));
    out->usernames = names;
    if (x->body->count == 0)
        return err_set(err, RC_INVALID, "No original_usernames given.");
    if (x->body->count > PARTNER_CLEANUP_MAX)
        return err_set(err, RC_INVALID, "at most %d in one request", PARTNER_CLEANUP_MAX);
    for (const struct json *item = x->body->first; item; item = item->next) {
        if (item->kind != JSON_MAP)
            return err_set(err, RC_INVALID, "item %zu must be an object", out->n + 1);
        if (field_text(item, "original_username", &names[out->n], err))
            return err_prefix(err, "item %zu", out->n + 1);
        out->n++;
    }
    return RC_OK;
}

static void add_names(struct buf *text, const struct partner_cleanup *in, bool only_found)
{
    struct json_out o = { .buf = text };
    json_open_list(&o);
    for (size_t i = 0; i < in->n; i++)
        if (!only_found || in->found[i])
            json_put_text(&o, in->usernames[i]);
    json_close_list(&o);
}

/* Both lists, as the contract has it: whoever asked has to see which name is wrong. */
static void answer_mismatch(struct exchange *x, const struct partner_cleanup *in)
{
    struct json_out o = answer_json(x, 400);
    struct buf text;
    buf_init(&text, HTTP_ANSWER_MAX);
    buf_printf(&text,
               "%zu original_usernames were given, and %zu of them are being processed. Given: ", in->n,
               in->n_found);
    add_names(&text, in, false);
    buf_add_str(&text, ", being processed: ");
    add_names(&text, in, true);
    json_put_text(&o, buf_str(&text));
    buf_free(&text);
}

enum rc handle_clean_partners(struct exchange *x, struct err *err)
{
    struct partner_cleanup in = { 0 };
    struct act act = exchange_act(x);
    bool done = false;
    enum rc rc = read_cleanup(x, &in, err);
    if (!rc)
        rc = usecase_clean_partner_reports(&act, &in, &done, err);
    if (rc)
        return rc;
    if (done)
        answer_empty(x, 204);
    else
        answer_mismatch(x, &in);
    return RC_OK;
}

/* ---- many by name ---- */

struct retired_names {
    const char **name;
    bool *retired;
    size_t n;
};

static struct retired_names split_names(struct arena *a, const char *text)
{
    char *rest = arena_strdup(a, text);
    size_t max = 1;
    for (const char *at = text; *at; at++)
        max += *at == ',';
    struct retired_names out = { arena_array(a, max, sizeof(out.name[0])),
                                 arena_array(a, max, sizeof(out.retired[0])), 0 };
    for (char *name; (name = strsep(&rest, ","));) {
        name = field_trim(name);
        if (*name)
            out.name[out.n++] = name;
    }
    return out;
}

static void put_retired(struct json_out *o, const char *key, const struct retired_names *names, bool retired)
{
    json_put_key(o, key);
    json_open_list(o);
    for (size_t i = 0; i < names->n; i++)
        if (names->retired[i] == retired)
            json_put_text(o, names->name[i]);
    json_close_list(o);
}

enum rc handle_bulk_retire(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    const char *text;
    enum rc rc = field_text_optional(x->body, "usernames", &text, err);
    if (!rc && !text)
        return err_set(err, RC_INVALID, "usernames: is missing; it must be user names separated by commas");
    if (rc)
        return rc;
    struct retired_names names = split_names(x->arena, text);
    for (size_t i = 0; i < names.n; i++) {
        rc = usecase_request_by_name(&act, names.name[i], err);
        names.retired[i] = !rc;
        if (rc && !err_is_refusal(rc, err))
            return rc;
    }
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    put_retired(&o, "successful_user_retirements", &names, true);
    put_retired(&o, "failed_user_retirements", &names, false);
    json_close_map(&o);
    return RC_OK;
}
