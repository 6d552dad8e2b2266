/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV. A row is read field by field. A field ends at a separator or a line end, a quoted field at its
 * closing quote; so only a quoted field can contain a separator, a quote or a line end. A carriage return
 * ends a line, with or without a line feed after it.
 */
#include "base/csv.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* ---- the form of a file ---- */

static unsigned unit_at(const unsigned char *text, bool big_endian)
{
    return big_endian ? (unsigned)text[0] << 8 | text[1] : (unsigned)text[1] << 8 | text[0];
}

/* A half of a pair alone and half a unit become bytes that are not UTF-8, and are refused in their line. */
static const char *from_utf16(struct arena *a, const char *text, size_t *len, bool big_endian)
{
    const unsigned char *from = (const unsigned char *)text;
    size_t n = *len / 2;
    char *out = arena_alloc(a, 3 * n + 2), *to = out;
    for (size_t i = 0; i < n; i++) {
        unsigned unit = unit_at(from + 2 * i, big_endian);
        unsigned next = i + 1 < n ? unit_at(from + 2 * i + 2, big_endian) : 0;
        bool is_pair = (unit & 0xFC00) == 0xD800 && (next & 0xFC00) == 0xDC00;
        to = text_put_char(to, is_pair ? 0x10000 + ((unit & 0x3FF) << 10) + (next & 0x3FF) : unit);
        i += is_pair;
    }
    if (*len % 2)
        *to++ = '\xFF';
    *len = (size_t)(to - out);
    return out;
}

static const char *to_utf8(struct arena *a, const char *text, size_t *len)
{
    static const char mark[] = "\xEF\xBB\xBF";
    bool little = *len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || (text[0] && !text[1]));
    bool big = *len >= 2 && (memcmp(text, "\xFE\xFF", 2) == 0 || (!text[0] && text[1]));
    if (little || big)
        text = from_utf16(a, text, len, big);
    if (*len < 3 || memcmp(text, mark, 3) != 0)
        return text;
    *len -= 3;
    return text + 3;
}

/* Takes the first line "sep=;" that some spreadsheets write. */
static bool take_separator(struct csv *csv)
{
    if (csv->end - csv->at < 5 || strncasecmp(csv->at, "sep=", 4) != 0 ||
        (!ispunct((unsigned char)csv->at[4]) && csv->at[4] != '\t') || csv->at[4] == '"')
        return false;
    const char *after = csv->at + 5;
    if (after < csv->end && *after != '\n' && *after != '\r')
        return false;
    csv->separator = csv->at[4];
    csv->at = after;
    return true;
}

/* The first of the three outside of quotes; a tab that only stands beside another one, or at the end, is a
 * blank. */
static char find_separator(const struct csv *csv)
{
    bool quoted = false;
    const char *s = csv->at;
    while (s < csv->end && (*s == '\n' || *s == '\r' || *s == ' ' || *s == '\t'))
        s++;
    for (; s < csv->end && (quoted || (*s != '\n' && *s != '\r')); s++) {
        quoted ^= *s == '"';
        if (quoted)
            continue;
        const char *next = s + 1;
        while (next < csv->end && (*next == ' ' || *next == '\t'))
            next++;
        bool is_blank = next == csv->end || strchr(",;\r\n", *next);
        if (*s == ',' || *s == ';' || (*s == '\t' && !is_blank))
            return *s;
    }
    return ',';
}

void csv_open(struct csv *csv, struct arena *a, const char *name, const char *text, size_t len)
{
    text = to_utf8(a, text, &len);
    *csv = (struct csv){ .name = name, .at = text, .end = text + len, .line = 1, .next_line = 1 };
    if (!take_separator(csv))
        csv->separator = find_separator(csv);
}

/* ---- reading ---- */

static bool at_row_end(const struct csv *csv)
{
    return csv->at == csv->end || *csv->at == '\n' || *csv->at == '\r';
}

static void skip_spaces(struct csv *csv)
{
    while (csv->at < csv->end && (*csv->at != '\t' || csv->separator != '\t')) {
        size_t n = text_blank_len(csv->at, (size_t)(csv->end - csv->at));
        if (n == 0)
            return;
        csv->at += n;
    }
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
    if (!at_row_end(csv) && *csv->at != csv->separator)
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
        while (!at_row_end(csv) && *csv->at != csv->separator)
            csv->at++;
        len = (size_t)(csv->at - start);
        start = text_trim(start, &len);
        *out = arena_strndup(a, start, len);
    }
    if (memchr(*out, '\0', len))
        return bad(csv, err, "a NUL character");
    return text_is_utf8(*out, len) ? RC_OK : bad(csv, err, "not UTF-8: save the file as \"CSV UTF-8\"");
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
