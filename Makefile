# Builds, tests and installs socketloop.
#
#   make LUA=lua5.1    the module for one Lua, in build/lua5.1/; LUA is any
#                      command that runs a Lua, by default the first with
#                      headers of lua5.4, luajit, lua5.3, lua5.2 and lua5.1;
#                      LUA_INCDIR=folder where the headers are not found
#   make demo          fetches pages one by one, then all at once;
#                      URLS="http://..." selects pages
#   make run           runs ARGS="file.lua arguments" with the module as built
#   make test          all specs on five Luas and every poller; TEST_RUNS=
#                      "lua5.4:epoll ..." selects runs (tools/test.sh)
#   make chroot        demo and test on a fresh Debian in a folder, as root;
#                      BUSY=2 runs busy loops beside it (tools/chroot.sh)
#   make check         warnings, exported names, luacheck, style
#   make lint          cppcheck and clang-tidy (two minutes)
#   make asan          the specs under AddressSanitizer with a busy collector
#   make valgrind      the specs under valgrind on one Lua
#   make tsan          the specs, Lua states in several threads, and the
#                      resolver's threads, under ThreadSanitizer
#   make coverage      lines of src/ that the specs reach; MISSED=1: those not
#                      reached
#   make soak          everything at once for MINUTES=10 on one Lua, then 1e6
#                      connections: memory, descriptors and threads must
#                      not grow
#   make memory        each memory allocation fails once (half an hour)
#   make fuzz          many random calls and random programs on five Luas;
#                      CALLS=100000 and PROGRAMS=100000 are their numbers;
#                      SEED=... repeats a failure;
#                      FUZZ_RUNS="lua5.4:epoll ..." (tools/test.sh)
#   make libfuzzer     receive under libFuzzer, 1000000 inputs or RUNS=...;
#                      INPUT=file repeats a failure
#   make platforms     the specs on variants that represent other platforms:
#                      emulated kqueue, 32 bits, big-endian, musl, ...;
#                      LUA_SOURCE=... is a folder with the source of a Lua
#                      (tools/platforms.sh)
#   make test-arm64    the specs of threads and the loop on aarch64, emulated
#   make bench         compares with raw C, luv, cqueues and copas, and writes
#                      doc/benchmarks.md; ROUNDS=3 is quick; SCENARIOS="echo-50
#                      churn" selects scenarios
#   make install       into $(DESTDIR)$(PREFIX), in the folders for the version
#                      of LUA
#   make clean
#
# demo, run, test, check, lint, asan, valgrind, tsan, fuzz, libfuzzer, memory,
# soak, coverage, platforms, test-arm64, bench and chroot install the Debian
# packages they lack (tools/setup.sh).

LUAS := lua5.4 luajit lua5.3 lua5.2 lua5.1
found := $(foreach l,$(LUAS),\
           $(shell pkg-config --exists $(l) 2>/dev/null && echo $(l)))
LUA ?= $(or $(firstword $(found)),lua5.4)

# A variant is another build of the same sources, in a folder of its own.
VARIANT ?=
OUT := build/$(if $(VARIANT),$(VARIANT)-)$(notdir $(LUA))

CC ?= cc
CFLAGS ?= -O2 -g
SHARED := -shared
LUA_CFLAGS = $(LUA_INCDIR:%=-I%)

# The output of tools/lua.sh: the version of LUA, the flags for its headers.
about_lua = $(shell cat $(OUT)/about)
lua_version = $(patsubst luajit,5.1,$(firstword $(about_lua)))
lua_cflags = $(filter-out $(firstword $(about_lua)),$(about_lua))

ifeq ($(shell uname -s),Darwin)
SHARED := -bundle -undefined dynamic_lookup
endif

# Other architectures, with headers that tools/foreign.sh unpacks.
foreign_arm64 := aarch64-linux-gnu
foreign_i386 := i686-linux-gnu
foreign_s390x := s390x-linux-gnu
foreign_headers = build/$(VARIANT)/usr/include

ifeq ($(VARIANT),asan)
variant_flags := -fsanitize=address,undefined -fno-sanitize-recover=all \
                 -fno-omit-frame-pointer
else ifeq ($(VARIANT),tsan)
variant_flags := -fsanitize=thread -fno-omit-frame-pointer
else ifeq ($(VARIANT),coverage)
variant_flags := --coverage
CFLAGS := -O0 -g -Wno-maybe-uninitialized    # false without -O
else ifeq ($(VARIANT),ucontext)
variant_flags := -DSL_FIBER_UCONTEXT
else ifeq ($(VARIANT),libfuzzer)
CC := clang
variant_flags := -fsanitize=fuzzer-no-link,address,undefined \
                 -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(VARIANT),valgrind)
variant_flags := -DSL_VALGRIND
else ifeq ($(VARIANT),kqueue)
variant_flags := -DSL_HAVE_KQUEUE -Itest/kqueue
kqueue_object := $(OUT)/obj/kqueue.o
else ifeq ($(VARIANT),musl)
CC := musl-gcc
else ifeq ($(VARIANT),x32)
CC := x86_64-linux-gnux32-gcc
else ifneq ($(filter arm64 i386 s390x,$(VARIANT)),)
CC := $(foreign_$(VARIANT))-gcc
LUA_CFLAGS = -I$(foreign_headers)/$(patsubst i686%,i386%,$(CC:-gcc=)) \
             -I$(foreign_headers)/$(LUA:luajit=luajit-2.1)
endif

# Flags, if the compiler supports them. Stack frames touch each page, so that
# none skips a guard page. The module does not claim to support shadow stacks
# (os/context.h).
compiles = $(shell echo 'int x;' | $(CC) -Werror $(1) -x c -c -o /dev/null - \
             2>/dev/null && echo $(1))
stack_flags := $(call compiles,-fstack-clash-protection)
ifneq ($(shell echo __CET__ | $(CC) $(CFLAGS) -E -P -x c - | grep '[23]'),)
no_shadow_stack := -fcf-protection=branch
endif

flags = -std=c99 -fPIC -fno-plt -pthread -fvisibility=hidden -funwind-tables \
        -Wall -Wextra -pedantic -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Iinclude -Isrc $(lua_cflags) $(variant_flags) \
        $(stack_flags)

objects := $(patsubst src/%.c,$(OUT)/obj/%.o,\
             $(sort $(wildcard src/*.c src/*/*.c)))
objects += $(kqueue_object)
scripts := $(patsubst src/lua/%,$(OUT)/%,\
             $(wildcard src/lua/*.lua src/lua/*/*.lua))

all: $(OUT)/socketloop.so $(scripts)

$(OUT)/socketloop.so: $(objects)
	$(CC) $(SHARED) $(flags) $(CFLAGS) $(LDFLAGS) -o $@ $^

# Rewritten only if the content changes, as LUA may be another program.
$(OUT)/about: FORCE
	@mkdir -p $(@D)
	@about=$$(tools/lua.sh '$(LUA)' '$(CC)' '$(LUA_CFLAGS)') && \
	    { [ "$$about" = "$$(cat $@ 2>/dev/null)" ] || echo "$$about" >$@; }

$(OUT)/obj/%.o: src/%.c $(OUT)/about Makefile
	@mkdir -p $(@D)
	$(CC) $(flags) $(CPPFLAGS) $(CFLAGS) $(no_shadow_stack) -MMD -MP -c \
	    -o $@ $<

$(OUT)/obj/kqueue.o: test/kqueue/kqueue.c $(OUT)/about Makefile
	@mkdir -p $(@D)
	$(CC) $(flags) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/%.lua: src/lua/%.lua
	@mkdir -p $(@D)
	cp $< $@

-include $(objects:.o=.d)

# Programs and libraries for the specs (see their sources), and the module
# linked without the project's linker flags.
helpers: $(OUT)/test/getaddrinfo.so $(OUT)/test/host $(OUT)/test/socketloop.so
helpers: $(OUT)/test/api.so $(OUT)/test/copy.so $(OUT)/test/finish.so

# LuaJIT must not load modules built for plain Lua 5.1, nor the reverse.
opposite := $(patsubst lua5.1,luajit,$(filter lua5.1,$(LUA)))\
            $(patsubst luajit,lua5.1,$(filter luajit,$(LUA)))
ifneq ($(strip $(opposite)),)
helpers: opposite
opposite:
	@$(MAKE) LUA=$(strip $(opposite)) VARIANT= all
endif

ifeq ($(shell uname -s),Linux)
helpers: $(OUT)/test/memory $(OUT)/test/faults.so $(OUT)/test/clock.so
helpers: $(OUT)/test/lossy $(OUT)/test/vanish $(OUT)/test/model.so
helpers: $(OUT)/test/gate.so
endif

preloaded := getaddrinfo faults clock gate
$(preloaded:%=$(OUT)/test/%.so): $(OUT)/test/%.so: test/preload/%.c
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -Wall -Wextra $(CFLAGS) -o $@ $<

# Lua modules in C that know socketloop by its header only.
c_module = $(CC) $(SHARED) -std=c99 -D_POSIX_C_SOURCE=200809L -fPIC -Wall \
           -Wextra -pedantic -Iinclude $(lua_cflags) $(variant_flags) $(CFLAGS)

$(OUT)/test/api.so: test/host/api.c include/socketloop.h $(OUT)/about
	@mkdir -p $(@D)
	$(c_module) -o $@ $<

$(OUT)/test/copy.so: examples/copy.c include/socketloop.h $(OUT)/about
	@mkdir -p $(@D)
	$(c_module) -o $@ $<

$(OUT)/test/lossy $(OUT)/test/vanish: $(OUT)/test/%: test/host/%.c
	@mkdir -p $(@D)
	$(CC) -Wall -Wextra $(CFLAGS) -o $@ $<

$(OUT)/test/model.so: test/preload/model_clock.c test/preload/model_loopback.c
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -Wall -Wextra $(CFLAGS) -o $@ $^

$(OUT)/test/receive: test/fuzz/receive.c test/fuzz/received.c $(objects) \
                     test/fuzz/receive.h
	@mkdir -p $(@D) $(OUT)/corpus
	$(CC) $(flags) -fsanitize=fuzzer $(CFLAGS) -o $@ $(filter-out %.h,$^) \
	    $(shell pkg-config --libs $(LUA)) -lm

$(OUT)/test/host: test/host/host.c $(OUT)/about
	@mkdir -p $(@D)
	$(CC) $(flags) $(CFLAGS) -o $@ $< $(shell pkg-config --libs $(LUA))

$(OUT)/test/socketloop.so: $(objects)
	@mkdir -p $(@D)
	$(CC) -shared $(flags) $(CFLAGS) $(LDFLAGS) -o $@ $^

# The module with an additional function.
$(OUT)/test/finish.so: test/host/finish.c $(objects)
	@mkdir -p $(@D)
	$(CC) -shared $(flags) $(CFLAGS) $(LDFLAGS) -o $@ $^

# The host contains the module, and intercepts these calls of the module.
wrapped := malloc calloc realloc free mmap munmap mprotect epoll_create1 \
           epoll_ctl pipe2 socket accept4 connect pthread_create getaddrinfo \
           freeaddrinfo

$(OUT)/test/memory: test/host/memory.c $(objects)
	@mkdir -p $(@D)
	$(CC) $(flags) $(CFLAGS) $(wrapped:%=-Wl,--wrap=%) -o $@ $^ \
	    $(shell pkg-config --libs $(LUA)) -lm

# The resolver's threads without Lua, under ThreadSanitizer.
worker_sources := $(addprefix src/os/,worker.c lookup.c sockaddr.c error.c)

$(OUT)/test/workers: test/host/workers.c $(worker_sources) \
                     src/os/worker.h $(OUT)/about
	@mkdir -p $(@D)
	$(CC) $(flags) -fsanitize=thread $(CFLAGS) -o $@ $(filter %.c,$^)

run:
	@tools/setup.sh demo $(LUA)
	@$(MAKE) -s all
	@LUA_PATH='$(OUT)/?.lua;;' LUA_CPATH='$(OUT)/?.so;;' $(LUA) $(ARGS)

demo: ARGS = examples/demo.lua $(URLS)
demo: run

test:
	@tools/setup.sh test
	@tools/test.sh $(TEST_RUNS)

chroot:
	@tools/setup.sh chroot
	@tools/chroot.sh $(TEST_RUNS)

check:
	@tools/setup.sh test
	@tools/check.sh

lint:
	@tools/setup.sh lint lua5.4
	@tools/lint.sh

ASAN_LUAS ?= $(LUAS)
asan:
	@tools/setup.sh test
	@SOCKETLOOP_TEST_GC=1 tools/test.sh $(ASAN_LUAS:%=asan-%:epoll)

valgrind:
	@tools/setup.sh test
	@JOBS=$${JOBS:-2} tools/test.sh valgrind-$(LUA):epoll

SEED ?= $(shell date +%s)
CALLS ?= 100000
PROGRAMS ?= 100000
FUZZ_RUNS ?= $(LUAS:%=%:epoll) asan-lua5.4:epoll
fuzz:
	@tools/setup.sh test
	@echo 'SEED=$(SEED)'
	@SOCKETLOOP_FUZZ_SEED='$(SEED)' SOCKETLOOP_FUZZ_CALLS='$(CALLS)' \
	    SOCKETLOOP_FUZZ_PROGRAMS='$(PROGRAMS)' \
	    SPECS='fuzz model' LIMIT=4000 \
	    tools/test.sh $(FUZZ_RUNS)

RUNS ?= 1000000
fuzzer := build/libfuzzer-lua5.4
libfuzzer:
	@tools/setup.sh libfuzzer lua5.4
	@$(MAKE) -s LUA=lua5.4 VARIANT=libfuzzer all $(fuzzer)/test/receive
	LUA_PATH='$(fuzzer)/?.lua;;' $(fuzzer)/test/receive -max_len=256 \
	    -runs=$(RUNS) -artifact_prefix=$(fuzzer)/ -verbosity=0 \
	    -print_final_stats=1 $(or $(INPUT),$(fuzzer)/corpus)

MEMORY_RUNS ?= $(LUAS:%=%:epoll) asan-lua5.4:epoll
memory:
	@tools/setup.sh test
	@SOCKETLOOP_TEST_ALL=1 SPECS=memory LIMIT=7200 \
	    tools/test.sh $(MEMORY_RUNS)

# Coverage is the union of these runs.
COVERAGE_RUNS ?= coverage-lua5.4:epoll coverage-lua5.1:poll \
                 coverage-luajit:select
coverage:
	@tools/setup.sh test
	@rm -f build/coverage-*/obj/*.gcda build/coverage-*/obj/*/*.gcda
	@tools/test.sh $(COVERAGE_RUNS)
	@tools/coverage.sh

# Minutes of random work, before 1e6 connections one after another.
MINUTES ?= 10
soak:
	@tools/setup.sh test
	@$(MAKE) -s all helpers
	@for work in 'minutes $(MINUTES)' 'connections 1000000'; do \
	    LD_PRELOAD=$(OUT)/test/getaddrinfo.so LUA_PATH='$(OUT)/?.lua;;' \
	    LUA_CPATH='$(OUT)/?.so;;' $(LUA) test/soak/run.lua $$work || exit 1; \
	done

# Without address space randomization, which gcc 12's runtime does not support.
tsan_luas := lua5.4 lua5.1
TSAN_RUNS ?= tsan-lua5.4:epoll
tsan: $(OUT)/test/workers
	@tools/setup.sh test
	setarch -R timeout 100 $<
	@for lua in $(tsan_luas); do \
	    $(MAKE) -s VARIANT=tsan LUA=$$lua tsan-states tsan-lookups || \
	        exit 1; done
	@tools/test.sh $(TSAN_RUNS)

tsan_host = LUA_PATH='$(OUT)/?.lua;;' LUA_CPATH='$(OUT)/?.so;;' $(1) \
            setarch -R timeout 300 $(OUT)/test/host
tsan-states: all $(OUT)/test/host
	$(call tsan_host) 4 3 0 test/host/states.lua
	@echo '$(LUA): states in four threads: passed'

tsan-lookups: all $(OUT)/test/host $(OUT)/test/getaddrinfo.so
	$(call tsan_host,LD_PRELOAD=$(OUT)/test/getaddrinfo.so) 4 4 100 \
	    test/host/lookups.lua
	@echo '$(LUA): look-ups in four threads: passed'

platforms:
	@tools/setup.sh platforms
	@tools/setup.sh arm64
	@tools/platforms.sh

test-arm64:
	@tools/setup.sh arm64
	@tools/foreign.sh arm64

bench_luas := luajit lua5.4 lua5.1
bench_tools := build/bench/load build/bench/raw
bench:
	@tools/setup.sh bench $(bench_luas)
	@for lua in $(bench_luas); do \
	    $(MAKE) -s LUA=$$lua VARIANT= all build/$$lua/bench/bare.so || \
	        exit 1; done
	@$(MAKE) -s $(bench_tools)
	@ROUNDS='$(ROUNDS)' SCENARIOS='$(SCENARIOS)' lua5.4 bench/run.lua

build/bench/load: bench/load.c bench/process.c bench/traffic.c
build/bench/raw: bench/servers/raw.c bench/servers/listen.c
$(bench_tools): $(wildcard bench/*.h bench/*/*.h) $(OUT)/about Makefile
	@mkdir -p $(@D)
	$(CC) $(flags) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^)

$(OUT)/bench/bare.so: bench/servers/bare.c bench/servers/listen.c $(OUT)/about
	@mkdir -p $(@D)
	$(CC) -shared $(flags) -Isrc -fvisibility=default $(CFLAGS) \
	    $(LDFLAGS) -o $@ $(filter %.c,$^)

PREFIX ?= /usr/local
LUA_CMOD ?= $(PREFIX)/lib/lua/$(lua_version)
LUA_LMOD ?= $(PREFIX)/share/lua/$(lua_version)
INCLUDE ?= $(PREFIX)/include

install: all
	install -d '$(DESTDIR)$(LUA_CMOD)' '$(DESTDIR)$(INCLUDE)'
	install $(OUT)/socketloop.so '$(DESTDIR)$(LUA_CMOD)'
	install -m 644 include/socketloop.h '$(DESTDIR)$(INCLUDE)'
	install -d '$(DESTDIR)$(LUA_LMOD)/socketloop'
	install -m 644 src/lua/*.lua '$(DESTDIR)$(LUA_LMOD)'
	install -m 644 src/lua/socketloop/*.lua '$(DESTDIR)$(LUA_LMOD)/socketloop'

clean:
	rm -rf build

FORCE:

.PHONY: FORCE all helpers opposite demo run test chroot check lint asan valgrind
.PHONY: tsan tsan-states tsan-lookups coverage soak memory fuzz libfuzzer
.PHONY: platforms test-arm64 bench install clean
