/* SPDX-License-Identifier: Apache-2.0 */
/* base/yaml.c: the tree, the places in it, and what an operator may get wrong. */
#include "unit.h"

#include <unistd.h>

#include "base/yaml.h"

static struct arena arena;

static int free_arena(void **state)
{
    arena_free(&arena);
    return 0;
}

static struct yaml *parse(const char *text)
{
    struct yaml *root = NULL;
    struct err err;
    expect_ok(yaml_parse(&arena, "lethe.yml", text, strlen(text), &root, &err), &err);
    return root;
}

static void expect_refused(const char *text, size_t len, const char *words)
{
    struct yaml *root;
    struct err err;
    expect_error(yaml_parse(&arena, "lethe.yml", text, len, &root, &err), RC_INVALID, &err, words);
    expect_text_has(err.text, "lethe.yml:");
}

static void test_yaml__tree_of_the_three_kinds(void **state)
{
    const struct yaml *root = parse("listen: 127.0.0.1:8080\n"
                                    "services:\n"
                                    "  lms: { url: 'https://x', max: 8 }\n"
                                    "stages:\n"
                                    "  - A\n"
                                    "  - [B, C]\n");
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->count, 3);
    assert_string_equal(yaml_get(root, "listen")->text, "127.0.0.1:8080");
    const struct yaml *lms = yaml_get(yaml_get(root, "services"), "lms");
    assert_string_equal(yaml_get(lms, "url")->text, "https://x");
    assert_true(yaml_get(lms, "url")->quoted);
    assert_string_equal(yaml_get(lms, "max")->text, "8");
    assert_false(yaml_get(lms, "max")->quoted);
    const struct yaml *stages = yaml_get(root, "stages");
    assert_int_equal(stages->kind, YAML_LIST);
    assert_int_equal(stages->count, 2);
    assert_string_equal(stages->first->text, "A");
    assert_null(stages->first->key);
    assert_string_equal(stages->first->next->first->next->text, "C");
    assert_null(stages->first->next->next);
    assert_null(yaml_get(root, "absent"));
    assert_null(yaml_get(stages, "A"));
    assert_null(yaml_get(NULL, "A"));
}

static void test_yaml__every_node_knows_its_place(void **state)
{
    const struct yaml *root = parse("a: 1\n\n# comment\nbb:\n   - x\n   -  y\nc: {d: e}\n");
    const struct yaml *list = yaml_get(root, "bb");
    assert_string_equal(root->file, "lethe.yml");
    assert_int_equal(list->key_line, 4);
    assert_int_equal(list->key_column, 1);
    assert_int_equal(list->first->next->line, 6);
    assert_int_equal(list->first->next->column, 7);
    const struct yaml *e = yaml_get(yaml_get(root, "c"), "d");
    assert_int_equal(e->key_column, 5);
    assert_int_equal(e->line, 7);
    assert_int_equal(e->column, 8);
    struct err err;
    assert_int_equal(yaml_error(e, &err, "no %s", "good"), RC_INVALID);
    assert_string_equal(err.text, "lethe.yml:7:8: no good");
}

static void test_yaml__empty_and_null_scalars_have_no_text(void **state)
{
    const struct yaml *root = parse("a:\nb: null\nc: ~\nd: ''\ne: 'null'\nf: NULL\ng: nullx\n");
    assert_null(yaml_get(root, "a")->text);
    assert_int_equal(yaml_get(root, "a")->line, 1);
    assert_null(yaml_get(root, "b")->text);
    assert_null(yaml_get(root, "c")->text);
    assert_string_equal(yaml_get(root, "d")->text, "");
    assert_string_equal(yaml_get(root, "e")->text, "null");
    assert_null(yaml_get(root, "f")->text);
    assert_string_equal(yaml_get(root, "g")->text, "nullx");
}

static void test_yaml__blocks_and_escapes(void **state)
{
    const struct yaml *root =
        parse("a: |\n  one\n  two\nb: >-\n  one\n  two\nc: \"x\\ty\\u00e9\"\nd: one\n  two\n");
    assert_string_equal(yaml_get(root, "a")->text, "one\ntwo\n");
    assert_true(yaml_get(root, "a")->quoted);
    assert_string_equal(yaml_get(root, "b")->text, "one two");
    assert_string_equal(yaml_get(root, "c")->text, "x\tyé");
    assert_string_equal(yaml_get(root, "d")->text, "one two");
    assert_false(yaml_get(root, "d")->quoted);
}

/* What other libraries got wrong, and with it memory. */
static void test_yaml__quotes_in_quotes(void **state)
{
    char text[600] = "a: '", expected[300] = "";
    for (int i = 0; i < 100; i++) {
        strcat(text, "x''");
        strcat(expected, "x'");
    }
    strcat(text, "'\n");
    assert_string_equal(yaml_get(parse(text), "a")->text, expected);
}

static void test_yaml__empty_files_are_empty_maps(void **state)
{
    static const char *const empty[] = { "", "\n\n", "# nothing\n", "---\n", "--- ~\n", "---\n...\n" };
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        const struct yaml *root = parse(empty[i]);
        assert_int_equal(root->kind, YAML_MAP);
        assert_int_equal(root->count, 0);
        assert_int_equal(root->line, 1);
    }
}

static void test_yaml__json_is_yaml(void **state)
{
    const struct yaml *root = parse("{\"retirement_pipeline\": [[\"A\", \"B\", \"LMS\", \"m\"]]}");
    assert_string_equal(yaml_get(root, "retirement_pipeline")->first->first->next->text, "B");
}

static void test_yaml__aliases_are_resolved(void **state)
{
    const struct yaml *root = parse("a: &x {k: v}\nb: *x\nc: [*x, &s text, *s]\nd: after\n");
    const struct yaml *b = yaml_get(root, "b");
    assert_int_equal(b->kind, YAML_MAP);
    assert_string_equal(b->key, "b");
    assert_int_equal(b->key_line, 2);
    assert_int_equal(b->line, 1);
    assert_string_equal(yaml_get(b, "k")->text, "v");
    assert_string_equal(b->next->key, "c");
    const struct yaml *c = yaml_get(root, "c");
    assert_int_equal(c->count, 3);
    assert_string_equal(yaml_get(c->first, "k")->text, "v");
    assert_string_equal(c->first->next->next->text, "text");
    assert_string_equal(yaml_get(root, "d")->text, "after");
}

static void test_yaml__the_newest_anchor_counts(void **state)
{
    const struct yaml *root = parse("a: &x 1\nb: &x 2\nc: *x\n");
    assert_string_equal(yaml_get(root, "c")->text, "2");
}

static void test_yaml__an_alias_has_siblings_of_its_own(void **state)
{
    const struct yaml *root = parse("a: &x 1\nb: 2\nc: *x\n");
    assert_null(yaml_get(root, "c")->next);
    assert_int_equal(root->count, 3);
}

static void test_yaml__nothing_is_printed(void **state)
{
    static const char *const bad[] = { "%YAML 9.9\n---\na: 1\n", "a: [1\n",     "a: 'x\n", "a: *\n",
                                       "\t- x: y\n z",           "a: |0\n  b\n" };
    FILE *caught = tmpfile();
    struct yaml *root;
    struct err err;
    int kept = dup(STDERR_FILENO);
    assert_non_null(caught);
    assert_true(kept >= 0);
    dup2(fileno(caught), STDERR_FILENO);
    unsigned refused = 0;
    for (size_t i = 0; i < 6; i++)
        refused += yaml_parse(&arena, "f", bad[i], strlen(bad[i]), &root, &err) == RC_INVALID;
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(refused, 6);
    assert_int_equal(lseek(fileno(caught), 0, SEEK_END), 0);
    fclose(caught);
}

static void test_yaml__mistakes_are_named_with_their_place(void **state)
{
    static const char *const rows[][2] = {
        { "a: 1\nb: 2\na: 3\n", ":3:1: the key a a second time" },
        { "x:\n  k: 1\n  'k': 2\n", ":3:3: the key k a second time" },
        { "a: b: c\n", ":1:5: " },
        { "a: [1, 2\nb: 3\n", ":2:2: while parsing a flow sequence" },
        { "a: 'x\n", ":1:4: while scanning a quoted scalar" },
        { "a: @x\n", ":1:4: " },
        { "a: 1\n---\nb: 2\n", ":2:1: a second document" },
        { "a: *y\n", ":1:4: an alias without its anchor" },
        { "a: &x [*x]\n", ":1:8: an alias without its anchor" },
        { "a: !!str 1\n", "tags (!)" },
        { "a: !tag {b: c}\n", "tags (!)" },
        { "? [a]\n: b\n", ":1:3: a key is a list or map" },
        { "a: &k b\n*k : c\n", ":2:1: an alias cannot be a key" },
        { "&k a: b\n", "an anchor on a key" },
        { ": b\n", ":1:1: while parsing a block mapping: did not find expected key" },
        { "? \n: b\n", "a key is empty" },
        { "a: \"x\\0y\"\n", ":1:4: a NUL character" },
        { "\"a\\0b\": c\n", "a NUL character" },
        { "a:\n\tb: 1\n", ":2:1: a tab" },
        { "a: 1\nb: \x01\n", ":2:4: control characters are not allowed" },
        { "%YAML 9.9\n---\na: 1\n", ":1:1: directives (%)" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_refused(rows[i][0], strlen(rows[i][0]), rows[i][1]);
}

static void test_yaml__bytes_that_are_no_text_are_refused(void **state)
{
    expect_refused("a: 1\nb: \xFF\n", 10, "lethe.yml:2:4: not UTF-8");
    expect_refused("a: \xC3", 4, "lethe.yml:1:4: not UTF-8");
    expect_refused("a: x\0y\n", 7, "lethe.yml:1:5: a NUL character");
}

/* As editors of other systems save it. */
static void test_yaml__a_byte_order_mark_is_no_text(void **state)
{
    assert_string_equal(yaml_get(parse("\xEF\xBB\xBF"
                                       "a: b\n"),
                                 "a")
                            ->text,
                        "b");
    assert_int_equal(parse("\xEF\xBB\xBF")->kind, YAML_MAP);
    expect_refused("\xEF\xBB\xBF"
                   "a: [b\n",
                   9, "lethe.yml:1:4: ");
    expect_refused("a: b\n\xEF\xBB\xBF"
                   "c: d\n",
                   13, "lethe.yml:2:1: a byte order mark");
    expect_refused("\xEF\xBB\xBF\xEF\xBB\xBF"
                   "a: b\n",
                   11, "lethe.yml:1:1: a byte order mark");
    expect_refused("\xFF\xFE"
                   "a\0:\0 \0b\0",
                   10, "lethe.yml:1:1: the file is UTF-16: save it as UTF-8");
    expect_refused("\xFE\xFF\0a\0:\0 \0b", 10, "UTF-16");
    expect_refused("a\0:\0 \0b\0", 8, "UTF-16");
    expect_refused("\0a\0:\0 \0b", 8, "UTF-16");
}

static void nest(char *out, unsigned depth)
{
    memset(out, '[', depth);
    out[depth] = 'x';
    memset(out + depth + 1, ']', depth);
    out[2 * depth + 1] = '\0';
}

static void test_yaml__depth_has_a_limit(void **state)
{
    char text[300];
    nest(text, 32);
    assert_int_equal(parse(text)->kind, YAML_LIST);
    nest(text, 33);
    expect_refused(text, strlen(text), "lethe.yml:1:33: nested deeper than 32");
    nest(text, 140);
    expect_refused(text, strlen(text), "lethe.yml:1:33: nested deeper than 32");
}

static void test_yaml__aliases_count_for_the_depth(void **state)
{
    char text[300] = "a: &x ";
    nest(text + 6, 20);
    strcat(text, "\nb: ");
    nest(text + strlen(text), 5);
    char *x = strrchr(text, 'x');
    memmove(x + 3, x + 1, strlen(x));
    memcpy(x, "*x ", 3);
    parse(text);
    strcpy(text, "a: &x ");
    nest(text + 6, 20);
    strcat(text, "\nb: ");
    nest(text + strlen(text), 13);
    x = strrchr(text, 'x');
    memmove(x + 3, x + 1, strlen(x));
    memcpy(x, "*x ", 3);
    expect_refused(text, strlen(text), "nested deeper than 32");
}

static void test_yaml__a_bomb_of_aliases_is_refused(void **state)
{
    char text[4096] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 9; i++) {
        char line[128];
        snprintf(line, sizeof(line), "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            snprintf(line + strlen(line), sizeof(line) - strlen(line), "*a%d%s", i - 1, j < 9 ? ", " : "]\n");
        strcat(text, line);
    }
    size_t before = arena.used;
    expect_refused(text, strlen(text), "too large: more than 100000 values");
    assert_true(arena.used - before < 100000);
}

static void test_yaml__many_values_are_refused(void **state)
{
    char *text = malloc(300000);
    memcpy(text, "[1", 2);
    for (int i = 0; i < 100000; i++)
        memcpy(text + 2 + 2 * i, ",1", 2);
    text[200002] = ']';
    expect_refused(text, 200003, "too large: more than 100000 values");
    free(text);
}

static void test_yaml__a_large_map_with_a_key_twice_is_still_quick(void **state)
{
    char *text = malloc(1 << 20);
    int n = 0;
    for (int i = 0; i < 50000; i++)
        n += sprintf(text + n, "k%d: 1\n", i);
    n += sprintf(text + n, "k7: 2\n");
    expect_refused(text, (size_t)n, "lethe.yml:50001:1: the key k7 a second time");
    free(text);
}

static void test_yaml__more_than_a_mebibyte_is_refused(void **state)
{
    size_t len = (1 << 20) + 1;
    char *text = malloc(len);
    memset(text, ' ', len);
    expect_refused(text, len, "larger than 1 MiB");
    free(text);
}

static void test_yaml__load_reads_a_file_and_names_it(void **state)
{
    char path[] = "/tmp/lethe-test-yaml-XXXXXX";
    struct yaml *root;
    struct err err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: 1\na: 2\n", 10), 10);
    close(fd);
    expect_error(yaml_load(&arena, path, &root, &err), RC_INVALID, &err, path);
    expect_text_has(err.text, ":2:1: the key a a second time");
    assert_int_equal(truncate(path, 5), 0);
    expect_ok(yaml_load(&arena, path, &root, &err), &err);
    assert_string_equal(yaml_get(root, "a")->text, "1");
    assert_string_equal(root->file, path);
    assert_int_equal(truncate(path, (1 << 20) + 1), 0);
    expect_error(yaml_load(&arena, path, &root, &err), RC_INVALID, &err, "larger than 1 MiB");
    unlink(path);
    expect_error(yaml_load(&arena, path, &root, &err), RC_NOT_FOUND, &err, path);
}

/* Whatever a file holds, reading it ends and gives a tree or an error. */
static void test_yaml__mutations_never_hurt(void **state)
{
    static const char seed_text[] =
        "a: &x {k: 'v', l: [1, \"2\\n\", ~]}\nb:\n  - *x\n  - |\n    t\n? c\n: d # e\n";
    static const char alphabet[] = "{}[]:,-?&*!|>'\"%@`#\n\t \\ax1~";
    unsigned seed = 20261121;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(seed_text)];
        struct yaml *root;
        struct err err = { 0 };
        memcpy(text, seed_text, sizeof(text));
        for (int i = rand_r(&seed) % 6; i >= 0; i--)
            text[(size_t)rand_r(&seed) % (sizeof(text) - 1)] =
                alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
        enum rc rc = yaml_parse(&arena, "m", text, (size_t)rand_r(&seed) % sizeof(text), &root, &err);
        assert_true(!rc || (rc == RC_INVALID && strncmp(err.text, "m:", 2) == 0));
        arena_reset(&arena);
    }
}

/* What is asked of a node, and what the error says. */
static void test_yaml__nodes_are_asked_what_they_are(void **state)
{
    struct err err;
    const char *text = NULL;
    struct yaml *root =
        parse("list: [1, 2, 3]\ntext: |\n  one\n  two\nblank: \"  \"\nword: x\nbad: \"a\\x07b\"\n");
    const struct yaml *list = yaml_get(root, "list"), *blank = yaml_get(root, "blank");
    expect_ok(yaml_want(list, YAML_LIST, "a list", &err), &err);
    expect_error(yaml_want(list, YAML_MAP, "a map", &err), RC_INVALID, &err,
                 "lethe.yml:1:7: list: expected a map, found a list");
    expect_ok(yaml_want_count(list, "words", 0, 3, &err), &err);
    expect_error(yaml_want_count(list, "words", 0, 2, &err), RC_INVALID, &err,
                 "list: there are 3 words, at most 2 are possible");
    expect_error(yaml_want_count(list, "words", 4, 5, &err), RC_INVALID, &err,
                 "list: there are 3 words: from 4 to 5 are possible");
    expect_ok(yaml_text(yaml_get(root, "word"), "a word", &text, &err), &err);
    assert_string_equal(text, "x");
    expect_error(yaml_text(yaml_get(root, "bad"), "a word", &text, &err), RC_INVALID, &err,
                 "bad: it has a control character");
    expect_error(yaml_text(list, "a word", &text, &err), RC_INVALID, &err, "expected a word, found a list");
    expect_ok(yaml_block(yaml_get(root, "text"), "a text", 8, &text, &err), &err);
    assert_string_equal(text, "one\ntwo\n");
    expect_error(yaml_block(yaml_get(root, "text"), "a text", 7, &text, &err), RC_INVALID, &err,
                 "text: it has 8 bytes, at most 7 are possible");
    expect_error(yaml_block(blank, "a text", 8, &text, &err), RC_INVALID, &err,
                 "blank: expected a text, found nothing");
}

/* A node that stands in no file has the place of another one. */
static void test_yaml__made_nodes_have_the_place_of_others(void **state)
{
    struct err err;
    struct yaml *root = parse("a: [1]\nb: 2\n");
    struct yaml *made = yaml_empty_like(&arena, yaml_get(root, "a"), YAML_MAP);
    assert_int_equal(made->count, 0);
    assert_null(made->first);
    yaml_append(&arena, made, yaml_get(root, "b"));
    yaml_append(&arena, made, yaml_get(root, "a"));
    assert_int_equal(made->count, 2);
    assert_string_equal(yaml_get(made, "b")->text, "2");
    assert_ptr_not_equal(yaml_get(made, "b"), yaml_get(root, "b"));
    assert_null(yaml_get(made, "a")->next);
    expect_error(yaml_error(made, &err, "x"), RC_INVALID, &err, "lethe.yml:1:4: x");
    expect_error(yaml_key_error(made, &err, "x"), RC_INVALID, &err, "lethe.yml:1:1: x");
    expect_error(yaml_value_error(made, &err, "x"), RC_INVALID, &err, "lethe.yml:1:4: a: x");
    expect_error(yaml_wrap(made, &err), RC_INVALID, &err, "a: lethe.yml:1:4: a: x");
    assert_int_equal(yaml_wrap(made, NULL), RC_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml__tree_of_the_three_kinds),
        cmocka_unit_test(test_yaml__every_node_knows_its_place),
        cmocka_unit_test(test_yaml__empty_and_null_scalars_have_no_text),
        cmocka_unit_test(test_yaml__blocks_and_escapes),
        cmocka_unit_test(test_yaml__quotes_in_quotes),
        cmocka_unit_test(test_yaml__empty_files_are_empty_maps),
        cmocka_unit_test(test_yaml__json_is_yaml),
        cmocka_unit_test(test_yaml__aliases_are_resolved),
        cmocka_unit_test(test_yaml__the_newest_anchor_counts),
        cmocka_unit_test(test_yaml__an_alias_has_siblings_of_its_own),
        cmocka_unit_test(test_yaml__nothing_is_printed),
        cmocka_unit_test(test_yaml__mistakes_are_named_with_their_place),
        cmocka_unit_test(test_yaml__bytes_that_are_no_text_are_refused),
        cmocka_unit_test(test_yaml__a_byte_order_mark_is_no_text),
        cmocka_unit_test(test_yaml__depth_has_a_limit),
        cmocka_unit_test(test_yaml__aliases_count_for_the_depth),
        cmocka_unit_test(test_yaml__a_bomb_of_aliases_is_refused),
        cmocka_unit_test(test_yaml__many_values_are_refused),
        cmocka_unit_test(test_yaml__a_large_map_with_a_key_twice_is_still_quick),
        cmocka_unit_test(test_yaml__more_than_a_mebibyte_is_refused),
        cmocka_unit_test(test_yaml__load_reads_a_file_and_names_it),
        cmocka_unit_test(test_yaml__mutations_never_hurt),
        cmocka_unit_test(test_yaml__nodes_are_asked_what_they_are),
        cmocka_unit_test(test_yaml__made_nodes_have_the_place_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}
