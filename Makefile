# Makefile - the trace archive toolkit; GNU make, no configure step
#
#   make help            the targets and the variables
#
# A file is found by where it lies, so a new one needs no line here:
#   libarchive_trace/*.c             the library
#   indexers/*.c query/*.c anon/*.c  what the tools share above it
#   bin/at-*.c                       one tool each; bin/tool*.c: all tools
#   test/unit/*.c test/fuzz/*.c      one program each; common*.c: all of them
#   test/synth*.c                    the trace generator of the tests

comma := ,
hash := \#
.DEFAULT_GOAL := all

prefix = /usr/local
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
libdir = $(exec_prefix)/lib
includedir = $(prefix)/include
mandir = $(prefix)/share/man
INSTALL_PROGRAM = install -m 755
INSTALL_DATA = install -m 644

PKG_CONFIG ?= pkg-config
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 30
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
PACKAGES ?= yes
V ?= 0
# Captures that are not part of the repository: tests that want them skip
# when there are none.
CORPUS ?= $(if $(wildcard ../shared/corpus),$(abspath ../shared/corpus))

# A sanitizer build has its own folder, so that it can live beside the other.
ifeq ($(SANITIZE),)
BUILD ?= build
# An index takes 6% less time than with -O2, the rest as much.
CFLAGS ?= -O3 -g
else
BUILD ?= build-$(if $(findstring address,$(SANITIZE)),asan,$(if \
	$(findstring thread,$(SANITIZE)),tsan,san))
CFLAGS ?= -O1 -g
endif
B := $(BUILD)

# Everything that needs to know the machine is asked only when it is needed:
# demo, check and the like first install packages and then call make again.
WORKS := $(or $(if $(MAKECMDGOALS),,all),$(filter-out demo check accuracy lint bench \
	fuzz clean help packages-%,$(MAKECMDGOALS)))

VERSION := $(shell sed -n 's/^ *\# *define AT_VERSION "\([^"]*\)".*/\1/p' \
	libarchive_trace/archive_trace.h 2>/dev/null)
SOMAJOR := $(firstword $(subst ., ,$(VERSION)))

# ---- flags: ours are apart from the user's, which come last

SOURCE_DIRS := libarchive_trace indexers query anon bin
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	$(if $(WERROR),-Werror)
OPTIMISED := $(filter-out -O0,$(lastword $(filter -O%,$(CFLAGS))))

# -iquote, so that error.h of ours is never taken for <error.h>
AT_CPPFLAGS := -D_GNU_SOURCE $(addprefix -iquote ,$(SOURCE_DIRS))
AT_CFLAGS := -std=c11 -pthread -fPIC -fvisibility=hidden $(WARNINGS)
AT_LDFLAGS := -pthread -Wl,--as-needed

ifeq ($(SANITIZE),)
AT_CPPFLAGS += $(if $(OPTIMISED),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
AT_CFLAGS += -fstack-protector-strong
AT_LDFLAGS += -Wl,-z,relro -Wl,-z,now
else
# Every error ends the program; FUZZING adds what libFuzzer needs.
AT_CFLAGS += -fsanitize=$(SANITIZE)$(if $(FUZZING),$(comma)fuzzer-no-link) \
	-fno-sanitize-recover=all -fno-omit-frame-pointer
AT_LDFLAGS += -fsanitize=$(SANITIZE)
endif

# ---- libraries: ISA-L may be missing, the rest must be there

ifneq ($(WORKS),)
has_header = $(shell printf '$(hash)include <$(1)>\n' | \
	$(CC) $(CPPFLAGS) -E -x c - >/dev/null 2>&1 && echo yes || echo no)
ifndef ISAL
ISAL := $(call has_header,isa-l/igzip_lib.h)
endif
# pkg-config's word where there is one, else what it has always been
LIBS := $(shell for l in zlib:-lz libdeflate:-ldeflate libzstd:-lzstd \
	liblzma:-llzma bzip2:-lbz2 liblz4:-llz4 sqlite3:-lsqlite3 \
	libcrypto:-lcrypto libpcap:-lpcap; do \
	$(PKG_CONFIG) --libs $${l%%:*} 2>/dev/null || echo $${l$(hash)*:}; done)
ifeq ($(ISAL),yes)
AT_CPPFLAGS += -DAT_HAVE_ISAL=1
LIBS += $(or $(shell $(PKG_CONFIG) --libs libisal 2>/dev/null),-lisal)
endif
LIBS := $(strip $(LIBS)) -lm
CMOCKA_LIBS := $(or $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null),-lcmocka)
endif

ALL_CFLAGS = $(AT_CPPFLAGS) $(CPPFLAGS) $(AT_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(AT_LDFLAGS) $(LDFLAGS)
LINK = $(CC) $(AT_CFLAGS) $(CFLAGS) $(ALL_LDFLAGS)

# ---- what is built from what

sources = $(sort $(wildcard $(1)))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

LIB_SRC := $(call sources,libarchive_trace/*.c)
PART_SRC := $(call sources,indexers/*.c query/*.c anon/*.c bin/tool*.c)
MAIN_SRC := $(call sources,bin/at-*.c)
SYNTH_SRC := $(call sources,test/synth*.c)
UNIT_SRC := $(call sources,test/unit/*.c)
FUZZ_SRC := $(call sources,test/fuzz/*.c)
BENCH_SRC := $(call sources,test/bench/*.c)
ALL_C := $(LIB_SRC) $(PART_SRC) $(MAIN_SRC) $(SYNTH_SRC) \
	$(UNIT_SRC) $(FUZZ_SRC) $(BENCH_SRC)
ALL_H := $(call sources,$(addsuffix /*.h,$(SOURCE_DIRS) test test/unit \
	test/fuzz test/bench))
MAN := $(call sources,man/*.[1-8])
# The rules of applications, as the text that the program parses
RULES := indexers/apps.rules
RULES_C := $(B)/gen/app_text.c

STATIC := $(B)/lib/libarchive_trace.a
SHARED := $(B)/lib/libarchive_trace.so.$(VERSION)
SONAME := libarchive_trace.so.$(SOMAJOR)
MAP := libarchive_trace/libarchive_trace.map
PC := $(B)/lib/libarchive_trace.pc
# What any SQLite loads; at-query has the same functions in it.
EXTENSION := $(B)/lib/archive_trace_sql.so
# What is above the library, in one archive: a program gets what it calls.
PARTS := $(B)/obj/libparts.a

TOOLS := $(patsubst bin/%.c,$(B)/bin/%,$(MAIN_SRC))
SYNTH := $(if $(SYNTH_SRC),$(B)/test/synth)
programs = $(patsubst test/%.c,$(B)/test/%,$(filter-out %/common.c \
	$(wildcard $(1)/common*.c),$(2)))
UNITS := $(call programs,test/unit,$(UNIT_SRC))
FUZZERS := $(call programs,test/fuzz,$(FUZZ_SRC))
BENCHES := $(call programs,test/bench,$(BENCH_SRC))

# ---- goals

.PHONY: all demo check accuracy lint bench soak fuzz install uninstall clean help \
	check-built unit synth fuzz-run bench-run FORCE \
	lint-format lint-cppcheck lint-tidy lint-shell lint-man lint-names
FORCE:
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '%-5s %s\n' $(1) $(2))
# make again, on all processors unless the caller said how many
again = +$(Q)$(MAKE) $(if $(findstring -j,$(MAKEFLAGS)),,-j$$(nproc))

all: $(TOOLS) $(STATIC) $(SHARED) $(PC) $(EXTENSION)

packages-%:
	$(Q)[ "$(PACKAGES)" != yes ] || script/packages $*

demo: packages-build
	$(again) all
	$(Q)BUILD=$(B) script/demo

check: packages-test
	$(again) check-built

unit: $(UNITS)
synth: $(SYNTH)

check-built: all $(UNITS) $(SYNTH)
	$(Q)BUILD=$(B) SANITIZE='$(SANITIZE)' CORPUS='$(CORPUS)' test/run $(TESTS)

# Names of flows held against nDPI's; ACCURACY="--list" is passed on.
accuracy: packages-accuracy
	$(again) all
	$(Q)PATH=$(abspath $(B))/bin:$$PATH test/accuracy/accuracy.py --check \
	    $(ACCURACY) '$(CORPUS)'

bench: packages-bench
	$(again) bench-run
bench-run: all $(SYNTH) $(BENCHES)
	$(Q)BUILD=$(abspath $(B)) AT_BIN=$(abspath $(B))/bin \
	    SYNTH=$(abspath $(SYNTH)) TEST_DATA=$(abspath test/data) \
	    CORPUS='$(CORPUS)' test/bench/run $(BENCH)

# A week of an archive, in the time that it takes; test/soak tells.
soak: packages-test
	$(again) all $(SYNTH) $(B)/test/bench/measure
	$(Q)BUILD=$(abspath $(B)) test/soak

fuzz: packages-fuzz
	$(again) fuzz-run FUZZING=1 CC='$(FUZZ_CC)' BUILD=build/fuzz \
	    SANITIZE=address,undefined
fuzz-run: $(FUZZERS)
	$(Q)BUILD=$(B) FUZZ_SECONDS=$(FUZZ_SECONDS) test/fuzz/run $(FUZZERS)

lint: packages-lint
	$(again) --keep-going lint-format lint-cppcheck lint-tidy lint-shell \
	    lint-man lint-names
	@echo lint: clean

help:
	@echo 'targets'
	@echo '  all        tools, static and shared library (default)'
	@echo '  demo       install packages, build, make a small archive, ask it'
	@echo '  check      install packages, build, run all tests'
	@echo '             (TESTS="test/info.bats test/unit/time.c": only these)'
	@echo '  lint       formatting, static analysis, scripts, manual pages'
	@echo '  accuracy   names of flows held against nDPI, with CORPUS'
	@echo '  bench      measure; BENCH="..." is passed on'
	@echo '  soak       a week of an archive: filled, killed, verified, expired'
	@echo '  fuzz       every parser for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo '  install    to prefix=$(prefix), below DESTDIR'
	@echo '  uninstall, clean, help'
	@echo 'variables'
	@echo '  CC CPPFLAGS CFLAGS LDFLAGS   as usual; added after our own'
	@echo '  prefix exec_prefix bindir libdir includedir mandir DESTDIR'
	@echo '  V=1                    whole commands'
	@echo '  WERROR=1               warnings are errors'
	@echo '  BUILD=DIR              where to build (build)'
	@echo '  SANITIZE=address,undefined | thread'
	@echo '  ISAL=no                do without (default: used when there)'
	@echo '  CORPUS=DIR             more captures for the tests'
	@echo '  PACKAGES=no            do not look for Debian packages'

clean:
	rm -rf build build-asan build-tsan build-san $(addprefix $(B)/,bin lib \
	    obj gen test test-log demo fuzz lint flags)

# ---- compiling and linking

# Objects are made again when a compiler or a flag is another.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(ALL_CFLAGS)' '$(ALL_LDFLAGS) $(LIBS)' \
	    '$(VERSION)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(B)/obj/test/%.o: TEST_CPPFLAGS = -iquote test -iquote test/unit
$(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(RULES_C): $(RULES)
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q){ printf '%s\n' '#include "app_rules.h"' '' \
	        'const char at_app_rules_text[] ='; \
	    sed -e 's/[\\"]/\\&/g' -e 's/^/    "/' -e 's/$$/\\n"/' $<; \
	    printf '%s\n' '    ;' '' 'const size_t at_app_rules_bytes =' \
	        '    sizeof(at_app_rules_text) - 1;'; } >$@
$(RULES_C:.c=.o): $(RULES_C) $(B)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(STATIC): $(call objects,$(LIB_SRC))
$(PARTS): $(call objects,$(PART_SRC)) $(RULES_C:.c=.o)
$(STATIC) $(PARTS):
	$(call say,AR,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(SHARED): $(call objects,$(LIB_SRC)) $(MAP) $(B)/flags
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=$(MAP) \
	    -o $@ $(filter %.o,$^) $(LIBS)
	$(Q)ln -sf $(@F) $(@D)/$(SONAME)
	$(Q)ln -sf $(SONAME) $(@D)/libarchive_trace.so

# Its SQLite is that of whoever loads it.
$(B)/obj/query/sqlfun_extension.o: query/sqlfun.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -DAT_SQL_EXTENSION=1 $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(EXTENSION): $(B)/obj/query/sqlfun_extension.o \
    $(B)/obj/indexers/block_list.o $(STATIC)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -shared -o $@ $(filter %.o,$^) $(STATIC) \
	    $(filter-out -lsqlite3,$(LIBS)) -Wl,--exclude-libs,ALL

# prefix may differ from one call to the next
$(PC): libarchive_trace/libarchive_trace.pc.in FORCE
	@mkdir -p $(@D)
	@sed -e 's|@prefix@|$(prefix)|' -e 's|@exec_prefix@|$(exec_prefix)|' \
	    -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
	    -e 's|@version@|$(VERSION)|' -e 's|@libs@|$(LIBS) -pthread|' $< >$@

link_program = $(Q)$(LINK) -pie -o $@ $(filter %.o,$^) $(PARTS) $(STATIC) \
	$(2) $(LIBS) $(1)
program_needs = $(PARTS) $(STATIC) $(B)/flags

$(B)/bin/%: $(B)/obj/bin/%.o $(program_needs)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(call link_program)

$(B)/test/synth: $(call objects,$(SYNTH_SRC)) $(program_needs)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(call link_program)

# LDFLAGS-NAME: for one test program only, as in LDFLAGS-alloc=-Wl,--wrap=malloc
$(B)/test/unit/%: $(B)/obj/test/unit/%.o $(program_needs) \
	$(call objects,$(wildcard test/unit/common*.c))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(call link_program,$(LDFLAGS-$*),$(CMOCKA_LIBS))

$(B)/test/fuzz/%: $(B)/obj/test/fuzz/%.o $(program_needs) \
	$(call objects,$(wildcard test/fuzz/common*.c))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(call link_program,-fsanitize=fuzzer)

$(B)/test/bench/%: $(B)/obj/test/bench/%.o $(program_needs) \
	$(call objects,$(wildcard test/bench/common*.c))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(call link_program)

.SECONDARY:
-include $(patsubst %.o,%.d,$(call objects,$(ALL_C)))

# ---- installing

install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig \
	    $(DESTDIR)$(includedir)
	$(if $(TOOLS),$(INSTALL_PROGRAM) $(TOOLS) $(DESTDIR)$(bindir))
	$(INSTALL_DATA) $(STATIC) $(SHARED) $(EXTENSION) $(DESTDIR)$(libdir)
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(libdir)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(libdir)/libarchive_trace.so
	$(INSTALL_DATA) $(PC) $(DESTDIR)$(libdir)/pkgconfig
	$(INSTALL_DATA) libarchive_trace/archive_trace.h $(DESTDIR)$(includedir)
	$(Q)set -e; for page in $(MAN); do \
	    dir=$(DESTDIR)$(mandir)/man$${page##*.}; \
	    install -d $$dir; $(INSTALL_DATA) $$page $$dir; done

uninstall:
	rm -f $(addprefix $(DESTDIR)$(bindir)/,$(notdir $(TOOLS)))
	rm -f $(addprefix $(DESTDIR)$(libdir)/,$(notdir $(STATIC) $(SHARED) \
	    $(EXTENSION)) \
	    $(SONAME) libarchive_trace.so pkgconfig/$(notdir $(PC)))
	rm -f $(DESTDIR)$(includedir)/archive_trace.h
	$(Q)for page in $(notdir $(MAN)); do \
	    rm -f $(DESTDIR)$(mandir)/man$${page##*.}/$$page; done

# ---- lint

# The tests' own asserts are more than the analyser understands.
TIDY_SRC := $(filter-out test/unit/% test/bench/%,$(ALL_C))
SCRIPTS := $(filter-out %.c %.h,$(wildcard script/* .ci/run test/run \
	test/fuzz/run test/bench/run test/*.sh test/*.bash test/*.bats))
# What is, or could be, committed; in a tree without git all but the builds.
FILES = { git -c safe.directory='*' ls-files -co --exclude-standard || \
	find . -type f -not -path './build*' -not -path './.git/*'; } 2>/dev/null

lint-format:
	$(call say,LINT,clang-format)
	$(Q)$(CLANG_FORMAT) --dry-run -Werror $(ALL_C) $(ALL_H)

lint-cppcheck:
	$(call say,LINT,cppcheck)
	@mkdir -p $(B)/lint
	$(Q)cppcheck --quiet -j2 --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --error-exitcode=1 --library=posix --template=gcc \
	    --cppcheck-build-dir=$(B)/lint --suppress=missingIncludeSystem \
	    --suppress=readdirCalled --suppress=unmatchedSuppression \
	    --suppress=normalCheckLevelMaxBranches \
	    $(filter -D%,$(AT_CPPFLAGS)) \
	    $(addprefix -I,$(SOURCE_DIRS) test test/unit) $(ALL_C)

# One clang-tidy a file, as many at a time as there are processors
lint-tidy: $(addprefix tidy/,$(TIDY_SRC))
tidy/%: FORCE
	$(call say,TIDY,$*)
	@mkdir -p $(B)/lint
	$(Q)$(CLANG_TIDY) --quiet $* -- -std=c11 $(AT_CPPFLAGS) -iquote test \
	    2>$(B)/lint/$(@F).err || { cat $(B)/lint/$(@F).err; exit 1; }

lint-shell:
	$(call say,LINT,shellcheck)
	$(Q)shellcheck -x -s bash -e SC1091,SC2015,SC2016,SC2030,SC2031,SC2094,SC2154,SC2238,SC2314 \
	    $(SCRIPTS)

lint-man:
	$(call say,LINT,mandoc)
	$(Q)$(if $(MAN),mandoc -T lint -W warning $(MAN))

# No path of the machine we work on, no host that packages come from
NAMES := (^|[^A-Za-z0-9_.-])/wor[k]/|deb[.]debian[.]org|(snapshot|security)[.]debian[.]org|registry[.]npmjs|pypi[.]org|proxy[.]golang[.]org|index[.]crates[.]io|artifactor[y]|https?://[^/ "]*@
lint-names:
	$(call say,LINT,names)
	$(Q)! $(FILES) | xargs -r grep -nIE '$(NAMES)' -- /dev/null
