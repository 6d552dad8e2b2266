#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every header under src/ compiles alone: headers.sh SRC COMPILER [ARGUMENT]...
src=$1
shift
seen=0
failed=0
for header in $(find "$src" -name '*.h' | LC_ALL=C sort); do
    seen=$((seen + 1))
    printf '#include "%s"\n' "${header#"$src"/}" |
        "$@" -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter -I"$src" -fsyntax-only -x c - ||
        failed=$((failed + 1))
done
echo "$seen headers, $failed failed"
[ "$seen" -gt 0 ] && [ "$failed" -eq 0 ]
