/* SPDX-License-Identifier: Apache-2.0 */
/* The growing text: room doubles, and never exceeds the ceiling and one byte for the terminator. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { CAP_MIN = 128, CAP_STEP = 1024 * 1024 };

void buf_init(struct buf *b, size_t max)
{
    assert(max < SIZE_MAX / 2);
    *b = (struct buf){ .max = max };
}

/* A text of BUF_SMALL bytes may have room for twice as many. */
static size_t share_of(size_t cap)
{
    return cap > 2 * BUF_SMALL ? cap : 0;
}

/* Returns false when the budget does not have so much room. */
static bool take_share(struct buf *b, size_t cap)
{
    if (!b->budget)
        return true;
    size_t more = share_of(cap) - share_of(b->cap);
    if (more == 0)
        return true;
    if (atomic_fetch_add(&b->budget->used, more) + more <= b->budget->max)
        return true;
    atomic_fetch_sub(&b->budget->used, more);
    return false;
}

void buf_free(struct buf *b)
{
    if (b->budget)
        atomic_fetch_sub(&b->budget->used, share_of(b->cap));
    free(b->data);
    *b = (struct buf){ .max = b->max, .budget = b->budget };
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->over = b->starved = false;
    if (b->data)
        b->data[0] = '\0';
}

/* Room for extra bytes and the terminator; extra fits below the ceiling. What has no room for twice as much
 * in its budget grows by steps. */
static bool grow(struct buf *b, size_t extra)
{
    size_t need = b->len + extra + 1, most = b->max + 1;
    size_t cap = b->cap ? 2 * b->cap : CAP_MIN;
    if (cap < need)
        cap = need;
    cap = cap < most ? cap : most;
    if (!take_share(b, cap)) {
        cap = need + CAP_STEP < most ? need + CAP_STEP : most;
        if (!take_share(b, cap)) {
            b->over = b->starved = true;
            return false;
        }
    }
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (b->over || len == 0)
        return;
    if (len > b->max - b->len) {
        b->over = true;
        len = b->max - b->len;
    }
    if (b->len + len >= b->cap && !grow(b, len))
        return;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

char *buf_add_room(struct buf *b, size_t len)
{
    if (b->over || len > b->max - b->len)
        return NULL;
    if (b->len + len >= b->cap && !grow(b, len))
        return NULL;
    char *room = b->data + b->len;
    b->len += len;
    b->data[b->len] = '\0';
    return room;
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
    if (b->len + 1 >= b->cap || b->over) {
        buf_add(b, &c, 1);
        return;
    }
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_add_int(struct buf *b, int64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (n < 0)
        digits[--at] = '-';
    buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_add_url(struct buf *b, const char *s, size_t len)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c && strchr(plain, c)) {
            buf_add_char(b, (char)c);
        } else {
            const char escape[3] = { '%', digits[c >> 4], digits[c & 15] };
            buf_add(b, escape, sizeof(escape));
        }
    }
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    assert(n >= 0);
    if ((size_t)n < sizeof(small)) {
        buf_add(b, small, (size_t)n);
    } else {
        char *large = xcalloc(1, (size_t)n + 1);
        vsnprintf(large, (size_t)n + 1, fmt, again);
        buf_add(b, large, (size_t)n);
        free(large);
    }
    va_end(again);
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}
