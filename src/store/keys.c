/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the names in a database were hashed with: the secret key, and the salts. With another key no person is
 * found, and without a salt the names retired under it become free, both without any error. So the database
 * keeps a fingerprint of each: of the key from the beginning, of the salts from the first retirement on.
 *
 * The fingerprints are keyed hashes themselves. Without the secret key they do not help to guess a salt.
 */
#include "store/store.h"

#include <string.h>

#include "store/store_int.h"

enum { MARK_LEN = 2 * CRYPTO_SHA256_LEN }; /* in hex */

static void mark_of(const struct store *s, struct arena *a, const char *kind, const char *value,
                    char out[MARK_LEN + 1])
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    const char *text = arena_printf(a, "%s\n%s", kind, value);
    crypto_hmac_sha256(s->lookup_key, text, strlen(text), digest);
    crypto_hex(digest, sizeof(digest), out);
}

/* ---- the secret key ---- */

enum rc store_check_key(struct store *s, struct err *err)
{
    struct arena a = { 0 };
    char mark[MARK_LEN + 1];
    const char *stored;
    mark_of(s, &a, "fingerprint", "key", mark);
    enum rc rc = schema_get_setting(s->db, &a, "key_fingerprint", &stored, err);
    if (!rc && !stored)
        rc = schema_set_setting(s->db, "key_fingerprint", mark, err);
    else if (!rc && strcmp(stored, mark) != 0)
        rc = err_set_code(err, RC_CONFLICT, "wrong_key",
                          "not the key that this database was made with: restore that one");
    arena_free(&a);
    return rc;
}

/* ---- the salts ---- */

/* The marks of all salts, one after the other. */
static char *marks_of(const struct store *s, struct arena *a, const struct salts *salts)
{
    char *marks = arena_alloc(a, salts->n * MARK_LEN + 1);
    marks[0] = '\0';
    for (size_t i = 0; i < salts->n; i++)
        mark_of(s, a, "salt", salts->salt[i], marks + i * MARK_LEN);
    return marks;
}

static bool has_mark(const char *marks, const char *mark)
{
    for (; *marks; marks += MARK_LEN)
        if (memcmp(marks, mark, MARK_LEN) == 0)
            return true;
    return false;
}

/* Must be the first ones, in their order. */
static enum rc compare(const char *stored, const char *given, struct err *err)
{
    size_t n = strlen(given) / MARK_LEN;
    for (size_t i = 0; stored[i * MARK_LEN]; i++) {
        const char *mark = stored + i * MARK_LEN;
        if (i < n && memcmp(mark, given + i * MARK_LEN, MARK_LEN) == 0)
            continue;
        const char *what = has_mark(given, mark) ? "stands at another place" : "is missing or was changed";
        return err_set_code(
            err, RC_CONFLICT, "wrong_salts",
            "salt %zu of the %zu that this database was made with %s: restore the list as it was; "
            "a new salt goes to its end",
            i + 1, strlen(stored) / MARK_LEN, what);
    }
    return RC_OK;
}

/* *stored: NULL while no retirement is recorded. */
static enum rc check_salts(struct store *s, struct arena *a, const char *given, const char **stored,
                           struct err *err)
{
    enum rc rc = schema_get_setting(s->db, a, "salt_fingerprints", stored, err);
    return rc || !*stored ? rc : compare(*stored, given, err);
}

enum rc store_check_salts(struct store *s, const struct salts *salts, struct err *err)
{
    struct arena a = { 0 };
    const char *stored;
    enum rc rc = check_salts(s, &a, marks_of(s, &a, salts), &stored, err);
    arena_free(&a);
    return rc;
}

enum rc store_take_salts(struct store *s, const struct salts *salts, struct err *err)
{
    struct arena a = { 0 };
    const char *stored, *given = marks_of(s, &a, salts);
    enum rc rc = check_salts(s, &a, given, &stored, err);
    if (!rc && stored && strlen(given) > strlen(stored)) {
        rc = people_refresh_retired_names(s, salts, err);
        if (!rc)
            rc = schema_set_setting(s->db, "salt_fingerprints", given, err);
    }
    arena_free(&a);
    return rc;
}

enum rc keys_note_salts(struct store *s, const struct salts *salts, struct err *err)
{
    struct arena a = { 0 };
    enum rc rc = db_run(s->db,
                        "INSERT INTO setting (name, value) VALUES ('salt_fingerprints', $1)"
                        " ON CONFLICT (name) DO NOTHING",
                        DB_ARGS(DB_TEXT(marks_of(s, &a, salts))), NULL, err);
    arena_free(&a);
    return rc;
}
