# helpers.bash - what the Bats files share; test/run sets the environment
# shellcheck shell=bash

bats_require_minimum_version 1.5.0

# The tools just built come first; every test is in a folder of its own.
if [ -n "${AT_BIN-}" ]; then
    PATH=$AT_BIN:$PATH
fi
TOP=${TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
TEST_DATA=${TEST_DATA:-$TOP/test/data}
export TOP TEST_DATA PATH LC_ALL=C.UTF-8 TZ=UTC PYTHONPATH=$TOP/test
export PYTHONDONTWRITEBYTECODE=1

# Skips the test where there is no corpus.
need_corpus() {
    [ -e "${CORPUS:-/nonexistent}/MANIFEST.tsv" ] || skip 'no corpus'
}

# Skips the test where one of the programs is missing.
need() { # program...
    local p
    for p; do
        command -v "$p" >/dev/null || skip "no $p"
    done
}

# What is not so.  "!" alone is no test: errexit does not look at it.
not() { # command...
    ! "$@"
}

# The big captures take too long under a sanitizer.
fast_build() {
    [ -z "${SANITIZE-}" ]
}

# Records of a pcap or ERF file, one a line: time in ns, lengths, a checksum.
# They are read by test/records.py, which is no code of ours under test.
records() { # file
    python3 - "$1" <<'END'
import sys, zlib
from records import records
for ns, frame, wire in records(sys.argv[1]):
    print(ns, len(frame), wire, zlib.crc32(frame))
END
}

# The packets of a file as tcpdump would write them: its filter, its header.
tcpdump_filtered() { # file out expression...
    local file=$1 out=$2
    shift 2
    tcpdump --time-stamp-precision=nano -r "$file" -w "$out" "$@" 2>/dev/null
}

# No half-written file lies in the current folder.
no_leftovers() {
    local left
    left=$(find . -name '*.part')
    [ -z "$left" ] || {
        echo "left over: $left"
        return 1
    }
}

# The standard error of the last 'run --separate-stderr' is one line.
one_message() {
    [ "${#stderr_lines[@]}" -eq 1 ] || {
        printf 'message: %s\n' "${stderr_lines[@]}"
        return 1
    }
}

# A pcap (nanoseconds, Ethernet) of packets, each a time in ms and a text.
text_packets() { # file ms:text...
    python3 - "$@" <<'END'
import struct, sys
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
    for word in sys.argv[2:]:
        ms, text = word.split(":")
        frame = text.encode().ljust(60, b"\0")
        f.write(struct.pack("<IIII", int(ms) // 1000,
                            int(ms) % 1000 * 1000000, 60, 60) + frame)
END
}

# The texts of the packets of a file, in one line.
texts() { # file
    python3 - "$1" <<'END'
import sys
from records import records
print(*(frame.split(b"\0")[0].decode() for _, frame, _ in records(sys.argv[1])))
END
}
