/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration names: will the server and the driver find it as they need it? They would say so only
 * when they use it, which for a program is in the middle of the first retirement.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "driver/driver.h"

enum { LINE_MAX_BYTES = 256, PEM_BYTES_MAX = 1024 * 1024 };

/* The interpreter in the first line of a script; "" if the program is none. */
static const char *find_interpreter(struct arena *a, const char *path)
{
    char line[LINE_MAX_BYTES];
    FILE *f = fopen(path, "re");
    const char *read = f ? fgets(line, sizeof(line), f) : NULL;
    if (f)
        fclose(f);
    if (!read || strncmp(line, "#!", 2) != 0)
        return "";
    const char *name = line + 2 + strspn(line + 2, " \t");
    return arena_strndup(a, name, strcspn(name, " \t\n"));
}

static const char *program_fault(struct arena *a, const struct exec_action_conf *exec)
{
    const char *path = driver_find_program(a, exec);
    struct stat st;
    if (!strchr(path, '/'))
        return arena_printf(a, "there is no program %s in PATH", path);
    if (stat(path, &st) != 0)
        return arena_printf(a, "there is no program %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return arena_printf(a, "%s is no program", path);
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
        return arena_printf(a, "%s cannot be executed: chmod +x", path);
    const char *interpreter = find_interpreter(a, path);
    if (!*interpreter || access(interpreter, X_OK) == 0)
        return NULL;
    return arena_printf(a, "%s is to be executed by %s, and there is no such program", path,
                        print_harmless(a, interpreter));
}

/* The text of err, if a check has failed. */
static const char *words(struct arena *a, enum rc rc, const struct err *err)
{
    return rc ? arena_strdup(a, err->text) : NULL;
}

static const char *certificate_fault(struct cli *cli, const struct config *config, const char *path)
{
    char *pem, *key;
    struct err err;
    struct arena *a = &cli->arena;
    int64_t now = world_now(cli->world);
    if (path == config->tls_certificate && !config->tls_key)
        return NULL; /* the key is a mistake of its own */
    enum rc rc = file_read(a, path, PEM_BYTES_MAX, &pem, NULL, &err);
    if (!rc && path != config->tls_certificate)
        rc = http_check_authorities(pem, now, &err);
    else if (!rc)
        rc = file_read(a, config->tls_key, PEM_BYTES_MAX, &key, NULL, &err);
    if (!rc && path == config->tls_certificate)
        rc = http_check_tls(pem, key, now, &err);
    return words(a, rc, &err);
}

/* The server makes the folder of the archives when it archives for the first time. */
static const char *data_dir_fault(struct arena *a, const char *path)
{
    struct err err;
    struct stat st;
    const char *fault = words(a, file_check_data_dir(path, &err), &err);
    const char *archives = arena_printf(a, "%s/archives", path);
    if (!fault && stat(archives, &st) == 0 && !S_ISDIR(st.st_mode))
        fault = arena_printf(a, "%s is not a folder: archives could not be written", archives);
    return fault;
}

static const char *fault_of(struct cli *cli, const struct config *config, const struct config_named *named)
{
    switch (named->kind) {
    case NAMED_PROGRAM: return program_fault(&cli->arena, named->exec);
    case NAMED_DATA_DIR:
        if (config->authority && !config->authority_is_lms)
            return NULL; /* what a driver for a server elsewhere does stands there */
        return data_dir_fault(&cli->arena, named->text);
    case NAMED_CERTIFICATE:
    case NAMED_AUTHORITIES: return certificate_fault(cli, config, named->text);
    case NAMED_DATABASE: return driver_database_fault(&cli->arena, named->text);
    }
    return NULL;
}

void named_check(struct cli *cli, const struct config *config)
{
    for (const struct config_named *named = config->named; named; named = named->next) {
        const char *fault = fault_of(cli, config, named);
        if (fault)
            config_add_fault(&cli->faults,
                             (struct config_fault){ named->file, named->line, named->column, fault });
    }
}
