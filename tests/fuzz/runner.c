/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer without libFuzzer, for the test suite: gives every kept input of a folder to the target, then
 * mutations of them, for a second. LETHE_SEED=N repeats a run; its number is printed. The input that is being
 * tried stands in a file beside, so that it is there when the target has ended the process.
 *
 *     fuzz_json tests/fuzz/corpus/json       a test
 *     fuzz_json fuzz_json.input              one input again
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/world.h"

enum { INPUT_MAX = 64 * 1024, KEPT_MAX = 1000, MUTATIONS_MAX = 20000, CHANGES_MAX = 8, RUN_MAX = 64 };

struct input {
    uint8_t data[INPUT_MAX];
    size_t len;
};

struct runner {
    struct arena arena;
    struct input *kept[KEPT_MAX];
    unsigned n_kept;
    int fd; /* where the input that is being tried stands */
    uint64_t random;
};

/* ---- randomness, the same everywhere: xorshift64* ---- */

static uint64_t any(struct runner *r)
{
    r->random ^= r->random >> 12;
    r->random ^= r->random << 25;
    r->random ^= r->random >> 27;
    return r->random * 0x2545f4914f6cdd1dull;
}

static size_t below(struct runner *r, size_t n)
{
    return n ? (size_t)((any(r) >> 16) % n) : 0;
}

/* ---- changes ---- */

/* Puts text in the place of n bytes at `at`, as far as there is room. */
static void replace(struct input *in, size_t at, size_t n, const void *text, size_t len)
{
    if (len > INPUT_MAX - (in->len - n))
        return;
    memmove(in->data + at + len, in->data + at + n, in->len - at - n);
    memcpy(in->data + at, text, len);
    in->len = in->len - n + len;
}

static void change_byte(struct runner *r, struct input *in)
{
    uint8_t byte = (uint8_t)any(r);
    size_t at = below(r, in->len);
    replace(in, at, at < in->len, &byte, 1);
}

static void flip_bit(struct runner *r, struct input *in)
{
    if (in->len)
        in->data[below(r, in->len)] ^= (uint8_t)(1u << below(r, 8));
}

static void drop_some(struct runner *r, struct input *in)
{
    size_t at = below(r, in->len), n = below(r, RUN_MAX);
    replace(in, at, n < in->len - at ? n : in->len - at, "", 0);
}

static void repeat_some(struct runner *r, struct input *in)
{
    uint8_t copy[RUN_MAX];
    size_t from = below(r, in->len), n = below(r, RUN_MAX);
    if (n > in->len - from)
        n = in->len - from;
    memcpy(copy, in->data + from, n);
    for (size_t times = 1 + below(r, 4) * below(r, 20); times > 0; times--)
        replace(in, from, 0, copy, n);
}

/* What parsers have a special case for. */
static void add_word(struct runner *r, struct input *in)
{
    static const char *const words[] = { "0",
                                         "-1",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "18446744073709551616",
                                         "1e309",
                                         "\"",
                                         "\\",
                                         "\\u0000",
                                         "\\ud800",
                                         "\xff",
                                         "\xc3",
                                         "\xed\xa0\x80",
                                         "\xe2\x80\xa8",
                                         "\xef\xbb\xbf",
                                         "%00",
                                         "%ff",
                                         "%",
                                         "{",
                                         "}",
                                         "{}",
                                         "[",
                                         "[]",
                                         "null",
                                         "true",
                                         "\n",
                                         "\r\n",
                                         "\t",
                                         " ",
                                         ",",
                                         ":",
                                         ";",
                                         "&",
                                         "=",
                                         "/",
                                         "..",
                                         "?",
                                         "#",
                                         "'",
                                         "<<",
                                         "*a",
                                         "&a ",
                                         "!!",
                                         "---",
                                         "|",
                                         ">",
                                         "{user_id}",
                                         "{{" };
    const char *word = words[below(r, sizeof(words) / sizeof(words[0]))];
    size_t at = below(r, in->len + 1);
    replace(in, at, below(r, 2) && at < in->len, word, strlen(word));
}

/* The rest of it becomes the rest of another. */
static void cross(struct runner *r, struct input *in)
{
    const struct input *other = r->kept[below(r, r->n_kept)];
    size_t at = below(r, in->len + 1), from = below(r, other->len + 1);
    replace(in, at, in->len - at, other->data + from, other->len - from);
}

static void mutate(struct runner *r, struct input *in)
{
    static void (*const changes[])(struct runner *, struct input *) = { change_byte, flip_bit, drop_some,
                                                                        repeat_some, add_word, cross };
    for (size_t n = 1 + below(r, CHANGES_MAX); n > 0; n--)
        changes[below(r, sizeof(changes) / sizeof(changes[0]))](r, in);
}

/* ---- runs ---- */

static void run(struct runner *r, const struct input *in)
{
    bool noted =
        pwrite(r->fd, in->data, in->len, 0) == (ssize_t)in->len && ftruncate(r->fd, (off_t)in->len) == 0;
    assert(noted);
    uint8_t *exact = xcalloc(in->len ? in->len : 1, 1);
    memcpy(exact, in->data, in->len);
    LLVMFuzzerTestOneInput(exact, in->len);
    free(exact);
}

static void keep(struct runner *r, const char *path)
{
    struct input *in = ARENA_NEW(&r->arena, struct input);
    struct err err;
    char *text;
    if (file_read(&r->arena, path, INPUT_MAX, &text, &in->len, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    memcpy(in->data, text, in->len);
    assert(r->n_kept < KEPT_MAX);
    r->kept[r->n_kept++] = in;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of their names, or a seed would mean nothing. False: not a folder. */
static bool keep_folder(struct runner *r, const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, not_hidden, alphasort);
    for (int i = 0; i < n; i++) {
        keep(r, arena_printf(&r->arena, "%s/%s", path, entries[i]->d_name));
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return n >= 0;
}

static unsigned run_mutations(struct runner *r)
{
    static struct input in;
    int64_t until = clock_read(CLOCK_BOOTTIME) + CLOCK_S;
    unsigned n = 0;
    for (; n < MUTATIONS_MAX && clock_read(CLOCK_BOOTTIME) < until; n++) {
        in = *r->kept[below(r, r->n_kept)];
        mutate(r, &in);
        run(r, &in);
    }
    return n;
}

int main(int argc, char **argv)
{
    static struct runner r;
    const char *given = getenv("LETHE_SEED");
    r.random = given ? strtoull(given, NULL, 10) : world_random_u64(&world_real);
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER|FILE\n", argv[0]);
        return 2;
    }
    char *current = arena_printf(&r.arena, "%s.input", argv[0]);
    bool is_folder = keep_folder(&r, argv[1]);
    if (!is_folder)
        keep(&r, argv[1]);
    r.fd = open(current, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert(r.fd >= 0 && r.n_kept > 0);
    printf("LETHE_SEED=%" PRIu64 "; the input that is being tried: %s\n", r.random, current);
    fflush(stdout);

    r.random = r.random ? r.random : 1;
    for (unsigned i = 0; i < r.n_kept; i++)
        run(&r, r.kept[i]);
    printf("%u kept, %u mutations\n", r.n_kept, is_folder ? run_mutations(&r) : 0);
    close(r.fd);
    unlink(current);
    arena_free(&r.arena);
    return 0;
}
