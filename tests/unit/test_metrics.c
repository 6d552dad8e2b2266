/* SPDX-License-Identifier: Apache-2.0 */
/* base/metrics.c: what is counted, and its text. */
#include "unit.h"

#include <pthread.h>

#include "base/metrics.h"

static struct metrics *metrics;

static int open_metrics(void **state)
{
    metrics = metrics_open();
    return 0;
}

static int close_metrics(void **state)
{
    metrics_close(&metrics);
    return 0;
}

static const char *render(void)
{
    static struct buf b;
    buf_free(&b);
    buf_init(&b, 1 << 20);
    metrics_render(metrics, &b);
    return buf_str(&b);
}

static void test_metrics__same_name_and_labels_is_the_same_metric(void **state)
{
    struct metric *a = metrics_counter(metrics, "a_total", "route=\"/x\"", "a");
    assert_ptr_equal(metrics_counter(metrics, "a_total", "route=\"/x\"", "a"), a);
    assert_ptr_not_equal(metrics_counter(metrics, "a_total", "route=\"/y\"", "a"), a);
    assert_ptr_not_equal(metrics_counter(metrics, "a_total", "", "a"), a);
    metric_add(a, 2);
    metric_add(a, 3);
    assert_int_equal(metric_value(a), 5);
}

static void test_metrics__names_are_copied(void **state)
{
    char name[] = "copied_total";
    struct metric *m = metrics_counter(metrics, name, "", "x");
    memset(name, 'x', 3);
    assert_ptr_equal(metrics_counter(metrics, "copied_total", "", "x"), m);
}

static void test_metrics__gauge_goes_both_ways(void **state)
{
    struct metric *m = metrics_gauge(metrics, "gauge", "", "g");
    metric_set(m, 10);
    metric_add(m, -15);
    assert_int_equal(metric_value(m), -5);
    expect_text_has(render(), "# HELP gauge g\n# TYPE gauge gauge\ngauge -5\n");
}

static void test_metrics__families_are_sorted_and_announced_once(void **state)
{
    metric_add(metrics_counter(metrics, "f_total", "status=\"404\"", "answers"), 1);
    metrics_counter(metrics, "f_total_2", "", "another");
    metrics_counter(metrics, "e_total", "", "before");
    metric_add(metrics_counter(metrics, "f_total", "status=\"200\"", "answers"), 7);
    const char *text = render();
    expect_text_has(text, "# HELP f_total answers\n# TYPE f_total counter\n"
                          "f_total{status=\"200\"} 7\nf_total{status=\"404\"} 1\n");
    assert_true(strstr(text, "e_total 0") < strstr(text, "# HELP f_total "));
    assert_null(strstr(strstr(text, "# TYPE f_total counter") + 1, "# TYPE f_total counter"));
}

static void test_metrics__histogram_counts_into_buckets(void **state)
{
    struct metric *m = metrics_histogram(metrics, "h_seconds", "route=\"/x\"", "time");
    metric_observe(m, 0);
    metric_observe(m, -5);
    metric_observe(m, 500);
    metric_observe(m, 501);
    metric_observe(m, 59000000);
    metric_observe(m, 61000000);
    assert_int_equal(metric_value(m), 6);
    const char *text = render();
    expect_text_has(text, "# TYPE h_seconds histogram\nh_seconds_bucket{route=\"/x\",le=\"0.0005\"} 3\n");
    expect_text_has(text, "h_seconds_bucket{route=\"/x\",le=\"0.001\"} 4\n");
    expect_text_has(text, "h_seconds_bucket{route=\"/x\",le=\"30\"} 4\n");
    expect_text_has(text, "h_seconds_bucket{route=\"/x\",le=\"60\"} 5\n");
    expect_text_has(text, "h_seconds_bucket{route=\"/x\",le=\"+Inf\"} 6\n"
                          "h_seconds_sum{route=\"/x\"} 120.001001\nh_seconds_count{route=\"/x\"} 6\n");
}

static void test_metrics__histogram_without_labels(void **state)
{
    metric_observe(metrics_histogram(metrics, "plain_seconds", "", "time"), 1);
    expect_text_has(render(), "plain_seconds_bucket{le=\"0.0005\"} 1\n");
    expect_text_has(render(), "plain_seconds_sum 0.000001\nplain_seconds_count 1\n");
}

static void *count_in_a_thread(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        metric_add(metrics_counter(metrics, "threads_total", "", "t"), 1);
        metric_observe(metrics_histogram(metrics, "threads_seconds", "", "t"), 1);
    }
    return NULL;
}

static void test_metrics__threads_lose_nothing(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_a_thread, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_value(metrics_counter(metrics, "threads_total", "", "t")), 40000);
    assert_int_equal(metric_value(metrics_histogram(metrics, "threads_seconds", "", "t")), 40000);
}

static void test_metrics__many_are_found_again(void **state)
{
    char labels[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(labels, sizeof(labels), "n=\"%d\"", i * 7919 % 500);
            metric_add(metrics_counter(metrics, "many_total", labels, "m"), i * 7919 % 500);
        }
    }
    assert_int_equal(metric_value(metrics_counter(metrics, "many_total", "n=\"499\"", "m")), 998);
}

static void test_metrics__others_have_their_own(void **state)
{
    struct metrics *other = metrics_open();
    struct metric *here = metrics_counter(metrics, "same_total", "", "x");
    struct metric *there = metrics_counter(other, "same_total", "", "x");
    metric_add(here, 1);
    assert_int_equal(metric_value(there), 0);
    metrics_counter(other, "other_total", "", "x");
    assert_null(strstr(render(), "other_total"));
    metrics_close(&other);
    metrics_close(&other);
    assert_int_equal(metric_value(here), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_metrics, close_metrics)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_metrics__others_have_their_own),
        TEST(test_metrics__same_name_and_labels_is_the_same_metric),
        TEST(test_metrics__names_are_copied),
        TEST(test_metrics__gauge_goes_both_ways),
        TEST(test_metrics__families_are_sorted_and_announced_once),
        TEST(test_metrics__histogram_counts_into_buckets),
        TEST(test_metrics__histogram_without_labels),
        TEST(test_metrics__threads_lose_nothing),
        TEST(test_metrics__many_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
