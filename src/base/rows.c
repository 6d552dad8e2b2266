/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rows_open(struct rows *r, size_t element_max, rows_take_fn *take, void *arg)
{
    *r = (struct rows){ .take = take, .arg = arg };
    buf_init(&r->element, element_max);
}

void rows_close(struct rows *r)
{
    buf_free(&r->element);
}

void rows_begin(struct rows *r)
{
    r->place = ROWS_BEFORE;
    r->depth = 0;
    r->in_text = r->is_escaped = false;
    buf_reset(&r->element);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One character of a value, as far as its end depends on it. Returns false when it does not belong to it. */
static bool step(struct rows *r, char c)
{
    if (r->in_text) {
        r->in_text = r->is_escaped || c != '"';
        r->is_escaped = !r->is_escaped && c == '\\';
        return true;
    }
    bool closes = c == '}' || c == ']';
    if (r->depth == 0 && (closes || c == ',' || is_space(c)))
        return false;
    r->in_text = c == '"';
    r->depth += c == '{' || c == '[';
    r->depth -= closes;
    return true;
}

static void between(struct rows *r, char c)
{
    if (is_space(c))
        return;
    bool may_end = r->place == ROWS_FIRST || r->place == ROWS_BEHIND;
    if (r->place == ROWS_BEFORE && c == '[')
        r->place = ROWS_FIRST;
    else if (may_end && c == ']')
        r->place = ROWS_END;
    else if (r->place == ROWS_BEHIND && c == ',')
        r->place = ROWS_NEXT;
    else
        r->place = ROWS_BROKEN;
}

void rows_feed(struct rows *r, const char *data, size_t len)
{
    for (size_t i = 0; i < len && r->place != ROWS_BROKEN;) {
        bool may_begin = r->place == ROWS_FIRST || r->place == ROWS_NEXT;
        if (may_begin && !is_space(data[i]) && data[i] != ',' && data[i] != ']' && data[i] != '}')
            r->place = ROWS_IN_ELEMENT;
        if (r->place != ROWS_IN_ELEMENT) {
            between(r, data[i++]);
            continue;
        }
        size_t from = i;
        while (i < len && step(r, data[i]))
            i++;
        buf_add(&r->element, data + from, i - from);
        if (i == len)
            return;
        r->take(r->arg, buf_str(&r->element), r->element.len, r->element.over);
        buf_reset(&r->element);
        r->place = ROWS_BEHIND;
    }
}

const char *rows_fault(const struct rows *r)
{
    switch (r->place) {
    case ROWS_END: return NULL;
    case ROWS_BEFORE: return "it is empty";
    case ROWS_BROKEN: return "it is no list in JSON";
    case ROWS_FIRST:
    case ROWS_IN_ELEMENT:
    case ROWS_BEHIND:
    case ROWS_NEXT: break;
    }
    return "the list is cut off";
}

int64_t rows_guess_int(const char *map, size_t len, const char *key, int64_t otherwise)
{
    struct rows r = { 0 };
    size_t key_len = strlen(key);
    for (size_t i = 0; i < len; i++) {
        bool begins_text = !r.in_text && map[i] == '"' && r.depth == 1;
        if (begins_text && len - i > key_len + 2 && memcmp(map + i + 1, key, key_len) == 0 &&
            map[i + key_len + 1] == '"') {
            const char *at = map + i + key_len + 2;
            char *end;
            at += strspn(at, " \t\r\n");
            errno = 0;
            long long value = *at == ':' ? strtoll(at + 1, &end, 10) : 0;
            if (*at == ':' && end != at + 1 && errno == 0 && strchr(",} \t\r\n", *end) && *end)
                return value;
        }
        step(&r, map[i]);
    }
    return otherwise;
}
