/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: from a file (..._file), from the environment (..._env), or in the configuration itself. Secrets
 * out of examples and easily guessed ones are refused. Errors never show a secret.
 */
#include "config/config_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"

enum { SECRET_MIN = 8, SECRET_MAX = 4096 };

/* Beginnings of texts that were meant to be replaced. */
static const char *const example_starts[] = { "example",   "changeme",  "change-me",   "change_me",
                                              "change me", "replaceme", "replace-",    "replace_",
                                              "your-",     "your_",     "yoursalt",    "insert-",
                                              "insert_",   "salt-here", "secret-here", "placeholder",
                                              "<",         "todo" };
static const char *const guessed[] = {
    "password", "password1", "passw0rd",     "12345678", "123456789",    "1234567890",  "abcdefgh",
    "qwertyui", "saltsalt",  "secretsecret", "testtest", "default-salt", "defaultsalt", "test-salt",
    "testsalt", "some-salt", "somesalt",     "mysecret", "my-secret",    "topsecret",   "letmein1"
};

bool secret_is_weak(const char *secret, const char **why)
{
    *why = "too short: at least 8 characters are needed";
    if (text_count(secret) < SECRET_MIN)
        return true;
    *why = "an example that was meant to be replaced";
    for (size_t i = 0; i < sizeof(example_starts) / sizeof(example_starts[0]); i++)
        if (strncasecmp(secret, example_starts[i], strlen(example_starts[i])) == 0)
            return true;
    *why = "one that is easily guessed";
    for (size_t i = 0; i < sizeof(guessed) / sizeof(guessed[0]); i++)
        if (strcasecmp(secret, guessed[i]) == 0)
            return true;
    return strspn(secret, (const char[]){ secret[0], '\0' }) == strlen(secret); /* one character many times */
}

/* From now on the secret counts as given, even if it is refused. */
static enum rc give_once(const struct yaml *at, const char **field, struct err *err)
{
    if (*field)
        return yaml_key_error(
            at, err, "%s: the secret is given twice: give it in ..._file, in ..._env or here", at->key);
    *field = "";
    return RC_OK;
}

static enum rc take_secret(struct arena *a, const struct yaml *at, const char *secret, void *field,
                           struct err *err)
{
    const char *why;
    const char **out = field;
    const char *fault = text_secret_fault(a, secret);
    if (fault)
        return yaml_value_error(at, err, "the secret %s", fault);
    if (text_count(secret) > SECRET_MAX)
        return yaml_value_error(at, err, "the secret is longer than %d characters", SECRET_MAX);
    if (secret_is_weak(secret, &why))
        return yaml_value_error(at, err, "the secret is %s", why);
    *out = secret;
    return RC_OK;
}

enum rc secret_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                    struct err *err)
{
    const char *secret;
    enum rc rc = give_once(at, field, err);
    if (!rc)
        rc = yaml_text(at, "a secret", &secret, err);
    if (rc)
        return rc;
    r->literal_secret = at;
    return take_secret(r->arena, at, secret, field, err);
}

enum rc secret_read_file(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                         struct err *err)
{
    const char *path, *fault;
    char *secret;
    enum rc rc = give_once(at, field, err);
    if (!rc)
        rc = setting_path(r, s, at, &path, err);
    if (rc)
        return rc;
    if (file_read_secret(r->arena, path, r->config->secrets_dir, &secret, err))
        return yaml_wrap(at, err);
    if ((fault = text_secret_fault(r->arena, secret)) != NULL)
        return yaml_value_error(at, err, "%s:1: the secret %s", path, fault);
    return take_secret(r->arena, at, secret, field, err);
}

enum rc secret_read_env(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                        struct err *err)
{
    const char *name;
    enum rc rc = give_once(at, field, err);
    if (!rc)
        rc = yaml_text(at, "the name of a variable", &name, err);
    if (rc)
        return rc;
    const char *value = getenv(name);
    if (!value || !*value)
        return yaml_value_error(at, err, "the environment has no %s", text_brief(r->arena, name));
    return take_secret(r->arena, at, arena_strdup(r->arena, text_skip_mark(value)), field, err);
}
