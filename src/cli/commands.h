/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the names of their structs. */
#ifndef LETHE_CLI_COMMANDS_H
#define LETHE_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct cli_command *const cli_commands[]; /* in the order of help; ends with NULL */

/* run.c */
extern const struct cli_command command_run, command_serve, command_drive;
/* plan.c */
extern const struct cli_command command_plan;
/* states.c */
extern const struct cli_command command_states_sync, command_states_list, command_states_graph;
/* retirement.c */
extern const struct cli_command command_retirement_request, command_retirement_list;
/* cancel.c */
extern const struct cli_command command_retirement_cancel;
/* confirm.c */
extern const struct cli_command command_retirement_confirm;
/* forget.c */
extern const struct cli_command command_retirement_forget;
/* show.c */
extern const struct cli_command command_retirement_show;
/* failures.c */
extern const struct cli_command command_retirement_failures;
/* fuse.c */
extern const struct cli_command command_fuse_show, command_fuse_release;
/* stages.c */
extern const struct cli_command command_stages_show, command_stages_release;
/* outbox.c */
extern const struct cli_command command_outbox_list, command_outbox_retry;
/* bulk.c */
extern const struct cli_command command_retirement_move, command_retirement_resume, command_retirement_rerun;
/* import.c */
extern const struct cli_command command_retirement_import, command_account_import;
/* account.c */
extern const struct cli_command command_account_add, command_account_show, command_account_update,
    command_account_reset_password;
/* client.c */
extern const struct cli_command command_client_add, command_client_list, command_client_disable;
/* partner_report.c */
extern const struct cli_command command_partner_report;
/* archive.c */
extern const struct cli_command command_archive;
/* audit.c */
extern const struct cli_command command_audit_verify, command_audit_export;
/* check.c */
extern const struct cli_command command_check;
/* config_check.c */
extern const struct cli_command command_config_check;

/* doctor.c */
extern const struct cli_command command_doctor;
/* tools.c */
extern const struct cli_command command_fsck, command_hash, command_version;
/* help.c */
extern const struct cli_command command_help;

#endif
