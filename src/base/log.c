/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log. A line is composed in memory and written at once under a lock, which also keeps the hook and the
 * line together. Each part is bounded, and so is the line. No thread waits for the reader of the log: while
 * it does not read, lines are lost and counted, and the first line that can be written again says how many.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/outlet.h"
#include "base/text.h"

enum { MESSAGE_MAX = 2048, SUBJECT_MAX = 128, LOG_LINE_MAX = 16384 };

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static atomic_int shown = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    bool json;
    struct outlet *out; /* NULL: standard error, once there is a line */
    int64_t lost;       /* lines, since the last that was written */
    log_hook_fn *hook;
    void *hook_arg;
} sink;

static atomic_int_fast64_t lost_in_all;

static __thread struct log_subject about;

void log_setup(enum log_level level, bool json, int fd)
{
    pthread_mutex_lock(&lock);
    sink.json = json;
    outlet_close(&sink.out);
    sink.out = outlet_open(fd);
    pthread_mutex_unlock(&lock);
    atomic_store(&shown, (int)level);
}

void log_set_hook(log_hook_fn *hook, void *arg)
{
    pthread_mutex_lock(&lock);
    sink.hook = hook;
    sink.hook_arg = arg;
    pthread_mutex_unlock(&lock);
}

enum rc log_level_parse(const char *text, enum log_level *out, struct err *err)
{
    for (enum log_level level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        if (strcmp(text, level_names[level]) == 0) {
            *out = level;
            return RC_OK;
        }
    }
    return err_set(err, RC_INVALID, "not a log level: error, warning, info or debug");
}

struct log_subject log_set_subject(struct log_subject subject)
{
    struct log_subject before = about;
    about = subject;
    return before;
}

/* Control characters as \n, \x1b, \u0085; bytes that are not UTF-8 as \xff. A line stays a line. */
static void add_escaped(struct buf *line, const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t plain = i;
        while (plain < len && s[plain] >= 0x20 && s[plain] < 0x7F)
            plain++;
        buf_add(line, s + i, plain - i);
        i = plain;
        if (i == len)
            break;
        size_t n = text_char_len(s + i, len - i);
        unsigned char c = (unsigned char)s[i];
        if (n == 0 || c < 0x20 || c == 0x7F)
            buf_printf(line, c == '\n' ? "\\n" : "\\x%02x", c);
        else if (n == 2 && c == 0xC2 && (unsigned char)s[i + 1] < 0xA0)
            buf_printf(line, "\\u%04x", (unsigned char)s[i + 1]);
        else
            buf_add(line, s + i, n);
        i += n ? n : 1;
    }
}

static void add_field(struct buf *line, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(line, "%s=", name);
    add_escaped(line, value, text_cut(value, strlen(value), SUBJECT_MAX));
    buf_add_char(line, ' ');
}

static void build_text(struct buf *line, enum log_level level, const char *when, const char *message)
{
    buf_printf(line, "%s %-7s ", when, level_names[level]);
    add_field(line, "request", about.request);
    if (about.retirement != 0)
        buf_printf(line, "retirement=%" PRId64 " ", about.retirement);
    add_field(line, "stage", about.stage);
    add_field(line, "service", about.service);
    add_escaped(line, message, strlen(message));
}

static void put_field(struct json_out *o, const char *name, const char *value)
{
    if (!value)
        return;
    json_put_key(o, name);
    json_put_textn(o, value, text_cut(value, strlen(value), SUBJECT_MAX));
}

static void build_json(struct buf *line, enum log_level level, const char *when, const char *message)
{
    struct json_out o = { .buf = line };
    json_open_map(&o);
    json_field_text(&o, "time", when);
    json_field_text(&o, "level", level_names[level]);
    put_field(&o, "request", about.request);
    if (about.retirement != 0)
        json_field_int(&o, "retirement", about.retirement);
    put_field(&o, "stage", about.stage);
    put_field(&o, "service", about.service);
    json_field_text(&o, "message", message);
    json_close_map(&o);
}

static void build_line(struct buf *line, enum log_level level, const char *message)
{
    char when[CLOCK_TEXT_LEN];
    clock_format(clock_read(CLOCK_REALTIME), when);
    strcpy(when + sizeof "2026-11-21T13:04:05.123" - 1, "Z");
    if (sink.json)
        build_json(line, level, when, message);
    else
        build_text(line, level, when, message);
    buf_add_char(line, '\n');
}

/* Returns false when it could not be written. */
static bool write_news_of_lost(void)
{
    char message[128];
    struct buf line;
    if (sink.lost == 0)
        return true;
    const struct log_subject before = log_set_subject((struct log_subject){ 0 });
    snprintf(message, sizeof(message),
             "%" PRId64 " lines of the log were lost here, because its reader did not read", sink.lost);
    buf_init(&line, LOG_LINE_MAX);
    build_line(&line, LOG_WARNING, message);
    bool is_written = outlet_put(sink.out, line.data, line.len);
    buf_free(&line);
    log_set_subject(before);
    if (is_written)
        sink.lost = 0;
    return is_written;
}

static void write_line(const struct buf *line)
{
    if (!sink.out)
        sink.out = outlet_open(STDERR_FILENO);
    if (sink.hook)
        sink.hook(sink.hook_arg, true);
    if (!write_news_of_lost() || !outlet_put(sink.out, line->data, line->len)) {
        sink.lost++;
        atomic_fetch_add(&lost_in_all, 1);
    }
    if (sink.hook)
        sink.hook(sink.hook_arg, false);
}

int64_t log_lost(void)
{
    return atomic_load(&lost_in_all);
}

__attribute__((format(printf, 2, 0))) static void log_line(enum log_level level, const char *fmt,
                                                           va_list args)
{
    char message[MESSAGE_MAX];
    struct buf line;
    int kept_errno = errno;
    if ((int)level > atomic_load_explicit(&shown, memory_order_relaxed))
        return;
    vsnprintf(message, sizeof(message), fmt, args);
    message[text_cut(message, strlen(message), MESSAGE_MAX - 4)] = '\0';
    buf_init(&line, LOG_LINE_MAX);
    pthread_mutex_lock(&lock);
    build_line(&line, level, message);
    write_line(&line);
    pthread_mutex_unlock(&lock);
    buf_free(&line);
    errno = kept_errno;
}

void log_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    log_line(LOG_ERROR, fmt, args);
    va_end(args);
}

void log_warning(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    log_line(LOG_WARNING, fmt, args);
    va_end(args);
}

void log_info(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    log_line(LOG_INFO, fmt, args);
    va_end(args);
}

void log_debug(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    log_line(LOG_DEBUG, fmt, args);
    va_end(args);
}
