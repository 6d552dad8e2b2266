/* SPDX-License-Identifier: Apache-2.0 */
/* Times and lengths of time: within their range, and the same again after writing. */
#include "fuzz.h"

#include "base/clock.h"

static void check_time(const char *text)
{
    char written[CLOCK_TEXT_LEN];
    struct err err;
    int64_t at, again, day;
    enum rc rc = clock_parse(text, &at, &err);
    if (rc) {
        fuzz_check_err(rc, &err);
        rc = clock_parse_date(text, &day, &err);
        assert(rc == RC_INVALID);
        return;
    }
    clock_format(at, written);
    rc = clock_parse(written, &again, &err);
    assert(!rc && again == at);
    if (!clock_parse_date(text, &day, &err))
        assert(day == at && day % CLOCK_DAY == 0);
}

static void check_length(int64_t us)
{
    char written[32] = "";
    clock_format_length(us, written);
    assert(us >= 0 && written[0] && strlen(written) < sizeof(written) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct err err;
    int64_t us;
    check_time(text);

    enum rc rc = clock_parse_length(text, &us, &err);
    if (!rc)
        check_length(us);
    else
        fuzz_check_err(rc, &err);
    free(text);
    return 0;
}
