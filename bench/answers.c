/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same constant answer as constant.c, by our own server: at once, or from another thread that answers all
 * that wait together, as a writer does after its commit.
 *
 *     answers PORT now|later
 *
 * Prints "port N" (PORT may be 0: a free one) and runs until its standard input ends.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/world.h"
#include "http/http.h"

struct batcher {
    bool later;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct http_request *waiting; /* linked by user */
    bool stop;
};

static void fill(struct http_request *req)
{
    req->status = 200;
    buf_add_str(&req->answer, "{\"id\": 1, \"state_name\": \"PENDING\", \"state_execution_order\": 1}");
}

static void *answer_batches(void *arg)
{
    struct batcher *b = arg;
    pthread_mutex_lock(&b->lock);
    while (!b->stop) {
        struct http_request *batch = b->waiting;
        b->waiting = NULL;
        if (!batch) {
            pthread_cond_wait(&b->some, &b->lock);
            continue;
        }
        pthread_mutex_unlock(&b->lock);
        while (batch) {
            struct http_request *req = batch;
            batch = req->user;
            fill(req);
            http_answer(req);
        }
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static enum http_when dispatch(void *arg, struct http_request *req)
{
    struct batcher *b = arg;
    if (!b->later) {
        fill(req);
        return HTTP_NOW;
    }
    pthread_mutex_lock(&b->lock);
    bool wake = b->waiting == NULL;
    req->user = b->waiting;
    b->waiting = req;
    pthread_mutex_unlock(&b->lock);
    if (wake)
        pthread_cond_signal(&b->some);
    return HTTP_LATER;
}

static void complain(void *arg, struct http_request *req, unsigned status, const char *text)
{
    buf_add_str(&req->answer, text);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: answers PORT now|later\n");
        return 2;
    }
    struct batcher b = { .later = strcmp(argv[2], "later") == 0 };
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.some, NULL);
    struct http_server_conf conf = {
        .world = &world_real,
        .host = "127.0.0.1",
        .port = (unsigned)atoi(argv[1]),
        .max_connections = 10000,
        .dispatch = dispatch,
        .complain = complain,
        .arg = &b,
    };
    struct http_server *server;
    struct err err;
    if (http_server_open(&conf, &server, &err)) {
        fprintf(stderr, "answers: %s\n", err.text);
        return 1;
    }
    pthread_create(&b.thread, NULL, answer_batches, &b);
    printf("port %u\n", http_server_port(server));
    fflush(stdout);
    char c;
    while (read(0, &c, 1) > 0) {
    }
    http_server_close(&server);
    pthread_mutex_lock(&b.lock);
    b.stop = true;
    pthread_cond_signal(&b.some);
    pthread_mutex_unlock(&b.lock);
    pthread_join(b.thread, NULL);
    return 0;
}
