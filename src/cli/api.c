/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How every command reaches a server: one elsewhere (--server), the one that runs on the data directory, or,
 * if none runs there, one that is started inside this process while the command runs.
 *
 * The hard idea: only one server can have the data directory, and servers come and go. One that is starting
 * holds the lock but does not answer yet; one inside another command can end between two of our calls. So
 * reaching the server is a loop until a deadline: does a server answer at the socket? If not, can we open the
 * directory ourselves? If not, another process is starting or stopping: try again.
 */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/url.h"
#include "server/server.h"

enum {
    REACH_DEADLINE_S = 10,
    REACH_AGAIN_MS = 10,
    CALL_TIMEOUT_S = 600,  /* checking a large database takes long */
    MONITOR_TIMEOUT_S = 8, /* for all calls together: monitoring systems give up after 10 */
    ANSWER_MAX = 64 * 1024 * 1024,
    TOKEN_ANSWER_MAX = 64 * 1024
};

struct api {
    struct arena arena;
    const struct world *world;
    struct http_client *client;
    const struct config *config; /* NULL: a server elsewhere */
    const char *socket_path;     /* NULL: a server elsewhere */
    struct channel channel;      /* to a server elsewhere */
    const char *base_url;        /* without a slash at the end */
    char *authorization;         /* the header; NULL at a socket */
    bool user_is_meant;          /* may make a data directory, though it is root */
    bool populate;               /* a server inside this process gives an empty database its states */
    bool only_running;           /* CLI_RUNNING */
    bool upkeep;                 /* CLI_UPKEEP */
    bool monitors;               /* CLI_MONITOR */
    int64_t deadline;            /* of a command that monitors */
    struct metrics *metrics;
    struct server *server; /* NULL: it runs in another process */
};

/* ---- reaching the server of a data directory ---- */

enum presence { PRESENT, ABSENT };

/* Does a server answer at the socket? RC_FORBIDDEN: this user cannot ask. */
static enum rc look_for_server(const char *path, enum presence *out, struct err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    *out = ABSENT;
    enum rc rc = server_check_socket_path(path, err);
    if (rc)
        return rc;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(err, "cannot make a socket");
    int failed = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    int why = errno;
    close(fd);
    *out = failed ? ABSENT : PRESENT;
    if (!failed || why == ENOENT || why == ECONNREFUSED)
        return RC_OK;
    errno = why;
    if (why == EACCES || why == EPERM)
        return err_set(err, RC_FORBIDDEN,
                       "this user may not use %s: run the command as the user that the server runs as", path);
    return err_set_errno(err, "cannot reach %s", path);
}

/* A server inside this command writes files, which must belong to the owner of the directory. Root makes a
 * directory only if root is meant. */
static enum rc check_owner(const struct api *api, struct err *err)
{
    struct stat st;
    const char *data_dir = api->config->data_dir;
    bool exists = stat(data_dir, &st) == 0;
    if (exists && st.st_uid != geteuid())
        return err_set(err, RC_FORBIDDEN, "%s belongs to another user: run the command as that user",
                       data_dir);
    if (!exists && !api->user_is_meant)
        return err_set(err, RC_FORBIDDEN,
                       "%s does not exist, and root would own it: run the command as the user that the "
                       "server runs as, or set LETHE_ALLOW_ROOT=1 if root is meant",
                       data_dir);
    return RC_OK;
}

static enum rc reach(struct api *api, int64_t deadline, struct err *err)
{
    const struct server_conf conf = {
        .config = api->config,
        .world = api->world,
        .metrics = api->metrics,
        .populate = api->populate,
        .upkeep = api->upkeep,
    };
    for (;;) {
        enum presence presence;
        enum rc rc = look_for_server(api->socket_path, &presence, err);
        if (rc || presence == PRESENT)
            return rc;
        bool may_start = api->monitors ? api->config->is_driver_file : !api->only_running;
        if (!may_start)
            return err_set(err, RC_UNAVAILABLE, "no server runs: there is no answer at %s", api->socket_path);
        rc = check_owner(api, err);
        if (!rc)
            rc = server_open(&conf, &api->server, err);
        if (rc != RC_CONFLICT || strcmp(err->code, "locked") != 0 || world_mono(api->world) > deadline)
            return rc;
        poll(NULL, 0, REACH_AGAIN_MS);
    }
}

/* ---- a server elsewhere ---- */

static int64_t call_timeout(const struct api *api)
{
    if (!api->monitors)
        return CALL_TIMEOUT_S * CLOCK_S;
    int64_t left = api->deadline - world_mono(api->world);
    return left > CLOCK_MS ? left : CLOCK_MS;
}

static enum rc call_failed(const struct api *api, const struct http_call *call, struct err *err)
{
    const char *where = api->socket_path ? api->socket_path : api->base_url;
    switch (call->failure) {
    case HTTP_OK: return RC_OK;
    case HTTP_NOT_SENT: return err_set(err, RC_UNAVAILABLE, "cannot reach %s: %s", where, call->error);
    case HTTP_TIMED_OUT:
    case HTTP_UNKNOWN:
        return err_set(err, RC_UNAVAILABLE,
                       "the answer of %s was lost (%s); the call may have taken effect: look before you "
                       "repeat it",
                       where, call->error);
    case HTTP_ANSWER_TOO_LARGE: return err_set(err, RC_TOO_LARGE, "the answer of %s is too large", where);
    case HTTP_CANCELLED: return err_set(err, RC_INTERNAL, "the call was cancelled");
    }
    return err_set(err, RC_INTERNAL, "the call ended in an unknown way");
}

static enum rc token_of_answer(struct api *api, const struct http_call *call, const char *secret,
                               struct err *err)
{
    struct arena a = { 0 };
    struct json *json;
    const char *error;
    const char *words = call->status == 200 ? "" : http_refusal_words(&a, call, secret, &error);
    enum rc rc = RC_OK;
    if (call->status == 401 || call->status == 400)
        rc = err_set(err, RC_UNAUTHENTICATED,
                     "%s refuses LETHE_CLIENT_ID and the secret in LETHE_CLIENT_SECRET_FILE%s%s",
                     api->base_url, *words ? ": " : "", words);
    else if (*words)
        rc = err_set(err, RC_UNAVAILABLE, "%s gives no token (status %u): %s", api->base_url, call->status,
                     words);
    else if (call->status != 200 || json_parse(&a, buf_str(&call->answer), call->answer.len, &json, NULL) ||
             !api_text(json, "access_token")[0])
        rc = err_set(err, RC_UNAVAILABLE, "%s gave no token (status %u): is it a Lethe server?",
                     api->base_url, call->status);
    else
        api->authorization =
            arena_printf(&api->arena, "Authorization: JWT %s", api_text(json, "access_token"));
    arena_free(&a);
    return rc;
}

static enum rc fetch_token(struct api *api, const char *client_id, const char *secret, struct err *err)
{
    static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded" };
    struct buf body;
    buf_init(&body, HTTP_HEADER_MAX);
    buf_add_str(&body, "grant_type=client_credentials&token_type=jwt&client_id=");
    buf_add_url(&body, client_id, strlen(client_id));
    buf_add_str(&body, "&client_secret=");
    buf_add_url(&body, secret, strlen(secret));
    struct http_call call = {
        .method = HTTP_POST,
        .url = arena_printf(&api->arena, "%s/oauth2/access_token", api->base_url),
        .channel = &api->channel,
        .headers = headers,
        .n_headers = 1,
        .body = buf_str(&body),
        .body_len = body.len,
        .timeout_us = call_timeout(api),
        .answer_max = TOKEN_ANSWER_MAX,
        .stop_at_max = true,
    };
    http_call_now(api->client, &call);
    enum rc rc = call_failed(api, &call, err);
    if (!rc)
        rc = token_of_answer(api, &call, secret, err);
    crypto_wipe(body.data, body.len);
    buf_free(&body);
    buf_free(&call.answer);
    return rc;
}

static enum rc open_remote(struct api *api, const char *url, struct err *err)
{
    const char *client_id = getenv("LETHE_CLIENT_ID");
    const char *secret_file = getenv("LETHE_CLIENT_SECRET_FILE");
    char *secret;
    const char *fault = url_check(&api->arena, url, &api->base_url);
    if (fault)
        return err_set(err, RC_INVALID, "--server: %s", fault);
    enum rc rc = config_read_channel(&api->arena, "LETHE_SERVER", &api->channel, err);
    if (rc)
        return rc;
    if (channel_exposes(&api->channel, &api->arena, url))
        return err_set(
            err, RC_INVALID,
            "--server needs https:// for another machine or a proxy: secrets would go unprotected");
    if (!client_id || !secret_file)
        return err_set(err, RC_INVALID,
                       "--server needs credentials: set LETHE_CLIENT_ID and LETHE_CLIENT_SECRET_FILE "
                       "(\"lethe client add\" at the server makes them)");
    rc = file_read_secret(&api->arena, secret_file, SECRETS_DIR, &secret, err);
    if (rc)
        return err_prefix(err, "LETHE_CLIENT_SECRET_FILE");
    fault = text_secret_fault(&api->arena, secret);
    if (fault)
        return err_set(err, RC_INVALID, "LETHE_CLIENT_SECRET_FILE: %s:1: the secret %s", secret_file, fault);
    return fetch_token(api, client_id, secret, err);
}

static enum rc open_local(struct api *api, struct cli *cli, struct err *err)
{
    enum rc rc = cli_config(cli, &api->config, err);
    if (!rc)
        rc = cli_want_server(api->config, err);
    if (rc)
        return rc;
    api->base_url = "http://localhost";
    api->user_is_meant = cli_user_is_meant(cli);
    api->populate = !(cli->command->shared & CLI_AS_IT_IS);
    api->socket_path = server_socket_path(&api->arena, api->config->data_dir);
    return reach(api, world_mono(api->world) + REACH_DEADLINE_S * CLOCK_S, err);
}

enum rc api_open(struct cli *cli, struct api **out, struct err *err)
{
    const struct http_client_conf conf = { .world = cli->world,
                                           .connections_per_host = 1,
                                           .user_agent = "lethe/" LETHE_VERSION };
    const char *url = cli->command->shared & CLI_SERVER ? cli_option(cli, "server") : NULL;
    struct api *api = XNEW(struct api);
    api->world = cli->world;
    api->metrics = metrics_open();
    api->only_running = cli->command->shared & CLI_RUNNING;
    api->upkeep = cli->command->shared & CLI_UPKEEP;
    api->monitors = cli->command->shared & CLI_MONITOR;
    api->deadline = world_mono(cli->world) + MONITOR_TIMEOUT_S * CLOCK_S;
    enum rc rc = http_client_open(&http_curl, &conf, &api->client, err);
    if (!rc)
        rc = url ? open_remote(api, url, err) : open_local(api, cli, err);
    if (rc)
        api_close(&api);
    *out = api;
    return rc;
}

void api_close(struct api **out)
{
    struct api *api = *out;
    if (!api)
        return;
    if (api->client)
        http_client_close(&api->client);
    if (api->server)
        server_close(&api->server);
    metrics_close(&api->metrics);
    arena_free(&api->arena);
    free(api);
    *out = NULL;
}

struct server *api_inside(const struct api *api)
{
    return api->server;
}

enum rc api_keep(struct api *api, struct err *err)
{
    enum rc rc = api->server ? RC_OK : reach(api, world_mono(api->world), err);
    bool is_starting = rc == RC_CONFLICT && strcmp(err->code, "locked") == 0;
    return is_starting ? RC_OK : rc;
}

/* ---- calls ---- */

static enum rc rc_of_status(unsigned status)
{
    switch (status) {
    case 401: return RC_UNAUTHENTICATED;
    case 403: return RC_FORBIDDEN;
    case 404: return RC_NOT_FOUND;
    case 409: return RC_CONFLICT;
    case 413: return RC_TOO_LARGE;
    case 507: return RC_NO_SPACE;
    case 429:
    case 502:
    case 503:
    case 504: return RC_UNAVAILABLE;
    default: return status >= 500 ? RC_INTERNAL : RC_INVALID;
    }
}

/* An error is told in the server's own words. The LMS's calls answer with a JSON string, and with 400 also if
 * it is the state of things that refuses. */
static enum rc read_answer(const struct http_call *call, struct arena *a, struct api_answer *out,
                           struct err *err)
{
    struct json *json = NULL;
    *out = (struct api_answer){ .status = call->status };
    out->text = arena_strndup(a, buf_str(&call->answer), call->answer.len);
    if (call->answer.len && json_parse(a, out->text, call->answer.len, &json, NULL) && call->status < 300)
        return err_set(err, RC_INTERNAL, "the server's answer is not JSON: is it a Lethe server?");
    out->json = json;
    if (call->status < 300)
        return RC_OK;
    enum rc rc = rc_of_status(call->status);
    if (json && json->kind == JSON_TEXT && *json->text)
        return err_set(err, call->status == 400 ? RC_CONFLICT : rc, "%s", json->text);
    const char *detail = json ? api_text(json, "detail") : "";
    const char *title = json ? api_text(json, "title") : "";
    const char *code = json ? api_text(json, "code") : "";
    if (!*detail && !*title)
        return err_set(err, rc, "the server answered with status %u", call->status);
    return err_set_code(err, rc, *code ? code : rc_code(rc), "%s", *detail ? detail : title);
}

/* key: the Idempotency-Key header of a write, the same in each repetition; NULL: of a read. */
static void send_once(struct api *api, const struct api_request *request, const char *url, const char *key,
                      struct http_call *call)
{
    const char *headers[3] = { "Content-Type: application/json" };
    size_t n_headers = 1;
    if (api->authorization)
        headers[n_headers++] = api->authorization;
    if (key)
        headers[n_headers++] = key;
    *call = (struct http_call){
        .method = request->method,
        .url = url,
        .channel = &api->channel,
        .socket_path = api->socket_path,
        .headers = headers,
        .n_headers = n_headers,
        .body = request->body ? buf_str(request->body) : NULL,
        .body_len = request->body ? request->body->len : 0,
        .timeout_us = call_timeout(api),
        .answer_max = ANSWER_MAX,
        .stop_at_max = true,
    };
    http_call_now(api->client, call);
    call->headers = NULL;
}

/* Can the call be repeated? The server knows a write below /v1/ by its key and does it once. For the LMS's
 * calls it keeps no keys: if their answer was lost, they may have had their effect. */
static bool may_repeat(const struct api *api, const struct api_request *request, const struct http_call *call)
{
    bool done_once =
        request->may_come_twice || request->method == HTTP_GET || strncmp(request->path, "/v1/", 4) == 0;
    if (!api->socket_path || api->server || api->monitors)
        return false;
    if (call->failure == HTTP_OK)
        return call->status == 503;
    return call->failure == HTTP_NOT_SENT || (done_once && call->failure == HTTP_UNKNOWN);
}

static const char *make_key(const struct world *world, struct arena *a)
{
    uint8_t random[16];
    char hex[2 * sizeof(random) + 1];
    world_random(world, random, sizeof(random));
    crypto_hex(random, sizeof(random), hex);
    return arena_printf(a, "Idempotency-Key: %s", hex);
}

enum rc api_call(struct api *api, struct arena *a, const struct api_request *request, struct api_answer *out,
                 struct err *err)
{
    struct http_call call;
    const char *url = arena_printf(a, "%s%s", api->base_url, request->path);
    const char *key = request->method == HTTP_GET ? NULL : make_key(api->world, a);
    int64_t deadline = world_mono(api->world) + REACH_DEADLINE_S * CLOCK_S;
    *out = (struct api_answer){ .text = "" };
    send_once(api, request, url, key, &call);
    while (may_repeat(api, request, &call) && world_mono(api->world) < deadline) {
        buf_free(&call.answer);
        poll(NULL, 0, REACH_AGAIN_MS);
        enum rc reached = reach(api, deadline, err);
        if (reached)
            return reached;
        send_once(api, request, url, key, &call);
    }
    enum rc rc = call_failed(api, &call, err);
    if (!rc)
        rc = read_answer(&call, a, out, err);
    buf_free(&call.answer);
    return rc;
}

void api_body_open(struct api_body *body)
{
    *body = (struct api_body){ 0 };
    buf_init(&body->buf, HTTP_BODY_MAX);
    body->json.buf = &body->buf;
    json_open_map(&body->json);
}

void api_body_free(struct api_body *body)
{
    buf_free(&body->buf);
}

static enum rc send_body(struct api *api, struct arena *a, enum http_method method, const char *path,
                         struct api_body *body, struct api_answer *out, struct err *err)
{
    struct api_request request = { .method = method, .path = path, .body = &body->buf };
    json_close_map(&body->json);
    enum rc rc = body->buf.over ? err_set(err, RC_TOO_LARGE, "this is too large for one request")
                                : api_call(api, a, &request, out, err);
    api_body_free(body);
    return rc;
}

enum rc api_post(struct api *api, struct arena *a, const char *path, struct api_body *body,
                 struct api_answer *out, struct err *err)
{
    return send_body(api, a, HTTP_POST, path, body, out, err);
}

enum rc api_patch(struct api *api, struct arena *a, const char *path, struct api_body *body,
                  struct api_answer *out, struct err *err)
{
    return send_body(api, a, HTTP_PATCH, path, body, out, err);
}

enum rc api_get(struct api *api, struct arena *a, const char *path, struct api_answer *out, struct err *err)
{
    struct api_request request = { .method = HTTP_GET, .path = path };
    return api_call(api, a, &request, out, err);
}

enum rc api_get_page(struct api *api, struct arena *a, const char *path, const char *list_key, int64_t *after,
                     const struct json **list, struct err *err)
{
    struct api_answer answer;
    enum rc rc = api_get(api, a, arena_printf(a, "%safter=%lld", path, (long long)*after), &answer, err);
    if (!rc)
        rc = api_expect(answer.json, list_key, JSON_LIST, list, err);
    *after = rc ? 0 : api_int(answer.json, "next");
    return rc;
}

enum rc api_get_once(struct cli *cli, const char *path, struct api_answer *out, struct err *err)
{
    struct api *api;
    enum rc rc = api_open(cli, &api, err);
    if (!rc)
        rc = api_get(api, &cli->arena, path, out, err);
    api_close(&api);
    return rc;
}

enum rc api_post_once(struct cli *cli, const char *path, struct api_body *body, struct api_answer *out,
                      struct err *err)
{
    struct api *api;
    enum rc rc = api_open(cli, &api, err);
    if (rc)
        api_body_free(body);
    else
        rc = api_post(api, &cli->arena, path, body, out, err);
    api_close(&api);
    return rc;
}

/* ---- looking into answers ---- */

enum rc api_expect(const struct json *map, const char *key, enum json_kind kind, const struct json **out,
                   struct err *err)
{
    *out = map && map->kind == JSON_MAP ? json_get(map, key) : NULL;
    if (!*out || (*out)->kind != kind)
        return err_set(err, RC_INTERNAL, "the server's answer lacks \"%s\": is it a Lethe server?", key);
    return RC_OK;
}

const char *api_text(const struct json *map, const char *key)
{
    const char *text = json_get_text(map, key);
    return text ? text : "";
}

int64_t api_int(const struct json *map, const char *key)
{
    return json_get_int(map, key, 0);
}
