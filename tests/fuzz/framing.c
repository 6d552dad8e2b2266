/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a connection: where its requests end does not depend on how many bytes a read brings, and what has
 * been refused stays refused. */
#include "fuzz.h"

#include "http/http_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct framing whole = { 0 }, bytes = { 0 };
    size_t passed = framing_follow(&whole, text, size);
    assert(whole.status ? passed <= size : passed == size);
    for (size_t i = 0; i < size && !bytes.status; i++)
        framing_follow(&bytes, text + i, 1);
    assert(whole.status == bytes.status && whole.messages == bytes.messages && whole.why == bytes.why);
    assert(!whole.status == !whole.why);
    assert(!whole.status || framing_follow(&whole, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27) == 0);
    return 0;
}
