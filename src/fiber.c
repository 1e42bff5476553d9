/*
 * fiber.c - stacks from mmap with a guard page, and the switch: a few
 * instructions of assembly for x86-64 and aarch64, ucontext elsewhere (or
 * when built with -DSL_FIBER_UCONTEXT). AddressSanitizer is told about
 * switches, valgrind (when built with -DSL_VALGRIND) about stacks.
 */

#define _DEFAULT_SOURCE    /* MAP_ANONYMOUS, madvise */

#include "fiber.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(SL_FIBER_UCONTEXT) && !defined(__x86_64__) && \
    !defined(__aarch64__)
#define SL_FIBER_UCONTEXT
#endif
#if defined(SL_FIBER_UCONTEXT)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SL_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SL_ASAN
#endif
#endif
#if defined(SL_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SL_VALGRIND)
#include <valgrind/valgrind.h>
#endif

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif
#if !defined(MAP_STACK)
#define MAP_STACK 0
#endif

enum {
    /* Room for 200 nested C calls, each with an 8 KiB buffer; LuaJIT on
     * aarch64 needs nearly 5 MiB for them. */
    STACK_SIZE = 6 * 1024 * 1024,
    /* A frozen stack deeper than this gives its pages back at the end. */
    SHALLOW = 64 * 1024,
    IDLE_MAX = 256,
    /* A guard page splits a mapping, and Linux allows a process 65530 of
     * them (vm.max_map_count). Beyond so many stacks go without; they merge,
     * and Lua's limit on nested C calls is what guards them. */
    GUARDED_MAX = 16384
};

/* Where execution left a stack. */
typedef struct context {
#if defined(SL_FIBER_UCONTEXT)
    ucontext_t machine;
#else
    void *sp;
#endif
#if defined(SL_ASAN)
    void *fake_stack;
    const void *bottom;
    size_t size;
#endif
} context;

/* Lives at the upper end of its own mapping, above the stack. */
struct sl_fiber {
    sl_fiber *next;           /* in the pool's idle list */
    void (*function)(void *); /* what runs on it; NULL when empty */
    void *arg;
    context here;             /* where the fiber was left */
    context *back;            /* where its runner was left (his stack) */
    int deep;                 /* it was frozen below SHALLOW */
#if defined(SL_VALGRIND)
    unsigned valgrind_id;
#endif
};

/* --- the switch -------------------------------------------------------- */

#if defined(SL_FIBER_UCONTEXT)

static void swap(context *from, context *to)
{
    swapcontext(&from->machine, &to->machine);
}

#else

/* Saves the callee-saved registers on the stack and its pointer in *from,
 * then loads them from the other stack. */
void sl_fiber_swap(void **from, void *to);

/* Where a new stack begins: calls the function it finds in a register. */
void sl_fiber_entry(void);

static void swap(context *from, context *to)
{
    sl_fiber_swap(&from->sp, to->sp);
}

#endif

#if defined(SL_FIBER_UCONTEXT)

#elif defined(__x86_64__)

__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl sl_fiber_swap\n"
    ".hidden sl_fiber_swap\n"
    ".type sl_fiber_swap,@function\n"
    "sl_fiber_swap:\n"
    "    .cfi_startproc\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    subq $8, %rsp\n"
    "    stmxcsr (%rsp)\n"
    "    fnstcw 4(%rsp)\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    ldmxcsr (%rsp)\n"
    "    fldcw 4(%rsp)\n"
    "    addq $8, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    "    .cfi_endproc\n"
    ".size sl_fiber_swap,.-sl_fiber_swap\n"
    ".globl sl_fiber_entry\n"
    ".hidden sl_fiber_entry\n"
    ".type sl_fiber_entry,@function\n"
    "sl_fiber_entry:\n"
    "    .cfi_startproc\n"
    "    .cfi_undefined rip\n"    /* unwinders stop here */
    "    movq %r12, %rdi\n"
    "    callq *%rbx\n"
    "    ud2\n"
    "    .cfi_endproc\n"
    ".size sl_fiber_entry,.-sl_fiber_entry\n"
);

/* What sl_fiber_swap finds on a stack that was never left. */
static void *first_frame(char *top, void (*main)(sl_fiber *), sl_fiber *arg)
{
    uint64_t *sp = (uint64_t *)top - 10;
    __asm__("stmxcsr (%0)\n\tfnstcw 4(%0)" : : "r"(sp) : "memory");
    sp[1] = sp[2] = sp[3] = 0;               /* r15, r14, r13 */
    sp[4] = (uint64_t)(uintptr_t)arg;        /* r12 */
    sp[5] = (uint64_t)(uintptr_t)main;       /* rbx */
    sp[6] = 0;                               /* rbp */
    sp[7] = (uint64_t)(uintptr_t)sl_fiber_entry;
    sp[8] = sp[9] = 0;
    return sp;
}

#elif defined(__aarch64__)

__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl sl_fiber_swap\n"
    ".hidden sl_fiber_swap\n"
    ".type sl_fiber_swap,%function\n"
    "sl_fiber_swap:\n"
    "    .cfi_startproc\n"
    "    sub sp, sp, #176\n"
    "    stp x19, x20, [sp, #0]\n"
    "    stp x21, x22, [sp, #16]\n"
    "    stp x23, x24, [sp, #32]\n"
    "    stp x25, x26, [sp, #48]\n"
    "    stp x27, x28, [sp, #64]\n"
    "    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n"
    "    stp d10, d11, [sp, #112]\n"
    "    stp d12, d13, [sp, #128]\n"
    "    stp d14, d15, [sp, #144]\n"
    "    mrs x9, fpcr\n"
    "    str x9, [sp, #160]\n"
    "    mov x9, sp\n"
    "    str x9, [x0]\n"
    "    mov sp, x1\n"
    "    ldr x9, [sp, #160]\n"
    "    msr fpcr, x9\n"
    "    ldp x19, x20, [sp, #0]\n"
    "    ldp x21, x22, [sp, #16]\n"
    "    ldp x23, x24, [sp, #32]\n"
    "    ldp x25, x26, [sp, #48]\n"
    "    ldp x27, x28, [sp, #64]\n"
    "    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n"
    "    ldp d10, d11, [sp, #112]\n"
    "    ldp d12, d13, [sp, #128]\n"
    "    ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #176\n"
    "    ret\n"
    "    .cfi_endproc\n"
    ".size sl_fiber_swap,.-sl_fiber_swap\n"
    ".globl sl_fiber_entry\n"
    ".hidden sl_fiber_entry\n"
    ".type sl_fiber_entry,%function\n"
    "sl_fiber_entry:\n"
    "    .cfi_startproc\n"
    "    .cfi_undefined x30\n"    /* unwinders stop here */
    "    mov x0, x20\n"
    "    blr x19\n"
    "    brk #0\n"
    "    .cfi_endproc\n"
    ".size sl_fiber_entry,.-sl_fiber_entry\n"
);

static void *first_frame(char *top, void (*main)(sl_fiber *), sl_fiber *arg)
{
    uint64_t *sp = (uint64_t *)top - 22;
    for (int i = 0; i < 22; i++)
        sp[i] = 0;
    sp[0] = (uint64_t)(uintptr_t)main;               /* x19 */
    sp[1] = (uint64_t)(uintptr_t)arg;                /* x20 */
    sp[11] = (uint64_t)(uintptr_t)sl_fiber_entry;    /* x30 */
    __asm__("mrs %0, fpcr" : "=r"(sp[20]));
    return sp;
}

#endif

/* --- what the sanitizers want to know ---------------------------------- */

static void before_swap(context *from, const context *to)
{
#if defined(SL_ASAN)
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#else
    (void)from, (void)to;
#endif
}

/* here was switched to; from is what was left, on its first time unknown. */
static void after_swap(context *here, context *from)
{
#if defined(SL_ASAN)
    __sanitizer_finish_switch_fiber(here->fake_stack, &from->bottom,
                                    &from->size);
#else
    (void)here, (void)from;
#endif
}

/* What was on these bytes of stack is gone. */
static void forget_bytes(char *bottom, size_t size)
{
#if defined(SL_ASAN)
    __asan_unpoison_memory_region(bottom, size);
#else
    (void)bottom, (void)size;
#endif
}

/* --- fibers ------------------------------------------------------------ */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static char *stack_bottom(sl_fiber *fiber)
{
    return (char *)(fiber + 1) - STACK_SIZE;
}

/* The body of every fiber. It never returns: nothing lies above it. */
static void serve(sl_fiber *fiber)
{
    after_swap(&fiber->here, fiber->back);
    for (;;) {
        fiber->function(fiber->arg);
        fiber->function = NULL;
        sl_fiber_freeze(fiber);
    }
}

#if defined(SL_FIBER_UCONTEXT)

static void serve_halves(unsigned high, unsigned low)
{
    serve((sl_fiber *)(((uintptr_t)high << 16 << 16) | low));
}

static void reset(sl_fiber *fiber)
{
    ucontext_t *machine = &fiber->here.machine;
    uintptr_t address = (uintptr_t)fiber;
    getcontext(machine);
    machine->uc_stack.ss_sp = stack_bottom(fiber);
    machine->uc_stack.ss_size = (size_t)((char *)fiber - stack_bottom(fiber));
    machine->uc_link = NULL;
    makecontext(machine, (void (*)(void))serve_halves, 2,
                (unsigned)(address >> 16 >> 16), (unsigned)address);
}

#else

static void reset(sl_fiber *fiber)
{
    char *top = (char *)((uintptr_t)fiber & ~(uintptr_t)63);
    fiber->here.sp = first_frame(top, serve, fiber);
}

#endif

/* Makes the fiber's stack as if nothing had ever run on it. */
static void empty(sl_fiber *fiber)
{
    char *bottom = stack_bottom(fiber);
    size_t size = (size_t)((char *)fiber - bottom);
    forget_bytes(bottom, size);
    fiber->function = NULL;
    reset(fiber);
#if defined(SL_ASAN)
    fiber->here.fake_stack = NULL;
    fiber->here.bottom = bottom;
    fiber->here.size = size;
#endif
}

static void *map_stack(int guarded)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    char *base = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
#if defined(MADV_NOHUGEPAGE)
    madvise(base, STACK_SIZE, MADV_NOHUGEPAGE);
#endif
    if (guarded && mprotect(base, page_size(), PROT_NONE) != 0) {
        munmap(base, STACK_SIZE);
        return NULL;
    }
    return base;
}

static sl_fiber *create(sl_fibers *pool)
{
    char *base = map_stack(pool->count < GUARDED_MAX);
    if (base == NULL)
        return NULL;
    sl_fiber *fiber = (sl_fiber *)(base + STACK_SIZE) - 1;
    fiber->deep = 0;
    empty(fiber);
#if defined(SL_VALGRIND)
    fiber->valgrind_id = VALGRIND_STACK_REGISTER(base, (char *)fiber);
#endif
    pool->count++;
    return fiber;
}

static void destroy(sl_fibers *pool, sl_fiber *fiber)
{
#if defined(SL_VALGRIND)
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
    pool->count--;
    forget_bytes(stack_bottom(fiber), STACK_SIZE);
    munmap(stack_bottom(fiber), STACK_SIZE);
}

/* The pages of a deep stack go back to the system, but for the upper ones. */
static void release_pages(sl_fiber *fiber)
{
    char *bottom = stack_bottom(fiber) + page_size();
    madvise(bottom, STACK_SIZE - SHALLOW - page_size(), MADV_DONTNEED);
    fiber->deep = 0;
}

void sl_fibers_init(sl_fibers *pool)
{
    *pool = (sl_fibers){NULL, 0, 0};
}

void sl_fibers_free(sl_fibers *pool)
{
    while (pool->idle != NULL) {
        sl_fiber *fiber = pool->idle;
        pool->idle = fiber->next;
        destroy(pool, fiber);
    }
    pool->idle_count = 0;
}

int sl_fibers_reserve(sl_fibers *pool)
{
    if (pool->idle != NULL)
        return 0;
    sl_fiber *fiber = create(pool);
    if (fiber == NULL)
        return ENOMEM;
    sl_fiber_give(pool, fiber);
    return 0;
}

sl_fiber *sl_fiber_take(sl_fibers *pool)
{
    sl_fiber *fiber = pool->idle;
    if (fiber == NULL)
        return create(pool);
    pool->idle = fiber->next;
    pool->idle_count--;
    return fiber;
}

void sl_fiber_give(sl_fibers *pool, sl_fiber *fiber)
{
    if (pool->idle_count >= IDLE_MAX) {
        destroy(pool, fiber);
        return;
    }
    if (fiber->function != NULL)
        empty(fiber);
    if (fiber->deep)
        release_pages(fiber);
    fiber->next = pool->idle;
    pool->idle = fiber;
    pool->idle_count++;
}

int sl_fiber_run(sl_fiber *fiber, void (*function)(void *arg), void *arg)
{
    context runner;
    if (fiber->function == NULL) {
        fiber->function = function;
        fiber->arg = arg;
    }
    fiber->back = &runner;
    before_swap(&runner, &fiber->here);
    swap(&runner, &fiber->here);
    after_swap(&runner, &fiber->here);
    return fiber->function != NULL;
}

int sl_fiber_isfrozen(const sl_fiber *fiber)
{
    return fiber->function != NULL;
}

static void note_depth(sl_fiber *fiber)
{
    char here;
    if ((char *)fiber - &here > SHALLOW)
        fiber->deep = 1;
}

void sl_fiber_pass(sl_fiber *fiber, sl_fiber *other)
{
    note_depth(fiber);
    other->back = fiber->back;
    before_swap(&fiber->here, &other->here);
    swap(&fiber->here, &other->here);
    after_swap(&fiber->here, fiber->back);
}

void sl_fiber_freeze(sl_fiber *fiber)
{
    note_depth(fiber);
    before_swap(&fiber->here, fiber->back);
    swap(&fiber->here, fiber->back);
    after_swap(&fiber->here, fiber->back);
}
