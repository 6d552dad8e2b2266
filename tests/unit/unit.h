/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes first: cmocka and what cmocka wants before it, and a few verbs. */
#ifndef LETHE_TESTS_UNIT_H
#define LETHE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* In a call of a configuration: makes it one about the person, whatever its path is. */
#define WHO "headers: { X-Who: \"{original_username}\" }, "

/* rc is RC_OK; if not, the words of the error are the message. */
static inline void expect_ok(enum rc rc, const struct err *err)
{
    if (rc)
        fail_msg("%s: %s", rc_code(rc), err->text);
}

static inline void expect_text_has(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("no \"%s\" in \"%s\"", part, text ? text : "");
}

/* rc is the one wanted, err agrees, and its text has the part. */
static inline void expect_error(enum rc rc, enum rc wanted, const struct err *err, const char *part)
{
    assert_string_equal(rc_code(rc), rc_code(wanted));
    assert_int_equal(err->rc, wanted);
    expect_text_has(err->text, part);
}

/* Opens a file of known answers, tests/unit/data/NAME. */
static inline FILE *open_data(const char *name)
{
    char path[4096];
    const char *folder = getenv("LETHE_TESTDATA");
    snprintf(path, sizeof(path), "%s/%s", folder ? folder : "tests/unit/data", name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s cannot be opened", path);
    return f;
}

/* The next line that is neither empty nor a # comment, without its end; false at the end. */
static inline int next_line(FILE *f, char *line, size_t size)
{
    while (fgets(line, (int)size, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] && line[0] != '#')
            return 1;
    }
    return 0;
}

#endif
