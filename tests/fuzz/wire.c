/* SPDX-License-Identifier: Apache-2.0 */
/* What server and driver say to each other: whatever was read can be put, and what was put can be read. */
#include "fuzz.h"

#include "base/json.h"
#include "wire/wire.h"

enum { TEXT_MAX = 64 * 1024 * 1024 };

struct line {
    struct arena arena;
    struct buf text;
    struct json_out out;
    struct err err;
};

/* What was put last, as its reader gets it. */
static const struct json *again(struct line *l)
{
    struct json *json;
    enum rc rc = json_parse(&l->arena, buf_str(&l->text), l->text.len, &json, &l->err);
    assert(!rc && !l->text.over);
    buf_reset(&l->text);
    l->out.comma = false;
    return json;
}

static bool is_read(const struct line *l, enum rc rc)
{
    if (rc)
        fuzz_check_err(rc, &l->err);
    return !rc;
}

static void try_requests(struct line *l, const struct json *json)
{
    struct wire_claim_request claim;
    struct wire_delivery_request delivery;
    if (is_read(l, wire_read_claim_request(&l->arena, json, &claim, &l->err))) {
        wire_put_claim_request(&l->out, &claim);
        enum rc rc = wire_read_claim_request(&l->arena, again(l), &claim, &l->err);
        assert(!rc);
    }
    if (is_read(l, wire_read_delivery_request(&l->arena, json, &delivery, &l->err))) {
        wire_put_delivery_request(&l->out, &delivery);
        enum rc rc = wire_read_delivery_request(&l->arena, again(l), &delivery, &l->err);
        assert(!rc);
    }
}

/* Items without a fault have none afterwards, either. */
static void try_answers(struct line *l, const struct json *json)
{
    struct wire_claim_answer claims;
    const struct wire_delivery *deliveries;
    size_t n;
    if (is_read(l, wire_read_claim_answer(&l->arena, json, &claims, &l->err))) {
        for (size_t i = 0; i < claims.n_claims; i++)
            if (claims.claims[i].fault.code)
                claims.claims[i] = claims.claims[--claims.n_claims];
        claims.n_waiting = 0;
        wire_put_claim_answer(&l->out, &claims);
        enum rc rc = wire_read_claim_answer(&l->arena, again(l), &claims, &l->err);
        assert(!rc);
    }
    if (is_read(l, wire_read_deliveries(&l->arena, json, &deliveries, &n, &l->err)) && n > 0 &&
        !deliveries[0].fault.code) {
        wire_put_deliveries(&l->out, deliveries, 1);
        enum rc rc = wire_read_deliveries(&l->arena, again(l), &deliveries, &n, &l->err);
        assert(!rc && n == 1 && !deliveries[0].fault.code);
    }
}

static void try_reports(struct line *l, const struct json *json)
{
    struct wire_report *reports;
    struct wire_delivery_report *told;
    size_t n, n_again;
    if (is_read(l, wire_read_reports(&l->arena, json, &reports, &n, &l->err)) && n > 0 &&
        !reports[0].fault.code) {
        json_open_list(&l->out);
        wire_put_report(&l->out, &reports[0]);
        json_close_list(&l->out);
        enum rc rc = wire_read_reports(&l->arena, again(l), &reports, &n_again, &l->err);
        assert(!rc && n_again == 1 && !reports[0].fault.code);
    }
    if (is_read(l, wire_read_delivery_reports(&l->arena, json, &told, &n, &l->err)) && n > 0 &&
        !told[0].fault.code) {
        json_open_list(&l->out);
        wire_put_delivery_report(&l->out, &told[0]);
        json_close_list(&l->out);
        enum rc rc = wire_read_delivery_reports(&l->arena, again(l), &told, &n_again, &l->err);
        assert(!rc && n_again == 1 && !told[0].fault.code);
    }
}

static void try_report_answers(struct line *l, const struct json *json)
{
    struct wire_report_answer *answers;
    struct wire_delivery_report_answer *told;
    if (is_read(l, wire_read_report_answers(&l->arena, json, &answers, json->count, &l->err))) {
        wire_put_report_answers(&l->out, answers, json->count);
        enum rc rc = wire_read_report_answers(&l->arena, again(l), &answers, json->count, &l->err);
        assert(!rc);
    }
    if (is_read(l, wire_read_delivery_report_answers(&l->arena, json, &told, json->count, &l->err))) {
        wire_put_delivery_report_answers(&l->out, told, json->count);
        enum rc rc = wire_read_delivery_report_answers(&l->arena, again(l), &told, json->count, &l->err);
        assert(!rc);
    }
}

static void try_source(struct line *l, const struct json *json)
{
    struct wire_source_request request;
    struct wire_source_answer answer;
    if (is_read(l, wire_read_source_request(&l->arena, json, &request, &l->err)) && request.n_news > 0 &&
        !request.news[0].fault.code) {
        request.n_news = 1;
        wire_put_source_request(&l->out, &request);
        enum rc rc = wire_read_source_request(&l->arena, again(l), &request, &l->err);
        assert(!rc && request.n_news == 1 && !request.news[0].fault.code);
    }
    if (is_read(l, wire_read_source_answer(&l->arena, json, &answer, &l->err)) && answer.n_work == 0 &&
        answer.n_refused == 0) {
        wire_put_source_answer(&l->out, &answer);
        enum rc rc = wire_read_source_answer(&l->arena, again(l), &answer, &l->err);
        assert(!rc);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line l = { .out = { .buf = NULL } };
    struct json *json;
    buf_init(&l.text, TEXT_MAX);
    l.out.buf = &l.text;
    if (!json_parse(&l.arena, (const char *)data, size, &json, &l.err)) {
        try_requests(&l, json);
        try_answers(&l, json);
        try_reports(&l, json);
        try_report_answers(&l, json);
        try_source(&l, json);
    }
    buf_free(&l.text);
    arena_free(&l.arena);
    return 0;
}
