/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the use cases, and by nobody else. */
#ifndef LETHE_SERVICE_INT_H
#define LETHE_SERVICE_INT_H

#include "service/service.h"

/* Is rc about one row or report alone (so that others go on), or is the database at fault? */
static inline bool is_refusal(enum rc rc)
{
    return rc == RC_INVALID || rc == RC_CONFLICT || rc == RC_NOT_FOUND;
}

/* The list of today. RC_CONFLICT "no_states" when there is none: it says which command makes one. */
enum rc current_list(struct act *act, const struct pipeline **out, struct err *err) MUST_CHECK;

/* A text of one line, of at most so many characters. RC_INVALID names the field. */
enum rc check_field(const char *field, const char *value, size_t max, struct err *err) MUST_CHECK;

/* Cuts a response that is longer than SERVICE_RESPONSE_MAX, and marks it as cut. */
void cut_response(struct arena *a, const char **text, size_t *len);

#endif
