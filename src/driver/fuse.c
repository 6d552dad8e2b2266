/* SPDX-License-Identifier: Apache-2.0 */
/* The fuse of a driver for an LMS, for the commands that show and release it. */
#include "driver/authority/authority.h"
#include "driver/driver.h"

enum { SHOWN_MAX = 20 };

enum rc driver_show_fuse(const struct config *config, struct buf *out, struct err *err)
{
    struct arena a = { 0 };
    struct lms_fuse fuse;
    struct json_out o = { .buf = out };
    enum rc rc = lms_fuse_read(&a, config, &fuse, err);
    if (!rc) {
        json_open_map(&o);
        json_field_bool(&o, "blown", fuse.blown);
        json_put_key(&o, "history");
        json_open_list(&o);
        for (size_t i = fuse.n; i > 0 && fuse.n - i < SHOWN_MAX; i--)
            json_put_raw(&o, fuse.lines[i - 1]);
        json_close_list(&o);
        json_close_map(&o);
    }
    arena_free(&a);
    return rc;
}

enum rc driver_release_fuse(const struct config *config, const char *actor, const char *reason, int64_t now,
                            struct err *err)
{
    struct arena a = { 0 };
    struct lms_fuse fuse;
    enum rc rc = lms_fuse_read(&a, config, &fuse, err);
    arena_free(&a);
    if (!rc && !fuse.blown)
        return err_set_code(err, RC_CONFLICT, "not_blown", "the fuse has not blown");
    const struct lms_fuse_change change = { .at = now, .due = fuse.due, .actor = actor, .reason = reason };
    return rc ? rc : lms_fuse_add(config, &change, err);
}
