/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the requests of one connection begin and end, by RFC 9112 to the letter.
 *
 * A proxy before us and the library behind this file must agree with us about that. If they read a deviation
 * in two ways, a client can hide a second request in the first one (request smuggling). So what the RFC does
 * not allow is refused, also where it lets a server be lenient: bare CR or LF, folded lines, blanks around
 * names, signs or lists as lengths.
 *
 * A machine that eats bytes: a read may end anywhere, and nothing is kept but a few numbers and the beginning
 * of a name or value.
 */
#include "http/http_int.h"

#include <string.h>
#include <strings.h>

enum {
    LENGTH_DIGITS = 18,
    CHUNK_DIGITS = 15,    /* leading zeros included */
    CHUNK_EXTENSION = 256 /* bytes of one chunk's line */
};

static const char bad_line[] = "the request line is malformed";
static const char bad_field[] = "a header is malformed";
static const char bad_length[] = "Content-Length must be one number";
static const char bad_chunk[] = "the chunks of the body are malformed";
static const char bad_end[] = "lines must end with CR and LF";

static bool refuse(struct framing *f, unsigned status, const char *why)
{
    f->status = status;
    f->why = why;
    return false;
}

/* ---- characters ---- */

static bool is_token(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_value(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static int hex_value(unsigned char c)
{
    const char *digit = c ? strchr("0123456789abcdef", c | 0x20) : NULL;
    return c >= '0' && c <= '9' ? c - '0' : digit && c >= 'A' ? (int)(digit - "0123456789abcdef") : -1;
}

/* ---- the text of the part that is being read ---- */

/* Keeps what fits: no text that matters is longer. */
static void text_add(struct framing *f, unsigned char c)
{
    if (f->text_len < sizeof(f->text))
        f->text[f->text_len] = (char)c;
    f->text_len++;
}

static bool text_is(const struct framing *f, const char *s)
{
    return f->text_len == strlen(s) && strncasecmp(f->text, s, f->text_len) == 0;
}

/* ---- the end of a line, and of the head ---- */

static bool go_on(struct framing *f, enum framing_at at)
{
    f->at = at;
    f->text_len = 0;
    return true;
}

static bool end_version(struct framing *f)
{
    bool is_1_1 = f->text_len == 8 && memcmp(f->text, "HTTP/1.1", 8) == 0;
    if (f->text_len != 8 || memcmp(f->text, "HTTP/", 5) != 0 || f->text[6] != '.' ||
        strchr("0123456789", f->text[5]) == NULL || strchr("0123456789", f->text[7]) == NULL)
        return refuse(f, 400, bad_line);
    if (!is_1_1 && memcmp(f->text, "HTTP/1.0", 8) != 0)
        return refuse(f, 505, "this version of HTTP is not served here: use HTTP/1.1");
    f->is_1_1 = is_1_1;
    return true;
}

static enum framing_field name_of(const struct framing *f)
{
    return text_is(f, "Content-Length")      ? FIELD_LENGTH
           : text_is(f, "Transfer-Encoding") ? FIELD_ENCODING
           : text_is(f, "Host")              ? FIELD_HOST
                                             : FIELD_OTHER;
}

static bool take_length(struct framing *f)
{
    size_t kept = f->text_len < sizeof(f->text) ? f->text_len : sizeof(f->text);
    if (f->has_length || kept == 0)
        return refuse(f, 400, bad_length);
    for (size_t i = 0; i < kept; i++) {
        if (f->text[i] < '0' || f->text[i] > '9')
            return refuse(f, 400, bad_length);
        f->left = f->left * 10 + (uint64_t)(f->text[i] - '0');
    }
    f->has_length = true;
    return kept <= LENGTH_DIGITS || refuse(f, 413, "the body is too large");
}

/* The value without the blanks around it. */
static bool end_field(struct framing *f)
{
    while (f->text_len > 0 && f->text_len <= sizeof(f->text) && strchr(" \t", f->text[f->text_len - 1]))
        f->text_len--;
    if (f->field != FIELD_OTHER && f->in_trailer)
        return refuse(f, 400, "the trailer has a header that belongs before the body");
    switch (f->field) {
    case FIELD_LENGTH: return take_length(f);
    case FIELD_ENCODING:
        if (f->has_encoding || f->text_len == 0)
            return refuse(f, 400, "Transfer-Encoding must be one word");
        f->has_encoding = true;
        return text_is(f, "chunked") ||
               refuse(f, 501, "the only transfer encoding that is known here is chunked");
    case FIELD_HOST:
        if (f->has_host)
            return refuse(f, 400, "more than one Host header");
        f->has_host = true;
        return true;
    case FIELD_OTHER: return true;
    }
    return true;
}

static void end_message(struct framing *f)
{
    unsigned messages = f->messages + 1;
    *f = (struct framing){ .messages = messages };
}

static bool end_head(struct framing *f)
{
    if (f->in_trailer) {
        end_message(f);
        return true;
    }
    if (f->is_1_1 && !f->has_host)
        return refuse(f, 400, "the Host header is missing");
    if (f->has_encoding && f->has_length)
        return refuse(f, 400, "the length of the body is given more than once");
    if (f->has_encoding && !f->is_1_1)
        return refuse(f, 400, "HTTP/1.0 has no Transfer-Encoding");
    if (f->has_encoding)
        go_on(f, AT_CHUNK_SIZE);
    else if (f->left)
        f->at = AT_BODY;
    else
        end_message(f);
    return true;
}

/* ---- one byte, by where we are ---- */

static bool expect_lf(struct framing *f, unsigned char c, enum framing_at at)
{
    return c == '\n' ? go_on(f, at) : refuse(f, 400, bad_end);
}

static bool eat_method(struct framing *f, unsigned char c)
{
    if (c == ' ' && f->text_len > 0)
        return go_on(f, AT_TARGET);
    text_add(f, c);
    return is_token(c) || refuse(f, 400, bad_line);
}

/* One empty line may stand before a request. */
static bool eat_start(struct framing *f, unsigned char c)
{
    f->at = c == '\r' && !f->skipped ? AT_START_LF : AT_METHOD;
    return f->at == AT_START_LF || eat_method(f, c);
}

static bool eat_start_lf(struct framing *f, unsigned char c)
{
    f->skipped = true;
    return expect_lf(f, c, AT_START);
}

static bool eat_target(struct framing *f, unsigned char c)
{
    if (c == ' ' && f->text_len > 0)
        return go_on(f, AT_VERSION);
    text_add(f, c);
    return (c > ' ' && c != 0x7f) || refuse(f, 400, bad_line);
}

static bool eat_version(struct framing *f, unsigned char c)
{
    if (c == '\r')
        return end_version(f) && go_on(f, AT_LINE_LF);
    text_add(f, c);
    return (c > ' ' && c < 0x7f) || refuse(f, 400, c == '\n' ? bad_end : bad_line);
}

static bool eat_line_lf(struct framing *f, unsigned char c)
{
    return expect_lf(f, c, AT_LINE);
}

static bool eat_name(struct framing *f, unsigned char c)
{
    if (is_token(c)) {
        text_add(f, c);
        return true;
    }
    f->field = name_of(f);
    return c == ':' && f->text_len > 0 ? go_on(f, AT_VALUE) : refuse(f, 400, bad_field);
}

static bool eat_line(struct framing *f, unsigned char c)
{
    f->at = c == '\r' ? AT_HEAD_LF : AT_NAME;
    return c == '\r' || eat_name(f, c);
}

static bool eat_value(struct framing *f, unsigned char c)
{
    if (c == '\r')
        return end_field(f) && go_on(f, AT_LINE_LF);
    if (f->text_len > 0 || (c != ' ' && c != '\t'))
        text_add(f, c);
    return is_value(c) ||
           refuse(f, 400, c == '\n' ? bad_end : "a header has characters that are not allowed");
}

static bool eat_head_lf(struct framing *f, unsigned char c)
{
    return c == '\n' ? end_head(f) : refuse(f, 400, bad_end);
}

static bool eat_chunk_size(struct framing *f, unsigned char c)
{
    int digit = hex_value(c);
    if (digit >= 0 && f->text_len++ < CHUNK_DIGITS) {
        f->left = f->left * 16 + (uint64_t)digit;
        return true;
    }
    if (f->text_len == 0 || (c != ';' && c != '\r'))
        return refuse(f, 400, bad_chunk);
    return go_on(f, c == ';' ? AT_CHUNK_EXTENSION : AT_CHUNK_LF);
}

static bool eat_chunk_extension(struct framing *f, unsigned char c)
{
    if (c == '\r')
        return go_on(f, AT_CHUNK_LF);
    return (is_value(c) && f->text_len++ < CHUNK_EXTENSION) || refuse(f, 400, bad_chunk);
}

static bool eat_chunk_lf(struct framing *f, unsigned char c)
{
    f->in_trailer = f->left == 0;
    return expect_lf(f, c, f->in_trailer ? AT_LINE : AT_CHUNK_DATA);
}

static bool eat_data_cr(struct framing *f, unsigned char c)
{
    return c == '\r' ? go_on(f, AT_DATA_LF) : refuse(f, 400, bad_chunk);
}

static bool eat_data_lf(struct framing *f, unsigned char c)
{
    return expect_lf(f, c, AT_CHUNK_SIZE);
}

static bool (*const eat[])(struct framing *, unsigned char) = {
    [AT_START] = eat_start,
    [AT_START_LF] = eat_start_lf,
    [AT_METHOD] = eat_method,
    [AT_TARGET] = eat_target,
    [AT_VERSION] = eat_version,
    [AT_LINE_LF] = eat_line_lf,
    [AT_LINE] = eat_line,
    [AT_NAME] = eat_name,
    [AT_VALUE] = eat_value,
    [AT_HEAD_LF] = eat_head_lf,
    [AT_CHUNK_SIZE] = eat_chunk_size,
    [AT_CHUNK_EXTENSION] = eat_chunk_extension,
    [AT_CHUNK_LF] = eat_chunk_lf,
    [AT_DATA_CR] = eat_data_cr,
    [AT_DATA_LF] = eat_data_lf,
};

/* Of a body as many bytes as are there. */
static size_t eat_body(struct framing *f, size_t n)
{
    if (n > f->left)
        n = (size_t)f->left;
    f->left -= n;
    if (f->left == 0 && f->at == AT_BODY)
        end_message(f);
    else if (f->left == 0)
        f->at = AT_DATA_CR;
    return n;
}

/* Most bytes of a head stand in its target and in values that nothing is learnt from: they are eaten as a
 * run. Returns how many. */
static size_t eat_run(struct framing *f, const char *data, size_t n)
{
    size_t i = 0;
    if (f->at != AT_TARGET && (f->at != AT_VALUE || f->field != FIELD_OTHER))
        return 0;
    while (i < n && data[i] > ' ' && data[i] < 0x7f)
        i++;
    f->text_len += i;
    f->head_len += i;
    return i;
}

size_t framing_follow(struct framing *f, const char *data, size_t len)
{
    size_t whole = 0; /* to the end of the last request that ends here */
    for (size_t i = 0; i < len;) {
        unsigned before = f->messages;
        if (f->at == AT_BODY || f->at == AT_CHUNK_DATA) {
            i += eat_body(f, len - i);
        } else {
            i += eat_run(f, data + i, len - i);
            f->head_len += i < len && f->at < AT_CHUNK_SIZE;
            if (f->head_len > HTTP_HEADER_MAX)
                refuse(f, 431, "the headers are too large");
            if (f->status || (i < len && !eat[f->at](f, (unsigned char)data[i])))
                return whole;
            i++;
        }
        if (f->messages != before)
            whole = i;
    }
    return len;
}
