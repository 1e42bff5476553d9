/*
 * perthread.h - one pointer for each thread of the system. A __thread variable
 * would do, but LeakSanitizer crashes now and then where a library that is
 * loaded later has one.
 */

#ifndef SL_PERTHREAD_H
#define SL_PERTHREAD_H

/* NULL until it is set; always, if the system has no room for it. */
void *sl_perthread_get(void);

void sl_perthread_set(void *pointer);

/* At the end of the process: it is NULL from now on. */
void sl_perthread_end(void);

#endif
