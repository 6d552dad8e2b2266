/* SPDX-License-Identifier: Apache-2.0 */
/* What would be called, without a driver: `lethe plan` asks. */
#include "driver/driver.h"

#include <string.h>

void driver_preview(struct arena *a, const struct action_conf *action, size_t n,
                    const struct template_values *person, struct preview *out)
{
    action_preview(action, n, person, a, out);
}

unsigned driver_rounds(const struct action_conf *action)
{
    return action_rounds(action);
}

bool driver_is_by_hand(const struct action_conf *action)
{
    return !action_of(action)->start;
}

const char *driver_place(const struct action_conf *action)
{
    return action_place(action);
}

const char *driver_find_program(struct arena *a, const struct exec_action_conf *exec)
{
    return exec_find_program(a, exec);
}

const char *driver_database_fault(struct arena *a, const char *odbc)
{
    return odbc_find_fault(a, odbc);
}

const struct service_conf *driver_find_quiet(const struct stage_conf *stage, int64_t now, unsigned *minutes)
{
    const struct action_conf *const actions[] = { &stage->action,
                                                  stage->verify ? &stage->verify->probe : NULL };
    unsigned minute = quiet_minute_of_week(now);
    for (size_t n = 0; n < 2 && actions[n]; n++)
        for (size_t i = 0; i < action_calls(actions[n]); i++) {
            const struct service_conf *service = action_service(actions[n], i);
            *minutes = service && service->quiet ? quiet_minutes(service->quiet, minute) : 0;
            if (*minutes > 0)
                return service;
        }
    return NULL;
}

void driver_serve_action(const char *argv0)
{
    if (strcmp(argv0, ODBC_PROGRAM) == 0)
        odbc_main();
}
