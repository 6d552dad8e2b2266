/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What LeakSanitizer shall not report: libfyaml 0.7.12 loses a buffer when a long quoted scalar is followed
 * by what cannot follow. A configuration is read once, so nobody is hurt; corpus/yaml/library_leak is the
 * input.
 */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}
