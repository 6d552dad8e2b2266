/* SPDX-License-Identifier: Apache-2.0 */
/* Raising errors. Each text is formatted aside and then copied, so that an argument may be the text of the
 * err that is being filled. */
#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

const char *rc_code(enum rc rc)
{
    static const char *const codes[] = {
#define X(name, code, meaning) [name] = code,
        RC_TABLE(X)
#undef X
    };
    return codes[rc];
}

/* Arguments come from outside. So that the text is one line of UTF-8, anything else becomes a question mark.
 */
static void clean(char *text, size_t len)
{
    char *to = text;
    for (const char *at = text, *end = text + len; at < end;) {
        size_t n = text_char_len(at, (size_t)(end - at));
        unsigned char first = (unsigned char)at[0];
        bool is_c1 = n == 2 && first == 0xc2 && (unsigned char)at[1] < 0xa0; /* U+0080 to U+009F */
        bool good = n > 0 && first >= 0x20 && first != 0x7f && !is_c1;
        memmove(to, good ? at : "?", good ? n : 1);
        to += good ? n : 1;
        at += n > 0 ? n : 1;
    }
    *to = '\0';
}

__attribute__((format(printf, 2, 0))) static void format_text(char out[ERR_TEXT_MAX], const char *fmt,
                                                              va_list args)
{
    char full[2 * ERR_TEXT_MAX];
    int n = vsnprintf(full, sizeof(full), fmt, args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(full) ? (size_t)n : sizeof(full) - 1;
    size_t cut = text_cut(full, len, ERR_TEXT_MAX - 1);
    memcpy(out, full, cut);
    clean(out, cut);
}

__attribute__((format(printf, 4, 0))) static enum rc fill(struct err *err, enum rc rc, const char *code,
                                                          const char *fmt, va_list args)
{
    char text[ERR_TEXT_MAX];
    if (!err)
        return rc;
    format_text(text, fmt, args);
    err->rc = rc;
    err->internal = false;
    snprintf(err->code, sizeof(err->code), "%s", code);
    memcpy(err->text, text, sizeof(text));
    return rc;
}

enum rc err_set(struct err *err, enum rc rc, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, rc, rc_code(rc), fmt, args);
    va_end(args);
    return rc;
}

enum rc err_set_code(struct err *err, enum rc rc, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, rc, code, fmt, args);
    va_end(args);
    return rc;
}

enum rc err_set_internal(struct err *err, enum rc rc, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, rc, rc_code(rc), fmt, args);
    va_end(args);
    if (err)
        err->internal = true;
    return rc;
}

enum rc err_set_unknown(struct err *err, const char *code, const char *text, const char *name,
                        const char *const *known)
{
    const char *near = text_nearest(name, known);
    if (near)
        return err_set_code(err, RC_INVALID, code, "%s; did you mean %s?", text, near);
    struct buf list;
    buf_init(&list, ERR_TEXT_MAX);
    for (; *known; known++)
        buf_printf(&list, "%s%s", list.len ? ", " : "", *known);
    enum rc rc = err_set_code(err, RC_INVALID, code, "%s; %s%s", text,
                              list.len ? "there are " : "this call takes none", buf_str(&list));
    buf_free(&list);
    return rc;
}

enum rc err_prefix(struct err *err, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX];
    char whole[2 * ERR_TEXT_MAX + 2];
    va_list args;
    va_start(args, fmt);
    format_text(what, fmt, args);
    va_end(args);
    size_t len = (size_t)snprintf(whole, sizeof(whole), "%s: %s", what, err->text);
    size_t cut = text_cut(whole, len, ERR_TEXT_MAX - 1);
    memcpy(err->text, whole, cut);
    err->text[cut] = '\0';
    return err->rc;
}

enum rc err_set_errno(struct err *err, const char *fmt, ...)
{
    int number = errno;
    char what[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    format_text(what, fmt, args);
    va_end(args);
    bool is_full = number == ENOSPC || number == EDQUOT;
    enum rc rc = is_full ? RC_NO_SPACE : number == ENOENT ? RC_NOT_FOUND : RC_IO;
    return err_set_internal(err, rc, "%s: %s", what, strerrordesc_np(number));
}

bool err_is_internal(const struct err *err)
{
    return err->internal || err->rc == RC_IO || err->rc == RC_INTERNAL || err->rc == RC_DAMAGED ||
           err->rc == RC_NO_SPACE;
}

bool err_is_refusal(enum rc rc, const struct err *err)
{
    return (rc == RC_INVALID || rc == RC_CONFLICT || rc == RC_NOT_FOUND) && !err->internal;
}
