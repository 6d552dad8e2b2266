/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors. A function that can fail returns an enum rc, which the caller must check, and takes a
 * struct err * as its last argument, which receives a text for people. RC_OK is 0.
 *
 * An rc becomes an HTTP status in server/answer.c, an exit code in cli/main.c and a decision about trying
 * again in the driver, each by a switch without default: the compiler names all three for a new code.
 *
 * Texts of errors never hold personal data, except where the contract says so.
 */
#ifndef LETHE_BASE_ERR_H
#define LETHE_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/*      name             code for programs     meaning                                        */
#define RC_TABLE(X)                                                         \
    X(RC_OK, "ok", "done")                                                  \
    X(RC_INVALID, "invalid", "the input is wrong: mend it, then repeat")    \
    X(RC_UNAUTHENTICATED, "unauthenticated", "no credentials, or bad ones") \
    X(RC_FORBIDDEN, "forbidden", "known, but not allowed to")               \
    X(RC_NOT_FOUND, "not_found", "there is no such thing")                  \
    X(RC_CONFLICT, "conflict", "refused by the state of things")            \
    X(RC_TOO_LARGE, "too_large", "over a limit")                            \
    X(RC_UNAVAILABLE, "unavailable", "not now: repeat it later")            \
    X(RC_NO_SPACE, "no_space", "the disk is full")                          \
    X(RC_DAMAGED, "damaged", "the database is damaged: restore a backup")   \
    X(RC_IO, "io", "the machine failed to read or write")                   \
    X(RC_INTERNAL, "internal", "a mistake in this program")

enum rc {
#define X(name, code, meaning) name,
    RC_TABLE(X)
#undef X
};

enum { ERR_TEXT_MAX = 512, ERR_CODE_MAX = 40 };

struct err {
    enum rc rc;
    bool internal;           /* the text is for the log alone: it may name files or tables of this machine */
    char code[ERR_CODE_MAX]; /* stable, for programs; that of rc unless err_set_code gave another */
    char text[ERR_TEXT_MAX]; /* one line for a person, UTF-8, cut at a character where too long */
};

/* Every function that returns an enum rc is declared with it. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* Fills err (may be NULL) and returns rc, so that raising is one line. */
enum rc err_set(struct err *err, enum rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
enum rc err_set_code(struct err *err, enum rc rc, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* RC_INVALID: "text; did you mean NAME?", or which are known (they end with NULL). name is not quoted: it
 * could be anything, a person's name included. */
enum rc err_set_unknown(struct err *err, const char *code, const char *text, const char *name,
                        const char *const *known);

/* The same for a text that is for the log alone. */
enum rc err_set_internal(struct err *err, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "what: " before the text of err and returns err->rc. */
enum rc err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "fmt: strerror(errno)" with the rc that fits errno: ENOSPC and EDQUOT are RC_NO_SPACE, ENOENT is
 * RC_NOT_FOUND, all else RC_IO. An internal text. */
enum rc err_set_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *rc_code(enum rc rc);

/* Is the text for the log alone? err->rc is not RC_OK. */
bool err_is_internal(const struct err *err);
/* Does the input or the state of things refuse one item (RC_INVALID, RC_CONFLICT, RC_NOT_FOUND), so that the
 * others of its list go on? false: RC_OK, or the machine or the database failed. err: filled with rc. */
bool err_is_refusal(enum rc rc, const struct err *err);

#endif
