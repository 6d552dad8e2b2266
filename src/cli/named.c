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
#include "server/server.h"

enum { LINE_MAX_BYTES = 256, PEM_BYTES_MAX = 1024 * 1024 };

/* What the first line of a script names: its interpreter, and the word behind it. "" for other programs. */
static void find_interpreter(struct arena *a, const char *path, const char *words[2])
{
    char line[LINE_MAX_BYTES];
    FILE *f = fopen(path, "re");
    const char *at = f ? fgets(line, sizeof(line), f) : NULL;
    if (f)
        fclose(f);
    at = at && strncmp(line, "#!", 2) == 0 ? line + 2 : "";
    for (size_t i = 0; i < 2; i++) {
        at += strspn(at, " \t");
        words[i] = arena_strndup(a, at, strcspn(at, " \t\n"));
        at += strlen(words[i]);
    }
}

/* "#!/usr/bin/env python3" has python3 looked up in the program's own PATH. */
static const char *interpreter_fault(struct arena *a, const struct exec_action_conf *exec, const char *path)
{
    const char *words[2];
    find_interpreter(a, path, words);
    const char *missing = *words[0] && access(words[0], X_OK) != 0 ? words[0] : NULL;
    const char *slash = strrchr(words[0], '/');
    struct exec_action_conf found_by_env = *exec;
    found_by_env.argv = &words[1];
    found_by_env.argc = 1;
    if (!missing && slash && strcmp(slash, "/env") == 0 && *words[1] && !strpbrk(words[1], "-=/") &&
        !strchr(driver_find_program(a, &found_by_env), '/'))
        missing = words[1];
    if (!missing)
        return NULL;
    return arena_printf(a, "%s is to be executed by %s, and there is no such program", path,
                        print_harmless(a, missing));
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
    return interpreter_fault(a, exec, path);
}

/* The text of err, if a check has failed. */
static const char *words(struct arena *a, enum rc rc, const struct err *err)
{
    return rc ? arena_strdup(a, err->text) : NULL;
}

static const char *certificate_fault(struct cli *cli, const char *certificate, const char *key)
{
    char *pem, *key_pem;
    struct err err;
    struct arena *a = &cli->arena;
    enum rc rc = file_read(a, certificate, PEM_BYTES_MAX, &pem, NULL, &err);
    if (!rc)
        rc = file_read(a, key, PEM_BYTES_MAX, &key_pem, NULL, &err);
    return words(a, rc ? rc : http_check_tls(pem, key_pem, world_now(cli->world), &err), &err);
}

static const char *authorities_fault(struct cli *cli, const char *path)
{
    char *pem;
    struct err err;
    enum rc rc = file_read(&cli->arena, path, PEM_BYTES_MAX, &pem, NULL, &err);
    return words(&cli->arena, rc ? rc : http_check_authorities(pem, world_now(cli->world), &err), &err);
}

/* The server makes the folder of the archives when it archives for the first time. */
static const char *data_dir_fault(struct arena *a, const char *path)
{
    struct err err;
    struct stat st;
    enum rc rc = server_check_socket_path(server_socket_path(a, path), &err);
    if (!rc)
        rc = file_check_data_dir(path, &err);
    const char *fault = words(a, rc, &err);
    const char *archives = arena_printf(a, "%s/archives", path);
    if (fault || stat(archives, &st) != 0)
        return fault;
    if (!S_ISDIR(st.st_mode))
        return arena_printf(a, "%s is not a folder: archives could not be written", archives);
    if (faccessat(AT_FDCWD, archives, W_OK | X_OK, AT_EACCESS) != 0)
        return arena_printf(a, "%s cannot be written: %s", archives, strerror(errno));
    return NULL;
}

static const char *folder_fault(struct arena *a, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return arena_printf(a, "there is no folder %s: %s", path, strerror(errno));
    return S_ISDIR(st.st_mode) ? NULL : arena_printf(a, "%s is not a folder", path);
}

static const char *recipient_fault(struct cli *cli, const char *pem)
{
    struct err err;
    return words(&cli->arena, http_check_certificate(pem, world_now(cli->world), &err), &err);
}

const char *named_fault(struct cli *cli, const struct config *config, const struct config_named *named)
{
    switch (named->kind) {
    case NAMED_PROGRAM: return program_fault(&cli->arena, named->exec);
    case NAMED_DATA_DIR:
        if (config->authority)
            return NULL; /* what a driver for a server elsewhere does stands there */
        return data_dir_fault(&cli->arena, named->text);
    case NAMED_CERTIFICATE: return certificate_fault(cli, named->text, named->key);
    case NAMED_AUTHORITIES: return authorities_fault(cli, named->text);
    case NAMED_RECIPIENT: return recipient_fault(cli, named->text);
    case NAMED_FOLDER: return folder_fault(&cli->arena, named->text);
    case NAMED_DATABASE: return driver_database_fault(&cli->arena, named->text);
    }
    return NULL;
}

void named_check(struct cli *cli, const struct config *config)
{
    for (const struct config_named *named = config->named; named; named = named->next) {
        const char *fault = named_fault(cli, config, named);
        if (fault)
            config_add_fault(&cli->faults,
                             (struct config_fault){ named->file, named->line, named->column, fault });
    }
}
