/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A template is a chain of pieces: fixed text, which is encoded already, and places. Rendering copies the
 * fixed text and encodes the values of the places.
 */
#include "config/template.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "config/foreign.h"

static const char *const place_names[] = {
#define X(name) #name,
    TEMPLATE_PLACES(X)
#undef X
        NULL
};

static const size_t place_offsets[] = {
#define X(name) offsetof(struct template_values, name),
    TEMPLATE_PLACES(X)
#undef X
};

enum {
    PLACES_N = sizeof(place_offsets) / sizeof(place_offsets[0]),
    FIXED = -1,
    FILTERS_MAX = 8, /* of one place */
    SHOWN_MAX = 40,  /* bytes of a wrong name in an error */
    TEMPLATE_TEXT_MAX = 1024 * 1024
};

struct piece {
    int place;        /* index into place_names; from PLACES_N on into values.more; or FIXED */
    bool number;      /* stands outside of a string */
    const char *text; /* FIXED: the text; else the name of the place */
    size_t len;
    const char *suffix; /* its filters as they are written: ":lower:md5"; "" if there are none */
    int filters[FILTERS_MAX];
    int n_filters;
    struct piece *next;
};

struct template
{
    enum template_kind kind;
    struct piece *first, *last;
};

/* ---- filters ---- */

static const char *hex(struct arena *a, const uint8_t *digest, size_t len)
{
    char *text = arena_alloc(a, 2 * len + 1);
    crypto_hex(digest, len, text);
    return text;
}

static const char *filter_lower(struct arena *a, const char *s)
{
    return text_lower(a, s);
}

static const char *filter_md5(struct arena *a, const char *s)
{
    uint8_t digest[CRYPTO_MD5_LEN];
    crypto_md5(s, strlen(s), digest);
    return hex(a, digest, sizeof(digest));
}

static const char *filter_sha1(struct arena *a, const char *s)
{
    uint8_t digest[CRYPTO_SHA1_LEN];
    crypto_sha1(s, strlen(s), NULL, 0, digest);
    return hex(a, digest, sizeof(digest));
}

static const char *filter_sha256(struct arena *a, const char *s)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_sha256(s, strlen(s), digest);
    return hex(a, digest, sizeof(digest));
}

static const char *filter_base64(struct arena *a, const char *s)
{
    size_t len = strlen(s);
    char *coded = arena_alloc(a, (len + 2) / 3 * 4 + 1);
    crypto_base64((const uint8_t *)s, len, coded);
    return coded;
}

static const char *filter_quoted(struct arena *a, const char *s)
{
    char *quoted = arena_alloc(a, 2 * strlen(s) + 1), *to = quoted;
    for (; *s; s++) {
        if (strchr("'\"\\", *s))
            *to++ = '\\';
        *to++ = *s;
    }
    return quoted;
}

static const char *filter_url(struct arena *a, const char *s)
{
    struct buf coded;
    buf_init(&coded, 3 * strlen(s));
    buf_add_url(&coded, s, strlen(s));
    const char *kept = arena_strndup(a, buf_str(&coded), coded.len);
    buf_free(&coded);
    return kept;
}

static const char *const filter_names[] = {
#define X(name) #name,
    TEMPLATE_FILTERS(X)
#undef X
        NULL
};

static const char *(*const filters[])(struct arena *a, const char *s) = {
#define X(name) filter_##name,
    TEMPLATE_FILTERS(X)
#undef X
};

enum {
#define X(name) FILTER_##name,
    TEMPLATE_FILTERS(X)
#undef X
};

/* ---- making ---- */

void template_begin(struct template_maker *m, struct arena *a, enum template_kind kind)
{
    *m = (struct template_maker){ .arena = a, .made = ARENA_NEW(a, struct template) };
    m->made->kind = kind;
}

static struct piece *add_piece(struct template_maker *m, int place)
{
    struct piece *piece = ARENA_NEW(m->arena, struct piece);
    piece->place = place;
    if (!m->made->last)
        m->made->first = piece;
    else
        m->made->last->next = piece;
    m->made->last = piece;
    return piece;
}

static void add_fixed(struct template_maker *m, const char *text, size_t len)
{
    if (len == 0)
        return;
    struct piece *piece = add_piece(m, FIXED);
    piece->text = arena_strndup(m->arena, text, len);
    piece->len = len;
}

void template_add_fixed(struct template_maker *m, const char *text)
{
    add_fixed(m, text, strlen(text));
}

static void encode_xml(struct buf *out, const char *s, size_t len)
{
    for (const char *end = s + len; s < end; s++) {
        /* In an attribute a line end would be read as a blank. */
        if (strchr("&<>\"'\t\r\n", *s))
            buf_printf(out, "&#%d;", *s);
        else
            buf_add_char(out, *s);
    }
}

static void encode(enum template_kind kind, struct buf *out, const char *s, size_t len)
{
    switch (kind) {
    case TEMPLATE_URL:
    case TEMPLATE_FORM: buf_add_url(out, s, len); break;
    case TEMPLATE_JSON: json_escape(out, s, len); break;
    case TEMPLATE_SQL: buf_add_char(out, '?'); break;
    case TEMPLATE_XML: encode_xml(out, s, len); break;
    case TEMPLATE_HEADER:
    case TEMPLATE_TEXT: buf_add(out, s, len); break;
    }
}

/* The operator's own text. Operators write a path, SQL and XML as they are sent; other texts are encoded like
 * values. */
static void add_text(struct template_maker *m, const char *text, size_t len)
{
    if (m->made->kind == TEMPLATE_URL || m->made->kind == TEMPLATE_SQL || m->made->kind == TEMPLATE_XML) {
        add_fixed(m, text, len);
        return;
    }
    struct buf encoded;
    buf_init(&encoded, 6 * TEMPLATE_TEXT_MAX);
    encode(m->made->kind, &encoded, text, len);
    add_fixed(m, buf_str(&encoded), encoded.len);
    buf_free(&encoded);
}

static bool is_name(const char *name, const char *s, size_t len)
{
    return strncmp(name, s, len) == 0 && !name[len];
}

/* s: the name, of len bytes. */
static int find_place(const struct template_maker *m, const char *s, size_t len)
{
    for (int i = 0; i < PLACES_N; i++)
        if (is_name(place_names[i], s, len))
            return i;
    for (size_t i = 0; m->more && i < m->more->n; i++)
        if (is_name(m->more->name[i], s, len))
            return PLACES_N + (int)i;
    return FIXED;
}

bool template_knows(const struct template_maker *m, const char *name)
{
    return find_place(m, name, strcspn(name, ":")) != FIXED;
}

/* All names of places, NULL at the end. */
static void list_names(const struct template_maker *m, const char *names[PLACES_N + TEMPLATE_MORE_MAX + 1])
{
    size_t n = 0;
    for (; n < PLACES_N; n++)
        names[n] = place_names[n];
    for (size_t i = 0; m->more && i < m->more->n; i++)
        names[n++] = m->more->name[i];
    names[n] = NULL;
}

static enum rc refuse_name(const struct template_maker *m, const char *name, struct err *err)
{
    int shown = (int)text_cut(name, strlen(name), SHOWN_MAX);
    const char *dots = name[shown] ? "..." : "";
    const char *names[PLACES_N + TEMPLATE_MORE_MAX + 1];
    list_names(m, names);
    const char *nearest = text_nearest(name, names);
    if (nearest)
        return err_set(err, RC_INVALID, "there is no {%.*s%s}: did you mean {%s}?", shown, name, dots,
                       nearest);
#define X(place) ", {" #place "}"
    static const char all[] = TEMPLATE_PLACES(X);
#undef X
    return err_set(err, RC_INVALID, "there is no {%.*s%s}: there are %s; a brace is written {{", shown, name,
                   dots, all + strlen(", "));
}

/* name: the filter, as it is written. */
static enum rc refuse_filter(const struct template_maker *m, const char *place, const char *name,
                             struct err *err)
{
#define X(filter) ", " #filter
    static const char all[] = TEMPLATE_FILTERS(X);
#undef X
    const char *shown = text_brief(m->arena, name), *near = text_nearest(name, filter_names);
    if (near)
        return err_set(err, RC_INVALID, "{%s:%s}: there is no filter \"%s\"; did you mean %s?", place, shown,
                       shown, near);
    return err_set(err, RC_INVALID, "{%s:%s}: there is no filter \"%s\"; there are %s", place, shown, shown,
                   all + strlen(", "));
}

/* at: behind the first colon, up to the closing brace. */
static enum rc read_filters(struct template_maker *m, struct piece *piece, const char *at, struct err *err)
{
    for (;; at++) {
        size_t len = strcspn(at, ":}");
        int i = 0;
        while (filter_names[i] && !is_name(filter_names[i], at, len))
            i++;
        if (!filter_names[i])
            return refuse_filter(m, piece->text, arena_strndup(m->arena, at, len), err);
        if (piece->n_filters == FILTERS_MAX)
            return err_set(err, RC_INVALID, "{%s}: more than %d filters", piece->text, FILTERS_MAX);
        if (i == FILTER_md5 && !crypto_has_md5())
            return err_set(err, RC_INVALID, "{%s:md5}: this system's OpenSSL does not permit MD5",
                           piece->text);
        if (i == FILTER_quoted && m->made->kind == TEMPLATE_SQL)
            return err_set(err, RC_INVALID,
                           "{%s:quoted}: a value is bound to a statement, never put into it: {%s} is enough",
                           piece->text, piece->text);
        piece->filters[piece->n_filters++] = i;
        at += len;
        if (*at == '}')
            return RC_OK;
    }
}

/* at: behind the opening brace. *rest: behind the closing one. */
static enum rc add_place(struct template_maker *m, const char *at, const char **rest, struct err *err)
{
    size_t len = strcspn(at, "{}"), name_len = strcspn(at, ":{}");
    if (at[len] != '}')
        return err_set(err, RC_INVALID, "{ without }: to send a brace, write {{");
    const char *name = arena_strndup(m->arena, at, name_len);
    int place = find_place(m, name, name_len);
    if (place == FIXED)
        return refuse_name(m, name, err);
    struct piece *piece = add_piece(m, place);
    piece->text = name;
    piece->suffix = arena_strndup(m->arena, at + name_len, len - name_len);
    *rest = at + len + 1;
    return name_len < len ? read_filters(m, piece, at + name_len + 1, err) : RC_OK;
}

/* . or .. between two slashes leads to another place, encoded or not. */
static bool has_dot_segment(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/?");
        if ((len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
            return true;
        if (path[len] != '/')
            return false;
        path += len + 1;
    }
}

static enum rc refuse_foreign(const struct template_maker *m, const char *text, struct err *err)
{
    const char *names[PLACES_N + TEMPLATE_MORE_MAX + 1];
    struct foreign found;
    static const enum foreign_in in[] = {
        [TEMPLATE_URL] = FOREIGN_IN_QUERY,  [TEMPLATE_SQL] = FOREIGN_IN_QUERY,
        [TEMPLATE_FORM] = FOREIGN_IN_DATA,  [TEMPLATE_JSON] = FOREIGN_IN_DATA,
        [TEMPLATE_XML] = FOREIGN_IN_XML,    [TEMPLATE_HEADER] = FOREIGN_IN_WORDS,
        [TEMPLATE_TEXT] = FOREIGN_IN_WORDS,
    };
    list_names(m, names);
    if (!foreign_find(m->arena, text, names, in[m->made->kind], &found))
        return RC_OK;
    return err_set(err, RC_INVALID, "%s is a place of other tools, and would not be filled in: write {%s}",
                   found.written, found.meant);
}

enum rc template_add(struct template_maker *m, const char *text, struct err *err)
{
    enum rc rc = refuse_foreign(m, text, err);
    if (rc)
        return rc;
    if (m->made->kind == TEMPLATE_URL && has_dot_segment(text))
        return err_set(err, RC_INVALID, "a part of the path is . or ..");
    while (!rc && *text) {
        size_t len = strcspn(text, "{}");
        add_text(m, text, len);
        text += len;
        if (!*text)
            break;
        if (text[0] == text[1]) {
            add_text(m, text, 1);
            text += 2;
        } else if (text[0] == '}') {
            rc = err_set(err, RC_INVALID, "} without {: to send a brace, write }}");
        } else {
            rc = add_place(m, text + 1, &text, err);
        }
    }
    return rc;
}

enum rc template_add_number(struct template_maker *m, const char *name, struct err *err)
{
    size_t len = strcspn(name, ":");
    int place = find_place(m, name, len);
    assert(place != FIXED);
    /* user_id and retirement_id are numbers; the kind of a captured value is not known yet. */
    if (name[len] || (place < PLACES_N && strcmp(name, "user_id") != 0 && strcmp(name, "retirement_id") != 0))
        return err_set(err, RC_INVALID, "{%s} is a text: write \"{%s}\"", name, name);
    struct piece *piece = add_piece(m, place);
    piece->text = arena_strdup(m->arena, name);
    piece->suffix = "";
    piece->number = true;
    return RC_OK;
}

const struct template *template_end(struct template_maker *m)
{
    const struct template *made = m->made;
    m->made = NULL;
    return made;
}

enum rc template_compile(struct arena *a, enum template_kind kind, const char *text,
                         const struct template **out, struct err *err)
{
    struct template_maker m;
    template_begin(&m, a, kind);
    enum rc rc = template_add(&m, text, err);
    if (!rc)
        *out = template_end(&m);
    return rc;
}

static bool tells_person(int place, const bool *more)
{
    if (place == FIXED)
        return false;
    return place < PLACES_N ? strcmp(place_names[place], "requested_at") != 0
                            : more && more[place - PLACES_N];
}

bool template_names_person(const struct template *t, const bool *more)
{
    for (const struct piece *piece = t ? t->first : NULL; piece; piece = piece->next)
        if (tells_person(piece->place, more))
            return true;
    return false;
}

bool template_has_place(const struct template *t)
{
    for (const struct piece *piece = t ? t->first : NULL; piece; piece = piece->next)
        if (piece->place != FIXED && piece->place < PLACES_N)
            return true;
    return false;
}

const char *template_find_place(const char *text)
{
    for (const char *at = strchr(text, '{'); at; at = strchr(at + 1, '{'))
        for (int i = 0; i < PLACES_N; i++) {
            size_t len = strlen(place_names[i]);
            const char *end = at + 1 + len;
            if (strncmp(at + 1, place_names[i], len) != 0)
                continue;
            if (*end == ':')
                end += strspn(end, ":abcdefghijklmnopqrstuvwxyz0123456789");
            if (*end == '}')
                return place_names[i];
        }
    return NULL;
}

/* No fixed text has a NUL in it, so no text can look like a place. */
void template_put_identity(const struct template *t, struct buf *out)
{
    for (const struct piece *piece = t ? t->first : NULL; piece; piece = piece->next) {
        if (piece->place == FIXED)
            buf_add(out, piece->text, piece->len);
        else
            buf_printf(out, "%c%s%s%s%c", '\0', piece->text, piece->number ? ":number" : "", piece->suffix,
                       '\0');
    }
    buf_add(out, t ? "\0;" : "\0-", 2);
}

/* ---- rendering ---- */

static const char *value_of(const struct template_values *values, int place)
{
    const char *value;
    if (place >= PLACES_N)
        return values->more[place - PLACES_N];
    memcpy(&value, (const char *)values + place_offsets[place], sizeof(value));
    return value;
}

/* Our own numbers count people; those that services give may be below zero. */
static bool is_number(const struct piece *piece, const char *value)
{
    value += value[0] == '-' && piece->place >= PLACES_N;
    size_t digits = strspn(value, "0123456789");
    return digits > 0 && !value[digits] && (value[0] != '0' || digits == 1);
}

/* XML 1.0 has no way to write these. */
static bool has_xml_fault(const char *s)
{
    for (; *s; s++) {
        bool is_control = (unsigned char)*s < ' ' && !strchr("\t\r\n", *s);
        if (is_control || strncmp(s, "\xef\xbf\xbe", 3) == 0 || strncmp(s, "\xef\xbf\xbf", 3) == 0)
            return true;
    }
    return false;
}

/* The value of a place as it is before it is encoded: with all its filters, in the arena. What an empty
 * value or none would be about is the same with filters and without. */
static enum rc fill_in(enum template_kind kind, struct arena *a, const struct piece *piece,
                       const struct template_values *values, const char **out, struct err *err)
{
    const char *name = piece->text, *value = value_of(values, piece->place);
    if (!value)
        return err_set(err, RC_INVALID, "{%s} is not known", name);
    if (piece->number && !is_number(piece, value))
        return err_set(err, RC_INVALID, "{%s} is not a number", name);
    if (kind == TEMPLATE_URL && !*value)
        return err_set(err, RC_INVALID, "{%s} is empty, so the address would be that of something else",
                       name);
    if (kind == TEMPLATE_SQL && !*value)
        return err_set(err, RC_INVALID, "{%s} is empty, so the statement would be about others", name);
    for (int i = 0; i < piece->n_filters; i++) {
        if (piece->filters[i] == FILTER_quoted && text_has_control(value))
            return err_set(err, RC_INVALID, "{%s} has a control character, which cannot stand in quotes",
                           name);
        value = filters[piece->filters[i]](a, value);
    }
    if (kind == TEMPLATE_XML && has_xml_fault(value))
        return err_set(err, RC_INVALID, "{%s} has a character that cannot stand in XML", name);
    if (kind == TEMPLATE_HEADER && text_has_control(value))
        return err_set(err, RC_INVALID, "{%s} has a control character, which cannot stand in a header", name);
    *out = value;
    return RC_OK;
}

enum rc template_render(const struct template *t, const struct template_values *values, struct buf *out,
                        struct err *err)
{
    struct arena filtered = { 0 };
    size_t before = out->len;
    enum rc rc = RC_OK;
    for (const struct piece *piece = t->first; !rc && piece; piece = piece->next) {
        const char *value;
        if (piece->place == FIXED)
            buf_add(out, piece->text, piece->len);
        else if (piece->place >= PLACES_N && !values->more)
            buf_printf(out, "{%s%s}", piece->text, piece->suffix);
        else if (!(rc = fill_in(t->kind, &filtered, piece, values, &value, err)))
            encode(t->kind, out, value, strlen(value));
    }
    arena_free(&filtered);
    if (rc)
        return rc;
    if (out->over)
        return err_set(err, RC_TOO_LARGE, "longer than %zu bytes once it is filled in", out->max);
    if (t->kind == TEMPLATE_URL && has_dot_segment(buf_str(out) + before))
        return err_set(err, RC_INVALID, "a value makes . or .. of a part of the path");
    return RC_OK;
}

enum rc template_bind(struct arena *a, const struct template *t, const struct template_values *values,
                      const char *const **out, size_t *n, struct err *err)
{
    size_t places = 0;
    for (const struct piece *piece = t->first; piece; piece = piece->next)
        places += piece->place != FIXED;
    const char **bound = arena_array(a, places + 1, sizeof(bound[0]));
    *n = 0;
    for (const struct piece *piece = t->first; piece; piece = piece->next) {
        if (piece->place == FIXED)
            continue;
        enum rc rc = fill_in(t->kind, a, piece, values, &bound[(*n)++], err);
        if (rc)
            return rc;
    }
    *out = bound;
    return RC_OK;
}
