/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV. A row is read field by field. A field ends at a comma or a line end, a quoted field at its closing
 * quote; so only a quoted field can contain a comma, a quote or a line end. A carriage return ends a line,
 * with or without a line feed after it.
 */
#include "base/csv.h"

#include <string.h>

#include "base/text.h"

void csv_open(struct csv *csv, const char *name, const char *text, size_t len)
{
    static const char bom[] = "\xEF\xBB\xBF";
    *csv = (struct csv){ .name = name, .at = text, .end = text + len, .line = 1, .next_line = 1 };
    if (len >= 3 && memcmp(text, bom, 3) == 0)
        csv->at += 3;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool at_row_end(const struct csv *csv)
{
    return csv->at == csv->end || *csv->at == '\n' || *csv->at == '\r';
}

static void skip_spaces(struct csv *csv)
{
    while (csv->at < csv->end && is_space(*csv->at))
        csv->at++;
}

static void skip_line_end(struct csv *csv)
{
    if (csv->at == csv->end)
        return;
    bool pair = *csv->at == '\r' && csv->end - csv->at > 1 && csv->at[1] == '\n';
    csv->at += pair ? 2 : 1;
    csv->next_line++;
}

static void skip_blank_lines(struct csv *csv)
{
    while (csv->at < csv->end) {
        const char *start = csv->at;
        skip_spaces(csv);
        if (!at_row_end(csv)) {
            csv->at = start;
            return;
        }
        skip_line_end(csv);
    }
}

static enum rc bad(const struct csv *csv, struct err *err, const char *what)
{
    return err_set(err, RC_INVALID, "%s:%u: %s", csv->name, csv->line, what);
}

/* The closing quote of the field whose text begins at csv->at; two quotes together are text. NULL: none. */
static const char *closing_quote(const struct csv *csv)
{
    for (const char *p = csv->at; p < csv->end; p++) {
        if (*p != '"')
            continue;
        if (csv->end - p == 1 || p[1] != '"')
            return p;
        p++;
    }
    return NULL;
}

/* Reads a quoted field from after its opening quote, and moves past the spaces after the closing quote. */
static enum rc take_quoted(struct csv *csv, struct arena *a, const char **out, size_t *len, struct err *err)
{
    const char *close = closing_quote(csv);
    if (!close)
        return bad(csv, err, "a quote is not closed");
    char *to = arena_alloc(a, (size_t)(close - csv->at) + 1);
    *out = to;
    for (const char *p = csv->at; p < close; p++) {
        csv->next_line += *p == '\n';
        p += *p == '"';
        *to++ = *p;
    }
    *len = (size_t)(to - *out);
    csv->at = close + 1;
    skip_spaces(csv);
    if (!at_row_end(csv) && *csv->at != ',')
        return bad(csv, err, "text after a closing quote");
    return RC_OK;
}

static enum rc take_field(struct csv *csv, struct arena *a, const char **out, struct err *err)
{
    size_t len = 0;
    skip_spaces(csv);
    const char *start = csv->at;
    if (start < csv->end && *start == '"') {
        csv->at++;
        enum rc rc = take_quoted(csv, a, out, &len, err);
        if (rc)
            return rc;
    } else {
        while (!at_row_end(csv) && *csv->at != ',')
            csv->at++;
        len = (size_t)(csv->at - start);
        while (len > 0 && is_space(start[len - 1]))
            len--;
        *out = arena_strndup(a, start, len);
    }
    if (memchr(*out, '\0', len))
        return bad(csv, err, "a NUL character");
    return text_is_utf8(*out, len) ? RC_OK : bad(csv, err, "not UTF-8");
}

enum rc csv_next(struct csv *csv, struct arena *a, struct csv_row *row, struct err *err)
{
    *row = (struct csv_row){ 0 };
    skip_blank_lines(csv);
    csv->line = csv->next_line;
    if (csv->at == csv->end)
        return RC_OK;
    for (;;) {
        if (row->n == CSV_FIELDS_MAX)
            return bad(csv, err, "too many fields");
        enum rc rc = take_field(csv, a, &row->field[row->n++], err);
        if (rc)
            return rc;
        if (at_row_end(csv))
            break;
        csv->at++;
    }
    skip_line_end(csv);
    return RC_OK;
}

/* ---- writing ---- */

void csv_put(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    bool has_blank_end = len > 0 && (text[0] == ' ' || text[len - 1] == ' ');
    bool is_formula = len > 0 && strchr("=+-@\t\r", text[0]);
    bool quoted = has_blank_end || strpbrk(text, ",\"\r\n\t");
    if (quoted)
        buf_add_char(out, '"');
    if (is_formula)
        buf_add_char(out, '\'');
    for (; *text; text++) {
        if (*text == '"')
            buf_add_char(out, '"');
        buf_add_char(out, *text);
    }
    if (quoted)
        buf_add_char(out, '"');
}
