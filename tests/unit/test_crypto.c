/* SPDX-License-Identifier: Apache-2.0 */
/* base/crypto.c: published vectors, spellings, key files. */
#include "unit.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "scratch.h"

static void expect_hex(const uint8_t *data, size_t len, const char *wanted)
{
    char hex[2 * CRYPTO_SHA256_LEN + 1];
    crypto_hex(data, len, hex);
    assert_string_equal(hex, wanted);
}

static void test_crypto__md5(void **state)
{
    uint8_t out[CRYPTO_MD5_LEN];
    if (!crypto_has_md5())
        skip();
    crypto_md5("abc", 3, out);
    expect_hex(out, sizeof(out), "900150983cd24fb0d6963f7d28e17f72");
    crypto_md5(NULL, 0, out);
    expect_hex(out, sizeof(out), "d41d8cd98f00b204e9800998ecf8427e");
}

static void test_crypto__sha1_of_two_texts(void **state)
{
    uint8_t out[CRYPTO_SHA1_LEN];
    crypto_sha1("abc", 3, "", 0, out);
    expect_hex(out, sizeof(out), "a9993e364706816aba3e25717850c26c9cd0d89d");
    crypto_sha1("a", 1, "bc", 2, out);
    expect_hex(out, sizeof(out), "a9993e364706816aba3e25717850c26c9cd0d89d");
    crypto_sha1("salt-2018-old", 13, "learner1", 8, out);
    expect_hex(out, sizeof(out), "cc00ead876382dbd36373538c66b5d062face6de");
    crypto_sha1(NULL, 0, NULL, 0, out);
    expect_hex(out, sizeof(out), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

static void test_crypto__sha256(void **state)
{
    uint8_t out[CRYPTO_SHA256_LEN];
    crypto_sha256("abc", 3, out);
    expect_hex(out, sizeof(out), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(NULL, 0, out);
    expect_hex(out, sizeof(out), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_crypto__hmac_depends_on_key_and_data(void **state)
{
    static const uint8_t zeros[CRYPTO_KEY_LEN];
    uint8_t counting[CRYPTO_KEY_LEN], out[CRYPTO_SHA256_LEN];
    for (int i = 0; i < CRYPTO_KEY_LEN; i++)
        counting[i] = (uint8_t)i;
    for (int round = 0; round < 2; round++) {
        crypto_hmac_sha256(zeros, "", 0, out);
        expect_hex(out, sizeof(out), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
        crypto_hmac_sha256(counting, "learner1@example.com", 20, out);
        expect_hex(out, sizeof(out), "c9cc332c6d273e325c1127dfd54e1e1189556793f92809e147f8d769ffca07d5");
    }
}

static void *hash_in_a_thread(void *arg)
{
    uint8_t out[CRYPTO_SHA256_LEN];
    for (int i = 0; i < 1000; i++) {
        crypto_sha256("abc", 3, out);
        expect_hex(out, sizeof(out), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    return arg;
}

static void test_crypto__threads_do_not_disturb_each_other(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_in_a_thread, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void test_crypto__random_fills_all_and_differs(void **state)
{
    uint8_t seen[64] = { 0 };
    for (int round = 0; round < 100; round++) {
        uint8_t bytes[64];
        crypto_random(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        assert_int_equal(seen[i], 0xFF);
}

static void test_crypto__equal_and_wipe(void **state)
{
    char text[] = "secret";
    assert_true(crypto_equal("abc", "abc", 3));
    assert_false(crypto_equal("abc", "abd", 3));
    assert_true(crypto_equal("abc", "abd", 2));
    assert_true(crypto_equal("", "", 0));
    crypto_wipe(text, sizeof(text));
    assert_memory_equal(text, "\0\0\0\0\0\0\0", sizeof(text));
}

static void test_crypto__base64url_has_no_padding(void **state)
{
    static const char *const rows[][2] = {
        { "", "" },           { "f", "Zg" },          { "fo", "Zm8" },          { "foo", "Zm9v" },
        { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "-_-_" }
    };
    char out[16];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i][0]);
        memset(out, 'x', sizeof(out));
        crypto_base64url((const uint8_t *)rows[i][0], len, out);
        assert_string_equal(out, rows[i][1]);
        assert_true(strlen(out) + 1 <= (len * 4 + 2) / 3 + 1);
    }
}

static void test_crypto__base64_is_padded(void **state)
{
    static const char *const rows[][2] = {
        { "", "" },        { "f", "Zg==" },          { "fo", "Zm8=" },
        { "foo", "Zm9v" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "+/+/" }
    };
    char out[16];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(out, 'x', sizeof(out));
        crypto_base64((const uint8_t *)rows[i][0], strlen(rows[i][0]), out);
        assert_string_equal(out, rows[i][1]);
    }
}

static void test_crypto__base64_is_decoded(void **state)
{
    static const char *const rows[][2] = { { "", "" },
                                           { "Zg==", "f" },
                                           { "Zg", "f" },
                                           { "Zm8=", "fo" },
                                           { "Zm8", "fo" },
                                           { "Zm9v", "foo" },
                                           { "Zm9vYg==", "foob" },
                                           { "Zm9vYmFy", "foobar" },
                                           { "+/+/", "\xfb\xff\xbf" } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[8] = { 0 };
        assert_int_equal(crypto_base64_decode(rows[i][0], out, sizeof(out)), strlen(rows[i][1]));
        assert_memory_equal(out, rows[i][1], strlen(rows[i][1]));
    }
}

static void test_crypto__malformed_base64_is_refused(void **state)
{
    static const char *const bad[] = { "Z",     "Zg=",  "Zg===",  "=",           "==",     "====",
                                       "Zm9vY", "Z g=", "Zg==\n", "Zm9v=",       "Zm9v==", "-_-_",
                                       "Zm=v",  "Zh==", "Zm9=",   "Zm9v\xC3\xA9" };
    uint8_t out[8];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (crypto_base64_decode(bad[i], out, sizeof(out)) != SIZE_MAX)
            fail_msg("%s was accepted", bad[i]);
}

static void test_crypto__base64_stays_within_the_room(void **state)
{
    uint8_t out[4] = { 1, 2, 3, 4 };
    assert_int_equal(crypto_base64_decode("Zm9v", out, 2), SIZE_MAX);
    assert_int_equal(crypto_base64_decode("Zm9vYg==", out, 3), SIZE_MAX);
    assert_int_equal(crypto_base64_decode("Zm9v", out, 3), 3);
    assert_int_equal(out[3], 4);
}

static struct scratch scratch;

static int make_folder(void **state)
{
    scratch_make(&scratch);
    return 0;
}

static int remove_folder(void **state)
{
    scratch_remove(&scratch);
    return 0;
}

static void test_crypto__key_is_made_once_and_then_kept(void **state)
{
    uint8_t first[CRYPTO_KEY_LEN] = { 0 }, again[CRYPTO_KEY_LEN], zeros[CRYPTO_KEY_LEN] = { 0 };
    struct err err;
    struct stat st;
    const char *path = scratch_path(&scratch, "", "key");
    expect_ok(crypto_key_file(path, first, &err), &err);
    assert_memory_not_equal(first, zeros, sizeof(first));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, CRYPTO_KEY_LEN);
    expect_ok(crypto_key_file(path, again, &err), &err);
    assert_memory_equal(first, again, sizeof(first));
    unlink(path);
}

static const char *raced_path;

static void *make_key(void *out)
{
    struct err err;
    return !crypto_key_file(raced_path, out, &err) ? out : NULL;
}

static void test_crypto__all_who_make_the_key_at_once_get_the_same(void **state)
{
    enum { THREADS = 8, ROUNDS = 20 };
    raced_path = scratch_path(&scratch, "", "raced");
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t keys[THREADS][CRYPTO_KEY_LEN];
        pthread_t threads[THREADS];
        void *made;
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, make_key, keys[i]), 0);
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], &made), 0);
            assert_non_null(made);
        }
        for (int i = 1; i < THREADS; i++)
            assert_memory_equal(keys[i], keys[0], CRYPTO_KEY_LEN);
        unlink(raced_path);
    }
}

static void test_crypto__key_file_of_another_size_is_refused(void **state)
{
    static const char bytes[CRYPTO_KEY_LEN + 1];
    static const size_t sizes[] = { 0, CRYPTO_KEY_LEN - 1, CRYPTO_KEY_LEN + 1 };
    uint8_t key[CRYPTO_KEY_LEN];
    struct err err;
    const char *path = scratch_path(&scratch, "", "key");
    for (size_t i = 0; i < 3; i++) {
        scratch_write(path, bytes, sizes[i], 0600);
        expect_error(crypto_key_file(path, key, &err), RC_INVALID, &err, "not a key");
    }
    unlink(path);
}

static void test_crypto__key_file_that_others_read_is_refused(void **state)
{
    static const char bytes[CRYPTO_KEY_LEN];
    uint8_t key[CRYPTO_KEY_LEN];
    struct err err;
    const char *path = scratch_path(&scratch, "", "key");
    scratch_write(path, bytes, sizeof(bytes), 0640);
    expect_error(crypto_key_file(path, key, &err), RC_INVALID, &err, "others can read");
    scratch_write(path, bytes, sizeof(bytes), 0602);
    expect_error(crypto_key_file(path, key, &err), RC_INVALID, &err, "others can read");
    unlink(path);
}

static void test_crypto__key_file_in_no_folder_is_an_error(void **state)
{
    uint8_t key[CRYPTO_KEY_LEN];
    struct err err;
    assert_int_not_equal(crypto_key_file(scratch_path(&scratch, "", "none/key"), key, &err), RC_OK);
    expect_text_has(err.text, "none/key");
}

static void test_crypto__what_was_encrypted_is_read_with_the_key_alone(void **state)
{
    static const char text[] = "a first answer";
    uint8_t key[CRYPTO_KEY_LEN] = { 7 }, other[CRYPTO_KEY_LEN] = { 8 };
    uint8_t sealed[sizeof(text) + CRYPTO_SEALED_EXTRA], again[sizeof(sealed)];
    char out[sizeof(text)];
    crypto_encrypt(key, text, sizeof(text), sealed);
    crypto_encrypt(key, text, sizeof(text), again);
    assert_memory_not_equal(sealed, again, sizeof(sealed));
    assert_true(crypto_decrypt(key, sealed, sizeof(sealed), out));
    assert_string_equal(out, text);
    assert_false(crypto_decrypt(other, sealed, sizeof(sealed), out));
    assert_false(crypto_decrypt(key, sealed, sizeof(sealed) - 1, out));
    assert_false(crypto_decrypt(key, sealed, CRYPTO_SEALED_EXTRA - 1, out));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 1;
        assert_false(crypto_decrypt(key, sealed, sizeof(sealed), out));
        sealed[i] ^= 1;
    }
    assert_true(crypto_decrypt(key, sealed, sizeof(sealed), out));
}

/* Test case 14 of the GCM specification (McGrew, Viega): a key, nonce and block of zeros. */
static void test_crypto__what_another_program_encrypted_is_read(void **state)
{
    static const uint8_t sealed[] = { 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e,
                                      0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0, 0xd1, 0xc8, 0xa7, 0x99,
                                      0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19 };
    uint8_t key[CRYPTO_KEY_LEN] = { 0 }, zeros[16] = { 0 }, out[16] = { 1 };
    assert_true(crypto_decrypt(key, sealed, sizeof(sealed), out));
    assert_memory_equal(out, zeros, sizeof(zeros));
}

static void test_crypto__hex_is_read_back(void **state)
{
    uint8_t out[4] = { 0 };
    assert_true(crypto_unhex("00ffA1b2", out, 4));
    assert_memory_equal(out, "\x00\xff\xa1\xb2", 4);
    static const char *const bad[] = { "",         "00ffa1b",  "00ffa1b2c", "00ffa1b2c3",
                                       "00ffa1bg", "00ffa1 2", "0xffa1b2" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(crypto_unhex(bad[i], out, 4));
}

static void test_crypto__nothing_can_be_encrypted(void **state)
{
    uint8_t key[CRYPTO_KEY_LEN] = { 7 }, sealed[CRYPTO_SEALED_EXTRA], out[1];
    crypto_encrypt(key, "", 0, sealed);
    assert_true(crypto_decrypt(key, sealed, sizeof(sealed), out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto__md5),
        cmocka_unit_test(test_crypto__sha1_of_two_texts),
        cmocka_unit_test(test_crypto__sha256),
        cmocka_unit_test(test_crypto__hmac_depends_on_key_and_data),
        cmocka_unit_test(test_crypto__threads_do_not_disturb_each_other),
        cmocka_unit_test(test_crypto__what_was_encrypted_is_read_with_the_key_alone),
        cmocka_unit_test(test_crypto__what_another_program_encrypted_is_read),
        cmocka_unit_test(test_crypto__hex_is_read_back),
        cmocka_unit_test(test_crypto__nothing_can_be_encrypted),
        cmocka_unit_test(test_crypto__random_fills_all_and_differs),
        cmocka_unit_test(test_crypto__equal_and_wipe),
        cmocka_unit_test(test_crypto__base64url_has_no_padding),
        cmocka_unit_test(test_crypto__base64_is_padded),
        cmocka_unit_test(test_crypto__base64_is_decoded),
        cmocka_unit_test(test_crypto__malformed_base64_is_refused),
        cmocka_unit_test(test_crypto__base64_stays_within_the_room),
        cmocka_unit_test(test_crypto__key_is_made_once_and_then_kept),
        cmocka_unit_test(test_crypto__all_who_make_the_key_at_once_get_the_same),
        cmocka_unit_test(test_crypto__key_file_of_another_size_is_refused),
        cmocka_unit_test(test_crypto__key_file_that_others_read_is_refused),
        cmocka_unit_test(test_crypto__key_file_in_no_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
