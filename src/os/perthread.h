/*
 * perthread.h - one pointer for each OS thread. A __thread variable would be
 * simpler, but LeakSanitizer sometimes crashes if a library that is loaded
 * later has one.
 */

#ifndef SL_PERTHREAD_H
#define SL_PERTHREAD_H

/* The calling thread's pointer; NULL until it is set, and always if the system
 * has no room for it. */
void *sl_perthread_get(void);

void sl_perthread_set(void *pointer);

/* At the end of the process: every pointer is NULL from now on. */
void sl_perthread_end(void);

#endif
