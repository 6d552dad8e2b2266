/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of HTTP statuses that say something about a person. Some statuses never do: the service did not look,
 * because the credentials are wrong or it is busy.
 */
#include "config/action/http_call.h"

enum rc answers_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                     struct err *err)
{
    const struct statuses *statuses = field;
    enum rc rc = setting_statuses(r, s, at, field, err);
    for (size_t i = 0; !rc && i < statuses->n; i++)
        if (answers_is_unrelated(statuses->status[i]))
            rc = yaml_value_error(at, err, "%u says nothing about the person: the service did not look",
                                  statuses->status[i]);
    return rc;
}

bool answers_is_unrelated(unsigned status)
{
    static const unsigned never[] = { 401, 407, 408, 425, 429 };
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (status == never[i])
            return true;
    return false;
}
