/* SPDX-License-Identifier: Apache-2.0 */
/* What the scripted servers of tests have in common. */
#ifndef LETHE_TESTS_PEER_H
#define LETHE_TESTS_PEER_H

#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* A socket that listens on a free port of this machine; *port says which. */
static inline int peer_listen(unsigned *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 1000), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

#endif
