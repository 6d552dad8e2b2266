/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of people in a CSV file, with or without a header row, and requests of a bounded size made from them.
 * An error names a row by its line and never tells personal data. */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/text.h"

enum {
    PEOPLE_FILE_MAX = 512 * 1024 * 1024,
    PEOPLE_CHUNK_ROWS = 1000,        /* the server takes no more in one request */
    PEOPLE_CHUNK_BYTES = 512 * 1024, /* well below HTTP_BODY_MAX: the last row goes beyond */
    USERNAME_MAX = 150,              /* characters */
    EMAIL_MAX = 254,
    NAME_MAX_CHARS = 255
};

enum { TITLES_MAX = 6 };

/* What a column is called, the best title first; case, spaces, _ and - make no difference. */
static const char *const titles[PEOPLE_COLUMNS][TITLES_MAX] = {
    [PEOPLE_USERNAME] = { "username", "original username", "user" },
    [PEOPLE_EMAIL] = { "email", "user email", "email address", "original email", "user email address" },
    [PEOPLE_NAME] = { "name", "full name", "original name", "display name" },
    [PEOPLE_ORGS] = { "orgs", "org", "organizations", "organisations", "organization", "organisation" },
    [PEOPLE_ID] = { "account id", "user id", "lms user id" },
};

/* Which field of a row is which column; -1: there is none. */
struct layout {
    int field[PEOPLE_COLUMNS];
    unsigned min_fields, max_fields;
};

static bool is_title(const char *field, const char *title)
{
    static const char ignored[] = " _-";
    for (;; field++, title++) {
        field += strspn(field, ignored);
        title += strspn(title, ignored);
        if (tolower((unsigned char)*field) != *title)
            return false;
        if (!*field)
            return true;
    }
}

static int find_column(const struct csv_row *row, enum people_column column)
{
    for (unsigned t = 0; t < TITLES_MAX && titles[column][t]; t++)
        for (unsigned i = 0; i < row->n; i++)
            if (is_title(row->field[i], titles[column][t]))
                return (int)i;
    return -1;
}

/* Blanks within quotes belong to a text, but not to a name. False: nothing is left of the row. */
static bool trim_row(struct arena *a, struct csv_row *row)
{
    bool is_filled = false;
    for (unsigned i = 0; i < row->n; i++) {
        size_t len = strlen(row->field[i]), trimmed = len;
        const char *start = text_trim(row->field[i], &trimmed);
        if (trimmed < len)
            row->field[i] = arena_strndup(a, start, trimmed);
        is_filled = is_filled || trimmed > 0;
    }
    return is_filled;
}

/* The titles of a header say which field is which, otherwise their order does. Returns true for a header. */
static bool read_layout(const struct csv_row *first, unsigned columns, struct layout *out)
{
    bool header = find_column(first, PEOPLE_USERNAME) >= 0 && find_column(first, PEOPLE_EMAIL) >= 0;
    for (enum people_column c = 0; c < PEOPLE_COLUMNS; c++) {
        int field = header ? find_column(first, c) : (int)c;
        out->field[c] = c < columns ? field : -1;
    }
    out->min_fields = header ? 1 : 2;
    out->max_fields = header ? first->n : columns;
    return header;
}

static enum rc check_length(const char *where, unsigned line, const char *what, const char *value, size_t max,
                            struct err *err)
{
    if (value && text_count(value) > max)
        return err_set(err, RC_INVALID, "%s:%u: the %s has more than %zu characters", where, line, what, max);
    return RC_OK;
}

static enum rc check_row(const char *name, const struct people_row *row, struct err *err)
{
    const char *username = row->field[PEOPLE_USERNAME];
    const char *email = row->field[PEOPLE_EMAIL];
    if (!username)
        return err_set(err, RC_INVALID, "%s:%u: the user name is empty", name, row->line);
    if (!email)
        return err_set(err, RC_INVALID, "%s:%u: the e-mail address is empty", name, row->line);
    if (!strchr(email, '@'))
        return err_set(err, RC_INVALID,
                       "%s:%u: the e-mail address has no @ (if this is a header row, it must have "
                       "the columns username and email)",
                       name, row->line);
    enum rc rc = check_length(name, row->line, "user name", username, USERNAME_MAX, err);
    if (!rc)
        rc = check_length(name, row->line, "e-mail address", email, EMAIL_MAX, err);
    if (!rc)
        rc = check_length(name, row->line, "name", row->field[PEOPLE_NAME], NAME_MAX_CHARS, err);
    return rc;
}

static enum rc take_row(const char *name, unsigned line, const struct csv_row *csv,
                        const struct layout *layout, struct people_row *out, struct err *err)
{
    unsigned n = csv->n;
    while (n > layout->max_fields && !csv->field[n - 1][0]) /* spreadsheets fill rows up */
        n--;
    if (n < layout->min_fields || n > layout->max_fields)
        return err_set(err, RC_INVALID, "%s:%u: has %u columns and should have %u to %u", name, line, n,
                       layout->min_fields, layout->max_fields);
    *out = (struct people_row){ .line = line };
    for (unsigned c = 0; c < PEOPLE_COLUMNS; c++) {
        int i = layout->field[c];
        if (i >= 0 && (unsigned)i < csv->n && csv->field[i][0])
            out->field[c] = csv->field[i];
    }
    return check_row(name, out, err);
}

/* Makes room for one more row; in the arena, so that a file of n rows costs 2n. */
static struct people_row *add_row(struct arena *a, struct people *people, size_t *cap)
{
    if (people->n == *cap) {
        *cap = *cap ? 2 * *cap : 256;
        struct people_row *rows = arena_array(a, *cap, sizeof(*rows));
        if (people->n)
            memcpy(rows, people->rows, people->n * sizeof(*rows));
        people->rows = rows;
    }
    return &people->rows[people->n];
}

enum rc people_file_parse(struct arena *a, const char *name, const char *text, size_t len, unsigned columns,
                          struct people *out, struct err *err)
{
    struct csv csv;
    struct csv_row row;
    struct layout layout = { 0 };
    size_t cap = 0;
    *out = (struct people){ 0 };
    csv_open(&csv, a, name, text, len);
    for (bool first = true;;) {
        enum rc rc = csv_next(&csv, a, &row, err);
        if (rc)
            return rc;
        if (row.n == 0)
            break;
        if (!trim_row(a, &row))
            continue;
        bool is_header = first && read_layout(&row, columns, &layout);
        first = false;
        if (is_header)
            continue;
        rc = take_row(name, csv.line, &row, &layout, add_row(a, out, &cap), err);
        if (rc)
            return rc;
        out->n++;
    }
    if (out->n == 0)
        return err_set(err, RC_INVALID, "%s: the file has no people", name);
    return RC_OK;
}

enum rc people_file_read(struct arena *a, const char *path, unsigned columns, struct people *out,
                         struct err *err)
{
    char *text;
    size_t len;
    enum rc rc = file_read(a, path, PEOPLE_FILE_MAX, &text, &len, err);
    if (rc == RC_NOT_FOUND) /* wrong usage: "not found" is for people */
        return err_set(err, RC_INVALID, "%s", err->text);
    if (rc)
        return rc;
    return people_file_parse(a, path, text, len, columns, out, err);
}

size_t people_file_put_chunk(struct arena *a, const struct people *people, size_t from, people_put_fn *put,
                             struct json_out *o)
{
    size_t i = from;
    json_open_list(o);
    for (; i < people->n && i - from < PEOPLE_CHUNK_ROWS && o->buf->len < PEOPLE_CHUNK_BYTES; i++)
        put(a, o, &people->rows[i]);
    json_close_list(o);
    return i;
}
