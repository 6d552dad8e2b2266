/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The yardstick: what libmicrohttpd does when there is nothing to do. One small constant JSON answer to
 * everything, made once; one thread and epoll, or as many threads as are said.
 *
 *     constant [THREADS]
 *
 * Prints "port N" and runs until its standard input ends.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result answer(void *response, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *len,
                              void **context)
{
    static int seen;
    if (!*context) {
        *context = &seen;
        return MHD_YES;
    }
    if (*len > 0) {
        *len = 0; /* a body is read and dropped */
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

int main(int argc, char **argv)
{
    static char text[] = "{\"id\": 1, \"state_name\": \"PENDING\", \"state_execution_order\": 1}";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    struct MHD_OptionItem pool[] = { { MHD_OPTION_THREAD_POOL_SIZE, threads, NULL },
                                     { MHD_OPTION_END, 0, NULL } };
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, response, MHD_OPTION_CONNECTION_LIMIT,
        120 * threads, MHD_OPTION_ARRAY, threads > 1 ? pool : pool + 1, MHD_OPTION_END);
    if (!daemon) {
        fprintf(stderr, "constant: cannot listen\n");
        return 1;
    }
    printf("port %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    char c;
    while (read(0, &c, 1) > 0) {
    }
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
