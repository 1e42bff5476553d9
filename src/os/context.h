/*
 * context.h - the saved registers of a C stack, and the switch to another
 * stack: a few instructions on x86-64 and aarch64, ucontext elsewhere or with
 * -DSL_FIBER_UCONTEXT. AddressSanitizer and ThreadSanitizer are notified of
 * switches.
 *
 * The switch is inline because processors predict return addresses from the
 * calls they have seen. If both sides of a switch are equally deep in calls,
 * the prediction is right.
 *
 * Shadow stacks of x86-64 (SHSTK) are not switched. The Makefile does not mark
 * the module as compatible with them; sl_fibers_shadowed detects them. Targets
 * of indirect branches (IBT on x86-64, BTI on aarch64) are marked.
 *
 * The floating-point environment (rounding mode, ...) is not switched: threads
 * share it, as Lua's coroutines do.
 */

#ifndef SL_CONTEXT_H
#define SL_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#if !defined(SL_FIBER_UCONTEXT) && !defined(__x86_64__) && \
    !defined(__aarch64__)
#define SL_FIBER_UCONTEXT
#endif
#if defined(SL_FIBER_UCONTEXT)
#include <ucontext.h>
#if defined(__linux__) && !defined(__GLIBC__) && !defined(SL_LIBUCONTEXT)
#error "this C library has no contexts: install libucontext and build with \
CPPFLAGS=-DSL_LIBUCONTEXT LDFLAGS=-lucontext"
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SL_ASAN
#elif defined(__SANITIZE_THREAD__)
#define SL_TSAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SL_ASAN
#elif __has_feature(thread_sanitizer)
#define SL_TSAN
#endif
#endif
#if defined(SL_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(SL_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

typedef struct sl_context {
#if defined(SL_FIBER_UCONTEXT)
    ucontext_t machine;
#else
    uint64_t sp, fp, pc;    /* stack and frame pointer, program counter */
#endif
#if defined(SL_ASAN)
    void *fake_stack;
    const void *bottom;
    size_t size;
#elif defined(SL_TSAN)
    void *tsan_fiber;
#endif
} sl_context;

#if defined(SL_FIBER_UCONTEXT)

static inline void sl_context_swap(sl_context *from, sl_context *to)
{
    swapcontext(&from->machine, &to->machine);
}

#elif defined(__x86_64__)

#if defined(__AVX512F__)
#define SL_AVX512_REGISTERS \
    "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", \
    "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", \
    "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define SL_AVX512_REGISTERS
#endif

#if defined(__CET__) && (__CET__ & 1)
#define SL_LANDING "endbr64\n\t"
#else
#define SL_LANDING ""
#endif

/* Saves the stack and frame pointers and the program counter. All other
 * registers are declared as clobbered, so the compiler saves those that it
 * needs. */
static inline void sl_context_swap(sl_context *from, sl_context *to)
{
    __asm__ volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "movq %%rsp, 0(%0)\n\t"
        "movq %%rbp, 8(%0)\n\t"
        "movq %%rax, 16(%0)\n\t"
        "movq 0(%1), %%rsp\n\t"
        "movq 8(%1), %%rbp\n\t"
        "jmpq *16(%1)\n"
        "1: " SL_LANDING
        : "+D"(from), "+S"(to)
        :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
          "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
          "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
          "xmm14", "xmm15", SL_AVX512_REGISTERS "memory", "cc");
}

#else

#if defined(__APPLE__)
#define SL_PLATFORM_REGISTER    /* x18 is reserved for the system */
#else
#define SL_PLATFORM_REGISTER "x18",
#endif

static inline void sl_context_swap(sl_context *from, sl_context *to)
{
    register sl_context *x0 __asm__("x0") = from;
    register sl_context *x1 __asm__("x1") = to;
    __asm__ volatile(
        "adr x9, 1f\n\t"
        "mov x10, sp\n\t"
        "stp x10, x29, [%0]\n\t"
        "str x9, [%0, #16]\n\t"
        "ldp x10, x29, [%1]\n\t"
        "ldr x9, [%1, #16]\n\t"
        "mov sp, x10\n\t"
        "br x9\n"
        "1: hint #36"    /* a branch may come here: BTI */
        : "+r"(x0), "+r"(x1)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
          "x13", "x14", "x15", "x16", "x17", SL_PLATFORM_REGISTER "x19",
          "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
          "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9",
          "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18",
          "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27",
          "v28", "v29", "v30", "v31", "memory", "cc");
}

#endif

/* Returns the pointer. The compiler cannot see that the result equals the
 * argument. */
static inline void *sl_context_opaque(void *pointer)
{
    __asm__("" : "+r"(pointer));
    return pointer;
}

/* Switches from the running stack to another. */
static inline void sl_context_switch(sl_context *from, sl_context *to)
{
#if defined(SL_ASAN)
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#elif defined(SL_TSAN)
    from->tsan_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    sl_context_swap(from, to);
}

/* Completes a switch, on the stack that now runs. AddressSanitizer needs the
 * bounds of the runner's stack when control returns there: they are noted when
 * a fiber starts or continues. */
static inline void sl_context_arrive(sl_context *here, sl_context *runner)
{
#if defined(SL_ASAN)
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(here->fake_stack, &bottom, &size);
    if (runner->bottom == NULL) {
        runner->bottom = bottom;
        runner->size = size;
    }
#else
    (void)here, (void)runner;
#endif
}

#endif
