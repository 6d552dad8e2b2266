/* SPDX-License-Identifier: Apache-2.0 */
/* Clears the room of a page that belongs to no cell. */
#include "db/scrub.h"

#include <string.h>

enum { INTERIOR_INDEX = 2, INTERIOR_TABLE = 5, LEAF_INDEX = 10, LEAF_TABLE = 13 };

/* 0: the page belongs to no tree. */
static size_t header_len(uint8_t kind)
{
    switch (kind) {
    case INTERIOR_INDEX:
    case INTERIOR_TABLE: return 12;
    case LEAF_INDEX:
    case LEAF_TABLE: return 8;
    }
    return 0;
}

static size_t read_16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

void scrub_page(uint8_t *page, size_t len)
{
    size_t header = header_len(page[0]);
    if (header == 0)
        return;
    size_t from = header + 2 * read_16(page + 3);
    size_t to = read_16(page + 5);
    if (to == 0)
        to = 65536;
    if (from < to && to <= len)
        memset(page + from, 0, to - from);
}
