/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people to read: columns as wide as they need, or as the terminal allows. */
#include "cli/cli.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

enum { COLUMN_GAP = 2, COLUMN_MIN = 8, TERMINAL_WIDTH = 80 };

void table_open(struct table *t, const char *const *titles)
{
    *t = (struct table){ 0 };
    for (; titles[t->n_columns]; t->n_columns++) {
        assert(t->n_columns < TABLE_COLUMNS_MAX);
        t->titles[t->n_columns] = titles[t->n_columns];
        t->width[t->n_columns] = text_count(titles[t->n_columns]);
    }
    struct winsize size;
    if (isatty(STDOUT_FILENO))
        t->max_width =
            ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : TERMINAL_WIDTH;
}

void table_add(struct table *t, const char *const *cells)
{
    if (t->n_rows == t->cap_rows) {
        t->cap_rows = t->cap_rows ? 2 * t->cap_rows : 64;
        t->cells = xrealloc(t->cells, t->cap_rows * t->n_columns * sizeof(*t->cells));
    }
    const char **row = t->cells + t->n_rows * t->n_columns;
    for (unsigned i = 0; i < t->n_columns; i++) {
        row[i] = print_harmless(&t->arena, arena_strdup(&t->arena, cells[i]));
        size_t width = text_count(row[i]);
        if (width > t->width[i])
            t->width[i] = width;
    }
    t->n_rows++;
}

/* Takes from the widest column until a line fits into the terminal. */
static void fit(struct table *t)
{
    for (;;) {
        size_t sum = 0;
        unsigned widest = 0;
        for (unsigned i = 0; i < t->n_columns; i++) {
            sum += t->width[i] + (i ? COLUMN_GAP : 0);
            widest = t->width[i] > t->width[widest] ? i : widest;
        }
        if (!t->max_width || sum <= t->max_width || t->width[widest] <= COLUMN_MIN)
            return;
        t->width[widest]--;
    }
}

static void print_cell(const char *cell, size_t width, bool last, FILE *out)
{
    size_t count = text_count(cell), len = strlen(cell);
    if (count > width) {
        len = 0;
        for (size_t n = 1; n < width; n++) /* characters that stay, before the ellipsis */
            len += text_char_len(cell + len, strlen(cell + len));
    }
    fprintf(out, "%.*s%s", (int)len, cell, count > width ? "…" : "");
    if (!last)
        fprintf(out, "%*s", (int)(COLUMN_GAP + (count < width ? width - count : 0)), "");
}

static void print_row(const struct table *t, const char *const *cells, FILE *out)
{
    unsigned n = t->n_columns;
    while (n > 1 && !cells[n - 1][0])
        n--;
    for (unsigned i = 0; i < n; i++)
        print_cell(cells[i], t->width[i], i + 1 == n, out);
    fputc('\n', out);
}

void table_print(struct table *t, FILE *out)
{
    fit(t);
    if (!t->titled)
        print_row(t, t->titles, out);
    t->titled = true;
    for (size_t i = 0; i < t->n_rows; i++)
        print_row(t, t->cells + i * t->n_columns, out);
    t->n_rows = 0;
    arena_reset(&t->arena);
}

void table_close(struct table *t)
{
    free(t->cells);
    arena_free(&t->arena);
    *t = (struct table){ 0 };
}
