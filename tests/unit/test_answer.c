/* SPDX-License-Identifier: Apache-2.0 */
/* server/answer.c: what the answer says about an error, and what only the log says. */
#include "unit.h"

#include <errno.h>

#include "server/exchange.h"

struct heard {
    struct http_request req;
    struct err err;
};

static void open_heard(struct heard *h)
{
    *h = (struct heard){ .req.id = "0123456789abcdef" };
    buf_init(&h->req.answer, HTTP_ANSWER_MAX);
}

static void close_heard(struct heard *h)
{
    buf_free(&h->req.answer);
    arena_free(&h->req.arena);
}

static const char *hear(struct heard *h, enum dialect dialect)
{
    answer_error(&h->req, dialect, &h->err);
    return buf_str(&h->req.answer);
}

static void test_answer__a_text_for_the_log_reaches_no_client(void **state)
{
    static const struct {
        enum rc rc;
        unsigned status;
    } rows[] = {
        { RC_NO_SPACE, 507 },  { RC_UNAVAILABLE, 503 }, { RC_IO, 500 },      { RC_INTERNAL, 500 },
        { RC_NOT_FOUND, 500 }, { RC_CONFLICT, 500 },    { RC_INVALID, 500 }, { RC_TOO_LARGE, 500 },
    };
    for (enum dialect dialect = DIALECT_OPENEDX; dialect <= DIALECT_OAUTH; dialect++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct heard h;
            open_heard(&h);
            err_set_internal(&h.err, rows[i].rc, "/var/lib/lethe/lethe.db: UNIQUE constraint failed");
            const char *text = hear(&h, dialect);
            assert_int_equal(h.req.status, rows[i].status);
            assert_null(strstr(text, "/var/lib"));
            assert_null(strstr(text, "UNIQUE"));
            assert_null(strstr(text, "conflict"));
            close_heard(&h);
        }
    }
}

static void test_answer__a_system_call_that_failed_is_for_the_log(void **state)
{
    struct heard h;
    open_heard(&h);
    errno = ENOENT;
    err_set_errno(&h.err, "/var/lib/lethe/archives");
    assert_null(strstr(hear(&h, DIALECT_NATIVE), "archives"));
    assert_int_equal(h.req.status, 500);
    close_heard(&h);
}

static void test_answer__what_is_said_to_the_client_arrives(void **state)
{
    static const struct {
        enum rc rc;
        unsigned status;
    } rows[] = {
        { RC_INVALID, 400 },  { RC_UNAUTHENTICATED, 401 }, { RC_FORBIDDEN, 403 },   { RC_NOT_FOUND, 404 },
        { RC_CONFLICT, 409 }, { RC_TOO_LARGE, 413 },       { RC_UNAVAILABLE, 503 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct heard h;
        open_heard(&h);
        err_set(&h.err, rows[i].rc, "a text for the client");
        assert_non_null(strstr(hear(&h, DIALECT_NATIVE), "a text for the client"));
        assert_int_equal(h.req.status, rows[i].status);
        close_heard(&h);
    }
}

static void test_answer__a_full_disk_is_said_in_words(void **state)
{
    struct heard h;
    open_heard(&h);
    err_set_internal(&h.err, RC_NO_SPACE, "/var/lib/lethe/lethe.db: the disk is full");
    const char *text = hear(&h, DIALECT_NATIVE);
    assert_non_null(strstr(text, "\"code\":\"no_space\""));
    assert_non_null(strstr(text, "disk is full"));
    assert_string_equal(h.req.extra_name, "Retry-After");
    close_heard(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer__a_text_for_the_log_reaches_no_client),
        cmocka_unit_test(test_answer__a_system_call_that_failed_is_for_the_log),
        cmocka_unit_test(test_answer__what_is_said_to_the_client_arrives),
        cmocka_unit_test(test_answer__a_full_disk_is_said_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
