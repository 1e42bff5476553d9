/*
 * fiber.c - stacks from mmap, with a guard below each, and their first frame.
 * With -DSL_VALGRIND they are registered with valgrind.
 */

#define _DEFAULT_SOURCE    /* MAP_ANONYMOUS, madvise */

#include "os/fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

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
    IDLE_MAX = 256,
    SLAB_MIN = 8, SLAB_MAX = 64,    /* number of stacks mapped at once */
    /* The guard below a stack. Some functions of Lua have frames larger than a
     * page, which could skip a guard of one page. */
    GUARD_SIZE = 64 * 1024,
    /* The number of stacks with a guard. A guard splits a mapping, and Linux
     * allows a process 65530 mappings (vm.max_map_count). Mappings of stacks
     * without a guard merge; Lua's limit on nested C calls protects these
     * stacks. */
    GUARDED_MAX = 16384
};

/* Clears AddressSanitizer's marks of frames that no longer exist. */
static void forget_bytes(char *bottom, size_t size)
{
#if defined(SL_ASAN)
    __asan_unpoison_memory_region(bottom, size);
#else
    (void)bottom, (void)size;
#endif
}

/* Destroys ThreadSanitizer's fiber. It has one for each function that runs on a
 * fiber of ours. */
static void forget_calls(sl_fiber *fiber)
{
#if defined(SL_TSAN)
    if (fiber->here.tsan_fiber != NULL)
        __tsan_destroy_fiber(fiber->here.tsan_fiber);
    fiber->here.tsan_fiber = NULL;
#else
    (void)fiber;
#endif
}

/* --- fibers ------------------------------------------------------------ */

static char *stack_bottom(sl_fiber *fiber, size_t stack_size)
{
    return (char *)((uintptr_t)fiber & ~(uintptr_t)(stack_size - 1));
}

/* The body of every fiber. It never returns, as there is no caller. */
__attribute__((used)) void sl_fiber_serve(sl_fiber *fiber);
void sl_fiber_serve(sl_fiber *fiber)
{
    sl_context_arrive(&fiber->here, fiber->back);
    for (;;) {
        fiber->function(fiber->arg);
        fiber->function = NULL;
        sl_fiber_leave(fiber, fiber->back);
    }
}

#if defined(SL_FIBER_UCONTEXT)

static void serve_halves(unsigned high, unsigned low)
{
    sl_fiber_serve((sl_fiber *)(((uintptr_t)high << 16 << 16) | low));
}

static void reset_context(sl_fiber *fiber, char *bottom)
{
    ucontext_t *machine = &fiber->here.machine;
    uintptr_t address = (uintptr_t)fiber;
    getcontext(machine);
    machine->uc_stack.ss_sp = bottom;
    machine->uc_stack.ss_size = (size_t)((char *)fiber - bottom);
    machine->uc_link = NULL;
    makecontext(machine, (void (*)(void))serve_halves, 2,
                (unsigned)(address >> 16 >> 16), (unsigned)address);
}

#else

/* The first frame of a stack. Calls sl_fiber_serve with the frame pointer as
 * argument. Unwinders stop here. */
void sl_fiber_entry(void);

__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl sl_fiber_entry\n"
    ".hidden sl_fiber_entry\n"
    ".type sl_fiber_entry,%function\n"
    "sl_fiber_entry:\n"
    "    .cfi_startproc\n"
#if defined(__x86_64__)
    "    .cfi_undefined rip\n"
    "    " SL_LANDING "\n"
    "    movq %rbp, %rdi\n"
    "    xorl %ebp, %ebp\n"
    "    callq sl_fiber_serve\n"
    "    ud2\n"
#else
    "    .cfi_undefined x30\n"
    "    hint #36\n"    /* a branch may come here: BTI */
    "    mov x0, x29\n"
    "    mov x29, #0\n"
    "    bl sl_fiber_serve\n"
    "    brk #0\n"
#endif
    "    .cfi_endproc\n"
    ".size sl_fiber_entry,.-sl_fiber_entry\n"
);

static void reset_context(sl_fiber *fiber, char *bottom)
{
    (void)bottom;
    fiber->here.sp = (uintptr_t)fiber & ~(uintptr_t)63;
    fiber->here.fp = (uintptr_t)fiber;
    fiber->here.pc = (uintptr_t)sl_fiber_entry;
}

#endif

#if defined(__x86_64__) && !defined(SL_FIBER_UCONTEXT)

int sl_fibers_shadowed(void)
{
    uint64_t shadow = 0;
    __asm__ volatile(".byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8"    /* rdsspq %rax */
                     : "+a"(shadow));
    return shadow != 0;
}

#else

int sl_fibers_shadowed(void)
{
    return 0;
}

#endif

/* Resets the stack to its first frame. */
static void empty_fiber(sl_fiber *fiber, size_t stack_size)
{
    char *bottom = stack_bottom(fiber, stack_size);
    size_t size = (size_t)((char *)fiber - bottom);
    forget_bytes(bottom, size);
    forget_calls(fiber);
    fiber->function = NULL;
    reset_context(fiber, bottom);
#if defined(SL_ASAN)
    fiber->here.fake_stack = NULL;
    fiber->here.bottom = bottom;
    fiber->here.size = size;
#elif defined(SL_TSAN)
    fiber->here.tsan_fiber = __tsan_create_fiber(0);
#endif
}

static void unmap_stacks(char *base, size_t size)
{
    if (size > 0)
        munmap(base, size);
}

/* Maps n fresh stacks into a pool that has none. 0 or ENOMEM. */
static int map_stacks(sl_fibers *pool, size_t n)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    size_t one = pool->stack_size;
    size_t size = (n + 1) * one;    /* one more than n, as mmap may return any
                                       page */
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED)
        return ENOMEM;
#if defined(MADV_NOHUGEPAGE)
    madvise(base, size, MADV_NOHUGEPAGE);
#endif
    size_t surplus = (size_t)(-(uintptr_t)base % one);
    unmap_stacks(base, surplus);
    pool->fresh = base + surplus;
    unmap_stacks(pool->fresh + n * one, one - surplus);
    pool->fresh_count = n;
    return 0;
}

/* Makes sure that there is a fresh stack. 0 or ENOMEM. */
static int map_slab(sl_fibers *pool)
{
    size_t n = pool->count;
    if (pool->fresh_count > 0)
        return 0;
    for (n = n < SLAB_MIN ? SLAB_MIN : n < SLAB_MAX ? n : SLAB_MAX; n > 0;
         n /= 8)
        if (map_stacks(pool, n) == 0)
            return 0;
    return ENOMEM;
}

static sl_fiber *create_fiber(sl_fibers *pool)
{
    if (map_slab(pool) != 0)
        return NULL;
    char *base = pool->fresh;
    if (pool->count < GUARDED_MAX &&
        mprotect(base, GUARD_SIZE, PROT_NONE) != 0)
        return NULL;
    pool->fresh += pool->stack_size;
    pool->fresh_count--;
    sl_fiber *fiber = sl_fiber_at(base, pool->stack_size);
    fiber->deep = 0;
    empty_fiber(fiber, pool->stack_size);
#if defined(SL_VALGRIND)
    fiber->valgrind_id = VALGRIND_STACK_REGISTER(base, (char *)fiber);
#endif
    pool->count++;
    return fiber;
}

/* Unmaps a fiber's stack. False: the fiber stays, as the process has too many
 * mappings to split one. */
static int destroy_fiber(sl_fibers *pool, sl_fiber *fiber)
{
#if defined(SL_VALGRIND)
    unsigned id = fiber->valgrind_id;
#endif
    char *bottom = stack_bottom(fiber, pool->stack_size);
    forget_calls(fiber);
    forget_bytes(bottom, pool->stack_size);
    if (munmap(bottom, pool->stack_size) != 0) {
        empty_fiber(fiber, pool->stack_size);
        return 0;
    }
#if defined(SL_VALGRIND)
    VALGRIND_STACK_DEREGISTER(id);
#endif
    pool->count--;
    return 1;
}

/* Returns the lower pages of a stack, below SL_FIBER_SHALLOW, to the system. */
static void release_pages(sl_fiber *fiber, size_t stack_size)
{
    char *bottom = stack_bottom(fiber, stack_size) + GUARD_SIZE;
    madvise(bottom, stack_size - SL_FIBER_SHALLOW - GUARD_SIZE,
            MADV_DONTNEED);
    fiber->deep = 0;
}

void sl_fibers_init(sl_fibers *pool, size_t stack_size)
{
    *pool = (sl_fibers){NULL, 0, 0, stack_size, NULL, 0};
}

void sl_fibers_free(sl_fibers *pool)
{
    while (pool->idle != NULL) {
        sl_fiber *fiber = pool->idle;
        pool->idle = fiber->next;
        destroy_fiber(pool, fiber);
    }
    pool->idle_count = 0;
    unmap_stacks(pool->fresh, pool->fresh_count * pool->stack_size);
    pool->fresh_count = 0;
}

int sl_fibers_reserve(sl_fibers *pool)
{
    if (pool->idle != NULL)
        return 0;
    sl_fiber *fiber = create_fiber(pool);
    if (fiber == NULL)
        return ENOMEM;
    sl_fiber_give(pool, fiber);
    return 0;
}

sl_fiber *sl_fiber_take(sl_fibers *pool)
{
    sl_fiber *fiber = pool->idle;
    if (fiber == NULL)
        return create_fiber(pool);
    pool->idle = fiber->next;
    pool->idle_count--;
    return fiber;
}

void sl_fiber_give(sl_fibers *pool, sl_fiber *fiber)
{
    if (pool->idle_count >= IDLE_MAX && destroy_fiber(pool, fiber))
        return;
    if (fiber->function != NULL)
        empty_fiber(fiber, pool->stack_size);
    if (fiber->deep)
        release_pages(fiber, pool->stack_size);
    fiber->next = pool->idle;
    pool->idle = fiber;
    pool->idle_count++;
}
