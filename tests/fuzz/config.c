/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole configuration file: refused in one line, or fit to be used: every call it describes can be made for
 * a person with a hostile name.
 */
#include "fuzz.h"

#include "../unit/scratch.h"
#include "base/json.h"
#include "base/mail.h"
#include "config/config.h"

enum { RENDERED_MAX = 4 * 1024 * 1024 };

static struct scratch folder;

static void remove_folder(void)
{
    scratch_remove(&folder);
}

static const char *config_path(void)
{
    static char path[SCRATCH_MAX + 16];
    if (!path[0]) {
        scratch_make(&folder);
        atexit(remove_folder);
        snprintf(path, sizeof(path), "%s/lethe.yml", folder.folder);
    }
    return path;
}

static char *render(struct arena *a, const struct template *t)
{
    static const char *more[TEMPLATE_MORE_MAX];
    static const struct template_values hostile = {
        "o'\"\\/?&=\n#{x}", "\xc3\xa9@x", "\"}", "x", "x", "1", "2", "3", "4", more
    };
    struct buf out;
    struct err err;
    for (size_t i = 0; i < TEMPLATE_MORE_MAX; i++)
        more[i] = i % 2 ? "../\"},'?#" : "7";
    buf_init(&out, RENDERED_MAX);
    enum rc rc = template_render(t, &hostile, &out, &err);
    if (rc)
        fuzz_check_err(rc, &err);
    char *text = !rc ? arena_strdup(a, buf_str(&out)) : NULL;
    buf_free(&out);
    return text;
}

static void check_http(struct arena *a, const struct http_step_conf *http)
{
    struct json *body;
    struct err err;
    assert(http->service && http->method && http->path && !(http->body.text && http->body.parts));
    const char *path = render(a, http->path);
    assert(!path || (path[0] == '/' && !text_has_control(path) && !strpbrk(path, " #")));
    bool is_json = http->body.kind && strcmp(http->body.kind, "json") == 0;
    const char *json = is_json ? render(a, http->body.text) : NULL;
    if (json) {
        enum rc rc = json_parse(a, json, strlen(json), &body, &err);
        assert(!rc);
    }
    for (size_t i = 0; i < http->n_headers; i++) {
        const char *value = render(a, http->headers[i].value);
        assert(!strpbrk(http->headers[i].name, "\r\n:") && (!value || !strpbrk(value, "\r\n")));
    }
}

static void check_mail(struct arena *a, const struct mail_action_conf *mail)
{
    const char *subject = render(a, mail->subject), *to = render(a, mail->to);
    assert(mail->server && mail_is_address(mail->server->from) && mail->text);
    assert(!subject || !text_has_control(subject));
    assert(!to || !text_has_control(to));
}

static void check_sql(struct arena *a, const struct sql_action_conf *sql)
{
    static const struct template_values somebody = { "a'b", "a'b", "a'b", "a'b", "a'b",
                                                     "a'b", "a'b", "a'b", "a'b" };
    const char *const *values;
    struct err err;
    assert(sql->service && sql->service->odbc && sql->n > 0);
    for (size_t i = 0; i < sql->n; i++) {
        const char *text = render(a, sql->statements[i].sql);
        size_t n, places = 0;
        enum rc rc = template_bind(a, sql->statements[i].sql, &somebody, &values, &n, &err);
        assert(!rc && text);
        for (; *text; text++)
            places += *text == '?';
        assert(places >= n);
    }
}

static void check_action(struct arena *a, const struct action_conf *action)
{
    assert(action->timeout_us > 0);
    switch (action->kind) {
    case ACTION_HTTP:
        for (size_t i = 0; i < action->http.n_steps; i++)
            check_http(a, &action->http.steps[i]);
        break;
    case ACTION_SQL: check_sql(a, &action->sql); break;
    case ACTION_MAIL: check_mail(a, &action->mail); break;
    case ACTION_EXEC: assert(action->exec.argc > 0 && action->exec.argv[0][0]); break;
    case ACTION_MANUAL: assert(action->manual.instructions && action->manual.remind_us > 0); break;
    }
}

static void check_conditions(const struct stage_conf *stage)
{
    static const struct template_values nobody = { 0 },
                                        somebody = { "aaaaab*", "A@B\xc3\x89", "", .user_id = "1" };
    static const char *const none[] = { NULL }, *const orgs[] = { "", "**a", NULL };
    const char *whys[] = { config_passes_over(stage, &nobody, none),
                           config_passes_over(stage, &somebody, orgs) };
    for (size_t i = 0; i < 2; i++)
        assert(!whys[i] || stage->when || stage->unless);
}

static void check_config(struct arena *a, const struct config *config)
{
    assert(config->data_dir && config->listen_host && config->max_connections > 0 && config->salts.n > 0);
    assert(config->cool_off_us >= 0 && config->token_lifetime_us > 0 && config->lease_us > 0);
    assert(config->has_stages == (config->n_stages > 0) && (!config->has_stages || config->pipeline));
    for (size_t i = 0; i < config->n_stages; i++) {
        const struct stage_conf *stage = &config->stages[i];
        assert(stage->working && stage->completed);
        check_conditions(stage);
        check_action(a, &stage->action);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct config *config;
    struct err err;
    scratch_write(config_path(), data, size, 0600);
    enum rc rc = config_load(&a, config_path(), &config, &err);
    if (!rc)
        check_config(&a, config);
    else
        fuzz_check_err(rc, &err);
    arena_free(&a);
    return 0;
}
