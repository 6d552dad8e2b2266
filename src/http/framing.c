/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the requests of one connection begin and end, by RFC 9112 to the letter.
 *
 * A proxy before us and the library behind this file must agree with us about that. If they read a deviation
 * in two ways, a client can hide a second request in the first one (request smuggling). So what the RFC does
 * not allow is refused, also where it lets a server be lenient: bare CR or LF, folded lines, blanks around
 * names, signs or lists as lengths.
 *
 * Its hard idea: a request is a row of parts, and a part is a run of bytes of one kind with a byte that ends
 * it. The table says which; all parts are eaten by the same few lines. A read may end anywhere, and nothing
 * is kept but a few numbers and the beginning of a name or value.
 */
#include "http/http_int.h"

#include <ctype.h>
#include <stdlib.h>
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

/* ---- runs of bytes ---- */

enum chars { NONE, TOKEN, TARGET, VISIBLE, TEXT, HEX };

/* This runs over each byte of each head: so the loops are short, and call nothing. */
static size_t span(enum chars chars, const char *data, size_t len)
{
    static const uint32_t tchar[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff }; /* of RFC 9110, a bit each */
    const unsigned char *c = (const unsigned char *)data, *end = c + len;
    switch (chars) {
    case NONE: break;
    case TOKEN:
        while (c < end && tchar[*c / 32] >> *c % 32 & 1)
            c++;
        break;
    case TARGET: /* a fragment is no part of it: some parsers end the target there */
        while (c<end && * c> ' ' && *c != 0x7f && *c != '#')
            c++;
        break;
    case VISIBLE:
        while (c<end && * c> ' ' && *c != 0x7f)
            c++;
        break;
    case TEXT:
        while (c < end && ((*c >= ' ' && *c != 0x7f) || *c == '\t'))
            c++;
        break;
    case HEX:
        while (c < end && isxdigit(*c))
            c++;
        break;
    }
    return (size_t)((const char *)c - data);
}

/* Keeps what fits: no text that matters is longer. Blanks before a text are not kept. */
static void keep(struct framing *f, const char *data, size_t n)
{
    while (f->text_len == 0 && n > 0 && (*data == ' ' || *data == '\t')) {
        data++;
        n--;
    }
    size_t room = f->text_len < sizeof(f->text) ? sizeof(f->text) - f->text_len : 0;
    memcpy(f->text + f->text_len, data, n < room ? n : room);
    f->text_len += n;
}

/* A name or an address with a port (RFC 3986, 3.2.2), and blanks around it: some parsers take what stands
 * before or behind another character. */
static void look_at_host(struct framing *f, const char *data, size_t n)
{
    static const uint32_t allowed[8] = { 0, 0x2fff7ff2, 0xaffffffe, 0x47fffffe }; /* a bit each */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)data[i];
        bool is_blank = c == ' ' || c == '\t';
        f->host_ended = f->host_ended || (is_blank && f->host_begun);
        f->host_begun = f->host_begun || !is_blank;
        f->bad_host = f->bad_host || (!is_blank && (f->host_ended || !(allowed[c / 32] >> c % 32 & 1)));
    }
}

/* ---- the end of a part ---- */

static bool end_empty_line(struct framing *f)
{
    bool is_first = !f->skipped;
    f->skipped = true;
    return is_first || refuse(f, 400, bad_line);
}

static bool end_version(struct framing *f)
{
    f->is_1_1 = f->text_len == 8 && memcmp(f->text, "HTTP/1.1", 8) == 0;
    if (f->is_1_1 || (f->text_len == 8 && memcmp(f->text, "HTTP/1.0", 8) == 0))
        return true;
    if (f->text_len != 8 || memcmp(f->text, "HTTP/", 5) != 0 || f->text[6] != '.' ||
        !strchr("0123456789", f->text[5]) || !strchr("0123456789", f->text[7]))
        return refuse(f, 400, bad_line);
    return refuse(f, 505, "this version of HTTP is not served here: use HTTP/1.1");
}

static bool end_name(struct framing *f)
{
    static const struct {
        const char *name;
        size_t len;
        enum framing_field field;
    } known[] = { { "Host", 4, FIELD_HOST },
                  { "Content-Length", 14, FIELD_LENGTH },
                  { "Transfer-Encoding", 17, FIELD_ENCODING },
                  { "Cookie", 6, FIELD_COOKIE } };
    f->field = FIELD_OTHER;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (f->text_len == known[i].len && strncasecmp(f->text, known[i].name, known[i].len) == 0)
            f->field = known[i].field;
    if (f->field != FIELD_OTHER && f->in_trailer)
        return refuse(f, 400, "the trailer has a header that belongs before the body");
    return ++f->fields <= HTTP_FIELDS_MAX || refuse(f, 431, "there are too many headers");
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

/* The value without the blanks behind it. */
static bool end_field(struct framing *f)
{
    while (f->text_len > 0 && f->text_len <= sizeof(f->text) && strchr(" \t", f->text[f->text_len - 1]))
        f->text_len--;
    switch (f->field) {
    case FIELD_LENGTH: return take_length(f);
    case FIELD_ENCODING:
        if (f->has_encoding || f->text_len == 0)
            return refuse(f, 400, "Transfer-Encoding must be one word");
        f->has_encoding = true;
        return (f->text_len == 7 && strncasecmp(f->text, "chunked", 7) == 0) ||
               refuse(f, 501, "the only transfer encoding that is known here is chunked");
    case FIELD_HOST:
        if (f->has_host)
            return refuse(f, 400, "more than one Host header");
        if (f->bad_host)
            return refuse(f, 400, "the Host header is no name of a host");
        f->has_host = true;
        return true;
    case FIELD_COOKIE:
        f->cookie_len += f->text_len;
        if (f->cookie_len > HTTP_COOKIE_MAX || f->fields > HTTP_FIELDS_MAX)
            return refuse(f, 431, "the cookies are too large");
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
        f->at = AT_CHUNK_SIZE;
    else if (f->left)
        f->at = AT_BODY;
    else
        end_message(f);
    return true;
}

static bool end_size(struct framing *f)
{
    char digits[CHUNK_DIGITS + 1] = "";
    memcpy(digits, f->text, f->text_len);
    f->left = strtoull(digits, NULL, 16);
    return true;
}

static bool end_chunk_line(struct framing *f)
{
    f->in_trailer = f->left == 0;
    f->at = f->in_trailer ? AT_NAME : AT_CHUNK_DATA;
    return true;
}

/* ---- the parts ---- */

struct part {
    enum chars chars;
    bool may_be_empty;
    size_t max; /* bytes of the run; 0: no limit of its own */
    char end;
    enum framing_at next;
    char other_end; /* NUL: none. Of a line: it is empty, which leads elsewhere */
    enum framing_at other_next;
    bool (*done)(struct framing *f); /* when it has come to `end` or `other_end`; may lead elsewhere */
    const char *why;                 /* it is refused */
};

static const struct part parts[] = {
    [AT_METHOD] = { TOKEN, .end = ' ', .next = AT_TARGET, .other_end = '\r', .other_next = AT_START_LF,
                    .why = bad_line },
    [AT_START_LF] = { NONE, true, .end = '\n', .next = AT_METHOD, .done = end_empty_line, .why = bad_end },
    [AT_TARGET] = { TARGET, .end = ' ', .next = AT_VERSION, .why = bad_line },
    [AT_VERSION] = { VISIBLE, .end = '\r', .next = AT_LINE_LF, .done = end_version, .why = bad_line },
    [AT_LINE_LF] = { NONE, true, .end = '\n', .next = AT_NAME, .why = bad_end },
    [AT_NAME] = { TOKEN, .end = ':', .next = AT_VALUE, .other_end = '\r', .other_next = AT_HEAD_LF,
                  .done = end_name, .why = bad_field },
    [AT_VALUE] = { TEXT, true, .end = '\r', .next = AT_LINE_LF, .done = end_field,
                   .why = "a header has characters that are not allowed" },
    [AT_HEAD_LF] = { NONE, true, .end = '\n', .done = end_head, .why = bad_end },
    [AT_CHUNK_SIZE] = { HEX, .max = CHUNK_DIGITS, .end = '\r', .next = AT_CHUNK_LF, .other_end = ';',
                        .other_next = AT_CHUNK_EXTENSION, .done = end_size, .why = bad_chunk },
    [AT_CHUNK_EXTENSION] = { TEXT, true, CHUNK_EXTENSION, '\r', AT_CHUNK_LF, .why = bad_chunk },
    [AT_CHUNK_LF] = { NONE, true, .end = '\n', .done = end_chunk_line, .why = bad_chunk },
    [AT_DATA_CR] = { NONE, true, .end = '\r', .next = AT_DATA_LF, .why = bad_chunk },
    [AT_DATA_LF] = { NONE, true, .end = '\n', .next = AT_CHUNK_SIZE, .why = bad_chunk },
};

/* Of the part as many bytes as are there. Returns 0 if they are refused. */
static size_t eat_part(struct framing *f, const char *data, size_t len)
{
    const struct part *part = &parts[f->at];
    size_t n = part->chars == NONE ? 0 : span(part->chars, data, len);
    /* The library copies cookies, and keeps a record of each one, as of each header. */
    for (size_t i = 0; f->at == AT_VALUE && f->field == FIELD_COOKIE && i < n; i++)
        f->fields += data[i] == ';' || data[i] == ',';
    if (f->at == AT_VALUE && f->field == FIELD_HOST)
        look_at_host(f, data, n);
    if (n > 0 && part->done && (f->at != AT_VALUE || f->field != FIELD_OTHER))
        keep(f, data, n);
    f->part_len += n;
    if (part->max && f->part_len > part->max)
        return refuse(f, 400, part->why);
    if (n == len)
        return n;
    bool is_empty = f->part_len == 0,
         is_line = part->other_next == AT_START_LF || part->other_next == AT_HEAD_LF;
    bool is_other = part->other_end && data[n] == part->other_end && is_empty == is_line;
    if (!is_other && (data[n] != part->end || (is_empty && !part->may_be_empty)))
        return refuse(f, 400,
                      data[n] == '\n' && part->end == '\r' && f->at < AT_CHUNK_SIZE ? bad_end : part->why);
    f->at = is_other ? part->other_next : part->next;
    if (part->done && !(is_other && is_line) && !part->done(f))
        return 0;
    f->text_len = f->part_len = 0;
    return n + 1;
}

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

size_t framing_follow(struct framing *f, const char *data, size_t len)
{
    size_t whole = 0; /* to the end of the last request that ends here */
    for (size_t i = 0; i < len;) {
        unsigned before = f->messages;
        if (f->status)
            return whole;
        if (f->at == AT_BODY || f->at == AT_CHUNK_DATA) {
            i += eat_body(f, len - i);
        } else if (f->at >= AT_CHUNK_SIZE) {
            i += eat_part(f, data + i, len - i);
        } else {
            size_t room = HTTP_HEADER_MAX - f->head_len;
            size_t n = room ? eat_part(f, data + i, len - i < room ? len - i : room)
                            : (size_t)refuse(f, 431, "the headers are too large");
            f->head_len = f->messages == before ? f->head_len + n : 0;
            i += n;
        }
        if (f->messages != before)
            whole = i;
    }
    return f->status ? whole : len;
}

bool framing_is_within(const struct framing *f)
{
    return f->at != AT_METHOD || f->part_len > 0;
}

void framing_end(struct framing *f)
{
    if (framing_is_within(f) && !f->status)
        refuse(f, 400, "the request breaks off");
}
