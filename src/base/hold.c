/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket in the abstract namespace of Linux, which has no file: its name is a digest of the path. Any user
 * may take any such name, so a holder counts only if the kernel says that it runs as our user or root.
 * Processes in other network namespaces (containers) do not see it.
 */
#include "base/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/crypto.h"
#include "base/file.h"

#define PREFIX "lethe-"

/* The path with all links of its folder resolved; NULL: there is no such folder. */
static char *find_path(struct arena *a, const char *path)
{
    char *name = arena_strdup(a, path);
    size_t len = strlen(name);
    while (len > 1 && name[len - 1] == '/')
        name[--len] = '\0';
    const char *slash = strrchr(name, '/');
    char *folder = realpath(slash ? file_beside(a, name, ".") : ".", NULL);
    char *found = folder ? arena_printf(a, "%s/%s", folder, slash ? slash + 1 : name) : NULL;
    free(folder);
    return found;
}

static void name_path(const char *path, struct sockaddr_un *out)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    crypto_sha256(path, strlen(path), digest);
    crypto_hex(digest, sizeof(digest), hex);
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(out->sun_path + 1, PREFIX, sizeof(PREFIX) - 1);
    memcpy(out->sun_path + sizeof(PREFIX), hex, sizeof(hex) - 1);
}

/* RC_OK: a stranger has the name, or its holder has just ended. */
static enum rc look_at_holder(int fd, const struct sockaddr_un *name, const char *path, struct err *err)
{
    struct ucred holder;
    socklen_t len = sizeof(holder);
    if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &holder, &len) != 0 ||
        (holder.uid != geteuid() && holder.uid != 0))
        return RC_OK;
    return err_set_code(
        err, RC_CONFLICT, "locked",
        "%s is in use by process %d; if it was deleted or replaced, that process still has the old one: "
        "stop it",
        path, (int)holder.pid);
}

enum rc hold_path(const char *path, int *fd, struct err *err)
{
    struct arena a = { 0 };
    struct sockaddr_un name;
    enum rc rc = RC_OK;
    *fd = -1;
    const char *found = find_path(&a, path);
    if (!found)
        rc = err_set_errno(err, "%s", path);
    else
        *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!rc && *fd < 0)
        rc = err_set_errno(err, "cannot make a socket");
    if (!rc) {
        name_path(found, &name);
        if (bind(*fd, (const struct sockaddr *)&name, sizeof(name)) != 0 || listen(*fd, SOMAXCONN) != 0)
            rc = look_at_holder(*fd, &name, path, err);
    }
    if (rc && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    arena_free(&a);
    return rc;
}
