/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/archives: moves retirements that have been COMPLETE for long into a file. */
#include "server/exchange.h"

#include "base/clock.h"

struct archive_input {
    struct archive_request request;
    struct archive_draft *draft;
};

static enum rc read_archive(struct exchange *x, struct err *err)
{
    static const char *const known[] = { "older_than", "dry_run", NULL };
    struct archive_input *input = x->input = ARENA_NEW(x->arena, struct archive_input);
    struct archive_request *in = &input->request;
    const char *older_than;
    in->older_than_us = x->config->archive_older_than_us;
    enum rc rc = field_only(x->body, known, err);
    if (!rc)
        rc = field_text_optional(x->body, "older_than", &older_than, err);
    if (!rc && older_than && clock_parse_length(older_than, &in->older_than_us, err))
        return err_prefix(err, "older_than");
    return rc ? rc : field_bool_optional(x->body, "dry_run", &in->dry_run, err);
}

static enum rc slow_archive(struct exchange *x, struct err *err)
{
    struct archive_input *in = x->input;
    struct act act = exchange_act(x);
    return in->request.dry_run ? RC_OK : usecase_draft_archive(&act, &in->request, &in->draft, err);
}

static void answer_archive(struct exchange *x, const struct archive_request *in,
                           const struct archive_answer *done)
{
    struct json_out o = answer_json(x, 200);
    json_open_map(&o);
    json_field_bool(&o, "dry_run", in->dry_run);
    json_field_int(&o, "people", done->people);
    if (done->cancelled)
        json_field_int(&o, "cancelled", done->cancelled);
    json_field_int(&o, "held_back", done->held_back);
    json_field_text(&o, "file", done->file);
    json_field_bool(&o, "more", done->more);
    json_close_map(&o);
}

/* Writes the file, and overwrites the people in it. */
static enum rc act_archive(struct exchange *x, struct err *err)
{
    const struct archive_input *input = x->input;
    const struct archive_request *in = &input->request;
    struct act act = exchange_act(x);
    struct archive_answer done;
    enum rc rc = usecase_archive(&act, in, input->draft, &done, err);
    if (rc)
        return rc;
    answer_archive(x, in, &done);
    x->undo = in->dry_run;
    x->unfinished =
        !in->dry_run; /* with no person to archive, too: an earlier archive may have been left half done */
    return RC_OK;
}

/* Deletes these people. */
static enum rc finish_archive(struct exchange *x, struct err *err)
{
    struct act act = exchange_act(x);
    const char *stuck;
    enum rc rc = usecase_finish_archives(&act, &stuck, &x->unfinished, err);
    if (rc || !stuck || x->unfinished)
        return rc;
    return err_set(err, RC_IO, "the archive %s is written and cannot be finished; the server's log says why",
                   stuck);
}

const struct handler handle_archives = {
    .read = read_archive,
    .slow = slow_archive,
    .act = act_archive,
    .finish = finish_archive,
};
