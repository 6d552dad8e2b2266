/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that belongs to a piece of work. A request has an arena, a driver's step has an arena;
 * results live in the arena that was passed, and are freed with it, all at once.
 *
 * Out of memory ends the process: input is bounded instead (buf.h, limits of http/).
 */
#ifndef LETHE_BASE_ARENA_H
#define LETHE_BASE_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_chunk *chunk; /* the newest; older ones behind it */
    size_t used;               /* bytes handed out in all */
};

/* An arena is ready when zeroed: struct arena a = {0}. */
void *arena_alloc(struct arena *a, size_t size);               /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t n, size_t size);     /* n * size, checked against overflow */
char *arena_strdup(struct arena *a, const char *s);            /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n); /* always terminated */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void arena_reset(struct arena *a); /* wipes and frees everything but one chunk, which is used again */
void arena_free(struct arena *a);  /* wipes and frees everything; the arena is as new */

/* For the few things that live long. Like arenas, these never return NULL. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define XNEW(type)         ((type *)xcalloc(1, sizeof(type)))

#endif
