#!/bin/bash
# Prints how many lines of src/ the runs of a build with VARIANT=coverage have
# reached, per file and in total. A line counts if any of the builds ran it.
# With MISSED=1 in the environment also prints the lines that were not reached.
# See `make coverage`.

set -euo pipefail
cd "$(dirname "$0")/.."

for folder in build/coverage-*/obj{,/*/}; do
    gcov -t -o "$folder" "$folder"/*.gcda 2>/dev/null
done | awk -F: -v missed="${MISSED:-}" '
    $2 + 0 == 0 && $3 == "Source" {
        file = $4
        sub(/.*\/src\//, "src/", file)
        next
    }
    file !~ /^src\// || $1 ~ /^ *-$/ || $1 !~ /[0-9#=]/ { next }
    {
        line = file ":" ($2 + 0)
        if (!(line in ran)) {
            ran[line] = 0
            lines[file]++
            text[line] = substr($0, index($0, $3))
        }
        if ($1 !~ /[#=]/ && !ran[line]) {
            ran[line] = 1
            reached[file]++
        }
    }
    END {
        for (file in lines) {
            printf "%-28s %5d of %5d lines  %5.1f %%\n", file,
                reached[file], lines[file],
                100 * reached[file] / lines[file] | "sort"
            all += lines[file]
            got += reached[file]
        }
        close("sort")
        for (line in ran)
            if (missed != "" && !ran[line])
                print line ":" text[line] | "sort -t: -k1,1 -k2,2n"
        close("sort -t: -k1,1 -k2,2n")
        printf "%-28s %5d of %5d lines  %5.1f %%\n", "total", got, all,
            100 * got / (all + !all)
    }'
