/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an answer says, by the conditions of the configuration; pure. This is the only judge of them: success,
 * nothing to erase, again, polls and looks all ask here.
 *
 * The hard idea is whose word an answer is. Between the driver and a service stand proxies, routers, portals
 * and stores, and they answer with the same statuses: a router's 404 is about a path, and not about a person.
 * So a status alone counts only with nothing or with whole JSON behind it, and an answer that cannot be read
 * says neither yes nor no.
 */
#include "driver/action/action.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/pattern.h"

enum { PART_LEN_MAX = 512 }; /* of a pointer, which the configuration bounds */

/* ---- what came ---- */

static bool begins_with(const char *s, size_t len, const char *words)
{
    size_t n = strlen(words);
    return len >= n && strncasecmp(s, words, n) == 0;
}

static bool is_type(const char *content_type, const char *type)
{
    size_t n = strlen(type);
    return content_type && strncasecmp(content_type, type, n) == 0 && strchr("; \t", content_type[n]);
}

/* application/json, text/json, application/problem+json and the like. */
static bool is_json_type(const char *content_type)
{
    size_t len = content_type ? strcspn(content_type, "; \t") : 0;
    return is_type(content_type, "application/json") || is_type(content_type, "text/json") ||
           (len > 5 && strncasecmp(content_type + len - 5, "+json", 5) == 0);
}

static size_t blanks(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && memchr(" \t\r\n\f", text[n], 5))
        n++;
    return n;
}

/* The length of what stands before the first element: a byte order mark, blanks, <?xml ...?>, comments. */
static size_t prolog(const char *text, size_t len)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    static const struct {
        const char *begin, *end;
    } marks[] = { { "<?", "?>" }, { "<!--", "-->" } };
    size_t n = begins_with(text, len, byte_order_mark) ? sizeof(byte_order_mark) - 1 : 0;
    for (bool more = true; more;) {
        n += blanks(text + n, len - n);
        more = false;
        for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && !more; i++) {
            const char *end = begins_with(text + n, len - n, marks[i].begin)
                                  ? memmem(text + n, len - n, marks[i].end, strlen(marks[i].end))
                                  : NULL;
            more = end != NULL;
            n = more ? (size_t)(end - text) + strlen(marks[i].end) : n;
        }
    }
    return n;
}

/* Does an element or a comment begin somewhere in the text? "a < b" is none. */
static bool has_markup(const char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (text[i] == '<' &&
            (text[i + 1] == '/' || text[i + 1] == '!' || isalpha((unsigned char)text[i + 1])))
            return true;
    return false;
}

/* A page for people: a portal on the way asks them to sign in with status 200, or says that the service is
 * under maintenance. Its beginning tells whatever it is called. The name text/html alone does not: many
 * services call an empty answer or a single word so. */
static bool is_web_page(const char *content_type, const char *text, size_t len)
{
    static const char *const elements[] = { "<!doctype", "<html", "<head", "<title", "<meta",
                                            "<script",   "<body", "<h1",   "<center" };
    size_t skip = prolog(text, len);
    text += skip;
    len -= skip;
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
        size_t n = strlen(elements[i]);
        if (begins_with(text, len, elements[i]) && n < len && memchr("> \t\r\n\f/", text[n], 7))
            return true;
    }
    bool is_html = is_type(content_type, "text/html") || is_type(content_type, "application/xhtml+xml");
    return is_html && has_markup(text, len);
}

/* A page that nobody asked for in this form: packed, or in UTF-16. */
static bool is_packed(const char *text, size_t len)
{
    static const char *const beginnings[] = { "\x1F\x8B", "\xFF\xFE<", "\xFE\xFF\0<", "\0<", "<\0" };
    static const size_t lengths[] = { 2, 3, 4, 2, 2 };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        if (len >= lengths[i] && memcmp(text, beginnings[i], lengths[i]) == 0)
            return true;
    return false;
}

void answer_read(struct answer *out, struct arena *a, unsigned status, const char *content_type,
                 const char *text, size_t len)
{
    struct json *json = NULL;
    *out = (struct answer){ .status = status, .form = ANSWER_EMPTY };
    size_t first = blanks(text, len);
    if (first == len)
        return;
    if (is_web_page(content_type, text, len)) {
        out->form = ANSWER_PAGE;
    } else if (json_parse(a, text, len, &json, NULL)) {
        bool was_json = content_type ? is_json_type(content_type) : text[first] == '{' || text[first] == '[';
        out->form = was_json || is_packed(text, len) ? ANSWER_BROKEN : ANSWER_TEXT;
    } else {
        /* The lone word or number of a router can be JSON by accident. */
        bool is_number = json->kind == JSON_INT || json->kind == JSON_BIG || json->kind == JSON_REAL_KIND;
        bool is_meant = is_json_type(content_type) || json->kind == JSON_LIST || json->kind == JSON_MAP ||
                        (!content_type && !is_number);
        out->form = is_meant ? ANSWER_JSON : ANSWER_TEXT;
        out->json = json;
    }
}

static const char *form_fault(const struct answer *answer)
{
    switch (answer->form) {
    case ANSWER_EMPTY: return "the answer is empty";
    case ANSWER_PAGE: return "a web page came in place of an answer";
    case ANSWER_BROKEN: return "the answer cannot be read: it is called JSON and is none, or is no text";
    case ANSWER_TEXT: return "the answer is not JSON, so it may not be the service's own";
    case ANSWER_JSON: break;
    }
    return NULL;
}

/* ---- what it says ---- */

static bool is_empty(const struct json *value)
{
    return value->kind == JSON_NULL_KIND || (value->kind == JSON_TEXT && value->len == 0) ||
           ((value->kind == JSON_LIST || value->kind == JSON_MAP) && value->count == 0);
}

static const char *const error_names[] = { "errors", "error" };

enum { ERROR_NAMES = sizeof(error_names) / sizeof(error_names[0]) };

static bool has_errors_at(const struct json *answer, const char *name)
{
    const struct json *found = answer->kind == JSON_MAP ? json_get(answer, name) : NULL;
    return found && !is_empty(found) &&
           !((found->kind == JSON_BOOL || found->kind == JSON_INT) && found->integer == 0);
}

bool answer_has_errors(const struct json *answer)
{
    size_t i = 0;
    while (i < ERROR_NAMES && !has_errors_at(answer, error_names[i]))
        i++;
    return i < ERROR_NAMES;
}

static bool asks_about(const struct answer_conf *conf, const char *name)
{
    size_t i = 0, len = strlen(name);
    while (i < conf->n_parts &&
           (conf->parts[i].pointer[0] != '/' || strncmp(conf->parts[i].pointer + 1, name, len) != 0 ||
            !strchr("/", conf->parts[i].pointer[1 + len])))
        i++;
    return i < conf->n_parts;
}

/* Errors of which the condition says nothing. */
static bool has_other_errors(const struct answer_conf *conf, const struct json *answer)
{
    bool has_some = false;
    for (size_t i = 0; i < ERROR_NAMES; i++)
        has_some = has_some || (has_errors_at(answer, error_names[i]) && !asks_about(conf, error_names[i]));
    return has_some;
}

/* Nothing stands where the pointer leads. Could something stand there? Not within a text or a number, nor in
 * a list behind a name: that answer is about something else. */
static bool could_be_there(const struct json *at, const char *pointer)
{
    char part[PART_LEN_MAX];
    if (at->kind == JSON_NULL_KIND)
        return false;
    while (at && *pointer == '/') {
        size_t len = 1 + strcspn(pointer + 1, "/");
        bool is_index = strspn(pointer + 1, "0123456789") == len - 1;
        bool is_right = at->kind == JSON_NULL_KIND || at->kind == JSON_MAP || at->kind == JSON_LIST;
        if (!is_right || (at->kind == JSON_LIST && !is_index))
            return false;
        snprintf(part, sizeof(part), "%.*s", (int)len, pointer);
        at = json_find(at, part);
        pointer += len;
    }
    return true;
}

/* As it is written in the configuration; NULL: it is nothing that can be. */
static const char *text_of(const struct json *value)
{
    switch (value->kind) {
    case JSON_TEXT:
    case JSON_INT:
    case JSON_BIG:
    case JSON_REAL_KIND: return value->text;
    case JSON_BOOL: return value->integer ? "true" : "false";
    case JSON_NULL_KIND:
    case JSON_ODD_TEXT:
    case JSON_LIST:
    case JSON_MAP:
    case JSON_TWICE: break;
    }
    return NULL;
}

static bool is_value(const struct part_conf *part, const char *text)
{
    if (part->test == PART_MATCHES)
        return pattern_matches(part->values[0], text);
    for (size_t i = 0; i < part->n_values; i++)
        if (strcmp(part->values[i], text) == 0)
            return true;
    return false;
}

static enum answer_says strange(const struct part_conf *part, const struct json *found, struct err *err)
{
    err_set(err, RC_INVALID, "the answer has %s at %s", found ? json_kind_name(found->kind) : "nothing",
            *part->pointer ? part->pointer : "\"\"");
    return SAID_STRANGE;
}

/* A * is every entry of a list. A list without entries says nothing yet. */
static enum answer_says entries_said(const struct part_conf *part, const struct json *at, const char *pointer,
                                     struct err *err)
{
    char before[PART_LEN_MAX];
    const char *star = strstr(pointer, "/*");
    while (star && star[2] && star[2] != '/')
        star = strstr(star + 1, "/*");
    snprintf(before, sizeof(before), "%.*s", star ? (int)(star - pointer) : (int)strlen(pointer), pointer);
    at = json_find(at, before);
    if (!star) {
        const char *text = at ? text_of(at) : NULL;
        return !text ? strange(part, at, err) : is_value(part, text) ? SAID_IN_JSON : SAID_OTHERWISE;
    }
    if (!at || at->kind != JSON_LIST)
        return strange(part, at, err);
    bool all = at->count > 0, some = false;
    for (const struct json *entry = at->first; entry; entry = entry->next) {
        enum answer_says one = entries_said(part, entry, star + 2, err);
        if (one == SAID_STRANGE)
            return one;
        all = all && one == SAID_IN_JSON;
        some = some || one == SAID_IN_JSON;
    }
    return (part->test == PART_EACH ? all : some) ? SAID_IN_JSON : SAID_OTHERWISE;
}

static enum answer_says part_said(const struct part_conf *part, const struct json *answer, struct err *err)
{
    if (part->test == PART_EACH || part->test == PART_SOME) {
        enum answer_says said = entries_said(part, answer, part->pointer, err);
        if (said == SAID_OTHERWISE)
            err_set(err, RC_INVALID, "the answer says something else at %s", part->pointer);
        return said;
    }
    const struct json *found = json_find(answer, part->pointer);
    const bool is_there = found && found->kind != JSON_NULL_KIND;
    const char *text = found ? text_of(found) : NULL;
    bool holds = false;
    if (found && found->kind == JSON_TWICE)
        return strange(part, found, err);
    switch (part->test) {
    case PART_ONE_OF:
    case PART_MATCHES:
        holds = text && is_value(part, text);
        if (!holds && (!text || found->kind == JSON_REAL_KIND)) /* 1.0 may be meant as 1 */
            return strange(part, found, err);
        break;
    case PART_EMPTY:
        if (!found)
            return strange(part, found, err);
        holds = is_empty(found);
        break;
    case PART_EXISTS: holds = is_there; break;
    case PART_ABSENT:
        if (!found && !could_be_there(answer, part->pointer))
            return strange(part, answer, err);
        holds = !is_there;
        break;
    case PART_EACH:
    case PART_SOME: break;
    }
    if (holds)
        return SAID_IN_JSON;
    err_set(err, RC_INVALID, "the answer says something else at %s", *part->pointer ? part->pointer : "\"\"");
    return SAID_OTHERWISE;
}

/* All parts: otherwise is otherwise, unless one of them cannot be read. Nothing to be there proves nothing if
 * the answer has errors that the condition does not ask about. */
static enum answer_says parts_said(const struct answer_conf *conf, const struct answer *answer,
                                   enum trust trust, struct err *err)
{
    enum answer_says all = SAID_IN_JSON;
    bool is_readable = trust == TRUST_OWN ? answer->form == ANSWER_JSON : answer->json != NULL;
    bool is_failed = answer->json && has_other_errors(conf, answer->json);
    if (!is_readable) {
        err_set(err, RC_INVALID, "%s", form_fault(answer));
        return SAID_UNREADABLE;
    }
    for (size_t i = 0; i < conf->n_parts && all != SAID_STRANGE; i++) {
        const struct part_conf *part = &conf->parts[i];
        enum answer_says one = part_said(part, answer->json, err);
        if (one == SAID_IN_JSON && (part->test == PART_EMPTY || part->test == PART_ABSENT) && is_failed) {
            err_set(err, RC_INVALID, "the answer has nothing at %s, and errors",
                    *part->pointer ? part->pointer : "\"\"");
            one = SAID_STRANGE;
        }
        if (one != SAID_IN_JSON)
            all = one;
    }
    return all;
}

static enum answer_says status_said(const struct answer *answer, enum trust trust, struct err *err)
{
    const bool is_well = answer->status >= 200 && answer->status < 300;
    const bool is_own = answer->form == ANSWER_EMPTY || answer->form == ANSWER_JSON;
    if (is_own || trust == TRUST_STATUS || (trust == TRUST_TEXT && is_well && answer->form == ANSWER_TEXT))
        return SAID_BY_STATUS;
    err_set(err, RC_INVALID, "%s", form_fault(answer));
    return SAID_UNREADABLE;
}

enum answer_says answer_said(const struct answers *wanted, const struct answer *answer, enum trust trust,
                             struct err *err)
{
    enum answer_says best = SAID_NOTHING;
    for (size_t i = 0; i < wanted->n; i++) {
        struct err why;
        const struct answer_conf *conf = &wanted->list[i];
        if (conf->status != answer->status && !(conf->status == STATUS_OF_SUCCESS && answer->is_success))
            continue;
        enum answer_says one =
            conf->n_parts > 0 ? parts_said(conf, answer, trust, &why) : status_said(answer, trust, &why);
        if (one > best && one < SAID_BY_STATUS)
            *err = why;
        if (one > best)
            best = one;
    }
    return best;
}
