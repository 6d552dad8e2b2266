/* SPDX-License-Identifier: Apache-2.0 */
/* When to try again, for stages and for hooks, which have other presets. */
#include "config/config_int.h"

enum rc retry_read(struct reading *r, const struct setting *s, const struct yaml *at, void *field,
                   struct err *err)
{
    struct retry_conf *retry = field;
    retry->none = setting_is_none(at);
    if (retry->none)
        return RC_OK;
    enum rc rc = yaml_want(at, YAML_MAP, "none or { for: 10m, first: 1s, longest: 60s }", err);
    if (rc)
        return rc;
    reading_go_on(r, at, setting_read_map(r, s->inner, at, retry, err), &rc, err);
    if (retry->longest_us < retry->first_us && !setting_is_refused(r, at, "first|longest"))
        reading_go_on(r, at, yaml_value_error(at, err, "longest is shorter than first"), &rc, err);
    return rc;
}
