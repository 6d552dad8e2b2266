/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What secure_delete leaves behind. SQLite overwrites what is deleted, but when it balances a tree it moves
 * cells to other pages and leaves their old bytes in the room that became free: so a copy of somebody can
 * stay in a page that they no longer belong to, and deleting them later does not find it. Therefore each page
 * of the main file is cleared between its pointers and its cells while it is written; nothing that SQLite
 * looks at is there (https://www.sqlite.org/fileformat2.html, 1.6).
 */
#ifndef LETHE_DB_SCRUB_H
#define LETHE_DB_SCRUB_H

#include <stddef.h>
#include <stdint.h>

/* Other kinds of pages begin with the number of a page. It cannot be taken for the kind of a tree's page
 * while there are fewer pages than this (with 4 KiB each, 128 GiB). */
enum { SCRUB_PAGES_MAX = 0x02000000 };

/* Any page but the first of the file. A page that is none of a tree, or damaged, stays as it is. */
void scrub_page(uint8_t *page, size_t len);

#endif
