/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail: page by page, and the check that it is whole. */
#include "server/exchange.h"

#include <string.h>

enum { LIST_MAX = 1000 };

/* ---- looking ---- */

static enum rc read_filter(const struct exchange *x, struct audit_filter *out, struct err *err)
{
    *out = (struct audit_filter){ .limit = 100, .actor = http_query(x->http, "actor") };
    enum rc rc = query_int(x, "limit", 1, LIST_MAX, &out->limit, err);
    if (!rc)
        rc = query_int(x, "after", 0, INT64_MAX, &out->after_id, err);
    if (!rc)
        rc = query_int(x, "retirement", 1, INT64_MAX, &out->retirement_id, err);
    if (!rc)
        rc = query_time(x, "since", &out->from, err);
    return rc ? rc : query_time(x, "before", &out->before, err);
}

static enum rc put_entry(void *arg, const struct audit_entry *e, struct err *err)
{
    struct json_out *o = arg;
    if (o->comma)
        buf_add_char(o->buf, ',');
    store_print_audit(o->buf, e, true);
    o->comma = true;
    return RC_OK;
}

static enum rc answer_audit(struct exchange *x, struct err *err)
{
    struct audit_filter filter;
    int64_t next;
    enum rc rc = read_filter(x, &filter, err);
    if (rc)
        return rc;
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_put_key(&o, "entries");
    json_open_list(&o);
    rc = store_list_audit(x->store, &filter, put_entry, &o, &next, err);
    json_close_list(&o);
    json_field_int_if(&o, "next", next != 0, next);
    json_close_map(&o);
    return rc;
}

/* ---- checking ---- */

static enum rc read_known(const struct exchange *x, uint8_t hash[CRYPTO_SHA256_LEN], bool *given,
                          struct err *err)
{
    static const char *const known[] = { "head", NULL };
    const char *text;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "head", &text, err);
    *given = !rc && text;
    if (*given && !crypto_unhex(text, hash, CRYPTO_SHA256_LEN))
        return err_set(err, RC_INVALID, "head: must be 64 hexadecimal digits");
    return rc;
}

static enum rc answer_verify_audit(struct exchange *x, struct err *err)
{
    uint8_t hash[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    bool given;
    struct audit_check check;
    enum rc rc = read_known(x, hash, &given, err);
    if (!rc)
        rc = store_check_audit(x->store, given ? hash : NULL, &check, err);
    if (rc)
        return rc;
    crypto_hex(check.head, sizeof(check.head), hex);
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_int(&o, "entries", check.entries);
    json_field_text(&o, "head", hex);
    json_field_int_if(&o, "broken_at", check.what, check.broken_at);
    json_field_text(&o, "what", check.what);
    json_put_key(&o, "has_head");
    if (given)
        json_put_bool(&o, check.has_known);
    else
        json_put_null(&o);
    json_close_map(&o);
    return RC_OK;
}

/* ---- handlers ---- */

static const char *const audit_query[] = { "after", "limit", "retirement", "actor", "since", "before", NULL };

const struct handler handle_audit = { .answer = answer_audit, .query = audit_query };
const struct handler handle_verify_audit = { .answer = answer_verify_audit };
