/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How retired names are made: all salts that were ever used, and the two formats. If a salt is lost or
 * changed, names become free that must stay taken for ever. So there is no default salt, and none is
 * generated.
 */
#include "config/config_int.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"

enum {
    SALTS_MAX = 100,
    SALT_MAX = 1024,
    DIGEST_DIGITS = 2 * RETIRED_DIGEST_LEN,
    DIGEST_ROOM = DIGEST_DIGITS + RETIRED_SUFFIX_MAX,
    USERNAME_MAX = 150,
    EMAIL_MAX = 254
};

struct salt_list {
    const char *salt[SALTS_MAX];
    size_t n;
};

/* The error has no place yet: the caller adds the line of the file or of the list. */
static enum rc add_salt(struct arena *a, struct salt_list *list, const char *salt, struct err *err)
{
    const char *why = text_secret_fault(a, salt);
    if (list->n == SALTS_MAX)
        return err_set(err, RC_INVALID, "more than %d salts", SALTS_MAX);
    if (why)
        return err_set(err, RC_INVALID, "the salt %s", why);
    if (text_count(salt) > SALT_MAX)
        return err_set(err, RC_INVALID, "the salt is longer than %d characters", SALT_MAX);
    if (secret_is_weak(salt, &why))
        return err_set(err, RC_INVALID, "the salt is %s (make one: openssl rand -hex 32)", why);
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->salt[i], salt) == 0)
            return err_set(err, RC_INVALID, "the salt is in the list twice");
    list->salt[list->n++] = salt;
    return RC_OK;
}

static struct salts keep_salts(struct arena *a, const struct salt_list *list)
{
    const char **copy = arena_array(a, list->n, sizeof(copy[0]));
    memcpy(copy, list->salt, list->n * sizeof(copy[0]));
    return (struct salts){ copy, list->n };
}

static enum rc read_salts(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                          struct err *err)
{
    struct salt_list list = { .n = 0 };
    const char *salt;
    enum rc rc = yaml_want(at, YAML_LIST, "a list of salts", err);
    if (rc)
        return rc;
    if (at->count == 0)
        reading_go_on(r, at, yaml_value_error(at, err, "the list is empty"), &rc, err);
    if (r->config->salts_file)
        reading_go_on(r, at, yaml_key_error(at, err, "salts and salts_file: give one of the two"), &rc, err);
    for (const struct yaml *child = at->first; child; child = child->next) {
        enum rc one = yaml_text(child, "a salt", &salt, err);
        if (!one && add_salt(r->arena, &list, salt, err))
            one = yaml_wrap(child, err);
        reading_go_on(r, child, one, &rc, err);
    }
    if (rc)
        return rc;
    r->literal_secret = at;
    r->config->salts = keep_salts(r->arena, &list);
    return RC_OK;
}

/* One salt in each line; empty lines are ignored. All lines that are wrong are said. */
static enum rc split_salts(struct arena *a, char *text, const char *path, struct salt_list *list,
                           struct err *err)
{
    unsigned number = 0;
    const char *wrong = NULL;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\r')
            line[len - 1] = '\0';
        if (*line && add_salt(a, list, line, err))
            wrong = arena_printf(a, "%s%s%s:%u: %s", wrong ? wrong : "", wrong ? "; " : "", path, number,
                                 err->text);
    }
    if (wrong)
        return err_set(err, RC_INVALID, "%s", wrong);
    if (list->n == 0)
        return err_set(err, RC_INVALID, "%s: the file has no salt", path);
    return RC_OK;
}

enum rc config_read_salts(struct arena *a, const char *path, const char *secrets_dir, struct salts *out,
                          struct err *err)
{
    struct salt_list list = { .n = 0 };
    char *text;
    enum rc rc = file_read_secret(a, path, secrets_dir, &text, err);
    if (rc == RC_NOT_FOUND)
        return err_set(err, rc,
                       "there is no file %s: if there are retirements already, restore the file, because "
                       "without its salts no "
                       "retired name is recognised; for a new site make one with `openssl rand "
                       "-hex 32 > %s; chmod 600 %s`, and keep it for ever",
                       path, path, path);
    if (!rc)
        rc = split_salts(a, text, path, &list, err);
    if (!rc)
        *out = keep_salts(a, &list);
    return rc;
}

static enum rc read_salts_file(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                               struct err *err)
{
    enum rc rc = setting_path(r, s, at, &r->config->salts_file, err);
    if (!rc &&
        config_read_salts(r->arena, r->config->salts_file, r->config->secrets_dir, &r->config->salts, err))
        rc = yaml_wrap(at, err);
    return rc;
}

/* ---- formats ---- */

static enum rc read_format(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                           struct err *err)
{
    const char *text;
    enum rc rc = setting_text(r, s, at, &text, err);
    if (rc)
        return rc;
    const char *place = strstr(text, "{}");
    if (!place || strstr(place + 2, "{}"))
        return yaml_value_error(at, err, "expected exactly one {} in it, where the digest goes");
    if (strlen(text) - 2 + DIGEST_ROOM > (size_t)s->max)
        return yaml_value_error(
            at, err,
            "with the %d digits of the digest, and _2 to _%d for names that retire alike, it "
            "is longer than %lld characters",
            DIGEST_DIGITS, RETIRED_ALIKE_MAX, (long long)s->max);
    *(const char **)field = text;
    return RC_OK;
}

static enum rc read_username_format(struct reading *r, const struct setting *s, const struct yaml *at,
                                    void *field, struct err *err)
{
    enum rc rc = read_format(r, s, at, field, err);
    if (rc)
        return rc;
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@+-{}";
    if (at->text[strspn(at->text, allowed)])
        return yaml_value_error(at, err, "a user name has only A-Z, a-z, 0-9 and _ . @ + -");
    return RC_OK;
}

static enum rc read_email_format(struct reading *r, const struct setting *s, const struct yaml *at,
                                 void *field, struct err *err)
{
    enum rc rc = read_format(r, s, at, field, err);
    if (rc)
        return rc;
    const char *sign = strchr(at->text, '@');
    if (!sign || sign == at->text || !sign[1] || strchr(sign + 1, '@') || strpbrk(at->text, " \t"))
        return yaml_value_error(at, err, "expected an address like retired__user_{}@retired.invalid");
    return RC_OK;
}

const struct setting identity_settings[] = {
    { "salts_file", "path", read_salts_file, 0, NULL,
      "a file with one salt in each line, oldest first, the last one is current; only its owner may read "
      "it" },
    { "salts", "list of text", read_salts, 0, NULL, "the salts themselves, in place of salts_file" },
    { "retired_username", "format", read_username_format, offsetof(struct config, retired_username),
      "\"retired__user_{}\"", "the retired form of a user name; the digest replaces {}",
      .max = USERNAME_MAX },
    { "retired_email", "format", read_email_format, offsetof(struct config, retired_email),
      "\"retired__user_{}@retired.invalid\"", "the retired form of an address; the digest replaces {}",
      .max = EMAIL_MAX },
    { NULL }
};

enum rc identity_check(const struct config *config, const struct yaml *root, struct err *err)
{
    const struct yaml *at = yaml_get(root, "identity");
    if (config->salts.n > 0 || yaml_get(at, "salts") || yaml_get(at, "salts_file") ||
        (at && at->kind != YAML_MAP))
        return RC_OK;
    return yaml_error(
        at ? at : root, err,
        "identity.salts_file is missing: retired names are made with a salt that is kept for ever. Make "
        "one with `openssl rand -hex 32 > salts; chmod 600 salts` and write `identity: { salts_file: "
        "salts }` (an Open edX site takes the salts it has, oldest first)");
}
