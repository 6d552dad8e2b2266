/* SPDX-License-Identifier: Apache-2.0 */
/* Reports to partner organisations, and retiring many users by name, as clients of the Open edX LMS ask. */
#include "server/exchange.h"

#include <string.h>

enum { PARTNER_CLEANUP_MAX = 10000 }; /* in one request */

/* ---- reports ---- */

static enum rc put_report(void *arg, const struct partner_report *report, struct err *err)
{
    struct json_out *o = arg;
    json_open_map(o);
    json_field_id(o, "user_id", report->user_id);
    json_field_text(o, "original_username", report->username);
    json_field_text(o, "original_email", report->email);
    json_field_text(o, "original_name", report->name);
    json_put_key(o, "orgs");
    json_put_raw(o, report->orgs);
    json_field_time(o, "created", report->created_at);
    json_close_map(o);
    return RC_OK;
}

static enum rc read_partner_report(struct exchange *x, struct err *err)
{
    bool *all = x->input = ARENA_NEW(x->arena, bool);
    return query_bool(x, "again", all, err);
}

static enum rc act_partner_report(struct exchange *x, struct err *err)
{
    const bool *all = x->input;
    struct act act = exchange_act(x);
    struct json_out o = answer_json(x, 200);
    json_open_list(&o);
    enum rc rc = usecase_take_partner_reports(&act, *all, put_report, &o, err);
    json_close_list(&o);
    return rc;
}

static enum rc read_queue_partner(struct exchange *x, struct err *err)
{
    const char *username;
    enum rc rc = field_username(x, &username, err);
    x->input = arena_strdup(x->arena, username);
    return rc;
}

static enum rc act_queue_partner(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    answer_empty(x, 204);
    return usecase_queue_partner_report(&act, x->input, err);
}

struct told {
    const char **usernames;
    size_t n;
};

static enum rc read_clean_partners(struct exchange *x, struct err *err)
{
    struct told *in = x->input = ARENA_NEW(x->arena, struct told);
    if (x->body->count == 0)
        return err_set(err, RC_INVALID, "No original_usernames given.");
    if (x->body->count > PARTNER_CLEANUP_MAX)
        return err_set(err, RC_INVALID, "at most %d in one request", PARTNER_CLEANUP_MAX);
    in->usernames = arena_array(x->arena, x->body->count, sizeof(in->usernames[0]));
    for (const struct json *item = x->body->first; item; item = item->next) {
        if (item->kind != JSON_MAP)
            return err_set(err, RC_INVALID, "item %zu must be an object", in->n + 1);
        if (field_text(item, "original_username", &in->usernames[in->n], err))
            return err_prefix(err, "item %zu", in->n + 1);
        in->n++;
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

/* Both lists, as in the contract, so that the caller sees which name is wrong. */
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

static enum rc act_clean_partners(struct exchange *x, struct err *err)
{
    const struct told *in = x->input;
    struct partner_cleanup cleanup = {
        .usernames = in->usernames,
        .n = in->n,
        .found = arena_array(x->arena, in->n, sizeof(bool)),
    };
    struct act act = exchange_act(x);
    bool done = false;
    enum rc rc = usecase_clean_partner_reports(&act, &cleanup, &done, err);
    if (rc)
        return rc;
    x->unfinished = cleanup.marked;
    if (done)
        answer_empty(x, 204);
    else
        answer_mismatch(x, &cleanup);
    return RC_OK;
}

/* Deletes people who were kept for the report alone. */
static enum rc finish_clean_partners(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    return usecase_forget(&act, &x->unfinished, err);
}

/* ---- many by name ---- */

struct names {
    const char **name;
    size_t n;
};

static void split_names(struct arena *a, const char *text, struct names *out)
{
    char *rest = arena_strdup(a, text);
    size_t max = 1;
    for (const char *at = text; *at; at++)
        max += *at == ',';
    out->name = arena_array(a, max, sizeof(out->name[0]));
    for (char *name; (name = strsep(&rest, ","));) {
        name = field_trim(name);
        if (*name)
            out->name[out->n++] = name;
    }
}

static enum rc read_bulk_retire(struct exchange *x, struct err *err)
{
    struct names *in = x->input = ARENA_NEW(x->arena, struct names);
    const char *text;
    enum rc rc = field_text_optional(x->body, "usernames", &text, err);
    if (rc)
        return rc;
    if (!text)
        return err_set(err, RC_INVALID, "usernames: is missing; it must be user names separated by commas");
    split_names(x->arena, text, in);
    return in->n <= USECASE_LIST_MAX
               ? RC_OK
               : err_set(err, RC_INVALID, "usernames: has more than %d names; send several requests",
                         USECASE_LIST_MAX);
}

static void put_retired(struct json_out *o, const char *key, const struct names *names, const bool *retired,
                        bool wanted)
{
    json_put_key(o, key);
    json_open_list(o);
    for (size_t i = 0; i < names->n; i++) {
        if (retired[i] == wanted)
            json_put_text(o, names->name[i]);
    }
    json_close_list(o);
}

static enum rc act_bulk_retire(struct exchange *x, struct err *err)
{
    const struct names *in = x->input;
    struct act act = exchange_act(x);
    bool *retired = arena_array(x->arena, in->n + 1, sizeof(*retired));
    for (size_t i = 0; i < in->n; i++) {
        enum rc rc = usecase_request_by_name(&act, in->name[i], err);
        if (rc && !err_is_refusal(rc, err))
            return rc;
        retired[i] = !rc;
    }
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    put_retired(&o, "successful_user_retirements", in, retired, true);
    put_retired(&o, "failed_user_retirements", in, retired, false);
    json_close_map(&o);
    return RC_OK;
}

/* ---- handlers ---- */

const struct handler handle_partner_report = { .read = read_partner_report, .act = act_partner_report };
const struct handler handle_queue_partner = { .read = read_queue_partner, .act = act_queue_partner };
const struct handler handle_clean_partners = {
    .read = read_clean_partners,
    .act = act_clean_partners,
    .finish = finish_clean_partners,
};
const struct handler handle_bulk_retire = { .read = read_bulk_retire, .act = act_bulk_retire };
