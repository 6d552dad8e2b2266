/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzzers share. Each is one file with LLVMFuzzerTestOneInput(): it gives bytes of a stranger to one
 * parser and asserts what must hold whatever they are. libFuzzer drives it when configured with -Dfuzz=true,
 * else runner.c does. Inputs are text as far as that is possible, so that the kept ones can be read.
 */
#ifndef LETHE_TESTS_FUZZ_H
#define LETHE_TESTS_FUZZ_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

/* libFuzzer's names. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy that ends where its terminator is, so that ASan sees a read beyond it; to be freed. */
static inline char *fuzz_text(const void *data, size_t size)
{
    char *text = xcalloc(size + 1, 1);
    if (size > 0)
        memcpy(text, data, size);
    return text;
}

/* Cuts the first line off; both parts are terminated and within text. */
static inline char *fuzz_rest(char *text)
{
    char *end = text + strcspn(text, "\n");
    char *rest = !*end ? end : end + 1;
    *end = '\0';
    return rest;
}

static inline void fuzz_check_text(const char *text)
{
    assert(text && text_is_utf8(text, strlen(text)));
}

/* What went wrong is one line for a person, whatever it was about. */
static inline void fuzz_check_err(enum rc rc, const struct err *err)
{
    assert(rc == err->rc && rc && rc != RC_INTERNAL && err->text[0]);
    fuzz_check_text(err->text);
    assert(!text_has_control(err->text));
}

#endif
