/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every route: method, path, scope, lane, kind of body, form of its errors, handler.
 * When adding one, also: describe it in openapi.yaml (a test compares both ways) and in docs/api.md, and
 * measure it in bench/endpoints.py.
 */
#include "server/exchange.h"

#include <string.h>

#define EDX "/api/user/v1/accounts/"
#define A   DIALECT_OPENEDX
#define B   DIALECT_NATIVE

/* clang-format off */
const struct route routes[] = {
    { { HTTP_GET,   EDX "retirement_queue/" },              SCOPE_READ,  LANE_READ,  BODY_NONE, A, &handle_queue },
    { { HTTP_GET,   EDX "retirements_by_status_and_date/" }, SCOPE_READ, LANE_READ,  BODY_NONE, A, &handle_by_status_and_date },
    { { HTTP_GET,   EDX "{username}/retirement_status/" },  SCOPE_READ,  LANE_READ,  BODY_NONE, A, &handle_status },
    { { HTTP_PATCH, EDX "update_retirement_status/" },      SCOPE_DRIVE, LANE_WRITE, BODY_MAP,  A, &handle_update },
    { { HTTP_POST,  EDX "retirement_cleanup/" },            SCOPE_ADMIN, LANE_ALONE, BODY_MAP,  A, &handle_cleanup },
    { { HTTP_POST,  EDX "retirement_partner_report/" },     SCOPE_PARTNER, LANE_WRITE, BODY_NONE, A, &handle_partner_report },
    { { HTTP_PUT,   EDX "retirement_partner_report/" },     SCOPE_PARTNER_OR_DRIVE, LANE_WRITE, BODY_FIELDS, A, &handle_queue_partner },
    { { HTTP_POST,  EDX "retirement_partner_report_cleanup/" }, SCOPE_PARTNER, LANE_ALONE, BODY_LIST, A, &handle_clean_partners },
    { { HTTP_POST,  "/v1/accounts/bulk_retire_users" },     SCOPE_ADMIN, LANE_WRITE, BODY_FIELDS, A, &handle_bulk_retire },

    { { HTTP_POST,  EDX "cancel_retirement/" },             SCOPE_ADMIN, LANE_WRITE, BODY_FIELDS, A, &handle_cancel_retirement },
    { { HTTP_POST,  EDX "deactivate_logout/" },             SCOPE_OWN_OR_DRIVE, LANE_SLOW, BODY_FIELDS, A, &handle_deactivate_logout },
    { { HTTP_POST,  EDX "{username}/deactivate/" },         SCOPE_ACCOUNTS, LANE_WRITE, BODY_NONE, A, &handle_deactivate },
    { { HTTP_POST,  EDX "retire_misc/" },                   SCOPE_DRIVE, LANE_WRITE, BODY_FIELDS, A, &handle_retire_misc },
    { { HTTP_POST,  EDX "retire/" },                        SCOPE_DRIVE, LANE_WRITE, BODY_FIELDS, A, &handle_retire },
    { { HTTP_POST,  EDX "replace_usernames/" },             SCOPE_ACCOUNTS, LANE_WRITE, BODY_MAP, A, &handle_replace_usernames },
    { { HTTP_POST,  "/api/discussion/v1/accounts/replace_usernames/" }, SCOPE_ACCOUNTS, LANE_READ, BODY_MAP, A, &handle_rename_elsewhere },
    { { HTTP_GET,   "/api/user/v1/accounts" },              SCOPE_READ,  LANE_READ,  BODY_NONE, A, &handle_accounts_of_email },

    { { HTTP_POST,  "/api/discussion/v1/accounts/retire_forum/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  EDX "retire_mailings/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  "/api/enrollment/v1/unenroll/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  "/api/edxnotes/v1/retire_user/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  "/api/edx_proctoring/v1/retire_user/{user_id}/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  "/api/edx_proctoring/v1/retire_backend_user/{user_id}/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  "/api/certificates/v1/retire_certs_s3_for_user/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  "/api/v1/retire_user/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },
    { { HTTP_POST,  "/demographics/api/v1/retire_demographics/" }, SCOPE_DRIVE, LANE_READ, BODY_NONE, A, &handle_not_here },

    { { HTTP_POST,  "/oauth2/access_token" },               SCOPE_NONE,  LANE_READ,  BODY_FORM, DIALECT_OAUTH, &handle_token },

    { { HTTP_POST,  "/v1/retirements" },             SCOPE_REQUEST,  LANE_WRITE, BODY_MAP,  B, &handle_request },
    { { HTTP_GET,   "/v1/retirements" },             SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_list },
    { { HTTP_POST,  "/v1/retirements/import" },      SCOPE_ADMIN,    LANE_WRITE, BODY_MAP,  B, &handle_import },
    { { HTTP_POST,  "/v1/retirements/search" },      SCOPE_READ,     LANE_READ,  BODY_MAP,  B, &handle_search },
    { { HTTP_GET,   "/v1/retirements/{id}" },        SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_one },
    { { HTTP_GET,   "/v1/retirements/{id}/log" },    SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_log },
    { { HTTP_POST,  "/v1/retirements/{id}/move" },   SCOPE_FORCE,    LANE_WRITE, BODY_MAP,  B, &handle_move },
    { { HTTP_POST,  "/v1/retirements/{id}/confirm" }, SCOPE_FORCE,   LANE_WRITE, BODY_MAP,  B, &handle_confirm },
    { { HTTP_POST,  "/v1/retirements/{id}/resume" }, SCOPE_FORCE,    LANE_WRITE, BODY_MAP,  B, &handle_resume },
    { { HTTP_POST,  "/v1/retirements/{id}/cancel" }, SCOPE_FORCE,    LANE_WRITE, BODY_FIELDS, B, &handle_cancel },
    { { HTTP_POST,  "/v1/retirements/{id}/forget" }, SCOPE_ADMIN,    LANE_ALONE, BODY_MAP,  B, &handle_forget },
    { { HTTP_POST,  "/v1/cancellations" },           SCOPE_FORCE,    LANE_WRITE, BODY_MAP,  B, &handle_cancellation },
    { { HTTP_GET,   "/v1/failures" },                SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_failures },
    { { HTTP_GET,   "/v1/fuse" },                    SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_fuse },
    { { HTTP_POST,  "/v1/fuse/release" },            SCOPE_FORCE,    LANE_WRITE, BODY_MAP,  B, &handle_release_fuse },
    { { HTTP_GET,   "/v1/stages" },                  SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_stages },
    { { HTTP_POST,  "/v1/stages/{stage}/release" },  SCOPE_ADMIN,    LANE_WRITE, BODY_MAP,  B, &handle_release_stage },
    { { HTTP_POST,  "/v1/bulk" },                    SCOPE_FORCE,    LANE_WRITE, BODY_MAP,  B, &handle_bulk },

    { { HTTP_POST,  "/v1/archives" },                SCOPE_ADMIN,    LANE_ALONE, BODY_MAP,  B, &handle_archives },

    { { HTTP_GET,   "/v1/audit" },                   SCOPE_ADMIN,    LANE_READ,  BODY_NONE, B, &handle_audit },
    { { HTTP_POST,  "/v1/audit/verify" },            SCOPE_ADMIN,    LANE_LONG,  BODY_MAP,  B, &handle_verify_audit },

    { { HTTP_POST,  "/v1/claims" },                  SCOPE_DRIVE,    LANE_WRITE, BODY_MAP,  B, &handle_claims },
    { { HTTP_POST,  "/v1/progress" },                SCOPE_DRIVE,    LANE_WRITE, BODY_LIST, B, &handle_progress },

    { { HTTP_POST,  "/v1/source" },                  SCOPE_DRIVE,    LANE_WRITE, BODY_MAP,  B, &handle_source },
    { { HTTP_GET,   "/v1/source" },                  SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_source_state },

    { { HTTP_GET,   "/v1/deliveries" },              SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_deliveries },
    { { HTTP_POST,  "/v1/deliveries/claims" },       SCOPE_DRIVE,    LANE_WRITE, BODY_MAP,  B, &handle_delivery_claims },
    { { HTTP_POST,  "/v1/deliveries/reports" },      SCOPE_DRIVE,    LANE_WRITE, BODY_LIST, B, &handle_delivery_reports },
    { { HTTP_POST,  "/v1/deliveries/{id}/retry" },   SCOPE_FORCE,    LANE_WRITE, BODY_NONE, B, &handle_retry_delivery },

    { { HTTP_GET,   "/v1/states" },                  SCOPE_READ,     LANE_READ,  BODY_NONE, B, &handle_states },
    { { HTTP_PUT,   "/v1/states" },                  SCOPE_ADMIN,    LANE_WRITE, BODY_MAP,  B, &handle_sync_states },
    { { HTTP_POST,  "/v1/accounts" },                SCOPE_ACCOUNTS, LANE_SLOW,  BODY_MAP,  B, &handle_accounts },
    { { HTTP_POST,  "/v1/accounts/search" },         SCOPE_ACCOUNTS, LANE_READ,  BODY_MAP,  B, &handle_find_accounts },
    { { HTTP_GET,   "/v1/accounts/{id}" },           SCOPE_ACCOUNTS, LANE_READ,  BODY_NONE, B, &handle_account },
    { { HTTP_PATCH, "/v1/accounts/{id}" },           SCOPE_ACCOUNTS, LANE_WRITE, BODY_MAP,  B, &handle_change_account },
    { { HTTP_POST,  "/v1/accounts/{id}/password-reset" }, SCOPE_ACCOUNTS, LANE_WRITE, BODY_NONE, B, &handle_reset_link },
    { { HTTP_POST,  "/v1/password-resets" },         SCOPE_NONE,     LANE_SLOW,  BODY_MAP,  B, &handle_password_reset },
    { { HTTP_POST,  "/v1/sessions" },                SCOPE_NONE,     LANE_SLOW,  BODY_MAP,  B, &handle_sign_in },
    { { HTTP_DELETE, "/v1/sessions" },               SCOPE_OWN,      LANE_WRITE, BODY_NONE, B, &handle_sign_out },
    { { HTTP_POST,  "/v1/identities/check" },        SCOPE_REQUEST,  LANE_READ,  BODY_MAP,  B, &handle_identities },
    { { HTTP_POST,  "/v1/clients" },                 SCOPE_ADMIN,    LANE_WRITE, BODY_MAP,  B, &handle_add_client },
    { { HTTP_GET,   "/v1/clients" },                 SCOPE_ADMIN,    LANE_READ,  BODY_NONE, B, &handle_clients },
    { { HTTP_POST,  "/v1/clients/{name}/disable" },  SCOPE_ADMIN,    LANE_WRITE, BODY_NONE, B, &handle_disable_client },
    { { HTTP_POST,  "/v1/fsck" },                    SCOPE_ADMIN,    LANE_LONG,  BODY_NONE, B, &handle_fsck },

    { { HTTP_GET,   "/healthz" },                    SCOPE_NONE,     LANE_READ,  BODY_NONE, B, &handle_health },
    { { HTTP_GET,   "/readyz" },                     SCOPE_NONE,     LANE_READ,  BODY_NONE, B, &handle_ready },
    { { HTTP_GET,   "/metrics" },                    SCOPE_NONE,     LANE_READ,  BODY_NONE, B, &handle_metrics },
    { { HTTP_GET,   "/openapi.yaml" },               SCOPE_NONE,     LANE_READ,  BODY_NONE, B, &handle_openapi },
};
/* clang-format on */

const size_t routes_n = sizeof(routes) / sizeof(routes[0]);

static const char *const no_query[] = { NULL };

const char *const *route_query(const struct route *route)
{
    if (route->dialect != DIALECT_NATIVE || strncmp(route->http.path, "/v1/", 4) != 0)
        return NULL;
    return route->handler->query ? route->handler->query : no_query;
}
