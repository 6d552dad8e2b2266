/* SPDX-License-Identifier: Apache-2.0 */
/* Output for people. Names and answers come from strangers: their control characters could command the
 * terminal, so none is printed. */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Length of the control character (of UTF-8: U+0000..1F, U+7F, U+80..9F) that p begins with; 0: it is none.
 */
static size_t control_len(const unsigned char *p)
{
    if (p[0] < 0x20 || p[0] == 0x7f)
        return 1;
    return p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

const char *print_harmless(struct arena *a, const char *text)
{
    if (!text_has_control(text))
        return text;
    struct buf b;
    buf_init(&b, 8 * strlen(text) + 1);
    for (const char *p = text; *p;) {
        size_t len = control_len((const unsigned char *)p);
        if (len)
            buf_printf(&b, "\\x%02x", (unsigned char)p[len - 1]);
        else
            buf_add_char(&b, *p);
        p += len ? len : 1;
    }
    const char *out = arena_strdup(a, buf_str(&b));
    buf_free(&b);
    return out;
}

void print_text(FILE *out, const char *text)
{
    struct arena a = { 0 };
    fputs(print_harmless(&a, text), out);
    arena_free(&a);
}

void print_block(FILE *out, const char *indent, const char *text)
{
    struct arena a = { 0 };
    while (*text) {
        size_t len = strcspn(text, "\n");
        fprintf(out, "%s%s\n", indent, print_harmless(&a, arena_strndup(&a, text, len)));
        text += len + (text[len] != '\0');
    }
    arena_free(&a);
}

void print_field(int width, const char *title, const char *value)
{
    if (!*value)
        return;
    printf("  %-*s ", width, title);
    print_text(stdout, value);
    fputc('\n', stdout);
}

void print_buf(const struct buf *buf)
{
    fwrite(buf_str(buf), 1, buf->len, stdout);
    fputc('\n', stdout);
}

void print_json(const struct json *value)
{
    struct buf b;
    buf_init(&b, HTTP_ANSWER_MAX);
    json_dump(&b, value);
    print_buf(&b);
    buf_free(&b);
}

void print_item(int64_t before, const struct json *value)
{
    struct buf b;
    buf_init(&b, HTTP_BODY_MAX);
    json_dump(&b, value);
    printf("%s\n%s", before ? "," : "[", buf_str(&b));
    buf_free(&b);
}

void print_items_end(int64_t n)
{
    puts(n ? "\n]" : "[]");
}

const char *print_time(struct arena *a, const char *text)
{
    enum { SECONDS_LEN = sizeof("2026-11-21T13:04:05") - 1 };
    if (strlen(text) < SECONDS_LEN)
        return "-";
    char *out = arena_strndup(a, text, SECONDS_LEN);
    out[10] = ' ';
    return out;
}

const char *print_count(struct arena *a, int64_t n, const char *one, const char *many)
{
    return arena_printf(a, "%lld %s", (long long)n, n == 1 ? one : many);
}

void print_patience(void)
{
    if (isatty(STDERR_FILENO))
        fputs("Reading the whole database: a large one takes minutes. The server's log says how long it has "
              "read.\n",
              stderr);
}
