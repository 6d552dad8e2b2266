/* SPDX-License-Identifier: Apache-2.0 */
/* Clears the room of a page that belongs to no cell. */
#include "db/scrub.h"

#include <string.h>

enum { INTERIOR_INDEX = 2, INTERIOR_TABLE = 5, LEAF_INDEX = 10, LEAF_TABLE = 13 };

static size_t read_16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

void scrub_page(uint8_t *page, size_t len)
{
    size_t header_len;
    switch (page[0]) {
    case INTERIOR_INDEX:
    case INTERIOR_TABLE: header_len = 12; break;
    case LEAF_INDEX:
    case LEAF_TABLE: header_len = 8; break;
    default: return; /* the page belongs to no tree */
    }
    size_t from = header_len + 2 * read_16(page + 3);
    size_t to = read_16(page + 5);
    if (to == 0)
        to = 65536;
    if (from < to && to <= len)
        memset(page + from, 0, to - from);
}
