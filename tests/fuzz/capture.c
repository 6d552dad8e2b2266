/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What steps take out of answers. The first line is the JSON pointer, the rest the answer: a value is one
 * line of text within its limit that stands in the answer, and "not there" is said of nothing that is there.
 */
#include "fuzz.h"

#include "base/json.h"
#include "driver/action/action.h"

static void check_value(struct arena *a, const char *pointer, const char *answer, const char *value)
{
    struct json *json;
    fuzz_check_text(value);
    assert(value[0] && strlen(value) <= CAPTURED_MAX && !text_has_control(value));
    enum rc rc = json_parse(a, answer, strlen(answer), &json, NULL);
    assert(!rc && json_find(json, pointer));
}

static void check_missing(struct arena *a, const char *pointer, const char *answer)
{
    struct json *json;
    enum rc rc = json_parse(a, answer, strlen(answer), &json, NULL);
    assert(!rc);
    const struct json *found = json_find(json, pointer);
    assert(!found || found->kind == JSON_NULL_KIND);
}

static void try(struct arena *a, const char *pointer, const char *answer)
{
    const struct capture_conf conf = { .name = "value", .pointer = pointer };
    const struct http_step_conf step = { .captures = &conf, .n_captures = 1 };
    const char *value = NULL;
    struct err err;
    switch (capture_values(a, &step, answer, strlen(answer), &value, &err)) {
    case CAPTURED_ALL: check_value(a, pointer, answer, value); break;
    case CAPTURED_NOT_THERE: check_missing(a, pointer, answer); break;
    case CAPTURED_STRANGE:
    case CAPTURED_UNREADABLE: fuzz_check_err(RC_INVALID, &err); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    char *pointer = fuzz_text(data, size), *answer = fuzz_rest(pointer);
    if (text_is_utf8(pointer, strlen(pointer)) && !text_has_control(pointer) && !json_pointer_fault(pointer))
        try(&a, pointer, answer);
    arena_free(&a);
    free(pointer);
    return 0;
}
