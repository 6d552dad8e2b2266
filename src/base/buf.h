/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that grows, up to a ceiling. Append freely and check `over` once at the end: what goes past the
 * ceiling is cut off, and from then on nothing is appended.
 */
#ifndef LETHE_BASE_BUF_H
#define LETHE_BASE_BUF_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that many texts share, from any thread. A text of up to BUF_SMALL bytes takes nothing of it. */
struct buf_budget {
    size_t max; /* bytes */
    atomic_size_t used;
};
enum { BUF_SMALL = 64 * 1024 };

struct buf {
    char *data; /* terminated; NULL until something was added */
    size_t len; /* bytes, without the terminator */
    size_t cap;
    size_t max;                /* the ceiling in bytes */
    struct buf_budget *budget; /* set it while the text is empty; NULL: none */
    bool over;                 /* something did not fit; a character may have been split */
    bool starved;              /* over, because other texts use up the budget */
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* gives back its share of the budget */
void buf_reset(struct buf *b); /* empty, memory kept, over cleared */

void buf_add(struct buf *b, const void *data, size_t len);
/* The same, for the caller to write: adds len bytes and returns where they are, until the next change. NULL
 * when they do not fit: then nothing is added. */
char *buf_add_room(struct buf *b, size_t len);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_int(struct buf *b, int64_t n);
/* As it stands in a URL's path or query, or a form: everything but A-Za-z0-9-_.~ as %XX. */
void buf_add_url(struct buf *b, const char *s, size_t len);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *buf_str(const struct buf *b); /* "" when empty; borrowed until the next change */

#endif
