#!/usr/bin/env bats
# The manual says what is so: its examples run, its options are those of -h.

load helpers

# One word each
tools=$(basename -a "${AT_BIN:?}"/at-*)

# Sample captures that have settled, an archive of them, a spool of two.
setup_file() {
    load helpers
    local lab=$BATS_FILE_TMPDIR/lab pc=$BATS_FILE_TMPDIR/pc

    mkdir -p "$lab/spool" "$pc/include"
    cp "$TEST_DATA"/*.pcap "$TEST_DATA"/*.gz "$TEST_DATA"/*.erf "$lab"
    cp "$TEST_DATA"/{lan,dns}.pcap "$lab/spool"
    touch -d '1 hour ago' "$lab"/spool/*
    at-ingest -q "$lab/day" "$TEST_DATA"/*.{pcap,pcap.gz,erf}

    # The library as if it were installed: nothing of ours but its header.
    cp "$TOP/libarchive_trace/archive_trace.h" "$pc/include"
    sed -e "s|^includedir=.*|includedir=$pc/include|" \
        -e "s|^libdir=.*|libdir=$BUILD/lib|" \
        ${SANITIZE:+-e "s|^Cflags:|& -fsanitize=$SANITIZE|"} \
        "$BUILD/lib/libarchive_trace.pc" >"$pc/libarchive_trace.pc"
}

setup() {
    export PKG_CONFIG_PATH=$BATS_FILE_TMPDIR/pc LD_LIBRARY_PATH=$BUILD/lib
    need mandoc
}

text() { # page: as it is shown, lines not broken
    mandoc -T ascii -O width=500 "$MAN/$1" | col -bx
}

# What stands in literal displays below a line '.\" file NAME' becomes a file.
write_files() { # page
    awk '/^\.\\" file / { name = $3; next }
         /^\.Ed/ { name = "" }
         name != "" && !/^\.Bd/ { print >name }' "$MAN/$1"
    # \(aq and \e are all the escapes there are.
    find . -newer "$BATS_TEST_TMPDIR/start" -type f \
        \( -name '*.c' -o -name '*.sql' \) \
        -exec sed -i -e "s/\\\\(aq/'/g" -e 's/\\e/\\/g' {} +
}

# What a page says that its example number N prints becomes the file says.N.
write_outputs() { # page
    awk '/^\.Dl \$ / { n++ }
         /^\.\\" prints/ { shows = 1; next }
         /^\.Ed/ { shows = 0 }
         shows && !/^\.Bd/ { print >("says." n) }' "$MAN/$1"
}

# Runs every '.Dl $ ' line of a page, in order, in one fresh directory.
run_page() { # page
    local line n=0

    cp -a "$BATS_FILE_TMPDIR/lab" "$BATS_TEST_TMPDIR/lab"
    touch -d '1 minute ago' "$BATS_TEST_TMPDIR/start"
    cd "$BATS_TEST_TMPDIR/lab" || return
    write_files "$1"
    write_outputs "$1"
    while IFS= read -r line; do
        n=$((n + 1))
        echo "$line"
        bash -c "set -o pipefail; $line" </dev/null >out || return
        [ -s out ] || [[ $line != *at-query* ]] || [[ $line == *' -w '* ]]
        [ ! -e "says.$n" ] || diff "says.$n" out || return
    done < <(text "$1" | sed -n 's/^ *\$ //p')
    [ "$n" -eq "$(grep -c '^\.Dl \$ ' "$MAN/$1")" ]
    [ "$n" -gt 0 ] || [ "$1" = archive_trace.5 ]
}

options_of_help() { # tool: "-c", "--count" ...
    "$1" -h | sed -n 's/^  *\(-[^ ].*\)/\1/p' |
        sed -e 's/   *.*//' | grep -oE '(^|[ ,])--?[A-Za-z][a-z-]*' |
        tr -d ' ,' | sort -u
}

options_of_page() { # page
    grep '^\.It Fl ' "$MAN/$1" | grep -oE '(It|,) Fl -?[A-Za-z][a-z-]*' |
        sed 's/.* Fl /-/' | sort -u
}

@test "man: mandoc has nothing to warn of" {
    run mandoc -T lint -W warning "$MAN"/*.[1-8]
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "man: every tool has a page" {
    for tool in "$AT_BIN"/at-*; do
        echo "$tool"
        [ -e "$MAN/${tool##*/}.1" ]
    done
}

@test "man: SYNOPSIS in the manual is what -h prints" {
    for tool in $tools; do
        diff <(text "$tool.1" | sed -n '/^SYNOPSIS/{n;s/^ *//p}') \
            <("$tool" -h | sed -n '1s/^usage: //p')
    done
}

@test "man: the options of each page are those of -h" {
    for tool in $tools; do
        echo "$tool"
        diff <(options_of_page "$tool.1") <(options_of_help "$tool")
    done
}

@test "man: archive_trace(3) names every public function" {
    for name in $(grep -oE '\bat_[a-z_]+\(' "$TOP"/libarchive_trace/archive_trace.h |
        tr -d '(' | sort -u); do
        echo "$name"
        grep -q "^\.Fn $name" "$MAN/archive_trace.3"
    done
}

@test "man: archive_trace(5) names every column of the catalogue" {
    at-archive init "$BATS_TEST_TMPDIR/a"
    need sqlite3
    for name in $(sqlite3 "$BATS_TEST_TMPDIR/a/catalog.sqlite" \
        "SELECT name FROM sqlite_schema WHERE type = 'table'
         UNION SELECT c.name FROM sqlite_schema s, pragma_table_info(s.name) c"); do
        echo "$name"
        text archive_trace.5 | grep -qw "$name"
    done
}

@test "man: archive_trace-index(5) names every column and every name in meta" {
    cp "$TEST_DATA/dns.pcap" "$BATS_TEST_TMPDIR"
    at-index -q "$BATS_TEST_TMPDIR/dns.pcap"
    need sqlite3
    for name in $(sqlite3 "$BATS_TEST_TMPDIR/dns.pcap.idx" \
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
         UNION SELECT c.name FROM sqlite_schema s, pragma_table_info(s.name) c
         UNION SELECT name FROM meta"); do
        echo "$name"
        text archive_trace-index.5 | grep -qw -- "$name"
    done
}

@test "man: at-query(1) names every column and every state" {
    for name in $(at-query --format csv "$TEST_DATA/dns.pcap" | head -n 1 |
        tr , ' ') $(sed -n '/^static const char \*const state_names/,/^}/p' \
        "$TOP/indexers/tracker.c" | grep -o '"[^"]*"' | tr -d '"'); do
        echo "$name"
        text at-query.1 | grep -qE "^ +(.*, )?$name( |,|\$)"
    done
}

@test "man: the examples of at-info(1) run" {
    run_page at-info.1
}

@test "man: the examples of at-convert(1) run" {
    run_page at-convert.1
}

@test "man: the examples of at-anon(1) run" {
    run_page at-anon.1
}

@test "man: archive_trace-policy(5) lists the keys there are" {
    for preset in headers caida mawi waikato strict; do
        at-anon --print-policy --policy $preset |
            sed 's/ = .*//' | while read -r key; do
            echo "$key"
            text archive_trace-policy.5 | grep -qE "^ +(.*, )?$key(,| |$)"
        done
        text archive_trace-policy.5 | grep -qE "^ *$preset( |\$)"
    done
}

@test "man: the examples of at-replay(1) run" {
    run_page at-replay.1
}

@test "man: the examples of at-diff(1) run" {
    run_page at-diff.1
}

@test "man: the examples of at-index(1) run" {
    run_page at-index.1
}

@test "man: the examples of at-ingest(1) run" {
    run_page at-ingest.1
    [ -z "$(ls spool)" ]
}

@test "man: the examples of at-merge(1) run" {
    run_page at-merge.1
}

@test "man: the examples of at-query(1) run" {
    run_page at-query.1
}

@test "man: the examples of at-split(1) run" {
    run_page at-split.1
}

@test "man: the examples of at-stats(1) run" {
    run_page at-stats.1
}

@test "man: the examples of at-top(1) run" {
    run_page at-top.1
}

@test "man: the examples of at-report(1) run" {
    run_page at-report.1
}

@test "man: the examples of at-app(1) run" {
    run_page at-app.1
}

@test "man: the examples of at-dump(1) run" {
    run_page at-dump.1
}

@test "man: the examples of archive_trace-filter(7) run" {
    run_page archive_trace-filter.7
}

@test "man: the examples of at-archive(1) run" {
    run_page at-archive.1
}

@test "man: the program of archive_trace(3) compiles, runs and is right" {
    need cc pkg-config
    run_page archive_trace.3
    [[ $(cat out) == "$(at-query -q --count -w - link-s94.erf.gz port 53) "* ]]
    cc -std=c11 -Wall -Wextra -Werror -fsyntax-only dns.c \
        "-I$BATS_FILE_TMPDIR/pc/include"
}

@test "man: the programs of archive_trace-howto(7) print what the page says" {
    need cc pkg-config
    run_page archive_trace-howto.7
    [ "$(find . -name 'says.*' | wc -l)" -eq 6 ]
    for program in one two three four five skeleton; do
        cc -std=c11 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
            -Werror -fsyntax-only "$program.c" "-I$BATS_FILE_TMPDIR/pc/include"
    done
    [ "$(wc -l <two.c)" -le 40 ]
}

@test "man: the programs of archive_trace-howto(7) see the same by any threads" {
    need cc pkg-config taskset
    run_page archive_trace-howto.7
    for program in three four five skeleton; do
        taskset -c 0 "./$program" http.pcap tls.pcap dns.pcap >alone
        "./$program" http.pcap tls.pcap dns.pcap | diff alone -
    done
}

@test "man: the examples of archive_trace-index(5) run and are right" {
    need sqlite3
    run_page archive_trace-index.5
    [[ $(tail -n 1 out) == "$(at-query --count http.pcap host 192.0.2.53)|"* ]]
    [[ $(tail -n 1 out) == *"|$(at-query -q --count -w - http.pcap \
        ip host 192.0.2.53)" ]]
}

@test "man: the cron and systemd examples name options that there are" {
    for option in $(sed -n '/^\.Ss From cron/,/^\.Sh/p' "$MAN/at-ingest.1" |
        grep 'ingest .*/srv/archive' | tr -d '\134' | tr ' ' '\n' | grep '^-'); do
        echo "$option"
        at-ingest -h | grep -q -- " ${option}[ ,]"
    done
}
