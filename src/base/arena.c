/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena: a list of chunks, the newest first, of which only the newest is filled. A request larger
 * than half a chunk gets a chunk of its own behind the newest. The part of a chunk that was not handed out
 * is always zero, so handing out costs no memset.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MIN = 1024, CHUNK_MAX = 65536, ALIGNMENT = _Alignof(max_align_t) };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of data */
    size_t used;
    _Alignas(max_align_t) char data[];
};

static _Noreturn void out_of_memory(void)
{
    fputs("lethe: out of memory\n", stderr);
    abort();
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size)
{
    void *grown = realloc(p, size ? size : 1);
    if (!grown)
        out_of_memory();
    return grown;
}

char *xstrdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(xcalloc(1, size), s, size);
}

/* A new chunk with room for size bytes, in its place of the list. */
static struct arena_chunk *chunk_add(struct arena *a, size_t size)
{
    size_t usual = CHUNK_MIN;
    if (a->chunk)
        usual = a->chunk->size < CHUNK_MAX ? 2 * a->chunk->size : CHUNK_MAX;
    bool is_large = size > usual / 2;
    struct arena_chunk **place = is_large && a->chunk ? &a->chunk->older : &a->chunk;
    struct arena_chunk *c = xcalloc(1, sizeof(*c) + (is_large ? size : usual));
    c->size = is_large ? size : usual;
    c->older = *place;
    *place = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    assert(size <= SIZE_MAX / 2);
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct arena_chunk *c = a->chunk;
    if (!c || c->size - c->used < rounded)
        c = chunk_add(a, rounded);
    void *p = c->data + c->used;
    c->used += rounded;
    a->used += rounded;
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / 2 / size)
        out_of_memory();
    return arena_alloc(a, n * size);
}

char *arena_strdup(struct arena *a, const char *s)
{
    if (!s)
        return NULL;
    size_t size = strlen(s) + 1;
    return memcpy(arena_alloc(a, size), s, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    if (n > 0)
        memcpy(copy, s, n);
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    assert(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    if ((size_t)n < sizeof(small))
        memcpy(text, small, (size_t)n);
    else
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    for (struct arena_chunk *c = a->chunk, *older; c; c = older) {
        older = c->older;
        explicit_bzero(c->data, c->used);
        c->used = 0;
        c->older = NULL;
        if (c != a->chunk)
            free(c);
    }
}

void arena_free(struct arena *a)
{
    arena_reset(a);
    free(a->chunk);
    *a = (struct arena){ 0 };
}
