/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded of a stage: see flight.h. */
#include "driver/flight/flight.h"

#include "base/json.h"
#include "base/text.h"

enum {
    ESCAPED_MAX = 6, /* \u001f */
    END_ROOM = 64    /* for what follows the answer */
};

/* As much of the answer as there is room for, as a JSON string. NUL, which our own reader of JSON does not
 * take, is replaced as bytes are that are not UTF-8. */
static void put_answer(struct json_out *o, const struct attempt *last)
{
    struct buf *out = o->buf;
    size_t i = 0, len = last->answer_len;
    json_put_key(o, "answer");
    buf_add_char(out, '"');
    while (i < len && out->len + ESCAPED_MAX + END_ROOM <= RESPONSE_MAX) {
        const char *s = last->answer + i;
        size_t n = text_char_len(s, len - i);
        if (!*s)
            buf_add_str(out, "\xEF\xBF\xBD");
        else
            json_escape(out, s, n > 0 ? n : 1);
        i += n > 0 ? n : 1;
    }
    buf_add_char(out, '"');
    o->comma = true;
    if (last->answer_cut || i < len)
        json_field_bool(o, "answer_cut", true);
}

void response_write(struct buf *out, const char *stage, unsigned attempts, const struct attempt *last,
                    const struct verification *verification)
{
    struct json_out o = { .buf = out };
    bool failed = last->judgement.verdict == VERDICT_AGAIN || last->judgement.verdict == VERDICT_FINAL;
    const char *outcome = last->judgement.unknown ? "unknown" : "failed";
    if (verification && verification->left > 0)
        outcome = "residue";
    json_open_map(&o);
    if (failed) {
        json_field_text(&o, "stage", stage);
        json_field_text(&o, "outcome", outcome);
    } else if (last->judgement.verdict == VERDICT_NOTHING_TO_ERASE) {
        json_field_text(&o, "outcome", "nothing_to_erase");
    } else if (last->judgement.verdict == VERDICT_GONE) {
        json_field_text(&o, "outcome", "gone");
    }
    json_field_int_if(&o, "status", last->has_status, last->status);
    json_field_int(&o, "attempts", attempts);
    if (last->step > 0)
        json_field_int(&o, "step", last->step);
    if (verification) {
        json_put_key(&o, "verification");
        json_open_map(&o);
        json_field_int_if(&o, "left", verification->left >= 0, verification->left);
        json_field_int_if(&o, "status", verification->has_status, verification->status);
        json_field_int(&o, "tries", verification->tries);
        json_close_map(&o);
    }
    if (failed)
        json_field_text(&o, "error", last->error);
    if (failed || last->answer_len > 0)
        put_answer(&o, last);
    json_close_map(&o);
}

void response_write_skipped(struct buf *out, const char *why)
{
    struct json_out o = { .buf = out };
    json_open_map(&o);
    json_field_text(&o, "outcome", "skipped");
    json_field_text(&o, "reason", why);
    json_close_map(&o);
}
