/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgetting the person after all stages are done. Two transactions, so that a program that follows the
 * tables sees the overwritten row before it goes; store/cleanup.c marks retirements that are between the two.
 */
#include "usecase/usecase_int.h"

enum rc usecase_check_redaction(const struct redaction *with, struct err *err)
{
    enum rc rc = texts_check("redacted_username", with->username, USECASE_USERNAME_MAX, err);
    if (!rc)
        rc = texts_check("redacted_email", with->email, USECASE_EMAIL_MAX, err);
    if (!rc)
        rc = texts_check("redacted_name", with->name, USECASE_PERSON_NAME_MAX, err);
    return rc;
}

enum rc usecase_redact(struct act *act, const char *const *usernames, size_t n, const struct redaction *with,
                       struct err *err)
{
    struct retirement **rows = arena_array(act->arena, n + 1, sizeof(rows[0]));
    size_t *n_rows = arena_array(act->arena, n + 1, sizeof(n_rows[0]));
    enum rc rc = usecase_check_redaction(with, err);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = store_find_complete(act->store, act->arena, usernames[i], &rows[i], &n_rows[i], err);
        if (!rc && n_rows[i] == 0)
            return err_set_code(err, RC_CONFLICT, "not_complete",
                                "Not all usernames exist in the COMPLETE state.");
    }
    for (size_t i = 0; !rc && i < n; i++)
        for (size_t j = 0; !rc && j < n_rows[i]; j++)
            rc = store_redact(act->store, &rows[i][j], with, err);
    if (!rc && n > 0)
        rc = audit_add(act, (struct audit_entry){ .action = "cleanup", .people = (int64_t)n }, err);
    return rc;
}

/* A marked retirement may belong to an archive that is not finished. */
enum rc usecase_forget(struct act *act, struct err *err)
{
    return usecase_finish_archives(act, err);
}
