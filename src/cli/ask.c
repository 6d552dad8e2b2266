/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the person at the terminal before something that cannot be taken back. A script is not asked: nobody
 * is there to answer, and what it does was decided when it was written. */
#include "cli/cli.h"

#include <string.h>
#include <unistd.h>

bool cli_asks(const struct cli *cli)
{
    return !cli_flag(cli, "yes") && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

enum rc cli_ask(const char *what, struct err *err)
{
    char answer[16] = "";
    fprintf(stderr, "%s Go on? [y/N] ", what);
    fflush(stderr);
    if (!fgets(answer, sizeof(answer), stdin))
        fputc('\n', stderr);
    answer[strcspn(answer, "\r\n")] = '\0';
    if (strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0)
        return RC_OK;
    return err_set(err, RC_CONFLICT, "nothing has changed, because the answer was not yes");
}
