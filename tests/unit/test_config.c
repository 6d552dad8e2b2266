/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: what good ones mean, and what is said about bad ones (data/config_bad.txt). Files are
 * written to a folder of the test's own.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

enum { TEXT_MAX = 1024 * 1024 };

#define IDENTITY "identity: { salts: [salt-2018-old, salt-2026-current] }\n"
#define SERVICES "services: { lms: { url: \"https://lms.example.com\" } }\n"

static char folder[64];
static struct arena arena;

static const char *in_folder(const char *name)
{
    return arena_printf(&arena, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    const char *path = in_folder(name);
    unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/lethe-test-config.XXXXXX");
    assert_non_null(mkdtemp(folder));
    write_file("salts", "salt-2018-old\n\r\nsalt-2026-current\r\n", 0600);
    write_file("open", "salt-2018-old\n", 0644);
    write_file("empty", "\n\n", 0600);
    write_file("short", "salt-2018-old\nabc\n", 0600);
    write_file("long", arena_printf(&arena, "%04097d", 1), 0600);
    write_file("lines", "0123456789\nabcdef\n", 0600);
    write_file("lms.secret", "0123456789abcdef\n", 0600);
    write_file("cert.pem", "certificate", 0644);
    write_file("key.pem", "key", 0600);
    setenv("LETHE_TEST_SECRET", "0123456789abcdef", 1);
    setenv("LETHE_TEST_EMPTY", "", 1);
    unsetenv("LETHE_TEST_NOT_SET");
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = { "salts",
                                         "open",
                                         "empty",
                                         "short",
                                         "long",
                                         "lines",
                                         "lms.secret",
                                         "cert.pem",
                                         "key.pem",
                                         "lethe.yml",
                                         "newsletter.token",
                                         "bad-salts" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(in_folder(names[i]));
    int failed = rmdir(folder);
    arena_free(&arena);
    return failed;
}

static int forget(void **state)
{
    arena_reset(&arena);
    return 0;
}

static enum rc load_text(const char *text, struct config **out, struct err *err)
{
    write_file("lethe.yml", text, 0600);
    return config_load(&arena, in_folder("lethe.yml"), out, err);
}

static struct config *load_good(const char *text)
{
    struct config *config = NULL;
    struct err err = { 0 };
    if (load_text(text, &config, &err))
        fail_msg("%s", err.text);
    return config;
}

static const char *read_text(const char *path)
{
    char *text;
    struct err err;
    if (file_read(&arena, path, TEXT_MAX, &text, NULL, &err))
        fail_msg("%s", err.text);
    return text;
}

static const char *read_data(const char *name)
{
    return read_text(arena_printf(&arena, "%s/%s", getenv("LETHE_TESTDATA"), name));
}

/* ---- bad ones ---- */

struct bad_case {
    const char *name, *yaml, *expected;
};

/* @N@ stands for N times the letter x. */
static const char *unfold(const char *text)
{
    const char *at = strchr(text, '@');
    char *end;
    if (!at)
        return text;
    long n = strtol(at + 1, &end, 10);
    if (n <= 0 || *end != '@')
        return text;
    char *many = arena_alloc(&arena, (size_t)n + 1);
    memset(many, 'x', (size_t)n);
    return arena_printf(&arena, "%.*s%s%s", (int)(at - text), text, many, end + 1);
}

static bool has_line(const char *text, const char *start)
{
    const char *found = strstr(text, start);
    return found && (found == text || found[-1] == '\n');
}

/* The next case from *at on; false when there is none left. */
static bool next_case(char **at, struct bad_case *out)
{
    char *start = strstr(*at, "\n=== ");
    if (!start)
        return false;
    start++;
    char *yaml = strchr(start, '\n') + 1;
    char *expected = strstr(yaml, "\n=> ") + 1;
    char *end = strchr(expected, '\n');
    const char *text = arena_strndup(&arena, yaml, (size_t)(expected - yaml));
    out->name = arena_strndup(&arena, start + 4, (size_t)(yaml - start - 5));
    while (strncmp(end, "\n=> ", 4) == 0)
        end = strchr(end + 1, '\n');
    out->expected = arena_strndup(&arena, expected, (size_t)(end + 1 - expected));
    bool as_it_is = strncmp(out->name, "as it is: ", 10) == 0;
    out->yaml =
        arena_printf(&arena, "%s%s%s", unfold(text), as_it_is || has_line(text, "identity:") ? "" : IDENTITY,
                     as_it_is || has_line(text, "services:") ? "" : SERVICES);
    *at = end;
    return true;
}

/* The words behind the file's name, with the folder left out wherever it stands. */
static const char *without_folder(const char *text)
{
    char *copy = arena_strdup(&arena, text);
    size_t len = strlen(folder) + 1;
    for (char *found; (found = strstr(copy, folder));)
        memmove(found, found + len, strlen(found + len) + 1);
    return copy;
}

/* All that is said about a file, as it stands in config_bad.txt. */
static const char *told(const struct config_faults *faults)
{
    const char *all = "";
    for (size_t i = 0; i < faults->n; i++) {
        const struct config_fault *f = &faults->fault[i];
        const char *file = strcmp(f->file, in_folder("lethe.yml")) == 0 ? "" : f->file;
        all = arena_printf(&arena, "%s=> %s%u:%u: %s\n", all, file, f->line, f->column, f->what);
    }
    return faults->more ? arena_printf(&arena, "%sand %zu more\n", all, faults->more) : all;
}

static void test_config__bad_ones_say_where_and_what(void **state)
{
    char *at = arena_strdup(&arena, read_data("config_bad.txt"));
    struct bad_case c;
    unsigned wrong = 0, n = 0;
    for (; next_case(&at, &c); n++) {
        struct config *config = NULL;
        struct config_faults faults;
        struct err err = { 0 };
        write_file("lethe.yml", c.yaml, 0600);
        enum rc rc = config_load_whole(&arena, in_folder("lethe.yml"), &config, &faults, &err);
        const char *got = !rc ? "no error\n" : without_folder(told(&faults));
        if (rc == RC_INVALID && strcmp(got, c.expected) == 0)
            continue;
        fprintf(stderr, "%s: expected\n%sgot\n%s", c.name, c.expected, got); /* print_message cuts */
        wrong++;
    }
    assert_true(n >= 60);
    assert_int_equal(wrong, 0);
}

static void test_config__fifty_mistakes_are_enough(void **state)
{
    struct config *config = NULL;
    struct config_faults faults;
    struct err err;
    const char *text = "";
    for (int i = 60; i > 0; i--)
        text = arena_printf(&arena, "zebra%d: %d\n%s", i, i, text);
    write_file("lethe.yml", text, 0600);
    assert_int_equal(config_load_whole(&arena, in_folder("lethe.yml"), &config, &faults, &err), RC_INVALID);
    assert_int_equal(faults.n, CONFIG_FAULTS_MAX);
    assert_int_equal(faults.more, 11); /* ten keys, and there are no salts */
    assert_string_equal(without_folder(err.text), "lethe.yml:1:1: unknown key zebra1");
    assert_string_equal(faults.fault[49].what, "unknown key zebra50");
}

static void test_config__missing_file_says_how_to_get_one(void **state)
{
    struct config *config = NULL;
    struct err err;
    assert_int_equal(config_load(&arena, in_folder("nowhere.yml"), &config, &err), RC_NOT_FOUND);
    assert_non_null(strstr(err.text, "examples/lethe.yml"));
    assert_null(config);
}

static void test_config__empty_file_is_told_how_to_make_salts(void **state)
{
    struct config *config = NULL;
    struct err err;
    assert_int_equal(load_text("", &config, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "lethe.yml:1:1: identity.salts_file is missing"));
    assert_non_null(strstr(err.text, "openssl rand -hex 32 > salts; chmod 600 salts"));
}

static void test_config__bytes_that_are_not_utf8_are_refused(void **state)
{
    struct config *config = NULL;
    struct err err;
    assert_int_equal(load_text("data_dir: \"a\xff\"\n" IDENTITY, &config, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "lethe.yml:1:13: not UTF-8"));
}

static void test_config__works_without_a_place_for_the_error(void **state)
{
    struct config *config = NULL;
    assert_int_equal(load_text("cool_off: soon\n", &config, NULL), RC_INVALID);
    assert_int_equal(load_text("identity: { salts_file: nowhere }\n", &config, NULL), RC_INVALID);
}

/* A good file that is cut off anywhere is read or refused, and does no other harm. */
static void test_config__cut_files_do_no_harm(void **state)
{
    const char *whole =
        read_text(arena_printf(&arena, "%s/../../../examples/lethe.yml", getenv("LETHE_TESTDATA")));
    write_file("newsletter.token", "0123456789abcdef\n", 0600);
    size_t len = strlen(whole);
    for (size_t n = 0; n < len; n += 7) {
        struct config *config = NULL;
        struct err err = { 0 };
        const char *text = arena_strndup(&arena, whole, n);
        enum rc rc = load_text(text, &config, &err);
        assert_true((rc == RC_OK) == (config != NULL));
        assert_true(!rc || (rc == RC_INVALID && strstr(err.text, "lethe.yml:")));
    }
}

/* ---- good ones ---- */

static void test_config__presets(void **state)
{
    const struct config *c = load_good(IDENTITY);
    assert_string_equal(c->file, in_folder("lethe.yml"));
    assert_string_equal(c->data_dir, in_folder("lethe-data"));
    assert_string_equal(c->listen_host, "127.0.0.1");
    assert_int_equal(c->listen_port, 8080);
    assert_null(c->tls_certificate);
    assert_null(c->tls_key);
    assert_false(c->behind_proxy);
    assert_int_equal(c->max_connections, 960);
    assert_int_equal(c->max_connections_per_address, 0);
    assert_string_equal(c->database, "sqlite");
    assert_int_equal(c->cool_off_us, 7 * CLOCK_DAY);
    assert_false(c->strict);
    assert_int_equal(c->token_lifetime_us, 3600 * CLOCK_S);
    assert_string_equal(c->retired_username, "retired__user_{}");
    assert_string_equal(c->retired_email, "retired__user_{}@retired.invalid");
    assert_int_equal(c->lease_us, 60 * CLOCK_S);
    assert_int_equal(c->max_in_flight, 1000);
    assert_int_equal(c->poll_us, 2 * CLOCK_S);
    assert_int_equal(c->deaths_max, 5);
    assert_string_equal(c->log_level, "info");
    assert_false(c->log_json);
}

static void test_config__what_needs_a_restart_is_kept_and_named(void **state)
{
    struct buf kept;
    buf_init(&kept, 1000);
    const struct config *running = load_good("cool_off: 1d\nmax_connections: 5\n" IDENTITY);
    struct config *next = load_good("cool_off: 2d\nmax_connections: 6\nlisten: 127.0.0.1:81\n"
                                    "identity: { salts: [another-salt-2027] }\n");
    config_keep_fixed(running, next, &kept);
    assert_string_equal(buf_str(&kept), "identity, listen, max_connections");
    assert_int_equal(next->cool_off_us, 2 * CLOCK_DAY);
    assert_int_equal(next->max_connections, 5);
    assert_int_equal(next->listen_port, 8080);
    assert_string_equal(next->salts.salt[0], running->salts.salt[0]);

    buf_reset(&kept);
    config_keep_fixed(running,
                      load_good("data_dir: there\ntls: { certificate_file: cert.pem, key_file: key.pem }\n"
                                "behind_proxy: true\nmax_connections: 5\n"
                                "max_connections_per_address: 4\n" IDENTITY),
                      &kept);
    assert_string_equal(buf_str(&kept), "data_dir, tls, behind_proxy, max_connections_per_address");
    buf_reset(&kept);
    config_keep_fixed(running, load_good("max_connections: 5\n" IDENTITY), &kept);
    assert_string_equal(buf_str(&kept), "");
    buf_free(&kept);
}

static void test_config__neither_stages_nor_states(void **state)
{
    const struct config *c = load_good(IDENTITY);
    assert_null(c->pipeline);
    assert_false(c->has_stages);
    assert_int_equal(c->n_stages, 0);
    assert_int_equal(c->n_services, 0);
}

static void test_config__everything_given(void **state)
{
    const struct config *c =
        load_good("data_dir: /var/lib/lethe\nlisten: \"[::1]:0\"\nbehind_proxy: true\n"
                  "max_connections: 10\nmax_connections_per_address: 2\ndatabase: sqlite\n"
                  "cool_off: 0\ntransitions: strict\ntoken_lifetime: 10m\n"
                  "driver: { lease: 5m, max_in_flight: 7, poll: 500ms, deaths_max: 1 }\n"
                  "log: { level: debug, format: json }\n"
                  "identity: { salts_file: salts, retired_username: \"gone_{}\", "
                  "retired_email: \"gone_{}@example.invalid\" }\n");
    assert_string_equal(c->data_dir, "/var/lib/lethe");
    assert_string_equal(c->listen_host, "::1");
    assert_int_equal(c->listen_port, 0);
    assert_true(c->behind_proxy);
    assert_int_equal(c->max_connections, 10);
    assert_int_equal(c->max_connections_per_address, 2);
    assert_int_equal(c->cool_off_us, 0);
    assert_true(c->strict);
    assert_int_equal(c->token_lifetime_us, 600 * CLOCK_S);
    assert_int_equal(c->lease_us, 300 * CLOCK_S);
    assert_int_equal(c->max_in_flight, 7);
    assert_int_equal(c->poll_us, 500 * CLOCK_MS);
    assert_int_equal(c->deaths_max, 1);
    assert_string_equal(c->log_level, "debug");
    assert_true(c->log_json);
    assert_string_equal(c->retired_username, "gone_{}");
    assert_string_equal(c->retired_email, "gone_{}@example.invalid");
}

static void test_config__all_wrong_lines_of_a_salts_file_are_said(void **state)
{
    struct config *c;
    struct err err;
    write_file("bad-salts", "short\nsalt-2026-current\n\nsalt-2026-current\n", 0600);
    write_file("lethe.yml", "identity: { salts_file: bad-salts }\n", 0600);
    assert_int_equal(config_load(&arena, in_folder("lethe.yml"), &c, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "bad-salts:1: the salt is too short"));
    assert_non_null(strstr(err.text, "bad-salts:4: the salt is in the list twice"));
}

static void test_config__salts_from_a_file_oldest_first(void **state)
{
    const struct config *c = load_good("identity: { salts_file: salts }\n");
    assert_int_equal(c->salts.n, 2);
    assert_string_equal(c->salts.salt[0], "salt-2018-old");
    assert_string_equal(c->salts.salt[1], "salt-2026-current");
}

static void test_config__salts_written_here(void **state)
{
    const struct config *c = load_good(IDENTITY);
    assert_int_equal(c->salts.n, 2);
    assert_string_equal(c->salts.salt[1], "salt-2026-current");
}

static void test_config__other_machines_with_tls_or_a_proxy(void **state)
{
    const struct config *c =
        load_good("listen: 0.0.0.0:443\ntls: { certificate_file: cert.pem, key_file: key.pem }\n" IDENTITY);
    assert_string_equal(c->listen_host, "0.0.0.0");
    assert_string_equal(c->tls_certificate, in_folder("cert.pem"));
    assert_string_equal(c->tls_key, in_folder("key.pem"));
    assert_int_equal(c->max_connections_per_address, 100);
    c = load_good("listen: 0.0.0.0:443\nmax_connections_per_address: 0\n"
                  "tls: { certificate_file: cert.pem, key_file: key.pem }\n" IDENTITY);
    assert_int_equal(c->max_connections_per_address, 0);
    c = load_good("listen: lethe.example.com:80\nbehind_proxy: true\n" IDENTITY);
    assert_string_equal(c->listen_host, "lethe.example.com");
    assert_int_equal(c->max_connections_per_address, 0);
}

static void test_config__key_that_others_can_read_is_refused(void **state)
{
    struct config *config = NULL;
    struct err err;
    assert_int_equal(
        load_text("tls: { certificate_file: cert.pem, key_file: open }\n" IDENTITY, &config, &err),
        RC_INVALID);
    assert_non_null(strstr(err.text, "lethe.yml:1:46: key_file: "));
    assert_non_null(strstr(err.text, "chmod 600"));
}

static unsigned count_quiet(const struct quiet_hours *quiet)
{
    unsigned n = 0;
    for (unsigned i = 0; i < QUIET_MINUTES; i++)
        n += quiet->minute[i];
    return n;
}

static void test_config__when_a_service_is_left_alone(void **state)
{
    enum { HOUR = 60, DAY = 24 * HOUR };
    const struct config *c = load_good(
        IDENTITY "services:\n"
                 "  a: { url: \"https://a.example.com\" }\n"
                 "  b: { url: \"https://b.example.com\", breaker: none, quiet_hours: [] }\n"
                 "  c: { url: \"https://c.example.com\", breaker: { failures: 3, pause: 5s }, quiet_hours: "
                 "[\"22:00-06:30\"] }\n"
                 "  d: { url: \"https://d.example.com\", quiet_hours: [\"Mon-Wed 08:00-18:00\", \"Sat "
                 "12:00-24:00\"] }\n"
                 "  e: { url: \"https://e.example.com\", quiet_hours: [\"Sat-Sun 23:00-01:00\"] }\n");
    const struct service_conf *s = c->services;
    assert_int_equal(s[0].breaker.failures, 20);
    assert_int_equal(s[0].breaker.pause_us, 30 * CLOCK_S);
    assert_null(s[0].quiet);
    assert_int_equal(s[1].breaker.failures, 0);
    assert_null(s[1].quiet);
    assert_int_equal(s[2].breaker.failures, 3);
    assert_int_equal(s[2].breaker.pause_us, 5 * CLOCK_S);
    assert_int_equal(count_quiet(s[2].quiet), 7 * (8 * HOUR + 30));
    assert_true(s[2].quiet->minute[0] && s[2].quiet->minute[6 * HOUR + 29]);
    assert_false(s[2].quiet->minute[6 * HOUR + 30]);
    assert_int_equal(count_quiet(s[3].quiet), 3 * 10 * HOUR + 12 * HOUR);
    assert_true(s[3].quiet->minute[DAY + 8 * HOUR] && s[3].quiet->minute[7 * DAY - 1]);
    assert_false(s[3].quiet->minute[0] || s[3].quiet->minute[DAY + 18 * HOUR]);
    assert_int_equal(count_quiet(s[4].quiet), 2 * 2 * HOUR);
    assert_true(s[4].quiet->minute[0] && s[4].quiet->minute[DAY] && s[4].quiet->minute[7 * DAY - HOUR]);
}

static void test_config__services(void **state)
{
    const struct config *c = load_good(
        IDENTITY
        "services:\n"
        "  a: { url: \"https://a.example.com/base//\", oauth2: { client_id: me, client_secret_file: "
        "lms.secret }, max_concurrent: 3, rate: 120/m }\n"
        "  b: { url: \"http://localhost:9000\", bearer: { token_env: LETHE_TEST_SECRET } }\n"
        "  c: { url: \"http://c.example.com\", allow_http: true, basic: { user: me, password: 0123456789 } "
        "}\n"
        "  d: { url: \"http://[::1]:9000\", oauth2: { client_id: me, client_secret: 0123456789, token_type: "
        "Bearer, token_url: \"https://d.example.com/token\", scope: \"users:erase crm\", audience: "
        "\"https://api.example.com/\", resource: \"urn:crm\", auth: basic } }\n"
        "  e: { url: \"http://e.example.com\", allow_http: true, oauth2: { client_id: me, client_secret: "
        "0123456789, token_url: \"http://e.example.com/token\" } }\n");
    const struct service_conf *s = c->services;
    assert_int_equal(c->n_services, 5);
    assert_string_equal(s[0].name, "a");
    assert_string_equal(s[0].url, "https://a.example.com/base");
    assert_int_equal(s[0].credentials, CREDENTIALS_OAUTH2);
    assert_string_equal(s[0].client_id, "me");
    assert_string_equal(s[0].secret, "0123456789abcdef");
    assert_string_equal(s[0].token_url, "https://a.example.com/base/oauth2/access_token");
    assert_null(s[0].token_type);
    assert_true(!s[0].scope && !s[0].audience && !s[0].resource && !s[0].auth_basic);
    assert_int_equal(s[0].max_concurrent, 3);
    assert_true(s[0].rate > 1.99 && s[0].rate < 2.01);
    assert_int_equal(s[1].credentials, CREDENTIALS_BEARER);
    assert_string_equal(s[1].secret, "0123456789abcdef");
    assert_int_equal(s[1].max_concurrent, 8);
    assert_true(s[1].rate <= 0);
    assert_int_equal(s[1].index, 1);
    assert_int_equal(s[2].credentials, CREDENTIALS_BASIC);
    assert_string_equal(s[2].client_id, "me");
    assert_string_equal(s[2].secret, "0123456789");
    assert_true(s[2].allow_http);
    assert_string_equal(s[3].token_url, "https://d.example.com/token");
    assert_string_equal(s[3].token_type, "Bearer");
    assert_string_equal(s[3].scope, "users:erase crm");
    assert_string_equal(s[3].audience, "https://api.example.com/");
    assert_string_equal(s[3].resource, "urn:crm");
    assert_true(s[3].auth_basic);
}

static void expect_channel(const struct channel *c, const char *server_name)
{
    assert_string_equal(c->ca_file, in_folder("cert.pem"));
    assert_string_equal(c->certificate_file, in_folder("cert.pem"));
    assert_string_equal(c->key_file, in_folder("key.pem"));
    assert_string_equal(c->server_name, server_name);
}

#define OUR_TLS "ca_file: cert.pem, certificate_file: cert.pem, key_file: key.pem, server_name: "

static void test_config__how_others_are_reached(void **state)
{
    const struct config *c = load_good(
        IDENTITY
        "services:\n"
        "  a: { url: \"https://a.example.com\", tls: { " OUR_TLS
        "b.example.com }, proxy: { url: \"http://proxy:3128\", user: me, password_file: lms.secret } }\n"
        "  b: { url: \"https://b.example.com\", proxy: \"https://[::1]:443/\" }\n"
        "  c: { url: \"https://c.example.com\" }\n"
        "mail: { server: \"smtps://mail.example.com\", from: a@b.c, tls: { " OUR_TLS
        "10.1.2.3 }, proxy: \"http://proxy:3128\" }\n");
    expect_channel(&c->services[0].channel, "b.example.com");
    assert_string_equal(c->services[0].channel.proxy, "http://proxy:3128");
    assert_string_equal(c->services[0].channel.proxy_user, "me");
    assert_string_equal(c->services[0].channel.proxy_password, "0123456789abcdef");
    assert_string_equal(c->services[1].channel.proxy, "https://[::1]:443");
    assert_null(c->services[1].channel.proxy_user);
    assert_true(channel_is_plain(&c->services[2].channel));
    expect_channel(&c->mail->service.channel, "10.1.2.3");
    assert_string_equal(c->mail->service.channel.proxy, "http://proxy:3128");
    assert_false(c->mail->starttls);
    c = load_good(
        "authority: { url: \"https://lethe.example.com\", client_id: d, client_secret: 0123456789, tls: "
        "{ " OUR_TLS "x }, proxy: \"http://proxy:3128\" }\n");
    expect_channel(&c->authority->channel, "x");
    assert_string_equal(c->authority->channel.proxy, "http://proxy:3128");
}

/* What a section says about certificates, and a proxy, through which an e-mail leaves the machine. */
static void test_config__when_mail_needs_tls(void **state)
{
    static const struct {
        const char *settings;
        bool starttls;
    } rows[] = {
        { "", false },
        { ", tls: required", true },
        { ", tls: { ca_file: cert.pem }", true },
        { ", proxy: \"http://proxy:3128\"", true },
        { ", proxy: \"http://proxy:3128\", tls: none", false },
        { ", ca_file: cert.pem", false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[400];
        snprintf(text, sizeof(text), IDENTITY "mail: { server: \"smtp://127.0.0.1\", from: a@b.c%s }\n",
                 rows[i].settings);
        assert_int_equal(load_good(text)->mail->starttls, rows[i].starttls);
    }
}

static void test_config__how_a_server_elsewhere_is_reached(void **state)
{
    struct channel channel;
    struct err err;
    assert_int_equal(config_read_channel(&arena, "LETHE_TEST", &channel, &err), RC_OK);
    assert_true(channel_is_plain(&channel));
    setenv("LETHE_TEST_TLS_CA_FILE", in_folder("cert.pem"), 1);
    setenv("LETHE_TEST_PROXY_URL", "http://proxy:3128", 1);
    setenv("LETHE_TEST_PROXY_USER", "me", 1);
    setenv("LETHE_TEST_PROXY_PASSWORD_FILE", in_folder("lms.secret"), 1);
    assert_int_equal(config_read_channel(&arena, "LETHE_TEST", &channel, &err), RC_OK);
    assert_string_equal(channel.ca_file, in_folder("cert.pem"));
    assert_string_equal(channel.proxy, "http://proxy:3128");
    assert_string_equal(channel.proxy_password, "0123456789abcdef");
    setenv("LETHE_TEST_PROXY_URL", "proxy", 1);
    assert_int_equal(config_read_channel(&arena, "LETHE_TEST", &channel, &err), RC_INVALID);
    assert_string_equal(err.text, "LETHE_TEST_PROXY_URL: url: it must begin with https:// or http://");
    unsetenv("LETHE_TEST_PROXY_URL");
    assert_int_equal(config_read_channel(&arena, "LETHE_TEST", &channel, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "LETHE_TEST_PROXY: url is missing"));
    unsetenv("LETHE_TEST_PROXY_USER");
    unsetenv("LETHE_TEST_PROXY_PASSWORD_FILE");
    setenv("LETHE_TEST_TLS_CA_FILE", "nothing.pem", 1);
    assert_int_equal(config_read_channel(&arena, "LETHE_TEST", &channel, &err), RC_INVALID);
    assert_string_equal(err.text, "LETHE_TEST_TLS_CA_FILE: ca_file: nothing.pem: No such file or directory");
    unsetenv("LETHE_TEST_TLS_CA_FILE");
}

static void test_config__services_may_stand_behind_stages(void **state)
{
    const struct config *c = load_good(
        "stages: [{ working: A, completed: B, http: { service: lms, get: \"/x/{user_id}\" } }]\n" SERVICES
            IDENTITY);
    assert_ptr_equal(c->stages[0].action.http.steps[0].service, &c->services[0]);
}

static void test_config__states_follow_from_stages(void **state)
{
    const struct config *c = load_good(
        IDENTITY SERVICES "stages:\n"
                          "  - { working: A, completed: B, http: { service: lms, get: \"/x/{user_id}\" } }\n"
                          "  - { working: C, completed: D, exec: { command: [x] } }\n");
    static const char *const names[] = { "PENDING", "A", "B", "C", "D", "ERRORED", "ABORTED", "COMPLETE" };
    assert_true(c->has_stages);
    assert_int_equal(c->pipeline->n, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_string_equal(c->pipeline->names[i], names[i]);
    assert_int_equal(c->stages[0].action.kind, ACTION_HTTP);
    assert_int_equal(c->stages[1].action.kind, ACTION_EXEC);
    assert_string_equal(c->stages[1].working, "C");
    assert_string_equal(c->stages[1].completed, "D");
}

static void test_config__states_alone(void **state)
{
    const struct config *c = load_good(IDENTITY "states: [PENDING, A, B, ERRORED, ABORTED, COMPLETE]\n");
    assert_false(c->has_stages);
    assert_int_equal(c->pipeline->n, 6);
    assert_string_equal(c->pipeline->names[2], "B");
}

static const struct stage_conf *load_stage(const char *rest)
{
    const struct config *c = load_good(
        arena_printf(&arena, "%s%sstages:\n  - working: A\n    completed: B\n%s", IDENTITY, SERVICES, rest));
    return &c->stages[0];
}

static void test_config__stage_presets(void **state)
{
    const struct stage_conf *s = load_stage("    http: { service: lms, post: \"/x/{user_id}\" }\n");
    assert_int_equal(s->action.timeout_us, 30 * CLOCK_S);
    assert_false(s->retry.none);
    assert_int_equal(s->retry.for_us, 600 * CLOCK_S);
    assert_int_equal(s->retry.first_us, CLOCK_S);
    assert_int_equal(s->retry.longest_us, 60 * CLOCK_S);
    assert_string_equal(s->action.http.steps[0].method, "POST");
    assert_null(s->action.http.steps[0].body.kind);
    assert_int_equal(s->action.http.steps[0].success.n, 3);
    assert_int_equal(s->action.http.steps[0].success.list[0].status, 200);
    assert_int_equal(s->action.http.steps[0].success.list[1].status, 201);
    assert_int_equal(s->action.http.steps[0].success.list[2].status, 204);
    assert_int_equal(s->action.http.steps[0].nothing_to_erase.n, 0);
}

static void test_config__retry_and_timeout(void **state)
{
    const struct stage_conf *s = load_stage("    exec: { command: [x] }\n    timeout: 2m\n"
                                            "    retry: { for: 0, first: 5s, longest: 5s }\n");
    assert_int_equal(s->action.timeout_us, 120 * CLOCK_S);
    assert_int_equal(s->retry.for_us, 0);
    assert_true(load_stage("    exec: { command: [x] }\n    retry: none\n")->retry.none);
}

static void test_config__lease_grows_with_the_timeouts(void **state)
{
    const struct config *c =
        load_good(IDENTITY "stages: [{ working: A, completed: B, exec: { command: [x] }, timeout: 5m }]\n");
    assert_int_equal(c->lease_us, 610 * CLOCK_S);
    c = load_good(IDENTITY "driver: { lease: 610s }\n"
                           "stages: [{ working: A, completed: B, exec: { command: [x] }, timeout: 5m }]\n");
    assert_int_equal(c->lease_us, 610 * CLOCK_S);
}

static void test_config__a_stage_by_hand_asks_for_no_lease(void **state)
{
    const struct config *c =
        load_good(IDENTITY "driver: { lease: 10s }\n"
                           "stages: [{ working: A, completed: B, manual: { instructions: x } }]\n");
    assert_int_equal(c->lease_us, 10 * CLOCK_S);
}

static const char *rendered(const struct template *t)
{
    static const struct template_values values = { .original_username = "Jane \"J\" & Co",
                                                   .original_email = "j@example.com",
                                                   .original_name = "J",
                                                   .retired_username = "r",
                                                   .retired_email = "r@example.invalid",
                                                   .user_id = "17",
                                                   .retirement_id = "4" };
    struct buf buf;
    struct err err;
    buf_init(&buf, TEXT_MAX);
    if (template_render(t, &values, &buf, &err))
        fail_msg("%s", err.text);
    const char *text = arena_strdup(&arena, buf_str(&buf));
    buf_free(&buf);
    return text;
}

static void test_config__json_keeps_kinds_and_fills_strings(void **state)
{
    const struct stage_conf *s =
        load_stage("    http:\n      service: lms\n      patch: /u/{original_username}\n"
                   "      json:\n"
                   "        who: \"{original_username}\"\n"
                   "        list: [1, -2.5e3, true, false, null, \"1\", \"true\", \"\", yes, 007]\n"
                   "        \"k\\\"ey\": { deep: [[]], none: {} }\n"
                   "        empty:\n"
                   "        braces: \"{{x}}\"\n");
    assert_string_equal(s->action.http.steps[0].method, "PATCH");
    assert_string_equal(rendered(s->action.http.steps[0].path), "/u/Jane%20%22J%22%20%26%20Co");
    assert_string_equal(
        rendered(s->action.http.steps[0].body.text),
        "{\"who\":\"Jane \\\"J\\\" & Co\",\"list\":[1,-2.5e3,true,false,null,\"1\",\"true\",\"\","
        "\"yes\",\"007\"],\"k\\\"ey\":{\"deep\":[[]],\"none\":{}},\"empty\":null,\"braces\":\"{x}\"}");
}

static void test_config__json_that_is_one_text(void **state)
{
    const struct stage_conf *s = load_stage("    http: { service: lms, post: /x, json: \"{user_id}\" }\n");
    assert_string_equal(rendered(s->action.http.steps[0].body.text), "\"17\"");
}

static const struct body_conf *load_body(const char *body)
{
    return &load_stage(
                arena_printf(&arena, "    http:\n      service: lms\n      post: /x\n      %s\n", body))
                ->action.http.steps[0]
                .body;
}

static void test_config__text_and_xml_are_templates(void **state)
{
    const struct body_conf *body = load_body("text: \"who: {original_username}\"");
    assert_string_equal(body->content_type, "text/plain; charset=utf-8");
    assert_string_equal(rendered(body->text), "who: Jane \"J\" & Co");
    body = load_body("xml: |\n        <?xml version=\"1.0\"?>\n        <!-- > ' -->\n"
                     "        <u id='{user_id}' a=\">\">{original_username}</u>");
    assert_string_equal(body->content_type, "application/xml");
    assert_string_equal(rendered(body->text), "<?xml version=\"1.0\"?>\n<!-- > ' -->\n"
                                              "<u id='17' a=\">\">Jane &#34;J&#34; &#38; Co</u>\n");
}

static void test_config__parts_are_texts_and_files(void **state)
{
    const struct body_conf *body = load_body("multipart: { who: \"{original_username}\", f: { content: "
                                             "\"{user_id}\", filename: a.csv, type: text/csv } }");
    assert_int_equal(body->n_parts, 2);
    assert_null(body->text);
    assert_string_equal(body->parts[0].name, "who");
    assert_null(body->parts[0].filename);
    assert_string_equal(rendered(body->parts[0].content), "Jane \"J\" & Co");
    assert_string_equal(body->parts[1].filename, "a.csv");
    assert_string_equal(body->parts[1].type, "text/csv");
}

static void test_config__form_and_headers(void **state)
{
    const struct stage_conf *s = load_stage(
        "    http:\n      service: lms\n      post: /x\n"
        "      form: { who: \"{original_username}\", n: 1, \"a b\": \"c&d\", none: }\n"
        "      headers: { X-Who: \"is {user_id}\", Content-Type: application/x-www-form-urlencoded }\n"
        "      success: [202]\n      nothing_to_erase: [404, 410]\n");
    assert_string_equal(rendered(s->action.http.steps[0].body.text),
                        "who=Jane%20%22J%22%20%26%20Co&n=1&a%20b=c%26d&none=");
    assert_int_equal(s->action.http.steps[0].n_headers, 2);
    assert_string_equal(s->action.http.steps[0].headers[0].name, "X-Who");
    assert_string_equal(rendered(s->action.http.steps[0].headers[0].value), "is 17");
    assert_int_equal(s->action.http.steps[0].success.n, 1);
    assert_int_equal(s->action.http.steps[0].success.list[0].status, 202);
    assert_int_equal(s->action.http.steps[0].nothing_to_erase.n, 2);
    assert_int_equal(s->action.http.steps[0].nothing_to_erase.list[1].status, 410);
}

static void test_config__poll(void **state)
{
    const struct stage_conf *s =
        load_stage("    http:\n      service: lms\n      steps:\n"
                   "        - { get: \"/{user_id}\", poll: { finished: { /a: DONE, /b~1c: "
                   "[true, 3, \"x y\"] }, failed: { /z: no },\n"
                   "            unfinished: [202, 404], every: 5m, for: 2d } }\n"
                   "        - { get: /y, poll: {} }\n");
    const struct poll_conf *poll = s->action.http.steps[0].poll;
    assert_int_equal(poll->finished.n, 1);
    assert_int_equal(poll->finished.list[0].status, STATUS_OF_SUCCESS);
    assert_int_equal(poll->finished.list[0].n_parts, 2);
    assert_string_equal(poll->finished.list[0].parts[0].pointer, "/a");
    assert_int_equal(poll->finished.list[0].parts[0].n_values, 1);
    assert_string_equal(poll->finished.list[0].parts[0].values[0], "DONE");
    assert_string_equal(poll->finished.list[0].parts[1].pointer, "/b~1c");
    assert_int_equal(poll->finished.list[0].parts[1].n_values, 3);
    assert_string_equal(poll->finished.list[0].parts[1].values[0], "true");
    assert_string_equal(poll->finished.list[0].parts[1].values[2], "x y");
    assert_int_equal(poll->failed.n, 1);
    assert_string_equal(poll->failed.list[0].parts[0].pointer, "/z");
    assert_int_equal(poll->unfinished.n, 2);
    assert_int_equal(poll->every_us, 300 * CLOCK_S);
    assert_int_equal(poll->for_us, 2 * CLOCK_DAY);
    poll = s->action.http.steps[1].poll;
    assert_int_equal(poll->finished.n + poll->failed.n, 0);
    assert_int_equal(poll->unfinished.list[0].status, 202);
    assert_int_equal(poll->every_us, 3600 * CLOCK_S);
    assert_int_equal(poll->for_us, 30 * CLOCK_DAY);
}

static void expect_condition(const struct answers *answers, size_t i, unsigned status, size_t n_parts)
{
    assert_true(i < answers->n);
    assert_int_equal(answers->list[i].status, status);
    assert_int_equal(answers->list[i].n_parts, n_parts);
}

static void test_config__conditions(void **state)
{
    const struct stage_conf *s = load_stage(
        "    http:\n      service: lms\n      steps:\n        - post: \"/x/{user_id}\"\n"
        "          success: [204, { status: [200, 207], json: { /failed: { empty: true }, \"\": { "
        "exists: true }, "
        "/state: [done, 3] } }]\n"
        "          nothing_to_erase: { status: 500, json: { /detail: { matches: \"^user not "
        "found.*[0-9]{1,9}$\" } } }\n"
        "          again: [409, 401, { status: 400, json: { /0/errorCode: UNABLE_TO_LOCK_ROW, /x: "
        "{ absent: true } } }]\n"
        "          poll: { finished: [404, { status: 200, json: { /state: done } }], failed: "
        "[410], unfinished: [] }\n"
        "    verify: { http: { service: lms, get: \"/x/{user_id}\" }, expect: [404, { status: 200, json: { "
        "/hits: { empty: true } } }] }\n");
    const struct http_step_conf *step = &s->action.http.steps[0];
    assert_int_equal(step->success.n, 3);
    expect_condition(&step->success, 0, 204, 0);
    expect_condition(&step->success, 1, 200, 3);
    expect_condition(&step->success, 2, 207, 3);
    const struct part_conf *parts = step->success.list[2].parts;
    assert_int_equal(parts[0].test, PART_EMPTY);
    assert_string_equal(parts[1].pointer, "");
    assert_int_equal(parts[1].test, PART_EXISTS);
    assert_int_equal(parts[2].test, PART_ONE_OF);
    assert_string_equal(parts[2].values[1], "3");
    expect_condition(&step->nothing_to_erase, 0, 500, 1);
    assert_int_equal(step->nothing_to_erase.list[0].parts[0].test, PART_MATCHES);
    assert_string_equal(step->nothing_to_erase.list[0].parts[0].values[0], "^user not found.*[0-9]{1,9}$");
    expect_condition(&step->again, 1, 401, 0);
    expect_condition(&step->again, 2, 400, 2);
    assert_int_equal(step->again.list[2].parts[1].test, PART_ABSENT);
    expect_condition(&step->poll->finished, 0, 404, 0);
    expect_condition(&step->poll->finished, 1, 200, 1);
    expect_condition(&step->poll->failed, 0, 410, 0);
    expect_condition(&s->verify->expect, 1, 200, 1);
    expect_condition(&s->verify->probe.http.steps[0].success, 1, 200, 0);
}

static void test_config__exec(void **state)
{
    const struct stage_conf *s =
        load_stage("    exec:\n      command: [./erase, \"\", \"awk '{print}'\", \"a\\nb\"]\n"
                   "      env: { A: b, EMPTY: }\n      nothing_to_erase: [3]\n"
                   "      service: lms\n");
    assert_int_equal(s->action.exec.argc, 4);
    assert_string_equal(s->action.exec.argv[0], in_folder("erase"));
    assert_string_equal(s->action.exec.argv[1], "");
    assert_string_equal(s->action.exec.argv[2], "awk '{print}'");
    assert_string_equal(s->action.exec.argv[3], "a\nb");
    assert_null(s->action.exec.argv[4]);
    assert_int_equal(s->action.exec.n_env, 2);
    assert_string_equal(s->action.exec.env[0], "A=b");
    assert_string_equal(s->action.exec.env[1], "EMPTY=");
    assert_null(s->action.exec.env[2]);
    assert_int_equal(s->action.exec.nothing_to_erase.status[0], 3);
    assert_string_equal(s->action.exec.service->name, "lms");
}

static void test_config__verify(void **state)
{
    const struct stage_conf *s =
        load_stage("    exec: { command: [x] }\n"
                   "    verify:\n      http: { service: lms, get: \"/people/{original_username}\" }\n"
                   "      expect: { status: [404, 410] }\n      count: /total\n      after: [0s, 90s, 1d]\n"
                   "      timeout: 5s\n");
    assert_int_equal(s->action.kind, ACTION_EXEC);
    assert_int_equal(s->verify->probe.kind, ACTION_HTTP);
    assert_string_equal(s->verify->probe.http.steps[0].method, "GET");
    assert_string_equal(s->verify->probe.http.steps[0].service->name, "lms");
    assert_int_equal(s->verify->probe.timeout_us, 5 * CLOCK_S);
    assert_int_equal(s->verify->expect.n, 2);
    assert_int_equal(s->verify->expect.list[1].status, 410);
    assert_string_equal(s->verify->count, "/total");
    assert_int_equal(s->verify->n_after, 3);
    assert_int_equal(s->verify->after_us[0], 0);
    assert_int_equal(s->verify->after_us[2], CLOCK_DAY);
}

static bool only_reads(const char *verify)
{
    const struct config *c = load_good(arena_printf(
        &arena,
        "%sservices: { lms: { url: \"https://lms.example.com\" }, shop: { odbc: \"Driver=SQLite3\" } }\n"
        "stages:\n  - { working: A, completed: B, exec: { command: [x] }, verify: { %s } }\n",
        IDENTITY, verify));
    return c->stages[0].verify->read_only;
}

static void test_config__what_only_reads(void **state)
{
    assert_true(only_reads("http: { service: lms, get: \"/x/{user_id}\" }, count: /n"));
    assert_false(only_reads("http: { service: lms, post: \"/x/{user_id}\" }, count: /n"));
    assert_true(only_reads("http: { service: lms, post: \"/x/{user_id}\" }, count: /n, read_only: true"));
    assert_false(only_reads("http: { service: lms, get: \"/x/{user_id}\" }, count: /n, read_only: false"));
    assert_false(only_reads("exec: { command: [y] }"));
    assert_true(only_reads("exec: { command: [y] }, read_only: true"));
    assert_true(only_reads("sql: { service: shop, query: ' Select {user_id}' }"));
    assert_false(only_reads("sql: { service: shop, query: 'WITH x AS (DELETE FROM y) SELECT {user_id}' }"));
}

static void test_config__verify_presets(void **state)
{
    const struct stage_conf *s = load_stage("    exec: { command: [x] }\n"
                                            "    verify: { exec: { command: [y] } }\n");
    assert_int_equal(s->verify->probe.kind, ACTION_EXEC);
    assert_string_equal(s->verify->probe.exec.argv[0], "y");
    assert_int_equal(s->verify->probe.timeout_us, 30 * CLOCK_S);
    assert_int_equal(s->verify->expect.n, 0);
    assert_null(s->verify->count);
    assert_int_equal(s->verify->n_after, 1);
    assert_int_equal(s->verify->after_us[0], 0);
    assert_null(load_stage("    exec: { command: [x] }\n")->verify);
    s = load_stage("    exec: { command: [x] }\n"
                   "    verify: { http: { service: lms, post: \"/search/{user_id}\" }, count: \"\" }\n");
    assert_string_equal(s->verify->count, "");
}

static void test_config__program_without_a_slash_is_left_to_the_path(void **state)
{
    const struct stage_conf *s = load_stage("    exec: { command: [erase] }\n");
    assert_string_equal(s->action.exec.argv[0], "erase");
    assert_null(s->action.exec.service);
}

/* before, then item n times with its number in place of #, then after. */
static const char *repeated(const char *before, const char *item, int n, const char *after)
{
    struct buf buf;
    buf_init(&buf, TEXT_MAX);
    buf_add_str(&buf, before);
    for (int i = 0; i < n; i++) {
        for (const char *c = item; *c; c++) {
            if (*c == '#')
                buf_add_int(&buf, i);
            else
                buf_add_char(&buf, *c);
        }
    }
    buf_add_str(&buf, after);
    const char *text = arena_strdup(&arena, buf_str(&buf));
    buf_free(&buf);
    return text;
}

static void test_config__the_authority_elsewhere(void **state)
{
    const struct config *c =
        load_good("authority: { url: \"https://lethe.example.com/a/\", client_id: driver, "
                  "client_secret_file: lms.secret }\n" SERVICES
                  "stages: [{ working: A, completed: B, use: LMS.retirement_unenroll }]\n");
    assert_string_equal(c->authority->url, "https://lethe.example.com/a");
    assert_string_equal(c->authority->token_url, "https://lethe.example.com/a/oauth2/access_token");
    assert_int_equal(c->authority->credentials, CREDENTIALS_OAUTH2);
    assert_string_equal(c->authority->client_id, "driver");
    assert_string_equal(c->authority->secret, "0123456789abcdef");
    assert_int_equal(c->salts.n, 0);
    assert_int_equal(c->n_services, 1);
    assert_null(load_good(IDENTITY)->authority);
}

/* ---- the file of a driver of Open edX ---- */

#define DRIVER_FILE                                                                         \
    "client_id: retirement_service_worker\n"                                                \
    "client_secret: not_so_secret_but_old\n"                                                \
    "base_urls:\n"                                                                          \
    "  lms: https://courses.example.com/\n"                                                 \
    "  ecommerce: https://shop.example.com/\n"                                              \
    "  credentials:\n"                                                                      \
    "  license_manager: https://licenses.example.com\n"                                     \
    "  segment: https://segment.example.com\n"                                              \
    "retirement_pipeline:\n"                                                                \
    "  - ['RETIRING_FORUMS', 'FORUMS_COMPLETE', 'LMS', 'retirement_retire_forum']\n"        \
    "  - ['RETIRING_ECOM', 'ECOM_COMPLETE', 'ECOMMERCE', 'replace_usernames']\n"            \
    "  - ['RETIRING_LICENSES', 'LICENSES_COMPLETE', 'LICENSE_MANAGER', 'retire_learner']\n" \
    "  - ['RETIRING_LMS', 'LMS_COMPLETE', 'LMS', 'retirement_lms_retire']\n"

static void test_config__the_file_of_a_driver_of_open_edx(void **state)
{
    const struct config *c = load_good(DRIVER_FILE "fetch_ecommerce_segment_id: true\n"
                                                   "drive_partners_folder: abc\n"
                                                   "org_partner_mapping: { Org: [a, b] }\n");
    assert_string_equal(c->data_dir, in_folder("lethe-data"));
    assert_int_equal(c->cool_off_us, 0);
    assert_int_equal(c->max_in_flight, 1000);
    assert_int_equal(c->fuse.people, 300);
    assert_null(c->warnings);
    assert_int_equal(c->n_services, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct service_conf *s = &c->services[i];
        assert_int_equal(s->credentials, CREDENTIALS_OAUTH2);
        assert_string_equal(s->client_id, "retirement_service_worker");
        assert_string_equal(s->secret, "not_so_secret_but_old");
        assert_string_equal(s->token_url, "https://courses.example.com/oauth2/access_token");
        assert_string_equal(s->token_type, "JWT");
        assert_int_equal(s->max_concurrent, 8);
        assert_int_equal(s->index, i);
    }
    assert_string_equal(c->services[0].url, "https://courses.example.com");
    assert_string_equal(c->services[1].name, "ecommerce");
    assert_string_equal(c->services[2].name, "license_manager");
    assert_null(c->authority);
    assert_true(c->is_driver_file);
    assert_string_equal(c->source->lms.url, c->services[0].url);
    assert_string_equal(c->source->lms.token_type, "JWT");
    assert_int_equal(c->source->cool_off_us, 7 * CLOCK_DAY);
    assert_int_equal(c->n_stages, 4);
    assert_string_equal(c->stages[0].working, "RETIRING_FORUMS");
    assert_string_equal(c->stages[1].completed, "ECOM_COMPLETE");
    assert_string_equal(c->stages[2].use, "LICENSE_MANAGER.retire_learner");
    assert_string_equal(c->stages[2].action.http.steps[0].service->name, "license_manager");
    assert_int_equal(c->pipeline->n, 12);
    assert_string_equal(c->pipeline->names[11], "COMPLETE");
}

static void test_config__more_in_a_row_of_the_file_of_a_driver(void **state)
{
    const struct config *c = load_good(
        DRIVER_FILE
        "  - ['A', 'B', 'LMS', 'retirement_retire_notes', { timeout: 5s, retry: none, "
        "verify: { http: { service: lms, get: \"/x/{user_id}\" }, expect: { status: [404] } } }]\n");
    assert_int_equal(c->n_stages, 5);
    assert_null(c->stages[3].verify);
    const struct stage_conf *s = &c->stages[4];
    assert_string_equal(s->use, "LMS.retirement_retire_notes");
    assert_int_equal(s->action.timeout_us, 5 * CLOCK_S);
    assert_true(s->retry.none);
    assert_string_equal(s->verify->probe.http.steps[0].service->name, "lms");
}

static void test_config__our_own_settings_in_the_file_of_a_driver(void **state)
{
    const struct config *c =
        load_good(DRIVER_FILE "data_dir: /var/lib/lethe\ndriver: { max_in_flight: 5 }\n"
                              "log: { format: json }\ncool_off: 3d\nfuse: { people: 0 }\n");
    assert_string_equal(c->data_dir, "/var/lib/lethe");
    assert_int_equal(c->max_in_flight, 5);
    assert_int_equal(c->fuse.people, 0);
    assert_true(c->log_json);
    assert_int_equal(c->source->cool_off_us, 3 * CLOCK_DAY);
    c = load_good(DRIVER_FILE "tls: { " OUR_TLS "lms.internal }\nproxy: \"http://proxy:3128\"\n");
    expect_channel(&c->services[0].channel, "lms.internal");
    assert_string_equal(c->services[0].channel.proxy, "http://proxy:3128");
    assert_string_equal(c->services[1].channel.ca_file, in_folder("cert.pem"));
    assert_null(c->services[1].channel.server_name);
}

static void assert_warning(const struct config_warning *warning, const char *place, const char *what)
{
    assert_non_null(warning);
    assert_string_equal(warning->place, in_folder(place));
    assert_non_null(strstr(warning->what, what));
}

static void test_config__keys_of_the_scripts_are_services_of_third_parties(void **state)
{
    const struct config *c =
        load_good(DRIVER_FILE "  - [A, B, BRAZE, delete_user]\n"
                              "  - [C, D, AMPLITUDE, delete_user]\n"
                              "  - [E, F, HUBSPOT, delete_user]\n"
                              "  - [G, H, SEGMENT, delete_and_suppress_learner]\n"
                              "braze_api_key: token-of-braze\nbraze_instance: iad-01\n"
                              "amplitude_api_key: user-of-amplitude\n"
                              "amplitude_secret_key: secret-of-amplitude\n"
                              "hubspot_api_key: token-of-hubspot\n"
                              "services: { segment: { url: \"https://segment.example\" } }\n"
                              "segment_auth_token: token-of-segment\n");
    const struct service_conf *s = c->stages[4].action.http.steps[0].service;
    assert_string_equal(s->url, "https://rest.iad-01.braze.com");
    assert_string_equal(s->secret, "token-of-braze");
    s = c->stages[5].action.http.steps[0].service;
    assert_string_equal(s->client_id, "user-of-amplitude");
    assert_string_equal(s->secret, "secret-of-amplitude");
    assert_string_equal(c->stages[6].action.http.steps[0].service->url, "https://api.hubapi.com");
    s = c->stages[7].action.http.steps[0].service;
    assert_string_equal(s->url, "https://segment.example"); /* ours stays */
    assert_int_equal(s->credentials, CREDENTIALS_NONE);
    c = load_good(DRIVER_FILE "braze_api_key: token-of-braze\n"); /* no stage calls it */
    assert_int_equal(c->n_services, 3);
    c = load_good(DRIVER_FILE "  - [A, B, SALESFORCE_MARKETING_CLOUD, delete_user]\n"
                              "salesforce_marketing_cloud_client_id: client\n"
                              "salesforce_marketing_cloud_secret: secret-of-it\n"
                              "salesforce_marketing_cloud_subdomain: mcexample\n");
    s = c->stages[4].action.http.steps[0].service;
    assert_string_equal(s->url, "https://mcexample.rest.marketingcloudapis.com");
    assert_string_equal(s->token_url, "https://mcexample.auth.marketingcloudapis.com/v2/token");
    assert_string_equal(s->client_id, "client");
    assert_string_equal(s->secret, "secret-of-it");
    c = load_good(DRIVER_FILE "  - [A, B, RED_VENTURES, delete_user]\n"
                              "red_ventures_username: client\nred_ventures_password: secret-of-it\n"
                              "red_ventures_audience: https://audience.example\n"
                              "red_ventures_auth_url: example.auth0.com\n"
                              "red_ventures_deletion_url: https://deletion.example/v1/users\n");
    s = c->stages[4].action.http.steps[0].service;
    assert_string_equal(s->url, "https://deletion.example/v1/users");
    assert_string_equal(s->token_url, "https://example.auth0.com/oauth/token");
    assert_string_equal(s->audience, "https://audience.example");
}

#define SEGMENT_FILE                                                                                        \
    "client_id: worker\nclient_secret: 0123456789\nfetch_ecommerce_segment_id: True\n"                      \
    "base_urls: { lms: \"https://lms.example.com\", ecommerce: \"https://shop.example.com\", segment: "     \
    "\"https://platform.segmentapis.com/\" }\nsegment_auth_token: token-of-segment\nretirement_pipeline:\n" \
    "  - [A, B, SEGMENT, delete_and_suppress_learner]\n"

static void test_config__what_the_scripts_did_at_segment_and_lethe_does_not_is_said(void **state)
{
    const struct config_warning *warning = load_good(SEGMENT_FILE)->warnings;
    assert_warning(warning, "lethe.yml:3", "what Segment has under the id of the shop stays");
    assert_warning(warning->next, "lethe.yml:4", "is Segment's Config API");
    assert_null(warning->next->next);
    warning = load_good(SEGMENT_FILE "  - [C, D, SEGMENT, delete_ecommerce_user]\n"
                                     "services: { segment: { url: \"https://segment.example\" } }\n")
                  ->warnings;
    assert_null(warning);
}

static void test_config__what_worked_for_years_is_only_warned_about(void **state)
{
    struct config *c = NULL;
    struct err err;
    write_file(
        "lethe.yml",
        "client_id: worker\nclient_secret: secret\nbase_urls: { lms: \"http://courses.example.com\" }\n"
        "retirement_pipeline: [[A, B, LMS, retirement_unenroll]]\n",
        0644);
    assert_int_equal(config_load(&arena, in_folder("lethe.yml"), &c, &err), RC_OK);
    assert_string_equal(c->services[0].secret, "secret");
    assert_warning(c->warnings, "lethe.yml:2", "the secret is too short");
    assert_warning(c->warnings->next, "lethe.yml:3", "lms: http:// to another machine");
    assert_warning(c->warnings->next->next, "lethe.yml:2",
                   "others can read or write it: chmod 600, or use client_secret_file");
    assert_null(c->warnings->next->next->next);
}

static void test_config__the_file_of_a_driver_is_known_by_its_look(void **state)
{
    write_file("lethe.yml", "client_id: x\nretirement_pipeline: [[\n", 0600);
    assert_true(config_looks_like_driver_file(in_folder("lethe.yml")));
    write_file("lethe.yml", "base_urls: {}\n", 0600);
    assert_true(config_looks_like_driver_file(in_folder("lethe.yml")));
    write_file("lethe.yml", "stages: []\n# base_urls\n", 0600);
    assert_false(config_looks_like_driver_file(in_folder("lethe.yml")));
    assert_false(config_looks_like_driver_file(in_folder("nowhere.yml")));
}

/* ---- the catalogue ---- */

#define OPEN_EDX                                                        \
    "services:\n"                                                       \
    "  lms: { url: \"https://lms.example.com\" }\n"                     \
    "  ecommerce: { url: \"https://shop.example.com\" }\n"              \
    "  credentials: { url: \"https://credentials.example.com\" }\n"     \
    "  discovery: { url: \"https://discovery.example.com\" }\n"         \
    "  license_manager: { url: \"https://licenses.example.com\" }\n"    \
    "  commerce_coordinator: { url: \"https://orders.example.com\" }\n" \
    "  proctoring_backend: { url: \"https://exams.example.com\" }\n"

static const char *render(const struct template *t)
{
    static const struct template_values values = {
        .original_username = "a\"da",
        .original_email = "ada@example.com",
        .user_id = "17",
    };
    struct buf out;
    struct err err;
    buf_init(&out, TEXT_MAX);
    if (template_render(t, &values, &out, &err))
        fail_msg("%s", err.text);
    const char *text = arena_strdup(&arena, buf_str(&out));
    buf_free(&out);
    return text;
}

static void test_config__an_entry_of_the_catalogue_is_a_stage_like_any_other(void **state)
{
    const struct config *c = load_good(
        IDENTITY OPEN_EDX
        "stages:\n"
        "  - { working: A, completed: B, use: LMS.retirement_retire_forum, timeout: 3s }\n"
        "  - { working: C, completed: D, use: LICENSE_MANAGER.retire_learner, retry: none }\n"
        "  - { working: E, completed: F, use: LMS.retirement_partner_queue, service: ecommerce }\n");
    const struct stage_conf *s = c->stages;
    assert_string_equal(s[0].use, "LMS.retirement_retire_forum");
    assert_int_equal(s[0].action.kind, ACTION_HTTP);
    assert_string_equal(s[0].action.http.steps[0].service->name, "lms");
    assert_string_equal(s[0].action.http.steps[0].method, "POST");
    assert_string_equal(render(s[0].action.http.steps[0].path), "/api/discussion/v1/accounts/retire_forum/");
    assert_string_equal(render(s[0].action.http.steps[0].body.text), "{\"username\":\"a\\\"da\"}");
    assert_int_equal(s[0].action.http.steps[0].nothing_to_erase.n, 2);
    assert_int_equal(s[0].action.http.steps[0].nothing_to_erase.list[0].status, 404);
    assert_int_equal(s[0].right, RIGHT_WORKER);
    assert_null(s[0].verify);
    assert_int_equal(s[1].right, RIGHT_NONE);
    assert_int_equal(s[0].action.timeout_us, 3 * CLOCK_S);
    assert_string_equal(render(s[1].action.http.steps[0].body.text),
                        "{\"lms_user_id\":17,\"original_username\":\"a\\\"da\"}");
    assert_true(s[1].retry.none);
    assert_string_equal(s[2].action.http.steps[0].service->name, "ecommerce");
    assert_string_equal(s[2].action.http.steps[0].method, "PUT");
    assert_int_equal(s[2].action.http.steps[0].nothing_to_erase.n, 0);
}

#define THIRD_PARTIES                                                                             \
    "  segment: { url: \"https://segment.example.com\" }\n"                                       \
    "  braze: { url: \"https://braze.example.com\" }\n"                                           \
    "  amplitude: { url: \"https://amplitude.example.com\" }\n"                                   \
    "  salesforce: { url: \"https://salesforce.example.com\" }\n"                                 \
    "  hubspot: { url: \"https://hubspot.example.com\" }\n"                                       \
    "  mailchimp: { url: \"https://mailchimp.example.com\" }\n"                                   \
    "  zendesk: { url: \"https://zendesk.example.com\" }\n"                                       \
    "  stripe: { url: \"https://stripe.example.com\" }\n"                                         \
    "  salesforce_marketing_cloud: { url: \"https://salesforce-marketing-cloud.example.com\" }\n" \
    "  intercom: { url: \"https://intercom.example.com\" }\n"                                     \
    "  discourse: { url: \"https://discourse.example.com\" }\n"                                   \
    "  mautic: { url: \"https://mautic.example.com\" }\n"                                         \
    "  matomo: { url: \"https://matomo.example.com\" }\n"                                         \
    "  keycloak: { url: \"https://keycloak.example.com\" }\n"                                     \
    "  red_ventures: { url: \"https://red-ventures.example.com/users\" }\n"

static void test_config__all_of_the_catalogue_is_valid(void **state)
{
    const char *text =
        read_text(arena_printf(&arena, "%s/../../../src/config/catalogue.yaml", getenv("LETHE_TESTDATA")));
    unsigned n = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t len = strcspn(line, ":\n");
        if (line[0] < 'A' || line[0] > 'Z' || line[len] != ':')
            continue;
        if (strstr(line, "gone:") == strchr(line, '\n') + 3)
            continue;
        const char *with_misc =
            "stages:\n  - { working: Y, completed: Z, use: LMS.retirement_lms_retire_misc }\n";
        const struct config *c = load_good(arena_printf(
            &arena, IDENTITY OPEN_EDX THIRD_PARTIES "%s  - { working: A, completed: B, use: %.*s }\n",
            with_misc, (int)len, line));
        assert_int_equal(c->n_stages, 2);
        n++;
    }
    assert_true(n >= 24);
}

/* ---- the order of stages ---- */

/* Stages of the catalogue by these letters: Enrolments, Forum, Notes, Misc, Lms, Certificates; what is told
 * of their order, a line each. */
static const char *told_order(const char *letters)
{
    static const char *const uses[128] = {
        ['E'] = "retirement_unenroll",     ['F'] = "retirement_retire_forum",
        ['N'] = "retirement_retire_notes", ['M'] = "retirement_lms_retire_misc",
        ['L'] = "retirement_lms_retire",   ['C'] = "retirement_retire_certificates",
    };
    const char *text = IDENTITY SERVICES "stages:\n", *told = "";
    for (size_t i = 0; letters[i]; i++)
        text = arena_printf(&arena, "%s  - { working: %c%zu, completed: %c%zu_DONE, use: LMS.%s }\n", text,
                            letters[i], i + 1, letters[i], i + 1, uses[(unsigned char)letters[i]]);
    const struct config *c = load_good(text);
    for (size_t i = 0; c->order && c->order[i]; i++) {
        const char *place = strstr(c->order[i], "lethe.yml:");
        told = arena_printf(&arena, "%s%s\n", told, place ? strchr(place, ' ') + 1 : c->order[i]);
    }
    return told;
}

static void test_config__an_order_that_leaves_nothing_is_not_talked_about(void **state)
{
    assert_string_equal(told_order("ENMLFL"), "");
    assert_string_equal(told_order("ENML"), "");
    assert_string_equal(told_order("NMLC"), "");
}

/* The orders of Open edX, and what each of them leaves. */
static void test_config__an_order_that_leaves_data_is_told_with_one_that_works(void **state)
{
    assert_string_equal(told_order("FE"),
                        "E2 needs account.username=original, and F1 before it changes that\n"
                        "an order that works: E2, F1\n");
    assert_string_equal(told_order("FENML"),
                        "E2 needs account.username=original, and F1 before it changes that\n"
                        "L5 needs account.username=original, and F1 before it changes that\n"
                        "L5 needs account.email=original, and F1 before it destroys that\n"
                        "an order that works: E2, N3, M4, L5, F1, L5 again, as one more stage\n");
    assert_string_equal(told_order("ENMLF"),
                        "L4 has to leave account.email=retired, and F5 behind it destroys that\n"
                        "an order that works: E1, N2, M3, L4, F5, L4 again, as one more stage\n");
    assert_string_equal(told_order("FLL"),
                        "L2 needs account.username=original, and F1 before it changes that\n"
                        "L2 needs account.email=original, and F1 before it destroys that\n"
                        "an order that works: L2, F1, L3\n");
    assert_string_equal(told_order("CL"),
                        "C1 needs account.username=retired, and no stage before it does that\n"
                        "an order that works: L2, C1\n");
    assert_string_equal(told_order("LE"),
                        "E2 needs account.username=original, and L1 before it changes that\n"
                        "an order that works: E2, L1\n");
    assert_string_equal(told_order("C"),
                        "C1 needs account.username=retired, and no stage before it does that\n"
                        "no order of these stages works: one of them has to find people in another way\n");
}

/* What a site knows better than the catalogue it says beside `use`. */
static void test_config__the_file_can_say_what_an_entry_does(void **state)
{
    const struct config *c = load_good(
        IDENTITY SERVICES
        "stages:\n"
        "  - { working: A, completed: B, use: LMS.retirement_retire_forum, changes: [], destroys: [] }\n"
        "  - { working: C, completed: D, use: LMS.retirement_lms_retire, needs: [crm.contact, "
        "account.email=original] }\n"
        "  - { working: E, completed: F, exec: { command: [x] }, destroys: crm }\n");
    assert_null(c->order);
    assert_int_equal(c->stages[0].changes.n, 0);
    assert_int_equal(c->stages[1].needs.n, 2);
    assert_string_equal(c->stages[1].needs.list[0].what, "crm.contact");
    assert_null(c->stages[1].needs.list[0].value);
    assert_string_equal(c->stages[1].needs.list[1].value, "original");
    assert_string_equal(c->stages[1].leaves.list[0].value, "retired");
    assert_string_equal(c->stages[2].destroys.list[0].what, "crm");
}

/* `verify: true` asks the service that the stage calls, whatever its name is. */
static void test_config__a_look_of_the_catalogue_is_switched_on(void **state)
{
    const struct config *c = load_good(
        IDENTITY OPEN_EDX "stages:\n"
                          "  - { working: A, completed: B, use: LMS.retirement_lms_retire, verify: true }\n"
                          "  - { working: C, completed: D, use: CREDENTIALS.retire_learner, verify: true, "
                          "service: discovery }\n");
    const struct verify_conf *first = c->stages[0].verify, *second = c->stages[1].verify;
    assert_string_equal(render(first->probe.http.steps[0].path), "/api/user/v1/accounts?username=a%22da");
    assert_int_equal(first->expect.list[0].status, 404);
    assert_string_equal(second->probe.http.steps[0].service->name, "discovery");
    assert_string_equal(c->stages[1].action.http.steps[0].service->name, "discovery");
    assert_int_equal(c->stages[1].right, RIGHT_RENAMER);
}

static void test_config__a_name_without_a_call_is_done_by_another_entry(void **state)
{
    static const struct template_values person = { .original_username = "ada" };
    const struct config *c = load_good(
        IDENTITY SERVICES "stages:\n"
                          "  - { working: A, completed: B, use: LMS.retirement_retire_mailings }\n"
                          "  - { working: C, completed: D, use: LMS.retirement_lms_retire_misc }\n");
    const char *const orgs[] = { NULL };
    assert_string_equal(config_passes_over(&c->stages[0], &person, orgs),
                        "done by LMS.retirement_lms_retire_misc");
    assert_null(config_passes_over(&c->stages[1], &person, orgs));
}

static void test_config__lists_have_their_limits(void **state)
{
    static const struct {
        int max;
        const char *before, *item, *after, *complaint;
    } limits[] = {
        { 100, IDENTITY "services:\n", "  s#: { url: \"https://s.example.com\" }\n", "",
          "at most 100 are possible" },
        { 100, "identity:\n  salts:\n", "    - salt-number-#\n", "", "more than 100 salts" },
        { 200, IDENTITY "stages:\n", "  - { working: W#, completed: D#, exec: { command: [x] } }\n", "",
          "from 1 to 200 are possible" },
        { 400, IDENTITY "states: [PENDING, ", "S#, ", "ERRORED, ABORTED, COMPLETE]\n",
          "at most 404 are possible" },
        { 50,
          IDENTITY SERVICES
          "stages: [{ working: A, completed: B, http: { service: lms, post: \"/x/{user_id}\", headers: {",
          "X-#: y, ", "} } }]\n", "at most 50 are possible" },
        { 200, IDENTITY "stages: [{ working: A, completed: B, exec: { command: [", "a#, ", "] } }]\n",
          "at most 199 arguments" },
        { 200, IDENTITY "stages: [{ working: A, completed: B, exec: { command: [x], env: {", "A#: y, ",
          "} } }]\n", "at most 200 are possible" },
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct config *config = NULL;
        struct err err = { 0 };
        load_good(repeated(limits[i].before, limits[i].item, limits[i].max, limits[i].after));
        const char *over = repeated(limits[i].before, limits[i].item, limits[i].max + 1, limits[i].after);
        assert_int_equal(load_text(over, &config, &err), RC_INVALID);
        if (!strstr(err.text, limits[i].complaint))
            fail_msg("%s: %s", limits[i].complaint, err.text);
    }
}

/* Whatever is wrong with a secret, the error does not repeat it. */
static void test_config__errors_do_not_show_secrets(void **state)
{
    static const char *const texts[] = {
        "identity: { salts: [exampleXYZZY] }\n",
        "identity: { salts: [XYZZY] }\n",
        "identity: { salts: [[XYZZYXYZZY]] }\n",
        "identity: { salts: XYZZYXYZZY }\n",
        "identity: { salts: [\"XYZZYXYZZY\\t\"] }\n",
        "identity: { salts: [XYZZYXYZZY, XYZZYXYZZY] }\n",
        IDENTITY "services: { a: { url: \"https://a\", bearer: { token: exampleXYZZY } } }\n",
        IDENTITY "services: { a: { url: \"https://a:XYZZY@b\" } }\n",
        IDENTITY "services: { a: { url: \"https://a\", bearer: { token: \"XYZZYXYZZY\\n\" } } }\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config *config = NULL;
        struct err err = { 0 };
        assert_int_equal(load_text(texts[i], &config, &err), RC_INVALID);
        assert_null(strstr(err.text, "XYZZY"));
    }
}

static void test_config__warns_when_others_can_read_a_secret(void **state)
{
    struct config *config = NULL;
    struct err err;
    write_file("lethe.yml", IDENTITY, 0644);
    assert_int_equal(config_load(&arena, in_folder("lethe.yml"), &config, &err), RC_OK);
    assert_warning(config->warnings, "lethe.yml:1", "a secret stands in this file");
    assert_null(strstr(config->warnings->what, "salt-2018-old"));

    write_file("lethe.yml", IDENTITY, 0600);
    assert_int_equal(config_load(&arena, in_folder("lethe.yml"), &config, &err), RC_OK);
    assert_null(config->warnings);
}

/* ---- documents ---- */

static void test_config__example_is_valid(void **state)
{
    write_file("newsletter.token", "0123456789abcdef\n", 0600);
    const struct config *c = load_good(
        read_text(arena_printf(&arena, "%s/../../../examples/lethe.yml", getenv("LETHE_TESTDATA"))));
    assert_int_equal(c->n_services, 3);
    assert_int_equal(c->n_stages, 8);
    assert_int_equal(c->lease_us, 250 * CLOCK_S);
    assert_true(c->stages[5].retry.none);
}

/* "key  type  preset  help" as the start of a row of the table in docs/config.md. */
static const char *documented_row(char *line)
{
    char *rest = line;
    const char *part[3];
    for (int i = 0; i < 3; i++) {
        char *end = strstr(rest, "  ");
        assert_non_null(end);
        *end = '\0';
        part[i] = rest;
        rest = end + 2;
    }
    bool plain = strcmp(part[2], "-") == 0 || strcmp(part[2], "required") == 0;
    size_t len = strlen(part[2]);
    bool quoted = part[2][0] == '"';
    return arena_printf(&arena, "\n| `%s` | %s | %s%.*s%s | ", part[0], part[1], plain ? "" : "`",
                        (int)(quoted ? len - 2 : len), part[2] + quoted, plain ? "" : "`");
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned n = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

/* ---- databases ---- */

static const char *filled_in(const struct template *t, const struct template_values *values)
{
    struct buf out;
    struct err err;
    buf_init(&out, TEXT_MAX);
    assert_int_equal(template_render(t, values, &out, &err), RC_OK);
    const char *text = arena_strdup(&arena, buf_str(&out));
    buf_free(&out);
    return text;
}

static void test_config__sql(void **state)
{
    static const struct template_values person = { .original_email = "a'b@c", .user_id = "7" };
    const char *const *values;
    struct err err;
    size_t n;
    const struct config *config = load_good(
        IDENTITY
        "services: { shop: { odbc: \"Driver=SQLite3;Database=shop.db\", password_file: lms.secret } }\n"
        "stages:\n"
        "  - working: A\n"
        "    completed: B\n"
        "    sql:\n"
        "      service: shop\n"
        "      statements:\n"
        "        - DELETE FROM o WHERE mail = {original_email} AND note <> 'it''s -- {{; ? $1 /*'\n"
        "        - UPDATE p SET x = {user_id}, mail = {original_email} WHERE id = {user_id}\n");
    const struct service_conf *shop = &config->services[0];
    const struct action_conf *action = &config->stages[0].action;
    assert_string_equal(shop->odbc, "Driver=SQLite3;Database=shop.db");
    assert_string_equal(shop->secret, "0123456789abcdef");
    assert_null(shop->url);
    assert_int_equal(shop->credentials, CREDENTIALS_NONE);
    assert_int_equal(action->kind, ACTION_SQL);
    assert_ptr_equal(action_service(action, 0), shop);
    assert_int_equal(action->sql.n, 2);
    assert_false(action->sql.is_query);
    assert_string_equal(filled_in(action->sql.statements[0].sql, &person),
                        "DELETE FROM o WHERE mail = ? AND note <> 'it''s -- {; ? $1 /*'");
    assert_string_equal(filled_in(action->sql.statements[1].shown, &person),
                        "UPDATE p SET x = 7, mail = a'b@c WHERE id = 7");
    assert_int_equal(template_bind(&arena, action->sql.statements[1].sql, &person, &values, &n, &err), RC_OK);
    assert_int_equal(n, 3);
    assert_string_equal(values[0], "7");
    assert_string_equal(values[1], "a'b@c");
    assert_string_equal(values[2], "7");
}

/* ---- e-mail ---- */

/* What was sent to one place tells nothing of another one. */
static void test_config__the_same_call_elsewhere_is_another_call(void **state)
{
    static const char *const pairs[][2] = {
        { "services: { s: { odbc: \"Driver=SQLite3;Database=a\" } }\nstages:\n- { working: A, completed: B, "
          "sql: { service: s, statements: [\"DELETE FROM o WHERE m = {original_email}\"] } }\n",
          "services: { s: { odbc: \"Driver=SQLite3;Database=b\" } }\nstages:\n- { working: A, completed: B, "
          "sql: { service: s, statements: [\"DELETE FROM o WHERE m = {original_email}\"] } }\n" },
        { "stages:\n- { working: A, completed: B, exec: { command: [/bin/true], env: { AT: a } } }\n",
          "stages:\n- { working: A, completed: B, exec: { command: [/bin/true], env: { AT: b } } }\n" },
        { "services: { s: { url: \"http://127.0.0.1:1\" } }\nstages:\n- { working: A, completed: B, http: { "
          "service: s, delete: \"/{user_id}\" } }\n",
          "services: { s: { url: \"http://127.0.0.1:2\" } }\nstages:\n- { working: A, completed: B, http: { "
          "service: s, delete: \"/{user_id}\" } }\n" },
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const char *digests[2];
        for (size_t j = 0; j < 2; j++)
            digests[j] =
                load_good(arena_printf(&arena, IDENTITY "%s", pairs[i][j]))->stages[0].action.digests[0];
        assert_string_not_equal(digests[0], digests[1]);
    }
}

static void test_config__mail(void **state)
{
    const struct config *config = load_good(
        IDENTITY
        "services: { lms: { url: \"https://lms.example.com\" } }\n"
        "mail:\n"
        "  server: smtp://mail.example.com:587\n"
        "  from: \"Example University <lethe@example.com>\"\n"
        "  user: lethe\n"
        "  password_file: lms.secret\n"
        "  rate: 1/s\n"
        "stages:\n"
        "  - { working: A, completed: B, mail: { to: \"{original_email}\", subject: s, text: t } }\n");
    const struct mail_conf *mail = config->mail;
    assert_string_equal(mail->service.name, "mail");
    assert_string_equal(mail->service.url, "smtp://mail.example.com:587");
    assert_string_equal(mail->service.client_id, "lethe");
    assert_string_equal(mail->service.secret, "0123456789abcdef");
    assert_int_equal(mail->service.credentials, CREDENTIALS_BASIC);
    assert_int_equal(mail->service.max_concurrent, 4);
    assert_true(mail->service.rate == 1);
    assert_int_equal(mail->service.index, 1);
    assert_string_equal(mail->from_name, "Example University");
    assert_string_equal(mail->from, "lethe@example.com");
    const struct action_conf *action = &config->stages[0].action;
    assert_int_equal(action->kind, ACTION_MAIL);
    assert_ptr_equal(action_service(action, 0), &mail->service);
}

static void test_config__mail_wants_tls_but_on_this_machine(void **state)
{
    static const struct {
        const char *text;
        bool starttls;
    } cases[] = {
        { "server: smtp://mail.example.com", true },
        { "server: smtp://mail.example.com, tls: none", false },
        { "server: smtp://127.0.0.1:25", false },
        { "server: smtp://localhost", false },
        { "server: smtp://localhost, tls: required", true },
        { "server: smtps://mail.example.com", false }, /* it has TLS before that */
        { "server: SMTPS://mail.example.com", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = arena_printf(&arena, IDENTITY "mail: { %s, from: a@b.c }\n", cases[i].text);
        const struct mail_conf *mail = load_good(text)->mail;
        if (mail->starttls != cases[i].starttls)
            fail_msg("%s", cases[i].text);
        assert_null(mail->from_name);
        assert_int_equal(mail->service.credentials, CREDENTIALS_NONE);
    }
}

struct somebody {
    const char *username, *email, *name, *user_id;
    const char *orgs[4];
};

static const char *passed_over(const char *conditions, const struct somebody *who)
{
    const struct template_values person = { .original_username = who->username,
                                            .original_email = who->email,
                                            .original_name = who->name,
                                            .user_id = who->user_id };
    const struct stage_conf *stage =
        load_stage(arena_printf(&arena, "    exec: { command: [x] }\n    %s\n", conditions));
    return config_passes_over(stage, &person, who->orgs);
}

/* Drivers compare it. */
static void test_config__conditions_have_a_text_that_tells_them_apart(void **state)
{
    static const char *const conditions[] = {
        "retry: none",
        "when: { org: [a, b] }",
        "when: { org: [\"a org 1:b\"] }",
        "unless: { org: [a, b] }",
        "when: { original_name: [a, b] }",
        "when: { user_id: known }",
        "when: { user_id: unknown }",
        "when: { user_id: known }\n    unless: { org: [a] }",
    };
    enum { N = sizeof(conditions) / sizeof(conditions[0]) };
    const char *texts[N];
    for (size_t i = 0; i < N; i++) {
        struct buf text;
        buf_init(&text, 1000);
        config_put_conditions(
            &text, load_stage(arena_printf(&arena, "    exec: { command: [x] }\n    %s\n", conditions[i])));
        texts[i] = arena_strdup(&arena, buf_str(&text));
        buf_free(&text);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(texts[i], texts[k]);
    }
}

static void test_config__conditions_say_whom_a_stage_is_for(void **state)
{
    static const struct somebody ada = {
        "ada", "Ada.L@Example.COM", "Ada \xc3\x89", "17", { "X", "Example-Y" }
    };
    static const struct somebody bob = { .username = "Bob", .email = "bob@other.example", .name = "" };
    static const struct {
        const char *conditions;
        const struct somebody *who;
        const char *expected; /* NULL: it is for this one */
    } cases[] = {
        { "retry: none", &ada, NULL },
        { "when: { original_username: [ada] }", &ada, NULL },
        { "when: { original_username: [Ada] }", &ada, "when.original_username does not hold" },
        { "when: { original_username: [b, \"*da\"] }", &ada, NULL },
        { "when: { original_username: [ad] }", &ada, "when.original_username does not hold" },
        { "when: { original_email: [\"*@example.com\"] }", &ada, NULL },
        { "when: { original_email: [\"*@EXAMPLE.com\"] }", &ada, NULL },
        { "when: { original_email: [\"*@example.co\"] }", &ada, "when.original_email does not hold" },
        { "when: { original_email: [\"*@*.example\"] }", &bob, NULL },
        { "unless: { original_email: [\"*@example.com\"] }", &ada, "unless.original_email holds" },
        { "unless: { original_email: [\"*@example.com\"] }", &bob, NULL },
        { "when: { original_name: [\"*\"] }", &bob, NULL },
        { "when: { original_name: [\"B*\"] }", &ada, "when.original_name does not hold" },
        { "when: { original_name: [\"A*a*\"] }", &ada, NULL },
        { "when: { org: [Z, X] }", &ada, NULL },
        { "when: { org: [\"Example-*\"] }", &ada, NULL },
        { "when: { org: [x] }", &ada, "when.org does not hold" },
        { "when: { org: [\"*\"] }", &bob, "when.org does not hold" },
        { "unless: { org: [\"*\"] }", &bob, NULL },
        { "when: { user_id: known }", &ada, NULL },
        { "when: { user_id: unknown }", &ada, "when.user_id does not hold" },
        { "when: { user_id: known }", &bob, "when.user_id does not hold" },
        { "unless: { user_id: unknown }", &bob, "unless.user_id holds" },
        { "when: { org: [X], user_id: unknown }", &ada, "when.user_id does not hold" },
        { "unless: { org: [Q], original_username: [ada] }", &ada, "unless.original_username holds" },
        { "when: { org: [X] }\n    unless: { user_id: known }", &ada, "unless.user_id holds" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = passed_over(cases[i].conditions, cases[i].who);
        if ((got == NULL) != (cases[i].expected == NULL) || (got && strcmp(got, cases[i].expected) != 0))
            fail_msg("%s: %s", cases[i].conditions, got ? got : "it is for this one");
    }
}

/* With accents of their own, or within their letters. */
static void test_config__two_forms_of_a_name_are_one_name(void **state)
{
    static const char *const forms[] = { "Ren\xc3\xa9@x.y", "Rene\xcc\x81@x.y" };
    static const char *const fields[] = { "original_username", "original_email", "original_name", "org" };
    for (size_t field = 0; field < 4; field++)
        for (size_t i = 0; i < 4; i++) {
            const char *value = forms[i % 2];
            const struct somebody who = { value, value, value, "1", { value } };
            const char *conditions =
                arena_printf(&arena, "unless: { %s: [\"%s\"] }", fields[field], forms[i / 2]);
            if (!passed_over(conditions, &who))
                fail_msg("%s: %s", conditions, value);
        }
    assert_non_null(passed_over("unless: { original_email: [\"J\xcc\x8c@x.y\"] }",
                                &(struct somebody){ .email = "\xc7\xb0@x.y" }));
}

/* Many stars against a long text, without much time. */
static void test_config__hostile_patterns_are_matched_in_time(void **state)
{
    char pattern[201], text[10001];
    for (size_t i = 0; i < 200; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[200] = '\0';
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    const struct somebody who = { .username = text };
    assert_null(passed_over(arena_printf(&arena, "when: { original_username: [\"%s\"] }", pattern), &who));
    assert_non_null(
        passed_over(arena_printf(&arena, "when: { original_username: [\"%sb\"] }", pattern), &who));
}

static void test_config__settings_and_documentation_agree(void **state)
{
    const char *docs =
        read_text(arena_printf(&arena, "%s/../../../docs/config.md", getenv("LETHE_TESTDATA")));
    struct buf printed;
    char *saved = NULL;
    unsigned n = 0;
    buf_init(&printed, TEXT_MAX);
    config_print_settings(&printed);
    char *text = arena_strdup(&arena, buf_str(&printed));
    buf_free(&printed);
    for (char *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved), n++) {
        const char *row = documented_row(line);
        if (!strstr(docs, row))
            fail_msg("docs/config.md lacks the row%s", row);
    }
    assert_true(n > 50);
    assert_int_equal(count_of(docs, "\n| `"), n);
}

#define T(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_config__bad_ones_say_where_and_what),
        T(test_config__fifty_mistakes_are_enough),
        T(test_config__missing_file_says_how_to_get_one),
        T(test_config__empty_file_is_told_how_to_make_salts),
        T(test_config__bytes_that_are_not_utf8_are_refused),
        T(test_config__works_without_a_place_for_the_error),
        T(test_config__cut_files_do_no_harm),
        T(test_config__presets),
        T(test_config__what_needs_a_restart_is_kept_and_named),
        T(test_config__neither_stages_nor_states),
        T(test_config__everything_given),
        T(test_config__salts_from_a_file_oldest_first),
        T(test_config__salts_written_here),
        T(test_config__other_machines_with_tls_or_a_proxy),
        T(test_config__key_that_others_can_read_is_refused),
        T(test_config__when_a_service_is_left_alone),
        T(test_config__services),
        T(test_config__how_others_are_reached),
        T(test_config__when_mail_needs_tls),
        T(test_config__how_a_server_elsewhere_is_reached),
        T(test_config__services_may_stand_behind_stages),
        T(test_config__states_follow_from_stages),
        T(test_config__states_alone),
        T(test_config__stage_presets),
        T(test_config__retry_and_timeout),
        T(test_config__lease_grows_with_the_timeouts),
        T(test_config__a_stage_by_hand_asks_for_no_lease),
        T(test_config__json_keeps_kinds_and_fills_strings),
        T(test_config__json_that_is_one_text),
        T(test_config__text_and_xml_are_templates),
        T(test_config__parts_are_texts_and_files),
        T(test_config__form_and_headers),
        T(test_config__poll),
        T(test_config__conditions),
        T(test_config__exec),
        T(test_config__verify),
        T(test_config__what_only_reads),
        T(test_config__verify_presets),
        T(test_config__program_without_a_slash_is_left_to_the_path),
        T(test_config__the_authority_elsewhere),
        T(test_config__the_file_of_a_driver_of_open_edx),
        T(test_config__more_in_a_row_of_the_file_of_a_driver),
        T(test_config__our_own_settings_in_the_file_of_a_driver),
        T(test_config__keys_of_the_scripts_are_services_of_third_parties),
        T(test_config__what_the_scripts_did_at_segment_and_lethe_does_not_is_said),
        T(test_config__all_wrong_lines_of_a_salts_file_are_said),
        T(test_config__what_worked_for_years_is_only_warned_about),
        T(test_config__the_file_of_a_driver_is_known_by_its_look),
        T(test_config__an_entry_of_the_catalogue_is_a_stage_like_any_other),
        T(test_config__all_of_the_catalogue_is_valid),
        T(test_config__an_order_that_leaves_nothing_is_not_talked_about),
        T(test_config__an_order_that_leaves_data_is_told_with_one_that_works),
        T(test_config__the_file_can_say_what_an_entry_does),
        T(test_config__a_look_of_the_catalogue_is_switched_on),
        T(test_config__a_name_without_a_call_is_done_by_another_entry),
        T(test_config__lists_have_their_limits),
        T(test_config__errors_do_not_show_secrets),
        T(test_config__warns_when_others_can_read_a_secret),
        T(test_config__example_is_valid),
        T(test_config__sql),
        T(test_config__the_same_call_elsewhere_is_another_call),
        T(test_config__mail),
        T(test_config__mail_wants_tls_but_on_this_machine),
        T(test_config__conditions_say_whom_a_stage_is_for),
        T(test_config__conditions_have_a_text_that_tells_them_apart),
        T(test_config__two_forms_of_a_name_are_one_name),
        T(test_config__hostile_patterns_are_matched_in_time),
        T(test_config__settings_and_documentation_agree),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
