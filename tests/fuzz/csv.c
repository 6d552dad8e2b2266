/* SPDX-License-Identifier: Apache-2.0 */
/* CSV: what was read can be written in quotes, read again, and is then the same. */
#include "fuzz.h"

#include "base/buf.h"
#include "base/csv.h"

enum { WRITTEN_MAX = 64 * 1024 * 1024 };

static void write_row(struct buf *out, const struct csv_row *row)
{
    for (unsigned i = 0; i < row->n; i++) {
        buf_add_str(out, i ? ",\"" : "\"");
        for (const char *s = row->field[i]; *s; s++) {
            if (*s == '"')
                buf_add_char(out, '"');
            buf_add_char(out, *s);
        }
        buf_add_char(out, '"');
    }
    buf_add_char(out, '\n');
}

static void check_same(const struct csv_row *one, const struct csv_row *two)
{
    assert(one->n == two->n);
    for (unsigned i = 0; i < one->n; i++)
        assert(strcmp(one->field[i], two->field[i]) == 0);
}

static void check_again(struct arena *a, const struct csv_row *row)
{
    struct csv_row again;
    struct csv csv;
    struct err err;
    struct buf text;
    buf_init(&text, WRITTEN_MAX);
    write_row(&text, row);
    csv_open(&csv, a, "again", buf_str(&text), text.len);
    enum rc rc = csv_next(&csv, a, &again, &err);
    assert(!rc);
    check_same(row, &again);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct csv_row row = { 0 };
    struct csv csv;
    struct err err;
    enum rc rc;
    unsigned line = 0;
    csv_open(&csv, &a, "people.csv", (const char *)data, size);
    while (!(rc = csv_next(&csv, &a, &row, &err)) && row.n > 0) {
        assert(row.n <= CSV_FIELDS_MAX && csv.line > line);
        line = csv.line;
        for (unsigned i = 0; i < row.n; i++)
            fuzz_check_text(row.field[i]);
        check_again(&a, &row);
    }
    if (rc)
        fuzz_check_err(rc, &err);
    arena_free(&a);
    return 0;
}
