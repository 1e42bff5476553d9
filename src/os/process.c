/*
 * process.c - counts the forks between this process and the one that loaded the
 * module. State with another count belongs to the parent. Comparing process ids
 * would take a system call in each step.
 *
 * The table of descriptors has a byte for each possible descriptor; the system
 * maps only the pages that are used. Entries may be stale, but
 * sl_process_isinherited is called only for descriptors that the module has. OS
 * threads use the table without a lock.
 */

#define _GNU_SOURCE    /* dladdr, RTLD_NOLOAD, RTLD_NODELETE */

#include "os/process.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DESCRIPTORS = 1 << 20,    /* higher ones never count as inherited */
    BLOCK = 4096              /* descriptors in a page of the table */
};

enum { UNKNOWN, SHARED, HIDDEN, INHERITED };    /* states of descriptors */

/* The open file of an inherited descriptor. */
typedef struct file {
    dev_t device;
    ino_t inode;
    mode_t format;
    unsigned short forks;    /* sl_process_forks in the child */
} file;

unsigned sl_process_forks = 0;

static unsigned char states[DESCRIPTORS];
static unsigned char is_used[DESCRIPTORS / BLOCK];    /* by block */

/* The files of inherited descriptors, by descriptor. Changed only in a new
 * child. */
static file *files;
static int file_count;

/* --- the table --------------------------------------------------------- */

static void set_state(int fd, unsigned char state)
{
    if (fd < 0 || fd >= DESCRIPTORS)
        return;
    __atomic_store_n(&states[fd], state, __ATOMIC_RELAXED);
    if (state != UNKNOWN)
        __atomic_store_n(&is_used[fd / BLOCK], 1, __ATOMIC_RELAXED);
}

void sl_process_share(int fd)
{
    set_state(fd, SHARED);
}

void sl_process_hide(int fd)
{
    set_state(fd, HIDDEN);
}

void sl_process_forget(int fd)
{
    set_state(fd, UNKNOWN);
}

/* --- in the child ------------------------------------------------------ */

int sl_process_isinherited(int fd, unsigned short forks)
{
    struct stat now;
    if (fd < 0 || fd >= file_count || states[fd] != INHERITED ||
        fstat(fd, &now) != 0)
        return 0;
    const file *f = &files[fd];
    return f->forks == (unsigned short)(forks + 1) &&
           f->inode == now.st_ino && f->device == now.st_dev &&
           f->format == (now.st_mode & S_IFMT);
}

/* Makes room for the files of descriptors up to fd. False: no memory. */
static int reserve_files(int fd)
{
    if (fd < file_count)
        return 1;
    int count = (fd / BLOCK + 1) * BLOCK;
    file *more = realloc(files, (size_t)count * sizeof *more);
    if (more == NULL)
        return 0;
    files = more;
    file_count = count;
    return 1;
}

/* Notes the open file of a shared descriptor. False: no such file, or no
 * memory. */
static int note_file(int fd)
{
    struct stat now;
    if (fstat(fd, &now) != 0 || !reserve_files(fd))
        return 0;
    files[fd] = (file){now.st_dev, now.st_ino, now.st_mode & S_IFMT,
                       (unsigned short)sl_process_forks};
    return 1;
}

static void inherit_descriptor(int fd)
{
    if (states[fd] == SHARED) {
        states[fd] = note_file(fd) ? INHERITED : UNKNOWN;
    } else if (states[fd] == HIDDEN) {
        close(fd);
        states[fd] = UNKNOWN;
    }
}

/* Called in each child, before fork(2) returns there. */
static void become_child(void)
{
    int err = errno;
    sl_process_forks++;
    for (int i = 0; i < DESCRIPTORS / BLOCK; i++)
        for (int fd = i * BLOCK; is_used[i] && fd < (i + 1) * BLOCK; fd++)
            inherit_descriptor(fd);
    errno = err;
}

int sl_process_notice(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int is_noticed = 0;
    int err = 0;
    pthread_mutex_lock(&lock);
    if (!is_noticed)
        err = pthread_atfork(NULL, NULL, become_child);
    is_noticed = err == 0;
    pthread_mutex_unlock(&lock);
    return err;
}

/* --- the module's code ------------------------------------------------- */

void sl_process_pin(void)
{
    static const char here = 0;
    Dl_info module;
    if (dladdr(&here, &module) != 0)
        dlopen(module.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}
