/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what was read can be written, read again, and is then the same. */
#include "fuzz.h"

#include "base/json.h"

enum { DUMP_MAX = 64 * 1024 * 1024 };

static void check_same(const struct json *one, const struct json *two)
{
    assert(one->kind == two->kind && one->count == two->count && one->len == two->len);
    assert(one->integer == two->integer);
    assert(one->key_is_odd == two->key_is_odd && one->key_is_twice == two->key_is_twice);
    assert((one->key == NULL) == (two->key == NULL) && (!one->key || strcmp(one->key, two->key) == 0));
    assert((one->text == NULL) == (two->text == NULL));
    assert(!one->text || (strlen(one->text) == one->len && strcmp(one->text, two->text) == 0));
    const struct json *b = two->first;
    for (const struct json *a = one->first; a; a = a->next, b = b->next)
        check_same(a, b);
}

static void check_round_trip(struct arena *a, const struct json *value)
{
    struct buf text;
    struct json *again;
    struct err err;
    buf_init(&text, DUMP_MAX);
    json_dump(&text, value);
    enum rc rc = json_parse(a, buf_str(&text), text.len, &again, &err);
    assert(!rc && !text.over);
    check_same(value, again);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct json *value;
    struct err err;
    bool strict = !json_parse_strict(&a, (const char *)data, size, "free", &value, &err);
    enum rc rc = json_parse(&a, (const char *)data, size, &value, &err);
    assert(!rc || !strict);
    if (!rc)
        check_round_trip(&a, value);
    else
        fuzz_check_err(rc, &err);
    arena_free(&a);
    return 0;
}
