/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority whole: real requests through its socket, on a database of its own. Whatever is asked, nothing
 * fails inside (no status of 500 or above), every answer that says it is JSON is JSON, and the database keeps
 * its invariants (`lethe fsck`).
 *
 * An input is a conversation. A request is a line with method and target, and a body from the next line to an
 * empty one. In it $I, $E, $C and $S are the id, epoch, client id and client secret that an answer named
 * last, and $N is a number that was never used before. The database lives for many inputs, so that they meet
 * what others left behind.
 */
#include "fuzz.h"

#include "../unit/scratch.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/world.h"
#include "http/http_int.h"
#include "server/server.h"

enum { REQUESTS_MAX = 16, TEXT_MAX = 256 * 1024, INPUTS_OF_A_SERVER = 500, PEOPLE = 8 };

static const char configuration[] =
    "data_dir: data\n"
    "cool_off: 0\n"
    "identity: { salts: [93b1c5d2e4f60718a9, 0f1e2d3c4b5a69788796] }\n"
    "states: [PENDING, LOCKING, LOCKED, ERASING, ERASED, ERRORED, ABORTED, COMPLETE]\n";

static struct site {
    struct scratch folder;
    struct arena arena;
    struct config *config;
    struct metrics *metrics;
    struct server *server;
    struct http_client *client;
    char *socket_path;
    unsigned inputs;
    unsigned inputs_ever;
} site;

static struct named {
    char letter;
    const char *key; /* as an answer has it; NULL: none has */
    char value[64];
} named[] = {
    { 'I', "\"id\":", "" },
    { 'E', "\"epoch\":", "" },
    { 'C', "\"client_id\":\"", "" },
    { 'S', "\"client_secret\":\"", "" },
    { 'N', NULL, "" },
};
enum { NAMED = sizeof(named) / sizeof(named[0]), NUMBER = NAMED - 1 };

/* ---- one request ---- */

static void note(const char *answer)
{
    for (unsigned i = 0; i < NAMED; i++) {
        const char *found = named[i].key ? strstr(answer, named[i].key) : NULL;
        if (!found)
            continue;
        found += strlen(named[i].key);
        snprintf(named[i].value, sizeof(named[i].value), "%.*s", (int)strcspn(found, ",\"}"), found);
    }
}

static void check_answer(struct arena *a, const struct http_call *call)
{
    struct json *value;
    struct err err = { 0 };
    bool json = call->content_type && strstr(call->content_type, "json");
    enum rc rc = json && call->answer.len
                     ? json_parse(a, buf_str(&call->answer), call->answer.len, &value, &err)
                     : RC_OK;
    if (call->failure == HTTP_OK && call->status < 500 && !rc && !call->answer.over)
        return;
    fprintf(stderr, "%s: status %u, %s%s\n%s\n", call->url, call->status, call->error, err.text,
            buf_str(&call->answer));
    abort();
}

/* The header that the body may begin with. */
static const char *authorization(struct arena *a, const char **body)
{
    static const char name[] = "Authorization: ";
    if (strncmp(*body, name, sizeof(name) - 1) != 0)
        return NULL;
    size_t len = strcspn(*body, "\r\n");
    const char *header = arena_strndup(a, *body, len);
    *body += len + ((*body)[len] != '\0');
    return header;
}

static void request(struct arena *a, enum http_method method, const char *target, const char *body)
{
    const char *header = authorization(a, &body);
    struct http_call call = {
        .method = method,
        .url = arena_printf(a, "http://localhost%s", target),
        .socket_path = site.socket_path,
        .headers = &header,
        .n_headers = header != NULL,
        .body = body,
        .body_len = strlen(body),
        .timeout_us = 20 * CLOCK_S,
        .answer_max = (size_t)64 * 1024 * 1024,
    };
    http_call_now(site.client, &call);
    if (call.failure != HTTP_NOT_SENT) { /* libcurl takes the target for no URL */
        check_answer(a, &call);
        note(buf_str(&call.answer));
    }
    buf_free(&call.answer);
}

/* ---- the server ---- */

static void add_people(struct arena *a)
{
    for (unsigned i = 1; i <= PEOPLE; i++) {
        char *person = arena_printf(a, "{\"username\":\"u%u\",\"email\":\"u%u@example.com\"}", i, i);
        request(a, HTTP_POST, "/v1/accounts", person);
        request(a, HTTP_POST, "/v1/retirements", person);
    }
}

static void close_site(void)
{
    http_client_close(&site.client);
    server_close(&site.server);
    metrics_close(&site.metrics);
    scratch_remove(&site.folder);
    arena_free(&site.arena);
    site = (struct site){ .inputs_ever = site.inputs_ever };
}

static void open_site(void)
{
    struct http_client_conf client = { .world = &world_real, .connections_per_host = 1 };
    struct server_conf server = { .world = &world_real, .populate = true };
    struct err err = { 0 };
    log_setup(LOG_ERROR, false, STDERR_FILENO);
    scratch_make(&site.folder);
    const char *path = arena_strdup(&site.arena, scratch_path(&site.folder, "", "lethe.yml"));
    scratch_write(path, configuration, strlen(configuration), 0600);
    enum rc rc = config_load(&site.arena, path, &site.config, &err);
    server.config = site.config;
    server.metrics = site.metrics = metrics_open();
    if (!rc)
        rc = server_open(&server, &site.server, &err);
    if (!rc)
        rc = http_client_open(&http_curl, &client, &site.client, &err);
    if (rc) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    site.socket_path = server_socket_path(&site.arena, site.config->data_dir);
    add_people(&site.arena);
}

static void need_site(void)
{
    static bool registered;
    if (site.server && site.inputs++ < INPUTS_OF_A_SERVER)
        return;
    if (site.server)
        close_site();
    open_site();
    if (!registered)
        atexit(close_site); /* now: before the libraries' own */
    registered = true;
}

static void check_database(struct arena *a)
{
    struct http_call call = {
        .method = HTTP_POST,
        .url = "http://localhost/v1/fsck",
        .socket_path = site.socket_path,
        .timeout_us = 20 * CLOCK_S,
        .answer_max = TEXT_MAX,
    };
    http_call_now(site.client, &call);
    check_answer(a, &call);
    if (strcmp(buf_str(&call.answer), "{\"violations\":[]}") != 0) {
        fprintf(stderr, "%s\n", buf_str(&call.answer));
        abort();
    }
    buf_free(&call.answer);
}

/* ---- the conversation ---- */

static const struct named *find_named(const char *text)
{
    for (unsigned i = 0; i < NAMED; i++) {
        if (text[0] == '$' && text[1] == named[i].letter)
            return &named[i];
    }
    return NULL;
}

static void fill_in(struct buf *out, const char *text)
{
    for (; *text; text++) {
        const struct named *name = find_named(text);
        if (name)
            buf_add_str(out, name->value);
        else
            buf_add_char(out, *text);
        text += name != NULL;
    }
}

/* What cannot stand in a URL as it is goes as %XX; the rest, % among it, stays. */
static char *as_target(struct arena *a, const char *text)
{
    struct buf out;
    buf_init(&out, 3 * TEXT_MAX);
    for (; *text; text++) {
        if (*text > ' ' && *text < 0x7f && *text != '#')
            buf_add_char(&out, *text);
        else
            buf_add_url(&out, text, 1);
    }
    char *target = arena_strdup(a, buf_str(&out));
    buf_free(&out);
    return target;
}

static void say(struct arena *a, char *text)
{
    enum http_method method;
    char *body = fuzz_rest(text);
    char *target = strchr(text, ' ');
    if (!target)
        return;
    *target++ = '\0';
    if (http_find_method(text, &method) && method != HTTP_OTHER && target[0] == '/')
        request(a, method, as_target(a, target), body);
}

static void converse(struct arena *a, char *text)
{
    for (unsigned i = 0; i < REQUESTS_MAX && *text; i++) {
        char *end = strstr(text, "\n\n");
        char *next = end ? end + 2 : text + strlen(text);
        struct buf one;
        if (end)
            *end = '\0';
        buf_init(&one, TEXT_MAX);
        fill_in(&one, text);
        char *copy = fuzz_text(buf_str(&one), one.len);
        say(a, copy);
        free(copy);
        buf_free(&one);
        text = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    char *text = fuzz_text(data, size);
    need_site();
    snprintf(named[NUMBER].value, sizeof(named[NUMBER].value), "%u", ++site.inputs_ever);
    converse(&a, text);
    check_database(&a);
    free(text);
    arena_free(&a);
    return 0;
}
