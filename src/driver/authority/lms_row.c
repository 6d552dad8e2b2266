/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A retirement in the LMS's form, and whether the driver can use it. An LMS's list has rows of many years and
 * versions: one that cannot be used is refused alone, and by its number, for its texts are personal data.
 */
#include "driver/authority/authority.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/rows.h"
#include "base/text.h"

/* Characters, as contract A2 has them. */
enum { USERNAME_MAX = 150, EMAIL_MAX = 254, NAME_MAX_CHARS = 255 };

#define OF(field) offsetof(struct template_values, field)

static const struct {
    const char *key;
    size_t offset;
    unsigned max;
    bool is_needed;
} texts[] = {
    { "original_username", OF(original_username), USERNAME_MAX, true },
    { "original_email", OF(original_email), EMAIL_MAX, false },
    { "original_name", OF(original_name), NAME_MAX_CHARS, false },
    { "retired_username", OF(retired_username), USERNAME_MAX, false },
    { "retired_email", OF(retired_email), EMAIL_MAX, false },
};

static enum rc read_texts(const struct json *item, struct template_values *person, struct err *err)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const struct json *value = json_get(item, texts[i].key);
        bool is_absent = !value || value->kind == JSON_NULL_KIND || value->kind == JSON_ODD_TEXT;
        if (is_absent && !texts[i].is_needed) /* a stage that needs it says so */
            continue;
        if (!value || value->kind == JSON_NULL_KIND)
            return err_set(err, RC_INVALID, "it has no %s", texts[i].key);
        if (value->kind != JSON_TEXT)
            return err_set(err, RC_INVALID, "its %s is %s", texts[i].key, json_kind_name(value->kind));
        if (texts[i].is_needed && value->len == 0)
            return err_set(err, RC_INVALID, "its %s is empty", texts[i].key);
        if (text_count(value->text) > texts[i].max)
            return err_set(err, RC_INVALID, "its %s has more than %u characters", texts[i].key, texts[i].max);
        *(const char **)((char *)person + texts[i].offset) = value->text;
    }
    return RC_OK;
}

/* The number of the account, which is not always there. */
static enum rc read_user_id(const struct json *item, const char **out, struct err *err)
{
    const struct json *id = json_get(json_get(item, "user"), "id");
    if (!id || id->kind == JSON_NULL_KIND)
        return RC_OK;
    if (id->kind != JSON_INT && id->kind != JSON_BIG)
        return err_set(err, RC_INVALID, "its user.id is %s", json_kind_name(id->kind));
    if (id->len > WIRE_USER_ID_MAX)
        return err_set(err, RC_INVALID, "its user.id has more than %d digits", WIRE_USER_ID_MAX);
    *out = id->text;
    return RC_OK;
}

enum rc lms_row_read(struct arena *a, const char *text, size_t len, bool is_cut, struct lms_row *out,
                     struct err *err)
{
    struct json *item;
    *out = (struct lms_row){ .id = rows_guess_int(text, len, "id", LMS_NO_ID) };
    if (is_cut)
        return err_set(err, RC_INVALID, "it has more than %d bytes", LMS_ROW_MAX);
    enum rc rc = json_parse(a, text, len, &item, err);
    if (rc)
        return rc;
    if (item->kind != JSON_MAP)
        return err_set(err, RC_INVALID, "it is %s, not an object", json_kind_name(item->kind));
    out->id = lms_id_of(item);
    out->state = lms_state_of(item, "current_state");
    out->last_state = lms_state_of(item, "last_state");
    if (out->id <= 0)
        return err_set(err, RC_INVALID, "its id is no whole number of 64 bits from 1 on");
    if (!out->state)
        return err_set(err, RC_INVALID, "it has no current_state with a state_name of at most %d characters",
                       STATE_NAME_MAX);
    out->person.retirement_id = arena_printf(a, "%" PRId64, out->id);
    const char *created = json_get_text(item, "created");
    if (created && clock_parse(created, &out->created_at, NULL))
        out->created_at = 0;
    rc = read_texts(item, &out->person, err);
    return rc ? rc : read_user_id(item, &out->person.user_id, err);
}
