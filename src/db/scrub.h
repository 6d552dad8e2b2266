/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes what secure_delete leaves. SQLite overwrites deleted cells. But when it balances a tree it moves
 * cells to other pages and leaves their old bytes in the room that became free: a copy of a person can stay
 * in a page, and deleting the person later does not reach it. Therefore each page of the main file is cleared
 * between its pointers and its cells while it is written; SQLite never reads that room
 * (https://www.sqlite.org/fileformat2.html, 1.6).
 */
#ifndef LETHE_DB_SCRUB_H
#define LETHE_DB_SCRUB_H

#include <stddef.h>
#include <stdint.h>

/* Other pages begin with the number of a page. Its first byte could be the kind of a tree's page only if
 * there were this many pages (with 4 KiB each, 128 GiB). */
enum { SCRUB_PAGES_MAX = 0x02000000 };

/* For any page but the first of the file. A page that belongs to no tree, or is damaged, stays as it is. */
void scrub_page(uint8_t *page, size_t len);

#endif
