/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the use cases, and by nobody else. */
#ifndef LETHE_USECASE_INT_H
#define LETHE_USECASE_INT_H

#include "usecase/usecase.h"

/* The list of today. RC_CONFLICT "no_states" when there is none: it says which command makes one. */
enum rc setup_current_list(struct act *act, const struct pipeline **out, struct err *err) MUST_CHECK;

/* A text of one line, of at most so many characters. RC_INVALID names the field. */
enum rc texts_check(const char *field, const char *value, size_t max, struct err *err) MUST_CHECK;

/* Writes that into the audit trail, as done by who acts now: at and actor are filled in. One call for each
 * thing that is done. */
enum rc audit_add(struct act *act, struct audit_entry entry, struct err *err) MUST_CHECK;
/* The same, about an account: "account:ID". */
enum rc audit_account(struct act *act, const char *action, int64_t id, struct err *err) MUST_CHECK;

/* Cuts a response that is longer than USECASE_RESPONSE_MAX, and marks it as cut. */
void texts_cut(struct arena *a, const char **text, size_t *len);

/* Stores what was decided, and lets the account of the directory follow: who is taken out of PENDING into
 * ABORTED has the account back as it was, and who comes back out of ABORTED is locked again. Every decision
 * is stored by this. */
enum rc moves_apply(struct act *act, const struct retirement *before, const struct transition *t,
                    struct err *err) MUST_CHECK;

/* Notes for the metrics what moves_apply() stored, a request, and a claim that was decided on. */
enum rc tally_transition(struct act *act, const struct retirement *before, const struct transition *t,
                         struct err *err) MUST_CHECK;
void tally_request(struct act *act, const struct pipeline *p);
void tally_claim(struct act *act, const struct retirement *before, const struct decision *d);

/* For an account of the directory or somebody brought along, without looking at who asks. */
enum rc requests_add(struct act *act, const struct account *account, const struct person_request *in,
                     int64_t *id, struct err *err) MUST_CHECK;

/* A message to every hook of the event. */
enum rc hooks_tell(struct act *act, enum hook_event event, int64_t retirement_id, const char *payload,
                   struct err *err) MUST_CHECK;

/* An alert will tell of it, if alerts are configured. */
enum rc alerts_note(struct act *act, const struct alarm *alarm, struct err *err) MUST_CHECK;
/* A retirement became ERRORED. failure: why; NULL when nobody said. */
enum rc alerts_note_errored(struct act *act, const struct retirement *before, const struct failure *failure,
                            struct err *err) MUST_CHECK;
/* An alert of what has gathered, if there is something and it is time. */
enum rc alerts_make(struct act *act, struct err *err) MUST_CHECK;

#endif
